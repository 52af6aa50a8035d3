//! Tests of the parameters of an entry: chosen, signed, defaulted, secret or missing.

use entente_crds::v1alpha1::{Revision, SecretKeyReference, SecretParameter};

use super::super::parameters::Parameters;
use super::*;

fn secret(name: &str) -> SecretParameter {
    SecretParameter {
        name: name.to_owned(),
        secret_key_ref: SecretKeyReference {
            name: "login".to_owned(),
            key: "token".to_owned(),
        },
    }
}

/// The service of the tests with a parameter of type Secret and one without a default.
fn with_more() -> SmartService {
    let mut service = service("backup-service");
    let more = [
        ("account", ValueType::Secret),
        ("folder", ValueType::String),
    ];
    let more = more.map(|(name, r#type)| Parameter {
        name: name.to_owned(),
        r#type,
        ..Parameter::default()
    });
    service.spec.parameters.extend(more);
    service
}

fn choosing(parameters: &[(&str, &str)], secrets: &[&str]) -> ContractService {
    let mut entry = entry("backup", "backup-service", &[]);
    entry.parameters = texts(parameters);
    entry.secret_parameters = secrets.iter().map(|name| secret(name)).collect();
    entry
}

fn signed(parameters: &[(&str, &str)], defaulted: &[&str]) -> Revision {
    Revision {
        parameters: texts(parameters),
        defaulted: defaulted.iter().map(|name| (*name).to_owned()).collect(),
        ..Revision::default()
    }
}

fn faults(
    entry: &ContractService,
    service: &SmartService,
    signed: Option<&Revision>,
) -> Vec<String> {
    let faults = Parameters::new(entry, service).faults(signed.as_slice());
    faults.into_iter().map(|fault| fault.message).collect()
}

fn values(entry: &ContractService, service: &SmartService, signed: Option<&Revision>) -> String {
    let (values, defaulted) = Parameters::new(entry, service).values(&BTreeMap::new(), signed);
    let shown = values.iter().map(|(name, value)| {
        let mark = if defaulted.contains(name) { "*" } else { "" };
        format!("{name}{mark}={value}")
    });
    shown.collect::<Vec<_>>().join(" ")
}

// shows B5
#[test]
fn values_are_chosen_in_their_canonical_text_or_defaults_of_the_catalogue() {
    let service = service("backup-service");
    for (chosen, wanted) in [
        (&[][..], "threshold*=20 weekdays*=sun"),
        (&[("threshold", "007")], "threshold=7 weekdays*=sun"),
        (
            &[("weekdays", " wed ,mon")],
            "threshold*=20 weekdays=mon,wed",
        ),
    ] {
        assert_eq!(values(&choosing(chosen, &[]), &service, None), wanted);
    }
}

// shows B5
#[test]
fn a_default_that_was_signed_stays_when_the_catalogue_has_another_one() {
    let mut service = service("backup-service");
    service.spec.parameters[1].default = Some("30".to_owned());
    let before = signed(
        &[("threshold", "20"), ("weekdays", "sun")],
        &["threshold", "weekdays"],
    );
    let entry = choosing(&[], &[]);
    let kept = "threshold*=20 weekdays*=sun";
    assert_eq!(values(&entry, &service, Some(&before)), kept);
    // One that the contract had chosen and no longer does is the catalogue's of today.
    let chosen = signed(&[("threshold", "15"), ("weekdays", "sun")], &["weekdays"]);
    let anew = "threshold*=30 weekdays*=sun";
    assert_eq!(values(&entry, &service, Some(&chosen)), anew);
}

