//! Access to the control plane: clients and kubeconfig files for the administrator, for a service
//! account by a token of its own, and for any user by impersonation, so that RBAC is tested with
//! the rights of a real user.
//!
//! It must never print a token. Called by tests, benches and the demo through
//! [`super::ControlPlane`].

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config, ResourceExt as _};
use serde_json::{Value, json};

use super::{ControlPlane, StartError, read_kubeconfig};
use crate::road::Road;

/// Validity of a service account's token, in seconds: longer than any test or bench.
const TOKEN_SECONDS: i64 = 4 * 3600;

/// Reason why there is no access.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A kubeconfig file cannot be used.
    #[error("cannot use the kubeconfig {}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Error of the kubeconfig.
        source: Box<KubeconfigError>,
    },
    /// A kubeconfig lacks its current context, or the context's cluster.
    #[error("the kubeconfig {} has no usable current context", path.display())]
    NoContext {
        /// The file.
        path: PathBuf,
    },
    /// The client or a request of it failed.
    #[error("cannot {action}")]
    Request {
        /// The action that failed, such as `get a token for the service account a/b`.
        action: String,
        /// The API server's or the client's reason.
        source: Box<kube::Error>,
    },
    /// A kubeconfig file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
}

impl ControlPlane {
    /// Returns a new client of the administrator. It does not retry by itself: a test sees every
    /// answer.
    pub async fn client(&self) -> Result<Client, AccessError> {
        client_of(&self.kubeconfig).await
    }

    /// Returns a new client that acts as `user` in `groups` by impersonation, to test RBAC.
    pub async fn client_as(&self, user: &str, groups: &[&str]) -> Result<Client, AccessError> {
        let mut config = config_of(&self.kubeconfig).await?;
        config.auth_info.impersonate = Some(user.to_owned());
        config.auth_info.impersonate_groups =
            Some(groups.iter().map(|&group| group.to_owned()).collect());
        connect(config)
    }

    /// Returns a new client with a token of the service account: exactly its rights, nothing more.
    pub async fn client_for_service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Client, AccessError> {
        client_of(&self.kubeconfig_for_service_account(namespace, name).await?).await
    }

    /// Writes a kubeconfig file with a token of the service account, valid 4 hours, as a process
    /// in a pod of that service account would have. The account must exist.
    pub async fn kubeconfig_for_service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<PathBuf, AccessError> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let wanted = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(TOKEN_SECONDS),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let failed = |source| AccessError::Request {
            action: format!("get a token for the service account {namespace}/{name}"),
            source: Box::new(source),
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &wanted)
            .await
            .map_err(failed)?;
        let token = answer.status.map(|status| status.token).unwrap_or_default();
        let user = format!("system:serviceaccount:{namespace}:{name}");
        self.write_kubeconfig(&user, Some(namespace), |_| json!({ "token": token }))
    }

    /// Writes a copy of a kubeconfig file of ours that leads to the API server by a road that can be
    /// cut.
    pub async fn kubeconfig_by_a_road(&self, of: &Path) -> Result<(Road, PathBuf), AccessError> {
        let text = std::fs::read_to_string(of).map_err(|source| AccessError::Write {
            path: of.to_owned(),
            source,
        })?;
        let no_context = || AccessError::NoContext {
            path: of.to_owned(),
        };
        let mut content: Value = serde_json::from_str(&text).map_err(|_| no_context())?;
        let server = &mut content["clusters"][0]["cluster"]["server"];
        let address = server.as_str().and_then(|url| url.strip_prefix("https://"));
        let address = address.and_then(|address| address.trim_end_matches('/').parse().ok());
        let failed = |source| AccessError::Write {
            path: of.to_owned(),
            source,
        };
        let road = Road::to(address.ok_or_else(no_context)?).await;
        let road = road.map_err(failed)?;
        *server = json!(format!("https://{}", road.address()));
        let name = format!("road.{}.kubeconfig", self.next_number());
        let path = self.directory.join(name);
        write_private(&path, &content.to_string()).map_err(|source| AccessError::Write {
            path: path.clone(),
            source,
        })?;
        Ok((road, path))
    }

    /// Writes a kubeconfig file that acts as `user` in `groups` by impersonation, for kubectl and
    /// Helm.
    pub fn user_kubeconfig(&self, user: &str, groups: &[&str]) -> Result<PathBuf, AccessError> {
        self.write_kubeconfig(user, None, |administrator| {
            let mut credentials = administrator.clone();
            credentials["as"] = json!(user);
            credentials["as-groups"] = json!(groups);
            credentials
        })
    }

    /// Creates a namespace with a name of its own that begins with `prefix`.
    pub async fn create_namespace(&self, prefix: &str) -> Result<String, AccessError> {
        let namespaces: Api<Namespace> = Api::all(self.client().await?);
        let wanted = Namespace {
            metadata: ObjectMeta {
                generate_name: Some(format!("{prefix}-")),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let created = namespaces
            .create(&PostParams::default(), &wanted)
            .await
            .map_err(|source| AccessError::Request {
                action: format!("create a namespace {prefix}-…"),
                source: Box::new(source),
            })?;
        Ok(created.name_any())
    }

    /// Writes the administrator's kubeconfig with other credentials, into a file only we can read.
    fn write_kubeconfig(
        &self,
        user: &str,
        namespace: Option<&str>,
        credentials: impl FnOnce(&Value) -> Value,
    ) -> Result<PathBuf, AccessError> {
        let path = &self.kubeconfig;
        let kubeconfig = read_kubeconfig(path).map_err(|source| AccessError::Kubeconfig {
            path: path.clone(),
            source: Box::new(source),
        })?;
        let (cluster, administrator) =
            current(&kubeconfig).ok_or_else(|| AccessError::NoContext { path: path.clone() })?;
        let content = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "cluster", "cluster": cluster }],
            "users": [{ "name": user, "user": credentials(&administrator) }],
            "contexts": [{
                "name": "context",
                "context": { "cluster": "cluster", "user": user, "namespace": namespace },
            }],
            "current-context": "context",
        });
        let plain: String = user
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let path = self
            .directory
            .join(format!("{plain}.{}.kubeconfig", self.next_number()));
        write_private(&path, &content.to_string()).map_err(|source| AccessError::Write {
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }
}

