//! Outlook of a device that calls: the requests that its twin would make, one after another.
//!
//! Decides nothing of its own: passes decide, over the device as it last reported, now and at each date
//! ahead. Between two of them the device is assumed to do at once what it was asked for. It asks no other
//! remote side and reads no Secret, so that nothing is said of what follows from those. Called by
//! `kubectl entente plan`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::item_key::ItemKey;
use entente_crds::v1alpha1::{
    AgentEndpoint, DeviceStatus, DeviceTwin, DeviceTwinSpec, SoftwarePart, TwinSetting,
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{Obstacle, dates, obeyed::obeyed, with_unknown_secrets};
use crate::condition::find;
use crate::delivery::twin::{TwinChange, is_of, new_twin, reading, wanted_spec};
use crate::delivery::{
    Action, Answer, Backoffs, DeviceSnapshot, Installation, InstallationOrder, Pass,
    schedule::intent::prepared_from,
};
use crate::names::SubscriptionName;
use crate::protocol::Place;
use crate::reasons::{Class, class};

/// The most passes over one device.
const MOST_PASSES: usize = 96;

/// Request to a device that calls, for one subscription.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ask {
    /// Name of the subscription.
    pub subscription: String,
    /// Name of its contract.
    pub contract: String,
    /// Name of the device.
    pub device: String,
    /// The instant from which it is made; `None` for the next call of the device.
    pub from: Option<Timestamp>,
    /// The request in words, such as "install Firmware/main 4.2.0 in place of 4.1.0".
    pub words: String,
    /// Instant at which the device does it by itself, of one that it holds until then.
    pub holds_until: Option<Timestamp>,
}

/// Outlook of a device that calls.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// The requests, in their order.
    pub asks: Vec<Ask>,
    /// Obstacles that follow from what the device said, each once with the first instant at which it is
    /// there.
    pub obstacles: Vec<Obstacle>,
    /// The status that the operator would write now, such as that the device has not registered.
    pub status: Option<DeviceStatus>,
}

/// Returns the outlook of a device that calls; `None` of one that is dialled.
pub fn calls(snapshot: &DeviceSnapshot, now: Timestamp) -> Option<Calls> {
    let agent = agent(snapshot)?.clone();
    let dates = dates_ahead(snapshot, now);
    let mut foresight = Foresight {
        snapshot: with_unknown_secrets(snapshot),
        at: now,
        now,
        agent,
        found: Calls::default(),
        known: BTreeSet::new(),
    };
    for _ in 0..MOST_PASSES {
        let opens = foresight.pass();
        let Some(twin) = foresight.snapshot.twin.clone() else {
            break;
        };
        if !foresight.is_heard(&twin) {
            break;
        }
        let after = obeyed(&twin, foresight.at);
        if after != *twin {
            foresight.snapshot.twin = Some(Arc::new(after));
            continue;
        }
        let ahead = dates.iter().copied().chain(opens);
        let Some(next) = ahead.filter(|at| *at > foresight.at).min() else {
            break;
        };
        foresight.at = next;
        foresight.snapshot.twin = Some(Arc::new(obeyed(&twin, next)));
    }
    Some(foresight.found)
}

/// Returns the endpoint of the first connection by which a device calls.
fn agent(snapshot: &DeviceSnapshot) -> Option<&AgentEndpoint> {
    let connections = &snapshot.device.as_deref()?.spec.connections;
    let mut found = connections.iter().filter_map(|chosen| {
        let connection = snapshot.connections.get(chosen.name.as_str())?;
        connection.spec.agent.as_ref()
    });
    found.next()
}

/// Returns the dates of the subscriptions with those from which on they are prepared.
fn dates_ahead(snapshot: &DeviceSnapshot, now: Timestamp) -> BTreeSet<Timestamp> {
    let subscriptions = snapshot.subscriptions.iter();
    let prepared = subscriptions.flat_map(|it| {
        let revisions = it.spec.revisions.iter();
        revisions.map(|revision| prepared_from(it, revision))
    });
    let prepared = prepared.filter(|at| *at > now);
    dates(snapshot, now).into_iter().chain(prepared).collect()
}

/// The device between two passes, and what was found.
struct Foresight {
    snapshot: DeviceSnapshot,
    at: Timestamp,
    now: Timestamp,
    agent: AgentEndpoint,
    found: Calls,
    /// Reasons and requests that were found, by subscription.
    known: BTreeSet<(String, String)>,
}

impl Foresight {
    /// Returns the instant as it is told: none for now.
    fn from(&self) -> Option<Timestamp> {
        Some(self.at).filter(|at| *at > self.now)
    }

