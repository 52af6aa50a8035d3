//! Everything comes back from a backup on another cluster, in any order: the instances of the customer
//! go on, nothing is sent, and nothing is owed for the time before.

use std::collections::BTreeSet;

use entente_crds::v1alpha1::{
    AmendedDevices, AmendedService, ContractAmendment, Devices, ServiceSubscriptionSpec,
};
use serde::{Serialize, de::DeserializeOwned};

use super::*;

/// A record of what was owed before.
const RECORD: &str = "banco-sul-2027.backup.lobby-mfp.20270401t030000z.credit";

/// Kinds of a backup, each of which comes back at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Catalogue,
    Devices,
    Contracts,
    Subscriptions,
    Records,
}

const PARTS: [Part; 5] = [
    Part::Catalogue,
    Part::Devices,
    Part::Contracts,
    Part::Subscriptions,
    Part::Records,
];

/// Objects as a tool for backups has them.
pub(super) struct Backup {
    contract: Contract,
    subscriptions: Vec<ServiceSubscription>,
    records: Vec<Compensation>,
    with_statuses: bool,
}

impl Backup {
    pub(super) fn of(process: &InProcess, with_statuses: bool) -> Self {
        Self {
            contract: contract(process),
            subscriptions: all(process),
            records: all(process),
            with_statuses,
        }
    }

    /// Brings a part back. What exists already is left as it is.
    pub(super) fn restore(&self, process: &InProcess, part: Part) {
        let cluster = &process.cluster;
        match part {
            Part::Catalogue => catalogue(process),
            Part::Devices => {
                for device in &example::devices() {
                    cluster.apply(device);
                }
            }
            Part::Contracts => restore(process, &self.contract, |it| it.status = None),
            Part::Subscriptions => {
                for found in &self.subscriptions {
                    restore(process, found, |it| {
                        it.status = it.status.take().filter(|_| self.with_statuses);
                    });
                }
            }
            Part::Records => {
                for found in &self.records {
                    restore(process, found, |_| {});
                }
            }
        }
    }
}

pub(super) fn all<K>(process: &InProcess) -> Vec<K>
where
    K: kube::Resource<DynamicType = ()> + DeserializeOwned,
{
    let names = process.cluster.names::<K>();
    let found = names
        .iter()
        .map(|name| process.cluster.get(NAMESPACE, name));
    found.map(|found| found.expect("an object")).collect()
}

/// Makes an object anew, without owners and finalizers, unless there is one of its name.
pub(super) fn restore<K>(process: &InProcess, object: &K, change: impl FnOnce(&mut K))
where
    K: kube::Resource<DynamicType = ()> + Clone + Serialize + DeserializeOwned,
{
    let name = object.meta().name.clone().expect("a name");
    if process.cluster.get::<K>(NAMESPACE, &name).is_some() {
        return;
    }
    let mut object = object.clone();
    let metadata = object.meta_mut();
    metadata.uid = Some(format!("uid of {name} that came back"));
    metadata.owner_references = None;
    metadata.finalizers = None;
    metadata.resource_version = None;
    change(&mut object);
    process.cluster.apply(&object);
}

/// A contract that is delivered but for what the first device got too late, for which a record is
/// final.
async fn with_a_record() -> InProcess {
    let (process, device) = missed().await;
    process.world.put_device(&url(0), device);
    process.until("everything is delivered", is_delivered).await;
    let is_final = |process: &InProcess| is_final(process, RECORD);
    process.until("the amount is final", is_final).await;
    process.let_pass(Duration::from_hours(1)).await;
    process
}

/// Goes to a cluster that is empty but for the namespace, two days later.
pub(super) fn move_to_another_cluster(process: &mut InProcess) {
    process.kill();
    process.clock.jump(SignedDuration::from_hours(48));
    process.world.clear_ledger();
    process.move_to_another_cluster();
}

