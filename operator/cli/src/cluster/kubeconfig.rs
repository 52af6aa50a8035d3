//! The kubeconfig of the caller, and what is wrong with it.
//!
//! A fault is told by file, line and column. It must never quote the file: its tokens and keys would be
//! in the log of every pipeline.

use std::path::{Path, PathBuf};

use entente_crds::yaml;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::error::{ClusterError, told};
use crate::args::Target;

/// Returns the configuration of the client: of `--kubeconfig`, else of `KUBECONFIG`, else of
/// `~/.kube/config`, else of the service account of a pod.
pub(super) async fn configuration(target: &Target) -> Result<Config, ClusterError> {
    let options = KubeConfigOptions {
        context: target.context.clone(),
        ..KubeConfigOptions::default()
    };
    let of_environment = std::env::var("KUBECONFIG").ok();
    let of_environment = of_environment.filter(|it| !it.is_empty());
    let (from, paths) = match (&target.kubeconfig, &of_environment) {
        (Some(path), _) => (
            format!("the kubeconfig {}", path.display()),
            vec![path.clone()],
        ),
        (None, Some(paths)) => (
            format!("the kubeconfig {paths} of KUBECONFIG"),
            std::env::split_paths(paths).collect(),
        ),
        (None, None) => ("the kubeconfig ~/.kube/config".to_owned(), Vec::new()),
    };
    let read = match &target.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let config = match read {
        Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options).await,
        Err(error) => match Config::incluster() {
            Ok(config) if target.kubeconfig.is_none() && target.context.is_none() => Ok(config),
            _ => Err(error),
        },
    };
    let checked = config.map_err(|error| fault(&error, &paths));
    let checked = checked.and_then(|config| match fault_of_token(&config) {
        Some(fault) => Err(fault),
        None => Ok(config),
    });
    checked.map_err(|message| ClusterError::Kubeconfig { from, message })
}

/// Returns the fault of a token that no request can carry: the client would end with a panic.
fn fault_of_token(config: &Config) -> Option<String> {
    let user = serde_json::to_value(&config.auth_info).ok()?;
    let token = user["token"].as_str()?;
    let is_sendable = token.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (!is_sendable).then(|| {
        "the token of the user has a line break or another character that no request can carry: \
         must be one line of printable ASCII"
            .to_owned()
    })
}

/// Returns the fault in words, without a word of the file.
fn fault(error: &KubeconfigError, paths: &[PathBuf]) -> String {
    match error {
        KubeconfigError::Parse(error) => {
            let place = error.location().map_or_else(String::new, |at| {
                format!(" at line {} column {}", at.line(), at.column())
            });
            let several = paths.len() > 1;
            let syntax = paths.iter().find_map(|path| {
                let fault = syntax_fault(path)?;
                let file = if several {
                    format!("{}: ", path.display())
                } else {
                    String::new()
                };
                Some(format!("{file}{fault}"))
            });
            syntax.unwrap_or_else(|| {
                format!("a field has no value that a kubeconfig may have there{place}")
            })
        }
        other => told(other),
    }
}

fn syntax_fault(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    yaml::syntax_fault(&text)
}

/// Returns the words of a fault whose own words quote bytes of a key or certificate.
pub(super) fn fault_of_field(error: &KubeconfigError) -> Option<String> {
    let broken = |field: &str| {
        let allowed = "must be a file, or its content in base64";
        Some(format!("{field} or {field}-data cannot be read: {allowed}"))
    };
    match error {
        KubeconfigError::LoadCertificateAuthority(_) => broken("certificate-authority"),
        KubeconfigError::LoadClientCertificate(_) => broken("client-certificate"),
        KubeconfigError::LoadClientKey(_) => broken("client-key"),
        KubeconfigError::ParseCertificates(_) => {
            Some("certificate-authority or client-certificate is no PEM text".to_owned())
        }
        _ => None,
    }
}
