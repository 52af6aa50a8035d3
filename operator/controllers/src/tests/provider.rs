//! A change of provider in an exclusive group: the new instances are made before the old ones are
//! removed, wherever the operator is killed on the way, and while the new broker does not answer.

use entente_crds::v1alpha1::{AmendedDevices, AmendedService, ContractAmendment};

use super::restore::{Backup, Part, all, move_to_another_cluster, restore};
use super::*;

const NEW_BROKER: &str = "southwind-services";
const NEW_URL: &str = "https://broker.southwind.example";
const NEW_SERVICE: &str = "southwind-backup";
const BACKUPS: usize = 4;

/// Applies two providers of one group; the broker of the second one does not answer.
fn providers(process: &InProcess) {
    let mut old = example::data_backup();
    old.spec.exclusive_group = Some("backups".to_owned());
    process.cluster.apply(&old);
    let mut new = SmartService::new(NEW_SERVICE, old.spec);
    let server = new.spec.server.as_mut().expect("it has a server");
    NEW_BROKER.clone_into(&mut server.connection_ref.name);
    let device = new.spec.device.as_mut().expect("it has a device side");
    device.settings[0].value = Some("https://backup.southwind.example/v1".to_owned());
    process.cluster.apply(&new);
    let mut connection = Connection::new(NEW_BROKER, example::northwind_services().spec);
    let osb = connection.spec.osb.as_mut().expect("it is a broker");
    NEW_URL.clone_into(&mut osb.url);
    process.cluster.apply(&connection);
}

/// Starts with a contract that is delivered, and another provider of the same group of which the
/// broker does not answer.
async fn delivered() -> InProcess {
    let mut process = prepared();
    providers(&process);
    start_and_establish(&mut process).await;
    jump_to_start(&process);
    process.until("everything is delivered", is_delivered).await;
    process.let_pass(Duration::from_mins(1)).await;
    process.world.clear_ledger();
    process.cluster.forget_requests();
    process
}

/// Edits the contract: from now on its backups are made by the other provider.
fn change(process: &InProcess) {
    let mut edited = example::banco_sul_2027();
    NEW_SERVICE.clone_into(&mut edited.spec.services[0].service_ref.name);
    process.cluster.apply(&edited);
}

fn enabled(process: &InProcess, url: &str) -> usize {
    let server = process.world.server(url);
    let instances = server.iter().flat_map(|it| it.instances.values());
    let on = instances.filter(|it| it.parameters.get("enabled") == Some(&true.into()));
    on.count()
}

fn backups(process: &InProcess) -> Vec<ServiceSubscriptionStatus> {
    let mut statuses = statuses(process);
    statuses.retain(|name, _| name.contains(".backup.") || name.contains(".vault."));
    statuses.into_values().collect()
}

fn hands_over(process: &InProcess) -> bool {
    let backups = backups(process);
    let said = backups
        .iter()
        .filter(|it| says(&it.conditions, "Ready") == "False(HandingOver)");
    said.count() >= BACKUPS
}

fn holders(process: &InProcess) -> Vec<String> {
    let devices = process.cluster.names::<Device>().into_iter();
    let devices = devices.filter_map(|name| process.cluster.get::<Device>(NAMESPACE, &name));
    let holds = devices.flat_map(|device| device.status.unwrap_or_default().exclusive);
    holds.map(|hold| hold.holder).collect()
}

/// True if the other provider serves, and nothing is left at the one before.
fn is_changed(process: &InProcess) -> bool {
    let old = process.world.server(BROKER_URL).expect("a broker");
    old.instances.is_empty()
        && enabled(process, NEW_URL) == BACKUPS
        && backups(process).iter().all(|it| it.leaving.is_none())
        && is_delivered(process)
}

fn assert_changed_once(process: &InProcess, what: &str) {
    let sent = sent(process);
    let twice: Vec<_> = sent
        .iter()
        .filter(|(what, times)| what.starts_with("Provision") && **times > 1)
        .collect();
    assert!(twice.is_empty(), "{what}: {sent:#?}");
    assert_eq!(holders(process).len(), BACKUPS, "{what}");
    assert_eq!(process.world.count(Operation::Provision), BACKUPS, "{what}");
}

// shows C11
#[tokio::test(start_paused = true)]
async fn while_the_new_broker_does_not_answer_the_old_instances_serve_and_then_the_switch_is_made()
{
    let process = delivered().await;
    let first = holders(&process);
    assert_eq!(first.len(), BACKUPS, "{first:?}");
    change(&process);
    process.until("it is handed over", hands_over).await;
    process.let_pass(Duration::from_hours(3)).await;
    assert!(hands_over(&process));
    assert_eq!(enabled(&process, BROKER_URL), BACKUPS);
    assert_eq!(
        sent(&process),
        BTreeMap::new(),
        "nothing is sent to the old one"
    );
    process.world.put_server(NEW_URL, fake_broker());
    process.until("the provider is changed", is_changed).await;
    assert_changed_once(&process, "changed");
    assert_eq!(
        holders(&process),
        first,
        "the same subscriptions hold the group"
    );
    process.let_pass(Duration::from_mins(1)).await;
    process.cluster.forget_requests();
    process.let_pass(Duration::from_hours(6)).await;
    assert_eq!(process.cluster.writes(), [""; 0], "and then it rests");
}

