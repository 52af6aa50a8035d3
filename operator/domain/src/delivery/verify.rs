//! Verify: wanted against observed, item by item. An item is done only when it was read back.
//!
//! Reads the answers of this pass, else the last proof in status. Never sends anything. Called
//! after resolve in every round.

use std::collections::BTreeMap;

use entente_crds::{
    condition::Reason,
    digest::Digest,
    item_key::ItemKey,
    v1alpha1::{Item, ItemState, Problem, Proof, ServiceSubscription, StepType},
};
use jiff::Timestamp;

use self::{device::device_faults, faults::ConnectionFaults};
use crate::delivery::{
    Blocked, DeviceSnapshot, Intent, Observations, Reading, ResolvedDevice, ResolvedItem,
    ResolvedSubscription, Wanted,
};
use crate::names::{ConnectionName, SubscriptionName};
use crate::{reasons::reason, remote::Failure};

mod acceptance;
pub(super) mod compare;
pub(super) mod data_types;
mod device;
pub(super) mod difference;
mod drift;
pub(super) mod faults;
pub(super) mod identity;
mod instance;
pub(super) mod software;

/// Proofs of one subscription.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verified {
    /// Every item in the order of the steps.
    pub items: Vec<VerifiedItem>,
    /// Obstacle to readings and writes of the device through each connection, as far as this pass
    /// knows.
    pub device_faults: BTreeMap<ConnectionName, Blocked>,
    /// Obstacle to readings and writes of the service server, as far as this pass knows.
    pub server_fault: Option<Blocked>,
    /// Fault by which another machine is in place of the device, through whichever connection, in
    /// this pass or when it was last asked. Nothing is usable on the named device meanwhile.
    pub another_machine: Option<Blocked>,
    /// True if a leg of the activation is missing: what is in effect is that the service is off.
    pub is_off: bool,
    /// True if data of the device have turned the service on: its kinds of data hold nothing back.
    pub begun_by_data: bool,
}

/// Proof of one item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifiedItem {
    /// Key of the item.
    pub key: ItemKey,
    /// Its step.
    pub step: StepType,
    /// Last proved state.
    pub state: ItemState,
    /// A digest of the value that is wanted.
    pub desired_digest: Digest,
    /// A digest of the value that was read.
    pub observed_digest: Option<Digest>,
    /// Instant of the proof.
    pub verified_at: Option<Timestamp>,
    /// Taken if it counts because it was accepted; `None` if it was read back.
    pub proof: Option<Proof>,
    /// True if it is a setting whose wanted value was in effect on this machine before, and is not known to
    /// be now.
    pub was_effective: bool,
    /// True if somebody has changed it at the device since, and it is left so: it is not in effect, and
    /// nothing waits for it.
    pub drifts: bool,
    /// Problem of the last attempt.
    pub problem: Option<Problem>,
}

impl VerifiedItem {
    /// True if nothing has to be done about it, so that nothing waits for it.
    pub fn is_done(&self) -> bool {
        self.state == ItemState::Effective || self.drifts
    }
}

impl Verified {
    /// True if something of a step has to be in effect before anything that follows it.
    pub fn requires(&self, step: StepType) -> bool {
        !(self.begun_by_data && step == StepType::DataTypes)
    }

    /// Returns the items that have to be in effect.
    pub fn required(&self) -> impl Iterator<Item = &VerifiedItem> {
        self.items.iter().filter(|item| self.requires(item.step))
    }

    /// True if every item that has to be was read back as wanted.
    pub fn is_effective(&self) -> bool {
        let mut items = self.required();
        !self.is_off && items.all(|item| item.state == ItemState::Effective)
    }

    /// Returns the instant at which the last item that has to be was read back as wanted; `None` while
    /// one is not (D3).
    pub fn completed_at(&self) -> Option<Timestamp> {
        self.is_effective()
            .then(|| self.required().filter_map(|item| item.verified_at).max())
            .flatten()
    }

    /// Returns the settings that somebody has changed at the device since they were in effect, and that
    /// are left so.
    pub fn drifted(&self) -> impl Iterator<Item = &VerifiedItem> {
        self.items.iter().filter(|item| item.drifts)
    }

    /// Returns the instant since which all but the check of the service is in effect: the service is
    /// set up, and the check begins. `None` while something is not; the smallest instant if there is
    /// nothing else.
    pub fn set_up_since(&self) -> Option<Timestamp> {
        let since = acceptance::set_up_since(self.required());
        since.filter(|_| !self.is_off)
    }

