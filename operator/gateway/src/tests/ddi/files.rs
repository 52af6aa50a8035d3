//! Files over real HTTP: ranges, a vendor that fails, and a Connection that is gone.

use std::time::Duration;

use entente_crds::v1alpha1::{ArtifactFault, TwinArtifact};
use futures::future::join_all;
use tokio::time::Instant;

use super::*;
use crate::tests::vendor::{Then, text, whole};

impl Scene {
    /// Returns the fault of a file in the status of the twin.
    fn fault(&self) -> Option<TwinArtifact> {
        self.stand.status("lobby-mfp").artifact
    }
}

const FILE: &str = "/softwaremodules/12/artifacts/mfp-500-4.2.0.swu";

// shows B6
#[tokio::test]
async fn a_device_reads_the_rest_of_a_file_by_its_etag() {
    let scene = Scene::new().await;
    scene.want(12).await;
    let whole = scene.get(FILE).await;
    assert_eq!(whole.status(), StatusCode::OK);
    let etag = whole.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", scene.artifact().sha256));
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    let path = format!("{BASE}{FILE}");
    for (range, if_range, status, content_range) in [
        ("bytes=299990-", &*etag, 206, "bytes 299990-299999/300000"),
        ("bytes=299990-", "\"other\"", 200, ""),
        ("bytes=10-19", &etag, 206, "bytes 10-19/300000"),
        ("bytes=0-1,5-6", &etag, 200, ""),
        ("bytes=300000-", &etag, 416, "bytes */300000"),
    ] {
        let request = scene.request(Method::GET, &path);
        let request = request.header("range", range).header("if-range", if_range);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{range}");
        let found = answer.headers().get("content-range").cloned();
        let found = found.map_or(String::new(), |it| it.to_str().unwrap().to_owned());
        assert_eq!(found, content_range, "{range}");
        if status == 206 {
            let (first, last) = content_range["bytes ".len()..]
                .split_once('/')
                .and_then(|(range, _)| range.split_once('-'))
                .unwrap();
            let range = first.parse().unwrap()..=last.parse().unwrap();
            assert_eq!(answer.bytes().await.unwrap(), scene.file[range]);
        } else if status == 416 {
            assert_eq!(problem(answer).await.1, "RangeNotSatisfiable");
        }
    }
    let head = scene.request(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "300000");
    scene.stand.stop().await;
}

// shows B6 K5
#[tokio::test]
async fn a_fault_of_a_file_goes_with_the_next_call_when_nobody_wants_it_any_more() {
    let wrong = content(300_000);
    let mut file = wrong.clone();
    file[0] ^= 1;
    let scene = Scene::with(Vendor::of(wrong).await, file).await;
    scene.want(12).await;
    scene.base().await;
    assert!(scene.fault().is_some());
    let cancelled = TwinDeployment {
        action: 13,
        cancel: Some(12),
        ..TwinDeployment::default()
    };
    scene.deploy(cancelled).await;
    scene.base().await;
    assert_eq!(scene.fault(), None);
    scene.stand.stop().await;
}

// shows B6 K5
#[tokio::test]
async fn while_the_file_cannot_be_had_nothing_is_offered_and_the_device_comes_again_soon() {
    let wrong = content(300_000);
    let mut file = wrong.clone();
    file[0] ^= 1;
    let scene = Scene::with(Vendor::of(wrong).await, file).await;
    scene.want(12).await;
    let base = scene.base().await;
    let tasks = base["_links"].as_object().unwrap();
    assert_eq!(tasks.keys().collect::<Vec<_>>(), ["configData"]);
    let sleep = base["config"]["polling"]["sleep"].as_str().unwrap();
    assert!(("00:00:04"..="00:00:06").contains(&sleep), "{sleep}");
    for path in ["/deploymentBase/12", FILE] {
        let answer = scene.get(path).await;
        assert!(answer.headers().contains_key("retry-after"));
        assert_eq!(
            problem(answer).await,
            (503, "ArtifactUnavailable".to_owned())
        );
    }
    assert_eq!(scene.state(), None);
    let fault = scene.fault().unwrap();
    assert_eq!(
        (fault.action, fault.reason),
        (12, ArtifactFault::WrongDigest)
    );
    for part in [&*scene.artifact().url, "Connection files", "SHA-256"] {
        assert!(fault.message.contains(part), "{}", &*fault.message);
    }
    let files = std::fs::read_dir(scene.stand.directory.path()).unwrap();
    assert_eq!(files.count(), 0);
    scene.stand.stop().await;
}

