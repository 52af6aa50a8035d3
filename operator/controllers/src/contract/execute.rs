//! Execute: makes, changes and deletes subscriptions as resolved, each guarded by the version of
//! the decision. A write that fails is reported in the contract's status and retried.

use std::sync::{Arc, PoisonError};

use entente_crds::v1alpha1::{Contract, ServiceSubscription};
use entente_domain::contract::{
    ContractWorld, DesiredSubscription, ResolvedContract, SubscriptionHandle,
};
use futures::{StreamExt as _, stream};
use kube::{Api, ResourceExt as _};

use super::Contracts;
use crate::{
    cache::Key,
    status::{Created, Deleted, WriteError, adopt, create, delete, replace_spec},
};

/// Writes of all contracts that are under way at once. Far fewer than all requests to the API server
/// (`--api-in-flight`): a subscription that is made is work for delivery, whose writes wait in the
/// same line, and passes that wait need memory.
pub(super) const AT_ONCE: usize = 8;

/// One write. An object that is sent whole is made when its turn comes: a contract may have
/// thousands.
enum Write {
    Create(Arc<DesiredSubscription>),
    Update(Arc<ServiceSubscription>, Arc<DesiredSubscription>),
    Adopt(Arc<ServiceSubscription>, Arc<DesiredSubscription>),
    Delete(Arc<ServiceSubscription>),
}

/// Result of the writes of one contract.
#[derive(Default)]
pub(super) struct Executed {
    /// Error of a write that failed; the first by its words.
    pub(super) failure: Option<WriteError>,
    /// True if a write was overtaken: what it was decided on has changed, so that it has to be
    /// decided anew. The change that overtook it need not be one that wakes the contract.
    pub(super) overtaken: bool,
}

/// Reason why one write did not happen.
enum Unwritten {
    Failed(WriteError),
    Overtaken,
}

/// Number of writes that were made, by their kind.
#[derive(Default)]
struct Counts {
    made: usize,
    changed: usize,
    removed: usize,
}

impl Counts {
    fn count(&mut self, write: &Write) {
        match write {
            Write::Create(_) => self.made += 1,
            Write::Update(..) | Write::Adopt(..) => self.changed += 1,
            Write::Delete(_) => self.removed += 1,
        }
    }
}

/// Makes every change.
pub(super) async fn changes(
    contracts: &Contracts,
    world: &ContractWorld,
    resolved: &ResolvedContract,
) -> Executed {
    let namespace = world.contract.namespace().unwrap_or_default();
    let api: Api<ServiceSubscription> =
        Api::namespaced(contracts.context.client.clone(), &namespace);
    let mut executed = Executed::default();
    let (mut counts, mut failed) = (Counts::default(), 0_usize);
    let writes = writes(contracts, &namespace, resolved, &mut executed);
    let (api, contract) = (&api, &world.contract);
    let mut written = stream::iter(writes)
        .map(|write| async move {
            let written = one(contracts, api, contract, &write).await;
            (write, written)
        })
        .buffer_unordered(AT_ONCE);
    while let Some((write, outcome)) = written.next().await {
        match outcome {
            Ok(true) => counts.count(&write),
            Ok(false) => {}
            Err(Unwritten::Overtaken) => executed.overtaken = true,
            Err(Unwritten::Failed(failure)) => {
                failed += 1;
                let first = executed.failure.as_ref().map(ToString::to_string);
                if first.is_none_or(|first| failure.to_string() < first) {
                    executed.failure = Some(failure);
                }
            }
        }
    }
    log(contract, &counts);
    log_failure(contracts, contract, &executed, failed);
    executed
}

