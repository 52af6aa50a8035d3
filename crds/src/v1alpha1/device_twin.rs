//! DeviceTwin: what a device that calls should hold, and what it said.

mod deployment;
mod error;
mod message;

pub use deployment::*;
pub use error::*;
pub use message::*;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ConsentWay, DataEvent, DeviceCapabilities, MAX_IDENTITY, MAX_RECONCILE_AT, SecretKeyReference,
};
use crate::{
    bounded::{Text, Token},
    digest::Digest,
    duration::Duration,
    schema::{self, MAX_MESSAGE},
};

/// The most characters of a value that a device reports.
pub const MAX_REPORTED: usize = 1023;
/// The most settings of one twin, as many as a DeviceModel has.
pub const MAX_TWIN_SETTINGS: usize = 128;

/// State that a device should hold, as far as it fetches it. The operator alone writes it.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "entente.dev",
    version = "v1alpha1",
    kind = "DeviceTwin",
    plural = "devicetwins",
    namespaced,
    shortname = "entwin",
    category = "entente-all",
    status = "DeviceTwinStatus",
    derive = "PartialEq",
    doc = "What a device that calls should hold, written by the operator, and what it said, written by the gateway. Its name is that of its Device; the twin of a device that is not known yet begins with pending-.",
    printcolumn(
        name = "SERIAL",
        type_ = "string",
        json_path = ".status.registration.serialNumber"
    ),
    printcolumn(
        name = "PRODUCT",
        type_ = "string",
        json_path = ".status.registration.productName"
    ),
    printcolumn(name = "WANTED", type_ = "integer", json_path = ".metadata.generation"),
    printcolumn(
        name = "REPORTED",
        type_ = "integer",
        json_path = ".status.reported.version"
    ),
    printcolumn(name = "HEARD", type_ = "date", json_path = ".status.lastHeard"),
    printcolumn(
        name = "REGION",
        type_ = "string",
        json_path = ".status.registration.region",
        priority = 1
    ),
    printcolumn(
        name = "ENROLLMENT",
        type_ = "string",
        json_path = ".status.registration.enrollment",
        priority = 1
    ),
    printcolumn(
        name = "REGISTERED",
        type_ = "date",
        json_path = ".status.registration.at",
        priority = 1
    ),
    printcolumn(
        name = "WITHDRAWN",
        type_ = "date",
        json_path = ".status.registration.consent.withdrawn",
        priority = 1
    ),
    printcolumn(
        name = "AGE",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct DeviceTwinSpec {
    /// The Device; absent while no Device has the serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_ref: Option<TwinDevice>,
    /// The settings that the device should have. One that is absent is not controlled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub settings: Vec<TwinSetting>,
    /// Kinds of data that the device should send, and no others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub data_types: Vec<TwinDataType>,
    /// Messages that the device should show, and no others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub messages: Vec<TwinMessage>,
    /// The installation that is wanted, or that was wanted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<TwinDeployment>,
    /// Instant at which the device should call: then a maintenance window opens for which an
    /// installation waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_at: Option<Timestamp>,
    /// The next change: the device may hold it, and applies it by itself at the instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<TwinNext>,
}

/// The Device of a twin.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinDevice {
    /// The name of the Device, in the same namespace.
    #[schemars(schema_with = "schema::dns_label")]
    pub name: String,
    /// Its uid: a Device that was made anew has another twin.
    #[schemars(length(max = 64))]
    pub uid: String,
}

/// One kind of data that a device should send.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinDataType {
    /// Its name in the DeviceModel.
    #[schemars(schema_with = "schema::setting_name")]
    pub name: String,
    /// Events that send it, besides the period.
    // YAML 1.1, and with it kubectl, takes a plain `on` for true.
    #[serde(default, rename = "sendOn", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub on: Vec<DataEvent>,
    /// Percentage at which BelowThreshold sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 99))]
    pub threshold: Option<i32>,
    /// Longest time between two messages: the shortest that a service wants.
    #[schemars(schema_with = "schema::positive_duration")]
    pub period: Duration,
    /// Names of the ServiceSubscriptions that want it.
    #[schemars(length(min = 1, max = 256), inner(length(max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub wanted_by: Vec<String>,
}

