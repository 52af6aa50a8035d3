//! The guard around every driver: a panic in it ends one request, and nothing else.
//!
//! Drivers give the bytes of strangers to the decoders of others (HTTP, TLS, certificates, IPP,
//! JSON, base64). One that panics there becomes the failure of that remote side, so that the pass
//! reports everything else that it knows. Never looks at a request or an answer, and never puts
//! the words of a panic into a message: they may quote what was sent. Made by [`crate::Drivers`].

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use entente_domain::remote::{
    Catalog, DeviceReadRequest, DeviceReading, DeviceWrite, Failure, FailureKind, InstanceContext,
    InstanceKey, InstanceReading, InstanceRequest, OperationState, ServerAnswer,
};
use futures::FutureExt as _;

use crate::{
    device::{DeviceDriver, DeviceTarget},
    service::{ServerTarget, ServiceDriver},
};

/// A driver whose panics are failures.
pub(crate) struct Guarded<D>(pub(crate) Arc<D>);

/// Effect that a request may have had when the driver panicked.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Effect {
    /// It asks, and changes nothing.
    None,
    /// It may have been carried out.
    Doubtful,
}

/// Waits for an answer; a panic on the way is a failure of this remote side.
async fn guarded<T>(
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
        guarded(connection, Effect::None, self.0.observe(target, request)).await
    }

    async fn apply(&self, target: &DeviceTarget, write: &DeviceWrite) -> Result<(), Failure> {
        let connection = &target.profile.name;
        guarded(connection, Effect::Doubtful, self.0.apply(target, write)).await
    }
}

#[async_trait]
impl<D: ServiceDriver> ServiceDriver for Guarded<D> {
    async fn catalog(&self, target: &ServerTarget) -> Result<Catalog, Failure> {
        let connection = &target.profile.name;
        guarded(connection, Effect::None, self.0.catalog(target)).await
    }

    async fn observe(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        retrievable: bool,
    ) -> Result<InstanceReading, Failure> {
        let request = self.0.observe(target, instance, retrievable);
        guarded(&target.profile.name, Effect::None, request).await
    }

    async fn provision(
        &self,
        target: &ServerTarget,
        request: InstanceRequest<'_>,
    ) -> Result<ServerAnswer, Failure> {
        let request = self.0.provision(target, request);
        guarded(&target.profile.name, Effect::Doubtful, request).await
    }

    async fn update(
        &self,
        target: &ServerTarget,
        request: InstanceRequest<'_>,
    ) -> Result<ServerAnswer, Failure> {
        let request = self.0.update(target, request);
        guarded(&target.profile.name, Effect::Doubtful, request).await
    }

    async fn last_operation(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        operation: Option<&str>,
    ) -> Result<OperationState, Failure> {
        let request = self.0.last_operation(target, instance, operation);
        guarded(&target.profile.name, Effect::None, request).await
    }

    async fn deprovision(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        context: &InstanceContext,
    ) -> Result<ServerAnswer, Failure> {
        let request = self.0.deprovision(target, instance, context);
        guarded(&target.profile.name, Effect::Doubtful, request).await
    }
}

#[cfg(all(test, feature = "fake"))]
mod tests {
    use std::collections::BTreeSet;

    use entente_crds::v1alpha1::{ConnectionSpec, Protocol};
    use entente_domain::{
        protocol::{Manner, Place},
        remote::Value,
        secret::Secrets,
    };
    use serde_json::Map;

    use super::*;
    use crate::{
        Drivers,
        fake::{Fault, Operation, World},
        profile::ConnectionProfile,
    };

    const OPERATIONS: [Operation; 8] = [
        Operation::DeviceObserve,
        Operation::DeviceApply,
        Operation::Catalog,
        Operation::InstanceObserve,
        Operation::Provision,
        Operation::Update,
        Operation::LastOperation,
        Operation::Deprovision,
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

    // shows K7
    #[tokio::test]
    async fn a_driver_that_panics_gives_a_failure_and_one_that_leaves_doubt_if_it_writes() {
        for operation in OPERATIONS {
            let world = World::new();
            world.script(None, operation, Fault::Panic, 1);
            let drivers = Drivers::fake(world);
            let asked = match operation {
                Operation::DeviceObserve | Operation::DeviceApply => {
                    ask_a_device(&drivers, operation).await
                }
                _ => ask_a_broker(&drivers, operation).await,
            };
            let failure = asked.expect_err("it panicked");
            assert_eq!(failure.kind, FailureKind::ProtocolError, "{operation:?}");
            assert_eq!(failure.doubtful, operation.writes(), "{operation:?}");
            assert!(
                failure.message.contains("a defect of its own"),
                "{failure:?}"
            );
        }
    }
}
