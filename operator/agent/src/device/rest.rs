//! The rest between two polls: until its end, until the gateway has news, or until something happens at
//! the device itself.
//!
//! A change of the settings by a person is reported at once, and so is a use of a switch; the next
//! revision is applied at its instant, with or without the gateway.

use std::time::{Duration, Instant};

use super::{Device, DeviceError, Early, Ending, WITHDRAWAL, after};
use crate::{
    answer::Failure,
    http::{Request, Token},
};

/// Time between two looks at the device itself.
const TICK: Duration = Duration::from_millis(250);

/// Reason for which a rest ends.
enum Woken {
    /// Its time is over, or the gateway has news.
    Poll,
    /// Something happened at the device: a setting was changed, a switch was used, an event has to be sent,
    /// or the next revision is in force.
    Here,
    /// Consent is withdrawn.
    Withdrawn,
    /// A request that was held failed.
    Failed(Failure),
}

/// Result of what happened at the device.
enum Happened {
    /// The rest goes on, for this time at the longest.
    Fine(Option<Duration>),
    /// The rest ends, and the device polls.
    Poll,
    /// The run ends.
    Ended(Ending),
    /// The report failed: the device polls, and reports, after a wait.
    Failed(Failure),
}

impl Device {
    /// Rests. Returns the ending if there is one.
    pub(super) async fn rest(&mut self, wait: Duration) -> Result<Option<Ending>, DeviceError> {
        let mut until = after(wait);
        // After a failure nothing is sent before its wait is over.
        let mut holds = self.failures == 0 && !self.options.wait.is_zero();
        loop {
            match self.woken(until, holds).await {
                Woken::Poll | Woken::Withdrawn => return Ok(None),
                Woken::Failed(failure) => {
                    until = self.put_off(&failure)?;
                    holds = false;
                }
                Woken::Here => match self.happened().await? {
                    Happened::Fine(None) => {}
                    Happened::Fine(Some(wait)) => {
                        until = until.min(after(wait));
                        self.plan(until.saturating_duration_since(Instant::now()))?;
                    }
                    Happened::Poll => return Ok(None),
                    Happened::Ended(ending) => return Ok(Some(ending)),
                    Happened::Failed(failure) => {
                        until = self.put_off(&failure)?;
                        holds = false;
                    }
                },
            }
        }
    }

    /// Returns the end of the wait after a failure.
    fn put_off(&mut self, failure: &Failure) -> Result<Instant, DeviceError> {
        let wait = self.after(failure);
        self.plan(wait)?;
        Ok(after(wait))
    }

    /// Applies and reports what happened here.
    async fn happened(&mut self) -> Result<Happened, DeviceError> {
        let reported = match self.settle() {
            Ok(()) if self.state.registration.is_some() => self.tell_and_report().await,
            other => other.map(|()| None),
        };
        self.keep()?;
        match reported {
            Ok(wait) => Ok(Happened::Fine(wait)),
            Err(Early::End(ending)) => Ok(Happened::Ended(ending)),
            Err(Early::Store(error)) => Err(error.into()),
            Err(Early::Again | Early::Failure(Failure::MovedOn)) => Ok(Happened::Poll),
            Err(Early::Failure(failure)) => Ok(Happened::Failed(failure)),
        }
    }

    /// Sends words on services, reports, and sends events. Returns the time after which to ask again, if there is one.
    async fn tell_and_report(&mut self) -> Result<Option<Duration>, Early> {
        let wait = self.tell().await?;
        self.send_report().await?;
        let next = self.send_events().await?;
        Ok(wait.into_iter().chain(next).min())
    }

    async fn woken(&self, until: Instant, holds: bool) -> Woken {
        let registration = self.state.registration.as_ref().filter(|_| holds);
        let held = async {
            let Some(registration) = registration else {
                return std::future::pending().await;
            };
            let links = &registration.links;
            let services = self.news(&links.services, self.state.services_etag.clone());
            let twin = self.news(&links.twin, self.held.etag.clone());
            let result = tokio::select! {
                news = services => news,
                news = twin => news,
            };
            result.map_or_else(Woken::Failed, |()| Woken::Poll)
        };
        tokio::select! {
            woken = held => woken,
            woken = self.watched(until) => woken,
        }
    }

    /// Holds a request until its answer is another one.
    async fn news(&self, link: &str, tag: Option<String>) -> Result<(), Failure> {
        let wait = self.options.wait.min(Duration::from_mins(1));
        let token = self.token();
        let gateway = self.gateway().map_err(Failure::Link)?;
        loop {
            let begun = Instant::now();
            let mut request = Request::get(link, Token::Bearer(&token))
                .with("If-None-Match", tag.clone())
                .with("Prefer", Some(format!("wait={}", wait.as_secs().max(1))));
            request.held = wait;
            let answer = self.http.send(&gateway, request).await?;
            if answer.status != 304 {
                return Ok(());
            }
            if begun.elapsed() < wait / 2 {
                // The gateway holds nothing: the next poll is the one that it named.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Looks at the device itself until something happens there, or the time is over.
    async fn watched(&self, until: Instant) -> Woken {
        loop {
            if let Ok(Some(_)) = self.store.read::<serde_json::Value>(WITHDRAWAL) {
                return Woken::Withdrawn;
            }
            let is_due = self.held.is_next_due(self.http.now());
            if is_due || self.is_edited() || self.is_switched() || self.has_events() {
                return Woken::Here;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Woken::Poll;
            }
            tokio::time::sleep(left.min(TICK)).await;
        }
    }

    /// True if the settings of the file are others than the device knows.
    fn is_edited(&self) -> bool {
        let file = self.store.read(super::SETTINGS);
        let Ok(file) = file else {
            // Somebody is editing it.
            return false;
        };
        crate::twin::settings_of(file.unwrap_or_default()).0 != self.seen
    }
}
