//! Nothing is decided while a first list is open: an object that was not listed yet is not missing.

use super::*;

/// The collections whose first list is awaited.
const LISTED: [&str; 10] = [
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

// shows B7 K7
#[tokio::test(start_paused = true)]
async fn while_one_first_list_is_open_nothing_is_written_and_no_start_is_said_to_be_at_risk() {
    for open in LISTED {
        let mut process = prepared();
        let overloaded = (503, "ServiceUnavailable");
        process
            .cluster
            .refuse(Method::GET, open, overloaded, usize::MAX);
        process.cluster.forget_requests();
        process.start_all();
        process.let_pass(Duration::from_mins(10)).await;
        assert!(process.cluster.count(&Method::GET, open) > 1, "{open}");
        let writes = process.cluster.writes();
        assert!(writes.is_empty(), "{open} is not listed: {writes:?}");
        assert_eq!(process.world.ledger().len(), 0, "{open} is not listed");
        process.cluster.recover();
        let is_ready = |process: &InProcess| contract_says(process, "Ready") == "True(Scheduled)";
        process
            .until("the contract waits for its start", is_ready)
            .await;
        let events = process.cluster.events();
        let at_risk = events.iter().find(|it| it.contains("StartDateAtRisk"));
        assert_eq!(at_risk, None, "after {open} was listed");
        assert_eq!(contract_says(&process, "StartAtRisk"), "", "{open}");
    }
}
