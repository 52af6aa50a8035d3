//! Plan: status reports of a device whose model has errors, and messages on its panel.
//!
//! A report is taken at the period of its connection, when the device has notified us there, when an error is
//! about to begin or to end, when another connection reported in this pass and something is wrong, and before
//! anything is shown. It serves no
//! subscription. Called by plan, after the readings of the device.

use entente_crds::{
    condition::ConditionType,
    v1alpha1::{Device, DeviceError, ErrorState},
};

use super::round::Round;
use crate::condition::find;
use crate::delivery::{
    Action, Plan, ResolvedConnection,
    model::backoffs::BackoffKey,
    panel,
    plan::{action_reads, sync::status_period},
    verify::identity,
};
use crate::errors::next_look;
use crate::listening::Listened;
use crate::protocol::{is_asked_for_status, notifies};

impl Round<'_> {
    /// Plans the status reports that are due, and the messages that the last ones lack.
    pub(super) fn report_status(&self, plan: &mut Plan) {
        let Some(device) = self.snapshot.device.as_deref() else {
            return;
        };
        for connection in &self.resolved.connections {
            if !self.may_be_asked(device, connection) || action_reads(plan, &connection.name) {
                continue;
            }
            let name = &connection.name;
            if self.observations.status.report(name).is_none() {
                self.read_status(device, connection, plan);
            } else {
                plan.actions.extend(panel::next_action(self, device, name));
            }
        }
    }

    fn read_status(&self, device: &Device, connection: &ResolvedConnection, plan: &mut Plan) {
        let name = &connection.name;
        let Ok(endpoint) = &connection.endpoint else {
            return;
        };
        let is_read_again = self.observations.status.was_sent(name);
        if is_read_again || self.status_is_due(device, connection) {
            plan.actions.push(Action::ReadStatus {
                connection: name.clone(),
                identity: endpoint.identity.clone(),
            });
        }
    }

    /// True if a status report is due although nobody has asked for one.
    fn status_is_due(&self, device: &Device, connection: &ResolvedConnection) -> bool {
        let Some(model) = self.snapshot.model.as_deref() else {
            return false;
        };
        let errors = device.status.as_ref().map(|it| &it.errors[..]);
        let errors = errors.unwrap_or_default();
        if panel::has_work(self, device, &connection.name) {
            return true;
        }
        if model.spec.errors.is_empty() {
            return false;
        }
        let key = BackoffKey::status(&connection.name);
        let settles = next_look(errors, &model.spec).is_some_and(|at| at <= self.now);
        // What one connection is silent about another may report: both are asked at one time.
        let is_followed = is_wrong(device) && self.observations.status.answered().is_some();
        settles
            || is_followed
            || self.snapshot.reconcile_requested
            || !self.backoffs.is_pending(&key, None, self.now)
    }

    /// Returns the connection through which the device is listened to: the first one by whose protocol
    /// notifications are fetched, if the device is asked for its status there.
    pub(in crate::delivery) fn listened(&self) -> Option<Listened> {
        let device = self.snapshot.device.as_deref()?;
        let model = self.snapshot.model.as_deref()?;
        if model.spec.errors.is_empty() || device.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let has_notifications = |connection: &&ResolvedConnection| {
            let spec = self.snapshot.connections.get(&connection.name);
            spec.is_some_and(|it| notifies(&it.spec))
        };
        let connection = self.resolved.connections.iter().find(has_notifications)?;
        self.may_be_asked(device, connection).then(|| Listened {
            connection: connection.name.clone(),
            period: status_period(self.snapshot, &connection.name),
        })
    }

    /// True if the machine behind a connection is known to be the expected one, and may be asked.
    fn may_be_asked(&self, device: &Device, connection: &ResolvedConnection) -> bool {
        let name = &connection.name;
        let spec = self.snapshot.connections.get(name);
        if device.spec.suspend
            || connection.endpoint.is_err()
            || !spec.is_some_and(|it| is_asked_for_status(&it.spec))
            || !self.snapshot.claimed_by_another.is_empty()
            || self.observations.status.is_strange(name)
            || self.pending(&BackoffKey::device(name)).is_some()
        {
            return false;
        }
        let reading = self.observations.through(name).reading.as_ref();
        match reading {
            Some(reading) => {
                let read = (device, self.observations);
                let fault = || identity::identity_fault(self.snapshot, self.resolved, read, name);
                reading.result.is_ok() && fault().is_none()
            }
            None => {
                identity::seen(device).is_some()
                    && identity::remembered_fault(device, name).is_none()
            }
        }
    }
}

/// True if the device reported an error that is not known to be over.
fn is_wrong(device: &Device) -> bool {
    device.status.as_ref().is_some_and(|status| {
        let is_reported =
            |error: &DeviceError| error.state == ErrorState::Open || error.reported.is_some();
        status.errors.iter().any(is_reported)
            || find(&status.conditions, ConditionType::Faulted).is_some()
    })
}
