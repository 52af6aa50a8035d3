//! `cupsd` with a configuration of our own: settings go in through Set-Printer-Attributes for
//! some attributes and through CUPS-Add-Modify-Printer for others.
//!
//! Decides its configuration (anyone on loopback may change queues) and its queues. It must never
//! touch the machine's own CUPS. Called by tests that need two write paths on one device.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::PeerError;
use super::ipp_client::IppClient;
use super::launch::{
    Footprint, Launch, Process, Sandbox, directory, free_port, give_to_peer, program, text, write,
};

const PEER: &str = "cupsd";
const SANDBOX: Sandbox = Sandbox::Unprivileged;
/// File in which it keeps the subscriptions to its notifications.
const SUBSCRIPTIONS: &str = "server/subscriptions.conf";

/// A running cupsd with its queues.
#[derive(Debug)]
pub struct CupsServer {
    port: u16,
    process: Process,
    queues: Vec<String>,
    directory: TempDir,
}

impl CupsServer {
    /// Starts cupsd and adds the queues, each a raw queue printing to /dev/null.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn start(queues: &[&str]) -> Result<CupsServer, PeerError> {
        let executable = program("cupsd")?;
        let lpadmin = program("lpadmin")?;
        let directory = directory(PEER, SANDBOX)?;
        let port = free_port(PEER)?;
        lay_out(directory.path(), port)?;
        let mut process = Launch::new(PEER, SANDBOX, executable, directory.path())
            .arguments(["-f".to_owned(), "-c".to_owned()])
            .arguments([text(directory.path().join("cupsd.conf")), "-s".to_owned()])
            .arguments([text(directory.path().join("cups-files.conf"))])
            .spawn()?;
        let listens = async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
        };
        process.until_ready(listens).await?;
        let server = format!("127.0.0.1:{port}");
        for queue in queues {
            Launch::new("lpadmin", SANDBOX, lpadmin.clone(), directory.path())
                .arguments([
                    "-h",
                    &server,
                    "-p",
                    queue,
                    "-E",
                    "-v",
                    "file:///dev/null",
                    "-m",
                    "raw",
                ])
                .run()
                .await?;
        }
        let queues = queues.iter().map(|queue| (*queue).to_owned()).collect();
        let mut server = CupsServer {
            port,
            process,
            queues,
            directory,
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

    /// Has a queue report a reason for its state, as a printer behind it would, in place of all others.
    ///
    /// # Errors
    /// `lpadmin` cannot be started, or fails.
    pub async fn report(&self, queue: &str, reason: &str) -> Result<(), PeerError> {
        let server = format!("{}:{}", self.address(), self.port);
        let reason = format!("printer-state-reasons={reason}");
        Launch::new(
            "lpadmin",
            SANDBOX,
            program("lpadmin")?,
            self.directory.path(),
        )
        .arguments(["-h", &server, "-p", queue, "-o", &reason])
        .run()
        .await
    }

    /// Returns the number of subscriptions to notifications that it keeps.
    pub fn subscriptions(&self) -> usize {
        let kept = fs::read_to_string(self.directory.path().join(SUBSCRIPTIONS));
        kept.unwrap_or_default().matches("<Subscription ").count()
    }

    /// Forgets every subscription, while it does not run.
    pub fn forget_subscriptions(&self) {
        for name in [SUBSCRIPTIONS, "server/subscriptions.conf.O"] {
            // There need be none.
            let _ = fs::remove_file(self.directory.path().join(name));
        }
    }

    /// `ipp://127.0.0.1:PORT/printers/QUEUE`.
    pub fn uri(&self, queue: &str) -> String {
        format!("ipp://{}:{}{}", self.address(), self.port, self.path(queue))
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
        format!("/printers/{queue}")
    }

    /// Returns the process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Returns cupsd's error log so far, and its output from before it had one.
    pub fn log(&self) -> String {
        let errors = fs::read(self.directory.path().join("log/error_log")).unwrap_or_default();
        self.process.log() + &String::from_utf8_lossy(&errors)
    }

    /// Start-up time and memory.
    pub fn footprint(&self) -> Footprint {
        self.process.footprint()
    }

    /// Ends it at once; its port refuses from then on.
    pub async fn kill(&mut self) -> Result<(), PeerError> {
        self.process.kill().await
    }

    /// Starts it again on the same port after [`CupsServer::kill`], with the queues on disk.
    pub async fn start_again(&mut self) -> Result<(), PeerError> {
        self.process.start_again()?;
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

/// Directories and the two configuration files. The request root and its tmp must exist, or cupsd
/// ends without a word.
fn lay_out(root: &Path, port: u16) -> Result<(), PeerError> {
    let failed = |source| PeerError::Preparation {
        peer: PEER.to_owned(),
        what: "its directories",
        source,
    };
    for name in [
        "spool",
        "spool/tmp",
        "cache",
        "state",
        "log",
        "server",
        "server/ssl",
        "server/ppd",
    ] {
        let path = root.join(name);
        fs::create_dir(&path).map_err(failed)?;
        give_to_peer(PEER, &path, SANDBOX)?;
    }
    write(PEER, &root.join("cupsd.conf"), &cupsd_conf(port))?;
    write(
        PEER,
        &root.join("cups-files.conf"),
        &cups_files_conf(&root.display().to_string()),
    )
}

fn cupsd_conf(port: u16) -> String {
    format!(
        "Listen 127.0.0.1:{port}\n\
         ServerName localhost\n\
         ServerAlias *\n\
         LogLevel info\n\
         MaxLogSize 0\n\
         Browsing No\n\
         WebInterface No\n\
         DefaultAuthType None\n\
         # Every change is written at once, so that a killed server comes back with it.\n\
         DirtyCleanInterval 0\n\
         <Location />\n  Order allow,deny\n  Allow from 127.0.0.1\n</Location>\n\
         <Policy default>\n  <Limit All>\n    Order deny,allow\n  </Limit>\n</Policy>\n"
    )
}

fn cups_files_conf(root: &str) -> String {
    format!(
        "FileDevice Yes\n\
         SystemGroup nogroup\n\
         ServerRoot {root}/server\n\
         ServerKeychain {root}/server/ssl\n\
         RequestRoot {root}/spool\n\
         TempDir {root}/spool/tmp\n\
         CacheDir {root}/cache\n\
         StateDir {root}/state\n\
         ErrorLog {root}/log/error_log\n\
         AccessLog {root}/log/access_log\n\
         PageLog {root}/log/page_log\n"
    )
}
