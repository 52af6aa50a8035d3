//! Software that runs on the device, and software that is installed and waits for a restart.
//!
//! Decides what a restart makes of it, and remembers which actions are over, so that an action that is
//! offered again is answered again and never installed twice. The version that is reported is the one
//! that runs. Kept in `software.json`; used by the loop of `run` and by `ddi`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::Software;

/// Most actions that are remembered.
const MOST: usize = 32;

/// Software of the device.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Installed {
    /// Software that runs.
    pub running: Vec<Software>,
    /// Software that is installed and waits for a restart.
    pub staged: Option<Staged>,
    /// Actions that are over, the latest last.
    pub over: Vec<Over>,
    /// Last restart, by the gateway's clock.
    pub restarted: Option<Timestamp>,
}

/// Software that is installed and waits for a restart.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Staged {
    /// The software; there is some.
    pub software: Vec<Waiting>,
}

/// A piece of software that waits for a restart.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Waiting {
    /// Number of its action; empty in a file of before, which the next run restarts anyway.
    #[serde(default)]
    pub action: String,
    /// The software.
    #[serde(flatten)]
    pub software: Software,
}

/// An action that is over.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Over {
    /// Its number.
    pub action: String,
    /// True if it was installed.
    pub success: bool,
    /// One sentence.
    pub detail: String,
}

impl Installed {
    /// Returns the result of an action that is over.
    pub fn over(&self, action: &str) -> Option<&Over> {
        self.over.iter().rev().find(|over| over.action == action)
    }

    /// True if all of the software runs.
    pub fn runs(&self, software: &[Software]) -> bool {
        software.iter().all(|wanted| self.running.contains(wanted))
    }

    /// Installs: it is in effect after the next restart.
    pub fn stage(&mut self, action: &str, software: Vec<Software>) {
        // Software of another action, for another name, goes on waiting.
        let mut all = self.waiting();
        all.retain(|old| !software.iter().any(|new| new.is_same(&old.software)));
        all.extend(software.into_iter().map(|software| Waiting {
            action: action.to_owned(),
            software,
        }));
        self.wait(all);
    }

    /// Takes out what waits for a restart.
    fn waiting(&mut self) -> Vec<Waiting> {
        self.staged
            .take()
            .map_or(Vec::new(), |staged| staged.software)
    }

    /// Lets software wait for a restart, if there is some.
    fn wait(&mut self, software: Vec<Waiting>) {
        self.staged = (!software.is_empty()).then_some(Staged { software });
    }

    /// Ends an action.
    pub fn end(&mut self, action: &str, success: bool, detail: &str) -> Over {
        let over = Over {
            action: action.to_owned(),
            success,
            detail: detail.to_owned(),
        };
        self.over.retain(|old| old.action != action);
        self.over.push(over.clone());
        let excess = self.over.len().saturating_sub(MOST);
        self.over.drain(..excess);
        over
    }

    /// Takes back what an action installed, if that does not run yet.
    pub fn take_back(&mut self, action: &str) -> bool {
        let mut all = self.waiting();
        let before = all.len();
        all.retain(|one| one.action != action);
        let is_taken = all.len() < before;
        self.wait(all);
        is_taken
    }

    /// Restarts: what was installed runs, unless the device `lies`.
    pub fn restart(&mut self, now: Timestamp, lies: bool) {
        self.restarted = Some(now);
        let waiting = self.waiting();
        if lies || waiting.is_empty() {
            return;
        }
        for Waiting { software: new, .. } in waiting {
            match self.running.iter_mut().find(|old| old.is_same(&new)) {
                Some(old) => *old = new,
                None => self.running.push(new),
            }
        }
        self.running.sort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn software(part: &str, name: &str, version: &str) -> Software {
        Software {
            part: part.into(),
            name: name.into(),
            version: version.into(),
        }
    }

    fn now() -> Timestamp {
        "2027-03-31T14:00:00Z".parse().unwrap()
    }

    #[test]
    fn what_is_installed_runs_after_the_restart_only() {
        let mut installed = Installed {
            running: vec![software("firmware", "main", "4.1.0")],
            ..Installed::default()
        };
        let new = vec![software("firmware", "main", "4.2.0")];
        installed.stage("12", new.clone());
        assert!(!installed.runs(&new));
        installed.restart(now(), false);
        assert_eq!(installed.running, new);
        assert_eq!((installed.staged, installed.restarted), (None, Some(now())));
    }

    /// Versions that run after a restart.
    fn versions(mut installed: Installed) -> Vec<String> {
        installed.restart(now(), false);
        installed
            .running
            .into_iter()
            .map(|one| one.version)
            .collect()
    }

    #[test]
    fn two_actions_before_one_restart_are_both_in_effect_after_it() {
        let mut installed = Installed::default();
        installed.stage("12", vec![software("firmware", "main", "4.2.0")]);
        installed.stage("13", vec![software("application", "backup-agent", "2.1.0")]);
        installed.stage("14", vec![software("application", "backup-agent", "2.2.0")]);
        assert_eq!(versions(installed.clone()), ["2.2.0", "4.2.0"]);
        // A cancellation takes back what is of its action, and nothing else.
        for (action, rest) in [("12", "2.2.0"), ("14", "4.2.0")] {
            let mut installed = installed.clone();
            assert!(installed.take_back(action), "{action}");
            assert!(!installed.take_back(action), "{action}");
            assert_eq!(versions(installed), [rest]);
        }
        assert!(installed.take_back("12") && installed.take_back("14"));
        assert_eq!(installed.staged, None);
    }

    #[test]
    fn a_file_of_before_without_the_action_of_each_piece_is_read() {
        let text = r#"{"running": [], "over": [], "restarted": null, "staged": {"action": "12",
            "software": [{"part": "firmware", "name": "main", "version": "4.2.0"}]}}"#;
        let installed: Installed = serde_json::from_str(text).unwrap();
        assert_eq!(versions(installed), ["4.2.0"]);
    }

    #[test]
    fn a_device_that_lies_runs_what_it_ran() {
        let old = vec![software("firmware", "main", "4.1.0")];
        let mut installed = Installed {
            running: old.clone(),
            ..Installed::default()
        };
        installed.stage("12", vec![software("firmware", "main", "4.2.0")]);
        installed.restart(now(), true);
        assert_eq!(installed.running, old);
        assert!(installed.restarted.is_some());
    }

    #[test]
    fn only_the_latest_actions_are_remembered() {
        let mut installed = Installed::default();
        for action in 1..=40 {
            installed.end(&action.to_string(), true, "installed");
        }
        assert_eq!(installed.over.len(), MOST);
        assert!(installed.over("40").is_some() && installed.over("1").is_none());
    }
}
