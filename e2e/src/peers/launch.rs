//! One process of a peer: sandboxed, started, watched until ready, frozen and ended.
//!
//! Decides nothing about the peer's own options. Every process dies with the thread that started it
//! (`setpriv --pdeathsig`) and is killed by its process id on drop; it must never be searched by
//! name. Called by the fixtures beside it.

mod machine;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use tokio::process::{Child, Command};

use super::PeerError;

use machine::{NOBODY, running_as_root};
pub(super) use machine::{
    built, directory, free_port, give_to_peer, peer_user, program, text, write,
};

/// Time limit of a peer's first answer. Peers need milliseconds; the rest is for a machine busy
/// compiling.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(20);
const ONE_PROBE: Duration = Duration::from_secs(2);
const BETWEEN_PROBES: Duration = Duration::from_millis(10);
const LOG_TAIL: usize = 4096;

/// User and network access of a peer's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sandbox {
    /// The user that runs the tests.
    SameUser,
    /// `nobody` when the tests run as root, otherwise the same user.
    Unprivileged,
    /// Unprivileged, and in a network namespace that reaches nothing.
    NoNetwork,
}

/// Resources that a running peer uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// From starting the process to its first proper answer.
    pub started_in: Duration,
    /// Resident memory in KiB.
    pub resident_kib: u64,
    /// Proportional share of memory in KiB: the cost of one more such process.
    pub proportional_kib: u64,
}

/// The command line of a peer, kept so that it can be started again.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    name: String,
    sandbox: Sandbox,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
}

impl Launch {
    /// Returns a launch; `directory` becomes HOME and TMPDIR and has the log.
    pub(super) fn new(name: &str, sandbox: Sandbox, program: PathBuf, directory: &Path) -> Launch {
        let directory_text = directory.display().to_string();
        let path = env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
        Launch {
            name: name.to_owned(),
            sandbox,
            program,
            arguments: Vec::new(),
            environment: vec![
                ("PATH".to_owned(), path),
                ("HOME".to_owned(), directory_text.clone()),
                ("TMPDIR".to_owned(), directory_text),
                ("LC_ALL".to_owned(), "C.UTF-8".to_owned()),
            ],
            log: directory.join("output.log"),
        }
    }

    pub(super) fn arguments<A: Into<String>>(
        mut self,
        more: impl IntoIterator<Item = A>,
    ) -> Launch {
        self.arguments.extend(more.into_iter().map(Into::into));
        self
    }

