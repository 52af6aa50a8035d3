//! The series of the artifacts that devices install. Written by the crate `entente-gateway`.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::Metrics;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct FetchLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct DirectionLabels {
    direction: &'static str,
}

/// The series of artifacts.
#[derive(Debug, Default)]
pub(super) struct ArtifactSeries {
    fetches: Family<FetchLabels, Counter>,
    bytes: Family<DirectionLabels, Counter>,
    held: Gauge,
}

impl ArtifactSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        let text = "Fetches of artifacts from servers of vendors, by outcome";
        registry.register("gateway_artifact_fetches", text, self.fetches.clone());
        let text = "Bytes of artifacts, fetched from servers of vendors or served to devices";
        registry.register_with_unit(
            "gateway_artifact_transferred",
            text,
            Unit::Bytes,
            self.bytes.clone(),
        );
        let text = "Bytes of artifacts that are held on the disk of the gateway";
        registry.register_with_unit(
            "gateway_artifact_held",
            text,
            Unit::Bytes,
            self.held.clone(),
        );
    }

    fn count(&self, direction: &'static str, bytes: u64) {
        let labels = DirectionLabels { direction };
        self.bytes.get_or_create(&labels).inc_by(bytes);
    }
}

impl Metrics {
    /// Counts the end of a fetch: `Fetched`, or the reason of its failure.
    pub fn artifact_fetch(&self, outcome: &'static str) {
        let labels = FetchLabels { outcome };
        self.artifacts.fetches.get_or_create(&labels).inc();
    }

    /// Counts bytes that came from a server of a vendor.
    pub fn artifact_fetched(&self, bytes: u64) {
        self.artifacts.count("Fetched", bytes);
    }

    /// Counts bytes that went to a device.
    pub fn artifact_served(&self, bytes: u64) {
        self.artifacts.count("Served", bytes);
    }

    /// Sets the bytes that are on the disk.
    pub fn artifact_bytes(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.artifacts.held.set(bytes);
    }
}
