//! Keys of items of a subscription, such as "DeviceSetting/backup.weekdays".
//!
//! Decides the text of a key and the step that it belongs to; no other code takes a key apart.

use std::{borrow::Cow, fmt, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

use crate::{
    shared::shared,
    v1alpha1::{SoftwarePart, StepType},
};

/// The key of an item: its kind, and its name if there are several of that kind. Keys are ordered
/// as texts.
///
/// A text of no known kind is a key as well: a later version may have written it, and it does not
/// prevent its object from being read.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ItemKey(Arc<str>);

/// Kind of an item.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ItemKind {
    /// A setting of the device.
    DeviceSetting,
    /// The instance on the service server exists.
    ServerInstance,
    /// A setting on the service server.
    ServerSetting,
    /// The service is turned on.
    Activation,
    /// The device reports that the service works.
    Acceptance,
    /// Firmware of the device.
    Firmware,
    /// An application on the device.
    Application,
    /// A kind of data that the device sends.
    DataType,
}

impl ItemKind {
    const ALL: [Self; 8] = [
        Self::DeviceSetting,
        Self::ServerInstance,
        Self::ServerSetting,
        Self::Activation,
        Self::Acceptance,
        Self::Firmware,
        Self::Application,
        Self::DataType,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::DeviceSetting => "DeviceSetting",
            Self::ServerInstance => "ServerInstance",
            Self::ServerSetting => "ServerSetting",
            Self::Activation => "Activation",
            Self::Acceptance => "Acceptance",
            Self::Firmware => "Firmware",
            Self::Application => "Application",
            Self::DataType => "DataType",
        }
    }

    /// True if it is an item of the device, and not of the service server.
    pub fn is_on_device(self) -> bool {
        match self {
            Self::DeviceSetting
            | Self::Acceptance
            | Self::Firmware
            | Self::Application
            | Self::DataType => true,
            Self::ServerInstance | Self::ServerSetting | Self::Activation => false,
        }
    }

    /// True if it is something that the device has, and not only says.
    pub fn stays_with_the_device(self) -> bool {
        self.is_on_device() && self != Self::Acceptance
    }

    /// Returns the step that items of this kind belong to.
    pub fn step(self) -> StepType {
        match self {
            Self::DeviceSetting => StepType::DeviceSettings,
            Self::ServerInstance | Self::ServerSetting => StepType::ServerSettings,
            Self::Activation => StepType::Activation,
            Self::Acceptance => StepType::Acceptance,
            Self::Firmware => StepType::Firmware,
            Self::Application => StepType::Applications,
            Self::DataType => StepType::DataTypes,
        }
    }
}

impl ItemKey {
    /// Returns the key of a setting of the device.
    pub fn device_setting(name: &str) -> Self {
        Self::named(ItemKind::DeviceSetting, name)
    }

    /// Returns the key of the instance on the service server, of which there is one.
    pub fn server_instance() -> Self {
        ItemKind::ServerInstance.as_str().into()
    }

    /// Returns the key of a setting on the service server.
    pub fn server_setting(name: &str) -> Self {
        Self::named(ItemKind::ServerSetting, name)
    }

    /// Returns the key of the item that turns the service on.
    pub fn activation(name: &str) -> Self {
        Self::named(ItemKind::Activation, name)
    }

    /// Returns the key of the check that the service works, by a setting of the device.
    pub fn acceptance(setting: &str) -> Self {
        Self::named(ItemKind::Acceptance, setting)
    }

    /// Returns the key of a piece of software on the device.
    pub fn software(part: SoftwarePart, name: &str) -> Self {
        match part {
            SoftwarePart::Firmware => Self::named(ItemKind::Firmware, name),
            SoftwarePart::Application => Self::named(ItemKind::Application, name),
        }
    }

    /// Returns the key of a kind of data that the device sends.
    pub fn data_type(name: &str) -> Self {
        Self::named(ItemKind::DataType, name)
    }

    fn named(kind: ItemKind, name: &str) -> Self {
        format!("{}/{name}", kind.as_str()).as_str().into()
    }

    /// Returns the kind of the item; `None` if the text has no known one.
    pub fn kind(&self) -> Option<ItemKind> {
        let kind = self.0.split('/').next()?;
        let mut all = ItemKind::ALL.into_iter();
        all.find(|known| known.as_str() == kind)
    }

    /// Returns the name of the item among those of its kind; `None` if there is one of that kind.
    pub fn name(&self) -> Option<&str> {
        Some(self.0.split_once('/')?.1)
    }

    /// Returns the key as it is written in a status.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Takes any text; equal ones share one place in memory.
impl From<&str> for ItemKey {
    fn from(text: &str) -> Self {
        Self(shared(text))
    }
}

impl fmt::Display for ItemKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl fmt::Debug for ItemKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl PartialEq<str> for ItemKey {
    fn eq(&self, text: &str) -> bool {
        *self.0 == *text
    }
}

impl PartialEq<&str> for ItemKey {
    fn eq(&self, text: &&str) -> bool {
        *self.0 == **text
    }
}

impl Serialize for ItemKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ItemKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = ItemKey;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the key of an item")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ItemKey, E> {
        Ok(text.into())
    }
}

impl JsonSchema for ItemKey {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ItemKey".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_its_kind_and_is_written_back_byte_for_byte() {
        for (key, text, kind) in [
            (
                ItemKey::device_setting("backup.mode"),
                "DeviceSetting/backup.mode",
                Some(ItemKind::DeviceSetting),
            ),
            (
                ItemKey::server_instance(),
                "ServerInstance",
                Some(ItemKind::ServerInstance),
            ),
            (
                ItemKey::server_setting("a/b"),
                "ServerSetting/a/b",
                Some(ItemKind::ServerSetting),
            ),
            (
                ItemKey::activation("on"),
                "Activation/on",
                Some(ItemKind::Activation),
            ),
            (
                ItemKey::acceptance("backup.lastRun"),
                "Acceptance/backup.lastRun",
                Some(ItemKind::Acceptance),
            ),
            (
                ItemKey::software(SoftwarePart::Firmware, "main"),
                "Firmware/main",
                Some(ItemKind::Firmware),
            ),
            (
                ItemKey::software(SoftwarePart::Application, "backup-agent"),
                "Application/backup-agent",
                Some(ItemKind::Application),
            ),
            ("Toner/black".into(), "Toner/black", None),
            ("".into(), "", None),
        ] {
            let stored = serde_json::json!(text);
            let field: ItemKey = serde_json::from_value(stored.clone()).expect("it is a text");
            assert_eq!((&field, field.kind()), (&key, kind));
            assert_eq!(field.to_string(), text);
            assert_eq!(serde_json::to_value(field).expect("it is a text"), stored);
        }
    }

    #[test]
    fn equal_keys_share_one_place_in_memory() {
        let one: ItemKey = "DeviceSetting/shared".into();
        let other: ItemKey = serde_json::from_str("\"DeviceSetting/shared\"").expect("a text");
        assert!(Arc::ptr_eq(&one.0, &other.0));
    }
}
