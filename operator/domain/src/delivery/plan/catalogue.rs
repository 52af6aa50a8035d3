//! Plan: the catalogue of a service server is read where it is missing.

use entente_crds::{condition::Reason, v1alpha1::StepType};
use jiff::Timestamp;

use super::{Plan, round::Round};
use crate::{
    assessment::reason_of_outcome,
    delivery::{ResolvedSubscription, blocked::Blocked, resolve_server::ResolvedServer},
    retry::HoldKey,
};

impl Round<'_> {
    /// Reads the catalogue where it is missing; whether set-up may go on without it.
    pub(in crate::delivery) fn read_missing_catalogue(
        &self,
        subscription: &ResolvedSubscription,
        server: &ResolvedServer,
        plan: &mut Plan,
    ) -> bool {
        let key = HoldKey::Catalogue {
            connection: server.connection.clone(),
        };
        if let Some(until) = self.holds.until(&key, self.now) {
            plan.wait(
                &subscription.name,
                self.catalogue_held(subscription, server, until),
            );
            // The device side may go on: the steps before the server do not need the catalogue.
            return true;
        }
        if self
            .facts
            .catalogue_problems
            .contains_key(&server.connection)
        {
            return true;
        }
        plan.read_catalogue(&server.connection);
        false
    }

    fn catalogue_held(
        &self,
        subscription: &ResolvedSubscription,
        server: &ResolvedServer,
        until: Timestamp,
    ) -> Blocked {
        let verified = self.verified.get(&subscription.name);
        let problem = verified
            .into_iter()
            .flat_map(|verified| &verified.items)
            .find_map(|item| {
                item.problem
                    .as_ref()
                    .filter(|_| item.step != StepType::DeviceSettings)
            });
        let (reason, message) = problem.map_or_else(
            || {
                let message = format!(
                    "the catalogue behind {} could not be read",
                    server.connection
                );
                (Reason::ProtocolError, message)
            },
            |problem| (reason_of_outcome(problem.outcome), problem.message.clone()),
        );
        Blocked::until(reason, message, until)
    }
}
