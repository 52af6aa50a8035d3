//! Tests of everything that delivery depends on at the API server: objects that appear, change and
//! are deleted, and the clock.

use entente_crds::{
    ANNOTATION_RECONCILE_AT,
    v1alpha1::{Connection, Device, DeviceModel, SmartService},
};
use entente_drivers::fake::FakeDevice;
use http::Method;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Namespace;

use super::*;

const STATUS: &str = "servicesubscriptions/banco-sul-2027.backup.lobby-mfp/status";

pub(super) fn edit_device(process: &InProcess, change: impl FnOnce(&mut Device)) {
    process.cluster.edit(NAMESPACE, DEVICE, change);
}

pub(super) fn ask_to_reconcile(process: &InProcess, wish: &str) {
    edit_device(process, |device| {
        let wish = (ANNOTATION_RECONCILE_AT.to_owned(), wish.to_owned());
        device.metadata.annotations = Some([wish].into());
    });
}

// shows K1 K2
#[tokio::test(start_paused = true)]
async fn what_is_missing_is_named_and_delivery_goes_on_when_it_comes() {
    type Remove = fn(&InProcess);
    type Restore = fn(&InProcess);
    let cases: [(&str, Remove, Restore); 4] = [
        (
            "False(DeviceNotFound)",
            |process| process.cluster.delete::<Device>(NAMESPACE, DEVICE),
            |process| process.cluster.apply(&example::devices()[0]),
        ),
        (
            "False(ModelNotFound)",
            |process| process.cluster.delete::<DeviceModel>("", "mfp-500"),
            |process| process.cluster.apply(&example::mfp_500()),
        ),
        (
            "False(ServiceNotFound)",
            |process| {
                let free = |it: &mut SmartService| it.metadata.finalizers = None;
                process.cluster.edit("", "data-backup", free);
                process.cluster.delete::<SmartService>("", "data-backup");
            },
            |process| {
                process
                    .cluster
                    .apply(&example::in_use(example::data_backup()));
            },
        ),
        (
            "False(ConnectionNotFound)",
            |process| process.cluster.delete::<Connection>("", "hq-ipp"),
            |process| process.cluster.apply(&example::hq_ipp()),
        ),
    ];
    for (reason, remove, restore) in cases {
        let mut process = prepared();
        remove(&process);
        process.start(delivery).await;
        begin(&process);
        let missing = |process: &InProcess| ready(process) == reason;
        process.until(reason, missing).await;
        process.let_pass(Duration::from_mins(10)).await;
        assert_eq!(sent(&process), [], "{reason}");
        restore(&process);
        let before = process.clock.now();
        process.until("it is delivered", is_delivered).await;
        let took = process.clock.now().duration_since(before);
        assert!(took < SignedDuration::from_secs(10), "{reason}: {took:?}");
        assert_eq!(sent(&process), ALL_WRITES, "{reason}");
    }
}

// shows K4
#[tokio::test(start_paused = true)]
async fn a_namespace_that_may_not_use_a_connection_any_more_reaches_nothing_through_it() {
    let process = waiting().await;
    process
        .cluster
        .edit("", "hq-ipp", |connection: &mut Connection| {
            let labels = &mut connection.spec.allow[0].namespaces.match_labels;
            labels.insert("tier".to_owned(), "gold".to_owned());
        });
    process.let_pass(Duration::from_mins(1)).await;
    process.world.clear_ledger();
    begin(&process);
    let refused = |process: &InProcess| ready(process) == "False(NotAllowed)";
    process.until("it is not allowed", refused).await;
    process.let_pass(Duration::from_hours(2)).await;
    let calls = process.world.ledger();
    assert!(calls.iter().all(|call| call.url != DEVICE_URL), "{calls:?}");
    process
        .cluster
        .edit("", NAMESPACE, |namespace: &mut Namespace| {
            let labels = namespace.metadata.labels.get_or_insert_default();
            labels.insert("tier".to_owned(), "gold".to_owned());
        });
    process.until("it is delivered", is_delivered).await;
}

// shows K1
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_edited_while_it_is_in_use_is_used_as_it_is_now() {
    let process = delivered().await;
    process.world.clear_ledger();
    let device = process.world.remove_device(DEVICE_URL).expect("a device");
    let moved = "ipp://10.20.3.1:8631/ipp/print";
    process.world.put_device(moved, device);
    process
        .cluster
        .edit("", "hq-ipp", |connection: &mut Connection| {
            let ipp = connection.spec.ipp.as_mut().expect("an endpoint");
            ipp.url = "ipp://{address}:8631/ipp/print".to_owned();
        });
    let read = |process: &InProcess| {
        let calls = process.world.ledger();
        is_delivered(process) && calls.iter().any(|call| call.url == moved)
    };
    process.until("it is read at the new place", read).await;
    process.let_pass(Duration::from_mins(10)).await;
    assert_eq!(sent(&process), [], "everything is set there");
    let calls = process.world.ledger();
    assert!(calls.iter().all(|call| call.url != DEVICE_URL), "{calls:?}");
}

