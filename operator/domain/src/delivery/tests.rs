//! Tests of single decisions of delivery. Whole passes are in `tests/delivery`.

mod acceptance;
mod adopted;
mod answers;
mod bounds;
mod calling;
mod claim;
mod claim_report;
mod comparison;
mod debts;
mod device_report;
mod doubt;
mod doubtful_writes;
mod drift;
mod endpoint;
mod errors;
mod foreseen_calls;
mod identity;
mod instance_readings;
mod intent;
/// The invariants of plans, as the whole passes in `tests/delivery` have them.
#[path = "../../tests/delivery/lint.rs"]
#[allow(
    dead_code,
    reason = "a part of it is about brokers, which others judge here"
)]
mod lint;
mod maintenance_windows;
mod messages;
mod notified;
mod odd_rollouts;
mod offering;
mod organization;
mod pass_fixture;
mod plans;
mod precedence;
mod proofs;
mod protected;
mod release;
mod revision;
mod settings_server;
mod software;
mod software_fixture;
mod sources;
mod subscription_report;
mod succession;
mod suitability;
mod turns;
mod unfetchable;
mod unwritten;
mod unwritten_twin;
mod values;
mod wishes;
mod withdrawing;
