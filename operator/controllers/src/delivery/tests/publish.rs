//! Tests of events: the transitions that are published, and that no repetition is.

use entente_crds::{
    condition::{ConditionType, Reason},
    digest::Digest,
    v1alpha1::{AdoptedBy, Adoption, Condition, Device, Promise, ServerInstance},
};

use super::{super::publish, *};

fn condition(type_: ConditionType, status: &str, reason: Reason) -> Condition {
    let said = json!({"type": type_.as_str(), "status": status, "reason": reason.as_str(),
        "message": "as the test wants it", "lastTransitionTime": "2027-01-01T00:00:00Z"});
    serde_json::from_value(said).expect("a condition")
}

fn with_ready(reason: Reason) -> ServiceSubscription {
    let mut subscription = example::service_subscription();
    subscription.metadata.uid = Some("s1".to_owned());
    let status = if reason == Reason::Delivered {
        "True"
    } else {
        "False"
    };
    let ready = condition(ConditionType::Ready, status, reason);
    subscription.status = Some(ServiceSubscriptionStatus {
        conditions: vec![ready],
        ..ServiceSubscriptionStatus::default()
    });
    subscription
}

fn device_with(conditions: Vec<Condition>) -> Device {
    let mut device = example::devices()[0].clone();
    device.metadata.uid = Some("d1".to_owned());
    device.status.get_or_insert_default().conditions = conditions;
    device
}

/// Returns the events of a transition, with a Device in the cache or without one.
async fn told(with_device: bool, publish: impl FnOnce(&Delivery)) -> Vec<String> {
    let process = prepared();
    if !with_device {
        process.cluster.delete::<Device>(NAMESPACE, DEVICE);
    }
    let (parts, _trigger) = process.parts().await;
    let delivery = delivery(parts);
    publish(&delivery);
    delivery.context.events.flush(Duration::from_mins(1)).await;
    process.cluster.events()
}

// shows K3
#[tokio::test(start_paused = true)]
async fn a_subscription_that_needs_a_person_is_told_at_its_device_and_what_heals_is_not() {
    for (reason, event) in [
        (Reason::AcceptedNotEffective, Some("VerificationMismatch")),
        (Reason::RejectedValue, Some("SettingsRejected")),
        (Reason::RejectedNotSettable, Some("SettingsRejected")),
        (Reason::Unsupported, Some("SettingsRejected")),
        (Reason::IdentityMismatch, Some("IdentityMismatch")),
        (Reason::Unauthorized, Some("CredentialsRejected")),
        (Reason::OfferingChanged, Some("OfferingChanged")),
        (Reason::BrokerChanged, Some("BrokerChanged")),
        (Reason::Unreachable, None),
        (Reason::TimedOut, None),
        (Reason::Busy, None),
        (Reason::Progressing, None),
        (Reason::Delivered, None),
    ] {
        let (before, after) = (with_ready(Reason::Scheduled), with_ready(reason));
        let events = told(true, |delivery| {
            publish::subscription(delivery, Some(&before), &after);
        });
        let wanted = event.map(|event| format!("{event} Device {DEVICE}"));
        assert_eq!(events.await, Vec::from_iter(wanted), "{reason:?}");
    }
}

// shows D8 K3
#[tokio::test(start_paused = true)]
async fn a_debt_that_cannot_be_recorded_is_told_at_its_subscription() {
    let after = with_ready(Reason::CompensationNameTaken);
    let events = told(true, |delivery| {
        publish::subscription(delivery, None, &after);
    });
    let wanted = format!("CompensationNotRecorded ServiceSubscription {SUBSCRIPTION}");
    assert_eq!(events.await, [wanted]);
}

// shows K3 K5
#[tokio::test(start_paused = true)]
async fn an_instance_that_was_there_already_is_told_once_and_only_once_it_is_taken_over() {
    let with = |is_adopted: bool, is_taken_over: bool| {
        let mut subscription = with_ready(Reason::Delivered);
        let status = subscription.status.as_mut().expect("a status");
        status.server = Some(ServerInstance {
            adopted: is_adopted.then_some(Adoption {
                since: promised(),
                by: AdoptedBy::Fetch,
            }),
            sent_digest: is_taken_over.then(Digest::default),
            ..ServerInstance::default()
        });
        subscription
    };
    let adopted = format!("InstanceAdopted ServiceSubscription {SUBSCRIPTION}");
    for (before, after, wanted) in [
        ((false, false), (true, true), Some(&adopted)),
        ((true, false), (true, true), Some(&adopted)),
        ((false, false), (true, false), None),
        ((true, true), (true, true), None),
        ((false, false), (false, true), None),
    ] {
        let (before, after) = (with(before.0, before.1), with(after.0, after.1));
        let events = told(true, |delivery| {
            publish::subscription(delivery, Some(&before), &after);
        });
        assert_eq!(events.await, Vec::from_iter(wanted.cloned()));
    }
}

// shows K3
#[tokio::test(start_paused = true)]
async fn what_was_told_already_is_not_told_again() {
    let (before, mut after) = (
        with_ready(Reason::RejectedValue),
        with_ready(Reason::RejectedValue),
    );
    let status = after.status.as_mut().expect("a status");
    status.conditions[0].message = "in other words".into();
    let events = told(true, |delivery| {
        publish::subscription(delivery, Some(&before), &after);
    });
    assert_eq!(events.await, [""; 0]);
}

