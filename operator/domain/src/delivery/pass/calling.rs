//! A pass over a device that fetches its settings: what its calls settled, until when it may be silent,
//! and when it is looked for the next report.
//!
//! Decides that a value which the device has taken note of and does not have was accepted without
//! effect, as the answer of a device that is dialled would show at once. Called by the pass.

use entente_crds::{condition::Reason, v1alpha1::ItemState};
use jiff::{SignedDuration, Timestamp};

use crate::backoff::RetryPolicy;
use crate::delivery::pass::{
    Pass,
    answer::{Answer, Moment, by_the_hour},
};
use crate::delivery::{
    Blocked, ServedItem, Wanted,
    model::backoffs::{BackoffKey, Delay},
    verify::{compare::is_equal, software},
};
use crate::names::{ConnectionName, SubscriptionName};
use crate::reasons::{Retry, Side, retry};
use crate::remote::{AskedState, DeviceReading, Failure, FailureKind};

/// Waits after an installation that failed: it costs the device a restart and the network a file.
const INSTALLATIONS: RetryPolicy = RetryPolicy {
    initial: SignedDuration::from_mins(1),
    max: SignedDuration::from_hours(6),
};

/// The longest wait between two looks for a report at a settings distribution server: the instant of
/// the proof is that of the look.
const LONGEST_LOOK: SignedDuration = SignedDuration::from_mins(5);

/// Words for values that could not be written into the twin.
const UNWRITTEN: &str = "what the device should hold could not be written into its twin yet";

/// An item that a device was asked for, and what became of it.
struct Settled {
    subscription: SubscriptionName,
    served: ServedItem,
    result: Result<(), Failure>,
}

impl Pass {
    /// Records the values that the device has taken note of since they were asked for, and that are not
    /// in effect, or that it refused.
    pub(super) fn note_what_a_call_settled(
        &mut self,
        connection: &ConnectionName,
        reading: &DeviceReading,
        moment: Moment,
    ) {
        self.note_installation(reading, moment);
        for settled in self.settled(connection, reading) {
            if let Err(failure) = &settled.result {
                let failure = match retry(failure.kind, failure.doubtful) {
                    Retry::Hourly => by_the_hour(failure),
                    Retry::Sent | Retry::Remote => failure.clone(),
                };
                self.back_off_items(
                    connection,
                    std::slice::from_ref(&settled.served),
                    &failure,
                    moment,
                );
            }
            let (subscription, item) = (&settled.subscription, &settled.served.item);
            self.observations
                .record_ended(subscription, item, settled.result, moment.now);
        }
    }

    /// Starts the wait after an installation that the device could not make, or that has no effect, once
    /// for all subscriptions that it was to serve.
    fn note_installation(&mut self, reading: &DeviceReading, moment: Moment) {
        let mut failed = None;
        for subscription in &self.resolved.subscriptions {
            let object = self.snapshot.subscription(&subscription.name);
            let status = object.and_then(|object| object.status.as_ref());
            for (_, item) in subscription.items() {
                let waits = [ItemState::InProgress, ItemState::AwaitingRestart];
                let mut known = status.iter().flat_map(|status| &status.items);
                let waited = known.any(|it| it.key == item.key && waits.contains(&it.state));
                if !waited || software::is_enough(reading, &item.wanted) {
                    continue;
                }
                let asked = software::serving(reading, &item.wanted, moment.now);
                let Some(asked) = asked else { continue };
                if let Some((reason, message)) = software::failure(&item.key, asked, None) {
                    let key = BackoffKey::installation(&item.key, &asked.sha256);
                    failed = Some((key, Blocked::new(reason, message)));
                }
            }
        }
        let Some((key, why)) = failed else { return };
        if !self.backoffs.is_pending(&key, None, moment.now) {
            let delay = Delay {
                policy: INSTALLATIONS,
                retry_after: None,
                fraction: moment.fraction,
            };
            self.backoffs
                .fail(key, why.on(Side::Device), delay, moment.now);
        }
    }

