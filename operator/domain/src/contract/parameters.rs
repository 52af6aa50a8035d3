//! The parameters of an entry: chosen by the contract, signed before, or default of the catalogue.
//! Values that an override sets on some devices are read here as well, and chosen by `overrides`.
//!
//! Each text is parsed once, when the entry is read: from then on it is the canonical text that
//! subscriptions hold and compare, or it is refused. A value that the catalogue no longer allows
//! but a subscription of the entry has signed is not a fault: an edit of the catalogue must not
//! stop a contract that runs. Called by `terms` and `overrides`.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::v1alpha1::{
    ContractService, Parameter, Revision, SecretParameter, SmartService, ValueType,
};

use super::{Fault, unsupported};
use crate::parameter::{Constraints, canonical, parse_value};

/// The parameters of one entry, each read once.
#[derive(Clone, Debug)]
pub(super) struct Parameters<'a> {
    entry: &'a ContractService,
    service: &'a SmartService,
    chosen: BTreeMap<&'a str, Reading>,
    defaults: BTreeMap<&'a str, Reading>,
}

/// A text of a spec as it was read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// The canonical text; a text that cannot be read stays as it was written.
    pub(super) text: String,
    /// The message of the fault, if the catalogue of today does not allow it.
    refused: Option<String>,
    /// True if the catalogue knows the parameter, and so its type.
    is_known: bool,
}

impl Reading {
    /// Reads a text; `place` names it if it is refused. A text that the constraints of today refuse
    /// is read by its type alone, since it may have been signed before them.
    fn new(place: &str, raw: &str, parameter: &Parameter) -> Self {
        let read = |constraints| parse_value(place, raw, parameter.r#type, &constraints);
        let (value, refused) = match read(Constraints::of_parameter(parameter)) {
            Ok(value) => (Some(value), None),
            Err(error) => (read(Constraints::none()).ok(), Some(error.to_string())),
        };
        Self {
            text: value.as_ref().map_or_else(|| raw.to_owned(), canonical),
            refused,
            is_known: true,
        }
    }

    /// Returns the fault of the value; none if one of these revisions has signed it.
    pub(super) fn fault(&self, parameter: &str, signed: &[&Revision]) -> Option<Fault> {
        let refused = self.refused.as_ref()?;
        let is_signed = signed.iter().any(|signed| {
            let before = signed.parameters.get(parameter);
            before.is_some_and(|before| self.says(before))
        });
        (!is_signed).then(|| unsupported(refused.clone()))
    }

    /// True if this is the signed value. If the catalogue no longer has the parameter, its type is
    /// not known either; the order of words then makes no difference.
    fn says(&self, signed: &str) -> bool {
        let words = |text: &str| -> BTreeSet<String> {
            text.split(',').map(|word| word.trim().to_owned()).collect()
        };
        if self.is_known {
            self.text == signed
        } else {
            words(&self.text) == words(signed)
        }
    }
}

impl<'a> Parameters<'a> {
    /// Reads the values that an entry chooses and the defaults of its service.
    pub(super) fn new(entry: &'a ContractService, service: &'a SmartService) -> Self {
        let chosen = chosen(entry, service, &entry.parameters, "parameters");
        let definitions = service.spec.parameters.iter();
        let defaults = definitions.filter_map(|parameter| {
            let service = &entry.service_ref.name;
            let place = place(entry, "parameters", &parameter.name);
            let place = format!("{place} must be set: the default of SmartService {service}");
            let reading = Reading::new(&place, parameter.default.as_ref()?, parameter);
            Some((parameter.name.as_str(), reading))
        });
        Self {
            entry,
            service,
            chosen,
            defaults: defaults.collect(),
        }
    }

    /// Returns the values of a device by name, and the names of those that the contract does not
    /// choose. `overridden` are in place of those of the entry; `signed` is the last revision of the
    /// subscription with the same service.
    pub(super) fn values(
        &self,
        overridden: &BTreeMap<&str, &Reading>,
        signed: Option<&Revision>,
    ) -> (BTreeMap<String, String>, Vec<String>) {
        let defaults = self.defaults.iter();
        let mut values: BTreeMap<String, String> = defaults
            .map(|(name, default)| ((*name).to_owned(), default.text.clone()))
            .collect();
        for name in signed.iter().flat_map(|signed| &signed.defaulted) {
            if let Some(value) = signed.and_then(|signed| signed.parameters.get(name)) {
                values.insert(name.clone(), value.clone());
            }
        }
        let mut chosen: BTreeMap<&str, &Reading> = self
            .chosen
            .iter()
            .map(|(name, reading)| (*name, reading))
            .collect();
        chosen.extend(overridden);
        let names = values.keys();
        let defaulted = names.filter(|name| !chosen.contains_key(name.as_str()));
        let defaulted = defaulted.cloned().collect();
        for (name, reading) in chosen {
            let before = signed.and_then(|signed| signed.parameters.get(name));
            let same = before.filter(|before| reading.says(before));
            values.insert(name.to_owned(), same.unwrap_or(&reading.text).clone());
        }
        (values, defaulted)
    }

