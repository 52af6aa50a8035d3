//! Answers of actions: each becomes an observation, and a failure starts the backoff of its side.
//!
//! Never decides the next action. Called by the pass.

use std::sync::Arc;

use entente_crds::{
    condition::Reason,
    digest::Digest,
    item_key::ItemKey,
    v1alpha1::{DeviceTwin, ExclusiveHold, ServiceSubscription, Timeouts},
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use crate::delivery::{observations::ServerMoment, pass::Pass};
use crate::names::{ConnectionName, SubscriptionName};
use crate::{
    delivery::{
        Action, Blocked, Claimant, Exchange, InstallationOrder, SavedItem, ServedItem,
        model::backoffs::BackoffKey,
    },
    reasons::{Retry, retry},
    remote::{
        Catalog, DeviceReading, Failure, FailureKind, InstanceReading, OperationState,
        ServerAnswer, StatusReport,
    },
};

/// The shortest and the longest interval between two polls of an operation, if the server asks for
/// no longer one.
const POLL: (SignedDuration, SignedDuration) =
    (SignedDuration::from_secs(1), SignedDuration::from_mins(1));

/// Returns the interval until the next poll of an operation of this age: a tenth of it.
pub(crate) fn poll_interval(age: SignedDuration) -> SignedDuration {
    let (shortest, longest) = POLL;
    SignedDuration::from_secs(age.as_secs() / 10).clamp(shortest, longest)
}

/// Returns the time after which a request whose answer was lost will not be carried out any more, by
/// the time limits of its Connection.
pub(crate) fn late(timeouts: Option<&Timeouts>) -> SignedDuration {
    let request = timeouts.cloned().unwrap_or_default().request.length();
    request.unwrap_or(LATE / 2) * 2
}

/// The time that [`late`] returns for the default time limit of requests.
const LATE: SignedDuration = SignedDuration::from_secs(20);

/// Least wait before a request that was refused is sent again although nobody changed anything.
const REFUSED: SignedDuration = SignedDuration::from_hours(1);

/// Returns a failure after which the request is not sent again for an hour.
pub(super) fn by_the_hour(failure: &Failure) -> Failure {
    let asked = failure.retry_after.unwrap_or_default();
    Failure {
        retry_after: Some(asked.max(REFUSED)),
        ..failure.clone()
    }
}

/// Answer of a remote side to an action.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Nothing was sent: the Connection cannot be used.
    NotAsked(Failure),
    /// Of [`Action::ReadDevice`].
    DeviceRead {
        /// Reading of the device.
        result: Result<DeviceReading, Failure>,
        /// The other Device that has the machine that answered, as far as is known now.
        claimed_by_another: Option<Claimant>,
    },
    /// Of [`Action::ReadStatus`].
    Status(Result<StatusReport, Failure>),
    /// Of [`Action::ShowMessages`].
    MessagesShown(Result<(), Failure>),
    /// Of [`Action::WriteDevice`].
    DeviceWritten(Result<(), Failure>),
    /// Of [`Action::WriteTwin`]: the twin as it is now.
    TwinWritten(Result<Arc<DeviceTwin>, Failure>),
    /// Of [`Action::ReadCatalog`].
    Catalog(Result<Arc<Catalog>, Failure>),
    /// Of [`Action::RecordPrevious`], [`Action::RecordInstance`] and [`Action::TakeOver`]: the
    /// subscription as it is now, or `None` if it is gone or could not be written.
    Recorded(Option<Arc<ServiceSubscription>>),
    /// Of [`Action::Switch`]: the holders of exclusive groups as the device has them now, or `None`
    /// if it is gone or could not be written.
    Switched(Option<Vec<ExclusiveHold>>),
    /// Of [`Action::ReadInstance`].
    Instance(Result<InstanceReading, Failure>),
    /// Of [`Action::Provision`], [`Action::Update`] and [`Action::Deprovision`].
    Server(Result<ServerAnswer, Failure>),
    /// Of [`Action::PollOperation`].
    Operation(Result<OperationState, Failure>),
}

