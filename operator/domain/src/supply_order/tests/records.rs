//! Tests of records: names, references, and what is missing.

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    Device, DeviceError, DeviceModel, DeviceStatus, ErrorState, OrderCause, OrderCompensation,
    OrderLine, OrderRecord, ServiceSubscription, SmartService, SupplyOrder, SupplyOrderSpec,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;

const NAME: &str = "lobby-mfp.toner-empty.black-toner.7";

/// A change of a record.
type Edit = fn(&mut OrderRecord);

/// The error of the examples, for which an order is decided on.
fn error() -> DeviceError {
    let error = json!({
        "key": "TonerEmpty/black-toner",
        "type": "TonerEmpty",
        "unit": "black-toner",
        "occurrence": 7,
        "state": "Open",
        "since": "2027-05-12T09:14:03Z",
        "detail": "toner-empty-error",
        "order": {
            "name": NAME,
            "subscription": "banco-sul-2027.supplies.lobby-mfp",
            "service": "supplies",
        },
    });
    serde_json::from_value(error).expect("an error of a device")
}

pub(super) struct World {
    pub(super) device: Device,
    pub(super) model: DeviceModel,
    subscription: ServiceSubscription,
    service: SmartService,
}

pub(super) fn world() -> World {
    let mut device = example::devices()[0].clone();
    device.metadata.namespace = Some(example::NAMESPACE.to_owned());
    device.spec.ship_to = example::supply_order().spec.record.ship_to;
    device.status = Some(DeviceStatus {
        errors: vec![error()],
        ..DeviceStatus::default()
    });
    let mut model = example::mfp_500();
    let supplies = json!([{"name": "black-toner", "partNumber": "TN-500K"}]);
    model.spec.supplies = serde_json::from_value(supplies).expect("supplies");
    let errors = json!([{
        "type": "TonerEmpty",
        "match": {"stateReasons": ["toner-empty"]},
        "unit": "Supply",
        "order": {"when": "Always", "quantity": 1},
    }]);
    model.spec.errors = serde_json::from_value(errors).expect("errors");
    let mut subscription = example::service_subscription();
    subscription.metadata.name = Some("banco-sul-2027.supplies.lobby-mfp".to_owned());
    let mut service = example::data_backup();
    service.metadata.name = Some("supplies".to_owned());
    service.spec.provider = "Northwind".to_owned();
    let orders = json!({"connectionRef": {"name": "northwind-orders"}});
    service.spec.orders = Some(serde_json::from_value(orders).expect("orders"));
    World {
        device,
        model,
        subscription,
        service,
    }
}

impl World {
    pub(super) fn sources(&self) -> RecordSources<'_> {
        RecordSources {
            device: &self.device,
            model: Some(&self.model),
            subscription: Some(&self.subscription),
            service: Some(&self.service),
            printer_id: None,
        }
    }
}

// shows A3 A5
#[test]
fn the_record_of_an_error_is_that_of_the_examples_byte_for_byte() {
    let mut world = world();
    let identity = entente_crds::v1alpha1::DeviceIdentity {
        product_name: Some("Northwind MFP 500".into()),
        ..Default::default()
    };
    world.device.status.as_mut().expect("a status").identity = Some(identity);
    let made = record_for(&error(), world.sources(), example::NAMESPACE).expect("a record");
    let expected = example::supply_order();
    assert_eq!(made.spec, expected.spec);
    assert_eq!(made.metadata.name, expected.metadata.name);
    assert_eq!(made.metadata.namespace, expected.metadata.namespace);
    let labels = made.metadata.labels.expect("labels");
    assert_eq!(labels["entente.dev/error-type"], "TonerEmpty");
    assert_eq!(labels["entente.dev/device"], "lobby-mfp");
    assert_eq!(
        made.metadata.owner_references, None,
        "it outlives its device"
    );
}

