//! The snapshot of a device, as `operator/controllers/src/delivery/observe.rs` takes it from its caches.
//!
//! It has no Secret, no catalog of a broker and nothing that a remote side said, and decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use entente_crds::v1alpha1::{Device, ServiceSubscription};
use entente_domain::delivery::{Claimant, DeviceSnapshot, claimant, known_identity, may_claim};
use entente_domain::names::ConnectionName;
use jiff::SignedDuration;
use kube::ResourceExt as _;

use super::{Objects, is_in};

impl Objects {
    /// Returns the snapshot of a device that has these subscriptions.
    pub(crate) fn snapshot(
        &self,
        namespace: &str,
        name: &str,
        subscriptions: Vec<Arc<ServiceSubscription>>,
    ) -> DeviceSnapshot {
        let device = self.device(namespace, name);
        let model = device.as_ref().map(|it| &it.spec.model_ref.name);
        let model = model.and_then(|it| self.models.get(it)).cloned();
        let mut twins = self.twins.iter().filter(|_| device.is_some());
        let twin = twins.find(|it| is_in(&it.metadata, namespace) && it.name_any() == name);
        let mut snapshot = DeviceSnapshot {
            namespace: namespace.to_owned(),
            namespace_labels: self.labels_of(namespace),
            device_name: name.to_owned(),
            model,
            twin: twin.cloned(),
            connections: self
                .connections
                .iter()
                .map(|(name, it)| (name.into(), Arc::clone(it)))
                .collect(),
            services: self.services.clone(),
            withdraw_deadline: SignedDuration::MAX,
            site: device.as_ref().and_then(|device| self.site_of(device)),
            device,
            subscriptions,
            ..DeviceSnapshot::default()
        };
        let here = self.contracts.iter();
        for contract in here.filter(|it| is_in(&it.metadata, namespace)) {
            let uid = contract.uid().unwrap_or_default();
            if let Some(deleted) = &contract.metadata.deletion_timestamp {
                snapshot.deleted_contracts.insert(uid, deleted.0);
            } else {
                snapshot.live_contracts.insert(uid);
                snapshot.live_contract_names.insert(contract.name_any());
            }
        }
        snapshot
    }

    /// Returns the connections of a Device through which it would meet the machine of another one.
    pub(crate) fn claimed(&self, device: &Device) -> BTreeMap<ConnectionName, Claimant> {
        let namespace = device.namespace().unwrap_or_default();
        let own = (&namespace, device.name_any());
        let is_other =
            |it: &&Arc<Device>| (&it.namespace().unwrap_or_default(), it.name_any()) != own;
        let may_claim = |rival: &Device| {
            let first = rival.spec.connections.first();
            let connection = first.and_then(|it| self.connections.get(&it.name));
            let labels = self.labels_of(&rival.namespace().unwrap_or_default());
            may_claim(rival, connection.map(|it| &**it), &labels)
        };
        let found = device.spec.connections.iter().filter_map(|chosen| {
            let connection = self.connections.get(&chosen.name).map(|it| &**it);
            let identity = known_identity(device, &chosen.name);
            let rivals = self.devices.iter().filter(is_other).map(|it| &**it);
            let claimant = claimant(
                device,
                chosen,
                connection,
                identity.as_ref(),
                rivals,
                may_claim,
            )?;
            Some(((&chosen.name).into(), claimant))
        });
        found.collect()
    }

    /// Returns a device by its name.
    pub(crate) fn device(&self, namespace: &str, name: &str) -> Option<Arc<Device>> {
        let mut all = self.devices.iter();
        all.find(|it| is_in(&it.metadata, namespace) && it.name_any() == name)
            .cloned()
    }

    /// Returns the labels of a namespace.
    pub(crate) fn labels_of(&self, namespace: &str) -> BTreeMap<String, String> {
        let own = || {
            (
                "kubernetes.io/metadata.name".to_owned(),
                namespace.to_owned(),
            )
        };
        let found = self.namespaces.get(namespace).cloned();
        found.unwrap_or_else(|| [own()].into())
    }
}
