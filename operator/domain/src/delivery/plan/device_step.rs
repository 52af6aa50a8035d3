//! Plan, device side: read first, then set what differs, each attribute by itself.

use entente_crds::v1alpha1::ItemState;

use super::{Action, Plan, round::Round};
use crate::{
    delivery::{
        ResolvedSubscription, Verified,
        backoffs::BackoffKey,
        blocked::Blocked,
        item::{ResolvedItem, Wanted},
        resolved::ResolvedStep,
    },
    exchange::{DeviceWrite, SettingWrite},
};

impl Round<'_> {
    pub(super) fn device_step(
        &self,
        subscription: &ResolvedSubscription,
        step: &ResolvedStep,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        for conflict in step.items.iter().filter_map(|item| item.conflict.as_ref()) {
            plan.wait(&subscription.name, conflict.clone());
        }
        if let Some(fault) = &verified.device_fault {
            let held = self.backoffs.held(&BackoffKey::Device, self.now);
            let until = held.and_then(|held| held.until);
            plan.wait(
                &subscription.name,
                Blocked {
                    until,
                    ..fault.clone()
                },
            );
            return;
        }
        if self.facts.device.is_none() {
            let restarting = verified
                .of_step(step.r#type)
                .any(|item| item.state == ItemState::AwaitingRestart);
            let waits = step
                .items
                .iter()
                .all(|item| self.rests(subscription, item, verified));
            if restarting || !waits {
                self.read_device(plan);
            }
            if let Some(held) = self.backoffs.held(&BackoffKey::Device, self.now) {
                plan.wait(&subscription.name, held);
            }
            return;
        }
        if let Some(held) = self.backoffs.held(&BackoffKey::Device, self.now) {
            plan.wait(&subscription.name, held);
            return;
        }
        for item in &step.items {
            self.write_item(subscription, item, verified, plan);
        }
    }

    fn write_item(
        &self,
        subscription: &ResolvedSubscription,
        item: &ResolvedItem,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        let Wanted::DeviceSetting {
            attribute,
            syntax,
            operation,
            value,
            ..
        } = &item.wanted
        else {
            return;
        };
        let sent = self
            .facts
            .sent
            .get(&(subscription.name.clone(), item.key.clone()));
        let sent = sent.is_some_and(|sent| sent.digest == item.digest);
        if sent || self.rests(subscription, item, verified) {
            return;
        }
        let write = DeviceWrite {
            operation: *operation,
            settings: vec![SettingWrite {
                attribute: attribute.clone(),
                syntax: *syntax,
                value: value.clone(),
            }],
        };
        let entry = (
            subscription.name.clone(),
            item.key.clone(),
            item.digest.clone(),
        );
        // Two services that want the same value share one write.
        let shared = plan.actions.iter_mut().find_map(|action| match action {
            Action::WriteDevice {
                write: planned,
                items,
            } if *planned == write => Some(items),
            _ => None,
        });
        match shared {
            Some(items) => items.push(entry),
            None => plan.actions.push(Action::WriteDevice {
                write,
                items: vec![entry],
            }),
        }
    }
}
