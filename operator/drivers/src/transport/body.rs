//! The body of one answer: how much of it is read, and how fast it has to come.
//!
//! Decides when an answer is given up: when it is longer than its cap, ends too early, or comes too
//! slowly. The status of an error is definite whatever its body lacks. Decides also how much memory
//! the bodies of the process may take together: the beginning of each is read at once, and all that
//! may follow is reserved in one piece, so that no two of them wait for each other. Time spent on
//! waiting for that is not the remote side's. Never looks into a body. Called by the transport, once
//! for each answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_domain::remote::{Failure, FailureKind};
use reqwest::tls::TlsInfo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::{Answer, Exchange, challenge, failure, redirect, retry_after};
use crate::certificate::fingerprint;

/// The interval in which at least [`LEAST_BYTES`] of a body must come, or its end.
const WINDOW: Duration = Duration::from_secs(3);
/// See [`WINDOW`]. A body that comes more slowly holds memory and a pass for nothing.
const LEAST_BYTES: usize = 4 * KIB;

const KIB: usize = 1024;
const MIB: usize = KIB * KIB;

/// Memory of all bodies of the process, beyond the beginnings.
const BUDGET: usize = 128 * MIB;
/// The beginning of a body, which needs no reservation: most answers of devices are shorter.
const BEGINNING: usize = 16 * KIB;
/// The most that the HTTP library reads ahead of us, and holds beside what we have.
const READ_AHEAD: usize = 512 * KIB;

/// The memory that bodies may take. One for a process.
pub(super) struct BodyBudget {
    /// In KiB.
    free: Arc<Semaphore>,
    all: usize,
}

/// A body with its part of the budget, which it gives back when the last slice of it is dropped.
struct Body {
    bytes: Vec<u8>,
    _reserved: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Default for BodyBudget {
    fn default() -> Self {
        Self::of(BUDGET)
    }
}

impl BodyBudget {
    /// Returns a budget of so many bytes.
    pub(super) fn of(bytes: usize) -> Self {
        let all = bytes / KIB;
        Self {
            free: Arc::new(Semaphore::new(all)),
            all,
        }
    }

    /// True if no body has any of it.
    #[cfg(test)]
    pub(super) fn is_whole(&self) -> bool {
        self.free.available_permits() == self.all
    }

    /// Waits for the memory of a body of that length in bytes, in the order of the requests.
    async fn reserve(&self, length: usize) -> OwnedSemaphorePermit {
        let needed = (length + length.min(READ_AHEAD)).div_ceil(KIB);
        // A body that is larger than the budget is read alone.
        let needed = u32::try_from(needed.min(self.all)).unwrap_or(u32::MAX);
        let reserved = Arc::clone(&self.free).acquire_many_owned(needed).await;
        reserved.expect("the semaphore is never closed")
    }
}

/// The rate at which a body comes, in intervals that follow each other.
struct Rate {
    until: Instant,
    came: usize,
    /// End of the request.
    deadline: Instant,
}

/// Reason why a body is given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum GivenUp {
    /// It comes too slowly.
    Slow,
    /// The time of the request is over.
    Late,
}

impl Rate {
    fn new(deadline: Instant) -> Self {
        Self {
            until: Instant::now() + WINDOW,
            came: 0,
            deadline,
        }
    }

    /// Waits for the next piece of a body, `None` at its end.
    async fn next<E>(
        &mut self,
        piece: impl Future<Output = Result<Option<Bytes>, E>>,
    ) -> Result<Result<Option<Bytes>, E>, GivenUp> {
        let mut piece = pin!(piece);
        loop {
            match timeout_at(self.until.min(self.deadline), piece.as_mut()).await {
                Ok(next) => {
                    if let Ok(Some(bytes)) = &next {
                        self.came += bytes.len();
                    }
                    return Ok(next);
                }
                Err(_) if self.deadline <= Instant::now() => return Err(GivenUp::Late),
                Err(_) if self.came < LEAST_BYTES => return Err(GivenUp::Slow),
                Err(_) => *self = Self::new(self.deadline),
            }
        }
    }

    /// Begins a new interval after a wait of ours, which is added to the time of the request.
    fn resume(&mut self, waited: Duration) {
        *self = Self::new(self.deadline + waited);
    }
}

/// Returns the next piece of the body of an answer, `None` at its end.
async fn piece(
    response: &mut reqwest::Response,
    rate: &mut Rate,
    writes: bool,
) -> Result<Option<Bytes>, Failure> {
    let given_up = match rate.next(response.chunk()).await {
        Ok(next) => return next.map_err(|error| failure::classify(&error, writes)),
        Err(given_up) => given_up,
    };
    Err(match given_up {
        GivenUp::Late => failure::too_late(writes),
        GivenUp::Slow => Failure {
            doubtful: writes,
            ..Failure::new(FailureKind::TimedOut, "the answer came too slowly")
        },
    })
}

/// Returns the SHA-256 of the certificate that was shown, where TLS was spoken.
fn shown_certificate(response: &reqwest::Response) -> Option<String> {
    let shown = response.extensions().get::<TlsInfo>();
    shown.and_then(TlsInfo::peer_certificate).map(fingerprint)
}

