//! The example services with every option that requirement B8 names, two models of device that can
//! do them, and a contract that chooses every option.
//!
//! They go into `examples/services/`, beside the first example and not into it: their names meet none
//! of its names, and they use its Connections and its namespace. An option is set on the device,
//! on the service server or on both; parts prediction has no server part, so it reaches no server
//! (B4). Called by `generate`, and by the test that reads every value back.

mod customer;
mod models;

use super::catalogue::{WEEKDAYS, fixed, from_parameter, parameter};
use super::{reference, strings};
use crate::v1alpha1::{
    Acceptance, Activation, ContractFact, DeviceFact, DeviceSide, Parameter, Proof, ServerSetting,
    ServerSide, SmartService, SmartServiceSpec, Updates, ValueSource, ValueType, WantedSetting,
    When,
};

pub use self::{
    customer::{contract, devices},
    models::{mfp_320, mfp_700},
};

/// All example services, in the order in which requirement B8 names them.
pub fn services() -> Vec<SmartService> {
    vec![
        device_backup(),
        parts_prediction(),
        consumables_delivery(),
        document_cloud(),
        failure_prediction(),
        remote_maintenance(),
        usage_reports(),
    ]
}

/// A service that works once the device reports a backup that succeeded.
fn device_backup() -> SmartService {
    let mode = [("Full", "full"), ("Differential", "differential")];
    let mut service = service(
        "device-backup",
        "Backup of address book and settings at a fixed period or on weekdays",
        vec![
            switch("enabled", "false"),
            number("period-hours", 8_760, "168"),
            Parameter {
                name: "weekdays".to_owned(),
                r#type: ValueType::KeywordSet,
                allowed: strings(&WEEKDAYS),
                default: Some("sun".to_owned()),
                ..Parameter::default()
            },
            word("mode", &["Full", "Differential"], "Full"),
        ],
        vec![
            from_parameter("backup.enabled", "enabled", &[]),
            fixed("backup.endpoint", "https://backup.northwind.example/v1"),
            from_parameter("backup.period-hours", "period-hours", &[]),
            from_parameter("backup.weekdays", "weekdays", &[]),
            from_parameter("backup.mode", "mode", &mode),
        ],
    );
    service.spec.acceptance = Some(Acceptance {
        setting: "backup.last-run".to_owned(),
        equals: "ok".to_owned(),
        within: "1h".into(),
    });
    with_server(
        service,
        "data-backup",
        vec![
            at("enabled", "/schedule/enabled"),
            at("period-hours", "/schedule/periodHours"),
            at("weekdays", "/schedule/weekdays"),
            at("mode", "/mode"),
        ],
    )
}

/// The service without a server part: the device alone tells its users.
fn parts_prediction() -> SmartService {
    service(
        "parts-prediction",
        "Notice at the device before a part wears out, for each unit on or off",
        vec![
            switch("drum", "true"),
            switch("fuser", "false"),
            switch("feeder", "true"),
            number("threshold", 100, "20"),
        ],
        vec![
            fixed("alert.enabled", "true"),
            from_parameter("alert.drum", "drum", &[]),
            from_parameter("alert.fuser", "fuser", &[]),
            from_parameter("alert.feeder", "feeder", &[]),
            from_parameter("alert.threshold", "threshold", &[]),
        ],
    )
}

/// The payment method is the server's alone, and wanted only while delivery is on.
fn consumables_delivery() -> SmartService {
    let payment = ServerSetting {
        when: Some(When {
            parameter: "enabled".to_owned(),
            r#in: strings(&["true"]),
        }),
        ..at("payment", "/billing/method")
    };
    let service = service(
        "consumables-delivery",
        "Consumables before they run out",
        vec![
            switch("enabled", "false"),
            number("threshold", 100, "10"),
            word(
                "payment",
                &["Invoice", "DirectDebit", "CreditCard"],
                "Invoice",
            ),
        ],
        vec![
            from_parameter("supplies.enabled", "enabled", &[]),
            from_parameter("supplies.threshold", "threshold", &[]),
        ],
    );
    with_server(
        service,
        "consumables-delivery",
        vec![
            at("enabled", "/enabled"),
            at("threshold", "/threshold"),
            payment,
        ],
    )
}

