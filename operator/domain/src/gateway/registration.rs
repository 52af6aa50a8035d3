//! The judgement of a registration (C2, C17).
//!
//! Decides from the enrolment, the objects of its namespace and a request which Device a device is, what
//! is written and what is answered. A device is found by its serial number and model, so that an answer
//! that was lost is given again, and a second machine with the serial number of one that is at work gets
//! nothing. It must never decide on a serial number alone, and never write a Device that exists. Called
//! when a device registers, and again on fresh objects when a write lost a race.

mod naming;
mod serial_numbers;

use std::sync::Arc;

use entente_crds::{
    ANNOTATION_REREGISTER,
    v1alpha1::{
        Device, DeviceConnection, DeviceEnrollment, DeviceModel, DeviceSpec, DeviceTwin,
        DeviceTwinStatus, EnrollmentMode, NameReference, TwinRegistration, TwinReported,
    },
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

pub use self::naming::{pending_name, printer_id, registration_id};
pub use self::serial_numbers::pattern_fault;
use super::{admission, credential, problem::Problem, request::Request};
use crate::{
    delivery::twin::{is_machine_of, is_of},
    identity::is_product,
};

/// Seconds after which a device asks for a registration that waits for a person.
pub const ASK_AGAIN: u32 = 30;
/// The same in the first minute: who enters a device often stands before it, and a cache may be behind.
pub const ASK_AT_FIRST: u32 = 5;
/// Seconds after which a device asks for a registration that waits for the operator.
pub const ASK_SOON: u32 = 2;
/// The most registrations of an enrolment that wait: a token alone makes no more objects.
pub const MOST_PENDING: usize = 256;
/// Time zone of a template that stands for that of the device.
pub const FROM_DEVICE: &str = "FromDevice";

/// Objects that a registration is judged by.
pub struct Scene<'a> {
    /// The enrolment, which takes registrations now.
    pub enrollment: &'a DeviceEnrollment,
    /// The Devices of its namespace with the serial number.
    pub devices: Vec<Arc<Device>>,
    /// Every DeviceModel.
    pub models: Vec<Arc<DeviceModel>>,
    /// Number of devices that are registered by the enrolment.
    pub registered: usize,
    /// Number of its registrations that wait.
    pub pending: usize,
    /// Returns the Device of a name in the namespace.
    pub device_named: &'a dyn Fn(&str) -> Option<Arc<Device>>,
    /// Returns the twin of a name in the namespace.
    pub twin_named: &'a dyn Fn(&str) -> Option<Arc<DeviceTwin>>,
}

/// Parts of a registration that come from the gateway and not from the device.
#[derive(Clone, Debug)]
pub struct Issue<'a> {
    /// The SHA-256 of the token that the device gets.
    pub sha256: &'a str,
    /// Region of the gateway.
    pub region: &'a str,
    /// The instant of the request.
    pub now: Timestamp,
}

/// Result of a judgement.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is refused.
    Refuse(Problem),
    /// It waits for a person: a twin of this name keeps it.
    Pend {
        /// Name of the twin.
        name: String,
        /// The twin that it was judged on; none if there is none yet.
        twin: Option<Arc<DeviceTwin>>,
        /// Status of the twin.
        status: Box<DeviceTwinStatus>,
        /// Seconds after which the device asks for it.
        interval: u32,
    },
    /// A Device is made for it; then it is judged again.
    Make(Box<Device>),
    /// It waits for the operator, which has not made the twin of this Device yet.
    Await {
        /// Name of the Device.
        device: String,
    },
    /// It is registered as this Device: the status of the twin is written, and then the token is
    /// answered.
    Register {
        /// Name of the Device.
        device: String,
        /// The twin that it was judged on.
        twin: Arc<DeviceTwin>,
        /// The id under which it calls.
        printer_id: String,
        /// Status of the twin.
        status: Box<DeviceTwinStatus>,
    },
}

/// Judges a registration.
pub fn judge(scene: &Scene<'_>, request: &Request, issue: &Issue<'_>) -> Verdict {
    let spec = &scene.enrollment.spec;
    if !serial_numbers::admit(spec.serial_numbers.as_ref(), &request.serial_number) {
        return Verdict::Refuse(Problem::SerialNumberNotAllowed);
    }
    let candidates = scene.devices.iter();
    let candidates: Vec<&Arc<Device>> = candidates
        .filter(|device| is_of_product(device, scene, request))
        .collect();
    match candidates[..] {
        [device] => bind(scene, request, issue, device),
        [] => without_device(scene, request, issue),
        _ => Verdict::Refuse(Problem::SerialNumberAmbiguous),
    }
}

