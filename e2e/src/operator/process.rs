//! One process of the operator over all its lives: started, watched until ready, signalled, ended.
//!
//! A thread of its own starts it, because it dies with the thread that started it (`setpriv
//! --pdeathsig`) and must outlive the test that happened to be the first. It is only ever ended by
//! the process id that is held here. Called by [`super::Operator`].

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::OperatorError;

const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);
const LOG_TAIL_LINES: usize = 25;

/// Log and admin endpoints of an operator. Clones look at the same one.
#[derive(Clone, Debug)]
pub struct OperatorView {
    admin: SocketAddr,
    log: PathBuf,
}

impl OperatorView {
    /// Returns the log so far.
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Returns the file with the log.
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Returns the last lines of the log.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Returns the address of its admin endpoints.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Asks an admin endpoint; an answer with an error status is an error.
    pub async fn get(&self, path: &'static str) -> Result<String, OperatorError> {
        let failed = |source| OperatorError::Admin { path, source };
        let answer = self.ask(path).await.map_err(failed)?;
        let answer = answer.error_for_status().map_err(failed)?;
        answer.text().await.map_err(failed)
    }

    async fn ask(&self, path: &str) -> Result<reqwest::Response, reqwest::Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(ADMIN_TIMEOUT)
            .build()?;
        let url = format!("http://{}{path}", self.admin);
        let metrics = "application/openmetrics-text;version=1.0.0,*/*;q=0.1";
        client.get(url).header("accept", metrics).send().await
    }

    /// Returns `Ok` if it is ready, else the answer of /readyz.
    async fn ready(&self) -> Result<(), String> {
        let answer = self.ask("/readyz").await.map_err(|e| e.to_string())?;
        let ready = answer.status().is_success();
        let said = answer.text().await.unwrap_or_default();
        if ready { Ok(()) } else { Err(said) }
    }
}

/// The process.
#[derive(Debug)]
pub(super) struct Process {
    child: Option<Child>,
    spawner: Spawner,
    command: String,
    view: OperatorView,
}

impl Process {
    pub(super) async fn start(
        binary: PathBuf,
        arguments: Vec<String>,
        admin: SocketAddr,
        log: PathBuf,
    ) -> Result<Self, OperatorError> {
        // The client for the admin endpoints needs a provider; an earlier caller chose the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let command = command_line(&binary, &arguments, &log);
        let spawner = Spawner::new(binary, arguments, log.clone());
        let mut process = Self {
            child: None,
            spawner,
            command,
            view: OperatorView { admin, log },
        };
        process.start_again().await?;
        Ok(process)
    }

    pub(super) async fn start_again(&mut self) -> Result<(), OperatorError> {
        let child = self.spawner.spawn().await;
        self.child = Some(child.map_err(|source| OperatorError::Process {
            action: "start",
            source,
        })?);
        Ok(())
    }

    /// Returns the command for a shell that starts the same again, with the same log.
    pub(super) fn command(&self) -> &str {
        &self.command
    }

