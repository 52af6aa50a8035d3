//! Tests of proofs over several passes: how long one holds, and what it is about.

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{ItemState, Proof, TakesEffect},
};
use jiff::SignedDuration;

use super::pass_fixture::{Remote, Story, now, run, said, snapshot, weekdays};
use crate::{
    delivery::{Action, Answer},
    protocol::Place,
    reasons::{Side, cause, reason},
    remote::{DeviceReading, Failure, FailureKind, Scalar, Value},
};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Returns the place of the days on which is backed up.
fn place(story: &Story) -> Place {
    let model = story.snapshot.model.as_ref().expect("a model");
    let mut settings = model.spec.settings.iter();
    let setting = settings.find(|it| it.name == "backup.weekdays");
    let ipp = setting.and_then(|it| it.via.ipp.clone()).expect("by IPP");
    Place::ipp(ipp.operation, &ipp.attribute)
}

/// Lets somebody set other days on the device itself.
fn set_by_hand(story: &mut Story) {
    let place = place(story);
    let value = vec![Scalar::Text("thu".to_owned())];
    story.remote.reading.values.insert(place, value);
}

/// Answers that every write was accepted, without doing anything.
fn taken(action: &Action) -> Option<Answer> {
    matches!(action, Action::WriteDevice { .. }).then(|| Answer::DeviceWritten(Ok(())))
}

/// Refuses the days on which is backed up, and nothing else.
fn refused(kind: FailureKind) -> impl Fn(&Action) -> Option<Answer> {
    let place = place(&Story::new());
    move |action| match action {
        Action::WriteDevice { write, .. } if write.place == place => {
            let failure = Failure::new(kind, "so it said");
            Some(Answer::DeviceWritten(Err(failure)))
        }
        _ => None,
    }
}

// shows D1 D3
#[test]
fn a_proof_that_is_repeated_keeps_its_instant_and_one_that_was_lost_gets_another() {
    let mut story = Story::new();
    let first = story.calm_pass(SignedDuration::ZERO);
    assert_eq!(weekdays(&first).last_verified, Some(now()));
    let again = story.calm_pass(MINUTE);
    assert_eq!(again.status, first.status, "nothing is written");
    set_by_hand(&mut story);
    let mended = story.calm_pass(MINUTE * 2);
    let item = weekdays(&mended);
    assert_eq!(item.state, ItemState::Effective);
    assert_eq!(item.last_verified, Some(now() + MINUTE * 2));
    assert_eq!(item.last_sent, Some(now() + MINUTE * 2));
    assert_eq!(item.attempts, Some(2));
    let untouched = mended.status.items.iter().filter(|it| it.key != item.key);
    assert!(
        untouched.clone().all(|it| it.last_verified == Some(now())),
        "{untouched:?}"
    );
}

// shows D1
#[test]
fn what_somebody_changed_is_not_called_in_effect_while_it_cannot_be_set_back() {
    let mut story = Story::new();
    let first = story.calm_pass(SignedDuration::ZERO);
    set_by_hand(&mut story);
    let report = story.pass(MINUTE, refused(FailureKind::Busy));
    let item = weekdays(&report);
    assert_eq!(item.state, ItemState::NotEffective);
    assert_ne!(item.observed_digest, weekdays(&first).observed_digest);
    assert_eq!(item.last_verified, Some(now() + MINUTE), "seen just now");
    assert_eq!(said(&report, ConditionType::Delivered), "False(Busy)");
    assert_eq!(
        said(&report, ConditionType::ServerConfigured),
        "True(Succeeded)"
    );
}

// shows D1 K2
#[test]
fn a_problem_has_its_instant_as_long_as_it_is_the_same() {
    let mut story = Story::new();
    let since = |story: &mut Story, after, kind| {
        let report = story.pass(after, refused(kind));
        let problem = weekdays(&report).problem.expect("a problem");
        (problem.outcome, problem.since)
    };
    let busy = since(&mut story, SignedDuration::ZERO, FailureKind::Busy);
    assert_eq!(busy, (Reason::Busy, now()));
    let again = since(&mut story, MINUTE, FailureKind::Busy);
    assert_eq!(again, busy);
    let other = since(&mut story, MINUTE * 2, FailureKind::ProtocolError);
    assert_eq!(other, (Reason::ProtocolError, now() + MINUTE * 2));
    let back = since(&mut story, MINUTE * 3, FailureKind::Busy);
    assert_eq!(back, (Reason::Busy, now() + MINUTE * 3));
    let healed = story.calm_pass(MINUTE * 4);
    assert_eq!(weekdays(&healed).problem, None);
    assert_eq!(said(&healed, ConditionType::Delivered), "True(Delivered)");
}

