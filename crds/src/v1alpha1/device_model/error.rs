//! Errors of a model: the words by which a device reports each, and the order that follows.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{duration::Duration, schema};

/// One supply that a device uses.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Supply {
    /// Its name, such as black-toner.
    #[schemars(schema_with = "schema::setting_name")]
    pub name: String,
    /// Its part number.
    #[schemars(length(min = 1, max = 64))]
    pub part_number: String,
    /// Row of the device's table of supplies that is this one. Absent: no row is, and no report of a
    /// row means it.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub row: Option<SupplyRow>,
}

/// Row of a device's table of supplies: printer-supply (PWG 5100.13) or prtMarkerSuppliesTable
/// (RFC 3805).
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SupplyRow {
    /// The type of the supply, by the names of PrtMarkerSuppliesTypeTC (IANA-PRINTER-MIB), such as toner,
    /// tonerCartridge, inkCartridge, wasteToner, opc or fuser. The words toner and tonerCartridge, and
    /// ink and inkCartridge, mean each other.
    #[schemars(schema_with = "schema::mib_name")]
    pub r#type: String,
    /// Colorant of the supply, such as black. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub colorant: Option<String>,
}

/// One type of error, the words by which devices of the model report it, and what is ordered for it.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.order) || (has(self.unit) && self.unit == 'Supply')").message("order goes with unit Supply only: what is ordered is a supply of the model")
)]
pub struct ErrorType {
    /// The name of the error, such as TonerEmpty.
    #[schemars(schema_with = "schema::type_name")]
    pub r#type: String,
    /// Words by which a device reports it: any of them does.
    #[serde(rename = "match")]
    pub words: ErrorWords,
    /// The unit that has the error: the device as a whole, or one of its supplies.
    #[serde(default)]
    pub unit: ErrorUnit,
    /// Times within which a change is none. Absent: an error begins at once, and ends when it was not
    /// reported for 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<Settle>,
    /// Order that follows. Absent: nothing is ever ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<ErrorOrder>,
}

/// Words by which a device reports an error.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.stateReasons) || has(self.alerts) || has(self.detectedErrors)").message("at least one of stateReasons, alerts and detectedErrors must be set")
)]
pub struct ErrorWords {
    /// Keywords of printer-state-reasons (RFC 8011 section 5.4.12), such as toner-empty, without -error,
    /// -warning and -report. Devices that call report an error by such a word, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::state_reasons")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub state_reasons: Vec<String>,
    /// Alert codes, by the names of PrtAlertCodeTC (IANA-PRINTER-MIB), such as markerTonerEmpty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::mib_names")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub alerts: Vec<String>,
    /// Bits of hrPrinterDetectedErrorState (RFC 2790), such as noToner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub detected_errors: Vec<DetectedError>,
}

/// A bit of hrPrinterDetectedErrorState (RFC 2790).
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "camelCase")]
pub enum DetectedError {
    /// Bit 0.
    #[default]
    LowPaper,
    /// Bit 1.
    NoPaper,
    /// Bit 2.
    LowToner,
    /// Bit 3.
    NoToner,
    /// Bit 4.
    DoorOpen,
    /// Bit 5.
    Jammed,
    /// Bit 6.
    Offline,
    /// Bit 7.
    ServiceRequested,
    /// Bit 8.
    InputTrayMissing,
    /// Bit 9.
    OutputTrayMissing,
    /// Bit 10.
    MarkerSupplyMissing,
    /// Bit 11.
    OutputNearFull,
    /// Bit 12.
    OutputFull,
    /// Bit 13.
    InputTrayEmpty,
    /// Bit 14.
    OverduePreventMaint,
}

impl DetectedError {
    /// All of them, in the order of their bits.
    pub const ALL: [Self; 15] = [
        Self::LowPaper,
        Self::NoPaper,
        Self::LowToner,
        Self::NoToner,
        Self::DoorOpen,
        Self::Jammed,
        Self::Offline,
        Self::ServiceRequested,
        Self::InputTrayMissing,
        Self::OutputTrayMissing,
        Self::MarkerSupplyMissing,
        Self::OutputNearFull,
        Self::OutputFull,
        Self::InputTrayEmpty,
        Self::OverduePreventMaint,
    ];

    /// Returns its name in RFC 2790.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LowPaper => "lowPaper",
            Self::NoPaper => "noPaper",
            Self::LowToner => "lowToner",
            Self::NoToner => "noToner",
            Self::DoorOpen => "doorOpen",
            Self::Jammed => "jammed",
            Self::Offline => "offline",
            Self::ServiceRequested => "serviceRequested",
            Self::InputTrayMissing => "inputTrayMissing",
            Self::OutputTrayMissing => "outputTrayMissing",
            Self::MarkerSupplyMissing => "markerSupplyMissing",
            Self::OutputNearFull => "outputNearFull",
            Self::OutputFull => "outputFull",
            Self::InputTrayEmpty => "inputTrayEmpty",
            Self::OverduePreventMaint => "overduePreventMaint",
        }
    }
}

/// Unit that has an error.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum ErrorUnit {
    /// The device as a whole.
    #[default]
    Device,
    /// One of its supplies, or several: those that the report names by their rows or names. Where it
    /// names none, it is the only one of that kind; else, where the levels of all of that kind are known,
    /// those at level 0, or for a word that says low the only one at 20 % or less. A waste receptacle is
    /// never told by its level. Where nothing tells, nothing is ordered, and the status of the Device
    /// names the candidates.
    Supply,
}

/// Times within which a change of an error is none: an error that comes and goes is one occurrence.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settle {
    /// Time for which an error has to be reported before it has begun.
    #[serde(default = "Settle::default_begin")]
    #[schemars(schema_with = "schema::duration")]
    pub begin: Duration,
    /// Time for which an error must not be reported before it has ended.
    #[serde(default = "Settle::default_end")]
    #[schemars(schema_with = "schema::duration")]
    pub end: Duration,
}

impl Settle {
    fn default_begin() -> Duration {
        "0s".into()
    }

    fn default_end() -> Duration {
        "10m".into()
    }
}

impl Default for Settle {
    fn default() -> Self {
        Self {
            begin: Self::default_begin(),
            end: Self::default_end(),
        }
    }
}

/// Order that follows an error: the supply that has it.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorOrder {
    /// Occurrences that are ordered for.
    #[serde(default)]
    pub when: OrderWhen,
    /// Number of pieces.
    #[serde(default = "ErrorOrder::default_quantity")]
    #[schemars(range(min = 1, max = 100))]
    pub quantity: i32,
}

impl ErrorOrder {
    fn default_quantity() -> i32 {
        1
    }
}

impl Default for ErrorOrder {
    fn default() -> Self {
        Self {
            when: OrderWhen::default(),
            quantity: Self::default_quantity(),
        }
    }
}

/// Occurrences of an error that are ordered for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum OrderWhen {
    /// Each.
    #[default]
    Always,
    /// Those of which the device, one that calls, says that an order is requested.
    Requested,
}
