//! The ways of events while the provider of an exclusive group changes.

use super::*;

/// Ids of the two subscriptions of a change of provider, and of the one that changes its service.
const OLD: &str = "acme-2026.toner.lobby";
const NEW: &str = "acme-2027.toner.lobby";

/// A change of provider at second 100: the service "old" of northwind ends, and the service "new" of
/// fabrikam begins; both are of the group "toner" and want supplies.level.
struct Change {
    known: Known,
    /// True if one subscription changes its service, and false if one ends and another begins.
    is_of_one: bool,
}

/// Stage of a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// The instant lies ahead.
    Before,
    /// The instant has come, and the new one is set up.
    SetUp,
    /// The switch was written at second 110.
    Switched,
    /// The new one is on since second 112.
    On,
    /// The old one is gone.
    Gone,
}

const STAGES: [Stage; 5] = [
    Stage::Before,
    Stage::SetUp,
    Stage::Switched,
    Stage::On,
    Stage::Gone,
];

/// Returns the two services of a group.
fn of_group() -> Vec<Arc<SmartService>> {
    let mut services = vec![
        service("old", "northwind", "/toner"),
        service("new", "fabrikam", "/in"),
    ];
    for service in &mut services {
        let spec = &mut Arc::make_mut(service).spec;
        spec.exclusive_group = Some("toner".to_owned());
        let wanted = WantedDataType {
            name: "supplies.level".to_owned(),
            ..WantedDataType::default()
        };
        spec.device.get_or_insert_default().data_types = vec![wanted];
    }
    services
}

impl Change {
    fn at(is_of_one: bool, stage: Stage) -> Self {
        let mut known = known();
        known.services = of_group();
        known.now = if stage == Stage::Before {
            at(90)
        } else {
            at(120)
        };
        let mut old = subscription(OLD, "old");
        let mut new = subscription(NEW, "new");
        let (first, second) = (Arc::make_mut(&mut old), Arc::make_mut(&mut new));
        Arc::make_mut(&mut first.spec.revisions[0]).until = Some(at(100));
        Arc::make_mut(&mut second.spec.revisions[0]).effective = at(100);
        if is_of_one {
            let later = second.spec.revisions.pop();
            first.spec.revisions.extend(later);
        }
        known.subscriptions = vec![old];
        if !is_of_one {
            known.subscriptions.push(new);
        }
        let mut change = Self { known, is_of_one };
        change.reach(stage);
        change
    }

    /// Returns the ids of both, which are one id if one subscription changes its service.
    fn ids(&self) -> [&'static str; 2] {
        [OLD, if self.is_of_one { OLD } else { NEW }]
    }

    fn reach(&mut self, stage: Stage) {
        let [old, new] = self.ids();
        let before = FormerHold {
            holder: old.to_owned(),
            service: "old".to_owned(),
            since: at(1),
            until: at(110),
        };
        let is_switched = [Stage::Switched, Stage::On, Stage::Gone].contains(&stage);
        let hold = ExclusiveHold {
            group: "toner".to_owned(),
            holder: if is_switched { new } else { old }.to_owned(),
            service: Some(if is_switched { "new" } else { "old" }.to_owned()),
            since: if is_switched { at(110) } else { at(1) },
            before: if is_switched {
                vec![before]
            } else {
                Vec::new()
            },
        };
        self.known.device.status.get_or_insert_default().exclusive = vec![hold];
        let last = self.known.subscriptions.len() - 1;
        let is_on = [Stage::On, Stage::Gone].contains(&stage);
        let (activation, reason) = match stage {
            Stage::Before if self.is_of_one => (ActivationState::Active, Reason::Active),
            Stage::Before | Stage::SetUp => (ActivationState::Inactive, Reason::ExclusiveGroupHeld),
            Stage::Switched => (ActivationState::Pending, Reason::ProviderPending),
            Stage::On | Stage::Gone => (ActivationState::Active, Reason::Active),
        };
        let since = if is_on { at(112) } else { at(1) };
        self.known
            .edit(last, |it| say_activated(it, activation, reason, since));
        if !self.is_of_one && stage == Stage::Gone {
            self.known.edit(0, |it| it.status = None);
        }
    }

