//! Flags and environment of the operator: parsed, and checked for form only.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use entente_crds::duration::parse_duration;
use reqwest::Url;
use tracing_subscriber::EnvFilter;

use crate::label_selector::label_selector;

mod gateway;

pub(crate) use gateway::GatewayFlags;

/// The Entente operator: sets up the services of contracts on devices, and proves it.
///
/// Exit codes: 0 stopped as asked, 1 failed, 2 wrong usage.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "entente-operator",
    version,
    about,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub(crate) struct Args {
    /// Command in place of running the operator
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Kubeconfig file; without it that of the environment, else the pod's service account
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// The operator's own namespace, where Secrets and ConfigMaps of Connections are
    #[arg(long, env = "POD_NAMESPACE", default_value = "entente-system")]
    pub(crate) namespace: String,

    /// The namespaces that are served, separated by commas; without it all of them
    #[arg(long, env = "ENTENTE_WATCH_NAMESPACES", value_name = "NAMES", value_delimiter = ',',
          value_parser = namespace)]
    pub(crate) watch_namespaces: Vec<String>,

    /// Label selector of the Connections, DeviceModels and SmartServices that are served, such as
    /// "team=print"; without it all of them
    #[arg(long, env = "ENTENTE_SELECTOR", default_value = "", value_parser = label_selector)]
    pub(crate) selector: String,

    /// Name of this pod, shown in events and in the Lease; no other process may have it at once
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub(crate) pod_name: Option<String>,

    /// Elect one of several replicas by a Lease; false: this is the only one
    #[arg(long, env = "ENTENTE_LEADER_ELECTION", value_name = "BOOL", default_value_t = true,
          action = clap::ArgAction::Set)]
    pub(crate) leader_election: bool,

    /// Time after which another replica takes over from one that does not renew the Lease, in whole
    /// seconds. A replica acts for two thirds of it after its last renewal
    #[arg(long, env = "ENTENTE_LEASE_DURATION", default_value = "15s", value_name = "DURATION",
          value_parser = lease_duration)]
    pub(crate) lease_duration: Duration,

    /// Address of /livez, /readyz and /metrics
    #[arg(long, env = "ENTENTE_ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
    pub(crate) admin_address: SocketAddr,

    /// Address of the events endpoint, over TLS; without it events are not served
    #[arg(long, env = "ENTENTE_EVENTS_ADDRESS", requires = "events_tls_dir")]
    pub(crate) events_address: Option<SocketAddr>,

    /// Directory with tls.crt and tls.key of the events endpoint, read again when they change
    #[arg(
        long,
        env = "ENTENTE_EVENTS_TLS_DIR",
        value_name = "DIRECTORY",
        requires = "events_address"
    )]
    pub(crate) events_tls_dir: Option<PathBuf>,

    /// Address of the board, pages for people; without it there is none. Plain HTTP needs a loopback
    /// address
    #[arg(long, env = "ENTENTE_BOARD_ADDRESS")]
    pub(crate) board_address: Option<SocketAddr>,

    /// Directory with tls.crt and tls.key of the board, read again when they change
    #[arg(
        long,
        env = "ENTENTE_BOARD_TLS_DIR",
        value_name = "DIRECTORY",
        requires = "board_address"
    )]
    pub(crate) board_tls_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) log: LogFlags,

    /// Base URL of an OpenTelemetry collector (OTLP over HTTP), such as http://collector:4318; without
    /// it no traces are made
    #[arg(long, env = "ENTENTE_TRACES_ENDPOINT", value_name = "URL", value_parser = collector)]
    pub(crate) traces_endpoint: Option<String>,

    /// Devices that are worked on at once. A device that has not answered for half a second does not
    /// count, so those that hang (4096 at most) do not hold up the others
    #[arg(long, env = "ENTENTE_CONCURRENCY", default_value_t = 2048,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) concurrency: u16,

    /// Requests to the Kubernetes API that are under way at once, watches excepted
    #[arg(long, env = "ENTENTE_API_IN_FLIGHT", default_value_t = 32,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) api_in_flight: u16,

    /// Time limit of a request to the Kubernetes API
    #[arg(long, env = "ENTENTE_API_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub(crate) api_timeout: Duration,

    /// Time after which a withdrawal is given up and its instance becomes an orphan
    #[arg(long, env = "ENTENTE_WITHDRAW_DEADLINE", default_value = "24h", value_parser = duration)]
    pub(crate) withdraw_deadline: Duration,

    /// Shortest time between two writes of a status whose compensation accrues
    #[arg(long, env = "ENTENTE_ACCRUAL_INTERVAL", default_value = "1h", value_parser = duration)]
    pub(crate) accrual_interval: Duration,
}

