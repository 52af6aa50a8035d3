use entente_crds::v1alpha1::{DeviceTwinSpec, ReportedSoftware, TwinReported};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;

const ALL: Controller = Controller { part: None };

fn now() -> Timestamp {
    "2027-03-31T14:00:00Z".parse().unwrap()
}

/// Returns a twin that asks for firmware 4.2.0 by action 12, of a device that reported this version.
fn twin(reported: Option<&str>) -> DeviceTwin {
    let deployment = TwinDeployment {
        action: 12,
        part: Some(SoftwarePart::Firmware),
        name: Some("main".to_owned()),
        version: Some("4.2.0".to_owned()),
        artifact: Some(Artifact {
            url: "https://files.example/mfp-500-4.2.0.swu".to_owned(),
            sha256: "ab".repeat(32),
            size: 1000,
            ..Artifact::default()
        }),
        ..TwinDeployment::default()
    };
    let spec = DeviceTwinSpec {
        deployment: Some(deployment),
        ..DeviceTwinSpec::default()
    };
    let mut twin = DeviceTwin::new("lobby-mfp", spec);
    let software = reported.map(|version| ReportedSoftware {
        part: SoftwarePart::Firmware,
        name: "main".into(),
        version: version.into(),
    });
    twin.status = Some(DeviceTwinStatus {
        reported: Some(TwinReported {
            software: software.into_iter().collect(),
            ..TwinReported::default()
        }),
        ..DeviceTwinStatus::default()
    });
    twin
}

fn in_state(mut twin: DeviceTwin, action: i64, state: DeploymentState) -> DeviceTwin {
    twin.status = Some(with_state(&twin, action, state, None, now()));
    twin
}

fn cancelling(mut twin: DeviceTwin) -> DeviceTwin {
    twin.spec.deployment = Some(TwinDeployment {
        action: 13,
        cancel: Some(12),
        ..TwinDeployment::default()
    });
    twin
}

