//! Tests of three Devices at one place: the one that gives the machine up, in whatever way, leaves it
//! to the next one at once, and to no other.

use entente_crds::{
    condition::Reason,
    v1alpha1::{Connection, Device, ServiceSubscription, SmartService},
};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Namespace;

use super::{objects::edit_device, *};

/// The namespace of those that wait for the machine of the first.
const OTHERS: &str = "banco-norte";
const SECOND: &str = "second";
const THIRD: &str = "third";
/// Address at which nobody is.
const ELSEWHERE: &str = "10.20.3.9";
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

type Edit = fn(&mut InProcess);

/// Returns Ready of the subscription of a Device that waits.
fn says_of(process: &InProcess, device: &str) -> String {
    let name = format!("banco-sul-2027.backup.{device}");
    let found: Option<ServiceSubscription> = process.cluster.get(OTHERS, &name);
    let status = found.and_then(|it| it.status).unwrap_or_default();
    says(&status.conditions, "Ready")
}

fn waits(process: &InProcess, device: &str) -> bool {
    says_of(process, device) == "False(AlreadyClaimed)"
}

fn has(process: &InProcess, device: &str) -> bool {
    says_of(process, device) == "True(Delivered)"
}

/// Lets the namespace of those that wait use the Connections, and gives it a contract.
fn admit_others(process: &InProcess) {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(OTHERS.to_owned());
    namespace.metadata.labels = Some([(NAME_LABEL.to_owned(), OTHERS.to_owned())].into());
    process.cluster.apply(&namespace);
    for name in ["hq-ipp", "northwind-services"] {
        process.cluster.edit("", name, |it: &mut Connection| {
            let mut entry = it.spec.allow[0].clone();
            entry.name = OTHERS.to_owned();
            let labels = &mut entry.namespaces.match_labels;
            labels.insert(NAME_LABEL.to_owned(), OTHERS.to_owned());
            it.spec.allow.push(entry);
        });
    }
    let mut contract = example::banco_sul_2027();
    let subscription = example::service_subscription();
    contract.metadata.namespace = Some(OTHERS.to_owned());
    contract.metadata.uid = Some(subscription.spec.contract.uid.clone());
    process.cluster.apply(&contract);
    let name = contract.name_any();
    process.cluster.edit(OTHERS, &name, |it: &mut Contract| {
        let established = subscription.spec.contract.created;
        it.status.get_or_insert_default().established = Some(established);
    });
}

/// Makes a Device at the place of the first, with a subscription.
fn apply_behind(process: &InProcess, name: &str) {
    let mut device = example::devices()[0].clone();
    device.metadata.namespace = Some(OTHERS.to_owned());
    device.metadata.name = Some(name.to_owned());
    process.cluster.apply(&device);
    let mut subscription = example::service_subscription();
    subscription.metadata.namespace = Some(OTHERS.to_owned());
    subscription.metadata.name = Some(format!("banco-sul-2027.backup.{name}"));
    name.clone_into(&mut subscription.spec.device_ref.name);
    process.cluster.apply(&subscription);
}

/// Makes two more Devices at the place of the first, one after the other, which wait for it.
async fn line_up(process: &InProcess) {
    admit_others(process);
    for device in [SECOND, THIRD] {
        apply_behind(process, device);
        let waits = |process: &InProcess| waits(process, device);
        process.until("it waits", waits).await;
        process.let_pass(Duration::from_secs(10)).await;
    }
    assert!(!has(process, SECOND) && !has(process, THIRD));
}

/// Asserts that the second Device gets the machine now, and the third one when the second goes.
async fn is_handed_on(process: &InProcess, what: &str) {
    let begun = process.clock.now();
    let next = |process: &InProcess| has(process, SECOND);
    let sentence = format!("the next one has it after: {what}");
    process.until(&sentence, next).await;
    let took = process.clock.now().duration_since(begun);
    assert!(took < SignedDuration::from_secs(10), "{what}: {took:?}");
    process.let_pass(Duration::from_mins(10)).await;
    assert!(has(process, SECOND) && waits(process, THIRD), "{what}");

    process.cluster.delete::<Device>(OTHERS, SECOND);
    let begun = process.clock.now();
    let last = |process: &InProcess| has(process, THIRD);
    let sentence = format!("the last one has it after: {what}");
    process.until(&sentence, last).await;
    let took = process.clock.now().duration_since(begun);
    // The first one may look at the machine at the same time; then it is known in a minute.
    assert!(took < SignedDuration::from_secs(70), "{what}: {took:?}");
}

