//! This replica in the election: a task that ends last, or ends the process.
//!
//! Wires the election of the controllers to the flags and decides nothing. Called by `operator`.

use std::{future::pending, sync::Arc};

use entente_controllers::{
    client::{self, ClientError, ClientOptions},
    election::{Election, ElectionOptions, Ended, Leadership, Terms},
    shutdown::{Shutdown, ShutdownTrigger},
};
use entente_drivers::Fence;
use tokio::task::JoinHandle;

use crate::{
    args::Args,
    operator::{Clocks, OperatorError, client_options},
    servers::Shown,
};

/// Requests of the election that are under way at once: one for the Lease, beside its watch.
const IN_FLIGHT: usize = 2;

/// A replica that takes part in the election, or the only one.
pub(crate) struct Member {
    leadership: Leadership,
    fence: Fence,
    election: Option<(ShutdownTrigger, JoinHandle<Ended>)>,
}

/// Joins the election, if the flags say that there is one.
pub(crate) async fn join(
    args: &Args,
    shown: &Shown,
    clocks: &Clocks,
) -> Result<Member, ClientError> {
    if !args.leader_election {
        shown.metrics.leader(true);
        return Ok(Member {
            leadership: Leadership::of_the_only_replica(),
            fence: Fence::always_open(),
            election: None,
        });
    }
    let terms = Terms {
        duration: args.lease_duration,
    };
    let options = ClientOptions {
        in_flight: IN_FLIGHT,
        timeout: terms.request(),
        ..client_options(args)
    };
    let client = client::connect(
        &options,
        Arc::clone(&clocks.clock),
        Arc::clone(&clocks.skew),
        Arc::clone(&shown.metrics),
    )
    .await?;
    let (election, leadership, fence) = Election::new(ElectionOptions {
        client,
        namespace: args.namespace.clone(),
        identity: identity(args),
        terms,
        clock: Arc::clone(&clocks.clock),
        skew: Arc::clone(&clocks.skew),
        metrics: Arc::clone(&shown.metrics),
        readiness: Arc::clone(&shown.readiness),
    });
    let (trigger, stop) = Shutdown::channel();
    let election = tokio::spawn(election.run(stop));
    Ok(Member {
        leadership,
        fence,
        election: Some((trigger, election)),
    })
}

/// Returns the name of the pod, which a process that begins anew in the same pod has again; without
/// one a name that no other process has.
fn identity(args: &Args) -> String {
    let unique = || format!("entente-{}", uuid::Uuid::new_v4());
    args.pod_name.clone().unwrap_or_else(unique)
}

impl Member {
    pub(crate) fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Waits until this replica may not go on, and returns why.
    pub(crate) async fn lost(&mut self) -> OperatorError {
        let Some((_, election)) = &mut self.election else {
            return pending().await;
        };
        match election.await {
            Ok(Ended::Lost | Ended::Stopped) => OperatorError::Lost,
            Err(source) => OperatorError::Election { source },
        }
    }

    /// Gives the Lease back. Call it when nothing acts any more.
    pub(crate) async fn leave(self) {
        if let Some((trigger, election)) = self.election {
            trigger.trigger();
            // Whatever became of it, this process ends now.
            let _ = election.await;
        }
    }
}
