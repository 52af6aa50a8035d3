//! Two replicas: the one that leads is killed, suspended, cut off or stopped while a term begins, and
//! the other one goes on from there.

use std::time::{Duration, Instant};

use entente_crds::v1alpha1::PromiseState;
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::{SOON, starting_in};
use entente_e2e::operator::{Operator, OperatorOptions};
use entente_e2e::wait::wait_for;
use entente_simulators::{Fault, FaultKind};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

use crate::delivery_fixture::{
    AHEAD, DeliveryFixture, contract_is, promise_state, subscription_is,
};

/// Duration of the Lease: longer than the 15 s of an installation would make the tests slow, and much
/// shorter would let a busy machine lose a leader by itself.
const LEASE: Duration = Duration::from_secs(6);
const DEVICES: usize = 4;

/// Mishap of the replica that leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mishap {
    /// It is killed, as a node is that loses power.
    Killed,
    /// It stands still for longer than the Lease lasts, and then runs on.
    Suspended,
    /// It loses the API server, but not the devices, and has it again later.
    CutOff,
    /// It is stopped as Kubernetes stops a pod.
    Stopped,
}

/// The replica that leads, and the one that follows.
struct Replicas {
    leader: Operator,
    follower: Operator,
}

/// Starts a control plane on which the operator is installed and does not run.
async fn installed() -> TestEnvironment {
    let mut flags = OperatorOptions::default().flags;
    flags.push(format!("--lease-duration={}s", LEASE.as_secs()));
    let options = OperatorOptions {
        flags,
        ..OperatorOptions::default()
    };
    let mut environment = TestEnvironment::start(options).await.unwrap();
    environment.operator.stop().await.unwrap();
    environment
}

impl Replicas {
    async fn start(environment: &TestEnvironment) -> Self {
        let TestEnvironment { operator, plane } = environment;
        let leader = operator.replica(plane, "entente-1").await.unwrap();
        until_it_leads(&leader).await;
        let follower = operator.replica(plane, "entente-2").await.unwrap();
        Self { leader, follower }
    }

    /// Lets the mishap happen to the leader. Returns the time until the other one leads.
    async fn suffer(&mut self, mishap: Mishap) -> Duration {
        let began = Instant::now();
        match mishap {
            Mishap::Killed => self.leader.kill_hard().await.unwrap(),
            Mishap::Suspended => self.leader.freeze().unwrap(),
            Mishap::CutOff => self.leader.road().expect("its road").cut(),
            Mishap::Stopped => assert!(self.leader.stop().await.unwrap().success()),
        }
        until_it_leads(&self.follower).await;
        began.elapsed()
    }

    /// Ends the mishap. A leader that was replaced ends by itself, and says why.
    async fn recover(&mut self, mishap: Mishap) {
        match mishap {
            Mishap::Killed | Mishap::Stopped => return,
            Mishap::Suspended => self.leader.thaw().unwrap(),
            Mishap::CutOff => self.leader.road().expect("its road").mend(),
        }
        let status = self.leader.ended().await.unwrap();
        let log = self.leader.log();
        assert_eq!(status.code(), Some(1), "{log}");
        let said = "another replica has led since this one could not renew the Lease";
        assert!(log.contains(said), "{log}");
    }
}

async fn leads(replica: &Operator) -> bool {
    let metrics = replica.metrics().await.unwrap_or_default();
    metrics.lines().any(|line| line == "entente_leader 1")
}

async fn until_it_leads(replica: &Operator) {
    let led = wait_for("the replica leads", SOON, async || {
        leads(replica).await.then_some(())
    });
    if let Err(late) = led.await {
        panic!("{late}\n{}", replica.log());
    }
}

/// Delivers a contract to slow devices, while the leader suffers a mishap at its first write.
async fn delivered_although(mishap: Mishap) {
    let environment = installed().await;
    let mut replicas = Replicas::start(&environment).await;
    let view = replicas.follower.view();
    let fixture = DeliveryFixture::on_plane(&environment.plane, view, "replicas", DEVICES).await;
    let namespace = &fixture.namespace;
    // Most is still to be done when the leader is lost.
    let slow = FaultKind::Slow { milliseconds: 700 };
    let slow = Fault::new(slow).on("Set-Printer-Attributes");
    fixture.fleet.set_fault(slow).await.unwrap();
    let names: Vec<&str> = (0..DEVICES).map(|place| fixture.name(place)).collect();
    let mut entry = namespace.entry("backup", "data-backup", &names, "15m");
    entry.parameters = [("weekdays", "wed,sun"), ("mode", "Differential")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let contract = namespace.contract("replicas", starting_in(AHEAD), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    let first = wait_for("the first write", SOON, async || {
        (!namespace.ledger().writes().is_empty()).then_some(())
    });
    first.await.unwrap();

    let took = replicas.suffer(mishap).await;
    println!("{mishap:?}: the other replica leads after {took:.1?}, with a Lease of {LEASE:?}");
    contract_is(namespace, "replicas", "Delivered").await;
    let before = namespace.ledger().last_sequence();
    replicas.recover(mishap).await;
    for name in names {
        let parts = ["replicas", "backup", name];
        let subscription = subscription_is(namespace, parts, "Ready").await;
        assert_eq!(promise_state(&subscription), PromiseState::Kept);
    }
    assert_eq!(fixture.broker.instances().len(), DEVICES);
    fixture.finish().await;
    let late: Vec<_> = namespace.ledger().writes();
    let late = late.iter().filter(|entry| entry.sequence > before);
    assert_eq!(late.count(), 0, "a leader that is back changes nothing");
    assert!(leads(&replicas.follower).await);
}

// shows K1 K5
#[tokio::test]
async fn a_leader_that_is_killed_at_the_start_of_a_term_is_replaced_and_nothing_is_done_twice() {
    delivered_although(Mishap::Killed).await;
}

// shows K1 K5
#[tokio::test]
async fn a_leader_that_stands_still_at_the_start_of_a_term_does_nothing_when_it_runs_on() {
    delivered_although(Mishap::Suspended).await;
}

// shows K1 K5
#[tokio::test]
async fn a_leader_that_loses_the_api_server_alone_changes_no_device_once_another_may_lead() {
    delivered_although(Mishap::CutOff).await;
}

// shows K1 K3
#[tokio::test]
async fn a_leader_that_is_stopped_at_the_start_of_a_term_hands_over_at_once() {
    delivered_although(Mishap::Stopped).await;
}

// shows K1 K5
#[tokio::test]
async fn the_lease_names_the_leader_and_a_restarted_leader_takes_it_back_at_once() {
    let environment = installed().await;
    let mut replicas = Replicas::start(&environment).await;
    let client = environment.plane.client().await.unwrap();
    let leases: Api<Lease> = Api::namespaced(client, "entente-system");
    let spec = leases.get("entente").await.unwrap().spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("entente-1"));
    assert_eq!(spec.lease_duration_seconds, Some(6));
    assert!(spec.acquire_time <= spec.renew_time);
    assert!(!leads(&replicas.follower).await);

    replicas.leader.kill_hard().await.unwrap();
    let began = Instant::now();
    replicas.leader.restart().await.unwrap();
    until_it_leads(&replicas.leader).await;
    println!(
        "a leader that was restarted leads after {:.1?}",
        began.elapsed()
    );
    let again = leases.get("entente").await.unwrap().spec.unwrap();
    assert_eq!(again.holder_identity.as_deref(), Some("entente-1"));
    assert!(again.lease_transitions > spec.lease_transitions);
    assert!(!leads(&replicas.follower).await);
}
