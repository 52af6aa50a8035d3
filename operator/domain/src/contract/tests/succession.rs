//! Tests of contracts that succeed each other, each reconciled in turn.

mod random;
mod refused;

use entente_crds::v1alpha1::{
    AmendedDevices, Origin, Revision, ServerInstance, ServerSide, ServiceSubscriptionSpec,
    TransitionTo,
};

use proptest::prelude::*;

use super::*;

/// The start of the successor, inside the term of its predecessor.
const RENEWED: &str = "2029-04-01T03:00:00Z";
pub(super) const AFTER: &str = "2029-05-01T12:00:00Z";

/// Contracts of one namespace; the first one is `bank`.
pub(super) struct Family(pub(super) Vec<ContractWorld>);

/// Returns `next`, which succeeds `bank` from [`RENEWED`] on, with these devices.
pub(super) fn renewal(name: &str, succeeds: &str, devices: &[&str]) -> ContractWorld {
    let mut world = named(devices);
    let contract = &mut world.contract;
    contract.metadata.name = Some(name.to_owned());
    contract.metadata.uid = Some(format!("{name} uid"));
    contract.metadata.creation_timestamp = Some(Time(at("2027-02-02T00:00:00Z")));
    contract.spec.term.start_date = Some("2029-04-01".to_owned());
    contract.spec.term.end_date = None;
    contract.spec.succeeds = Some(NameReference {
        name: succeeds.to_owned(),
    });
    world
}

impl Family {
    /// Returns `bank` and its renewal `next` with the same entry on these devices, settled before
    /// the start.
    fn renewed(devices: &[&str], renewed: &[&str]) -> Self {
        let mut family = Self(vec![named(devices), renewal("next", "bank", renewed)]);
        family.settle(BEFORE);
        family
    }

    fn name(&self, of: usize) -> String {
        name_of(&self.0[of].contract).to_owned()
    }

    fn of(&self, name: &str) -> Option<&ContractWorld> {
        let mut all = self.0.iter();
        all.find(|world| name_of(&world.contract) == name)
    }

    fn succeeding(&self, name: &str, own: &str) -> Vec<Arc<ServiceSubscription>> {
        let succeeds = |world: &&ContractWorld| {
            predecessor_of(&world.contract) == Some(name) && name_of(&world.contract) != own
        };
        let found = self.0.iter().filter(succeeds);
        found.flat_map(|it| it.subscriptions.clone()).collect()
    }

    /// Returns the subscriptions of those that succeed one, and of those that succeed these.
    fn after(&self, name: &str) -> Vec<Arc<ServiceSubscription>> {
        let mut known = vec![name];
        for _ in &self.0 {
            for world in &self.0 {
                let succeeds = predecessor_of(&world.contract);
                let own = name_of(&world.contract);
                if succeeds.is_some_and(|it| known.contains(&it)) && !known.contains(&own) {
                    known.push(own);
                }
            }
        }
        let found = known[1..].iter().filter_map(|name| self.of(name));
        found.flat_map(|it| it.subscriptions.clone()).collect()
    }

    /// Returns the part of the others that the controller reads.
    fn kin(&self, of: usize) -> Kin {
        let own = self.name(of);
        let mut kin = Kin {
            heirs: self.after(&own),
            ..Kin::default()
        };
        let succeeds = |world: &ContractWorld| predecessor_of(&world.contract).map(str::to_owned);
        let mut next = succeeds(&self.0[of]);
        if let Some(named) = &next {
            kin.siblings = self.succeeding(named, &own);
            kin.given = self
                .of(named)
                .map_or_else(Vec::new, |it| it.subscriptions.clone());
            kin.services = self
                .of(named)
                .map_or_else(BTreeMap::new, |it| it.services.clone());
        }
        while let Some(named) = next.take()
            && named != own
            && kin
                .predecessors
                .iter()
                .all(|it| name_of(&it.contract) != named)
            && let Some(world) = self.of(&named)
        {
            kin.predecessors.push(Predecessor {
                contract: world.contract.clone().into(),
                amendments: world.amendments.clone(),
                notices: world.notices.clone(),
            });
            next = succeeds(world);
        }
        kin
    }

