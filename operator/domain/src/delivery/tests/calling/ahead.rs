//! Of a device that calls: what it is told, and what is said of it, before the instant of a change.

use super::*;

/// Returns the settings of the next change as `name=value`, with the time until it.
fn next(calling: &Calling, after: SignedDuration) -> Option<(SignedDuration, Vec<String>)> {
    let next = calling.twin().spec.next.as_ref()?;
    let settings = next.settings.iter();
    let shown = settings.map(|it| format!("{}={}", it.name, it.value.as_deref().unwrap_or("?")));
    let ahead = next.effective.duration_since(now() + after);
    Some((ahead, shown.collect()))
}

const ALL: [&str; 3] = [
    "backup.endpoint=https://backup.northwind.example/v1",
    "backup.mode=differential",
    "backup.weekdays=sun,wed",
];

// shows C9 D3
#[test]
fn a_device_holds_what_begins_before_its_instant_and_nothing_is_asked_of_it_until_then() {
    // The contract starts an hour before the time of the fixture.
    let before = hours(-25);
    let mut calling = Calling::new();
    calling.pass(before);
    calling.register(before);
    calling.report(before, |_| {});
    let report = calling.pass(before);
    assert_eq!(calling.wanted(), [""; 0], "nothing is asked for");
    let (ahead, settings) = next(&calling, before).expect("the next change");
    assert_eq!(
        (ahead, settings),
        (hours(24), ALL.map(str::to_owned).into())
    );
    let kept = weekdays(&report).previous.expect("the value from before");
    assert_eq!(kept.values, ["sat"]);
    assert_eq!(ready(&report), "True(Scheduled)");
    calling.pass(hours(-2));
    assert_eq!(calling.0.remote.count("WriteTwin"), 0, "it is written once");

    // At the instant the device applies it by itself, and its report proves it.
    let start = hours(-1);
    calling.edit_twin(|twin| {
        let next = twin.spec.next.clone().expect("the next change");
        let status = twin.status.get_or_insert_default();
        let reported = status.reported.as_mut().expect("a report");
        for setting in &next.settings {
            set(reported, setting);
        }
        status.last_heard = Some(now() + start);
    });
    let report = calling.pass(start);
    assert_eq!(
        said(&report, ConditionType::DeviceConfigured),
        "True(Succeeded)"
    );
    assert_eq!(weekdays(&report).last_verified, Some(now() + start));
    assert_eq!(next(&calling, start), None);
    assert_eq!(
        calling.wanted().len(),
        3,
        "it is not asked for what was before"
    );
    let previous = weekdays(&report).previous.expect("the value from before");
    assert_eq!(previous.values, ["sat"]);
}

// shows C9 K2
#[test]
fn a_device_that_registers_before_the_start_is_stuck_no_more() {
    let before = hours(-25);
    let mut calling = Calling::new();
    let report = calling.pass(before);
    let configured = |report: &SubscriptionReport| said(report, ConditionType::DeviceConfigured);
    assert_eq!(configured(&report), "False(NotRegistered)");
    calling.register(before);
    let report = calling.pass(before);
    assert_eq!(configured(&report), "False(NotStarted)");
    calling.report(before, |_| {});
    assert_eq!(ready(&calling.pass(before)), "True(Scheduled)");
}

// shows C9
#[test]
fn of_a_change_that_is_promised_the_device_holds_only_what_differs() {
    let mut calling = Calling::registered();
    calling.pass(ZERO);
    calling.report(ZERO, |_| {});
    calling.pass(ZERO);
    calling.0.edit(|it| {
        let first = Arc::make_mut(&mut it.spec.revisions[0]);
        first.until = Some(now() + hours(24));
        let mut second = first.clone();
        second.effective = now() + hours(24);
        second.until = None;
        let days = ("weekdays".to_owned(), "mon".to_owned());
        second.parameters.extend([days]);
        it.spec.revisions.push(Arc::new(second));
    });
    calling.pass(hours(1));
    let (ahead, settings) = next(&calling, hours(1)).expect("the next change");
    assert_eq!(ahead, hours(23));
    assert_eq!(settings, ["backup.weekdays=mon"]);
    // While nothing is heard of the device it keeps what it holds.
    calling.edit_twin(|twin| {
        let status = twin.status.as_mut().expect("a status");
        status.last_heard = Some(now() - hours(100));
    });
    calling.pass(hours(2));
    assert_eq!(calling.online(), "False(NotHeardOf)");
    assert!(next(&calling, hours(2)).is_some());
    // Taken back before its date, it is forgotten.
    calling.report(hours(3), |_| {});
    calling.0.edit(|it| {
        it.spec.revisions.pop();
        Arc::make_mut(&mut it.spec.revisions[0]).until = None;
    });
    calling.pass(hours(3));
    assert_eq!(next(&calling, hours(3)), None);
    assert_eq!(calling.wanted()[2], "backup.weekdays=sun,wed (1)");
}
