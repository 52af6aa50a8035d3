//! Wants of the services, as far as the device knows them.
//!
//! Decides whether an event may be sent now, has to wait, or is dropped because nobody may get it any more.
//! The switch at the device counts before anything that the gateway has listed.

use super::{ERROR, Loss};
use crate::{
    api::{Activation, DataType},
    services::Kept,
};

/// Knowledge of the device about the wants of its services.
#[derive(Clone, Copy, Debug)]
pub struct Wants<'a> {
    /// Kinds of data that it sends; none before it has read the document of its registration.
    pub sends: Option<&'a [DataType]>,
    /// Services.
    pub services: &'a [Kept],
}

/// Fate of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It may be sent.
    Send,
    /// It waits until a service that wants it is on.
    Wait,
    /// Nobody may get it.
    Drop(Loss),
}

impl Wants<'_> {
    /// Returns a kind that is sent.
    pub fn kind(&self, name: &str) -> Option<&DataType> {
        self.sends?.iter().find(|kind| kind.name == name)
    }

    /// Returns the fate of an event of a kind, for one service or for all that want it.
    pub fn fate(&self, kind: &str, application_id: Option<&str>) -> Fate {
        // An error is for the gateway itself.
        if kind == ERROR {
            return Fate::Send;
        }
        let all = self.services.iter().filter(|service| {
            service.application_id.is_some()
                && application_id.is_none_or(|id| service.application_id.as_deref() == Some(id))
                && service.requires.data_types.iter().any(|it| it == kind)
        });
        let all: Vec<&Kept> = all.collect();
        let is_switched_off = !all.is_empty() && all.iter().all(|service| !service.enabled);
        match self.sends {
            _ if is_switched_off => Fate::Drop(Loss::SwitchedOff),
            None => Fate::Send,
            Some(_) if all.is_empty() || self.kind(kind).is_none() => Fate::Drop(Loss::NotWanted),
            Some(_)
                if all
                    .iter()
                    .any(|service| service.enabled && gets_data(service)) =>
            {
                Fate::Send
            }
            Some(_) => Fate::Wait,
        }
    }
}

/// True if a service is on, or is turned on by the first data for it (C12).
fn gets_data(service: &Kept) -> bool {
    let is_off = ["Inactive", "Pending"].contains(&&*service.state);
    let awaits = service.activation == Activation::ByFirstData && service.missing.is_empty();
    service.state == "Active" || is_off && awaits
}
