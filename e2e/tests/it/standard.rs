//! The world that most tests of delivery begin with: simulated devices and broker, and the example
//! catalogue; with what is asked of it again and again.

use std::time::Duration;

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{
    Compensation, Condition, Connection, Contract, Device, DeviceModel, PromiseState,
    ServiceSubscription, SmartService,
};
use entente_e2e::control_plane::ControlPlane;
use entente_e2e::operator::{Ground, OperatorView};
use entente_e2e::scene::Scene;
use entente_e2e::scene::read::{Conditioned, SubscriptionFacts as _};
use entente_simulators::{self, Broker, Cause, Entry, IppFleet};
use jiff::Timestamp;

/// A scene with a fleet and a broker, all of the catalogue and all Devices applied.
pub(crate) struct Standard<'a> {
    pub(crate) scene: Scene<'a>,
    pub(crate) fleet: IppFleet,
    pub(crate) broker: Broker,
}

/// A scene on the ground that all tests share.
pub(crate) async fn scene(title: &str) -> Scene<'static> {
    let ground = Ground::shared().await.unwrap();
    Scene::new(ground, title).await.unwrap()
}

impl Standard<'static> {
    /// On the ground that all tests share.
    pub(crate) async fn new(title: &str, devices: usize) -> Self {
        Standard::on(scene(title).await, devices).await
    }
}

impl<'a> Standard<'a> {
    /// On a control plane of the test's own.
    pub(crate) async fn on_plane(
        plane: &'a ControlPlane,
        operator: OperatorView,
        title: &str,
        devices: usize,
    ) -> Standard<'a> {
        let namespace = plane.create_namespace(title).await.unwrap();
        let scene = Scene::in_namespace(plane, operator, namespace).await;
        Standard::on(scene.unwrap(), devices).await
    }

    async fn on(scene: Scene<'a>, devices: usize) -> Standard<'a> {
        let fleet = scene.fleet(devices).await.unwrap();
        let broker = scene.broker().await.unwrap();
        let standard = Standard {
            scene,
            fleet,
            broker,
        };
        standard.apply_catalogue().await;
        standard.apply_devices().await;
        standard
    }

    pub(crate) async fn apply_catalogue(&self) {
        let scene = &self.scene;
        let devices = scene.device_connection(self.fleet.port());
        scene.apply::<Connection>(&devices).await.unwrap();
        let broker = scene.broker_connection(&self.broker.url());
        scene.apply::<Connection>(&broker).await.unwrap();
        scene.apply::<DeviceModel>(&scene.model()).await.unwrap();
        for service in [scene.backup(), scene.parts()] {
            scene.apply::<SmartService>(&service).await.unwrap();
        }
    }

    pub(crate) async fn apply_devices(&self) {
        for device in self.fleet.devices() {
            let device = self.scene.device(device);
            self.scene.apply::<Device>(&device).await.unwrap();
        }
    }

    /// The simulated device of that place in the fleet.
    pub(crate) fn device(&self, place: usize) -> &std::sync::Arc<entente_simulators::Device> {
        &self.fleet.devices()[place]
    }

    /// The name of the device of that place in the fleet.
    pub(crate) fn name(&self, place: usize) -> &str {
        self.device(place).name()
    }

    /// A contract of one entry `backup` on the first device.
    pub(crate) fn backup_contract(&self, name: &str, start: Timestamp, allowed: &str) -> Contract {
        let entry = self
            .scene
            .entry("backup", "data-backup", &[self.name(0)], allowed);
        self.scene.contract(name, start, vec![entry])
    }

    /// A contract of one entry `parts` on the first device, which needs no broker.
    pub(crate) fn parts_contract(&self, name: &str, start: Timestamp, allowed: &str) -> Contract {
        let entry = self
            .scene
            .entry("parts", "parts-life", &[self.name(0)], allowed);
        self.scene.contract(name, start, vec![entry])
    }

    /// Nothing was sent in vain or twice, and every reason is on the list.
    pub(crate) async fn finish(&self) {
        let ledger = self.scene.ledger();
        assert_eq!(brief(&ledger.duplicates()), Vec::<String>::new());
        assert_eq!(brief(&ledger.unneeded_writes()), Vec::<String>::new());
        every_reason_is_listed(&self.scene).await;
    }
}

/// A ledger's lines as a person reads them.
pub(crate) fn brief(entries: &[Entry]) -> Vec<String> {
    let line = |e: &Entry| format!("{} {} {} {:?}", e.time(), e.name, e.operation, e.attributes);
    entries.iter().map(line).collect()
}

/// Requests over the network that changed what a peer has or tried to.
pub(crate) fn writes_to(scene: &Scene<'_>, name: &str) -> Vec<Entry> {
    let mut writes = scene.ledger().writes();
    writes.retain(|entry| entry.name == name && entry.cause == Cause::Request);
    writes
}

/// Waits until the contract has the condition True.
pub(crate) async fn contract_is(scene: &Scene<'_>, name: &str, condition: &str) -> Contract {
    let what = format!("the contract {name} is {condition}");
    let found = scene.soon(&what, async || {
        let contract = scene.read_contract(name).await?;
        contract.is(condition).then_some(contract)
    });
    found.await.unwrap()
}

/// Waits until the contract's condition has the reason.
pub(crate) async fn contract_says(
    scene: &Scene<'_>,
    name: &str,
    condition: &str,
    reason: &str,
) -> Contract {
    let what = format!("the contract {name} says {condition} {reason}");
    let found = scene.soon(&what, async || {
        let contract = scene.read_contract(name).await?;
        (contract.reason(condition) == reason).then_some(contract)
    });
    found.await.unwrap()
}

