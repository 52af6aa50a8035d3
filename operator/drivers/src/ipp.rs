//! Devices that speak the Internet Printing Protocol (RFC 8011, RFC 3380).
//!
//! One operation, one HTTP POST over the shared transport. Attributes of the host and not of one
//! printer are read from and set on its System Service (PWG 5100.22). Reads only the attributes
//! that are needed, sets only the given value, and never takes a success for an effect: that is
//! shown by the next reading.

mod codec;
mod notifications;
mod old_devices;
pub(crate) mod report;
mod response;
mod status;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use async_trait::async_trait;
use entente_crds::v1alpha1::IppOperation;
use entente_domain::protocol::{IppObject, Place};
use entente_domain::remote::{
    DeviceReadRequest, DeviceReading, DeviceWrite, DisplayRequest, Failure, FailureKind,
    NotificationAnswer, NotificationRequest, StatusReport,
};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use ipp::model::{DelimiterTag, IppVersion};
use url::Url;

use crate::device::{DeviceDriver, DeviceTarget};
use crate::parsing::parse;
use crate::profile::ConnectionProfile;
use crate::refusal;
use crate::text::{PrivateTexts, is_an_echo, places_with_a_secret};
use crate::transport::{Answer, Exchange, Transport};
use codec::Request;
use old_devices::OldDevices;
use response::Response;
use status::{Ending, Purpose};

/// Get-Printer-Attributes (RFC 8011 section 4.2.5).
const GET_PRINTER_ATTRIBUTES: u16 = 0x000B;
/// Set-Printer-Attributes (RFC 3380 section 4.1).
const SET_PRINTER_ATTRIBUTES: u16 = 0x0013;
/// Identify-Printer (PWG 5100.13).
const IDENTIFY_PRINTER: u16 = 0x003C;
/// CUPS-Add-Modify-Printer (CUPS Implementation of IPP).
const CUPS_ADD_MODIFY_PRINTER: u16 = 0x4003;
/// Get-System-Attributes (PWG 5100.22).
const GET_SYSTEM_ATTRIBUTES: u16 = 0x005B;
/// Set-System-Attributes (PWG 5100.22).
const SET_SYSTEM_ATTRIBUTES: u16 = 0x0062;
/// Path of the System Service of a host (PWG 5100.22, "system-uri").
const SYSTEM_PATH: &str = "/ipp/system";
/// The port of both schemes (RFC 3510, RFC 7472).
const PORT: u16 = 631;
/// The longest answer that is read. Every request names the attributes that it wants; some devices
/// return all of theirs all the same, which are about 100 KiB.
const MOST_BYTES: usize = 256 * 1024;

/// The driver. One for a process.
pub struct IppDriver {
    transport: Arc<Transport>,
    request_id: AtomicI32,
    old: OldDevices,
}

impl IppDriver {
    /// Makes a driver. Sends nothing by itself.
    pub fn new(transport: Arc<Transport>) -> Self {
        Self {
            transport,
            request_id: AtomicI32::new(1),
            old: OldDevices::default(),
        }
    }

    /// Sends one operation; once more by version 1.1 if the answer to 2.0 leaves open whether the
    /// device understands that. Only one that clearly refuses the version is sent a write again.
    ///
    /// # Errors
    /// The failure by 2.0, if neither version is answered in a way that says anything.
    async fn send(
        &self,
        target: &DeviceTarget,
        asked: &Asked<'_>,
    ) -> Result<(Response, Answer), Failure> {
        let mut by_2_0 = None;
        if !self.old.contains(&target.url) {
            match self.send_once(target, IppVersion::v2_0(), asked).await {
                Ending::Success(answered) => return Ok(answered),
                Ending::Refusal(failure) => return Err(failure),
                // It wants no request for a while, and so not the same by another version either.
                Ending::Unclear(failure) if asks_for_a_wait(&failure) => return Err(failure),
                Ending::Unclear(failure) => by_2_0 = Some(failure),
            }
        }
        match self.send_once(target, IppVersion::v1_1(), asked).await {
            Ending::Success(answered) => {
                self.old.remember(&target.url);
                Ok(answered)
            }
            Ending::Refusal(failure) => Err(failure),
            Ending::Unclear(failure) => {
                // Another device may be there by now.
                self.old.forget(&target.url);
                Err(by_2_0.unwrap_or(failure))
            }
        }
    }