/// True if a Device is of a model that has the product and manufacturer of a request.
fn is_of_product(device: &Device, scene: &Scene<'_>, request: &Request) -> bool {
    let of_device = |model: &&Arc<DeviceModel>| model.name_any() == device.spec.model_ref.name;
    let model = scene.models.iter().find(of_device);
    model.is_some_and(|model| {
        fits(
            model,
            &request.product_name,
            request.manufacturer.as_deref(),
        )
        .is_some()
    })
}

fn bind(scene: &Scene<'_>, request: &Request, issue: &Issue<'_>, device: &Device) -> Verdict {
    let connection = &scene.enrollment.spec.connection_ref.name;
    let is_going = device.metadata.deletion_timestamp.is_some();
    if is_going || !admission::calls(device, connection) {
        return pend(scene, request, issue);
    }
    let name = device.name_any();
    let twin = (scene.twin_named)(&name).filter(|twin| is_of(twin, device));
    let Some(twin) = twin else {
        return Verdict::Await { device: name };
    };
    let before = registered(&twin).filter(|it| is_machine_of(it, device));
    let asked = device.annotations().get(ANNOTATION_REREGISTER);
    if before.is_some_and(|before| is_at_work(&twin) && !is_permitted(before, asked)) {
        return Verdict::Refuse(Problem::AlreadyRegistered);
    }
    let is_counted = before.is_some_and(|it| it.enrollment == scene.enrollment.name_any());
    if !is_counted && let Some(refused) = refuse_if_full(scene) {
        return refused;
    }
    let namespace = device.namespace().unwrap_or_default();
    let printer_id = printer_id(&namespace, &name, &request.serial_number);
    let mut registration = registration(scene, request, issue);
    registration.printer_id = Some(printer_id.clone());
    registration.last_handled_reregister = asked.map(|it| it.as_str().into());
    let before = before.and(twin.status.as_ref());
    let local = before.map(|status| status.local.clone());
    let status = DeviceTwinStatus {
        registration: Some(registration),
        credential: Some(credential::first(issue.sha256.to_owned(), issue.now)),
        capabilities: Some(request.capabilities.clone()),
        // Its words on switches stay until it says something else.
        local: local.unwrap_or_default(),
        reported: Some(TwinReported {
            software: request.software.clone(),
            ..TwinReported::default()
        }),
        last_heard: Some(issue.now),
        poll_seconds: None,
        // A device that registers anew knows of no installation, and of no secret.
        deployment: None,
        // Those that it still has it raises anew.
        errors: Vec::new(),
        artifact: None,
        given: Vec::new(),
        // The device has read no document yet, also one that registers anew.
        observed_generation: None,
    };
    Verdict::Register {
        device: name,
        twin,
        printer_id,
        status: Box::new(status),
    }
}

fn registered(twin: &DeviceTwin) -> Option<&TwinRegistration> {
    let registration = twin.status.as_ref()?.registration.as_ref()?;
    registration.printer_id.is_some().then_some(registration)
}

/// True if the device of a twin has used its credential.
fn is_at_work(twin: &DeviceTwin) -> bool {
    let credential = twin.status.as_ref().and_then(|it| it.credential.as_ref());
    credential.is_some_and(credential::was_used)
}

/// True if a device may register anew although it is at work: its owner withdrew the consent, or a person
/// permitted it since.
fn is_permitted(before: &TwinRegistration, asked: Option<&String>) -> bool {
    let handled = before.last_handled_reregister.as_ref();
    let asked = asked.filter(|it| !it.is_empty());
    admission::is_withdrawn(before) || asked.is_some_and(|it| handled != Some(&it.as_str().into()))
}

