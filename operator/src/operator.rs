//! The life of the process: build the shared state, pass the self test, run the controllers, stop.
//!
//! It wires and decides nothing else. A signal to stop lets the passes under way finish, for a
//! while; a second one ends the process at once.

use std::{io, process::ExitCode, sync::Arc, time::Duration};

use entente_controllers::{
    brokers::Brokers,
    client::{self, ClientError, ClientOptions},
    clock::{Clock, ClockSkew, SystemClock},
    context::{Context, Options},
    events::Events,
    liveness::Liveness,
    metrics::Metrics,
    readiness::Readiness,
    self_test,
    shutdown::{Shutdown, ShutdownTrigger},
};
use entente_drivers::Drivers;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing::{error, info};

use crate::{admin, args::Args};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Time for which passes under way may continue after the signal to stop. Less than the 30 s after
/// which Kubernetes kills a pod.
const GRACE: Duration = Duration::from_secs(20);

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
    /// The admin address can not be listened on.
    #[error("can not listen on the admin address: {source}")]
    Listen {
        /// The error.
        source: io::Error,
    },
    /// Signals can not be received.
    #[error("can not receive signals: {source}")]
    Signals {
        /// The error.
        source: io::Error,
    },
    /// The admin endpoints stopped.
    #[error("the admin endpoints stopped: {problem}")]
    Admin {
        /// Description of the error.
        problem: String,
    },
    /// The controllers ended without a signal to stop.
    #[error("the controllers ended by themselves, or panicked")]
    Ended,
    /// Passes under way did not finish in time.
    #[error("passes under way did not finish within {GRACE:?} after the signal to stop")]
    Late,
}

/// Runs until a signal to stop, SIGTERM or SIGINT.
pub(crate) async fn run(args: Args) -> Result<(), OperatorError> {
    let metrics = Arc::new(Metrics::new(VERSION));
    let readiness = Arc::new(Readiness::waiting_for(&[self_test::COMPONENT]));
    let liveness = Arc::new(Liveness::default());
    let (trigger, shutdown) = Shutdown::channel();
    stop_on_signals(trigger)?;
    let listener = TcpListener::bind(args.admin_address)
        .await
        .map_err(|source| OperatorError::Listen { source })?;
    let context = context(&args, &metrics, &readiness, &liveness).await?;
    let address = listener
        .local_addr()
        .map_err(|source| OperatorError::Listen { source })?;
    info!(version = VERSION, admin = %address, "started");

    let admin = tokio::spawn(admin::serve(
        listener,
        metrics,
        (liveness, readiness),
        shutdown.clone(),
    ));
    let events = context.events.clone();
    let controllers = tokio::spawn(work(context, shutdown.clone()));
    tokio::pin!(admin, controllers);
    let mut has_ended = false;
    tokio::select! {
        () = shutdown.requested() => {}
        // They end at once at the signal to stop, and may be seen first.
        ended = &mut admin => {
            if !shutdown.is_requested() {
                return Err(OperatorError::Admin { problem: format!("{ended:?}") });
            }
        }
        ended = &mut controllers => {
            if ended.is_err() || !shutdown.is_requested() {
                return Err(OperatorError::Ended);
            }
            has_ended = true;
        }
    }
    if !has_ended {
        let ended = tokio::time::timeout(GRACE, controllers).await;
        let ended = ended.map_err(|_| OperatorError::Late)?;
        ended.map_err(|_| OperatorError::Ended)?;
    }
    events.flush(FLUSH).await;
    info!("stopped");
    Ok(())
}

async fn context(
    args: &Args,
    metrics: &Arc<Metrics>,
    readiness: &Arc<Readiness>,
    liveness: &Arc<Liveness>,
) -> Result<Context, OperatorError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let skew = Arc::new(ClockSkew::default());
    let options = ClientOptions {
        kubeconfig: args.kubeconfig.clone(),
        timeout: args.api_timeout,
        in_flight: args.api_in_flight.into(),
        version: VERSION.to_owned(),
    };
    let client = client::connect(
        &options,
        Arc::clone(&clock),
        Arc::clone(&skew),
        Arc::clone(metrics),
    )
    .await
    .map_err(|source| OperatorError::Client { source })?;
    let api_server = client::api_server_addresses(&options).await;
    let api_server = api_server.map_err(|source| OperatorError::Client { source })?;
    let drivers = Drivers::beside(&api_server);
    Ok(Context {
        brokers: Arc::new(Brokers::new(drivers.clone(), Arc::clone(&clock))),
        events: Events::start(client.clone(), args.pod_name.clone(), Arc::clone(metrics)),
        client,
        clock,
        skew,
        metrics: Arc::clone(metrics),
        readiness: Arc::clone(readiness),
        liveness: Arc::clone(liveness),
        drivers,
        options: Options {
            namespace: args.namespace.clone(),
            withdraw_deadline: args.withdraw_deadline,
            accrual_interval: args.accrual_interval,
            concurrency: args.concurrency.into(),
        },
    })
}

async fn work(context: Context, shutdown: Shutdown) {
    let namespace = context.options.namespace.clone();
    self_test::pass(
        &context.client,
        &namespace,
        self_test::RIGHTS,
        &context.readiness,
        &shutdown,
    )
    .await;
    if !shutdown.is_requested() {
        entente_controllers::run(context, shutdown).await;
    }
}

fn stop_on_signals(trigger: ShutdownTrigger) -> Result<(), OperatorError> {
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
                info!("shutting down: passes in progress may finish");
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