    /// Returns the items of one step.
    pub fn of_step(&self, step: StepType) -> impl Iterator<Item = &VerifiedItem> {
        self.items.iter().filter(move |item| item.step == step)
    }

    /// Returns one item.
    pub fn item(&self, key: &ItemKey) -> Option<&VerifiedItem> {
        self.items.iter().find(|item| item.key == *key)
    }
}

/// Returns the proofs of every subscription, by name.
pub(super) fn verify(
    snapshot: &DeviceSnapshot,
    resolved: &ResolvedDevice,
    observations: &Observations,
    now: Timestamp,
) -> BTreeMap<SubscriptionName, Verified> {
    let device_faults = device_faults(snapshot, resolved, observations);
    let another_machine = snapshot.device.as_deref().and_then(|device| {
        let faults = ConnectionFaults::find(snapshot, resolved, observations, device);
        faults.another_machine()
    });
    resolved
        .subscriptions
        .iter()
        .map(|subscription| {
            let object = snapshot.subscription(&subscription.name);
            let round = Round {
                snapshot,
                resolved,
                observations,
                subscription,
                object,
                leaves_drift: object.is_some_and(|it| drift::is_left(snapshot, it, now)),
                device_faults: &device_faults,
                another_machine: another_machine.as_ref(),
                now,
            };
            (subscription.name.clone(), round.verify())
        })
        .collect()
}

struct Round<'a> {
    snapshot: &'a DeviceSnapshot,
    resolved: &'a ResolvedDevice,
    observations: &'a Observations,
    subscription: &'a ResolvedSubscription,
    object: Option<&'a ServiceSubscription>,
    /// True if a setting that was in effect and that somebody has changed since is left as it is.
    leaves_drift: bool,
    device_faults: &'a BTreeMap<ConnectionName, Blocked>,
    another_machine: Option<&'a Blocked>,
    now: Timestamp,
}

/// Result of a comparison of what was read with what is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Found {
    /// They are equal.
    Wanted,
    /// They differ.
    Another,
    /// They differ, and the value takes effect after a restart.
    BeforeRestart,
    /// Nobody can know before the device calls.
    Unknown,
}

impl Found {
    fn of(equal: bool) -> Self {
        if equal { Self::Wanted } else { Self::Another }
    }
}

/// Returns the proof with the word for how it was proved: a value that can only be written was taken,
/// and never read (D1).
fn tell_proof(mut verified: VerifiedItem, item: &ResolvedItem) -> VerifiedItem {
    if item.wanted.is_write_only() && verified.state == ItemState::Effective {
        verified.proof = Some(Proof::Taken);
    }
    verified
}

/// Returns the proof without Effective if another subscription will set the place to another value,
/// even while this value still is in effect.
fn demote_if_overridden(mut verified: VerifiedItem, item: &ResolvedItem) -> VerifiedItem {
    verified.state = demoted(verified.state, item);
    verified
}

fn demoted(state: ItemState, item: &ResolvedItem) -> ItemState {
    let yields = item.conflict.is_some() || item.overridden;
    if yields && state == ItemState::Effective {
        ItemState::Pending
    } else {
        state
    }
}