/// Decides where no Device has serial number and model.
fn without_device(scene: &Scene<'_>, request: &Request, issue: &Issue<'_>) -> Verdict {
    let is_another_at_work = scene.devices.iter().any(|device| {
        let twin = (scene.twin_named)(&device.name_any());
        let twin = twin.filter(|twin| is_of(twin, device));
        twin.is_some_and(|twin| {
            let registration = registered(&twin);
            registration.is_some_and(|it| is_machine_of(it, device)) && is_at_work(&twin)
        })
    });
    if is_another_at_work {
        return Verdict::Refuse(Problem::AlreadyRegistered);
    }
    let spec = &scene.enrollment.spec;
    // A Device of another model has the serial number: a person corrects one of them.
    if spec.mode == EnrollmentMode::BindOnly || !scene.devices.is_empty() {
        return pend(scene, request, issue);
    }
    if let Some(refused) = refuse_if_full(scene) {
        return refused;
    }
    make(scene, request)
}

fn refuse_if_full(scene: &Scene<'_>) -> Option<Verdict> {
    let most = usize::try_from(scene.enrollment.spec.max_devices?).unwrap_or_default();
    (scene.registered >= most).then_some(Verdict::Refuse(Problem::EnrollmentFull(most)))
}

/// Returns the Device of a template.
fn make(scene: &Scene<'_>, request: &Request) -> Verdict {
    let enrollment = scene.enrollment;
    let models = scene.models.iter().map(Arc::as_ref);
    let manufacturer = request.manufacturer.as_deref();
    let model = model_of(models, &request.product_name, manufacturer);
    let template = enrollment.spec.template.as_ref();
    // The API server refuses mode Create without a template, and a model was found with the request.
    let (Some(model), Some(template)) = (model, template) else {
        return Verdict::Refuse(Problem::EnrollmentSuspended);
    };
    let time_zone = template.time_zone.as_deref().map(|zone| match zone {
        FROM_DEVICE => request.time_zone.clone(),
        zone => zone.to_owned(),
    });
    let serial_number = &request.serial_number;
    let is_taken = |name: &str| {
        let device = (scene.device_named)(name);
        device.is_some_and(|device| device.spec.serial_number != *serial_number)
    };
    let name = naming::device_name(&template.name_prefix, serial_number, is_taken);
    let spec = DeviceSpec {
        model_ref: NameReference {
            name: model.name_any(),
        },
        serial_number: serial_number.clone(),
        connections: vec![DeviceConnection {
            name: enrollment.spec.connection_ref.name.clone(),
            ..DeviceConnection::default()
        }],
        time_zone,
        ..DeviceSpec::default()
    };
    let mut device = Device::new(&name, spec);
    device.metadata.namespace = enrollment.namespace();
    let labels = &template.labels;
    device.metadata.labels = (!labels.is_empty()).then(|| labels.clone());
    Verdict::Make(Box::new(device))
}

/// Keeps a registration that waits for a person.
fn pend(scene: &Scene<'_>, request: &Request, issue: &Issue<'_>) -> Verdict {
    let name = pending_name(&request.serial_number);
    let before = (scene.twin_named)(&name);
    if before.is_none() && scene.pending >= MOST_PENDING {
        return Verdict::Refuse(Problem::EnrollmentFull(MOST_PENDING));
    }
    let mut registration = registration(scene, request, issue);
    let status = before.as_ref().and_then(|twin| twin.status.clone());
    if let Some(first) = status.as_ref().and_then(|it| it.registration.as_ref()) {
        // It has waited since it first called, and says the same: nothing to write.
        registration.at = first.at;
    }
    Verdict::Pend {
        name,
        twin: before,
        interval: interval(&registration, issue.now),
        status: Box::new(DeviceTwinStatus {
            registration: Some(registration),
            ..status.unwrap_or_default()
        }),
    }
}

fn registration(scene: &Scene<'_>, request: &Request, issue: &Issue<'_>) -> TwinRegistration {
    TwinRegistration {
        printer_id: None,
        enrollment: scene.enrollment.name_any(),
        region: Some(issue.region.to_owned()),
        at: issue.now,
        serial_number: request.serial_number.as_str().into(),
        product_name: request.product_name.as_str().into(),
        uuid: request.uuid.as_deref().map(Into::into),
        ship_destination: Some(request.ship_destination.as_str().into()),
        time_zone: Some(request.time_zone.as_str().into()),
        languages: request
            .languages
            .iter()
            .map(|it| it.as_str().into())
            .collect(),
        consent: request.consent.clone(),
        last_handled_reregister: None,
    }
}

