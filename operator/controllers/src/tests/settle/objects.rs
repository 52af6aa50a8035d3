//! The objects and remote sides that the events are about, as they are in the beginning, and changes
//! of those that exist.

use entente_crds::v1alpha1::{
    AmendedService, ContractAmendment, ContractNotice, DeviceEnrollment, DeviceTwin, Devices,
    LocalReference, NameReference, NoticeType, Site, SiteSpec, Tls, Trust,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Resource;

use super::{
    calling::{CALLER, token},
    edits::mend,
    *,
};
use crate::context::Options;

pub(super) const DEVICES: usize = 4;
/// The Device that has its connections by a Site.
pub(super) const AT_SITE: usize = 3;
const SITE: &str = "the-site";
pub(super) const OTHER_BROKER: &str = "southwind-services";
const OTHER_BROKER_URL: &str = "https://broker.southwind.example";
pub(super) const AUTHORITIES: &str = "hq-authorities";
const RENEWAL: &str = "renewal";

/// An object that people write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Subject {
    Contract,
    /// A contract that succeeds the other one; it does not exist in the beginning.
    Renewal,
    Amendment(usize),
    Notice(usize),
    Device(usize),
    /// The Site of the Device [`AT_SITE`].
    Site,
    Service(usize),
    Model,
    Connection(usize),
    /// The gateway that a device calls, the device, its model, its service and its enrolment.
    Gateway,
    Caller,
    CallersModel,
    CallersService,
    Enrollment,
}

fn contract() -> Contract {
    let mut contract = example::banco_sul_2027();
    contract.spec.services[0].devices.expect = Some(4);
    let mut panel = contract.spec.services[1].clone();
    "panel".clone_into(&mut panel.name);
    panel.service_ref.name = example::remote_panel().name_any();
    panel.parameters.clear();
    panel.devices = Devices {
        names: vec![CALLER.to_owned()],
        ..Devices::default()
    };
    contract.spec.services.push(panel);
    contract
}

/// Returns a renewal that begins a day after the contract.
fn renewal() -> Contract {
    let mut renewal = contract();
    renewal.metadata.name = Some(RENEWAL.to_owned());
    renewal.spec.succeeds = Some(NameReference {
        name: CONTRACT.to_owned(),
    });
    renewal.spec.term.start_date = Some("2027-04-02".to_owned());
    renewal
}

pub(super) const AMENDMENTS: usize = 2;

/// Returns an amendment, one of some: of the day after the start or of the one behind it, of an
/// instant that is refused, with something that is refused, of another contract, or in conflict.
pub(super) fn amendment(number: usize, form: usize) -> ContractAmendment {
    let mut amendment = example::banco_sul_2027_july();
    amendment.metadata.name = Some(format!("amendment-{number}"));
    let spec = &mut amendment.spec;
    let date = match form {
        0 | 3 => "2027-04-02",
        1 => "2027-04-01",
        _ => "2027-04-03",
    };
    spec.effective_date = Some(date.to_owned());
    if number == 1 {
        spec.services.remove(1);
        spec.services[0].parameters.clear();
    }
    match form {
        3 => {
            spec.services[0].fee = Some(entente_crds::v1alpha1::Fee {
                amount: "12.345".to_owned(),
                ..entente_crds::v1alpha1::Fee::default()
            });
        }
        4 => "banco-sul-2028".clone_into(&mut spec.contract_ref.name),
        5 => {
            spec.services = vec![AmendedService {
                name: "parts".to_owned(),
                end: true,
                ..AmendedService::default()
            }];
        }
        _ => {}
    }
    amendment
}

/// Makes an amendment in place of the one of its name: the spec of one that is there cannot change.
pub(super) fn make_amendment(process: &InProcess, number: usize, form: usize) {
    let amendment = amendment(number, form);
    delete::<ContractAmendment>(process, NAMESPACE, &amendment.name_any());
    process.cluster.apply(&amendment);
}

pub(super) const NOTICES: usize = 2;

/// Returns a notice, one of some: of an end that lies ahead or has passed, of a start, or of another
/// contract.
pub(super) fn notice(number: usize, form: usize) -> ContractNotice {
    let mut notice = example::banco_sul_installed();
    notice.metadata.name = Some(format!("notice-{number}"));
    let spec = &mut notice.spec;
    let name = if form == 4 {
        "banco-sul-2028"
    } else {
        CONTRACT
    };
    name.clone_into(&mut spec.contract_ref.name);
    let ends = number == 0 || form == 5;
    spec.r#type = if ends {
        NoticeType::Ended
    } else {
        NoticeType::Started
    };
    let at = match form {
        0 | 4 => "2027-04-01T03:20:00Z",
        1 => "2027-03-31T00:00:00Z",
        _ => "2027-04-03T03:00:00Z",
    };
    at.clone_into(&mut spec.at);
    notice
}