    pub(super) fn view(&self) -> OperatorView {
        self.view.clone()
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub(super) async fn until_ready(&mut self, within: Duration) -> Result<(), OperatorError> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.ended()? {
                let log = self.view.log_tail(LOG_TAIL_LINES);
                return Err(OperatorError::Ended { status, log });
            }
            match self.view.ready().await {
                Ok(()) => return Ok(()),
                Err(said) if Instant::now() > deadline => {
                    return Err(self.late("ready", within, said));
                }
                Err(_) => tokio::time::sleep(BETWEEN_LOOKS).await,
            }
        }
    }

    pub(super) async fn kill(&mut self) -> Result<(), OperatorError> {
        if let Some(child) = &mut self.child {
            child.kill().map_err(|source| OperatorError::Process {
                action: "kill",
                source,
            })?;
        }
        self.until_gone(ADMIN_TIMEOUT).await.map(drop)
    }

    pub(super) async fn stop(&mut self, within: Duration) -> Result<ExitStatus, OperatorError> {
        let failed = |source| OperatorError::Process {
            action: "stop",
            source,
        };
        self.signal("TERM", "stop")?;
        let status = self.until_gone(within).await?;
        status.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: &str, action: &'static str) -> Result<(), OperatorError> {
        let failed = |source| OperatorError::Process { action, source };
        let id = self
            .id()
            .ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        // The shell's own `kill`: the standard library sends no signal but KILL.
        let status = Command::new("sh")
            .args(["-c", r#"kill -s "$0" "$1""#, signal, &id.to_string()])
            .status()
            .map_err(failed)?;
        if status.success() {
            Ok(())
        } else {
            Err(failed(io::ErrorKind::NotFound.into()))
        }
    }

    /// Waits until it has ended by itself.
    pub(super) async fn until_ended(
        &mut self,
        within: Duration,
    ) -> Result<ExitStatus, OperatorError> {
        let gone = || OperatorError::Process {
            action: "wait for",
            source: io::ErrorKind::NotFound.into(),
        };
        self.until_gone(within).await?.ok_or_else(gone)
    }

    async fn until_gone(&mut self, within: Duration) -> Result<Option<ExitStatus>, OperatorError> {
        let deadline = Instant::now() + within;
        while self.child.is_some() {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            if Instant::now() > deadline {
                return Err(self.late("gone", within, String::new()));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(None)
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, OperatorError> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        let status = child.try_wait().map_err(|source| OperatorError::Process {
            action: "wait for",
            source,
        })?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    fn late(&self, state: &'static str, within: Duration, said: String) -> OperatorError {
        OperatorError::Late {
            state,
            within,
            said,
            log: self.view.log_tail(LOG_TAIL_LINES),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may be gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

type Answer = tokio::sync::oneshot::Sender<io::Result<Child>>;

/// The thread that starts the process. It lives as long as this value.
#[derive(Debug)]
struct Spawner {
    wishes: mpsc::Sender<Answer>,
}

impl Spawner {
    fn new(binary: PathBuf, arguments: Vec<String>, log: PathBuf) -> Self {
        let (wishes, wanted) = mpsc::channel::<Answer>();
        std::thread::spawn(move || {
            for answer in wanted {
                // Without a receiver the process ends with this thread.
                let _ = answer.send(spawn(&binary, &arguments, &log));
            }
        });
        Self { wishes }
    }

    async fn spawn(&self) -> io::Result<Child> {
        let (answer, started) = tokio::sync::oneshot::channel();
        let gone = || io::Error::other("the thread that starts it is gone");
        self.wishes.send(answer).map_err(|_| gone())?;
        started.await.map_err(|_| gone())?
    }
}

/// Returns the command of a process as a line for a shell.
fn command_line(binary: &Path, arguments: &[String], log: &Path) -> String {
    let mut words = vec![shell_word(&binary.to_string_lossy())];
    words.extend(arguments.iter().map(|argument| shell_word(argument)));
    let log = shell_word(&log.to_string_lossy());
    format!("{} >> {log} 2>&1", words.join(" "))
}

/// Returns a word as a shell reads it: in quotes where it has more than letters, digits and the
/// characters of paths and flags.
fn shell_word(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn spawn(binary: &PathBuf, arguments: &[String], log: &PathBuf) -> io::Result<Child> {
    let output = File::options().create(true).append(true).open(log)?;
    let errors = output.try_clone()?;
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(binary)
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_can_be_given_to_a_shell_as_it_is() {
        let arguments = ["--namespace=a".to_owned(), "it's".to_owned()];
        let line = command_line(
            Path::new("/my files/operator"),
            &arguments,
            Path::new("/log"),
        );
        let expected = r"'/my files/operator' --namespace=a 'it'\''s' >> /log 2>&1";
        assert_eq!(line, expected);
    }
}
