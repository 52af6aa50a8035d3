//! Reports of the catalogue kinds: Connection, DeviceModel, SmartService and MessageText.
//!
//! Decides conditions, the number of users, the orphans that a Connection takes over from
//! subscriptions, and when one of them is removed. Called by the catalogue controller, which probes brokers and reads Secrets.

mod message_text;
mod orphans;
mod removals;
mod service;
mod users;

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    bounded::Token,
    condition::{ConditionType, Reason},
    v1alpha1::{
        AgentEndpoint, Connection, ConnectionStatus, DeviceModel, DeviceModelStatus, IppSyntax,
        MAX_RECONCILE_AT, Protocol,
    },
};
use jiff::Timestamp;

use self::orphans::{MOST_NAMES, OrphanList};
pub use self::{
    message_text::{report_text, texts_that_count},
    orphans::{BrokerInstances, MOST_ORPHANS},
    removals::{MOST_ATTEMPTS, Removals, Turn, may_deprovision},
    service::{ObservedServer, report_service},
    users::Users,
};
use crate::{
    condition::{ConditionSet, Status, Summary, Work, find, is_allowed, without_words_of_attempts},
    listing::some_of,
    protocol::route,
    reasons::reason,
    remote::{Failure, FailureKind},
};

/// Reason and message of ResolvedRefs if no reference is missing.
pub(crate) const RESOLVED: (Reason, &str) = (
    Reason::Resolved,
    "Everything that is referred to was found.",
);

/// Observations of a Connection in one pass.
#[derive(Clone, Debug, Default)]
pub struct ObservedConnection {
    /// Fault of its Secret or of its authorities, which prevents its use.
    pub fault: Option<(Reason, String)>,
    /// Sentences about parts of its authorities that are left out.
    pub warnings: Vec<String>,
    /// Answer to the last probe; `None` if none was made.
    pub probe: Option<Result<(), Failure>>,
    /// True if new words alone are not reported yet: a broker may put others into each answer.
    pub keeps_words: bool,
    /// The wish with which it was probed, or would have been: the value of entente.dev/reconcile-at.
    pub wish: Option<Token<MAX_RECONCILE_AT>>,
    /// True if the broker was not asked, because it has asked for a wait that is not over.
    pub is_held_back: bool,
    /// Entries of the broker's catalog that cannot be used, as the last probe found them.
    pub odd: Vec<String>,
    /// Devices and subscriptions that use it.
    pub users: Users,
    /// The instances behind this connection.
    pub instances: BrokerInstances,
}

/// Returns the status of a Connection.
pub fn report_connection(
    connection: &Connection,
    observed: &ObservedConnection,
    now: Timestamp,
) -> ConnectionStatus {
    let previous = connection.status.clone().unwrap_or_default();
    let list = OrphanList::of(
        connection,
        previous.orphans.clone(),
        &observed.instances,
        now,
    );
    let generation = connection.metadata.generation;
    let mut set = ConditionSet::new(&previous.conditions, generation, now);
    set = references(set, observed);
    let failure = observed
        .probe
        .as_ref()
        .and_then(|probe| probe.as_ref().err());
    set = probed(set, observed, failure);
    let summary = connection_summary(connection, observed, &list);
    let observed_generation = summary.observed_generation(generation, previous.observed_generation);
    let mut conditions = summary.state(set).finish();
    let bare = without_words_of_attempts;
    if observed.keeps_words && bare(&conditions) == bare(&previous.conditions) {
        conditions = previous.conditions;
    }
    ConnectionStatus {
        observed_generation,
        conditions,
        used_by: Some(observed.users.count()),
        orphan_count: orphan_count(connection, &list),
        orphans: list.orphans,
        forgotten: list.forgotten,
        last_handled_reconcile_at: if observed.is_held_back {
            previous.last_handled_reconcile_at
        } else {
            observed.wish.clone()
        },
    }
}

