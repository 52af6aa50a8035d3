//! The board: the views of everything that a viewer may list, from the caches of this replica.
//!
//! It asks the API server who the viewer is and which kinds it may list where, and leaves out the rest.
//! It must never show an object that its viewer may not list, read the API server for one, or write.
//! Called by the board of the binary.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use entente_domain::views::{
    self, BoardFilter, BoardObjects, ContractTree, TreeOptions, contract_tree,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::Client;
use tracing::error;

pub use crate::callers::{Caller, bearer};

use crate::{
    cache::{Cache, Cached, Key},
    callers::{CallerFault, Callers, Wish},
    clock::Clock,
    objects::{BY_CONTRACT, Objects, path},
};

/// Plural of the kind Contract, as [`Seen::hidden`] names it.
pub const CONTRACTS: &str = "contracts";
/// Plural of the kind ServiceSubscription.
pub const SUBSCRIPTIONS: &str = "servicesubscriptions";
/// Plural of the kind Compensation.
pub const COMPENSATIONS: &str = "compensations";
/// Questions about the rights of one viewer that are under way at once. Few, so that a board never
/// stops reconciles, which use the same client.
const QUESTIONS: usize = 4;

/// Reason why there is nothing to show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BoardFault {
    /// The viewer is nobody that the API server knows for this audience.
    Unknown,
    /// The API server does not answer.
    Unavailable,
    /// The operator has no right to ask who a viewer is.
    NotAllowed,
    /// This replica has not listed every object yet.
    NotListed,
    /// There is no such contract, or the viewer may not see it.
    NotFound,
}

impl From<CallerFault> for BoardFault {
    fn from(fault: CallerFault) -> Self {
        match fault {
            CallerFault::Unknown => Self::Unknown,
            CallerFault::Unavailable => Self::Unavailable,
            CallerFault::NotAllowed => Self::NotAllowed,
        }
    }
}

/// The board at one instant, for one viewer.
#[derive(Debug)]
pub struct Seen {
    /// The views.
    pub board: views::Board,
    /// Plurals of the kinds that the viewer may list nowhere, so that what needs them is empty.
    pub hidden: Vec<&'static str>,
    /// Plurals of the kinds that the viewer may list in fewer namespaces than another kind.
    pub partly: Vec<&'static str>,
    /// True if a watch fails, so that this replica may not have seen the newest objects.
    pub is_old: bool,
    /// Objects whose newest version cannot be read, such as `Contract acme/printers`: of these the
    /// version before is shown, or nothing.
    pub unread: Vec<String>,
}

/// The board of one operator.
pub struct Board {
    callers: Callers,
    clock: Arc<dyn Clock>,
    objects: OnceLock<Arc<Objects>>,
}

/// The namespaces in which a viewer may list a kind.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Listable {
    Everywhere,
    In(BTreeSet<String>),
}

impl Listable {
    fn has(&self, namespace: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::In(namespaces) => namespaces.contains(namespace),
        }
    }

    /// Returns the namespaces that are named one by one.
    fn named(&self) -> impl Iterator<Item = &String> {
        let named = match self {
            Self::Everywhere => None,
            Self::In(namespaces) => Some(namespaces),
        };
        named.into_iter().flatten()
    }

    fn is_nowhere(&self) -> bool {
        matches!(self, Self::In(namespaces) if namespaces.is_empty())
    }
}

