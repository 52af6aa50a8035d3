//! Tests of successions in any order, and whatever happens.

use super::*;

/// Returns the spec of a subscription with these entries, each as begin and end.
fn entries(entries: &[(&str, Option<&str>)]) -> Vec<Arc<Revision>> {
    let entries = entries.iter().map(|(effective, until)| Revision {
        effective: at(effective),
        until: until.map(at),
        ..Revision::default()
    });
    entries.map(Arc::new).collect()
}

// shows B1 B2
#[test]
fn two_contracts_come_to_the_same_end_in_whatever_order_they_are_reconciled() {
    let run = |orders: &[&[usize]]| {
        let mut family = Family(vec![
            named(&["one", "two"]),
            renewal("next", "bank", &["one", "three"]),
        ]);
        let instants = [BEFORE, DURING, RENEWED, AFTER];
        for (now, order) in instants.iter().zip(orders.iter().cycle()) {
            for of in *order {
                family.pass(*of, now);
            }
        }
        family.settle(AFTER);
        let all = family.0.iter().flat_map(|world| &world.subscriptions);
        let mut all: Vec<_> = all
            .map(|it| (it.metadata.name.clone(), it.spec.clone()))
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    let once = run(&[&[0, 1, 0, 1]]);
    assert_eq!(run(&[&[1, 0, 1, 0]]), once);
    assert_eq!(run(&[&[0, 1, 0, 1], &[1], &[0]]), once);
    assert_eq!(
        entries(&[(START, Some(RENEWED))])[0].until,
        once[0].1.revisions[0].until
    );
    let origin = Origin {
        contract: "bank".to_owned(),
        service_name: "backup".to_owned(),
        start: at(START),
    };
    assert_eq!(once[2].1.origin, Some(origin));
}

/// Something that happens to `bank` (0), to its renewal (1) or to the renewal of that one (2).
#[derive(Clone, Debug)]
enum Event {
    /// It names these of three devices.
    Devices(usize, Vec<&'static str>),
    /// It is reconciled; the others have not heard of it yet.
    Passes(usize),
    /// The next of the instants comes.
    TimeGoesOn,
    /// A subscription that is being deleted is gone.
    Collected(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let devices = || prop::sample::subsequence(vec!["one", "two", "three"], 1..=3);
    prop_oneof![
        2 => (0..3_usize, devices()).prop_map(|(of, names)| Event::Devices(of, names)),
        6 => (0..3_usize).prop_map(Event::Passes),
        1 => Just(Event::TimeGoesOn),
        1 => (0..3_usize).prop_map(Event::Collected),
    ]
}

impl Family {
    /// Returns the origins of subscriptions that have begun, by name and uid.
    fn begun(&self, now: &str) -> BTreeMap<(String, String), Option<Origin>> {
        let all = self.0.iter().flat_map(|world| &world.subscriptions);
        let begun = all.filter(|it| it.spec.revisions.iter().any(|it| it.effective <= at(now)));
        let known = begun.map(|it| {
            let uid = it.metadata.uid.clone().unwrap_or_default();
            let name = it.metadata.name.clone().unwrap_or_default();
            ((name, uid), it.spec.origin.clone())
        });
        known.collect()
    }

    /// Checks that of those which have one instance, one is in force at a time from now on.
    fn assert_one_at_a_time(&self, now: &str) -> Result<(), TestCaseError> {
        let mut chains: BTreeMap<String, Vec<(Timestamp, Option<Timestamp>)>> = BTreeMap::new();
        let all = self.0.iter().flat_map(|world| &world.subscriptions);
        for found in all.filter(|it| !is_terminating(it)) {
            let id = crate::delivery::instance_id("banks", found);
            for entry in &found.spec.revisions {
                let end = crate::promise::end_of(found, entry);
                if end.is_some_and(|end| end <= at(now)) {
                    continue;
                }
                chains
                    .entry(id.clone())
                    .or_default()
                    .push((entry.effective, end));
            }
        }
        for entries in chains.values_mut() {
            entries.sort();
            for pair in entries.windows(2) {
                let ends = pair[0].1;
                prop_assert!(ends.is_some_and(|end| end <= pair[1].0), "{entries:?}");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    // shows B1 B2 K5
    #[test]
    fn a_chain_of_contracts_comes_to_rest_with_one_service_in_force_on_each_device_at_a_time(
        events in prop::collection::vec(event(), 0..40),
    ) {
        let mut third = renewal("third", "next", &["one", "two"]);
        third.contract.spec.term.start_date = Some("2029-06-01".to_owned());
        let mut family = Family(vec![
            named(&["one", "two"]),
            renewal("next", "bank", &["one", "two"]),
            third,
        ]);
        let mut instants =
            vec!["2029-07-01T00:00:00Z", AFTER, RENEWED, "2029-03-20T00:00:00Z", DURING];
        let mut now = BEFORE;
        for event in events {
            let before = family.begun(now);
            match event {
                Event::Devices(of, devices) => family.0[of].edit(|spec| {
                    let names = devices.into_iter().map(str::to_owned);
                    spec.services[0].devices.names = names.collect();
                }),
                Event::Passes(of) => _ = family.pass(of, now),
                Event::TimeGoesOn => now = instants.pop().unwrap_or(now),
                Event::Collected(of) => family.0[of].collect(),
            }
            let after = family.begun(now);
            for (name, origin) in before {
                let kept = after.get(&name).is_none_or(|found| *found == origin);
                prop_assert!(kept, "{name:?} had {origin:?}");
            }
        }
        for world in &mut family.0 {
            world.collect();
        }
        family.settle(now);
        for world in &mut family.0 {
            world.collect();
        }
        family.settle(now);
        family.assert_one_at_a_time(now)?;
    }
}
