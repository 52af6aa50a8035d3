//! Abilities of the device, against the needs of a service (requirement C14).
//!
//! Decides what the device lacks, in the words that the gateway is told. A device that was not told what
//! it can do can do everything. Used before the gateway is told of a service.

use std::cmp::Ordering;

use crate::api::{Requires, Software};

/// Most words about one service that the gateway accepts.
const MOST: usize = 16;
/// Most characters of one of them.
const LONGEST: usize = 127;

/// Abilities of a device.
#[derive(Clone, Copy, Debug)]
pub struct Abilities<'a> {
    /// Kinds of data that it can send; none for all.
    pub data_types: Option<&'a [String]>,
    /// Part numbers of the supplies that it can use; none for all.
    pub supplies: Option<&'a [String]>,
    /// True if it installs what is missing.
    pub installs: bool,
    /// Software that runs.
    pub running: &'a [Software],
}

impl Abilities<'_> {
    /// True if the device can send a kind of data.
    pub fn sends(&self, data_type: &str) -> bool {
        has(self.data_types, data_type)
    }

    /// Returns the needs of a service that the device does not meet, each in a few words.
    pub fn lacks(&self, needs: &Requires) -> Vec<String> {
        let kinds = needs.data_types.iter().filter(|kind| !self.sends(kind));
        let kinds = kinds.map(|kind| format!("cannot send data of the kind {kind}"));
        let supplies = needs.supplies.iter();
        let supplies = supplies
            .filter(|supply| !has(self.supplies, supply))
            .map(|supply| format!("cannot use the supply {supply}"));
        let software = needs.software.iter();
        let software = software
            .filter(|needed| !self.installs && !self.runs(&needed.name, &needed.minimum_version))
            .map(|needed| {
                let (name, version) = (&needed.name, &needed.minimum_version);
                format!("cannot install the application {name} {version}")
            });
        let words = kinds.chain(supplies).chain(software).take(MOST);
        words
            .map(|words| words.chars().take(LONGEST).collect())
            .collect()
    }

    fn runs(&self, application: &str, version: &str) -> bool {
        let mut running = self.running.iter();
        running.any(|software| {
            software.part == "application"
                && software.name == application
                && suffices(&software.version, version)
        })
    }
}

fn has(able: Option<&[String]>, needed: &str) -> bool {
    able.is_none_or(|able| able.iter().any(|one| one == needed))
}

/// True if a version is at least another one: by numbers between dots, and where there are other
/// characters only if it is the same.
fn suffices(version: &str, least: &str) -> bool {
    let fields = |text: &str| -> Option<Vec<u64>> {
        text.split('.').map(|field| field.parse().ok()).collect()
    };
    match (fields(version), fields(least)) {
        (Some(mut version), Some(mut least)) => {
            let length = version.len().max(least.len());
            version.resize(length, 0);
            least.resize(length, 0);
            version.cmp(&least) != Ordering::Less
        }
        _ => version == least,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::MinimumSoftware;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn needs() -> Requires {
        Requires {
            supplies: names(&["TN-500K", "TN-500C"]),
            software: vec![MinimumSoftware {
                name: "backup-agent".into(),
                minimum_version: "2.1.0".into(),
            }],
            data_types: names(&["supplies.level"]),
        }
    }

    // shows C14
    #[test]
    fn a_device_lacks_what_it_was_told_that_it_cannot_do() {
        let (kinds, supplies) = (names(&["counters.total"]), names(&["TN-500K"]));
        let able = Abilities {
            data_types: Some(&kinds),
            supplies: Some(&supplies),
            installs: false,
            running: &[],
        };
        assert_eq!(
            able.lacks(&needs()),
            [
                "cannot send data of the kind supplies.level",
                "cannot use the supply TN-500C",
                "cannot install the application backup-agent 2.1.0"
            ]
        );
        assert!(able.sends("counters.total") && !able.sends("supplies.level"));
    }

    #[test]
    fn a_device_that_was_told_nothing_can_do_everything() {
        let able = Abilities {
            data_types: None,
            supplies: None,
            installs: true,
            running: &[],
        };
        assert_eq!(able.lacks(&needs()), [""; 0]);
        // One that can do nothing is another one than one that was told nothing.
        let none = Abilities {
            supplies: Some(&[]),
            ..able
        };
        assert_eq!(none.lacks(&needs()).len(), 2);
    }

    #[test]
    fn an_application_that_runs_need_not_be_installed() {
        for (version, is_enough) in [
            ("2.1.0", true),
            ("2.1", true),
            ("2.10", true),
            ("3", true),
            ("2.0.9", false),
            ("2.1.0-beta", false),
        ] {
            let running = [Software {
                part: "application".into(),
                name: "backup-agent".into(),
                version: version.into(),
            }];
            let able = Abilities {
                data_types: None,
                supplies: None,
                installs: false,
                running: &running,
            };
            assert_eq!(able.lacks(&needs()).is_empty(), is_enough, "{version}");
        }
    }

    #[test]
    fn words_are_as_short_and_as_few_as_the_gateway_accepts() {
        let able = Abilities {
            data_types: Some(&[]),
            supplies: Some(&[]),
            installs: true,
            running: &[],
        };
        let many = Requires {
            supplies: (0..40).map(|at| format!("{at:0>200}")).collect(),
            ..Requires::default()
        };
        let lacks = able.lacks(&many);
        assert_eq!(lacks.len(), MOST);
        assert!(lacks.iter().all(|words| words.chars().count() == LONGEST));
    }
}
