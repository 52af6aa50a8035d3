//! Compares every Delivered with the remote sides, behind the operator's back (D1, D2).

use entente_crds::{
    condition::ConditionType,
    item_key::ItemKind,
    v1alpha1::{ItemState, ServiceSubscriptionStatus},
};
use entente_domain::{
    condition::is_true,
    delivery::{Intent, ResolvedDevice, ResolvedItem, ResolvedSubscription, Wanted},
};

use jiff::Timestamp;

use super::{Simulation, printer::scalars};

/// Compares the status of a subscription with the remote sides.
pub(super) fn check(simulation: &Simulation, resolved: &ResolvedDevice, name: &str) {
    let status = simulation
        .subscription(name)
        .status
        .clone()
        .unwrap_or_default();
    let entry = resolved
        .subscriptions
        .iter()
        .find(|entry| *entry.name == *name);
    let entry = entry.expect("it is resolved");
    for (step, item) in entry.items() {
        let found = item.key.kind().map(ItemKind::step);
        assert_eq!(found, Some(step.r#type), "{}", item.key);
    }
    let delivered = is_true(&status.conditions, ConditionType::Delivered);
    if delivered && entry.intent == Intent::SetUp {
        let all = entry.items().count() == status.items.len();
        assert!(all, "an item is missing\n{}", simulation.story());
        for item in &status.items {
            assert_eq!(
                item.state,
                ItemState::Effective,
                "{}\n{}",
                item.key,
                simulation.story()
            );
        }
    }
    let entitled = matches!(entry.intent, Intent::SetUp) && simulation.alone;
    for (_, item) in entry.items().filter(|_| entitled && delivered) {
        assert!(
            is_there(simulation, entry, item),
            "{name} is said to be delivered and {} is not: {:?}\n{:#?}\n{}",
            item.key,
            item.wanted,
            simulation.printer.values,
            simulation.story()
        );
    }
}

fn is_there(simulation: &Simulation, entry: &ResolvedSubscription, item: &ResolvedItem) -> bool {
    let server = entry.server.as_ref();
    let instance = server.and_then(|server| {
        simulation.brokers[server.connection.as_str()]
            .instances
            .get(&server.instance_id)
    });
    match &item.wanted {
        Wanted::DeviceSetting { place, value, .. } => {
            simulation.printer.values.get(place) == Some(&scalars(value))
        }
        Wanted::ServerInstance => instance.is_some_and(|instance| instance.ready),
        Wanted::ServerSetting { pointer, value, .. } => {
            let parameters = instance.map(|instance| serde_json::json!(instance.parameters));
            let found = parameters.as_ref().and_then(|all| all.pointer(pointer));
            found.is_some_and(|found| value.is(found))
        }
        Wanted::Activation { pointer, active } => {
            let parameters = instance.map(|instance| serde_json::json!(instance.parameters));
            parameters.is_some_and(|parameters| parameters.pointer(pointer) == Some(active))
        }
    }
}

/// A promise is completed at the instant at which the last item was read back, and not before; nor
/// before a pass that found it incomplete (D3). `began` is when the pass under way did.
pub(super) fn check_completion(
    before: Option<&ServiceSubscriptionStatus>,
    after: &ServiceSubscriptionStatus,
    began: Timestamp,
) {
    let latest = after
        .items
        .iter()
        .filter_map(|item| item.last_verified)
        .max();
    for promise in after
        .promises
        .iter()
        .filter(|promise| promise.completed.is_some())
    {
        let before = before
            .into_iter()
            .flat_map(|before| &before.promises)
            .find(|known| known.effective == promise.effective);
        let known = before.is_some_and(|known| known.completed.is_some());
        let incomplete = before.is_some_and(|known| !known.delays.is_empty());
        assert!(
            known || !incomplete || promise.completed >= Some(began),
            "completed before the pass of {began} that proves it: {promise:#?}"
        );
        assert!(
            known || promise.completed >= latest,
            "{promise:#?} {:#?}",
            after.items
        );
    }
}
