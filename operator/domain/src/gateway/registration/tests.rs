use std::collections::BTreeMap;

use super::*;
use entente_crds::v1alpha1::{
    ConsentWay, DeviceCapabilities, DeviceEnrollmentSpec, DeviceModelSpec, DeviceTemplate,
    DeviceTwinSpec, SerialNumbers, TwinConsent, TwinDevice,
};

/// A namespace with its objects, and the writes of a gateway.
#[derive(Clone, Default)]
struct Namespace {
    enrollment: DeviceEnrollmentSpec,
    models: Vec<DeviceModel>,
    devices: BTreeMap<String, Device>,
    twins: BTreeMap<String, DeviceTwin>,
    clock: i64,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn model(name: &str, manufacturer: &str, products: &[&str]) -> DeviceModel {
    let spec = DeviceModelSpec {
        manufacturer: manufacturer.to_owned(),
        product_names: products.iter().map(|it| (*it).to_owned()).collect(),
        ..DeviceModelSpec::default()
    };
    DeviceModel::new(name, spec)
}

fn request(serial_number: &str) -> Request {
    Request {
        serial_number: serial_number.to_owned(),
        product_name: "MFP 500".to_owned(),
        manufacturer: None,
        uuid: None,
        ship_destination: "JP".to_owned(),
        time_zone: "Asia/Tokyo".to_owned(),
        languages: vec!["ja".to_owned()],
        software: vec![],
        capabilities: DeviceCapabilities {
            ddi: true,
            ..DeviceCapabilities::default()
        },
        consent: Some(TwinConsent {
            by: ConsentWay::Panel,
            at: at(-86_400 * 365),
            text_version: "1".into(),
            withdrawn: None,
            withdrawn_by: None,
            withdrawn_at: None,
        }),
    }
}

impl Namespace {
    fn new() -> Self {
        let mut enrollment = DeviceEnrollmentSpec::default();
        enrollment.connection_ref.name = "gateway".to_owned();
        Self {
            enrollment,
            models: vec![model("mfp", "Northwind", &["MFP *"])],
            ..Self::default()
        }
    }

    fn creating() -> Self {
        let mut namespace = Self::new();
        namespace.enrollment.mode = EnrollmentMode::Create;
        namespace.enrollment.template = Some(DeviceTemplate {
            name_prefix: "acme-".to_owned(),
            labels: [("contract".to_owned(), "acme-2027".to_owned())].into(),
            time_zone: Some(FROM_DEVICE.to_owned()),
        });
        namespace
    }

    /// Adds a Device, and its twin as the operator makes it.
    fn add(&mut self, name: &str, serial_number: &str) -> &mut Device {
        let mut spec = DeviceSpec {
            serial_number: serial_number.to_owned(),
            connections: vec![DeviceConnection {
                name: "gateway".to_owned(),
                ..DeviceConnection::default()
            }],
            ..DeviceSpec::default()
        };
        spec.model_ref.name = "mfp".to_owned();
        let mut device = Device::new(name, spec);
        device.metadata.namespace = Some("acme".to_owned());
        device.metadata.uid = Some(format!("uid-of-{name}"));
        self.devices.insert(name.to_owned(), device);
        self.make_twin(name);
        self.devices.get_mut(name).unwrap()
    }

    fn make_twin(&mut self, name: &str) {
        let spec = DeviceTwinSpec {
            device_ref: Some(TwinDevice {
                name: name.to_owned(),
                uid: format!("uid-of-{name}"),
            }),
            ..DeviceTwinSpec::default()
        };
        self.twins
            .insert(name.to_owned(), DeviceTwin::new(name, spec));
    }

