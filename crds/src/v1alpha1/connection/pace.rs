//! The pace of requests: how long one may take, how many there are at once, and when they come again.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::schema;

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
