//! Objects for the renderers: the example contract some hours after its start, with two devices in
//! trouble, and what is owed for it.

use std::path::{Path, PathBuf};

use entente_crds::example::{banco_sul_2027, compensation, service_subscription};
use entente_crds::v1alpha1::{Compensation, Contract, ServiceSubscription};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const UID: &str = "6b0a1a6e-8f3c-4d0a-9a57-0c4f8f9f2f11";

/// Returns the present of all tests.
pub(super) fn now() -> Timestamp {
    "2027-04-01T11:30:00Z".parse().expect("an instant")
}

fn golden(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/render/tests");
    folder.join(name)
}

/// True if a file has exactly this text.
pub(super) fn has_written(name: &str, text: &str) -> bool {
    std::fs::read_to_string(golden(name)).is_ok_and(|found| found == text)
}

/// Compares a text with a file, or writes the file if that is asked for.
pub(super) fn the_same(name: &str, text: &str) {
    let update = std::env::var("UPDATE").is_ok_and(|value| value == "1");
    if update {
        std::fs::write(golden(name), text).expect("the file is written");
    }
    let expected = std::fs::read_to_string(golden(name)).unwrap_or_default();
    assert!(
        has_written(name, text),
        "--- {name}\n{expected}\n--- found\n{text}"
    );
}

fn condition(name: &str, status: &str, reason: &str, message: &str, since: &str) -> Value {
    json!({"type": name, "status": status, "reason": reason, "message": message,
           "lastTransitionTime": since, "observedGeneration": 1})
}

fn with_status<K: serde::Serialize + serde::de::DeserializeOwned>(object: &K, status: Value) -> K {
    let mut value = serde_json::to_value(object).expect("it is JSON");
    value["status"] = status;
    value["metadata"]["generation"] = json!(1);
    serde_json::from_value(value).expect("its fields are right")
}

/// Returns the contract.
pub(super) fn contract() -> Contract {
    let mut contract = banco_sul_2027();
    contract.metadata.uid = Some(UID.to_owned());
    let message = "2 of 7 subscriptions are stuck: backup on branch-02-mfp (AcceptedNotEffective), \
                   backup on branch-03-mfp (Unreachable).";
    let since = "2027-04-01T03:15:00Z";
    with_status(
        &contract,
        json!({
            "conditions": [
                condition("Ready", "False", "DevicesNotProgressing", message, since),
                condition("Reconciling", "True", "ProgressingWithRetry", message, since),
                condition("InForce", "True", "InTerm", "", "2027-04-01T03:00:00Z"),
                condition("PromiseMissed", "True", "PromiseNotKept",
                    "A promise of 2 subscriptions was missed: backup on branch-02-mfp, branch-03-mfp.",
                    since),
                condition("DevicesFailing", "True", "DevicesNotProgressing", message, since),
            ],
            "term": {"start": "2027-04-01T03:00:00Z", "end": "2030-04-01T03:00:00Z"},
            "starts": "2027-04-01", "ends": "2030-03-31",
            "next": "Amended 2027-07-01", "nextTransition": "2027-07-01T03:00:00Z",
            "nextTransitionTo": "Amended",
            "subscriptions": {"total": 7, "delivered": 5, "failing": 2, "summary": "5/7"},
            "owed": {"summary": "BRL 1.26", "open": 2, "calculated": 1, "delivered": 1,
                     "amounts": [{"currency": "BRL", "value": "1.26"}]},
        }),
    )
}

fn item(name: &str, state: &str) -> Value {
    json!({"key": name, "state": state, "attempts": 1})
}

fn problem(name: &str, state: &str, outcome: &str, message: &str, attempts: i32) -> Value {
    json!({"key": name, "state": state, "attempts": attempts,
           "problem": {"outcome": outcome, "message": message, "since": "2027-04-01T03:00:12Z"}})
}

/// Returns a subscription of the contract.
pub(super) fn subscription(service: &str, device: &str, status: Value) -> ServiceSubscription {
    let mut found = service_subscription();
    found.metadata.name = Some(format!("banco-sul-2027.{service}.{device}"));
    found.metadata.uid = Some(format!("uid-{service}-{device}"));
    found.spec.service_name = service.to_owned();
    found.spec.device_ref.name = device.to_owned();
    with_status(&found, status)
}

fn delivered(service: &str, device: &str) -> ServiceSubscription {
    let since = "2027-04-01T03:00:02Z";
    subscription(
        service,
        device,
        json!({
            "conditions": [
                condition("Ready", "True", "Delivered", "Every item is in effect.", since),
                condition("Delivered", "True", "Delivered", "", since),
            ],
            "items": [item("DeviceSetting/backup.endpoint", "Effective"),
                      item("Activation/enabled", "Effective")],
            "promises": [{"effective": "2027-04-01T03:00:00Z", "state": "Kept",
                          "completed": since}],
        }),
    )
}

fn stuck(device: &str, reason: &str, message: &str, items: &Value) -> ServiceSubscription {
    let since = "2027-04-01T03:00:12Z";
    subscription(
        "backup",
        device,
        json!({
            "conditions": [
                condition("Ready", "False", reason, message, since),
                condition("Reconciling", "True", "ProgressingWithRetry", message, since),
                condition("Delivered", "False", reason, message, since),
            ],
            "step": "DeviceSettings",
            "items": items,
            "promises": [{"effective": "2027-04-01T03:00:00Z", "state": "Missed",
                "delays": [
                    {"from": "2027-04-01T03:00:00Z", "until": "2027-04-01T03:00:12Z",
                     "cause": "Provider", "reason": "NotObserved"},
                    {"from": "2027-04-01T03:00:12Z", "cause": "Device", "reason": reason}]}],
        }),
    )
}

