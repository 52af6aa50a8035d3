//! Requests to remote sides and their answers, as values.
//!
//! Drivers turn these into requests and answers into these; the domain decides on them. Nothing
//! here knows HTTP. A secret is a [`SecretText`], which shows itself to drivers only.

mod notifications;
mod status_report;

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{digest::Digest, v1alpha1::SoftwarePart};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

pub use self::notifications::{
    FetchedEvent, FetchedEvents, NotificationAnswer, NotificationRequest, PrinterEvent,
};
pub use self::status_report::{
    DeviceState, DisplayRequest, FaultSource, FaultySupply, Panel, ReportedFault, ReportedSupply,
    StatusReport, SupplyLevel,
};
use crate::{
    protocol::{Manner, Place},
    secret::SecretText,
};

/// A typed value that is wanted.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Value {
    /// A text or a single word.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A truth value.
    Boolean(bool),
    /// A set of words, whose order means nothing.
    Words(BTreeSet<String>),
    /// A text that is never shown.
    Secret(SecretText),
}

/// One value as a device gave it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Scalar {
    /// Any text, name, keyword or URI.
    Text(String),
    /// An integer or an enum.
    Integer(i64),
    /// A truth value.
    Boolean(bool),
    /// Something that cannot be compared, such as a collection or an out-of-band value; as text.
    Other(String),
    /// A secret of which only the keyed digest is known.
    Digest(Digest),
    /// A value that breaks the rules of its syntax or of the message, and equals nothing that can be
    /// wanted: a phrase that says how, such as "8 octets where an integer has 4".
    Malformed(String),
}

/// Content of one reading of a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceReadRequest {
    /// Place of the device's identity.
    pub identity: Place,
    /// The places whose values are needed; empty for a probe of the identity alone.
    pub places: BTreeSet<Place>,
}

/// Answer of a device to one reading.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeviceReading {
    /// The name of its model (IPP printer-make-and-model).
    pub product_name: Option<String>,
    /// Identity that the device reported.
    pub identity: Option<String>,
    /// The serial number that it reported, where the connection tells it beside the identity.
    pub serial_number: Option<String>,
    /// The SHA-256 of its TLS certificate in lower case hexadecimal, where TLS was spoken.
    pub certificate_sha256: Option<String>,
    /// The values at the places that it has, of those that were asked for. A missing one is not
    /// supported.
    pub values: BTreeMap<Place, Vec<Scalar>>,
    /// The places whose values have a secret in them, such as the credentials of the request: they
    /// are compared, and never shown.
    pub private: BTreeSet<Place>,
    /// The values that a device which fetches its settings was asked to take, by place.
    pub asked: BTreeMap<Place, AskedValue>,
    /// The places whose values the device reported before it saw what it is asked for there: they
    /// prove nothing of what it has since.
    pub outdated: BTreeSet<Place>,
    /// The software of a device that calls.
    pub software: SoftwareReading,
    /// The kinds of data of a device that calls.
    pub data: Box<DataReading>,
    /// True if a device that calls has not reported any setting yet: nothing is known of its values.
    pub is_unreported: bool,
    /// The instant from which a device that calls counts as not heard of, if it does not call before.
    pub silent_from: Option<Timestamp>,
}

impl DeviceReading {
    /// True if a device which fetches its settings has to tell more before anybody can know whether it
    /// takes this value.
    pub fn waits_for_a_call(&self, place: &Place, value: &Value) -> bool {
        let asked = self.asked_for(place, value);
        self.is_unreported || asked == Some(&AskedState::Waiting)
    }

    /// Returns the values at a place, if the device reported them after it saw what it is asked for
    /// there.
    pub fn proof(&self, place: &Place) -> Option<&[Scalar]> {
        let found = self.values.get(place).map(Vec::as_slice);
        found.filter(|_| !self.outdated.contains(place))
    }

