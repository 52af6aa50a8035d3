//! Rows of the zoo through the real operator: all at once in one namespace, each with a device, a
//! Connection and a contract of its own.

use std::time::{Duration, Instant};

use entente_crds::ANNOTATION_ABANDON;
use entente_crds::v1alpha1::{Connection, Contract, Retry, SmartService, Timeouts};
use entente_e2e::namespace::TestNamespace;
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{SOON, now};
use entente_e2e::wait::wait_for;
use entente_simulators::zoo::{Action, Asked, Claim, Fact, Pace, Row, ZooBroker, ZooListener};
use futures::future::join_all;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::claims::Seen;
use super::{chosen, objects, rows};
use crate::delivery_fixture::{DeliveryFixture, reconciled};

/// Time limit for the claims of a phase to hold.
const HOLDS_WITHIN: Duration = SOON;
/// Time for which they must go on to hold.
const HOLDS_FOR: Duration = Duration::from_secs(3);

/// A row that is played to the operator.
struct Played<'a> {
    namespace: &'a TestNamespace<'static>,
    row: &'a Row,
    device: &'a str,
    listener: ZooListener,
    contract: Contract,
    service: SmartService,
    begun: Instant,
}

// shows B9 D2 K5
#[tokio::test]
async fn brokers_of_the_zoo_have_their_right_verdict_through_the_operator() {
    let mut rows = chosen(rows());
    // Those that wait for a mend are required to fail in process, which is quicker.
    rows.retain(|row| row.end_to_end && row.known.is_none());
    println!("{} rows", rows.len());
    let fixture = DeliveryFixture::new("zoo", rows.len()).await;
    let rows = rows.iter().enumerate();
    let played = rows.map(async |(place, row)| {
        let namespace = &fixture.namespace;
        let mut played = Played::begin(namespace, row, fixture.name(place)).await;
        let wrong = played.story().await.err();
        played.end().await;
        wrong
    });
    let wrong: Vec<String> = join_all(played).await.into_iter().flatten().collect();
    assert!(
        wrong.is_empty(),
        "{}\n{} rows are wrong",
        wrong.join("\n"),
        wrong.len()
    );
}

impl<'a> Played<'a> {
    async fn begin(namespace: &'a TestNamespace<'static>, row: &'a Row, device: &'a str) -> Self {
        let begun = Instant::now();
        let broker = ZooBroker::new(row, Pace::Real, Timestamp::now());
        let listener = ZooListener::start(broker, 0, Timestamp::now).unwrap();
        let name = namespace.named(&row.name);
        let mut connection = namespace.broker_connection(&listener.url());
        connection.metadata.name = Some(name.clone());
        connection.spec.retry = Some(Retry {
            initial: "500ms".into(),
            max: "4s".into(),
        });
        if objects::is_silent(row) {
            connection.spec.timeouts = Some(Timeouts {
                connect: "1s".into(),
                request: "1s".into(),
            });
        }
        namespace.apply::<Connection>(&connection).await.unwrap();
        let service = SmartService::new(&name, objects::service(row, &name));
        let service = namespace.labelled(service);
        namespace.apply::<SmartService>(&service).await.unwrap();
        let entry = namespace.entry("entry", &row.name, &[device], "1h");
        let contract = namespace.contract(&row.name, now(), vec![entry]);
        namespace.apply(&contract).await.unwrap();
        Self {
            namespace,
            row,
            device,
            listener,
            contract,
            service,
            begun,
        }
    }

    /// Plays the story. Returns an error with it if a claim does not hold.
    async fn story(&mut self) -> Result<(), String> {
        let mut seen = Seen::default();
        let row = self.row;
        self.taken_up(&mut seen).await;
        let cure = row.cure.map(|cure| cure.at(Pace::Real));
        let mut events = row.story.iter().peekable();
        for claims in row.phases().filter(|claims| !claims.is_empty()) {
            let is_first = std::ptr::eq(claims, row.claims.as_slice());
            if let Some(cure) = cure.filter(|_| !is_first) {
                self.until(cure, &mut seen).await;
                self.listener.broker().cure();
            }
            let ends = cure.filter(|_| is_first);
            while let Some(event) =
                events.next_if(|event| ends.is_none_or(|ends| event.at.at(Pace::Real) < ends))
            {
                self.until(event.at.at(Pace::Real), &mut seen).await;
                self.act(&event.action).await;
            }
            self.hold(claims, &mut seen).await?;
        }
        Ok(())
    }

    /// Waits until the operator has begun with the subscription, and counts the story from then on: on
    /// a busy machine an edit would else come before what it edits.
    async fn taken_up(&mut self, seen: &mut Seen) {
        let begun = wait_for("the operator has begun", SOON, async || {
            self.look(seen).await;
            let mut heard = seen.heard.iter();
            let was_asked = heard.any(|request| request.asked != Asked::Catalog);
            let said = seen.subscription.as_ref();
            let is_judged = said.is_some_and(|it| it.is("Stalled") || it.is("Reconciling"));
            (was_asked || is_judged).then_some(())
        });
        // A row whose operator never begins says so by its claims.
        let _ = begun.await;
        self.begun = Instant::now();
    }