// shows A5
#[test]
fn the_name_of_the_example_is_that_of_its_occurrence() {
    assert_eq!(crate::errors::order_name("lobby-mfp", &error()), NAME);
}

// shows A10 K7
#[test]
fn of_an_order_that_cannot_be_read_is_known_what_can_be() {
    let stored = serde_json::to_value(order()).expect("an order");
    let spec = stored["spec"].clone();
    let known = |spec: &serde_json::Value, status| unreadable(NAME, spec, &status);
    assert_eq!(device_of(NAME, &spec), Some("lobby-mfp"));
    assert_eq!(device_of(NAME, &json!(null)), Some("lobby-mfp"));
    assert_eq!(device_of("spare", &spec), Some("lobby-mfp"));
    let closed = json!({"order": {"id": "PO-1"}, "closed": {"by": "Rejected"}});
    let expected = crate::errors::KnownOrder {
        id: Some("PO-1".to_owned()),
        is_open: false,
        is_void: true,
        is_unreadable: true,
        ..super::known(&order())
    };
    assert_eq!(known(&spec, closed), expected);
    let nothing = known(&json!({"record": {"lines": [{"supply": 7}]}}), json!([7]));
    assert!(nothing.is_open && nothing.lines.is_empty() && nothing.is_unreadable);
}

// shows A10
#[test]
fn delivery_knows_of_an_order_its_supplies_its_id_and_whether_it_is_open() {
    let mut stored = order();
    let fresh = known(&stored);
    let supplies = fresh.lines.iter().map(|line| line.supply.as_deref());
    assert_eq!(supplies.collect::<Vec<_>>(), [Some("black-toner")]);
    assert_eq!(fresh.id, None);
    assert!(fresh.is_open && !fresh.is_void);
    for (end, is_void) in [
        ("Delivered", false),
        ("SupplyReplaced", false),
        ("Cancelled", true),
        ("Rejected", true),
    ] {
        let status = json!({
            "order": {"id": "PO-1", "state": "Accepted", "at": begin()},
            "closed": {"at": begin(), "by": end},
        });
        stored.status = Some(serde_json::from_value(status).expect("a status"));
        let closed = known(&stored);
        assert_eq!(closed.id.as_deref(), Some("PO-1"));
        assert_eq!((closed.is_open, closed.is_void), (false, is_void), "{end}");
    }
}

// shows A5 A9
#[test]
fn each_fact_of_an_occurrence_changes_its_reference_and_nothing_else_does() {
    let record = order().spec.record;
    let own = reference_of(example::NAMESPACE, NAME, &record);
    assert_eq!(
        own, record.reference,
        "the example has the reference of its facts"
    );
    let mut changed: Vec<Option<String>> = vec![own.clone()];
    changed.push(reference_of("other", NAME, &record));
    let edits: [Edit; 4] = [
        |record| record.device.serial_number = "other".to_owned(),
        |record| record.device.name = "lobby".to_owned(),
        |record| {
            let error = record.error.as_mut().expect("an error");
            error.id = "lobby-mfp/TonerEmpty/black-toner/8".to_owned();
        },
        |record| {
            let error = record.error.as_mut().expect("an error");
            error.id = "lobby-mfp/TonerEmpty/cyan-toner/7".to_owned();
        },
    ];
    for edit in edits {
        let mut other = record.clone();
        edit(&mut other);
        changed.push(reference_of(example::NAMESPACE, NAME, &other));
    }
    // A device of another name has no such error: there is no reference.
    assert_eq!(changed.iter().filter(|it| it.is_none()).count(), 1);
    let different: std::collections::BTreeSet<_> = changed.iter().collect();
    assert_eq!(different.len(), changed.len());
    let mut same = record.clone();
    same.customer.id = "C-1".to_owned();
    same.provider = "Another".to_owned();
    same.lines[0].quantity = 9;
    assert_eq!(reference_of(example::NAMESPACE, NAME, &same), own);
    assert!(own.expect("one").chars().all(|it| it.is_ascii_hexdigit()));
}

