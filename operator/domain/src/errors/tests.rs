//! Errors of a colour device, as devices report them: which supply, which occurrence, which order. The parts that
//! they share are here.

mod occurrences;
mod orders;
mod panel;
mod sources;
mod supplies;

use entente_crds::{
    example,
    v1alpha1::{
        DeviceError, DeviceModelSpec, ErrorState, ExclusiveHold, FormerHold, MessageTextSpec,
        NotOrderedReason, OrderWhen, PanelText,
    },
};
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::remote::{
    FaultSource, FaultySupply, ReportedFault, ReportedSupply, StatusReport, SupplyLevel,
};

const DEVICE: &str = "lobby-mfp";
/// The connections of the device.
const SOURCES: [&str; 2] = ["hq-ipp", "hq-snmp"];

fn instant(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn begin() -> Timestamp {
    instant("2027-04-01T08:00:00Z")
}

fn after(minutes: i64) -> Timestamp {
    begin() + SignedDuration::from_mins(minutes)
}

/// A model without times to wait for before an error has begun.
fn model() -> DeviceModelSpec {
    let mut model = example::mfp_520().spec;
    for r#type in &mut model.errors {
        r#type.settle = None;
    }
    model
}

/// Levels of black, cyan, magenta and yellow.
fn table(levels: [SupplyLevel; 4]) -> Vec<ReportedSupply> {
    let colorants = ["black", "cyan", "magenta", "yellow"];
    let rows = colorants.into_iter().zip(levels).zip(1..);
    let row = |((colorant, level), index): ((&str, SupplyLevel), i64)| ReportedSupply {
        index,
        kind: "toner".to_owned(),
        is_receptacle: false,
        colorant: Some(colorant.to_owned()),
        description: None,
        level,
    };
    rows.map(row).collect()
}

fn percents(levels: [u8; 4]) -> Vec<ReportedSupply> {
    table(levels.map(SupplyLevel::Percent))
}

fn reasons(reasons: &[&str], supplies: Vec<ReportedSupply>) -> StatusReport {
    StatusReport {
        faults: reasons
            .iter()
            .map(|it| ReportedFault::state_reason(it))
            .collect(),
        supplies,
        ..StatusReport::default()
    }
}

fn alert(name: &str, row: Option<i64>) -> ReportedFault {
    ReportedFault {
        supply: row.map(FaultySupply::Row),
        ..ReportedFault::named(FaultSource::Alert, name)
    }
}

fn provider() -> Provider {
    Provider {
        subscription: "acme-2027.toner.lobby-mfp".to_owned(),
        service: "toner-delivery".to_owned(),
        group: None,
    }
}

/// One look after another, each deciding by what the one before left.
struct Device {
    model: DeviceModelSpec,
    errors: Vec<DeviceError>,
    orders: Vec<KnownOrder>,
    providers: Vec<Provider>,
    holds: Vec<ExclusiveHold>,
    /// The connections by which it may report.
    sources: Vec<&'static str>,
}

impl Device {
    fn new() -> Self {
        Self {
            model: model(),
            errors: Vec::new(),
            orders: Vec::new(),
            providers: vec![provider()],
            holds: Vec::new(),
            sources: SOURCES.to_vec(),
        }
    }

    /// A look through both connections, the first reports by the first one.
    fn look(&mut self, reports: &[&StatusReport], at: Timestamp) {
        let reports: Vec<_> = SOURCES.into_iter().zip(reports.iter().copied()).collect();
        self.look_by(&reports, at);
    }

    fn look_by(&mut self, reports: &[(&str, &StatusReport)], at: Timestamp) {
        let look = Sightings {
            reports: reports.to_vec(),
            sources: self.sources.iter().copied().collect(),
            caller: None,
            at,
        };
        self.pass(Some(&look), at);
    }

    fn pass(&mut self, look: Option<&Sightings<'_>>, now: Timestamp) {
        let tracked = track(&self.errors, &self.model, look, now);
        let facts = OrderFacts {
            device: DEVICE,
            model: &self.model,
            providers: &self.providers,
            orders_supplies: &|service| service != "backup",
            holds: &self.holds,
            orders: &self.orders,
            now,
        };
        self.errors = decide(&tracked, &facts);
    }

    /// The SupplyOrder of each decision is made, and is open.
    fn record_orders(&mut self) {
        let lines = |error: &DeviceError| vec![line(error.unit.as_deref(), "")];
        for error in &self.errors {
            let Some(order) = &error.order else { continue };
            if self.orders.iter().all(|known| known.name != order.name) {
                self.orders.push(KnownOrder {
                    name: order.name.clone(),
                    lines: lines(error),
                    is_open: true,
                    ..KnownOrder::default()
                });
            }
        }
    }

    fn error(&self, key: &str) -> &DeviceError {
        let mut all = self.errors.iter();
        all.find(|it| it.key == key)
            .unwrap_or_else(|| panic!("no {key} in {:?}", self.errors))
    }

    /// Keys of the open errors, each with the name of its order or the reason for none.
    fn told(&self) -> Vec<String> {
        let open = self.errors.iter().filter(|it| it.state == ErrorState::Open);
        open.map(|error| {
            let none = error
                .not_ordered
                .as_ref()
                .map(|none| format!("{:?}", none.reason));
            let order = error.order.as_ref().map(|order| order.name.clone());
            let told = none.or(order).unwrap_or_default();
            format!("{} {told}", error.key)
        })
        .collect()
    }
}

fn line(supply: Option<&str>, part_number: &str) -> KnownLine {
    KnownLine {
        supply: supply.map(str::to_owned),
        part_number: part_number.to_owned(),
    }
}
