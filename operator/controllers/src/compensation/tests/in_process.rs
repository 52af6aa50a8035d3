//! Tests of the whole controller against an API server in this process: records, their accrual and
//! their final amounts. The domain's tests show the amounts.

mod unreadable;

use entente_crds::v1alpha1::{Cause, Delay, Device, ExcludedTime, Revision};
use entente_domain::compensation::booking_key;
use kube::ResourceExt as _;

use super::*;
use crate::{
    clock::Clock as _,
    in_process::{InProcess, Parts, says},
};

const NAMESPACE: &str = example::NAMESPACE;
const SUBSCRIPTION: &str = "banco-sul-2027.backup.lobby-mfp";
const RECORD: &str = "banco-sul-2027.backup.lobby-mfp.20270401t030000z.credit";
const PATH: &str = "/apis/entente.dev/v1alpha1/namespaces/banco-sul/compensations";
const HOUR: Duration = Duration::from_hours(1);

fn compensations(parts: Parts) -> Compensations {
    Compensations::new(parts.context, parts.objects)
}

fn promised() -> Timestamp {
    example::compensation().spec.record.promised
}

/// Returns a promise of this instant that is missed because the device does not answer.
fn promise(effective: Timestamp, closed: Option<Timestamp>) -> Promise {
    let delay = Delay {
        from: effective,
        until: closed,
        cause: Cause::Device,
        reason: "Unreachable".to_owned(),
    };
    Promise {
        effective,
        state: PromiseState::Missed,
        completed: closed,
        proof: None,
        closed,
        delays: vec![delay],
        emitted: Vec::new(),
    }
}

/// The subscription of the examples with these promises.
fn subscription(promises: Vec<Promise>) -> ServiceSubscription {
    let mut subscription = example::service_subscription();
    subscription.metadata.uid = Some(example::compensation().spec.record.subscription.uid);
    subscription.status = Some(ServiceSubscriptionStatus {
        promises,
        ..ServiceSubscriptionStatus::default()
    });
    subscription
}

/// A controller that runs six hours after a promised start that was not kept.
async fn missed() -> InProcess {
    let mut process = InProcess::at("2027-04-01T09:00:00Z");
    process.cluster.apply(&example::devices()[0]);
    process
        .cluster
        .apply(&subscription(vec![promise(promised(), None)]));
    process.start(compensations).await;
    process
}

/// Starts as [`missed`] does, with the first status of the record.
async fn accruing() -> InProcess {
    let process = missed().await;
    let accrues = |process: &InProcess| ready(process) == "False(Accruing)";
    process.until("the record accrues", accrues).await;
    process
}

/// Closes the promise: the service was delivered now.
fn deliver(process: &InProcess) {
    let now = process.clock.now();
    let close = |found: &mut ServiceSubscription| {
        let status = found.status.as_mut().expect("a status");
        status.promises[0] = promise(promised(), Some(now));
    };
    process.cluster.edit(NAMESPACE, SUBSCRIPTION, close);
}

/// The subscription of the examples with two promises that are missed.
fn missed_twice() -> ServiceSubscription {
    let later: Timestamp = "2027-04-02T03:00:00Z".parse().unwrap();
    let promises = vec![promise(promised(), None), promise(later, None)];
    let mut both = subscription(promises);
    let mut second = (*both.spec.revisions[0]).clone();
    second.effective = later;
    both.spec.revisions.push(second.into());
    both
}

/// Returns the condition Ready of a record that is not the first.
fn ready_of_another(process: &InProcess) -> String {
    let names = process.cluster.names::<Compensation>();
    let another = names.iter().find(|name| *name != RECORD);
    let status = another.and_then(|name| record(process, name).status);
    says(&status.unwrap_or_default().conditions, "Ready")
}

fn is_final(process: &InProcess) -> bool {
    ready(process) == "True(RecordOnly)"
}

fn record(process: &InProcess, name: &str) -> Compensation {
    process.cluster.get(NAMESPACE, name).expect("a record")
}

