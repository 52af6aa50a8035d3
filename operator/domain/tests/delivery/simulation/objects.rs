//! The objects of a simulated world, and what must hold for every status.

use std::collections::BTreeMap;
use std::sync::Arc;

use entente_crds::{
    condition::Reason,
    example::in_use,
    v1alpha1::{
        Connection, Device, DeviceConnection, DeviceModel, DeviceSpec, NameReference, Origin,
        PromiseState, Revision, SecretKeyReference, SecretParameter, ServiceLevel,
        ServiceSubscription, ServiceSubscriptionSpec, ServiceSubscriptionStatus, SmartService,
        SubscriptionContract, SubscriptionCustomer,
    },
};
use entente_domain::names::SubscriptionName;
use entente_domain::{
    condition::is_true,
    delivery::{Action, DeviceSnapshot},
    secret::{DigestKey, SecretText},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use serde::Deserialize as _;

use super::{Broker, Simulation};

/// The name of the only device.
pub(crate) const DEVICE: &str = "lobby";
const NAMESPACE: &str = "acme";

pub(super) fn empty_world() -> DeviceSnapshot {
    let labels = [(
        "kubernetes.io/metadata.name".to_owned(),
        NAMESPACE.to_owned(),
    )];
    DeviceSnapshot {
        namespace: NAMESPACE.to_owned(),
        namespace_labels: labels.into(),
        device_name: DEVICE.to_owned(),
        withdraw_deadline: SignedDuration::from_hours(24),
        ..DeviceSnapshot::default()
    }
}

/// Wanted spec of a subscription.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) contract: String,
    pub(crate) service_name: String,
    pub(crate) service: String,
    pub(crate) from: Timestamp,
    pub(crate) until: Option<Timestamp>,
    pub(crate) origin: Option<Origin>,
    pub(crate) promised: bool,
    pub(crate) allowed: String,
    pub(crate) lead: String,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) secret_parameters: Vec<SecretParameter>,
}

impl Simulation {
    /// Reads the catalogue's YAML documents into the world, with a broker for each OSB connection.
    pub(crate) fn load_catalogue(&mut self, yaml: &str) {
        for document in serde_yaml::Deserializer::from_str(yaml) {
            let value = serde_yaml::Value::deserialize(document).expect("it is YAML");
            match value["kind"].as_str() {
                Some("Connection") => {
                    let object: Connection = serde_yaml::from_value(value).expect("a Connection");
                    let object = in_use(object);
                    if object.spec.osb.is_some() {
                        self.brokers.insert(object.name_any(), Broker::default());
                    }
                    let connections = &mut self.snapshot.connections;
                    connections.insert(object.name_any().into(), object.into());
                }
                Some("DeviceModel") => {
                    let object: DeviceModel = serde_yaml::from_value(value).expect("a model");
                    self.snapshot.model = Some(object.into());
                }
                Some("SmartService") => {
                    let object: SmartService = serde_yaml::from_value(value).expect("a service");
                    let object = in_use(object);
                    let services = &mut self.snapshot.services;
                    services.insert(object.name_any(), object.into());
                }
                kind => panic!("no kind of the catalogue: {kind:?}"),
            }
        }
    }

    /// Creates the Device.
    pub(crate) fn create_device(&mut self, serial_number: &str) {
        let mut device = Device::new(
            DEVICE,
            DeviceSpec {
                model_ref: NameReference {
                    name: "mfp-500".to_owned(),
                },
                serial_number: serial_number.to_owned(),
                address: Some("10.20.3.4".to_owned()),
                connections: vec![DeviceConnection {
                    name: "hq-ipp".to_owned(),
                    ..DeviceConnection::default()
                }],
                ..DeviceSpec::default()
            },
        );
        device.metadata.namespace = Some(NAMESPACE.to_owned());
        device.metadata.uid = Some(format!("device created {}", self.now));
        device.metadata.generation = Some(1);
        self.snapshot.device = Some(device.into());
    }

    /// Creates a subscription, as the contract controller does.
    pub(crate) fn create_subscription(&mut self, wish: &Wish) -> String {
        let name = format!("{}.{}.{DEVICE}", wish.contract, wish.service_name);
        let uid = format!("{} uid", wish.contract);
        let mut object = ServiceSubscription::new(
            &name,
            ServiceSubscriptionSpec {
                restored: None,
                contract: SubscriptionContract {
                    name: wish.contract.clone(),
                    uid: uid.clone(),
                    start: wish.from,
                    created: self.now,
                    ..SubscriptionContract::default()
                },
                customer: SubscriptionCustomer {
                    id: "C-4711".to_owned(),
                },
                service_name: wish.service_name.clone(),
                device_ref: NameReference {
                    name: DEVICE.to_owned(),
                },
                succeeded_by: None,
                origin: wish.origin.clone(),
                time_zone: "America/Sao_Paulo".to_owned(),
                lead_time: wish.lead.as_str().into(),
                revisions: vec![Arc::new(revision(wish))],
            },
        );
        object.metadata.namespace = Some(NAMESPACE.to_owned());
        object.metadata.uid = Some(format!("{name} created {}", self.now));
        object.metadata.generation = Some(1);
        object.metadata.creation_timestamp = Some(Time(self.now));
        self.snapshot.live_contracts.insert(uid.clone());
        self.snapshot.established.entry(uid).or_insert(self.now);
        self.snapshot.subscriptions.push(object.into());
        name
    }

