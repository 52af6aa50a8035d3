//! Prometheus and its promtool, as Debian has them: they scrape the real operator, answer the queries
//! of the dashboard, and judge metrics and alerts.
//!
//! Decides its configuration and its directories. Called by tests of monitoring, and by the program
//! that draws the dashboard.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::wait::wait_for;

use super::PeerError;
use super::launch::{Launch, Process, Sandbox, directory, free_port, program, text};

const PEER: &str = "prometheus";
/// Time within which every operator was scraped once.
const SCRAPED_WITHIN: Duration = Duration::from_secs(30);
/// Time limit of one query.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running Prometheus that scrapes operators each second.
#[derive(Debug)]
pub struct PrometheusServer {
    url: String,
    client: reqwest::Client,
    process: Process,
    _directory: TempDir,
}

impl PrometheusServer {
    /// Starts one that scrapes these operators, as the Pods `a`, `b` and so on of one Service, and that
    /// has these rules, if any.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn start(operators: &[SocketAddr], rules: Option<&Path>) -> Result<Self, PeerError> {
        let executable = program(PEER)?;
        let directory = directory(PEER, Sandbox::Unprivileged)?;
        let path = configure(directory.path(), operators, rules)?;
        let url = format!("http://127.0.0.1:{}", free_port(PEER)?);
        let launch = Launch::new(PEER, Sandbox::Unprivileged, executable, directory.path());
        let listen = url.trim_start_matches("http://");
        let mut process = launch
            .arguments([
                format!("--config.file={}", text(path)),
                format!(
                    "--storage.tsdb.path={}",
                    text(directory.path().join("data"))
                ),
                format!("--web.listen-address={listen}"),
                "--log.level=warn".to_owned(),
            ])
            .spawn()?;
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        let client = client.build().map_err(|source| PeerError::Control {
            peer: PEER.to_owned(),
            what: "a client",
            source,
        })?;
        let ready = format!("{url}/-/ready");
        process
            .until_ready(async || {
                let answer = client.get(&ready).send().await;
                answer.is_ok_and(|answer| answer.status().is_success())
            })
            .await?;
        let server = Self {
            url,
            client,
            process,
            _directory: directory,
        };
        // It looks for its targets some seconds after it is ready.
        let scraped = wait_for("every operator is scraped", SCRAPED_WITHIN, async || {
            let found = server.query("count(up == 1)").await.ok()?.pop()?;
            (found["value"][1] == operators.len().to_string().as_str()).then_some(())
        });
        scraped.await.map_err(|_| PeerError::NotReady {
            peer: PEER.to_owned(),
            within: SCRAPED_WITHIN,
            log: server.process.log(),
        })?;
        Ok(server)
    }

    /// Returns the series that a query gives now.
    ///
    /// # Errors
    /// It did not answer, or refuses the query, in its own words.
    pub async fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        self.asked("/api/v1/query", &[("query", query)]).await
    }

    /// Returns the series that a query gives over the last minutes, one value each second.
    ///
    /// # Errors
    /// As of [`Self::query`].
    pub async fn query_range(&self, query: &str, from: f64, to: f64) -> Result<Vec<Value>, String> {
        let (from, to) = (from.to_string(), to.to_string());
        let parameters = [
            ("query", query),
            ("start", &from),
            ("end", &to),
            ("step", "1"),
        ];
        self.asked("/api/v1/query_range", &parameters).await
    }

    async fn asked(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Vec<Value>, String> {
        let mut url = reqwest::Url::parse(&format!("{}{path}", self.url))
            .map_err(|error| error.to_string())?;
        url.query_pairs_mut().extend_pairs(parameters);
        let answer = self
            .client
            .get(url)
            .send()
            .await
            .map_err(|error| in_words(&error))?;
        let mut answer: Value = answer.json().await.map_err(|error| in_words(&error))?;
        if answer["status"] != "success" {
            return Err(answer.to_string());
        }
        match answer["data"]["result"].take() {
            Value::Array(series) => Ok(series),
            other => Err(format!("no list of series: {other}")),
        }
    }
}

/// Writes the configuration into a directory, with the rules.
fn configure(
    directory: &Path,
    operators: &[SocketAddr],
    rules: Option<&Path>,
) -> Result<PathBuf, PeerError> {
    let mut config = "global: {scrape_interval: 1s, evaluation_interval: 1s}\n".to_owned();
    if let Some(rules) = rules {
        let copy = directory.join("rules.yaml");
        fs::copy(rules, &copy).map_err(|source| prepared("the rules", source))?;
        config += "rule_files: [rules.yaml]\n";
    }
    config += "scrape_configs:\n  - job_name: entente-metrics\n    static_configs:\n";
    for (address, pod) in operators.iter().zip('a'..) {
        // Writing into a String does not fail.
        let _ = writeln!(
            config,
            "      - {{targets: ['{address}'], labels: {{namespace: entente-system, pod: {pod}}}}}"
        );
    }
    let path = directory.join("prometheus.yml");
    fs::write(&path, config).map_err(|source| prepared("the configuration", source))?;
    Ok(path)
}

fn in_words(error: &reqwest::Error) -> String {
    error.to_string()
}

fn prepared(what: &'static str, source: io::Error) -> PeerError {
    PeerError::Preparation {
        peer: PEER.to_owned(),
        what,
        source,
    }
}

/// Runs promtool to its end in a directory, with this text as its input.
///
/// # Errors
/// It is not installed, or cannot be run.
pub async fn promtool(
    directory: &Path,
    arguments: &[&str],
    input: &str,
) -> Result<Output, PeerError> {
    let failed = |source| PeerError::Process {
        peer: "promtool".to_owned(),
        action: "run",
        source,
    };
    let mut child = Command::new(program("promtool")?)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    if let Some(mut to) = child.stdin.take() {
        to.write_all(input.as_bytes()).await.map_err(failed)?;
    }
    child.wait_with_output().await.map_err(failed)
}
