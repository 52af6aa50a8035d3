//! `lprint`, a label printer server on PAPPL: it answers successful-ok to settings it then does
//! not have, which is why everything is read back.
//!
//! Decides its command line, its queues, and its separation from the network: the program listens
//! on every interface with any options, so it runs in a network namespace of its own and is reached
//! through its Unix socket, byte for byte, from a port on 127.0.0.1. Called by tests that need a
//! printer which lies.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinHandle;

use super::PeerError;
use super::ipp_client::IppClient;
use super::launch::{Footprint, Launch, Process, Sandbox, directory, peer_user, program, text};

const PEER: &str = "lprint";
const DRIVER: &str = "zpl_4inch-203dpi-dt";

/// A running lprint server with its queues. Any number may run at once: a server's socket lies in
/// its own directory as long as it does not run as root, and it never does.
#[derive(Debug)]
pub struct LprintServer {
    port: u16,
    relay: JoinHandle<()>,
    process: Process,
    directory: TempDir,
    queues: Vec<String>,
}

impl LprintServer {
    /// Starts a server and adds the queues, each printing to /dev/null.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process. Without root it needs user namespaces; when the
    /// system refuses them the error shows what `unshare` said.
    pub async fn start(queues: &[&str]) -> Result<LprintServer, PeerError> {
        let executable = program("lprint")?;
        let directory = directory(PEER, Sandbox::NoNetwork)?;
        let mut process = Launch::new(
            PEER,
            Sandbox::NoNetwork,
            executable.clone(),
            directory.path(),
        )
        .arguments([
            "server",
            "-o",
            "server-port=8000",
            "-o",
            "server-hostname=localhost",
        ])
        .arguments(["-o", "log-file=-", "-o", "log-level=info", "-o"])
        .arguments([format!(
            "spool-directory={}",
            text(directory.path().join("spool"))
        )])
        .spawn()?;
        let socket = socket(directory.path());
        process
            .until_ready(async || UnixStream::connect(&socket).await.is_ok())
            .await?;
        for queue in queues {
            Launch::new(
                PEER,
                Sandbox::Unprivileged,
                executable.clone(),
                directory.path(),
            )
            .arguments(["add", "-d", queue, "-v", "file:///dev/null", "-m", DRIVER])
            .run()
            .await?;
        }
        let (port, relay) = relay(0, socket).await?;
        let queues = queues.iter().map(|queue| (*queue).to_owned()).collect();
        let mut server = LprintServer {
            port,
            relay,
            process,
            directory,
            queues,
        };
        server.until_ready().await?;
        Ok(server)
    }

    async fn until_ready(&mut self) -> Result<(), PeerError> {
        let client = IppClient::new();
        let uris: Vec<String> = self.queues.iter().map(|queue| self.uri(queue)).collect();
        self.process
            .until_ready(async || client.all_answer(&uris).await)
            .await
    }

    /// `ipp://127.0.0.1:PORT/ipp/print/QUEUE`.
    pub fn uri(&self, queue: &str) -> String {
        format!("ipp://{}:{}{}", self.address(), self.port, self.path(queue))
    }

    /// `ipp://127.0.0.1:PORT/ipp/system`.
    pub fn system_uri(&self) -> String {
        format!("ipp://{}:{}/ipp/system", self.address(), self.port)
    }

    /// Always `127.0.0.1`.
    pub fn address(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Returns the TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the path of a queue, with its leading slash.
    pub fn path(&self, queue: &str) -> String {
        format!("/ipp/print/{queue}")
    }

    /// Returns the process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Returns the server's output so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Start-up time and memory.
    pub fn footprint(&self) -> Footprint {
        self.process.footprint()
    }

    /// Ends it at once; its port refuses from then on. Settings it took in its last seconds may
    /// not be on disk yet.
    pub async fn kill(&mut self) -> Result<(), PeerError> {
        self.stop_relay().await;
        self.process.kill().await
    }

    /// Switches it off in good order, so that it saves its queues and settings.
    pub async fn shut_down(&mut self) -> Result<(), PeerError> {
        self.stop_relay().await;
        self.process.shut_down().await
    }

    /// The port is free only when the relay's task is really gone.
    async fn stop_relay(&mut self) {
        self.relay.abort();
        let _aborted = (&mut self.relay).await;
    }

    /// Starts it again on the same port with the queues and settings it had saved.
    pub async fn start_again(&mut self) -> Result<(), PeerError> {
        let socket = socket(self.directory.path());
        // A killed server leaves its socket behind, and the next one does not replace it.
        let _absent = std::fs::remove_file(&socket);
        self.process.start_again()?;
        self.process
            .until_ready(async || UnixStream::connect(&socket).await.is_ok())
            .await?;
        self.relay = relay(self.port, socket).await?.1;
        self.until_ready().await
    }

    /// Freezes it by SIGSTOP: connections are accepted and never answered.
    pub async fn freeze(&self) -> Result<(), PeerError> {
        self.process.freeze().await
    }

    /// SIGCONT.
    pub async fn thaw(&self) -> Result<(), PeerError> {
        self.process.thaw().await
    }
}

impl Drop for LprintServer {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

/// Returns the path at which PAPPL makes the socket of a server that is not root's:
/// `$TMPDIR/NAMEuid.sock`.
fn socket(directory: &Path) -> PathBuf {
    directory.join(format!("lprint{}.sock", peer_user()))
}

/// Carries every connection to a loopback port over to the Unix socket, unchanged.
async fn relay(port: u16, socket: PathBuf) -> Result<(u16, JoinHandle<()>), PeerError> {
    let failed = |source| PeerError::Preparation {
        peer: PEER.to_owned(),
        what: "its loopback port",
        source,
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let task = tokio::spawn(async move {
        // Aborting the listener ends the open connections with it.
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((mut inward, _)) = listener.accept().await {
            let socket = socket.clone();
            connections.spawn(async move {
                if let Ok(mut outward) = UnixStream::connect(&socket).await {
                    let _closed = copy_bidirectional(&mut inward, &mut outward).await;
                }
            });
            while connections.try_join_next().is_some() {}
        }
    });
    Ok((port, task))
}