/// Returns the condition Ready of the first record.
fn ready(process: &InProcess) -> String {
    let found: Option<Compensation> = process.cluster.get(NAMESPACE, RECORD);
    let status = found.and_then(|found| found.status).unwrap_or_default();
    says(&status.conditions, "Ready")
}

fn amount(process: &InProcess, name: &str) -> String {
    let status = record(process, name).status.unwrap_or_default();
    status.summary.unwrap_or_default()
}

fn void(process: &InProcess, reissue: Reissue) {
    process
        .cluster
        .edit(NAMESPACE, RECORD, |record: &mut Compensation| {
            record.spec.voided = Some(Voided {
                reason: "the fee was wrong".to_owned(),
                reissue,
            });
        });
}

// shows D4 D8
#[tokio::test(start_paused = true)]
async fn a_missed_promise_gets_one_record_under_its_name_with_all_that_it_is_calculated_from() {
    let process = accruing().await;
    assert_eq!(process.cluster.names::<Compensation>(), [RECORD]);
    let made = record(&process, RECORD);
    let wanted = example::compensation().spec.record;
    let of = made.spec.record;
    assert_eq!(of.contract, wanted.contract);
    assert_eq!(of.subscription, wanted.subscription);
    assert_eq!(of.device, wanted.device, "with its serial number");
    assert_eq!((of.promised, of.fee), (wanted.promised, wanted.fee));
    assert_eq!(of.remedy, wanted.remedy);
    assert_eq!(of.counted_causes, wanted.counted_causes);
    assert_eq!(
        made.metadata.owner_references, None,
        "it outlives everything"
    );
    assert_eq!(amount(&process, RECORD), "BRL 0.63", "one day of twenty");
    process.let_pass(Duration::from_mins(1)).await;
    assert_eq!(
        process.cluster.events(),
        [format!(
            "CompensationCreated ServiceSubscription {SUBSCRIPTION}"
        )]
    );
}

// shows D8
#[tokio::test(start_paused = true)]
async fn a_device_that_is_gone_leaves_its_record_without_a_serial_number() {
    let mut process = InProcess::at("2027-04-01T09:00:00Z");
    process
        .cluster
        .apply(&subscription(vec![promise(promised(), None)]));
    process.start(compensations).await;
    let accrues = |process: &InProcess| ready(process) == "False(Accruing)";
    process.until("the record accrues", accrues).await;
    let of = record(&process, RECORD).spec.record.device;
    assert_eq!(of.name, example::DEVICES[0]);
    assert_eq!(of.serial_number, None);
}

// shows D4 D5
#[tokio::test(start_paused = true)]
async fn while_the_promise_is_open_the_amount_is_written_once_an_hour_and_grows_by_the_day() {
    let process = accruing().await;
    process.cluster.forget_requests();
    process.let_pass(HOUR * 5 + Duration::from_mins(1)).await;
    let writes = process.cluster.writes();
    assert_eq!(writes.len(), 5, "{writes:#?}");
    let status = format!("PUT {PATH}/{RECORD}/status");
    assert!(writes.iter().all(|write| *write == status), "{writes:#?}");
    assert_eq!(amount(&process, RECORD), "BRL 0.63");
    process.let_pass(HOUR * 24).await;
    assert_eq!(amount(&process, RECORD), "BRL 1.25");
    assert_eq!(ready(&process), "False(Accruing)");
}

