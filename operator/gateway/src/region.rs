//! GET /v1/region. Answered for everybody, also while the cluster cannot be read.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use entente_domain::gateway::{
    problem::Problem,
    region::{Place, look_up},
};

use crate::{
    Gateway,
    answers::{Answer, json, refusal},
    availability::RETRY_AFTER,
    calls::{BEARER, query},
};

/// Answers the gateway of a place.
pub(crate) async fn get(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let found = || -> Answer {
        gateway.admit(&parts)?;
        let answer = gateway.with_agent(|agent| {
            let place = Place::read(&query(&parts))?;
            let region = look_up(agent, &place)?;
            Ok(json(StatusCode::OK, &region.body(gateway.now())))
        });
        answer.ok_or(Problem::Unavailable(RETRY_AFTER))?
    };
    found().unwrap_or_else(|problem| refusal(&problem, BEARER))
}
