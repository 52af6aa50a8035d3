//! Tests of a cache: its objects, its changes, and the answers of own writes.

mod completed;
mod own_writes;
mod tally;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Client, ResourceExt as _,
    runtime::{reflector, watcher::Event},
};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Cache, Change, Key, Watched};
use crate::{
    fake_api::{FakeApi, config_map, failure},
    metrics::Metrics,
    shutdown::{Shutdown, ShutdownTrigger},
};

type Changes = UnboundedReceiver<Change<ConfigMap>>;

fn object(name: &str, uid: &str, version: u64, value: &str) -> ConfigMap {
    serde_json::from_value(config_map(name, uid, version, value)).unwrap()
}

fn key(name: &str) -> Key {
    Key::new("acme", name)
}

fn value(object: &ConfigMap) -> &str {
    object.data.as_ref().unwrap()["value"].as_str()
}

fn by_value(object: &ConfigMap) -> Vec<String> {
    object
        .data
        .iter()
        .flat_map(BTreeMap::values)
        .cloned()
        .collect()
}

fn cache() -> Cache<ConfigMap> {
    Cache::new(Arc::new(Metrics::new("0"))).with_index("value", by_value)
}

/// Returns the value that the cache has of an object now.
fn shown(cache: &Cache<ConfigMap>, name: &str) -> Option<String> {
    cache
        .get(&key(name))
        .map(|object| value(&object).to_owned())
}

/// Returns `name old -> new` of every change so far.
fn told(changes: &mut Changes) -> Vec<String> {
    std::iter::from_fn(|| changes.try_recv().ok())
        .map(|change| line(&change))
        .collect()
}

fn line(change: &Change<ConfigMap>) -> String {
    let side = |object: &Option<Arc<ConfigMap>>| {
        object
            .as_ref()
            .map_or_else(|| "-".to_owned(), |object| value(object).to_owned())
    };
    format!(
        "{} {} -> {}",
        change.key.name,
        side(&change.old),
        side(&change.new)
    )
}

async fn next(changes: &mut Changes) -> Change<ConfigMap> {
    tokio::time::timeout(Duration::from_mins(1), changes.recv())
        .await
        .expect("a change within a minute")
        .expect("a cache that lives")
}

/// Returns a cache that runs, its changes, and the server that it asks.
fn running() -> (Arc<Cache<ConfigMap>>, Changes, FakeApi, ShutdownTrigger) {
    let (client, api) = FakeApi::new();
    let cache = Arc::new(cache());
    let changes = cache.subscribe();
    let (trigger, shutdown) = Shutdown::channel();
    tokio::spawn(Arc::clone(&cache).run(client, Watched::default(), shutdown));
    (cache, changes, api, trigger)
}

fn gone() -> Value {
    failure(410, "Expired", "too old resource version")
}

// shows K5
#[tokio::test(start_paused = true)]
async fn an_update_that_arrives_with_a_relist_is_visible_when_it_is_announced() {
    let (cache, mut changes, mut api, _trigger) = running();
    api.next()
        .await
        .list(10, "", &[config_map("a", "u1", 5, "old")]);
    let watch = api.next().await.watch();
    cache.ready().await;
    assert_eq!(line(&next(&mut changes).await), "a - -> old");

    // The watch is too old for the history; the relist has two pages, and the second does not come.
    watch.send("ERROR", &gone());
    api.next()
        .await
        .list(30, "more", &[config_map("a", "u1", 20, "new")]);
    let change = next(&mut changes).await;
    assert_eq!(line(&change), "a old -> new");
    assert_eq!(shown(&cache, "a").as_deref(), Some("new"));
    assert!(api.next().await.target.contains("continue=more"));
}

/// Shows why the cache is not kube's reflector: the reflector's behaviour at the same point. Should
/// this test fail one day, kube has changed it.
#[test]
fn the_reflector_of_kube_still_shows_the_old_object_there() {
    let (reader, mut writer) = reflector::store::<ConfigMap>();
    let mut apply = |event| writer.apply_watcher_event(&event);
    apply(Event::Init);
    apply(Event::InitApply(object("a", "u1", 5, "old")));
    apply(Event::InitDone);
    apply(Event::Init);
    apply(Event::InitApply(object("a", "u1", 20, "new")));
    let shown = reader
        .get(&reflector::ObjectRef::new("a").within("acme"))
        .unwrap();
    assert_eq!(value(&shown), "old");
}

