//! The message on a device about an order, as its record tells it (A8).
//!
//! Decides how the state of a message in a Device becomes the instants of a record. Never decides
//! the text or the way: delivery does, and writes both into the Device.

use entente_crds::v1alpha1::{Device, MessageState, OrderMessage, SupplyOrder};
use kube::ResourceExt as _;

/// Returns the message of an order: what its Device says, with the instants that were known before.
/// Keeps what a Device says no more as it was.
pub fn message_of(device: Option<&Device>, order: &SupplyOrder) -> Option<OrderMessage> {
    let before = order.status.as_ref();
    let before = before.and_then(|status| status.message.clone());
    let mut messages = device
        .and_then(|device| device.status.as_ref())
        .into_iter()
        .flat_map(|status| &status.messages);
    let name = order.name_any();
    let Some(said) = messages.find(|message| message.id == name) else {
        return before;
    };
    let at = |states: &[MessageState]| states.contains(&said.state).then_some(said.at);
    let (sent, shown, cleared) = before.map_or((None, None, None), |before| {
        (before.sent, before.shown, before.cleared)
    });
    Some(OrderMessage {
        language: said.language.clone(),
        text: said.text.clone(),
        via: said.via,
        state: said.state,
        sent: sent.or_else(|| at(&[MessageState::Sent, MessageState::Shown])),
        shown: shown.or_else(|| at(&[MessageState::Shown])),
        cleared: cleared.or_else(|| at(&[MessageState::Cleared])),
        reason: said.reason,
        problem: said.problem.clone(),
    })
}
