//! Records: the compensations that are to be made (D8).
//!
//! Decides them from a subscription alone: the same subscription always gives the same records,
//! byte for byte, so that a crash between making one and noting it makes no second one. It must
//! never set an owner reference: a record outlives its contract. Called by the controller, which
//! makes each by POST and lists it in the promise's `emitted`.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{
    Compensation, CompensationSpec, ExcludedTime, ObjectIdentity, Promise, Record, RecordCustomer,
    RecordDevice, ReissueReference, Revision, ServiceSubscription,
};
use entente_crds::{
    LABEL_CONTRACT, LABEL_CUSTOMER, LABEL_DEVICE, LABEL_MANAGED_BY, LABEL_SERVICE, MANAGED_BY,
};
use kube::ResourceExt;

use crate::promise::{DebtFacts, OwedRecord, counted_causes, next_issue, owed_records, promises};

/// Returns the compensations that are to be made for a subscription: one for each record that a
/// promise owes, unless `emitted` lists it already, however it ended. In the order of promise and
/// remedy. `serial` is the serial number of the Device, where it exists and has one.
pub fn records_for(
    subscription: &ServiceSubscription,
    serial: Option<&str>,
    namespace: &str,
) -> Vec<Compensation> {
    let mut missed: Vec<&Promise> = promises(subscription).iter().collect();
    missed.sort_by_key(|promise| promise.effective);
    let owed = missed.into_iter().flat_map(|promise| {
        let records = owed_records(subscription, promise);
        records.filter(|owed| !promise.emitted.contains(&owed.name))
    });
    owed.map(|owed| record(subscription, owed, serial, namespace))
        .collect()
}

fn record(
    subscription: &ServiceSubscription,
    owed: OwedRecord<'_>,
    serial: Option<&str>,
    namespace: &str,
) -> Compensation {
    let OwedRecord {
        name: record_name,
        revision,
        remedy,
    } = owed;
    let (spec, name) = (&subscription.spec, subscription.name_any());
    let mut record = Record {
        contract: ObjectIdentity {
            name: spec.contract.name.clone(),
            uid: spec.contract.uid.clone(),
        },
        contract_start: Some(spec.contract.start),
        subscription: ObjectIdentity {
            name: name.clone(),
            uid: subscription.uid().unwrap_or_default(),
        },
        device: RecordDevice {
            name: spec.device_ref.name.clone(),
            serial_number: serial.map(ToOwned::to_owned),
        },
        service_name: spec.service_name.clone(),
        customer: RecordCustomer {
            id: spec.customer.id.clone(),
        },
        promised: revision.effective,
        time_zone: spec.time_zone.clone(),
        currency: revision.currency.clone(),
        remedy: remedy.clone(),
        fee: revision.fee.clone(),
        service_level: revision.service_level.clone(),
        counted_causes: counted_causes(&revision.counted_causes).to_vec(),
        share: revision.share.clone(),
        exclusions: exclusions_after(revision),
        booking_key: String::new(),
        reissues: None,
    };
    record.booking_key = booking_key(namespace, &record, 1);
    object(&record_name, namespace, record)
}

/// Returns the excluded times of a revision that do not lie wholly before its promise.
fn exclusions_after(revision: &Revision) -> Vec<ExcludedTime> {
    let times = revision.exclusions.iter();
    let after = times.filter(|time| time.until > revision.effective);
    after.cloned().collect()
}

/// Makes an object without an owner.
fn object(name: &str, namespace: &str, record: Record) -> Compensation {
    let labels = BTreeMap::from([
        (LABEL_MANAGED_BY, MANAGED_BY),
        (LABEL_CONTRACT, &record.contract.name),
        (LABEL_SERVICE, &record.service_name),
        (LABEL_DEVICE, &record.device.name),
        (LABEL_CUSTOMER, &record.customer.id),
    ]);
    // All of them are label values by their own schemas; a label too long would refuse the record.
    let labels = labels
        .into_iter()
        .filter(|(_, value)| value.len() <= 63)
        .map(|(label, value)| (label.to_owned(), value.to_owned()))
        .collect();
    let mut made = Compensation::new(
        name,
        CompensationSpec {
            record,
            voided: None,
        },
    );
    made.metadata.namespace = Some(namespace.to_owned());
    made.metadata.labels = Some(labels);
    made
}

/// Returns the key under which an issue of a record in a namespace is booked (1 for the first): the
/// digest of its namespace, contract, customer, service, device, promised instant, remedy and of the
/// number of the issue. Neither uid nor wall time is in it.
pub fn booking_key(namespace: &str, record: &Record, issue: u32) -> String {
    DebtFacts::of_record(namespace, record).booking_key(issue)
}

/// Returns the compensation that issues a voided one again; `None` if it is not voided, if that
/// cancelled the debt (`reissue: None`), if it was issued again already (by one of `others`, or by
/// one that `emitted` lists although a person deleted it), or if its promise is gone, so that
/// nothing could be calculated.
///
/// Its name is that of [`successor_name`].
pub fn successor(
    voided: &Compensation,
    promise: Option<&Promise>,
    others: &[Compensation],
) -> Option<Compensation> {
    let promise = promise?;
    let (issue, next) = next_issue(voided)?;
    let (record, name) = (&voided.spec.record, voided.name_any());
    let reissues = |other: &Compensation| {
        other
            .spec
            .record
            .reissues
            .as_ref()
            .is_some_and(|reissued| reissued.name == name)
    };
    let made = others
        .iter()
        .any(|other| other.name_any() == next || reissues(other));
    if made || promise.emitted.contains(&next) {
        return None;
    }
    let namespace = voided.namespace().unwrap_or_default();
    let record = Record {
        booking_key: booking_key(&namespace, record, issue),
        reissues: Some(ReissueReference { name }),
        ..record.clone()
    };
    Some(object(&next, &namespace, record))
}

#[cfg(test)]
mod tests;
