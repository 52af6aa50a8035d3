//! API writes while nothing changes: the gateway writes when it heard of a device, and nothing else.
//!
//! Most devices call as they are told to, once in the announced period; the others hold requests of
//! half a period one after the other, which is the most that can be worth a write. The writes are those
//! of the API server's audit log, by the name of the object. Called by this bench.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use entente_e2e::control_plane::{AuditEvent, ControlPlane};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::device::Device;
use super::fleet::Fleet;
use super::line::Server;
use super::problem;
use crate::figure::{Figure, count};
use crate::requests::{self, is_work};
use crate::{BenchError, audit_failed, say};

/// Periods that are observed.
const PERIODS: u32 = 2;
/// One in so many devices holds requests.
const HOLDERS: usize = 10;

/// Counts of a group of devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Group {
    devices: usize,
    calls: usize,
    writes: usize,
}

/// Counts of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    as_told: Group,
    holding: Group,
    /// Writes that are none of these.
    others: BTreeMap<String, usize>,
}

pub(super) async fn measure(
    fleet: &mut Fleet<'_>,
    plane: &ControlPlane,
    period: Duration,
) -> Result<Vec<Figure>, BenchError> {
    fleet.announce(period).await?;
    let observed = period * PERIODS;
    say(&format!("  nothing changes for {} s", observed.as_secs()));
    let position = plane.audit_position().await.map_err(audit_failed)?;
    let all = fleet.devices.len();
    let mut seen = Seen::default();
    let mut groups = HashMap::new();
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for (index, device) in std::mem::take(&mut fleet.devices).into_iter().enumerate() {
        let is_holding = index % HOLDERS == HOLDERS - 1;
        groups.insert(device.name.clone(), is_holding);
        seen.group(is_holding).devices += 1;
        let wait = if is_holding { period / 2 } else { period };
        let share = u32::try_from(index).unwrap_or(u32::MAX);
        let first = began + wait * share / u32::try_from(all).unwrap_or(u32::MAX);
        let holds = is_holding.then_some(wait.as_secs());
        let server = fleet.server.clone();
        tasks.spawn(call(device, server, (first, began + observed), holds));
    }
    while let Some(ended) = tasks.join_next().await {
        let (device, calls) = ended.map_err(problem)??;
        let is_holding = groups.get(&device.name) == Some(&true);
        seen.group(is_holding).calls += calls;
        fleet.devices.push(device);
    }
    let events = plane.audit_events_since(position).await;
    seen.add(&events.map_err(audit_failed)?, &groups);
    Ok(figures(&seen, period))
}

/// Lets a device call from an instant until another; returns it with the number of its calls. A request
/// that is held then is given up.
async fn call(
    mut device: Device,
    server: Server,
    (first, until): (Instant, Instant),
    holds: Option<u64>,
) -> Result<(Device, usize), BenchError> {
    let mut calls = 0;
    let mut next = first;
    while next < until {
        // Until the call that is planned.
        sleep_until(next).await;
        calls += 1;
        let called = async {
            match holds {
                Some(seconds) => device.hold(&server, seconds).await,
                None => device.read(&server).await,
            }
        };
        let answered = tokio::select! {
            answered = called => Some(answered?),
            () = sleep_until(until), if holds.is_some() => None,
        };
        let Some((_, told)) = answered else { break };
        next = match holds {
            Some(_) => Instant::now(),
            None => next + Duration::try_from(told).map_err(problem)?,
        };
    }
    device.hang_up();
    Ok((device, calls))
}

impl Seen {
    fn group(&mut self, is_holding: bool) -> &mut Group {
        if is_holding {
            &mut self.holding
        } else {
            &mut self.as_told
        }
    }

    /// Counts the writes of operator and gateway.
    fn add(&mut self, events: &[AuditEvent], groups: &HashMap<String, bool>) {
        let writes = events
            .iter()
            .filter(|it| is_work(it) && it.is_write() && it.group != "authorization.k8s.io");
        for event in writes {
            let is_heard = event.resource == "devicetwins" && event.subresource == "status";
            if let Some(is_holding) = groups.get(&event.name).filter(|_| is_heard) {
                self.group(*is_holding).writes += 1;
            } else {
                let kind = format!("{} {}/{}", event.verb, event.resource, event.subresource);
                *self.others.entry(kind).or_default() += 1;
            }
        }
    }
}

fn figures(seen: &Seen, period: Duration) -> Vec<Figure> {
    let each = |group: Group, number: usize| {
        count(number) / (count(group.devices) * f64::from(PERIODS)).max(1.0)
    };
    let of = |group: Group, words: &str, most: f64| {
        let title = format!(
            "{} devices {words}: API writes for each and period, nothing changes",
            group.devices
        );
        Figure::new(title, each(group, group.writes), "")
            .at_most(most)
            .detail(format!(
                "{} writes of lastHeard in {PERIODS} periods of {} s; {:.2} calls for each and period",
                group.writes,
                period.as_secs(),
                each(group, group.calls)
            ))
    };
    let others = Figure::new(
        "nothing changes: API writes but lastHeard",
        count(seen.others.values().sum()),
        "",
    );
    vec![
        of(seen.as_told, "call as they are told", 1.0),
        of(seen.holding, "hold requests of half a period", 2.0),
        others.at_most(0.0).detail(requests::all(&seen.others)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(user: &str, resource: &str, subresource: &str, name: &str) -> AuditEvent {
        AuditEvent {
            verb: "update".to_owned(),
            user: format!("system:serviceaccount:entente-system:{user}"),
            group: "entente.dev".to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: "bench".to_owned(),
            name: name.to_owned(),
            code: 200,
            stage: "ResponseComplete".to_owned(),
            uri: String::new(),
            received: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn writes_are_counted_by_the_device_and_those_that_are_no_sign_of_life_apart() {
        let groups = HashMap::from([("a".to_owned(), false), ("b".to_owned(), true)]);
        let group = |devices| Group {
            devices,
            ..Group::default()
        };
        let mut seen = Seen {
            as_told: group(1),
            holding: group(1),
            ..Seen::default()
        };
        let twin = |name| event("entente-gateway", "devicetwins", "status", name);
        let stranger = AuditEvent {
            user: "system:apiserver".to_owned(),
            ..twin("a")
        };
        let others = event("entente", "devices", "status", "a");
        let events = [
            twin("a"),
            twin("a"),
            twin("b"),
            twin("b"),
            twin("b"),
            stranger,
            others,
        ];
        seen.add(&events, &groups);
        assert_eq!((seen.as_told.writes, seen.holding.writes), (2, 3));
        let [as_told, holding, others] =
            <[Figure; 3]>::try_from(figures(&seen, Duration::from_mins(1))).unwrap();
        assert_eq!((as_told.value, &*as_told.verdict()), (1.0, "kept"));
        assert_eq!((holding.value, &*holding.verdict()), (1.5, "kept"));
        assert_eq!((others.value, &*others.verdict()), (1.0, "missed"));
        assert_eq!(others.detail, "update devices/status 1");
    }
}
