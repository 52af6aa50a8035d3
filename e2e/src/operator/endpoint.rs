//! An endpoint under test, for events, for the board or for devices that call: its address, and a certificate
//! that only its callers trust.
//!
//! The files lie as a Secret of type `kubernetes.io/tls` is mounted. Made by [`super::Operator`], used
//! by tests of the endpoints.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{OperatorError, free_address};

/// The longest wait for an answer.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// The endpoint of one operator.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its word in flags and in values of the chart: `events`, `board` or `gateway`.
    word: &'static str,
    address: SocketAddr,
    directory: PathBuf,
}

impl Endpoint {
    /// Takes a free address and writes a new certificate.
    pub(super) fn prepare(word: &'static str, directory: &Path) -> Result<Self, OperatorError> {
        let failed = |source| OperatorError::Process {
            action: "write the certificate of",
            source,
        };
        let address = free_address()?;
        let directory = directory.join(format!("{word}-{}", address.port()));
        let names = ["localhost".to_owned(), address.ip().to_string()];
        let made = rcgen::generate_simple_self_signed(names)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        fs::create_dir_all(&directory).map_err(failed)?;
        let endpoint = Self {
            word,
            address,
            directory,
        };
        fs::write(endpoint.certificate(), made.cert.pem()).map_err(failed)?;
        let key = endpoint.directory.join("tls.key");
        fs::write(key, made.signing_key.serialize_pem()).map_err(failed)?;
        Ok(endpoint)
    }

    /// Returns another free address with the same certificate, as replicas share a Secret.
    pub(super) fn beside(&self) -> Result<Self, OperatorError> {
        Ok(Self {
            address: free_address()?,
            ..self.clone()
        })
    }

    /// Returns the flags of the operator.
    pub(super) fn flags(&self) -> [String; 2] {
        [
            format!("--{}-address={}", self.word, self.address),
            format!("--{}-tls-dir={}", self.word, self.directory.display()),
        ]
    }

    /// Returns the values with which the chart grants its rights. The files stand for the Secret.
    pub(super) fn chart_values(&self) -> [String; 2] {
        let word = self.word;
        [
            format!("{word}.enabled=true"),
            format!("{word}.tls.secretName=entente-{word}-tls"),
        ]
    }

    /// Returns its address.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the directory with its certificate and key.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns its URL, without a path.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Returns the file with its certificate, in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.directory.join("tls.crt")
    }

    /// Returns a client that trusts its certificate and no other.
    ///
    /// # Panics
    /// If the certificate that was written can not be read.
    pub fn client(&self) -> reqwest::Client {
        let pem = fs::read(self.certificate()).expect("it was written");
        let certificate = reqwest::Certificate::from_pem(&pem).expect("a certificate in PEM");
        reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_WITHIN)
            .tls_certs_only([certificate])
            .build()
            .expect("a client with one certificate")
    }
}
