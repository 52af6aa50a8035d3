//! Plan, device side: read first, then set what differs, each place by itself.
//!
//! Each connection of the device proceeds by itself: one that is down blocks its own items only.

use entente_crds::v1alpha1::ItemState;

use crate::delivery::plan::{Action, Plan, round::Round};
use crate::delivery::{
    Blocked, ResolvedItem, ResolvedStep, ResolvedSubscription, ServedItem, Verified, Wanted,
    model::backoffs::BackoffKey,
};
use crate::names::ConnectionName;
use crate::reasons::Side;

impl Round<'_> {
    pub(super) fn device_step(
        &self,
        subscription: &ResolvedSubscription,
        step: &ResolvedStep,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        // An item that moves with the switch waits for all that comes before it.
        let conflicts = step.items.iter().filter(|it| !it.moves_with_the_switch());
        for conflict in conflicts.filter_map(|item| item.conflict.as_ref()) {
            plan.wait(&subscription.name, conflict.clone());
        }
        self.keep_previous(subscription, step, verified, plan);
        for connection in connections_of(step) {
            self.device_step_through(connection, subscription, step, verified, plan);
        }
    }

    /// Plans the items of a step that one connection carries.
    fn device_step_through(
        &self,
        connection: &ConnectionName,
        subscription: &ResolvedSubscription,
        step: &ResolvedStep,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        let key = BackoffKey::device(connection);
        let backoff = self.pending(&key);
        if let Some(fault) = verified.device_faults.get(connection) {
            let until = backoff.and_then(|backoff| backoff.until);
            plan.wait(
                &subscription.name,
                Blocked {
                    until,
                    side: Some(Side::Device),
                    ..fault.clone()
                },
            );
            return;
        }
        let items = || items_through(step, connection);
        let was_read = self.observations.through(connection).reading.is_some();
        let restarting = || {
            let mut proved = items().filter_map(|item| verified.item(&item.key));
            let waits = [ItemState::AwaitingRestart, ItemState::InProgress];
            proved.any(|item| waits.contains(&item.state))
        };
        let rest = || items().all(|item| self.is_settled(subscription, item, verified));
        if !was_read && (restarting() || !rest()) {
            self.read_device(connection, plan);
        }
        if let Some(backoff) = backoff {
            plan.wait(&subscription.name, backoff);
        } else if let Some(unpinned) = self.snapshot.unpinned(connection)
            && was_read
        {
            if !rest() {
                plan.wait(&subscription.name, unpinned);
            }
        } else if was_read {
            for item in items() {
                self.write_item(subscription, item, verified, plan);
            }
        }
    }

    fn write_item(
        &self,
        subscription: &ResolvedSubscription,
        item: &ResolvedItem,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        let Wanted::DeviceSetting { connection, .. } = &item.wanted else {
            return;
        };
        let name = &subscription.name;
        let observations = self.observations;
        let sent = observations.sent_or_ended(name, &item.key, item.digest);
        if sent.is_some() || self.is_settled(subscription, item, verified) {
            return;
        }
        let Some(write) = item.wanted.device_write() else {
            return;
        };
        let entry = ServedItem {
            subscription: subscription.name.clone(),
            item: item.carried(),
        };
        // Two services that want the same value share one write.
        let shared = plan.actions.iter_mut().find_map(|action| match action {
            Action::WriteDevice {
                write: planned,
                items,
                ..
            } if *planned == write => Some(items),
            _ => None,
        });
        match shared {
            Some(items) => items.push(entry),
            None => plan.actions.push(Action::WriteDevice {
                connection: connection.clone(),
                write,
                items: vec![entry],
            }),
        }
    }
}

/// Returns the connections that the items of a step go through, each once, in the order of the
/// items.
fn connections_of(step: &ResolvedStep) -> Vec<&ConnectionName> {
    let mut connections = Vec::new();
    for item in &step.items {
        if let Wanted::DeviceSetting { connection, .. } = &item.wanted
            && !connections.contains(&connection)
        {
            connections.push(connection);
        }
    }
    connections
}

fn items_through<'a>(
    step: &'a ResolvedStep,
    connection: &ConnectionName,
) -> impl Iterator<Item = &'a ResolvedItem> {
    step.items.iter().filter(move |item| {
        matches!(&item.wanted, Wanted::DeviceSetting { connection: through, .. }
            if through == connection)
    })
}