impl Args {
    /// Returns the fault of the flags of the board: tokens must not cross a network in plain text.
    pub(crate) fn board_problem(&self) -> Option<String> {
        let address = self.board_address.filter(|it| !it.ip().is_loopback())?;
        self.board_tls_dir.is_none().then(|| {
            format!(
                "\"{address}\" must be a loopback address such as 127.0.0.1:8444, or --board-tls-dir must \
                 name the directory of a certificate"
            )
        })
    }
}

/// Flags of the log.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogFlags {
    /// Format of the log
    #[arg(long = "log-format", env = "ENTENTE_LOG_FORMAT", value_enum,
          default_value_t = LogFormat::Json)]
    pub(crate) format: LogFormat,

    /// Level of our own lines in the log, or directives such as "info,kube=debug"
    #[arg(
        long = "log-level",
        env = "ENTENTE_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL",
        value_parser = log_directives
    )]
    pub(crate) level: String,

    /// File with a level in place of that, read again when it changes; for a mounted ConfigMap
    #[arg(
        long = "log-level-file",
        env = "ENTENTE_LOG_LEVEL_FILE",
        value_name = "FILE"
    )]
    pub(crate) level_file: Option<PathBuf>,
}

/// Command in place of running the operator.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Request pages of a running operator until each of them answers 200
    Probe(Probe),
    /// Serve the devices that call
    Gateway(Box<GatewayFlags>),
}

/// Flags of `probe`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Probe {
    /// Pages such as `http://entente-metrics:8080/readyz`
    #[arg(required = true, value_name = "URL", value_parser = page)]
    pub(crate) pages: Vec<Url>,

    /// Time within which each page must have answered 200
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = duration)]
    pub(crate) within: Duration,
}

/// Reads the URL of a page. The admin endpoints are plain HTTP.
fn page(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http");
    url.ok_or_else(|| format!("\"{text}\" must be a URL that begins with http://"))
}

/// Reads the base URL of a collector, which speaks OTLP over HTTP and by no other protocol.
fn collector(text: &str) -> Result<String, String> {
    let url = Url::parse(text).ok().filter(|url| {
        let is_http = ["http", "https"].contains(&url.scheme());
        is_http && url.has_host() && url.query().is_none() && url.fragment().is_none()
    });
    url.map(|_| text.to_owned()).ok_or_else(|| {
        format!(
            "\"{text}\" must be a URL that begins with http:// or https://, without a query, such as \
             http://collector:4318"
        )
    })
}

/// The levels of the log.
const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];

/// Reads a level, or directives of which each ends in one. A word alone that is no level would be
/// the name of a part of the program, and the log silent.
pub(crate) fn log_directives(text: &str) -> Result<String, String> {
    for directive in text.split(',') {
        let level = directive
            .rsplit_once('=')
            .map_or(directive, |(_, level)| level);
        if !LEVELS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(level.trim()))
        {
            let levels = LEVELS.join(", ");
            return Err(format!(
                "\"{level}\" of \"{text}\": must be one of {levels}"
            ));
        }
    }
    EnvFilter::try_new(text).map_err(|error| format!("\"{text}\": {error}"))?;
    Ok(text.to_owned())
}

/// Format of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Reads a length of time as in the kinds of Entente (`90s`, `15m`, `1h30m`, `500ms`) that is more
/// than zero, as every flag requires.
fn duration(text: &str) -> Result<Duration, String> {
    let length = parse_duration(text).map_err(|error| error.to_string())?;
    Duration::try_from(length)
        .ok()
        .filter(|length| !length.is_zero())
        .ok_or_else(|| format!("\"{text}\" must be more than zero"))
}

/// Reads the name of a namespace (RFC 1123 label).
fn namespace(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_name = (1..=63).contains(&text.len())
        && text.chars().all(|c| is_plain(c) || c == '-')
        && text.starts_with(is_plain)
        && text.ends_with(is_plain);
    is_name.then(|| text.to_owned()).ok_or_else(|| {
        format!(
            "\"{text}\" must be the name of a namespace: 1 to 63 lower-case letters, digits and \
             hyphens, with a letter or digit at both ends"
        )
    })
}

/// Shortest and longest duration of the Lease, in seconds: a busy API server must not cost the
/// leader, and another one has to come in time.
const LEASE_SECONDS: std::ops::RangeInclusive<u64> = 3..=600;

