//! Tests of objects that take something from those of another cache, here a value from the object that
//! has the name of theirs.

use super::*;

/// Returns a cache, and one whose objects take the value of the first where they have an empty one.
fn caches() -> (Arc<Cache<ConfigMap>>, Arc<Cache<ConfigMap>>) {
    let giving = Arc::new(cache());
    let of_takers = Arc::clone(&giving);
    let taking = cache().with_index("name", |object| vec![object.name_any()]);
    let taking = taking.completed_by(move |object, has_taken| {
        let own = if has_taken { "" } else { value(object) };
        let given = of_takers.get(&Key::of(object));
        let given = given.filter(|_| own.is_empty());
        let found = given.as_ref().map_or(own, |given| value(given)).to_owned();
        if found == value(object) {
            return None;
        }
        let is_taken = own.is_empty();
        let mut object = object.clone();
        object.data = Some([("value".to_owned(), found)].into());
        Some((object, is_taken))
    });
    let taking = Arc::new(taking);
    let takers = Arc::downgrade(&taking);
    giving.taken_by(move |key| {
        let takers = takers.upgrade().expect("it is alive");
        takers.complete_again("name", &key.name);
    });
    (giving, taking)
}

/// Has a cache take an event of the watch.
fn brought(cache: &Cache<ConfigMap>, object: ConfigMap) {
    let object = serde_json::from_value(serde_json::to_value(object).unwrap()).unwrap();
    cache.take(Event::Apply(object), "");
}

// shows K2
#[test]
fn an_object_has_what_it_takes_whichever_of_the_two_comes_first() {
    let (giving, taking) = caches();
    brought(&taking, object("a", "u1", 1, ""));
    brought(&taking, object("b", "u2", 2, "own"));
    let mut changes = taking.subscribe();
    assert_eq!(told(&mut changes).len(), 2);
    for (name, version) in [("a", 3), ("b", 4), ("c", 5)] {
        brought(&giving, object(name, "g", version, "given"));
    }
    brought(&taking, object("c", "u3", 6, ""));
    assert_eq!(told(&mut changes), ["a  -> given", "c - -> given"]);
    assert_eq!(shown(&taking, "b").as_deref(), Some("own"));
    // An index knows it by what it has, and by nothing else.
    let found = |value: &str| {
        let found = taking.by_index("value", value).into_iter();
        found.map(|it| it.name_any()).collect::<Vec<_>>()
    };
    assert_eq!(
        (found("given"), found("")),
        (vec!["a".to_owned(), "c".to_owned()], vec![])
    );
}

// shows K2
#[test]
fn a_change_of_what_is_taken_is_a_change_of_each_that_takes_it() {
    let (giving, taking) = caches();
    brought(&giving, object("a", "g", 1, "given"));
    brought(&taking, object("a", "u1", 2, ""));
    let mut changes = taking.subscribe();
    told(&mut changes);
    giving.put_written(object("a", "g", 3, "other"));
    giving.put_written(object("a", "g", 4, "other"));
    giving.put_deleted(&key("a"), "g");
    brought(&giving, object("a", "h", 5, "again"));
    assert_eq!(
        told(&mut changes),
        ["a given -> other", "a other -> ", "a  -> again"]
    );
    // Each of them is of the version that the API server has.
    let version = taking.get(&key("a")).unwrap().resource_version();
    assert_eq!(version.as_deref(), Some("2"));
    // Its own value counts from now on, and is not taken for one that was given.
    let own = taking.share_written(object("a", "u1", 6, "own"));
    assert_eq!(value(&own), "own");
    giving.put_written(object("a", "h", 7, "later"));
    assert_eq!(told(&mut changes), ["a again -> own"]);
    // And given up again.
    let given = taking.share_written(object("a", "u1", 8, ""));
    assert_eq!(value(&given), "later");
}

// shows K2
#[test]
fn a_relist_without_the_giver_takes_back_what_it_gave() {
    let (giving, taking) = caches();
    brought(&giving, object("a", "g", 1, "given"));
    brought(&taking, object("a", "u1", 2, ""));
    giving.take(Event::Init, "");
    assert_eq!(shown(&taking, "a").as_deref(), Some("given"));
    giving.take(Event::InitDone, "");
    assert_eq!(shown(&taking, "a").as_deref(), Some(""));
}
