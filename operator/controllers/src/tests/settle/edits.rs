//! Edits of objects that exist: other specs, fields that cannot be read, statuses that others wrote.

use serde_json::json;

use super::{
    events::Defacement,
    objects::{OTHER_BROKER, Subject, change, make_amendment, make_notice},
    *,
};

/// Gives a field of an object a type that cannot be read.
pub(super) fn spoil(process: &InProcess, subject: Subject) {
    change(process, subject, |object| {
        spoil_at(object, spoiled(subject));
    });
}

/// Mends what [`spoil`] did.
pub(super) fn mend(process: &InProcess, subject: Subject) {
    change(process, subject, |object| mend_at(object, spoiled(subject)));
}

/// Returns the field that is spoiled.
fn spoiled(subject: Subject) -> &'static str {
    match subject {
        Subject::Contract | Subject::Renewal => "/spec/term/timeZone",
        Subject::Amendment(_) => "/spec/effectiveDate",
        Subject::Notice(_) => "/spec/at",
        Subject::Device(_) | Subject::Caller => "/spec/serialNumber",
        Subject::Site => "/spec/connections/0/name",
        Subject::Service(_) | Subject::CallersService => "/spec/provider",
        Subject::Model | Subject::CallersModel => "/spec/manufacturer",
        Subject::Connection(_) | Subject::Gateway => "/spec/protocol",
        Subject::Enrollment => "/spec/expires",
    }
}

/// Puts a text into a list.
pub(super) fn spoil_at(object: &mut Value, at: &str) {
    if let Some(field) = object.pointer_mut(at).filter(|it| it.is_string()) {
        *field = json!([field.clone()]);
    }
}

/// Takes a text out of a list.
pub(super) fn mend_at(object: &mut Value, at: &str) {
    if let Some(field) = object.pointer_mut(at).filter(|it| it.is_array()) {
        *field = field[0].take();
    }
}

pub(super) fn without_finalizers(object: &mut Value) {
    object["metadata"]["finalizers"] = Value::Null;
}

pub(super) fn deface(object: &mut Value, how: Defacement) {
    match how {
        _ if object["status"].is_null() => {}
        Defacement::Gone => object["status"] = Value::Null,
        Defacement::NoConditions => object["status"]["conditions"] = json!([]),
        Defacement::OtherReady => {
            let conditions = object["status"]["conditions"].as_array_mut();
            for condition in conditions.into_iter().flatten() {
                if condition["type"] == "Ready" {
                    let other = if condition["status"] == "True" {
                        "False"
                    } else {
                        "True"
                    };
                    condition["status"] = json!(other);
                }
            }
        }
        Defacement::OtherGeneration => object["status"]["observedGeneration"] = json!(0),
    }
}

fn start_by_notice(term: &mut Value) {
    *term = json!({
        "startOn": "Notice",
        "startBy": "2027-04-02",
        "duration": "P1M",
        "timeZone": term["timeZone"],
    });
}

/// Lets what somebody changes at the device be left, or be set again.
fn turn_drift_policy(spec: &mut Value) {
    let is_left = spec["driftPolicy"] == "Report";
    spec["driftPolicy"] = json!(if is_left { "Revert" } else { "Report" });
}

pub(super) fn edit(process: &InProcess, subject: Subject, to: usize) {
    match subject {
        Subject::Amendment(number) => make_amendment(process, number, to),
        Subject::Notice(number) => make_notice(process, number, to),
        Subject::Gateway
        | Subject::Caller
        | Subject::CallersModel
        | Subject::CallersService
        | Subject::Enrollment => edit_of_a_caller(process, subject, to),
        Subject::Site => edit_of_the_site(process, to),
        _ => edit_spec(process, subject, to),
    }
}

fn edit_of_a_caller(process: &InProcess, subject: Subject, to: usize) {
    change(process, subject, |object| {
        let spec = &mut object["spec"];
        match (subject, to) {
            (Subject::Gateway, 0) => spec["agent"]["poll"] = json!("1h"),
            (Subject::Gateway, 1) => spec["agent"]["missedPolls"] = json!(1),
            (Subject::Gateway, 2) => spec["agent"]["before"] = json!("10m"),
            (Subject::Gateway, 3 | 4) => spec["allow"] = json!([]),
            (Subject::Gateway, _) => spec["agent"]["elsewhere"] = Value::Null,
            (Subject::Caller, 0) => spec["maintenanceWindows"] = json!([]),
            (Subject::Caller, 1) => {
                spec["maintenanceWindows"] = json!([{"start": "00:30", "duration": "5m"}]);
            }
            (Subject::Caller, 2) => spec["serialNumber"] = json!("NW5-6666"),
            (Subject::Caller, 3) => spec["modelRef"]["name"] = json!("mfp-500"),
            (Subject::Caller, 4) => spec["suspend"] = json!(spec["suspend"] != true),
            (Subject::Caller, 6) => turn_drift_policy(spec),
            (Subject::Caller, _) => spec["timeZone"] = json!("Asia/Tokyo"),
            (Subject::CallersModel, 0) => spec["firmware"] = json!([]),
            (Subject::CallersModel, 1) => {
                spec["firmware"][1]["artifact"]["sha256"] = json!("c3".repeat(32));
            }
            (Subject::CallersModel, 2) => spec["firmware"][0]["downgrade"] = json!(true),
            (Subject::CallersModel, 3) => spec["firmware"][1]["takes"] = json!("9h"),
            (Subject::CallersModel, 4) => spec["applications"] = json!([]),
            (Subject::CallersModel, _) => spec["productNames"] = json!(["Another"]),
            (Subject::CallersService, 0) => {
                spec["device"]["models"][0]["minimumFirmware"] = json!("4.1.0");
            }
            (Subject::CallersService, 1) => {
                spec["device"]["models"][0]["minimumFirmware"] = json!("5");
            }
            (Subject::CallersService, 2) => {
                spec["device"]["models"][0]["applications"] = json!([]);
            }
            (Subject::CallersService, 3) => spec["device"]["models"] = json!([]),
            (Subject::CallersService, 4) => {
                spec["device"]["settings"][0]["value"] = json!("https://elsewhere.example");
            }
            (Subject::CallersService, _) => spec["provider"] = json!("Southwind"),
            (_, 0) => spec["suspend"] = json!(spec["suspend"] != true),
            (_, 1) => spec["expires"] = json!("2027-04-01"),
            (_, 2) => spec["connectionRef"]["name"] = json!("hq-ipp"),
            (_, 3) => spec["maxDevices"] = json!(1),
            (_, 4) => spec["serialNumbers"]["pattern"] = json!("["),
            _ => spec["template"]["timeZone"] = json!("Asia/Tokio"),
        }
    });
}

