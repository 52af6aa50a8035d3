//! Tests of reading Secrets: once for many, again after a while, and the fault of one that cannot
//! be read.

use base64::Engine as _;
use serde_json::{Value, json};

use super::*;
use crate::fake_api::{Asked, FakeApi};

const SECRET: &str = "/api/v1/namespaces/acme/secrets/login";
const KEY: &str = "/api/v1/namespaces/entente-system/secrets/entente-digest-key";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn reference() -> SecretKeyReference {
    SecretKeyReference {
        name: "login".to_owned(),
        key: "token".to_owned(),
    }
}

fn object(name: &str, data: &[(&str, &[u8])]) -> Value {
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let data: serde_json::Map<String, Value> = data
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(encode(value))))
        .collect();
    json!({"kind": "Secret", "apiVersion": "v1", "data": data,
           "metadata": {"name": name, "resourceVersion": "7", "labels": {"entente.dev/use": "true"}}})
}

fn secrets() -> (Arc<Secrets>, FakeApi) {
    let (client, api) = FakeApi::new();
    let secrets = Secrets::new(client, "entente-system".to_owned());
    (Arc::new(secrets), api)
}

/// Answers requests by their path, until the result is there.
async fn served<T>(
    api: &mut FakeApi,
    asking: impl Future<Output = T>,
    mut answer: impl FnMut(Asked),
) -> T {
    tokio::pin!(asking);
    loop {
        tokio::select! {
            result = &mut asking => return result,
            asked = api.next() => answer(asked),
        }
    }
}

#[tokio::test]
async fn a_thousand_who_ask_at_once_make_one_request() {
    let (secrets, mut api) = secrets();
    let mut requests = 0;
    let all = futures::future::join_all((0..1000).map(|_| secrets.secret("acme", "login", at(0))));
    let read = served(&mut api, all, |asked| {
        requests += 1;
        assert_eq!(asked.target, SECRET);
        asked.answer(200, &object("login", &[("token", b"one")]));
    })
    .await;
    assert_eq!(requests, 1);
    assert!(read.iter().all(Result::is_ok));
    let read = secrets.secret("acme", "login", at(9)).await;
    assert!(
        read.is_ok() && api.is_silent(),
        "it is kept for ten seconds"
    );
    secrets.forget();
    let again = secrets.secret("acme", "login", at(9));
    let again = served(&mut api, again, |asked| {
        asked.answer(200, &object("login", &[("token", b"one")]));
    });
    assert!(again.await.is_ok(), "what was forgotten is read");
    let read = served(&mut api, secrets.secret("acme", "login", at(19)), |asked| {
        asked.answer(200, &object("login", &[("token", b"two")]));
    });
    let data = read.await.map_err(|fault| fault.1).unwrap();
    assert_eq!(data.values["token"], b"two");
}

#[tokio::test]
async fn what_is_forgotten_for_one_namespace_is_kept_for_the_others() {
    let (secrets, mut api) = secrets();
    let login = object("login", &[("token", b"one")]);
    for namespace in ["acme", "other", "entente-system"] {
        let read = secrets.secret(namespace, "login", at(0));
        let read = served(&mut api, read, |asked| asked.answer(200, &login)).await;
        assert!(read.is_ok(), "{namespace}");
    }
    secrets.forget_namespace("acme");
    for namespace in ["other", "entente-system"] {
        let read = secrets.secret(namespace, "login", at(9)).await;
        assert!(read.is_ok() && api.is_silent(), "{namespace}");
    }
    let mut requests = 0;
    let read = served(&mut api, secrets.secret("acme", "login", at(9)), |asked| {
        requests += 1;
        asked.answer(200, &login);
    });
    assert!(read.await.is_ok());
    assert_eq!(requests, 1, "its own are read anew");
}

