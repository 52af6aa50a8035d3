//! The life of the process: build the shared state, pass the self test, run the controllers, stop.
//!
//! It wires and decides nothing else. A signal to stop lets the passes under way finish, for a
//! while; a second one ends the process at once.

use std::{io, process::ExitCode, sync::Arc, time::Duration};

use entente_controllers::{
    board::Board,
    brokers::Brokers,
    client::{self, ClientError, ClientOptions},
    clock::{Clock, ClockSkew, SystemClock},
    context::{Context, Options},
    election::Leadership,
    events::Events,
    liveness::Liveness,
    metrics::Metrics,
    pass_ids::PassIds,
    readiness::Readiness,
    self_test::{self, Installation, Right},
    shutdown::{Shutdown, ShutdownTrigger},
};
use entente_drivers::{Drivers, Fence};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinError,
};
use tracing::{error, info};

use crate::{
    args::Args,
    election,
    servers::{Servers, ServersError, Shown},
};

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Time for which passes under way may continue after the signal to stop. Less than the 30 s after
/// which Kubernetes kills a pod.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

/// Time after that in which the remaining events may be written.
const FLUSH: Duration = Duration::from_secs(3);

/// Reason why the operator failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperatorError {
    /// The client of the Kubernetes API could not be made.
    #[error(transparent)]
    Client {
        /// The error.
        source: ClientError,
    },
    /// The operator does not serve.
    #[error(transparent)]
    Servers {
        /// The error.
        source: ServersError,
    },
    /// Signals can not be received.
    #[error("can not receive signals: {source}")]
    Signals {
        /// The error.
        source: io::Error,
    },
    /// The servers panicked.
    #[error("the servers panicked: {source}")]
    Panicked {
        /// The error.
        source: JoinError,
    },
    /// The controllers ended without a signal to stop.
    #[error("the controllers ended by themselves, or panicked")]
    Ended,
    /// Another replica leads, or led.
    #[error(
        "another replica has led since this one could not renew the Lease, or the Lease was removed; \
         begin anew"
    )]
    Lost,
    /// The election panicked.
    #[error("the election panicked: {source}")]
    Election {
        /// The error.
        source: JoinError,
    },
    /// Passes under way did not finish in time.
    #[error("passes under way did not finish within {GRACE:?} after the signal to stop")]
    Late,
}

/// Runs until a signal to stop, SIGTERM or SIGINT.
pub(crate) async fn run(args: Args) -> Result<(), OperatorError> {
    let shown = Shown {
        metrics: Arc::new(Metrics::new(VERSION)),
        liveness: Arc::new(Liveness::default()),
        readiness: Arc::new(Readiness::waiting_for(&[self_test::COMPONENT])),
    };
    let (trigger, shutdown) = Shutdown::channel();
    let trigger = Arc::new(trigger);
    stop_on_signals(Arc::clone(&trigger))?;
    let servers = Servers::listen(&args).await;
    let servers = servers.map_err(|source| OperatorError::Servers { source })?;
    let clocks = Clocks::default();
    let member = election::join(&args, &shown, &clocks).await;
    let mut member = member.map_err(|source| OperatorError::Client { source })?;
    let context = context(&args, &shown, &clocks, member.fence()).await?;
    servers.addresses().tell(VERSION);

    let client = context.client.clone();
    let board = args.board_address.map(|_| {
        let clock = Arc::clone(&context.clock);
        Arc::new(Board::new(client.clone(), clock))
    });
    let served = servers.serve(shown, client, board.clone(), shutdown.clone());
    let servers = tokio::spawn(served);
    let events = context.events.clone();
    let leadership = member.leadership();
    let stop = shutdown.clone();
    let controllers = tokio::spawn(async move {
        work(context, board, &args, leadership, (&trigger, &stop)).await;
    });
    let served = async {
        let ended = servers.await;
        // They end at once at the signal to stop, and may be seen first.
        if shutdown.is_requested() {
            return Ok(());
        }
        ended
            .map_err(|source| OperatorError::Panicked { source })?
            .map_err(|source| OperatorError::Servers { source })
    };
    let worked = async {
        let ended = controllers.await;
        let is_asked = ended.is_ok() && shutdown.is_requested();
        is_asked.then_some(()).ok_or(OperatorError::Ended)
    };
    let late = async {
        shutdown.requested().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = async { tokio::try_join!(served, worked) } => { ended?; }
        lost = member.lost() => return Err(lost),
        () = late => return Err(OperatorError::Late),
    }
    events.flush(FLUSH).await;
    // Only now: nothing acts any more.
    member.leave().await;
    info!("stopped");
    Ok(())
}

