//! Faults that only the operator's own rules know, and what is left to the cluster.

mod calling;
mod guides;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Verdict, judge};
use crate::manifests::read;

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().expect("an instant")
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Judges the example catalogue and devices with the example contract after a change of its text.
fn judged(from: &str, to: &str) -> Verdict {
    let text = |name: &str| std::fs::read_to_string(examples().join(name)).expect("an example");
    let contract = text("3-contract.yaml");
    assert!(contract.contains(from), "{from}");
    let contract = contract.replacen(from, to, 1);
    let all = [text("1-catalogue.yaml"), text("2-devices.yaml"), contract].join("---\n");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("all.yaml");
    std::fs::write(&file, all).expect("a file");
    judge(&read(&[file], "default").expect("YAML"), now())
}

fn messages(verdict: &Verdict) -> Vec<&str> {
    verdict.faults.iter().map(|it| &*it.message).collect()
}

#[test]
fn every_example_is_without_a_fault() {
    let folders = ["", "services", "amendments", "notices", "devices-that-call"];
    let folders = folders.map(|it| examples().join(it));
    let manifests = read(&folders, "default").expect("the examples are there");
    let verdict = judge(&manifests, now());
    assert_eq!(messages(&verdict), [""; 0], "{verdict:?}");
    assert!(verdict.objects > 25, "{}", verdict.objects);
}

#[test]
fn a_fault_that_no_schema_knows_is_found_by_the_rules_of_the_operator() {
    for (from, to, expected) in [
        (
            "timeZone: America/Sao_Paulo",
            "timeZone: America/Sao_Paolo",
            "spec.term.timeZone: time zone \"America/Sao_Paolo\" is unknown",
        ),
        (
            "weekdays: \"wed,sun\"",
            "weekdays: \"someday\"",
            "spec.services[backup].parameters.weekdays is \"someday\": must be",
        ),
        (
            "weekdays: \"wed,sun\"",
            "hours: \"wed\"",
            "spec.services[backup].parameters.hours",
        ),
        (
            "name: banco-sul-2027\n",
            "name: Banco_Sul\n",
            "metadata.name must be a DNS label",
        ),
    ] {
        let verdict = judged(from, to);
        let found = messages(&verdict);
        assert!(
            found.iter().any(|it| it.contains(expected)),
            "{expected}: {found:?}"
        );
        let file = &verdict.faults[0].file;
        assert!(
            file.contains("all.yaml#"),
            "a fault names its file and document: {file}"
        );
    }
}

#[test]
fn an_object_that_is_there_twice_is_a_fault() {
    let example = examples().join("3-contract.yaml");
    let manifests = read(&[example.clone(), example], "default").expect("YAML");
    let verdict = judge(&manifests, now());
    let found = messages(&verdict);
    assert!(
        found[0].starts_with("metadata.name: the same object is in "),
        "{found:?}"
    );
}

#[test]
fn what_may_be_in_the_cluster_is_a_note_and_no_fault() {
    let manifests = read(&[examples().join("3-contract.yaml")], "default").expect("YAML");
    let verdict = judge(&manifests, now());
    assert_eq!(messages(&verdict), [""; 0]);
    let notes: Vec<&str> = verdict.notes.iter().map(|it| &*it.message).collect();
    assert!(
        notes.iter().any(|it| it.contains("data-backup")),
        "{notes:?}"
    );
}
