//! The demo: a contract for six devices comes into force while somebody watches.
//!
//! Four devices are good, one accepts settings and does not take them, one is switched off. The
//! operator is the real binary on a real API server. It must tell the truth: every number that is
//! shown is read from the API server or from the ledger of the simulated peers, and the exit code
//! is 1 when one of them is not what it has to be. Called by the program `demo`.

mod board;
mod embedded;
mod real;
mod role;
mod screen;
mod stage;
mod summary;

use std::time::Duration;

use entente_crds::v1alpha1::{Compensation, Contract, ServiceSubscription, SmartService};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;

use board::Board;
use entente_e2e::control_plane::{ControlPlane, Options};
use entente_e2e::operator::{Operator, OperatorError, OperatorOptions};
use entente_e2e::peers::PeerError;
use entente_e2e::scene::read::Conditioned as _;
use entente_e2e::scene::{Scene, SceneError, starting_in};
use entente_e2e::wait::Late;
use role::{DEVICES, Role};
use screen::Screen;
use stage::Stage;

/// The customer's namespace.
const NAMESPACE: &str = "banco-sul";
/// The contract.
const CONTRACT: &str = "banco-sul";
/// Its only entry.
const SERVICE: &str = "backup";
/// From applying the contract to its start.
const AHEAD: Duration = Duration::from_secs(15);
/// How late a service may be.
const ALLOWED: Duration = Duration::from_secs(5);
/// From the start to the cure of the two bad devices.
const CURED_AFTER: SignedDuration = SignedDuration::from_secs(15);
/// From the start until everything must be delivered.
const DONE_WITHIN: SignedDuration = SignedDuration::from_secs(60);
/// Between two looks at the objects.
const LOOK: Duration = Duration::from_millis(200);

/// What plays the devices and the service server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Peers {
    /// Simulators in this process, with a ledger of every request.
    #[default]
    Embedded,
    /// cupsd, lprint and openbrokerapi.
    Real,
}

/// How the demo is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct DemoOptions {
    /// What plays the devices and the service server.
    pub peers: Peers,
    /// Leave everything running at the end, until Ctrl-C.
    pub keep: bool,
}