/// Waits until the subscription has the condition True.
pub(crate) async fn subscription_is(
    scene: &Scene<'_>,
    parts: [&str; 3],
    condition: &str,
) -> ServiceSubscription {
    let what = format!("the subscription {} is {condition}", parts.join("."));
    let [contract, service, device] = parts;
    let found = scene.soon(&what, async || {
        let subscription = scene.subscription(contract, service, device).await?;
        subscription.is(condition).then_some(subscription)
    });
    found.await.unwrap()
}

/// Waits until the subscription's condition has the reason.
pub(crate) async fn subscription_says(
    scene: &Scene<'_>,
    parts: [&str; 3],
    condition: &str,
    reason: &str,
) -> ServiceSubscription {
    let what = format!(
        "the subscription {} says {condition} {reason}",
        parts.join(".")
    );
    let [contract, service, device] = parts;
    let found = scene.soon(&what, async || {
        let subscription = scene.subscription(contract, service, device).await?;
        (subscription.reason(condition) == reason).then_some(subscription)
    });
    found.await.unwrap()
}

/// Waits until the only compensation of the scene is calculated.
pub(crate) async fn calculated(scene: &Scene<'_>) -> Compensation {
    let found = scene.soon("one compensation is calculated", async || {
        let mut all = scene.compensations().await;
        assert!(all.len() <= 1, "more than one compensation: {}", all.len());
        all.pop()
            .filter(|compensation| compensation.is("Calculated"))
    });
    found.await.unwrap()
}

/// How late the only promise was completed, in seconds.
pub(crate) fn late(subscription: &ServiceSubscription) -> f64 {
    let [promise] = subscription.promises() else {
        panic!("not one promise: {:?}", subscription.promises());
    };
    let completed = promise.completed.expect("it was completed");
    completed.duration_since(promise.effective).as_secs_f64()
}

/// The state of the only promise.
pub(crate) fn promise_state(subscription: &ServiceSubscription) -> PromiseState {
    let [promise] = subscription.promises() else {
        panic!("not one promise: {:?}", subscription.promises());
    };
    promise.state
}

/// What so many seconds of the fee of the scene cost, in the local month of the start: calculated
/// apart from the operator.
pub(crate) fn credit(start: Timestamp, seconds: f64) -> f64 {
    let local = start.in_tz("America/Sao_Paulo").unwrap();
    120_000.0 * seconds / (f64::from(local.days_in_month()) * 86_400.0)
}

/// Asserts that the compensation is worth so many seconds.
pub(crate) fn assert_credit(compensation: &Compensation, start: Timestamp, seconds: f64) {
    let status = compensation.status.as_ref().expect("it has a status");
    let amount = status.amount.as_ref().expect("it has an amount");
    let value: f64 = amount.value.parse().expect("it is a decimal");
    let wanted = credit(start, seconds);
    assert!(
        (value - wanted).abs() < 0.011,
        "{value} is owed for {seconds} s, not {wanted:.2}: {status:#?}"
    );
    assert_eq!(amount.currency, "BRL");
}

/// Every condition of every object of the scene has a reason of the closed list (K2).
pub(crate) async fn every_reason_is_listed(scene: &Scene<'_>) {
    let mut seen = 0;
    let mut check = |object: String, conditions: &[Condition]| {
        for condition in conditions {
            seen += 1;
            let kind = ConditionType::ALL
                .iter()
                .find(|kind| kind.as_str() == condition.type_);
            let listed = kind.is_some_and(|kind| {
                kind.reasons()
                    .iter()
                    .any(|reason| reason.as_str() == condition.reason)
            });
            assert!(
                listed,
                "{object}: {} has the reason {}, which is not on its list",
                condition.type_, condition.reason
            );
        }
    };
    for contract in scene.list::<Contract>().await {
        check(
            format!("{:?}", contract.metadata.name),
            contract.conditions(),
        );
    }
    for subscription in scene.list::<ServiceSubscription>().await {
        check(
            format!("{:?}", subscription.metadata.name),
            subscription.conditions(),
        );
    }
    for device in scene.list::<Device>().await {
        check(format!("{:?}", device.metadata.name), device.conditions());
    }
    for compensation in scene.list::<Compensation>().await {
        check(
            format!("{:?}", compensation.metadata.name),
            compensation.conditions(),
        );
    }
    assert!(seen > 0, "no object of the scene has a condition");
}

/// Asks for a pass over the device now and waits until it was made: whatever was to be done for it
/// before, was done.
pub(crate) async fn reconciled(scene: &Scene<'_>, device: &str) {
    let at = Timestamp::now().to_string();
    let patch = serde_json::json!({
        "metadata": { "annotations": { "entente.dev/reconcile-at": at } },
    });
    let devices = scene.api::<Device>();
    let parameters = kube::api::PatchParams::default();
    let patch = kube::api::Patch::Merge(&patch);
    devices.patch(device, &parameters, &patch).await.unwrap();
    let handled = scene.soon("the wish for a reconcile is handled", async || {
        let device = scene.read_device(device).await?;
        (device.status?.last_handled_reconcile_at? == at).then_some(())
    });
    handled.await.unwrap();
}

/// A start so far ahead that everything before it can be looked at, on a busy machine too.
pub(crate) const AHEAD: Duration = Duration::from_secs(4);
