//! The world of one test or of the demo: a namespace, the names of its catalogue objects, its
//! simulated peers, and the objects it applies.
//!
//! Objects are applied as `kubectl apply --server-side` does. Names of cluster-scoped objects carry
//! the namespace as prefix, so that tests share a control plane without meeting. It must never
//! write a status or an object that is the operator's own.

mod contract;
mod object;
pub mod read;

pub use contract::{fee, now, starting_in};

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::core::Request;
use kube::{Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::control_plane::{AccessError, ControlPlane};
use crate::dump;
use crate::operator::{Ground, OperatorView};
use crate::wait::{Late, wait_for};
use entente_simulators::{Broker, BrokerOptions, FleetOptions, IppFleet, Ledger, SimulatorError};

/// What a test waits for at most, unless it says otherwise.
pub const SOON: Duration = Duration::from_secs(20);

/// Why the world of a test could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// No namespace, client or token.
    #[error(transparent)]
    Access {
        /// Why.
        source: AccessError,
    },
    /// The API server refused a request.
    #[error("cannot {action}: {source}")]
    Request {
        /// What was wanted.
        action: String,
        /// The API server's reason.
        source: Box<kube::Error>,
    },
    /// A simulator could not be started.
    #[error(transparent)]
    Simulator {
        /// Why.
        source: SimulatorError,
    },
}

/// The world of one test.
#[derive(Clone)]
pub struct Scene<'a> {
    plane: &'a ControlPlane,
    operator: OperatorView,
    namespace: String,
    client: Client,
    ledger: Ledger,
}

impl<'a> Scene<'a> {
    /// A world in a namespace of its own on that ground.
    pub async fn new(ground: &'a Ground, title: &str) -> Result<Scene<'a>, SceneError> {
        let namespace = ground
            .plane
            .create_namespace(title)
            .await
            .map_err(|source| SceneError::Access { source })?;
        Scene::in_namespace(&ground.plane, ground.operator.view(), namespace).await
    }

    /// A world in a namespace that exists.
    pub async fn in_namespace(
        plane: &'a ControlPlane,
        operator: OperatorView,
        namespace: String,
    ) -> Result<Scene<'a>, SceneError> {
        let client = plane
            .client()
            .await
            .map_err(|source| SceneError::Access { source })?;
        Ok(Self {
            plane,
            operator,
            namespace,
            client,
            ledger: Ledger::new(),
        })
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The control plane.
    pub fn plane(&self) -> &'a ControlPlane {
        self.plane
    }

    /// The administrator's client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Every request that reached the simulators of this world.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The name of a cluster-scoped object of this world.
    pub fn named(&self, name: &str) -> String {
        format!("{}-{name}", self.namespace)
    }

    /// A fleet of simulated devices of the model `Northwind MFP 500`.
    pub async fn fleet(&self, count: usize) -> Result<IppFleet, SceneError> {
        self.fleet_of(FleetOptions::of(count)).await
    }

    /// A fleet. Its machines are no other fleet's machines: one identity belongs to one Device.
    pub async fn fleet_of(&self, options: FleetOptions) -> Result<IppFleet, SceneError> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let first_index = NEXT.fetch_add(options.count, Ordering::Relaxed);
        let options = FleetOptions {
            first_index,
            ..options
        };
        IppFleet::start(options, self.ledger.clone())
            .await
            .map_err(|source| SceneError::Simulator { source })
    }

    /// A simulated broker.
    pub async fn broker(&self) -> Result<Broker, SceneError> {
        Broker::start(BrokerOptions::default(), self.ledger.clone())
            .await
            .map_err(|source| SceneError::Simulator { source })
    }

    /// `kubectl apply --server-side`: the object as the API server has it then. An object whose
    /// namespace is not set is cluster-scoped.
    pub async fn apply<K>(&self, object: &K) -> Result<K, SceneError>
    where
        K: Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + std::fmt::Debug,
    {
        let name = object.name_any();
        let parameters = PatchParams {
            force: true,
            field_manager: Some("kubectl".to_owned()),
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::default()
        };
        let path = K::url_path(&(), object.meta().namespace.as_deref());
        let failed = |source| SceneError::Request {
            action: format!("apply the {} {name}", K::kind(&())),
            source: Box::new(source),
        };
        let request = Request::new(path)
            .patch(&name, &parameters, &Patch::Apply(object))
            .map_err(|source| failed(kube::Error::BuildRequest(source)))?;
        self.client.request::<K>(request).await.map_err(failed)
    }

    /// Deletes an object in the background, as kubectl does; one that is gone is no error.
    pub async fn delete<K>(&self, namespace: Option<&str>, name: &str) -> Result<(), SceneError>
    where
        K: Resource<DynamicType = ()>,
    {
        let path = K::url_path(&(), namespace);
        let failed = |source| SceneError::Request {
            action: format!("delete the {} {name}", K::kind(&())),
            source: Box::new(source),
        };
        let request = Request::new(path)
            .delete(name, &kube::api::DeleteParams::background())
            .map_err(|source| failed(kube::Error::BuildRequest(source)))?;
        match self.client.request::<serde_json::Value>(request).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(source) => Err(failed(source)),
        }
    }

    /// Waits for [`SOON`] at most.
    ///
    /// # Errors
    /// [`Late`] with the whole state of this world.
    pub async fn soon<T>(
        &self,
        what: &str,
        look: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T, Late> {
        self.within(SOON, what, look).await
    }

    /// Waits so long at most.
    ///
    /// # Errors
    /// [`Late`] with the whole state of this world.
    pub async fn within<T>(
        &self,
        within: Duration,
        what: &str,
        look: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T, Late> {
        match wait_for(what, within, look).await {
            Ok(found) => Ok(found),
            Err(late) => Err(Late {
                dump: self.dump().await,
                ..late
            }),
        }
    }

    /// The whole state of this world, for people.
    pub async fn dump(&self) -> String {
        dump::dump(self.plane, &self.namespace, &self.operator, &self.ledger).await
    }
}
