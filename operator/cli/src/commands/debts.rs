//! `owed`: what customers are owed.

use entente_domain::views::{self, OwedFilter};
use jiff::Timestamp;

use super::CommandError;
use crate::args::{Output, OwedArgs, OwedOutput, OwedState};
use crate::cluster::{Cluster, Place};
use crate::objects::compensations;
use crate::outcome::{Code, Outcome};
use crate::render::{self, Shown};
use crate::screen::Screen;

pub(super) async fn run(
    cluster: &Cluster,
    args: &OwedArgs,
    screen: &Screen,
    now: Timestamp,
) -> Result<Outcome, CommandError> {
    let place = cluster.place();
    let found = compensations(cluster, &place).await?;
    let filter = OwedFilter {
        customer: args.customer.clone(),
        contract: args.contract.clone(),
        state: args.state.map(|state| match state {
            OwedState::Growing => views::OwedState::Growing,
            OwedState::Final => views::OwedState::Final,
            OwedState::Voided => views::OwedState::Voided,
        }),
    };
    let view = views::owed(&found.items, &filter, now);
    let output = match args.output {
        OwedOutput::Table => Output::Table,
        OwedOutput::Wide => Output::Wide,
        OwedOutput::Json => Output::Json,
        OwedOutput::Yaml => Output::Yaml,
        OwedOutput::Journal => {
            let text = render::journal(&view);
            return Ok(Outcome::new(text, Code::Settled).with_notes(found.unread));
        }
    };
    let outcome = render::outcome(&view, output, Code::Settled, || {
        if view.compensations.is_empty() {
            return Shown::Nothing(format!("nothing is owed{}", place.within()));
        }
        let everywhere = place == Place::Everywhere;
        let wide = output == Output::Wide;
        Shown::Text(render::debts(&view, everywhere, wide, screen))
    });
    Ok(outcome.with_notes(found.unread))
}
