//! Devices with one service each, converged by the operator and by the dumb client in turn.
//!
//! Each run has a fresh control plane. "One service" is `data-backup`: three settings on the
//! device, an instance on the service server, and its activation, all read back. The clock of a run
//! goes from the contract (the dumb client: its first request) to the last write of a status, both
//! as the API server's audit log has them.

use std::collections::BTreeMap;
use std::time::Duration;

use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace;
use entente_simulators::{Cause, Entry};
use kube::ResourceExt as _;

use super::customer::{Customer, until_quiet};
use super::dumb::{self, Order, Script, Target};
use super::figure::{Figure, count, mean};
use super::requests::{self, Requests};
use super::{BenchError, audit_failed, environment, operator_failed, say, template, usage};

const NAMESPACE: &str = "bench";
const CONTRACT: &str = "fleet";
/// Counts of users in the catalogue are gathered for 5 s.
const QUIET: Duration = Duration::from_secs(6);
/// What the dumb client writes for each device.
const WRITES: f64 = 4.0;

/// One run.
struct Run {
    seconds: f64,
    requests: Requests,
    /// Processor time of who delivered, and of the API server with etcd.
    processor_seconds: f64,
    plane_seconds: f64,
    peak_mebibytes: f64,
    calls: Vec<Entry>,
}

impl Run {
    fn rate(&self, devices: usize) -> f64 {
        count(devices) / self.seconds
    }
}

pub(super) async fn run(quick: bool) -> Result<Vec<Figure>, BenchError> {
    let sizes: &[(usize, Option<f64>)] = if quick {
        &[(100, None)]
    } else {
        &[(100, None), (1000, Some(25.0))]
    };
    let mut figures = Vec::new();
    for (devices, memory) in sizes {
        figures.extend(compare(*devices, *memory).await?);
    }
    Ok(figures)
}

/// Operator, dumb client, dumb client, operator: what drifts on the machine meets both alike.
async fn compare(devices: usize, memory: Option<f64>) -> Result<Vec<Figure>, BenchError> {
    let (first, script) = by_operator(devices).await?;
    let one = by_dumb_client(devices, &script).await?;
    let two = by_dumb_client(devices, &script).await?;
    let (second, _) = by_operator(devices).await?;
    Ok(figures(devices, memory, &[first, second], &[one, two]))
}

async fn by_operator(devices: usize) -> Result<(Run, Script), BenchError> {
    let mut environment = environment().await?;
    let customer = Customer::new(
        &environment.plane,
        environment.operator.view(),
        NAMESPACE,
        devices,
        0,
    )
    .await?;
    customer.apply().await?;
    until_quiet(&environment.plane, &[customer.namespace.ledger()], QUIET).await?;

    let names = customer.names();
    let contract = customer.contract(CONTRACT, namespace::now(), &names);
    let calls_before = customer.namespace.ledger().last_sequence();
    let position = environment
        .plane
        .audit_position()
        .await
        .map_err(audit_failed)?;
    let before = Meter::read(&environment)?;
    customer
        .apply_contracts(std::slice::from_ref(&contract))
        .await?;
    customer.until_delivered(CONTRACT, devices).await?;
    // Before the wait for late writes, whose looks cost the API server something, too.
    let after = Meter::read(&environment)?;
    until_quiet(&environment.plane, &[customer.namespace.ledger()], QUIET).await?;

    let events = environment
        .plane
        .audit_events_since(position)
        .await
        .map_err(audit_failed)?;
    let name = contract.name_any();
    let applied = events
        .iter()
        .filter(|event| event.resource == "contracts" && event.name == name)
        .map(|event| event.received)
        .min();
    let requests = Requests::of(&events, |_| true);
    let seconds = applied
        .zip(requests.last())
        .map(|(a, b)| b.duration_since(a).as_secs_f64());
    let run = Run {
        seconds: seconds.unwrap_or(f64::INFINITY),
        processor_seconds: after.operator.processor_seconds - before.operator.processor_seconds,
        plane_seconds: after.plane - before.plane,
        peak_mebibytes: after.operator.peak_mebibytes,
        calls: asked(customer.namespace.ledger().entries_since(calls_before)),
        requests,
    };
    let script = template::of(&customer, CONTRACT).await?;
    tell("operator", devices, &run);
    drop(customer);
    environment.operator.stop().await.map_err(operator_failed)?;
    environment.plane.stop().await;
    Ok((run, script))
}

