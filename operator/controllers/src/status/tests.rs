//! Tests of writes of statuses: conflicts, refusals and objects that are gone.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Duration,
};

use entente_crds::v1alpha1::{Connection, ConnectionStatus};
use http::Method;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use super::{
    Created, Deleted, Reported, WriteError, add_finalizer, create, delete, remove_finalizer,
    replace_spec, report_until_written,
};
use crate::{
    cache::{Cache, Key},
    fake_api::FakeApi,
    metrics::Metrics,
};

mod echo;

/// The instant of the pass.
const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const FINALIZER: &str = entente_crds::FINALIZER_IN_USE;

fn status(used_by: i64) -> ConnectionStatus {
    ConnectionStatus {
        used_by: Some(used_by),
        ..ConnectionStatus::default()
    }
}

/// Returns the Connection `hq` of a UID, at a version.
fn connection(uid: &str, version: u64, used_by: i64) -> Connection {
    let mut object = entente_crds::example::hq_ipp();
    object.metadata = ObjectMeta {
        name: Some("hq".into()),
        uid: Some(uid.into()),
        resource_version: Some(version.to_string()),
        ..ObjectMeta::default()
    };
    object.status = Some(status(used_by));
    object
}

fn json_of(object: &Connection) -> Value {
    serde_json::to_value(object).unwrap()
}

fn hq() -> Key {
    Key::new("", "hq")
}

/// Returns the results of both futures; fails if one of them waits for something that does not
/// come.
async fn both<A, B>(write: impl Future<Output = A>, serve: impl Future<Output = B>) -> (A, B) {
    let both = async { tokio::join!(write, serve) };
    tokio::time::timeout(Duration::from_mins(1), both)
        .await
        .expect("an end within a minute")
}

fn bench() -> (Api<Connection>, FakeApi, Arc<Cache<Connection>>) {
    let (client, api): (Client, FakeApi) = FakeApi::new();
    (
        Api::all(client),
        api,
        Arc::new(Cache::new(Arc::new(Metrics::new("0")))),
    )
}

#[tokio::test(start_paused = true)]
async fn a_status_is_replaced_with_the_version_it_was_decided_on_and_is_in_the_cache_then() {
    let (api, mut server, cache) = bench();
    cache.put_written(connection("u1", 5, 1));
    let hq = hq();
    let report = report_until_written(&api, &cache, &hq, NOW, |_| Some(status(2)));
    let serve = async {
        let asked = server.next().await;
        assert_eq!(asked.method, Method::PUT);
        assert!(
            asked.target.contains("/connections/hq/status"),
            "{}",
            asked.target
        );
        // The rest of the object is the server's own.
        let sent = json!({
            "apiVersion": "entente.dev/v1alpha1",
            "kind": "Connection",
            "metadata": {"name": "hq", "resourceVersion": "5", "uid": "u1"},
            "status": {"usedBy": 2},
        });
        assert_eq!(asked.body, sent);
        asked.answer(200, &json_of(&connection("u1", 6, 2)));
    };
    let (reported, ()) = both(report, serve).await;
    assert!(
        matches!(reported.unwrap(), Reported::Written(object) if object.status == Some(status(2)))
    );
    assert_eq!(
        cache.get(&hq).unwrap().resource_version().as_deref(),
        Some("6")
    );
}

#[tokio::test(start_paused = true)]
async fn an_equal_status_is_not_written() {
    let (api, mut server, cache) = bench();
    cache.put_written(connection("u1", 5, 2));
    for decided in [Some(status(2)), None] {
        let reported = report_until_written(&api, &cache, &hq(), NOW, |_| decided.clone()).await;
        assert!(matches!(reported.unwrap(), Reported::Unchanged));
    }
    assert!(server.is_silent());
}

#[tokio::test(start_paused = true)]
async fn a_lost_race_is_decided_again_on_the_fresh_object() {
    let (api, mut server, cache) = bench();
    cache.put_written(connection("u1", 5, 1));
    let seen = RefCell::new(Vec::new());
    let hq = hq();
    let report = report_until_written(&api, &cache, &hq, NOW, |object| {
        let before = object.status.as_ref()?.used_by?;
        seen.borrow_mut().push(before);
        Some(status(before + 10))
    });
    let serve = async {
        server
            .next()
            .await
            .refuse(409, "Conflict", "the object has been modified");
        let asked = server.next().await;
        assert_eq!(asked.method, Method::GET);
        asked.answer(200, &json_of(&connection("u1", 8, 3)));
        let asked = server.next().await;
        assert_eq!(asked.body["metadata"]["resourceVersion"], "8");
        asked.answer(200, &json_of(&connection("u1", 9, 13)));
    };
    let (reported, ()) = both(report, serve).await;
    assert!(matches!(reported.unwrap(), Reported::Written(_)));
    assert_eq!(*seen.borrow(), [1, 3]);
    assert_eq!(cache.get(&hq).unwrap().status, Some(status(13)));
}

