//! Status reports from answers of IPP: printer-state-reasons (RFC 8011 section 5.4.12), printer-alert (PWG
//! 5100.9) and printer-supply (PWG 5100.13).
//!
//! Pure. Takes what it understands and leaves the rest: a device that reports half of it is no fault.
//! Decides nothing of what the words mean. Called by the driver.

use std::collections::BTreeMap;

use entente_domain::{
    protocol::{IppObject, Place},
    remote::{
        DeviceState, FaultSource, FaultySupply, Panel, ReportedFault, ReportedSupply, Scalar,
        StatusReport, SupplyLevel,
    },
    secret::Redactions,
};

use super::response::{Attribute, Response};

const STATE: &str = "printer-state";
const REASONS: &str = "printer-state-reasons";
const ALERT: &str = "printer-alert";
const ALERT_DESCRIPTION: &str = "printer-alert-description";
const SUPPLY: &str = "printer-supply";
const SUPPLY_DESCRIPTION: &str = "printer-supply-description";
const IMPRESSIONS: &str = "printer-impressions-completed";
const LANGUAGE: &str = "natural-language-configured";
const ACTIONS: &str = "identify-actions-supported";

/// Attributes of a status report, without that of the identity.
pub(super) const ATTRIBUTES: [&str; 9] = [
    STATE,
    REASONS,
    ALERT,
    ALERT_DESCRIPTION,
    SUPPLY,
    SUPPLY_DESCRIPTION,
    IMPRESSIONS,
    LANGUAGE,
    ACTIONS,
];

/// The most faults and the most supplies that are taken of one answer.
const MOST_ROWS: usize = 64;
/// The keyword of a printer without faults.
const NONE: &str = "none";
/// The group of a printer-alert that has the supplies (RFC 3805, prtAlertGroup: markerSupplies).
const SUPPLIES_GROUP: &str = "markerSupplies";

/// The severity of an alert that says that something happened, and not that something is so (RFC 3805,
/// PrtAlertSeverityLevelTC). The driver of SNMP leaves the same ones out.
const EVENT: &str = "warningBinaryChangeEvent";
/// The alert code of an entry about the table itself.
const ABOUT_THE_TABLE: &str = "alertRemovalOfBinaryChangeEntry";
/// The alert code of something that has no code.
const OTHER: &str = "other";
/// The colours by which CUPS spells the colorants of printer-supply, with the names that RFC 3805 has for them.
const COLORANTS: [(&str, &str); 4] = [
    ("#000000", "black"),
    ("#00ffff", "cyan"),
    ("#ff00ff", "magenta"),
    ("#ffff00", "yellow"),
];
/// The severities of an error.
const SEVERITIES: [&str; 2] = ["critical", "warning"];

/// Returns the report of an answer. `group` is the tag of the group that has the attributes.
pub(super) fn status_report(
    response: &Response,
    group: u8,
    identity: &Place,
    redactions: &Redactions,
) -> StatusReport {
    let mut found: BTreeMap<String, Attribute> = BTreeMap::new();
    for attribute in response.attributes(group) {
        let name = attribute.name().to_owned();
        found.entry(name).or_insert(attribute);
    }
    let answer = Answer { found, redactions };
    let mut faults = answer.reasons();
    faults.extend(answer.alerts());
    // A printer without an error says so: it has the keyword "none".
    let is_silent = answer.texts(REASONS).is_empty();
    let is_partial = is_silent || faults.len() > MOST_ROWS || answer.has_more();
    faults.truncate(MOST_ROWS);
    StatusReport {
        identity: answer.identity(identity),
        state: answer.state(),
        faults,
        is_partial,
        supplies: answer.supplies(),
        impressions: answer.number(IMPRESSIONS).filter(|made| *made >= 0),
        language: answer.texts(LANGUAGE).into_iter().next(),
        panel: answer.panel(),
    }
}

struct Answer<'a> {
    found: BTreeMap<String, Attribute>,
    redactions: &'a Redactions,
}

