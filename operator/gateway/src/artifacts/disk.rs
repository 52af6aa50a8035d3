//! The directory of artifacts: which files are in it, which may be used, and which goes.
//!
//! Keeps the bound: the files, and the room that downloads have reserved, never take more bytes
//! together. The one that was used longest ago goes first; one that is being read stays. A file has the
//! name of its SHA-256 only once that was compared, and after a restart it is compared again before its
//! first use. Never fetches. Called by the artifact service.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::hashing::{Digests, is_sha256};

/// Beginning of the names of files that are not whole yet.
const PARTIAL: &str = "partial-";

/// The directory. Shared by an [`Arc`].
pub(crate) struct Disk {
    directory: PathBuf,
    /// Most bytes that it may have.
    bound: u64,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    files: HashMap<String, Entry>,
    reserved: u64,
    /// Grows with each use.
    clock: u64,
    /// Grows with each download, so that no two write to one file.
    downloads: u64,
}

struct Entry {
    size: u64,
    /// `None` until the file was compared by this process.
    digests: Option<Digests>,
    /// The clock at its last use.
    used: u64,
    /// Shared with everyone who reads it.
    reads: Arc<()>,
}

/// A file that was compared, open for reading.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) file: File,
    pub(crate) size: u64,
    pub(crate) digests: Digests,
    /// While this is there, the file stays.
    pub(crate) reads: Arc<()>,
}

/// Reason for which there is no room for a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoRoom {
    /// It is longer than all that the directory may have: the bound.
    TooLong(u64),
    /// Files that are being read or fetched take it.
    InUse,
}

/// Room for a file, and the file that is written. The file is removed and the room is free again when
/// this is dropped before it is kept.
pub(crate) struct Room {
    disk: Arc<Disk>,
    bytes: u64,
    path: PathBuf,
}

impl Disk {
    /// Returns the directory with the files that are there; partial ones and all others are removed.
    pub(crate) fn open(directory: PathBuf, bound: u64) -> Arc<Self> {
        let disk = Arc::new(Self {
            directory,
            bound,
            held: Mutex::default(),
        });
        if let Err(error) = disk.look() {
            let directory = disk.directory.display();
            tracing::warn!(%directory, %error, "the directory of artifacts cannot be used yet");
        }
        disk
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what a process before this one has left, in the order of its last use.
    fn look(&self) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let metadata = entry.metadata()?;
            if metadata.is_file() && is_sha256(&name) {
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.push((used, name, metadata.len()));
            } else if metadata.is_file() && name.starts_with(PARTIAL) {
                fs::remove_file(entry.path())?;
            }
        }
        found.sort();
        let mut held = self.held();
        for (_, name, size) in found {
            held.insert(name, size, None);
        }
        self.make_room(&mut held, 0);
        Ok(())
    }

    fn path(&self, sha256: &str) -> PathBuf {
        self.directory.join(sha256)
    }

    /// Returns a file that was compared; `None` if there is none.
    pub(crate) fn get(&self, sha256: &str) -> Option<Verified> {
        let mut held = self.held();
        held.clock += 1;
        let now = held.clock;
        let entry = held.files.get_mut(sha256)?;
        let digests = entry.digests.clone()?;
        let opened = File::open(self.path(sha256)).and_then(|file| {
            // The order of use survives a restart by the times of the files.
            let _ = file.set_modified(SystemTime::now());
            Ok((file.metadata()?.len() == entry.size).then_some(file))
        });
        let Ok(Some(file)) = opened else {
            // Somebody removed or cut it.
            held.files.remove(sha256);
            let _ = fs::remove_file(self.path(sha256));
            return None;
        };
        entry.used = now;
        Some(Verified {
            file,
            size: entry.size,
            digests,
            reads: Arc::clone(&entry.reads),
        })
    }

    /// Returns the path of a file that a process before this one has left, to be compared.
    pub(crate) fn left_behind(&self, sha256: &str) -> Option<PathBuf> {
        let held = self.held();
        let entry = held.files.get(sha256)?;
        entry.digests.is_none().then(|| self.path(sha256))
    }

    /// Says what comparing a file has shown: its digests, or `None` if it is another file.
    pub(crate) fn compared(&self, sha256: &str, digests: Option<Digests>) {
        let mut held = self.held();
        if let Some(digests) = digests {
            if let Some(entry) = held.files.get_mut(sha256) {
                entry.digests = Some(digests);
            }
        } else if held.files.remove(sha256).is_some() {
            let _ = fs::remove_file(self.path(sha256));
        }
    }

    /// Reserves room for a file of so many bytes.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Room, NoRoom> {
        if bytes > self.bound {
            return Err(NoRoom::TooLong(self.bound));
        }
        let mut held = self.held();
        if !self.make_room(&mut held, bytes) {
            return Err(NoRoom::InUse);
        }
        held.reserved += bytes;
        held.downloads += 1;
        let number = held.downloads;
        Ok(Room {
            disk: Arc::clone(self),
            bytes,
            path: self.directory.join(format!("{PARTIAL}{number}")),
        })
    }

    /// Removes files that nobody reads, those used longest ago first, until so many more bytes are
    /// within the bound. False if they cannot be.
    fn make_room(&self, held: &mut Held, bytes: u64) -> bool {
        loop {
            let taken = held.taken();
            if taken.saturating_add(bytes) <= self.bound {
                return true;
            }
            let idle = held.files.iter();
            let idle = idle.filter(|(_, entry)| Arc::strong_count(&entry.reads) == 1);
            let Some((name, _)) = idle.min_by_key(|(_, entry)| entry.used) else {
                return false;
            };
            let name = name.clone();
            held.files.remove(&name);
            let _ = fs::remove_file(self.path(&name));
        }
    }

    /// Removes the file that was used longest ago, if nobody reads it: the disk is full although the
    /// bound is not reached.
    pub(crate) fn give_up_one(&self) {
        let mut held = self.held();
        let idle = held.files.iter();
        let idle = idle.filter(|(_, entry)| Arc::strong_count(&entry.reads) == 1);
        let oldest = idle.min_by_key(|(_, entry)| entry.used);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            held.files.remove(&name);
            let _ = fs::remove_file(self.path(&name));
        }
    }

    /// Returns the bytes of all files, and those that are reserved.
    pub(crate) fn taken(&self) -> u64 {
        self.held().taken()
    }
}

impl Held {
    fn taken(&self) -> u64 {
        let files: u64 = self.files.values().map(|entry| entry.size).sum();
        files.saturating_add(self.reserved)
    }

    fn insert(&mut self, sha256: String, size: u64, digests: Option<Digests>) {
        self.clock += 1;
        let entry = Entry {
            size,
            digests,
            used: self.clock,
            reads: Arc::default(),
        };
        self.files.insert(sha256, entry);
    }
}

impl Room {
    /// Makes an empty file at the path.
    pub(crate) fn create(&self) -> io::Result<File> {
        fs::create_dir_all(&self.disk.directory)?;
        File::create(&self.path)
    }

    /// Keeps the file, which was compared and lies on the disk as a whole, under its digest.
    pub(crate) fn keep(self, digests: Digests) -> io::Result<()> {
        let sha256 = digests.sha256.clone();
        let mut held = self.disk.held();
        fs::rename(&self.path, self.disk.path(&sha256))?;
        held.insert(sha256, self.bytes, Some(digests));
        drop(held);
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let mut held = self.disk.held();
        held.reserved = held.reserved.saturating_sub(self.bytes);
    }
}

#[cfg(test)]
mod tests;
