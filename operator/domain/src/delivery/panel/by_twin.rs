//! The panel of a device that calls: the messages in its twin, and what it says of them (A8).
//!
//! The device fetches a message and reports what it shows; it lays the text out by itself. Part of the panel.

use entente_crds::{
    bounded::Text,
    v1alpha1::{Device, DisplayedMessage, MessageState, ReportedMessageState, TwinMessage},
};

use super::{Composer, Look, Obstacle, Wanted, path, wanted};
use crate::delivery::{DeviceSnapshot, plan::round::Round, twin::status_report};
use crate::errors::{TextFault, twin_texts};
use crate::gateway::messages::report_of;
use crate::names::ConnectionName;
use crate::protocol::PanelPath;
use crate::remote::StatusReport;
use crate::secret::Redactions;

/// Returns the messages that the twin of a device should have, ordered by their ids: those that should stand
/// on its panel, if the device reports by its twin what stands there.
pub(in crate::delivery) fn for_the_twin(round: &Round<'_>) -> Vec<TwinMessage> {
    let snapshot = round.snapshot;
    let Some((device, report)) = reported_by_twin(snapshot) else {
        return Vec::new();
    };
    let path = path(snapshot, round.resolved);
    let Some((connection, PanelPath::Reported)) = path else {
        return Vec::new();
    };
    let composer = Composer::new(snapshot, device, connection, &report);
    let wanted = wanted(snapshot, device);
    let messages = wanted.iter().filter_map(|it| composer.for_twin(it).ok());
    let mut messages: Vec<TwinMessage> = messages.collect();
    messages.sort_by(|one, other| one.id.cmp(&other.id));
    messages
}

/// Returns a device that calls with what its twin says of its panel.
fn reported_by_twin(snapshot: &DeviceSnapshot) -> Option<(&Device, StatusReport)> {
    let device = snapshot.device.as_deref()?;
    let report = status_report(snapshot.twin.as_deref()?, device)?;
    Some((device, report))
}

impl Composer<'_> {
    /// Returns the message for a device that chooses its text by itself.
    fn for_twin(&self, wanted: &Wanted<'_>) -> Result<TwinMessage, TextFault> {
        let (texts, words) = self.texts(wanted)?;
        let (language, text, short) = twin_texts(texts, self.language, words, self.capacity)?;
        Ok(TwinMessage {
            id: wanted.name.to_owned(),
            language,
            text,
            short,
        })
    }
}

impl Look<'_> {
    /// Moves a message on by what the device said of it: it is Shown when the device reports so, of a text
    /// that it should show.
    pub(super) fn of_the_twin(
        &self,
        message: &mut DisplayedMessage,
        connection: &ConnectionName,
        wanted: &Wanted<'_>,
    ) {
        let Some((_, report)) = reported_by_twin(self.snapshot) else {
            return;
        };
        let composer = Composer::new(self.snapshot, self.device, connection, &report);
        let message_of_twin = match composer.for_twin(wanted) {
            Ok(found) => found,
            Err(fault) => {
                let obstacle = Some(Obstacle::of_text(&fault));
                self.move_to(message, MessageState::Undeliverable, obstacle);
                return;
            }
        };
        let twin = self.snapshot.twin.as_deref();
        let said = twin.and_then(|twin| report_of(twin, &message_of_twin));
        let text = said.and_then(|said| said.text.as_deref());
        message.text = Some(Text::from(text.unwrap_or(&message_of_twin.text)));
        message.language = Some(message_of_twin.language);
        let words = said.and_then(|said| said.detail.as_deref());
        match said.map(|said| said.state) {
            Some(ReportedMessageState::Shown) => self.move_to(message, MessageState::Shown, None),
            Some(ReportedMessageState::Pending) => self.move_to(message, MessageState::Sent, None),
            Some(ReportedMessageState::Undeliverable) => {
                let redactions = Redactions::new(self.snapshot.secrets.texts());
                let problem = match words.map(|words| redactions.hide(words)) {
                    Some(words) => format!("the device cannot show it: \"{words}\""),
                    None => "the device cannot show it".to_owned(),
                };
                let obstacle = Some(Obstacle::of_refusal(problem));
                self.move_to(message, MessageState::Undeliverable, obstacle);
            }
            Some(ReportedMessageState::Cleared) | None => {
                self.move_to(message, MessageState::Pending, self.silence(connection));
            }
        }
    }

    /// True if a device says that it shows a message still, or will.
    pub(super) fn is_up(&self, id: &str) -> bool {
        let said = self.snapshot.said().and_then(|said| said.reported.as_ref());
        let mut messages = said.into_iter().flat_map(|it| &it.messages);
        messages.any(|it| {
            let is_up = matches!(
                it.state,
                ReportedMessageState::Shown | ReportedMessageState::Pending
            );
            it.id == *id && is_up
        })
    }
}
