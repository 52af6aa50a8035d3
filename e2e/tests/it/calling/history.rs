//! All states of the twins of a namespace, as the API server had them one after the other.
//!
//! Decides what may never happen from one state to the next: what a device has reported goes back, or the
//! time of its last call is written more often than it may be. Called by tests of replicas that write one
//! after the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use entente_crds::v1alpha1::DeviceTwin;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt as _};
use tokio::task::JoinHandle;

use super::fleet::COUNTER;

/// Progress of one device.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    pub(super) reported: Option<i64>,
    pub(super) counter: Option<i64>,
    pub(super) heard: Option<Timestamp>,
}

#[derive(Default)]
struct Kept {
    newest: BTreeMap<String, Progress>,
    faults: Vec<String>,
}

/// The history, from its beginning on. It ends when it is dropped.
pub(super) struct History {
    kept: Arc<Mutex<Kept>>,
    watching: JoinHandle<()>,
}

impl History {
    /// Begins to watch. The time of a call is written at most once in each half of `poll`.
    pub(super) fn begin(twins: Api<DeviceTwin>, poll: SignedDuration) -> Self {
        let kept = Arc::<Mutex<Kept>>::default();
        let of_task = Arc::clone(&kept);
        let watching = tokio::spawn(async move {
            let mut events = watcher(twins, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(twin) | Event::InitApply(twin)) = event {
                    lock(&of_task).note(&twin, poll / 2);
                }
            }
        });
        Self { kept, watching }
    }

    /// Returns the newest state of each device, by its name.
    pub(super) fn newest(&self) -> BTreeMap<String, Progress> {
        lock(&self.kept).newest.clone()
    }

    /// Returns everything that may not happen and did.
    pub(super) fn faults(&self) -> Vec<String> {
        lock(&self.kept).faults.clone()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn lock(kept: &Mutex<Kept>) -> std::sync::MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    fn note(&mut self, twin: &DeviceTwin, shortest: SignedDuration) {
        let name = twin.name_any();
        let now = progress(twin);
        let before = self.newest.insert(name.clone(), now.clone());
        let Some(before) = before else { return };
        // None is less than any.
        let went_back = now.reported < before.reported
            || now.counter < before.counter
            || now.heard < before.heard;
        let gap = |(now, before): (Timestamp, Timestamp)| now.duration_since(before);
        let gap = now.heard.zip(before.heard).map(gap);
        let is_early = gap.is_some_and(|gap| gap > SignedDuration::ZERO && gap < shortest);
        if went_back || is_early {
            self.faults
                .push(format!("{name}: {now:?} came after {before:?}"));
        }
    }
}

fn progress(twin: &DeviceTwin) -> Progress {
    let status = twin.status.as_ref();
    let reported = status.and_then(|it| it.reported.as_ref());
    let settings = reported.map(|it| it.settings.iter());
    let counter = settings.into_iter().flatten().find_map(|setting| {
        let value = setting.value.as_ref()?;
        (&*setting.name == COUNTER).then(|| value.parse().ok())?
    });
    Progress {
        reported: reported.and_then(|it| it.version),
        counter,
        heard: status.and_then(|it| it.last_heard),
    }
}

#[test]
fn what_goes_back_or_is_written_too_early_is_found() {
    let twin = |version: i64, counter: i64, second: i64| -> DeviceTwin {
        let heard = Timestamp::from_second(1_800_000_000 + second).unwrap();
        let settings =
            serde_json::json!([{"name": COUNTER, "value": counter.to_string(), "by": "Panel"}]);
        let status = serde_json::json!({"lastHeard": heard.to_string(),
            "reported": {"version": version, "settings": settings}});
        serde_json::from_value(serde_json::json!({
            "apiVersion": "entente.dev/v1alpha1", "kind": "DeviceTwin",
            "metadata": {"name": "a"}, "spec": {}, "status": status}))
        .unwrap()
    };
    let faults = |states: &[DeviceTwin]| {
        let mut kept = Kept::default();
        for state in states {
            kept.note(state, SignedDuration::from_secs(10));
        }
        kept.faults.len()
    };
    let begin = twin(2, 5, 0);
    assert_eq!(faults(&[begin.clone(), begin.clone(), twin(3, 6, 10)]), 0);
    for (wrong, what) in [
        (twin(1, 5, 0), "version"),
        (twin(2, 4, 0), "counter"),
        (twin(2, 5, -20), "last call, back"),
        (twin(2, 5, 9), "last call, early"),
    ] {
        assert_eq!(faults(&[begin.clone(), wrong]), 1, "{what}");
    }
}
