//! The installation that a DeviceTwin asks for, and what became of it.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::v1alpha1::{Artifact, SoftwarePart};
use crate::{
    bounded::Text,
    schema::{self, MAX_MESSAGE},
};

/// The installation that a device is asked for, or the end of an earlier one: the newest of both. There
/// is one at a time.
///
/// It stays here when it is over, so that its number is never used again. The gateway offers it while
/// `status.deployment` has no end of this action, the device does not report this version yet, and
/// `until` lies ahead or the device has been offered it before.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.part) == has(self.artifact) && has(self.name) == has(self.artifact) && has(self.version) == has(self.artifact)").message("part, name, version and artifact go together"),
    validation = Rule::new("has(self.artifact) || has(self.cancel)").message("one of artifact and cancel must be set")
)]
pub struct TwinDeployment {
    /// Number of this request. It grows with each other one, and is never used again.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub action: i64,
    /// Firmware or application; absent if nothing is to be installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<SoftwarePart>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::setting_name")]
    pub name: Option<String>,
    /// The version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::version")]
    pub version: Option<String>,
    /// The file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Instant at which the maintenance window closes in which it is to begin; absent: any time. From
    /// then on a device is not offered it that was not offered it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// An earlier action that the device should end if it still can: nobody wants it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub cancel: Option<i64>,
}

/// State of an installation, as the device said. It proves nothing: the version that the device reports
/// does.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinDeploymentState {
    /// The action in the spec that it is about.
    pub action: i64,
    /// State of the action.
    pub state: DeploymentState,
    /// The device's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Text<MAX_MESSAGE>>,
    /// Instant at which it got into this state, by the clock of the gateway.
    pub at: Timestamp,
    /// The last restart that the device had reported when it got into this state (`reported.restarted`),
    /// by the clock of the device. Another one there is a restart after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted: Option<Timestamp>,
    /// Instant of the first report of its software after it got into this state, by the clock of the
    /// gateway; absent until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Timestamp>,
}

/// The file of an installation, while the gateway cannot serve it.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinArtifact {
    /// The action in the spec that it is about.
    pub action: i64,
    /// Reason for which the file cannot be served.
    pub reason: ArtifactFault,
    /// The file, the Connection and the fault in words, and what a person can do.
    pub message: Text<MAX_MESSAGE>,
    /// Instant from which the reason is this one, by the clock of the gateway.
    pub since: Timestamp,
}

/// Reason for which the gateway cannot serve a file.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ArtifactFault {
    /// No Connection of protocol HTTP that allows the namespace leads to its URL.
    NoConnection,
    /// The Connection cannot be used, such as one whose Secret is missing.
    NotUsable,
    /// The Connection does not allow the address of the server.
    AddressNotAllowed,
    /// The server cannot be reached.
    Unreachable,
    /// The server takes too long.
    TimedOut,
    /// The certificate of the server or the TLS handshake is not good.
    #[serde(rename = "TLSFailed")]
    TlsFailed,
    /// The server refuses the credentials of the Connection.
    Unauthorized,
    /// The server is busy and asks to come again.
    Busy,
    /// The server answers with an error, or with something else than the file.
    WrongAnswer,
    /// The file on the server has another length than the DeviceModel says.
    WrongSize,
    /// The file on the server has another SHA-256 than the DeviceModel says.
    WrongDigest,
    /// The gateway has no room for it.
    NoRoom,
    /// The disk of the gateway is full.
    DiskFull,
    /// The disk of the gateway cannot be used.
    Disk,
    /// The gateway has met a defect of its own.
    InternalError,
}

impl ArtifactFault {
    /// Returns the word, as in the status of a twin and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoConnection => "NoConnection",
            Self::NotUsable => "NotUsable",
            Self::AddressNotAllowed => "AddressNotAllowed",
            Self::Unreachable => "Unreachable",
            Self::TimedOut => "TimedOut",
            Self::TlsFailed => "TLSFailed",
            Self::Unauthorized => "Unauthorized",
            Self::Busy => "Busy",
            Self::WrongAnswer => "WrongAnswer",
            Self::WrongSize => "WrongSize",
            Self::WrongDigest => "WrongDigest",
            Self::NoRoom => "NoRoom",
            Self::DiskFull => "DiskFull",
            Self::Disk => "Disk",
            Self::InternalError => "InternalError",
        }
    }
}

/// State of an installation.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DeploymentState {
    /// The device was told of it.
    #[default]
    Offered,
    /// The device fetches or installs it.
    Downloading,
    /// The device says that it is installed.
    Installed,
    /// The device says that it could not install it.
    Failed,
    /// The device says that it has ended it without installing it.
    Cancelled,
}

impl DeploymentState {
    /// True if the device goes on with it no more.
    pub fn is_over(self) -> bool {
        match self {
            Self::Offered | Self::Downloading => false,
            Self::Installed | Self::Failed | Self::Cancelled => true,
        }
    }
}
