//! Report: the conditions of a subscription.

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{ItemState, StepType, SubscriptionActivation},
};

use crate::delivery::report::{Report, side_of, words};
use crate::{
    catalogue::RESOLVED,
    condition::{ConditionSet, Status, Summary, sentence},
    delivery::{Blocked, Intent, verify::VerifiedItem},
    promise::evidence_is_lost,
};

impl Report<'_> {
    pub(super) fn conditions(
        &self,
        previous: &[entente_crds::v1alpha1::Condition],
        (ready, delivery): (&Summary, &Summary),
        (activation, blocked): (Option<&SubscriptionActivation>, Option<&Blocked>),
    ) -> Vec<entente_crds::v1alpha1::Condition> {
        let set = ConditionSet::new(previous, self.generation(), self.now);
        let mut set = ready.state(set);
        set = refs(set, blocked);
        set = self.side(
            set,
            ConditionType::DeviceConfigured,
            &[
                StepType::Firmware,
                StepType::Applications,
                StepType::DeviceSettings,
                StepType::Acceptance,
            ],
            blocked,
        );
        set = self.side(
            set,
            ConditionType::ServerConfigured,
            &[StepType::ServerSettings, StepType::Activation],
            blocked,
        );
        if let Some(unreported) = self.unreported_data() {
            let (reason, message) = unreported;
            let condition = ConditionType::DataTypesConfigured;
            set = set.with(condition, Status::False, reason, message);
        } else if self.verified.of_step(StepType::DataTypes).next().is_some() {
            let steps = &[StepType::DataTypes];
            set = self.side(set, ConditionType::DataTypesConfigured, steps, blocked);
        } else {
            set = set.without(ConditionType::DataTypesConfigured);
        }
        set = self.activated(set, activation, blocked);
        set = self.delivered(set, delivery);
        if evidence_is_lost(
            self.object,
            self.snapshot.circumstances(self.object).established,
        ) {
            set = set.with(
                ConditionType::EvidenceLost,
                Status::True,
                Reason::Recreated,
                "Made again during its contract's life; promises from before are closed.",
            );
        }
        set.finish()
    }

    /// Returns the words for kinds of data that the device does not report, of a service that they hold
    /// back nothing of.
    fn unreported_data(&self) -> Option<(Reason, String)> {
        let is_set_up =
            self.subscription.intent == Intent::SetUp && self.subscription.refused.is_none();
        if !is_set_up || self.verified.requires(StepType::DataTypes) {
            return None;
        }
        let items = self.verified.of_step(StepType::DataTypes);
        let mut open = items.filter(|item| item.state != ItemState::Effective);
        let first = open.next()?;
        let with_problem = std::iter::once(first)
            .chain(open)
            .find_map(|item| item.problem.as_ref());
        let (reason, message) = match with_problem {
            Some(problem) => (problem.outcome, problem.message.to_string()),
            None => (
                Reason::WaitingForDevice,
                format!("{} waits for a report of the device", first.key),
            ),
        };
        let goes_on = "nothing waits for it, since data of the device came";
        Some((reason, sentence(&format!("{message}; {goes_on}"))))
    }

    /// True if an obstacle is on the side of these steps: a service server whose catalog cannot be
    /// read is no matter of the device, whose step comes first.
    fn concerns(&self, blocked: &Blocked, steps: &[StepType]) -> bool {
        match blocked.side {
            Some(side) => steps.iter().any(|step| side_of(*step) == side),
            None => self
                .step_of_work()
                .is_some_and(|step| steps.contains(&step)),
        }
    }

    fn side(
        &self,
        set: ConditionSet,
        condition: ConditionType,
        steps: &[StepType],
        blocked: Option<&Blocked>,
    ) -> ConditionSet {
        let items: Vec<&VerifiedItem> = self
            .verified
            .items
            .iter()
            .filter(|item| steps.contains(&item.step))
            .collect();
        if let Some(message) = self.drifted_among(&items) {
            return set.with(condition, Status::False, Reason::Drifted, message);
        }
        let unresolved = self.subscription.refused.is_some();
        let (status, reason, message) = match &self.subscription.intent {
            Intent::Withdraw { .. } | Intent::Detach => (
                Status::False,
                Reason::Ended,
                "The service has ended.".to_owned(),
            ),
            _ if unresolved => blocked.map_or_else(
                || (Status::False, Reason::Waiting, String::new()),
                |blocked| (Status::False, blocked.reason, sentence(&blocked.message)),
            ),
            _ if items.is_empty() => (
                Status::True,
                Reason::NothingWanted,
                "The service asks for nothing on this side.".to_owned(),
            ),
            _ if items.iter().all(|item| item.state == ItemState::Effective) => (
                Status::True,
                Reason::Succeeded,
                "Every item was read back as wanted.".to_owned(),
            ),
            Intent::Scheduled { .. } => match blocked {
                Some(blocked) if self.concerns(blocked, steps) => {
                    (Status::False, blocked.reason, sentence(&blocked.message))
                }
                _ => (
                    Status::False,
                    Reason::NotStarted,
                    "The start lies ahead.".to_owned(),
                ),
            },
            Intent::Suspended => (
                Status::False,
                Reason::Suspended,
                "Suspended; nothing is sent.".to_owned(),
            ),
            Intent::SetUp => match self.step_of_work() {
                Some(step) if !steps.contains(&step) => (
                    Status::False,
                    Reason::Waiting,
                    format!("Waits for the step {step:?}."),
                ),
                _ => match blocked {
                    Some(blocked) if self.concerns(blocked, steps) => {
                        (Status::False, blocked.reason, sentence(&blocked.message))
                    }
                    _ => (Status::False, Reason::Progressing, self.progress()),
                },
            },
        };
        set.with(condition, status, reason, message)
    }

    /// Returns the sentence about items of which some are left as somebody has changed them, if the others
    /// are in effect.
    fn drifted_among(&self, items: &[&VerifiedItem]) -> Option<String> {
        let is_set_up = self.in_force() && self.subscription.refused.is_none();
        let drifted = || items.iter().copied().filter(|item| item.drifts);
        let is_all = items.iter().all(|item| item.is_done());
        (is_set_up && is_all && drifted().next().is_some()).then(|| words::drifted(drifted()))
    }

    fn delivered(&self, set: ConditionSet, summary: &Summary) -> ConditionSet {
        let (status, reason) = match &self.subscription.intent {
            Intent::Withdraw { .. } | Intent::Detach => (Status::False, Reason::Ended),
            Intent::Scheduled { .. } => (Status::False, Reason::NotStarted),
            Intent::SetUp | Intent::Suspended if self.completed_at().is_some() => {
                (Status::True, Reason::Delivered)
            }
            Intent::SetUp | Intent::Suspended => (Status::False, summary.reason()),
        };
        let message = match status {
            Status::True => "Every required item was read back as wanted.".to_owned(),
            _ => summary.message().to_owned(),
        };
        set.with(ConditionType::Delivered, status, reason, message)
    }
}

/// States ResolvedRefs: every reference was found, or the first that was not.
fn refs(set: ConditionSet, blocked: Option<&Blocked>) -> ConditionSet {
    let missing = blocked
        .filter(|blocked| {
            ConditionType::ResolvedRefs
                .reasons()
                .contains(&blocked.reason)
        })
        .map(|blocked| (blocked.reason, sentence(&blocked.message)));
    set.with_fault(ConditionType::ResolvedRefs, missing, RESOLVED)
}
