use std::sync::Arc;

use entente_crds::{
    example,
    v1alpha1::{DeviceTwinSpec, EnrollmentMode, TwinDevice},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

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
    others: Vec<DeviceEnrollment>,
}

impl World {
    fn new() -> Self {
        Self {
            enrollment: example::enrollment(),
            connection: Some(Arc::new(example::gateway())),
            token_fault: None,
            twins: Vec::new(),
            others: Vec::new(),
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
            enrollments: &self.others.iter().collect::<Vec<_>>(),
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
        (
            "False(UnsupportedValue) spec.serialNumbers.pattern is \"A[\" and cannot",
            |it| {
                let numbers = it.enrollment.spec.serial_numbers.as_mut();
                numbers.expect("a pattern").pattern = Some("A[".to_owned());
            },
        ),
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

/// Returns another enrolment with the same Secret, made at an hour of the same day.
fn other(name: &str, hour: i8) -> DeviceEnrollment {
    let mut other = example::enrollment();
    other.metadata.name = Some(name.to_owned());
    made_at(&mut other, hour);
    other
}

fn made_at(enrollment: &mut DeviceEnrollment, hour: i8) {
    let at = format!("2027-03-01T{hour:02}:00:00Z");
    let at: Timestamp = at.parse().expect("an instant");
    enrollment.metadata.creation_timestamp = Some(Time(at));
}

// shows C2 K2
#[test]
fn an_enrolment_with_the_secret_of_an_older_one_says_that_it_admits_nobody() {
    let mut world = World::new();
    made_at(&mut world.enrollment, 12);
    for (name, hour, is_older) in [
        ("older", 11, true),
        ("younger", 13, false),
        ("a-first-by-name", 12, true),
        ("z-last-by-name", 12, false),
    ] {
        world.others = vec![world.enrollment.clone(), other(name, hour)];
        let ready = world.ready();
        let names_it = format!(
            "False(UnsupportedValue) spec.tokenSecretRef: the older DeviceEnrollment {name} has the Secret \
             banco-sul-enrollment, too"
        );
        let expected = if is_older {
            &names_it
        } else {
            "True(Succeeded)"
        };
        assert!(ready.starts_with(expected), "{name}: {ready}");
    }
    let harmless: [fn(&mut DeviceEnrollment); 3] = [
        |it| it.spec.token_secret_ref.name = "another".to_owned(),
        |it| it.spec.connection_ref.name = "another-gateway".to_owned(),
        |it| it.metadata.namespace = Some("elsewhere".to_owned()),
    ];
    for edit in harmless {
        let mut older = other("older", 11);
        edit(&mut older);
        world.others = vec![older];
        assert_eq!(world.ready(), "True(Succeeded) Devices may register.");
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
