//! Errors of devices, and the orders that follow: 1,000 in a minute, of 10,000 devices.
//!
//! Every device is asked for its status once a minute. From the answer that first tells of the error, as the
//! ledger of the simulated devices has it, to the order id in the status of the SupplyOrder, as a watch sees
//! it. The writes are those in the audit log, that of the message on the panel included.

mod snmp;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use entente_crds::example;
use entente_crds::v1alpha1::{Settle, SupplyOrder, Sync};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace;
use entente_simulators::{Cause, Device, Entry, OrderServer, PeerKind, SimulatorError};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use kube::Api;
use kube::runtime::{WatchStreamExt as _, watcher};

use super::customer::{Customer, unlimited, until_at_rest};
use super::figure::{Figure, count};
use super::requests::{self, Requests};
use super::usage::{self, megabytes};
use super::{
    BenchError, BenchOptions, NAMESPACE, QUIET, audit_failed, environment, namespace_failed,
    operator_failed, say, within,
};

/// Of so many devices one has an error.
const OF: usize = 10;
/// Time in which all of the errors begin.
const SPREAD: Duration = Duration::from_mins(1);
/// Time between two looks at the status of a device.
const EACH: Duration = Duration::from_mins(1);
/// The name of the entry and of the service.
const SERVICE: &str = "supplies";
/// Pause between two looks, until a deadline.
const LOOK: Duration = Duration::from_millis(250);

pub(super) async fn run(options: &BenchOptions) -> Result<Vec<Figure>, BenchError> {
    let devices = options.largest();
    let mut environment = environment().await?;
    let mut figures = of_fleet(&environment, devices).await?;
    environment.operator.stop().await.map_err(operator_failed)?;
    environment.plane.stop().await;
    figures.push(snmp::asked().await?);
    Ok(figures)
}

async fn of_fleet(
    environment: &TestEnvironment,
    devices: usize,
) -> Result<Vec<Figure>, BenchError> {
    let (plane, view) = (&environment.plane, environment.operator.view());
    let process = environment.operator.process_id().unwrap_or_default();
    let customer = Customer::new(plane, view, NAMESPACE, devices, 0).await?;
    let server = OrderServer::start(0).await.map_err(steered)?;
    apply(&customer, &server).await?;
    until_at_rest(&customer.namespace, QUIET, within(devices)).await?;
    say(&format!("  {devices} devices are asked, and have no error"));
    let idle = asked(&customer, process).await?;
    let before = usage::of(process)?.resident_bytes;

    let failing: Vec<_> = customer.fleet.devices().iter().step_by(OF).collect();
    let errors = failing.len();
    say(&format!("  {errors} errors in a minute"));
    let position = plane.audit_position().await.map_err(audit_failed)?;
    let late = lateness(&customer, &failing).await?;
    let events = plane.audit_events_since(position).await;
    let requests = Requests::of(&events.map_err(audit_failed)?, |_| true);
    let memory = usage::of(process)?.resident_bytes;
    let title = |what: &str| format!("{errors} errors of {devices} devices: {what}");
    let writes = count(requests.written()) / count(errors);
    Ok(vec![
        Figure::p99(title("report to order id, p99"), &late),
        Figure::new(
            title("orders at the server"),
            count(server.orders().len()),
            "",
        )
        .at_most(count(errors))
        .detail("one for each error, and none twice"),
        Figure::new(title("API writes for each"), writes, "")
            .detail(requests::each(&requests.writes, errors)),
        Figure::new(title("memory"), megabytes(memory), "MB").detail(format!(
            "VmRSS; {:.1} MB before the errors",
            megabytes(before)
        )),
        idle,
    ])
}

/// Measures the asking of devices without an error.
async fn asked(customer: &Customer<'_>, process: u32) -> Result<Figure, BenchError> {
    let ledger = customer.namespace.ledger();
    let (sequence, before) = (ledger.last_sequence(), usage::of(process)?);
    // It is a measurement: what it costs to ask.
    tokio::time::sleep(EACH).await;
    let spent = usage::of(process)?.processor_seconds - before.processor_seconds;
    let answers = of_devices(&ledger.entries_since(sequence)).count();
    let what = "status answers by IPP for each second of processor time";
    let figure = Figure::new(what, count(answers) / spent, "");
    Ok(figure.detail(format!(
        "{answers} in a minute without an error, {spent:.1} s of processor time"
    )))
}