    /// Returns the path of the inbox that gets an event of this second, "kept" or "refused".
    fn way(&self, second: Option<i64>, application: Option<&str>) -> String {
        let mut event = level("1");
        if let Some(second) = second {
            event = with(event, "time", json!(at(second)));
        }
        if let Some(application) = application {
            event = of(event, application);
        }
        let routing = read(&json!([event]))
            .unwrap()
            .route(&self.known.recipients(), PRINTER);
        match (
            &routing.deliveries[..],
            &routing.refused[..],
            routing.deferred,
        ) {
            ([only], [], 0) => only.inbox.path.clone(),
            ([], [], 1) => "kept".to_owned(),
            ([], [_], 0) => "refused".to_owned(),
            other => panic!("{other:?}"),
        }
    }
}

// shows C11 C16
#[test]
fn an_event_goes_to_the_provider_that_acted_when_it_occurred_at_every_stage_of_a_change() {
    for is_of_one in [false, true] {
        for stage in STAGES {
            let change = Change::at(is_of_one, stage);
            let [old, new] = change.ids();
            let is_switched = ![Stage::Before, Stage::SetUp].contains(&stage);
            let since = match stage {
                Stage::Before | Stage::SetUp => "/toner",
                Stage::Switched => "kept",
                Stage::On | Stage::Gone => "/in",
            };
            for application in [None, Some(old), Some(new)] {
                if application == Some(NEW) && stage == Stage::Before {
                    continue;
                }
                let what = format!("of one: {is_of_one}, {stage:?}, to {application:?}");
                for second in [1, 50, 100, 109] {
                    let found = change.way(Some(second), application);
                    assert_eq!(found, "/toner", "{what}, at {second}");
                }
                for second in [110, 115, 119] {
                    if change.known.now < at(second) && !is_switched {
                        continue;
                    }
                    let found = change.way(Some(second), application);
                    assert_eq!(found, since, "{what}, at {second}");
                }
                let found = change.way(None, application);
                assert_eq!(found, since, "{what}, without a time");
                let found = change.way(Some(999), application);
                assert_eq!(found, since, "{what}, by a clock that is ahead");
            }
        }
    }
}

// shows C11 C16
#[test]
fn by_a_clock_that_is_years_behind_an_event_is_for_the_one_that_acts_now() {
    for is_of_one in [false, true] {
        let change = Change::at(is_of_one, Stage::On);
        let event = with(level("1"), "time", json!("1970-01-02T00:00:00Z"));
        let batch = read(&json!([event])).unwrap();
        let routing = batch.route(&change.known.recipients(), PRINTER);
        assert_eq!(routing.deliveries[0].inbox.path, "/in");
    }
}

// shows C11 C16
#[test]
fn a_service_that_was_on_for_the_provider_before_gets_nothing_for_the_next_one_yet() {
    let mut change = Change::at(true, Stage::Switched);
    // The reason is that of the service before, whose instance was set aside a moment ago.
    change.known.edit(0, |it| {
        say_activated(it, ActivationState::Inactive, Reason::Active, at(109));
    });
    assert_eq!(change.way(Some(115), None), "kept");
    assert_eq!(change.way(Some(105), None), "/toner");
}

// shows C11 C15 C16
#[test]
fn a_device_that_has_switched_the_service_off_sends_to_neither_provider() {
    for is_of_one in [false, true] {
        for stage in [Stage::SetUp, Stage::Switched, Stage::On] {
            let mut change = Change::at(is_of_one, stage);
            let local = change.ids().map(|id| TwinLocal {
                application_id: id.to_owned(),
                enabled: false,
                by: ConsentWay::Panel,
                at: at(115),
                unsupported: Vec::new(),
            });
            change.known.twin.status.get_or_insert_default().local = local.into();
            for second in [105, 119] {
                let found = change.way(Some(second), None);
                assert_eq!(found, "refused", "{is_of_one} {stage:?} {second}");
            }
        }
    }
}

