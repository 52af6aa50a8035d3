//! The world of a contract, from objects that were read from files or from the cluster, so that the
//! domain can decide on it as in the operator.
//!
//! It picks what belongs to a contract, as `operator/controllers/src/contract/observe.rs` and `kin.rs` do
//! from their caches, and decides nothing.

mod snapshot;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_crds::v1alpha1::{
    Connection, Contract, ContractAmendment, ContractNotice, Device, DeviceEnrollment, DeviceModel,
    DeviceTwin, ServiceSubscription, Site, SmartService,
};
use entente_domain::contract::{ContractWorld, DeviceFacts, Kin, Predecessor, predecessor_of};
use entente_domain::site::at_site;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt as _};

/// Objects of several namespaces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Objects {
    pub(crate) contracts: Vec<Arc<Contract>>,
    pub(crate) amendments: Vec<Arc<ContractAmendment>>,
    pub(crate) notices: Vec<Arc<ContractNotice>>,
    /// With the fields of their Sites, once [`Objects::at_sites`] has put them there.
    pub(crate) devices: Vec<Arc<Device>>,
    pub(crate) sites: Vec<Arc<Site>>,
    pub(crate) twins: Vec<Arc<DeviceTwin>>,
    pub(crate) enrollments: Vec<Arc<DeviceEnrollment>>,
    pub(crate) subscriptions: Vec<Arc<ServiceSubscription>>,
    pub(crate) services: BTreeMap<String, Arc<SmartService>>,
    pub(crate) models: BTreeMap<String, Arc<DeviceModel>>,
    pub(crate) connections: BTreeMap<String, Arc<Connection>>,
    /// Labels of each namespace; one that was not read has the label of its name, which all have.
    pub(crate) namespaces: BTreeMap<String, BTreeMap<String, String>>,
}

impl Objects {
    /// Returns the objects with each device as it is at its Site.
    pub(crate) fn at_sites(mut self) -> Self {
        let devices = self.devices.iter();
        self.devices = devices
            .map(|device| match self.site_of(device) {
                Some(site) => Arc::new(at_site(device, Some(&site)).into_owned()),
                None => Arc::clone(device),
            })
            .collect();
        self
    }

    /// Returns the Site that a device names, if it exists.
    pub(crate) fn site_of(&self, device: &Device) -> Option<Arc<Site>> {
        let name = &device.spec.site_ref.as_ref()?.name;
        let namespace = device.namespace().unwrap_or_default();
        let mut sites = self.sites.iter();
        let found = sites.find(|it| is_in(&it.metadata, &namespace) && it.name_any() == *name);
        found.cloned()
    }

    /// Returns the world of a contract of these objects.
    pub(crate) fn world(&self, contract: &Contract) -> ContractWorld {
        let namespace = contract.namespace().unwrap_or_default();
        let name = contract.name_any();
        let devices = self.devices.iter();
        let devices = devices.filter(|it| is_in(&it.metadata, &namespace) && is_live(&it.metadata));
        let mut devices: Vec<DeviceFacts> = devices.map(|it| facts(&it.metadata)).collect();
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        ContractWorld {
            contract: contract.clone(),
            services: self.services.clone(),
            devices,
            subscriptions: self.subscriptions_of(&namespace, &name),
            amendments: self.amendments_of(&namespace, &name),
            notices: self.notices_of(&namespace, &name),
            clock_skew: None,
            unreadable_services: BTreeSet::new(),
            unreadable_amendments: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            unreadable_record: false,
            recreated: BTreeSet::new(),
            kin: self.kin(contract, &namespace, &name),
        }
    }

