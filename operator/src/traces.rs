//! Traces by OpenTelemetry: where the spans of passes and requests go, if anywhere.
//!
//! Spans are made in `entente_controllers`, with the target `entente_trace`; without an endpoint they
//! are not even made. They are sent by a thread of their own, in batches; what cannot be sent is lost,
//! and nothing waits for it. Sampling is that of the environment (`OTEL_TRACES_SAMPLER`). Called by
//! `telemetry`.

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};

/// Target of the spans.
pub(crate) const TARGET: &str = "entente_trace";

/// The exporter of spans.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Returns the exporter to a collector, by its base URL such as `http://collector:4318`.
    pub(crate) fn to(endpoint: &str, replica: Option<&str>) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpJson)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()?;
        let replica = replica.map(|name| KeyValue::new("service.instance.id", name.to_owned()));
        let resource = Resource::builder()
            .with_service_name("entente")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attributes(replica);
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter);
        Ok(Self(provider.build()))
    }

    /// Returns the source of spans.
    pub(crate) fn tracer(&self) -> SdkTracer {
        self.0.tracer("entente-operator")
    }

    /// Sends the spans that are left, and ends.
    pub(crate) fn end(&self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}