/// Returns the status of a Connection after attempts to remove its orphans: all but these as it was.
pub fn report_orphans(
    connection: &Connection,
    instances: &BrokerInstances,
    removals: &Removals,
    now: Timestamp,
) -> ConnectionStatus {
    let previous = connection.status.clone().unwrap_or_default();
    let known = removals.told(previous.orphans.clone());
    let list = OrphanList::of(connection, known, instances, now);
    ConnectionStatus {
        orphan_count: orphan_count(connection, &list),
        orphans: list.orphans,
        forgotten: list.forgotten,
        ..previous
    }
}

/// Returns the number of orphans, of a Connection that can have some.
fn orphan_count(connection: &Connection, list: &OrphanList) -> Option<i64> {
    let is_broker = connection.spec.protocol == Protocol::OSB;
    (is_broker || !list.orphans.is_empty()).then(|| list.count())
}

/// States ResolvedRefs of a Connection. A fault of its own spec is not about a reference;
/// references are not looked up then. What is left out of something that was found is said beside.
fn references(set: ConditionSet, observed: &ObservedConnection) -> ConditionSet {
    let condition = ConditionType::ResolvedRefs;
    match observed.fault.as_ref() {
        None if !observed.warnings.is_empty() => {
            let warnings = observed.warnings.join("; ");
            let (reason, found) = RESOLVED;
            let message = format!("{found} But {warnings}.");
            set.with(condition, Status::True, reason, message)
        }
        Some((reason, _)) if !is_allowed(condition, *reason) => set.with(
            condition,
            Status::Unknown,
            Reason::Pending,
            "What it refers to is looked up once its spec can be used.",
        ),
        fault => set.with_fault(condition, fault.cloned(), RESOLVED),
    }
}

/// Returns the summary of a Connection, by the worst of what is outstanding.
fn connection_summary(
    connection: &Connection,
    observed: &ObservedConnection,
    list: &OrphanList,
) -> Summary {
    let summary = summary_of(connection, observed, &list.without_room);
    let summary = observed.users.or_wait(summary, connection);
    match list.warning() {
        Some(warning) => summary.and(&warning),
        None => summary,
    }
}

fn summary_of(
    connection: &Connection,
    observed: &ObservedConnection,
    without_room: &BTreeSet<String>,
) -> Summary {
    let retried = |reason, message: String| Summary::open(reason, message, Work::Retrying);
    let failure = observed
        .probe
        .as_ref()
        .and_then(|probe| probe.as_ref().err());
    if let Some((reason, message)) = &observed.fault {
        retried(*reason, message.clone())
    } else if !without_room.is_empty() {
        let namespaces = some_of(without_room.iter(), MOST_NAMES);
        let message = format!(
            "The list of orphans has no room for more of the namespaces {namespaces}; the message \
             of each says why it is there still."
        );
        retried(Reason::OrphansFull, message)
    } else if let Some(failure) = failure {
        let reason = known(ConditionType::Ready, reason(failure.kind));
        retried(reason, format!("The probe failed: {}.", failure.message))
    } else if connection.spec.protocol == Protocol::HTTP {
        let message = "Artifacts are fetched, data of devices are sent, settings are handed out and \
                       supplies are ordered through it, when there is need.";
        Summary::done(Reason::Succeeded, message)
    } else if route(&connection.spec).is_some() {
        let message = "Devices are reached one by one; see each Device.";
        Summary::done(Reason::PerDevice, message)
    } else if let Some(agent) = &connection.spec.agent {
        of_gateway(agent)
    } else if observed.probe.is_some() && observed.odd.is_empty() {
        Summary::done(Reason::Succeeded, "The last probe was answered.")
    } else if observed.probe.is_some() {
        let odd = observed.odd.join("; ");
        let message =
            format!("The last probe was answered. Its catalog is used as far as it can be: {odd}.");
        Summary::done(Reason::Succeeded, message)
    } else {
        Summary::unknown(Reason::Pending, "It was not probed yet.")
    }
}

