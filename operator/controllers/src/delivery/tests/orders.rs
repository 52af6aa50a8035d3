//! Tests of what delivery knows of the orders for a device, also of those that cannot be read.

use entente_crds::v1alpha1::SupplyOrder;
use entente_domain::errors::KnownOrder;

use super::{
    super::{observe, triggers},
    *,
};
use crate::{
    cache::{Key, UnreadableChange},
    in_process::woken,
};

/// Returns the orders in the snapshot of the device of an operator that is started with these objects.
async fn known(process: &InProcess) -> Vec<KnownOrder> {
    let (parts, _trigger) = process.parts().await;
    let delivery = delivery(parts);
    let snapshot = observe::snapshot(&delivery, &Key::new(NAMESPACE, DEVICE)).await;
    snapshot.supply_orders
}

fn spoil(process: &InProcess, pointer: &str) {
    let name = example::supply_order().name_any();
    process
        .cluster
        .edit_json::<SupplyOrder>(NAMESPACE, &name, |order| {
            *order.pointer_mut(pointer).expect("the field") = json!([7]);
        });
}

// shows A9 A10 K7
#[tokio::test(start_paused = true)]
async fn an_order_that_cannot_be_read_counts_as_far_as_it_can_be() {
    let process = prepared();
    process.cluster.apply(&example::supply_order());
    let before = known(&process).await;
    assert!(before.len() == 1 && !before[0].is_unreadable, "{before:?}");
    for (field, lines) in [
        ("/spec/record/provider", before[0].lines.len()),
        ("/spec/record/lines/0/partNumber", 0),
        // Its name says whose it is.
        ("/spec/record/device/name", 0),
    ] {
        spoil(&process, field);
        let found = known(&process).await;
        let [order] = &found[..] else {
            panic!("{field}: {found:?}");
        };
        assert!(order.is_unreadable && order.is_open, "{field}: {order:?}");
        assert_eq!(order.name, before[0].name, "{field}");
        assert_eq!(order.lines.len(), lines, "{field}");
    }
}

// shows K7
#[tokio::test(start_paused = true)]
async fn an_order_that_cannot_be_read_any_more_wakes_its_device() {
    let process = prepared();
    process.cluster.apply(&example::supply_order());
    spoil(&process, "/spec/record/provider");
    let (parts, _trigger) = process.parts().await;
    let delivery = delivery(parts);
    let unreadable = delivery.objects.orders.unreadable();
    let object = Arc::clone(&unreadable[0]);
    for is_over in [false, true] {
        let change = UnreadableChange {
            object: Arc::clone(&object),
            is_over,
        };
        let found = woken(&delivery, triggers::unreadable::supply_order, &change).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, format!("{NAMESPACE}/{DEVICE}"));
    }
}
