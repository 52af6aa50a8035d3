//! Plan, device side: read first, then set what differs, each attribute by itself.

use entente_crds::{condition::Reason, v1alpha1::ItemState};
use jiff::Timestamp;

use super::{Action, Plan, round::Round};
use crate::{
    delivery::{
        ResolvedSubscription, Verified,
        blocked::Blocked,
        item::{ResolvedItem, Wanted},
        resolved::ResolvedStep,
    },
    exchange::{DeviceWrite, SettingWrite},
    retry::HoldKey,
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
            let until = self.holds.until(&HoldKey::Device, self.now);
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
            if let Some(until) = self.holds.until(&HoldKey::Device, self.now) {
                plan.wait(&subscription.name, self.device_held(verified, until));
            }
            return;
        }
        if let Some(until) = self.holds.until(&HoldKey::Device, self.now) {
            plan.wait(&subscription.name, self.device_held(verified, until));
            return;
        }
        for item in &step.items {
            self.write_item(subscription, item, verified, plan);
        }
    }

    fn device_held(&self, verified: &Verified, until: Timestamp) -> Blocked {
        if let Some((reason, message)) = self.holds.why(&HoldKey::Device) {
            let message = format!("the device {}: {message}", self.world.device_name);
            return Blocked::until(*reason, message, until);
        }
        let problem = verified.items.iter().find_map(|item| item.problem.as_ref());
        problem.map_or_else(
            || {
                Blocked::until(
                    Reason::Unreachable,
                    format!("the device {} did not answer", self.world.device_name),
                    until,
                )
            },
            |problem| {
                Blocked::until(
                    crate::assessment::reason_of_outcome(problem.outcome),
                    problem.message.clone(),
                    until,
                )
            },
        )
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
