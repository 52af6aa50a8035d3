//! A pass that is broken off at any of its requests to the API server, by a refusal, an error or a
//! panic, wakes no later than one that comes to its end.

use entente_crds::v1alpha1::Orphan;
use entente_drivers::fake::FakeInstance;

use super::*;
use crate::{
    cache::Key,
    catalogue::{Catalogue, Subject},
    compensation::Compensations,
    contract::Contracts,
    controller::{Reconcile, run_once},
    delivery::Delivery,
    in_process::Parts,
    pass_ids::PassIds,
    queue::Requeue,
};

/// A request is refused for good, is not carried out this time, loses its race, or panics.
const FAILURES: [Option<(u16, &str)>; 4] = [
    Some((422, "Invalid")),
    Some((500, "InternalError")),
    Some((409, "Conflict")),
    None,
];

fn instant(requeue: Option<Requeue>) -> Option<Timestamp> {
    match requeue? {
        Requeue::At(at) => Some(at),
        Requeue::After(_) => None,
        Requeue::Failed { at } | Requeue::Panicked { at } | Requeue::TimedOut { at } => at,
    }
}

/// Does one pass that is broken off at the request after this many, if it sends one. Returns the
/// instant at which the key runs again, and true if the pass was broken off.
async fn broken_off<R: Reconcile>(
    world: &impl Fn() -> InProcess,
    make: &impl Fn(Parts) -> R,
    key: &R::Key,
    after: usize,
    failure: Option<(u16, &'static str)>,
) -> (Option<Timestamp>, bool) {
    let process = world();
    let (parts, _trigger) = process.parts().await;
    let reconciler = make(parts);
    process.cluster.fail_after(after, failure);
    let requeue = run_once(&reconciler, key, &PassIds::default()).await;
    (instant(requeue), !process.cluster.waits_to_fail())
}

/// Breaks a pass off at each of its requests in turn, in every way: an error loses no instant of
/// the pass, and a panic none that is `known` without it.
async fn assert_instants_survive<R: Reconcile>(
    world: impl Fn() -> InProcess,
    make: impl Fn(Parts) -> R,
    key: R::Key,
    known: Option<Timestamp>,
    least_requests: usize,
) {
    let (whole, _) = broken_off(&world, &make, &key, usize::MAX, None).await;
    let whole = whole.expect("an instant of a pass that comes to its end");
    for failure in FAILURES {
        let wanted = known.filter(|_| failure.is_none()).unwrap_or(whole);
        let mut after = 0;
        loop {
            let (at, was_broken_off) = broken_off(&world, &make, &key, after, failure).await;
            if !was_broken_off {
                break;
            }
            assert!(
                at.is_some_and(|at| at <= wanted),
                "{failure:?} at request {after} of {key}: {at:?} and not {wanted}"
            );
            after += 1;
        }
        assert!(after >= least_requests, "{after} requests of {key}");
    }
}

// shows B7 K7
#[tokio::test(start_paused = true)]
async fn a_contract_wakes_at_its_start_whatever_request_of_its_pass_fails() {
    let make = |parts: Parts| Contracts::new(parts.context, parts.objects);
    // The finalizer, its subscriptions, its status.
    let requests = 1 + SUBSCRIPTIONS + 1;
    assert_instants_survive(
        prepared,
        make,
        Key::new(NAMESPACE, CONTRACT),
        None,
        requests,
    )
    .await;
}

// shows B2 B7 K7
#[tokio::test(start_paused = true)]
async fn a_contract_wakes_at_the_date_of_its_amendment_whatever_request_of_its_pass_fails() {
    let make = |parts: Parts| Contracts::new(parts.context, parts.objects);
    let amended = || {
        let process = prepared_at("2027-04-02T03:00:00Z");
        process.cluster.apply(&example::banco_sul_2027_july());
        process
    };
    // The finalizer, its subscriptions with that of one more device, and two statuses.
    let requests = 1 + SUBSCRIPTIONS + 1 + 2;
    let key = Key::new(NAMESPACE, CONTRACT);
    let july = "2027-07-01T03:00:00Z".parse().expect("an instant");
    let (whole, _) = broken_off(&amended, &make, &key, usize::MAX, None).await;
    assert_eq!(whole, Some(july));
    assert_instants_survive(amended, make, key, None, requests).await;
}

// shows B2 B7 K7
#[tokio::test(start_paused = true)]
async fn a_contract_wakes_at_the_dates_of_its_notices_whatever_request_of_its_pass_fails() {
    let make = |parts: Parts| Contracts::new(parts.context, parts.objects);
    let key = Key::new(NAMESPACE, example::banco_sul_lobby().name_any());
    // Expected by the end of a day: the finalizer and the status.
    let awaiting = || {
        let process = prepared_at("2027-06-01T03:00:00Z");
        process.cluster.apply(&example::banco_sul_lobby());
        process
    };
    let july = "2027-07-01T03:00:00Z".parse().expect("an instant");
    let (whole, _) = broken_off(&awaiting, &make, &key, usize::MAX, None).await;
    assert_eq!(whole, Some(july));
    assert_instants_survive(awaiting, make, key.clone(), None, 2).await;
    // Started, and to be ended in the next year: one subscription more, and the notices.
    let noticed = || {
        let process = awaiting();
        let mut end = example::banco_sul_installed();
        end.metadata.name = Some("cancelled".to_owned());
        end.spec.r#type = entente_crds::v1alpha1::NoticeType::Ended;
        end.spec.at = "2028-01-01T03:00:00Z".to_owned();
        process.cluster.apply(&example::banco_sul_installed());
        process.cluster.apply(&end);
        process
    };
    let make = |parts: Parts| Contracts::new(parts.context, parts.objects);
    let end = "2028-01-01T03:00:00Z".parse().expect("an instant");
    let (whole, _) = broken_off(&noticed, &make, &key, usize::MAX, None).await;
    assert_eq!(whole, Some(end));
    assert_instants_survive(noticed, make, key, None, 2 + 1 + 2).await;
}

/// Returns the world of [`prepared`] with a subscription.
fn subscribed() -> InProcess {
    let process = prepared();
    process.cluster.apply(&example::service_subscription());
    process
}

fn delivery(parts: Parts) -> Delivery {
    Delivery::new(
        parts.context,
        parts.objects,
        parts.secrets,
        parts.profiles,
        std::sync::Arc::default(),
        std::sync::Arc::default(),
        parts.shutdown,
    )
}

// shows B7 K7
#[tokio::test(start_paused = true)]
async fn a_device_wakes_at_its_next_date_whatever_request_of_its_pass_fails() {
    let device = example::devices()[0].name_any();
    // The pass alone knows when the device is looked at next. The login of the broker, the status of
    // the subscription, and that of the device.
    let known = Some(start());
    assert_instants_survive(subscribed, delivery, Key::new(NAMESPACE, device), known, 3).await;
}

// shows D8 K7
#[tokio::test(start_paused = true)]
async fn a_record_wakes_at_its_next_accrual_whatever_request_of_its_pass_fails() {
    let world = || {
        let process = InProcess::at("2027-04-01T09:00:00Z");
        let record = example::compensation();
        let mut subscription = example::service_subscription();
        subscription.metadata.uid = Some(record.spec.record.subscription.uid.clone());
        process.cluster.apply(&subscription);
        let of = subscription.name_any();
        let missed = |found: &mut ServiceSubscription| {
            let status = found.status.get_or_insert_default();
            status.promises = vec![entente_crds::v1alpha1::Promise {
                effective: start(),
                state: PromiseState::Missed,
                completed: None,
                proof: None,
                closed: None,
                delays: Vec::new(),
                emitted: Vec::new(),
            }];
        };
        process.cluster.edit(NAMESPACE, &of, missed);
        process.cluster.apply(&Compensation {
            status: None,
            ..record
        });
        process.clock.jump(SignedDuration::from_mins(2 * 60 + 30));
        process
    };
    let make = |parts: Parts| Compensations::new(parts.context, parts.objects);
    let key = Key::new(NAMESPACE, "banco-sul-2027.backup");
    // The list of all records of the entry, and the status.
    assert_instants_survive(world, make, key, None, 2).await;
}

fn catalogue(parts: Parts) -> Catalogue {
    Catalogue::new(
        parts.context,
        parts.objects,
        parts.profiles,
        std::sync::Arc::default(),
    )
}

// shows K7
#[tokio::test(start_paused = true)]
async fn a_broker_is_probed_again_in_time_whatever_request_of_its_pass_fails() {
    let key = Subject::Connection(BROKER.to_owned());
    // The login, the status, the finalizer.
    assert_instants_survive(subscribed, catalogue, key, None, 3).await;
}

// shows C10 K7
#[tokio::test(start_paused = true)]
async fn an_orphan_is_looked_at_again_in_time_whatever_request_of_its_pass_fails() {
    let world = || {
        let process = prepared();
        let id = "left-behind".to_owned();
        process.world.change_server(BROKER_URL, |server| {
            let present = FakeInstance {
                present: true,
                ..FakeInstance::default()
            };
            server.instances.insert(id.clone(), present);
        });
        let since = process.clock.now();
        process.cluster.edit("", BROKER, |broker: &mut Connection| {
            broker.status.get_or_insert_default().orphans = vec![Orphan {
                instance_id: id.clone(),
                service_id: "data-backup-id".to_owned(),
                plan_id: "standard-id".to_owned(),
                since,
                ..Orphan::default()
            }];
        });
        process
    };
    let key = Subject::Orphans(BROKER.to_owned());
    assert_instants_survive(world, catalogue, key, None, 1).await;
}
