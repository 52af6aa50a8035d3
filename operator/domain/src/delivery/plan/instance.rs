//! Plan, server side: the instance is fetched, made, changed and waited for.

use std::collections::BTreeSet;

use entente_crds::{
    ANNOTATION_PROVISION,
    bounded::token,
    condition::Reason,
    item_key::ItemKey,
    v1alpha1::{
        ItemState, ServerInstance, ServerOperation, ServerOperationState, ServerOperationType,
        StepType, Updates,
    },
};

use kube::ResourceExt as _;

use crate::delivery::plan::{Action, Plan, round::Round};
use crate::{
    delivery::{
        Blocked, CarriedItem, Parameters, ResolvedItem, ResolvedServer, ResolvedStep,
        ResolvedSubscription, Verified, Wanted,
        leaving::leaving,
        model::backoffs::BackoffKey,
        observations::record::{is_in_doubt, may_exist},
    },
    reasons::Side,
    remote::{Failure, FailureKind, InstanceKey, InstanceReading},
    unreadable::Referent,
};

/// The most characters of an id that a message shows.
const MOST_SHOWN: usize = 128;

impl Round<'_> {
    pub(super) fn server_step(
        &self,
        subscription: &ResolvedSubscription,
        step: &ResolvedStep,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        let server = subscription.server.as_ref();
        let Some(server) = server.filter(|server| !server.is_obsolete) else {
            return;
        };
        let is_settled = step
            .items
            .iter()
            .all(|item| self.is_settled(subscription, item, verified));
        let at_rest = is_settled && !self.server_sync_is_due(subscription, step);
        let heard = self.observations.of(&subscription.name);
        let recorded = heard.recorded.as_ref();
        let operation = recorded.and_then(|recorded| recorded.operation.as_ref());
        let is_polled = operation.is_some_and(|it| it.state == ServerOperationState::UnderWay);
        // Only the catalog tells whether instances can be fetched, and a poll does not need it.
        let misses_catalog = !self.snapshot.catalogs.contains_key(&server.connection);
        if misses_catalog && !is_polled {
            if !at_rest {
                self.read_missing_catalog(subscription, server, plan);
            }
            return;
        }
        let Some(wanted) = server.key() else { return };
        if let Some(blocked) = self.server_blocked(subscription, verified) {
            plan.wait(&subscription.name, blocked);
            return;
        }
        if let Some(open) = self.unprotected(subscription, server, recorded) {
            if !is_settled {
                plan.wait(&subscription.name, open);
            }
            return;
        }
        let instance = instance_as_it_is(recorded, &wanted);
        if self.look_after_a_denial(subscription, server, &instance, plan) {
            return;
        }
        if let Some(operation) = operation
            && self.operation(subscription, server, &instance, operation, plan)
        {
            return;
        }
        if misses_catalog {
            self.read_missing_catalog(subscription, server, plan);
            return;
        }
        if heard.reading.is_some() || !at_rest {
            let of = (subscription, server, step);
            self.by_reading(of, (wanted, instance), is_settled, verified, plan);
        }
    }

    /// Plans what follows from the last reading of an instance, or a reading.
    fn by_reading(
        &self,
        of: (&ResolvedSubscription, &ResolvedServer, &ResolvedStep),
        (wanted, instance): (InstanceKey, InstanceKey),
        is_settled: bool,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        let (subscription, server, _) = of;
        let heard = self.observations.of(&subscription.name);
        let recorded = heard.recorded.as_ref();
        match heard.reading.as_ref().map(|reading| &reading.result) {
            Some(Ok(_)) if is_settled => {}
            None => plan.once(self.read_instance(subscription, server, instance)),
            Some(Err(_)) => {}
            Some(Ok(InstanceReading::Absent)) if self.has_to_be_there(subscription, recorded) => {
                plan.wait(&subscription.name, not_found(&instance));
            }
            Some(Ok(InstanceReading::Absent)) => {
                self.provision(subscription, server, (wanted, instance), plan);
            }
            Some(Ok(InstanceReading::NotRetrievable)) if is_to_be_made(recorded) => {
                self.provision(subscription, server, (wanted, instance), plan);
            }
            Some(Ok(InstanceReading::Present {
                service_id: Some(found),
                ..
            })) if *found != wanted.service_id => {
                plan.wait(&subscription.name, of_another_offering(&wanted, found));
            }
            Some(Ok(InstanceReading::Present { .. } | InstanceReading::NotRetrievable)) => {
                self.update(of, (wanted.plan_id, instance), verified, plan);
            }
        }
    }

    /// True if a subscription came back from a backup and continues those of contracts before it, so that
    /// another instance would be a second one; unless it was seen since, or a person asked for it.
    fn has_to_be_there(
        &self,
        subscription: &ResolvedSubscription,
        recorded: Option<&ServerInstance>,
    ) -> bool {
        let object = self.snapshot.subscription(&subscription.name);
        object.is_some_and(|object| {
            let came_back = object.spec.restored.is_some() && object.spec.origin.is_some();
            let is_asked_for = object.annotations().contains_key(ANNOTATION_PROVISION);
            // An instance that takes the place of another one was never made.
            let is_first = leaving(object).is_some();
            came_back && !is_asked_for && !is_first && !recorded.is_some_and(may_exist)
        })
    }

    /// Returns the obstacle to a first instance that the Connection, or a SmartService, could be
    /// deleted before anybody knew that it is used: then nobody could remove the instance.
    fn unprotected(
        &self,
        subscription: &ResolvedSubscription,
        server: &ResolvedServer,
        recorded: Option<&ServerInstance>,
    ) -> Option<Blocked> {
        if recorded.is_some_and(may_exist) {
            return None;
        }
        let snapshot = self.snapshot;
        let connection = snapshot.connections.get(&server.connection);
        let object = snapshot.subscription(&subscription.name);
        let revisions = object.into_iter().flat_map(|it| &it.spec.revisions);
        let services = revisions.filter_map(|it| snapshot.services.get(&it.service_ref.name));
        connection
            .and_then(|it| Blocked::unprotected(Referent::Connection, &**it))
            .or_else(|| {
                let mut services = services.map(|it| (Referent::SmartService, &**it));
                services.find_map(|(kind, it)| Blocked::unprotected(kind, it))
            })
    }

    /// Plans the next request about an operation that was begun before. Returns true if nothing
    /// else may be planned now.
    pub(in crate::delivery) fn operation(
        &self,
        subscription: &ResolvedSubscription,
        server: &ResolvedServer,
        instance: &InstanceKey,
        operation: &ServerOperation,
        plan: &mut Plan,
    ) -> bool {
        let maximum = server
            .offering
            .as_ref()
            .map(|offering| offering.maximum_polling);
        if is_in_doubt(operation) {
            return false;
        }
        let given_up = match operation.state {
            ServerOperationState::InDoubt => false,
            ServerOperationState::Failed => true,
            ServerOperationState::UnderWay => {
                maximum.is_some_and(|maximum| self.now.duration_since(operation.since) > maximum)
            }
        };
        if given_up && operation.r#type == ServerOperationType::Update {
            // The result is read, and the remaining differences are sent again.
            return false;
        }
        if given_up {
            // OSB "Orphan Mitigation": an instance that failed, or whose operation never ends, is
            // removed, then made again.
            plan.once(deprovision(subscription, server, instance.clone()));
            return true;
        }
        plan.once(Action::PollOperation {
            subscription: subscription.name.clone(),
            instance: instance.clone(),
            operation: operation.id.clone(),
        });
        true
    }

    /// Plans to fetch an instance that the server says it does not know, and waits if it cannot be
    /// fetched or is there. Returns true if nothing else may be planned now.
    pub(in crate::delivery) fn look_after_a_denial(
        &self,
        subscription: &ResolvedSubscription,
        server: &ResolvedServer,
        instance: &InstanceKey,
        plan: &mut Plan,
    ) -> bool {
        let heard = self.observations.of(&subscription.name);
        let Some(message) = heard.denial() else {
            return false;
        };
        if heard.reading.is_none() {
            plan.once(self.read_instance(subscription, server, instance.clone()));
        } else {
            let failure = Failure::new(FailureKind::ProtocolError, message);
            let blocked = Blocked::on_server(&server.connection, &failure);
            plan.wait(&subscription.name, blocked);
        }
        true
    }

    /// Returns the obstacle to requests to the service server: a failure in this pass, the backoff
    /// after one in an earlier pass, or the wait between two polls.
    pub(in crate::delivery) fn server_blocked(
        &self,
        subscription: &ResolvedSubscription,
        verified: &Verified,
    ) -> Option<Blocked> {
        if let Some(waits) = self.waits_for_a_removal(subscription) {
            return Some(waits);
        }
        let backoff = self.server_backoff(subscription);
        let failed = self.observations.of(&subscription.name).problem.is_some()
            || self
                .observations
                .of(&subscription.name)
                .reading
                .as_ref()
                .is_some_and(|r| r.result.is_err());
        match verified.server_fault.as_ref().filter(|_| failed) {
            Some(fault) => Some(Blocked {
                until: backoff.and_then(|backoff| backoff.until),
                side: Some(Side::Server),
                ..fault.clone()
            }),
            None => backoff,
        }
    }

    /// Returns the backoff after a failure, or the wait for the next poll of the operation under
    /// way; the later of both.
    fn server_backoff(&self, subscription: &ResolvedSubscription) -> Option<Blocked> {
        let name = &subscription.name;
        let recorded = self.observations.of(name).recorded.as_ref();
        let operation = recorded.and_then(|recorded| recorded.operation.as_ref());
        let under_way = operation.filter(|it| it.state == ServerOperationState::UnderWay);
        let poll = under_way.map(|operation| BackoffKey::operation(name, operation.since));
        let keys = [Some(BackoffKey::server(name)), poll];
        let waits = keys.iter().flatten().filter_map(|key| self.pending(key));
        waits.max_by_key(|wait| wait.until)
    }

    /// Returns the action that reads an instance back. A server whose offering is not known may have
    /// it fetched. While nobody knows whether it was moved to another plan, it names none: some
    /// servers refuse a fetch that names another than the instance has.
    pub(in crate::delivery) fn read_instance(
        &self,
        subscription: &ResolvedSubscription,
        server: &ResolvedServer,
        mut instance: InstanceKey,
    ) -> Action {
        let recorded = self.observations.of(&subscription.name).recorded.as_ref();
        let operation = recorded.and_then(|recorded| recorded.operation.as_ref());
        if operation.is_some_and(|operation| operation.to_plan.is_some()) {
            instance.plan_id.clear();
        }
        let offering = server.offering.as_ref();
        Action::ReadInstance {
            subscription: subscription.name.clone(),
            instance,
            retrievable: offering.is_none_or(|offering| offering.retrievable),
        }
    }

    /// Returns the obstacle to every request about an instance that was left behind under the same
    /// id, while the Connection may have a request under way that removes it.
    fn waits_for_a_removal(&self, subscription: &ResolvedSubscription) -> Option<Blocked> {
        let server = subscription.server.as_ref()?;
        let removed = &self.snapshot.orphans_being_removed;
        removed.contains(&server.instance_id).then(|| {
            let message = format!(
                "the instance {} was left behind earlier and is being removed; the service is set \
                 up once that has ended",
                server.instance_id
            );
            Blocked {
                side: Some(Side::Server),
                ..Blocked::new(Reason::OperationRunning, message)
            }
        })
    }

    fn provision(
        &self,
        subscription: &ResolvedSubscription,
        server: &ResolvedServer,
        (instance, as_it_is): (InstanceKey, InstanceKey),
        plan: &mut Plan,
    ) {
        // Another one is being made in its place.
        if subscription.serves_on() {
            return;
        }
        let items = server.setting_items();
        let items: Vec<CarriedItem> = items.iter().map(ResolvedItem::carried).collect();
        let was_sent = |item: &CarriedItem| {
            let sent = self
                .observations
                .sent_or_ended(&subscription.name, &item.key, item.digest);
            sent.is_some()
        };
        if items.iter().any(was_sent) {
            return;
        }
        let recorded = self.observations.of(&subscription.name).recorded.as_ref();
        if !self.is_recorded(subscription, &instance, server) {
            let name = subscription.name.clone();
            plan.actions
                .push(Action::RecordInstance { subscription: name });
            return;
        }
        let doubtful = recorded
            .and_then(|recorded| recorded.operation.as_ref())
            .filter(|operation| is_in_doubt(operation))
            .filter(|operation| operation.late_until.is_none());
        let maximum = server
            .offering
            .as_ref()
            .map(|offering| offering.maximum_polling);
        if let (Some(operation), Some(maximum)) = (doubtful, maximum)
            && (operation.r#type == ServerOperationType::Deprovision
                || self.now.duration_since(operation.since) > maximum)
        {
            // An instance that is left would make the server refuse the new one.
            plan.actions
                .push(deprovision(subscription, server, as_it_is));
            return;
        }
        let parameters = server.parameters(false);
        plan.actions.push(Action::Provision {
            subscription: subscription.name.clone(),
            instance,
            context: server.context.clone(),
            maintenance_version: maintenance_version(server),
            digest: parameters.digest(),
            parameters,
            items,
        });
    }

    /// True if the status names the instance that is about to be made.
    fn is_recorded(
        &self,
        subscription: &ResolvedSubscription,
        instance: &InstanceKey,
        server: &ResolvedServer,
    ) -> bool {
        self.snapshot
            .subscription(&subscription.name)
            .and_then(|object| object.status.as_ref()?.server.as_ref())
            .is_some_and(|recorded| {
                *recorded.connection_ref.name == *server.connection
                    && recorded.instance_id == instance.instance_id
                    && recorded.service_id == instance.service_id
                    && (recorded.plan_id == instance.plan_id && recorded.broker == server.broker()
                        || may_exist(recorded))
            })
    }

    fn can_be_read(&self, subscription: &ResolvedSubscription) -> bool {
        let reading = self.observations.of(&subscription.name).reading.as_ref();
        reading.is_none_or(|reading| reading.result != Ok(InstanceReading::NotRetrievable))
    }

    fn update(
        &self,
        (subscription, server, step): (&ResolvedSubscription, &ResolvedServer, &ResolvedStep),
        (wanted_plan, instance): (String, InstanceKey),
        verified: &Verified,
        plan: &mut Plan,
    ) {
        let differing: Vec<&ResolvedItem> = step
            .items
            .iter()
            .filter(|item| !self.is_settled(subscription, item, verified))
            .filter(|item| {
                let name = &subscription.name;
                let observations = self.observations;
                let sent = observations.sent_or_ended(name, &item.key, item.digest);
                sent.is_none()
            })
            .collect();
        if differing.is_empty() {
            return;
        }
        let activation_is_on = verified
            .of_step(StepType::Activation)
            .all(|item| item.state == ItemState::Effective);
        let active = step.r#type == StepType::Activation || activation_is_on;
        let full = server.parameters(active);
        let parameters = match server.updates {
            // An instance under our id that cannot be read may differ in every parameter.
            Updates::Merge if self.can_be_read(subscription) || !has_instance(&differing) => {
                only(server, &differing, active)
            }
            Updates::Merge | Updates::Replace => full.clone(),
        };
        let to_plan = has_instance(&differing).then_some(wanted_plan);
        plan.actions.push(Action::Update {
            subscription: subscription.name.clone(),
            // To name the version of a plan that is kept would be to ask for an upgrade.
            maintenance_version: to_plan.as_ref().and_then(|_| maintenance_version(server)),
            to_plan,
            instance,
            context: server.context.clone(),
            digest: full.digest(),
            parameters,
            items: differing.into_iter().map(ResolvedItem::carried).collect(),
        });
    }
}