// shows K2
#[tokio::test]
async fn what_cannot_be_had_is_told_with_what_to_do() {
    let (secrets, mut api) = secrets();
    let mut now = 0;
    let mut fault = async |answer: &dyn Fn(Asked)| {
        now += 100;
        let reference = reference();
        let read = secrets.text("acme", &reference, at(now));
        let (reason, message) = served(&mut api, read, answer).await.unwrap_err();
        format!("{} {message}", reason.as_str())
    };
    let told = fault(&|asked| asked.refuse(404, "NotFound", "no")).await;
    assert_eq!(
        told,
        "SecretNotFound the Secret login does not exist in the namespace acme"
    );
    let told = fault(&|asked| asked.refuse(403, "Forbidden", "no")).await;
    assert_eq!(
        told,
        "SecretForbidden the operator may not read the Secret login in acme; it needs the \
         RoleBinding entente-tenant-secrets there (tenantSecrets.namespaces of the chart)"
    );
    let told = fault(&|asked| asked.answer(200, &object("login", &[]))).await;
    assert_eq!(told, "SecretKeyMissing the Secret login has no key token");
    let told = fault(&|asked| asked.answer(200, &object("login", &[("token", b"\n")]))).await;
    assert_eq!(
        told,
        "SecretKeyMissing the key token of the Secret login holds no text"
    );
    let told = fault(&|asked| asked.answer(200, &object("login", &[("token", b"\xff")]))).await;
    assert_eq!(
        told,
        "SecretKeyMissing the key token of the Secret login holds no text"
    );
}

// shows K2 K4
#[tokio::test]
async fn a_secret_of_a_tenant_without_the_label_is_not_used_and_one_of_the_operator_needs_none() {
    let (secrets, mut api) = secrets();
    let mut now = 0;
    for labels in [json!(null), json!({"entente.dev/use": "false"})] {
        now += 100;
        let mut found = object("login", &[("token", b"one")]);
        found["metadata"]["labels"] = labels;
        let read = secrets.secret("acme", "login", at(now));
        let read = served(&mut api, read, |asked| asked.answer(200, &found)).await;
        assert_eq!(
            read.err(),
            Some((
                Reason::SecretForbidden,
                "the Secret login in acme may not be used; it needs the label entente.dev/use: \
                 \"true\""
                    .to_owned()
            ))
        );
        let own = secrets.secret("entente-system", "login", at(now));
        let own = served(&mut api, own, |asked| asked.answer(200, &found)).await;
        assert!(own.is_ok());
    }
}

// shows K4
#[tokio::test]
async fn the_key_for_digests_is_made_once_and_never_replaced() {
    let (secrets, mut api) = secrets();
    let mut written = None;
    let reference = reference();
    let text = served(
        &mut api,
        secrets.text("acme", &reference, at(0)),
        |asked| match (asked.method.as_str(), asked.target.as_str()) {
            ("GET", SECRET) => asked.answer(200, &object("login", &[("token", b"one\n")])),
            ("GET", KEY) => asked.answer(200, &object("entente-digest-key", &[])),
            ("PUT", target) if target.starts_with(KEY) => {
                assert_eq!(asked.body["metadata"]["resourceVersion"], "7");
                let body = asked.body.clone();
                written = Some(body.clone());
                asked.answer(200, &body);
            }
            (method, target) => unreachable!("{method} {target}"),
        },
    );
    let text = text.await.map_err(|fault| fault.1).unwrap();
    assert_eq!(text.expose(), "one", "the line feed is not part of it");
    let written = written.expect("a key was made");
    let key = written["data"]["key"].as_str().expect("a key");
    assert!(key.len() > 40, "{key} is too short");

    // Another process finds that key, and comes to the same digest.
    let (others, mut api) = self::secrets();
    let again = served(&mut api, others.text("acme", &reference, at(0)), |asked| {
        assert_eq!(asked.method, "GET");
        match asked.target.as_str() {
            SECRET => asked.answer(200, &object("login", &[("token", b"one")])),
            _ => asked.answer(200, &written),
        }
    });
    let again = again.await.map_err(|fault| fault.1).unwrap();
    assert_eq!(again.digest(), text.digest());
}

// shows K2
#[tokio::test]
async fn a_key_for_digests_that_was_deleted_is_named_with_the_command_that_makes_it_again() {
    let (secrets, mut api) = secrets();
    let reference = reference();
    let text = served(
        &mut api,
        secrets.text("acme", &reference, at(0)),
        |asked| match asked.target.as_str() {
            SECRET => asked.answer(200, &object("login", &[("token", b"one")])),
            KEY => asked.refuse(404, "NotFound", "no"),
            target => unreachable!("{target}"),
        },
    );
    let (reason, message) = text.await.map(|_| ()).expect_err("there is no key");
    assert_eq!(
        format!("{} {message}", reason.as_str()),
        "SecretNotFound the Secret entente-digest-key does not exist in the namespace \
         entente-system; make it again by `helm upgrade` of Entente's release"
    );
}
