//! Journal: final amounts as transactions of plain text accounting, which hledger and ledger read.
//!
//! An amount that still grows is in none: a journal is written once. A voided record is in none either.

use entente_domain::views::{OwedRow, OwedState, OwedView};

/// The account that bears the costs.
const COSTS: &str = "expenses:entente";

/// Returns a transaction for each final amount, dated by the promised day.
pub(crate) fn journal(view: &OwedView) -> String {
    let rows = view.compensations.iter();
    let rows = rows.filter(|row| row.state == OwedState::Final);
    rows.filter_map(transaction).collect::<Vec<_>>().join("\n")
}

fn transaction(row: &OwedRow) -> Option<String> {
    let amount = row.amount.as_ref()?;
    let date = row.promised.local.split(' ').next().unwrap_or_default();
    // Two spaces end the name of an account, so there is none with two; ids and names have no space.
    let account = format!("entente:owed:{}:{}", row.customer, row.contract);
    let OwedRow {
        namespace,
        name,
        service,
        device,
        ..
    } = row;
    let (currency, value) = (&amount.currency, &amount.value);
    Some(format!(
        "{date} * {} {service} on {device}\n    ; {namespace}/{name}\n    {account}  {currency} -{value}\n    {COSTS}  {currency} {value}\n",
        row.contract
    ))
}
