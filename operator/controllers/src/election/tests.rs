//! Replicas at one API server in memory, by a clock that the tests advance.
//!
//! The clock is paused, and jumps to the end of each sleep: nothing here waits for real time.
//! The rules of an election are tested in `entente_domain::election`; here is what performs them.

use std::sync::atomic::{AtomicBool, Ordering};

use http::{Method, Request, Response};
use jiff::Timestamp;
use kube::client::Body;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tower::{BoxError, service_fn};

use super::*;
use crate::{clock::FakeClock, fake_api::cluster::FakeCluster, shutdown::ShutdownTrigger};

const TERMS: Terms = Terms {
    duration: Duration::from_secs(12),
};
const NAMESPACE: &str = "entente-system";
const TICK: Duration = Duration::from_millis(50);

struct Replica {
    fence: Fence,
    leadership: Leadership,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    cut: Arc<AtomicBool>,
    stop: ShutdownTrigger,
    task: JoinHandle<Ended>,
}

/// A client whose requests get no answer while it is cut off.
fn client(cluster: &Arc<FakeCluster>, cut: &Arc<AtomicBool>) -> Client {
    let (client, cut) = (cluster.client(), Arc::clone(cut));
    let service = service_fn(move |request: Request<Body>| {
        let (client, cut) = (client.clone(), Arc::clone(&cut));
        async move {
            if cut.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            let answer: Response<Body> = client.send(request).await?;
            if cut.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            Ok::<_, BoxError>(answer)
        }
    });
    Client::new(service, "default")
}

impl Replica {
    fn start(cluster: &Arc<FakeCluster>, clock: &Arc<FakeClock>, identity: &str) -> Self {
        let cut = Arc::new(AtomicBool::new(false));
        let metrics = Arc::new(Metrics::new("1"));
        let readiness = Arc::new(Readiness::default());
        let (election, leadership, fence) = Election::new(ElectionOptions {
            client: client(cluster, &cut),
            namespace: NAMESPACE.to_owned(),
            identity: identity.to_owned(),
            terms: TERMS,
            clock: Arc::clone(clock) as _,
            skew: Arc::default(),
            metrics: Arc::clone(&metrics),
            readiness: Arc::clone(&readiness),
        });
        let (stop, stopped) = Shutdown::channel();
        let ready = leadership.clone();
        tokio::spawn(async move { ready.begun().await });
        Self {
            fence,
            leadership,
            metrics,
            readiness,
            cut,
            stop,
            task: tokio::spawn(election.run(stopped)),
        }
    }

    fn leads(&self) -> bool {
        self.fence.is_open()
    }

    fn says(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|found| found == line)
    }
}

/// Advances the clock until something holds, and fails if two act at once meanwhile. Returns the time
/// that it took.
async fn until(what: &str, replicas: &[&Replica], holds: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_mins(5), "not: {what}");
        let leading = replicas.iter().filter(|replica| replica.leads()).count();
        assert!(leading < 2, "two act at once while {what}");
        sleep(TICK).await;
    }
    began.elapsed()
}

fn world() -> (Arc<FakeCluster>, Arc<FakeClock>) {
    let clock = Arc::new(FakeClock::starting_at(Timestamp::UNIX_EPOCH));
    (FakeCluster::new(Arc::clone(&clock)), clock)
}

/// Returns two replicas, of which the first leads.
async fn leader_and_follower(
    cluster: &Arc<FakeCluster>,
    clock: &Arc<FakeClock>,
) -> (Replica, Replica) {
    let first = Replica::start(cluster, clock, "first");
    let took = until("the first leads", &[&first], || first.leads()).await;
    assert!(
        took <= TERMS.retry() + TICK,
        "{took:?}: nobody else was there"
    );
    let second = Replica::start(cluster, clock, "second");
    sleep(Duration::from_mins(2)).await;
    assert!(first.leads() && !second.leads());
    (first, second)
}

// shows K1
#[tokio::test(start_paused = true)]
async fn a_killed_leader_is_replaced_within_the_duration_of_the_lease() {
    let (cluster, clock) = world();
    let (first, second) = leader_and_follower(&cluster, &clock).await;
    assert!(first.says("entente_leader 1") && second.says("entente_leader 0"));
    first.task.abort();
    let took = until("the second leads", &[&second], || second.leads()).await;
    assert!(took <= TERMS.duration + TICK, "{took:?}");
    assert!(took + TERMS.renew() + TICK > TERMS.duration, "{took:?}");
    second.leadership.begun().await;
    assert!(second.says("entente_leader 1"));
}

// shows K1
#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_gives_the_lease_back_and_is_replaced_at_once() {
    let (cluster, clock) = world();
    let (first, second) = leader_and_follower(&cluster, &clock).await;
    first.stop.trigger();
    let both = [&first, &second];
    let took = until("the second leads", &both, || second.leads()).await;
    assert!(took <= TICK * 2, "{took:?}");
    assert_eq!(first.task.await.unwrap(), Ended::Stopped);
    assert!(first.metrics.encode().contains("entente_leader 0"));
}

