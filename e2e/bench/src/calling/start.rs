//! One instant at which a service starts on many devices that call once a day.
//!
//! Each of them calls once after its contract was applied, then when it is told to. The instant at
//! which a device has read the next revision is its own; the writes by which its subscription became
//! Effective are those of the API server's audit log. Called by this bench.

use std::collections::HashMap;
use std::time::Duration;

use entente_crds::v1alpha1::Contract;
use entente_e2e::control_plane::{AuditEvent, ControlPlane};
use entente_e2e::namespace;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::device::Device;
use super::fleet::{AT_ONCE, Fleet, SERVICE, SETTING};
use super::line::Server;
use super::problem;
use crate::customer::{MOST_NAMES, contract_name, until_delivered};
use crate::figure::{Figure, count, quantile};
use crate::requests::{self, Requests, is_operators};
use crate::{BenchError, audit_failed, namespace_failed, say, within};

/// The value that a device has before, and reports first.
const BEFORE: &str = "10";
/// Time over which the first calls after the contracts are spread.
const SPREAD: Duration = Duration::from_secs(10);
/// Time before the instant that the last of those calls must leave: that of `before`, and some.
const LEFT: Duration = Duration::from_secs(25);
/// Number of times that a device reads again because the document has moved on.
const TRIES: usize = 10;
/// The least share of devices, in per cent, that hold the revision before its instant.
const HOLD: f64 = 99.9;

/// Instants of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Course {
    /// It has read the revision that starts then.
    held: Option<Timestamp>,
    /// The gateway has taken its report of the new value.
    reported: Option<Timestamp>,
    calls: usize,
}

pub(super) async fn measure(
    fleet: &mut Fleet<'_>,
    plane: &ControlPlane,
    starting: usize,
) -> Result<Vec<Figure>, BenchError> {
    let rest = fleet.devices.split_off(starting.min(fleet.devices.len()));
    let devices = first_reports(&fleet.server, std::mem::replace(&mut fleet.devices, rest)).await?;
    fleet.until_quiet().await?;
    // So long before the start they are applied that all twins have the revision by then.
    let each = Duration::from_millis(60) * u32::try_from(devices.len()).unwrap_or(u32::MAX);
    let start = namespace::starting_in(SPREAD + LEFT + Duration::from_secs(20) + each);
    let contracts = apply_contracts(fleet, &devices, start).await?;
    fleet.until_quiet().await?;
    let left = start.duration_since(Timestamp::now());
    say(&format!(
        "  {} devices have a start in {:.0} s",
        devices.len(),
        left.as_secs_f64()
    ));
    if left < SignedDuration::try_from(SPREAD + LEFT).unwrap_or_default() {
        return Err(BenchError::Late {
            what: "the contracts were not known long enough before their start".to_owned(),
            within: each,
        });
    }
    let position = plane.audit_position().await.map_err(audit_failed)?;
    let mut tasks = JoinSet::new();
    let all = u32::try_from(devices.len()).unwrap_or(u32::MAX);
    for (index, device) in (0u32..).zip(devices) {
        let first = Timestamp::now() + SPREAD * index / all;
        tasks.spawn(run(device, fleet.server.clone(), first, start));
    }
    let mut courses = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let (device, course) = ended.map_err(problem)??;
        fleet.devices.push(device);
        courses.push(course);
    }
    let within = within(courses.len());
    until_delivered(&fleet.namespace, &contracts, 0, within).await?;
    fleet.until_quiet().await?;
    let events = plane.audit_events_since(position).await;
    let events = events.map_err(audit_failed)?;
    Ok(figures(start, &courses, &events))
}