fn instances(process: &InProcess) -> BTreeSet<String> {
    let server = process.world.server(BROKER_URL).expect("a broker");
    server.instances.keys().cloned().collect()
}

/// Checks that nothing was sent, that the instances are those from before, and that nothing more is
/// owed.
fn assert_unharmed(process: &InProcess, backup: &Backup, before: &BTreeSet<String>, what: &str) {
    assert_eq!(instances(process), *before, "{what}");
    let sent = sent(process);
    assert_eq!(count_of(&sent), 0, "{what}: {sent:#?}");
    let handles = statuses(process).into_values().filter_map(|it| it.server);
    let handles: BTreeSet<String> = handles.map(|it| it.instance_id).collect();
    assert_eq!(handles, *before, "{what}");
    let records: Vec<Compensation> = all(process);
    let owed = |of: &[Compensation]| -> Vec<(String, Option<String>)> {
        let told = of
            .iter()
            .map(|it| (it.name_any(), it.status.clone().and_then(|it| it.summary)));
        told.collect()
    };
    assert_eq!(owed(&records), owed(&backup.records), "{what}");
}

// shows K5 C10
#[tokio::test(start_paused = true)]
async fn whatever_comes_back_first_every_instance_goes_on_and_nothing_is_sent_or_owed() {
    let mut orders = 0;
    // Each seventh of all orders: each takes seconds.
    for order in permutations(&PARTS).into_iter().step_by(7) {
        // The operator may run before anything came back, after it, or from some time between.
        let starts_after = orders % (PARTS.len() + 1);
        let with_statuses = orders % 2 == 0;
        orders += 1;
        let mut process = with_a_record().await;
        let before = instances(&process);
        let backup = Backup::of(&process, with_statuses);
        move_to_another_cluster(&mut process);
        for (number, part) in order.iter().enumerate() {
            if number == starts_after {
                process.start_all();
            }
            backup.restore(&process, *part);
            process.let_pass(Duration::from_secs(7)).await;
        }
        if starts_after == PARTS.len() {
            process.start_all();
        }
        let what = format!("{order:?}, started after {starts_after}, {with_statuses}");
        process
            .until(&format!("all is delivered: {what}"), is_delivered)
            .await;
        process.let_pass(Duration::from_mins(10)).await;
        assert_unharmed(&process, &backup, &before, &what);
    }
    println!("a backup came back in {orders} orders");
}

// shows K5 C10
#[tokio::test(start_paused = true)]
async fn a_pipeline_that_applies_only_what_people_write_finds_every_instance() {
    let mut process = with_a_record().await;
    let before = instances(&process);
    let backup = Backup {
        subscriptions: Vec::new(),
        ..Backup::of(&process, false)
    };
    move_to_another_cluster(&mut process);
    process.start_all();
    for part in PARTS {
        backup.restore(&process, part);
    }
    process.until("everything is delivered", is_delivered).await;
    process.let_pass(Duration::from_hours(30)).await;
    assert_unharmed(&process, &backup, &before, "without subscriptions");
}

// shows K5 C10
#[tokio::test(start_paused = true)]
async fn killed_after_any_write_of_a_restore_it_comes_to_the_same_end() {
    let whole = {
        let (process, ..) = restored().await;
        process.until("everything is delivered", is_delivered).await;
        process.cluster.writes().len()
    };
    assert!(whole > 2 * SUBSCRIPTIONS, "{whole}");
    for killed in 1..=whole {
        let (mut process, backup, before) = restored().await;
        until_writes(&process, killed, is_delivered).await;
        process.kill();
        process.start_all();
        process.until("everything is delivered", is_delivered).await;
        assert_unharmed(
            &process,
            &backup,
            &before,
            &format!("killed after {killed}"),
        );
    }
    println!("a restore was killed after each of {whole} writes");
}

