//! Answers to status reports and to messages on the panel.
//!
//! Decides when the next report is taken, and that a report of another machine counts for nothing. Called
//! by the pass.

use entente_crds::condition::Reason;

use super::{Pass, answer::Moment};
use crate::delivery::{
    Action, Answer, Blocked, PanelAnswer,
    model::backoffs::BackoffKey,
    plan::sync::{jittered, status_period},
    verify::identity::pinned_identity,
};
use crate::identity::Identity;
use crate::names::ConnectionName;
use crate::remote::{Failure, FailureKind, StatusReport};

impl Pass {
    /// Records a status report, or the answer of a panel.
    pub(super) fn status_answered(&mut self, action: &Action, answer: Answer, moment: Moment) {
        match action {
            Action::ReadStatus { connection, .. } => {
                self.status_reported(connection, answer, moment);
            }
            Action::ShowMessages {
                connection,
                messages,
                ..
            } => self.messages_shown(connection, messages, answer, moment),
            _ => {}
        }
    }

    fn status_reported(&mut self, connection: &ConnectionName, answer: Answer, moment: Moment) {
        let result = match answer {
            Answer::Status(result) => result,
            Answer::NotAsked(failure) => Err(failure),
            _ => return,
        };
        let result = result.and_then(|report| self.of_the_machine(connection, report));
        let Some(result) = result.transpose() else {
            self.observations.status.record_stranger(connection);
            return;
        };
        match &result {
            Ok(_) => self.wait_for_the_next_report(connection, moment),
            Err(failure) => self.back_off_device(connection, failure, moment),
        }
        self.observations
            .status
            .record_report(connection, result, moment.now);
    }

    /// Returns the report, if it is of the machine that is known through this connection; `None` if another
    /// one gave it.
    ///
    /// # Errors
    /// The report does not say which machine gave it, although the device is known by that.
    fn of_the_machine(
        &self,
        connection: &ConnectionName,
        report: StatusReport,
    ) -> Result<Option<StatusReport>, Failure> {
        let device = self.snapshot.device.as_deref();
        let pinned = device.and_then(|device| pinned_identity(device, connection));
        let Some(pinned) = pinned else {
            return Ok(Some(report));
        };
        match report.identity.as_deref().and_then(Identity::of) {
            Some(found) if found == pinned => Ok(Some(report)),
            Some(_) => Ok(None),
            None => Err(Failure::new(
                FailureKind::ProtocolError,
                "the status report lacks the identity by which the device is known",
            )),
        }
    }

    fn wait_for_the_next_report(&mut self, connection: &ConnectionName, moment: Moment) {
        let period = jittered(&self.snapshot, status_period(&self.snapshot, connection));
        let why = Blocked::new(
            Reason::Waiting,
            "the next status report is not due".to_owned(),
        );
        let until = moment.now.checked_add(period).unwrap_or(moment.now);
        self.backoffs.clear(&BackoffKey::device(connection));
        self.backoffs
            .wait_to_look(BackoffKey::status(connection), why, until);
    }

    fn messages_shown(
        &mut self,
        connection: &ConnectionName,
        messages: &[String],
        answer: Answer,
        moment: Moment,
    ) {
        let result = match answer {
            Answer::MessagesShown(result) => result,
            Answer::NotAsked(failure) => Err(failure),
            _ => return,
        };
        if result.is_ok() {
            self.observations.status.forget_report(connection);
        }
        let answer = PanelAnswer {
            messages: messages.to_vec(),
            at: moment.now,
            result,
        };
        self.observations.status.record_panel(connection, answer);
    }
}
