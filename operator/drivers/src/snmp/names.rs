//! Names of the numbers of the Printer MIB: alert codes and types of supplies, as IANA registers them
//! (IANA-PRINTER-MIB), and the bits of hrPrinterDetectedErrorState (RFC 2790).
//!
//! Pure. Has no meanings. Called by `printer`.

/// PrtAlertCodeTC.
const ALERT_CODES: [(i64, &str); 95] = [
    (1, "other"),
    (2, "unknown"),
    (3, "coverOpen"),
    (4, "coverClosed"),
    (5, "interlockOpen"),
    (6, "interlockClosed"),
    (7, "configurationChange"),
    (8, "jam"),
    (9, "subunitMissing"),
    (10, "subunitLifeAlmostOver"),
    (11, "subunitLifeOver"),
    (12, "subunitAlmostEmpty"),
    (13, "subunitEmpty"),
    (14, "subunitAlmostFull"),
    (15, "subunitFull"),
    (16, "subunitNearLimit"),
    (17, "subunitAtLimit"),
    (18, "subunitOpened"),
    (19, "subunitClosed"),
    (20, "subunitTurnedOn"),
    (21, "subunitTurnedOff"),
    (22, "subunitOffline"),
    (23, "subunitPowerSaver"),
    (24, "subunitWarmingUp"),
    (25, "subunitAdded"),
    (26, "subunitRemoved"),
    (27, "subunitResourceAdded"),
    (28, "subunitResourceRemoved"),
    (29, "subunitRecoverableFailure"),
    (30, "subunitUnrecoverableFailure"),
    (31, "subunitRecoverableStorageError"),
    (32, "subunitUnrecoverableStorageError"),
    (33, "subunitMotorFailure"),
    (34, "subunitMemoryExhausted"),
    (35, "subunitUnderTemperature"),
    (36, "subunitOverTemperature"),
    (37, "subunitTimingFailure"),
    (38, "subunitThermistorFailure"),
    (501, "doorOpen"),
    (502, "doorClosed"),
    (503, "powerUp"),
    (504, "powerDown"),
    (505, "printerNMSReset"),
    (506, "printerManualReset"),
    (507, "printerReadyToPrint"),
    (801, "inputMediaTrayMissing"),
    (802, "inputMediaSizeChange"),
    (803, "inputMediaWeightChange"),
    (804, "inputMediaTypeChange"),
    (805, "inputMediaColorChange"),
    (806, "inputMediaFormPartsChange"),
    (807, "inputMediaSupplyLow"),
    (808, "inputMediaSupplyEmpty"),
    (809, "inputMediaChangeRequest"),
    (810, "inputManualInputRequest"),
    (811, "inputTrayPositionFailure"),
    (812, "inputTrayElevationFailure"),
    (813, "inputCannotFeedSizeSelected"),
    (901, "outputMediaTrayMissing"),
    (902, "outputMediaTrayAlmostFull"),
    (903, "outputMediaTrayFull"),
    (904, "outputMailboxSelectFailure"),
    (1001, "markerFuserUnderTemperature"),
    (1002, "markerFuserOverTemperature"),
    (1003, "markerFuserTimingFailure"),
    (1004, "markerFuserThermistorFailure"),
    (1005, "markerAdjustingPrintQuality"),
    (1101, "markerTonerEmpty"),
    (1102, "markerInkEmpty"),
    (1103, "markerPrintRibbonEmpty"),
    (1104, "markerTonerAlmostEmpty"),
    (1105, "markerInkAlmostEmpty"),
    (1106, "markerPrintRibbonAlmostEmpty"),
    (1107, "markerWasteTonerReceptacleAlmostFull"),
    (1108, "markerWasteInkReceptacleAlmostFull"),
    (1109, "markerWasteTonerReceptacleFull"),
    (1110, "markerWasteInkReceptacleFull"),
    (1111, "markerOpcLifeAlmostOver"),
    (1112, "markerOpcLifeOver"),
    (1113, "markerDeveloperAlmostEmpty"),
    (1114, "markerDeveloperEmpty"),
    (1115, "markerTonerCartridgeMissing"),
    (1301, "mediaPathMediaTrayMissing"),
    (1302, "mediaPathMediaTrayAlmostFull"),
    (1303, "mediaPathMediaTrayFull"),
    (1304, "mediaPathCannotDuplexMediaSelected"),
    (1501, "interpreterMemoryIncrease"),
    (1502, "interpreterMemoryDecrease"),
    (1503, "interpreterCartridgeAdded"),
    (1504, "interpreterCartridgeDeleted"),
    (1505, "interpreterResourceAdded"),
    (1506, "interpreterResourceDeleted"),
    (1507, "interpreterResourceUnavailable"),
    (1509, "interpreterComplexPageEncountered"),
    (1801, "alertRemovalOfBinaryChangeEntry"),
];

