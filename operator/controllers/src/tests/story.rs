//! Tests of contracts from their beginning to their end.

use super::*;

// shows B1 B2 B3 D3
#[tokio::test(start_paused = true)]
async fn a_contract_is_delivered_to_every_device_at_its_start_and_nothing_is_owed() {
    let process = established().await;
    process.let_pass(Duration::from_mins(5)).await;
    assert_eq!(count_of(&sent(&process)), 0, "before the start");
    jump_to_start(&process);
    process.until("everything is delivered", is_delivered).await;
    let took = process.clock.now().duration_since(start());
    assert!(took < SignedDuration::from_mins(1), "{took:?}");
    let sent = sent(&process);
    assert_eq!(count_of(&sent), WRITES, "{sent:#?}");
    assert!(sent.values().all(|times| *times == 1), "{sent:#?}");
    for (name, status) in statuses(&process) {
        let states: Vec<_> = status.promises.iter().map(|it| it.state).collect();
        assert_eq!(states, [PromiseState::Kept], "{name}");
    }
    assert_eq!(contract_says(&process, "Ready"), "True(Delivered)");
    process.let_pass(Duration::from_hours(6)).await;
    assert_eq!(process.cluster.names::<Compensation>(), [""; 0]);
}

// shows B7 C10
#[tokio::test(start_paused = true)]
async fn a_device_with_values_of_its_own_costs_each_service_one_status_more_and_no_other_write() {
    let mut counts = Vec::new();
    for has_values in [false, true] {
        let mut process = prepared();
        for number in 0..4 {
            let mut device = fake_device(&format!("urn:uuid:{number}"));
            if !has_values {
                device.values.values_mut().for_each(Vec::clear);
            }
            process.world.put_device(&url(number), device);
        }
        process.start_all();
        process.let_pass(Duration::from_mins(1)).await;
        process.cluster.forget_requests();
        jump_to_start(&process);
        process.until("everything is delivered", is_delivered).await;
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for write in process.cluster.writes() {
            if !write.contains("/contracts/") {
                *count.entry(write).or_default() += 1;
            }
        }
        counts.push(count);
    }
    let [without, with] = &counts[..] else {
        unreachable!("two runs")
    };
    assert_eq!(without.len(), with.len(), "{without:#?} {with:#?}");
    for (write, times) in with {
        let more = usize::from(write.contains("/servicesubscriptions/"));
        assert_eq!(*times, without[write] + more, "{write}: {without:#?}");
    }
}

// shows B3 K1
#[tokio::test(start_paused = true)]
async fn a_start_at_once_waits_for_the_finalizers_and_asks_nobody_once_more_for_it() {
    let mut process = prepared();
    jump_to_start(&process);
    process.start_all();
    process.until("everything is delivered", is_delivered).await;
    let sent = sent(&process);
    assert_eq!(count_of(&sent), WRITES, "{sent:#?}");
    // Each device before its settings, after those of the first step and after those of the other
    // service; each instance before it is made, after that and after it was turned on.
    let observed = [Operation::DeviceObserve, Operation::InstanceObserve];
    assert_eq!(observed.map(|it| process.world.count(it)), [12, 12]);
    let broker: Connection = process.cluster.get("", BROKER).expect("a broker");
    assert_eq!(broker.finalizers(), [FINALIZER_IN_USE]);
}

// shows C10 K2 K7
#[tokio::test(start_paused = true)]
async fn a_finalizer_of_the_catalogue_that_is_refused_is_said_and_nothing_is_made_without_it() {
    let mut process = prepared();
    let webhook = (403, "Forbidden");
    process.cluster.refuse(
        Method::PATCH,
        "smartservices/data-backup",
        webhook,
        usize::MAX,
    );
    jump_to_start(&process);
    process.start_all();
    let service = |process: &InProcess| {
        let found: SmartService = process.cluster.get("", "data-backup").expect("a service");
        says(&found.status.unwrap_or_default().conditions, "Ready")
    };
    let is_said = |process: &InProcess| service(process) == "False(ProgressingWithRetry)";
    process.until("the refusal is said", is_said).await;
    process.let_pass(Duration::from_mins(10)).await;
    assert_eq!(process.world.count(Operation::Provision), 0);
    let waits = |process: &InProcess| {
        let statuses = statuses(process);
        let backup = &statuses["banco-sul-2027.backup.lobby-mfp"];
        says(&backup.conditions, "Ready") == "False(Waiting)"
    };
    process
        .until("the subscription says that it waits", waits)
        .await;
    process.cluster.recover();
    process.until("everything is delivered", is_delivered).await;
    assert_eq!(service(&process), "True(Succeeded)");
}

