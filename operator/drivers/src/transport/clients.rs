//! One HTTP client for each trust, networks, timeout, pinned fingerprint and client certificate.
//!
//! A client holds connections, so it is shared only as far as every user has the same rules of
//! trust, networks and timeouts: a pooled connection was checked by exactly these. Clients that are
//! not used for a while are dropped, since a fleet with pins has one for each device.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entente_domain::expiring::ExpiringMap;
use entente_domain::remote::{Failure, FailureKind};
use reqwest::Client;
use reqwest::redirect::Policy;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::networks::CheckedResolver;
use crate::certificate::{client_config, normalise_fingerprint};
use crate::credentials::{ClientCertificate, CredentialsValue};
use crate::profile::{ConnectionProfile, TrustProfile};

/// Time for which an unused connection is kept: read, write and read back follow each other at
/// once. A fleet has one for each device, and each holds some 20 KiB of buffers.
const IDLE_CONNECTION: Duration = Duration::from_millis(250);
/// Time for which an unused client is kept.
const IDLE_CLIENT: Duration = Duration::from_mins(1);

type Key = [u8; 32];

/// Bound of the map: more than a fleet with one pin for each device uses within [`IDLE_CLIENT`].
const MOST_CLIENTS: usize = 16_384;

pub(super) struct Clients {
    held: Mutex<Held>,
}

type Held = ExpiringMap<Key, Client, Instant>;

impl Default for Clients {
    fn default() -> Self {
        // A user has a clone of the client, which shares its connections.
        Self {
            held: Mutex::new(ExpiringMap::new(MOST_CLIENTS, |_, _| false)),
        }
    }
}

impl Clients {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.held().len()
    }

    /// Returns the client for this profile and pin, made when it is first needed.
    pub(super) fn get(
        &self,
        profile: &ConnectionProfile,
        pinned: Option<&str>,
        api_server: &Arc<[IpAddr]>,
    ) -> Result<Client, Failure> {
        let pinned = match profile.trust {
            TrustProfile::Verify { .. } => None,
            TrustProfile::Pin | TrustProfile::FirstUse => pinned.map(normalise_fingerprint),
        };
        let key = key(profile, pinned.as_deref());
        let now = Instant::now();
        let mut held = self.held();
        let make = || make(profile, pinned.as_deref(), api_server);
        let client = held.get_or_try_insert(key, now, now + IDLE_CLIENT, make)?;
        Ok(client.clone())
    }
}

/// Returns everything that the client itself depends on. A client certificate is a part of each
/// connection; all other credentials go with each request instead.
fn key(profile: &ConnectionProfile, pinned: Option<&str>) -> Key {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update(bytes.len().to_be_bytes());
        digest.update(bytes);
    };
    match &profile.trust {
        TrustProfile::Verify { ca_pem } => {
            part(b"verify");
            part(ca_pem.as_deref().unwrap_or_default().as_bytes());
        }
        TrustProfile::Pin => part(b"pin"),
        TrustProfile::FirstUse => part(b"first-use"),
    }
    part(
        profile
            .server_name
            .as_deref()
            .unwrap_or_default()
            .as_bytes(),
    );
    part(pinned.unwrap_or_default().as_bytes());
    part(&profile.connect_timeout.as_nanos().to_be_bytes());
    part(&profile.request_timeout.as_nanos().to_be_bytes());
    part(client_certificate(profile).map_or(&[], ClientCertificate::digest));
    for network in &profile.networks {
        part(network.to_string().as_bytes());
    }
    digest.finalize().into()
}

fn client_certificate(profile: &ConnectionProfile) -> Option<&ClientCertificate> {
    match &profile.credentials {
        Some(CredentialsValue::ClientCertificate(certificate)) => Some(certificate),
        _ => None,
    }
}

/// Returns the timeout of connecting, which is shorter than that of the request: a hang while
/// connecting leaves no doubt, and so differs from one after it.
fn connect_timeout(profile: &ConnectionProfile) -> Duration {
    profile
        .connect_timeout
        .min(profile.request_timeout.mul_f32(0.9))
}

fn make(
    profile: &ConnectionProfile,
    pinned: Option<&str>,
    api_server: &Arc<[IpAddr]>,
) -> Result<Client, Failure> {
    let trust = client_config(
        &profile.trust,
        profile.server_name.as_deref(),
        pinned,
        client_certificate(profile),
    )
    .map_err(|error| Failure::new(FailureKind::TlsFailed, error.to_string()))?;
    Client::builder()
        .tls_backend_preconfigured(trust)
        .tls_info(true)
        .dns_resolver(CheckedResolver::new(&profile.networks, api_server))
        .redirect(Policy::none())
        .no_proxy()
        .http1_only()
        // Some devices compare the names of headers by case (RFC 9110 section 5.1 forbids it).
        .http1_title_case_headers()
        .referer(false)
        .user_agent("entente")
        .connect_timeout(connect_timeout(profile))
        .pool_idle_timeout(IDLE_CONNECTION)
        .build()
        .map_err(|_| Failure::new(FailureKind::TlsFailed, "no client could be made"))
}
