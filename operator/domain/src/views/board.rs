//! The board: what begins soon and is at risk, what is late and why, what is owed, and which devices
//! made contracts late, in one answer.
//!
//! Puts the other views side by side, for one namespace or customer if that is asked; each decides for
//! itself. What a viewer may not see must be left out of the objects before.

use std::collections::BTreeSet;
use std::ops::Deref;

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{Cause, Compensation, Contract, ServiceSubscription};
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;

use super::contracts::{ContractRow, contract_rows};
use super::late_services::{LateService, late_services};
use super::lateness::{LateDevice, LatenessFilter, late_devices};
use super::owed::{OwedFilter, OwedView, owed};
use super::starts::{StartRow, starts};
use crate::condition::{Status, find};

/// Objects that a viewer may see, each kind in no order.
#[derive(Clone, Debug, Default)]
pub struct BoardObjects<C, S, R> {
    /// Contracts.
    pub contracts: Vec<C>,
    /// Their subscriptions.
    pub subscriptions: Vec<S>,
    /// The compensations.
    pub compensations: Vec<R>,
}

/// Part of the contracts that is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BoardFilter {
    /// Namespace; `None`: all.
    pub namespace: Option<String>,
    /// Id of the customer; `None`: all.
    pub customer: Option<String>,
    /// Time within which a contract begins soon.
    pub within: SignedDuration,
    /// Time back from now in which promises count that devices made late.
    pub back: SignedDuration,
}

/// Answers of the board.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// Namespaces of all objects that the viewer may see, whatever is asked.
    pub namespaces: BTreeSet<String>,
    /// Ids of all customers of these, whatever is asked.
    pub customers: BTreeSet<String>,
    /// Namespace and name of each contract that is looked at.
    pub names: BTreeSet<(String, String)>,
    /// Contracts that are refused, or an edit of which is: nothing of what is refused will happen.
    pub refused: Vec<ContractRow>,
    /// Contracts that begin soon: those at risk first, then by their start.
    pub starts: Vec<StartRow>,
    /// Services that were promised and do not work.
    pub late: Vec<LateService>,
    /// Debts, without the sums that are nothing.
    pub owed: OwedView,
    /// Devices that made promises late, as the side that caused it.
    pub devices: Vec<LateDevice>,
}

impl Board {
    /// Returns the number of contracts that begin soon and are at risk.
    pub fn at_risk(&self) -> usize {
        self.starts.iter().filter(|row| row.at_risk).count()
    }
}

/// Returns the board at an instant.
pub fn board<C, S, R>(
    objects: &BoardObjects<C, S, R>,
    filter: &BoardFilter,
    now: Timestamp,
) -> Board
where
    C: Deref<Target = Contract>,
    S: Deref<Target = ServiceSubscription>,
    R: Deref<Target = Compensation>,
{
    let is_asked = |namespace: &Option<String>, customer: &str| {
        let is = |asked: &Option<String>, found| asked.as_deref().is_none_or(|it| it == found);
        is(&filter.namespace, namespace.as_deref().unwrap_or_default())
            && is(&filter.customer, customer)
    };
    let contracts = || objects.contracts.iter().map(Deref::deref);
    let subscriptions = || objects.subscriptions.iter().map(Deref::deref);
    let records = || objects.compensations.iter().map(Deref::deref);
    let seen = contracts().map(|it| (&it.metadata.namespace, &it.spec.customer.id));
    let seen = seen.chain(subscriptions().map(|it| (&it.metadata.namespace, &it.spec.customer.id)));
    let of_record = records().map(|it| (&it.metadata.namespace, &it.spec.record.customer.id));
    let (namespaces, customers): (BTreeSet<&Option<String>>, BTreeSet<&String>) =
        seen.chain(of_record).unzip();
    let asked: Vec<&Contract> = contracts()
        .filter(|it| is_asked(&it.metadata.namespace, &it.spec.customer.id))
        .collect();
    let asked_subscriptions =
        || subscriptions().filter(|it| is_asked(&it.metadata.namespace, &it.spec.customer.id));
    let asked_records =
        || records().filter(|it| is_asked(&it.metadata.namespace, &it.spec.record.customer.id));
    let mut starts = starts(asked.iter().copied(), filter.within, now);
    // Stable: each half stays in the order of its starts.
    starts.sort_by_key(|row| !row.at_risk);
    let made_late = LatenessFilter {
        since: now.checked_sub(filter.back).ok(),
        cause: Some(Cause::Device),
        ..LatenessFilter::default()
    };
    let is_refused = |contract: &&Contract| {
        let status = contract.status.as_ref();
        let accepted = status.and_then(|it| find(&it.conditions, ConditionType::Accepted));
        accepted.is_some_and(|it| it.status == Status::False.as_str())
    };
    let name = |it: &&Contract| {
        let meta = &it.metadata;
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        (part(&meta.namespace), part(&meta.name))
    };
    Board {
        names: asked.iter().map(name).collect(),
        refused: contract_rows(asked.iter().copied().filter(is_refused)),
        namespaces: namespaces.into_iter().flatten().cloned().collect(),
        customers: customers.into_iter().cloned().collect(),
        starts,
        late: late_services(asked_subscriptions(), now),
        owed: debts(asked_records(), now),
        devices: late_devices(asked_subscriptions(), asked_records(), &made_late, now),
    }
}

/// Returns the debts, without the sums that are nothing and the currencies in which nothing else is.
fn debts<'a>(records: impl IntoIterator<Item = &'a Compensation>, now: Timestamp) -> OwedView {
    let mut debts = owed(records, &OwedFilter::default(), now);
    let OwedView { sums, totals, .. } = &mut debts;
    sums.retain(|sum| sum.total.parse() != Ok(Decimal::ZERO));
    totals.retain(|total| sums.iter().any(|sum| sum.currency == total.currency));
    debts
}