/// Instant of an answer, and the fraction in 0..=1 that spreads the wait after a failure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) fraction: f64,
}

impl Pass {
    /// Records the answer to an action that [`Pass::next`] returned. `fraction` lies in 0..=1 and
    /// spreads the wait after a failure, so that hosts do not come back together.
    pub fn record(&mut self, action: &Action, answer: Answer, now: Timestamp, fraction: f64) {
        self.news = true;
        let moment = Moment { now, fraction };
        match action {
            Action::ReadDevice {
                connection,
                request,
            } => {
                self.observations.record_asked(connection, &request.places);
                self.device_read(connection, answer, moment);
            }
            Action::ReadStatus { .. } | Action::ShowMessages { .. } => {
                self.status_answered(action, answer, moment);
            }
            Action::WriteDevice {
                connection, items, ..
            } => self.device_written(connection, items, answer, moment),
            Action::WriteTwin {
                connection,
                writes,
                installation,
                data_items,
                ..
            } => {
                let items = writes.iter().flat_map(|(_, items)| items);
                let installed = installation.iter().flat_map(InstallationOrder::items);
                let items = items.chain(installed).chain(data_items).cloned();
                self.twin_written(connection, &items.collect::<Vec<_>>(), answer, moment);
            }
            Action::ReadCatalog { connection } => self.catalog_read(connection, answer, moment),
            Action::RecordPrevious {
                subscription,
                items,
            } => self.previous_recorded(subscription, items, answer, moment),
            Action::RecordInstance { subscription } => {
                self.exchanged_or_recorded(subscription, answer, moment);
            }
            Action::TakeOver { subscription, from } => {
                if matches!(answer, Answer::Recorded(Some(_))) {
                    self.backoffs.hand_over(from, subscription);
                }
                self.instance_recorded(subscription, answer, moment);
                if let Some(object) = self.snapshot.subscription(subscription) {
                    let status = object.status.as_ref();
                    let recorded = status.and_then(|status| status.server.clone());
                    self.observations.take_over(subscription, recorded);
                }
            }
            Action::Switch { to, .. } => self.switched(to, answer, moment),
            Action::ReadInstance { subscription, .. }
            | Action::Provision { subscription, .. }
            | Action::Update { subscription, .. }
            | Action::PollOperation { subscription, .. }
            | Action::Deprovision { subscription, .. } => {
                self.server_answered(subscription, action, answer, moment);
            }
        }
    }

    fn device_read(&mut self, connection: &ConnectionName, answer: Answer, moment: Moment) {
        let result = match answer {
            Answer::DeviceRead {
                result,
                claimed_by_another,
            } => {
                // The machine that answered may be another Device's, which is known only now;
                // nothing must be written to it then.
                self.met_anothers_machine |= result.is_ok() && claimed_by_another.is_some();
                let claimed = &mut self.snapshot.claimed_by_another;
                self.changed |= match (&result, claimed_by_another) {
                    (Ok(_), Some(claimant)) => {
                        let before = claimed.insert(connection.clone(), claimant.clone());
                        before != Some(claimant)
                    }
                    (Ok(_), None) => claimed.remove(connection).is_some(),
                    (Err(_), _) => false,
                };
                result
            }
            Answer::NotAsked(failure) => Err(failure),
            _ => return,
        };
        match &result {
            Ok(reading) => {
                self.backoffs.clear(&BackoffKey::device(connection));
                self.note_what_a_call_settled(connection, reading, moment);
            }
            // The next call of the device is a change of its twin, which starts another pass.
            Err(failure) if failure.kind.waits_for_a_call() && self.calls_through(connection) => {}
            // A read has no value that a person would have to change: it is always retried.
            Err(failure) => self.back_off_device(connection, failure, moment),
        }
        self.observations
            .record_device(connection, result, moment.now);
    }

