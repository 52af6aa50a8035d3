//! The proof that the device which answers is the expected one. Nothing is written before that
//! (K4).
//!
//! Each connection is a witness of its own: the identity pinned there when first seen has to be
//! seen again. An answer without it is no usable answer, and never another machine. Called by verify,
//! by the claim and by the device's report.

use entente_crds::{
    condition::Reason,
    v1alpha1::{Device, DeviceConnectionStatus, DeviceFault, DeviceIdentity},
};
use kube::ResourceExt as _;

use crate::delivery::{
    Blocked, DeviceSnapshot, Observations, Reading, ResolvedDevice, digest, known_identity,
};
use crate::names::ConnectionName;
use crate::{
    identity::{Identity, is_product},
    protocol::Place,
    reasons::shows_another_machine,
    remote::DeviceReading,
};

/// Returns the fault of the answer through a connection, if it does not show the expected device:
/// another machine gave it, or it does not say which machine did. Nothing is written then.
pub(in crate::delivery) fn identity_fault(
    snapshot: &DeviceSnapshot,
    resolved: &ResolvedDevice,
    (device, observations): (&Device, &Observations),
    connection: &str,
) -> Option<Blocked> {
    let model = snapshot.model.as_ref()?;
    let reading = answer(observations, connection)?;
    let mismatch = |message: String| Some(Blocked::new(Reason::IdentityMismatch, message));
    if let Some(product) = &reading.product_name
        && !is_product(&model.spec.product_names, product)
    {
        return mismatch(format!(
            "the device says it is a {product}, which is none of the product names of the \
             DeviceModel {}",
            device.spec.model_ref.name
        ));
    }
    if let Some(serial) = reading.serial_number.as_deref()
        && serial != device.spec.serial_number
    {
        // It may be private: a digest tells two apart.
        return mismatch(format!(
            "the device says that it has another serial number, with the digest {}, than \
             spec.serialNumber of the Device {}",
            digest(serial),
            device.name_any()
        ));
    }
    let found = reading.identity.as_deref().and_then(Identity::of);
    if let (Some(named), Some(found)) = (named_beside(snapshot, device, connection), &found)
        && named != *found
    {
        let is_public = resolved
            .endpoint(connection)
            .is_some_and(|it| it.identity.is_a_uuid());
        let [named, found] = [&named, found].map(|it| shown(it, is_public));
        return mismatch(format!(
            "the machine {found} answers through the Connection {connection} in place of {named}, \
             which spec.identity of the Device {} names; correct the address there, or \
             spec.identity",
            device.name_any()
        ));
    }
    if let (Some(pinned), Some(found)) = (pinned_identity(device, connection), found)
        && pinned != found
    {
        let place = resolved.endpoint(connection).map(|it| &it.identity);
        let is_public = place.is_some_and(Place::is_a_uuid);
        return mismatch(another_answers(
            device,
            (connection, is_public),
            (&pinned, &found),
        ));
    }
    hollow(resolved, (device, observations), connection, reading)
}

/// Returns the identity that the spec names, for a connection beside the witness that tells the same
/// attribute of the machine: a printer and the system of its host have identities of their own.
fn named_beside(snapshot: &DeviceSnapshot, device: &Device, connection: &str) -> Option<Identity> {
    let named = device.spec.identity.as_deref().and_then(Identity::of)?;
    let model = snapshot.model.as_ref().map(|model| &model.spec);
    let place = |name: &str| {
        let connection = snapshot.connections.get(name)?;
        Place::of_identity(model, &connection.spec)
    };
    let witness = witness(device).filter(|witness| *witness != connection)?;
    (place(witness)? == place(connection)?).then_some(named)
}

fn shown(identity: &Identity, is_public: bool) -> String {
    // An attribute for UUIDs may hold any text all the same.
    if is_public && identity.is_a_uuid() {
        identity.to_string()
    } else {
        format!("with the digest {}", digest(identity.as_str()))
    }
}

/// Returns the words for another identity than the one that is expected, with the way to accept it.
/// An identity that is no UUID may be private, such as a serial number: a digest tells two apart.
fn another_answers(
    device: &Device,
    (connection, is_public): (&str, bool),
    (pinned, found): (&Identity, &Identity),
) -> String {
    let is_public = is_public && pinned.is_a_uuid() && found.is_a_uuid();
    let shown = |identity: &Identity| shown(identity, is_public);
    let place = if is_public { "" } else { "that " };
    let pinned = format!("{place}{}", shown(pinned));
    let (found, name) = (shown(found), device.name_any());
    let accept = if witness(device) != Some(connection) {
        format!("for a new machine change spec.serialNumber of the Device {name}")
    } else if is_public {
        format!("if it is meant set spec.identity of the Device {name} to {found}")
    } else {
        format!("if it is meant set spec.identity of the Device {name} to what it reports")
    };
    format!("the machine {found} answers in place of {pinned}; {accept}")
}

