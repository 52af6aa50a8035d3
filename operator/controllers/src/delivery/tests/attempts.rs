//! Tests of the number of attempts at an item: in memory until a status is written, whatever the API
//! server answers.

use entente_crds::condition::Reason;
use entente_domain::remote::FailureKind;
use http::Method;

use super::*;
use crate::fake_api::cluster::FakeCluster;

const STATUS: &str = "servicesubscriptions/banco-sul-2027.backup.lobby-mfp/status";
const WEEKDAYS: &str = "DeviceSetting/backup.weekdays";

/// Refuses the days on which is backed up, in this way from now on.
fn refuse(process: &InProcess, kind: FailureKind) {
    process.world.change_device(DEVICE_URL, |device| {
        device.refused.insert(ATTRIBUTES[1].to_owned(), kind);
    });
}

/// Returns the number of requests that tried to set the days.
fn tried(process: &InProcess) -> usize {
    let calls = process.world.ledger().into_iter();
    let writes = calls.filter(|call| call.operation == Operation::DeviceApply);
    let of_days = writes.filter(|call| call.values.contains_key(ATTRIBUTES[1]));
    of_days.count()
}

/// Returns the item of the days, as the status has it.
fn said(process: &InProcess) -> Item {
    let mut items = status(process).items.into_iter();
    items.find(|it| it.key == WEEKDAYS).unwrap_or_default()
}

fn is_said(process: &InProcess, reason: Reason) -> bool {
    said(process).problem.map(|it| it.outcome) == Some(reason)
}

fn counted(process: &InProcess) -> usize {
    let attempts = said(process).attempts.unwrap_or_default();
    usize::try_from(attempts).expect("a number of attempts")
}

// shows K2 K5
#[tokio::test(start_paused = true)]
async fn every_attempt_is_counted_although_a_status_that_would_say_so_is_not_written() {
    type Failing = fn(&FakeCluster);
    let failures: [(&str, Failing); 5] = [
        ("it fails", |it| {
            it.refuse(Method::PUT, STATUS, (500, "InternalError"), 1);
        }),
        ("it fails often", |it| {
            it.refuse(Method::PUT, STATUS, (500, "InternalError"), 5);
        }),
        ("it is refused", |it| {
            it.refuse(Method::PUT, STATUS, (422, "Invalid"), 1);
        }),
        ("its answer is lost", |it| {
            it.lose_answer(Method::PUT, STATUS, 1);
        }),
        ("its writer panics", |it| {
            it.panic(Method::PUT, STATUS, 1);
        }),
    ];
    for (what, fail) in failures {
        for before in [4, 0] {
            let process = waiting().await;
            if before > 0 {
                refuse(&process, FailureKind::Busy);
                begin(&process);
                let is_tried = |process: &InProcess| tried(process) >= before;
                process.until("it is tried some times", is_tried).await;
                let unsaid = counted(&process);
                assert!(unsaid < before, "{unsaid}: the same problem is no news");
            }
            fail(&process.cluster);
            refuse(&process, FailureKind::ProtocolError);
            if before == 0 {
                begin(&process);
            }
            let is_written = |process: &InProcess| is_said(process, Reason::ProtocolError);
            process.until("a status is written", is_written).await;
            let (counted, tried) = (counted(&process), tried(&process));
            assert_eq!(counted, tried, "{what}, after {before} attempts");
        }
    }
}
