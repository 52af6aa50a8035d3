//! The example of a device that is reached through a settings distribution server.

use super::{NAMESPACE, banco_sul_2027, customer::backup_entry, map, reference, strings};
use crate::v1alpha1::{
    AllowEntry, Connection, ConnectionSpec, Contract, ContractSpec, Credentials, CredentialsType,
    Device, DeviceConnection, DeviceSpec, Devices, HttpEndpoint, LocalReference, Protocol,
    Selector,
};

/// The Connection of the server through which the example device gets its settings.
pub fn northwind_settings() -> Connection {
    Connection::new(
        "northwind-settings",
        ConnectionSpec {
            protocol: Protocol::HTTP,
            http: Some(HttpEndpoint {
                url: "https://settings.northwind.example".to_owned(),
            }),
            allow: vec![AllowEntry {
                name: "banks".to_owned(),
                namespaces: Selector {
                    match_labels: map(&[("kubernetes.io/metadata.name", NAMESPACE)]),
                    match_expressions: Vec::new(),
                },
                networks: strings(&["203.0.113.0/24"]),
            }],
            credentials: Some(Credentials {
                r#type: CredentialsType::Bearer,
                secret_ref: Some(LocalReference {
                    name: "northwind-settings".to_owned(),
                }),
                ..Credentials::default()
            }),
            ..ConnectionSpec::default()
        },
    )
}

/// A device of the model mfp-500 that only the server of its maker reaches.
pub fn branch_04_mfp() -> Device {
    let mut device = Device::new(
        "branch-04-mfp",
        DeviceSpec {
            model_ref: reference("mfp-500"),
            serial_number: "NW500-0104".to_owned(),
            connections: vec![DeviceConnection {
                name: "northwind-settings".to_owned(),
                ..DeviceConnection::default()
            }],
            time_zone: Some("America/Sao_Paulo".to_owned()),
            ..DeviceSpec::default()
        },
    );
    device.metadata.namespace = Some(NAMESPACE.to_owned());
    device
}

/// A contract of the nightly backup on [`branch_04_mfp`].
pub fn branch_04_contract() -> Contract {
    let whole = banco_sul_2027();
    let mut backup = backup_entry();
    backup.devices = Devices {
        names: strings(&["branch-04-mfp"]),
        ..Devices::default()
    };
    let mut contract = Contract::new(
        "banco-sul-branch-04",
        ContractSpec {
            customer: whole.spec.customer,
            currency: whole.spec.currency,
            term: whole.spec.term,
            services: vec![backup],
            ..ContractSpec::default()
        },
    );
    contract.metadata.namespace = Some(NAMESPACE.to_owned());
    contract
}
