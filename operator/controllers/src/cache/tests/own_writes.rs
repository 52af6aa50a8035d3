//! Tests of the operator's own writes: the cache has them at once, and no late answer or older list
//! undoes what the watch has brought.

use super::*;

#[tokio::test]
async fn an_own_write_is_seen_at_once_and_announced_once() {
    let cache = cache();
    let mut changes = cache.subscribe();
    cache.put_written(object("a", "u1", 5, "written"));
    assert_eq!(shown(&cache, "a").as_deref(), Some("written"));
    cache
        .write()
        .applied(object("a", "u1", 5, "written"), false);
    // Also when the watch is faster than the answer.
    cache
        .write()
        .applied(object("b", "u2", 6, "watched"), false);
    cache.put_written(object("b", "u2", 6, "watched"));
    assert_eq!(told(&mut changes), ["a - -> written", "b - -> watched"]);
    assert!(cache.get(&key("a")).unwrap().managed_fields().is_empty());
    // The annotation in which kubectl keeps an object is dropped from the cache.
    let mut applied = object("c", "u3", 7, "applied");
    let annotations = [(crate::cache::LAST_APPLIED, "all of it"), ("mine", "stays")];
    let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
    applied.metadata.annotations = Some(annotations.into());
    cache.put_written(applied);
    let kept = cache.get(&key("c")).unwrap();
    assert_eq!(kept.annotations().keys().collect::<Vec<_>>(), ["mine"]);
}

#[tokio::test(start_paused = true)]
async fn the_echo_of_an_own_write_is_not_decoded_again() {
    let (cache, mut changes, mut api, _trigger) = running();
    api.next().await.list(10, "", &[]);
    let watch = api.next().await.watch();
    cache.ready().await;
    cache.put_written(object("a", "u1", 11, "first"));
    cache.put_written(object("a", "u1", 12, "second"));
    // Decoding one of these would show that it cannot be read.
    for version in [11, 12] {
        let mut unreadable = config_map("a", "u1", version, "");
        unreadable["data"] = json!(7);
        watch.send("MODIFIED", &unreadable);
    }
    watch.send("MODIFIED", &config_map("a", "u1", 13, "third"));
    for line in ["a - -> first", "a first -> second", "a second -> third"] {
        assert_eq!(self::line(&next(&mut changes).await), line);
    }
    let text = cache.metrics.encode();
    assert!(!text.contains("objects_undecodable_total{"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_does_not_come_back_by_a_late_answer() {
    let cache = cache();
    let mut changes = cache.subscribe();
    cache.write().applied(object("a", "u1", 5, "a"), false);
    let last = object("a", "u1", 7, "a");
    cache.write().deleted(&key("a"), "u1", &last.metadata);
    cache.put_written(object("a", "u1", 6, "late"));
    assert_eq!(told(&mut changes), ["a - -> a", "a a -> -"]);
    // The next object of that name is another one.
    cache.put_written(object("a", "u2", 8, "next"));
    cache.put_written(object("a", "u1", 6, "late"));
    assert_eq!(told(&mut changes), ["a - -> next"]);
    // A late deletion of the first does not touch it.
    cache.write().deleted(&key("a"), "u1", &last.metadata);
    assert_eq!(shown(&cache, "a").as_deref(), Some("next"));
}

#[tokio::test(start_paused = true)]
async fn a_deletion_seen_only_by_a_relist_also_stops_late_answers() {
    let cache = cache();
    cache.write().applied(object("a", "u1", 5, "a"), false);
    cache.write().relist_begins("");
    cache.write().relist_ends("");
    cache.put_written(object("a", "u1", 6, "late"));
    assert_eq!(shown(&cache, "a"), None);
}

#[tokio::test]
async fn own_writes_during_a_relist_are_not_lost_to_the_older_list() {
    let cache = cache();
    cache.write().applied(object("a", "u1", 5, "a"), false);
    let mut changes = cache.subscribe();
    told(&mut changes);
    cache.write().relist_begins("");
    cache.put_written(object("a", "u1", 25, "written"));
    cache.put_written(object("b", "u2", 26, "created"));
    cache.write().applied(object("a", "u1", 5, "a"), true);
    cache.write().relist_ends("");
    assert_eq!(told(&mut changes), ["a a -> written", "b - -> created"]);
    // The watch continues from the list and confirms both.
    cache
        .write()
        .applied(object("a", "u1", 25, "written"), false);
    cache
        .write()
        .applied(object("b", "u2", 26, "created"), false);
    cache.write().applied(object("c", "u3", 27, "c"), false);
    assert_eq!(told(&mut changes), ["c - -> c"]);
}

#[tokio::test]
async fn an_own_write_that_was_deleted_again_before_the_list_goes_when_the_watch_has_passed_it() {
    let cache = cache();
    let mut changes = cache.subscribe();
    cache.write().relist_begins("");
    cache.put_written(object("a", "u1", 25, "created"));
    cache.write().relist_ends("");
    assert_eq!(shown(&cache, "a").as_deref(), Some("created"));
    cache.write().applied(object("c", "u3", 27, "c"), false);
    assert_eq!(
        told(&mut changes),
        ["a - -> created", "a created -> -", "c - -> c"]
    );
}

#[tokio::test]
async fn the_answer_to_the_removal_of_the_last_finalizer_means_gone() {
    let cache = cache();
    let mut changes = cache.subscribe();
    cache.write().applied(object("a", "u1", 5, "a"), false);
    let mut terminating = object("a", "u1", 6, "a");
    terminating.metadata.deletion_timestamp =
        serde_json::from_value(json!("2027-03-01T00:00:00Z")).unwrap();
    terminating.metadata.finalizers = Some(vec!["entente.dev/withdraw".into()]);
    cache.put_written(terminating.clone());
    assert_eq!(told(&mut changes), ["a - -> a", "a a -> a"]);
    terminating.metadata.finalizers = None;
    terminating.metadata.resource_version = Some("7".into());
    cache.put_written(terminating.clone());
    cache
        .write()
        .deleted(&key("a"), "u1", &terminating.metadata);
    assert_eq!(told(&mut changes), ["a a -> -"]);
}
