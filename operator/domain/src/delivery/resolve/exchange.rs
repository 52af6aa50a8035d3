//! Exchange: the instance of a subscription whose service was replaced by another one of its exclusive
//! group (C11).
//!
//! Decides whether the instance in status is set aside, to serve until the other one does, or gives
//! its place back to one that was set aside. Without a group, or where the same SmartService was
//! edited, it is removed as ever. Called by resolve.

use entente_crds::v1alpha1::{ServerInstance, ServiceSubscription, SmartService};

use crate::delivery::{
    DeviceSnapshot, Exchange, Intent, ResolvedServer, ResolvedSubscription, leaving::leaving,
    observations::record::may_exist,
};

/// Returns the fate of the instance in status; `None` if it is the wanted one, or is none of a change
/// of provider.
pub(in crate::delivery) fn exchange_of(
    snapshot: &DeviceSnapshot,
    subscription: &ServiceSubscription,
    resolved: &ResolvedSubscription,
) -> Option<Exchange> {
    let wanted = resolved.server.as_ref();
    if resolved.intent != Intent::SetUp || resolved.refused.is_some() || resolved.name.is_leaving()
    {
        return None;
    }
    let group = resolved.group()?;
    let status = subscription.status.as_ref()?;
    let is_another = |recorded: &ServerInstance| {
        let recorded = ResolvedServer::from_record(snapshot, subscription, recorded);
        wanted.is_none_or(|wanted| recorded.is_another_than(wanted))
    };
    let recorded = status.server.as_ref();
    let recorded = recorded.filter(|it| may_exist(it) && is_another(it));
    if let Some(left) = leaving(subscription) {
        let names_offering = |of: &ResolvedServer| {
            let recorded = left.server.offering.as_deref();
            recorded.is_none_or(|recorded| recorded == of.offering_name)
        };
        let is_wanted =
            left.ended.is_none() && !is_another(&left.server) && wanted.is_some_and(names_offering);
        let has_own = status.server.as_ref().is_some_and(|it| !is_another(it));
        if is_wanted && !has_own {
            return Some(Exchange::Returns);
        }
        // Once the first one is being removed, the one that took its place serves, and the next one
        // waits. One that was never on is removed as ever, while the first one serves.
        let serves = left.ended.is_some();
        return (recorded.is_some() && serves).then_some(Exchange::Waits);
    }
    let recorded = recorded?;
    let effective = resolved.revision.as_ref()?.effective;
    let is_of_recorded = |service: &SmartService| {
        service.spec.server.as_ref().is_some_and(|side| {
            side.connection_ref.name == recorded.connection_ref.name
                && recorded
                    .offering
                    .as_ref()
                    .is_none_or(|it| *it == side.offering)
        })
    };
    let before = subscription.spec.revisions.iter();
    let before = before.filter(|revision| revision.effective < effective);
    let with_service = before.filter_map(|revision| {
        let service = snapshot.services.get(&revision.service_ref.name)?;
        is_of_recorded(service).then_some((revision, service))
    });
    let (made_for, service) = with_service.max_by_key(|(revision, _)| revision.effective)?;
    let is_of_group = service.spec.exclusive_group.as_deref() == Some(group);
    is_of_group.then(|| Exchange::Leaves {
        group: group.to_owned(),
        effective: made_for.effective,
    })
}
