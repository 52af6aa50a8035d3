//! Abilities of a device against the needs of a service (C14).

use entente_crds::bounded::Token;
use entente_crds::v1alpha1::{DeviceCapabilities, DeviceModelSpec, DeviceSide};

/// Abilities of a device: what it reported, else what its model says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Abilities<'a> {
    /// Abilities that the device reported when it registered.
    pub reported: Option<&'a DeviceCapabilities>,
    /// Its model.
    pub model: Option<&'a DeviceModelSpec>,
}

/// Needs of a service, and the words of the device on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs<'a> {
    /// Needs of the service on the device.
    pub side: Option<&'a DeviceSide>,
    /// Abilities that the device says it does not have for the service.
    pub unsupported: &'a [&'a str],
}

impl Abilities<'_> {
    /// Returns the needs of a service that the device does not meet, each in a few words.
    pub fn lacks(&self, needs: Needs<'_>) -> Vec<String> {
        let said = needs.unsupported.iter();
        let mut lacks: Vec<String> = said.map(|it| format!("it says \"{it}\"")).collect();
        let Some(side) = needs.side else { return lacks };
        for wanted in &side.data_types {
            if !self.sends(&wanted.name) {
                lacks.push(format!("it cannot send data of the kind {}", wanted.name));
            }
        }
        for part_number in &side.supplies {
            if !self.uses(part_number) {
                lacks.push(format!("it cannot use the supply {part_number}"));
            }
        }
        lacks
    }

    fn sends(&self, data_type: &str) -> bool {
        let reported = self.reported.and_then(|it| it.data_types.as_ref());
        // A kind that the model does not list is the fault of the catalogue, and is told as that.
        reported.is_none_or(|reported| has(reported, data_type))
    }

    fn uses(&self, part_number: &str) -> bool {
        let reported = self.reported.and_then(|it| it.supplies.as_ref());
        match (reported, self.model) {
            (Some(reported), _) => has(reported, part_number),
            (None, Some(model)) => model
                .supplies
                .iter()
                .any(|it| it.part_number == part_number),
            (None, None) => true,
        }
    }
}

fn has(reported: &[Token<64>], wanted: &str) -> bool {
    reported.iter().any(|it| **it == *wanted)
}
