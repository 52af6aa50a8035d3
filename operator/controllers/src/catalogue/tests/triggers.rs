//! Tests of triggers: the object of the catalogue that a change wakes, its delay, and changes that
//! wake none.

use entente_crds::{
    ANNOTATION_FORGET_ORPHAN,
    digest::Digest,
    v1alpha1::{NameReference, Orphan, Revision, ServerInstance},
};

use super::{
    super::{Subject, triggers},
    *,
};
use crate::{
    in_process::{comes_and_goes, edited, woken},
    queue::Queue,
    shutdown::ShutdownTrigger,
};

/// Returns the keys that run, each with its delay in seconds.
type Woken = Vec<(String, u64)>;

struct Idle {
    catalogue: Catalogue,
    process: InProcess,
    _trigger: ShutdownTrigger,
}

impl Idle {
    async fn new() -> Self {
        let process = started().await;
        use_all(&process).await;
        let (parts, trigger) = process.parts().await;
        Self {
            catalogue: catalogue(parts),
            process,
            _trigger: trigger,
        }
    }

    async fn wakes<C>(&self, wake: fn(&Catalogue, &Queue<Subject>, &C), change: &C) -> Woken {
        let woken = woken(&self.catalogue, wake, change).await.into_iter();
        woken.map(|(key, after)| (key, after.as_secs())).collect()
    }
}

fn at(seconds: u64, keys: &[&str]) -> Woken {
    let keys = keys.iter();
    keys.map(|key| ((*key).to_owned(), seconds)).collect()
}

fn instance(orphaned: bool) -> ServerInstance {
    ServerInstance {
        connection_ref: NameReference {
            name: BROKER.to_owned(),
        },
        instance_id: "i-1".to_owned(),
        orphaned: orphaned.then_some(jiff::Timestamp::UNIX_EPOCH),
        ..ServerInstance::default()
    }
}

// shows K1
#[tokio::test(start_paused = true)]
async fn what_is_edited_runs_at_once_and_what_is_reported_does_not_run_again() {
    let idle = Idle::new().await;
    let broker = connection(&idle.process, BROKER);
    let both = at(
        0,
        &["Connection/northwind-services", "SmartService/data-backup"],
    );
    for change in comes_and_goes(&broker) {
        assert_eq!(idle.wakes(triggers::connection, &change).await, both);
    }
    let edit = edited(&broker, |it| it.metadata.generation = Some(9));
    assert_eq!(idle.wakes(triggers::connection, &edit).await, both);
    let reported = edited(&broker, |it| it.status = None);
    assert_eq!(idle.wakes(triggers::connection, &reported).await, []);

    let model: DeviceModel = idle.process.cluster.get("", "mfp-500").unwrap();
    let edit = edited(&model, |it| it.metadata.generation = Some(9));
    let woken = idle.wakes(triggers::model, &edit).await;
    assert_eq!(woken, at(0, &["DeviceModel/mfp-500"]));
    let reported = edited(&model, |it| it.status = None);
    assert_eq!(idle.wakes(triggers::model, &reported).await, []);
}

// shows C10
#[tokio::test(start_paused = true)]
async fn orphans_are_looked_at_when_they_are_listed_answered_held_or_to_be_forgotten() {
    let idle = Idle::new().await;
    let wakes = |change| idle.wakes(triggers::connection, change);
    let orphans = at(0, &["Orphans/northwind-services"]);
    let without = connection(&idle.process, BROKER);
    let found = example::service_subscription();
    let id = entente_domain::delivery::instance_id(NAMESPACE, &found);
    let list = |broker: &mut Connection, id: &str| {
        let orphan = Orphan {
            instance_id: id.to_owned(),
            ..Orphan::default()
        };
        broker.status.get_or_insert_default().orphans = vec![orphan];
    };
    let listed = edited(&without, |it| list(it, &id));
    assert_eq!(wakes(&listed).await, orphans);
    let said = edited(&**listed.new.as_ref().expect("it is there"), |it| {
        it.status.get_or_insert_default().orphans[0].message = Some("it was tried".into());
    });
    assert_eq!(wakes(&said).await, []);
    let annotated = edited(&without, |it| {
        let annotation = (ANNOTATION_FORGET_ORPHAN.to_owned(), "i-1".to_owned());
        it.metadata.annotations = Some([annotation].into());
    });
    let own = at(0, &["Connection/northwind-services"]);
    assert_eq!(wakes(&annotated).await, own);

    let answered = BROKER.to_owned();
    let service = at(0, &["SmartService/data-backup"]);
    assert_eq!(idle.wakes(triggers::catalog, &answered).await, service);
    assert_eq!(idle.wakes(triggers::answered, &answered).await, []);
    idle.process.cluster.edit("", BROKER, |it| list(it, &id));
    idle.process.let_pass(GATHERED).await;
    assert_eq!(idle.wakes(triggers::answered, &answered).await, orphans);
    for change in comes_and_goes(&found) {
        let woken = idle.wakes(triggers::subscription, &change).await;
        assert!(woken.contains(&orphans[0]), "{woken:?}");
    }
    let other = edited(&found, |it| it.metadata.labels = None);
    assert_eq!(idle.wakes(triggers::subscription, &other).await, []);
}