    pub(super) fn pass(&mut self, of: usize, now: &str) -> ResolvedContract {
        self.0[of].kin = self.kin(of);
        self.0[of].pass(now)
    }

    /// Reconciles each until none of them has anything to write.
    pub(super) fn settle(&mut self, now: &str) {
        for _ in 0..4 {
            for of in 0..self.0.len() {
                self.pass(of, now);
            }
        }
        for of in 0..self.0.len() {
            let again = self.pass(of, now);
            assert!(
                again.changes.is_empty(),
                "{}: {:#?}",
                self.name(of),
                again.changes
            );
        }
    }

    pub(super) fn spec(&self, name: &str) -> &ServiceSubscriptionSpec {
        let all = self.0.iter().flat_map(|world| &world.subscriptions);
        let found = |it: &&Arc<ServiceSubscription>| it.metadata.name.as_deref() == Some(name);
        &all.filter(|it| !is_terminating(it))
            .find(found)
            .expect(name)
            .spec
    }

    pub(super) fn origin(&self, name: &str) -> Option<(&str, &str)> {
        let origin = self.spec(name).origin.as_ref()?;
        Some((&origin.contract, &origin.service_name))
    }

    fn ends(&self, name: &str) -> Option<Timestamp> {
        self.spec(name).revisions.last()?.until
    }

    fn accepted(&self, of: usize) -> String {
        said(&self.0[of], ConditionType::Accepted)
    }
}

fn with_server(world: &mut ContractWorld, service_name: &str, offering: &str) {
    let mut made = service(service_name);
    made.spec.server = Some(ServerSide {
        connection_ref: NameReference {
            name: "northwind".to_owned(),
        },
        offering: offering.to_owned(),
        ..ServerSide::default()
    });
    let made = Arc::new(made);
    world.services.insert(service_name.to_owned(), made);
}

// shows B1 B2
#[test]
fn a_renewal_continues_each_service_on_the_same_device_and_ends_it_at_its_own_start() {
    let mut family = Family::renewed(&["one", "two"], &["two", "three"]);
    assert_eq!(family.origin("next.backup.two"), Some(("bank", "backup")));
    assert_eq!(family.origin("next.backup.three"), None, "it is new");
    assert_eq!(family.ends("bank.backup.two"), Some(at(RENEWED)));
    assert_eq!(
        family.ends("bank.backup.one"),
        Some(at(END)),
        "not continued"
    );
    let origin = family.spec("next.backup.two").origin.as_ref();
    assert_eq!(origin.map(|it| it.start), Some(at(START)));
    family.settle(RENEWED);
    family.settle(AFTER);
    assert_eq!(family.spec("bank.backup.two").revisions.len(), 1);
    assert_eq!(family.ends("bank.backup.two"), Some(at(RENEWED)));
}

// shows B1 B2
#[test]
fn an_amendment_of_the_predecessor_counts_until_its_renewal_and_no_longer() {
    let amended = |parameter: &str| AmendedService {
        name: "backup".to_owned(),
        parameters: texts(&[("threshold", parameter)]),
        ..AmendedService::default()
    };
    let mut family = Family(vec![named(&["one"]), renewal("next", "bank", &["one"])]);
    family.0[0].amend("early", BEFORE, "2028-01-01", vec![amended("10")]);
    family.0[0].amend("late", BEFORE, "2029-10-01", vec![amended("30")]);
    family.settle(BEFORE);
    let spec = family.spec("bank.backup.one");
    let ends: Vec<_> = spec.revisions.iter().map(|it| it.until).collect();
    assert_eq!(ends, [Some(at(RENEWED)); 2], "{:#?}", spec.revisions);
    assert_eq!(family.origin("next.backup.one"), Some(("bank", "backup")));
    for now in [DURING, RENEWED, AFTER, "2029-12-01T00:00:00Z"] {
        family.settle(now);
        assert_eq!(family.ends("bank.backup.one"), Some(at(RENEWED)), "{now}");
        assert_eq!(family.spec("bank.backup.one").revisions.len(), 2, "{now}");
    }
}

