use entente_crds::v1alpha1::{
    DeviceConnection, DeviceEnrollmentSpec, DeviceSpec, DeviceTwinSpec, TwinDevice,
    TwinRegistration,
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::gateway::poll::Rhythm;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const NOW: &str = "2027-04-01T00:00:00Z";
const RHYTHM: Rhythm = Rhythm {
    period: SignedDuration::from_hours(24),
    before: SignedDuration::from_mins(2),
};

fn enrollment(name: &str, created: &str) -> DeviceEnrollment {
    let mut enrollment = DeviceEnrollment::new(name, DeviceEnrollmentSpec::default());
    enrollment.metadata.creation_timestamp = Some(Time(at(created)));
    enrollment
}

// shows C2
#[test]
fn the_oldest_of_two_enrolments_with_one_token_has_it() {
    let (old, young) = (
        enrollment("z", "2027-01-01T00:00:00Z"),
        enrollment("a", "2027-01-02T00:00:00Z"),
    );
    let digest = credential::digest;
    let tokens = || [(&young, digest("one")), (&old, digest("one"))];
    let found =
        |token: &str| enrollment_of(tokens(), &digest(token)).map(kube::ResourceExt::name_any);
    assert_eq!(found("one").as_deref(), Some("z"));
    assert_eq!(found("two"), None);
}

// shows C2
#[test]
fn the_last_day_of_an_enrolment_belongs_to_it_by_utc() {
    for (expires, suspend, now, reason) in [
        (None, false, NOW, None),
        (Some("2027-06-30"), false, "2027-06-30T23:59:59.999Z", None),
        (
            Some("2027-06-30"),
            false,
            "2027-07-01T00:00:00Z",
            Some("EnrollmentExpired"),
        ),
        (Some("2027-06-30"), true, NOW, Some("EnrollmentSuspended")),
        (Some("soon"), false, NOW, Some("EnrollmentExpired")),
        (Some("9999-12-31"), false, NOW, None),
    ] {
        let mut enrollment = enrollment("a", NOW);
        enrollment.spec.expires = expires.map(str::to_owned);
        enrollment.spec.suspend = suspend;
        let found = admits(&enrollment, at(now)).err().map(|it| it.reason());
        assert_eq!(found, reason, "{expires:?} {now}");
    }
}

fn device() -> Device {
    let spec = DeviceSpec {
        serial_number: "A1".to_owned(),
        connections: vec![DeviceConnection {
            name: "gateway".to_owned(),
            ..DeviceConnection::default()
        }],
        ..DeviceSpec::default()
    };
    let mut device = Device::new("mfp", spec);
    device.metadata.uid = Some("uid-1".to_owned());
    device
}

fn twin() -> DeviceTwin {
    let spec = DeviceTwinSpec {
        device_ref: Some(TwinDevice {
            name: "mfp".to_owned(),
            uid: "uid-1".to_owned(),
        }),
        ..DeviceTwinSpec::default()
    };
    let mut twin = DeviceTwin::new("mfp", spec);
    let registration = TwinRegistration {
        printer_id: Some("id-1".to_owned()),
        enrollment: "a".to_owned(),
        region: None,
        at: at("2027-03-01T00:00:00Z"),
        serial_number: "A1".into(),
        product_name: "MFP".into(),
        uuid: None,
        ship_destination: None,
        time_zone: None,
        languages: vec![],
        consent: None,
        last_handled_reregister: None,
    };
    twin.status = Some(DeviceTwinStatus {
        registration: Some(registration),
        credential: Some(credential::first(credential::digest("token"), at(NOW))),
        ..DeviceTwinStatus::default()
    });
    twin
}

fn authenticated(twin: &DeviceTwin, device: Option<&Device>, token: &str) -> bool {
    let sha256 = credential::digest(token);
    authenticate(twin, device, "gateway", &sha256, at(NOW)).is_ok()
}

// shows C17
#[test]
fn a_token_counts_only_while_its_device_is_the_one_that_registered() {
    let (twin, device) = (twin(), device());
    assert!(authenticated(&twin, Some(&device), "token"));
    assert!(!authenticated(&twin, Some(&device), "other"));
    assert!(!authenticated(&twin, None, "token"));
    let changes: [fn(&mut Device); 3] = [
        |it| it.spec.serial_number = "A2".to_owned(),
        |it| it.metadata.uid = Some("uid-2".to_owned()),
        |it| it.spec.connections[0].name = "other".to_owned(),
    ];
    for change in changes {
        let mut other = device.clone();
        change(&mut other);
        assert!(!authenticated(&twin, Some(&other), "token"), "{other:?}");
    }
    let mut pending = twin;
    pending.spec.device_ref = None;
    assert!(!authenticated(&pending, Some(&device), "token"));
}

// shows C17
#[test]
fn a_token_is_for_one_device_only() {
    assert_eq!(owns(&twin(), "id-1"), Ok(()));
    for other in ["id-2", "", "ID-1"] {
        assert_eq!(owns(&twin(), other), Err(Problem::DeviceMismatch));
    }
}

#[test]
fn the_first_use_of_a_token_is_written_and_after_that_a_call_in_half_a_period() {
    let mut twin = twin();
    let called =
        |twin: &DeviceTwin, now: &str| after_call(twin, Standing::Current, RHYTHM, at(now));
    let first = called(&twin, NOW).unwrap();
    assert_eq!(first.last_heard, Some(at(NOW)));
    assert_eq!(first.credential.as_ref().unwrap().used, Some(at(NOW)));
    twin.status = Some(first);
    assert_eq!(called(&twin, "2027-04-01T11:59:59Z"), None);
    let later = called(&twin, "2027-04-01T12:00:00Z").unwrap();
    assert_eq!(later.last_heard, Some(at("2027-04-01T12:00:00Z")));
}

// shows C2
#[test]
fn another_period_is_written_down_with_the_first_call_that_is_told_of_it_and_no_other() {
    let mut twin = twin();
    for (rhythm, seconds) in [
        (RHYTHM, 86_400),
        (
            Rhythm {
                period: SignedDuration::from_mins(1),
                ..RHYTHM
            },
            60,
        ),
        (RHYTHM, 86_400),
    ] {
        let called = |twin: &DeviceTwin| after_call(twin, Standing::Current, rhythm, at(NOW));
        let status = called(&twin).unwrap();
        assert_eq!(status.poll_seconds, Some(seconds));
        twin.status = Some(status);
        assert_eq!(called(&twin), None);
    }
    // One that was heard of before periods were written down is written at its usual time.
    twin.status.as_mut().unwrap().poll_seconds = None;
    assert_eq!(after_call(&twin, Standing::Current, RHYTHM, at(NOW)), None);
}

fn query(parameters: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    parameters.iter().map(owned).collect()
}

// shows C1
#[test]
fn a_withdrawal_is_recorded_once_with_both_clocks_and_also_where_no_consent_was_needed() {
    let mut twin = twin();
    assert_eq!(consents(&twin), Ok(()));
    let parameters = query(&[("by", "Panel"), ("at", "2026-01-01T00:00:00Z")]);
    let status = withdrawn(&twin, &parameters, at(NOW)).unwrap().unwrap();
    twin.status = Some(status.clone());
    let consent = status.registration.unwrap().consent.unwrap();
    assert_eq!(consent.withdrawn, Some(at(NOW)));
    assert_eq!(consent.withdrawn_at, Some(at("2026-01-01T00:00:00Z")));
    assert_eq!(&*consent.text_version, "none");
    assert_eq!(consents(&twin), Err(Problem::ConsentWithdrawn));
    let again = query(&[("by", "Command")]);
    assert_eq!(
        withdrawn(&twin, &again, at("2027-05-01T00:00:00Z")),
        Ok(None)
    );
}

// shows K4
#[test]
fn a_withdrawal_without_a_way_or_with_an_odd_one_is_refused() {
    for (parameters, pointer) in [
        (&[][..], "/by"),
        (&[("by", "panel")], "/by"),
        (&[("by", "Panel"), ("by", "Panel")], "/by"),
        (&[("by", "Panel"), ("at", "now")], "/at"),
    ] {
        let refused = withdrawn(&twin(), &query(parameters), at(NOW)).unwrap_err();
        assert_eq!(refused.body()["errors"][0]["pointer"], pointer);
    }
}
