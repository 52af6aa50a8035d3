//! Messages about orders on the panel of a device: those that should stand there, and what is known of them
//! (A6 to A8).
//!
//! A message is Shown only when the panel was read, or the device said so; it is Sent when a panel that
//! nobody can read took it. It is taken down at the end of the episode. Reads the status of the Device as it
//! is stored, so that nothing is shown of an order that is not on record. Called by plan and by the report.

use entente_crds::{
    bounded::Text,
    v1alpha1::{
        Device, DeviceError, DisplayedMessage, ErrorState, MAX_MESSAGES, MessageState, Protocol,
    },
};
use jiff::Timestamp;

mod by_twin;
mod composer;
mod obstacle;

pub(in crate::delivery) use self::by_twin::for_the_twin;
use self::composer::Composer;
use self::obstacle::{Obstacle, is_refused_through};
use crate::delivery::{
    Action, DeviceSnapshot, Observations, ResolvedDevice, plan::round::Round,
    verify::faults::ConnectionFaults,
};
use crate::names::ConnectionName;
use crate::protocol::{PanelPath, panel_path};
use crate::remote::{DisplayRequest, StatusReport};

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

/// Returns a message as it is known: a status that could not be written is newer than the stored one, and a
/// message that was sent then is not sent again.
fn known<'a>(
    snapshot: &'a DeviceSnapshot,
    device: &'a Device,
    name: &str,
) -> Option<&'a DisplayedMessage> {
    let unwritten = snapshot.unwritten.iter().flat_map(|it| &it.messages);
    let stored = device.status.iter().flat_map(|status| &status.messages);
    unwritten.chain(stored).find(|message| message.id == name)
}

/// True if a message stands on the panel, as far as is known.
fn stands(message: &DisplayedMessage) -> bool {
    matches!(message.state, MessageState::Sent | MessageState::Shown)
}

