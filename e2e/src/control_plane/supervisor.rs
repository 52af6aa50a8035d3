//! Runs `controlplane up`, the process that supervises etcd, API server and controllers.
//!
//! It ends when its standard input ends, so the open pipe keeps the control plane alive, and
//! nothing is left when this process dies in any way. Called by [`super::ControlPlane`].

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Options, StartError, tool};

/// Time in which the processes must end; then the supervisor is killed, and they with it.
const END_DEADLINE: Duration = Duration::from_secs(10);

/// The supervisor process. Not a Tokio child: it must outlive the runtime of the test that
/// happened to start it.
#[derive(Debug)]
pub(super) struct Supervisor {
    process: Child,
    input: Option<ChildStdin>,
}

/// Line that the supervisor prints once everything is ready.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Announcement {
    pub(super) kubeconfig: PathBuf,
    pub(super) server: String,
    pub(super) audit_log: Option<PathBuf>,
    #[serde(rename = "dir")]
    pub(super) directory: PathBuf,
    pub(super) processes: BTreeMap<String, u32>,
}

impl Supervisor {
    pub(super) async fn start(options: &Options) -> Result<(Self, Announcement), StartError> {
        let path = tool("controlplane")?;
        let mut process = command(&path, options)
            .spawn()
            .map_err(|source| StartError::Spawn { path, source })?;
        let (line, messages) = listen(&mut process);
        let input = process.stdin.take();
        let mut supervisor = Self { process, input };

        // The supervisor keeps the deadline itself and names the reason; ours is for the case
        // that it hangs.
        let Ok(line) = tokio::time::timeout(options.deadline + END_DEADLINE, line).await else {
            let reason = text(&messages);
            return Err(StartError::Late {
                deadline: options.deadline,
                reason,
            });
        };
        let line = line.unwrap_or_default();
        if line.is_empty() {
            supervisor.end();
            return Err(StartError::Ended {
                reason: text(&messages),
            });
        }
        let mut announced: Announcement = serde_json::from_str(&line)
            .map_err(|source| StartError::Announcement { line, source })?;
        announced
            .processes
            .insert("supervisor".to_owned(), supervisor.process.id());
        Ok((supervisor, announced))
    }

    /// Makes the supervisor end everything, and waits for it.
    fn end(&mut self) {
        self.input = None;
        let deadline = Instant::now() + END_DEADLINE;
        while Instant::now() < deadline {
            match self.process.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        eprintln!("control plane: the supervisor did not end within {END_DEADLINE:?}; killed");
        // The kernel ends its children with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.end();
    }
}

fn command(path: &PathBuf, options: &Options) -> Command {
    let mut command = Command::new(path);
    command
        .arg("up")
        .arg(format!("--deadline={}ms", options.deadline.as_millis()));
    if options.audit {
        command.arg("--audit");
    }
    if options.workloads {
        command.arg("--workloads");
    }
    if !options.admission_plugins.is_empty() {
        let plugins = options.admission_plugins.join(",");
        command.arg(format!("--admission-plugins={plugins}"));
    }
    if let Some(directory) = &options.directory {
        command.arg("--dir").arg(directory);
    }
    if let Some(port) = options.port {
        command.arg(format!("--port={port}"));
    }
    if let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS").filter(|path| !path.is_empty()) {
        command.arg("--assets").arg(assets);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

type Messages = Arc<Mutex<String>>;

/// Reads both outputs on threads: the first line of one, and all of the other, which is printed
/// too, so that a server that dies in the middle of a test says why. The line comes once the
/// messages are complete if it is empty.
fn listen(process: &mut Child) -> (oneshot::Receiver<String>, Messages) {
    let messages = Messages::default();
    let (announce, line) = oneshot::channel();
    let errors = process.stderr.take().map(|errors| {
        let messages = Arc::clone(&messages);
        std::thread::spawn(move || {
            for message in BufReader::new(errors).lines().map_while(Result::ok) {
                eprintln!("{message}");
                let mut all = messages.lock().unwrap_or_else(PoisonError::into_inner);
                all.push_str(&message);
                all.push('\n');
            }
        })
    });
    if let Some(output) = process.stdout.take() {
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = String::new();
            let read = output.read_line(&mut line);
            if let (Ok(0) | Err(_), Some(errors)) = (read, errors) {
                let _ = errors.join();
            }
            let _ = announce.send(line);
            // Nothing more is expected; reading on keeps the pipe open until it ends.
            let _ = output.read_to_end(&mut Vec::new());
        });
    }
    (line, messages)
}

fn text(messages: &Messages) -> String {
    messages
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .trim_end()
        .to_owned()
}
