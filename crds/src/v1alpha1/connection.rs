//! Connection: the way to one class of devices or one outside system.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Condition, InstanceBroker, LocalReference, MAX_RECONCILE_AT, Selector, SnmpEndpoint,
    SnmpVersion,
};
use crate::bounded::{Text, Token};
use crate::duration::Duration;
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

/// The gateway that devices call, and the gateways of other regions.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.elsewhere) || (has(self.regions) && self.regions.exists(region, region.name == self.elsewhere))")
        .message("elsewhere must be the name of one of regions"),
    validation = Rule::new("!has(self.regions) || self.regions.exists(region, region.name == self.region && region.url == self.url)")
        .message("regions must have an entry with the name that region has and the url that url has: this installation")
)]
pub struct AgentEndpoint {
    /// URL of the gateway of this installation, exactly as devices dial it: they take no link that leads
    /// to another host or port.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(schema::gateway_url_rule()).message(GATEWAY_URL))]
    pub url: String,
    /// Name of the region of this installation.
    #[schemars(schema_with = "schema::dns_label")]
    pub region: String,
    /// Every region, with its gateway: a device asks which one serves its place. Absent: this one serves
    /// every place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub regions: Vec<AgentRegion>,
    /// Name of the region that serves places which no entry names. Absent: none does, and a device there
    /// is told so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::dns_label")]
    pub elsewhere: Option<String>,
    /// The time between two calls of a device while nothing is ahead.
    #[serde(default = "AgentEndpoint::default_poll")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub poll: Duration,
    /// The time before an instant at which a service starts or changes in which a device is asked to call
    /// once more, spread over the devices.
    #[serde(default = "AgentEndpoint::default_before")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub before: Duration,
    /// Number of calls that may be missing before a device counts as not heard of.
    #[serde(default = "AgentEndpoint::default_missed_polls")]
    #[schemars(range(min = 1, max = 100))]
    pub missed_polls: i32,
}

/// Message of the rule of the URL of a gateway.
const GATEWAY_URL: &str = "must be a URL such as \"https://gw.eu.example\" or \"https://gw.eu.example:8443\": https, a host and at most a port from 1 to 65535, with an address that there is, and without user, path, query and template";

impl AgentEndpoint {
    fn default_poll() -> Duration {
        "24h".into()
    }

    fn default_before() -> Duration {
        "2m".into()
    }

    fn default_missed_polls() -> i32 {
        2
    }
}

impl Default for AgentEndpoint {
    fn default() -> Self {
        Self {
            url: String::new(),
            region: String::new(),
            regions: Vec::new(),
            elsewhere: None,
            poll: Self::default_poll(),
            before: Self::default_before(),
            missed_polls: Self::default_missed_polls(),
        }
    }
}

/// A region and its gateway.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentRegion {
    /// The name of the region.
    #[schemars(schema_with = "schema::dns_label")]
    pub name: String,
    /// URL of its gateway.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(schema::gateway_url_rule()).message(GATEWAY_URL))]
    pub url: String,
    /// The countries that it serves (ISO 3166-1 alpha-2, such as "JP") and parts of them (ISO 3166-2, such
    /// as "JP-13"). A part that one region names goes before its country in another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 300), inner(length(min = 2, max = 6)))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = Rule::new("self.all(place, place.matches('^[A-Z]{2}(-[A-Z0-9]{1,3})?$'))").message("each place must be a country of ISO 3166 such as \"JP\", or a part of one such as \"JP-13\"")
    )]
    pub countries: Vec<String>,
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

/// Trust in certificates. No setting turns verification off.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.caConfigMapRef) || !has(self.trust) || self.trust == 'Verify'")
        .message("caConfigMapRef goes with trust Verify only")
)]
pub struct Tls {
    /// Judgement of a certificate. Verify, the default, uses the authorities of `caConfigMapRef`,
    /// else those of the system; Pin compares the fingerprint in the Device's
    /// `spec.certificateSha256`; FirstUse keeps the fingerprint that is seen first.
    #[serde(default)]
    pub trust: Trust,
    /// A ConfigMap in the operator's namespace whose key `ca.crt` holds the authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<LocalReference>,
    /// Name that the certificate must contain, if it is not the host of the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::address")]
    pub server_name: Option<String>,
}

