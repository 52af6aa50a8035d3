//! Archives of manifests over HTTP on loopback, as Flux's source-controller serves them.
//!
//! An archive is a tar file, compressed by gzip. It decides nothing about the manifests.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::sha256::sha256;

/// Files by their path, as in a repository.
pub(super) type Files = BTreeMap<String, String>;

type Archives = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// One archive, as the status of a source names it.
pub(super) struct Archive {
    pub(super) url: String,
    /// SHA-256 of the archive, in hexadecimal digits.
    pub(super) digest: String,
    /// Length in bytes.
    pub(super) size: usize,
}

/// A server of archives. It ends when it is dropped.
pub(super) struct ArchiveServer {
    base: String,
    archives: Archives,
    task: JoinHandle<()>,
}

impl ArchiveServer {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let archives = Archives::default();
        let read = async |State(archives): State<Archives>, Path(name): Path<String>| {
            let archive = archives.lock().unwrap().get(&name).cloned();
            archive.ok_or(axum::http::StatusCode::NOT_FOUND)
        };
        let router = Router::new()
            .route("/{name}", get(read))
            .with_state(archives.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            base,
            archives,
            task,
        }
    }

    /// Packs the files and serves them.
    pub(super) async fn publish(&self, files: &Files) -> Archive {
        let packed = packed(files).await;
        let digest = sha256(&packed);
        let name = format!("{digest}.tar.gz");
        let archive = Archive {
            url: format!("{}/{name}", self.base),
            size: packed.len(),
            digest,
        };
        self.archives.lock().unwrap().insert(name, packed);
        archive
    }
}

impl Drop for ArchiveServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn packed(files: &Files) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), files);
    let output = Command::new("tar")
        .args(["--create", "--gzip", "--directory"])
        .arg(directory.path())
        .arg(".")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("tar is installed");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// Writes the files below a directory.
pub(super) fn write(directory: &std::path::Path, files: &Files) {
    for (path, text) in files {
        let path = directory.join(path);
        std::fs::create_dir_all(path.parent().expect("it is below the directory")).unwrap();
        std::fs::write(path, text).unwrap();
    }
}
