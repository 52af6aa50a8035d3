//! The Pods of the release over time, as a watch tells each change of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use entente_e2e::namespace::SOON;
use entente_e2e::peers::Kwok;
use entente_e2e::wait::wait_for;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::task::JoinHandle;

use super::super::super::cluster::NAMESPACE;
use super::NODES;

/// One Pod.
#[derive(Clone, Debug)]
struct Seen {
    image: String,
    node: String,
    address: String,
    /// True while it has the condition Ready and is not being deleted.
    is_ready: bool,
}

impl Seen {
    fn of(pod: &Pod) -> Self {
        let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
        let conditions = status.and_then(|it| it.conditions.as_deref());
        let mut conditions = conditions.unwrap_or_default().iter();
        Self {
            image: spec
                .and_then(|it| it.containers[0].image.clone())
                .unwrap_or_default(),
            node: spec.and_then(|it| it.node_name.clone()).unwrap_or_default(),
            address: status.and_then(|it| it.pod_ip.clone()).unwrap_or_default(),
            is_ready: pod.metadata.deletion_timestamp.is_none()
                && conditions.any(|it| it.type_ == "Ready" && it.status == "True"),
        }
    }
}

/// The Pods that are there, by name, and the numbers since the watch began.
#[derive(Debug, Default)]
struct State {
    pods: BTreeMap<String, Seen>,
    /// Number of times that all Pods were listed; with a second one, changes may be missing.
    lists: usize,
    fewest_ready: usize,
    most: usize,
}

impl State {
    fn apply(&mut self, event: Event<Pod>) {
        match event {
            Event::Init => self.lists += 1,
            Event::InitApply(pod) | Event::Apply(pod) => {
                self.pods.insert(pod.name_any(), Seen::of(&pod));
            }
            Event::InitDone => self.fewest_ready = self.ready(),
            Event::Delete(pod) => {
                self.pods.remove(&pod.name_any());
            }
        }
        self.fewest_ready = self.fewest_ready.min(self.ready());
        self.most = self.most.max(self.pods.len());
    }

    fn ready(&self) -> usize {
        self.pods.values().filter(|pod| pod.is_ready).count()
    }
}

/// A watch of the Pods; it ends when dropped.
pub(super) struct WatchedPods {
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl WatchedPods {
    pub(super) fn of(client: Client) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let pods: Api<Pod> = Api::namespaced(client, NAMESPACE);
        let written = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let events = watcher(pods, watcher::Config::default());
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                // After an error all Pods are listed again, and that is counted.
                if let Ok(event) = event {
                    written.lock().unwrap().apply(event);
                }
            }
        });
        Self { state, task }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits until there are two Pods, both of an image with this tag and ready.
    pub(super) async fn are_two_of(&self, tag: &str, kwok: &Kwok) {
        let end = format!(":{tag}");
        let seen = wait_for("two Pods of the image are ready", SOON, async || {
            let state = self.state();
            let all = state.pods.values();
            let right = all.filter(|pod| pod.is_ready && pod.image.ends_with(&end));
            (right.count() == 2 && state.pods.len() == 2).then_some(())
        });
        if let Err(late) = seen.await {
            panic!("{late:?}\n{self:#?}\n{}", kwok.log());
        }
    }

    /// Returns the names of both Pods, as long as there are two.
    pub(super) fn names(&self) -> [String; 2] {
        let names: Vec<String> = self.state().pods.keys().cloned().collect();
        names.try_into().expect("two Pods")
    }

    /// Returns the addresses of the Pods, sorted.
    pub(super) fn addresses(&self) -> Vec<String> {
        let state = self.state();
        let addresses: BTreeSet<&str> = state.pods.values().map(|it| it.address.as_str()).collect();
        addresses.into_iter().map(str::to_owned).collect()
    }

    /// True if each zone has a Pod.
    pub(super) fn zones_are_both(&self) -> bool {
        let zone = |node: &str| NODES.iter().find(|it| it.0 == node).map(|it| it.1);
        let state = self.state();
        let zones: BTreeSet<_> = state
            .pods
            .values()
            .filter_map(|pod| zone(&pod.node))
            .collect();
        zones == BTreeSet::from(["a", "b"])
    }

    /// Returns the smallest number of Pods that were ready at once.
    pub(super) fn fewest_ready(&self) -> usize {
        let state = self.state();
        assert_eq!(state.lists, 1, "the watch broke, so changes may be missing");
        state.fewest_ready
    }

    /// Returns the largest number of Pods that were there at once.
    pub(super) fn most(&self) -> usize {
        self.state().most
    }
}

impl fmt::Debug for WatchedPods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().fmt(f)
    }
}

impl Drop for WatchedPods {
    fn drop(&mut self) {
        self.task.abort();
    }
}
