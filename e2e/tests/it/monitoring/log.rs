//! The log of the real process: a line of a pass names the object of the pass.

use std::time::Duration;

use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::starting_in;
use serde_json::Value;

use crate::delivery_fixture::DeliveryFixture;

#[tokio::test]
async fn a_line_of_the_log_names_the_object_the_generation_and_the_id_of_its_pass() {
    let fixture = DeliveryFixture::new("log", 1).await;
    let namespace = &fixture.namespace;
    let start = starting_in(Duration::from_hours(72));
    let contract = fixture.parts_contract("log-2027", start, "1h");
    namespace.apply(&contract).await.unwrap();
    let operator = &TestEnvironment::shared().await.unwrap().operator;
    let accepted = namespace.soon("the log says that it is accepted", async || {
        let log = operator.log();
        // The last one may be under way.
        let lines = log.lines().map(serde_json::from_str::<Value>);
        let mut lines = lines.filter_map(Result::ok);
        lines.find(|line| {
            line["reason"] == "ContractAccepted" && line["namespace"] == namespace.name()
        })
    });
    let line = accepted.await.unwrap();
    let pass = &line["pass"];
    let expected = [
        ("controller", "contract"),
        ("kind", "Contract"),
        ("namespace", namespace.name()),
        ("name", "log-2027"),
    ];
    for (field, value) in expected {
        assert_eq!(pass[field], value, "{line:#}");
    }
    assert_eq!(pass["generation"], 1, "{line:#}");
    assert!(
        pass["id"].as_str().is_some_and(|id| id.contains('-')),
        "{line:#}"
    );
    assert_eq!(line["target"], "entente_controllers::events", "{line:#}");
}
