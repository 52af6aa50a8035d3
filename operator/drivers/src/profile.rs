//! A Connection in the form that drivers need: checked, with its secrets, and nothing left to look
//! up.
//!
//! Pure. Made by `controllers` from a ConnectionSpec, the networks that the namespace may reach,
//! and the contents of the Secret and the ConfigMap.

use std::time::Duration;

use entente_crds::duration::Duration as SpecDuration;
use entente_crds::v1alpha1::{
    ClientAuthentication, ConnectionSpec, CredentialsType, Limit, Protocol, SnmpVersion, Trust,
};
use ipnet::IpNet;
use url::Url;

use crate::certificate::read_bundle;
use crate::credentials::CredentialsValue;

/// Reason why no profile could be made of a Connection.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProfileError {
    /// A duration that cannot be read, is negative or zero.
    #[error("{field} is \"{found}\": must be a duration longer than zero such as \"10s\"")]
    Duration {
        /// The field.
        field: &'static str,
        /// Its text.
        found: String,
    },
    /// A limit that is not a positive number.
    #[error("{field} must be a number of at least 1")]
    Limit {
        /// The field.
        field: &'static str,
    },
    /// No token endpoint, or one that is no URL.
    #[error("credentials.tokenURL must be a URL such as \"https://login.example/token\"")]
    TokenUrl,
    /// A bundle of authorities without any that can be read.
    #[error("ca.crt of tls.caConfigMapRef has no certificate in PEM that can be read")]
    Authorities,
    /// A network that cannot be read.
    #[error("a network must be written such as \"10.20.0.0/16\"")]
    Network,
}

/// A Connection in the form that drivers need: one class of devices or one server.
#[derive(Clone, Debug)]
pub struct ConnectionProfile {
    /// The name of the Connection: limits are counted under it.
    pub name: String,
    /// The tenant among whom the limits are shared: a namespace, or empty for the operator's own
    /// requests, as probes and removals of orphans are.
    pub tenant: String,
    /// The networks that a resolved address must lie in. Empty: nothing can be dialled.
    pub networks: Vec<IpNet>,
    /// Trust in the certificate.
    pub trust: TrustProfile,
    /// The name that the certificate must carry, where it is not that of the URL.
    pub server_name: Option<String>,
    /// Credentials for the remote side.
    pub credentials: Option<CredentialsValue>,
    /// URL of the token endpoint; only with OAuth2ClientCredentials.
    pub token_url: Option<Url>,
    /// Place of the client's id and secret in a request to it.
    pub client_authentication: ClientAuthentication,
    /// Time limit for a connection to be made, TLS included.
    pub connect_timeout: Duration,
    /// Time limit for the complete answer to a request, the connection included; waiting for a slot
    /// is not.
    pub request_timeout: Duration,
    /// Limits of one remote host and port.
    pub per_host: LimitValues,
    /// Limits of the whole Connection.
    pub total: LimitValues,
    /// Version of SNMP.
    pub snmp_version: SnmpVersion,
    /// Sentences about a part that is left out, with which the Connection can be used all the same.
    pub warnings: Vec<String>,
}

/// Trust in the certificate of the remote side.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum TrustProfile {
    /// By authorities, with its name and dates.
    Verify {
        /// The authorities as PEM; `None` for those of the system.
        ca_pem: Option<String>,
    },
    /// By the fingerprint that the target carries; without one nothing is sent.
    Pin,
    /// Any, while the target carries no fingerprint; that one, as soon as it does.
    FirstUse,
}

/// One limit.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LimitValues {
    /// Requests that are under way at once.
    pub in_flight: u32,
    /// Requests that begin in any one second.
    pub per_second: u32,
}

impl LimitValues {
    fn resolve(
        limit: Option<&Limit>,
        default: Self,
        field: &'static str,
    ) -> Result<Self, ProfileError> {
        let Some(limit) = limit else {
            return Ok(default);
        };
        let positive = |number: i32| {
            u32::try_from(number)
                .ok()
                .filter(|n| *n > 0)
                .ok_or(ProfileError::Limit { field })
        };
        Ok(Self {
            in_flight: positive(limit.in_flight)?,
            per_second: positive(limit.per_second)?,
        })
    }
}

