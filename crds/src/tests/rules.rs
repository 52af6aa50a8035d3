//! The table of cases against the CEL engine of kube, and against itself.

use std::collections::BTreeSet;

use kube::core::cel::{ErrorKind, ValidationError};
use serde_json::Value;

use crate::{
    admission_cases::{self, Case, CaseKind, Verdict},
    spec_rules::{self, ONLY_ON_A_SERVER},
};

/// A rule: kind, the place it complains about with `[]` for an index, and its message.
type Site = (CaseKind, String, String);

/// Returns the faults that the CEL rules of the CRD find in a case.
fn complaints(case: &Case) -> Vec<ValidationError> {
    spec_rules::complaints(case.kind, case.old.as_ref(), &case.new)
}

#[test]
fn every_claim_about_a_rule_holds_in_process() {
    let mut checked = 0;
    for case in admission_cases::all() {
        let refused = match case.verdict {
            Verdict::Accepted => None,
            Verdict::Rejected { message } if message == admission_cases::UNAVAILABLE => continue,
            Verdict::Rejected { message } => Some(message),
            Verdict::RejectedBySchema { .. } => continue, // CEL does not see it; a server does
        };
        let found = complaints(&case);
        let name = &case.name;
        for error in &found {
            assert!(
                error.kind == ErrorKind::ValidationFailure,
                "{name}: not evaluated: {error:?}"
            );
        }
        match refused {
            None => assert!(found.is_empty(), "{name}: {found:?}"),
            Some(message) => {
                let said = found.iter().any(|error| error.message.contains(message));
                assert!(said, "{name}: {found:?}");
            }
        }
        checked += 1;
    }
    assert!(checked > 250, "only {checked} cases");
}

/// Every rule of spec and metadata. Those in status guard against nobody but the operator.
fn sites(kind: CaseKind) -> Vec<(Site, String)> {
    let mut sites = Vec::new();
    super::walk("", spec_rules::schema_of(kind), &mut |path, schema| {
        if path.starts_with(".status") {
            return;
        }
        let rules = schema["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten();
        for rule in rules {
            let field = rule["fieldPath"].as_str().unwrap_or_default();
            let place = format!("{path}{field}").trim_start_matches('.').to_owned();
            let message = rule["message"]
                .as_str()
                .expect("every rule has a message")
                .to_owned();
            sites.push((
                (kind, place, message),
                rule["rule"].as_str().unwrap().to_owned(),
            ));
        }
    });
    sites
}

/// Returns a path without its numbers: `spec.services[3].name` as `spec.services[].name`.
fn without_indices(path: &str) -> String {
    let mut inside = false;
    path.trim_start_matches('.')
        .chars()
        .filter(|character| {
            inside = (inside && *character != ']') || *character == '[';
            !inside || *character == '['
        })
        .collect()
}

#[test]
fn every_rule_refuses_something_in_the_table() {
    let fired: BTreeSet<Site> = admission_cases::all()
        .iter()
        .filter(|case| matches!(case.verdict, Verdict::Rejected { .. }))
        .flat_map(|case| {
            complaints(case)
                .into_iter()
                .map(|error| (case.kind, without_indices(&error.field_path), error.message))
        })
        .collect();
    let rules: Vec<Site> = CaseKind::ALL
        .iter()
        .copied()
        .flat_map(sites)
        .filter(|(_, rule)| !rule.starts_with(ONLY_ON_A_SERVER))
        .map(|(site, _)| site)
        .collect();
    assert!(rules.len() > 100, "only {} rules were found", rules.len());
    let silent: Vec<_> = rules.iter().filter(|site| !fired.contains(site)).collect();
    assert!(silent.is_empty(), "no case breaks {silent:#?}");
}

/// The rule that the engine cannot evaluate is at least in the table that a real server gets.
#[test]
fn the_rule_for_a_real_server_alone_is_in_the_table() {
    let rules: Vec<_> = CaseKind::ALL
        .iter()
        .copied()
        .flat_map(sites)
        .filter(|(_, rule)| rule.starts_with(ONLY_ON_A_SERVER))
        .map(|((kind, _, message), _)| (kind, message))
        .collect();
    assert_eq!(
        rules,
        [(CaseKind::Contract, admission_cases::UNAVAILABLE.to_owned())]
    );
    let cases = admission_cases::all();
    let refusing = Verdict::Rejected {
        message: admission_cases::UNAVAILABLE,
    };
    assert!(cases.iter().filter(|case| case.verdict == refusing).count() > 2);
}

/// A rule on a field that no accepted object has would refuse everything and nobody would notice.
#[test]
fn every_rule_lets_something_in_the_table_pass() {
    let accepted: Vec<Case> = admission_cases::all()
        .into_iter()
        .filter(|case| case.verdict == Verdict::Accepted)
        .collect();
    for (site, rule) in CaseKind::ALL.iter().copied().flat_map(sites) {
        let (kind, place, message) = &site;
        let change = rule.contains("oldSelf");
        let passes = accepted.iter().any(|case| {
            case.kind == *kind
                && has(&case.new, place)
                && (!change || case.old.as_ref().is_some_and(|old| has(old, place)))
        });
        assert!(
            passes,
            "no accepted case has {place} of {kind:?}: {message}"
        );
    }
}

/// True if the object has a value at the path, where `[]` is any item of a list.
fn has(object: &Value, place: &str) -> bool {
    let (head, rest) = place.split_once('.').unwrap_or((place, ""));
    let (key, list) = head
        .strip_suffix("[]")
        .map_or((head, false), |key| (key, true));
    let Some(value) = (if key.is_empty() {
        Some(object)
    } else {
        object.get(key)
    }) else {
        return false;
    };
    let below = |value: &Value| rest.is_empty() || has(value, rest);
    if list {
        value
            .as_array()
            .is_some_and(|items| items.iter().any(below))
    } else {
        below(value)
    }
}

#[test]
fn the_names_of_claims_differ() {
    let cases = admission_cases::all();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len());
}
