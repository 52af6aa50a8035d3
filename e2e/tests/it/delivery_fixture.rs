//! The fixture of most tests of delivery: a namespace with simulated devices and a simulated
//! broker, and the example catalogue; and the assertions that they share.

use std::time::Duration;

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{
    Compensation, Condition, Connection, Contract, Device, DeviceModel, PromiseState,
    ServiceSubscription, SmartService,
};
use entente_e2e::control_plane::ControlPlane;
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::read::{Conditioned, SubscriptionFacts as _};
use entente_e2e::namespace::{TestNamespace, starting_in};
use entente_e2e::operator::OperatorView;
use entente_simulators::{self, Broker, Cause, Entry, FaultKind, IppFleet};
use jiff::Timestamp;

/// A namespace with a fleet and a broker, all of the catalogue and all Devices applied.
pub(crate) struct DeliveryFixture<'a> {
    pub(crate) namespace: TestNamespace<'a>,
    pub(crate) fleet: IppFleet,
    pub(crate) broker: Broker,
}

/// Creates a namespace in the environment that all tests share.
pub(crate) async fn test_namespace(title: &str) -> TestNamespace<'static> {
    let environment = TestEnvironment::shared().await.unwrap();
    TestNamespace::new(environment, title).await.unwrap()
}

impl DeliveryFixture<'static> {
    /// Sets it up in the environment that all tests share.
    pub(crate) async fn new(title: &str, devices: usize) -> Self {
        DeliveryFixture::on(test_namespace(title).await, devices).await
    }
}

impl<'a> DeliveryFixture<'a> {
    /// Sets it up on a control plane of the test's own.
    pub(crate) async fn on_plane(
        plane: &'a ControlPlane,
        operator: OperatorView,
        title: &str,
        devices: usize,
    ) -> DeliveryFixture<'a> {
        let name = plane.create_namespace(title).await.unwrap();
        let namespace = TestNamespace::with_name(plane, operator, name).await;
        DeliveryFixture::on(namespace.unwrap(), devices).await
    }

    /// Sets it up in a namespace that exists.
    pub(crate) async fn on(namespace: TestNamespace<'a>, devices: usize) -> DeliveryFixture<'a> {
        let fleet = namespace.fleet(devices).await.unwrap();
        let broker = namespace.broker().await.unwrap();
        let fixture = DeliveryFixture {
            namespace,
            fleet,
            broker,
        };
        fixture.apply_catalogue().await;
        fixture.apply_devices().await;
        fixture
    }

    pub(crate) async fn apply_catalogue(&self) {
        let namespace = &self.namespace;
        let devices = namespace.device_connection(self.fleet.port());
        namespace.apply::<Connection>(&devices).await.unwrap();
        let broker = namespace.broker_connection(&self.broker.url());
        namespace.apply::<Connection>(&broker).await.unwrap();
        namespace
            .apply::<DeviceModel>(&namespace.model())
            .await
            .unwrap();
        for service in [namespace.backup(), namespace.parts()] {
            namespace.apply::<SmartService>(&service).await.unwrap();
        }
    }

    pub(crate) async fn apply_devices(&self) {
        for device in self.fleet.devices() {
            let device = self.namespace.device(device);
            self.namespace.apply::<Device>(&device).await.unwrap();
        }
    }

    /// Returns the simulated device of that place in the fleet.
    pub(crate) fn device(&self, place: usize) -> &std::sync::Arc<entente_simulators::Device> {
        &self.fleet.devices()[place]
    }

    /// Returns the name of the device of that place in the fleet.
    pub(crate) fn name(&self, place: usize) -> &str {
        self.device(place).name()
    }

    /// Switches the device of that place in the fleet off, until its faults are cleared.
    pub(crate) async fn switch_off(&self, place: usize) {
        let device = self.device(place);
        device.set_fault(FaultKind::Offline).await.unwrap();
    }

    /// Returns a contract of one entry `backup` on the first device.
    pub(crate) fn backup_contract(&self, name: &str, start: Timestamp, allowed: &str) -> Contract {
        let entry = self
            .namespace
            .entry("backup", "data-backup", &[self.name(0)], allowed);
        self.namespace.contract(name, start, vec![entry])
    }

    /// Returns a contract of one entry `parts` on the first device, which needs no broker.
    pub(crate) fn parts_contract(&self, name: &str, start: Timestamp, allowed: &str) -> Contract {
        let entry = self
            .namespace
            .entry("parts", "parts-life", &[self.name(0)], allowed);
        self.namespace.contract(name, start, vec![entry])
    }

    /// Nothing was sent in vain or twice, and every reason is on the list.
    pub(crate) async fn finish(&self) {
        let ledger = self.namespace.ledger();
        assert_eq!(brief(&ledger.duplicates()), Vec::<String>::new());
        assert_eq!(brief(&ledger.unneeded_writes()), Vec::<String>::new());
        every_reason_is_listed(&self.namespace).await;
    }
}

