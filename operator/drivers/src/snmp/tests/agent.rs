//! An agent on loopback that answers by a function, request by request. It ends when it is dropped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entente_crds::v1alpha1::{ConnectionSpec, Protocol, SnmpEndpoint, SnmpVersion};
use entente_domain::secret::Secrets;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::super::message::{GET, GET_BULK, GET_NEXT, Pdu, RESPONSE, SET, Value};
use super::super::oid::Oid;
use super::super::tree::Objects;
use crate::credentials::CredentialsValue;
use crate::device::DeviceTarget;
use crate::profile::ConnectionProfile;

/// Time limit of a request: three attempts of half a second.
pub(super) const LIMIT: Duration = Duration::from_millis(1500);

/// An agent of version 2c with the community public, or of any other kind.
pub(super) struct Agent {
    url: String,
    asked: Arc<Mutex<Vec<Pdu>>>,
    task: JoinHandle<()>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Agent {
    /// Starts an agent that answers a datagram by these.
    pub(super) async fn raw(
        mut answer: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let url = format!("snmp://{}", socket.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let mut received = vec![0; 65_507];
            while let Ok((length, from)) = socket.recv_from(&mut received).await {
                for datagram in answer(&received[..length]) {
                    socket.send_to(&datagram, from).await.unwrap();
                }
            }
        });
        Self {
            url,
            asked: Arc::default(),
            task,
        }
    }

    /// Starts an agent that answers a request by these PDUs.
    pub(super) async fn start(mut answer: impl FnMut(&Pdu) -> Vec<Pdu> + Send + 'static) -> Self {
        let asked: Arc<Mutex<Vec<Pdu>>> = Arc::default();
        let noted = Arc::clone(&asked);
        let mut agent = Self::raw(move |datagram| {
            let request = Pdu::of_community(datagram, b"public").unwrap();
            let answers = answer(&request);
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.push(request);
            let answers = answers.into_iter();
            answers.map(|pdu| pdu.by_community(b"public")).collect()
        })
        .await;
        agent.asked = asked;
        agent
    }

    /// Returns the requests so far.
    pub(super) fn asked(&self) -> Vec<Pdu> {
        let asked = self.asked.lock();
        asked.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the way to it, by version 2c.
    pub(super) fn target(&self) -> DeviceTarget {
        self.target_by(SnmpVersion::V2C, None)
    }

    /// Returns the way to it, by a version and a login.
    pub(super) fn target_by(
        &self,
        version: SnmpVersion,
        credentials: Option<CredentialsValue>,
    ) -> DeviceTarget {
        let spec = ConnectionSpec {
            protocol: Protocol::SNMP,
            snmp: Some(SnmpEndpoint {
                version,
                ..SnmpEndpoint::default()
            }),
            ..ConnectionSpec::default()
        };
        let networks = vec!["127.0.0.0/8".parse().unwrap()];
        let mut profile =
            ConnectionProfile::from_spec("hq", &spec, networks, None, credentials).unwrap();
        profile.request_timeout = LIMIT;
        DeviceTarget {
            profile: profile.into(),
            url: self.url.clone(),
            printer_uri: None,
            pinned_certificate: None,
            secrets: Secrets::default(),
        }
    }
}

/// Returns the answer of an agent that keeps to the standard and has these objects.
pub(super) fn proper(objects: &Objects, request: &Pdu) -> Pdu {
    let mut bindings = Vec::new();
    for (oid, value) in &request.bindings {
        match request.tag {
            GET => {
                let found = objects.get(oid).cloned();
                bindings.push((oid.clone(), found.unwrap_or(Value::Missing)));
            }
            GET_NEXT | GET_BULK => {
                let most = if request.tag == GET_BULK {
                    request.index
                } else {
                    1
                };
                let most = usize::try_from(most).unwrap();
                let behind = objects.range((
                    std::ops::Bound::Excluded(oid.clone()),
                    std::ops::Bound::Unbounded,
                ));
                bindings.extend(
                    behind
                        .take(most)
                        .map(|(oid, value)| (oid.clone(), value.clone())),
                );
                if bindings.is_empty() {
                    bindings.push((oid.clone(), Value::EndOfView));
                }
            }
            SET => bindings.push((oid.clone(), value.clone())),
            other => panic!("a request of kind {other:#x}"),
        }
    }
    answer(request, bindings)
}

/// Returns an answer to a request.
pub(super) fn answer(request: &Pdu, bindings: Vec<(Oid, Value)>) -> Pdu {
    Pdu {
        id: request.id,
        ..Pdu::new(RESPONSE, bindings)
    }
}

/// Returns a refusal of a request.
pub(super) fn refusal(request: &Pdu, status: i64, index: i64) -> Pdu {
    Pdu {
        status,
        index,
        ..answer(request, request.bindings.clone())
    }
}

/// Returns the objects of lines `name = value`, names below 1.3.6.1.2.1: a number, a text in quotation
/// marks, octets as 0x….
pub(in crate::snmp) fn objects(lines: &str) -> Objects {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.split_once(" = ").expect("a name and a value");
            let value = match (value.strip_prefix("0x"), value.strip_prefix('"')) {
                (Some(octets), _) => Value::Octets(hex::decode(octets).unwrap()),
                (_, Some(text)) => Value::Octets(text.trim_end_matches('"').into()),
                _ => Value::Integer(value.parse().unwrap()),
            };
            (Oid::parse(&format!("1.3.6.1.2.1.{name}")).unwrap(), value)
        })
        .collect()
}
