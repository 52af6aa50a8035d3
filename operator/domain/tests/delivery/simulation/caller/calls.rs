//! One call of the machine: it reads its twin, does what it is commanded, and reports.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::SoftwarePart;
use entente_domain::{
    gateway::{
        admission,
        credential::Standing,
        ddi::{Controller, offer},
        poll::Rhythm,
        reported::{Report, is_wanted_secret},
        twin,
    },
    secret::SecretText,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Caller, Held, Simulation};

/// Conduct of a machine in a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Conduct {
    /// Takes and installs everything, and reports it.
    Good,
    /// Reads its twin, and says nothing.
    Silent,
    /// Leaves one of the wanted settings as it is.
    Leaves(usize),
    /// Refuses one of them, for this reason.
    Refuses(usize, &'static str),
    /// Reports everything, and not which version it has read.
    Vague,
    /// Begins the installation, and does not end it.
    Begins,
    /// Says that the installation is done, and starts again later.
    SaysDone,
    /// Says that it is done, starts again, and has the version from before.
    FallsBack,
    /// Cannot make the installation.
    Fails,
}

/// A document as the machine read it.
struct Document {
    version: i64,
    wanted: BTreeMap<String, Held>,
    next: Option<(Timestamp, BTreeMap<String, Held>)>,
}

/// Returns the software of a machine as a report has it.
pub(super) fn software(caller: &Caller) -> impl Iterator<Item = Value> + '_ {
    caller.software.iter().map(|((part, name), version)| {
        let part = match part {
            SoftwarePart::Firmware => "firmware",
            SoftwarePart::Application => "application",
        };
        json!({"part": part, "name": name, "version": version})
    })
}

impl Simulation {
    /// The machine calls. It registers first if it has no credential, and nothing happens after its
    /// owner has withdrawn the consent.
    pub(crate) fn call(&mut self, conduct: &Conduct) {
        let Some(twin) = self.snapshot.twin.clone() else {
            return;
        };
        let status = twin.status.as_ref();
        if status.is_none_or(|status| status.registration.is_none()) {
            self.register();
        }
        if !self.consents() {
            return;
        }
        self.is_heard();
        self.start_again();
        let document = self.document();
        let refused = self.take(&document, conduct);
        self.install(conduct);
        if *conduct != Conduct::Silent {
            self.report_of_the_machine(&document, refused.as_ref(), conduct);
        }
    }

    fn is_heard(&mut self) {
        let twin = self.snapshot.twin.clone().expect("there is a twin");
        let mut connections = self.snapshot.connections.values();
        let agent = connections.find_map(|it| it.spec.agent.as_ref());
        let rhythm = Rhythm::of(agent.expect("the gateway"));
        let after = admission::after_call(&twin, Standing::Current, rhythm, self.now);
        if let Some(status) = after {
            self.gateway_writes(status);
        }
    }

    /// Puts into effect what waits for a restart, and what is due by its own clock.
    fn start_again(&mut self) {
        let now = self.now;
        let caller = self.caller_mut();
        let due = std::mem::take(&mut caller.after_restart);
        let done = caller.installing.take_if(|it| it.is_done);
        if done.is_some() || !due.is_empty() {
            caller.restarted = Some(now + caller.clock_off);
        }
        caller.values.extend(due);
        caller
            .software
            .extend(done.map(|it| (it.piece, it.version)));
        if let Some((_, due)) = caller.next.take_if(|(at, _)| *at <= now) {
            caller.values.extend(due);
        }
    }

    fn document(&mut self) -> Document {
        let twin = self.snapshot.twin.clone().expect("there is a twin");
        let twin = &*twin;
        let secrets = &self.snapshot.secrets.0;
        let digest_of = |reference: &_| Some(secrets.get(reference)?.as_ref().ok()?.digest());
        if let Some(status) = twin::after_giving(twin, twin::version(twin), digest_of) {
            self.gateway_writes(status);
        }
        let secrets = &self.snapshot.secrets.0;
        let read = |reference: &_| {
            secrets
                .get(reference)?
                .as_ref()
                .ok()
                .map(SecretText::expose)
        };
        let body = twin::body(twin, read, "PT1H");
        let held = |settings: &Value| {
            let settings = settings.as_object().cloned().unwrap_or_default();
            let settings = settings.into_iter().filter_map(|(name, value)| {
                let is_secret = value["secret"] == true;
                // A secret without its value is the one that the machine has.
                let text = value["value"].as_str()?.to_owned();
                let held = Held {
                    text,
                    by: "Server",
                    is_secret,
                };
                Some((name, held))
            });
            settings.collect::<BTreeMap<String, Held>>()
        };
        let next = &body["desired"]["next"];
        let at = next["effective"].as_str().and_then(|at| at.parse().ok());
        Document {
            version: body["version"].as_i64().expect("a number"),
            wanted: held(&body["desired"]["settings"]),
            next: at.map(|at| (at, held(&next["settings"]))),
        }
    }

