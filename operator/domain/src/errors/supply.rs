//! The supply that an error is about, from the report of a device and the supplies of its model (A2).
//!
//! A word may name a row of the device's table; else the table decides, and where it cannot, nobody does. One
//! that names a supply which the model lacks is about no other.
//! A level alone is never an error. Levels of receptacles mean one thing on one device and the opposite on
//! another, so they decide nothing.

use entente_crds::v1alpha1::{ErrorType, Supply};

use super::words::{Family, is_meant, is_of_a_low_one};
use crate::remote::{FaultySupply, ReportedFault, ReportedSupply, StatusReport, SupplyLevel};

/// A supply with at most so many percent is the one that a device means when it says that one is low.
const LOW: u8 = 20;
/// The colorants that a description may name where the table has none.
const COLORANTS: [&str; 4] = ["black", "cyan", "magenta", "yellow"];

/// Supplies that an error is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Units {
    /// These, by their names in the model.
    Known(Vec<String>),
    /// Nobody can tell.
    Untold(Untold),
}

/// Reason for which nobody can tell which supply has an error.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Untold {
    /// It is one of these, or one that the model does not have.
    Candidates(Vec<String>),
    /// The device names this one, which the model does not have.
    Stranger(String),
}

impl Untold {
    /// True if it may be a supply that was told before, or that another report tells.
    pub(super) fn may_be_known(&self) -> bool {
        matches!(self, Self::Candidates(_))
    }
}

