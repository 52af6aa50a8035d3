//! The artifact service against a vendor on loopback that behaves badly.

use futures::future::join_all;
use tempfile::TempDir;

use super::*;
use crate::tests::vendor::{Reply, Then, Vendor, content, profile, text, whole};

const LONG: Duration = Duration::from_secs(20);

struct Stand {
    directory: TempDir,
    vendor: Vendor,
    service: Arc<Artifacts>,
    artifact: Artifact,
    metrics: Arc<Metrics>,
    patience_of_request: Duration,
}

impl Stand {
    /// Begins with a vendor that answers like this, and a model that names this content.
    async fn new(
        content: &[u8],
        replies: impl Fn(usize, &str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let vendor = Vendor::start(replies).await;
        let metrics = Arc::new(Metrics::new("0"));
        let service = service(&directory, &metrics);
        let artifact = Artifact {
            spelt: vendor.url(),
            url: vendor.url().parse().unwrap(),
            sha256: digests(content).unwrap().sha256,
            size: content.len() as u64,
        };
        Self {
            directory,
            vendor,
            service,
            artifact,
            metrics,
            patience_of_request: LONG,
        }
    }

    async fn get(&self, patience: Duration) -> Result<Verified, Missing> {
        let profile = profile(self.patience_of_request);
        let profile = || std::future::ready(Ok(profile));
        self.service
            .get(&self.artifact, patience, ("files", profile))
            .await
    }

    /// Returns the outcome of the only fetch, from the metrics, and the bytes that it read.
    fn outcome(&self) -> (String, u64) {
        let text = self.metrics.encode();
        let of = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
            lines.next().map(str::to_owned)
        };
        let outcome = of("entente_gateway_artifact_fetches_total{outcome=\"");
        let outcome = outcome.and_then(|it| it.split('"').next().map(str::to_owned));
        let bytes = of("entente_gateway_artifact_transferred_bytes_total{direction=\"Fetched\"} ");
        let bytes = bytes.and_then(|it| it.parse().ok());
        (outcome.unwrap_or(text), bytes.unwrap_or_default())
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.directory.path()).unwrap().count()
    }
}

fn service(directory: &TempDir, metrics: &Arc<Metrics>) -> Arc<Artifacts> {
    let path = directory.path().join("artifacts");
    std::fs::create_dir_all(&path).unwrap();
    let fetcher = Fetcher::beside(&[]);
    Artifacts::new(path, 16 << 20, fetcher, Arc::clone(metrics))
}

fn read(verified: Verified) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut { verified.file }, &mut bytes).unwrap();
    bytes
}

// shows B6 K4
#[tokio::test]
async fn many_devices_that_wait_for_a_file_cause_one_fetch() {
    let file = content(3_000_000);
    let sent = file.clone();
    let stand = Stand::new(&file, move |_, request| whole(&sent, request)).await;
    let all = join_all((0..200).map(|_| stand.get(LONG))).await;
    for verified in all {
        assert_eq!(verified.unwrap().digests.sha1.len(), 40);
    }
    assert_eq!(read(stand.get(LONG).await.unwrap()), file);
    assert_eq!(stand.vendor.requests().len(), 1);
    assert_eq!(stand.outcome(), ("Fetched".to_owned(), 3_000_000));
}

// shows B6
#[tokio::test]
async fn a_fetch_that_breaks_off_is_continued_where_it_was() {
    let file = content(200_000);
    let sent = file.clone();
    let stand = Stand::new(&file, move |number, request| {
        let mut reply = whole(&sent, request);
        if number < 2 {
            reply.bytes.truncate(reply.bytes.len() - 50_000);
        }
        reply
    })
    .await;
    assert_eq!(read(stand.get(LONG).await.unwrap()), file);
    let requests = stand.vendor.requests();
    assert_eq!(requests.len(), 3);
    assert!(
        requests[1].contains("range: bytes=150000-\r\n"),
        "{requests:?}"
    );
    assert_eq!(stand.outcome().1, 200_000, "no byte came twice");
}

// shows B6
#[tokio::test]
async fn a_server_without_ranges_sends_the_file_again() {
    let file = content(200_000);
    let sent = file.clone();
    let stand = Stand::new(&file, move |number, _| {
        let mut reply = whole(&sent, "");
        if number == 0 {
            reply.bytes.truncate(100_000);
        }
        reply
    })
    .await;
    assert_eq!(read(stand.get(LONG).await.unwrap()), file);
    assert_eq!(stand.vendor.requests().len(), 2);
}

// shows B6 K5
#[tokio::test]
async fn a_file_that_is_another_one_reaches_nobody_and_is_not_asked_for_again_at_once() {
    let wrong = content(100_000);
    let mut right = wrong.clone();
    right[99_999] ^= 1;
    let stand = Stand::new(&right, move |_, request| whole(&wrong, request)).await;
    let Err(Missing::Faulty(seconds, _)) = stand.get(LONG).await else {
        panic!("it is served");
    };
    assert!((4..=6).contains(&seconds), "{seconds}");
    assert!(matches!(stand.get(LONG).await, Err(Missing::Faulty(..))));
    assert_eq!(stand.vendor.requests().len(), 1);
    assert_eq!(stand.outcome().0, "WrongDigest");
    let left = std::fs::read_dir(stand.directory.path().join("artifacts")).unwrap();
    assert_eq!(left.count(), 0);
}

