//! A device made of the crate `hawkbit`: an honest one, and one that lies.

use entente_e2e::peers::HawkbitOptions;

use super::*;

async fn start(lies: bool) -> Peer<HawkbitDevice> {
    let (scene, sent) = scene().await;
    let options = HawkbitOptions {
        server: format!("http://{}", scene.stand.address),
        tenant: ACME.to_owned(),
        device: "lobby-mfp".to_owned(),
        token: scene.device.token.clone(),
        version: "4.1.0".to_owned(),
        lies,
    };
    let device = HawkbitDevice::start(&options).await.unwrap();
    Peer {
        scene,
        device,
        sent,
    }
}

// shows B6 D1
#[tokio::test]
async fn a_client_library_of_others_checks_all_digests_and_installs() {
    let mut peer = start(false).await;
    peer.until_reported("4.1.0").await;
    peer.want_file(12, content(2_000_000)).await;
    peer.until_state(12, DeploymentState::Installed).await;
    peer.until_reported("4.2.0").await;
    let file = peer.device.file("main/mfp-500-4.2.0.swu");
    assert!(file.is_some_and(|file| file == content(2_000_000)));
    assert!(peer.scene.tasks().await.is_empty());
    peer.scene.stand.stop().await;
}

// shows D1
#[tokio::test]
async fn a_success_of_a_device_that_runs_the_version_before_is_worth_nothing() {
    let mut peer = start(true).await;
    peer.until_reported("4.1.0").await;
    peer.want_file(12, content(1000)).await;
    peer.until_state(12, DeploymentState::Installed).await;
    peer.until_told_since().await;
    let status = peer.scene.stand.status("lobby-mfp");
    assert_eq!(reported(&status), "4.1.0");
    assert_eq!(
        peer.scene.tasks().await,
        ["configData"],
        "it is asked each time"
    );
    peer.scene.stand.stop().await;
}

// shows B6
#[tokio::test]
async fn a_client_library_of_others_ends_an_action_that_is_cancelled() {
    let peer = start(false).await;
    peer.until_reported("4.1.0").await;
    let cancelled = TwinDeployment {
        action: 13,
        cancel: Some(12),
        ..TwinDeployment::default()
    };
    let edit = |twin: &mut DeviceTwin| {
        twin.spec.deployment = Some(cancelled);
        let status = twin.status.as_mut().unwrap();
        status.deployment = Some(entente_crds::v1alpha1::TwinDeploymentState {
            action: 12,
            state: DeploymentState::Offered,
            message: None,
            at: peer.scene.stand.now(),
            restarted: None,
            reported: None,
        });
    };
    peer.scene.stand.cluster.edit(ACME, "lobby-mfp", edit);
    peer.until_state(12, DeploymentState::Cancelled).await;
    let log = peer.device.log();
    assert!(log.contains("cancelled 12"), "{log}");
    peer.scene.stand.stop().await;
}
