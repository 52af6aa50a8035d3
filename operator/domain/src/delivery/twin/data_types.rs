//! The kinds of data in the twin of a device, as a reading.
//!
//! Decides nothing: what the device says that it sends, and what it was asked to send. Called by the twin.

use entente_crds::v1alpha1::{DeviceTwin, DeviceTwinStatus};

use crate::remote::DataReading;

/// Returns the kinds of data that a device sends and was asked for.
pub(super) fn data(
    twin: &DeviceTwin,
    status: &DeviceTwinStatus,
    has_taken_note: bool,
) -> DataReading {
    let reported = status.reported.iter().flat_map(|it| &it.data_types);
    let sent = reported.map(|it| {
        let period = it.period.as_ref();
        (it.name.to_string(), period.and_then(|it| it.length().ok()))
    });
    let asked = twin.spec.data_types.iter();
    let asked = asked.filter_map(|it| Some((it.name.clone(), it.period.length().ok()?)));
    DataReading {
        sent: sent.collect(),
        asked: asked.collect(),
        has_taken_note,
    }
}
