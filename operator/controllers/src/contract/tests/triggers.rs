//! Tests of triggers: the contract that a change wakes, its delay, and changes that wake none.

use entente_crds::v1alpha1::{
    Compensation, Device, ExcludedDevices, Exclusion, Selector, SmartService,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{super::triggers, *};
use crate::{
    cache::{Key, Unreadable, UnreadableChange},
    in_process::{comes_and_goes, edited, woken},
    queue::Queue,
    shutdown::ShutdownTrigger,
};

const KEY: &str = "banco-sul/banco-sul-2027";
const GATHERED: Duration = Duration::from_millis(50);
const AT_ONCE: Duration = Duration::ZERO;

struct Idle {
    contracts: Contracts,
    process: InProcess,
    _trigger: ShutdownTrigger,
}

impl Idle {
    async fn new() -> Self {
        let process = established().await;
        let (parts, trigger) = process.parts().await;
        Self {
            contracts: contracts(parts),
            process,
            _trigger: trigger,
        }
    }

    async fn wakes<C>(
        &self,
        wake: fn(&Contracts, &Queue<Key>, &C),
        change: &C,
    ) -> Option<Duration> {
        let woken = woken(&self.contracts, wake, change).await;
        assert!(woken.iter().all(|(key, _)| key == KEY), "{woken:?}");
        assert!(woken.len() < 2, "{woken:?}");
        woken.first().map(|(_, after)| *after)
    }

    fn subscription(&self) -> ServiceSubscription {
        subscription(&self.process, SUBSCRIPTIONS[0]).expect("a subscription")
    }
}

// shows K1
#[tokio::test(start_paused = true)]
async fn a_contract_wakes_itself_by_its_spec_and_not_by_its_status() {
    let idle = Idle::new().await;
    let contract = contract(&idle.process);
    for change in comes_and_goes(&contract) {
        assert_eq!(idle.wakes(triggers::contract, &change).await, Some(AT_ONCE));
    }
    let edit = edited(&contract, |it| it.metadata.generation = Some(9));
    assert_eq!(idle.wakes(triggers::contract, &edit).await, Some(AT_ONCE));
    let goes = edited(&contract, |it| {
        it.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    });
    assert_eq!(idle.wakes(triggers::contract, &goes).await, Some(AT_ONCE));
    let reported = edited(&contract, |it| it.status = None);
    assert_eq!(idle.wakes(triggers::contract, &reported).await, None);
}

// shows K3 K5
#[tokio::test(start_paused = true)]
async fn reports_of_a_fleet_are_gathered_and_one_that_is_gone_is_noticed_at_once() {
    let idle = Idle::new().await;
    let found = idle.subscription();
    let [comes, goes] = comes_and_goes(&found);
    assert_eq!(
        idle.wakes(triggers::subscription, &comes).await,
        Some(GATHERED)
    );
    assert_eq!(
        idle.wakes(triggers::subscription, &goes).await,
        Some(AT_ONCE)
    );
    let step = edited(&found, |found| {
        found.status.get_or_insert_default().step_timed_out = true;
    });
    // A field that the report of a contract does not read wakes none.
    let of_nobody = edited(&found, |found| {
        found.status.get_or_insert_default().step_since = Some(jiff::Timestamp::UNIX_EPOCH);
    });
    assert_eq!(idle.wakes(triggers::subscription, &of_nobody).await, None);
    drop(step);
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_subscription_that_somebody_deletes_is_remembered_and_one_that_goes_as_asked_is_not() {
    let idle = Idle::new().await;
    let found = idle.subscription();
    let key = Key::of(&found);
    let recreated = || idle.contracts.recreated.lock().unwrap().contains(&key);
    let goes = edited(&found, |found| {
        found.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    });
    idle.contracts.asked.lock().unwrap().insert(key.clone());
    idle.wakes(triggers::subscription, &goes).await;
    assert!(!recreated(), "it was asked for here");
    let mut going = found.clone();
    going.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    let [_, gone] = comes_and_goes(&going);
    idle.wakes(triggers::subscription, &gone).await;
    assert!(!recreated(), "and so its end is no surprise");
    assert!(!idle.contracts.asked.lock().unwrap().contains(&key));
    idle.wakes(triggers::subscription, &goes).await;
    assert!(recreated(), "nobody asked this time");
}

// shows K1
#[tokio::test(start_paused = true)]
async fn a_service_wakes_the_contracts_that_name_it_when_its_spec_changes() {
    let idle = Idle::new().await;
    let service: SmartService = idle.process.cluster.get("", "data-backup").unwrap();
    for change in comes_and_goes(&service) {
        assert_eq!(idle.wakes(triggers::service, &change).await, Some(AT_ONCE));
    }
    let edit = edited(&service, |it| it.metadata.generation = Some(9));
    assert_eq!(idle.wakes(triggers::service, &edit).await, Some(AT_ONCE));
    let counted = edited(&service, |it| {
        it.status.get_or_insert_default().used_by = Some(7);
    });
    assert_eq!(idle.wakes(triggers::service, &counted).await, None);
    let mut other = service.clone();
    other.metadata.name = Some("another".to_owned());
    let [comes, _] = comes_and_goes(&other);
    assert_eq!(idle.wakes(triggers::service, &comes).await, None);
}

// shows B2
#[tokio::test(start_paused = true)]
async fn a_device_wakes_the_contracts_whose_selectors_it_enters_or_leaves() {
    let idle = Idle::new().await;
    let [lobby, branch] = [0, 1].map(|index: usize| {
        let name = example::DEVICES[index];
        let device: Device = idle.process.cluster.get(NAMESPACE, name).unwrap();
        device
    });
    let enters = edited(&lobby, |lobby| {
        lobby.metadata.labels = branch.metadata.labels.clone();
    });
    assert_eq!(idle.wakes(triggers::device, &enters).await, Some(GATHERED));
    let leaves = edited(&branch, |branch| branch.metadata.labels = None);
    assert_eq!(idle.wakes(triggers::device, &leaves).await, Some(GATHERED));
    let [_, gone] = comes_and_goes(&branch);
    assert_eq!(idle.wakes(triggers::device, &gone).await, Some(GATHERED));
    let other = edited(&lobby, |lobby| {
        lobby.metadata.labels = Some([("contract".to_owned(), "another".to_owned())].into());
    });
    assert_eq!(idle.wakes(triggers::device, &other).await, None);
    let reported = edited(&branch, |branch| {
        branch.status.get_or_insert_default().observed_generation = Some(3);
    });
    assert_eq!(idle.wakes(triggers::device, &reported).await, None);
    let mut elsewhere = branch.clone();
    elsewhere.metadata.namespace = Some("acme".to_owned());
    let [comes, _] = comes_and_goes(&elsewhere);
    assert_eq!(idle.wakes(triggers::device, &comes).await, None);
}

// shows D9
#[tokio::test(start_paused = true)]
async fn a_device_wakes_the_contracts_whose_exclusions_select_it() {
    let idle = Idle::new().await;
    let lobby: Device = idle
        .process
        .cluster
        .get(NAMESPACE, example::DEVICES[0])
        .unwrap();
    let closed = edited(&lobby, |lobby| {
        lobby.metadata.labels = Some([("site".to_owned(), "osasco".to_owned())].into());
    });
    assert_eq!(idle.wakes(triggers::device, &closed).await, None);
    let name = example::banco_sul_2027().metadata.name.unwrap();
    let exclude = |contract: &mut Contract| {
        contract.spec.exclusions = vec![Exclusion {
            name: "osasco".to_owned(),
            from: "2027-04-01".to_owned(),
            until: "2027-04-05".to_owned(),
            devices: Some(ExcludedDevices {
                selector: Some(Selector {
                    match_labels: closed
                        .new
                        .as_ref()
                        .unwrap()
                        .metadata
                        .labels
                        .clone()
                        .unwrap(),
                    ..Selector::default()
                }),
                names: Vec::new(),
            }),
            reason: "closed by the customer".to_owned(),
        }];
    };
    idle.process.cluster.edit(NAMESPACE, &name, exclude);
    idle.process.let_pass(Duration::from_mins(1)).await;
    assert_eq!(idle.wakes(triggers::device, &closed).await, Some(GATHERED));
}

// shows K2
#[tokio::test(start_paused = true)]
async fn what_is_owed_wakes_the_contract_whose_totals_say_it() {
    let idle = Idle::new().await;
    let record: Compensation = example::compensation();
    let grows = edited(&record, |record| {
        record.status.get_or_insert_default().summary = Some("BRL 1.00".to_owned());
    });
    let woken = idle.wakes(triggers::compensation, &grows).await;
    assert_eq!(woken, Some(GATHERED));
    let [_, gone] = comes_and_goes(&record);
    let woken = idle.wakes(triggers::compensation, &gone).await;
    assert_eq!(woken, Some(GATHERED));
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_restored_subscription_that_cannot_be_read_wakes_the_contract_of_its_name() {
    let idle = Idle::new().await;
    let mut metadata = idle.subscription().metadata;
    metadata.owner_references = None;
    let object = Unreadable {
        key: Key::new(NAMESPACE, SUBSCRIPTIONS[0]),
        metadata,
        problem: String::new(),
        spec: serde_json::Value::Null,
        status: serde_json::Value::Null,
    };
    let change = UnreadableChange {
        object: object.into(),
        is_over: true,
    };
    let woken = idle.wakes(triggers::unreadable_subscription, &change).await;
    assert_eq!(woken, Some(AT_ONCE));
}
