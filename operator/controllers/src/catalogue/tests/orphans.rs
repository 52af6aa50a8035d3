//! Tests of passes over the orphans of a Connection: a broker that answers in every way, subscriptions
//! that come to use an instance, restarts, and the annotation of a person.

use entente_crds::{
    ANNOTATION_FORGET_ORPHAN,
    v1alpha1::{NameReference, Orphan, OrphanedBy, ServerInstance},
};
use entente_domain::delivery::instance_id;
use entente_drivers::fake::{FakeInstance, Fault};
use jiff::SignedDuration;

use super::*;
use crate::metrics::Metrics;

/// A time longer than the first wait of an orphan.
const FIRST: Duration = Duration::from_mins(3);

fn left_behind(process: &InProcess, ids: &[&str]) {
    process.world.change_server(BROKER_URL, |server| {
        for id in ids {
            let instance = FakeInstance {
                service_id: "data-backup-id".to_owned(),
                plan_id: "standard-id".to_owned(),
                present: true,
                ..FakeInstance::default()
            };
            server.instances.insert((*id).to_owned(), instance);
        }
    });
    let orphans = ids.iter().map(|id| orphan(id, process)).collect::<Vec<_>>();
    process.cluster.edit("", BROKER, |broker: &mut Connection| {
        broker.status.get_or_insert_default().orphans = orphans;
    });
}

fn orphan(id: &str, process: &InProcess) -> Orphan {
    Orphan {
        instance_id: id.to_owned(),
        service_id: "data-backup-id".to_owned(),
        plan_id: "standard-id".to_owned(),
        since: process.clock.now(),
        reason: "the withdrawal of banco-sul/old was given up".into(),
        subscription: Some(OrphanedBy {
            namespace: NAMESPACE.to_owned(),
            name: "old".to_owned(),
        }),
        ..Orphan::default()
    }
}

fn orphans(process: &InProcess) -> Vec<Orphan> {
    let status = connection(process, BROKER).status.unwrap_or_default();
    status.orphans
}

fn instances(process: &InProcess) -> usize {
    let server = process.world.server(BROKER_URL);
    server.map_or(0, |server| server.instances.len())
}

fn is_clear(process: &InProcess) -> bool {
    orphans(process).is_empty()
}

fn ready_message(process: &InProcess) -> String {
    let status = connection(process, BROKER).status.unwrap_or_default();
    let ready = status.conditions.into_iter().find(|it| it.type_ == "Ready");
    ready.map(|it| it.message.to_string()).unwrap_or_default()
}

fn removals(process: &InProcess) -> usize {
    process.world.count(Operation::Deprovision)
}

/// Ends the controller and starts another one, which knows nothing. Returns its metrics.
async fn restarted(process: &mut InProcess) -> Arc<Metrics> {
    let mut metrics = None;
    process.kill();
    let make = |parts: Parts| {
        metrics = Some(Arc::clone(&parts.context.metrics));
        catalogue(parts)
    };
    process.start(make).await;
    metrics.expect("it was made")
}

// shows C10 K2
#[tokio::test(start_paused = true)]
async fn an_orphan_is_counted_removed_and_announced() {
    let mut process = started().await;
    let metrics = restarted(&mut process).await;
    left_behind(&process, &["a", "b"]);
    let counted = |process: &InProcess| {
        let status = connection(process, BROKER).status.unwrap_or_default();
        let text = metrics.encode();
        status.orphan_count == Some(2)
            && text.contains("entente_orphans{connection=\"northwind-services\"} 2")
    };
    process.until("both are counted", counted).await;
    process.until("none is left", is_clear).await;
    assert_eq!(instances(&process), 0);
    assert_eq!(removals(&process), 2);
    let told = format!("InstanceRemoved Connection {BROKER}");
    let removed = |process: &InProcess| process.cluster.events().contains(&told);
    process.until("it is announced", removed).await;
    let status = connection(&process, BROKER).status.unwrap_or_default();
    assert_eq!(status.orphan_count, Some(0));
    let text = metrics.encode();
    assert!(
        text.contains("entente_orphans{connection=\"northwind-services\"} 0"),
        "{text}"
    );
}

