//! The one vocabulary of faults: what a peer does wrong, for how many requests, for which
//! operation, and on which side.
//!
//! The same names serve in Rust, in JSON (control interface, openbrokerapi of the end-to-end tests)
//! and on the command line of the program `simulators`. It decides nothing about a request: `effects`
//! does.

mod effects;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    SimulatorError,
    odd::{self, Odd},
};
pub(super) use effects::{Effects, Faults, Subject};

/// The side that has a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A printer.
    Device,
    /// A service broker.
    Broker,
}

impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Device => "device",
            Self::Broker => "broker",
        })
    }
}

/// Form in which a device refuses a write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejection {
    /// client-error-attributes-or-values-not-supported (0x040B), the attributes with their values
    /// in the unsupported group.
    #[default]
    NotSupported,
    /// client-error-attributes-not-settable (0x0413), out-of-band value not-settable (RFC 3380).
    NotSettable,
    /// successful-ok, nothing applied; only the unsupported group shows it (seen in a real server).
    Silent,
}

/// Fault of a peer. In JSON the member `type` names the kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum FaultKind {
    /// The listener is closed, connections are cut; connecting is refused until it is cleared.
    Offline,
    /// The request is taken and never answered (at most 60 s, then the connection is closed).
    Hang,
    /// The request is not carried out. The answer is HTTP 200 and so many bytes of a body without an
    /// end, after which nothing comes (at most 60 s, then the body ends).
    Stall {
        /// Bytes that are sent at once.
        bytes: usize,
    },
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
        /// The form of the refusal; a broker ignores it.
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
    /// Device: it returns to factory settings and is offline for a while. At once, or, if an
    /// operation is named, instead of answering it.
    Reboot {
        /// Time for which the device stays offline, in milliseconds.
        offline_milliseconds: u64,
    },
    /// Device: its answers are odd in the way of a row of the [zoo](super::odd).
    Odd {
        /// Name of the row.
        name: String,
    },
    /// Broker: asynchronous operations started now stay `in progress` until it is cleared.
    AsyncNeverEnds,
    /// Broker: asynchronous operations started now end as `failed`.
    AsyncFails {
        /// Description in the answer to last_operation.
        description: String,
    },
    /// Broker: the catalog has `instances_retrievable: false`, and a fetch answers 404.
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

    /// Returns the name, as in JSON and on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Offline => "Offline",
            Self::Hang => "Hang",
            Self::Stall { .. } => "Stall",
            Self::Slow { .. } => "Slow",
            Self::NotEffective { .. } => "NotEffective",
            Self::Reject { .. } => "Reject",
            Self::Unauthorized => "Unauthorized",
            Self::ResetAfterCommit => "ResetAfterCommit",
            Self::HttpStatus { .. } => "HttpStatus",
            Self::Busy => "Busy",
            Self::Reboot { .. } => "Reboot",
            Self::Odd { .. } => "Odd",
            Self::AsyncNeverEnds => "AsyncNeverEnds",
            Self::AsyncFails { .. } => "AsyncFails",
            Self::NotRetrievable => "NotRetrievable",
            Self::FetchWithoutParameters { .. } => "FetchWithoutParameters",
        }
    }

    /// True if a simulated peer of that side can have it.
    pub fn is_of(&self, side: Side) -> bool {
        match self {
            Self::Offline
            | Self::Hang
            | Self::Stall { .. }
            | Self::Slow { .. }
            | Self::NotEffective { .. }
            | Self::Reject { .. }
            | Self::Unauthorized
            | Self::ResetAfterCommit
            | Self::HttpStatus { .. }
            | Self::Busy => true,
            Self::Reboot { .. } | Self::Odd { .. } => side == Side::Device,
            Self::AsyncNeverEnds
            | Self::AsyncFails { .. }
            | Self::NotRetrievable
            | Self::FetchWithoutParameters { .. } => side == Side::Broker,
        }
    }
}

