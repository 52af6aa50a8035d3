//! GET with `If-None-Match` and `Prefer: wait`: a request that is held until something changes (C9).
//!
//! A request that is held takes no thread and little memory, looks again at each change of its device,
//! and ends at its time, while the gateway is leaving, or when it holds as many as it may. Decides nothing
//! of what is answered. Called by the routes of services and of the twin.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{
    http::{StatusCode, header, request::Parts},
    response::Response,
};
use entente_controllers::metrics::Metrics;
use entente_domain::gateway::{
    admission,
    headers::{names, wait},
    poll::{answered_after, iso},
};
use jiff::Timestamp;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until},
};

use crate::{
    Gateway,
    answers::{Answer, empty, set, set_applied, set_next},
    calls::{BEARER, Known},
};

/// A document that a device may wait for.
pub(crate) trait Document: Sized + Send {
    /// Returns the document as it is now.
    fn look(gateway: &Gateway, known: &Known) -> Self;

    /// Returns its tag.
    fn etag(&self, known: &Known) -> String;

    /// Returns the newest version of the twin that a device knows of by these tags of the document.
    fn newest(tags: &str) -> Option<i64>;

    /// Returns the instant at which it changes by itself.
    fn changes(&self) -> Option<Timestamp>;

    /// Returns the whole answer. `next` is the time after which to call again.
    fn whole(
        self,
        gateway: &Gateway,
        known: &Known,
        next: &str,
    ) -> impl Future<Output = Answer> + Send;
}

/// A place among those that are held.
struct Place {
    _permit: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
}

impl Place {
    fn take(gateway: &Gateway) -> Option<Self> {
        let permit = Arc::clone(&gateway.held).try_acquire_owned().ok()?;
        let metrics = Arc::clone(&gateway.parts.metrics);
        metrics.gateway_held(1);
        Some(Self {
            _permit: permit,
            metrics,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.gateway_held(-1);
    }
}

/// Answers a document to a device.
pub(crate) async fn get<D: Document>(
    gateway: &Gateway,
    parts: Parts,
    printer_id: String,
) -> Answer {
    let owns = |known: &Known| admission::owns(&known.twin, &printer_id);
    let known = gateway.call(&parts, BEARER, owns).await?;
    let tags = joined(&parts, header::IF_NONE_MATCH);
    let prefer = parts.headers.get_all("prefer").iter();
    let wait = wait(prefer.filter_map(|value| value.to_str().ok()));
    drop(parts);
    let newest = tags.as_deref().and_then(D::newest);
    let known = gateway.caught_up(known, newest).await?;
    let document = D::look(gateway, &known);
    let etag = document.etag(&known);
    let Some(tags) = tags.filter(|tags| names(Some(tags), &etag)) else {
        return whole(gateway, &known, document, &etag).await;
    };
    drop(document);
    let place = wait.and_then(|wait| Some((wait, Place::take(gateway)?)));
    let Some((wait, _place)) = place else {
        return Ok(unchanged(gateway, &known, &etag));
    };
    let mut answer = hold::<D>(gateway, known, &tags, wait).await?;
    set_applied(&mut answer, wait);
    Ok(answer)
}

/// Returns the values of a header as one list.
fn joined(parts: &Parts, name: header::HeaderName) -> Option<String> {
    let values = parts.headers.get_all(name).iter();
    let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

async fn hold<D: Document>(gateway: &Gateway, known: Known, tags: &str, wait: u32) -> Answer {
    let mut end = Instant::now() + Duration::from_secs(wait.into());
    let mut is_leaving = false;
    let left = answered_after(gateway.parts.options.drain, known.printer_id());
    let sha256 = known.sha256;
    let waiting = gateway.wakes.wait(known.key);
    loop {
        let mut woken = pin!(waiting.woken.notified());
        woken.as_mut().enable();
        // Also the token, the consent and the knowledge of the cluster may be other ones by now.
        gateway.require_available()?;
        let known = gateway.authenticate(&sha256)?;
        admission::consents(&known.twin)?;
        let document = D::look(gateway, &known);
        let etag = document.etag(&known);
        if !names(Some(tags), &etag) {
            let known = gateway.note_period(known).await?;
            return whole(gateway, &known, document, &etag).await;
        }
        if Instant::now() >= end || gateway.shutdown.is_requested() {
            let known = gateway.note_period(known).await?;
            return Ok(unchanged(gateway, &known, &etag));
        }
        let changes = document.changes();
        let until = changes.map_or(end, |changes| end.min(gateway.instant_of(changes)));
        drop((document, known));
        tokio::select! {
            () = woken => {}
            () = sleep_until(until) => {}
            () = gateway.leaving.requested(), if !is_leaving => {
                is_leaving = true;
                end = end.min(Instant::now() + left);
            }
            () = gateway.shutdown.requested() => {}
        }
    }
}

impl Gateway {
    /// Returns the instant of the monotonic clock at which the wall clock shows this one, and a little
    /// more.
    fn instant_of(&self, at: Timestamp) -> Instant {
        let left = at.duration_since(self.now());
        let left = Duration::try_from(left).unwrap_or_default();
        Instant::now() + left + Duration::from_millis(1)
    }
}

/// Returns the whole of a document, with one time of the next call in its body and its headers.
async fn whole<D: Document>(gateway: &Gateway, known: &Known, document: D, etag: &str) -> Answer {
    let next = iso(gateway.next_call(known));
    let answer = document.whole(gateway, known, &next).await?;
    Ok(tagged(answer, etag, &next))
}

fn unchanged(gateway: &Gateway, known: &Known, etag: &str) -> Response {
    let next = iso(gateway.next_call(known));
    tagged(empty(StatusCode::NOT_MODIFIED), etag, &next)
}

fn tagged(mut answer: Response, etag: &str, next: &str) -> Response {
    set(&mut answer, header::ETAG, etag);
    set_next(&mut answer, next);
    answer
}
