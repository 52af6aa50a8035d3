//! Of a device that calls: the first data that it sends turn a service on, whatever it reported (C12).

use entente_crds::v1alpha1::ActivationMode;

use super::*;

impl Calling {
    fn activated_by(mut self, mode: ActivationMode) -> Self {
        let services = &mut self.0.snapshot.services;
        let service = services.get_mut("data-backup").expect("a service");
        Arc::make_mut(service).spec.activation = mode;
        self
    }
}

fn conditions(report: &SubscriptionReport) -> [String; 3] {
    [
        ConditionType::Activated,
        ConditionType::DataTypesConfigured,
        ConditionType::Delivered,
    ]
    .map(|condition| said(report, condition))
}

// shows C12 D3
#[test]
fn data_that_came_turn_a_service_on_although_the_device_never_reported_that_they_would() {
    let mut calling = Calling::sending(None).activated_by(ActivationMode::ByFirstData);
    let waits = "False(WaitingForDevice)";
    let report = calling.pass(ZERO);
    assert_eq!(conditions(&report), [waits; 3]);
    assert_ne!(calling.is_on_at_the_server(), Some(true));

    calling.says(true, &[], hours(1));
    let report = calling.pass(hours(1));
    assert_eq!(calling.is_on_at_the_server(), Some(true));
    let on = "True(Active)";
    let delivered = "True(Delivered)";
    assert_eq!(conditions(&report), [on, waits, delivered]);
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
    let completed = report.status.promises[0].completed;
    assert_eq!(completed, Some(now() + hours(1)), "when the data came");
    assert_eq!(calling.asked().len(), 1, "it is asked for all the same");
    let again = calling.pass(hours(1));
    assert_eq!(again.status, report.status);

    calling.sends(Some("24h"), hours(2));
    let report = calling.pass(hours(2));
    assert_eq!(conditions(&report), [on, "True(Succeeded)", delivered]);
    calling.sends(Some("48h"), hours(3));
    let report = calling.pass(hours(3));
    let rarely = "False(AcceptedNotEffective)";
    assert_eq!(conditions(&report), [on, rarely, delivered]);
    assert_eq!(report.status.promises[0].completed, completed);

    calling.says(false, &[], hours(4));
    let report = calling.pass(hours(4));
    assert_eq!(calling.is_on_at_the_server(), Some(false));
    assert_eq!(conditions(&report)[0], "False(DisabledLocally)");
    assert_eq!(calling.asked(), []);
}

// shows C7 C12
#[test]
fn a_kind_that_was_not_reported_holds_back_a_service_that_is_turned_on_in_another_way() {
    for mode in [ActivationMode::ByOperator, ActivationMode::ByDevice] {
        let mut calling = Calling::sending(None).activated_by(mode);
        calling.says(true, &[], hours(1));
        let report = calling.pass(hours(1));
        let waits = "False(WaitingForDevice)";
        assert_eq!(
            conditions(&report),
            ["False(Waiting)", waits, waits],
            "{mode:?}"
        );
        assert_ne!(calling.is_on_at_the_server(), Some(true));
    }
}

// shows C12 D3
#[test]
fn a_setting_that_was_not_reported_holds_back_a_service_whose_data_came() {
    let mut calling = Calling::sending(None).activated_by(ActivationMode::ByFirstData);
    let differs = |reported: &mut TwinReported| {
        for setting in &mut reported.settings {
            setting.value = Some("another".into());
        }
    };
    calling.report(ZERO, differs);
    calling.says(true, &[], hours(1));
    let report = calling.pass(hours(1));
    let [activated, _, delivered] = conditions(&report);
    assert_eq!(activated, "False(Waiting)");
    assert!(delivered.starts_with("False"), "{delivered}");
    assert_ne!(calling.is_on_at_the_server(), Some(true));
    calling.report(hours(2), |_| {});
    let report = calling.pass(hours(2));
    assert_eq!(conditions(&report)[0], "True(Active)");
    let completed = report.status.promises[0].completed;
    assert_eq!(completed, Some(now() + hours(2)));
}