// shows B2 K2
#[test]
fn what_was_taken_over_counts_no_more_and_is_said_to_come_next_before() {
    let mut family = Family::renewed(&["one", "two"], &["one", "two"]);
    family.settle(DURING);
    let status = family.0[0].contract.status.clone().expect("a status");
    assert_eq!(status.next_transition, Some(at(RENEWED)));
    assert_eq!(status.next_transition_to, Some(TransitionTo::Succeeded));
    assert_eq!(
        message(&family.0[0], ConditionType::InForce),
        "The term has begun. Contract next will take services over."
    );
    for name in ["bank.backup.one", "bank.backup.two"] {
        family.0[0].say(name, (true, Reason::Ended), (false, Reason::Ended));
    }
    family.settle(AFTER);
    assert_eq!(said(&family.0[0], ConditionType::Ready), "True Delivered");
    assert_eq!(said(&family.0[0], ConditionType::InForce), "True InTerm");
    assert_eq!(
        message(&family.0[0], ConditionType::InForce),
        "The term has begun. Contract next has taken services over."
    );
    let status = family.0[0].contract.status.clone().expect("a status");
    assert_eq!(status.subscriptions.expect("counts").summary, "0/0");
    assert_eq!(status.next_transition, Some(at(END)));
    assert_eq!(status.next_transition_to, Some(TransitionTo::Ended));
    let history = status.history.iter();
    let history: Vec<_> = history
        .map(|it| (it.at, it.to, it.successor.as_deref()))
        .collect();
    let told = [
        (at(RENEWED), TransitionTo::Succeeded, Some("next")),
        (at(START), TransitionTo::InForce, None),
    ];
    assert_eq!(history, told);
}

// shows B1 C10
#[test]
fn what_the_renewal_gives_up_or_leaves_behind_does_not_come_back_to_the_contract_before() {
    type Act = fn(&mut Family);
    let given_up = |family: &mut Family| {
        let change = |spec: &mut ContractSpec| spec.services[0].devices.names.truncate(1);
        family.0[1].edit(change);
    };
    let amended = |family: &mut Family| {
        let devices = AmendedDevices {
            remove: vec!["two".to_owned()],
            ..AmendedDevices::default()
        };
        let change = AmendedService {
            name: "backup".to_owned(),
            devices: Some(devices),
            ..AmendedService::default()
        };
        family.0[1].amend("less", AFTER, "2029-06-01", vec![change]);
    };
    let deleted = |family: &mut Family| {
        family.0.truncate(1);
    };
    let acts: [Act; 3] = [given_up, amended, deleted];
    for (number, act) in acts.into_iter().enumerate() {
        let mut family = Family::renewed(&["one", "two"], &["one", "two"]);
        family.settle(DURING);
        family.settle(AFTER);
        act(&mut family);
        for now in [AFTER, "2029-06-01T03:00:00Z", "2029-07-01T00:00:00Z"] {
            for _ in 0..4 {
                for of in 0..family.0.len() {
                    family.pass(of, now);
                }
            }
            assert_eq!(
                family.ends("bank.backup.two"),
                Some(at(RENEWED)),
                "{number} {now}"
            );
            let revisions = family.spec("bank.backup.two").revisions.len();
            assert_eq!(revisions, 1, "{number} {now}");
        }
        let status = family.0[0].contract.status.clone().expect("a status");
        assert_eq!(
            status.subscriptions.expect("counts").summary,
            "0/0",
            "{number}"
        );
    }
}

