//! A road to a server that a test can cut: connections stay, and nothing passes.
//!
//! So looks a network that loses every packet, and that works again later. It forwards bytes on
//! loopback and knows no protocol. Called by tests of replicas that lose the API server and nothing
//! else.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The road. Dropping it closes it for new connections.
#[derive(Debug)]
pub struct Road {
    address: SocketAddr,
    open: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Road {
    /// Builds a road to a server on this address.
    pub async fn to(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (open, is_open) = watch::channel(true);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, is_open.clone()));
            }
        });
        Ok(Self {
            address,
            open,
            accepting,
        })
    }

    /// Returns the address on which the road begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nothing pass any more, in either direction.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets everything pass again, first what has waited.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Carries one connection until either side ends it.
async fn carry(client: TcpStream, server: SocketAddr, mut open: watch::Receiver<bool>) {
    if open.wait_for(|open| *open).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = one_way(from_client, to_server, open.clone()) => {}
        () = one_way(from_server, to_client, open) => {}
    }
}

async fn one_way(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut open: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut bytes).await else {
            return;
        };
        if open.wait_for(|open| *open).await.is_err() {
            return;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_is_sent_while_it_is_cut_arrives_when_it_is_mended() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let road = Road::to(server.local_addr().unwrap()).await.unwrap();
        let mut client = TcpStream::connect(road.address()).await.unwrap();
        let (mut server, _) = server.accept().await.unwrap();
        let mut received = [0; 4];
        client.write_all(b"one!").await.unwrap();
        server.read_exact(&mut received).await.unwrap();
        road.cut();
        client.write_all(b"two!").await.unwrap();
        let silence = timeout(Duration::from_millis(200), server.read_exact(&mut received)).await;
        assert!(silence.is_err(), "{received:?}");
        road.mend();
        server.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"two!");
    }
}
