//! Tests of a pass during which an object is changed: nothing more is written to the machine that the
//! pass began with, except by the request that had left, and its report speaks of what it decided on.

use std::sync::Arc;

use entente_crds::{
    condition::ConditionType,
    v1alpha1::{Device, DeviceStatus},
};
use entente_domain::condition::find;

use super::{
    objects::{ask_to_reconcile, edit_device},
    *,
};

/// Returns the writes to the machine that the pass began with, after an edit during the first one.
async fn writes_with(edit: impl FnOnce(&InProcess)) -> usize {
    let process = waiting().await;
    let latency = Duration::from_secs(5);
    process.world.set_latency(Some(DEVICE_URL), latency);
    begin(&process);
    let first = |process: &InProcess| !sent(process).is_empty();
    process.until("the first setting is under way", first).await;
    edit(&process);
    process.let_pass(Duration::from_mins(10)).await;
    let calls = process.world.ledger();
    let mut calls: Vec<_> = calls.iter().filter(|it| it.url == DEVICE_URL).collect();
    calls.retain(|it| it.operation.writes());
    calls.len()
}

// shows D1 K4
#[tokio::test(start_paused = true)]
async fn after_a_device_is_deleted_moved_or_suspended_nothing_more_is_written_to_its_machine() {
    type Edit = fn(&InProcess);
    let edits: [(&str, Edit); 4] = [
        ("deleted", |process| {
            process.cluster.delete::<Device>(NAMESPACE, DEVICE);
        }),
        ("made again", |process| {
            process.cluster.delete::<Device>(NAMESPACE, DEVICE);
            let mut again = example::devices()[0].clone();
            again.spec.suspend = true;
            process.cluster.apply(&again);
        }),
        ("moved", |process| {
            edit_device(process, |it| {
                it.spec.address = Some("10.20.3.9".to_owned());
            });
        }),
        ("suspended", |process| {
            edit_device(process, |it| it.spec.suspend = true);
        }),
    ];
    for (what, edit) in edits {
        assert_eq!(writes_with(edit).await, 1, "{what}");
    }
    let unchanged = writes_with(|process| {
        edit_device(process, |it| {
            let labels = it.metadata.labels.get_or_insert_default();
            labels.insert("floor".to_owned(), "2".to_owned());
        });
    });
    assert_eq!(unchanged.await, ATTRIBUTES.len(), "a label means nothing");
}

/// Returns the generation of the subscription, and that of which Delivered=True speaks.
fn delivered_of(process: &InProcess) -> (Option<i64>, Option<i64>) {
    let found: Option<ServiceSubscription> = process.cluster.get(NAMESPACE, SUBSCRIPTION);
    let generation = found.as_ref().and_then(|it| it.metadata.generation);
    let status = found.and_then(|it| it.status).unwrap_or_default();
    let delivered = find(&status.conditions, ConditionType::Delivered);
    let delivered = delivered.filter(|it| it.status == "True");
    (generation, delivered.and_then(|it| it.observed_generation))
}

// shows K2 D2
#[tokio::test(start_paused = true)]
async fn the_report_of_a_pass_speaks_of_the_spec_that_it_decided_on() {
    let process = delivered().await;
    let latency = Duration::from_secs(5);
    process.world.set_latency(Some(DEVICE_URL), latency);
    let device = |process: &InProcess| -> DeviceStatus {
        let found: Option<Device> = process.cluster.get(NAMESPACE, DEVICE);
        found.and_then(|it| it.status).unwrap_or_default()
    };
    ask_to_reconcile(&process, "now");
    process.let_pass(Duration::from_secs(1)).await;
    process
        .cluster
        .edit(NAMESPACE, SUBSCRIPTION, |it: &mut ServiceSubscription| {
            let last = it.spec.revisions.last_mut().expect("it has one");
            let parameters = &mut Arc::make_mut(last).parameters;
            parameters.insert("weekdays".to_owned(), "sat".to_owned());
        });
    let handled =
        |process: &InProcess| device(process).last_handled_reconcile_at.as_deref() == Some("now");
    process
        .until("the pass that was under way has reported", handled)
        .await;
    let (generation, delivered) = delivered_of(&process);
    assert!(delivered < generation, "{delivered:?} of {generation:?}");
    let is_current = |process: &InProcess| {
        let (generation, delivered) = delivered_of(process);
        delivered == generation
    };
    process
        .until("the new value is delivered", is_current)
        .await;
}
