//! Devices that call: what their gateway costs, with 10,000 of them on one machine.
//!
//! A gateway and an operator, each a process, run on a real control plane; the devices are one process,
//! this one, over TLS. First answers that nothing has changed are counted and weighed, then a request of
//! each device is held, then a service starts on some at one instant, and at last they call while nothing
//! changes. The figures are ratios, counts and shares; each part decides on its own.

mod bare;
mod device;
pub(super) mod events;
mod fleet;
mod heard;
mod held;
mod line;
mod polls;
mod start;

pub use bare::{BareServer, serve as serve_as_bare_server};

use std::time::Duration;

use fleet::Fleet;

use super::figure::Figure;
use super::{BenchError, BenchOptions, operator_failed, say};

/// Devices with a start at one instant: that of more takes longer than everything else here.
const STARTING: usize = 1000;
/// Most devices of a quick run.
const QUICK: usize = 200;

pub(super) async fn run(options: &BenchOptions) -> Result<Vec<Figure>, BenchError> {
    let devices = options.calling();
    let (polling, period) = if options.quick {
        (Duration::from_secs(1), Duration::from_secs(10))
    } else {
        (Duration::from_secs(4), Duration::from_mins(1))
    };
    let mut environment = fleet::environment().await?;
    let plane = &environment.plane;
    let mut fleet = Fleet::new(&environment, devices).await?;
    say("  answers that nothing has changed");
    let mut figures = polls::measure(&fleet, polling).await?;
    say("  every device holds a request");
    figures.push(held::measure(&mut fleet).await?);
    say("  a start at one instant");
    figures.extend(start::measure(&mut fleet, plane, STARTING.min(devices)).await?);
    figures.extend(heard::measure(&mut fleet, plane, period).await?);
    let stopped = fleet.gateway.stop().await;
    stopped.map_err(operator_failed)?;
    drop(fleet);
    environment.operator.stop().await.map_err(operator_failed)?;
    environment.plane.stop().await;
    Ok(figures)
}

/// Returns the number of devices of a run.
pub(super) fn devices(calling: usize, quick: bool) -> usize {
    if quick { calling.min(QUICK) } else { calling }
}

fn problem(problem: impl std::fmt::Display) -> BenchError {
    BenchError::Calling {
        problem: problem.to_string(),
    }
}
