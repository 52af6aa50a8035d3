//! The pass of the delivery controller without Kubernetes: a virtual clock, objects in memory,
//! simulated remote sides. Used by the golden scenarios and the properties.

use std::{collections::BTreeMap, sync::Arc};

use entente_crds::v1alpha1::{
    Device, DeviceStatus, ServiceSubscription, ServiceSubscriptionStatus,
};
use entente_domain::delivery::{
    Action, Answer, Backoffs, DeviceSnapshot, Pass, SubscriptionReport, is_reconcile_requested,
};
use entente_domain::names::SubscriptionName;
use entente_domain::remote::StatusReport;
use jiff::Timestamp;
use kube::ResourceExt as _;

mod broker;
mod caller;
mod objects;
mod patience;
mod printer;
mod remote;
mod show;
mod traffic;
mod truth;

pub(crate) use broker::{Broker, Fault};
pub(crate) use caller::{Caller, Conduct};
pub(crate) use objects::{Wish, secret_reference};
pub(crate) use printer::{Printer, scalars};
pub(crate) use traffic::{Fate, Traffic};

/// Fraction of the jitter with which every wait is the longest possible.
const NO_JITTER: f64 = 1.0;
/// Number of passes without a new event after which a run is taken for an endless loop.
const MOST_PASSES: usize = 5_000;

/// The whole simulated world.
#[derive(Clone, Debug)]
pub(crate) struct Simulation {
    /// The objects, as the API server has them.
    pub(crate) snapshot: DeviceSnapshot,
    /// The machine at the device's address.
    pub(crate) printer: Printer,
    /// The machine in its place, if it calls.
    pub(crate) caller: Option<Caller>,
    /// The service servers, by Connection.
    pub(crate) brokers: BTreeMap<String, Broker>,
    /// Memory of the controller between passes.
    pub(crate) backoffs: Backoffs,
    pub(crate) now: Timestamp,
    /// The waits that the remote sides asked for.
    wishes: patience::Wishes,
    /// Status writes so far.
    pub(crate) writes: usize,
    /// Requests to remote sides so far.
    pub(crate) requests: usize,
    /// Requests that are not reads.
    pub(crate) sent: usize,
    /// Transcript of each pass.
    pub(crate) transcript: Vec<String>,
    /// The process dies after this many actions more.
    pub(crate) dies_after: Option<usize>,
    /// True if nobody but the operator changes the remote sides.
    pub(crate) alone: bool,
    /// Called after each action, to look at the remote sides.
    pub(crate) watch: Option<fn(&Simulation)>,
    /// The data that the device sends meanwhile.
    pub(crate) traffic: Option<Traffic>,
    /// Items that were not in place after a pass, kept beside all that the operator says.
    incomplete: truth::Incomplete,
    /// The instant at which the last pass asked to be followed by another.
    pub(crate) wake: Option<Timestamp>,
    /// Start of the pass under way.
    began: Timestamp,
    /// The requests of the pass under way.
    pass: Vec<String>,
}

/// End of a pass: reported, or cut short by a crash.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    Reported,
    Died,
}