/// Returns the fault of an answer that lacks what the device is known by. It shows no other
/// machine: some devices leave attributes out while they start.
fn hollow(
    resolved: &ResolvedDevice,
    (device, observations): (&Device, &Observations),
    connection: &str,
    reading: &DeviceReading,
) -> Option<Blocked> {
    let lacks = |what: &str| {
        let message = format!("the answer lacks {what}, by which the device is known");
        Some(Blocked::new(Reason::ProtocolError, message))
    };
    if reading.product_name.is_none()
        && !is_vouched_for(resolved, (device, observations), connection)
    {
        return lacks("the name of the product");
    }
    if reading.identity.is_none() && known_identity(device, connection).is_some() {
        let place = resolved
            .endpoint(connection)
            .map(|it| it.identity.to_string());
        return lacks(place.as_deref().unwrap_or("the identity"));
    }
    None
}

fn answer<'a>(observations: &'a Observations, connection: &str) -> Option<&'a DeviceReading> {
    observations
        .through(connection)
        .reading
        .as_ref()?
        .result
        .as_ref()
        .ok()
}

/// True if a connection through which the product is not told has another one beside it through
/// which it is: that one is judged by it.
fn is_vouched_for(
    resolved: &ResolvedDevice,
    (device, observations): (&Device, &Observations),
    connection: &str,
) -> bool {
    let tells = |name: &str| {
        let endpoint = resolved.endpoint(name);
        endpoint.is_some_and(|endpoint| endpoint.identity.tells_the_product())
    };
    let seen_before = seen(device).is_some_and(|identity| identity.product_name.is_some());
    let told_now = |(name, reading): (&ConnectionName, &Reading<DeviceReading>)| {
        let answered = reading.result.as_ref();
        tells(name) && answered.is_ok_and(|answer| answer.product_name.is_some())
    };
    !tells(connection) && (seen_before || observations.looks().any(told_now))
}

/// Returns the identity first seen of the machine, as long as the spec means the same machine: its
/// serial number, and its identity if it says one.
pub(in crate::delivery) fn seen(device: &Device) -> Option<&DeviceIdentity> {
    let identity = device.status.as_ref()?.identity.as_ref()?;
    let named = device.spec.identity.as_deref().and_then(Identity::of);
    let is_named = named.is_none() || named == identity.id.as_deref().and_then(Identity::of);
    (identity.serial_number == device.spec.serial_number && is_named).then_some(identity)
}

/// Returns the connection that `status.identity` was seen through; where the Device has it no more,
/// its first one.
pub(in crate::delivery) fn witness<'a>(device: &'a Device) -> Option<&'a str> {
    let mut names = device.spec.connections.iter().map(|it| it.name.as_str());
    let seen_through = seen(device).and_then(|identity| identity.connection.as_deref());
    let first: Option<&'a str> = names.clone().next();
    names.find(|name| Some(*name) == seen_through).or(first)
}

/// Returns the memory of a connection in the status, of any machine: its pins hold as long as the
/// spec means the same machine, and its fault until it is used again.
pub(in crate::delivery) fn remembered<'a>(
    device: &'a Device,
    connection: &str,
) -> Option<&'a DeviceConnectionStatus> {
    let status = device.status.as_ref()?;
    let mut all = status.connections.iter();
    all.find(|found| found.name == connection)
}

/// Returns the identity that has to answer through a connection: that of the spec, which is about
/// the witness, else the one seen first there of the machine that the spec means.
pub(in crate::delivery) fn pinned_identity(device: &Device, connection: &str) -> Option<Identity> {
    let is_witness = witness(device) == Some(connection);
    let named = device.spec.identity.as_deref().filter(|_| is_witness);
    let seen = seen(device);
    let pinned = match named {
        Some(named) => Some(named),
        None if is_witness => seen?.id.as_deref(),
        None => seen.and(remembered(device, connection)?.identity.as_deref()),
    };
    pinned.and_then(Identity::of)
}

/// Returns the certificate seen first through a connection, of the machine that the spec means.
pub(in crate::delivery) fn pinned_certificate<'a>(
    device: &'a Device,
    connection: &str,
) -> Option<&'a str> {
    let seen = seen(device)?;
    if witness(device) == Some(connection) {
        return seen.certificate_sha256.as_deref();
    }
    remembered(device, connection)?
        .certificate_sha256
        .as_deref()
}

/// Returns the fault of a connection at its last use: it holds until the connection is used again.
pub(in crate::delivery) fn remembered_fault(device: &Device, connection: &str) -> Option<Blocked> {
    let fault = remembered(device, connection)?.fault.as_ref()?;
    Some(Blocked::new(fault.reason, fault.message.to_string()))
}

/// Returns the fault by which another machine answered through a connection, if the expected one has
/// not answered since.
pub(in crate::delivery) fn remembered_machine(
    device: &Device,
    connection: &str,
) -> Option<DeviceFault> {
    let memory = remembered(device, connection)?;
    let at_last_use = memory.fault.as_ref();
    let shown = at_last_use.filter(|fault| shows_another_machine(fault.reason));
    shown.or(memory.another_machine.as_ref()).cloned()
}

/// True if a fault is not that the device did not answer, but that it must not be used.
pub(in crate::delivery) fn forbids_use(fault: &DeviceFault) -> bool {
    matches!(fault.reason, Reason::IdentityMismatch | Reason::NotAllowed)
}
