//! The addresses that may be dialled: the only way to a socket leads through `is_allowed`.
//!
//! A name is resolved by `CheckedResolver`, which hands on no address that is not allowed; an
//! address written in the URL never meets a resolver and is checked before anything is sent.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Every address of the name lies outside the allowed networks.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the address lies outside the networks that the Connection allows")]
pub(super) struct AddressNotAllowedError;

/// The name has no address.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the name has no address")]
pub(super) struct NameNotFoundError;

/// Special networks that a wider allowed network does not open: loopback, "this network",
/// link-local (where clouds keep their metadata), multicast and broadcast (RFC 6890).
const SPECIAL: [&str; 9] = [
    "127.0.0.0/8",
    "0.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255/32",
    "::1/128",
    "::/128",
    "fe80::/10",
    "ff00::/8",
];

fn special_networks() -> &'static [IpNet] {
    static NETWORKS: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
        SPECIAL
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect()
    });
    &NETWORKS
}

/// True if an address may be dialled.
///
/// It must lie in a listed network. A special address must be listed as such, by a network that
/// lies inside the special one: `0.0.0.0/0` spans loopback and does not open it. An address of the
/// API server must be listed by itself; one on loopback is left to the rule of loopback.
pub(super) fn is_allowed(address: IpAddr, networks: &[IpNet], api_server: &[IpAddr]) -> bool {
    let address = address.to_canonical();
    let is_api_server =
        !address.is_loopback() && api_server.iter().any(|own| own.to_canonical() == address);
    if is_api_server {
        return networks.contains(&IpNet::from(address));
    }
    let special = special_networks()
        .iter()
        .find(|special| special.contains(&address));
    networks.iter().any(|network| {
        network.contains(&address) && special.is_none_or(|special| special.contains(network))
    })
}

/// Checks a URL whose host is an address; names are left to the resolver. A URL without a host
/// leads to no address at all.
pub(super) fn check_literal(
    url: &Url,
    networks: &[IpNet],
    api_server: &[IpAddr],
) -> Result<(), AddressNotAllowedError> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) => return Ok(()),
        None => return Err(AddressNotAllowedError),
    };
    if is_allowed(address, networks, api_server) {
        Ok(())
    } else {
        Err(AddressNotAllowedError)
    }
}

/// Resolves by the system, and hands on the allowed addresses alone.
pub(super) struct CheckedResolver {
    networks: Arc<[IpNet]>,
    api_server: Arc<[IpAddr]>,
}

impl CheckedResolver {
    pub(super) fn new(networks: &[IpNet], api_server: &Arc<[IpAddr]>) -> Self {
        Self {
            networks: networks.into(),
            api_server: Arc::clone(api_server),
        }
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = Arc::clone(&self.networks);
        let api_server = Arc::clone(&self.api_server);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0))
                .await
                .map_err(|_| NameNotFoundError)?
                .collect();
            if found.is_empty() {
                return Err(NameNotFoundError.into());
            }
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|found| is_allowed(found.ip(), &networks, &api_server))
                .collect();
            if allowed.is_empty() {
                return Err(AddressNotAllowedError.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(address: &str, networks: &[&str]) -> bool {
        let networks: Vec<IpNet> = networks.iter().map(|text| text.parse().unwrap()).collect();
        is_allowed(address.parse().unwrap(), &networks, &[])
    }

    // shows K4
    #[test]
    fn an_address_of_the_api_server_is_opened_only_by_a_network_of_its_own() {
        let api_server = ["10.96.0.1", "127.0.0.1", "fd00::1"].map(|text| text.parse().unwrap());
        let allowed = |address: &str, network: &str| {
            let networks = [network.parse().unwrap()];
            is_allowed(address.parse().unwrap(), &networks, &api_server)
        };
        for (address, wide, own) in [
            ("10.96.0.1", "10.0.0.0/8", "10.96.0.1/32"),
            ("::ffff:10.96.0.1", "10.96.0.0/31", "10.96.0.1/32"),
            ("fd00::1", "fd00::/64", "fd00::1/128"),
        ] {
            assert!(!allowed(address, wide), "{address}");
            assert!(allowed(address, own), "{address}");
        }
        assert!(allowed("10.96.0.2", "10.0.0.0/8"), "another service");
        assert!(
            allowed("127.0.0.1", "127.0.0.0/8"),
            "by the rule of loopback"
        );
        assert!(
            !allowed("127.0.0.1", "0.0.0.0/0"),
            "by the rule of loopback"
        );
    }

    // shows K4
    #[test]
    fn an_address_must_lie_in_a_listed_network() {
        assert!(allowed("10.20.3.4", &["10.20.0.0/16"]));
        assert!(allowed("10.20.3.4", &["192.168.0.0/16", "10.20.3.4/32"]));
        assert!(allowed("2001:db8::7", &["2001:db8::/32"]));
        assert!(!allowed("10.21.3.4", &["10.20.0.0/16"]));
        assert!(!allowed("10.20.3.4", &[]));
        assert!(!allowed("2001:db8::7", &["0.0.0.0/0"]));
    }

    #[test]
    fn every_special_network_can_be_read() {
        assert_eq!(special_networks().len(), SPECIAL.len());
    }

    #[test]
    fn special_addresses_are_opened_only_by_a_network_of_their_own_kind() {
        for special in [
            "127.0.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.251",
            "255.255.255.255",
        ] {
            assert!(!allowed(special, &["0.0.0.0/0"]), "{special}");
            assert!(allowed(special, &[&format!("{special}/32")]), "{special}");
        }
        for special in ["::1", "::", "fe80::1", "ff02::1"] {
            assert!(!allowed(special, &["::/0"]), "{special}");
            assert!(allowed(special, &[&format!("{special}/128")]), "{special}");
        }
        assert!(allowed("127.0.0.1", &["127.0.0.0/8"]));
    }

    #[test]
    fn an_ipv4_address_written_as_ipv6_is_judged_as_ipv4() {
        assert!(!allowed("::ffff:127.0.0.1", &["::/0"]));
        assert!(allowed("::ffff:10.20.3.4", &["10.20.0.0/16"]));
    }

    #[test]
    fn odd_spellings_of_an_address_are_seen_through() {
        let networks = ["10.20.0.0/16".parse().unwrap()];
        for spelling in ["2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:7f00:1]"] {
            let url = Url::parse(&format!("http://{spelling}/")).unwrap();
            assert!(check_literal(&url, &networks, &[]).is_err(), "{spelling}");
        }
    }
}