// shows C10 K5
#[tokio::test(start_paused = true)]
async fn an_orphan_is_removed_in_the_end_whatever_its_broker_answers_first() {
    let fail = |kind, doubtful| Fault::Fail {
        kind,
        retry_after: None,
        doubtful,
    };
    let busy = Fault::Fail {
        kind: FailureKind::Busy,
        retry_after: Some(SignedDuration::from_mins(12)),
        doubtful: false,
    };
    for (fault, times) in [
        (fail(FailureKind::RejectedValue, false), 3),
        (fail(FailureKind::ProtocolError, true), 3),
        (fail(FailureKind::Unauthorized, false), 2),
        (fail(FailureKind::Concurrent, false), 2),
        (busy, 2),
        (Fault::Hang, 2),
        (Fault::LoseAnswer, 1),
        (Fault::AcceptWithoutEffect, 2),
        (Fault::Async { polls: 5 }, 1),
        (
            Fault::AsyncFails {
                polls: 2,
                message: "no".to_owned(),
            },
            2,
        ),
        (Fault::Panic, 1),
    ] {
        let process = started().await;
        left_behind(&process, &["a"]);
        let faulty = fault.clone();
        process
            .world
            .script(None, Operation::Deprovision, faulty, times);
        process.until(&format!("{fault:?}"), is_clear).await;
        assert_eq!(instances(&process), 0, "{fault:?}");
        assert!(removals(&process) <= times as usize + 1, "{fault:?}");
    }
}

// shows C10 K5
#[tokio::test(start_paused = true)]
async fn an_operator_that_is_killed_in_the_middle_loses_no_orphan_and_polls_what_is_under_way() {
    let mut process = started().await;
    left_behind(&process, &["a"]);
    process
        .world
        .script(None, Operation::Deprovision, Fault::Async { polls: 40 }, 1);
    let under_way = |process: &InProcess| {
        let orphans = orphans(process);
        let mut removals = orphans.iter().filter_map(|it| it.removal.as_ref());
        removals.any(|it| it.operation.as_deref() == Some("operation-1"))
    };
    process.until("it is under way", under_way).await;
    let metrics = restarted(&mut process).await;
    process.world.clear_ledger();
    process.until("none is left", is_clear).await;
    assert_eq!(removals(&process), 0, "it was sent already");
    let ledger = process.world.ledger();
    let mut polls = ledger
        .iter()
        .filter(|it| it.operation == Operation::LastOperation);
    assert!(polls.all(|it| it.values["operation"] == "operation-1"));
    assert!(metrics.encode().contains("entente_orphans{"));
}

// shows C10 K5
#[tokio::test(start_paused = true)]
async fn an_operator_that_is_killed_before_each_answer_removes_the_orphan_after_all() {
    let mut process = started().await;
    left_behind(&process, &["a"]);
    for _ in 0..5 {
        process
            .world
            .script(None, Operation::Deprovision, Fault::Hang, 1);
        let sent = removals(&process);
        let again = |process: &InProcess| removals(process) > sent;
        process.until("it is sent", again).await;
        assert!(
            orphans(&process)[0].removal.is_some(),
            "it is written first"
        );
        restarted(&mut process).await;
    }
    process.until("none is left", is_clear).await;
    assert_eq!(instances(&process), 0);
}

// shows C10 K4
#[tokio::test(start_paused = true)]
async fn an_instance_whose_id_a_subscription_has_or_will_have_is_never_removed() {
    let subscription = example::service_subscription();
    let wanted = instance_id(NAMESPACE, &subscription);
    for recorded in [None, Some(BROKER), Some("another-broker")] {
        let process = started().await;
        let mut found = subscription.clone();
        // Its names make another id by now.
        if let Some(connection) = recorded {
            found.spec.customer.id = "renamed".to_owned();
            found.status.get_or_insert_default().server = Some(ServerInstance {
                connection_ref: NameReference {
                    name: connection.to_owned(),
                },
                instance_id: wanted.clone(),
                ..ServerInstance::default()
            });
        }
        process.cluster.apply(&found);
        left_behind(&process, &[&wanted]);
        let said = |process: &InProcess| {
            let orphans = orphans(process);
            let messages = orphans.iter().filter_map(|it| it.message.as_ref());
            messages
                .map(ToString::to_string)
                .any(|it| it.contains("uses its id"))
        };
        process.until("it is said", said).await;
        process.let_pass(Duration::from_hours(3)).await;
        assert_eq!(removals(&process), 0, "{recorded:?}");
        assert!(orphans(&process)[0].removal.is_none(), "{recorded:?}");
        process
            .cluster
            .delete::<ServiceSubscription>(NAMESPACE, &subscription.name_any());
        process.until("none is left", is_clear).await;
        assert_eq!(instances(&process), 0);
    }
}

// shows C10
#[tokio::test(start_paused = true)]
async fn an_adopted_instance_leaves_the_list_at_once() {
    let process = started().await;
    let subscription = example::service_subscription();
    let id = instance_id(NAMESPACE, &subscription);
    process.cluster.apply(&subscription);
    left_behind(&process, &[&id]);
    process.let_pass(FIRST).await;
    let adopt = |sent: bool| {
        let name = subscription.name_any();
        process
            .cluster
            .edit(NAMESPACE, &name, |it: &mut ServiceSubscription| {
                it.status.get_or_insert_default().server = Some(ServerInstance {
                    connection_ref: NameReference {
                        name: BROKER.to_owned(),
                    },
                    instance_id: id.clone(),
                    sent_digest: sent.then(entente_crds::digest::Digest::default),
                    ..ServerInstance::default()
                });
            });
    };
    // What is recorded and not asked for may come to nothing.
    adopt(false);
    process.let_pass(FIRST).await;
    assert_eq!(orphans(&process).len(), 1);
    adopt(true);
    let before = process.clock.now();
    process.until("it has left the list", is_clear).await;
    let took = process.clock.now().duration_since(before);
    assert!(took < SignedDuration::from_secs(2), "{took:?}");
    assert_eq!(removals(&process), 0);
}

