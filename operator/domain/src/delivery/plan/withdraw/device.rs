//! Plan, backwards, device side: each setting gets the value back that it had before the service
//! (api section 3, `release`).
//!
//! Decides what becomes of each setting that the service overwrote, and never touches what another
//! service wants or what somebody else has set since. Called by the withdrawal once the service is
//! off on the server side, and by report.

use crate::delivery::{
    Action, Blocked, CarriedItem, Intent, Plan, Reading, ResolvedItem, ResolvedSubscription,
    SavedItem, ServedItem, Wanted, digest,
    model::backoffs::BackoffKey,
    plan::{is_preempted, round::Round, withdraw::Withdrawing},
    previous::{
        Located, handed_on, is_kept, is_of_machine, is_own, known, locate, values::value_from,
        within_limit,
    },
    verify::{compare::is_equal, difference::malformed},
};
use crate::names::{ConnectionName, SubscriptionName};
use crate::reasons::Side;
use crate::remote::{DeviceReading, DeviceWrite, Scalar, Value};
use crate::unreadable::{Referent, UnreadableObjects};
use std::collections::BTreeMap;

use entente_crds::{
    bounded::Text,
    condition::Reason,
    digest::Digest,
    item_key::ItemKey,
    v1alpha1::{Device, Item, Release, ReleasedAs, ServiceSubscription, TakesEffect},
};

/// A setting of a service that has ended, and the next thing to do about it.
#[derive(Clone, Debug)]
pub(in crate::delivery) struct Ending<'a> {
    /// The item in the status.
    pub(in crate::delivery) item: &'a Item,
    /// Digest of the value that is put back, by which its request is known.
    pub(in crate::delivery) digest: Digest,
    /// The next thing to do about it.
    pub(in crate::delivery) next: Next,
}

/// The next thing to do about a setting of a service that has ended.
#[derive(Clone, Debug)]
pub(in crate::delivery) enum Next {
    /// Nothing: this became of it.
    Done(ReleasedAs),
    /// Nothing more: the deadline passed, or a person gave it up.
    GivenUp(Blocked),
    /// Another subscription gets what is kept.
    HandOver(SubscriptionName, SavedItem),
    /// The device has to be read.
    Read(Located),
    /// The value is sent.
    Write(Located, Value),
    /// The value was accepted, and takes effect after a restart of the device.
    Restart,
    /// The last attempt failed.
    Failed(Blocked),
    /// It waits.
    Wait(Blocked),
}

impl Ending<'_> {
    /// True if nothing is done about it any more.
    fn is_over(&self) -> bool {
        matches!(self.next, Next::Done(_) | Next::GivenUp(_))
    }
}