    /// Takes the settings of a document; returns the one that is refused, with the reason.
    fn take(&mut self, document: &Document, conduct: &Conduct) -> Option<(String, &'static str)> {
        let count = document.wanted.len().max(1);
        let caller = self.caller_mut();
        caller.next.clone_from(&document.next);
        let mut refused = None;
        for (number, (name, wanted)) in document.wanted.iter().enumerate() {
            let is_left = match conduct {
                Conduct::Leaves(left) => left % count == number,
                Conduct::Refuses(left, reason) if left % count == number => {
                    refused = Some((name.clone(), *reason));
                    true
                }
                _ => false,
            };
            if is_left {
                // The secret of this version is not the one in effect.
                if let Some(held) = caller.values.get_mut(name).filter(|it| it.is_secret) {
                    held.by = "Panel";
                }
            } else if name == "cloud.enabled" && caller.values.get(name) != Some(wanted) {
                caller.after_restart.insert(name.clone(), wanted.clone());
            } else {
                caller.values.insert(name.clone(), wanted.clone());
            }
        }
        refused
    }

    fn install(&mut self, conduct: &Conduct) {
        let twin = self.snapshot.twin.clone().expect("there is a twin");
        let name = ("acme", "lobby");
        let all = Controller::of(name, name).expect("its own path");
        let offer = offer(&twin, all, self.now);
        if let Some(stop) = offer.cancel {
            self.end_installation(stop);
        }
        if let Some(installation) = offer.installation {
            self.begin_installation(installation, all, conduct);
        }
    }

    fn report_of_the_machine(
        &mut self,
        document: &Document,
        refused: Option<&(String, &'static str)>,
        conduct: &Conduct,
    ) {
        let twin = self.snapshot.twin.clone().expect("there is a twin");
        let is_secret = |name: &str| is_wanted_secret(&twin, name) || name.starts_with("scan.");
        let caller = self.caller();
        let reported = twin.status.as_ref().and_then(|it| it.reported.as_ref());
        let known = reported.into_iter().flat_map(|it| &it.settings);
        let mut settings: Map<String, Value> =
            known.map(|it| (it.name.to_string(), Value::Null)).collect();
        let mut said = BTreeMap::new();
        // It never tells its password.
        let told = caller
            .values
            .iter()
            .filter(|(name, _)| *name != "scan.password");
        for (name, held) in told {
            let value = if is_secret(name) {
                json!({"secret": true, "by": held.by})
            } else {
                json!({"value": held.text, "by": held.by})
            };
            settings.insert(name.clone(), value);
            if !is_secret(name) || held.by == "Server" {
                said.insert(name.clone(), held.text.clone());
            }
        }
        let refusals = refused.iter();
        let refusals: Vec<Value> = refusals
            .map(|(key, reason)| json!({"key": key, "reason": reason, "detail": "no"}))
            .collect();
        let mut body = json!({"settings": settings, "refused": refusals});
        if *conduct != Conduct::SaysDone {
            body["software"] = software(caller).collect();
            body["restarted"] = json!(caller.restarted);
        }
        let is_vague = *conduct == Conduct::Vague;
        if !is_vague {
            body["desiredVersion"] = json!(document.version);
        }
        let report = Report::read(&body).expect("a good report");
        let status = report.apply(&twin, is_secret, self.now);
        self.gateway_writes(status.expect("it is taken"));
        let noted = reported.and_then(|it| it.version);
        let takes_note = !is_vague || noted == Some(document.version);
        let caller = self.caller_mut();
        caller.said.settings = said;
        caller.said.has_settings = true;
        if *conduct != Conduct::SaysDone {
            caller.said.software.clone_from(&caller.software);
        }
        let wanted = document.wanted.iter().filter(|_| takes_note);
        for (name, held) in wanted {
            if refused.is_none_or(|(key, _)| key != name) {
                let noted = caller.said.noted.entry(name.clone()).or_default();
                noted.insert(held.text.clone());
            }
        }
    }
}