async fn by_dumb_client(devices: usize, script: &Script) -> Result<Run, BenchError> {
    let mut environment = environment().await?;
    // Only its CRDs, policies and rights are wanted.
    environment.operator.stop().await.map_err(operator_failed)?;
    let customer = Customer::new(
        &environment.plane,
        environment.operator.view(),
        NAMESPACE,
        devices,
        0,
    )
    .await?;
    customer.apply().await?;
    let targets = customer.fleet.devices().iter().map(|device| Target {
        name: device.name().to_owned(),
        serial_number: device.serial_number(),
        address: device.address().to_string(),
    });
    let order = Order {
        kubeconfig: environment.operator.kubeconfig().to_owned(),
        namespace: NAMESPACE.to_owned(),
        broker: customer.broker.url(),
        script: script.clone(),
        targets: targets.collect(),
    };
    let position = environment
        .plane
        .audit_position()
        .await
        .map_err(audit_failed)?;
    let before = plane_seconds(&environment)?;
    let said = dumb::run(&order).await?;
    let plane_seconds = plane_seconds(&environment)? - before;

    let events = environment
        .plane
        .audit_events_since(position)
        .await
        .map_err(audit_failed)?;
    let requests = Requests::of(&events, |_| true);
    let span = requests.first().zip(requests.last());
    let run = Run {
        seconds: span.map_or(f64::INFINITY, |(a, b)| b.duration_since(a).as_secs_f64()),
        processor_seconds: said.processor_seconds,
        plane_seconds,
        peak_mebibytes: said.peak_mebibytes,
        calls: asked(customer.namespace.ledger().entries()),
        requests,
    };
    tell("dumb client", devices, &run);
    drop(customer);
    environment.plane.stop().await;
    Ok(run)
}

/// Requests over the network, probes apart.
fn asked(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.retain(|entry| entry.cause == Cause::Request && !entry.probe);
    entries
}

struct Meter {
    operator: usage::Usage,
    plane: f64,
}

impl Meter {
    fn read(environment: &TestEnvironment) -> Result<Self, BenchError> {
        let process = environment.operator.process_id().unwrap_or_default();
        Ok(Self {
            operator: usage::of(process)?,
            plane: plane_seconds(environment)?,
        })
    }
}

/// Processor time of API server and etcd.
fn plane_seconds(environment: &TestEnvironment) -> Result<f64, BenchError> {
    let processes = environment.plane.processes();
    let servers = ["kube-apiserver", "etcd"]
        .iter()
        .filter_map(|name| processes.get(*name));
    let used = servers.map(|process| Ok(usage::of(*process)?.processor_seconds));
    used.sum()
}

fn tell(who: &str, devices: usize, run: &Run) {
    say(&format!(
        "  {who}, {devices} devices: {:.2} s, {} writes, {} reads, {} calls, {:.2} s of processor \
         (API server and etcd {:.2} s), {:.0} MiB",
        run.seconds,
        run.requests.written(),
        run.requests.read(),
        run.calls.len(),
        run.processor_seconds,
        run.plane_seconds,
        run.peak_mebibytes,
    ));
}

#[allow(
    clippy::too_many_lines,
    reason = "a list of figures in the order in which they are printed"
)]
fn figures(devices: usize, memory: Option<f64>, ours: &[Run], dumb: &[Run]) -> Vec<Figure> {
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
    .at_least(0.75)
    .detail(format!(
        "operator {} a second, dumb client {} a second",
        rates(ours),
        rates(dumb)
    ));
    let writes = |run: &Run| each(count(run.requests.written()));
    let reads = |run: &Run| each(count(run.requests.read()));
    let calls = |run: &Run| each(count(run.calls.len()));
    let processor = |run: &Run| each(run.processor_seconds * 1000.0);
    let plane = |run: &Run| each(run.plane_seconds * 1000.0);
    let all = |run: &Run| run.processor_seconds + run.plane_seconds;
    let peak = |run: &Run| run.peak_mebibytes;
    let mut memory_figure = Figure::new(title("most memory"), of(ours, &peak), "MiB")
        .detail(format!("VmHWM; dumb client {:.0} MiB", of(dumb, &peak)));
    memory_figure.budget = memory.map(super::figure::Budget::Most);
    vec![
        throughput,
        Figure::new(title("API writes for each"), of(ours, &writes), "")
            .at_most(WRITES)
            .detail(requests::each(&ours[0].requests.writes, devices)),
        Figure::new(
            title("API reads for each, watches excepted"),
            of(ours, &reads),
            "",
        )
        .at_most(0.01)
        .detail(requests::all(&ours[0].requests.reads)),
        // The dumb client's are the least there can be.
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
            "dumb client {:.2} ms; API server and etcd {:.2} ms, with the dumb client {:.2} ms",
            of(dumb, &processor),
            of(ours, &plane),
            of(dumb, &plane)
        )),
        Figure::new(
            title("the same work by processor time, API server and etcd included"),
            of(dumb, &all) / of(ours, &all),
            "",
        )
        .detail("the dumb client's processor time by the operator's: load of others matters less"),
        memory_figure,
    ]
}

fn operations(calls: &[Entry], devices: usize) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for call in calls {
        *counts.entry(call.operation.clone()).or_default() += 1;
    }
    requests::each(&counts, devices)
}

/// The share of the dumb client's requests that the operator sent, too.
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
