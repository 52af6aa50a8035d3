//! A printer that answers, lies and fails as the test commands.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::v1alpha1::IppOperation;
use entente_domain::{
    protocol::{IppObject, Place},
    remote::{DeviceReadRequest, DeviceReading, DeviceWrite, Failure, FailureKind, Scalar, Value},
};
use jiff::SignedDuration;

/// A simulated IPP device.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    pub(crate) product: Option<String>,
    pub(crate) uuid: Option<String>,
    pub(crate) values: BTreeMap<Place, Vec<Scalar>>,
    /// Requests through these connections do not arrive.
    pub(crate) cut_off: BTreeSet<String>,
    /// Answers, and says nothing.
    pub(crate) hollow: bool,
    /// Every request fails like this.
    pub(crate) down: Option<FailureKind>,
    /// Accepts these and leaves them as they are.
    pub(crate) ignores: BTreeSet<String>,
    /// Reports that these cannot be set.
    pub(crate) not_settable: BTreeSet<String>,
    /// Refuses any value of these.
    pub(crate) refuses: BTreeSet<String>,
    /// Does not know this operation.
    pub(crate) lacks: Option<IppOperation>,
    /// Busy, and asks to come again after this time.
    pub(crate) busy: Option<SignedDuration>,
    /// Every write fails like this, and asks to come again after a time.
    pub(crate) asks: Option<(FailureKind, SignedDuration)>,
    /// Number of answers to writes that will be lost after the value was accepted.
    pub(crate) lose: u32,
    /// The words of each failure are others.
    pub(crate) chatters: bool,
    /// Writes that were accepted, in order.
    pub(crate) written: Vec<(String, Value)>,
}

/// A failure of which only some leave a doubt.
pub(crate) fn failure(kind: FailureKind, message: &str, doubtful: bool) -> Failure {
    Failure {
        doubtful,
        ..Failure::new(kind, message)
    }
}

impl Printer {
    pub(crate) fn new(product: &str, uuid: &str) -> Self {
        Self {
            product: Some(product.to_owned()),
            uuid: Some(uuid.to_owned()),
            values: BTreeMap::new(),
            cut_off: BTreeSet::new(),
            hollow: false,
            down: None,
            ignores: BTreeSet::new(),
            not_settable: BTreeSet::new(),
            refuses: BTreeSet::new(),
            lacks: None,
            busy: None,
            asks: None,
            lose: 0,
            chatters: false,
            written: Vec::new(),
        }
    }

    /// Sets the result of the last backup, which the device alone knows.
    pub(crate) fn last_run(&mut self, result: &str) {
        let place = Place::ipp(IppOperation::SetPrinterAttributes, "nw-last-run");
        let result = Scalar::Text(result.to_owned());
        self.values.insert(place, vec![result]);
    }

    /// No fault is left.
    pub(crate) fn cure(&mut self) {
        let fresh = Self::new("", "");
        *self = Self {
            product: self.product.take(),
            uuid: self.uuid.take(),
            values: std::mem::take(&mut self.values),
            written: std::mem::take(&mut self.written),
            ..fresh
        };
    }

    fn reach(&self, connection: &str, writing: bool) -> Result<(), Failure> {
        if self.cut_off.contains(connection) {
            return Err(Failure::new(FailureKind::Unreachable, "no answer"));
        }
        if let Some(kind) = self.down {
            return Err(failure(
                kind,
                "no answer",
                writing && kind == FailureKind::TimedOut,
            ));
        }
        let busy = self.busy.map(|wait| (FailureKind::Busy, wait));
        if let Some((kind, retry_after)) = busy.or_else(|| self.asks.filter(|_| writing)) {
            return Err(Failure {
                retry_after: Some(retry_after),
                ..Failure::new(kind, "busy")
            });
        }
        Ok(())
    }

    pub(crate) fn read(
        &self,
        connection: &str,
        request: &DeviceReadRequest,
    ) -> Result<DeviceReading, Failure> {
        self.reach(connection, false)?;
        if self.hollow {
            return Ok(DeviceReading::default());
        }
        let asked = |place: &&Place| request.places.contains(place);
        let values = self.values.iter().filter(|(place, _)| asked(place));
        Ok(DeviceReading {
            product_name: self.product.clone(),
            identity: self
                .uuid
                .clone()
                .map(|uuid| match request.identity.as_ipp() {
                    Some((IppObject::System, _)) => format!("{uuid}/system"),
                    _ => uuid,
                }),
            certificate_sha256: None,
            values: values
                .map(|(place, values)| (place.clone(), values.clone()))
                .collect(),
            ..DeviceReading::default()
        })
    }

    pub(crate) fn write(&mut self, connection: &str, write: &DeviceWrite) -> Result<(), Failure> {
        self.reach(connection, true)?;
        let operation = write.manner.as_ipp().map(|(_, operation)| operation);
        if self.lacks.is_some() && self.lacks == operation {
            return Err(Failure::new(
                FailureKind::Unsupported,
                "operation not supported",
            ));
        }
        let name = write.place.to_string();
        if self.not_settable.contains(&name) {
            return Err(Failure::new(
                FailureKind::RejectedNotSettable,
                "not settable",
            ));
        }
        if self.refuses.contains(&name) {
            return Err(Failure::new(FailureKind::RejectedValue, "value refused"));
        }
        if !self.ignores.contains(&name) {
            self.values
                .insert(write.place.clone(), scalars(&write.value));
            self.written.push((name, write.value.clone()));
        }
        if self.lose > 0 {
            self.lose -= 1;
            return Err(failure(FailureKind::TimedOut, "the answer was lost", true));
        }
        Ok(())
    }
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