impl Withdrawing<'_> {
    /// True if every setting of the device is released.
    pub(super) fn is_device_released(&self) -> bool {
        self.endings().iter().all(Ending::is_over)
    }

    /// Returns the settings that the service overwrote, each with the next thing to do about it; none
    /// while it has not ended.
    pub(in crate::delivery) fn endings(&self) -> Vec<Ending<'_>> {
        let is_ending = matches!(self.subscription.intent, Intent::Withdraw { .. });
        let object = self.object().filter(|_| is_ending);
        let Some(status) = object.and_then(|it| it.status.as_ref()) else {
            return Vec::new();
        };
        let items = status.items.iter().filter(|item| is_kept(item));
        let mut endings: Vec<Ending<'_>> = items
            .map(|item| {
                let digest = returned_digest(item);
                let next = self.next(item, digest);
                Ending { item, digest, next }
            })
            .collect();
        if self.is_out_of_time() {
            give_up(&mut endings);
        }
        endings
    }

    fn next(&self, item: &Item, digest: Digest) -> Next {
        let snapshot = self.snapshot;
        let Some(previous) = item.previous.as_deref() else {
            return Next::Done(ReleasedAs::Kept);
        };
        // Of a service that is not at hand it is known that a value was kept, which says enough.
        if self.subscription.release == Some(Release::Keep) {
            return Next::Done(ReleasedAs::Kept);
        }
        let Some(device) = snapshot.device.as_deref() else {
            return Next::GivenUp(snapshot.device_not_at_hand());
        };
        if !is_of_machine(snapshot, previous) {
            return Next::Done(ReleasedAs::AnotherMachine);
        }
        let located = match self.located(device, item) {
            Ok(located) => located,
            Err(wait) => return Next::Wait(wait),
        };
        if let Some(next) = self.of_another(item, &located) {
            return next;
        }
        let Some(value) = value_from(located.r#type, &previous.values) else {
            let message = format!("{} has another type in the DeviceModel by now", item.key);
            return Next::Wait(Blocked::new(Reason::UnsupportedByModel, message));
        };
        let at_once = located.takes_effect == TakesEffect::Immediately;
        if at_once && previous.own.is_none() && item.desired_digest == Some(located.digest(&value))
        {
            // It is what the service wanted.
            return Next::Done(ReleasedAs::Restored);
        }
        if device.spec.suspend {
            let message = format!("{} is not put back while the device is suspended", item.key);
            return Next::Wait(Blocked::new(Reason::Suspended, message));
        }
        self.by_reading(item, digest, located, value)
    }

    /// Returns the place of a setting, unless it is not known, or not known who else wants it.
    fn located(&self, device: &Device, item: &Item) -> Result<Located, Blocked> {
        let snapshot = self.snapshot;
        if snapshot.model.is_none() {
            let model = &device.spec.model_ref.name;
            return Err(snapshot.not_at_hand(Referent::DeviceModel, model));
        }
        if let Some(unread) = snapshot.unreadable_subscriptions.first() {
            let words = UnreadableObjects::CANNOT_BE_READ;
            let message = format!(
                "{} is not put back while another subscription on this device may want it: \
                 {unread} {words}",
                item.key
            );
            return Err(Blocked::new(Reason::Undecodable, message));
        }
        locate(snapshot, &item.key).ok_or_else(|| {
            let message = format!(
                "{} cannot be put back: its DeviceModel says no way to set it there any more",
                item.key
            );
            Blocked::new(Reason::UnsupportedByModel, message)
        })
    }

    /// Returns the next thing to do, by the reading of the device.
    fn by_reading(&self, item: &Item, digest: Digest, located: Located, value: Value) -> Next {
        let found = match self.found(item, &located) {
            Ok(Some(found)) => found,
            Ok(None) => return Next::Read(located),
            Err(next) => return *next,
        };
        let name = &self.subscription.name;
        let sent = self.observations.sent(name, &item.key, digest);
        let sent = sent.map(|sent| sent.result.as_ref());
        let returned = item.previous.as_deref().and_then(|it| it.returned);
        let waits_for_restart = located.takes_effect == TakesEffect::AfterRestart;
        let accepted = returned.is_some() || matches!(sent, Some(Ok(())));
        let is_back = is_equal(&value, found);
        let is_proved = !self.is_outdated(&located);
        if is_proved && is_back && (accepted || !waits_for_restart) {
            return Next::Done(ReleasedAs::Restored);
        }
        let is_of_others = !is_back && !is_own(item, &located, found);
        if is_proved && is_of_others {
            return Next::Done(ReleasedAs::ChangedByOthers);
        }
        // What others have set is not overwritten by an older report of the device.
        if is_of_others || self.waits_for_a_call(&located, &value) {
            let message = format!(
                "{} is as before the service after the next {} of the device",
                item.key,
                located.place.news()
            );
            let wait = Blocked::new(Reason::WaitingForDevice, message).on(Side::Device);
            return Next::Wait(wait);
        }
        match sent {
            // The words of the backoff that follows, so that the next pass says the same.
            Some(Err(failure)) => {
                Next::Failed(Blocked::on_device(&self.snapshot.device_name, failure))
            }
            _ if accepted && waits_for_restart => Next::Restart,
            Some(Ok(())) => {
                let message = format!("{} was accepted and is not in effect", item.key);
                let reason = Reason::AcceptedNotEffective;
                Next::Failed(Blocked::new(reason, message).on(Side::Device))
            }
            None => Next::Write(located, value),
        }
    }

    /// True if a device that fetches its settings was asked for a value and has not taken note of it
    /// yet.
    fn waits_for_a_call(&self, located: &Located, value: &Value) -> bool {
        let reading = self.answer_through(&located.connection);
        reading.is_some_and(|reading| reading.waits_for_a_call(&located.place, value))
    }

    /// True if the device reported the value there before it saw what it is asked for.
    fn is_outdated(&self, located: &Located) -> bool {
        let reading = self.answer_through(&located.connection);
        reading.is_some_and(|reading| reading.outdated.contains(&located.place))
    }

    fn answer_through(&self, connection: &ConnectionName) -> Option<&DeviceReading> {
        let reading = self.observations.through(connection).reading.as_ref()?;
        reading.result.as_ref().ok()
    }

    /// Returns the values that this pass read at the place of a setting; `None` if it was not read since it was
    /// last written.
    fn found(&self, item: &Item, located: &Located) -> Result<Option<&[Scalar]>, Box<Next>> {
        let (place, connection) = (&located.place, &located.connection);
        if let Some(claimant) = self.snapshot.claimed_by_another.values().next() {
            let message = format!("{claimant} has the address or the identity of this device");
            let wait = Blocked::new(Reason::AlreadyClaimed, message);
            return Err(Box::new(Next::Wait(wait)));
        }
        if let Some(fault) = self.verified.device_faults.get(connection) {
            let why = fault.clone().on(Side::Device);
            return Err(Box::new(Next::Failed(why)));
        }
        let Some(Reading { result, .. }) = self.observations.through(connection).reading_of(place)
        else {
            return Ok(None);
        };
        let reading = result.as_ref().map_err(|failure| {
            let why = Blocked::on_device(&self.snapshot.device_name, failure);
            Box::new(Next::Failed(why))
        })?;
        let found = reading.values.get(place).map_or(&[][..], Vec::as_slice);
        match malformed(place, Some(found)) {
            None => Ok(Some(found)),
            Some(how) => {
                let message = format!("{}: {how}", item.key);
                let why = Blocked::new(Reason::ProtocolError, message).on(Side::Device);
                Err(Box::new(Next::Failed(why)))
            }
        }
    }

    /// Returns the next thing to do if another subscription wants the place of a setting, or may.
    fn of_another(&self, item: &Item, located: &Located) -> Option<Next> {
        let name = &self.subscription.name;
        let others = self.resolved.subscriptions.iter();
        let mut live = others.filter(|other| other.name != *name && is_live(other));
        let wanted = |other: &ResolvedSubscription| {
            let mut wanted = other.items().filter(|(_, item)| is_at(item, located));
            let (step, wanted) = wanted.next()?;
            let goes_to_it = self.subscription.handed_to.as_ref();
            let is_heir = goes_to_it.is_some_and(|handed| handed.heir == other.name);
            let may_be_sent = !matches!(other.intent, Intent::Scheduled { .. })
                || is_heir
                || other.may_ask(step, self.now);
            may_be_sent.then(|| wanted.clone())
        };
        live.find_map(|other| {
            let object = self.snapshot.subscription(&other.name)?;
            let Some(wanted) = wanted(other) else {
                return may_want(self, other, object, located);
            };
            let own = known(object.status.as_ref(), &wanted.key);
            let own = own.and_then(|own| own.previous.as_deref());
            if own.is_some_and(|own| is_of_machine(self.snapshot, own)) {
                return Some(Next::Done(ReleasedAs::TakenOver));
            }
            let saved = SavedItem {
                key: wanted.key,
                digest: wanted.digest,
                previous: handed_on(item)?,
            };
            Some(Next::HandOver(other.name.clone(), saved))
        })
    }
}

