//! The guard around every driver: a panic in it ends one request, and nothing else; and no request
//! that may change something is under way while the fence is closed.
//!
//! Drivers give the bytes of strangers to the decoders of others (HTTP, TLS, certificates, IPP,
//! JSON, base64). One that panics there becomes the failure of that remote side, so that the pass
//! reports everything else that it knows. Never looks at a request or an answer, and never puts
//! the words of a panic into a message: they may quote what was sent. Made by [`crate::Drivers`].

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use entente_domain::protocol::Place;
use entente_domain::remote::{
    Catalog, DeviceReadRequest, DeviceReading, DeviceWrite, DisplayRequest, Failure, FailureKind,
    InstanceContext, InstanceKey, InstanceReading, InstanceRequest, NotificationAnswer,
    NotificationRequest, OperationState, ServerAnswer, StatusReport,
};
use entente_domain::supply_order::{OrderAnswer, OrderRequest};
use futures::FutureExt as _;

use crate::{
    device::{DeviceDriver, DeviceTarget},
    fence::Fence,
    orders::OrderDriver,
    service::{ServerTarget, ServiceDriver},
};

/// A driver whose panics are failures, and which changes nothing while the fence is closed.
pub(crate) struct Guarded<D> {
    driver: Arc<D>,
    fence: Fence,
}

impl<D> Guarded<D> {
    /// Returns this driver behind the guard.
    pub(crate) fn new(driver: Arc<D>, fence: &Fence) -> Self {
        let fence = fence.clone();
        Self { driver, fence }
    }

    /// Waits for the answer to a request that changes nothing.
    async fn ask<T>(
        &self,
        connection: &str,
        request: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, Failure> {
        caught(connection, Effect::None, request).await
    }

    /// Waits for the answer to a request that may change something. It is sent when the fence is
    /// open. If the fence closes before the answer, the request is broken off, and nobody hears of
    /// it before the fence is open again: another replica may act meanwhile.
    async fn change<T>(
        &self,
        connection: &str,
        request: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, Failure> {
        self.fence.until_open().await;
        tokio::select! {
            biased;
            () = self.fence.until_closed() => {}
            answer = caught(connection, Effect::Doubtful, request) => return answer,
        }
        tracing::warn!(
            connection,
            "a request was broken off: this replica may not lead any more"
        );
        self.fence.until_open().await;
        Err(Failure {
            doubtful: true,
            ..Failure::new(
                FailureKind::TimedOut,
                "the operator broke the request off, because it could not renew its Lease in time",
            )
        })
    }
}

/// Effect that a request may have had when the driver panicked.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Effect {
    /// It asks, and changes nothing.
    None,
    /// It may have been carried out.
    Doubtful,
}

/// Waits for an answer; a panic on the way is a failure of this remote side.
async fn caught<T>(
    connection: &str,
    effect: Effect,
    request: impl Future<Output = Result<T, Failure>> + Send,
) -> Result<T, Failure> {
    // What drivers share is behind locks that no panic spoils.
    if let Ok(answer) = AssertUnwindSafe(request).catch_unwind().await {
        return answer;
    }
    tracing::error!(connection, "a driver panicked; this is a defect of Entente");
    Err(Failure {
        doubtful: effect == Effect::Doubtful,
        ..Failure::new(
            FailureKind::ProtocolError,
            "the operator met a defect of its own over this request or its answer, and its log \
             says more",
        )
    })
}

#[async_trait]
impl<D: DeviceDriver> DeviceDriver for Guarded<D> {
    async fn observe(
        &self,
        target: &DeviceTarget,
        request: &DeviceReadRequest,
    ) -> Result<DeviceReading, Failure> {
        let connection = &target.profile.name;
        self.ask(connection, self.driver.observe(target, request))
            .await
    }

    async fn apply(&self, target: &DeviceTarget, write: &DeviceWrite) -> Result<(), Failure> {
        let connection = &target.profile.name;
        self.change(connection, self.driver.apply(target, write))
            .await
    }

    async fn status(
        &self,
        target: &DeviceTarget,
        identity: &Place,
    ) -> Result<StatusReport, Failure> {
        let connection = &target.profile.name;
        self.ask(connection, self.driver.status(target, identity))
            .await
    }

    async fn display(
        &self,
        target: &DeviceTarget,
        request: &DisplayRequest,
    ) -> Result<(), Failure> {
        let connection = &target.profile.name;
        self.change(connection, self.driver.display(target, request))
            .await
    }

    async fn notifications(
        &self,
        target: &DeviceTarget,
        request: &NotificationRequest,
    ) -> Result<NotificationAnswer, Failure> {
        let sent = self.driver.notifications(target, request);
        let connection = &target.profile.name;
        if request.writes() {
            self.change(connection, sent).await
        } else {
            self.ask(connection, sent).await
        }
    }
}

#[async_trait]
impl<D: ServiceDriver> ServiceDriver for Guarded<D> {
    async fn catalog(&self, target: &ServerTarget) -> Result<Catalog, Failure> {
        let connection = &target.profile.name;
        self.ask(connection, self.driver.catalog(target)).await
    }

