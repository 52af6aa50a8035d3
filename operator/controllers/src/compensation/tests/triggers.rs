//! Tests of triggers: the entry that a change wakes, and changes that wake none.

use super::{super::triggers, *};
use crate::in_process::{InProcess, comes_and_goes, edited, woken};

const ENTRY: &str = "banco-sul/banco-sul-2027.backup";

async fn idle() -> Compensations {
    let process = InProcess::at("2027-04-01T09:00:00Z");
    let (parts, _trigger) = process.parts().await;
    Compensations::new(parts.context, parts.objects)
}

async fn names<C>(
    controller: &Compensations,
    wake: fn(&Compensations, &crate::queue::Queue<Key>, &C),
    change: &C,
) -> Vec<String> {
    let woken = woken(controller, wake, change).await;
    woken.into_iter().map(|(key, _)| key).collect()
}

// shows D8
#[tokio::test(start_paused = true)]
async fn of_a_subscription_only_what_is_missed_matters() {
    type Edit = fn(&mut Promise);
    let controller = idle().await;
    let record = example::compensation();
    let promised = record.spec.record.promised;
    let late = missed(&record, promised);
    for change in comes_and_goes(&late) {
        let woken = names(&controller, triggers::subscription, &change).await;
        assert_eq!(woken, [ENTRY]);
    }
    let cases: [(Edit, &[&str]); 4] = [
        (|promise| promise.closed = None, &[ENTRY]),
        (|promise| promise.delays = vec![], &[]),
        (|promise| promise.emitted = Vec::new(), &[ENTRY]),
        (|promise| promise.state = PromiseState::Kept, &[ENTRY]),
    ];
    for (edit, wanted) in cases {
        let change = edited(&late, |late| {
            edit(&mut late.status.as_mut().expect("a status").promises[0]);
        });
        let woken = names(&controller, triggers::subscription, &change).await;
        assert_eq!(woken, wanted);
    }
    let mut open = late.clone();
    open.status.as_mut().expect("a status").promises[0].state = PromiseState::Open;
    let delayed = edited(&open, |open| {
        open.status.as_mut().expect("a status").promises[0].closed = None;
    });
    let woken = names(&controller, triggers::subscription, &delayed).await;
    assert_eq!(woken, [""; 0], "an open promise is nobody's debt");
    let edit = edited(&late, |late| late.metadata.generation = Some(7));
    let woken = names(&controller, triggers::subscription, &edit).await;
    assert_eq!(woken, [""; 0]);
}

// shows D8
#[tokio::test(start_paused = true)]
async fn of_a_record_its_spec_matters_and_not_the_status_that_is_written_here() {
    let controller = idle().await;
    let record = example::compensation();
    for change in comes_and_goes(&record) {
        let woken = names(&controller, triggers::compensation, &change).await;
        assert_eq!(woken, [ENTRY]);
    }
    let voided = edited(&record, |record| record.metadata.generation = Some(2));
    let woken = names(&controller, triggers::compensation, &voided).await;
    assert_eq!(woken, [ENTRY]);
    let reported = edited(&record, |record| {
        record.status.get_or_insert_default().summary = Some("BRL 1.00".to_owned());
    });
    let woken = names(&controller, triggers::compensation, &reported).await;
    assert_eq!(woken, [""; 0]);
}
