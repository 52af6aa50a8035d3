//! Edits of what contracts depend on, over the example installation in the middle of its term.

mod calling;

use std::collections::BTreeSet;
use std::path::Path;

use entente_domain::views::ChangePlan;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Effects, after_writes, effects};
use crate::commands::plan::references::dangling;
use crate::commands::plan::{Cached, apply, decoded};
use crate::manifests::{Manifest, read};
use crate::world::Objects;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn made() -> Timestamp {
    at("2026-11-29T12:00:00Z")
}

/// An instant within the term of the example contract.
fn now() -> Timestamp {
    at("2027-05-01T12:00:00Z")
}

/// Returns the objects of the examples.
fn examples() -> Vec<Manifest> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let files = ["1-catalogue.yaml", "2-devices.yaml", "3-contract.yaml"];
    let files = files.map(|it| folder.join(it));
    read(&files, "banco-sul").expect("examples").objects
}

/// Returns the example installation with the subscriptions that the operator has written.
fn installed() -> Cached {
    let mut cached = Cached::default();
    for manifest in &examples() {
        apply(manifest, &mut cached, made());
    }
    for subscription in after_writes(&decoded(&cached).0, made()) {
        let value = serde_json::to_value(&*subscription).expect("JSON");
        let word = |field: &str| {
            value["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let key = (
            "ServiceSubscription".to_owned(),
            word("namespace"),
            word("name"),
        );
        cached.values.insert(key, value);
    }
    cached
}

/// Returns an object of the examples after an edit.
fn edited(kind: &str, name: &str, edit: impl FnOnce(&mut Value)) -> Manifest {
    let mut all = examples().into_iter();
    let mut found = all
        .find(|it| it.kind == kind && it.name == name)
        .expect(name);
    edit(&mut found.object);
    found
}

/// Returns another contract of one device of the example, with the same service.
fn rival(name: &str, start: &str) -> Manifest {
    let mut rival = edited("Contract", "banco-sul-2027", |it| {
        it["metadata"]["name"] = json!(name);
        it["spec"]["customer"] = json!({"id": "C-0815"});
        it["spec"]["term"]["startDate"] = json!(start);
        it["spec"]["services"]
            .as_array_mut()
            .expect("entries")
            .truncate(1);
        it["spec"]["services"][0]["devices"] = json!({"names": ["lobby-mfp"]});
    });
    name.clone_into(&mut rival.name);
    rival
}

/// Returns the effects of files on the example installation, and the faults of their objects.
fn planned(files: &[Manifest], unlisted: &[&str]) -> (Effects, Vec<String>) {
    let mut cached = installed();
    let before: Objects = decoded(&cached).0;
    for manifest in files {
        apply(manifest, &mut cached, now());
    }
    let after = decoded(&cached).0;
    let unlisted: BTreeSet<String> = unlisted.iter().map(|it| (*it).to_owned()).collect();
    let faults = dangling(files, &after, &unlisted, now());
    (effects(files, &before, &after, &unlisted, now()), faults)
}

fn risks(plans: &[ChangePlan]) -> String {
    let all = plans.iter();
    let all = all.flat_map(|it| it.risks.iter().chain(&it.missing).chain(&it.refused));
    all.cloned().collect::<Vec<_>>().join("\n")
}

#[test]
fn a_plan_names_the_contract_that_has_the_service_on_the_device_already() {
    for start in ["2027-04-20", "2027-06-01"] {
        let (effects, _) = planned(&[rival("late-comer", start)], &[]);
        let found = risks(&effects.named);
        assert!(found.contains("ConflictingContract"), "{start}: {found}");
        assert!(found.contains("banco-sul-2027.backup.lobby-mfp"), "{found}");
        assert!(found.contains("on lobby-mfp"), "{found}");
        assert_eq!(risks(&effects.others), "", "{start}");
        let is_ahead = found.contains("from 2027-06-01");
        assert_eq!(is_ahead, start == "2027-06-01", "{found}");
    }
}

#[test]
fn a_contract_that_began_earlier_is_planned_with_the_one_that_loses_its_device() {
    let (effects, _) = planned(&[rival("back-dated", "2027-03-01")], &[]);
    assert!(effects.breaks_others);
    let [other] = &*effects.others else {
        panic!("{effects:?}");
    };
    assert_eq!(other.name, "banco-sul-2027");
    let found = risks(&effects.others);
    assert!(
        found.contains("ConflictingContract on lobby-mfp"),
        "{found}"
    );
    assert!(found.contains("back-dated.backup.lobby-mfp"), "{found}");
}

#[test]
fn contracts_that_depend_on_an_edited_object_are_planned_too() {
    let typo = edited("SmartService", "data-backup", |it| {
        it["spec"]["device"]["settings"][0]["name"] = json!("backup.endpont");
    });
    let model = edited("Device", "lobby-mfp", |it| {
        it["spec"]["modelRef"]["name"] = json!("nope");
    });
    let suspended = edited("Device", "lobby-mfp", |it| {
        it["spec"]["suspend"] = json!(true);
    });
    let connection = edited("Device", "lobby-mfp", |it| {
        it["spec"]["connections"] = json!([{"name": "nope"}]);
    });
    for (file, expected) in [
        (typo, "UnsupportedByModel"),
        (model, "UnsupportedByModel on lobby-mfp: DeviceModel nope"),
        (suspended, "Suspended on lobby-mfp"),
        (connection, "ConnectionNotFound on lobby-mfp"),
    ] {
        let title = file.title();
        let (effects, _) = planned(&[file], &[]);
        assert!(effects.breaks_others, "{title}: {effects:?}");
        let found = risks(&effects.others);
        assert!(found.contains(expected), "{title}: {found}");
    }
}

#[test]
fn a_connection_that_no_longer_reaches_its_devices_is_told_for_their_contracts() {
    let devices = examples().into_iter().filter(|it| it.kind == "Device");
    let mut files: Vec<Manifest> = devices.collect();
    for file in &mut files {
        file.object["spec"]["address"] = json!("127.0.0.9");
    }
    let connections = examples().into_iter().filter(|it| it.kind == "Connection");
    for mut file in connections {
        for entry in file.object["spec"]["allow"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            entry["networks"] = json!(["192.0.2.0/24"]);
        }
        files.push(file);
    }
    let (effects, _) = planned(&files, &[]);
    let found = risks(&effects.others);
    assert!(found.contains("lies in no network"), "{found}");
    assert!(
        found.contains("and 1 more") || found.contains("lobby-mfp"),
        "{found}"
    );
}

#[test]
fn the_same_objects_again_have_no_effect_on_anybody() {
    let (effects, faults) = planned(&examples(), &[]);
    assert_eq!(faults, [""; 0]);
    assert_eq!(risks(&effects.named), "");
    assert!(effects.others.is_empty(), "{effects:?}");
    let model = edited("DeviceModel", &model_name(), |_| ());
    let (effects, _) = planned(&[model], &[]);
    assert!(effects.others.is_empty(), "{effects:?}");
}

fn model_name() -> String {
    let mut all = examples().into_iter();
    all.find(|it| it.kind == "DeviceModel")
        .expect("a model")
        .name
}

#[test]
fn an_amendment_of_no_contract_is_a_fault_and_no_silence() {
    let object = json!({"apiVersion": "entente.dev/v1alpha1", "kind": "ContractAmendment",
        "metadata": {"name": "am3", "namespace": "banco-sul"},
        "spec": {"contractRef": {"name": "ghost"}, "effectiveDate": "2027-07-01",
                 "services": [{"name": "backup", "end": true}]}});
    let file = Manifest {
        source: "am3.yaml".to_owned(),
        kind: "ContractAmendment".to_owned(),
        namespace: "banco-sul".to_owned(),
        name: "am3".to_owned(),
        object,
    };
    let (_, faults) = planned(&[file], &[]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("ghost"), "{faults:?}");
}

#[test]
fn a_device_of_a_machine_that_another_one_has_is_told() {
    let mut twin = edited("Device", "lobby-mfp", |it| {
        it["metadata"]["name"] = json!("twin");
    });
    "twin".clone_into(&mut twin.name);
    let (_, faults) = planned(&[twin], &[]);
    let found = faults.join("\n");
    assert!(
        found.contains("the Device lobby-mfp has the same machine"),
        "{found}"
    );
}

#[test]
fn a_catalogue_that_may_not_be_listed_was_not_looked_at() {
    let mut cached = installed();
    cached.values.retain(|(kind, ..), _| kind != "SmartService");
    let objects = decoded(&cached).0;
    let file = edited("Contract", "banco-sul-2027", |_| ());
    let unlisted = BTreeSet::from(["SmartService".to_owned()]);
    let found = effects(&[file], &objects, &objects, &unlisted, now());
    let [plan] = &*found.named else {
        panic!("{found:?}");
    };
    assert_eq!(plan.missing, [""; 0]);
    let first = plan.not_looked_at.first().expect("a sentence");
    let expected = "was not looked at: you may not list smartservices";
    assert!(first.ends_with(expected), "{first}");
    assert!(
        !risks(&found.named).contains("not found"),
        "{:?}",
        plan.risks
    );
}
