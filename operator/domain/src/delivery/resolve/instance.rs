//! Resolve, server side: the instance and the parameters that a subscription wants.
//!
//! The id of the instance is a function of stable names only, so that a restore or a move to
//! another cluster finds its instances again. Called by resolve.

use entente_crds::{
    condition::Reason,
    item_key::ItemKey,
    v1alpha1::{
        InstanceBroker, Proof, ServerInstance, ServerSide, ServiceSubscription, SmartService,
        Updates,
    },
};
use kube::ResourceExt as _;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::authority::authority_fault;
use crate::broker::{another_broker, broker_at};
use crate::delivery::leaving::leaving;
use crate::delivery::observations::record::may_exist;
use crate::delivery::{
    Blocked, DeviceSnapshot, Parameters, ResolvedItem, ServerValue, Wanted, digest,
    resolve::endpoint::check_usable, resolve::values::Values,
};
use crate::names::{ConnectionName, SubscriptionName};
use crate::reasons::Side;
use crate::remote::{InstanceContext, InstanceKey};
use crate::unreadable::Referent;

pub(in crate::delivery) mod offering;
mod parameters;

use self::offering::{find_offering, recorded_offering};
use self::parameters::{literal, pointer_of, server_setting};
pub(in crate::delivery) use offering::ResolvedOffering;
pub use parameters::ResolvedSetting;

/// The namespace of our instance ids (RFC 9562 version 5).
const INSTANCE_NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_52f4_0c1e_5b7e_9a57_1d0e_3c7b_aa01);

/// The namespace of the ids of customers at brokers (RFC 9562 version 5).
const ORGANIZATION_NAMESPACE: Uuid = Uuid::from_u128(0xd2a7_0e53_6b0f_5d41_8c3e_94f1_27ab_5e02);

/// Wants of one subscription on its service server.
#[derive(Clone, Debug)]
pub struct ResolvedServer {
    /// The Connection.
    pub connection: ConnectionName,
    /// The URL of the broker, or the obstacle to its use.
    pub url: Result<String, Blocked>,
    /// The id of the instance.
    pub instance_id: String,
    /// Customer and subscription of the instance.
    pub context: InstanceContext,
    /// The offering's name, which is known before the catalog is.
    pub offering_name: String,
    /// The plan's name.
    pub plan_name: String,
    /// Its offering and plan in the catalog; `None` while the catalog was not read.
    pub offering: Option<ResolvedOffering>,
    /// Content of an update.
    pub updates: Updates,
    /// Proof that counts if the instance cannot be fetched.
    pub proof: Proof,
    /// The settings.
    pub settings: Vec<ResolvedSetting>,
    /// Setting that the Activation step turns on.
    pub activation: Option<ResolvedActivation>,
    /// True if it is only the instance that is left in the status, and not the one that the service
    /// wants.
    pub is_obsolete: bool,
}

/// Setting that the Activation step turns on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolvedActivation {
    /// The key of the item.
    pub key: ItemKey,
    /// Place in the parameters as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The value while it is on.
    pub active: Json,
    /// The value before and after.
    pub inactive: Json,
}

/// Returns the id of a subscription's instance: version 5 UUID of namespace, contract, service,
/// device and customer id. Those that succeed each other have one id.
pub fn instance_id(namespace: &str, subscription: &ServiceSubscription) -> String {
    let spec = &subscription.spec;
    let (contract, service) = match &spec.origin {
        Some(first) => (&first.contract, &first.service_name),
        None => (&spec.contract.name, &spec.service_name),
    };
    let name = [
        namespace,
        contract,
        service,
        &spec.device_ref.name,
        &spec.customer.id,
    ]
    .join("\n");
    Uuid::new_v5(&INSTANCE_NAMESPACE, name.as_bytes()).to_string()
}

/// Returns the id of the instance that a service wants of an offering of a broker. While the instance
/// before it is on the same broker under the id of the subscription, the next one has the offering in
/// its id, and keeps it.
fn id_at(
    snapshot: &DeviceSnapshot,
    subscription: &ServiceSubscription,
    side: &ServerSide,
    recorded: Option<&ServerInstance>,
) -> String {
    let first = instance_id(&snapshot.namespace, subscription);
    let name = [&first, &side.connection_ref.name, &side.offering].map(String::as_str);
    let next = Uuid::new_v5(&INSTANCE_NAMESPACE, name.join("\n").as_bytes()).to_string();
    let is_next = recorded.is_some_and(|recorded| recorded.instance_id == next);
    let is_first_taken = leaving(subscription).is_some_and(|left| {
        left.server.connection_ref.name == side.connection_ref.name
            && left.server.instance_id == first
    });
    if is_next || is_first_taken {
        next
    } else {
        first
    }
}

