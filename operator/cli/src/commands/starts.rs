//! `starts`: the contracts that begin soon, and those of them that are at risk.

use entente_domain::views::starts;
use jiff::Timestamp;

use super::CommandError;
use crate::args::StartsArgs;
use crate::cluster::{Cluster, Place};
use crate::objects::contracts;
use crate::outcome::{Code, Outcome};
use crate::render;
use crate::screen::Screen;

pub(super) async fn run(
    cluster: &Cluster,
    args: &StartsArgs,
    screen: &Screen,
    now: Timestamp,
) -> Result<Outcome, CommandError> {
    let place = cluster.place();
    let found = contracts(cluster, &place).await?;
    let mut rows = starts(&found.items, args.within, now);
    rows.retain(|row| row.at_risk || !args.at_risk);
    if let Some(text) = render::for_programs(&rows, args.output) {
        return Ok(Outcome::new(text, Code::Settled).with_notes(found.unread));
    }
    if rows.is_empty() {
        let within = entente_domain::views::age(args.within);
        let place = place.told().replace(" of", " in");
        let note = if args.at_risk {
            format!("no contract{place} that begins within {within} is at risk")
        } else {
            format!("no contract{place} begins within {within}")
        };
        let outcome = Outcome::new(String::new(), Code::Settled).with_notes([note]);
        return Ok(outcome.with_notes(found.unread));
    }
    let text = render::starts(&rows, place == Place::Everywhere, screen);
    Ok(Outcome::new(text, Code::Settled).with_notes(found.unread))
}
