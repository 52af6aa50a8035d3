//! The drivers' reports of each fault of a peer: the kind of failure, whether the peer may have
//! acted all the same, and the wait that it asks for.

use entente_crds::v1alpha1::{IppOperation, Protocol};
use entente_domain::remote::{
    Failure, FailureKind, InstanceContext, InstanceKey, InstanceReading, InstanceRequest,
    OperationState, ServerAnswer,
};
use entente_drivers::conformance::ipp_probe;
use entente_drivers::{DeviceTarget, Drivers, ServerTarget};
use entente_simulators::{
    Broker, BrokerOptions, Credentials, FaultKind, FleetOptions, IppFleet, Ledger, Mode,
};

use super::server::{offering, parameters};
use super::{profile, text};

/// Fault, kind of failure, whether a write is in doubt, seconds of Retry-After. `busy` is the kind
/// of the fault of that name, which a broker says of one instance.
fn faults(busy: FailureKind) -> Vec<(FaultKind, FailureKind, bool, Option<i64>)> {
    let later = FaultKind::too_many_requests(7);
    vec![
        (FaultKind::Hang, FailureKind::TimedOut, true, None),
        (
            FaultKind::Unauthorized,
            FailureKind::Unauthorized,
            false,
            None,
        ),
        (
            FaultKind::http_500(),
            FailureKind::ProtocolError,
            true,
            None,
        ),
        (later, FailureKind::Busy, false, Some(7)),
        (FaultKind::Busy, busy, false, None),
        (FaultKind::Offline, FailureKind::Unreachable, false, None),
    ]
}

fn check(what: &FaultKind, failure: &Failure, expected: (FailureKind, bool, Option<i64>)) {
    let seen = (
        failure.kind,
        failure.doubtful,
        failure.retry_after.map(|duration| duration.as_secs()),
    );
    assert_eq!(seen, expected, "{what:?} {failure:?}");
    assert!(!failure.message.contains("127."), "{what:?} {failure:?}");
}

#[tokio::test]
async fn every_fault_of_a_device_has_its_own_name() {
    let fleet = IppFleet::start(FleetOptions::of(1), Ledger::new())
        .await
        .unwrap();
    let device = &fleet.devices()[0];
    let drivers = Drivers::real();
    let driver = drivers.device(Protocol::IPP).unwrap();
    let target = DeviceTarget {
        secrets: entente_domain::secret::Secrets::default(),
        profile: profile(Protocol::IPP, None),
        url: device.uri(),
        printer_uri: None,
        pinned_certificate: None,
    };
    let request = ipp_probe("printer-uuid");
    let location = text("printer-location", "Lobby");
    let write = location.by(IppOperation::SetPrinterAttributes);
    for (fault, kind, doubtful, again) in faults(FailureKind::Busy) {
        device.set_fault(fault.clone()).await.unwrap();
        let read = driver.observe(&target, &request).await.unwrap_err();
        // Nobody can act on a reading.
        assert_eq!(read.kind, kind, "{fault:?} {read:?}");
        let written = driver.apply(&target, &write).await.unwrap_err();
        check(&fault, &written, (kind, doubtful, again));
        device.clear_faults().await.unwrap();
    }
    device.set_fault(FaultKind::ResetAfterCommit).await.unwrap();
    let lost = driver.apply(&target, &write).await.unwrap_err();
    assert!(lost.doubtful, "{lost:?}");
    assert_eq!(
        device.attribute("printer-location"),
        Some("Lobby".into()),
        "it was done"
    );
}

#[tokio::test]
async fn every_fault_of_a_broker_has_its_own_name() {
    let broker = Broker::start(BrokerOptions::default(), Ledger::new())
        .await
        .unwrap();
    let (drivers, target) = (Drivers::real(), target(&broker));
    let driver = drivers.service();
    let (service_id, plan_id) = offering(&drivers, &target).await;
    let instance = |name: &str| InstanceKey {
        instance_id: name.to_owned(),
        service_id: service_id.clone(),
        plan_id: plan_id.clone(),
    };
    let (wanted, _) = parameters();
    for (number, (fault, kind, doubtful, again)) in
        faults(FailureKind::Concurrent).into_iter().enumerate()
    {
        broker.set_fault(fault.clone()).await.unwrap();
        let id = instance(&number.to_string());
        let failure = driver
            .provision(&target, InstanceRequest::new(&id, &context(), &wanted))
            .await
            .unwrap_err();
        check(&fault, &failure, (kind, doubtful, again));
        broker.clear_faults().await.unwrap();
    }
    broker.set_fault(FaultKind::ResetAfterCommit).await.unwrap();
    let lost = driver
        .provision(
            &target,
            InstanceRequest::new(&instance("lost"), &context(), &wanted),
        )
        .await;
    assert!(
        lost.as_ref().is_err_and(|failure| failure.doubtful),
        "{lost:?}"
    );
    assert!(broker.instance("lost").is_some(), "it was done");
    broker.clear_faults().await.unwrap();
    broker
        .set_fault(FaultKind::FetchWithoutParameters {
            parameters: Vec::new(),
        })
        .await
        .unwrap();
    let silent = driver
        .observe(&target, &instance("lost"), true)
        .await
        .unwrap();
    assert!(
        matches!(
            silent,
            InstanceReading::Present {
                parameters: None,
                ..
            }
        ),
        "{silent:?}"
    );
}