/// True if a subscription keeps its settings in effect, or will as soon as it may.
fn is_live(subscription: &ResolvedSubscription) -> bool {
    let refused = subscription.refused.as_ref();
    match subscription.intent {
        Intent::SetUp => !refused.is_some_and(is_preempted),
        Intent::Suspended | Intent::Scheduled { .. } => true,
        Intent::Withdraw { .. } | Intent::Detach => false,
    }
}

fn is_at(item: &ResolvedItem, located: &Located) -> bool {
    matches!(&item.wanted, Wanted::DeviceSetting { place, .. } if *place == located.place)
}

/// Returns the wait for a subscription whose wants are not known, and which had the place before.
fn may_want(
    withdrawing: &Withdrawing<'_>,
    other: &ResolvedSubscription,
    object: &ServiceSubscription,
    located: &Located,
) -> Option<Next> {
    let fault = other.device_fault.as_ref().or(other.refused.as_ref())?;
    if other.items().any(|(_, item)| item.wanted.is_on_device()) {
        return None;
    }
    let status = object.status.as_ref()?;
    let mut items = status.items.iter().filter(|item| item.released.is_none());
    let has_it = items.any(|item| {
        let of = locate(withdrawing.snapshot, &item.key);
        of.is_some_and(|of| of.place == located.place)
    });
    let message = format!(
        "{} may want {} as well: {}",
        other.name, located.place, fault.message
    );
    has_it.then(|| Next::Wait(Blocked::new(fault.reason, message)))
}

/// Returns the digest by which the request that puts a value back is known.
fn returned_digest(item: &Item) -> Digest {
    let values = item.previous.as_deref().map(|previous| &previous.values);
    let values: Vec<&str> = values.into_iter().flatten().map(Text::as_str).collect();
    digest(&("returned", values))
}

