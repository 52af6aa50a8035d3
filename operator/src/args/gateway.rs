//! Flags and environment of `entente-operator gateway`: parsed, and checked for form only.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{LogFlags, duration, namespace};

/// Flags of `gateway`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct GatewayFlags {
    /// Name of the Connection of protocol Agent that is served
    #[arg(long, env = "ENTENTE_GATEWAY_CONNECTION", value_name = "NAME")]
    pub(crate) connection: String,

    /// Address that devices dial, over TLS. Plain HTTP needs a loopback address
    #[arg(long, env = "ENTENTE_GATEWAY_ADDRESS", default_value = "0.0.0.0:8445")]
    pub(crate) listen: SocketAddr,

    /// Directory with tls.crt and tls.key, read again when they change
    #[arg(long, env = "ENTENTE_GATEWAY_TLS_DIR", value_name = "DIRECTORY")]
    pub(crate) tls_dir: Option<PathBuf>,

    /// Address of /livez, /readyz and /metrics
    #[arg(long, env = "ENTENTE_ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
    pub(crate) admin_address: SocketAddr,

    /// Kubeconfig file; without it that of the environment, else the pod's service account
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// The gateway's own namespace
    #[arg(long, env = "POD_NAMESPACE", default_value = "entente-system")]
    pub(crate) namespace: String,

    /// The namespaces that are served, separated by commas; without it all of them
    #[arg(long, env = "ENTENTE_WATCH_NAMESPACES", value_name = "NAMES", value_delimiter = ',',
          value_parser = namespace)]
    pub(crate) watch_namespaces: Vec<String>,

    /// Connections that are open at once; one more is closed as it comes
    #[arg(long, env = "ENTENTE_GATEWAY_CONNECTIONS", default_value_t = 16384, value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections: u32,

    /// Requests that are held at once until something changes; one more is answered at once
    #[arg(long, env = "ENTENTE_GATEWAY_HELD", default_value_t = 12288, value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) held: u32,

    /// Requests of one address in a second, and twenty times as many at once; 0: any number, for a
    /// gateway behind a proxy that is the only address
    #[arg(
        long,
        env = "ENTENTE_GATEWAY_ADDRESS_REQUESTS",
        default_value_t = 20,
        value_name = "NUMBER"
    )]
    pub(crate) address_requests: u32,

    /// Requests of one device in a second, and sixty times as many at once; 0: any number
    #[arg(
        long,
        env = "ENTENTE_GATEWAY_DEVICE_REQUESTS",
        default_value_t = 1,
        value_name = "NUMBER"
    )]
    pub(crate) device_requests: u32,

    /// Time for which connections are accepted after the signal to stop, until no load balancer sends any
    /// more. Requests that are held are answered in its second half; after it those under way have 15
    /// seconds
    #[arg(long, env = "ENTENTE_GATEWAY_DRAIN", default_value = "5s", value_name = "DURATION",
          value_parser = duration)]
    pub(crate) drain: Duration,

    /// Directory of the artifacts that devices install; they are fetched again when it is lost
    #[arg(
        long,
        env = "ENTENTE_GATEWAY_ARTIFACT_DIR",
        value_name = "DIRECTORY",
        default_value = "/var/cache/entente/artifacts"
    )]
    pub(crate) artifact_dir: PathBuf,

    /// Most mebibytes that the artifacts take there, those on their way included
    #[arg(long, env = "ENTENTE_GATEWAY_ARTIFACT_MEBIBYTES", default_value_t = 4096,
          value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    pub(crate) artifact_mebibytes: u32,

    /// Requests to the Kubernetes API that are under way at once, watches excepted
    #[arg(long, env = "ENTENTE_API_IN_FLIGHT", default_value_t = 32,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) api_in_flight: u16,

    /// Time limit of a request to the Kubernetes API
    #[arg(long, env = "ENTENTE_API_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub(crate) api_timeout: Duration,

    #[command(flatten)]
    pub(crate) log: LogFlags,
}

impl GatewayFlags {
    /// Returns the fault of the flags: tokens must not cross a network in plain text.
    pub(crate) fn problem(&self) -> Option<String> {
        let address = self.listen;
        let is_plain = self.tls_dir.is_none() && !address.ip().is_loopback();
        is_plain.then(|| {
            format!(
                "\"{address}\" must be a loopback address such as 127.0.0.1:8445, or --tls-dir must name \
                 the directory of a certificate"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{
        super::{Args, Command},
        GatewayFlags,
    };

    fn parsed(flags: &[&str]) -> Result<GatewayFlags, clap::Error> {
        let all = [&["entente-operator", "gateway"], flags].concat();
        let command = Args::try_parse_from(all)?.command;
        let Some(Command::Gateway(flags)) = command else {
            panic!("the gateway");
        };
        Ok(*flags)
    }

    #[test]
    fn a_gateway_has_a_connection_and_no_flag_of_the_operator() {
        let flags = parsed(&["--connection=gateway", "--log-level=debug"]).unwrap();
        assert_eq!((flags.listen.port(), &*flags.log.level), (8445, "debug"));
        for wrong in [
            &[][..],
            &["--connection=gateway", "--concurrency=1"],
            &["--connection=gateway", "--listen=8445"],
            &["--connection=gateway", "--held=-1"],
            &["--connection=gateway", "--connections=0"],
            &["--connection=gateway", "--watch-namespaces=Acme"],
        ] {
            assert_eq!(parsed(wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }

    // shows K4
    #[test]
    fn a_gateway_without_a_certificate_is_on_a_loopback_address() {
        for (listen, tls, is_fine) in [
            ("--listen=127.0.0.1:0", &[][..], true),
            ("--listen=[::1]:8445", &[], true),
            ("--listen=0.0.0.0:8445", &[], false),
            ("--listen=10.1.2.3:8445", &[], false),
            ("--listen=0.0.0.0:8445", &["--tls-dir=/tls"], true),
        ] {
            let flags = [&["--connection=gateway", listen], tls].concat();
            let problem = parsed(&flags).unwrap().problem();
            assert_eq!(problem.is_none(), is_fine, "{flags:?}");
            assert!(problem.is_none_or(|it| it.contains("--tls-dir")));
        }
    }
}
