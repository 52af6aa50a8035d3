//! Plan, backwards: a service that has ended is taken back.
//!
//! Decides the state of a withdrawal as a whole, its order, and when it is cut short. What is removed
//! from a service server is decided by `server`, what is put back on the device by `device`: the
//! service is off before its settings go. Called by plan after every set-up, and by report.

use entente_crds::v1alpha1::ServiceSubscription;
use jiff::Timestamp;

use crate::delivery::{
    DeviceSnapshot, Intent, Observations, Plan, ResolvedDevice, ResolvedSubscription, Verified,
    plan::{round::Round, turns},
};

pub(in crate::delivery) mod device;
mod server;

pub(super) use self::server::remove;

/// State of a withdrawal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::delivery) enum Withdrawal {
    /// Nothing is left on the service server, nor to be done on the device.
    Released,
    /// It is not finished.
    UnderWay,
    /// Its deadline passed, or a person abandoned it: the instance is left as an orphan.
    Abandoned,
}

/// A subscription of which something may have to be taken back.
#[derive(Clone, Copy)]
pub(in crate::delivery) struct Withdrawing<'a> {
    pub(in crate::delivery) snapshot: &'a DeviceSnapshot,
    pub(in crate::delivery) resolved: &'a ResolvedDevice,
    pub(in crate::delivery) subscription: &'a ResolvedSubscription,
    pub(in crate::delivery) verified: &'a Verified,
    pub(in crate::delivery) observations: &'a Observations,
    pub(in crate::delivery) now: Timestamp,
}

impl<'a> Withdrawing<'a> {
    /// Returns the state of the withdrawal.
    pub(in crate::delivery) fn state(&self) -> Withdrawal {
        match self.of_server() {
            Withdrawal::UnderWay => Withdrawal::UnderWay,
            _ if !self.is_device_released() => Withdrawal::UnderWay,
            ended => ended,
        }
    }

    fn object(&self) -> Option<&'a ServiceSubscription> {
        self.snapshot.subscription(&self.subscription.name)
    }

    /// True if the withdrawal is cut short: its deadline passed, or a person gave it up. If the
    /// operator was down until the deadline, it still makes one attempt.
    fn is_out_of_time(&self) -> bool {
        let Intent::Withdraw { since, .. } = self.subscription.intent else {
            return false;
        };
        let status = self.object().and_then(|object| object.status.as_ref());
        let tried = status.is_some_and(|status| status.ended.is_some());
        let lasts = self.now.duration_since(since);
        self.is_abandoned() || tried && lasts >= self.snapshot.withdraw_deadline
    }

    /// True if a person gave up the withdrawal of a subscription, or those of a whole contract.
    fn is_abandoned(&self) -> bool {
        self.object().is_some_and(|object| {
            let annotations = object.metadata.annotations.as_ref();
            annotations.is_some_and(|all| all.contains_key(entente_crds::ANNOTATION_ABANDON))
                || self
                    .snapshot
                    .abandoned_contracts
                    .contains(&object.spec.contract.uid)
        })
    }
}

impl Round<'_> {
    /// Returns a subscription of which something may have to be taken back.
    pub(in crate::delivery) fn withdrawing<'a>(
        &'a self,
        subscription: &'a ResolvedSubscription,
    ) -> Option<Withdrawing<'a>> {
        Some(Withdrawing {
            snapshot: self.snapshot,
            resolved: self.resolved,
            subscription,
            verified: self.verified.get(&subscription.name)?,
            observations: self.observations,
            now: self.now,
        })
    }
}

/// Plans the next action of a withdrawal.
pub(in crate::delivery) fn withdraw(
    round: &Round<'_>,
    subscription: &ResolvedSubscription,
    plan: &mut Plan,
) {
    let (snapshot, verified) = (round.snapshot, round.verified);
    if let Some(wait) = turns::awaits_the_other(snapshot, verified, subscription, round.now) {
        plan.wait(&subscription.name, wait);
        return;
    }
    let Some(withdrawing) = round.withdrawing(subscription) else {
        return;
    };
    if withdrawing.of_server() == Withdrawal::UnderWay {
        server::withdraw_server(round, subscription, plan);
    } else {
        device::withdraw_device(round, &withdrawing, plan);
    }
}
