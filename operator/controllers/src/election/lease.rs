//! Requests for the one Lease object (coordination.k8s.io/v1) of the operator.
//!
//! A write names the version that it replaces, so that the API server refuses one of two. Decides
//! nothing, repeats nothing. Called by the election.

use std::time::Duration;

use entente_domain::election::{self, LEASE};
use futures::{StreamExt as _, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::{PostParams, WatchEvent, WatchParams},
};
use tokio::time::sleep;

/// Longest time of one watch, in seconds.
const WATCH_SECONDS: u32 = 60;
/// Rest after a watch that failed. The Lease is read now and then all the same.
const REST: Duration = Duration::from_secs(5);

/// The Lease at the API server.
#[derive(Clone)]
pub(super) struct LeaseApi(Api<Lease>);

/// Content of a write. Times are those of the API server.
#[derive(Clone, Copy)]
pub(super) struct Holding<'a> {
    /// `None`: it is given back.
    pub(super) holder: Option<&'a str>,
    pub(super) duration: Duration,
    pub(super) transitions: i32,
    pub(super) acquired: Timestamp,
    pub(super) renewed: Timestamp,
}

/// Result of a write that was answered.
pub(super) enum Written {
    Done(election::Lease),
    /// The Lease is another one than was said, or there is one, or none.
    Refused,
}

impl LeaseApi {
    pub(super) fn new(client: &Client, namespace: &str) -> Self {
        Self(Api::namespaced(client.clone(), namespace))
    }

    /// Returns the Lease; `None` if there is none.
    pub(super) async fn read(&self) -> Result<Option<election::Lease>, kube::Error> {
        let found = self.0.get_opt(LEASE).await?;
        Ok(found.as_ref().map(read))
    }

    /// Replaces this version of the Lease, or creates it.
    pub(super) async fn write(
        &self,
        version: Option<&str>,
        holding: Holding<'_>,
    ) -> Result<Written, kube::Error> {
        let parameters = PostParams {
            field_manager: Some(crate::status::FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let wanted = object(version, holding);
        let written = match version {
            Some(_) => self.0.replace(LEASE, &parameters, &wanted).await,
            None => self.0.create(&parameters, &wanted).await,
        };
        match written {
            Ok(lease) => Ok(Written::Done(read(&lease))),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                Ok(Written::Refused)
            }
            Err(error) => Err(error),
        }
    }
}

fn object(version: Option<&str>, holding: Holding<'_>) -> Lease {
    let seconds = i32::try_from(holding.duration.as_secs()).unwrap_or(i32::MAX);
    Lease {
        metadata: ObjectMeta {
            name: Some(LEASE.to_owned()),
            resource_version: version.map(str::to_owned),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            // As other clients write it: an empty name, so that the field says that it was given back.
            holder_identity: Some(holding.holder.unwrap_or_default().to_owned()),
            lease_duration_seconds: Some(seconds),
            lease_transitions: Some(holding.transitions),
            acquire_time: Some(MicroTime(holding.acquired)),
            renew_time: Some(MicroTime(holding.renewed)),
            ..LeaseSpec::default()
        }),
    }
}

/// Returns the parts of a Lease that count. Somebody else's is read with care: no length of time of it is
/// more than a day, so that no mistake stops the operator for good.
fn read(lease: &Lease) -> election::Lease {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or(0).clamp(1, 86_400);
    let renewed = spec.renew_time.map(|time| time.0.to_string());
    election::Lease {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        record: election::Record {
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            duration: Duration::from_secs(u64::try_from(seconds).unwrap_or(1)),
            transitions: spec.lease_transitions.unwrap_or(0),
            renewed: renewed.unwrap_or_default(),
        },
    }
}

/// Changes of the Lease, as far as a watch brings them.
pub(super) struct Changes {
    lease: LeaseApi,
    watch: Option<BoxStream<'static, kube::Result<WatchEvent<Lease>>>>,
}

impl Changes {
    pub(super) fn of(lease: &LeaseApi) -> Self {
        Self {
            lease: lease.clone(),
            watch: None,
        }
    }

    /// Waits for the next change after a version. Returns the Lease; `None`: it was deleted. It never
    /// returns because of a failure: a watch is there to be faster, and the Lease is read in any case.
    pub(super) async fn next(&mut self, version: &str) -> Option<election::Lease> {
        loop {
            let watch = match &mut self.watch {
                Some(watch) => watch,
                none => {
                    let Ok(watch) = self.lease.watch(version).await else {
                        sleep(REST).await;
                        continue;
                    };
                    none.insert(watch)
                }
            };
            match watch.next().await {
                Some(Ok(WatchEvent::Added(lease) | WatchEvent::Modified(lease))) => {
                    return Some(read(&lease));
                }
                Some(Ok(WatchEvent::Deleted(_))) => return None,
                Some(Ok(WatchEvent::Bookmark(_))) => {}
                // The end of its time.
                None => self.watch = None,
                Some(Ok(WatchEvent::Error(_)) | Err(_)) => {
                    self.watch = None;
                    sleep(REST).await;
                }
            }
        }
    }
}

impl LeaseApi {
    async fn watch(
        &self,
        version: &str,
    ) -> kube::Result<BoxStream<'static, kube::Result<WatchEvent<Lease>>>> {
        let parameters = WatchParams::default()
            .fields(&format!("metadata.name={LEASE}"))
            .timeout(WATCH_SECONDS);
        Ok(self.0.watch(&parameters, version).await?.boxed())
    }
}