// shows K1
#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_acts_no_more_before_another_begins_and_ends_when_it_is_back() {
    let (cluster, clock) = world();
    let (first, second) = leader_and_follower(&cluster, &clock).await;
    first.cut.store(true, Ordering::Relaxed);
    let both = [&first, &second];
    let stopped = until("the first stops", &both, || !first.leads()).await;
    assert!(stopped <= TERMS.hold() + TICK, "{stopped:?}");
    let gap = until("the second leads", &both, || second.leads()).await;
    assert!(gap + TERMS.hold() + TICK * 2 >= TERMS.duration, "{gap:?}");
    let missing = first.readiness.missing();
    assert!(
        missing
            .iter()
            .any(|line| line.contains("the Lease entente-system/entente")),
        "{missing:?}"
    );
    first.cut.store(false, Ordering::Relaxed);
    let ended = until("the first ends", &both, || first.task.is_finished()).await;
    assert!(ended <= TERMS.duration, "{ended:?}");
    assert_eq!(first.task.await.unwrap(), Ended::Lost);
    assert!(second.leads());
}

// shows K1
#[tokio::test(start_paused = true)]
async fn an_api_server_that_fails_for_minutes_ends_no_replica_that_nobody_has_replaced() {
    let (cluster, clock) = world();
    let (first, second) = leader_and_follower(&cluster, &clock).await;
    cluster.refuse(
        Method::PUT,
        "/leases",
        (503, "ServiceUnavailable"),
        usize::MAX,
    );
    cluster.refuse(
        Method::GET,
        "/leases",
        (503, "ServiceUnavailable"),
        usize::MAX,
    );
    let both = [&first, &second];
    until("the first stops", &both, || !first.leads()).await;
    sleep(Duration::from_mins(3)).await;
    assert!(!first.leads() && !second.leads());
    cluster.recover();
    let either = || first.leads() || second.leads();
    let took = until("one leads", &both, either).await;
    assert!(took <= TERMS.duration, "{took:?}");
    // Whichever was first: nobody is replaced without need.
    assert_eq!(first.leads(), !first.task.is_finished());
    assert!(!second.task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_not_ready_does_not_take_the_lease() {
    let (cluster, clock) = world();
    let (election, leadership, fence) = Election::new(ElectionOptions {
        client: cluster.client(),
        namespace: NAMESPACE.to_owned(),
        identity: "first".to_owned(),
        terms: TERMS,
        clock,
        skew: Arc::default(),
        metrics: Arc::new(Metrics::new("1")),
        readiness: Arc::default(),
    });
    let (_trigger, stop) = Shutdown::channel();
    tokio::spawn(election.run(stop));
    sleep(Duration::from_mins(2)).await;
    assert!(!fence.is_open());
    assert_eq!(cluster.count(&Method::GET, "/leases"), 0);
    timeout(Duration::from_secs(5), leadership.begun())
        .await
        .expect("it leads once it is ready");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_costs_nothing() {
    let (cluster, clock) = world();
    cluster.lose_answer(Method::POST, "/leases", 1);
    let (first, second) = leader_and_follower(&cluster, &clock).await;
    cluster.lose_answer(Method::PUT, "/leases", 1);
    let before = cluster.count(&Method::PUT, "/leases");
    let both = [&first, &second];
    let renewed = || cluster.count(&Method::PUT, "/leases") >= before + 3;
    until("it is renewed three times", &both, renewed).await;
    assert!(first.leads() && !first.task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn what_others_write_into_the_lease_is_read_with_care() {
    let (cluster, clock) = world();
    let (first, second) = leader_and_follower(&cluster, &clock).await;
    cluster.edit_json::<k8s_openapi::api::coordination::v1::Lease>(NAMESPACE, LEASE, |lease| {
        lease["metadata"]["labels"] = serde_json::json!({"team": "platform"});
    });
    sleep(Duration::from_mins(1)).await;
    assert!(first.leads() && !first.task.is_finished());
    cluster.edit_json::<k8s_openapi::api::coordination::v1::Lease>(NAMESPACE, LEASE, |lease| {
        lease["spec"] = serde_json::json!({
            "holderIdentity": "somebody", "leaseDurationSeconds": 2_000_000_000,
        });
    });
    let both = [&first, &second];
    until("the first ends", &both, || first.task.is_finished()).await;
    sleep(Duration::from_mins(24 * 60 - 1)).await;
    assert!(!second.leads());
    sleep(Duration::from_mins(2)).await;
    assert!(second.leads(), "no mistake stops the operator for good");
}

#[tokio::test(start_paused = true)]
async fn an_idle_leader_renews_as_often_as_it_has_to_and_whoever_follows_hears_of_that() {
    let (cluster, clock) = world();
    let (_first, _second) = leader_and_follower(&cluster, &clock).await;
    cluster.forget_requests();
    sleep(Duration::from_mins(10)).await;
    let writes = cluster.count(&Method::PUT, "/leases");
    let reads = cluster.count(&Method::GET, "/leases");
    let renewals = usize::try_from(Duration::from_mins(10).as_secs() / TERMS.renew().as_secs());
    assert!(writes.abs_diff(renewals.unwrap()) <= 10, "{writes}");
    assert!(reads <= 20, "{reads}");
}
