//! The devices of the fake.

use async_trait::async_trait;
use entente_domain::protocol::Place;
use entente_domain::remote::{
    DeviceReadRequest, DeviceReading, DeviceWrite, DisplayRequest, Failure, FailureKind,
    FetchedEvent, FetchedEvents, NotificationAnswer, NotificationRequest, PrinterEvent, Scalar,
    StatusReport, Value,
};

use jiff::SignedDuration;
use serde_json::Map;
use tokio::time::{Duration, Instant, sleep};

use super::{FakeNotifications, Fault, Operation, World, early_end, lost_answer};
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

    async fn notifications(
        &self,
        target: &DeviceTarget,
        request: &NotificationRequest,
    ) -> Result<NotificationAnswer, Failure> {
        let operation = if request.writes() {
            Operation::NotificationsChange
        } else {
            Operation::NotificationsAsk
        };
        let asked = std::iter::once(("request".to_owned(), format!("{request:?}").into()));
        let device = self.asked(target, operation, asked.collect()).await?;
        let mut notifications = device.notifications.ok_or_else(without_notifications)?;
        let answer = notifications.answer(request);
        if let NotificationRequest::Fetch { waits: true, .. } = request
            && let NotificationAnswer::Events(fetched) = &answer
            && fetched.events.is_empty()
            && let Some(held) = notifications.holds_for
        {
            return Ok(self.hold(&target.url, request, held).await);
        }
        self.change_device(&target.url, |device| {
            device.notifications = Some(notifications);
        });
        Ok(answer)
    }
}

fn without_notifications() -> Failure {
    let message = "server-error-operation-not-supported";
    Failure::new(FailureKind::Unsupported, message)
}

impl FakeNotifications {
    fn answer(&mut self, request: &NotificationRequest) -> NotificationAnswer {
        let lease = |asked: &SignedDuration| Some(*asked);
        match request {
            NotificationRequest::Support => {
                NotificationAnswer::Support(PrinterEvent::ALL.into_iter().collect())
            }
            NotificationRequest::Subscribe { lease: asked, .. } => {
                self.last += 1;
                self.subscriptions.insert(self.last);
                NotificationAnswer::Subscribed {
                    subscription: self.last,
                    lease: lease(asked),
                }
            }
            NotificationRequest::Renew { subscription, .. }
            | NotificationRequest::Fetch { subscription, .. }
            | NotificationRequest::Cancel { subscription }
                if !self.subscriptions.contains(subscription) =>
            {
                NotificationAnswer::NoSuchSubscription
            }
            NotificationRequest::Renew { lease: asked, .. } => NotificationAnswer::Renewed {
                lease: lease(asked),
            },
            NotificationRequest::Cancel { subscription } => {
                self.subscriptions.remove(subscription);
                NotificationAnswer::Cancelled
            }
            NotificationRequest::Fetch {
                subscription, from, ..
            } => {
                let numbered = (1..).zip(&self.events);
                let wanted = numbered.filter(|(number, _)| number >= from);
                let event = |(number, event): (i32, &PrinterEvent)| FetchedEvent {
                    subscription: Some(*subscription),
                    number: Some(number),
                    event: Some(*event),
                };
                NotificationAnswer::Events(FetchedEvents {
                    events: wanted.map(event).collect(),
                    interval: self.interval,
                    is_complete: false,
                })
            }
        }
    }
}

impl World {
    /// Holds an answer until there is an event, or its time is over.
    async fn hold(
        &self,
        url: &str,
        request: &NotificationRequest,
        held: Duration,
    ) -> NotificationAnswer {
        let end = Instant::now() + held;
        loop {
            let notifications = self.device(url).and_then(|it| it.notifications);
            let mut notifications = notifications.unwrap_or_default();
            let answer = notifications.answer(request);
            let is_empty = matches!(&answer, NotificationAnswer::Events(fetched)
                if fetched.events.is_empty());
            if !is_empty || Instant::now() >= end {
                return answer;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

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
