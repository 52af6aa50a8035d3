//! Errors of a colour device, as devices report them: which supply, which occurrence, which order.

use entente_crds::{
    example,
    v1alpha1::{
        DeviceError, DeviceModelSpec, ErrorState, ExclusiveHold, FormerHold, MessageTextSpec,
        NotOrderedReason, OrderWhen, PanelText,
    },
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::remote::{
    FaultSource, FaultySupply, ReportedFault, ReportedSupply, StatusReport, SupplyLevel,
};

const DEVICE: &str = "lobby-mfp";

fn instant(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn begin() -> Timestamp {
    instant("2027-04-01T08:00:00Z")
}

fn after(minutes: i64) -> Timestamp {
    begin() + SignedDuration::from_mins(minutes)
}

/// A model without times to wait for before an error has begun.
fn model() -> DeviceModelSpec {
    let mut model = example::mfp_520().spec;
    for r#type in &mut model.errors {
        r#type.settle = None;
    }
    model
}

/// Levels of black, cyan, magenta and yellow.
fn table(levels: [SupplyLevel; 4]) -> Vec<ReportedSupply> {
    let colorants = ["black", "cyan", "magenta", "yellow"];
    let rows = colorants.into_iter().zip(levels).zip(1..);
    let row = |((colorant, level), index): ((&str, SupplyLevel), i64)| ReportedSupply {
        index,
        kind: "toner".to_owned(),
        is_receptacle: false,
        colorant: Some(colorant.to_owned()),
        description: None,
        level,
    };
    rows.map(row).collect()
}

fn percents(levels: [u8; 4]) -> Vec<ReportedSupply> {
    table(levels.map(SupplyLevel::Percent))
}

fn reasons(reasons: &[&str], supplies: Vec<ReportedSupply>) -> StatusReport {
    StatusReport {
        faults: reasons
            .iter()
            .map(|it| ReportedFault::state_reason(it))
            .collect(),
        supplies,
        ..StatusReport::default()
    }
}

fn alert(name: &str, row: Option<i64>) -> ReportedFault {
    ReportedFault {
        supply: row.map(FaultySupply::Row),
        ..ReportedFault::named(FaultSource::Alert, name)
    }
}

fn provider() -> Provider {
    Provider {
        subscription: "acme-2027.toner.lobby-mfp".to_owned(),
        service: "toner-delivery".to_owned(),
        group: None,
    }
}

/// One look after another, each deciding by what the one before left.
struct Device {
    model: DeviceModelSpec,
    errors: Vec<DeviceError>,
    orders: Vec<KnownOrder>,
    providers: Vec<Provider>,
    holds: Vec<ExclusiveHold>,
}

impl Device {
    fn new() -> Self {
        Self {
            model: model(),
            errors: Vec::new(),
            orders: Vec::new(),
            providers: vec![provider()],
            holds: Vec::new(),
        }
    }

    fn look(&mut self, reports: &[&StatusReport], at: Timestamp) {
        let look = Sightings {
            reports: reports.to_vec(),
            at,
        };
        let tracked = track(&self.errors, &self.model, Some(&look));
        let facts = OrderFacts {
            device: DEVICE,
            model: &self.model,
            providers: &self.providers,
            orders_supplies: &|service| service != "backup",
            holds: &self.holds,
            orders: &self.orders,
        };
        self.errors = decide(&tracked, &facts);
    }

    fn error(&self, key: &str) -> &DeviceError {
        let mut all = self.errors.iter();
        all.find(|it| it.key == key)
            .unwrap_or_else(|| panic!("no {key} in {:?}", self.errors))
    }

    /// Keys of the open errors, each with the name of its order or the reason for none.
    fn told(&self) -> Vec<String> {
        let open = self.errors.iter().filter(|it| it.state == ErrorState::Open);
        open.map(|error| {
            let none = error
                .not_ordered
                .as_ref()
                .map(|none| format!("{:?}", none.reason));
            let order = error.order.as_ref().map(|order| order.name.clone());
            let told = none.or(order).unwrap_or_default();
            format!("{} {told}", error.key)
        })
        .collect()
    }
}

// shows A2
#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn what_is_ordered_follows_from_the_words_and_the_table_and_from_no_level_alone() {
    use SupplyLevel::{Percent, Some as Any, Unknown};
    let black = "TonerEmpty/black-toner lobby-mfp.toner-empty.black-toner.1";
    let cyan = "TonerEmpty/cyan-toner lobby-mfp.toner-empty.cyan-toner.1";
    let unknown = "TonerEmpty SupplyUnknown";
    for (name, report, expected) in [
        (
            "nothing",
            reasons(&["none"], percents([0, 0, 0, 0])),
            vec![],
        ),
        (
            "a level of 0 alone",
            reasons(&[], percents([0, 40, 40, 40])),
            vec![],
        ),
        (
            "almost empty with a level of 0, as a real printer says it",
            reasons(
                &["toner-low-report", "marker-supply-low-report"],
                percents([0, 9, 9, 9]),
            ),
            vec![],
        ),
        (
            "a word and its row",
            reasons(&["toner-empty-error"], percents([0, 40, 40, 40])),
            vec![black],
        ),
        (
            "a word of any supply",
            reasons(&["marker-supply-empty-report"], percents([40, 0, 40, 40])),
            vec![cyan],
        ),
        (
            "a word alone",
            reasons(&["toner-empty-error"], Vec::new()),
            vec![unknown],
        ),
        (
            "no row is empty",
            reasons(&["toner-empty"], percents([5, 5, 40, 40])),
            vec![unknown],
        ),
        (
            "levels that are not known",
            reasons(&["toner-empty"], table([Unknown; 4])),
            vec![unknown],
        ),
        (
            "a level of 0 beside one that is not known",
            reasons(
                &["toner-empty"],
                table([Percent(0), Unknown, Percent(3), Any]),
            ),
            vec![unknown],
        ),
        (
            "a level of 0 beside some",
            reasons(&["toner-empty"], table([Percent(0), Any, Percent(3), Any])),
            vec![black],
        ),
        (
            "two are empty",
            reasons(&["toner-empty"], percents([0, 0, 40, 40])),
            vec![black, cyan],
        ),
        (
            "two levels of 0, of which one may be of a low one",
            reasons(&["toner-empty", "toner-low"], percents([0, 0, 40, 40])),
            vec![unknown],
        ),
        (
            "an alert with a row",
            StatusReport {
                faults: vec![alert("markerTonerEmpty", Some(2))],
                supplies: percents([0, 0, 0, 0]),
                ..StatusReport::default()
            },
            vec![cyan],
        ),
        (
            "an alert with a row, and a word without",
            StatusReport {
                faults: vec![
                    ReportedFault::state_reason("toner-empty"),
                    alert("markerTonerEmpty", Some(1)),
                ],
                supplies: table([Unknown; 4]),
                ..StatusReport::default()
            },
            vec![black],
        ),
        (
            "an alert of a row that there is not",
            StatusReport {
                faults: vec![alert("markerTonerEmpty", Some(9))],
                supplies: percents([40, 40, 40, 40]),
                ..StatusReport::default()
            },
            vec![unknown],
        ),
        (
            "an almost empty alert",
            StatusReport {
                faults: vec![alert("markerTonerAlmostEmpty", Some(1))],
                supplies: percents([0, 40, 40, 40]),
                ..StatusReport::default()
            },
            vec![],
        ),
        (
            "the bit of RFC 2790",
            StatusReport {
                faults: vec![ReportedFault::named(FaultSource::DetectedError, "noToner")],
                supplies: percents([40, 0, 40, 40]),
                ..StatusReport::default()
            },
            vec![cyan],
        ),
        (
            "a jam",
            reasons(&["media-jam-error"], percents([0, 0, 0, 0])),
            vec!["Jam NotRequested"],
        ),
        (
            "a full waste box, which is ordered on request only",
            reasons(&["marker-waste-full-warning"], percents([0, 40, 40, 40])),
            vec!["WasteBoxFull/waste-toner-box NotRequested"],
        ),
    ] {
        let mut device = Device::new();
        device.look(&[&report], begin());
        assert_eq!(device.told(), expected, "{name}: {:?}", device.errors);
    }
}

