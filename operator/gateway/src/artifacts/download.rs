//! One download of an artifact: from the vendor's server into a file that is compared.
//!
//! Decides when a download that broke off is continued and when it is given up, and whether the file
//! is the one that the model names. Never holds more than a few pieces of it in memory, and never writes
//! a byte more than was reserved. Called by the artifact service, once at a time for each artifact.

use std::{
    io::{self, Seek as _, SeekFrom, Write},
    time::Duration,
};

use bytes::Bytes;
use entente_crds::v1alpha1::ArtifactFault;
use entente_domain::remote::{Failure, FailureKind};
use entente_drivers::{ConnectionProfile, Fetcher, Wanted};
use jiff::SignedDuration;
use tokio::{sync::mpsc, task::spawn_blocking, time::sleep};

use super::{
    Artifact,
    disk::Room,
    hashing::{Digests, Hashing},
};

/// Pieces on their way to the disk.
const PIECES: usize = 4;
/// Number of times that a download may break off without having come further by [`PROGRESS`].
const MOST_BREAKS: u32 = 4;
/// Bytes by which a download has to come further to count as one that goes on.
const PROGRESS: u64 = 1024 * 1024;
/// Wait before the first continuation; it doubles with each one that brings nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Reason for which an artifact could not be had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    /// Reason for metrics, and for the status of a twin.
    pub(crate) reason: ArtifactFault,
    /// One sentence for people, without URL.
    pub(crate) message: String,
    /// The wait that the server asks for.
    pub(crate) retry_after: Option<SignedDuration>,
}

impl Fault {
    pub(crate) fn new(reason: ArtifactFault, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry_after: None,
        }
    }
}

/// An instruction to the writer.
enum Piece {
    Bytes(Bytes),
    /// The server sends the file from its beginning again.
    Again,
}

/// The ways in which an answer ends.
enum End {
    /// All bytes are there.
    Whole,
    /// It can be continued.
    BrokenOff(Failure),
}

/// Fetches an artifact into this room, and returns its digests once they are those of the model.
pub(super) async fn download(
    fetcher: &Fetcher,
    profile: &ConnectionProfile,
    artifact: &Artifact,
    room: &Room,
    count: impl Fn(usize),
) -> Result<Digests, Fault> {
    let file = room.create().map_err(|error| of_disk(&error))?;
    let (pieces, writing) = mpsc::channel(PIECES);
    let writer = spawn_blocking(move || write(file, writing));
    let outcome = fetch(fetcher, profile, artifact, &pieces, count).await;
    drop(pieces);
    let written = writer.await;
    let written = written.unwrap_or_else(|_| Err(io::Error::other("the writer met a defect")));
    // A fetch without a writer broke off because the disk is full.
    let digests = written.map_err(|error| of_disk(&error))?;
    outcome?;
    if digests.sha256 != artifact.sha256 {
        let message = format!(
            "its SHA-256 is {} on the server, and artifact.sha256 of the model is another one",
            digests.sha256
        );
        return Err(Fault::new(ArtifactFault::WrongDigest, message));
    }
    Ok(digests)
}

async fn fetch(
    fetcher: &Fetcher,
    profile: &ConnectionProfile,
    artifact: &Artifact,
    pieces: &mpsc::Sender<Piece>,
    count: impl Fn(usize),
) -> Result<(), Fault> {
    let mut state = State::default();
    let (mut breaks, mut furthest) = (0, 0);
    loop {
        let ended = state
            .next(fetcher, profile, artifact, pieces, &count)
            .await?;
        let End::BrokenOff(failure) = ended else {
            return Ok(());
        };
        // A server that begins again each time and breaks off at the same place brings nothing.
        if state.there >= furthest + PROGRESS {
            breaks = 0;
            furthest = state.there;
        }
        breaks += 1;
        if breaks > MOST_BREAKS {
            return Err(of_failure(&failure));
        }
        sleep(FIRST_PAUSE * (1 << (breaks - 1))).await;
    }
}

/// A download between two answers.
#[derive(Default)]
struct State {
    /// Bytes of the file that are there.
    there: u64,
    validator: Option<String>,
}

