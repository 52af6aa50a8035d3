//! PATCH /v1/devices/{printerId}/twin/reported.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header, request::Parts},
    response::Response,
};
use entente_controllers::cache::Key;
use entente_crds::v1alpha1::{DeviceTwin, ValueType};
use entente_domain::gateway::{
    admission,
    body::MERGE_PATCH,
    headers::{lets, newest},
    poll::iso,
    problem::Problem,
    reported::{Report, is_wanted_secret},
    twin::etag,
};

use crate::{
    Gateway,
    answers::{Answer, empty, refusal, set, set_next},
    bodies,
    calls::{BEARER, Known},
    router::PrinterId,
};

/// Takes a report of a device.
pub(crate) async fn patch(
    State(gateway): State<Arc<Gateway>>,
    PrinterId(printer_id): PrinterId,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let answer = reported(&gateway, &parts, body, &printer_id).await;
    answer.unwrap_or_else(|problem| refusal(&problem, BEARER))
}

async fn reported(gateway: &Gateway, parts: &Parts, body: Body, printer_id: &str) -> Answer {
    let owns = |known: &Known| admission::owns(&known.twin, printer_id);
    let known = gateway.call(parts, BEARER, owns).await?;
    let body = bodies::read(&parts.headers, body, MERGE_PATCH).await?;
    let if_match = parts.headers.get(header::IF_MATCH);
    // One that is no text matches nothing.
    let if_match = if_match.map(|value| value.to_str().unwrap_or("\"\""));
    let known = gateway.caught_up(known, if_match.and_then(newest)).await?;
    let is_based_on = |twin: &DeviceTwin| {
        let etag = etag(twin);
        if lets(if_match, &etag) {
            return Ok(());
        }
        Err(Problem::PreconditionFailed(etag))
    };
    is_based_on(&known.twin)?;
    let report = Report::read(&body)?;
    let known = gateway.caught_up(known, report.desired_version()).await?;
    let decide = |twin: &DeviceTwin| {
        gateway.standing(&known.key, twin, &known.sha256)?;
        admission::consents(twin)?;
        is_based_on(twin)?;
        let is_secret =
            |name: &str| is_wanted_secret(twin, name) || gateway.is_secret(&known.key, name);
        report.apply(twin, is_secret, gateway.now()).map(Some)
    };
    let twin = gateway.change_status(&known.key, decide).await?;
    let known = Known { twin, ..known };
    let mut answer = empty(StatusCode::NO_CONTENT);
    set(&mut answer, header::ETAG, &etag(&known.twin));
    set_next(&mut answer, &iso(gateway.next_call(&known)));
    Ok(answer)
}

impl Gateway {
    /// True if the model of a device says that a setting is a secret.
    fn is_secret(&self, device: &Key, name: &str) -> bool {
        let device = self.objects.devices.get(device);
        let model = device.and_then(|device| {
            let model = Key::new("", &*device.spec.model_ref.name);
            self.objects.models.get(&model)
        });
        model.is_some_and(|model| {
            let mut settings = model.spec.settings.iter();
            settings.any(|setting| {
                let key = setting.via.agent.as_ref().map(|agent| &*agent.key);
                setting.r#type == ValueType::Secret && key == Some(name)
            })
        })
    }
}