// shows A2
#[test]
fn the_status_names_the_supplies_that_come_into_question() {
    let mut device = Device::new();
    device.look(&[&reasons(&["toner-empty"], Vec::new())], begin());
    let none = device.error("TonerEmpty").not_ordered.clone().unwrap();
    assert_eq!(
        none.message.as_str(),
        "the device does not tell which supply it is; it may be black-toner, cyan-toner, magenta-toner, \
         yellow-toner"
    );
    // The table tells it later: the order follows then.
    device.look(
        &[&reasons(&["toner-empty"], percents([40, 0, 40, 40]))],
        after(1),
    );
    let ordered = device.error("TonerEmpty/cyan-toner");
    assert!(ordered.order.is_some(), "{ordered:?}");
    // The row is gone again, the words stand: it is the same error.
    device.look(&[&reasons(&["toner-empty"], Vec::new())], after(20));
    assert_eq!(device.error("TonerEmpty/cyan-toner").gone, None);
    assert_eq!(device.error("TonerEmpty").until, Some(after(1)));
}

// shows A9
#[test]
fn one_occurrence_reported_fifty_times_by_two_paths_is_one_order() {
    let mut device = Device::new();
    let by_ipp = reasons(&["toner-empty-error"], percents([0, 40, 40, 40]));
    let by_snmp = StatusReport {
        faults: vec![alert("markerTonerEmpty", Some(1))],
        supplies: percents([0, 40, 40, 40]),
        ..StatusReport::default()
    };
    for minute in 0..50 {
        device.look(&[&by_ipp, &by_snmp], after(minute));
        let expected = ["TonerEmpty/black-toner lobby-mfp.toner-empty.black-toner.1"];
        assert_eq!(device.told(), expected, "{minute}");
    }
    assert_eq!(device.errors.len(), 1);
}