// shows K1
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_edited_during_a_pass_delivers_to_the_new_place_at_once() {
    let process = waiting().await;
    process
        .world
        .set_latency(Some(DEVICE_URL), Duration::from_secs(5));
    begin(&process);
    let first = |process: &InProcess| !sent(process).is_empty();
    process.until("the first setting is under way", first).await;
    let moved = "ipp://10.20.3.1:8631/ipp/print";
    process.world.put_device(moved, fake_device("urn:uuid:1"));
    process
        .cluster
        .edit("", "hq-ipp", |connection: &mut Connection| {
            let ipp = connection.spec.ipp.as_mut().expect("an endpoint");
            ipp.url = "ipp://{address}:8631/ipp/print".to_owned();
        });
    process.until("it is delivered", is_delivered).await;
    let set = |device: FakeDevice| {
        let mut values = device.values.into_values();
        values.any(|value| value == [Scalar::Text("differential".to_owned())])
    };
    assert!(set(process.world.device(moved).expect("a device")));
}

// shows K4
#[tokio::test(start_paused = true)]
async fn of_two_devices_at_one_address_the_second_waits_until_the_first_is_gone() {
    let process = delivered().await;
    let mut twin = example::devices()[1].clone();
    twin.spec.address = Some("10.20.3.1".to_owned());
    process.cluster.apply(&twin);
    let twin_says = |process: &InProcess| {
        let device: Option<Device> = process.cluster.get(NAMESPACE, example::DEVICES[1]);
        let status = device.and_then(|device| device.status).unwrap_or_default();
        says(&status.conditions, "Ready")
    };
    let waits = |process: &InProcess| twin_says(process) == "False(AlreadyClaimed)";
    process.until("the second waits", waits).await;
    assert_eq!(device_says(&process, "Ready"), "True(Succeeded)");
    let second: Device = process
        .cluster
        .get(NAMESPACE, example::DEVICES[1])
        .expect("it is there");
    let said = second.status.expect("a status").conditions;
    let ready = said.iter().find(|it| it.type_ == "Ready").expect("Ready");
    let expected = "The Device lobby-mfp has this address or this identity; correct spec.address.";
    assert_eq!(ready.message, expected, "of the same namespace");
    assert_eq!(says(&said, "Online"), "Unknown(AlreadyClaimed)");
    process.world.clear_ledger();
    process
        .cluster
        .edit(NAMESPACE, example::DEVICES[1], |device: &mut Device| {
            let wish = (ANNOTATION_RECONCILE_AT.to_owned(), "now".to_owned());
            device.metadata.annotations = Some([wish].into());
        });
    let answered = |process: &InProcess| {
        let device: Option<Device> = process.cluster.get(NAMESPACE, example::DEVICES[1]);
        let status = device.and_then(|device| device.status).unwrap_or_default();
        status.last_handled_reconcile_at.as_deref() == Some("now")
    };
    process.until("its wish is answered", answered).await;
    assert_eq!(process.world.ledger(), [], "the machine is not asked");
    process.cluster.delete::<Device>(NAMESPACE, DEVICE);
    let has_it = |process: &InProcess| twin_says(process) == "True(NothingWanted)";
    let before = process.clock.now();
    process.until("the second has the machine", has_it).await;
    let took = process.clock.now().duration_since(before);
    assert!(took < SignedDuration::from_secs(10), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_suspended_gets_nothing_until_it_goes_on() {
    let process = waiting().await;
    edit_device(&process, |device| device.spec.suspend = true);
    process.let_pass(Duration::from_secs(10)).await;
    process.world.clear_ledger();
    begin(&process);
    process.let_pass(Duration::from_hours(1)).await;
    assert_eq!(process.world.ledger(), []);
    assert_ne!(ready(&process), "True(Delivered)");
    edit_device(&process, |device| device.spec.suspend = false);
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), ALL_WRITES);
}

// shows D1
#[tokio::test(start_paused = true)]
async fn who_asks_for_it_gets_a_full_look_once_for_each_wish() {
    let process = delivered().await;
    for wish in ["first", "second"] {
        process.world.clear_ledger();
        ask_to_reconcile(&process, wish);
        let handled = |process: &InProcess| {
            let device: Device = process.cluster.get(NAMESPACE, DEVICE).expect("a device");
            let status = device.status.expect("a status");
            status.last_handled_reconcile_at.as_deref() == Some(wish)
        };
        process.until("the wish is acted on", handled).await;
        process.let_pass(Duration::from_mins(10)).await;
        assert_eq!(process.world.count(Operation::DeviceObserve), 1, "{wish}");
        assert_eq!(process.world.count(Operation::InstanceObserve), 1, "{wish}");
        assert_eq!(sent(&process), []);
    }
}

