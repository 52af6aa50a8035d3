//! `owed`: what customers are owed.

use entente_crds::v1alpha1::Compensation;
use entente_domain::views::{self, OwedFilter};
use jiff::Timestamp;

use super::CommandError;
use crate::args::{Output, OwedArgs, OwedOutput, OwedState};
use crate::cluster::{Cluster, Place};
use crate::objects::{compensations, contracts, partly, unknown_name};
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
    if view.compensations.is_empty() {
        known(cluster, args, &found.items).await?;
    }
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
            let filters = filters(args);
            return Shown::Nothing(format!("nothing is owed{filters}{}", place.within()));
        }
        let everywhere = place == Place::Everywhere;
        let wide = output == Output::Wide;
        Shown::Text(render::debts(&view, everywhere, wide, screen))
    });
    Ok(outcome.with_notes(found.unread))
}

/// Returns the filters as a part of a sentence: ` of customer C-4711`.
fn filters(args: &OwedArgs) -> String {
    let named = |what: &str, value: &Option<String>| {
        let value = value.as_ref();
        value.map_or_else(String::new, |it| format!(" of {what} {it}"))
    };
    let state = match args.state {
        None => "",
        Some(OwedState::Growing) => " that is growing",
        Some(OwedState::Final) => " that is final",
        Some(OwedState::Voided) => " that is voided",
    };
    let customer = named("customer", &args.customer);
    format!("{customer}{}{state}", named("contract", &args.contract))
}

/// Checks that the customer and the contract of the filters exist: for a misspelled one the answer is not
/// that nothing is owed.
async fn known(
    cluster: &Cluster,
    args: &OwedArgs,
    records: &[Compensation],
) -> Result<(), CommandError> {
    if args.customer.is_none() && args.contract.is_none() {
        return Ok(());
    }
    let place = cluster.place();
    let found = partly(contracts(cluster, &place).await)?;
    if !found.unread.is_empty() {
        return Ok(());
    }
    let records = || records.iter().map(|it| &it.spec.record);
    if let Some(customer) = &args.customer {
        let ids = found.items.iter().map(|it| &*it.spec.customer.id);
        let ids = ids.chain(records().map(|it| &*it.customer.id));
        if let Some(unknown) = unknown_name("customer", customer, ids, &place) {
            return Err(CommandError::Usage(unknown));
        }
    }
    if let Some(contract) = &args.contract {
        let names = found
            .items
            .iter()
            .filter_map(|it| it.metadata.name.as_deref());
        let names = names.chain(records().map(|it| &*it.contract.name));
        if let Some(unknown) = unknown_name("contract", contract, names, &place) {
            return Err(CommandError::Usage(unknown));
        }
    }
    Ok(())
}
