//! Tasks of the operator that panic: what they do goes on.

use http::Method;

use super::*;

// shows K2 K7
#[tokio::test(start_paused = true)]
async fn watches_that_panic_when_they_begin_or_go_on_are_begun_anew_and_miss_nothing() {
    let kinds = [
        "/namespaces",
        "/connections",
        "/devicemodels",
        "/smartservices",
        "/devices",
        "/contracts",
        "/contractamendments",
        "/contractnotices",
        "/servicesubscriptions",
        "/compensations",
    ];
    let mut process = prepared();
    let panic = |process: &InProcess| {
        for kind in kinds {
            process.cluster.panic(Method::GET, kind, 1);
        }
    };
    panic(&process);
    process.start_all();
    let are_made = |process: &InProcess| statuses(process).len() == SUBSCRIPTIONS;
    process.until("the subscriptions are there", are_made).await;
    panic(&process);
    process.cluster.disconnect();
    process.let_pass(Duration::from_mins(1)).await;
    jump_to_start(&process);
    process.until("all is delivered", is_delivered).await;
}