/// Why the demo could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No control plane.
    #[error("no control plane")]
    ControlPlane {
        /// Why.
        source: entente_e2e::control_plane::StartError,
    },
    /// No operator.
    #[error("no operator")]
    Operator {
        /// Why.
        source: OperatorError,
    },
    /// An object could not be applied, or a simulator not be started.
    #[error("the scene could not be set")]
    Scene {
        /// Why.
        source: SceneError,
    },
    /// The operator did not take the catalogue.
    #[error("the catalogue is not taken")]
    Catalogue {
        /// What it said, with everything that is there.
        source: Late,
    },
    /// A peer could not be started.
    #[error("a peer could not be started")]
    Peer {
        /// Why.
        source: PeerError,
    },
    /// A real peer did not say what it is.
    #[error("{uri} does not say what model it is")]
    Model {
        /// The device.
        uri: String,
    },
    /// A file cannot be written.
    #[error("cannot write to the terminal")]
    Screen {
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// Runs the demo: whether all it showed is as it has to be.
///
/// # Errors
/// [`DemoError`] where something could not even be started.
pub async fn run(options: DemoOptions) -> Result<bool, DemoError> {
    let mut screen = Screen::new();
    screen.title("Entente: a contract comes into force on six devices");
    let plane = screen
        .step(
            "Control plane: etcd, API server, controllers",
            start_plane(),
        )
        .await?;
    let flags = vec!["--accrual-interval=1s".to_owned()];
    let operator_options = OperatorOptions {
        flags,
        ..OperatorOptions::default()
    };
    let operator = screen
        .step(
            "Operator: chart rendered by Helm, binary started with the chart's rights",
            async {
                Operator::start(&plane, operator_options)
                    .await
                    .map_err(|source| DemoError::Operator { source })
            },
        )
        .await?;
    let scene = Scene::in_namespace(&plane, operator.view(), NAMESPACE.to_owned())
        .await
        .map_err(scene_failed)?;
    let title = stage::title(options.peers);
    let mut stage = screen
        .step(title, Stage::start(options.peers, &scene))
        .await?;
    screen
        .step("Catalogue and six Devices applied", prepare(&scene, &stage))
        .await?;

    let passed = perform(&mut screen, &scene, &mut stage).await?;
    if options.keep {
        keep(&mut screen, &plane, &operator).await;
    }
    screen.finish();
    drop(stage);
    drop(operator);
    plane.stop().await;
    Ok(passed)
}

fn scene_failed(source: SceneError) -> DemoError {
    DemoError::Scene { source }
}

async fn start_plane() -> Result<ControlPlane, DemoError> {
    ControlPlane::start(Options::default())
        .await
        .map_err(|source| DemoError::ControlPlane { source })
}

/// Applies everything but the contract.
async fn prepare(scene: &Scene<'_>, stage: &Stage) -> Result<(), DemoError> {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(NAMESPACE.to_owned());
    scene.apply(&namespace).await.map_err(scene_failed)?;
    let catalogue = stage.catalogue(scene);
    for connection in &catalogue.connections {
        scene.apply(connection).await.map_err(scene_failed)?;
    }
    for model in &catalogue.models {
        scene.apply(model).await.map_err(scene_failed)?;
    }
    scene
        .apply(&catalogue.service)
        .await
        .map_err(scene_failed)?;
    for device in &catalogue.devices {
        scene.apply(device).await.map_err(scene_failed)?;
    }
    // A contract may come first as well; here the audience is spared that.
    let service = scene.named(role::SERVICE);
    let services = scene.catalogue::<SmartService>();
    let known = scene
        .soon("the service is known to the operator", async || {
            let found = services.get(&service).await.ok()?;
            found.is("Ready").then_some(())
        })
        .await;
    known.map_err(|source| DemoError::Catalogue { source })
}

/// What the API server says now.
pub(crate) struct Sight {
    pub(crate) now: Timestamp,
    pub(crate) contract: Option<Contract>,
    pub(crate) subscriptions: Vec<ServiceSubscription>,
    pub(crate) compensations: Vec<Compensation>,
}

impl Sight {
    async fn of(scene: &Scene<'_>) -> Self {
        let (contract, subscriptions, compensations) = tokio::join!(
            scene.read_contract(CONTRACT),
            scene.list::<ServiceSubscription>(),
            scene.compensations()
        );
        Self {
            now: Timestamp::now(),
            contract,
            subscriptions,
            compensations,
        }
    }

    /// Ready, and nothing that is owed grows any more.
    fn is_final(&self) -> bool {
        let settled = self.contract.as_ref().is_some_and(|contract| {
            contract.is("Ready") && contract.is("Delivered") && !contract.is("CompensationPending")
        });
        settled && self.compensations.iter().all(|c| c.is("Calculated"))
    }
}

/// Applies the contract and shows what happens until all is final; whether all is as it has to be.
async fn perform(
    screen: &mut Screen,
    scene: &Scene<'_>,
    stage: &mut Stage,
) -> Result<bool, DemoError> {
    let start = starting_in(AHEAD);
    let names: Vec<&str> = DEVICES.iter().map(|(name, _)| *name).collect();
    let allowed = format!("{}s", ALLOWED.as_secs());
    let mut entry = scene.entry(SERVICE, role::SERVICE, &names, &allowed);
    entry
        .parameters
        .insert("weekdays".to_owned(), "wed,sun".to_owned());
    let contract = scene.contract(CONTRACT, start, vec![entry]);
    scene.apply(&contract).await.map_err(scene_failed)?;

    let mut board = Board::new(start);
    screen.lines("");
    screen.lines(&format!(
        "The contract {CONTRACT} is applied. It begins at {start}."
    ));
    screen.lines("It has data backup on six devices, for 120,000.00 BRL a month each;");
    screen.lines(&format!(
        "{} s of delay are allowed, more is given back second by second.",
        ALLOWED.as_secs()
    ));
    for (name, role) in DEVICES {
        if let Some(text) = stage.trouble(role) {
            screen.lines(&format!("{name} {text}"));
        }
    }
    screen.lines("");

    let mut cured = false;
    loop {
        let sight = Sight::of(scene).await;
        board.look(&sight);
        screen.show(&mut board, sight.now);
        if !cured && sight.now > start + CURED_AFTER {
            cured = true;
            for (name, role) in DEVICES {
                if role != Role::Good {
                    let text = stage.cure(role, scene).await?;
                    board.say(Timestamp::now(), &format!("{name} {text}"));
                }
            }
        }
        let late = sight.now > start + DONE_WITHIN;
        if cured && (sight.is_final() || late) {
            screen.show(&mut board, sight.now);
            screen.settle();
            let ledger = stage.ledger(scene, start).await?;
            return Ok(summary::tell(screen, &sight, start, &ledger));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Prints how to look around and waits for Ctrl-C.
async fn keep(screen: &mut Screen, plane: &ControlPlane, operator: &Operator) {
    let kubectl = entente_e2e::operator::workspace().join("target/tools/kubectl");
    screen.heading("Everything is left running. Look around with");
    for line in [
        format!("export KUBECONFIG={}", plane.kubeconfig().display()),
        format!("alias kubectl={}", kubectl.display()),
        format!("kubectl get contracts,servicesubscriptions,devices,compensations -n {NAMESPACE}"),
        format!("kubectl describe contract {CONTRACT} -n {NAMESPACE}"),
        format!("kubectl get compensations -n {NAMESPACE} -o wide"),
        "kubectl get connections,devicemodels,smartservices".to_owned(),
        format!("kubectl get events -n {NAMESPACE} --sort-by=.metadata.creationTimestamp"),
        "kubectl explain contract.spec.services.remedies".to_owned(),
        format!("less {}", operator.view().log_file().display()),
    ] {
        screen.lines(&format!("  {line}"));
    }
    screen.lines("Ctrl-C ends it all.");
    // Without the signal there is nothing to wait for; either way everything is ended in order.
    let _ = tokio::signal::ctrl_c().await;
}
