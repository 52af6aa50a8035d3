//! Readings of a test: objects by name, conditions, items and promises.
//!
//! It reads from the API server every time, and decides nothing.

use entente_crds::v1alpha1::{
    Compensation, Condition, Contract, Device, Item, Promise, ServiceSubscription,
};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::Resource;
use kube::api::ListParams;
use kube::core::{ClusterResourceScope, NamespaceResourceScope};
use serde::de::DeserializeOwned;

use super::TestNamespace;

impl TestNamespace<'_> {
    /// Objects of a namespaced kind in this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Objects of a cluster-scoped kind.
    pub fn catalogue<K>(&self) -> Api<K>
    where
        K: Resource<Scope = ClusterResourceScope, DynamicType = ()>,
    {
        Api::all(self.client.clone())
    }

    /// Returns an object of this namespace; `None` if it does not exist or cannot be read.
    pub async fn get<K>(&self, name: &str) -> Option<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        self.api::<K>().get_opt(name).await.ok().flatten()
    }

    /// Returns all objects of a kind in this namespace, by name.
    pub async fn list<K>(&self) -> Vec<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let listed = self.api::<K>().list(&ListParams::default()).await;
        listed.map(|list| list.items).unwrap_or_default()
    }

    /// Returns the contract.
    pub async fn read_contract(&self, name: &str) -> Option<Contract> {
        self.get(name).await
    }

    /// Returns the Device.
    pub async fn read_device(&self, name: &str) -> Option<Device> {
        self.get(name).await
    }

    /// Returns the subscription of a contract's service on a device.
    pub async fn subscription(
        &self,
        contract: &str,
        service: &str,
        device: &str,
    ) -> Option<ServiceSubscription> {
        self.get(&format!("{contract}.{service}.{device}")).await
    }

    /// Returns all compensations.
    pub async fn compensations(&self) -> Vec<Compensation> {
        self.list().await
    }

    /// Returns all events in this namespace.
    pub async fn events(&self) -> Vec<Event> {
        self.list().await
    }
}

/// A kind with conditions.
pub trait Conditioned {
    /// Returns the conditions of its status.
    fn conditions(&self) -> &[Condition];

    /// Returns the condition of that type.
    fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions()
            .iter()
            .find(|condition| condition.type_ == kind)
    }

    /// True if the condition is there and True.
    fn is(&self, kind: &str) -> bool {
        self.condition(kind)
            .is_some_and(|condition| condition.status == "True")
    }

    /// Returns the reason of a condition; empty if it is absent.
    fn reason(&self, kind: &str) -> &str {
        self.condition(kind)
            .map_or("", |condition| condition.reason.as_str())
    }

    /// Returns the message of a condition; empty if it is absent.
    fn message(&self, kind: &str) -> &str {
        self.condition(kind)
            .map_or("", |condition| condition.message.as_str())
    }
}

macro_rules! conditioned {
    ($($kind:ty),+) => {
        $(impl Conditioned for $kind {
            fn conditions(&self) -> &[Condition] {
                self.status.as_ref().map_or(&[], |status| status.conditions.as_slice())
            }
        })+
    };
}

conditioned!(
    Contract,
    Device,
    ServiceSubscription,
    Compensation,
    entente_crds::v1alpha1::Connection,
    entente_crds::v1alpha1::DeviceModel,
    entente_crds::v1alpha1::SmartService,
    entente_crds::v1alpha1::MessageText,
    entente_crds::v1alpha1::Site,
    entente_crds::v1alpha1::ContractAmendment,
    entente_crds::v1alpha1::ContractNotice,
    entente_crds::v1alpha1::SupplyOrder
);

/// Facts of a subscription that tests check.
pub trait SubscriptionFacts {
    /// Returns the item of that key.
    fn item(&self, key: &str) -> Option<&Item>;
    /// Returns all items.
    fn items(&self) -> &[Item];
    /// Returns all promises.
    fn promises(&self) -> &[Promise];
}

impl SubscriptionFacts for ServiceSubscription {
    fn item(&self, key: &str) -> Option<&Item> {
        self.items().iter().find(|item| item.key == key)
    }

    fn items(&self) -> &[Item] {
        self.status
            .as_ref()
            .map_or(&[], |status| status.items.as_slice())
    }

    fn promises(&self) -> &[Promise] {
        self.status
            .as_ref()
            .map_or(&[], |status| status.promises.as_slice())
    }
}