// shows A9
#[test]
fn an_error_that_flaps_within_the_settle_time_is_one_occurrence() {
    let mut device = Device::new();
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    let fine = reasons(&[], percents([40, 40, 40, 40]));
    for round in 0..20 {
        device.look(&[&empty], after(round * 12));
        device.look(&[&fine], after(round * 12 + 3));
    }
    assert_eq!(device.error("TonerEmpty/black-toner").occurrence, 1);
    // Absent for ten minutes: it has ended, at the instant at which it was first absent.
    device.look(&[&fine], after(19 * 12 + 13));
    let ended = device.error("TonerEmpty/black-toner");
    assert_eq!(
        (ended.state, ended.until),
        (ErrorState::Closed, Some(after(19 * 12 + 3)))
    );
    device.look(&[&empty], after(300));
    assert_eq!(device.error("TonerEmpty/black-toner").occurrence, 2);
}

// shows A9
#[test]
fn an_error_that_has_to_stand_for_a_while_has_not_begun_before() {
    let mut device = Device::new();
    device.model = example::mfp_520().spec;
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    let at = |seconds| begin() + SignedDuration::from_secs(seconds);
    device.look(&[&empty], at(0));
    assert_eq!(device.told(), Vec::<String>::new());
    assert_eq!(next_look(&device.errors, &device.model), Some(at(30)));
    device.look(&[&reasons(&[], Vec::new())], at(10));
    device.look(&[&empty], at(20));
    device.look(&[&empty], at(40));
    assert_eq!(device.told(), Vec::<String>::new(), "20 seconds");
    device.look(&[&empty], at(50));
    let error = device.error("TonerEmpty/black-toner");
    assert_eq!((error.occurrence, error.since), (1, at(20)));
    // A clock that went back ends nothing and begins nothing.
    device.look(&[&empty], at(-100));
    assert_eq!(device.error("TonerEmpty/black-toner").occurrence, 1);
}

fn line(supply: Option<&str>, part_number: &str) -> KnownLine {
    KnownLine {
        supply: supply.map(str::to_owned),
        part_number: part_number.to_owned(),
    }
}

