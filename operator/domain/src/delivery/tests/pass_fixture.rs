//! A pass in memory, for the tests of single decisions: the objects of the examples, remote sides
//! that do everything at once, and a test that changes an answer.

use std::sync::Arc;

use entente_crds::{
    condition::ConditionType,
    example,
    v1alpha1::{
        Device, DeviceSetting, DeviceStatus, DeviceTwin, DeviceTwinSpec, Item, Revision,
        ServiceSubscription, ServiceSubscriptionStatus,
    },
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use crate::{
    condition::find,
    delivery::{
        Action, Answer, Backoffs, DeviceSnapshot, Pass, SubscriptionReport,
        twin::{self, TwinChange},
    },
    names::ConnectionName,
    protocol::Place,
    remote::{
        Catalog, DeviceReading, Failure, FailureKind, InstanceReading, Offering, OperationState,
        Plan, Scalar, ServerAnswer, StatusReport,
    },
};

/// An hour after the start of the examples.
pub(super) fn now() -> Timestamp {
    example::service_subscription().spec.revisions[0].effective + SignedDuration::from_hours(1)
}

pub(super) fn subscription() -> ServiceSubscription {
    let mut subscription = example::service_subscription();
    subscription.metadata.uid = Some("s-1".to_owned());
    subscription
}

pub(super) fn snapshot() -> DeviceSnapshot {
    let labels = [(
        "kubernetes.io/metadata.name".to_owned(),
        example::NAMESPACE.to_owned(),
    )];
    let connections = [
        example::hq_ipp(),
        example::in_use(example::northwind_services()),
    ];
    let mut device = example::devices()[0].clone();
    device.metadata.uid = Some("d-1".to_owned());
    DeviceSnapshot {
        namespace: example::NAMESPACE.to_owned(),
        namespace_labels: labels.into(),
        device_name: device.name_any(),
        device: Some(Arc::new(device)),
        model: Some(Arc::new(example::mfp_500())),
        connections: connections
            .map(|it| (it.name_any().into(), Arc::new(it)))
            .into(),
        services: [(
            "data-backup".to_owned(),
            Arc::new(example::in_use(example::data_backup())),
        )]
        .into(),
        live_contracts: [subscription().spec.contract.uid].into(),
        subscriptions: vec![Arc::new(subscription())],
        ..DeviceSnapshot::default()
    }
}

/// Remote sides that do everything at once, and the actions that they were asked for.
#[derive(Default)]
pub(super) struct Remote {
    pub(super) reading: DeviceReading,
    pub(super) parameters: Option<serde_json::Map<String, serde_json::Value>>,
    pub(super) asked: Vec<String>,
    /// The status report that the device gives.
    pub(super) report: StatusReport,
    /// The lines that were sent to its panel.
    pub(super) shown: Vec<Vec<String>>,
    /// The twin, of a device that calls.
    pub(super) twin: Option<Arc<DeviceTwin>>,
    /// True if the API server takes no write of the twin.
    pub(super) is_unwritable: bool,
}

impl Remote {
    pub(super) fn new() -> Self {
        let settings = example::mfp_500().spec.settings.into_iter();
        let places = settings.filter_map(|it| it.via.ipp).map(|ipp| {
            let place = crate::protocol::Place::ipp(ipp.operation, &ipp.attribute);
            (place, vec![Scalar::Text("another".to_owned())])
        });
        Self {
            reading: DeviceReading {
                product_name: Some("Northwind MFP 500".to_owned()),
                identity: Some("urn:uuid:1".to_owned()),
                certificate_sha256: None,
                values: places.collect(),
                ..DeviceReading::default()
            },
            ..Self::default()
        }
    }

    #[allow(clippy::too_many_lines, reason = "one arm for each action")]
    pub(super) fn answer(
        &mut self,
        action: &Action,
        snapshot: &DeviceSnapshot,
        now: Timestamp,
    ) -> Answer {
        let debug = format!("{action:?}");
        let name = debug.split([' ', '{']).next().unwrap_or_default();
        self.asked.push(name.to_owned());
        match action {
            Action::ReadDevice {
                connection,
                request,
            } if request.identity == Place::Registration => {
                self.read_twin(connection, snapshot, now)
            }
            Action::ReadStatus { .. } => Answer::Status(Ok(self.report.clone())),
            Action::ShowMessages { request, .. } => {
                self.shown.push(request.lines.clone());
                Answer::MessagesShown(Ok(()))
            }
            Action::WriteTwin { .. } => self.write_twin(action, snapshot),
            Action::ReadDevice { .. } => Answer::DeviceRead {
                result: Ok(self.reading.clone()),
                claimed_by_another: None,
            },
            Action::WriteDevice { write, .. } => {
                let value = match &write.value {
                    crate::remote::Value::Words(words) => {
                        words.iter().cloned().map(Scalar::Text).collect()
                    }
                    crate::remote::Value::Text(text) => vec![Scalar::Text(text.clone())],
                    other => panic!("no setting of this service: {other:?}"),
                };
                self.reading.values.insert(write.place.clone(), value);
                Answer::DeviceWritten(Ok(()))
            }
            Action::ReadCatalog { .. } => Answer::Catalog(Ok(Arc::new(catalog()))),
            Action::RecordPrevious { .. }
            | Action::RecordInstance { .. }
            | Action::TakeOver { .. }
            | Action::Switch { .. } => {
                unreachable!("the test records it")
            }
            Action::ReadInstance { .. } => Answer::Instance(Ok(match &self.parameters {
                None => InstanceReading::Absent,
                Some(parameters) => InstanceReading::Present {
                    service_id: None,
                    plan_id: None,
                    parameters: Some(parameters.clone()),
                },
            })),
            Action::Provision { parameters, .. } => {
                self.parameters = Some(parameters.exposed());
                Answer::Server(Ok(ServerAnswer::Done))
            }
            Action::Update { parameters, .. } => {
                let known = self.parameters.get_or_insert_default();
                known.extend(parameters.exposed());
                Answer::Server(Ok(ServerAnswer::Done))
            }
            Action::PollOperation { .. } => Answer::Operation(Ok(OperationState::Succeeded)),
            Action::Deprovision { .. } => {
                self.parameters = None;
                Answer::Server(Ok(ServerAnswer::Done))
            }
        }
    }

    fn read_twin(
        &self,
        connection: &ConnectionName,
        snapshot: &DeviceSnapshot,
        now: Timestamp,
    ) -> Answer {
        let agent = &snapshot.connections[connection].spec.agent;
        let agent = agent.as_ref().expect("a device that calls");
        let device = snapshot.device.as_ref().expect("a device");
        let model = snapshot.model.as_ref().map(|model| &model.spec);
        let twin = self.twin.as_deref();
        Answer::DeviceRead {
            result: twin::reading(twin, device, model, (agent, &snapshot.secrets), now),
            claimed_by_another: None,
        }
    }

    fn write_twin(&mut self, action: &Action, snapshot: &DeviceSnapshot) -> Answer {
        if self.is_unwritable {
            let failure = Failure::new(FailureKind::ProtocolError, "the API server is away");
            return Answer::TwinWritten(Err(failure));
        }
        let change = TwinChange::of(action).expect("a change of the twin");
        let device = snapshot.device.as_ref().expect("a device");
        let before = self.twin.as_deref();
        let spec = twin::wanted_spec(before, device, change, &snapshot.secrets);
        let mut written = match before {
            Some(before) => before.clone(),
            None => twin::new_twin(device, DeviceTwinSpec::default()),
        };
        if written.spec != spec {
            let generation = written.metadata.generation.unwrap_or_default();
            written.metadata.generation = Some(generation + 1);
            written.spec = spec;
        }
        let written = Arc::new(written);
        self.twin = Some(Arc::clone(&written));
        Answer::TwinWritten(Ok(written))
    }

    pub(super) fn count(&self, action: &str) -> usize {
        self.asked.iter().filter(|asked| *asked == action).count()
    }
}

pub(super) fn catalog() -> Catalog {
    let plan = Plan {
        id: "standard-id".to_owned(),
        name: "standard".to_owned(),
        updateable: true,
        ..Plan::default()
    };
    let offering = Offering {
        id: "data-backup-id".to_owned(),
        name: "data-backup".to_owned(),
        instances_retrievable: true,
        plans: vec![plan],
        ..Offering::default()
    };
    Catalog {
        offerings: vec![offering],
        ..Catalog::default()
    }
}

/// Returns the name of an action.
pub(super) fn name_of(action: &Action) -> String {
    let debug = format!("{action:?}");
    let name = debug.split([' ', '{']).next();
    name.unwrap_or_default().to_owned()
}

/// Runs a pass over the subscription of the examples to its end; `meddle` may give another answer
/// than the remote side.
pub(super) fn run(
    snapshot: DeviceSnapshot,
    remote: &mut Remote,
    meddle: impl FnMut(&Action) -> Option<Answer>,
) -> (Pass, ServiceSubscription) {
    run_at((now(), Backoffs::default()), snapshot, remote, meddle)
}

fn run_at(
    (now, backoffs): (Timestamp, Backoffs),
    snapshot: DeviceSnapshot,
    remote: &mut Remote,
    mut meddle: impl FnMut(&Action) -> Option<Answer>,
) -> (Pass, ServiceSubscription) {
    let first = snapshot.subscriptions.first();
    let mut object = ServiceSubscription::clone(first.expect("a subscription"));
    let mut pass = Pass::new(snapshot, backoffs, now);
    while let Some(action) = pass.next(now) {
        let answer = match (&action, meddle(&action)) {
            (_, Some(answer)) => {
                remote.asked.push(name_of(&action));
                answer
            }
            (Action::RecordPrevious { items, .. }, None) => {
                object.status = pass.record_previous(&object, items, now);
                Answer::Recorded(Some(Arc::new(object.clone())))
            }
            (Action::RecordInstance { .. }, None) => {
                object.status = pass.record_instance(&object, now);
                Answer::Recorded(Some(Arc::new(object.clone())))
            }
            (_, None) => remote.answer(&action, pass.snapshot(), now),
        };
        pass.record(&action, answer, now, 1.0);
        assert!(remote.asked.len() < 60, "it has no end: {:?}", remote.asked);
    }
    pass.finish(now, 1.0);
    (pass, object)
}

/// Returns the status of the subscription after a pass.
pub(super) fn status(pass: &Pass, object: &ServiceSubscription) -> ServiceSubscriptionStatus {
    let report = pass.report_subscription(object, now());
    report.expect("it is ours").status
}

/// Returns a condition of the subscription after a pass, as `Status(Reason)`.
pub(super) fn says(pass: &Pass, object: &ServiceSubscription, type_: ConditionType) -> String {
    let status = status(pass, object);
    find(&status.conditions, type_).map_or_else(String::new, |found| {
        format!("{}({})", found.status, found.reason)
    })
}

/// Returns Ready of the subscription after a pass, as `Status(Reason)`.
pub(super) fn ready(pass: &Pass, object: &ServiceSubscription) -> String {
    says(pass, object, ConditionType::Ready)
}

/// Returns the status of the device after a pass, with what is said of its subscription.
pub(super) fn device_status(pass: &Pass, object: &ServiceSubscription) -> DeviceStatus {
    let report = pass.report_subscription(object, now()).expect("it is ours");
    let device = pass.snapshot().device.clone().expect("a device");
    let reports = [(object.name_any().into(), report)].into();
    pass.report_device(&device, &reports, now()).0
}

/// Returns a snapshot in which everything was delivered by a pass before, and those remote sides.
pub(super) fn delivered() -> (DeviceSnapshot, Remote) {
    let mut remote = Remote::new();
    let (pass, mut object) = run(snapshot(), &mut remote, |_| None);
    let device_status = device_status(&pass, &object);
    object.status = Some(status(&pass, &object));
    let mut next = snapshot();
    let device = next.device.as_mut().expect("a device");
    Arc::make_mut(device).status = Some(device_status);
    next.subscriptions = vec![Arc::new(object)];
    next.catalogs = [("northwind-services".into(), Arc::new(catalog()))].into();
    remote.asked.clear();
    (next, remote)
}

/// Passes over one device, one after another.
pub(super) struct Story {
    pub(super) snapshot: DeviceSnapshot,
    pub(super) remote: Remote,
    /// True if each pass is a full look that somebody asked for, so that everything is read anew.
    pub(super) full_looks: bool,
    /// The waits with which each pass begins.
    pub(super) backoffs: Backoffs,
}

impl Story {
    pub(super) fn new() -> Self {
        Self {
            snapshot: snapshot(),
            remote: Remote::new(),
            full_looks: true,
            backoffs: Backoffs::default(),
        }
    }

    /// Runs a pass so long after [`now`], keeps both statuses, and returns the report of the
    /// subscription.
    pub(super) fn pass(
        &mut self,
        after: SignedDuration,
        meddle: impl FnMut(&Action) -> Option<Answer>,
    ) -> SubscriptionReport {
        let at = now() + after;
        self.remote.asked.clear();
        self.snapshot.reconcile_requested = self.full_looks;
        self.snapshot.twin.clone_from(&self.remote.twin);
        let begun = (at, self.backoffs.clone());
        let (pass, object) = run_at(begun, self.snapshot.clone(), &mut self.remote, meddle);
        let report = pass.report_subscription(&object, at).expect("it is ours");
        let reports = [(object.name_any().into(), report.clone())].into();
        if let Some(device) = &mut self.snapshot.device {
            let status = pass.report_device(device, &reports, at).0;
            Arc::make_mut(device).status = Some(status);
        }
        self.edit(|it| it.status = Some(report.status.clone()));
        let unsaid = report.unsaid_attempts.clone();
        let uid = object.metadata.uid.unwrap_or_default();
        self.snapshot.unsaid_attempts = [(uid, unsaid)].into();
        report
    }

    /// Runs a pass with which nobody meddles.
    pub(super) fn calm_pass(&mut self, after: SignedDuration) -> SubscriptionReport {
        self.pass(after, |_| None)
    }

    pub(super) fn edit(&mut self, edit: impl FnOnce(&mut ServiceSubscription)) {
        edit(Arc::make_mut(&mut self.snapshot.subscriptions[0]));
    }

    /// Edits the revision in force.
    pub(super) fn edit_revision(&mut self, edit: impl FnOnce(&mut Revision)) {
        self.edit(|it| edit(Arc::make_mut(&mut it.spec.revisions[0])));
    }

    pub(super) fn edit_device(&mut self, edit: impl FnOnce(&mut Device)) {
        edit(Arc::make_mut(
            self.snapshot.device.as_mut().expect("a device"),
        ));
    }

    /// Edits the setting of the model that says on which days is backed up.
    pub(super) fn edit_weekdays(&mut self, edit: impl FnOnce(&mut DeviceSetting)) {
        let model = self.snapshot.model.as_mut().expect("a model");
        let mut settings = Arc::make_mut(model).spec.settings.iter_mut();
        let found = settings.find(|it| it.name == "backup.weekdays");
        edit(found.expect("a setting of the examples"));
    }
}

/// Returns a condition of a report, as `Status(Reason)`.
pub(super) fn said(report: &SubscriptionReport, type_: ConditionType) -> String {
    find(&report.status.conditions, type_).map_or_else(String::new, |found| {
        format!("{}({})", found.status, found.reason)
    })
}

/// Returns the item of the days on which is backed up.
pub(super) fn weekdays(report: &SubscriptionReport) -> Item {
    let mut items = report.status.items.iter();
    let found = items.find(|it| it.key == "DeviceSetting/backup.weekdays");
    found.expect("an item of the examples").clone()
}