    async fn send_once(
        &self,
        target: &DeviceTarget,
        version: IppVersion,
        asked: &Asked<'_>,
    ) -> Ending<(Response, Answer)> {
        let writes = asked.purpose.writes();
        // Positive and never zero (RFC 8010 section 3.1.1).
        let id = self
            .request_id
            .fetch_add(1, Ordering::Relaxed)
            .rem_euclid(i32::MAX)
            .max(1);
        let answer = match self.exchange(target, (version, id), asked).await {
            Ok(answer) => answer,
            // The connection ended early, or the answer is none of HTTP.
            Err(failure) if !writes && failure.kind == FailureKind::ProtocolError => {
                return Ending::Unclear(failure);
            }
            Err(failure) => return Ending::Refusal(failure),
        };
        if asked.object == IppObject::System && answer.status == StatusCode::NOT_FOUND {
            return Ending::Refusal(status::no_system());
        }
        match check_http(&answer, private(target, &answer), writes) {
            Err(failure) if !writes && is_unclear(answer.status) => Ending::Unclear(failure),
            Err(failure) => Ending::Refusal(failure),
            Ok(()) => {
                let read = || read_response(target, asked, id, &answer);
                match parse(answer.body.len(), read).await {
                    Ending::Success(response) => Ending::Success((response, answer)),
                    Ending::Refusal(failure) => Ending::Refusal(failure),
                    Ending::Unclear(failure) => Ending::Unclear(failure),
                }
            }
        }
    }

    /// Sends one HTTP request.
    async fn exchange(
        &self,
        target: &DeviceTarget,
        (version, id): (IppVersion, i32),
        asked: &Asked<'_>,
    ) -> Result<Answer, Failure> {
        let request = Request {
            version,
            operation: asked.operation,
            id,
            object: asked.object,
            uri: match asked.object {
                IppObject::Printer => target.printer_uri.as_deref().unwrap_or(&target.url),
                IppObject::System => &target.url,
            },
            groups: &asked.groups,
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/ipp"));
        let exchange = Exchange {
            profile: &target.profile,
            method: Method::POST,
            url: http_url(&target.url)?,
            headers,
            body: codec::encode(&request)?,
            pinned: target.pinned_certificate.as_deref(),
            most_bytes: MOST_BYTES,
            writes: asked.purpose.writes(),
            needs_body: true,
            streamed: false,
        };
        self.transport.send(exchange).await
    }

    /// Reads one object of the device.
    async fn read(
        &self,
        target: &DeviceTarget,
        request: &DeviceReadRequest,
        object: IppObject,
        reading: &mut DeviceReading,
    ) -> Result<Answer, Failure> {
        let operation = match object {
            IppObject::Printer => GET_PRINTER_ATTRIBUTES,
            IppObject::System => GET_SYSTEM_ATTRIBUTES,
        };
        let asked = Asked {
            object,
            operation,
            groups: codec::reading_groups(request, object)?,
            purpose: Purpose::Read {
                group: codec::group_of_identity(request, object),
            },
        };
        let (response, answer) = self.send(target, &asked).await?;
        let take = || codec::take_reading(reading, &response, request, object);
        parse(answer.body.len(), take).await?;
        Ok(answer)
    }
}

/// One operation on one object of a device.
struct Asked<'a> {
    object: IppObject,
    operation: u16,
    groups: codec::Groups,
    purpose: Purpose<'a>,
}

#[async_trait]
impl DeviceDriver for IppDriver {
    async fn observe(
        &self,
        target: &DeviceTarget,
        request: &DeviceReadRequest,
    ) -> Result<DeviceReading, Failure> {
        let (own, _) = request.identity.as_ipp().ok_or_else(no_ipp)?;
        let mut reading = DeviceReading::default();
        let answer = self.read(target, request, own, &mut reading).await?;
        // It goes into statuses, and a device may have put any text into it.
        let redactions = private(target, &answer).redactions();
        let product = reading.product_name.take();
        reading.product_name = product.map(|product| redactions.hide(&product));
        let identity = reading.identity.take();
        reading.identity = identity.filter(|identity| !is_an_echo(identity, &redactions));
        reading.certificate_sha256 = answer.certificate_sha256;
        let of_system = |place: &Place| {
            let object = place.as_ipp().map(|(object, _)| object);
            object == Some(IppObject::System)
        };
        if own == IppObject::Printer && request.places.iter().any(of_system) {
            let target = system_of(target)?;
            let asked = IppObject::System;
            let system = self.read(&target, request, asked, &mut reading).await;
            // A host without a System Service has none of its attributes; all others can be read.
            if let Err(failure) = system
                && failure.kind != FailureKind::Unsupported
            {
                return Err(failure);
            }
        }
        reading.private = places_with_a_secret(&reading.values, &redactions);
        Ok(reading)
    }