impl Answer<'_> {
    fn texts(&self, name: &str) -> Vec<String> {
        let values = self.found.get(name).map(Attribute::scalars);
        let texts = values
            .into_iter()
            .flatten()
            .filter_map(|value| match value {
                Scalar::Text(text) => Some(self.redactions.hide(&text)),
                _ => None,
            });
        texts.collect()
    }

    fn number(&self, name: &str) -> Option<i64> {
        match self.found.get(name)?.scalars().first()? {
            Scalar::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// True if more is reported than is taken.
    fn has_more(&self) -> bool {
        let length = |name| {
            self.found
                .get(name)
                .map_or(0, |it: &Attribute| it.scalars().len())
        };
        length(REASONS) > MOST_ROWS || length(ALERT) > MOST_ROWS
    }

    /// Returns the rows of an attribute whose values are octetStrings of `key=value;` pairs.
    fn rows(&self, name: &str) -> Vec<BTreeMap<String, String>> {
        let values = self.found.get(name).map(Attribute::octet_strings);
        let rows = values.into_iter().flatten().take(MOST_ROWS);
        rows.map(|octets| {
            let text = self.redactions.hide(&String::from_utf8_lossy(&octets));
            pairs(without_label(name, &text))
        })
        .collect()
    }

    fn identity(&self, place: &Place) -> Option<String> {
        let (object, attribute) = place.as_ipp()?;
        (object == IppObject::Printer)
            .then(|| self.texts(attribute).into_iter().next())
            .flatten()
    }

    fn state(&self) -> DeviceState {
        match self.number(STATE) {
            Some(3) => DeviceState::Idle,
            Some(4) => DeviceState::Processing,
            Some(5) => DeviceState::Stopped,
            _ => DeviceState::Unknown,
        }
    }

    fn reasons(&self) -> Vec<ReportedFault> {
        let reasons = self.texts(REASONS).into_iter().take(MOST_ROWS);
        reasons
            .filter(|reason| reason != NONE && !reason.is_empty())
            .map(|reason| ReportedFault::state_reason(&reason))
            .collect()
    }

    /// Returns the alerts: `code=markerTonerEmpty;index=7;severity=critical;group=markerSupplies;groupindex=1`.
    /// The index is that of the alert, and only the groupindex that of a row.
    /// A warning is an error like a critical one: a device that prints on without a colour warns of it.
    fn alerts(&self) -> Vec<ReportedFault> {
        let mut words = self.texts(ALERT_DESCRIPTION).into_iter();
        let rows = self.rows(ALERT).into_iter();
        let alert = |row: BTreeMap<String, String>| {
            let detail = words.next().map(|words| {
                let words = without_label(ALERT_DESCRIPTION, &words);
                words.trim().trim_matches('\'').to_owned()
            });
            let detail = detail.filter(|words| !words.is_empty());
            if !tells_of_an_error(&row) {
                return None;
            }
            let index = row.get("groupindex");
            let index = index.and_then(|index| index.parse::<i64>().ok());
            // -1 is no row.
            let index = index.filter(|index| *index > 0);
            let is_of_a_supply = row
                .get("group")
                .is_some_and(|group| group == SUPPLIES_GROUP);
            Some(ReportedFault {
                supply: index.filter(|_| is_of_a_supply).map(FaultySupply::Row),
                detail,
                ..ReportedFault::named(FaultSource::Alert, row.get("code")?)
            })
        };
        rows.filter_map(alert).collect()
    }

    /// Returns the supplies: `index=1;class=supplyThatIsConsumed;type=toner;unit=percent;
    /// maxcapacity=100;level=0;colorantname=black;`.
    fn supplies(&self) -> Vec<ReportedSupply> {
        let mut descriptions = self.texts(SUPPLY_DESCRIPTION).into_iter();
        let mut all = Vec::new();
        for (row, position) in self.rows(SUPPLY).into_iter().zip(1..) {
            let description = descriptions.next().filter(|words| !words.is_empty());
            let number = |name: &str| row.get(name).and_then(|text| text.parse::<i64>().ok());
            let known = |name: &str| {
                let text = row.get(name).filter(|text| !text.is_empty());
                text.filter(|text| !["none", "unknown", "other"].contains(&text.as_str()))
            };
            all.push(ReportedSupply {
                index: number("index").unwrap_or(position),
                kind: row.get("type").cloned().unwrap_or_default(),
                is_receptacle: row.get("class").is_some_and(|class| {
                    class == "receptacleThatIsFilled" || class == "supplyThatIsFilled"
                }),
                colorant: known("colorantname").and_then(|name| colorant(name)),
                description,
                level: level(number("level"), number("maxcapacity")),
            });
        }
        all
    }

    /// Returns the panel of a device that says it can display a message to identify itself: its size is
    /// not told, and nobody can read it.
    fn panel(&self) -> Option<Panel> {
        let actions = self.texts(ACTIONS);
        let displays = actions.iter().any(|action| action == "display");
        displays.then(Panel::default)
    }
}

/// True if an alert may be an error. One of no code is one only if it has the severity of one: printers that
/// are idle have such an alert.
fn tells_of_an_error(alert: &BTreeMap<String, String>) -> bool {
    let is = |name: &str, word: &str| {
        alert
            .get(name)
            .is_some_and(|it| it.eq_ignore_ascii_case(word))
    };
    let is_severe = SEVERITIES.iter().any(|severity| is("severity", severity));
    !is("severity", EVENT) && !is("code", ABOUT_THE_TABLE) && (is_severe || !is("code", OTHER))
}

/// Returns a level by the numbers of RFC 3805: prtMarkerSuppliesLevel, and prtMarkerSuppliesMaxCapacity,
/// which is 100 where the device leaves it out.
pub(crate) fn level(level: Option<i64>, most: Option<i64>) -> SupplyLevel {
    match (level, most.unwrap_or(100)) {
        (Some(-3 | -1), _) => SupplyLevel::Some,
        (Some(0), _) => SupplyLevel::Percent(0),
        (Some(level), most) if level > 0 && most > 0 => {
            // A little is never none.
            let percent = (level.saturating_mul(100) / most).clamp(1, 100);
            u8::try_from(percent).map_or(SupplyLevel::Unknown, SupplyLevel::Percent)
        }
        _ => SupplyLevel::Unknown,
    }
}

/// Returns a value without the label `name[0] = ` that some devices write into it.
fn without_label<'a>(name: &str, text: &'a str) -> &'a str {
    let labelled = text.strip_prefix(name).filter(|rest| rest.starts_with('['));
    let value = labelled.and_then(|rest| rest.split_once(" = "));
    value.map_or(text, |(_, value)| value)
}

/// Returns the name of a colorant; `None` of one that is spelled as a colour which has no name here.
fn colorant(spelled: &str) -> Option<String> {
    if !spelled.starts_with('#') {
        return Some(spelled.to_owned());
    }
    let mut known = COLORANTS.iter();
    let known = known.find(|(colour, _)| colour.eq_ignore_ascii_case(spelled));
    known.map(|(_, name)| (*name).to_owned())
}

/// Returns the pairs of a text such as `index=1;type=toner;`, names in lower case.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests;
