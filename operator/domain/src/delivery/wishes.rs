//! The wishes of people that a device is read now: that of the Device, and those of the contracts of
//! its subscriptions (the annotation entente.dev/reconcile-at).
//!
//! Decides which of them are open: each is done once for each object whose status repeats it, the
//! Device or the subscription. A wish of a contract is one of each of its subscriptions, because only
//! the device of one was asked for. It never decides what is read. Called by the delivery controller
//! for its snapshot, by the pass and by the report of a subscription.

use std::collections::BTreeSet;

use entente_crds::v1alpha1::{Device, ServiceSubscription};

use crate::{
    delivery::DeviceSnapshot,
    reconcile_wish::{Wish, reconcile_wish},
};

/// A wish that was not done yet.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct OpenWish {
    /// The uid of the contract that has it; `None`: it is that of the Device.
    contract: Option<String>,
    wish: Wish,
}

impl OpenWish {
    /// Returns a wish of a Device.
    #[cfg(test)]
    pub(in crate::delivery) fn of_device(wish: &str) -> Self {
        Self {
            contract: None,
            wish: wish.into(),
        }
    }
}

/// True if a person asked for a full read-back of the Device and it was not acted on yet.
pub fn is_reconcile_requested(device: &Device) -> bool {
    open_wish_of(device).is_some()
}

fn open_wish_of(device: &Device) -> Option<Wish> {
    let status = device.status.as_ref();
    let handled = status.and_then(|status| status.last_handled_reconcile_at.as_ref());
    reconcile_wish(device).filter(|wish| Some(wish) != handled)
}

impl DeviceSnapshot {
    /// Returns the wishes that are open. Without a Device there is nothing to read, and so none.
    pub fn open_wishes(&self) -> BTreeSet<OpenWish> {
        let Some(device) = &self.device else {
            return BTreeSet::new();
        };
        let of_device = open_wish_of(device).map(|wish| OpenWish {
            contract: None,
            wish,
        });
        let of_contracts = self.subscriptions.iter().filter_map(|subscription| {
            let wish = self.wish_for(subscription)?;
            let status = subscription.status.as_ref();
            let handled = status.and_then(|status| status.last_handled_reconcile_at.as_ref());
            (handled != Some(wish)).then(|| OpenWish {
                contract: Some(subscription.spec.contract.uid.clone()),
                wish: wish.clone(),
            })
        });
        of_device.into_iter().chain(of_contracts).collect()
    }

    /// Returns the wish of the contract of a subscription, done or not.
    pub(in crate::delivery) fn wish_for(
        &self,
        subscription: &ServiceSubscription,
    ) -> Option<&Wish> {
        self.contract_wishes.get(&subscription.spec.contract.uid)
    }
}
