//! A reading of a twin whose status spells texts with unseen characters as digests.

use entente_crds::{
    example,
    v1alpha1::{SetBy, TwinReported},
};

use super::*;

const UNSEEN: &str = "A1\u{200b}2";

/// Returns a Device and its twin, whose machine has that serial number and reports that value of a setting
/// which it was asked for.
fn device_and_twin(serial_number: &str, reported: &str) -> (Device, DeviceTwin) {
    let mut device = example::devices().remove(0);
    device.metadata.uid = Some("1".to_owned());
    device.spec.serial_number = serial_number.to_owned();
    let spec = DeviceTwinSpec {
        device_ref: Some(TwinDevice {
            name: device.name_any(),
            uid: "1".to_owned(),
        }),
        settings: vec![TwinSetting {
            name: "panel.endpoint".to_owned(),
            value: Some(UNSEEN.to_owned()),
            ..TwinSetting::default()
        }],
        ..DeviceTwinSpec::default()
    };
    let mut twin = DeviceTwin::new(&device.name_any(), spec);
    twin.status = Some(DeviceTwinStatus {
        registration: Some(TwinRegistration {
            serial_number: serial_number.into(),
            at: Timestamp::UNIX_EPOCH,
            ..TwinRegistration::default()
        }),
        reported: Some(TwinReported {
            settings: vec![ReportedSetting {
                name: "panel.endpoint".into(),
                value: Some(reported.into()),
                digest: None,
                by: SetBy::Server,
            }],
            ..TwinReported::default()
        }),
        ..DeviceTwinStatus::default()
    });
    (device, twin)
}

fn read(device: &Device, twin: &DeviceTwin) -> Result<Vec<Scalar>, Failure> {
    let agent = example::gateway().spec.agent.expect("a gateway");
    let model = example::mfp_510().spec;
    let sides = (&agent, &Secrets::default());
    let reading = reading(
        Some(twin),
        device,
        Some(&model),
        sides,
        Timestamp::UNIX_EPOCH,
    )?;
    let place = Place::Agent {
        key: "panel.endpoint".to_owned(),
    };
    Ok(reading.values[&place].clone())
}

// shows C2 K4
#[test]
fn a_serial_number_and_a_value_with_unseen_characters_are_compared_in_one_spelling() {
    let (device, twin) = device_and_twin(UNSEEN, UNSEEN);
    assert_eq!(
        read(&device, &twin).unwrap(),
        [Scalar::Text(UNSEEN.to_owned())],
        "the value that it was asked for is known"
    );
    let (device, twin) = device_and_twin("A1", "A1\u{200b}3");
    let other = read(&device, &twin).unwrap();
    assert_ne!(other, [Scalar::Text(UNSEEN.to_owned())]);
    let (mut device, twin) = device_and_twin(UNSEEN, UNSEEN);
    device.spec.serial_number = "A1\u{200b}3".to_owned();
    let refused = read(&device, &twin).unwrap_err();
    assert_eq!(refused.kind, FailureKind::NotRegistered);
}
