//! Tests of the end of a service: its subscription waits until everything is withdrawn and recorded.

use entente_crds::{
    ANNOTATION_ABANDON,
    v1alpha1::{Compensation, Connection, Orphan},
};
use entente_drivers::fake::Fault;
use http::Method;
use jiff::SignedDuration;

use super::*;

/// Ends the service now, as the contract controller does.
fn delete(process: &InProcess) {
    process
        .cluster
        .delete::<ServiceSubscription>(NAMESPACE, SUBSCRIPTION);
}

fn is_gone(process: &InProcess) -> bool {
    process.cluster.names::<ServiceSubscription>().is_empty()
}

// shows C10
#[tokio::test(start_paused = true)]
async fn an_instance_that_cannot_be_removed_in_time_is_left_as_an_orphan() {
    let process = delivered().await;
    let instance = status(&process).server.expect("an instance").instance_id;
    let broker = process.world.remove_server(BROKER_URL).expect("a broker");
    delete(&process);
    process.let_pass(Duration::from_hours(23)).await;
    assert!(!is_gone(&process), "it is tried for a day");
    assert_eq!(status(&process).server.and_then(|it| it.orphaned), None);
    process.let_pass(Duration::from_hours(2)).await;
    let handle = status(&process).server.expect("an instance");
    assert!(handle.orphaned.is_some(), "{handle:?}");
    assert_eq!(handle.instance_id, instance);
    assert!(!is_gone(&process), "nobody has taken it over yet");
    let told = |event: &String| event.contains("FinalizerTimedOut");
    let events = process.cluster.events();
    assert_eq!(events.iter().filter(|it| told(it)).count(), 1, "{events:?}");
    process.world.put_server(BROKER_URL, broker);
    process
        .cluster
        .edit("", "northwind-services", |broker: &mut Connection| {
            let status = broker.status.get_or_insert_default();
            status.orphans = vec![Orphan {
                instance_id: instance,
                service_id: handle.service_id,
                plan_id: handle.plan_id,
                operation: None,
                since: promised(),
                reason: "it could not be removed".into(),
                ..Orphan::default()
            }];
        });
    process.until("the subscription is gone", is_gone).await;
}

// shows C10
#[tokio::test(start_paused = true)]
async fn who_abandons_a_withdrawal_ends_it_at_once_by_the_contract_or_by_the_subscription() {
    for by_contract in [true, false] {
        let process = delivered().await;
        process.world.remove_server(BROKER_URL);
        delete(&process);
        process.let_pass(Duration::from_hours(1)).await;
        assert_eq!(status(&process).server.and_then(|it| it.orphaned), None);
        assert_eq!(ready(&process), "False(Withdrawing)");
        let abandon = [(ANNOTATION_ABANDON.to_owned(), "yes".to_owned())];
        if by_contract {
            process
                .cluster
                .edit(NAMESPACE, "banco-sul-2027", |it: &mut Contract| {
                    it.metadata.annotations = Some(abandon.into());
                });
        } else {
            process
                .cluster
                .edit(NAMESPACE, SUBSCRIPTION, |it: &mut ServiceSubscription| {
                    it.metadata.annotations = Some(abandon.into());
                });
        }
        let before = process.clock.now();
        let orphaned = |process: &InProcess| {
            status(process)
                .server
                .is_some_and(|it| it.orphaned.is_some())
        };
        process.until("it is left behind", orphaned).await;
        let took = process.clock.now().duration_since(before);
        assert!(took < SignedDuration::from_secs(2), "{took:?}");
    }
}

// shows D8 C10
#[tokio::test(start_paused = true)]
async fn a_subscription_with_a_missed_promise_stays_until_what_is_owed_is_recorded() {
    let process = waiting().await;
    let device = process.world.remove_device(DEVICE_URL).expect("a device");
    begin(&process);
    process.let_pass(Duration::from_hours(5)).await;
    assert_eq!(status(&process).promises[0].state, PromiseState::Missed);
    process.world.put_device(DEVICE_URL, device);
    process.until("it is delivered", is_delivered).await;
    delete(&process);
    process.let_pass(Duration::from_hours(1)).await;
    assert!(!is_gone(&process));
    let uid = process
        .cluster
        .get::<ServiceSubscription>(NAMESPACE, SUBSCRIPTION)
        .and_then(|it| it.uid());
    let mut record = example::compensation();
    record.spec.record.subscription.uid = uid.expect("a uid");
    process.cluster.apply(&record);
    process.let_pass(Duration::from_mins(10)).await;
    assert!(!is_gone(&process), "the amount is not final");
    let name = record.name_any();
    process
        .cluster
        .edit(NAMESPACE, &name, |record: &mut Compensation| {
            let now = jiff::Timestamp::UNIX_EPOCH;
            let calculated = json!({"type": "Calculated", "status": "True", "message": "",
                "reason": "AmountFinal", "lastTransitionTime": now});
            let status = record.status.get_or_insert_default();
            status.conditions = vec![serde_json::from_value(calculated).expect("a condition")];
        });
    process.until("the subscription is gone", is_gone).await;
}

// shows C10 K5
#[tokio::test(start_paused = true)]
async fn killed_in_the_middle_of_a_withdrawal_the_next_one_ends_it() {
    let mut process = delivered().await;
    let slow = Fault::Async { polls: 30 };
    process.world.script(None, Operation::Deprovision, slow, 1);
    delete(&process);
    let asked = |process: &InProcess| process.world.count(Operation::Deprovision) == 1;
    process.until("the removal is asked for", asked).await;
    process.let_pass(Duration::from_secs(3)).await;
    process.kill();
    process.start(delivery).await;
    process.until("the subscription is gone", is_gone).await;
    let server = process.world.server(BROKER_URL).expect("a broker");
    assert!(server.instances.is_empty());
    assert_eq!(process.world.count(Operation::Deprovision), 1);
}

// shows C10 K5
#[tokio::test(start_paused = true)]
async fn a_finalizer_that_could_not_be_taken_away_is_taken_away_later() {
    let process = delivered().await;
    let failing = (500, "InternalError");
    process
        .cluster
        .refuse(Method::PATCH, SUBSCRIPTION, failing, 5);
    delete(&process);
    process.until("the subscription is gone", is_gone).await;
    assert_eq!(process.world.count(Operation::Deprovision), 1);
    assert_eq!(process.cluster.count(&Method::PATCH, SUBSCRIPTION), 6);
}
