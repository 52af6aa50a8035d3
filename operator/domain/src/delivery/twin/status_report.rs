//! The errors of a device that calls, as a status report: its events told them to the gateway (A1).
//!
//! Decides nothing: what the twin says, in the form in which a device that is dialled reports. Called by the
//! report and by the panel, in place of a driver.

use std::collections::BTreeSet;

use entente_crds::v1alpha1::{
    Device, DeviceDisplay, DeviceTwin, DeviceTwinStatus, TwinError, TwinErrorState,
};
use jiff::Timestamp;

use super::{check, is_of};
use crate::remote::{FaultSource, FaultySupply, Panel, ReportedFault, StatusReport};

/// Returns the status reports of a device that calls at each instant after one, at which an error began or
/// ended, in their order: just before it, and then. The device may have been away while that happened.
pub(in crate::delivery) fn past_reports(
    twin: &DeviceTwin,
    device: &Device,
    (after, until): (Timestamp, Timestamp),
) -> Vec<(Timestamp, StatusReport)> {
    let Some(now) = status_report(twin, device) else {
        return Vec::new();
    };
    let errors = twin.status.as_ref().map_or(&[][..], |it| &it.errors);
    let times: Vec<(&TwinError, Timestamp, Timestamp)> = errors
        .iter()
        .flat_map(|error| {
            let before = error.before.as_ref().map(|it| (it.since, it.until));
            let last = (error.since, error.until.unwrap_or(Timestamp::MAX));
            let times = before.into_iter().chain([last]);
            times.map(move |(since, until)| (error, since, until))
        })
        .collect();
    let instants = times.iter().flat_map(|(_, since, until)| [*since, *until]);
    let instants: BTreeSet<Timestamp> = instants.filter(|it| after < *it && *it <= until).collect();
    let report = |has: &dyn Fn(Timestamp, Timestamp) -> bool| {
        let raised = times.iter().filter(|(_, since, until)| has(*since, *until));
        StatusReport {
            faults: raised.map(|(error, _, _)| fault(error)).collect(),
            ..now.clone()
        }
    };
    let looks = instants.into_iter().flat_map(|at| {
        let just_before = report(&|since, until| since < at && at <= until);
        let then = report(&|since, until| since <= at && at < until);
        [(at, just_before), (at, then)]
    });
    looks.collect()
}

/// Returns the status report of a device that calls; `None` of one that has not registered, or whose owner has
/// withdrawn the consent: it is silent, and not mended.
pub(in crate::delivery) fn status_report(
    twin: &DeviceTwin,
    device: &Device,
) -> Option<StatusReport> {
    let status = status_of(twin, device)?;
    let registration = status.registration.as_ref()?;
    let display = status.capabilities.as_ref().and_then(|it| it.display);
    let errors = status.errors.iter();
    let raised: Vec<&TwinError> = errors
        .filter(|it| it.state == TwinErrorState::Raised)
        .collect();
    Some(StatusReport {
        identity: registration.uuid.as_deref().map(str::to_owned),
        faults: raised.iter().map(|it| fault(it)).collect(),
        impressions: raised.iter().filter_map(|it| it.impressions).max(),
        language: registration.languages.first().map(ToString::to_string),
        panel: display.map(panel),
        ..StatusReport::default()
    })
}

/// Returns the supplies that a device which calls reported replaced, each with the instant. The name is that
/// of the DeviceModel.
pub(in crate::delivery) fn replaced<'a>(
    twin: &'a DeviceTwin,
    device: &Device,
) -> impl Iterator<Item = (&'a str, Timestamp)> {
    let errors = status_of(twin, device).into_iter();
    let errors = errors.flat_map(|status| &status.errors);
    errors.filter_map(|it| Some((it.subject.as_deref()?, it.replaced?)))
}

fn status_of<'a>(twin: &'a DeviceTwin, device: &Device) -> Option<&'a DeviceTwinStatus> {
    let status = twin.status.as_ref().filter(|_| is_of(twin, device))?;
    let registration = status.registration.as_ref()?;
    check(device, registration).is_ok().then_some(status)
}

fn fault(error: &TwinError) -> ReportedFault {
    let subject = error.subject.as_deref();
    ReportedFault {
        supply: subject.map(|name| FaultySupply::Name(name.to_owned())),
        is_order_requested: error.order_requested,
        ..ReportedFault::named(FaultSource::StateReason, &error.reason)
    }
}

fn panel(display: DeviceDisplay) -> Panel {
    Panel {
        columns: u16::try_from(display.columns).ok(),
        lines: u16::try_from(display.lines).ok(),
        ..Panel::default()
    }
}