/// A fault with its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Kind of the fault.
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
    /// Returns a fault that stays until it is cleared.
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

impl Fault {
    /// Returns the fault if a simulated peer of that side can have it.
    ///
    /// # Errors
    /// [`SimulatorError::Fault`]; [`SimulatorError::Options`] if no row of the zoo has that name, or
    /// its answer is none of HTTP/1.1.
    pub(super) fn checked(self, side: Side) -> Result<Self, SimulatorError> {
        if let FaultKind::Odd { name } = &self.kind
            && !odd::row(name).is_some_and(Odd::is_http)
        {
            let message = format!("no simulated printer can be odd as {name} is");
            return Err(SimulatorError::Options { message });
        }
        if self.kind.is_of(side) {
            return Ok(self);
        }
        let fault = self.kind.name();
        Err(SimulatorError::Fault { fault, side })
    }
}

/// The form of the command line: JSON, or the name alone if the kind needs nothing else.
impl FromStr for Fault {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim_start().starts_with('{') {
            serde_json::from_str(text)
        } else {
            serde_json::from_value(serde_json::json!({ "type": text }))
        }
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self::new(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns one fault of each kind.
    fn all() -> Vec<FaultKind> {
        let names = Vec::new;
        vec![
            FaultKind::Offline,
            FaultKind::Hang,
            FaultKind::Stall { bytes: 1 },
            FaultKind::Slow { milliseconds: 1 },
            FaultKind::NotEffective {
                attributes: names(),
            },
            FaultKind::Reject {
                attributes: names(),
                status: Rejection::default(),
            },
            FaultKind::Unauthorized,
            FaultKind::ResetAfterCommit,
            FaultKind::http_500(),
            FaultKind::Busy,
            FaultKind::Reboot {
                offline_milliseconds: 1,
            },
            FaultKind::Odd {
                name: "no-end".to_owned(),
            },
            FaultKind::AsyncNeverEnds,
            FaultKind::AsyncFails {
                description: "no room".to_owned(),
            },
            FaultKind::NotRetrievable,
            FaultKind::FetchWithoutParameters {
                parameters: names(),
            },
        ]
    }

    #[test]
    fn a_fault_has_one_name_in_json_on_the_command_line_and_in_the_readme() {
        let readme = include_str!("../README.md");
        for kind in all() {
            let fault = Fault::new(kind).for_requests(2).on("provision");
            let json = serde_json::to_value(&fault).unwrap();
            assert_eq!(json["type"], fault.kind.name());
            assert_eq!(json.to_string().parse::<Fault>().unwrap(), fault);
            let side = |side| if fault.kind.is_of(side) { "yes" } else { "" };
            let row = format!(
                "| `{}` | {} | {} |",
                fault.kind.name(),
                side(Side::Device),
                side(Side::Broker)
            );
            assert!(readme.contains(&row), "{row}");
        }
    }

    #[test]
    fn a_printer_is_odd_in_a_way_that_exists_and_that_it_can_send() {
        let odd = |name: &str| {
            let name = name.to_owned();
            Fault::new(FaultKind::Odd { name }).checked(Side::Device)
        };
        assert!(odd("no-end").is_ok());
        assert!(odd("no-such-row").is_err() && odd("junk-before-http").is_err());
    }

    #[test]
    fn a_name_alone_is_a_fault_where_the_kind_needs_nothing_else() {
        assert_eq!(
            "Busy".parse::<Fault>().unwrap(),
            Fault::from(FaultKind::Busy)
        );
        let lie = FaultKind::NotEffective {
            attributes: Vec::new(),
        };
        assert_eq!("NotEffective".parse::<Fault>().unwrap(), lie.into());
        let lacking = "Slow".parse::<Fault>().unwrap_err().to_string();
        assert!(lacking.contains("milliseconds"), "{lacking}");
        let unknown = "Broken".parse::<Fault>().unwrap_err().to_string();
        assert!(unknown.contains("AsyncNeverEnds"), "{unknown}");
    }
}
