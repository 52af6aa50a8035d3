//! The demo: a contract for seven devices comes into force in front of its user.
//!
//! Four devices are good, one is good and behind a firewall, one accepts settings without effect, one is
//! switched off. At the end a cartridge runs empty. Operator and gateway are the real binary on a real API server. Every number that is shown is read from the API server or
//! from the ledger of the simulated peers, and the exit code is 1 if one of them is not as
//! expected. Called by the program `demo`.

mod calling;
mod device;
mod embedded;
mod peers;
mod real;
mod summary;
mod supplies;
mod table;
mod terminal;

use std::time::Duration;

use entente_crds::v1alpha1::{Compensation, Contract, ServiceSubscription, SmartService};
use jiff::{SignedDuration, Timestamp};

use calling::Calling;
use device::{Behaviour, DEVICES, DemoDevice, names};
use entente_e2e::control_plane::{ControlPlane, Options};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{NamespaceError, TestNamespace, starting_in};
use entente_e2e::operator::{Operator, OperatorError, OperatorOptions};
use entente_e2e::peers::PeerError;
use entente_e2e::wait::Late;
use peers::DemoPeers;
use table::Table;
use terminal::Terminal;

/// The customer's namespace.
const NAMESPACE: &str = "banco-sul";
/// The contract.
const CONTRACT: &str = "banco-sul";
/// Its only entry.
const SERVICE: &str = "backup";
/// From applying the contract to its start.
const AHEAD: Duration = Duration::from_secs(15);
/// Delay that the demo's contract allows.
const ALLOWED: Duration = Duration::from_secs(5);
/// From the start until the two bad devices are mended.
const MENDED_AFTER: SignedDuration = SignedDuration::from_secs(15);
/// From the start until everything must be delivered.
const DONE_WITHIN: SignedDuration = SignedDuration::from_secs(60);
/// Between two looks at the objects.
const LOOK: Duration = Duration::from_millis(200);

/// Programs that serve as devices and service server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Peers {
    /// Simulators in this process, with a ledger of every request.
    #[default]
    Embedded,
    /// cupsd, lprint and openbrokerapi.
    Real,
}

/// Options of the demo.
#[derive(Clone, Copy, Debug, Default)]
pub struct DemoOptions {
    /// Programs that serve as devices and service server.
    pub peers: Peers,
    /// Leave everything running at the end, until Ctrl-C.
    pub keep: bool,
}

/// Reason why the demo could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No control plane.
    #[error("no control plane")]
    ControlPlane {
        /// The error of the control plane.
        source: entente_e2e::control_plane::StartError,
    },
    /// No operator.
    #[error("no operator")]
    Operator {
        /// The error of the operator.
        source: OperatorError,
    },
    /// An object could not be applied, or a simulator not be started.
    #[error("an object cannot be applied, or a simulator not be started")]
    Namespace {
        /// The error of the namespace.
        source: NamespaceError,
    },
    /// The operator did not accept the catalogue.
    #[error("the catalogue is not taken")]
    Catalogue {
        /// The error, with a dump of everything that exists.
        source: Late,
    },
    /// A peer could not be started.
    #[error("a peer could not be started")]
    Peer {
        /// The error of the peer.
        source: PeerError,
    },
    /// A real peer did not report its product name.
    #[error("{uri} does not say what model it is")]
    Model {
        /// The device.
        uri: String,
    },
}

