//! Tests of the metrics: names, the reference page, and the ends of series.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use entente_crds::{
    example,
    v1alpha1::{Compensation, Connection},
};
use entente_domain::inventory::{Part, Series, of_compensation, of_conditions, of_connection};

use super::*;
use entente_domain::inventory::Tally;

/// A cache whose objects are set by the test.
struct FakeCache {
    kind: &'static str,
    is_listed: AtomicBool,
    names: Mutex<Vec<&'static str>>,
    tally: Mutex<Tally>,
}

impl FakeCache {
    fn of(kind: &'static str, parts: Vec<Part>) -> Arc<Self> {
        let mut tally = Tally::default();
        tally.change(&[], parts);
        Arc::new(Self {
            kind,
            is_listed: AtomicBool::new(true),
            names: Mutex::default(),
            tally: Mutex::new(tally),
        })
    }

    fn described(self: &Arc<Self>, metrics: &Metrics) {
        let cache: Weak<Self> = Arc::downgrade(self);
        metrics.describe(cache);
    }
}

impl Inventoried for FakeCache {
    fn kind(&self) -> &str {
        self.kind
    }

    fn is_listed(&self) -> bool {
        self.is_listed.load(Ordering::Relaxed)
    }

    fn tally(&self) -> Tally {
        self.tally.lock().unwrap().clone()
    }

    fn unreadable_count(&self) -> usize {
        0
    }

    fn has(&self, name: &str) -> bool {
        self.names.lock().unwrap().contains(&name)
    }
}

/// Returns the parts of the examples, of which one is owed and one answers.
fn parts_of_examples() -> (Vec<Part>, Vec<Part>) {
    let condition = |type_: &str, reason: &str| entente_crds::v1alpha1::Condition {
        type_: type_.to_owned(),
        status: "True".to_owned(),
        reason: reason.to_owned(),
        last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            jiff::Timestamp::UNIX_EPOCH,
        ),
        message: String::new().into(),
        observed_generation: None,
    };
    let mut record: Compensation = example::compensation();
    let status = record.status.get_or_insert_default();
    status.conditions = vec![condition("Calculated", "AmountFinal")];
    status.amount = Some(entente_crds::v1alpha1::Amount {
        currency: "BRL".to_owned(),
        value: "1.25".to_owned(),
    });
    let mut connection: Connection = example::northwind_services();
    connection.status.get_or_insert_default().conditions = vec![condition("Reachable", "Answered")];
    (of_compensation(&record), of_connection(&connection))
}

/// Metrics in which every series was written to once, and the caches that they describe.
fn all() -> (Metrics, [Arc<FakeCache>; 4]) {
    let metrics = Metrics::new("1.2.3");
    metrics.certificate("events", true);
    metrics.board_request(200);
    metrics.gateway_request("twin", 304);
    metrics.gateway_registration("Registered");
    metrics.gateway_held(1);
    metrics.gateway_events("Forwarded", 7);
    metrics.gateway_event_delivery("Taken");
    metrics.artifact_fetch("Fetched");
    metrics.artifact_fetched(1000);
    metrics.artifact_served(2000);
    metrics.artifact_bytes(3000);
    metrics.contract_event("started", 201);
    metrics.leader(true);
    metrics.reconciled("delivery", "succeeded", Duration::from_millis(3));
    let queue = metrics.workqueue("delivery");
    queue.depth(7);
    queue.added(3);
    queue.began_after(Duration::from_millis(5));
    queue.worked(Duration::from_millis(5));
    queue.retried();
    queue.unfinished(Duration::from_millis(1500), Duration::from_secs(1));
    let (read, provision) = (RemoteOperation::Read, RemoteOperation::Provision);
    metrics.remote_request("hq-ipp", read, None, Duration::from_millis(20));
    let refused = Some(FailureKind::Unauthorized);
    metrics.remote_request("northwind", provision, refused, Duration::from_millis(20));
    metrics.api_request("PUT", "409");
    metrics.watch_failed("Device");
    metrics.object_undecodable("Device");
    metrics.clock_skew(jiff::SignedDuration::from_millis(-1500));
    metrics.event_failed();
    metrics.setup_late_by(Duration::from_secs(90));
    metrics.promise_judged(PromiseState::Missed);
    metrics.compensation("FeeCredit", "created");
    metrics.orphans("northwind", Some(2));
    metrics.orphans("gone", Some(1));
    metrics.orphans("gone", None);
    let (record, connection) = parts_of_examples();
    let promises = vec![(Series::Promises("Missed"), 1), (Series::Overdue, 1)];
    let caches = [
        FakeCache::of("Compensation", record),
        FakeCache::of("Connection", connection),
        FakeCache::of("ServiceSubscription", promises),
        FakeCache::of("SupplyOrder", vec![(Series::OpenOrders("Shipped"), 1)]),
    ];
    *caches[1].names.lock().unwrap() = vec!["hq-ipp", "northwind"];
    for cache in &caches {
        cache.described(&metrics);
    }
    (metrics, caches)
}