// shows B7 K5
#[tokio::test(start_paused = true)]
async fn what_is_delivered_rests_until_the_next_look() {
    let process = established().await;
    jump_to_start(&process);
    process.until("everything is delivered", is_delivered).await;
    process.let_pass(Duration::from_mins(1)).await;
    process.cluster.forget_requests();
    process.world.clear_ledger();
    process.let_pass(Duration::from_hours(12)).await;
    assert_eq!(process.cluster.writes(), [""; 0]);
    let asked = process.world.ledger();
    let devices = asked.iter().filter(|call| call.url != BROKER_URL);
    assert_eq!(devices.count(), 0);
    let probes = process.world.count(Operation::Catalog);
    assert!(
        (70..=74).contains(&probes),
        "{probes} probes in twelve hours"
    );
}

// shows D3 D4 D8 K2
#[tokio::test(start_paused = true)]
async fn a_device_that_is_off_over_the_start_costs_what_its_contract_says() {
    let (process, device) = missed().await;
    let record = "banco-sul-2027.backup.lobby-mfp.20270401t030000z.credit";
    assert_eq!(process.cluster.names::<Compensation>(), [record]);
    let delivered = statuses(&process);
    let delivered = delivered
        .values()
        .filter(|it| says(&it.conditions, "Ready") == "True(Delivered)");
    assert_eq!(delivered.count(), SUBSCRIPTIONS - 1, "all others work");

    process.let_pass(Duration::from_hours(30)).await;
    process.world.put_device(&url(0), device);
    process.until("everything is delivered", is_delivered).await;
    let is_final = |process: &InProcess| is_final(process, record);
    process.until("the amount is final", is_final).await;
    let found: Compensation = process.cluster.get(NAMESPACE, record).expect("a record");
    let status = found.status.expect("a status");
    // Two days were begun, of five percent each.
    assert_eq!(status.summary.as_deref(), Some("BRL 1.25"));
    let total = |process: &InProcess| {
        let status = contract(process).status.unwrap_or_default();
        format!("{:?}", status.owed).contains("1.25")
    };
    process.until("the contract says the total", total).await;
    let sent = sent(&process);
    assert_eq!(count_of(&sent), WRITES, "{sent:#?}");
}

// shows C10 D8
#[tokio::test(start_paused = true)]
async fn a_contract_that_is_deleted_takes_everything_back_and_leaves_its_records() {
    let (process, device) = missed().await;
    process.world.put_device(&url(0), device);
    process.until("everything is delivered", is_delivered).await;
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
    let gone = |process: &InProcess| {
        process.cluster.names::<Contract>().is_empty()
            && process.cluster.names::<ServiceSubscription>().is_empty()
    };
    process.until("nothing is left of it", gone).await;
    let server = process.world.server(BROKER_URL).expect("a broker");
    assert!(server.instances.is_empty(), "{:?}", server.instances);
    assert_eq!(process.world.count(Operation::Deprovision), 4);
    assert_eq!(process.cluster.names::<Compensation>().len(), 1);
    let unused = |process: &InProcess| {
        let broker: Connection = process.cluster.get("", BROKER).expect("a broker");
        let is_held = !broker.finalizers().is_empty();
        broker.status.and_then(|it| it.used_by) == Some(0) && !is_held
    };
    process.until("nobody uses the broker", unused).await;
}

// shows C10
#[tokio::test(start_paused = true)]
async fn a_broker_that_is_dead_for_a_day_keeps_no_contract_and_its_instances_are_listed() {
    let process = established().await;
    jump_to_start(&process);
    process.until("everything is delivered", is_delivered).await;
    process.world.remove_server(BROKER_URL);
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
    process.let_pass(Duration::from_hours(23)).await;
    let held: Contract = contract(&process);
    assert_eq!(held.finalizers(), [FINALIZER_WITHDRAW]);
    process.let_pass(Duration::from_hours(2)).await;
    let gone = |process: &InProcess| process.cluster.names::<Contract>().is_empty();
    process.until("the contract is gone", gone).await;
    assert_eq!(process.cluster.names::<ServiceSubscription>(), [""; 0]);
    let broker: Connection = process.cluster.get("", BROKER).expect("a broker");
    let orphans = broker.status.unwrap_or_default().orphans;
    assert_eq!(orphans.len(), 4, "{orphans:?}");
}

// shows K2 K5
#[tokio::test(start_paused = true)]
async fn a_secret_that_is_corrected_wakes_the_devices_that_wait_for_it() {
    let process = established().await;
    let namespace = "entente-system";
    process
        .cluster
        .delete::<k8s_openapi::api::core::v1::Secret>(namespace, BROKER);
    process.let_pass(Duration::from_mins(15)).await;
    jump_to_start(&process);
    let missing = |process: &InProcess| {
        let statuses = statuses(process);
        let said = statuses
            .values()
            .filter(|it| says(&it.conditions, "Ready") == "False(SecretNotFound)");
        said.count() == 4
    };
    process.until("the Secret is missing", missing).await;
    process.let_pass(Duration::from_mins(30)).await;
    process.cluster.apply(&broker_login());
    process.until("everything is delivered", is_delivered).await;
    let sent = sent(&process);
    assert_eq!(count_of(&sent), WRITES, "{sent:#?}");
}

