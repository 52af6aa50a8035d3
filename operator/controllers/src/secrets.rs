//! Secrets and ConfigMaps, read by name just before use.
//!
//! Nothing is listed or watched here. A reading is kept for a few seconds and made once for all who
//! ask at the same time, so that a fleet does not read one Secret once per device; a change takes
//! effect without a restart. An object that cannot be read is a fault with a reason, for the status
//! of its users. Also keeps the operator's own key for digests. Called by `connection_profiles`, by
//! the observe stage of delivery, and by the gateway.

mod read_through;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use entente_crds::{
    LABEL_USE, MAY_BE_USED,
    condition::Reason,
    v1alpha1::{CredentialsType, SecretKeyReference},
};
use entente_domain::secret::{DigestKey, SecretText};
use entente_drivers::credentials::{CredentialsError, CredentialsValue};
use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{Api, Client, api::PostParams};
use zeroize::{Zeroize as _, Zeroizing};

use self::read_through::ReadThrough;
use crate::api_error;

/// The Secret with the operator's own key for digests, which the chart makes empty.
pub(crate) const DIGEST_KEY_SECRET: &str = "entente-digest-key";

/// The RoleBinding of the chart that lets the operator read Secrets of a tenant's namespace.
const TENANT_BINDING: &str = "entente-tenant-secrets";

/// The key in its data.
const DIGEST_KEY: &str = "key";

/// Length of the key in bytes: that of the output of HMAC-SHA-256.
const DIGEST_KEY_BYTES: usize = 32;

/// Fault that prevents the use of a Secret or ConfigMap.
pub type Fault = (Reason, String);

/// Reason for which a Secret has no value for its user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unread {
    /// Somebody has to change something: it does not exist, may not be read or used, or has no text
    /// under the key.
    Unusable(Reason, String),
    /// The API server did not say: it may be there.
    Unanswered(String),
}

impl From<Unread> for Fault {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Unusable(reason, message) => (reason, message),
            Unread::Unanswered(message) => (Reason::SecretNotFound, message),
        }
    }
}

/// Content of a Secret; wiped from memory when dropped.
#[derive(Default)]
pub(crate) struct SecretData {
    values: BTreeMap<String, Vec<u8>>,
    /// The credentials, parsed once for all devices that use them: a private key takes its time.
    login: Mutex<Option<(CredentialsType, Login)>>,
}

type Login = Result<CredentialsValue, CredentialsError>;

impl SecretData {
    /// Returns the text under a key of the Secret, whose name is for messages. White space at its end is
    /// dropped, since files and `base64` leave a line feed there.
    pub(crate) fn text(&self, name: &str, key: &str) -> Result<&str, Fault> {
        let bytes = self.values.get(key).ok_or_else(|| {
            let message = format!("the Secret {name} has no key {key}");
            (Reason::SecretKeyMissing, message)
        })?;
        let text = std::str::from_utf8(bytes).map(str::trim_end);
        text.ok().filter(|text| !text.is_empty()).ok_or_else(|| {
            let message = format!("the key {key} of the Secret {name} holds no text");
            (Reason::SecretKeyMissing, message)
        })
    }

    /// Returns its credentials.
    pub(crate) fn credentials(&self, kind: CredentialsType) -> Login {
        let mut login = self.login.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, login)) = &*login
            && *of == kind
        {
            return login.clone();
        }
        let read = CredentialsValue::from_secret(kind, &self.values);
        *login = Some((kind, read.clone()));
        read
    }
}

impl Drop for SecretData {
    fn drop(&mut self) {
        self.values.values_mut().for_each(Vec::zeroize);
    }
}

/// Reads Secrets and ConfigMaps, and keeps them for a few seconds.
pub struct Secrets {
    client: Client,
    namespace: String,
    objects: ReadThrough<SecretData, Unread>,
    config_maps: ReadThrough<BTreeMap<String, String>, Fault>,
    digest_key: tokio::sync::OnceCell<DigestKey>,
}

