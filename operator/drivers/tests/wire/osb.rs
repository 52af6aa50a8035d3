//! Open Service Broker 2.17 on the wire.

use base64::Engine as _;
use entente_crds::v1alpha1::{Protocol, SecretKeyReference};
use entente_domain::remote::{
    Failure, FailureKind, InstanceContext, InstanceKey, InstanceReading, InstanceRequest,
    OperationState, ServerAnswer,
};
use entente_domain::secret::{DigestKey, SecretText, Secrets};
use entente_drivers::{CredentialsValue, Drivers, ServerTarget};
use serde_json::{Map, Value, json};

use super::server::{Arrived, Reply, Server, profile};

fn reply(status: &str, body: &Value) -> Reply {
    (
        format!("{status}\r\nContent-Type: application/json"),
        body.to_string().into_bytes(),
    )
}

fn target(server: &Server) -> ServerTarget {
    let token = "t0ken-of-the-broker".to_owned().into();
    let credentials = Some(CredentialsValue::Bearer { token });
    ServerTarget {
        secrets: Secrets::default(),
        profile: profile(Protocol::OSB, credentials),
        url: format!("http://{}/broker/", server.address),
    }
}

fn instance() -> InstanceKey {
    InstanceKey {
        instance_id: "i-1".to_owned(),
        service_id: "s 1".to_owned(),
        plan_id: "p/1".to_owned(),
    }
}

fn context() -> InstanceContext {
    InstanceContext {
        organization: "C-4711".to_owned(),
        namespace: "banco-sul".to_owned(),
        subscription: "banco-sul-2027.backup.lobby".to_owned(),
    }
}

fn parameters() -> Map<String, Value> {
    json!({"weekday": "Wed"}).as_object().unwrap().clone()
}

fn json_of(arrived: &Arrived) -> Value {
    serde_json::from_slice(&arrived.body).unwrap()
}

/// Checks that the request names the operator and the subscription.
fn assert_originating_identity(arrived: &Arrived) {
    let identity = arrived.header("x-broker-api-originating-identity").unwrap();
    let (platform, encoded) = identity.split_once(' ').unwrap();
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .unwrap();
    assert_eq!(platform, "kubernetes");
    assert_eq!(
        serde_json::from_slice::<Value>(&decoded).unwrap(),
        json!({
            "username": "entente", "uid": "", "groups": [],
            "extra": {"subscription": ["banco-sul-2027.backup.lobby"]},
        })
    );
}

// shows B3
#[tokio::test]
async fn a_provision_says_what_for_whom_and_by_whom() {
    let server = Server::start(|_| reply("202 Accepted", &json!({"operation": "o-1"}))).await;
    let drivers = Drivers::real();
    let service = drivers.service();
    let target = target(&server);
    let (instance, context, parameters) = (instance(), context(), parameters());
    let request = InstanceRequest::new(&instance, &context, &parameters);
    let answer = service.provision(&target, request).await;
    assert_eq!(
        answer,
        Ok(ServerAnswer::UnderWay {
            operation: Some("o-1".to_owned()),
            retry_after: None,
        })
    );
    let again = service.provision(&target, request).await;
    assert_eq!(again, answer);

    let arrived = server.arrived();
    assert_eq!(
        arrived[0].line,
        "PUT /broker/v2/service_instances/i-1?accepts_incomplete=true"
    );
    assert_eq!(
        json_of(&arrived[0]),
        json!({
            "service_id": "s 1",
            "plan_id": "p/1",
            "organization_guid": "C-4711",
            "space_guid": "banco-sul",
            "parameters": {"weekday": "Wed"},
            "context": {
                "platform": "kubernetes",
                "namespace": "banco-sul",
                "instance_name": "banco-sul-2027.backup.lobby",
                "customer": "C-4711",
            },
        })
    );
    assert_eq!(arrived[0].body, arrived[1].body, "the identical PUT again");
    assert_eq!(arrived[0].header("x-broker-api-version"), Some("2.17"));
    assert_eq!(arrived[0].header("content-type"), Some("application/json"));
    assert_eq!(
        arrived[0].header("authorization"),
        Some("Bearer t0ken-of-the-broker")
    );

    assert_originating_identity(&arrived[0]);
    let request = |n: usize| {
        arrived[n]
            .header("x-broker-api-request-identity")
            .unwrap()
            .to_owned()
    };
    assert_eq!(request(0).len(), 36);
    assert_ne!(request(0), request(1));
}

