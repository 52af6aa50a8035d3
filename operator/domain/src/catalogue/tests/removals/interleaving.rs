//! A property of the protocol between the removal of an orphan and a subscription that comes to want
//! its instance: whatever the order of their steps, an instance in service is never removed.
//!
//! Both read one cache, as in the operator. The broker carries out what it got at once, late, or as
//! an operation, and answers or not.

use entente_crds::v1alpha1::Orphan;
use proptest::prelude::*;

use super::*;
use crate::delivery::RemovalAttempt;

const ID: &str = "one";

/// One step of somebody.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The remover does the next thing: it decides, writes that, asks the cache and sends, hears the
    /// answer, or writes the end. The broker deals with a removal in this way.
    Remover(Broker),
    /// A probe is answered.
    Probe,
    /// A subscription of this id is applied.
    Apply,
    /// Delivery takes a snapshot of it.
    Snapshot,
    /// Delivery sends what it decided by the snapshot.
    Provide,
    /// A withdrawal of it is abandoned, and the subscription is gone.
    Abandon,
    /// The status of the Connection is written for another reason.
    Report,
    /// The operator is killed and starts again.
    Restart,
    /// Seconds go by.
    Wait(i64),
}

/// The way in which the broker deals with a removal.
#[derive(Clone, Copy, Debug)]
enum Broker {
    Removes,
    Refuses,
    /// It is carried out after these seconds, and no answer comes.
    Late(i64),
    /// It begins an operation of these seconds, and the answer comes or not.
    Begins(i64, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let broker = prop_oneof![
        Just(Broker::Removes),
        Just(Broker::Refuses),
        (1..20_i64).prop_map(Broker::Late),
        ((1..1800_i64), any::<bool>()).prop_map(|(length, heard)| Broker::Begins(length, heard)),
    ];
    let wait = prop_oneof![Just(1), Just(10), Just(20), Just(61), Just(600), Just(3600)];
    prop_oneof![
        8 => broker.prop_map(Step::Remover),
        2 => Just(Step::Probe),
        2 => Just(Step::Apply),
        3 => Just(Step::Snapshot),
        3 => Just(Step::Provide),
        1 => Just(Step::Abandon),
        1 => Just(Step::Report),
        1 => Just(Step::Restart),
        4 => wait.prop_map(Step::Wait),
    ]
}

#[derive(Default)]
struct Broken {
    /// Instant at which a removal will be carried out, and the end of an operation that does it.
    due: Option<Timestamp>,
    operation: Option<Timestamp>,
    exists: bool,
}

struct Scene {
    play: Play,
    broker: Broken,
    is_applied: bool,
    /// The snapshot of a pass of delivery: true if nothing keeps it from sending.
    may_provide: Option<bool>,
    in_service: bool,
    /// A decision that is not in the cache yet.
    decided: Option<Turn>,
    pending: Vec<String>,
    attempt: Option<RemovalAttempt>,
    /// The request that was sent, with its answer.
    sent: Option<RemovalAnswer>,
    removed: usize,
    provided: usize,
}

impl Scene {
    fn new() -> Self {
        let mut play = Play::of(vec![orphan(ID)]);
        play.now = NOW + HOUR;
        Self {
            play,
            broker: Broken {
                exists: true,
                ..Broken::default()
            },
            is_applied: false,
            may_provide: None,
            in_service: false,
            decided: None,
            pending: Vec::new(),
            attempt: None,
            sent: None,
            removed: 0,
            provided: 0,
        }
    }

    fn listed(&self) -> Option<&Orphan> {
        let mut orphans = self
            .play
            .connection
            .status
            .iter()
            .flat_map(|it| &it.orphans);
        orphans.find(|orphan| orphan.gone.is_none())
    }

    fn carry_out(&mut self) {
        assert!(!self.in_service, "an instance in service is removed");
        self.removed += 1;
        self.broker.exists = false;
    }

    fn wait(&mut self, seconds: i64) {
        self.play.now += SignedDuration::from_secs(seconds);
        let now = self.play.now;
        if self.broker.due.take_if(|due| *due <= now).is_some() {
            self.carry_out();
        }
        if self.broker.operation.take_if(|end| *end <= now).is_some() {
            self.carry_out();
        }
    }

    fn remove(&mut self, how: Broker) -> RemovalAnswer {
        let lost = || Lost(TimedOut).answer(&RemovalRequest::Deprovision);
        let after = |seconds| self.play.now + SignedDuration::from_secs(seconds);
        match how {
            _ if self.broker.operation.is_some() => {
                Fails(Concurrent).answer(&RemovalRequest::Deprovision)
            }
            Broker::Removes => {
                self.carry_out();
                Yes.answer(&RemovalRequest::Deprovision)
            }
            Broker::Refuses => Fails(RejectedValue).answer(&RemovalRequest::Deprovision),
            Broker::Late(seconds) => {
                self.broker.due = Some(after(seconds));
                lost()
            }
            Broker::Begins(seconds, is_heard) => {
                self.broker.operation = Some(after(seconds));
                if is_heard {
                    NotYet.answer(&RemovalRequest::Deprovision)
                } else {
                    lost()
                }
            }
        }
    }

    fn write(&mut self) {
        self.play.instances.in_service.clear();
        if self.in_service {
            self.play.instances.in_service.insert(ID.to_owned());
        }
        self.play.write();
    }

