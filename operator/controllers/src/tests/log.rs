//! The log of a contract's life, and the number of its events.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use entente_drivers::fake::Fault;
use serde_json::{Map, Value};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

use super::*;
use crate::in_process::Listening;

/// Everything that was logged. A line has its fields, and the fields of each span by its name.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Value>>>);

/// Fields of a line or a span.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        self.0.insert(field.name().to_owned(), Value::String(text));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let span = context.span(id).expect("a span that is new");
        span.extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Fields::default();
        event.record(&mut line);
        let mut line = line.0;
        line.insert("target".to_owned(), event.metadata().target().into());
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            let fields = extensions.get::<Fields>().map(|it| it.0.clone());
            line.insert(span.name().to_owned(), fields.into());
        }
        self.0.lock().unwrap().push(Value::Object(line));
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // As a log of the level "info".
        *metadata.level() <= tracing::Level::INFO
    }
}

impl Lines {
    fn listen(&self) -> Listening {
        Listening::with(tracing_subscriber::registry().with(self.clone()))
    }

    fn all(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
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
        let instances: BTreeSet<_> = found.iter().map(|it| it["instance"].to_string()).collect();
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

/// A log that says "written" of what was refused leads astray whoever reads it.
#[tokio::test(start_paused = true)]
async fn a_write_that_is_refused_is_a_warning_once_and_counts_as_none_that_was_made() {
    const AGAIN: usize = 5;
    let lines = Lines::default();
    let _listening = lines.listen();
    let mut process = prepared();
    let (refused, part) = ((403, "Forbidden"), "servicesubscriptions");
    let times = AGAIN * SUBSCRIPTIONS;
    process.cluster.refuse(Method::POST, part, refused, times);
    start_and_establish(&mut process).await;
    let said = |message: &str| {
        let mut all = lines.all();
        all.retain(|it| {
            it["message"]
                .as_str()
                .is_some_and(|it| it.starts_with(message))
        });
        all
    };
    let warned = said("subscriptions could not be written");
    assert_eq!(warned.len(), 1, "{warned:#?}");
    let problem = warned[0]["problem"].as_str().unwrap();
    assert!(
        problem.contains("refuses to write ServiceSubscription"),
        "{problem}"
    );
    assert_eq!(warned[0]["name"], CONTRACT);
    assert_eq!(warned[0]["failed"], SUBSCRIPTIONS.to_string());
    let written = said("subscriptions are written");
    assert_eq!(written.len(), 1, "{written:#?}");
    assert_eq!(written[0]["made"], SUBSCRIPTIONS.to_string());
}

/// A quota or a policy that refuses may stand for days.
#[tokio::test(start_paused = true)]
async fn a_write_that_is_refused_is_tried_again_less_and_less_often() {
    let mut process = prepared();
    let (refused, part) = ((403, "Forbidden"), "servicesubscriptions");
    process
        .cluster
        .refuse(Method::POST, part, refused, usize::MAX);
    process.start_all();
    let is_told = |process: &InProcess| contract_says(process, "Ready").starts_with("False");
    process.until("the refusal is told", is_told).await;
    process.cluster.forget_requests();
    tokio::time::sleep(Duration::from_hours(1)).await;
    let tried = process.cluster.count(&Method::POST, part);
    // Five minutes at most between two, and half of that at least; the first ones come sooner.
    let most = (60 * 60 / 150 + 10) * SUBSCRIPTIONS;
    assert!(tried >= SUBSCRIPTIONS && tried <= most, "{tried} of {most}");
}

// shows C10
#[tokio::test(start_paused = true)]
async fn a_removal_of_an_orphan_that_takes_its_time_is_under_way_in_the_audit_log() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let process = established().await;
    jump_to_start(&process);
    process.until("everything is delivered", is_delivered).await;
    let slow = Fault::Async { polls: 2 };
    process.world.script(None, Operation::Deprovision, slow, 4);
    orphans::abandon(&process);
    let removed = |_: &InProcess| lines.effects("deprovision").len() == 4;
    process.until("every orphan is removed", removed).await;
    for line in lines.effects("deprovision") {
        assert_eq!(controller_of(&line), "catalogue");
        assert_eq!(line["message"], "effect on an orphan", "{line:#}");
        assert_eq!(line["outcome"], "UnderWay", "{line:#}");
    }
}

/// Returns the controller whose pass a line is within, and checks the fields of the pass.
fn controller_of(line: &Value) -> &str {
    let pass = &line["pass"];
    let controller = pass["controller"].as_str().expect("a name");
    let (kinds, namespace): (&[&str], Value) = match controller {
        "contract" | "compensation" => (&["Contract"], NAMESPACE.into()),
        "delivery" => (&["Device"], NAMESPACE.into()),
        _ => (&["Connection", "DeviceModel", "SmartService"], Value::Null),
    };
    let kind = pass["kind"].as_str().expect("a kind");
    assert!(kinds.contains(&kind), "{line:#}");
    assert_eq!(pass["namespace"], namespace, "{line:#}");
    assert!(pass["name"].is_string(), "{line:#}");
    assert!(pass["generation"].as_i64() >= Some(1), "{line:#}");
    controller
}

#[tokio::test(start_paused = true)]
async fn each_line_of_a_pass_names_its_object_the_generation_of_that_and_the_pass() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let (process, _) = missed().await;
    let is_owed = |process: &InProcess| !process.cluster.names::<Compensation>().is_empty();
    process.until("a missed promise is recorded", is_owed).await;
    let all = lines.all();
    let in_passes = ["entente_audit", "entente_controllers::events"];
    let (within, others): (Vec<_>, Vec<_>) =
        all.iter().partition(|line| line["pass"] != Value::Null);
    for line in others {
        let target = line["target"].as_str().expect("a target");
        assert!(!in_passes.contains(&target), "without a pass: {line:#}");
    }
    let mut keys: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut controllers = BTreeSet::new();
    for line in within {
        controllers.insert(controller_of(line));
        let (id, key) = (line["pass"]["id"].as_str(), line["pass"]["key"].as_str());
        keys.entry(id.expect("an id"))
            .or_default()
            .insert(key.expect("a key"));
        if line["target"] == "entente_audit" {
            assert_eq!(line["pass"]["name"], line["device"], "{line:#}");
        }
    }
    assert_eq!(controllers, ["compensation", "contract", "delivery"].into());
    assert!(keys.values().all(|keys| keys.len() == 1), "{keys:#?}");
    // The contract, its four devices, and the entry with a record.
    let subjects: BTreeSet<&&str> = keys.values().flatten().collect();
    assert_eq!(subjects.len(), 6, "{keys:#?}");
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
    let (process, device) = missed().await;
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
