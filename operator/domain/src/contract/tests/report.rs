//! Tests of a contract's status.

use entente_crds::v1alpha1::{Item, ItemState, Problem, TransitionTo};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::*;
use crate::contract::report as report_of;

fn status(world: &ContractWorld) -> &ContractStatus {
    world.contract.status.as_ref().expect("a status")
}

/// Returns the devices `m-01`, `m-02`, … as a contract names them.
fn fleet(count: usize) -> ContractWorld {
    let devices: Vec<String> = (1..=count).map(|number| format!("m-{number:02}")).collect();
    named(&devices.iter().map(String::as_str).collect::<Vec<_>>())
}

fn subscription(number: usize) -> String {
    format!("bank.backup.m-{number:02}")
}

fn stall(world: &mut ContractWorld, number: usize) {
    let name = subscription(number);
    let found = world.existing(&name);
    let conditions = ConditionSet::new(&[], found.metadata.generation, at(START))
        .with(
            ConditionType::Ready,
            Status::False,
            Reason::Unsupported,
            "said",
        )
        .with(
            ConditionType::Stalled,
            Status::True,
            Reason::Unsupported,
            "said",
        )
        .with(
            ConditionType::Delivered,
            Status::False,
            Reason::Unsupported,
            "said",
        )
        .finish();
    found.status.get_or_insert_with(Default::default).conditions = conditions;
}

/// Ready, Reconciling, Stalled, InForce, Delivered.
fn grammar(world: &ContractWorld) -> [String; 5] {
    [
        ConditionType::Ready,
        ConditionType::Reconciling,
        ConditionType::Stalled,
        ConditionType::InForce,
        ConditionType::Delivered,
    ]
    .map(|condition| said(world, condition))
}

// shows K2
#[test]
fn a_contract_that_starts_later_is_ready_and_scheduled_and_not_in_force() {
    let mut world = fleet(2);
    world.pass(BEFORE);
    let scheduled = [
        "True Scheduled",
        "absent",
        "absent",
        "False NotStarted",
        "False NotStarted",
    ];
    assert_eq!(grammar(&world), scheduled);
    let found = status(&world);
    assert_eq!(found.observed_generation, Some(1));
    assert_eq!(found.next_transition, Some(at(START)));
    assert_eq!(found.established, Some(at(BEFORE)));
    assert_eq!(
        found
            .subscriptions
            .as_ref()
            .map(|counts| counts.summary.as_str()),
        Some("0/2")
    );
    assert!(found.not_ready.is_empty() && found.history.is_empty() && found.owed.is_none());
}

// shows K2
#[test]
fn while_devices_are_set_up_it_is_reconciling_and_names_what_it_waits_for() {
    let mut world = fleet(12);
    world.pass(BEFORE);
    world.edit(|spec| spec.max_unavailable = Some(IntOrString::Int(1)));
    world.deliver(&subscription(1));
    world.pass(START);
    assert_eq!(
        grammar(&world),
        [
            "False DevicesPending",
            "True Progressing",
            "absent",
            "True InTerm",
            "False DevicesPending"
        ]
    );
    assert_eq!(
        message(&world, ConditionType::Ready),
        "1 of 12 subscriptions are delivered; waits for backup on m-02, backup on m-03, \
         backup on m-04, backup on m-05, backup on m-06 and 6 more."
    );
    let found = status(&world);
    assert_eq!(
        found.observed_generation,
        Some(1),
        "moves only when Ready or Stalled"
    );
    let ready = find(&found.conditions, ConditionType::Ready).expect("Ready");
    assert_eq!(
        ready.observed_generation,
        Some(2),
        "the conditions' own moves at once"
    );
    assert_eq!(found.not_ready.len(), 10);
    assert_eq!(found.not_ready[0].device, "m-02");
    assert_eq!(found.not_ready[0].reason, "Pending");
}

// shows K2
#[test]
fn a_name_without_a_device_is_in_the_message_before_the_start_and_after_it() {
    let mut world = fleet(6);
    world.pass(BEFORE);
    world.deliver(&subscription(1));
    let missing = (false, Reason::DeviceNotFound);
    world.say(&subscription(2), missing, missing);
    world.pass(BEFORE);
    assert_eq!(
        message(&world, ConditionType::Ready),
        "Accepted with 6 subscriptions; services begin at the start. 1 Device was not found: \
         m-02; create what is missing, or correct the names in the contract or its amendment."
    );
    for number in 3..=5 {
        world.say(&subscription(number), missing, missing);
    }
    world.deliver(&subscription(6));
    world.pass(DURING);
    for (condition, reason) in [
        (ConditionType::Ready, "False DevicesPending"),
        (ConditionType::Delivered, "False DevicesPending"),
    ] {
        assert_eq!(said(&world, condition), reason);
        let message = message(&world, condition);
        let end = "4 Devices were not found: m-02, m-03, m-04 and 1 more; create what is missing, or \
                   correct the names in the contract or its amendment.";
        assert!(message.ends_with(end), "{message}");
    }
    stall(&mut world, 6);
    world.pass(DURING);
    let ready = ConditionType::Ready;
    assert_eq!(said(&world, ready), "False DevicesNotProgressing");
    assert!(message(&world, ready).contains("4 Devices were not found"));
}

