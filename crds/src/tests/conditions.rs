//! Tests of the closed list of conditions and reasons, and of what the schemas say of it.

use std::collections::BTreeSet;

use super::{crds, root_schema};
use crate::condition::{ConditionType, Reason};

#[test]
fn every_reason_belongs_to_a_condition() {
    for reason in Reason::ALL {
        let used = ConditionType::ALL
            .iter()
            .any(|condition| condition.reasons().contains(reason));
        assert!(used, "no condition has the reason {reason}");
    }
}

// shows K7
#[test]
fn a_reason_that_a_list_lacks_becomes_one_that_it_has() {
    for list in [Reason::OF_AN_ATTEMPT, Reason::OF_A_LOOK] {
        for reason in Reason::ALL {
            assert!(list.contains(&reason.within(list)), "{reason:?}");
        }
        assert!(list.iter().all(|reason| reason.within(list) == *reason));
    }
}

// shows K2
#[test]
fn the_schema_of_a_status_names_the_conditions_that_its_kind_has() {
    let mut seen = 0;
    for (plural, crd) in crds() {
        let kind = crd["spec"]["names"]["kind"].as_str().unwrap();
        let status = &root_schema(&crd)["properties"]["status"];
        let conditions = &status["properties"]["conditions"];
        let text = conditions["description"].as_str().unwrap_or_default();
        let words: BTreeSet<&str> = text.split(|it: char| !it.is_alphanumeric()).collect();
        let all = ConditionType::ALL.iter();
        let named: Vec<&str> = all
            .clone()
            .map(|it| it.as_str())
            .filter(|it| words.contains(it))
            .collect();
        let has = all.filter(|it| it.kinds().contains(&kind));
        let has: Vec<&str> = has.map(|it| it.as_str()).collect();
        assert_eq!(named, has, "{plural}.status.conditions: {text}");
        seen += has.len();
    }
    assert!(seen > 30, "only {seen} conditions");
}
