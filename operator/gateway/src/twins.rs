//! GET /v1/devices/{printerId}/twin.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use entente_controllers::{secrets::Unread, status::read};
use entente_crds::v1alpha1::{DeviceTwin, SecretKeyReference};
use entente_domain::{
    gateway::{headers, problem::Problem, twin},
    secret::SecretText,
};
use jiff::Timestamp;

use crate::{
    Gateway,
    answers::{Answer, json, refusal, set_no_store},
    availability::RETRY_AFTER,
    calls::{BEARER, Known},
    held::{self, Document},
    router::PrinterId,
    statuses::unwritten,
};

struct Twin;

impl Document for Twin {
    fn look(_: &Gateway, _: &Known) -> Self {
        Self
    }

    fn etag(&self, known: &Known) -> String {
        twin::etag(&known.twin)
    }

    fn newest(tags: &str) -> Option<i64> {
        headers::newest(tags)
    }

    fn changes(&self) -> Option<Timestamp> {
        None
    }

    async fn whole(self, gateway: &Gateway, known: &Known, next: &str) -> Answer {
        let secrets = gateway.secrets_of(known).await?;
        gateway.note_given(known, &secrets).await?;
        let secret = |reference: &_| secrets.get(reference).map(SecretText::expose);
        let body = twin::body(&known.twin, secret, next);
        let mut answer = json(StatusCode::OK, &body);
        set_no_store(&mut answer);
        Ok(answer)
    }
}

type Values<'a> = BTreeMap<&'a SecretKeyReference, SecretText>;

impl Gateway {
    /// Returns a device with its twin of this version at least, if there is one. Another replica may have
    /// told it of a version that the watch here brings a moment later; it must not be told of an older one
    /// after that.
    pub(crate) async fn caught_up(
        &self,
        known: Known,
        newest: Option<i64>,
    ) -> Result<Known, Problem> {
        if newest.is_none_or(|newest| newest <= twin::version(&known.twin)) {
            return Ok(known);
        }
        let read = read(&self.twins(&known.key.namespace), &known.key).await;
        if let Some(fresh) = read.map_err(|error| unwritten(&error))? {
            self.objects.twins.put_written(fresh);
        }
        // A version that there never was, or not in this cluster, is as if none were known.
        self.authenticate(&known.sha256)
    }

    /// Returns the values of the secrets that a device has to be told. One that cannot be read for good is
    /// left out; its Device says so in its status.
    async fn secrets_of<'a>(&self, known: &'a Known) -> Result<Values<'a>, Problem> {
        let mut values = BTreeMap::new();
        for reference in twin::wanted_secrets(&known.twin) {
            let namespace = &known.key.namespace;
            let read = self.secrets.digested_text(namespace, reference, self.now());
            match read.await {
                Ok(value) => _ = values.insert(reference, value),
                Err(Unread::Unusable(_, problem)) => {
                    let device = &known.key.name;
                    tracing::warn!(namespace, device, problem, "a setting is left out");
                }
                Err(Unread::Unanswered(problem)) => {
                    tracing::warn!(namespace, problem, "a twin with secrets is not answered");
                    return Err(Problem::Unavailable(RETRY_AFTER));
                }
            }
        }
        Ok(values)
    }

    /// Writes down which values of Secrets a device is about to be given: a Secret may have been edited
    /// since its twin was written, and the device tells no secret.
    async fn note_given(&self, known: &Known, secrets: &Values<'_>) -> Result<(), Problem> {
        if secrets.is_empty() {
            return Ok(());
        }
        let version = twin::version(&known.twin);
        let digest_of = |reference: &_| secrets.get(reference).map(SecretText::digest);
        let decide = |twin: &DeviceTwin| {
            self.standing(&known.key, twin, &known.sha256)?;
            Ok(twin::after_giving(twin, version, digest_of))
        };
        self.change_status(&known.key, decide).await?;
        Ok(())
    }
}

/// Answers what a device should hold.
pub(crate) async fn get(
    State(gateway): State<Arc<Gateway>>,
    PrinterId(printer_id): PrinterId,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let answer = held::get::<Twin>(&gateway, parts, printer_id).await;
    answer.unwrap_or_else(|problem| refusal(&problem, BEARER))
}
