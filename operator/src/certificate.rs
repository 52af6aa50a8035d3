//! The certificate of an endpoint: `tls.crt` and `tls.key` of a directory, as a Secret of type
//! `kubernetes.io/tls` is mounted.
//!
//! The files are read again every ten seconds. While they can not be used, the certificate before stays
//! in use, or nothing is answered if there was none, and the metric `entente_certificate_valid` is 0:
//! contracts go on without the endpoint. It must never log a key. Used by the events endpoint, by the
//! board, and by the gateway.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum_server::tls_rustls::RustlsConfig;
use entente_controllers::{metrics::Metrics, shutdown::Shutdown};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tracing::{info, warn};

/// Time between two looks at the files.
const AGAIN: Duration = Duration::from_secs(10);

/// Reason why a certificate can not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// A file can not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// A file has no certificate, or no key, in PEM.
    #[error("{}: {problem}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// The fault, and what is allowed.
        problem: String,
    },
    /// Certificate and key do not fit, or are of a kind that is not supported.
    #[error("{}: certificate and key can not be used together: {source}", directory.display())]
    Pair {
        /// The directory.
        directory: PathBuf,
        /// The error.
        source: rustls::Error,
    },
}

/// The content of the two files.
#[derive(Eq, PartialEq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// A certificate that is in use, and where it came from.
pub(crate) struct Certificate {
    directory: PathBuf,
    /// The configuration that the server uses.
    pub(crate) tls: RustlsConfig,
    files: Files,
}

impl Certificate {
    /// Reads the certificate of a directory.
    async fn read(directory: &Path) -> Result<Self, CertificateError> {
        let files = Files::read(directory).await?;
        Ok(Self {
            directory: directory.to_owned(),
            tls: RustlsConfig::from_config(files.server(directory)?),
            files,
        })
    }

    /// Reads the certificate of a directory as soon as it can be used; `None` if the shutdown is
    /// requested before.
    pub(crate) async fn when_usable(
        directory: &Path,
        faults: &mut Faults,
        shutdown: &Shutdown,
    ) -> Option<Self> {
        loop {
            let read = Self::read(directory).await;
            faults.tell(read.as_ref().err());
            if let Ok(certificate) = read {
                return Some(certificate);
            }
            pause(shutdown).await?;
        }
    }

    /// Uses what the files become, until the shutdown is requested.
    pub(crate) async fn follow(mut self, mut faults: Faults, shutdown: Shutdown) {
        while pause(&shutdown).await.is_some() {
            faults.tell(self.refresh().await.err().as_ref());
        }
    }

    async fn refresh(&mut self) -> Result<(), CertificateError> {
        let files = Files::read(&self.directory).await?;
        if files != self.files {
            self.tls.reload_from_config(files.server(&self.directory)?);
            self.files = files;
            info!(directory = %self.directory.display(), "a certificate was read again");
        }
        Ok(())
    }
}

/// Waits until the files are looked at again; `None` if the shutdown is requested.
async fn pause(shutdown: &Shutdown) -> Option<()> {
    tokio::select! {
        () = tokio::time::sleep(AGAIN) => Some(()),
        () = shutdown.requested() => None,
    }
}

/// The fault of the files that was told last, each once.
pub(crate) struct Faults {
    metrics: Arc<Metrics>,
    endpoint: &'static str,
    told: String,
}

impl Faults {
    /// Returns one that has told nothing yet, of the endpoint that has this word in logs and metrics.
    pub(crate) fn new(metrics: Arc<Metrics>, endpoint: &'static str) -> Self {
        Self {
            metrics,
            endpoint,
            told: String::new(),
        }
    }

    fn tell(&mut self, fault: Option<&CertificateError>) {
        let fault = fault.map(ToString::to_string).unwrap_or_default();
        let endpoint = self.endpoint;
        self.metrics.certificate(endpoint, fault.is_empty());
        match (&*self.told, &*fault) {
            (before, now) if before == now => {}
            (_, "") => info!(endpoint, "the certificate of an endpoint can be used"),
            _ => warn!(
                endpoint,
                fault, "the certificate of an endpoint can not be used"
            ),
        }
        self.told = fault;
    }
}