    /// Appends an entry, as the contract controller does for an edit or an amendment.
    pub(crate) fn revise(&mut self, name: &str, wish: &Wish) {
        let object = self.subscription_mut(name);
        object.metadata.generation = object.metadata.generation.map(|one| one + 1);
        let last = object
            .spec
            .revisions
            .last_mut()
            .expect("a subscription has an entry");
        let mut next = revision(wish);
        next.until = last.until;
        Arc::make_mut(last).until = Some(wish.from);
        object.spec.revisions.push(Arc::new(next));
    }

    /// Ends the last entry.
    pub(crate) fn end(&mut self, name: &str, until: Timestamp) {
        let object = self.subscription_mut(name);
        object.metadata.generation = object.metadata.generation.map(|one| one + 1);
        let last = object.spec.revisions.last_mut();
        Arc::make_mut(last.expect("a subscription has an entry")).until = Some(until);
    }

    /// Sets the Secret with the one key `value` as the observe stage reads it; without a text there
    /// is none.
    pub(crate) fn set_secret(&mut self, name: &str, text: Option<&str>) {
        let key = DigestKey::new(b"the operator's own".to_vec());
        let read = text.map_or_else(
            || {
                let message = format!("the Secret {name} does not exist in the namespace acme");
                Err((Reason::SecretNotFound, message))
            },
            |text| Ok(SecretText::new(text.to_owned(), &key)),
        );
        self.snapshot.secrets.0.insert(secret_reference(name), read);
    }

    /// Deletes the contract as `kubectl delete` does, without the deletion of its subscriptions.
    pub(crate) fn delete_contract(&mut self, name: &str) {
        let now = Timestamp::from_second(self.now.as_second()).expect("a whole second");
        let uid = self.subscription(name).spec.contract.uid.clone();
        self.snapshot.live_contracts.remove(&uid);
        self.snapshot.deleted_contracts.insert(uid, now);
    }

    /// Deletes a subscription as `kubectl delete` does.
    pub(crate) fn delete(&mut self, name: &str) {
        let now = Timestamp::from_second(self.now.as_second()).expect("a whole second");
        self.subscription_mut(name).metadata.deletion_timestamp = Some(Time(now));
    }
}

/// Returns a reference to the key `value` of a Secret.
pub(crate) fn secret_reference(name: &str) -> SecretKeyReference {
    SecretKeyReference {
        name: name.to_owned(),
        key: "value".to_owned(),
    }
}

fn revision(wish: &Wish) -> Revision {
    Revision {
        effective: wish.from,
        until: wish.until,
        promised: wish.promised,
        service_ref: NameReference {
            name: wish.service.clone(),
        },
        parameters: wish.parameters.clone(),
        secret_parameters: wish.secret_parameters.clone(),
        service_level: ServiceLevel {
            allowed: wish.allowed.as_str().into(),
            ..ServiceLevel::default()
        },
        ..Revision::default()
    }
}

pub(super) fn subscription_of(action: &Action) -> &SubscriptionName {
    match action {
        Action::RecordPrevious { subscription, .. }
        | Action::RecordInstance { subscription }
        | Action::TakeOver { subscription, .. }
        | Action::ReadInstance { subscription, .. }
        | Action::Provision { subscription, .. }
        | Action::Update { subscription, .. }
        | Action::PollOperation { subscription, .. }
        | Action::Deprovision { subscription, .. } => subscription,
        Action::ReadDevice { .. }
        | Action::ReadStatus { .. }
        | Action::ShowMessages { .. }
        | Action::WriteDevice { .. }
        | Action::WriteTwin { .. }
        | Action::ReadCatalog { .. }
        | Action::Switch { .. } => {
            panic!("on behalf of nobody")
        }
    }
}

/// Checks the invariants of every status that is written.
pub(super) fn check(status: &ServiceSubscriptionStatus) {
    use entente_crds::condition::ConditionType::{Ready, Reconciling, Stalled};
    let conditions = &status.conditions;
    let [ready, busy, stalled] =
        [Ready, Reconciling, Stalled].map(|condition| is_true(conditions, condition));
    assert!(
        !(busy && stalled),
        "both Reconciling and Stalled: {conditions:#?}"
    );
    assert!(
        ready != (busy || stalled),
        "neither ready nor why not: {conditions:#?}"
    );
    assert!(
        status.step_since.is_none() || status.step.is_some(),
        "a begin without a step: {status:#?}"
    );
    for promise in &status.promises {
        assert!(promise.delays.len() <= 32, "{promise:#?}");
        assert!(
            promise.completed.is_none_or(|at| at >= promise.effective),
            "{promise:#?}"
        );
        assert!(
            promise.closed.is_none_or(|at| at >= promise.effective),
            "{promise:#?}"
        );
        if promise.state == PromiseState::Kept {
            assert!(
                promise.completed.is_some() && promise.delays.is_empty(),
                "{promise:#?}"
            );
        }
        let mut from = promise.effective;
        for (index, delay) in promise.delays.iter().enumerate() {
            assert_eq!(delay.from, from, "delays follow each other: {promise:#?}");
            let last = index + 1 == promise.delays.len();
            assert!(
                delay.until.is_some() || last,
                "only the last lasts: {promise:#?}"
            );
            assert!(
                delay.until.is_none_or(|until| until > delay.from),
                "{promise:#?}"
            );
            from = delay.until.unwrap_or(from);
        }
        if let (Some(closed), false) = (promise.closed, promise.delays.is_empty()) {
            assert_eq!(
                from, closed,
                "the last delay ends with the promise: {promise:#?}"
            );
        }
    }
}
