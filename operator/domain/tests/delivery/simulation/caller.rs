//! A device that calls, and its gateway: that of the product, without HTTP.
//!
//! The machine does in each call what the test commands. What it said is kept beside the twin, so that
//! the operator is judged by other words than its own.

mod calls;
mod installing;

pub(crate) use self::calls::Conduct;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use entente_crds::v1alpha1::{
    ConsentRule, DeviceEnrollment, DeviceTwin, DeviceTwinStatus, SoftwarePart,
};
use entente_domain::{
    delivery::{
        Action, Answer, Pass,
        twin::{TwinChange, new_twin, reading, wanted_spec},
    },
    gateway::registration::{Issue, Scene, Verdict, judge},
    gateway::{admission, request::Request},
    remote::{Failure, FailureKind, Value},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::Simulation;

/// A part of the software of a machine.
pub(crate) type Piece = (SoftwarePart, String);

/// A value in the machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Held {
    pub(super) text: String,
    /// Source of it, in the words of the API.
    pub(super) by: &'static str,
    pub(super) is_secret: bool,
}

/// An installation that the machine has begun and not finished.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Installing {
    pub(super) action: i64,
    pub(super) piece: Piece,
    pub(super) version: String,
    /// True once it only has to start again.
    pub(super) is_done: bool,
}

/// Last words of a machine, as far as it has not taken them back.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// Values by the device's own names; a secret is the one that it means.
    pub(super) settings: BTreeMap<String, String>,
    pub(super) software: BTreeMap<Piece, String>,
    /// True if it has said since its registration which settings it has.
    pub(super) has_settings: bool,
    /// Values of documents of which it took note, apart from those that it refused.
    pub(super) noted: BTreeMap<String, BTreeSet<String>>,
}

/// A simulated device that calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    pub(super) values: BTreeMap<String, Held>,
    /// Values that are in effect after the next restart.
    pub(super) after_restart: BTreeMap<String, Held>,
    pub(super) software: BTreeMap<Piece, String>,
    pub(super) installing: Option<Installing>,
    /// The last restart, by its own clock.
    pub(super) restarted: Option<Timestamp>,
    /// The change that the machine makes by itself, with its instant.
    pub(super) next: Option<(Timestamp, BTreeMap<String, Held>)>,
    pub(super) said: Said,
    /// Difference of its clock to that of the gateway.
    pub(crate) clock_off: SignedDuration,
    /// Writes of the twin that fail.
    pub(crate) unwritable: u32,
    /// Writes of the twin by the operator.
    pub(crate) written: usize,
    /// Files by the number of the action that asked for them.
    asked: BTreeMap<i64, String>,
}

impl Caller {
    /// Returns a machine as it comes from the factory.
    pub(crate) fn new() -> Self {
        let values = [("backup.endpoint", ""), ("backup.weekdays", "Sat")];
        let values = values.map(|(name, value)| {
            let held = Held {
                text: value.to_owned(),
                by: "Default",
                is_secret: false,
            };
            (name.to_owned(), held)
        });
        let main = (SoftwarePart::Firmware, "main".to_owned());
        Self {
            values: values.into(),
            software: [(main, "4.1.0".to_owned())].into(),
            ..Self::default()
        }
    }

    /// True if the machine said that it has a value.
    pub(crate) fn said_value(&self, key: &str, value: &Value) -> bool {
        let said = self.said.settings.get(key);
        match value {
            Value::Secret(secret) => said.is_some_and(|it| it == secret.expose()),
            other => said == other.text().as_ref(),
        }
    }

    /// True if the machine once took note of a value that it never tells.
    pub(super) fn noted_value(&self, key: &str, value: &Value) -> bool {
        let text = match value {
            Value::Secret(secret) => Some(secret.expose().to_owned()),
            other => other.text(),
        };
        let noted = self.said.noted.get(key);
        noted
            .zip(text)
            .is_some_and(|(noted, it)| noted.contains(&it))
    }

    /// True if the machine said that it runs a version, or a newer one.
    pub(super) fn said_version(&self, piece: &Piece, minimum: &str) -> bool {
        self.said
            .software
            .get(piece)
            .is_some_and(|said| is_at_least(said, minimum))
    }

    /// True if the machine has a value, whatever it says.
    pub(crate) fn has_value(&self, key: &str, value: &Value) -> bool {
        let held = self.values.get(key).map(|held| held.text.as_str());
        match value {
            Value::Secret(secret) => held == Some(secret.expose()),
            other => held == other.text().as_deref(),
        }
    }

