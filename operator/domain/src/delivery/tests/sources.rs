//! Tests of the sources of values and of the items of a device: facts, Secrets, types and models.

use std::sync::Arc;

use entente_crds::{
    condition::Reason,
    example,
    v1alpha1::{
        ContractFact, DeviceFact, SecretKeyReference, SecretParameter, ServiceModel,
        ServiceSubscription, SmartService, ValueSource, ValueType,
    },
};

use crate::{
    delivery::{
        Blocked, DeviceSnapshot, ResolvedItem, Wanted,
        resolve::values::{RawValue, Values, device_items, typed},
    },
    parameter::Constraints,
    remote::Value,
    secret::{DigestKey, SecretText},
};

/// A device of the examples with everything that its service names.
struct Case {
    snapshot: DeviceSnapshot,
    subscription: ServiceSubscription,
    service: SmartService,
}

impl Case {
    fn new() -> Self {
        let connection = example::hq_ipp();
        let snapshot = DeviceSnapshot {
            device_name: example::DEVICES[0].to_owned(),
            device: Some(Arc::new(example::devices()[0].clone())),
            model: Some(Arc::new(example::mfp_500())),
            connections: [("hq-ipp".into(), Arc::new(connection))].into(),
            ..DeviceSnapshot::default()
        };
        Self {
            snapshot,
            subscription: example::service_subscription(),
            service: example::data_backup(),
        }
    }

    fn values(&self) -> Values<'_> {
        let revision = &self.subscription.spec.revisions[0];
        Values::new(&self.snapshot, &self.subscription, revision)
    }

    /// Returns the text of a source, or the reason and the message of what blocks it.
    fn of(&self, source: &ValueSource) -> Result<String, (Reason, String)> {
        let found = self
            .values()
            .value("report", None, Some(source), None, None);
        match found {
            Ok(Some(RawValue::Plain(text))) => Ok(text),
            Ok(Some(RawValue::Secret(text))) => Ok(format!("secret {}", text.expose())),
            Ok(None) => Ok("nothing".to_owned()),
            Err(blocked) => Err((blocked.reason, blocked.message)),
        }
    }

    fn items(&self) -> Result<Vec<ResolvedItem>, Blocked> {
        device_items(&self.snapshot, &self.service, &self.values())
    }

    /// Returns the reason that keeps every item of the device back.
    fn refused(&self) -> Reason {
        self.items().expect_err("it is refused").reason
    }

    fn device(&mut self) -> &mut entente_crds::v1alpha1::Device {
        Arc::make_mut(self.snapshot.device.as_mut().expect("a device"))
    }

    fn model(&mut self) -> &mut entente_crds::v1alpha1::DeviceModel {
        Arc::make_mut(self.snapshot.model.as_mut().expect("a model"))
    }
}

fn of_device(fact: DeviceFact) -> ValueSource {
    ValueSource {
        device: Some(fact),
        ..ValueSource::default()
    }
}

fn of_contract(fact: ContractFact) -> ValueSource {
    ValueSource {
        contract: Some(fact),
        ..ValueSource::default()
    }
}

fn of_parameter(name: &str) -> ValueSource {
    ValueSource {
        parameter: Some(name.to_owned()),
        ..ValueSource::default()
    }
}

// shows B5
#[test]
fn facts_of_device_and_contract_are_those_of_their_objects() {
    let mut case = Case::new();
    for (source, text) in [
        (of_device(DeviceFact::Name), "lobby-mfp"),
        (of_device(DeviceFact::SerialNumber), "NW500-0001"),
        (of_device(DeviceFact::Model), "mfp-500"),
        (of_device(DeviceFact::TimeZone), "America/Sao_Paulo"),
        (of_contract(ContractFact::Name), "banco-sul-2027"),
        (of_contract(ContractFact::CustomerID), "C-4711"),
    ] {
        assert_eq!(case.of(&source).as_deref(), Ok(text));
    }
    case.device().spec.time_zone = Some("America/Manaus".to_owned());
    let zone = of_device(DeviceFact::TimeZone);
    assert_eq!(case.of(&zone).as_deref(), Ok("America/Manaus"));
    case.device().spec.time_zone = Some("Asia/Tokio".to_owned());
    let unknown = "spec.timeZone of the Device lobby-mfp: time zone \"Asia/Tokio\" is unknown: must \
                   be a name of the time zone database such as \"America/Sao_Paulo\" or \"UTC\"";
    let expected = Err((Reason::UnknownZone, unknown.to_owned()));
    assert_eq!(case.of(&zone), expected);
    case.device().spec.time_zone = None;
    // A device without a zone is where its contract is.
    assert_eq!(case.of(&zone).as_deref(), Ok("America/Sao_Paulo"));
}