// shows D4 D8 K5
#[tokio::test(start_paused = true)]
async fn what_is_delivered_makes_the_amount_final_once_and_nothing_is_written_after_that() {
    let mut process = accruing().await;
    process.let_pass(HOUR * 30).await;
    deliver(&process);
    process.until("the amount is final", is_final).await;
    let told = record(&process, RECORD).status.expect("a status");
    assert_eq!(says(&told.conditions, "Calculated"), "True(AmountFinal)");
    assert_eq!(says(&told.conditions, "Delivered"), "True(RecordOnly)");
    assert_eq!(told.summary.as_deref(), Some("BRL 1.25"));
    let lateness = told.lateness.clone().expect("how late it was");
    assert!(lateness.until.is_some(), "{lateness:?}");
    process.let_pass(Duration::from_mins(1)).await;
    assert_eq!(
        process.cluster.events(),
        [
            format!("CompensationCreated ServiceSubscription {SUBSCRIPTION}"),
            format!("CompensationDelivered Compensation {RECORD}"),
        ]
    );
    process.cluster.forget_requests();
    process.let_pass(HOUR * 48).await;
    process.stop().await;
    process.start(compensations).await;
    process.let_pass(HOUR * 48).await;
    assert_eq!(process.cluster.writes(), [""; 0]);
    assert_eq!(record(&process, RECORD).status, Some(told));
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_new_controller_takes_over_what_accrues_without_a_write_before_the_hour() {
    let mut process = accruing().await;
    process.let_pass(HOUR + HOUR / 2).await;
    process.kill();
    process.cluster.forget_requests();
    process.start(compensations).await;
    process.let_pass(HOUR / 4).await;
    assert_eq!(process.cluster.writes(), [""; 0]);
    process.let_pass(HOUR).await;
    assert_eq!(process.cluster.writes().len(), 1);
}

// shows D8 K5
#[tokio::test(start_paused = true)]
async fn a_record_whose_answer_was_lost_is_found_by_its_name_before_the_watch_brings_it() {
    let mut process = InProcess::at("2027-04-01T09:00:00Z");
    process
        .cluster
        .apply(&subscription(vec![promise(promised(), None)]));
    process.start(compensations).await;
    process
        .cluster
        .lose_answer(Method::POST, "compensations", 1);
    process.cluster.lag();
    let made = |process: &InProcess| !process.cluster.names::<Compensation>().is_empty();
    process.until("the record is made", made).await;
    process.let_pass(Duration::from_mins(10)).await;
    assert_eq!(process.cluster.count(&Method::POST, "/compensations"), 1);
    process.cluster.catch_up();
    let accrues = |process: &InProcess| ready(process) == "False(Accruing)";
    process.until("the record accrues", accrues).await;
    assert_eq!(process.cluster.names::<Compensation>(), [RECORD]);
}

// shows D8
#[tokio::test(start_paused = true)]
async fn a_record_of_another_debt_under_our_name_is_left_as_it_is_and_ours_is_made_once_it_is_gone()
{
    let mut process = InProcess::at("2027-04-01T09:00:00Z");
    process
        .cluster
        .apply(&subscription(vec![promise(promised(), None)]));
    let mut another = example::compensation();
    let customer = &mut another.spec.record.customer.id;
    "another-customer".clone_into(customer);
    "another-contract".clone_into(&mut another.spec.record.contract.name);
    another.spec.record.booking_key = booking_key(NAMESPACE, &another.spec.record, 1);
    process.cluster.apply(&another);
    process.start(compensations).await;
    process.let_pass(HOUR * 3).await;
    assert_eq!(process.cluster.count(&Method::POST, "/compensations"), 0);
    assert_eq!(record(&process, RECORD).spec, another.spec);
    process.cluster.delete::<Compensation>(NAMESPACE, RECORD);
    let accrues = |process: &InProcess| ready(process) == "False(Accruing)";
    process.until("ours is made", accrues).await;
    let made = record(&process, RECORD).spec.record.booking_key;
    assert_eq!(made, example::compensation().spec.record.booking_key);
}

// shows D8 K5
#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_made_is_made_once_the_api_server_recovers() {
    for failing in [
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (403, "Forbidden"),
        (422, "Invalid"),
    ] {
        let mut process = InProcess::at("2027-04-01T09:00:00Z");
        process
            .cluster
            .apply(&subscription(vec![promise(promised(), None)]));
        let part = "/compensations";
        process.cluster.refuse(Method::POST, part, failing, 3);
        process.start(compensations).await;
        let accrues = |process: &InProcess| ready(process) == "False(Accruing)";
        process.until("the record accrues", accrues).await;
        assert_eq!(process.cluster.count(&Method::POST, part), 4, "{failing:?}");
        assert_eq!(process.cluster.names::<Compensation>(), [RECORD]);
    }
}