    /// True if the device may be asked for something: it has registered, and calls.
    fn is_heard(&self, twin: &DeviceTwin) -> bool {
        let Some(device) = self.snapshot.device.as_deref() else {
            return false;
        };
        let model = self.snapshot.model.as_ref().map(|model| &model.spec);
        let secrets = &self.snapshot.secrets;
        reading(Some(twin), device, model, (&self.agent, secrets), self.at).is_ok()
    }

    /// Runs a pass, and returns the next instant at which a maintenance window opens that something
    /// waits for.
    fn pass(&mut self) -> Option<Timestamp> {
        let at = self.at;
        let mut pass = Pass::new(self.snapshot.clone(), Backoffs::default(), at);
        while let Some(action) = pass.next(at) {
            let before = pass.snapshot().twin.clone();
            let Some(answer) = self.answer(&pass, &action) else {
                continue;
            };
            if let Answer::TwinWritten(Ok(after)) = &answer {
                self.told(&action, before.as_deref(), after);
            }
            pass.record(&action, answer, at, 1.0);
        }
        pass.finish(at, 1.0);
        let opens = pass.plan().installations.call_at;
        self.report(&pass);
        opens
    }

    /// Returns the answer to an action as far as it is known without asking anybody.
    fn answer(&self, pass: &Pass, action: &Action) -> Option<Answer> {
        let snapshot = pass.snapshot();
        let device = snapshot.device.as_deref()?;
        match action {
            Action::ReadDevice { request, .. } if request.identity == Place::Registration => {
                let model = snapshot.model.as_ref().map(|model| &model.spec);
                let from = (&self.agent, &snapshot.secrets);
                Some(Answer::DeviceRead {
                    result: reading(snapshot.twin.as_deref(), device, model, from, self.at),
                    claimed_by_another: None,
                })
            }
            Action::WriteTwin { .. } => {
                let known = snapshot.twin.as_deref();
                if known.is_some_and(|twin| !is_of(twin, device)) {
                    return None;
                }
                let change = TwinChange::of(action)?;
                let spec = wanted_spec(known, device, change, &snapshot.secrets);
                let mut twin = known
                    .cloned()
                    .unwrap_or_else(|| new_twin(device, DeviceTwinSpec::default()));
                if twin.spec != spec {
                    let generation = twin.metadata.generation.unwrap_or_default();
                    twin.metadata.generation = Some(generation + 1);
                    twin.spec = spec;
                }
                Some(Answer::TwinWritten(Ok(Arc::new(twin))))
            }
            Action::RecordPrevious {
                subscription,
                items,
            } => {
                let mut object = snapshot.subscription(subscription)?.clone();
                object.status = pass.record_previous(&object, items, self.at);
                Some(Answer::Recorded(Some(Arc::new(object))))
            }
            _ => None,
        }
    }

    /// Takes the statuses of a pass over, and finds the obstacles in them.
    fn report(&mut self, pass: &Pass) {
        let mut reports = BTreeMap::new();
        for subscription in &mut self.snapshot.subscriptions {
            let name = SubscriptionName::from(subscription.name_any().as_str());
            let recorded = pass.snapshot().subscription(&name);
            let mut object = recorded.unwrap_or(subscription).clone();
            let Some(report) = pass.report_subscription(&object, self.at) else {
                continue;
            };
            object.status = Some(report.status.clone());
            *subscription = Arc::new(object);
            reports.insert(name, report);
        }
        self.snapshot.twin.clone_from(&pass.snapshot().twin);
        if let Some(device) = &mut self.snapshot.device {
            let (status, _) = pass.report_device(device, &reports, self.at);
            self.found.status.get_or_insert_with(|| status.clone());
            Arc::make_mut(device).status = Some(status);
        }
        self.obstacles();
    }

    fn obstacles(&mut self) {
        let from = self.from();
        for subscription in &self.snapshot.subscriptions {
            let status = subscription.status.as_ref();
            let conditions = status.map_or(&[][..], |status| &status.conditions);
            let ready = find(conditions, ConditionType::Ready);
            let Some(said) = ready.filter(|ready| ready.status == "False") else {
                continue;
            };
            let mut all = Reason::ALL.iter().copied();
            let Some(reason) = all.find(|it| it.as_str() == said.reason) else {
                continue;
            };
            let name = subscription.name_any();
            if is_obstacle(reason) && self.known.insert((name.clone(), said.reason.clone())) {
                self.found.obstacles.push(Obstacle {
                    subscription: name,
                    contract: subscription.spec.contract.name.clone(),
                    device: self.snapshot.device_name.clone(),
                    reason,
                    message: said.message.to_string(),
                    from,
                });
            }
        }
    }

