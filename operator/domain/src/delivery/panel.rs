//! Messages about orders on the panel of a device: those that should stand there, and what is known of them
//! (A6 to A8).
//!
//! A message is Shown only when the panel was read, or the device said so; it is Sent when a panel that
//! nobody can read took it. It is taken down at the end of the episode. Reads the status of the Device as it
//! is stored, so that nothing is shown of an order that is not on record. Called by plan and by the report.

use entente_crds::{
    bounded::Text,
    v1alpha1::{
        Device, DeviceError, DisplayedMessage, ErrorState, MAX_MESSAGES, MessageState,
        MessageTextSpec,
    },
};
use jiff::Timestamp;

mod by_twin;

pub(in crate::delivery) use self::by_twin::for_the_twin;
use crate::delivery::{Action, DeviceSnapshot, Observations, ResolvedDevice, plan::round::Round};
use crate::errors::{Capacity, PanelWords, TextFault, panel_text};
use crate::names::ConnectionName;
use crate::protocol::{PanelPath, most_octets, panel_path};
use crate::remote::{DisplayRequest, FailureKind, Panel, StatusReport};

/// A message that should stand on the panel.
struct Wanted<'a> {
    error: &'a DeviceError,
    /// Name of the SupplyOrder.
    name: &'a str,
    /// Id of the order.
    order: &'a str,
}

/// Returns the messages that should stand on the panel, the oldest first.
fn wanted<'a>(snapshot: &'a DeviceSnapshot, device: &'a Device) -> Vec<Wanted<'a>> {
    let errors = device.status.iter().flat_map(|status| &status.errors);
    let open = errors.filter(|error| error.state == ErrorState::Open);
    let of = |error: &'a DeviceError| {
        let name = &error.order.as_ref()?.name;
        let mut known = snapshot.supply_orders.iter();
        let order = known.find(|known| known.name == *name && !known.is_void)?;
        Some(Wanted {
            error,
            name,
            order: order.id.as_deref()?,
        })
    };
    let mut all: Vec<Wanted<'_>> = open.filter_map(of).collect();
    all.sort_by_key(|it| (it.error.since, it.name));
    all.truncate(MAX_MESSAGES);
    all
}

/// Returns the connection by which the panel is reached, and in which manner: first one that can be read
/// back, then one whose device reports what it shows.
fn path<'a>(
    snapshot: &DeviceSnapshot,
    resolved: &'a ResolvedDevice,
) -> Option<(&'a ConnectionName, PanelPath)> {
    let usable = resolved.connections.iter().filter(|it| it.endpoint.is_ok());
    let has_registered = || {
        let said = snapshot.said();
        said.is_some_and(|said| said.registration.is_some())
    };
    let paths = usable.filter_map(|it| {
        let spec = &snapshot.connections.get(&it.name)?.spec;
        let path = panel_path(spec).filter(|it| *it != PanelPath::Reported || has_registered())?;
        Some((&it.name, path))
    });
    paths.min_by_key(|(_, path)| *path)
}

fn known<'a>(device: &'a Device, name: &str) -> Option<&'a DisplayedMessage> {
    let mut messages = device.status.iter().flat_map(|status| &status.messages);
    messages.find(|message| message.id == name)
}

/// True if the device refused a message for good. One without a text never got there.
fn was_refused(message: &DisplayedMessage) -> bool {
    message.state == MessageState::Undeliverable && message.text.is_some()
}

/// True if the panel has to be read, since a message is to be shown or taken down through a connection.
pub(in crate::delivery) fn has_work(
    round: &Round<'_>,
    device: &Device,
    connection: &ConnectionName,
) -> bool {
    let Some((through, path)) = path(round.snapshot, round.resolved) else {
        return false;
    };
    if through != connection {
        return false;
    }
    let wanted = wanted(round.snapshot, device);
    let is_missing = |it: &Wanted<'_>| match known(device, it.name) {
        None => true,
        Some(message) => match message.state {
            MessageState::Pending | MessageState::Cleared => true,
            MessageState::Undeliverable => {
                let texts = &round.snapshot.message_texts;
                !was_refused(message) && texts.contains_key(&it.error.r#type)
            }
            MessageState::Sent | MessageState::Shown => false,
        },
    };
    let is_left = |message: &DisplayedMessage| {
        let stands = matches!(message.state, MessageState::Sent | MessageState::Shown);
        stands && !wanted.iter().any(|it| it.name == message.id)
    };
    let mut messages = device.status.iter().flat_map(|status| &status.messages);
    wanted.iter().any(is_missing) || path == PanelPath::ReadBack && messages.any(is_left)
}

