//! Report: the items of a service that has ended.
//!
//! Decides what an item is said to be while its service is withdrawn, and once it is. Called by the
//! report of items.

use entente_crds::{
    item_key::ItemKind,
    v1alpha1::{Item, ItemState, ServiceSubscriptionStatus},
};

use crate::delivery::{Intent, plan::withdraw::Withdrawal, report::Report};

impl Report<'_> {
    /// Returns the items of a service that is withdrawn, or left as it is.
    pub(super) fn released(
        &self,
        previous: &ServiceSubscriptionStatus,
        withdrawal: &Withdrawal,
    ) -> Vec<Item> {
        match (&self.subscription.intent, withdrawal) {
            (Intent::Withdraw { .. }, Withdrawal::Released) => {
                self.kept(previous).map(released).collect()
            }
            _ => self.kept(previous).collect(),
        }
    }
}

/// Returns an item of a service that was withdrawn. A setting made on the device stays as it is.
fn released(item: Item) -> Item {
    if item.key.kind() == Some(ItemKind::DeviceSetting) {
        return item;
    }
    Item {
        state: ItemState::Released,
        proof: None,
        problem: None,
        ..item
    }
}
