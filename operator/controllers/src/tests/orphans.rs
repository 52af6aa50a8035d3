//! Tests of orphans with every controller: contracts that come and go under one name, a broker that
//! answers in every way, and an operator that is killed. Whatever their order, an instance in service
//! is never removed, and in the end nothing is left behind.

use entente_crds::ANNOTATION_ABANDON;
use entente_domain::remote::FailureKind;
use entente_drivers::fake::{Call, Fault};

use super::*;

/// Instances that a delivered contract has.
const INSTANCES: usize = 4;

/// A sequence of numbers that is the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// True if a removal was sent for an orphan, and not by the withdrawal of a subscription.
fn is_of_an_orphan(call: &Call) -> bool {
    call.operation == Operation::Deprovision && call.values["context"]["customer"] == ""
}

fn orphans(process: &InProcess) -> usize {
    let broker: Option<Connection> = process.cluster.get("", BROKER);
    let status = broker.and_then(|it| it.status).unwrap_or_default();
    status.orphans.len()
}

fn instances(process: &InProcess) -> usize {
    let server = process.world.server(BROKER_URL);
    server.map_or(0, |server| server.instances.len())
}

fn exists(process: &InProcess) -> bool {
    process
        .cluster
        .get::<Contract>(NAMESPACE, CONTRACT)
        .is_some()
}

/// Deletes the contract and gives its instances up, where they are.
fn abandon(process: &InProcess) {
    process
        .cluster
        .edit(NAMESPACE, CONTRACT, |contract: &mut Contract| {
            let annotation = (ANNOTATION_ABANDON.to_owned(), "yes".to_owned());
            contract.metadata.annotations = Some([annotation].into());
        });
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
}

fn fault(numbers: &mut Numbers) -> Fault {
    match numbers.below(6) {
        0 => Fault::Hang,
        1 => Fault::LoseAnswer,
        2 => Fault::Async {
            polls: u32::try_from(numbers.below(30)).expect("it is small"),
        },
        3 => Fault::AsyncFails {
            polls: 2,
            message: "no".to_owned(),
        },
        4 => Fault::fail(FailureKind::RejectedValue),
        _ => Fault::AcceptWithoutEffect,
    }
}

/// Ends the story: a contract that exists is delivered with its instances, and the instances of one
/// that does not are gone.
async fn settle(process: &InProcess, story: &str) {
    process.world.clear_faults();
    if exists(process) {
        process
            .until(&format!("{story}: delivered"), is_delivered)
            .await;
        process.let_pass(Duration::from_hours(2)).await;
        assert_eq!(instances(process), INSTANCES, "{story}");
        assert!(is_delivered(process), "{story}");
    } else {
        let clear = |process: &InProcess| orphans(process) == 0 && instances(process) == 0;
        process.until(&format!("{story}: clear"), clear).await;
    }
    assert_eq!(orphans(process), 0, "{story}");
}

// shows C10 K4 K5
#[tokio::test(start_paused = true)]
async fn whatever_the_order_of_events_an_instance_in_service_is_never_removed_as_an_orphan() {
    let mut tried = 0;
    for seed in 0..12 {
        let mut numbers = Numbers(seed);
        let mut process = established().await;
        jump_to_start(&process);
        process.until("everything is delivered", is_delivered).await;
        let mut story = format!("seed {seed}");
        // The calls while a contract is there, by their place in the ledger.
        let mut applied = vec![0..usize::MAX];
        for _ in 0..14 {
            let step = numbers.below(5);
            story.push_str(&format!(" {step}"));
            match step {
                0 | 1 if exists(&process) => {
                    abandon(&process);
                    if let Some(last) = applied.last_mut() {
                        last.end = process.world.ledger().len();
                    }
                    let gone = |process: &InProcess| !exists(process);
                    process.until(&format!("{story}: it is gone"), gone).await;
                }
                0 | 1 => {
                    applied.push(process.world.ledger().len()..usize::MAX);
                    process.cluster.apply(&example::banco_sul_2027());
                }
                2 => {
                    let fault = fault(&mut numbers);
                    let times = u32::try_from(1 + numbers.below(3)).expect("it is small");
                    process
                        .world
                        .script(None, Operation::Deprovision, fault, times);
                }
                3 => {
                    process.kill();
                    process.start_all();
                }
                _ => {}
            }
            let seconds =
                [1, 20, 61, 70, 125, 700][usize::try_from(numbers.below(6)).expect("it is small")];
            process.let_pass(Duration::from_secs(seconds)).await;
        }
        settle(&process, &story).await;
        let ledger = process.world.ledger();
        for (place, call) in ledger
            .iter()
            .enumerate()
            .filter(|(_, it)| is_of_an_orphan(it))
        {
            tried += 1;
            let mut of_now = applied.iter().filter(|range| range.contains(&place));
            let Some(since) = of_now.next().map(|range| range.start) else {
                continue;
            };
            let provided = ledger[since..place].iter().find(|before| {
                let writes = [Operation::Provision, Operation::Update];
                before.key == call.key && writes.contains(&before.operation)
            });
            assert!(provided.is_none(), "{story}: {call:?} after {provided:?}");
        }
    }
    assert!(tried > 25, "{tried} removals of orphans");
}
