//! One device among many accepts requests and never answers: the effect on the others.
//!
//! The time of a fleet is from its contract to the last status of the healthy devices. Fleets
//! without and with a hung device take turns on one control plane.

use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace;
use entente_simulators::FaultKind;

use super::customer::Customer;
use super::figure::Figure;
use super::requests::Requests;
use super::{BenchError, BenchOptions, QUIET, audit_failed, environment, operator_failed, say};

/// Devices of a fleet.
const SIZE: usize = 500;

pub(super) async fn run(options: &BenchOptions) -> Result<Vec<Figure>, BenchError> {
    let devices = if options.quick { 50 } else { SIZE }.min(options.devices);
    let order: &[bool] = if options.quick {
        &[false, true]
    } else {
        &[false, true, true, false, false, true]
    };
    let mut environment = environment().await?;
    // The first fleet meets cold caches everywhere; it is not counted.
    fleet(&environment, 0, devices, false).await?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for (number, hung) in order.iter().enumerate() {
        let seconds = fleet(&environment, number + 1, devices, *hung).await?;
        let kind = if *hung { "with" } else { "without" };
        say(&format!("  {kind} a hung device: {seconds:.2} s"));
        if *hung { &mut with } else { &mut without }.push(seconds);
    }
    environment.operator.stop().await.map_err(operator_failed)?;
    environment.plane.stop().await;
    let list = |values: &[f64]| {
        let shown: Vec<String> = values.iter().map(|value| format!("{value:.2}")).collect();
        shown.join(", ")
    };
    // Of each the run that the rest of the machine disturbed least.
    let best = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let slower = (best(&with) / best(&without) - 1.0) * 100.0;
    let what = format!("1 hung of {devices}: the others take longer by");
    Ok(vec![Figure::new(what, slower, "%").at_most(5.0).detail(
        format!("{} s with, {} s without", list(&with), list(&without)),
    )])
}

/// Returns the seconds from the contract to the last status of all devices but the first.
async fn fleet(
    environment: &TestEnvironment,
    number: usize,
    devices: usize,
    hung: bool,
) -> Result<f64, BenchError> {
    let plane = &environment.plane;
    let namespace = format!("bench-{number}");
    let view = environment.operator.view();
    let customer = Customer::new(plane, view, &namespace, devices, number * devices).await?;
    customer.apply().await?;
    customer.until_quiet(QUIET).await?;
    let steered = |source| BenchError::Simulator { source };
    let first = &customer.fleet.devices()[0];
    if hung {
        first.set_fault(FaultKind::Hang).await.map_err(steered)?;
    }
    let position = plane.audit_position().await.map_err(audit_failed)?;
    let contracts = customer.contracts(namespace::now());
    customer.apply_contracts(&contracts).await?;
    customer
        .until_delivered(&contracts, usize::from(hung))
        .await?;
    let events = plane
        .audit_events_since(position)
        .await
        .map_err(audit_failed)?;
    if hung {
        first.clear_faults().await.map_err(steered)?;
        customer.until_delivered(&contracts, 0).await?;
    }
    customer.until_quiet(QUIET).await?;

    let own: Vec<_> = events
        .into_iter()
        .filter(|event| event.namespace == namespace)
        .collect();
    let begun = own.iter().map(|event| event.received).min();
    let healthy = Requests::of(&own, |event| !event.name.ends_with(first.name()));
    let seconds = begun
        .zip(healthy.last())
        .map(|(a, b)| b.duration_since(a).as_secs_f64());
    Ok(seconds.unwrap_or(f64::INFINITY))
}