// shows C11 K5
#[tokio::test(start_paused = true)]
async fn a_change_that_is_under_way_goes_on_after_a_restore_with_the_statuses_of_both_kinds() {
    let mut process = delivered().await;
    change(&process);
    process.until("it is handed over", hands_over).await;
    process.let_pass(Duration::from_mins(10)).await;
    let first = holders(&process);
    let backup = Backup::of(&process, true);
    let devices: Vec<Device> = all(&process);
    move_to_another_cluster(&mut process);
    catalogue(&process);
    providers(&process);
    for device in &devices {
        restore(&process, device, |_| {});
    }
    for part in [Part::Subscriptions, Part::Contracts] {
        backup.restore(&process, part);
    }
    process.start_all();
    process.let_pass(Duration::from_mins(30)).await;
    assert_eq!(enabled(&process, BROKER_URL), BACKUPS, "the old ones serve");
    assert_eq!(holders(&process), first);
    assert_eq!(count_of(&sent(&process)), 0, "{:#?}", sent(&process));
    process.world.put_server(NEW_URL, fake_broker());
    process.until("the provider is changed", is_changed).await;
    assert_changed_once(&process, "changed after a restore");
}

// shows C11 B7 K5
#[tokio::test(start_paused = true)]
async fn a_change_of_provider_killed_after_any_write_leaves_nobody_without_service() {
    let changing = async || {
        let process = delivered().await;
        process.world.put_server(NEW_URL, fake_broker());
        change(&process);
        process
    };
    let serves = |process: &InProcess, what: &str| {
        let on = enabled(process, BROKER_URL) + enabled(process, NEW_URL);
        assert!(on >= BACKUPS, "{what}: {on}");
    };
    let whole = {
        let process = changing().await;
        process.until("the provider is changed", is_changed).await;
        assert_changed_once(&process, "whole");
        process.cluster.writes().len()
    };
    assert!(whole > 3 * BACKUPS, "{whole}");
    for killed in 1..=whole {
        let what = format!("killed after {killed}");
        let mut process = changing().await;
        until_writes(&process, killed, is_changed).await;
        process.kill();
        serves(&process, &what);
        process.start_all();
        process.until("the provider is changed", is_changed).await;
        assert_changed_once(&process, &what);
    }
    println!("a change of provider was killed after each of {whole} writes");
}

// shows C11
#[tokio::test(start_paused = true)]
async fn a_switch_that_cannot_be_written_is_not_made() {
    for after in (0..40).step_by(4) {
        let process = delivered().await;
        process.world.put_server(NEW_URL, fake_broker());
        change(&process);
        process
            .cluster
            .fail_after(after, Some((500, "InternalError")));
        process.let_pass(Duration::from_secs(20)).await;
        let on = enabled(&process, BROKER_URL) + enabled(&process, NEW_URL);
        assert!(on >= BACKUPS, "refused after {after}: {on}");
        process.cluster.recover();
        process.until("the provider is changed", is_changed).await;
        assert_changed_once(&process, &format!("refused after {after}"));
    }
}

// shows C11 B1
#[tokio::test(start_paused = true)]
async fn an_amendment_that_ends_an_entry_and_begins_another_one_changes_the_provider() {
    let process = delivered().await;
    let amended: Timestamp = "2027-04-08T03:00:00Z".parse().expect("an instant");
    let entry = example::banco_sul_2027().spec.services.remove(0);
    let devices = process.cluster.names::<Device>();
    let mut amendment = example::banco_sul_2027_july();
    amendment.metadata.name = Some("another-provider".to_owned());
    amendment.spec.effective_date = None;
    amendment.spec.effective_time = Some(amended.to_string());
    let mut service_ref = entry.service_ref.clone();
    NEW_SERVICE.clone_into(&mut service_ref.name);
    amendment.spec.services = vec![
        AmendedService {
            name: "backup".to_owned(),
            end: true,
            ..AmendedService::default()
        },
        AmendedService {
            name: "vault".to_owned(),
            service_ref: Some(service_ref),
            devices: Some(AmendedDevices {
                names: devices,
                ..AmendedDevices::default()
            }),
            parameters: entry.parameters,
            fee: entry.fee,
            service_level: entry.service_level,
            remedies: entry.remedies,
            ..AmendedService::default()
        },
    ];
    process.cluster.apply::<ContractAmendment>(&amendment);
    process.let_pass(Duration::from_mins(10)).await;
    process
        .clock
        .jump(amended.duration_since(process.clock.now()));
    process.let_pass(Duration::from_hours(3)).await;
    assert_eq!(
        enabled(&process, BROKER_URL),
        BACKUPS,
        "{:#?}",
        statuses(&process)
    );
    process.world.put_server(NEW_URL, fake_broker());
    let is_changed = |process: &InProcess| {
        let old = process.world.server(BROKER_URL).expect("a broker");
        old.instances.is_empty() && enabled(process, NEW_URL) == BACKUPS
    };
    process.until("the provider is changed", is_changed).await;
    process.let_pass(Duration::from_mins(10)).await;
    let holders = holders(&process);
    assert!(
        holders.iter().all(|it| it.contains(".vault.")),
        "{holders:?}"
    );
    assert_changed_once(&process, "amended");
}
