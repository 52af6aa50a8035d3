//! Tests of what waits while a subscription of the device, or the service of one, cannot be read.

use std::sync::Arc;

use entente_crds::{
    condition::Reason,
    v1alpha1::{Item, ItemState, ServiceSubscriptionStatus},
};

use super::precedence::{DAY, FIRST, Wish, refused, snapshot, start};
use crate::delivery::{DeviceSnapshot, Intent, resolve::resolve};
use crate::unreadable::Referent;

/// A subscription of a service of the group `copies`, and one of another service of that group.
const COPY: Wish = Wish {
    contract: "first",
    service: "copy",
    ..FIRST
};
const RIVAL: Wish = Wish {
    contract: "second",
    service: "rival",
    from: 1,
    ..FIRST
};

/// Says that an item of a subscription was proved.
fn stands(snapshot: &mut DeviceSnapshot, place: usize) {
    let subscription = Arc::make_mut(&mut snapshot.subscriptions[place]);
    subscription.status = Some(ServiceSubscriptionStatus {
        items: vec![Item {
            state: ItemState::Effective,
            ..Item::default()
        }],
        ..ServiceSubscriptionStatus::default()
    });
}

fn with_an_unread_service(mut snapshot: DeviceSnapshot, name: &str) -> DeviceSnapshot {
    snapshot.services.remove(name);
    let unread = (Referent::SmartService, name.to_owned());
    snapshot.unreadable = [unread].into_iter().collect();
    snapshot
}

// shows C11 K7
#[test]
fn a_rival_is_not_set_up_while_the_group_of_the_first_is_not_known_and_is_not_removed_either() {
    let now = start() + DAY * 2;
    let known = snapshot(&[COPY, RIVAL]);
    let lost = Some(Reason::ConflictingContract);
    assert_eq!(refused(&resolve(&known, now), "second.rival"), lost);
    let unknown = with_an_unread_service(known, "copy");
    let waits = Some(Reason::Undecodable);
    let both = resolve(&unknown, now);
    assert_eq!(refused(&both, "first.copy"), waits);
    assert_eq!(refused(&both, "second.rival"), waits);
    // One without a group, and what comes first, do not wait.
    let other = Wish {
        contract: "third",
        ..FIRST
    };
    let others = with_an_unread_service(snapshot(&[COPY, other]), "copy");
    assert_eq!(refused(&resolve(&others, now), "third.data-backup"), None);
    let first = with_an_unread_service(snapshot(&[COPY, RIVAL]), "rival");
    assert_eq!(refused(&resolve(&first, now), "first.copy"), None);
    // What stands goes on.
    let mut standing = with_an_unread_service(snapshot(&[COPY, RIVAL]), "copy");
    stands(&mut standing, 1);
    assert_eq!(refused(&resolve(&standing, now), "second.rival"), None);
}

// shows K7
#[test]
fn nothing_is_begun_on_a_device_of_which_a_subscription_cannot_be_read_and_what_stands_goes_on() {
    let mut snapshot = snapshot(&[FIRST]);
    let name = "earlier.data-backup.lobby-mfp";
    snapshot.unreadable_subscriptions = [name.into()].into();
    let resolved = resolve(&snapshot, start() + DAY);
    assert_eq!(
        refused(&resolved, "first.data-backup"),
        Some(Reason::Undecodable)
    );
    let blocked = resolved.subscriptions[0].refused.as_ref();
    assert!(
        blocked.is_some_and(|it| it.message.contains(name)),
        "{blocked:?}"
    );
    let ahead = resolve(&snapshot, start() - DAY);
    assert_eq!(refused(&ahead, "first.data-backup"), None, "nothing is due");
    let Intent::Scheduled { early_from, .. } = ahead.subscriptions[0].intent else {
        panic!("its start lies ahead");
    };
    assert_eq!(early_from, None);
    stands(&mut snapshot, 0);
    let resolved = resolve(&snapshot, start() + DAY);
    assert_eq!(refused(&resolved, "first.data-backup"), None);
}
