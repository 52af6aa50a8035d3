//! Reports of outcomes and of defects of ours in the status of an object.
//!
//! A status that loses a race is decided again on the object as it is now; one that is refused, and a
//! panic over it, become the reason InternalError (K7). Decides nothing else of a status. Called by
//! the controllers.

use std::sync::Arc;

use entente_crds::v1alpha1::{
    Compensation, Condition, Connection, Contract, ContractAmendment, ContractNotice, Device,
    DeviceEnrollment, DeviceModel, MessageText, ServiceSubscription, Site, SmartService,
    SupplyOrder,
};
use entente_domain::condition::of_internal_error;
use jiff::Timestamp;
use kube::{Api, ResourceExt as _, core::object::HasStatus};
use serde::Serialize;

use super::{WriteError, Written, read, write_status};
use crate::{
    cache::{Cache, Key},
    defect::{Defect, alone},
};

/// Number of times that a status is decided anew because another writer came in between.
const TRIES: usize = 10;

/// Result of a status write.
#[derive(Debug)]
pub enum Reported<K> {
    /// It was written, with the object after the write, also in the cache.
    Written(Arc<K>),
    /// Nothing was written: the status is equal, or none was decided.
    Unchanged,
    /// The object is gone, or another one has its name, or its newest version cannot be read: there
    /// is no object to report to.
    Gone,
}

/// A kind whose status has conditions.
pub trait Conditioned:
    Written + HasStatus<Status: Clone + Default + PartialEq + Serialize>
{
    /// Returns the conditions of a status, to be changed.
    fn conditions(status: &mut Self::Status) -> &mut Vec<Condition>;

    /// Returns the conditions of an object.
    fn said(object: &Self) -> &[Condition];
}

macro_rules! conditioned {
    ($($kind:ty),+ $(,)?) => {
        $(impl Conditioned for $kind {
            fn conditions(status: &mut Self::Status) -> &mut Vec<Condition> {
                &mut status.conditions
            }

            fn said(object: &Self) -> &[Condition] {
                object.status.as_ref().map_or(&[], |status| &status.conditions)
            }
        })+
    };
}

conditioned!(
    Compensation,
    Connection,
    Contract,
    ContractAmendment,
    ContractNotice,
    Device,
    DeviceEnrollment,
    DeviceModel,
    MessageText,
    ServiceSubscription,
    Site,
    SmartService,
    SupplyOrder,
);

/// Returns the status of an object for which no other can be made: the last one, with the condition
/// that a defect of ours prevents a new one.
fn internal_error<K: Conditioned>(object: &K, message: &str, now: Timestamp) -> K::Status {
    let mut status = object.status().cloned().unwrap_or_default();
    let generation = object.meta().generation;
    let conditions = K::conditions(&mut status);
    *conditions = of_internal_error(conditions, generation, message, now);
    status
}

/// Reports the outcomes of a pass in spite of other writers.
///
/// `decide` turns the object as it is now and the outcomes (facts, which it captures) into the
/// status; `None` means that nothing is to be written. It is called again with the object freshly
/// read if another writer came in between: requests to remote sides are never repeated because a
/// write lost a race. An equal status is not written. The outcomes belong to the UID that is first
/// seen here; for an object made anew under the name the answer is [`Reported::Gone`].
///
/// The write waits for the echo of the last own write of the object ([`Cache::echoed`]), and is
/// decided anew if the watch brings something newer meanwhile.
///
/// A status that the API server refuses, which is a defect of ours, does not leave readers without
/// a word: the object then has the reason InternalError, and the refusal is returned.
pub async fn report_until_written<K>(
    api: &Api<K>,
    cache: &Cache<K>,
    key: &Key,
    now: Timestamp,
    mut decide: impl FnMut(&K) -> Option<K::Status>,
) -> Result<Reported<K>, WriteError>
where
    K: Conditioned,
{
    if cache.is_unreadable(key) {
        return Ok(Reported::Gone);
    }
    let mut object = match cache.get(key) {
        Some(object) => object,
        None => match read(api, key).await? {
            Some(object) => Arc::new(object),
            None => return Ok(Reported::Gone),
        },
    };
    let uid = object.uid();
    let mut tries = 0;
    loop {
        let Some(status) = decide(&object) else {
            return Ok(Reported::Unchanged);
        };
        if object.status() == Some(&status) {
            return Ok(Reported::Unchanged);
        }
        cache.echoed(key).await;
        if let Some(newer) = cache.newer(key, &object) {
            object = newer;
            continue;
        }
        let writing = cache.writing(key);
        let answer = write_status(api, &*object, &status).await;
        match &answer {
            Ok(written) => writing.answered(written),
            Err(_) => drop(writing),
        }
        match answer {
            Ok(written) => return Ok(Reported::Written(cache.share_written(written))),
            Err(WriteError::Gone { .. }) => return Ok(Reported::Gone),
            Err(WriteError::Conflict { .. }) if tries < TRIES => tries += 1,
            Err(error @ WriteError::Refused { .. }) if !error.is_namespace_terminating() => {
                let message = format!("The status could not be written: {error}.");
                say(
                    api,
                    cache,
                    &object,
                    &internal_error(&*object, &message, now),
                )
                .await;
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        let Some(fresh) = read(api, key).await? else {
            return Ok(Reported::Gone);
        };
        if fresh.uid() != uid {
            return Ok(Reported::Gone);
        }
        object = cache.share_written(fresh);
    }
}

/// Reports in an object that a pass over it ended in a defect of ours.
pub(crate) async fn report_defect<K: Conditioned>(
    api: &Api<K>,
    cache: &Cache<K>,
    key: &Key,
    defect: &Defect,
    now: Timestamp,
) {
    let message = defect.sentence();
    let result = report_until_written(api, cache, key, now, |object| {
        Some(internal_error(object, &message, now))
    })
    .await;
    if let Err(error) = result {
        tracing::error!(%error, "a defect could not be reported");
    }
}

/// Waits for what is decided about one object and written to it. A panic on the way is said in that
/// object, and is an error like any other write that failed.
pub(crate) async fn written_alone<K: Conditioned, T>(
    api: &Api<K>,
    cache: &Cache<K>,
    key: &Key,
    now: Timestamp,
    work: impl Future<Output = Result<T, WriteError>>,
) -> Result<T, WriteError> {
    let defect = match alone(work).await {
        Ok(written) => return written,
        Err(defect) => defect,
    };
    let kind = K::kind(&()).into_owned();
    tracing::error!(kind, %key, ?defect, "a panic over one object; this is a defect of Entente");
    if alone(report_defect(api, cache, key, &defect, now))
        .await
        .is_err()
    {
        tracing::error!(kind, %key, "a defect could not be reported: another panic");
    }
    Err(WriteError::Panicked {
        kind,
        key: key.clone(),
    })
}

/// Writes a status, without parts that could be refused, if it differs.
async fn say<K: Conditioned>(api: &Api<K>, cache: &Cache<K>, object: &K, status: &K::Status) {
    if object.status() == Some(status) {
        return;
    }
    match write_status(api, object, status).await {
        Ok(written) => drop(cache.share_written(written)),
        Err(error) => tracing::error!(%error, "a refused status could not be reported"),
    }
}
