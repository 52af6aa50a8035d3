//! All controllers at once, as the operator runs them, against an API server, devices and a broker
//! in this process. Here stands only what shows where one controller's writes wake another.

mod clock;
mod crash;
mod full_caches;
mod instants;
mod log;
mod notices;
mod orphans;
mod provider;
mod random_specs;
mod renewal;
mod restore;
mod settle;
mod story;
mod tasks;
mod undecodable;
mod wishes;

use std::{collections::BTreeMap, time::Duration};

use entente_crds::{
    FINALIZER_IN_USE, FINALIZER_WITHDRAW, example,
    v1alpha1::{
        Compensation, Connection, Contract, Device, PromiseState, ServiceSubscription,
        ServiceSubscriptionStatus, SmartService,
    },
};
use entente_drivers::fake::{FakeDevice, Operation};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use crate::{
    clock::Clock as _,
    in_process::{InProcess, broker_login, fake_broker, fake_device, says},
};

const NAMESPACE: &str = example::NAMESPACE;
const CONTRACT: &str = "banco-sul-2027";
const BROKER: &str = "northwind-services";
const BROKER_URL: &str = "https://broker.northwind.example";
/// One of the entry `backup` for each device, and one of `parts` for those that are selected.
const SUBSCRIPTIONS: usize = 7;
/// Three settings of each subscription, and an instance that is made and turned on for each backup.
const WRITES: usize = 3 * SUBSCRIPTIONS + 2 * 4;

fn start() -> Timestamp {
    example::compensation().spec.record.promised
}

fn url(device: usize) -> String {
    format!("ipp://10.20.3.{}:631/ipp/print", device + 1)
}

/// A catalogue, four devices and a broker two days before the start of a contract that was applied
/// in time. Nothing runs yet.
fn prepared() -> InProcess {
    prepared_at("2027-03-30T03:00:00Z")
}

/// Returns the same at another instant.
fn prepared_at(now: &str) -> InProcess {
    let process = InProcess::at(now);
    process.world.put_server(BROKER_URL, fake_broker());
    catalogue(&process);
    let cluster = &process.cluster;
    for (number, device) in example::devices().iter().enumerate() {
        process
            .world
            .put_device(&url(number), fake_device(&format!("urn:uuid:{number}")));
        cluster.apply(device);
    }
    cluster.apply(&example::banco_sul_2027());
    process
}

/// Makes the objects to which contracts and devices refer.
fn catalogue(process: &InProcess) {
    let cluster = &process.cluster;
    cluster.apply(&broker_login());
    cluster.apply(&example::hq_ipp());
    cluster.apply(&example::northwind_services());
    cluster.apply(&example::mfp_500());
    cluster.apply(&example::data_backup());
    cluster.apply(&example::parts_life());
}

/// Starts as [`prepared`] does, with an operator that has made every subscription.
async fn established() -> InProcess {
    let mut process = prepared();
    start_and_establish(&mut process).await;
    process
}

/// Starts as [`established`] does, with the first device off over the start. Returns after its promise
/// was missed, five hours later, with the device.
async fn missed() -> (InProcess, FakeDevice) {
    let process = established().await;
    let device = process.world.remove_device(&url(0)).expect("a device");
    jump_to_start(&process);
    process.let_pass(Duration::from_hours(5)).await;
    let missed = |process: &InProcess| contract_says(process, "PromiseMissed").starts_with("True");
    process.until("a promise is missed", missed).await;
    (process, device)
}

/// Starts the operator, and waits until it has made every subscription.
async fn start_and_establish(process: &mut InProcess) {
    process.start_all();
    let established = |process: &InProcess| {
        let status = contract(process).status.unwrap_or_default();
        status.established.is_some()
    };
    process
        .until("the contract is established", established)
        .await;
}

/// True if the amount of a record is final.
fn is_final(process: &InProcess, record: &str) -> bool {
    let record: Option<Compensation> = process.cluster.get(NAMESPACE, record);
    let status = record.and_then(|it| it.status).unwrap_or_default();
    says(&status.conditions, "Ready") == "True(RecordOnly)"
}

fn jump_to_start(process: &InProcess) {
    process
        .clock
        .jump(start().duration_since(process.clock.now()));
}

fn contract(process: &InProcess) -> Contract {
    process
        .cluster
        .get(NAMESPACE, CONTRACT)
        .expect("a contract")
}

fn contract_says(process: &InProcess, type_: &str) -> String {
    says(
        &contract(process).status.unwrap_or_default().conditions,
        type_,
    )
}

fn statuses(process: &InProcess) -> BTreeMap<String, ServiceSubscriptionStatus> {
    let names = process.cluster.names::<ServiceSubscription>().into_iter();
    names
        .filter_map(|name| {
            let found: Option<ServiceSubscription> = process.cluster.get(NAMESPACE, &name);
            Some((name, found?.status.unwrap_or_default()))
        })
        .collect()
}

/// True if everything is delivered, and the contract says so as well.
fn is_delivered(process: &InProcess) -> bool {
    let statuses = statuses(process);
    let mut all = statuses.values();
    statuses.len() == SUBSCRIPTIONS
        && all.all(|it| says(&it.conditions, "Ready") == "True(Delivered)")
        && contract_says(process, "Delivered").starts_with("True")
}

/// Waits until so many writes were made, or all is done: the last ones come in another order now and
/// then, so that their number differs by a few.
async fn until_writes(process: &InProcess, count: usize, is_done: fn(&InProcess) -> bool) {
    let reached = |process: &InProcess| process.cluster.writes().len() >= count || is_done(process);
    process.until("so many writes were made", reached).await;
}

/// Returns everything that was sent to remote sides, and how often each.
fn sent(process: &InProcess) -> BTreeMap<String, usize> {
    let mut sent = BTreeMap::new();
    for call in process.world.ledger() {
        if call.operation.writes() {
            let what = match call.operation {
                Operation::DeviceApply => {
                    let attributes: Vec<&String> = call.values.keys().collect();
                    format!("{} {attributes:?}", call.url)
                }
                operation => format!("{operation:?} {}", call.key),
            };
            *sent.entry(what).or_default() += 1;
        }
    }
    sent
}

fn count_of(sent: &BTreeMap<String, usize>) -> usize {
    sent.values().sum()
}