impl Secrets {
    /// Makes a reader; `namespace` is the operator's own.
    pub fn new(client: Client, namespace: String) -> Self {
        Self {
            client,
            namespace,
            objects: ReadThrough::default(),
            config_maps: ReadThrough::default(),
            digest_key: tokio::sync::OnceCell::new(),
        }
    }

    /// Returns the operator's own namespace.
    pub(crate) fn own_namespace(&self) -> &str {
        &self.namespace
    }

    /// Forgets the readings of a tenant's Secrets: a person there asked for that. What others have
    /// stays, so that no tenant makes the operator read all Secrets all the time.
    pub(crate) fn forget_namespace(&self, namespace: &str) {
        self.objects.forget_namespace(namespace);
    }

    /// Forgets every reading: the platform team has just changed an object that refers to them.
    pub(crate) fn forget(&self) {
        self.objects.forget();
        self.config_maps.forget();
    }

    /// Returns the content of a Secret. One outside the operator's own namespace needs the label by
    /// which its owners let it be used: else whoever may write a Contract there could have any
    /// Secret sent out.
    pub(crate) async fn secret(
        &self,
        namespace: &str,
        name: &str,
        now: Timestamp,
    ) -> Result<Arc<SecretData>, Fault> {
        Ok(self.read(namespace, name, now).await?)
    }

    async fn read(
        &self,
        namespace: &str,
        name: &str,
        now: Timestamp,
    ) -> Result<Arc<SecretData>, Unread> {
        let read = async || {
            let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
            let secret = self.found("Secret", namespace, name, api.get_opt(name).await)?;
            let labels = secret.metadata.labels.unwrap_or_default();
            let data = secret.data.unwrap_or_default();
            let data = data.into_iter().map(|(key, value)| (key, value.0));
            // Wiped when dropped, also if it may not be used.
            let data = SecretData {
                values: data.collect(),
                login: Mutex::default(),
            };
            let is_labelled = labels
                .get(LABEL_USE)
                .is_some_and(|value| value == MAY_BE_USED);
            if namespace != self.namespace && !is_labelled {
                return Err(Unread::Unusable(
                    Reason::SecretForbidden,
                    format!(
                        "the Secret {name} in {namespace} may not be used; it needs the label \
                         {LABEL_USE}: \"{MAY_BE_USED}\""
                    ),
                ));
            }
            Ok(data)
        };
        self.objects.get(namespace, name, now, read).await
    }

    /// Returns the content of a ConfigMap of the operator's own namespace.
    pub(crate) async fn config_map(
        &self,
        name: &str,
        now: Timestamp,
    ) -> Result<Arc<BTreeMap<String, String>>, Fault> {
        let namespace = &self.namespace;
        let read = async || {
            let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
            let map = self.found("ConfigMap", namespace, name, api.get_opt(name).await)?;
            Ok(map.data.unwrap_or_default())
        };
        self.config_maps.get(namespace, name, now, read).await
    }

    /// Returns the text under a key of a tenant's Secret.
    pub(crate) async fn text(
        &self,
        namespace: &str,
        reference: &SecretKeyReference,
        now: Timestamp,
    ) -> Result<SecretText, Fault> {
        let text = self.tenant_text(namespace, reference, now).await?;
        let digest_key = self.digest_key().await?;
        Ok(SecretText::new(text.to_string(), digest_key))
    }

