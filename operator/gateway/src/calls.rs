//! The beginning of every request: limits, knowledge of the cluster, and who calls.
//!
//! Keeps the order in which faults are reported (docs/api/gateway.yaml); decides none of them. Called by
//! every route.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, PoisonError},
};

use axum::{
    extract::ConnectInfo,
    http::{header, request::Parts},
};
use entente_controllers::cache::Key;
use entente_crds::v1alpha1::{AgentEndpoint, DeviceTwin, ServiceSubscription};
use entente_domain::gateway::{
    admission::{self, after_call},
    credential::{self, Standing},
    headers::token,
    limits::network,
    poll::{Rhythm, instants},
    problem::Problem,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Gateway,
    availability::RETRY_AFTER,
    bodies::text,
    objects::{BY_DEVICE, BY_TOKEN, path},
};

/// Scheme of tokens under /v1.
pub(crate) const BEARER: &str = "Bearer";

/// A device that calls, and the token that it shows.
#[derive(Clone)]
pub(crate) struct Known {
    /// Key of its twin and its Device.
    pub(crate) key: Key,
    pub(crate) twin: Arc<DeviceTwin>,
    pub(crate) standing: Standing,
    pub(crate) sha256: String,
}

impl Known {
    /// Returns the id under which it calls.
    pub(crate) fn printer_id(&self) -> &str {
        let status = self.twin.status.as_ref();
        let registration = status.and_then(|it| it.registration.as_ref());
        let id = registration.and_then(|it| it.printer_id.as_deref());
        id.unwrap_or_default()
    }
}

/// Returns the parameters of a query, decoded.
pub(crate) fn query(parts: &Parts) -> Vec<(String, String)> {
    let query = parts.uri.query().unwrap_or_default();
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.into_owned().collect()
}

impl Gateway {
    /// Returns the clock by which devices count.
    pub(crate) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// Takes a request of an address, whoever sends it.
    pub(crate) fn admit(&self, parts: &Parts) -> Result<(), Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let Some(ConnectInfo(peer)) = peer else {
            return Ok(());
        };
        self.admit_address(peer.ip())
    }

    fn admit_address(&self, address: IpAddr) -> Result<(), Problem> {
        let buckets = self.of_addresses.lock();
        let mut buckets = buckets.unwrap_or_else(PoisonError::into_inner);
        let taken = buckets.take(network(address), self.milliseconds());
        taken.map_err(Problem::TooManyRequests)
    }

    /// Ends a request while the gateway does not know (C13).
    pub(crate) fn require_available(&self) -> Result<(), Problem> {
        if self.is_available() {
            return Ok(());
        }
        Err(Problem::Unavailable(RETRY_AFTER))
    }

    /// Returns the device whose token has this digest.
    pub(crate) fn authenticate(&self, sha256: &str) -> Result<Known, Problem> {
        let twins = self.objects.twins.by_index(BY_TOKEN, sha256).into_iter();
        let mut known = twins.filter_map(|twin| {
            let key = Key::of(&*twin);
            let standing = self.standing(&key, &twin, sha256).ok()?;
            Some(Known {
                key,
                twin,
                standing,
                sha256: sha256.to_owned(),
            })
        });
        known.next().ok_or(Problem::CredentialInvalid)
    }

    /// Returns the one of its tokens that a device shows, as its twin and its Device are now.
    pub(crate) fn standing(
        &self,
        key: &Key,
        twin: &DeviceTwin,
        sha256: &str,
    ) -> Result<Standing, Problem> {
        let device = self.objects.devices.get(key);
        let connection = &self.parts.options.connection;
        admission::authenticate(twin, device.as_deref(), connection, sha256, self.now())
    }

    /// Judges everything about a caller that comes before its body: `owns` whether the path is its own.
    pub(crate) async fn call(
        &self,
        parts: &Parts,
        scheme: &str,
        owns: impl Fn(&Known) -> Result<(), Problem>,
    ) -> Result<Known, Problem> {
        let known = self.identify(parts, scheme)?;
        owns(&known)?;
        admission::consents(&known.twin)?;
        self.admit_device(&known)?;
        self.note_call(known).await
    }

    /// Returns the device that a token is of, within the limits of its address.
    pub(crate) fn identify(&self, parts: &Parts, scheme: &str) -> Result<Known, Problem> {
        self.admit(parts)?;
        self.require_available()?;
        let token = token(text(&parts.headers, header::AUTHORIZATION), scheme);
        let token = token.ok_or(Problem::CredentialInvalid)?;
        self.authenticate(&credential::digest(token))
    }

    /// Takes a request of a device.
    pub(crate) fn admit_device(&self, known: &Known) -> Result<(), Problem> {
        let buckets = self.of_devices.lock();
        let mut buckets = buckets.unwrap_or_else(PoisonError::into_inner);
        let taken = buckets.take(known.key.clone(), self.milliseconds());
        taken.map_err(Problem::TooManyRequests)
    }

    /// Writes down that a device has called, if that is worth a write. The first use of a token has to be
    /// written before it is answered, since nobody else may register from then on.
    async fn note_call(&self, known: Known) -> Result<Known, Problem> {
        let rhythm = self.rhythm();
        let called = |twin: &DeviceTwin| {
            let standing = self.standing(&known.key, twin, &known.sha256)?;
            Ok(after_call(twin, standing, rhythm, self.now()))
        };
        let is_first = |known: &Known| {
            let credential = known
                .twin
                .status
                .as_ref()
                .and_then(|it| it.credential.as_ref());
            known.standing == Standing::Current && credential.is_some_and(|it| it.used.is_none())
        };
        match self.change_status(&known.key, called).await {
            Ok(twin) => {
                let standing = self.standing(&known.key, &twin, &known.sha256)?;
                Ok(Known {
                    twin,
                    standing,
                    ..known
                })
            }
            // The time at which it was heard of is written with its next call.
            Err(Problem::Unavailable(_)) if !is_first(&known) => Ok(known),
            Err(problem) => Err(problem),
        }
    }

    /// Writes down the period that a device is told, if it became another one while its request was held.
    pub(crate) async fn note_period(&self, known: Known) -> Result<Known, Problem> {
        if admission::is_told_otherwise(&known.twin, self.rhythm()) {
            return self.note_call(known).await;
        }
        Ok(known)
    }

    /// Returns the times by which devices call.
    pub(crate) fn rhythm(&self) -> Rhythm {
        let rhythm = self.with_agent(Rhythm::of);
        rhythm.unwrap_or_else(|| Rhythm::of(&AgentEndpoint::default()))
    }

    /// Returns the subscriptions of a device.
    pub(crate) fn subscriptions(&self, key: &Key) -> Vec<Arc<ServiceSubscription>> {
        let path = path(&key.namespace, &key.name);
        self.objects.subscriptions.by_index(BY_DEVICE, &path)
    }

    /// Returns the time after which a device calls again.
    pub(crate) fn next_call(&self, known: &Known) -> SignedDuration {
        let subscriptions = self.subscriptions(&known.key);
        let subscriptions = subscriptions.iter().map(Arc::as_ref);
        let now = self.now();
        let ahead = instants(&known.twin, subscriptions, now);
        self.rhythm().next(ahead, known.printer_id(), now)
    }
}
