//! The series of a queue, under the names that every Kubernetes controller has for them.
//!
//! As in client-go (`workqueue_depth`, `_adds_total`, `_queue_duration_seconds`,
//! `_work_duration_seconds`, `_retries_total`, `_unfinished_work_seconds`,
//! `_longest_running_processor_seconds`), so that dashboards and alerts made for those fit. Written by `queue`.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{ControllerLabels, request_seconds};

/// The series of every queue.
#[derive(Debug)]
pub(super) struct Workqueues {
    depth: Family<ControllerLabels, Gauge>,
    adds: Family<ControllerLabels, Counter>,
    queue_seconds: Family<ControllerLabels, Histogram>,
    work_seconds: Family<ControllerLabels, Histogram>,
    retries: Family<ControllerLabels, Counter>,
    unfinished_seconds: Family<ControllerLabels, Gauge<f64, AtomicU64>>,
    longest_seconds: Family<ControllerLabels, Gauge<f64, AtomicU64>>,
}

/// The series of one queue.
#[derive(Clone, Debug)]
pub struct Workqueue {
    depth: Gauge,
    adds: Counter,
    queue_seconds: Histogram,
    work_seconds: Histogram,
    retries: Counter,
    unfinished_seconds: Gauge<f64, AtomicU64>,
    longest_seconds: Gauge<f64, AtomicU64>,
}

impl Default for Workqueues {
    fn default() -> Self {
        Self {
            depth: Family::default(),
            adds: Family::default(),
            queue_seconds: Family::new_with_constructor(request_seconds),
            work_seconds: Family::new_with_constructor(request_seconds),
            retries: Family::default(),
            unfinished_seconds: Family::default(),
            longest_seconds: Family::default(),
        }
    }
}

impl Workqueues {
    pub(super) fn register(&self, registry: &mut Registry) {
        let text = "Keys that are ready and wait for a slot";
        registry.register("workqueue_depth", text, self.depth.clone());
        let text = "Keys that became ready, or are to run again when their pass has ended";
        registry.register("workqueue_adds", text, self.adds.clone());
        let text = "Keys whose pass failed and that wait for their backoff";
        registry.register("workqueue_retries", text, self.retries.clone());
        let text = "How long a key waited from its add until its pass began";
        let series = self.queue_seconds.clone();
        registry.register_with_unit("workqueue_queue_duration", text, Unit::Seconds, series);
        let text = "How long a pass took";
        let series = self.work_seconds.clone();
        registry.register_with_unit("workqueue_work_duration", text, Unit::Seconds, series);
        let text = "How long the passes that run have run, added up";
        let series = self.unfinished_seconds.clone();
        registry.register_with_unit("workqueue_unfinished_work", text, Unit::Seconds, series);
        let text = "How long the pass that runs longest has run";
        let (name, series) = ("workqueue_longest_running_processor", &self.longest_seconds);
        registry.register_with_unit(name, text, Unit::Seconds, series.clone());
    }

    pub(super) fn of(&self, controller: &str) -> Workqueue {
        let labels = ControllerLabels {
            controller: controller.to_owned(),
        };
        Workqueue {
            depth: self.depth.get_or_create_owned(&labels),
            adds: self.adds.get_or_create_owned(&labels),
            queue_seconds: self.queue_seconds.get_or_create_owned(&labels),
            work_seconds: self.work_seconds.get_or_create_owned(&labels),
            retries: self.retries.get_or_create_owned(&labels),
            unfinished_seconds: self.unfinished_seconds.get_or_create_owned(&labels),
            longest_seconds: self.longest_seconds.get_or_create_owned(&labels),
        }
    }
}

impl Workqueue {
    /// Sets the number of keys that wait for a slot.
    pub fn depth(&self, depth: usize) {
        self.depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// Counts keys that were added.
    pub fn added(&self, keys: usize) {
        self.adds.inc_by(u64::try_from(keys).unwrap_or(u64::MAX));
    }

    /// Records the time between the addition of a key and its pass.
    pub fn began_after(&self, waited: Duration) {
        self.queue_seconds.observe(waited.as_secs_f64());
    }

    /// Records the duration of a pass that ended.
    pub fn worked(&self, took: Duration) {
        self.work_seconds.observe(took.as_secs_f64());
    }

    /// Counts a key that waits for its backoff.
    pub fn retried(&self) {
        self.retries.inc();
    }

    /// Sets the sum of the durations of passes that run, and the longest of them.
    pub fn unfinished(&self, sum: Duration, longest: Duration) {
        self.unfinished_seconds.set(sum.as_secs_f64());
        self.longest_seconds.set(longest.as_secs_f64());
    }
}
