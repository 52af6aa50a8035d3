//! Debts: one line for each Compensation, then the sums.

use entente_domain::views::{OwedState, OwedView};

use super::table::{Table, or_dash, plainly};
use super::text::counted;
use crate::screen::{Screen, Tone};

/// Returns the debts and their sums; with their namespaces if several are asked.
pub(crate) fn debts(view: &OwedView, with_namespace: bool, wide: bool, screen: &Screen) -> String {
    let debts = each(view, with_namespace, wide, screen);
    let mut text = format!("{debts}\n{}", sums(view, with_namespace, screen));
    if let [total] = view.totals.as_slice()
        && view.sums.len() > 1
    {
        text += &format!("\nTogether: {} {}\n", total.currency, total.value);
    } else if view.totals.len() > 1 && view.sums.len() > view.totals.len() {
        let totals = view.totals.iter();
        let totals = totals.map(|total| format!("{} {}", total.currency, total.value));
        let totals: Vec<String> = totals.collect();
        text += &format!("\nTogether: {}\n", totals.join(", "));
    }
    if !view.unreadable.is_empty() {
        text += &format!(
            "\nIn no sum, since the amount is no decimal: {}\n",
            view.unreadable.join(", ")
        );
    }
    text
}

fn each(view: &OwedView, with_namespace: bool, wide: bool, screen: &Screen) -> String {
    let mut headings = vec![
        "CUSTOMER", "CONTRACT", "SERVICE", "DEVICE", "LATE", "STATE", "AMOUNT",
    ];
    if wide {
        headings.extend(["PROMISED", "REMEDY", "CAUSE", "COMPENSATION"]);
    }
    let optional = ["LATE", "SERVICE", "CUSTOMER"];
    let mut table = Table::new(headings, with_namespace)
        .right(&["AMOUNT"])
        .optional(if wide { &[] } else { &optional });
    for row in &view.compensations {
        let tone = match row.state {
            OwedState::Growing => Tone::Busy,
            OwedState::Final => Tone::Plain,
            OwedState::Voided => Tone::Dim,
        };
        let amount = row.amount.as_ref();
        let amount = amount.map(|it| format!("{} {}", it.currency, it.value));
        let mut cells = vec![
            plainly(&*row.customer),
            plainly(&*row.contract),
            plainly(&*row.service),
            plainly(&*row.device),
            or_dash(row.late.as_deref()),
            (row.state.as_str().to_owned(), tone),
            or_dash(amount.as_deref()),
        ];
        if wide {
            cells.push(plainly(&*row.promised.local));
            cells.push(plainly(&*row.remedy));
            cells.push(or_dash(Some(&row.causes.join(", "))));
            cells.push(plainly(&*row.name));
        }
        table.row(&row.namespace, cells);
    }
    table.render(screen)
}

fn sums(view: &OwedView, with_namespace: bool, screen: &Screen) -> String {
    if view.sums.is_empty() {
        let number = view.compensations.len();
        return format!("No amount yet in {}.\n", counted(number, "compensation"));
    }
    let headings = vec![
        "CUSTOMER", "CONTRACT", "CURRENCY", "FINAL", "GROWING", "TOTAL",
    ];
    let mut table = Table::new(headings, with_namespace).right(&["FINAL", "GROWING", "TOTAL"]);
    for sum in &view.sums {
        let cells = vec![
            plainly(&*sum.customer),
            plainly(&*sum.contract),
            plainly(&*sum.currency),
            plainly(&*sum.final_sum),
            plainly(&*sum.growing),
            (sum.total.clone(), Tone::Bold),
        ];
        table.row(&sum.namespace, cells);
    }
    table.render(screen)
}
