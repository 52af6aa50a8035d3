//! Contract: the subscriptions of a contract, and its status (B1, B2).
//!
//! Decides the set of ServiceSubscriptions of one contract with their dated revisions, as the
//! contract and its amendments say, the writes that lead there, and the status of both. It must
//! never read a device or a server, and never change what has begun: entries that have begun are
//! append-only. Called by the contract controller: [`resolve`], then the writes of [`Changes`], then
//! [`report`]; [`next_wake`] returns the time of the next pass if no event comes first, and
//! [`next_date`] the same after a pass that ended early.

mod acceptance;
mod amendment;
mod amendment_conflict;
mod assessment;
mod bounds;
mod compensation_totals;
mod conditions;
mod device_sets;
mod exclusions;
mod fee_parts;
mod judged;
mod notice;
mod notices;
mod overlay;
mod overrides;
mod parameters;
mod parsed;
mod ready;
mod references;
mod report;
mod resolve;
mod revisions;
mod risk;
mod segments;
mod subscription_state;
mod subscription_view;
mod subscriptions;
mod succession;
mod terms;
mod timeline;
mod transitions;
mod wake;
mod written;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    Contract, ContractAmendment, ContractNotice, ContractService, ResolvedTerm,
    ServiceSubscription, ServiceSubscriptionSpec, SmartService, UpcomingChange,
};
use entente_crds::{
    FINALIZER_WITHDRAW, LABEL_CONTRACT, LABEL_CUSTOMER, LABEL_DEVICE, LABEL_MANAGED_BY,
    LABEL_SERVICE, MANAGED_BY,
};
use jiff::{SignedDuration, Timestamp};
use kube::Resource;

use crate::listing::some_of;

pub use amendment::{
    AcceptedAmendment, AmendmentVerdict, amendment_status, contract_not_found, not_written,
};
pub use notice::{notice_of_no_contract, notice_status};
pub use notices::{Awaited, NoticeVerdict};
pub(crate) use references::NOT_FOUND;
pub use report::{WriteOutcome, report};
pub use resolve::resolve;
pub use subscription_view::{SubscriptionView, view};
pub use succession::{ContractFacts, Kin, Predecessor, predecessor_of};
pub use wake::{next_date, next_wake};
pub use written::written;

/// The most names that a message lists before it says "and N more".
const NAMES_SHOWN: usize = 5;

/// The objects that a contract's subscriptions depend on.
#[derive(Clone, Debug)]
pub struct ContractWorld {
    /// The contract as it was read, with its last status.
    pub contract: Contract,
    /// The SmartServices that its entries name, those that exist.
    pub services: BTreeMap<String, Arc<SmartService>>,
    /// The Devices of its namespace, in any order.
    pub devices: Vec<DeviceFacts>,
    /// The ServiceSubscriptions of its namespace that carry its name, live and terminating, in any
    /// order; those of another contract of the same name as well.
    pub subscriptions: Vec<Arc<ServiceSubscription>>,
    /// The ContractAmendments of its namespace that name it, in any order.
    pub amendments: Vec<Arc<ContractAmendment>>,
    /// The ContractNotices of its namespace that name it, in any order.
    pub notices: Vec<Arc<ContractNotice>>,
    /// Time by which the local clock is ahead of that of the API server, or behind if negative, if
    /// that is too much.
    pub clock_skew: Option<SignedDuration>,
    /// The SmartServices that its entries name and that cannot be read. One of which there is no older
    /// version is not among `services`.
    pub unreadable_services: BTreeSet<String>,
    /// The ContractAmendments of its namespace that cannot be read and of which there is no older
    /// version: each may be of this contract.
    pub unreadable_amendments: BTreeSet<String>,
    /// Names of subscriptions of this very contract that exist and cannot be read; none of them is
    /// among `subscriptions`.
    pub unreadable: BTreeSet<String>,
    /// True if a Compensation of this contract cannot be read, so that what is owed is not known.
    pub unreadable_record: bool,
    /// Names of subscriptions whose deletion was seen although the operator had not requested it.
    pub recreated: BTreeSet<String>,
    /// The contracts before and after it, with their subscriptions.
    pub kin: Kin,
}

