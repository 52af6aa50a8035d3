//! The first data of a device, which turn a service on (C12).
//!
//! Writes the word of the device into its twin, and waits for a while until the operator and the service
//! server have turned the service on; the batch is forwarded only then. Decides nothing of the legs of an
//! activation. Called before a batch is routed.

use std::{pin::pin, time::Duration};

use entente_domain::gateway::{
    activation::Word,
    admission,
    events::{Batch, Recipients},
    problem::Problem,
};
use tokio::time::{Instant, sleep_until};

use super::AGAIN;
use crate::{Gateway, calls::Known};

/// Time for which the activation is waited for.
const WAIT: Duration = Duration::from_secs(20);

/// A device whose services are on, as far as its batch can turn them on.
pub(super) struct Ready {
    pub(super) known: Known,
    pub(super) recipients: Recipients,
    /// Ids of the services that the batch has turned on.
    pub(super) activated: Vec<String>,
}

impl Gateway {
    /// Turns on the services that wait for data of which the batch has some. One that is not on in time
    /// gets nothing of it yet: the device sends the batch again, and finds it on.
    ///
    /// # Errors
    /// Returns the answer to a device that may send nothing, and while objects cannot be read.
    pub(super) async fn with_first_data(
        &self,
        known: &Known,
        batch: &Batch,
    ) -> Result<Ready, Problem> {
        let end = Instant::now() + WAIT;
        let waiting = self.wakes.wait(known.key.clone());
        let mut said: Vec<String> = Vec::new();
        let mut place = None;
        loop {
            let mut woken = pin!(waiting.woken.notified());
            woken.as_mut().enable();
            self.require_available()?;
            let known = self.authenticate(&known.sha256)?;
            admission::consents(&known.twin)?;
            let recipients = self.recipients(&known);
            let off = batch.first_data(&recipients);
            let successors = batch.first_data_of_successors(&recipients);
            for id in off.iter().chain(&successors) {
                if !said.contains(id) {
                    self.say(&known, id, &Word::of_first_data()).await?;
                    said.push(id.clone());
                }
            }
            if !off.is_empty() && place.is_none() {
                place = self.events.waiting.try_acquire().ok();
            }
            if off.is_empty() || place.is_none() || Instant::now() >= end {
                said.retain(|id| recipients.has(id));
                return Ok(Ready {
                    known,
                    recipients,
                    activated: said,
                });
            }
            if self.shutdown.is_requested() {
                return Err(Problem::ProviderUnavailable(AGAIN));
            }
            tokio::select! {
                () = woken => {}
                () = sleep_until(end) => {}
                () = self.leaving.requested() => return Err(Problem::Unavailable(1)),
            }
        }
    }
}
