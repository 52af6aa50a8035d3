//! Properties that hold for every contract and every sequence of events.

use entente_crds::v1alpha1::{AmendedDevices, ExcludedDevices, ExcludedTime, Exclusion, Revision};
use proptest::prelude::*;

use super::*;

/// Something that happens to a contract.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Name(Vec<usize>),
    Label(usize, bool),
    Threshold(Option<u8>),
    Default(u8),
    Fee(Option<u8>),
    Expect(Option<u8>),
    End(Option<u8>),
    Second(bool),
    ServiceGone(bool),
    Deliver(usize),
    Lose(usize),
    Collect,
    Suspend(bool),
    Bad(bool),
    /// The first month of an exclusion, its number of months, and whether it is for a label alone.
    Exclude(Option<(u8, u8, bool)>),
    /// The month of an amendment, the device that it is about, and what it changes.
    Amend(u8, usize, u8),
    /// The amendment of a month is deleted.
    Withdraw(u8),
    /// The contract starts by a notice, in a term of so many months, or by its date.
    ByNotice(Option<u8>),
    /// A notice of a start or an end so many days from now.
    Notify(u8, bool, i8),
    /// A notice is deleted.
    Forget(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        prop::collection::vec(0..4_usize, 0..4).prop_map(Event::Name),
        (0..4_usize, any::<bool>()).prop_map(|(device, on)| Event::Label(device, on)),
        prop::option::of(1..9_u8).prop_map(Event::Threshold),
        (1..9_u8).prop_map(Event::Default),
        prop::option::of(1..9_u8).prop_map(Event::Fee),
        prop::option::of(0..4_u8).prop_map(Event::Expect),
        prop::option::of(1..9_u8).prop_map(Event::End),
        any::<bool>().prop_map(Event::Second),
        any::<bool>().prop_map(Event::ServiceGone),
        (0..8_usize).prop_map(Event::Deliver),
        (0..8_usize).prop_map(Event::Lose),
        Just(Event::Collect),
        any::<bool>().prop_map(Event::Suspend),
        prop::bool::weighted(0.2).prop_map(Event::Bad),
        prop::option::of((1..9_u8, 1..4_u8, any::<bool>())).prop_map(Event::Exclude),
        (0..12_u8, 0..4_usize, 0..5_u8)
            .prop_map(|(month, device, what)| { Event::Amend(month, device, what) }),
        (0..12_u8).prop_map(Event::Withdraw),
        prop::option::of(0..30_u8).prop_map(Event::ByNotice),
        (0..6_u8, any::<bool>(), -90..90_i8)
            .prop_map(|(name, ends, days)| Event::Notify(name, ends, days)),
        (0..6_u8).prop_map(Event::Forget),
    ]
}

impl Event {
    pub(super) fn happen(&self, world: &mut ContractWorld, now: Timestamp) {
        match self {
            Self::Label(device, on) => {
                world.devices[*device].labels = texts(if *on { &[("in", "bank")] } else { &[] });
            }
            Self::Amend(month, device, what) => amend(world, *month, *device, *what),
            Self::Withdraw(month) => world.withdraw(&format!("m{month}")),
            Self::Notify(name, ends, days) => notify(world, *name, *ends, *days, now),
            Self::Forget(name) => world.forget(&format!("n{name}")),
            Self::Default(value) => {
                for service in world.services.values_mut() {
                    Arc::make_mut(service).spec.parameters[1].default = Some(value.to_string());
                }
            }
            Self::ServiceGone(gone) => {
                world.services.clear();
                if !gone {
                    world.services.insert(
                        "backup-service".to_owned(),
                        service("backup-service").into(),
                    );
                }
            }
            Self::Deliver(number) => {
                let found = world.subscriptions.get(*number);
                if let Some(name) = found.and_then(|found| found.metadata.name.clone()) {
                    world.deliver(&name);
                }
            }
            Self::Lose(number) => {
                if *number < world.subscriptions.len() {
                    let lost = world.subscriptions.remove(*number);
                    world.recreated.extend(lost.metadata.name.clone());
                }
            }
            Self::Collect => world.collect(),
            _ => world.edit(|spec| self.edit(spec)),
        }
    }

