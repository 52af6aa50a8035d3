//! Parts of this machine that a peer's process is given: its program, a directory of its own, the user
//! as which it runs, and a free port.
//!
//! Decides nothing about the peer. Called by the fixtures of peers and by the launch of a process.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::{env, fs};

use tempfile::TempDir;

use super::Sandbox;
use crate::operator::workspace;
use crate::peers::PeerError;

/// The user a peer runs as when the tests run as root: `nobody` on every Debian and most others.
pub(super) const NOBODY: u32 = 65534;

/// Finds an executable in PATH and in Debian's directory of servers.
///
/// # Errors
/// [`PeerError::Missing`] names it.
pub(in crate::peers) fn program(name: &str) -> Result<PathBuf, PeerError> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| PeerError::Missing {
            program: name.to_owned(),
        })
}

/// Returns the path of a program that `make tools` builds.
///
/// # Errors
/// [`PeerError::NotBuilt`] names it.
pub(in crate::peers) fn built(name: &str) -> Result<PathBuf, PeerError> {
    let path = workspace().join("target/tools").join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(PeerError::NotBuilt { path })
    }
}

/// Returns a directory of the peer's own, removed on drop. A sandboxed peer can write to it.
pub(in crate::peers) fn directory(peer: &str, sandbox: Sandbox) -> Result<TempDir, PeerError> {
    let failed = |source| PeerError::Preparation {
        peer: peer.to_owned(),
        what: "its directory",
        source,
    };
    let directory = tempfile::Builder::new()
        .prefix(&format!("entente-{peer}-"))
        .tempdir()
        .map_err(failed)?;
    give_to_peer(peer, directory.path(), sandbox)?;
    Ok(directory)
}

/// Writes a file that the peer reads.
pub(in crate::peers) fn write(peer: &str, path: &Path, content: &str) -> Result<(), PeerError> {
    fs::write(path, content).map_err(|source| PeerError::Preparation {
        peer: peer.to_owned(),
        what: "its configuration",
        source,
    })
}

/// Makes a path belong to the user the peer will run as.
pub(in crate::peers) fn give_to_peer(
    peer: &str,
    path: &Path,
    sandbox: Sandbox,
) -> Result<(), PeerError> {
    if sandbox == Sandbox::SameUser || !running_as_root() {
        return Ok(());
    }
    chown(path, Some(NOBODY), Some(NOBODY)).map_err(|source| PeerError::Preparation {
        peer: peer.to_owned(),
        what: "the owner of its directory",
        source,
    })
}

/// Returns the numeric user id the peer will run as.
pub(in crate::peers) fn peer_user() -> u32 {
    if running_as_root() {
        NOBODY
    } else {
        own_user()
    }
}

pub(in crate::peers) fn running_as_root() -> bool {
    own_user() == 0
}

fn own_user() -> u32 {
    fs::metadata("/proc/self").map_or(NOBODY, |metadata| metadata.uid())
}

/// Returns a TCP port that is free on 127.0.0.1 now. Another process may take it before the peer
/// does; the peer then ends and the start fails loudly.
pub(in crate::peers) fn free_port(peer: &str) -> Result<u16, PeerError> {
    let failed = |source| PeerError::Preparation {
        peer: peer.to_owned(),
        what: "a free port",
        source,
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    Ok(listener.local_addr().map_err(failed)?.port())
}

/// Returns a path as an argument.
pub(in crate::peers) fn text(path: impl AsRef<OsStr>) -> String {
    path.as_ref().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::program;

    #[test]
    fn a_missing_program_is_named_together_with_the_way_to_get_it() {
        let missing = program("no-such-print-server").unwrap_err().to_string();
        assert_eq!(
            missing,
            "no-such-print-server is not installed: run `make peers`"
        );
    }
}
