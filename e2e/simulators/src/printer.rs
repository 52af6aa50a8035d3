//! One simulated printer: its identity, its settings, its faults.
//!
//! Decides the current values of its attributes. It must not read the network: `ipp_operation` does
//! and calls it. Tests, the fleet and the control interface call it to read and to interfere.

mod interference;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU32},
    time::{Duration, Instant},
};

use ipp::value::{IppDateTime, IppValue};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    attribute::{text, to_json},
    fault::{Fault, Faults},
    ledger::Ledger,
    listener::Switch,
    model::{self, Model},
};

/// Number of displayed messages that a device keeps.
const DISPLAY_LIMIT: usize = 16;

/// Attributes whose value belongs to the one device and moment.
pub(super) const OWN_ATTRIBUTES: [&str; 12] = [
    "printer-uri-supported",
    "printer-name",
    "printer-uuid",
    "printer-device-id",
    "printer-make-and-model",
    "printer-more-info",
    "printer-state",
    "printer-state-reasons",
    "printer-state-message",
    "printer-up-time",
    "printer-current-time",
    "printer-config-change-time",
];

/// The part of a device that changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) uuid: Arc<str>,
    serial: String,
    machine: u32,
    /// One for each settable attribute of the model.
    pub(super) settings: Vec<Option<IppValue>>,
    /// Read-only attributes that were changed at the device.
    pub(super) changed: BTreeMap<String, IppValue>,
    pub(super) message: String,
    booted: Instant,
    config_changed: i32,
    displayed: Vec<String>,
}

/// One simulated printer.
#[derive(Debug)]
pub struct Device {
    pub(super) name: Arc<str>,
    index: usize,
    address: SocketAddr,
    pub(super) paths: Arc<[String]>,
    pub(super) model: Arc<Model>,
    pub(super) latency: Duration,
    pub(super) authorization: Option<Arc<str>>,
    pub(super) ledger: Ledger,
    pub(super) faults: Faults,
    pub(super) switch: Arc<Switch>,
    reboots: AtomicU32,
    state: Mutex<State>,
}

/// A device as the control interface shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceView {
    /// Name in the fleet.
    pub name: String,
    /// IP address and port.
    pub address: SocketAddr,
    /// `ipp:` URI.
    pub uri: String,
    /// printer-uuid.
    pub uuid: String,
    /// Serial number, as in printer-device-id.
    pub serial_number: String,
    /// True if the listener is open.
    pub listening: bool,
    /// Faults in force.
    pub faults: Vec<Fault>,
    /// Settable attributes that have a value, and attributes changed at the device.
    pub attributes: BTreeMap<String, Value>,
    /// The last messages that it was asked to display, oldest first.
    pub displayed: Vec<String>,
}

/// Parts of a device.
pub(super) struct Make {
    pub(super) name: String,
    pub(super) index: usize,
    pub(super) address: SocketAddr,
    pub(super) paths: Arc<[String]>,
    pub(super) model: Arc<Model>,
    pub(super) latency: Duration,
    pub(super) authorization: Option<Arc<str>>,
    pub(super) ledger: Ledger,
}