// shows B3
#[tokio::test]
async fn an_update_names_the_plan_that_the_instance_has_and_the_one_that_it_is_to_have() {
    let server = Server::start(|_| reply("200 OK", &json!({}))).await;
    let drivers = Drivers::real();
    let target = target(&server);
    for (to_plan, maintenance_version) in [(None, None), (Some("p 2"), Some("2.1.1"))] {
        let (instance, context, parameters) = (instance(), context(), parameters());
        let update = InstanceRequest {
            to_plan,
            maintenance_version,
            ..InstanceRequest::new(&instance, &context, &parameters)
        };
        let answer = drivers.service().update(&target, update).await;
        assert_eq!(answer, Ok(ServerAnswer::Done));
    }
    let arrived = server.arrived();
    assert_eq!(
        arrived[0].line,
        "PATCH /broker/v2/service_instances/i-1?accepts_incomplete=true"
    );
    let mut expected = json!({
        "service_id": "s 1",
        "plan_id": "p/1",
        "previous_values": {"plan_id": "p/1"},
        "parameters": {"weekday": "Wed"},
        "context": json_of(&arrived[0])["context"],
    });
    assert_eq!(json_of(&arrived[0]), expected);
    expected["plan_id"] = json!("p 2");
    expected["maintenance_info"] = json!({"version": "2.1.1"});
    assert_eq!(json_of(&arrived[1]), expected);
}

#[tokio::test]
async fn a_provision_names_the_version_of_the_plan_that_the_catalog_had() {
    let server = Server::start(|_| reply("201 Created", &json!({}))).await;
    let (instance, context, parameters) = (instance(), context(), parameters());
    let provision = InstanceRequest {
        maintenance_version: Some("2.1.1"),
        ..InstanceRequest::new(&instance, &context, &parameters)
    };
    let (drivers, target) = (Drivers::real(), target(&server));
    let answer = drivers.service().provision(&target, provision).await;
    assert_eq!(answer, Ok(ServerAnswer::Done));
    let body = json_of(&server.arrived()[0]);
    assert_eq!(body["maintenance_info"], json!({"version": "2.1.1"}));
}

