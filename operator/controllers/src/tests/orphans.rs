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
pub(super) fn abandon(process: &InProcess) {
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
            polls: small(numbers.below(30)),
        },
        3 => Fault::AsyncFails {
            polls: 2,
            message: "no".to_owned(),
        },
        4 => Fault::fail(FailureKind::RejectedValue),
        _ => Fault::AcceptWithoutEffect,
    }
}

/// A sequence of events, and the places in the ledger between which a contract was there.
struct Story {
    process: InProcess,
    numbers: Numbers,
    told: String,
    applied: Vec<(usize, usize)>,
}

impl Story {
    async fn of(seed: u64) -> Self {
        let process = established().await;
        jump_to_start(&process);
        process.until("everything is delivered", is_delivered).await;
        Self {
            process,
            numbers: Numbers(seed),
            told: format!("seed {seed}"),
            applied: vec![(0, usize::MAX)],
        }
    }

    fn here(&self) -> usize {
        self.process.world.ledger().len()
    }

    async fn go_on(&mut self) {
        let step = self.numbers.below(5);
        self.told = format!("{} {step}", self.told);
        match step {
            0 | 1 if exists(&self.process) => {
                abandon(&self.process);
                let here = self.here();
                if let Some((_, end)) = self.applied.last_mut() {
                    *end = here;
                }
                let gone = |process: &InProcess| !exists(process);
                self.process.until(&self.told, gone).await;
            }
            0 | 1 => {
                self.applied.push((self.here(), usize::MAX));
                self.process.cluster.apply(&example::banco_sul_2027());
            }
            2 => {
                let fault = fault(&mut self.numbers);
                let times = small(1 + self.numbers.below(3));
                let world = &self.process.world;
                world.script(None, Operation::Deprovision, fault, times);
            }
            3 => {
                self.process.kill();
                self.process.start_all();
            }
            _ => {}
        }
        let waits = [1, 20, 61, 70, 125, 700];
        let seconds = waits[small(self.numbers.below(6)) as usize];
        self.process.let_pass(Duration::from_secs(seconds)).await;
    }

    /// Ends the story: a contract that exists is delivered with its instances, and the instances of
    /// one that does not are gone.
    async fn settle(&self) {
        let (process, told) = (&self.process, &self.told);
        process.world.clear_faults();
        if exists(process) {
            process.until(told, is_delivered).await;
            process.let_pass(Duration::from_hours(2)).await;
            assert_eq!(instances(process), INSTANCES, "{told}");
            assert!(is_delivered(process), "{told}");
        } else {
            let clear = |process: &InProcess| orphans(process) == 0 && instances(process) == 0;
            process.until(told, clear).await;
        }
        assert_eq!(orphans(process), 0, "{told}");
    }

    /// Returns the number of removals of orphans, none of which was sent about an instance that the
    /// contract of its time had asked for.
    fn removals(&self) -> usize {
        let ledger = self.process.world.ledger();
        let all = ledger.iter().enumerate();
        let removals = all.filter(|(_, call)| is_of_an_orphan(call));
        let mut found = 0;
        for (place, removal) in removals {
            found += 1;
            let mut of_now = self.applied.iter();
            let Some((start, _)) = of_now.find(|(start, end)| (*start..*end).contains(&place))
            else {
                continue;
            };
            let asked_for = ledger[*start..place].iter().find(|before| {
                let writes = [Operation::Provision, Operation::Update];
                before.key == removal.key && writes.contains(&before.operation)
            });
            assert_eq!(asked_for, None, "{}: before {removal:?}", self.told);
        }
        found
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).expect("it is small")
}

// shows C10 K4
#[tokio::test(start_paused = true)]
async fn a_contract_that_is_applied_again_waits_for_the_removal_that_its_broker_has_under_way() {
    let mut story = Story::of(0).await;
    let process = &story.process;
    let slow = Fault::Async { polls: 30 };
    process.world.script(None, Operation::Deprovision, slow, 4);
    abandon(process);
    let under_way = |process: &InProcess| process.world.count(Operation::LastOperation) >= 8;
    process.until("the removals are under way", under_way).await;
    let here = story.here();
    story.process.cluster.apply(&example::banco_sul_2027());
    story.told = "it is delivered again".to_owned();
    story.settle().await;
    let ledger = story.process.world.ledger();
    let (first, after) = (&ledger[..here], &ledger[here..]);
    let removed = first.iter().filter(|call| is_of_an_orphan(call));
    for removal in removed {
        let mut about = after.iter().filter(|call| call.key == removal.key);
        let last_poll = after.iter().rposition(|call| {
            call.key == removal.key && call.operation == Operation::LastOperation
        });
        let last_poll = last_poll.expect("it is polled");
        let early = about.find(|call| {
            let reads = [Operation::LastOperation, Operation::InstanceObserve];
            !reads.contains(&call.operation) && call.at < after[last_poll].at
        });
        assert_eq!(early, None);
    }
}

// shows C10 K2
#[tokio::test(start_paused = true)]
async fn an_instance_whose_removal_failed_is_said_to_be_taken_over() {
    let mut story = Story::of(0).await;
    let process = &story.process;
    let fails = Fault::AsyncFails {
        polls: 30,
        message: "a backup is under way".to_owned(),
    };
    process.world.script(None, Operation::Deprovision, fails, 4);
    abandon(process);
    let under_way = |process: &InProcess| process.world.count(Operation::LastOperation) >= 8;
    process.until("the removals are under way", under_way).await;
    let left = instances(process);
    process.cluster.apply(&example::banco_sul_2027());
    story.told = "it is delivered again".to_owned();
    story.settle().await;
    let objects = story.process.cluster.objects();
    let servers = objects.values().map(|it| &it["status"]["server"]);
    let adopted = servers.filter(|it| !it["adopted"].is_null()).count();
    assert_eq!((adopted, left > 0), (left, true));
}

// shows C10 K4 K5
#[tokio::test(start_paused = true)]
async fn whatever_the_order_of_events_an_instance_in_service_is_never_removed_as_an_orphan() {
    let mut removals = 0;
    for seed in 0..12 {
        let mut story = Story::of(seed).await;
        for _ in 0..14 {
            story.go_on().await;
        }
        story.settle().await;
        removals += story.removals();
    }
    assert!(removals > 25, "{removals} removals of orphans");
}
