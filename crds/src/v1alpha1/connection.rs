//! Connection: how to reach one class of devices or one outside system.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, LocalReference, Selector};
use crate::duration::Duration;
use crate::schema;

/// How to reach one class of devices or one outside system, and who may use it.
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
    printcolumn(name = "MESSAGE", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.protocol == 'IPP') == has(self.ipp) && (self.protocol == 'OSB') == has(self.osb)")
        .message("exactly the member that the protocol names must be set: ipp for IPP, osb for OSB"),
    validation = Rule::new("!has(self.credentials) || self.credentials.type != 'ClientCertificate' || (has(self.ipp) ? self.ipp.url.startsWith('ipps://') : !has(self.osb) || self.osb.url.startsWith('https://'))")
        .message("credentials.type ClientCertificate is shown in a TLS handshake: the url must begin with ipps:// or https://"),
    validation = Rule::new("!has(self.credentials) || !has(self.ipp) || !(self.ipp.url.contains('{address}') || self.ipp.url.matches('^[^/]*//[^/]*[{]queue[}]')) || (self.ipp.url.startsWith('ipps://') && has(self.tls) && (!has(self.tls.trust) || self.tls.trust == 'Verify') && has(self.tls.caConfigMapRef))")
        .message("credentials go to whatever host a Device names where url has {address}, or {queue} in its host: then url must begin with ipps:// and tls must have trust Verify and caConfigMapRef; else leave credentials out and set credentialsRef in each Device")
)]
pub struct ConnectionSpec {
    /// What is spoken. Exactly the member of that name is set.
    pub protocol: Protocol,
    /// Where IPP devices are reached (RFC 8011).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipp: Option<IppEndpoint>,
    /// Where an Open Service Broker is reached (OSB 2.17).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub osb: Option<OsbEndpoint>,
    /// Who may use this connection, and for which addresses. Nobody may where no entry matches.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub allow: Vec<AllowEntry>,
    /// Whom to trust when TLS is spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// What to log in with. Where a Device decides which host that is sent to, as the URL has
    /// {address}, or {queue} in its host, it is allowed over ipps with trust Verify and
    /// caConfigMapRef only. Without these leave it out: each Device names a login of its own there,
    /// in spec.connections[].credentialsRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// How long to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
    /// How much at once. A slot is not held while backing off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// How to try again: exponential with full jitter; the remote side's Retry-After wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How often everything is read back although nothing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<Sync>,
}

/// What is spoken.
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
}

/// Where IPP devices are reached.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.url.contains('{port}') == (has(self.ports) && size(self.ports) > 0)")
        .message("ports is required with {port} in url, and only then")
)]
pub struct IppEndpoint {
    /// The URL, with {address}, {port} and {queue} where they come from the Device.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^ipps?://[^/?#@]+(/[^?#]*)?$')").message("must be a URL such as \"ipp://{address}:631/ipp/print\", with scheme ipp or ipps and without user"))]
    pub url: String,
    /// The ports that {port} may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(range(min = 1, max = 65535)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub ports: Vec<i32>,
}

/// Where an Open Service Broker is reached.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OsbEndpoint {
    /// The URL of the broker, without /v2.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^/?#@{}]+(/[^?#{}]*)?$')").message("must be a URL such as \"https://broker.example\", without user and without a template"))]
    pub url: String,
}

/// Who may use a connection, and for which addresses.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowEntry {
    /// The name of the entry.
    #[schemars(schema_with = "schema::dns_label")]
    pub name: String,
    /// The namespaces whose objects may use the connection, by labels of the Namespace.
    /// The empty selector allows every namespace.
    pub namespaces: Selector,
    /// The networks that a resolved address must lie in; checked on every dial.
    #[schemars(schema_with = "schema::networks")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub networks: Vec<String>,
}

/// Whom to trust when TLS is spoken. Nothing turns verification off.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.caConfigMapRef) || self.trust == 'Verify'")
        .message("caConfigMapRef goes with trust Verify only")
)]
pub struct Tls {
    /// How a certificate is judged. Verify, the default, asks the authorities of
    /// `caConfigMapRef`, else those of the system; Pin compares the fingerprint in the Device's
    /// `spec.certificateSha256`; FirstUse keeps the fingerprint that is seen first.
    #[serde(default)]
    pub trust: Trust,
    /// A ConfigMap in the operator's namespace whose key `ca.crt` holds the authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<LocalReference>,
    /// The name that the certificate must carry, where it is not that of the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::address")]
    pub server_name: Option<String>,
}

/// How a certificate is judged.
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

