//! Faults: what a simulated peer does wrong, for how many requests, and for which operation.
//!
//! Decides which faults a request meets and counts them down. It never carries a fault out; the
//! device and the broker ask it once for every request.

use std::{
    mem::discriminant,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// How a device refuses a write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejection {
    /// client-error-attributes-or-values-not-supported (0x040B), the attributes with their values
    /// in the unsupported group.
    #[default]
    NotSupported,
    /// client-error-attributes-not-settable (0x0413), out-of-band value not-settable (RFC 3380).
    NotSettable,
    /// successful-ok, nothing applied; only the unsupported group tells (seen in a real server).
    Silent,
}

/// What a peer does wrong. In JSON the member `type` names the kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum FaultKind {
    /// The listener is closed, connections are cut; connecting is refused until the cure.
    Offline,
    /// The request is taken and never answered (at most 60 s, then the connection is closed).
    Hang,
    /// The request is carried out at once and answered late.
    Slow {
        /// Delay of the answer.
        milliseconds: u64,
    },
    /// A write is answered with success and has no effect.
    NotEffective {
        /// Attributes or parameters without effect; empty: all.
        #[serde(default)]
        attributes: Vec<String>,
    },
    /// A write is refused: IPP as `status` says, broker 400.
    Reject {
        /// Attributes that lead to the refusal; empty: any.
        #[serde(default)]
        attributes: Vec<String>,
        /// The form of the refusal; a broker takes no notice.
        #[serde(default)]
        status: Rejection,
    },
    /// HTTP 401.
    Unauthorized,
    /// The write is committed, then the connection is closed without an answer.
    ResetAfterCommit,
    /// An HTTP status in place of the answer.
    HttpStatus {
        /// The status, 400 to 599.
        status: u16,
        /// Value of `Retry-After`.
        #[serde(default)]
        retry_after_seconds: Option<u32>,
    },
    /// IPP server-error-busy (0x0507); broker: 422 ConcurrencyError.
    Busy,
    /// The device loses its settings to factory values and is offline for a while. At once, or
    /// where an operation is named: instead of answering it.
    Reboot {
        /// How long the device stays offline.
        offline_milliseconds: u64,
    },
    /// Broker: asynchronous operations started now stay `in progress` until the cure.
    AsyncNeverEnds,
    /// Broker: asynchronous operations started now end as `failed`.
    AsyncFails {
        /// What last_operation says.
        description: String,
    },
    /// Broker: the catalogue says `instances_retrievable: false`, and a fetch answers 404.
    NotRetrievable,
    /// Broker: a fetched instance lacks parameters.
    FetchWithoutParameters {
        /// Top-level names left out; empty: the whole member `parameters`.
        #[serde(default)]
        parameters: Vec<String>,
    },
}

impl FaultKind {
    /// HTTP 500.
    pub fn http_500() -> Self {
        Self::HttpStatus {
            status: 500,
            retry_after_seconds: None,
        }
    }

    /// HTTP 429 with `Retry-After`.
    pub fn too_many_requests(retry_after_seconds: u32) -> Self {
        Self::HttpStatus {
            status: 429,
            retry_after_seconds: Some(retry_after_seconds),
        }
    }

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
            Self::NotRetrievable => matches!(request.operation, "fetch" | "catalog"),
            Self::FetchWithoutParameters { .. } => request.operation == "fetch",
            _ => true,
        }
    }
}

/// A fault with its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// It ends by itself after so many requests that met it; absent: it stays until cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u32>,
    /// Only this operation meets it, for example `Set-Printer-Attributes` or `provision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

impl Fault {
    /// A fault that stays until it is cleared.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            requests: None,
            operation: None,
        }
    }

    /// Limits it to the next `requests` requests that meet it.
    #[must_use]
    pub fn for_requests(mut self, requests: u32) -> Self {
        self.requests = Some(requests);
        self
    }

    /// Limits it to one operation.
    #[must_use]
    pub fn on(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self::new(kind)
    }
}

/// The request that faults are looked up for.
pub(super) struct Subject<'a> {
    pub(super) operation: &'a str,
    pub(super) write: bool,
    /// Names of the attributes or top-level parameters it writes.
    pub(super) names: &'a [&'a str],
}

/// What the faults met by one request add up to.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub(super) struct Effects {
    pub(super) hang: bool,
    pub(super) slow: Option<Duration>,
    pub(super) not_effective: Option<Vec<String>>,
    pub(super) reject: Option<(Vec<String>, Rejection)>,
    pub(super) http_status: Option<(u16, Option<u32>)>,
    pub(super) busy: bool,
    pub(super) reset_after_commit: bool,
    pub(super) reboot: Option<Duration>,
    pub(super) never_ends: bool,
    pub(super) fails: Option<String>,
    pub(super) not_retrievable: bool,
    pub(super) without_parameters: Option<Vec<String>>,
}

impl Effects {
    fn add(&mut self, kind: &FaultKind) {
        match kind {
            FaultKind::Offline => {}
            FaultKind::Hang => self.hang = true,
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
            FaultKind::AsyncNeverEnds => self.never_ends = true,
            FaultKind::AsyncFails { description } => self.fails = Some(description.clone()),
            FaultKind::NotRetrievable => self.not_retrievable = true,
            FaultKind::FetchWithoutParameters { parameters } => {
                self.without_parameters = Some(parameters.clone());
            }
        }
    }

    /// Whether a write of `name` has no effect.
    pub(super) fn leaves_out(&self, name: &str) -> bool {
        let listed = |names: &Vec<String>| names.is_empty() || names.iter().any(|n| n == name);
        self.not_effective.as_ref().is_some_and(listed)
    }
}

/// The faults of one peer.
#[derive(Debug, Default)]
pub(super) struct Faults {
    any: AtomicBool,
    list: Mutex<Vec<Fault>>,
}

impl Faults {
    fn list(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault; one of the same kind and operation is replaced.
    pub(super) fn set(&self, fault: Fault) {
        let mut list = self.list();
        list.retain(|f| {
            discriminant(&f.kind) != discriminant(&fault.kind) || f.operation != fault.operation
        });
        if fault.requests != Some(0) {
            list.push(fault);
        }
        self.any.store(!list.is_empty(), Ordering::Release);
    }

    pub(super) fn clear(&self) {
        self.list().clear();
        self.any.store(false, Ordering::Release);
    }

    pub(super) fn active(&self) -> Vec<Fault> {
        self.list().clone()
    }

    pub(super) fn offline(&self) -> bool {
        self.list().iter().any(|f| f.kind == FaultKind::Offline)
    }

    /// The faults that this request meets; those with a limit are counted down.
    pub(super) fn meet(&self, request: &Subject<'_>) -> Effects {
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
