//! Resolve, server side: the values of the parameters and their places (RFC 6901).

use entente_crds::{
    item_key::ItemKey,
    v1alpha1::{ServerSetting, SmartService, ValueType},
};
use serde_json::Value as Json;

use crate::{
    delivery::{
        Blocked, ServerValue,
        resolve::values::{RawValue, Values, typed},
    },
    parameter::Constraints,
    remote::Value,
};

/// A setting on the service server with its value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolvedSetting {
    /// The key of the item.
    pub key: ItemKey,
    /// Place in the parameters as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// True if the server never tells it.
    pub write_only: bool,
    /// The value.
    pub value: ServerValue,
}

pub(super) fn server_setting(
    service: &SmartService,
    setting: &ServerSetting,
    values: &Values<'_>,
) -> Result<Option<ResolvedSetting>, Blocked> {
    let key = ItemKey::server_setting(&setting.name);
    let given = values.value(
        key.as_str(),
        setting.value.as_ref(),
        setting.value_from.as_ref(),
        setting.when.as_ref(),
        setting.otherwise.as_ref(),
    )?;
    let Some(given) = given else { return Ok(None) };
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
    let otherwise = match &given {
        RawValue::Secret(_) => ValueType::Secret,
        RawValue::Plain(_) => ValueType::String,
    };
    let r#type = setting.r#type.or(from_parameter).unwrap_or(otherwise);
    let value = typed(&setting.name, given, r#type, &Constraints::none())?;
    Ok(Some(ResolvedSetting {
        key,
        pointer: pointer_of(setting.pointer.as_deref(), &setting.name),
        write_only: setting.write_only,
        value: json(value),
    }))
}

pub(super) fn pointer_of(pointer: Option<&str>, name: &str) -> String {
    pointer.map_or_else(
        || format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        str::to_owned,
    )
}

fn json(value: Value) -> ServerValue {
    ServerValue::Open(match value {
        Value::Secret(text) => return ServerValue::Secret(text),
        Value::Text(text) => Json::String(text),
        Value::Integer(number) => Json::from(number),
        Value::Boolean(truth) => Json::Bool(truth),
        Value::Words(words) => Json::from(words.into_iter().collect::<Vec<_>>()),
    })
}

pub(super) fn literal(text: &str) -> Json {
    match text {
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        other => Json::String(other.to_owned()),
    }
}
