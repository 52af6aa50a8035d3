//! A device that calls, its gateway, and the services on it, for tests of firmware and applications.
//!
//! Time is that of the test. Each pass is driven to its end, and each of its requests is held against
//! what must never happen: an installation while the windows are closed or another one is under way, and
//! a setting, an instance or an activation before the software that it needs.

use std::{collections::BTreeMap, sync::Arc};

use entente_crds::{
    condition::{ConditionType, Reason},
    example,
    v1alpha1::{
        Application, Artifact, ArtifactFault, Cause, Connection, ConsentWay, DeploymentState,
        Device, DeviceModel, DeviceTwin, Firmware, Item, ItemState, MAIN_FIRMWARE,
        MaintenanceWindow, ReportedSoftware, ServiceApplication, ServiceModel, ServiceSubscription,
        SmartService, SoftwarePart, SoftwareVia, TwinArtifact, TwinConsent, TwinDeploymentState,
        TwinRegistration, Weekday,
    },
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::lint::lint;
use super::pass_fixture::{Remote, now, snapshot, subscription};
use crate::{
    condition::find,
    delivery::{
        Action, Answer, Backoffs, DeviceSnapshot, InstallationOrder, Pass, SubscriptionReport,
        Wanted,
    },
    names::SubscriptionName,
};

/// Reports of a pass by the name of the service in the contract.
pub(super) type Reports = BTreeMap<String, SubscriptionReport>;

/// A device, its services, and the operator between two passes.
pub(super) struct Story {
    pub(super) snapshot: DeviceSnapshot,
    pub(super) remote: Remote,
    pub(super) now: Timestamp,
    /// Backoffs in the operator's memory.
    backoffs: Backoffs,
    /// True if the statuses of the next passes are lost: the operator is killed before it writes them.
    pub(super) loses_statuses: bool,
    /// Requests of all passes so far, in words.
    pub(super) requests: Vec<String>,
    /// Time of the next pass that the last one asked for.
    pub(super) wakes: Option<Timestamp>,
}

impl Story {
    /// Returns a registered device whose firmware is 4.1.0, and the service `backup` that needs this much
    /// of it.
    pub(super) fn new(minimum: Option<&str>, applications: &[(&str, &str)]) -> Self {
        let mut snapshot = snapshot();
        let gateway: Connection = example::gateway();
        let name = gateway.name_any();
        let connections = &mut snapshot.connections;
        connections.insert(name.as_str().into(), Arc::new(gateway));
        let mut story = Self {
            snapshot,
            remote: Remote::new(),
            now: now(),
            backoffs: Backoffs::default(),
            loses_statuses: false,
            requests: Vec::new(),
            wakes: None,
        };
        story.edit_device(|device| {
            device.spec.address = None;
            device.spec.connections.truncate(1);
            device.spec.connections[0].name = name;
        });
        story.edit_model(|model| {
            model.spec.firmware = ["4.1.0", "4.2.0", "4.10.0"].map(firmware).to_vec();
            model.spec.applications = vec![application("agent", "2.1.0")];
        });
        story.needs("data-backup", minimum, applications);
        story.pass();
        story.register();
        story.reports(SoftwarePart::Firmware, MAIN_FIRMWARE, "4.1.0");
        story.requests.clear();
        story
    }

    /// Lets a service need software of the model.
    pub(super) fn needs(
        &mut self,
        service: &str,
        minimum: Option<&str>,
        applications: &[(&str, &str)],
    ) {
        let applications = applications
            .iter()
            .map(|(name, version)| ServiceApplication {
                name: (*name).to_owned(),
                version: (*version).to_owned(),
            });
        let model = ServiceModel {
            name: "mfp-500".to_owned(),
            minimum_firmware: minimum.map(str::to_owned),
            applications: applications.collect(),
        };
        self.edit_service(service, |it| {
            it.spec.device.as_mut().expect("a side").models = vec![model];
        });
    }

    /// Adds the service `parts`, which needs the device only, from an instant on.
    pub(super) fn add_parts(&mut self, minimum: Option<&str>, from: Timestamp) {
        let service = example::in_use(example::parts_life());
        let services = &mut self.snapshot.services;
        services.insert("parts-life".to_owned(), Arc::new(service));
        self.needs("parts-life", minimum, &[]);
        let mut added = subscription();
        added.metadata.name = Some("banco-sul-2027.parts.lobby-mfp".to_owned());
        added.metadata.uid = Some("s-2".to_owned());
        added.spec.service_name = "parts".to_owned();
        let revision = Arc::make_mut(&mut added.spec.revisions[0]);
        revision.service_ref.name = "parts-life".to_owned();
        revision.effective = from;
        revision.parameters = [("threshold", "15"), ("unit", "All")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        self.snapshot.subscriptions.push(Arc::new(added));
    }

    pub(super) fn edit_service(&mut self, name: &str, edit: impl FnOnce(&mut SmartService)) {
        let service = self.snapshot.services.get_mut(name).expect("a service");
        edit(Arc::make_mut(service));
    }

    pub(super) fn edit_model(&mut self, edit: impl FnOnce(&mut DeviceModel)) {
        edit(Arc::make_mut(
            self.snapshot.model.as_mut().expect("a model"),
        ));
    }

    pub(super) fn edit_device(&mut self, edit: impl FnOnce(&mut Device)) {
        let device = self.snapshot.device.as_mut().expect("a device");
        edit(Arc::make_mut(device));
    }

    pub(super) fn edit(&mut self, edit: impl FnOnce(&mut ServiceSubscription)) {
        edit(Arc::make_mut(&mut self.snapshot.subscriptions[0]));
    }

    pub(super) fn windows(&mut self, windows: &[(&[Weekday], &str, &str)]) {
        let windows = windows
            .iter()
            .map(|(days, start, duration)| MaintenanceWindow {
                days: days.to_vec(),
                start: (*start).to_owned(),
                duration: (*duration).into(),
            });
        let windows = windows.collect();
        self.edit_device(|device| device.spec.maintenance_windows = windows);
    }

    pub(super) fn at(&mut self, instant: &str) -> &mut Self {
        self.now = instant.parse().expect("an instant");
        self
    }

    pub(super) fn later(&mut self, minutes: i64) -> &mut Self {
        self.now += SignedDuration::from_mins(minutes);
        self
    }

    /// The operator starts anew: what is in its memory alone is gone.
    pub(super) fn restart_operator(&mut self) {
        self.backoffs = Backoffs::default();
    }

    /// Runs a pass to its end, and keeps all statuses.
    pub(super) fn pass(&mut self) -> Reports {
        let now = self.now;
        self.is_heard();
        self.snapshot.twin.clone_from(&self.remote.twin);
        let backoffs = std::mem::take(&mut self.backoffs);
        let mut pass = Pass::new(self.snapshot.clone(), backoffs, now);
        let mut objects = self.snapshot.subscriptions.clone();
        while let Some(action) = pass.next(now) {
            self.check(&pass, &action);
            self.requests.extend(in_words(&action));
            let answer = match &action {
                Action::RecordPrevious {
                    subscription,
                    items,
                } => record(&mut objects, subscription, |object| {
                    pass.record_previous(object, items, now)
                }),
                Action::RecordInstance { subscription } => {
                    record(&mut objects, subscription, |object| {
                        pass.record_instance(object, now)
                    })
                }
                other => self.remote.answer(other, pass.snapshot(), now),
            };
            pass.record(&action, answer, now, 1.0);
            assert!(pass.rounds() < 24, "it has no end: {:?}", self.requests);
        }
        pass.finish(now, 1.0);
        let reports: BTreeMap<SubscriptionName, SubscriptionReport> = objects
            .iter()
            .filter_map(|object| {
                let report = pass.report_subscription(object, now)?;
                Some((object.name_any().into(), report))
            })
            .collect();
        if !self.loses_statuses {
            for object in &mut objects {
                let name: SubscriptionName = object.name_any().into();
                Arc::make_mut(object).status = Some(reports[&name].status.clone());
            }
            self.snapshot.subscriptions.clone_from(&objects);
            let device = self.snapshot.device.as_mut().expect("a device");
            let status = pass.report_device(device, &reports, now).0;
            Arc::make_mut(device).status = Some(status);
        }
        let wakes = reports.values().map(|report| report.wake_at);
        self.wakes = wakes.chain([pass.wake()]).flatten().min();
        self.backoffs = pass.into_backoffs();
        let names = objects.iter().map(|it| it.spec.service_name.clone());
        names.zip(reports.into_values()).collect()
    }

    /// The device has called a moment ago.
    fn is_heard(&mut self) {
        let now = self.now;
        let Some(twin) = &mut self.remote.twin else {
            return;
        };
        if let Some(status) = &mut Arc::make_mut(twin).status {
            status.last_heard = Some(now);
        }
    }

    /// Holds a request against what must never happen.
    fn check(&self, pass: &Pass, action: &Action) {
        let (snapshot, resolved, verified) = (pass.snapshot(), pass.resolved(), pass.verified());
        let faults = lint(snapshot, resolved, verified, pass.plan(), self.now);
        assert!(faults.is_empty(), "{faults:?} in {:?}", pass.plan());
        let lacking = |of: &SubscriptionName| {
            let resolved = pass.resolved().subscription(of).expect("it is ours");
            let verified = &pass.verified()[of];
            let lacks = resolved.items().any(|(_, item)| {
                let proved = verified.item(&item.key).map(|it| it.state);
                let is_software = matches!(item.wanted, Wanted::Software { .. });
                is_software && proved != Some(ItemState::Effective)
            });
            resolved.wants_set_up() && lacks
        };
        let of = match action {
            Action::WriteTwin { writes, .. } => {
                let served = writes.iter().flat_map(|(_, items)| items);
                served.map(|it| it.subscription.clone()).collect()
            }
            Action::Provision { subscription, .. } | Action::Update { subscription, .. } => {
                vec![subscription.clone()]
            }
            _ => Vec::new(),
        };
        for of in of {
            assert!(!lacking(&of), "{of} lacks software: {action:?}");
        }
    }

    pub(super) fn twin(&self) -> &DeviceTwin {
        self.remote.twin.as_ref().expect("a twin")
    }

    pub(super) fn edit_twin(&mut self, edit: impl FnOnce(&mut DeviceTwin)) {
        edit(Arc::make_mut(self.remote.twin.as_mut().expect("a twin")));
    }

    fn register(&mut self) {
        let device = self.snapshot.device.as_ref().expect("a device");
        let serial = device.spec.serial_number.clone();
        let at = self.now;
        self.edit_twin(|twin| {
            let status = twin.status.get_or_insert_default();
            status.registration = Some(TwinRegistration {
                printer_id: None,
                enrollment: "e".to_owned(),
                region: None,
                at,
                serial_number: serial.as_str().into(),
                product_name: "Northwind MFP 500".into(),
                uuid: Some("urn:uuid:1".into()),
                ship_destination: None,
                time_zone: None,
                languages: Vec::new(),
                consent: Some(TwinConsent {
                    by: ConsentWay::Panel,
                    at,
                    text_version: "1".into(),
                    withdrawn: None,
                    withdrawn_by: None,
                    withdrawn_at: None,
                }),
                last_handled_reregister: None,
            });
            status.last_heard = Some(at);
            // It has said that it has no setting.
            status.reported.get_or_insert_default().version = Some(0);
        });
    }

    /// The device reports a version of a piece of software.
    pub(super) fn reports(&mut self, part: SoftwarePart, name: &str, version: &str) {
        let at = self.now;
        self.edit_twin(|twin| {
            let status = twin.status.as_mut().expect("registered");
            let reported = status.reported.as_mut().expect("a report");
            reported
                .software
                .retain(|it| (it.part, &*it.name) != (part, name));
            reported.software.push(ReportedSoftware {
                part,
                name: name.into(),
                version: version.into(),
            });
            if let Some(told) = &mut status.deployment {
                told.reported = told.reported.or(Some(at));
            }
            status.last_heard = Some(at);
        });
    }

    /// The device reports the version of its firmware.
    pub(super) fn runs(&mut self, version: &str) {
        self.reports(SoftwarePart::Firmware, MAIN_FIRMWARE, version);
    }

    /// The device takes all settings that its twin asks for.
    pub(super) fn takes_settings(&mut self) {
        self.edit_twin(|twin| {
            let wanted = twin.spec.settings.clone();
            let generation = twin.metadata.generation;
            let status = twin.status.as_mut().expect("registered");
            let reported = status.reported.as_mut().expect("a report");
            reported.settings = wanted
                .into_iter()
                .map(|it| entente_crds::v1alpha1::ReportedSetting {
                    name: it.name.as_str().into(),
                    value: it.value.as_deref().map(Into::into),
                    digest: it.digest,
                    by: entente_crds::v1alpha1::SetBy::Server,
                })
                .collect();
            reported.version = generation;
        });
    }

    /// The device restarts, by its own clock.
    pub(super) fn restarts_at(&mut self, by_its_clock: Timestamp) {
        self.edit_twin(|twin| {
            let status = twin.status.as_mut().expect("registered");
            let reported = status.reported.as_mut().expect("a report");
            reported.restarted = Some(by_its_clock);
        });
    }

    pub(super) fn told(&self) -> Option<&TwinDeploymentState> {
        let twin = self.remote.twin.as_ref()?;
        let told = twin.status.as_ref()?.deployment.as_ref()?;
        let asked = twin.spec.deployment.as_ref()?;
        (told.action == asked.action).then_some(told)
    }

    /// The device says how far it is with the installation that it is asked for.
    pub(super) fn says(&mut self, state: DeploymentState, words: Option<&str>) {
        let at = self.now;
        self.edit_twin(|twin| {
            let action = twin.spec.deployment.as_ref().expect("asked").action;
            let status = twin.status.as_mut().expect("registered");
            status.deployment = Some(TwinDeploymentState {
                action,
                state,
                message: words.map(Into::into),
                at,
                restarted: status.reported.as_ref().and_then(|it| it.restarted),
                reported: None,
            });
        });
    }

    /// The gateway cannot serve the file of the installation that the device is asked for.
    pub(super) fn lacks(&mut self, reason: ArtifactFault, message: &str) {
        let since = self.now;
        self.edit_twin(|twin| {
            let action = twin.spec.deployment.as_ref().expect("asked").action;
            let status = twin.status.as_mut().expect("registered");
            status.artifact = Some(TwinArtifact {
                action,
                reason,
                message: message.into(),
                since,
            });
        });
    }

    /// Returns the installation that the device is asked for as `action name version`, or as `action
    /// cancels action`.
    pub(super) fn asked(&self) -> String {
        let Some(asked) = &self.twin().spec.deployment else {
            return "nothing".to_owned();
        };
        match (&asked.name, &asked.version, asked.cancel) {
            (Some(name), Some(version), None) => format!("{} {name} {version}", asked.action),
            (Some(name), Some(version), Some(cancel)) => {
                format!("{} {name} {version} cancels {cancel}", asked.action)
            }
            _ => format!(
                "{} cancels {}",
                asked.action,
                asked.cancel.unwrap_or_default()
            ),
        }
    }

    /// Returns a condition of the device as `Status(Reason)`.
    pub(super) fn device_says(&self, type_: ConditionType) -> String {
        let device = self.snapshot.device.as_ref().expect("a device");
        let status = device.status.as_ref().expect("a status");
        find(&status.conditions, type_).map_or_else(String::new, |found| {
            format!("{}({})", found.status, found.reason)
        })
    }
}

fn record(
    objects: &mut [Arc<ServiceSubscription>],
    name: &SubscriptionName,
    decide: impl FnOnce(
        &ServiceSubscription,
    ) -> Option<entente_crds::v1alpha1::ServiceSubscriptionStatus>,
) -> Answer {
    let mut objects = objects.iter_mut();
    let found = objects.find(|it| *name == *it.name_any()).expect("ours");
    let status = decide(found);
    Arc::make_mut(found).status = status;
    Answer::Recorded(Some(Arc::clone(found)))
}

/// Returns the words for a request that changes something.
fn in_words(action: &Action) -> Vec<String> {
    match action {
        Action::WriteTwin {
            writes,
            installation,
            ..
        } => {
            let asked = installation.as_ref().map(|it| match it {
                InstallationOrder::Install(it) => format!("install {} {}", it.name, it.version),
                InstallationOrder::Cancel => "cancel".to_owned(),
            });
            let set = (!writes.is_empty()).then(|| "settings".to_owned());
            asked.into_iter().chain(set).collect()
        }
        Action::Provision { .. } => vec!["provision".to_owned()],
        Action::Update { .. } => vec!["update".to_owned()],
        Action::Deprovision { .. } => vec!["deprovision".to_owned()],
        _ => Vec::new(),
    }
}

pub(super) fn artifact(file: &str) -> Artifact {
    Artifact {
        url: format!("https://files.example/{file}"),
        sha256: format!("{file:0>64}"),
        size: 1,
        ..Artifact::default()
    }
}

fn by_a_call() -> SoftwareVia {
    SoftwareVia {
        agent: Some(entente_crds::v1alpha1::AgentSoftware {}),
    }
}

pub(super) fn firmware(version: &str) -> Firmware {
    Firmware {
        name: MAIN_FIRMWARE.to_owned(),
        version: version.to_owned(),
        artifact: artifact(version),
        via: by_a_call(),
        downgrade: false,
        takes: None,
    }
}

pub(super) fn application(name: &str, version: &str) -> Application {
    Application {
        name: name.to_owned(),
        version: version.to_owned(),
        artifact: artifact(&format!("{name}-{version}")),
        via: by_a_call(),
    }
}

/// Returns an item of a report.
pub(super) fn item(report: &SubscriptionReport, key: &str) -> Item {
    let mut items = report.status.items.iter();
    let found = items.find(|it| it.key == key);
    found
        .unwrap_or_else(|| panic!("no {key} in {:?}", report.status.items))
        .clone()
}

/// Returns a condition of a report as `Status(Reason)`, and its message.
pub(super) fn ready(report: &SubscriptionReport) -> (String, String) {
    let found = find(&report.status.conditions, ConditionType::Ready).expect("Ready");
    (
        format!("{}({})", found.status, found.reason),
        found.message.to_string(),
    )
}

/// Returns the reason and the cause of the delay that lasts.
pub(super) fn delay(report: &SubscriptionReport) -> (Reason, Cause) {
    let delays = &report.status.promises[0].delays;
    let last = delays.last().expect("a delay");
    let mut reasons = Reason::ALL.iter().copied();
    let reason = reasons.find(|it| it.as_str() == &*last.reason);
    (reason.expect("a reason"), last.cause)
}