/// Makes the newest version of the first Device one that cannot be read.
fn spoil(process: &InProcess, field: &str) {
    let cluster = &process.cluster;
    cluster.edit_json::<Device>(NAMESPACE, DEVICE, |device| {
        device["spec"][field] = json!([7]);
    });
}

// shows K4
#[tokio::test(start_paused = true)]
async fn a_device_that_gives_its_machine_up_in_whatever_way_leaves_it_to_the_next_one_at_once() {
    let cases: [(&str, Edit); 8] = [
        ("it moves to another address", |process| {
            edit_device(process, |it| it.spec.address = Some(ELSEWHERE.to_owned()));
        }),
        ("it is another machine by its serial number", |process| {
            edit_device(process, |it| it.spec.serial_number = "NW500-9".to_owned());
        }),
        ("it is reached through another Connection", |process| {
            let mut other = example::hq_ipp();
            other.metadata.name = Some("hq-other".to_owned());
            let endpoint = other.spec.ipp.as_mut().expect("an endpoint");
            endpoint.url = "ipp://{address}:9631/ipp/print".to_owned();
            process.cluster.apply(&other);
            edit_device(process, |it| {
                it.spec.connections[0].name = "hq-other".to_owned();
            });
        }),
        ("it is deleted", |process| {
            process.cluster.delete::<Device>(NAMESPACE, DEVICE);
        }),
        ("it is made again", |process| {
            process.cluster.delete::<Device>(NAMESPACE, DEVICE);
            process.cluster.apply(&example::devices()[0]);
        }),
        ("its Connection does not let it there", |process| {
            process.cluster.edit("", "hq-ipp", |it: &mut Connection| {
                it.spec.allow.remove(0);
            });
        }),
        ("its namespace gets another label", |process| {
            process.cluster.edit("", NAMESPACE, |it: &mut Namespace| {
                let labels = it.metadata.labels.get_or_insert_default();
                labels.insert(NAME_LABEL.to_owned(), "refused".to_owned());
            });
        }),
        ("it is deleted while it cannot be read", |process| {
            spoil(process, "timeZone");
            process.cluster.delete::<Device>(NAMESPACE, DEVICE);
        }),
    ];
    for (what, give_up) in cases {
        let mut process = delivered().await;
        line_up(&process).await;
        give_up(&mut process);
        is_handed_on(&process, what).await;
    }
}

// shows K1 K4
#[tokio::test(start_paused = true)]
async fn the_machine_of_a_device_that_cannot_be_read_goes_to_the_next_one_when_that_device_goes() {
    let cases: [(&str, &str, Edit); 3] = [
        ("timeZone", "it is deleted", |process| {
            process.cluster.delete::<Device>(NAMESPACE, DEVICE);
        }),
        (
            "address",
            "it is deleted, and nobody knows its place",
            |process| {
                process.cluster.delete::<Device>(NAMESPACE, DEVICE);
            },
        ),
        ("timeZone", "it is mended and moves", |process| {
            let cluster = &process.cluster;
            cluster.edit_json::<Device>(NAMESPACE, DEVICE, |device| {
                device["spec"]["timeZone"] = json!("America/Sao_Paulo");
                device["spec"]["address"] = json!(ELSEWHERE);
            });
        }),
    ];
    for (field, what, give_up) in cases {
        let mut process = delivered().await;
        line_up(&process).await;
        process.stop().await;
        spoil(&process, field);
        process.start(delivery).await;
        process.let_pass(Duration::from_mins(10)).await;
        assert!(waits(&process, SECOND) && waits(&process, THIRD), "{what}");
        give_up(&mut process);
        is_handed_on(&process, what).await;
    }
}

fn is_off(process: &InProcess) -> bool {
    ready(process) == "False(Unreachable)"
}

