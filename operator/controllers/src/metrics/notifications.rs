//! The series of the notifications of printers.
//!
//! Written to by the listeners.

use entente_domain::remote::PrinterEvent;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct EventLabels {
    event: &'static str,
}

/// Subscriptions of printers, and the passes that they woke.
#[derive(Debug)]
pub(crate) struct NotificationSeries {
    subscriptions: Gauge,
    wakes: Family<EventLabels, Counter>,
}

impl Default for NotificationSeries {
    fn default() -> Self {
        let series = Self {
            subscriptions: Gauge::default(),
            wakes: Family::default(),
        };
        for event in PrinterEvent::ALL {
            series.wakes.get_or_create(&labels(event)).inc_by(0);
        }
        series
    }
}

impl NotificationSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        let text = "Devices that keep a subscription to their notifications for this replica";
        registry.register("printer_subscriptions", text, self.subscriptions.clone());
        let text = "Passes over a device that a notification of it woke, by event";
        registry.register("notification_wakes", text, self.wakes.clone());
    }

    /// Reports the number of devices that keep a subscription.
    pub(crate) fn set_subscribed(&self, devices: usize) {
        let devices = i64::try_from(devices).unwrap_or(i64::MAX);
        self.subscriptions.set(devices);
    }

    /// Counts a pass that was woken.
    pub(crate) fn woke(&self, events: impl Iterator<Item = PrinterEvent>) {
        for event in events {
            self.wakes.get_or_create(&labels(event)).inc();
        }
    }
}

fn labels(event: PrinterEvent) -> EventLabels {
    EventLabels {
        event: event.keyword(),
    }
}
