//! Tests of single decisions of delivery. Whole passes are in `tests/delivery`.

mod bounds;
mod claim;
mod claim_report;
mod comparison;
mod endpoint;
mod intent;
mod offering;
mod precedence;
mod revision;
mod sources;
mod values;