/// Runs the demo: whether all it showed is as it has to be.
///
/// # Errors
/// [`DemoError`] where something could not even be started.
pub async fn run(options: DemoOptions) -> Result<bool, DemoError> {
    let mut terminal = Terminal::new();
    terminal.title("Entente: a contract comes into force on seven devices");
    let plane = terminal
        .step(
            "Control plane: etcd, API server, controllers",
            start_plane(),
        )
        .await?;
    let flags = vec!["--accrual-interval=1s".to_owned()];
    let operator_options = OperatorOptions {
        flags,
        tenants: vec![NAMESPACE.to_owned()],
        gateway: true,
        ..OperatorOptions::default()
    };
    let operator = terminal
        .step(
            "Operator: chart rendered by Helm, binary started with the chart's rights",
            async {
                Operator::start(&plane, operator_options)
                    .await
                    .map_err(|source| DemoError::Operator { source })
            },
        )
        .await?;
    let namespace = TestNamespace::with_name(&plane, operator.view(), NAMESPACE.to_owned())
        .await
        .map_err(namespace_failed)?;
    let title = peers::title(options.peers);
    let mut peers = terminal
        .step(title, DemoPeers::start(options.peers, &namespace))
        .await?;
    terminal
        .step(
            "Catalogue and seven Devices applied",
            prepare(&namespace, &peers),
        )
        .await?;
    let calling = terminal
        .step(
            "Gateway, and a device behind a firewall that calls it",
            Calling::start(&plane, &operator, &namespace),
        )
        .await?;

    let delivered = watch_contract(&mut terminal, &namespace, &mut peers).await?;
    let supplied = peers.show_supplies(&terminal, &namespace).await?;
    let passed = delivered && supplied;
    if options.keep {
        keep(&mut terminal, &plane, &operator, &peers).await;
    }
    terminal.finish();
    drop(calling);
    drop(peers);
    drop(operator);
    plane.stop().await;
    Ok(passed)
}

fn namespace_failed(source: NamespaceError) -> DemoError {
    DemoError::Namespace { source }
}

async fn start_plane() -> Result<ControlPlane, DemoError> {
    ControlPlane::start(Options::default())
        .await
        .map_err(|source| DemoError::ControlPlane { source })
}

/// Applies everything but the contract.
async fn prepare(namespace: &TestNamespace<'_>, peers: &DemoPeers) -> Result<(), DemoError> {
    let catalogue = peers.catalogue(namespace);
    for connection in &catalogue.connections {
        namespace
            .apply(connection)
            .await
            .map_err(namespace_failed)?;
    }
    for text in &catalogue.texts {
        namespace.apply(text).await.map_err(namespace_failed)?;
    }
    for model in &catalogue.models {
        namespace.apply(model).await.map_err(namespace_failed)?;
    }
    namespace
        .apply(&catalogue.service)
        .await
        .map_err(namespace_failed)?;
    for device in &catalogue.devices {
        namespace.apply(device).await.map_err(namespace_failed)?;
    }
    for device in names(Behaviour::Calls) {
        let device = calling::device(namespace, device);
        namespace.apply(&device).await.map_err(namespace_failed)?;
    }
    // A contract may be applied first as well; it would only be shown as waiting.
    let service = namespace.named(peers::SERVICE);
    let services = namespace.catalogue::<SmartService>();
    let known = namespace
        .soon("the service is known to the operator", async || {
            let found = services.get(&service).await.ok()?;
            found.is("Ready").then_some(())
        })
        .await;
    known.map_err(|source| DemoError::Catalogue { source })
}

/// State of the objects on the API server now.
pub(crate) struct Snapshot {
    pub(crate) now: Timestamp,
    pub(crate) contract: Option<Contract>,
    pub(crate) subscriptions: Vec<ServiceSubscription>,
    pub(crate) compensations: Vec<Compensation>,
}

