//! The words for refusals of an agent: error-status of an answer (RFC 3416 section 3), and the Reports
//! of the user-based security model (RFC 3414 section 5).
//!
//! Pure. Has no words of the device, which gives numbers only. Called by `exchange` and the driver.

use entente_domain::remote::{Failure, FailureKind};

use super::message::Pdu;
use super::oid::Oid;

/// tooBig.
pub(super) const TOO_BIG: i64 = 1;
/// noSuchName.
pub(super) const NO_SUCH_NAME: i64 = 2;

/// The counters of the user-based security model: usmStats (RFC 3414 section 5).
const USM_STATS: [u32; 9] = [1, 3, 6, 1, 6, 3, 15, 1, 1];

/// Meaning of a Report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reported {
    /// The clock of the message was not that of the engine (usmStatsNotInTimeWindows).
    Clock,
    /// The engine has another id (usmStatsUnknownEngineIDs).
    Engine,
    /// Something else, in words; asking again does not change it.
    Refused(&'static str),
}

/// Returns the meaning of a Report.
pub(super) fn meaning(pdu: &Pdu) -> Reported {
    let stats = Oid::of(&USM_STATS);
    let mut names = pdu.bindings.iter();
    let number = names.find_map(|(oid, _)| oid.below(&stats)?.first().copied());
    Reported::Refused(match number {
        Some(2) => return Reported::Clock,
        Some(4) => return Reported::Engine,
        Some(1) => {
            "the device does not let this user authenticate and encrypt (usmStatsUnsupportedSecLevels)"
        }
        Some(3) => "the device does not know the user (usmStatsUnknownUserNames)",
        Some(5) => {
            "the device refuses authPassword or authProtocol of the user (usmStatsWrongDigests)"
        }
        Some(6) => {
            "the device refuses privPassword or privProtocol of the user (usmStatsDecryptionErrors)"
        }
        _ => "the device refused the message without a reason that is known",
    })
}

/// Returns the failure of a walk that an agent refused, behind an object, although it was asked for one object
/// only.
pub(super) fn of_walk(status: i64, behind: &Oid) -> Failure {
    asked_for(status, &format!("what is behind {behind}"))
}

/// Returns the failure of a reading that an agent refused over one object.
pub(super) fn of_reading(status: i64, object: &Oid) -> Failure {
    asked_for(status, &object.to_string())
}

/// Returns the failure of an answer that tells nothing of an object, and reports no error.
pub(super) fn of_a_gap(object: &Oid) -> Failure {
    let message =
        format!("the answer of the device has nothing of {object}, for which it was asked");
    Failure::new(FailureKind::ProtocolError, message)
}

fn asked_for(status: i64, what: &str) -> Failure {
    let failure = of_status(status, false);
    let (kind, words) = match status {
        TOO_BIG => (
            FailureKind::ProtocolError,
            "the device answered 1, tooBig: its answer does not fit a message".to_owned(),
        ),
        _ => (failure.kind, failure.message),
    };
    Failure::new(kind, format!("{words}, when it was asked for {what}"))
}

/// Returns the failure of a request that an agent refused by its error-status.
pub(super) fn of_status(status: i64, writes: bool) -> Failure {
    use FailureKind::{
        Busy, ProtocolError, RejectedNotSettable, RejectedValue, Unauthorized, Unsupported,
    };
    let (kind, name) = match status {
        1 => (
            RejectedValue,
            "tooBig: the value does not fit a message of the device",
        ),
        2 => (Unsupported, "noSuchName: it has no such object"),
        3 => (RejectedValue, "badValue"),
        4 => (RejectedNotSettable, "readOnly"),
        5 => (ProtocolError, "genErr: it failed without a reason"),
        6 => (
            RejectedNotSettable,
            "noAccess: the login may not use the object",
        ),
        7 => (
            RejectedValue,
            "wrongType: the object has another type than the DeviceModel says",
        ),
        8 => (RejectedValue, "wrongLength"),
        9 => (RejectedValue, "wrongEncoding"),
        10 => (RejectedValue, "wrongValue"),
        11 => (
            Unsupported,
            "noCreation: it has no such object and makes none",
        ),
        12 => (
            RejectedValue,
            "inconsistentValue: the value does not go with its other values",
        ),
        13 => (Busy, "resourceUnavailable"),
        14 => (ProtocolError, "commitFailed: it could not set the value"),
        15 => (
            ProtocolError,
            "undoFailed: it could not set the value, and not go back",
        ),
        16 => (Unauthorized, "authorizationError"),
        17 => (RejectedNotSettable, "notWritable"),
        18 => (
            Unsupported,
            "inconsistentName: it cannot have such an object now",
        ),
        _ => (ProtocolError, "an error that SNMP does not have"),
    };
    // After these the agent may have set the value.
    let may_have_acted = matches!(status, 5 | 14 | 15) || !(1..=18).contains(&status);
    Failure {
        doubtful: writes && may_have_acted,
        ..Failure::new(kind, format!("the device answered {status}, {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snmp::message::{REPORT, Value};

    #[test]
    fn each_refusal_of_a_write_has_its_kind_and_its_doubt() {
        for (status, kind, doubtful) in [
            (2, FailureKind::Unsupported, false),
            (5, FailureKind::ProtocolError, true),
            (6, FailureKind::RejectedNotSettable, false),
            (10, FailureKind::RejectedValue, false),
            (13, FailureKind::Busy, false),
            (14, FailureKind::ProtocolError, true),
            (16, FailureKind::Unauthorized, false),
            (17, FailureKind::RejectedNotSettable, false),
            (99, FailureKind::ProtocolError, true),
        ] {
            let failure = of_status(status, true);
            assert_eq!(
                (failure.kind, failure.doubtful),
                (kind, doubtful),
                "{status}"
            );
            assert!(
                !of_status(status, false).doubtful,
                "a reading changes nothing"
            );
        }
    }

    #[test]
    fn a_report_is_read_by_its_counter() {
        let report = |counter: u32| {
            let oid = Oid::of(&USM_STATS).child(&[counter, 0]);
            meaning(&Pdu::new(REPORT, vec![(oid, Value::Counter(3))]))
        };
        assert_eq!(report(2), Reported::Clock);
        assert_eq!(report(4), Reported::Engine);
        for counter in [1, 3, 5, 6, 99] {
            assert!(matches!(report(counter), Reported::Refused(_)), "{counter}");
        }
        assert!(matches!(
            meaning(&Pdu::new(REPORT, Vec::new())),
            Reported::Refused(_)
        ));
    }
}