// shows B5
#[test]
fn a_value_that_was_signed_is_no_fault_though_the_catalogue_refuses_it_today() {
    let mut service = service("backup-service");
    service.spec.parameters[1].maximum = Some(10);
    let entry = choosing(&[("threshold", "15")], &[]);
    let before = signed(&[("threshold", "15"), ("weekdays", "sun")], &["weekdays"]);
    assert_eq!(faults(&entry, &service, Some(&before)), [""; 0]);
    let another = signed(&[("threshold", "14"), ("weekdays", "sun")], &["weekdays"]);
    let refused = "spec.services[backup].parameters.threshold is \"15\": must be a whole number \
                   from 1 to 10";
    assert_eq!(faults(&entry, &service, Some(&another)), [refused]);
    assert!(faults(&entry, &service, None).contains(&refused.to_owned()));
}

// shows B5
#[test]
fn of_a_parameter_that_is_gone_the_order_of_words_makes_no_difference() {
    let mut service = service("backup-service");
    service.spec.parameters.remove(0);
    let entry = choosing(&[("weekdays", "wed, mon")], &[]);
    let before = signed(
        &[("threshold", "20"), ("weekdays", "mon,wed")],
        &["threshold"],
    );
    assert_eq!(faults(&entry, &service, Some(&before)), [""; 0]);
    let kept = "threshold*=20 weekdays=mon,wed";
    assert_eq!(values(&entry, &service, Some(&before)), kept);
    let unknown = "spec.services[backup].parameters.weekdays: the parameters of SmartService \
                   backup-service are threshold";
    assert_eq!(faults(&entry, &service, None), [unknown]);
    service.spec.parameters.clear();
    let none = "spec.services[backup].parameters.weekdays: SmartService backup-service has no \
                parameters";
    assert_eq!(faults(&entry, &service, None), [none]);
}

// shows B5 K4
#[test]
fn a_secret_is_asked_for_where_a_parameter_is_one_and_refused_where_it_is_none() {
    let service = with_more();
    let folder = ("folder", "daily");
    let missing = "spec.services[backup].secretParameters must name a Secret for the parameter \
                   account of SmartService backup-service";
    assert_eq!(faults(&choosing(&[folder], &[]), &service, None), [missing]);
    assert_eq!(
        faults(&choosing(&[folder], &["account"]), &service, None),
        [""; 0]
    );
    let shown = "spec.services[backup].secretParameters[folder]: the parameter is of type String: \
                 must be one of type Secret; set it in parameters";
    let entry = choosing(&[], &["account", "folder"]);
    assert_eq!(faults(&entry, &service, None), [shown]);
    let unknown = "spec.services[backup].secretParameters[login]: the parameters of SmartService \
                   backup-service are account, folder, threshold, weekdays";
    let entry = choosing(&[folder], &["account", "login"]);
    assert_eq!(faults(&entry, &service, None), [unknown]);
}

// shows B5 K4
#[test]
fn a_secret_that_is_written_as_a_text_is_refused_and_not_repeated() {
    let entry = choosing(&[("account", "hunter-two"), ("folder", "daily")], &[]);
    let faults = faults(&entry, &with_more(), None);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(!faults[0].contains("hunter"), "{faults:?}");
    assert!(faults[0].contains("secretParameters"), "{faults:?}");
}

// shows B5
#[test]
fn a_parameter_without_a_default_has_to_be_set_by_who_begins_and_not_by_who_runs() {
    let service = with_more();
    let entry = choosing(&[], &["account"]);
    let missing = "spec.services[backup].parameters.folder must be set: SmartService \
                   backup-service has no default for it";
    assert_eq!(faults(&entry, &service, None), [missing]);
    assert_eq!(faults(&entry, &service, Some(&signed(&[], &[]))), [""; 0]);
}

// shows B5
#[test]
fn a_default_that_the_catalogue_itself_refuses_has_to_be_replaced() {
    let mut service = service("backup-service");
    service.spec.parameters[1].default = Some("200".to_owned());
    let faults = |entry: &ContractService| faults(entry, &service, None);
    let refused = faults(&choosing(&[], &[]));
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0].contains("must be set: the default"),
        "{refused:?}"
    );
    assert_eq!(faults(&choosing(&[("threshold", "20")], &[])), [""; 0]);
}