impl Snapshot {
    async fn of(namespace: &TestNamespace<'_>) -> Self {
        let (contract, subscriptions, compensations) = tokio::join!(
            namespace.read_contract(CONTRACT),
            namespace.list::<ServiceSubscription>(),
            namespace.compensations()
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

/// Applies the contract and shows its progress until all is final. Returns true if all is as
/// expected.
async fn watch_contract(
    terminal: &mut Terminal,
    namespace: &TestNamespace<'_>,
    peers: &mut DemoPeers,
) -> Result<bool, DemoError> {
    let start = starting_in(AHEAD);
    let names: Vec<&str> = DEVICES.iter().map(|device| device.name).collect();
    let allowed = format!("{}s", ALLOWED.as_secs());
    let mut entry = namespace.entry(SERVICE, peers::SERVICE, &names, &allowed);
    entry
        .parameters
        .insert("weekdays".to_owned(), "wed,sun".to_owned());
    let contract = namespace.contract(CONTRACT, start, vec![entry]);
    namespace.apply(&contract).await.map_err(namespace_failed)?;

    let mut table = Table::new(start);
    terminal.lines("");
    terminal.lines(&format!(
        "The contract {CONTRACT} is applied. It begins at {start}."
    ));
    terminal.lines("It has data backup on seven devices, for 120,000.00 BRL a month each;");
    terminal.lines(&format!(
        "{} s of delay are allowed, more is given back second by second.",
        ALLOWED.as_secs()
    ));
    for DemoDevice { name, behaviour } in DEVICES {
        if let Some(text) = peers.trouble(behaviour) {
            terminal.lines(&format!("{name} {text}"));
        }
    }
    terminal.lines("");

    let mut mended = false;
    loop {
        let snapshot = Snapshot::of(namespace).await;
        table.look(&snapshot);
        terminal.show(&mut table, snapshot.now);
        if !mended && snapshot.now > start + MENDED_AFTER {
            mended = true;
            for DemoDevice { name, behaviour } in DEVICES {
                if !behaviour.is_good() {
                    let text = peers.mend(behaviour, namespace).await?;
                    table.say(Timestamp::now(), &format!("{name} {text}"));
                }
            }
        }
        let late = snapshot.now > start + DONE_WITHIN;
        if mended && (snapshot.is_final() || late) {
            terminal.show(&mut table, snapshot.now);
            terminal.settle();
            let ledger = peers.ledger(namespace, start).await?;
            return Ok(summary::tell(terminal, &snapshot, start, &ledger));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Prints commands for looking around and for disturbing what runs, and waits for Ctrl-C.
async fn keep(
    terminal: &mut Terminal,
    plane: &ControlPlane,
    operator: &Operator,
    peers: &DemoPeers,
) {
    let kubectl = entente_e2e::operator::workspace().join("target/tools/kubectl");
    terminal.heading("Everything is left running. Look around with");
    for line in [
        format!("export KUBECONFIG={}", plane.kubeconfig().display()),
        format!("alias kubectl={}", kubectl.display()),
        format!("kubectl get contracts,servicesubscriptions,devices,compensations -n {NAMESPACE}"),
        format!("kubectl describe contract {CONTRACT} -n {NAMESPACE}"),
        format!("kubectl get compensations -n {NAMESPACE} -o wide"),
        format!("kubectl get supplyorders -n {NAMESPACE}"),
        "kubectl get connections,devicemodels,smartservices".to_owned(),
        format!("kubectl get deviceenrollments,devicetwins -n {NAMESPACE}"),
        format!("kubectl get events -n {NAMESPACE} --sort-by=.metadata.creationTimestamp"),
        "kubectl explain contract.spec.services.remedies".to_owned(),
        format!("less {}", operator.view().log_file().display()),
    ] {
        terminal.lines(&format!("  {line}"));
    }
    if let Some(control) = peers.control() {
        let device = DEVICES[0].name;
        let fault = format!("{control}/devices/{device}/fault");
        terminal.heading("Switch a device off, and on again");
        let json = r#"-H 'content-type: application/json' -d '{"type": "Offline"}'"#;
        terminal.lines(&format!("  curl -X PUT {fault} {json}"));
        terminal.lines(&format!("  curl -X DELETE {fault}"));
        terminal.lines(&format!(
            "  curl {control}/devices   # all of them; more in e2e/simulators/README.md"
        ));
        terminal.lines("The operator notices at its next look at the device; to have it look now:");
        terminal.lines(&format!(
            "  kubectl annotate device {device} -n {NAMESPACE} --overwrite \
             entente.dev/reconcile-at=\"$(date +%s)\""
        ));
    }
    if let Some(id) = operator.process_id() {
        terminal.heading("Kill the operator, and start it again (end that one yourself)");
        terminal.lines(&format!("  kill -KILL {id}"));
        terminal.lines(&format!("  {}", operator.command_line()));
    }
    terminal.heading("Ctrl-C ends everything that the demo started.");
    // Without the signal there is nothing to wait for; either way everything is ended in order.
    let _ = tokio::signal::ctrl_c().await;
}