/// Lets an error begin at each of these devices, all of them within a minute; returns the milliseconds from
/// each report to its order id, once all is at rest again.
async fn lateness(
    customer: &Customer<'_>,
    failing: &[&Arc<Device>],
) -> Result<Vec<f64>, BenchError> {
    let (namespace, ledger) = (&customer.namespace, customer.namespace.ledger());
    let sequence = ledger.last_sequence();
    let seen = Placed::watch(namespace.api::<SupplyOrder>());
    let mut begun = HashMap::new();
    let pause = SPREAD / u32::try_from(failing.len()).unwrap_or(u32::MAX);
    let mut at = tokio::time::Instant::now();
    for device in failing {
        // The instant at which the next error begins.
        tokio::time::sleep_until(at).await;
        at += pause;
        begun.insert(device.name().to_owned(), Timestamp::now());
        device
            .set_black_toner("toner-empty-error", 0)
            .map_err(steered)?;
    }
    let within = within(customer.fleet.devices().len());
    seen.until(failing.len(), within).await?;
    until_at_rest(namespace, QUIET, within).await?;
    Ok(seen.late(&first_reports(&begun, &ledger.entries_since(sequence))))
}

fn steered(source: SimulatorError) -> BenchError {
    BenchError::Simulator { source }
}

/// Applies the catalogue with errors, texts and the order server, the Devices and their contracts.
async fn apply(customer: &Customer<'_>, server: &OrderServer) -> Result<(), BenchError> {
    let namespace = &customer.namespace;
    let mut devices = unlimited(namespace.device_connection(customer.fleet.port()));
    devices.spec.sync = Some(Sync {
        status: format!("{}s", EACH.as_secs()).as_str().into(),
        ..Sync::default()
    });
    let broker = unlimited(namespace.broker_connection(&customer.broker.url()));
    let orders = unlimited(namespace.order_connection(&server.url()));
    customer.apply_catalogue(&[devices, broker, orders]).await?;
    let colour = example::mfp_520().spec;
    let mut model = namespace.model();
    model.spec.supplies = colour.supplies;
    model.spec.errors = colour.errors;
    for error in &mut model.spec.errors {
        error.settle = Some(Settle {
            begin: "0s".into(),
            end: "10s".into(),
        });
    }
    let service = namespace.supplies();
    let mut text = example::toner_empty_text();
    text.metadata.name = Some(namespace.named("toner-empty"));
    let text = namespace.labelled(text);
    let applied = async {
        namespace.apply(&model).await?;
        namespace.apply(&service).await?;
        namespace.apply(&text).await.map(drop)
    };
    applied.await.map_err(namespace_failed)?;
    let simulated = customer.fleet.devices().iter();
    let devices: Vec<_> = simulated.map(|device| namespace.device(device)).collect();
    customer.apply_devices(&devices).await?;
    let contracts = customer.contracts_of((SERVICE, SERVICE), namespace::now());
    customer.apply_contracts(&contracts).await.map(drop)
}

/// Returns the answers of devices to what the operator read.
fn of_devices(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    entries.iter().filter(|entry| {
        let is_read = entry.cause == Cause::Request && !entry.write;
        is_read && entry.peer == PeerKind::Device
    })
}

/// Returns the instants of the first answers after the beginning of each error.
fn first_reports(
    begun: &HashMap<String, Timestamp>,
    entries: &[Entry],
) -> HashMap<String, Timestamp> {
    let mut first = HashMap::new();
    for entry in of_devices(entries) {
        let is_after = begun.get(&entry.name).is_some_and(|at| entry.time() >= *at);
        if is_after {
            first
                .entry(entry.name.clone())
                .or_insert_with(|| entry.time());
        }
    }
    first
}

/// The instants at which orders of devices were first seen with an id.
struct Placed {
    seen: Arc<Mutex<HashMap<String, Timestamp>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Placed {
    fn watch(api: Api<SupplyOrder>) -> Self {
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let sink = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let stream = watcher(api, watcher::Config::default()).default_backoff();
            let mut stream = std::pin::pin!(stream.applied_objects());
            while let Ok(Some(order)) = stream.try_next().await {
                if is_placed(&order) {
                    let mut seen = sink.lock().unwrap_or_else(PoisonError::into_inner);
                    let device = order.spec.record.device.name.clone();
                    seen.entry(device).or_insert_with(Timestamp::now);
                }
            }
        });
        Self { seen, task }
    }

    async fn until(&self, wanted: usize, within: Duration) -> Result<(), BenchError> {
        let deadline = Instant::now() + within;
        loop {
            let found = self.count();
            if found >= wanted {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let what = format!("{wanted} orders are not placed, but {found}");
                return Err(BenchError::Late { what, within });
            }
            // The pause between two looks, until the deadline.
            tokio::time::sleep(LOOK).await;
        }
    }

    fn count(&self) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.len()
    }

    /// Returns the milliseconds from each report to its order id.
    fn late(&self, reported: &HashMap<String, Timestamp>) -> Vec<f64> {
        self.task.abort();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let both = seen
            .iter()
            .filter_map(|(name, at)| Some((at, reported.get(name)?)));
        both.map(|(at, from)| at.duration_since(*from).as_secs_f64() * 1000.0)
            .collect()
    }
}

fn is_placed(order: &SupplyOrder) -> bool {
    let status = order.status.as_ref();
    status.is_some_and(|status| status.order.is_some())
}
