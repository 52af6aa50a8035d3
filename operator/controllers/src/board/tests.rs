//! Tests of what a viewer sees, against an API server that the test plays.

use std::sync::{Arc, Mutex};

use entente_crds::{
    example::{banco_sul_2027, compensation, service_subscription},
    v1alpha1::{Compensation, Contract, ServiceSubscription},
};
use entente_domain::views::{BoardFilter, TreeOptions};
use entente_drivers::Drivers;
use jiff::SignedDuration;
use kube::Resource as _;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use super::{Board, BoardFault, COMPENSATIONS, CONTRACTS, SUBSCRIPTIONS};
use crate::{clock::FakeClock, fake_api::FakeApi, in_process, objects::Objects};

const TOKEN: &str = "canary-5b0e.token";

/// A board over the example objects, once in `banco-sul` and once in `other`.
struct Bench {
    board: Board,
    /// Questions to the API server about rights: the plural, and the namespace or `null`.
    asked: Arc<Mutex<Vec<String>>>,
    server: AbortHandle,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Bench {
    /// Makes the board, with an API server that allows what `may` says of a plural and a namespace.
    fn new(may: fn(&str, Option<&str>) -> bool) -> Self {
        let (client, mut api) = FakeApi::new();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&asked);
        let server = tokio::spawn(async move {
            loop {
                let question = api.next().await;
                let mut review = question.body.clone();
                let of = &question.body["spec"]["resourceAttributes"];
                review["status"] = if question.target.contains("tokenreviews") {
                    let user = json!({"username": "ana"});
                    json!({"authenticated": true, "user": user, "audiences": ["entente"]})
                } else {
                    assert_eq!(
                        (&of["verb"], &of["group"]),
                        (&json!("list"), &json!("entente.dev"))
                    );
                    let plural = of["resource"].as_str().expect("a plural");
                    let line = format!("{plural} {}", of["namespace"]);
                    noted.lock().unwrap().push(line);
                    json!({"allowed": may(plural, of["namespace"].as_str())})
                };
                question.answer(201, &review);
            }
        });
        let clock = Arc::new(FakeClock::starting_at(
            "2027-04-01T09:00:00Z".parse().unwrap(),
        ));
        let (unused, _) = FakeApi::new();
        let context = in_process::context(
            unused.clone(),
            unused,
            Arc::clone(&clock),
            Drivers::fake(Arc::default()),
        );
        let objects = Arc::new(Objects::new(&context));
        for (index, namespace) in ["banco-sul", "other"].into_iter().enumerate() {
            put(
                &objects,
                namespace,
                &format!("customer-of-{namespace}"),
                index + 1,
            );
        }
        let board = Board::new(client, clock);
        board.show(&objects);
        Self {
            board,
            asked,
            server: server.abort_handle(),
        }
    }

    /// Returns the namespaces of everything that the viewer sees, and the kinds that it may list nowhere.
    async fn seen(&self) -> (Vec<String>, Vec<&'static str>) {
        let viewer = self.board.viewer(Some(TOKEN)).await.unwrap();
        let seen = self.board.seen(&viewer, everything()).await.unwrap();
        (seen.board.namespaces.into_iter().collect(), seen.hidden)
    }

    /// Returns the questions about rights since the last time, sorted.
    fn questions(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.sort_unstable();
        asked
    }
}

fn everything() -> BoardFilter {
    BoardFilter {
        namespace: None,
        customer: None,
        within: SignedDuration::from_hours(24),
        back: SignedDuration::from_hours(24),
    }
}

/// Puts a contract, a subscription and a debt of a customer into a namespace.
fn put(objects: &Objects, namespace: &str, customer: &str, version: usize) {
    let meta = |meta: &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
                kind: &str| {
        meta.namespace = Some(namespace.to_owned());
        meta.uid = Some(format!("{kind}-of-{namespace}"));
        meta.resource_version = Some(version.to_string());
    };
    let mut contract = banco_sul_2027();
    meta(&mut contract.metadata, "contract");
    contract.spec.customer.id = customer.to_owned();
    objects.contracts.put_written(contract);
    let mut subscription = service_subscription();
    meta(&mut subscription.metadata, "subscription");
    subscription.spec.contract.uid = format!("contract-of-{namespace}");
    objects.subscriptions.put_written(subscription);
    let mut debt = compensation();
    meta(&mut debt.metadata, "debt");
    objects.compensations.put_written(debt);
}

#[test]
fn the_kinds_of_the_board_have_these_plurals() {
    assert_eq!(Contract::plural(&()), CONTRACTS);
    assert_eq!(ServiceSubscription::plural(&()), SUBSCRIPTIONS);
    assert_eq!(Compensation::plural(&()), COMPENSATIONS);
}

