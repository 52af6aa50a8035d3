//! The examples of orders: an order server, a model with supplies and errors, the service that orders them,
//! and the text for the panel.

use super::{NAMESPACE, map, reference, strings};
use crate::v1alpha1::{
    AllowEntry, Connection, ConnectionSpec, DetectedError, Device, DeviceConnection, DeviceModel,
    DeviceModelSpec, DeviceSpec, ErrorOrder, ErrorType, ErrorUnit, ErrorWords, HttpEndpoint,
    MaintenanceWindow, MessageText, MessageTextSpec, OrderWhen, PanelText, Protocol, Selector,
    ServiceOrders, Settle, ShipTo, Site, SiteSpec, SmartService, SmartServiceSpec, Supply,
    SupplyRow, Weekday,
};

/// The Connection to the order server of the example provider.
pub fn northwind_orders() -> Connection {
    Connection::new(
        "northwind-orders",
        ConnectionSpec {
            protocol: Protocol::HTTP,
            http: Some(HttpEndpoint {
                url: "https://orders.northwind.example/".to_owned(),
            }),
            allow: vec![AllowEntry {
                name: "banks".to_owned(),
                namespaces: Selector {
                    match_labels: map(&[("kubernetes.io/metadata.name", NAMESPACE)]),
                    match_expressions: Vec::new(),
                },
                networks: vec!["203.0.113.0/24".to_owned()],
            }],
            ..ConnectionSpec::default()
        },
    )
}

/// A colour device whose toners are ordered when they are empty.
pub fn mfp_520() -> DeviceModel {
    let toner = |colorant: &str, part: &str| {
        supply(&format!("{colorant}-toner"), part, "toner", Some(colorant))
    };
    DeviceModel::new(
        "mfp-520",
        DeviceModelSpec {
            manufacturer: "Northwind".to_owned(),
            product_names: strings(&["Northwind MFP 520"]),
            supplies: vec![
                toner("black", "TN-520K"),
                toner("cyan", "TN-520C"),
                toner("magenta", "TN-520M"),
                toner("yellow", "TN-520Y"),
                supply("waste-toner-box", "WB-520", "wasteToner", None),
            ],
            errors: vec![toner_empty(), waste_box_full(), jam()],
            ..DeviceModelSpec::default()
        },
    )
}

fn supply(name: &str, part: &str, r#type: &str, colorant: Option<&str>) -> Supply {
    Supply {
        name: name.to_owned(),
        part_number: part.to_owned(),
        row: Some(SupplyRow {
            r#type: r#type.to_owned(),
            colorant: colorant.map(str::to_owned),
        }),
    }
}

fn toner_empty() -> ErrorType {
    ErrorType {
        r#type: "TonerEmpty".to_owned(),
        words: ErrorWords {
            state_reasons: strings(&["toner-empty", "marker-supply-empty"]),
            alerts: strings(&["markerTonerEmpty"]),
            detected_errors: vec![DetectedError::NoToner],
        },
        unit: ErrorUnit::Supply,
        settle: Some(Settle {
            begin: "30s".into(),
            end: "10m".into(),
        }),
        order: Some(ErrorOrder::default()),
    }
}

fn waste_box_full() -> ErrorType {
    ErrorType {
        r#type: "WasteBoxFull".to_owned(),
        words: ErrorWords {
            state_reasons: strings(&["marker-waste-full", "marker-waste-toner-receptacle-full"]),
            alerts: strings(&["markerWasteTonerReceptacleFull"]),
            detected_errors: Vec::new(),
        },
        unit: ErrorUnit::Supply,
        settle: None,
        order: Some(ErrorOrder {
            when: OrderWhen::Requested,
            quantity: 1,
        }),
    }
}

fn jam() -> ErrorType {
    ErrorType {
        r#type: "Jam".to_owned(),
        words: ErrorWords {
            state_reasons: strings(&["media-jam"]),
            alerts: strings(&["jam"]),
            detected_errors: vec![DetectedError::Jammed],
        },
        ..ErrorType::default()
    }
}

/// A service that delivers supplies, and needs nothing on the device.
pub fn toner_delivery() -> SmartService {
    SmartService::new(
        "toner-delivery",
        SmartServiceSpec {
            provider: "Northwind".to_owned(),
            description: Some("Toner is ordered when a device reports it empty".to_owned()),
            orders: Some(ServiceOrders {
                connection_ref: reference("northwind-orders"),
            }),
            exclusive_group: Some("consumables".to_owned()),
            ..SmartServiceSpec::default()
        },
    )
}

/// The site of the example devices in Osasco.
pub fn osasco_site() -> Site {
    let text = |text: &str| Some(text.to_owned());
    let mut site = Site::new(
        "osasco-01",
        SiteSpec {
            connections: vec![DeviceConnection {
                name: "hq-ipp".to_owned(),
                ..DeviceConnection::default()
            }],
            time_zone: text("America/Sao_Paulo"),
            language: text("pt-BR"),
            ship_to: Some(ShipTo {
                name: "Banco Sul, Osasco".to_owned(),
                street: "Av. dos Autonomistas 1496".to_owned(),
                postal_code: text("06020-902"),
                city: "Osasco".to_owned(),
                subdivision: text("SP"),
                country: "BR".to_owned(),
                contact: text("Recepção"),
                phone: text("+55 11 5555 0100"),
            }),
            maintenance_windows: vec![MaintenanceWindow {
                days: vec![Weekday::Sat, Weekday::Sun],
                start: "02:00".to_owned(),
                duration: "4h".into(),
            }],
            drift_policy: None,
        },
    );
    site.metadata.namespace = text(NAMESPACE);
    site
}

/// A device of [`osasco_site`], which has its connections.
pub fn osasco_device() -> Device {
    let mut device = Device::new(
        "osasco-colour-mfp",
        DeviceSpec {
            model_ref: reference("mfp-520"),
            site_ref: Some(reference("osasco-01")),
            serial_number: "NW520-0001".to_owned(),
            address: Some("10.20.4.1".to_owned()),
            ..DeviceSpec::default()
        },
    );
    device.metadata.namespace = Some(NAMESPACE.to_owned());
    device
}

/// The text on the panel when a toner was ordered.
pub fn toner_empty_text() -> MessageText {
    let text = |language: &str, text: &str, short: &str| PanelText {
        language: language.to_owned(),
        text: text.to_owned(),
        short: Some(short.to_owned()),
    };
    MessageText::new(
        "toner-empty",
        MessageTextSpec {
            error_type: "TonerEmpty".to_owned(),
            texts: vec![
                text(
                    "en",
                    "{supply} is empty. A new one is ordered: {orderId}",
                    "Ordered {orderId}",
                ),
                text(
                    "pt-BR",
                    "{supply} acabou. Um novo foi pedido: {orderId}",
                    "Pedido {orderId}",
                ),
                text(
                    "ja",
                    "{supply}がなくなりました。注文番号 {orderId}",
                    "注文 {orderId}",
                ),
            ],
            fallback: "en".to_owned(),
        },
    )
}
