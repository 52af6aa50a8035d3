//! Connection: the way to one class of devices or one outside system.

mod agent;
mod login;
mod order_server;
mod orphan;
mod pace;

pub use agent::*;
pub use login::*;
pub use order_server::*;
pub use orphan::*;
pub use pace::*;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, MAX_RECONCILE_AT, Selector, SnmpEndpoint, SnmpVersion};
use crate::bounded::Token;
use crate::schema;

/// A way to reach one class of devices or one outside system, and the namespaces that may use it.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "entente.dev",
    version = "v1alpha1",
    kind = "Connection",
    plural = "connections",
    shortname = "enconn",
    category = "entente",
    status = "ConnectionStatus",
    derive = "PartialEq",
    doc = "How to reach one class of devices or one outside system: protocol, address, who may use it, trust, credentials and limits. Written by the platform team.",
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name must be a DNS label: lower case letters, digits and '-', at most 63 characters"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "PROTOCOL", type_ = "string", json_path = ".spec.protocol"),
    printcolumn(name = "USED BY", type_ = "integer", json_path = ".status.usedBy"),
    printcolumn(name = "ORPHANS", type_ = "integer", json_path = ".status.orphanCount"),
    printcolumn(name = "MESSAGE", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.protocol == 'IPP') == has(self.ipp) && (self.protocol == 'OSB') == has(self.osb) && (self.protocol == 'HTTP') == has(self.http) && (self.protocol == 'Agent') == has(self.agent) && (self.protocol == 'SNMP') == has(self.snmp)")
        .message("exactly the member that the protocol names must be set: ipp for IPP, osb for OSB, http for HTTP, agent for Agent, snmp for SNMP"),
    validation = Rule::new("self.protocol == 'Agent' || self.allow.all(entry, has(entry.networks))")
        .message("each entry of allow needs networks, but with protocol Agent, where devices call"),
    validation = Rule::new("self.protocol != 'Agent' || !(has(self.tls) || has(self.credentials) || has(self.timeouts) || has(self.limits) || has(self.retry))")
        .message("tls, credentials, timeouts, limits and retry do not go with protocol Agent: the operator sends no request there, devices call the gateway"),
    validation = Rule::new("!has(self.credentials) || self.credentials.type != 'ClientCertificate' || (has(self.ipp) ? self.ipp.url.startsWith('ipps://') : has(self.osb) ? self.osb.url.startsWith('https://') : !has(self.http) || self.http.url.startsWith('https://'))")
        .message("credentials.type ClientCertificate is shown in a TLS handshake: the url must begin with ipps:// or https://"),
    validation = Rule::new("!has(self.credentials) || !has(self.credentials.secretRef) || !has(self.ipp) || !(self.ipp.url.contains('{address}') || self.ipp.url.matches('^[^/]*//[^/]*[{]queue[}]')) || (self.ipp.url.startsWith('ipps://') && has(self.tls) && (!has(self.tls.trust) || self.tls.trust == 'Verify') && has(self.tls.caConfigMapRef))")
        .message("credentials go to whatever host a Device names where url has {address}, or {queue} in its host: then url must begin with ipps:// and tls must have trust Verify and caConfigMapRef; else leave credentials or their secretRef out and set credentialsRef in each Device"),
    validation = Rule::new("!has(self.orders) || self.protocol == 'HTTP'")
        .message("orders goes with protocol HTTP only: it says what can be relied on of an order server"),
    validation = Rule::new("!has(self.credentials) || has(self.credentials.secretRef) || has(self.ipp) || has(self.http) || has(self.snmp)")
        .message("credentials.secretRef is required, but for Devices that have logins of their own"),
    validation = Rule::new("!has(self.credentials) || (self.credentials.type == 'SNMPv3') == (has(self.snmp) && (!has(self.snmp.version) || self.snmp.version == 'V3')) && (self.credentials.type == 'SNMPv2c') == (has(self.snmp) && has(self.snmp.version) && self.snmp.version == 'V2C')")
        .message("credentials.type SNMPv3 goes with protocol SNMP and snmp.version V3, SNMPv2c with V2C, and no other type goes with protocol SNMP"),
    validation = Rule::new("!has(self.snmp) || !has(self.credentials) || !has(self.credentials.secretRef)")
        .message("credentials.secretRef does not go with protocol SNMP, since a Device names the host: each Device names its login in spec.connections[].credentialsRef"),
    validation = Rule::new("!has(self.snmp) || !has(self.tls)")
        .message("tls does not go with protocol SNMP, which has no certificates: version V3 authenticates and encrypts by passwords")
)]
pub struct ConnectionSpec {
    /// Protocol of the connection. Exactly the member of that name is set.
    pub protocol: Protocol,
    /// Endpoint of IPP devices (RFC 8011).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipp: Option<IppEndpoint>,
    /// Endpoint of devices with an SNMP agent (RFC 3411, Printer MIB of RFC 3805).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snmp: Option<SnmpEndpoint>,
    /// Endpoint of an Open Service Broker (OSB 2.17).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub osb: Option<OsbEndpoint>,
    /// Server from which artifacts are fetched, to which data of devices are sent, or which hands
    /// settings out to devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpEndpoint>,
    /// The gateway that devices call, and its regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentEndpoint>,
    /// Namespaces that may use this connection, each with the allowed addresses. A namespace that
    /// no entry matches may not use it.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub allow: Vec<AllowEntry>,
    /// Trust in the certificate of the remote side, for URLs with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Credentials that are sent to the remote side. If a Device decides to which host, because the
    /// URL has {address}, or {queue} in its host, they are allowed over ipps with trust Verify and
    /// caConfigMapRef only. Otherwise leave out their secretRef: each Device then names its own in
    /// spec.connections[].credentialsRef. So it is for a settings distribution server of several
    /// tenants, by whose login the server tells which devices are theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// Time limits of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
    /// Limits of concurrent requests. No slot is used while a request backs off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Retries: exponential backoff with full jitter. What the remote side asks for with Retry-After
    /// is waited for, whatever is edited meanwhile; at most 24 h of it count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Intervals at which everything is read back although nothing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<Sync>,
    /// Promises of an order server beyond its requests, with protocol HTTP. Absent: it honours
    /// Idempotency-Key for 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<OrderServer>,
}

