//! Interference of tests and people with a device, behind the back of its clients: faults,
//! restarts, changes at the panel, another machine in its place.
//!
//! Decides whether a change at the panel fits. It never answers a request.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use ipp::value::IppValue;
use serde_json::{Value, json};

use super::{Device, State, serial, up_time, uuid};
use crate::{
    SimulatorError,
    attribute::value_like,
    fault::{Fault, FaultKind, Side},
    ledger::{AttributeValue, Cause, Change, PeerKind},
};

impl Device {
    /// Brings a fault in; one of the same kind and operation is replaced.
    ///
    /// # Errors
    /// [`SimulatorError::Fault`] if no device can have it, [`SimulatorError::Switch`] if the listener
    /// does not close in time.
    pub async fn set_fault(
        self: &Arc<Self>,
        fault: impl Into<Fault>,
    ) -> Result<(), SimulatorError> {
        let fault = fault.into().checked(Side::Device)?;
        match &fault.kind {
            FaultKind::Offline => {
                self.faults.set(fault);
                self.switch.set(false).await
            }
            FaultKind::Reboot {
                offline_milliseconds,
            } if fault.operation.is_none() => {
                self.reboot(Duration::from_millis(*offline_milliseconds))
                    .await
            }
            _ => {
                self.faults.set(fault);
                Ok(())
            }
        }
    }

    /// Clears all faults. A restart under way continues.
    ///
    /// # Errors
    /// [`SimulatorError::Switch`] if the listener does not open in time.
    pub async fn clear_faults(&self) -> Result<(), SimulatorError> {
        self.faults.clear();
        if self.reboots.load(Ordering::Acquire) > 0 {
            return Ok(());
        }
        self.switch.set(true).await
    }

    /// Factory settings, printer-up-time from 1, and offline for a while.
    ///
    /// # Errors
    /// [`SimulatorError::Switch`] if the listener does not close in time.
    pub async fn reboot(self: &Arc<Self>, offline: Duration) -> Result<(), SimulatorError> {
        self.fall_down();
        let closed = self.switch.set(false).await;
        self.come_back(offline);
        closed
    }

    /// The same, started while a request is being answered.
    pub(crate) fn reboot_now(self: &Arc<Self>, offline: Duration) {
        self.fall_down();
        self.switch.want(false);
        self.come_back(offline);
    }

    fn fall_down(&self) {
        self.reboots.fetch_add(1, Ordering::AcqRel);
        let mut state = self.state();
        let changed = state.settings != self.model.factory;
        state.settings.clone_from(&self.model.factory);
        state.message.clear();
        state.displayed.clear();
        state.booted = Instant::now();
        state.config_changed = 1;
        self.note(&state, Cause::Reboot, "reboot", changed, Vec::new());
    }

    fn come_back(self: &Arc<Self>, offline: Duration) {
        let device = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(offline).await;
            let others = device.reboots.fetch_sub(1, Ordering::AcqRel) > 1;
            if !others && !device.faults.offline() {
                device.switch.want(true);
            }
        });
    }

    /// Puts another machine in its place: other printer-uuid and serial number, factory settings.
    pub fn replace_machine(&self) {
        let mut state = self.state();
        state.machine += 1;
        state.uuid = uuid(self.index, state.machine);
        state.serial = serial(self.index, state.machine);
        state.settings.clone_from(&self.model.factory);
        state.changed.clear();
        state.booted = Instant::now();
        state.config_changed = 1;
        self.note(&state, Cause::Panel, "replace-machine", true, Vec::new());
    }

    /// Changes settings, or read-only attributes, as a person at the device (drift). JSON null
    /// removes a value. Either all or none are accepted.
    ///
    /// # Errors
    /// [`SimulatorError::Attribute`] for an unknown name or a value of another syntax.
    pub fn set_attributes(&self, values: &BTreeMap<String, Value>) -> Result<(), SimulatorError> {
        let mut state = self.state();
        let refused = |name: &str, value: &Value| SimulatorError::Attribute {
            device: self.name.to_string(),
            name: name.to_owned(),
            value: value.to_string(),
        };
        let mut settings = state.settings.clone();
        let mut changed = state.changed.clone();
        let mut uuid = Arc::clone(&state.uuid);
        for (name, json) in values {
            if let Some(index) = self.model.settable(name) {
                let syntax = &self.model.settable[index].syntax;
                settings[index] = match json {
                    Value::Null => None,
                    json => Some(syntax.value_of(json).ok_or_else(|| refused(name, json))?),
                };
            } else if json.is_null() {
                changed.remove(name);
            } else {
                let like = self
                    .value(&state, name)
                    .ok_or_else(|| refused(name, json))?;
                let value = value_like(&like, json).ok_or_else(|| refused(name, json))?;
                match (name.as_str(), &value) {
                    ("printer-uuid", IppValue::Uri(text)) => uuid = text.as_str().into(),
                    _ => drop(changed.insert(name.clone(), value)),
                }
            }
        }
        let differs = state.settings != settings || state.changed != changed || state.uuid != uuid;
        if state.settings != settings {
            state.config_changed = up_time(&state);
        }
        (state.settings, state.changed, state.uuid) = (settings, changed, uuid);
        let list = values
            .iter()
            .map(|(n, v)| AttributeValue::new(n.as_str(), v.to_string()));
        self.note(
            &state,
            Cause::Panel,
            "panel-change",
            differs,
            list.collect(),
        );
        Ok(())
    }

    /// Has it report this reason, and so much of its black toner, in percent; its other toners are at 60.
    ///
    /// # Errors
    /// Those of [`Self::set_attributes`].
    pub fn set_black_toner(&self, reason: &str, percent: u8) -> Result<(), SimulatorError> {
        self.set_toners(reason, &[("black", percent)])
    }

    /// Has it report this reason, and so much of these toners, in percent; its other ones are at 60.
    ///
    /// # Errors
    /// Those of [`Self::set_attributes`].
    pub fn set_toners(&self, reason: &str, levels: &[(&str, u8)]) -> Result<(), SimulatorError> {
        let row = |(index, colorant): (usize, &str)| {
            let mut named = levels.iter().filter(|(name, _)| *name == colorant);
            let level = named.next().map_or(60, |(_, percent)| *percent);
            format!(
                "index={};class=supplyThatIsConsumed;type=toner;unit=percent;maxcapacity=100;\
                 level={level};colorantname={colorant};",
                index + 1
            )
        };
        let colorants = ["black", "cyan", "magenta", "yellow"];
        let rows: Vec<String> = colorants.into_iter().enumerate().map(row).collect();
        self.set_attributes(&BTreeMap::from([
            ("printer-state-reasons".to_owned(), json!([reason])),
            ("printer-supply".to_owned(), json!(rows)),
        ]))
    }

    fn note(
        &self,
        state: &State,
        cause: Cause,
        operation: &'static str,
        changed: bool,
        attributes: Vec<AttributeValue>,
    ) {
        self.ledger.append(Change {
            peer: PeerKind::Device,
            cause,
            name: Arc::clone(&self.name),
            key: Arc::clone(&state.uuid),
            operation,
            changed,
            attributes,
        });
    }
}
