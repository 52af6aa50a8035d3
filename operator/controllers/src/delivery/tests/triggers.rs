//! Tests of triggers: the device that a change wakes, and changes that wake none.

use entente_crds::{
    ANNOTATION_ABANDON, ANNOTATION_RECONCILE_AT,
    condition::Reason,
    v1alpha1::{
        Compensation, Condition, Connection, Device, DeviceClaim, DeviceConnectionStatus,
        DeviceFault, DeviceModel, DeviceStatus, LastSync, SmartService,
    },
};
use entente_domain::delivery::claim_digest;
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::Time};

use super::{super::triggers, *};
use crate::{
    cache::Change,
    in_process::{comes_and_goes, edited, woken},
    queue::Queue,
    shutdown::ShutdownTrigger,
};

const LOBBY: &str = "banco-sul/lobby-mfp";
const BRANCH: &str = "banco-sul/branch-01-mfp";

/// A controller that knows all objects of the examples and runs nowhere, and what is in its caches.
struct Idle {
    delivery: Delivery,
    process: InProcess,
    _trigger: ShutdownTrigger,
}

impl Idle {
    async fn new() -> Self {
        let process = prepared();
        process.cluster.apply(&example::devices()[1]);
        let (parts, trigger) = process.parts().await;
        Self {
            delivery: delivery(parts),
            process,
            _trigger: trigger,
        }
    }

    fn get<K>(&self, namespace: &str, name: &str) -> K
    where
        K: kube::Resource<DynamicType = ()> + serde::de::DeserializeOwned,
    {
        self.process
            .cluster
            .get(namespace, name)
            .expect("an object of the examples")
    }

    async fn wakes<C>(
        &self,
        wake: fn(&Delivery, &Queue<crate::cache::Key>, &C),
        change: &C,
    ) -> Vec<String> {
        let woken = woken(&self.delivery, wake, change).await;
        assert!(woken.iter().all(|(_, after)| after.is_zero()), "{woken:?}");
        woken.into_iter().map(|(key, _)| key).collect()
    }
}

fn raise<K: kube::Resource>(object: &mut K) {
    let generation = &mut object.meta_mut().generation;
    *generation = generation.map(|number| number + 1);
}

fn condition(type_: &str, status: &str) -> Condition {
    let said = json!({"type": type_, "status": status, "reason": "Resolved", "message": "",
        "lastTransitionTime": "2027-01-01T00:00:00Z"});
    serde_json::from_value(said).expect("a condition")
}

/// Returns the claim of a device that has proved a machine with this identity.
fn claim(device: &Device, identity: &str) -> DeviceClaim {
    DeviceClaim {
        endpoint_digest: claim_digest(device).expect("a device with an address"),
        named: promised(),
        since: Some(promised()),
        identity: Some(identity.into()),
    }
}

// shows K1
#[tokio::test(start_paused = true)]
async fn a_device_wakes_itself_when_it_is_edited_and_not_when_its_status_is_written() {
    type Edit = fn(&mut Device);
    let idle = Idle::new().await;
    let device: Device = idle.get(NAMESPACE, DEVICE);
    for change in comes_and_goes(&device) {
        assert_eq!(idle.wakes(triggers::device, &change).await, [LOBBY]);
    }
    let wakes: [Edit; 4] = [
        raise,
        |device| device.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into()),
        |device| device.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into()),
        |device| device.metadata.deletion_timestamp = Some(Time(promised())),
    ];
    for edit in wakes {
        let change = edited(&device, edit);
        assert_eq!(idle.wakes(triggers::device, &change).await, [LOBBY]);
    }
    let change = edited(&device, |device| {
        let status = device.status.get_or_insert_default();
        status.last_sync = Some(LastSync {
            at: promised(),
            result: entente_crds::v1alpha1::SyncResult::Answered,
        });
        status.conditions = vec![condition("Ready", "False")];
    });
    assert_eq!(idle.wakes(triggers::device, &change).await, [""; 0]);
}

