//! The namespace of one test, of the demo or of a bench: the names of its catalogue objects, its
//! simulated peers, and the objects that are applied in it.
//!
//! Objects are applied as `kubectl apply --server-side` does. Names of cluster-scoped objects carry
//! the namespace as prefix, so that tests share a control plane without meeting. It must never
//! write a status or an object that is the operator's own.

mod contract;
mod object;
pub mod read;

pub use contract::{fee, now, starting_in};
pub(crate) use object::LABEL;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use entente_simulators::{Broker, BrokerOptions, FleetOptions, IppFleet, Ledger, SimulatorError};
use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::core::Request;
use kube::{Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::control_plane::{AccessError, ControlPlane};
use crate::dump;
use crate::environment::TestEnvironment;
use crate::operator::OperatorView;
use crate::wait::{Late, wait_for};

/// Time limit of a test's wait, unless it names another: what takes less than a second on an idle
/// machine took over 20 s beside builds.
pub const SOON: Duration = Duration::from_mins(1);

/// Reason why a namespace of tests could not be made or filled.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// No namespace, client or token.
    #[error(transparent)]
    Access {
        /// The error of the access.
        source: AccessError,
    },
    /// The API server refused a request.
    #[error("cannot {action}: {source}")]
    Request {
        /// The action that failed.
        action: String,
        /// The API server's reason.
        source: Box<kube::Error>,
    },
    /// A simulator could not be started.
    #[error(transparent)]
    Simulator {
        /// The error of the simulator.
        source: SimulatorError,
    },
}

/// A namespace with its simulated peers.
#[derive(Clone)]
pub struct TestNamespace<'a> {
    plane: &'a ControlPlane,
    operator: OperatorView,
    name: String,
    client: Client,
    ledger: Ledger,
}

impl<'a> TestNamespace<'a> {
    /// Creates a namespace of its own there; its name begins with the title.
    pub async fn new(
        environment: &'a TestEnvironment,
        title: &str,
    ) -> Result<TestNamespace<'a>, NamespaceError> {
        let name = environment
            .plane
            .create_namespace(title)
            .await
            .map_err(|source| NamespaceError::Access { source })?;
        let operator = environment.operator.view();
        TestNamespace::with_name(&environment.plane, operator, name).await
    }

    /// Takes a namespace of that name, which the caller has created or will apply.
    pub async fn with_name(
        plane: &'a ControlPlane,
        operator: OperatorView,
        name: String,
    ) -> Result<TestNamespace<'a>, NamespaceError> {
        let client = plane
            .client()
            .await
            .map_err(|source| NamespaceError::Access { source })?;
        Ok(Self {
            plane,
            operator,
            name,
            client,
            ledger: Ledger::new(),
        })
    }

    /// Returns the name of the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the control plane.
    pub fn plane(&self) -> &'a ControlPlane {
        self.plane
    }

    /// Returns the administrator's client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns every request that reached the simulators of this namespace.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns the name of a cluster-scoped object of this namespace: it has the namespace as
    /// prefix.
    pub fn named(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    /// Starts a fleet of simulated devices of the model `Northwind MFP 500`.
    pub async fn fleet(&self, count: usize) -> Result<IppFleet, NamespaceError> {
        self.fleet_of(FleetOptions::of(count)).await
    }

    /// Starts a fleet. Its machines are no other fleet's machines: one identity belongs to one
    /// Device.
    pub async fn fleet_of(&self, options: FleetOptions) -> Result<IppFleet, NamespaceError> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let first_index = NEXT.fetch_add(options.count, Ordering::Relaxed);
        let options = FleetOptions {
            first_index,
            ..options
        };
        IppFleet::start(options, self.ledger.clone())
            .await
            .map_err(|source| NamespaceError::Simulator { source })
    }

    /// Starts a simulated broker.
    pub async fn broker(&self) -> Result<Broker, NamespaceError> {
        Broker::start(BrokerOptions::default(), self.ledger.clone())
            .await
            .map_err(|source| NamespaceError::Simulator { source })
    }

    /// `kubectl apply --server-side`: the object as the API server has it then. An object whose
    /// namespace is not set is cluster-scoped.
    pub async fn apply<K>(&self, object: &K) -> Result<K, NamespaceError>
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
        let failed = |source| NamespaceError::Request {
            action: format!("apply the {} {name}", K::kind(&())),
            source: Box::new(source),
        };
        let request = Request::new(path)
            .patch(&name, &parameters, &Patch::Apply(object))
            .map_err(|source| failed(kube::Error::BuildRequest(source)))?;
        self.client.request::<K>(request).await.map_err(failed)
    }

    /// Deletes an object in the background, as kubectl does; one that is gone is no error.
    pub async fn delete<K>(&self, namespace: Option<&str>, name: &str) -> Result<(), NamespaceError>
    where
        K: Resource<DynamicType = ()>,
    {
        let path = K::url_path(&(), namespace);
        let failed = |source| NamespaceError::Request {
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
    /// [`Late`] with the whole state of this namespace.
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
    /// [`Late`] with the whole state of this namespace.
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

    /// Returns the whole state of this namespace, for people.
    pub async fn dump(&self) -> String {
        dump::dump(self.plane, &self.name, &self.operator, &self.ledger).await
    }
}
