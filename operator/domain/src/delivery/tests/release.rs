//! Tests of the values that a device had before a service: what is kept of them, and what is put back.
//!
//! The rows are what programs that put former values back got wrong, in public reports.

use std::sync::Arc;

use entente_crds::{
    condition::{ConditionType, Reason},
    item_key::ItemKey,
    v1alpha1::{Item, ItemState, MAX_PREVIOUS, Previous, Release, ReleasedAs, Unsaved},
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::pass_fixture::{Remote, Story, name_of, now, said, weekdays};
use crate::{
    delivery::{
        Action, Answer, Backoffs, Pass, SavedItem, SubscriptionReport,
        previous::{MOST_BYTES, within_limit},
    },
    protocol::Place,
    remote::{Failure, FailureKind, Scalar},
};

const ENDPOINT: &str = "DeviceSetting/backup.endpoint";

fn place(attribute: &str) -> Place {
    Place::ipp(entente_crds::v1alpha1::IppOperation::default(), attribute)
}

/// The place of the days on which is backed up.
fn days() -> Place {
    place("nw-backup-weekdays")
}

fn text(text: &str) -> Vec<Scalar> {
    vec![Scalar::Text(text.to_owned())]
}

fn found(remote: &Remote, place: &Place) -> Vec<Scalar> {
    remote.reading.values[place].clone()
}

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

/// Returns a story in which the service was set up once.
fn set_up() -> Story {
    let mut story = Story::new();
    story.calm_pass(hours(0));
    story
}

/// Ends the service two hours after [`now`].
fn end(story: &mut Story) {
    story.snapshot.withdraw_deadline = hours(24);
    story.edit_revision(|revision| revision.until = Some(now() + hours(2)));
}

fn item(report: &SubscriptionReport, key: &str) -> Item {
    let mut items = report.status.items.iter();
    items.find(|it| it.key == *key).expect("an item").clone()
}

fn texts(item: &Item) -> Vec<String> {
    let previous = item.previous.iter();
    let values = previous.flat_map(|previous| &previous.values);
    values.map(ToString::to_string).collect()
}

// shows C10 K4 K7
#[test]
fn a_value_that_would_not_go_back_as_it_was_is_not_kept_and_the_item_says_why() {
    let long = "x".repeat(MAX_PREVIOUS + 1);
    for (found_before, is_private, unsaved) in [
        (text("https://first.example"), false, None),
        // https://github.com/microsoft/semanticworkbench/pull/85: a mask was written for the secret.
        (text("********"), false, Some(Unsaved::Secret)),
        (
            text("https://first.example/token"),
            true,
            Some(Unsaved::Secret),
        ),
        // https://github.com/razee-io/Razee/issues/158: what was kept did not fit its field.
        (text(&long), false, Some(Unsaved::TooLarge)),
        (text("a\u{200b}b"), false, Some(Unsaved::Unreadable)),
        (vec![Scalar::Integer(7)], false, Some(Unsaved::Unreadable)),
        (
            vec![Scalar::Other("no-value".to_owned())],
            false,
            Some(Unsaved::Unreadable),
        ),
    ] {
        let mut story = Story::new();
        let endpoint = place("nw-backup-endpoint");
        let values = &mut story.remote.reading.values;
        values.insert(endpoint.clone(), found_before.clone());
        if is_private {
            story.remote.reading.private.insert(endpoint.clone());
        }
        let report = story.calm_pass(hours(0));
        let previous = item(&report, ENDPOINT).previous.expect("it is said");
        assert_eq!(previous.unsaved, unsaved, "{found_before:?}");
        assert_eq!(previous.values.is_empty(), unsaved.is_some());
        let ours = found(&story.remote, &endpoint);
        end(&mut story);
        let report = story.calm_pass(hours(2));
        let item = item(&report, ENDPOINT);
        let (fate, left) = match unsaved {
            None => (ReleasedAs::Restored, found_before),
            Some(_) => (ReleasedAs::Kept, ours),
        };
        assert_eq!(item.released, Some(fate));
        assert_eq!(found(&story.remote, &endpoint), left);
    }
}

// shows C10
#[test]
fn what_was_there_first_goes_back_whatever_happens_meanwhile() {
    /// A report, and what happens between the set-up and the end.
    type Row = (&'static str, fn(&mut Story));
    let rows: [Row; 5] = [
        // After a restart the value of the program itself was taken for the first one.
        (
            "https://github.com/networkservicemesh/sdk/issues/1339",
            |story| {
                story.calm_pass(hours(1));
            },
        ),
        // Each edit replaced the kept value.
        (
            "https://github.com/hjacobs/kube-downscaler/issues/44",
            |story| {
                story.edit_revision(|it| {
                    it.parameters
                        .insert("weekdays".to_owned(), "mon".to_owned());
                });
                story.calm_pass(hours(1));
            },
        ),
        // An edit that did not reach the device left a value that was not known as ours.
        (
            "https://github.com/NordSecurity/nordvpn-linux/pull/466",
            |story| {
                story.edit_revision(|it| {
                    it.parameters
                        .insert("weekdays".to_owned(), "mon".to_owned());
                });
                story.pass(hours(1), |action| is_of_device(action).then(unreachable));
            },
        ),
        // A value that drifted is set right, and is not the one that was there first.
        (
            "https://github.com/openwisp/openwisp-config/issues/72",
            |story| {
                let values = &mut story.remote.reading.values;
                values.insert(days(), text("fri"));
                story.calm_pass(hours(1));
            },
        ),
        // The setting is not wanted any more while the service goes on.
        ("https://github.com/truenas/middleware/pull/4943", |story| {
            let service = story.snapshot.services.get_mut("data-backup");
            let service = Arc::make_mut(service.expect("the service"));
            let side = service.spec.device.as_mut().expect("a device side");
            side.settings.retain(|it| it.name != "backup.weekdays");
            story.calm_pass(hours(1));
        }),
    ];
    for (report, happens) in rows {
        let mut story = set_up();
        assert_ne!(found(&story.remote, &days()), text("another"), "{report}");
        happens(&mut story);
        end(&mut story);
        let ended = story.calm_pass(hours(2));
        assert_eq!(found(&story.remote, &days()), text("another"), "{report}");
        let item = weekdays(&ended);
        assert_eq!(item.released, Some(ReleasedAs::Restored), "{report}");
        assert_eq!((item.state, item.previous), (ItemState::Released, None));
        assert!(ended.finalizer_may_go || ended.status.ended.is_some());
    }
}

fn is_of_device(action: &Action) -> bool {
    matches!(name_of(action).as_str(), "ReadDevice" | "WriteDevice")
}

fn unreachable() -> Answer {
    Answer::DeviceRead {
        result: Err(Failure::new(FailureKind::Unreachable, "no answer")),
        claimed_by_another: None,
    }
}

// shows C10
#[test]
fn what_somebody_has_set_since_is_left_alone_and_nothing_goes_back_twice() {
    // https://github.com/equinor/radix-operator/pull/1188 and
    // https://github.com/redhat-performance/tuned/pull/518: a person's change was undone.
    let mut story = set_up();
    story.remote.reading.values.insert(days(), text("fri"));
    end(&mut story);
    let report = story.calm_pass(hours(2));
    assert_eq!(found(&story.remote, &days()), text("fri"));
    assert_eq!(
        weekdays(&report).released,
        Some(ReleasedAs::ChangedByOthers)
    );
    let restored = item(&report, ENDPOINT).released;
    assert_eq!(restored, Some(ReleasedAs::Restored), "the others go back");
    // https://github.com/hjacobs/kube-downscaler/pull/15: it was put back again and again.
    let endpoint = place("nw-backup-endpoint");
    story
        .remote
        .reading
        .values
        .insert(endpoint, text("a person's"));
    story.calm_pass(hours(3));
    assert_eq!(story.remote.count("WriteDevice"), 0);
}

// shows C10
#[test]
fn a_set_goes_back_whatever_order_the_device_gives_it_in() {
    let words = |words: &[&str]| -> Vec<Scalar> {
        words
            .iter()
            .map(|it| Scalar::Text((*it).to_owned()))
            .collect()
    };
    let mut story = Story::new();
    let values = &mut story.remote.reading.values;
    values.insert(days(), words(&["wed", "mon", "fri"]));
    let report = story.calm_pass(hours(0));
    assert_eq!(texts(&weekdays(&report)), ["fri", "mon", "wed"]);
    // The device turns the order of what the service set.
    let mut ours = found(&story.remote, &days());
    ours.reverse();
    story.remote.reading.values.insert(days(), ours);
    end(&mut story);
    let report = story.calm_pass(hours(2));
    assert_eq!(weekdays(&report).released, Some(ReleasedAs::Restored));
    assert_eq!(found(&story.remote, &days()), words(&["fri", "mon", "wed"]));
}

// shows C10 K2
#[test]
fn what_cannot_be_put_back_is_tried_until_the_deadline_and_is_not_forgotten() {
    // https://github.com/CiscoDevNet/terraform-provider-meraki/pull/109: a failure was a warning, and
    // the value was lost. https://github.com/redhat-performance/tuned/pull/882: it is refused.
    for kind in [
        FailureKind::Unreachable,
        FailureKind::RejectedValue,
        FailureKind::RejectedNotSettable,
        FailureKind::Unauthorized,
    ] {
        let refuse = |action: &Action| match action {
            Action::WriteDevice { .. } => {
                let failure = Failure::new(kind, "so it said");
                Some(Answer::DeviceWritten(Err(failure)))
            }
            _ => None,
        };
        let mut story = set_up();
        end(&mut story);
        let report = story.pass(hours(2), refuse);
        let waiting = weekdays(&report);
        assert_eq!(waiting.released, None, "{kind:?}");
        assert_eq!(texts(&waiting), ["another"], "{kind:?}");
        assert!(item(&report, ENDPOINT).problem.is_some(), "{kind:?}");
        assert!(report.wake_at.is_some(), "{kind:?}");
        let report = story.pass(hours(27), refuse);
        let item = weekdays(&report);
        assert_eq!(item.released, Some(ReleasedAs::GivenUp), "{kind:?}");
        assert_eq!(texts(&item), ["another"], "{kind:?}");
        assert!(item.problem.is_some(), "{kind:?}");
        let again = story.calm_pass(hours(28));
        assert_eq!(again.status, report.status, "{kind:?}");
        assert_eq!(story.remote.count("WriteDevice"), 0, "{kind:?}");
    }
}

// shows C10
#[test]
fn a_device_that_accepts_its_first_value_and_does_not_take_it_is_asked_again() {
    let mut story = set_up();
    let ours = found(&story.remote, &days());
    end(&mut story);
    let lie = |action: &Action| match action {
        Action::WriteDevice { write, .. } if write.place == days() => {
            Some(Answer::DeviceWritten(Ok(())))
        }
        _ => None,
    };
    story.full_looks = false;
    let report = story.pass(hours(2), lie);
    assert_eq!(story.remote.count("WriteDevice"), 3);
    assert_eq!(found(&story.remote, &days()), ours);
    let problem = weekdays(&report).problem.expect("it is said");
    assert_eq!(problem.outcome, Reason::AcceptedNotEffective);
    assert_eq!(weekdays(&report).released, None);
    let report = story.calm_pass(hours(3));
    assert_eq!(weekdays(&report).released, Some(ReleasedAs::Restored));
    assert_eq!(found(&story.remote, &days()), text("another"));
}

// shows C10 K5
#[test]
fn nothing_is_overwritten_before_its_value_is_kept() {
    let mut story = Story::new();
    let refuse = |action: &Action| {
        let keeps = matches!(action, Action::RecordPrevious { .. });
        keeps.then_some(Answer::Recorded(None))
    };
    let report = story.pass(hours(0), refuse);
    assert_eq!(story.remote.count("WriteDevice"), 0);
    assert_eq!(story.remote.count("RecordPrevious"), 1, "it backs off");
    let ready = said(&report, ConditionType::Ready);
    assert_eq!(ready, "False(Waiting)");
    let report = story.calm_pass(hours(1));
    assert_eq!(texts(&weekdays(&report)), ["another"]);
}

// shows C10
#[test]
fn a_service_that_keeps_its_settings_keeps_no_value_and_puts_none_back() {
    let mut story = Story::new();
    let service = story.snapshot.services.get_mut("data-backup");
    let service = Arc::make_mut(service.expect("the service"));
    service.spec.device.as_mut().expect("a device side").release = Release::Keep;
    story.pass(hours(0), |action| {
        assert!(!matches!(action, Action::RecordPrevious { .. }));
        None
    });
    end(&mut story);
    let report = story.calm_pass(hours(2));
    assert_eq!(story.remote.count("WriteDevice"), 0);
    assert_eq!(weekdays(&report).released, Some(ReleasedAs::Kept));
}

// shows C10 K5
#[test]
fn a_subscription_that_was_made_again_without_its_status_takes_nothing_for_what_was_there_first() {
    // https://github.com/F5Networks/f5-declarative-onboarding/issues/56: after the memory was lost,
    // what the program had set became the original.
    let mut story = set_up();
    story.edit(|it| {
        it.status = None;
        it.spec.restored = Some(now());
    });
    story.edit_revision(|it| {
        it.parameters
            .insert("weekdays".to_owned(), "mon".to_owned());
    });
    let report = story.calm_pass(hours(1));
    let previous = weekdays(&report).previous.expect("it is said");
    assert_eq!(previous.unsaved, Some(Unsaved::Unknown));
    end(&mut story);
    let report = story.calm_pass(hours(2));
    assert_eq!(weekdays(&report).released, Some(ReleasedAs::Kept));
    assert_eq!(found(&story.remote, &days()), text("mon"));
}

// shows C10 K5
#[test]
fn a_service_that_is_deleted_during_a_pass_is_not_let_go_before_its_settings_are_back() {
    let mut story = set_up();
    // Of a service without a server nothing else holds the object.
    story.edit(|it| it.status.as_mut().expect("a status").server = None);
    let snapshot = story.snapshot.clone();
    let pass = Pass::new(snapshot.clone(), Backoffs::default(), now());
    let mut object = (*snapshot.subscriptions[0]).clone();
    object.metadata.deletion_timestamp = Some(Time(now()));
    let report = pass
        .report_subscription(&object, now())
        .expect("it is ours");
    assert!(!report.finalizer_may_go);
}

// shows K7
#[test]
fn the_values_of_a_subscription_together_have_a_limit() {
    let saved = |name: &str, size: usize| SavedItem {
        key: ItemKey::device_setting(name),
        digest: crate::delivery::digest(name),
        previous: Previous {
            values: vec!["x".repeat(size).as_str().into()],
            saved: now(),
            unsaved: None,
            machine: crate::delivery::digest("A1"),
            own: None,
            returned: None,
        },
    };
    let count = MOST_BYTES / MAX_PREVIOUS;
    let many = (0..=count).map(|index| saved(&format!("setting-{index}"), MAX_PREVIOUS));
    let kept = within_limit(None, many.collect());
    let without = kept.iter().filter(|it| it.previous.values.is_empty());
    let reasons: Vec<_> = without.map(|it| it.previous.unsaved).collect();
    assert_eq!(reasons, [Some(Unsaved::TooLarge)]);
}
