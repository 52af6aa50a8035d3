//! `late`: the devices on which promises were missed, and the causes.

use entente_crds::v1alpha1::{Compensation, ServiceSubscription};
use entente_domain::views::{LatenessFilter, late_devices};
use jiff::Timestamp;
use kube::api::ListParams;

use super::CommandError;
use crate::args::LateArgs;
use crate::cluster::{Cluster, Listed, Place};
use crate::objects::{compensations, partly};
use crate::outcome::{Code, Outcome};
use crate::render;
use crate::screen::Screen;

pub(super) async fn run(
    cluster: &Cluster,
    args: &LateArgs,
    screen: &Screen,
    now: Timestamp,
) -> Result<Outcome, CommandError> {
    let place = cluster.place();
    let subscriptions: Listed<ServiceSubscription> =
        cluster.list(&place, ListParams::default()).await?;
    let records: Listed<Compensation> = partly(compensations(cluster, &place).await)?;
    let filter = LatenessFilter {
        since: args.since.and_then(|since| now.checked_sub(since).ok()),
        contract: args.contract.clone(),
        cause: args.cause,
    };
    let devices = late_devices(&subscriptions.items, &records.items, &filter, now);
    let notes = subscriptions.unread.into_iter().chain(records.unread);
    if let Some(text) = render::for_programs(&devices, args.output) {
        return Ok(Outcome::new(text, Code::Settled).with_notes(notes));
    }
    if devices.is_empty() {
        let note = format!(
            "no promise was missed{}",
            place.told().replace(" of", " in")
        );
        let outcome = Outcome::new(String::new(), Code::Settled).with_notes([note]);
        return Ok(outcome.with_notes(notes));
    }
    let text = render::lateness(&devices, place == Place::Everywhere, screen);
    Ok(Outcome::new(text, Code::Settled).with_notes(notes))
}