    fn edit(&self, spec: &mut ContractSpec) {
        let entry_of = &mut spec.services[0];
        match self {
            Self::Name(devices) => {
                let names = devices.iter().map(|device| format!("d-{device}"));
                entry_of.devices.names = names.collect();
            }
            Self::Threshold(value) => {
                let chosen = value
                    .iter()
                    .map(|value| ("threshold".to_owned(), value.to_string()));
                entry_of.parameters = chosen.collect();
            }
            Self::Fee(value) => {
                entry_of.fee = value.map(|value| fee(&value.to_string(), FeeOf::AllDevices));
            }
            Self::Expect(value) => entry_of.devices.expect = value.map(i32::from),
            Self::End(month) => {
                spec.term.end_date = month.map(|month| format!("2028-0{month}-01"));
            }
            Self::Second(on) => {
                spec.services.truncate(1);
                let second = entry("second", "backup-service", &["d-3", "d-9"]);
                spec.services.extend(on.then_some(second));
            }
            Self::ByNotice(months) => {
                let term = &mut spec.term;
                term.start_date = months.is_none().then(|| "2027-04-01".to_owned());
                term.start_on = months.map(|_| StartOn::Notice);
                term.start_by = months.map(|_| "2027-06-30".to_owned());
                let length = months.filter(|months| *months > 0);
                term.duration = length.map(|months| format!("P{months}M"));
                term.end_date = None;
            }
            Self::Suspend(on) => spec.suspend = *on,
            Self::Exclude(months) => {
                spec.exclusions = months.iter().map(|months| exclusion(*months)).collect();
            }
            Self::Bad(on) => {
                entry_of.parameters.remove("colour");
                let bad = on.then(|| ("colour".to_owned(), "red".to_owned()));
                entry_of.parameters.extend(bad);
            }
            other => unreachable!("{other:?} is no edit of the contract"),
        }
    }
}

fn exclusion((first, months, labelled): (u8, u8, bool)) -> Exclusion {
    let selector = Selector {
        match_labels: texts(&[("in", "bank")]),
        ..Selector::default()
    };
    Exclusion {
        name: "closed".to_owned(),
        from: format!("2027-0{first}-10"),
        until: format!("2027-{:02}-10", first + months),
        devices: labelled.then(|| ExcludedDevices {
            selector: Some(selector),
            names: Vec::new(),
        }),
        reason: "agreed".to_owned(),
    }
}

/// Returns the excluded times of a revision up to an instant.
fn excluded_before(revision: &Revision, now: Timestamp) -> Vec<ExcludedTime> {
    let cut = revision.exclusions.iter().map(|time| ExcludedTime {
        from: time.from,
        until: time.until.min(now),
    });
    cut.filter(|time| time.from < time.until).collect()
}

/// Makes a notice, if there is none of the name.
fn notify(world: &mut ContractWorld, name: u8, ends: bool, days: i8, now: Timestamp) {
    let name = format!("n{name}");
    let mut notices = world.notices.iter();
    if notices.any(|it| it.metadata.name.as_deref() == Some(&name)) {
        return;
    }
    let r#type = if ends {
        NoticeType::Ended
    } else {
        NoticeType::Started
    };
    let event = now + jiff::SignedDuration::from_hours(24 * i64::from(days));
    let created = Timestamp::from_second(now.as_second()).expect("a whole second");
    world.notify(&name, r#type, &event.to_string(), &created.to_string());
}

/// Makes the amendment of a month, if there is none.
fn amend(world: &mut ContractWorld, month: u8, device: usize, what: u8) {
    let name = format!("m{month}");
    let mut amendments = world.amendments.iter();
    if amendments.any(|it| it.metadata.name.as_deref() == Some(&name)) {
        return;
    }
    let devices = |add: bool| {
        let device = vec![format!("d-{device}")];
        let (add, remove) = if add {
            (device, Vec::new())
        } else {
            (Vec::new(), device)
        };
        Some(AmendedDevices {
            add,
            remove,
            ..AmendedDevices::default()
        })
    };
    let mut change = AmendedService {
        name: "backup".to_owned(),
        ..AmendedService::default()
    };
    match what {
        0 => change.devices = devices(true),
        1 => change.devices = devices(false),
        2 => change.end = true,
        _ => change.parameters = texts(&[("threshold", &(month + what).to_string())]),
    }
    let date = format!("2027-{:02}-15", month + 1);
    world.amend(&name, "2027-01-01T00:00:00Z", &date, vec![change]);
}

pub(super) fn start() -> ContractWorld {
    let backup = selecting(
        entry("backup", "backup-service", &["d-0"]),
        &[("in", "bank")],
    );
    let mut world = world(vec![backup]);
    world.devices = (0..4)
        .map(|number| device(&format!("d-{number}"), &[]))
        .collect();
    world
}

