//! Tests that everything a contract reads of a subscription is in its view, so that a change of it
//! is news.

use entente_crds::v1alpha1::{
    FeeCredit, Item, ItemState, Problem, Promise, PromiseState, Remedy, Step, StepType,
};
use proptest::prelude::*;

use super::*;

/// Something that another writer does to a subscription.
#[derive(Clone, Debug)]
enum Change {
    Says(ConditionType, bool, prop::sample::Index),
    SaysNothing,
    /// The spec is written: conditions from before are about an earlier generation from now on.
    Spec(bool),
    /// The delivery controller states the conditions for the spec as it is now.
    SaysAgain,
    Item(&'static str, ItemState, Option<Reason>),
    Promise(PromiseState, bool, bool),
    Deleted,
    Uid,
    Disowned,
}

fn change() -> impl Strategy<Value = Change> {
    let conditions = prop::sample::select(vec![
        ConditionType::Ready,
        ConditionType::Delivered,
        ConditionType::Stalled,
        ConditionType::Reconciling,
        ConditionType::ResolvedRefs,
        ConditionType::DeviceConfigured,
        ConditionType::ServerConfigured,
    ]);
    let items = prop::sample::select(vec!["DeviceSetting/one", "ServerInstance", "Activation/on"]);
    let states = prop::sample::select(vec![
        ItemState::Unknown,
        ItemState::Effective,
        ItemState::Released,
    ]);
    let outcomes = prop::sample::select(vec![
        None,
        Some(Reason::Unreachable),
        Some(Reason::TimedOut),
        Some(Reason::RejectedValue),
    ]);
    let promises = prop::sample::select(vec![
        PromiseState::Open,
        PromiseState::Kept,
        PromiseState::Missed,
        PromiseState::Closed,
    ]);
    prop_oneof![
        6 => (conditions, any::<bool>(), any::<prop::sample::Index>()).prop_map(|(of, is, why)| Change::Says(of, is, why)),
        1 => Just(Change::SaysNothing),
        2 => any::<bool>().prop_map(Change::Spec),
        2 => Just(Change::SaysAgain),
        4 => (items, states, outcomes).prop_map(|(key, state, outcome)| Change::Item(key, state, outcome)),
        4 => (promises, any::<bool>(), any::<bool>())
            .prop_map(|(state, closed, emitted)| Change::Promise(state, closed, emitted)),
        1 => Just(Change::Deleted),
        1 => Just(Change::Uid),
        1 => Just(Change::Disowned),
    ]
}

impl Change {
    fn happen(&self, found: &mut ServiceSubscription) {
        let generation = found.metadata.generation;
        let status = found.status.get_or_insert_with(Default::default);
        match self {
            Self::Says(condition, is, reason) => {
                let before = std::mem::take(&mut status.conditions);
                let set = ConditionSet::new(&before, generation, at(START));
                let reason = *reason.get(condition.reasons());
                let set = set.with(*condition, Status::from(*is), reason, "said");
                let mut said = set.finish();
                for kept in before {
                    if !said.iter().any(|one| one.type_ == kept.type_) {
                        said.push(kept);
                    }
                }
                status.conditions = said;
            }
            Self::SaysNothing => status.conditions.clear(),
            Self::Spec(suspend) => {
                found.spec.contract.suspend = *suspend;
                found.metadata.generation = generation.map(|one| one + 1);
            }
            Self::SaysAgain => {
                for said in &mut status.conditions {
                    said.observed_generation = generation;
                }
            }
            Self::Item(key, state, outcome) => {
                status.items.retain(|item| item.key != *key);
                let problem = outcome.map(|outcome| Problem {
                    outcome,
                    since: at(START),
                    message: "said".into(),
                });
                status.items.push(Item {
                    key: (*key).into(),
                    state: *state,
                    problem: problem.map(Box::new),
                    ..Item::default()
                });
            }
            Self::Promise(state, closed, emitted) => {
                let name = crate::promise::compensation_name(
                    found.metadata.name.as_deref().unwrap_or_default(),
                    at(START),
                    "credit",
                );
                status.promises = vec![Promise {
                    effective: at(START),
                    state: *state,
                    completed: None,
                    proof: None,
                    closed: closed.then(|| at(DURING)),
                    delays: Vec::new(),
                    emitted: if *emitted { vec![name] } else { Vec::new() },
                }];
            }
            Self::Deleted => found.metadata.deletion_timestamp = Some(Time(at(DURING))),
            Self::Uid => found.metadata.uid = Some("another".to_owned()),
            Self::Disowned => found.metadata.owner_references = None,
        }
    }
}

/// Returns a contract with one subscription that has as many entries as it can.
fn subject(edits: u32) -> ContractWorld {
    let mut world = named(&["m-01"]);
    world.devices = vec![device("m-01", &[])];
    world.backup_service().steps = vec![Step {
        r#type: StepType::DeviceSettings,
        early: true,
    }];
    world.edit(|spec| {
        spec.currency = Some("BRL".to_owned());
        spec.services[0].fee = Some(fee("3000", FeeOf::EachDevice));
        spec.services[0].remedies = vec![Remedy {
            name: "credit".to_owned(),
            credit: Some(FeeCredit::default()),
            ..Remedy::default()
        }];
    });
    world.pass(BEFORE);
    for edit in 1..=edits {
        let chosen = [("threshold".to_owned(), (edit + 1).to_string())];
        world.edit(|spec| spec.services[0].parameters = chosen.into());
        world.pass(&format!("2027-04-0{}T12:00:00Z", edit + 1));
    }
    world
}

/// Returns the writes of the next pass and the status after them.
fn outcome(world: &ContractWorld, now: Timestamp) -> (ResolvedContract, ContractStatus) {
    let resolved = resolve(world, now);
    let status = world.status(&resolved, now);
    (resolved, status)
}

// shows K2
proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_changes_the_writes_or_the_status_of_a_contract_changes_the_view_of_a_subscription(
        edits in 0..4_u32,
        is_edited in any::<bool>(),
        before in prop::collection::vec(change(), 0..6),
        change in change(),
        now in prop::sample::select(vec![at("2027-03-30T12:00:00Z"), at(DURING)]),
    ) {
        let mut world = subject(edits);
        if is_edited {
            let edit = [("threshold".to_owned(), "99".to_owned())];
            world.edit(|spec| spec.services[0].parameters = edit.into());
        }
        let name = subscription_name();
        for happened in before {
            happened.happen(world.existing(name));
        }
        let seen = view(world.existing(name));
        let (resolved, status) = outcome(&world, now);
        change.happen(world.existing(name));
        if seen == view(world.existing(name)) {
            let (after_resolved, after_status) = outcome(&world, now);
            prop_assert_eq!(after_resolved, resolved);
            prop_assert_eq!(after_status, status);
        }
    }
}

fn subscription_name() -> &'static str {
    "bank.backup.m-01"
}

// shows K2
#[test]
fn a_subscription_that_is_delivered_again_after_an_edit_is_news() {
    let mut world = subject(0);
    world.pass(START);
    world.deliver(subscription_name());
    let delivered = view(world.existing(subscription_name()));
    Change::Spec(true).happen(world.existing(subscription_name()));
    let edited = view(world.existing(subscription_name()));
    Change::SaysAgain.happen(world.existing(subscription_name()));
    let again = view(world.existing(subscription_name()));
    assert_ne!(delivered, edited);
    assert_ne!(edited, again);
}

// shows K2
#[test]
fn a_device_that_answers_after_it_did_not_is_news_although_its_setting_still_fails() {
    let mut world = subject(0);
    let mut seen = |outcome| {
        let met = Change::Item("DeviceSetting/one", ItemState::Unknown, Some(outcome));
        met.happen(world.existing(subscription_name()));
        view(world.existing(subscription_name()))
    };
    let silent = seen(Reason::Unreachable);
    assert_ne!(seen(Reason::RejectedValue), silent);
    assert_eq!(seen(Reason::TimedOut), silent);
}