    /// Returns the items that waited for a call until now.
    fn settled(&self, connection: &ConnectionName, reading: &DeviceReading) -> Vec<Settled> {
        let mut found = Vec::new();
        for subscription in &self.resolved.subscriptions {
            let object = self.snapshot.subscription(&subscription.name);
            let status = object.and_then(|object| object.status.as_ref());
            for (_, item) in subscription.items() {
                let Wanted::DeviceSetting {
                    connection: through,
                    place,
                    value,
                    ..
                } = &item.wanted
                else {
                    continue;
                };
                let mut known = status.iter().flat_map(|status| &status.items);
                let waited = known.any(|known| {
                    known.key == item.key
                        && known.desired_digest == Some(item.digest)
                        && known.state == ItemState::InProgress
                });
                let has_it = reading
                    .proof(place)
                    .is_some_and(|found| is_equal(value, found));
                if through != connection || !waited || has_it {
                    continue;
                }
                let result = match reading.asked_for(place, value) {
                    Some(AskedState::Taken | AskedState::Missed) => Ok(()),
                    Some(AskedState::Refused(failure)) => Err(failure.clone()),
                    Some(AskedState::Waiting) | None => continue,
                };
                found.push(Settled {
                    subscription: subscription.name.clone(),
                    served: ServedItem {
                        subscription: subscription.name.clone(),
                        item: item.carried(),
                    },
                    result,
                });
            }
        }
        found
    }

    /// Records that a twin was written: what it asks the device for is known by its next reading.
    pub(super) fn twin_written(
        &mut self,
        connection: &ConnectionName,
        items: &[ServedItem],
        answer: Answer,
        moment: Moment,
    ) {
        let result = match answer {
            Answer::TwinWritten(result) => result,
            Answer::NotAsked(failure) => Err(failure),
            _ => return,
        };
        let key = if self.snapshot.twin.is_some() {
            BackoffKey::twin(connection)
        } else {
            // There is nothing to read either.
            BackoffKey::device(connection)
        };
        if let Ok(twin) = result {
            self.backoffs.clear(&key);
            self.snapshot.twin = Some(twin);
            self.observations
                .record_write(connection, items, &Ok(()), moment.now);
        } else {
            let failure = Failure::new(FailureKind::ProtocolError, UNWRITTEN);
            let why = Blocked::new(Reason::Waiting, UNWRITTEN.to_owned());
            self.back_off(key, why, connection, &failure, moment);
        }
    }

    /// Begins the wait until the next look at each settings distribution server where the device has
    /// not reported yet since it was asked for a value, and ends that of each where it has. The change
    /// of a twin starts a pass by itself.
    pub(super) fn wait_for_reports(&mut self, now: Timestamp, fraction: f64) {
        let looks = self.observations.looks();
        let looks: Vec<(ConnectionName, bool)> = looks
            .filter_map(|(connection, reading)| {
                let reading = reading.result.as_ref().ok()?;
                let mut asked = reading.asked.values();
                let waits = asked.any(|it| it.state == AskedState::Waiting);
                Some((connection.clone(), waits))
            })
            .filter(|(connection, _)| !self.calls_through(connection))
            .collect();
        for (connection, waits) in looks {
            let key = BackoffKey::report(&connection);
            if !waits {
                self.backoffs.end(&key);
            } else if !self.backoffs.is_pending(&key, None, now) {
                let policy = self.policy(Some(&connection));
                let max = policy.max.min(LONGEST_LOOK);
                let delay = Delay {
                    policy: RetryPolicy { max, ..policy },
                    retry_after: None,
                    fraction,
                };
                let message =
                    "the settings distribution server has no report of the device since then";
                let why = Blocked::new(Reason::WaitingForDevice, message.to_owned());
                self.backoffs.fail(key, why, delay, now);
            }
        }
    }

    /// True if the device calls through a connection, so that its next call is a change of its twin,
    /// which starts another pass.
    pub(super) fn calls_through(&self, connection: &ConnectionName) -> bool {
        let mut connections = self.resolved.connections.iter();
        connections.any(|it| it.name == *connection && it.is_called())
    }

    /// Returns the next instant at which a device that calls counts as not heard of, or at which its
    /// maintenance window closes.
    pub(super) fn silence(&self) -> Option<Timestamp> {
        let looks = self.observations.looks();
        let answers = looks.filter_map(|(_, reading)| reading.result.as_ref().ok());
        // An installation of which the device was not told until then waits for the next window.
        let ends = |reading: &DeviceReading| reading.software.asked.as_ref()?.until;
        let instants = answers.flat_map(|reading| [reading.silent_from, ends(reading)]);
        let instants = instants.flatten();
        instants.filter(|instant| *instant > self.decided).min()
    }
}