impl Simulation {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            snapshot: objects::empty_world(),
            printer: Printer::new("Northwind MFP 500", "urn:uuid:1"),
            caller: None,
            brokers: BTreeMap::new(),
            backoffs: Backoffs::default(),
            wishes: patience::Wishes::default(),
            now,
            writes: 0,
            requests: 0,
            sent: 0,
            transcript: Vec::new(),
            dies_after: None,
            alone: true,
            watch: None,
            traffic: None,
            incomplete: truth::Incomplete::default(),
            wake: None,
            began: now,
            pass: Vec::new(),
        }
    }

    /// Makes one pass now.
    pub(crate) fn pass(&mut self) -> Ended {
        self.pass.clear();
        self.began = self.now;
        let mut pass = Pass::new(self.snapshot.clone(), self.backoffs.clone(), self.now);
        self.lint(&pass);
        let mut linted = pass.rounds();
        while let Some(action) = pass.next(self.now) {
            if pass.rounds() > linted {
                self.lint(&pass);
                linted = pass.rounds();
            }
            self.say_action(&action);
            let answer = self.answer(&action, &pass);
            pass.record(&action, answer, self.now, NO_JITTER);
            if let Some(watch) = self.watch {
                watch(self);
            }
            self.send_data();
            if self.dies() {
                self.die();
                return Ended::Died;
            }
        }
        assert!(!pass.is_endless(), "a pass has no end\n{}", self.story());
        pass.finish(self.now, NO_JITTER);
        self.lint(&pass);
        self.report(pass);
        self.say_pass(self.began);
        Ended::Reported
    }

    fn dies(&mut self) -> bool {
        match &mut self.dies_after {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }

    fn die(&mut self) {
        self.dies_after = None;
        self.pass.push("  the process dies".to_owned());
        self.forget_waits();
        self.snapshot.catalogs.clear();
        for broker in self.brokers.values_mut() {
            broker.told_nobody();
        }
        self.wake = Some(self.now);
        self.say_requests(self.began);
    }

    fn lint(&self, pass: &Pass) {
        let faults = crate::lint::lint(
            pass.snapshot(),
            pass.resolved(),
            pass.verified(),
            pass.plan(),
            self.now,
        );
        assert!(
            faults.is_empty(),
            "{faults:#?}\n{:#?}\n{}",
            pass.plan(),
            self.story()
        );
    }

    /// Passes now and whenever something is due, until an instant.
    pub(crate) fn run_until(&mut self, until: Timestamp) {
        for _ in 0..MOST_PASSES {
            let ended = self.pass();
            self.send_data();
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

    fn answer(&mut self, action: &Action, pass: &Pass) -> Answer {
        match action {
            Action::RecordPrevious {
                subscription,
                items,
            } => {
                let object = self.subscription(subscription);
                let status = pass.record_previous(object, items, self.now);
                self.recorded(subscription, status)
            }
            Action::RecordInstance { subscription } => {
                let object = self.subscription(subscription);
                let status = pass.record_instance(object, self.now);
                self.recorded(subscription, status)
            }
            Action::TakeOver { subscription, from } => {
                let object = self.subscription(subscription);
                let status = pass.take_over(object, from, self.now);
                self.recorded(subscription, status)
            }
            Action::Switch { group, to } => {
                let device = self.snapshot.device.as_ref().expect("there is a device");
                let status = pass.switch(device, group, to, self.now);
                self.store_device(&status);
                Answer::Switched(Some(status.exclusive))
            }
            Action::ReadDevice { connection, .. } if self.caller.is_some() => {
                self.read_twin(connection)
            }
            Action::ReadDevice {
                connection,
                request,
            } => self.read_device(connection, request, pass),
            Action::WriteDevice {
                connection, write, ..
            } => self.write_device(connection, write, pass),
            // No model of the scripts has errors.
            Action::ReadStatus { .. } => Answer::Status(Ok(StatusReport::default())),
            Action::ShowMessages { .. } => Answer::MessagesShown(Ok(())),
            Action::WriteTwin { .. } => self.write_twin(action, pass),
            Action::ReadCatalog { connection } => self.read_catalog(connection),
            Action::ReadInstance { .. }
            | Action::PollOperation { .. }
            | Action::Provision { .. }
            | Action::Update { .. }
            | Action::Deprovision { .. } => {
                truth::check_order(self, pass.resolved(), action);
                self.ask_broker(action, pass)
            }
        }
    }

    fn recorded(&mut self, name: &str, status: Option<ServiceSubscriptionStatus>) -> Answer {
        let status = status.expect("every subscription is resolved");
        self.store_subscription(name, &status);
        Answer::Recorded(Some(self.subscription(name).clone().into()))
    }

    fn report_of(&self, pass: &Pass, name: &str) -> SubscriptionReport {
        pass.report_subscription(self.subscription(name), self.now)
            .expect("every subscription is resolved")
    }

    fn report(&mut self, pass: Pass) {
        let names: Vec<SubscriptionName> = pass
            .resolved()
            .subscriptions
            .iter()
            .map(|entry| entry.name.clone())
            .filter(|name| !name.is_leaving())
            .collect();
        let reports: BTreeMap<SubscriptionName, SubscriptionReport> = names
            .iter()
            .map(|name| (name.clone(), self.report_of(&pass, name)))
            .collect();
        let device = self.snapshot.device.as_ref();
        let device = device.map(|device| pass.report_device(device, &reports, self.now));
        let mut wakes: Vec<Timestamp> = pass.wake().into_iter().collect();
        for (name, report) in reports {
            wakes.extend(report.wake_at);
            self.store_subscription(&name, &report.status);
            truth::check(self, pass.resolved(), &name);
            truth::check_caller(self, pass.resolved(), &name);
            truth::note(self, pass.resolved(), &name);
            // Outcomes are facts: a second report on top of the written status changes nothing.
            let again = self.report_of(&pass, &name);
            let stored = self.subscription(&name).status.clone();
            assert_eq!(Some(again.status), stored, "a report is a fixpoint");
            if again.finalizer_may_go {
                self.snapshot
                    .subscriptions
                    .retain(|object| *object.name_any() != *name);
                self.pass.push(format!("  {name} is gone"));
            }
        }
        if let Some((status, next)) = device {
            wakes.extend(next);
            self.store_device(&status);
            let asked = is_reconcile_requested(self.device_mut());
            self.snapshot.reconcile_requested = asked;
        }
        self.wake = wakes.into_iter().filter(|wake| *wake > self.now).min();
        self.backoffs = pass.into_backoffs();
    }

    fn store_device(&mut self, status: &DeviceStatus) {
        let stored = self.device_mut();
        let is_news = stored.status.as_ref() != Some(status);
        // Through JSON, as the API server does it.
        let json = serde_json::to_value(status).expect("a status is JSON");
        stored.status = Some(serde_json::from_value(json).expect("and is read back"));
        self.writes += usize::from(is_news);
    }

    fn store_subscription(&mut self, name: &str, status: &ServiceSubscriptionStatus) {
        objects::check(status);
        truth::check_completion(self, self.subscription(name), status);
        let object = self.subscription_mut(name);
        if object.status.as_ref() != Some(status) {
            // Through JSON, as the API server does it.
            let json = serde_json::to_value(status).expect("a status is JSON");
            object.status = Some(serde_json::from_value(json).expect("and is read back"));
            self.writes += 1;
        }
    }

    pub(crate) fn subscription(&self, name: &str) -> &ServiceSubscription {
        let mut all = self.snapshot.subscriptions.iter();
        all.find(|object| object.name_any() == name)
            .unwrap_or_else(|| panic!("no {name}"))
    }

    pub(crate) fn device_mut(&mut self) -> &mut Device {
        let device = self.snapshot.device.as_mut();
        Arc::make_mut(device.expect("there is a device"))
    }

    pub(crate) fn subscription_mut(&mut self, name: &str) -> &mut ServiceSubscription {
        let mut all = self.snapshot.subscriptions.iter_mut().map(Arc::make_mut);
        all.find(|object| object.name_any() == name)
            .unwrap_or_else(|| panic!("no {name}"))
    }
}
