//! The cluster as the caller may see it: a client of the kubeconfig, and reads that say what is missing.
//!
//! An object that this version cannot read is no reason to show nothing: it is named, and the others go
//! on. A refusal names the verb, the kind and the place, so that a missing right is never taken for a
//! missing object. Nothing is retried: a person waits.

mod error;
mod kubeconfig;

use std::time::Duration;

use http::Response;
use kube::api::ListParams;
use kube::client::ClientBuilder;
use kube::core::Request;
use kube::{Client, Resource};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use self::error::ClusterError;
use self::kubeconfig::configuration;
use crate::args::Target;

/// Time limit of connecting.
const CONNECT: Duration = Duration::from_secs(5);
/// Time limit of each read from the server.
const READ: Duration = Duration::from_secs(30);
/// Number of objects of one page.
const PAGE: u32 = 500;

/// Place of objects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// One namespace.
    Namespace(String),
    /// All namespaces, or the cluster itself for a kind that has none.
    Everywhere,
}

impl Place {
    /// Returns the namespace, if it is one.
    pub(crate) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Namespace(name) => Some(name),
            Self::Everywhere => None,
        }
    }

    /// Returns the place as the end of a sentence about objects: ` of namespace acme`.
    pub(crate) fn of(&self) -> String {
        format!(" of {}", self.words())
    }

    /// Returns the place as the end of a sentence about what is there: ` in namespace acme`.
    pub(crate) fn within(&self) -> String {
        format!(" in {}", self.words())
    }

    fn words(&self) -> String {
        match self {
            Self::Namespace(name) => format!("namespace {name}"),
            Self::Everywhere => "all namespaces".to_owned(),
        }
    }
}

/// Objects of one kind.
#[derive(Debug)]
pub(crate) struct Listed<K> {
    /// Those that were read.
    pub(crate) items: Vec<K>,
    /// A sentence for each that was not.
    pub(crate) unread: Vec<String>,
}

impl<K: Resource<DynamicType = ()> + DeserializeOwned> Listed<K> {
    /// Reads each object by itself, so that one of another version does not hide the others.
    fn of(values: Vec<Value>) -> Self {
        let mut listed = Self {
            items: Vec::new(),
            unread: Vec::new(),
        };
        for value in values {
            let what = title_of::<K>(&value);
            match serde_json::from_value(value) {
                Ok(object) => listed.items.push(object),
                Err(error) => listed
                    .unread
                    .push(ClusterError::unreadable(what, &error).to_string()),
            }
        }
        listed
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    items: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

/// A client with the namespace that the caller is in.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    server: String,
    namespace: String,
    everywhere: bool,
}

impl Cluster {
    /// Makes the client of the arguments. Sends nothing.
    ///
    /// The kubeconfig is that of `--kubeconfig`, else of `KUBECONFIG`, else `~/.kube/config`; in a pod
    /// without one it is the service account.
    pub(crate) async fn connect(target: &Target) -> Result<Self, ClusterError> {
        // The only provider in this binary; another caller cannot have chosen before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = configuration(target).await?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(READ);
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        let server = server.trim_end_matches('/').to_owned();
        let namespace = target
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        let client = ClientBuilder::try_from(config)
            .map_err(|source| ClusterError::Client {
                server: server.clone(),
                source: Box::new(source),
            })?
            .build();
        Ok(Self {
            client,
            server,
            namespace,
            everywhere: target.all_namespaces,
        })
    }

    /// Returns the client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// URL of the API server.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Returns the namespace that the caller named, or is in.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the namespace, or all of them if the caller asked for that.
    pub(crate) fn place(&self) -> Place {
        if self.everywhere {
            Place::Everywhere
        } else {
            Place::Namespace(self.namespace.clone())
        }
    }

    /// Lists a kind, page by page.
    pub(crate) async fn list<K>(
        &self,
        place: &Place,
        parameters: ListParams,
    ) -> Result<Listed<K>, ClusterError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let values = self.list_values::<K>(place, parameters).await?;
        Ok(Listed::of(values))
    }

    /// Lists a kind as plain values, page by page.
    pub(crate) async fn list_values<K>(
        &self,
        place: &Place,
        parameters: ListParams,
    ) -> Result<Vec<Value>, ClusterError>
    where
        K: Resource<DynamicType = ()>,
    {
        let mut parameters = parameters.limit(PAGE);
        let mut values = Vec::new();
        let url = K::url_path(&(), place.namespace());
        loop {
            let answer = self
                .send::<Page>(Request::new(&*url).list(&parameters))
                .await;
            let what = || format!("{}{}", K::plural(&()), place.of());
            let page = answer.map_err(|error| self.refusal::<K>("list", what(), error))?;
            values.extend(page.items);
            match page.metadata.next.filter(|token| !token.is_empty()) {
                Some(token) => parameters.continue_token = Some(token),
                None => return Ok(values),
            }
        }
    }

