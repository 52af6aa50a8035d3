//! The texts for a panel: the language and the room that a status report tells of (A6, A7).
//!
//! Decides no state of a message. Called by the panel, for each message that should stand there.

use entente_crds::v1alpha1::{Device, MessageTextSpec};

use super::Wanted;
use crate::delivery::DeviceSnapshot;
use crate::errors::{Capacity, PanelWords, TextFault, panel_text};
use crate::names::ConnectionName;
use crate::protocol::{PanelPath, most_octets, panel_path};
use crate::remote::{Panel, StatusReport};

/// Makes the texts for a panel.
pub(super) struct Composer<'a> {
    snapshot: &'a DeviceSnapshot,
    pub(super) language: Option<&'a str>,
    pub(super) capacity: Capacity,
}

impl<'a> Composer<'a> {
    pub(super) fn new(
        snapshot: &'a DeviceSnapshot,
        device: &'a Device,
        connection: &ConnectionName,
        report: &'a StatusReport,
    ) -> Self {
        let spec = snapshot.connections.get(connection);
        let panel = report.panel.clone().unwrap_or_default();
        let Panel {
            columns,
            lines,
            is_ascii,
            ..
        } = panel;
        // A device that lays the text out by itself has all of its lines for one message.
        let by_itself = spec.is_some_and(|it| panel_path(&it.spec) == Some(PanelPath::Reported));
        let lines = lines.filter(|_| by_itself).or(Some(1));
        Self {
            snapshot,
            language: report
                .language
                .as_deref()
                .or(device.spec.language.as_deref()),
            capacity: Capacity {
                columns,
                lines,
                octets: spec.and_then(|it| most_octets(it.spec.protocol)),
                is_ascii,
            },
        }
    }

    pub(super) fn text(&self, wanted: &Wanted<'_>) -> Result<(String, String), TextFault> {
        let (texts, words) = self.texts(wanted)?;
        panel_text(texts, self.language, words, self.capacity)
    }

    pub(super) fn texts<'t>(
        &'t self,
        wanted: &'t Wanted<'_>,
    ) -> Result<(&'t MessageTextSpec, PanelWords<'t>), TextFault> {
        let texts = self.snapshot.message_texts.get(&wanted.error.r#type);
        let texts = texts.ok_or_else(|| TextFault::NoText(wanted.error.r#type.clone()))?;
        let words = PanelWords {
            order: wanted.order,
            supply: wanted.error.unit.as_deref().unwrap_or_default(),
            device: &self.snapshot.device_name,
        };
        Ok((&texts.spec, words))
    }
}
