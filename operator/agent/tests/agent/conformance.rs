//! `entente-agent check`: it passes a gateway that keeps its document, and finds each fault of one that
//! does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::http::Method;

use crate::{
    device::Device,
    gateway::{Fault, Gateway},
};

/// Runs the test, and returns whether it passed, what it printed, and the cases that failed.
async fn checked(gateway: &Gateway, arguments: &[&str]) -> (bool, String, BTreeSet<String>) {
    let device = Device::new(gateway);
    let url = gateway.url.clone();
    let token = device.arguments[device
        .arguments
        .iter()
        .position(|one| one == "--token-file")
        .unwrap()
        + 1]
    .clone();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_entente-agent"));
    command.args(["check", &url, "--token-file", &token, "--serial", "CHECK-1"]);
    command.args([
        "--product",
        "NW MFP 500",
        "--software",
        "firmware/main=4.1.0",
    ]);
    command.args(["--no-country", "XX"]).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let failed = said
        .lines()
        .filter_map(|line| line.strip_prefix("FAILED ")?.split(' ').next())
        .map(String::from)
        .collect();
    (output.status.success(), said, failed)
}

/// A gateway whose device has a service.
fn with_a_service() -> Gateway {
    let gateway = Gateway::start();
    gateway.inner().services = crate::services::toner("Inactive", "ByDevice");
    gateway
}

#[tokio::test]
async fn a_gateway_that_keeps_its_document_passes() {
    let gateway = with_a_service();
    let (passed, said, failed) = checked(&gateway, &[]).await;
    assert!(passed && failed.is_empty(), "{said}");
    // Only a person can revoke a credential.
    assert!(said.contains("0 failed, 1 skipped"), "{said}");
    let count = said.lines().last().unwrap().split(' ').next().unwrap();
    assert!(count.parse::<u32>().unwrap() > 115, "{said}");
    let token = gateway.inner().token.clone().unwrap().0;
    assert!(
        !said.contains(&token) && !said.contains(crate::gateway::ENROLMENT),
        "{said}"
    );
    assert!(
        gateway.inner().withdrawn,
        "the device of the test is left behind"
    );
}

#[tokio::test]
async fn a_word_on_a_service_of_a_device_without_one_is_skipped() {
    let gateway = Gateway::start();
    let (_, said, failed) = checked(&gateway, &["--only", "activation"]).await;
    assert!(failed.is_empty(), "{said}");
    assert!(said.contains("0 failed, 2 skipped"), "{said}");
}

#[tokio::test]
async fn a_gateway_that_limits_requests_is_waited_for() {
    let gateway = Gateway::start();
    let busy = Fault::problem(429, "TooManyRequests", &[("retry-after", "1")]);
    gateway.fault(Method::GET, "/region", busy.clone());
    gateway.fault(Method::GET, "/region", busy);
    let (passed, said, _) = checked(&gateway, &["--only", "region-known"]).await;
    assert!(passed && said.contains("1 passed, 0 failed"), "{said}");
    let asked = gateway.requests(&Method::GET, "/region");
    assert!(
        asked[1].at - asked[0].at >= Duration::from_secs(1),
        "{said}"
    );
}

#[tokio::test]
async fn each_fault_of_a_gateway_fails_the_case_that_is_about_it() {
    let defects = [
        ("no-date", "region-known"),
        ("accepts-faults", "registration-with-a-misspelt-member"),
        ("accepts-faults", "report-from-an-unknown-source"),
        ("takes-a-second-machine", "registration-of-a-second-machine"),
        ("keeps-dead-tokens", "registration-whose-answer-was-lost"),
        ("keeps-dead-tokens", "credential-renewed"),
        ("tells-which-devices-there-are", "twin-of-another-device"),
        ("never-304", "twin-that-has-not-changed"),
        ("no-poll-next", "services"),
        ("replaces-settings", "report-as-a-merge-patch"),
        ("accepts-faults", "activation-without-who"),
        ("accepts-faults", "report-of-a-kind-of-data-twice"),
        ("accepts-faults", "events-with-two-faults"),
        ("refuses-batches", "events-for-a-service-of-nobody"),
        ("forgets-words", "activation-off"),
        ("replaces-kinds-of-data", "report-of-kinds-of-data"),
        ("replaces-messages", "report-of-messages"),
        ("accepts-faults", "report-of-a-message-without-a-state"),
        ("accepts-faults", "error-in-an-unknown-state"),
        ("refuses-errors-at-times", "error-raised-and-cleared"),
    ];
    let mut runs = BTreeMap::new();
    for (defect, _) in defects {
        runs.entry(defect).or_insert_with(|| {
            tokio::spawn(async move {
                let gateway = with_a_service();
                gateway.inner().defect = defect;
                checked(&gateway, &[]).await
            })
        });
    }
    let mut found = BTreeMap::new();
    for (defect, run) in runs {
        let (passed, said, failed) = run.await.unwrap();
        assert!(!passed, "{defect}: {said}");
        found.insert(defect, failed);
    }
    let mut missing = Vec::new();
    for (defect, case) in defects {
        if !found[defect].contains(case) {
            let others = &found[defect];
            missing.push(format!("{defect}: {case} did not fail, but {others:?}"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[tokio::test]
async fn a_gateway_that_does_not_answer_fails() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "token").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_entente-agent"));
    command.args([
        "check",
        &url,
        "--serial",
        "A",
        "--product",
        "B",
        "--token-file",
    ]);
    let output = command
        .arg(token)
        .args(["--only", "region-known"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("0 passed, 1 failed"), "{said}");
}
