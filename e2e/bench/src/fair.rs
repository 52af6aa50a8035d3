//! The start of one customer's contracts beside another customer's hung devices, and beside Devices
//! of another customer that lead to its printers.
//!
//! Both use one Connection with the default limits. A start is the time from the promised instant
//! to its proof, as the subscription's status has it. Contracts begin one after the other, each
//! with a printer of its own that answers as slowly as real ones do, so that waiting for a slot is
//! what is measured, not the processor. Runs without the other customer are before and behind.

use std::ops::Range;
use std::time::Duration;

use entente_crds::v1alpha1::{Connection, Contract, Device};
use entente_e2e::control_plane::ControlPlane;
use entente_e2e::namespace::read::SubscriptionFacts as _;
use entente_e2e::namespace::{self, TestNamespace};
use entente_e2e::operator::OperatorView;
use entente_simulators::{FaultKind, FleetOptions};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;

use super::customer::{Customer, MOST_NAMES, SERVICE};
use super::figure::{Figure, quantile};
use super::{BenchError, BenchOptions, QUIET, environment, namespace_failed, operator_failed, say};

/// Time from one start to the next.
const GAP: SignedDuration = SignedDuration::from_secs(2);
/// From applying contracts to their first start: the other customer's objects are applied meanwhile.
const AHEAD: Duration = Duration::from_secs(30);
/// So long before the first start the other customer's contracts begin.
const HEAD_START: SignedDuration = SignedDuration::from_secs(3);
/// Delay of each answer of a printer.
const LATENCY: Duration = Duration::from_millis(100);
/// The largest ratio of two medians.
const MOST: f64 = 1.05;

/// Numbers of a run.
struct Sizes {
    /// Contracts that begin in each part.
    starts: usize,
    /// Hung devices of the other customer.
    hung: usize,
    /// Devices of the other customer for each printer.
    intruders: usize,
}

pub(super) async fn run(options: &BenchOptions) -> Result<Vec<Figure>, BenchError> {
    let sizes = if options.quick {
        Sizes {
            starts: 4,
            hung: 50,
            intruders: 9,
        }
    } else {
        Sizes {
            starts: 16,
            hung: 2500.min(options.devices),
            intruders: 199,
        }
    };
    let mut environment = environment().await?;
    let (plane, view) = (&environment.plane, environment.operator.view());
    let pair = Pair::new(plane, view, &sizes).await?;
    let figures = measure(&pair, &sizes).await?;
    drop(pair);
    environment.operator.stop().await.map_err(operator_failed)?;
    environment.plane.stop().await;
    Ok(figures)
}

async fn measure(pair: &Pair<'_>, sizes: &Sizes) -> Result<Vec<Figure>, BenchError> {
    let part = |number: usize| number * sizes.starts..(number + 1) * sizes.starts;
    let nothing = async |_: Timestamp| Ok(());
    // The first starts meet cold caches everywhere; they are not counted.
    pair.starts("of cold caches", part(0), nothing).await?;
    let mut alone = pair.starts("alone", part(1), nothing).await?;

    let same = pair.intruders(part(2), sizes.intruders, |_| 0);
    let same = pair.starts_beside("its addresses", part(2), same).await?;
    let queues = pair.intruders(part(3), sizes.intruders, |number| number + 1);
    let queues = pair.starts_beside("other queues", part(3), queues).await?;

    alone.extend(pair.starts("alone", part(4), nothing).await?);
    let hang = async |start: Timestamp| pair.hang(start - HEAD_START).await;
    let beside = pair.starts("beside hung devices", part(5), hang).await?;

    let figure = |what: String, with: &[f64]| {
        let (median, base) = (quantile(with, 0.5), quantile(&alone, 0.5));
        Figure::new(what, median / base, "").detail(format!(
            "median of {} starts {median:.0} ms, longest {:.0} ms; alone {base:.0} and {:.0} ms of {}",
            with.len(),
            quantile(with, 1.0),
            quantile(&alone, 1.0),
            alone.len(),
        ))
    };
    let of = sizes.intruders;
    Ok(vec![
        figure(
            format!(
                "start beside {} hung devices of another customer",
                sizes.hung
            ),
            &beside,
        )
        .at_most(MOST),
        figure(
            format!("start on a printer whose address {of} Devices of another customer have"),
            &same,
        )
        .at_most(MOST),
        figure(
            format!(
                "start on a printer to whose other queues {of} Devices of another customer lead"
            ),
            &queues,
        ),
    ])
}

