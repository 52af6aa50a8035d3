//! Report: the settings of a device that somebody has changed and that are left so.
//!
//! Decides which of them the status of the device tells, and since when. An entry lasts as long as its
//! difference, also while its service is suspended or cannot be resolved. Called by the report of a device.

use std::collections::BTreeMap;

use entente_crds::{
    item_key::ItemKind,
    v1alpha1::{DeviceStatus, DriftPolicy, DriftedSetting, Item, ItemState, MAX_DRIFT},
};

use crate::delivery::{
    Intent, ResolvedSubscription, Verified, report::device::Report, verify::VerifiedItem,
};

impl Report<'_> {
    /// Returns the settings that are left as somebody has changed them.
    pub(super) fn drift(&self, previous: &DeviceStatus) -> Vec<DriftedSetting> {
        let device = self.snapshot.device.as_deref();
        let policy = device.and_then(|device| device.spec.drift_policy);
        if policy != Some(DriftPolicy::Report) {
            return Vec::new();
        }
        let mut drift: BTreeMap<&str, DriftedSetting> = BTreeMap::new();
        for subscription in &self.resolved.subscriptions {
            let goes_on = matches!(
                subscription.intent,
                Intent::SetUp | Intent::Suspended | Intent::Scheduled { .. }
            );
            let Some(report) = self.reports.get(&subscription.name).filter(|_| goes_on) else {
                continue;
            };
            for item in &report.status.items {
                let Some(found) = self.drifted_setting(subscription, item, previous) else {
                    continue;
                };
                drift.entry(item.key.as_str()).or_insert(found);
            }
        }
        drift.into_values().take(MAX_DRIFT).collect()
    }

    /// Returns an item as a setting that is left as somebody has changed it; `None` if it is none.
    fn drifted_setting(
        &self,
        subscription: &ResolvedSubscription,
        item: &Item,
        previous: &DeviceStatus,
    ) -> Option<DriftedSetting> {
        let is_setting = item.key.kind() == Some(ItemKind::DeviceSetting);
        let differs = item.was_effective && item.state == ItemState::NotEffective;
        let name = item.key.name().filter(|_| is_setting && differs)?;
        let desired_digest = item.desired_digest?;
        let mut known = previous.drift.iter();
        let known = known.find(|it| it.name == name && it.desired_digest == desired_digest);
        let verified = self.verified.get(&subscription.name);
        let is_left = match verified.and_then(|verified| verified.item(&item.key)) {
            Some(verified) => verified.drifts,
            // What the service wants is not known at present.
            None => known.is_some(),
        };
        is_left.then(|| DriftedSetting {
            name: name.to_owned(),
            desired_digest,
            observed_digest: item.observed_digest,
            since: known
                .map(|known| known.since)
                .or(item.last_verified)
                .unwrap_or(self.now),
        })
    }

    /// Returns the settings of services in force that are left as somebody has changed them.
    pub(super) fn drifted(&self) -> impl Iterator<Item = &VerifiedItem> {
        self.in_force()
            .filter_map(|subscription| self.verified.get(&subscription.name))
            .flat_map(Verified::drifted)
    }
}