/// Returns the next request to the panel, by the report that was read through a connection.
pub(in crate::delivery) fn next_action(
    round: &Round<'_>,
    device: &Device,
    connection: &ConnectionName,
) -> Option<Action> {
    let (through, path) = path(round.snapshot, round.resolved)?;
    let status = &round.observations.status;
    let report = status.report(connection)?.result.as_ref().ok()?;
    if through != connection || path == PanelPath::Reported {
        return None;
    }
    let composed = Composer::new(round.snapshot, device, through, report);
    let texts = wanted(round.snapshot, device);
    let texts = texts
        .iter()
        .filter_map(|it| Some((it.name.to_owned(), composed.text(it).ok()?.1)));
    let show = |lines: Vec<String>, messages: Vec<String>| Action::ShowMessages {
        connection: connection.clone(),
        request: DisplayRequest { lines },
        messages,
    };
    if path == PanelPath::WriteOnly {
        let mut unsent = texts.filter(|(name, text)| {
            let known = known(device, name);
            let stands = known.is_some_and(|it| {
                it.state == MessageState::Sent && it.text.as_deref() == Some(text)
            });
            let refused = known.is_some_and(was_refused);
            !stands && !refused && status.shown(connection, name).is_none()
        });
        let (name, text) = unsent.next()?;
        return Some(show(vec![text], vec![name]));
    }
    if status.was_sent(connection) {
        return None;
    }
    let most = report.panel.as_ref()?.lines.map_or(1, usize::from).max(1);
    let (names, mut lines): (Vec<String>, Vec<String>) = texts.take(most).unzip();
    let shown = report.panel.as_ref()?.shown.as_deref().unwrap_or_default();
    let is_ours = |line: &&String| stands_in_status(device, line);
    // Lines of ours below are cleared, and none of the device's own is.
    let last = shown
        .iter()
        .rposition(|line| is_ours(&line))
        .map_or(0, |at| at + 1);
    lines.resize(lines.len().max(last), String::new());
    let differs = lines.iter().enumerate().any(|(at, line)| {
        let found = shown.get(at).map_or("", |found| found.trim_end());
        found != line && (!line.is_empty() || stands_in_status(device, found))
    });
    differs.then(|| show(lines, names))
}

/// True if a line of a panel is a message that the status knows.
fn stands_in_status(device: &Device, line: &str) -> bool {
    let mut messages = device.status.iter().flat_map(|status| &status.messages);
    !line.is_empty() && messages.any(|it| it.text.as_deref() == Some(line.trim_end()))
}

/// Makes the texts for a panel.
struct Composer<'a> {
    snapshot: &'a DeviceSnapshot,
    language: Option<&'a str>,
    capacity: Capacity,
}

