//! The body of one answer that is handed on in pieces: a file that is too long to be held.
//!
//! Decides when it is given up: when it comes too slowly. There is no end for the whole of it, since
//! a long file takes its time over a slow line; but in each time that a request may take, enough of
//! it has to come. Holds the permit of its request until it is dropped. Never looks into a body.
//! Called by `fetch`.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use entente_domain::remote::{Failure, FailureKind};
use tokio::time::{Instant, timeout_at};

use super::failure;
use super::limits::Permit;

/// The bytes that have to come in each interval, or the end: a file that comes more slowly holds a
/// slot of its Connection for nothing.
const LEAST_BYTES: u64 = 64 * 1024;

/// A body that is not read yet.
pub(crate) struct BodyStream {
    response: reqwest::Response,
    rate: Rate,
    _permit: Permit,
}

impl std::fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyStream").finish_non_exhaustive()
    }
}

/// The rate at which a body comes, in intervals that follow each other.
struct Rate {
    interval: Duration,
    until: Instant,
    came: u64,
    /// Instant at which the last piece was handed on: the time since then is the caller's.
    left: Instant,
}

impl Rate {
    fn new(interval: Duration) -> Self {
        let now = Instant::now();
        Self {
            interval,
            until: now + interval,
            came: 0,
            left: now,
        }
    }

    /// Waits for the next piece, `None` at its end.
    async fn next<E>(
        &mut self,
        piece: impl Future<Output = Result<Option<Bytes>, E>>,
    ) -> Option<Result<Option<Bytes>, E>> {
        self.until += self.left.elapsed();
        let mut piece = pin!(piece);
        loop {
            match timeout_at(self.until, piece.as_mut()).await {
                Ok(next) => {
                    if let Ok(Some(bytes)) = &next {
                        self.came += bytes.len() as u64;
                    }
                    self.left = Instant::now();
                    return Some(next);
                }
                Err(_) if self.came < LEAST_BYTES => return None,
                Err(_) => *self = Self::new(self.interval),
            }
        }
    }
}

impl BodyStream {
    /// Returns the body of an answer whose head has come. `interval`: see the module.
    pub(super) fn new(response: reqwest::Response, permit: Permit, interval: Duration) -> Self {
        Self {
            response,
            rate: Rate::new(interval),
            _permit: permit,
        }
    }

    /// Returns the headers of the answer.
    pub(crate) fn headers(&self) -> &http::HeaderMap {
        self.response.headers()
    }

    /// Returns the length of the body in bytes, if it is announced.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// Returns the next piece, `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.rate.next(self.response.chunk()).await {
            Some(next) => next.map_err(|error| failure::classify(&error, false)),
            None => Err(Failure::new(
                FailureKind::TimedOut,
                "the answer came too slowly",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::time::sleep;

    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    /// Returns the number of pieces that come before a body is given up, `None` if it comes to its end.
    async fn given_up(
        pieces: usize,
        length: usize,
        every: Duration,
        own: Duration,
    ) -> Option<usize> {
        let mut rate = Rate::new(TEN);
        for sent in 0..=pieces {
            let piece = async {
                sleep(every).await;
                Ok::<_, Infallible>((sent < pieces).then(|| Bytes::from(vec![b'x'; length])))
            };
            if rate.next(piece).await.is_none() {
                return Some(sent);
            }
            sleep(own).await;
        }
        None
    }

    // shows K5
    #[tokio::test(start_paused = true)]
    async fn a_file_may_take_long_and_is_given_up_when_too_little_of_it_comes_in_an_interval() {
        let (second, none) = (Duration::from_millis(1100), Duration::ZERO);
        let enough = usize::try_from(LEAST_BYTES).unwrap() / 9;
        assert_eq!(given_up(10_000, enough + 1, second, none).await, None);
        assert_eq!(given_up(10_000, 1, second, none).await, Some(9));
        let dead = given_up(3, 1 << 20, Duration::from_hours(1), none).await;
        assert_eq!(dead, Some(0));
        let end = given_up(1, 1, second, none).await;
        assert_eq!(end, None, "its end counts as enough");
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_the_reader_takes_is_not_the_time_of_the_sender() {
        let own = Duration::from_hours(1);
        assert_eq!(given_up(3, 10, Duration::from_secs(1), own).await, None);
    }
}