/// Makes a notice in place of the one of its name.
pub(super) fn make_notice(process: &InProcess, number: usize, form: usize) {
    let notice = notice(number, form);
    delete::<ContractNotice>(process, NAMESPACE, &notice.name_any());
    process.cluster.apply(&notice);
}

fn connections() -> [Connection; 3] {
    let mut hq = example::hq_ipp();
    hq.spec.tls = Some(Tls {
        trust: Trust::Verify,
        ca_config_map_ref: Some(LocalReference {
            name: AUTHORITIES.to_owned(),
        }),
        server_name: None,
    });
    let mut other = example::northwind_services();
    other.metadata.name = Some(OTHER_BROKER.to_owned());
    other.spec.osb.as_mut().expect("a broker").url = OTHER_BROKER_URL.to_owned();
    [hq, example::northwind_services(), other]
}

fn services() -> [SmartService; 2] {
    [example::data_backup(), example::parts_life()]
}

pub(super) fn authorities() -> ConfigMap {
    let key = rcgen::generate_simple_self_signed(["authority.example".to_owned()]);
    let mut map = ConfigMap::default();
    map.metadata.name = Some(AUTHORITIES.to_owned());
    map.metadata.namespace = Some(Options::default().namespace);
    let text = key.expect("a certificate").cert.pem();
    map.data = Some([("ca.crt".to_owned(), text)].into());
    map
}

fn device(number: usize) -> Device {
    let mut device = example::devices().swap_remove(number);
    if number == AT_SITE {
        device.spec.connections.clear();
        device.spec.site_ref = Some(NameReference {
            name: SITE.to_owned(),
        });
    }
    device
}

fn site() -> Site {
    let connections = example::devices().swap_remove(AT_SITE).spec.connections;
    let mut site = Site::new(
        SITE,
        SiteSpec {
            connections,
            ..SiteSpec::default()
        },
    );
    site.metadata.namespace = Some(NAMESPACE.to_owned());
    site
}

/// The objects of the device that calls, in the order in which they are made.
pub(super) const CALLERS: [Subject; 5] = [
    Subject::Gateway,
    Subject::CallersModel,
    Subject::CallersService,
    Subject::Caller,
    Subject::Enrollment,
];

/// Objects and remote sides two days before the start of a contract. Nothing runs yet.
pub(super) fn prepared() -> InProcess {
    filled(InProcess::at("2027-03-30T03:00:00Z"))
}

/// The same, where each Device has its connections by a Site.
pub(super) fn prepared_at_sites() -> InProcess {
    let process = InProcess::at("2027-03-30T03:00:00Z");
    process.cluster.keep_connections_at_sites();
    filled(process)
}

fn filled(process: InProcess) -> InProcess {
    for url in [BROKER_URL, OTHER_BROKER_URL] {
        process.world.put_server(url, fake_broker());
    }
    let cluster = &process.cluster;
    cluster.apply(&broker_login());
    cluster.apply(&authorities());
    for number in 0..3 {
        apply(&process, Subject::Connection(number));
    }
    apply(&process, Subject::Model);
    for number in 0..2 {
        apply(&process, Subject::Service(number));
    }
    apply(&process, Subject::Site);
    for number in 0..DEVICES {
        let device = fake_device(&format!("urn:uuid:{number}"));
        process.world.put_device(&url(number), device);
        apply(&process, Subject::Device(number));
    }
    cluster.apply(&token());
    for subject in CALLERS {
        apply(&process, subject);
    }
    apply(&process, Subject::Contract);
    process
}

pub(super) fn apply(process: &InProcess, subject: Subject) {
    let cluster = &process.cluster;
    match subject {
        Subject::Contract => cluster.apply(&contract()),
        Subject::Renewal => cluster.apply(&renewal()),
        Subject::Amendment(number) => apply_or_mend(process, subject, &amendment(number, 0)),
        Subject::Notice(number) => apply_or_mend(process, subject, &notice(number, 0)),
        Subject::Device(number) => cluster.apply(&device(number)),
        Subject::Site => cluster.apply(&site()),
        Subject::Service(number) => cluster.apply(&services()[number]),
        Subject::Model => cluster.apply(&example::mfp_500()),
        Subject::Connection(number) => cluster.apply(&connections()[number]),
        Subject::Gateway => cluster.apply(&example::gateway()),
        Subject::Caller => cluster.apply(&calling::device()),
        Subject::CallersModel => cluster.apply(&example::mfp_510()),
        Subject::CallersService => cluster.apply(&example::remote_panel()),
        Subject::Enrollment => cluster.apply(&example::enrollment()),
    }
}

/// Applies an object whose spec cannot be changed: one that is there is mended alone.
fn apply_or_mend<K>(process: &InProcess, subject: Subject, object: &K)
where
    K: Resource<DynamicType = ()> + serde::Serialize,
{
    let found = process.cluster.json::<K>(NAMESPACE, &object.name_any());
    if found.is_null() {
        process.cluster.apply(object);
    }
    mend(process, subject);
}