    fn with_scene<T>(&self, look: impl FnOnce(&Scene<'_>, &str) -> T, serial_number: &str) -> T {
        let mut enrollment = DeviceEnrollment::new("acme-2027", self.enrollment.clone());
        enrollment.metadata.namespace = Some("acme".to_owned());
        let of_enrollment = |is_pending: bool| {
            let twins = self.twins.iter();
            let registered = twins.filter(|(name, twin)| {
                let status = twin.status.as_ref();
                let registration = status.and_then(|it| it.registration.as_ref());
                registration.is_some_and(|it| it.enrollment == "acme-2027")
                    && name.starts_with("pending-") == is_pending
            });
            registered.count()
        };
        let devices = self.devices.values();
        let scene = Scene {
            enrollment: &enrollment,
            devices: devices
                .filter(|it| it.spec.serial_number == serial_number)
                .map(|it| Arc::new(it.clone()))
                .collect(),
            models: self.models.iter().cloned().map(Arc::new).collect(),
            registered: of_enrollment(false),
            pending: of_enrollment(true),
            device_named: &|name| self.devices.get(name).cloned().map(Arc::new),
            twin_named: &|name| self.twins.get(name).cloned().map(Arc::new),
        };
        look(&scene, serial_number)
    }

    fn judge(&self, request: &Request, token: &str) -> Verdict {
        let issue = Issue {
            sha256: token,
            region: "eu",
            now: at(self.clock),
        };
        let judged = |scene: &Scene<'_>, _: &str| judge(scene, request, &issue);
        self.with_scene(judged, &request.serial_number)
    }

    /// Judges and writes, as the gateway does.
    fn register(&mut self, request: &Request, token: &str) -> Verdict {
        self.clock += 1;
        let verdict = self.judge(request, token);
        match &verdict {
            Verdict::Register { device, status, .. } => {
                self.twins.get_mut(device).unwrap().status = Some((**status).clone());
            }
            Verdict::Pend { name, status, .. } => {
                let twin = DeviceTwin::new(name, DeviceTwinSpec::default());
                let twin = self.twins.entry(name.clone()).or_insert(twin);
                twin.status = Some((**status).clone());
            }
            Verdict::Make(device) => {
                let name = device.name_any();
                let mut device = (**device).clone();
                device.metadata.uid = Some(format!("uid-of-{name}"));
                self.devices.insert(name, device);
                return self.register(request, token);
            }
            _ => {}
        }
        verdict
    }

    fn use_token(&mut self, name: &str) {
        let status = self.twins.get_mut(name).unwrap().status.as_mut().unwrap();
        status.credential.as_mut().unwrap().used = Some(at(self.clock));
    }

    fn waiting(&self, serial_number: &str) -> Option<Waiting> {
        let id = registration_id(serial_number);
        let all = self.devices.values().cloned().map(Arc::new);
        let now = at(self.clock);
        self.with_scene(|scene, _| waiting(&id, scene, all, now), serial_number)
    }
}

fn reason(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Refuse(problem) => problem.reason(),
        Verdict::Pend { .. } => "Pend",
        Verdict::Make(_) => "Make",
        Verdict::Await { .. } => "Await",
        Verdict::Register { .. } => "Register",
    }
}

fn id(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Register { printer_id, .. } => printer_id,
        other => panic!("{other:?}"),
    }
}

// shows C2 C17
#[test]
fn a_registration_whose_answer_was_lost_gives_the_same_id_and_a_new_token() {
    let mut acme = Namespace::new();
    acme.add("lobby-mfp", "A1");
    let first = acme.register(&request("A1"), "token-1");
    let again = acme.register(&request("A1"), "token-2");
    assert_eq!(id(&first), id(&again));
    let status = acme.twins["lobby-mfp"].status.clone().unwrap();
    assert_eq!(status.credential.unwrap().sha256, "token-2");
    let registration = status.registration.unwrap();
    assert_eq!(registration.at, at(2), "by the clock of the gateway");
    assert_eq!(registration.consent.unwrap().at, at(-86_400 * 365));
}

