//! The first data of a device, which turn a service on (C12).

use super::*;

/// Has the service `toner` be off for want of data alone.
async fn wait_for_data(stand: &Stand) {
    let mode = ActivationMode::ByFirstData;
    let edit = |service: &mut SmartService| service.spec.activation = mode;
    stand.cluster.edit("", "toner", edit);
    let state = ActivationState::Inactive;
    wait_for(stand, TONER, Reason::WaitingForDevice, state);
    let objects = &stand.gateway.objects;
    let is_off = || {
        let service = objects.services.get(&Key::new("", "toner"));
        let subscription = objects.subscriptions.get(&Key::new(ACME, TONER));
        let status = subscription.and_then(|it| it.status.clone());
        service.is_some_and(|it| it.spec.activation == mode)
            && status.is_some_and(|it| !it.conditions.is_empty())
    };
    stand.until(is_off).await;
}

// shows C12
#[tokio::test]
async fn the_first_data_turn_their_service_on_and_are_forwarded_once_it_is() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    wait_for_data(&stand).await;
    let operator = async {
        stand
            .until(|| !stand.status("lobby-mfp").local.is_empty())
            .await;
        assert_eq!(inbox.received().len(), 0, "it is not on yet");
        activate(&stand, TONER);
    };
    let body = levels(&["1", "2"]);
    let (answer, ()) = tokio::join!(post(&stand, &device, &body), operator);
    assert_eq!(answer.status(), 202);
    let answer = json_of(answer).await;
    assert_eq!(
        (&answer["accepted"], &answer["refused"]),
        (&json!(2), &json!([]))
    );
    let activations = json!([{"applicationId": TONER, "state": "Active"}]);
    assert_eq!(answer["activations"], activations);
    assert_eq!(inbox.kept(), ["1", "2"]);
    let local = stand.status("lobby-mfp").local;
    assert!(local[0].enabled, "{local:?}");
    assert_eq!(taken(&stand, &device, &levels(&["3"])).await.0, 1);
}

/// Has the service `toner` of a device that has just registered wait for its first data, before the
/// operator has looked at either: no status of the subscription, and no kind in the twin.
async fn just_registered(stand: &Stand, inbox: &Inbox) -> Registered {
    let device = stand.register("A1").await;
    add_service(stand, stand.now() - SignedDuration::from_hours(1));
    let northwind = connection("northwind-inbox", inbox.url(), "127.0.0.0/8");
    stand.cluster.apply(&northwind);
    send_to(stand, "toner", "northwind-inbox");
    let edit = |service: &mut SmartService| {
        service.spec.activation = ActivationMode::ByFirstData;
        let side = service.spec.device.get_or_insert_default();
        side.data_types = vec![WantedDataType {
            name: "supplies.level".to_owned(),
            period: None,
        }];
    };
    stand.cluster.edit("", "toner", edit);
    let objects = &stand.gateway.objects;
    let is_known = || {
        let service = objects.services.get(&Key::new("", "toner"));
        let subscription = objects.subscriptions.get(&Key::new(ACME, TONER));
        let connection = objects.connections.get(&Key::new("", "northwind-inbox"));
        let is_edited = service.is_some_and(|it| it.spec.device.is_some());
        is_edited && subscription.is_some() && connection.is_some()
    };
    stand.until(is_known).await;
    device
}

// shows C12
#[tokio::test]
async fn the_first_data_right_after_the_registration_need_no_look_of_the_operator_before_them() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = just_registered(&stand, &inbox).await;
    let mut unwanted = level("1");
    unwanted["type"] = json!("dev.entente.counters.total");
    let answer = taken(&stand, &device, &json!([unwanted])).await;
    let refused = json!([{"id": "1", "reason": "NotRequested"}]);
    assert_eq!(
        answer,
        (0, refused),
        "nobody wants it, which is told at once"
    );
    assert_eq!(stand.status("lobby-mfp").local, []);

    let operator = async {
        stand
            .until(|| !stand.status("lobby-mfp").local.is_empty())
            .await;
        activate(&stand, TONER);
    };
    let body = levels(&["2"]);
    let (answer, ()) = tokio::join!(post(&stand, &device, &body), operator);
    assert_eq!(answer.status(), 202);
    let answer = json_of(answer).await;
    let activations = json!([{"applicationId": TONER, "state": "Active"}]);
    assert_eq!(
        (&answer["accepted"], &answer["activations"]),
        (&json!(1), &activations)
    );
    assert_eq!(inbox.kept(), ["2"]);
    assert_eq!(
        taken(&stand, &device, &levels(&["3"])).await,
        (1, json!([]))
    );
}

// shows C12 C16
#[tokio::test]
async fn the_first_data_right_after_the_registration_are_kept_by_their_device_until_it_is_on() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = just_registered(&stand, &inbox).await;
    let late = async {
        stand
            .until(|| !stand.status("lobby-mfp").local.is_empty())
            .await;
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(21)).await;
        tokio::time::resume();
    };
    let body = levels(&["1"]);
    let (wait, ()) = tokio::join!(deferred(&stand, &device, &body), late);
    assert_eq!((wait, inbox.received().len()), (5, 0));
    let local = stand.status("lobby-mfp").local;
    assert!(local[0].enabled, "its word stays: {local:?}");
}

// shows C12 C5
#[tokio::test]
async fn the_first_data_are_kept_by_their_device_until_the_service_is_on() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let others = Inbox::start().await;
    let device = begin(&stand, &inbox).await;
    add_parts(&stand, &others).await;
    wait_for_data(&stand).await;
    let late = async {
        stand
            .until(|| !stand.status("lobby-mfp").local.is_empty())
            .await;
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(21)).await;
        tokio::time::resume();
    };
    let body = levels(&["1"]);
    let (wait, ()) = tokio::join!(deferred(&stand, &device, &body), late);
    assert_eq!((wait, inbox.received().len()), (5, 0));
    assert_eq!(others.kept(), ["1"], "another service does not wait for it");
    activate(&stand, TONER);
    let key = Key::new(ACME, TONER);
    let objects = &stand.gateway.objects;
    let is_on = || {
        let subscription = objects.subscriptions.get(&key);
        let status = subscription.and_then(|it| it.status.clone());
        let activation = status.and_then(|it| it.activation);
        activation.is_some_and(|it| it.state == ActivationState::Active)
    };
    stand.until(is_on).await;
    assert_eq!(taken(&stand, &device, &body).await, (1, json!([])));
    assert_eq!(inbox.kept(), ["1"]);
    assert_eq!(others.received().len(), 1, "it is not sent again");
}
