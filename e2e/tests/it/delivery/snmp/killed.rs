//! The operator is killed at each of its writes, from the error to the number of its order on the panel:
//! once before the write is stored, and once after that, before it hears of it.

mod gate;

use std::time::Duration;

use entente_crds::v1alpha1::{Device, MessageState, SupplyOrder};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::TestNamespace;
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::operator::{Operator, OperatorOptions};
use entente_e2e::peers::{OrderServer, OrderServerOptions, Snmpd};
use entente_e2e::wait::wait_for;

use super::errors::{
    ALERT, LEVEL, apply_model, apply_text, empty_toner, often, order_at, panel, read_panel,
};
use super::{DEVICE, apply, log_in};
use crate::delivery_fixture::contract_is;
use gate::{Gate, Held};

/// More kills than any way from the error to the panel can need.
const MOST_KILLS: usize = 80;
/// Writes without which there is no number on the panel.
const WRITES: [&str; 3] = [
    "UPDATE devices/status",
    "CREATE supplyorders/",
    "UPDATE supplyorders/status",
];
/// Time within which a write that passed the gate is stored.
const STORED_WITHIN: Duration = Duration::from_secs(5);

/// Waits until the object has another version than the one that a write replaces.
async fn is_stored(namespace: &TestNamespace<'_>, path: &str, replaces: Option<&str>) -> bool {
    let stored = wait_for("the write is stored", STORED_WITHIN, async || {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let found: serde_json::Value = namespace.client().request(request).await.ok()?;
        let version = found["metadata"]["resourceVersion"].as_str();
        (version != replaces).then_some(())
    });
    stored.await.is_ok()
}

/// True if the number of the order stands on the panel, and in the statuses of its record and of the
/// error.
async fn is_done(namespace: &TestNamespace<'_>) -> Option<()> {
    let device: Device = namespace.get(DEVICE).await?;
    let status = device.status?;
    let error = status.errors.first()?;
    let order = error.order.as_ref()?;
    let known = order.id.as_deref()?;
    let message = status.messages.first()?;
    let record: SupplyOrder = namespace.get(&order.name).await?;
    let record = record.status?;
    let is_done = message.state == MessageState::Shown
        && record.message?.state == MessageState::Shown
        && *record.order?.id == *known;
    is_done.then_some(())
}

/// Returns the Device as it was applied.
fn as_applied(mut device: Device) -> Device {
    device.status = None;
    device.metadata.managed_fields = None;
    device.metadata.resource_version = None;
    device
}

/// Kills the operator at a write.
struct Killer<'e> {
    operator: &'e mut Operator,
    /// Writes at which it was killed, in their order.
    killed_at: Vec<String>,
    /// The write that was refused, if the last one was.
    refused: Option<String>,
}

impl Killer<'_> {
    async fn kill_at(&mut self, namespace: &TestNamespace<'_>, gate: &mut Gate, held: Held) {
        // It hears of no answer any more.
        self.operator.freeze().unwrap();
        let (what, path, replaces) = (held.what.clone(), held.path.clone(), held.replaces.clone());
        // A write that was refused is stored when it is tried again.
        let passes = self.refused.as_ref() == Some(&what);
        held.answer(passes);
        let mut fate = "refused";
        if passes {
            let stored = is_stored(namespace, &path, replaces.as_deref()).await;
            fate = if stored { "stored" } else { "passed" };
        }
        self.killed_at.push(format!("{what}: {fate}"));
        self.refused = (!passes).then_some(what);
        self.operator.kill_hard().await.unwrap();
        gate.refuse_waiting();
        self.operator.restart().await.unwrap();
    }
}

/// Applies all, with a printer whose toner is not empty yet.
async fn prepare(namespace: &TestNamespace<'_>, agent: &Snmpd, server: &OrderServer) {
    log_in(namespace, None).await;
    let connection = often(namespace, agent);
    apply(namespace, agent, &connection, &[("place", "Lobby")]).await;
    apply_model(namespace, "TonerEmpty").await;
    apply_text(namespace, "TonerEmpty").await;
    order_at(namespace, &server.url()).await;
    contract_is(namespace, "supplies-2027", "Delivered").await;
    let online = namespace.soon("the device answers", async || {
        let device = namespace.read_device(DEVICE).await?;
        device.is("Online").then_some(())
    });
    online.await.unwrap();
}

// shows A9 K5
#[tokio::test]
async fn killed_at_each_write_it_orders_once_and_the_number_comes_to_the_panel() {
    ordered_once_although_killed(OrderServerOptions::default()).await;
}

// shows A9 K5
#[tokio::test]
async fn killed_at_each_write_it_orders_once_at_a_server_that_finds_no_orders() {
    let options = OrderServerOptions {
        search: false,
        ..OrderServerOptions::default()
    };
    ordered_once_although_killed(options).await;
}

/// Has a toner run out, and the operator killed at each write from then on.
async fn ordered_once_although_killed(of_server: OrderServerOptions) {
    let options = OperatorOptions::default();
    let mut environment = TestEnvironment::start(options).await.unwrap();
    let server = OrderServer::start(of_server).await.unwrap();
    let agent = Snmpd::start(&[empty_toner(), panel()].concat())
        .await
        .unwrap();
    agent.set_number(LEVEL, 60).await.unwrap();
    agent.set_number(ALERT, 507).await.unwrap();
    let name = environment.plane.create_namespace("killed").await.unwrap();
    let view = environment.operator.view();
    let namespace = TestNamespace::with_name(&environment.plane, view, name).await;
    let namespace = &namespace.unwrap();
    prepare(namespace, &agent, &server).await;
    let device = namespace.read_device(DEVICE).await.expect("a Device");
    let device = as_applied(device);
    let touch = async || drop(namespace.apply::<Device>(&device).await);
    let mut gate = Gate::before(namespace, touch).await;

    gate.close();
    agent.set_number(LEVEL, 0).await.unwrap();
    agent.set_number(ALERT, 1101).await.unwrap();
    let mut killer = Killer {
        operator: &mut environment.operator,
        killed_at: Vec::new(),
        refused: None,
    };
    let done = async || is_done(namespace).await;
    loop {
        let held = tokio::select! {
            held = gate.next() => held,
            found = namespace.soon("the number stands on the panel", done) => {
                found.unwrap_or_else(|late| panic!("{late}\n{:#?}", killer.killed_at));
                break;
            }
        };
        killer.kill_at(namespace, &mut gate, held).await;
        let kills = killer.killed_at.len();
        assert!(kills < MOST_KILLS, "{:#?}", killer.killed_at);
    }
    gate.open();

    let killed_at = killer.killed_at;
    for write in WRITES {
        for fate in ["refused", "stored"] {
            let is_there = killed_at
                .iter()
                .any(|it| it.contains(write) && it.ends_with(fate));
            assert!(is_there, "{write}, {fate}: {killed_at:#?}");
        }
    }
    let log = server.log();
    assert_eq!(log.len(), 1, "{log:?}\n{killed_at:#?}");
    let shown = read_panel(&agent).await;
    assert!(shown.contains(&log[0].order_id), "{shown}");
    let device = namespace.read_device(DEVICE).await.expect("a Device");
    let errors = device.status.unwrap().errors;
    let occurrences: Vec<i64> = errors.iter().map(|error| error.occurrence).collect();
    assert_eq!(occurrences, [1]);
    assert_eq!(namespace.list::<SupplyOrder>().await.len(), 1);
}
