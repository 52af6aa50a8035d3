//! Tests of single decisions of delivery. Whole passes are in `tests/delivery`.

mod bounds;
mod claim;
mod claim_report;
mod comparison;
mod endpoint;
mod revision;
mod values;
