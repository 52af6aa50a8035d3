//! Replicas of the gateway that are replaced or killed while devices poll.
//!
//! Each replacement is what a Deployment does: the next replica is ready, the old one gets SIGTERM, and a
//! moment later it is taken out of the Service, so that connections still come to it until then.

use std::time::{Duration, Instant};

use entente_crds::v1alpha1::{
    Device, DeviceEnrollment, DeviceTemplate, DeviceTwin, DeviceTwinSpec, EnrollmentMode,
    SerialNumbers, TwinDevice,
};
use entente_e2e::balancer::Balancer;
use entente_e2e::control_plane::ControlPlane;
use entente_e2e::descriptors;
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::TestNamespace;
use entente_e2e::operator::{Gateway, GatewayPlace, OperatorOptions};
use futures::{StreamExt as _, stream};
use jiff::SignedDuration;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tokio::time::sleep;

use super::fixture::{ENROLLMENT, TOKEN, let_in};
use super::fleet::{Counts, Fleet, Seen, WANTED, serial_number};
use super::history::History;
use super::wire::Line;
use crate::delivery_fixture::test_namespace;

/// Time from SIGTERM to the moment at which a replica is taken out of the Service, and from its death.
const LAG: Duration = Duration::from_secs(1);
/// Time within which every device has seen a change, or is back.
const SOON: Duration = Duration::from_secs(30);
/// Times by which devices call.
const POLL: &str = "40s";
/// Changes that are written at once.
const AT_ONCE: usize = 16;

/// Two replicas behind one address, and devices that poll there.
struct Stand<'a> {
    namespace: TestNamespace<'a>,
    service: Balancer,
    replicas: Vec<Gateway>,
    fleet: Fleet,
}

impl<'a> Stand<'a> {
    /// Starts the replicas, and registers so many devices, all of which poll when this returns.
    async fn with(namespace: TestNamespace<'a>, devices: usize) -> Self {
        // Of each device both ends of two connections, and those of everything else.
        let needed = 4 * u64::try_from(devices).unwrap() + 2048;
        descriptors::raise(needed, needed).unwrap_or_else(|error| panic!("{error}"));
        let plane = namespace.plane();
        let service = Balancer::start().await.unwrap();
        let url = format!("https://{}", service.address());
        let_in(&namespace, (&url, POLL), &enrollment(&namespace)).await;
        let taken = GatewayPlace::take(plane).unwrap();
        let of = OperatorOptions::default().namespace;
        // The balancer is the only address that they see.
        let flags = ["--address-requests=0".to_owned()];
        let connection = namespace.named("gateway");
        let first = taken.start(plane, &of, &connection, &flags).await.unwrap();
        let second = first.replica(plane).await.unwrap();
        let replicas = vec![first, second];
        for replica in &replicas {
            service.add(replica.address());
        }
        let certificate = std::fs::read(replicas[0].certificate()).unwrap();
        let line = Line::new(service.address(), &certificate);
        let fleet = Fleet::register(&line, TOKEN, devices).await;
        let stand = Self {
            namespace,
            service,
            replicas,
            fleet,
        };
        let all = async || (stand.fleet.seen().len() == devices).then_some(());
        stand.until("every device has read its twin", all).await;
        stand.until_all_hold().await;
        stand
    }

    /// Waits until every device that holds a request does so at a replica that is there.
    async fn until_all_hold(&self) {
        let all = async || (self.held().await == self.fleet.holding).then_some(());
        self.until("every device holds a request", all).await;
    }

    /// Returns the number of requests that are held now.
    async fn held(&self) -> usize {
        let mut held = 0;
        for replica in &self.replicas {
            held += held_by(replica).await;
        }
        held
    }

