//! The device's registration, and the next thing to do about it: look up the region, register,
//! renew, or poll.
//!
//! Decides from what is kept, the last answer and the gateway's time. Nothing but the look-up comes
//! before consent. A registration keeps its key until it is answered. A credential that is refused is
//! never thrown away once it has worked: only a person can get another. Used by the loop of `run`, which
//! keeps this in `agent.json`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::{Consent, Credential, Links, Pending, Region, Registered};

/// Refusals of a credential that worked before, in a row, after which the device stops: one may be a
/// fault of the other side under load.
const REFUSALS: u32 = 3;

/// The device's registration, as it is kept.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// Region, where it was looked up.
    pub region: Option<Region>,
    /// URL of the gateway.
    pub gateway: Option<String>,
    /// Consent of the owner.
    pub consent: Option<Consent>,
    /// Registration that is under way.
    pub attempt: Option<Attempt>,
    /// Registration that was answered.
    pub registration: Option<Registration>,
    /// Credential in use.
    pub credential: Option<Held>,
    /// Credential before, until the one in use has worked.
    pub former: Option<Credential>,
    /// Refusals of the credential in a row.
    pub refusals: u32,
    /// True if the device has stopped because its credential is refused.
    pub is_refused: bool,
    /// Seconds by which the gateway's clock is ahead of the device's.
    pub ahead: i64,
    /// Tag of the list of services.
    pub services_etag: Option<String>,
    /// Number of starts of the device, from which the ids of events are made; it never goes back.
    pub boots: u64,
    /// Last thing that happened, for people.
    pub last: Option<Last>,
    /// Instant of the next call by the gateway's clock, at the latest; none if the device has stopped.
    pub next: Option<Timestamp>,
}

/// A registration that is under way.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Attempt {
    /// UUID of the attempt.
    pub key: String,
    /// Answer 202, if there was one.
    pub pending: Option<Pending>,
}

/// A registration that was answered.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Id of the device.
    pub printer_id: String,
    /// Name of the Device.
    pub device: String,
    /// Its namespace.
    pub namespace: String,
    /// Paths on the gateway.
    pub links: Links,
}

/// A credential and whether it has worked.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Held {
    /// The credential.
    #[serde(flatten)]
    pub credential: Credential,
    /// True as soon as a request with it was answered.
    pub used: bool,
}

/// Something that happened.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Last {
    /// Instant by the gateway's clock.
    pub at: Timestamp,
    /// One sentence.
    pub what: String,
}

/// The next thing to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Look up the region.
    LookUp,
    /// Wait for consent: nothing else may be sent.
    NeedConsent,
    /// Register.
    Register,
    /// Read the registration that waits.
    AskPending,
    /// Renew the credential.
    Renew,
    /// Read services, settings and software.
    Poll,
    /// Nothing: a person has to help.
    Stopped,
}

/// Result of a look-up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// The gateway is the one that is known.
    Same,
    /// It is another one, and the device is not registered yet.
    New,
    /// It is another one, and the device is registered: a person decides.
    Moved,
}

/// Consequence of a credential that was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Then {
    /// Go on at once with what is kept now.
    GoOn,
    /// Repeat the request after a wait.
    Wait,
    /// Stop.
    Stop,
}

impl State {
    /// Returns the next step. `looks_up` is true where the gateway follows from the region.
    pub fn step(&self, looks_up: bool, now: Timestamp) -> Step {
        if self.is_refused {
            return Step::Stopped;
        }
        if self.registration.is_some()
            && let Some(held) = &self.credential
        {
            // Renewed only with one that has worked: the new one would kill it.
            let renews = held.used && held.credential.renew_after <= now;
            return if renews { Step::Renew } else { Step::Poll };
        }
        let known = self
            .region
            .as_ref()
            .filter(|region| now < region.valid_until);
        if looks_up && known.is_none() {
            return Step::LookUp;
        }
        if self.consent.is_none() {
            return Step::NeedConsent;
        }
        match &self.attempt {
            Some(attempt) if attempt.pending.is_some() => Step::AskPending,
            _ => Step::Register,
        }
    }

    /// True if the region of a device that is registered has to be looked up again.
    pub fn looks_up_again(&self, now: Timestamp) -> bool {
        let region = self.region.as_ref();
        self.registration.is_some() && region.is_some_and(|region| region.valid_until <= now)
    }

    /// Accepts the answer of the look-up. A device that is registered keeps its gateway: its credential
    /// is for no other one.
    pub fn looked_up(&mut self, region: Region) -> Found {
        let found = if self.gateway.as_ref() == Some(&region.url) {
            Found::Same
        } else if self.registration.is_some() {
            Found::Moved
        } else {
            self.gateway = Some(region.url.clone());
            Found::New
        };
        self.region = Some(region);
        found
    }

    /// Returns the key of the attempt, a new one if none is under way.
    pub fn key(&mut self, new: impl FnOnce() -> String) -> String {
        let attempt = self.attempt.get_or_insert_with(|| Attempt {
            key: new(),
            pending: None,
        });
        attempt.key.clone()
    }

    /// Accepts answer 201 of a registration.
    pub fn registered(&mut self, answer: Registered) {
        self.registration = Some(Registration {
            printer_id: answer.printer_id,
            device: answer.device,
            namespace: answer.namespace,
            links: answer.links,
        });
        self.credential = Some(Held {
            credential: answer.credential,
            used: false,
        });
        self.former = None;
        self.attempt = None;
        self.refusals = 0;
        self.services_etag = None;
    }

    /// Accepts answer 202 of a registration.
    pub fn waits(&mut self, pending: Pending) {
        if let Some(attempt) = &mut self.attempt {
            attempt.pending = Some(pending);
        }
    }

    /// The registration that waited is ready: it is sent again, with the same key.
    pub fn is_ready(&mut self) {
        if let Some(attempt) = &mut self.attempt {
            attempt.pending = None;
        }
    }

    /// The attempt has an answer that gives nothing, so that the next one is another attempt.
    pub fn attempt_ended(&mut self) {
        self.attempt = None;
    }

    /// Accepts a new credential. The former one is kept until the new one has worked.
    pub fn renewed(&mut self, credential: Credential) {
        let held = Held {
            credential,
            used: false,
        };
        let former = self.credential.replace(held);
        self.former = former.map(|former| former.credential);
    }

    /// The credential in use was accepted; true if that is news to be kept.
    pub fn accepted(&mut self) -> bool {
        let Some(held) = &mut self.credential else {
            return false;
        };
        let news = !held.used || self.refusals > 0 || self.former.is_some();
        held.used = true;
        self.former = None;
        self.refusals = 0;
        news
    }

    /// The credential in use was refused.
    pub fn refused(&mut self) -> Then {
        match &self.credential {
            Some(held) if held.used => {
                self.refusals += 1;
                self.is_refused = self.refusals >= REFUSALS;
                if self.is_refused {
                    Then::Stop
                } else {
                    Then::Wait
                }
            }
            // A later answer, to a repetition of the same request, has replaced it.
            _ => {
                if let Some(credential) = self.former.take() {
                    let used = true;
                    self.credential = Some(Held { credential, used });
                } else {
                    self.credential = None;
                    self.registration = None;
                    self.attempt = None;
                }
                Then::GoOn
            }
        }
    }

    /// Forgets everything but the consent of before, after a withdrawal.
    pub fn withdrawn(&mut self) {
        *self = Self {
            region: self.region.take(),
            gateway: self.gateway.take(),
            ahead: self.ahead,
            boots: self.boots,
            last: self.last.take(),
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests;
