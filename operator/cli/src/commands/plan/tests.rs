//! Objects of files over those of the cluster.

use entente_crds::example::data_backup;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Cached, apply, judge, key};
use crate::manifests::Manifest;

fn service() -> Value {
    let mut value = serde_json::to_value(data_backup()).expect("it is JSON");
    value["apiVersion"] = "entente.dev/v1alpha1".into();
    value["kind"] = "SmartService".into();
    value
}

fn manifest(object: Value) -> Manifest {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Manifest {
        source: "file.yaml".to_owned(),
        kind: word(&object["kind"]),
        namespace: word(&object["metadata"]["namespace"]),
        name: word(&object["metadata"]["name"]),
        object,
    }
}

fn cached(object: &Value) -> Cached {
    let mut cached = Cached::default();
    cached
        .values
        .insert(key(&manifest(object.clone())), object.clone());
    cached
}

#[test]
fn a_changed_service_tells_its_settings_and_its_users() {
    let mut old = service();
    old["metadata"]["uid"] = "u-1".into();
    old["status"] = json!({"usedBy": 7});
    let mut new = service();
    let settings = new["spec"]["device"]["settings"]
        .as_array_mut()
        .expect("settings");
    settings.remove(0);
    settings[0]["when"] = json!({"parameter": "mode", "in": ["Full"]});
    settings.push(json!({"name": "backup.added", "value": "1"}));
    let mut cluster = cached(&old);
    let applied = apply(&manifest(new.clone()), &mut cluster, Timestamp::UNIX_EPOCH);
    assert!(!applied.new);
    assert_eq!(applied.differs, ["spec.device"]);
    assert_eq!(
        applied.details,
        [
            "settings of the device: backup.added (new), backup.endpoint (gone), backup.weekdays",
            "subscriptions that use it: 7"
        ]
    );
    let over = &cluster.values[&key(&manifest(new))];
    assert_eq!(
        over["metadata"]["uid"], "u-1",
        "it is the object of the cluster"
    );
    assert_eq!(over["status"]["usedBy"], 7);
}

#[test]
fn the_same_object_differs_in_nothing_although_the_cluster_has_its_defaults() {
    let rules = entente_crds::rules::of_kind("SmartService").expect("a kind");
    let old = rules.stored(&service());
    let applied = apply(
        &manifest(service()),
        &mut cached(&old),
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!((applied.differs.len(), applied.details.len()), (0, 0));
}

#[test]
fn a_field_that_cannot_be_changed_is_a_fault_of_the_file() {
    let mut old = serde_json::to_value(entente_crds::example::banco_sul_2027()).expect("JSON");
    old["apiVersion"] = "entente.dev/v1alpha1".into();
    old["kind"] = "Contract".into();
    let mut new = old.clone();
    new["spec"]["customer"]["id"] = "C-1".into();
    let verdict = judge(&[manifest(new)], &cached(&old));
    let messages: Vec<&str> = verdict.faults.iter().map(|it| &*it.message).collect();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(
        messages[0].contains("customer.id cannot be changed"),
        "{messages:?}"
    );
    assert!(
        judge(&[manifest(old.clone())], &cached(&old))
            .faults
            .is_empty()
    );
}

#[test]
fn a_twin_in_a_file_is_a_fault_since_nobody_applies_it() {
    let twin = serde_json::to_value(entente_crds::example::device_twin()).expect("JSON");
    let verdict = judge(&[manifest(twin.clone())], &cached(&twin));
    let messages: Vec<&str> = verdict.faults.iter().map(|it| &*it.message).collect();
    assert_eq!(
        messages,
        ["only the operator writes DeviceTwins; change the Device or the Contract instead"]
    );
}

// shows C2
#[test]
fn a_new_device_tells_of_the_machine_that_waits_for_it() {
    let mut device = serde_json::to_value(entente_crds::example::calling_device()).expect("JSON");
    let pending = json!({"apiVersion": "entente.dev/v1alpha1", "kind": "DeviceTwin",
        "metadata": {"name": "pending-1", "namespace": "banco-sul"}, "spec": {},
        "status": {"registration": {"enrollment": "e", "at": "2027-03-01T12:00:00Z",
            "serialNumber": "NW5-0007", "productName": "Northwind MFP 510"}}});
    let applied = |device: &Value| {
        let applied = apply(
            &manifest(device.clone()),
            &mut cached(&pending),
            Timestamp::UNIX_EPOCH,
        );
        assert!(applied.new);
        applied.details
    };
    assert_eq!(
        applied(&device),
        [
            "a Northwind MFP 510 with its serial number waits since 2027-03-01T12:00:00Z: it registers \
          with its next call if its model has that product name"
        ]
    );
    device["spec"]["serialNumber"] = json!("NW5-0008");
    assert_eq!(applied(&device), [""; 0]);
}

#[test]
fn a_changed_enrolment_tells_the_number_of_its_devices() {
    let mut old = serde_json::to_value(entente_crds::example::enrollment()).expect("JSON");
    old["status"] = json!({"registered": 7, "pendingCount": 2});
    let mut new = old.clone();
    new["spec"]["suspend"] = json!(true);
    let applied = apply(&manifest(new), &mut cached(&old), Timestamp::UNIX_EPOCH);
    assert_eq!(applied.differs, ["spec.suspend"]);
    assert_eq!(
        applied.details,
        ["devices that are registered by it and stay so: 7; that wait: 2"]
    );
}