    /// Looks on until an instant of the story.
    async fn until(&self, at: jiff::SignedDuration, seen: &mut Seen) {
        let at = Duration::try_from(at).unwrap_or_default();
        while self.begun.elapsed() < at {
            self.look(seen).await;
            let left = at.saturating_sub(self.begun.elapsed());
            // The row gives the instant: there is no condition to wait for.
            tokio::time::sleep(left.min(Duration::from_millis(250))).await;
        }
    }

    /// Waits until all claims hold, and checks that they go on to hold.
    async fn hold(&self, claims: &[Claim], seen: &mut Seen) -> Result<(), String> {
        let claims = claims.iter().filter(|claim| is_for_both(&claim.fact));
        let claims: Vec<&Claim> = claims.collect();
        let failed = |seen: &Seen| -> Vec<&Claim> {
            let claims = claims.iter().copied();
            claims
                .filter(|claim| !seen.holds(claim, Pace::Real))
                .collect()
        };
        let held = wait_for(&self.row.name, HOLDS_WITHIN, async || {
            self.look(seen).await;
            failed(seen).is_empty().then_some(())
        });
        let held = held.await;
        if held.is_ok() {
            let now = jiff::SignedDuration::try_from(self.begun.elapsed() + HOLDS_FOR);
            self.until(now.unwrap_or_default(), seen).await;
            self.look(seen).await;
        }
        let failed = failed(seen);
        if failed.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = failed
            .iter()
            .map(|claim| format!("  line {}: {}\n", claim.line, claim.text))
            .collect();
        let (row, when) = (
            self.row,
            if held.is_ok() {
                "stay true"
            } else {
                "come true"
            },
        );
        Err(format!(
            "\n=== {}, line {}: these claims do not {when}:\n{}\n{}\n\n{}",
            row.name,
            row.line,
            lines.concat(),
            row.text,
            seen.story()
        ))
    }

    async fn look(&self, seen: &mut Seen) {
        // The broker first: what was asked is older than what is said, and not the reverse.
        {
            let mut broker = self.listener.broker();
            seen.heard = broker.heard().to_vec();
            seen.instances = broker.instances(Timestamp::now());
        }
        let name = &self.row.name;
        let read = self.namespace.subscription(name, "entry", self.device);
        seen.subscription = read.await;
        let connections = self.namespace.catalogue::<Connection>();
        let connection = connections.get_opt(&self.namespace.named(name)).await;
        seen.connection = connection.ok().flatten();
        seen.remember();
    }

    async fn act(&mut self, action: &Action) {
        let namespace = self.namespace;
        match action {
            Action::Edit { parameter, value } => {
                let parameters = &mut self.contract.spec.services[0].parameters;
                parameters.insert(parameter.clone(), value.clone());
                namespace.apply(&self.contract).await.unwrap();
            }
            Action::Plan(plan) => {
                let server = self.service.spec.server.as_mut();
                server.expect("it has one").plan.clone_from(plan);
                namespace.apply(&self.service).await.unwrap();
            }
            Action::Activation(value) => {
                let server = self.service.spec.server.as_mut().expect("it has one");
                let activation = server.activation.as_mut().expect("it has one");
                activation.active.clone_from(value);
                namespace.apply(&self.service).await.unwrap();
            }
            Action::End => self.delete().await,
            Action::Look => {
                let at = Timestamp::now().to_string();
                let patch = json!({ "metadata": { "annotations": { "zoo": at } } });
                let connections = namespace.catalogue::<Connection>();
                let name = namespace.named(&self.row.name);
                let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
                connections.patch(&name, &parameters, &patch).await.unwrap();
            }
            Action::Reconcile => reconciled(namespace, self.device).await,
        }
    }

    async fn delete(&self) {
        let namespace = self.namespace;
        let deleted = namespace.delete::<Contract>(Some(namespace.name()), &self.row.name);
        deleted.await.unwrap();
    }

    /// Leaves nothing that the operator would go on to try.
    async fn end(&self) {
        let patch = json!({ "metadata": { "annotations": { ANNOTATION_ABANDON: "true" } } });
        let contracts = self.namespace.api::<Contract>();
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
        // One that the story deleted may be gone.
        let _ = contracts.patch(&self.row.name, &parameters, &patch).await;
        self.delete().await;
    }
}

/// True if a claim can be judged in some seconds: times and the least numbers are for the clock that
/// jumps, and failures are known to the driver alone.
fn is_for_both(fact: &Fact) -> bool {
    match fact {
        Fact::Requests { .. } => fact.is_an_upper_bound(),
        Fact::Longest(..)
        | Fact::Shortest(..)
        | Fact::First(..)
        | Fact::Last(..)
        | Fact::Driver { .. } => false,
        _ => true,
    }
}
