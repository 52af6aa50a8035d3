//! A refusal of the API server as the answer to an event.
//!
//! Decides which field of the event was at fault, and whether to send it again helps. It must never
//! blame the sender for what the operator may not do, nor for a server that is busy.

use super::problem::{Fault, Problem, told};
use super::{ContractEvent, EventObject};

/// The most characters of what the API server says of one field.
const MOST_OF_MESSAGE: usize = 512;
/// Seconds after which the API server is asked again, where it names none.
const AGAIN: u32 = 5;

/// A refusal of the API server, as its Status says it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Refusal {
    /// The status of HTTP.
    pub code: u16,
    /// Its reason, such as `AlreadyExists`.
    pub reason: String,
    /// Its message.
    pub message: String,
    /// The kind or plural that it speaks of; empty where it speaks of none.
    pub of: String,
    /// Each cause: its field and its message.
    pub causes: Vec<(String, String)>,
    /// Seconds after which to ask again; 0 where it names none.
    pub retry_after: u32,
}

impl Refusal {
    /// True if an object of that name exists.
    pub fn is_already_exists(&self) -> bool {
        self.code == 409 && self.reason == "AlreadyExists"
    }

    /// Returns the answer while the API server is busy or does not answer.
    pub fn unavailable(&self) -> Problem {
        Problem::unavailable(if self.retry_after == 0 {
            AGAIN
        } else {
            self.retry_after
        })
    }
}

impl ContractEvent {
    /// Returns the answer to an event whose object the API server refused.
    pub fn refused(&self, object: &EventObject, namespace: &str, refusal: &Refusal) -> Problem {
        match refusal.code {
            400 => Problem::invalid(self.strict_faults(&refusal.message)),
            // The operator itself lacks the right: its own /readyz says so.
            403 if refusal.message.contains("cannot create resource") => refusal.unavailable(),
            403 => Problem::refused(&bounded(&refusal.message)),
            404 if refusal.of == "namespaces" => Problem::namespace_not_found(namespace),
            413 => Problem::too_large(),
            422 => Problem::invalid(self.faults_of(object, refusal)),
            _ => refusal.unavailable(),
        }
    }

    fn faults_of(&self, object: &EventObject, refusal: &Refusal) -> Vec<Fault> {
        // The API server has not looked at the whole of it: what it found is what counts.
        let of_fields = refusal.causes.iter().filter(|(field, _)| field != "<nil>");
        let causes = of_fields.map(|(field, message)| Fault {
            pointer: self.pointer(field),
            detail: bounded(message),
        });
        let faults: Vec<Fault> = causes.collect();
        if faults.is_empty() {
            let of = format!("{} {}", object.kind, object.name);
            return vec![Fault {
                pointer: "/data".to_owned(),
                detail: format!("{of}: {}", bounded(&refusal.message)),
            }];
        }
        faults
    }

    /// Returns the fields that a strict reading does not know: `… unknown field "spec.x", …`.
    fn strict_faults(&self, message: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (mark, detail) in [
            ("unknown field \"", "is unknown"),
            ("duplicate field \"", "is there twice"),
        ] {
            for part in message.split(mark).skip(1) {
                let field = part.split('"').next().unwrap_or_default();
                faults.push(Fault {
                    pointer: self.pointer(&bounded(field)),
                    detail: detail.to_owned(),
                });
            }
        }
        if faults.is_empty() {
            faults.push(Fault {
                pointer: "/data".to_owned(),
                detail: bounded(message),
            });
        }
        faults
    }
}

fn bounded(text: &str) -> String {
    told(text, MOST_OF_MESSAGE)
}

#[cfg(test)]
mod tests;
