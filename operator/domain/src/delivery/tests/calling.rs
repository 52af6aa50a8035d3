//! A device that calls: what it is asked for by its twin, what its calls prove, and what is said while
//! it does not call.

use std::sync::Arc;

use entente_crds::{
    condition::{ConditionType, Reason},
    example,
    v1alpha1::{
        Connection, ConsentWay, DeviceTwin, ItemState, RefusedBecause, RefusedSetting, ReleasedAs,
        ReportedSetting, ReportedSoftware, SetBy, SoftwarePart, TwinConsent, TwinRegistration,
        TwinReported, TwinSetting,
    },
};
use jiff::SignedDuration;
use kube::ResourceExt as _;

use super::pass_fixture::{Story, now, said, weekdays};
use crate::{condition::find, delivery::SubscriptionReport};

const ZERO: SignedDuration = SignedDuration::ZERO;

mod activation;
mod ahead;
mod data_types;
mod drift;
mod errors;
mod first_data;

/// A device of the examples that calls, and passes over it.
struct Calling(Story);

impl Calling {
    /// Returns a device of which nobody has heard.
    fn new() -> Self {
        let mut story = Story::new();
        story.full_looks = false;
        let gateway: Connection = example::gateway();
        let name = gateway.name_any();
        let connections = &mut story.snapshot.connections;
        connections.insert(name.as_str().into(), Arc::new(gateway));
        story.edit_device(|device| {
            device.spec.address = None;
            device.spec.connections.truncate(1);
            device.spec.connections[0].name = name;
        });
        Self(story)
    }

    /// Returns a device that registered at the start of the contract, and reported what it has.
    fn registered() -> Self {
        let mut calling = Self::new();
        calling.pass(ZERO);
        calling.register(ZERO);
        calling.report(ZERO, |_| {});
        calling
    }

    fn pass(&mut self, after: SignedDuration) -> SubscriptionReport {
        self.0.calm_pass(after)
    }

    fn twin(&self) -> &DeviceTwin {
        self.0.remote.twin.as_ref().expect("a twin")
    }

    fn edit_twin(&mut self, edit: impl FnOnce(&mut DeviceTwin)) {
        edit(Arc::make_mut(self.0.remote.twin.as_mut().expect("a twin")));
    }

    /// The device registers.
    fn register(&mut self, after: SignedDuration) {
        let serial = self.device_serial();
        self.edit_twin(|twin| {
            let status = twin.status.get_or_insert_default();
            status.registration = Some(TwinRegistration {
                at: now() + after,
                serial_number: serial.as_str().into(),
                product_name: "Northwind MFP 500".into(),
                uuid: Some("urn:uuid:1".into()),
                consent: Some(TwinConsent {
                    by: ConsentWay::Panel,
                    at: now(),
                    text_version: "1".into(),
                    ..TwinConsent::default()
                }),
                ..TwinRegistration::default()
            });
            status.last_heard = Some(now() + after);
        });
    }

    fn device_serial(&self) -> String {
        let device = self.0.snapshot.device.as_ref().expect("a device");
        device.spec.serial_number.clone()
    }

    /// The device calls: it takes what the twin asks for, as far as `edit` lets it, and reports.
    fn report(&mut self, after: SignedDuration, edit: impl FnOnce(&mut TwinReported)) {
        self.edit_twin(|twin| {
            let wanted = twin.spec.settings.clone();
            let generation = twin.metadata.generation;
            let status = twin.status.get_or_insert_default();
            let mut reported = status.reported.take().unwrap_or_else(factory);
            for setting in &wanted {
                set(&mut reported, setting);
            }
            reported.version = generation;
            edit(&mut reported);
            status.reported = Some(reported);
            status.last_heard = Some(now() + after);
        });
    }

    /// Returns the wanted settings as `name=value`, with the number of times that each was asked for.
    fn wanted(&self) -> Vec<String> {
        let settings = self.twin().spec.settings.iter();
        let shown = settings.map(|it| {
            let value = it.value.as_deref().unwrap_or("secret");
            format!("{}={value} ({})", it.name, it.asked)
        });
        shown.collect()
    }

