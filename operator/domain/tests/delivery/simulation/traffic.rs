//! The data of a device while its provider changes: ten events a second, a gateway whose view of the
//! objects is old, and answers that are lost.
//!
//! The gateway is that of the product, without HTTP and without a memory: as if it were killed after each
//! batch. The inboxes of the providers keep what they got.

use std::{collections::BTreeMap, collections::VecDeque, sync::Arc};

use entente_crds::v1alpha1::{
    Device, DeviceTwin, NameReference, ServiceData, ServiceSubscription, SmartService,
    WantedDataType,
};
use entente_domain::gateway::events::{Batch, Delivery, Knowledge};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::Simulation;

const PRINTER: &str = "0d3c9c3e-7d55-5a35-8c6e-6f1b5f4c9a01";
const KIND: &str = "supplies.level";
/// Time between two events.
const PACE: SignedDuration = SignedDuration::from_millis(100);
/// The longest time without a request of the operator in which events come at that pace; of a longer
/// one the last part alone has events.
const LONGEST: SignedDuration = SignedDuration::from_secs(1);
/// The most events of a batch.
const MOST: usize = 256;

/// The objects, as a gateway has read them.
#[derive(Clone, Debug)]
struct View {
    at: Timestamp,
    device: Option<Arc<Device>>,
    subscriptions: Vec<Arc<ServiceSubscription>>,
}

/// The events of a device and their way.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    /// Age of the view of the gateway.
    lag: SignedDuration,
    /// Of this many batches the answer to one is lost.
    lost_answers: u64,
    services: BTreeMap<String, Arc<SmartService>>,
    views: VecDeque<View>,
    next: Timestamp,
    /// The instants of all events; the number of one is its id.
    made: Vec<Timestamp>,
    /// Events that the device keeps.
    outbox: VecDeque<usize>,
    batches: u64,
    /// The numbers of what each inbox got, by its path.
    inboxes: BTreeMap<String, Vec<usize>>,
    refused: Vec<usize>,
}

/// Fate of the events.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Fate {
    pub(crate) made: usize,
    /// Events that were answered as refused, or never taken.
    pub(crate) at_neither: usize,
    /// Events that two providers have.
    pub(crate) at_both: usize,
    /// Events that another provider has than the one that acted when they occurred.
    pub(crate) at_another: usize,
    /// Events that came to a provider again.
    pub(crate) repeated: usize,
}

impl Traffic {
    /// Returns a device that begins to send now.
    pub(crate) fn new(world: &Simulation, lag: SignedDuration, lost_answers: u64) -> Self {
        let services = world.snapshot.services.values().map(|service| {
            let mut service = SmartService::clone(service);
            let name = service.name_any();
            service.spec.data = Some(ServiceData {
                connection_ref: NameReference::default(),
                path: format!("/{name}"),
            });
            let wanted = WantedDataType {
                name: KIND.to_owned(),
                ..WantedDataType::default()
            };
            service.spec.device.get_or_insert_default().data_types = vec![wanted];
            (name, Arc::new(service))
        });
        Self {
            lag,
            lost_answers,
            services: services.collect(),
            views: VecDeque::new(),
            next: world.now,
            made: Vec::new(),
            outbox: VecDeque::new(),
            batches: 0,
            inboxes: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    /// Makes the events until now and sends what there is.
    pub(super) fn go_on(&mut self, world: &Simulation) {
        self.views.push_back(View {
            at: world.now,
            device: world.snapshot.device.clone(),
            subscriptions: world.snapshot.subscriptions.clone(),
        });
        self.next = self.next.max(world.now - LONGEST);
        while self.next <= world.now {
            self.outbox.push_back(self.made.len());
            self.made.push(self.next);
            self.next += PACE;
        }
        let latest = world.now - self.lag;
        while self.views.len() > 1 && self.views[1].at <= latest {
            self.views.pop_front();
        }
        self.send(world.now);
    }

    fn send(&mut self, now: Timestamp) {
        let sent: Vec<usize> = self.outbox.iter().take(MOST).copied().collect();
        let event = |number: &usize| {
            json!({
                "specversion": "1.0",
                "id": number.to_string(),
                "type": format!("dev.entente.{KIND}"),
                "time": self.made[*number],
            })
        };
        let body: Vec<Value> = sent.iter().map(event).collect();
        let batch = Batch::read(json!(body).to_string().as_bytes(), PRINTER).expect("a batch");
        let view = self.views.front().expect("there is one");
        let twin = DeviceTwin::new("lobby", entente_crds::v1alpha1::DeviceTwinSpec::default());
        let knowledge = Knowledge {
            twin: &twin,
            device: view.device.as_deref(),
            subscriptions: &view.subscriptions,
            keeps_errors: false,
            service: |name: &str| self.services.get(name).cloned(),
            now,
        };
        let routing = batch.route(&knowledge.recipients(), PRINTER);
        for Delivery { inbox, events } in &routing.deliveries {
            let kept = self.inboxes.entry(inbox.path.clone()).or_default();
            kept.extend(
                events
                    .iter()
                    .map(|it| it.id.parse::<usize>().expect("a number")),
            );
        }
        self.batches += 1;
        let is_lost = self.batches.is_multiple_of(self.lost_answers);
        if routing.deferred > 0 || is_lost {
            return;
        }
        let refused = routing.refused.iter().map(|(place, _)| sent[*place]);
        self.refused.extend(refused);
        self.outbox.drain(..sent.len());
    }

    /// Sends what is left, and returns the fate of all.
    pub(crate) fn end(mut self, world: &Simulation) -> Fate {
        self.lag = SignedDuration::ZERO;
        self.lost_answers = u64::MAX;
        self.go_on(world);
        while !self.outbox.is_empty() {
            let before = self.outbox.len();
            self.send(world.now);
            assert!(
                self.outbox.len() < before,
                "nobody takes what is left\n{}",
                world.story()
            );
        }
        let holds = world
            .snapshot
            .device
            .as_ref()
            .and_then(|it| it.status.as_ref());
        let [hold] = &holds.expect("a status").exclusive[..] else {
            panic!("not one group\n{}", world.story());
        };
        let of = |at: Timestamp| {
            let mut before = hold.before.iter();
            let former = before.find(|it| it.since <= at && at < it.until);
            let service = former.map(|it| &it.service).or(hold.service.as_ref());
            format!("/{}", service.expect("it is named"))
        };
        let mut fate = Fate {
            made: self.made.len(),
            ..Fate::default()
        };
        let mut counts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (path, numbers) in &self.inboxes {
            let counts = counts
                .entry(path)
                .or_insert_with(|| vec![0; self.made.len()]);
            for number in numbers {
                counts[*number] += 1;
            }
        }
        for (number, at) in self.made.iter().enumerate() {
            let places = counts.iter().filter(|(_, counts)| counts[number] > 0);
            let paths: Vec<&str> = places.clone().map(|(path, _)| *path).collect();
            fate.repeated += places.map(|(_, counts)| counts[number] - 1).sum::<usize>();
            fate.at_neither += usize::from(paths.is_empty());
            fate.at_both += usize::from(paths.len() > 1);
            fate.at_another += usize::from(paths.iter().any(|path| *path != of(*at)));
        }
        fate
    }
}

impl Simulation {
    /// Lets the device send, if it does.
    pub(super) fn send_data(&mut self) {
        if let Some(mut traffic) = self.traffic.take() {
            traffic.go_on(self);
            self.traffic = Some(traffic);
        }
    }
}