// shows K2
#[test]
fn a_retry_that_meets_the_same_problem_is_no_reason_for_a_write() {
    let mut story = Story::new();
    story.pass(SignedDuration::ZERO, refused(FailureKind::Busy));
    let second = story.pass(MINUTE, refused(FailureKind::Busy));
    let third = story.pass(MINUTE * 2, refused(FailureKind::Busy));
    assert_eq!(third.status, second.status);
    assert!(story.remote.count("WriteDevice") > 0, "it was sent again");
    let other = story.pass(MINUTE * 3, refused(FailureKind::ProtocolError));
    let attempts = |report| weekdays(report).attempts;
    assert_eq!(attempts(&third), attempts(&second));
    assert_eq!(attempts(&other), Some(4), "then every one is counted");
    // A restart forgets those that no status says.
    story.pass(MINUTE * 4, refused(FailureKind::ProtocolError));
    story.snapshot.unsaid_attempts.clear();
    let last = story.pass(MINUTE * 5, refused(FailureKind::Busy));
    assert_eq!(attempts(&last), Some(5));
}

// shows K2
#[test]
fn attempts_whose_status_was_not_written_are_counted_with_the_next_one() {
    let attempts = |report| weekdays(report).attempts;
    let mut story = Story::new();
    let unwritten = |story: &mut Story, after, kind| {
        let stored = story.snapshot.subscriptions[0].status.clone();
        story.pass(after, refused(kind));
        story.edit(|it| it.status = stored);
    };
    // No status has said anything of the item yet.
    unwritten(&mut story, SignedDuration::ZERO, FailureKind::Busy);
    let second = story.pass(MINUTE, refused(FailureKind::Busy));
    assert_eq!(attempts(&second), Some(2));
    story.pass(MINUTE * 2, refused(FailureKind::Busy));
    unwritten(&mut story, MINUTE * 3, FailureKind::ProtocolError);
    let fifth = story.pass(MINUTE * 4, refused(FailureKind::ProtocolError));
    assert_eq!(attempts(&fifth), Some(5));
    // Those of a subscription that was made anew begin anew, and so do those of another value.
    unwritten(&mut story, MINUTE * 5, FailureKind::Busy);
    let before = story.snapshot.clone();
    story.edit(|it| (it.metadata.uid, it.status) = (Some("s-2".to_owned()), None));
    let anew = story.pass(MINUTE * 6, refused(FailureKind::Busy));
    assert_eq!(attempts(&anew), Some(1));
    story.snapshot = before;
    story.edit_revision(|it| {
        it.parameters
            .insert("weekdays".to_owned(), "mon".to_owned());
    });
    let other = story.pass(MINUTE * 6, refused(FailureKind::Busy));
    assert_eq!(attempts(&other), Some(1));
}

// shows K2
#[test]
fn attempts_are_counted_on_after_a_pass_that_could_not_tell_what_is_wanted() {
    let mut story = Story::new();
    for minute in 0..3 {
        story.pass(MINUTE * minute, refused(FailureKind::Busy));
    }
    let known = std::mem::take(&mut story.snapshot.services);
    let unknown = story.calm_pass(MINUTE * 3);
    assert_eq!(
        said(&unknown, ConditionType::Ready),
        "False(ServiceNotFound)"
    );
    story.snapshot.services = known;
    let fourth = story.pass(MINUTE * 4, refused(FailureKind::ProtocolError));
    assert_eq!(weekdays(&fourth).attempts, Some(4));
}

// shows D1
#[test]
fn what_is_accepted_and_not_in_effect_is_a_problem() {
    let mut story = Story::new();
    let report = story.pass(SignedDuration::ZERO, taken);
    let item = weekdays(&report);
    assert_eq!(item.state, ItemState::NotEffective);
    let problem = item.problem.expect("a problem");
    assert_eq!(problem.outcome, Reason::AcceptedNotEffective);
    assert_eq!(
        problem.message,
        "DeviceSetting/backup.weekdays was accepted and is not in effect: wants \"sun\", \"wed\", \
         has \"another\""
    );
}