/// Gives a subscription items of which each met a problem of this outcome.
fn meet(world: &mut ContractWorld, number: usize, problems: &[(&str, ItemState, Reason)]) {
    let found = world.existing(&subscription(number));
    let items = problems.iter().map(|(key, state, outcome)| Item {
        key: (*key).into(),
        state: *state,
        problem: Some(Box::new(Problem {
            outcome: *outcome,
            since: at(BEFORE),
            message: "said".into(),
        })),
        ..Item::default()
    });
    found.status.get_or_insert_with(Default::default).items = items.collect();
}

// shows K2
#[test]
fn a_contract_that_is_scheduled_says_how_many_devices_do_not_answer_yet_or_are_stuck() {
    const SETTINGS: [&str; 2] = ["DeviceSetting/one", "DeviceSetting/two"];
    let mut world = fleet(6);
    world.pass(BEFORE);
    let ready = |world: &mut ContractWorld| {
        world.pass(BEFORE);
        assert_eq!(said(world, ConditionType::Ready), "True Scheduled");
        message(world, ConditionType::Ready)
    };
    let accepted = "Accepted with 6 subscriptions; services begin at the start.";
    let unknown = ItemState::Unknown;
    meet(
        &mut world,
        3,
        &[(SETTINGS[0], ItemState::Effective, Reason::TimedOut)],
    );
    assert_eq!(ready(&mut world), accepted, "one that was set up before");
    let silent = SETTINGS.map(|key| (key, unknown, Reason::Unreachable));
    meet(&mut world, 4, &silent);
    assert_eq!(
        ready(&mut world),
        format!("{accepted} 1 device does not answer yet: m-04.")
    );
    meet(&mut world, 5, &[(SETTINGS[0], unknown, Reason::TimedOut)]);
    assert_eq!(
        ready(&mut world),
        format!("{accepted} 2 devices do not answer yet: m-04, m-05.")
    );
    let at_the_broker = [("ServerInstance", unknown, Reason::Unreachable)];
    meet(&mut world, 1, &at_the_broker);
    let silent = format!("{accepted} 2 devices do not answer yet: m-04, m-05.");
    assert_eq!(
        ready(&mut world),
        format!("{silent} 1 device is stuck: m-01.")
    );
    let refused = [(SETTINGS[0], unknown, Reason::RejectedValue)];
    meet(&mut world, 2, &refused);
    assert_eq!(
        ready(&mut world),
        format!("{silent} 2 devices are stuck: m-01, m-02.")
    );
}

// shows K2
#[test]
fn what_is_ready_depends_on_how_many_may_be_missing() {
    let percent = |text: &str| Some(IntOrString::String(text.to_owned()));
    let one = Some(IntOrString::Int(1));
    let failing = ("False DevicesNotProgressing", "True ProgressingWithRetry");
    let excepted = ("True DeliveredWithExceptions", "absent");
    let table = [
        (0, None, ("True Delivered", "absent")),
        (1, None, failing),
        (1, one.clone(), excepted),
        (2, one, failing),
        (1, percent("9%"), failing),
        (1, percent("10%"), excepted),
        (1, percent("19%"), excepted),
        (2, percent("19%"), failing),
    ];
    for (stalled, most, (ready, reconciling)) in table {
        let mut world = fleet(10);
        world.contract.spec.max_unavailable.clone_from(&most);
        world.pass(BEFORE);
        for number in 1..=10 {
            if number <= stalled {
                stall(&mut world, number);
            } else {
                world.deliver(&subscription(number));
            }
        }
        world.pass(DURING);
        let found = [
            ConditionType::Ready,
            ConditionType::Reconciling,
            ConditionType::Stalled,
        ]
        .map(|condition| said(&world, condition));
        assert_eq!(found, [ready, reconciling, "absent"], "{stalled} {most:?}");
        let delivered = if stalled == 0 {
            "True Delivered"
        } else {
            "False DevicesPending"
        };
        assert_eq!(said(&world, ConditionType::Delivered), delivered);
        let counts = status(&world).subscriptions.clone().expect("counts");
        let failing = i32::try_from(stalled).ok().filter(|count| *count > 0);
        assert_eq!((counts.total, counts.failing), (10, failing));
    }
}

