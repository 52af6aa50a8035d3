//! Plans of the example contract: applied anew, changed with an amendment, refused.

use std::path::Path;
use std::sync::Arc;

use entente_crds::v1alpha1::{Condition, Contract, Device};
use entente_domain::contract::resolve;
use entente_domain::delivery::calls;
use entente_domain::views::{ChangePlan, Surroundings, change_plan};
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::json;

use super::columns;
use super::fixture::the_same;
use crate::commands::plan::{Applied, Plan};
use crate::judge::objects;
use crate::manifests::{Manifest, read};
use crate::world::Objects;

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().expect("an instant")
}

/// Returns the example catalogue, devices and contract as if they had been applied now.
fn examples(more: &[&str]) -> Objects {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let files = ["1-catalogue.yaml", "2-devices.yaml", "3-contract.yaml"];
    let files = files.iter().chain(more).map(|it| folder.join(it));
    let manifests = read(&files.collect::<Vec<_>>(), "default").expect("the examples are there");
    objects(&manifests.objects.iter().collect::<Vec<&Manifest>>(), now())
}

fn text(world: &Objects, contract: &Contract) -> String {
    let surroundings = Surroundings {
        devices: &world.devices,
        ..Surroundings::default()
    };
    shown(change_plan(&world.world(contract), &surroundings, now()))
}

fn shown(plan: ChangePlan) -> String {
    let plan = Plan {
        objects: vec![Applied {
            object: format!("Contract {}/{}", plan.namespace, plan.name),
            new: false,
            differs: vec!["spec.services".to_owned()],
            details: Vec::new(),
        }],
        faults: Vec::new(),
        contracts: vec![plan],
        others: Vec::new(),
        more: 0,
    };
    super::super::plan(&plan, &columns(80))
}

/// Makes the subscriptions as the operator would.
fn with_subscriptions(mut world: Objects) -> Objects {
    let contract = world.contracts[0].clone();
    let resolved = resolve(&world.world(&contract), now());
    assert!(
        !resolved.changes.create.is_empty(),
        "{:?}",
        resolved.accepted
    );
    let made = resolved.changes.create.iter().map(|desired| {
        let mut made = desired.object(&contract);
        made.metadata.uid = Some(format!("uid of {}", desired.name));
        Arc::new(made)
    });
    world.subscriptions = made.collect();
    world
}

fn silent(device: &Device) -> Device {
    let condition: Condition = serde_json::from_value(json!({
        "type": "Online", "status": "False", "reason": "Unreachable", "message": "",
        "lastTransitionTime": "2026-11-29T11:00:00Z"}))
    .expect("a condition");
    let mut device = device.clone();
    device.status.get_or_insert_default().conditions = vec![condition];
    device
}

// shows B2 B5
#[test]
fn a_new_contract_adds_its_subscriptions_and_says_that_it_is_in_time() {
    let mut world = examples(&[]);
    let first = silent(&world.devices[0]);
    world.devices[0] = Arc::new(first);
    let contract = world.contracts[0].clone();
    the_same("plan-new.txt", &text(&world, &contract));
}

#[test]
fn a_change_of_a_contract_tells_what_differs_and_what_is_withdrawn() {
    let world = with_subscriptions(examples(&[]));
    let mut contract = Contract::clone(&world.contracts[0]);
    let backup = &mut contract.spec.services[0];
    backup
        .parameters
        .insert("weekdays".to_owned(), "sat".to_owned());
    backup.devices.names.clear();
    backup.devices.expect = None;
    the_same("plan-change.txt", &text(&world, &contract));
}

#[test]
fn an_amendment_is_planned_with_its_date() {
    let mut world = with_subscriptions(examples(&[]));
    let with = examples(&["amendments/1-july.yaml"]);
    assert_eq!(with.amendments.len(), 1, "{:?}", with.amendments);
    world.amendments = with.amendments;
    let contract = world.contracts[0].clone();
    the_same("plan-amendment.txt", &text(&world, &contract));
}

/// Returns the example of devices that call, whose device registered and was heard of a moment ago.
fn calling() -> Objects {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/devices-that-call");
    let manifests = read(&[folder], "default").expect("the examples are there");
    let manifests: Vec<&Manifest> = manifests.objects.iter().collect();
    let mut world = with_subscriptions(objects(&manifests, now()));
    let device = world.devices[0].clone();
    let twin = json!({
        "metadata": {"name": device.name_any(), "namespace": "banco-sul", "generation": 1},
        "spec": {"deviceRef": {"name": device.name_any(), "uid": device.uid()}},
        "status": {
            "registration": {"printerId": "p", "enrollment": "banco-sul-branches",
                "at": "2026-11-28T12:00:00Z", "serialNumber": "NW5-0007",
                "productName": "Northwind MFP 510"},
            "reported": {"version": 1, "software":
                [{"part": "firmware", "name": "main", "version": "4.1.0"}]},
            "lastHeard": "2026-11-29T11:00:00Z"},
    });
    world.twins = vec![Arc::new(serde_json::from_value(twin).expect("a twin"))];
    world
}

// shows B6
#[test]
fn a_device_that_calls_is_planned_with_what_it_would_be_asked_for() {
    let world = calling();
    let contract = world.contracts[0].clone();
    let device = world.devices[0].name_any();
    let snapshot = world.snapshot("banco-sul", &device, world.subscriptions.clone());
    let found = calls(&snapshot, now()).expect("a device that calls");
    let surroundings = Surroundings {
        devices: &world.devices,
        asks: &found.asks,
        ..Surroundings::default()
    };
    // It is new to the cluster.
    let mut before = world.clone();
    before.subscriptions.clear();
    let plan = change_plan(&before.world(&contract), &surroundings, now());
    the_same("plan-calls.txt", &shown(plan));
}

#[test]
fn a_contract_that_would_be_refused_says_why_and_changes_nothing() {
    let world = with_subscriptions(examples(&[]));
    let mut contract = Contract::clone(&world.contracts[0]);
    contract.spec.term.time_zone = "America/Sao_Paolo".to_owned();
    let found = text(&world, &contract);
    assert!(found.contains("would be refused"), "{found}");
    assert!(
        found.contains("\"America/Sao_Paolo\" is unknown"),
        "{found}"
    );
    assert!(
        found.contains("No subscription changes while that is refused"),
        "{found}"
    );
}

#[test]
fn what_is_applied_already_changes_nothing() {
    let world = with_subscriptions(examples(&[]));
    let contract = world.contracts[0].clone();
    let found = text(&world, &contract);
    assert!(
        found.contains("No subscription changes; 7 subscriptions as wanted."),
        "{found}"
    );
    assert_eq!(contract.name_any(), "banco-sul-2027");
}
