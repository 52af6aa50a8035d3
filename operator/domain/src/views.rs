//! Views: what people ask of contracts, as values without any layout.
//!
//! Decides what belongs together, in which order, and how well an object is: objects and `now` in, a
//! tree or rows out. It must never read an object by itself, and knows neither terminals nor pages.
//! Called by `kubectl entente` and by the board, a page of the operator, which must answer alike
//! (docs/adr/0037-views-are-pure.md).

mod board;
mod change_plan;
mod contract_tree;
mod contracts;
mod health;
mod late_services;
mod lateness;
mod moment;
mod owed;
mod starts;

#[cfg(test)]
mod tests;

pub use board::{Board, BoardFilter, BoardObjects, board};
pub use change_plan::{
    ChangeKind, ChangePlan, PlannedAmendment, PlannedCalls, PlannedChange, Surroundings,
    change_plan,
};
pub use contract_tree::{
    ContractTree, DeviceGroup, DeviceNode, ItemNode, ServiceNode, TreeOptions, contract_tree,
};
pub use contracts::{ContractRow, contract_rows};
pub use health::{Health, Said, health, next_step};
pub use late_services::{LateReason, LateService, late_services};
pub use lateness::{LateDevice, LatePart, LatenessFilter, late_devices};
pub use moment::{Moment, age};
pub use owed::{OwedFilter, OwedRow, OwedState, OwedSum, OwedView, owed};
pub use starts::{StartRow, starts};
