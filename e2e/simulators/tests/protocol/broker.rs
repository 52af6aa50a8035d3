//! The simulated service broker against Open Service Broker 2.17, without faults.

use base64::Engine as _;
use entente_simulators::{BrokerOptions, Cause, Credentials, Mode, ParameterUpdate};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::driven::{Platform, provision_body};

const ASYNC: Mode = Mode::Async {
    polls: 2,
    milliseconds: 0,
};

#[tokio::test]
async fn the_version_header_is_required_and_must_be_of_version_2() {
    let platform = Platform::start(Mode::Sync).await;
    let url = format!("{}/v2/catalog", platform.broker.url());
    let http = super::driven::http();
    assert_eq!(http.get(&url).send().await.unwrap().status(), 412);
    for (version, status) in [
        ("2.17", 200),
        ("2.9", 200),
        ("3.0", 412),
        ("two", 400),
        ("2", 400),
    ] {
        let answer = http
            .get(&url)
            .header("X-Broker-API-Version", version)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{version}");
    }
}

#[tokio::test]
async fn the_catalog_has_stable_ids_and_what_a_platform_must_know() {
    let platform = Platform::start(Mode::Sync).await;
    let catalog = platform.request(Method::GET, "catalog");
    let said = platform
        .send(catalog.header("X-Broker-API-Request-Identity", "r-1"))
        .await
        .unwrap();
    let backup = &said.body["services"][0];
    assert_eq!(backup["id"], "data-backup-id");
    assert_eq!(backup["name"], "data-backup");
    assert_eq!(backup["instances_retrievable"], true);
    assert_eq!(backup["plan_updateable"], true);
    assert_eq!(backup["plans"][0]["id"], "data-backup-standard-id");
    let line = &platform.ledger.entries()[0];
    assert!(
        line.probe && !line.write && line.name == "catalog",
        "{line:?}"
    );

    let mut services = entente_simulators::default_catalog();
    services[0].plans[0].maximum_polling_duration = Some(30);
    platform.broker.set_services(services);
    let said = platform
        .send(platform.request(Method::GET, "catalog"))
        .await
        .unwrap();
    assert_eq!(
        said.body["services"][0]["plans"][0]["maximum_polling_duration"],
        30
    );
}

#[tokio::test]
async fn an_instance_is_provisioned_fetched_updated_and_removed_at_once() {
    // shows D2
    let platform = Platform::start(Mode::Sync).await;
    let first = json!({ "schedule": { "weekday": "Wed" }, "enabled": false });
    assert_eq!(platform.fetch("i-1").await.unwrap().status, 404);
    assert_eq!(
        platform
            .provision("i-1", first.clone())
            .await
            .unwrap()
            .status,
        201
    );
    let said = platform.fetch("i-1").await.unwrap();
    assert_eq!((said.status, &said.body["parameters"]), (200, &first));
    assert_eq!(said.body["plan_id"], "data-backup-standard-id");
    let second = json!({ "enabled": true });
    assert_eq!(
        platform.update("i-1", second.clone()).await.unwrap().status,
        200
    );
    assert_eq!(
        platform.fetch("i-1").await.unwrap().body["parameters"],
        second
    );
    assert_eq!(platform.deprovision("i-1").await.unwrap().status, 200);
    assert_eq!(platform.deprovision("i-1").await.unwrap().status, 410);
    assert_eq!(platform.fetch("i-1").await.unwrap().status, 404);
    let writes = platform.ledger.writes();
    let facts: Vec<_> = writes
        .iter()
        .map(|w| (w.operation.as_str(), w.committed, w.needed))
        .collect();
    let expected = [
        ("provision", true, true),
        ("update", true, true),
        ("deprovision", true, true),
        ("deprovision", false, false),
    ];
    assert_eq!(facts, expected);
    assert_eq!(writes[0].value("/parameters/schedule/weekday"), Some("Wed"));
    assert_eq!(writes[0].key, "i-1");
}

