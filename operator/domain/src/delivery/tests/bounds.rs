//! Tests that the status of a device fits its schema, whatever remote sides answer (K7).

use entente_crds::{
    ANNOTATION_RECONCILE_AT,
    v1alpha1::{Device, DeviceConnection, DeviceModel, DeviceModelSpec, DeviceSpec},
};
use jiff::Timestamp;
use kube::ResourceExt as _;
use std::collections::BTreeMap;

use crate::{
    delivery::{
        DeviceSnapshot, Observations, is_reconcile_requested, report::device::report_device,
        resolve::resolve,
    },
    remote::DeviceReading,
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn snapshot(wish: &str) -> DeviceSnapshot {
    let mut device = Device::new("lobby", DeviceSpec::default());
    device.spec.address = Some("10.0.0.1".to_owned());
    device.spec.connections = vec![DeviceConnection::default()];
    let annotations = device.annotations_mut();
    annotations.insert(ANNOTATION_RECONCILE_AT.to_owned(), wish.to_owned());
    DeviceSnapshot {
        device: Some(device.into()),
        model: Some(DeviceModel::new("model", DeviceModelSpec::default()).into()),
        ..DeviceSnapshot::default()
    }
}

// shows K4
#[test]
fn who_a_machine_is_has_no_character_that_a_reader_cannot_see() {
    let said = |identity: &str, product: &str| {
        let reading = DeviceReading {
            identity: Some(identity.to_owned()),
            product_name: Some(product.to_owned()),
            ..DeviceReading::default()
        };
        let mut observations = Observations::default();
        observations.record_device(&"".into(), Ok(reading), NOW);
        let reading = observations.through("").reading.as_ref();
        let reading = reading.and_then(|it| it.result.as_ref().ok());
        let reading = reading.expect("it was recorded").clone();
        (reading.identity, reading.product_name)
    };
    let (identity, product) = said("\u{feff}SN-1\0", "\u{200b} NW\u{202e} MFP\n500 \u{1b}");
    assert_eq!(identity.as_deref(), Some("SN-1"));
    assert_eq!(product.as_deref(), Some("NW MFP 500"));
    let (inside, none) = said("SN\u{202e}-1", "\u{200b}");
    let digest = inside.expect("it is one, and another than without");
    assert!(digest.starts_with("sha256:"), "{digest}");
    assert_eq!(none, None);
}

// shows K7
#[test]
fn the_status_of_a_device_fits_whatever_the_device_and_people_say() {
    let odd = [
        "x".repeat(20_480),
        "é\u{202e}\u{1}".repeat(7_000),
        "y".repeat(128),
    ];
    for text in odd {
        let snapshot = snapshot(&text);
        let device = snapshot.device.clone().expect("it is there");
        let reading = DeviceReading {
            identity: Some(text.clone()),
            product_name: Some(text.clone()),
            ..DeviceReading::default()
        };
        let mut observations = Observations::default();
        observations.record_device(&"".into(), Ok(reading), NOW);
        let resolved = resolve(&snapshot, NOW);
        let nothing = BTreeMap::new();
        let (status, _) = report_device(
            &snapshot,
            &device,
            &resolved,
            &BTreeMap::new(),
            &nothing,
            &observations,
            NOW,
        );
        let handled = status
            .last_handled_reconcile_at
            .clone()
            .expect("it was acted on");
        assert!(handled.chars().count() <= 64);
        let reading = observations
            .through("")
            .reading
            .as_ref()
            .expect("it was read");
        let reading = reading.result.as_ref();
        let reading = reading.expect("it answered");
        for said in [&reading.identity, &reading.product_name] {
            let length = said.as_ref().map_or(0, |said| said.chars().count());
            assert!((1..=127).contains(&length), "{length}");
        }
        for condition in &status.conditions {
            assert!(condition.message.chars().count() <= 1_024);
        }
        let handled = Device {
            status: Some(status),
            ..(*device).clone()
        };
        assert!(is_reconcile_requested(&device) && !is_reconcile_requested(&handled));
    }
}
