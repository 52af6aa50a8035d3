//! Cases about firmware and applications: versions of a model, needs of a service, windows of a device,
//! and the installation that a twin asks for.

use serde_json::{Value, json};

use super::CaseKind::{self, Device, DeviceModel, DeviceTwin, SmartService};
use super::{Table, plain, put};
use crate::example;

const VERSION: &str = "must be a version of numbers with dots between them, such as \"4.2.0\"";
const NAME: &str = "must be letters, digits, '.', '_' and '-'";
const URL: &str = "must be a URL such as \"https://files.example/mfp-500-4.2.0.swu\"";

/// Adds a version of a firmware and one of an application, with every member, to a DeviceModel.
pub(super) fn add_to_model(object: &mut Value) {
    let model = plain(&example::mfp_510());
    for list in ["firmware", "applications"] {
        let pointer = format!("/spec/{list}");
        put(object, &pointer, model["spec"][list].clone());
        add_hashes(object, &format!("{pointer}/0/artifact"));
    }
}

/// Adds the digests that are optional to an artifact.
pub(super) fn add_hashes(object: &mut Value, artifact: &str) {
    put(object, &format!("{artifact}/sha1"), json!("ab".repeat(20)));
    put(object, &format!("{artifact}/md5"), json!("ab".repeat(16)));
}

pub(super) fn case(table: &mut Table) {
    models(table);
    services(table);
    windows(table);
    deployments(table);
    for (kind, place) in [
        (DeviceModel, "/spec/firmware/0/artifact"),
        (DeviceModel, "/spec/applications/0/artifact"),
        (DeviceTwin, "/spec/deployment/artifact"),
    ] {
        artifacts(table, kind, place);
    }
}

fn artifacts(table: &mut Table, kind: CaseKind, place: &str) {
    for (member, value, message) in [
        ("url", "ftp://files.example/a.swu", URL),
        ("url", "https://me@files.example/a.swu", URL),
        ("sha256", "AB", "must be 64 lower case hexadecimal digits"),
        ("sha1", "ab", "must be 40 lower case hexadecimal digits"),
        ("md5", "ab", "must be 32 lower case hexadecimal digits"),
    ] {
        let pointer = format!("{place}/{member}");
        let name = format!("{pointer} must not be {value:?}");
        table.rejects(kind, &name, &[(&pointer, json!(value))], message);
    }
    let pointer = format!("{place}/size");
    table.rejects_by_schema(
        kind,
        &format!("{pointer} must not be 0"),
        &[(&pointer, json!(0))],
        "greater than or equal to 1",
    );
}

fn models(table: &mut Table) {
    for place in ["/spec/firmware/0/version", "/spec/applications/0/version"] {
        for good in ["4.10.0", "7", "07.1", "20270401123000", "1.2.3.4.5.6"] {
            let name = format!("{place} may be {good:?}");
            table.accepts(DeviceModel, &name, &[(place, json!(good))]);
        }
        for bad in [
            "v4.2.0",
            "4.2.0-rc1",
            "4.2.0+7",
            "4..2",
            "4.2.",
            ".4",
            "4,2",
            "latest",
            "4.2 ",
            "4.2.0.1234567890123456789",
        ] {
            let name = format!("{place} must not be {bad:?}");
            table.rejects(DeviceModel, &name, &[(place, json!(bad))], VERSION);
        }
    }
    for place in ["/spec/firmware/0/name", "/spec/applications/0/name"] {
        let name = format!("{place} must not be \"a b\"");
        table.rejects(DeviceModel, &name, &[(place, json!("a b"))], NAME);
    }
    table.rejects(
        DeviceModel,
        "an installation that takes no time",
        &[("/spec/firmware/0/takes", json!("0s"))],
        "must be a duration longer than zero",
    );
    const ONCE: &str = "each version of a firmware may be listed once";
    let listed = |names: [Value; 2]| {
        let one = &plain(&example::mfp_510())["spec"]["firmware"][0];
        let all = names.map(|name| {
            let mut one = one.clone();
            put(&mut one, "/name", name);
            one
        });
        [("/spec/firmware", json!(all))]
    };
    for names in [
        [json!("main"), json!("main")],
        [Value::Null, json!("main")],
        [Value::Null, Value::Null],
    ] {
        let name = format!("one version of the firmwares {names:?}");
        table.rejects(DeviceModel, &name, &listed(names), ONCE);
    }
    let two = listed([Value::Null, json!("fax")]);
    table.accepts(DeviceModel, "one version of two firmwares", &two);
    let twice = plain(&example::mfp_510())["spec"]["applications"][0].clone();
    table.rejects_by_schema(
        DeviceModel,
        "one version of an application twice",
        &[("/spec/applications/-", twice)],
        "Duplicate value",
    );
    table.accepts(
        DeviceModel,
        "firmware that nobody can install",
        &[("/spec/firmware/0/via", json!({}))],
    );
}