#[tokio::test]
async fn the_originating_identity_is_kept() {
    let platform = Platform::start(Mode::Sync).await;
    let user = json!({ "username": "entente" });
    let encoded = base64::engine::general_purpose::STANDARD.encode(user.to_string());
    let request = platform
        .request(Method::PUT, "service_instances/i-1")
        .header(
            "X-Broker-API-Originating-Identity",
            format!("kubernetes {encoded}"),
        )
        .json(&provision_body(json!({})));
    assert_eq!(platform.send(request).await.unwrap().status, 201);
    let line = &platform.ledger.writes()[0];
    assert_eq!(
        line.originating_user(),
        Some(("kubernetes".to_owned(), user))
    );
}

#[tokio::test]
async fn an_identical_provision_is_answered_200_and_another_409() {
    let platform = Platform::start(Mode::Sync).await;
    platform
        .provision("i-1", json!({ "mode": "Full" }))
        .await
        .unwrap();
    let again = platform
        .provision("i-1", json!({ "mode": "Full" }))
        .await
        .unwrap();
    assert_eq!(again.status, 200);
    let other = platform
        .provision("i-1", json!({ "mode": "Differential" }))
        .await
        .unwrap();
    assert_eq!(other.status, 409);
    assert_eq!(platform.broker.instances().len(), 1);
    assert_eq!(
        platform.broker.instance("i-1").unwrap().parameters,
        json!({ "mode": "Full" })
    );
    assert!(
        platform.ledger.duplicates().is_empty(),
        "the broker made one instance"
    );
    let needed: Vec<bool> = platform.ledger.writes().iter().map(|w| w.needed).collect();
    assert_eq!(needed, [true, false, true]);
}

#[tokio::test]
async fn an_update_that_changes_nothing_is_counted() {
    // shows B7
    let platform = Platform::start(Mode::Sync).await;
    platform
        .provision("i-1", json!({ "mode": "Full" }))
        .await
        .unwrap();
    platform
        .update("i-1", json!({ "mode": "Differential" }))
        .await
        .unwrap();
    assert!(platform.ledger.unneeded_writes().is_empty());
    platform
        .update("i-1", json!({ "mode": "Differential" }))
        .await
        .unwrap();
    assert_eq!(platform.ledger.unneeded_writes().len(), 1);
    assert_eq!(platform.ledger.duplicates().len(), 1);
}

#[tokio::test]
async fn parameters_of_an_update_are_the_whole_set_or_merged() {
    let old = json!({ "mode": "Full", "schedule": { "weekday": "Wed", "hour": 3 } });
    let patch = json!({ "mode": null, "schedule": { "weekday": "Sun" } });
    let merged = json!({ "schedule": { "weekday": "Sun", "hour": 3 } });
    for (form, new) in [
        (ParameterUpdate::Replace, patch.clone()),
        (ParameterUpdate::Merge, merged),
    ] {
        let options = BrokerOptions {
            parameter_update: form,
            ..BrokerOptions::default()
        };
        let platform = Platform::with(options).await;
        platform.provision("i-1", old.clone()).await.unwrap();
        platform.update("i-1", patch.clone()).await.unwrap();
        assert_eq!(
            platform.fetch("i-1").await.unwrap().body["parameters"],
            new,
            "{form:?}"
        );
    }
}