#[test]
fn an_order_by_hand_and_one_of_a_compensation_have_references_of_their_own() {
    let mut record = order().spec.record;
    record.error = None;
    record.cause = OrderCause::Manual;
    let by_hand = reference_of("acme", "spare", &record);
    assert_ne!(by_hand, reference_of("acme", "spare-2", &record));
    record.cause = OrderCause::Compensation;
    assert_eq!(reference_of("acme", "a.b.c.1.toner.1", &record), None);
    record.compensation = Some(OrderCompensation {
        name: "a.b.c.1.toner".to_owned(),
    });
    let first = reference_of("acme", "a.b.c.1.toner.1", &record);
    let second = reference_of("acme", "a.b.c.1.toner.2", &record);
    assert!(first.is_some() && first != second && first != by_hand);
    assert_eq!(reference_of("acme", "elsewhere", &record), None);
}

/// Returns an order of this name that was made then, with lines of supplies and parts.
fn made_order(name: &str, made: Timestamp, lines: &[(Option<&str>, &str)]) -> SupplyOrder {
    let line = |(supply, part): &(Option<&str>, &str)| OrderLine {
        supply: supply.map(str::to_owned),
        part_number: (*part).to_owned(),
        ..OrderLine::default()
    };
    let mut order = SupplyOrder::new(name, SupplyOrderSpec::default());
    order.spec.record.lines = lines.iter().map(line).collect();
    order.metadata.creation_timestamp = Some(Time(made));
    order
}

// shows A10
#[test]
fn a_new_supply_closes_every_order_for_it_that_was_there_before() {
    let mut device = world().device;
    let error = device.status.as_mut().expect("a status");
    let error = &mut error.errors[0];
    let made = error.since;
    let gone = made + jiff::SignedDuration::from_mins(5);
    let later = gone + jiff::SignedDuration::from_mins(10);
    (error.until, error.replaced) = (Some(gone), Some(later));
    let name = error.order.as_ref().expect("an order").name.clone();
    let unit = error.unit.clone().expect("a supply");
    let model = world().model;
    let mut supplies = model.spec.supplies.iter();
    let part = supplies.find(|it| it.name == unit).expect("a supply");
    let part = &*part.part_number;
    let (ours, fuser) = ((Some(&*unit), part), (Some("fuser"), "FU-500"));
    let after = gone + jiff::SignedDuration::from_secs(1);
    let by_hand = |made, lines: &[_]| made_order("by-hand", made, lines);
    let of_the_error = made_order(&name, after, &[]);
    let closed = [
        (of_the_error, "that of the error, also if it was restored"),
        (by_hand(made, &[ours]), "one by hand"),
        (
            by_hand(made, &[(None, part)]),
            "one that names its part only",
        ),
        (
            by_hand(made, &[(Some("black"), part)]),
            "a supply that was renamed since",
        ),
    ];
    let open = [
        (by_hand(made, &[(None, "TN-1")]), "another part"),
        (
            by_hand(after, &[ours]),
            "the new supply was there before, and known later",
        ),
        (by_hand(made, &[fuser]), "another supply"),
        (by_hand(made, &[ours, fuser]), "one of two"),
        (by_hand(made, &[]), "nothing is known of its supply"),
    ];
    let closed = closed.map(|it| (it, Some(later)));
    for ((order, why), expected) in closed.into_iter().chain(open.map(|it| (it, None))) {
        let found = replaced_at(&device, Some(&model), &order);
        assert_eq!(found, expected, "{why}");
    }
}