// shows B2 K5
#[tokio::test(start_paused = true)]
async fn nothing_is_begun_while_the_clock_cannot_be_trusted() {
    let mut process = prepared();
    let sent_at = process.clock.now();
    let mut skew = None;
    process
        .start(|parts| {
            let now = sent_at + SignedDuration::from_mins(10);
            parts.context.skew.observe(sent_at, now, now);
            skew = Some(Arc::clone(&parts.context.skew));
            delivery(parts)
        })
        .await;
    begin(&process);
    let skewed = |process: &InProcess| ready(process) == "False(ClockSkew)";
    process.until("the clock is off", skewed).await;
    process.let_pass(Duration::from_mins(10)).await;
    assert_eq!(sent(&process), []);
    let skew = skew.expect("it was started");
    let now = process.clock.now();
    skew.observe(now, now, now);
    process.until("it is delivered", is_delivered).await;
}

// shows B2 K2 K5
#[tokio::test(start_paused = true)]
async fn a_start_that_has_come_by_the_other_clock_is_told_as_soon_as_the_clocks_differ() {
    let mut process = prepared();
    let mut skew = None;
    process
        .start(|parts| {
            skew = Some(Arc::clone(&parts.context.skew));
            delivery(parts)
        })
        .await;
    let skew = skew.expect("it was started");
    let scheduled = |process: &InProcess| ready(process) == "True(Scheduled)";
    process.until("it waits for the start", scheduled).await;
    let now = process.clock.now();
    skew.observe(promised() + SignedDuration::from_mins(1), now, now);
    let skewed = |process: &InProcess| ready(process) == "False(ClockSkew)";
    process.until("the clock is behind", skewed).await;
    assert_eq!(sent(&process), []);
    begin(&process);
    let now = process.clock.now();
    skew.observe(now, now, now);
    process.until("it is delivered", is_delivered).await;
}

// shows B2 B7
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_over_the_start_takes_nothing_back() {
    let process = delivered().await;
    process.world.clear_ledger();
    let promises = status(&process).promises;
    process.clock.jump(SignedDuration::from_hours(-30));
    ask_to_reconcile(&process, "now");
    process.let_pass(Duration::from_hours(1)).await;
    assert_eq!(sent(&process), []);
    process.let_pass(Duration::from_hours(30)).await;
    assert_eq!(status(&process).promises, promises);
    assert_eq!(ready(&process), "True(Delivered)");
    assert_eq!(sent(&process), []);
}

// shows B2
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_over_the_start_is_noticed_within_seconds() {
    let process = waiting().await;
    process.let_pass(Duration::from_secs(5)).await;
    process.clock.jump(SignedDuration::from_hours(24));
    let set = process.clock.now();
    process.until("it is delivered", is_delivered).await;
    let took = process.clock.now().duration_since(set);
    assert!(took < SignedDuration::from_secs(15), "{took:?}");
}

// shows K2 K7
#[tokio::test(start_paused = true)]
async fn a_status_that_is_refused_is_said_and_no_instant_is_lost_with_it() {
    let process = waiting().await;
    let invalid = (422, "Invalid");
    process.cluster.refuse(Method::PUT, STATUS, invalid, 1);
    process
        .cluster
        .edit(NAMESPACE, DEVICE, |device: &mut Device| {
            device.spec.model_ref.name = "mfp-501".to_owned();
        });
    let said = |process: &InProcess| ready(process) == "False(InternalError)";
    process.until("the defect is said", said).await;
    process
        .cluster
        .edit(NAMESPACE, DEVICE, |device: &mut Device| {
            device.spec.model_ref.name = "mfp-500".to_owned();
        });
    begin(&process);
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), ALL_WRITES);
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_history_that_is_lost_and_watches_that_end_hide_no_change() {
    for lost in [false, true] {
        let process = waiting().await;
        if lost {
            process.cluster.forget_history();
        } else {
            process.cluster.disconnect();
        }
        let effective = process.clock.now();
        process
            .cluster
            .edit(NAMESPACE, SUBSCRIPTION, |it: &mut ServiceSubscription| {
                let revision = Arc::make_mut(&mut it.spec.revisions[0]);
                revision.effective = effective;
                revision.promised = false;
            });
        process.until("it is delivered", is_delivered).await;
        let took = process.clock.now().duration_since(effective);
        assert!(took < SignedDuration::from_mins(1), "{lost}: {took:?}");
    }
}
