//! Trust in the other side, and the login that is shown to it.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::v1alpha1::LocalReference;

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
