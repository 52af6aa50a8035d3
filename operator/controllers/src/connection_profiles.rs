//! Connections made usable: their networks, authorities and credentials in one profile.
//!
//! Secrets and ConfigMaps that they name are read just before use (`secrets`). Called by the
//! observe stage of delivery, by the catalogue controller, and by the gateway for artifacts.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use entente_crds::{
    condition::Reason,
    v1alpha1::{Connection, LocalReference, Trust},
};
use entente_domain::delivery::{allows, login_fault};
use entente_drivers::{
    credentials::CredentialsValue,
    profile::{ConnectionProfile, parse_networks},
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::{
    defect::guarded_now,
    secrets::{Fault, Secrets},
};

/// Makes the profiles of Connections.
pub struct ConnectionProfiles {
    secrets: Arc<Secrets>,
    /// The generation of each Connection that was last used.
    generations: Mutex<HashMap<String, Option<i64>>>,
}

impl ConnectionProfiles {
    /// Returns a maker of profiles that reads Secrets and ConfigMaps through this reader.
    pub fn new(secrets: Arc<Secrets>) -> Self {
        Self {
            secrets,
            generations: Mutex::default(),
        }
    }

    /// Returns the profile of a connection for objects of a namespace, given by name and labels.
    /// `of_device` is the namespace of a Device and the Secret in it with its credentials.
    ///
    /// # Errors
    /// A fault of the Connection, or of what it names, with its reason.
    pub async fn profile(
        &self,
        connection: &Connection,
        (namespace, namespace_labels): (&str, &BTreeMap<String, String>),
        of_device: Option<(&str, &LocalReference)>,
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
        let built = self.build(connection, &networks, of_device, now).await?;
        Ok(Arc::new(built.for_tenant(namespace)))
    }

    /// Returns the profile of a connection for a probe of the operator's own, for all its networks.
    pub(crate) async fn probe_profile(
        &self,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Arc<ConnectionProfile>, Fault> {
        let entries = connection.spec.allow.iter();
        let networks: Vec<String> = entries.flat_map(|entry| entry.networks.clone()).collect();
        let built = self.build(connection, &networks, None, now).await?;
        Ok(Arc::new(built))
    }

    async fn build(
        &self,
        connection: &Connection,
        networks: &[String],
        of_device: Option<(&str, &LocalReference)>,
        now: Timestamp,
    ) -> Result<ConnectionProfile, Fault> {
        let name = connection.name_any();
        self.read_anew_where_changed(connection);
        let ca_pem = self.authorities(connection, now).await?;
        let credentials = self.credentials(connection, of_device, now).await?;
        let unusable = |error: entente_drivers::profile::ProfileError| {
            (
                Reason::UnsupportedValue,
                format!("the Connection {name} cannot be used: {error}"),
            )
        };
        let networks = parse_networks(networks).map_err(unusable)?;
        let made = read_guarded(&name, || {
            ConnectionProfile::from_spec(&name, &connection.spec, networks, ca_pem, credentials)
        })?;
        made.map_err(unusable)
    }

    /// Reads the Secret and the authorities anew after an edit of the Connection: both are often
    /// edited together.
    fn read_anew_where_changed(&self, connection: &Connection) {
        let generation = connection.metadata.generation;
        let generations = self.generations.lock();
        let mut generations = generations.unwrap_or_else(PoisonError::into_inner);
        let before = generations.insert(connection.name_any(), generation);
        if before.is_some_and(|before| before != generation) {
            self.secrets.forget();
        }
    }

    async fn authorities(
        &self,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Option<String>, Fault> {
        let tls = connection.spec.tls.as_ref();
        let tls = tls.filter(|tls| tls.trust == Trust::Verify);
        let Some(reference) = tls.and_then(|tls| tls.ca_config_map_ref.as_ref()) else {
            return Ok(None);
        };
        let map = self.secrets.config_map(&reference.name, now).await?;
        let pem = map.get("ca.crt").cloned();
        pem.map(Some).ok_or_else(|| {
            let message = format!("the ConfigMap {} has no key ca.crt", reference.name);
            (Reason::SecretKeyMissing, message)
        })
    }

    /// Returns the credentials: those of the device, else those of the connection.
    async fn credentials(
        &self,
        connection: &Connection,
        of_device: Option<(&str, &LocalReference)>,
        now: Timestamp,
    ) -> Result<Option<CredentialsValue>, Fault> {
        if of_device.is_none()
            && let Some(message) = login_fault(&connection.name_any(), &connection.spec)
        {
            return Err((Reason::UnsupportedValue, message));
        }
        let of_connection = connection.spec.credentials.as_ref();
        let own = self.secrets.own_namespace();
        let of_connection = of_connection.and_then(|credentials| credentials.secret_ref.as_ref());
        let of_connection = of_connection.map(|reference| (own, reference));
        let Some((namespace, reference)) = of_device.or(of_connection) else {
            return Ok(None);
        };
        let name = &reference.name;
        let secret = self.secrets.secret(namespace, name, now).await?;
        let kind = connection.spec.credentials_type();
        read_guarded(name, || secret.credentials(kind))?
            .map(Some)
            .map_err(|error| {
                let message = format!("the Secret {name}: {error}");
                (Reason::SecretKeyMissing, message)
            })
    }
}

/// Reads certificates and keys of a Connection or Secret with the decoders of others; one that
/// panics over them makes that object unusable, and nothing else.
fn read_guarded<T>(name: &str, read: impl FnOnce() -> T) -> Result<T, Fault> {
    guarded_now("certificates and keys", read).ok_or_else(|| {
        let message = format!(
            "the operator met a defect of its own over the certificates and keys of {name}, and \
             its log says more"
        );
        (Reason::UnsupportedValue, message)
    })
}

#[cfg(test)]
mod tests {
    use entente_crds::v1alpha1::{AllowEntry, ConnectionSpec, Credentials, IppEndpoint};
    use serde_json::json;

    use super::*;
    use crate::fake_api::FakeApi;

    fn profiles() -> (ConnectionProfiles, FakeApi) {
        let (client, api) = FakeApi::new();
        let secrets = Secrets::new(client, "entente-system".to_owned());
        (ConnectionProfiles::new(Arc::new(secrets)), api)
    }

    /// Returns a Connection from before the rule.
    fn for_any_host() -> Connection {
        let spec = ConnectionSpec {
            ipp: Some(IppEndpoint {
                url: "ipp://{address}/ipp/print".to_owned(),
                ports: Vec::new(),
            }),
            allow: vec![AllowEntry::default()],
            credentials: Some(Credentials {
                secret_ref: Some(LocalReference::default()),
                ..Credentials::default()
            }),
            ..ConnectionSpec::default()
        };
        Connection::new("hq", spec)
    }

    // shows K4
    #[tokio::test]
    async fn a_login_that_would_go_to_any_host_is_not_even_read() {
        let (profiles, mut api) = profiles();
        let (connection, now) = (for_any_host(), Timestamp::UNIX_EPOCH);
        let labels = BTreeMap::new();
        let of_nobody = profiles.probe_profile(&connection, now).await;
        let of_a_device = profiles.profile(&connection, ("acme", &labels), None, now);
        for refused in [of_nobody, of_a_device.await] {
            let (reason, message) = refused.expect_err("it is refused");
            assert_eq!(reason, Reason::UnsupportedValue);
            assert!(message.contains("ipps://"), "{message}");
        }
        assert!(api.is_silent());
    }

    // shows K4
    #[tokio::test]
    async fn a_device_with_a_login_of_its_own_is_reached_by_such_a_connection() {
        let (profiles, mut api) = profiles();
        let (connection, now) = (for_any_host(), Timestamp::UNIX_EPOCH);
        let own = LocalReference {
            name: "own".to_owned(),
        };
        let labels = BTreeMap::new();
        let asking = profiles.profile(&connection, ("acme", &labels), Some(("acme", &own)), now);
        let answering = async {
            let asked = api.next().await;
            assert_eq!(asked.target, "/api/v1/namespaces/acme/secrets/own");
            let data = json!({"username": "bWU=", "password": "bWU="});
            asked.answer(
                200,
                &json!({"kind": "Secret", "apiVersion": "v1", "data": data,
                    "metadata": {"name": "own", "labels": {"entente.dev/use": "true"}}}),
            );
        };
        let (profile, ()) = tokio::join!(asking, answering);
        let profile = profile.expect("it can be used");
        assert!(profile.credentials.is_some());
        assert_eq!(profile.tenant, "acme");
        assert!(api.is_silent());
    }

    // shows K7
    #[test]
    fn a_certificate_over_which_its_decoder_panics_is_a_fault_of_its_object() {
        let read = read_guarded::<u8>("hq", || panic!("on purpose"));
        let (reason, message) = read.expect_err("a fault");
        assert_eq!(reason, Reason::UnsupportedValue);
        assert!(message.contains("of hq"), "{message}");
        assert_eq!(read_guarded("hq", || 7), Ok(7));
    }
}
