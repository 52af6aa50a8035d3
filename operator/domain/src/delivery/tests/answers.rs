//! Tests of a pass by single answers: what is asked next, what is held back and until when.

use entente_crds::condition::ConditionType;
use jiff::SignedDuration;

use super::pass_fixture::{Remote, Story, catalog, name_of, now, ready, run, said, snapshot};
use crate::{
    delivery::{Action, Answer, Claimant},
    reasons::{Retry, reason, retry},
    remote::{Failure, FailureKind, OperationState, ServerAnswer},
};

const KINDS: [FailureKind; 14] = [
    FailureKind::Unreachable,
    FailureKind::AddressNotAllowed,
    FailureKind::TlsFailed,
    FailureKind::CertificateChanged,
    FailureKind::Unauthorized,
    FailureKind::TimedOut,
    FailureKind::Busy,
    FailureKind::Concurrent,
    FailureKind::CatalogOutdated,
    FailureKind::Conflict,
    FailureKind::RejectedValue,
    FailureKind::RejectedNotSettable,
    FailureKind::Unsupported,
    FailureKind::ProtocolError,
];
const SECOND: SignedDuration = SignedDuration::from_secs(1);

// shows B3 B6 D1 D2
#[test]
fn a_pass_without_a_failure_sends_everything_in_order_and_proves_it() {
    let mut remote = Remote::new();
    let (pass, object) = run(snapshot(), &mut remote, |_| None);
    assert_eq!(ready(&pass, &object), "True(Delivered)");
    assert_eq!(remote.count("WriteDevice"), 3);
    assert_eq!((remote.count("Provision"), remote.count("Update")), (1, 1));
    let first = |action: &str| remote.asked.iter().position(|asked| asked == action);
    assert!(first("WriteDevice") < first("Provision"));
    assert!(first("Provision") < first("Update"));
    assert_eq!(pass.wake(), None, "nothing is held back");
    assert!(!pass.is_endless());
}

// shows K2 K5
#[test]
fn a_device_that_cannot_be_read_gets_nothing_is_held_back_and_said_by_the_failures_word() {
    for kind in KINDS {
        let mut remote = Remote::new();
        let (pass, object) = run(snapshot(), &mut remote, |action| match action {
            Action::ReadDevice { .. } => Some(Answer::DeviceRead {
                result: Err(Failure::new(kind, "so it said")),
                claimed_by_another: None,
            }),
            _ => None,
        });
        assert_eq!(remote.count("WriteDevice"), 0, "{kind:?}");
        assert_eq!(remote.count("Provision"), 0, "{kind:?}: a later step");
        let said = format!("False({})", reason(kind).as_str());
        assert_eq!(ready(&pass, &object), said, "{kind:?}");
        assert_eq!(
            pass.wake(),
            Some(now() + SECOND),
            "a read is always tried again"
        );
    }
}

// shows K2 K5
#[test]
fn a_write_that_fails_holds_back_as_much_as_it_speaks_of() {
    for kind in KINDS {
        for doubtful in [false, true] {
            let mut remote = Remote::new();
            let mut failed = false;
            let (pass, object) = run(snapshot(), &mut remote, |action| match action {
                Action::WriteDevice { .. } if !failed => {
                    failed = true;
                    Some(Answer::DeviceWritten(Err(Failure {
                        doubtful,
                        ..Failure::new(kind, "so it said")
                    })))
                }
                _ => None,
            });
            let what = format!("{kind:?} {doubtful}");
            let said = format!("False({})", reason(kind).as_str());
            assert_eq!(ready(&pass, &object), said, "{what}");
            assert_eq!(remote.count("Provision"), 0, "{what}");
            let (writes, wake) = match retry(kind, doubtful) {
                // The value needs a person; the others are sent.
                Retry::Hourly => (3, Some(now() + SECOND * 3600)),
                Retry::Sent => (3, Some(now() + SECOND)),
                // The device has to come back first.
                Retry::Remote => (1, Some(now() + SECOND)),
            };
            assert_eq!(remote.count("WriteDevice"), writes, "{what}");
            assert_eq!(pass.wake(), wake, "{what}");
        }
    }
}

// shows K2 K5
#[test]
fn a_provision_that_fails_is_tried_again_within_the_hour() {
    for kind in KINDS {
        let mut remote = Remote::new();
        let (pass, object) = run(snapshot(), &mut remote, |action| match action {
            Action::Provision { .. } => Some(Answer::Server(Err(Failure::new(kind, "so it said")))),
            _ => None,
        });
        assert_eq!(remote.count("Provision"), 1, "{kind:?}");
        assert_eq!(remote.count("Update"), 0, "{kind:?}: a later step");
        assert_ne!(ready(&pass, &object), "True(Delivered)", "{kind:?}");
        let wait = match retry(kind, false) {
            Retry::Hourly => SECOND * 3600,
            Retry::Sent | Retry::Remote => SECOND,
        };
        assert_eq!(pass.wake(), Some(now() + wait), "{kind:?}");
    }
}