/// Reads the duration of the Lease, which the Lease has in whole seconds.
fn lease_duration(text: &str) -> Result<Duration, String> {
    let length = duration(text)?;
    let is_allowed = length.subsec_nanos() == 0 && LEASE_SECONDS.contains(&length.as_secs());
    is_allowed.then_some(length).ok_or_else(|| {
        let (least, most) = (LEASE_SECONDS.start(), LEASE_SECONDS.end());
        format!("\"{text}\" must be in whole seconds, {least}s to {most}s")
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{CommandFactory as _, Parser as _};

    use super::{Args, Command, duration};

    #[test]
    fn the_flags_are_consistent_and_have_defaults() {
        Args::command().debug_assert();
        let args = Args::try_parse_from(["entente-operator"]).unwrap();
        assert_eq!(args.withdraw_deadline, Duration::from_hours(24));
        assert_eq!(args.admin_address.port(), 8080);
        assert_eq!(args.concurrency, 2048);
        assert!(args.leader_election);
        assert_eq!(args.lease_duration, Duration::from_secs(15));
    }

    #[test]
    fn wrong_usage_is_told() {
        for wrong in [
            "--concurrency=0",
            "--api-timeout=30",
            "--admin-address=x",
            "--nonsense",
            "--log-level=verbose",
            "--log-level=warning",
            "--log-level=info,entente_controllers=loud",
            "--log-level=",
            "--events-address=0.0.0.0:8443",
            "--events-tls-dir=/tls",
            "--events-address=8443",
            "--board-address=8444",
            "--board-tls-dir=/tls",
            "--leader-election=maybe",
            "--watch-namespaces=Acme",
            "--watch-namespaces=acme,,globex",
            "--lease-duration=2s",
            "--lease-duration=11m",
            "--lease-duration=3500ms",
            "--selector=a=b=c",
            "--traces-endpoint=grpc://collector:4317",
            "--traces-endpoint=collector:4318",
            "--traces-endpoint=http://collector:99999",
            "--traces-endpoint=http://collector?a=b",
        ] {
            let error = Args::try_parse_from(["entente-operator", wrong]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn a_board_without_a_certificate_is_on_a_loopback_address() {
        let problem = |flags: &[&str]| {
            let flags = [&["entente-operator"], flags].concat();
            Args::try_parse_from(flags).unwrap().board_problem()
        };
        assert_eq!(problem(&[]), None);
        for fine in ["127.0.0.1:8444", "[::1]:8444"] {
            assert_eq!(problem(&["--board-address", fine]), None, "{fine}");
        }
        for open in ["0.0.0.0:8444", "[::]:8444", "10.1.2.3:8444"] {
            let problem = |more: &[&str]| problem(&[&["--board-address", open], more].concat());
            let said = problem(&[]).unwrap();
            assert!(
                said.contains(open) && said.contains("--board-tls-dir"),
                "{said}"
            );
            assert_eq!(problem(&["--board-tls-dir=/tls"]), None, "{open}");
        }
    }

    #[test]
    fn a_probe_has_pages_in_plain_http_and_no_flag_of_the_operator() {
        let parsed =
            |arguments: &[&str]| Args::try_parse_from([&["entente-operator"], arguments].concat());
        let pages = [
            "probe",
            "http://entente-metrics:8080/readyz",
            "http://[::1]/metrics",
        ];
        let Some(Command::Probe(probe)) = parsed(&pages).unwrap().command else {
            panic!("a probe");
        };
        assert_eq!(probe.pages.len(), 2);
        assert_eq!(probe.within, Duration::from_mins(1));
        for wrong in [
            &["probe"][..],
            &["probe", "https://a/readyz"],
            &["probe", "readyz"],
            &["probe", "http://a/", "--within=0s"],
            &["--log-level=debug", "probe", "http://a/"],
        ] {
            let error = parsed(wrong).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn a_level_of_the_log_that_there_is_not_is_named_with_those_that_there_are() {
        let parsed = |level: &str| Args::try_parse_from(["entente-operator", "--log-level", level]);
        for level in [
            "info",
            "OFF",
            "info,entente_controllers=debug",
            "warn,[pass]=trace",
        ] {
            assert!(parsed(level).is_ok(), "{level}");
        }
        let error = parsed("info,kube=loud").unwrap_err().to_string();
        assert!(
            error.contains("\"loud\" of \"info,kube=loud\": must be one of trace, debug, info, warn, error, off"),
            "{error}"
        );
    }

    #[test]
    fn namespaces_and_a_selector_are_read_as_the_chart_writes_them() {
        let flags = [
            "entente-operator",
            "--watch-namespaces=acme,globex-2",
            "--selector=team=print,stage in (test,prod)",
        ];
        let args = Args::try_parse_from(flags).unwrap();
        assert_eq!(args.watch_namespaces, ["acme", "globex-2"]);
        assert_eq!(args.selector, "team=print,stage in (test,prod)");
        let nothing = Args::try_parse_from(["entente-operator"]).unwrap();
        assert!(nothing.watch_namespaces.is_empty() && nothing.selector.is_empty());
    }

    #[test]
    fn durations_read_as_in_manifests() {
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in [
            "",
            "0s",
            "5",
            "h",
            "1d",
            "-1s",
            "1.5h",
            "99999999999999999999h",
        ] {
            let said = duration(wrong).unwrap_err();
            assert!(said.starts_with(&format!("\"{wrong}\" must be ")), "{said}");
        }
    }
}