impl Board {
    /// Makes the board from what it needs. Sends nothing, and shows nothing before the caches are there.
    pub fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self {
            callers: Callers::new(client),
            clock,
            objects: OnceLock::new(),
        }
    }

    /// Shows these objects from now on.
    pub(crate) fn show(&self, objects: &Arc<Objects>) {
        // A process has one set of caches.
        let _ = self.objects.set(Arc::clone(objects));
    }

    /// Returns the viewer whose token it is.
    pub async fn viewer(&self, token: Option<&str>) -> Result<Caller, BoardFault> {
        Ok(self.callers.identify(token).await?)
    }

    /// Returns the board without everything that the viewer may not list.
    pub async fn seen(&self, viewer: &Caller, filter: BoardFilter) -> Result<Seen, BoardFault> {
        let objects = self.objects.get().ok_or(BoardFault::NotListed)?;
        let (contracts, subscriptions, compensations) = tokio::try_join!(
            self.listable(viewer, CONTRACTS, &objects.contracts),
            self.listable(viewer, SUBSCRIPTIONS, &objects.subscriptions),
            self.listable(viewer, COMPENSATIONS, &objects.compensations),
        )?;
        let found = BoardObjects {
            contracts: listed(&objects.contracts, &contracts),
            subscriptions: listed(&objects.subscriptions, &subscriptions),
            compensations: listed(&objects.compensations, &compensations),
        };
        let unread = [
            unread(&objects.contracts, &contracts),
            unread(&objects.subscriptions, &subscriptions),
            unread(&objects.compensations, &compensations),
        ];
        let kinds = [
            (CONTRACTS, contracts),
            (SUBSCRIPTIONS, subscriptions),
            (COMPENSATIONS, compensations),
        ];
        let everywhere = kinds.iter().any(|(_, it)| *it == Listable::Everywhere);
        let all: BTreeSet<&String> = kinds.iter().flat_map(|(_, it)| it.named()).collect();
        let is_partly = |it: &Listable| match it {
            Listable::Everywhere => false,
            Listable::In(named) => everywhere || named.len() < all.len(),
        };
        let plurals = |hides: &dyn Fn(&Listable) -> bool| {
            let found = kinds.iter().filter(|(_, it)| hides(it));
            found.map(|(plural, _)| *plural).collect()
        };
        let hidden = plurals(&Listable::is_nowhere);
        let partly = plurals(&|it| is_partly(it) && !it.is_nowhere());
        let now = self.clock.now();
        let board = off_the_runtime(move || views::board(&found, &filter, now)).await?;
        Ok(Seen {
            board,
            hidden,
            partly,
            is_old: objects.contracts.is_broken()
                || objects.subscriptions.is_broken()
                || objects.compensations.is_broken(),
            unread: unread.concat(),
        })
    }

    /// Returns the tree of a contract, with the subscriptions that the viewer may list.
    pub async fn contract(
        &self,
        viewer: &Caller,
        namespace: &str,
        name: &str,
        options: TreeOptions,
    ) -> Result<ContractTree, BoardFault> {
        let objects = self.objects.get().ok_or(BoardFault::NotListed)?;
        // First the right: whether there is such a contract is told to nobody else.
        let wish = |resource| Wish {
            verb: "list",
            resource,
            namespace: Some(namespace.to_owned()),
        };
        if !self.callers.may(viewer, wish(CONTRACTS)).await? {
            return Err(BoardFault::NotFound);
        }
        let contract = objects.contracts.get(&Key::new(namespace, name));
        let contract = contract.ok_or(BoardFault::NotFound)?;
        let may_list = self.callers.may(viewer, wish(SUBSCRIPTIONS)).await?;
        let (subscriptions, unread) = if may_list {
            let path = path(namespace, name);
            let found = objects.subscriptions.by_index(BY_CONTRACT, &path);
            (found, Vec::new())
        } else {
            let note = format!("You may not list {SUBSCRIPTIONS} in namespace {namespace}.");
            (Vec::new(), vec![note])
        };
        let now = self.clock.now();
        off_the_runtime(move || {
            let subscriptions = subscriptions.iter().map(Arc::as_ref);
            contract_tree(&contract, subscriptions, unread, options, now)
        })
        .await
    }

    /// Asks where a viewer may list a kind: everywhere, else in which of the namespaces that have
    /// objects of it.
    async fn listable<K: Cached>(
        &self,
        viewer: &Caller,
        resource: &'static str,
        cache: &Cache<K>,
    ) -> Result<Listable, BoardFault> {
        let wish = |namespace| Wish {
            verb: "list",
            resource,
            namespace,
        };
        if self.callers.may(viewer, wish(None)).await? {
            return Ok(Listable::Everywhere);
        }
        let all = cache.all();
        let namespaces: BTreeSet<String> = all
            .iter()
            .filter_map(|it| it.meta().namespace.clone())
            .collect();
        let questions = namespaces.into_iter().map(async |namespace| {
            let may = self.callers.may(viewer, wish(Some(namespace.clone())));
            may.await.map(|may| may.then_some(namespace))
        });
        let answers = stream::iter(questions).buffer_unordered(QUESTIONS);
        let answers: Vec<Option<String>> = answers.try_collect().await?;
        Ok(Listable::In(answers.into_iter().flatten().collect()))
    }
}

fn listed<K: Cached>(cache: &Cache<K>, listable: &Listable) -> Vec<Arc<K>> {
    let mut objects = cache.all();
    objects.retain(|object| listable.has(object.meta().namespace.as_deref().unwrap_or_default()));
    objects
}

/// Returns the objects of a kind that cannot be read, of those that the viewer may list.
fn unread<K: Cached>(cache: &Cache<K>, listable: &Listable) -> Vec<String> {
    let keys = cache.unreadable();
    let keys = keys.iter().map(|it| &it.key);
    let keys = keys.filter(|key| listable.has(&key.namespace));
    keys.map(|key| format!("{} {key}", cache.kind())).collect()
}

/// Runs what takes long where there are many objects on a thread that no reconcile waits for.
async fn off_the_runtime<T: Send + 'static>(
    view: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BoardFault> {
    tokio::task::spawn_blocking(view).await.map_err(|problem| {
        error!(%problem, "a view of the board panicked");
        BoardFault::Unavailable
    })
}

#[cfg(test)]
mod tests;
