//! The device behind a firewall: the reference device of the repository, which calls a gateway.
//!
//! Decides its enrolment and its identity. Nothing of Entente can reach it. Called by the demo, with
//! whatever peers the others are.

use entente_crds::v1alpha1::Device;
use entente_crds::{LABEL_USE, MAY_BE_USED};
use entente_e2e::control_plane::ControlPlane;
use entente_e2e::namespace::TestNamespace;
use entente_e2e::operator::{Gateway, GatewayPlace, Operator};
use entente_e2e::peers::{Agent, AgentOptions};
use k8s_openapi::api::core::v1::Secret;

use super::device::{Behaviour, names};
use super::{DemoError, namespace_failed};

/// Name of the enrolment and of the Secret with its token.
const ENROLLMENT: &str = "firewall";
/// The token of the enrolment, which only this demo knows.
const TOKEN: &str = "the-demo-lets-its-own-device-in-by-this";
/// Interval at which the device calls while it waits for nothing.
const POLL: &str = "10s";

/// The gateway and the device. Dropping it ends both.
pub(super) struct Calling {
    /// The device ends before the gateway that it calls.
    _agents: Vec<Agent>,
    _gateway: Gateway,
}

impl Calling {
    /// Applies Connection and enrolment, and starts the gateway and the device.
    pub(super) async fn start(
        plane: &ControlPlane,
        operator: &Operator,
        namespace: &TestNamespace<'_>,
    ) -> Result<Self, DemoError> {
        let failed = |source| DemoError::Operator { source };
        let taken = GatewayPlace::take(plane).map_err(failed)?;
        let connection = namespace.gateway_connection(&taken.url(), POLL);
        namespace
            .apply(&connection)
            .await
            .map_err(namespace_failed)?;
        let (secret, enrollment) = (token(namespace), namespace.enrollment(ENROLLMENT));
        namespace.apply(&secret).await.map_err(namespace_failed)?;
        namespace
            .apply(&enrollment)
            .await
            .map_err(namespace_failed)?;
        let connection = namespace.named("gateway");
        let gateway = taken
            .start(plane, operator.namespace(), &connection, &[])
            .await
            .map_err(failed)?;
        let agents = names(Behaviour::Calls)
            .map(|name| Agent::start(&gateway, &AgentOptions::new(&serial_number(name), TOKEN)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| DemoError::Peer { source })?;
        Ok(Self {
            _agents: agents,
            _gateway: gateway,
        })
    }
}

/// Returns the Device of one that calls.
pub(super) fn device(namespace: &TestNamespace<'_>, name: &str) -> Device {
    namespace.calling_device(name, &serial_number(name))
}

fn serial_number(name: &str) -> String {
    format!("NW-{name}")
}

fn token(namespace: &TestNamespace<'_>) -> Secret {
    let mut secret = Secret {
        string_data: Some([("token".to_owned(), TOKEN.to_owned())].into()),
        ..Secret::default()
    };
    secret.metadata.name = Some(ENROLLMENT.to_owned());
    secret.metadata.namespace = Some(namespace.name().to_owned());
    let label = (LABEL_USE.to_owned(), MAY_BE_USED.to_owned());
    secret.metadata.labels = Some([label].into());
    secret
}