#[tokio::test(start_paused = true)]
async fn races_that_are_always_lost_end_in_an_error_and_not_in_a_loop() {
    let (api, mut server, cache) = bench();
    cache.put_written(connection("u1", 5, 1));
    let puts = Cell::new(0);
    let serve = async {
        loop {
            let asked = server.next().await;
            if asked.method == Method::PUT {
                puts.set(puts.get() + 1);
                asked.refuse(409, "Conflict", "the object has been modified");
            } else {
                asked.answer(200, &json_of(&connection("u1", 6, 1)));
            }
        }
    };
    let hq = hq();
    let report = report_until_written(&api, &cache, &hq, NOW, |_| Some(status(2)));
    tokio::select! {
        reported = report => assert!(matches!(reported, Err(WriteError::Conflict { .. }))),
        () = serve => {}
    }
    assert_eq!(puts.get(), 11);
}

#[tokio::test(start_paused = true)]
async fn outcomes_are_not_reported_to_another_object_of_that_name() {
    let (api, mut server, cache) = bench();
    cache.put_written(connection("u1", 5, 1));
    let hq = hq();
    let report = report_until_written(&api, &cache, &hq, NOW, |_| Some(status(2)));
    let serve = async {
        server
            .next()
            .await
            .refuse(409, "Conflict", "the UID in the precondition differs");
        server
            .next()
            .await
            .answer(200, &json_of(&connection("u2", 8, 0)));
    };
    let (reported, ()) = both(report, serve).await;
    assert!(matches!(reported.unwrap(), Reported::Gone));
    assert!(server.is_silent());
}

