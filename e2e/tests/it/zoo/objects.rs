//! The objects around a broker of the zoo: a service with two settings and an activation, as a row
//! changes it.

use entente_crds::v1alpha1::{SecretKeyReference, SecretParameter, SmartServiceSpec};
use entente_simulators::zoo::{Given, Row, merge};
use serde_json::{Value, json};

/// The parameter whose value is a secret.
const PASSWORD: &str = "password";

/// Returns the service of a row, behind a Connection.
pub(super) fn service(row: &Row, connection: &str) -> SmartServiceSpec {
    let setting = |name: &str| json!({ "name": name, "valueFrom": { "parameter": name } });
    let mut settings = vec![setting("size"), setting("weekdays")];
    let mut parameters = vec![
        json!({ "name": "size", "type": "Integer", "default": "15" }),
        json!({ "name": "weekdays", "type": "KeywordSet", "default": "Mon,Wed" }),
    ];
    if row.setup.secret.is_some() {
        parameters.push(json!({ "name": PASSWORD, "type": "Secret" }));
        let mut password = setting(PASSWORD);
        password["writeOnly"] = json!(true);
        settings.push(password);
    }
    let mut server = json!({
        "connectionRef": { "name": connection },
        "offering": "zoo",
        "plan": "standard",
        "settings": settings,
        "activation": { "name": "enabled", "active": "true", "inactive": "false" },
    });
    if let Some(members) = &row.setup.service {
        merge(&mut server, &Value::Object(members.clone()));
    }
    let spec = json!({
        "provider": "Zoo",
        "parameters": parameters,
        "server": server,
        "stepTimeout": "240h",
    });
    serde_json::from_value(spec).unwrap()
}

/// Returns the reference to the secret of a row.
pub(super) fn secret_reference() -> SecretKeyReference {
    SecretKeyReference {
        name: "zoo".to_owned(),
        key: "value".to_owned(),
    }
}

/// Returns the secret parameters of a row.
pub(super) fn secret_parameters(row: &Row) -> Vec<SecretParameter> {
    let parameter = SecretParameter {
        name: PASSWORD.to_owned(),
        secret_key_ref: secret_reference(),
    };
    row.setup.secret.iter().map(|_| parameter.clone()).collect()
}

/// True if the broker of a row does not answer some request.
pub(super) fn is_silent(row: &Row) -> bool {
    let is_silent = |given: &Given| matches!(given, Given::Hang | Given::WellLate(_));
    row.rules.iter().any(|rule| match &rule.given {
        Given::WellThen(then) => is_silent(then),
        given => is_silent(given),
    })
}
