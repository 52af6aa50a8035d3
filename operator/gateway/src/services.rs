//! GET /v1/devices/{printerId}/services.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    response::Response,
};
use entente_controllers::cache::Key;
use entente_domain::gateway::{poll::iso, services::Services};
use jiff::Timestamp;

use crate::{
    Gateway,
    answers::{Answer, json, refusal, set},
    calls::{BEARER, Known},
    held::{self, Document},
    router::PrinterId,
};

struct ServiceList;

impl ServiceList {
    fn of(gateway: &Gateway, known: &Known) -> Services {
        let service = |name: &str| gateway.objects.services.get(&Key::new("", name));
        Services::of(&gateway.subscriptions(&known.key), service, gateway.now())
    }
}

impl Document for ServiceList {
    fn look(gateway: &Gateway, known: &Known) -> (String, Option<Timestamp>) {
        let services = Self::of(gateway, known);
        (services.etag(), services.changes)
    }

    async fn whole(gateway: &Gateway, known: &Known) -> Answer {
        let body = Self::of(gateway, known).body(&iso(gateway.next_call(known)));
        let mut answer = json(StatusCode::OK, &body);
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
    let answer = held::get::<ServiceList>(&gateway, parts, printer_id).await;
    answer.unwrap_or_else(|problem| refusal(&problem, BEARER))
}
