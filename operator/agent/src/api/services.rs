//! The messages about services: their list, and the word of the device on one of them.

use serde::{Deserialize, Serialize};

use super::{By, Poll};
use crate::period::Period;

/// Answer of `GET …/services`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Services {
    /// The services.
    pub services: Vec<Service>,
    /// Time to come again.
    pub poll: Poll,
}

/// A contracted service.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Id of the contract's service on this device; none where it was cancelled. The member has to be
    /// there, so that one that was forgotten is not taken for a cancellation.
    #[serde(deserialize_with = "Option::deserialize")]
    pub application_id: Option<String>,
    /// Id of the service.
    pub service_id: String,
    /// Name of its provider.
    pub provider: String,
    /// The service in one sentence.
    pub description: String,
    /// `Scheduled`, `Inactive`, `Pending`, `Active` or `Cancelled`.
    pub state: String,
    /// Side that turns it on.
    #[serde(default)]
    pub activation: Activation,
    /// Needs of the service on the device.
    #[serde(default)]
    pub requires: Requires,
    /// Legs of its activation that are missing, such as `DisabledLocally`.
    #[serde(default)]
    pub missing: Vec<String>,
}

/// Side that turns a service on.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Activation {
    /// The operator.
    #[default]
    ByOperator,
    /// The operator, once the device has asked for it.
    ByDevice,
    /// The operator, once the device has sent data for it.
    ByFirstData,
    /// A way that this device does not know, so that it does not ask.
    #[serde(other)]
    Other,
}

/// Needs of a service on the device.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Requires {
    /// Part numbers of the supplies that it delivers.
    pub supplies: Vec<String>,
    /// Applications.
    pub software: Vec<MinimumSoftware>,
    /// Kinds of data that the device sends for it.
    pub data_types: Vec<String>,
}

/// An application with the oldest version that suffices.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MinimumSoftware {
    /// Name of the application.
    pub name: String,
    /// Oldest version that suffices.
    pub minimum_version: String,
}

/// Body of `PUT …/activation`: the word of the device on one of its services.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Word {
    /// True if the service is switched on here.
    pub active: bool,
    /// Way by which it was switched.
    pub by: By,
    /// False if the device cannot do it.
    #[serde(skip_serializing_if = "Clone::clone")]
    pub supported: bool,
    /// Abilities that the device does not have, in its own words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<String>,
}

/// Answer 200 or 202 to a word.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Answered {
    /// `Active`, `Inactive` or `Pending`.
    pub state: String,
    /// Reason for which it is pending.
    #[serde(default)]
    pub reason: Option<String>,
    /// Time after which to ask again, where it is pending.
    #[serde(default)]
    pub next: Option<Period>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_of_a_gateway_that_knows_no_activation_is_read() {
        let service = json!({"applicationId": null, "serviceId": "toner", "provider": "Northwind",
            "description": "Toner", "state": "Cancelled"});
        let service: Service = serde_json::from_value(service).unwrap();
        assert_eq!(service.activation, Activation::ByOperator);
        assert_eq!(service.requires, Requires::default());
    }

    #[test]
    fn a_way_of_activation_that_is_not_known_is_none_in_which_the_device_asks() {
        let read: Activation = serde_json::from_value(json!("AtMidnight")).unwrap();
        assert_eq!(read, Activation::Other);
        // It is kept in a file, and read from it.
        assert_eq!(
            serde_json::from_value::<Activation>(json!(read)).unwrap(),
            read
        );
    }

    #[test]
    fn a_word_has_only_what_it_says() {
        let word = Word {
            active: false,
            by: By::Panel,
            supported: true,
            unsupported: Vec::new(),
        };
        assert_eq!(json!(word), json!({"active": false, "by": "Panel"}));
    }
}