fn document_cloud() -> SmartService {
    let deletion = [("Never", "never"), ("AfterBackup", "after-backup")];
    let mut service = service(
        "document-cloud",
        "Documents kept in the cloud, and deleted on the device when they are there",
        vec![
            switch("automatic-backup", "false"),
            word("deletion", &["Never", "AfterBackup"], "Never"),
        ],
        vec![
            fixed("cloud.enabled", "true"),
            fixed("cloud.endpoint", "https://cloud.northwind.example/v1"),
            from_parameter("cloud.automatic-backup", "automatic-backup", &[]),
            from_parameter("cloud.deletion", "deletion", &deletion),
        ],
    );
    if let Some(device) = &mut service.spec.device {
        device.models = vec![reference("mfp-700").into()];
    }
    with_server(
        service,
        "document-cloud",
        vec![
            at("automatic-backup", "/automaticBackup"),
            at("deletion", "/deletion"),
        ],
    )
}

fn failure_prediction() -> SmartService {
    let service = service(
        "failure-prediction",
        "Notice of a failure some days before it is likely",
        vec![number("days-ahead", 30, "7")],
        vec![
            fixed("prediction.enabled", "true"),
            from_parameter("prediction.days-ahead", "days-ahead", &[]),
        ],
    );
    with_server(
        service,
        "failure-prediction",
        vec![at("days-ahead", "/daysAhead")],
    )
}

fn remote_maintenance() -> SmartService {
    let access = [("Diagnose", "diagnose"), ("Repair", "repair")];
    let service = service(
        "remote-maintenance",
        "Diagnosis and repair from afar",
        vec![word("access", &["Diagnose", "Repair"], "Diagnose")],
        vec![from_parameter("maintenance.access", "access", &access)],
    );
    with_server(
        service,
        "remote-maintenance",
        vec![
            at("access", "/access"),
            fact(
                "timeZone",
                ValueSource {
                    device: Some(DeviceFact::TimeZone),
                    ..ValueSource::default()
                },
            ),
        ],
    )
}

fn usage_reports() -> SmartService {
    let period = [
        ("Daily", "daily"),
        ("Weekly", "weekly"),
        ("Monthly", "monthly"),
    ];
    let service = service(
        "usage-reports",
        "Reports of pages and supplies",
        vec![word("period", &["Daily", "Weekly", "Monthly"], "Monthly")],
        vec![
            fixed("usage.enabled", "true"),
            from_parameter("usage.period", "period", &period),
        ],
    );
    with_server(service, "usage-reports", vec![at("period", "/period")])
}

fn service(
    name: &str,
    description: &str,
    parameters: Vec<Parameter>,
    settings: Vec<WantedSetting>,
) -> SmartService {
    SmartService::new(
        name,
        SmartServiceSpec {
            provider: "Northwind".to_owned(),
            description: Some(description.to_owned()),
            parameters,
            device: Some(DeviceSide {
                models: Vec::new(),
                settings,
                ..DeviceSide::default()
            }),
            ..SmartServiceSpec::default()
        },
    )
}

/// Returns the service with a server part that names the device and the customer, and that is turned
/// on last.
fn with_server(
    mut service: SmartService,
    offering: &str,
    mut settings: Vec<ServerSetting>,
) -> SmartService {
    settings.push(fact(
        "device",
        ValueSource {
            device: Some(DeviceFact::SerialNumber),
            ..ValueSource::default()
        },
    ));
    settings.push(fact(
        "customer",
        ValueSource {
            contract: Some(ContractFact::CustomerID),
            ..ValueSource::default()
        },
    ));
    service.spec.server = Some(ServerSide {
        connection_ref: reference("northwind-services"),
        offering: offering.to_owned(),
        plan: "standard".to_owned(),
        updates: Updates::Merge,
        proof: Proof::Read,
        settings,
        activation: Some(Activation {
            name: "active".to_owned(),
            active: "true".to_owned(),
            inactive: "false".to_owned(),
        }),
    });
    service
}

/// Returns a setting of the server that has its value from the parameter of its name.
fn at(name: &str, pointer: &str) -> ServerSetting {
    ServerSetting {
        name: name.to_owned(),
        pointer: Some(pointer.to_owned()),
        value_from: Some(parameter(name, &[])),
        ..ServerSetting::default()
    }
}

fn fact(name: &str, source: ValueSource) -> ServerSetting {
    ServerSetting {
        name: name.to_owned(),
        value_from: Some(source),
        ..ServerSetting::default()
    }
}

fn switch(name: &str, default: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        r#type: ValueType::Boolean,
        default: Some(default.to_owned()),
        ..Parameter::default()
    }
}

fn number(name: &str, maximum: i64, default: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        r#type: ValueType::Integer,
        minimum: Some(1),
        maximum: Some(maximum),
        default: Some(default.to_owned()),
        ..Parameter::default()
    }
}

fn word(name: &str, allowed: &[&str], default: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        r#type: ValueType::Keyword,
        allowed: strings(allowed),
        default: Some(default.to_owned()),
        ..Parameter::default()
    }
}
