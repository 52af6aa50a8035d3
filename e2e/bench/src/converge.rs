//! Devices with one service each, converged by the operator and by the dumb client in turn.
//!
//! Each run has a fresh control plane. "One service" is `data-backup`: three settings on the
//! device, an instance on the service server, and its activation, all read back. The time of a run
//! is from the first contract (the dumb client: its first write) to the last write of a status,
//! both as the API server's audit log has them.

use std::collections::BTreeMap;
use std::time::Duration;

use entente_crds::v1alpha1::Contract;
use entente_e2e::namespace;
use entente_simulators::{Cause, Entry};
use kube::ResourceExt as _;

use super::customer::Customer;
use super::dumb::{self, Order, Script, Target};
use super::figure::{Budget, Figure, count, mean};
use super::meter::{Meter, PlaneTime};
use super::requests::{self, Requests};
use super::{
    BenchError, BenchOptions, NAMESPACE, QUIET, audit_failed, environment, operator_failed, sample,
    say, usage,
};

/// From here on a comparison is made once: the fleet is large enough to even out the machine.
const LARGE: usize = 5000;
/// API writes for each device: a create, three statuses of the subscription, one of the Device. One
/// of the three keeps the values that the device had before the service (ADR 0029).
const WRITES: f64 = 5.0;
/// Resident memory in MB that a fleet of this size may need: 35 MiB and 105 MiB.
const MEMORY: [(usize, f64); 2] = [(1000, 36.7), (10_000, 110.0)];

/// One run.
struct Run {
    seconds: f64,
    requests: Requests,
    /// Processor time of the process that delivered.
    processor_seconds: f64,
    /// Processor time of API server and etcd.
    plane: PlaneTime,
    peak_bytes: f64,
    calls: Vec<Entry>,
}

impl Run {
    fn rate(&self, devices: usize) -> f64 {
        count(devices) / self.seconds
    }
}

pub(super) async fn run(options: &BenchOptions) -> Result<Vec<Figure>, BenchError> {
    let script = sample::make().await?;
    let idle_for = Duration::from_secs(if options.quick { 3 } else { 10 });
    let mut figures = Vec::new();
    for devices in options.sizes(&[100, 1000]) {
        figures.extend(compare(devices, &script, idle_for).await?);
    }
    Ok(figures)
}

/// Compares in the order operator, dumb client, dumb client, operator: a drift of the machine meets
/// both alike.
async fn compare(
    devices: usize,
    script: &Script,
    idle_for: Duration,
) -> Result<Vec<Figure>, BenchError> {
    let mut ours = vec![by_operator(devices, idle_for).await?];
    let mut dumb = vec![by_dumb_client(devices, script, idle_for).await?];
    if devices < LARGE {
        dumb.push(by_dumb_client(devices, script, idle_for).await?);
        ours.push(by_operator(devices, idle_for).await?);
    }
    Ok(figures(devices, &ours, &dumb))
}

async fn by_operator(devices: usize, idle_for: Duration) -> Result<Run, BenchError> {
    let mut environment = environment().await?;
    let (plane, view) = (&environment.plane, environment.operator.view());
    let customer = Customer::new(plane, view, NAMESPACE, devices, 0).await?;
    customer.apply().await?;
    customer.until_quiet(QUIET).await?;

    let process = environment.operator.process_id().unwrap_or_default();
    let contracts = customer.contracts(namespace::now());
    let calls_before = customer.namespace.ledger().last_sequence();
    let position = plane.audit_position().await.map_err(audit_failed)?;
    let meter = Meter::start(plane, idle_for).await?;
    let before = usage::of(process)?;
    customer.apply_contracts(&contracts).await?;
    customer.until_delivered(&contracts, 0).await?;
    // Before the wait for late writes, whose looks cost the API server something, too.
    let (plane_time, after) = (meter.stop()?, usage::of(process)?);
    customer.until_quiet(QUIET).await?;

    let events = plane.audit_events_since(position).await;
    let events = events.map_err(audit_failed)?;
    let applied = events
        .iter()
        .filter(|event| event.is_write() && event.resource == "contracts")
        .map(|event| event.received)
        .min();
    let requests = Requests::of(&events, |_| true);
    let seconds = applied
        .zip(requests.last())
        .map(|(a, b)| b.duration_since(a).as_secs_f64());
    let run = Run {
        seconds: seconds.unwrap_or(f64::INFINITY),
        processor_seconds: after.processor_seconds - before.processor_seconds,
        plane: plane_time,
        peak_bytes: after.peak_bytes,
        calls: asked(customer.namespace.ledger().entries_since(calls_before)),
        requests,
    };
    tell("operator", devices, &run);
    drop(customer);
    environment.operator.stop().await.map_err(operator_failed)?;
    environment.plane.stop().await;
    Ok(run)
}