/// The customer whose starts are measured, and the other one.
struct Pair<'p> {
    own: Customer<'p>,
    other: TestNamespace<'p>,
    /// Printers of the measured customer; those behind them in the fleet are the other's.
    printers: usize,
}

impl<'p> Pair<'p> {
    async fn new(
        plane: &'p ControlPlane,
        view: OperatorView,
        sizes: &Sizes,
    ) -> Result<Pair<'p>, BenchError> {
        let printers = 6 * sizes.starts;
        let options = FleetOptions {
            latency: LATENCY,
            queues: (0..=sizes.intruders).map(queue).collect(),
            ..FleetOptions::of(printers + sizes.hung)
        };
        let own = Customer::with_fleet(plane, view.clone(), "bench-own", options).await?;
        let other = TestNamespace::with_name(plane, view, "bench-other".to_owned())
            .await
            .map_err(namespace_failed)?;
        let mut object = Namespace::default();
        object.metadata.name = Some(other.name().to_owned());
        other.apply(&object).await.map_err(namespace_failed)?;
        let pair = Self {
            own,
            other,
            printers,
        };
        let connections = [
            pair.connection(),
            with_own_retry(pair.own.namespace.broker_connection(&pair.own.broker.url())),
        ];
        pair.own.apply_catalogue(&connections).await?;
        let simulated = pair.own.fleet.devices().iter().enumerate();
        let devices: Vec<Device> = simulated
            .map(|(index, simulated)| {
                let address = simulated.address().ip().to_string();
                let namespace = if index < printers {
                    &pair.own.namespace
                } else {
                    &pair.other
                };
                let serial = simulated.serial_number();
                pair.device(namespace, simulated.name(), &address, &serial, 0)
            })
            .collect();
        pair.own.apply_devices(&devices).await?;
        pair.own.until_quiet(QUIET).await?;
        Ok(pair)
    }

    /// Returns the Connection of both, with the limits that it has by default.
    fn connection(&self) -> Connection {
        let port = self.own.fleet.port();
        let url = format!("ipp://{{address}}:{port}/ipp/print/{{queue}}");
        let mut connection = self.own.namespace.ipp_connection("devices", &url);
        let theirs = self.other.ipp_connection("devices", &url).spec.allow;
        connection
            .spec
            .allow
            .extend(theirs.into_iter().map(|mut entry| {
                "other".clone_into(&mut entry.name);
                entry
            }));
        with_own_retry(connection)
    }

    fn device(
        &self,
        namespace: &TestNamespace<'_>,
        name: &str,
        address: &str,
        serial_number: &str,
        number: usize,
    ) -> Device {
        let mut device = namespace.device_at(name, address, serial_number);
        device.spec.model_ref = self.own.namespace.reference("mfp-500");
        for connection in &mut device.spec.connections {
            connection.name = self.own.namespace.named("devices");
            connection.queue = Some(queue(number));
        }
        device
    }

    /// Returns Devices of the other customer that lead to these printers, so many to each; `queued`
    /// gives the queue of each.
    fn intruders(
        &self,
        printers: Range<usize>,
        each: usize,
        queued: impl Fn(usize) -> usize,
    ) -> Vec<Device> {
        let printers = &self.own.fleet.devices()[printers];
        printers
            .iter()
            .flat_map(|printer| (0..each).map(move |number| (printer, number)))
            .map(|(printer, number)| {
                let name = format!("at-{}-{number}", printer.name());
                let address = printer.address().ip().to_string();
                let serial = format!("{name}-serial");
                self.device(&self.other, &name, &address, &serial, queued(number))
            })
            .collect()
    }

    /// [`Pair::starts`] while these Devices of the other customer appear; they are removed again.
    async fn starts_beside(
        &self,
        title: &str,
        printers: Range<usize>,
        intruders: Vec<Device>,
    ) -> Result<Vec<f64>, BenchError> {
        let intrude = async |_: Timestamp| self.own.apply_devices(&intruders).await;
        let times = self
            .starts(&format!("beside {title}"), printers, intrude)
            .await?;
        self.own.delete_devices(&intruders).await?;
        self.own.until_quiet(QUIET).await?;
        Ok(times)
    }

    /// Lets the other customer's devices hang, and its contracts for all of them begin then.
    async fn hang(&self, start: Timestamp) -> Result<(), BenchError> {
        let hung = &self.own.fleet.devices()[self.printers..];
        for device in hung {
            let steered = device.set_fault(FaultKind::Hang).await;
            steered.map_err(|source| BenchError::Simulator { source })?;
        }
        let names: Vec<&str> = hung.iter().map(|device| device.name()).collect();
        for (number, names) in names.chunks(MOST_NAMES).enumerate() {
            let contract = self.contract(&self.other, &format!("hung-{number}"), start, names);
            let applied = self.other.apply(&contract).await;
            applied.map_err(namespace_failed)?;
        }
        Ok(())
    }

    fn contract(
        &self,
        namespace: &TestNamespace<'_>,
        name: &str,
        start: Timestamp,
        devices: &[&str],
    ) -> Contract {
        let entry = self.own.namespace.entry("backup", SERVICE, devices, "15m");
        namespace.contract(name, start, vec![entry])
    }

    /// Lets contracts for these printers begin one after the other, and does `meanwhile` before the
    /// first of them; returns from the promised instant to its proof, in milliseconds.
    async fn starts(
        &self,
        title: &str,
        printers: Range<usize>,
        meanwhile: impl AsyncFn(Timestamp) -> Result<(), BenchError>,
    ) -> Result<Vec<f64>, BenchError> {
        let first = namespace::starting_in(AHEAD);
        let mut start = first;
        let mut contracts = Vec::new();
        for printer in &self.own.fleet.devices()[printers] {
            let name = format!("c-{}", printer.name());
            contracts.push(self.contract(&self.own.namespace, &name, start, &[printer.name()]));
            start += GAP;
        }
        self.own.apply_contracts(&contracts).await?;
        meanwhile(first).await?;
        if first < Timestamp::now() {
            return Err(BenchError::Late {
                what: format!(
                    "the objects of the part {title} were not applied before the first start"
                ),
                within: AHEAD,
            });
        }
        self.own.until_delivered(&contracts, 0).await?;
        let mut times = Vec::new();
        for contract in &contracts {
            let took = self.proved_after(contract).await;
            times.push(took.ok_or_else(|| BenchError::Late {
                what: format!("{} is delivered without a proof", contract.name_any()),
                within: Duration::ZERO,
            })?);
        }
        say(&format!(
            "  {title}: median {:.0} ms, longest {:.0} ms, of {}",
            quantile(&times, 0.5),
            quantile(&times, 1.0),
            times.len(),
        ));
        Ok(times)
    }

    /// Returns the milliseconds from the promised instant of the only subscription of a contract to
    /// its proof.
    async fn proved_after(&self, contract: &Contract) -> Option<f64> {
        let entry = contract.spec.services.first()?;
        let device = entry.devices.names.first()?;
        let (name, namespace) = (contract.name_any(), &self.own.namespace);
        let subscription = namespace.subscription(&name, &entry.name, device).await?;
        let promise = subscription.promises().last()?;
        let took = promise.completed?.duration_since(promise.effective);
        Some(took.as_secs_f64() * 1000.0)
    }
}

fn queue(number: usize) -> String {
    format!("q{number}")
}

/// Returns the Connection as users have it: the impatient one of the tests is not measured.
fn with_own_retry(mut connection: Connection) -> Connection {
    connection.spec.retry = None;
    connection
}
