//! The errors of a device in its twin (A1).
//!
//! Writes them before a batch is answered, and before anything of it is forwarded: an order has to wait for
//! no provider of data. Decides nothing of what changes. Called for each batch.

use std::sync::{Mutex, PoisonError};

use entente_controllers::cache::Key;
use entente_crds::v1alpha1::DeviceTwin;
use entente_domain::gateway::{
    admission,
    events::{Batch, Refusal, are_kept},
    problem::Problem,
};

use crate::{Gateway, calls::Known};

impl Gateway {
    /// Writes the errors of a batch, and returns the events for whose errors there is no room.
    ///
    /// # Errors
    /// Returns the answer if they could not be written, or the device may send nothing: it keeps the batch.
    pub(super) async fn keep_errors(
        &self,
        known: &Known,
        batch: &Batch,
    ) -> Result<Vec<(usize, Refusal)>, Problem> {
        if !batch.has_errors() || !self.keeps_errors(&known.key) {
            return Ok(Vec::new());
        }
        // The last decision is the one that was written.
        let refused = Mutex::new(Vec::new());
        let decide = |twin: &DeviceTwin| {
            self.standing(&known.key, twin, &known.sha256)?;
            admission::consents(twin)?;
            let errors = batch.errors(twin, self.now());
            *refused.lock().unwrap_or_else(PoisonError::into_inner) = errors.refused;
            Ok(errors.status)
        };
        self.change_status(&known.key, decide).await?;
        let refused = refused.into_inner().unwrap_or_else(PoisonError::into_inner);
        let refused = refused.into_iter();
        Ok(refused
            .map(|place| (place, Refusal::TooManyErrors))
            .collect())
    }

    /// True if errors of a device are kept.
    pub(super) fn keeps_errors(&self, device: &Key) -> bool {
        let device = self.objects.devices.get(device);
        let model = device.and_then(|device| {
            let model = Key::new("", &*device.spec.model_ref.name);
            self.objects.models.get(&model)
        });
        are_kept(model.as_deref())
    }
}
