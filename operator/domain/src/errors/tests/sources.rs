//! Tests of an error that is told by one of several connections, and of one that nobody can tell of any more (A9).

use entente_crds::v1alpha1::ErrorEnd;

use super::*;

const BLACK: &str = "TonerEmpty/black-toner";

fn empty() -> StatusReport {
    reasons(&["toner-empty"], percents([0, 40, 40, 40]))
}

fn fine() -> StatusReport {
    reasons(&[], percents([40, 40, 40, 40]))
}

fn partial() -> StatusReport {
    StatusReport {
        is_partial: true,
        ..fine()
    }
}

/// A device with an error that the second connection has reported.
fn open() -> Device {
    let mut device = Device::new();
    device.look_by(&[("hq-snmp", &empty())], begin());
    assert_eq!(device.error(BLACK).reported_by, ["hq-snmp"]);
    device
}

// shows A9
#[test]
fn only_a_whole_report_of_the_connection_that_reported_an_error_begins_its_end() {
    type Reports = Vec<(&'static str, StatusReport)>;
    let cases: [(&str, Reports, bool); 7] = [
        ("nobody answers", vec![], false),
        ("the other one is silent", vec![("hq-ipp", fine())], false),
        (
            "its own report is partial",
            vec![("hq-snmp", partial())],
            false,
        ),
        (
            "the other one is silent, and its own report is partial",
            vec![("hq-ipp", fine()), ("hq-snmp", partial())],
            false,
        ),
        (
            "the other one is silent, and it still reports it",
            vec![("hq-ipp", fine()), ("hq-snmp", empty())],
            false,
        ),
        ("it is silent", vec![("hq-snmp", fine())], true),
        (
            "it is silent, and the other one reports it now",
            vec![("hq-ipp", empty()), ("hq-snmp", fine())],
            false,
        ),
    ];
    for (name, reports, ends) in cases {
        let mut device = open();
        let reports: Vec<_> = reports.iter().map(|(by, report)| (*by, report)).collect();
        for minute in [5, 10, 15, 20] {
            device.look_by(&reports, after(minute));
        }
        let error = device.error(BLACK);
        let expected = if ends {
            (
                ErrorState::Closed,
                Some(after(5)),
                Some(ErrorEnd::NotReported),
            )
        } else {
            (ErrorState::Open, None, None)
        };
        let found = (error.state, error.until, error.end);
        assert_eq!(found, expected, "{name}: {error:?}");
        assert_eq!((error.gone, error.occurrence), (None, 1), "{name}");
    }
}

// shows A9
#[test]
fn an_error_that_both_reported_ends_when_the_last_one_is_silent() {
    let mut device = Device::new();
    device.look(&[&empty(), &empty()], begin());
    assert_eq!(device.error(BLACK).reported_by, SOURCES);
    device.look_by(&[("hq-snmp", &fine())], after(1));
    assert_eq!(device.error(BLACK).reported_by, ["hq-ipp"]);
    device.look_by(&[("hq-snmp", &fine())], after(20));
    assert_eq!(device.error(BLACK).state, ErrorState::Open);
    device.look_by(&[("hq-ipp", &fine())], after(21));
    assert_eq!(device.error(BLACK).gone, Some(after(21)));
    // What may be missing of a report does not prove that the error stayed away.
    device.look_by(&[("hq-ipp", &partial())], after(40));
    assert_eq!(device.error(BLACK).state, ErrorState::Open);
    device.look_by(&[("hq-ipp", &fine())], after(41));
    assert_eq!(device.error(BLACK).until, Some(after(21)));
}

// shows A9
#[test]
fn a_connection_that_the_device_has_no_more_reports_nothing() {
    let mut device = open();
    for minute in [1, 12] {
        let fine = fine();
        let look = Sightings {
            reports: vec![("hq-ipp", &fine)],
            sources: ["hq-ipp"].into(),
            caller: None,
            at: after(minute),
        };
        device.pass(Some(&look), after(minute));
    }
    let error = device.error(BLACK);
    assert_eq!(
        (error.state, error.until),
        (ErrorState::Closed, Some(after(1)))
    );
}

// shows A9
#[test]
fn an_error_that_has_to_stand_for_a_while_is_not_taken_back_by_the_silence_of_another() {
    let mut device = Device::new();
    device.model = example::mfp_520().spec;
    let at = |seconds| begin() + SignedDuration::from_secs(seconds);
    device.look_by(&[("hq-snmp", &empty())], at(0));
    device.look_by(&[("hq-ipp", &fine())], at(10));
    assert_eq!(device.error(BLACK).reported, Some(at(0)));
    // The time is over, but only who sees it begins it.
    device.look_by(&[("hq-ipp", &fine())], at(40));
    assert_eq!(device.error(BLACK).occurrence, 0);
    device.look_by(&[("hq-snmp", &empty())], at(41));
    let error = device.error(BLACK);
    assert_eq!((error.occurrence, error.since), (1, at(0)));
}

// shows A2
#[test]
fn words_without_a_row_hold_the_error_that_another_connection_names() {
    let mut device = Device::new();
    let by_row = StatusReport {
        faults: vec![alert("markerTonerEmpty", Some(1))],
        supplies: percents([0, 40, 40, 40]),
        ..StatusReport::default()
    };
    let words = reasons(&["toner-empty"], Vec::new());
    device.look_by(&[("hq-ipp", &words), ("hq-snmp", &by_row)], begin());
    assert_eq!(device.error(BLACK).reported_by, SOURCES);
    assert_eq!(device.errors.len(), 1);
    device.look_by(&[("hq-ipp", &words), ("hq-snmp", &fine())], after(20));
    assert_eq!(device.error(BLACK).reported_by, ["hq-ipp"]);
    assert_eq!(device.errors.len(), 1, "{:?}", device.errors);
}

// shows A9
#[test]
fn an_error_whose_type_the_model_has_no_more_ends_with_that_reason_without_a_look() {
    let mut device = open();
    device.look_by(
        &[(
            "hq-snmp",
            &reasons(&["toner-empty", "media-jam"], percents([0, 40, 40, 40])),
        )],
        after(1),
    );
    device.model.errors.retain(|it| it.r#type != "TonerEmpty");
    device.pass(None, after(2));
    device.pass(None, after(3));
    let error = device.error(BLACK).clone();
    assert_eq!(
        (error.state, error.until, error.end),
        (
            ErrorState::Closed,
            Some(after(2)),
            Some(ErrorEnd::TypeRemoved)
        )
    );
    assert_eq!((error.reported_by.len(), error.replaced), (0, None));
    assert_eq!(
        device.error("Jam").state,
        ErrorState::Open,
        "the others stay"
    );
    assert_eq!(next_look(&device.errors, &device.model), None);
    // It is back in the model, and still reported: the next occurrence, if the order of this one was made.
    device.record_orders();
    device.pass(None, after(3));
    device.model = model();
    device.look_by(&[("hq-snmp", &empty())], after(4));
    device.look_by(&[("hq-snmp", &empty())], after(5));
    let error = device.error(BLACK);
    assert_eq!((error.state, error.end), (ErrorState::Open, None));
    assert_eq!(error.occurrence, 2);
}

// shows A2
#[test]
fn a_waste_box_whose_error_the_model_has_no_more_is_not_taken_for_replaced() {
    let full = reasons(&["marker-waste-full"], percents([40, 40, 40, 40]));
    let key = "WasteBoxFull/waste-toner-box";
    let mut device = Device::new();
    device.look(&[&full], begin());
    let types = std::mem::take(&mut device.model.errors);
    device.pass(None, after(1));
    device.model.errors = types;
    device.look(&[&fine()], after(2));
    assert_eq!(device.error(key).replaced, None);
}

// shows A2
#[test]
fn a_waste_box_counts_as_replaced_by_the_word_of_one_that_said_it_was_full() {
    let full = reasons(&["marker-waste-full"], percents([40, 40, 40, 40]));
    let key = "WasteBoxFull/waste-toner-box";
    let both: &[&'static str] = &SOURCES;
    let ipp: &[&'static str] = &["hq-ipp"];
    for (told_by, sources, end) in [
        (&["hq-ipp"][..], both, ErrorEnd::NotReported),
        (&["hq-snmp"], ipp, ErrorEnd::ConnectionRemoved),
        (both, ipp, ErrorEnd::NotReported),
    ] {
        let mut device = Device::new();
        let reports: Vec<_> = told_by.iter().map(|name| (*name, &full)).collect();
        device.look_by(&reports, begin());
        device.sources = sources.to_vec();
        for minute in [1, 12] {
            device.look_by(&[("hq-ipp", &fine())], after(minute));
        }
        let error = device.error(key);
        let (found, is_replaced) = (error.end, error.replaced.is_some());
        assert_eq!(found, Some(end), "{told_by:?} told it");
        assert_eq!(
            is_replaced,
            end == ErrorEnd::NotReported,
            "{told_by:?} told it"
        );
        assert_eq!(error.reported_by.len(), 0);
    }
}

// shows A9
#[test]
fn an_error_that_was_about_to_begin_is_forgotten_when_nobody_reports_it_for_long() {
    let at = |seconds| begin() + SignedDuration::from_secs(seconds);
    let fine = fine();
    // The other connection answers, or nobody does.
    for reports in [&[("hq-ipp", &fine)][..], &[]] {
        let mut device = Device::new();
        device.model = example::mfp_520().spec;
        device.look_by(&[("hq-snmp", &empty())], at(0));
        for minute in [10, 20, 30, 40, 50, 60] {
            device.look_by(reports, at(minute * 60));
            let error = device.error(BLACK);
            assert_eq!(error.reported, Some(at(0)), "after {minute} minutes");
        }
        device.look_by(reports, at(60 * 60 + 30));
        let error = device.error(BLACK);
        assert_eq!((error.reported, error.reported_by.len()), (None, 0));
        assert_eq!(next_look(&device.errors, &device.model), None);
        // It is reported again after weeks: by that alone nothing has begun, and nothing began weeks ago.
        let later = 21 * 24 * 60 * 60;
        device.look_by(&[("hq-snmp", &empty())], at(later));
        assert_eq!(device.error(BLACK).occurrence, 0);
        device.look_by(&[("hq-snmp", &empty())], at(later + 30));
        let error = device.error(BLACK);
        assert_eq!((error.occurrence, error.since), (1, at(later)));
    }
}

// shows A9
#[test]
fn an_error_that_is_reported_again_after_weeks_begins_then_also_if_nobody_looked_meanwhile() {
    let mut device = Device::new();
    device.model = example::mfp_520().spec;
    device.look_by(&[("hq-snmp", &empty())], begin());
    let again = after(21 * 24 * 60);
    device.look_by(&[("hq-snmp", &empty())], again);
    assert_eq!(device.error(BLACK).reported, Some(again));
    assert_eq!(device.error(BLACK).occurrence, 0);
}

// shows A5 A9
#[test]
fn the_word_of_a_device_that_calls_stands_until_it_takes_it_back() {
    let mut device = Device::new();
    device.model = example::mfp_520().spec;
    let empty = empty();
    for minute in [0, 3 * 60] {
        let look = Sightings {
            reports: vec![("hq-snmp", &empty)],
            sources: SOURCES.into(),
            caller: Some("hq-snmp"),
            at: after(minute),
        };
        device.pass(Some(&look), after(minute));
    }
    let error = device.error(BLACK);
    assert_eq!((error.occurrence, error.since), (1, begin()));
}

// shows A9
#[test]
fn silence_alone_ends_no_error_however_long_it_lasts() {
    let fine = fine();
    for reports in [&[("hq-ipp", &fine)][..], &[]] {
        let mut device = open();
        for day in 0..60 {
            device.look_by(reports, after(day * 24 * 60 + 1));
            device.pass(None, after(day * 24 * 60 + 2));
        }
        let error = device.error(BLACK);
        assert_eq!((error.state, error.gone), (ErrorState::Open, None));
        assert_eq!(error.reported_by, ["hq-snmp"]);
    }
}

// shows A9
#[test]
fn an_error_of_a_device_without_a_connection_that_reports_ends_and_says_so() {
    let full = reasons(&["marker-waste-full"], percents([40, 40, 40, 40]));
    let key = "WasteBoxFull/waste-toner-box";
    let mut device = Device::new();
    device.look_by(&[("hq-snmp", &full)], begin());
    device.sources = Vec::new();
    device.look_by(&[], after(5));
    assert_eq!(device.error(key).state, ErrorState::Open, "it may be back");
    let settled = next_look(&device.errors, &device.model);
    assert_eq!(settled, Some(after(15)));
    device.look_by(&[], after(15));
    let error = device.error(key);
    assert_eq!(
        (error.state, error.until, error.end),
        (
            ErrorState::Closed,
            Some(after(5)),
            Some(ErrorEnd::ConnectionRemoved)
        )
    );
    assert_eq!(error.replaced, None, "nothing proves that");
}
