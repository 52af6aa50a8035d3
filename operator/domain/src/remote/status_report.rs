//! Status reports of devices and the lines of their panels, as values.
//!
//! Decides nothing: a report has the words of the device, in the names of the standards and without their
//! numbers. Made by drivers, and by the twin of a device that calls; read by `errors`.

/// Status of a device, as it reported it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StatusReport {
    /// Identity that came with it: a report of another machine counts for nothing.
    pub identity: Option<String>,
    /// Its state.
    pub state: DeviceState,
    /// Its errors and warnings.
    pub faults: Vec<ReportedFault>,
    /// True if some of what the device reports may be missing: what is not in it need not be over.
    pub is_partial: bool,
    /// The rows of its table of supplies.
    pub supplies: Vec<ReportedSupply>,
    /// Number of impressions that it has made.
    pub impressions: Option<i64>,
    /// Language of its panel (BCP 47).
    pub language: Option<String>,
    /// Its panel, where it tells of one.
    pub panel: Option<Panel>,
}

/// State of a device (RFC 8011 section 5.4.11; hrPrinterStatus of RFC 2790).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DeviceState {
    /// It waits for work.
    Idle,
    /// It works.
    Processing,
    /// It has stopped.
    Stopped,
    /// It does not say.
    #[default]
    Unknown,
}

/// An error or a warning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReportedFault {
    /// Source of its name.
    pub source: FaultSource,
    /// Its name: a keyword as the device said it, a name of PrtAlertCodeTC, or one of the bits of
    /// hrPrinterDetectedErrorState by its name in RFC 2790.
    pub name: String,
    /// Supply that has it, where the report tells one.
    pub supply: Option<FaultySupply>,
    /// The device's own words for it, besides the name.
    pub detail: Option<String>,
    /// True if the device requests an order.
    pub is_order_requested: bool,
}

impl ReportedFault {
    /// Returns a fault that is a keyword of printer-state-reasons.
    pub fn state_reason(name: &str) -> Self {
        Self::named(FaultSource::StateReason, name)
    }

    /// Returns a fault of this name, of which nothing else is known.
    pub fn named(source: FaultSource, name: &str) -> Self {
        Self {
            source,
            name: name.to_owned(),
            supply: None,
            detail: None,
            is_order_requested: false,
        }
    }
}

/// Source of the name of a fault.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum FaultSource {
    /// printer-state-reasons (RFC 8011), or the event of a device that calls.
    StateReason,
    /// prtAlertCode (RFC 3805), or printer-alert (PWG 5100.9).
    Alert,
    /// hrPrinterDetectedErrorState (RFC 2790).
    DetectedError,
}

/// Supply that a report names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FaultySupply {
    /// By the index of its row.
    Row(i64),
    /// By its name in the DeviceModel.
    Name(String),
}

/// A row of the table of supplies: printer-supply (PWG 5100.13), prtMarkerSuppliesTable (RFC 3805).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReportedSupply {
    /// Index of the row.
    pub index: i64,
    /// The type, by the names of PrtMarkerSuppliesTypeTC.
    pub kind: String,
    /// True if it is filled and not consumed (supplyThatIsFilled): a waste box.
    pub is_receptacle: bool,
    /// The colorant.
    pub colorant: Option<String>,
    /// The device's own words for it.
    pub description: Option<String>,
    /// The level.
    pub level: SupplyLevel,
}

/// Level of a supply (prtMarkerSuppliesLevel of RFC 3805).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SupplyLevel {
    /// The device does not know it (-2), or has none.
    #[default]
    Unknown,
    /// Some is left (-3), or there is no limit (-1).
    Some,
    /// So many percent of what it holds when it is new. For a receptacle its meaning differs from device
    /// to device: the room that is left, or what is in it.
    Percent(u8),
}

/// Panel of a device.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Panel {
    /// Number of characters in a line.
    pub columns: Option<u16>,
    /// Number of lines.
    pub lines: Option<u16>,
    /// True if it shows characters of ASCII only.
    pub is_ascii: bool,
    /// The text that stands there, line by line; `None` where it cannot be read.
    pub shown: Option<Vec<String>>,
}

/// Lines for the panel of a device, each whole: none is cut on its way.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DisplayRequest {
    /// The lines from the first one on; an empty one is cleared.
    pub lines: Vec<String>,
}
