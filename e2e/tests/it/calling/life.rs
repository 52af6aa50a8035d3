//! The life of a device that calls, from its token to a service that is proved.

use std::time::Duration;

use entente_crds::v1alpha1::{
    Device, DeviceEnrollment, DeviceTemplate, DeviceTwin, EnrollmentMode, SerialNumbers, SetBy,
};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{now, starting_in};
use entente_e2e::peers::{Agent, AgentOptions};
use kube::ResourceExt as _;
use serde_json::json;

use super::fixture::{CallingFixture, ENROLLMENT, TOKEN};
use crate::delivery_fixture::contract_is;

/// Time within which everything is delivered; it needs a second.
const SOON: Duration = Duration::from_mins(1);

/// Waits until the enrolment names a device that waits for a person.
async fn waits(fixture: &CallingFixture<'_>, serial_number: &str) {
    let named = async || {
        let enrollment: DeviceEnrollment = fixture.namespace.get(ENROLLMENT).await?;
        let pending = enrollment.status?.pending;
        let mut named = pending.iter();
        named
            .any(|it| &*it.serial_number == serial_number)
            .then_some(())
    };
    let what = "the enrolment names the device that waits";
    fixture.namespace.soon(what, named).await.unwrap();
}

// shows B3 B6 B9 C1 C2 C9 D1
#[tokio::test]
async fn a_device_that_knows_one_url_and_one_token_registers_and_is_set_up_before_the_server() {
    let fixture = CallingFixture::new("calling", "24h").await;
    let namespace = &fixture.namespace;
    let device = namespace.calling_device("behind", "NW5-0001");
    namespace.apply::<Device>(&device).await.unwrap();
    let contract = fixture.contract("now", "behind", now());
    namespace.apply(&contract).await.unwrap();
    let unregistered = async || {
        let device = namespace.read_device("behind").await?;
        (device.reason("Online") == "NotRegistered").then_some(())
    };
    let what = "the device is said not to have registered";
    namespace.within(SOON, what, unregistered).await.unwrap();
    let provisions = || fixture.broker.instances().len();
    assert_eq!(provisions(), 0, "the server waits for the device");

    let agent = fixture.agent("NW5-0001");
    contract_is(namespace, "now", "Delivered").await;
    let settings = agent.file("settings.json").expect("its settings");
    let expected = json!({
        "backup.endpoint": "https://backup.northwind.example/v1",
        "backup.mode": "full",
        "backup.weekdays": "sun",
    });
    assert_eq!(settings, expected);
    let twin = fixture.twin("behind").await.expect("the twin");
    let status = twin.status.expect("a status");
    let registration = status.registration.expect("a registration");
    assert_eq!(json!(registration.consent.map(|it| it.by)), json!("Panel"));
    let reported = status.reported.expect("a report");
    assert_eq!(reported.version, twin.metadata.generation);
}

// shows C2
#[tokio::test]
async fn a_device_that_nobody_entered_gets_a_device_once_its_enrolment_has_a_template() {
    let fixture = CallingFixture::new("created", "24h").await;
    let namespace = &fixture.namespace;
    // It has waited before the enrolment was edited.
    let agent = fixture.agent("NW5-0002");
    waits(&fixture, "NW5-0002").await;
    let mut enrollment = namespace.enrollment(ENROLLMENT);
    enrollment.spec.mode = EnrollmentMode::Create;
    enrollment.spec.serial_numbers = Some(SerialNumbers {
        pattern: Some("NW5-[0-9]{4}".to_owned()),
        names: Vec::new(),
    });
    enrollment.spec.template = Some(DeviceTemplate {
        name_prefix: "branch-".to_owned(),
        labels: [("site".to_owned(), "north".to_owned())].into(),
        time_zone: Some("FromDevice".to_owned()),
    });
    let applied = namespace.apply::<DeviceEnrollment>(&enrollment);
    applied.await.unwrap();
    let made = async || {
        let device = namespace.read_device("branch-nw5-0002").await?;
        device.is("Online").then_some(device)
    };
    let found = namespace.soon("a Device is made and online", made).await;
    let log = || format!("{}\n{}", agent.log(), fixture.gateway.view().log());
    let device = found.unwrap_or_else(|error| panic!("{error}\n{}", log()));
    assert_eq!(
        device.labels().get("site").map(String::as_str),
        Some("north")
    );
    assert_eq!(device.spec.time_zone.as_deref(), Some("UTC"));
    assert_eq!(device.spec.serial_number, "NW5-0002");
    let counted = async || {
        let enrollment: DeviceEnrollment = namespace.get(ENROLLMENT).await?;
        let status = enrollment.status?;
        (status.registered == Some(1) && status.pending_count == Some(0)).then_some(())
    };
    let what = "the enrolment counts one device and none that waits";
    namespace.soon(what, counted).await.unwrap();
    // One whose serial number is not admitted gets nothing, and makes nothing.
    let other = fixture.agent("OTHER-1");
    let refused = async || other.log().contains("SerialNumberNotAllowed").then_some(());
    namespace.soon("it is refused", refused).await.unwrap();
    assert_eq!(namespace.list::<Device>().await.len(), 1);
}

