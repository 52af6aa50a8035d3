//! Tests of single decisions of delivery. Whole passes are in `tests/delivery`.

mod adopted;
mod answers;
mod bounds;
mod claim;
mod claim_report;
mod comparison;
mod debts;
mod device_report;
mod doubt;
mod doubtful_writes;
mod endpoint;
mod identity;
mod instance_readings;
mod intent;
mod offering;
mod pass_fixture;
mod plans;
mod precedence;
mod proofs;
mod revision;
mod sources;
mod subscription_report;
mod unfetchable;
mod unwritten;
mod values;
mod withdrawing;