impl Files {
    async fn read(directory: &Path) -> Result<Self, CertificateError> {
        let read = async |name: &str| {
            let path = directory.join(name);
            let content = tokio::fs::read(&path).await;
            content.map_err(|source| CertificateError::Read { path, source })
        };
        Ok(Self {
            certificate: read("tls.crt").await?,
            key: read("tls.key").await?,
        })
    }

    /// Returns the configuration of a server with this certificate.
    fn server(&self, directory: &Path) -> Result<Arc<ServerConfig>, CertificateError> {
        let fault = |name: &str, problem: &str| CertificateError::Pem {
            path: directory.join(name),
            problem: problem.to_owned(),
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain =
            chain.ok_or_else(|| fault("tls.crt", "must have at least one certificate in PEM"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| {
            fault(
                "tls.key",
                "must have a private key in PEM, without a password",
            )
        })?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key);
        let mut config = config.map_err(|source| CertificateError::Pair {
            directory: directory.to_owned(),
            source,
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, sync::Arc};

    use rcgen::generate_simple_self_signed;

    use super::{AGAIN, Certificate, Faults, Metrics, Shutdown};

    fn write(directory: &Path, certificate: &str, key: &str) {
        fs::write(directory.join("tls.crt"), certificate).unwrap();
        fs::write(directory.join("tls.key"), key).unwrap();
    }

    /// Writes a new certificate with its key.
    fn renew(directory: &Path) -> (String, String) {
        let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        write(directory, &certificate, &key);
        (certificate, key)
    }

    #[tokio::test]
    async fn a_certificate_that_changes_is_used_and_one_that_can_not_be_is_not() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let (first, _) = renew(directory);
        let mut certificate = Certificate::read(directory).await.unwrap();
        let in_use = |it: &Certificate| it.tls.get_inner();
        let before = in_use(&certificate);
        certificate.refresh().await.unwrap();
        assert!(
            Arc::ptr_eq(&before, &in_use(&certificate)),
            "nothing changed"
        );

        let (second, key) = renew(directory);
        certificate.refresh().await.unwrap();
        let renewed = in_use(&certificate);
        assert!(!Arc::ptr_eq(&before, &renewed));
        for (certificate_file, key_file, part) in [
            (&*first, &*key, "can not be used together"),
            (
                "",
                &key,
                "tls.crt: must have at least one certificate in PEM",
            ),
            (&second, "", "tls.key: must have a private key in PEM"),
            (&second, &second, "tls.key: must have a private key in PEM"),
        ] {
            write(directory, certificate_file, key_file);
            let error = certificate.refresh().await.unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
            assert!(!error.contains("PRIVATE"), "{error}");
            assert!(Arc::ptr_eq(&renewed, &in_use(&certificate)), "{error}");
            let error = Certificate::read(directory)
                .await
                .err()
                .map(|it| it.to_string());
            assert!(error.is_some_and(|it| it.contains(part)));
        }
        fs::remove_file(directory.join("tls.key")).unwrap();
        let error = certificate.refresh().await.unwrap_err().to_string();
        assert!(error.contains("tls.key"), "{error}");
        write(directory, &second, &key);
        certificate.refresh().await.unwrap();
        assert!(Arc::ptr_eq(&renewed, &in_use(&certificate)), "as before");
    }

    #[tokio::test(start_paused = true)]
    async fn a_certificate_that_is_not_there_is_awaited_and_told() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new("0"));
        let (trigger, shutdown) = Shutdown::channel();
        let path = directory.path().to_owned();
        let mut faults = Faults::new(Arc::clone(&metrics), "events");
        let awaited = tokio::spawn(async move {
            let found = Certificate::when_usable(&path, &mut faults, &shutdown).await;
            let certificate = found.expect("it came before the shutdown");
            certificate.follow(faults, shutdown).await;
        });
        let says = async |value: &str| {
            let line = format!("entente_certificate_valid{{endpoint=\"events\"}} {value}");
            // It looks every ten seconds.
            for _ in 0..10 {
                if metrics.encode().contains(&line) {
                    return;
                }
                tokio::time::sleep(AGAIN).await;
            }
            panic!("not {line}:\n{}", metrics.encode());
        };
        says("0").await;
        let (certificate, key) = renew(directory.path());
        says("1").await;
        write(directory.path(), &certificate, "");
        says("0").await;
        write(directory.path(), &certificate, &key);
        says("1").await;
        trigger.trigger();
        awaited.await.unwrap();
    }
}
