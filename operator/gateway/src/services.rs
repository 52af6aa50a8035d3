//! GET /v1/devices/{printerId}/services.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    response::Response,
};
use entente_controllers::cache::Key;
use entente_domain::gateway::services::Services;
use jiff::Timestamp;

use crate::{
    Gateway,
    answers::{Answer, json, refusal, set},
    calls::{BEARER, Known},
    held::{self, Document},
    router::PrinterId,
};

impl Document for Services {
    fn look(gateway: &Gateway, known: &Known) -> Self {
        let service = |name: &str| gateway.objects.services.get(&Key::new("", name));
        Self::of(&gateway.subscriptions(&known.key), service, gateway.now())
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
