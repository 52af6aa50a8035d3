//! Writes of the statuses of twins, each on the version that it was decided on.
//!
//! A write that loses a race is decided anew on the object as it is then, so that two replicas never
//! undo each other. An equal status is not written. Decides nothing. Called by every route that changes
//! something.

use std::sync::Arc;

use entente_controllers::{
    cache::Key,
    status::{WriteError, read, write_status},
};
use entente_crds::v1alpha1::{DeviceTwin, DeviceTwinStatus};
use entente_domain::{bounded::cut, gateway::problem::Problem};
use kube::Api;

use crate::Gateway;

/// Number of times that a write is decided.
const TRIES: usize = 6;
/// Seconds after which a device comes again whose write was not taken.
const AGAIN: u32 = 5;

/// The end of a write.
pub(crate) enum Written {
    /// It was written, as the API server answered it.
    Done(Arc<DeviceTwin>),
    /// Another writer came first; the cache has the object as it is then, if there is one.
    Overtaken,
}

impl Gateway {
    /// Changes the status of a twin as `decide` says; returns the twin as it is after that.
    pub(crate) async fn change_status(
        &self,
        key: &Key,
        decide: impl Fn(&DeviceTwin) -> Result<Option<DeviceTwinStatus>, Problem>,
    ) -> Result<Arc<DeviceTwin>, Problem> {
        for _ in 0..TRIES {
            let twin = self.objects.twins.get(key);
            let twin = twin.ok_or(Problem::CredentialInvalid)?;
            let Some(status) = decide(&twin)? else {
                return Ok(twin);
            };
            if twin.status.as_ref() == Some(&status) {
                return Ok(twin);
            }
            if let Written::Done(twin) = self.write_twin(&twin, &status).await? {
                return Ok(twin);
            }
        }
        Err(Problem::Unavailable(AGAIN))
    }

    /// Writes the status of a twin, if it still is this version.
    pub(crate) async fn write_twin(
        &self,
        twin: &DeviceTwin,
        status: &DeviceTwinStatus,
    ) -> Result<Written, Problem> {
        let key = Key::of(twin);
        let api = self.twins(&key.namespace);
        match write_status(&api, twin, status).await {
            Ok(twin) => Ok(Written::Done(self.objects.twins.share_written(twin))),
            Err(WriteError::Conflict { .. } | WriteError::Gone { .. }) => {
                match read(&api, &key).await {
                    Ok(Some(fresh)) => self.objects.twins.put_written(fresh),
                    Ok(None) => {
                        let uid = twin.metadata.uid.as_deref().unwrap_or_default();
                        self.objects.twins.put_deleted(&key, uid);
                    }
                    Err(error) => return Err(unwritten(&error)),
                }
                Ok(Written::Overtaken)
            }
            Err(error) => Err(unwritten(&error)),
        }
    }

    /// Returns the twins of a namespace at the API server.
    pub(crate) fn twins(&self, namespace: &str) -> Api<DeviceTwin> {
        Api::namespaced(self.parts.client.clone(), namespace)
    }
}

/// Logs a write that was not taken, and returns the answer to its device.
pub(crate) fn unwritten(error: &WriteError) -> Problem {
    let error = cut(error.to_string(), 512);
    tracing::warn!(error, "what a device said could not be written");
    Problem::Unavailable(AGAIN)
}
