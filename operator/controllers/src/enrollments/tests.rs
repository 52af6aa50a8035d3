//! Tests of the controller of enrolments against the fake API server.

use std::time::Duration;

use entente_crds::{
    LABEL_USE, MAY_BE_USED, example,
    v1alpha1::{DeviceTwinSpec, TwinRegistration},
};
use k8s_openapi::{
    ByteString,
    api::core::v1::{Namespace, Secret},
};

use super::*;
use crate::clock::Clock as _;
use crate::in_process::{InProcess, Parts, says};

const NAMESPACE: &str = example::NAMESPACE;

fn enrollments(parts: Parts) -> Enrollments {
    Enrollments::new(parts.context, parts.objects, parts.secrets)
}

fn token(text: &str) -> Secret {
    let mut secret = Secret::default();
    secret.metadata.name = Some("banco-sul-enrollment".to_owned());
    secret.metadata.namespace = Some(NAMESPACE.to_owned());
    secret.metadata.labels = Some([(LABEL_USE.to_owned(), MAY_BE_USED.to_owned())].into());
    let token = ("token".to_owned(), ByteString(text.as_bytes().to_vec()));
    secret.data = Some([token].into());
    secret
}

fn ready(process: &InProcess) -> String {
    let name = example::enrollment().name_any();
    let found: Option<DeviceEnrollment> = process.cluster.get(NAMESPACE, &name);
    let status = found.and_then(|found| found.status).unwrap_or_default();
    says(&status.conditions, "Ready")
}

fn numbers(process: &InProcess) -> (Option<i64>, Option<i64>) {
    let name = example::enrollment().name_any();
    let found: Option<DeviceEnrollment> = process.cluster.get(NAMESPACE, &name);
    let status = found.and_then(|found| found.status).unwrap_or_default();
    (status.registered, status.pending_count)
}

/// Waits until something is true, which no look at a Secret may bring about.
async fn soon(process: &InProcess, what: &str, holds: impl Fn(&InProcess) -> bool) {
    let before = process.clock.now();
    process.until(what, holds).await;
    let took = process.clock.now().duration_since(before);
    assert!(took < LOOK / 2, "{what} after {took}");
}

/// Starts with everything that an enrolment needs.
async fn allowed() -> InProcess {
    let mut process = InProcess::at("2027-03-01T12:00:00Z");
    process.cluster.apply(&example::gateway());
    process
        .cluster
        .apply(&token("a token of more than twenty characters"));
    process.cluster.apply(&example::enrollment());
    process.start(enrollments).await;
    let is_ready = |process: &InProcess| ready(process) == "True(Succeeded)";
    process.until("it is ready", is_ready).await;
    process
}

// shows K2
#[tokio::test(start_paused = true)]
async fn an_enrolment_of_a_namespace_that_is_allowed_no_more_says_so_at_once() {
    let process = allowed().await;
    process.cluster.edit("", NAMESPACE, |it: &mut Namespace| {
        it.metadata.labels = None;
    });
    let refused = |process: &InProcess| ready(process) == "False(NotAllowed)";
    soon(&process, "it is not allowed", refused).await;
}

// shows C2
#[tokio::test(start_paused = true)]
async fn a_registration_that_waits_is_forgotten_when_its_machine_registers_by_another_enrolment() {
    let process = allowed().await;
    register(&process, "NW5-0007");
    let waits = |process: &InProcess| numbers(process) == (Some(0), Some(1));
    soon(&process, "one device waits", waits).await;
    let mut twin = DeviceTwin::new("branch", DeviceTwinSpec::default());
    twin.metadata.namespace = Some(NAMESPACE.to_owned());
    process.cluster.apply(&twin);
    let registration = TwinRegistration {
        printer_id: Some("an id".to_owned()),
        enrollment: "another".to_owned(),
        at: process.clock.now(),
        serial_number: "NW5-0007".into(),
        product_name: "NW MFP 500".into(),
        ..TwinRegistration::default()
    };
    process
        .cluster
        .edit(NAMESPACE, "branch", |twin: &mut DeviceTwin| {
            twin.status.get_or_insert_default().registration = Some(registration);
        });
    let none = |process: &InProcess| numbers(process) == (Some(0), Some(0));
    soon(&process, "no device waits", none).await;
}