/// True if the first Device says that another machine is at its place.
fn met_another(process: &InProcess) -> bool {
    let device: Option<Device> = process.cluster.get(NAMESPACE, DEVICE);
    let status = device.and_then(|it| it.status).unwrap_or_default();
    let mut faults = status.connections.iter().filter_map(|it| it.fault.as_ref());
    faults.any(|fault| fault.reason == Reason::IdentityMismatch)
}

// shows K4
#[tokio::test(start_paused = true)]
async fn a_device_that_is_first_at_a_place_and_finds_another_machine_leaves_it_to_the_next_one() {
    type Spoil = fn(&mut Device);
    let cases: [(&str, Spoil); 2] = [
        ("another identity", |it| {
            it.spec.identity = Some("urn:uuid:9".to_owned());
        }),
        ("another product", |it| {
            it.spec.model_ref.name = "mfp-600".to_owned();
        }),
    ];
    for (what, spoil) in cases {
        let mut process = prepared();
        let mut model = example::mfp_500();
        model.metadata.name = Some("mfp-600".to_owned());
        model.spec.product_names = vec!["Northwind MFP 600".to_owned()];
        process.cluster.apply(&model);
        let cluster = &process.cluster;
        cluster.edit("", "data-backup", |it: &mut SmartService| {
            let device = it.spec.device.as_mut().expect("a device's side");
            let mut named = device.models[0].clone();
            named.name = "mfp-600".to_owned();
            device.models.push(named);
        });
        edit_device(&process, spoil);
        let machine = process.world.remove_device(DEVICE_URL).expect("a machine");
        process.start(delivery).await;
        begin(&process);
        process.until("it is off", is_off).await;
        line_up(&process).await;
        process.world.put_device(DEVICE_URL, machine);
        process.until("it finds another machine", met_another).await;
        is_handed_on(&process, what).await;
    }
}

// shows K4
#[tokio::test(start_paused = true)]
async fn a_device_that_has_proved_its_machine_keeps_it_while_it_is_suspended_or_another_one_answers()
 {
    let cases: [(&str, Edit); 3] = [
        ("it is suspended", |process| {
            edit_device(process, |it| it.spec.suspend = true);
        }),
        ("its machine is off", |process| {
            process.world.remove_device(DEVICE_URL);
        }),
        ("another machine answers", |process| {
            let other = fake_device("urn:uuid:2");
            process.world.put_device(DEVICE_URL, other);
        }),
    ];
    for (what, edit) in cases {
        let mut process = delivered().await;
        line_up(&process).await;
        edit(&mut process);
        process.let_pass(Duration::from_hours(30)).await;
        assert!(waits(&process, SECOND) && waits(&process, THIRD), "{what}");
    }
}

// shows K4
#[tokio::test(start_paused = true)]
async fn a_device_behind_one_that_never_saw_the_machine_is_asked_when_that_one_goes() {
    let cases: [(&str, Edit); 3] = [
        ("it is deleted", |process| {
            process.cluster.delete::<Device>(NAMESPACE, DEVICE);
        }),
        ("it moves", |process| {
            edit_device(process, |it| it.spec.address = Some(ELSEWHERE.to_owned()));
        }),
        ("its Connection does not let it there", |process| {
            process.cluster.edit("", "hq-ipp", |it: &mut Connection| {
                it.spec.allow.remove(0);
            });
        }),
    ];
    for (what, give_up) in cases {
        let mut process = prepared();
        let machine = process.world.remove_device(DEVICE_URL).expect("a machine");
        process.start(delivery).await;
        begin(&process);
        process.until("it is off", is_off).await;
        line_up(&process).await;
        give_up(&mut process);
        let begun = process.clock.now();
        let is_asked = |process: &InProcess| says_of(process, SECOND) == "False(Unreachable)";
        process.until("the next one is asked", is_asked).await;
        let took = process.clock.now().duration_since(begun);
        assert!(took < SignedDuration::from_secs(10), "{what}: {took:?}");
        process.world.put_device(DEVICE_URL, machine);
        let has_it = |process: &InProcess| has(process, SECOND);
        process.until("the next one has it", has_it).await;
        process.let_pass(Duration::from_mins(10)).await;
        assert!(waits(&process, THIRD), "{what}");
    }
}