// shows A10
#[test]
fn an_open_order_for_the_part_of_a_supply_is_one_for_the_supply() {
    let model = example::mfp_520().spec;
    let part = |name: &str| {
        let supply = model.supplies.iter().find(|it| it.name == name);
        supply.unwrap().part_number.clone()
    };
    let black = part("black-toner");
    let table = [
        ("without a supply", None, &black, true),
        ("renamed in the model", Some("toner-k"), &black, true),
        ("of another part", None, &part("cyan-toner"), false),
        (
            "for one of the same part",
            Some("cyan-toner"),
            &black,
            false,
        ),
    ];
    for (name, supply, part, is_held) in table {
        let mut device = Device::new();
        device.orders = vec![KnownOrder {
            name: "spare".to_owned(),
            lines: vec![line(supply, part)],
            is_open: true,
            ..KnownOrder::default()
        }];
        let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
        device.look(&[&empty], begin());
        device.look(&[&empty], after(1));
        let error = device.error("TonerEmpty/black-toner");
        let reason = error.not_ordered.as_ref().map(|it| it.reason);
        let expected = is_held.then_some(NotOrderedReason::OpenOrderExists);
        assert_eq!(reason, expected, "{name}");
    }
}

// shows A5 A9
#[test]
fn a_number_that_an_earlier_device_of_the_name_used_for_an_order_is_not_used_again() {
    let mut device = Device::new();
    let of_earlier = |number| KnownOrder {
        name: format!("lobby-mfp.toner-empty.black-toner.{number}"),
        lines: vec![line(Some("black-toner"), "TN-520K")],
        id: Some(format!("PO-{number}")),
        ..KnownOrder::default()
    };
    device.orders = vec![of_earlier(1), of_earlier(2)];
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    device.look(&[&empty], begin());
    device.look(&[&empty], after(1));
    let error = device.error("TonerEmpty/black-toner");
    let order = error.order.as_ref().unwrap();
    assert_eq!(error.occurrence, 3);
    assert_eq!(order.name, "lobby-mfp.toner-empty.black-toner.3");
    assert_eq!(order.id, None);
}

// shows A10
#[test]
fn no_second_order_for_a_supply_while_one_is_open() {
    let mut device = Device::new();
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    let shaken = reasons(&[], percents([0, 40, 40, 40]));
    let name = "lobby-mfp.toner-empty.black-toner.1";
    let order = |is_open| KnownOrder {
        name: name.to_owned(),
        lines: vec![line(Some("black-toner"), "TN-520K")],
        id: Some("PO-1".to_owned()),
        is_open,
        ..KnownOrder::default()
    };
    device.look(&[&empty], begin());
    device.orders = vec![order(true)];
    for minute in [1, 20] {
        device.look(&[&shaken], after(minute));
    }
    device.look(&[&empty], after(30));
    let error = device.error("TonerEmpty/black-toner");
    assert_eq!(error.occurrence, 2);
    let none = error.not_ordered.as_ref().unwrap();
    assert_eq!(none.reason, NotOrderedReason::OpenOrderExists);
    assert_eq!(
        none.message.as_str(),
        format!("the order {name} for black-toner is open")
    );
    assert_eq!(error.order.as_ref().unwrap().id.as_deref(), Some("PO-1"));
    // It is closed: the occurrence that is open gets its own.
    device.orders = vec![order(false)];
    device.look(&[&empty], after(31));
    assert_eq!(
        device.told(),
        ["TonerEmpty/black-toner lobby-mfp.toner-empty.black-toner.2"]
    );
}

// shows A10
#[test]
fn a_supply_is_replaced_when_its_level_is_that_of_a_new_one() {
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    for (level, is_replaced) in [(100, true), (50, true), (49, false), (0, false)] {
        let mut device = Device::new();
        device.look(&[&empty], begin());
        let after_it = reasons(&[], percents([level, 40, 40, 40]));
        device.look(&[&after_it], after(1));
        assert_eq!(device.error("TonerEmpty/black-toner").replaced, None);
        device.look(&[&after_it], after(11));
        let replaced = device.error("TonerEmpty/black-toner").replaced;
        assert_eq!(replaced, is_replaced.then(|| after(11)), "{level}");
    }
}

