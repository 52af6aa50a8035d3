//! The controller that listens to printers: one key for each device, woken by what delivery offers.
//!
//! It sends the request that the domain's [`Listening`] returns, and wakes the pass of the device by what comes of
//! the answer; it writes no object, and what a printer says reaches nobody else. Its state is in memory and may
//! be lost at any time: a printer subscription that is left behind ends with its lease, which is short, so none
//! is cancelled when a Device is deleted or suspended or when this replica does not lead any more. Called by the
//! shell of controllers.

mod attention;
mod held;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use entente_crds::v1alpha1::Protocol;
use entente_domain::{
    listening::{Circumstances, Listening, Step},
    remote::{Failure, NotificationAnswer, NotificationRequest},
    secret::Secrets,
};
use entente_drivers::device::DeviceTarget;
use jiff::{SignedDuration, Timestamp};

use crate::{
    cache::Key,
    context::Context,
    controller::{Failed, PassObject, Reconcile, Watches},
    defect::Defect,
    delivery::fraction,
    metrics::RemoteOperation,
    objects::Objects,
    queue::{Queue, Requeue},
    remote_requests::{About, told},
    shutdown::Shutdown,
};

pub(crate) use attention::{Attention, Offer, ProfileKey};
use held::{HeldPlace, HeldRequests};

/// Wait where a Connection cannot be used: the passes of the device report why.
const UNUSABLE: SignedDuration = SignedDuration::from_mins(5);

/// The controller.
pub(crate) struct Listeners {
    context: Context,
    objects: Arc<Objects>,
    attention: Arc<Attention>,
    held: Arc<HeldRequests>,
    shutdown: Shutdown,
    states: Mutex<HashMap<Key, State>>,
    /// Number of devices that keep a subscription of ours.
    subscribed: AtomicUsize,
}

/// Memory of listening to a device at one place.
#[derive(Clone)]
struct State {
    offer: Offer,
    listening: Listening,
}

impl Reconcile for Listeners {
    const NAME: &'static str = "listening";
    type Key = Key;

    fn object(&self, key: &Key) -> PassObject {
        PassObject::of(&self.objects.devices, key.clone())
    }

    /// Returns a number that is no bound of requests: passes that wait for a printer do not count.
    fn concurrency(&self) -> usize {
        32
    }

    fn watch(&self, watches: &Watches<Self>) {
        watches.channel(self.attention.offers(), offered);
    }

    async fn reconcile(&self, key: &Key) -> Result<Option<Requeue>, Failed> {
        Ok(self.listen(key).await.map(Requeue::At))
    }

    async fn report_defect(&self, key: &Key, _: &Defect) {
        // It begins anew; the log has the defect, and no status depends on it.
        self.forget(key);
    }

    fn next_instant(&self, _: &Key) -> Option<Timestamp> {
        self.context.clock.now().checked_add(UNUSABLE).ok()
    }
}

fn offered(_: &Listeners, queue: &Queue<Key>, device: &Key) {
    queue.add(device.clone());
}