/// True if a panel that nobody can read took a message: what is missing now does not take it down.
fn was_taken(message: &DisplayedMessage) -> bool {
    message.state == MessageState::Sent && message.via == Some(Protocol::IPP)
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
    let is_missing = |it: &Wanted<'_>| match known(round.snapshot, device, it.name) {
        None => true,
        Some(message) => match message.state {
            MessageState::Pending | MessageState::Cleared => true,
            MessageState::Undeliverable => {
                let texts = &round.snapshot.message_texts;
                !is_refused_through(connection, message) && texts.contains_key(&it.error.r#type)
            }
            MessageState::Sent | MessageState::Shown => false,
        },
    };
    let is_left = |message: &DisplayedMessage| {
        stands(message) && !wanted.iter().any(|it| it.name == message.id)
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
            let known = known(round.snapshot, device, name);
            let stands = known.is_some_and(|it| {
                it.state == MessageState::Sent && it.text.as_deref() == Some(text)
            });
            let refused = known.is_some_and(|it| is_refused_through(connection, it));
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

/// Returns the messages of a device after a pass: those that should stand on its panel, then those that
/// were taken down last.
pub(in crate::delivery) fn report(
    snapshot: &DeviceSnapshot,
    resolved: &ResolvedDevice,
    (observations, faults): (&Observations, &ConnectionFaults<'_>),
    device: &Device,
    now: Timestamp,
) -> Vec<DisplayedMessage> {
    let wanted = wanted(snapshot, device);
    let path = path(snapshot, resolved);
    let look = Look {
        snapshot,
        observations,
        faults,
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
    faults: &'a ConnectionFaults<'a>,
    device: &'a Device,
    path: Option<(&'a ConnectionName, PanelPath)>,
    now: Timestamp,
}

impl Look<'_> {
    /// Returns the state of a message that should stand on the panel.
    fn of(&self, wanted: &Wanted<'_>) -> DisplayedMessage {
        let before = known(self.snapshot, self.device, wanted.name)
            .filter(|it| it.state != MessageState::Cleared);
        let mut message = before.cloned().unwrap_or_else(|| DisplayedMessage {
            id: wanted.name.to_owned(),
            at: self.now,
            ..DisplayedMessage::default()
        });
        let Some((connection, path)) = self.path else {
            if !was_taken(&message) {
                message.connection = None;
                message.via = None;
                self.move_to(
                    &mut message,
                    MessageState::Undeliverable,
                    Some(Obstacle::no_display()),
                );
            }
            return message;
        };
        let was_taken = path == PanelPath::WriteOnly && was_taken(&message);
        if message.connection.as_deref() != Some(connection) && !stands(&message) {
            self.move_to(&mut message, MessageState::Pending, None);
        }
        let spec = self.snapshot.connections.get(connection);
        message.connection = Some(connection.to_string());
        message.via = spec.map(|it| it.spec.protocol);
        if path == PanelPath::Reported {
            self.of_the_twin(&mut message, connection, wanted);
            return message;
        }
        let status = &self.observations.status;
        if let Some(report) = status.report_for_texts(connection) {
            let composer = Composer::new(self.snapshot, self.device, connection, report);
            match composer.text(wanted) {
                Ok((language, text)) => {
                    if !is_refused_through(connection, &message) && !stands(&message) {
                        self.move_to(&mut message, MessageState::Pending, None);
                    }
                    message.language = Some(language);
                    message.text = Some(Text::from(text));
                }
                Err(_) if was_taken => return message,
                Err(fault) => {
                    let obstacle = Obstacle::of_text(&fault);
                    self.move_to(&mut message, MessageState::Undeliverable, Some(obstacle));
                    return message;
                }
            }
        }
        let reading = status.report(connection).map(|it| &it.result);
        if let Some(Ok(report)) = reading
            && path == PanelPath::ReadBack
            && Self::is_shown(report, &message)
        {
            self.move_to(&mut message, MessageState::Shown, None);
            return message;
        }
        self.after(&mut message, connection);
        message
    }

    /// Moves a message on by the answer of the panel to it; without one by what is known of the device.
    fn after(&self, message: &mut DisplayedMessage, connection: &ConnectionName) {
        let status = &self.observations.status;
        let answer = status.shown(connection, &message.id);
        match answer.map(|answer| &answer.result) {
            Some(Ok(())) => self.move_to(message, MessageState::Sent, None),
            Some(Err(failure)) => {
                let state = if obstacle::is_final(failure) {
                    MessageState::Undeliverable
                } else {
                    MessageState::Pending
                };
                self.move_to(message, state, Some(Obstacle::of_failure(failure)));
            }
            None if message.state == MessageState::Pending => {
                let reading = status.report(connection).map(|it| &it.result);
                let failure = reading.and_then(|it| it.as_ref().err());
                let obstacle = failure.map(Obstacle::of_failure);
                let obstacle = obstacle.or_else(|| self.silence(connection));
                if obstacle.is_some() {
                    self.move_to(message, MessageState::Pending, obstacle);
                }
            }
            None => {}
        }
    }

    /// Returns the obstacle that the last use of a connection met.
    fn silence(&self, connection: &ConnectionName) -> Option<Obstacle> {
        self.faults.of(connection).map(Obstacle::of_fault)
    }

    /// Returns a message that should not stand on the panel any more.
    fn ended(&self, before: &DisplayedMessage) -> DisplayedMessage {
        let mut message = before.clone();
        let can_be_read = self.path.is_some_and(|(connection, path)| {
            path == PanelPath::ReadBack && before.connection.as_deref() == Some(connection)
        });
        let stands = stands(before);
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

    fn move_to(
        &self,
        message: &mut DisplayedMessage,
        state: MessageState,
        obstacle: Option<Obstacle>,
    ) {
        if message.state != state {
            message.state = state;
            message.at = self.now;
        }
        message.reason = obstacle.as_ref().and_then(|it| it.reason);
        message.problem = obstacle.map(|it| Text::from(it.words));
    }
}