// shows C2 C17
#[test]
fn a_second_machine_with_the_serial_number_of_one_at_work_gets_nothing() {
    let mut acme = Namespace::new();
    acme.add("lobby-mfp", "A1");
    let first = acme.register(&request("A1"), "token-1");
    acme.use_token("lobby-mfp");
    let before = acme.twins.clone();
    assert_eq!(
        reason(&acme.register(&request("A1"), "token-2")),
        "AlreadyRegistered"
    );
    let mut other = request("A1");
    other.product_name = "Fax 1".to_owned();
    acme.models.push(model("fax", "Northwind", &["Fax 1"]));
    assert_eq!(
        reason(&acme.register(&other, "token-2")),
        "AlreadyRegistered"
    );
    assert_eq!(acme.twins, before);

    let device = acme.devices.get_mut("lobby-mfp").unwrap();
    device
        .annotations_mut()
        .insert(ANNOTATION_REREGISTER.to_owned(), "2027-04-01".to_owned());
    let permitted = acme.register(&request("A1"), "token-3");
    assert_eq!(id(&permitted), id(&first));
    acme.use_token("lobby-mfp");
    assert_eq!(
        reason(&acme.register(&request("A1"), "token-4")),
        "AlreadyRegistered",
        "once"
    );
}

// shows C1 C2
#[test]
fn after_a_withdrawal_a_device_registers_anew_with_the_same_id() {
    let mut acme = Namespace::new();
    acme.add("lobby-mfp", "A1");
    let first = acme.register(&request("A1"), "token-1");
    acme.use_token("lobby-mfp");
    let status = acme
        .twins
        .get_mut("lobby-mfp")
        .unwrap()
        .status
        .as_mut()
        .unwrap();
    let consent = status
        .registration
        .as_mut()
        .unwrap()
        .consent
        .as_mut()
        .unwrap();
    consent.withdrawn = Some(at(5));
    let again = acme.register(&request("A1"), "token-2");
    assert_eq!(id(&first), id(&again));
    let Verdict::Register { status, .. } = again else {
        panic!("{again:?}");
    };
    assert_eq!(
        status.registration.unwrap().consent.unwrap().withdrawn,
        None
    );
}

// shows C2
#[test]
fn without_a_device_it_waits_until_a_person_makes_one_and_the_operator_its_twin() {
    let mut acme = Namespace::new();
    assert_eq!(acme.waiting("A1"), None);
    let Verdict::Pend { name, status, .. } = acme.register(&request("A1"), "t") else {
        panic!("it waits");
    };
    assert_eq!(name, pending_name("A1"));
    assert_eq!(status.credential, None);
    let asks = |interval| Some(Waiting::Pending { interval });
    assert_eq!(acme.waiting("A1"), asks(ASK_AT_FIRST));
    acme.clock += 60;
    assert_eq!(acme.waiting("A1"), asks(ASK_AGAIN));
    let before = acme.twins.clone();
    acme.register(&request("A1"), "t");
    assert_eq!(acme.twins, before, "the same again writes nothing");

    acme.add("lobby-mfp", "A1");
    let twin = acme.twins.remove("lobby-mfp").unwrap();
    assert_eq!(reason(&acme.register(&request("A1"), "t")), "Await");
    assert_eq!(acme.waiting("A1"), asks(ASK_SOON));
    acme.twins.insert("lobby-mfp".to_owned(), twin);
    assert_eq!(acme.waiting("A1"), Some(Waiting::Ready));
    assert_eq!(reason(&acme.register(&request("A1"), "t")), "Register");
    acme.use_token("lobby-mfp");
    assert_eq!(acme.waiting("A1"), None, "it waits no more");
}

#[test]
fn a_device_of_another_model_or_without_the_connection_or_of_another_uid_is_not_it() {
    let mut acme = Namespace::new();
    acme.models.push(model("fax", "Northwind", &["Fax 1"]));
    acme.add("lobby-mfp", "A1").spec.model_ref.name = "fax".to_owned();
    assert_eq!(reason(&acme.judge(&request("A1"), "t")), "Pend");
    acme.add("lobby-mfp", "A1").spec.connections[0].name = "ipp".to_owned();
    assert_eq!(reason(&acme.judge(&request("A1"), "t")), "Pend");
    assert_eq!(acme.waiting("A1"), None);
    acme.add("lobby-mfp", "A1").metadata.uid = Some("made anew".to_owned());
    assert_eq!(reason(&acme.judge(&request("A1"), "t")), "Await");
    acme.add("lobby-mfp", "A1");
    acme.add("attic-mfp", "A1");
    assert_eq!(
        reason(&acme.judge(&request("A1"), "t")),
        "SerialNumberAmbiguous"
    );
    let mut other = request("A1");
    other.manufacturer = Some("Southwind".to_owned());
    assert_eq!(reason(&acme.judge(&other, "t")), "Pend");
}