// shows A2, C11
#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn the_order_is_for_the_provider_that_acted_when_the_error_began() {
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    let hold = |since: i64| ExclusiveHold {
        group: "consumables".to_owned(),
        holder: "b.toner.lobby-mfp".to_owned(),
        service: Some("toner-b".to_owned()),
        since: after(since),
        before: vec![FormerHold {
            holder: "a.toner.lobby-mfp".to_owned(),
            service: "toner-a".to_owned(),
            since: after(-100),
            until: after(since),
        }],
    };
    for (name, holds, providers, expected) in [
        (
            "the one that holds the group now",
            vec![hold(-5)],
            vec![],
            Some("b.toner.lobby-mfp"),
        ),
        (
            "the one that held it then",
            vec![hold(5)],
            vec![],
            Some("a.toner.lobby-mfp"),
        ),
        (
            "nobody held it then",
            vec![ExclusiveHold {
                before: vec![],
                ..hold(5)
            }],
            vec![],
            Some("b.toner.lobby-mfp"),
        ),
        (
            "one without a group",
            vec![],
            vec![provider()],
            Some("acme-2027.toner.lobby-mfp"),
        ),
        ("nobody", vec![], vec![], None),
        (
            "one whose group another holds that orders nothing",
            vec![ExclusiveHold {
                service: Some("backup".to_owned()),
                before: vec![],
                ..hold(-5)
            }],
            vec![Provider {
                group: Some("consumables".to_owned()),
                ..provider()
            }],
            None,
        ),
    ] {
        let mut device = Device::new();
        device.holds = holds;
        device.providers = providers;
        device.look(&[&empty], begin());
        let error = device.error("TonerEmpty/black-toner");
        let found = error
            .order
            .as_ref()
            .map(|order| order.subscription.as_str());
        assert_eq!(found, expected, "{name}: {error:?}");
        let none = error.not_ordered.as_ref().map(|none| none.reason);
        let reason = expected
            .is_none()
            .then_some(NotOrderedReason::NoActiveService);
        assert_eq!(none, reason, "{name}");
    }
}

// shows A1
#[test]
fn an_order_on_request_follows_the_request_of_the_device() {
    let mut device = Device::new();
    for r#type in &mut device.model.errors {
        if let Some(order) = &mut r#type.order {
            order.when = OrderWhen::Requested;
        }
    }
    let event = |is_order_requested| StatusReport {
        faults: vec![ReportedFault {
            supply: Some(FaultySupply::Name("black-toner".to_owned())),
            is_order_requested,
            ..ReportedFault::state_reason("toner-empty")
        }],
        ..StatusReport::default()
    };
    device.look(&[&event(false)], begin());
    assert_eq!(device.told(), ["TonerEmpty/black-toner NotRequested"]);
    device.look(&[&event(true)], after(1));
    assert_eq!(
        device.told(),
        ["TonerEmpty/black-toner lobby-mfp.toner-empty.black-toner.1"]
    );
}

#[test]
fn the_name_of_an_order_is_that_of_an_object_and_of_no_other_supply() {
    let name = |r#type: &str, unit: Option<&str>| {
        let error = DeviceError {
            r#type: r#type.to_owned(),
            unit: unit.map(str::to_owned),
            occurrence: 7,
            ..DeviceError::default()
        };
        order_name(DEVICE, &error)
    };
    assert_eq!(
        name("TonerEmpty", Some("black-toner")),
        "lobby-mfp.toner-empty.black-toner.7"
    );
    assert_eq!(name("Jam", None), "lobby-mfp.jam.7");
    let odd = [
        "Black",
        "black",
        "BLACK",
        "black_toner",
        "black.toner",
        "black-toner",
    ];
    let names: std::collections::BTreeSet<String> = odd
        .iter()
        .map(|unit| name("TonerEmpty", Some(unit)))
        .collect();
    assert_eq!(names.len(), odd.len(), "{names:?}");
    let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    assert!(
        names.iter().all(|name| name.chars().all(is_fine)),
        "{names:?}"
    );
}

fn texts() -> MessageTextSpec {
    example::toner_empty_text().spec
}

fn words(order: &str) -> PanelWords<'_> {
    PanelWords {
        order,
        supply: "black-toner",
        device: DEVICE,
    }
}