    /// True if the machine runs a version, or a newer one, whatever it says.
    pub(crate) fn runs(&self, piece: &Piece, minimum: &str) -> bool {
        self.software
            .get(piece)
            .is_some_and(|it| is_at_least(it, minimum))
    }

    /// A person sets a value at the panel.
    pub(crate) fn set_at_the_panel(&mut self, key: &str, text: &str) {
        let held = Held {
            text: text.to_owned(),
            by: "Panel",
            is_secret: self.values.get(key).is_some_and(|it| it.is_secret),
        };
        self.values.insert(key.to_owned(), held);
    }

    /// The machine is as it came from the factory, but for its firmware, its credential and its clock.
    pub(crate) fn reset(&mut self) {
        let fresh = Self::new();
        self.values = fresh.values;
        self.after_restart.clear();
        self.next = None;
        self.software
            .retain(|(part, _), _| *part == SoftwarePart::Firmware);
    }

    /// Another firmware runs, whoever installed it.
    pub(crate) fn run_firmware(&mut self, version: &str) {
        let main = (SoftwarePart::Firmware, "main".to_owned());
        self.software.insert(main, version.to_owned());
    }
}

/// Compares versions number by number; false for a text that is none.
fn is_at_least(one: &str, other: &str) -> bool {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        let mut numbers: Vec<u64> = text
            .split('.')
            .map(|it| it.parse().ok())
            .collect::<Option<_>>()?;
        numbers.resize(8, 0);
        Some(numbers)
    };
    numbers(one)
        .zip(numbers(other))
        .is_some_and(|(one, other)| one >= other)
}

impl Simulation {
    pub(crate) fn caller(&self) -> &Caller {
        self.caller.as_ref().expect("the device calls")
    }

    pub(crate) fn caller_mut(&mut self) -> &mut Caller {
        self.caller.as_mut().expect("the device calls")
    }

    /// Reads the twin, which is no request.
    pub(super) fn read_twin(&mut self, connection: &str) -> Answer {
        let snapshot = &self.snapshot;
        let agent = snapshot.connections[connection].spec.agent.as_ref();
        let device = snapshot.device.as_ref().expect("there is a device");
        let model = snapshot.model.as_ref().map(|model| &model.spec);
        let secrets = (agent.expect("the gateway"), &snapshot.secrets);
        Answer::DeviceRead {
            result: reading(snapshot.twin.as_deref(), device, model, secrets, self.now),
            claimed_by_another: None,
        }
    }

    /// Writes the half of the twin that is the operator's.
    pub(super) fn write_twin(&mut self, action: &Action, pass: &Pass) -> Answer {
        if self.caller().unwritable > 0 {
            self.caller_mut().unwritable -= 1;
            let failure = Failure::new(FailureKind::ProtocolError, "the API server is away");
            return Answer::TwinWritten(Err(failure));
        }
        let change = TwinChange::of(action).expect("a change of the twin");
        let device = self.snapshot.device.clone().expect("there is a device");
        let before = self.snapshot.twin.clone();
        let secrets = &pass.snapshot().secrets;
        let spec = wanted_spec(before.as_deref(), &device, change, secrets);
        assert!(
            before.as_ref().is_none_or(|it| it.spec != spec),
            "a write of the twin changes nothing: {action:?}\n{}",
            self.story()
        );
        let mut twin = before.as_deref().cloned().unwrap_or_else(|| {
            let mut new = new_twin(&device, spec.clone());
            new.metadata.generation = Some(0);
            new
        });
        twin.metadata.generation = twin.metadata.generation.map(|it| it + 1);
        twin.spec = spec;
        self.check_settings(before.as_deref(), &twin);
        self.check_deployment(before.as_deref(), &twin);
        self.caller_mut().written += 1;
        // Through JSON, as the API server does it.
        let json = serde_json::to_value(&twin).expect("a twin is JSON");
        let twin: DeviceTwin = serde_json::from_value(json).expect("and is read back");
        let twin = Arc::new(twin);
        self.snapshot.twin = Some(Arc::clone(&twin));
        Answer::TwinWritten(Ok(twin))
    }

    /// Checks that nothing is wanted anew of a machine that has not said yet what it has.
    fn check_settings(&self, before: Option<&DeviceTwin>, after: &DeviceTwin) {
        let names = |twin: &DeviceTwin| -> BTreeSet<String> {
            let next = twin.spec.next.iter().flat_map(|next| &next.settings);
            let all = twin.spec.settings.iter().chain(next);
            all.map(|setting| setting.name.clone()).collect()
        };
        let known = before.map(names).unwrap_or_default();
        let mut added = names(after)
            .into_iter()
            .filter(|name| !known.contains(name));
        assert!(
            self.caller().said.has_settings || added.next().is_none(),
            "a machine that has reported no setting is asked for some\n{}",
            self.story()
        );
    }

