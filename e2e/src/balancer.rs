//! One address in front of several replicas, as a Service of Kubernetes is.
//!
//! Decides to which replica a new connection is led: each in turn, of those that were added and not
//! removed. A connection that was led to one stays there, also after the replica was removed, as kube-proxy
//! does it. It forwards bytes on loopback and knows no protocol; one whose replica does not accept it is
//! closed. Called by tests of replicas that are replaced.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Replicas in the order of their turns.
type Replicas = Arc<Mutex<Vec<SocketAddr>>>;

/// The balancer. Dropping it closes it for new connections.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    replicas: Replicas,
    accepting: JoinHandle<()>,
}

impl Balancer {
    /// Starts one without replicas.
    ///
    /// # Errors
    /// There is no free address.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let replicas = Replicas::default();
        let of_task = Arc::clone(&replicas);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Some(replica) = next(&of_task) {
                    tokio::spawn(carry(client, replica));
                }
            }
        });
        Ok(Self {
            address,
            replicas,
            accepting,
        })
    }

    /// Returns the address that clients dial.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections also to this replica.
    pub fn add(&self, replica: SocketAddr) {
        lock(&self.replicas).push(replica);
    }

    /// Leads no new connection to this replica.
    pub fn remove(&self, replica: SocketAddr) {
        lock(&self.replicas).retain(|it| *it != replica);
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(replicas: &Mutex<Vec<SocketAddr>>) -> std::sync::MutexGuard<'_, Vec<SocketAddr>> {
    replicas.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the replica whose turn it is, and gives the turn to the one after it.
fn next(replicas: &Replicas) -> Option<SocketAddr> {
    let mut replicas = lock(replicas);
    let first = replicas.first().copied();
    if first.is_some() {
        replicas.rotate_left(1);
    }
    first
}

/// Carries one connection until both sides have ended it, or one of them broke it off.
async fn carry(mut client: TcpStream, replica: SocketAddr) {
    let Ok(mut replica) = TcpStream::connect(replica).await else {
        return;
    };
    // Who breaks it off is seen by the other side, for which both ends are dropped here.
    let _ = copy_bidirectional(&mut client, &mut replica).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Starts a replica that writes its letter to each connection.
    async fn replica(letter: u8) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                client.write_all(&[letter]).await.unwrap();
            }
        });
        address
    }

    async fn dial(balancer: &Balancer) -> Vec<u8> {
        let mut client = TcpStream::connect(balancer.address()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        received
    }

    #[tokio::test]
    async fn connections_are_led_to_each_replica_in_turn_until_it_is_removed() {
        let balancer = Balancer::start().await.unwrap();
        assert!(dial(&balancer).await.is_empty(), "there is none");
        let (first, second) = (replica(b'1').await, replica(b'2').await);
        balancer.add(first);
        balancer.add(second);
        let turns = [dial(&balancer).await, dial(&balancer).await];
        assert_eq!(turns.concat(), b"12");
        balancer.remove(first);
        let turns = [dial(&balancer).await, dial(&balancer).await];
        assert_eq!(turns.concat(), b"22");
    }
}