// shows K4
#[tokio::test]
async fn one_who_may_list_everywhere_is_asked_about_once_for_each_kind() {
    let bench = Bench::new(|_, namespace| namespace.is_none());
    let (namespaces, hidden) = bench.seen().await;
    assert_eq!(namespaces, ["banco-sul", "other"]);
    assert_eq!(hidden, [""; 0]);
    let kinds = [
        "compensations null",
        "contracts null",
        "servicesubscriptions null",
    ];
    assert_eq!(bench.questions(), kinds);
    bench.seen().await;
    assert_eq!(bench.questions(), [""; 0], "answers are kept for a while");
}

// shows K4
#[tokio::test]
async fn one_who_may_list_in_a_namespace_sees_that_one_alone() {
    let bench = Bench::new(|_, namespace| namespace == Some("other"));
    let (namespaces, hidden) = bench.seen().await;
    assert_eq!((namespaces, hidden), (vec!["other".to_owned()], Vec::new()));
    assert_eq!(
        bench.questions().len(),
        9,
        "each kind everywhere, and in each of two namespaces"
    );
}

// shows K4
#[tokio::test]
async fn a_kind_that_may_be_listed_nowhere_is_named_and_missing() {
    let bench = Bench::new(|plural, namespace| plural == CONTRACTS && namespace == Some("other"));
    let (namespaces, hidden) = bench.seen().await;
    assert_eq!(namespaces, ["other"]);
    assert_eq!(hidden, [SUBSCRIPTIONS, COMPENSATIONS]);
}

// shows K4
#[tokio::test]
async fn a_kind_that_may_be_listed_in_fewer_namespaces_than_another_is_named() {
    let partly = async |may: fn(&str, Option<&str>) -> bool| {
        let bench = Bench::new(may);
        let viewer = bench.board.viewer(Some(TOKEN)).await.unwrap();
        let seen = bench.board.seen(&viewer, everything()).await.unwrap();
        assert_eq!(seen.hidden, [""; 0]);
        seen.partly
    };
    let some = partly(|plural, it| plural == CONTRACTS && it.is_some() || it == Some("other"));
    assert_eq!(some.await, [SUBSCRIPTIONS, COMPENSATIONS]);
    let some = partly(|plural, it| (plural == CONTRACTS && it.is_none()) || it == Some("other"));
    assert_eq!(some.await, [SUBSCRIPTIONS, COMPENSATIONS]);
    let all = partly(|_, it| it == Some("other"));
    assert_eq!(all.await, [""; 0]);
}

// shows K4
#[tokio::test]
async fn a_contract_is_found_by_those_alone_who_may_list_contracts_there() {
    let bench = Bench::new(|plural, namespace| match namespace {
        Some("banco-sul") => true,
        Some("other") => plural != CONTRACTS,
        _ => false,
    });
    let viewer = bench.board.viewer(Some(TOKEN)).await.unwrap();
    let name = banco_sul_2027().metadata.name.unwrap();
    let contract = async |namespace: &str, name: &str| {
        let options = TreeOptions::default();
        let tree = bench
            .board
            .contract(&viewer, namespace, name, options)
            .await;
        tree.map(|tree| {
            (
                tree.customer,
                tree.services.iter().map(|it| it.total).sum::<usize>(),
            )
        })
    };
    let found = contract("banco-sul", &name).await;
    assert_eq!(found, Ok(("customer-of-banco-sul".to_owned(), 1)));
    for (namespace, name) in [
        ("other", &*name),
        ("other", "absent"),
        ("banco-sul", "absent"),
    ] {
        let found = contract(namespace, name).await;
        assert_eq!(found, Err(BoardFault::NotFound), "{namespace}/{name}");
    }
}

#[tokio::test]
async fn nothing_is_shown_before_everything_is_listed_or_while_the_api_server_is_silent() {
    let (client, mut api) = FakeApi::new();
    let clock = Arc::new(FakeClock::starting_at(
        "2027-04-01T09:00:00Z".parse().unwrap(),
    ));
    let board = Arc::new(Board::new(client, clock));
    let asked = tokio::spawn({
        let board = Arc::clone(&board);
        async move { board.viewer(Some(TOKEN)).await.map(|_| ()) }
    });
    api.next()
        .await
        .refuse(500, "InternalError", "etcd is away");
    assert_eq!(asked.await.unwrap(), Err(BoardFault::Unavailable));
    let asked = tokio::spawn(async move {
        let viewer = board.viewer(Some(TOKEN)).await?;
        board.seen(&viewer, everything()).await.map(|_| ())
    });
    let review = api.next().await;
    let mut answer: Value = review.body.clone();
    answer["status"] =
        json!({"authenticated": true, "user": {"username": "ana"}, "audiences": ["entente"]});
    review.answer(201, &answer);
    assert_eq!(asked.await.unwrap(), Err(BoardFault::NotListed));
}