    /// Reads one object of the caller's namespace, as [`Self::get_in`].
    pub(crate) async fn get<K>(&self, name: &str) -> Result<K, ClusterError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let place = Place::Namespace(self.namespace.clone());
        self.get_in(&place, name).await
    }

    /// Reads one object.
    ///
    /// # Errors
    /// Of one that does not exist it also names those that there are, if the caller may list them.
    pub(crate) async fn get_in<K>(&self, place: &Place, name: &str) -> Result<K, ClusterError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let value = self.value_in::<K>(place, name).await?;
        let read = serde_json::from_value(value);
        read.map_err(|error| ClusterError::unreadable(title::<K>(place, name), &error))
    }

    /// Reads one object as a plain value.
    pub(crate) async fn value_in<K>(&self, place: &Place, name: &str) -> Result<Value, ClusterError>
    where
        K: Resource<DynamicType = ()>,
    {
        let request = Request::new(K::url_path(&(), place.namespace()));
        let request = request.get(name, &kube::api::GetParams::default());
        match self.send::<Value>(request).await {
            Ok(value) => Ok(value),
            Err(kube::Error::Api(status)) if status.is_not_found() && !is_unserved(&status) => {
                let others = self.list_values::<K>(place, ListParams::default()).await;
                let names = others.unwrap_or_default();
                let names = names
                    .iter()
                    .filter_map(|it| it["metadata"]["name"].as_str());
                Err(ClusterError::NotFound {
                    what: title::<K>(place, name),
                    others: names.map(str::to_owned).collect(),
                })
            }
            Err(error) => Err(self.refusal::<K>("get", title::<K>(place, name), error)),
        }
    }

    /// Sends a request, and reads the answer.
    pub(crate) async fn send<A: DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<A, kube::Error> {
        let request = request.map_err(kube::Error::BuildRequest)?;
        self.client.request(request).await
    }

    /// Returns the meaning of an error.
    pub(crate) fn refusal<K>(
        &self,
        verb: &'static str,
        what: String,
        error: kube::Error,
    ) -> ClusterError
    where
        K: Resource<DynamicType = ()>,
    {
        match error {
            kube::Error::Api(status) if status.code == 403 => ClusterError::Forbidden {
                verb,
                what,
                message: status.message.clone(),
            },
            kube::Error::Api(status) if is_unserved(&status) => ClusterError::NotInstalled {
                kind: K::kind(&()).into_owned(),
                server: self.server.clone(),
            },
            kube::Error::Api(status) => ClusterError::Refused {
                verb,
                what,
                message: format!("{} ({})", status.message, status.code),
            },
            source => ClusterError::Silent {
                server: self.server.clone(),
                source: Box::new(source),
            },
        }
    }

    /// Returns the answer to a GET of a path, with its headers.
    pub(crate) async fn raw(&self, path: &str) -> Result<Response<Vec<u8>>, ClusterError> {
        let silent = |source| ClusterError::Silent {
            server: self.server.clone(),
            source: Box::new(source),
        };
        let request = http::Request::get(path)
            .body(kube::client::Body::empty())
            .map_err(|error| silent(kube::Error::HttpError(error)))?;
        let response = self.client.send(request).await.map_err(silent)?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect_bytes().await.map_err(silent)?;
        Ok(Response::from_parts(parts, bytes.to_vec()))
    }
}

/// True if the server does not know the kind. It says so in plain text, in place of a Status that names
/// the object.
fn is_unserved(status: &kube::core::Status) -> bool {
    let names_an_object = status
        .details
        .as_ref()
        .is_some_and(|details| !details.name.is_empty());
    status.code == 404 && !names_an_object
}

/// Returns kind, namespace and name.
pub(crate) fn title<K: Resource<DynamicType = ()>>(place: &Place, name: &str) -> String {
    match place {
        Place::Namespace(namespace) => format!("{} {namespace}/{name}", K::kind(&())),
        Place::Everywhere => format!("{} {name}", K::kind(&())),
    }
}

/// Returns kind, namespace and name of an object.
fn title_of<K: Resource<DynamicType = ()>>(value: &Value) -> String {
    let word = |field: &str| value["metadata"][field].as_str();
    let namespace = word("namespace").map(str::to_owned);
    let place = namespace.map_or(Place::Everywhere, Place::Namespace);
    title::<K>(&place, word("name").unwrap_or_default())
}

#[cfg(test)]
mod tests;