// shows B6 K4 K5
#[tokio::test]
async fn whatever_a_vendor_sends_the_answer_is_later_and_memory_and_disk_are_bounded() {
    const LINE: &[u8] = &[b'x'; 4096];
    let head = |length: &str| format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n");
    let cases: [(&str, String, Then, u64); 7] = [
        (
            "WrongAnswer",
            head("Content-Length: 10737418240"),
            Then::Repeat(LINE),
            0,
        ),
        ("WrongAnswer", head("Content-Length: 5"), Then::Close, 0),
        (
            "WrongSize",
            head("Connection: close"),
            Then::Repeat(LINE),
            100_000,
        ),
        ("TimedOut", String::new(), Then::Hang, 0),
        ("TimedOut", head("Content-Length: 100000"), Then::Hang, 0),
        (
            "WrongAnswer",
            "HTTP/1.1 404 Not Found\r\n\r\n".into(),
            Then::Close,
            0,
        ),
        (
            "Busy",
            "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n".into(),
            Then::Close,
            0,
        ),
    ];
    let judged = cases.map(|(outcome, answer, then, most)| async move {
        let shown = answer.clone();
        let file = content(100_000);
        let mut stand = Stand::new(&file, move |_, _| text(&answer, then)).await;
        stand.patience_of_request = Duration::from_millis(100);
        let missing = stand.get(LONG).await;
        let is_faulty = matches!(missing, Err(Missing::Faulty(..)));
        assert!(is_faulty, "{shown}: {missing:?}");
        let (found, bytes) = stand.outcome();
        assert_eq!(found, outcome, "{shown}");
        assert!(bytes <= most, "{shown}: {bytes}");
        assert_eq!((stand.service.disk.taken(), stand.files()), (0, 1));
    });
    join_all(judged).await;
}

// shows K4
#[tokio::test]
async fn a_file_that_is_longer_than_all_room_is_not_even_asked_for() {
    let mut stand = Stand::new(b"", |_, _| text("", Then::Close)).await;
    stand.artifact.size = 10 << 30;
    assert!(matches!(stand.get(LONG).await, Err(Missing::Faulty(..))));
    assert_eq!(stand.outcome().0, "NoRoom");
    assert!(stand.vendor.requests().is_empty());
}

// shows B6
#[tokio::test]
async fn a_fetch_goes_on_when_everyone_who_waited_has_left() {
    let file = content(100_000);
    let sent = file.clone();
    let stand = Stand::new(&file, move |_, request| whole(&sent, request)).await;
    let left = stand.get(Duration::ZERO).await;
    assert!(matches!(left, Err(Missing::Later(_))), "{left:?}");
    assert_eq!(read(stand.get(LONG).await.unwrap()), file);
    assert_eq!(stand.vendor.requests().len(), 1);
}

// shows B6
#[tokio::test]
async fn a_process_after_this_one_compares_the_file_and_does_not_fetch_it_again() {
    let file = content(100_000);
    let sent = file.clone();
    let mut stand = Stand::new(&file, move |_, request| whole(&sent, request)).await;
    let first = stand.get(LONG).await.unwrap();
    stand.service = service(&stand.directory, &stand.metrics);
    let second = stand.get(LONG).await.unwrap();
    assert_eq!(second.digests, first.digests);
    assert_eq!(stand.vendor.requests().len(), 1);

    let path = stand
        .directory
        .path()
        .join("artifacts")
        .join(&stand.artifact.sha256);
    let mut spoilt = file.clone();
    spoilt[5] ^= 1;
    std::fs::write(path, spoilt).unwrap();
    stand.service = service(&stand.directory, &stand.metrics);
    assert_eq!(read(stand.get(LONG).await.unwrap()), file);
    assert_eq!(
        stand.vendor.requests().len(),
        2,
        "the spoilt one is fetched anew"
    );
}

// shows B6
#[tokio::test]
async fn a_vendor_that_is_well_again_is_asked_after_the_wait() {
    let file = content(100_000);
    let sent = file.clone();
    let stand = Stand::new(&file, move |number, request| match number {
        0 => text("HTTP/1.1 500 Oops\r\n\r\n", Then::Close),
        _ => whole(&sent, request),
    })
    .await;
    assert!(matches!(
        stand.get(LONG).await,
        Err(Missing::Faulty(5 | 6, _))
    ));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    assert_eq!(read(stand.get(LONG).await.unwrap()), file);
}

// shows B6
#[tokio::test]
async fn a_model_that_names_another_length_gets_nothing() {
    let file = content(1000);
    let sent = file.clone();
    let mut stand = Stand::new(&file, move |_, request| whole(&sent, request)).await;
    assert!(stand.get(LONG).await.is_ok());
    stand.artifact.size = 999;
    assert!(matches!(stand.get(LONG).await, Err(Missing::Faulty(..))));
}
