//! Processor time of the API server and etcd, without the part that they use when idle.
//!
//! An idle control plane uses some processor time, so that of two equal amounts of work the one that
//! takes longer would seem dearer. The rate is measured just before and subtracted.

use std::time::{Duration, Instant};

use entente_e2e::control_plane::ControlPlane;

use super::{BenchError, usage};

/// A measurement under way.
pub(super) struct Meter<'p> {
    plane: &'p ControlPlane,
    /// Processor seconds a second.
    idle: f64,
    began: Instant,
    used_before: f64,
}

/// Result of a measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PlaneTime {
    /// Processor seconds of API server and etcd, those of an idle control plane subtracted.
    pub(super) seconds: f64,
    /// Idle time that was subtracted.
    pub(super) idle_seconds: f64,
}

impl<'p> Meter<'p> {
    /// Measures the control plane's usage without work for that long, then begins.
    pub(super) async fn start(
        plane: &'p ControlPlane,
        idle_for: Duration,
    ) -> Result<Self, BenchError> {
        let (before, began) = (used(plane)?, Instant::now());
        // It is a measurement: the usage in a time without work.
        tokio::time::sleep(idle_for).await;
        let (used_before, now) = (used(plane)?, Instant::now());
        Ok(Self {
            plane,
            idle: (used_before - before) / now.duration_since(began).as_secs_f64(),
            began: now,
            used_before,
        })
    }

    /// Returns the time used since the beginning.
    pub(super) fn stop(&self) -> Result<PlaneTime, BenchError> {
        let used = used(self.plane)? - self.used_before;
        let idle_seconds = self.idle * self.began.elapsed().as_secs_f64();
        Ok(PlaneTime {
            seconds: used - idle_seconds,
            idle_seconds,
        })
    }
}

fn used(plane: &ControlPlane) -> Result<f64, BenchError> {
    let processes = plane.processes();
    let servers = ["kube-apiserver", "etcd"]
        .iter()
        .filter_map(|name| processes.get(*name));
    let used = servers.map(|process| Ok(usage::of(*process)?.processor_seconds));
    used.sum()
}
