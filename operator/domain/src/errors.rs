//! Errors of devices: their occurrences, the supplies that have them, the orders that follow, and the
//! messages on the panel (A1, A2, A5 to A10).
//!
//! Decides from status reports which errors a device has, when an occurrence begins and ends, which supply
//! it is about, whether and of whom that is ordered, and which text the panel gets. Never sends anything:
//! a decision stands in the status of the Device before anybody acts on it. Called by the report of
//! delivery.

mod faulted;
mod occurrence;
mod order;
mod panel;
mod supply;
mod words;

pub use self::{
    faulted::faulted,
    occurrence::{Sightings, next_look, note_replaced, track},
    order::{KnownLine, KnownOrder, OrderFacts, Provider, decide, is_owed, order_name},
    panel::{Capacity, PanelWords, TextFault, panel_text, twin_texts},
};

#[cfg(test)]
mod tests;
