//! The board: pages to read for people without kubectl (docs/guide/board.md).
//!
//! It finds the token of a request, bounds requests and time, and answers pages; what a viewer sees is
//! decided behind [`entente_controllers::board`]. It must never change anything, and never log or show a
//! token. Served while the flags say so, over TLS, or plain on a loopback address.

mod ask;
mod pages;
mod session;

use std::{io, sync::Arc, time::Duration};

use axum::{
    Form, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use axum_server::tls_rustls::RustlsConfig;
use entente_controllers::{
    board::{Board, BoardFault, Caller},
    metrics::Metrics,
    shutdown::Shutdown,
};
use entente_domain::views::TreeOptions;
use serde::Deserialize;
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tracing::warn;

use self::{
    ask::{Ask, Given},
    pages::{Page, Refused, Viewer},
    session::Session,
};
use crate::bounded_http;

/// Connections that are open at once; one more is closed as it comes.
const CONNECTIONS: usize = 64;
/// Requests that are worked on at once; one more is told to come again. Few, so that a board never
/// stops reconciles.
const REQUESTS: usize = 4;
/// Time in which the API server says who a viewer is and what that one may list.
const PATIENCE: Duration = Duration::from_secs(10);

/// Parts of the board that each request needs.
#[derive(Clone)]
pub(crate) struct Pages {
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    session: Session,
    slots: Arc<Semaphore>,
}

impl Pages {
    /// Returns the pages of a board. A cookie is sent over TLS alone where `is_tls` is true.
    pub(crate) fn new(board: Arc<Board>, metrics: Arc<Metrics>, is_tls: bool) -> Self {
        Self {
            board,
            metrics,
            session: Session { is_tls },
            slots: Arc::new(Semaphore::new(REQUESTS)),
        }
    }
}

/// Serves until the shutdown is requested and requests under way have ended.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    pages: Pages,
    shutdown: Shutdown,
) -> io::Result<()> {
    bounded_http::serve(listener, tls, router(pages), CONNECTIONS, shutdown).await
}

fn router(pages: Pages) -> Router {
    Router::new()
        .route("/", get(start))
        .route("/namespaces/{namespace}/contracts/{name}", get(contract))
        .route(
            "/sign-in",
            get(async || Page::START.sign_in(None)).post(sign_in),
        )
        .route("/sign-out", post(sign_out))
        .method_not_allowed_fallback(async || Page::ELSEWHERE.method_not_allowed())
        .fallback(async || Page::ELSEWHERE.not_found())
        .layer(axum::middleware::from_fn_with_state(pages.clone(), guard))
        .with_state(pages)
}

/// Gives a request one of the places, and each answer the headers that keep a page to itself.
async fn guard(
    State(pages): State<Pages>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let mut answer = match pages.slots.try_acquire() {
        Ok(_slot) => {
            let answered = timeout(PATIENCE, next.run(request)).await;
            answered.unwrap_or_else(|_| {
                warn!("the API server does not answer for a viewer of the board");
                Page::ELSEWHERE.of_fault(BoardFault::Unavailable)
            })
        }
        Err(_) => Page::ELSEWHERE.too_many(),
    };
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, pages::content_policy());
    pages.metrics.board_request(answer.status().as_u16());
    answer
}

async fn start(
    State(pages): State<Pages>,
    headers: HeaderMap,
    given: Result<Query<Given>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Ok(Query(given)) = given else {
        return Page::START
            .bad_request("Each field of the query must be there once at most, in UTF-8.");
    };
    let ask = match Ask::try_from(given) {
        Ok(ask) => ask,
        Err(problem) => return Page::START.bad_request(&problem),
    };
    let (caller, viewer) = match pages.viewer(&headers).await {
        Ok(found) => found,
        Err(refused) => return Page::START.refuse(&refused),
    };
    match pages.board.seen(&caller, ask.filter()).await {
        Ok(seen) => Page::START.start(&viewer, &ask, &seen),
        Err(fault) => Page::START.of_fault(fault),
    }
}

async fn contract(
    State(pages): State<Pages>,
    headers: HeaderMap,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
) -> Response {
    // A path that is no text names no contract.
    let Ok(Path((namespace, name))) = path else {
        return Page::CONTRACT.not_found();
    };
    let (caller, viewer) = match pages.viewer(&headers).await {
        Ok(found) => found,
        Err(refused) => return Page::CONTRACT.refuse(&refused),
    };
    let options = TreeOptions::default();
    let tree = pages.board.contract(&caller, &namespace, &name, options);
    match tree.await {
        Ok(tree) => Page::CONTRACT.contract(&viewer, &tree),
        Err(fault) => Page::CONTRACT.of_fault(fault),
    }
}

/// The form of the page to sign in.
#[derive(Deserialize)]
struct SignIn {
    token: String,
}

async fn sign_in(
    State(pages): State<Pages>,
    headers: HeaderMap,
    form: Result<Form<SignIn>, axum::extract::rejection::FormRejection>,
) -> Response {
    if session::is_from_elsewhere(&headers) {
        return Page::START
            .bad_request("The form was sent by another site. Open the board, and sign in there.");
    }
    let Ok(Form(SignIn { token })) = form else {
        return Page::START.bad_request("The form must have the field token.");
    };
    let token = token.trim();
    let cookie = match pages.session.begin(token) {
        Ok(cookie) => cookie,
        Err(problem) => return Page::START.sign_in(Some(&problem)),
    };
    match pages.board.viewer(Some(token)).await {
        Ok(_) => to_start(cookie),
        Err(BoardFault::Unknown) => Page::START.sign_in(Some(
            "The API server does not know this token, or it is not for the audience entente.",
        )),
        Err(fault) => Page::START.of_fault(fault),
    }
}

async fn sign_out(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    if session::is_from_elsewhere(&headers) {
        return Page::START.bad_request("The form was sent by another site.");
    }
    to_start(pages.session.end())
}

/// Leads to the first page, by a path that also holds behind a prefix.
fn to_start(cookie: HeaderValue) -> Response {
    let place = HeaderValue::from_static("./");
    let headers = [(header::LOCATION, place), (header::SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

impl Pages {
    /// Returns the viewer: by the header that a proxy sets, else by the cookie of a browser.
    async fn viewer(&self, headers: &HeaderMap) -> Result<(Caller, Viewer), Refused> {
        let (token, by_cookie) = self.session.token(headers);
        let caller = self.board.viewer(token).await;
        let caller = caller.map_err(|fault| Refused {
            fault,
            problem: match token {
                None => None,
                Some(_) if by_cookie => Some("The session has ended: sign in with a new token."),
                // Who signs in by the form would not get past it: the header comes first.
                Some(_) => Some(
                    "The token in the header Authorization is not known, or not for the audience \
                     entente. Where a proxy sets it, correct it there.",
                ),
            },
        })?;
        let viewer = Viewer {
            name: caller.user().to_owned(),
            by_cookie,
        };
        Ok((caller, viewer))
    }
}

#[cfg(test)]
mod tests;
