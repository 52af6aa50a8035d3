//! Clients that drive the simulators: IPP by the `ipp` codec over reqwest, the broker by JSON.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use entente_simulators::{Broker, BrokerOptions, Device, FleetOptions, IppFleet, Ledger, Mode};
use ipp::{
    attribute::{IppAttribute, IppAttributes},
    model::{DelimiterTag, IppVersion, Operation},
    parser::IppParser,
    reader::IppReader,
    request::IppRequestResponse,
    value::IppValue,
};
use reqwest::{Method, Response};
use serde_json::{Value, json};

pub(super) const GET: u16 = 0x000B;
pub(super) const SET: u16 = 0x0013;

/// Answer of a device.
pub(super) struct Answer {
    pub(super) http: u16,
    pub(super) retry_after: Option<String>,
    /// IPP status code; absent if the body is no IPP.
    pub(super) status: Option<u16>,
    attributes: IppAttributes,
}

impl Answer {
    fn group(&self, tag: DelimiterTag, name: &str) -> Option<&IppValue> {
        self.attributes
            .first_of(tag)?
            .get(name)
            .map(IppAttribute::value)
    }

    pub(super) fn printer(&self, name: &str) -> Option<&IppValue> {
        self.group(DelimiterTag::PrinterAttributes, name)
    }

    pub(super) fn unsupported(&self, name: &str) -> Option<&IppValue> {
        self.group(DelimiterTag::UnsupportedAttributes, name)
    }

    pub(super) fn names(&self) -> Vec<&str> {
        let group = self.attributes.first_of(DelimiterTag::PrinterAttributes);
        group
            .into_iter()
            .flatten()
            .map(|a| a.name().as_str())
            .collect()
    }
}

pub(super) fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

/// An IPP client. Every request has a request-id of its own.
pub(super) struct Ipp {
    http: reqwest::Client,
    ids: AtomicI32,
}

impl Ipp {
    pub(super) fn new() -> Self {
        Self {
            http: http(),
            ids: AtomicI32::new(1),
        }
    }

    pub(super) fn with_timeout(timeout: Duration) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(timeout)
            .build()
            .unwrap();
        Self {
            http,
            ids: AtomicI32::new(1),
        }
    }

    pub(super) async fn send(
        &self,
        device: &Device,
        code: u16,
        operation: Vec<IppAttribute>,
        printer: Vec<IppAttribute>,
    ) -> Result<Answer, reqwest::Error> {
        let uri = device.uri().parse().unwrap();
        let version = IppVersion::v2_0();
        let mut request =
            IppRequestResponse::new(version, Operation::GetPrinterAttributes, Some(uri)).unwrap();
        request.header_mut().operation_or_status = code.cast_signed();
        request.header_mut().request_id = self.ids.fetch_add(1, Ordering::Relaxed);
        for attribute in operation {
            request
                .attributes_mut()
                .add(DelimiterTag::OperationAttributes, attribute);
        }
        for attribute in printer {
            request
                .attributes_mut()
                .add(DelimiterTag::PrinterAttributes, attribute);
        }
        let url = format!("http://{}/ipp/print", device.address());
        let post = self
            .http
            .post(url)
            .header("content-type", "application/ipp");
        read(post.body(request.to_bytes()).send().await?).await
    }

    pub(super) async fn get(
        &self,
        device: &Device,
        names: &[&str],
    ) -> Result<Answer, reqwest::Error> {
        let names: Vec<_> = names.iter().map(|name| keyword(name)).collect();
        let requested = attribute("requested-attributes", IppValue::Array(names));
        self.send(device, GET, vec![requested], Vec::new()).await
    }

    pub(super) async fn set(
        &self,
        device: &Device,
        values: Vec<(&str, IppValue)>,
    ) -> Result<Answer, reqwest::Error> {
        let values = values
            .into_iter()
            .map(|(name, value)| attribute(name, value))
            .collect();
        self.send(device, SET, Vec::new(), values).await
    }
}

