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
    /// Number of the action.
    pub action: String,
    /// The software.
    pub software: Vec<Software>,
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
        let mut all = self
            .staged
            .take()
            .map_or(Vec::new(), |staged| staged.software);
        all.retain(|old| {
            !software
                .iter()
                .any(|new| (&new.part, &new.name) == (&old.part, &old.name))
        });
        all.extend(software);
        self.staged = Some(Staged {
            action: action.to_owned(),
            software: all,
        });
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
        let is_staged = self
            .staged
            .as_ref()
            .is_some_and(|staged| staged.action == action);
        if is_staged {
            self.staged = None;
        }
        is_staged
    }

    /// Restarts: what was installed runs, unless the device `lies`.
    pub fn restart(&mut self, now: Timestamp, lies: bool) {
        self.restarted = Some(now);
        let Some(staged) = self.staged.take().filter(|_| !lies) else {
            return;
        };
        for new in staged.software {
            let same = |old: &&mut Software| (&old.part, &old.name) == (&new.part, &new.name);
            match self.running.iter_mut().find(same) {
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

    #[test]
    fn two_actions_before_one_restart_are_both_in_effect_after_it() {
        let mut installed = Installed::default();
        installed.stage("12", vec![software("firmware", "main", "4.2.0")]);
        installed.stage("13", vec![software("application", "backup-agent", "2.1.0")]);
        installed.stage("14", vec![software("application", "backup-agent", "2.2.0")]);
        installed.restart(now(), false);
        let versions: Vec<&str> = installed.running.iter().map(|one| &*one.version).collect();
        assert_eq!(versions, ["2.2.0", "4.2.0"]);
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
