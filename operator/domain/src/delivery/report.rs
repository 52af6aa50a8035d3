//! Report: the status of a subscription, on every path, failures first (K2).
//!
//! Everything that was resolved, proved, planned and met becomes conditions, items and promises.
//! Called once at the end of a pass, and again with the same facts when a write lost a race.

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{
        Cause, CurrentRevision, Evidence, Item, ItemState, Promise, PromiseState, RemedyType, ServerInstance,
        ServiceSubscription, ServiceSubscriptionStatus, StepType,
    },
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::{
    Facts, Plan, ResolvedDevice, ResolvedSubscription, Verified, World,
    plan::loses,
    promise::{self, evidence_is_lost},
    resolve::{Blocked, Intent},
    verify::VerifiedItem,
    withdraw::{Withdrawal, is_gone, withdrawal},
};
use crate::{
    catalogue::RESOLVED,
    assessment::{Class, Side, cause, class, reason_of_outcome},
    condition::{ConditionSet, Status, find},
    time::parse_duration,
};

/// How often a device is looked at that is to be restarted: nobody tells when it was.
const RESTART_LOOK: SignedDuration = SignedDuration::from_mins(5);

/// What is said of one subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionReport {
    /// Its new status.
    pub status: ServiceSubscriptionStatus,
    /// Whether nothing holds it any more, so that its finalizer goes.
    pub finalizer_may_go: bool,
    /// The next instant at which something changes by time alone.
    pub wake_at: Option<Timestamp>,
}

/// What is said of one subscription.
pub fn report_subscription(
    world: &World,
    resolved: &ResolvedDevice,
    (subscription, verified): (&ResolvedSubscription, &Verified),
    (plan, facts): (&Plan, &Facts),
    object: &ServiceSubscription,
    now: Timestamp,
) -> SubscriptionReport {
    let report = Report { world, resolved, subscription, verified, plan, facts, object, now };
    report.report()
}

struct Report<'a> {
    world: &'a World,
    resolved: &'a ResolvedDevice,
    subscription: &'a ResolvedSubscription,
    verified: &'a Verified,
    plan: &'a Plan,
    facts: &'a Facts,
    object: &'a ServiceSubscription,
    now: Timestamp,
}

/// What a subscription's summary is.
struct Summary {
    ready: Status,
    reason: Reason,
    message: String,
    stalled: bool,
    reconciling: Option<Reason>,
}