// shows K2
#[test]
fn a_catalog_that_cannot_be_read_holds_the_server_back_and_not_the_device() {
    for kind in KINDS {
        let mut remote = Remote::new();
        let (pass, object) = run(snapshot(), &mut remote, |action| match action {
            Action::ReadCatalog { .. } => {
                Some(Answer::Catalog(Err(Failure::new(kind, "so it said"))))
            }
            _ => None,
        });
        assert_eq!(remote.count("WriteDevice"), 3, "{kind:?}");
        assert_eq!(remote.count("Provision"), 0, "{kind:?}");
        let said = format!("False({})", reason(kind).as_str());
        assert_eq!(ready(&pass, &object), said, "{kind:?}");
        assert!(pass.wake().is_some(), "{kind:?}");
    }
}

// shows K5
#[test]
fn an_instance_that_could_not_be_recorded_is_not_made() {
    let mut remote = Remote::new();
    let (pass, object) = run(snapshot(), &mut remote, |action| match action {
        Action::RecordInstance { .. } => Some(Answer::Recorded(None)),
        _ => None,
    });
    assert_eq!(remote.count("Provision"), 0);
    assert_ne!(ready(&pass, &object), "True(Delivered)");
    assert_eq!(pass.wake(), Some(now() + SECOND));
}

// shows K2
#[test]
fn a_connection_that_cannot_be_used_is_no_answer_of_the_remote_side() {
    for unusable in ["ReadDevice", "ReadCatalog", "ReadInstance", "WriteDevice"] {
        let mut remote = Remote::new();
        let (pass, object) = run(snapshot(), &mut remote, |action| {
            (name_of(action) == unusable).then(|| {
                let kind = FailureKind::Unauthorized;
                Answer::NotAsked(Failure::new(kind, "the Secret is missing"))
            })
        });
        assert_eq!(ready(&pass, &object), "False(Unauthorized)", "{unusable}");
        assert_eq!(remote.count("Provision"), 0, "{unusable}");
        assert!(pass.wake().is_some(), "{unusable}");
    }
}

// shows K4
#[test]
fn a_machine_that_is_another_devices_gets_nothing_written() {
    let mut remote = Remote::new();
    let reading = remote.reading.clone();
    let (pass, object) = run(snapshot(), &mut remote, |action| match action {
        Action::ReadDevice { .. } => Some(Answer::DeviceRead {
            result: Ok(reading.clone()),
            claimed_by_another: Some(Claimant::AnotherNamespace),
        }),
        _ => None,
    });
    assert_eq!(remote.count("WriteDevice"), 0);
    assert_eq!(ready(&pass, &object), "False(AlreadyClaimed)");
}

// shows K2
#[test]
fn an_operation_under_way_is_polled_less_often_with_its_age_and_not_before_the_server_says() {
    let (minute, hour) = (SECOND * 60, SECOND * 3600);
    for (retry_after, age, wait) in [
        (None, SECOND, SECOND),
        (None, SECOND * 100, SECOND * 10),
        (None, hour / 2, minute),
        (Some(minute), SECOND, minute),
        (Some(minute * 20), hour / 2, minute * 20),
        // A date that has passed is no leave to ask at once.
        (Some(SignedDuration::ZERO), SECOND, SECOND),
        (Some(-minute), SECOND * 100, SECOND * 10),
    ] {
        let mut story = Story::new();
        let answer = |action: &Action| match action {
            Action::Provision { .. } => Some(Answer::Server(Ok(ServerAnswer::UnderWay {
                operation: Some("op-1".to_owned()),
                retry_after: None,
            }))),
            Action::PollOperation { .. } => {
                Some(Answer::Operation(Ok(OperationState::InProgress {
                    retry_after,
                })))
            }
            _ => None,
        };
        let report = story.pass(SignedDuration::ZERO, answer);
        assert_eq!(
            said(&report, ConditionType::Ready),
            "False(OperationRunning)"
        );
        assert_eq!(report.wake_at, Some(now() + SECOND));
        let report = story.pass(age, answer);
        assert_eq!(story.remote.count("PollOperation"), 1, "{retry_after:?}");
        assert_eq!(story.remote.count("Provision"), 0, "it is under way");
        assert_eq!(
            said(&report, ConditionType::Ready),
            "False(OperationRunning)"
        );
        let until = Some(now() + age + wait);
        assert_eq!(report.wake_at, until, "{retry_after:?} at {age:?}");
    }
}

