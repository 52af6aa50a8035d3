//! The activation of a service by its device, and its end there (C5, C6, C15).
//!
//! Decides what a device said of a service, what of that is written into its twin, and the answer by what
//! is known of the service then. It never says that a service is on which its subscription does not.
//! Called when a device puts an activation, and while it waits for the answer.

use entente_crds::v1alpha1::{
    ActivationState, Condition, ConsentWay, DeviceCapabilities, DeviceModelSpec, DeviceTwin,
    DeviceTwinStatus, ExclusiveHold, LocalEnablement, ServiceSubscription, SmartService, TwinLocal,
};
use entente_crds::{bounded::Text, condition::ConditionType, condition::Reason};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    members::{Faults, Members, list, pointer, text},
    problem::Problem,
    request::WAYS,
    texts::TEXT,
};
use crate::activation::{Abilities, Needs};
use crate::condition::find;

/// The most abilities that a device says it does not have for one service.
const MOST_UNSUPPORTED: usize = 16;
/// Time after which a device asks again for an activation that is pending.
const NEXT: &str = "PT10S";

/// Word of a device on one of its services.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Word {
    /// True if the service is to be on.
    pub active: bool,
    by: ConsentWay,
    unsupported: Vec<Text<127>>,
}

impl Word {
    /// Reads a body.
    ///
    /// # Errors
    /// Returns the answer to a body that has faults, with all of them.
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let mut faults = Faults::default();
        let word = read(body, &mut faults);
        if let Some(problem) = faults.problem() {
            return Err(problem);
        }
        word.ok_or_else(|| Problem::BadRequest("it is no activation".to_owned()))
    }

    /// Returns the word that the first data of a device are: it switches the service on by itself.
    pub fn of_first_data() -> Self {
        Self {
            active: true,
            by: ConsentWay::Command,
            unsupported: Vec::new(),
        }
    }

    /// Returns the status of a twin after this word; `None` if it says nothing new. A word that is
    /// repeated is new if somebody else had the last one on the service meanwhile.
    ///
    /// `switch` is the switch of the service as the operator knows it, and `is_known` true for a service
    /// that the device still has.
    pub fn apply(
        &self,
        twin: &DeviceTwin,
        application: &str,
        switch: Option<&LocalEnablement>,
        is_known: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> Option<DeviceTwinStatus> {
        let mut status = twin.status.clone().unwrap_or_default();
        let known = status
            .local
            .iter()
            .find(|it| it.application_id == application);
        let is_repeated = known.is_some_and(|known| {
            let was_overruled =
                switch.is_some_and(|it| it.heard == Some(known.at) && it.at != known.at);
            self.is_said_by(known) && !was_overruled
        });
        if is_repeated {
            return None;
        }
        status
            .local
            .retain(|it| it.application_id != application && is_known(&it.application_id));
        status.local.push(TwinLocal {
            application_id: application.to_owned(),
            enabled: self.active,
            by: self.by,
            at: now,
            unsupported: self.unsupported.clone(),
        });
        status
            .local
            .sort_by(|one, other| one.application_id.cmp(&other.application_id));
        Some(status)
    }

    fn is_said_by(&self, known: &TwinLocal) -> bool {
        known.enabled == self.active && known.by == self.by && known.unsupported == self.unsupported
    }
}

fn read(body: &Value, faults: &mut Faults) -> Option<Word> {
    let known = ["active", "by", "supported", "unsupported"];
    let members = Members::of(body, "", &known, faults)?;
    let active = if members.is_there("active", "true or false", faults) {
        members.truth("active", faults)
    } else {
        None
    };
    let by = members.word("by", &WAYS, faults);
    let supported = members.truth("supported", faults).unwrap_or(true);
    let unsupported = members
        .get("unsupported")
        .map_or_else(Vec::new, |value| unsupported(value, faults));
    if supported && !unsupported.is_empty() {
        let detail = "it is there although supported is true";
        faults.note(
            "/unsupported",
            detail,
            "an empty list where supported is true",
        );
    }
    let nameless = !supported && unsupported.is_empty();
    Some(Word {
        active: active?,
        by: by?,
        unsupported: if nameless {
            vec!["not supported".into()]
        } else {
            unsupported
        },
    })
}

fn unsupported(value: &Value, faults: &mut Faults) -> Vec<Text<127>> {
    let items = list(value, "/unsupported", MOST_UNSUPPORTED, faults).unwrap_or_default();
    let mut all = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = pointer("/unsupported", &index.to_string());
        all.extend(text(item, &at, TEXT, faults).map(Text::from));
    }
    all
}

/// Answer to an activation, as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is in this state, for good until something changes.
    Settled(Value),
    /// The service server has not answered yet, or the operator has not looked yet.
    Pending(Value),
    /// It cannot be activated now: NotInForce, UnsupportedByDevice or ExclusiveGroupHeld, with every leg
    /// that is missing.
    Refused(Problem),
}