/// Returns namespace and name.
pub(super) fn name(subject: Subject) -> (&'static str, String) {
    match subject {
        Subject::Contract => (NAMESPACE, CONTRACT.to_owned()),
        Subject::Renewal => (NAMESPACE, RENEWAL.to_owned()),
        Subject::Amendment(number) => (NAMESPACE, amendment(number, 0).name_any()),
        Subject::Notice(number) => (NAMESPACE, notice(number, 0).name_any()),
        Subject::Device(number) => (NAMESPACE, example::DEVICES[number].to_owned()),
        Subject::Site => (NAMESPACE, SITE.to_owned()),
        Subject::Service(number) => ("", services()[number].name_any()),
        Subject::Model => ("", example::mfp_500().name_any()),
        Subject::Connection(number) => ("", connections()[number].name_any()),
        Subject::Gateway => ("", example::gateway().name_any()),
        Subject::Caller => (NAMESPACE, CALLER.to_owned()),
        Subject::CallersModel => ("", example::mfp_510().name_any()),
        Subject::CallersService => ("", example::remote_panel().name_any()),
        Subject::Enrollment => (NAMESPACE, example::enrollment().name_any()),
    }
}

/// Changes the JSON of an object, if it exists.
pub(super) fn change(process: &InProcess, subject: Subject, change: impl FnOnce(&mut Value)) {
    let (namespace, name) = name(subject);
    match subject {
        Subject::Contract | Subject::Renewal => {
            change_json::<Contract>(process, namespace, &name, change);
        }
        Subject::Amendment(_) => {
            change_json::<ContractAmendment>(process, namespace, &name, change);
        }
        Subject::Notice(_) => change_json::<ContractNotice>(process, namespace, &name, change),
        Subject::Device(_) | Subject::Caller => {
            change_json::<Device>(process, namespace, &name, change);
        }
        Subject::Site => change_json::<Site>(process, namespace, &name, change),
        Subject::Service(_) | Subject::CallersService => {
            change_json::<SmartService>(process, namespace, &name, change);
        }
        Subject::Model | Subject::CallersModel => {
            change_json::<DeviceModel>(process, namespace, &name, change);
        }
        Subject::Connection(_) | Subject::Gateway => {
            change_json::<Connection>(process, namespace, &name, change);
        }
        Subject::Enrollment => {
            change_json::<DeviceEnrollment>(process, namespace, &name, change);
        }
    }
}

pub(super) fn change_json<K: Resource<DynamicType = ()>>(
    process: &InProcess,
    namespace: &str,
    name: &str,
    change: impl FnOnce(&mut Value),
) {
    if !process.cluster.json::<K>(namespace, name).is_null() {
        process.cluster.edit_json::<K>(namespace, name, change);
    }
}

pub(super) fn delete<K: Resource<DynamicType = ()>>(
    process: &InProcess,
    namespace: &str,
    name: &str,
) {
    if !process.cluster.json::<K>(namespace, name).is_null() {
        process.cluster.delete::<K>(namespace, name);
    }
}

/// Returns the name of the object of this number, if there are any.
pub(super) fn nth<K: Resource<DynamicType = ()>>(
    process: &InProcess,
    number: usize,
) -> Option<String> {
    let names = process.cluster.names::<K>();
    names.get(number % names.len().max(1)).cloned()
}

/// Deletes subscriptions whose contract is gone and twins whose Device is, as the garbage collector of
/// Kubernetes does. Returns true if there was one.
pub(super) fn collect_garbage(process: &InProcess) -> bool {
    let collected = collect_twins(process);
    collect_subscriptions(process) || collected
}

fn collect_twins(process: &InProcess) -> bool {
    let device = process.cluster.json::<Device>(NAMESPACE, CALLER);
    let twin = process.cluster.json::<DeviceTwin>(NAMESPACE, CALLER);
    let owner = &twin["metadata"]["ownerReferences"][0]["uid"];
    let is_garbage = !owner.is_null() && *owner != device["metadata"]["uid"];
    if is_garbage {
        process.cluster.delete::<DeviceTwin>(NAMESPACE, CALLER);
    }
    is_garbage
}

fn collect_subscriptions(process: &InProcess) -> bool {
    let contracts = [CONTRACT, RENEWAL].map(|it| process.cluster.json::<Contract>(NAMESPACE, it));
    let uids = contracts.map(|contract| contract["metadata"]["uid"].clone());
    let mut collected = false;
    for name in process.cluster.names::<ServiceSubscription>() {
        let found = process
            .cluster
            .json::<ServiceSubscription>(NAMESPACE, &name);
        let meta = &found["metadata"];
        if meta["deletionTimestamp"].is_null() && !uids.contains(&meta["ownerReferences"][0]["uid"])
        {
            process
                .cluster
                .delete::<ServiceSubscription>(NAMESPACE, &name);
            collected = true;
        }
    }
    collected
}
