//! A printer that answers, lies and fails as it is told.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::v1alpha1::IppOperation;
use entente_domain::exchange::{
    DeviceReadRequest, DeviceReading, DeviceWrite, Failure, FailureKind, Scalar, Value,
};
use jiff::SignedDuration;

/// A simulated IPP device.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    pub(crate) product: Option<String>,
    pub(crate) uuid: Option<String>,
    pub(crate) attributes: BTreeMap<String, Vec<Scalar>>,
    /// Those of the System Service of its host.
    pub(crate) system_attributes: BTreeMap<String, Vec<Scalar>>,
    /// Every request fails like this.
    pub(crate) down: Option<FailureKind>,
    /// Accepts these and leaves them as they are.
    pub(crate) ignores: BTreeSet<String>,
    /// Says that these cannot be set.
    pub(crate) not_settable: BTreeSet<String>,
    /// Refuses any value of these.
    pub(crate) refuses: BTreeSet<String>,
    /// Does not know this operation.
    pub(crate) lacks: Option<IppOperation>,
    /// Busy, and asks to come again after this time.
    pub(crate) busy: Option<SignedDuration>,
    /// So many answers to writes get lost after the value was taken.
    pub(crate) lose: u32,
    /// What was written, in order.
    pub(crate) written: Vec<(String, Value)>,
}

pub(crate) fn failure(kind: FailureKind, message: &str, doubtful: bool) -> Failure {
    Failure {
        kind,
        message: message.to_owned(),
        retry_after: None,
        doubtful,
    }
}

impl Printer {
    pub(crate) fn new(product: &str, uuid: &str) -> Self {
        Self {
            product: Some(product.to_owned()),
            uuid: Some(uuid.to_owned()),
            attributes: BTreeMap::new(),
            system_attributes: BTreeMap::new(),
            down: None,
            ignores: BTreeSet::new(),
            not_settable: BTreeSet::new(),
            refuses: BTreeSet::new(),
            lacks: None,
            busy: None,
            lose: 0,
            written: Vec::new(),
        }
    }

    /// No fault is left.
    pub(crate) fn cure(&mut self) {
        let fresh = Self::new("", "");
        *self = Self {
            product: self.product.take(),
            uuid: self.uuid.take(),
            attributes: std::mem::take(&mut self.attributes),
            system_attributes: std::mem::take(&mut self.system_attributes),
            written: std::mem::take(&mut self.written),
            ..fresh
        };
    }

    fn reach(&self, writing: bool) -> Result<(), Failure> {
        if let Some(kind) = self.down {
            return Err(failure(
                kind,
                "no answer",
                writing && kind == FailureKind::TimedOut,
            ));
        }
        if let Some(retry_after) = self.busy {
            return Err(Failure {
                retry_after: Some(retry_after),
                ..failure(FailureKind::Busy, "busy", false)
            });
        }
        Ok(())
    }

    pub(crate) fn read(&self, request: &DeviceReadRequest) -> Result<DeviceReading, Failure> {
        self.reach(false)?;
        Ok(DeviceReading {
            product_name: self.product.clone(),
            identity: self.uuid.clone(),
            certificate_sha256: None,
            attributes: of(&self.attributes, &request.attributes),
            system_attributes: of(&self.system_attributes, &request.system_attributes),
        })
    }

    pub(crate) fn write(&mut self, write: &DeviceWrite) -> Result<(), Failure> {
        self.reach(true)?;
        if self.lacks == Some(write.operation) {
            return Err(failure(
                FailureKind::Unsupported,
                "operation not supported",
                false,
            ));
        }
        for setting in &write.settings {
            if self.not_settable.contains(&setting.attribute) {
                return Err(failure(
                    FailureKind::RejectedNotSettable,
                    "not settable",
                    false,
                ));
            }
            if self.refuses.contains(&setting.attribute) {
                return Err(failure(FailureKind::RejectedValue, "value refused", false));
            }
        }
        for setting in &write.settings {
            if !self.ignores.contains(&setting.attribute) {
                let attributes = if write.operation.is_of_system() {
                    &mut self.system_attributes
                } else {
                    &mut self.attributes
                };
                attributes.insert(setting.attribute.clone(), scalars(&setting.value));
                self.written
                    .push((setting.attribute.clone(), setting.value.clone()));
            }
        }
        if self.lose > 0 {
            self.lose -= 1;
            return Err(failure(FailureKind::TimedOut, "the answer was lost", true));
        }
        Ok(())
    }
}

/// Those that were asked for.
fn of(
    attributes: &BTreeMap<String, Vec<Scalar>>,
    asked: &BTreeSet<String>,
) -> BTreeMap<String, Vec<Scalar>> {
    attributes
        .iter()
        .filter(|(name, _)| asked.contains(*name))
        .map(|(name, values)| (name.clone(), values.clone()))
        .collect()
}

pub(crate) fn scalars(value: &Value) -> Vec<Scalar> {
    match value {
        Value::Text(text) => vec![Scalar::Text(text.clone())],
        Value::Secret(secret) => vec![Scalar::Text(secret.expose().to_owned())],
        Value::Integer(number) => vec![Scalar::Integer(*number)],
        Value::Boolean(truth) => vec![Scalar::Boolean(*truth)],
        // The device gives sets in an order of its own.
        Value::Words(words) => words.iter().rev().cloned().map(Scalar::Text).collect(),
    }
}
