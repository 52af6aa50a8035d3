//! The devices that call, with their gateway, enrolment and catalogue; it measures nothing.
//!
//! The limits of the gateway are off, since all devices have one address and call far more often than
//! real ones; everything else is as the chart has it. Called by the parts of this bench.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use entente_crds::v1alpha1::{Connection, SmartService};
use entente_crds::{LABEL_USE, MAY_BE_USED};
use entente_e2e::control_plane::ControlPlane;
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::TestNamespace;
use entente_e2e::operator::{Gateway, GatewayPlace, OperatorOptions};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;

use super::device::Device;
use super::line::Server;
use super::problem;
use crate::customer::{apply_devices, until_quiet};
use crate::usage::{self, Usage};
use crate::{BenchError, NAMESPACE, QUIET, namespace_failed, operator_failed, say, within};

/// The token of the enrolment; its name is that of its Secret, too.
const TOKEN: &str = "a-token-of-an-enrolment-that-nobody-guesses";
const ENROLLMENT: &str = "fleet";
/// Name of the service, and of the setting that it has.
pub(super) const SERVICE: &str = "parts-life";
pub(super) const SETTING: &str = "alert.threshold";
/// Name of the ConfigMap with the authority of the provider's inbox.
pub(super) const AUTHORITY: &str = "inbox";
/// The announced period while it does not matter: nothing is written that is due twice in it.
pub(super) const DAILY: &str = "24h";
/// Time before an instant in which devices call once more, spread over three quarters of it.
const BEFORE: &str = "20s";
/// Devices that are worked on at once where each opens a connection: a handshake costs processor time
/// on both sides.
pub(super) const AT_ONCE: usize = 64;

/// The devices with all that they need.
pub(super) struct Fleet<'p> {
    pub(super) namespace: TestNamespace<'p>,
    pub(super) gateway: Gateway,
    pub(super) server: Server,
    pub(super) devices: Vec<Device>,
    /// Usage of the gateway before there was any device.
    pub(super) without_devices: Usage,
}

/// Starts a control plane with an operator on it, which has the rights for a gateway.
pub(super) async fn environment() -> Result<TestEnvironment, BenchError> {
    let options = OperatorOptions {
        flags: Vec::new(),
        tenants: vec![NAMESPACE.to_owned()],
        gateway: true,
        // The gateway reads no other one of its namespace.
        chart_values: vec![format!("gateway.artifacts.configMapNames={{{AUTHORITY}}}")],
        ..OperatorOptions::default()
    };
    TestEnvironment::start(options)
        .await
        .map_err(operator_failed)
}

impl<'p> Fleet<'p> {
    /// Starts a gateway and makes so many Devices, whose machines register and read their twins once.
    pub(super) async fn new(
        environment: &'p TestEnvironment,
        devices: usize,
    ) -> Result<Self, BenchError> {
        let view = environment.operator.view();
        let plane = &environment.plane;
        let namespace = TestNamespace::with_name(plane, view, NAMESPACE.to_owned()).await;
        let namespace = namespace.map_err(namespace_failed)?;
        let taken = GatewayPlace::take(plane).map_err(operator_failed)?;
        let connection = connection(&namespace, &taken.url(), DAILY);
        apply_catalogue(&namespace, &connection).await?;
        let gateway = start(taken, plane, &namespace).await?;
        let address = gateway.url().trim_start_matches("https://").parse();
        let server = Server::new(address.map_err(problem)?, &gateway.certificate())?;
        let without_devices = usage::of(gateway.process_id().unwrap_or_default())?;
        let mut fleet = Self {
            without_devices,
            namespace,
            gateway,
            server,
            devices: (0..devices).map(Device::new).collect(),
        };
        fleet.apply().await?;
        fleet.register().await?;
        Ok(fleet)
    }

    async fn apply(&self) -> Result<(), BenchError> {
        say(&format!("  {} Devices are applied", self.devices.len()));
        let objects = self.devices.iter();
        let objects: Vec<_> = objects
            .map(|it| self.namespace.calling_device(&it.name, &it.serial_number))
            .collect();
        apply_devices(&self.namespace, &objects).await?;
        self.until_quiet().await
    }