// shows B3 K5
#[test]
fn a_plan_whose_version_is_another_by_now_has_its_catalog_read_before_it_is_asked_for_again() {
    let mut story = Story::new();
    let mut version = "1.0.0";
    let mut sent = Vec::new();
    let mut asked = Vec::new();
    for after in [SignedDuration::ZERO, SECOND] {
        let report = story.pass(after, |action| {
            asked.push(name_of(action));
            match action {
                Action::ReadCatalog { .. } => {
                    let mut catalog = catalog();
                    let plan = &mut catalog.offerings[0].plans[0];
                    plan.maintenance_version = Some(version.to_owned());
                    Some(Answer::Catalog(Ok(catalog.into())))
                }
                Action::Provision {
                    maintenance_version,
                    ..
                } => {
                    sent.extend(maintenance_version.clone());
                    version = "2.0.0";
                    let outdated = Failure::new(FailureKind::CatalogOutdated, "another version");
                    (sent.len() == 1).then_some(Answer::Server(Err(outdated)))
                }
                _ => None,
            }
        });
        let ready = said(&report, ConditionType::Ready);
        let expected = if after.is_zero() {
            assert_eq!(asked.pop().as_deref(), Some("ReadCatalog"));
            "False(Busy)"
        } else {
            "True(Delivered)"
        };
        assert_eq!(ready, expected);
    }
    assert_eq!(sent, ["1.0.0", "2.0.0"]);
}

// shows K2
#[test]
fn the_first_poll_is_not_before_the_server_says() {
    let mut story = Story::new();
    let report = story.pass(SignedDuration::ZERO, |action| match action {
        Action::Provision { .. } => Some(Answer::Server(Ok(ServerAnswer::UnderWay {
            operation: None,
            retry_after: Some(SECOND * 40),
        }))),
        _ => None,
    });
    assert_eq!(report.wake_at, Some(now() + SECOND * 40));
}

// shows K2
#[test]
fn an_operation_is_polled_although_the_catalog_cannot_be_read() {
    let mut story = Story::new();
    story.pass(SignedDuration::ZERO, |action| match action {
        Action::Provision { .. } => Some(Answer::Server(Ok(ServerAnswer::UnderWay {
            operation: None,
            retry_after: None,
        }))),
        _ => None,
    });
    story.snapshot.catalogs.clear();
    let report = story.pass(SECOND * 5, |action| match action {
        Action::ReadCatalog { .. } => {
            let failure = Failure::new(FailureKind::ProtocolError, "no catalog");
            Some(Answer::Catalog(Err(failure)))
        }
        Action::PollOperation { .. } => {
            let state = OperationState::InProgress { retry_after: None };
            Some(Answer::Operation(Ok(state)))
        }
        _ => None,
    });
    assert_eq!(story.remote.count("PollOperation"), 1);
    assert_eq!(
        said(&report, ConditionType::Ready),
        "False(OperationRunning)"
    );
}

// shows K2
#[test]
fn what_an_operation_was_to_set_and_did_not_waits_before_it_is_sent_again() {
    let mut story = Story::new();
    story.calm_pass(SignedDuration::ZERO);
    let known = story.remote.parameters.as_mut().expect("it was made");
    known.insert("mode".to_owned(), serde_json::json!("Full"));
    let ignoring = |action: &Action| match action {
        Action::Update { .. } => Some(Answer::Server(Ok(ServerAnswer::UnderWay {
            operation: None,
            retry_after: None,
        }))),
        _ => None,
    };
    story.pass(SECOND * 60, ignoring);
    story.full_looks = false;
    let report = story.pass(SECOND * 65, ignoring);
    let asked = ["PollOperation", "ReadInstance", "Update"].map(|it| story.remote.count(it));
    assert_eq!(asked, [1, 1, 0]);
    assert_eq!(
        said(&report, ConditionType::Ready),
        "False(AcceptedNotEffective)"
    );
}

// shows K5
#[test]
fn while_the_clock_cannot_be_trusted_a_pass_asks_nothing_and_comes_again_within_a_minute() {
    let mut skewed = snapshot();
    skewed.clock_skew = Some(jiff::SignedDuration::from_hours(1));
    let mut remote = Remote::new();
    let (pass, object) = run(skewed, &mut remote, |_| None);
    for action in ["WriteDevice", "Provision", "Update"] {
        assert_eq!(remote.count(action), 0, "{action}");
    }
    assert_eq!(ready(&pass, &object), "False(ClockSkew)");
    assert_eq!(pass.wake(), Some(now() + SignedDuration::from_mins(1)));
}
