//! The routes of DDI: base, configData, deploymentBase, cancelAction and artifacts.
//!
//! A device is told of an installation only when its file is on the disk of this replica and was
//! compared, and that it was told is written before it is answered. Links lead to this gateway and to no
//! other host. Decides nothing: `entente_domain::gateway::ddi` does. Called by the router.

mod files;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequestParts, RawPathParams, Request, State},
    http::{StatusCode, header, request::Parts},
    response::Response,
};
use entente_crds::v1alpha1::{DeviceTwin, DeviceTwinStatus};
use entente_domain::gateway::{
    admission,
    body::JSON,
    ddi::{self, ConfigData, Controller, Feedback, Links, TARGET_TOKEN},
    problem::Problem,
};
use jiff::SignedDuration;
use tokio::time::Instant;

use crate::{
    Gateway,
    answers::{Answer, empty, json, refusal},
    artifacts::Missing,
    bodies::{self, text},
    calls::Known,
};

/// Time for which a device that asks what there is to do waits for a file.
const PATIENCE_OF_BASE: Duration = Duration::from_secs(2);
/// Time for which a device that reads an action, or a file, waits for the file. Clients of DDI take a
/// refusal of a file for the failure of the installation, and give a silent connection up after a minute
/// (rauc-hawkbit-updater) or five (swupdate).
pub(crate) const PATIENCE: Duration = Duration::from_secs(50);

/// The variable segments of a path, in their order; empty if one is no text, which is none of a device.
pub(crate) struct Segments(Vec<String>);

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let read = RawPathParams::from_request_parts(parts, state).await;
        let segments = read.iter().flat_map(|params| params.iter());
        Ok(Self(segments.map(|(_, value)| value.to_owned()).collect()))
    }
}

impl Segments {
    fn get(&self, place: usize) -> &str {
        self.0.get(place).map_or("", String::as_str)
    }

    fn controller(&self) -> (&str, &str) {
        (self.get(0), self.get(1))
    }

    fn action(&self) -> Option<i64> {
        ddi::number(self.get(2))
    }
}

/// A device that calls by DDI.
struct Caller {
    known: Known,
    controller: Controller,
    links: Links,
}

impl Gateway {
    /// Judges everything about a caller that comes before its body.
    async fn caller(&self, parts: &Parts, path: &Segments) -> Result<Caller, Problem> {
        let of = |known: &Known| {
            let (namespace, name) = (&*known.key.namespace, &*known.key.name);
            Controller::of(path.controller(), (namespace, name))
        };
        let owns = |known: &Known| of(known).map(drop);
        let known = self.call(parts, TARGET_TOKEN, owns).await?;
        let controller = of(&known)?;
        let url = self.own_url(parts);
        let (namespace, id) = path.controller();
        let links = Links {
            controller: format!("{url}/{namespace}/controller/v1/{id}"),
            is_plain: self.parts.options.plain,
        };
        Ok(Caller {
            known,
            controller,
            links,
        })
    }

    /// Returns the beginning of links: the URL that devices dial. Without TLS, which is on loopback
    /// alone, it is the address that the device has dialled.
    fn own_url(&self, parts: &Parts) -> String {
        let host = text(&parts.headers, header::HOST).filter(|_| self.parts.options.plain);
        if let Some(host) = host {
            return format!("http://{host}");
        }
        let url = self.with_agent(|agent| agent.url.trim_end_matches('/').to_owned());
        url.unwrap_or_default()
    }

    /// Changes the status of the twin of a caller, as long as it may call.
    async fn change(
        &self,
        caller: &Caller,
        decide: impl Fn(&DeviceTwin) -> Result<Option<DeviceTwinStatus>, Problem>,
    ) -> Result<Arc<DeviceTwin>, Problem> {
        let known = &caller.known;
        let decide = |twin: &DeviceTwin| {
            self.standing(&known.key, twin, &known.sha256)?;
            admission::consents(twin)?;
            decide(twin)
        };
        self.change_status(&known.key, decide).await
    }
}

fn answered(answer: Answer) -> Response {
    answer.unwrap_or_else(|problem| refusal(&problem, TARGET_TOKEN))
}

/// Answers what there is to do.
pub(crate) async fn get_base(
    State(gateway): State<Arc<Gateway>>,
    path: Segments,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    answered(base(&gateway, &parts, &path).await)
}

async fn base(gateway: &Arc<Gateway>, parts: &Parts, path: &Segments) -> Answer {
    let caller = gateway.caller(parts, path).await?;
    let (controller, now) = (caller.controller, gateway.now());
    gateway.forget_stale(&caller).await;
    let twin = Arc::clone(&caller.known.twin);
    let mut next = gateway.next_call(&caller.known);
    let mut told = (twin, None);
    if let Some(wanted) = ddi::offer(&told.0, controller, now).installation {
        let action = wanted.action;
        let is_there = gateway.file(&caller, wanted, PATIENCE_OF_BASE).await;
        match is_there {
            Ok(_) => {
                let decide = |twin: &DeviceTwin| {
                    let still = ddi::offer(twin, controller, now).installation;
                    let still = still.filter(|it| it.action == action);
                    Ok(still.and_then(|_| ddi::after_offer(twin, action, now)))
                };
                told = (gateway.change(&caller, decide).await?, Some(action));
            }
            // It comes again for the file, also if that is within its usual time.
            Err(missing) => {
                next = next.min(SignedDuration::from_secs(missing.seconds().into()));
            }
        }
    }
    let (twin, told) = told;
    let mut offer = ddi::offer(&twin, controller, now);
    if offer.installation.map(|it| it.action) != told {
        offer = offer.without_installation();
    }
    Ok(json(StatusCode::OK, &ddi::base(offer, &caller.links, next)))
}