    /// Edits `poll` of the Connection by which the device calls.
    fn edit_poll(&mut self, poll: &str) {
        let connections = self.0.snapshot.connections.values_mut();
        let mut agents = connections.filter_map(|it| Arc::make_mut(it).spec.agent.as_mut());
        agents.next().expect("a gateway").poll = poll.into();
    }

    fn online(&self) -> String {
        let device = self.0.snapshot.device.as_ref().expect("a device");
        let status = device.status.as_ref().expect("a status");
        let found = find(&status.conditions, ConditionType::Online).expect("Online");
        format!("{}({})", found.status, found.reason)
    }
}

/// Returns the values of a device before anybody sets anything.
fn factory() -> TwinReported {
    let setting = |name: &str, value: &str| ReportedSetting {
        name: name.into(),
        value: Some(value.into()),
        digest: None,
        by: SetBy::Default,
    };
    TwinReported {
        settings: vec![
            setting("backup.endpoint", ""),
            setting("backup.weekdays", "sat"),
            setting("backup.mode", "full"),
        ],
        ..TwinReported::default()
    }
}

fn set(reported: &mut TwinReported, wanted: &TwinSetting) {
    let value = wanted.value.as_deref().map(Into::into);
    let mut settings = reported.settings.iter_mut();
    match settings.find(|it| *it.name == *wanted.name) {
        Some(known) => {
            known.value = value;
            known.by = SetBy::Server;
        }
        None => reported.settings.push(ReportedSetting {
            name: wanted.name.as_str().into(),
            value,
            digest: wanted.digest,
            by: SetBy::Server,
        }),
    }
}

/// Leaves a setting as another one set it.
fn keep(name: &'static str, value: &'static str) -> impl FnOnce(&mut TwinReported) {
    move |reported| {
        let mut settings = reported.settings.iter_mut();
        let found = settings.find(|it| *it.name == *name).expect("a setting");
        found.value = Some(value.into());
        found.by = SetBy::Panel;
    }
}

fn refuse(reason: RefusedBecause) -> impl FnOnce(&mut TwinReported) {
    move |reported| {
        keep("backup.weekdays", "sat")(reported);
        reported.refused = vec![RefusedSetting {
            name: "backup.weekdays".into(),
            reason,
            message: Some("no".into()),
        }];
    }
}