/// Reads an answer, until the deadline and for as long as it waits for memory.
pub(super) async fn read(
    mut response: reqwest::Response,
    exchange: &Exchange<'_>,
    deadline: Instant,
    budget: &BodyBudget,
) -> Result<Answer, Failure> {
    let (most_bytes, writes) = (exchange.most_bytes, exchange.writes);
    let status = response.status();
    let retry_after = retry_after::parse(response.headers());
    let challenges = challenge::parse(response.headers());
    let redirect = redirect::parse(status, response.headers(), response.url());
    let location = redirect::accepted_at(status, response.headers(), response.url());
    let certificate_sha256 = shown_certificate(&response);
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
    let announced = response.content_length();
    let announced = announced.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if is_in_its_body && announced.is_some_and(|length| length > most_bytes) {
        return Err(too_long());
    }
    let longest = announced.unwrap_or(most_bytes).min(most_bytes);
    let mut reserved = None;
    let mut body = Vec::new();
    let mut rate = Rate::new(deadline);
    loop {
        match piece(&mut response, &mut rate, writes).await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= most_bytes => {
                if reserved.is_none() && body.len() + chunk.len() > BEGINNING {
                    let begun = Instant::now();
                    reserved = Some(budget.reserve(longest).await);
                    rate.resume(begun.elapsed());
                    body.reserve_exact(longest.saturating_sub(body.len()));
                }
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
        location,
        body: Bytes::from_owner(Body {
            bytes: body,
            _reserved: reserved,
        }),
        stream: None,
        certificate_sha256,
        token: None,
    })
}

/// Returns a limit for people, in the largest unit of which it is a whole number.
fn size(bytes: usize) -> String {
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

    /// Returns the end of a body that sends so many bytes at each of these intervals, with the time
    /// until then.
    async fn end(pieces: usize, length: usize, every: Duration) -> (Option<GivenUp>, Duration) {
        let begun = Instant::now();
        let mut rate = Rate::new(begun + MINUTE);
        for sent in 0..=pieces {
            let piece = async {
                sleep(every).await;
                let bytes = Bytes::from(vec![b'x'; length]);
                Ok::<_, Infallible>((sent < pieces).then_some(bytes))
            };
            if let Err(given_up) = rate.next(piece).await {
                return (Some(given_up), begun.elapsed());
            }
        }
        (None, begun.elapsed())
    }

    const MINUTE: Duration = Duration::from_mins(1);

    // shows K5
    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_more_slowly_than_the_least_rate_is_given_up_after_one_interval() {
        let (drip, second) = (Duration::from_millis(20), Duration::from_secs(1));
        let slow = (Some(GivenUp::Slow), WINDOW);
        assert_eq!(end(1000, 1, drip).await, slow);
        assert_eq!(end(9, 4000, second * 4).await, slow);
        let just = end(9, LEAST_BYTES, second * 2).await;
        assert_eq!(just.0, None, "just fast enough");
        let short = end(1, 10, second).await;
        assert_eq!(short.0, None, "short, and at its end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_the_time_of_its_request_and_that_of_our_own_waits() {
        let every = Duration::from_secs(2);
        let late = (Some(GivenUp::Late), MINUTE);
        assert_eq!(end(100, LEAST_BYTES, every).await, late);
        let stalled = || std::future::pending::<Result<Option<Bytes>, Infallible>>();
        let begun = Instant::now();
        let mut rate = Rate::new(begun + Duration::from_secs(1));
        sleep(MINUTE).await;
        rate.resume(MINUTE);
        assert_eq!(rate.next(stalled()).await.err(), Some(GivenUp::Late));
        assert_eq!(begun.elapsed(), MINUTE + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_after_a_fast_beginning_is_given_up_too() {
        let begun = Instant::now();
        let mut rate = Rate::new(begun + MINUTE);
        let fast = async { Ok::<_, Infallible>(Some(Bytes::from(vec![b'x'; MIB]))) };
        assert!(rate.next(fast).await.is_ok());
        let stalled = std::future::pending::<Result<Option<Bytes>, Infallible>>();
        assert_eq!(rate.next(stalled).await.err(), Some(GivenUp::Slow));
        assert!(begun.elapsed() <= WINDOW * 2);
    }

    // shows K4
    #[tokio::test]
    async fn what_is_reserved_is_never_more_than_the_budget_and_a_body_larger_than_it_is_read_alone()
     {
        let budget = BodyBudget::of(2 * MIB);
        let one = budget.reserve(600 * KIB).await;
        assert_eq!(one.num_permits(), 1112, "with what is read ahead");
        let mut other = pin!(budget.reserve(600 * KIB));
        assert!(futures::poll!(other.as_mut()).is_pending());
        drop(one);
        drop(other.await);
        let huge = budget.reserve(64 * MIB).await;
        assert_eq!(huge.num_permits(), 2048);
        assert_eq!(budget.free.available_permits(), 0);
    }
}
