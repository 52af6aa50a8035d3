//! The series of the gateway that devices call. Written by the crate `entente-gateway`.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Metrics;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    route: &'static str,
    code: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// The series of the gateway.
#[derive(Debug, Default)]
pub(super) struct GatewaySeries {
    requests: Family<RequestLabels, Counter>,
    registrations: Family<OutcomeLabels, Counter>,
    held: Gauge,
    events: Family<OutcomeLabels, Counter>,
    deliveries: Family<OutcomeLabels, Counter>,
}

impl GatewaySeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        let text = "Requests of devices to the gateway, by route and status code of the answer";
        registry.register("gateway_requests", text, self.requests.clone());
        let text = "Registrations of devices, by outcome";
        registry.register("gateway_registrations", text, self.registrations.clone());
        let text = "Requests of devices that are held until something changes";
        registry.register("gateway_held_requests", text, self.held.clone());
        let text = "Events of devices, once for each provider concerned, by outcome";
        registry.register("gateway_events", text, self.events.clone());
        let text = "Deliveries of events to providers, each of the part of one batch, by outcome";
        registry.register("gateway_event_deliveries", text, self.deliveries.clone());
    }
}

impl Metrics {
    /// Counts a request of a device: the route is one of a closed list, never a path.
    pub fn gateway_request(&self, route: &'static str, code: u16) {
        let labels = RequestLabels { route, code };
        self.gateway.requests.get_or_create(&labels).inc();
    }

    /// Counts a registration: `Registered`, `Pending`, or the reason of its refusal.
    pub fn gateway_registration(&self, outcome: &'static str) {
        let labels = OutcomeLabels { outcome };
        self.gateway.registrations.get_or_create(&labels).inc();
    }

    /// Counts events of a device: `Forwarded`, `Repeated`, `NotRequested`, `RefusedByProvider`,
    /// `TooManyErrors`, or `Deferred` where the device has to keep them.
    pub fn gateway_events(&self, outcome: &'static str, number: usize) {
        if number > 0 {
            let labels = OutcomeLabels { outcome };
            let events = self.gateway.events.get_or_create(&labels);
            events.inc_by(u64::try_from(number).unwrap_or(u64::MAX));
        }
    }

    /// Counts a delivery of events to a provider: `Taken`, or the reason of its failure.
    pub fn gateway_event_delivery(&self, outcome: &'static str) {
        let labels = OutcomeLabels { outcome };
        self.gateway.deliveries.get_or_create(&labels).inc();
    }

    /// Counts a request that begins to be held (1), or is held no more (-1).
    pub fn gateway_held(&self, change: i64) {
        self.gateway.held.inc_by(change);
    }
}