/// Abilities and switches of a device, as the operator knows them.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeviceFacts<'a> {
    /// Name of its model.
    pub model: Option<&'a str>,
    /// Model, if there is one of that name.
    pub model_spec: Option<&'a DeviceModelSpec>,
    /// Abilities that it reported.
    pub capabilities: Option<&'a DeviceCapabilities>,
    /// Local switches of its services.
    pub switches: &'a [LocalEnablement],
    /// The subscriptions that act for its exclusive groups.
    pub holds: &'a [ExclusiveHold],
}

impl DeviceFacts<'_> {
    /// True if the device has what a service needs, apart from its own words on it.
    pub fn is_able(&self, service: Option<&SmartService>) -> bool {
        let abilities = Abilities {
            reported: self.capabilities,
            model: self.model_spec,
        };
        let side = service.and_then(|service| service.spec.device.as_ref());
        let unsupported = &[];
        abilities.lacks(Needs { side, unsupported }).is_empty()
    }

    /// Returns the local switch of a service; `None` if it was never switched.
    pub fn switch(&self, service: &str) -> Option<&LocalEnablement> {
        self.switches.iter().find(|it| it.service == service)
    }
}

/// Returns the answer to a word, by a subscription that is in the list of the device's services.
/// `is_able` is true if the device has what the service needs, apart from this word.
pub fn outcome(
    word: &Word,
    subscription: &ServiceSubscription,
    state: &str,
    is_able: bool,
) -> Outcome {
    if !word.active {
        return Outcome::Settled(json!({"state": "Inactive"}));
    }
    let mut missing = Vec::new();
    if !is_able || !word.unsupported.is_empty() {
        missing.push(Reason::UnsupportedByDevice);
    }
    if ["Scheduled", "Cancelled"].contains(&state) {
        missing.push(Reason::NotInForce);
    }
    if let Some(&reason) = missing.first() {
        return Outcome::Refused(Problem::NotActivated(reason, missing));
    }
    let status = subscription.status.as_ref();
    let activation = status.and_then(|status| status.activation.as_ref());
    match activation {
        Some(found) if found.state == ActivationState::Active => {
            let mut body = json!({"state": "Active", "since": found.since});
            if let Some(server) = status.and_then(|status| status.server.as_ref()) {
                body["provider"] = json!({"reference": server.instance_id});
            }
            Outcome::Settled(body)
        }
        _ if said(subscription, Reason::ExclusiveGroupHeld) => {
            let reason = Reason::ExclusiveGroupHeld;
            Outcome::Refused(Problem::NotActivated(reason, vec![reason]))
        }
        _ => Outcome::Pending(json!({
            "state": "Pending",
            "reason": Reason::ProviderPending.as_str(),
            "next": NEXT,
        })),
    }
}

/// Returns the legs of the activation of a service that are known to be missing, besides the request of
/// the device and the answer of the service server. The condition names the first one alone.
pub fn missing(
    subscription: &ServiceSubscription,
    (name, service): (&str, Option<&SmartService>),
    device: &DeviceFacts<'_>,
) -> Vec<Reason> {
    let legs = [
        (Reason::NotInForce, false),
        (
            Reason::DisabledLocally,
            device.switch(name).is_some_and(|it| !it.enabled),
        ),
        (Reason::UnsupportedByDevice, !device.is_able(service)),
        (Reason::ExclusiveGroupHeld, false),
    ];
    let missing = legs
        .into_iter()
        .filter(|(reason, is_missing)| *is_missing || said(subscription, *reason));
    missing.map(|(reason, _)| reason).collect()
}

/// True if the subscription says that the service is off for a reason.
fn said(subscription: &ServiceSubscription, reason: Reason) -> bool {
    let is_off = activated(subscription).is_some_and(|said| said.status == "False");
    is_off && says(subscription, &[reason])
}

/// Returns the condition Activated of a subscription.
pub(super) fn activated(subscription: &ServiceSubscription) -> Option<&Condition> {
    let status = subscription.status.as_ref()?;
    find(&status.conditions, ConditionType::Activated)
}

/// True if the condition Activated of a subscription has one of these reasons.
pub(super) fn says(subscription: &ServiceSubscription, reasons: &[Reason]) -> bool {
    let said = activated(subscription);
    said.is_some_and(|said| reasons.iter().any(|it| said.reason == it.as_str()))
}

/// Returns the subscription of a device that has an application id.
pub fn application<'a, S: AsRef<ServiceSubscription>>(
    subscriptions: &'a [S],
    id: &str,
) -> Option<&'a S> {
    let is_it = |it: &&S| (*it).as_ref().metadata.name.as_deref() == Some(id);
    subscriptions.iter().find(is_it)
}

#[cfg(test)]
mod tests;
