//! Tests of the memory of a machine: who is remembered through which connection, and until when.

use entente_crds::{
    condition::Reason,
    example,
    v1alpha1::{Device, DeviceConnectionStatus, DeviceFault, DeviceIdentity},
};

use crate::delivery::verify::identity::{
    forbids_use, pinned_certificate, pinned_identity, remembered, remembered_fault, witness,
};

/// Returns a device with the connections `first` and `second`, first seen through the second.
fn device() -> Device {
    let mut device = example::devices()[0].clone();
    let connection = device.spec.connections[0].clone();
    device.spec.connections = ["first", "second"]
        .map(|name| {
            let mut connection = connection.clone();
            connection.name = name.to_owned();
            connection
        })
        .into();
    let status = device.status.get_or_insert_default();
    status.identity = Some(DeviceIdentity {
        product_name: Some("Northwind MFP 500".to_owned()),
        serial_number: device.spec.serial_number.clone(),
        connection: Some("second".to_owned()),
        id: Some("urn:uuid:2".to_owned()),
        certificate_sha256: Some("c2".to_owned()),
    });
    status.connections = vec![DeviceConnectionStatus {
        name: "first".to_owned(),
        identity: Some("urn:uuid:1".to_owned()),
        certificate_sha256: Some("c1".to_owned()),
        fault: Some(DeviceFault {
            reason: Reason::Unreachable,
            message: "no route".to_owned(),
        }),
    }];
    device
}

fn pins(device: &Device, connection: &str) -> (Option<String>, Option<String>) {
    let owned = |pin: Option<&str>| pin.map(str::to_owned);
    let certificate = pinned_certificate(device, connection);
    (
        owned(pinned_identity(device, connection)),
        owned(certificate),
    )
}

fn pair(identity: &str, certificate: &str) -> (Option<String>, Option<String>) {
    (Some(identity.to_owned()), Some(certificate.to_owned()))
}

// shows K4
#[test]
fn each_connection_has_pins_of_its_own_and_the_witness_has_those_of_the_identity() {
    let device = device();
    assert_eq!(witness(&device), Some("second"));
    assert_eq!(pins(&device, "second"), pair("urn:uuid:2", "c2"));
    assert_eq!(pins(&device, "first"), pair("urn:uuid:1", "c1"));
    assert_eq!(pins(&device, "third"), (None, None));
}

// shows K4
#[test]
fn another_serial_number_is_another_machine_of_which_nothing_is_pinned() {
    let mut device = device();
    device.spec.serial_number.push('9');
    assert_eq!(witness(&device), Some("first"), "as for a new device");
    for connection in ["first", "second"] {
        assert_eq!(pins(&device, connection), (None, None), "{connection}");
    }
    let remembers = remembered(&device, "first").is_some();
    assert!(remembers, "its fault holds until it is used again");
}

// shows K4
#[test]
fn a_witness_that_was_taken_out_of_the_spec_hands_over_to_the_first_with_its_own_pins() {
    let mut device = device();
    device.spec.connections.truncate(1);
    assert_eq!(witness(&device), Some("first"));
    assert_eq!(pins(&device, "first"), pair("urn:uuid:2", "c2"));
    device.spec.connections.clear();
    assert_eq!(witness(&device), None);
}

// shows K4
#[test]
fn a_device_that_was_never_seen_has_its_first_connection_as_witness_and_no_pins() {
    let mut device = device();
    device.status = None;
    assert_eq!(witness(&device), Some("first"));
    assert_eq!(pins(&device, "first"), (None, None));
    assert_eq!(remembered_fault(&device, "first"), None);
}

// shows K2
#[test]
fn a_fault_is_remembered_with_its_words_for_its_connection_alone() {
    let device = device();
    let fault = remembered_fault(&device, "first").expect("it is remembered");
    assert_eq!(
        (fault.reason, fault.message.as_str()),
        (Reason::Unreachable, "no route")
    );
    assert_eq!(fault.until, None);
    assert_eq!(remembered_fault(&device, "second"), None);
}

// shows K4
#[test]
fn who_is_not_the_expected_one_or_not_allowed_may_not_be_used_and_who_is_silent_may() {
    for (reason, forbids) in [
        (Reason::IdentityMismatch, true),
        (Reason::NotAllowed, true),
        (Reason::Unreachable, false),
        (Reason::Unauthorized, false),
        (Reason::CertificateChanged, false),
        (Reason::TimedOut, false),
    ] {
        let fault = DeviceFault {
            reason,
            message: String::new(),
        };
        assert_eq!(forbids_use(&fault), forbids, "{reason:?}");
    }
}
