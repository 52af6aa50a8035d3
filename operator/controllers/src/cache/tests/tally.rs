//! The sums that a cache keeps for gauges: whatever happens to objects, the sums over those it has.

use entente_domain::inventory::{Part, Series, Tally};
use proptest::prelude::*;

use super::*;
use crate::cache::Unreadable;

fn parts(object: &ConfigMap) -> Vec<Part> {
    let connection = value(object).to_owned();
    vec![(Series::Reachable { connection }, 1)]
}

/// Something that befalls an object, or all.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The watch, or a relist, brought a version.
    Brought {
        listed: bool,
    },
    /// The answer of an own write.
    Written,
    /// The watch brought a version that cannot be read.
    Unreadable,
    /// It was deleted.
    Deleted,
    RelistBegins,
    RelistEnds,
}

fn an_event() -> impl Strategy<Value = Event> {
    prop::sample::select(vec![
        Event::Brought { listed: false },
        Event::Brought { listed: true },
        Event::Written,
        Event::Unreadable,
        Event::Deleted,
        Event::RelistBegins,
        Event::RelistEnds,
    ])
}

proptest! {
    #[test]
    fn the_sums_are_those_of_the_objects_that_are_in_the_cache(
        events in prop::collection::vec(
            (an_event(), 0..3usize, 0..2usize, 1..30u64, "[ab]"), 0..60,
        ),
    ) {
        let cache = cache().counted_by(parts);
        for (event, name, uid, version, value) in events {
            let (name, uid) = (["x", "y", "z"][name], ["u1", "u2"][uid]);
            let uid = format!("{name}-{uid}");
            let object = object(name, &uid, version, &value);
            let mut state = cache.write();
            match event {
                Event::Brought { listed } => state.applied(object, listed),
                Event::Written => drop(state.put_written(object)),
                Event::Unreadable => state.unreadable_seen(Unreadable {
                    key: key(name),
                    metadata: object.metadata,
                    problem: String::new(),
                    spec: Value::Null,
                    status: Value::Null,
                }),
                Event::Deleted => state.put_deleted(&key(name), &uid),
                Event::RelistBegins => state.relist_begins(""),
                Event::RelistEnds => state.relist_ends(""),
            }
        }
        let mut counted = Tally::default();
        for object in cache.all() {
            counted.change(&[], parts(&object));
        }
        prop_assert_eq!(cache.read().tally(), counted);
    }
}