    /// Returns the state of a value that a device which fetches its settings was asked to take; `None`
    /// if it was not asked for this very value.
    pub fn asked_for(&self, place: &Place, value: &Value) -> Option<&AskedState> {
        let asked = self.asked.get(place)?;
        asked.is(value).then_some(&asked.state)
    }
}

/// Kinds of data of a device that calls.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DataReading {
    /// The kinds that it says it sends, each with its longest period; `None`: on events alone.
    pub sent: BTreeMap<String, Option<SignedDuration>>,
    /// The kinds that it was asked to send, each with the longest period.
    pub asked: BTreeMap<String, SignedDuration>,
    /// True if it has reported since it was asked.
    pub has_taken_note: bool,
}

/// Software of a device that calls.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SoftwareReading {
    /// The versions that it reports, by part and name.
    pub versions: BTreeMap<(SoftwarePart, String), String>,
    /// The installation that it was asked for last, if that is one.
    pub asked: Option<Box<AskedInstallation>>,
}

impl SoftwareReading {
    /// True if the device reports the very version that it was asked to install.
    pub fn has(&self, asked: &AskedInstallation) -> bool {
        let piece = (asked.part, asked.name.clone());
        self.versions.get(&piece) == Some(&asked.version)
    }
}

/// An installation that a device that calls was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AskedInstallation {
    /// Firmware or application.
    pub part: SoftwarePart,
    /// Its name.
    pub name: String,
    /// The version.
    pub version: String,
    /// The SHA-256 of the file.
    pub sha256: String,
    /// The instant from which on the device is not told of it, if it was not before.
    pub until: Option<Timestamp>,
    /// State of the installation, by the words of the device.
    pub state: InstallationState,
    /// The file, while the gateway cannot serve it.
    pub unavailable: Option<UnavailableFile>,
}

/// A file that the gateway cannot serve.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnavailableFile {
    /// The fault in words, and what a person can do.
    pub message: String,
    /// Instant from which the fault is of this kind, by the clock of the gateway.
    pub since: Timestamp,
}

/// State of an installation, by the words of the device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum InstallationState {
    /// The device was not told of it yet.
    Waiting,
    /// The device was told of it.
    Offered,
    /// The device fetches or installs it.
    UnderWay,
    /// The device says that it is installed.
    Installed {
        /// True if the device has started again since, or has reported its software.
        restarted: bool,
    },
    /// The device says that it could not install it, and why.
    Failed(Option<String>),
    /// The device has ended it without installing it, and says why.
    Cancelled(Option<String>),
}

/// A value that a device which fetches its settings was asked to take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AskedValue {
    /// The value as text; `None` for one that comes from a Secret.
    pub text: Option<String>,
    /// The keyed digest of a value that comes from a Secret.
    pub digest: Option<Digest>,
    /// State of the request.
    pub state: AskedState,
}

/// State of a request to a device which fetches its settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AskedState {
    /// The device has not taken note of it yet.
    Waiting,
    /// The device has taken note of it. What it reports says whether the value is in effect.
    Taken,
    /// The device has taken note of the version with it, in which its value was missing or another one:
    /// the Secret could not be read, or was edited.
    Missed,
    /// The device has said that it does not take it.
    Refused(Failure),
}

impl AskedValue {
    /// True if it is this value.
    pub fn is(&self, value: &Value) -> bool {
        match value {
            Value::Secret(secret) => {
                self.digest == Some(secret.digest())
                    || self.text.as_deref() == Some(secret.expose())
            }
            other => self.text.is_some() && self.text == other.text(),
        }
    }
}

impl Value {
    /// Returns the value as a device that calls gets it: numbers in decimal, truth values as "true" and
    /// "false", words in their order with commas. `None` for a secret.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Boolean(truth) => Some(truth.to_string()),
            Self::Words(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                Some(words.join(","))
            }
            Self::Secret(_) => None,
        }
    }
}

/// One value that is set by one request: some devices drop a whole group because of one member.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceWrite {
    /// Place to set.
    pub place: Place,
    /// Manner in which it is carried.
    pub manner: Manner,
    /// The value.
    pub value: Value,
}