// shows K3
#[tokio::test(start_paused = true)]
async fn a_service_that_names_another_broker_counts_at_both() {
    let idle = Idle::new().await;
    let service: SmartService = idle.process.cluster.get("", "data-backup").unwrap();
    let moved = edited(&service, |it| {
        it.metadata.generation = Some(9);
        let server = it.spec.server.as_mut().expect("a server's side");
        server.connection_ref.name = "southwind".to_owned();
    });
    let mut wanted = at(
        5,
        &["Connection/northwind-services", "Connection/southwind"],
    );
    wanted.extend(at(0, &["SmartService/data-backup"]));
    assert_eq!(idle.wakes(triggers::service, &moved).await, wanted);
    let reported = edited(&service, |it| it.status = None);
    assert_eq!(idle.wakes(triggers::service, &reported).await, []);
}

// shows K3
#[tokio::test(start_paused = true)]
async fn a_device_counts_at_its_model_and_connections_and_at_those_it_leaves() {
    let idle = Idle::new().await;
    let device: Device = idle
        .process
        .cluster
        .get(NAMESPACE, example::DEVICES[0])
        .unwrap();
    let own = at(5, &["Connection/hq-ipp", "DeviceModel/mfp-500"]);
    for change in comes_and_goes(&device) {
        assert_eq!(idle.wakes(triggers::device, &change).await, own);
    }
    let moved = edited(&device, |device| {
        device.spec.model_ref.name = "mfp-501".to_owned();
        device.spec.connections[0].name = "branch-ipp".to_owned();
    });
    let both = [
        "Connection/branch-ipp",
        "Connection/hq-ipp",
        "DeviceModel/mfp-500",
        "DeviceModel/mfp-501",
    ];
    assert_eq!(idle.wakes(triggers::device, &moved).await, at(5, &both));
    let other = edited(&device, |device| {
        device.spec.address = Some("10.20.3.99".to_owned());
        device.status.get_or_insert_default().observed_generation = Some(1);
    });
    assert_eq!(idle.wakes(triggers::device, &other).await, []);
}

// shows K3
#[tokio::test(start_paused = true)]
async fn the_first_user_of_an_object_protects_it_at_once() {
    let idle = Idle::new().await;
    let mut unused = connection(&idle.process, "hq-ipp");
    unused.metadata.name = Some("branch-ipp".to_owned());
    unused.metadata.finalizers = None;
    idle.process.cluster.apply(&unused);
    idle.process.let_pass(GATHERED).await;
    let device: Device = idle
        .process
        .cluster
        .get(NAMESPACE, example::DEVICES[0])
        .unwrap();
    let moved = edited(&device, |device| {
        device.spec.connections[0].name = "branch-ipp".to_owned();
    });
    let woken = idle.wakes(triggers::device, &moved).await;
    let mut expected = at(0, &["Connection/branch-ipp"]);
    expected.extend(at(5, &["Connection/hq-ipp", "DeviceModel/mfp-500"]));
    let sorted = |mut woken: Woken| {
        woken.sort();
        woken
    };
    assert_eq!(sorted(woken), sorted(expected));
}

// shows K3
#[tokio::test(start_paused = true)]
async fn a_subscription_counts_at_the_services_of_all_its_revisions_and_at_their_brokers() {
    let idle = Idle::new().await;
    let found = example::service_subscription();
    let own = at(
        5,
        &["Connection/northwind-services", "SmartService/data-backup"],
    );
    for change in comes_and_goes(&found) {
        assert_eq!(idle.wakes(triggers::subscription, &change).await, own);
    }
    let next = edited(&found, |found| {
        let mut next = Revision::clone(&found.spec.revisions[0]);
        next.service_ref.name = "parts-life".to_owned();
        found.spec.revisions.push(next.into());
    });
    let both = [
        "Connection/northwind-services",
        "SmartService/data-backup",
        "SmartService/parts-life",
    ];
    assert_eq!(
        idle.wakes(triggers::subscription, &next).await,
        at(5, &both)
    );
    let edit = edited(&found, |found| {
        let parameters = &mut Arc::make_mut(&mut found.spec.revisions[0]).parameters;
        parameters.insert("weekdays".to_owned(), "mon".to_owned());
    });
    assert_eq!(idle.wakes(triggers::subscription, &edit).await, []);
}

// shows C10
#[tokio::test(start_paused = true)]
async fn an_instance_that_is_left_behind_wakes_its_connection_at_once_and_one_in_service_does_not()
{
    let idle = Idle::new().await;
    let mut found = example::service_subscription();
    let made = edited(&found, |found| {
        found.status.get_or_insert_default().server = Some(instance(false));
    });
    assert_eq!(idle.wakes(triggers::subscription, &made).await, []);
    found.status.get_or_insert_default().server = Some(instance(false));
    let orphaned = edited(&found, |found| {
        found.status.get_or_insert_default().server = Some(instance(true));
    });
    let at_once = at(0, &["Connection/northwind-services"]);
    let woken = idle.wakes(triggers::subscription, &orphaned).await;
    assert_eq!(woken, at_once);
    let service = &mut found.status.get_or_insert_default().server;
    *service = Some(instance(true));
    let polled = edited(&found, |found| {
        let server = found.status.as_mut().and_then(|it| it.server.as_mut());
        server.expect("an instance").sent_digest = Some(Digest::default());
    });
    assert_eq!(idle.wakes(triggers::subscription, &polled).await, []);
}