fn edit_of_the_site(process: &InProcess, to: usize) {
    change(process, Subject::Site, |object| {
        let spec = &mut object["spec"];
        match to {
            0 => spec["connections"] = json!([]),
            1 => spec["connections"] = json!([{"name": "another"}]),
            2 => spec["language"] = json!("pt-BR"),
            3 => spec["timeZone"] = json!("America/Osasco"),
            4 => spec["connections"] = json!([{"name": "another"}, {"name": "hq-ipp"}]),
            _ => spec["connections"] = json!([{"name": "hq-ipp", "queue": "q"}]),
        }
    });
}

fn edit_spec(process: &InProcess, subject: Subject, to: usize) {
    change(process, subject, |object| {
        let spec = &mut object["spec"];
        match (subject, to) {
            (
                Subject::Amendment(_)
                | Subject::Notice(_)
                | Subject::Gateway
                | Subject::Caller
                | Subject::CallersModel
                | Subject::CallersService
                | Subject::Enrollment
                | Subject::Site,
                _,
            ) => {}
            (Subject::Contract, 0) => spec["services"][0]["fee"]["amount"] = json!("13"),
            (Subject::Contract | Subject::Renewal, 1) => {
                spec["services"][0]["parameters"]["weekdays"] = json!("mon");
            }
            (Subject::Contract, 2) => spec["services"][0]["devices"]["names"] = json!(["nobody"]),
            (Subject::Renewal, 0) => spec["succeeds"]["name"] = json!("renewal"),
            (Subject::Renewal, 2) => spec["services"][0]["name"] = json!("copies"),
            (Subject::Renewal, 4) => spec["term"]["startDate"] = json!("2027-04-03"),
            (Subject::Renewal, 5) => _ = spec["services"].as_array_mut().and_then(Vec::pop),
            (Subject::Contract | Subject::Renewal, 3) | (Subject::Device(_), 4) => {
                spec["suspend"] = json!(spec["suspend"] != true);
            }
            (Subject::Contract, 4) => spec["term"]["endDate"] = json!("2027-04-02"),
            (Subject::Contract, 5) => start_by_notice(&mut spec["term"]),
            (Subject::Contract | Subject::Renewal, _) => {
                spec["services"][1]["parameters"]["threshold"] = json!("x");
            }
            (Subject::Device(_), 0) => spec["address"] = json!("10.20.3.1"),
            (Subject::Device(_), 1) => spec["address"] = json!("10.99.3.1"),
            (Subject::Device(_), 2) => spec["serialNumber"] = json!("NW500-9999"),
            (Subject::Device(_), 3) => spec["modelRef"]["name"] = json!("another"),
            (Subject::Device(_), 6) => turn_drift_policy(spec),
            (Subject::Device(_), _) => spec["connections"] = json!([{"name": "another"}]),
            (Subject::Service(0), 0 | 1) => {
                spec["server"]["connectionRef"]["name"] = json!(OTHER_BROKER);
            }
            (Subject::Service(0), 2) => spec["server"]["plan"] = json!("premium"),
            (Subject::Service(0), 3) => spec["server"]["connectionRef"]["name"] = json!("another"),
            (Subject::Service(_), 4) => spec["parameters"][0]["default"] = json!("99999"),
            (Subject::Service(_), _) => spec["provider"] = json!("Southwind"),
            (Subject::Model, 0 | 1) => spec["productNames"] = json!(["Another"]),
            (Subject::Model, 2 | 3) => _ = spec["settings"].as_array_mut().and_then(Vec::pop),
            (Subject::Model, _) => spec["identity"] = Value::Null,
            (Subject::Connection(_), 0 | 1) => {
                if let Some(entry) = spec["allow"].get_mut(0) {
                    entry["networks"] = json!(["10.0.0.0/8"]);
                }
            }
            (Subject::Connection(_), 2) => spec["allow"] = json!([]),
            (Subject::Connection(_), 3) => spec["tls"] = Value::Null,
            (Subject::Connection(_), 4) => spec["sync"] = json!({"period": "1h"}),
            (Subject::Connection(_), _) => {
                spec["credentials"] = json!({"type": "Basic", "secretRef": {"name": "nobody"}});
            }
        }
    });
}
