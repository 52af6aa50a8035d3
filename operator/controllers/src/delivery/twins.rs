//! The twin of a device that calls: reads what it says, and writes what the device should hold.
//!
//! Decides nothing: `entente_domain::delivery::twin` does. It stands in place of a driver, and sends
//! requests to the API server alone. Called by execute.

use std::sync::Arc;

use entente_crds::v1alpha1::{Device, DeviceTwin};
use entente_domain::{
    delivery::{
        Action, Pass,
        twin::{TwinChange, is_of, new_twin, reading, wanted_spec},
    },
    remote::{DeviceReading, Failure, FailureKind},
};
use kube::Api;

use super::Delivery;
use crate::{
    cache::Key,
    status::{Created, WriteError, create, read, replace_spec},
};

/// Number of times that a write is decided anew after the gateway wrote in between.
const TRIES: usize = 5;

/// Reads what the twin of the device of a pass says.
pub(super) fn observe(
    delivery: &Delivery,
    pass: &Pass,
    connection: &str,
) -> Result<DeviceReading, Failure> {
    let snapshot = pass.snapshot();
    let connection = snapshot.connections.get(connection);
    let agent = connection.and_then(|connection| connection.spec.agent.as_ref());
    let (Some(device), Some(agent)) = (&snapshot.device, agent) else {
        return Err(failed("the Connection leads to no device that calls"));
    };
    let twin = delivery.objects.twins.get(&Key::of(&**device));
    let now = delivery.context.clock.now();
    let model = snapshot.model.as_ref().map(|model| &model.spec);
    reading(
        twin.as_deref(),
        device,
        model,
        (agent, &snapshot.secrets),
        now,
    )
}

/// Writes what the device of a pass should hold, and returns its twin.
pub(super) async fn write(
    delivery: &Delivery,
    pass: &Pass,
    action: &Action,
) -> Result<Arc<DeviceTwin>, Failure> {
    let snapshot = pass.snapshot();
    let (Some(device), Some(change)) = (&snapshot.device, TwinChange::of(action)) else {
        return Err(failed("the Device does not exist"));
    };
    let client = delivery.context.client.clone();
    let api: Api<DeviceTwin> = Api::namespaced(client, &snapshot.namespace);
    let cache = &delivery.objects.twins;
    let key = Key::of(&**device);
    let mut known = cache.get(&key);
    for _ in 0..TRIES {
        let spec = wanted_spec(known.as_deref(), device, change, &snapshot.secrets);
        let written = match &known {
            None => make(&api, device, spec).await,
            Some(twin) if !is_of(twin, device) => {
                return Err(failed("the twin of an earlier Device is being deleted"));
            }
            Some(twin) if twin.spec == spec => return Ok(Arc::clone(twin)),
            Some(twin) => replace_spec(&api, &**twin, &spec).await,
        };
        match written {
            Ok(twin) if is_of(&twin, device) => return Ok(cache.share_written(twin)),
            Ok(twin) => known = Some(Arc::new(twin)),
            Err(WriteError::Conflict { .. } | WriteError::Gone { .. }) => {
                known = read(&api, &key).await.map_err(unwritten)?.map(Arc::new);
            }
            Err(error) => return Err(unwritten(error)),
        }
    }
    Err(failed("others wrote the twin in between each time"))
}

/// Makes the twin, or returns the one that is there.
async fn make(
    api: &Api<DeviceTwin>,
    device: &Device,
    spec: entente_crds::v1alpha1::DeviceTwinSpec,
) -> Result<DeviceTwin, WriteError> {
    Ok(match create(api, &new_twin(device, spec)).await? {
        Created::New(twin) | Created::Existing(twin) => twin,
    })
}

fn failed(message: &str) -> Failure {
    Failure::new(FailureKind::ProtocolError, message)
}

#[allow(clippy::needless_pass_by_value, reason = "it is the end of the error")]
fn unwritten(error: WriteError) -> Failure {
    tracing::warn!(%error, "the twin of a device could not be written");
    Failure::new(FailureKind::ProtocolError, error.to_string())
}
