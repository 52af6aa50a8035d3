//! Report: the software of a device, in its status.
//!
//! Decides what the device's own conditions say of the firmware and the applications that services need,
//! and lists the firmware that it reported. Called by the report of the device.

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{DeviceFirmware, DeviceStatus, ItemState, SoftwarePart, StepType},
};

use crate::condition::{ConditionSet, Status, is_allowed, sentence};
use crate::delivery::{report::device::Report, verify::VerifiedItem};

/// The most pieces of firmware that a status lists.
const MOST_FIRMWARE: usize = 16;

/// True if a problem of an item of this step is one of the device as a whole.
pub(super) fn is_of_settings_or_software(step: StepType) -> bool {
    match step {
        StepType::DeviceSettings
        | StepType::DataTypes
        | StepType::Firmware
        | StepType::Applications => true,
        StepType::ServerSettings | StepType::Activation | StepType::Acceptance => false,
    }
}

impl Report<'_> {
    /// States what became of the software that services in force need; nothing where none does.
    pub(super) fn software(&self, mut set: ConditionSet) -> ConditionSet {
        for (condition, step) in [
            (ConditionType::FirmwareCurrent, StepType::Firmware),
            (ConditionType::ApplicationsInstalled, StepType::Applications),
        ] {
            set = self.software_of(set, condition, step);
        }
        set
    }

    fn software_of(
        &self,
        set: ConditionSet,
        condition: ConditionType,
        step: StepType,
    ) -> ConditionSet {
        let subscriptions = self.in_force();
        let all = subscriptions.filter_map(|subscription| {
            let verified = self.verified.get(&subscription.name)?;
            Some((subscription, verified))
        });
        let items = all.flat_map(|(subscription, verified)| {
            verified.of_step(step).map(move |item| (subscription, item))
        });
        let items: Vec<_> = items.collect();
        if items.is_empty() {
            return set;
        }
        let open = items.iter().filter(|(_, it)| !is_effective(it));
        let first = open.clone().find(|(_, item)| item.problem.is_some());
        let Some((subscription, item)) = first.or_else(|| open.clone().next()) else {
            let message = "The device reports every version that is needed, or a newer one.";
            return set.with(condition, Status::True, Reason::Succeeded, message);
        };
        let (reason, message) = match &item.problem {
            Some(problem) => (problem.outcome, sentence(&problem.message)),
            None => self.said_of(&subscription.name, condition),
        };
        set.with(condition, Status::False, reason, message)
    }

    /// Returns reason and message of the subscription's own condition of the device, where it has one.
    fn said_of(
        &self,
        subscription: &crate::names::SubscriptionName,
        condition: ConditionType,
    ) -> (Reason, String) {
        let report = self.reports.get(subscription);
        let conditions = report.map(|report| &report.status.conditions);
        let said = conditions.and_then(|conditions| {
            crate::condition::find(conditions, ConditionType::DeviceConfigured)
        });
        let said = said.filter(|said| said.status == Status::False.as_str());
        let told = said.and_then(|said| {
            let mut reasons = Reason::ALL.iter().copied();
            let reason = reasons.find(|it| it.as_str() == said.reason)?;
            is_allowed(condition, reason).then(|| (reason, said.message.to_string()))
        });
        told.unwrap_or_else(|| {
            let message = "Software is being installed, and the device has not reported it yet.";
            (Reason::Progressing, message.to_owned())
        })
    }

    /// Returns the firmware that the device reported last.
    pub(super) fn firmware(&self, previous: &DeviceStatus) -> Vec<DeviceFirmware> {
        let known = previous
            .identity
            .as_ref()
            .map(|identity| &identity.firmware);
        let connections = self.device.spec.connections.iter();
        let mut said = connections.filter_map(|it| self.said_by_its_own(&it.name));
        let Some(reading) = said.find(|reading| !reading.software.versions.is_empty()) else {
            return known.cloned().unwrap_or_default();
        };
        let versions = reading.software.versions.iter();
        let firmware = versions.filter(|((part, _), _)| *part == SoftwarePart::Firmware);
        let listed = firmware.map(|((_, name), version)| DeviceFirmware {
            name: name.as_str().into(),
            version: version.as_str().into(),
        });
        listed.take(MOST_FIRMWARE).collect()
    }
}

fn is_effective(item: &VerifiedItem) -> bool {
    item.state == ItemState::Effective
}