/// Returns the model of a product: of several the one that names it most exactly.
pub fn model_of<'m>(
    models: impl IntoIterator<Item = &'m DeviceModel>,
    product: &str,
    manufacturer: Option<&str>,
) -> Option<&'m DeviceModel> {
    let fitting = models
        .into_iter()
        .filter_map(|model| Some((fits(model, product, manufacturer)?, model)));
    let best =
        fitting.min_by_key(|(exactness, model)| (std::cmp::Reverse(*exactness), model.name_any()));
    best.map(|(_, model)| model)
}

/// Returns the exactness with which a model names a product of a manufacturer; `None` if it does not. The whole name
/// is more exact than any beginning of it.
fn fits(model: &DeviceModel, product: &str, manufacturer: Option<&str>) -> Option<usize> {
    let is_maker = manufacturer.is_none_or(|it| it.trim() == model.spec.manufacturer.trim());
    if !is_maker {
        return None;
    }
    let names = model.spec.product_names.iter();
    let fitting = names.filter(|name| is_product(std::slice::from_ref(*name), product));
    fitting
        .map(|name| {
            let name = name.trim();
            name.strip_suffix('*').map_or(usize::MAX, str::len)
        })
        .max()
}

/// State of a registration that waits, for those who ask for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Waiting {
    /// It waits for a person, or for the operator if that is soon.
    Pending {
        /// Seconds after which to ask again.
        interval: u32,
    },
    /// The same registration would be answered with a credential now.
    Ready,
}

/// Returns the state of the registration with this id; `None` if none waits. `devices` are those of the
/// namespace of the enrolment.
pub fn waiting(
    id: &str,
    scene: &Scene<'_>,
    devices: impl IntoIterator<Item = Arc<Device>>,
    now: Timestamp,
) -> Option<Waiting> {
    let spec = &scene.enrollment.spec;
    let enrollment = scene.enrollment.name_any();
    let pending = (scene.twin_named)(&format!("{}{id}", naming::PENDING));
    let pending = pending.and_then(|twin| twin.status.clone()?.registration);
    let pending = pending.filter(|it| it.enrollment == enrollment);
    let has_number = |device: &Arc<Device>| {
        let serial_number = &device.spec.serial_number;
        registration_id(serial_number) == id
            && serial_numbers::admit(spec.serial_numbers.as_ref(), serial_number)
    };
    let is_it = |device: &&Arc<Device>| {
        device.metadata.deletion_timestamp.is_none()
            && admission::calls(device, &spec.connection_ref.name)
            && pending
                .as_ref()
                .is_none_or(|it| has_product(device, scene, &it.product_name))
    };
    let devices: Vec<Arc<Device>> = devices.into_iter().filter(has_number).collect();
    let mut found = devices.iter().filter(is_it);
    let (Some(device), None) = (found.next(), found.next()) else {
        // A Device is made for it by the same registration, now that its enrolment says so.
        let is_made = devices.is_empty() && spec.mode == EnrollmentMode::Create;
        return pending.map(|it| {
            if is_made {
                Waiting::Ready
            } else {
                let interval = interval(&it, now);
                Waiting::Pending { interval }
            }
        });
    };
    let twin = (scene.twin_named)(&device.name_any());
    match twin.filter(|twin| is_of(twin, device)) {
        None => Some(Waiting::Pending { interval: ASK_SOON }),
        Some(twin) => {
            let before = registered(&twin).filter(|it| is_machine_of(it, device));
            let asked = device.annotations().get(ANNOTATION_REREGISTER);
            let is_free =
                before.is_none_or(|before| !is_at_work(&twin) || is_permitted(before, asked));
            is_free.then_some(Waiting::Ready)
        }
    }
}

/// Returns the seconds after which a device asks for a registration that waits for a person.
fn interval(waits: &TwinRegistration, now: Timestamp) -> u32 {
    if now.duration_since(waits.at) < SignedDuration::from_mins(1) {
        ASK_AT_FIRST
    } else {
        ASK_AGAIN
    }
}

fn has_product(device: &Device, scene: &Scene<'_>, product: &str) -> bool {
    let mut models = scene.models.iter();
    let model = models.find(|model| model.name_any() == device.spec.model_ref.name);
    model.is_some_and(|model| is_product(&model.spec.product_names, product))
}

#[cfg(test)]
mod tests;