// shows C2 C17
#[tokio::test]
async fn a_device_waits_until_somebody_enters_it_and_a_second_machine_with_its_number_gets_nothing()
{
    let fixture = CallingFixture::new("pending", "24h").await;
    let namespace = &fixture.namespace;
    let _agent = fixture.agent("NW5-0003");
    waits(&fixture, "NW5-0003").await;
    let device = namespace.calling_device("entered", "NW5-0003");
    namespace.apply::<Device>(&device).await.unwrap();
    let online = async || {
        let device = namespace.read_device("entered").await?;
        device.is("Online").then_some(())
    };
    // The device asks again after the interval that it was told.
    let told = namespace.within(SOON, "it is online", online).await;
    told.unwrap();
    let second = fixture.agent("NW5-0003");
    let refused = async || second.log().contains("AlreadyRegistered").then_some(());
    namespace.soon("it is refused", refused).await.unwrap();
    let gone = async || {
        let twins = namespace.list::<DeviceTwin>().await;
        (twins.len() == 1).then_some(())
    };
    namespace.soon("no registration waits", gone).await.unwrap();
}

// shows C1 D9
#[tokio::test]
async fn a_consent_that_is_withdrawn_stops_everything_and_says_so() {
    let fixture = CallingFixture::new("withdrawn", "24h").await;
    let namespace = &fixture.namespace;
    let device = namespace.calling_device("behind", "NW5-0004");
    namespace.apply::<Device>(&device).await.unwrap();
    let agent = fixture.agent("NW5-0004");
    let online = async || {
        let device = namespace.read_device("behind").await?;
        device.is("Online").then_some(())
    };
    namespace.soon("it is online", online).await.unwrap();
    agent.withdraw(&fixture.gateway).await.unwrap();
    let contract = fixture.contract("now", "behind", now());
    namespace.apply(&contract).await.unwrap();
    let said = async || {
        let subscription = namespace.subscription("now", "backup", "behind").await?;
        (subscription.reason("Ready") == "ConsentWithdrawn").then_some(subscription)
    };
    let what = "the subscription says that consent was withdrawn";
    let subscription = namespace.soon(what, said).await.unwrap();
    assert!(subscription.is("Stalled"), "{subscription:#?}");
    assert_eq!(subscription.reason("Activated"), "ConsentWithdrawn");
    // A wish from before the operator saw the withdrawal stays in the twin: the gateway tells the
    // device of nothing.
    let twin = fixture.twin("behind").await.expect("a twin");
    let status = twin.status.expect("a status");
    let consent = status.registration.and_then(|it| it.consent);
    assert!(consent.expect("consent").withdrawn.is_some());
    let reported = status.reported.map(|it| it.settings).unwrap_or_default();
    assert!(
        reported.iter().all(|it| it.by != SetBy::Server),
        "{reported:?}"
    );
    assert!(fixture.broker.instances().is_empty());
}

// shows K5 B6
#[tokio::test]
async fn the_gateway_is_killed_while_devices_call_and_nothing_is_lost() {
    let mut fixture = CallingFixture::new("killed", "24h").await;
    let device = fixture.namespace.calling_device("behind", "NW5-0005");
    fixture.namespace.apply::<Device>(&device).await.unwrap();
    let agent = fixture.agent("NW5-0005");
    let namespace = fixture.namespace.clone();
    let reports = async || {
        let twin: DeviceTwin = namespace.get("behind").await?;
        twin.status?.reported?.version
    };
    let what = "it says which settings it has";
    namespace.soon(what, reports).await.unwrap();
    fixture.gateway.kill_hard().await.unwrap();
    let contract = fixture.contract("now", "behind", now());
    namespace.apply(&contract).await.unwrap();
    let asked = async || {
        let twin: DeviceTwin = namespace.get("behind").await?;
        (!twin.spec.settings.is_empty()).then_some(())
    };
    let what = "the device is asked although no gateway runs";
    namespace.soon(what, asked).await.unwrap();
    fixture.gateway.restart().await.unwrap();
    contract_is(&namespace, "now", "Delivered").await;
    assert!(agent.file("settings.json").is_some(), "{}", agent.log());
}

// shows C9 B9
#[tokio::test]
async fn a_device_that_calls_once_a_day_is_ready_at_a_start_between_two_calls() {
    let fixture = CallingFixture::new("daily", "24h").await;
    let namespace = &fixture.namespace;
    let device = namespace.calling_device("behind", "NW5-0006");
    namespace.apply::<Device>(&device).await.unwrap();
    let start = starting_in(Duration::from_secs(12));
    let contract = fixture.contract("soon", "behind", start);
    namespace.apply(&contract).await.unwrap();
    // It holds no request open: it comes when it was told to.
    let mut options = AgentOptions::new("NW5-0006", TOKEN);
    options.flags.retain(|flag| !flag.starts_with("--wait"));
    let agent = Agent::start(&fixture.gateway, &options).unwrap();
    let holds = async || {
        let twin = fixture.twin("behind").await?;
        let next = twin.spec.next?;
        let read = twin.status?.reported?.version;
        (next.effective == start && read == twin.metadata.generation).then_some(())
    };
    let what = "the device holds the start before it comes";
    namespace.soon(what, holds).await.unwrap();
    assert!(now() < start, "it was in time");
    contract_is(namespace, "soon", "Delivered").await;
    let subscription = namespace.subscription("soon", "backup", "behind").await;
    let status = subscription.and_then(|it| it.status).expect("a status");
    let set = status.items.iter();
    let set = set.filter(|it| it.key.as_str().starts_with("DeviceSetting"));
    let set: Vec<_> = set.collect();
    assert_eq!(set.len(), 3, "{:?}", status.items);
    for item in set {
        let at = item.last_verified.expect("a proof");
        let late = at.duration_since(start);
        assert!(
            late.as_secs() < 5,
            "{}: {late:#}\n{}",
            item.key,
            agent.log()
        );
    }
    let promise = &status.promises[0];
    assert_eq!(json!(promise.state), json!("Kept"), "{promise:?}");
}
