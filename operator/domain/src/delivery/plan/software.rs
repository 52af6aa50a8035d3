//! Plan, device side: firmware and applications, one installation at a time (B6).
//!
//! Decides whether an item may be installed now, by the versions of the model, by its last attempt and by
//! the maintenance windows of the device; and which of those that may is the next one: firmware before
//! applications. What the device is told of goes on when its window closes. Called by plan for the steps
//! Firmware and Applications, and after all steps.

use entente_crds::{condition::Reason, item_key::ItemKey};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use crate::delivery::plan::{Plan, round::Round};
use crate::delivery::{
    Blocked, Installation, InstallationOrder, Offer, ResolvedItem, ResolvedStep,
    ResolvedSubscription, ServedItem, Verified, Wanted,
    model::{action::Installations, backoffs::BackoffKey},
    schedule::window::{Opening, opening},
    verify::software::{SoftwareFound, found, is_enough, serving},
};
use crate::names::ConnectionName;
use crate::reasons::Side;
use crate::remote::{AskedInstallation, DeviceReading, InstallationState};
use crate::time::{format_duration, in_words, zone};
use crate::unreadable::Referent;
use crate::version::is_at_least;

impl Round<'_> {
    pub(super) fn software_step(
        &self,
        subscription: &ResolvedSubscription,
        step: &ResolvedStep,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        let name = &subscription.name;
        for item in &step.items {
            let Wanted::Software { connection, .. } = &item.wanted else {
                continue;
            };
            let reading = self.reading_to_plan_by(name, connection, verified, plan);
            if let Some(reading) = reading {
                self.software(subscription, item, (connection, reading), plan);
            }
        }
    }

    /// Plans the installation of an item whose version was read, or says what it waits for.
    fn software(
        &self,
        subscription: &ResolvedSubscription,
        item: &ResolvedItem,
        (connection, reading): (&ConnectionName, &DeviceReading),
        plan: &mut Plan,
    ) {
        let Wanted::Software {
            part,
            name,
            minimum,
            target,
            listed,
            ..
        } = &item.wanted
        else {
            return;
        };
        let installed = found(reading, (*part, name, minimum), target.as_ref());
        let SoftwareFound::NotEnough { version } = installed else {
            return;
        };
        let of = &subscription.name;
        if let Some(unpinned) = self.snapshot.unpinned(connection) {
            plan.wait(of, unpinned);
            return;
        }
        let is_under_way = self.is_under_way(subscription, item, reading, plan);
        if is_under_way {
            return;
        }
        let version = version.as_deref();
        let Some(target) = target.as_ref().filter(|it| may_replace(it, version)) else {
            plan.wait(of, unsupported(item, minimum, version, listed));
            return;
        };
        let key = BackoffKey::installation(&item.key, &target.artifact.sha256);
        if let Some(wait) = self.pending(&key) {
            plan.wait(of, wait);
            return;
        }
        if let Some(other) = self.another(reading, item) {
            plan.wait(of, other);
            return;
        }
        match self.window(subscription, item, target) {
            Ok(until) => ready(&mut plan.installations, subscription, item, target, until),
            Err(wait) => {
                let opens = wait.until.into_iter();
                plan.installations.call_at = opens.chain(plan.installations.call_at).min();
                plan.wait(of, wait);
            }
        }
    }

    /// True if an installation serves the item that was asked for. One of which the device was not told
    /// yet is asked for again as the windows are now, or taken back while they are closed.
    fn is_under_way(
        &self,
        subscription: &ResolvedSubscription,
        item: &ResolvedItem,
        reading: &DeviceReading,
        plan: &mut Plan,
    ) -> bool {
        let Some(asked) = serving(reading, &item.wanted, self.now) else {
            return false;
        };
        match &asked.state {
            InstallationState::Failed(_)
            | InstallationState::Cancelled(_)
            | InstallationState::Installed { restarted: true } => false,
            InstallationState::Offered
            | InstallationState::UnderWay
            | InstallationState::Installed { restarted: false } => true,
            InstallationState::Waiting => {
                let Wanted::Software {
                    target: Some(target),
                    ..
                } = &item.wanted
                else {
                    return true;
                };
                match self.window(subscription, item, target) {
                    Ok(until) if until == asked.until => {}
                    Ok(until) => {
                        ready(&mut plan.installations, subscription, item, target, until);
                    }
                    Err(_) => plan.installations.is_to_be_taken_back = true,
                }
                true
            }
        }
    }

    /// Returns the instant until which an installation may begin, `None` for any time; or the wait for a
    /// maintenance window.
    fn window(
        &self,
        subscription: &ResolvedSubscription,
        item: &ResolvedItem,
        target: &Offer,
    ) -> Result<Option<Timestamp>, Blocked> {
        let device = self.snapshot.device.as_deref();
        let device = device.ok_or_else(|| self.snapshot.device_not_at_hand())?;
        let windows = &device.spec.maintenance_windows;
        let object = self.snapshot.subscription(&subscription.name);
        let own = device.spec.time_zone.as_deref();
        let of_contract = object.map(|object| object.spec.time_zone.as_str());
        let name = own.or(of_contract).unwrap_or("UTC");
        if windows.is_empty() {
            return Ok(None);
        }
        let zone = zone(name).map_err(|fault| {
            let device = device.name_any();
            let message = format!("spec.timeZone of the Device {device}: {fault}");
            Blocked::new(Reason::UnknownZone, message)
        })?;
        let (key, version) = (&item.key, &target.version);
        match opening(windows, &zone, target.takes, self.now) {
            Opening::Always => Ok(None),
            Opening::Now { until } => Ok(Some(until)),
            Opening::Later {
                opens,
                closes_too_early,
            } => {
                let why = if closes_too_early {
                    "the maintenance window that is open closes too early for it"
                } else {
                    "the maintenance windows are closed"
                };
                let next = in_words(opens, &zone);
                let message = format!(
                    "{key}: {version} is to be installed; {why}, the next one opens {next}"
                );
                let wait = Blocked::until(Reason::OutsideMaintenanceWindow, message, opens);
                Err(wait.on(Side::Device))
            }
            Opening::TooShort { longest } => {
                let message = too_short((key, target), longest, &device.name_any());
                let wait = Blocked::new(Reason::MaintenanceWindowTooShort, message);
                Err(wait.on(Side::Device))
            }
        }
    }

    /// Returns the change of the installation that the device is asked for; the others that may be asked
    /// for wait for it.
    pub(super) fn next_installation(&self, plan: &mut Plan) -> Option<InstallationOrder> {
        let mut ready = std::mem::take(&mut plan.installations.ready);
        ready.sort_by_key(|it| (it.part, it.name.clone()));
        let mut ready = ready.into_iter();
        if let Some(first) = ready.next() {
            for later in ready {
                for served in &later.items {
                    let wait = waits_for(&served.item.key, &first.name, &first.version);
                    plan.wait(&served.subscription, wait);
                }
            }
            return Some(InstallationOrder::Install(Box::new(first)));
        }
        let mut looks = self.observations.looks();
        let software = looks.find_map(|(_, reading)| {
            let software = &reading.result.as_ref().ok()?.software;
            software.asked.is_some().then_some(software)
        })?;
        let asked = software.asked.as_ref()?;
        let is_open = matches!(
            asked.state,
            InstallationState::Waiting | InstallationState::Offered | InstallationState::UnderWay
        );
        let is_taken_back = plan.installations.is_to_be_taken_back;
        let is_to_end = is_taken_back || self.wants_are_known() && !self.is_wanted(asked);
        let is_to_end = is_to_end && !software.has(asked);
        (is_open && is_to_end).then_some(InstallationOrder::Cancel)
    }

    /// Returns the wait for an installation of something else that the device was told of, or that comes
    /// first.
    fn another(&self, reading: &DeviceReading, item: &ResolvedItem) -> Option<Blocked> {
        let Wanted::Software { part, name, .. } = &item.wanted else {
            return None;
        };
        let asked = reading.software.asked.as_ref()?;
        let comes_first = (asked.part, asked.name.as_str()) < (*part, name.as_str());
        let is_open = match asked.state {
            InstallationState::Offered
            | InstallationState::UnderWay
            | InstallationState::Installed { restarted: false } => true,
            InstallationState::Waiting => {
                let is_closed = asked.until.is_some_and(|until| until <= self.now);
                comes_first && !is_closed && self.is_wanted(asked)
            }
            InstallationState::Failed(_)
            | InstallationState::Cancelled(_)
            | InstallationState::Installed { restarted: true } => false,
        };
        let waits = is_open && !reading.software.has(asked);
        waits.then(|| waits_for(&item.key, &asked.name, &asked.version))
    }

    /// True if it is known what every subscription wants: who cannot be read may want what is under way.
    fn wants_are_known(&self) -> bool {
        let snapshot = self.snapshot;
        let mut subscriptions = self.resolved.subscriptions.iter();
        let unreadable = &snapshot.unreadable;
        snapshot.model.is_some()
            && snapshot.unreadable_subscriptions.is_empty()
            && !unreadable.contains(Referent::Device, &snapshot.device_name)
            && !subscriptions
                .any(|it| it.wants_set_up() && (it.refused.is_some() || it.device_fault.is_some()))
    }

    /// True if an installation still serves somebody on whose device there is no version that suffices.
    fn is_wanted(&self, asked: &AskedInstallation) -> bool {
        let is_there = |item: &ResolvedItem, reading: &DeviceReading| {
            let Wanted::Software {
                part,
                name,
                minimum,
                ..
            } = &item.wanted
            else {
                return false;
            };
            let of_it = (*part, name.as_str()) == (asked.part, asked.name.as_str());
            of_it && !is_enough(reading, &item.wanted) && is_at_least(&asked.version, minimum)
        };
        let readings = self.observations.looks();
        let readings = readings.filter_map(|(_, reading)| reading.result.as_ref().ok());
        let mut items = readings.flat_map(|reading| {
            let subscriptions = self.resolved.subscriptions.iter();
            subscriptions.flat_map(move |subscription| {
                let is_live = |step: &ResolvedStep| subscription.may_ask(step, self.now);
                let items = subscription.items();
                items.filter_map(move |(step, item)| is_live(step).then_some((item, reading)))
            })
        });
        items.any(|(item, reading)| is_there(item, reading))
    }
}

