//! The log of a contract's life, and the number of its events.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// Everything that was logged, as lines of JSON.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

/// Listens until it is dropped.
struct Listening {
    _guard: tracing::dispatcher::DefaultGuard,
    /// With one dispatcher in the process, tracing asks the thread that meets a line first, which may
    /// be another test's, and never again. With two it asks each thread.
    _second: tracing::Dispatch,
}

impl Lines {
    fn listen(&self) -> Listening {
        let log = tracing_subscriber::fmt().json().flatten_event(true);
        let log = tracing::Dispatch::new(log.with_writer(self.clone()).finish());
        let second = tracing::Dispatch::new(tracing_subscriber::registry());
        Listening {
            _guard: tracing::dispatcher::set_default(&log),
            _second: second,
        }
    }

    fn all(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Returns the effects of an operation.
    fn effects(&self, operation: &str) -> Vec<Value> {
        let mut all = self.all();
        all.retain(|it| it["target"] == "entente_audit" && it["operation"] == operation);
        all
    }

    /// Returns the turns in the life of a contract, in order.
    fn turns(&self) -> Vec<String> {
        let mut all = self.all();
        all.retain(|it| it["kind"] == "Contract" && it["name"] == CONTRACT);
        let turns = all.iter().map(|it| match it["reason"].as_str() {
            Some(reason) => reason.to_owned(),
            None => it["message"].as_str().unwrap().to_owned(),
        });
        turns.collect()
    }
}

// shows B7 K1
#[tokio::test(start_paused = true)]
async fn every_effect_and_every_turn_of_a_contracts_life_has_a_line_in_the_log() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let process = established().await;
    assert_eq!(lines.effects("write"), [Value::Null; 0], "before the start");
    jump_to_start(&process);
    process.until("everything is delivered", is_delivered).await;
    let writes = lines.effects("write");
    assert_eq!(writes.len(), 3 * SUBSCRIPTIONS, "{writes:#?}");
    for line in &writes {
        let (was, wanted) = (&line["was"], &line["wanted"]);
        assert!(was.is_string() && wanted.is_string(), "{line:#}");
        assert_ne!(was, wanted, "{line:#}");
        assert_eq!(line["revision"], start().to_string(), "{line:#}");
        assert_eq!(line["outcome"], "Accepted", "{line:#}");
        assert_eq!(line["connection"], "hq-ipp", "{line:#}");
        assert!(line["item"].as_str().unwrap().starts_with("DeviceSetting/"));
    }
    for operation in ["provision", "update"] {
        let found = lines.effects(operation);
        let instances: std::collections::BTreeSet<_> =
            found.iter().map(|it| it["instance"].to_string()).collect();
        assert_eq!(instances.len(), 4, "{operation}: {found:#?}");
        assert!(
            found.iter().all(|it| it["connection"] == BROKER),
            "{found:#?}"
        );
    }
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
    let gone = |process: &InProcess| process.cluster.names::<Contract>().is_empty();
    process.until("the contract is gone", gone).await;
    let removed = lines.effects("deprovision");
    assert_eq!(removed.len(), 4, "{removed:#?}");
    assert!(
        removed.iter().all(|it| it["wanted"].is_null()),
        "{removed:#?}"
    );
    let turns = lines.turns();
    let mut after = turns.iter();
    for turn in [
        "subscriptions are written",
        "ContractAccepted",
        "ContractStarted",
        "SetupVerified",
        "everything is withdrawn",
    ] {
        assert!(
            after.any(|it| it == turn),
            "no {turn} in its place: {turns:?}"
        );
    }
}

/// Events about one object that a life with failures may make.
const BUDGET: usize = 6;

fn events_written(process: &InProcess) -> usize {
    let methods = [Method::POST, Method::PATCH];
    let counts = methods.map(|method| process.cluster.count(&method, "/events"));
    counts.iter().sum()
}

// shows K1 K2
#[tokio::test(start_paused = true)]
async fn a_life_with_failures_makes_few_events_and_one_that_is_settled_none() {
    let process = established().await;
    let device = process.world.remove_device(&url(0)).expect("a device");
    jump_to_start(&process);
    let missed = |process: &InProcess| contract_says(process, "PromiseMissed").starts_with("True");
    process.let_pass(Duration::from_hours(5)).await;
    process.until("a promise is missed", missed).await;
    // A day of failures, each of which is tried again.
    process.let_pass(Duration::from_hours(24)).await;
    process.world.put_device(&url(0), device);
    process.until("everything is delivered", is_delivered).await;
    process.let_pass(Duration::from_hours(2)).await;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for event in process.cluster.events() {
        let (_, about) = event.split_once(' ').expect("an object");
        *counts.entry(about.to_owned()).or_default() += 1;
    }
    assert!(counts.len() > 2, "{counts:#?}");
    let most = counts.values().max().copied().unwrap_or_default();
    assert!(most <= BUDGET, "{counts:#?}");
    // Repetitions are merged into series, whose writes count as well.
    let written = events_written(&process);
    assert!(written <= BUDGET * counts.len(), "{written}: {counts:#?}");
    process.let_pass(Duration::from_hours(48)).await;
    assert_eq!(
        events_written(&process),
        written,
        "a settled fleet is silent"
    );
}