// shows B1 B2
#[test]
fn an_amendment_that_comes_after_the_renewal_counts_nothing_of_what_was_taken_over() {
    let out = |devices: &[&str]| AmendedService {
        name: "backup".to_owned(),
        devices: Some(AmendedDevices {
            remove: devices.iter().map(|it| (*it).to_owned()).collect(),
            ..AmendedDevices::default()
        }),
        ..AmendedService::default()
    };
    let mut family = Family(vec![
        named(&["one", "two", "three"]),
        renewal("next", "bank", &["one"]),
    ]);
    family.0[0].amend("early", BEFORE, "2028-10-01", vec![out(&["three"])]);
    family.0[0].amend("late", BEFORE, "2029-10-01", vec![out(&["one", "two"])]);
    family.settle(BEFORE);
    let status = family.0[0].contract.status.clone().expect("a status");
    let removes: Vec<_> = status.upcoming.iter().map(|it| it.removes).collect();
    assert_eq!(removes, [1, 1]);
}

// shows B1
#[test]
fn another_service_of_the_same_offering_is_continued_and_any_other_is_not() {
    for (offering, origin) in [("backup", Some(("bank", "backup"))), ("cloud", None)] {
        let mut old = named(&["one"]);
        with_server(&mut old, "backup-service", "backup");
        let mut new = renewal("next", "bank", &["one"]);
        new.contract.spec.services[0].name = "archive".to_owned();
        new.contract.spec.services[0].service_ref.name = "archive-service".to_owned();
        with_server(&mut new, "archive-service", offering);
        with_server(&mut new, "backup-service", "backup");
        let mut family = Family(vec![old, new]);
        family.settle(BEFORE);
        assert_eq!(family.origin("next.archive.one"), origin, "{offering}");
    }
}

// shows B1
#[test]
fn one_service_is_continued_once_and_by_its_own_service_before_another() {
    let mut old = named(&["one"]);
    with_server(&mut old, "backup-service", "backup");
    let mut new = renewal("next", "bank", &["one"]);
    with_server(&mut new, "backup-service", "backup");
    with_server(&mut new, "archive-service", "backup");
    let archive = entry("a-first", "archive-service", &["one"]);
    new.contract.spec.services.insert(0, archive);
    let mut family = Family(vec![old, new]);
    family.settle(BEFORE);
    assert_eq!(family.origin("next.a-first.one"), None);
    assert_eq!(family.origin("next.backup.one"), Some(("bank", "backup")));
}

// shows B1
#[test]
fn a_chain_has_the_names_of_its_first_contract() {
    let mut third = renewal("third", "next", &["one"]);
    third.contract.spec.term.start_date = Some("2029-10-01".to_owned());
    let mut family = Family(vec![
        third,
        renewal("next", "bank", &["one"]),
        named(&["one"]),
    ]);
    family.settle(BEFORE);
    assert_eq!(family.origin("next.backup.one"), Some(("bank", "backup")));
    assert_eq!(family.origin("third.backup.one"), Some(("bank", "backup")));
    assert_eq!(family.ends("bank.backup.one"), Some(at(RENEWED)));
    let third = at("2029-10-01T03:00:00Z");
    assert_eq!(family.ends("next.backup.one"), Some(third));
}

// shows B1 B2
#[test]
fn a_service_is_continued_by_one_of_two_contracts_that_succeed_the_same() {
    let other = renewal("a-other", "bank", &["one", "two"]);
    let mut family = Family(vec![
        named(&["one", "two", "three"]),
        renewal("next", "bank", &["two", "three"]),
        other,
    ]);
    family.0[2].contract.metadata.creation_timestamp = Some(Time(at("2027-02-03T00:00:00Z")));
    family.settle(BEFORE);
    let first = Some(("bank", "backup"));
    assert_eq!(family.origin("next.backup.two"), first, "it is older");
    assert_eq!(family.origin("a-other.backup.two"), None);
    assert_eq!(family.origin("a-other.backup.one"), first);
    assert_eq!(family.origin("next.backup.three"), first);
}

// shows B1 K5
#[test]
fn an_origin_stays_once_it_has_begun_whatever_becomes_of_the_predecessor() {
    let mut family = Family::renewed(&["one"], &["one"]);
    family.settle(AFTER);
    family.0.remove(0);
    family.settle(AFTER);
    assert_eq!(family.origin("next.backup.one"), Some(("bank", "backup")));
    assert_eq!(family.accepted(0), "True Valid");
    family.0[0].edit(|spec| spec.services[0].devices.names.push("two".to_owned()));
    family.settle(AFTER);
    assert_eq!(family.origin("next.backup.one"), Some(("bank", "backup")));
    assert_eq!(family.origin("next.backup.two"), None);
}

