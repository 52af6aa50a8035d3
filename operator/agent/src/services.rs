//! The services as the device keeps them: whether each is enabled here, its id, its description, and the
//! application id by which a contract is in force (requirement C4).
//!
//! Decides what is kept of a new list. A service that was cancelled, or is no longer listed, stays known
//! without an application id, and a switch that a person used stays as it is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    activation::Told,
    api::{Activation, By, Requires, Service},
};

/// A service as the device keeps it in `services.json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// Id of the service.
    pub service_id: String,
    /// The service in one sentence.
    pub description: String,
    /// Name of its provider.
    pub provider: String,
    /// Id of the contract's service on this device; none where it was cancelled.
    pub application_id: Option<String>,
    /// State, as the gateway answered it.
    pub state: String,
    /// Side that turns it on.
    #[serde(default)]
    pub activation: Activation,
    /// Needs of the service on the device.
    #[serde(default)]
    pub requires: Requires,
    /// Legs of its activation that are missing, as the gateway answered them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// True if the service may work on this device (requirement C15); so it is until somebody turns it
    /// off.
    pub enabled: bool,
    /// Way by which the switch was used last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// Instant at which it was used last, by the gateway's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Last word on it that the gateway has heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
}

impl Default for Kept {
    /// A service of which nothing is known but that nobody has turned it off.
    fn default() -> Self {
        Self {
            service_id: String::new(),
            description: String::new(),
            provider: String::new(),
            application_id: None,
            state: String::new(),
            activation: Activation::default(),
            requires: Requires::default(),
            missing: Vec::new(),
            enabled: true,
            by: None,
            at: None,
            told: None,
        }
    }
}

/// Most services that are kept: a gateway lists no more.
const MOST: usize = 512;

/// Returns the services to keep after a new list, ordered by their ids.
pub fn keep(kept: &[Kept], listed: &[Service]) -> Vec<Kept> {
    let mut result: Vec<Kept> = kept
        .iter()
        .map(|service| Kept {
            application_id: None,
            state: "Cancelled".into(),
            missing: Vec::new(),
            ..service.clone()
        })
        .collect();
    for service in listed {
        let known = result
            .iter_mut()
            .find(|known| known.service_id == service.service_id);
        match known {
            // A service that was cancelled and contracted anew is listed twice.
            Some(known) if known.application_id.is_some() && service.application_id.is_none() => {}
            Some(known) => *known = kept_as(service, known.clone()),
            None => result.push(kept_as(service, Kept::default())),
        }
    }
    result.sort_by(|one, other| one.service_id.cmp(&other.service_id));
    if result.len() > MOST {
        result.retain(|service| service.application_id.is_some());
        result.truncate(MOST);
    }
    result
}

/// Returns a service as it is listed, with the switch that the device has for it.
fn kept_as(service: &Service, device: Kept) -> Kept {
    Kept {
        service_id: service.service_id.clone(),
        description: service.description.clone(),
        provider: service.provider.clone(),
        application_id: service.application_id.clone(),
        state: service.state.clone(),
        activation: service.activation,
        requires: service.requires.clone(),
        missing: service.missing.clone(),
        ..device
    }
}

/// Turns the switch of a service; false if the device knows no such service.
pub fn switch(kept: &mut [Kept], service: &str, enabled: bool, by: By, now: Timestamp) -> bool {
    let Some(known) = kept.iter_mut().find(|known| known.service_id == service) else {
        return false;
    };
    known.enabled = enabled;
    known.by = Some(by);
    known.at = Some(now);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(id: &str, application: Option<&str>, state: &str) -> Service {
        Service {
            application_id: application.map(String::from),
            service_id: id.into(),
            provider: "Northwind".into(),
            description: format!("{id} in one sentence"),
            state: state.into(),
            activation: Activation::ByOperator,
            requires: Requires::default(),
            missing: Vec::new(),
        }
    }

    // shows C4
    #[test]
    fn a_cancelled_service_stays_known_without_an_application_id() {
        let first = keep(&[], &[listed("toner", Some("a.toner.x"), "Active")]);
        assert_eq!(first[0].application_id.as_deref(), Some("a.toner.x"));
        assert!(first[0].enabled);
        let cancelled = keep(&first, &[listed("toner", None, "Cancelled")]);
        assert_eq!(cancelled[0].application_id, None);
        assert_eq!(cancelled[0].description, "toner in one sentence");
        let later = keep(&cancelled, &[]);
        assert_eq!((later.len(), &later[0].application_id), (1, &None));
    }

    #[test]
    fn a_service_that_was_contracted_anew_has_the_new_application_id() {
        for order in [[0, 1], [1, 0]] {
            let lists = [
                listed("toner", None, "Cancelled"),
                listed("toner", Some("b.toner.x"), "Scheduled"),
            ];
            let list = order.map(|at: usize| lists[at].clone());
            let kept = keep(&[], &list);
            assert_eq!(kept.len(), 1);
            assert_eq!(kept[0].application_id.as_deref(), Some("b.toner.x"));
            assert_eq!(kept[0].state, "Scheduled");
        }
    }

    #[test]
    fn what_a_service_needs_and_misses_is_that_of_the_newest_list() {
        let toner = listed("toner", Some("a.toner.x"), "Inactive");
        let missing = Service {
            activation: Activation::ByDevice,
            missing: vec!["ExclusiveGroupHeld".into()],
            ..toner.clone()
        };
        let kept = keep(&keep(&[], std::slice::from_ref(&toner)), &[missing]);
        assert_eq!(kept[0].missing, ["ExclusiveGroupHeld"]);
        assert_eq!(kept[0].activation, Activation::ByDevice);
        assert!(keep(&kept, &[toner])[0].missing.is_empty());
        assert!(keep(&kept, &[])[0].missing.is_empty());
    }

    #[test]
    fn a_file_of_before_has_switches_that_were_never_told() {
        let text = r#"{"serviceId": "toner", "description": "", "provider": "Northwind",
            "applicationId": "a.toner.x", "state": "Active", "enabled": false, "by": "Panel",
            "at": "2027-04-01T00:00:00Z"}"#;
        let kept: Kept = serde_json::from_str(text).unwrap();
        assert_eq!(kept.told, None);
        assert!(crate::activation::is_switched(&kept));
    }

    // shows C15
    #[test]
    fn a_switch_that_a_person_used_stays_as_it_is() {
        let now = "2027-04-01T00:00:00Z".parse().unwrap();
        for by in [By::Panel, By::Technician, By::Command] {
            let mut kept = keep(&[], &[listed("toner", Some("a.toner.x"), "Active")]);
            assert!(switch(&mut kept, "toner", false, by, now));
            assert!(!switch(&mut kept, "backup", false, by, now));
            let later = keep(&kept, &[listed("toner", Some("a.toner.x"), "Active")]);
            assert_eq!((later[0].enabled, later[0].by), (false, Some(by)));
        }
    }
}