/// Returns the id of a customer at a broker: version 5 UUID of namespace and customer id, since who
/// edits a namespace chooses customer ids, and those of another one are no business of his.
fn organization(namespace: &str, customer: &str) -> String {
    let name = [namespace, customer].join("\n");
    Uuid::new_v5(&ORGANIZATION_NAMESPACE, name.as_bytes()).to_string()
}

impl ResolvedServer {
    /// Returns the server side of a service that no longer exists: the instance in the status.
    pub(in crate::delivery) fn from_record(
        snapshot: &DeviceSnapshot,
        subscription: &ServiceSubscription,
        recorded: &ServerInstance,
    ) -> Self {
        let catalog = snapshot.catalogs.get(recorded.connection_ref.name.as_str());
        Self {
            connection: recorded.connection_ref.name.as_str().into(),
            url: match broker_changed(snapshot, recorded) {
                Some(blocked) => Err(blocked),
                None => url(snapshot, &recorded.connection_ref.name),
            },
            instance_id: recorded.instance_id.clone(),
            context: context(snapshot, subscription, Some(recorded)),
            offering_name: String::new(),
            plan_name: String::new(),
            offering: Some(recorded_offering(catalog.map(|it| &**it), recorded)),
            updates: Updates::Replace,
            proof: Proof::Read,
            settings: Vec::new(),
            activation: None,
            is_obsolete: true,
        }
    }

    /// True if the existing instance is on another broker or of another offering than the wanted
    /// one. Only a new instance can become that.
    pub(in crate::delivery) fn is_another_than(&self, wanted: &Self) -> bool {
        let service = |server: &Self| server.offering.as_ref().map(|o| o.service_id.clone());
        self.connection != wanted.connection
            || wanted.offering.is_some() && service(self) != service(wanted)
    }

    /// Returns the instance that is written into status before the first provision.
    pub fn to_record(&self) -> Option<ServerInstance> {
        let offering = self.offering.as_ref()?;
        Some(ServerInstance {
            connection_ref: entente_crds::v1alpha1::NameReference {
                name: self.connection.to_string(),
            },
            instance_id: self.instance_id.clone(),
            organization: Some(self.context.organization.clone()),
            service_id: offering.service_id.clone(),
            plan_id: offering.plan_id.clone(),
            offering: Some(self.offering_name.clone()),
            plan: Some(self.plan_name.clone()),
            broker: self.broker(),
            ..ServerInstance::default()
        })
    }

    /// Returns the broker to which the Connection leads, if it may be used.
    pub(in crate::delivery) fn broker(&self) -> Option<InstanceBroker> {
        self.url.as_ref().ok().map(|url| broker_at(url))
    }

    /// Returns the instance as the driver names it.
    pub fn key(&self) -> Option<InstanceKey> {
        let offering = self.offering.as_ref()?;
        Some(InstanceKey {
            instance_id: self.instance_id.clone(),
            service_id: offering.service_id.clone(),
            plan_id: offering.plan_id.clone(),
        })
    }

    /// Returns every parameter, with the service on or off.
    pub fn parameters(&self, active: bool) -> Parameters {
        let mut parameters = Parameters::default();
        for setting in &self.settings {
            parameters.insert(&setting.pointer, &setting.value);
        }
        if let Some(activation) = &self.activation {
            let value = if active {
                &activation.active
            } else {
                &activation.inactive
            };
            parameters.insert(&activation.pointer, &ServerValue::Open(value.clone()));
        }
        parameters
    }

    /// Returns it with the service wanted off, while a leg of its activation is missing.
    #[must_use]
    pub(in crate::delivery) fn turned_off(mut self) -> Self {
        if let Some(activation) = &mut self.activation {
            activation.active.clone_from(&activation.inactive);
        }
        self
    }

    /// Returns the items of the step ServerSettings: the instance itself, then each setting.
    pub fn setting_items(&self) -> Vec<ResolvedItem> {
        let instance = ResolvedItem {
            key: ItemKey::server_instance(),
            digest: digest(&(
                &self.connection,
                &self.instance_id,
                &self.offering_name,
                &self.plan_name,
            )),
            wanted: Wanted::ServerInstance,
            conflict: None,
            overridden: false,
        };
        let settings = self.settings.iter().map(|setting| ResolvedItem {
            key: setting.key.clone(),
            digest: digest(&(
                &self.connection,
                &self.instance_id,
                &setting.pointer,
                &setting.value,
            )),
            wanted: Wanted::ServerSetting {
                pointer: setting.pointer.clone(),
                write_only: setting.write_only,
                value: setting.value.clone(),
            },
            conflict: None,
            overridden: false,
        });
        std::iter::once(instance).chain(settings).collect()
    }