// shows A6, A7
#[test]
fn the_text_is_in_the_language_of_the_device_and_the_id_is_whole() {
    let wide = Capacity::default();
    let small = |columns, is_ascii| Capacity {
        columns: Some(columns),
        lines: Some(1),
        octets: None,
        is_ascii,
    };
    for (language, capacity, expected) in [
        (
            Some("ja"),
            wide,
            "ja black-tonerがなくなりました。注文番号 PO-88123",
        ),
        (
            Some("ja-JP"),
            wide,
            "ja black-tonerがなくなりました。注文番号 PO-88123",
        ),
        (Some("JA"), small(20, false), "ja 注文 PO-88123"),
        (Some("ja"), small(16, true), "en Ordered PO-88123"),
        (Some("ja"), small(15, true), "en PO-88123"),
        (
            Some("fr"),
            wide,
            "en black-toner is empty. A new one is ordered: PO-88123",
        ),
        (None, small(20, true), "en Ordered PO-88123"),
        (Some("pt"), small(8, true), "en PO-88123"),
        (
            Some("en"),
            Capacity {
                octets: Some(16),
                ..wide
            },
            "en Ordered PO-88123",
        ),
        (
            Some("en"),
            Capacity {
                columns: Some(16),
                lines: Some(4),
                ..wide
            },
            "en black-toner is empty. A new one is ordered: PO-88123",
        ),
    ] {
        let (found, text) = panel_text(&texts(), language, words("PO-88123"), capacity).unwrap();
        assert_eq!(
            format!("{found} {text}"),
            expected,
            "{language:?} {capacity:?}"
        );
    }
    let none = panel_text(&texts(), Some("en"), words("PO-88123"), small(7, true));
    assert_eq!(none, Err(TextFault::NoRoom("PO-88123".to_owned())));
}

#[test]
fn what_is_filled_in_is_no_place_again() {
    let texts = MessageTextSpec {
        texts: vec![PanelText {
            language: "en".to_owned(),
            text: "{supply} {orderId} {".to_owned(),
            short: None,
        }],
        fallback: "en".to_owned(),
        ..texts()
    };
    let words = PanelWords {
        supply: "{orderId}",
        ..words("{supply}")
    };
    let (_, text) = panel_text(&texts, None, words, Capacity::default()).unwrap();
    assert_eq!(text, "{orderId} {supply} {");
}

proptest! {
    // shows A5, A9, A10
    #[test]
    fn orders_are_at_most_one_for_each_occurrence_and_one_open_for_each_supply(
        looks in prop::collection::vec((0u8..8, 0i64..40, any::<bool>()), 1..60),
    ) {
        let mut device = Device::new();
        let mut at = 0;
        let mut made = std::collections::BTreeSet::new();
        for (kind, minutes, delivers) in looks {
            at += minutes;
            let report = match kind {
                0 => reasons(&["toner-empty"], percents([0, 40, 40, 40])),
                1 => reasons(&["toner-empty"], Vec::new()),
                2 => reasons(&["toner-empty"], percents([0, 0, 40, 40])),
                3 => reasons(&["toner-low"], percents([0, 40, 40, 40])),
                4 => reasons(&[], percents([100, 40, 40, 40])),
                5 => reasons(&["media-jam"], percents([0, 40, 40, 40])),
                6 => StatusReport::default(),
                _ => reasons(&["toner-empty", "marker-waste-full"], percents([40, 0, 40, 40])),
            };
            let before = device.errors.clone();
            device.look(&[&report], after(at));
            let once = device.errors.clone();
            device.look(&[&report], after(at));
            prop_assert_eq!(&once, &device.errors, "the same look changes nothing");
            for error in &device.errors {
                let known = before.iter().find(|it| it.key == error.key);
                let number = known.map_or(0, |it| it.occurrence);
                prop_assert!(error.occurrence == number || error.occurrence == number + 1);
                let Some(order) = &error.order else { continue };
                if made.insert(order.name.clone()) {
                    let unit = error.unit.clone().unwrap();
                    let open = device.orders.iter().filter(|it| it.is_open && it.lines.contains(&line(Some(&unit), "")));
                    prop_assert_eq!(open.count(), 0, "{:?}", error);
                    device.orders.push(KnownOrder {
                        name: order.name.clone(),
                        lines: vec![line(Some(&unit), "")],
                        id: None,
                        is_open: true,
                        ..KnownOrder::default()
                    });
                }
            }
            if delivers {
                for order in &mut device.orders {
                    order.is_open = false;
                }
            }
        }
    }
}