// shows D8 K7
#[tokio::test(start_paused = true)]
async fn a_record_that_is_refused_stops_none_of_those_that_come_after_it() {
    let mut process = InProcess::at("2027-04-03T09:00:00Z");
    process.cluster.apply(&missed_twice());
    let refusal = (422, "Invalid");
    let status = format!("{RECORD}/status");
    process
        .cluster
        .refuse(Method::PUT, &status, refusal, usize::MAX);
    process.start(compensations).await;
    let accrues = |process: &InProcess| ready_of_another(process) == "False(Accruing)";
    process.until("the other record accrues", accrues).await;
    assert_eq!(ready(&process), "", "the first was refused");
}

// shows D8 K7
#[tokio::test(start_paused = true)]
async fn a_panic_over_one_record_is_said_in_it_and_stops_none_of_the_others() {
    let mut process = InProcess::at("2027-04-03T09:00:00Z");
    process.cluster.apply(&missed_twice());
    process.start(compensations).await;
    let both = |process: &InProcess| process.cluster.names::<Compensation>().len() == 2;
    process.until("both records are made", both).await;
    let status = format!("{RECORD}/status");
    process.cluster.panic(Method::PUT, &status, 1);
    let accrues = |process: &InProcess| ready_of_another(process) == "False(Accruing)";
    process.until("the other record accrues", accrues).await;
    assert_eq!(ready(&process), "False(InternalError)");
    let accrues = |process: &InProcess| ready(process) == "False(Accruing)";
    process.until("the first accrues, too", accrues).await;
}

// shows D8 K5
#[tokio::test(start_paused = true)]
async fn what_cannot_be_listed_is_not_calculated_until_it_can() {
    let process = accruing().await;
    let collection = "namespaces/banco-sul/compensations";
    let failing = (500, "InternalError");
    process
        .cluster
        .refuse(Method::GET, collection, failing, usize::MAX);
    deliver(&process);
    process.let_pass(Duration::from_mins(10)).await;
    assert_eq!(ready(&process), "False(Accruing)", "it is not made final");
    process.cluster.recover();
    process.until("the amount is final", is_final).await;
}

// shows D8 K5
#[tokio::test(start_paused = true)]
async fn a_status_that_loses_a_race_is_decided_again_and_announced_once() {
    let process = accruing().await;
    let part = format!("{RECORD}/status");
    process.cluster.overtake(Method::PUT, &part, |record| {
        record["metadata"]["annotations"] = json!({"booked-by": "somebody"});
    });
    deliver(&process);
    process.until("the amount is final", is_final).await;
    process.let_pass(HOUR).await;
    let booked = record(&process, RECORD);
    assert!(booked.annotations().contains_key("booked-by"));
    let events = process.cluster.events();
    let delivered = events.iter().filter(|it| it.contains("Delivered"));
    assert_eq!(delivered.count(), 1, "{events:?}");
}

// shows D8
#[tokio::test(start_paused = true)]
async fn a_record_that_is_voided_and_issued_again_counts_once() {
    let process = accruing().await;
    void(&process, Reissue::Same);
    let voided = |process: &InProcess| ready(process) == "True(Voided)";
    process.until("the first is voided", voided).await;
    let second = format!("{RECORD}.2");
    let both = [RECORD.to_owned(), second.clone()];
    assert_eq!(process.cluster.names::<Compensation>(), both);
    deliver(&process);
    let is_final = |process: &InProcess| {
        let status = record(process, &format!("{RECORD}.2")).status;
        says(&status.unwrap_or_default().conditions, "Ready") == "True(RecordOnly)"
    };
    process.until("the second is final", is_final).await;
    assert_eq!(amount(&process, &second), "BRL 0.63");
    let (first, second) = (record(&process, RECORD), record(&process, &second));
    let keys = [first, second].map(|it| it.spec.record.booking_key);
    assert_ne!(keys[0], keys[1]);
    process.let_pass(HOUR).await;
    assert_eq!(process.cluster.names::<Compensation>(), both);
}