    async fn until<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        let seen = entente_e2e::wait::wait_for(what, SOON, look).await;
        assert!(!self.fleet.has_ended(), "a device has failed, see above");
        match seen {
            Ok(found) => found,
            Err(late) => panic!("{late}{}", self.dump().await),
        }
    }

    /// Checks that what devices said is kept as they said it last, and was never another thing in between.
    async fn nothing_went_back(&self, history: &History) {
        let seen = self.fleet.seen();
        let all_is_kept = async || {
            let newest = history.newest();
            let is_kept = |(name, seen): (&String, &Seen)| {
                newest.get(name).is_some_and(|kept| {
                    // The device was ended before its last report was answered.
                    let counters = [seen.counter, seen.counter.map(|it| it + 1).or(Some(1))];
                    kept.reported >= seen.reported && counters.contains(&kept.counter)
                })
            };
            seen.iter().all(is_kept).then_some(())
        };
        let what = "every report that was taken is in its twin";
        self.until(what, all_is_kept).await;
        assert_eq!(history.faults(), [""; 0]);
    }

    async fn dump(&self) -> String {
        let held = self.held().await;
        let holding = self.fleet.holding;
        let logs: Vec<String> = self
            .replicas
            .iter()
            .map(|it| it.view().log_tail(20))
            .collect();
        format!(
            "{held} of {holding} requests are held\n{:#?}\n{}",
            shortened(self.fleet.counts()),
            logs.join("\n\n")
        )
    }

    /// Replaces the oldest replica; returns when its process has ended by itself.
    async fn replace_one(&mut self, plane: &ControlPlane) {
        let next = self.replicas[0].replica(plane).await.unwrap();
        self.service.add(next.address());
        self.replicas.push(next);
        let mut old = self.replicas.remove(0);
        let (service, address) = (&self.service, old.address());
        let removed = async {
            // The lag of a Service, which is what is tested here.
            sleep(LAG).await;
            service.remove(address);
        };
        let (stopped, ()) = tokio::join!(old.stop(), removed);
        let log = old.view().log_tail(20);
        assert!(stopped.unwrap().success(), "it ends by itself\n{log}");
    }
}

/// Returns the number of requests that a replica holds; none if it is not there.
async fn held_by(replica: &Gateway) -> usize {
    let metrics = replica.view().get("/metrics").await.unwrap_or_default();
    let name = "entente_gateway_held_requests ";
    let mut values = metrics.lines().filter_map(|line| line.strip_prefix(name));
    values.next().and_then(|it| it.parse().ok()).unwrap_or(0)
}

/// Returns an enrolment that makes a Device of each that registers.
fn enrollment(namespace: &TestNamespace<'_>) -> DeviceEnrollment {
    let mut enrollment = namespace.enrollment(ENROLLMENT);
    enrollment.spec.mode = EnrollmentMode::Create;
    enrollment.spec.serial_numbers = Some(SerialNumbers {
        pattern: Some("ROLL-[0-9]{4}".to_owned()),
        names: Vec::new(),
    });
    enrollment.spec.template = Some(DeviceTemplate {
        name_prefix: "branch-".to_owned(),
        ..DeviceTemplate::default()
    });
    enrollment
}

/// Returns counts that a person can read.
fn shortened(mut counts: Counts) -> Counts {
    for list in [&mut counts.lost, &mut counts.wrong] {
        let more = list.len().saturating_sub(10);
        list.truncate(10);
        list.extend((more > 0).then(|| format!("and {more} more")));
    }
    counts
}

/// Asks these devices for another value, as the operator does.
async fn change(twins: &Api<DeviceTwin>, names: &[String], value: &str) {
    let setting = json!({"name": WANTED, "value": value, "asked": 1});
    let patch = Patch::Merge(json!({"spec": {"settings": [setting]}}));
    let parameters = PatchParams::default();
    let changes = names
        .iter()
        .map(|name| twins.patch(name, &parameters, &patch));
    let mut changes = stream::iter(changes).buffer_unordered(AT_ONCE);
    while let Some(changed) = changes.next().await {
        changed.unwrap();
    }
}

/// Returns the twins of a namespace with the rights of the operator.
async fn as_operator(namespace: &TestNamespace<'_>) -> Api<DeviceTwin> {
    let of = OperatorOptions::default().namespace;
    let client: Client = namespace
        .plane()
        .client_for_service_account(&of, "entente")
        .await
        .unwrap();
    Api::namespaced(client, namespace.name())
}

/// Enters so many devices, and makes their twins in the name of the operator.
async fn enter(namespace: &TestNamespace<'_>, twins: &Api<DeviceTwin>, devices: usize) {
    let enter = |index: usize| async move {
        let serial_number = serial_number(index);
        let name = serial_number.to_lowercase();
        let device = namespace.calling_device(&name, &serial_number);
        let device = namespace.apply::<Device>(&device).await.unwrap();
        let device_ref = Some(TwinDevice {
            name: name.clone(),
            uid: device.uid().unwrap(),
        });
        let spec = DeviceTwinSpec {
            device_ref,
            ..DeviceTwinSpec::default()
        };
        let twin = DeviceTwin::new(&name, spec);
        let parameters = PostParams::default();
        twins.create(&parameters, &twin).await.unwrap();
    };
    let entered = stream::iter(0..devices).map(enter);
    entered.buffer_unordered(AT_ONCE).collect::<()>().await;
}

