//! Tests of the catalogue controller: users, protection and orphans.

mod orphans;
mod probing;
mod triggers;

use std::{sync::Arc, time::Duration};

use entente_crds::{
    FINALIZER_IN_USE, example,
    v1alpha1::{
        Connection, Device, DeviceModel, NameReference, ServiceData, ServiceSubscription,
        SmartService,
    },
};
use entente_domain::remote::FailureKind;
use entente_drivers::fake::{FakeServer, Fault, Operation};
use http::Method;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;

use super::{Catalogue, PROBE};
use crate::{
    clock::Clock as _,
    in_process::{InProcess, Parts, broker_login, fake_broker, says},
};

const BROKER: &str = "northwind-services";
const BROKER_URL: &str = "https://broker.northwind.example";
const NAMESPACE: &str = example::NAMESPACE;
/// A time longer than changes of users are gathered.
const GATHERED: Duration = Duration::from_secs(10);

fn catalogue(parts: Parts) -> Catalogue {
    Catalogue::new(parts.context, parts.objects, parts.profiles, Arc::default())
}

/// Returns a catalogue controller, a broker that answers, and objects of the catalogue that nobody
/// uses.
async fn started() -> InProcess {
    let mut process = InProcess::at("2027-03-01T00:00:00Z");
    process.world.put_server(BROKER_URL, fake_broker());
    process.cluster.apply(&broker_login());
    process.cluster.apply(&example::northwind_services());
    process.cluster.apply(&example::hq_ipp());
    process.cluster.apply(&example::mfp_500());
    process.cluster.apply(&example::data_backup());
    process.start(catalogue).await;
    process.until("the broker was probed", is_ready).await;
    process
}

fn connection(process: &InProcess, name: &str) -> Connection {
    process.cluster.get("", name).expect("a Connection")
}

/// Returns a condition of the broker's Connection.
fn broker_says(process: &InProcess, type_: &str) -> String {
    let status = connection(process, BROKER).status.unwrap_or_default();
    says(&status.conditions, type_)
}

fn is_ready(process: &InProcess) -> bool {
    broker_says(process, "Ready") == "True(Succeeded)"
}

/// Returns the numbers of users in the status of the Connection to devices, of that to the broker,
/// of the model and of the service.
fn used_by(process: &InProcess) -> [Option<i64>; 4] {
    let model: Option<DeviceModel> = process.cluster.get("", "mfp-500");
    let service: Option<SmartService> = process.cluster.get("", "data-backup");
    [
        connection(process, "hq-ipp")
            .status
            .and_then(|it| it.used_by),
        connection(process, BROKER).status.and_then(|it| it.used_by),
        model.and_then(|it| it.status).and_then(|it| it.used_by),
        service.and_then(|it| it.status).and_then(|it| it.used_by),
    ]
}

/// Applies a device and the subscription on it, so that everything is used once.
async fn use_all(process: &InProcess) {
    process.cluster.apply(&example::devices()[0]);
    process.cluster.apply(&example::service_subscription());
    let used = |process: &InProcess| used_by(process) == [Some(1); 4];
    process.until("everything is used once", used).await;
    process.let_pass(GATHERED).await;
}

fn is_protected(process: &InProcess) -> [bool; 4] {
    let held = |finalizers: &[String]| finalizers == [FINALIZER_IN_USE];
    let model: Option<DeviceModel> = process.cluster.get("", "mfp-500");
    let service: Option<SmartService> = process.cluster.get("", "data-backup");
    [
        held(connection(process, "hq-ipp").finalizers()),
        held(connection(process, BROKER).finalizers()),
        model.is_some_and(|it| held(it.finalizers())),
        service.is_some_and(|it| held(it.finalizers())),
    ]
}

// shows K2
#[tokio::test(start_paused = true)]
async fn a_broker_that_answers_is_ready_and_probed_again_after_ten_minutes_without_a_write() {
    let process = started().await;
    assert_eq!(broker_says(&process, "Reachable"), "True(Answered)");
    assert_eq!(broker_says(&process, "ResolvedRefs"), "True(Resolved)");
    process.let_pass(Duration::from_secs(10)).await;
    let probes = process.world.count(Operation::Catalog);
    process.cluster.forget_requests();
    process.let_pass(PROBE.unsigned_abs()).await;
    assert_eq!(process.world.count(Operation::Catalog), probes + 1);
    assert!(
        process.cluster.writes().is_empty(),
        "{:?}",
        process.cluster.writes()
    );
}

