//! Settings by SNMP, on the agent of net-snmp: delivered, refused, and set again after a restart.

mod errors;
mod killed;
mod two_paths;

use std::collections::BTreeMap;
use std::time::Duration;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    Connection, Contract, Device, DeviceConnection, DeviceModel, DeviceSetting, IdentitySource,
    ItemState, LocalReference, PromiseState, SmartService, SnmpSetting, SnmpType, SnmpVersion,
    ValueType, Via, WantedSetting,
};
use entente_e2e::namespace::read::SubscriptionFacts as _;
use entente_e2e::namespace::{TestNamespace, now, starting_in};
use entente_e2e::peers::{Override, Snmpd, SnmpdLogin};

use crate::delivery_fixture::{
    AHEAD, contract_is, every_reason_is_listed, promise_state, reconciled, subscription_is,
    subscription_says, test_namespace,
};
use crate::tenant_secrets::{apply_secret, grant};

const LOCATION: &str = "1.3.6.1.2.1.1.6.0";
const SERIAL_NUMBER: &str = "1.3.6.1.2.1.43.5.1.1.17.1";
/// prtInputName of the first tray: the agent has it as it is configured, and forgets what was set.
const TRAY: &str = "1.3.6.1.2.1.43.8.2.1.13.1.1";
const DEVICE: &str = "label-7";
const SECRET: &str = "agent-login";

/// Returns a setting with a text.
fn setting(name: &str, oid: &str) -> DeviceSetting {
    DeviceSetting {
        name: name.to_owned(),
        r#type: ValueType::String,
        via: Via {
            snmp: Some(SnmpSetting {
                oid: oid.to_owned(),
                r#type: SnmpType::OctetString,
            }),
            ..Via::default()
        },
        ..DeviceSetting::default()
    }
}

/// Returns a service of these settings.
fn service(namespace: &TestNamespace<'_>, wanted: &[(&str, &str)]) -> SmartService {
    let mut service = namespace.parts();
    service.metadata.name = Some(namespace.named("labels"));
    service.spec.parameters.clear();
    let device = service.spec.device.as_mut().expect("it has a device side");
    device.models.clear();
    let wanted = wanted.iter().map(|(name, value)| WantedSetting {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
        ..WantedSetting::default()
    });
    device.settings = wanted.collect();
    service
}

/// Applies the login of a user for the Device, with another password where one is given.
async fn log_in(namespace: &TestNamespace<'_>, password: Option<&str>) {
    let mut data = BTreeMap::from(SnmpdLogin::OPERATOR.secret());
    data.extend(password.map(|password| ("authPassword", password)));
    let data: Vec<_> = data.into_iter().collect();
    apply_secret(namespace, SECRET, &data).await;
}

/// Applies all but the contract: a model with a place, a tray and an object that cannot be set, and one
/// Device of it.
async fn apply(
    namespace: &TestNamespace<'_>,
    agent: &Snmpd,
    connection: &Connection,
    wanted: &[(&str, &str)],
) {
    namespace.apply::<Connection>(connection).await.unwrap();
    let mut model = namespace.model_of("label", Snmpd::PRODUCT, setting("place", LOCATION));
    // By SNMP the serial number is the identity.
    model.spec.identity = None::<IdentitySource>;
    let more = [setting("tray", TRAY), setting("serial", SERIAL_NUMBER)];
    model.spec.settings.extend(more);
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    let service = service(namespace, wanted);
    namespace.apply::<SmartService>(&service).await.unwrap();
    grant(namespace).await;
    let mut device = namespace.device_at(DEVICE, agent.address(), &agent.serial_number());
    device.spec.model_ref = namespace.reference("label");
    device.spec.connections = vec![DeviceConnection {
        name: namespace.named("agents"),
        credentials_ref: Some(LocalReference {
            name: SECRET.to_owned(),
        }),
        ..DeviceConnection::default()
    }];
    namespace.apply::<Device>(&device).await.unwrap();
}

/// Waits until the person at the device reads this text.
async fn person_reads(namespace: &TestNamespace<'_>, agent: &Snmpd, oid: &str, text: &str) {
    let what = format!("{oid} is {text}");
    let read = namespace.soon(&what, async || {
        let found = agent.get(oid).await.ok()?;
        (found == text).then_some(())
    });
    read.await.unwrap();
}

fn contract(namespace: &TestNamespace<'_>, name: &str, ahead: Duration) -> Contract {
    let entry = namespace.entry("labels", "labels", &[DEVICE], "15m");
    let start = if ahead.is_zero() {
        now()
    } else {
        starting_in(ahead)
    };
    namespace.contract(name, start, vec![entry])
}

fn tray() -> Override {
    Override::text(TRAY, "Tray 1").writable()
}