/// Makes the twin of a registration that waits, as the gateway does.
fn register(process: &InProcess, serial_number: &str) {
    let name = pending_name(serial_number);
    let mut twin = DeviceTwin::new(&name, DeviceTwinSpec::default());
    twin.metadata.namespace = Some(NAMESPACE.to_owned());
    process.cluster.apply(&twin);
    let registration = TwinRegistration {
        enrollment: example::enrollment().name_any(),
        at: process.clock.now(),
        serial_number: serial_number.into(),
        product_name: "NW MFP 500".into(),
        ..TwinRegistration::default()
    };
    process
        .cluster
        .edit(NAMESPACE, &name, |twin: &mut DeviceTwin| {
            twin.status.get_or_insert_default().registration = Some(registration);
        });
}

// shows K1 K2 C2
#[tokio::test(start_paused = true)]
async fn an_enrolment_becomes_ready_when_what_it_needs_comes_in_any_order() {
    let mut process = InProcess::at("2027-03-01T12:00:00Z");
    process.cluster.apply(&example::enrollment());
    process.start(enrollments).await;
    let missing = |process: &InProcess| ready(process) == "False(ConnectionNotFound)";
    process.until("it misses its Connection", missing).await;
    process.cluster.apply(&example::gateway());
    let missing = |process: &InProcess| ready(process) == "False(SecretNotFound)";
    process.until("it misses its Secret", missing).await;
    process.cluster.apply(&token("short"));
    let short = |process: &InProcess| ready(process) == "False(SecretKeyMissing)";
    process.until("the token is too short", short).await;
    process
        .cluster
        .apply(&token("a token of more than twenty characters"));
    let is_ready = |process: &InProcess| ready(process) == "True(Succeeded)";
    process.until("it is ready", is_ready).await;
}

// shows C2
#[tokio::test(start_paused = true)]
async fn a_registration_that_waits_is_counted_and_is_forgotten_after_a_week() {
    let process = allowed().await;
    register(&process, "NW5-0007");
    let waits = |process: &InProcess| numbers(process) == (Some(0), Some(1));
    process.until("one device waits", waits).await;
    process.clock.jump(SignedDuration::from_hours(7 * 24));
    process.let_pass(Duration::from_mins(11)).await;
    let none = |process: &InProcess| numbers(process) == (Some(0), Some(0));
    process.until("no device waits", none).await;
    let left: Option<DeviceTwin> = process.cluster.get(NAMESPACE, &pending_name("NW5-0007"));
    assert_eq!(left, None);
}

// shows C2 K1 K2
#[tokio::test(start_paused = true)]
async fn an_enrolment_with_the_secret_of_an_older_one_is_ready_once_that_one_is_gone() {
    let mut process = InProcess::at("2027-03-01T12:00:00Z");
    process.cluster.apply(&example::gateway());
    process
        .cluster
        .apply(&token("a token of more than twenty characters"));
    let mut older = example::enrollment();
    older.metadata.name = Some("a-first".to_owned());
    process.cluster.apply(&older);
    process.cluster.apply(&example::enrollment());
    process.start(enrollments).await;
    let is_taken = |process: &InProcess| ready(process) == "False(UnsupportedValue)";
    process
        .until("its token is that of another", is_taken)
        .await;
    process
        .cluster
        .delete::<DeviceEnrollment>(NAMESPACE, "a-first");
    let is_ready = |process: &InProcess| ready(process) == "True(Succeeded)";
    process.until("the token is its own", is_ready).await;
}