// shows A9
#[test]
fn an_order_is_wanted_until_it_is_made_and_while_the_error_is_open_until_its_id_is_known() {
    let mut device = world().device;
    let wanted = |device: &Device| wanted_orders(device).count();
    assert_eq!(wanted(&device), 1);
    let error = |device: &mut Device, edit: fn(&mut DeviceError)| {
        edit(&mut device.status.as_mut().expect("a status").errors[0]);
    };
    error(&mut device, |error| error.state = ErrorState::Closed);
    assert_eq!(wanted(&device), 1, "it was decided on, and never made");
    error(&mut device, |error| error.replaced = Some(error.since));
    assert_eq!(wanted(&device), 0, "nobody needs it");
    error(&mut device, |error| error.replaced = None);
    let record = |error: &mut DeviceError| error.order.as_mut().expect("an order").recorded = true;
    error(&mut device, record);
    assert_eq!(wanted(&device), 0, "it was made, and is not made again");
    error(&mut device, |error| error.state = ErrorState::Open);
    assert_eq!(wanted(&device), 1, "a record that was lost is made again");
    error(&mut device, |error| {
        error.state = ErrorState::Open;
        error.order.as_mut().expect("an order").id = Some("PO-1".into());
    });
    assert_eq!(
        wanted(&device),
        0,
        "a record that a person deleted is not made again"
    );
    error(&mut device, |error| {
        error.order.as_mut().expect("an order").id = None;
        error.occurrence += 1;
    });
    assert_eq!(wanted(&device), 0, "it is that of the occurrence before");
    error(&mut device, |error| error.order = None);
    assert_eq!(wanted(&device), 0, "none is decided on");
}

// shows K2
#[test]
fn what_is_missing_for_a_record_is_named() {
    let whole = world();
    let mut no_orders = world();
    no_orders.service.spec.orders = None;
    let mut no_supply = world();
    no_supply.model.spec.supplies.clear();
    let table = [
        (
            RecordSources {
                subscription: None,
                ..whole.sources()
            },
            Reason::ServiceNotFound,
            "ServiceSubscription banco-sul-2027.supplies.lobby-mfp",
        ),
        (
            RecordSources {
                service: None,
                ..whole.sources()
            },
            Reason::ServiceNotFound,
            "SmartService supplies",
        ),
        (
            RecordSources {
                model: None,
                ..whole.sources()
            },
            Reason::ModelNotFound,
            "DeviceModel mfp-500",
        ),
        (no_orders.sources(), Reason::UnsupportedValue, "spec.orders"),
        (
            no_supply.sources(),
            Reason::UnsupportedValue,
            "\"black-toner\"",
        ),
    ];
    for (sources, reason, word) in table {
        let (found, message) = record_for(&error(), sources, "acme").expect_err("it is missing");
        assert_eq!(found, reason, "{message}");
        assert!(message.contains(word), "{message}");
    }
}

/// Returns an order that a person makes.
fn by_hand() -> SupplyOrder {
    let mut spare = order();
    spare.metadata.name = Some("spare".to_owned());
    let record = &mut spare.spec.record;
    (record.cause, record.error, record.reference) = (OrderCause::Manual, None, None);
    spare
}