// shows D1 K2
#[test]
fn a_value_that_breaks_the_rules_is_the_problem_of_its_item_and_of_no_other() {
    let mut story = Story::new();
    let place = place(&story);
    let malformed = vec![Scalar::Malformed("not UTF-8".to_owned())];
    let values = &mut story.remote.reading.values;
    values.insert(place.clone(), malformed);
    let report = story.pass(SignedDuration::ZERO, |action| match action {
        Action::WriteDevice { write, .. } if write.place == place => {
            Some(Answer::DeviceWritten(Ok(())))
        }
        _ => None,
    });
    let item = weekdays(&report);
    assert_eq!(item.state, ItemState::NotEffective);
    let problem = item.problem.expect("a problem");
    assert_eq!(problem.outcome, Reason::ProtocolError);
    let said = format!("DeviceSetting/backup.weekdays: {place}: not UTF-8");
    assert_eq!(problem.message, said);
    assert_eq!(story.remote.count("WriteDevice"), 3, "it is not sent twice");
    let others = report.status.items.iter().filter(|it| it.key != item.key);
    let others = others.filter(|it| it.key.to_string().starts_with("DeviceSetting"));
    assert!(others.clone().all(|it| it.state == ItemState::Effective));
    assert_eq!(others.count(), 2);
}

// shows D1 B7
#[test]
fn a_value_that_still_breaks_the_rules_after_it_was_set_is_set_again_after_a_wait() {
    let mut remote = Remote::new();
    let place = place(&Story::new());
    let malformed = vec![Scalar::Malformed("not UTF-8".to_owned())];
    remote.reading.values.insert(place.clone(), malformed);
    let (pass, _) = run(snapshot(), &mut remote, |action| match action {
        Action::WriteDevice { write, .. } if write.place == place => {
            Some(Answer::DeviceWritten(Ok(())))
        }
        _ => None,
    });
    assert!(pass.wake().is_some_and(|at| at > now()));
}

// shows D1 K2
#[test]
fn a_setting_that_the_device_does_not_report_says_so() {
    let mut story = Story::new();
    let place = place(&story);
    story.remote.reading.values.remove(&place);
    let report = story.pass(SignedDuration::ZERO, taken);
    let problem = weekdays(&report).problem.expect("a problem");
    assert_eq!(problem.outcome, Reason::AcceptedNotEffective);
    let said = format!("is not in effect: the device does not report {place}");
    assert!(problem.message.ends_with(&said), "{}", problem.message);
}

// shows D1 B7
#[test]
fn what_takes_effect_after_a_restart_waits_for_it_and_is_proved_by_it() {
    let mut story = Story::new();
    story.full_looks = false;
    story.edit_weekdays(|it| it.takes_effect = TakesEffect::AfterRestart);
    let place = place(&story);
    let mut words = vec![];
    let report = story.pass(SignedDuration::ZERO, |action| match action {
        Action::WriteDevice { write, .. } if write.place == place => {
            if let Value::Words(wanted) = &write.value {
                words = wanted.iter().cloned().map(Scalar::Text).collect();
            }
            Some(Answer::DeviceWritten(Ok(())))
        }
        _ => None,
    });
    assert_eq!(weekdays(&report).state, ItemState::AwaitingRestart);
    assert_eq!(weekdays(&report).problem, None);
    assert_eq!(
        said(&report, ConditionType::Ready),
        "False(AwaitingRestart)"
    );
    assert_eq!(report.wake_at, Some(now() + MINUTE * 5), "it is looked at");
    let report = story.calm_pass(MINUTE * 5);
    assert_eq!(weekdays(&report).state, ItemState::AwaitingRestart);
    assert_eq!(story.remote.count("WriteDevice"), 0, "it was sent already");
    // The device is restarted.
    story.remote.reading.values.insert(place, words);
    let report = story.calm_pass(MINUTE * 10);
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
    assert_eq!(
        weekdays(&report).last_verified,
        Some(now() + MINUTE * 10),
        "and not the instant at which it was sent"
    );
}