/// Judgement of a certificate.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum Trust {
    /// By the authorities of the ConfigMap, else those of the system.
    #[default]
    Verify,
    /// By the fingerprint in the Device's `spec.certificateSha256`.
    Pin,
    /// The fingerprint seen first is kept in the Device's status and must stay.
    FirstUse,
}

/// Credentials of a connection: a Secret, and the way in which it is used.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.type == 'OAuth2ClientCredentials') == has(self.tokenURL)")
        .message("tokenURL is required with type OAuth2ClientCredentials, and only then"),
    validation = Rule::new("!has(self.clientAuthentication) || self.type == 'OAuth2ClientCredentials'")
        .message("clientAuthentication goes with type OAuth2ClientCredentials only")
)]
pub struct Credentials {
    /// Use and keys of the Secret: Basic and Digest = keys `username` and `password`; Bearer = key `token`;
    /// ClientCertificate = keys `tls.crt` and `tls.key`, as in a Secret of type kubernetes.io/tls;
    /// OAuth2ClientCredentials = keys `client-id`, `client-secret` and, if needed, `scope`; SNMPv3 =
    /// keys `username`, `authProtocol` (SHA-224, SHA-256, SHA-384 or SHA-512), `authPassword`,
    /// `privProtocol` (AES-128, AES-192 or AES-256), `privPassword` and, if needed, `contextName`;
    /// SNMPv2c = key `community`.
    pub r#type: CredentialsType,
    /// A Secret in the operator's namespace. It is read before use, so a change takes effect at once.
    /// If it is absent, each Device names its own in spec.connections[].credentialsRef, of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// URL of the token endpoint, with type OAuth2ClientCredentials. It is here and not in the
    /// Secret, so that every address that is dialled can be reviewed and only the platform team
    /// chooses it. Its address must lie in the networks of `allow` like every other one; its
    /// certificate is judged by the authorities of `tls.caConfigMapRef`, else those of the system,
    /// whatever `tls.trust` is. Only https, or http to a loopback address such as a sidecar's.
    #[serde(rename = "tokenURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(schema::token_url_rule()).message("must be a URL such as \"https://login.example/oauth2/token\", without user, with a port from 1 to 65535 and an address that there is; http only to a loopback address"))]
    pub token_url: Option<String>,
    /// Place of `client-id` and `client-secret` in the request for a token, with type
    /// OAuth2ClientCredentials: Basic, which is meant if it is absent, or Body for a token endpoint
    /// that does not accept them in a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_authentication: Option<ClientAuthentication>,
}

/// Place of a client's id and secret in the request for a token (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ClientAuthentication {
    /// The header Authorization (client_secret_basic). Every token endpoint has to accept it.
    #[default]
    Basic,
    /// The form in the body (client_secret_post).
    Body,
}

/// Kind of credentials that a Secret holds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum CredentialsType {
    /// `username` and `password` (RFC 7617).
    #[default]
    Basic,
    /// `username` and `password`, which are proved and never sent (RFC 7616). A device that asks for
    /// Basic does not get them.
    Digest,
    /// `token` (RFC 6750).
    Bearer,
    /// `tls.crt` and `tls.key` in PEM, shown in the TLS handshake (mutual TLS). Needs a URL with
    /// ipps or https.
    ClientCertificate,
    /// `client-id`, `client-secret` and perhaps `scope`, for which the endpoint at `tokenURL` gives
    /// tokens that are sent as Bearer (RFC 6749 section 4.4). A token is fetched once, used until
    /// shortly before its end, and fetched anew when it is refused.
    OAuth2ClientCredentials,
    /// `username`, `authProtocol`, `authPassword`, `privProtocol`, `privPassword` and perhaps
    /// `contextName` (RFC 3414): the passwords are proved and never sent. The type of every login of
    /// protocol SNMP and version V3.
    SNMPv3,
    /// `community` (RFC 1901), with protocol SNMP and version V2C. Without a login it is public.
    SNMPv2c,
}

/// Time limits of requests.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// Time limit for the connection to be established.
    #[serde(default = "Timeouts::default_connect")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub connect: Duration,
    /// Time limit for the complete answer to a request. By SNMP a request is sent three times within it.
    #[serde(default = "Timeouts::default_request")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub request: Duration,
}

impl Timeouts {
    fn default_connect() -> Duration {
        "3s".into()
    }

    fn default_request() -> Duration {
        "10s".into()
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Self::default_connect(),
            request: Self::default_request(),
        }
    }
}