    /// Returns the same text as it is, without a digest. It is wiped from memory when dropped.
    ///
    /// # Errors
    /// The Secret has no such text for its user, or could not be read.
    pub async fn tenant_text(
        &self,
        namespace: &str,
        SecretKeyReference { name, key }: &SecretKeyReference,
        now: Timestamp,
    ) -> Result<Zeroizing<String>, Unread> {
        let secret = self.read(namespace, name, now).await?;
        let text = secret.text(name, key);
        let text = text.map_err(|(reason, message)| Unread::Unusable(reason, message))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// Returns the text under a key of a tenant's Secret, with the digest that the operator has of it.
    /// Its key is read as any other Secret: it is another one after somebody has deleted it.
    ///
    /// # Errors
    /// The Secret has no such text for its user, or one of both could not be read.
    pub async fn digested_text(
        &self,
        namespace: &str,
        reference: &SecretKeyReference,
        now: Timestamp,
    ) -> Result<SecretText, Unread> {
        let text = self.tenant_text(namespace, reference, now).await?;
        let key = self.read(&self.namespace, DIGEST_KEY_SECRET, now).await;
        let key = key.map_err(|unread| Unread::Unanswered(Fault::from(unread).1))?;
        let bytes = key.values.get(DIGEST_KEY);
        let bytes = bytes.filter(|bytes| bytes.len() >= DIGEST_KEY_BYTES);
        let bytes = bytes.ok_or_else(|| {
            Unread::Unanswered(format!("the Secret {DIGEST_KEY_SECRET} has no key yet"))
        })?;
        Ok(SecretText::new(
            text.to_string(),
            &DigestKey::new(bytes.clone()),
        ))
    }

    /// Returns the operator's own key for digests, and makes it if there is none yet.
    async fn digest_key(&self) -> Result<&DigestKey, Fault> {
        self.digest_key
            .get_or_try_init(|| self.read_or_make_digest_key())
            .await
    }

    async fn read_or_make_digest_key(&self) -> Result<DigestKey, Fault> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = api.get_opt(DIGEST_KEY_SECRET).await;
        if matches!(found, Ok(None)) {
            return Err(missing_digest_key(&self.namespace));
        }
        let mut secret = self.found("Secret", &self.namespace, DIGEST_KEY_SECRET, found)?;
        let data = secret.data.get_or_insert_default();
        if let Some(key) = data.get(DIGEST_KEY).filter(|key| is_long_enough(key)) {
            return Ok(DigestKey::new(key.0.clone()));
        }
        let mut made = vec![0; DIGEST_KEY_BYTES];
        getrandom::fill(&mut made).map_err(|error| unusable_key(&error.to_string()))?;
        data.insert(DIGEST_KEY.to_owned(), ByteString(made.clone()));
        // With the resourceVersion that was read: two that make one at once do not overwrite each
        // other.
        let written = api
            .replace(DIGEST_KEY_SECRET, &PostParams::default(), &secret)
            .await;
        match written {
            Ok(_) => Ok(DigestKey::new(made)),
            Err(error) => Err(unusable_key(&api_error::words(&error))),
        }
    }

    fn found<K>(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        result: Result<Option<K>, kube::Error>,
    ) -> Result<K, Unread> {
        match result {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(Unread::Unusable(
                Reason::SecretNotFound,
                format!("the {kind} {name} does not exist in the namespace {namespace}"),
            )),
            Err(kube::Error::Api(status)) if status.is_forbidden() => {
                let cure = if namespace == self.namespace {
                    "give it the Role of the chart".to_owned()
                } else {
                    format!(
                        "it needs the RoleBinding {TENANT_BINDING} there (tenantSecrets.namespaces \
                         of the chart)"
                    )
                };
                Err(Unread::Unusable(
                    Reason::SecretForbidden,
                    format!("the operator may not read the {kind} {name} in {namespace}; {cure}"),
                ))
            }
            Err(_) => Err(Unread::Unanswered(format!(
                "the {kind} {name} could not be read from the API server"
            ))),
        }
    }
}

fn is_long_enough(key: &ByteString) -> bool {
    key.0.len() >= DIGEST_KEY_BYTES
}

/// Returns the fault of a digest key that was deleted: the operator may fill it and not make it.
fn missing_digest_key(namespace: &str) -> Fault {
    let message = format!(
        "the Secret {DIGEST_KEY_SECRET} does not exist in the namespace {namespace}; make it again \
         by `helm upgrade` of Entente's release"
    );
    (Reason::SecretNotFound, message)
}

fn unusable_key(error: &str) -> Fault {
    let message = format!("the Secret {DIGEST_KEY_SECRET} cannot be given a key: {error}");
    (Reason::SecretForbidden, message)
}

#[cfg(test)]
mod tests;
