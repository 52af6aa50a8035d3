//! Resolve, server side: the offering and plan of an instance in a broker's catalog.
//!
//! Decides that an instance stays bound to the ids it was made with. Names are what people write
//! and a broker may put other ids behind them, by renaming or by mistake; that must never remove
//! what a customer has. Only an edit of the SmartService makes another instance.

use entente_crds::{
    condition::Reason,
    v1alpha1::{ServerInstance, ServerSide},
};
use jiff::SignedDuration;

use crate::{
    bounded::{cut, token},
    delivery::{Blocked, observations::record::may_exist},
    listing::some_of,
    remote::{Catalog, Offering, Plan},
};

/// Time for which an operation is polled if the broker's plan has no limit.
const DEFAULT_MAXIMUM_POLLING: SignedDuration = SignedDuration::from_hours(1);

/// The largest number of characters of a plan's name in a status (its schema).
const MOST_NAME: usize = 127;

/// Number of names of a catalog that a message shows, and the most characters of each.
const NAMES_SHOWN: usize = 5;
const MOST_SHOWN: usize = 64;

/// Offering and plan of an instance in a broker's catalog.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolvedOffering {
    /// The offering's id.
    pub service_id: String,
    /// The plan's id.
    pub plan_id: String,
    /// True if the instance can be fetched.
    pub retrievable: bool,
    /// Time for which an operation is polled.
    pub maximum_polling: SignedDuration,
    /// The version of the plan, if the catalog has one.
    pub maintenance_version: Option<String>,
}

impl ResolvedOffering {
    fn new(offering: &Offering, plan: &Plan) -> Self {
        Self {
            service_id: offering.id.clone(),
            plan_id: plan.id.clone(),
            retrievable: offering.instances_retrievable,
            maximum_polling: plan
                .maximum_polling_duration
                .unwrap_or(DEFAULT_MAXIMUM_POLLING),
            maintenance_version: plan.maintenance_version.clone(),
        }
    }
}

/// Returns the offering and plan behind the names of a service in the catalog, or the reason why
/// the existing instance, if any, must not become that.
pub(in crate::delivery) fn find_offering(
    catalog: &Catalog,
    side: &ServerSide,
    recorded: Option<&ServerInstance>,
) -> Result<ResolvedOffering, Blocked> {
    let recorded = recorded.filter(|recorded| may_exist(recorded));
    let connection = &side.connection_ref.name;
    let offering = one(
        catalog.offerings.iter(),
        |offering| offering.name == side.offering,
        |offering| recorded.is_some_and(|recorded| recorded.service_id == offering.id),
    )
    .map_err(|found| {
        let has = catalog.offerings.iter().map(Offering::shown_name);
        let found = entries(&found, &side.offering, |offering| &offering.id, has);
        let what = format!("the catalog behind {connection} has {found}");
        not_found(&what, renamed(catalog, recorded))
    })?;
    let plan = one(
        offering.plans.iter(),
        |plan| plan.name == side.plan,
        |plan| recorded.is_some_and(|recorded| recorded.plan_id == plan.id),
    )
    .map_err(|found| {
        let has = offering.plans.iter().map(Plan::shown_name);
        let found = entries(&found, &side.plan, |plan| &plan.id, has);
        let offering = &side.offering;
        let what = format!("the offering {offering} behind {connection} has {found}");
        not_found(&what, None)
    })?;
    let obstacle = recorded.and_then(|recorded| {
        moved(recorded, side, offering, plan).or_else(|| fixed(recorded, side, offering, plan))
    });
    obstacle.map_or_else(|| Ok(ResolvedOffering::new(offering, plan)), Err)
}

/// Returns a sentence about the name of a service's offering or plan that a catalog lacks, where no
/// instance exists.
pub fn missing_offering(catalog: &Catalog, side: &ServerSide) -> Option<String> {
    let blocked = find_offering(catalog, side, None).err()?;
    (blocked.reason == Reason::OfferingNotFound).then_some(blocked.message)
}

/// Returns the only entry of a name; of several, the one that the instance was made of. The error
/// is all of them.
fn one<'a, T>(
    entries: impl Iterator<Item = &'a T>,
    is_named: impl Fn(&T) -> bool,
    is_bound: impl Fn(&T) -> bool,
) -> Result<&'a T, Vec<&'a T>> {
    let named: Vec<&T> = entries.filter(|entry| is_named(entry)).collect();
    match named.as_slice() {
        [entry] => Ok(entry),
        several => {
            let bound = several.iter().find(|entry| is_bound(entry)).copied();
            bound.ok_or(named)
        }
    }
}

