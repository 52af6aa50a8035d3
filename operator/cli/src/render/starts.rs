//! Starts: contracts by their start; below the table, in words, what speaks against a start in time.

use entente_domain::views::StartRow;

use super::table::{Table, plainly};
use super::text::wrapped;
use crate::screen::{Screen, Tone};

/// Returns the list; with their namespaces if several are asked.
pub(crate) fn starts(rows: &[StartRow], with_namespace: bool, screen: &Screen) -> String {
    let headings = vec!["NAME", "CUSTOMER", "START", "IN", "SERVICES", "RISK"];
    let mut table = Table::new(headings, with_namespace)
        .right(&["SERVICES"])
        .optional(&["SERVICES", "CUSTOMER"]);
    for row in rows {
        let risk = if row.at_risk {
            (row.reason.clone(), Tone::Bad)
        } else {
            ("none".to_owned(), Tone::Good)
        };
        let left = row.start.relative.strip_prefix("in ");
        let cells = vec![
            (row.name.clone(), Tone::Bold),
            plainly(&*row.customer),
            plainly(&*row.start.local),
            plainly(left.unwrap_or(&row.start.relative)),
            plainly(row.subscriptions.to_string()),
            risk,
        ];
        table.row(&row.namespace, cells);
    }
    let mut text = table.render(screen);
    for row in rows
        .iter()
        .filter(|row| row.at_risk && !row.message.is_empty())
    {
        let words = format!("{}/{}: {}", row.namespace, row.name, row.message);
        text.push('\n');
        for line in wrapped(&words, screen.width) {
            text += &line;
            text.push('\n');
        }
    }
    text
}
