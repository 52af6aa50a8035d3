//! A small IPP client for tests: sends one operation, returns everything in the answer.
//!
//! It decides nothing about the answer and must never retry, so that a test sees exactly the peer's
//! answer. It is separate from the product's driver on purpose: a test that reads back with the
//! driver under test proves nothing. Called by tests and by the fixtures' readiness probes.

use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::time::Duration;

use ipp::parser::{IppParseError, IppParser};
use ipp::prelude::{
    DelimiterTag, IppAttribute, IppRequestResponse, IppValue, IppVersion, Operation, Uri,
};

/// Time limit of one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reason why there is no IPP answer.
#[derive(Debug, thiserror::Error)]
pub enum IppClientError {
    /// The address cannot be used.
    #[error("{uri} is not an ipp URI")]
    Address {
        /// As given.
        uri: String,
    },
    /// The HTTP exchange failed; its sources distinguish refused from timed out.
    #[error("no HTTP answer from {uri}")]
    Transport {
        /// The printer.
        uri: String,
        /// The error of the request.
        source: reqwest::Error,
    },
    /// The answer or an attribute is not IPP.
    #[error("no IPP message from {uri}")]
    Message {
        /// The printer.
        uri: String,
        /// Error of the codec.
        source: IppParseError,
    },
}

/// Everything in an IPP answer (RFC 8011 section 4.1.6).
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code, 0x0000 to 0x00ff for success.
    pub status: u16,
    /// `status-message`, when given.
    pub message: Option<String>,
    /// The unsupported-attributes group: attributes that the peer refused or ignored, by name.
    pub unsupported: BTreeMap<String, IppValue>,
    /// The printer-attributes or system-attributes group, by name.
    pub attributes: BTreeMap<String, IppValue>,
}

impl Answer {
    /// True if the status is a success status. It is no proof that anything happened.
    pub fn is_success(&self) -> bool {
        self.status <= 0x00ff
    }

    /// Returns the value as text; `None` if the attribute is absent or out-of-band (unknown,
    /// no-value).
    pub fn text(&self, attribute: &str) -> Option<String> {
        match self.attributes.get(attribute)? {
            IppValue::NoValue | IppValue::Other { .. } => None,
            value => Some(value.to_string()),
        }
    }
}

/// Sends IPP over HTTP with one connection pool.
#[derive(Clone, Debug)]
pub struct IppClient {
    http: reqwest::Client,
}

impl Default for IppClient {
    fn default() -> Self {
        IppClient::new()
    }
}

impl IppClient {
    /// Returns a client for `ipp://` (plain HTTP) addresses.
    pub fn new() -> IppClient {
        IppClient {
            http: http_client(),
        }
    }

    /// True if every printer answers.
    pub(super) async fn all_answer(&self, uris: &[String]) -> bool {
        for uri in uris {
            let answer = self.get(uri, &["printer-uuid"]).await;
            if !answer.is_ok_and(|answer| answer.is_success()) {
                return false;
            }
        }
        true
    }

    /// Get-Printer-Attributes (0x000b) of the requested names, or of all when there are none.
    pub async fn get(&self, uri: &str, requested: &[&str]) -> Result<Answer, IppClientError> {
        let mut operation = Vec::new();
        if !requested.is_empty() {
            let names = requested.iter().map(|name| keyword(name)).collect();
            operation.push(attribute("requested-attributes", IppValue::Array(names)));
        }
        self.send(uri, Operation::GetPrinterAttributes, operation, Vec::new())
            .await
    }

    /// Set-Printer-Attributes (0x0013, RFC 3380).
    pub async fn set(
        &self,
        uri: &str,
        attributes: Vec<IppAttribute>,
    ) -> Result<Answer, IppClientError> {
        self.send(uri, Operation::SetPrinterAttributes, Vec::new(), attributes)
            .await
    }

    /// Sends CUPS-Add-Modify-Printer (0x4003), by which CUPS accepts attributes that
    /// Set-Printer-Attributes ignores.
    pub async fn cups_modify(
        &self,
        uri: &str,
        attributes: Vec<IppAttribute>,
    ) -> Result<Answer, IppClientError> {
        self.send(uri, Operation::CupsAddModifyPrinter, Vec::new(), attributes)
            .await
    }

