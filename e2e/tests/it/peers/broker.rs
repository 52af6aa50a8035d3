//! The Open Service Broker: the answers of openbrokerapi, and our control endpoints.

use std::time::{Duration, Instant};

use entente_e2e::peers::ipp_client::http_client;
use entente_e2e::peers::{OpenBroker, OpenBrokerOptions, PeerError};
use entente_simulators::{Fault, FaultKind, Mode};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const VERSION: (&str, &str) = ("X-Broker-API-Version", "2.17");

const ASYNC: Mode = Mode::Async {
    polls: 2,
    milliseconds: 0,
};

/// A platform with just enough OSB 2.17 to check the broker.
struct Platform {
    http: reqwest::Client,
    url: String,
    service: String,
    plan: String,
}

/// Status and body of an answer.
type Said = (u16, Value);

impl Platform {
    /// Reads the ids of data-backup and its plan standard from the catalog.
    async fn of(broker: &OpenBroker) -> Platform {
        let (http, url) = (http_client(), broker.url());
        let question = http
            .get(format!("{url}/v2/catalog"))
            .header(VERSION.0, VERSION.1);
        let (status, catalog) = said(question).await;
        assert_eq!(status, 200, "{catalog}");
        let offering = &catalog["services"][0];
        assert_eq!(offering["name"], "data-backup");
        assert_eq!(offering["instances_retrievable"], true);
        assert_eq!(offering["plan_updateable"], true);
        assert_eq!(offering["plans"][0]["name"], "standard");
        assert_eq!(catalog["services"][1]["name"], "parts-life");
        assert_eq!(catalog["services"][1]["plans"][0]["name"], "basic");
        let id = |of: &Value| of["id"].as_str().expect("an id").to_owned();
        let (service, plan) = (id(offering), id(&offering["plans"][0]));
        Platform {
            http,
            url,
            service,
            plan,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .header(VERSION.0, VERSION.1)
    }

    fn provision(&self, instance: &str, parameters: &Value) -> RequestBuilder {
        let body = json!({
            "service_id": self.service, "plan_id": self.plan, "parameters": parameters,
            "organization_guid": "site", "space_guid": "customer",
        });
        let path = format!("/v2/service_instances/{instance}?accepts_incomplete=true");
        self.request(Method::PUT, &path).json(&body)
    }

    fn update(&self, instance: &str, parameters: &Value) -> RequestBuilder {
        let path = format!("/v2/service_instances/{instance}?accepts_incomplete=true");
        let body = json!({ "service_id": self.service, "parameters": parameters });
        self.request(Method::PATCH, &path).json(&body)
    }

    fn deprovision(&self, instance: &str) -> RequestBuilder {
        let path = format!(
            "/v2/service_instances/{instance}?accepts_incomplete=true&service_id={}&plan_id={}",
            self.service, self.plan
        );
        self.request(Method::DELETE, &path)
    }

    fn fetch(&self, instance: &str) -> RequestBuilder {
        self.request(Method::GET, &format!("/v2/service_instances/{instance}"))
    }

    fn last_operation(&self, instance: &str) -> RequestBuilder {
        self.request(
            Method::GET,
            &format!("/v2/service_instances/{instance}/last_operation"),
        )
    }
}

async fn said(request: RequestBuilder) -> Said {
    let answer = request.send().await.expect("the broker answers");
    let status = answer.status().as_u16();
    (
        status,
        answer.json().await.expect("every OSB answer is JSON"),
    )
}

async fn status(request: RequestBuilder) -> u16 {
    said(request).await.0
}

#[tokio::test]
async fn a_synchronous_broker_provisions_updates_and_deprovisions_at_once() {
    let broker = OpenBroker::start(OpenBrokerOptions::default())
        .await
        .unwrap();
    let platform = Platform::of(&broker).await;
    let wanted = json!({ "retentionDays": 30, "folder": "/scans" });
    assert_eq!(status(platform.fetch("one")).await, 404);
    assert_eq!(status(platform.provision("one", &wanted)).await, 201);
    assert_eq!(
        status(platform.provision("one", &wanted)).await,
        200,
        "identical"
    );
    assert_eq!(
        status(platform.provision("one", &json!({}))).await,
        409,
        "different"
    );

    let (fetched, instance) = said(platform.fetch("one")).await;
    assert_eq!(fetched, 200);
    assert_eq!(instance["service_id"], platform.service.as_str());
    assert_eq!(instance["plan_id"], platform.plan.as_str());
    assert_eq!(instance["parameters"], wanted);

    assert_eq!(
        status(platform.update("one", &json!({ "retentionDays": 90 }))).await,
        200
    );
    let (_, instance) = said(platform.fetch("one")).await;
    assert_eq!(
        instance["parameters"],
        json!({ "retentionDays": 90, "folder": "/scans" })
    );

    assert_eq!(status(platform.deprovision("one")).await, 200);
    assert_eq!(status(platform.deprovision("one")).await, 410);
    assert_eq!(status(platform.fetch("one")).await, 404);
}

#[tokio::test]
async fn an_asynchronous_broker_is_polled_until_it_has_done_it() {
    let broker = OpenBroker::start(OpenBrokerOptions::default())
        .await
        .unwrap();
    let platform = Platform::of(&broker).await;
    broker.set_mode(ASYNC).await.unwrap();
    let body = json!({
        "service_id": platform.service, "plan_id": platform.plan,
        "organization_guid": "site", "space_guid": "customer",
    });
    let impatient = platform
        .request(Method::PUT, "/v2/service_instances/one")
        .json(&body);
    let (refused, why) = said(impatient).await;
    assert_eq!((refused, &why["error"]), (422, &json!("AsyncRequired")));

    let wanted = json!({ "retentionDays": 30 });
    let (accepted, begun) = said(platform.provision("one", &wanted)).await;
    assert_eq!(accepted, 202);
    let (again, same) = said(platform.provision("one", &wanted)).await;
    assert_eq!(
        (again, &same["operation"]),
        (202, &begun["operation"]),
        "still the same operation"
    );
    assert_eq!(
        status(platform.fetch("one")).await,
        404,
        "not there before it is done"
    );
    for expected in ["in progress", "in progress", "succeeded", "succeeded"] {
        assert_eq!(
            said(platform.last_operation("one")).await.1["state"],
            expected
        );
    }
    assert_eq!(said(platform.fetch("one")).await.1["parameters"], wanted);

    assert_eq!(
        status(platform.update("one", &json!({ "retentionDays": 7 }))).await,
        202
    );
    let (busy, why) = said(platform.fetch("one")).await;
    assert_eq!((busy, &why["error"]), (422, &json!("ConcurrencyError")));
    for expected in ["in progress", "in progress", "succeeded"] {
        assert_eq!(
            said(platform.last_operation("one")).await.1["state"],
            expected
        );
    }
    assert_eq!(
        said(platform.fetch("one")).await.1["parameters"],
        json!({ "retentionDays": 7 })
    );

    assert_eq!(status(platform.deprovision("one")).await, 202);
    assert_eq!(status(platform.last_operation("one")).await, 200);
    assert_eq!(status(platform.last_operation("one")).await, 200);
    assert_eq!(
        status(platform.last_operation("one")).await,
        410,
        "gone is the success"
    );
}

#[tokio::test]
async fn a_failed_creation_leaves_an_orphan_that_can_be_deleted() {
    let broker = OpenBroker::start(OpenBrokerOptions::default())
        .await
        .unwrap();
    let platform = Platform::of(&broker).await;
    let description = "no room".to_owned();
    let failing = FaultKind::AsyncFails { description };
    broker.set_fault(failing).await.unwrap();
    assert_eq!(status(platform.provision("one", &json!({}))).await, 202);
    let (_, ended) = said(platform.last_operation("one")).await;
    assert_eq!(
        (&ended["state"], &ended["description"]),
        (&json!("failed"), &json!("no room"))
    );
    assert_eq!(status(platform.fetch("one")).await, 404);
    assert_eq!(broker.instances().await.unwrap()["one"].state, "failed");
    broker.clear_faults().await.unwrap();
    assert_eq!(status(platform.deprovision("one")).await, 200);
    assert!(broker.instances().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lost_answer_leaves_the_instance_there_and_the_request_in_the_ledger() {
    let mut broker = OpenBroker::start(OpenBrokerOptions::default())
        .await
        .unwrap();
    let platform = Platform::of(&broker).await;
    let wanted = json!({ "retentionDays": 30 });
    let lost = Fault::new(FaultKind::ResetAfterCommit).for_requests(1);
    broker.set_fault(lost).await.unwrap();
    platform
        .provision("one", &wanted)
        .send()
        .await
        .expect_err("the answer is lost");
    assert_eq!(broker.instances().await.unwrap()["one"].state, "active");
    assert_eq!(status(platform.provision("one", &wanted)).await, 200);

    let ledger = broker.ledger().await.unwrap();
    let puts: Vec<_> = ledger
        .iter()
        .filter(|entry| entry.method == "PUT")
        .collect();
    assert_eq!(puts.len(), 2, "{ledger:?}");
    assert_eq!(puts[0].path, "/v2/service_instances/one");
    assert_eq!((puts[0].lost, puts[1].lost), (true, false));
    assert_eq!((puts[0].status, puts[1].status), (Some(201), Some(200)));
    assert_eq!(
        puts[0].body_sha256, puts[1].body_sha256,
        "a repeated request is the same"
    );
    assert!(puts[0].sequence < puts[1].sequence && puts[0].at <= puts[1].at);

    broker.kill().await.unwrap();
    platform
        .fetch("one")
        .send()
        .await
        .expect_err("a killed broker refuses");
    broker.start_again().await.unwrap();
    assert_eq!(said(platform.fetch("one")).await.1["parameters"], wanted);
    assert_eq!(
        broker.ledger().await.unwrap().len(),
        1,
        "only the fetch since the restart"
    );
}

#[tokio::test]
async fn ordered_answers_and_delays_happen_once_and_change_nothing() {
    let broker = OpenBroker::start(OpenBrokerOptions::default())
        .await
        .unwrap();
    let platform = Platform::of(&broker).await;
    let once = |kind: FaultKind, operation: &str| Fault::new(kind).on(operation).for_requests(1);
    let unavailable = FaultKind::HttpStatus {
        status: 503,
        retry_after_seconds: Some(7),
    };
    let unavailable = once(unavailable, "provision");
    broker.set_fault(unavailable).await.unwrap();
    let answer = platform.provision("one", &json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "7");
    let busy = once(FaultKind::Busy, "provision");
    broker.set_fault(busy).await.unwrap();
    let (refused, why) = said(platform.provision("one", &json!({}))).await;
    assert_eq!((refused, &why["error"]), (422, &json!("ConcurrencyError")));
    assert!(broker.instances().await.unwrap().is_empty());
    assert_eq!(status(platform.provision("one", &json!({}))).await, 201);

    let slow = FaultKind::Slow { milliseconds: 200 };
    broker.set_fault(once(slow, "fetch")).await.unwrap();
    let asked = Instant::now();
    assert_eq!(status(platform.fetch("one")).await, 200);
    assert!(asked.elapsed() >= Duration::from_millis(200));
    broker.set_fault(FaultKind::http_500()).await.unwrap();
    broker.clear_faults().await.unwrap();
    assert_eq!(status(platform.fetch("one")).await, 200);
}

#[tokio::test]
async fn a_lying_broker_accepts_a_parameter_and_does_not_have_it() {
    // shows D2
    let broker = OpenBroker::start(OpenBrokerOptions::default())
        .await
        .unwrap();
    let platform = Platform::of(&broker).await;
    let attributes = vec!["retentionDays".to_owned()];
    let lie = FaultKind::NotEffective { attributes };
    broker.set_fault(lie).await.unwrap();
    let wanted = json!({ "retentionDays": 30, "folder": "/scans" });
    assert_eq!(status(platform.provision("one", &wanted)).await, 201);
    assert_eq!(
        said(platform.fetch("one")).await.1["parameters"],
        json!({ "folder": "/scans" })
    );
}

#[tokio::test]
async fn a_stuck_broker_stays_in_progress_and_refuses_what_would_interfere() {
    let broker = OpenBroker::start(OpenBrokerOptions::default())
        .await
        .unwrap();
    let platform = Platform::of(&broker).await;
    broker.set_fault(FaultKind::AsyncNeverEnds).await.unwrap();
    assert_eq!(status(platform.provision("one", &json!({}))).await, 202);
    for _ in 0..10 {
        assert_eq!(
            said(platform.last_operation("one")).await.1["state"],
            "in progress"
        );
    }
    let (refused, why) = said(platform.deprovision("one")).await;
    assert_eq!((refused, &why["error"]), (422, &json!("ConcurrencyError")));
    broker.clear_faults().await.unwrap();
    assert_eq!(
        said(platform.last_operation("one")).await.1["state"],
        "succeeded"
    );
}

#[tokio::test]
async fn a_fault_that_openbrokerapi_cannot_have_is_refused() {
    let broker = OpenBroker::start(OpenBrokerOptions::default())
        .await
        .unwrap();
    let refused = broker.set_fault(FaultKind::NotRetrievable).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, PeerError::Fault { .. }), "{refused}");
    let unknown = http_client()
        .put(format!("{}/control/faults", broker.url()))
        .json(&json!({ "type": "NotRetrievable" }));
    assert_eq!(status(unknown).await, 400, "its own list is the same");
}

#[tokio::test]
async fn the_library_insists_on_version_header_credentials_and_organisation() {
    let credentials = Some(("operator".to_owned(), "secret".to_owned()));
    let broker = OpenBroker::start(OpenBrokerOptions { credentials })
        .await
        .unwrap();
    let catalog = format!("{}/v2/catalog", broker.url());
    let http = http_client();
    let login = |request: RequestBuilder| request.basic_auth("operator", Some("secret"));
    assert_eq!(
        status(login(http.get(&catalog))).await,
        400,
        "no version header"
    );
    let versioned = || http.get(&catalog).header(VERSION.0, VERSION.1);
    assert_eq!(status(versioned()).await, 401, "no credentials");
    assert_eq!(
        status(versioned().basic_auth("operator", Some("wrong"))).await,
        401
    );
    let (ok, offerings) = said(login(versioned())).await;
    assert_eq!(ok, 200);

    let offering = &offerings["services"][0];
    let body = json!({ "service_id": offering["id"], "plan_id": offering["plans"][0]["id"] });
    let without_organisation = http
        .put(format!("{}/v2/service_instances/one", broker.url()))
        .header(VERSION.0, VERSION.1)
        .json(&body);
    let (refused, why) = said(login(without_organisation)).await;
    assert_eq!(refused, 400, "{why}");
    assert!(
        why["description"].as_str().unwrap().contains("space guid"),
        "{why}"
    );
    assert!(
        !broker.log().contains("secret"),
        "the password is in no log"
    );
}
