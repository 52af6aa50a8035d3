//! The messages of `/v1`, as docs/api/gateway.yaml describes them.
//!
//! Data without decisions. Requests have exactly the members of the document; of answers, members that
//! are not known are ignored, since a later gateway may have more, and members that are needed and
//! missing make the whole answer unusable.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{period::Period, twin::Reported};

mod events;
mod services;

pub use events::{Activated, EventsTaken, RefusedEvent};
pub use services::{Activation, Answered, MinimumSoftware, Requires, Service, Services, Word};

/// Region of a place, the answer of `GET /v1/region`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Region {
    /// Name of the region.
    pub region: String,
    /// URL of its gateway.
    pub url: String,
    /// Instant from which on the region is looked up again.
    pub valid_until: Timestamp,
}

/// Way by which a person consented, or used the switch of a service.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum By {
    /// At the panel.
    Panel,
    /// By a service technician.
    Technician,
    /// By a command.
    Command,
}

/// Consent of the owner.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Consent {
    /// Way by which the person consented.
    pub by: By,
    /// Instant of the consent.
    pub at: Timestamp,
    /// Version of the text that was shown.
    pub text_version: String,
}

/// A piece of software that runs on the device.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Software {
    /// `firmware` or `application`.
    pub part: String,
    /// Name, such as `main`.
    pub name: String,
    /// Version that runs.
    pub version: String,
}

impl Software {
    /// True for the same piece, in whatever version.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.part, &self.name) == (&other.part, &other.name)
    }
}

/// Body of `POST /v1/registrations`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Serial number, as it is on the plate of the device.
    pub serial_number: String,
    /// Product name, as a DeviceModel lists it.
    pub product_name: String,
    /// Manufacturer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<String>,
    /// `urn:uuid:` of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Country for which the device was made.
    pub ship_destination: String,
    /// Time zone, a name of the tz database.
    pub time_zone: String,
    /// Languages of the panel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// Place of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area: Option<Area>,
    /// Software that runs on it.
    pub software: Vec<Software>,
    /// Abilities besides settings.
    pub capabilities: Capabilities,
    /// Consent of its owner.
    pub consent: Consent,
}

/// Place of a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Area {
    /// Country (ISO 3166-1, alpha-2).
    pub country: String,
    /// Subdivision (ISO 3166-2, without the country).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subdivision: Option<String>,
}

/// Abilities of a device besides settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// True if it installs by DDI.
    pub ddi: bool,
    /// Kinds of data that it can send; none if it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_types: Option<Vec<String>>,
    /// Part numbers of the supplies that it can use; none if it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supplies: Option<Vec<String>>,
    /// Room for messages on its display; none if it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<Display>,
}

/// Size of a display.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Display {
    /// Characters of a line; one of double width is two of them.
    pub columns: u16,
    /// Number of lines.
    pub lines: u16,
}

/// A credential, as it is answered once.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// The token.
    pub token: String,
    /// Instant from which on the device renews it.
    pub renew_after: Timestamp,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Credential(renew after {})", self.renew_after)
    }
}

/// Paths of a device on its gateway.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Links {
    /// List of services.
    pub services: String,
    /// The twin.
    pub twin: String,
    /// Destination of events; none in the answer of a gateway that names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<String>,
    /// Base of DDI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ddi: Option<String>,
}

/// Times of polls.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Poll {
    /// Longest time between two polls; in the answer to a registration only.
    #[serde(default)]
    pub period: Option<Period>,
    /// Time to the next poll.
    pub next: Period,
}

/// Answer 201 of a registration.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// Id of the device.
    pub printer_id: String,
    /// Name of the Device.
    pub device: String,
    /// Its namespace.
    pub namespace: String,
    /// Its credential.
    pub credential: Credential,
    /// Times to come.
    pub poll: Poll,
    /// Paths to go on with.
    pub links: Links,
}

/// Answer 202 of a registration.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// Id of the registration that waits.
    pub registration_id: String,
    /// Seconds after which to read it.
    pub interval: u64,
}

/// Answer of `GET /v1/registrations/{registrationId}`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct PendingState {
    /// `Pending` or `Ready`.
    pub state: String,
    /// Seconds after which to read it again.
    pub interval: u64,
}

/// Answer of `GET …/twin`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Twin {
    /// Version of the desired document.
    pub version: u64,
    /// Document that the device should hold.
    pub desired: Desired,
    /// Part of the device's reports that the gateway has accepted.
    #[serde(default)]
    pub reported: Reported,
    /// Time to come again.
    pub poll: Poll,
}

/// The desired document.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Desired {
    /// Settings by name. The member has to be there: a twin without it is no empty one.
    pub settings: BTreeMap<String, DesiredSetting>,
    /// Kinds of data that the device sends; a gateway that names no list says nothing about them.
    #[serde(default, rename = "dataTypes")]
    pub data_types: Option<Vec<DataType>>,
    /// Messages that the device shows; a gateway that names no list says nothing about them.
    #[serde(default)]
    pub messages: Option<Vec<Message>>,
    /// The next revision.
    #[serde(default)]
    pub next: Option<Next>,
}

/// A message for a person at the device.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Message {
    /// Id.
    pub id: String,
    /// Language of both texts.
    pub language: String,
    /// The message.
    pub text: String,
    /// The same for a small display.
    pub short: String,
}

/// A kind of data that the device sends.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DataType {
    /// Name of the kind.
    pub name: String,
    /// Events that send it, such as `Consumed`.
    #[serde(default)]
    pub on: Vec<String>,
    /// Percentage at which `BelowThreshold` sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u8>,
    /// Longest time between two messages.
    pub period: Period,
}

/// A revision that lies ahead.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Next {
    /// Instant at which it is in force.
    pub effective: Timestamp,
    /// Settings that differ from then on.
    pub settings: BTreeMap<String, DesiredSetting>,
}

/// A value, or a secret whose value may be left out where the device has it.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct DesiredSetting {
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// True for a secret.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

impl std::fmt::Debug for DesiredSetting {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.value, self.secret) {
            (_, true) => formatter.write_str("secret"),
            (value, false) => write!(formatter, "{value:?}"),
        }
    }
}

/// A problem (RFC 9457) in the gateway's form.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Problem {
    /// URI of the reason.
    #[serde(default)]
    pub r#type: String,
    /// Sentence of the reason.
    #[serde(default)]
    pub title: String,
    /// Status of the answer.
    #[serde(default)]
    pub status: u16,
    /// Reason in one word.
    #[serde(default)]
    pub reason: String,
    /// Words about the fault.
    #[serde(default)]
    pub detail: String,
    /// Faults of the content.
    #[serde(default)]
    pub errors: Vec<Fault>,
    /// Legs of an activation that are missing.
    #[serde(default)]
    pub missing: Vec<String>,
}

/// A fault of a request.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Fault {
    /// JSON pointer of its place.
    pub pointer: String,
    /// Words about the fault.
    pub detail: String,
    /// Words about what is allowed.
    #[serde(default)]
    pub allowed: Option<String>,
}