/// True if a version may take the place of the one that is there.
fn may_replace(target: &Offer, version: Option<&str>) -> bool {
    // The version that is there is lower than the minimum, and the target is not, unless it is brought back.
    version.is_none_or(|version| target.downgrade || is_at_least(&target.version, version))
}

/// Adds an installation that may be asked for, once for all that it serves.
fn ready(
    installations: &mut Installations,
    subscription: &ResolvedSubscription,
    item: &ResolvedItem,
    target: &Offer,
    until: Option<Timestamp>,
) {
    let Wanted::Software { part, name, .. } = &item.wanted else {
        return;
    };
    let served = ServedItem {
        subscription: subscription.name.clone(),
        item: item.carried(),
    };
    let mut known = installations.ready.iter_mut();
    match known.find(|it| it.part == *part && it.name == *name) {
        Some(known) => known.items.push(served),
        None => installations.ready.push(Installation {
            part: *part,
            name: name.clone(),
            version: target.version.clone(),
            artifact: target.artifact.clone(),
            until,
            items: vec![served],
        }),
    }
}

/// Returns the sentence for an installation that no maintenance window is long enough for.
pub(in crate::delivery) fn too_short(
    (key, target): (&ItemKey, &Offer),
    longest: SignedDuration,
    device: &str,
) -> String {
    let takes = format_duration(target.takes.unwrap_or_default());
    let (version, longest) = (&target.version, format_duration(longest));
    format!(
        "{key}: the installation of {version} takes {takes}, and the longest maintenance window of the \
         Device {device} lasts {longest}"
    )
}

/// Returns the wait for the installation of something else.
fn waits_for(item: &ItemKey, name: &str, version: &str) -> Blocked {
    let message = format!("{item} waits until the device has installed {name} {version}");
    Blocked::new(Reason::WaitingForDevice, message).on(Side::Device)
}

/// Returns the obstacle that the model lists no version which suffices, and the device has none.
fn unsupported(
    item: &ResolvedItem,
    minimum: &str,
    version: Option<&str>,
    listed: &[String],
) -> Blocked {
    let listed = if listed.is_empty() {
        "none".to_owned()
    } else {
        listed.join(", ")
    };
    let has = version.unwrap_or("none");
    let message = format!(
        "{}: the service needs {minimum} or newer, the device has {has}, and its DeviceModel lists no \
         version that suffices and that the device can install; it lists: {listed}",
        item.key
    );
    Blocked::new(Reason::UnsupportedByModel, message).on(Side::Device)
}