// shows C10 K2
#[tokio::test(start_paused = true)]
async fn a_person_takes_an_orphan_out_by_an_annotation_and_is_told_of_a_wrong_id() {
    let process = started().await;
    left_behind(&process, &["a", "b"]);
    let annotate = |ids: &str| {
        process.cluster.edit("", BROKER, |broker: &mut Connection| {
            let annotation = (ANNOTATION_FORGET_ORPHAN.to_owned(), ids.to_owned());
            broker.metadata.annotations = Some([annotation].into());
        });
    };
    annotate("a,x");
    let forgotten = |process: &InProcess| {
        let orphans = orphans(process);
        orphans.len() == 1 && orphans[0].instance_id == "b"
    };
    let before = process.clock.now();
    process.until("it is forgotten", forgotten).await;
    let took = process.clock.now().duration_since(before);
    assert!(took < SignedDuration::from_secs(2), "{took:?}");
    let wrong = "names x, which is no instanceId in status.orphans; there are: b.";
    assert!(
        ready_message(&process).contains(wrong),
        "{}",
        ready_message(&process)
    );
    annotate("a");
    let right = |process: &InProcess| !ready_message(process).contains("forget-orphan");
    process.until("nothing is wrong any more", right).await;
    process.until("the other one is removed", is_clear).await;
    assert_eq!(
        instances(&process),
        1,
        "nothing was sent for what is forgotten"
    );
    process.cluster.forget_requests();
    process.let_pass(Duration::from_hours(2)).await;
    assert_eq!(
        process.cluster.writes(),
        [""; 0],
        "repeating it does nothing"
    );
}

// shows K5
#[tokio::test(start_paused = true)]
async fn an_orphan_that_cannot_be_removed_makes_few_requests_and_few_writes() {
    let process = started().await;
    left_behind(&process, &["a"]);
    process.world.script(
        None,
        Operation::Deprovision,
        Fault::fail(FailureKind::RejectedValue),
        u32::MAX,
    );
    process.let_pass(Duration::from_hours(6)).await;
    let sent = removals(&process);
    assert!((6..=60).contains(&sent), "{sent} removals in six hours");
    process.cluster.forget_requests();
    process.let_pass(Duration::from_hours(6)).await;
    assert_eq!(process.cluster.writes(), [""; 0], "nothing is new");
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_secret_that_is_gone_stops_the_attempts_until_it_is_back() {
    let process = started().await;
    process.cluster.delete::<Secret>("entente-system", BROKER);
    process.let_pass(Duration::from_mins(15)).await;
    left_behind(&process, &["a"]);
    process.let_pass(Duration::from_hours(1)).await;
    assert_eq!(removals(&process), 0);
    process.cluster.apply(&broker_login());
    process.until("none is left", is_clear).await;
}

// shows C10 K5
#[tokio::test(start_paused = true)]
async fn an_orphan_whose_subscription_exists_is_removed_and_stays_until_that_has_taken_note() {
    let process = started().await;
    let mut ended = example::service_subscription();
    let revision = Arc::make_mut(&mut ended.spec.revisions[0]);
    revision.effective = "2026-01-01T00:00:00Z".parse().unwrap();
    revision.until = Some("2027-01-01T00:00:00Z".parse().unwrap());
    ended.status.get_or_insert_default().server = Some(ServerInstance {
        connection_ref: NameReference {
            name: BROKER.to_owned(),
        },
        instance_id: "a".to_owned(),
        service_id: "data-backup-id".to_owned(),
        plan_id: "standard-id".to_owned(),
        orphaned: Some(process.clock.now()),
        ..ServerInstance::default()
    });
    process.cluster.apply(&ended);
    let is_gone = |process: &InProcess| orphans(process).iter().any(|it| it.gone.is_some());
    process.until("it is gone", is_gone).await;
    let sent = removals(&process);
    process.let_pass(Duration::from_hours(2)).await;
    assert_eq!(removals(&process), sent);
    assert!(is_gone(&process), "nobody has taken note");
    let name = ended.name_any();
    process
        .cluster
        .edit(NAMESPACE, &name, |it: &mut ServiceSubscription| {
            it.status.get_or_insert_default().server = None;
        });
    process.until("it has left the list", is_clear).await;
}