    async fn apply(&self, target: &DeviceTarget, write: &DeviceWrite) -> Result<(), Failure> {
        let (syntax, operation) = write.manner.as_ipp().ok_or_else(no_ipp)?;
        let (object, attribute) = write.place.as_ipp().ok_or_else(no_ipp)?;
        let operation = match operation {
            IppOperation::SetPrinterAttributes => SET_PRINTER_ATTRIBUTES,
            IppOperation::CupsAddModifyPrinter => CUPS_ADD_MODIFY_PRINTER,
            IppOperation::SetSystemAttributes => SET_SYSTEM_ATTRIBUTES,
        };
        let target = match object {
            IppObject::Printer => Cow::Borrowed(target),
            IppObject::System => Cow::Owned(system_of(target)?),
        };
        let asked = Asked {
            object,
            operation,
            groups: codec::write_groups(attribute, syntax, &write.value)?,
            purpose: Purpose::Write { attribute },
        };
        self.send(&target, &asked).await.map(drop)
    }

    async fn status(
        &self,
        target: &DeviceTarget,
        identity: &Place,
    ) -> Result<StatusReport, Failure> {
        let group = DelimiterTag::PrinterAttributes as u8;
        let asked = Asked {
            object: IppObject::Printer,
            operation: GET_PRINTER_ATTRIBUTES,
            groups: codec::report_groups(identity)?,
            purpose: Purpose::Read { group: Some(group) },
        };
        let (response, answer) = self.send(target, &asked).await?;
        let redactions = private(target, &answer).redactions();
        let take = || report::status_report(&response, group, identity, &redactions);
        Ok(parse(answer.body.len(), take).await)
    }

    /// Has the printer display the lines as one message. Nobody can read its panel by IPP, and nothing
    /// takes the message down: the printer does so by itself.
    async fn display(
        &self,
        target: &DeviceTarget,
        request: &DisplayRequest,
    ) -> Result<(), Failure> {
        let lines = request.lines.iter().filter(|line| !line.is_empty());
        let message = lines.map(String::as_str).collect::<Vec<_>>().join(" ");
        if message.is_empty() {
            return Ok(());
        }
        let asked = Asked {
            object: IppObject::Printer,
            operation: IDENTIFY_PRINTER,
            groups: codec::identify_groups(&message)?,
            purpose: Purpose::Write {
                attribute: "message",
            },
        };
        self.send(target, &asked).await.map(drop)
    }

    async fn notifications(
        &self,
        target: &DeviceTarget,
        request: &NotificationRequest,
    ) -> Result<NotificationAnswer, Failure> {
        let asked = Asked {
            object: IppObject::Printer,
            operation: notifications::operation(request),
            groups: codec::notification_groups(request)?,
            purpose: notifications::purpose(request),
        };
        let target = match request {
            NotificationRequest::Fetch { waits: true, .. } => Cow::Owned(patient(target)),
            _ => Cow::Borrowed(target),
        };
        let (response, answer) = self.send(&target, &asked).await?;
        let take = || notifications::answer(request, &response);
        parse(answer.body.len(), take).await
    }
}

/// Returns the target with time for an answer that is held back.
fn patient(target: &DeviceTarget) -> DeviceTarget {
    let profile = &*target.profile;
    DeviceTarget {
        profile: Arc::new(ConnectionProfile {
            request_timeout: profile.request_timeout + notifications::LONGEST_WAIT,
            ..profile.clone()
        }),
        ..target.clone()
    }
}

/// Returns the failure of a request that is not for this protocol: nothing was sent.
fn no_ipp() -> Failure {
    Failure::new(
        FailureKind::Unsupported,
        "the setting is not one that IPP can carry",
    )
}

/// Reads the answer to a request of that id.
fn read_response(
    target: &DeviceTarget,
    asked: &Asked<'_>,
    id: i32,
    answer: &Answer,
) -> Ending<Response> {
    let response = Response::read(answer.body.clone());
    if asked.object == IppObject::System && status::is_not_found(response.as_ref()) {
        return Ending::Refusal(status::no_system());
    }
    let asked_for = |failure| Failure {
        retry_after: answer.retry_after,
        ..failure
    };
    match status::ending(response, id, asked.purpose, private(target, answer)) {
        Ending::Success(response) => Ending::Success(response),
        Ending::Refusal(failure) => Ending::Refusal(asked_for(failure)),
        Ending::Unclear(failure) => Ending::Unclear(asked_for(failure)),
    }
}

fn private<'a>(target: &'a DeviceTarget, answer: &'a Answer) -> PrivateTexts<'a> {
    PrivateTexts {
        credentials: target.profile.credentials.as_ref(),
        token: answer.token.as_ref(),
        url: &target.url,
        secrets: Some(&target.secrets),
    }
}

/// Returns the System Service of the host on which a device is, reached in the same way.
fn system_of(target: &DeviceTarget) -> Result<DeviceTarget, Failure> {
    let refused = |_| {
        Failure::new(
            FailureKind::Unreachable,
            "the URL is not an ipp or ipps URL",
        )
    };
    let mut url = Url::parse(&target.url).map_err(refused)?;
    url.set_path(SYSTEM_PATH);
    Ok(DeviceTarget {
        url: url.into(),
        ..target.clone()
    })
}