impl ConnectionSpec {
    /// Returns the type of the credentials that are used through the connection: where it names none,
    /// that of its version of SNMP, else Basic.
    pub fn credentials_type(&self) -> CredentialsType {
        let named = self.credentials.as_ref().map(|named| named.r#type);
        let of_snmp = self.snmp.as_ref().map(|snmp| match snmp.version {
            SnmpVersion::V3 => CredentialsType::SNMPv3,
            SnmpVersion::V2C => CredentialsType::SNMPv2c,
        });
        named.or(of_snmp).unwrap_or_default()
    }
}

/// Protocol of a connection.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    Hash,
    JsonSchema,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
pub enum Protocol {
    /// Internet Printing Protocol (RFC 8011).
    #[default]
    IPP,
    /// Open Service Broker API 2.17.
    OSB,
    /// HTTP (RFC 9110): artifacts of firmware and applications are fetched, data of devices are sent
    /// to providers, and settings reach devices through a settings distribution server.
    HTTP,
    /// Devices call the gateway of this installation.
    Agent,
    /// Simple Network Management Protocol (RFC 3411) over UDP.
    SNMP,
}

/// Endpoint of IPP devices.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.url.contains('{port}') == (has(self.ports) && size(self.ports) > 0)")
        .message("ports is required with {port} in url, and only then")
)]
pub struct IppEndpoint {
    /// The URL, with {address}, {port} and {queue} at the places that the Device fills.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(schema::url_template_rule()).message("must be a URL such as \"ipp://{address}:631/ipp/print\", with scheme ipp or ipps, without user, with a port from 1 to 65535, with an address that there is, and with no other placeholders than {address}, {port} and {queue}"))]
    pub url: String,
    /// The allowed values of {port}.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(range(min = 1, max = 65535)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub ports: Vec<i32>,
}

/// Endpoint of an Open Service Broker.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(format!("!has(self.movedFrom) || self.movedFrom.all(url, {})", schema::url_rule("url", "https?")))
        .message("movedFrom must have URLs such as \"https://broker.example\", without user and without a template, with a port from 1 to 65535 and an address that there is")
)]
pub struct OsbEndpoint {
    /// The URL of the broker, without /v2.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(schema::url_rule("self", "https?")).message("must be a URL such as \"https://broker.example\", without user and without a template, with a port from 1 to 65535 and an address that there is"))]
    pub url: String,
    /// Former URLs of this very broker, which has moved: the instances that were made there are
    /// served at url now. Instances that were made at any other URL are left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub moved_from: Vec<String>,
}

/// Server from which artifacts are fetched, to which data of devices are sent, or which hands settings
/// out to devices.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpEndpoint {
    /// Beginning of the URLs that are reached through this connection. Of a settings distribution
    /// server (docs/api/settings.yaml) it is the URL without /v1.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(schema::url_rule("self", "https?")).message("must be a URL such as \"https://files.example/firmware/\", without user and without a template, with a port from 1 to 65535 and an address that there is"))]
    pub url: String,
}

/// Namespaces that may use a connection, and the addresses that they may use it for.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowEntry {
    /// The name of the entry.
    #[schemars(schema_with = "schema::dns_label")]
    pub name: String,
    /// The namespaces whose objects may use the connection, by labels of the Namespace.
    /// The empty selector allows every namespace.
    pub namespaces: Selector,
    /// The networks that a resolved address must lie in; checked on every dial. Required, but with
    /// protocol Agent, where it has no meaning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::networks")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub networks: Vec<String>,
}

/// Observed state of a Connection.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, ResolvedRefs, Reachable, Authenticated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Number of Devices and subscriptions that use it, and of DeviceModels whose files are fetched through it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<i64>,
    /// Instances on the broker that were left behind, by an abandoned withdrawal or by one that did
    /// not end before its deadline. The operator tries to remove them while the broker answers, but
    /// none whose id a subscription has. The annotation entente.dev/forget-orphan takes one out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["instanceId".into()]))]
    pub orphans: Vec<Orphan>,
    /// Number of orphans that are not gone, of a Connection to a broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphan_count: Option<i64>,
    /// The ids in the annotation entente.dev/forget-orphan that were acted on. An orphan of such an
    /// id that is listed later is forgotten only if the annotation is set anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub forgotten: Vec<String>,
    /// Value of the annotation entente.dev/reconcile-at with which it was checked last: a broker was
    /// asked, unless it has asked for a wait that is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<Token<MAX_RECONCILE_AT>>,
}