/// Lets each device report the value that it has: the operator keeps it before it is overwritten.
async fn first_reports(server: &Server, devices: Vec<Device>) -> Result<Vec<Device>, BenchError> {
    stream::iter(devices)
        .map(|mut device| async move {
            let settings = json!({SETTING: {"value": BEFORE, "by": "Default"}});
            let patch = json!({"desiredVersion": device.version(), "settings": settings});
            report(&mut device, server, patch).await?;
            device.hang_up();
            Ok(device)
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

async fn apply_contracts(
    fleet: &Fleet<'_>,
    devices: &[Device],
    start: Timestamp,
) -> Result<Vec<Contract>, BenchError> {
    let namespace = &fleet.namespace;
    let mut contracts = Vec::new();
    for (number, part) in devices.chunks(MOST_NAMES).enumerate() {
        let names: Vec<&str> = part.iter().map(|device| &*device.name).collect();
        let entry = namespace.entry("care", SERVICE, &names, "15m");
        let contract = namespace.contract(&contract_name(number), start, vec![entry]);
        let applied = namespace.apply(&contract).await;
        contracts.push(applied.map_err(namespace_failed)?);
    }
    Ok(contracts)
}

/// Lets a device call from an instant on, as it is told, until its new value is reported.
async fn run(
    mut device: Device,
    server: Server,
    first: Timestamp,
    start: Timestamp,
) -> Result<(Device, Course), BenchError> {
    let mut course = Course::default();
    let mut next = first;
    let mut value = None;
    loop {
        // Until the call that is planned, or the instant, which a device does not miss.
        until(next.min(start)).await;
        if let Some(value) = value.clone().filter(|_| Timestamp::now() >= start) {
            let settings = json!({SETTING: {"value": value, "by": "Server"}});
            let patch = json!({"desiredVersion": device.version(), "settings": settings});
            course.calls += report(&mut device, &server, patch).await?;
            course.reported = Some(Timestamp::now());
            device.hang_up();
            return Ok((device, course));
        }
        let (twin, told) = device.read(&server).await?;
        course.calls += 1;
        if let Some(wanted) = twin.as_ref().and_then(|twin| wanted(twin, start)) {
            course.held.get_or_insert_with(Timestamp::now);
            let patch = json!({"desiredVersion": device.version()});
            if Timestamp::now() < start {
                course.calls += report(&mut device, &server, patch).await?;
            }
            value = Some(wanted);
        }
        next = Timestamp::now() + told;
    }
}

/// Waits for an instant, which is what a device does between two calls.
async fn until(instant: Timestamp) {
    let left = instant.duration_since(Timestamp::now());
    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
}

/// Returns the value that a document has from an instant on, also once it is in force.
fn wanted(twin: &Value, start: Timestamp) -> Option<String> {
    let desired = &twin["desired"];
    let next = &desired["next"];
    let effective = next["effective"].as_str();
    let effective: Option<Timestamp> = effective.and_then(|text| text.parse().ok());
    let settings = if effective == Some(start) {
        &next["settings"]
    } else {
        &desired["settings"]
    };
    settings[SETTING]["value"].as_str().map(str::to_owned)
}

/// Reports, after another reading if the document has moved on; returns the number of requests.
async fn report(
    device: &mut Device,
    server: &Server,
    mut patch: Value,
) -> Result<usize, BenchError> {
    for tried in 1..=TRIES {
        if device.report(server, &patch).await? {
            return Ok(2 * tried - 1);
        }
        device.read(server).await?;
        patch["desiredVersion"] = json!(device.version());
    }
    Err(problem(format!("{} never reports in time", device.name)))
}

fn figures(start: Timestamp, courses: &[Course], events: &[AuditEvent]) -> Vec<Figure> {
    let devices = courses.len();
    let before = |at: Option<Timestamp>| at.is_some_and(|at| at < start);
    let held = courses.iter().filter(|course| before(course.held)).count();
    let late: Vec<f64> = courses
        .iter()
        .filter_map(|course| Some(milliseconds(start, course.reported?)))
        .collect();
    let calls: usize = courses.iter().map(|course| course.calls).sum();
    let effective = effective(start, events);
    let after: Vec<AuditEvent> = events
        .iter()
        .filter(|event| event.received >= start)
        .cloned()
        .collect();
    let after = Requests::of(&after, |_| true);
    let title = |what: &str| format!("{devices} devices with one instant: {what}");
    let at = |values: &[f64], share: f64| quantile(values, share);
    vec![
        Figure::new(
            title("share that holds the revision before it"),
            count(held) / count(devices.max(1)) * 100.0,
            "%",
        )
        .at_least(HOLD)
        .detail(format!(
            "{held} of {devices}, which call once a day and then when they are told to; {:.2} requests \
             each",
            count(calls) / count(devices.max(1))
        )),
        Figure::new(title("from it to Effective, p99"), at(&effective, 0.99), "ms").detail(format!(
            "p50 {:.0} ms, last {:.0} ms, of {}: the last status write of each subscription; the \
             devices' reports were taken after p50 {:.0} ms, p99 {:.0} ms",
            at(&effective, 0.5),
            at(&effective, 1.0),
            effective.len(),
            at(&late, 0.5),
            at(&late, 0.99)
        )),
        Figure::new(
            title("API writes for each from it on"),
            count(after.written()) / count(devices.max(1)),
            "",
        )
        .detail(requests::each(&after.writes, devices.max(1))),
    ]
}

/// Returns the milliseconds from an instant to the last write of the status of each subscription.
fn effective(start: Timestamp, events: &[AuditEvent]) -> Vec<f64> {
    let mut last: HashMap<&str, Timestamp> = HashMap::new();
    let writes = events.iter().filter(|event| {
        is_operators(event)
            && event.is_write()
            && event.resource == "servicesubscriptions"
            && event.subresource == "status"
            && event.received >= start
    });
    for event in writes {
        let written = last.entry(&event.name).or_insert(event.received);
        *written = event.received.max(*written);
    }
    let written = last.into_values();
    written.map(|at| milliseconds(start, at)).collect()
}

fn milliseconds(start: Timestamp, at: Timestamp) -> f64 {
    at.duration_since(start).as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap()
    }

    fn write(name: &str, milliseconds: i64) -> AuditEvent {
        AuditEvent {
            verb: "update".to_owned(),
            user: "system:serviceaccount:entente-system:entente".to_owned(),
            group: "entente.dev".to_owned(),
            resource: "servicesubscriptions".to_owned(),
            subresource: "status".to_owned(),
            namespace: "bench".to_owned(),
            name: name.to_owned(),
            code: 200,
            stage: "ResponseComplete".to_owned(),
            uri: String::new(),
            received: at(milliseconds),
        }
    }

    #[test]
    fn a_device_counts_as_ready_only_by_what_it_read_before_and_as_effective_by_its_last_write() {
        let course = |held: Option<i64>| Course {
            held: held.map(at),
            reported: Some(at(30)),
            calls: 4,
        };
        let courses = [course(Some(-5)), course(Some(0)), course(None)];
        let events = [
            write("a", -10),
            write("a", 20),
            write("a", 120),
            write("b", 40),
        ];
        let figures = figures(at(0), &courses, &events);
        let [held, effective, writes] = <[Figure; 3]>::try_from(figures).unwrap();
        assert!((held.value - 100.0 / 3.0).abs() < 1e-9, "{held:?}");
        assert!(held.verdict().starts_with("missed"), "{held:?}");
        assert!((effective.value - 120.0).abs() < 1e-9, "{effective:?}");
        assert!(effective.detail.starts_with("p50 40 ms"), "{effective:?}");
        assert!((writes.value - 1.0).abs() < 1e-9, "{writes:?}");
    }

    #[test]
    fn the_value_is_that_of_the_instant_or_the_one_in_force() {
        let ahead = json!({"desired": {"settings": {}, "next": {
            "effective": at(0), "settings": {SETTING: {"value": "20"}}}}});
        assert_eq!(wanted(&ahead, at(0)).as_deref(), Some("20"));
        assert_eq!(wanted(&ahead, at(1000)), None);
        let now = json!({"desired": {"settings": {SETTING: {"value": "20"}}}});
        assert_eq!(wanted(&now, at(0)).as_deref(), Some("20"));
        assert_eq!(wanted(&json!({}), at(0)), None);
    }
}