    fn device_written(
        &mut self,
        connection: &ConnectionName,
        items: &[ServedItem],
        answer: Answer,
        moment: Moment,
    ) {
        let result = match answer {
            Answer::DeviceWritten(result) => result,
            Answer::NotAsked(_) => return self.device_read(connection, answer, moment),
            _ => return,
        };
        if let Err(failure) = &result {
            // A failure of the value needs a person; one of the device starts the backoff of all
            // its requests.
            match retry(failure.kind, failure.doubtful) {
                Retry::Hourly => {
                    self.back_off_items(connection, items, &by_the_hour(failure), moment);
                }
                Retry::Sent => self.back_off_items(connection, items, failure, moment),
                Retry::Remote => self.back_off_device(connection, failure, moment),
            }
            let why = Blocked::on_device(&self.snapshot.device_name, failure);
            let key = BackoffKey::device(connection);
            self.ask(key, &why, failure.retry_after, moment.now);
        }
        self.observations
            .record_write(connection, items, &result, moment.now);
    }

    pub(super) fn back_off_device(
        &mut self,
        connection: &ConnectionName,
        failure: &Failure,
        moment: Moment,
    ) {
        let why = Blocked::on_device(&self.snapshot.device_name, failure);
        self.back_off(
            BackoffKey::device(connection),
            why,
            connection,
            failure,
            moment,
        );
    }

    pub(super) fn back_off_items(
        &mut self,
        connection: &ConnectionName,
        items: &[ServedItem],
        failure: &Failure,
        moment: Moment,
    ) {
        for ServedItem { subscription, item } in items {
            let key = BackoffKey::item(subscription, &item.key, item.digest);
            let why = Blocked::on_device(&self.snapshot.device_name, failure);
            self.back_off(key, why, connection, failure, moment);
        }
    }

    fn catalog_read(&mut self, connection: &ConnectionName, answer: Answer, moment: Moment) {
        let result = match answer {
            Answer::Catalog(result) => result,
            Answer::NotAsked(failure) => Err(failure),
            _ => return,
        };
        let key = BackoffKey::catalog(connection);
        match result {
            Ok(catalog) => {
                self.backoffs.clear(&key);
                let known = &mut self.snapshot.catalogs;
                known.insert(connection.clone(), catalog);
                self.changed = true;
            }
            Err(failure) => {
                let why = Blocked::on_server(connection, &failure);
                self.back_off(key, why, connection, &failure, moment);
                let problems = &mut self.observations.catalog_problems;
                problems.insert(connection.clone(), (moment.now, failure));
            }
        }
    }

    /// Takes a subscription as it is after a write of its status.
    fn note(&mut self, subscription: &SubscriptionName, object: Arc<ServiceSubscription>) {
        let mut known = self.snapshot.subscriptions.iter_mut();
        if let Some(known) = known.find(|known| *subscription == *known.name_any()) {
            *known = object;
            self.changed = true;
        }
    }

    /// Records whether the values that are about to be overwritten are kept: where they are not,
    /// nothing is overwritten until they are.
    fn previous_recorded(
        &mut self,
        subscription: &SubscriptionName,
        items: &[SavedItem],
        answer: Answer,
        moment: Moment,
    ) {
        match answer {
            Answer::Recorded(Some(object)) => self.note(subscription, object),
            Answer::Recorded(None) | Answer::NotAsked(_) => {
                let message = "the values that the device has could not be kept in status yet; \
                               none is overwritten before that";
                let failure = Failure::new(FailureKind::ProtocolError, message);
                for item in items {
                    let key = BackoffKey::item(subscription, &item.key, item.digest);
                    let why = Blocked::new(Reason::Waiting, message.to_owned());
                    let connection = ConnectionName::default();
                    self.back_off(key, why, &connection, &failure, moment);
                }
            }
            _ => {}
        }
    }