/// Returns the supplies with an error of this type; `None` if the report does not have it.
pub(super) fn units(
    r#type: &ErrorType,
    supplies: &[Supply],
    report: &StatusReport,
) -> Option<Units> {
    let meant = report.faults.iter();
    let meant: Vec<_> = meant.filter(|it| is_meant(&r#type.words, it)).collect();
    if meant.is_empty() {
        return None;
    }
    let table = Table { supplies, report };
    let (named, nameless): (Vec<_>, Vec<_>) = meant.into_iter().partition(|it| it.supply.is_some());
    let mut known = Vec::new();
    for fault in &named {
        known.extend(table.named(fault));
    }
    if known.is_empty() {
        if let Some(name) = named.iter().find_map(|fault| table.stranger(fault)) {
            return Some(Units::Untold(Untold::Stranger(name)));
        }
        let faults = if nameless.is_empty() { named } else { nameless };
        return Some(table.told(&faults));
    }
    known.sort();
    known.dedup();
    Some(Units::Known(known))
}

/// Returns the level of a supply of the model in percent, where the report tells it.
pub(super) fn percent(supplies: &[Supply], name: &str, report: &StatusReport) -> Option<u8> {
    let table = Table { supplies, report };
    let supply = supplies.iter().find(|supply| supply.name == name)?;
    match table.row(supply)?.level {
        SupplyLevel::Percent(percent) => Some(percent),
        SupplyLevel::Unknown | SupplyLevel::Some => None,
    }
}

/// True if a supply of the model collects waste.
pub(super) fn is_receptacle(supplies: &[Supply], name: &str) -> bool {
    let supply = supplies.iter().find(|supply| supply.name == name);
    let row = supply.and_then(|supply| supply.row.as_ref());
    row.is_some_and(|row| Family::of(&row.r#type) == Family::Waste)
}

struct Table<'a> {
    supplies: &'a [Supply],
    report: &'a StatusReport,
}

impl Table<'_> {
    /// Returns the supply that a fault names.
    fn named(&self, fault: &ReportedFault) -> Option<String> {
        let supply = match fault.supply.as_ref()? {
            FaultySupply::Name(name) => {
                let mut all = self.supplies.iter();
                all.find(|supply| supply.name.eq_ignore_ascii_case(name))?
            }
            FaultySupply::Row(index) => {
                let has = |it: &&Supply| self.rows(it).iter().any(|row| row.index == *index);
                self.supplies.iter().find(has)?
            }
        };
        Some(supply.name.clone())
    }

    /// Returns the name or row of a fault that is no supply of the model. A row of a device without a table names
    /// nothing.
    fn stranger(&self, fault: &ReportedFault) -> Option<String> {
        match fault.supply.as_ref()? {
            FaultySupply::Name(name) => Some(format!("the supply \"{name}\"")),
            FaultySupply::Row(_) if self.report.supplies.is_empty() => None,
            FaultySupply::Row(index) => Some(format!("row {index} of its table of supplies")),
        }
    }

    /// Returns the supplies that faults without a name are about, by the levels of the table.
    fn told(&self, faults: &[&ReportedFault]) -> Units {
        let family = faults.iter().map(|fault| Family::of(&fault.name));
        let family = family.reduce(narrower).unwrap_or(Family::Any);
        let candidates = self.candidates(family);
        if let [only] = candidates[..] {
            return Units::Known(vec![only.name.clone()]);
        }
        let is_low = faults.iter().all(|fault| is_of_a_low_one(&fault.name));
        let most = if is_low { LOW } else { 0 };
        let level = |supply: &&&Supply| match self.row(supply).map(|row| row.level) {
            Some(SupplyLevel::Percent(percent)) => Some(percent <= most),
            Some(SupplyLevel::Some) => Some(false),
            Some(SupplyLevel::Unknown) | None => None,
        };
        let found = candidates.iter().filter(|it| level(it) == Some(true));
        let found: Vec<&&Supply> = found.collect();
        let is_told = candidates.iter().all(|it| level(&it).is_some());
        // Another one is low at the same time: a level of 0 may be that one's.
        let mut others = self.report.faults.iter();
        let another_is_low = others.any(|it| {
            is_of_a_low_one(&it.name) && narrower(Family::of(&it.name), family) == family
        });
        let is_clear = found.len() == 1 || found.len() > 1 && !another_is_low && !is_low;
        let names = |supplies: &[&&Supply]| supplies.iter().map(|it| it.name.clone()).collect();
        if is_told && is_clear && family != Family::Waste {
            return Units::Known(names(&found));
        }
        let candidates = candidates.iter().map(|it| it.name.clone());
        Units::Untold(Untold::Candidates(candidates.collect()))
    }

    fn candidates(&self, family: Family) -> Vec<&Supply> {
        let all = self.supplies.iter();
        all.filter(|supply| {
            let row = supply.row.as_ref();
            row.is_some_and(|row| family.has(&row.r#type))
        })
        .collect()
    }

    /// Returns the row of a supply.
    fn row(&self, supply: &Supply) -> Option<&ReportedSupply> {
        self.rows(supply).first().copied()
    }

    /// Returns the rows of a supply: a device may hold two of a kind.
    fn rows(&self, supply: &Supply) -> Vec<&ReportedSupply> {
        let Some(wanted) = &supply.row else {
            return Vec::new();
        };
        let of_type = |row: &&ReportedSupply| is_same_type(&wanted.r#type, &row.kind);
        let rows: Vec<_> = self.report.supplies.iter().filter(of_type).collect();
        let Some(colorant) = &wanted.colorant else {
            return if rows.len() == 1 { rows } else { Vec::new() };
        };
        let is_coloured = |row: &&ReportedSupply| {
            colorant_of(row).is_some_and(|found| found.eq_ignore_ascii_case(colorant))
        };
        let coloured: Vec<_> = rows.iter().copied().filter(is_coloured).collect();
        if !coloured.is_empty() {
            return coloured;
        }
        // A device of one colour need not name it.
        let only = rows
            .first()
            .filter(|row| rows.len() == 1 && colorant_of(row).is_none());
        let mut others = self.supplies.iter().filter(|it| it.name != supply.name);
        let is_alone = !others.any(|other| {
            let row = other.row.as_ref();
            row.is_some_and(|row| is_same_type(&wanted.r#type, &row.r#type))
        });
        only.copied().filter(|_| is_alone).into_iter().collect()
    }
}

/// Returns the family that says more.
fn narrower(one: Family, other: Family) -> Family {
    if one == Family::Any { other } else { one }
}

/// True if two types mean the same supply: toner and tonerCartridge, ink and inkCartridge do.
fn is_same_type(one: &str, other: &str) -> bool {
    let plain = |r#type: &str| {
        let r#type = r#type.to_ascii_lowercase().replace(['-', '_'], "");
        r#type.trim_end_matches("cartridge").to_owned()
    };
    plain(one) == plain(other)
}

/// Returns the colorant of a row: that of the table, else the one colour that its description names.
fn colorant_of(row: &ReportedSupply) -> Option<String> {
    if let Some(colorant) = &row.colorant {
        return Some(colorant.clone());
    }
    let description = row.description.as_ref()?.to_ascii_lowercase();
    let words: Vec<&str> = description
        .split(|it: char| !it.is_ascii_alphabetic())
        .collect();
    let mut named = COLORANTS.into_iter().filter(|it| words.contains(it));
    let first = named.next()?;
    named.next().is_none().then(|| first.to_owned())
}
