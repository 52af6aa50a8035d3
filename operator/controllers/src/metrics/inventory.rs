//! The gauges that describe objects: written at each scrape, from the sums that the caches keep.
//!
//! Decides their names and that nothing is told of a kind before all its objects were listed once:
//! after a restart a half-read list would look like a fleet that lost its objects. It must never look
//! at the objects themselves: a scrape copies some hundred sums, however many objects there are
//! (docs/adr/0036). The sums are of `entente_domain::inventory`.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, Weak},
};

use entente_domain::inventory::{OPEN_ORDER_STATES, PROMISE_STATES, Series, Tally, in_currency};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, MetricEncoder},
    metrics::{MetricType, gauge::ConstGauge},
};

/// A cache, as the gauges see it.
pub(crate) trait Inventoried: Send + Sync {
    /// Returns the kind of its objects.
    fn kind(&self) -> &str;
    /// True if every object was listed once.
    fn is_listed(&self) -> bool;
    /// Returns the sums over its objects.
    fn tally(&self) -> Tally;
    /// Returns the number of objects whose newest version cannot be read.
    fn unreadable_count(&self) -> usize;
    /// True if it has an object of this name, of a kind of the cluster.
    fn has(&self, name: &str) -> bool;
}

/// The caches whose objects are described.
#[derive(Default)]
pub(super) struct Inventory {
    caches: RwLock<Vec<Weak<dyn Inventoried>>>,
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inventory").finish_non_exhaustive()
    }
}

impl Inventory {
    /// Adds a cache, for as long as it is there.
    pub(super) fn add(&self, cache: Weak<dyn Inventoried>) {
        let mut caches = self.caches.write().unwrap_or_else(PoisonError::into_inner);
        caches.retain(|known| known.strong_count() > 0);
        caches.push(cache);
    }

    /// True unless all objects of the kind were listed, and none of them has this name.
    pub(super) fn may_exist(&self, kind: &str, name: &str) -> bool {
        let mut found = self.listed().into_iter().filter(|it| it.kind() == kind);
        found.next().is_none_or(|cache| cache.has(name))
    }

    /// Returns the caches whose objects were all listed.
    fn listed(&self) -> Vec<Arc<dyn Inventoried>> {
        let caches = self.caches.read().unwrap_or_else(PoisonError::into_inner);
        let caches = caches.iter().filter_map(Weak::upgrade);
        caches.filter(|cache| cache.is_listed()).collect()
    }
}

/// The encoder of one gauge.
struct Gauge<'a>(MetricEncoder<'a>);

impl Gauge<'_> {
    fn set(&mut self, labels: &impl EncodeLabelSet, value: f64) -> fmt::Result {
        ConstGauge::new(value).encode(self.0.encode_family(labels)?)
    }
}

/// Begins a gauge, with a sentence about it.
fn gauge<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
) -> Result<Gauge<'a>, fmt::Error> {
    let begun = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    Ok(Gauge(begun))
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a number of objects is far below 2^53"
)]
fn number(amount: i128) -> f64 {
    amount as f64
}

impl Collector for Inventory {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let caches = self.listed();
        let mut unreadable = BTreeMap::new();
        let mut tallies = Vec::new();
        for cache in &caches {
            unreadable.insert(cache.kind().to_owned(), cache.unreadable_count());
            tallies.push(cache.tally());
        }
        if caches.is_empty() {
            return Ok(());
        }
        let sums: Vec<(&Series, i128)> = tallies.iter().flat_map(Tally::series).collect();
        conditions(&mut encoder, &sums)?;
        if unreadable.contains_key("ServiceSubscription") {
            promises(&mut encoder, &sums)?;
        }
        if unreadable.contains_key("SupplyOrder") {
            orders(&mut encoder, &sums)?;
        }
        owed(&mut encoder, &sums)?;
        connections(&mut encoder, &sums)?;
        let help = "Objects whose newest version cannot be read, by kind.";
        let mut gauge = gauge(&mut encoder, "unreadable_objects", help)?;
        for (kind, count) in &unreadable {
            let count = i128::try_from(*count).unwrap_or(i128::MAX);
            gauge.set(&[("kind", kind.as_str())], number(count))?;
        }
        Ok(())
    }
}

fn conditions(encoder: &mut DescriptorEncoder<'_>, sums: &[(&Series, i128)]) -> fmt::Result {
    let help = "Objects by kind, and by type, status and reason of a condition of theirs.";
    let mut gauge = gauge(encoder, "resources", help)?;
    for (series, amount) in sums {
        if let Series::Condition {
            kind,
            condition,
            status,
            reason,
        } = series
        {
            let labels = [
                ("kind", kind.as_str()),
                ("condition", condition),
                ("status", status.as_str()),
                ("reason", reason),
            ];
            gauge.set(&labels, number(*amount))?;
        }
    }
    Ok(())
}

/// Writes the promises. A state that no promise has is zero: an alert compares it with what was
/// before.
fn promises(encoder: &mut DescriptorEncoder<'_>, sums: &[(&Series, i128)]) -> fmt::Result {
    let sum = |wanted: &Series| {
        let found = sums.iter().find(|(series, _)| *series == wanted);
        found.map_or(0, |(_, amount)| *amount)
    };
    let help = "Promises of the subscriptions that exist, by state.";
    let mut states = gauge(encoder, "promises", help)?;
    for state in PROMISE_STATES {
        let amount = sum(&Series::Promises(state));
        states.set(&[("state", state)], number(amount))?;
    }
    let help = "Promises that were missed and whose service is neither proven nor over.";
    let Gauge(overdue) = gauge(encoder, "promises_overdue", help)?;
    ConstGauge::new(number(sum(&Series::Overdue))).encode(overdue)
}

fn orders(encoder: &mut DescriptorEncoder<'_>, sums: &[(&Series, i128)]) -> fmt::Result {
    let help = "Orders of supplies that are open, by state; NotPlaced: no order server has it yet.";
    let mut states = gauge(encoder, "supply_orders_open", help)?;
    for state in OPEN_ORDER_STATES {
        let wanted = Series::OpenOrders(state);
        let found = sums.iter().find(|(series, _)| **series == wanted);
        let amount = found.map_or(0, |(_, amount)| *amount);
        states.set(&[("state", state)], number(amount))?;
    }
    Ok(())
}

fn owed(encoder: &mut DescriptorEncoder<'_>, sums: &[(&Series, i128)]) -> fmt::Result {
    let help = "Money owed by the Compensations that exist, in units of the currency.";
    let mut gauge = gauge(encoder, "owed", help)?;
    for (series, amount) in sums {
        if let Series::Owed { currency, is_final } = series {
            let state = if *is_final { "Final" } else { "Accruing" };
            let labels = [("currency", currency.as_str()), ("state", state)];
            gauge.set(&labels, in_currency(*amount, currency))?;
        }
    }
    Ok(())
}

fn connections(encoder: &mut DescriptorEncoder<'_>, sums: &[(&Series, i128)]) -> fmt::Result {
    let help = "1 if the service server of a Connection answered the last probe, else 0.";
    let mut gauge = gauge(encoder, "connection_reachable", help)?;
    for (series, amount) in sums {
        if let Series::Reachable { connection } = series {
            gauge.set(&[("connection", connection.as_str())], number(*amount))?;
        }
    }
    Ok(())
}
