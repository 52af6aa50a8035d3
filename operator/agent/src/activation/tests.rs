//! Tests of the words on services.

use super::*;
use crate::{
    api::Service,
    services::{keep, switch},
};

const LIST: Option<&str> = Some("\"1\"");

fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn listed(activation: Activation, state: &str, missing: &[&str]) -> Service {
    Service {
        application_id: Some("acme.toner.lobby-mfp".into()),
        service_id: "toner".into(),
        provider: "Northwind".into(),
        description: "Toner is sent in time".into(),
        state: state.into(),
        activation,
        requires: crate::api::Requires::default(),
        missing: missing.iter().map(|leg| (*leg).to_owned()).collect(),
    }
}

fn kept(activation: Activation, state: &str, missing: &[&str]) -> Vec<Kept> {
    keep(&[], &[listed(activation, state, missing)])
}

/// Returns the word that is due with a list.
fn word(kept: &[Kept], lacks: &[&str], list: Option<&str>) -> Option<Due> {
    let lacks: Vec<String> = lacks.iter().map(|words| (*words).to_owned()).collect();
    due(&kept[0], &lacks, list, By::Technician)
}

/// Records that the word that is due was told, if there is one; true if there was.
fn tell(kept: &mut [Kept], lacks: &[&str], list: Option<&str>, outcome: &Outcome) -> bool {
    let due = word(kept, lacks, list);
    if let Some(due) = &due {
        record(kept, due, list, outcome);
    }
    due.is_some()
}

fn state(state: &str) -> Outcome {
    heard(Answered {
        state: state.into(),
        reason: None,
        next: None,
    })
}

// shows C15
#[test]
fn each_use_of_the_switch_is_told_once_and_off_too() {
    for activation in [Activation::ByOperator, Activation::ByDevice] {
        let mut kept = kept(activation, "Active", &[]);
        assert!(!tell(&mut kept, &[], LIST, &state("Active")));
        assert!(switch(&mut kept, "toner", false, By::Panel, instant(1)));
        let off = word(&kept, &[], LIST).unwrap();
        assert_eq!((off.word.active, off.word.by), (false, By::Panel));
        assert!(tell(&mut kept, &[], LIST, &state("Inactive")));
        assert_eq!(kept[0].state, "Inactive");
        for list in [LIST, Some("\"2\"")] {
            assert!(!tell(&mut kept, &[], list, &state("Inactive")), "{list:?}");
        }
        switch(&mut kept, "toner", true, By::Technician, instant(2));
        assert!(word(&kept, &[], LIST).unwrap().word.active);
        assert!(tell(&mut kept, &[], LIST, &state("Active")));
        assert!(!tell(&mut kept, &[], LIST, &state("Active")));
    }
}

#[test]
fn a_switch_that_is_used_while_a_word_is_under_way_is_told_afterwards() {
    let mut kept = kept(Activation::ByOperator, "Active", &[]);
    switch(&mut kept, "toner", false, By::Panel, instant(1));
    let off = word(&kept, &[], LIST).unwrap();
    switch(&mut kept, "toner", true, By::Panel, instant(2));
    record(&mut kept, &off, LIST, &state("Inactive"));
    assert!(is_switched(&kept[0]));
    assert!(word(&kept, &[], LIST).unwrap().word.active);
}

#[test]
fn a_switch_of_a_service_that_is_gone_is_told_as_soon_as_it_is_contracted_anew() {
    let mut kept = kept(Activation::ByOperator, "Active", &[]);
    let cancelled = Service {
        application_id: None,
        ..listed(Activation::ByOperator, "Cancelled", &[])
    };
    kept = keep(&kept, &[cancelled]);
    switch(&mut kept, "toner", false, By::Panel, instant(1));
    assert_eq!(word(&kept, &[], LIST), None);
    kept = keep(&kept, &[listed(Activation::ByOperator, "Scheduled", &[])]);
    assert!(tell(&mut kept, &[], LIST, &state("Inactive")));
    // The same switch is not told again under a later contract: somebody may have used another one since.
    let later = Service {
        application_id: Some("beta.toner.lobby-mfp".into()),
        ..listed(Activation::ByOperator, "Scheduled", &[])
    };
    kept = keep(&kept, &[later]);
    assert_eq!(word(&kept, &[], LIST), None);
}

// shows C5 C6
#[test]
fn a_device_asks_once_for_each_list_in_which_its_service_is_in_force_and_off() {
    let mut kept = kept(Activation::ByDevice, "Inactive", &[]);
    let first = word(&kept, &[], LIST).unwrap();
    assert_eq!((first.word.active, first.word.by), (true, By::Technician));
    assert_eq!(first.application_id, "acme.toner.lobby-mfp");
    assert!(tell(&mut kept, &[], LIST, &state("Pending")));
    assert!(!tell(&mut kept, &[], LIST, &state("Pending")));
    assert!(tell(&mut kept, &[], Some("\"2\""), &state("Active")));
    assert!(!tell(&mut kept, &[], Some("\"3\""), &state("Active")));
    // A gateway that tags nothing is asked at each poll.
    kept = self::kept(Activation::ByDevice, "Inactive", &[]);
    assert!(tell(&mut kept, &[], None, &state("Pending")));
    assert!(tell(&mut kept, &[], None, &state("Pending")));
}