// shows D8 K2
#[test]
fn a_contract_waits_for_no_setting_that_was_changed_at_the_device_and_is_left_so() {
    let drifted = Reason::Drifted;
    for (stalled, most, ready, delivered) in [
        (0, 0, "True DeliveredWithExceptions", "False Drifted"),
        (1, 0, "False DevicesNotProgressing", "False DevicesPending"),
        (1, 1, "True DeliveredWithExceptions", "False DevicesPending"),
    ] {
        let mut world = fleet(4);
        world.contract.spec.max_unavailable = Some(IntOrString::Int(most));
        world.pass(BEFORE);
        world.deliver(&subscription(1));
        world.deliver(&subscription(2));
        world.say(&subscription(3), (true, drifted), (false, drifted));
        if stalled == 0 {
            world.say(&subscription(4), (true, drifted), (false, drifted));
        } else {
            stall(&mut world, 4);
        }
        world.pass(DURING);
        assert_eq!(
            said(&world, ConditionType::Ready),
            ready,
            "{stalled} {most}"
        );
        assert_eq!(said(&world, ConditionType::Delivered), delivered);
        assert_eq!(said(&world, ConditionType::Stalled), "absent");
        let first = &status(&world).not_ready[0];
        assert_eq!((&*first.device, &*first.reason), ("m-03", "Drifted"));
        let named = message(&world, ConditionType::Ready).contains("backup on m-03");
        assert_eq!(
            named,
            ready.starts_with("True"),
            "the others wait for nothing of it"
        );
    }
}

// shows K2 K3
#[test]
fn the_failing_devices_are_named_up_to_five_and_one_that_lost_contact_is_not_among_them() {
    let mut world = fleet(8);
    world.pass(BEFORE);
    for number in 2..=7 {
        stall(&mut world, number);
    }
    world.deliver(&subscription(1));
    let problem = |state| Item {
        key: "DeviceSetting/x".into(),
        state,
        problem: Some(Box::new(Problem {
            outcome: entente_crds::condition::Reason::Unreachable,
            since: at(START),
            message: "".into(),
        })),
        ..Item::default()
    };
    let delivered = world
        .existing("bank.backup.m-01")
        .status
        .as_mut()
        .expect("a status");
    delivered.items = vec![problem(ItemState::Effective)];
    let waiting = world
        .existing("bank.backup.m-08")
        .status
        .get_or_insert_with(Default::default);
    waiting.items = vec![problem(ItemState::Unknown)];
    world.pass(DURING);
    assert_eq!(
        message(&world, ConditionType::DevicesFailing),
        "7 devices are stuck: m-02, m-03, m-04, m-05, m-06 and 2 more."
    );
}

// shows K2
#[test]
fn a_subscription_whose_step_takes_too_long_does_not_progress() {
    let mut world = fleet(2);
    world.pass(BEFORE);
    world.deliver(&subscription(1));
    let timed_out = (false, Reason::StepTimedOut);
    world.say(&subscription(2), timed_out, timed_out);
    world.pass(DURING);
    assert_eq!(
        said(&world, ConditionType::Ready),
        "False DevicesNotProgressing"
    );
    assert_eq!(
        message(&world, ConditionType::DevicesFailing),
        "1 device is stuck: m-02."
    );
    assert_eq!(status(&world).not_ready[0].reason, "StepTimedOut");
}

// shows K2
#[test]
fn proof_of_an_earlier_generation_proves_nothing() {
    let mut world = fleet(1);
    world.pass(BEFORE);
    world.deliver(&subscription(1));
    world.pass(START);
    assert_eq!(said(&world, ConditionType::Delivered), "True Delivered");
    world.edit(|spec| spec.services[0].parameters = texts(&[("threshold", "5")]));
    world.pass(DURING);
    assert_eq!(
        said(&world, ConditionType::Delivered),
        "False DevicesPending"
    );
    world.deliver(&subscription(1));
    world.pass(DURING);
    assert_eq!(said(&world, ConditionType::Ready), "True Delivered");
}

// shows K2
#[test]
fn a_suspended_contract_is_ready_once_its_subscriptions_know_it() {
    let mut world = fleet(1);
    world.pass(BEFORE);
    world.edit(|spec| spec.suspend = true);
    let resolved = resolve(&world, at(DURING));
    let untold = world.status(&resolved, at(DURING));
    let ready = find(&untold.conditions, ConditionType::Ready).expect("Ready");
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "Progressing")
    );
    world.pass(DURING);
    assert_eq!(said(&world, ConditionType::Ready), "True Suspended");
    assert_eq!(said(&world, ConditionType::InForce), "True InTerm");
}