/// Limits of requests to the remote side.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Limit for one remote host and port. Absent: 1 in flight and 10 per second for IPP and SNMP,
    /// 32 and 50 for OSB and HTTP. One look at a device by SNMP, which takes several datagrams, counts
    /// as one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_host: Option<Limit>,
    /// Limit for the whole connection. Absent: 512 in flight and 1,000 per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Limit>,
}

/// One limit of concurrency and rate.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// Requests that are under way at once.
    #[schemars(range(min = 1, max = 4096))]
    pub in_flight: i32,
    /// Requests that begin in a second.
    #[schemars(range(min = 1, max = 100_000))]
    pub per_second: i32,
}

/// Backoff between retries.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Upper bound of the wait after the first failure.
    #[serde(default = "Retry::default_initial")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub initial: Duration,
    /// Upper bound of every wait, unless the remote side asks for a longer one.
    #[serde(default = "Retry::default_max")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub max: Duration,
}

impl Retry {
    fn default_initial() -> Duration {
        "1s".into()
    }

    fn default_max() -> Duration {
        "15m".into()
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            initial: Self::default_initial(),
            max: Self::default_max(),
        }
    }
}

/// Intervals at which everything is read back.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sync {
    /// The time between two full read-backs; jittered by namespace and name.
    #[serde(default = "Sync::default_period")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub period: Duration,
    /// The time between two status reports of a device whose model has errors; jittered in the same way.
    /// A device that calls reports by itself.
    #[serde(default = "Sync::default_status")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub status: Duration,
}

impl Sync {
    fn default_period() -> Duration {
        "24h".into()
    }

    fn default_status() -> Duration {
        "5m".into()
    }
}

impl Default for Sync {
    fn default() -> Self {
        Self {
            period: Self::default_period(),
            status: Self::default_status(),
        }
    }
}

/// Promises of an order server. One that neither honours the key nor finds orders by their reference
/// gets each order once at most: a person finds out what became of a lost answer.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderServer {
    /// Effect of Idempotency-Key.
    #[serde(default)]
    pub idempotency_key: IdempotencyKey,
    /// The time for which it remembers a key. An answer that is in doubt for longer is no more asked for
    /// by sending the order again.
    #[serde(default = "OrderServer::default_kept_for")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub kept_for: Duration,
}

impl OrderServer {
    fn default_kept_for() -> Duration {
        "24h".into()
    }
}

impl Default for OrderServer {
    fn default() -> Self {
        Self {
            idempotency_key: IdempotencyKey::default(),
            kept_for: Self::default_kept_for(),
        }
    }
}

/// Effect of the header Idempotency-Key at an order server.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum IdempotencyKey {
    /// An order that is sent again under its key is not made again.
    #[default]
    Honoured,
    /// It has none.
    Ignored,
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

/// An instance on a broker that was left behind.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// The id of the instance (OSB `instance_id`).
    #[schemars(length(max = 64))]
    pub instance_id: String,
    /// The broker on which it was left, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<InstanceBroker>,
    /// The offering (OSB `service_id`).
    #[schemars(length(max = 1024))]
    pub service_id: String,
    /// The plan (OSB `plan_id`).
    #[schemars(length(max = 1024))]
    pub plan_id: String,
    /// The operation that was under way when it was left behind, as the broker named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10000))]
    pub operation: Option<String>,
    /// The instant at which it became an orphan.
    pub since: jiff::Timestamp,
    /// Reason why it could not be removed.
    pub reason: Text<253>,
    /// The subscription that left it behind, which need not exist any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<OrphanedBy>,
    /// Result of the last attempt to remove it, or the reason for which none is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Text<253>>,
    /// Present while the operator may have a request to remove it under way. No subscription is set
    /// up under its id meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<OrphanRemoval>,
    /// The instant at which it was found gone, or a person forgot it: it is listed until the
    /// subscription that left it behind has taken note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<jiff::Timestamp>,
}

/// The subscription that left an instance behind.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrphanedBy {
    /// Its namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
}

/// The attempts of the operator to remove an orphan.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrphanRemoval {
    /// The instant of the decision to send the first of them.
    pub since: jiff::Timestamp,
    /// The instant since which the broker has a removal under way, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way_since: Option<jiff::Timestamp>,
    /// The broker's own id of that removal (OSB `operation`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10000))]
    pub operation: Option<String>,
}