    /// Records whether an instance is in the status now, or is forgotten there: what is known of it goes
    /// with it.
    fn exchanged_or_recorded(
        &mut self,
        subscription: &SubscriptionName,
        answer: Answer,
        moment: Moment,
    ) {
        let is_written = matches!(answer, Answer::Recorded(Some(_)));
        let entry = self.resolved.subscription(subscription);
        let exchange = entry.and_then(|entry| entry.exchange.clone());
        match exchange.filter(|_| is_written) {
            Some(Exchange::Leaves { .. } | Exchange::Returns) => {
                self.observations.exchange(subscription);
                self.backoffs.exchange(subscription);
            }
            Some(Exchange::Waits) => self.observations.forget(&subscription.leaving()),
            None => {}
        }
        self.instance_recorded(subscription, answer, moment);
        let entry = self.resolved.subscription(subscription);
        let object = self.snapshot.subscription(subscription);
        let status = object.and_then(|object| object.status.as_ref());
        let is_forgotten = status.is_some_and(|status| status.server.is_none());
        if is_forgotten && entry.is_some_and(|entry| entry.handed_to.is_some()) {
            self.observations.give_away(subscription);
        }
    }

    fn instance_recorded(
        &mut self,
        subscription: &SubscriptionName,
        answer: Answer,
        moment: Moment,
    ) {
        match answer {
            Answer::Recorded(Some(object)) => self.note(subscription, object),
            Answer::Recorded(None) => {
                let message = "the instance could not be recorded in status yet";
                let failure = Failure::new(FailureKind::ProtocolError, message);
                self.server_unusable(subscription, failure, moment);
            }
            Answer::NotAsked(failure) => self.server_unusable(subscription, failure, moment),
            _ => {}
        }
    }

    fn server_answered(
        &mut self,
        subscription: &SubscriptionName,
        action: &Action,
        answer: Answer,
        moment: Moment,
    ) {
        let key = BackoffKey::server(subscription);
        match answer {
            Answer::NotAsked(failure) => self.server_unusable(subscription, failure, moment),
            Answer::Instance(result) => {
                if let Err(failure) = &result {
                    self.back_off_server(subscription, failure, moment);
                }
                let catalog = self.server_catalog(subscription);
                let known = self.server_moment(subscription, catalog.as_deref(), moment.now);
                let observations = &mut self.observations;
                observations.record_instance(subscription, result, known);
            }
            Answer::Server(result) => {
                match &result {
                    Ok(
                        ServerAnswer::Done | ServerAnswer::Existed | ServerAnswer::Absent { .. },
                    ) => {
                        self.backoffs.clear(&key);
                        self.backoffs.end_operation(subscription);
                    }
                    // The operation that it began has its start as key: what is waited for is one
                    // with the same.
                    Ok(ServerAnswer::UnderWay { retry_after, .. }) => {
                        self.poll_after(subscription, moment.now, *retry_after, moment.now);
                    }
                    // A removal has no value that a person would have to change.
                    Err(failure) if matches!(action, Action::Deprovision { .. }) => {
                        self.back_off_server(subscription, failure, moment);
                    }
                    Err(failure) => {
                        self.back_off_server_unless_final(subscription, failure, moment);
                        self.drop_outdated_catalog(subscription, failure);
                        self.back_off_carried_if_final(action, failure, moment);
                    }
                }
                let catalog = self.server_catalog(subscription);
                let known = self.server_moment(subscription, catalog.as_deref(), moment.now);
                let observations = &mut self.observations;
                observations.record_server(action, result, known);
            }
            Answer::Operation(result) => {
                let catalog = self.server_catalog(subscription);
                let known = self.server_moment(subscription, catalog.as_deref(), moment.now);
                let heard = self.observations.of(subscription);
                match heard.forgotten_for_good(&result, known.retrievable) {
                    Some(failure) => self.back_off_server(subscription, &failure, moment),
                    None => self.back_off_operation(subscription, &result, moment),
                }
                let observations = &mut self.observations;
                observations.record_operation(subscription, result, known);
            }
            Answer::DeviceRead { .. }
            | Answer::DeviceWritten(_)
            | Answer::Status(_)
            | Answer::MessagesShown(_)
            | Answer::TwinWritten(_)
            | Answer::Catalog(_)
            | Answer::Recorded(_)
            | Answer::Switched(_) => {}
        }
    }

