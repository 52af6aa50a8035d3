//! Tests of the condition StartAtRisk.

use entente_crds::v1alpha1::{Item, ItemState, Problem, Step, StepType};

use super::*;

/// Preparation begins 336 hours before the start.
const PREPARATION: &str = "2027-03-18T03:00:00Z";
/// Some instant after that and before the start.
const PREPARING: &str = "2027-03-20T12:00:00Z";

/// Devices whose service sets them up early, each with a subscription that waits for the start.
fn early(devices: &[&str]) -> ContractWorld {
    let mut world = named(devices);
    world.backup_service().steps = [
        (StepType::DeviceSettings, true),
        (StepType::ServerSettings, false),
    ]
    .map(|(r#type, early)| Step { r#type, early })
    .to_vec();
    world.pass(BEFORE);
    for device in devices {
        say(&mut world, device, (true, Reason::Scheduled), None);
    }
    world
}

fn subscription(device: &str) -> String {
    format!("bank.backup.{device}")
}

/// Writes delivery's conditions before the start: Ready, and one other that is not True if `not`
/// has one.
fn say(
    world: &mut ContractWorld,
    device: &str,
    ready: (bool, Reason),
    not: Option<(ConditionType, Reason)>,
) {
    let found = world.existing(&subscription(device));
    let mut set = ConditionSet::new(&[], found.metadata.generation, at(BEFORE))
        .with(ConditionType::Ready, Status::from(ready.0), ready.1, "said")
        .with(
            ConditionType::Delivered,
            Status::False,
            Reason::NotStarted,
            "said",
        );
    if let Some((condition, reason)) = not {
        set = set.with(condition, Status::False, reason, "said");
    }
    let status = found.status.get_or_insert_with(Default::default);
    status.conditions = set.finish();
    status.step_timed_out = not.is_some_and(|(_, reason)| reason == Reason::StepTimedOut);
}

/// The only item of a subscription.
fn item(world: &mut ContractWorld, device: &str, key: &str, state: ItemState, met: bool) {
    let status = world.existing(&subscription(device)).status.as_mut();
    status.expect("a status").items = vec![Item {
        key: key.into(),
        state,
        problem: met.then(|| {
            Box::new(Problem {
                outcome: entente_crds::condition::Reason::Unreachable,
                since: at(BEFORE),
                message: "".into(),
            })
        }),
        ..Item::default()
    }];
}

fn risk(world: &mut ContractWorld, now: &str) -> String {
    world.pass(now);
    said(world, ConditionType::StartAtRisk)
}

const AT_RISK: &str = "True DevicesNotProgressing";

// shows K2
#[test]
fn an_early_step_that_meets_a_problem_puts_the_start_at_risk_and_ready_stays_as_it_is() {
    let mut world = early(&["a", "b", "c"]);
    let off = ItemState::Unknown;
    item(&mut world, "c", "DeviceSetting/x", off, true);
    item(&mut world, "a", "DeviceSetting/x", off, true);
    assert_eq!(risk(&mut world, PREPARING), AT_RISK);
    assert_eq!(
        message(&world, ConditionType::StartAtRisk),
        "Preparation for the start is stuck on 2 devices: a, c; see the \
         ServiceSubscriptions there."
    );
    assert_eq!(said(&world, ConditionType::Ready), "True Scheduled");
    assert_eq!(said(&world, ConditionType::Reconciling), "absent");
    assert_eq!(said(&world, ConditionType::Stalled), "absent");

    item(
        &mut world,
        "a",
        "DeviceSetting/x",
        ItemState::Effective,
        false,
    );
    assert_eq!(risk(&mut world, PREPARING), AT_RISK);
    assert_eq!(
        message(&world, ConditionType::StartAtRisk),
        "Preparation for the start is stuck on 1 device: c; see the \
         ServiceSubscriptions there."
    );
    // Losing contact with an item that is in effect does not endanger the start.
    item(
        &mut world,
        "c",
        "DeviceSetting/x",
        ItemState::Effective,
        true,
    );
    assert_eq!(risk(&mut world, PREPARING), "absent");
}

// shows K2
#[test]
fn only_what_may_run_before_the_start_can_be_late_before_it() {
    for (key, state, met, expected) in [
        ("DeviceSetting/x", ItemState::NotEffective, true, AT_RISK),
        (
            "DeviceSetting/x",
            ItemState::AwaitingRestart,
            false,
            "absent",
        ),
        ("ServerInstance", ItemState::Unknown, true, "absent"),
        ("ServerSetting/x", ItemState::Unknown, true, "absent"),
        ("Activation/x", ItemState::Unknown, true, "absent"),
    ] {
        let mut world = early(&["a"]);
        item(&mut world, "a", key, state, met);
        assert_eq!(risk(&mut world, PREPARING), expected, "{key} {state:?}");
    }
    let mut world = early(&["a"]);
    world.backup_service().steps = Vec::new();
    item(&mut world, "a", "DeviceSetting/x", ItemState::Unknown, true);
    assert_eq!(risk(&mut world, PREPARING), "absent", "no step is early");
}

// shows K2
#[test]
fn what_speaks_against_the_start_already_now_puts_it_at_risk_without_any_early_step() {
    let scheduled = (true, Reason::Scheduled);
    let refs = |reason| Some((ConditionType::ResolvedRefs, reason));
    let device = |reason| Some((ConditionType::DeviceConfigured, reason));
    for (ready, not, expected) in [
        (
            (false, Reason::DeviceNotFound),
            refs(Reason::DeviceNotFound),
            AT_RISK,
        ),
        ((false, Reason::IdentityMismatch), None, AT_RISK),
        ((false, Reason::ClockSkew), None, AT_RISK),
        (
            (true, Reason::Suspended),
            refs(Reason::SecretNotFound),
            AT_RISK,
        ),
        (scheduled, device(Reason::StepTimedOut), AT_RISK),
        (scheduled, device(Reason::AwaitingRestart), "absent"),
        (scheduled, device(Reason::NotStarted), "absent"),
    ] {
        let mut world = named(&["a"]);
        world.pass(BEFORE);
        say(&mut world, "a", ready, not);
        assert_eq!(risk(&mut world, PREPARING), expected, "{ready:?} {not:?}");
    }
}

// shows K2
#[test]
fn it_is_said_from_the_beginning_of_preparation_until_the_start_and_the_controller_wakes_for_it() {
    let mut world = early(&["a"]);
    say(&mut world, "a", (false, Reason::DeviceNotFound), None);
    let resolved = world.pass(BEFORE);
    assert_eq!(said(&world, ConditionType::StartAtRisk), "absent");
    assert_eq!(
        next_wake(&resolved, None, at(BEFORE)),
        Some(at(PREPARATION))
    );
    let resolved = world.pass(PREPARATION);
    assert_eq!(said(&world, ConditionType::StartAtRisk), AT_RISK);
    assert_eq!(next_wake(&resolved, None, at(PREPARATION)), Some(at(START)));
    assert_eq!(risk(&mut world, START), "absent");
    assert_eq!(risk(&mut world, END), "absent");
}

// shows K2
#[test]
fn a_service_that_is_missing_is_named_and_what_was_said_of_an_earlier_generation_is_not_believed() {
    let mut world = early(&["a"]);
    let services = std::mem::take(&mut world.services);
    assert_eq!(risk(&mut world, PREPARING), "True ServiceNotFound");
    assert!(message(&world, ConditionType::StartAtRisk).contains("backup-service"));
    world.services = services;
    assert_eq!(risk(&mut world, PREPARING), "absent");

    say(&mut world, "a", (false, Reason::DeviceNotFound), None);
    world.existing("bank.backup.a").metadata.generation = Some(2);
    assert_eq!(risk(&mut world, PREPARING), "absent");
}

// shows K2
#[test]
fn a_contract_that_a_person_suspended_or_deletes_is_not_told_that_it_will_be_late() {
    let mut world = early(&["a"]);
    world.edit(|spec| spec.suspend = true);
    world.pass(PREPARING);
    say(&mut world, "a", (false, Reason::DeviceNotFound), None);
    assert_eq!(risk(&mut world, PREPARING), "absent");

    let mut world = early(&["a"]);
    say(&mut world, "a", (false, Reason::DeviceNotFound), None);
    world.contract.metadata.deletion_timestamp = Some(Time(at(PREPARING)));
    assert_eq!(risk(&mut world, PREPARING), "absent");
}