impl ContractWorld {
    /// Returns the subscriptions of this very contract, live and terminating.
    fn own(&self) -> impl Iterator<Item = &ServiceSubscription> {
        let all = self.subscriptions.iter().map(|found| &**found);
        all.filter(|found| is_own(&self.contract, found))
    }

    /// Returns those of one of its entries.
    fn of_entry<'a>(
        &'a self,
        entry: &ContractService,
    ) -> impl Iterator<Item = &'a ServiceSubscription> {
        self.own()
            .filter(|found| found.spec.service_name == entry.name)
    }
}

/// The part of a Device on which its membership in a contract depends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceFacts {
    /// Its name.
    pub name: String,
    /// Its labels, which selectors match.
    pub labels: BTreeMap<String, String>,
    /// Its creationTimestamp: a device that existed before the set was complete belongs to the
    /// start.
    pub created: Timestamp,
}

/// A fault of a spec, as the reason and message of a condition.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Fault {
    /// The reason of the condition.
    pub reason: Reason,
    /// One sentence with the value found and the values allowed.
    pub message: String,
}

/// A device on which an entry cannot be carried out, because of labels: that is no fault of the
/// spec, and the other devices go on.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Exception {
    /// The device.
    pub device: String,
    /// The entry that does not get it, or not with the values of today.
    pub service: String,
    /// The two that want it.
    pub cause: ExceptionCause,
}

/// The cause of an [`Exception`].
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ExceptionCause {
    /// The earlier entry of the same service that has the device (DuplicateService).
    TakenBy(String),
    /// Two overrides that set one parameter differently (OverridesConflict). The subscription keeps
    /// its last revision; one that does not exist is not made.
    Overrides(OverridesConflict),
}

impl ExceptionCause {
    fn reason(&self) -> Reason {
        match self {
            Self::TakenBy(_) => Reason::DuplicateService,
            Self::Overrides(_) => Reason::OverridesConflict,
        }
    }
}

/// Two overrides of an entry that set a parameter of one device to different values.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct OverridesConflict {
    /// The parameter.
    pub parameter: String,
    /// The override that comes first in the spec.
    pub first: String,
    /// The other one.
    pub second: String,
}

/// The number of devices of an entry, beside the expected one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryDevices {
    /// The entry.
    pub service: String,
    /// The number of its devices.
    pub devices: usize,
    /// The number in `devices.expect`, where the entry has it.
    pub expected: Option<usize>,
}

impl EntryDevices {
    /// True if the entry expects another number of devices.
    pub fn is_mismatch(&self) -> bool {
        self.expected
            .is_some_and(|expected| expected != self.devices)
    }

    /// True if there is no device and the entry does not expect that.
    pub fn is_empty(&self) -> bool {
        self.devices == 0 && self.expected.is_none()
    }
}

/// A subscription as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredSubscription {
    /// Its name: `<contract>.<service>.<device>`.
    pub name: String,
    /// Its spec.
    pub spec: ServiceSubscriptionSpec,
}

impl DesiredSubscription {
    /// Returns the whole object to be POSTed: namespace, labels, controller reference and finalizer
    /// included.
    pub fn object(&self, contract: &Contract) -> ServiceSubscription {
        let mut object = ServiceSubscription::new(&self.name, self.spec.clone());
        object
            .metadata
            .namespace
            .clone_from(&contract.metadata.namespace);
        self.adopt(contract, &mut object);
        object
    }

    /// Makes an object that of a contract, with this spec. What others wrote of its metadata stays: other
    /// labels, finalizers and owners that control nothing.
    pub fn adopt(&self, contract: &Contract, object: &mut ServiceSubscription) {
        let metadata = &mut object.metadata;
        let own = labels(contract, &self.spec);
        metadata.labels.get_or_insert_default().extend(own);
        let owners = metadata.owner_references.get_or_insert_default();
        owners.retain(|owner| owner.controller != Some(true));
        owners.extend(contract.controller_owner_ref(&()));
        let finalizers = metadata.finalizers.get_or_insert_default();
        if finalizers.iter().all(|held| held != FINALIZER_WITHDRAW) {
            finalizers.push(FINALIZER_WITHDRAW.to_owned());
        }
        object.spec = self.spec.clone();
    }
}

