//! The words of a device on its services, and the answers to them.

use entente_crds::v1alpha1::{
    Condition, DeviceTwinSpec, ServerInstance, ServiceSubscriptionSpec, ServiceSubscriptionStatus,
    SubscriptionActivation,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

const TONER: &str = "acme-2027.toner.lobby-mfp";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn word(body: &Value) -> Word {
    Word::read(body).expect("a word")
}

fn on() -> Word {
    word(&json!({"active": true, "by": "Panel"}))
}

fn off() -> Word {
    word(&json!({"active": false, "by": "Technician"}))
}

fn twin_after(twin: &DeviceTwin, word: &Word, now: Timestamp) -> Option<DeviceTwin> {
    let status = word.apply(twin, TONER, None, |_| true, now)?;
    let mut after = twin.clone();
    after.status = Some(status);
    Some(after)
}

fn subscription(
    state: Option<ActivationState>,
    activated: Option<(&str, Reason)>,
) -> ServiceSubscription {
    let mut subscription = ServiceSubscription::new(TONER, ServiceSubscriptionSpec::default());
    let conditions = activated.map(|(status, reason)| Condition {
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        message: "".into(),
        observed_generation: None,
        reason: reason.as_str().to_owned(),
        status: status.to_owned(),
        type_: "Activated".to_owned(),
    });
    subscription.status = Some(ServiceSubscriptionStatus {
        activation: state.map(|state| SubscriptionActivation {
            state,
            since: at(0),
        }),
        conditions: conditions.into_iter().collect(),
        server: Some(ServerInstance {
            instance_id: "NW-77".to_owned(),
            ..ServerInstance::default()
        }),
        ..ServiceSubscriptionStatus::default()
    });
    subscription
}

// shows C5 K4
#[test]
fn every_fault_of_a_word_is_told_with_its_place() {
    for (body, pointer) in [
        (json!({"by": "Panel"}), "/active"),
        (json!({"active": "yes", "by": "Panel"}), "/active"),
        (json!({"active": true}), "/by"),
        (json!({"active": true, "by": "panel"}), "/by"),
        (
            json!({"active": true, "by": "Panel", "supported": 1}),
            "/supported",
        ),
        (
            json!({"active": true, "by": "Panel", "unsupported": ["no colour"]}),
            "/unsupported",
        ),
        (
            json!({"active": true, "by": "Panel", "supported": false, "unsupported": [7]}),
            "/unsupported/0",
        ),
        (
            json!({"active": true, "by": "Panel", "supported": false,
                   "unsupported": vec!["a"; 17]}),
            "/unsupported",
        ),
        (json!({"active": true, "by": "Panel", "on": true}), "/on"),
    ] {
        let Err(Problem::Invalid(_, faults)) = Word::read(&body) else {
            panic!("{body}");
        };
        assert_eq!(faults[0].pointer, pointer, "{body}");
    }
    assert!(Word::read(&json!([])).is_err());
}

// shows C5 C15
#[test]
fn a_word_is_written_once_and_a_repeated_one_only_after_somebody_elses() {
    let twin = DeviceTwin::new("lobby-mfp", DeviceTwinSpec::default());
    let first = twin_after(&twin, &on(), at(1)).expect("it is new");
    assert_eq!(twin_after(&first, &on(), at(2)), None);
    let second = twin_after(&first, &off(), at(3)).expect("it is another one");
    let local = &second.status.as_ref().unwrap().local;
    assert_eq!(
        (local.len(), local[0].enabled, local[0].at),
        (1, false, at(3))
    );
    let by_command = LocalEnablement {
        enabled: false,
        at: at(5),
        heard: Some(at(1)),
        ..LocalEnablement::default()
    };
    let again = on().apply(&first, TONER, Some(&by_command), |_| true, at(6));
    assert_eq!(again.expect("it is a new word").local[0].at, at(6));
    let own = LocalEnablement {
        enabled: true,
        at: at(1),
        heard: Some(at(1)),
        ..LocalEnablement::default()
    };
    assert_eq!(on().apply(&first, TONER, Some(&own), |_| true, at(6)), None);
}

#[test]
fn words_on_services_that_the_device_does_not_have_any_more_are_dropped() {
    let mut twin = DeviceTwin::new("lobby-mfp", DeviceTwinSpec::default());
    twin.status.get_or_insert_default().local = vec![TwinLocal {
        application_id: "gone".to_owned(),
        ..TwinLocal::default()
    }];
    let status = on().apply(&twin, TONER, None, |id| id == TONER, at(1));
    let local = status.expect("a word").local;
    assert_eq!(local.len(), 1);
    assert_eq!(local[0].application_id, TONER);
}

// shows C6
#[test]
fn an_activation_is_answered_by_what_the_subscription_says_and_by_nothing_else() {
    let active = outcome(
        &on(),
        &subscription(Some(ActivationState::Active), None),
        "Active",
        true,
    );
    let body = json!({"state": "Active", "since": at(0), "provider": {"reference": "NW-77"}});
    assert_eq!(active, Outcome::Settled(body));
    for state in [
        None,
        Some(ActivationState::Inactive),
        Some(ActivationState::Pending),
    ] {
        let found = outcome(&on(), &subscription(state, None), "Inactive", true);
        assert!(matches!(found, Outcome::Pending(_)), "{found:?}");
    }
    let ended = outcome(
        &off(),
        &subscription(Some(ActivationState::Active), None),
        "Active",
        true,
    );
    assert_eq!(ended, Outcome::Settled(json!({"state": "Inactive"})));
}

// shows C5
#[test]
fn each_leg_that_is_missing_refuses_an_activation_with_its_own_reason() {
    let unable = word(
        &json!({"active": true, "by": "Panel", "supported": false, "unsupported": ["no colour"]}),
    );
    let held = subscription(
        Some(ActivationState::Inactive),
        Some(("False", Reason::ExclusiveGroupHeld)),
    );
    let open = subscription(None, None);
    for (word, subscription, state, reason) in [
        (on(), &open, "Scheduled", Reason::NotInForce),
        (on(), &open, "Cancelled", Reason::NotInForce),
        (unable, &open, "Inactive", Reason::UnsupportedByDevice),
        (on(), &held, "Inactive", Reason::ExclusiveGroupHeld),
    ] {
        let found = outcome(&word, subscription, state, true);
        let refused = Problem::NotActivated(reason, vec![reason]);
        assert_eq!(found, Outcome::Refused(refused));
    }
}

// shows C5 C14
#[test]
fn a_device_without_what_a_service_needs_is_refused_with_every_leg_that_is_missing() {
    let unable = Reason::UnsupportedByDevice;
    for (state, missing) in [
        ("Inactive", vec![unable]),
        ("Active", vec![unable]),
        ("Scheduled", vec![unable, Reason::NotInForce]),
    ] {
        let active = subscription(Some(ActivationState::Active), None);
        let found = outcome(&on(), &active, state, false);
        let refused = Problem::NotActivated(unable, missing);
        assert_eq!(found, Outcome::Refused(refused), "{state}");
    }
    let off = outcome(&off(), &subscription(None, None), "Inactive", false);
    assert_eq!(off, Outcome::Settled(json!({"state": "Inactive"})));
}
