//! The service whose data the devices send: its catalogue, its contracts, and the devices' part of it.
//!
//! It measures nothing. Called by this bench.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use entente_crds::v1alpha1::{
    AgentData, Connection, Contract, DataType, DataVia, DeviceModel, DeviceSide, LocalReference,
    ServiceData, SmartService, Tls, Trust, WantedDataType,
};
use entente_e2e::namespace;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use super::super::device::Device;
use super::super::fleet::{AT_ONCE, AUTHORITY, Fleet};
use super::super::line::Server;
use super::super::problem;
use crate::customer::{MOST_NAMES, contract_name, unlimited, until_delivered};
use crate::{BenchError, namespace_failed, say, within};

/// Name of the service, of its entry in each contract, and of the kind of data that it wants.
const SERVICE: &str = "supply-levels";
const ENTRY: &str = "supplies";
pub(super) const KIND: &str = "supplies.level";
/// The longest time for which a device holds a request, in seconds.
const WAIT: u64 = 60;
/// Number of times that it reads until it is asked for data.
const TRIES: usize = 20;

/// Applies the inbox of the provider, a model whose devices can send the kind, and the service.
pub(super) async fn apply(
    fleet: &Fleet<'_>,
    own: &str,
    inbox: SocketAddr,
) -> Result<(), BenchError> {
    let namespace = &fleet.namespace;
    let authority = std::fs::read_to_string(fleet.gateway.certificate()).map_err(problem)?;
    let mut trusted = ConfigMap {
        data: Some(BTreeMap::from([("ca.crt".to_owned(), authority)])),
        ..ConfigMap::default()
    };
    trusted.metadata.name = Some(AUTHORITY.to_owned());
    trusted.metadata.namespace = Some(own.to_owned());
    let applied = namespace.apply(&trusted).await;
    applied.map_err(namespace_failed)?;
    let mut connection = unlimited(namespace.file_connection(&format!("https://{inbox}")));
    connection.spec.tls = Some(Tls {
        trust: Trust::Verify,
        ca_config_map_ref: Some(LocalReference {
            name: AUTHORITY.to_owned(),
        }),
        server_name: None,
    });
    let applied = namespace.apply::<Connection>(&connection).await;
    applied.map_err(namespace_failed)?;
    let mut model = namespace.model();
    model.spec.data_types = vec![DataType {
        name: KIND.to_owned(),
        period: "24h".into(),
        via: DataVia {
            agent: Some(AgentData {}),
        },
        ..DataType::default()
    }];
    let applied = namespace.apply::<DeviceModel>(&model).await;
    applied.map_err(namespace_failed)?;
    let applied = namespace.apply(&service(fleet)).await;
    applied.map_err(namespace_failed)?;
    fleet.until_quiet().await
}

fn service(fleet: &Fleet<'_>) -> SmartService {
    let namespace = &fleet.namespace;
    let mut service = SmartService::new(&namespace.named(SERVICE), namespace.parts().spec);
    service.spec.parameters.clear();
    service.spec.device = Some(DeviceSide {
        models: vec![namespace.reference("mfp-500").into()],
        data_types: vec![WantedDataType {
            name: KIND.to_owned(),
            period: None,
        }],
        ..DeviceSide::default()
    });
    service.spec.data = Some(ServiceData {
        connection_ref: namespace.reference("files"),
        path: "/v1/events".to_owned(),
    });
    namespace.labelled(service)
}

/// Applies the contracts of all devices, lets each report that it sends the kind, and waits until the
/// service is on everywhere.
pub(super) async fn deliver(fleet: &mut Fleet<'_>) -> Result<(), BenchError> {
    let namespace = &fleet.namespace;
    let start = namespace::now();
    let mut contracts = Vec::new();
    for (number, part) in fleet.devices.chunks(MOST_NAMES).enumerate() {
        let names: Vec<&str> = part.iter().map(|device| &*device.name).collect();
        let entry = namespace.entry(ENTRY, SERVICE, &names, "15m");
        let contract = namespace.contract(&contract_name(number), start, vec![entry]);
        let applied = namespace.apply::<Contract>(&contract).await;
        contracts.push(applied.map_err(namespace_failed)?);
    }
    let devices = std::mem::take(&mut fleet.devices);
    let all = devices.len();
    say(&format!("  {all} devices are asked for data"));
    let reported = stream::iter(devices)
        .map(|device| report(device, &fleet.server))
        .buffered(AT_ONCE)
        .try_collect();
    let reported = tokio::time::timeout(within(all), reported).await;
    fleet.devices = reported.map_err(|_| BenchError::Late {
        what: "the devices do not send the kind that is wanted".to_owned(),
        within: within(all),
    })??;
    until_delivered(&fleet.namespace, &contracts, 0, within(all)).await?;
    fleet.until_quiet().await
}

/// Lets a device report the kind once it is asked for it.
async fn report(mut device: Device, server: &Server) -> Result<Device, BenchError> {
    for _ in 0..TRIES {
        let (twin, _) = device.hold(server, WAIT).await?;
        if !twin.as_ref().is_some_and(is_asked) {
            continue;
        }
        let kinds = json!([{"name": KIND, "period": "PT24H"}]);
        let patch = json!({"desiredVersion": device.version(), "dataTypes": kinds});
        // Not taken if the document has moved on: it asks for the kind again then.
        if device.report(server, &patch).await? {
            device.hang_up();
            return Ok(device);
        }
    }
    Err(problem(format!("{} is not asked for {KIND}", device.name)))
}

/// True if a document asks for the kind.
fn is_asked(twin: &Value) -> bool {
    let kinds = twin["desired"]["dataTypes"].as_array();
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["name"] == KIND))
}

/// Returns the name of the subscription of a device, by its place among all.
pub(super) fn application_id(number: usize, device: &str) -> String {
    let contract = contract_name(number / MOST_NAMES);
    format!("{contract}.{ENTRY}.{device}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_asks_for_the_kind_by_its_name() {
        let twin = |name: &str| json!({"desired": {"dataTypes": [{"name": name}]}});
        assert!(is_asked(&twin(KIND)));
        assert!(!is_asked(&twin("counters.total")));
        assert!(!is_asked(&json!({"desired": {}})));
    }

    #[test]
    fn a_subscription_is_named_after_the_contract_of_its_device() {
        assert_eq!(application_id(0, "mfp-00000"), "fleet-0.supplies.mfp-00000");
        assert_eq!(
            application_id(MOST_NAMES, "mfp-01000"),
            "fleet-1.supplies.mfp-01000"
        );
    }
}
