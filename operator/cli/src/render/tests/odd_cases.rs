//! Faults of other plugins, as rows: each is a public report, and a check that ours does not have it.

use entente_crds::v1alpha1::{Contract, ServiceSubscription};
use entente_domain::views::{Health, TreeOptions, contract_tree};
use serde_json::json;

use super::fixture::{contract, now, subscription, subscriptions};
use super::{PLAIN, columns};

/// A row: the report, what happened there, and objects with a check of the tree of them.
struct Row {
    report: &'static str,
    what: &'static str,
    objects: fn() -> (Contract, Vec<ServiceSubscription>),
    holds: fn(&str) -> bool,
}

fn ready(reason: &str, message: &str) -> serde_json::Value {
    json!({"conditions": [{"type": "Ready", "status": "False", "reason": reason,
        "message": message, "lastTransitionTime": "2027-04-01T03:00:00Z",
        "observedGeneration": 1}]})
}

const ROWS: &[Row] = &[
    Row {
        report: "kubernetes-sigs/cluster-api#11782",
        what: "a message of several lines breaks the branches of the tree",
        objects: || {
            let message = "* first line\n* second line";
            let two = ["a-mfp", "b-mfp"];
            let two = two.map(|it| subscription("backup", it, ready("Busy", message)));
            (contract(), two.into())
        },
        holds: |text| {
            let second = text.lines().filter(|it| it.contains("* second line"));
            second.clone().count() == 2 && second.clone().all(|line| line.starts_with('│'))
        },
    },
    Row {
        report: "devantler-tech/platform#2820",
        what: "Ready is True beside a difference, so that nobody sees it",
        objects: || {
            let mut status = ready("Drifted", "backup.weekdays was changed at the device.");
            status["conditions"][0]["status"] = json!("True");
            status["items"] = json!([
                {"key": "DeviceSetting/backup.endpoint", "state": "Effective"},
                {"key": "DeviceSetting/backup.weekdays", "state": "NotEffective",
                    "wasEffective": true, "lastVerified": "2027-04-01T04:00:00Z"},
            ]);
            let drifted = subscription("backup", "lobby-mfp", status);
            (contract(), vec![drifted])
        },
        holds: |text| {
            let item = text.lines().find(|it| it.contains("backup.weekdays"));
            item.is_some_and(|line| line.contains("Drifted"))
                && text.contains("next step: See status.drift of the Device")
                && !text.contains("backup.endpoint")
        },
    },
    Row {
        report: "kubernetes-sigs/cluster-api#12666",
        what: "the same message is shown at the parent and again at its child",
        objects: || (contract(), subscriptions()),
        holds: |text| text.matches("No answer from 10.20.3.7:631").count() == 1,
    },
    Row {
        report: "crossplane/crossplane#5363",
        what: "while the parent is deleted, children that are gone are shown as errors",
        objects: || {
            let mut going = contract();
            let at = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now());
            going.metadata.deletion_timestamp = Some(at);
            (going, Vec::new())
        },
        holds: |text| text.contains(": in progress") && !text.contains("failed"),
    },
    Row {
        report: "cloudnative-pg/cloudnative-pg#4853",
        what: "objects of the same name in another namespace are shown",
        objects: || {
            let mut all = subscriptions();
            for found in &mut all {
                if found.spec.device_ref.name == "lobby-mfp" {
                    found.metadata.namespace = Some("elsewhere".to_owned());
                }
            }
            (contract(), all)
        },
        holds: |text| !text.contains("lobby-mfp") && text.contains("branch-01-mfp"),
    },
    Row {
        report: "cloudnative-pg/cloudnative-pg#5510",
        what: "an object without any status is reported as missing or broken",
        objects: || {
            let mut fresh = contract();
            fresh.status = None;
            (fresh, Vec::new())
        },
        holds: |text| {
            text.contains("in progress, Pending")
                && text.contains("The operator has not seen this object yet.")
        },
    },
    Row {
        report: "fluxcd/helm-controller#265",
        what: "the state of the previous spec is shown as that of the new one",
        objects: || {
            let mut edited = contract();
            edited.metadata.generation = Some(2);
            (edited, Vec::new())
        },
        holds: |text| text.contains("The operator has not seen this spec yet."),
    },
    Row {
        report: "cert-manager/cert-manager#3145",
        what: "children that are done are not shown, as if there were none",
        objects: || {
            let mut done = contract();
            done.status = None;
            (done, subscriptions())
        },
        holds: |text| text.contains("2 devices") && text.contains("Delivered"),
    },
    Row {
        report: "CVE-2021-25743, kubernetes/kubernetes#101695",
        what: "control characters in a message draw over the terminal",
        objects: || {
            let message = "a\u{1b}[2J\u{9b}31mred\u{7}";
            let found = subscription("backup", "a-mfp", ready("ProtocolError", message));
            (contract(), vec![found])
        },
        holds: |text| {
            text.chars()
                .all(|found| found == '\n' || !found.is_control())
        },
    },
];

#[test]
fn reports_about_other_plugins_do_not_apply_to_this_one() {
    for row in ROWS {
        let (contract, subscriptions) = (row.objects)();
        let options = TreeOptions::default();
        let view = contract_tree(&contract, &subscriptions, Vec::new(), options, now());
        for screen in [PLAIN, columns(80)] {
            let text = super::super::tree(&view, false, &screen, now());
            assert!((row.holds)(&text), "{}: {}\n{text}", row.report, row.what);
        }
    }
}

/// A contract that is over or scheduled is settled although nothing of it is delivered, as kstatus and
/// Argo CD see it.
#[test]
fn health_is_that_of_the_other_tools() {
    let health = |status: &str, generation: i64, more: &[&str]| {
        let mut conditions = vec![json!({"type": "Ready", "status": status, "reason": "Busy",
            "message": "", "lastTransitionTime": "2027-04-01T03:00:00Z",
            "observedGeneration": generation})];
        conditions.extend(more.iter().map(|name| {
            json!({"type": name, "status": "True", "reason": "Busy", "message": "",
                   "lastTransitionTime": "2027-04-01T03:00:00Z"})
        }));
        let conditions: Vec<entente_crds::v1alpha1::Condition> =
            serde_json::from_value(json!(conditions)).expect("conditions");
        let metadata = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
            generation: Some(1),
            ..Default::default()
        };
        entente_domain::views::health(&metadata, &conditions).health
    };
    for (status, generation, more, expected) in [
        ("True", 1, &[][..], Health::Settled),
        ("True", 1, &["PromiseMissed"][..], Health::Settled),
        ("False", 1, &["Reconciling"][..], Health::InProgress),
        ("False", 1, &["Stalled"][..], Health::Failed),
        (
            "False",
            1,
            &["Reconciling", "PromiseMissed"][..],
            Health::Failed,
        ),
        ("True", 0, &[][..], Health::InProgress),
        ("Unknown", 1, &[][..], Health::InProgress),
    ] {
        assert_eq!(
            health(status, generation, more),
            expected,
            "{status} {generation} {more:?}"
        );
    }
}