/// What to log in with.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.type == 'OAuth2ClientCredentials') == has(self.tokenURL)")
        .message("tokenURL is required with type OAuth2ClientCredentials, and only then")
)]
pub struct Credentials {
    /// What the Secret holds: Basic = keys `username` and `password`; Bearer = key `token`;
    /// ClientCertificate = keys `tls.crt` and `tls.key`, as in a Secret of type kubernetes.io/tls;
    /// OAuth2ClientCredentials = keys `client-id`, `client-secret` and, where wanted, `scope`.
    pub r#type: CredentialsType,
    /// A Secret in the operator's namespace. It is read before use, so a change takes effect at once.
    pub secret_ref: LocalReference,
    /// Where tokens are fetched, with type OAuth2ClientCredentials. It stands here and not in the
    /// Secret, so that every address that is dialled can be reviewed, and is chosen by the platform
    /// team alone. Its address must lie in the networks of `allow` like every other one; its
    /// certificate is judged by the authorities of `tls.caConfigMapRef`, else those of the system,
    /// whatever `tls.trust` says. Only https, or http to a loopback address such as a sidecar's.
    #[serde(rename = "tokenURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^(https://[^/?#@{}]+|http://(127([.][0-9]{1,3}){3}|\\\\[::1\\\\])(:[0-9]{1,5})?)(/[^?#{}]*)?([?][^#{}]*)?$')").message("must be a URL such as \"https://login.example/oauth2/token\", without user; http only to a loopback address"))]
    pub token_url: Option<String>,
}

/// What a credentials Secret holds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum CredentialsType {
    /// `username` and `password` (RFC 7617).
    #[default]
    Basic,
    /// `token` (RFC 6750).
    Bearer,
    /// `tls.crt` and `tls.key` in PEM, shown in the TLS handshake (mutual TLS). Needs a URL with
    /// ipps or https.
    ClientCertificate,
    /// `client-id`, `client-secret` and perhaps `scope`, for which the endpoint at `tokenURL` gives
    /// tokens that are sent as Bearer (RFC 6749 section 4.4). A token is fetched once, used until
    /// shortly before its end, and fetched anew when it is refused.
    OAuth2ClientCredentials,
}

/// How long to wait.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// For a connection to be made.
    #[serde(default = "Timeouts::default_connect")]
    #[schemars(schema_with = "schema::duration")]
    pub connect: Duration,
    /// For a request to be answered in full.
    #[serde(default = "Timeouts::default_request")]
    #[schemars(schema_with = "schema::duration")]
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

/// How much at once.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Of one remote host and port. Without it: 1 in flight and 10 per second for IPP,
    /// 32 and 50 for OSB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_host: Option<Limit>,
    /// Of the whole connection. Without it: 512 in flight and 1,000 per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Limit>,
}

/// One limit.
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

/// How to try again.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// The wait after the first failure is at most this long.
    #[serde(default = "Retry::default_initial")]
    #[schemars(schema_with = "schema::duration")]
    pub initial: Duration,
    /// No wait is longer than this, unless the remote side asks for it.
    #[serde(default = "Retry::default_max")]
    #[schemars(schema_with = "schema::duration")]
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

/// How often everything is read back.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sync {
    /// The time between two full read-backs; jittered by namespace and name.
    #[serde(default = "Sync::default_period")]
    #[schemars(schema_with = "schema::duration")]
    pub period: Duration,
}

impl Sync {
    fn default_period() -> Duration {
        "24h".into()
    }
}

impl Default for Sync {
    fn default() -> Self {
        Self {
            period: Self::default_period(),
        }
    }
}

/// What the operator says of a Connection.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, ResolvedRefs, Reachable, Authenticated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// How many Devices and subscriptions use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<i64>,
    /// Instances on the broker that could not be removed before their deadline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["instanceId".into()]))]
    pub orphans: Vec<Orphan>,
}

/// An instance on a broker that could not be removed before its deadline.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// The id of the instance (OSB `instance_id`).
    #[schemars(length(max = 64))]
    pub instance_id: String,
    /// The offering (OSB `service_id`).
    #[schemars(length(max = 1024))]
    pub service_id: String,
    /// The plan (OSB `plan_id`).
    #[schemars(length(max = 1024))]
    pub plan_id: String,
    /// The operation that was under way, as the broker named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10000))]
    pub operation: Option<String>,
    /// Since when it is an orphan.
    pub since: jiff::Timestamp,
    /// Why it could not be removed.
    #[schemars(schema_with = "schema::text")]
    pub reason: String,
}
