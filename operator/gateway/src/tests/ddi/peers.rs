//! Devices that others wrote, against the gateway.

mod hawkbit;
mod swupdate;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use entente_crds::v1alpha1::DeviceTwinStatus;
use entente_e2e::{
    peers::{HawkbitDevice, Swupdate},
    wait::wait_for,
};

use super::*;
use crate::tests::vendor::whole;

/// Longest wait for a device, which calls each second.
const PATIENCE: Duration = Duration::from_secs(40);

/// A device that is a process.
trait Device {
    fn log(&self) -> String;
}

impl Device for Swupdate {
    fn log(&self) -> String {
        self.log()
    }
}

impl Device for HawkbitDevice {
    fn log(&self) -> String {
        self.log()
    }
}

/// A scene with such a device, which calls each second.
struct Peer<D> {
    scene: Scene,
    device: D,
    /// File that the vendor has.
    sent: Arc<Mutex<Vec<u8>>>,
}

/// Returns a scene whose devices call each second, and the file that its vendor will have.
async fn scene() -> (Scene, Arc<Mutex<Vec<u8>>>) {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let file = Arc::clone(&sent);
    let vendor = Vendor::start(move |_, request| whole(&file.lock().unwrap(), request));
    let scene = Scene::with(vendor.await, Vec::new()).await;
    let edit = |connection: &mut Connection| {
        connection.spec.agent.as_mut().unwrap().poll = "1s".into();
    };
    scene.stand.cluster.edit("", "gateway", edit);
    let is_seen = || {
        scene
            .stand
            .gateway
            .with_agent(|it| it.poll.to_string())
            .unwrap()
            == "1s"
    };
    scene.stand.until(is_seen).await;
    (scene, sent)
}

impl<D: Device> Peer<D> {
    /// Asks for version 4.2.0 by this file.
    async fn want_file(&mut self, action: i64, file: Vec<u8>) {
        self.sent.lock().unwrap().clone_from(&file);
        self.scene.file = file;
        self.scene.want(action).await;
    }

    /// Waits until the status of the twin is like this.
    async fn until(&self, what: &str, is_it: impl Fn(&DeviceTwinStatus) -> bool) {
        let status = || self.scene.stand.status("lobby-mfp");
        let look = async || is_it(&status()).then_some(());
        let seen = wait_for(what, PATIENCE, look).await;
        seen.unwrap_or_else(|late| panic!("{late}{:?}\n{}", status(), self.device.log()));
    }

    async fn until_reported(&self, version: &str) {
        let is_it = |status: &DeviceTwinStatus| reported(status) == version;
        self.until(&format!("{version} is reported"), is_it).await;
    }

    async fn until_state(&self, action: i64, state: DeploymentState) {
        let is_it = |status: &DeviceTwinStatus| {
            let found = status.deployment.as_ref();
            found.is_some_and(|it| (it.action, it.state) == (action, state))
        };
        self.until(&format!("{action} {state:?}"), is_it).await;
    }

    /// Waits until the device has reported its software since the end of the installation.
    async fn until_told_since(&self) {
        let told = |status: &DeviceTwinStatus| {
            let deployment = status.deployment.as_ref();
            deployment.is_some_and(|it| it.reported.is_some())
        };
        self.until("it has reported since", told).await;
    }
}

fn reported(status: &DeviceTwinStatus) -> String {
    let software = status.reported.iter().flat_map(|it| &it.software);
    software.map(|it| it.version.to_string()).collect()
}