// shows B5 K2
#[test]
fn a_fact_of_a_device_that_does_not_exist_is_waited_for_and_its_name_is_known_all_the_same() {
    let mut case = Case::new();
    case.snapshot.device = None;
    let name = case.of(&of_device(DeviceFact::Name));
    assert_eq!(name.as_deref(), Ok("lobby-mfp"));
    for fact in [
        DeviceFact::SerialNumber,
        DeviceFact::Model,
        DeviceFact::TimeZone,
    ] {
        let missing = "the Device lobby-mfp does not exist; create it".to_owned();
        let found = case.of(&of_device(fact));
        assert_eq!(found, Err((Reason::DeviceNotFound, missing)));
    }
    let of_contract = case.of(&of_contract(ContractFact::CustomerID));
    assert_eq!(of_contract.as_deref(), Ok("C-4711"));
}

// shows B5
#[test]
fn a_parameter_without_a_value_is_named_and_nothing_is_made_up_for_it() {
    let case = Case::new();
    let (reason, message) = case.of(&of_parameter("folder")).expect_err("it has none");
    assert_eq!(reason, Reason::UnsupportedValue);
    assert!(
        message.contains("report") && message.contains("folder"),
        "{message}"
    );
    let nothing = case.values().value("report", None, None, None, None);
    assert!(matches!(nothing, Ok(None)));
}

// shows K2 K4
#[test]
fn a_secret_is_what_was_read_of_it_or_why_it_was_not() {
    let mut case = Case::new();
    let reference = SecretKeyReference {
        name: "login".to_owned(),
        key: "token".to_owned(),
    };
    Arc::make_mut(&mut case.subscription.spec.revisions[0]).secret_parameters =
        vec![SecretParameter {
            name: "account".to_owned(),
            secret_key_ref: reference.clone(),
        }];
    let source = of_parameter("account");
    let unread = "the Secret login was not read yet".to_owned();
    assert_eq!(case.of(&source), Err((Reason::SecretNotFound, unread)));
    let key = DigestKey::new(vec![7; 32]);
    let read = [
        Ok(SecretText::new("hunter-two".to_owned(), &key)),
        Err((Reason::SecretForbidden, "it may not be read".to_owned())),
    ];
    let said = [
        Ok("secret hunter-two".to_owned()),
        Err((Reason::SecretForbidden, "it may not be read".to_owned())),
    ];
    for (read, said) in read.into_iter().zip(said) {
        case.snapshot.secrets.0.insert(reference.clone(), read);
        assert_eq!(case.of(&source), said);
    }
}

// shows K4
#[test]
fn a_secret_goes_into_a_setting_of_type_secret_only_and_no_message_repeats_it() {
    let key = DigestKey::new(vec![7; 32]);
    let secret = || RawValue::Secret(SecretText::new("hunter-two".to_owned(), &key));
    for kind in [
        ValueType::String,
        ValueType::Integer,
        ValueType::Boolean,
        ValueType::Keyword,
        ValueType::KeywordSet,
    ] {
        let refused = typed("login", secret(), kind, &Constraints::none());
        let refused = refused.expect_err("everybody could read it");
        assert_eq!(refused.reason, Reason::UnsupportedValue);
        assert!(!refused.message.contains("hunter"), "{}", refused.message);
    }
    let taken = typed("login", secret(), ValueType::Secret, &Constraints::none());
    assert!(matches!(taken, Ok(Value::Secret(text)) if text.expose() == "hunter-two"));
    let short = Constraints {
        max_length: Some(4),
        ..Constraints::none()
    };
    let refused = typed("login", secret(), ValueType::Secret, &short);
    let refused = refused.expect_err("it is too long");
    assert!(!refused.message.contains("hunter"), "{}", refused.message);
}