    /// Records the holders after a switch. What the device has counts, also if another write was
    /// faster, or the answer to an earlier one was lost.
    fn switched(&mut self, to: &SubscriptionName, answer: Answer, moment: Moment) {
        match (answer, &mut self.snapshot.device) {
            (Answer::Switched(Some(holds)), Some(device)) => {
                let status = &mut Arc::make_mut(device).status;
                status.get_or_insert_default().exclusive = holds;
                self.changed = true;
            }
            (Answer::NotAsked(failure), _) => self.server_unusable(to, failure, moment),
            (Answer::Switched(_), _) => {
                let message = "the switch could not be written to the Device yet";
                let failure = Failure::new(FailureKind::ProtocolError, message);
                self.server_unusable(to, failure, moment);
            }
            _ => {}
        }
    }

    fn server_catalog(&self, subscription: &SubscriptionName) -> Option<Arc<Catalog>> {
        let connection = self.server_connection(subscription)?;
        self.snapshot.catalogs.get(&connection).cloned()
    }

    /// Drops the catalog of a server that says that it has another one by now, so that it is read
    /// before the next request.
    fn drop_outdated_catalog(&mut self, subscription: &SubscriptionName, failure: &Failure) {
        if failure.kind == FailureKind::CatalogOutdated
            && let Some(connection) = self.server_connection(subscription)
        {
            self.snapshot.catalogs.remove(&connection);
            self.changed = true;
        }
    }

