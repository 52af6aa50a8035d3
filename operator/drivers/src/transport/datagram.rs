//! A line to one remote side by datagrams (UDP), inside the bounds of its Connection.
//!
//! Dials only addresses that the Connection allows, as an HTTP exchange does, and holds one permit as
//! long as it lives. Hands on what the dialled address sends, and nothing of any other. Knows no
//! protocol, and never sends anything twice. Called by the driver of SNMP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use entente_domain::remote::{Failure, FailureKind};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use url::{Host, Url};

use super::limits::{self, Permit};
use super::networks::{self, NameNotFoundError};
use super::{Transport, failure};
use crate::profile::ConnectionProfile;

/// The longest datagram over IPv4; those over IPv6 that are longer are cut.
const LONGEST: usize = 65_507;

/// A socket that leads to one address, with the right to use it.
pub(crate) struct DatagramLine {
    socket: UdpSocket,
    received: Vec<u8>,
    _permit: Permit,
}

impl Transport {
    /// Returns a line to the host and port of a URL. Waits for its permit first, without a bound: the
    /// caller can drop the wait.
    ///
    /// # Errors
    /// `AddressNotAllowed`, or `Unreachable` where the name has no address.
    pub(crate) async fn line(
        &self,
        profile: &ConnectionProfile,
        url: &Url,
    ) -> Result<DatagramLine, Failure> {
        networks::check_literal(url, &profile.networks, &self.api_server)
            .map_err(failure::not_allowed)?;
        let permit = self.limits.permit(profile, &limits::remote(url)).await;
        let unreachable =
            |message: &str| Failure::new(FailureKind::Unreachable, message.to_owned());
        let address = timeout(profile.connect_timeout, self.address(profile, url))
            .await
            .map_err(|_| unreachable("the name was not resolved in time"))??;
        let any: IpAddr = if address.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = UdpSocket::bind((any, 0)).await;
        let socket = socket.map_err(|_| unreachable("no socket can be opened"))?;
        // Its peer from here on: the system drops what others send.
        socket
            .connect(address)
            .await
            .map_err(|error| fault(&error))?;
        Ok(DatagramLine {
            socket,
            received: vec![0; LONGEST],
            _permit: permit,
        })
    }

    /// Returns the first address of a URL that may be dialled.
    async fn address(&self, profile: &ConnectionProfile, url: &Url) -> Result<SocketAddr, Failure> {
        let port = url.port().unwrap_or_default();
        let found: Vec<IpAddr> = match url.host() {
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            // A URL of a scheme that is not HTTP's has a name where it has an IPv4 address.
            Some(Host::Domain(name)) => resolve(name).await?,
            None => Vec::new(),
        };
        if found.is_empty() {
            let message = NameNotFoundError.to_string();
            return Err(Failure::new(FailureKind::Unreachable, message));
        }
        let is_allowed =
            |address: &IpAddr| networks::is_allowed(*address, &profile.networks, &self.api_server);
        let allowed = found.into_iter().find(is_allowed);
        let allowed = allowed.ok_or(networks::AddressNotAllowedError);
        let address = allowed.map_err(failure::not_allowed)?;
        Ok(SocketAddr::new(address.to_canonical(), port))
    }
}

/// Returns the addresses of a name.
async fn resolve(name: &str) -> Result<Vec<IpAddr>, Failure> {
    let found = tokio::net::lookup_host((name, 0)).await;
    let found =
        found.map_err(|_| Failure::new(FailureKind::Unreachable, NameNotFoundError.to_string()))?;
    Ok(found.map(|found| found.ip()).collect())
}

impl DatagramLine {
    /// Sends one datagram.
    ///
    /// # Errors
    /// `Unreachable` if it did not leave, or the remote side had refused one before.
    pub(crate) async fn send(&self, datagram: &[u8]) -> Result<(), Failure> {
        let sent = self.socket.send(datagram).await;
        sent.map(drop).map_err(|error| fault(&error))
    }

    /// Waits for the next datagram.
    ///
    /// # Errors
    /// `Unreachable` if the remote side refuses datagrams.
    pub(crate) async fn receive(&mut self) -> Result<&[u8], Failure> {
        let length = self.socket.recv(&mut self.received).await;
        let length = length.map_err(|error| fault(&error))?;
        Ok(&self.received[..length])
    }
}

fn fault(error: &io::Error) -> Failure {
    let message = match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "there is no route",
        _ => "no datagram can be sent",
    };
    Failure::new(FailureKind::Unreachable, message)
}

#[cfg(test)]
mod tests {
    use entente_crds::v1alpha1::ConnectionSpec;

    use super::*;

    fn profile(network: &str) -> ConnectionProfile {
        let networks = vec![network.parse().unwrap()];
        let spec = ConnectionSpec::default();
        ConnectionProfile::from_spec("hq", &spec, networks, None, None).unwrap()
    }

    async fn line(network: &str, url: &str) -> Result<DatagramLine, FailureKind> {
        let url = url.parse().unwrap();
        let transport = Transport::new();
        let line = transport.line(&profile(network), &url).await;
        line.map_err(|failure| failure.kind)
    }

    // shows K4
    #[tokio::test]
    async fn only_an_allowed_address_is_dialled_however_it_is_spelt() {
        for (network, url, refused) in [
            ("127.0.0.0/8", "snmp://127.0.0.1:161", None),
            ("127.0.0.0/8", "snmp://localhost:161", None),
            ("127.0.0.0/8", "snmp://[::ffff:127.0.0.1]:161", None),
            (
                "10.0.0.0/8",
                "snmp://127.0.0.1:161",
                Some(FailureKind::AddressNotAllowed),
            ),
            (
                "10.0.0.0/8",
                "snmp://localhost:161",
                Some(FailureKind::AddressNotAllowed),
            ),
            (
                "10.0.0.0/8",
                "snmp://2130706433:161",
                Some(FailureKind::AddressNotAllowed),
            ),
            (
                "0.0.0.0/0",
                "snmp://[::ffff:127.0.0.1]:161",
                Some(FailureKind::AddressNotAllowed),
            ),
        ] {
            let found = line(network, url).await.err();
            assert_eq!(found, refused, "{url} in {network}");
        }
    }

    #[tokio::test]
    async fn a_datagram_of_another_address_is_not_handed_on() {
        let device = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let url = format!("snmp://{}", device.local_addr().unwrap());
        let mut line = line("127.0.0.0/8", &url).await.unwrap();
        line.send(b"who").await.unwrap();
        let mut asked = [0; 8];
        let (_, from) = device.recv_from(&mut asked).await.unwrap();
        stranger.send_to(b"stranger", from).await.unwrap();
        device.send_to(b"device", from).await.unwrap();
        assert_eq!(line.receive().await.unwrap(), b"device");
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_at_is_unreachable() {
        let free = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let url = format!("snmp://{}", free.local_addr().unwrap());
        drop(free);
        let mut line = line("127.0.0.0/8", &url).await.unwrap();
        line.send(b"who").await.unwrap();
        let failure = line.receive().await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unreachable);
        assert_eq!(failure.message, "the connection was refused");
    }
}