/// The wall clock, and its difference to that of the API server.
pub(crate) struct Clocks {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) skew: Arc<ClockSkew>,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            skew: Arc::default(),
        }
    }
}

/// Returns the options of a client of the API server.
pub(crate) fn client_options(args: &Args) -> ClientOptions {
    ClientOptions {
        kubeconfig: args.kubeconfig.clone(),
        timeout: args.api_timeout,
        in_flight: args.api_in_flight.into(),
        version: VERSION.to_owned(),
    }
}

async fn context(
    args: &Args,
    Shown {
        metrics,
        liveness,
        readiness,
    }: &Shown,
    Clocks { clock, skew }: &Clocks,
    fence: &Fence,
) -> Result<Context, OperatorError> {
    let options = client_options(args);
    let client = client::connect(
        &options,
        Arc::clone(clock),
        Arc::clone(skew),
        Arc::clone(metrics),
    )
    .await
    .map_err(|source| OperatorError::Client { source })?;
    let api_server = client::api_server_addresses(&options).await;
    let api_server = api_server.map_err(|source| OperatorError::Client { source })?;
    let drivers = Drivers::beside(&api_server, fence);
    Ok(Context {
        brokers: Arc::new(Brokers::new(
            drivers.clone(),
            Arc::clone(clock),
            Arc::clone(metrics),
        )),
        events: Events::start(client.clone(), args.pod_name.clone(), Arc::clone(metrics)),
        client,
        clock: Arc::clone(clock),
        skew: Arc::clone(skew),
        metrics: Arc::clone(metrics),
        readiness: Arc::clone(readiness),
        liveness: Arc::clone(liveness),
        drivers,
        passes: Arc::new(PassIds::since(clock.now())),
        options: Options {
            namespace: args.namespace.clone(),
            served: Vec::new(),
            selector: args.selector.clone(),
            withdraw_deadline: args.withdraw_deadline,
            accrual_interval: args.accrual_interval,
            concurrency: args.concurrency.into(),
        },
    })
}

/// Returns the rights that the operator needs for what its flags say.
fn rights(args: &Args) -> Vec<Right> {
    let of_events = args.events_address.map(|_| self_test::EVENTS_RIGHTS);
    let of_events = of_events.unwrap_or_default();
    let of_election = if args.leader_election {
        self_test::ELECTION_RIGHTS
    } else {
        &[]
    };
    [self_test::RIGHTS, of_events, of_election].concat()
}

async fn work(
    mut context: Context,
    board: Option<Arc<Board>>,
    args: &Args,
    leadership: Leadership,
    (trigger, shutdown): (&ShutdownTrigger, &Shutdown),
) {
    let rights = rights(args);
    let installation = Installation {
        namespace: &args.namespace,
        watched: &args.watch_namespaces,
    };
    let client = context.client.clone();
    let readiness = Arc::clone(&context.readiness);
    let served = self_test::pass(&client, installation, &rights, &readiness, shutdown).await;
    if shutdown.is_requested() {
        return;
    }
    context.options.served.clone_from(&served);
    let another = async {
        let found =
            self_test::another_to_serve(&client, installation, &served, &rights, shutdown).await;
        // What is read of a namespace has to be complete before anything is decided on it, as it is
        // at a start.
        if let Some(namespace) = found {
            info!(
                namespace,
                "a watched namespace can be served: beginning anew"
            );
            trigger.trigger();
        }
    };
    let run = entente_controllers::run(context, board, leadership, shutdown.clone());
    tokio::join!(another, run);
}

pub(crate) fn stop_on_signals(trigger: Arc<ShutdownTrigger>) -> Result<(), OperatorError> {
    let listen = |kind| signal(kind).map_err(|source| OperatorError::Signals { source });
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first {
                info!("shutting down: work in progress may finish");
                trigger.trigger();
            }
        }
        error!("asked to shut down a second time");
        std::process::exit(1);
    });
    Ok(())
}

/// Returns the exit code: 0 stopped as asked, 1 failed.
pub(crate) fn exit_code(result: Result<(), OperatorError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            error!(%problem, "failed");
            ExitCode::FAILURE
        }
    }
}
