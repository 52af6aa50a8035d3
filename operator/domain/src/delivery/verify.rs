//! Verify: desired against observed, item by item. A thing is done only when it was read back.
//!
//! Reads what this pass heard, else what the status last proved. Never sends anything. Called
//! after resolve in every round.

use std::collections::BTreeMap;

use entente_crds::{
    condition::Reason,
    v1alpha1::{
        Device, Item, ItemState, Outcome, Problem, ServiceSubscription, StepType, TakesEffect,
    },
};
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::Value as Json;

use super::{
    Facts, ResolvedDevice, ResolvedSubscription, World,
    digest::digest,
    facts::Reading,
    resolve::{Blocked, ResolvedItem, Wanted},
};
use crate::{
    assessment::{outcome, reason_of_failure},
    exchange::{DeviceReading, Failure, InstanceReading, Scalar, Value},
};

/// What is proved of one subscription.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verified {
    /// Every item in the order of the steps.
    pub items: Vec<VerifiedItem>,
    /// What keeps the device from being read or written, as far as this pass knows.
    pub device_fault: Option<Blocked>,
    /// What keeps the service server from being read or written, as far as this pass knows.
    pub server_fault: Option<Blocked>,
}

/// What is proved of one item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifiedItem {
    /// What it is.
    pub key: String,
    /// Its step.
    pub step: StepType,
    /// What was last proved.
    pub state: ItemState,
    /// A digest of the value that is wanted.
    pub desired_digest: String,
    /// A digest of the value that was read.
    pub observed_digest: Option<String>,
    /// When the state was proved.
    pub verified_at: Option<Timestamp>,
    /// What the last attempt met.
    pub problem: Option<Problem>,
}

impl Verified {
    /// Whether every item was read back as wanted.
    pub fn is_effective(&self) -> bool {
        self.items.iter().all(|item| item.state == ItemState::Effective)
    }

    /// When the last item was read back as wanted; `None` while one is not (D3).
    pub fn completed_at(&self) -> Option<Timestamp> {
        self.is_effective()
            .then(|| self.items.iter().filter_map(|item| item.verified_at).max())
            .flatten()
    }

    /// The items of one step.
    pub fn of_step(&self, step: StepType) -> impl Iterator<Item = &VerifiedItem> {
        self.items.iter().filter(move |item| item.step == step)
    }

    /// One item.
    pub fn item(&self, key: &str) -> Option<&VerifiedItem> {
        self.items.iter().find(|item| item.key == key)
    }
}

/// What is proved of every subscription, by name.
pub fn verify(
    world: &World,
    resolved: &ResolvedDevice,
    facts: &Facts,
    now: Timestamp,
) -> BTreeMap<String, Verified> {
    let identity = identity_fault(world, facts);
    resolved
        .subscriptions
        .iter()
        .map(|subscription| {
            let object =
                world.subscriptions.iter().find(|object| object.name_any() == subscription.name);
            let round = Round { world, resolved, facts, subscription, object, now };
            (subscription.name.clone(), round.verify(identity.clone()))
        })
        .collect()
}

/// Whether the device that answered is another one than it should be. Nothing is written then.
pub(super) fn identity_fault(world: &World, facts: &Facts) -> Option<Blocked> {
    let (device, model) = (world.device.as_ref()?, world.model.as_ref()?);
    let reading = facts.device.as_ref()?.result.as_ref().ok()?;
    let mismatch = |message: String| Some(Blocked::new(Reason::IdentityMismatch, message));
    let Some(product) = &reading.product_name else {
        return mismatch("the device does not say which product it is".to_owned());
    };
    if !model.spec.product_names.contains(product) {
        return mismatch(format!(
            "the device says it is a {product}, which is none of the product names of the \
             DeviceModel {}",
            device.spec.model_ref.name
        ));
    }
    let pinned = pinned_identity(device)?;
    if reading.identity.as_deref() == Some(pinned) {
        return None;
    }
    mismatch(
        "another device answers at this address than before; for a new machine change \
         spec.serialNumber"
            .to_owned(),
    )
}

/// The identity seen first, as long as the serial number is the same.
pub(super) fn pinned_identity(device: &Device) -> Option<&str> {
    let identity = device.status.as_ref()?.identity.as_ref()?;
    (identity.serial_number == device.spec.serial_number).then_some(identity.id.as_deref()?)
}