// shows C9 K5
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_devices_poll_while_every_replica_is_replaced_twice_and_no_request_fails() {
    let options = OperatorOptions {
        gateway: true,
        ..OperatorOptions::default()
    };
    let mut environment = TestEnvironment::start(options).await.unwrap();
    let plane = &environment.plane;
    let name = plane.create_namespace("rolled").await.unwrap();
    let view = environment.operator.view();
    let namespace = TestNamespace::with_name(plane, view, name).await.unwrap();
    // It is played here: to make a thousand twins and to say in each Device what is missing takes it longer
    // than all the rest.
    environment.operator.kill_hard().await.unwrap();
    let twins = as_operator(&namespace).await;
    let began = Instant::now();
    enter(&namespace, &twins, 1000).await;
    let entered = began.elapsed();
    let mut stand = Stand::with(namespace, 1000).await;
    let poll = began.elapsed();
    println!("1,000 devices are entered after {entered:?}, and poll after {poll:?}");
    let poll: SignedDuration = POLL.parse().unwrap();
    let history = History::begin(twins.clone(), poll);
    let names: Vec<String> = stand.fleet.seen().into_keys().collect();
    assert_eq!(names.len(), 1000);
    let before = stand.fleet.counts().connections;

    for (round, part) in names.chunks(250).enumerate() {
        let value = format!("round-{round}");
        let began = Instant::now();
        tokio::join!(stand.replace_one(plane), change(&twins, part, &value));
        println!("replica {round} is replaced after {:?}", began.elapsed());
    }
    let all_have_seen = async || {
        let seen = stand.fleet.seen();
        let has_seen = |(index, name): (usize, &String)| {
            seen[name].wanted == Some(format!("round-{}", index / 250))
        };
        names.iter().enumerate().all(has_seen).then_some(())
    };
    let what = "every device has seen its change";
    stand.until(what, all_have_seen).await;
    stand.until_all_hold().await;
    stand.fleet.stop();

    let counts = stand.fleet.counts();
    let again = counts.connections - before;
    println!(
        "{again} connections were made again; {:#?}",
        shortened(counts.clone())
    );
    assert!(counts.wrong.is_empty(), "{}", stand.dump().await);
    assert!(counts.lost.is_empty(), "{}", stand.dump().await);
    assert_eq!(counts.unreached, 0, "{}", stand.dump().await);
    // Only one that comes at its own times has an idle connection, and only once for each replica.
    let comes = names.len() - stand.fleet.holding;
    assert!(counts.crossed <= 4 * comes, "{}", stand.dump().await);
    // Half of the devices for each replica, and those that came to it once more.
    assert!(again <= 4 * names.len(), "{again} connections");
    stand.nothing_went_back(&history).await;
}

// shows C9 K5
#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_replicas_is_killed_while_devices_poll_and_every_device_is_back_soon() {
    let mut stand = Stand::with(test_namespace("killed-one").await, 200).await;
    let twins: Api<DeviceTwin> = stand.namespace.api();
    let history = History::begin(twins, POLL.parse().unwrap());
    let comes = 200 - stand.fleet.holding;
    let mut killed = stand.replicas.remove(0);
    let held = held_by(&killed).await;
    assert!(held > 0, "{}", stand.dump().await);
    let before = stand.fleet.seen();
    let began = Instant::now();
    killed.kill_hard().await.unwrap();
    // The lag of a Service, which is what is tested here.
    sleep(LAG).await;
    stand.service.remove(killed.address());
    stand.until_all_hold().await;
    let all_come = async || {
        let seen = stand.fleet.seen();
        let mut before = before.iter().filter(|(_, seen)| seen.counter.is_some());
        let came = before.all(|(name, before)| seen[name].counter > before.counter);
        came.then_some(())
    };
    let what = "every device that comes at its own times has come again";
    stand.until(what, all_come).await;
    println!("all are back after {:?}", began.elapsed());
    // It is started again where it was, as a kubelet does it.
    killed.restart().await.unwrap();
    stand.service.add(killed.address());
    stand.replicas.push(killed);
    stand.until_all_hold().await;
    stand.fleet.stop();

    let counts = stand.fleet.counts();
    println!(
        "{held} requests were held by it; {:#?}",
        shortened(counts.clone())
    );
    assert!(counts.wrong.is_empty(), "{}", stand.dump().await);
    // A request that was held is lost with its replica, and at most one of each other device.
    let broken = counts.lost.len() + counts.crossed;
    let of_it = held.saturating_sub(comes)..=held + comes;
    assert!(of_it.contains(&broken), "{}", stand.dump().await);
    // A device is led to a replica that is not there until that is taken out of the Service.
    assert!(counts.unreached <= 3 * 200, "{}", stand.dump().await);
    stand.nothing_went_back(&history).await;
}