    fn remover(&mut self, how: Broker) {
        let now = self.play.now;
        if let Some(turn) = self.decided.take() {
            self.play.removals.begin(&turn, now);
            self.write();
            self.pending = turn.attempts;
            return;
        }
        let Some(mut attempt) = self.attempt.take() else {
            if let Some(id) = self.pending.pop() {
                let begun = self.play.removals.attempt(&self.play.connection, &id, now);
                self.attempt = begun.map(|(_, attempt)| attempt);
                return;
            }
            let held = self.is_applied.then(|| "it is in use".to_owned());
            let connection = &self.play.connection;
            let turn = self.play.removals.turn(connection, |_| held.clone(), now);
            self.decided = Some(turn);
            return;
        };
        if let Some(answer) = self.sent.take() {
            attempt.record(answer, now);
            self.attempt = Some(attempt);
            return;
        }
        let removes = attempt.next(now);
        let connection = &self.play.connection;
        let request = removes.filter(|request| {
            *request != RemovalRequest::Deprovision
                || may_deprovision(connection, ID, self.is_applied)
        });
        self.sent = request.map(|request| match request {
            RemovalRequest::Deprovision => self.remove(how),
            RemovalRequest::Poll { .. } if self.broker.operation.is_some() => {
                NotYet.answer(&request)
            }
            RemovalRequest::Fetch { .. } if self.broker.exists => NotYet.answer(&request),
            _ => Yes.answer(&request),
        });
        if self.sent.is_some() {
            self.attempt = Some(attempt);
            return;
        }
        let end = attempt.end(now);
        let connection = self.play.connection.clone();
        self.play.removals.ended(&connection, ID, end, now, 1.0);
        self.write();
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Remover(how) => self.remover(how),
            Step::Probe => self.play.probe(true),
            Step::Apply => self.is_applied = true,
            Step::Snapshot if self.is_applied => {
                let removed = self.listed().is_some_and(|it| it.removal.is_some());
                self.may_provide = Some(!removed);
            }
            Step::Provide => {
                if self.may_provide.take() == Some(true) && self.is_applied {
                    self.in_service = true;
                    self.broker.exists = true;
                    self.provided += 1;
                }
            }
            Step::Abandon if self.in_service => {
                // A device has one pass at a time, which is the one that gives it up.
                self.may_provide = None;
                self.is_applied = false;
                self.in_service = false;
                let mut given_up = abandoned(ID);
                let server = given_up.status.as_mut().and_then(|it| it.server.as_mut());
                let server = server.expect("an instance");
                server.orphaned = Some(self.play.now);
                server.service_id = "o-1".to_owned();
                server.plan_id = "p-1".to_owned();
                self.play.instances.abandoned = vec![given_up];
                self.write();
                self.play.instances.abandoned.clear();
            }
            Step::Report => self.write(),
            Step::Restart => {
                self.play.removals = Removals::default();
                self.attempt = None;
                self.sent = None;
                self.pending.clear();
                self.decided = None;
                self.may_provide = None;
            }
            Step::Wait(seconds) => self.wait(seconds),
            Step::Snapshot | Step::Abandon => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    // shows C10 K4
    #[test]
    fn whatever_the_order_of_events_an_instance_in_service_is_never_removed(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut scene = Scene::new();
        for step in steps {
            scene.step(step);
        }
    }
}

/// Returns the scene after an operation that a lost removal may have begun was not polled for more
/// than an hour.
fn after_an_hour_of_silence() -> Scene {
    let mut scene = Scene::new();
    for how in [Broker::Late(1); 5] {
        scene.step(Step::Remover(how));
    }
    scene.step(Step::Wait(1));
    scene.step(Step::Remover(Broker::Removes));
    scene.step(Step::Wait(3601));
    scene.step(Step::Probe);
    scene
}

// shows C10 K4
#[test]
fn a_removal_that_follows_an_hour_of_silence_is_waited_for_as_any_other() {
    for heard in [true, false] {
        let mut scene = after_an_hour_of_silence();
        let begins = Broker::Begins(1800, heard);
        while scene.broker.operation.is_none() {
            scene.step(Step::Remover(begins));
        }
        scene.step(Step::Apply);
        for _ in 0..300 {
            scene.step(Step::Remover(Broker::Removes));
            scene.step(Step::Wait(10));
            scene.step(Step::Snapshot);
            scene.step(Step::Provide);
        }
        assert!(scene.in_service, "{heard}");
    }
}

// The property above would hold as well if nothing was ever removed, or nobody ever served.
#[test]
fn what_was_left_behind_is_removed_and_what_is_applied_is_served_in_the_end() {
    let mut scene = Scene::new();
    for _ in 0..20 {
        scene.step(Step::Remover(Broker::Begins(30, false)));
        scene.step(Step::Wait(10));
    }
    scene.step(Step::Apply);
    for _ in 0..80 {
        scene.step(Step::Remover(Broker::Removes));
        scene.step(Step::Probe);
        scene.step(Step::Wait(10));
        scene.step(Step::Snapshot);
        scene.step(Step::Provide);
    }
    assert!(scene.removed > 0 && scene.provided > 0);
    assert!(scene.in_service);
}
