//! Events of the device: made on their periods, kept in the outbox, and sent until the gateway has them.
//!
//! `events` decides what is made, sent and dropped. A failure of the sending is its own: the device goes on
//! with everything else, and sends the same batch again after the wait.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use reqwest::Method;

use super::{Device, Early, OUTBOX, SERVICES, WITHDRAWAL, after, random};
use crate::{
    answer::{self, Answer, Failure},
    api::EventsTaken,
    events::{self, Batch, Dropped, Loss, Measures, Outbox, Wants},
    http::{Request, Token},
    pace,
    services::Kept,
    store::{Store, StoreError},
};

/// Media type of a batch (CloudEvents 1.0.2, HTTP binding, section 3.3).
const BATCH: &str = "application/cloudevents-batch+json";
/// Time for which the gateway may wait for a service server and for providers.
const HELD: Duration = Duration::from_secs(30);
/// Most batches in one go, so that settings do not wait for a long outbox.
const MOST_BATCHES: usize = 8;
/// Addition to a wait that has to live through a restart, since the gateway's clock has whole seconds.
const STEP: Duration = Duration::from_secs(2);
/// Longest wait that is believed after a restart: a clock that was set shows others.
const LONGEST: SignedDuration = SignedDuration::from_hours(27);

impl Device {
    /// Begins with a start of the device: the next number, which is kept before any event has it.
    pub(super) fn begin_events(&mut self) -> Result<(), StoreError> {
        let found = self.store.locked(|| read(&self.store))?;
        if matches!(found, Found::Unreadable) {
            self.say(&format!(
                "{OUTBOX} cannot be read: what waited in it is lost; it is kept beside"
            ));
        }
        let Found::Whole(outbox) = found else {
            return self.change_outbox(|_| ());
        };
        self.state.boots = self.state.boots.max(outbox.boot).saturating_add(1);
        self.keep()?;
        let boot = self.state.boots;
        self.change_outbox(|outbox| outbox.begin(boot))?;
        self.wait_on();
        Ok(())
    }

    fn printer_id(&self) -> String {
        let registration = self.state.registration.as_ref();
        registration.map_or_else(String::new, |one| one.printer_id.clone())
    }

    /// Changes the outbox. Another process may add to it, so that it is read each time.
    fn change_outbox<T>(&mut self, change: impl FnOnce(&mut Outbox) -> T) -> Result<T, StoreError> {
        let store = self.store.clone();
        let mut lost = false;
        let (outbox, result) = store.locked(|| {
            let before = match read(&store)? {
                Found::Whole(outbox) => Some(*outbox),
                Found::None | Found::Unreadable => None,
            };
            let mut outbox = before.clone().unwrap_or_else(|| {
                lost = true;
                self.new_outbox()
            });
            if lost {
                // The number is kept before any event has it.
                self.state.boots = outbox.boot;
                self.keep()?;
            }
            let result = change(&mut outbox);
            if before.as_ref() != Some(&outbox) {
                store.write(OUTBOX, &outbox)?;
            }
            Ok::<_, StoreError>((outbox, result))
        })?;
        self.outbox = outbox;
        self.outbox_mark = self.store.mark(OUTBOX);
        Ok(result)
    }

    /// An outbox in place of one that is gone, whose ids are none of before. A device that has lost
    /// everything registers under the same id, and does not know its former ones: the first number is a
    /// random one.
    fn new_outbox(&self) -> Outbox {
        let boot = match self.state.boots {
            0 => getrandom::u32().map_or(1, |random| u64::from(random) + 1),
            known => known.saturating_add(1),
        };
        let parts = self.options.description.supplies.clone();
        Outbox {
            boot,
            printer_id: self.printer_id(),
            measures: Measures::new(&parts.unwrap_or_default()),
            ..Outbox::default()
        }
    }

    /// Begins with a new registration. With the short form its first data are made, before anything of its
    /// services is read.
    pub(super) fn begin_outbox(&mut self) -> Result<(), Early> {
        let id = self.printer_id();
        let gone = self.change_outbox(|outbox| outbox.registered(&id))?;
        if gone > 0 {
            self.say(&format!(
                "events of another registration that are dropped: {gone}"
            ));
        }
        let now = self.http.now();
        let told = self.change_outbox(|outbox| outbox.tell_errors(now))?;
        if told > 0 {
            self.say(&format!("errors that are told anew: {told}"));
        }
        if !self.options.short {
            return Ok(());
        }
        let services = self.services_kept()?;
        let kinds = self.options.description.data_types.clone();
        let made = self.change_outbox(|outbox| {
            let wants = Wants {
                sends: None,
                services: &services,
            };
            let kinds = kinds.unwrap_or_default();
            let may = kinds
                .iter()
                .filter(|kind| wants.fate(kind, None) == events::Fate::Send);
            may.map(|kind| events::readings(outbox, kind, now))
                .sum::<usize>()
        })?;
        self.say(&format!("events of the first data: {made}"));
        Ok(())
    }