impl Listeners {
    pub(crate) fn new(
        context: Context,
        objects: Arc<Objects>,
        attention: Arc<Attention>,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            context,
            objects,
            attention,
            held: Arc::default(),
            shutdown,
            states: Mutex::default(),
            subscribed: AtomicUsize::default(),
        }
    }

    fn states(&self) -> MutexGuard<'_, HashMap<Key, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is due for a device. Returns the instant of the next request; none while it is not listened to.
    async fn listen(&self, key: &Key) -> Option<Timestamp> {
        let device = self.objects.devices.get(key);
        let Some(device) = device.filter(|_| self.attention.knows(key)) else {
            self.forget(key);
            return None;
        };
        // What is known of the printer stays for the next offer.
        let offer = self
            .attention
            .offered(key)
            .filter(|_| !device.spec.suspend)?;
        let mut state = self.state(key, offer);
        while !self.shutdown.is_requested() {
            let now = self.context.clock.now();
            let Some(target) = self.target(&state.offer, now) else {
                return now.checked_add(UNUSABLE).ok();
            };
            let place = self.held.place(&target);
            let circumstances = Circumstances {
                period: state.offer.listened.period,
                // This one counts, too.
                devices: self.subscribed().max(1),
                may_wait: place.is_some(),
                fraction: fraction(),
            };
            let request = match state.listening.next(circumstances, now) {
                Step::Rest(until) => return Some(until),
                Step::Send(request) => request,
            };
            let place = place.filter(|_| is_held(&request));
            let answer = self.send(key, &target, &request, place).await?;
            let instants = (now, self.context.clock.now());
            let events = state
                .listening
                .answered(&request, answer, circumstances, instants);
            self.keep(key, &state);
            if !events.is_empty() {
                let series = &self.context.metrics.notifications;
                series.woke(events.iter().copied());
                self.attention
                    .notify(key, &state.offer.listened.connection, events);
            }
        }
        None
    }

    /// Returns the memory of a device; a new one, if it is offered at another place than before.
    fn state(&self, key: &Key, offer: Offer) -> State {
        let mut states = self.states();
        if let Some(state) = states.get(key)
            && state.offer.is_at_one_place_with(&offer)
        {
            let listening = state.listening.clone();
            return State { offer, listening };
        }
        let circumstances = Circumstances {
            period: offer.listened.period,
            devices: self.attention.offered_devices(),
            may_wait: false,
            fraction: fraction(),
        };
        let listening = Listening::new(circumstances, self.context.clock.now());
        let state = State { offer, listening };
        states.insert(key.clone(), state.clone());
        state
    }

    /// Keeps the memory of a device, and the number of those that are subscribed to.
    fn keep(&self, key: &Key, state: &State) {
        let mut states = self.states();
        let is_subscribed = state.listening.is_subscribed();
        let before = states.insert(key.clone(), state.clone());
        let was_subscribed = before.is_some_and(|it| it.listening.is_subscribed());
        self.count(was_subscribed, is_subscribed);
    }

    fn forget(&self, key: &Key) {
        let before = self.states().remove(key);
        let was_subscribed = before.is_some_and(|it| it.listening.is_subscribed());
        self.count(was_subscribed, false);
    }

    fn count(&self, before: bool, after: bool) {
        match (before, after) {
            (false, true) => self.subscribed.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.subscribed.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
        let series = &self.context.metrics.notifications;
        series.set_subscribed(self.subscribed());
    }

    /// Returns the number of devices that keep a subscription of ours.
    fn subscribed(&self) -> usize {
        self.subscribed.load(Ordering::Relaxed)
    }

    /// Returns the target of requests; none if the Connection cannot be used.
    fn target(&self, offer: &Offer, now: Timestamp) -> Option<DeviceTarget> {
        Some(DeviceTarget {
            profile: self.attention.profile(&offer.profile, now)?,
            url: offer.url.clone(),
            printer_uri: offer.printer_uri.clone(),
            pinned_certificate: offer.pinned_certificate.clone(),
            secrets: Secrets::default(),
        })
    }

    /// Sends a request; none if the operator ends meanwhile.
    async fn send(
        &self,
        key: &Key,
        target: &DeviceTarget,
        request: &NotificationRequest,
        place: Option<HeldPlace>,
    ) -> Option<Result<NotificationAnswer, Failure>> {
        let driver = self.context.drivers.device(Protocol::IPP)?;
        let about = About {
            connection: &target.profile.name,
            operation: operation(request),
            device: Some((&key.namespace, &key.name)),
        };
        let sent = driver.notifications(target, request);
        let answer = tokio::select! {
            answer = told(&self.context.metrics, about, sent) => Some(answer),
            () = self.shutdown.requested() => None,
        };
        drop(place);
        answer
    }
}

fn operation(request: &NotificationRequest) -> RemoteOperation {
    match request {
        NotificationRequest::Support => RemoteOperation::Read,
        NotificationRequest::Subscribe { .. }
        | NotificationRequest::Renew { .. }
        | NotificationRequest::Cancel { .. } => RemoteOperation::Subscribe,
        NotificationRequest::Fetch { waits: true, .. } => RemoteOperation::AwaitNotifications,
        NotificationRequest::Fetch { waits: false, .. } => RemoteOperation::FetchNotifications,
    }
}

fn is_held(request: &NotificationRequest) -> bool {
    operation(request) == RemoteOperation::AwaitNotifications
}