// shows B2
#[test]
fn after_the_end_it_is_ready_when_everything_is_withdrawn() {
    let mut world = fleet(1);
    world.pass(BEFORE);
    world.pass(START);
    world.say(
        &subscription(1),
        (false, Reason::Withdrawing),
        (false, Reason::Ended),
    );
    world.pass(END);
    assert_eq!(
        grammar(&world),
        [
            "False Withdrawing",
            "True Progressing",
            "absent",
            "False Ended",
            "False Ended"
        ]
    );
    world.say(
        &subscription(1),
        (true, Reason::Ended),
        (false, Reason::Ended),
    );
    world.pass("2030-04-02T00:00:00Z");
    let found = status(&world);
    assert_eq!(said(&world, ConditionType::Ready), "True Ended");
    assert_eq!((found.next_transition, found.not_ready.len()), (None, 0));
    let history = found.history.iter().map(|it| (it.at, it.to));
    let history: Vec<_> = history.collect();
    let passed = [
        (at(END), TransitionTo::Ended),
        (at(START), TransitionTo::InForce),
    ];
    assert_eq!(history, passed);
}

// shows K2
#[test]
fn what_cannot_go_on_by_the_contract_alone_is_reconciling_with_its_reason() {
    type Edit = fn(&mut ContractWorld);
    let table: &[(&str, &str, Edit)] = &[
        (
            "False ServiceNotFound",
            "True ProgressingWithRetry",
            |world| world.services.clear(),
        ),
        ("False NoDevices", "True Progressing", |world| {
            world.devices.clear();
        }),
        ("False DeviceCountMismatch", "True Progressing", |world| {
            world.contract.spec.services[0].devices.expect = Some(2);
        }),
    ];
    for (ready, reconciling, edit) in table {
        for now in [BEFORE, DURING] {
            let mut world = labelled(&["a"]);
            edit(&mut world);
            world.pass(now);
            assert_eq!(said(&world, ConditionType::Ready), *ready);
            assert_eq!(said(&world, ConditionType::Reconciling), *reconciling);
            assert_eq!(said(&world, ConditionType::Stalled), "absent");
            assert_eq!(status(&world).observed_generation, None);
        }
    }
    let mut world = labelled(&[]);
    world.contract.spec.services[0].devices.expect = Some(0);
    world.pass(BEFORE);
    assert_eq!(said(&world, ConditionType::Ready), "True Scheduled");
}

// shows K2 K5
#[test]
fn what_could_not_be_written_is_said_and_tried_again() {
    let world = fleet(2);
    let resolved = resolve(&world, at(BEFORE));
    let failure = "The subscription bank.backup.m-01 could not be created: forbidden.";
    let outcome = WriteOutcome {
        failure: Some(failure.to_owned()),
    };
    let found = report_of(&world, &resolved, &[], &[], &outcome, at(BEFORE));
    let ready = find(&found.conditions, ConditionType::Ready).expect("Ready");
    assert_eq!(ready.reason, "ProgressingWithRetry");
    assert_eq!(ready.message, failure);
    assert_eq!(found.established, None);
    let found = report_of(
        &world,
        &resolved,
        &[],
        &[],
        &WriteOutcome::default(),
        at(BEFORE),
    );
    let ready = find(&found.conditions, ConditionType::Ready).expect("Ready");
    assert_eq!(
        ready.message,
        "2 of 2 subscriptions are not written yet: backup on m-01, backup on m-02."
    );
}

// shows K2 K5
#[test]
fn a_start_between_two_clocks_that_differ_is_told_and_looked_at_again_soon() {
    let hour = SignedDuration::from_hours(1);
    let (half_before, half_after) = ("2027-04-01T02:30:00Z", "2027-04-01T03:30:00Z");
    for (now, skew, ready) in [
        (half_before, None, "True Scheduled"),
        (half_before, Some(-hour), "False ClockSkew"),
        (half_before, Some(hour), "True Scheduled"),
        (half_after, Some(hour), "False ClockSkew"),
        (half_after, Some(-hour), "False DevicesPending"),
        (half_after, None, "False DevicesPending"),
    ] {
        let mut world = fleet(1);
        world.pass(BEFORE);
        world.clock_skew = skew;
        let resolved = world.pass(now);
        assert_eq!(said(&world, ConditionType::Ready), ready, "{now} {skew:?}");
        let soon = at(now) + SignedDuration::from_mins(1);
        let wake = next_wake(&resolved, skew, at(now));
        let looks = skew.is_some() && ready != "False DevicesPending";
        assert_eq!(wake == Some(soon), looks, "{now} {skew:?}: {wake:?}");
    }
}

// shows C11 K2
#[test]
fn a_contract_says_that_what_is_handed_over_is_served_meanwhile() {
    let mut world = fleet(2);
    world.pass(BEFORE);
    for number in [1, 2] {
        let said = (false, Reason::HandingOver);
        world.say(&subscription(number), said, said);
    }
    world.pass("2027-04-01T04:00:00Z");
    let message = message(&world, ConditionType::Ready);
    let words = "2 of them are being handed over, and what served before serves meanwhile.";
    assert!(message.ends_with(words), "{message}");
}
