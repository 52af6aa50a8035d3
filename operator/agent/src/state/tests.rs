//! Tests of the registration's state.

use super::*;
use crate::api::By;

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const EARLY: &str = "2027-03-20T00:00:00Z";
const LATE: &str = "2027-10-01T00:00:00Z";

fn region() -> Region {
    Region {
        region: "jp".into(),
        url: "https://gw.jp.example".into(),
        valid_until: instant("2027-05-01T00:00:00Z"),
    }
}

fn consent() -> Consent {
    Consent {
        by: By::Panel,
        at: instant(EARLY),
        text_version: "2027-01".into(),
    }
}

fn credential(token: &str) -> Credential {
    Credential {
        token: token.into(),
        renew_after: instant("2027-09-20T00:00:00Z"),
    }
}

fn answer(token: &str) -> Registered {
    Registered {
        printer_id: "0d5e4d0c-6f3b-5b0a-9c0e-3b7f6f4f1c11".into(),
        device: "lobby-mfp".into(),
        namespace: "acme".into(),
        credential: credential(token),
        poll: serde_json::from_str(r#"{"period":"PT24H","next":"PT5S"}"#).unwrap(),
        links: Links {
            services: "/s".into(),
            twin: "/t".into(),
            events: None,
            ddi: None,
        },
    }
}

fn token(state: &State) -> Option<&str> {
    let held = state.credential.as_ref()?;
    Some(&held.credential.token)
}

/// A device that is registered, with a credential that has worked or not.
fn registered(used: bool) -> State {
    let mut state = State {
        consent: Some(consent()),
        gateway: Some(region().url),
        ..State::default()
    };
    state.registered(answer("first"));
    if used {
        assert!(state.accepted());
    }
    state
}

// shows C1
#[test]
fn nothing_but_the_look_up_comes_before_consent() {
    let now = instant(EARLY);
    let mut state = State::default();
    assert_eq!(state.step(true, now), Step::LookUp);
    assert_eq!(state.step(false, now), Step::NeedConsent);
    assert_eq!(state.looked_up(region()), Found::New);
    assert_eq!(state.step(true, now), Step::NeedConsent);
    state.consent = Some(consent());
    assert_eq!(state.step(true, now), Step::Register);
    // The answer of the look-up has an end.
    assert_eq!(state.step(true, instant(LATE)), Step::LookUp);
}

// shows C2
#[test]
fn a_registration_keeps_its_key_until_it_is_answered() {
    let mut state = State {
        consent: Some(consent()),
        ..State::default()
    };
    let mut made = 0;
    let mut new = || {
        made += 1;
        format!("key-{made}")
    };
    assert_eq!(state.key(&mut new), "key-1");
    // The answer was lost, and the process was restarted.
    let text = serde_json::to_string(&state).unwrap();
    let mut state: State = serde_json::from_str(&text).unwrap();
    assert_eq!(state.key(&mut new), "key-1");
    state.waits(Pending {
        registration_id: "r".into(),
        interval: 30,
    });
    assert_eq!(state.step(false, instant(EARLY)), Step::AskPending);
    state.is_ready();
    assert_eq!(state.step(false, instant(EARLY)), Step::Register);
    assert_eq!(state.key(&mut new), "key-1");
    state.attempt_ended();
    assert_eq!(state.key(&mut new), "key-2");
    state.registered(answer("first"));
    assert_eq!(
        (state.attempt.as_ref(), token(&state)),
        (None, Some("first"))
    );
    assert_eq!(state.step(false, instant(EARLY)), Step::Poll);
}

// shows C17
#[test]
fn a_credential_that_died_before_its_first_use_means_register_again() {
    let mut state = registered(false);
    assert_eq!(state.refused(), Then::GoOn);
    assert_eq!(state.step(false, instant(EARLY)), Step::Register);
}

// mercedes-benz/sechub issue 596: 401 under load, although the credential is right.
// Unleash/unleash-node-sdk issue 615: a client that never came again after one refusal.
#[test]
fn one_refusal_of_a_credential_that_worked_is_not_the_end() {
    let mut state = registered(true);
    assert_eq!(state.refused(), Then::Wait);
    assert_eq!(state.refused(), Then::Wait);
    assert_eq!(state.step(false, instant(EARLY)), Step::Poll);
    assert!(state.accepted());
    assert_eq!(state.refusals, 0);
}

// shows C17
#[test]
fn a_revoked_credential_stops_the_device_and_is_not_thrown_away() {
    let mut state = registered(true);
    let then: Vec<Then> = (0..3).map(|_| state.refused()).collect();
    assert_eq!(then, [Then::Wait, Then::Wait, Then::Stop]);
    assert_eq!(state.step(true, instant(LATE)), Step::Stopped);
    assert_eq!(token(&state), Some("first"));
}

// shows C17
#[test]
fn a_credential_is_renewed_in_time_and_the_former_one_is_kept_until_the_new_one_works() {
    let mut state = registered(true);
    assert_eq!(state.step(false, instant(EARLY)), Step::Poll);
    assert_eq!(state.step(false, instant(LATE)), Step::Renew);
    state.renewed(credential("second"));
    // A new one is not renewed before it has worked, whatever its date.
    assert_eq!(state.step(false, instant(LATE)), Step::Poll);
    assert_eq!(state.refused(), Then::GoOn);
    assert_eq!(token(&state), Some("first"));
    state.renewed(credential("third"));
    assert!(state.accepted());
    assert_eq!((token(&state), &state.former), (Some("third"), &None));
    assert!(!state.accepted());
}

// shows C1
#[test]
fn a_withdrawal_forgets_consent_and_credential() {
    let mut state = registered(true);
    state.looked_up(region());
    state.withdrawn();
    assert_eq!((&state.consent, token(&state)), (&None, None));
    assert_eq!(state.step(true, instant(EARLY)), Step::NeedConsent);
}

#[test]
fn a_region_that_has_moved_gets_no_token_of_a_device_that_is_registered() {
    let mut state = registered(true);
    state.looked_up(region());
    let before = state.gateway.clone();
    assert!(!state.looks_up_again(instant(EARLY)));
    assert!(state.looks_up_again(instant(LATE)));
    let moved = Region {
        url: "https://gw.kr.example".into(),
        valid_until: instant("2028-05-01T00:00:00Z"),
        ..region()
    };
    assert_eq!(state.looked_up(moved), Found::Moved);
    assert_eq!(state.gateway, before);
    assert!(!state.looks_up_again(instant(LATE)));
}

#[test]
fn a_token_is_not_shown_by_debug() {
    let shown = format!("{:?}", registered(true));
    assert!(!shown.contains("first"), "{shown}");
}