/// Returns the URL under HTTP: `ipp` is `http`, `ipps` is `https`, both at port 631 (RFC 8010
/// section 4).
fn http_url(text: &str) -> Result<Url, Failure> {
    let refused = |_| {
        Failure::new(
            FailureKind::Unreachable,
            "the URL is not an ipp or ipps URL",
        )
    };
    let port = Url::parse(text).map_err(refused)?.port().unwrap_or(PORT);
    let http = match text.split_once("://") {
        Some(("ipp", rest)) => format!("http://{rest}"),
        Some(("ipps", rest)) => format!("https://{rest}"),
        _ => {
            return Err(Failure::new(
                FailureKind::Unreachable,
                "the URL is not an ipp or ipps URL",
            ));
        }
    };
    let mut url = Url::parse(&http).map_err(refused)?;
    if url.set_port(Some(port)).is_err() {
        return Err(Failure::new(
            FailureKind::Unreachable,
            "the URL has no host",
        ));
    }
    Ok(url)
}

/// Checks the HTTP status, before the IPP message is read.
fn check_http(answer: &Answer, private: PrivateTexts<'_>, writes: bool) -> Result<(), Failure> {
    let status = answer.status;
    let kind = match status {
        StatusCode::OK => return Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => FailureKind::Unauthorized,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => FailureKind::Busy,
        _ => FailureKind::ProtocolError,
    };
    Err(Failure {
        retry_after: answer.retry_after,
        doubtful: writes
            && (status.is_success() || (status.is_server_error() && kind != FailureKind::Busy)),
        ..Failure::new(kind, refusal::of(refusal::DEVICE, answer, private))
    })
}

fn asks_for_a_wait(failure: &Failure) -> bool {
    let asked = failure.retry_after;
    asked.is_some_and(|asked| asked.is_positive())
}

/// True if an HTTP status other than 200 leaves open whether the device understands the version:
/// devices answer any of these to one that they do not know.
fn is_unclear(status: StatusCode) -> bool {
    let failed = status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE;
    failed || status.is_success() || status == StatusCode::BAD_REQUEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_keeps_its_port_and_gets_that_of_ipp_otherwise() {
        let http = |text: &str| http_url(text).unwrap().to_string();
        assert_eq!(
            http("ipp://printer/ipp/print"),
            "http://printer:631/ipp/print"
        );
        assert_eq!(http("ipps://10.1.2.3/"), "https://10.1.2.3:631/");
        assert_eq!(http("ipp://printer:8631/q/a"), "http://printer:8631/q/a");
        // The ports of HTTP are not those of IPP and must not get lost.
        assert_eq!(
            http_url("ipp://printer:80/")
                .unwrap()
                .port_or_known_default(),
            Some(80)
        );
        assert_eq!(
            http_url("ipps://printer:443/")
                .unwrap()
                .port_or_known_default(),
            Some(443)
        );
        assert_eq!(http("ipp://[::1]/ipp"), "http://[::1]:631/ipp");
        assert!(http_url("http://printer/").is_err());
        assert!(http_url("ipp:printer").is_err());
    }

    fn http(status: u16, writes: bool) -> Option<(FailureKind, bool)> {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            ..Answer::default()
        };
        let private = PrivateTexts {
            credentials: None,
            token: None,
            url: "",
            secrets: None,
        };
        check_http(&answer, private, writes)
            .err()
            .map(|failure| (failure.kind, failure.doubtful))
    }

    #[test]
    fn each_http_status_has_its_kind() {
        assert_eq!(http(200, true), None);
        assert_eq!(http(204, true), Some((FailureKind::ProtocolError, true)));
        assert_eq!(http(301, true), Some((FailureKind::ProtocolError, false)));
        assert_eq!(http(401, true), Some((FailureKind::Unauthorized, false)));
        assert_eq!(http(403, true), Some((FailureKind::Unauthorized, false)));
        assert_eq!(http(404, true), Some((FailureKind::ProtocolError, false)));
        assert_eq!(http(429, true), Some((FailureKind::Busy, false)));
        assert_eq!(http(503, true), Some((FailureKind::Busy, false)));
        assert_eq!(http(500, true), Some((FailureKind::ProtocolError, true)));
        assert_eq!(http(500, false), Some((FailureKind::ProtocolError, false)));
    }

    #[test]
    fn a_status_that_says_nothing_of_the_version_leaves_it_open() {
        let unclear = |status| is_unclear(StatusCode::from_u16(status).unwrap());
        assert!([204, 400, 500, 501, 502, 505].map(unclear) == [true; 6]);
        assert!([307, 401, 403, 404, 426, 429, 503].map(unclear) == [false; 7]);
    }
}
