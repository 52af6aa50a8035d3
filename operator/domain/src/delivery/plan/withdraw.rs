//! Plan, backwards: a service that has ended is taken back.
//!
//! Decides the state of a withdrawal as a whole, and who may cut it short. What is removed from a
//! service server, and how, is decided by `server`. Device settings stay as they are. Called by plan
//! after every set-up, and by report.

use jiff::Timestamp;

use crate::delivery::{
    DeviceSnapshot, Observations, Plan, ResolvedSubscription, plan::round::Round,
};

mod server;

pub(super) use self::server::remove;

/// State of a withdrawal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::delivery) enum Withdrawal {
    /// Nothing is left on the service server.
    Released,
    /// It is not finished.
    UnderWay,
    /// Its deadline passed, or a person abandoned it: the instance is left as an orphan.
    Abandoned,
}

/// Returns the state of a subscription's withdrawal.
pub(in crate::delivery) fn withdrawal(
    snapshot: &DeviceSnapshot,
    subscription: &ResolvedSubscription,
    observations: &Observations,
    now: Timestamp,
) -> Withdrawal {
    server::of_server(snapshot, subscription, observations, now)
}

/// Plans the next action of a withdrawal.
pub(in crate::delivery) fn withdraw(
    round: &Round<'_>,
    subscription: &ResolvedSubscription,
    plan: &mut Plan,
) {
    if withdrawal(round.snapshot, subscription, round.observations, round.now)
        == Withdrawal::UnderWay
    {
        server::withdraw_server(round, subscription, plan);
    }
}

/// True if a person gave up a withdrawal: that of a subscription, or those of a whole contract.
fn is_abandoned(snapshot: &DeviceSnapshot, subscription: &ResolvedSubscription) -> bool {
    let object = snapshot.subscription(&subscription.name);
    object.is_some_and(|object| {
        let annotations = object.metadata.annotations.as_ref();
        annotations.is_some_and(|all| all.contains_key(entente_crds::ANNOTATION_ABANDON))
            || snapshot
                .abandoned_contracts
                .contains(&object.spec.contract.uid)
    })
}
