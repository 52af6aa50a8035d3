//! Compensations: the records of what a missed promise owes, and their amounts (D4, D5, D8, D9).
//!
//! Decides how much of a delay counts, what that is worth, which records are made, and their
//! status. It must never judge whether a promise was missed (the delivery controller does, in
//! `promise`), read a clock, or round more than once. Called by the compensation controller.

#![deny(
    clippy::float_arithmetic,
    reason = "money is exact until it is rounded once"
)]

mod earlier;
mod exact;
mod fee_credit;
mod lateness;
mod record;
mod report;

pub use earlier::{EarlierCredit, earlier_credits};
pub use fee_credit::{Credit, CreditTerms, PeriodCredit, fee_credit};
pub use lateness::{CauseTotal, Interval, LatenessTerms, OwedTime, owed_time};
pub use record::{booking_key, records_for, successor};
pub use report::{
    CalculationError, UnreadableSource, accrued_until, first_accrual, next_accrual, report,
    report_unread,
};