/// One setting that a device should have. Exactly one of value and secretKeyRef is set.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.value) != has(self.secretKeyRef)").message("exactly one of value and secretKeyRef must be set")
)]
pub struct TwinSetting {
    /// The device's own name of the setting (via.agent.key of the DeviceModel).
    #[schemars(schema_with = "schema::setting_name")]
    pub name: String,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1023))]
    pub value: Option<String>,
    /// The Secret with the value, in the same namespace. The gateway reads it when the device asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyReference>,
    /// A keyed digest of the value of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub digest: Option<Digest>,
    /// Number of times that the operator asked for this value. It grows when the device has reported
    /// another value meanwhile.
    #[schemars(range(min = 1))]
    pub asked: i32,
}

/// The change that comes next.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinNext {
    /// The instant from which it applies.
    pub effective: Timestamp,
    /// The settings that are other ones from then on. A setting that is absent stays as it is.
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub settings: Vec<TwinSetting>,
}

/// State of a device as the gateway heard it.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceTwinStatus {
    /// The generation of the twin that the device has taken note of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Identity of the device, as it registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<TwinRegistration>,
    /// Credential of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<TwinCredential>,
    /// Abilities of the device besides settings, as it registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<DeviceCapabilities>,
    /// Last report of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<TwinReported>,
    /// The values of Secrets that the device was last given, each by its digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub given: Vec<GivenSecret>,
    /// Words of the device on each service: whether its local switch is on, and whether the device can
    /// do it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["applicationId".into()]))]
    pub local: Vec<TwinLocal>,
    /// Errors of the device, as its events told them; of those that are over the latest stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["key".into()]))]
    pub errors: Vec<TwinError>,
    /// State of the installation that the device was last offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<TwinDeploymentState>,
    /// The file of the installation in the spec; present only while the gateway cannot serve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<TwinArtifact>,
    /// An instant at which the device called. It is written at most twice in each poll period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heard: Option<Timestamp>,
    /// Seconds after which the device was last told to call again at the latest: `poll` of the Connection
    /// at that time, by which it counts as heard of. Absent from its registration to its first call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_622_400))]
    pub poll_seconds: Option<i64>,
}

/// Identity of a device, as it registered.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinRegistration {
    /// The id under which it calls (UUID version 5 of namespace, Device and serial number); absent while
    /// no Device has the serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub printer_id: Option<String>,
    /// The DeviceEnrollment that admitted it.
    #[schemars(length(max = 253))]
    pub enrollment: String,
    /// The region at whose gateway it registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub region: Option<String>,
    /// The instant of the registration.
    pub at: Timestamp,
    /// Its serial number.
    pub serial_number: Token<64>,
    /// Name of its product.
    pub product_name: Text<MAX_IDENTITY>,
    /// Its UUID, such as "urn:uuid:…", if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Token<MAX_IDENTITY>>,
    /// The country for which it was made, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ship_destination: Option<Text<64>>,
    /// The time zone in which it stands, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Text<64>>,
    /// The languages of its panel (BCP 47), as it says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub languages: Vec<Text<35>>,
    /// Consent of its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<TwinConsent>,
    /// Value that the annotation entente.dev/reregister of its Device had at the registration. Another
    /// value lets a device register anew that has used its credential, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reregister: Option<Token<MAX_RECONCILE_AT>>,
}

/// Word of a device on one of its services.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinLocal {
    /// The id under which the device knows the service: the name of the ServiceSubscription.
    #[schemars(length(min = 1, max = 253))]
    pub application_id: String,
    /// True if its local switch is on, so that it asks to be activated.
    pub enabled: bool,
    /// The way by which it was switched.
    pub by: ConsentWay,
    /// The instant at which the gateway heard it.
    pub at: Timestamp,
    /// Abilities that the service needs and the device does not have, in its own words; absent: it can
    /// do it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub unsupported: Vec<Text<MAX_IDENTITY>>,
}

