//! The routes, each with its name in the metrics and the methods that it has.
//!
//! A request that no route has is answered here. Decides nothing else. Called once.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    extract::{FromRequestParts, Path, Request, State},
    http::request::Parts,
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
    routing::{MethodRouter, delete, get, patch, post, put},
};
use entente_domain::gateway::problem::Problem;

use crate::{
    Gateway, activations, answers::refusal, bodies, calls::BEARER, credentials, ddi, events,
    region, registrations, reports, services, twins,
};

/// The id of a device in a path; empty if it is no text, which is that of no device.
pub(crate) struct PrinterId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PrinterId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(path.map(|Path(text)| text).unwrap_or_default()))
    }
}

type Routes = MethodRouter<Arc<Gateway>>;

/// Returns every route.
pub(crate) fn router(gateway: &Arc<Gateway>) -> Router {
    let counted = |name: &'static str| from_fn_with_state((Arc::clone(gateway), name), count);
    let route = |name: &'static str, allow: &'static str, routes: Routes| {
        with_fallback(gateway, name, allow, routes)
    };
    let unknown = MethodRouter::<Arc<Gateway>>::new()
        .fallback(async || refusal(&Problem::NotFound, BEARER))
        .layer(counted("unknown"));
    let device = "/v1/devices/{printerId}";
    Router::new()
        .route("/v1/region", route("region", "GET, HEAD", get(region::get)))
        .route(
            "/v1/registrations",
            route("registrations", "POST", post(registrations::post)),
        )
        .route(
            "/v1/registrations/{registrationId}",
            route("registration", "GET, HEAD", get(registrations::get)),
        )
        .route(
            device,
            route("device", "DELETE", delete(credentials::withdraw)),
        )
        .route(
            &format!("{device}/credential"),
            route("credential", "POST", post(credentials::renew)),
        )
        .route(
            &format!("{device}/services"),
            route("services", "GET, HEAD", get(services::get)),
        )
        .route(
            &format!("{device}/services/{{applicationId}}/activation"),
            route("activation", "PUT", put(activations::put)),
        )
        .route(
            &format!("{device}/events"),
            route("events", "POST", post(events::post)),
        )
        .route(
            &format!("{device}/twin"),
            route("twin", "GET, HEAD", get(twins::get)),
        )
        .route(
            &format!("{device}/twin/reported"),
            route("reported", "PATCH", patch(reports::patch)),
        )
        .merge(of_ddi(gateway))
        .fallback_service(unknown.with_state(Arc::clone(gateway)))
        .layer(from_fn(bodies::read_on))
        .with_state(Arc::clone(gateway))
}

/// Returns the routes of DDI.
fn of_ddi(gateway: &Arc<Gateway>) -> Router<Arc<Gateway>> {
    let controller = "/{namespace}/controller/v1/{controllerId}";
    let reads = "GET, HEAD";
    let config_data = put(ddi::put_config_data).post(ddi::put_config_data);
    let routes: [(&str, &'static str, &'static str, Routes); 7] = [
        ("", "ddi", reads, get(ddi::get_base)),
        ("/configData", "configData", "PUT, POST", config_data),
        (
            "/deploymentBase/{actionId}",
            "deploymentBase",
            reads,
            get(ddi::get_deployment),
        ),
        (
            "/deploymentBase/{actionId}/feedback",
            "deploymentFeedback",
            "POST",
            post(ddi::post_deployment_feedback),
        ),
        (
            "/cancelAction/{actionId}",
            "cancelAction",
            reads,
            get(ddi::get_cancellation),
        ),
        (
            "/cancelAction/{actionId}/feedback",
            "cancelFeedback",
            "POST",
            post(ddi::post_cancellation_feedback),
        ),
        (
            "/softwaremodules/{moduleId}/artifacts/{fileName}",
            "artifact",
            reads,
            get(ddi::get_file),
        ),
    ];
    let mut all = Router::new();
    for (path, name, allow, routes) in routes {
        let routes = with_fallback(gateway, name, allow, routes);
        all = all.route(&format!("{controller}{path}"), routes);
    }
    all
}

/// Returns the methods of a path, with the answer to all others, counted under this name.
fn with_fallback(
    gateway: &Arc<Gateway>,
    name: &'static str,
    allow: &'static str,
    routes: Routes,
) -> Routes {
    let refused = async move || refusal(&Problem::MethodNotAllowed(allow), BEARER);
    let counted = from_fn_with_state((Arc::clone(gateway), name), count);
    routes.fallback(refused).layer(counted)
}

/// Counts a request under the name of its route.
async fn count(
    State((gateway, route)): State<(Arc<Gateway>, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let code = response.status().as_u16();
    gateway.parts.metrics.gateway_request(route, code);
    response
}
