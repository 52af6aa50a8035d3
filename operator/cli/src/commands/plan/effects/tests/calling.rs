//! Plans for a device that calls: what its twin tells, what it would be asked for, and what is not known.

use std::path::Path;

use serde_json::{Value, json};

use super::{Effects, after_writes, at, effects, risks};
use crate::commands::plan::references::dangling;
use crate::commands::plan::{Cached, apply, decoded};
use crate::manifests::{Manifest, read};

const DEVICE: &str = "branch-nw5-0007";

/// Returns the example of devices that call, with a device and its contract.
fn files() -> Vec<Manifest> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/devices-that-call");
    read(&[folder], "banco-sul").expect("examples").objects
}

fn edited(kind: &str, edit: impl FnOnce(&mut Value)) -> Manifest {
    let mut all = files().into_iter();
    let mut found = all.find(|it| it.kind == kind).expect(kind);
    edit(&mut found.object);
    found
}

/// Returns the status of a twin whose device registered and was heard of at an instant.
fn registered(heard: &str, firmware: &str) -> Value {
    json!({
        "registration": {"printerId": "0d5e4d0c-6f3b-5b0a-9c0e-3b7f6f4f1c11",
            "enrollment": "banco-sul-branches", "at": "2027-03-01T12:00:00Z",
            "serialNumber": "NW5-0007", "productName": "Northwind MFP 510",
            "consent": {"by": "Panel", "at": "2027-03-01T11:59:00Z", "textVersion": "1"}},
        "reported": {"version": 1, "settings": [],
            "software": [{"part": "firmware", "name": "main", "version": firmware}]},
        "lastHeard": heard,
    })
}

/// A cluster with the catalogue and the device of the example, and the twin that the operator made of it.
struct Cluster(Cached);

impl Cluster {
    fn with(status: Option<Value>) -> Self {
        let mut cached = Cached::default();
        for file in files().iter().filter(|it| it.kind != "Contract") {
            apply(file, &mut cached, at("2026-11-29T12:00:00Z"));
        }
        let uid = format!("Device banco-sul/{DEVICE}");
        let mut twin = json!({"apiVersion": "entente.dev/v1alpha1", "kind": "DeviceTwin",
            "metadata": {"name": DEVICE, "namespace": "banco-sul", "generation": 1},
            "spec": {"deviceRef": {"name": DEVICE, "uid": uid}}});
        if let Some(status) = status {
            twin["status"] = status;
        }
        let key = ("DeviceTwin", "banco-sul", DEVICE);
        let key = (key.0.to_owned(), key.1.to_owned(), key.2.to_owned());
        cached.values.insert(key, twin);
        Self(cached)
    }

    /// Adds the contract, and the subscription that the operator wrote.
    fn with_contract(mut self) -> Self {
        let contract = edited("Contract", |_| ());
        apply(&contract, &mut self.0, at("2026-11-29T12:00:00Z"));
        let objects = decoded(&self.0).0;
        for subscription in after_writes(&objects, at("2026-11-29T12:00:00Z")) {
            let value = serde_json::to_value(&*subscription).expect("JSON");
            let name = value["metadata"]["name"].as_str().expect("a name");
            let key = (
                "ServiceSubscription".to_owned(),
                "banco-sul".to_owned(),
                name.to_owned(),
            );
            self.0.values.insert(key, value);
        }
        self
    }

    /// Returns the effects of files at an instant, and the faults of their objects.
    fn plan(mut self, files: &[Manifest], now: &str, unlisted: &[&str]) -> (Effects, Vec<String>) {
        let before = decoded(&self.0).0;
        for file in files {
            apply(file, &mut self.0, at(now));
        }
        let after = decoded(&self.0).0;
        let unlisted = unlisted.iter().map(|it| (*it).to_owned()).collect();
        let faults = dangling(files, &after, &unlisted, at(now));
        (effects(files, &before, &after, &unlisted, at(now)), faults)
    }
}

/// Returns the requests to devices that call.
fn requests(plans: &[entente_domain::views::ChangePlan]) -> Vec<String> {
    let calls = plans.iter().flat_map(|it| &it.calls);
    calls.flat_map(|it| it.requests.clone()).collect()
}

// shows B6
#[test]
fn a_contract_for_a_device_that_calls_tells_what_it_would_be_asked_for_in_its_order() {
    let cluster = Cluster::with(Some(registered("2027-05-05T11:00:00Z", "4.1.0")));
    let contract = edited("Contract", |_| ());
    let (effects, _) = cluster.plan(&[contract], "2027-05-05T12:00:00Z", &[]);
    let [plan] = &*effects.named else {
        panic!("{effects:?}");
    };
    assert_eq!(plan.calls[0].devices, [DEVICE]);
    assert_eq!(
        plan.calls[0].requests,
        [
            "from 2027-05-08 02:00 -03 (in 2d): install Firmware/main 4.2.0 in place of 4.1.0",
            "then: install Application/panel-agent 2.1.0",
            "then: set panel.endpoint",
        ],
        "the window opens on Saturday"
    );
    assert_eq!(plan.risks, [""; 0]);
}