    /// Get-System-Attributes (0x005b, PWG 5100.22) of the requested names, of a `…/ipp/system`.
    pub async fn get_system(
        &self,
        uri: &str,
        requested: &[&str],
    ) -> Result<Answer, IppClientError> {
        let not_ipp = |source| IppClientError::Message {
            uri: uri.to_owned(),
            source,
        };
        // The codec has no name for the operation, and would write a printer-uri.
        let mut request =
            IppRequestResponse::new(IppVersion::v2_0(), Operation::GetPrinterAttributes, None)
                .map_err(not_ipp)?;
        request.header_mut().operation_or_status = 0x005b;
        let names = requested.iter().map(|name| keyword(name)).collect();
        for attribute in [
            self::uri("system-uri", uri),
            attribute("requested-attributes", IppValue::Array(names)),
        ] {
            request
                .attributes_mut()
                .add(DelimiterTag::OperationAttributes, attribute);
        }
        self.exchange(uri, request).await
    }

    /// Any operation with extra operation attributes and a printer-attributes group.
    pub async fn send(
        &self,
        uri: &str,
        operation: Operation,
        operation_attributes: Vec<IppAttribute>,
        printer_attributes: Vec<IppAttribute>,
    ) -> Result<Answer, IppClientError> {
        let not_ipp = |source| IppClientError::Message {
            uri: uri.to_owned(),
            source,
        };
        let address: Uri = uri.parse().map_err(|_| IppClientError::Address {
            uri: uri.to_owned(),
        })?;
        let mut request = IppRequestResponse::new(IppVersion::v2_0(), operation, Some(address))
            .map_err(not_ipp)?;
        for attribute in operation_attributes {
            request
                .attributes_mut()
                .add(DelimiterTag::OperationAttributes, attribute);
        }
        for attribute in printer_attributes {
            request
                .attributes_mut()
                .add(DelimiterTag::PrinterAttributes, attribute);
        }
        self.exchange(uri, request).await
    }

    async fn exchange(
        &self,
        uri: &str,
        request: IppRequestResponse,
    ) -> Result<Answer, IppClientError> {
        let http_address = uri
            .strip_prefix("ipp://")
            .map(|rest| format!("http://{rest}"))
            .ok_or_else(|| IppClientError::Address {
                uri: uri.to_owned(),
            })?;
        let failed = |source| IppClientError::Transport {
            uri: uri.to_owned(),
            source,
        };
        let answer = self
            .http
            .post(http_address)
            .header("content-type", "application/ipp")
            .body(request.to_bytes())
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(failed)?
            .bytes()
            .await
            .map_err(failed)?;
        parse(answer.to_vec()).map_err(|source| IppClientError::Message {
            uri: uri.to_owned(),
            source,
        })
    }
}

/// Returns an HTTP client that uses no proxy and follows no redirect: every peer is on loopback.
///
/// # Panics
/// Never: the settings are constants and a TLS provider is installed.
pub fn http_client() -> reqwest::Client {
    // A second installation is refused and changes nothing.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("constant settings and an installed TLS provider")
}

/// Returns a `textWithoutLanguage` attribute.
///
/// # Panics
/// When the value is longer than 1023 octets.
pub fn text(name: &str, value: &str) -> IppAttribute {
    attribute(
        name,
        IppValue::new_text_without_language(value).expect("shorter than 1024 octets"),
    )
}

/// Returns a `uri` attribute.
///
/// # Panics
/// When the value is longer than 1023 octets.
pub fn uri(name: &str, value: &str) -> IppAttribute {
    attribute(
        name,
        IppValue::new_uri(value).expect("shorter than 1024 octets"),
    )
}

/// Returns a `keyword` value.
///
/// # Panics
/// When the value is longer than 255 octets.
pub fn keyword(value: &str) -> IppValue {
    IppValue::new_keyword(value).expect("shorter than 256 octets")
}

/// Returns an attribute of any value.
///
/// # Panics
/// When the name is longer than 255 octets.
pub fn attribute(name: &str, value: IppValue) -> IppAttribute {
    IppAttribute::with_name(name, value).expect("an attribute name is shorter than 256 octets")
}

fn parse(answer: Vec<u8>) -> Result<Answer, IppParseError> {
    if answer.is_empty() {
        return Err(IppParseError::IoError(io::ErrorKind::UnexpectedEof.into()));
    }
    let answer = IppParser::new(ipp::reader::IppReader::new(Cursor::new(answer))).parse()?;
    let group = |tag| -> BTreeMap<String, IppValue> {
        answer
            .attributes()
            .groups_of(tag)
            .flat_map(ipp::attribute::IppAttributeGroup::attributes)
            .map(|attribute| (attribute.name().to_string(), attribute.value().clone()))
            .collect()
    };
    let operation = group(DelimiterTag::OperationAttributes);
    let mut attributes = group(DelimiterTag::PrinterAttributes);
    attributes.extend(group(DelimiterTag::SystemAttributes));
    Ok(Answer {
        status: answer.header().operation_or_status.cast_unsigned(),
        message: operation.get("status-message").map(ToString::to_string),
        unsupported: group(DelimiterTag::UnsupportedAttributes),
        attributes,
    })
}
