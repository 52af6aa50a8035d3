//! Lateness: one block of lines for each device, one line for each cause.

use entente_domain::views::LateDevice;

use super::table::{Table, plainly};
use crate::screen::{Screen, Tone};

/// Returns the list; with their namespaces if several are asked.
pub(crate) fn lateness(devices: &[LateDevice], with_namespace: bool, screen: &Screen) -> String {
    let headings = vec!["DEVICE", "CONTRACT", "MISSED", "CAUSE", "REASON", "LATE"];
    let mut table = Table::new(headings, with_namespace)
        .right(&["MISSED", "LATE"])
        .optional(&["MISSED", "CONTRACT"]);
    for device in devices {
        for (index, part) in device.parts.iter().enumerate() {
            let first = |text: &str| plainly(if index == 0 { text } else { "" });
            let contracts: Vec<&str> = device.contracts.iter().map(String::as_str).collect();
            let lasts = if index == 0 && device.lasts { "+" } else { "" };
            let cells = vec![
                first(&device.device),
                first(&contracts.join(", ")),
                first(&device.promises.to_string()),
                plainly(format!("{:?}", part.cause)),
                plainly(&*part.reason),
                (
                    format!("{}{lasts}", part.late),
                    if device.lasts { Tone::Bad } else { Tone::Plain },
                ),
            ];
            table.row(if index == 0 { &device.namespace } else { "" }, cells);
        }
    }
    let mut text = table.render(screen);
    if devices.iter().any(|device| device.lasts) {
        text += "\n+ still grows\n";
    }
    text
}