#[tokio::test(start_paused = true)]
async fn what_was_created_and_deleted_during_an_outage_is_seen() {
    let (cache, mut changes, mut api, _trigger) = running();
    let before = [config_map("a", "u1", 5, "a"), config_map("b", "u2", 6, "b")];
    api.next().await.list(10, "", &before);
    let watch = api.next().await.watch();
    cache.ready().await;
    told(&mut changes);

    watch.send("ERROR", &gone());
    let after = [
        config_map("b", "u2", 6, "b"),
        config_map("c", "u3", 15, "c"),
    ];
    api.next().await.list(20, "", &after);
    let _watch = api.next().await.watch();
    let mut lines = vec![
        line(&next(&mut changes).await),
        line(&next(&mut changes).await),
    ];
    lines.sort();
    assert_eq!(lines, ["a a -> -", "c - -> c"]);
    assert_eq!((cache.len(), shown(&cache, "a")), (2, None));
    assert_eq!(told(&mut changes), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn one_object_that_can_not_be_read_does_not_stop_the_others() {
    let (cache, mut changes, mut api, _trigger) = running();
    let mut broken = config_map("broken", "u9", 7, "");
    broken["data"] = json!("not a map");
    api.next()
        .await
        .list(10, "", &[broken, config_map("a", "u1", 5, "a")]);
    let watch = api.next().await.watch();
    cache.ready().await;
    assert_eq!(told(&mut changes), ["a - -> a"]);
    assert_eq!(cache.unreadable().len(), 1);
    let broken = &cache.unreadable()[0];
    assert_eq!(broken.key, key("broken"));
    assert_eq!(
        broken.problem,
        "data: invalid type: string \"not a map\", expected a map"
    );
    assert!(
        cache
            .metrics
            .encode()
            .contains("entente_objects_undecodable_total{kind=\"ConfigMap\"} 1")
    );

    // An object that can not be read any more is not taken for deleted.
    let mut spoiled = config_map("a", "u1", 11, "");
    spoiled["data"] = json!(7);
    watch.send("MODIFIED", &spoiled);
    watch.send("MODIFIED", &config_map("broken", "u9", 12, "mended"));
    assert_eq!(line(&next(&mut changes).await), "broken - -> mended");
    assert_eq!(shown(&cache, "a").as_deref(), Some("a"));
    assert_eq!(cache.unreadable()[0].key, key("a"));

    // Also not by a relist that brings it unreadable again.
    watch.send("ERROR", &gone());
    api.next()
        .await
        .list(20, "", &[spoiled, config_map("broken", "u9", 12, "mended")]);
    let watch = api.next().await.watch();
    watch.send("DELETED", &config_map("a", "u1", 21, ""));
    assert_eq!(line(&next(&mut changes).await), "a a -> -");
    assert!(cache.unreadable().is_empty());

    // An object removed during an outage is not reported any more.
    watch.send("ADDED", &{
        let mut broken = config_map("c", "u3", 22, "");
        broken["data"] = json!(7);
        broken
    });
    watch.send("ERROR", &gone());
    let asked = api.next().await;
    assert_eq!(cache.unreadable()[0].key, key("c"));
    asked.list(30, "", &[config_map("broken", "u9", 12, "mended")]);
    let _watch = api.next().await.watch();
    assert!(cache.unreadable().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_is_counted_and_asked_again_with_rests() {
    let (cache, _changes, mut api, _trigger) = running();
    let began = tokio::time::Instant::now();
    let broken = cache.broken();
    for failures in 0..8 {
        assert!(!cache.is_ready());
        let asked = api.next().await;
        let said = broken.borrow().clone();
        assert_eq!(!said.is_empty(), failures > 1, "{failures}: {said:?}");
        asked.refuse(500, "InternalError", "etcd is away");
    }
    let asked = api.next().await;
    let said = broken.borrow().get("").cloned().unwrap_or_default();
    assert!(said.contains("etcd is away"), "{said}");
    // 0.5 + 1 + 2 + 4 + 8 + 10 + 10 + 10 s.
    assert_eq!(began.elapsed().as_secs(), 45);
    asked.list(10, "", &[]);
    cache.ready().await;
    assert!(broken.borrow().is_empty(), "it works again");
    assert!(
        cache
            .metrics
            .encode()
            .contains("entente_watch_errors_total{kind=\"ConfigMap\"} 8"),
        "{}",
        cache.metrics.encode()
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_falls_silent_is_opened_again_within_65_seconds() {
    let (cache, mut changes, mut api, _trigger) = running();
    api.next().await.list(10, "", &[]);
    let _frozen = api.next().await.watch();
    cache.ready().await;
    let began = tokio::time::Instant::now();
    let asked = api.asked_within(Duration::from_mins(2)).await;
    assert!(began.elapsed() <= Duration::from_secs(66));
    assert!(
        asked.target.contains("resourceVersion=10"),
        "{}",
        asked.target
    );
    asked.watch().send("ADDED", &config_map("a", "u1", 11, "a"));
    assert_eq!(line(&next(&mut changes).await), "a - -> a");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_restored_from_a_backup_is_listed_again() {
    for error in [false, true] {
        let (cache, mut changes, mut api, _trigger) = running();
        api.next()
            .await
            .list(100, "", &[config_map("a", "u1", 90, "newer")]);
        let watch = api.next().await.watch();
        watch.send("MODIFIED", &config_map("a", "u1", 105, "newest"));
        assert_eq!(line(&next(&mut changes).await), "a - -> newer");
        assert_eq!(line(&next(&mut changes).await), "a newer -> newest");
        if error {
            drop(watch);
            let message = "Timeout: Too large resource version: 105, current: 80";
            api.next().await.refuse(504, "Timeout", message);
        } else {
            watch.send("MODIFIED", &config_map("b", "u2", 81, "b"));
        }
        api.next()
            .await
            .list(82, "", &[config_map("a", "u1", 70, "restored")]);
        assert_eq!(line(&next(&mut changes).await), "a newest -> restored");
        assert_eq!(shown(&cache, "a").as_deref(), Some("restored"));
    }
}

#[tokio::test(start_paused = true)]
async fn it_stops_when_asked_to() {
    let (client, _api): (Client, FakeApi) = FakeApi::new();
    let (trigger, shutdown) = Shutdown::channel();
    let task = tokio::spawn(Arc::new(cache()).run(client, Watched::default(), shutdown));
    trigger.trigger();
    tokio::time::timeout(Duration::from_secs(5), task)
        .await
        .unwrap()
        .unwrap();
}

fn object_in(namespace: &str, name: &str, version: u64, value: &str) -> Value {
    let mut object = config_map(name, &format!("{namespace}-{name}"), version, value);
    object["metadata"]["namespace"] = json!(namespace);
    object
}

/// A relist of one namespace, and the order of its watch, say nothing about another.
#[tokio::test(start_paused = true)]
async fn two_namespaces_with_a_watch_each_do_not_disturb_each_other() {
    let (client, mut api) = FakeApi::new();
    let parts = ["acme", "globex"].map(|namespace| Watched {
        namespace: namespace.to_owned(),
        labels: "team=print".to_owned(),
    });
    let cache = Arc::new(cache().brought_by(parts.to_vec()));
    let (_trigger, shutdown) = Shutdown::channel();
    let mut watches = Vec::new();
    for part in parts {
        let run = Arc::clone(&cache).run(client.clone(), part.clone(), shutdown.clone());
        tokio::spawn(run);
        let asked = api.next().await;
        let path = format!("/api/v1/namespaces/{}/configmaps?", part.namespace);
        assert!(asked.target.starts_with(&path), "{}", asked.target);
        assert!(
            asked.target.contains("labelSelector=team%3Dprint"),
            "{}",
            asked.target
        );
        assert!(!cache.is_ready());
        asked.list(9, "", &[object_in(&part.namespace, "a", 5, "five")]);
        watches.push(api.next().await.watch());
    }
    cache.ready().await;
    let shown = |namespace: &str| {
        cache
            .get(&Key::new(namespace, "a"))
            .map(|it| value(&it).to_owned())
    };

    // An own write in one, which its watch has not brought: the other watch is past it already.
    let written: ConfigMap = serde_json::from_value(object_in("acme", "new", 12, "own")).unwrap();
    cache.put_written(written);
    let mut changes = cache.subscribe();
    watches[1].send("MODIFIED", &object_in("globex", "a", 20, "twenty"));
    while shown("globex").as_deref() != Some("twenty") {
        next(&mut changes).await;
    }
    assert!(cache.get(&Key::new("acme", "new")).is_some());

    // One is listed anew, without its object: that of the other stays.
    watches[0].send("ERROR", &gone());
    let asked = api.next().await;
    assert!(asked.target.contains("/acme/"), "{}", asked.target);
    asked.list(30, "", &[]);
    while shown("acme").is_some() {
        next(&mut changes).await;
    }
    assert_eq!(shown("globex").as_deref(), Some("twenty"));
}

#[tokio::test]
async fn an_older_version_is_ignored() {
    let cache = cache();
    let mut changes = cache.subscribe();
    cache.write().applied(object("a", "u1", 5, "five"), false);
    cache.write().applied(object("a", "u1", 4, "four"), false);
    cache.put_written(object("a", "u1", 3, "three"));
    assert_eq!(told(&mut changes), ["a - -> five"]);
    // As numbers, not as texts.
    cache.write().applied(object("a", "u1", 10, "ten"), false);
    assert_eq!(shown(&cache, "a").as_deref(), Some("ten"));
}

#[tokio::test]
async fn a_server_whose_versions_are_no_numbers_is_followed_in_the_order_of_its_watch() {
    let cache = cache();
    for version in ["x", "b", "c"] {
        let mut object = object("a", "u1", 0, version);
        object.metadata.resource_version = Some(version.to_owned());
        cache.write().applied(object, false);
        assert_eq!(shown(&cache, "a").as_deref(), Some(version));
    }
}

#[tokio::test]
async fn an_object_made_anew_under_its_name_is_one_change_from_the_old_to_the_new() {
    let cache = cache();
    let mut changes = cache.subscribe();
    cache.write().applied(object("a", "u1", 5, "first"), false);
    cache.write().applied(object("a", "u2", 9, "second"), false);
    assert_eq!(told(&mut changes), ["a - -> first", "a first -> second"]);
    cache.put_written(object("a", "u1", 99, "late"));
    assert_eq!(shown(&cache, "a").as_deref(), Some("second"));
}

#[tokio::test]
async fn indexes_follow_every_change() {
    let cache = cache();
    let names = |value: &str| -> Vec<String> {
        cache
            .by_index("value", value)
            .iter()
            .map(|object| object.name_any())
            .collect()
    };
    cache.write().applied(object("b", "u2", 5, "x"), false);
    cache.write().applied(object("a", "u1", 6, "x"), false);
    assert_eq!(names("x"), ["a", "b"]);
    cache.write().applied(object("a", "u1", 7, "y"), false);
    assert_eq!(
        (names("x"), names("y")),
        (vec!["b".to_owned()], vec!["a".to_owned()])
    );
    cache.put_deleted(&key("b"), "u2");
    assert!(names("x").is_empty());
    cache.write().relist_begins("");
    cache.write().relist_ends("");
    assert!(names("y").is_empty() && cache.is_empty());
}

#[tokio::test]
async fn who_subscribes_late_is_told_of_what_is_there() {
    let cache = cache();
    cache.write().applied(object("b", "u2", 5, "b"), false);
    cache.write().applied(object("a", "u1", 6, "a"), false);
    let mut changes = cache.subscribe();
    let mut lines = told(&mut changes);
    lines.sort();
    assert_eq!(lines, ["a - -> a", "b - -> b"]);
    let names: Vec<_> = cache
        .in_namespace("acme")
        .iter()
        .map(|object| object.name_any())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert!(cache.in_namespace("other").is_empty());
}

/// The API server was away and is back, and nothing has changed meanwhile: nothing tells so but silence.
// shows K5
#[tokio::test(start_paused = true)]
async fn a_watch_that_failed_and_brings_nothing_works_again_once_it_would_have_failed_again() {
    let (cache, _changes, mut api, _trigger) = running();
    api.next().await.list(10, "", &[]);
    let watch = api.next().await.watch();
    cache.ready().await;
    drop(watch);
    let mut broken = cache.broken();
    let down = "the API server is away";
    for _ in 0..2 {
        api.next().await.refuse(503, "ServiceUnavailable", down);
    }
    let failed = broken.wait_for(|it| !it.is_empty());
    let failed = tokio::time::timeout(Duration::from_mins(1), failed);
    assert!(
        failed.await.is_ok_and(|it| it.is_ok()),
        "it is told that it fails"
    );
    let began = tokio::time::Instant::now();
    let _watch = api.next().await.watch();
    let works = broken.wait_for(std::collections::BTreeMap::is_empty);
    let works = tokio::time::timeout(Duration::from_mins(2), works);
    assert!(
        works.await.is_ok_and(|it| it.is_ok()),
        "it is told that it works"
    );
    assert!(
        began.elapsed() > Duration::from_mins(1),
        "not before a silent server would fail"
    );
}
