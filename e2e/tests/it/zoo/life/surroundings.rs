//! The objects of a life: those of the examples, with one subscription at the broker of the row.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use entente_crds::example;
use entente_crds::v1alpha1::{
    AllowEntry, Connection, ConnectionSpec, NameReference, OsbEndpoint, Protocol, Revision,
    Selector, ServiceLevel, ServiceSubscription, ServiceSubscriptionSpec, SmartService,
    SubscriptionContract, SubscriptionCustomer,
};
use entente_domain::delivery::DeviceSnapshot;
use entente_domain::secret::{DigestKey, SecretText, Secrets};
use entente_drivers::{ConnectionProfile, ServerTarget};
use entente_simulators::zoo::Row;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use super::super::objects;

/// The start of every story.
pub(super) const START: Timestamp = Timestamp::constant(1_800_000_000, 0);
/// Name of the Connection to the broker.
pub(super) const CONNECTION: &str = "zoo";
/// Name of the service.
pub(super) const SERVICE: &str = "zoo";
/// Uid of the contract.
pub(super) const CONTRACT: &str = "zoo-uid";
/// Time limit of a request to a broker that does not answer some. The real one would be waited for.
const SOON: Duration = Duration::from_millis(500);

/// Returns the objects of a row's story.
pub(super) fn snapshot(row: &Row, url: &str) -> DeviceSnapshot {
    let mut device = example::devices()[0].clone();
    device.metadata.uid = Some("d-1".to_owned());
    let broker = connection(url);
    let spec = objects::service(row, CONNECTION);
    let mut service = SmartService::new(SERVICE, spec);
    service.metadata.generation = Some(1);
    let connections = [example::hq_ipp(), example::in_use(broker)];
    DeviceSnapshot {
        namespace: example::NAMESPACE.to_owned(),
        namespace_labels: labels(),
        device_name: device.name_any(),
        model: Some(Arc::new(example::mfp_500())),
        connections: connections
            .map(|it| (it.name_any().into(), Arc::new(it)))
            .into(),
        services: [(SERVICE.to_owned(), Arc::new(example::in_use(service)))].into(),
        live_contracts: [CONTRACT.to_owned()].into(),
        established: [(CONTRACT.to_owned(), START)].into(),
        subscriptions: vec![Arc::new(subscription(row, &device.name_any()))],
        secrets: secrets(row),
        withdraw_deadline: SignedDuration::from_hours(24),
        device: Some(Arc::new(device)),
        ..DeviceSnapshot::default()
    }
}

/// Returns the broker as the driver reaches it.
pub(super) fn target(row: &Row, snapshot: &DeviceSnapshot, url: String) -> ServerTarget {
    let spec = &snapshot.connections[CONNECTION].spec;
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    // Limits are counted by the name.
    let profile = ConnectionProfile::from_spec(&row.name, spec, networks, None, None);
    let mut profile = profile.unwrap();
    profile.per_host.per_second = 1_000_000;
    profile.total.per_second = 1_000_000;
    if objects::is_silent(row) {
        profile.request_timeout = SOON;
    }
    ServerTarget {
        profile: profile.into(),
        url,
        secrets: snapshot.secrets.clone(),
    }
}

fn labels() -> BTreeMap<String, String> {
    let name = "kubernetes.io/metadata.name".to_owned();
    [(name, example::NAMESPACE.to_owned())].into()
}

fn connection(url: &str) -> Connection {
    let allow = AllowEntry {
        name: "loopback".to_owned(),
        namespaces: Selector {
            match_labels: labels(),
            match_expressions: Vec::new(),
        },
        networks: vec!["127.0.0.0/8".to_owned()],
    };
    let spec = ConnectionSpec {
        protocol: Protocol::OSB,
        osb: Some(OsbEndpoint {
            url: url.to_owned(),
            ..OsbEndpoint::default()
        }),
        allow: vec![allow],
        ..ConnectionSpec::default()
    };
    let mut connection = Connection::new(CONNECTION, spec);
    connection.metadata.generation = Some(1);
    connection
}

fn subscription(row: &Row, device: &str) -> ServiceSubscription {
    let revision = Revision {
        effective: START,
        service_ref: NameReference {
            name: SERVICE.to_owned(),
        },
        parameters: [("size", "15"), ("weekdays", "Mon,Wed")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        secret_parameters: objects::secret_parameters(row),
        service_level: ServiceLevel::default(),
        ..Revision::default()
    };
    let spec = ServiceSubscriptionSpec {
        contract: SubscriptionContract {
            name: "zoo".to_owned(),
            uid: CONTRACT.to_owned(),
            start: START,
            created: START,
            ..SubscriptionContract::default()
        },
        customer: SubscriptionCustomer {
            id: "C-4711".to_owned(),
        },
        service_name: "entry".to_owned(),
        device_ref: NameReference {
            name: device.to_owned(),
        },
        origin: None,
        succeeded_by: None,
        time_zone: "America/Sao_Paulo".to_owned(),
        lead_time: "1h".into(),
        revisions: vec![Arc::new(revision)],
        restored: None,
    };
    let mut object = ServiceSubscription::new(&format!("zoo.entry.{device}"), spec);
    object.metadata.namespace = Some(example::NAMESPACE.to_owned());
    object.metadata.uid = Some("s-1".to_owned());
    object.metadata.generation = Some(1);
    object.metadata.creation_timestamp = Some(Time(START));
    object
}

fn secrets(row: &Row) -> Secrets {
    let key = DigestKey::new(b"the operator's own".to_vec());
    let texts = row.setup.secret.iter();
    let read = texts.map(|text| {
        let text = SecretText::new(text.clone(), &key);
        (objects::secret_reference(), Ok(text))
    });
    Secrets(read.collect())
}
