//! Software of devices that call: firmware and applications of a model, those that a service needs, and
//! the windows in which they may be installed.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NameReference;
use crate::{duration::Duration, schema};

/// Name of the firmware of a device that has one.
pub const MAIN_FIRMWARE: &str = "main";

/// A version of the firmware of a model.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Firmware {
    /// Name of the firmware, as the device reports it, for a device that has several.
    #[serde(default = "Firmware::main")]
    #[schemars(schema_with = "schema::setting_name")]
    pub name: String,
    /// The version, as the device reports it: numbers with dots between them, which are compared as
    /// numbers.
    #[schemars(schema_with = "schema::version")]
    pub version: String,
    /// The file that the device installs.
    pub artifact: Artifact,
    /// Manner in which it is installed: one member for each protocol that can.
    pub via: SoftwareVia,
    /// True if a device with a newer version is brought back to this one, where this is the version
    /// that is to be installed. Else nothing is ever replaced by an older version.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub downgrade: bool,
    /// Time that a device takes to install it and to start again. It is not installed when a
    /// maintenance window of the device has less time left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub takes: Option<Duration>,
}

impl Firmware {
    fn main() -> String {
        MAIN_FIRMWARE.to_owned()
    }
}

/// A version of an application for a model.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// Name of the application, as the device reports it.
    #[schemars(schema_with = "schema::setting_name")]
    pub name: String,
    /// The version, as the device reports it: numbers with dots between them, which are compared as
    /// numbers.
    #[schemars(schema_with = "schema::version")]
    pub version: String,
    /// The file that the device installs.
    pub artifact: Artifact,
    /// Manner in which it is installed: one member for each protocol that can.
    pub via: SoftwareVia,
}

/// A file that a device installs. The gateway alone fetches it, and passes it on to devices.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The URL of the file. A Connection of protocol HTTP has to lead to its host.
    #[schemars(length(min = 1, max = 1023))]
    #[x_kube(validation = Rule::new(schema::url_rule("self", "https?")).message("must be a URL such as \"https://files.example/mfp-500-4.2.0.swu\", with scheme https or http, without user and query, with a port from 1 to 65535 and an address that there is"))]
    pub url: String,
    /// The SHA-256 of the file in lower case hexadecimal. A file with another one reaches no device.
    #[schemars(schema_with = "schema::sha256")]
    pub sha256: String,
    /// Length of the file in bytes.
    #[schemars(range(min = 1))]
    pub size: i64,
    /// The SHA-1 of the file in lower case hexadecimal, for devices that want it; absent: the gateway
    /// computes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::sha1")]
    pub sha1: Option<String>,
    /// The MD5 of the file in lower case hexadecimal, for devices that want it; absent: the gateway
    /// computes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::md5")]
    pub md5: Option<String>,
}

/// Manner in which software is installed, by protocol.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SoftwareVia {
    /// Present if a device that calls fetches and installs it by itself. Absent: nobody installs it, and
    /// it counts where the device reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentSoftware>,
}

/// Manner in which a device that calls installs software: it has no options.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentSoftware {}

/// A model that can do a service, and the software that the service needs on it.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceModel {
    /// The name of the DeviceModel.
    #[schemars(schema_with = "schema::dns_label")]
    pub name: String,
    /// The oldest version of the firmware `main` with which the service works. The lowest version of
    /// the DeviceModel that suffices is installed; a newer one on the device is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::version")]
    pub minimum_firmware: Option<String>,
    /// The applications that the service needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub applications: Vec<ServiceApplication>,
}

/// A model on which a service needs no software.
impl From<NameReference> for ServiceModel {
    fn from(model: NameReference) -> Self {
        Self {
            name: model.name,
            ..Self::default()
        }
    }
}

/// An application that a service needs.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceApplication {
    /// The name of the application in the DeviceModel.
    #[schemars(schema_with = "schema::setting_name")]
    pub name: String,
    /// The oldest version with which the service works. The lowest version of the DeviceModel that
    /// suffices is installed; a newer one on the device is left alone.
    #[schemars(schema_with = "schema::version")]
    pub version: String,
}

/// A time in each week in which software may be installed.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceWindow {
    /// The days on which it opens; absent: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub days: Vec<Weekday>,
    /// The local time at which it opens, such as "02:00". On a day on which the clock skips that time it
    /// opens so much later; where the time comes twice, the first time.
    #[schemars(schema_with = "schema::time_of_day")]
    pub start: String,
    /// Time for which it is open, at most 168h. It is that of a stopwatch, also on a day on which the
    /// clock is changed.
    #[schemars(schema_with = "schema::positive_duration")]
    pub duration: Duration,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Weekday {
    /// Monday.
    #[default]
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}