/// Returns the obstacle that the server has an instance of another offering under our id: it is not
/// ours to change.
fn not_found(instance: &InstanceKey) -> Blocked {
    let message = format!(
        "the service server does not have the instance {}, which the contracts before this one had: \
         restore it there, or set the annotation {ANNOTATION_PROVISION} on this subscription to have \
         a new one made",
        instance.instance_id
    );
    Blocked {
        side: Some(Side::Server),
        ..Blocked::new(Reason::InstanceNotFound, message)
    }
}

fn of_another_offering(wanted: &InstanceKey, found: &str) -> Blocked {
    let InstanceKey {
        instance_id,
        service_id,
        ..
    } = wanted;
    let found = token(found, MOST_SHOWN);
    Blocked {
        side: Some(Side::Server),
        ..Blocked::new(
            Reason::OfferingChanged,
            format!(
                "the service server has an instance {instance_id} of the offering {found}, and the \
                 service wants one of {service_id}: nothing is sent to it until it is removed there, \
                 or the SmartService names its offering"
            ),
        )
    }
}

/// True if an instance that cannot be fetched has to be made: nothing was sent for it, or it is not
/// known what became of that.
fn is_to_be_made(recorded: Option<&ServerInstance>) -> bool {
    recorded.is_none_or(|recorded| {
        let operation = recorded.operation.as_ref();
        let in_doubt = operation.is_some_and(|operation| {
            is_in_doubt(operation) && operation.r#type != ServerOperationType::Update
        });
        recorded.sent_digest.is_none() || in_doubt
    })
}

