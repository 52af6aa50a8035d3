//! A control plane ends when it should, with everything that it started, and continues where a
//! killed one stopped.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use entente_e2e::control_plane::{ControlPlane, Options};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::{DEADLINE, object, tool};

/// True if a process still runs; one that ended and was not collected does not.
fn runs(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(") ")
            .next()
            .unwrap_or_default()
            .starts_with('Z')
    })
}

fn still_running(processes: &[(String, u32)]) -> Vec<&(String, u32)> {
    processes.iter().filter(|(_, id)| runs(*id)).collect()
}

fn wait_until_ended(processes: &[(String, u32)]) {
    let late = Instant::now() + Duration::from_secs(10);
    while !still_running(processes).is_empty() {
        assert!(
            Instant::now() < late,
            "still running: {:?}",
            still_running(processes)
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn dropping_a_control_plane_ends_its_processes_and_removes_its_files() {
    let begin = Instant::now();
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    assert!(
        begin.elapsed() < DEADLINE,
        "started after {:?}",
        begin.elapsed()
    );
    let processes: Vec<_> = plane.processes().clone().into_iter().collect();
    let directory = plane.directory().to_owned();
    for name in ["supervisor", "etcd", "kube-apiserver"] {
        assert!(
            processes.iter().any(|(one, id)| one == name && runs(*id)),
            "{name}: {processes:?}"
        );
    }
    assert!(directory.join("etcd").exists());
    drop(plane);
    assert!(
        still_running(&processes).is_empty(),
        "{:?}",
        still_running(&processes)
    );
    assert!(
        !directory.exists(),
        "{} is still there",
        directory.display()
    );
}

#[tokio::test]
async fn a_killed_control_plane_continues_with_its_data_and_its_tokens() {
    let directory = tempfile::tempdir().unwrap();
    let kept = Some(directory.path().to_owned());
    let first = Options {
        directory: kept.clone(),
        ..Options::default()
    };
    let plane = ControlPlane::start(first).await.unwrap();
    let namespace = plane.create_namespace("kept").await.unwrap();
    let port = plane.server().rsplit(':').next().unwrap().parse().unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(plane.client().await.unwrap(), &namespace);
    let account = object(json!({ "metadata": { "name": "one" } }));
    accounts
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    let issued = plane
        .kubeconfig_for_service_account(&namespace, "one")
        .await
        .unwrap();
    let processes: Vec<_> = plane.processes().clone().into_iter().collect();
    kill(plane.processes()["supervisor"]);
    wait_until_ended(&processes);
    drop(plane);

    let again = Options {
        directory: kept,
        port: Some(port),
        ..Options::default()
    };
    let plane = ControlPlane::start(again).await.unwrap();
    assert!(
        plane.server().ends_with(&format!(":{port}")),
        "{}",
        plane.server()
    );
    let output = plane
        .kubectl(["get", "namespace", &namespace])
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let output = plane
        .kubectl_as(&issued, ["auth", "whoami"], "")
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains(&format!("system:serviceaccount:{namespace}:one")),
        "{output:?}"
    );
    plane.stop().await;
}

/// Kills one process that this test started, as a crash would.
fn kill(process: u32) {
    let status = Command::new("kill")
        .args(["-KILL", &process.to_string()])
        .status()
        .expect("kill is on every machine");
    assert!(status.success(), "cannot kill {process}");
}

fn supervisor(input: Stdio) -> Child {
    let mut command = Command::new(tool("controlplane"));
    command
        .arg("up")
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS") {
        command.arg("--assets").arg(assets);
    }
    command
        .spawn()
        .expect("target/tools/controlplane runs: build it with `make tools`")
}

#[test]
fn a_supervisor_whose_input_is_closed_ends_at_once_and_well() {
    let begin = Instant::now();
    let ended = supervisor(Stdio::null()).wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stdout.is_empty(), "it announced itself: {ended:?}");
    assert!(begin.elapsed() < DEADLINE, "after {:?}", begin.elapsed());
}

#[test]
fn the_servers_end_with_a_parent_that_lets_go_of_the_supervisor() {
    let mut supervisor = supervisor(Stdio::piped());
    let mut line = String::new();
    BufReader::new(supervisor.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let announced: Value = serde_json::from_str(&line).expect("one JSON line");
    let processes: Vec<(String, u32)> =
        serde_json::from_value::<std::collections::BTreeMap<_, _>>(announced["processes"].clone())
            .unwrap()
            .into_iter()
            .collect();
    assert!(
        processes.len() >= 2 && processes.iter().all(|(_, id)| runs(*id)),
        "{line}"
    );
    // The only effect of a parent's death: the kernel closes its end of the pipe.
    drop(supervisor.stdin.take());
    assert!(supervisor.wait().unwrap().success());
    assert!(
        still_running(&processes).is_empty(),
        "{:?}",
        still_running(&processes)
    );
}
