//! Events while the provider of an exclusive group changes (C11).

use super::*;

/// Puts both services into one exclusive group of which the second one is the holder for five seconds.
async fn change_provider(stand: &Stand) {
    for name in ["toner", "parts"] {
        stand.cluster.edit("", name, |service: &mut SmartService| {
            service.spec.exclusive_group = Some("consumables".to_owned());
            let wanted = WantedDataType {
                name: "supplies.level".to_owned(),
                ..WantedDataType::default()
            };
            service.spec.device.get_or_insert_default().data_types = vec![wanted];
        });
    }
    let since = stand.now() - SignedDuration::from_secs(5);
    let before = FormerHold {
        holder: TONER.to_owned(),
        service: "toner".to_owned(),
        since: stand.now() - SignedDuration::from_hours(1),
        until: since,
    };
    let hold = ExclusiveHold {
        group: "consumables".to_owned(),
        holder: PARTS.to_owned(),
        service: Some("parts".to_owned()),
        since,
        before: vec![before],
    };
    let edit = |device: &mut Device| device.status.get_or_insert_default().exclusive = vec![hold];
    stand.cluster.edit(ACME, "lobby-mfp", edit);
    let state = ActivationState::Pending;
    wait_for(stand, PARTS, Reason::ProviderPending, state);
    let objects = &stand.gateway.objects;
    let is_known = || {
        let device = objects.devices.get(&Key::new(ACME, "lobby-mfp"))?;
        let service = objects.services.get(&Key::new("", "parts"))?;
        let subscription = objects.subscriptions.get(&Key::new(ACME, PARTS))?;
        let activation = subscription.status.as_ref()?.activation.as_ref()?;
        service.spec.exclusive_group.as_ref()?;
        let is_pending = activation.state == ActivationState::Pending;
        (is_pending && !device.status.as_ref()?.exclusive.is_empty()).then_some(())
    };
    stand.until(|| is_known().is_some()).await;
}

// shows C11 C16
#[tokio::test]
async fn while_the_provider_changes_each_event_reaches_the_one_of_its_time_and_none_is_refused() {
    let stand = Stand::new().await;
    let (before, after) = (Inbox::start().await, Inbox::start().await);
    let device = begin(&stand, &before).await;
    add_parts(&stand, &after).await;
    change_provider(&stand).await;
    let at = |id: &str, seconds: i64| {
        let mut event = level(id);
        event["time"] = json!(stand.now() - SignedDuration::from_secs(seconds));
        // The device has not heard of the change.
        event["applicationid"] = json!(TONER);
        event
    };
    let batch = json!([at("1", 60), at("2", 0), at("3", 30)]);
    assert_eq!(deferred(&stand, &device, &batch).await, 5);
    assert_eq!(before.kept(), ["1", "3"], "they are of its time");
    assert_eq!(after.kept(), [""; 0], "it is not on yet");
    activate(&stand, PARTS);
    let key = Key::new(ACME, PARTS);
    let subscriptions = &stand.gateway.objects.subscriptions;
    let is_on = || {
        let subscription = subscriptions.get(&key);
        let status = subscription.as_ref().and_then(|it| it.status.as_ref());
        let activation = status.and_then(|status| status.activation.as_ref());
        activation.is_some_and(|it| it.state == ActivationState::Active)
    };
    stand.until(is_on).await;
    let answer = taken(&stand, &device, &batch).await;
    assert_eq!(answer, (3, json!([])));
    assert_eq!(before.received().len(), 1, "nothing is forwarded again");
    assert_eq!(after.kept(), ["2"]);
}
