//! `starts`: the contracts that begin soon, and those of them that are at risk.

use entente_domain::views::{age, starts};
use jiff::Timestamp;

use super::CommandError;
use crate::args::StartsArgs;
use crate::cluster::{Cluster, Place};
use crate::objects::contracts;
use crate::outcome::{Code, Outcome};
use crate::render::{self, Shown};
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
    let outcome = render::outcome(&rows, args.output, Code::Settled, || {
        if !rows.is_empty() {
            let everywhere = place == Place::Everywhere;
            return Shown::Text(render::starts(&rows, everywhere, screen));
        }
        let (within, place) = (age(args.within), place.within());
        Shown::Nothing(if args.at_risk {
            format!("no contract{place} that begins within {within} is at risk")
        } else {
            format!("no contract{place} begins within {within}")
        })
    });
    Ok(outcome.with_notes(found.unread))
}