impl Report<'_> {
    fn report(&self) -> SubscriptionReport {
        let previous = self.object.status.clone().unwrap_or_default();
        let withdrawal = withdrawal(self.world, self.subscription, self.facts, self.now);
        let blocked = self.blocked();
        let blocking = self.blocking(blocked.as_ref());
        let promises = promise::judge(
            self.world,
            self.object,
            self.completed_at(),
            (blocking.0, blocking.1.as_str()),
            self.now,
        );
        let summary = self.summary(blocked.as_ref(), &withdrawal);
        let settled = summary.ready == Status::True || summary.stalled;
        let mut status = ServiceSubscriptionStatus {
            observed_generation: if settled {
                self.object.metadata.generation
            } else {
                previous.observed_generation
            },
            conditions: self.conditions(&previous.conditions, &summary, blocked.as_ref()),
            revision: self.revision(&previous),
            step: self.step(),
            evidence: self.evidence(&previous),
            items: self.items(&previous, &withdrawal),
            server: self.server(&withdrawal),
            promises,
        };
        keep_counters_of_an_equal_status(&mut status, &previous);
        SubscriptionReport {
            finalizer_may_go: self.finalizer_may_go(&status, &withdrawal),
            wake_at: self.wake_at(&status),
            status,
        }
    }

    /// The revision that has begun; one that lies ahead has not, whatever it prepares.
    fn revision(&self, previous: &ServiceSubscriptionStatus) -> Option<CurrentRevision> {
        let begun = self.subscription.revision.as_ref().filter(|revision| {
            match self.subscription.intent {
                Intent::SetUp => true,
                Intent::Suspended => revision.effective <= self.now && !self.world.clock_skewed,
                _ => false,
            }
        });
        begun.or(previous.revision.as_ref()).cloned()
    }

    fn in_force(&self) -> bool {
        matches!(self.subscription.intent, Intent::SetUp)
    }

    fn completed_at(&self) -> Option<Timestamp> {
        let proves = matches!(self.subscription.intent, Intent::SetUp | Intent::Suspended);
        if !proves || self.subscription.refused.is_some() {
            return None;
        }
        match self.verified.completed_at() {
            Some(at) => Some(at),
            // A service that wants nothing is complete from its instant.
            None if self.verified.items.is_empty() => {
                self.subscription.revision.as_ref().map(|revision| revision.effective)
            }
            None => None,
        }
    }

    /// What keeps the subscription from going on, most important first.
    fn blocked(&self) -> Option<Blocked> {
        if let Some(refused) = &self.subscription.refused {
            return Some(refused.clone());
        }
        let problem = self.pending_item().and_then(|item| item.problem.as_ref());
        let wait = self.plan.waits.get(&self.subscription.name);
        match (wait, problem) {
            (Some(wait), None) => Some(wait.clone()),
            (Some(wait), Some(_)) if says_more_than_an_outcome(wait.reason) => Some(wait.clone()),
            (wait, Some(problem)) => Some(Blocked {
                reason: reason_of_outcome(problem.outcome),
                message: problem.message.clone(),
                until: wait.and_then(|wait| wait.until),
            }),
            (None, None) => self.waiting_item(),
        }
    }

    /// The first item with a problem in the first step that is not done, else its first item.
    fn pending_item(&self) -> Option<&VerifiedItem> {
        let step = self.step_of_work()?;
        let mut pending = self
            .verified
            .of_step(step)
            .filter(|item| item.state != ItemState::Effective)
            .peekable();
        let first = pending.peek().copied();
        let stalled = |item: &&VerifiedItem| {
            item.problem
                .as_ref()
                .is_some_and(|p| class(reason_of_outcome(p.outcome)) == Class::Stalled)
        };
        let all: Vec<&VerifiedItem> = pending.collect();
        all.iter()
            .copied()
            .find(stalled)
            .or_else(|| all.iter().copied().find(|item| item.problem.is_some()))
            .or(first)
    }

    fn waiting_item(&self) -> Option<Blocked> {
        let item = self.pending_item()?;
        let (reason, message) = match item.state {
            ItemState::AwaitingRestart => (
                Reason::AwaitingRestart,
                format!("{} takes effect after a restart of the device", item.key),
            ),
            ItemState::InProgress => (
                Reason::OperationRunning,
                "an operation of the service server is under way".to_owned(),
            ),
            _ => return None,
        };
        Some(Blocked::new(reason, message))
    }

    fn step_of_work(&self) -> Option<StepType> {
        self.subscription
            .steps
            .iter()
            .map(|step| step.r#type)
            .find(|step| self.verified.of_step(*step).any(|item| item.state != ItemState::Effective))
    }

    fn step(&self) -> Option<StepType> {
        self.in_force().then(|| self.step_of_work()).flatten()
    }

    fn blocking(&self, blocked: Option<&Blocked>) -> (Cause, String) {
        if self.subscription.intent == Intent::Suspended {
            return (Cause::Customer, Reason::Suspended.as_str().to_owned());
        }
        let side = match self.step_of_work() {
            Some(StepType::ServerSettings | StepType::Activation) => Side::Server,
            _ => Side::Device,
        };
        let reason = blocked.map_or(Reason::Progressing, |blocked| blocked.reason);
        (cause(reason, side), reason.as_str().to_owned())
    }

    fn summary(&self, blocked: Option<&Blocked>, withdrawal: &Withdrawal) -> Summary {
        match (&self.subscription.intent, blocked) {
            (Intent::Withdraw { deleting: false, .. }, _)
                if *withdrawal == Withdrawal::Released =>
            {
                done(Reason::Ended, "The service has ended and is withdrawn.")
            }
            (Intent::Withdraw { deleting: false, .. }, _)
                if *withdrawal == Withdrawal::Abandoned && self.is_taken_over() =>
            {
                let message = "The service has ended; its instance is an orphan of the Connection.";
                done(Reason::Ended, message)
            }
            (Intent::Withdraw { .. } | Intent::Forget, _) => self.withdrawing(withdrawal),
            (Intent::Suspended, _) => {
                done(Reason::Suspended, "Suspended; nothing is sent until suspend is false.")
            }
            (Intent::Scheduled { .. }, None) => {
                done(Reason::Scheduled, "Accepted; work begins at the start.")
            }
            // What the start does not depend on yet: tried again until then.
            (Intent::Scheduled { .. }, Some(blocked)) if is_of_the_moment(blocked.reason) => {
                done(Reason::Scheduled, "Accepted; work begins at the start.")
            }
            (Intent::SetUp, None) if self.completed_at().is_some() => {
                done(Reason::Delivered, "Every required item was read back as wanted.")
            }
            (_, None) => Summary {
                ready: Status::False,
                reason: Reason::Progressing,
                message: self.progress(),
                stalled: false,
                reconciling: Some(Reason::Progressing),
            },
            (_, Some(blocked)) => failing(blocked),
        }
    }

    fn progress(&self) -> String {
        self.step_of_work().map_or_else(
            || "Work is under way.".to_owned(),
            |step| format!("The step {step:?} is under way."),
        )
    }

    fn withdrawing(&self, withdrawal: &Withdrawal) -> Summary {
        let wait = self.plan.waits.get(&self.subscription.name);
        if let Some(same) = self.still_waits(wait) {
            return same;
        }
        let message = match (withdrawal, wait) {
            (Withdrawal::Abandoned, _) => "The withdrawal was given up; the Connection takes the \
                                           instance into its list of orphans."
                .to_owned(),
            (_, Some(wait)) => format!("Withdrawing; waits: {}.", wait.message),
            (Withdrawal::Released, None) => {
                "Withdrawn; waits for what is owed to be recorded.".to_owned()
            }
            (Withdrawal::UnderWay, None) => "Withdrawing from the service server.".to_owned(),
        };
        Summary {
            ready: Status::False,
            reason: Reason::Withdrawing,
            message,
            stalled: false,
            reconciling: Some(if wait.is_some() {
                Reason::ProgressingWithRetry
            } else {
                Reason::Progressing
            }),
        }
    }

    /// While it is only waited for the next attempt, what was said of the last one holds.
    fn still_waits(&self, wait: Option<&Blocked>) -> Option<Summary> {
        let until = wait?.until?;
        let name = &self.subscription.name;
        let heard =
            self.facts.servers.contains_key(name) || self.facts.server_problems.contains_key(name);
        let ready = find(&self.object.status.as_ref()?.conditions, ConditionType::Ready)?;
        let said = ready.reason == Reason::Withdrawing.as_str() && !heard && until > self.now;
        said.then(|| Summary {
            ready: Status::False,
            reason: Reason::Withdrawing,
            message: ready.message.clone(),
            stalled: false,
            reconciling: Some(Reason::ProgressingWithRetry),
        })
    }

    fn conditions(
        &self,
        previous: &[entente_crds::v1alpha1::Condition],
        summary: &Summary,
        blocked: Option<&Blocked>,
    ) -> Vec<entente_crds::v1alpha1::Condition> {
        let mut set = ConditionSet::new(previous, self.object.metadata.generation, self.now).with(
            ConditionType::Ready,
            summary.ready,
            summary.reason,
            summary.message.clone(),
        );
        if summary.stalled {
            set = set.with(
                ConditionType::Stalled,
                Status::True,
                summary.reason,
                summary.message.clone(),
            );
        } else if let Some(reason) = summary.reconciling {
            set = set.with(
                ConditionType::Reconciling,
                Status::True,
                reason,
                summary.message.clone(),
            );
        }
        set = refs(set, blocked);
        set = self.side(set, ConditionType::DeviceConfigured, &[StepType::DeviceSettings], blocked);
        set = self.side(
            set,
            ConditionType::ServerConfigured,
            &[StepType::ServerSettings, StepType::Activation],
            blocked,
        );
        set = self.delivered(set, summary);
        if evidence_is_lost(self.world, self.object) {
            set = set.with(
                ConditionType::EvidenceLost,
                Status::True,
                Reason::Recreated,
                "Made again during its contract's life; promises from before are closed.",
            );
        }
        set.finish()
    }

    /// Whether what blocks before the start is met on the side of these steps: a service server
    /// whose catalogue cannot be read is no matter of the device, whose step comes first.
    fn concerns(&self, steps: &[StepType]) -> bool {
        let of_server = self.verified.server_fault.is_some() && self.verified.device_fault.is_none();
        if of_server {
            return steps.contains(&StepType::ServerSettings);
        }
        self.step_of_work().is_some_and(|step| steps.contains(&step))
    }

    fn side(
        &self,
        set: ConditionSet,
        condition: ConditionType,
        steps: &[StepType],
        blocked: Option<&Blocked>,
    ) -> ConditionSet {
        let items: Vec<&VerifiedItem> =
            self.verified.items.iter().filter(|item| steps.contains(&item.step)).collect();
        let unresolved = self.subscription.refused.is_some();
        let (status, reason, message) = match &self.subscription.intent {
            Intent::Withdraw { .. } | Intent::Forget => {
                (Status::False, Reason::Ended, "The service has ended.".to_owned())
            }
            _ if unresolved => blocked.map_or_else(
                || (Status::False, Reason::Waiting, String::new()),
                |blocked| (Status::False, blocked.reason, sentence(&blocked.message)),
            ),
            _ if items.is_empty() => (
                Status::True,
                Reason::NothingWanted,
                "The service asks for nothing on this side.".to_owned(),
            ),
            _ if items.iter().all(|item| item.state == ItemState::Effective) => {
                (Status::True, Reason::Succeeded, "Every item was read back as wanted.".to_owned())
            }
            Intent::Scheduled { .. } => match blocked {
                Some(blocked) if self.concerns(steps) => {
                    (Status::False, blocked.reason, sentence(&blocked.message))
                }
                _ => (Status::False, Reason::NotStarted, "The start lies ahead.".to_owned()),
            },
            Intent::Suspended => {
                (Status::False, Reason::Suspended, "Suspended; nothing is sent.".to_owned())
            }
            Intent::SetUp => match self.step_of_work() {
                Some(step) if !steps.contains(&step) => {
                    (Status::False, Reason::Waiting, format!("Waits for the step {step:?}."))
                }
                _ => blocked.map_or_else(
                    || (Status::False, Reason::Progressing, self.progress()),
                    |blocked| (Status::False, blocked.reason, sentence(&blocked.message)),
                ),
            },
        };
        set.with(condition, status, reason, message)
    }

    fn delivered(&self, set: ConditionSet, summary: &Summary) -> ConditionSet {
        let (status, reason) = match &self.subscription.intent {
            Intent::Withdraw { .. } | Intent::Forget => (Status::False, Reason::Ended),
            Intent::Scheduled { .. } => (Status::False, Reason::NotStarted),
            Intent::SetUp | Intent::Suspended if self.completed_at().is_some() => {
                (Status::True, Reason::Delivered)
            }
            Intent::SetUp | Intent::Suspended => (Status::False, summary.reason),
        };
        let message = match status {
            Status::True => "Every required item was read back as wanted.".to_owned(),
            _ => summary.message.clone(),
        };
        set.with(ConditionType::Delivered, status, reason, message)
    }

    /// Bound to what the items of the same status were verified against.
    fn evidence(&self, previous: &ServiceSubscriptionStatus) -> Option<Evidence> {
        let (Some(device), Ok(endpoint)) = (&self.world.device, &self.resolved.endpoint) else {
            return previous.evidence.clone();
        };
        let withdraws =
            matches!(self.subscription.intent, Intent::Withdraw { .. } | Intent::Forget);
        if self.verified.items.is_empty() || withdraws {
            return previous.evidence.clone();
        }
        Some(Evidence {
            device_uid: device.metadata.uid.clone().unwrap_or_default(),
            target_digest: endpoint.target_digest.clone(),
        })
    }

    fn items(&self, previous: &ServiceSubscriptionStatus, withdrawal: &Withdrawal) -> Vec<Item> {
        match (&self.subscription.intent, withdrawal) {
            (Intent::Scheduled { .. }, _)
                if self
                    .verified
                    .items
                    .iter()
                    .all(|item| item.verified_at.is_none() && item.problem.is_none()) =>
            {
                return Vec::new();
            }
            (Intent::Withdraw { .. }, Withdrawal::Released) => {
                return previous
                    .items
                    .iter()
                    .map(|item| {
                        // What was set on the device stays as it is.
                        if item.key.starts_with("DeviceSetting/") {
                            return item.clone();
                        }
                        Item { state: ItemState::Released, problem: None, ..item.clone() }
                    })
                    .collect();
            }
            (Intent::Withdraw { .. } | Intent::Forget, _) => return previous.items.clone(),
            _ if self.verified.items.is_empty() => return previous.items.clone(),
            _ => {}
        }
        let work = self.step_of_work();
        let mut items: Vec<Item> =
            self.verified.items.iter().map(|item| self.item(item, previous, work)).collect();
        items.sort_by(|a, b| a.key.cmp(&b.key));
        items
    }

    fn item(
        &self,
        item: &VerifiedItem,
        previous: &ServiceSubscriptionStatus,
        work: Option<StepType>,
    ) -> Item {
        let before = previous.items.iter().find(|before| {
            before.key == item.key
                && before.desired_digest.as_deref() == Some(item.desired_digest.as_str())
        });
        let sent = self
            .facts
            .sent
            .get(&(self.subscription.name.clone(), item.key.clone()))
            .filter(|sent| sent.digest == item.desired_digest);
        // A report that says the same facts again counts nothing twice.
        let counted = before.and_then(|before| before.last_sent);
        let news = sent.filter(|sent| Some(sent.at) != counted);
        let attempts =
            before.and_then(|before| before.attempts).unwrap_or(0) + i32::from(news.is_some());
        let waits = item.state == ItemState::Unknown
            && item.problem.is_none()
            && (work.is_some_and(|step| step != item.step)
                || matches!(self.subscription.intent, Intent::Scheduled { .. }));
        Item {
            key: item.key.clone(),
            state: if waits { ItemState::Pending } else { item.state },
            desired_digest: Some(item.desired_digest.clone()),
            observed_digest: item.observed_digest.clone(),
            attempts: (attempts > 0).then_some(attempts),
            last_sent: sent.map(|sent| sent.at).or_else(|| before.and_then(|b| b.last_sent)),
            last_verified: item.verified_at,
            problem: item.problem.clone(),
        }
    }

    fn server(&self, withdrawal: &Withdrawal) -> Option<ServerInstance> {
        let handle = self.facts.handles.get(&self.subscription.name)?;
        match (&self.subscription.intent, withdrawal) {
            (Intent::Withdraw { .. } | Intent::Forget, Withdrawal::Released) => None,
            _ if self.has_made_room(handle) => None,
            (Intent::Withdraw { .. }, Withdrawal::Abandoned) => Some(ServerInstance {
                orphaned: handle.orphaned.or(Some(self.now)),
                ..handle.clone()
            }),
            _ => Some(handle.clone()),
        }
    }

    /// Whether an instance that has to go, because another contract comes first or because it is
    /// not what is wanted any more, is gone.
    fn has_made_room(&self, handle: &ServerInstance) -> bool {
        let left_over = self.subscription.server.as_ref().is_some_and(|it| it.is_left_over);
        let loses = self.subscription.refused.as_ref().is_some_and(loses);
        (left_over || loses) && is_gone(self.subscription, self.facts, handle)
    }

    fn is_taken_over(&self) -> bool {
        self.facts
            .handles
            .get(&self.subscription.name)
            .is_none_or(|handle| self.world.orphans_taken_over.contains(&handle.instance_id))
    }

    fn finalizer_may_go(
        &self,
        status: &ServiceSubscriptionStatus,
        withdrawal: &Withdrawal,
    ) -> bool {
        if self.object.metadata.deletion_timestamp.is_none() {
            return false;
        }
        let withdrawn = match (&self.subscription.intent, withdrawal) {
            (Intent::Forget, _) | (_, Withdrawal::Released) => true,
            (_, Withdrawal::Abandoned) => status.server.is_none() || self.is_taken_over(),
            (_, Withdrawal::UnderWay) => false,
        };
        withdrawn && (self.world.namespace_terminating || self.is_recorded(&status.promises))
    }

    /// Whether everything that is owed is recorded and final (api section 10).
    fn is_recorded(&self, promises: &[Promise]) -> bool {
        let name = self.object.name_any();
        promises.iter().filter(|promise| promise.state == PromiseState::Missed).all(|promise| {
            let revision = self
                .object
                .spec
                .revisions
                .iter()
                .find(|revision| revision.effective == promise.effective);
            revision.is_none_or(|revision| {
                let owed = revision.remedies.iter().filter(|remedy| match remedy.r#type {
                    RemedyType::FeeCredit => revision.fee.is_some(),
                });
                owed.into_iter().all(|remedy| {
                    let mut records = self.world.compensations.iter().filter(|record| {
                        record.subscription == name
                            && record.promised == promise.effective
                            && record.remedy == remedy.name
                    });
                    match records.next() {
                        Some(record) => record.calculated,
                        // One that was made and that a person deleted is not waited for.
                        None => promise.emitted.iter().any(|emitted| {
                            emitted.ends_with(&format!(".{}", remedy.name))
                        }),
                    }
                })
            })
        })
    }

    fn wake_at(&self, status: &ServiceSubscriptionStatus) -> Option<Timestamp> {
        let mut instants: Vec<Timestamp> = Vec::new();
        if let Intent::Scheduled { effective, early_from } = self.subscription.intent {
            instants.push(effective);
            instants.extend(early_from);
        }
        if let Intent::Withdraw { since, .. } = self.subscription.intent
            && status.server.is_some()
        {
            instants.extend(since.checked_add(self.world.withdraw_deadline).ok());
        }
        for revision in &self.object.spec.revisions {
            instants.push(revision.effective);
            instants.extend(revision.until);
            let open = status.promises.iter().any(|promise| {
                promise.effective == revision.effective && promise.state == PromiseState::Open
            });
            if open {
                let allowed = parse_duration(&revision.service_level.allowed).unwrap_or_default();
                let past = allowed + SignedDuration::from_millis(1);
                instants.extend(revision.effective.checked_add(past).ok());
            }
        }
        let restarting = |item: &Item| item.state == ItemState::AwaitingRestart;
        if self.in_force() && status.items.iter().any(restarting) {
            instants.extend(self.now.checked_add(RESTART_LOOK).ok());
        }
        instants.extend(self.plan.waits.get(&self.subscription.name).and_then(|wait| wait.until));
        instants.into_iter().filter(|instant| *instant > self.now).min()
    }
}