// shows K2 K5
#[tokio::test(start_paused = true)]
async fn a_broker_that_fails_says_why_is_probed_sooner_and_recovers() {
    let process = started().await;
    let unauthorized = Fault::fail(FailureKind::Unauthorized);
    process.world.remove_server(BROKER_URL);
    let down = |process: &InProcess| broker_says(process, "Reachable") == "False(Unreachable)";
    process.until("it cannot be reached", down).await;
    assert_eq!(broker_says(&process, "Ready"), "False(Unreachable)");
    process.world.put_server(BROKER_URL, FakeServer::default());
    process
        .world
        .script(None, Operation::Catalog, unauthorized, 1);
    let since = process.world.ledger().len();
    let refused =
        |process: &InProcess| broker_says(process, "Authenticated") == "False(Unauthorized)";
    process.until("it refuses the credentials", refused).await;
    assert_eq!(broker_says(&process, "Reachable"), "True(Answered)");
    process.until("it is ready again", is_ready).await;
    let probes = &process.world.ledger()[since..];
    let took = probes[1].at.duration_since(probes[0].at);
    assert!(took < PROBE / 2, "{took:?} between two probes that failed");
}

// shows K2
#[tokio::test(start_paused = true)]
async fn a_secret_that_is_missing_is_said_and_the_broker_is_ready_once_it_is_there() {
    let process = started().await;
    process.cluster.delete::<Secret>("entente-system", BROKER);
    process.cluster.edit("", BROKER, |broker: &mut Connection| {
        broker.spec.allow[0].networks = vec!["198.51.100.0/24".to_owned()];
    });
    let missing =
        |process: &InProcess| broker_says(process, "ResolvedRefs") == "False(SecretNotFound)";
    let edited = process.clock.now();
    process.until("the Secret is missing", missing).await;
    // An edited Connection waits for no cache of Secrets.
    assert_eq!(process.clock.now(), edited);
    let probes = process.world.count(Operation::Catalog);
    process.let_pass(Duration::from_mins(1)).await;
    assert_eq!(process.world.count(Operation::Catalog), probes);
    process.cluster.apply(&broker_login());
    process.until("it is ready again", is_ready).await;
}

// shows K3
#[tokio::test(start_paused = true)]
async fn what_is_used_says_by_how_many_and_what_is_not_says_by_none() {
    let process = started().await;
    process.let_pass(GATHERED).await;
    assert_eq!(used_by(&process), [Some(0); 4]);
    use_all(&process).await;
    for device in &example::devices()[1..] {
        process.cluster.apply(device);
    }
    let counted = |process: &InProcess| used_by(process) == [Some(4), Some(1), Some(4), Some(1)];
    process.until("every device is counted", counted).await;
}

// shows C16 K3
#[tokio::test(start_paused = true)]
async fn a_connection_to_a_provider_is_used_by_the_subscriptions_whose_data_are_sent_there() {
    let process = started().await;
    let inbox = example::northwind_files().name_any();
    process.cluster.apply(&example::northwind_files());
    use_all(&process).await;
    let used = |process: &InProcess, number: i64| {
        let status = connection(process, &inbox).status;
        status.and_then(|it| it.used_by) == Some(number)
    };
    let edit = |data: Option<ServiceData>| {
        process
            .cluster
            .edit("", "data-backup", |service: &mut SmartService| {
                service.spec.data = data;
            });
    };
    process.until("nobody uses it", |it| used(it, 0)).await;
    edit(Some(ServiceData {
        connection_ref: NameReference {
            name: inbox.clone(),
        },
        path: "/v1/events".to_owned(),
    }));
    process.until("one uses it", |it| used(it, 1)).await;
    assert_eq!(
        connection(&process, &inbox).finalizers(),
        [FINALIZER_IN_USE]
    );
    edit(None);
    process
        .until("nobody uses it again", |it| used(it, 0))
        .await;
}

