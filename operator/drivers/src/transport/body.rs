//! The body of one answer: how much of it is read, and how fast it has to come.
//!
//! Decides when an answer is given up: when it is longer than its cap, ends too early, or comes too
//! slowly. The status of an error is definite whatever its body lacks. Never looks into a body.
//! Called by the transport, once for each answer.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use entente_domain::remote::{Failure, FailureKind};
use reqwest::tls::TlsInfo;
use tokio::time::{Instant, timeout_at};

use super::{Answer, Exchange, challenge, failure, redirect, retry_after};
use crate::certificate::fingerprint;

/// The interval in which at least [`LEAST_BYTES`] of a body must come, or its end.
const WINDOW: Duration = Duration::from_secs(3);
/// See [`WINDOW`]. A body that comes more slowly holds memory and a pass for nothing.
const LEAST_BYTES: usize = 4 * 1024;

/// The rate at which a body comes, in intervals that follow each other.
struct Rate {
    until: Instant,
    came: usize,
}

impl Rate {
    fn new() -> Self {
        Self {
            until: Instant::now() + WINDOW,
            came: 0,
        }
    }

    /// Waits for the next piece of a body, `None` at its end. Returns `None` if it comes too slowly.
    async fn next<E>(
        &mut self,
        piece: impl Future<Output = Result<Option<Bytes>, E>>,
    ) -> Option<Result<Option<Bytes>, E>> {
        let mut piece = pin!(piece);
        loop {
            match timeout_at(self.until, piece.as_mut()).await {
                Ok(next) => {
                    if let Ok(Some(bytes)) = &next {
                        self.came += bytes.len();
                    }
                    return Some(next);
                }
                Err(_) if self.came < LEAST_BYTES => return None,
                Err(_) => *self = Self::new(),
            }
        }
    }
}

/// Returns the next piece of the body of an answer, `None` at its end.
async fn piece(
    response: &mut reqwest::Response,
    rate: &mut Rate,
    writes: bool,
) -> Result<Option<Bytes>, Failure> {
    match rate.next(response.chunk()).await {
        Some(next) => next.map_err(|error| failure::classify(&error, writes)),
        None => Err(Failure {
            doubtful: writes,
            ..Failure::new(FailureKind::TimedOut, "the answer came too slowly")
        }),
    }
}

/// Reads an answer.
pub(super) async fn read(
    mut response: reqwest::Response,
    exchange: &Exchange<'_>,
) -> Result<Answer, Failure> {
    let (most_bytes, writes) = (exchange.most_bytes, exchange.writes);
    let status = response.status();
    let retry_after = retry_after::parse(response.headers());
    let challenges = challenge::parse(response.headers());
    let redirect = redirect::parse(status, response.headers(), response.url());
    let certificate_sha256 = response
        .extensions()
        .get::<TlsInfo>()
        .and_then(TlsInfo::peer_certificate)
        .map(fingerprint);
    // The status of an error is definite, whatever the length of its body and whether or not its
    // end arrives.
    let is_in_its_body = status.is_success() && exchange.needs_body;
    let too_long = || Failure {
        doubtful: writes,
        retry_after,
        ..Failure::new(
            FailureKind::ProtocolError,
            format!("the answer is longer than {}", size(most_bytes)),
        )
    };
    let announced = response.content_length().unwrap_or_default();
    if is_in_its_body && usize::try_from(announced).map_or(true, |length| length > most_bytes) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    let mut rate = Rate::new();
    loop {
        match piece(&mut response, &mut rate, writes).await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= most_bytes => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) if is_in_its_body => return Err(too_long()),
            Err(failed) if is_in_its_body => return Err(failed),
            // An error is known by its status, whatever its body lacks.
            Ok(None | Some(_)) | Err(_) => break,
        }
    }
    Ok(Answer {
        status,
        retry_after,
        challenges,
        redirect,
        body: body.into(),
        certificate_sha256,
        token: None,
    })
}

/// Returns a limit for people, in the largest unit of which it is a whole number.
fn size(bytes: usize) -> String {
    const KIB: usize = 1024;
    const MIB: usize = KIB * KIB;
    match bytes {
        _ if bytes > 0 && bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        _ if bytes > 0 && bytes.is_multiple_of(KIB) => format!("{} KiB", bytes / KIB),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::time::sleep;

    use super::*;

    /// Returns the time until a body that sends so many bytes at each of these intervals is given
    /// up; `None` if it ended before.
    async fn given_up(pieces: usize, length: usize, every: Duration) -> Option<Duration> {
        let (begun, mut rate) = (Instant::now(), Rate::new());
        for sent in 0..=pieces {
            let piece = async {
                sleep(every).await;
                let bytes = Bytes::from(vec![b'x'; length]);
                Ok::<_, Infallible>((sent < pieces).then_some(bytes))
            };
            if rate.next(piece).await.is_none() {
                return Some(begun.elapsed());
            }
        }
        None
    }

    // shows K5
    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_more_slowly_than_the_least_rate_is_given_up_after_one_interval() {
        let (drip, second) = (Duration::from_millis(20), Duration::from_secs(1));
        assert_eq!(given_up(1000, 1, drip).await, Some(WINDOW));
        assert_eq!(given_up(9, 4000, second * 4).await, Some(WINDOW));
        let late = given_up(9, LEAST_BYTES, WINDOW - second).await;
        assert_eq!(late, None, "just fast enough");
        assert_eq!(given_up(1, 10, second).await, None, "short, and at its end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_after_a_fast_beginning_is_given_up_too() {
        let mut rate = Rate::new();
        let fast = async { Ok::<_, Infallible>(Some(Bytes::from(vec![b'x'; 1 << 20]))) };
        assert!(rate.next(fast).await.is_some());
        let begun = Instant::now();
        let stalled = std::future::pending::<Result<Option<Bytes>, Infallible>>();
        assert!(rate.next(stalled).await.is_none());
        assert!(begun.elapsed() <= WINDOW * 2);
    }
}
