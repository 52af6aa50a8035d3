//! The simulators as a process of their own, steered over HTTP; and the ledger's bounds.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use entente_simulators::{
    Fault, FaultKind, FleetOptions, IppFleet, Ledger, Mode, Ready, SimulatorClient,
};
use serde_json::{Map, json};

use super::driven::{Ipp, device, provision_body, text};

/// The process; it ends with this value, as its standard input does.
struct Simulators {
    child: Child,
    ready: Ready,
}

impl Simulators {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_simulators"))
            .args(arguments)
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            child,
            ready: serde_json::from_str(&line).unwrap(),
        }
    }

    fn stop(mut self) -> std::process::ExitStatus {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it still runs after its standard input ended"
            );
            std::thread::yield_now();
        }
    }
}

impl Drop for Simulators {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_process_is_steered_over_http_and_ends_with_its_standard_input() {
    let simulators = Simulators::start(&["--devices", "3", "--names", "lobby-mfp"]);
    let ready = simulators.ready.clone();
    assert_eq!(ready.devices, 3);
    assert_eq!(
        ready.first_device,
        format!("ipp://127.1.0.1:{}/ipp/print", ready.ipp_port)
    );
    let client = SimulatorClient::new(&ready.control).unwrap();
    steer_devices(&client).await;
    steer_broker(&client, &ready.broker.unwrap()).await;
    assert!(simulators.stop().success());
}

#[tokio::test]
async fn faults_of_the_command_line_are_there_from_the_beginning() {
    let simulators = Simulators::start(&[
        "--device-fault",
        "Busy",
        "--broker-fault",
        r#"{"type": "Slow", "milliseconds": 1, "operation": "fetch"}"#,
    ]);
    let client = SimulatorClient::new(&simulators.ready.control).unwrap();
    let device = client.device("mfp-0001").await.unwrap();
    assert_eq!(device.faults, [Fault::new(FaultKind::Busy)]);
    let slow = Fault::new(FaultKind::Slow { milliseconds: 1 }).on("fetch");
    assert_eq!(client.broker_faults().await.unwrap(), [slow]);
    assert!(simulators.stop().success());
}

async fn steer_devices(client: &SimulatorClient) {
    let devices = client.devices().await.unwrap();
    let names: Vec<&str> = devices.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["lobby-mfp", "mfp-0002", "mfp-0003"]);
    let http = super::driven::http();
    let url = |name: usize| format!("http://{}/ipp/print", devices[name].address);

    client
        .set_fault("lobby-mfp", FaultKind::Offline)
        .await
        .unwrap();
    assert!(http.get(url(0)).send().await.unwrap_err().is_connect());
    assert!(!client.device("lobby-mfp").await.unwrap().listening);
    client.clear_faults("lobby-mfp").await.unwrap();
    assert_eq!(http.get(url(0)).send().await.unwrap().status(), 405);

    let of_brokers = FaultKind::AsyncNeverEnds;
    let refused = client.set_fault("lobby-mfp", of_brokers).await.unwrap_err();
    assert!(refused.to_string().contains("400"), "{refused}");
    let fault = Fault::new(FaultKind::Slow { milliseconds: 1 }).on("Identify-Printer");
    client.set_fault_on_all(fault.clone()).await.unwrap();
    assert_eq!(client.device("mfp-0003").await.unwrap().faults, [fault]);
    client.clear_faults_on_all().await.unwrap();
    assert!(client.device("mfp-0003").await.unwrap().faults.is_empty());

    let drift = BTreeMap::from([("printer-location".to_owned(), json!("Lobby"))]);
    client.set_attributes("mfp-0002", &drift).await.unwrap();
    let changed = client.device("mfp-0002").await.unwrap();
    assert_eq!(changed.attributes["printer-location"], "Lobby");
    let bad = BTreeMap::from([("printer-location".to_owned(), json!(7))]);
    let refused = client.set_attributes("mfp-0002", &bad).await.unwrap_err();
    assert!(refused.to_string().contains("400"), "{refused}");
    let other = client.replace_machine("mfp-0002").await.unwrap();
    assert_ne!(other.uuid, changed.uuid);
    assert!(client.device("nobody").await.is_err());
}

