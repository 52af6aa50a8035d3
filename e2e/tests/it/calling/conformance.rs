//! The gateway as its published protocol says, judged by the reference device's own test.

use entente_e2e::peers::check;

use super::fixture::{CallingFixture, TOKEN};

// shows C1 C2 C7 C9 C13 C17
#[tokio::test]
async fn the_gateway_answers_as_its_published_protocol_says() {
    let fixture = CallingFixture::new("conformance", "24h").await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let namespace = &fixture.namespace;
    let device = namespace.calling_device("tested", "NW5-0001");
    namespace.apply(&device).await.unwrap();
    let arguments = [
        format!("--token-file={}", token.display()),
        "--serial=NW5-0001".to_owned(),
        "--product=Northwind MFP 500".to_owned(),
    ];
    let output = check(&fixture.gateway, &arguments).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{said}\n{errors}");
}
