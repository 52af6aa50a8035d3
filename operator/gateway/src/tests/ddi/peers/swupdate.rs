//! swupdate: it reports, installs, restarts, fails and rolls back.

use entente_e2e::peers::{FIRMWARE, SwupdateOptions};

use super::*;

async fn start() -> Peer<Swupdate> {
    let (scene, sent) = scene().await;
    let options = SwupdateOptions {
        server: format!("http://{}", scene.stand.address),
        authority: None,
        tenant: ACME.to_owned(),
        device: "lobby-mfp".to_owned(),
        token: scene.device.token.clone(),
        hardware: "mfp:1.0".to_owned(),
        running: [(FIRMWARE, "4.1.0".to_owned())].into(),
    };
    let device = Swupdate::start(options).await.unwrap();
    Peer {
        scene,
        device,
        sent,
    }
}

impl Peer<Swupdate> {
    /// Asks for version 4.2.0 by an image for hardware of this revision.
    async fn want(&mut self, action: i64, revision: &str) {
        let content = content(200_000);
        let image = self.device.image(FIRMWARE, "4.2.0", revision, &content);
        self.want_file(action, image.await.unwrap()).await;
    }

    async fn until_installed(&self) {
        let is_it = |_: &DeviceTwinStatus| {
            let is_done = self.device.log().contains("SWUPDATE successful");
            is_done && self.device.installed(FIRMWARE).is_some()
        };
        self.until("an image is installed", is_it).await;
    }
}

// shows B6 D1
#[tokio::test]
async fn swupdate_installs_restarts_and_only_what_it_reports_then_ends_the_offer() {
    let mut peer = start().await;
    peer.until_reported("4.1.0").await;
    peer.want(12, "1.0").await;
    peer.until_state(12, DeploymentState::Downloading).await;
    peer.until_installed().await;
    let status = peer.scene.stand.status("lobby-mfp");
    assert_eq!(
        reported(&status),
        "4.1.0",
        "it is installed, and does not run yet"
    );
    peer.device.restart().await.unwrap();
    peer.until_state(12, DeploymentState::Installed).await;
    peer.until_reported("4.2.0").await;
    let installed = peer.device.installed(FIRMWARE).unwrap();
    assert_eq!(installed, [b"4.2.0\n", &*content(200_000)].concat());
    assert_eq!(
        peer.scene.vendor.requests().len(),
        1,
        "the vendor is asked once"
    );
    assert!(peer.scene.tasks().await.is_empty());
    peer.scene.stand.stop().await;
}

// shows B6
#[tokio::test]
async fn swupdate_refuses_an_image_for_other_hardware_in_its_own_words() {
    let mut peer = start().await;
    peer.until_reported("4.1.0").await;
    peer.want(12, "2.0").await;
    peer.until_state(12, DeploymentState::Failed).await;
    let deployment = peer.scene.stand.status("lobby-mfp").deployment.unwrap();
    let words = deployment.message.unwrap().to_string();
    assert!(words.contains("No suitable .swu image found"), "{words}");
    let log = peer.device.log();
    assert!(log.contains("SW not compatible with hardware"), "{log}");
    assert_eq!(peer.device.installed(FIRMWARE), None);
    assert_eq!(
        peer.scene.tasks().await,
        ["configData"],
        "it is not offered again"
    );
    peer.scene.stand.stop().await;
}

// shows B6 D1
#[tokio::test]
async fn swupdate_that_rolls_back_has_failed_and_reports_the_version_before() {
    let mut peer = start().await;
    peer.until_reported("4.1.0").await;
    peer.want(12, "1.0").await;
    peer.until_state(12, DeploymentState::Downloading).await;
    peer.until_installed().await;
    peer.device.roll_back().await.unwrap();
    peer.until_state(12, DeploymentState::Failed).await;
    peer.until_told_since().await;
    peer.until_reported("4.1.0").await;
    peer.want(13, "1.0").await;
    peer.until_state(13, DeploymentState::Downloading).await;
    peer.scene.stand.stop().await;
}