impl Round<'_> {
    fn verify(&self) -> Verified {
        let mut verified = Verified {
            device_faults: self.device_faults.clone(),
            server_fault: self.server_failure(),
            another_machine: self.another_machine.cloned(),
            is_off: self.subscription.is_off(),
            begun_by_data: self.subscription.begun_by_data,
            items: Vec::new(),
        };
        for (step, item) in self.subscription.items() {
            let found = match &item.wanted {
                Wanted::DeviceSetting { connection, .. }
                | Wanted::Software { connection, .. }
                | Wanted::DataType { connection, .. } => self.device_item(step, item, connection),
                Wanted::ServerInstance
                | Wanted::ServerSetting { .. }
                | Wanted::Activation { .. } => self.server_item(step.r#type, item),
                Wanted::Acceptance { .. } => self.acceptance_item(step, item, &verified),
            };
            let found = demote_if_overridden(tell_proof(found, item), item);
            verified.items.push(self.tell_drift(found, item));
        }
        verified
    }

    fn server_failure(&self) -> Option<Blocked> {
        let server = self.subscription.server.as_ref()?;
        let name = &self.subscription.name;
        let reading = self
            .observations
            .of(name)
            .reading
            .as_ref()
            .and_then(|reading| reading.result.as_ref().err());
        let failure = reading
            .or_else(|| {
                self.observations
                    .of(name)
                    .problem
                    .as_ref()
                    .map(|(_, failure)| failure)
            })
            .or_else(|| {
                self.observations
                    .catalog_problems
                    .get(&server.connection)
                    .map(|(_, failure)| failure)
            })?;
        Some(Blocked::on_server(&server.connection, failure))
    }

    /// Returns the answer to the request that sent this very value in this pass, or whose operation
    /// ended in it.
    fn sent_now(&self, item: &ResolvedItem) -> Option<Result<(), &Failure>> {
        let name = &self.subscription.name;
        let observations = self.observations;
        let sent = observations.sent_or_ended(name, &item.key, item.digest)?;
        Some(sent.result.as_ref().copied())
    }

    /// Returns the proof by a reading: the item is as wanted, or not.
    fn read(
        &self,
        step: StepType,
        item: &ResolvedItem,
        at: Timestamp,
        observed_digest: Option<Digest>,
        found: Found,
    ) -> VerifiedItem {
        let (state, problem) = match found {
            Found::Wanted => (ItemState::Effective, None),
            Found::Unknown => (ItemState::InProgress, None),
            Found::Another => self.not_effective(item, at, false),
            Found::BeforeRestart => self.not_effective(item, at, true),
        };
        self.proved((step, item), at, observed_digest, (state, problem))
    }

    /// Returns the proof by a reading that was judged.
    fn proved(
        &self,
        (step, item): (StepType, &ResolvedItem),
        at: Timestamp,
        observed_digest: Option<Digest>,
        (state, problem): (ItemState, Option<Problem>),
    ) -> VerifiedItem {
        // A proof that is repeated keeps its instant, so that an equal status is not written.
        let before = self.previous(item).filter(|previous| {
            [state, demoted(state, item)].contains(&previous.state)
                && previous.observed_digest == observed_digest
                && (state != ItemState::Effective || self.sent_now(item).is_none())
        });
        VerifiedItem {
            key: item.key.clone(),
            step,
            state,
            desired_digest: item.digest,
            observed_digest,
            verified_at: before
                .and_then(|previous| previous.last_verified)
                .or(Some(at)),
            proof: None,
            was_effective: false,
            drifts: false,
            problem,
        }
    }

    fn not_effective(
        &self,
        item: &ResolvedItem,
        at: Timestamp,
        restart: bool,
    ) -> (ItemState, Option<Problem>) {
        let previous = self.previous(item);
        match self.sent_now(item) {
            Some(Ok(())) if restart => (ItemState::AwaitingRestart, None),
            Some(Ok(())) => (
                ItemState::NotEffective,
                Some(self.problem(
                    item,
                    Reason::AcceptedNotEffective,
                    &format!("{} was accepted and is not in effect", item.key),
                    at,
                )),
            ),
            Some(Err(failure)) => (
                ItemState::NotEffective,
                Some(self.failed(item, failure, at)),
            ),
            None if restart && previous.is_some_and(|p| p.state == ItemState::AwaitingRestart) => {
                (ItemState::AwaitingRestart, None)
            }
            None => (
                ItemState::NotEffective,
                previous.and_then(|previous| previous.problem.as_deref().cloned()),
            ),
        }
    }

    /// Returns the proof without a reading since the last write: an earlier proof holds, if it is
    /// about the same value and target.
    fn unread(
        &self,
        step: StepType,
        item: &ResolvedItem,
        failure: Option<&Failure>,
    ) -> VerifiedItem {
        let mut verified = self
            .read_before(step, item)
            .unwrap_or_else(|| self.of_status(step, item));
        if let Some(Err(failure)) = self.sent_now(item) {
            verified.problem = Some(self.failed(item, failure, self.now));
        }
        if let Some(failure) = failure {
            // Losing contact with an Effective item changes the device's Online, nothing else.
            verified.problem = (verified.state != ItemState::Effective)
                .then(|| self.failed(item, failure, self.now));
        }
        verified
    }

    /// Returns the proof by a reading of this pass, from before another item was written.
    fn read_before(&self, step: StepType, item: &ResolvedItem) -> Option<VerifiedItem> {
        // A reading from before a write says nothing of a value that was accepted since, and shows
        // what is in effect if it was not.
        let accepted = self.sent_now(item).is_some_and(|sent| sent.is_ok());
        let name = &self.subscription.name;
        if let Wanted::DeviceSetting { connection, .. } = &item.wanted {
            let device = self.observations.through(connection);
            if accepted && device.is_unread(name, &item.key) {
                return None;
            }
            let Reading { at, result } = device.before.as_ref()?;
            let asked = self
                .subscription
                .steps
                .iter()
                .any(|it| it.r#type == step && self.subscription.was_asked(it, *at, self.now));
            let reading = result.as_ref().ok().filter(|_| asked)?;
            return Some(self.device_reading(step, item, *at, reading));
        }
        if self
            .subscription
            .server
            .as_ref()
            .is_none_or(|server| server.is_obsolete)
        {
            return None;
        }
        let heard = self.observations.of(name);
        if accepted && heard.unread.contains(&item.key) {
            return None;
        }
        let Reading { at, result } = heard.before.as_ref()?;
        Some(self.server_reading(step, item, *at, result.as_ref().ok()?))
    }

    /// Returns the proof of an earlier pass. A write since then undoes it, unless it is known that
    /// nothing was changed.
    fn of_status(&self, step: StepType, item: &ResolvedItem) -> VerifiedItem {
        let previous = self.previous(item);
        let in_doubt = !item.wanted.is_on_device()
            && self
                .observations
                .of(&self.subscription.name)
                .update_is_in_doubt();
        let written = in_doubt || self.sent_now(item).is_some();
        let proof = previous.and_then(|previous| previous.proof);
        let too_weak =
            proof == Some(Proof::Taken) && !item.wanted.is_write_only() && !self.takes_acceptance();
        let state = match previous.map_or(ItemState::Unknown, |previous| previous.state) {
            ItemState::Effective if written || too_weak => ItemState::Unknown,
            state => state,
        };
        VerifiedItem {
            key: item.key.clone(),
            step,
            state,
            desired_digest: item.digest,
            observed_digest: previous.and_then(|previous| previous.observed_digest),
            verified_at: previous.and_then(|previous| previous.last_verified),
            proof: proof.filter(|_| state == ItemState::Effective),
            was_effective: false,
            drifts: false,
            problem: previous.and_then(|previous| previous.problem.as_deref().cloned()),
        }
    }

    /// True if the service has what was accepted count where it cannot be fetched.
    fn takes_acceptance(&self) -> bool {
        let server = self.subscription.server.as_ref();
        server.is_some_and(|server| server.proof == Proof::Taken)
    }

    /// Returns the item in the status, if it wants the same value of the same target.
    fn previous(&self, item: &ResolvedItem) -> Option<&Item> {
        let status = self.object?.status.as_ref()?;
        let previous = status
            .items
            .iter()
            .find(|previous| previous.key == item.key)?;
        let same_value = previous.desired_digest == Some(item.digest);
        let same_target = !item.wanted.is_on_device() || self.same_device(status.evidence.as_ref());
        // Once it is in force again, a value that was proved before may have been changed since.
        let lasts = previous.state != ItemState::Effective
            || self.subscription.intent != Intent::SetUp
            || self.subscription.refused.is_some()
            || !status.unattended;
        (same_value && same_target && lasts).then_some(previous)
    }

    fn same_device(&self, evidence: Option<&entente_crds::v1alpha1::Evidence>) -> bool {
        let (Some(evidence), Some(device), Some(target)) = (
            evidence,
            &self.snapshot.device,
            &self.resolved.target_digest,
        ) else {
            return false;
        };
        Some(&evidence.device_uid) == device.metadata.uid.as_ref()
            && evidence.target_digest == *target
    }

    fn failed(&self, item: &ResolvedItem, failure: &Failure, at: Timestamp) -> Problem {
        let message = format!("{}: {}", item.key, failure.message);
        self.problem(item, reason(failure.kind), &message, at)
    }

    fn problem(&self, item: &ResolvedItem, met: Reason, message: &str, at: Timestamp) -> Problem {
        let since = self
            .previous(item)
            .and_then(|previous| previous.problem.as_ref())
            .filter(|problem| problem.outcome == met)
            .map_or(at, |problem| problem.since);
        Problem {
            outcome: met.within(Reason::OF_AN_ATTEMPT),
            since,
            message: message.into(),
        }
    }
}