fn labels(contract: &Contract, spec: &ServiceSubscriptionSpec) -> BTreeMap<String, String> {
    let labels = [
        (LABEL_MANAGED_BY, MANAGED_BY),
        (LABEL_CONTRACT, name_of(contract)),
        (LABEL_SERVICE, &spec.service_name),
        (LABEL_DEVICE, &spec.device_ref.name),
        (LABEL_CUSTOMER, &spec.customer.id),
    ];
    labels
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// An existing subscription, as a precondition of a write.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct SubscriptionHandle {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
}

impl SubscriptionHandle {
    fn of(subscription: &ServiceSubscription) -> Self {
        let metadata = &subscription.metadata;
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
        }
    }
}

/// A subscription whose spec is replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionUpdate {
    /// The subscription, as it was when the change was decided.
    pub handle: SubscriptionHandle,
    /// The new spec is that of this one.
    pub desired: Arc<DesiredSubscription>,
    /// True if the contract becomes its controller by this write.
    pub adopts: bool,
}

impl SubscriptionUpdate {
    fn new(
        contract: &Contract,
        live: &ServiceSubscription,
        desired: &Arc<DesiredSubscription>,
    ) -> Self {
        Self {
            handle: SubscriptionHandle::of(live),
            desired: Arc::clone(desired),
            adopts: is_adopted(contract, live),
        }
    }
}

/// The writes that lead from the existing subscriptions to the wanted ones, each sorted by name. A
/// subscription whose spec is as wanted is in none of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// To be POSTed.
    pub create: Vec<Arc<DesiredSubscription>>,
    /// To be PUT.
    pub update: Vec<SubscriptionUpdate>,
    /// To be deleted.
    pub delete: Vec<SubscriptionHandle>,
    /// Left as they are on purpose: their withdrawal comes from labels while the number of devices
    /// is not the expected one, or all their revisions are still needed.
    pub held: Vec<String>,
    /// Left as they are for a day: they came back from a backup and are not wanted.
    pub restored: Vec<String>,
    /// Wanted, but an object of that name has to be removed first: it is being deleted, or is
    /// another contract's. Or it cannot be read.
    pub waiting: Vec<String>,
}

impl Changes {
    /// Returns the names of the subscriptions that are to be deleted.
    fn deleted_names(&self) -> BTreeSet<&str> {
        let deleted = self.delete.iter();
        deleted.map(|handle| handle.name.as_str()).collect()
    }

    /// True if there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.create.is_empty() && self.update.is_empty() && self.delete.is_empty()
    }
}

/// A contract as it is wanted at `now`, with its faults.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedContract {
    /// The term as instants: that of the spec, or while it is not accepted that which was accepted
    /// before. `None` where neither can be had.
    pub term: Option<ResolvedTerm>,
    /// The instant from which the start is prepared: the start less the lead time.
    pub preparation: Option<Timestamp>,
    /// `Ok` if the spec is accepted; else every fault at once, sorted.
    pub accepted: Result<(), Vec<Fault>>,
    /// `Ok` if every SmartService was found and read; else one fault for each that was not, sorted.
    pub refs: Result<(), Vec<Fault>>,
    /// The number of devices of each entry, in the order of the entries.
    pub entries: Vec<EntryDevices>,
    /// Devices on which an entry cannot be carried out, sorted.
    pub exceptions: Vec<Exception>,
    /// True if the start has come and was not known before, so that it is not promised.
    pub start_is_unpromised: bool,
    /// Entries without a fee, with the FeeCredits of their SmartServices that owe nothing for it.
    pub without_fee: Vec<String>,
    /// The verdict on each amendment, by name.
    pub amendments: BTreeMap<String, AmendmentVerdict>,
    /// The verdict on each notice, by name.
    pub notices: BTreeMap<String, NoticeVerdict>,
    /// The dates of a contract whose start no notice has reported yet.
    pub awaited: Option<Awaited>,
    /// True if the contract was over before any notice has started it.
    pub never_began: bool,
    /// The next instant at which another stage begins, or something that is written or told.
    pub next_change: Option<Timestamp>,
    /// Changes by the amendments that lie ahead, the nearest first.
    pub upcoming: Vec<UpcomingChange>,
    /// Every wanted subscription, sorted by name. Empty while the contract is not accepted or is
    /// being deleted.
    pub desired: Vec<Arc<DesiredSubscription>>,
    /// The writes that lead to `desired`; none while the contract is not accepted.
    pub changes: Changes,
    /// True if the contract is being deleted and none of its subscriptions exists any more, one
    /// that cannot be read included.
    pub done: bool,
    /// The takeover of each subscription that another contract succeeds, by its name.
    pub succeeded: BTreeMap<String, Takeover>,
}

