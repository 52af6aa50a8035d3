//! The files of a device: one folder, in which each file is whole at every instant.
//!
//! A file is written beside itself, synchronised, and put in place by one rename, so that neither a
//! crash nor a loss of power leaves half of one. Only the owner may read them, since some hold secrets.
//! It decides nothing of their content. A file that cannot be read is named, and never taken for one
//! that is not there: a device that forgot its credential would have to be permitted anew by a person.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

/// Longest file that is read: settings that a person edits are the longest of all.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Reason for which a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Words of the system.
        source: std::io::Error,
    },
    /// The content is not what belongs there.
    #[error("{}: {detail}; it was left as it is", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Words about the fault.
        detail: String,
    },
    /// Another process runs the device.
    #[error("another process runs the device in {}", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

/// Mark of one writing of a file: its inode and the time of its last change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark(u64, i64, i64);

/// Folder of a device.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Opens the folder, and makes it, for its owner alone.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let fault = |source| StoreError::Io {
            path: folder.to_owned(),
            source,
        };
        if !folder.exists() {
            fs::create_dir_all(folder).map_err(fault)?;
            let owner = fs::Permissions::from_mode(0o700);
            fs::set_permissions(folder, owner).map_err(fault)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Reads a file of JSON; none if it is not there.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let path = self.path(name);
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Io { path, source }),
        };
        if found.len() > LONGEST {
            let detail = format!("has {} bytes, more than {LONGEST}", found.len());
            return Err(StoreError::Content { path, detail });
        }
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(source) => return Err(StoreError::Io { path, source }),
        };
        match serde_json::from_slice(&text) {
            Ok(content) => Ok(Some(content)),
            Err(error) => Err(StoreError::Content {
                detail: format!("is not the JSON that belongs there: {error}"),
                path,
            }),
        }
    }

    /// Writes a file of JSON in one step.
    pub fn write<T: Serialize>(&self, name: &str, content: &T) -> Result<(), StoreError> {
        let path = self.path(name);
        let mut text = match serde_json::to_vec_pretty(content) {
            Ok(text) => text,
            Err(error) => {
                let detail = error.to_string();
                return Err(StoreError::Content { path, detail });
            }
        };
        text.push(b'\n');
        // Another process may be writing the same file.
        let beside = self.path(&format!(".{name}.{}.new", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            // One that was there before keeps its mode.
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            // The rename itself is on disk only with the folder.
            File::open(&self.folder)?.sync_all()
        })();
        written.map_err(|source| StoreError::Io { path, source })
    }

    /// Mark of a file, which is another one after each write; none if it is not there.
    pub fn mark(&self, name: &str) -> Option<Mark> {
        let found = fs::metadata(self.path(name)).ok()?;
        Some(Mark(found.ino(), found.mtime(), found.mtime_nsec()))
    }

    /// Puts a file aside that cannot be read, so that another one can begin; it is kept for a person.
    pub fn put_aside(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        let aside = self.path(&format!("{name}.unreadable"));
        fs::rename(&path, aside).map_err(|source| StoreError::Io { path, source })
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                Err(StoreError::Io { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Takes the lock of the process that runs the device; it lasts until the value is dropped.
    pub fn run_lock(&self) -> Result<File, StoreError> {
        let file = self.lock_file("run.lock")?;
        file.try_lock().map_err(|_| StoreError::InUse {
            path: self.folder.clone(),
        })?;
        Ok(file)
    }

    /// Runs a change of a file that several processes change, one at a time.
    pub fn locked<T>(
        &self,
        change: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let file = self.lock_file("change.lock")?;
        file.lock().map_err(|source| StoreError::Io {
            path: self.path("change.lock"),
            source,
        })?;
        change()
    }

    fn lock_file(&self, name: &str) -> Result<File, StoreError> {
        let path = self.path(name);
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        opened.map_err(|source| StoreError::Io { path, source })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Map = BTreeMap<String, String>;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("device")).unwrap();
        (folder, store)
    }

    #[test]
    fn a_file_is_for_its_owner_alone_and_so_is_the_folder() {
        let (_folder, store) = store();
        let path = store.path("agent.json");
        fs::write(&path, "{}").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        store.write("agent.json", &Map::new()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    // openhab/openhab-core issue 2136: a file of zero bytes after a loss of power.
    #[test]
    fn an_empty_or_broken_file_is_named_and_left_as_it_is() {
        let (_folder, store) = store();
        for text in ["", "{", "[1]", "{\"a\":1}"] {
            fs::write(store.path("settings.json"), text).unwrap();
            let error = store.read::<Map>("settings.json").unwrap_err().to_string();
            assert!(error.contains("settings.json"), "{error}");
            assert_eq!(
                fs::read_to_string(store.path("settings.json")).unwrap(),
                text
            );
        }
        assert!(store.read::<Map>("absent.json").unwrap().is_none());
    }

    #[test]
    fn a_device_is_run_by_one_process() {
        let (_folder, store) = store();
        let first = store.run_lock().unwrap();
        assert!(matches!(store.run_lock(), Err(StoreError::InUse { .. })));
        drop(first);
        assert!(store.run_lock().is_ok());
    }
}
