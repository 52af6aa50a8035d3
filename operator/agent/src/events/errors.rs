//! Errors of the device: raised and cleared by whoever plays the engine, and told to the gateway (requirement
//! A1).
//!
//! Decides which change is an event. An error and its event are kept in one file, so that no crash has one
//! without the other; an error is told whether or not any service wants it. Used by the command `error`, and
//! after a registration.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    NotSent,
    occurrence::judge_subject,
    outbox::{New, Outbox},
};

/// Kind of the events that tell of errors.
pub const ERROR: &str = "error";
/// Most errors of the device.
const MOST: usize = 64;

/// An error that the device has.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Raised {
    /// Word for it.
    pub reason: String,
    /// Supply that has it; none for the device itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Instant at which it began.
    pub since: Timestamp,
    /// True if somebody has asked for an order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub order_requested: bool,
    /// Pages that were printed until then.
    pub impressions: u64,
}

/// An error, as a person names it.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Word for it.
    pub reason: String,
    /// Supply that has it.
    pub subject: Option<String>,
}

impl Named {
    fn judge(&self) -> Result<(), NotSent> {
        let is_outer = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let reason = self.reason.as_bytes();
        let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        let is_word = reason.len() <= 63
            && is_outer(reason.first().copied())
            && is_outer(reason.last().copied())
            && reason.iter().all(is_inner);
        if !is_word {
            return Err(NotSent::Form {
                field: "--reason",
                found: format!("{:?}", self.reason),
                allowed: "1 to 63 letters, digits and '.', '_', '-', with a letter or digit at both ends",
            });
        }
        self.subject.as_deref().map_or(Ok(()), judge_subject)
    }

    fn is(&self, raised: &Raised) -> bool {
        (&self.reason, &self.subject) == (&raised.reason, &raised.subject)
    }

    fn words(&self) -> String {
        match &self.subject {
            Some(subject) => format!("{} of {subject}", self.reason),
            None => self.reason.clone(),
        }
    }
}

impl Outbox {
    /// Lets the device have an error, or asks for an order for one that it has. Returns the id of the event.
    ///
    /// # Errors
    /// Returns why there is none: the device has the error already.
    pub fn raise(
        &mut self,
        named: Named,
        order_requested: bool,
        impressions: Option<u64>,
        now: Timestamp,
    ) -> Result<String, NotSent> {
        named.judge()?;
        if let Some(known) = self.errors.iter_mut().find(|it| named.is(it)) {
            if known.order_requested || !order_requested {
                return Err(NotSent::Raised {
                    error: named.words(),
                });
            }
            known.order_requested = true;
            let known = known.clone();
            return Ok(self.tell(&known, now));
        }
        if self.errors.len() >= MOST {
            return Err(NotSent::Form {
                field: "--reason",
                found: format!("{MOST} errors that the device has"),
                allowed: "at most 64 at once",
            });
        }
        let raised = Raised {
            reason: named.reason,
            subject: named.subject,
            since: now,
            order_requested,
            impressions: impressions.unwrap_or(self.measures.pages),
        };
        self.errors.push(raised.clone());
        Ok(self.tell(&raised, now))
    }

    /// Lets an error be over. Returns the id of the event.
    ///
    /// # Errors
    /// Returns why there is none: the device does not have the error.
    pub fn clear(
        &mut self,
        named: &Named,
        replaced: bool,
        now: Timestamp,
    ) -> Result<String, NotSent> {
        named.judge()?;
        let known = self.errors.iter().position(|it| named.is(it));
        match known {
            Some(at) => drop(self.errors.remove(at)),
            // A supply may be replaced before it is empty.
            None if replaced => {}
            None => {
                return Err(NotSent::NotRaised {
                    error: named.words(),
                });
            }
        }
        let mut data = json!({"state": "Cleared", "reason": named.reason});
        if replaced {
            data["replaced"] = json!(true);
            if let Some(supply) = &named.subject {
                self.measures.set(supply, 100);
            }
        }
        Ok(self.add(
            New {
                kind: ERROR.into(),
                subject: named.subject.clone(),
                application_id: None,
                data,
            },
            now,
        ))
    }

    /// Adds an event for every error that the device has, as after a registration. Returns their number.
    pub fn tell_errors(&mut self, now: Timestamp) -> usize {
        let errors = self.errors.clone();
        for raised in &errors {
            self.tell(raised, now);
        }
        errors.len()
    }

    fn tell(&mut self, raised: &Raised, now: Timestamp) -> String {
        let mut data = json!({"state": "Raised", "reason": raised.reason,
            "impressions": raised.impressions});
        if raised.order_requested {
            data["orderRequested"] = json!(true);
        }
        let new = New {
            kind: ERROR.into(),
            subject: raised.subject.clone(),
            application_id: None,
            data,
        };
        self.add(new, now)
    }
}