// shows C2 K2
#[test]
fn a_device_that_has_not_registered_or_does_not_call_is_a_risk_and_is_asked_for_nothing() {
    let mut withdrawn = registered("2027-05-05T11:00:00Z", "4.1.0");
    withdrawn["registration"]["consent"]["withdrawn"] = json!("2027-05-01T00:00:00Z");
    let mut another = registered("2027-05-05T11:00:00Z", "4.1.0");
    another["registration"]["serialNumber"] = json!("NW5-0008");
    for (status, expected) in [
        (None, "does not answer (NotRegistered): The device has not"),
        (
            Some(registered("2027-05-01T12:00:00Z", "4.1.0")),
            "does not answer (NotHeardOf): ",
        ),
        (Some(withdrawn), "does not answer (ConsentWithdrawn): "),
        (Some(another), "does not answer (NotRegistered): A machine"),
    ] {
        let contract = edited("Contract", |_| ());
        let cluster = Cluster::with(status);
        let (effects, _) = cluster.plan(&[contract], "2027-05-05T12:00:00Z", &[]);
        let found = risks(&effects.named);
        let expected = format!("{DEVICE} {expected}");
        assert!(found.contains(&expected), "{expected}: {found}");
        assert_eq!(requests(&effects.named), [""; 0]);
    }
}

// shows B6 K2
#[test]
fn what_the_device_reports_decides_whether_a_version_that_is_not_listed_is_a_risk() {
    let service = || {
        edited("SmartService", |it| {
            it["spec"]["device"]["models"][0]["minimumFirmware"] = json!("4.3");
        })
    };
    let cluster = |firmware| Cluster::with(Some(registered("2027-05-05T11:00:00Z", firmware)));
    let (effects, faults) =
        cluster("4.2.0")
            .with_contract()
            .plan(&[service()], "2027-05-05T12:00:00Z", &[]);
    let found = risks(&effects.others);
    assert!(found.contains("UnsupportedByModel"), "{found}");
    assert!(found.contains("the device has 4.2.0"), "{found}");
    assert!(effects.breaks_others);
    assert!(
        faults.iter().any(|it| it.contains("lists no version")),
        "{faults:?}"
    );
    let (effects, _) =
        cluster("4.3.1")
            .with_contract()
            .plan(&[service()], "2027-05-05T12:00:00Z", &[]);
    assert_eq!(risks(&effects.others), "");
}

// shows B6
#[test]
fn an_edit_of_the_catalogue_tells_which_devices_would_be_asked_for_something_else() {
    let mut status = registered("2027-05-05T11:00:00Z", "4.2.0");
    status["reported"]["software"]
        .as_array_mut()
        .expect("software")
        .push(json!({"part": "application", "name": "panel-agent", "version": "2.1.0"}));
    status["reported"]["settings"] = json!([{"name": "panel.endpoint", "by": "Server",
        "value": "https://panel.northwind.example/v1"}]);
    let now = "2027-05-05T12:00:00Z";
    let same = edited("SmartService", |_| ());
    let cluster = || Cluster::with(Some(status.clone())).with_contract();
    let (effects, _) = cluster().plan(&[same], now, &[]);
    assert!(effects.others.is_empty(), "{effects:?}");
    let newer = edited("SmartService", |it| {
        it["spec"]["device"]["settings"][0]["value"] = json!("https://panel.northwind.example/v2");
    });
    let (effects, _) = cluster().plan(&[newer], now, &[]);
    assert_eq!(
        requests(&effects.others),
        ["with its next call: set panel.endpoint"]
    );
}

#[test]
fn without_the_right_to_list_twins_nothing_is_said_of_what_devices_told() {
    let contract = edited("Contract", |_| ());
    let cluster = Cluster::with(None);
    let unlisted = ["DeviceTwin"];
    let (effects, _) = cluster.plan(&[contract], "2027-05-05T12:00:00Z", &unlisted);
    assert_eq!(requests(&effects.named), [""; 0]);
    assert_eq!(risks(&effects.named), "");
}

type Edit = fn(&mut Value);

/// Faults of a second enrolment: the edit, and the message.
const SECOND: [(Edit, &str); 5] = [
    (
        |it| it["spec"]["tokenSecretRef"]["name"] = json!("banco-sul-enrollment"),
        "the older DeviceEnrollment banco-sul-branches has the Secret",
    ),
    (
        |it| it["spec"]["connectionRef"]["name"] = json!("nope"),
        "the Connection nope does not exist",
    ),
    (
        |it| it["spec"]["serialNumbers"]["pattern"] = json!("A["),
        "spec.serialNumbers.pattern is \"A[\"",
    ),
    (
        |it| it["metadata"]["namespace"] = json!("elsewhere"),
        "The Connection gateway does not allow the namespace elsewhere",
    ),
    (
        |it| it["spec"]["expires"] = json!("2027-01-01"),
        "Its last day is over",
    ),
];

// shows C2
#[test]
fn an_enrolment_that_lets_nobody_in_is_told_with_the_objects_of_the_cluster() {
    for (edit, expected) in SECOND {
        let mut file = edited("DeviceEnrollment", |it| {
            it["metadata"]["name"] = json!("second");
            it["spec"]["tokenSecretRef"]["name"] = json!("another");
            edit(it);
        });
        "second".clone_into(&mut file.name);
        let namespace = file.object["metadata"]["namespace"].clone();
        namespace
            .as_str()
            .expect("one")
            .clone_into(&mut file.namespace);
        let (_, faults) = Cluster::with(None).plan(&[file], "2027-05-05T12:00:00Z", &[]);
        assert_eq!(faults.len(), 1, "{expected}: {faults:?}");
        assert!(faults[0].contains(expected), "{expected}: {faults:?}");
    }
}