struct Round<'a> {
    world: &'a World,
    resolved: &'a ResolvedDevice,
    facts: &'a Facts,
    subscription: &'a ResolvedSubscription,
    object: Option<&'a ServiceSubscription>,
    now: Timestamp,
}

impl Round<'_> {
    fn verify(&self, identity: Option<Blocked>) -> Verified {
        let device_trusted = identity.is_none();
        let items = self
            .subscription
            .items()
            .map(|(step, item)| self.item(step.r#type, item, device_trusted))
            .collect();
        Verified {
            items,
            device_fault: identity.or_else(|| self.device_failure()),
            server_fault: self.server_failure(),
        }
    }

    fn device_failure(&self) -> Option<Blocked> {
        let failure = self.facts.device.as_ref()?.result.as_ref().err()?;
        Some(Blocked::new(
            reason_of_failure(failure.kind),
            format!("the device {}: {}", self.world.device_name, failure.message),
        ))
    }

    fn server_failure(&self) -> Option<Blocked> {
        let server = self.subscription.server.as_ref()?;
        let name = &self.subscription.name;
        let reading = self.facts.servers.get(name).and_then(|reading| reading.result.as_ref().err());
        let failure = reading
            .or_else(|| self.facts.server_problems.get(name).map(|(_, failure)| failure))
            .or_else(|| {
                self.facts.catalogue_problems.get(&server.connection).map(|(_, failure)| failure)
            })?;
        Some(Blocked::new(
            reason_of_failure(failure.kind),
            format!("the service server behind {}: {}", server.connection, failure.message),
        ))
    }

    fn item(&self, step: StepType, item: &ResolvedItem, device_trusted: bool) -> VerifiedItem {
        let mut verified = match &item.wanted {
            Wanted::DeviceSetting { attribute, value, takes_effect, .. } => {
                match (&self.facts.device, device_trusted) {
                    (Some(Reading { at, result: Ok(reading) }), true) => self.device_setting(
                        step,
                        item,
                        (attribute, value, *takes_effect),
                        (*at, reading),
                    ),
                    (Some(Reading { result: Err(failure), .. }), _) => {
                        self.unread(step, item, Some(failure))
                    }
                    _ => self.unread(step, item, None),
                }
            }
            Wanted::ServerInstance | Wanted::ServerSetting { .. } | Wanted::Activation { .. } => {
                match self.facts.servers.get(&self.subscription.name) {
                    Some(Reading { at, result: Ok(reading) }) => {
                        self.server_item(step, item, *at, reading)
                    }
                    Some(Reading { result: Err(failure), .. }) => {
                        self.unread(step, item, Some(failure))
                    }
                    None => self.unread(step, item, None),
                }
            }
        };
        self.keep_proof_time(&mut verified);
        verified
    }

    fn device_setting(
        &self,
        step: StepType,
        item: &ResolvedItem,
        (attribute, value, takes_effect): (&str, &Value, TakesEffect),
        (at, reading): (Timestamp, &DeviceReading),
    ) -> VerifiedItem {
        let observed = reading.attributes.get(attribute);
        let equal = observed.is_some_and(|observed| is_equal(value, observed));
        let restart = takes_effect == TakesEffect::AfterRestart;
        self.read(step, item, at, observed.map(digest), equal, restart)
    }

    fn server_item(
        &self,
        step: StepType,
        item: &ResolvedItem,
        at: Timestamp,
        reading: &InstanceReading,
    ) -> VerifiedItem {
        match reading {
            InstanceReading::Present { service_id, plan_id, parameters } => match &item.wanted {
                Wanted::ServerInstance => {
                    let equal = self.is_our_offering(service_id.as_ref(), plan_id.as_ref());
                    self.read(step, item, at, Some(digest(&(service_id, plan_id))), equal, false)
                }
                Wanted::ServerSetting { pointer, value }
                | Wanted::Activation { pointer, active: value } => {
                    let found = parameters.as_ref().and_then(|parameters| at_pointer(parameters, pointer));
                    match found {
                        Some(found) => self.read(
                            step,
                            item,
                            at,
                            Some(digest(found)),
                            is_same_json(value, found),
                            false,
                        ),
                        None if self.was_sent(item) => self.not_verifiable(step, item, at),
                        None => self.read(step, item, at, None, false, false),
                    }
                }
                Wanted::DeviceSetting { .. } => self.unread(step, item, None),
            },
            InstanceReading::Absent => {
                let mut verified = self.read(step, item, at, None, false, false);
                let under_way = self
                    .facts
                    .handles
                    .get(&self.subscription.name)
                    .and_then(|handle| handle.operation.as_ref())
                    .is_some_and(|operation| !operation.doubtful);
                if under_way {
                    verified.state = ItemState::InProgress;
                    verified.problem = None;
                }
                verified
            }
            InstanceReading::NotRetrievable if self.was_sent(item) => {
                self.not_verifiable(step, item, at)
            }
            InstanceReading::NotRetrievable => self.read(step, item, at, None, false, false),
        }
    }

    fn is_our_offering(&self, service_id: Option<&String>, plan_id: Option<&String>) -> bool {
        let offering = self.subscription.server.as_ref().and_then(|server| server.offering.as_ref());
        offering.is_some_and(|offering| {
            service_id.is_none_or(|id| *id == offering.service_id)
                && plan_id.is_none_or(|id| *id == offering.plan_id)
        })
    }

    /// Whether the value that is wanted was sent and taken, in this pass or before.
    fn was_sent(&self, item: &ResolvedItem) -> bool {
        if self.sent_now(item).is_some_and(|sent| sent.is_ok()) {
            return true;
        }
        self.previous(item).is_some_and(|previous| previous.last_sent.is_some())
    }

    /// What was answered when this very value was sent in this pass.
    fn sent_now(&self, item: &ResolvedItem) -> Option<Result<(), &Failure>> {
        let sent = self.facts.sent.get(&(self.subscription.name.clone(), item.key.clone()))?;
        (sent.digest == item.digest).then(|| sent.result.as_ref().map(|()| ()))
    }

    /// The item was read: it is what is wanted, or not.
    fn read(
        &self,
        step: StepType,
        item: &ResolvedItem,
        at: Timestamp,
        observed_digest: Option<String>,
        equal: bool,
        restart: bool,
    ) -> VerifiedItem {
        let (state, problem) = if equal {
            (ItemState::Effective, None)
        } else {
            self.not_effective(item, at, restart)
        };
        VerifiedItem {
            key: item.key.clone(),
            step,
            state,
            desired_digest: item.digest.clone(),
            observed_digest,
            verified_at: Some(at),
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
                    Outcome::AcceptedNotEffective,
                    format!("{} was accepted and is not in effect", item.key),
                    at,
                )),
            ),
            Some(Err(failure)) => (ItemState::NotEffective, Some(self.failed(item, failure, at))),
            None if restart && previous.is_some_and(|p| p.state == ItemState::AwaitingRestart) => {
                (ItemState::AwaitingRestart, None)
            }
            None => (
                ItemState::NotEffective,
                previous.and_then(|previous| previous.problem.clone()),
            ),
        }
    }

    fn not_verifiable(&self, step: StepType, item: &ResolvedItem, at: Timestamp) -> VerifiedItem {
        VerifiedItem {
            key: item.key.clone(),
            step,
            state: ItemState::Unknown,
            desired_digest: item.digest.clone(),
            observed_digest: None,
            verified_at: Some(at),
            problem: Some(self.problem(
                item,
                Outcome::NotVerifiable,
                format!("{} was accepted and the service server does not tell it", item.key),
                at,
            )),
        }
    }

    /// The item was not read in this pass: what the status proved holds, where it is about this.
    fn unread(&self, step: StepType, item: &ResolvedItem, failure: Option<&Failure>) -> VerifiedItem {
        let previous = self.previous(item);
        let state = previous.map_or(ItemState::Unknown, |previous| previous.state);
        let mut problem = previous.and_then(|previous| previous.problem.clone());
        if let Some(Err(failure)) = self.sent_now(item) {
            problem = Some(self.failed(item, failure, self.now));
        }
        if let Some(failure) = failure {
            // Losing contact with what is Effective changes the device's Online, nothing else.
            problem = (state != ItemState::Effective)
                .then(|| self.failed(item, failure, self.now));
        }
        VerifiedItem {
            key: item.key.clone(),
            step,
            state,
            desired_digest: item.digest.clone(),
            observed_digest: previous.and_then(|previous| previous.observed_digest.clone()),
            verified_at: previous.and_then(|previous| previous.last_verified),
            problem,
        }
    }

    /// What the status says of this item, where it wants the same value of the same target.
    fn previous(&self, item: &ResolvedItem) -> Option<&Item> {
        let status = self.object?.status.as_ref()?;
        let previous = status.items.iter().find(|previous| previous.key == item.key)?;
        let same_value = previous.desired_digest.as_deref() == Some(&item.digest);
        let same_target = match item.wanted {
            Wanted::DeviceSetting { .. } => self.same_device(status.evidence.as_ref()),
            _ => true,
        };
        (same_value && same_target).then_some(previous)
    }

    fn same_device(&self, evidence: Option<&entente_crds::v1alpha1::Evidence>) -> bool {
        let (Some(evidence), Some(device), Ok(endpoint)) =
            (evidence, &self.world.device, &self.resolved.endpoint)
        else {
            return false;
        };
        Some(&evidence.device_uid) == device.metadata.uid.as_ref()
            && evidence.target_digest == endpoint.target_digest
    }

    fn failed(&self, item: &ResolvedItem, failure: &Failure, at: Timestamp) -> Problem {
        let message = format!("{}: {}", item.key, failure.message);
        self.problem(item, outcome(failure.kind), message, at)
    }

    fn problem(&self, item: &ResolvedItem, met: Outcome, message: String, at: Timestamp) -> Problem {
        let since = self
            .previous(item)
            .and_then(|previous| previous.problem.as_ref())
            .filter(|problem| problem.outcome == met)
            .map_or(at, |problem| problem.since);
        Problem { outcome: met, since, message: message.chars().take(1024).collect() }
    }

    /// A proof that says the same again keeps its instant, so that an equal status is not written.
    fn keep_proof_time(&self, verified: &mut VerifiedItem) {
        let previous = self
            .object
            .and_then(|object| object.status.as_ref())
            .and_then(|status| status.items.iter().find(|item| item.key == verified.key));
        let Some(previous) = previous else { return };
        if previous.state == verified.state
            && previous.desired_digest.as_deref() == Some(&verified.desired_digest)
            && previous.observed_digest == verified.observed_digest
            && previous.last_verified.is_some()
        {
            verified.verified_at = previous.last_verified;
        }
    }
}

