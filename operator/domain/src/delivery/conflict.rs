//! Who wins where two subscriptions want the same device (api section 12).
//!
//! The subscriptions come in order of precedence. Called by resolve.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::condition::Reason;

use super::resolve::{Blocked, Intent, ResolvedSubscription, Wanted};

/// Refuses every subscription in force whose service or exclusive group another one has.
pub(super) fn refuse_losers(subscriptions: &mut [ResolvedSubscription]) {
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for subscription in subscriptions.iter_mut() {
        if subscription.intent != Intent::SetUp {
            continue;
        }
        let winner = subscription.claims.iter().find_map(|claim| taken.get(claim)).cloned();
        if let Some(winner) = winner {
            subscription.refused = Some(Blocked::new(
                Reason::ConflictingContract,
                format!(
                    "{winner} has this service on this device and comes first; end it in one of \
                     the two contracts"
                ),
            ));
            continue;
        }
        for claim in &subscription.claims {
            taken.insert(claim.clone(), subscription.name.clone());
        }
    }
}

/// Marks every device setting for which an earlier subscription wants another value.
pub(super) fn mark_settings(subscriptions: &mut [ResolvedSubscription]) {
    let mut wanted: BTreeMap<String, (String, String)> = BTreeMap::new();
    for subscription in subscriptions.iter_mut() {
        if subscription.intent != Intent::SetUp || subscription.refused.is_some() {
            continue;
        }
        let name = subscription.name.clone();
        let mut own = BTreeSet::new();
        for item in subscription.steps.iter_mut().flat_map(|step| step.items.iter_mut()) {
            let Wanted::DeviceSetting { attribute, .. } = &item.wanted else { continue };
            match wanted.get(attribute) {
                Some((winner, digest)) if *digest != item.digest => {
                    item.conflict = Some(Blocked::new(
                        Reason::SettingsConflict,
                        format!(
                            "{winner} and {name} want different values for {}; {winner} comes \
                             first",
                            item.key
                        ),
                    ));
                }
                Some(_) => {}
                None => {
                    own.insert((attribute.clone(), item.digest.clone()));
                }
            }
        }
        for (attribute, digest) in own {
            wanted.insert(attribute, (name.clone(), digest));
        }
    }
}
