//! Contracts as a list.

use entente_domain::views::ContractRow;

use super::table::{Table, or_dash, plainly};
use crate::screen::{Screen, Tone};

/// Returns the list; with their namespaces if several are asked.
pub(crate) fn contracts(
    rows: &[ContractRow],
    with_namespace: bool,
    wide: bool,
    screen: &Screen,
) -> String {
    let mut headings = vec![
        "NAME",
        "CUSTOMER",
        "STATE",
        "REASON",
        "DELIVERED",
        "NEXT",
        "OWED",
    ];
    if wide {
        headings.push("MESSAGE");
    }
    let optional = ["NEXT", "CUSTOMER", "OWED"];
    let mut table =
        Table::new(headings, with_namespace).optional(if wide { &[] } else { &optional });
    for row in rows {
        let mut cells = vec![
            (row.name.clone(), Tone::Bold),
            plainly(&*row.customer),
            (
                row.ready.health.as_str().to_owned(),
                row.ready.health.into(),
            ),
            plainly(&*row.ready.reason),
            or_dash(row.delivered.as_deref()),
            or_dash(row.next.as_deref()),
            or_dash(row.owed.as_deref()),
        ];
        if wide {
            cells.push(plainly(&*row.ready.message));
        }
        table.row(&row.namespace, cells);
    }
    table.render(screen)
}
