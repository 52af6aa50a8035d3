//! Execute: makes, changes and deletes subscriptions as resolved, each guarded by what it was
//! decided on. What cannot be written is said in the contract's status and tried again.

use std::sync::{Arc, PoisonError};

use entente_crds::v1alpha1::ServiceSubscription;
use entente_domain::contract::{ContractWorld, ResolvedContract, SubscriptionHandle};
use futures::{StreamExt as _, stream};
use kube::{Api, ResourceExt as _};

use super::Contracts;
use crate::{
    cache::Key,
    status::{Created, Deleted, WriteError, create, delete, replace_spec},
};

/// Writes of one contract that are under way at once.
const AT_ONCE: usize = 16;

enum Write {
    Create(Box<ServiceSubscription>),
    Update(Box<ServiceSubscription>),
    Delete(Box<ServiceSubscription>),
}

/// Makes every change; the answer says what could not be written.
pub(super) async fn changes(
    contracts: &Contracts,
    world: &ContractWorld,
    resolved: &ResolvedContract,
) -> Option<String> {
    let namespace = world.contract.namespace().unwrap_or_default();
    let api: Api<ServiceSubscription> =
        Api::namespaced(contracts.context.client.clone(), &namespace);
    let changes = &resolved.changes;
    let found = |handle: &SubscriptionHandle| {
        contracts
            .objects
            .subscriptions
            .get(&Key::new(namespace.clone(), handle.name.clone()))
            .filter(|object| {
                object.uid().as_deref() == Some(&handle.uid)
                    && object.resource_version().as_deref() == Some(&handle.resource_version)
            })
            .map(Arc::unwrap_or_clone)
    };
    let mut writes: Vec<Write> = Vec::new();
    for update in &changes.update {
        if let Some(mut object) = found(&update.handle) {
            object.spec = update.spec.clone();
            writes.push(Write::Update(Box::new(object)));
        }
    }
    for handle in &changes.delete {
        if let Some(object) = found(handle) {
            writes.push(Write::Delete(Box::new(object)));
        }
    }
    let created = changes
        .create
        .iter()
        .map(|desired| desired.object(&world.contract));
    writes.extend(created.map(|object| Write::Create(Box::new(object))));
    let mut failures: Vec<String> = stream::iter(writes)
        .map(|write| one(contracts, &api, write))
        .buffer_unordered(AT_ONCE)
        .filter_map(|failure| async move { failure })
        .collect()
        .await;
    failures.sort();
    failures.into_iter().next()
}

async fn one(
    contracts: &Contracts,
    api: &Api<ServiceSubscription>,
    write: Write,
) -> Option<String> {
    let cache = &contracts.objects.subscriptions;
    let result = match write {
        Write::Create(object) => {
            let key = Key::of(&*object);
            create(api, &*object).await.map(|created| {
                let mut recreated = contracts
                    .recreated
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                recreated.remove(&key);
                drop(recreated);
                match created {
                    Created::New(object) | Created::Existing(object) => cache.put_written(object),
                }
            })
        }
        Write::Update(object) => replace_spec(api, &*object)
            .await
            .map(|object| cache.put_written(object)),
        Write::Delete(object) => {
            let key = Key::of(&*object);
            contracts
                .asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key.clone());
            delete(api, &*object).await.map(|deleted| match deleted {
                Deleted::Gone => cache.put_deleted(&key, &object.uid().unwrap_or_default()),
                Deleted::Terminating(object) => cache.put_written(*object),
            })
        }
    };
    match result {
        // Somebody was faster: the change that comes with it makes another pass.
        Ok(()) | Err(WriteError::Conflict { .. } | WriteError::Gone { .. }) => None,
        Err(error) if error.is_namespace_terminating() => None,
        Err(error) => Some(error.to_string()),
    }
}