    /// Notes the requests of a write of the twin.
    fn told(&mut self, action: &Action, before: Option<&DeviceTwin>, after: &DeviceTwin) {
        let Action::WriteTwin {
            writes,
            installation,
            data_items,
            ..
        } = action
        else {
            return;
        };
        for served in data_items {
            let name = served.item.key.name().unwrap_or_default();
            self.ask(
                &served.subscription,
                format!("send data of the kind {name}"),
                None,
            );
        }
        if let Some(InstallationOrder::Install(installation)) = installation {
            let words = in_words(installation, before);
            for served in &installation.items {
                self.ask(&served.subscription, words.clone(), None);
            }
        }
        let mut set: BTreeMap<&SubscriptionName, BTreeSet<String>> = BTreeMap::new();
        for (write, items) in writes {
            let key = write.place.as_agent().unwrap_or_default();
            let Some(shown) = shown(key, before, after) else {
                continue;
            };
            for served in items {
                let names = set.entry(&served.subscription).or_default();
                let name = served.item.key.name().unwrap_or(key);
                names.insert(format!("{name}{shown}"));
            }
        }
        for (subscription, names) in set {
            let names: Vec<String> = names.into_iter().collect();
            self.ask(subscription, format!("set {}", names.join(", ")), None);
        }
        self.held(before, after);
    }

    /// Notes the change that the device is to hold until its instant.
    fn held(&mut self, before: Option<&DeviceTwin>, after: &DeviceTwin) {
        let held = before.and_then(|twin| twin.spec.next.as_ref());
        let Some(next) = after.spec.next.as_ref().filter(|next| Some(*next) != held) else {
            return;
        };
        let names: Vec<&str> = next.settings.iter().map(|it| it.name.as_str()).collect();
        let words = format!("set {}", names.join(", "));
        let subscriptions = self.snapshot.subscriptions.iter();
        let begin = subscriptions.filter(|it| {
            let mut revisions = it.spec.revisions.iter();
            revisions.any(|revision| revision.effective == next.effective)
        });
        let begin: Vec<SubscriptionName> = begin.map(|it| it.name_any().as_str().into()).collect();
        for subscription in begin {
            self.ask(&subscription, words.clone(), Some(next.effective));
        }
    }

    fn ask(&mut self, of: &SubscriptionName, words: String, holds_until: Option<Timestamp>) {
        let Some(object) = self.snapshot.subscription(of) else {
            return;
        };
        let contract = object.spec.contract.name.clone();
        let subscription = of.to_string();
        let said = format!("{words} {holds_until:?}");
        if self.known.insert((subscription.clone(), said)) {
            self.found.asks.push(Ask {
                subscription,
                contract,
                device: self.snapshot.device_name.clone(),
                from: self.from(),
                words,
                holds_until,
            });
        }
    }
}

/// True if a reason stands in the way until somebody does something. That a device does not call is said
/// of the device.
fn is_obstacle(reason: Reason) -> bool {
    match reason {
        Reason::NotRegistered | Reason::NotHeardOf | Reason::ConsentWithdrawn => false,
        Reason::InstallationFailed
        | Reason::ArtifactUnavailable
        | Reason::AcceptedNotEffective
        | Reason::ProtocolError => true,
        _ => class(reason) == Class::Stalled,
    }
}

fn in_words(installation: &Installation, before: Option<&DeviceTwin>) -> String {
    let (part, name) = (installation.part, &installation.name);
    let key = ItemKey::software(part, name);
    let instead = reported(before, part, name);
    let instead = instead.map_or_else(String::new, |it| format!(" in place of {it}"));
    format!("install {key} {}{instead}", installation.version)
}

fn reported<'a>(twin: Option<&'a DeviceTwin>, part: SoftwarePart, name: &str) -> Option<&'a str> {
    let reported = twin?.status.as_ref()?.reported.as_ref()?;
    let mut software = reported.software.iter();
    let found = software.find(|it| it.part == part && *it.name == *name)?;
    Some(&found.version)
}

/// Returns the words behind the name of a setting. `None` of one from the Secret that it was from
/// before: nobody who does not read it knows whether its value is another one by now.
fn shown(key: &str, before: Option<&DeviceTwin>, after: &DeviceTwin) -> Option<&'static str> {
    let setting = |twin: &'_ DeviceTwin| -> Option<TwinSetting> {
        let mut settings = twin.spec.settings.iter();
        settings.find(|it| it.name == key).cloned()
    };
    let Some(secret) = setting(after).and_then(|it| it.secret_key_ref) else {
        return Some("");
    };
    let known = before.and_then(setting).and_then(|it| it.secret_key_ref);
    (known != Some(secret)).then_some(" (from a Secret)")
}