/// Returns the summary of a Connection of the gateway: what no rule of the schema judges.
fn of_gateway(agent: &AgentEndpoint) -> Summary {
    let mut regions = BTreeMap::new();
    for region in &agent.regions {
        for place in &region.countries {
            let before = regions.insert(place, &region.name);
            if let Some(before) = before.filter(|before| **before != region.name) {
                let message = format!(
                    "spec.agent.regions: {place} is a place of {before} and of {}; name it in one.",
                    region.name
                );
                return Summary::open(Reason::UnsupportedValue, message, Work::Stalled);
            }
        }
    }
    let lengths = agent.before.length().ok().zip(agent.poll.length().ok());
    if lengths.is_some_and(|(before, poll)| before >= poll) {
        let message = format!(
            "spec.agent.before is {}, and must be shorter than spec.agent.poll, which is {}.",
            String::from(agent.before.clone()),
            String::from(agent.poll.clone())
        );
        return Summary::open(Reason::UnsupportedValue, message, Work::Stalled);
    }
    let message = "Devices call the gateway; see each Device.";
    Summary::done(Reason::PerDevice, message)
}

fn probed(
    set: ConditionSet,
    observed: &ObservedConnection,
    failure: Option<&Failure>,
) -> ConditionSet {
    let Some(probe) = &observed.probe else {
        return set
            .without(ConditionType::Reachable)
            .without(ConditionType::Authenticated);
    };
    let refused = failure.filter(|failure| failure.kind == FailureKind::Unauthorized);
    let set = match failure {
        Some(failure) if refused.is_none() => {
            let reason = known(ConditionType::Reachable, reason(failure.kind));
            set.with(
                ConditionType::Reachable,
                Status::False,
                reason,
                failure.message.clone(),
            )
        }
        _ => set.with(
            ConditionType::Reachable,
            Status::True,
            Reason::Answered,
            "The last probe was answered.",
        ),
    };
    if let Some(failure) = refused {
        let said = &failure.message;
        let message = format!("The credentials were refused: {said}; correct the Secret.");
        return set.with(
            ConditionType::Authenticated,
            Status::False,
            Reason::Unauthorized,
            message,
        );
    }
    if probe.is_ok() {
        return set.with(
            ConditionType::Authenticated,
            Status::True,
            Reason::Answered,
            "The last probe was answered.",
        );
    }
    if find_is_missing(&set) {
        return set.with(
            ConditionType::Authenticated,
            Status::Unknown,
            Reason::NeverSeen,
            "No probe was answered yet.",
        );
    }
    set.keep(ConditionType::Authenticated)
}

fn find_is_missing(set: &ConditionSet) -> bool {
    find(&set.clone().finish(), ConditionType::Authenticated).is_none()
}

fn known(condition: ConditionType, reason: Reason) -> Reason {
    if condition.reasons().contains(&reason) {
        reason
    } else {
        Reason::ProtocolError
    }
}

/// Returns the status of a DeviceModel.
pub fn report_model(model: &DeviceModel, users: &Users, now: Timestamp) -> DeviceModelStatus {
    let previous = model.status.clone().unwrap_or_default();
    let generation = model.metadata.generation;
    let summary = match syntax_fault(model) {
        Some(message) => Summary::open(Reason::UnsupportedValue, message, Work::Stalled),
        None => Summary::done(Reason::Succeeded, "The model is valid."),
    };
    let summary = users.or_wait(summary, model);
    let set = ConditionSet::new(&previous.conditions, generation, now);
    DeviceModelStatus {
        observed_generation: summary.observed_generation(generation, previous.observed_generation),
        conditions: summary.state(set).finish(),
        used_by: Some(users.count()),
    }
}

/// Returns the fault of a setting whose syntax cannot carry its type. The API server refuses such a
/// model; one from before that rule may be stored.
fn syntax_fault(model: &DeviceModel) -> Option<String> {
    model.spec.settings.iter().find_map(|setting| {
        let syntax = setting.via.ipp.as_ref()?.syntax;
        let allowed = IppSyntax::of_type(setting.r#type);
        let (name, r#type) = (&setting.name, setting.r#type);
        let words: Vec<String> = allowed.iter().map(|it| format!("{it:?}")).collect();
        let message = format!(
            "spec.settings[{name}].via.ipp.syntax is {syntax:?}: with type {type:?} it must be one of {}.",
            words.join(", ")
        );
        (!allowed.contains(&syntax)).then_some(message)
    })
}

#[cfg(test)]
mod tests;