#[tokio::test(start_paused = true)]
async fn nobody_to_report_to_is_the_end_of_it() {
    for in_cache in [true, false] {
        let (api, mut server, cache) = bench();
        if in_cache {
            cache.put_written(connection("u1", 5, 1));
        }
        let hq = hq();
        let report = report_until_written(&api, &cache, &hq, NOW, |_| Some(status(2)));
        let serve = async { server.next().await.refuse(404, "NotFound", "not found") };
        let (reported, ()) = both(report, serve).await;
        assert!(matches!(reported.unwrap(), Reported::Gone));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_of_unknown_outcome_is_an_error_and_not_repeated() {
    let (api, mut server, cache) = bench();
    cache.put_written(connection("u1", 5, 1));
    let hq = hq();
    let report = report_until_written(&api, &cache, &hq, NOW, |_| Some(status(2)));
    let serve = async {
        server
            .next()
            .await
            .refuse(504, "Timeout", "request timed out");
    };
    let (reported, ()) = both(report, serve).await;
    assert!(matches!(reported, Err(WriteError::Unknown { .. })));
    assert!(server.is_silent());
}

#[tokio::test(start_paused = true)]
async fn finalizers_of_others_are_kept_and_the_version_is_checked() {
    let (api, mut server, _) = bench();
    let mut object = connection("u1", 5, 1);
    object.metadata.finalizers = Some(vec![
        "other/one".into(),
        FINALIZER.into(),
        "other/two".into(),
    ]);
    let serve = async {
        let asked = server.next().await;
        assert_eq!(asked.method, Method::PATCH);
        assert_eq!(
            asked.body,
            json!({"metadata": {"uid": "u1", "resourceVersion": "5",
                                "finalizers": ["other/one", "other/two"]}})
        );
        asked.refuse(409, "Conflict", "the object has been modified");
    };
    let (removed, ()) = both(remove_finalizer(&api, &object, FINALIZER), serve).await;
    assert!(matches!(removed, Err(WriteError::Conflict { .. })));

    object.metadata.finalizers = Some(vec!["other/one".into()]);
    let serve = async {
        let asked = server.next().await;
        assert_eq!(
            asked.body["metadata"]["finalizers"],
            json!(["other/one", FINALIZER])
        );
        asked.answer(200, &json_of(&connection("u1", 6, 1)));
    };
    let (added, ()) = both(add_finalizer(&api, &object, FINALIZER), serve).await;
    assert_eq!(added.unwrap().resource_version().as_deref(), Some("6"));

    // A state that already holds is not written.
    remove_finalizer(&api, &object, FINALIZER).await.unwrap();
    object.metadata.finalizers = Some(vec![FINALIZER.into()]);
    add_finalizer(&api, &object, FINALIZER).await.unwrap();
    assert!(server.is_silent());
}

#[tokio::test(start_paused = true)]
async fn what_exists_already_is_found_by_its_name() {
    let (api, mut server, _) = bench();
    let object = connection("u1", 5, 1);
    let serve = async {
        let asked = server.next().await;
        assert_eq!(asked.method, Method::POST);
        asked.refuse(409, "AlreadyExists", "it already exists");
        let asked = server.next().await;
        assert_eq!(asked.method, Method::GET);
        asked.answer(200, &json_of(&connection("u7", 3, 1)));
    };
    let (created, ()) = both(create(&api, &object), serve).await;
    assert!(
        matches!(created.unwrap(), Created::Existing(found) if found.uid().as_deref() == Some("u7"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_terminating_namespace_is_told_from_other_refusals() {
    let (api, mut server, _) = bench();
    let object = connection("u1", 5, 1);
    for (message, terminating) in [
        (
            "unable to create new content in namespace acme because it is being terminated",
            true,
        ),
        (
            "connections.entente.dev is forbidden: User \"x\" cannot create resource",
            false,
        ),
    ] {
        let serve = async { server.next().await.refuse(403, "Forbidden", message) };
        let (created, ()) = both(create(&api, &object), serve).await;
        let error = created.unwrap_err();
        assert_eq!(error.is_namespace_terminating(), terminating, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_spec_is_replaced_with_uid_and_version_and_the_metadata_of_others_stays() {
    let (api, mut server, _) = bench();
    let serve = async {
        let asked = server.next().await;
        assert_eq!(asked.method, Method::PATCH);
        assert!(!asked.target.contains("/status"), "{}", asked.target);
        let spec = json!(connection("u1", 5, 1).spec);
        assert_eq!(
            asked.body,
            json!([
                {"op": "replace", "path": "/metadata/uid", "value": "u1"},
                {"op": "replace", "path": "/metadata/resourceVersion", "value": "5"},
                {"op": "replace", "path": "/spec", "value": spec},
            ])
        );
        asked.answer(200, &json_of(&connection("u1", 6, 1)));
    };
    let object = connection("u1", 5, 1);
    let (replaced, ()) = both(replace_spec(&api, &object, &object.spec), serve).await;
    assert_eq!(replaced.unwrap().resource_version().as_deref(), Some("6"));
}

#[tokio::test(start_paused = true)]
async fn a_deletion_names_uid_and_version_and_says_whether_finalizers_remain() {
    let (api, mut server, _) = bench();
    let object = connection("u1", 5, 1);
    let mut terminating = connection("u1", 6, 1);
    terminating.metadata.finalizers = Some(vec![FINALIZER.into()]);
    let serve = async {
        let asked = server.next().await;
        assert_eq!(asked.method, Method::DELETE);
        let preconditions = json!({"uid": "u1", "resourceVersion": "5"});
        assert_eq!(asked.body["preconditions"], preconditions);
        asked.answer(200, &json_of(&terminating));
        let success = json!({"kind": "Status", "apiVersion": "v1", "status": "Success"});
        server.next().await.answer(200, &success);
        server.next().await.refuse(404, "NotFound", "not found");
        server
            .next()
            .await
            .refuse(409, "Conflict", "the UID in the precondition differs");
    };
    let deletions = async {
        assert!(matches!(
            delete(&api, &object).await,
            Ok(Deleted::Terminating(_))
        ));
        assert!(matches!(delete(&api, &object).await, Ok(Deleted::Gone)));
        assert!(matches!(delete(&api, &object).await, Ok(Deleted::Gone)));
        assert!(matches!(
            delete(&api, &object).await,
            Err(WriteError::Conflict { .. })
        ));
    };
    both(deletions, serve).await;
}

// shows K7
#[tokio::test(start_paused = true)]
async fn a_status_that_is_refused_becomes_a_condition_once_and_the_refusal_is_the_answer() {
    let (api, mut server, cache) = bench();
    cache.put_written(connection("u1", 5, 1));
    let hq = hq();
    for round in ["said", "said already"] {
        let report = report_until_written(&api, &cache, &hq, NOW, |_| Some(status(2)));
        let serve = async {
            let refused = server.next().await;
            refused.refuse(422, "Invalid", "status.usedBy: too long");
            if round == "said" {
                let asked = server.next().await;
                let conditions = asked.body["status"]["conditions"].clone();
                assert_eq!(
                    asked.body["status"]["usedBy"], 1,
                    "what was said before stays"
                );
                assert_eq!(conditions[0]["reason"], "InternalError");
                let message = conditions[0]["message"].as_str().unwrap_or_default();
                assert!(message.contains("status.usedBy: too long"), "{message}");
                let mut written = serde_json::to_value(connection("u1", 6, 1)).unwrap();
                written["status"] = asked.body["status"].clone();
                asked.answer(200, &written);
            }
        };
        let (reported, ()) = tokio::join!(report, serve);
        assert!(
            matches!(reported, Err(WriteError::Refused { .. })),
            "{round}"
        );
    }
    assert!(server.is_silent());
}

// shows K7
#[tokio::test(start_paused = true)]
async fn a_status_that_is_too_large_for_the_store_is_refused_and_becomes_a_condition() {
    for message in [
        "etcdserver: request is too large",
        "rpc error: code = ResourceExhausted desc = trying to send message larger than max \
         (3000000 vs. 2097152)",
    ] {
        let (api, mut server, cache) = bench();
        cache.put_written(connection("u1", 5, 1));
        let hq = hq();
        let report = report_until_written(&api, &cache, &hq, NOW, |_| Some(status(2)));
        let serve = async {
            let refused = server.next().await;
            refused.refuse(500, "InternalError", message);
            let asked = server.next().await;
            let conditions = &asked.body["status"]["conditions"];
            assert_eq!(conditions[0]["reason"], "InternalError");
            asked.answer(200, &json_of(&connection("u1", 6, 1)));
        };
        let (reported, ()) = both(report, serve).await;
        assert!(matches!(reported, Err(WriteError::Refused { .. })));
    }
}