    /// Returns the item of the step Activation, where the service has one.
    pub fn activation_items(&self) -> Vec<ResolvedItem> {
        let item = self.activation.as_ref().map(|activation| ResolvedItem {
            key: activation.key.clone(),
            digest: digest(&(
                &self.connection,
                &self.instance_id,
                &activation.pointer,
                &activation.active,
            )),
            wanted: Wanted::Activation {
                pointer: activation.pointer.clone(),
                active: activation.active.clone(),
            },
            conflict: None,
            overridden: false,
        });
        item.into_iter().collect()
    }
}

/// Returns the wants of a subscription on its service server; `None` if the service has none (B4).
pub(in crate::delivery) fn resolve_server(
    snapshot: &DeviceSnapshot,
    subscription: &ServiceSubscription,
    service: &SmartService,
    values: &Values<'_>,
) -> Result<Option<ResolvedServer>, Blocked> {
    let Some(side) = &service.spec.server else {
        return Ok(None);
    };
    let connection = ConnectionName::from(&side.connection_ref.name);
    let url = url(snapshot, &connection);
    let mut settings = Vec::new();
    for setting in &side.settings {
        if let Some(entry) = server_setting(service, setting, values)? {
            settings.push(entry);
        }
    }
    let recorded = subscription
        .status
        .as_ref()
        .and_then(|status| status.server.as_ref())
        .filter(|recorded| *recorded.connection_ref.name == *connection);
    if let Some(blocked) = recorded.and_then(|recorded| broker_changed(snapshot, recorded)) {
        return Err(blocked);
    }
    let offering = match snapshot.catalogs.get(&connection) {
        Some(catalog) => Some(find_offering(catalog, side, recorded)?),
        // After a restart the instance in status names its offering.
        None => recorded.map(|recorded| recorded_offering(None, recorded)),
    };
    if let Err(blocked) = &url {
        return Err(blocked.clone());
    }
    Ok(Some(ResolvedServer {
        url,
        instance_id: id_at(snapshot, subscription, side, recorded),
        context: context(snapshot, subscription, recorded),
        offering_name: side.offering.clone(),
        plan_name: side.plan.clone(),
        offering,
        updates: side.updates,
        proof: side.proof,
        settings,
        activation: side
            .activation
            .as_ref()
            .map(|activation| ResolvedActivation {
                key: ItemKey::activation(&activation.name),
                pointer: pointer_of(None, &activation.name),
                active: literal(&activation.active),
                inactive: literal(&activation.inactive),
            }),
        is_obsolete: false,
        connection,
    }))
}

/// Returns the obstacle if the Connection of an instance that may exist leads to another broker than
/// the one at which it was made.
fn broker_changed(snapshot: &DeviceSnapshot, recorded: &ServerInstance) -> Option<Blocked> {
    let name = &*recorded.connection_ref.name;
    let endpoint = snapshot.connections.get(name)?.spec.osb.as_ref()?;
    let made_at = recorded.broker.as_ref().filter(|_| may_exist(recorded));
    let message = another_broker(name, endpoint, made_at)?;
    Some(Blocked {
        side: Some(Side::Server),
        ..Blocked::new(Reason::BrokerChanged, message)
    })
}

fn url(snapshot: &DeviceSnapshot, name: &str) -> Result<String, Blocked> {
    let connection = snapshot.connections.get(name);
    let connection = connection.ok_or_else(|| snapshot.not_at_hand(Referent::Connection, name))?;
    check_usable(snapshot, name, connection)?;
    let unsupported = |message: String| Blocked::new(Reason::UnsupportedValue, message);
    let osb = connection.spec.osb.as_ref().ok_or_else(|| {
        unsupported(format!(
            "the Connection {name} is no service broker; name one of protocol OSB"
        ))
    })?;
    match authority_fault(&osb.url) {
        None => Ok(osb.url.clone()),
        Some(fault) => Err(unsupported(format!(
            "the url of the Connection {name} cannot be dialled: {fault}"
        ))),
    }
}

/// Returns the customer and the subscription of an instance, as the broker is told them. The
/// record is there before the first provision is sent, so that the one after a lost answer is the
/// same; one without an organization is of an earlier version, which sent the customer id. The name
/// is that of the first of a chain, as the id of the instance is.
fn context(
    snapshot: &DeviceSnapshot,
    subscription: &ServiceSubscription,
    recorded: Option<&ServerInstance>,
) -> InstanceContext {
    let customer = &subscription.spec.customer.id;
    let organization = match recorded {
        Some(recorded) => recorded.organization.as_ref().unwrap_or(customer).clone(),
        None => organization(&snapshot.namespace, customer),
    };
    InstanceContext {
        organization,
        namespace: snapshot.namespace.clone(),
        subscription: match &subscription.spec.origin {
            Some(first) => {
                let device = &subscription.spec.device_ref.name;
                format!("{}.{}.{device}", first.contract, first.service_name)
            }
            None => SubscriptionName::from(subscription.name_any())
                .object()
                .to_string(),
        },
    }
}