// shows K3
#[tokio::test(start_paused = true)]
async fn without_a_device_it_is_told_at_the_subscription() {
    let after = with_ready(Reason::Unauthorized);
    let events = told(false, |delivery| {
        publish::subscription(delivery, None, &after);
    });
    let wanted = format!("CredentialsRejected ServiceSubscription {SUBSCRIPTION}");
    assert_eq!(events.await, [wanted]);
}

// shows D4 K3
#[tokio::test(start_paused = true)]
async fn a_promise_that_is_missed_is_told_once_and_one_that_is_kept_is_not() {
    let with = |state: PromiseState| {
        let mut subscription = with_ready(Reason::Unreachable);
        let status = subscription.status.as_mut().expect("a status");
        status.promises = vec![Promise {
            effective: promised(),
            state,
            completed: None,
            proof: None,
            closed: None,
            delays: Vec::new(),
            emitted: Vec::new(),
        }];
        subscription
    };
    let missed = format!("StartDateMissed ServiceSubscription {SUBSCRIPTION}");
    for (before, after, wanted) in [
        (
            Some(PromiseState::Open),
            PromiseState::Missed,
            Some(&missed),
        ),
        (None, PromiseState::Missed, Some(&missed)),
        (Some(PromiseState::Missed), PromiseState::Missed, None),
        (Some(PromiseState::Open), PromiseState::Open, None),
        (Some(PromiseState::Open), PromiseState::Closed, None),
    ] {
        let (before, after) = (before.map(with), with(after));
        let events = told(true, |delivery| {
            publish::subscription(delivery, before.as_ref(), &after);
        });
        assert_eq!(events.await, Vec::from_iter(wanted.cloned()));
    }
}

// shows D3 K3
#[tokio::test(start_paused = true)]
async fn how_late_a_promise_was_fulfilled_is_counted_once() {
    let process = prepared();
    let (parts, _trigger) = process.parts().await;
    let delivery = delivery(parts);
    let before = with_ready(Reason::Unreachable);
    let mut after = with_ready(Reason::Delivered);
    let completed = promised() + jiff::SignedDuration::from_secs(90);
    after.status.as_mut().expect("a status").promises = vec![Promise {
        effective: promised(),
        state: PromiseState::Kept,
        completed: Some(completed),
        proof: None,
        closed: Some(completed),
        delays: Vec::new(),
        emitted: Vec::new(),
    }];
    publish::subscription(&delivery, Some(&before), &after);
    publish::subscription(&delivery, Some(&after), &after);
    let metrics = delivery.context.metrics.encode();
    let value = |suffix: &str| {
        let mut lines = metrics.lines();
        let line = lines.find(|line| line.contains("late") && line.contains(suffix));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    assert_eq!(value("_count"), Some(1.0), "{metrics}");
    assert_eq!(value("_sum"), Some(90.0), "{metrics}");
}

// shows K3
#[tokio::test(start_paused = true)]
async fn a_device_that_falls_silent_is_told_once_and_one_that_refuses_is_not_called_silent() {
    let online = |status: &str, reason: Reason| {
        device_with(vec![condition(ConditionType::Online, status, reason)])
    };
    let answered = online("True", Reason::Answered);
    for (before, after, is_told) in [
        (&answered, online("False", Reason::Unreachable), true),
        (&answered, online("False", Reason::TimedOut), true),
        (&answered, online("False", Reason::TlsFailed), true),
        (&answered, online("False", Reason::Unauthorized), false),
        (&answered, online("Unknown", Reason::NeverSeen), false),
        (
            &online("False", Reason::TimedOut),
            online("False", Reason::Unreachable),
            false,
        ),
        (
            &online("False", Reason::Unauthorized),
            online("False", Reason::Unreachable),
            true,
        ),
    ] {
        let events = told(true, |delivery| publish::device(delivery, before, &after)).await;
        let wanted = is_told.then(|| format!("DeviceUnreachable Device {DEVICE}"));
        assert_eq!(events, Vec::from_iter(wanted), "{after:?}");
    }
}

// shows K3
#[tokio::test(start_paused = true)]
async fn a_device_that_recovers_is_told_and_one_that_does_as_it_is_told_is_no_news() {
    let applied = |status: &str, reason: Reason| {
        let ready = condition(ConditionType::Ready, status, reason);
        let applied = condition(ConditionType::SettingsApplied, status, reason);
        device_with(vec![ready, applied])
    };
    let succeeded = applied("True", Reason::Succeeded);
    for (before, is_told) in [
        (applied("False", Reason::RejectedValue), true),
        (applied("False", Reason::Unreachable), true),
        (applied("False", Reason::Progressing), false),
        (applied("False", Reason::NotStarted), false),
        (applied("False", Reason::Pending), false),
        (applied("True", Reason::NothingWanted), false),
        (succeeded.clone(), false),
    ] {
        let events = told(true, |delivery| {
            publish::device(delivery, &before, &succeeded);
        });
        let wanted = is_told.then(|| format!("DeviceConfigured Device {DEVICE}"));
        assert_eq!(events.await, Vec::from_iter(wanted), "{before:?}");
    }
}