// shows K2
#[tokio::test(start_paused = true)]
async fn a_catalog_that_gives_other_ids_is_noticed_by_its_probe() {
    let process = established().await;
    jump_to_start(&process);
    process.until("everything is delivered", is_delivered).await;
    process.world.change_server(BROKER_URL, |server| {
        server.catalog.offerings[0].id = "another-id".to_owned();
    });
    let changed = |process: &InProcess| {
        let statuses = statuses(process);
        let said = statuses
            .values()
            .filter(|it| says(&it.conditions, "Ready") == "False(OfferingChanged)");
        said.count() == 4
    };
    let before = process.clock.now();
    process.until("it is said of each instance", changed).await;
    let took = process.clock.now().duration_since(before);
    assert!(took <= SignedDuration::from_mins(11), "{took:?}");
}

// shows B2 B3 B7
#[tokio::test(start_paused = true)]
async fn an_edit_of_a_contract_reaches_devices_and_broker_and_sends_only_what_differs() {
    let process = established().await;
    jump_to_start(&process);
    process.until("everything is delivered", is_delivered).await;
    process.let_pass(Duration::from_mins(1)).await;
    process.world.clear_ledger();
    process
        .cluster
        .edit(NAMESPACE, CONTRACT, |contract: &mut Contract| {
            let parameters = &mut contract.spec.services[0].parameters;
            parameters.insert("weekdays".to_owned(), "mon".to_owned());
        });
    let done =
        |process: &InProcess| process.world.count(Operation::Update) == 4 && is_delivered(process);
    process.until("the edit is delivered", done).await;
    process.let_pass(Duration::from_mins(10)).await;
    assert_eq!(process.world.count(Operation::DeviceApply), 4);
    assert_eq!(count_of(&sent(&process)), 8);
}

// shows B2 C10
#[tokio::test(start_paused = true)]
async fn a_term_that_is_over_takes_everything_back_and_keeps_what_was_said() {
    let process = established().await;
    jump_to_start(&process);
    process.until("everything is delivered", is_delivered).await;
    process.clock.jump(SignedDuration::from_hours(24 * 1100));
    let ended = |process: &InProcess| {
        let statuses = statuses(process);
        let mut all = statuses.values();
        all.all(|it| it.ended.is_some() && it.server.is_none())
            && contract_says(process, "InForce") == "False(Ended)"
    };
    process.until("everything has ended", ended).await;
    let server = process.world.server(BROKER_URL).expect("a broker");
    assert!(server.instances.is_empty());
    assert_eq!(statuses(&process).len(), SUBSCRIPTIONS);
    process.let_pass(Duration::from_hours(48)).await;
    assert_eq!(process.world.count(Operation::Deprovision), 4);
}

// shows K1 K2
#[tokio::test(start_paused = true)]
async fn objects_may_come_in_any_order() {
    let mut process = InProcess::at("2027-03-30T03:00:00Z");
    process.world.put_server(BROKER_URL, fake_broker());
    process.start_all();
    let apart = Duration::from_secs(7);
    process.cluster.apply(&example::banco_sul_2027());
    process.let_pass(apart).await;
    for (number, device) in example::devices().iter().enumerate() {
        process
            .world
            .put_device(&url(number), fake_device(&format!("urn:uuid:{number}")));
        process.cluster.apply::<Device>(device);
        process.let_pass(apart).await;
    }
    process.cluster.apply(&example::parts_life());
    process.cluster.apply(&example::data_backup());
    process.let_pass(apart).await;
    process.cluster.apply(&example::mfp_500());
    process.let_pass(apart).await;
    process.cluster.apply(&example::northwind_services());
    process.cluster.apply(&example::hq_ipp());
    process.let_pass(apart).await;
    process.cluster.apply(&broker_login());
    let scheduled = |process: &InProcess| {
        let statuses = statuses(process);
        let mut all = statuses.values();
        statuses.len() == SUBSCRIPTIONS
            && all.all(|it| says(&it.conditions, "Ready") == "True(Scheduled)")
    };
    process
        .until("everything waits for the start", scheduled)
        .await;
    jump_to_start(&process);
    process.until("everything is delivered", is_delivered).await;
    let sent = sent(&process);
    assert_eq!(count_of(&sent), WRITES, "{sent:#?}");
}
