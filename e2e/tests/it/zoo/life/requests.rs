//! The actions of a pass: the broker is asked by the real driver, the device is a constant reading.

use std::sync::Arc;

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::Condition;
use entente_domain::catalogue::{ObservedConnection, report_connection};
use entente_domain::condition::{find, is_true};
use entente_domain::delivery::{Action, Answer, Backoffs, Pass};
use entente_domain::remote::{Catalog, DeviceReading, Failure, FailureKind};
use entente_drivers::service::send;
use entente_simulators::zoo::Asked;
use jiff::SignedDuration;

use super::{CONNECTION, Life, PROBE};

/// Duration of a request.
const REQUEST: SignedDuration = SignedDuration::from_millis(50);
/// Duration of a request that is never answered.
const TIMEOUT: SignedDuration = SignedDuration::from_secs(10);

impl Life {
    /// Carries out an action of a pass.
    pub(super) async fn answer(&mut self, pass: &Pass, action: &Action) -> Answer {
        match action {
            Action::ReadDevice { .. } => Answer::DeviceRead {
                result: Ok(DeviceReading {
                    product_name: Some("Northwind MFP 500".to_owned()),
                    identity: Some("urn:uuid:1".to_owned()),
                    ..DeviceReading::default()
                }),
                claimed_by_another: None,
            },
            Action::WriteDevice { .. } => Answer::DeviceWritten(Ok(())),
            Action::ReadCatalog { .. } => Answer::Catalog(self.ask_catalog().await),
            Action::RecordInstance { .. } => {
                let status = self
                    .subscription()
                    .and_then(|object| pass.record_instance(object, self.now));
                if let Some(status) = status {
                    self.store(status);
                }
                Answer::Recorded(self.subscription().cloned())
            }
            Action::ReadStatus { .. } | Action::ShowMessages { .. } => {
                unreachable!("its model has no errors")
            }
            Action::WriteTwin { .. } => unreachable!("the device does not call"),
            Action::RecordPrevious { .. } => unreachable!("the device has no values before"),
            Action::TakeOver { .. } | Action::Switch { .. } => {
                unreachable!("no other subscription is on the device")
            }
            Action::ReadInstance { .. }
            | Action::Provision { .. }
            | Action::Update { .. }
            | Action::PollOperation { .. }
            | Action::Deprovision { .. } => self.ask(action).await,
        }
    }

    /// Sends the request of an action to the broker.
    async fn ask(&mut self, action: &Action) -> Answer {
        let asked = match action {
            Action::ReadInstance { .. } => Asked::Get,
            Action::Provision { .. } => Asked::Put,
            Action::Update { .. } => Asked::Patch,
            Action::PollOperation { .. } => Asked::Poll,
            Action::Deprovision { .. } => Asked::Delete,
            _ => unreachable!("only what concerns an instance"),
        };
        match send(self.drivers.service(), &self.target, action).await {
            Some(Answer::Instance(result)) => Answer::Instance(self.answered(asked, result)),
            Some(Answer::Server(result)) => Answer::Server(self.answered(asked, result)),
            Some(Answer::Operation(result)) => Answer::Operation(self.answered(asked, result)),
            other => unreachable!("{other:?} is no answer about an instance"),
        }
    }

    /// Reads the catalog, and keeps it.
    pub(super) async fn ask_catalog(&mut self) -> Result<Arc<Catalog>, Failure> {
        let result = self.drivers.service().catalog(&self.target).await;
        let catalog = Arc::new(self.answered(Asked::Catalog, result)?);
        let until = self.now + PROBE;
        let before = self.catalog.replace((Arc::clone(&catalog), until));
        if before.is_some_and(|(before, _)| before != catalog) {
            self.wake = Some(self.now);
        }
        Ok(catalog)
    }

    /// Notes a failure, and lets the time of the request pass.
    fn answered<T>(&mut self, asked: Asked, result: Result<T, Failure>) -> Result<T, Failure> {
        let mut lasted = REQUEST;
        if let Err(failure) = &result {
            let kind = format!("{:?}", failure.kind);
            self.seen.failures.push((asked, kind, failure.doubtful));
            if failure.kind == FailureKind::TimedOut {
                lasted = TIMEOUT;
            }
        }
        self.set_now(self.now + lasted);
        result
    }

    /// Returns the entries of the catalog that cannot be used, if the last probe was answered.
    fn odd(&self) -> Vec<String> {
        let answered = self
            .catalog
            .as_ref()
            .filter(|_| matches!(self.probe, Some(Ok(()))));
        answered
            .map(|(catalog, _)| catalog.odd.clone())
            .unwrap_or_default()
    }

    /// Reports the Connection, and wakes the device where its controller would.
    pub(super) fn report_connection(&mut self) {
        let mut observed = ObservedConnection {
            probe: self.probe.clone(),
            odd: self.odd(),
            ..ObservedConnection::default()
        };
        if let Some(object) = self.subscription()
            && let Some(server) = object.status.as_ref().and_then(|it| it.server.as_ref())
        {
            if server.orphaned.is_some() {
                observed.instances.abandoned.push((**object).clone());
            } else {
                let id = server.instance_id.clone();
                observed.instances.in_service.insert(id);
            }
        }
        let now = self.now;
        let Some(object) = self.snapshot.connections.get_mut(CONNECTION) else {
            return;
        };
        let before = object.status.clone().unwrap_or_default();
        let status = report_connection(object, &observed, now);
        let orphans = status.orphans.iter().map(|it| it.instance_id.clone());
        self.snapshot.orphans_taken_over = orphans.collect();
        let mended = is_mended(&before.conditions, &status.conditions);
        if mended || before.orphans != status.orphans {
            self.backoffs = Backoffs::default();
            self.wake = Some(now);
        }
        Arc::make_mut(object).status = Some(status);
    }
}

/// True if a Secret was made or corrected, as the triggers of delivery see it.
fn is_mended(before: &[Condition], after: &[Condition]) -> bool {
    let watched = [ConditionType::ResolvedRefs, ConditionType::Authenticated];
    watched.into_iter().any(|condition| {
        let failed = find(before, condition).is_some_and(|found| found.status == "False");
        failed && is_true(after, condition)
    })
}