/// Returns a ledger's lines in a form for people.
pub(crate) fn brief(entries: &[Entry]) -> Vec<String> {
    let line = |e: &Entry| format!("{} {} {} {:?}", e.time(), e.name, e.operation, e.attributes);
    entries.iter().map(line).collect()
}

/// Returns the requests over the network that changed a peer or tried to.
pub(crate) fn writes_to(namespace: &TestNamespace<'_>, name: &str) -> Vec<Entry> {
    let mut writes = namespace.ledger().writes();
    writes.retain(|entry| entry.name == name && entry.cause == Cause::Request);
    writes
}

/// Applies a contract that is late, since its last device is off, and one that begins in three days;
/// returns once both are so, and the debt has an amount.
pub(crate) async fn one_late_and_one_ahead(fixture: &DeliveryFixture<'_>, names: &[&str]) {
    let namespace = &fixture.namespace;
    fixture.switch_off(names.len() - 1).await;
    let entry = namespace.entry("parts", "parts-life", names, "1s");
    let late = namespace.contract("late-2027", starting_in(AHEAD / 2), vec![entry.clone()]);
    namespace.apply(&late).await.unwrap();
    let ahead = starting_in(Duration::from_hours(72));
    let later = namespace.contract("later-2027", ahead, vec![entry]);
    namespace.apply(&later).await.unwrap();
    contract_is(namespace, "late-2027", "PromiseMissed").await;
    let counted = namespace.soon("an amount is calculated", async || {
        let all = namespace.compensations().await;
        let has_amount =
            |it: &Compensation| it.status.as_ref().is_some_and(|it| it.amount.is_some());
        all.iter().any(has_amount).then_some(())
    });
    counted.await.unwrap();
    contract_says(namespace, "later-2027", "Ready", "Scheduled").await;
}

/// Waits until the contract has the condition True.
pub(crate) async fn contract_is(
    namespace: &TestNamespace<'_>,
    name: &str,
    condition: &str,
) -> Contract {
    let what = format!("the contract {name} is {condition}");
    let found = namespace.soon(&what, async || {
        let contract = namespace.read_contract(name).await?;
        contract.is(condition).then_some(contract)
    });
    found.await.unwrap()
}

/// Waits until the contract's condition has the reason.
pub(crate) async fn contract_says(
    namespace: &TestNamespace<'_>,
    name: &str,
    condition: &str,
    reason: &str,
) -> Contract {
    let what = format!("the contract {name} says {condition} {reason}");
    let found = namespace.soon(&what, async || {
        let contract = namespace.read_contract(name).await?;
        (contract.reason(condition) == reason).then_some(contract)
    });
    found.await.unwrap()
}

