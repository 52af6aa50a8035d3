use std::sync::Arc;

use entente_crds::{
    example,
    v1alpha1::{DeviceTwinSpec, EnrollmentMode, TwinDevice},
};

use super::*;
use crate::condition::find;

const NOW: &str = "2027-04-01T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().expect("an instant")
}

fn labels() -> BTreeMap<String, String> {
    let name = ("kubernetes.io/metadata.name", example::NAMESPACE);
    [(name.0.to_owned(), name.1.to_owned())].into()
}

fn registration(serial_number: &str, at: Timestamp) -> TwinRegistration {
    TwinRegistration {
        at,
        serial_number: serial_number.into(),
        product_name: "NW MFP 500".into(),
        ..TwinRegistration::default()
    }
}

fn twin(name: &str, registration: TwinRegistration, device: Option<&str>) -> DeviceTwin {
    let device_ref = device.map(|name| TwinDevice {
        name: name.to_owned(),
        uid: "u".to_owned(),
    });
    let mut twin = DeviceTwin::new(
        name,
        DeviceTwinSpec {
            device_ref,
            ..DeviceTwinSpec::default()
        },
    );
    twin.status.get_or_insert_default().registration = Some(registration);
    twin
}

fn pending_twin(serial_number: &str, hours_ago: i64) -> DeviceTwin {
    let at = now() - SignedDuration::from_hours(hours_ago);
    let name = format!("pending-{serial_number}");
    twin(&name, registration(serial_number, at), None)
}

fn bound_twin(serial_number: &str) -> DeviceTwin {
    let mut registration = registration(serial_number, now());
    registration.printer_id = Some("p".to_owned());
    twin(serial_number, registration, Some("lobby"))
}

struct World {
    enrollment: DeviceEnrollment,
    connection: Option<Arc<Connection>>,
    token_fault: Option<(Reason, String)>,
    twins: Vec<DeviceTwin>,
}

impl World {
    fn new() -> Self {
        Self {
            enrollment: example::enrollment(),
            connection: Some(Arc::new(example::gateway())),
            token_fault: None,
            twins: Vec::new(),
        }
    }

    fn status(&self) -> DeviceEnrollmentStatus {
        let (labels, unreadable) = (labels(), UnreadableObjects::default());
        let twins: Vec<&DeviceTwin> = self.twins.iter().collect();
        let observed = ObservedEnrollment {
            connection: self.connection.as_deref(),
            namespace_labels: &labels,
            token_fault: self.token_fault.clone(),
            twins: &twins,
            unreadable: &unreadable,
        };
        report_enrollment(&self.enrollment, &observed, now())
    }

    fn ready(&self) -> String {
        let status = self.status();
        let ready = find(&status.conditions, ConditionType::Ready).expect("Ready");
        format!("{}({}) {}", ready.status, ready.reason, &*ready.message)
    }
}

// shows K2 C2
#[test]
fn an_enrolment_says_whether_devices_may_register_by_it_and_why_not() {
    type Edit = fn(&mut World);
    let cases: [(&str, Edit); 11] = [
        ("True(Succeeded) Devices may register.", |_| {}),
        ("True(Suspended)", |it| it.enrollment.spec.suspend = true),
        ("True(Ended)", |it| {
            it.enrollment.spec.expires = Some("2027-03-31".to_owned());
        }),
        ("True(Succeeded)", |it| {
            it.enrollment.spec.expires = Some("2027-04-01".to_owned());
        }),
        ("True(Succeeded) As many devices as maxDevices", |it| {
            it.enrollment.spec.max_devices = Some(1);
            it.twins = vec![bound_twin("A1")];
        }),
        ("False(ConnectionNotFound)", |it| it.connection = None),
        ("False(NotAllowed)", |it| {
            let mut connection = example::gateway();
            connection.spec.allow.clear();
            it.connection = Some(Arc::new(connection));
        }),
        (
            "False(UnsupportedValue) The Connection hq-ipp is of protocol IPP",
            |it| {
                let mut connection = example::hq_ipp();
                connection.spec.allow = example::gateway().spec.allow;
                it.connection = Some(Arc::new(connection));
            },
        ),
        ("False(SecretNotFound) The Secret", |it| {
            it.token_fault = Some((Reason::SecretNotFound, "the Secret x is gone".to_owned()));
        }),
        ("False(UnsupportedValue) spec.serialNumbers.pattern", |it| {
            let numbers = it.enrollment.spec.serial_numbers.as_mut();
            numbers.expect("a pattern").pattern = Some("A[".to_owned());
        }),
        ("False(UnsupportedValue) spec.template.timeZone", |it| {
            let template = it.enrollment.spec.template.as_mut();
            template.expect("a template").time_zone = Some("Mars/Base".to_owned());
        }),
    ];
    for (said, edit) in cases {
        let mut world = World::new();
        edit(&mut world);
        let ready = world.ready();
        assert!(ready.starts_with(said), "{ready} is not {said}");
    }
}

// shows C2
#[test]
fn who_waits_is_named_by_time_and_no_more_than_32_are() {
    let mut world = World::new();
    world.enrollment.spec.mode = EnrollmentMode::BindOnly;
    world.twins = (0..40)
        .map(|number| pending_twin(&format!("A{number:02}"), number))
        .collect();
    world.twins.push(bound_twin("B1"));
    let status = world.status();
    assert_eq!(
        (status.registered, status.pending_count),
        (Some(1), Some(40))
    );
    let named: Vec<&str> = status.pending.iter().map(|it| &*it.serial_number).collect();
    assert_eq!(named.len(), 32);
    assert_eq!(named[..2], ["A39", "A38"], "the longest wait first");
}

// shows C2
#[test]
fn who_registered_before_it_began_to_wait_goes_on_waiting() {
    let (waiting, mut bound) = (pending_twin("A3", 1), bound_twin("A3"));
    let status = bound.status.as_mut().expect("a status");
    let registration = status.registration.as_mut().expect("a registration");
    registration.at = now() - SignedDuration::from_hours(2);
    assert!(!is_forgotten(&waiting, &[&waiting, &bound], now()));
}

// shows C2
#[test]
fn who_waits_is_forgotten_after_a_week_or_once_it_is_bound() {
    let week = 7 * 24;
    let (young, old) = (pending_twin("A1", week - 1), pending_twin("A2", week));
    let (waiting, bound) = (pending_twin("A3", 1), bound_twin("A3"));
    let all = [&young, &old, &waiting, &bound];
    let forgotten = all.map(|twin| is_forgotten(twin, &all, now()));
    assert_eq!(forgotten, [false, true, true, false]);
    let mut enrollment = example::enrollment();
    let next = next_instant(&enrollment, &all, now());
    assert_eq!(next, Some(now() + SignedDuration::from_hours(1)));
    let last_day = next_instant(&enrollment, &[], now()).map(|it| it.to_string());
    assert_eq!(last_day.as_deref(), Some("2027-07-01T00:00:00Z"));
    enrollment.spec.expires = None;
    assert_eq!(next_instant(&enrollment, &[], now()), None);
}