impl<'a> Composer<'a> {
    fn new(
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

    fn text(&self, wanted: &Wanted<'_>) -> Result<(String, String), TextFault> {
        let (texts, words) = self.texts(wanted)?;
        panel_text(texts, self.language, words, self.capacity)
    }

    fn texts<'t>(
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

/// Returns the messages of a device after a pass: those that should stand on its panel, then those that
/// were taken down last.
pub(in crate::delivery) fn report(
    snapshot: &DeviceSnapshot,
    resolved: &ResolvedDevice,
    observations: &Observations,
    device: &Device,
    now: Timestamp,
) -> Vec<DisplayedMessage> {
    let wanted = wanted(snapshot, device);
    let path = path(snapshot, resolved);
    let look = Look {
        snapshot,
        observations,
        device,
        path,
        now,
    };
    let mut messages: Vec<DisplayedMessage> = wanted.iter().map(|it| look.of(it)).collect();
    let before = device.status.iter().flat_map(|status| &status.messages);
    let before = before.filter(|message| !wanted.iter().any(|it| it.name == message.id));
    let mut ended: Vec<DisplayedMessage> = before.map(|message| look.ended(message)).collect();
    ended.sort_by_key(|message| std::cmp::Reverse(message.at));
    messages.extend(ended);
    messages.truncate(MAX_MESSAGES);
    messages.sort_by(|one, other| one.id.cmp(&other.id));
    messages
}

struct Look<'a> {
    snapshot: &'a DeviceSnapshot,
    observations: &'a Observations,
    device: &'a Device,
    path: Option<(&'a ConnectionName, PanelPath)>,
    now: Timestamp,
}

impl Look<'_> {
    /// Returns the state of a message that should stand on the panel.
    fn of(&self, wanted: &Wanted<'_>) -> DisplayedMessage {
        let before = known(self.device, wanted.name).filter(|it| it.state != MessageState::Cleared);
        let mut message = before.cloned().unwrap_or_else(|| DisplayedMessage {
            id: wanted.name.to_owned(),
            at: self.now,
            ..DisplayedMessage::default()
        });
        let Some((connection, path)) = self.path else {
            let problem = "no connection of the device leads to a panel";
            self.move_to(&mut message, MessageState::Undeliverable, Some(problem));
            return message;
        };
        let spec = self.snapshot.connections.get(connection);
        message.connection = Some(connection.to_string());
        message.via = spec.map(|it| it.spec.protocol);
        if path == PanelPath::Reported {
            self.of_the_twin(&mut message, connection, wanted);
            return message;
        }
        let status = &self.observations.status;
        let report = status.report(connection).map(|it| &it.result);
        match report {
            None => return self.after(message, connection, wanted),
            Some(Err(failure)) => {
                if message.state == MessageState::Pending {
                    message.problem = Some(failure.message.as_str().into());
                }
                return message;
            }
            Some(Ok(report)) => {
                let composer = Composer::new(self.snapshot, self.device, connection, report);
                match composer.text(wanted) {
                    Ok((language, text)) => {
                        if message.state == MessageState::Undeliverable && !was_refused(&message) {
                            self.move_to(&mut message, MessageState::Pending, None);
                        }
                        message.language = Some(language);
                        message.text = Some(Text::from(text));
                    }
                    Err(fault) => {
                        let problem = Some(fault.to_string());
                        self.move_to(
                            &mut message,
                            MessageState::Undeliverable,
                            problem.as_deref(),
                        );
                        return message;
                    }
                }
                if path == PanelPath::ReadBack && Self::is_shown(report, &message) {
                    self.move_to(&mut message, MessageState::Shown, None);
                    return message;
                }
            }
        }
        self.after(message, connection, wanted)
    }

    /// Returns a message after the answer of the panel to it, if there is one.
    fn after(
        &self,
        mut message: DisplayedMessage,
        connection: &ConnectionName,
        wanted: &Wanted<'_>,
    ) -> DisplayedMessage {
        let answer = self.observations.status.shown(connection, wanted.name);
        match answer.map(|answer| &answer.result) {
            Some(Ok(())) => self.move_to(&mut message, MessageState::Sent, None),
            Some(Err(failure)) => {
                let is_final = matches!(
                    failure.kind,
                    FailureKind::Unsupported | FailureKind::RejectedNotSettable
                );
                let state = if is_final {
                    MessageState::Undeliverable
                } else {
                    MessageState::Pending
                };
                self.move_to(&mut message, state, Some(&failure.message));
            }
            None => {}
        }
        message
    }

    /// Returns a message that should not stand on the panel any more.
    fn ended(&self, before: &DisplayedMessage) -> DisplayedMessage {
        let mut message = before.clone();
        let can_be_read = self.path.is_some_and(|(connection, path)| {
            path == PanelPath::ReadBack && before.connection.as_deref() == Some(connection)
        });
        let stands = matches!(before.state, MessageState::Sent | MessageState::Shown);
        let by_twin = self.path.is_some_and(|(connection, path)| {
            path == PanelPath::Reported && before.connection.as_deref() == Some(connection)
        });
        match before.state {
            MessageState::Cleared | MessageState::Undeliverable => {}
            _ if stands && by_twin && self.is_up(&before.id) => {}
            _ if stands && can_be_read => {
                let report = before.connection.as_deref();
                let report = report.and_then(|it| self.observations.status.report(it));
                let report = report.and_then(|it| it.result.as_ref().ok());
                if report.is_some_and(|report| !Self::is_shown(report, before)) {
                    self.move_to(&mut message, MessageState::Cleared, None);
                }
            }
            _ => self.move_to(&mut message, MessageState::Cleared, None),
        }
        message
    }

    fn is_shown(report: &StatusReport, message: &DisplayedMessage) -> bool {
        let panel = report.panel.as_ref();
        let shown = panel.and_then(|panel| panel.shown.as_ref());
        let text = message.text.as_deref();
        let mut lines = shown.into_iter().flatten();
        lines.any(|line| Some(line.trim_end()) == text)
    }

    fn move_to(&self, message: &mut DisplayedMessage, state: MessageState, problem: Option<&str>) {
        if message.state != state {
            message.state = state;
            message.at = self.now;
        }
        message.problem = problem.map(Text::from);
    }
}