#[tokio::test]
async fn an_operation_that_fails_in_the_end_says_so_in_the_brokers_words() {
    let broker = Broker::start(BrokerOptions::default(), Ledger::new())
        .await
        .unwrap();
    broker.set_mode(Mode::Async {
        polls: 0,
        milliseconds: 0,
    });
    let description = "no tape in the library".to_owned();
    broker
        .set_fault(FaultKind::AsyncFails { description })
        .await
        .unwrap();
    let (drivers, target) = (Drivers::real(), target(&broker));
    let driver = drivers.service();
    let (service_id, plan_id) = offering(&drivers, &target).await;
    let instance = InstanceKey {
        instance_id: "tape".to_owned(),
        service_id,
        plan_id,
    };
    let (wanted, _) = parameters();
    let answer = driver
        .provision(
            &target,
            InstanceRequest::new(&instance, &context(), &wanted),
        )
        .await
        .unwrap();
    let ServerAnswer::UnderWay { operation, .. } = answer else {
        panic!("{answer:?}")
    };
    let state = driver
        .last_operation(&target, &instance, operation.as_deref())
        .await
        .unwrap();
    let OperationState::Failed(failure) = state else {
        panic!("{state:?}")
    };
    let message = failure.message;
    assert!(message.contains("no tape in the library"), "{message}");
}

#[tokio::test]
async fn a_request_with_the_version_of_an_older_catalog_has_to_read_it_again() {
    let broker = Broker::start(BrokerOptions::default(), Ledger::new())
        .await
        .unwrap();
    let (drivers, target) = (Drivers::real(), target(&broker));
    let driver = drivers.service();
    let (service_id, plan_id) = offering(&drivers, &target).await;
    let set_version = |version: &str| {
        let mut services = entente_simulators::default_catalog();
        for plan in services.iter_mut().flat_map(|service| &mut service.plans) {
            let version = version.to_owned();
            plan.maintenance_info = Some(entente_simulators::MaintenanceInfo { version });
        }
        broker.set_services(services);
    };
    set_version("1.0.0");
    let catalog = driver.catalog(&target).await.unwrap();
    let mut plans = catalog.offerings.iter().flat_map(|it| &it.plans);
    let plan = plans.find(|plan| plan.id == plan_id).unwrap();
    set_version("2.0.0");
    let instance = InstanceKey {
        instance_id: "versioned".to_owned(),
        service_id,
        plan_id: plan_id.clone(),
    };
    let ((wanted, _), context) = (parameters(), context());
    for (version, kind) in [
        (
            plan.maintenance_version.as_deref(),
            Some(FailureKind::CatalogOutdated),
        ),
        (Some("2.0.0"), None),
    ] {
        let provision = InstanceRequest {
            maintenance_version: version,
            ..InstanceRequest::new(&instance, &context, &wanted)
        };
        let answer = driver.provision(&target, provision).await;
        assert_eq!(
            answer.err().map(|failure| failure.kind),
            kind,
            "{version:?}"
        );
    }
}

#[tokio::test]
async fn wrong_credentials_are_unauthorized_and_never_part_of_the_message() {
    let credentials = Some(Credentials {
        user: "entente".to_owned(),
        password: "right".to_owned(),
    });
    let options = BrokerOptions {
        credentials,
        ..BrokerOptions::default()
    };
    let broker = Broker::start(options, Ledger::new()).await.unwrap();
    let wrong = entente_drivers::CredentialsValue::Basic {
        username: "entente".to_owned().into(),
        password: "wrong-canary".to_owned().into(),
    };
    let target = ServerTarget {
        secrets: entente_domain::secret::Secrets::default(),
        profile: profile(Protocol::OSB, Some(wrong)),
        url: broker.url(),
    };
    let failure = Drivers::real()
        .service()
        .catalog(&target)
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unauthorized, "{failure:?}");
    assert!(!format!("{failure:?} {target:?}").contains("wrong-canary"));
}

fn target(broker: &Broker) -> ServerTarget {
    ServerTarget {
        secrets: entente_domain::secret::Secrets::default(),
        profile: profile(Protocol::OSB, None),
        url: broker.url(),
    }
}

fn context() -> InstanceContext {
    InstanceContext {
        organization: "C-4711".to_owned(),
        namespace: "banco-sul".to_owned(),
        subscription: "banco-sul-2027.backup.lobby-mfp".to_owned(),
    }
}
