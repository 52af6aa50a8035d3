//! Facts about an order from other objects: its server, its device, and the fault that keeps it from
//! being sent.
//!
//! Reads caches, and Secrets of the Connection just before use; sends nothing. Called once for each
//! pass over an order.

use std::collections::BTreeSet;
use std::sync::Arc;

use entente_crds::{
    condition::Reason,
    v1alpha1::{Connection, Device, DeviceModel, Protocol, SupplyOrder},
};
use entente_domain::{
    secret::Secrets as NoSecrets,
    supply_order::{
        CheckedAgainst, OrderFacts, ServerTerms, at_server, fault_of, message_of, replaced_at,
        service_of,
    },
    unreadable::Referent,
};
use entente_drivers::ServerTarget;
use kube::ResourceExt as _;

use super::SupplyOrders;
use crate::{cache::Key, delivery::fraction, objects::BY_SERIAL_NUMBER, secrets::Fault};

/// Facts about an order.
pub(super) struct Facts {
    /// Those by which a pass decides.
    pub(super) known: OrderFacts,
    /// The order server; `None` with a fault, and for an order that is closed.
    pub(super) target: Option<ServerTarget>,
    /// True if no change of an object tells that the fault is mended.
    pub(super) looks_again: bool,
}

impl SupplyOrders {
    pub(super) async fn facts(&self, key: &Key, order: &SupplyOrder) -> Facts {
        let named = &order.spec.record.device.name;
        let device = Key::new(key.namespace.clone(), &**named);
        let device = self.objects.devices.get(&device);
        let mut facts = OrderFacts {
            terms: None,
            fault: None,
            message: message_of(device.as_deref(), order),
            of_others: BTreeSet::new(),
            replaced: device
                .as_deref()
                .and_then(|device| replaced_at(device, self.model(device).as_deref(), order)),
            fraction: fraction(),
        };
        let status = order.status.as_ref();
        let is_closed = status.is_some_and(|it| it.closed.is_some());
        // Only before an order is placed another one may be taken for it.
        let is_placed = status.is_some_and(|it| it.order.is_some());
        if is_closed {
            return Facts {
                known: facts,
                target: None,
                looks_again: false,
            };
        }
        if !is_placed {
            facts.of_others = self.of_others(key, order);
        }
        let mut looks_again = false;
        let mut target = None;
        match self.server(key, order).await {
            Ok((terms, found)) => {
                facts.terms = Some(terms);
                target = Some(found);
            }
            Err(fault) => {
                facts.fault = Some(fault);
                looks_again = true;
            }
        }
        if facts.fault.is_none() {
            facts.fault = self.fault_of_record(key, order, device.as_deref());
            looks_again = facts.fault.is_some();
        }
        Facts {
            known: facts,
            target,
            looks_again,
        }
    }

    /// Returns the names at order servers of the other orders for a machine, in all namespaces: it may have been
    /// another customer's before.
    fn of_others(&self, key: &Key, order: &SupplyOrder) -> BTreeSet<String> {
        let serial_number = &order.spec.record.device.serial_number;
        let orders = self
            .objects
            .orders
            .by_index(BY_SERIAL_NUMBER, serial_number);
        let others = orders.iter().filter(|other| Key::of(&***other) != *key);
        others.flat_map(|other| at_server(other)).collect()
    }

    fn model(&self, device: &Device) -> Option<Arc<DeviceModel>> {
        let name = &*device.spec.model_ref.name;
        self.objects.models.get(&Key::new("", name))
    }

    fn fault_of_record(
        &self,
        key: &Key,
        order: &SupplyOrder,
        device: Option<&Device>,
    ) -> Option<Fault> {
        let named = &*order.spec.record.subscription.name;
        let subscription = Key::new(key.namespace.clone(), named);
        let subscription = self.objects.subscriptions.get(&subscription);
        let now = self.context.clock.now();
        let service = subscription.as_deref().and_then(|subscription| {
            let name = service_of(subscription, now)?;
            self.objects.services.get(&Key::new("", name))
        });
        let model = device.and_then(|device| self.model(device));
        let against = CheckedAgainst {
            subscription: subscription.as_deref(),
            service: service.as_deref(),
            device,
            now,
            model: model.as_deref(),
        };
        fault_of(order, against)
    }

    /// Returns the order server, as this namespace may use it.
    async fn server(
        &self,
        key: &Key,
        order: &SupplyOrder,
    ) -> Result<(ServerTerms, ServerTarget), Fault> {
        let name = &*order.spec.record.connection_ref.name;
        let connection = self.objects.connections.get(&Key::new("", name));
        let connection = connection.ok_or_else(|| {
            let unreadable = self.objects.unreadable(&key.namespace);
            unreadable.not_at_hand(Referent::Connection, name)
        })?;
        let url = url(&connection)?;
        let namespace = self.objects.namespaces.get(&Key::new("", &*key.namespace));
        let labels = namespace.map(|namespace| namespace.labels().clone());
        let labels = labels.unwrap_or_default();
        let now = self.context.clock.now();
        let profile = self
            .profiles
            .profile(&connection, (&*key.namespace, &labels), None, now)
            .await?;
        let target = ServerTarget {
            profile,
            url,
            secrets: NoSecrets::default(),
        };
        Ok((ServerTerms::of(&connection), target))
    }
}

fn url(connection: &Arc<Connection>) -> Result<String, Fault> {
    let http = connection.spec.http.as_ref();
    let http = http.filter(|_| connection.spec.protocol == Protocol::HTTP);
    http.map(|http| http.url.clone()).ok_or_else(|| {
        let protocol = connection.spec.protocol;
        let name = connection.name_any();
        let message = format!(
            "the Connection {name} has protocol {protocol:?}: that of an order server is HTTP"
        );
        (Reason::UnsupportedValue, message)
    })
}