/// Consent of the owner of a device to its connection.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinConsent {
    /// The way by which it was given.
    pub by: ConsentWay,
    /// The instant at which it was given, by the clock of the device.
    pub at: Timestamp,
    /// The version of the text that was agreed to.
    pub text_version: Text<64>,
    /// The instant at which it was withdrawn, by the clock of the gateway. Nothing is sent to the
    /// device from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Timestamp>,
    /// The way by which it was withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_by: Option<ConsentWay>,
    /// The instant at which it was withdrawn as the device says, if it says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<Timestamp>,
}

/// Credential of a device. The token itself is stored nowhere.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinCredential {
    /// The SHA-256 of the token in hexadecimal.
    #[schemars(length(max = 64))]
    pub sha256: String,
    /// The instant at which it was issued.
    pub issued: Timestamp,
    /// The instant at which the device first used it. Until then an answer may have been lost, so that the
    /// device may register again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Timestamp>,
    /// The SHA-256 of the token before a renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub previous_sha256: Option<String>,
    /// The instant until which the token before counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<Timestamp>,
}

/// Report of a device.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinReported {
    /// The generation of the twin that the device had read when it reported; absent while it read none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The settings that the device has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub settings: Vec<ReportedSetting>,
    /// Kinds of data that the device sends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub data_types: Vec<ReportedDataType>,
    /// The settings that the device does not take.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub refused: Vec<RefusedSetting>,
    /// The messages that the device shows, or cannot show.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub messages: Vec<ReportedMessage>,
    /// The software that runs on the device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["part".into(), "name".into()]))]
    pub software: Vec<ReportedSoftware>,
    /// The instant of its last restart, by the clock of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted: Option<Timestamp>,
}

/// One setting that a device has.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportedSetting {
    /// The device's own name of the setting.
    pub name: Token<64>,
    /// The value; absent for a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Token<MAX_REPORTED>>,
    /// The keyed digest of the secret that the device was given, if it has that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub digest: Option<Digest>,
    /// The one who set it.
    pub by: SetBy,
}

/// The value of a Secret that a device was given with its twin. The Secret may have had another value
/// when the twin was written.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GivenSecret {
    /// The device's own name of the setting.
    pub name: Token<64>,
    /// The generation of the twin with which it was given.
    pub version: i64,
    /// A keyed digest of the value; absent if that generation was given with several values, of which
    /// the device may have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub digest: Option<Digest>,
}

/// One kind of data that a device sends.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportedDataType {
    /// Its name.
    pub name: Token<64>,
    /// Longest time between two messages; absent: it sends on events alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub period: Option<Duration>,
}

/// The one who set a setting of a device.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum SetBy {
    /// The server: it is what the twin asked for.
    #[default]
    Server,
    /// A person at the panel.
    Panel,
    /// A service technician.
    Technician,
    /// Nobody: it is the value from the factory.
    Default,
}

/// A setting that a device does not take.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedSetting {
    /// The device's own name of the setting.
    pub name: Token<64>,
    /// Reason for which it does not.
    pub reason: RefusedBecause,
    /// The device's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Text<MAX_MESSAGE>>,
}

/// Reason for which a device does not take a setting.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RefusedBecause {
    /// It cannot be set.
    ReadOnly,
    /// The value is none that the setting can have.
    #[default]
    InvalidValue,
    /// The device does not have the setting.
    Unsupported,
    /// The device cannot take it now.
    Busy,
}

/// One piece of software that runs on a device.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportedSoftware {
    /// Firmware or application.
    pub part: SoftwarePart,
    /// Its name.
    pub name: Token<64>,
    /// Its version, as the device says it.
    pub version: Token<64>,
}

/// Part of a device that a piece of software is.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    Hash,
    JsonSchema,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
#[serde(rename_all = "camelCase")]
pub enum SoftwarePart {
    /// The firmware.
    #[default]
    Firmware,
    /// An application.
    Application,
}