#[tokio::test]
async fn a_plan_can_be_changed_where_the_catalog_says_so() {
    for updateable in [true, false] {
        let mut services = entente_simulators::default_catalog();
        services[0].plan_updateable = updateable;
        let platform = Platform::with(BrokerOptions {
            services,
            ..BrokerOptions::default()
        })
        .await;
        platform.provision("i-1", json!({})).await.unwrap();
        let body = json!({ "service_id": "data-backup-id", "plan_id": "data-backup-premium-id" });
        let request = platform
            .request(Method::PATCH, "service_instances/i-1")
            .json(&body);
        let status = platform.send(request).await.unwrap().status;
        assert_eq!(status, if updateable { 200 } else { 400 });
        let plan = platform.broker.instance("i-1").unwrap().plan_id;
        assert_eq!(plan == "data-backup-premium-id", updateable);
    }
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let platform = Platform::start(Mode::Sync).await;
    let full = provision_body(json!({}));
    for member in ["service_id", "plan_id", "organization_guid", "space_guid"] {
        let mut body = full.clone();
        body.as_object_mut().unwrap().remove(member);
        let request = platform
            .request(Method::PUT, "service_instances/i-1")
            .json(&body);
        assert_eq!(
            platform.send(request).await.unwrap().status,
            400,
            "{member}"
        );
    }
    for (member, value) in [("plan_id", json!("none")), ("parameters", json!([1]))] {
        let mut body = full.clone();
        body[member] = value;
        let request = platform
            .request(Method::PUT, "service_instances/i-1")
            .json(&body);
        assert_eq!(
            platform.send(request).await.unwrap().status,
            400,
            "{member}"
        );
    }
    let request = platform.request(Method::DELETE, "service_instances/i-1");
    assert_eq!(platform.send(request).await.unwrap().status, 400);
    assert_eq!(platform.update("i-1", json!({})).await.unwrap().status, 404);
    assert!(platform.broker.instances().is_empty());
}

#[tokio::test]
async fn an_asynchronous_broker_asks_to_be_polled() {
    let platform = Platform::start(ASYNC).await;
    let body = provision_body(json!({ "mode": "Full" }));
    let request = platform
        .request(Method::PUT, "service_instances/i-1")
        .json(&body);
    let said = platform.send(request).await.unwrap();
    assert_eq!(
        (said.status, &said.body["error"]),
        (422, &json!("AsyncRequired"))
    );

    let said = platform
        .provision("i-1", json!({ "mode": "Full" }))
        .await
        .unwrap();
    let operation = said.operation().to_owned();
    assert_eq!(said.status, 202);
    assert_eq!(
        platform.fetch("i-1").await.unwrap().status,
        404,
        "in progress"
    );
    let again = platform
        .provision("i-1", json!({ "mode": "Full" }))
        .await
        .unwrap();
    assert_eq!(
        (again.status, &again.body["operation"]),
        (202, &json!(operation))
    );
    let other = platform
        .provision("i-1", json!({ "mode": "Differential" }))
        .await
        .unwrap();
    assert_eq!(other.status, 409);
    assert_eq!(
        platform.poll("i-1", "operation-99").await.unwrap().status,
        400
    );
    assert_eq!(
        states(&platform, &operation, 4).await,
        ["in progress", "succeeded", "succeeded"]
    );
    assert_eq!(platform.fetch("i-1").await.unwrap().status, 200);
    assert!(platform.ledger.duplicates().is_empty());
}

/// Returns the states from last_operation, until so many requests were made of which the one above
/// was one.
async fn states(platform: &Platform, operation: &str, polls: usize) -> Vec<String> {
    let mut states = Vec::new();
    for _ in 1..polls {
        let said = platform.poll("i-1", operation).await.unwrap();
        states.push(said.body["state"].as_str().unwrap().to_owned());
    }
    states
}

#[tokio::test]
async fn a_second_operation_has_to_wait_for_the_first() {
    let platform = Platform::start(ASYNC).await;
    let said = platform
        .provision("i-1", json!({ "mode": "Full" }))
        .await
        .unwrap();
    assert_eq!(platform.update("i-1", json!({})).await.unwrap().status, 422);
    let operation = said.operation().to_owned();
    assert_eq!(
        states(&platform, &operation, 4).await.last().unwrap(),
        "succeeded"
    );

    let said = platform
        .update("i-1", json!({ "mode": "Differential" }))
        .await
        .unwrap();
    assert_eq!(said.status, 202);
    for said in [
        platform.update("i-1", json!({})).await.unwrap(),
        platform
            .provision("i-1", json!({ "mode": "Full" }))
            .await
            .unwrap(),
        platform.deprovision("i-1").await.unwrap(),
        platform.fetch("i-1").await.unwrap(),
    ] {
        assert_eq!(
            (said.status, &said.body["error"]),
            (422, &json!("ConcurrencyError"))
        );
    }
    let operation = said.operation().to_owned();
    assert_eq!(
        states(&platform, &operation, 4).await.last().unwrap(),
        "succeeded"
    );
    let parameters = &platform.fetch("i-1").await.unwrap().body["parameters"];
    assert_eq!(parameters, &json!({ "mode": "Differential" }));

    let said = platform.deprovision("i-1").await.unwrap();
    let operation = said.operation().to_owned();
    assert_eq!(platform.poll("i-1", &operation).await.unwrap().status, 200);
    assert_eq!(platform.poll("i-1", &operation).await.unwrap().status, 200);
    assert_eq!(platform.poll("i-1", &operation).await.unwrap().status, 410);
}