/// Everything is back, and the operator starts.
async fn restored() -> (InProcess, Backup, BTreeSet<String>) {
    let mut process = established().await;
    jump_to_start(&process);
    process.until("everything is delivered", is_delivered).await;
    let before = instances(&process);
    let backup = Backup::of(&process, false);
    move_to_another_cluster(&mut process);
    for part in PARTS {
        backup.restore(&process, part);
    }
    process.start_all();
    (process, backup, before)
}

// shows K5
#[tokio::test(start_paused = true)]
async fn what_the_garbage_collector_takes_with_old_owners_keeps_its_instance() {
    let mut process = with_a_record().await;
    let before = instances(&process);
    let backup = Backup::of(&process, true);
    move_to_another_cluster(&mut process);
    for part in PARTS {
        backup.restore(&process, part);
    }
    for found in &backup.subscriptions {
        let name = found.name_any();
        process
            .cluster
            .edit(NAMESPACE, &name, |it: &mut ServiceSubscription| {
                it.metadata
                    .owner_references
                    .clone_from(&found.metadata.owner_references);
                it.metadata.finalizers = Some(vec![FINALIZER_WITHDRAW.to_owned()]);
            });
        process
            .cluster
            .delete::<ServiceSubscription>(NAMESPACE, &name);
    }
    process.start_all();
    process.until("everything is delivered", is_delivered).await;
    process.let_pass(Duration::from_hours(1)).await;
    assert_unharmed(&process, &backup, &before, "collected");
    let uid = contract(&process).metadata.uid;
    let mut specs = all::<ServiceSubscription>(&process)
        .into_iter()
        .map(|it| it.spec);
    let is_new = |it: ServiceSubscriptionSpec| Some(it.contract.uid) == uid;
    assert!(specs.all(is_new));
}

/// Returns every order of some parts.
fn permutations(parts: &[Part]) -> Vec<Vec<Part>> {
    if parts.is_empty() {
        return vec![Vec::new()];
    }
    let first = parts.iter().flat_map(|first| {
        let others: Vec<Part> = parts.iter().copied().filter(|it| it != first).collect();
        let rest = permutations(&others).into_iter();
        rest.map(move |rest| [vec![*first], rest].concat())
    });
    first.collect()
}

// shows B1 K5 C10
#[tokio::test(start_paused = true)]
async fn a_renewed_contract_whose_subscriptions_are_lost_finds_the_instances_of_the_one_before() {
    for (end, renewal_first) in [
        (None, false),
        (None, true),
        (Some("2027-05-31"), false),
        (Some("2027-05-31"), true),
    ] {
        let mut process = renewal::ahead().await;
        renewal::jump_to_renewal(&process);
        process.until("it is renewed", renewal::is_renewed).await;
        let before = instances(&process);
        move_to_another_cluster(&mut process);
        process.start_all();
        catalogue(&process);
        for device in &example::devices() {
            process.cluster.apply(device);
        }
        let mut old = example::banco_sul_2027();
        old.spec.promises_from = None;
        old.spec.term.end_date = end.map(str::to_owned).or(old.spec.term.end_date);
        let mut contracts = vec![old, renewal::renewal()];
        if renewal_first {
            contracts.reverse();
        }
        for contract in &contracts {
            process.cluster.apply(contract);
            process.let_pass(Duration::from_secs(5)).await;
        }
        let is_back = |process: &InProcess| {
            let statuses = renewal::of(process, renewal::RENEWAL);
            let mut all = statuses.values();
            statuses.len() == SUBSCRIPTIONS
                && all.all(|it| says(&it.conditions, "Ready") == "True(Delivered)")
        };
        process.until("the renewal is delivered", is_back).await;
        process.let_pass(Duration::from_hours(2)).await;
        let what = format!("{end:?} {renewal_first}");
        assert_eq!(instances(&process), before, "{what}");
        let handles = renewal::of(&process, renewal::RENEWAL).into_values();
        let handles = handles.filter_map(|it| it.server).map(|it| it.instance_id);
        assert_eq!(handles.collect::<BTreeSet<_>>(), before, "{what}");
        let sent = sent(&process);
        let is_lost = |it: &&String| it.contains("Provision") || it.contains("Deprovision");
        assert_eq!(sent.keys().find(is_lost), None, "{what}: {sent:#?}");
        assert_eq!(process.cluster.names::<Compensation>(), [""; 0], "{what}");
    }
}

