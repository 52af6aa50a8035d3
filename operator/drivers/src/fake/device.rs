//! The devices of the fake.

use async_trait::async_trait;
use entente_domain::protocol::Place;
use entente_domain::remote::{
    DeviceReadRequest, DeviceReading, DeviceWrite, DisplayRequest, Failure, FailureKind, Scalar,
    StatusReport, Value,
};

use serde_json::Map;

use super::{Fault, Operation, World, early_end, lost_answer};
use crate::device::{DeviceDriver, DeviceTarget};
use crate::profile::TrustProfile;

fn unreachable() -> Failure {
    Failure::new(FailureKind::Unreachable, "the connection was refused")
}

/// Returns the values as a device would give them back.
fn scalars(value: &Value) -> Vec<Scalar> {
    match value {
        Value::Text(text) => vec![Scalar::Text(text.clone())],
        Value::Secret(secret) => vec![Scalar::Text(secret.expose().to_owned())],
        Value::Integer(number) => vec![Scalar::Integer(*number)],
        Value::Boolean(truth) => vec![Scalar::Boolean(*truth)],
        Value::Words(words) => words.iter().cloned().map(Scalar::Text).collect(),
    }
}

fn as_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Secret(secret) => secret.digest().to_string().into(),
        Value::Integer(number) => (*number).into(),
        Value::Boolean(truth) => (*truth).into(),
        Value::Words(words) => words.iter().map(String::as_str).collect(),
    }
}

/// Checks the certificate as TLS would, if the device has one and the URL asks for TLS.
fn check_certificate(target: &DeviceTarget, shown: Option<&str>) -> Result<(), Failure> {
    if !target.url.starts_with("ipps:") {
        return Ok(());
    }
    let pinned = target.pinned_certificate.as_deref();
    let changed = pinned.is_some_and(|pin| Some(pin) != shown);
    match target.profile.trust {
        TrustProfile::Pin if pinned.is_none() => Err(Failure::new(
            FailureKind::TlsFailed,
            "no certificate is pinned",
        )),
        TrustProfile::Pin | TrustProfile::FirstUse if changed => Err(Failure::new(
            FailureKind::CertificateChanged,
            "the certificate is another one",
        )),
        TrustProfile::Verify { .. } | TrustProfile::Pin | TrustProfile::FirstUse => Ok(()),
    }
}

#[async_trait]
impl DeviceDriver for World {
    async fn observe(
        &self,
        target: &DeviceTarget,
        request: &DeviceReadRequest,
    ) -> Result<DeviceReading, Failure> {
        let operation = Operation::DeviceObserve;
        let url = target.url.as_str();
        let values = request
            .places
            .iter()
            .map(|place| (place.to_string(), serde_json::Value::Null))
            .collect();
        let fault = self
            .arrive(&target.profile.name, url, operation, url, values)
            .await;
        let timeout = target.profile.request_timeout;
        if let Some(end) = early_end(fault.as_ref(), operation, timeout).await {
            return Err(end);
        }
        if fault == Some(Fault::LoseAnswer) {
            return Err(lost_answer(operation));
        }
        let device = self.device(url).ok_or_else(unreachable)?;
        check_certificate(target, device.certificate_sha256.as_deref())?;
        let mut values = device.values;
        values.retain(|place, _| request.places.contains(place));
        Ok(DeviceReading {
            product_name: device.product_name,
            identity: device.identity,
            certificate_sha256: device
                .certificate_sha256
                .filter(|_| url.starts_with("ipps:")),
            values,
            ..DeviceReading::default()
        })
    }

    async fn apply(&self, target: &DeviceTarget, write: &DeviceWrite) -> Result<(), Failure> {
        let operation = Operation::DeviceApply;
        let url = target.url.as_str();
        let name = write.place.to_string();
        let values = std::iter::once((name.clone(), as_json(&write.value))).collect();
        let fault = self
            .arrive(&target.profile.name, url, operation, url, values)
            .await;
        let timeout = target.profile.request_timeout;
        if let Some(end) = early_end(fault.as_ref(), operation, timeout).await {
            return Err(end);
        }
        let mut state = self.state();
        let device = state.devices.get_mut(url).ok_or_else(unreachable)?;
        check_certificate(target, device.certificate_sha256.as_deref())?;
        if let Some(kind) = device.refused.get(&name) {
            return Err(Failure::new(*kind, format!("{name} is refused")));
        }
        if !device.values.contains_key(&write.place) {
            let message = format!("{name} is not supported");
            return Err(Failure::new(FailureKind::Unsupported, message));
        }
        if fault == Some(Fault::AcceptWithoutEffect) {
            return Ok(());
        }
        if !device.ignored.contains(&name) {
            device
                .values
                .insert(write.place.clone(), scalars(&write.value));
        }
        if fault == Some(Fault::LoseAnswer) {
            Err(lost_answer(operation))
        } else {
            Ok(())
        }
    }
    async fn status(&self, target: &DeviceTarget, _: &Place) -> Result<StatusReport, Failure> {
        let operation = Operation::DeviceStatus;
        let device = self.asked(target, operation, Map::new()).await?;
        Ok(StatusReport {
            identity: device.identity,
            ..device.report
        })
    }

    async fn display(
        &self,
        target: &DeviceTarget,
        request: &DisplayRequest,
    ) -> Result<(), Failure> {
        let operation = Operation::DeviceDisplay;
        let lines = std::iter::once(("lines".to_owned(), request.lines.clone().into()));
        self.asked(target, operation, lines.collect()).await?;
        self.change_device(&target.url, |device| {
            let panel = device.report.panel.as_mut();
            if let Some(shown) = panel.and_then(|panel| panel.shown.as_mut()) {
                shown.clone_from(&request.lines);
            }
        });
        Ok(())
    }
}

impl World {
    /// Records a request to a device and returns the device, unless a fault ends the request.
    async fn asked(
        &self,
        target: &DeviceTarget,
        operation: Operation,
        values: Map<String, serde_json::Value>,
    ) -> Result<super::FakeDevice, Failure> {
        let url = target.url.as_str();
        let fault = self
            .arrive(&target.profile.name, url, operation, url, values)
            .await;
        let timeout = target.profile.request_timeout;
        if let Some(end) = early_end(fault.as_ref(), operation, timeout).await {
            return Err(end);
        }
        let device = self.device(url).ok_or_else(unreachable)?;
        check_certificate(target, device.certificate_sha256.as_deref())?;
        if fault == Some(Fault::LoseAnswer) {
            return Err(lost_answer(operation));
        }
        Ok(device)
    }
}