/// Answers an action.
pub(crate) async fn get_deployment(
    State(gateway): State<Arc<Gateway>>,
    path: Segments,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    answered(deployment(&gateway, &parts, &path).await)
}

async fn deployment(gateway: &Arc<Gateway>, parts: &Parts, path: &Segments) -> Answer {
    let caller = gateway.caller(parts, path).await?;
    let twin = &caller.known.twin;
    let installation = ddi::alive(twin, caller.controller, path.action())?;
    let file = gateway.file(&caller, installation, PATIENCE).await;
    let file = file.map_err(|missing| Problem::ArtifactUnavailable(missing.seconds()))?;
    let digests = ddi::Digests {
        sha1: &file.digests.sha1,
        md5: &file.digests.md5,
        sha256: &file.digests.sha256,
    };
    let body = ddi::deployment(installation, digests, &caller.links);
    Ok(json(StatusCode::OK, &body))
}

/// Answers a cancellation.
pub(crate) async fn get_cancellation(
    State(gateway): State<Arc<Gateway>>,
    path: Segments,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    answered(cancellation(&gateway, &parts, &path).await)
}

async fn cancellation(gateway: &Gateway, parts: &Parts, path: &Segments) -> Answer {
    let caller = gateway.caller(parts, path).await?;
    let stop = ddi::stop(&caller.known.twin, path.action())?;
    Ok(json(StatusCode::OK, &ddi::cancellation(stop)))
}

/// Answers a file, or a part of it.
pub(crate) async fn get_file(
    State(gateway): State<Arc<Gateway>>,
    path: Segments,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    answered(file(&gateway, &parts, &path).await)
}

async fn file(gateway: &Arc<Gateway>, parts: &Parts, path: &Segments) -> Answer {
    let caller = gateway.caller(parts, path).await?;
    let named = (path.get(2), path.get(3));
    let installation = ddi::of_file(&caller.known.twin, caller.controller, named)?;
    let unavailable = |missing: Missing| Problem::ArtifactUnavailable(missing.seconds());
    // The file and a place among those who read wait for no longer together.
    let begun = Instant::now();
    let file = gateway.file(&caller, installation, PATIENCE).await;
    let file = file.map_err(unavailable)?;
    let left = PATIENCE.saturating_sub(begun.elapsed());
    let served = gateway.serve_file(file, parts, left).await;
    served.map_err(unavailable)?
}

/// Takes the versions of a device.
pub(crate) async fn put_config_data(
    State(gateway): State<Arc<Gateway>>,
    path: Segments,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    answered(config_data(&gateway, &parts, body, &path).await)
}

async fn config_data(gateway: &Gateway, parts: &Parts, body: Body, path: &Segments) -> Answer {
    let caller = gateway.caller(parts, path).await?;
    let body = bodies::read(&parts.headers, body, JSON).await?;
    let data = ConfigData::read(&body)?;
    let (controller, now) = (caller.controller, gateway.now());
    let decide = |twin: &DeviceTwin| data.apply(twin, controller, now).map(Some);
    gateway.change(&caller, decide).await?;
    Ok(empty(StatusCode::OK))
}

/// Takes feedback about an installation.
pub(crate) async fn post_deployment_feedback(
    State(gateway): State<Arc<Gateway>>,
    path: Segments,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    answered(feedback(&gateway, &parts, body, &path, About::Installation).await)
}

/// Takes feedback about a cancellation.
pub(crate) async fn post_cancellation_feedback(
    State(gateway): State<Arc<Gateway>>,
    path: Segments,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    answered(feedback(&gateway, &parts, body, &path, About::Cancellation).await)
}

/// Subject of feedback.
#[derive(Clone, Copy)]
enum About {
    Installation,
    Cancellation,
}

async fn feedback(
    gateway: &Gateway,
    parts: &Parts,
    body: Body,
    path: &Segments,
    about: About,
) -> Answer {
    let caller = gateway.caller(parts, path).await?;
    let body = bodies::read(&parts.headers, body, JSON).await?;
    let said = Feedback::read(&body)?;
    let (controller, action, now) = (caller.controller, path.action(), gateway.now());
    let decide = |twin: &DeviceTwin| match about {
        About::Installation => said.about_installation(twin, controller, action, now),
        About::Cancellation => said.about_cancellation(twin, action, now),
    };
    gateway.change(&caller, decide).await?;
    Ok(empty(StatusCode::OK))
}