fn is_equal(wanted: &Value, observed: &[Scalar]) -> bool {
    match wanted {
        Value::Text(text) => matches!(observed, [Scalar::Text(found)] if found == text),
        Value::Integer(number) => matches!(observed, [Scalar::Integer(found)] if found == number),
        Value::Boolean(truth) => matches!(observed, [Scalar::Boolean(found)] if found == truth),
        Value::Words(words) => {
            let found: Option<std::collections::BTreeSet<&String>> = observed
                .iter()
                .map(|scalar| match scalar {
                    Scalar::Text(word) => Some(word),
                    _ => None,
                })
                .collect();
            found.is_some_and(|found| found.into_iter().eq(words.iter()))
        }
    }
}

fn at_pointer<'a>(parameters: &'a serde_json::Map<String, Json>, pointer: &str) -> Option<&'a Json> {
    let mut tokens = pointer
        .split('/')
        .skip(1)
        .map(|token| token.replace("~1", "/").replace("~0", "~"));
    let first = parameters.get(&tokens.next()?)?;
    tokens.try_fold(first, |value, token| value.get(token))
}

/// JSON equality, with arrays as sets: lists of words have no order.
fn is_same_json(wanted: &Json, found: &Json) -> bool {
    match (wanted, found) {
        (Json::Array(wanted), Json::Array(found)) => {
            let sorted = |values: &[Json]| {
                let mut texts: Vec<String> = values.iter().map(Json::to_string).collect();
                texts.sort();
                texts
            };
            sorted(wanted) == sorted(found)
        }
        (wanted, found) => wanted == found,
    }
}