/// Waits until the subscription has the condition True.
pub(crate) async fn subscription_is(
    namespace: &TestNamespace<'_>,
    parts: [&str; 3],
    condition: &str,
) -> ServiceSubscription {
    let what = format!("the subscription {} is {condition}", parts.join("."));
    let [contract, service, device] = parts;
    let found = namespace.soon(&what, async || {
        let subscription = namespace.subscription(contract, service, device).await?;
        subscription.is(condition).then_some(subscription)
    });
    found.await.unwrap()
}

/// Waits until the subscription's condition has the reason.
pub(crate) async fn subscription_says(
    namespace: &TestNamespace<'_>,
    parts: [&str; 3],
    condition: &str,
    reason: &str,
) -> ServiceSubscription {
    let what = format!(
        "the subscription {} says {condition} {reason}",
        parts.join(".")
    );
    let [contract, service, device] = parts;
    let found = namespace.soon(&what, async || {
        let subscription = namespace.subscription(contract, service, device).await?;
        (subscription.reason(condition) == reason).then_some(subscription)
    });
    found.await.unwrap()
}

/// Waits until the only compensation of the namespace is calculated.
pub(crate) async fn calculated(namespace: &TestNamespace<'_>) -> Compensation {
    let found = namespace.soon("one compensation is calculated", async || {
        let mut all = namespace.compensations().await;
        assert!(all.len() <= 1, "more than one compensation: {}", all.len());
        all.pop()
            .filter(|compensation| compensation.is("Calculated"))
    });
    found.await.unwrap()
}

/// Returns the delay of the only promise at its completion, in seconds.
pub(crate) fn late(subscription: &ServiceSubscription) -> f64 {
    let [promise] = subscription.promises() else {
        panic!("not one promise: {:?}", subscription.promises());
    };
    let completed = promise.completed.expect("it was completed");
    completed.duration_since(promise.effective).as_secs_f64()
}

/// Returns the state of the only promise.
pub(crate) fn promise_state(subscription: &ServiceSubscription) -> PromiseState {
    let [promise] = subscription.promises() else {
        panic!("not one promise: {:?}", subscription.promises());
    };
    promise.state
}

/// Returns the part of the namespace's fee for that many seconds, in the local month of the start:
/// calculated apart from the operator.
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

/// Every condition of every object of the namespace has a reason of the closed list (K2).
pub(crate) async fn every_reason_is_listed(namespace: &TestNamespace<'_>) {
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
    for contract in namespace.list::<Contract>().await {
        check(
            format!("{:?}", contract.metadata.name),
            contract.conditions(),
        );
    }
    for subscription in namespace.list::<ServiceSubscription>().await {
        check(
            format!("{:?}", subscription.metadata.name),
            subscription.conditions(),
        );
    }
    for device in namespace.list::<Device>().await {
        check(format!("{:?}", device.metadata.name), device.conditions());
    }
    for compensation in namespace.list::<Compensation>().await {
        check(
            format!("{:?}", compensation.metadata.name),
            compensation.conditions(),
        );
    }
    assert!(seen > 0, "no object of the namespace has a condition");
}

/// Asks for a pass over the device and waits for its end: all work before it has been done then.
pub(crate) async fn reconciled(namespace: &TestNamespace<'_>, device: &str) {
    let at = Timestamp::now().to_string();
    let patch = serde_json::json!({
        "metadata": { "annotations": { "entente.dev/reconcile-at": at } },
    });
    let devices = namespace.api::<Device>();
    let parameters = kube::api::PatchParams::default();
    let patch = kube::api::Patch::Merge(&patch);
    devices.patch(device, &parameters, &patch).await.unwrap();
    let handled = namespace.soon("the wish for a reconcile is handled", async || {
        let device = namespace.read_device(device).await?;
        (device.status?.last_handled_reconcile_at? == at).then_some(())
    });
    handled.await.unwrap();
}

/// Time until a start that is so far ahead that everything before it can be checked, on a busy
/// machine too.
pub(crate) const AHEAD: Duration = Duration::from_secs(4);