/// Returns the subscriptions of the contract, and one of another contract of that name.
pub(super) fn subscriptions() -> Vec<ServiceSubscription> {
    let endpoint = "The device accepted backup.endpoint and still reports \"\": check the device's \
                    own settings.";
    let silent = "No answer from 10.20.3.7:631: connection timed out.";
    let not_effective = json!([
        problem(
            "DeviceSetting/backup.endpoint",
            "NotEffective",
            "AcceptedNotEffective",
            endpoint,
            31
        ),
        item("DeviceSetting/backup.weekdays", "Effective"),
        item("Activation/enabled", "Pending"),
    ]);
    let unreachable = json!([
        problem(
            "DeviceSetting/backup.endpoint",
            "Unknown",
            "Unreachable",
            silent,
            0
        ),
        item("Activation/enabled", "Pending"),
    ]);
    let mut foreign = stuck("foreign-mfp", "Unreachable", silent, &json!([]));
    foreign.spec.contract.uid = "another".to_owned();
    vec![
        foreign,
        stuck("branch-03-mfp", "Unreachable", silent, &unreachable),
        delivered("backup", "lobby-mfp"),
        delivered("backup", "branch-01-mfp"),
        stuck(
            "branch-02-mfp",
            "AcceptedNotEffective",
            endpoint,
            &not_effective,
        ),
        delivered("parts", "branch-01-mfp"),
        delivered("parts", "branch-02-mfp"),
        delivered("spare-parts", "branch-03-mfp"),
    ]
}

/// Returns a contract of so many devices, of which some do not answer.
pub(super) fn fleet(count: usize, silent: usize) -> (Contract, Vec<ServiceSubscription>) {
    let devices = 0..count;
    let subscriptions = devices.map(|index| {
        let device = format!("mfp-{index:04}");
        if index % (count / silent) == 0 {
            let message = format!("No answer from 10.20.{}.{}:631.", index / 256, index % 256);
            let items = json!([problem(
                "DeviceSetting/backup.endpoint",
                "Unknown",
                "Unreachable",
                &message,
                0
            )]);
            stuck(&device, "Unreachable", &message, &items)
        } else {
            delivered("backup", &device)
        }
    });
    let mut contract = contract();
    contract.spec.services.truncate(1);
    (contract, subscriptions.collect())
}

/// Returns a contract that begins in so many days.
pub(super) fn contract_that_begins(name: &str, namespace: &str, days: i64, risk: bool) -> Contract {
    let mut contract = banco_sul_2027();
    contract.metadata.name = Some(name.to_owned());
    contract.metadata.namespace = Some(namespace.to_owned());
    let midnight: Timestamp = "2027-04-01T03:00:00Z".parse().expect("an instant");
    let start = midnight + SignedDuration::from_hours(24 * days);
    let since = "2027-03-20T03:00:00Z";
    let mut conditions = vec![condition("Ready", "True", "Scheduled", "Accepted.", since)];
    if risk {
        let message = "The preparation of the start is stuck on 2 devices: dock-mfp, yard-mfp.";
        conditions.push(condition(
            "StartAtRisk",
            "True",
            "DevicesNotProgressing",
            message,
            since,
        ));
    }
    let day = start.to_string()[..10].to_owned();
    with_status(
        &contract,
        json!({
            "conditions": conditions,
            "term": {"start": start},
            "starts": day, "next": format!("InForce {day}"), "nextTransition": start,
            "subscriptions": {"total": 12, "delivered": 0, "summary": "0/12"},
        }),
    )
}

fn debt(device: &str, customer: &str, amount: Option<(&str, &str)>, done: bool) -> Compensation {
    let mut found = compensation();
    let record = &mut found.spec.record;
    device.clone_into(&mut record.device.name);
    customer.clone_into(&mut record.customer.id);
    record.subscription.uid = format!("uid-backup-{device}");
    found.metadata.name = Some(format!(
        "banco-sul-2027.backup.{device}.20270401t030000z.credit"
    ));
    let (calculated, reason) = if done {
        ("True", "AmountFinal")
    } else {
        ("False", "Accruing")
    };
    let mut status = json!({
        "conditions": [condition("Calculated", calculated, reason, "", "2027-04-01T03:15:00Z")],
        "lateness": {"from": "2027-04-01T03:00:00Z", "counted": "7h12m", "causes": [
            {"cause": "Provider", "reason": "NotObserved", "counted": "12s"},
            {"cause": "Device", "reason": "Unreachable", "counted": "7h11m48s"}]},
    });
    if let Some((currency, value)) = amount {
        status["amount"] = json!({"currency": currency, "value": value});
    }
    with_status(&found, status)
}

/// Returns debts: final, growing, voided, not calculated yet, and of a second customer and currency.
pub(super) fn compensations() -> Vec<Compensation> {
    let mut voided = debt("lobby-mfp", "C-4711", Some(("BRL", "9.99")), true);
    voided.spec.voided = Some(entente_crds::v1alpha1::Voided::default());
    let mut kiosk = debt("kiosk-mfp", "C-0815", Some(("JPY", "1200")), true);
    kiosk.spec.record.contract.name = "kiosk-2026".to_owned();
    vec![
        debt("branch-03-mfp", "C-4711", None, false),
        debt("branch-02-mfp", "C-4711", Some(("BRL", "0.63")), false),
        kiosk,
        debt("branch-01-mfp", "C-4711", Some(("BRL", "0.63")), true),
        voided,
    ]
}
