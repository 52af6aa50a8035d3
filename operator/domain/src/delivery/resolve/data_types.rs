//! Kinds of data that a service wants from a device, as items (C7).
//!
//! Decides what the device has to send for one service, by the catalogue; what it sends for all of its
//! services together is decided by plan. Called by resolve.

use entente_crds::{
    condition::Reason,
    item_key::ItemKey,
    v1alpha1::{DataType, Protocol, ServiceData, SmartService, WantedDataType},
};
use kube::ResourceExt as _;

use crate::delivery::{
    Blocked, DeviceSnapshot, ResolvedItem, Wanted, WantedData, digest,
    resolve::{
        endpoint::check_usable,
        values::{able_model, connections_of},
    },
};
use crate::unreadable::Referent;

/// Returns the items of the step DataTypes. A service whose data cannot be sent to its provider asks for
/// none.
pub(super) fn data_items(
    snapshot: &DeviceSnapshot,
    service: &SmartService,
) -> Result<Vec<ResolvedItem>, Blocked> {
    let side = service.spec.device.as_ref();
    let wanted = side.map_or(&[][..], |side| &side.data_types);
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(data) = &service.spec.data {
        check_destination(snapshot, data)?;
    }
    let (device, model) = able_model(snapshot, service)?;
    let connections = connections_of(snapshot, device);
    let calling = connections
        .iter()
        .find(|(_, spec)| spec.protocol == Protocol::Agent);
    let name = service.name_any();
    let items = wanted.iter().map(|wanted| {
        let listed = model.spec.data_types.iter();
        let listed = listed.into_iter().find(|it| it.name == wanted.name);
        let key = ItemKey::data_type(&wanted.name);
        let unsupported = |why: String| {
            let message = format!("{key}, which SmartService {name} needs: {why}");
            Blocked::new(Reason::UnsupportedByModel, message)
        };
        let listed = listed.ok_or_else(|| {
            let model = model.name_any();
            unsupported(format!("DeviceModel {model} has no such kind of data"))
        })?;
        let carrier = calling.filter(|_| listed.via.agent.is_some());
        let (connection, _) = carrier.ok_or_else(|| {
            unsupported(
                "no connection of the Device can carry it (via of the DeviceModel)".to_owned(),
            )
        })?;
        let data = wanted_data(listed, wanted).map_err(|why| {
            let message = format!("{key} of SmartService {name}: {why}");
            Blocked::new(Reason::UnsupportedValue, message)
        })?;
        Ok(ResolvedItem {
            digest: digest(&(&data.name, &data.on, data.threshold, data.period.as_secs())),
            key,
            wanted: Wanted::DataType {
                connection: (*connection).into(),
                data,
            },
            conflict: None,
            overridden: false,
        })
    });
    items.collect()
}

/// Judges the Connection of the data of a service.
fn check_destination(snapshot: &DeviceSnapshot, data: &ServiceData) -> Result<(), Blocked> {
    let name = &data.connection_ref.name;
    let connection = snapshot.connections.get(name.as_str());
    let connection = connection.ok_or_else(|| snapshot.not_at_hand(Referent::Connection, name))?;
    check_usable(snapshot, name, connection)?;
    if connection.spec.http.is_none() {
        let message = format!(
            "the Connection {name} of the data is no HTTP server; name one of protocol HTTP"
        );
        return Err(Blocked::new(Reason::UnsupportedValue, message));
    }
    Ok(())
}

fn wanted_data(listed: &DataType, wanted: &WantedDataType) -> Result<WantedData, String> {
    let text = wanted.period.as_ref().unwrap_or(&listed.period);
    let period = text.length().map_err(|fault| format!("period: {fault}"))?;
    let mut on = listed.on.clone();
    on.sort_unstable();
    on.dedup();
    Ok(WantedData {
        name: wanted.name.clone(),
        on,
        threshold: listed.threshold,
        period,
    })
}