// shows C2
#[test]
fn with_mode_create_a_device_is_made_once_from_the_template() {
    let mut acme = Namespace::creating();
    let Verdict::Make(device) = acme.judge(&request("A_1"), "t") else {
        panic!("it is made");
    };
    assert_eq!(device.name_any(), "acme-a-1");
    assert_eq!(device.namespace().as_deref(), Some("acme"));
    assert_eq!(device.labels()["contract"], "acme-2027");
    assert_eq!(device.spec.serial_number, "A_1");
    assert_eq!(device.spec.model_ref.name, "mfp");
    assert_eq!(device.spec.connections[0].name, "gateway");
    assert_eq!(device.spec.time_zone.as_deref(), Some("Asia/Tokyo"));
    assert_eq!(reason(&acme.register(&request("A_1"), "t")), "Await");
    assert_eq!(reason(&acme.register(&request("A_1"), "t")), "Await");
    assert_eq!(acme.devices.len(), 1);
    acme.make_twin("acme-a-1");
    assert_eq!(reason(&acme.register(&request("A_1"), "t")), "Register");
    // Another serial number with the same spelling has another name.
    acme.register(&request("A-1"), "t");
    assert_eq!(acme.devices.len(), 2, "{:?}", acme.devices.keys());
}

// shows C2
#[test]
fn an_enrolment_has_as_many_devices_as_it_may_have() {
    let mut acme = Namespace::creating();
    acme.enrollment.max_devices = Some(1);
    acme.add("one", "A1");
    acme.add("two", "A2");
    assert_eq!(reason(&acme.register(&request("A1"), "t")), "Register");
    assert_eq!(
        reason(&acme.register(&request("A1"), "t")),
        "Register",
        "itself"
    );
    assert_eq!(
        reason(&acme.register(&request("A2"), "t")),
        "EnrollmentFull"
    );
    assert_eq!(
        reason(&acme.register(&request("A3"), "t")),
        "EnrollmentFull"
    );
    assert_eq!(acme.devices.len(), 2);
}

// shows C2 K5
#[test]
fn a_token_alone_makes_a_bounded_number_of_objects() {
    let mut acme = Namespace::new();
    for number in 0..MOST_PENDING {
        assert_eq!(
            reason(&acme.register(&request(&format!("A{number}")), "t")),
            "Pend"
        );
    }
    assert_eq!(reason(&acme.register(&request("B"), "t")), "EnrollmentFull");
    assert_eq!(reason(&acme.register(&request("A0"), "t")), "Pend");
}

#[test]
fn a_serial_number_that_is_not_listed_is_refused() {
    let mut acme = Namespace::creating();
    acme.enrollment.serial_numbers = Some(SerialNumbers {
        pattern: Some("A[0-9]".to_owned()),
        ..SerialNumbers::default()
    });
    assert_eq!(reason(&acme.judge(&request("A1"), "t")), "Make");
    assert_eq!(
        reason(&acme.judge(&request("A12"), "t")),
        "SerialNumberNotAllowed"
    );
}

#[test]
fn of_several_models_the_one_that_names_the_product_most_exactly_has_it() {
    let models = [
        model("a", "Northwind", &["MFP *"]),
        model("b", "Northwind", &["Other", "MFP 5*"]),
        model("c", "Northwind", &["MFP 500"]),
        model("d", "Southwind", &["MFP 500"]),
    ];
    let found = |product: &str, manufacturer| {
        model_of(&models, product, manufacturer).map(kube::ResourceExt::name_any)
    };
    assert_eq!(found("MFP 500", None).as_deref(), Some("c"));
    assert_eq!(found("MFP 500", Some("Southwind")).as_deref(), Some("d"));
    assert_eq!(found("MFP 510", None).as_deref(), Some("b"));
    assert_eq!(found("MFP 4", None).as_deref(), Some("a"));
    assert_eq!(found("MFP 4", Some("Southwind")), None);
}

mod schedules;