async fn read(response: Response) -> Result<Answer, reqwest::Error> {
    let http = response.status().as_u16();
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
    let body = response.bytes().await?;
    let parsed = IppParser::new(IppReader::new(std::io::Cursor::new(body))).parse_parts();
    let (status, attributes) = match parsed {
        Ok((header, attributes, _)) if http == 200 => {
            (Some(header.operation_or_status.cast_unsigned()), attributes)
        }
        _ => (None, IppAttributes::new()),
    };
    Ok(Answer {
        http,
        retry_after,
        status,
        attributes,
    })
}

pub(super) fn attribute(name: &str, value: IppValue) -> IppAttribute {
    IppAttribute::with_name(name, value).unwrap()
}

pub(super) fn keyword(word: &str) -> IppValue {
    IppValue::new_keyword(word).unwrap()
}

pub(super) fn text(value: &str) -> IppValue {
    IppValue::new_text_without_language(value).unwrap()
}

/// Starts a fleet of that many devices. Returns it with its ledger.
pub(super) async fn fleet(count: usize) -> (IppFleet, Ledger) {
    let ledger = Ledger::new();
    let fleet = IppFleet::start(FleetOptions::of(count), ledger.clone())
        .await
        .unwrap();
    (fleet, ledger)
}

/// Starts one device. Its fleet has to be kept: the device ends with it.
pub(super) async fn device() -> (IppFleet, Arc<Device>, Ledger) {
    let (fleet, ledger) = fleet(1).await;
    let device = Arc::clone(&fleet.devices()[0]);
    (fleet, device, ledger)
}

/// Answer of the broker.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Said {
    /// Returns the key of the operation that the broker began.
    pub(super) fn operation(&self) -> &str {
        self.body["operation"].as_str().expect("an operation")
    }
}

/// A platform that talks to a broker about one instance.
pub(super) struct Platform {
    http: reqwest::Client,
    pub(super) broker: Broker,
    pub(super) ledger: Ledger,
}

impl Platform {
    pub(super) async fn start(mode: Mode) -> Self {
        Self::with(BrokerOptions {
            mode,
            ..BrokerOptions::default()
        })
        .await
    }

    pub(super) async fn with(options: BrokerOptions) -> Self {
        let ledger = Ledger::new();
        let broker = Broker::start(options, ledger.clone()).await.unwrap();
        Self {
            http: http(),
            broker,
            ledger,
        }
    }

    pub(super) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/v2/{path}", self.broker.url());
        self.http
            .request(method, url)
            .header("X-Broker-API-Version", "2.17")
    }

    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Said> {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let body = response.bytes().await?;
        Ok(Said {
            status,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        })
    }

    pub(super) async fn provision(&self, id: &str, parameters: Value) -> reqwest::Result<Said> {
        let path = format!("service_instances/{id}?accepts_incomplete=true");
        let body = provision_body(parameters);
        self.send(self.request(Method::PUT, &path).json(&body))
            .await
    }

    pub(super) async fn update(&self, id: &str, parameters: Value) -> reqwest::Result<Said> {
        let path = format!("service_instances/{id}?accepts_incomplete=true");
        let body = json!({ "service_id": "data-backup-id", "parameters": parameters });
        self.send(self.request(Method::PATCH, &path).json(&body))
            .await
    }

    pub(super) async fn deprovision(&self, id: &str) -> reqwest::Result<Said> {
        let path = format!(
            "service_instances/{id}?accepts_incomplete=true&service_id=data-backup-id&plan_id=data-backup-standard-id"
        );
        self.send(self.request(Method::DELETE, &path)).await
    }

    pub(super) async fn fetch(&self, id: &str) -> reqwest::Result<Said> {
        self.send(self.request(Method::GET, &format!("service_instances/{id}")))
            .await
    }

    pub(super) async fn poll(&self, id: &str, operation: &str) -> reqwest::Result<Said> {
        let path = format!("service_instances/{id}/last_operation?operation={operation}");
        self.send(self.request(Method::GET, &path)).await
    }
}

pub(super) fn provision_body(parameters: Value) -> Value {
    let mut body = json!({
        "service_id": "data-backup-id",
        "plan_id": "data-backup-standard-id",
        "organization_guid": "C-4711",
        "space_guid": "acme",
    });
    body["parameters"] = parameters;
    body
}
