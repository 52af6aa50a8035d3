//! Lateness: the devices on which promises were late, and what made them so.
//!
//! Adds up the delays of missed promises, by device, cause and reason; a service that is gone is taken
//! from its Compensation. It judges no promise: only those count that were judged Missed.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::duration::Duration;
use entente_crds::v1alpha1::{Cause, Compensation, Promise, PromiseState, ServiceSubscription};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::time::format_duration;

/// The delays that are asked for; an absent field asks for all.
#[derive(Clone, Debug, Default)]
pub struct LatenessFilter {
    /// First promised instant.
    pub since: Option<Timestamp>,
    /// Name of the contract.
    pub contract: Option<String>,
    /// The side that caused it.
    pub cause: Option<Cause>,
}

/// A device with its delays.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LateDevice {
    /// Namespace of the Device.
    pub namespace: String,
    /// Name of the Device.
    pub device: String,
    /// Names of the contracts whose promises were missed on it.
    pub contracts: BTreeSet<String>,
    /// Number of promises that were missed.
    pub promises: usize,
    /// All of the time, such as `7h12m`.
    pub late: String,
    /// True if a part of it still lasts.
    pub lasts: bool,
    /// The time of each cause and reason, the longest first.
    pub parts: Vec<LatePart>,
    #[serde(skip)]
    length: SignedDuration,
}

/// Delay of one cause and reason.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LatePart {
    /// The side that caused it.
    pub cause: Cause,
    /// Reason of the item that was not in effect.
    pub reason: String,
    /// The time, such as `7h12m`.
    pub late: String,
    #[serde(skip)]
    length: SignedDuration,
}

#[derive(Default)]
struct Sum {
    contracts: BTreeSet<String>,
    promises: usize,
    lasts: bool,
    parts: BTreeMap<(String, String), (Cause, SignedDuration)>,
}

impl Sum {
    fn add(&mut self, cause: Cause, reason: &str, length: SignedDuration) {
        let key = (format!("{cause:?}"), reason.to_owned());
        let part = self
            .parts
            .entry(key)
            .or_insert((cause, SignedDuration::ZERO));
        part.1 = part.1.saturating_add(length);
    }
}

/// Returns the devices with missed promises, the one with the most time first.
pub fn late_devices<'a>(
    subscriptions: impl IntoIterator<Item = &'a ServiceSubscription>,
    compensations: impl IntoIterator<Item = &'a Compensation>,
    filter: &LatenessFilter,
    now: Timestamp,
) -> Vec<LateDevice> {
    let mut sums = Sums::default();
    // What a subscription says of a promise comes before what a record says of it.
    let mut told: BTreeSet<(String, Timestamp)> = BTreeSet::new();
    for found in subscriptions {
        let uid = found.metadata.uid.clone().unwrap_or_default();
        let promises = found.status.iter().flat_map(|status| &status.promises);
        for promise in promises.filter(|it| it.state == PromiseState::Missed) {
            told.insert((uid.clone(), promise.effective));
            if filter.asks_for(&found.spec.contract.name, promise.effective) {
                sums.add_promise(found, promise, filter, now);
            }
        }
    }
    // A voided record says nothing, and the one that was issued in its place does.
    let records = compensations.into_iter();
    for found in records.filter(|it| it.spec.voided.is_none()) {
        let record = &found.spec.record;
        let is_new = told.insert((record.subscription.uid.clone(), record.promised));
        if is_new && filter.asks_for(&record.contract.name, record.promised) {
            sums.add_record(found, filter);
        }
    }
    let mut devices: Vec<LateDevice> = sums.0.into_iter().map(device).collect();
    // Stable, so that equal ones are in the order of their names.
    devices.sort_by_key(|it| std::cmp::Reverse(it.length));
    devices
}

/// Sums by namespace and name of the device.
#[derive(Default)]
struct Sums(BTreeMap<(String, String), Sum>);

impl Sums {
    /// Adds the delays of a missed promise, if some are asked for.
    fn add_promise(
        &mut self,
        of: &ServiceSubscription,
        promise: &Promise,
        filter: &LatenessFilter,
        now: Timestamp,
    ) {
        let delays = promise.delays.iter().filter(|it| filter.wants(it.cause));
        let mut delays = delays.peekable();
        if delays.peek().is_none() {
            return;
        }
        let (device, contract) = (&of.spec.device_ref.name, &of.spec.contract.name);
        let sum = self.of_promise(of.metadata.namespace.as_deref(), device, contract);
        for delay in delays {
            sum.lasts |= delay.until.is_none();
            let length = delay.until.unwrap_or(now).duration_since(delay.from);
            sum.add(delay.cause, &delay.reason, length.max(SignedDuration::ZERO));
        }
    }

    /// Adds the delays that a record tells of a promise, if some are asked for.
    fn add_record(&mut self, found: &Compensation, filter: &LatenessFilter) {
        let lateness = found.status.as_ref().and_then(|it| it.lateness.as_ref());
        let causes = lateness.iter().flat_map(|it| &it.causes);
        let mut causes = causes.filter(|it| filter.wants(it.cause)).peekable();
        if causes.peek().is_none() {
            return;
        }
        let record = &found.spec.record;
        let (device, contract) = (&record.device.name, &record.contract.name);
        let sum = self.of_promise(found.metadata.namespace.as_deref(), device, contract);
        for part in causes {
            let length = Duration::from(part.counted.as_str()).length();
            sum.add(part.cause, &part.reason, length.unwrap_or_default());
        }
    }

    /// Returns the sum of a device, with one promise of a contract more.
    fn of_promise(&mut self, namespace: Option<&str>, device: &str, contract: &str) -> &mut Sum {
        let namespace = namespace.unwrap_or_default().to_owned();
        let sum = self.0.entry((namespace, device.to_owned())).or_default();
        sum.contracts.insert(contract.to_owned());
        sum.promises += 1;
        sum
    }
}

impl LatenessFilter {
    fn wants(&self, cause: Cause) -> bool {
        self.cause.is_none_or(|wanted| wanted == cause)
    }

    fn asks_for(&self, contract: &str, promised: Timestamp) -> bool {
        self.contract.as_deref().is_none_or(|it| it == contract)
            && self.since.is_none_or(|since| promised >= since)
    }
}

fn device(((namespace, device), sum): ((String, String), Sum)) -> LateDevice {
    let parts = sum.parts.into_iter();
    let mut parts: Vec<LatePart> = parts
        .map(|((_, reason), (cause, length))| LatePart {
            cause,
            reason,
            late: format_duration(length),
            length,
        })
        .collect();
    parts.sort_by_key(|it| std::cmp::Reverse(it.length));
    let length = parts.iter().fold(SignedDuration::ZERO, |all, part| {
        all.saturating_add(part.length)
    });
    LateDevice {
        namespace,
        device,
        contracts: sum.contracts,
        promises: sum.promises,
        late: format_duration(length),
        lasts: sum.lasts,
        parts,
        length,
    }
}