// shows K4
#[tokio::test(start_paused = true)]
async fn who_gets_or_loses_a_machine_wakes_those_who_wait_for_it() {
    let idle = Idle::new().await;
    let mut twin = example::devices()[1].clone();
    twin.spec.address = Some("10.20.3.1".to_owned());
    twin.metadata.uid = Some("twin".to_owned());
    twin.metadata.resource_version = Some("9000".to_owned());
    idle.delivery.objects.devices.put_written(twin);
    let device: Device = idle.get(NAMESPACE, DEVICE);

    let seen = edited(&device, |device| {
        let mut named = claim(device, "urn:uuid:1");
        named.since = None;
        named.named = promised();
        device.status.get_or_insert_default().claim = Some(named);
    });
    assert_eq!(idle.wakes(triggers::device, &seen).await, [BRANCH]);
    let claimed = edited(&device, |device| {
        device.status.get_or_insert_default().claim = Some(claim(device, "urn:uuid:1"));
    });
    assert_eq!(idle.wakes(triggers::device, &claimed).await, [BRANCH]);
    let device = claimed.new.clone().expect("an edited device");
    let device = Device::clone(&device);
    let faulty = edited(&device, |device| {
        let fault = DeviceFault {
            reason: Reason::IdentityMismatch,
            message: "".into(),
        };
        device.status.get_or_insert_default().connections = vec![DeviceConnectionStatus {
            name: "hq-ipp".to_owned(),
            fault: Some(fault),
            ..DeviceConnectionStatus::default()
        }];
    });
    assert_eq!(idle.wakes(triggers::device, &faulty).await, [BRANCH]);
    // A Device that moves away leaves the machine to those at the old address, which are woken as
    // well.
    let moved = edited(&device, |device| {
        device.spec.address = Some("10.20.3.77".to_owned());
        raise(device);
    });
    assert_eq!(idle.wakes(triggers::device, &moved).await, [BRANCH, LOBBY]);
    let [_, goes] = comes_and_goes(&device);
    assert_eq!(idle.wakes(triggers::device, &goes).await, [BRANCH, LOBBY]);
}

// shows K4
#[tokio::test(start_paused = true)]
async fn a_device_that_has_no_machine_wakes_none_of_those_who_wait_for_the_same() {
    let idle = Idle::new().await;
    let device: Device = idle.get(NAMESPACE, DEVICE);
    let [second, holder] = ["b-second", "c-holder"].map(|name| {
        let mut stored = device.clone();
        stored.metadata.name = Some(name.to_owned());
        stored.metadata.uid = Some(name.to_owned());
        stored.metadata.resource_version = Some("9000".to_owned());
        let mut named = claim(&stored, "urn:uuid:1");
        named.since = (name == "c-holder").then(promised);
        stored.status.get_or_insert_default().claim = Some(named);
        idle.delivery.objects.devices.put_written(stored.clone());
        stored
    });
    for change in comes_and_goes(&second) {
        let woken = idle.wakes(triggers::device, &change).await;
        assert_eq!(woken, ["banco-sul/b-second"]);
    }
    let found = edited(&second, |second| {
        second.status.get_or_insert_default().claim = None;
    });
    assert_eq!(idle.wakes(triggers::device, &found).await, [""; 0]);
    for change in comes_and_goes(&holder) {
        let woken = idle.wakes(triggers::device, &change).await;
        assert_eq!(woken, ["banco-sul/b-second", "banco-sul/c-holder", LOBBY]);
    }
}

// shows B2
#[tokio::test(start_paused = true)]
async fn a_subscription_wakes_the_device_that_it_is_about() {
    let idle = Idle::new().await;
    let found: ServiceSubscription = idle.get(NAMESPACE, SUBSCRIPTION);
    for change in comes_and_goes(&found) {
        assert_eq!(idle.wakes(triggers::subscription, &change).await, [LOBBY]);
    }
    let edit = edited(&found, raise);
    assert_eq!(idle.wakes(triggers::subscription, &edit).await, [LOBBY]);
    let moved = edited(&found, |found| {
        found.spec.device_ref.name = "branch-01-mfp".to_owned();
        raise(found);
    });
    let both = [BRANCH, LOBBY];
    assert_eq!(idle.wakes(triggers::subscription, &moved).await, both);
    let reported = edited(&found, |found| {
        let status = found.status.get_or_insert_default();
        status.conditions = vec![condition("Ready", "True")];
        status.observed_generation = Some(1);
    });
    let none = idle.wakes(triggers::subscription, &reported).await;
    assert_eq!(none, [""; 0], "it is delivery itself that writes it");
}

