//! Of a device that calls: the legs on which the activation of a service stands (C5, C6, C15).

use entente_crds::v1alpha1::{ActivationMode, ActivationState, Cause, TwinLocal};

use super::*;

impl Calling {
    /// Returns a registered device with everything in effect that comes before the activation, and its
    /// service that is activated in this way.
    fn set_up(mode: ActivationMode) -> Self {
        let mut calling = Self::new();
        let services = &mut calling.0.snapshot.services;
        let service = services.get_mut("data-backup").expect("a service");
        Arc::make_mut(service).spec.activation = mode;
        calling.pass(ZERO);
        calling.register(ZERO);
        calling.report(ZERO, |_| {});
        calling.pass(ZERO);
        calling.report(ZERO, |_| {});
        calling
    }

    /// The device says something of its service, as the gateway writes it.
    pub(super) fn says(&mut self, enabled: bool, unsupported: &[&str], after: SignedDuration) {
        let application = self.0.snapshot.subscriptions[0].name_any();
        let unsupported = unsupported.iter().map(|&it| it.into()).collect();
        self.edit_twin(|twin| {
            twin.status.get_or_insert_default().local = vec![TwinLocal {
                application_id: application,
                enabled,
                by: ConsentWay::Panel,
                at: now() + after,
                unsupported,
            }];
        });
    }

    fn list(&mut self, disabled: &[&str]) {
        let disabled = disabled.iter().map(|&it| it.to_owned()).collect();
        self.0
            .edit_device(|device| device.spec.disabled_services = disabled);
    }

    /// Returns true if the service server has the service on; `None` without an instance.
    pub(super) fn is_on_at_the_server(&self) -> Option<bool> {
        let parameters = self.0.remote.parameters.as_ref()?;
        parameters.get("enabled")?.as_bool()
    }
}

fn state(report: &SubscriptionReport) -> ActivationState {
    let activation = report.status.activation.as_ref();
    activation.expect("a service that has begun").state
}

fn activated(report: &SubscriptionReport) -> String {
    said(report, ConditionType::Activated)
}

fn delivered(report: &SubscriptionReport) -> String {
    said(report, ConditionType::Delivered)
}

// shows C5 C6 D9
#[test]
fn each_leg_alone_keeps_a_service_off_in_both_modes_with_its_own_reason_and_cause() {
    for mode in [ActivationMode::ByOperator, ActivationMode::ByDevice] {
        for (reason, cause) in [
            ("DisabledLocally", Cause::Customer),
            ("UnsupportedByDevice", Cause::Device),
        ] {
            let mut calling = Calling::set_up(mode);
            match reason {
                "DisabledLocally" => calling.says(false, &[], ZERO),
                _ => calling.says(true, &["no network"], ZERO),
            }
            let report = calling.pass(ZERO);
            let expected = format!("False({reason})");
            assert_eq!(activated(&report), expected, "{mode:?}");
            assert_eq!(delivered(&report), expected, "{mode:?}");
            assert_eq!(calling.is_on_at_the_server(), Some(false), "{mode:?}");
            let delays = &report.status.promises[0].delays;
            let open = delays.last().expect("a delay");
            assert_eq!((open.cause, &*open.reason), (cause, reason), "{mode:?}");
            let again = calling.pass(ZERO);
            assert_eq!(again.status, report.status);
            assert_eq!(calling.0.remote.count("Update"), 0, "nothing is sent twice");
        }
    }
    let mut calling = Calling::set_up(ActivationMode::ByDevice);
    let report = calling.pass(ZERO);
    assert_eq!(activated(&report), "False(WaitingForDevice)");
    let delays = &report.status.promises[0].delays;
    assert_eq!(delays.last().expect("a delay").cause, Cause::Device);
}

// shows C5 C6
#[test]
fn a_device_that_asks_is_activated_and_its_promise_is_complete_by_then_and_not_before() {
    let mut calling = Calling::set_up(ActivationMode::ByDevice);
    calling.pass(ZERO);
    calling.says(true, &[], hours(2));
    let report = calling.pass(hours(2));
    assert_eq!(calling.is_on_at_the_server(), Some(true));
    assert_eq!(activated(&report), "True(Active)");
    assert_eq!(state(&report), ActivationState::Active);
    assert_eq!(delivered(&report), "True(Delivered)");
    let promise = &report.status.promises[0];
    assert_eq!(promise.completed, Some(now() + hours(2)));
}