fn ready(report: &SubscriptionReport) -> String {
    said(report, ConditionType::Ready)
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

// shows C2 K2
#[test]
fn a_device_that_has_not_called_gets_a_twin_and_nothing_is_wanted_of_it_yet() {
    let mut calling = Calling::new();
    let report = calling.pass(ZERO);
    assert_eq!(ready(&report), "False(NotRegistered)");
    assert_eq!(calling.online(), "False(NotRegistered)");
    assert_eq!(calling.wanted(), [""; 0]);
    let owner = &calling.twin().owner_references()[0];
    assert_eq!((&*owner.kind, &*owner.uid), ("Device", "d-1"));
    // Nothing of it is written a second time, and no timer asks again.
    let again = calling.pass(hours(1));
    assert_eq!(calling.0.remote.count("WriteTwin"), 0);
    assert_eq!(again.status, report.status);
}

// shows C2 B7
#[test]
fn nothing_is_asked_of_a_device_before_it_has_said_what_it_has() {
    let mut calling = Calling::new();
    calling.pass(ZERO);
    calling.register(ZERO);
    let report = calling.pass(ZERO);
    assert_eq!(ready(&report), "False(WaitingForDevice)");
    assert_eq!(calling.wanted(), [""; 0]);
    assert_eq!(weekdays(&report).state, ItemState::InProgress);
}

// shows C2 C10
#[test]
fn a_device_that_registers_with_its_software_is_asked_for_nothing_before_it_reports_its_settings() {
    let mut calling = Calling::new();
    calling.pass(ZERO);
    calling.register(ZERO);
    calling.edit_twin(|twin| {
        let status = twin.status.as_mut().expect("registered");
        status.reported = Some(TwinReported {
            software: vec![ReportedSoftware {
                part: SoftwarePart::Firmware,
                name: "main".into(),
                version: "4.1.0".into(),
            }],
            ..TwinReported::default()
        });
    });
    let report = calling.pass(ZERO);
    assert_eq!(ready(&report), "False(WaitingForDevice)");
    assert_eq!(calling.wanted(), [""; 0]);
    calling.report(ZERO, |reported| *reported = factory());
    let report = calling.pass(ZERO);
    let kept = weekdays(&report).previous.expect("the value from before");
    assert_eq!(kept.values, ["sat"]);
    assert_eq!(calling.wanted().len(), 3);
}

// shows C2 C10
#[test]
fn what_a_device_never_tells_is_not_asked_for_before_its_first_report_either() {
    let mut calling = Calling::new();
    calling.0.edit_weekdays(|it| it.write_only = true);
    calling.pass(ZERO);
    calling.register(ZERO);
    let report = calling.pass(ZERO);
    assert_eq!(calling.wanted(), [""; 0]);
    assert_eq!(weekdays(&report).state, ItemState::InProgress);
    calling.report(ZERO, |_| {});
    calling.pass(ZERO);
    assert_eq!(calling.wanted().len(), 3);
    calling.report(ZERO, |_| {});
    let report = calling.pass(ZERO);
    assert_eq!(weekdays(&report).state, ItemState::Effective);
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
}

// shows C2 K2
#[test]
fn a_person_who_asks_for_a_look_changes_nothing_for_a_device_that_has_yet_to_call() {
    let mut calling = Calling::registered();
    let before = calling.pass(ZERO);
    calling.0.full_looks = true;
    let report = calling.pass(hours(1));
    assert_eq!(calling.0.remote.count("WriteTwin"), 0);
    let attempts = |report: &SubscriptionReport| weekdays(report).attempts;
    assert_eq!(attempts(&report), attempts(&before));
    // Nor is one asked that has reported nothing.
    let mut calling = Calling::new();
    calling.pass(ZERO);
    calling.register(ZERO);
    calling.0.full_looks = true;
    calling.pass(ZERO);
    assert_eq!(calling.wanted(), [""; 0]);
}

// shows B3 B7 D1
#[test]
fn what_differs_is_asked_for_by_one_write_and_proved_by_the_report_of_the_device_alone() {
    let mut calling = Calling::registered();
    let report = calling.pass(ZERO);
    assert_eq!(calling.0.remote.count("WriteTwin"), 1);
    let wanted = [
        "backup.endpoint=https://backup.northwind.example/v1 (1)",
        "backup.mode=differential (1)",
        "backup.weekdays=sun,wed (1)",
    ];
    assert_eq!(calling.wanted(), wanted);
    assert_eq!(weekdays(&report).state, ItemState::InProgress);
    assert_eq!(ready(&report), "False(WaitingForDevice)");
    let previous = weekdays(&report).previous.expect("the value from before");
    assert_eq!(previous.values, ["sat"]);
    // As often as it is looked at meanwhile.
    let again = calling.pass(hours(1));
    assert_eq!(calling.0.remote.count("WriteTwin"), 0);
    assert_eq!(again.status.items, report.status.items);

    calling.report(hours(1), |_| {});
    let report = calling.pass(hours(1));
    assert_eq!(weekdays(&report).state, ItemState::Effective);
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
    assert_eq!(calling.wanted(), wanted);
    assert_eq!(calling.online(), "True(Answered)");
}

// shows D1 K2
#[test]
fn what_the_device_has_taken_note_of_and_does_not_have_is_a_failure_and_is_asked_for_again() {
    let mut calling = Calling::registered();
    calling.pass(ZERO);
    calling.report(ZERO, keep("backup.weekdays", "sat"));
    let report = calling.pass(ZERO);
    let problem = weekdays(&report).problem.expect("a problem");
    assert_eq!(problem.outcome, Reason::AcceptedNotEffective);
    assert_eq!(ready(&report), "False(AcceptedNotEffective)");
    assert_eq!(calling.0.remote.count("WriteTwin"), 0, "after a wait");
    // The fixture keeps no waits from one pass to the next.
    let report = calling.pass(hours(1));
    assert_eq!(calling.wanted()[2], "backup.weekdays=sun,wed (2)");
    assert_eq!(weekdays(&report).state, ItemState::InProgress);
    calling.report(hours(1), |_| {});
    let report = calling.pass(hours(1));
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
}

// shows D1 K2
#[test]
fn what_a_device_refuses_is_said_with_its_reason_and_words() {
    for (because, reason) in [
        (RefusedBecause::ReadOnly, Reason::RejectedNotSettable),
        (RefusedBecause::InvalidValue, Reason::RejectedValue),
        (RefusedBecause::Unsupported, Reason::Unsupported),
        (RefusedBecause::Busy, Reason::Busy),
    ] {
        let mut calling = Calling::registered();
        calling.pass(ZERO);
        calling.report(ZERO, refuse(because));
        let report = calling.pass(ZERO);
        let problem = weekdays(&report).problem.expect("a problem");
        assert_eq!(problem.outcome, reason);
        assert!(problem.message.contains("\"no\""), "{}", &*problem.message);
        assert_eq!(calling.0.remote.count("WriteTwin"), 0);
    }
}

// shows D1
#[test]
fn what_a_person_changes_at_the_panel_is_asked_for_again_at_once() {
    let mut calling = Calling::registered();
    calling.pass(ZERO);
    calling.report(ZERO, |_| {});
    calling.pass(ZERO);
    calling.report(hours(1), keep("backup.weekdays", "mon"));
    let report = calling.pass(hours(1));
    assert_eq!(calling.wanted()[2], "backup.weekdays=sun,wed (2)");
    assert_eq!(weekdays(&report).state, ItemState::InProgress);
}

// shows B7
#[test]
fn another_value_is_asked_for_while_the_device_has_not_taken_the_one_before() {
    let mut calling = Calling::registered();
    calling.pass(ZERO);
    calling.0.edit_revision(|it| {
        it.parameters
            .insert("weekdays".to_owned(), "mon".to_owned());
    });
    calling.pass(ZERO);
    assert_eq!(calling.wanted()[2], "backup.weekdays=mon (1)");
    calling.report(ZERO, |_| {});
    let report = calling.pass(ZERO);
    assert_eq!(weekdays(&report).state, ItemState::Effective);
}

// shows C2 K2
#[test]
fn a_device_that_is_silent_for_too_long_is_not_online_and_what_was_proved_stays() {
    let mut calling = Calling::registered();
    calling.pass(ZERO);
    calling.report(ZERO, |_| {});
    let report = calling.pass(hours(59));
    assert_eq!(calling.online(), "True(Answered)");
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
    let report = calling.pass(hours(60));
    assert_eq!(calling.online(), "False(NotHeardOf)");
    assert_eq!(said(&report, ConditionType::Delivered), "True(Delivered)");
    calling.report(hours(61), |_| {});
    calling.pass(hours(61));
    assert_eq!(calling.online(), "True(Answered)");
}

// shows C2 K2
#[test]
fn a_device_is_judged_by_the_period_that_it_was_last_told_and_not_by_one_that_it_cannot_know() {
    for (told, edited, silent_after) in
        [(24 * 60, "1m", 60 * 60), (60, "24h", 150), (60, "60m", 150)]
    {
        let mut calling = Calling::registered();
        calling.edit_twin(|twin| {
            let status = twin.status.as_mut().expect("a status");
            status.poll_seconds = Some(told * 60);
        });
        calling.edit_poll(edited);
        let minutes = SignedDuration::from_mins;
        calling.pass(minutes(silent_after) - SignedDuration::from_secs(1));
        assert_eq!(calling.online(), "True(Answered)", "{told} {edited}");
        calling.pass(minutes(silent_after));
        assert_eq!(calling.online(), "False(NotHeardOf)", "{told} {edited}");
    }
}

// shows K5
#[test]
fn the_looks_at_a_twin_are_written_once_in_each_period_however_many_there_are() {
    let mut calling = Calling::registered();
    let looked = |calling: &Calling| {
        let device = calling.0.snapshot.device.as_ref().expect("a device");
        let status = device.status.as_ref().expect("a status");
        status.last_sync.as_ref().expect("a look").at
    };
    calling.pass(ZERO);
    let first = looked(&calling);
    for after in [1, 13, 20] {
        calling.pass(hours(after));
        assert_eq!(looked(&calling), first, "after {after} hours");
    }
    calling.pass(hours(25));
    assert_eq!(looked(&calling), now() + hours(25));
}

// shows C1 D9
#[test]
fn without_the_consent_of_its_owner_nothing_is_asked_and_the_time_is_the_customers() {
    let mut calling = Calling::registered();
    calling.edit_twin(|twin| {
        let registration = twin.status.as_mut().and_then(|it| it.registration.as_mut());
        let consent = registration.and_then(|it| it.consent.as_mut());
        consent.expect("consent").withdrawn = Some(now());
    });
    let report = calling.pass(ZERO);
    assert_eq!(ready(&report), "False(ConsentWithdrawn)");
    assert_eq!(calling.online(), "False(ConsentWithdrawn)");
    assert_eq!(calling.0.remote.count("WriteTwin"), 0);
    let delays = &report.status.promises[0].delays;
    let last = delays.last().expect("a delay");
    assert_eq!(
        (last.cause, &*last.reason),
        (entente_crds::v1alpha1::Cause::Customer, "ConsentWithdrawn")
    );
}

// shows C17
#[test]
fn the_machine_that_registered_has_to_be_the_one_that_the_device_means() {
    let mut calling = Calling::registered();
    calling
        .0
        .edit_device(|it| it.spec.serial_number = "ANOTHER".to_owned());
    let report = calling.pass(ZERO);
    assert_eq!(ready(&report), "False(NotRegistered)");
    let mut calling = Calling::registered();
    calling.edit_twin(|twin| {
        let registration = twin.status.as_mut().and_then(|it| it.registration.as_mut());
        registration.expect("registered").product_name = "Contoso 9".into();
    });
    let report = calling.pass(ZERO);
    assert_eq!(ready(&report), "False(IdentityMismatch)");
    assert_eq!(calling.0.remote.count("WriteTwin"), 0);
}

// shows C10
#[test]
fn at_the_end_the_values_from_before_are_asked_for_and_then_nothing_is_controlled() {
    let mut calling = Calling::registered();
    calling.pass(ZERO);
    calling.report(ZERO, |_| {});
    calling.pass(ZERO);
    calling.0.snapshot.withdraw_deadline = hours(24);
    calling
        .0
        .edit(|it| it.metadata.deletion_timestamp = Some(deleted()));
    let report = calling.pass(hours(1));
    assert_eq!(calling.wanted()[2], "backup.weekdays=sat (1)");
    assert!(
        !report.finalizer_may_go,
        "it waits: {:?}",
        weekdays(&report)
    );
    let report = calling.pass(hours(2));
    assert!(
        !report.finalizer_may_go,
        "it waits: {:?}",
        weekdays(&report)
    );
    assert_eq!(
        calling.0.remote.count("WriteTwin"),
        0,
        "it is asked for once"
    );
    calling.report(hours(3), |_| {});
    let report = calling.pass(hours(3));
    assert!(report.finalizer_may_go, "{:?}", report.status);
    calling.pass(hours(3));
    assert_eq!(calling.wanted(), [""; 0]);
}

// shows C10 K2
#[test]
fn a_device_that_does_not_call_until_the_deadline_of_the_withdrawal_keeps_the_values() {
    let mut calling = Calling::registered();
    calling.pass(ZERO);
    calling.report(ZERO, |_| {});
    calling.pass(ZERO);
    calling.0.snapshot.withdraw_deadline = hours(24);
    calling
        .0
        .edit(|it| it.metadata.deletion_timestamp = Some(deleted()));
    calling.pass(hours(2));
    let report = calling.pass(hours(26));
    assert!(report.finalizer_may_go, "{:?}", report.status);
    let item = weekdays(&report);
    assert_eq!(item.released, Some(ReleasedAs::GivenUp));
    let problem = item.problem.expect("a problem");
    assert_eq!(problem.outcome, Reason::TimedOut);
}

fn deleted() -> k8s_openapi::apimachinery::pkg::apis::meta::v1::Time {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now() + hours(1))
}

#[test]
fn the_twin_of_an_earlier_device_of_the_name_is_not_used() {
    let mut calling = Calling::registered();
    calling
        .0
        .edit_device(|it| it.metadata.uid = Some("d-2".to_owned()));
    let report = calling.pass(ZERO);
    assert_eq!(ready(&report), "False(NotRegistered)");
    assert_eq!(calling.0.remote.count("WriteTwin"), 0);
}