// shows B6 K4
#[tokio::test]
async fn without_a_connection_that_leads_there_nobody_has_the_file_and_nobody_is_dialled() {
    let scene = Scene::new().await;
    scene.want(12).await;
    assert_eq!(scene.get(FILE).await.status(), StatusCode::OK);
    let edit = |connection: &mut Connection| {
        let label = ("tenant".to_owned(), "globex".to_owned());
        connection.spec.allow[0].namespaces.match_labels = [label].into();
    };
    scene.stand.cluster.edit("", "files", edit);
    let key = entente_controllers::cache::Key::new("", "files");
    let connections = &scene.stand.gateway.objects.connections;
    let is_seen = || {
        let found = connections.get(&key).unwrap();
        !found.spec.allow[0].namespaces.match_labels.is_empty()
    };
    scene.stand.until(is_seen).await;
    let (status, reason) = problem(scene.get(FILE).await).await;
    assert_eq!(
        (status, &*reason),
        (503, "ArtifactUnavailable"),
        "also while it is on the disk"
    );
    assert_eq!(scene.tasks().await, ["configData"]);
    assert_eq!(scene.vendor.requests().len(), 1);
    let fault = scene.fault().unwrap();
    assert_eq!(fault.reason, ArtifactFault::NoConnection);
    let counted = "artifact_fetches_total{outcome=\"NoConnection\"} 2";
    let metrics = scene.stand.metrics.encode();
    assert!(metrics.contains(counted), "{metrics}");
    // It is written once, however often the device calls.
    scene.stand.cluster.forget_requests();
    scene.tasks().await;
    assert_eq!(scene.stand.cluster.writes(), [""; 0]);
    // A person lets the namespace in again, and the next call of the device is served.
    let edit = |connection: &mut Connection| {
        connection.spec.allow[0].namespaces.match_labels.clear();
    };
    scene.stand.cluster.edit("", "files", edit);
    let is_allowed = || {
        let found = connections.get(&key).unwrap();
        found.spec.allow[0].namespaces.match_labels.is_empty()
    };
    scene.stand.until(is_allowed).await;
    assert_eq!(scene.get(FILE).await.status(), StatusCode::OK);
    assert_eq!(scene.fault(), None);
    scene.stand.stop().await;
}

// shows K4
#[tokio::test]
async fn a_vendor_that_redirects_leads_nowhere() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let vendor = Vendor::start(move |_, _| text(answer, Then::Close)).await;
    let scene = Scene::with(vendor, content(100)).await;
    scene.want(12).await;
    assert_eq!(problem(scene.get(FILE).await).await.0, 503);
    assert_eq!(scene.vendor.requests().len(), 1);
    let request = &scene.vendor.requests()[0];
    assert!(
        !request.contains(&scene.device.token.to_lowercase()),
        "{request}"
    );
    scene.stand.stop().await;
}

// shows B6 K5
#[tokio::test]
async fn a_device_is_answered_in_time_also_if_the_file_is_slow_and_every_place_is_taken() {
    let (file, slow) = (content(1000), Duration::from_secs(2));
    let sent = file.clone();
    let vendor = Vendor::start(move |_, request| {
        // The time that the vendor takes is what is tested.
        std::thread::sleep(slow);
        whole(&sent, request)
    })
    .await;
    let scene = Scene::with(vendor, file).await;
    scene.want(12).await;
    let artifacts = &scene.stand.gateway.artifacts;
    let places = (0..crate::artifacts::READERS).map(|_| artifacts.place(slow));
    let places = join_all(places).await;
    assert!(places.iter().all(Result::is_ok));
    let begun = Instant::now();
    let pass = async {
        let is_there = "artifact_fetches_total{outcome=\"Fetched\"} 1";
        let metrics = &scene.stand.metrics;
        scene
            .stand
            .until(|| metrics.encode().contains(is_there))
            .await;
        tokio::time::pause();
        tokio::time::advance(crate::ddi::PATIENCE.saturating_sub(slow)).await;
        tokio::time::resume();
    };
    let (answer, ()) = tokio::join!(scene.get(FILE), pass);
    assert_eq!(problem(answer).await.0, 503);
    let passed = begun.elapsed();
    assert!(passed < crate::ddi::PATIENCE + slow, "{passed:?}");
    drop(places);
    scene.stand.stop().await;
}
