//! Status reports from the Host Resources MIB (RFC 2790) and the Printer MIB (RFC 3805).
//!
//! Pure. Takes what it understands and leaves the rest: a device that has half of the tables is no
//! fault. Decides nothing of what the words mean. Called by the driver.

use std::collections::BTreeMap;

use entente_domain::{
    remote::{
        DeviceState, FaultSource, FaultySupply, Panel, ReportedFault, ReportedSupply, StatusReport,
    },
    secret::Redactions,
};

use super::charset::CharacterSet;
use super::message::Value;
use super::names;
use super::oid::Oid;
use super::tree::Objects;
use crate::ipp::report::level;

/// hrPrinterEntry.
const HOST_PRINTER: [u32; 10] = [1, 3, 6, 1, 2, 1, 25, 3, 5, 1];
/// hrDeviceStatus.
const HOST_DEVICE_STATUS: [u32; 11] = [1, 3, 6, 1, 2, 1, 25, 3, 2, 1, 5];
/// prtGeneralEntry.
const GENERAL: [u32; 10] = [1, 3, 6, 1, 2, 1, 43, 5, 1, 1];
/// prtLocalizationEntry.
const LOCALIZATION: [u32; 10] = [1, 3, 6, 1, 2, 1, 43, 7, 1, 1];
/// prtMarkerEntry.
const MARKER: [u32; 10] = [1, 3, 6, 1, 2, 1, 43, 10, 2, 1];
/// prtMarkerSuppliesEntry.
const SUPPLIES: [u32; 10] = [1, 3, 6, 1, 2, 1, 43, 11, 1, 1];
/// prtMarkerColorantEntry.
const COLORANT: [u32; 10] = [1, 3, 6, 1, 2, 1, 43, 12, 1, 1];
/// prtConsoleDisplayBufferText.
const DISPLAY: [u32; 11] = [1, 3, 6, 1, 2, 1, 43, 16, 5, 1, 2];
/// prtAlertEntry.
const ALERT: [u32; 10] = [1, 3, 6, 1, 2, 1, 43, 18, 1, 1];

/// The most rows that are taken of one table.
const MOST_ROWS: usize = 64;
/// The impressions of prtMarkerCounterUnit.
const IMPRESSIONS: i64 = 7;
/// The class receptacleThatIsFilled of supplies.
const RECEPTACLE: i64 = 4;
/// The group markerSupplies of alerts.
const SUPPLIES_GROUP: i64 = 11;
/// The severity of an alert that says that something happened, and not that something is so
/// (warningBinaryChangeEvent).
const EVENT: i64 = 5;
/// The alert code of an entry about the table itself (alertRemovalOfBinaryChangeEntry).
const ABOUT_THE_TABLE: i64 = 1801;

/// Returns the parts of the tree that a status report is made of.
pub(super) fn trees() -> Vec<Oid> {
    let tables = [
        &HOST_PRINTER[..],
        &HOST_DEVICE_STATUS,
        &GENERAL,
        &LOCALIZATION,
        &MARKER,
        &SUPPLIES,
        &COLORANT,
        &ALERT,
        &DISPLAY,
    ];
    tables.into_iter().map(Oid::of).collect()
}

/// True if a part of the tree tells of errors: without all of it a device has no status.
pub(super) fn tells_of_errors(tree: &Oid) -> bool {
    [&HOST_PRINTER[..], &ALERT]
        .into_iter()
        .any(|it| *tree == Oid::of(it))
}

/// True if a part of the tree is the table of supplies, of which a part alone would name the wrong one.
pub(super) fn is_supplies(tree: &Oid) -> bool {
    *tree == Oid::of(&SUPPLIES)
}

/// Returns the parts of the tree by which lines are written to a panel.
pub(super) fn trees_of_the_panel() -> Vec<Oid> {
    let tables = [&GENERAL[..], &LOCALIZATION, &DISPLAY];
    tables.into_iter().map(Oid::of).collect()
}

/// The objects of the printer of a device, the first one where it has several.
pub(super) struct Printer<'a> {
    objects: &'a Objects,
    /// hrDeviceIndex of the printer.
    device: u32,
    /// The index that its tables of the Printer MIB have: some agents write 0 there.
    own: u32,
}

impl<'a> Printer<'a> {
    pub(super) fn of(objects: &'a Objects) -> Self {
        // Behind the column is the index of the device.
        let devices = |table: &[u32]| -> Vec<u32> {
            let tree = Oid::of(table);
            let rows = objects.range(tree.clone()..);
            let rows = rows.map_while(|(oid, _)| oid.below(&tree));
            rows.filter_map(|row| row.get(1).copied()).collect()
        };
        let hosts = devices(&HOST_PRINTER);
        let tables = [&GENERAL[..], &MARKER, &SUPPLIES, &ALERT, &DISPLAY[..10]];
        let owns: Vec<u32> = tables.into_iter().flat_map(devices).collect();
        let device = hosts.first().or_else(|| owns.first()).copied().unwrap_or(1);
        // Tables of an index that no printer has are those of the first one, if it has none.
        let stray = owns.iter().find(|own| !hosts.contains(own));
        let own = stray.filter(|_| !owns.contains(&device)).copied();
        Self {
            objects,
            device,
            own: own.unwrap_or(device),
        }
    }