#[test]
fn counted_facts_appear_under_the_documented_names() {
    let (metrics, _caches) = all();
    let text = metrics.encode();
    for line in [
        "entente_build_info{version=\"1.2.3\"} 1",
        "entente_reconcile_total{controller=\"delivery\",result=\"succeeded\"} 1",
        "entente_reconcile_duration_seconds_count{controller=\"delivery\"} 1",
        "entente_workqueue_depth{controller=\"delivery\"} 7",
        "entente_workqueue_adds_total{controller=\"delivery\"} 3",
        "entente_workqueue_queue_duration_seconds_count{controller=\"delivery\"} 1",
        "entente_workqueue_work_duration_seconds_count{controller=\"delivery\"} 1",
        "entente_workqueue_retries_total{controller=\"delivery\"} 1",
        "entente_workqueue_unfinished_work_seconds{controller=\"delivery\"} 1.5",
        "entente_workqueue_longest_running_processor_seconds{controller=\"delivery\"} 1.0",
        "entente_remote_requests_total{role=\"device\",connection=\"hq-ipp\",operation=\"read\",result=\"Ok\"} 1",
        "entente_remote_requests_total{role=\"server\",connection=\"northwind\",operation=\"provision\",result=\"Unauthorized\"} 1",
        "entente_remote_request_duration_seconds_count{role=\"device\",connection=\"hq-ipp\"} 1",
        "entente_api_requests_total{method=\"PUT\",code=\"409\"} 1",
        "entente_watch_errors_total{kind=\"Device\"} 1",
        "entente_objects_undecodable_total{kind=\"Device\"} 1",
        "entente_events_failed_total 1",
        "entente_setup_lateness_seconds_count 1",
        "entente_promises_judged_total{state=\"Missed\"} 1",
        "entente_promises_judged_total{state=\"Kept\"} 0",
        "entente_compensations_total{type=\"FeeCredit\",result=\"created\"} 1",
        "entente_orphans{connection=\"northwind\"} 2",
        "entente_clock_skew_seconds -1.5",
        "entente_contract_events_total{type=\"started\",code=\"201\"} 1",
        "entente_certificate_valid{endpoint=\"events\"} 1",
        "entente_board_requests_total{code=\"200\"} 1",
        "entente_gateway_requests_total{route=\"twin\",code=\"304\"} 1",
        "entente_gateway_registrations_total{outcome=\"Registered\"} 1",
        "entente_gateway_held_requests 1",
        "entente_gateway_events_total{outcome=\"Forwarded\"} 7",
        "entente_gateway_event_deliveries_total{outcome=\"Taken\"} 1",
        "entente_gateway_artifact_fetches_total{outcome=\"Fetched\"} 1",
        "entente_gateway_artifact_transferred_bytes_total{direction=\"Fetched\"} 1000",
        "entente_gateway_artifact_transferred_bytes_total{direction=\"Served\"} 2000",
        "entente_gateway_artifact_held_bytes 3000",
        "entente_leader 1",
        "entente_resources{kind=\"Compensation\",condition=\"Calculated\",status=\"True\",reason=\"AmountFinal\"} 1.0",
        "entente_promises{state=\"Missed\"} 1.0",
        "entente_promises{state=\"Open\"} 0.0",
        "entente_promises_overdue 1.0",
        "entente_supply_orders_open{state=\"Shipped\"} 1.0",
        "entente_supply_orders_open{state=\"NotPlaced\"} 0.0",
        "entente_supply_orders_total{cause=\"Error\",result=\"placed\"} 0",
        "entente_owed{currency=\"BRL\",state=\"Final\"} 1.25",
        "entente_connection_reachable{connection=\"northwind-services\"} 1.0",
        "entente_unreadable_objects{kind=\"Connection\"} 0.0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "no line {line} in:\n{text}"
        );
    }
    assert!(!text.contains("connection=\"gone\""), "{text}");
}