    fn kin(&self, contract: &Contract, namespace: &str, own: &str) -> Kin {
        let heirs = self.descendants(namespace, own);
        let mut kin = Kin {
            heirs: self.subscriptions_of_all(namespace, &heirs),
            ..Kin::default()
        };
        let Some(nearest) = predecessor_of(contract) else {
            return kin;
        };
        let siblings = self.successors(namespace, nearest);
        let siblings: Vec<String> = siblings.into_iter().filter(|it| it != own).collect();
        kin.siblings = self.subscriptions_of_all(namespace, &siblings);
        kin.given = self.subscriptions_of(namespace, nearest);
        kin.services.clone_from(&self.services);
        let mut next = nearest.to_owned();
        while next != own
            && kin
                .predecessors
                .iter()
                .all(|it| it.contract.name_any() != next)
            && let Some(found) = self.contract(namespace, &next)
        {
            let named = predecessor_of(&found).map(str::to_owned);
            kin.predecessors.push(Predecessor {
                amendments: self.amendments_of(namespace, &next),
                notices: self.notices_of(namespace, &next),
                contract: found,
            });
            let Some(named) = named else { break };
            next = named;
        }
        kin
    }

    /// Returns a contract by its name.
    pub(crate) fn contract(&self, namespace: &str, name: &str) -> Option<Arc<Contract>> {
        let mut found = self
            .contracts
            .iter()
            .filter(|it| is_in(&it.metadata, namespace));
        found.find(|it| it.name_any() == name).cloned()
    }

    fn successors(&self, namespace: &str, of: &str) -> Vec<String> {
        let all = self
            .contracts
            .iter()
            .filter(|it| is_in(&it.metadata, namespace));
        let found = all.filter(|it| predecessor_of(it) == Some(of));
        found.map(|it| it.name_any()).collect()
    }

    fn descendants(&self, namespace: &str, of: &str) -> Vec<String> {
        let mut known = BTreeSet::from([of.to_owned()]);
        let mut next = self.successors(namespace, of);
        let mut found = Vec::new();
        while let Some(name) = next.pop() {
            if known.insert(name.clone()) {
                next.extend(self.successors(namespace, &name));
                found.push(name);
            }
        }
        found
    }

    fn subscriptions_of_all(
        &self,
        namespace: &str,
        contracts: &[String],
    ) -> Vec<Arc<ServiceSubscription>> {
        let all = contracts.iter();
        all.flat_map(|it| self.subscriptions_of(namespace, it))
            .collect()
    }

    /// Returns the subscriptions that carry the name of a contract.
    pub(crate) fn subscriptions_of(
        &self,
        namespace: &str,
        contract: &str,
    ) -> Vec<Arc<ServiceSubscription>> {
        let is_of = |it: &ServiceSubscription| it.spec.contract.name == contract;
        those(&self.subscriptions, namespace, is_of)
    }

    fn amendments_of(&self, namespace: &str, contract: &str) -> Vec<Arc<ContractAmendment>> {
        let is_of = |it: &ContractAmendment| it.spec.contract_ref.name == contract;
        those(&self.amendments, namespace, is_of)
    }

    fn notices_of(&self, namespace: &str, contract: &str) -> Vec<Arc<ContractNotice>> {
        let is_of = |it: &ContractNotice| it.spec.contract_ref.name == contract;
        those(&self.notices, namespace, is_of)
    }
}

/// Returns the objects of a namespace that are wanted.
fn those<K: Resource>(
    all: &[Arc<K>],
    namespace: &str,
    is_wanted: impl Fn(&K) -> bool,
) -> Vec<Arc<K>> {
    let here = all.iter().filter(|it| is_in(it.meta(), namespace));
    here.filter(|it| is_wanted(it)).cloned().collect()
}

fn is_in(metadata: &ObjectMeta, namespace: &str) -> bool {
    metadata.namespace.as_deref() == Some(namespace)
}

fn is_live(metadata: &ObjectMeta) -> bool {
    metadata.deletion_timestamp.is_none()
}

fn facts(metadata: &ObjectMeta) -> DeviceFacts {
    let created = metadata.creation_timestamp.as_ref();
    DeviceFacts {
        name: metadata.name.clone().unwrap_or_default(),
        labels: metadata.labels.clone().unwrap_or_default(),
        created: created.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
    }
}