/// Returns the tasks of a device, in words.
fn offered(twin: &DeviceTwin, controller: Controller) -> String {
    let offer = offer(twin, controller, now());
    let words = [
        offer.config_data.then(|| "report".to_owned()),
        offer.cancel.map(|stop| format!("cancel {stop}")),
        offer
            .installation
            .map(|it| format!("install {}", it.action)),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

// shows B6
#[test]
fn an_installation_is_offered_until_it_has_ended_or_the_version_is_reported() {
    use DeploymentState::{Cancelled, Downloading, Failed, Installed, Offered};
    let old = || twin(Some("4.1.0"));
    let rows = vec![
        (old(), "install 12"),
        (twin(None), "report, install 12"),
        (twin(Some("4.2.0")), ""),
        (in_state(old(), 12, Offered), "install 12"),
        (in_state(old(), 12, Downloading), "install 12"),
        (in_state(old(), 12, Installed), "report"),
        (in_state(old(), 12, Failed), "report"),
        (in_state(old(), 12, Cancelled), "report"),
        (in_state(old(), 11, Failed), "install 12"),
        (in_state(twin(Some("4.2.0")), 12, Installed), ""),
        (cancelling(old()), ""),
        (cancelling(in_state(old(), 12, Downloading)), "cancel 12"),
        (cancelling(in_state(old(), 12, Installed)), ""),
        (cancelling(in_state(old(), 12, Cancelled)), ""),
        (
            DeviceTwin::new("empty", DeviceTwinSpec::default()),
            "report",
        ),
    ];
    for (twin, expected) in rows {
        let state = &twin.status;
        assert_eq!(offered(&twin, ALL), expected, "{state:?}");
    }
}

// shows B6
#[test]
fn an_action_with_a_cancellation_waits_until_that_has_ended() {
    let mut twin = in_state(twin(Some("4.1.0")), 11, DeploymentState::Downloading);
    twin.spec.deployment.as_mut().unwrap().cancel = Some(11);
    assert_eq!(offered(&twin, ALL), "cancel 11");
    let ended = in_state(twin, 11, DeploymentState::Cancelled);
    assert_eq!(offered(&ended, ALL), "install 12");
}

// shows B6
#[test]
fn nothing_new_is_offered_after_the_window_and_what_was_offered_stays() {
    let mut twin = twin(Some("4.1.0"));
    let mut until = |second| {
        let instant = now() + SignedDuration::from_secs(second);
        twin.spec.deployment.as_mut().unwrap().until = Some(instant);
        twin.clone()
    };
    assert_eq!(offered(&until(1), ALL), "install 12");
    assert_eq!(offered(&until(0), ALL), "report");
    let before = in_state(until(-1), 12, DeploymentState::Offered);
    assert_eq!(offered(&before, ALL), "install 12");
}

// shows B6 C17
#[test]
fn a_controller_has_the_name_of_its_device_and_perhaps_one_part() {
    let of = |namespace: &str, id: &str| {
        Controller::of((namespace, id), ("acme", "lobby-mfp")).map(|it| it.part)
    };
    assert_eq!(of("acme", "lobby-mfp"), Ok(None));
    let firmware = of("acme", "lobby-mfp.firmware");
    assert_eq!(firmware, Ok(Some(SoftwarePart::Firmware)));
    let application = of("acme", "lobby-mfp.application");
    assert_eq!(application, Ok(Some(SoftwarePart::Application)));
    for (namespace, id) in [
        ("globex", "lobby-mfp"),
        ("acme", "lobby-mfp2"),
        ("acme", "lobby"),
        ("acme", "lobby-mfp."),
        ("acme", "lobby-mfp.os"),
        ("acme", ""),
    ] {
        assert_eq!(of(namespace, id), Err(Problem::DeviceMismatch), "{id}");
    }
    let only = |part| Controller { part: Some(part) };
    let twin = twin(Some("4.1.0"));
    let firmware = offered(&twin, only(SoftwarePart::Firmware));
    assert_eq!(firmware, "install 12");
    assert_eq!(offered(&twin, only(SoftwarePart::Application)), "");
    let other = alive(&twin, only(SoftwarePart::Application), Some(12));
    assert_eq!(other.unwrap_err(), Problem::ActionNotFound);
}

fn said(execution: &str, finished: &str) -> Feedback {
    let body = json!({"status": {"execution": execution, "result": {"finished": finished},
        "details": ["first", "last words", " "]}});
    Feedback::read(&body).unwrap()
}

// shows B6 D1
#[test]
fn feedback_changes_the_state_of_an_action_and_never_what_is_reported() {
    use DeploymentState::{Cancelled, Downloading, Failed, Installed, Offered};
    let twin = in_state(twin(Some("4.1.0")), 12, Offered);
    for (execution, finished, expected) in [
        ("proceeding", "none", Downloading),
        ("proceeding", "success", Downloading),
        ("scheduled", "none", Downloading),
        ("resumed", "none", Downloading),
        ("download", "none", Downloading),
        ("downloaded", "none", Downloading),
        ("closed", "success", Installed),
        ("closed", "none", Installed),
        ("closed", "failure", Failed),
        ("rejected", "none", Failed),
        ("canceled", "none", Cancelled),
    ] {
        let said = said(execution, finished);
        let after = said.about_installation(&twin, ALL, Some(12), now());
        let after = after.unwrap().unwrap();
        let state = after.deployment.unwrap();
        assert_eq!(state.state, expected, "{execution} {finished}");
        assert_eq!(state.message.unwrap().as_str(), "last words");
        let reported = twin.status.as_ref().unwrap().reported.clone();
        assert_eq!(after.reported, reported);
    }
}

// shows B6
#[test]
fn feedback_may_come_again_and_is_over_with_the_action() {
    use DeploymentState::{Downloading, Failed, Installed};
    let about = |twin: &DeviceTwin, execution: &str, finished: &str, action: i64| {
        let said = said(execution, finished);
        let after = said.about_installation(twin, ALL, Some(action), now());
        after.map(|status| status.map(|it| it.deployment.unwrap().state))
    };
    let loading = in_state(twin(Some("4.1.0")), 12, Downloading);
    assert_eq!(
        about(&loading, "proceeding", "none", 12),
        Ok(None),
        "no write"
    );
    let installed = in_state(loading.clone(), 12, Installed);
    assert_eq!(
        about(&installed, "closed", "success", 12),
        Ok(None),
        "told again"
    );
    let over = Err(Problem::ActionOver);
    assert_eq!(about(&installed, "closed", "failure", 12), over);
    assert_eq!(about(&installed, "proceeding", "none", 12), over);
    assert_eq!(
        about(&loading, "closed", "success", 11),
        over,
        "an older one"
    );
    let unknown = Err(Problem::ActionNotFound);
    assert_eq!(about(&loading, "closed", "success", 13), unknown);
    let stopping = cancelling(loading);
    assert_eq!(about(&stopping, "closed", "failure", 12), Ok(Some(Failed)));
    assert_eq!(about(&stopping, "closed", "success", 13), unknown);
    assert_eq!(
        alive(&stopping, ALL, Some(12)).unwrap_err(),
        Problem::ActionOver
    );
}

// shows B6
#[test]
fn a_cancellation_is_answered_by_the_number_of_either_and_a_refusal_lets_the_action_go_on() {
    use DeploymentState::{Cancelled, Downloading, Installed};
    let twin = cancelling(in_state(twin(Some("4.1.0")), 12, Downloading));
    assert_eq!(stop(&twin, Some(12)), Ok(12));
    assert_eq!(stop(&twin, Some(13)), Ok(12));
    assert_eq!(stop(&twin, Some(11)), Err(Problem::ActionOver));
    assert_eq!(stop(&twin, Some(14)), Err(Problem::ActionNotFound));
    let about = |twin: &DeviceTwin, execution: &str, finished: &str| {
        let after = said(execution, finished).about_cancellation(twin, Some(12), now());
        after.map(|status| {
            status
                .map(|it| it.deployment.unwrap())
                .map(|it| (it.action, it.state))
        })
    };
    for (execution, finished, expected) in [
        ("closed", "success", Some((12, Cancelled))),
        ("canceled", "none", Some((12, Cancelled))),
        ("closed", "failure", None),
        ("rejected", "none", None),
        ("proceeding", "none", None),
    ] {
        assert_eq!(
            about(&twin, execution, finished),
            Ok(expected),
            "{execution}"
        );
    }
    let cancelled = in_state(twin.clone(), 12, Cancelled);
    assert_eq!(
        about(&cancelled, "closed", "success"),
        Ok(None),
        "told again"
    );
    assert_eq!(
        about(&cancelled, "rejected", "none"),
        Err(Problem::ActionOver)
    );
    let installed = in_state(twin, 12, Installed);
    assert_eq!(
        about(&installed, "closed", "success"),
        Err(Problem::ActionOver)
    );
    assert_eq!(stop(&installed, Some(12)), Err(Problem::ActionOver));
}

fn faults(problem: Problem) -> Vec<String> {
    let Problem::Invalid(_, faults) = problem else {
        panic!("{problem:?}");
    };
    faults.into_iter().map(|it| it.pointer).collect()
}

#[test]
fn feedback_with_faults_is_answered_with_their_places() {
    for (body, places) in [
        (json!([]), vec![""]),
        (json!({}), vec!["/status"]),
        (json!({"status": "closed"}), vec!["/status"]),
        (
            json!({"status": {"execution": "closed"}}),
            vec!["/status/result"],
        ),
        (
            json!({"status": {"execution": "done", "result": {"finished": 1}, "details": "x"}}),
            vec![
                "/status/execution",
                "/status/details",
                "/status/result/finished",
            ],
        ),
        (
            json!({"status": {"execution": "closed", "result": {"finished": "none"}, "details": [1]}}),
            vec!["/status/details"],
        ),
    ] {
        let mut found = faults(Feedback::read(&body).unwrap_err());
        let mut places = places;
        found.sort();
        places.sort_unstable();
        assert_eq!(found, places, "{body}");
    }
}

fn software(twin: &DeviceTwin) -> Vec<String> {
    let reported = twin.status.as_ref().unwrap().reported.clone().unwrap();
    let software = reported.software.into_iter();
    software
        .map(|it| format!("{:?} {} {}", it.part, it.name, it.version))
        .collect()
}

fn report(twin: &DeviceTwin, controller: Controller, body: &Value) -> DeviceTwin {
    let status = ConfigData::read(body).unwrap();
    let status = status.apply(twin, controller, now()).unwrap();
    DeviceTwin {
        status: Some(status),
        ..twin.clone()
    }
}

// shows B6 D1
#[test]
fn versions_are_merged_replaced_and_removed_in_both_forms() {
    let twin = twin(Some("4.1.0"));
    let both = ["Firmware main 4.2.0", "Application scan 1.0"];
    let former = json!({"id": "", "time": "20270331T140000", "status": {"execution": "closed"},
        "data": {"firmware.main": "4.2.0", "application.scan": "1.0", "hw": "mfp", "a.b": "c"}});
    let reported = report(&twin, ALL, &former);
    assert_eq!(software(&reported), both);
    let of_hawkbit = json!({"mode": null, "data": {"firmware.main": "4.2.0"}});
    assert_eq!(software(&report(&twin, ALL, &of_hawkbit)), both[..1]);
    let replace = json!({"mode": "replace", "data": {"application.scan": "1.1"}});
    assert_eq!(
        software(&report(&reported, ALL, &replace)),
        ["Application scan 1.1"]
    );
    let of_applications = Controller {
        part: Some(SoftwarePart::Application),
    };
    let replaced = report(&reported, of_applications, &replace);
    assert_eq!(
        software(&replaced),
        ["Firmware main 4.2.0", "Application scan 1.1"]
    );
    let remove = json!({"mode": "remove", "data": {"application.scan": "x"}});
    assert_eq!(software(&report(&reported, ALL, &remove)), both[..1]);
}

// shows B6
#[test]
fn the_first_report_after_an_end_is_noted_and_the_next_ones_are_not() {
    let twin = in_state(twin(Some("4.1.0")), 12, DeploymentState::Installed);
    let body = json!({"data": {"firmware.main": "4.2.0"}});
    let first = report(&twin, ALL, &body);
    let noted = |twin: &DeviceTwin| state(twin).unwrap().reported;
    assert_eq!((noted(&twin), noted(&first)), (None, Some(now())));
    let status = ConfigData::read(&body).unwrap();
    let later = now() + SignedDuration::from_hours(1);
    let status = status.apply(&first, ALL, later).unwrap();
    assert_eq!(status.deployment.unwrap().reported, Some(now()));
}

#[test]
fn versions_with_faults_are_answered_with_their_places() {
    let many: serde_json::Map<String, Value> =
        (0..65).map(|it| (format!("a{it}"), json!("x"))).collect();
    for (body, places) in [
        (json!([]), vec![""]),
        (json!({"mode": "merge"}), vec!["/data"]),
        (json!({"data": []}), vec!["/data"]),
        (json!({"data": many}), vec!["/data"]),
        (json!({"mode": "add", "data": {}}), vec!["/mode"]),
        (
            json!({"data": {"firmware.main": 4}}),
            vec!["/data/firmware.main"],
        ),
        (
            json!({"data": {"firmware.main": ""}}),
            vec!["/data/firmware.main"],
        ),
        (
            json!({"data": {"firmware.main": "4 2"}}),
            vec!["/data/firmware.main"],
        ),
        (json!({"data": {"hw": 4}}), vec!["/data/hw"]),
    ] {
        assert_eq!(
            faults(ConfigData::read(&body).unwrap_err()),
            places,
            "{body}"
        );
    }
    let body = |from: usize| {
        let names = from..from + 40;
        let data: serde_json::Map<String, Value> = names
            .map(|it| (format!("application.a{it}"), json!("1")))
            .collect();
        json!({ "data": data })
    };
    let first = report(&twin(None), ALL, &body(0));
    let more = ConfigData::read(&body(40)).unwrap();
    assert_eq!(
        faults(more.apply(&first, ALL, now()).unwrap_err()),
        ["/data"]
    );
}

// shows B6
#[test]
fn a_deployment_leads_to_this_gateway_alone_and_has_every_digest() {
    let twin = twin(Some("4.1.0"));
    let installation = alive(&twin, ALL, number("12")).unwrap();
    let links = |is_plain| Links {
        controller: "https://gw.example/acme/controller/v1/lobby-mfp".to_owned(),
        is_plain,
    };
    let digests = Digests {
        sha1: "1",
        md5: "5",
        sha256: "256",
    };
    let body = deployment(installation, digests, &links(false));
    assert_eq!(body["id"], "12", "clients read a number from a text");
    let chunk = &body["deployment"]["chunks"][0];
    assert_eq!(chunk["part"], "os");
    let artifact = &chunk["artifacts"][0];
    let hashes = json!({"sha1": "1", "md5": "5", "sha256": "256"});
    assert_eq!(artifact["hashes"], hashes);
    assert_eq!(artifact["size"], 1000);
    let href = "https://gw.example/acme/controller/v1/lobby-mfp/softwaremodules/12/artifacts/mfp-500-4.2.0.swu";
    assert_eq!(artifact["_links"], json!({"download": {"href": href}}));
    let plain = deployment(installation, digests, &links(true)).to_string();
    assert!(plain.contains("download-http") && !plain.contains("files.example"));
    let offer = offer(&twin, ALL, now());
    let body = base(offer, &links(false), SignedDuration::from_secs(65));
    assert_eq!(body["config"]["polling"]["sleep"], "00:01:05");
    let links = body["_links"].as_object().unwrap();
    assert_eq!(links.keys().collect::<Vec<_>>(), ["deploymentBase"]);
}

#[test]
fn a_file_has_the_plain_name_of_its_url_or_one_of_its_digest() {
    let mut twin = twin(None);
    let mut name = |url: &str| {
        let deployment = twin.spec.deployment.as_mut().unwrap();
        deployment.artifact.as_mut().unwrap().url = url.to_owned();
        file_name(installation(&twin, ALL).unwrap())
    };
    let digest = "ab".repeat(8);
    for (url, expected) in [
        ("https://files.example/a/b_4.2.swu", "b_4.2.swu".to_owned()),
        ("https://files.example/a.swu?x=/y", "a.swu".to_owned()),
        ("https://files.example/a%20b.swu", format!("{digest}.swu")),
        ("https://files.example/.swu", format!("{digest}.swu")),
        ("https://files.example/..", format!("{digest}.bin")),
        ("https://files.example/", format!("{digest}.bin")),
    ] {
        assert_eq!(name(url), expected, "{url}");
    }
}

// shows B6
#[test]
fn a_file_is_there_for_the_action_that_is_alive_and_for_no_other() {
    let twin = twin(Some("4.1.0"));
    let of = |twin: &DeviceTwin, module: &str, name: &str| {
        of_file(twin, ALL, (module, name)).map(|it| it.action)
    };
    assert_eq!(of(&twin, "12", "mfp-500-4.2.0.swu"), Ok(12));
    let none = Err(Problem::ArtifactNotFound);
    assert_eq!(of(&twin, "12", "other.swu"), none);
    assert_eq!(of(&twin, "11", "mfp-500-4.2.0.swu"), none);
    assert_eq!(of(&twin, "012", "mfp-500-4.2.0.swu"), none);
    let failed = in_state(twin, 12, DeploymentState::Failed);
    assert_eq!(of(&failed, "12", "mfp-500-4.2.0.swu"), none);
}

#[test]
fn a_number_of_an_action_is_one_that_a_client_reads_as_it_is() {
    for (text, expected) in [
        ("12", Some(12)),
        ("1", Some(1)),
        ("999999999999999999", Some(999_999_999_999_999_999)),
        ("0", None),
        ("012", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("99999999999999999999", None),
        ("", None),
    ] {
        assert_eq!(number(text), expected, "{text}");
    }
}

#[test]
fn a_time_is_written_as_a_time_of_day() {
    for (seconds, text) in [
        (0, "00:00:01"),
        (5, "00:00:05"),
        (83_520, "23:12:00"),
        (86_400, "23:59:59"),
        (1_000_000, "23:59:59"),
    ] {
        assert_eq!(sleep(SignedDuration::from_secs(seconds)), text);
    }
}