async fn by_dumb_client(
    devices: usize,
    script: &Script,
    idle_for: Duration,
) -> Result<Run, BenchError> {
    let mut environment = environment().await?;
    // Only its CRDs, policies and rights are wanted.
    environment.operator.stop().await.map_err(operator_failed)?;
    let (plane, view) = (&environment.plane, environment.operator.view());
    let customer = Customer::new(plane, view, NAMESPACE, devices, 0).await?;
    customer.apply().await?;
    // They are only the owners of the objects that the dumb client makes.
    let contracts = customer.contracts(namespace::now());
    let contracts = customer.apply_contracts(&contracts).await?;
    let order = Order {
        kubeconfig: environment.operator.kubeconfig().to_owned(),
        namespace: NAMESPACE.to_owned(),
        broker: customer.broker.url(),
        script: script.clone(),
        targets: targets(&customer, &contracts),
    };
    let position = plane.audit_position().await.map_err(audit_failed)?;
    let meter = Meter::start(plane, idle_for).await?;
    let said = dumb::run(&order).await?;
    let plane_time = meter.stop()?;

    let events = plane.audit_events_since(position).await;
    let events = events.map_err(audit_failed)?;
    let requests = Requests::of(&events, |_| true);
    let span = requests.first().zip(requests.last());
    let run = Run {
        seconds: span.map_or(f64::INFINITY, |(a, b)| b.duration_since(a).as_secs_f64()),
        processor_seconds: said.processor_seconds,
        plane: plane_time,
        peak_bytes: said.peak_bytes,
        calls: asked(customer.namespace.ledger().entries()),
        requests,
    };
    tell("dumb client", devices, &run);
    drop(customer);
    environment.plane.stop().await;
    Ok(run)
}

/// Returns every device with the contract that names it.
fn targets(customer: &Customer<'_>, contracts: &[Contract]) -> Vec<Target> {
    let owners = contracts.iter().flat_map(|contract| {
        let services = contract.spec.services.iter();
        let names = services.flat_map(|service| &service.devices.names);
        names.map(move |name| (name.as_str(), contract))
    });
    let owners: BTreeMap<&str, &Contract> = owners.collect();
    let devices = customer.fleet.devices().iter();
    let target = devices.filter_map(|device| {
        let contract = owners.get(device.name())?;
        Some(Target {
            name: device.name().to_owned(),
            serial_number: device.serial_number(),
            address: device.address().to_string(),
            contract: contract.name_any(),
            contract_uid: contract.uid().unwrap_or_default(),
        })
    });
    target.collect()
}

/// Returns the requests over the network, without probes.
fn asked(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.retain(|entry| entry.cause == Cause::Request && !entry.probe);
    entries
}

fn tell(who: &str, devices: usize, run: &Run) {
    say(&format!(
        "  {who}, {devices} devices: {:.2} s, {} writes, {} reads, {} calls, {:.2} s of processor \
         (API server and etcd {:.2} s and {:.2} s idle), {:.0} MB",
        run.seconds,
        run.requests.written(),
        run.requests.read(),
        run.calls.len(),
        run.processor_seconds,
        run.plane.seconds,
        run.plane.idle_seconds,
        usage::megabytes(run.peak_bytes),
    ));
}

