//! GET /v1/devices/{printerId}/services.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    response::Response,
};
use entente_controllers::cache::Key;
use entente_crds::v1alpha1::{Device, DeviceModel, DeviceTwin};
use entente_domain::gateway::{activation::DeviceFacts, services::Services};
use jiff::Timestamp;

use crate::{
    Gateway,
    answers::{Answer, json, refusal, set},
    calls::{BEARER, Known},
    held::{self, Document},
    router::PrinterId,
};

/// Objects that have the abilities and the switches of a device.
pub(crate) struct OfDevice {
    device: Option<Arc<Device>>,
    model: Option<Arc<DeviceModel>>,
    twin: Arc<DeviceTwin>,
}

impl OfDevice {
    /// Reads them from the caches.
    pub(crate) fn of(gateway: &Gateway, known: &Known) -> Self {
        let device = gateway.objects.devices.get(&known.key);
        let model = device.as_ref().and_then(|device| {
            let key = Key::new("", &device.spec.model_ref.name);
            gateway.objects.models.get(&key)
        });
        let twin = Arc::clone(&known.twin);
        Self {
            device,
            model,
            twin,
        }
    }

    pub(crate) fn facts(&self) -> DeviceFacts<'_> {
        let device = self.device.as_ref();
        let status = device.and_then(|it| it.status.as_ref());
        let twin = self.twin.status.as_ref();
        DeviceFacts {
            model: device.map(|it| it.spec.model_ref.name.as_str()),
            model_spec: self.model.as_ref().map(|it| &it.spec),
            capabilities: twin.and_then(|it| it.capabilities.as_ref()),
            switches: status.map_or(&[], |it| &it.local_enablement),
            holds: status.map_or(&[], |it| &it.exclusive),
        }
    }
}

impl Document for Services {
    fn look(gateway: &Gateway, known: &Known) -> Self {
        let service = |name: &str| gateway.objects.services.get(&Key::new("", name));
        let device = OfDevice::of(gateway, known);
        let subscriptions = gateway.subscriptions(&known.key);
        Self::of(&subscriptions, (service, &device.facts()), gateway.now())
    }

    fn etag(&self, _: &Known) -> String {
        self.etag()
    }

    fn newest(_: &str) -> Option<i64> {
        None
    }

    fn changes(&self) -> Option<Timestamp> {
        self.changes
    }

    async fn whole(self, _: &Gateway, _: &Known, next: &str) -> Answer {
        let mut answer = json(StatusCode::OK, &self.body(next));
        set(&mut answer, header::CACHE_CONTROL, "no-cache");
        Ok(answer)
    }
}

/// Answers the contracted services of a device.
pub(crate) async fn get(
    State(gateway): State<Arc<Gateway>>,
    PrinterId(printer_id): PrinterId,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let answer = held::get::<Services>(&gateway, parts, printer_id).await;
    answer.unwrap_or_else(|problem| refusal(&problem, BEARER))
}