// shows D1
#[test]
fn what_cannot_be_read_counts_once_it_was_accepted_and_not_before() {
    let mut story = Story::new();
    story.edit_weekdays(|it| it.write_only = true);
    let report = story.pass(SignedDuration::ZERO, refused(FailureKind::Busy));
    assert_eq!(weekdays(&report).state, ItemState::NotEffective);
    let report = story.calm_pass(MINUTE);
    let item = weekdays(&report);
    assert_eq!(item.state, ItemState::Effective);
    assert_eq!(item.last_verified, Some(now() + MINUTE));
    assert_eq!(item.observed_digest, item.desired_digest);
    let told = report.status.items.iter().filter(|it| it.proof.is_some());
    let taken: Vec<_> = told.map(|it| (it.key.to_string(), it.proof)).collect();
    let expected = (item.key.to_string(), Some(Proof::Taken));
    assert_eq!(taken, [expected], "the others were read back");
    assert_eq!(report.status.promises[0].proof, Some(Proof::Taken));
    // A reading that has another value is none: the device never tells it.
    set_by_hand(&mut story);
    let later = story.calm_pass(MINUTE * 2);
    assert_eq!(later.status, report.status);
    assert_eq!(story.remote.count("WriteDevice"), 0, "it is not sent again");
    // Once it can be read, that it was taken is no proof.
    story.edit_weekdays(|it| it.write_only = false);
    let read = story.calm_pass(MINUTE * 3);
    assert_eq!(story.remote.count("WriteDevice"), 1, "it was set by hand");
    let item = weekdays(&read);
    assert_eq!((item.state, item.proof), (ItemState::Effective, None));
}

// shows D1 D9 K2
#[test]
fn what_cannot_be_read_and_is_refused_says_so_and_is_the_devices_delay() {
    for kind in [
        FailureKind::RejectedValue,
        FailureKind::RejectedNotSettable,
        FailureKind::Unsupported,
        FailureKind::Busy,
        FailureKind::ProtocolError,
        FailureKind::Unauthorized,
        FailureKind::Unreachable,
    ] {
        let mut story = Story::new();
        story.full_looks = false;
        story.edit_weekdays(|it| it.write_only = true);
        let told = reason(kind);
        for after in [SignedDuration::ZERO, MINUTE] {
            let report = story.pass(after, refused(kind));
            let item = weekdays(&report);
            assert_eq!(item.state, ItemState::NotEffective, "{kind:?}");
            let problem = item.problem.map(|it| (it.outcome, it.since));
            assert_eq!(problem, Some((told, now())), "{kind:?}");
            let ready = format!("False({})", told.as_str());
            assert_eq!(said(&report, ConditionType::Ready), ready);
            let delays = report.status.promises.iter().flat_map(|it| &it.delays);
            let last = delays.last().map(|it| (it.cause, it.reason.as_str()));
            assert_eq!(last, Some((cause(told, Side::Device), told.as_str())));
        }
    }
}

// shows D1 K2
#[test]
fn what_cannot_be_read_and_whose_answer_was_lost_is_not_known() {
    let mut story = Story::new();
    story.edit_weekdays(|it| it.write_only = true);
    let place = place(&story);
    let report = story.pass(SignedDuration::ZERO, |action| match action {
        Action::WriteDevice { write, .. } if write.place == place => {
            let lost = Failure {
                doubtful: true,
                ..Failure::new(FailureKind::TimedOut, "the answer was lost")
            };
            Some(Answer::DeviceWritten(Err(lost)))
        }
        _ => None,
    });
    assert_eq!(weekdays(&report).state, ItemState::Unknown);
    assert_eq!(said(&report, ConditionType::Ready), "False(TimedOut)");
}

// shows D1 K4
#[test]
fn a_proof_is_about_one_device_and_one_value() {
    let mut story = Story::new();
    story.edit_weekdays(|it| it.write_only = true);
    story.calm_pass(SignedDuration::ZERO);
    story.edit_device(|it| it.metadata.uid = Some("d-2".to_owned()));
    let report = story.calm_pass(MINUTE);
    assert_eq!(
        story.remote.count("WriteDevice"),
        1,
        "the Device is another"
    );
    let evidence = report.status.evidence.expect("it is known");
    assert_eq!(evidence.device_uid, "d-2");
    story.edit_device(|it| it.spec.serial_number.push('9'));
    let report = story.calm_pass(MINUTE * 2);
    assert_eq!(
        story.remote.count("WriteDevice"),
        1,
        "the machine is another"
    );
    let target = report.status.evidence.as_ref().map(|it| it.target_digest);
    assert_ne!(target, Some(evidence.target_digest));
    story.edit_revision(|it| {
        let fridays = "fri".to_owned();
        it.parameters.insert("weekdays".to_owned(), fridays);
    });
    let before = weekdays(&report);
    let report = story.calm_pass(MINUTE * 3);
    assert_eq!(story.remote.count("WriteDevice"), 1, "the value is another");
    let item = weekdays(&report);
    assert_ne!(item.desired_digest, before.desired_digest);
    assert_eq!(item.attempts, Some(1), "its attempts are counted anew");
}