    pub(super) fn environment(mut self, name: &str, value: impl Into<String>) -> Launch {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Returns the sandboxed command. `unshare` and `setpriv` replace themselves by the program, so
    /// the process id we have is the program's own.
    fn command(&self) -> Result<Command, PeerError> {
        let setpriv = program("setpriv")?;
        let mut command = if self.sandbox == Sandbox::NoNetwork {
            let mut command = Command::new(program("unshare")?);
            command.arg("--net");
            if !running_as_root() {
                command.arg("--map-current-user");
            }
            command.arg("--").arg(setpriv);
            command
        } else {
            Command::new(setpriv)
        };
        command.args(["--pdeathsig", "KILL"]);
        if running_as_root() && self.sandbox != Sandbox::SameUser {
            command.arg(format!("--reuid={NOBODY}"));
            command.arg(format!("--regid={NOBODY}"));
            command.arg("--clear-groups");
        }
        command.arg("--").arg(&self.program).args(&self.arguments);
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }

    /// Starts the process; its output is appended to the log.
    pub(super) fn spawn(self) -> Result<Process, PeerError> {
        let started = Instant::now();
        let child = self.spawn_child()?;
        Ok(Process {
            launch: self,
            child,
            started,
            started_in: Duration::ZERO,
        })
    }

    fn spawn_child(&self) -> Result<Child, PeerError> {
        let failed = |source| PeerError::Process {
            peer: self.name.clone(),
            action: "start",
            source,
        };
        let output = fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        self.command()?
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(failed)
    }

    /// Runs the command to its end, for programs that set a peer up.
    pub(super) async fn run(self) -> Result<(), PeerError> {
        let failed = |source| PeerError::Process {
            peer: self.name.clone(),
            action: "run",
            source,
        };
        let mut command = self.command()?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = command.spawn().map_err(failed)?.wait_with_output();
        let output = tokio::time::timeout(READY_WITHIN, running)
            .await
            .map_err(|_| failed(io::ErrorKind::TimedOut.into()))?
            .map_err(failed)?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(PeerError::Setup {
            command: format!("{} {}", self.name, self.arguments.join(" ")),
            status: output.status,
            output: String::from_utf8_lossy(&said).into_owned(),
        })
    }
}

/// A started process of a peer.
#[derive(Debug)]
pub(super) struct Process {
    launch: Launch,
    child: Child,
    started: Instant,
    started_in: Duration,
}

impl Process {
    /// Calls `probe` until it returns true.
    ///
    /// # Errors
    /// [`PeerError::Ended`] as soon as the process is gone, [`PeerError::NotReady`] after the
    /// deadline, both with the end of its log.
    pub(super) async fn until_ready(
        &mut self,
        mut probe: impl AsyncFnMut() -> bool,
    ) -> Result<(), PeerError> {
        let deadline = self.started + READY_WITHIN;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                let peer = self.launch.name.clone();
                return Err(PeerError::Ended {
                    peer,
                    status,
                    log: self.log_tail(),
                });
            }
            if tokio::time::timeout(ONE_PROBE, probe()).await == Ok(true) {
                self.started_in = self.started.elapsed();
                return Ok(());
            }
            if Instant::now() > deadline {
                let peer = self.launch.name.clone();
                return Err(PeerError::NotReady {
                    peer,
                    within: READY_WITHIN,
                    log: self.log_tail(),
                });
            }
            tokio::time::sleep(BETWEEN_PROBES).await;
        }
    }

    /// Requests a page until it answers with success.
    ///
    /// # Errors
    /// As of [`Self::until_ready`].
    pub(super) async fn until_answers(&mut self, url: &str) -> Result<(), PeerError> {
        // The client needs a provider; an earlier caller chose the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build();
        let client = client.map_err(|source| PeerError::Control {
            peer: self.launch.name.clone(),
            what: "a question for its readiness",
            source,
        })?;
        self.until_ready(async || {
            let answer = client.get(url).send().await;
            answer.is_ok_and(|it| it.status().is_success())
        })
        .await
    }

    /// Returns the process id while it runs.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Returns the path of the process's output.
    pub(super) fn log_path(&self) -> PathBuf {
        self.launch.log.clone()
    }

    /// Returns the process's output so far.
    pub(super) fn log(&self) -> String {
        fs::read(&self.launch.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let from = log.len().saturating_sub(LOG_TAIL);
        let from = (from..log.len())
            .find(|at| log.is_char_boundary(*at))
            .unwrap_or(0);
        log[from..].to_owned()
    }

    /// Start-up time and memory, read from /proc; zero memory when the process is gone.
    pub(super) fn footprint(&self) -> Footprint {
        let rollup = self
            .id()
            .and_then(|id| fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok())
            .unwrap_or_default();
        let kib = |name: &str| {
            rollup
                .lines()
                .find_map(|line| {
                    line.strip_prefix(name)?
                        .split_whitespace()
                        .next()?
                        .parse()
                        .ok()
                })
                .unwrap_or(0)
        };
        Footprint {
            started_in: self.started_in,
            resident_kib: kib("Rss:"),
            proportional_kib: kib("Pss:"),
        }
    }

    /// Ends the process at once (SIGKILL) and waits until it is gone.
    pub(super) async fn kill(&mut self) -> Result<(), PeerError> {
        let peer = self.launch.name.clone();
        let failed = |source| PeerError::Process {
            peer,
            action: "kill",
            source,
        };
        self.child.kill().await.map_err(failed)
    }

    /// Ends the process by SIGTERM, so that it saves its state, and waits until it is gone; after
    /// the deadline it is killed.
    pub(super) async fn shut_down(&mut self) -> Result<(), PeerError> {
        self.signal("TERM", "shut down").await?;
        match tokio::time::timeout(READY_WITHIN, self.child.wait()).await {
            Ok(Ok(_status)) => Ok(()),
            Ok(Err(_)) | Err(_) => self.kill().await,
        }
    }

    /// Starts the same command again after it ended.
    pub(super) fn start_again(&mut self) -> Result<(), PeerError> {
        self.started = Instant::now();
        self.child = self.launch.spawn_child()?;
        Ok(())
    }

    /// Freezes it by SIGSTOP: the process keeps its sockets and answers nothing. Its threads stop
    /// one by one, and a busy machine lets one of them answer meanwhile, so the last one is waited
    /// for.
    pub(super) async fn freeze(&self) -> Result<(), PeerError> {
        self.signal("STOP", "freeze").await?;
        let stopped = tokio::time::timeout(READY_WITHIN, async {
            while self.id().is_some_and(|id| !is_stopped(id)) {
                // Between two looks; READY_WITHIN ends the wait.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        stopped.await.map_err(|_| PeerError::NotReady {
            peer: self.launch.name.clone(),
            within: READY_WITHIN,
            log: self.log_tail(),
        })
    }

    /// SIGCONT after [`Process::freeze`].
    pub(super) async fn thaw(&self) -> Result<(), PeerError> {
        self.signal("CONT", "thaw").await
    }

    /// Sends a signal by the shell's own `kill`, because the standard library sends no signal but
    /// KILL.
    async fn signal(&self, signal: &str, action: &'static str) -> Result<(), PeerError> {
        let failed = |source| PeerError::Process {
            peer: self.launch.name.clone(),
            action,
            source,
        };
        let id = self
            .id()
            .ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let status = Command::new("sh")
            .args(["-c", r#"kill -s "$0" "$1""#, signal, &id.to_string()])
            .status()
            .await
            .map_err(failed)?;
        if status.success() {
            Ok(())
        } else {
            Err(failed(io::ErrorKind::NotFound.into()))
        }
    }
}

/// True if every thread of a process has stopped (proc_pid_stat(5), the third field), as far as this
/// system tells.
fn is_stopped(process: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return true;
    };
    threads.flatten().all(|thread| {
        let line = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The second field is a name in brackets that may contain anything.
        let state = line
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest.trim_start());
        !state.starts_with(['R', 'S', 'D'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_that_ends_early_shows_its_log() {
        let directory = directory("shell", Sandbox::Unprivileged).unwrap();
        let shell = program("sh").unwrap();
        let mut process = Launch::new("shell", Sandbox::Unprivileged, shell, directory.path())
            .arguments(["-c", "echo cannot go on; exit 3"])
            .spawn()
            .unwrap();
        let error = process.until_ready(async || false).await.unwrap_err();
        assert!(matches!(error, PeerError::Ended { .. }), "{error}");
        assert!(error.to_string().contains("cannot go on"), "{error}");
    }
}