// shows B1 K5
#[test]
fn an_origin_is_decided_anew_until_it_has_begun_or_has_an_instance() {
    for has_instance in [false, true] {
        let mut family = Family::renewed(&["one"], &["one"]);
        if has_instance {
            let object = family.0[1].existing("next.backup.one");
            object.status.get_or_insert_default().server = Some(ServerInstance {
                sent_digest: Some(crate::delivery::digest("sent")),
                ..ServerInstance::default()
            });
        }
        family.0[0].edit(|spec| spec.services[0].devices.names = vec!["two".to_owned()]);
        family.pass(0, BEFORE);
        family.0[0].collect();
        family.settle(BEFORE);
        let kept = has_instance.then_some(("bank", "backup"));
        assert_eq!(family.origin("next.backup.one"), kept);
    }
}

// shows B1 B2
#[test]
fn a_renewal_that_is_deleted_before_its_start_leaves_the_term_as_it_was() {
    let mut family = Family::renewed(&["one"], &["one"]);
    assert_eq!(family.ends("bank.backup.one"), Some(at(RENEWED)));
    family.0[1].contract.metadata.deletion_timestamp = Some(Time(at(BEFORE)));
    family.settle(BEFORE);
    assert_eq!(family.ends("bank.backup.one"), Some(at(END)));
}

// shows B2
#[test]
fn a_renewal_declared_after_its_start_ends_what_was_begun_at_that_start() {
    let mut family = Family(vec![named(&["one"])]);
    family.settle(BEFORE);
    family.settle("2029-04-10T00:00:00Z");
    family.0.push(renewal("next", "bank", &["one"]));
    family.settle(AFTER);
    assert_eq!(family.ends("bank.backup.one"), Some(at(RENEWED)));
    assert_eq!(family.origin("next.backup.one"), Some(("bank", "backup")));
}

// shows B2
#[test]
fn what_was_taken_over_and_deleted_by_hand_is_not_made_again() {
    let mut family = Family::renewed(&["one"], &["one"]);
    family.settle(AFTER);
    family.0[0].subscriptions.clear();
    let resolved = family.pass(0, AFTER);
    assert!(resolved.changes.is_empty(), "{:#?}", resolved.changes);
}

// shows K5
#[test]
fn while_a_successor_cannot_be_read_nothing_begins_anew() {
    let mut family = Family::renewed(&["one"], &["one"]);
    family.settle(AFTER);
    let world = &mut family.0[0];
    world.kin = Kin {
        unreadable_heir: true,
        ..Kin::default()
    };
    let resolved = world.pass(AFTER);
    assert!(resolved.changes.is_empty(), "{:#?}", resolved.changes);
}

// shows B1 K5
#[test]
fn what_cannot_be_read_speaks_against_no_origin() {
    let mut old = named(&["one"]);
    with_server(&mut old, "backup-service", "backup");
    let mut new = renewal("next", "bank", &["one"]);
    new.contract.spec.services[0].service_ref.name = "archive-service".to_owned();
    new.services.clear();
    with_server(&mut new, "archive-service", "backup");
    let mut family = Family(vec![old, new]);
    family.settle(BEFORE);
    let first = Some(("bank", "backup"));
    assert_eq!(family.origin("next.backup.one"), first);
    let kin = family.kin(1);
    for unreadable in [true, false] {
        let world = &mut family.0[1];
        world.kin = kin.clone();
        if unreadable {
            world.kin.given.clear();
            world.kin.unreadable_predecessor = Some("ServiceSubscription of bank".to_owned());
        } else {
            world.kin.services.clear();
        }
        world.pass(BEFORE);
        assert_eq!(family.origin("next.backup.one"), first, "{unreadable}");
    }
}
