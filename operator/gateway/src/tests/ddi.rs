//! DDI over real HTTP: a device that asks, fetches, tells and reports.

mod files;
mod odd;
mod peers;

use entente_crds::v1alpha1::{
    AllowEntry, Artifact, Connection, ConnectionSpec, DeploymentState, DeviceTwin, HttpEndpoint,
    Protocol, SoftwarePart, TwinDeployment,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::{
    stand::{ACME, Registered, Stand, json_of, problem},
    vendor::{Vendor, content},
};
use crate::artifacts::hashing::digests;

const BASE: &str = "/acme/controller/v1/lobby-mfp";

/// Tasks of a device that has reported nothing yet.
const FIRST: [&str; 2] = ["configData", "deploymentBase"];

/// A device with a vendor, and a model that names a file of it.
struct Scene {
    stand: Stand,
    vendor: Vendor,
    device: Registered,
    file: Vec<u8>,
}

impl Scene {
    /// Begins with a device that is registered, and the vendor's server, which has the file.
    async fn new() -> Self {
        let file = content(300_000);
        let vendor = Vendor::of(file.clone()).await;
        Self::with(vendor, file).await
    }

    async fn with(vendor: Vendor, file: Vec<u8>) -> Self {
        let stand = Stand::new().await;
        stand.until_seen("lobby-mfp").await;
        let device = stand.register("A1").await;
        let scene = Self {
            stand,
            vendor,
            device,
            file,
        };
        scene.connect().await;
        scene
    }

    /// Makes the Connection that leads to the vendor.
    async fn connect(&self) {
        let spec = ConnectionSpec {
            protocol: Protocol::HTTP,
            http: Some(HttpEndpoint {
                url: format!("http://{}/firmware/", self.vendor.address),
            }),
            allow: vec![AllowEntry {
                name: "all".to_owned(),
                networks: vec!["127.0.0.0/8".to_owned()],
                ..AllowEntry::default()
            }],
            ..ConnectionSpec::default()
        };
        self.stand.cluster.apply(&Connection::new("files", spec));
        let connections = &self.stand.gateway.objects.connections;
        self.stand.until(|| connections.len() == 2).await;
    }

    fn artifact(&self) -> Artifact {
        Artifact {
            url: self.vendor.url(),
            sha256: digests(&*self.file).unwrap().sha256,
            size: i64::try_from(self.file.len()).unwrap(),
            ..Artifact::default()
        }
    }

    /// Asks for firmware 4.2.0 by this action, as delivery does.
    async fn want(&self, action: i64) {
        let deployment = TwinDeployment {
            action,
            part: Some(SoftwarePart::Firmware),
            name: Some("main".to_owned()),
            version: Some("4.2.0".to_owned()),
            artifact: Some(self.artifact()),
            ..TwinDeployment::default()
        };
        self.deploy(deployment).await;
    }

    async fn deploy(&self, deployment: TwinDeployment) {
        let edit = |twin: &mut DeviceTwin| twin.spec.deployment = Some(deployment);
        self.stand.cluster.edit(ACME, "lobby-mfp", edit);
        self.stand.until_seen("lobby-mfp").await;
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let scheme = format!("TargetToken {}", self.device.token);
        let request = self.stand.request(method, path, "");
        request.header("authorization", scheme)
    }

    async fn get(&self, path: &str) -> Response {
        let path = format!("{BASE}{path}");
        self.request(Method::GET, &path).send().await.unwrap()
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Response {
        let request = self.request(method, &format!("{BASE}{path}"));
        let request = request.header("content-type", "application/json;charset=UTF-8");
        request.body(body.to_string()).send().await.unwrap()
    }

    async fn base(&self) -> Value {
        let answer = self.get("").await;
        assert_eq!(answer.status(), StatusCode::OK);
        json_of(answer).await
    }

    /// Returns the names of the tasks that the device has.
    async fn tasks(&self) -> Vec<String> {
        let base = self.base().await;
        let tasks = base["_links"].as_object().cloned().unwrap_or_default();
        tasks.into_iter().map(|(name, _)| name).collect()
    }

    async fn tell(&self, path: &str, execution: &str, finished: &str) -> StatusCode {
        let body = json!({"id": "12", "time": "20270331T140000", "status": {"execution": execution,
            "result": {"finished": finished, "progress": {"cnt": 1, "of": 2}}, "details": ["words"]}});
        let path = format!("{path}/feedback");
        self.send(Method::POST, &path, &body).await.status()
    }

    async fn report(&self, version: &str) {
        let body = json!({"data": {"firmware.main": version}});
        let answer = self.send(Method::PUT, "/configData", &body).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.text().await.unwrap(), "");
    }

    /// Lets the limit of requests of the device begin anew.
    async fn refill(&self) {
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        tokio::time::resume();
    }

    fn state(&self) -> Option<(i64, DeploymentState)> {
        let deployment = self.stand.status("lobby-mfp").deployment;
        deployment.map(|it| (it.action, it.state))
    }
}

// shows B6 D1
#[tokio::test]
async fn a_device_installs_by_ddi_and_what_it_reports_ends_the_offer() {
    let scene = Scene::new().await;
    assert_eq!(
        scene.tasks().await,
        ["configData"],
        "it has reported nothing"
    );
    scene.report("4.1.0").await;
    assert!(scene.tasks().await.is_empty());
    scene.want(12).await;
    assert_eq!(scene.tasks().await, ["deploymentBase"]);
    assert_eq!(scene.state(), Some((12, DeploymentState::Offered)));

    let deployment = json_of(scene.get("/deploymentBase/12").await).await;
    let artifact = &deployment["deployment"]["chunks"][0]["artifacts"][0];
    assert_eq!(
        artifact["hashes"]["sha1"],
        digests(&*scene.file).unwrap().sha1
    );
    let link = artifact["_links"]["download-http"]["href"]
        .as_str()
        .unwrap();
    let own = format!("http://{}{BASE}/softwaremodules/12/", scene.stand.address);
    assert!(link.starts_with(&own), "{link}");
    assert_eq!(
        scene.tell("/deploymentBase/12", "proceeding", "none").await,
        200
    );
    assert_eq!(scene.state(), Some((12, DeploymentState::Downloading)));
    let path = link.strip_prefix(&format!("http://{}", scene.stand.address));
    let answer = scene
        .request(Method::GET, path.unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.bytes().await.unwrap(), scene.file);

    assert_eq!(
        scene.tell("/deploymentBase/12", "closed", "success").await,
        200
    );
    assert_eq!(scene.state(), Some((12, DeploymentState::Installed)));
    // A liar would end here: what it reports still asks for the report of another version.
    assert_eq!(scene.tasks().await, ["configData"]);
    assert_eq!(
        scene.get("/deploymentBase/12").await.status(),
        StatusCode::GONE
    );
    scene.report("4.2.0").await;
    assert!(scene.tasks().await.is_empty());
    let status = scene.stand.status("lobby-mfp");
    assert_eq!(
        status.reported.unwrap().software[0].version.as_str(),
        "4.2.0"
    );
    assert!(status.deployment.unwrap().reported.is_some());
    scene.stand.stop().await;
}

// shows B6
#[tokio::test]
async fn a_device_that_was_told_nothing_yet_is_not_told_once_the_window_has_closed() {
    let scene = Scene::new().await;
    let deployment = |action, until: i64| TwinDeployment {
        action,
        part: Some(SoftwarePart::Firmware),
        name: Some("main".to_owned()),
        version: Some("4.2.0".to_owned()),
        artifact: Some(scene.artifact()),
        until: Some(scene.stand.now() + jiff::SignedDuration::from_secs(until)),
        ..TwinDeployment::default()
    };
    scene.deploy(deployment(12, 0)).await;
    assert_eq!(scene.tasks().await, ["configData"]);
    assert_eq!(scene.state(), None);
    scene.deploy(deployment(13, 60)).await;
    assert_eq!(scene.tasks().await, FIRST);
    scene.stand.clock.jump(jiff::SignedDuration::from_secs(61));
    assert_eq!(scene.tasks().await, FIRST);
    scene.stand.stop().await;
}

// shows B6
#[tokio::test]
async fn an_action_is_cancelled_before_the_next_one_is_offered() {
    let scene = Scene::new().await;
    scene.want(12).await;
    scene.tasks().await;
    let mut next = TwinDeployment {
        action: 13,
        cancel: Some(12),
        ..TwinDeployment::default()
    };
    scene.deploy(next.clone()).await;
    let base = scene.base().await;
    let link = base["_links"]["cancelAction"]["href"].as_str().unwrap();
    assert!(link.ends_with("/cancelAction/12"), "{link}");
    let body = json_of(scene.get("/cancelAction/12").await).await;
    assert_eq!(body, json!({"id": "12", "cancelAction": {"stopId": "12"}}));
    assert_eq!(
        scene.tell("/cancelAction/12", "rejected", "none").await,
        200
    );
    assert_eq!(scene.tasks().await, ["cancelAction", "configData"]);
    assert_eq!(
        scene.tell("/cancelAction/12", "closed", "success").await,
        200
    );
    assert_eq!(scene.state(), Some((12, DeploymentState::Cancelled)));
    assert_eq!(
        scene.tell("/deploymentBase/12", "closed", "success").await,
        410
    );
    next.action = 14;
    next.part = Some(SoftwarePart::Firmware);
    next.name = Some("main".to_owned());
    next.version = Some("4.2.1".to_owned());
    next.artifact = Some(scene.artifact());
    scene.deploy(next).await;
    assert_eq!(scene.tasks().await, FIRST);
    assert_eq!(scene.state(), Some((14, DeploymentState::Offered)));
    scene.stand.stop().await;
}

// shows C13
#[tokio::test]
async fn that_a_device_was_told_is_written_before_it_is_answered() {
    let scene = Scene::new().await;
    // The first use of the token is written too, and is not what this is about.
    scene.tasks().await;
    scene.want(12).await;
    let refused = (500, "InternalError");
    scene
        .stand
        .cluster
        .refuse(Method::PUT, "/status", refused, 1);
    let (status, reason) = problem(scene.get("").await).await;
    assert_eq!((status, &*reason), (503, "Unavailable"));
    assert_eq!(scene.state(), None);
    assert_eq!(scene.tasks().await, FIRST);
    scene.stand.stop().await;
}