    async fn observe(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        retrievable: bool,
    ) -> Result<InstanceReading, Failure> {
        let request = self.driver.observe(target, instance, retrievable);
        self.ask(&target.profile.name, request).await
    }

    async fn provision(
        &self,
        target: &ServerTarget,
        request: InstanceRequest<'_>,
    ) -> Result<ServerAnswer, Failure> {
        let request = self.driver.provision(target, request);
        self.change(&target.profile.name, request).await
    }

    async fn update(
        &self,
        target: &ServerTarget,
        request: InstanceRequest<'_>,
    ) -> Result<ServerAnswer, Failure> {
        let request = self.driver.update(target, request);
        self.change(&target.profile.name, request).await
    }

    async fn last_operation(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        operation: Option<&str>,
    ) -> Result<OperationState, Failure> {
        let request = self.driver.last_operation(target, instance, operation);
        self.ask(&target.profile.name, request).await
    }

    async fn deprovision(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        context: &InstanceContext,
    ) -> Result<ServerAnswer, Failure> {
        let request = self.driver.deprovision(target, instance, context);
        self.change(&target.profile.name, request).await
    }
}

#[async_trait]
impl<D: OrderDriver> OrderDriver for Guarded<D> {
    async fn send(
        &self,
        target: &ServerTarget,
        request: &OrderRequest,
    ) -> Result<OrderAnswer, Failure> {
        let (connection, sent) = (&target.profile.name, self.driver.send(target, request));
        if request.writes() {
            self.change(connection, sent).await
        } else {
            self.ask(connection, sent).await
        }
    }
}

#[cfg(all(test, feature = "fake"))]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use entente_crds::v1alpha1::{ConnectionSpec, Protocol};
    use entente_domain::{
        protocol::{Manner, Place},
        remote::Value,
        secret::Secrets,
        supply_order::OrderBody,
    };
    use serde_json::Map;
    use tokio::time::timeout;

    use super::*;
    use crate::{
        Drivers,
        fake::{Fault, Operation, World},
        profile::ConnectionProfile,
    };

    const OPERATIONS: [Operation; 16] = [
        Operation::DeviceObserve,
        Operation::DeviceApply,
        Operation::DeviceStatus,
        Operation::DeviceDisplay,
        Operation::NotificationsAsk,
        Operation::NotificationsChange,
        Operation::Catalog,
        Operation::InstanceObserve,
        Operation::Provision,
        Operation::Update,
        Operation::LastOperation,
        Operation::Deprovision,
        Operation::OrderFind,
        Operation::OrderPlace,
        Operation::OrderRead,
        Operation::OrderCancel,
    ];

    fn profile() -> Arc<ConnectionProfile> {
        let spec = ConnectionSpec::default();
        let profile = ConnectionProfile::from_spec("hq", &spec, Vec::new(), None, None);
        Arc::new(profile.expect("a profile"))
    }

    async fn ask_a_device(drivers: &Drivers, operation: Operation) -> Result<(), Failure> {
        let target = DeviceTarget {
            profile: profile(),
            url: "ipp://10.20.3.1/ipp/print".to_owned(),
            printer_uri: None,
            pinned_certificate: None,
            secrets: Secrets::default(),
        };
        let driver = drivers.device(Protocol::IPP).expect("a driver");
        let set = entente_crds::v1alpha1::IppOperation::SetPrinterAttributes;
        let place = Place::ipp(set, "printer-info");
        if operation == Operation::DeviceApply {
            let write = DeviceWrite {
                place,
                manner: Manner::Ipp {
                    syntax: entente_crds::v1alpha1::IppSyntax::default(),
                    operation: set,
                },
                value: Value::Text("x".to_owned()),
            };
            return driver.apply(&target, &write).await;
        }
        if operation == Operation::DeviceStatus {
            return driver.status(&target, &place).await.map(drop);
        }
        if operation == Operation::DeviceDisplay {
            let request = DisplayRequest::default();
            return driver.display(&target, &request).await;
        }
        let about_notifications = match operation {
            Operation::NotificationsAsk => Some(NotificationRequest::Support),
            Operation::NotificationsChange => Some(NotificationRequest::Cancel { subscription: 1 }),
            _ => None,
        };
        if let Some(request) = about_notifications {
            return driver.notifications(&target, &request).await.map(drop);
        }
        let request = DeviceReadRequest {
            identity: place,
            places: BTreeSet::new(),
        };
        driver.observe(&target, &request).await.map(drop)
    }