// shows B3 B7 D1 D3
#[tokio::test]
async fn settings_go_by_snmp_at_the_start_and_are_set_again_after_the_device_forgot_one() {
    let namespace = test_namespace("snmp").await;
    let namespace = &namespace;
    let mut agent = Snmpd::start(&[tray()]).await.unwrap();
    let connection = namespace.snmp_connection("agents", agent.port());
    log_in(namespace, None).await;
    apply(
        namespace,
        &agent,
        &connection,
        &[("place", "Lobby"), ("tray", "Labels 62 mm")],
    )
    .await;
    let contract = contract(namespace, "labels-2027", AHEAD);
    namespace.apply::<Contract>(&contract).await.unwrap();

    let parts = ["labels-2027", "labels", DEVICE];
    let delivered = subscription_is(namespace, parts, "Delivered").await;
    assert_eq!(promise_state(&delivered), PromiseState::Kept);
    for (key, oid, text) in [
        ("DeviceSetting/place", LOCATION, "Lobby"),
        ("DeviceSetting/tray", TRAY, "Labels 62 mm"),
    ] {
        let item = delivered.item(key).expect("it is there");
        assert_eq!(item.state, ItemState::Effective);
        assert_eq!(item.attempts, Some(1), "{item:?}");
        person_reads(namespace, &agent, oid, text).await;
    }

    agent.restart().await.unwrap();
    person_reads(namespace, &agent, TRAY, "Tray 1").await;
    person_reads(namespace, &agent, LOCATION, "Lobby").await;
    reconciled(namespace, DEVICE).await;
    person_reads(namespace, &agent, TRAY, "Labels 62 mm").await;
    subscription_is(namespace, parts, "Delivered").await;

    // The person changes it, which is the same to the operator.
    agent.set(LOCATION, "Basement").await.unwrap();
    reconciled(namespace, DEVICE).await;
    person_reads(namespace, &agent, LOCATION, "Lobby").await;
    every_reason_is_listed(namespace).await;
}

// shows B5 D5 K4
#[tokio::test]
async fn a_wrong_password_is_told_and_the_right_one_is_used_at_once() {
    let namespace = test_namespace("snmp-login").await;
    let namespace = &namespace;
    let agent = Snmpd::start(&[tray()]).await.unwrap();
    let connection = namespace.snmp_connection("agents", agent.port());
    log_in(namespace, Some("canary-snmp-77aa")).await;
    apply(namespace, &agent, &connection, &[("place", "Lobby")]).await;
    let contract = contract(namespace, "labels-login", Duration::ZERO);
    namespace.apply::<Contract>(&contract).await.unwrap();

    let parts = ["labels-login", "labels", DEVICE];
    let refused = subscription_says(namespace, parts, "DeviceConfigured", "Unauthorized").await;
    let told = serde_json::to_string(&refused).unwrap();
    assert!(told.contains("usmStatsWrongDigests"), "{told}");
    assert!(!told.contains("canary"), "{told}");
    assert_eq!(
        agent.get(LOCATION).await.unwrap(),
        "Unknown",
        "nothing was written"
    );

    log_in(namespace, None).await;
    reconciled(namespace, DEVICE).await;
    contract_is(namespace, "labels-login", "Delivered").await;
    person_reads(namespace, &agent, LOCATION, "Lobby").await;
    every_reason_is_listed(namespace).await;
}

// shows D1 D4
#[tokio::test]
async fn an_object_that_cannot_be_set_and_a_version_that_only_reads_are_told_by_the_item() {
    let namespace = test_namespace("snmp-refused").await;
    let namespace = &namespace;
    let agent = Snmpd::start(&[tray()]).await.unwrap();
    let mut connection = namespace.snmp_connection("agents", agent.port());
    log_in(namespace, None).await;
    apply(namespace, &agent, &connection, &[("serial", "another")]).await;
    let contract = contract(namespace, "labels-refused", Duration::ZERO);
    namespace.apply::<Contract>(&contract).await.unwrap();
    let parts = ["labels-refused", "labels", DEVICE];
    let wanted = Reason::RejectedNotSettable;
    let refused = subscription_says(namespace, parts, "Delivered", wanted.as_str()).await;
    let problem = refused
        .item("DeviceSetting/serial")
        .unwrap()
        .problem
        .as_ref();
    let message = problem.expect("it has a problem").message.to_string();
    assert!(message.contains("17, notWritable"), "{message}");

    if let Some(snmp) = &mut connection.spec.snmp {
        snmp.version = SnmpVersion::V2C;
    }
    let community = [("community", "public")];
    apply_secret(namespace, SECRET, &community).await;
    namespace.apply::<Connection>(&connection).await.unwrap();
    let unsupported = Reason::UnsupportedByModel;
    let told = subscription_says(namespace, parts, "Delivered", unsupported.as_str()).await;
    let told = serde_json::to_string(&told).unwrap();
    assert!(
        told.contains("has snmp.version V2C, by which nothing is written"),
        "{told}"
    );
    every_reason_is_listed(namespace).await;
}