// shows K1
#[tokio::test(start_paused = true)]
async fn the_catalogue_wakes_all_who_use_what_is_edited_and_nobody_for_a_number_of_users() {
    let idle = Idle::new().await;
    let all = [BRANCH, LOBBY];
    let model: DeviceModel = idle.get("", "mfp-500");
    let edit = edited(&model, raise);
    assert_eq!(idle.wakes(triggers::model, &edit).await, all);
    let counted = edited(&model, |model| {
        model.status.get_or_insert_default().used_by = Some(7);
    });
    assert_eq!(idle.wakes(triggers::model, &counted).await, [""; 0]);

    let service: SmartService = idle.get("", "data-backup");
    let edit = edited(&service, raise);
    assert_eq!(idle.wakes(triggers::service, &edit).await, [LOBBY]);
    let counted = edited(&service, |service| {
        service.status.get_or_insert_default().used_by = Some(7);
    });
    assert_eq!(idle.wakes(triggers::service, &counted).await, [""; 0]);

    for (name, users) in [("hq-ipp", &all[..]), ("northwind-services", &[LOBBY])] {
        let connection: Connection = idle.get("", name);
        let edit = edited(&connection, raise);
        assert_eq!(idle.wakes(triggers::connection, &edit).await, users);
        let counted = edited(&connection, |connection| {
            connection.status.get_or_insert_default().used_by = Some(7);
        });
        let woken = idle.wakes(triggers::connection, &counted).await;
        assert_eq!(woken, [""; 0], "{name}");
    }
    let name = "northwind-services".to_owned();
    assert_eq!(idle.wakes(triggers::catalog, &name).await, [LOBBY]);
    let name = "hq-ipp".to_owned();
    assert_eq!(idle.wakes(triggers::catalog, &name).await, [""; 0]);
}

// shows K2 K5
#[tokio::test(start_paused = true)]
async fn a_secret_that_is_missing_or_was_mended_wakes_all_who_use_it_and_a_refused_login_nobody() {
    let idle = Idle::new().await;
    let mut before: Connection = idle.get("", "northwind-services");
    for type_ in ["ResolvedRefs", "Authenticated"] {
        // Whether a login is refused, each device finds out by itself; what is missing, it reports.
        let missing = match type_ {
            "ResolvedRefs" => &[LOBBY][..],
            _ => &[],
        };
        for (old, new, woken) in [
            ("False", "True", &[LOBBY][..]),
            ("True", "False", missing),
            ("True", "True", &[]),
            ("Unknown", "True", missing),
            ("False", "Unknown", missing),
        ] {
            before.status.get_or_insert_default().conditions = vec![condition(type_, old)];
            let change = edited(&before, |after| {
                let status = after.status.as_mut().expect("a status");
                status.conditions = vec![condition(type_, new)];
            });
            let found = idle.wakes(triggers::connection, &change).await;
            assert_eq!(found, woken, "{type_} {old} {new}");
        }
    }
    before.status.get_or_insert_default().conditions = vec![condition("Reachable", "False")];
    let change = edited(&before, |after| {
        let status = after.status.as_mut().expect("a status");
        status.conditions = vec![condition("Reachable", "True")];
    });
    // Each device finds that out by itself, in its own time.
    assert_eq!(idle.wakes(triggers::connection, &change).await, [""; 0]);
}

// shows B1 C10
#[tokio::test(start_paused = true)]
async fn of_a_contract_matters_that_it_is_established_deleted_abandoned_or_wished_to_be_read() {
    type Edit = fn(&mut Contract);
    let idle = Idle::new().await;
    let contract: Contract = idle.get(NAMESPACE, "banco-sul-2027");
    let wakes: [Edit; 5] = [
        |it| {
            let wish = (ANNOTATION_RECONCILE_AT.to_owned(), "now".to_owned());
            it.metadata.annotations = Some([wish].into());
        },
        |it| it.status.get_or_insert_default().established = None,
        |it| it.metadata.deletion_timestamp = Some(Time(promised())),
        |it| {
            let abandon = (ANNOTATION_ABANDON.to_owned(), String::new());
            it.metadata.annotations = Some([abandon].into());
        },
        |it| it.metadata.uid = Some("another".to_owned()),
    ];
    for edit in wakes {
        let change = edited(&contract, edit);
        assert_eq!(idle.wakes(triggers::contract, &change).await, [LOBBY]);
    }
    let silent: [Edit; 3] = [
        raise,
        |it| it.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into()),
        |it| it.status.get_or_insert_default().conditions = vec![condition("Ready", "True")],
    ];
    for edit in silent {
        let change = edited(&contract, edit);
        assert_eq!(idle.wakes(triggers::contract, &change).await, [""; 0]);
    }
}