impl Device {
    pub(super) fn new(make: Make) -> Self {
        let state = State {
            uuid: uuid(make.index, 0),
            serial: serial(make.index, 0),
            machine: 0,
            settings: make.model.factory.clone(),
            changed: BTreeMap::new(),
            message: String::new(),
            booted: Instant::now(),
            config_changed: 1,
            displayed: Vec::new(),
        };
        Self {
            name: make.name.into(),
            index: make.index,
            address: make.address,
            paths: make.paths,
            model: make.model,
            latency: make.latency,
            authorization: make.authorization,
            ledger: make.ledger,
            faults: Faults::default(),
            switch: Arc::new(Switch::new(make.address)),
            reboots: AtomicU32::new(0),
            state: Mutex::new(state),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No operation leaves the state half changed: each applies after it was checked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Name in the fleet.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// IP address and port of the listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `ipp://ADDRESS:PORT/ipp/print`.
    pub fn uri(&self) -> String {
        format!("ipp://{}/ipp/print", self.address)
    }

    /// Returns the printer-uuid of the machine that is there now.
    pub fn uuid(&self) -> String {
        self.state().uuid.to_string()
    }

    /// Serial number of the machine, as printer-device-id carries it.
    pub fn serial_number(&self) -> String {
        self.state().serial.clone()
    }

    /// True if the listener is open.
    pub fn is_listening(&self) -> bool {
        self.switch.is_open()
    }

    /// Returns the messages that it was asked to display (Identify-Printer), oldest first, at most
    /// 16.
    pub fn displayed(&self) -> Vec<String> {
        self.state().displayed.clone()
    }

    /// Returns the value of an attribute that is in effect now; `None` if it has none.
    pub fn attribute(&self, name: &str) -> Option<Value> {
        self.value(&self.state(), name).map(|value| to_json(&value))
    }

    /// Returns the device in the form of the control interface.
    pub fn view(&self) -> DeviceView {
        let state = self.state();
        let settings = self.model.settable.iter().zip(&state.settings);
        let mut attributes: BTreeMap<_, _> = settings
            .filter_map(|(s, value)| Some((s.name.clone(), to_json(value.as_ref()?))))
            .collect();
        attributes.extend(
            state
                .changed
                .iter()
                .map(|(name, value)| (name.clone(), to_json(value))),
        );
        DeviceView {
            name: self.name.to_string(),
            address: self.address,
            uri: self.uri(),
            uuid: state.uuid.to_string(),
            serial_number: state.serial.clone(),
            listening: self.is_listening(),
            faults: self.faults.active(),
            attributes,
            displayed: state.displayed.clone(),
        }
    }

    /// Returns the value of any attribute.
    pub(super) fn value<'a>(&'a self, state: &'a State, name: &str) -> Option<Cow<'a, IppValue>> {
        if let Some(value) = state.changed.get(name) {
            return Some(Cow::Borrowed(value));
        }
        if let Some(index) = self.model.settable(name) {
            return state.settings[index].as_ref().map(Cow::Borrowed);
        }
        if let Some(fixed) = self.model.fixed(name) {
            return Some(Cow::Borrowed(&fixed.value));
        }
        self.own_value(state, name).map(Cow::Owned)
    }

    fn own_value(&self, state: &State, name: &str) -> Option<IppValue> {
        Some(match name {
            "printer-uri-supported" => model::uri(&self.uri()),
            "printer-name" => model::name(&self.name),
            "printer-uuid" => model::uri(&state.uuid),
            "printer-device-id" => text(&self.device_id(state)),
            "printer-make-and-model" => text(&self.model.maker_and_product),
            "printer-more-info" => model::uri(&format!("http://{}/", self.address)),
            "printer-state" => IppValue::Enum(3),
            "printer-state-reasons" => model::keyword("none"),
            "printer-state-message" => text(&state.message),
            "printer-up-time" => IppValue::Integer(up_time(state)),
            "printer-current-time" => IppValue::DateTime(now()),
            "printer-config-change-time" => IppValue::Integer(state.config_changed),
            _ => return None,
        })
    }

    /// IEEE 1284 device id.
    fn device_id(&self, state: &State) -> String {
        let (maker, product) = self
            .model
            .maker_and_product
            .split_once(' ')
            .unwrap_or_default();
        format!("MFG:{maker};MDL:{product};SN:{};", state.serial)
    }
}

impl State {
    pub(super) fn configured(&mut self) {
        self.config_changed = up_time(self);
    }

    pub(super) fn display(&mut self, message: String) {
        if self.displayed.len() == DISPLAY_LIMIT {
            self.displayed.remove(0);
        }
        self.displayed.push(message);
    }
}

/// printer-up-time: seconds since start, from 1 (RFC 8011 section 5.4.29).
fn up_time(state: &State) -> i32 {
    i32::try_from(state.booted.elapsed().as_secs() + 1).unwrap_or(i32::MAX)
}

fn now() -> IppDateTime {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let small = |part: i8| part.unsigned_abs();
    IppDateTime {
        year: now.year().unsigned_abs(),
        month: small(now.month()),
        day: small(now.day()),
        hour: small(now.hour()),
        minutes: small(now.minute()),
        seconds: small(now.second()),
        deci_seconds: u8::try_from(now.millisecond() / 100).unwrap_or(0),
        utc_dir: '+',
        utc_hours: 0,
        utc_mins: 0,
    }
}

fn serial(index: usize, machine: u32) -> String {
    format!("NW{:08}", index + 1 + machine as usize * 1_000_000)
}

/// Returns the same uuid for the same place and machine in every run (RFC 9562 version 8).
fn uuid(index: usize, machine: u32) -> Arc<str> {
    let digest: [u8; 32] = Sha256::digest(format!("simulated printer {index}/{machine}")).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    let mut number = u128::from_be_bytes(bytes);
    number = number & !(0xF << 76) | (0x8 << 76);
    number = number & !(0x3 << 62) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    format!("urn:uuid:{}", parts.join("-")).into()
}
