//! Plan: the reading by which a service counts as working (api section 3, `acceptance`).
//!
//! It only reads, and only once all else is in effect; never writes. The wait between two readings is
//! begun by the pass. Called by plan for the last step of a subscription.

use entente_crds::v1alpha1::ItemState;

use crate::delivery::plan::{Plan, round::Round};
use crate::delivery::{
    Blocked, ResolvedStep, ResolvedSubscription, Verified, Wanted, model::backoffs::BackoffKey,
};
use crate::protocol::Place;
use crate::reasons::Side;

impl Round<'_> {
    pub(super) fn acceptance_step(
        &self,
        subscription: &ResolvedSubscription,
        step: &ResolvedStep,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        let name = &subscription.name;
        for item in &step.items {
            let Wanted::Acceptance {
                connection, place, ..
            } = &item.wanted
            else {
                continue;
            };
            let proved = verified.item(&item.key);
            if proved.is_some_and(|proved| proved.state == ItemState::Effective) {
                continue;
            }
            let backoff = self.pending(&BackoffKey::device(connection));
            if let Some(fault) = verified.device_faults.get(connection) {
                let wait = Blocked {
                    until: backoff.and_then(|backoff| backoff.until),
                    side: Some(Side::Device),
                    ..fault.clone()
                };
                plan.wait(name, wait);
            } else if let Some(backoff) = backoff {
                plan.wait(name, backoff);
            } else if !self.was_checked(place, connection, verified)
                && !self.is_settled(subscription, item, verified)
            {
                self.read_device(connection, plan);
            }
        }
    }

    /// True if a reading of this pass has the check of the service as it is set up now.
    fn was_checked(&self, place: &Place, connection: &str, verified: &Verified) -> bool {
        let reading = self.observations.through(connection).reading_of(place);
        let since = verified.set_up_since();
        reading.zip(since).is_some_and(|(reading, since)| {
            // After a clock was set back the two instants cannot be compared.
            reading.at >= since || since > self.now
        })
    }
}