impl ConnectionProfile {
    /// Makes the profile of a Connection.
    ///
    /// `networks` are those of the allow entries that match the namespace; `ca_pem` is `ca.crt`
    /// of `tls.caConfigMapRef`; `credentials` are those of the Device, else of the Connection.
    ///
    /// # Errors
    /// `Duration` or `Limit` with the field's name, `TokenUrl`, or `Authorities`.
    pub fn from_spec(
        name: &str,
        spec: &ConnectionSpec,
        networks: Vec<IpNet>,
        ca_pem: Option<String>,
        credentials: Option<CredentialsValue>,
    ) -> Result<Self, ProfileError> {
        let tls = spec.tls.clone().unwrap_or_default();
        let timeouts = spec.timeouts.clone().unwrap_or_default();
        let limits = spec.limits.clone().unwrap_or_default();
        waits_are_readable(spec)?;
        let (per_host, total) = Self::default_limits(spec.protocol);
        let warnings = ca_pem
            .as_deref()
            .map_or(Ok(Vec::new()), authority_warnings)?;
        Ok(Self {
            name: name.to_owned(),
            tenant: String::new(),
            networks,
            trust: match tls.trust {
                Trust::Verify => TrustProfile::Verify { ca_pem },
                Trust::Pin => TrustProfile::Pin,
                Trust::FirstUse => TrustProfile::FirstUse,
            },
            server_name: tls.server_name,
            credentials,
            token_url: token_url(spec)?,
            client_authentication: spec
                .credentials
                .as_ref()
                .and_then(|credentials| credentials.client_authentication)
                .unwrap_or_default(),
            connect_timeout: positive_duration(&timeouts.connect, "timeouts.connect")?,
            request_timeout: positive_duration(&timeouts.request, "timeouts.request")?,
            per_host: LimitValues::resolve(limits.per_host.as_ref(), per_host, "limits.perHost")?,
            total: LimitValues::resolve(limits.total.as_ref(), total, "limits.total")?,
            snmp_version: spec
                .snmp
                .as_ref()
                .map(|snmp| snmp.version)
                .unwrap_or_default(),
            warnings,
        })
    }

    /// Returns the profile for requests on behalf of a namespace.
    #[must_use]
    pub fn for_tenant(self, namespace: &str) -> Self {
        Self {
            tenant: namespace.to_owned(),
            ..self
        }
    }

    /// Returns the limits without any in the spec: per host and in total (api.md section 1).
    pub fn default_limits(protocol: Protocol) -> (LimitValues, LimitValues) {
        let per_host = match protocol {
            Protocol::IPP | Protocol::SNMP => LimitValues {
                in_flight: 1,
                per_second: 10,
            },
            Protocol::OSB | Protocol::HTTP | Protocol::Agent => LimitValues {
                in_flight: 32,
                per_second: 50,
            },
        };
        (
            per_host,
            LimitValues {
                in_flight: 512,
                per_second: 1000,
            },
        )
    }
}

/// Reads networks as an allow entry writes them.
///
/// # Errors
/// `Network` where one cannot be read.
pub fn parse_networks<'a>(
    networks: impl IntoIterator<Item = &'a String>,
) -> Result<Vec<IpNet>, ProfileError> {
    networks
        .into_iter()
        .map(|text| text.parse().map_err(|_| ProfileError::Network))
        .collect()
}

/// Returns a sentence about the authorities of a bundle that cannot be read, if there are any beside
/// others that can.
fn authority_warnings(pem: &str) -> Result<Vec<String>, ProfileError> {
    const MOST: usize = 8;
    let bundle = read_bundle(pem);
    if bundle.roots.is_empty() {
        return Err(ProfileError::Authorities);
    }
    if bundle.unreadable.is_empty() {
        return Ok(Vec::new());
    }
    let mut numbers: Vec<String> = bundle.unreadable.iter().map(ToString::to_string).collect();
    if numbers.len() > MOST {
        numbers.truncate(MOST);
        numbers.push("others".to_owned());
    }
    Ok(vec![format!(
        "of the {} certificates of ca.crt the following cannot be read and are left out: {}",
        bundle.total,
        numbers.join(", ")
    )])
}

/// Returns the URL of the token endpoint, if there is one. It comes from the Connection and never
/// from a Secret: the author of a Secret does not choose the address that is dialled.
fn token_url(spec: &ConnectionSpec) -> Result<Option<Url>, ProfileError> {
    let Some(credentials) = &spec.credentials else {
        return Ok(None);
    };
    if credentials.r#type != CredentialsType::OAuth2ClientCredentials {
        return Ok(None);
    }
    let text = credentials.token_url.as_deref().unwrap_or_default();
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .map(Some)
        .ok_or(ProfileError::TokenUrl)
}

/// Refuses waits of `retry` and `sync` that are no durations or zero. They are not used here, but the backoff would
/// use its defaults instead.
fn waits_are_readable(spec: &ConnectionSpec) -> Result<(), ProfileError> {
    let retry = spec
        .retry
        .iter()
        .flat_map(|retry| [(&retry.initial, "retry.initial"), (&retry.max, "retry.max")]);
    let sync = spec.sync.iter();
    let sync = sync.flat_map(|it| [(&it.period, "sync.period"), (&it.status, "sync.status")]);
    let mut waits = retry.chain(sync);
    waits.try_for_each(|(written, field)| positive_duration(written, field).map(drop))
}

