//! Tests of the client of the API server: limits, retries and the clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response};
use http_body_util::StreamBody;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{ListParams, WatchParams},
    client::{Body, ClientBuilder},
    core::WatchEvent,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::Semaphore,
    time::Instant,
};
use tower::{BoxError, service_fn};

use super::{Bounded, ClientOptions, TimedOut, connect, is_watch};
use crate::{
    clock::{ClockSkew, FakeClock, SystemClock},
    fake_api::config_map,
    metrics::Metrics,
};

struct Bench {
    bounded: Bounded,
    skew: Arc<ClockSkew>,
    metrics: Arc<Metrics>,
}

fn bench(in_flight: usize) -> Bench {
    let start = "2027-03-01T00:00:00Z".parse().unwrap();
    let (skew, metrics) = (Arc::new(ClockSkew::default()), Arc::new(Metrics::new("0")));
    let bounded = Bounded {
        limit: Duration::from_secs(30),
        slots: Arc::new(Semaphore::new(in_flight)),
        clock: Arc::new(FakeClock::starting_at(start)),
        skew: Arc::clone(&skew),
        metrics: Arc::clone(&metrics),
    };
    Bench {
        bounded,
        skew,
        metrics,
    }
}

/// Returns a client over a server that answers with `answer`.
fn client<F, B>(bench: &Bench, answer: impl Fn(Request<Body>) -> F + Send + 'static) -> Client
where
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, BoxError>(answer.await) }
    });
    ClientBuilder::new(service, "default")
        .with_layer(&bench.bounded)
        .build()
}

