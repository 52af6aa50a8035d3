//! The pass of the delivery controller without Kubernetes: a virtual clock, objects in memory,
//! simulated remote sides. Used by the golden scenarios and the properties.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{ServiceSubscription, ServiceSubscriptionStatus};
use entente_domain::{
    assessment::is_held_by_reading,
    delivery::{
        Action, Facts, Plan, ResolvedDevice, SubscriptionReport, Verified, World,
        is_reconcile_requested, lint, plan, report_device, report_subscription, resolve, verify,
    },
    retry::{HoldKey, Holds, RetryPolicy},
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

mod broker;
mod objects;
mod printer;
mod remote;
mod show;
mod truth;

pub(crate) use broker::{Broker, Fault};
pub(crate) use objects::{Wish, secret_reference};
pub(crate) use printer::Printer;

/// A pass that has not ended after so many rounds is in a loop.
const MOST_ROUNDS: usize = 24;
/// A run that wakes up so often without a new event is in a loop.
const MOST_PASSES: usize = 5_000;

/// Everything that there is.
#[derive(Clone, Debug)]
pub(crate) struct Simulation {
    /// The objects, as the API server has them.
    pub(crate) world: World,
    /// The machine that stands at the device's address.
    pub(crate) printer: Printer,
    /// The service servers, by Connection.
    pub(crate) brokers: BTreeMap<String, Broker>,
    /// What the controller keeps in memory.
    pub(crate) holds: Holds,
    pub(crate) now: Timestamp,
    /// Status writes so far.
    pub(crate) writes: usize,
    /// Requests to remote sides so far.
    pub(crate) requests: usize,
    /// Requests that are not reads.
    pub(crate) sent: usize,
    /// What was said of each pass.
    pub(crate) transcript: Vec<String>,
    /// The process dies after this many actions more.
    pub(crate) dies_after: Option<usize>,
    /// The time between two polls of an operation.
    pub(crate) poll: SignedDuration,
    /// Whether nobody but the operator changes the remote sides.
    pub(crate) alone: bool,
    /// When the last pass wants to be followed by another.
    pub(crate) wake: Option<Timestamp>,
    /// When the pass under way began.
    began: Timestamp,
    /// The requests of the pass under way.
    pass: Vec<String>,
}

/// Why a pass did not come to its end.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    Reported,
    Died,
}

