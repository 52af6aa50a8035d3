//! Plan: the catalog of a service server is read if it is missing.

use crate::delivery::plan::{Plan, round::Round};
use crate::delivery::{ResolvedServer, ResolvedSubscription, model::backoffs::BackoffKey};

impl Round<'_> {
    /// True if the catalog is missing and nothing keeps it from being read.
    pub(in crate::delivery) fn may_read_catalog(&self, server: &ResolvedServer) -> bool {
        let connection = &server.connection;
        let failed = self.observations.catalog_problems.contains_key(connection)
            || self.pending(&BackoffKey::catalog(connection)).is_some();
        !failed && !self.snapshot.catalogs.contains_key(connection)
    }

    /// Plans to read the catalog if it is missing. Returns true if set-up may go on without it.
    pub(in crate::delivery) fn read_missing_catalog(
        &self,
        subscription: &ResolvedSubscription,
        server: &ResolvedServer,
        plan: &mut Plan,
    ) -> bool {
        let key = BackoffKey::catalog(&server.connection);
        if let Some(backoff) = self.pending(&key) {
            plan.wait(&subscription.name, backoff);
            // The device side may go on: the steps before the server do not need the catalog.
            return true;
        }
        if self
            .observations
            .catalog_problems
            .contains_key(&server.connection)
        {
            return true;
        }
        plan.read_catalog(&server.connection);
        false
    }
}