#[allow(
    clippy::too_many_lines,
    reason = "a list of figures in the order in which they are printed"
)]
fn figures(devices: usize, ours: &[Run], dumb: &[Run]) -> Vec<Figure> {
    let of = |runs: &[Run], value: &dyn Fn(&Run) -> f64| {
        mean(&runs.iter().map(value).collect::<Vec<_>>())
    };
    let rate = |run: &Run| run.rate(devices);
    let each = |value: f64| value / count(devices);
    let title = |what: &str| format!("{devices} devices: {what}");
    let rates = |runs: &[Run]| {
        let rates: Vec<String> = runs.iter().map(|run| format!("{:.0}", rate(run))).collect();
        rates.join(" and ")
    };
    // Of each the run that the rest of the machine disturbed least.
    let best = |runs: &[Run]| runs.iter().map(rate).fold(0.0, f64::max);
    let throughput = Figure::new(
        title("throughput against the dumb client"),
        best(ours) / best(dumb),
        "",
    )
    .detail(format!(
        "operator {} a second, dumb client {} a second",
        rates(ours),
        rates(dumb)
    ));
    let writes = |run: &Run| each(count(run.requests.written()));
    let reads = |run: &Run| each(count(run.requests.read()));
    let calls = |run: &Run| each(count(run.calls.len()));
    let processor = |run: &Run| each(run.processor_seconds * 1000.0);
    let plane = |run: &Run| each(run.plane.seconds * 1000.0);
    let idle = |run: &Run| each(run.plane.idle_seconds * 1000.0);
    let all = |run: &Run| run.processor_seconds + run.plane.seconds;
    let peak = |run: &Run| usage::megabytes(run.peak_bytes);
    let mut memory = Figure::new(title("most memory"), of(ours, &peak), "MB")
        .detail(format!("VmHWM; dumb client {:.0} MB", of(dumb, &peak)));
    memory.budget = memory_budget(devices);
    vec![
        throughput,
        Figure::new(title("API writes for each"), of(ours, &writes), "")
            .at_most(WRITES)
            .detail(format!(
                "dumb client {:.2}; above it what a fleet needs once, spread over its devices: its \
                 contracts, the catalogue, events; {}",
                of(dumb, &writes),
                requests::each(&ours[0].requests.writes, devices)
            )),
        Figure::new(
            title("API reads for each, watches excepted"),
            of(ours, &reads),
            "",
        )
        .at_most(0.01)
        .detail(requests::all(&ours[0].requests.reads)),
        // The dumb client sends each of the operator's once.
        Figure::new(
            title("device and broker requests for each"),
            of(ours, &calls),
            "",
        )
        .at_most(of(dumb, &calls))
        .detail(operations(&ours[0].calls, devices)),
        Figure::new(
            title("requests equal to those of the dumb client, content included"),
            equal(&ours[0].calls, &dumb[0].calls) * 100.0,
            "%",
        ),
        Figure::new(title("processor time for each"), of(ours, &processor), "ms").detail(format!(
            "dumb client {:.2} ms; API server and etcd {:.2} ms, with the dumb client {:.2} ms; \
             subtracted for an idle control plane {:.2} and {:.2} ms",
            of(dumb, &processor),
            of(ours, &plane),
            of(dumb, &plane),
            of(ours, &idle),
            of(dumb, &idle)
        )),
        Figure::new(
            title("the same work by processor time, API server and etcd included"),
            of(dumb, &all) / of(ours, &all),
            "",
        )
        .at_least(0.9)
        .detail("the dumb client's processor time by the operator's: load of others matters less"),
        memory,
    ]
}

/// Returns the memory that a fleet of this size may need, in MB.
pub(super) fn memory_budget(devices: usize) -> Option<Budget> {
    let of_size = MEMORY.iter().find(|(size, _)| *size == devices);
    of_size.map(|(_, most)| Budget::Most(*most))
}

fn operations(calls: &[Entry], devices: usize) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for call in calls {
        *counts.entry(call.operation.clone()).or_default() += 1;
    }
    requests::each(&counts, devices)
}

/// Returns the share of the dumb client's requests that the operator sent, too.
fn equal(ours: &[Entry], dumb: &[Entry]) -> f64 {
    let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for call in ours {
        *counts.entry((&call.operation, &call.digest)).or_default() += 1;
    }
    let matched = dumb.iter().filter(|call| {
        let left = counts.entry((&call.operation, &call.digest)).or_default();
        *left -= 1;
        *left >= 0
    });
    count(matched.count()) / count(dumb.len().max(1))
}