/// Whether a reason is something that remote sides and dates bring and take, and that does not
/// speak against a start that lies ahead.
fn is_of_the_moment(reason: Reason) -> bool {
    let missing = ConditionType::ResolvedRefs.reasons().contains(&reason);
    class(reason) == Class::Reconciling && !missing && reason != Reason::ClockSkew
}

fn done(reason: Reason, message: &str) -> Summary {
    Summary {
        ready: Status::True,
        reason,
        message: message.to_owned(),
        stalled: false,
        reconciling: None,
    }
}

fn failing(blocked: &Blocked) -> Summary {
    let stalled = class(blocked.reason) == Class::Stalled;
    Summary {
        ready: Status::False,
        reason: blocked.reason,
        message: sentence(&blocked.message),
        stalled,
        reconciling: (!stalled).then_some(Reason::ProgressingWithRetry),
    }
}

/// Whether everything that is referred to was found.
fn refs(set: ConditionSet, blocked: Option<&Blocked>) -> ConditionSet {
    let missing = blocked
        .filter(|blocked| ConditionType::ResolvedRefs.reasons().contains(&blocked.reason))
        .map(|blocked| (blocked.reason, sentence(&blocked.message)));
    set.with_fault(ConditionType::ResolvedRefs, missing, RESOLVED)
}

/// Whether a wait tells what the closed list of outcomes has no word for.
fn says_more_than_an_outcome(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::SettingsConflict
            | Reason::NotAllowed
            | Reason::TlsFailed
            | Reason::CertificateChanged
            | Reason::IdentityMismatch
            | Reason::ClockSkew
    )
}

/// With a capital letter and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let Some(first) = characters.next() else { return String::new() };
    let mut sentence: String = first.to_uppercase().chain(characters).collect();
    if !sentence.ends_with(['.', '!', '?', '…']) {
        sentence.push('.');
    }
    sentence
}

/// A retry that met the same again is no news: its counters alone do not make a write.
fn keep_counters_of_an_equal_status(
    status: &mut ServiceSubscriptionStatus,
    previous: &ServiceSubscriptionStatus,
) {
    let without_counters = |status: &ServiceSubscriptionStatus| {
        let mut status = status.clone();
        for item in &mut status.items {
            item.attempts = None;
            item.last_sent = None;
        }
        status
    };
    if without_counters(status) == without_counters(previous) {
        status.items.clone_from(&previous.items);
    }
}
