//! Tests of a pass whose Device is changed while it is under way: nothing more is written to the
//! machine that the pass began with, except by the request that had left.

use entente_crds::v1alpha1::Device;

use super::{objects::edit_device, *};

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
