//! Tests of the decisions about firmware and applications.

use super::*;

const MOST: u64 = 1 << 32;

fn gateway() -> Url {
    Url::parse("https://gw.example/").unwrap()
}

fn offer(change: impl FnOnce(&mut Value)) -> Deployment {
    let mut offer = json!({"id": "12", "deployment": {"download": "forced", "update": "forced", "chunks": [
        {"part": "os", "name": "main", "version": "4.2.0", "artifacts": [
            {"filename": "a.swu", "size": 10,
             "hashes": {"sha1": "x", "md5": "x", "sha256": "ab".repeat(32)},
             "_links": {"download": {"href": "https://gw.example/acme/controller/v1/x/softwaremodules/1/artifacts/a.swu"}}}]}]}});
    change(&mut offer);
    serde_json::from_value(offer).unwrap()
}

fn judged(change: impl FnOnce(&mut Value)) -> Verdict {
    judge(&offer(change), &Installed::default(), MOST, &gateway())
}

fn artifact(offer: &mut Value) -> &mut Value {
    &mut offer["deployment"]["chunks"][0]["artifacts"][0]
}

#[test]
fn an_offer_is_installed_and_an_old_one_is_answered_again() {
    let mut installed = Installed::default();
    let offer = offer(|_| ());
    let verdict = judge(&offer, &installed, MOST, &gateway());
    let Verdict::Install { fetch, software } = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!((fetch.len(), fetch[0].size), (1, 10));
    assert_eq!(
        (&*software[0].part, &*software[0].version),
        ("firmware", "4.2.0")
    );
    // eclipse-hawkbit/hawkbit issue 866: an artifact that was fetched again at each poll.
    let over = installed.end("12", true, "installed");
    let again = judge(&offer, &installed, MOST, &gateway());
    assert_eq!(again, Verdict::Again(over));
    installed.over.clear();
    installed.running = software;
    assert_eq!(judge(&offer, &installed, MOST, &gateway()), Verdict::Runs);
}

#[test]
fn a_part_of_another_name_is_what_runs_under_that_name() {
    let mut installed = Installed::default();
    let part_of = |offer: &Deployment, installed: &Installed| {
        let Verdict::Install { software, .. } = judge(offer, installed, MOST, &gateway()) else {
            panic!("it is not installed")
        };
        software[0].part.clone()
    };
    let odd = offer(|offer| offer["deployment"]["chunks"][0]["part"] = json!("system"));
    assert_eq!(part_of(&odd, &installed), "application");
    installed.running.push(Software {
        part: "firmware".into(),
        name: "main".into(),
        version: "4.1.0".into(),
    });
    assert_eq!(part_of(&odd, &installed), "firmware");
}

#[test]
fn what_cannot_be_verified_or_does_not_fit_is_refused_before_it_is_fetched() {
    let refusals: [(&str, Verdict); 7] = [
        (
            "SHA-256",
            judged(|offer| artifact(offer)["hashes"] = json!({"sha1": "x"})),
        ),
        (
            "SHA-256",
            judged(|offer| artifact(offer)["hashes"]["sha256"] = json!("ab")),
        ),
        (
            "more than",
            judged(|offer| artifact(offer)["size"] = json!(10_000_000_000_u64)),
        ),
        (
            "leads away",
            judged(|offer| {
                artifact(offer)["_links"]["download"]["href"] =
                    json!("https://files.example/a.swu");
            }),
        ),
        (
            "no link",
            judged(|offer| artifact(offer)["_links"] = json!({})),
        ),
        (
            "no artifact",
            judged(|offer| offer["deployment"]["chunks"][0]["artifacts"] = json!([])),
        ),
        (
            "nothing in it",
            judged(|offer| offer["deployment"]["chunks"] = json!([])),
        ),
    ];
    for (word, verdict) in refusals {
        let Verdict::Reject { detail } = &verdict else {
            panic!("{word}: {verdict:?}")
        };
        assert!(detail.contains(word), "{detail}");
    }
}

#[test]
fn a_cancellation_comes_before_anything_else() {
    let base = r#"{"config":{"polling":{"sleep":"00:05:00"}},"_links":{
        "deploymentBase":{"href":"/d"},"configData":{"href":"/c"},"cancelAction":{"href":"/x"}}}"#;
    let controller: Controller = serde_json::from_str(base).unwrap();
    let expected = [
        Task::Cancel("/x".into()),
        Task::Report("/c".into()),
        Task::Install("/d".into()),
    ];
    assert_eq!(tasks(&controller), expected);
    assert_eq!(sleep(&controller).map(|time| time.0.as_secs()), Some(300));
}

// zephyrproject-rtos/zephyr issue 71750: success was reported after a return to the former image.
#[test]
fn the_version_that_runs_is_reported_and_not_the_one_that_was_installed() {
    let mut installed = Installed::default();
    let old = Software {
        part: "firmware".into(),
        name: "main".into(),
        version: "4.1.0".into(),
    };
    installed.running.push(old.clone());
    installed.stage(
        "12",
        vec![Software {
            version: "4.2.0".into(),
            ..old
        }],
    );
    let data = config_data(&installed.running);
    assert_eq!(
        data,
        json!({"mode": "replace", "data": {"firmware.main": "4.1.0"}})
    );
}