/// Decides what becomes of the settings when no time is left: what met a problem is given up, and what
/// was not tried yet is tried once, unless the device fails.
fn give_up(endings: &mut [Ending<'_>]) {
    let failed = endings.iter().find_map(|ending| match &ending.next {
        Next::Failed(why) => Some(why.clone()),
        _ => None,
    });
    for Ending { item, next, .. } in endings {
        let met = || {
            let problem = item.problem.as_deref()?;
            let message = problem.message.to_string();
            Some(Blocked::new(problem.outcome, message).on(Side::Device))
        };
        let why = match next {
            Next::Done(_) | Next::GivenUp(_) => None,
            // It was asked, and did not call.
            Next::Wait(why) if why.reason == Reason::WaitingForDevice => Some(Blocked {
                reason: Reason::TimedOut,
                ..why.clone()
            }),
            Next::Failed(why) | Next::Wait(why) => Some(why.clone()),
            Next::Restart => Some(Blocked {
                reason: Reason::AcceptedNotEffective,
                ..restarts(&item.key)
            }),
            Next::Read(_) | Next::Write(..) | Next::HandOver(..) => {
                met().or_else(|| failed.clone())
            }
        };
        if let Some(why) = why {
            *next = Next::GivenUp(why);
        }
    }
}

/// Plans the next actions towards the release of the settings of a device.
pub(super) fn withdraw_device(round: &Round<'_>, withdrawing: &Withdrawing<'_>, plan: &mut Plan) {
    let name = &withdrawing.subscription.name;
    let mut handed: BTreeMap<SubscriptionName, Vec<SavedItem>> = BTreeMap::new();
    for ending in withdrawing.endings() {
        let carried = CarriedItem {
            key: ending.item.key.clone(),
            digest: ending.digest,
        };
        match ending.next {
            Next::Done(_) | Next::GivenUp(_) => {}
            Next::Restart => plan.wait(name, restarts(&carried.key)),
            Next::Read(located) => match round.pending(&BackoffKey::device(&located.connection)) {
                Some(wait) => plan.wait(name, wait),
                None => round.read_device(&located.connection, plan),
            },
            Next::Write(located, value) => match round.may_put_back(name, &carried, &located) {
                Err(wait) => plan.wait(name, wait),
                Ok(()) => plan.actions.push(put_back(name, carried, located, value)),
            },
            Next::HandOver(heir, saved) => {
                let key = BackoffKey::item(&heir, &saved.key, saved.digest);
                match round.backoffs.pending(&key, None, round.now) {
                    Some(wait) => plan.wait(name, wait),
                    None => handed.entry(heir).or_default().push(saved),
                }
            }
            Next::Failed(why) | Next::Wait(why) => {
                let key = BackoffKey::item(name, &carried.key, carried.digest);
                let own = round.backoffs.pending(&key, None, round.now);
                let until = own.and_then(|own| own.until).or(why.until);
                plan.wait(name, Blocked { until, ..why });
            }
        }
    }
    for (heir, items) in handed {
        let object = round.snapshot.subscription(&heir);
        let status = object.and_then(|object| object.status.as_ref());
        plan.actions.push(Action::RecordPrevious {
            subscription: heir,
            items: within_limit(status, items),
        });
    }
}

impl Round<'_> {
    /// Returns the obstacle to the request that puts a value back.
    fn may_put_back(
        &self,
        subscription: &SubscriptionName,
        item: &CarriedItem,
        located: &Located,
    ) -> Result<(), Blocked> {
        let key = BackoffKey::item(subscription, &item.key, item.digest);
        let own = self.backoffs.pending(&key, None, self.now);
        let device = || self.pending(&BackoffKey::device(&located.connection));
        let unpinned = || self.snapshot.unpinned(&located.connection);
        own.or_else(device).or_else(unpinned).map_or(Ok(()), Err)
    }
}

fn restarts(key: &ItemKey) -> Blocked {
    let message = format!("{key} is as before the service after a restart of the device");
    Blocked::new(Reason::AwaitingRestart, message).on(Side::Device)
}

fn put_back(
    subscription: &SubscriptionName,
    item: CarriedItem,
    located: Located,
    value: Value,
) -> Action {
    Action::WriteDevice {
        connection: located.connection,
        write: DeviceWrite {
            place: located.place,
            manner: located.manner,
            value,
        },
        items: vec![ServedItem {
            subscription: subscription.clone(),
            item,
        }],
    }
}