// shows C6 C15
#[test]
fn a_service_that_is_switched_off_is_turned_off_at_the_provider_and_on_again() {
    let mut calling = Calling::set_up(ActivationMode::ByOperator);
    let report = calling.pass(ZERO);
    assert_eq!(activated(&report), "True(Active)");
    let completed = report.status.promises[0].completed;
    calling.says(false, &[], hours(1));
    let report = calling.pass(hours(1));
    assert_eq!(calling.is_on_at_the_server(), Some(false));
    assert_eq!(state(&report), ActivationState::Inactive);
    assert_eq!(
        said(&report, ConditionType::DeviceConfigured),
        "True(Succeeded)"
    );
    assert_eq!(
        report.status.promises[0].completed, completed,
        "what was kept stays kept"
    );
    let device = calling.0.snapshot.device.as_ref().expect("a device");
    let switch = &device.status.as_ref().expect("a status").local_enablement[0];
    assert_eq!((switch.enabled, switch.by), (false, ConsentWay::Panel));
    assert_eq!(switch.at, now() + hours(1));
    calling.says(true, &[], hours(3));
    let report = calling.pass(hours(3));
    assert_eq!(calling.is_on_at_the_server(), Some(true));
    assert_eq!(activated(&report), "True(Active)");
}

// shows C15
#[test]
fn a_command_switches_off_and_a_later_word_at_the_panel_counts_instead() {
    let mut calling = Calling::set_up(ActivationMode::ByOperator);
    calling.pass(ZERO);
    calling.list(&["data-backup"]);
    let report = calling.pass(hours(1));
    assert_eq!(activated(&report), "False(DisabledLocally)");
    assert_eq!(calling.is_on_at_the_server(), Some(false));
    calling.says(true, &[], hours(2));
    let report = calling.pass(hours(2));
    assert_eq!(activated(&report), "True(Active)");
    let report = calling.pass(hours(2));
    assert_eq!(
        activated(&report),
        "True(Active)",
        "the list says nothing new"
    );
    calling.list(&[]);
    calling.list(&["data-backup"]);
    let report = calling.pass(hours(3));
    assert_eq!(activated(&report), "True(Active)");
}

// shows C1 C6
#[test]
fn a_consent_that_is_withdrawn_turns_the_services_off_at_the_provider_and_a_new_one_on_again() {
    let mut calling = Calling::set_up(ActivationMode::ByOperator);
    assert_eq!(activated(&calling.pass(ZERO)), "True(Active)");
    let withdraw = |at: Option<SignedDuration>| {
        move |twin: &mut DeviceTwin| {
            let status = twin.status.as_mut().expect("a status");
            let registration = status.registration.as_mut().expect("a registration");
            let consent = registration.consent.as_mut().expect("a consent");
            consent.withdrawn = at.map(|after| now() + after);
        }
    };
    calling.edit_twin(withdraw(Some(hours(1))));
    let report = calling.pass(hours(1));
    assert_eq!(calling.is_on_at_the_server(), Some(false));
    assert_eq!(activated(&report), "False(ConsentWithdrawn)");
    assert_eq!(delivered(&report), "False(ConsentWithdrawn)");
    let again = calling.pass(hours(1));
    assert_eq!(again.status, report.status);
    assert_eq!(calling.0.remote.count("Update"), 0, "nothing is sent twice");
    calling.edit_twin(withdraw(None));
    let report = calling.pass(hours(2));
    assert_eq!(activated(&report), "True(Active)");
    assert_eq!(calling.is_on_at_the_server(), Some(true));
}

// shows C14
#[test]
fn a_service_whose_supplies_the_device_cannot_use_is_never_turned_on() {
    let mut calling = Calling::set_up(ActivationMode::ByOperator);
    let services = &mut calling.0.snapshot.services;
    let service = Arc::make_mut(services.get_mut("data-backup").expect("a service"));
    let side = service.spec.device.as_mut().expect("a side");
    side.supplies = vec!["TN-500K".to_owned()];
    let report = calling.pass(ZERO);
    assert_eq!(activated(&report), "False(UnsupportedByDevice)");
    assert_eq!(calling.is_on_at_the_server(), Some(false));
    let found = find(&report.status.conditions, ConditionType::Activated).expect("Activated");
    assert!(found.message.contains("TN-500K"), "{}", found.message);
    calling.edit_twin(|twin| {
        let status = twin.status.get_or_insert_default();
        status.capabilities.get_or_insert_default().supplies = Some(vec!["TN-500K".into()]);
    });
    let report = calling.pass(hours(1));
    assert_eq!(activated(&report), "True(Active)");
}

// shows C10 C5
#[test]
fn a_service_that_has_ended_is_off_since_it_is_not_in_force() {
    let mut calling = Calling::set_up(ActivationMode::ByOperator);
    calling.pass(ZERO);
    calling
        .0
        .edit_revision(|it| it.until = Some(now() + hours(1)));
    let report = calling.pass(hours(1));
    assert_eq!(activated(&report), "False(NotInForce)");
    assert_eq!(state(&report), ActivationState::Inactive);
}
