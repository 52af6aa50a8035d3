//! Activation of a service on a device: its local switch, and the legs that it stands on (C5, C15).
//!
//! Decides what a device and its spec said of the switch, and which legs of an activation are missing
//! besides the contract and the service server. Never asks nor tells a remote side. Called by delivery
//! and by the gateway, so that both say the same.

mod abilities;
mod switch;

pub use self::abilities::{Abilities, Needs};
pub use self::switch::{Said, switched};

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{ActivationMode, LocalEnablement};

/// Facts of a service on a device, besides dates and the service server.
#[derive(Clone, Copy, Debug)]
pub struct Legs<'a> {
    /// Name of the SmartService.
    pub service: &'a str,
    /// The one who turns it on.
    pub mode: ActivationMode,
    /// Its local switch; `None` if it was never switched.
    pub switch: Option<&'a LocalEnablement>,
    /// Needs of it that the device does not meet, in words.
    pub lacks: &'a [String],
    /// True if the owner of the device has withdrawn the consent to its connection.
    pub is_withdrawn: bool,
}

/// A leg that is missing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MissingLeg {
    /// ConsentWithdrawn, UnsupportedByDevice, DisabledLocally or WaitingForDevice.
    pub reason: Reason,
    /// One sentence without a full stop and without an instant, which status.localEnablement of the
    /// Device has.
    pub message: String,
}

impl Legs<'_> {
    /// Returns the legs that are missing, the one that has to come first at the front: nobody can
    /// switch on what the device cannot do, and a device does not ask for what is switched off.
    pub fn missing(&self) -> Vec<MissingLeg> {
        let legs = [self.consent(), self.ability(), self.local(), self.request()];
        legs.into_iter().flatten().collect()
    }

    fn consent(&self) -> Option<MissingLeg> {
        self.is_withdrawn.then(|| MissingLeg {
            reason: Reason::ConsentWithdrawn,
            message: "the owner of the device has withdrawn the consent to its connection"
                .to_owned(),
        })
    }

    fn ability(&self) -> Option<MissingLeg> {
        if self.lacks.is_empty() {
            return None;
        }
        Some(MissingLeg {
            reason: Reason::UnsupportedByDevice,
            message: format!(
                "the device cannot do the service {}: {}",
                self.service,
                self.lacks.join("; ")
            ),
        })
    }

    fn local(&self) -> Option<MissingLeg> {
        let switch = self.switch.filter(|switch| !switch.enabled)?;
        Some(MissingLeg {
            reason: Reason::DisabledLocally,
            message: format!(
                "the service {} is switched off on the device ({:?})",
                self.service, switch.by
            ),
        })
    }

    /// Returns the missing request of the device. A command that switched the service on again is none:
    /// the device has to ask anew.
    fn request(&self) -> Option<MissingLeg> {
        let asks = |switch: &LocalEnablement| switch.enabled && switch.heard == Some(switch.at);
        match self.mode {
            ActivationMode::ByOperator => None,
            _ if self.switch.is_some_and(asks) => None,
            mode => {
                let is_off = self.switch.is_some_and(|switch| !switch.enabled);
                let missing = if mode == ActivationMode::ByFirstData {
                    "sent the first data for"
                } else {
                    "asked for the activation of"
                };
                (!is_off).then(|| MissingLeg {
                    reason: Reason::WaitingForDevice,
                    message: format!(
                        "the device has not {missing} the service {} yet",
                        self.service
                    ),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
