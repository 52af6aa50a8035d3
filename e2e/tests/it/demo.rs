//! The demo itself: it checks itself, and its exit code is the verdict.

use std::process::Stdio;
use std::time::Duration;

use entente_e2e::operator::workspace;
use tokio::process::Command;

/// Time limit of the demo: it takes less than 40 s alone; other tests run beside it.
const DEADLINE: Duration = Duration::from_secs(150);

async fn run(peers: &str) {
    let mut demo = Command::new(workspace().join("target/debug/demo"));
    demo.args(["--peers", peers])
        .env_remove("KEEP")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, demo.output()).await;
    let output = output.expect("it ends by itself");
    let output = output.expect("it is built: `cargo build --workspace --bins`");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("All of this is as it has to be."), "{said}");
    assert!(
        !said.contains('\x1b'),
        "control sequences on a pipe: {said}"
    );
}

// shows B1 B3 B5 B6 B7 B9 D1 D2 D3 D4 D5 D8
#[tokio::test]
async fn the_demo_ends_with_everything_as_it_has_to_be() {
    run("embedded").await;
}

// shows B9 D2 D3
#[tokio::test]
async fn the_demo_with_peers_that_others_wrote_ends_with_everything_as_it_has_to_be() {
    run("real").await;
}