    async fn ask_a_broker(drivers: &Drivers, operation: Operation) -> Result<(), Failure> {
        let target = &ServerTarget {
            profile: profile(),
            url: "https://broker.example".to_owned(),
            secrets: Secrets::default(),
        };
        let instance = &InstanceKey {
            instance_id: "i".to_owned(),
            service_id: "s".to_owned(),
            plan_id: "p".to_owned(),
        };
        let context = &InstanceContext {
            organization: "c".to_owned(),
            namespace: "n".to_owned(),
            subscription: "s".to_owned(),
        };
        let parameters = Map::new();
        let request = InstanceRequest::new(instance, context, &parameters);
        let driver = drivers.service();
        match operation {
            Operation::Catalog => driver.catalog(target).await.map(drop),
            Operation::InstanceObserve => driver.observe(target, instance, true).await.map(drop),
            Operation::Provision => driver.provision(target, request).await.map(drop),
            Operation::Update => driver.update(target, request).await.map(drop),
            Operation::LastOperation => driver
                .last_operation(target, instance, None)
                .await
                .map(drop),
            _ => driver
                .deprovision(target, instance, context)
                .await
                .map(drop),
        }
    }

    async fn ask_an_order_server(drivers: &Drivers, operation: Operation) -> Result<(), Failure> {
        let target = &ServerTarget {
            profile: profile(),
            url: "https://orders.example/".to_owned(),
            secrets: Secrets::default(),
        };
        let id = || "PO-1".to_owned();
        let record = entente_crds::example::supply_order().spec.record;
        let request = match operation {
            Operation::OrderPlace => OrderRequest::Place(Box::new(OrderBody::of(&record, "r"))),
            Operation::OrderCancel => OrderRequest::Cancel {
                id: id(),
                reference: "r".to_owned(),
                reason: "r".to_owned(),
            },
            Operation::OrderFind => OrderRequest::FindByReference { reference: id() },
            _ => OrderRequest::Read { id: id() },
        };
        drivers.orders().send(target, &request).await.map(drop)
    }

    // shows K7
    #[tokio::test]
    async fn a_driver_that_panics_gives_a_failure_and_one_that_leaves_doubt_if_it_writes() {
        for operation in OPERATIONS {
            let world = World::new();
            world.script(None, operation, Fault::Panic, 1);
            let drivers = Drivers::fake(world);
            let failure = ask(&drivers, operation).await.expect_err("it panicked");
            assert_eq!(failure.kind, FailureKind::ProtocolError, "{operation:?}");
            assert_eq!(failure.doubtful, operation.writes(), "{operation:?}");
            assert!(
                failure.message.contains("a defect of its own"),
                "{failure:?}"
            );
        }
    }

    async fn ask(drivers: &Drivers, operation: Operation) -> Result<(), Failure> {
        match operation {
            Operation::DeviceObserve
            | Operation::DeviceApply
            | Operation::DeviceStatus
            | Operation::DeviceDisplay
            | Operation::NotificationsAsk
            | Operation::NotificationsChange => ask_a_device(drivers, operation).await,
            Operation::OrderFind
            | Operation::OrderPlace
            | Operation::OrderRead
            | Operation::OrderCancel => ask_an_order_server(drivers, operation).await,
            _ => ask_a_broker(drivers, operation).await,
        }
    }

    /// Returns true if an operation is still under way after a minute.
    async fn waits(asked: &mut (impl Future<Output = Result<(), Failure>> + Unpin)) -> bool {
        timeout(Duration::from_mins(1), asked).await.is_err()
    }

    // shows K1
    #[tokio::test(start_paused = true)]
    async fn what_changes_something_waits_for_the_fence_and_what_reads_does_not() {
        for operation in OPERATIONS {
            let fence = Fence::closed();
            let world = World::new();
            let drivers = Drivers::fake_behind(Arc::clone(&world), &fence);
            let mut asked = Box::pin(ask(&drivers, operation));
            assert_eq!(waits(&mut asked).await, operation.writes(), "{operation:?}");
            if operation.writes() {
                assert_eq!(world.count(operation), 0, "{operation:?}");
                fence.open_for(Duration::from_mins(2));
                assert!(!waits(&mut asked).await, "{operation:?}");
                assert_eq!(world.count(operation), 1, "{operation:?}");
            }
        }
    }

    // shows K1
    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_when_the_fence_closes_is_broken_off_and_left_in_doubt() {
        for operation in OPERATIONS.into_iter().filter(|it| it.writes()) {
            let fence = Fence::closed();
            fence.open_for(Duration::from_secs(2));
            let world = World::new();
            world.script(None, operation, Fault::Hang, 1);
            let drivers = Drivers::fake_behind(Arc::clone(&world), &fence);
            let mut asked = Box::pin(ask(&drivers, operation));
            assert!(waits(&mut asked).await, "nobody hears of it: {operation:?}");
            fence.open_for(Duration::from_secs(2));
            let failure = asked.await.expect_err("it was broken off");
            assert_eq!(failure.kind, FailureKind::TimedOut, "{operation:?}");
            assert!(failure.doubtful, "{operation:?}");
            assert!(failure.message.contains("its Lease"), "{failure:?}");
        }
    }
}
