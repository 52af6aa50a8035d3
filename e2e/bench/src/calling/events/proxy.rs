//! nginx as a plain reverse proxy: TLS on both sides, connections that stay open, and nothing looked at.
//!
//! It has as many workers as the machine has cores, keeps bodies in memory, and writes no log of requests.
//! It must not verify, count or change anything: it is what bringing bytes from here to there costs.
//! Called by this bench.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::super::line::Server;
use super::super::problem;
use crate::{BenchError, within};

/// Places at which it is looked for: Debian has it where only root looks.
const PLACES: [&str; 2] = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"];

/// A running nginx. Dropping it ends it and its workers.
pub(super) struct Proxy {
    child: Child,
    pub(super) server: Server,
}

/// Returns the program.
///
/// # Errors
/// [`BenchError::Calling`] if it is not installed: nothing stands in for it.
pub(super) fn program() -> Result<PathBuf, BenchError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let beside = std::env::split_paths(&path).map(|directory| directory.join("nginx"));
    let mut places = beside.chain(PLACES.map(PathBuf::from));
    let found = places.find(|place| place.is_file());
    found.ok_or_else(|| problem("nginx is not installed: `make peers` does it"))
}

impl Proxy {
    /// Starts one with a certificate and key, in front of a server, with its files in a directory.
    pub(super) async fn start(
        program: &Path,
        (tls, directory): (&Path, &Path),
        upstream: SocketAddr,
    ) -> Result<Self, BenchError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(problem)?;
        let address = listener.local_addr().map_err(problem)?;
        std::fs::create_dir_all(directory).map_err(problem)?;
        let file = directory.join("nginx.conf");
        let text = configuration(tls, directory, address, upstream);
        std::fs::write(&file, text).map_err(problem)?;
        drop(listener);
        let child = Command::new("setpriv")
            // Its workers end with it by this signal; by SIGKILL they would not.
            .args(["--pdeathsig", "TERM", "--"])
            .arg(program)
            .args(["-e", "stderr", "-p"])
            .arg(directory)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .map_err(problem)?;
        let server = Server::new(address, &tls.join("tls.crt"))?;
        let proxy = Self { child, server };
        let answers = async || proxy.server.connect().await.ok();
        let answers = entente_e2e::wait::wait_for("nginx listens", within(0), answers);
        answers.await.map(drop).map_err(problem)?;
        Ok(proxy)
    }

    /// Returns the process id of the one that started its workers.
    pub(super) fn process_id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Ends it, and waits until it did.
    pub(super) async fn stop(mut self) -> Result<(), BenchError> {
        self.ask_to_end();
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        ended.map_err(problem)?.map(drop).map_err(problem)
    }

    fn ask_to_end(&self) {
        let process = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(process) = process.and_then(rustix::process::Pid::from_raw) {
            // One that has ended already needs no signal.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ask_to_end();
    }
}

fn configuration(
    tls: &Path,
    directory: &Path,
    address: SocketAddr,
    upstream: SocketAddr,
) -> String {
    let (tls, directory) = (tls.display(), directory.display());
    // A batch is at most 256 KiB; with its default nginx would write such bodies to disk.
    format!(
        "daemon off;
worker_processes auto;
pid {directory}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  client_max_body_size 256k;
  client_body_buffer_size 256k;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  upstream inbox {{
    server {upstream};
    keepalive 256;
    keepalive_requests 1000000000;
  }}
  server {{
    listen {address} ssl;
    ssl_certificate {tls}/tls.crt;
    ssl_certificate_key {tls}/tls.key;
    ssl_protocols TLSv1.3;
    location / {{
      proxy_pass https://inbox;
      proxy_ssl_protocols TLSv1.3;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
    }}
  }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_body_is_written_to_disk_and_connections_stay_open() {
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let upstream: SocketAddr = "127.0.0.1:2".parse().unwrap();
        let text = configuration(Path::new("/tls"), Path::new("/own"), address, upstream);
        for line in [
            "client_body_buffer_size 256k;",
            "server 127.0.0.1:2;",
            "listen 127.0.0.1:1 ssl;",
            "proxy_pass https://inbox;",
            "keepalive 256;",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