/// PrtMarkerSuppliesTypeTC, from 1 on.
const SUPPLY_TYPES: [&str; 34] = [
    "other",
    "unknown",
    "toner",
    "wasteToner",
    "ink",
    "inkCartridge",
    "inkRibbon",
    "wasteInk",
    "opc",
    "developer",
    "fuserOil",
    "solidWax",
    "ribbonWax",
    "wasteWax",
    "fuser",
    "coronaWire",
    "fuserOilWick",
    "cleanerUnit",
    "fuserCleaningPad",
    "transferUnit",
    "tonerCartridge",
    "fuserOiler",
    "water",
    "wasteWater",
    "glueWaterAdditive",
    "wastePaper",
    "bindingSupply",
    "bandingSupply",
    "stitchingWire",
    "shrinkWrap",
    "paperWrap",
    "staples",
    "inserts",
    "covers",
];

/// The bits of hrPrinterDetectedErrorState, the highest of the first octet first.
const DETECTED_ERRORS: [&str; 15] = [
    "lowPaper",
    "noPaper",
    "lowToner",
    "noToner",
    "doorOpen",
    "jammed",
    "offline",
    "serviceRequested",
    "inputTrayMissing",
    "outputTrayMissing",
    "markerSupplyMissing",
    "outputNearFull",
    "outputFull",
    "inputTrayEmpty",
    "overduePreventMaint",
];

/// Returns the name of an alert code; one that is not registered here has its number in the name.
pub(super) fn of_alert(code: i64) -> String {
    let known = ALERT_CODES.binary_search_by_key(&code, |(number, _)| *number);
    known.map_or_else(
        |_| format!("alertCode{code}"),
        |at| ALERT_CODES[at].1.to_owned(),
    )
}

/// Returns the name of a type of supplies; empty for one that is not registered.
pub(super) fn of_supply(kind: i64) -> &'static str {
    let at = kind.checked_sub(1).and_then(|at| usize::try_from(at).ok());
    at.and_then(|at| SUPPLY_TYPES.get(at))
        .copied()
        .unwrap_or_default()
}

/// Returns the names of the bits that are set.
pub(super) fn of_detected_errors(octets: &[u8]) -> Vec<&'static str> {
    let is_set = |bit: usize| {
        let octet = octets.get(bit / 8);
        octet.is_some_and(|octet| octet & (0x80 >> (bit % 8)) != 0)
    };
    let names = DETECTED_ERRORS.iter().enumerate();
    names
        .filter(|(bit, _)| is_set(*bit))
        .map(|(_, name)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows A2
    #[test]
    fn numbers_of_the_registries_have_their_names() {
        assert!(ALERT_CODES.is_sorted_by_key(|(number, _)| *number));
        for (code, name) in [
            (8, "jam"),
            (1101, "markerTonerEmpty"),
            (1104, "markerTonerAlmostEmpty"),
            (1109, "markerWasteTonerReceptacleFull"),
            (1115, "markerTonerCartridgeMissing"),
            (30_123, "alertCode30123"),
            (-1, "alertCode-1"),
        ] {
            assert_eq!(of_alert(code), name);
        }
        for (kind, name) in [
            (3, "toner"),
            (4, "wasteToner"),
            (9, "opc"),
            (15, "fuser"),
            (20, "transferUnit"),
            (21, "tonerCartridge"),
            (32, "staples"),
            (34, "covers"),
            (35, ""),
            (0, ""),
            (i64::MIN, ""),
        ] {
            assert_eq!(of_supply(kind), name, "{kind}");
        }
    }

    // shows A2
    #[test]
    fn the_bits_of_detected_errors_are_read_however_many_octets_there_are() {
        for (octets, names) in [
            (&[][..], vec![]),
            (&[0], vec![]),
            (&[0x20], vec!["lowToner"]),
            (&[0x10, 0], vec!["noToner"]),
            (&[0x05], vec!["jammed", "serviceRequested"]),
            (
                &[0, 0x22],
                vec!["markerSupplyMissing", "overduePreventMaint"],
            ),
            (&[0, 0x01], vec![]),
            (&[0x80, 0, 0xff, 0xff], vec!["lowPaper"]),
        ] {
            assert_eq!(of_detected_errors(octets), names, "{octets:?}");
        }
    }
}
