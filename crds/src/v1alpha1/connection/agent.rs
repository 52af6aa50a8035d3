//! The gateway that devices call, and its regions.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::schema;

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
