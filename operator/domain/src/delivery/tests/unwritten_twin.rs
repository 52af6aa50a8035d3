//! The wait after a write of the twin that failed: nothing is written, and all that is heard counts.

use entente_crds::{condition::Reason, v1alpha1::Cause};

use super::software_fixture::{Story, delay, ready};

/// Returns a device whose settings could not be written into its twin a moment ago.
fn unwritten() -> Story {
    let mut story = Story::new(None, &[]);
    story.remote.is_unwritable = true;
    let (said, words) = ready(&story.pass()["backup"]);
    assert_eq!(said, "False(Waiting)");
    assert!(words.contains("could not be written"), "{words}");
    story
}

// shows C13 K5
#[test]
fn a_twin_that_cannot_be_written_is_written_after_a_wait_and_not_before() {
    let mut story = unwritten();
    story.remote.is_unwritable = false;
    story.requests.clear();
    let report = &story.pass()["backup"];
    assert_eq!(ready(report).0, "False(Waiting)");
    assert_eq!(story.requests, [""; 0]);
    let wakes = story.wakes.expect("another pass");
    assert!(wakes > story.now, "{wakes}");
    story.now = wakes;
    let report = &story.pass()["backup"];
    assert_eq!(ready(report).0, "False(WaitingForDevice)");
    assert_eq!(story.requests, ["settings"]);
}

// shows C1 D9
#[test]
fn a_consent_that_is_withdrawn_while_the_twin_cannot_be_written_is_seen_at_once() {
    let mut story = unwritten();
    let at = story.now;
    story.edit_twin(|twin| {
        let registration = twin.status.as_mut().and_then(|it| it.registration.as_mut());
        let consent = registration.and_then(|it| it.consent.as_mut());
        consent.expect("consent").withdrawn = Some(at);
    });
    let report = &story.pass()["backup"];
    assert_eq!(ready(report).0, "False(ConsentWithdrawn)");
    let withdrawn = (Reason::ConsentWithdrawn, Cause::Customer);
    assert_eq!(delay(&story.later(30).pass()["backup"]), withdrawn);
}