/// Events with the seconds between them, from half a year before the start.
pub(super) fn life() -> impl Strategy<Value = Vec<(u32, Event)>> {
    prop::collection::vec((0..5_000_000_u32, event()), 1..16)
}

pub(super) fn later(now: Timestamp, seconds: u32) -> Timestamp {
    let passed = jiff::SignedDuration::from_secs(i64::from(seconds));
    now.checked_add(passed).expect("within a few years")
}

proptest! {
    // shows K1
    #[test]
    fn a_second_pass_writes_nothing_and_says_the_same(life in life()) {
        let (mut world, mut now) = (start(), at(CREATED));
        for (seconds, event) in life {
            now = later(now, seconds);
            event.happen(&mut world, now);
            world.pass(&now.to_string());
            let again = resolve(&world, now);
            prop_assert!(again.changes.is_empty(), "{:?}", again.changes);
            let status = world.contract.status.clone().expect("a status");
            prop_assert_eq!(world.status(&again, now), status);
        }
    }

    // shows B1
    #[test]
    fn what_has_begun_keeps_everything_but_an_end_and_exclusions_that_lie_ahead(life in life()) {
        let (mut world, mut now) = (start(), at(CREATED));
        for (seconds, event) in life {
            now = later(now, seconds);
            event.happen(&mut world, now);
            let resolved = resolve(&world, now);
            for update in &resolved.changes.update {
                let before = world.existing(&update.handle.name).spec.clone();
                let entries = &update.desired.spec.revisions;
                prop_assert!((1..=4).contains(&entries.len()));
                prop_assert!(entries.windows(2).all(|pair| pair[0].effective < pair[1].effective));
                for begun in before.revisions.iter().filter(|entry| entry.effective <= now) {
                    let after = entries.iter().find(|entry| entry.effective == begun.effective);
                    let end = crate::promise::end_among(&before.revisions, begun);
                    let ended = end.is_some_and(|end| end <= now);
                    match after {
                        None => prop_assert!(ended && !begun.promised),
                        Some(after) => {
                            prop_assert!(!ended || after.until == begun.until);
                            // Of exclusions only what lies ahead may change, to the millisecond.
                            let passed = now - jiff::SignedDuration::from_millis(1);
                            let before = excluded_before(begun, passed);
                            prop_assert_eq!(excluded_before(after, passed), before);
                            let mut same = after.clone();
                            let revision = Arc::make_mut(&mut same);
                            revision.until = begun.until;
                            revision.exclusions.clone_from(&begun.exclusions);
                            prop_assert_eq!(&same, begun);
                        }
                    }
                }
            }
            world.pass(&now.to_string());
        }
    }

    // shows K1
    #[test]
    fn the_order_of_what_exists_makes_no_difference(life in life(), turn in 0..8_usize) {
        let (mut world, mut now) = (start(), at(CREATED));
        for (seconds, event) in life {
            now = later(now, seconds);
            event.happen(&mut world, now);
            let mut turned = world.clone();
            turned.devices.reverse();
            turned.subscriptions.reverse();
            let middle = turn.min(turned.subscriptions.len());
            turned.subscriptions.rotate_left(middle);
            turned.amendments.reverse();
            turned.notices.reverse();
            let resolved = resolve(&world, now);
            prop_assert_eq!(&resolve(&turned, now), &resolved);
            prop_assert_eq!(turned.status(&resolved, now), world.status(&resolved, now));
            world.pass(&now.to_string());
        }
    }

    // shows B2
    #[test]
    fn between_two_wakes_time_alone_changes_nothing(life in life(), seconds in 0..90_000_000_u32) {
        let (mut world, mut now) = (start(), at(CREATED));
        for (seconds, event) in life {
            now = later(now, seconds);
            event.happen(&mut world, now);
            world.pass(&now.to_string());
        }
        let settled = resolve(&world, now);
        let then = later(now, seconds);
        let wake = next_wake(&settled, None, now);
        let own = world.subscriptions.iter().map(|found| &**found);
        let amendments = world.amendments.iter().map(|found| &**found);
        let notices = world.notices.iter().map(|found| &**found);
        let date = next_date(&world.contract, own, amendments, notices, now);
        let in_time = wake.is_none_or(|wake| date.is_some_and(|date| date <= wake));
        prop_assert!(in_time, "{:?} and not {:?}", date, wake);
        prop_assume!(wake.is_none_or(|wake| then < wake));
        prop_assert!(resolve(&world, then).changes.is_empty());
        let status = world.contract.status.clone().expect("a status");
        prop_assert_eq!(world.status(&resolve(&world, then), then), status);
    }
}
