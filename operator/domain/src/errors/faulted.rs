//! The condition Faulted of a device: the worst that it reports, in a word of the closed list.

use entente_crds::condition::Reason;

use super::words::{Family, is_of_a_low_one, parts, stem};
use crate::remote::{FaultSource, ReportedFault, StatusReport};

/// The most words of a device that a message names.
const MOST_WORDS: usize = 8;
/// Words that report no error.
const NO_ERROR: [&str; 9] = [
    "none",
    "paused",
    "moving-to-paused",
    "connecting-to-device",
    "spool-area-full",
    "identify-printer-requested",
    "power-down",
    "hibernate",
    "standby",
];

/// The beginning of words of CUPS about the IPP of a printer.
const ABOUT_ITS_IPP: &str = "cups-ipp-";

/// Returns reason and sentence of what a device reports; `None` if it reports no error.
pub fn faulted(reports: &[&StatusReport]) -> Option<(Reason, String)> {
    let faults = reports.iter().flat_map(|report| &report.faults);
    let mut found: Vec<(Reason, &str)> = faults
        .filter_map(|fault| Some((reason(fault)?, stem(&fault.name))))
        .collect();
    found.sort_by_key(|(reason, word)| (rank(*reason), *word));
    found.dedup_by_key(|(_, word)| *word);
    let (worst, _) = *found.first()?;
    let words: Vec<&str> = found
        .iter()
        .map(|(_, word)| *word)
        .take(MOST_WORDS)
        .collect();
    Some((worst, format!("The device reports {}.", words.join(", "))))
}

fn rank(reason: Reason) -> usize {
    let order = [
        Reason::ServiceNeeded,
        Reason::Jam,
        Reason::CoverOpen,
        Reason::SuppliesEmpty,
        Reason::SuppliesLow,
    ];
    order
        .iter()
        .position(|it| *it == reason)
        .unwrap_or(order.len())
}

/// Returns the reason of a fault; `None` if it is no error.
fn reason(fault: &ReportedFault) -> Option<Reason> {
    let word = stem(&fault.name);
    let is_no_error = NO_ERROR.iter().any(|it| it.eq_ignore_ascii_case(word));
    if is_no_error || is_about_its_ipp(word) || is_informational(fault) {
        return None;
    }
    let parts: Vec<String> = parts(word).collect();
    let begins = |with: &[&str]| {
        parts
            .iter()
            .any(|part| with.iter().any(|it| part.starts_with(it)))
    };
    let has = |words: &[&str]| parts.iter().any(|part| words.contains(&part.as_str()));
    let is_of_a_supply = Family::of(word) != Family::Any || begins(&["suppl", "toner", "marker"]);
    let is_worn = parts.windows(2).any(|pair| pair == ["life", "over"]);
    Some(if begins(&["jam"]) {
        Reason::Jam
    } else if begins(&["cover", "door", "interlock"]) {
        Reason::CoverOpen
    } else if is_worn || has(&["service", "fatal", "failure", "unrecoverable"]) {
        Reason::ServiceNeeded
    } else if is_of_a_supply && is_of_a_low_one(word) {
        Reason::SuppliesLow
    } else if is_of_a_supply && has(&["empty", "full", "missing", "no", "exhausted"]) {
        Reason::SuppliesEmpty
    } else {
        Reason::OtherFault
    })
}

/// True of a word by which CUPS says what is wrong with the IPP of a printer, and not with the printer.
fn is_about_its_ipp(word: &str) -> bool {
    let beginning = word.get(..ABOUT_ITS_IPP.len());
    beginning.is_some_and(|it| it.eq_ignore_ascii_case(ABOUT_ITS_IPP))
}

/// True of an alert that tells of a state and not of an error.
fn is_informational(fault: &ReportedFault) -> bool {
    fault.source == FaultSource::Alert
        && [
            "printerReadyToPrint",
            "powerUp",
            "powerDown",
            "configurationChange",
            "unknown",
        ]
        .contains(&fault.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows K2
    #[test]
    fn a_device_is_faulted_by_the_worst_that_it_reports() {
        use Reason::{CoverOpen, Jam, OtherFault, ServiceNeeded, SuppliesEmpty, SuppliesLow};
        for (words, expected) in [
            (&["none"][..], None),
            (&[], None),
            (&["paused", "identify-printer-requested"], None),
            (
                &[
                    "cups-ipp-conformance-failure-report",
                    "cups-ipp-missing-send-document",
                ],
                None,
            ),
            (&["toner-low-report"], Some(SuppliesLow)),
            (
                &["toner-empty-error", "toner-low-report"],
                Some(SuppliesEmpty),
            ),
            (&["marker-supply-empty"], Some(SuppliesEmpty)),
            (&["marker-waste-almost-full-warnin"], Some(SuppliesLow)),
            (&["marker-waste-full-warning"], Some(SuppliesEmpty)),
            (&["media-jam-error", "toner-empty"], Some(Jam)),
            (&["door-open", "media-empty"], Some(CoverOpen)),
            (&["opc-life-over"], Some(ServiceNeeded)),
            (&["media-empty-error"], Some(OtherFault)),
            (&["com.example-odd"], Some(OtherFault)),
            (&["yellow-toner-empty"], Some(SuppliesEmpty)),
            (&["error-recovery"], Some(OtherFault)),
            (&["opcLifeOver"], Some(ServiceNeeded)),
            (&["toner-normal"], Some(OtherFault)),
        ] {
            let report = StatusReport {
                faults: words
                    .iter()
                    .map(|it| ReportedFault::state_reason(it))
                    .collect(),
                ..StatusReport::default()
            };
            let found = faulted(&[&report]);
            assert_eq!(
                found.as_ref().map(|(reason, _)| *reason),
                expected,
                "{words:?}"
            );
        }
        let report = StatusReport {
            faults: vec![
                ReportedFault::state_reason("toner-low-report"),
                ReportedFault::state_reason("media-jam-error"),
                ReportedFault::named(FaultSource::Alert, "jam"),
            ],
            ..StatusReport::default()
        };
        let (_, said) = faulted(&[&report, &report]).unwrap();
        assert_eq!(said, "The device reports jam, media-jam, toner-low.");
    }
}
