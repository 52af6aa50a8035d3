//! Tests of the names of records.

use entente_crds::v1alpha1::{CompensationSpec, Record, Voided};

use super::*;

const CREDIT: &str = "c.backup.lobby.20270401t030000z.credit";

/// Returns a record of the remedy `credit` under that name, voided so.
fn record(name: &str, reissue: Option<Reissue>) -> Compensation {
    let mut record = Record {
        promised: "2027-04-01T03:00:00Z".parse().expect("an instant"),
        ..Record::default()
    };
    record.subscription.name = "c.backup.lobby".to_owned();
    record.remedy.name = "credit".to_owned();
    let voided = reissue.map(|reissue| Voided {
        reason: "wrong fee".to_owned(),
        reissue,
    });
    Compensation::new(name, CompensationSpec { record, voided })
}

// shows D8
#[test]
fn a_name_holds_the_promise_and_the_remedy_so_that_two_of_them_never_meet() {
    let promised: Timestamp = "2027-04-01T03:00:00Z".parse().expect("an instant");
    let later: Timestamp = "2027-04-01T03:00:01Z".parse().expect("an instant");
    let name = |promised, remedy| compensation_name("c.backup.lobby", promised, remedy);
    assert_eq!(name(promised, "credit"), CREDIT);
    assert_ne!(name(later, "credit"), CREDIT);
    assert_ne!(name(promised, "pages"), CREDIT);
    // Three labels and the longest name of a remedy fit into a name of the API server.
    let longest = [["a"; 63].concat(), ["b"; 63].concat(), ["c"; 63].concat()].join(".");
    let longest = compensation_name(&longest, promised, &["d"; 32].concat());
    assert!(longest.len() <= 241, "{}", longest.len());
}

// shows D8
#[test]
fn a_voided_record_is_followed_by_the_next_number_up_to_the_eighth_and_only_on_request() {
    let again = Some(Reissue::Same);
    for (name, reissue, follows) in [
        (CREDIT, None, None),
        (CREDIT, Some(Reissue::None), None),
        (CREDIT, again, Some((2, ".2"))),
        (".2", again, Some((3, ".3"))),
        (".7", again, Some((8, ".8"))),
        (".8", again, None),
        (".4294967295", again, None),
        (".x", again, None),
        (".", again, None),
        ("another", again, None),
    ] {
        let name = match name.strip_prefix('.') {
            Some(_) => format!("{CREDIT}{name}"),
            None => name.to_owned(),
        };
        let voided = record(&name, reissue);
        let follows = follows.map(|(issue, suffix)| (issue, format!("{CREDIT}{suffix}")));
        assert_eq!(next_issue(&voided), follows, "{name} {reissue:?}");
        assert_eq!(successor_name(&voided), follows.map(|it| it.1));
    }
}