#[test]
fn a_device_asks_for_nothing_that_is_not_in_force_on_or_turned_on_by_others() {
    let asks = |activation, state: &str| word(&kept(activation, state, &[]), &[], LIST).is_some();
    for state in ["Scheduled", "Active", "Cancelled", "Later"] {
        assert!(!asks(Activation::ByDevice, state), "{state}");
    }
    for state in ["Scheduled", "Inactive", "Pending", "Active"] {
        assert!(!asks(Activation::ByOperator, state), "{state}");
        assert!(!asks(Activation::Other, state), "{state}");
    }
    assert!(asks(Activation::ByDevice, "Inactive") && asks(Activation::ByDevice, "Pending"));
}

// shows C15
#[test]
fn a_device_does_not_ask_for_what_is_switched_off_here_or_elsewhere() {
    let mut here = kept(Activation::ByDevice, "Inactive", &[]);
    switch(&mut here, "toner", false, By::Panel, instant(1));
    assert!(tell(&mut here, &[], LIST, &state("Inactive")));
    assert_eq!(word(&here, &[], Some("\"2\"")), None);
    let mut elsewhere = kept(Activation::ByDevice, "Inactive", &["DisabledLocally"]);
    assert_eq!(word(&elsewhere, &[], LIST), None);
    assert_eq!(word(&elsewhere, &["no colour"], LIST), None);
    // The word of a person at the device is newer.
    switch(&mut elsewhere, "toner", true, By::Panel, instant(2));
    assert!(word(&elsewhere, &[], LIST).unwrap().word.active);
}

// shows C6 C14
#[test]
fn an_ability_that_is_missing_or_is_there_again_is_told_once() {
    for activation in [Activation::ByOperator, Activation::ByDevice] {
        let mut kept = kept(activation, "Active", &[]);
        let unable = word(&kept, &["no colour"], LIST).unwrap();
        assert!(unable.word.active && !unable.word.supported);
        assert_eq!(unable.word.unsupported, ["no colour"]);
        let refusal = Failure::Refused {
            status: 409,
            reason: "UnsupportedByDevice".into(),
            detail: String::new(),
        };
        let refusal = refused(&refusal).unwrap();
        assert!(tell(&mut kept, &["no colour"], LIST, &refusal));
        assert_eq!(kept[0].told.as_ref().unwrap().answer, "UnsupportedByDevice");
        kept = keep(
            &kept,
            &[listed(activation, "Inactive", &["UnsupportedByDevice"])],
        );
        let list = Some("\"2\"");
        assert_eq!(word(&kept, &["no colour"], list), None, "{activation:?}");
        assert!(tell(&mut kept, &[], list, &state("Active")));
        assert!(!tell(&mut kept, &[], list, &state("Active")));
    }
}

#[test]
fn a_failure_leaves_a_word_to_be_told_again_and_a_refusal_does_not() {
    let unavailable = Failure::Unavailable {
        status: 503,
        detail: String::new(),
        retry_after: None,
    };
    assert_eq!(refused(&unavailable), None);
    let refusal = |status: u16, reason: &str| {
        refused(&Failure::Refused {
            status,
            reason: reason.into(),
            detail: "one fault".into(),
        })
    };
    assert_eq!(refusal(404, "ApplicationNotFound"), Some(Outcome::Gone));
    for (status, reason, answer) in [
        (409, "NotInForce", "NotInForce"),
        (422, "InvalidRequest", "422 InvalidRequest: one fault"),
    ] {
        let mut kept = kept(Activation::ByDevice, "Inactive", &[]);
        let outcome = refusal(status, reason).unwrap();
        assert!(tell(&mut kept, &[], LIST, &outcome));
        assert_eq!(kept[0].told.as_ref().unwrap().answer, answer);
        assert_eq!(kept[0].state, "Inactive");
        assert!(!tell(&mut kept, &[], LIST, &outcome));
        assert!(tell(&mut kept, &[], Some("\"2\""), &outcome));
    }
    let mut kept = kept(Activation::ByDevice, "Inactive", &[]);
    assert!(tell(&mut kept, &[], LIST, &Outcome::Gone));
    assert_eq!(kept[0].told, None);
}

#[test]
fn a_new_registration_is_told_what_is_off_and_not_what_is_on() {
    for (enabled, tells) in [(false, true), (true, false)] {
        let mut kept = kept(Activation::ByOperator, "Active", &[]);
        switch(&mut kept, "toner", enabled, By::Panel, instant(1));
        assert!(tell(&mut kept, &[], LIST, &state("Active")));
        begin(&mut kept);
        assert_eq!(word(&kept, &[], LIST).is_some(), tells, "{enabled}");
    }
    let mut kept = kept(Activation::ByDevice, "Inactive", &[]);
    assert!(tell(&mut kept, &[], LIST, &state("Pending")));
    begin(&mut kept);
    assert!(word(&kept, &[], LIST).is_some());
}

#[test]
fn an_answer_that_is_pending_shortens_the_wait_less_and_less() {
    let mut kept = kept(Activation::ByDevice, "Inactive", &[]);
    let pending = heard(Answered {
        state: "Pending".into(),
        reason: Some("ProviderPending".into()),
        next: Period::parse("PT10S"),
    });
    assert!(tell(&mut kept, &[], LIST, &pending));
    let told = kept[0].told.as_ref().unwrap();
    assert_eq!(told.answer, "Pending (ProviderPending)");
    let waits = [0, 1, 2, 99].map(|times| wait(&kept, LIST, times).unwrap().as_secs());
    assert_eq!(waits, [10, 20, 40, 10 << 20]);
    // Another list has another answer.
    assert_eq!(wait(&kept, Some("\"2\""), 0), None);
}