    /// Returns the parameters that are refused; `signed` are the last revisions of the subscriptions
    /// of the entry.
    pub(super) fn faults(&self, signed: &[&Revision]) -> Vec<Fault> {
        let chosen = self.chosen.iter();
        let chosen = chosen.filter_map(|(name, reading)| reading.fault(name, signed));
        let mut faults: Vec<Fault> = chosen.collect();
        faults.extend(self.secret_faults());
        // Values that a running entry does not choose were signed, or it never needed them.
        if signed.is_empty() {
            faults.extend(self.missing_faults());
        }
        faults
    }

    /// Refuses Secrets for parameters of another type: their values would be shown.
    fn secret_faults(&self) -> Vec<Fault> {
        let fault = |secret: &SecretParameter| {
            let (entry, name) = (&self.entry.name, &secret.name);
            let place = format!("spec.services[{entry}].secretParameters[{name}]");
            let mut parameters = self.service.spec.parameters.iter();
            let Some(parameter) = parameters.find(|parameter| parameter.name == *name) else {
                let message = unknown_parameter(&place, self.service);
                return Some(unsupported(message));
            };
            (parameter.r#type != ValueType::Secret).then(|| {
                unsupported(format!(
                    "{place}: the parameter is of type {:?}: must be one of type Secret; set it \
                     in parameters",
                    parameter.r#type
                ))
            })
        };
        let secrets = self.entry.secret_parameters.iter();
        secrets.filter_map(fault).collect()
    }

    /// Refuses to leave out a parameter that has no usable default.
    fn missing_faults(&self) -> Vec<Fault> {
        let service = &self.entry.service_ref.name;
        let fault = |parameter: &Parameter| {
            let name = &parameter.name;
            if parameter.r#type == ValueType::Secret {
                return Some(format!(
                    "spec.services[{}].secretParameters must name a Secret for the parameter \
                     {name} of SmartService {service}",
                    self.entry.name
                ));
            }
            match self.defaults.get(name.as_str()) {
                Some(default) => default.refused.clone(),
                None => Some(format!(
                    "{} must be set: SmartService {service} has no default for it",
                    place(self.entry, "parameters", name)
                )),
            }
        };
        let missing = self.service.spec.parameters.iter();
        let missing = missing.filter(|parameter| !self.is_given(&parameter.name));
        missing.filter_map(fault).map(unsupported).collect()
    }

    fn is_given(&self, parameter: &str) -> bool {
        let mut secrets = self.entry.secret_parameters.iter();
        self.chosen.contains_key(parameter) || secrets.any(|secret| secret.name == parameter)
    }
}

/// Reads values that an entry chooses in the field `field` of it.
pub(super) fn chosen<'a>(
    entry: &ContractService,
    service: &SmartService,
    values: &'a BTreeMap<String, String>,
    field: &str,
) -> BTreeMap<&'a str, Reading> {
    let chosen = values.iter().map(|(name, raw)| {
        let place = place(entry, field, name);
        let mut definitions = service.spec.parameters.iter();
        let definition = definitions.find(|parameter| parameter.name == *name);
        let reading = definition.map_or_else(
            || Reading {
                text: raw.clone(),
                refused: Some(unknown_parameter(&place, service)),
                is_known: false,
            },
            |parameter| Reading::new(&place, raw, parameter),
        );
        (name.as_str(), reading)
    });
    chosen.collect()
}

/// Returns the place in the spec at which an entry chooses a parameter.
fn place(entry: &ContractService, field: &str, parameter: &str) -> String {
    format!("spec.services[{}].{field}.{parameter}", entry.name)
}

/// Returns the fault of a parameter that a service does not have.
pub(super) fn unknown_parameter(place: &str, service: &SmartService) -> String {
    let parameters = service.spec.parameters.iter();
    let mut names: Vec<&str> = parameters.map(|it| it.name.as_str()).collect();
    names.sort_unstable();
    let name = service.metadata.name.as_deref().unwrap_or_default();
    if names.is_empty() {
        return format!("{place}: SmartService {name} has no parameters");
    }
    format!(
        "{place}: the parameters of SmartService {name} are {}",
        names.join(", ")
    )
}