fn empty_list(date: &str) -> Response<Body> {
    let text = r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{},"items":[]}"#;
    Response::builder()
        .header("date", date)
        .body(Body::from(text.as_bytes().to_vec()))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_given_up_and_counted() {
    let bench = bench(8);
    let client = client(&bench, |_| std::future::pending::<Response<Body>>());
    let began = Instant::now();
    let api: Api<ConfigMap> = Api::all(client);
    let error = api.list(&ListParams::default()).await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_secs(30));
    let kube::Error::Service(source) = error else {
        panic!("{error}")
    };
    assert!(source.is::<TimedOut>(), "{source}");
    let text = bench.metrics.encode();
    assert!(
        text.contains("entente_api_requests_total{method=\"GET\",code=\"timeout\"} 1"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_may_stay_open_longer_than_a_request() {
    let bench = bench(1);
    let client = client(&bench, |_| async {
        let event = async {
            tokio::time::sleep(Duration::from_secs(50)).await;
            let object = config_map("a", "u1", 5, "a");
            let line = format!(
                "{}\n",
                serde_json::json!({"type": "ADDED", "object": object})
            );
            Ok::<_, BoxError>(http_body::Frame::data(Bytes::from(line)))
        };
        Response::new(StreamBody::new(futures::stream::once(event)))
    });
    let api: Api<ConfigMap> = Api::all(client);
    let mut watch = api
        .watch(&WatchParams::default(), "1")
        .await
        .unwrap()
        .boxed();
    let began = Instant::now();
    let event = watch.next().await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Added(_)), "{event:?}");
    assert_eq!(began.elapsed(), Duration::from_secs(50));
    // It uses none of the slots, of which there is one.
    assert_eq!(bench.bounded.slots.available_permits(), 1);
    assert!(
        bench
            .metrics
            .encode()
            .contains("method=\"WATCH\",code=\"200\"} 1")
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_does_not_wait_behind_requests_that_hang() {
    let bench = bench(1);
    let client = client(&bench, |request| async move {
        if !is_watch(&request) {
            std::future::pending::<()>().await;
        }
        Response::new(Body::empty())
    });
    let api: Api<ConfigMap> = Api::all(client);
    let listing = api.clone();
    let list = tokio::spawn(async move { listing.list(&ListParams::default()).await.is_err() });
    while bench.bounded.slots.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    assert!(api.watch(&WatchParams::default(), "1").await.is_ok());
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(list.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_date_of_an_answer_shows_how_far_the_clock_is_off() {
    let bench = bench(8);
    let ask = async |date: &'static str| {
        let client = client(&bench, move |_| async move { empty_list(date) });
        Api::<ConfigMap>::all(client)
            .list(&ListParams::default())
            .await
            .unwrap();
        bench.skew.is_skewed()
    };
    assert_eq!(ask("Mon, 01 Mar 2027 00:00:04 GMT").await, None);
    assert_eq!(
        ask("Mon, 01 Mar 2027 00:01:00 GMT").await,
        Some(SignedDuration::from_secs(-60))
    );
    assert_eq!(ask("Mon, 01 Mar 2027 00:00:00 GMT").await, None);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_requests_are_under_way_at_once() {
    let bench = bench(3);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let highest = Arc::clone(&most);
    let client = client(&bench, move |_| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&highest));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(20)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            empty_list("Mon, 01 Mar 2027 00:00:00 GMT")
        }
    });
    let api: Api<ConfigMap> = Api::all(client);
    // 9 requests of 20 s each in 3 slots: none is given up although the last ends after 60 s.
    let requests = (0..9).map(|_| async { api.list(&ListParams::default()).await.is_ok() });
    let answers = futures::future::join_all(requests).await;
    assert!(answers.iter().all(|ok| *ok));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_write_that_is_answered_with_503_is_sent_once_and_carries_the_user_agent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let mut requests = Vec::new();
        // A second request would be accepted, too.
        while let Ok(Ok((mut stream, _))) =
            tokio::time::timeout(Duration::from_secs(1), listener.accept()).await
        {
            let mut buffer = vec![0; 4096];
            let length = stream.read(&mut buffer).await.unwrap();
            requests.push(String::from_utf8_lossy(&buffer[..length]).to_lowercase());
            let answer = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });

    let directory = std::env::temp_dir().join(format!("entente-client-{}", std::process::id()));
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{{name: c, cluster: {{server: \"http://{address}\"}}}}]\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         users: [{{name: u, user: {{}}}}]\n"
    );
    std::fs::write(&directory, kubeconfig).unwrap();
    let options = ClientOptions {
        kubeconfig: Some(directory.clone()),
        timeout: Duration::from_secs(5),
        in_flight: 4,
        version: "1.2.3".into(),
    };
    let clock = Arc::new(SystemClock);
    let client = connect(&options, clock, Arc::default(), Arc::new(Metrics::new("0"))).await;
    std::fs::remove_file(&directory).unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client.unwrap(), "acme");
    let object = ConfigMap::default();
    assert!(
        api.create(&kube::api::PostParams::default(), &object)
            .await
            .is_err()
    );
    let requests = server.await.unwrap();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(
        requests[0].contains("user-agent: entente/1.2.3"),
        "{}",
        requests[0]
    );
}

// shows K7
#[tokio::test(start_paused = true)]
async fn a_panic_over_one_request_ends_no_later_one() {
    let bench = bench(8);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let client = client(&bench, move |_| {
        assert_ne!(count.fetch_add(1, Ordering::SeqCst), 0, "on purpose");
        std::future::ready(empty_list("Mon, 01 Mar 2027 00:00:00 GMT"))
    });
    let api: Api<ConfigMap> = Api::all(client);
    let failed = api.list(&ListParams::default()).await;
    assert!(failed.is_err_and(|error| error.to_string().contains("a panic")));
    assert!(api.list(&ListParams::default()).await.is_ok());
}

// shows K4
#[tokio::test]
async fn a_kubeconfig_with_a_fault_is_told_with_its_place_and_without_its_content() {
    const CANARY: &str = "canary-token-3f9a";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let user = |token: &str| {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: a, \
             user: a}}}}]\nclusters: [{{name: a, cluster: {{server: \"https://127.0.0.1:1\"}}}}]\nusers:\n- \
             name: a\n  user: {token}\n"
        )
    };
    for content in [
        user(&format!("{{token: \"{CANARY}\"")),
        user(&format!("{{token: [{CANARY}]}}")),
        user(CANARY),
        user(&format!(
            "{{token: {CANARY}, client-key-data: \"{CANARY}\"}}"
        )),
        CANARY.to_owned(),
        format!("users: {CANARY}"),
    ] {
        std::fs::write(&file, &content).unwrap();
        let options = ClientOptions {
            kubeconfig: Some(file.clone()),
            timeout: Duration::from_secs(1),
            in_flight: 1,
            version: String::new(),
        };
        let said = match super::configuration(&options).await {
            Ok(_) => continue,
            Err(error) => error.to_string(),
        };
        assert!(!said.contains(CANARY), "{said}");
        assert!(said.contains("kubeconfig"), "{said}");
    }
    std::fs::write(&file, user(&format!("{{token: \"{CANARY}\""))).unwrap();
    let options = ClientOptions {
        kubeconfig: Some(file),
        timeout: Duration::from_secs(1),
        in_flight: 1,
        version: String::new(),
    };
    let said = super::configuration(&options)
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("no kubeconfig in YAML at line "), "{said}");
}
