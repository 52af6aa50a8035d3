//! `/livez`, `/readyz` and `/metrics`, over plain HTTP.
//!
//! Reads state and shows it; nothing can be changed here. `/livez` names the tasks that do not run any
//! more, with status 503, and answers 200 while there is none; `/readyz` names the missing
//! parts, with status 503 until none is missing, and after that what a person has to do all the same.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use entente_controllers::{
    liveness::Liveness, metrics::Metrics, readiness::Readiness, shutdown::Shutdown,
};
use tokio::net::TcpListener;

#[derive(Clone)]
struct Shown {
    metrics: Arc<Metrics>,
    liveness: Arc<Liveness>,
    readiness: Arc<Readiness>,
}

/// Serves until the shutdown is requested.
pub(crate) async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    (liveness, readiness): (Arc<Liveness>, Arc<Readiness>),
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let router = router(Shown {
        metrics,
        liveness,
        readiness,
    });
    // Answers are immediate, so there is nothing to wait for at the end.
    tokio::select! {
        result = axum::serve(listener, router) => result,
        () = shutdown.requested() => Ok(()),
    }
}

fn router(shown: Shown) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state(shown)
}

async fn live(State(shown): State<Shown>) -> Response {
    ok_unless(&shown.liveness.faults())
}

async fn ready(State(shown): State<Shown>) -> Response {
    let missing = shown.readiness.missing();
    let notes = shown.readiness.notes();
    if missing.is_empty() && !notes.is_empty() {
        return format!("ok\n{}\n", notes.join("\n")).into_response();
    }
    ok_unless(&missing)
}

fn ok_unless(faults: &[String]) -> Response {
    if faults.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, faults.join("\n") + "\n").into_response()
}

/// Answers in OpenMetrics to those who ask for it, as Prometheus does, else in its older text format.
async fn scrape(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    let (kind, text) = if accepted.any(|value| value.contains("application/openmetrics-text")) {
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        (kind, shown.metrics.encode())
    } else {
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        (kind, shown.metrics.encode_for_prometheus())
    };
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use entente_controllers::{
        liveness::Liveness, metrics::Metrics, readiness::Readiness, shutdown::Shutdown,
    };
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    async fn get(address: SocketAddr, path: &str) -> String {
        get_with(address, path, "").await
    }

    async fn get_with(address: SocketAddr, path: &str, header: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\n{header}connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readyz_says_what_is_missing_and_livez_what_does_not_run_any_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let liveness = Arc::new(Liveness::default());
        let readiness = Arc::new(Readiness::waiting_for(&["self-test"]));
        let metrics = Arc::new(Metrics::new("1.2.3"));
        let (trigger, shutdown) = Shutdown::channel();
        let served = tokio::spawn(super::serve(
            listener,
            metrics,
            (Arc::clone(&liveness), Arc::clone(&readiness)),
            shutdown,
        ));

        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("self-test: has not begun"), "{answer}");
        assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200"));
        readiness.set_ready("self-test");
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
        readiness.set_notes("caches", vec!["apply a Connection".to_owned()]);
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(
            answer.ends_with("ok\ncaches: apply a Connection\n"),
            "{answer}"
        );
        let answer = get(address, "/metrics").await;
        assert!(
            answer.contains("entente_build_info{version=\"1.2.3\"} 1"),
            "{answer}"
        );
        assert!(answer.contains("text/plain; version=0.0.4"), "{answer}");
        assert!(!answer.contains("# EOF"), "{answer}");
        // As Prometheus asks.
        let asks = "accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n";
        let answer = get_with(address, "/metrics", asks).await;
        assert!(answer.contains("application/openmetrics-text"), "{answer}");
        assert!(answer.trim_end().ends_with("# EOF"), "{answer}");
        liveness.failed("watch", "the watch of Device panicked".to_owned());
        let answer = get(address, "/livez").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("the watch of Device panicked"), "{answer}");

        trigger.trigger();
        served.await.unwrap().unwrap();
    }
}
