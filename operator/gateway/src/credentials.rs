//! POST /v1/devices/{printerId}/credential and DELETE /v1/devices/{printerId}.
//!
//! A token is made here, of random bytes, and answered once; only its digest is written.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, request::Parts},
    response::Response,
};
use entente_crds::v1alpha1::{DeviceTwin, DeviceTwinStatus};
use entente_domain::gateway::{
    admission,
    credential::{self, TOKEN_BYTES, renew_after, renewed},
    problem::Problem,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    Gateway,
    answers::{Answer, empty, json as answer_json, refusal, set_no_store},
    availability::RETRY_AFTER,
    calls::{BEARER, Known, query},
    router::PrinterId,
};

/// A token that nobody has yet.
pub(crate) struct NewToken {
    text: Zeroizing<String>,
    pub(crate) sha256: String,
}

impl NewToken {
    /// Makes one.
    pub(crate) fn make() -> Result<Self, Problem> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        getrandom::fill(&mut *bytes).map_err(|error| {
            tracing::error!(%error, "this machine has no random numbers");
            Problem::Unavailable(RETRY_AFTER)
        })?;
        let text = Zeroizing::new(credential::token(&bytes));
        Ok(Self {
            sha256: credential::digest(&text),
            text,
        })
    }

    /// Returns the part of an answer that has it.
    pub(crate) fn body(&self, issued: Timestamp) -> Value {
        json!({"type": "Token", "token": *self.text, "renewAfter": renew_after(issued)})
    }
}

/// Renews the credential of a device.
pub(crate) async fn renew(
    State(gateway): State<Arc<Gateway>>,
    PrinterId(printer_id): PrinterId,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let answer = renewal(&gateway, &parts, &printer_id).await;
    answer.unwrap_or_else(|problem| refusal(&problem, BEARER))
}

async fn renewal(gateway: &Gateway, parts: &Parts, printer_id: &str) -> Answer {
    let owns = |known: &Known| admission::owns(&known.twin, printer_id);
    let known = gateway.call(parts, BEARER, owns).await?;
    let token = NewToken::make()?;
    let now = gateway.now();
    let decide = |twin: &DeviceTwin| {
        let standing = gateway.standing(&known.key, twin, &known.sha256)?;
        admission::consents(twin)?;
        let status = twin.status.clone().unwrap_or_default();
        let before = status.credential.as_ref();
        let before = before.ok_or(Problem::CredentialInvalid)?;
        let credential = renewed(before, standing, token.sha256.clone(), now);
        Ok(Some(DeviceTwinStatus {
            credential: Some(credential),
            ..status
        }))
    };
    gateway.change_status(&known.key, decide).await?;
    let (namespace, device) = (&known.key.namespace, &known.key.name);
    tracing::info!(namespace, device, "the credential of a device was renewed");
    let mut answer = answer_json(StatusCode::CREATED, &token.body(now));
    set_no_store(&mut answer);
    Ok(answer)
}

/// Records that the owner of a device has withdrawn the consent.
pub(crate) async fn withdraw(
    State(gateway): State<Arc<Gateway>>,
    PrinterId(printer_id): PrinterId,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let answer = withdrawal(&gateway, &parts, &printer_id).await;
    answer.unwrap_or_else(|problem| refusal(&problem, BEARER))
}

async fn withdrawal(gateway: &Gateway, parts: &Parts, printer_id: &str) -> Answer {
    // Not as other calls: this one is answered after a withdrawal, too.
    let known = gateway.identify(parts, BEARER)?;
    admission::owns(&known.twin, printer_id)?;
    gateway.admit_device(&known)?;
    let query = query(parts);
    let now = gateway.now();
    let decide = |twin: &DeviceTwin| {
        let standing = gateway.standing(&known.key, twin, &known.sha256)?;
        let status = admission::withdrawn(twin, &query, now)?;
        Ok(status.map(|mut status| {
            let credential = status.credential.as_ref();
            status.credential = credential.map(|it| credential::after_use(it, standing, now));
            status
        }))
    };
    gateway.change_status(&known.key, decide).await?;
    let (namespace, device) = (&known.key.namespace, &known.key.name);
    tracing::info!(namespace, device, "the consent for a device was withdrawn");
    Ok(empty(StatusCode::NO_CONTENT))
}