// shows D8
#[tokio::test(start_paused = true)]
async fn a_debt_that_is_cancelled_is_not_issued_again() {
    let process = accruing().await;
    void(&process, Reissue::None);
    let voided = |process: &InProcess| ready(process) == "True(Voided)";
    process.until("it is voided", voided).await;
    deliver(&process);
    process.let_pass(HOUR * 2).await;
    assert_eq!(process.cluster.names::<Compensation>(), [RECORD]);
    assert_eq!(ready(&process), "True(Voided)");
    let events = process.cluster.events();
    assert!(
        events.contains(&format!("CompensationVoided Compensation {RECORD}")),
        "{events:?}"
    );
}

// shows D8
#[tokio::test(start_paused = true)]
async fn two_devices_whose_promises_are_missed_get_a_record_each_by_their_own_key() {
    let mut process = InProcess::at("2027-04-01T09:00:00Z");
    process
        .cluster
        .apply(&subscription(vec![promise(promised(), None)]));
    let mut other = subscription(vec![promise(promised(), None)]);
    other.metadata.name = Some("banco-sul-2027.backup.branch-01-mfp".to_owned());
    other.metadata.uid = Some("another".to_owned());
    other.spec.device_ref.name = example::DEVICES[1].to_owned();
    process.cluster.apply(&other);
    process.start(compensations).await;
    let both = |process: &InProcess| {
        let names = process.cluster.names::<Compensation>();
        let told = names
            .iter()
            .filter(|name| !amount(process, name).is_empty());
        told.count() == 2
    };
    process.until("both are calculated", both).await;
    let names = process.cluster.names::<Compensation>();
    let [first, second] = [&names[0], &names[1]].map(|name| record(&process, name).spec.record);
    assert_ne!(first.booking_key, second.booking_key);
    assert_eq!(first.subscription.uid, "another");
}

// shows D5
#[tokio::test(start_paused = true)]
async fn a_second_promise_of_the_same_period_gets_what_the_cap_leaves() {
    let mut process = InProcess::at("2027-04-20T12:00:00Z");
    let later = promised() + SignedDuration::from_hours(24 * 8);
    let closed = |from: Timestamp, days| Some(from + SignedDuration::from_hours(24_i64 * days));
    let mut late = subscription(vec![
        promise(later, closed(later, 6)),
        promise(promised(), closed(promised(), 7)),
    ]);
    let mut second = Revision::clone(&late.spec.revisions[0]);
    second.effective = later;
    late.spec.revisions.push(second.into());
    process.cluster.apply(&late);
    process.start(compensations).await;
    let second = "banco-sul-2027.backup.lobby-mfp.20270409t030000z.credit";
    let calculated = |process: &InProcess| {
        process.cluster.names::<Compensation>().len() == 2
            && !amount(process, second).is_empty()
            && is_final(process)
    };
    process.until("both are final", calculated).await;
    // Half of 12.50 is the most of a month: seven days of 5 %, and 15 % of what would be 30 %.
    assert_eq!(amount(&process, RECORD), "BRL 4.38");
    assert_eq!(amount(&process, second), "BRL 1.87");
}

// shows D8
#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_gone_leaves_what_was_last_said_as_final() {
    let process = accruing().await;
    process
        .cluster
        .delete::<ServiceSubscription>(NAMESPACE, SUBSCRIPTION);
    process.until("the amount is final", is_final).await;
    assert_eq!(amount(&process, RECORD), "BRL 0.63");
}

