//! Tests of the wishes that a device is read now: which are open, of the Device and of contracts.

use entente_crds::{ANNOTATION_RECONCILE_AT, example, v1alpha1::ServiceSubscription};
use kube::ResourceExt as _;

use crate::delivery::DeviceSnapshot;

fn subscription(contract: &str, handled: Option<&str>) -> ServiceSubscription {
    let mut subscription = example::service_subscription();
    subscription.spec.contract.uid = contract.to_owned();
    let status = subscription.status.get_or_insert_default();
    status.last_handled_reconcile_at = handled.map(Into::into);
    subscription
}

/// Returns a snapshot of a device with these subscriptions, whose contracts `one` and `two` have
/// wishes.
fn snapshot(subscriptions: Vec<ServiceSubscription>) -> DeviceSnapshot {
    let wishes = [("one", "monday"), ("two", "tuesday")];
    DeviceSnapshot {
        device: Some(example::devices().remove(0).into()),
        subscriptions: subscriptions.into_iter().map(Into::into).collect(),
        contract_wishes: wishes
            .map(|(uid, wish)| (uid.to_owned(), wish.into()))
            .into(),
        ..DeviceSnapshot::default()
    }
}

// shows K5
#[test]
fn a_wish_is_open_until_the_device_and_each_subscription_of_the_contract_repeat_it() {
    let open =
        |subscriptions: Vec<ServiceSubscription>| snapshot(subscriptions).open_wishes().len();
    assert_eq!(open(Vec::new()), 0, "nobody was asked for");
    assert_eq!(open(vec![subscription("one", None)]), 1);
    assert_eq!(open(vec![subscription("one", Some("sunday"))]), 1);
    assert_eq!(open(vec![subscription("one", Some("monday"))]), 0);
    assert_eq!(open(vec![subscription("three", None)]), 0, "it has no wish");
    let half_done = vec![
        subscription("one", Some("monday")),
        subscription("one", None),
    ];
    assert_eq!(open(half_done), 1);
    let both = vec![subscription("one", None), subscription("two", None)];
    assert_eq!(open(both.clone()), 2);
    let mut gone = snapshot(both.clone());
    gone.device = None;
    assert_eq!(gone.open_wishes().len(), 0, "there is nothing to read");
    let mut of_the_device = snapshot(both);
    let mut device = example::devices().remove(0);
    let wish = (ANNOTATION_RECONCILE_AT.to_owned(), "monday".to_owned());
    device.annotations_mut().extend([wish]);
    of_the_device.device = Some(device.into());
    assert_eq!(
        of_the_device.open_wishes().len(),
        3,
        "each is one of its own"
    );
}
