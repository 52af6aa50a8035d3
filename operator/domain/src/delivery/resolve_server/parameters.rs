//! Resolve, server side: the JSON of the parameters, from texts and pointers (RFC 6901).

use entente_crds::{
    condition::Reason,
    v1alpha1::{ServerSetting, SmartService, ValueType},
};
use serde_json::{Map, Value as Json};

use crate::{
    delivery::{resolved::Blocked, settings::Values},
    exchange::Value,
    parameter::{Constraints, parse_value},
};

pub(super) fn server_setting(
    service: &SmartService,
    setting: &ServerSetting,
    values: &Values<'_>,
) -> Result<Option<(String, String, Json)>, Blocked> {
    let key = format!("ServerSetting/{}", setting.name);
    let text = values.of(
        &key,
        setting.value.as_ref(),
        setting.value_from.as_ref(),
        setting.when.as_ref(),
        setting.otherwise.as_ref(),
    )?;
    let Some(text) = text else { return Ok(None) };
    let from_parameter = setting
        .value_from
        .as_ref()
        .and_then(|source| source.parameter.as_ref())
        .and_then(|name| {
            service
                .spec
                .parameters
                .iter()
                .find(|entry| entry.name == *name)
        })
        .map(|parameter| parameter.r#type);
    let r#type = setting
        .r#type
        .or(from_parameter)
        .unwrap_or(ValueType::String);
    let value = parse_value(&setting.name, &text, r#type, &Constraints::none())
        .map_err(|error| Blocked::new(Reason::UnsupportedValue, error.to_string()))?;
    Ok(Some((
        key,
        pointer_of(setting.pointer.as_deref(), &setting.name),
        json(value),
    )))
}

pub(super) fn pointer_of(pointer: Option<&str>, name: &str) -> String {
    pointer.map_or_else(
        || format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        str::to_owned,
    )
}

fn json(value: Value) -> Json {
    match value {
        Value::Text(text) => Json::String(text),
        Value::Integer(number) => Json::from(number),
        Value::Boolean(truth) => Json::Bool(truth),
        Value::Words(words) => Json::from(words.into_iter().collect::<Vec<_>>()),
    }
}

pub(super) fn literal(text: &str) -> Json {
    match text {
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        other => Json::String(other.to_owned()),
    }
}

pub(super) fn insert(parameters: &mut Map<String, Json>, pointer: &str, value: Json) {
    let mut path: Vec<String> = pointer
        .split('/')
        .skip(1)
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
        .collect();
    let Some(last) = path.pop() else { return };
    let mut object = parameters;
    for token in path {
        let entry = object
            .entry(token)
            .or_insert_with(|| Json::Object(Map::new()));
        if !entry.is_object() {
            *entry = Json::Object(Map::new());
        }
        let Some(next) = entry.as_object_mut() else {
            return;
        };
        object = next;
    }
    object.insert(last, value);
}
