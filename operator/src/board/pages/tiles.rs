//! The numbers at the top of the first page.
//!
//! It decides which number is good news. What a viewer may not see, and what nothing was found for, is
//! none.

use entente_controllers::board::{COMPENSATIONS, CONTRACTS, SUBSCRIPTIONS};
use entente_domain::views::Board;

use crate::board::ask::BACK_DAYS;

/// A number with its words, which leads to its section.
pub(super) struct Tile {
    /// Class in the style.
    pub(super) tone: &'static str,
    /// Id of the section.
    pub(super) section: &'static str,
    pub(super) number: String,
    pub(super) words: String,
}

/// The first page, as the tiles need it.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) board: &'a Board,
    /// Plurals of the kinds that the viewer may list nowhere.
    pub(super) hidden: &'a [&'static str],
    /// Time ahead, in words.
    pub(super) days: &'a str,
}

impl Shown<'_> {
    pub(super) fn tiles(self) -> Vec<Tile> {
        let refused = (!self.board.refused.is_empty()).then(|| self.refused());
        let [starts, late, owed, devices] =
            [self.starts(), self.late(), self.owed(), self.devices()];
        let first = std::iter::once(starts).chain(refused);
        first.chain([late, owed, devices]).collect()
    }

    /// Returns a tile about a kind, that is good news or has a tone.
    fn tile(
        self,
        (kind, section): (&str, &'static str),
        bad: Option<&'static str>,
        number: String,
        words: String,
    ) -> Tile {
        let is_hidden = self.hidden.contains(&kind);
        let tone = match bad {
            _ if is_hidden => "",
            Some(bad) => bad,
            None if self.board.names.is_empty() => "",
            None => "good",
        };
        Tile {
            tone,
            section,
            number: if is_hidden {
                "Not shown".to_owned()
            } else {
                number
            },
            words,
        }
    }

    fn starts(self) -> Tile {
        let risks = self.board.at_risk();
        let number = format!("{risks} of {}", self.board.starts.len());
        let words = format!("starts within {} are at risk", self.days);
        let bad = (risks > 0).then_some("warn");
        self.tile((CONTRACTS, "starts"), bad, number, words)
    }

    fn refused(self) -> Tile {
        let count = self.board.refused.len();
        let words = one_or_many(count, "contract is refused", "contracts are refused");
        let number = count.to_string();
        self.tile((CONTRACTS, "refused"), Some("bad"), number, words)
    }

    fn late(self) -> Tile {
        let count = self.board.late.len();
        let words = one_or_many(count, "service is late now", "services are late now");
        let bad = (count > 0).then_some("bad");
        self.tile((SUBSCRIPTIONS, "late"), bad, count.to_string(), words)
    }

    fn owed(self) -> Tile {
        let totals = self.board.owed.totals.iter();
        let totals: Vec<String> = totals
            .map(|total| format!("{} {}", total.currency, total.value))
            .collect();
        let bad = (!totals.is_empty()).then_some("warn");
        let number = if totals.is_empty() {
            "Nothing".to_owned()
        } else {
            totals.join(", ")
        };
        let words = "owed to customers".to_owned();
        self.tile((COMPENSATIONS, "owed"), bad, number, words)
    }

    fn devices(self) -> Tile {
        let count = self.board.devices.len();
        let devices = one_or_many(count, "device", "devices");
        let words = format!("{devices} made us late in {BACK_DAYS} days");
        let bad = (count > 0).then_some("warn");
        self.tile((SUBSCRIPTIONS, "devices"), bad, count.to_string(), words)
    }
}

fn one_or_many(count: usize, one: &str, many: &str) -> String {
    if count == 1 { one } else { many }.to_owned()
}
