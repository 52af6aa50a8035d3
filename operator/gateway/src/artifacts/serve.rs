//! The answer to a device that reads an artifact, or a part of it.
//!
//! Only a file whose digest was compared gets here, so no device ever has a byte of another one. Reads
//! a piece at a time, as fast as the device takes them. Decides nothing: the range is the domain's.

use std::{fs::File, io, os::unix::fs::FileExt as _, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use entente_controllers::metrics::Metrics;
use entente_domain::gateway::{
    artifacts::{Answered, answered},
    problem::Problem,
};
use futures::stream::unfold;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::spawn_blocking,
    time::timeout,
};

use super::disk::Verified;
use crate::{
    answers::{Answer, set},
    bodies::text,
};

/// Bytes that are read at once for each device that reads.
const PIECE: usize = 64 * 1024;
/// Time after which a device that takes nothing is given up.
const STALL: Duration = Duration::from_mins(1);

/// Answers a request with these headers; without a place it is HEAD, which has no body and no ranges
/// (RFC 9110 section 14.2).
pub(crate) fn serve(
    verified: Verified,
    headers: &HeaderMap,
    place: Option<OwnedSemaphorePermit>,
    metrics: &Arc<Metrics>,
) -> Answer {
    let is_head = place.is_none();
    let etag = format!("\"{}\"", verified.digests.sha256);
    let size = verified.size;
    let range = text(headers, header::RANGE).filter(|_| !is_head);
    let if_range = headers.get(header::IF_RANGE);
    // One that is no text names no file of ours.
    let if_range = if_range.map(|value| value.to_str().unwrap_or_default());
    let (status, first, length) = match answered(range, if_range, &etag, size) {
        Answered::Whole => (StatusCode::OK, 0, size),
        Answered::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Answered::Unsatisfiable => return Err(Problem::RangeNotSatisfiable(size)),
    };
    let body = match place {
        None => Body::empty(),
        Some(place) => body(Reading {
            file: Arc::new(verified.file),
            at: first,
            end: first + length,
            metrics: Arc::clone(metrics),
            _reads: verified.reads,
            _place: place,
        }),
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    set(&mut answer, header::ETAG, &etag);
    set(&mut answer, header::CONTENT_LENGTH, &length.to_string());
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {first}-{}/{size}", first + length - 1);
        set(&mut answer, header::CONTENT_RANGE, &range);
    }
    let fixed = [
        (header::ACCEPT_RANGES, "bytes"),
        (header::CONTENT_TYPE, "application/octet-stream"),
        // The same link may be another file for another device.
        (header::CACHE_CONTROL, "private, no-cache"),
    ];
    for (name, value) in fixed {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Ok(answer)
}

/// A file that is being read. It stays on the disk, and has its place, until the device has it or goes
/// away.
struct Reading {
    file: Arc<File>,
    at: u64,
    end: u64,
    metrics: Arc<Metrics>,
    _reads: Arc<()>,
    _place: OwnedSemaphorePermit,
}

type Piece = io::Result<Bytes>;

fn body(reading: Reading) -> Body {
    let (pieces, receiver) = mpsc::channel(1);
    tokio::spawn(reading.send(pieces));
    Body::from_stream(unfold(receiver, |mut receiver| async move {
        let piece: Piece = receiver.recv().await?;
        Some((piece, receiver))
    }))
}

impl Reading {
    /// Sends the bytes as fast as they are taken. A device that takes none for a while gives its place
    /// up: it sees that the body ends too early, and continues it by a range.
    async fn send(mut self, pieces: mpsc::Sender<Piece>) {
        while self.at < self.end {
            let left = usize::try_from(self.end - self.at).unwrap_or(PIECE);
            let piece = read(Arc::clone(&self.file), self.at, left.min(PIECE)).await;
            let length = piece.as_ref().map_or(0, |piece| piece.len() as u64);
            let sent = timeout(STALL, pieces.send(piece)).await;
            if length == 0 || !matches!(sent, Ok(Ok(()))) {
                return;
            }
            self.at += length;
            self.metrics.artifact_served(length);
        }
    }
}

/// Reads so many bytes, or fewer. A file that has none there was cut by somebody: the device sees that
/// the body ends too early.
async fn read(file: Arc<File>, at: u64, length: usize) -> Piece {
    let reading = spawn_blocking(move || {
        let mut piece = vec![0; length];
        let read = file.read_at(&mut piece, at)?;
        piece.truncate(read);
        Ok::<_, io::Error>(piece)
    });
    let piece = reading.await.map_err(io::Error::other)??;
    if piece.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(piece.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::{sync::Semaphore, time::Instant};

    use super::*;

    // shows K4 K5
    #[tokio::test(start_paused = true)]
    async fn a_device_that_takes_nothing_gives_its_place_up() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; 8 * PIECE]).unwrap();
        let places = Arc::new(Semaphore::new(1));
        let reading = Reading {
            file: Arc::new(file),
            at: 10,
            end: 8 * PIECE as u64,
            metrics: Arc::new(Metrics::new("0")),
            _reads: Arc::default(),
            _place: Arc::clone(&places).try_acquire_owned().unwrap(),
        };
        let (pieces, mut receiver) = mpsc::channel(1);
        let begun = Instant::now();
        let sending = tokio::spawn(reading.send(pieces));
        let first = receiver.recv().await.unwrap().unwrap();
        assert_eq!((first.len(), places.available_permits()), (PIECE, 0));
        sending.await.unwrap();
        assert_eq!((begun.elapsed(), places.available_permits()), (STALL, 1));
    }
}