    fn services_kept(&self) -> Result<Vec<Kept>, StoreError> {
        Ok(self.store.read(SERVICES)?.unwrap_or_default())
    }

    /// Wants of the services, as far as the document of this registration is known.
    fn wants<'a>(&'a self, services: &'a [Kept]) -> Wants<'a> {
        let sends = self.held.version.map(|_| &*self.held.sends);
        Wants { sends, services }
    }

    /// True if there is something to do about events: another process has added one, one may be sent now,
    /// or a period is over.
    pub(super) fn has_events(&self) -> bool {
        if self.state.registration.is_none() || self.failures > 0 || self.failed.is_some() {
            return false;
        }
        if self.store.mark(OUTBOX) != self.outbox_mark {
            return true;
        }
        let Ok(services) = self.services_kept() else {
            return false;
        };
        let (wants, now) = (self.wants(&services), self.http.now());
        !self.batch_waits() && self.outbox.has_work(&wants)
            || !self.outbox.due(&wants, now).is_empty()
    }

    /// True while the batch has to wait. The wait is measured by a clock that nobody sets.
    fn batch_waits(&self) -> bool {
        let until = self
            .events_until
            .filter(|_| self.outbox.not_before.is_some());
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Goes on with the wait of before a restart, unless a clock was wrong then or is now.
    fn wait_on(&mut self) {
        let left = self
            .outbox
            .not_before
            .map(|until| until.duration_since(self.http.now()));
        let left = left.filter(|left| *left < LONGEST);
        let left = left.and_then(|left| Duration::try_from(left).ok());
        self.events_until = left.map(after);
    }

    /// Makes the events whose period is over, drops those that nobody may get, and sends the others. Returns
    /// the time to the next poll that the gateway named, if it took a batch.
    pub(super) async fn send_events(&mut self) -> Result<Option<Duration>, Early> {
        let services = self.services_kept()?;
        let (sends, now) = (
            self.held.version.map(|_| self.held.sends.clone()),
            self.http.now(),
        );
        let wants = Wants {
            sends: sends.as_deref(),
            services: &services,
        };
        let dropped = self.change_outbox(|outbox| {
            let dropped = outbox.purge(&wants);
            events::period(outbox, &wants, now);
            dropped
        })?;
        for (reason, number) in dropped {
            self.say(&format!(
                "events that are dropped, unsent: {number} ({reason})"
            ));
        }
        let mut next = None;
        for _ in 0..MOST_BATCHES {
            // A person who withdraws is heard before the next batch.
            let is_withdrawn = self.store.mark(WITHDRAWAL).is_some();
            if is_withdrawn || self.batch_waits() || !self.outbox.has_work(&wants) {
                break;
            }
            let Some(batch) = self.change_outbox(|outbox| outbox.batch(&wants))? else {
                break;
            };
            next = self.post(&batch).await?.or(next);
        }
        Ok(next)
    }

    /// Sends one batch, and follows its answer. Returns the time to the next poll, if that has one.
    async fn post(&mut self, batch: &Batch) -> Result<Option<Duration>, Early> {
        let named = self.state.registration.as_ref();
        let named = named.and_then(|registration| registration.links.events.clone());
        let link = named.unwrap_or_else(|| format!("{}/events", self.path()));
        let credential = self.token();
        let mut request = Request::new(Method::POST, &link, Token::Bearer(&credential))
            .with_body(BATCH, batch.body.clone());
        request.held = HELD;
        let gateway = self.gateway()?;
        let answer = self.http.exchange(&gateway, request).await;
        let answer = match answer {
            Ok(answer) if [400, 413, 422].contains(&answer.status) => {
                self.post_refused(batch, &answer)?;
                return Ok(None);
            }
            answer => answer.and_then(answer::judged),
        };
        let taken = match self.judged(answer) {
            Ok(answer) => taken(&answer),
            // Another credential, the end of the consent, or the end of the device.
            Err(Early::Failure(failure @ Failure::Unauthorized { .. })) => {
                return Err(failure.into());
            }
            Err(Early::Failure(failure)) => Err(failure),
            Err(early) => return Err(early),
        };
        match taken {
            Ok(taken) => {
                self.post_taken(batch, &taken)?;
                Ok(Some(taken.poll.next.0))
            }
            Err(failure) => {
                self.post_failed(&failure)?;
                Ok(None)
            }
        }
    }

    fn post_taken(&mut self, batch: &Batch, taken: &EventsTaken) -> Result<(), Early> {
        let now = self.http.now();
        let was_failing = self.outbox.failures > 0;
        self.change_outbox(|outbox| outbox.taken(batch, &taken.refused, now))?;
        if was_failing {
            self.say("the gateway takes events again");
        }
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for refused in &taken.refused {
            *reasons.entry(&refused.reason).or_default() += 1;
        }
        for (reason, number) in reasons {
            self.say(&format!("events that are refused: {number} ({reason:.40})"));
        }
        let is_on = |service: &Kept| {
            let id = service.application_id.as_ref();
            let mut activated = taken.activations.iter();
            activated.any(|it| Some(&it.application_id) == id && it.state == "Active")
        };
        self.change_services(|kept| {
            for service in kept.iter_mut().filter(|service| is_on(service)) {
                "Active".clone_into(&mut service.state);
                service.missing.clear();
            }
        })?;
        for activated in &taken.activations {
            let id = &activated.application_id;
            self.say(&format!("{id:.200} is on by its first data"));
        }
        Ok(())
    }

    /// Follows an answer that is about the content of a batch.
    fn post_refused(&mut self, batch: &Batch, answer: &Answer) -> Result<(), Early> {
        // The credential was accepted before the content was read.
        if self.state.accepted() {
            self.keep()?;
        }
        let problem = answer::problem(answer).unwrap_or_default();
        let status = answer.status;
        let fault = format!("{status} {}", problem.detail);
        let gone: Vec<Dropped> = self.change_outbox(|outbox| match status {
            413 => outbox.too_large(batch, &fault),
            _ => outbox.invalid(batch, &problem.errors, &fault),
        })?;
        if gone.is_empty() {
            let number = batch.ids.len();
            self.say(&format!(
                "a batch of {number} events is answered with {fault:.200}; it is sent in parts"
            ));
        }
        for Dropped { id, kind, fault } in gone {
            self.say(&format!(
                "event {id} of {kind} is dropped, the gateway does not take it: {fault:.300}"
            ));
        }
        Ok(())
    }

    /// Keeps the batch as it is, to be sent again.
    fn post_failed(&mut self, failure: &Failure) -> Result<(), Early> {
        let failures = if failure.needs_a_person() {
            u32::MAX
        } else {
            self.outbox.failures.saturating_add(1)
        };
        let bounds = self.options.bounds;
        // Longer each time, and never shorter than the gateway wants.
        let own = pace::wait(bounds, failures, None, random());
        let asked = failure
            .retry_after()
            .map(|asked| pace::wait(bounds, failures, Some(asked), random()));
        let wait = match failure.throttled() {
            Some(asked) => pace::throttled(failures, asked, random()),
            None => own.max(asked.unwrap_or(Duration::ZERO)),
        };
        self.events_until = Some(after(wait));
        let signed = SignedDuration::try_from(wait + STEP).unwrap_or(SignedDuration::ZERO);
        let now = self.http.now();
        let until = now.checked_add(signed).unwrap_or(now);
        let text = failure.to_string();
        self.change_outbox(|outbox| outbox.put_off(until, &text))?;
        let seconds = wait.as_secs_f64();
        self.say(&format!(
            "events are kept: {failure}; again in {seconds:.1} s"
        ));
        Ok(())
    }

    /// Empties the outbox after a withdrawal.
    pub(super) fn end_events(&mut self) -> Result<(), StoreError> {
        let gone = self.change_outbox(|outbox| outbox.empty(Loss::ConsentWithdrawn))?;
        if gone > 0 {
            self.say(&format!(
                "events that are dropped, unsent: {gone} (ConsentWithdrawn)"
            ));
        }
        Ok(())
    }
}

/// Reads answer 202; any other success is that of something else than a gateway.
fn taken(answer: &Answer) -> Result<EventsTaken, Failure> {
    if answer.status != 202 {
        let detail = format!("status {} where 202 belongs", answer.status);
        return Err(Failure::NotUnderstood { detail });
    }
    answer::body(answer)
}

/// The outbox as it was found.
enum Found {
    None,
    Whole(Box<Outbox>),
    /// It was put aside.
    Unreadable,
}

/// Reads the outbox. Nothing but a disk or a person can make it unreadable; a device that could never start
/// again by that would lose more than its events.
fn read(store: &Store) -> Result<Found, StoreError> {
    match store.read::<Outbox>(OUTBOX) {
        Ok(Some(outbox)) => Ok(Found::Whole(Box::new(outbox))),
        Ok(None) => Ok(Found::None),
        Err(StoreError::Content { .. }) => {
            store.put_aside(OUTBOX)?;
            Ok(Found::Unreadable)
        }
        Err(error) => Err(error),
    }
}
