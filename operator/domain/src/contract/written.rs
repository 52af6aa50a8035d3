//! The subscriptions of a contract as they are after its writes, for who asks what a change would bring.
//!
//! Does in memory what the API server does with the writes of [`super::Changes`]; nothing is sent.
//! Called by views and by the plugin, and never by the operator, which reads what it has written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_crds::v1alpha1::ServiceSubscription;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{ContractWorld, DesiredSubscription, ResolvedContract};

/// Returns the subscriptions that carry the name of a contract, after its writes at `now`.
pub fn written(
    world: &ContractWorld,
    resolved: &ResolvedContract,
    now: Timestamp,
) -> Vec<Arc<ServiceSubscription>> {
    let contract = &world.contract;
    let changes = &resolved.changes;
    let updates: BTreeMap<&str, (&DesiredSubscription, bool)> = changes
        .update
        .iter()
        .map(|it| (&*it.handle.name, (&*it.desired, it.adopts)))
        .collect();
    let deleted: BTreeSet<&str> = changes.deleted_names();
    let mut all = Vec::new();
    for found in &world.subscriptions {
        let name = found.metadata.name.as_deref().unwrap_or_default();
        let mut after = Arc::clone(found);
        if let Some((desired, adopts)) = updates.get(name) {
            let object = Arc::make_mut(&mut after);
            if *adopts {
                desired.adopt(contract, object);
            }
            object.spec = desired.spec.clone();
            object.metadata.generation = object.metadata.generation.map(|number| number + 1);
        }
        if deleted.contains(name) {
            let metadata = &mut Arc::make_mut(&mut after).metadata;
            metadata.deletion_timestamp.get_or_insert(Time(now));
        }
        all.push(after);
    }
    let made = changes.create.iter().map(|desired| {
        let mut object = desired.object(contract);
        object.metadata.uid = Some(format!("ServiceSubscription {}", desired.name));
        object.metadata.generation = Some(1);
        let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
        object.metadata.creation_timestamp = Some(Time(second));
        Arc::new(object)
    });
    all.extend(made);
    all
}