/// Returns the instance with the offering and the plan that it has (OSB: in every fetch, poll and
/// removal), which may be another plan than the wanted one.
fn instance_as_it_is(recorded: Option<&ServerInstance>, wanted: &InstanceKey) -> InstanceKey {
    let recorded = recorded.filter(|recorded| may_exist(recorded));
    recorded.map_or_else(|| wanted.clone(), recorded_key)
}

/// Returns the recorded instance as the driver names it.
pub(in crate::delivery) fn recorded_key(recorded: &ServerInstance) -> InstanceKey {
    InstanceKey {
        instance_id: recorded.instance_id.clone(),
        service_id: recorded.service_id.clone(),
        plan_id: recorded.plan_id.clone(),
    }
}

/// Returns the version of the wanted plan in the catalog (OSB `maintenance_info`).
fn maintenance_version(server: &ResolvedServer) -> Option<String> {
    let offering = server.offering.as_ref()?;
    offering.maintenance_version.clone()
}

/// True if the instance itself is among what differs.
fn has_instance(items: &[&ResolvedItem]) -> bool {
    items
        .iter()
        .any(|item| item.wanted == Wanted::ServerInstance)
}

/// Returns the parameters of these items alone.
fn only(server: &ResolvedServer, items: &[&ResolvedItem], active: bool) -> Parameters {
    let keys: BTreeSet<&ItemKey> = items.iter().map(|item| &item.key).collect();
    let part = ResolvedServer {
        settings: server
            .settings
            .iter()
            .filter(|setting| keys.contains(&setting.key))
            .cloned()
            .collect(),
        activation: server
            .activation
            .clone()
            .filter(|activation| keys.contains(&activation.key)),
        ..server.clone()
    };
    part.parameters(active)
}

pub(in crate::delivery) fn deprovision(
    subscription: &ResolvedSubscription,
    server: &ResolvedServer,
    instance: InstanceKey,
) -> Action {
    Action::Deprovision {
        subscription: subscription.name.clone(),
        instance,
        context: server.context.clone(),
    }
}
