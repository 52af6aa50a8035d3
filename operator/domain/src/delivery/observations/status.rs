//! Status reports of the device in this pass, and the answers of its panel.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Reading;
use crate::names::ConnectionName;
use crate::remote::{Failure, StatusReport};

/// Status reports and messages of the device.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StatusObservations {
    reports: BTreeMap<ConnectionName, Reading<StatusReport>>,
    /// Reports by which messages were sent since.
    spent: BTreeMap<ConnectionName, StatusReport>,
    panels: BTreeMap<ConnectionName, Vec<PanelAnswer>>,
    /// Connections through which another machine reported.
    strangers: BTreeSet<ConnectionName>,
}

/// Answer of the panel to messages that were sent to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PanelAnswer {
    /// Names of the SupplyOrders whose messages were sent.
    pub messages: Vec<String>,
    /// Instant of the answer.
    pub at: Timestamp,
    /// The answer.
    pub result: Result<(), Failure>,
}

impl StatusObservations {
    /// Returns the last report through a connection; none after messages were sent there.
    pub fn report(&self, connection: &str) -> Option<&Reading<StatusReport>> {
        self.reports.get(connection)
    }

    /// Returns the report by which texts are made for a panel: the last one that was answered, also if
    /// messages were sent since.
    pub fn report_for_texts(&self, connection: &str) -> Option<&StatusReport> {
        let report = self.reports.get(connection);
        let report = report.and_then(|it| it.result.as_ref().ok());
        report.or_else(|| self.spent.get(connection))
    }

    /// Returns the reports that were answered, each with its connection, and the instant of the last one.
    pub fn answered(&self) -> Option<(Vec<(&str, &StatusReport)>, Timestamp)> {
        let answered = self.reports.iter();
        let answered =
            answered.filter_map(|(name, it)| Some(((&**name, it.result.as_ref().ok()?), it.at)));
        let (reports, instants): (Vec<_>, Vec<_>) = answered.unzip();
        Some((reports, instants.into_iter().max()?))
    }

    /// Returns the last answer of a panel to a message.
    pub fn shown(&self, connection: &str, message: &str) -> Option<&PanelAnswer> {
        let answers = self.panels.get(connection)?;
        let mut latest = answers.iter().rev();
        latest.find(|answer| answer.messages.iter().any(|it| it == message))
    }

    /// True if anything was sent to a panel through a connection in this pass.
    pub fn was_sent(&self, connection: &str) -> bool {
        self.panels.contains_key(connection)
    }

    /// True if another machine reported through a connection.
    pub fn is_strange(&self, connection: &str) -> bool {
        self.strangers.contains(connection)
    }

    /// Records a report.
    pub fn record_report(
        &mut self,
        connection: &ConnectionName,
        result: Result<StatusReport, Failure>,
        at: Timestamp,
    ) {
        self.reports
            .insert(connection.clone(), Reading { at, result });
    }

    /// Records that another machine reported.
    pub fn record_stranger(&mut self, connection: &ConnectionName) {
        self.reports.remove(connection);
        self.strangers.insert(connection.clone());
    }

    /// Records the answer of a panel: its last reading is void.
    pub fn record_panel(&mut self, connection: &ConnectionName, answer: PanelAnswer) {
        self.panels
            .entry(connection.clone())
            .or_default()
            .push(answer);
    }

    /// Forgets the report through a connection, so that its panel is read again.
    pub fn forget_report(&mut self, connection: &ConnectionName) {
        let report = self.reports.remove(connection);
        if let Some(report) = report.and_then(|it| it.result.ok()) {
            self.spent.insert(connection.clone(), report);
        }
    }
}
