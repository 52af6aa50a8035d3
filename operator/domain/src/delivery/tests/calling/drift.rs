//! Of a device that calls, with driftPolicy Report: it is not asked any more for what somebody has changed.

use entente_crds::v1alpha1::DriftPolicy;

use super::*;

const ENDPOINT: &str = "backup.endpoint=https://backup.northwind.example/v1 (1)";
const MODE: &str = "backup.mode=differential (1)";

fn drift(calling: &Calling) -> Vec<&str> {
    let device = calling.0.snapshot.device.as_ref().expect("a device");
    let status = device.status.as_ref().expect("a status");
    status.drift.iter().map(|it| it.name.as_str()).collect()
}

/// Returns a device on which all is delivered, and on which somebody has then changed the days.
fn drifted() -> Calling {
    let mut calling = Calling::registered();
    calling
        .0
        .edit_device(|device| device.spec.drift_policy = Some(DriftPolicy::Report));
    calling.pass(ZERO);
    calling.report(ZERO, |_| {});
    let report = calling.pass(ZERO);
    assert_eq!(ready(&report), "True(Delivered)");
    calling.report(hours(1), keep("backup.weekdays", "fri"));
    let report = calling.pass(hours(1));
    assert_eq!(ready(&report), "True(Drifted)");
    assert_eq!(drift(&calling), ["backup.weekdays"]);
    calling
}

// shows B3 D1
#[test]
fn a_new_version_of_its_twin_does_not_ask_it_for_what_somebody_has_changed() {
    let mut calling = drifted();
    assert_eq!(calling.wanted(), [ENDPOINT, MODE]);
    // It takes all that the new version asks it for.
    calling.report(hours(2), |_| {});
    let report = calling.pass(hours(2));
    assert_eq!(weekdays(&report).state, ItemState::NotEffective);
    assert_eq!(drift(&calling), ["backup.weekdays"]);
    assert_eq!(calling.0.remote.count("WriteTwin"), 0);
    let again = calling.pass(hours(3));
    assert_eq!(calling.0.remote.count("WriteTwin"), 0);
    assert_eq!(again.status, report.status);
}

// shows B3 D1
#[test]
fn it_is_asked_again_with_revert_and_not_at_all_for_what_somebody_has_put_back() {
    let mut calling = drifted();
    calling
        .0
        .edit_device(|device| device.spec.drift_policy = Some(DriftPolicy::Revert));
    calling.pass(hours(2));
    assert_eq!(calling.wanted().len(), 3);
    assert_eq!(drift(&calling), [""; 0]);
    calling.report(hours(2), |_| {});
    assert_eq!(ready(&calling.pass(hours(2))), "True(Delivered)");

    let mut calling = drifted();
    calling.report(hours(2), keep("backup.weekdays", "sun,wed"));
    assert_eq!(ready(&calling.pass(hours(2))), "True(Delivered)");
    assert_eq!(drift(&calling), [""; 0]);
    assert_eq!(calling.wanted(), [ENDPOINT, MODE]);
}

// shows C9 D3
#[test]
fn what_a_promise_needs_it_holds_before_the_instant_although_somebody_has_changed_it() {
    let mut calling = drifted();
    calling.0.edit(|it| {
        let first = Arc::make_mut(&mut it.spec.revisions[0]);
        first.until = Some(now() + hours(24));
        let mut second = first.clone();
        second.effective = now() + hours(24);
        second.until = None;
        second.promised = true;
        it.spec.revisions.push(Arc::new(second));
    });
    calling.pass(hours(2));
    let next = calling.twin().spec.next.as_ref().expect("the next change");
    let names: Vec<&str> = next.settings.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["backup.weekdays"]);
    assert_eq!(calling.wanted(), [ENDPOINT, MODE]);
    // It applies that at the instant by itself.
    calling.report(hours(24), keep("backup.weekdays", "sun,wed"));
    let report = calling.pass(hours(24));
    assert_eq!(ready(&report), "True(Delivered)");
    assert_eq!(drift(&calling), [""; 0]);
}
