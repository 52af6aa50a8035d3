//! Two models of device with the same settings under other names and in other syntaxes.

use super::super::catalogue::{WEEKDAYS, setting};
use super::super::strings;
use crate::v1alpha1::{
    DeviceModel, DeviceModelSpec, DeviceSetting, IdentitySource, IppIdentity, IppSyntax, ValueType,
};

/// Names and syntaxes of a maker's settings.
struct Maker {
    name: &'static str,
    /// Beginning of the names of all its attributes.
    prefix: &'static str,
    /// Syntax in which its devices take an address.
    url: IppSyntax,
    /// Syntax in which its devices take the mode of a backup.
    mode: IppSyntax,
}

const NORTHWIND: Maker = Maker {
    name: "Northwind",
    prefix: "nw",
    url: IppSyntax::Text,
    mode: IppSyntax::Keyword,
};

const SOUTHWIND: Maker = Maker {
    name: "Southwind",
    prefix: "sw",
    url: IppSyntax::Uri,
    mode: IppSyntax::Name,
};

/// A multifunction device that can do all example services.
pub fn mfp_700() -> DeviceModel {
    let mut settings = NORTHWIND.common();
    settings.extend(NORTHWIND.cloud());
    NORTHWIND.model("mfp-700", "Northwind MFP 700", settings)
}

/// A smaller device of another maker, which keeps no documents: all but the document cloud.
pub fn mfp_320() -> DeviceModel {
    SOUTHWIND.model("mfp-320", "Southwind MFP 320", SOUTHWIND.common())
}

impl Maker {
    fn model(&self, name: &str, product: &str, settings: Vec<DeviceSetting>) -> DeviceModel {
        DeviceModel::new(
            name,
            DeviceModelSpec {
                manufacturer: self.name.to_owned(),
                product_names: strings(&[product]),
                identity: Some(IdentitySource {
                    ipp: Some(IppIdentity {
                        attribute: "printer-uuid".to_owned(),
                    }),
                    ..IdentitySource::default()
                }),
                settings,
                ..DeviceModelSpec::default()
            },
        )
    }

    /// The settings of the services that every device of the maker can do.
    fn common(&self) -> Vec<DeviceSetting> {
        let mut settings = vec![
            self.switch("backup.enabled"),
            self.address("backup.endpoint"),
            self.number("backup.period-hours", "hours", 8_760),
            DeviceSetting {
                allowed: strings(&WEEKDAYS),
                ..self.setting("backup.weekdays", ValueType::KeywordSet, IppSyntax::Keyword)
            },
            DeviceSetting {
                allowed: strings(&["full", "differential"]),
                ..self.setting("backup.mode", ValueType::Keyword, self.mode)
            },
        ];
        settings.extend(
            [
                "alert.enabled",
                "alert.drum",
                "alert.fuser",
                "alert.feeder",
                "supplies.enabled",
                "prediction.enabled",
                "usage.enabled",
            ]
            .map(|name| self.switch(name)),
        );
        settings.extend([
            self.number("alert.threshold", "percent", 100),
            self.number("supplies.threshold", "percent", 100),
            self.number("prediction.days-ahead", "days", 30),
            self.word("maintenance.access", &["none", "diagnose", "repair"]),
            self.word("usage.period", &["daily", "weekly", "monthly"]),
            // The device sets it by itself: the result of its last backup.
            self.word("backup.last-run", &["never", "running", "ok", "failed"]),
        ]);
        settings
    }

    /// The settings of the document cloud.
    fn cloud(&self) -> Vec<DeviceSetting> {
        vec![
            self.switch("cloud.enabled"),
            self.address("cloud.endpoint"),
            self.switch("cloud.automatic-backup"),
            self.word("cloud.deletion", &["never", "after-backup"]),
        ]
    }

    fn switch(&self, name: &str) -> DeviceSetting {
        self.setting(name, ValueType::Boolean, IppSyntax::Boolean)
    }

    fn address(&self, name: &str) -> DeviceSetting {
        DeviceSetting {
            max_length: Some(255),
            ..self.setting(name, ValueType::String, self.url)
        }
    }

    fn word(&self, name: &str, allowed: &[&str]) -> DeviceSetting {
        DeviceSetting {
            allowed: strings(allowed),
            ..self.setting(name, ValueType::Keyword, IppSyntax::Keyword)
        }
    }

    fn number(&self, name: &str, unit: &str, maximum: i64) -> DeviceSetting {
        DeviceSetting {
            minimum: Some(1),
            maximum: Some(maximum),
            unit: Some(unit.to_owned()),
            ..self.setting(name, ValueType::Integer, IppSyntax::Integer)
        }
    }

    /// Returns a setting whose attribute has the maker's prefix: `backup.mode` is `nw-backup-mode`.
    fn setting(&self, name: &str, kind: ValueType, syntax: IppSyntax) -> DeviceSetting {
        let attribute = format!("{}-{}", self.prefix, name.replace('.', "-"));
        setting(kind, (name, &attribute, syntax))
    }
}