#[test]
fn a_certificate_is_told_only_of_an_endpoint_that_is_served() {
    let metrics = Metrics::new("1.2.3");
    assert!(!metrics.encode().contains("entente_certificate_valid{"));
}

/// Reports of others about operators, each with the text that a scrape of ours must have or lack.
/// Each row is a state of the fleet; the metrics of the row are those of an operator in that state.
struct OddCase {
    /// The report.
    report: &'static str,
    /// The state, in a sentence.
    state: &'static str,
    /// Brings the metrics into the state.
    happens: fn(&Metrics, &[Arc<FakeCache>; 4]),
    has: &'static [&'static str],
    lacks: &'static [&'static str],
}

fn empty(cache: &FakeCache) {
    *cache.tally.lock().unwrap() = Tally::default();
    cache.names.lock().unwrap().clear();
}

const ODD_CASES: &[OddCase] = &[
    OddCase {
        report: "strimzi/strimzi-kafka-operator#4387, slauger/openvox-operator#554",
        state: "the only object of a series was deleted",
        happens: |_, caches| empty(&caches[0]),
        has: &["entente_resources"],
        lacks: &["kind=\"Compensation\",condition", "entente_owed{"],
    },
    OddCase {
        report: "strimzi/strimzi-kafka-operator#6058",
        state: "every object of every kind was deleted between two scrapes",
        happens: |_, caches| caches.iter().for_each(|cache| empty(cache)),
        has: &[
            "entente_promises_overdue 0.0",
            "entente_promises{state=\"Missed\"} 0.0",
        ],
        lacks: &[
            "entente_resources{",
            "entente_connection_reachable{",
            "entente_owed{",
        ],
    },
    OddCase {
        report: "hashicorp/vault-secrets-operator#815",
        state: "a Connection was deleted while a request of it was under way, which ends later",
        happens: |metrics, caches| {
            empty(&caches[1]);
            let _ = metrics.encode();
            let (read, took) = (RemoteOperation::Read, Duration::from_secs(1));
            metrics.remote_request("hq-ipp", read, None, took);
        },
        has: &["entente_build_info"],
        lacks: &["hq-ipp", "connection=\"northwind\",operation"],
    },
    OddCase {
        report: "garethgeorge/backrest#1341, fluent/fluent-plugin-prometheus#69",
        state: "the operator has begun, and nothing was missed or has failed yet",
        happens: |metrics, _| _ = metrics.workqueue("contract"),
        has: &[
            "entente_reconcile_total{controller=\"contract\",result=\"failed\"} 0",
            "entente_promises_judged_total{state=\"Closed\"} 0",
            "entente_compensations_total{type=\"FeeCredit\",result=\"voided\"} 0",
            "entente_watch_errors_total{kind=\"Connection\"} 0",
            "entente_objects_undecodable_total{kind=\"Connection\"} 0",
        ],
        lacks: &[],
    },
    OddCase {
        report: "starkware-libs/sequencer#14115",
        state: "the operator has begun anew, and has listed half of the subscriptions",
        happens: |_, caches| caches[2].is_listed.store(false, Ordering::Relaxed),
        has: &["entente_resources{kind=\"Connection\""],
        lacks: &["entente_promises{", "entente_promises_overdue "],
    },
    OddCase {
        report: "hashicorp/vault-secrets-operator#815, before the first list",
        state: "requests were sent before the Connections were listed",
        happens: |_, caches| {
            caches[1].is_listed.store(false, Ordering::Relaxed);
            empty(&caches[1]);
        },
        has: &["connection=\"hq-ipp\",operation=\"read\""],
        lacks: &[],
    },
];