/// Returns an amendment of the backup entry of a contract, which moves the device of the lobby.
fn moving(contract: &str, devices: AmendedDevices) -> ContractAmendment {
    let mut amendment = example::banco_sul_2027_july();
    amendment.metadata.name = Some(format!("{contract}-lobby"));
    let spec = &mut amendment.spec;
    contract.clone_into(&mut spec.contract_ref.name);
    spec.effective_date = Some("2027-05-01".to_owned());
    spec.services = vec![AmendedService {
        name: "backup".to_owned(),
        devices: Some(devices),
        ..AmendedService::default()
    }];
    amendment
}

const ANNEX: &str = "banco-sul-annex";
const MOVED: &str = "banco-sul-annex.backup.lobby-mfp";

/// Returns another contract of the same term, which is younger.
fn annex() -> Contract {
    let mut annex = example::banco_sul_2027();
    annex.metadata.name = Some(ANNEX.to_owned());
    annex.spec.services.truncate(1);
    annex.spec.services[0].devices = Devices {
        names: vec!["annex-mfp".to_owned()],
        ..Devices::default()
    };
    annex
}

/// Returns the amendments that move a device from the older contract to the younger one.
fn moves() -> [ContractAmendment; 2] {
    let lobby = || vec!["lobby-mfp".to_owned()];
    let from = AmendedDevices {
        remove: lobby(),
        ..AmendedDevices::default()
    };
    let to = AmendedDevices {
        add: lobby(),
        ..AmendedDevices::default()
    };
    [moving(CONTRACT, from), moving(ANNEX, to)]
}

fn ready_of(process: &InProcess, name: &str) -> String {
    let status = statuses(process).remove(name).unwrap_or_default();
    says(&status.conditions, "Ready")
}

fn is_moved(process: &InProcess) -> bool {
    ready_of(process, MOVED) == "True(Delivered)"
        && !statuses(process).contains_key("banco-sul-2027.backup.lobby-mfp")
}

// shows K5 C10
#[tokio::test(start_paused = true)]
async fn a_device_that_amendments_have_moved_stays_where_it_is_until_they_come_back() {
    let mut process = established().await;
    process.cluster.apply(&annex());
    for amendment in moves() {
        process.cluster.apply(&amendment);
    }
    process.let_pass(Duration::from_mins(1)).await;
    jump_to_start(&process);
    process.clock.jump(SignedDuration::from_hours(31 * 24));
    process.until("the device is moved", is_moved).await;
    process.let_pass(Duration::from_hours(1)).await;
    let before = instances(&process);
    let mut backup = Backup::of(&process, false);
    move_to_another_cluster(&mut process);
    process.start_all();
    for part in [
        Part::Catalogue,
        Part::Devices,
        Part::Subscriptions,
        Part::Records,
    ] {
        backup.restore(&process, part);
    }
    for contract in [example::banco_sul_2027(), annex()] {
        process.cluster.apply(&contract);
        process.let_pass(Duration::from_mins(10)).await;
    }
    let refused = ready_of(&process, "banco-sul-2027.backup.lobby-mfp");
    assert_eq!(refused, "False(ConflictingContract)");
    assert_eq!(ready_of(&process, MOVED), "True(Delivered)");
    for amendment in moves() {
        process.cluster.apply(&amendment);
    }
    process.until("the device is moved again", is_moved).await;
    process.let_pass(Duration::from_hours(30)).await;
    backup.contract = contract(&process);
    assert_unharmed(&process, &backup, &before, "moved");
}