// shows D8
#[tokio::test(start_paused = true)]
async fn of_a_compensation_matters_that_it_is_there_final_or_voided() {
    let idle = Idle::new().await;
    let record: Compensation = example::compensation();
    for change in comes_and_goes(&record) {
        assert_eq!(idle.wakes(triggers::compensation, &change).await, [LOBBY]);
    }
    let calculated = edited(&record, |record| {
        record.status.get_or_insert_default().conditions = vec![condition("Calculated", "True")];
    });
    let woken = idle.wakes(triggers::compensation, &calculated).await;
    assert_eq!(woken, [LOBBY]);
    let voided = edited(&record, |record| {
        record.spec.voided = Some(entente_crds::v1alpha1::Voided::default());
    });
    assert_eq!(idle.wakes(triggers::compensation, &voided).await, [LOBBY]);
    let grows = edited(&record, |record| {
        record.status.get_or_insert_default().summary = Some("BRL 7.00".to_owned());
    });
    let woken = idle.wakes(triggers::compensation, &grows).await;
    assert_eq!(
        woken, [""; 0],
        "a fleet that is late would wake itself each hour"
    );
}

// shows K4
#[tokio::test(start_paused = true)]
async fn the_labels_and_the_end_of_a_namespace_wake_every_device_and_subscription_in_it() {
    type Edit = fn(&mut Namespace);
    let idle = Idle::new().await;
    let namespace: Namespace = idle.get("", NAMESPACE);
    let wakes: [Edit; 2] = [
        |it| it.metadata.labels = None,
        |it| it.metadata.deletion_timestamp = Some(Time(promised())),
    ];
    for edit in wakes {
        let change = edited(&namespace, edit);
        let woken = idle.wakes(triggers::namespace, &change).await;
        assert_eq!(woken, [BRANCH, LOBBY]);
    }
    // A subscription whose Device does not exist has work as well.
    let device: Device = idle.get(NAMESPACE, DEVICE);
    let uid = device.uid().expect("a uid");
    let key = crate::cache::Key::of(&device);
    idle.delivery.objects.devices.put_deleted(&key, &uid);
    let [comes, _]: [Change<Namespace>; 2] = comes_and_goes(&namespace);
    let woken = idle.wakes(triggers::namespace, &comes).await;
    assert_eq!(woken, [BRANCH, LOBBY]);
    let silent = edited(&namespace, |it| {
        it.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into());
    });
    assert_eq!(idle.wakes(triggers::namespace, &silent).await, [""; 0]);
}

/// Returns a status of a device that differs in nothing that others wait for.
#[tokio::test(start_paused = true)]
async fn a_device_status_alike_wakes_nobody() {
    let idle = Idle::new().await;
    let mut device: Device = idle.get(NAMESPACE, DEVICE);
    device.status = Some(DeviceStatus {
        claim: Some(claim(&device, "urn:uuid:1")),
        ..DeviceStatus::default()
    });
    let same = edited(&device, |device| {
        device
            .status
            .as_mut()
            .expect("a status")
            .observed_generation = Some(2);
    });
    assert_eq!(idle.wakes(triggers::device, &same).await, [""; 0]);
}

// shows K2
#[tokio::test(start_paused = true)]
async fn a_connection_that_only_an_instance_names_wakes_its_device() {
    let idle = Idle::new().await;
    let mut subscription = example::service_subscription();
    subscription.metadata.uid = Some("moved".to_owned());
    subscription.metadata.resource_version = Some("9000".to_owned());
    let server = &mut subscription.status.get_or_insert_default().server;
    server.get_or_insert_default().connection_ref.name = "former-broker".to_owned();
    idle.delivery
        .objects
        .subscriptions
        .put_written(subscription);
    let mut former = example::northwind_services();
    former.metadata.name = Some("former-broker".to_owned());
    for change in comes_and_goes(&former) {
        assert_eq!(idle.wakes(triggers::connection, &change).await, [LOBBY]);
    }
    let woken = idle
        .wakes(triggers::catalog, &"former-broker".to_owned())
        .await;
    assert_eq!(woken, [LOBBY]);
}