// shows D1
#[test]
fn a_device_that_falls_silent_loses_no_proof_and_brings_none() {
    let mut story = Story::new();
    let first = story.calm_pass(SignedDuration::ZERO);
    let silent = |action: &Action| match action {
        Action::ReadDevice { .. } => Some(Answer::DeviceRead {
            result: Err(Failure::new(FailureKind::Unreachable, "no route")),
            claimed_by_another: None,
        }),
        _ => None,
    };
    let report = story.pass(MINUTE, silent);
    assert_eq!(report.status, first.status, "only the device says so");
    // A new value cannot be proved meanwhile.
    story.edit_revision(|it| {
        let fridays = "fri".to_owned();
        it.parameters.insert("weekdays".to_owned(), fridays);
    });
    let report = story.pass(MINUTE * 2, silent);
    let item = weekdays(&report);
    assert_eq!(item.state, ItemState::Unknown);
    assert_eq!(item.problem.map(|it| it.outcome), Some(Reason::Unreachable));
    assert_eq!(said(&report, ConditionType::Ready), "False(Unreachable)");
}

// shows D1 K2 K4
#[test]
fn a_machine_that_is_not_the_expected_one_undoes_what_was_delivered_until_that_one_is_back() {
    let other = Remote::new().reading;
    let another = DeviceReading {
        identity: Some("urn:uuid:2".to_owned()),
        ..other
    };
    let replaced = Failure::new(FailureKind::CertificateChanged, "another certificate");
    for (answer, reason) in [
        (Ok(another), "IdentityMismatch"),
        (Err(replaced), "CertificateChanged"),
    ] {
        let mut story = Story::new();
        story.calm_pass(SignedDuration::ZERO);
        let replaced = |action: &Action| match action {
            Action::ReadDevice { .. } => Some(Answer::DeviceRead {
                result: answer.clone(),
                claimed_by_another: None,
            }),
            _ => None,
        };
        let report = story.pass(MINUTE, replaced);
        assert_eq!(weekdays(&report).state, ItemState::Unknown, "{reason}");
        for (type_, status) in [
            (ConditionType::Delivered, "False"),
            (ConditionType::DeviceConfigured, "False"),
            (ConditionType::Ready, "False"),
            (ConditionType::Stalled, "True"),
        ] {
            assert_eq!(said(&report, type_), format!("{status}({reason})"));
        }
        let server = said(&report, ConditionType::ServerConfigured);
        assert_eq!(
            server, "True(Succeeded)",
            "its proof is no matter of the device"
        );
        let again = story.pass(MINUTE * 2, replaced);
        assert_eq!(again.status, report.status, "nothing is written");
        assert_eq!(story.remote.count("WriteDevice"), 0, "{reason}");
        let back = story.calm_pass(MINUTE * 3);
        assert_eq!(said(&back, ConditionType::Delivered), "True(Delivered)");
        let item = weekdays(&back);
        assert_eq!(item.last_verified, Some(now() + MINUTE * 3), "{reason}");
        assert_eq!(
            story.remote.count("WriteDevice"),
            0,
            "it has what is wanted"
        );
    }
}

// shows D1 B7
#[test]
fn what_was_left_alone_is_read_again_before_it_counts_and_sent_only_where_it_differs() {
    let mut story = Story::new();
    story.full_looks = false;
    story.calm_pass(SignedDuration::ZERO);
    story.edit(|it| it.spec.contract.suspend = true);
    let report = story.calm_pass(MINUTE);
    assert!(report.status.unattended);
    set_by_hand(&mut story);
    story.edit(|it| it.spec.contract.suspend = false);
    let report = story.calm_pass(MINUTE * 2);
    assert_eq!(story.remote.count("WriteDevice"), 1);
    assert!(!report.status.unattended);
    let item = weekdays(&report);
    assert_eq!(item.last_verified, Some(now() + MINUTE * 2));
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
}
