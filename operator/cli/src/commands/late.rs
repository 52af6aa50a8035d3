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
use crate::render::{self, Shown};
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
    let outcome = render::outcome(&devices, args.output, Code::Settled, || {
        if devices.is_empty() {
            let filters = filters(args);
            return Shown::Nothing(format!("no promise was missed{filters}{}", place.within()));
        }
        let everywhere = place == Place::Everywhere;
        Shown::Text(render::lateness(&devices, everywhere, screen))
    });
    Ok(outcome.with_notes(subscriptions.unread.into_iter().chain(records.unread)))
}

/// Returns the filters as a part of a sentence: ` of contract banco-sul`.
fn filters(args: &LateArgs) -> String {
    let contract = args.contract.as_ref();
    let contract = contract.map_or_else(String::new, |it| format!(" of contract {it}"));
    let cause = args.cause;
    let cause = cause.map_or_else(String::new, |it| format!(" by the cause {it:?}"));
    let since = args.since;
    let since = since.map_or_else(String::new, |it| format!(" within {it:#}"));
    format!("{contract}{cause}{since}")
}