async fn steer_broker(client: &SimulatorClient, broker: &str) {
    client.clear_ledger().await.unwrap();
    let http = super::driven::http();
    let instance = format!("{broker}/v2/service_instances/i-1?accepts_incomplete=true");
    let provision = || {
        let put = http.put(&instance).header("X-Broker-API-Version", "2.17");
        put.json(&provision_body(json!({ "mode": "Full" }))).send()
    };
    client
        .set_broker_fault(Fault::new(FaultKind::http_500()).for_requests(1))
        .await
        .unwrap();
    assert_eq!(provision().await.unwrap().status(), 500);
    client
        .set_broker_mode(Mode::Async {
            polls: 5,
            milliseconds: 0,
        })
        .await
        .unwrap();
    assert_eq!(provision().await.unwrap().status(), 202);
    assert_eq!(client.instances().await.unwrap()[0].state, "provisioning");
    client.clear_broker_faults().await.unwrap();
    let mut drift = Map::new();
    drift.insert("mode".to_owned(), json!("Differential"));
    client.set_parameters("i-1", &drift).await.unwrap();
    client.remove_instance("i-1").await.unwrap();
    assert!(client.remove_instance("i-1").await.is_err());
    let lines = client.ledger(0).await.unwrap();
    let operations: Vec<&str> = lines.iter().map(|line| line.operation.as_str()).collect();
    assert_eq!(
        operations,
        ["provision", "provision", "panel-change", "lose-instance"]
    );
    let since = lines[1].sequence;
    assert_eq!(client.ledger(since).await.unwrap(), lines[2..]);
}

#[tokio::test]
async fn the_ledger_drops_its_oldest_lines_and_never_uses_a_number_twice() {
    let ledger = Ledger::with_capacity(3);
    let fleet = IppFleet::start(FleetOptions::of(1), ledger.clone())
        .await
        .unwrap();
    let ipp = Ipp::new();
    for _ in 0..5 {
        ipp.get(&fleet.devices()[0], &["printer-uuid"])
            .await
            .unwrap();
    }
    let numbers = |ledger: &Ledger| {
        ledger
            .entries()
            .iter()
            .map(|l| l.sequence)
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(&ledger), [3, 4, 5]);
    ledger.clear();
    assert!(ledger.is_empty());
    ipp.get(&fleet.devices()[0], &["printer-uuid"])
        .await
        .unwrap();
    assert_eq!(numbers(&ledger), [6]);
}

#[tokio::test]
async fn a_test_can_wait_for_the_ledger_and_gets_its_last_lines_when_it_waits_in_vain() {
    let (_fleet, device, ledger) = device().await;
    let ipp = Ipp::new();
    let long = Duration::from_secs(10);
    let write = async {
        ipp.set(&device, vec![("printer-location", text("Lobby"))])
            .await
    };
    let waited = ledger.wait_for(long, |lines| lines.iter().any(|line| line.write));
    let (lines, answer) = tokio::join!(waited, write);
    assert_eq!((lines.unwrap().len(), answer.unwrap().status), (1, Some(0)));
    let vain = ledger
        .wait_for(Duration::from_millis(50), |lines| lines.len() > 1)
        .await;
    assert!(
        vain.unwrap_err()
            .to_string()
            .contains("Set-Printer-Attributes")
    );
}

#[tokio::test]
async fn a_fleet_ends_when_its_last_clone_is_dropped() {
    let (fleet, device, _ledger) = device().await;
    let clone = fleet.clone();
    drop(fleet);
    let ipp = Ipp::new();
    ipp.get(&device, &["printer-uuid"]).await.unwrap();
    drop(clone);
    let deadline = Instant::now() + Duration::from_secs(10);
    while ipp.get(&device, &["printer-uuid"]).await.is_ok() {
        assert!(Instant::now() < deadline, "it still answers");
    }
}