fn services(table: &mut Table) {
    let model = |more: Value| {
        let mut model = json!({"name": "mfp-500"});
        for (key, value) in more.as_object().into_iter().flatten() {
            model[key] = value.clone();
        }
        ("/spec/device/models/0", model)
    };
    let steps = |types: &[&str]| {
        let steps: Vec<Value> = types.iter().map(|it| json!({"type": it})).collect();
        ("/spec/steps", json!(steps))
    };
    let firmware = || model(json!({"minimumFirmware": "4.2.0"}));
    let application =
        |name: &str, version: &str| json!({"applications": [{"name": name, "version": version}]});
    let applications = || model(application("panel-agent", "2.1"));
    let both = ["Firmware", "Applications", "DeviceSettings"];
    table.accepts(
        SmartService,
        "firmware with its step",
        &[firmware(), steps(&both)],
    );
    table.accepts(
        SmartService,
        "applications with their step",
        &[applications(), steps(&both)],
    );
    table.accepts(
        SmartService,
        "firmware without any steps",
        &[firmware(), steps(&[])],
    );
    table.rejects(
        SmartService,
        "firmware without its step",
        &[firmware(), steps(&["Applications", "DeviceSettings"])],
        "steps must have Firmware where device.models has minimumFirmware",
    );
    table.rejects(
        SmartService,
        "applications without their step",
        &[applications(), steps(&["Firmware", "DeviceSettings"])],
        "steps must have Applications where device.models has applications",
    );
    for (name, of, message) in [
        (
            "a minimum that is no version",
            json!({"minimumFirmware": "4.2b"}),
            VERSION,
        ),
        (
            "an application of no version",
            application("panel-agent", "new"),
            VERSION,
        ),
        (
            "an application of no name",
            application("panel agent", "2.1"),
            NAME,
        ),
    ] {
        let changes = [model(of), steps(&both)];
        table.rejects(SmartService, name, &changes, message);
    }
}

fn windows(table: &mut Table) {
    const TIME: &str = "must be a time of day from \"00:00\" to \"23:59\"";
    let window = |member: &str, value: Value| {
        let mut window = json!({"days": ["Sat", "Sun"], "start": "02:00", "duration": "4h"});
        put(&mut window, member, value);
        [("/spec/maintenanceWindows", json!([window]))]
    };
    table.accepts(
        Device,
        "a window of each day",
        &window("/days", Value::Null),
    );
    for good in ["00:00", "23:59"] {
        let name = format!("a window at {good}");
        table.accepts(Device, &name, &window("/start", json!(good)));
    }
    for bad in ["24:00", "2:00", "02:60", "02:00:00", "2 am"] {
        let name = format!("a window at {bad}");
        table.rejects(Device, &name, &window("/start", json!(bad)), TIME);
    }
    table.rejects(
        Device,
        "a window that is never open",
        &window("/duration", json!("0s")),
        "must be a duration longer than zero",
    );
    table.rejects_by_schema(
        Device,
        "a day that there is not",
        &window("/days/0", json!("Saturday")),
        "Unsupported value",
    );
}

fn deployments(table: &mut Table) {
    let place = "/spec/deployment";
    table.accepts(
        DeviceTwin,
        "the end of an installation",
        &[(place, json!({"action": 3, "cancel": 2}))],
    );
    const TOGETHER: &str = "part, name, version and artifact go together";
    for member in ["part", "name", "version", "artifact"] {
        let pointer = format!("{place}/{member}");
        let name = format!("an installation without {member}");
        table.rejects(DeviceTwin, &name, &[(&pointer, Value::Null)], TOGETHER);
    }
    table.rejects(
        DeviceTwin,
        "an action that asks for nothing",
        &[(place, json!({"action": 3}))],
        "one of artifact and cancel must be set",
    );
    for (member, value, message) in [("name", "a b", NAME), ("version", "new", VERSION)] {
        let pointer = format!("{place}/{member}");
        let name = format!("{pointer} must not be {value:?}");
        table.rejects(DeviceTwin, &name, &[(&pointer, json!(value))], message);
    }
    for action in [json!(0), json!(2_147_483_648_i64)] {
        let pointer = format!("{place}/action");
        let name = format!("the action {action}");
        table.rejects_by_schema(DeviceTwin, &name, &[(&pointer, action)], "than or equal to");
    }
}