// shows D8 K2
#[tokio::test(start_paused = true)]
async fn what_is_owed_in_a_namespace_that_goes_is_said_at_the_namespace() {
    use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::Time};
    let mut process = InProcess::at("2027-04-01T09:00:00Z");
    let goes = Time(process.clock.now());
    process
        .cluster
        .edit("", NAMESPACE, |namespace: &mut Namespace| {
            namespace.metadata.finalizers = Some(vec!["kubernetes".to_owned()]);
            namespace.metadata.deletion_timestamp = Some(goes.clone());
        });
    process
        .cluster
        .apply(&subscription(vec![promise(promised(), None)]));
    process.start(compensations).await;
    process.let_pass(Duration::from_mins(5)).await;
    assert_eq!(process.cluster.names::<Compensation>(), [""; 0]);
    assert_eq!(
        process.cluster.count(&Method::POST, "/compensations"),
        1,
        "nothing fails, so nothing is tried again"
    );
    let notice = |process: &InProcess| {
        let reason = "CompensationNotRecorded Namespace banco-sul";
        process.cluster.events().iter().any(|it| it == reason)
    };
    process.until("it is said", notice).await;
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_and_a_history_that_is_lost_do_not_hide_a_delivery() {
    for lost in [false, true] {
        let process = accruing().await;
        if lost {
            process.cluster.forget_history();
        } else {
            process.cluster.disconnect();
        }
        deliver(&process);
        let before = process.clock.now();
        process.until("the amount is final", is_final).await;
        let took = process.clock.now().duration_since(before);
        assert!(took < SignedDuration::from_mins(1), "{lost}: {took:?}");
    }
}

// shows D4 D8
#[tokio::test(start_paused = true)]
async fn a_promise_that_was_kept_owes_nothing_and_nothing_is_asked() {
    let mut process = InProcess::at("2027-04-01T09:00:00Z");
    let mut kept = promise(promised(), Some(promised()));
    kept.state = PromiseState::Kept;
    process.cluster.apply(&subscription(vec![kept]));
    process.start(compensations).await;
    process.cluster.forget_requests();
    let mut device: Device = example::devices()[0].clone();
    device.metadata.labels = None;
    process.cluster.apply(&device);
    process.let_pass(HOUR).await;
    assert_eq!(process.cluster.writes(), [""; 0]);
    assert_eq!(process.cluster.count(&Method::GET, "compensations"), 0);
}

// shows D8 D9
#[tokio::test(start_paused = true)]
async fn a_promise_that_is_late_over_an_excluded_day_owes_less_and_its_record_keeps_the_day() {
    let mut process = InProcess::at("2027-04-01T09:00:00Z");
    let mut late = subscription(vec![promise(promised(), None)]);
    let day = ExcludedTime {
        from: "2027-04-02T03:00:00Z".parse().unwrap(),
        until: "2027-04-03T03:00:00Z".parse().unwrap(),
    };
    std::sync::Arc::make_mut(&mut late.spec.revisions[0]).exclusions = vec![day.clone()];
    process.cluster.apply(&late);
    process.start(compensations).await;
    let accrues = |process: &InProcess| ready(process) == "False(Accruing)";
    process.until("the record accrues", accrues).await;
    let take_back = |found: &mut ServiceSubscription| {
        std::sync::Arc::make_mut(&mut found.spec.revisions[0])
            .exclusions
            .clear();
    };
    process.cluster.edit(NAMESPACE, SUBSCRIPTION, take_back);
    process.let_pass(HOUR * 48).await;
    deliver(&process);
    process.until("the amount is final", is_final).await;
    let told = record(&process, RECORD);
    assert_eq!(told.spec.record.exclusions, [day], "it is frozen");
    let status = told.status.expect("a status");
    assert_eq!(
        status.summary.as_deref(),
        Some("BRL 1.25"),
        "two days of three"
    );
    let lateness = status.lateness.expect("how late it was");
    assert_eq!(lateness.excluded.as_deref(), Some("24h"));
}