/// Returns the writes of the changes. A change of an object that is another one by now is overtaken.
fn writes(
    contracts: &Contracts,
    namespace: &str,
    resolved: &ResolvedContract,
    executed: &mut Executed,
) -> Vec<Write> {
    let changes = &resolved.changes;
    let found = |handle: &SubscriptionHandle| {
        contracts
            .objects
            .subscriptions
            .get(&Key::new(namespace.to_owned(), handle.name.clone()))
            .filter(|object| {
                object.uid().as_deref() == Some(&handle.uid)
                    && object.resource_version().as_deref() == Some(&handle.resource_version)
            })
    };
    let mut writes: Vec<Write> = Vec::new();
    for update in &changes.update {
        match found(&update.handle) {
            Some(object) => {
                let desired = Arc::clone(&update.desired);
                writes.push(if update.adopts {
                    Write::Adopt(object, desired)
                } else {
                    Write::Update(object, desired)
                });
            }
            None => executed.overtaken = true,
        }
    }
    for handle in &changes.delete {
        match found(handle) {
            Some(object) => writes.push(Write::Delete(object)),
            None => executed.overtaken = true,
        }
    }
    writes.extend(changes.create.iter().map(Arc::clone).map(Write::Create));
    writes
}

/// Writes a line of the log about the subscriptions that were written, if there are any.
fn log(contract: &Contract, counts: &Counts) {
    let Counts {
        made,
        changed,
        removed,
    } = *counts;
    if made + changed + removed == 0 {
        return;
    }
    tracing::info!(
        kind = "Contract",
        namespace = contract.namespace(),
        name = contract.name_any(),
        made,
        changed,
        removed,
        "subscriptions are written"
    );
}

/// Writes a line of the log about the writes that failed. They are tried again for as long as they are
/// refused, so the same failure is said once.
fn log_failure(contracts: &Contracts, contract: &Contract, executed: &Executed, failed: usize) {
    let mut failing = contracts
        .failing
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let key = Key::of(contract);
    let Some(problem) = executed.failure.as_ref().map(ToString::to_string) else {
        failing.remove(&key);
        return;
    };
    if failing.insert(key, problem.clone()).as_ref() == Some(&problem) {
        return;
    }
    drop(failing);
    tracing::warn!(
        kind = "Contract",
        namespace = contract.namespace(),
        name = contract.name_any(),
        failed,
        problem,
        "subscriptions could not be written; it is tried again"
    );
}

/// Makes one write; false: there is nothing to write any more, since the namespace goes.
async fn one(
    contracts: &Contracts,
    api: &Api<ServiceSubscription>,
    contract: &Contract,
    write: &Write,
) -> Result<bool, Unwritten> {
    let cache = &contracts.objects.subscriptions;
    // Nobody closes it.
    let _turn = contracts.writes.acquire().await;
    let result = match write {
        Write::Create(desired) => {
            let object = desired.object(contract);
            let key = Key::of(&object);
            let created = create(api, &object).await.map(|created| {
                let mut recreated = contracts
                    .recreated
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                recreated.remove(&key);
                drop(recreated);
                let (object, is_ours) = match created {
                    Created::New(object) => (object, true),
                    // The existing object was not compared with the wanted one yet.
                    Created::Existing(object) => (object, false),
                };
                cache.put_written(object);
                is_ours
            });
            if matches!(created, Ok(false)) {
                return Err(Unwritten::Overtaken);
            }
            created.map(drop)
        }
        Write::Update(object, desired) => replace_spec(api, &**object, &desired.spec)
            .await
            .map(|object| cache.put_written(object)),
        Write::Adopt(object, desired) => {
            adopt(api, &**object, |found| desired.adopt(contract, found))
                .await
                .map(|object| cache.put_written(object))
        }
        Write::Delete(object) => {
            let key = Key::of(&**object);
            contracts
                .asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key.clone());
            delete(api, &**object).await.map(|deleted| match deleted {
                Deleted::Gone => cache.put_deleted(&key, &object.uid().unwrap_or_default()),
                Deleted::Terminating(object) => cache.put_written(*object),
            })
        }
    };
    match result {
        Ok(()) => Ok(true),
        Err(WriteError::Conflict { .. } | WriteError::Gone { .. }) => Err(Unwritten::Overtaken),
        Err(error) if error.is_namespace_terminating() => Ok(false),
        Err(error) => Err(Unwritten::Failed(error)),
    }
}