// shows K4
#[test]
fn a_text_of_the_catalogue_in_a_secret_setting_is_kept_out_of_messages_like_a_secret() {
    let plain = RawValue::Plain("factory-pin".to_owned());
    let taken = typed("pin", plain, ValueType::Secret, &Constraints::none());
    let Ok(Value::Secret(text)) = taken else {
        panic!("it is secret: {taken:?}");
    };
    assert_eq!(text.expose(), "factory-pin");
    assert!(!format!("{text:?}").contains("factory"));
}

// shows B5
#[test]
fn the_items_of_a_device_are_the_settings_of_its_service_in_their_order() {
    let case = Case::new();
    let items = case.items().expect("everything is there");
    let keys: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "DeviceSetting/backup.endpoint",
            "DeviceSetting/backup.weekdays",
            "DeviceSetting/backup.mode",
        ]
    );
    let value = |index: usize| match &items[index].wanted {
        Wanted::DeviceSetting { value, .. } => value.clone(),
        other => panic!("no setting of a device: {other:?}"),
    };
    let words = ["sun", "wed"].map(str::to_owned);
    assert_eq!(value(1), Value::Words(words.into()));
    assert_eq!(value(2), Value::Text("differential".to_owned()), "mapped");
    let mut only_server = case.service.clone();
    only_server.spec.device = None;
    let none = device_items(&case.snapshot, &only_server, &case.values());
    assert_eq!(none, Ok(Vec::new()));
}

// shows B5
#[test]
fn another_value_and_another_way_to_carry_it_give_another_digest_and_nothing_else_does() {
    let mut case = Case::new();
    let digests = |case: &Case| {
        let items = case.items().expect("everything is there");
        items.iter().map(|item| item.digest).collect::<Vec<_>>()
    };
    let before = digests(&case);
    case.device().spec.serial_number = "another".to_owned();
    case.service.spec.description = None;
    assert_eq!(digests(&case), before);
    let parameters = &mut Arc::make_mut(&mut case.subscription.spec.revisions[0]).parameters;
    parameters.insert("weekdays".to_owned(), "mon".to_owned());
    let after = digests(&case);
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    assert_ne!(after[1], before[1]);
    let ipp = case.model().spec.settings[2].via.ipp.as_mut();
    ipp.expect("IPP").attribute = "nw-backup-kind".to_owned();
    assert_ne!(digests(&case)[2], before[2]);
}

// shows K2
#[test]
fn whatever_a_device_lacks_is_said_by_its_own_reason() {
    let mut case = Case::new();
    case.snapshot.device = None;
    assert_eq!(case.refused(), Reason::DeviceNotFound);

    let mut case = Case::new();
    case.snapshot.model = None;
    assert_eq!(case.refused(), Reason::ModelNotFound);

    let mut case = Case::new();
    let models = &mut case.service.spec.device.as_mut().expect("a side").models;
    *models = vec![ServiceModel {
        name: "mfp-900".to_owned(),
        ..ServiceModel::default()
    }];
    assert_eq!(
        case.items().expect_err("another model").message,
        "DeviceModel mfp-500 is not among device.models of SmartService data-backup"
    );
    assert_eq!(case.refused(), Reason::UnsupportedByModel);
    let models = &mut case.service.spec.device.as_mut().expect("a side").models;
    models.clear();
    assert!(case.items().is_ok(), "no model is asked for");

    let mut case = Case::new();
    case.model()
        .spec
        .settings
        .retain(|it| it.name != "backup.mode");
    assert_eq!(
        case.items().expect_err("a setting is missing").message,
        "DeviceModel mfp-500 has no setting backup.mode, which SmartService data-backup configures"
    );
    assert_eq!(case.refused(), Reason::UnsupportedByModel);

    let mut case = Case::new();
    case.model().spec.settings[0].via.ipp = None;
    let refused = case.items().expect_err("there is no way to set it");
    assert_eq!(refused.reason, Reason::UnsupportedByModel);
    assert!(
        refused.message.contains("backup.endpoint"),
        "{}",
        refused.message
    );

    let mut case = Case::new();
    case.snapshot.connections.clear();
    assert_eq!(case.refused(), Reason::UnsupportedByModel);

    let mut case = Case::new();
    case.model().spec.settings[1].allowed = vec!["mon".to_owned()];
    assert_eq!(case.refused(), Reason::UnsupportedValue);
}