impl Simulation {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            world: objects::empty_world(),
            printer: Printer::new("Northwind MFP 500", "urn:uuid:1"),
            brokers: BTreeMap::new(),
            holds: Holds::default(),
            now,
            writes: 0,
            requests: 0,
            sent: 0,
            transcript: Vec::new(),
            dies_after: None,
            poll: SignedDuration::from_secs(2),
            alone: true,
            wake: None,
            began: now,
            pass: Vec::new(),
        }
    }

    /// One pass now.
    pub(crate) fn pass(&mut self) -> Ended {
        self.pass.clear();
        let began = self.now;
        self.began = began;
        let mut facts = Facts::default();
        for _ in 0..MOST_ROUNDS {
            let (resolved, verified, plan) = self.decide(&mut facts);
            if plan.actions.is_empty() {
                self.report(&resolved, &verified, &plan, &facts);
                self.say_pass(began);
                return Ended::Reported;
            }
            for action in &plan.actions {
                self.execute(action, &resolved, &verified, &plan, &mut facts);
                if let Some(left) = &mut self.dies_after {
                    if *left == 0 {
                        self.die(began);
                        return Ended::Died;
                    }
                    *left -= 1;
                }
            }
        }
        panic!(
            "a pass has no end\n{}\nlast: {:#?}",
            self.story(),
            self.pass
        );
    }

    fn die(&mut self, began: Timestamp) {
        self.dies_after = None;
        self.pass.push("  the process dies".to_owned());
        self.holds = Holds::default();
        self.world.catalogues.clear();
        self.wake = Some(self.now);
        self.say_requests(began);
    }

    fn decide(&mut self, facts: &mut Facts) -> (ResolvedDevice, BTreeMap<String, Verified>, Plan) {
        let resolved = resolve(&self.world, self.now);
        facts.adopt_handles(&self.world, &resolved);
        let verified = verify(&self.world, &resolved, facts, self.now);
        let plan = plan(
            &self.world,
            &resolved,
            &verified,
            facts,
            &self.holds,
            self.now,
        );
        let faults = lint::lint(&self.world, &resolved, &verified, &plan, self.now);
        assert!(
            faults.is_empty(),
            "{faults:#?}\n{plan:#?}\n{}",
            self.story()
        );
        (resolved, verified, plan)
    }

    /// Passes now and whenever something is due, until an instant.
    pub(crate) fn run_until(&mut self, until: Timestamp) {
        for _ in 0..MOST_PASSES {
            let ended = self.pass();
            let wake = self.wake.filter(|wake| *wake <= until);
            match (ended, wake) {
                (Ended::Died, _) => {}
                (Ended::Reported, Some(wake)) => self.now = self.now.max(wake),
                (Ended::Reported, None) => {
                    self.now = self.now.max(until);
                    return;
                }
            }
        }
        panic!("it never comes to rest\n{}", self.story());
    }

    fn execute(
        &mut self,
        action: &Action,
        resolved: &ResolvedDevice,
        verified: &BTreeMap<String, Verified>,
        plan: &Plan,
        facts: &mut Facts,
    ) {
        self.say_action(action);
        match action {
            Action::RecordInstance { subscription } => {
                let report = self.report_of(subscription, resolved, verified, plan, facts);
                self.store_subscription(subscription, &report.status);
            }
            Action::ReadDevice { .. } | Action::WriteDevice { .. } => {
                self.ask_device(action, facts);
            }
            Action::ReadCatalogue { connection } => self.read_catalogue(connection, facts),
            Action::ReadInstance { .. }
            | Action::PollOperation { .. }
            | Action::Provision { .. }
            | Action::Update { .. }
            | Action::Deprovision { .. } => self.ask_broker(action, resolved, facts),
        }
    }

    fn report_of(
        &self,
        name: &str,
        resolved: &ResolvedDevice,
        verified: &BTreeMap<String, Verified>,
        plan: &Plan,
        facts: &Facts,
    ) -> SubscriptionReport {
        let object = self.subscription(name);
        let entry = resolved
            .subscriptions
            .iter()
            .find(|entry| entry.name == name);
        let entry = entry.expect("every subscription is resolved");
        report_subscription(
            &self.world,
            resolved,
            (entry, &verified[name]),
            (plan, facts),
            object,
            self.now,
        )
    }

    fn report(
        &mut self,
        resolved: &ResolvedDevice,
        verified: &BTreeMap<String, Verified>,
        plan: &Plan,
        facts: &Facts,
    ) {
        self.hold_items(verified);
        let names: Vec<String> = resolved
            .subscriptions
            .iter()
            .map(|entry| entry.name.clone())
            .collect();
        let reports: BTreeMap<String, SubscriptionReport> = names
            .iter()
            .map(|name| {
                (
                    name.clone(),
                    self.report_of(name, resolved, verified, plan, facts),
                )
            })
            .collect();
        let device = self.world.device.as_ref().map(|device| {
            report_device(
                &self.world,
                device,
                resolved,
                verified,
                &reports,
                facts,
                self.now,
            )
        });
        let mut wakes: Vec<Timestamp> = self.holds.next(self.now).into_iter().collect();
        for (name, report) in reports {
            wakes.extend(report.wake_at);
            self.store_subscription(&name, &report.status);
            truth::check(self, resolved, &name);
            // Outcomes are facts: said again on top of what was just written, nothing is new.
            let again = self.report_of(&name, resolved, verified, plan, facts);
            let stored = self.subscription(&name).status.clone();
            assert_eq!(Some(again.status), stored, "a report is a fixpoint");
            if again.finalizer_may_go {
                self.world
                    .subscriptions
                    .retain(|object| object.name_any() != name);
                self.pass.push(format!("  {name} is gone"));
            }
        }
        if let Some((status, next)) = device {
            wakes.extend(next);
            let stored = self.world.device.as_mut().expect("it was reported on");
            if stored.status.as_ref() != Some(&status) {
                stored.status = Some(status);
                self.writes += 1;
            }
            self.world.reconcile_requested = is_reconcile_requested(stored);
        }
        self.wake = wakes.into_iter().filter(|wake| *wake > self.now).min();
    }

    fn hold_items(&mut self, verified: &BTreeMap<String, Verified>) {
        for (name, verified) in verified {
            for item in &verified.items {
                let liar = item
                    .problem
                    .as_ref()
                    .is_some_and(|problem| is_held_by_reading(problem.outcome));
                let key = HoldKey::Item {
                    subscription: name.clone(),
                    item: item.key.clone(),
                    digest: item.desired_digest.clone(),
                };
                if liar && self.holds.until(&key, self.now).is_none() {
                    let policy = RetryPolicy::default();
                    self.holds.fail(key, policy, None, 1.0, self.now);
                }
            }
        }
    }

    fn store_subscription(&mut self, name: &str, status: &ServiceSubscriptionStatus) {
        objects::check(status);
        let began = self.began;
        let object = self.subscription_mut(name);
        truth::check_completion(object.status.as_ref(), status, began);
        if object.status.as_ref() != Some(status) {
            // Through JSON, as the API server does it.
            let json = serde_json::to_value(status).expect("a status is JSON");
            object.status = Some(serde_json::from_value(json).expect("and is read back"));
            self.writes += 1;
        }
    }

    pub(crate) fn subscription(&self, name: &str) -> &ServiceSubscription {
        let mut all = self.world.subscriptions.iter();
        all.find(|object| object.name_any() == name)
            .unwrap_or_else(|| panic!("no {name}"))
    }

    pub(crate) fn subscription_mut(&mut self, name: &str) -> &mut ServiceSubscription {
        let mut all = self.world.subscriptions.iter_mut();
        all.find(|object| object.name_any() == name)
            .unwrap_or_else(|| panic!("no {name}"))
    }
}
