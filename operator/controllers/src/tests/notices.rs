//! Contracts that a notice starts and ends, with all controllers.

use entente_crds::v1alpha1::{ContractNotice, NoticeType};
use kube::api::ObjectMeta;

use super::*;

/// Returns the name of the contract of the examples that waits for its notice.
fn waiting() -> String {
    example::banco_sul_lobby().name_any()
}

/// Returns the world of the examples, in which that contract is the only one.
async fn awaiting() -> InProcess {
    let mut process = prepared_at("2027-04-01T00:00:00Z");
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
    process.cluster.apply(&example::banco_sul_lobby());
    process.start_all();
    let waits = |process: &InProcess| says_of_contract(process) == "True(AwaitingNotice)";
    process.until("the contract waits", waits).await;
    process
}

fn says_of_contract(process: &InProcess) -> String {
    let found: Option<Contract> = process.cluster.get(NAMESPACE, &waiting());
    let status = found.and_then(|found| found.status).unwrap_or_default();
    says(&status.conditions, "Ready")
}

fn says_of_notice(process: &InProcess, name: &str) -> String {
    let found: Option<ContractNotice> = process.cluster.get(NAMESPACE, name);
    let status = found.and_then(|found| found.status).unwrap_or_default();
    says(&status.conditions, "Ready")
}

/// True if everything is delivered.
fn works(process: &InProcess) -> bool {
    says_of_contract(process) == "True(Delivered)"
}

fn notice(name: &str, r#type: NoticeType, at: Timestamp) -> ContractNotice {
    let mut notice = example::banco_sul_installed();
    notice.metadata = ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(NAMESPACE.to_owned()),
        ..ObjectMeta::default()
    };
    notice.spec.r#type = r#type;
    notice.spec.at = at.to_string();
    notice
}

// shows B2 B7
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_the_notice_of_a_start_and_everything_after_it_until_that_of_the_end()
 {
    let process = awaiting().await;
    process.let_pass(Duration::from_hours(48)).await;
    assert_eq!(count_of(&sent(&process)), 0);
    assert!(process.cluster.names::<ServiceSubscription>().is_empty());
    let now = process.clock.now();
    process
        .cluster
        .apply(&notice("installed", NoticeType::Started, now));
    process.until("all is delivered", works).await;
    assert!(count_of(&sent(&process)) > 0);
    let accepted = |process: &InProcess| says_of_notice(process, "installed") == "True(Succeeded)";
    process.until("the notice says it", accepted).await;
    let status = process.cluster.json::<Contract>(NAMESPACE, &waiting());
    assert_eq!(status["status"]["term"]["startedBy"], "installed");
    let end = process.clock.now() + SignedDuration::from_hours(1);
    process
        .cluster
        .apply(&notice("cancelled", NoticeType::Ended, end));
    process.let_pass(Duration::from_mins(59)).await;
    assert!(works(&process));
    process.let_pass(Duration::from_mins(2)).await;
    let is_over = |process: &InProcess| says_of_contract(process) == "True(Ended)";
    process.until("it is withdrawn", is_over).await;
    let events = process.cluster.events();
    for reason in ["NoticeAccepted", "ContractStarted", "ContractEnded"] {
        assert!(events.iter().any(|it| it.contains(reason)), "{reason}");
    }
}

// shows B2 K7
#[tokio::test(start_paused = true)]
async fn a_start_is_the_same_however_often_the_operator_is_killed_and_the_notice_deleted() {
    for killed in 0..8 {
        let mut process = awaiting().await;
        let now = process.clock.now();
        process.cluster.fail_after(killed, None);
        process
            .cluster
            .apply(&notice("installed", NoticeType::Started, now));
        process.let_pass(Duration::from_secs(1)).await;
        process.kill();
        process.cluster.recover();
        process.start_all();
        process.until("all is delivered", works).await;
        process
            .cluster
            .delete::<ContractNotice>(NAMESPACE, "installed");
        process.kill();
        process.start_all();
        process.let_pass(Duration::from_hours(1)).await;
        assert!(works(&process), "{killed}: {}", says_of_contract(&process));
        let contract = process.cluster.json::<Contract>(NAMESPACE, &waiting());
        let start = contract["status"]["term"]["start"].as_str();
        let start: Timestamp = start.unwrap_or_default().parse().expect("an instant");
        assert_eq!(start, now, "{killed}");
    }
}