// shows K3
#[tokio::test(start_paused = true)]
async fn a_connection_to_files_is_used_by_the_models_with_a_file_below_its_url() {
    let process = started().await;
    let files = example::northwind_files().name_any();
    process.cluster.apply(&example::northwind_files());
    let used = |process: &InProcess, number: i64| {
        let status = connection(process, &files).status;
        status.and_then(|it| it.used_by) == Some(number)
    };
    let unused = |process: &InProcess| used(process, 0);
    process
        .until("a model without a file counts not", unused)
        .await;
    process.cluster.apply(&example::mfp_510());
    let once = |process: &InProcess| used(process, 1);
    process.until("its model is counted", once).await;
    process.cluster.delete::<Connection>("", &files);
    let waits = |process: &InProcess| {
        let status = connection(process, &files).status.unwrap_or_default();
        let message = "Waits for 1 DeviceModel: mfp-510; delete or move them.";
        says(&status.conditions, "Ready") == "False(InUse)"
            && status
                .conditions
                .iter()
                .any(|it| it.message.as_str() == message)
    };
    process.until("it waits for its model", waits).await;
    process
        .cluster
        .edit("", "mfp-510", |model: &mut DeviceModel| {
            model.spec.firmware.clear();
            model.spec.applications.clear();
        });
    let is_gone = |process: &InProcess| {
        let found: Option<Connection> = process.cluster.get("", &files);
        found.is_none()
    };
    process.until("nothing uses it any more", is_gone).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_used_cannot_be_deleted_until_its_last_user_is_gone() {
    let process = started().await;
    assert_eq!(is_protected(&process), [false; 4]);
    use_all(&process).await;
    assert_eq!(is_protected(&process), [true; 4]);
    let cluster = &process.cluster;
    cluster.delete::<Connection>("", "hq-ipp");
    cluster.delete::<Connection>("", BROKER);
    cluster.delete::<DeviceModel>("", "mfp-500");
    cluster.delete::<SmartService>("", "data-backup");
    process.let_pass(GATHERED).await;
    assert_eq!(is_protected(&process), [true; 4]);
    let waits = format!("Waits for 1 Device: {NAMESPACE}/lobby-mfp; delete or move them.");
    let model: DeviceModel = cluster.get("", "mfp-500").expect("a model that waits");
    let conditions = model.status.unwrap_or_default().conditions;
    assert_eq!(says(&conditions, "Ready"), "False(InUse)");
    assert_eq!(conditions[0].message, waits);
    assert_eq!(broker_says(&process, "Ready"), "False(InUse)");
    let told: Vec<String> = cluster.events();
    let told = told.iter().filter(|it| it.starts_with("InUse ")).count();
    assert_eq!(told, 4, "{:?}", cluster.events());
    let subscription = example::service_subscription();
    cluster.delete::<ServiceSubscription>(NAMESPACE, &subscription.name_any());
    let service_gone = |process: &InProcess| {
        process.cluster.names::<SmartService>().is_empty()
            && process.cluster.names::<Connection>() == ["hq-ipp"]
    };
    process
        .until("the service and its broker are gone", service_gone)
        .await;
    process.let_pass(GATHERED).await;
    assert_eq!(process.cluster.names::<DeviceModel>(), ["mfp-500"]);
    cluster.delete::<Device>(NAMESPACE, example::DEVICES[0]);
    let all_gone = |process: &InProcess| {
        process.cluster.names::<DeviceModel>().is_empty()
            && process.cluster.names::<Connection>().is_empty()
    };
    process
        .until("the model and its Connection are gone", all_gone)
        .await;
}

// shows K2
#[tokio::test(start_paused = true)]
async fn a_model_that_waits_for_its_users_is_written_once_for_all_that_go_in_five_seconds() {
    let process = started().await;
    let device = |number: usize| {
        let mut device = example::devices().remove(0);
        device.metadata.name = Some(format!("device-{number:02}"));
        device
    };
    for number in 0..40 {
        process.cluster.apply(&device(number));
    }
    process.let_pass(GATHERED).await;
    process.cluster.delete::<DeviceModel>("", "mfp-500");
    let message = |process: &InProcess| {
        let model: Option<DeviceModel> = process.cluster.get("", "mfp-500");
        let status = model.and_then(|it| it.status).unwrap_or_default();
        status.conditions[0].message.to_string()
    };
    let says_all = |process: &InProcess| {
        message(process)
            == format!(
                "Waits for 40 Devices: {NAMESPACE}/device-00, {NAMESPACE}/device-01, \
                 {NAMESPACE}/device-02 and 37 more; delete or move them."
            )
    };
    process.until("all are counted", says_all).await;
    process.cluster.forget_requests();
    for number in 0..39 {
        let name = device(number).name_any();
        process.cluster.delete::<Device>(NAMESPACE, &name);
        process.let_pass(Duration::from_millis(250)).await;
    }
    process.let_pass(GATHERED).await;
    let last = format!("Waits for 1 Device: {NAMESPACE}/device-39; delete or move them.");
    assert_eq!(message(&process), last);
    let writes = process.cluster.writes();
    let of_model = writes.iter().filter(|it| it.contains("devicemodels"));
    assert!((1..=3).contains(&of_model.count()), "{writes:?}");
    let told = process.cluster.events();
    let told = told.iter().filter(|it| it.starts_with("InUse "));
    assert_eq!(told.count(), 1, "{:?}", process.cluster.events());
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_finalizer_of_somebody_else_that_came_meanwhile_stays() {
    let process = started().await;
    let other = "example.com/keep";
    process
        .cluster
        .overtake(Method::PATCH, "devicemodels/mfp-500", |model| {
            model["metadata"]["finalizers"] = serde_json::json!(["example.com/keep"]);
        });
    process.cluster.apply(&example::devices()[0]);
    let both = |process: &InProcess| {
        let model: Option<DeviceModel> = process.cluster.get("", "mfp-500");
        model.is_some_and(|it| it.finalizers() == [other, FINALIZER_IN_USE])
    };
    process.until("both finalizers are there", both).await;
}

// shows K1 K2
#[tokio::test(start_paused = true)]
async fn a_service_whose_connection_does_not_exist_says_so_until_it_does() {
    let process = started().await;
    process.cluster.delete::<Connection>("", BROKER);
    let resolved = |process: &InProcess| {
        let service: SmartService = process.cluster.get("", "data-backup").expect("a service");
        says(
            &service.status.unwrap_or_default().conditions,
            "ResolvedRefs",
        )
    };
    let missing = |process: &InProcess| resolved(process).starts_with("False");
    process.until("the service misses it", missing).await;
    process.cluster.apply(&example::northwind_services());
    let found = |process: &InProcess| resolved(process) == "True(Resolved)" && is_ready(process);
    process.until("the service finds it", found).await;
}

// shows K2
#[tokio::test(start_paused = true)]
async fn a_service_says_that_the_catalog_lacks_its_offering_until_it_has_it_or_the_service_is_edited()
 {
    let process = started().await;
    let resolved = |process: &InProcess| {
        let service: SmartService = process.cluster.get("", "data-backup").expect("a service");
        let conditions = service.status.unwrap_or_default().conditions;
        [
            says(&conditions, "ResolvedRefs"),
            says(&conditions, "Ready"),
        ]
    };
    let found = ["True(Resolved)", "True(Succeeded)"];
    let lacks = ["False(OfferingNotFound)", "False(OfferingNotFound)"];
    let is = |expected: [&'static str; 2]| move |process: &InProcess| resolved(process) == expected;
    process.until("the catalog has it", is(found)).await;
    let rename = |process: &InProcess, offering: &str| {
        let edit = |service: &mut SmartService| {
            let side = service.spec.server.as_mut().expect("a side");
            offering.clone_into(&mut side.offering);
        };
        process.cluster.edit("", "data-backup", edit);
    };
    rename(&process, "data-backpu");
    process.until("a typing error is said", is(lacks)).await;
    rename(&process, "data-backup");
    process.until("and its correction", is(found)).await;
}

// shows K2
#[tokio::test(start_paused = true)]
async fn a_connection_that_only_an_instance_names_is_protected_until_that_is_gone() {
    let process = started().await;
    use_all(&process).await;
    let edit = |change: fn(&mut ServiceSubscription)| {
        let name = example::service_subscription().name_any();
        process.cluster.edit(NAMESPACE, &name, change);
    };
    edit(|subscription| {
        let server = &mut subscription.status.get_or_insert_default().server;
        server.get_or_insert_default().connection_ref.name = BROKER.to_owned();
    });
    process
        .cluster
        .edit("", "data-backup", |service: &mut SmartService| {
            let server = service.spec.server.as_mut().expect("a server");
            server.connection_ref.name = "another-broker".to_owned();
        });
    process.let_pass(GATHERED).await;
    assert_eq!(used_by(&process)[1], Some(1), "its instance is there");
    assert!(is_protected(&process)[1]);
    edit(|subscription| subscription.status.get_or_insert_default().server = None);
    let unused = |process: &InProcess| used_by(process)[1] == Some(0) && !is_protected(process)[1];
    process.until("nobody uses it any more", unused).await;
}