/// Identity of an instance on a service server, with its offering and plan.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstanceKey {
    /// The id of the instance (OSB `instance_id`), chosen by us and the same for ever.
    pub instance_id: String,
    /// The offering (OSB `service_id`).
    pub service_id: String,
    /// The plan (OSB `plan_id`). Empty in a fetch while it is not known which of two plans it has:
    /// a fetch need not name one.
    pub plan_id: String,
}

/// Customer and subscription of an instance, in stable names, never a uid (OSB `context`,
/// `organization_guid`, `space_guid`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstanceContext {
    /// The customer, as the broker knows it: for all requests about an instance the same.
    pub organization: String,
    /// The namespace.
    pub namespace: String,
    /// Name of the subscription, for the header with the originating identity.
    pub subscription: String,
}

/// Answer of a service server to a fetch of an instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum InstanceReading {
    /// It is there.
    Present {
        /// The offering, where the server says it.
        service_id: Option<String>,
        /// The plan, where the server says it.
        plan_id: Option<String>,
        /// The parameters in effect; `None` where the server does not tell them.
        parameters: Option<serde_json::Map<String, serde_json::Value>>,
    },
    /// It is not there, or is still being made (OSB: 404).
    Absent,
    /// The server does not let instances be fetched (OSB `instances_retrievable`).
    NotRetrievable,
}

/// Answer of a service server to provision, update or deprovision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServerAnswer {
    /// It is done (OSB: 200, 201; 410 for deprovision).
    Done,
    /// The instance to provision was there already, just as it was asked for (OSB: 200).
    Existed,
    /// It is under way (OSB: 202), with the server's id of the operation.
    UnderWay {
        /// The server's id of the operation, to be sent back when asking.
        operation: Option<String>,
        /// The server's Retry-After: the first poll is sent after this time.
        retry_after: Option<SignedDuration>,
    },
    /// The server does not know the instance that it is to remove (404 to a deprovision, for which
    /// OSB defines no meaning). It is gone if a fetch says so as well.
    Absent {
        /// One sentence with the server's words, as in a [`Failure`].
        message: String,
    },
}

/// Content of a request that makes or changes an instance (OSB "Provisioning", "Updating a Service
/// Instance").
#[derive(Clone, Copy, Debug)]
pub struct InstanceRequest<'a> {
    /// The instance; for an update with the plan that it has.
    pub instance: &'a InstanceKey,
    /// Id of the plan that it is moved to; `None` if it keeps its plan.
    pub to_plan: Option<&'a str>,
    /// The version of the plan that it is to have (OSB `maintenance_info`), if the catalog names
    /// one and this request chooses a plan.
    pub maintenance_version: Option<&'a str>,
    /// Customer and subscription of the instance.
    pub context: &'a InstanceContext,
    /// Its parameters: all of them, or those that change.
    pub parameters: &'a serde_json::Map<String, serde_json::Value>,
}

impl<'a> InstanceRequest<'a> {
    /// Returns a request that moves the instance to no other plan and names no version of it.
    pub fn new(
        instance: &'a InstanceKey,
        context: &'a InstanceContext,
        parameters: &'a serde_json::Map<String, serde_json::Value>,
    ) -> Self {
        Self {
            instance,
            to_plan: None,
            maintenance_version: None,
            context,
            parameters,
        }
    }
}

/// State of an operation that is under way (OSB `last_operation`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OperationState {
    /// Ask again, after this time where the server says so.
    InProgress {
        /// The server's Retry-After.
        retry_after: Option<SignedDuration>,
    },
    /// It is done.
    Succeeded,
    /// It ended without success, in the server's own words; see [`Failure::of_operation`].
    Failed(Failure),
    /// The server does not know the instance any more (OSB: 410 while deprovisioning).
    Gone,
}