    /// Returns an object of a row of a table.
    fn get(&self, table: &[u32], column: u32, row: &[u32]) -> Option<&'a Value> {
        let is_of_the_host = [&HOST_PRINTER[..], &HOST_DEVICE_STATUS[..10]].contains(&table);
        let device = if is_of_the_host {
            self.device
        } else {
            self.own
        };
        let oid = Oid::of(table).child(&[&[column, device], row].concat());
        self.objects.get(&oid)
    }

    fn number(&self, table: &[u32], column: u32, row: &[u32]) -> Option<i64> {
        self.get(table, column, row)?.number()
    }

    fn octets(&self, table: &[u32], column: u32, row: &[u32]) -> Option<&'a [u8]> {
        self.get(table, column, row)?.octets()
    }

    /// Returns the indices of the rows that have a column.
    fn rows(&self, table: &[u32], column: u32) -> Vec<Vec<u32>> {
        let tree = Oid::of(table).child(&[column, self.own]);
        let objects = self.objects.range(tree.clone()..);
        let rows = objects.map_while(|(oid, _)| Some(oid.below(&tree)?.to_vec()));
        rows.take(MOST_ROWS).collect()
    }

    /// Returns the row of the localization by the column of prtGeneral that names it.
    fn localization(&self, column: u32) -> Option<[u32; 1]> {
        let row = self.number(&GENERAL, column, &[])?;
        let row = [u32::try_from(row).ok()?];
        self.get(&LOCALIZATION, 2, &row).map(|_| row)
    }

    fn character_set(&self, row: Option<[u32; 1]>) -> CharacterSet {
        let number = row.and_then(|row| self.number(&LOCALIZATION, 4, &row));
        number.map_or_else(CharacterSet::default, CharacterSet::of)
    }

    /// Returns the character set of the panel (prtConsoleLocalization).
    pub(super) fn panel_set(&self) -> CharacterSet {
        self.character_set(self.localization(10))
    }

    /// Returns the lines that the panel has, each with its text, in their order.
    pub(super) fn panel_lines(&self) -> Vec<(Oid, String)> {
        let set = self.panel_set();
        let tree = Oid::of(&DISPLAY).child(&[self.own]);
        let lines = self.objects.range(tree.clone()..);
        let lines = lines.map_while(|(oid, value)| oid.below(&tree).map(|_| (oid, value)));
        lines
            .take(MOST_ROWS)
            .map(|(oid, value)| (oid.clone(), set.read(value.octets().unwrap_or_default())))
            .collect()
    }

    /// Returns the panel; `None` if the device tells of none.
    pub(super) fn panel(&self) -> Option<Panel> {
        let size = |column| {
            let number = self.number(&GENERAL, column, &[])?;
            u16::try_from(number).ok().filter(|number| *number > 0)
        };
        let lines = self.panel_lines();
        if lines.is_empty() {
            return None;
        }
        Some(Panel {
            columns: size(12),
            lines: u16::try_from(lines.len()).ok(),
            is_ascii: !self.panel_set().has_more_than_ascii(),
            shown: Some(lines.into_iter().map(|(_, text)| text).collect()),
        })
    }

    /// Returns the report. Texts of the device lose every secret.
    pub(super) fn report(&self, redactions: &Redactions) -> StatusReport {
        let mut faults = self.alerts(redactions);
        faults.extend(self.detected_errors());
        let is_partial = faults.len() > MOST_ROWS || self.rows(&ALERT, 7).len() == MOST_ROWS;
        faults.truncate(MOST_ROWS);
        let mut panel = self.panel();
        if let Some(shown) = panel.as_mut().and_then(|panel| panel.shown.as_mut()) {
            for line in shown {
                *line = redactions.hide(line);
            }
        }
        StatusReport {
            identity: None,
            state: self.state(),
            faults,
            is_partial,
            supplies: self.supplies(redactions),
            impressions: self.impressions(),
            language: self.language(),
            panel,
        }
    }

    /// Returns the state (RFC 3805 section 2.2.13.2.1 has the table of both numbers).
    fn state(&self) -> DeviceState {
        const DOWN: i64 = 5;
        let device = self.number(&HOST_DEVICE_STATUS[..10], HOST_DEVICE_STATUS[10], &[]);
        match self.number(&HOST_PRINTER, 1, &[]) {
            _ if device == Some(DOWN) => DeviceState::Stopped,
            Some(3) => DeviceState::Idle,
            Some(4 | 5) => DeviceState::Processing,
            // Asleep.
            Some(1) if device.is_some() => DeviceState::Idle,
            _ => DeviceState::Unknown,
        }
    }

    fn detected_errors(&self) -> Vec<ReportedFault> {
        let octets = self.octets(&HOST_PRINTER, 2, &[]).unwrap_or_default();
        let names = names::of_detected_errors(octets).into_iter();
        names
            .map(|name| ReportedFault::named(FaultSource::DetectedError, name))
            .collect()
    }

    fn alerts(&self, redactions: &Redactions) -> Vec<ReportedFault> {
        let set = self.character_set(self.localization(2));
        let rows = self.rows(&ALERT, 7).into_iter();
        let alert = |row: Vec<u32>| {
            let code = self.number(&ALERT, 7, &row)?;
            let is_event = self.number(&ALERT, 2, &row) == Some(EVENT);
            if is_event || code == ABOUT_THE_TABLE {
                return None;
            }
            let words = set.read(self.octets(&ALERT, 8, &row).unwrap_or_default());
            let index = self.number(&ALERT, 5, &row).filter(|index| *index > 0);
            let is_of_a_supply = self.number(&ALERT, 4, &row) == Some(SUPPLIES_GROUP);
            Some(ReportedFault {
                supply: index.filter(|_| is_of_a_supply).map(FaultySupply::Row),
                detail: Some(redactions.hide(&words)).filter(|words| !words.is_empty()),
                ..ReportedFault::named(FaultSource::Alert, &names::of_alert(code))
            })
        };
        rows.filter_map(alert).collect()
    }

    fn supplies(&self, redactions: &Redactions) -> Vec<ReportedSupply> {
        let set = self.character_set(self.localization(2));
        let text = |octets: &[u8]| {
            let text = redactions.hide(set.read(octets).trim());
            (!text.is_empty()).then_some(text)
        };
        let colorants: BTreeMap<i64, String> = self
            .rows(&COLORANT, 4)
            .into_iter()
            .filter_map(|row| {
                let name = text(self.octets(&COLORANT, 4, &row)?)?;
                Some((index_of(&row), name.to_lowercase()))
            })
            .collect();
        let is_known = |name: &&String| !["none", "unknown", "other"].contains(&name.as_str());
        // A row without a level is one all the same, and one without a type too.
        let mut rows = self.rows(&SUPPLIES, 5);
        rows.extend(self.rows(&SUPPLIES, 9));
        rows.sort();
        rows.dedup();
        let supply = |row: Vec<u32>| {
            let number = |column| self.number(&SUPPLIES, column, &row);
            let colorant = number(3).and_then(|index| colorants.get(&index));
            ReportedSupply {
                index: index_of(&row),
                kind: names::of_supply(number(5).unwrap_or_default()).to_owned(),
                is_receptacle: number(4) == Some(RECEPTACLE),
                colorant: colorant.filter(is_known).cloned(),
                description: self.octets(&SUPPLIES, 6, &row).and_then(text),
                level: level(number(9), number(8)),
            }
        };
        rows.into_iter().take(MOST_ROWS).map(supply).collect()
    }

    /// Returns the impressions that the first marker has made.
    fn impressions(&self) -> Option<i64> {
        let first = self.rows(&MARKER, 4).into_iter().next()?;
        let unit = self.number(&MARKER, 3, &first);
        let count = self.number(&MARKER, 4, &first)?;
        (count >= 0 && unit.is_none_or(|unit| unit == IMPRESSIONS)).then_some(count)
    }

    /// Returns the language of the panel, else that of the device, as a tag of BCP 47.
    fn language(&self) -> Option<String> {
        let row = self.localization(10).or_else(|| self.localization(2))?;
        let word = |column| {
            let octets = self.octets(&LOCALIZATION, column, &row)?;
            let word = str::from_utf8(octets).ok()?.trim_matches(['\0', ' ']);
            let is_code = (2..=3).contains(&word.len())
                && word.bytes().all(|octet| octet.is_ascii_alphabetic());
            is_code.then_some(word)
        };
        let language = word(2)?.to_ascii_lowercase();
        Some(match word(3) {
            Some(country) if country.len() == 2 => {
                format!("{language}-{}", country.to_ascii_uppercase())
            }
            _ => language,
        })
    }
}

/// Returns the index of a row behind that of its device: that of the first one, where an agent has left it
/// out since the table has one row.
fn index_of(row: &[u32]) -> i64 {
    row.first().map_or(1, |index| i64::from(*index))
}

#[cfg(test)]
mod tests;