impl State {
    async fn next(
        &mut self,
        fetcher: &Fetcher,
        profile: &ConnectionProfile,
        artifact: &Artifact,
        pieces: &mpsc::Sender<Piece>,
        count: &impl Fn(usize),
    ) -> Result<End, Fault> {
        let wanted = Wanted {
            url: &artifact.url,
            size: artifact.size,
            from: self.there,
            validator: self.validator.as_deref(),
        };
        let mut download = match fetcher.fetch(profile, wanted).await {
            Ok(download) => download,
            // A download that was going on is worth another try; one that never began is not.
            Err(failure) if self.there > 0 && may_pass(&failure) => {
                return Ok(End::BrokenOff(failure));
            }
            Err(failure) => return Err(of_failure(&failure)),
        };
        let stopped = |_| Fault::new(ArtifactFault::Disk, "it cannot be written");
        if download.from != self.there {
            self.there = 0;
            pieces.send(Piece::Again).await.map_err(stopped)?;
        }
        self.validator = download.validator.take();
        loop {
            let piece = match download.next().await {
                Ok(Some(piece)) => piece,
                Ok(None) if self.there == artifact.size => return Ok(End::Whole),
                Ok(None) => return Ok(End::BrokenOff(truncated(self.there, artifact.size))),
                Err(failure) => return Ok(End::BrokenOff(failure)),
            };
            let length = piece.len() as u64;
            if self.there + length > artifact.size {
                let message = format!(
                    "the file is longer on the server than artifact.size of the model, which is {}",
                    artifact.size
                );
                return Err(Fault::new(ArtifactFault::WrongSize, message));
            }
            self.there += length;
            count(piece.len());
            pieces.send(Piece::Bytes(piece)).await.map_err(stopped)?;
        }
    }
}

fn truncated(there: u64, size: u64) -> Failure {
    let message =
        format!("the file ended after {there} bytes, and artifact.size of the model is {size}");
    Failure::new(FailureKind::ProtocolError, message)
}

/// True if the same request may succeed in a moment.
fn may_pass(failure: &Failure) -> bool {
    matches!(
        failure.kind,
        FailureKind::Unreachable | FailureKind::TimedOut | FailureKind::Busy
    ) || failure.message.contains("ended before")
}

fn of_failure(failure: &Failure) -> Fault {
    let reason = match failure.kind {
        FailureKind::Unreachable => ArtifactFault::Unreachable,
        FailureKind::TimedOut => ArtifactFault::TimedOut,
        FailureKind::TlsFailed | FailureKind::CertificateChanged => ArtifactFault::TlsFailed,
        FailureKind::AddressNotAllowed => ArtifactFault::AddressNotAllowed,
        FailureKind::Unauthorized => ArtifactFault::Unauthorized,
        FailureKind::Busy => ArtifactFault::Busy,
        _ => ArtifactFault::WrongAnswer,
    };
    Fault {
        retry_after: failure.retry_after,
        ..Fault::new(reason, failure.message.clone())
    }
}

/// Returns the fault of a disk that cannot be written.
pub(super) fn of_disk(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Fault::new(ArtifactFault::DiskFull, "the disk of the gateway is full")
        }
        kind => Fault::new(
            ArtifactFault::Disk,
            format!("the disk of the gateway cannot be used: {kind}"),
        ),
    }
}

/// A file that pieces are written to.
trait Target: Write {
    fn start_again(&mut self) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
}

impl Target for std::fs::File {
    fn start_again(&mut self) -> io::Result<()> {
        self.set_len(0)?;
        self.seek(SeekFrom::Start(0)).map(drop)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Writes pieces as they come, and returns the digests of all of them once they are on the disk.
fn write(mut file: impl Target, mut pieces: mpsc::Receiver<Piece>) -> io::Result<Digests> {
    let mut hashing = Hashing::new();
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Bytes(bytes) => {
                file.write_all(&bytes)?;
                hashing.update(&bytes);
            }
            Piece::Again => {
                file.start_again()?;
                hashing = Hashing::new();
            }
        }
    }
    file.sync()?;
    Ok(hashing.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Small(usize);

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Target for Small {
        fn start_again(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    // shows K5
    #[tokio::test]
    async fn a_full_disk_ends_the_writing_and_is_told_as_that() {
        let (pieces, writing) = mpsc::channel(PIECES);
        let writer = spawn_blocking(move || write(Small(10), writing));
        let mut sent = 0;
        while pieces.send(Piece::Bytes(vec![0; 4].into())).await.is_ok() {
            sent += 1;
            assert!(sent < 100, "the writer takes pieces that it cannot write");
        }
        let error = writer.await.unwrap().unwrap_err();
        assert_eq!(of_disk(&error).reason, ArtifactFault::DiskFull);
    }

    #[tokio::test]
    async fn a_file_that_is_sent_again_has_the_digests_of_what_came_last() {
        let (pieces, writing) = mpsc::channel(PIECES);
        let writer = spawn_blocking(move || write(Small(10), writing));
        for piece in [
            Piece::Bytes("xyz".into()),
            Piece::Again,
            Piece::Bytes("abc".into()),
        ] {
            assert!(pieces.send(piece).await.is_ok());
        }
        drop(pieces);
        let digests = writer.await.unwrap().unwrap();
        assert_eq!(digests.md5, "900150983cd24fb0d6963f7d28e17f72");
    }
}
