//! A gateway that cannot read contracts: it says so, and nothing is turned on or off by that.

use std::time::Duration;

use entente_crds::v1alpha1::{Device, DeviceTwin};
use entente_e2e::namespace::now;

use super::fixture::CallingFixture;
use crate::delivery_fixture::contract_is;

/// Time within which it says so: what was read counts for a minute after the last answer.
const SAID: Duration = Duration::from_mins(2);
/// Time within which everything is delivered again; the device waits half a minute at most.
const AGAIN: Duration = Duration::from_secs(90);

// shows C13 K5
#[tokio::test]
async fn a_gateway_without_its_api_server_says_so_and_a_device_keeps_what_it_has() {
    let fixture = CallingFixture::new("away", "24h").await;
    let namespace = &fixture.namespace;
    let device = namespace.calling_device("behind", "NW5-0007");
    namespace.apply::<Device>(&device).await.unwrap();
    let start = now();
    let contract = fixture.contract("now", "behind", start);
    namespace.apply(&contract).await.unwrap();
    let agent = fixture.agent("NW5-0007");
    contract_is(namespace, "now", "Delivered").await;
    let kept = agent.file("settings.json").expect("its settings");

    fixture.gateway.road().cut();
    let mut edited = fixture.contract("now", "behind", start);
    let entry = &mut edited.spec.services[0];
    let weekdays = ("weekdays".to_owned(), "wed,sun".to_owned());
    entry.parameters.extend([weekdays]);
    namespace.apply(&edited).await.unwrap();
    let asked = async || {
        let twin: DeviceTwin = namespace.get("behind").await?;
        let reported = twin.status?.reported?.version;
        (reported < twin.metadata.generation).then_some(())
    };
    let what = "the device is asked for other values";
    namespace.soon(what, asked).await.unwrap();
    let client = fixture.gateway.client();
    let get = async |path: &str| {
        let url = format!("{}{path}", fixture.gateway.url());
        client.get(url).send().await.expect("an answer")
    };
    let unavailable = async || {
        let answer = get("/v1/registrations/any").await;
        (answer.status() == 503).then_some(answer)
    };
    let what = "the gateway says that it knows nothing";
    let answer = namespace.within(SAID, what, unavailable).await.unwrap();
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(get("/v1/region?country=BR").await.status(), 200);
    assert_eq!(agent.file("settings.json").as_ref(), Some(&kept));

    fixture.gateway.road().mend();
    let changed = async || (agent.file("settings.json")? != kept).then_some(());
    let what = "the device has what was asked for meanwhile";
    namespace.within(AGAIN, what, changed).await.unwrap();
    contract_is(namespace, "now", "Delivered").await;
}