    /// Checks that a number of an action is never used for another file, and that nothing is asked for
    /// beside what the machine has begun, but for its end.
    fn check_deployment(&mut self, before: Option<&DeviceTwin>, after: &DeviceTwin) {
        let Some(asked) = &after.spec.deployment else {
            return;
        };
        let newest = before.and_then(|it| it.spec.deployment.as_ref());
        let newest = newest.map_or(0, |it| it.action);
        let file = serde_json::json!([asked.name, asked.version, asked.artifact]).to_string();
        let story = self.story();
        let caller = self.caller_mut();
        assert!(asked.action >= newest, "{asked:?} after {newest}\n{story}");
        let known = caller
            .asked
            .entry(asked.action)
            .or_insert_with(|| file.clone());
        assert_eq!(*known, file, "an action has another file\n{story}");
        let Some(at_work) = &caller.installing else {
            return;
        };
        assert!(
            at_work.action == asked.action
                || asked.cancel == Some(at_work.action)
                || asked.artifact.is_none(),
            "{asked:?} is asked for during {at_work:?}\n{story}"
        );
    }

    /// Writes the half of the twin that is the gateway's.
    pub(super) fn gateway_writes(&mut self, status: DeviceTwinStatus) {
        let json = serde_json::to_value(status).expect("a status is JSON");
        let twin = self.snapshot.twin.as_mut().expect("there is a twin");
        let twin = Arc::make_mut(twin);
        twin.status = Some(serde_json::from_value(json).expect("and is read back"));
    }

    /// A person deletes the twin: its numbers are gone with it, and the credential of the machine.
    pub(crate) fn delete_twin(&mut self) {
        self.snapshot.twin = None;
        let caller = self.caller_mut();
        caller.asked.clear();
        caller.said.has_settings = false;
    }

    /// The owner withdraws the consent.
    pub(crate) fn withdraw_consent(&mut self) {
        let by = [("by".to_owned(), "Panel".to_owned())];
        let Some(twin) = self.snapshot.twin.clone() else {
            return;
        };
        let status = admission::withdrawn(&twin, &by, self.now).expect("a good request");
        if let Some(status) = status {
            self.gateway_writes(status);
        }
    }

    /// True if the device has registered and its owner consents.
    pub(crate) fn consents(&self) -> bool {
        let Some(twin) = &self.snapshot.twin else {
            return false;
        };
        let registered = twin.status.as_ref().and_then(|it| it.registration.as_ref());
        registered.is_some() && admission::consents(twin).is_ok()
    }

    /// The machine registers, if it may: it has no credential that counts.
    pub(crate) fn register(&mut self) {
        let device = self.snapshot.device.clone().expect("there is a device");
        let model = self.snapshot.model.clone().expect("there is a model");
        let software: Vec<_> = calls::software(self.caller()).collect();
        let body = json!({
            "serialNumber": device.spec.serial_number,
            "productName": "Northwind MFP 500",
            "uuid": "urn:uuid:1c2d3e4f-0000-4000-8000-000000000001",
            "shipDestination": "BR",
            "timeZone": "America/Sao_Paulo",
            "software": software,
            "capabilities": {"ddi": true},
            "consent": {"by": "Panel", "at": self.now, "textVersion": "1"},
        });
        let request = Request::read(&body, ConsentRule::Required, [&*model]);
        let request = request.expect("a good request");
        let mut enrollment: DeviceEnrollment = entente_crds::example::enrollment();
        enrollment.spec.mode = entente_crds::v1alpha1::EnrollmentMode::BindOnly;
        enrollment.spec.serial_numbers = None;
        enrollment.metadata.namespace = Some(self.snapshot.namespace.clone());
        let twin = self.snapshot.twin.clone();
        let scene = Scene {
            enrollment: &enrollment,
            devices: vec![Arc::clone(&device)],
            models: vec![model],
            registered: 0,
            pending: 0,
            device_named: &|_| Some(Arc::clone(&device)),
            twin_named: &|_| twin.clone(),
        };
        let issue = Issue {
            sha256: "0",
            region: "sa",
            now: self.now,
        };
        match judge(&scene, &request, &issue) {
            Verdict::Register { status, .. } => {
                self.gateway_writes(*status);
                let caller = self.caller_mut();
                // It knows of no installation any more, and the gateway of no setting.
                caller.installing = None;
                caller.said.settings.clear();
                caller.said.has_settings = false;
                caller.said.software.clone_from(&caller.software);
            }
            Verdict::Await { .. } => {}
            other => panic!("{other:?}\n{}", self.story()),
        }
    }
}
