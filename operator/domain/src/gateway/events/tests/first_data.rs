//! Data that turn a service on (C12).

use super::*;

/// Has the service toner wait for something, as its condition says.
fn wait(known: &mut Known, reason: Reason, state: ActivationState) {
    let service = Arc::make_mut(&mut known.services[0]);
    service.spec.activation = ActivationMode::ByFirstData;
    known.edit(0, |it| {
        say_activated(it, state, reason, at(1));
    });
}

// shows C12
#[test]
fn the_first_data_of_a_wanted_kind_turn_a_service_on_that_waits_for_nothing_else() {
    use ActivationState::{Inactive, Pending};
    let batch = |body: Value| read(&body).unwrap();
    let one = batch(json!([level("1")]));
    for (reason, state, said, is_awaiting) in [
        (Reason::WaitingForDevice, Inactive, None, true),
        (Reason::DisabledLocally, Inactive, None, false),
        (Reason::UnsupportedByDevice, Inactive, None, false),
        (Reason::ExclusiveGroupHeld, Inactive, None, false),
        (Reason::ConsentWithdrawn, Inactive, None, false),
        (Reason::NotInForce, Inactive, None, true),
        (Reason::Waiting, Inactive, None, true),
        (Reason::Waiting, Inactive, Some(true), true),
        (Reason::ProviderPending, Pending, Some(true), true),
        (Reason::WaitingForDevice, Inactive, Some(false), false),
        (Reason::DisabledLocally, Inactive, Some(true), false),
    ] {
        let mut known = known();
        wait(&mut known, reason, state);
        if let Some(enabled) = said {
            known.say(enabled, 5, &[]);
        }
        let recipients = known.recipients();
        let expected: &[&str] = if is_awaiting { &[TONER] } else { &[] };
        assert_eq!(one.first_data(&recipients), expected, "{reason:?} {said:?}");
        let routing = one.route(&recipients, PRINTER);
        assert_eq!(routing.deliveries.len(), 1, "it is off until it is on");
        assert_eq!(routing.deferred, usize::from(is_awaiting), "{reason:?}");
        let service = Arc::make_mut(&mut known.services[0]);
        service.spec.activation = ActivationMode::ByDevice;
        assert!(one.first_data(&known.recipients()).is_empty());
    }
}

/// Has the service toner be turned on by data, before the operator and the device know anything of it.
fn fresh(known: &mut Known) {
    let service = Arc::make_mut(&mut known.services[0]);
    service.spec.activation = ActivationMode::ByFirstData;
    let kinds = ["supplies.level", "events.error"].map(|name| WantedDataType {
        name: name.to_owned(),
        period: None,
    });
    service.spec.device.get_or_insert_default().data_types = kinds.into();
    known.edit(0, |it| it.status = None);
    known.twin.spec.data_types.clear();
}

/// Change of what is known.
type Way = fn(&mut Known);

/// Ways in which a fresh service may be, and whether data turn it on.
const FRESH: [(&str, Way, bool); 7] = [
    ("nobody has looked at it", |_| {}, true),
    (
        "it is suspended",
        |it| it.edit(0, |it| it.spec.contract.suspend = true),
        false,
    ),
    (
        "it lies ahead",
        |it| {
            it.edit(0, |it| {
                Arc::make_mut(&mut it.spec.revisions[0]).effective = at(11);
            });
        },
        false,
    ),
    (
        "it has ended",
        |it| {
            it.edit(0, |it| {
                Arc::make_mut(&mut it.spec.revisions[0]).until = Some(at(9));
            });
        },
        false,
    ),
    (
        "the device has switched it off",
        |it| it.say(false, 5, &[]),
        false,
    ),
    (
        "the device asks for it",
        |it| Arc::make_mut(&mut it.services[0]).spec.activation = ActivationMode::ByDevice,
        false,
    ),
    (
        "its data have no destination",
        |it| Arc::make_mut(&mut it.services[0]).spec.data = None,
        false,
    ),
];

// shows C12
#[test]
fn data_right_after_the_registration_are_those_that_a_service_in_force_wants_and_no_others() {
    let one = read(&json!([level("1")])).unwrap();
    for (name, edit, is_awaiting) in FRESH {
        let mut known = known();
        fresh(&mut known);
        edit(&mut known);
        let recipients = known.recipients();
        let expected: &[&str] = if is_awaiting { &[TONER] } else { &[] };
        assert_eq!(one.first_data(&recipients), expected, "{name}");
        let routing = one.route(&recipients, PRINTER);
        assert_eq!(routing.deliveries, [], "{name}");
        assert_eq!(routing.deferred, usize::from(is_awaiting), "{name}");
        assert_eq!(routing.refused.len(), usize::from(!is_awaiting), "{name}");
    }
    let mut known = known();
    fresh(&mut known);
    let others = read(&json!([total("1"), of(level("2"), PARTS)])).unwrap();
    assert!(others.first_data(&known.recipients()).is_empty());
}

// shows C12 C16
#[test]
fn the_kinds_of_a_service_that_data_turned_on_come_also_before_the_device_is_asked_for_them() {
    let one = read(&json!([level("1")])).unwrap();
    let mut known = known();
    fresh(&mut known);
    let active = subscription(TONER, "toner");
    known.edit(0, |it| it.status.clone_from(&active.status));
    assert!(one.first_data(&known.recipients()).is_empty());
    let body = json!([level("1"), total("2")]);
    let (ways, refused) = known.ways(&body);
    assert_eq!(ways, [format!("northwind/toner: 1@{TONER}")]);
    assert_eq!(refused, [1]);
}

// shows C12
#[test]
fn data_of_another_kind_or_service_or_from_before_the_start_turn_nothing_on() {
    let one = read(&json!([level("1")])).unwrap();
    let batch = |body: Value| read(&body).unwrap();
    let inactive = ActivationState::Inactive;
    let mut known = known();
    wait(&mut known, Reason::WaitingForDevice, inactive);
    let recipients = known.recipients();
    for others in [
        json!([]),
        json!([total("1")]),
        json!([of(level("1"), PARTS)]),
    ] {
        assert!(batch(others).first_data(&recipients).is_empty());
    }
    known.edit(0, |it| {
        Arc::make_mut(&mut it.spec.revisions[0]).effective = at(11);
    });
    assert!(
        one.first_data(&known.recipients()).is_empty(),
        "it lies ahead"
    );
}
