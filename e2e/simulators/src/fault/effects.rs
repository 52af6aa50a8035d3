//! The faults that a request meets, and their sum.
//!
//! Counts faults down. It never carries a fault out; the device and the broker call it once for
//! every request.

use std::{
    mem::discriminant,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{Fault, FaultKind, Rejection};
use crate::odd;

impl FaultKind {
    /// True if a request meets a fault of this kind; `named`: the fault names its operation.
    fn concerns(&self, request: &Subject<'_>, named: bool) -> bool {
        match self {
            // A state of the peer, not of a request.
            Self::Offline => false,
            Self::Reboot { .. } => named,
            Self::NotEffective { attributes } | Self::Reject { attributes, .. } => {
                request.write
                    && (attributes.is_empty()
                        || attributes
                            .iter()
                            .any(|a| request.names.contains(&a.as_str())))
            }
            Self::ResetAfterCommit => request.write || named,
            Self::AsyncNeverEnds | Self::AsyncFails { .. } => request.write,
            Self::Odd { name } => odd::row(name).is_some_and(|row| row.meets(request.write)),
            Self::NotRetrievable => matches!(request.operation, "fetch" | "catalog"),
            Self::FetchWithoutParameters { .. } => request.operation == "fetch",
            _ => true,
        }
    }
}

/// A request, as far as faults depend on it.
pub(crate) struct Subject<'a> {
    pub(crate) operation: &'a str,
    pub(crate) write: bool,
    /// Names of the attributes or top-level parameters it writes.
    pub(crate) names: &'a [&'a str],
}

/// Sum of the faults that one request meets.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub(crate) struct Effects {
    pub(crate) hang: bool,
    pub(crate) stall: Option<usize>,
    pub(crate) slow: Option<Duration>,
    pub(crate) not_effective: Option<Vec<String>>,
    pub(crate) reject: Option<(Vec<String>, Rejection)>,
    pub(crate) http_status: Option<(u16, Option<u32>)>,
    pub(crate) busy: bool,
    pub(crate) reset_after_commit: bool,
    pub(crate) reboot: Option<Duration>,
    pub(crate) odd: Option<String>,
    pub(crate) never_ends: bool,
    pub(crate) fails: Option<String>,
    pub(crate) not_retrievable: bool,
    pub(crate) without_parameters: Option<Vec<String>>,
}

impl Effects {
    fn add(&mut self, kind: &FaultKind) {
        match kind {
            FaultKind::Offline => {}
            FaultKind::Hang => self.hang = true,
            FaultKind::Stall { bytes } => self.stall = Some(*bytes),
            FaultKind::Slow { milliseconds } => {
                self.slow = Some(Duration::from_millis(*milliseconds));
            }
            FaultKind::NotEffective { attributes } => {
                self.not_effective = Some(attributes.clone());
            }
            FaultKind::Reject { attributes, status } => {
                self.reject = Some((attributes.clone(), *status));
            }
            FaultKind::Unauthorized => self.http_status = Some((401, None)),
            FaultKind::HttpStatus {
                status,
                retry_after_seconds,
            } => {
                self.http_status = Some((*status, *retry_after_seconds));
            }
            FaultKind::ResetAfterCommit => self.reset_after_commit = true,
            FaultKind::Busy => self.busy = true,
            FaultKind::Reboot {
                offline_milliseconds,
            } => {
                self.reboot = Some(Duration::from_millis(*offline_milliseconds));
            }
            FaultKind::Odd { name } => self.odd = Some(name.clone()),
            FaultKind::AsyncNeverEnds => self.never_ends = true,
            FaultKind::AsyncFails { description } => self.fails = Some(description.clone()),
            FaultKind::NotRetrievable => self.not_retrievable = true,
            FaultKind::FetchWithoutParameters { parameters } => {
                self.without_parameters = Some(parameters.clone());
            }
        }
    }

    /// True if a write of `name` has no effect.
    pub(crate) fn leaves_out(&self, name: &str) -> bool {
        let listed = |names: &Vec<String>| names.is_empty() || names.iter().any(|n| n == name);
        self.not_effective.as_ref().is_some_and(listed)
    }
}

/// The faults of one peer.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    any: AtomicBool,
    list: Mutex<Vec<Fault>>,
}

impl Faults {
    fn list(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault; one of the same kind and operation is replaced.
    pub(crate) fn set(&self, fault: Fault) {
        let mut list = self.list();
        list.retain(|f| {
            discriminant(&f.kind) != discriminant(&fault.kind) || f.operation != fault.operation
        });
        if fault.requests != Some(0) {
            list.push(fault);
        }
        self.any.store(!list.is_empty(), Ordering::Release);
    }

    pub(crate) fn clear(&self) {
        self.list().clear();
        self.any.store(false, Ordering::Release);
    }

    pub(crate) fn active(&self) -> Vec<Fault> {
        self.list().clone()
    }

    pub(crate) fn offline(&self) -> bool {
        self.list().iter().any(|f| f.kind == FaultKind::Offline)
    }

    /// Returns the faults that this request meets, and counts down those with a limit.
    pub(crate) fn meet(&self, request: &Subject<'_>) -> Effects {
        let mut effects = Effects::default();
        if !self.any.load(Ordering::Acquire) {
            return effects;
        }
        let mut list = self.list();
        list.retain_mut(|fault| {
            let named = match &fault.operation {
                Some(operation) if operation != request.operation => return true,
                other => other.is_some(),
            };
            if !fault.kind.concerns(request, named) {
                return true;
            }
            effects.add(&fault.kind);
            match &mut fault.requests {
                None => true,
                Some(left) => {
                    *left -= 1;
                    *left > 0
                }
            }
        });
        self.any.store(!list.is_empty(), Ordering::Release);
        effects
    }
}
