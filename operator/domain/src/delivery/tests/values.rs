//! The values that a service wants: conditions, maps and sources.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{
    Mapping, Revision, ServiceSubscription, ServiceSubscriptionSpec, ValueSource, When,
};

use crate::delivery::{
    DeviceSnapshot,
    resolve::values::{RawValue, Values},
};

/// Returns the text that a setting has for a contract that chose this mode; `None`: it is not
/// controlled.
fn text(
    mode: &str,
    value: Option<&str>,
    source: Option<&ValueSource>,
    when: Option<&When>,
    otherwise: Option<&str>,
) -> Option<String> {
    let revision = Revision {
        parameters: BTreeMap::from([("mode".to_owned(), mode.to_owned())]),
        ..Revision::default()
    };
    let subscription = ServiceSubscription::new(
        "acme.backup.lobby",
        ServiceSubscriptionSpec {
            revisions: vec![revision.clone().into()],
            ..Default::default()
        },
    );
    let snapshot = DeviceSnapshot {
        device_name: "lobby".to_owned(),
        ..DeviceSnapshot::default()
    };
    let values = Values::new(&snapshot, &subscription, &revision);
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let given = values
        .value(
            "report",
            owned(value).as_ref(),
            source,
            when,
            owned(otherwise).as_ref(),
        )
        .expect("everything that is named is there");
    given.map(|given| match given {
        RawValue::Plain(text) => text,
        RawValue::Secret(_) => "a secret".to_owned(),
    })
}

fn only_for_full() -> When {
    When {
        parameter: "mode".to_owned(),
        r#in: vec!["full".to_owned()],
    }
}

// shows B4
#[test]
fn a_setting_is_wanted_only_where_its_condition_holds() {
    let when = only_for_full();
    assert_eq!(
        text("full", Some("daily"), None, Some(&when), None).as_deref(),
        Some("daily")
    );
    assert_eq!(
        text("differential", Some("daily"), None, Some(&when), None),
        None
    );
}

// shows B4
#[test]
fn where_the_condition_fails_the_other_value_is_wanted_if_there_is_one() {
    let when = only_for_full();
    let other = text(
        "differential",
        Some("daily"),
        None,
        Some(&when),
        Some("none"),
    );
    assert_eq!(other.as_deref(), Some("none"));
}

// shows B5
#[test]
fn a_value_that_the_contract_chose_is_mapped_where_a_map_names_it() {
    let source = ValueSource {
        parameter: Some("mode".to_owned()),
        map: vec![Mapping {
            from: "full".to_owned(),
            to: "false".to_owned(),
        }],
        ..ValueSource::default()
    };
    assert_eq!(
        text("full", None, Some(&source), None, None).as_deref(),
        Some("false")
    );
    assert_eq!(
        text("weekly", None, Some(&source), None, None).as_deref(),
        Some("weekly")
    );
}