// shows K4
#[test]
fn an_order_by_hand_is_sent_only_for_a_subscription_of_its_namespace_and_through_its_service() {
    let world = world();
    let spare = by_hand();
    let against = CheckedAgainst {
        subscription: Some(&world.subscription),
        service: Some(&world.service),
        device: Some(&world.device),
        now: begin(),
        model: Some(&world.model),
    };
    assert_eq!(fault_of(&spare, against), None);
    let edits: [(&str, Edit); 8] = [
        ("device.serialNumber is \"WRONG\"", |record| {
            record.device.serial_number = "WRONG".to_owned();
        }),
        ("lines[0].supply is \"pink-toner\"", |record| {
            record.lines[0].supply = Some("pink-toner".to_owned());
        }),
        ("lines[0].partNumber is \"TN-999\"", |record| {
            record.lines[0].part_number = "TN-999".to_owned();
        }),
        ("customer.id", |record| {
            record.customer.id = "C-1".to_owned();
        }),
        ("contract.name", |record| {
            record.contract.name = "other".to_owned();
        }),
        ("device.name", |record| {
            record.device.name = "other".to_owned();
        }),
        ("connectionRef.name", |record| {
            record.connection_ref.name = "other".to_owned();
        }),
        ("provider", |record| {
            record.provider = "Other".to_owned();
        }),
    ];
    for (field, edit) in edits {
        let mut other = spare.clone();
        edit(&mut other.spec.record);
        let (reason, message) = fault_of(&other, against).expect("it is refused");
        assert_eq!(reason, Reason::UnsupportedValue);
        assert!(message.contains(field), "{message}");
    }
    // A part that is no supply of the model is a person's own choice.
    let mut paper = spare.clone();
    paper.spec.record.lines[0].supply = None;
    paper.spec.record.lines[0].part_number = "A4-500".to_owned();
    assert_eq!(fault_of(&paper, against), None);
    let gone = CheckedAgainst {
        device: None,
        ..against
    };
    let (_, message) = fault_of(&spare, gone).expect("the serial number would be anybody's");
    assert!(message.contains("spec.record.device: "), "{message}");
    let nobody = fault_of(&spare, CheckedAgainst::default()).expect("it is refused");
    assert!(nobody.1.contains("does not exist"), "{}", nobody.1);
}

// shows K4
#[test]
fn an_order_by_hand_needs_a_service_in_force() {
    let world = world();
    let spare = by_hand();
    for (now, said) in [
        ("2026-01-01T00:00:00Z", "begins at"),
        ("2099-01-01T00:00:00Z", "is over"),
    ] {
        let mut ended = world.subscription.clone();
        for revision in &mut ended.spec.revisions {
            std::sync::Arc::make_mut(revision).until = Some(at("2040-01-01T00:00:00Z"));
        }
        let against = CheckedAgainst {
            now: at(now),
            subscription: Some(&ended),
            service: Some(&world.service),
            device: Some(&world.device),
            model: Some(&world.model),
        };
        let (_, message) = fault_of(&spare, against).expect("it is not in force");
        assert!(message.contains(said), "{message}");
    }
}

// shows A10
#[test]
fn an_order_by_hand_that_is_not_what_it_has_to_be_keeps_no_other_one_back() {
    for (fault, is_open) in [
        (None, true),
        (Some((Reason::UnsupportedValue, "wrong".to_owned())), false),
        (Some((Reason::ConnectionNotFound, "gone".to_owned())), true),
    ] {
        for cause in [OrderCause::Manual, OrderCause::Error] {
            let mut bench = Bench::new(keyed());
            let record = &mut bench.stored.spec.record;
            record.cause = cause;
            if cause == OrderCause::Manual {
                (record.error, record.reference) = (None, None);
            }
            bench.facts.fault.clone_from(&fault);
            let answer = || Failure::new(FailureKind::Unreachable, "it is off");
            bench.pass(|_| OrderAnswer::Failed(answer()));
            let expected = is_open || cause == OrderCause::Error;
            assert_eq!(
                known(&bench.stored).is_open,
                expected,
                "{cause:?} {fault:?}"
            );
            assert!(super::is_open(&bench.stored), "it can still be sent");
        }
    }
}

// shows A5
#[test]
fn a_record_under_a_reference_that_is_not_that_of_its_facts_is_not_sent_but_one_that_was_is_followed()
 {
    let mut foreign = order();
    foreign.spec.record.reference = Some("f".repeat(64));
    let (reason, message) = fault_of(&foreign, CheckedAgainst::default()).expect("refused");
    assert_eq!(reason, Reason::UnsupportedValue);
    assert!(message.contains("spec.record.reference"), "{message}");
    foreign.status = Some(SupplyOrderStatus {
        intent: Some(begin()),
        ..SupplyOrderStatus::default()
    });
    assert_eq!(fault_of(&foreign, CheckedAgainst::default()), None);
}