// shows C11 C8
#[test]
fn data_wait_for_a_successor_that_is_missing_a_leg_for_nobody() {
    let mut change = Change::at(false, Stage::Switched);
    for reason in [
        Reason::DisabledLocally,
        Reason::UnsupportedByDevice,
        Reason::ConsentWithdrawn,
    ] {
        change.known.edit(1, |it| {
            say_activated(it, ActivationState::Inactive, reason, at(111));
        });
        assert_eq!(change.way(Some(115), None), "refused", "{reason:?}");
        assert_eq!(change.way(Some(105), None), "/toner", "{reason:?}");
    }
}

// shows C12 C11
#[test]
fn the_first_data_for_a_successor_are_its_word_and_go_to_the_one_that_still_acts() {
    let mut change = Change::at(false, Stage::SetUp);
    let service = Arc::make_mut(&mut change.known.services[1]);
    service.spec.activation = ActivationMode::ByFirstData;
    change.known.edit(1, |it| {
        say_activated(
            it,
            ActivationState::Inactive,
            Reason::WaitingForDevice,
            at(101),
        );
    });
    let recipients = change.known.recipients();
    let batch = read(&json!([level("1")])).unwrap();
    assert_eq!(
        batch.first_data(&recipients),
        [""; 0],
        "nothing is waited for"
    );
    assert_eq!(batch.first_data_of_successors(&recipients), [NEW]);
    assert_eq!(change.way(Some(115), None), "/toner");
    let other = read(&json!([total("1")])).unwrap();
    assert_eq!(other.first_data_of_successors(&recipients), [""; 0]);
}

// shows C11 C16
#[test]
fn between_the_end_of_one_and_the_beginning_of_the_next_data_wait_for_the_next() {
    let mut change = Change::at(false, Stage::SetUp);
    // The old one has ended, as a service without an instance does at its instant.
    change.known.edit(0, |it| {
        let status = it.status.get_or_insert_default();
        status.ended = Some(at(100));
        say_activated(it, ActivationState::Inactive, Reason::NotInForce, at(100));
    });
    for (reason, after) in [
        (Reason::Waiting, "kept"),
        (Reason::ProviderPending, "kept"),
        (Reason::DisabledLocally, "refused"),
    ] {
        change.known.edit(1, |it| {
            say_activated(it, ActivationState::Inactive, reason, at(101));
        });
        for application in [None, Some(OLD), Some(NEW)] {
            assert_eq!(change.way(Some(99), application), "/toner", "{reason:?}");
            assert_eq!(change.way(Some(100), application), after, "{reason:?}");
            assert_eq!(change.way(None, application), after, "{reason:?}");
        }
    }
}

// shows C11 C14 C16
#[test]
fn what_the_device_cannot_do_of_the_next_service_keeps_no_data_from_the_one_that_acts() {
    let mut change = Change::at(true, Stage::SetUp);
    change.known.twin.status.get_or_insert_default().local = vec![TwinLocal {
        application_id: OLD.to_owned(),
        enabled: true,
        by: ConsentWay::Panel,
        at: at(115),
        unsupported: vec!["no colour".into()],
    }];
    change.known.edit(0, |it| {
        let reason = Reason::UnsupportedByDevice;
        say_activated(it, ActivationState::Inactive, reason, at(116));
    });
    assert_eq!(change.way(Some(119), None), "/toner");
    change.reach(Stage::Switched);
    assert_eq!(change.way(Some(105), None), "/toner");
    assert_eq!(change.way(Some(119), None), "refused");
}

// shows C11 C16
#[test]
fn a_service_that_has_left_the_group_is_none_of_it_any_more() {
    let mut change = Change::at(true, Stage::On);
    let service = Arc::make_mut(&mut change.known.services[1]);
    service.spec.exclusive_group = None;
    change.known.twin.spec.data_types = vec![TwinDataType {
        name: "supplies.level".to_owned(),
        period: "24h".into(),
        wanted_by: vec![OLD.to_owned()],
        ..TwinDataType::default()
    }];
    let batch = read(&json!([with(level("1"), "time", json!(at(119)))])).unwrap();
    let routing = batch.route(&change.known.recipients(), PRINTER);
    let [only] = &routing.deliveries[..] else {
        panic!("{routing:?}");
    };
    assert_eq!(only.inbox.path, "/in");
    assert!(
        only.events[0]
            .text
            .contains(&format!("\"applicationid\":\"{OLD}\""))
    );
}