/// A contract takes a subscription over from the one that it succeeds.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Takeover {
    /// Start of the subscription that succeeds.
    pub at: Timestamp,
    /// Name of its contract.
    pub by: String,
}

impl ResolvedContract {
    /// True if there is no time in which the contract is in force, or none yet.
    fn has_no_term(&self) -> bool {
        self.never_began || (self.term.is_none() && self.awaited.is_some())
    }
}

fn name_of(contract: &Contract) -> &str {
    contract.metadata.name.as_deref().unwrap_or_default()
}

fn is_deleting(contract: &Contract) -> bool {
    contract.metadata.deletion_timestamp.is_some()
}

fn is_terminating(subscription: &ServiceSubscription) -> bool {
    subscription.metadata.deletion_timestamp.is_some()
}

/// True if a subscription is this contract's: it controls it, or adopts it now.
fn is_own(contract: &Contract, subscription: &ServiceSubscription) -> bool {
    is_controlled(contract, subscription) || is_adopted(contract, subscription)
}

/// True if the subscription's controller is this very contract, and not an earlier one of its name.
fn is_controlled(contract: &Contract, subscription: &ServiceSubscription) -> bool {
    let mut owners = subscription.metadata.owner_references.iter().flatten();
    owners.any(|owner| {
        owner.controller == Some(true) && Some(&owner.uid) == contract.metadata.uid.as_ref()
    })
}

/// True if a subscription is to be adopted: it was restored from a backup, so that it names the contract
/// and no object that exists controls it. One contract has a name at a time, so a controller of that
/// name and another uid is gone. One that is being deleted is let go.
fn is_adopted(contract: &Contract, subscription: &ServiceSubscription) -> bool {
    let mut owners = subscription.metadata.owner_references.iter().flatten();
    let controller = owners.find(|owner| owner.controller == Some(true));
    let is_gone = controller.is_none_or(|owner| {
        let is_contract = owner.kind == Contract::kind(&());
        is_contract
            && owner.name == name_of(contract)
            && Some(&owner.uid) != contract.metadata.uid.as_ref()
    });
    let spec = &subscription.spec;
    is_gone
        && !is_terminating(subscription)
        && !is_deleting(contract)
        && spec.contract.name == name_of(contract)
        && spec.customer.id == contract.spec.customer.id
}

/// Returns the fault of a value that cannot be used.
fn unsupported(message: String) -> Fault {
    Fault {
        reason: Reason::UnsupportedValue,
        message,
    }
}

/// Joins names as "a, b and 3 more", in the order given.
fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    some_of(names, NAMES_SHOWN)
}

/// Returns the reason of several faults: that of the first.
fn reason_of(faults: &[Fault]) -> Reason {
    let first = faults.first();
    first.map_or(Reason::Pending, |fault| fault.reason)
}

/// Joins several faults to one message.
fn joined(faults: &[Fault]) -> String {
    faults
        .iter()
        .map(|fault| fault.message.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}
