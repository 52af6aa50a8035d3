//! `status`: one contract as a tree, several as a list. The exit code is that of the worst of them.

use entente_crds::v1alpha1::Contract;
use entente_domain::views::{ContractRow, Health, TreeOptions, contract_rows, contract_tree};
use jiff::Timestamp;

use super::CommandError;
use crate::args::{Output, StatusArgs};
use crate::cluster::{Cluster, Place};
use crate::objects::{contracts, subscriptions_of};
use crate::outcome::{Code, Outcome};
use crate::render::{self, Shown};
use crate::screen::Screen;

pub(super) async fn run(
    cluster: &Cluster,
    args: &StatusArgs,
    screen: &Screen,
    now: Timestamp,
) -> Result<Outcome, CommandError> {
    match (args.contracts.as_slice(), cluster.place()) {
        ([], place) => all(cluster, &place, args.output, screen).await,
        (_, Place::Everywhere) => Err(CommandError::Usage(
            "a contract is in one namespace: name it with -n NAMESPACE in place of -A".to_owned(),
        )),
        ([name], _) => one(cluster, name, args.output, screen, now).await,
        (names, place) => {
            let mut found = Vec::new();
            for name in names {
                found.push(cluster.get::<Contract>(name).await?);
            }
            Ok(list(&found, &place, args.output, screen))
        }
    }
}

async fn one(
    cluster: &Cluster,
    name: &str,
    output: Output,
    screen: &Screen,
    now: Timestamp,
) -> Result<Outcome, CommandError> {
    let contract = cluster.get::<Contract>(name).await?;
    let subscriptions = subscriptions_of(cluster, name).await?;
    let is_wide = output == Output::Wide;
    let options = TreeOptions {
        everything: output != Output::Table,
        ..TreeOptions::default()
    };
    let unread = subscriptions.unread;
    let items = &subscriptions.items;
    let view = contract_tree(&contract, items, unread.clone(), options, now);
    let code = Code::from(view.ready.health);
    let outcome = render::outcome(&view, output, code, || {
        Shown::Text(render::tree(&view, is_wide, screen, now))
    });
    Ok(outcome.with_notes(unread))
}

async fn all(
    cluster: &Cluster,
    place: &Place,
    output: Output,
    screen: &Screen,
) -> Result<Outcome, CommandError> {
    let listed = contracts(cluster, place).await?;
    let outcome = list(&listed.items, place, output, screen);
    Ok(outcome.with_notes(listed.unread))
}

fn list(contracts: &[Contract], place: &Place, output: Output, screen: &Screen) -> Outcome {
    let rows = contract_rows(contracts);
    let worst = rows.iter().map(|row: &ContractRow| row.ready.health).max();
    let code = Code::from(worst.unwrap_or(Health::Settled));
    render::outcome(&rows, output, code, || {
        if rows.is_empty() {
            return Shown::Nothing(format!("there is no contract{}", place.within()));
        }
        let everywhere = *place == Place::Everywhere;
        let wide = output == Output::Wide;
        Shown::Text(render::contracts(&rows, everywhere, wide, screen))
    })
}
