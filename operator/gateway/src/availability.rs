//! Knowledge of the cluster, and whether it is new enough to answer by (C13).
//!
//! A watch that hangs brings nothing and fails only after a while, so the API server is asked for one
//! small object all the time. What was read last counts for a minute after its last answer; after that
//! the gateway says that it does not know, and never that there is nothing. Asked by every request but
//! the look-up of a region.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use entente_controllers::liveness::keep_running;
use entente_crds::v1alpha1::{Connection, Protocol};
use kube::Api;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{COMPONENT, Gateway, objects::each};

/// The longest time for which the API server may be away.
pub(crate) const LONGEST_AWAY: Duration = Duration::from_mins(1);
/// Time between two questions to the API server, and time for an answer.
const AGAIN: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds after which a device comes again.
pub(crate) const RETRY_AFTER: u32 = 30;

/// The last sign of the API server, and of each watch.
pub(crate) struct Availability {
    /// Last instant at which it answered.
    answered: watch::Sender<Option<Instant>>,
    /// Instant since which a watch has failed all the time.
    blind: Mutex<Option<Instant>>,
}

impl Availability {
    pub(crate) fn new() -> Self {
        Self {
            answered: watch::Sender::new(None),
            blind: Mutex::new(None),
        }
    }

    /// True if what was read last may be answered by.
    fn is_current(&self) -> bool {
        let answered = *self.answered.borrow();
        let is_heard = answered.is_some_and(|at| at.elapsed() <= LONGEST_AWAY);
        let blind = *self.blind.lock().unwrap_or_else(PoisonError::into_inner);
        let is_blind = blind.is_some_and(|since| since.elapsed() > LONGEST_AWAY);
        is_heard && !is_blind
    }

    /// Waits until the API server has answered once.
    pub(crate) async fn heard(&self) {
        // The sender is ours, so that there is no error.
        let mut answered = self.answered.subscribe();
        let _ = answered.wait_for(Option::is_some).await;
    }

    fn answered(&self) {
        self.answered.send_replace(Some(Instant::now()));
    }

    fn see(&self, is_blind: bool) {
        let mut blind = self.blind.lock().unwrap_or_else(PoisonError::into_inner);
        *blind = is_blind.then(|| blind.unwrap_or_else(Instant::now));
    }
}

impl Gateway {
    /// True if it knows enough to answer anything but a region.
    pub(crate) fn is_available(&self) -> bool {
        self.availability.is_current()
            && self.objects.are_ready()
            && self.with_agent(|_| ()).is_some()
    }

    /// Returns a sentence for the platform team about what it lacks to answer by; none if it lacks nothing.
    /// Devices are told less: they can only come again.
    fn lack(&self) -> Option<String> {
        if self.is_available() {
            return None;
        }
        if !self.objects.are_ready() {
            return Some("the objects of the cluster were not all read yet".to_owned());
        }
        if !self.availability.is_current() {
            let away = LONGEST_AWAY.as_secs();
            let said =
                format!("the API server has not answered, or a watch has failed, for {away} s");
            return Some(said);
        }
        let connection = self.connection();
        let protocol = connection.as_ref().map(|it| it.spec.protocol);
        Some(without_agent(&self.parts.options.connection, protocol))
    }

    fn is_blind(&self) -> bool {
        macro_rules! ask {
            ($($cache:ident),+) => { [$(!self.objects.$cache.broken().borrow().is_empty()),+] };
        }
        each!(ask).into_iter().any(|is_broken| is_broken)
    }
}

/// Asks the API server until the shutdown.
pub(crate) fn start(gateway: &Arc<Gateway>) {
    let parts = &gateway.parts;
    let asking = Arc::clone(gateway);
    let name = "the questions to the API server".to_owned();
    keep_running(&parts.liveness, &gateway.shutdown, name, move || {
        ask(Arc::clone(&asking))
    });
}

/// Returns a sentence about a Connection that is none of a gateway: there is none, or it has this protocol.
fn without_agent(name: &str, protocol: Option<Protocol>) -> String {
    let found = protocol.map_or_else(
        || "does not exist".to_owned(),
        |protocol| format!("has protocol {protocol:?} and not Agent"),
    );
    format!(
        "the Connection {name:?} {found}: apply a Connection of protocol Agent with this name, or name \
         another one by --connection (gateway.connection of the chart); devices are answered 503 until then"
    )
}

async fn ask(gateway: Arc<Gateway>) {
    let connection = &gateway.parts.options.connection;
    let api: Api<Connection> = Api::all(gateway.parts.client.clone());
    let mut lacked = None;
    loop {
        let answer = timeout(PATIENCE, api.get_metadata_opt(connection)).await;
        // Also a refusal is an answer; a watch that is refused is told apart.
        let is_answered = match answer {
            Ok(Err(kube::Error::Api(status))) => status.code < 500,
            Ok(answer) => answer.is_ok(),
            Err(_) => false,
        };
        if is_answered {
            gateway.availability.answered();
        }
        gateway.availability.see(gateway.is_blind());
        let lack = gateway.lack();
        let is_available = lack.is_none();
        if lacked.as_ref() != Some(&lack) {
            match &lack {
                None => tracing::info!("devices are answered"),
                Some(lack) => tracing::warn!(lack, "devices are not answered"),
            }
            let notes = lack.iter().cloned().collect();
            gateway.parts.readiness.set_notes(COMPONENT, notes);
            lacked = Some(lack);
        }
        // What is read at the start is there in a moment, and a Connection may be applied at any time.
        let again = if is_answered && is_available {
            AGAIN
        } else {
            Duration::from_secs(1)
        };
        tokio::select! {
            () = sleep(again) => {}
            () = gateway.shutdown.requested() => return,
        }
    }
}