/// Part of a broker's catalog that the operator needs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Catalog {
    /// The offerings that can be used.
    pub offerings: Vec<Offering>,
    /// The entries that cannot be used, each as a short text that names it and its fault, with the
    /// broker's words quoted. At most eight.
    pub odd: Vec<String>,
}

/// One offering of a broker's catalog.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Offering {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its name as it may be shown, where that is not the name: one that has a secret in it.
    pub shown: Option<String>,
    /// True if instances can be fetched (OSB `instances_retrievable`).
    pub instances_retrievable: bool,
    /// Its plans.
    pub plans: Vec<Plan>,
}

impl Offering {
    /// Returns the name as a message may show it.
    pub fn shown_name(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.name)
    }
}

/// One plan of an offering.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its name as it may be shown, where that is not the name: one that has a secret in it.
    pub shown: Option<String>,
    /// Longest time for which an operation may be polled (OSB `maximum_polling_duration`).
    pub maximum_polling_duration: Option<SignedDuration>,
    /// True if an instance can be moved away from this plan (OSB `plan_updateable` of the plan,
    /// else of its offering, else false).
    pub updateable: bool,
    /// The version of the plan (OSB `maintenance_info.version`), if the broker names one.
    pub maintenance_version: Option<String>,
}

impl Plan {
    /// Returns the name as a message may show it.
    pub fn shown_name(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.name)
    }
}

/// Failure of a request, with the remote side's words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// Kind of the failure.
    pub kind: FailureKind,
    /// One sentence with the remote side's own words: at most 256 bytes of them, no bodies that
    /// were not expected, no secrets, no addresses of the Connection.
    pub message: String,
    /// Wait that the remote side asks for.
    pub retry_after: Option<SignedDuration>,
    /// True if the remote side may have acted all the same: the answer was lost, made no sense or
    /// was a server error (OSB section "Orphan Mitigation").
    pub doubtful: bool,
    /// False if the remote side says that the same request would fail again (OSB
    /// `update_repeatable`).
    pub repeatable: bool,
}

impl Failure {
    /// Returns a failure that leaves no doubt, that does not say when to ask again, and after which
    /// the same request may succeed.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
            doubtful: false,
            repeatable: true,
        }
    }

    /// Returns the failure of an operation that ended without success, in the server's own words.
    pub fn of_operation(message: impl Into<String>) -> Self {
        Self::new(FailureKind::ProtocolError, message)
    }
}

/// Kind of failure that a request met.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum FailureKind {
    /// No connection could be made: refused, no route, name not found.
    Unreachable,
    /// No answer came in time.
    TimedOut,
    /// The TLS handshake failed.
    TlsFailed,
    /// The certificate is another one than that pinned.
    CertificateChanged,
    /// The resolved address lies outside the allowed networks: nothing was sent.
    AddressNotAllowed,
    /// HTTP 401 or 403, or an IPP status that says so.
    Unauthorized,
    /// Busy: IPP server-error-busy, HTTP 429.
    Busy,
    /// Another operation on the same instance is under way (OSB `ConcurrencyError`).
    Concurrent,
    /// The catalog that we read is not the server's any more (OSB `MaintenanceInfoConflict`).
    CatalogOutdated,
    /// The value is refused.
    RejectedValue,
    /// The remote side says that it cannot be set (RFC 3380 not-settable).
    RejectedNotSettable,
    /// The remote side does not know the item or the operation.
    Unsupported,
    /// An instance with this id and other values exists (OSB: 409).
    Conflict,
    /// The answer made no sense, or the remote side failed.
    ProtocolError,
    /// A device that calls has not registered.
    NotRegistered,
    /// A device that calls has not called for too long, or one has told its settings server nothing.
    NotHeardOf,
    /// The owner of a device that calls has withdrawn the consent.
    ConsentWithdrawn,
}

impl FailureKind {
    /// True if only a call of the device ends it: asking again does not.
    pub fn waits_for_a_call(self) -> bool {
        matches!(
            self,
            Self::NotRegistered | Self::NotHeardOf | Self::ConsentWithdrawn
        )
    }
}