#[test]
fn series_end_with_their_objects_and_begin_at_zero_whatever_others_have_met() {
    for case in ODD_CASES {
        let (metrics, caches) = all();
        (case.happens)(&metrics, &caches);
        let text = metrics.encode();
        let (report, state) = (case.report, case.state);
        for has in case.has {
            assert!(text.contains(has), "{report}: {state}: no {has} in\n{text}");
        }
        for lacks in case.lacks {
            assert!(
                !text.contains(lacks),
                "{report}: {state}: {lacks} in\n{text}"
            );
        }
    }
}

// Reported of others: crossplane/crossplane#4620, kyverno/kyverno#2099.
#[test]
fn a_thousand_objects_have_no_more_series_than_one() {
    let lines = |objects: usize| {
        let metrics = Metrics::new("0");
        let devices = example::devices();
        let status = devices[0].status.clone().unwrap_or_default();
        let one = of_conditions::<entente_crds::v1alpha1::Device>(&status.conditions);
        let parts = std::iter::repeat_n(one, objects).flatten().collect();
        let cache = FakeCache::of("Device", parts);
        cache.described(&metrics);
        metrics.encode().lines().count()
    };
    assert_eq!(lines(1000), lines(1));
}

/// A metric, as OpenMetrics text describes it.
#[derive(Default)]
struct Described {
    type_: String,
    unit: String,
    help: String,
    labels: Vec<String>,
}

/// Returns the description of each metric in a text, under the name of its samples.
fn described(text: &str) -> BTreeMap<String, Described> {
    let mut all: BTreeMap<String, Described> = BTreeMap::new();
    let mut of = String::new();
    for line in text.lines() {
        let Some(about) = line.strip_prefix("# ") else {
            let labels = line.split_once('{').map_or("", |(_, rest)| rest);
            let labels = labels.split_once('}').map_or("", |(labels, _)| labels);
            let labels = labels.split("\",").filter_map(|it| it.split_once('='));
            let names = labels.map(|(name, _)| name.to_owned());
            let names = names.filter(|name| name != "le").collect();
            all.entry(of.clone()).or_default().labels = names;
            continue;
        };
        let mut words = about.splitn(3, ' ');
        let (what, name) = (words.next(), words.next().unwrap_or_default());
        let rest = words.next().unwrap_or_default().to_owned();
        if name.is_empty() {
            continue;
        }
        name.clone_into(&mut of);
        let found = all.entry(of.clone()).or_default();
        match what {
            Some("HELP") => found.help = rest,
            Some("TYPE") => found.type_ = rest,
            Some("UNIT") => found.unit = rest,
            _ => {}
        }
    }
    let named = all.into_iter().map(|(name, about)| {
        let suffix = match about.type_.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        (name + suffix, about)
    });
    named.collect()
}

#[test]
fn the_reference_page_is_what_the_operator_serves() {
    let (metrics, _caches) = all();
    let mut page = "\
# Metrics

<!-- Generated from the operator; run `UPDATE=1 cargo test -p entente-controllers metrics` to update it. -->

Every metric that the operator serves at `/metrics`, in the order of names.
[The guide](../guide/metrics.md) explains them, and the labels.

| name | type | unit | labels | meaning |
|---|---|---|---|---|
"
    .to_owned();
    for (name, about) in described(&metrics.encode()) {
        let labels: Vec<String> = about.labels.iter().map(|it| format!("`{it}`")).collect();
        let Described {
            type_, unit, help, ..
        } = about;
        let labels = labels.join(", ");
        // Writing into a String does not fail.
        let _ = writeln!(page, "| `{name}` | {type_} | {unit} | {labels} | {help} |");
    }
    crate::reference_page::compare("metrics.md", &page);
}