fn positive_duration(
    written: &SpecDuration,
    field: &'static str,
) -> Result<Duration, ProfileError> {
    written
        .length()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| ProfileError::Duration {
            field,
            found: written.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use entente_crds::v1alpha1::{Credentials, Limits, Sync, Timeouts};

    use super::*;

    fn made(spec: &ConnectionSpec) -> Result<ConnectionProfile, ProfileError> {
        ConnectionProfile::from_spec("hq", spec, Vec::new(), None, None)
    }

    fn limit(in_flight: u32, per_second: u32) -> LimitValues {
        LimitValues {
            in_flight,
            per_second,
        }
    }

    #[test]
    fn what_a_connection_does_not_say_is_as_documented() {
        let ipp = made(&ConnectionSpec::default()).unwrap();
        assert_eq!((ipp.per_host, ipp.total), (limit(1, 10), limit(512, 1000)));
        assert_eq!(ipp.connect_timeout, Duration::from_secs(3));
        assert_eq!(ipp.request_timeout, Duration::from_secs(10));
        assert_eq!(ipp.trust, TrustProfile::Verify { ca_pem: None });
        let osb = ConnectionSpec {
            protocol: Protocol::OSB,
            ..ConnectionSpec::default()
        };
        assert_eq!(made(&osb).unwrap().per_host, limit(32, 50));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_field() {
        let of = |connect: &str| ConnectionSpec {
            timeouts: Some(Timeouts {
                connect: connect.into(),
                request: "10s".into(),
            }),
            ..ConnectionSpec::default()
        };
        assert_eq!(
            made(&of("1m30s")).unwrap().connect_timeout,
            Duration::from_secs(90)
        );
        for odd in ["", "0s", "-1s", "soon"] {
            let field = "timeouts.connect";
            assert_eq!(
                made(&of(odd)).unwrap_err(),
                ProfileError::Duration {
                    field,
                    found: odd.to_owned()
                },
                "{odd}"
            );
        }
        for odd in ["daily", "0s"] {
            let waits = ConnectionSpec {
                sync: Some(Sync {
                    period: odd.into(),
                    ..Sync::default()
                }),
                ..ConnectionSpec::default()
            };
            assert_eq!(
                made(&waits).unwrap_err().to_string(),
                format!(
                    "sync.period is \"{odd}\": must be a duration longer than zero such as \"10s\""
                )
            );
        }
        let total = Some(Limit {
            in_flight: 0,
            per_second: 5,
        });
        let limits = Some(Limits {
            total,
            ..Limits::default()
        });
        let none = ConnectionSpec {
            limits,
            ..ConnectionSpec::default()
        };
        assert_eq!(
            made(&none).unwrap_err(),
            ProfileError::Limit {
                field: "limits.total"
            }
        );
    }

    #[test]
    fn tokens_are_fetched_where_the_connection_says_and_nowhere_else() {
        let with = |r#type: CredentialsType, token_url: Option<&str>| ConnectionSpec {
            credentials: Some(Credentials {
                r#type,
                token_url: token_url.map(str::to_owned),
                ..Credentials::default()
            }),
            ..ConnectionSpec::default()
        };
        let oauth2 = CredentialsType::OAuth2ClientCredentials;
        let url = "https://login.example/token";
        let of = |spec: &ConnectionSpec| made(spec).map(|profile| profile.token_url);
        assert_eq!(of(&with(oauth2, Some(url))), Ok(url.parse().ok()));
        assert_eq!(of(&with(CredentialsType::Bearer, Some(url))), Ok(None));
        for odd in [None, Some("login.example"), Some("ftp://login.example/")] {
            let refused = of(&with(oauth2, odd));
            assert_eq!(refused, Err(ProfileError::TokenUrl), "{odd:?}");
        }
    }

    fn with_authorities(pem: &str) -> Result<Vec<String>, ProfileError> {
        let spec = ConnectionSpec::default();
        let made =
            ConnectionProfile::from_spec("hq", &spec, Vec::new(), Some(pem.to_owned()), None);
        made.map(|profile| profile.warnings)
    }

    // shows K7
    #[test]
    fn authorities_that_cannot_be_read_are_told_and_the_others_are_used() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["authority".to_owned()]).unwrap();
        let good = params.self_signed(&key).unwrap().pem();
        let broken = "-----BEGIN CERTIFICATE-----\n@@@\n-----END CERTIFICATE-----\n";
        assert_eq!(with_authorities(&good), Ok(Vec::new()));
        let told = with_authorities(&[broken, &good, broken].concat()).unwrap();
        assert_eq!(
            told,
            ["of the 3 certificates of ca.crt the following cannot be read and are left out: 1, 3"]
        );
        let many = with_authorities(&[&broken.repeat(300), &good[..]].concat()).unwrap();
        assert!(many[0].ends_with("7, 8, others"), "{many:?}");
        for none in [broken, "garbage", ""] {
            let refused = with_authorities(none);
            assert_eq!(refused, Err(ProfileError::Authorities), "{none}");
        }
    }
}