#[tokio::test]
async fn an_operation_takes_its_time() {
    let platform = Platform::start(Mode::Async {
        polls: 0,
        milliseconds: 300,
    })
    .await;
    let started = std::time::Instant::now();
    let said = platform.provision("i-1", json!({})).await.unwrap();
    let operation = said.operation().to_owned();
    loop {
        let said = platform.poll("i-1", &operation).await.unwrap();
        if said.body["state"] == "succeeded" {
            break;
        }
        assert!(started.elapsed().as_secs() < 10, "{said:?}");
    }
    assert!(
        started.elapsed().as_millis() >= 300,
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn somebody_can_change_or_lose_an_instance_at_the_broker() {
    let platform = Platform::start(Mode::Sync).await;
    platform
        .provision("i-1", json!({ "mode": "Full" }))
        .await
        .unwrap();
    platform
        .update("i-1", json!({ "mode": "Full" }))
        .await
        .unwrap();
    let Value::Object(drift) = json!({ "mode": "Differential" }) else {
        unreachable!()
    };
    assert!(platform.broker.set_parameters("i-1", drift.clone()));
    assert!(!platform.broker.set_parameters("i-2", Map::new()));
    assert_eq!(
        platform.fetch("i-1").await.unwrap().body["parameters"],
        json!(drift)
    );
    platform
        .update("i-1", json!({ "mode": "Full" }))
        .await
        .unwrap();
    assert!(platform.ledger.duplicates().is_empty());
    assert_eq!(platform.ledger.entries()[2].cause, Cause::Panel);
    assert!(platform.broker.remove_instance("i-1"));
    assert_eq!(platform.fetch("i-1").await.unwrap().status, 404);
}

#[tokio::test]
async fn requests_about_instances_can_be_told_from_reading_the_catalog_by_time() {
    // shows B3
    let platform = Platform::start(Mode::Sync).await;
    platform
        .send(platform.request(Method::GET, "catalog"))
        .await
        .unwrap();
    let catalog_read = platform.ledger.entries()[0].time();
    let later = catalog_read + jiff::SignedDuration::from_hours(1);
    assert!(
        platform
            .ledger
            .requests_for_instances_before(later)
            .is_empty()
    );
    platform.fetch("i-1").await.unwrap();
    assert_eq!(
        platform.ledger.requests_for_instances_before(later).len(),
        1
    );
    assert!(platform.ledger.writes_before(later).is_empty());
    platform.provision("i-1", json!({})).await.unwrap();
    assert_eq!(platform.ledger.writes_before(later).len(), 1);
    assert!(platform.ledger.writes_before(catalog_read).is_empty());
}

#[tokio::test]
async fn a_broker_with_credentials_answers_401_without_them() {
    let credentials = Credentials {
        user: "entente".to_owned(),
        password: "s3cret".to_owned(),
    };
    let header = credentials.header();
    let options = BrokerOptions {
        credentials: Some(credentials),
        ..BrokerOptions::default()
    };
    let platform = Platform::with(options).await;
    assert_eq!(
        platform.provision("i-1", json!({})).await.unwrap().status,
        401
    );
    let request = platform
        .request(Method::GET, "catalog")
        .header("Authorization", header);
    assert_eq!(platform.send(request).await.unwrap().status, 200);
    assert!(platform.broker.instances().is_empty());
}
