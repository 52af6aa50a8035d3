//! Connections made usable: Secrets and authorities are read by name, just before use.
//!
//! Nothing is listed or watched here; what was read is kept for a few seconds, so that a fleet
//! does not read one Secret once per device, and a change takes effect without a restart.
//! Called by the observe stage of delivery and by the catalogue controller.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use entente_crds::{
    condition::Reason,
    v1alpha1::{Connection, Trust},
};
use entente_domain::delivery::allows;
use entente_drivers::profile::{ConnectionProfile, CredentialsValue, parse_networks};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, ResourceExt as _};

/// How long what was read is used again.
const KEPT: SignedDuration = SignedDuration::from_secs(10);

/// What keeps a Connection from being used.
pub(crate) type Fault = (Reason, String);

/// Reads and keeps the profiles of Connections.
pub(crate) struct Profiles {
    client: Client,
    namespace: String,
    kept: Mutex<HashMap<String, Kept>>,
}

#[derive(Clone)]
struct Kept {
    until: Timestamp,
    version: Option<String>,
    material: Result<Material, Fault>,
}

#[derive(Clone, Default)]
struct Material {
    ca_pem: Option<String>,
    credentials: Option<CredentialsValue>,
}

impl Profiles {
    pub(crate) fn new(client: Client, namespace: String) -> Self {
        Self {
            client,
            namespace,
            kept: Mutex::new(HashMap::new()),
        }
    }

    /// The profile of a connection for objects of a namespace with these labels.
    pub(crate) async fn profile(
        &self,
        connection: &Connection,
        namespace_labels: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<Arc<ConnectionProfile>, Fault> {
        let name = connection.name_any();
        let networks: Vec<String> = connection
            .spec
            .allow
            .iter()
            .filter(|entry| entry.namespaces.matches(namespace_labels))
            .flat_map(|entry| entry.networks.clone())
            .collect();
        if allows(connection, namespace_labels).is_none() {
            let message = format!("the Connection {name} does not allow this namespace");
            return Err((Reason::NotAllowed, message));
        }
        self.build(connection, &networks, now).await
    }

    /// The profile of a connection for a probe of the operator's own, for all its networks.
    pub(crate) async fn probe_profile(
        &self,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Arc<ConnectionProfile>, Fault> {
        let entries = connection.spec.allow.iter();
        let networks: Vec<String> = entries.flat_map(|entry| entry.networks.clone()).collect();
        self.build(connection, &networks, now).await
    }

    async fn build(
        &self,
        connection: &Connection,
        networks: &[String],
        now: Timestamp,
    ) -> Result<Arc<ConnectionProfile>, Fault> {
        let name = connection.name_any();
        let material = self.material(connection, now).await?;
        let unusable = |error: entente_drivers::profile::ProfileError| {
            (
                Reason::UnsupportedValue,
                format!("the Connection {name} cannot be used: {error}"),
            )
        };
        let networks = parse_networks(networks).map_err(unusable)?;
        ConnectionProfile::from_spec(
            &name,
            &connection.spec,
            networks,
            material.ca_pem,
            material.credentials,
        )
        .map(Arc::new)
        .map_err(unusable)
    }

    async fn material(&self, connection: &Connection, now: Timestamp) -> Result<Material, Fault> {
        let spec = &connection.spec;
        let tls = spec.tls.as_ref();
        if spec.credentials.is_none() && tls.is_none_or(|tls| tls.ca_config_map_ref.is_none()) {
            return Ok(Material::default());
        }
        let name = connection.name_any();
        let version = connection.resource_version();
        let known = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&name)
            .filter(|kept| kept.until > now && kept.version == version)
            .cloned();
        if let Some(kept) = known {
            return kept.material;
        }
        let material = self.read(connection).await;
        let until = now.checked_add(KEPT).unwrap_or(Timestamp::MAX);
        let kept = Kept {
            until,
            version,
            material: material.clone(),
        };
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, kept);
        material
    }

    async fn read(&self, connection: &Connection) -> Result<Material, Fault> {
        let mut material = Material::default();
        if let Some(tls) = &connection.spec.tls
            && tls.trust == Trust::Verify
            && let Some(reference) = &tls.ca_config_map_ref
        {
            let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
            let found = api.get_opt(&reference.name).await;
            let map = self.found("ConfigMap", &reference.name, found)?;
            let pem = map.data.unwrap_or_default().remove("ca.crt");
            material.ca_pem = Some(pem.ok_or_else(|| {
                let message = format!("the ConfigMap {} has no key ca.crt", reference.name);
                (Reason::SecretKeyMissing, message)
            })?);
        }
        if let Some(credentials) = &connection.spec.credentials {
            let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
            let name = &credentials.secret_ref.name;
            let secret = self.found("Secret", name, api.get_opt(name).await)?;
            let data = secret.data.unwrap_or_default();
            let data = data
                .into_iter()
                .map(|(key, value)| (key, value.0))
                .collect();
            let value =
                CredentialsValue::from_secret(credentials.r#type, &data).map_err(|error| {
                    (
                        Reason::SecretKeyMissing,
                        format!("the Secret {name}: {error}"),
                    )
                })?;
            material.credentials = Some(value);
        }
        Ok(material)
    }

    fn found<K>(
        &self,
        kind: &str,
        name: &str,
        result: Result<Option<K>, kube::Error>,
    ) -> Result<K, Fault> {
        match result {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err((
                Reason::SecretNotFound,
                format!(
                    "the {kind} {name} does not exist in the namespace {}",
                    self.namespace
                ),
            )),
            Err(kube::Error::Api(status)) if status.is_forbidden() => Err((
                Reason::SecretForbidden,
                format!(
                    "the operator may not read the {kind} {name} in {}",
                    self.namespace
                ),
            )),
            Err(_) => Err((
                Reason::SecretNotFound,
                format!("the {kind} {name} could not be read from the API server"),
            )),
        }
    }
}