/// Returns the entries of a name in words, with their ids; if there is none, the names that there
/// are.
fn entries<'a, T>(
    found: &[&T],
    name: &str,
    id: impl Fn(&T) -> &String,
    has: impl Iterator<Item = &'a str>,
) -> String {
    if found.is_empty() {
        let has = some_of(
            has.map(|name| cut(name.to_owned(), MOST_SHOWN)),
            NAMES_SHOWN,
        );
        let has = if has.is_empty() { "none" } else { &has };
        return format!("nothing named {name} (it has {has})");
    }
    let ids: Vec<&str> = found.iter().map(|entry| id(entry).as_str()).collect();
    let ids = ids.join(" and ");
    format!("{} entries named {name}: {ids}", found.len())
}

fn not_found(what: &str, hint: Option<String>) -> Blocked {
    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    Blocked::new(Reason::OfferingNotFound, format!("{what}{hint}"))
}

/// Returns a sentence with the name that the catalog now has for the instance's offering, if it has
/// it.
fn renamed(catalog: &Catalog, recorded: Option<&ServerInstance>) -> Option<String> {
    let id = &recorded?.service_id;
    let mut offerings = catalog.offerings.iter();
    let found = offerings.find(|offering| offering.id == *id)?;
    let name = found.shown_name();
    Some(format!(
        "the offering of the instance ({id}) is named {name} there"
    ))
}

/// Returns an obstacle if the catalog now has other ids behind the names with which an instance was
/// made.
fn moved(
    recorded: &ServerInstance,
    side: &ServerSide,
    offering: &Offering,
    plan: &Plan,
) -> Option<Blocked> {
    let connection = &side.connection_ref.name;
    let fault = |what: &str, name: &str, now: &str, then: &str| {
        Blocked::new(
            Reason::OfferingChanged,
            format!(
                "the catalog behind {connection} has the id {now} for the {what} {name}, and the \
                 instance was made with {then}: nothing is sent to it until the catalog or the \
                 SmartService is corrected"
            ),
        )
    };
    // If the name with which it was made is not known, only its id can be trusted.
    let same_offering = recorded
        .offering
        .as_ref()
        .is_none_or(|it| *it == side.offering);
    if same_offering && recorded.service_id != offering.id {
        return Some(fault(
            "offering",
            &side.offering,
            &offering.id,
            &recorded.service_id,
        ));
    }
    let same_plan = recorded.plan.as_ref().is_none_or(|it| *it == side.plan);
    if same_offering && same_plan && recorded.plan_id != plan.id {
        return Some(fault("plan", &side.plan, &plan.id, &recorded.plan_id));
    }
    None
}

/// Returns an obstacle if another plan is wanted for an instance than it has, and the broker lets no
/// instance be moved away from that (OSB `plan_updateable`).
fn fixed(
    recorded: &ServerInstance,
    side: &ServerSide,
    offering: &Offering,
    plan: &Plan,
) -> Option<Blocked> {
    if recorded.service_id != offering.id || recorded.plan_id == plan.id {
        return None;
    }
    let mut plans = offering.plans.iter();
    let has = plans.find(|plan| plan.id == recorded.plan_id)?;
    let (connection, offering) = (&side.connection_ref.name, &side.offering);
    (!has.updateable).then(|| {
        Blocked::new(
            Reason::UnsupportedValue,
            format!(
                "the plan {} of the offering {offering} behind {connection} cannot be changed to \
                 {}, says the catalog (plan_updateable); name {} again, or make another service of \
                 the other plan",
                has.shown_name(),
                side.plan,
                has.shown_name()
            ),
        )
    })
}

/// Returns the catalog's name of a plan, or its id where the catalog has no such plan.
pub(in crate::delivery) fn plan_name(
    catalog: Option<&Catalog>,
    service_id: &str,
    plan_id: &str,
) -> String {
    let offerings = catalog.into_iter().flat_map(|catalog| &catalog.offerings);
    let mut plans = offerings
        .filter(|offering| offering.id == service_id)
        .flat_map(|offering| &offering.plans);
    let plan = plans.find(|plan| plan.id == plan_id);
    token(plan.map_or(plan_id, |plan| &plan.name), MOST_NAME)
}

/// Returns the offering of the instance in status, as far as the catalog is known.
pub(in crate::delivery) fn recorded_offering(
    catalog: Option<&Catalog>,
    recorded: &ServerInstance,
) -> ResolvedOffering {
    let offering = catalog.and_then(|catalog| {
        let mut offerings = catalog.offerings.iter();
        offerings.find(|offering| offering.id == recorded.service_id)
    });
    let plan = offering.and_then(|offering| {
        offering
            .plans
            .iter()
            .find(|plan| plan.id == recorded.plan_id)
    });
    ResolvedOffering {
        service_id: recorded.service_id.clone(),
        plan_id: recorded.plan_id.clone(),
        retrievable: offering.is_none_or(|offering| offering.instances_retrievable),
        maximum_polling: plan
            .and_then(|plan| plan.maximum_polling_duration)
            .unwrap_or(DEFAULT_MAXIMUM_POLLING),
        maintenance_version: plan.and_then(|plan| plan.maintenance_version.clone()),
    }
}