    async fn register(&mut self) -> Result<(), BenchError> {
        let devices = std::mem::take(&mut self.devices);
        let all = devices.len();
        let done = Arc::new(AtomicUsize::new(0));
        let registered = stream::iter(devices).map(|mut device| {
            let (server, done) = (self.server.clone(), Arc::clone(&done));
            async move {
                device.register(&server, TOKEN).await?;
                device.read(&server).await?;
                device.hang_up();
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                if done.is_multiple_of(1000) {
                    say(&format!("  {done} of {all} devices are registered"));
                }
                Ok::<_, BenchError>(device)
            }
        });
        let registered = registered.buffered(AT_ONCE).try_collect();
        let within = within(all);
        let registered = tokio::time::timeout(within, registered).await;
        self.devices = registered.map_err(|_| BenchError::Late {
            what: "the devices are not registered".to_owned(),
            within,
        })??;
        self.until_quiet().await
    }

    /// Waits until operator and gateway have written nothing for a while.
    pub(super) async fn until_quiet(&self) -> Result<(), BenchError> {
        until_quiet(&self.namespace, QUIET, within(self.devices.len())).await
    }

    /// Announces another period, and waits until the gateway names it.
    pub(super) async fn announce(&mut self, period: Duration) -> Result<(), BenchError> {
        let text = format!("{}s", period.as_secs());
        let connection = connection(&self.namespace, &self.gateway.url(), &text);
        let applied = self.namespace.apply::<Connection>(&connection).await;
        applied.map_err(namespace_failed)?;
        let wanted = SignedDuration::try_from(period).map_err(problem)?;
        let device = self
            .devices
            .first_mut()
            .ok_or_else(|| problem("no device"))?;
        let server = self.server.clone();
        let named = async || {
            let read = device.read(&server).await;
            read.ok().filter(|(_, next)| *next == wanted)
        };
        let what = "the gateway announces the period";
        let named = entente_e2e::wait::wait_for(what, within(0), named).await;
        named.map_err(problem)?;
        self.until_quiet().await
    }

    /// Returns the process id of the gateway.
    pub(super) fn process_id(&self) -> u32 {
        self.gateway.process_id().unwrap_or_default()
    }
}

/// Returns the Connection of the gateway. Devices that were not heard of for a while are no subject of
/// this bench.
fn connection(namespace: &TestNamespace<'_>, url: &str, period: &str) -> Connection {
    let mut connection = namespace.gateway_connection(url, period);
    if let Some(agent) = &mut connection.spec.agent {
        agent.before = BEFORE.into();
        agent.missed_polls = 100;
    }
    connection
}

/// Applies the Connection, the example model, a service of one setting, and the enrolment with its
/// token.
async fn apply_catalogue(
    namespace: &TestNamespace<'_>,
    connection: &Connection,
) -> Result<(), BenchError> {
    let applied = namespace.apply(connection).await;
    applied.map_err(namespace_failed)?;
    let applied = namespace.apply(&namespace.model()).await;
    applied.map_err(namespace_failed)?;
    let applied = namespace.apply(&of_one_setting(namespace.parts())).await;
    applied.map_err(namespace_failed)?;
    let applied = namespace.apply(&secret(namespace.name())).await;
    applied.map_err(namespace_failed)?;
    let applied = namespace.apply(&namespace.enrollment(ENROLLMENT)).await;
    applied.map(drop).map_err(namespace_failed)
}

fn of_one_setting(mut service: SmartService) -> SmartService {
    if let Some(device) = &mut service.spec.device {
        device.settings.retain(|setting| setting.name == SETTING);
    }
    let parameters = &mut service.spec.parameters;
    parameters.retain(|parameter| parameter.name == "threshold");
    service
}

fn secret(namespace: &str) -> Secret {
    let mut secret = Secret {
        string_data: Some(BTreeMap::from([("token".to_owned(), TOKEN.to_owned())])),
        ..Secret::default()
    };
    secret.metadata.name = Some(ENROLLMENT.to_owned());
    secret.metadata.namespace = Some(namespace.to_owned());
    let label = (LABEL_USE.to_owned(), MAY_BE_USED.to_owned());
    secret.metadata.labels = Some(BTreeMap::from([label]));
    secret
}

async fn start(
    taken: GatewayPlace,
    plane: &ControlPlane,
    namespace: &TestNamespace<'_>,
) -> Result<Gateway, BenchError> {
    let flags = ["--address-requests=0", "--device-requests=0"].map(str::to_owned);
    let own = OperatorOptions::default().namespace;
    let connection = namespace.named("gateway");
    taken
        .start(plane, &own, &connection, &flags)
        .await
        .map_err(operator_failed)
}
