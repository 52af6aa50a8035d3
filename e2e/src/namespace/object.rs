//! The catalogue and the devices of a namespace, made from the examples that users are given.
//!
//! Decides names, loopback networks and short retries, nothing else. Tests change the fields that
//! they need before they apply an object.

use std::collections::BTreeMap;

use entente_crds::example;
use entente_crds::v1alpha1::{
    AgentEndpoint, AllowEntry, Connection, ConnectionSpec, Device, DeviceConnection,
    DeviceEnrollment, DeviceEnrollmentSpec, DeviceModel, DeviceModelSpec, DeviceSetting,
    DeviceSpec, HttpEndpoint, IdentitySource, IppEndpoint, IppIdentity, LocalReference,
    NameReference, OsbEndpoint, Protocol, Retry, Selector, ServiceOrders, SmartService,
    SmartServiceSpec, SnmpEndpoint,
};
use kube::{Resource, ResourceExt as _};

use super::TestNamespace;

/// Label of catalogue objects: the namespace they belong to.
pub(crate) const LABEL: &str = "test-namespace";

impl TestNamespace<'_> {
    /// Returns the Connection `devices` to simulated devices on that port.
    pub fn device_connection(&self, port: u16) -> Connection {
        self.ipp_connection("devices", &format!("ipp://{{address}}:{port}/ipp/print"))
    }

    /// Returns a Connection to IPP devices; every address on loopback is allowed to this namespace.
    pub fn ipp_connection(&self, name: &str, url: &str) -> Connection {
        let ipp = IppEndpoint {
            url: url.to_owned(),
            ports: Vec::new(),
        };
        self.connection(
            name,
            ConnectionSpec {
                protocol: Protocol::IPP,
                ipp: Some(ipp),
                ..ConnectionSpec::default()
            },
        )
    }

    /// Returns a Connection to SNMP agents at that port, by version 3.
    pub fn snmp_connection(&self, name: &str, port: u16) -> Connection {
        let snmp = SnmpEndpoint {
            port: port.into(),
            ..SnmpEndpoint::default()
        };
        self.connection(
            name,
            ConnectionSpec {
                protocol: Protocol::SNMP,
                snmp: Some(snmp),
                ..ConnectionSpec::default()
            },
        )
    }

    /// Returns a Connection to a service broker: `broker`.
    pub fn broker_connection(&self, url: &str) -> Connection {
        let osb = OsbEndpoint {
            url: url.to_owned(),
            ..OsbEndpoint::default()
        };
        self.connection(
            "broker",
            ConnectionSpec {
                protocol: Protocol::OSB,
                osb: Some(osb),
                ..ConnectionSpec::default()
            },
        )
    }

    /// Returns the Connection `files` to the server of a vendor.
    pub fn file_connection(&self, url: &str) -> Connection {
        self.http_connection("files", url)
    }

    /// Returns the Connection `inbox` to the inbox of a provider.
    pub fn inbox_connection(&self, url: &str) -> Connection {
        self.http_connection("inbox", url)
    }

    /// Returns the Connection `devices` to devices behind a settings distribution server.
    pub fn settings_connection(&self, url: &str) -> Connection {
        self.http_connection("devices", url)
    }

    /// Returns the Connection `orders` to an order server.
    pub fn order_connection(&self, url: &str) -> Connection {
        self.http_connection("orders", url)
    }

    /// Returns the SmartService `supplies`, which orders through the Connection `orders` and does nothing
    /// else.
    pub fn supplies(&self) -> SmartService {
        let spec = SmartServiceSpec {
            provider: "Northwind".to_owned(),
            orders: Some(ServiceOrders {
                connection_ref: self.reference("orders"),
            }),
            ..SmartServiceSpec::default()
        };
        self.labelled(SmartService::new(&self.named("supplies"), spec))
    }

    fn http_connection(&self, name: &str, url: &str) -> Connection {
        let http = HttpEndpoint {
            url: url.to_owned(),
        };
        self.connection(
            name,
            ConnectionSpec {
                protocol: Protocol::HTTP,
                http: Some(http),
                ..ConnectionSpec::default()
            },
        )
    }

    /// Returns the Connection `gateway`, whose gateway is at a URL and is called each `poll`.
    pub fn gateway_connection(&self, url: &str, poll: &str) -> Connection {
        let agent = AgentEndpoint {
            url: url.to_owned(),
            region: "here".to_owned(),
            poll: poll.into(),
            before: "1s".into(),
            ..AgentEndpoint::default()
        };
        let mut connection = self.connection(
            "gateway",
            ConnectionSpec {
                protocol: Protocol::Agent,
                agent: Some(agent),
                ..ConnectionSpec::default()
            },
        );
        connection.spec.retry = None;
        connection.spec.allow[0].networks.clear();
        connection
    }

    /// Returns a Device of the example model that calls the Connection `gateway`.
    pub fn calling_device(&self, name: &str, serial_number: &str) -> Device {
        let mut device = self.device_at(name, "127.0.0.1", serial_number);
        device.spec.address = None;
        device.spec.connections = vec![DeviceConnection {
            name: self.named("gateway"),
            ..DeviceConnection::default()
        }];
        device
    }

    /// Returns an enrolment for Devices that exist, with the token of the Secret of its name.
    pub fn enrollment(&self, name: &str) -> DeviceEnrollment {
        let mut enrollment = DeviceEnrollment::new(
            name,
            DeviceEnrollmentSpec {
                connection_ref: self.reference("gateway"),
                token_secret_ref: LocalReference {
                    name: name.to_owned(),
                },
                ..DeviceEnrollmentSpec::default()
            },
        );
        enrollment.metadata.namespace = Some(self.name.clone());
        enrollment
    }

    fn connection(&self, name: &str, mut spec: ConnectionSpec) -> Connection {
        spec.allow = vec![AllowEntry {
            name: "loopback".to_owned(),
            namespaces: Selector {
                match_labels: labels("kubernetes.io/metadata.name", &self.name),
                match_expressions: Vec::new(),
            },
            networks: vec!["127.0.0.0/8".to_owned()],
        }];
        spec.retry = Some(Retry {
            initial: "200ms".into(),
            max: "1s".into(),
        });
        self.labelled(Connection::new(&self.named(name), spec))
    }

    /// Returns the example model, with the names of every simulated device: `mfp-500`.
    pub fn model(&self) -> DeviceModel {
        self.labelled(DeviceModel::new(
            &self.named("mfp-500"),
            example::mfp_500().spec,
        ))
    }

    /// Returns a model of one setting for a product that somebody else makes, which identifies itself
    /// by printer-uuid.
    pub fn model_of(&self, name: &str, product: &str, setting: DeviceSetting) -> DeviceModel {
        let spec = DeviceModelSpec {
            manufacturer: "as it introduces itself".to_owned(),
            product_names: vec![product.to_owned()],
            identity: Some(IdentitySource {
                ipp: Some(IppIdentity {
                    attribute: "printer-uuid".to_owned(),
                }),
                ..IdentitySource::default()
            }),
            settings: vec![setting],
            ..DeviceModelSpec::default()
        };
        self.labelled(DeviceModel::new(&self.named(name), spec))
    }

    /// Returns the example service with settings on both sides and an activation: `data-backup`.
    pub fn backup(&self) -> SmartService {
        let mut spec = example::data_backup().spec;
        if let Some(device) = &mut spec.device {
            device.models = vec![self.reference("mfp-500").into()];
        }
        if let Some(server) = &mut spec.server {
            server.connection_ref = self.reference("broker");
        }
        self.labelled(SmartService::new(&self.named("data-backup"), spec))
    }

    /// Returns the example service that needs the device only: `parts-life`.
    pub fn parts(&self) -> SmartService {
        let mut spec = example::parts_life().spec;
        if let Some(device) = &mut spec.device {
            device.models = vec![self.reference("mfp-500").into()];
        }
        self.labelled(SmartService::new(&self.named("parts-life"), spec))
    }

    /// Returns the Device of a simulated device, under its name.
    pub fn device(&self, simulated: &entente_simulators::Device) -> Device {
        self.device_at(
            simulated.name(),
            &simulated.address().ip().to_string(),
            &simulated.serial_number(),
        )
    }

    /// Returns a Device of the example model, reached by the Connection `devices`.
    pub fn device_at(&self, name: &str, address: &str, serial_number: &str) -> Device {
        let mut device = Device::new(
            name,
            DeviceSpec {
                model_ref: self.reference("mfp-500"),
                serial_number: serial_number.to_owned(),
                address: Some(address.to_owned()),
                connections: vec![DeviceConnection {
                    name: self.named("devices"),
                    ..DeviceConnection::default()
                }],
                ..DeviceSpec::default()
            },
        );
        device.metadata.namespace = Some(self.name.clone());
        device
    }

    /// Returns a reference to a catalogue object of this namespace.
    pub fn reference(&self, name: &str) -> NameReference {
        NameReference {
            name: self.named(name),
        }
    }

    /// Marks a catalogue object as one of this namespace, for the dump of a failing test.
    pub fn labelled<K: Resource>(&self, mut object: K) -> K {
        object
            .labels_mut()
            .insert(LABEL.to_owned(), self.name.clone());
        object
    }
}

fn labels(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}