#[tokio::test]
async fn reads_and_removals_name_offering_and_plan() {
    let server = Server::start(|arrived| match arrived.line.split(' ').next() {
        Some("DELETE") => reply("410 Gone", &json!({})),
        _ if arrived.line.contains("last_operation") => {
            let (head, body) = reply("200 OK", &json!({"state": "in progress"}));
            (format!("{head}\r\nRetry-After: 3"), body)
        }
        _ => reply(
            "200 OK",
            &json!({"service_id": "s 1", "parameters": {"weekday": "Wed"}}),
        ),
    })
    .await;
    let drivers = Drivers::real();
    let (service, target) = (drivers.service(), target(&server));
    let reading = service.observe(&target, &instance(), true).await.unwrap();
    assert_eq!(
        reading,
        InstanceReading::Present {
            service_id: Some("s 1".to_owned()),
            plan_id: None,
            parameters: Some(parameters()),
        }
    );
    let state = service
        .last_operation(&target, &instance(), Some("o&1"))
        .await
        .unwrap();
    let retry_after = Some(jiff::SignedDuration::from_secs(3));
    assert_eq!(state, OperationState::InProgress { retry_after });
    let removed = service
        .deprovision(&target, &instance(), &context())
        .await
        .unwrap();
    assert_eq!(removed, ServerAnswer::Done);

    let lines: Vec<String> = server
        .arrived()
        .into_iter()
        .map(|arrived| arrived.line)
        .collect();
    let path = "/broker/v2/service_instances/i-1";
    let offering = "service_id=s+1&plan_id=p%2F1";
    assert_eq!(
        lines,
        [
            format!("GET {path}?{offering}"),
            format!("GET {path}/last_operation?{offering}&operation=o%261"),
            format!("DELETE {path}?{offering}&accepts_incomplete=true"),
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_fetched_is_not_asked_for() {
    let server = Server::start(|_| reply("500 Oops", &json!({}))).await;
    let drivers = Drivers::real();
    let reading = drivers
        .service()
        .observe(&target(&server), &instance(), false)
        .await;
    assert_eq!(reading, Ok(InstanceReading::NotRetrievable));
    assert!(server.arrived().is_empty());
}

#[tokio::test]
async fn a_broker_that_gives_the_token_back_does_not_get_it_into_a_message() {
    let server = Server::start(|arrived| {
        let token = arrived.header("authorization").unwrap().to_owned();
        reply(
            "401 Unauthorized",
            &json!({"description": format!("bad {token}")}),
        )
    })
    .await;
    let drivers = Drivers::real();
    let failure = drivers
        .service()
        .catalog(&target(&server))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unauthorized);
    assert_eq!(
        failure.message,
        "HTTP 401 Unauthorized: bad Bearer [redacted]"
    );
}

#[tokio::test]
async fn a_token_that_was_fetched_is_not_given_back_either() {
    let granted = json!({"access_token": "t0ken-that-was-fetched", "token_type": "Bearer"});
    let endpoint = Server::start(move |_| reply("200 OK", &granted)).await;
    let server = Server::start(|arrived| {
        let token = arrived.header("authorization").unwrap().to_owned();
        let said = format!("bad {token}");
        if arrived.line.contains("last_operation") {
            reply("200 OK", &json!({"state": "failed", "description": said}))
        } else {
            reply("400 Bad Request", &json!({"description": said}))
        }
    })
    .await;
    let credentials = CredentialsValue::OAuth2ClientCredentials {
        client_id: "entente".to_owned().into(),
        client_secret: "s3cr3t".to_owned().into(),
        scope: None,
    };
    let mut profile = (*profile(Protocol::OSB, Some(credentials))).clone();
    profile.token_url = format!("http://{}/token", endpoint.address).parse().ok();
    let target = ServerTarget {
        profile: profile.into(),
        ..target(&server)
    };
    let drivers = Drivers::real();
    let failure = drivers.service().catalog(&target).await.unwrap_err();
    assert_eq!(
        failure.message,
        "HTTP 400 Bad Request: bad Bearer [redacted]"
    );
    let state = drivers
        .service()
        .last_operation(&target, &instance(), None)
        .await;
    let failure = Failure::of_operation("bad Bearer [redacted]");
    assert_eq!(state, Ok(OperationState::Failed(failure)));
    assert_eq!(endpoint.arrived().len(), 1);
}

// shows K4
#[tokio::test]
async fn a_secret_that_the_request_carried_is_not_given_back_in_whatever_spelling() {
    let key = "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIE\nIJ+DYvh6SEqVTm50DFtM\n-----END KEY-----";
    let server = Server::start(move |arrived| {
        let sent = String::from_utf8_lossy(&arrived.body).into_owned();
        let encoded = base64::engine::general_purpose::STANDARD.encode(key);
        let said = format!("bad {key} or {encoded} in {sent}");
        reply("400 Bad Request", &json!({"description": said}))
    })
    .await;
    let reference = SecretKeyReference {
        name: "cloud".to_owned(),
        key: "key".to_owned(),
    };
    let text = SecretText::new(key.to_owned(), &DigestKey::new(b"own".to_vec()));
    let target = ServerTarget {
        secrets: Secrets([(reference, Ok(text))].into()),
        ..target(&server)
    };
    let parameters = json!({"key": key}).as_object().unwrap().clone();
    let drivers = Drivers::real();
    let refused = drivers
        .service()
        .provision(
            &target,
            InstanceRequest::new(&instance(), &context(), &parameters),
        )
        .await;
    let message = refused.unwrap_err().message;
    // The frame of PEM is the same for every key.
    let shown = "bad -----BEGIN KEY----- [redacted] -----END KEY----- or ";
    assert!(message.contains(shown), "{message}");
    let encoded = base64::engine::general_purpose::STANDARD.encode(key);
    // The first four characters of the body begin in the middle of one of base64.
    let body = &encoded[28..encoded.len() - 28];
    for part in ["MC4CAQAw", "IJ+DYvh6", &body[..8], &body[40..48]] {
        assert!(!message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn an_answer_of_more_than_64_kib_is_not_read() {
    let server = Server::start(|_| reply("201 Created", &json!({"x": "x".repeat(70_000)}))).await;
    let drivers = Drivers::real();
    let target = target(&server);
    let failure = drivers
        .service()
        .provision(
            &target,
            InstanceRequest::new(&instance(), &context(), &parameters()),
        )
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.doubtful),
        (FailureKind::ProtocolError, true)
    );
}

// shows K5
#[tokio::test]
async fn a_refusal_of_more_than_64_kib_is_still_a_refusal() {
    let server =
        Server::start(|_| reply("400 Bad Request", &json!({"x": "x".repeat(70_000)}))).await;
    let drivers = Drivers::real();
    let target = target(&server);
    let refused = drivers
        .service()
        .provision(
            &target,
            InstanceRequest::new(&instance(), &context(), &parameters()),
        )
        .await;
    let refused = refused.map_err(|failure| (failure.kind, failure.doubtful, failure.message));
    let message = "the server answered HTTP 400 Bad Request".to_owned();
    assert_eq!(refused, Err((FailureKind::RejectedValue, false, message)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_of_up_to_8_mib_is_read() {
    const MIB: usize = 1024 * 1024;
    for (length, is_read) in [(7 * MIB, true), (9 * MIB, false)] {
        let plan = json!({"id": "p", "name": "standard", "schemas": "x".repeat(length)});
        let catalog = json!({"services": [{"id": "s", "name": "backup", "plans": [plan]}]});
        let server = Server::start(move |_| reply("200 OK", &catalog)).await;
        let read = Drivers::real().service().catalog(&target(&server)).await;
        let plans = read.map(|read| read.offerings[0].plans.len());
        assert_eq!(plans.ok(), is_read.then_some(1), "{length}");
    }
}