/// Returns a new client for a kubeconfig file's current context, without retries of its own.
pub(super) async fn client_of(path: &Path) -> Result<Client, AccessError> {
    connect(config_of(path).await?)
}

async fn config_of(path: &Path) -> Result<Config, AccessError> {
    let failed = |source| AccessError::Kubeconfig {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let kubeconfig = read_kubeconfig(path).map_err(failed)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(failed)?;
    config.default_retry = false;
    Ok(config)
}

fn connect(config: Config) -> Result<Client, AccessError> {
    let action = format!("connect to {}", config.cluster_url);
    Client::try_from(config).map_err(|source| AccessError::Request {
        action,
        source: Box::new(source),
    })
}

/// Cluster and credentials of the current context.
fn current(kubeconfig: &Kubeconfig) -> Option<(Value, Value)> {
    let name = kubeconfig.current_context.as_ref()?;
    let context = &kubeconfig
        .contexts
        .iter()
        .find(|context| &context.name == name)?
        .context;
    let context = context.as_ref()?;
    let cluster = kubeconfig
        .clusters
        .iter()
        .find(|cluster| cluster.name == context.cluster)?;
    let user = kubeconfig
        .auth_infos
        .iter()
        .find(|user| Some(&user.name) == context.user.as_ref())?;
    Some((
        serde_json::to_value(cluster.cluster.as_ref()?).ok()?,
        serde_json::to_value(user.auth_info.as_ref()?).ok()?,
    ))
}

/// Returns a temporary directory for kubeconfig files. [`ControlPlane::shared`] is never dropped,
/// so this also removes those of processes that are gone: no credentials stay behind for long.
pub(super) fn private_directory() -> Result<tempfile::TempDir, StartError> {
    const PREFIX: &str = "cluster-access-";
    let parent = std::env::temp_dir();
    for entry in std::fs::read_dir(&parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // Another user's, or just removed by another process: not ours to care about.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-", std::process::id()))
        .tempdir_in(&parent)
        .map_err(|source| StartError::Write {
            path: parent,
            source,
        })
}

/// Merges the files of `KUBECONFIG` into one in `directory`: its path and the server's URL.
pub(super) fn copy_of_environment(directory: &Path) -> Result<(PathBuf, String), StartError> {
    let kubeconfig = Kubeconfig::from_env()
        .and_then(|merged| merged.ok_or(KubeconfigError::CurrentContextNotSet))
        .map_err(|source| StartError::Kubeconfig { source })?;
    let server = current(&kubeconfig)
        .and_then(|(cluster, _)| Some(cluster.get("server")?.as_str()?.to_owned()))
        .ok_or(StartError::Kubeconfig {
            source: KubeconfigError::CurrentContextNotSet,
        })?;
    let path = directory.join("admin.kubeconfig");
    serde_json::to_string(&kubeconfig)
        .map_err(std::io::Error::from)
        .and_then(|content| write_private(&path, &content))
        .map_err(|source| StartError::Write {
            path: path.clone(),
            source,
        })?;
    Ok((path, server))
}

fn write_private(path: &Path, content: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(content.as_bytes())
}