    fn server_moment<'a>(
        &self,
        subscription: &SubscriptionName,
        catalog: Option<&'a Catalog>,
        at: Timestamp,
    ) -> ServerMoment<'a> {
        let connection = self.server_connection(subscription);
        let connection = connection.and_then(|name| self.snapshot.connections.get(&name));
        let recorded = self.observations.of(subscription).recorded.as_ref();
        ServerMoment {
            catalog,
            retrievable: recorded.zip(catalog).and_then(|(recorded, catalog)| {
                let mut offerings = catalog.offerings.iter();
                let found = offerings.find(|offering| offering.id == recorded.service_id)?;
                Some(found.instances_retrievable)
            }),
            late: late(connection.and_then(|connection| connection.spec.timeouts.as_ref())),
            at,
        }
    }

    /// Records that no request could be sent to the service server of a subscription.
    fn server_unusable(
        &mut self,
        subscription: &SubscriptionName,
        failure: Failure,
        moment: Moment,
    ) {
        self.back_off_server(subscription, &failure, moment);
        self.observations
            .record_server_problem(subscription, failure, moment.now);
    }

    fn back_off_operation(
        &mut self,
        subscription: &SubscriptionName,
        result: &Result<OperationState, Failure>,
        moment: Moment,
    ) {
        let key = BackoffKey::server(subscription);
        match result {
            Ok(OperationState::InProgress { retry_after }) => {
                let recorded = self.observations.of(subscription).recorded.as_ref();
                let operation = recorded.and_then(|recorded| recorded.operation.as_ref());
                let since = operation.map_or(moment.now, |operation| operation.since);
                self.poll_after(subscription, since, *retry_after, moment.now);
            }
            Ok(OperationState::Succeeded | OperationState::Gone) => {
                self.backoffs.clear(&key);
                self.backoffs.end_operation(subscription);
            }
            // An operation that failed is retried like a request that failed.
            Ok(OperationState::Failed(failure)) if failure.repeatable => {
                self.back_off_server(subscription, failure, moment);
            }
            // The same would fail again (OSB `update_repeatable`).
            Ok(OperationState::Failed(failure)) => {
                let heard = self.observations.of(subscription);
                let carried: Vec<_> = heard.in_progress().collect();
                self.back_off_carried(subscription, carried, failure, moment);
                self.ask_of_server(subscription, failure, moment);
            }
            // That the server does not know the operation any more is an answer.
            Err(failure) => self.back_off_server_unless_final(subscription, failure, moment),
        }
    }

    /// Starts the backoff of a subscription's service server, unless the failure is final. All
    /// requests of a subscription to its server are about one instance.
    fn back_off_server_unless_final(
        &mut self,
        subscription: &SubscriptionName,
        failure: &Failure,
        moment: Moment,
    ) {
        match retry(failure.kind, failure.doubtful) {
            Retry::Hourly => self.ask_of_server(subscription, failure, moment),
            Retry::Sent | Retry::Remote => self.back_off_server(subscription, failure, moment),
        }
    }

    /// Records the wait that the service server of a subscription asked for, if it did.
    fn ask_of_server(
        &mut self,
        subscription: &SubscriptionName,
        failure: &Failure,
        moment: Moment,
    ) {
        let connection = self.server_connection(subscription).unwrap_or_default();
        let why = Blocked::on_server(&connection, failure);
        let key = BackoffKey::server(subscription);
        self.ask(key, &why, failure.retry_after, moment.now);
    }

    /// Starts the backoff of the items that a request to a service server carried, if the failure is
    /// final: others may go on, and so may the removal of the instance.
    fn back_off_carried_if_final(&mut self, action: &Action, failure: &Failure, moment: Moment) {
        let (Action::Provision {
            subscription,
            items,
            ..
        }
        | Action::Update {
            subscription,
            items,
            ..
        }) = action
        else {
            return;
        };
        if retry(failure.kind, failure.doubtful) != Retry::Hourly {
            return;
        }
        let items = items.iter().map(|item| (item.key.clone(), item.digest));
        self.back_off_carried(subscription, items, failure, moment);
    }

    /// Starts the backoff of items of a service server whose values are not sent again for an hour.
    fn back_off_carried(
        &mut self,
        subscription: &SubscriptionName,
        items: impl IntoIterator<Item = (ItemKey, Digest)>,
        failure: &Failure,
        moment: Moment,
    ) {
        let connection = self.server_connection(subscription).unwrap_or_default();
        for (item, digest) in items {
            let key = BackoffKey::item(subscription, &item, digest);
            let why = Blocked::on_server(&connection, failure);
            self.back_off(key, why, &connection, &by_the_hour(failure), moment);
        }
    }

    fn back_off_server(
        &mut self,
        subscription: &SubscriptionName,
        failure: &Failure,
        moment: Moment,
    ) {
        let key = BackoffKey::server(subscription);
        let connection = self.server_connection(subscription);
        let connection = connection.unwrap_or_default();
        let why = Blocked::on_server(&connection, failure);
        self.back_off(key, why, &connection, failure, moment);
    }

    /// Waits for the next poll of an operation that was begun at an instant. `asked` is the server's
    /// Retry-After.
    fn poll_after(
        &mut self,
        subscription: &SubscriptionName,
        since: Timestamp,
        asked: Option<SignedDuration>,
        now: Timestamp,
    ) {
        let own = poll_interval(now.duration_since(since));
        let wait = asked.map_or(own, |asked| asked.max(own));
        let connection = self.server_connection(subscription).unwrap_or_default();
        let message =
            format!("an operation of the service server behind {connection} is under way");
        let until = now.checked_add(wait).unwrap_or(Timestamp::MAX);
        let why = Blocked::new(Reason::OperationRunning, message);
        let key = BackoffKey::operation(subscription, since);
        self.ask(key, &why, asked, now);
        self.backoffs.wait_to_poll(subscription, since, why, until);
    }
}
