//! Promises of every driver of devices, as checks.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use entente_crds::v1alpha1::{IppOperation, IppSyntax};
use entente_domain::protocol::{IppObject, Manner, Place};
use entente_domain::remote::{
    DeviceReadRequest, DeviceReading, DeviceWrite, FailureKind, Scalar, Value,
};
use tokio::time::Instant;

use super::{Report, Verdict, ensure, fit_to_show, ill, well};
use crate::device::{DeviceDriver, DeviceTarget};

type Checked = Result<Verdict, String>;

/// An attribute that no device has.
const NO_SUCH_ATTRIBUTE: &str = "entente-no-such-attribute";
/// Time after its timeout within which a request must be given up, on a busy machine.
const MARGIN: Duration = Duration::from_secs(5);

/// One IPP attribute and a value for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SettingWrite {
    /// The attribute.
    pub attribute: String,
    /// The syntax of its value.
    pub syntax: IppSyntax,
    /// The value.
    pub value: Value,
}

impl SettingWrite {
    /// Returns the write of it by an operation.
    pub fn by(&self, operation: IppOperation) -> DeviceWrite {
        DeviceWrite {
            place: Place::ipp(operation, &self.attribute),
            manner: Manner::Ipp {
                syntax: self.syntax,
                operation,
            },
            value: self.value.clone(),
        }
    }
}

/// Returns a probe of a printer: its identity, by this attribute, and nothing else.
pub fn ipp_probe(identity_attribute: &str) -> DeviceReadRequest {
    DeviceReadRequest {
        identity: Place::Ipp {
            object: IppObject::Printer,
            attribute: identity_attribute.to_owned(),
        },
        places: BTreeSet::new(),
    }
}

/// A device under test, and its means.
#[async_trait]
pub trait DeviceSubject: Send + Sync {
    /// Returns its name for the report.
    fn name(&self) -> &str;

    /// Returns the driver under judgement.
    fn driver(&self) -> &dyn DeviceDriver;

    /// Returns its address, for the driver.
    fn target(&self) -> DeviceTarget;

    /// Returns the attribute with its identity; empty if it has none.
    fn identity_attribute(&self) -> String {
        "printer-uuid".to_owned()
    }

    /// Returns the operation that sets its attributes.
    fn operation(&self) -> IppOperation {
        IppOperation::SetPrinterAttributes
    }

    /// Returns the place of the value with this name; by default that of an attribute of IPP.
    fn place(&self, name: &str) -> Place {
        Place::ipp(self.operation(), name)
    }

    /// Returns the place of its identity.
    fn identity_place(&self) -> Place {
        ipp_probe(&self.identity_attribute()).identity
    }

    /// Returns the write of a setting.
    fn write(&self, setting: &SettingWrite) -> DeviceWrite {
        setting.by(self.operation())
    }

    /// Returns a setting that takes effect, with two different values.
    fn settable(&self) -> Option<(SettingWrite, SettingWrite)> {
        None
    }

    /// Returns a setting for which it reports success and does nothing.
    fn accepted_without_effect(&self) -> Option<SettingWrite> {
        None
    }

    /// Returns a setting that it refuses, and the kinds of failure that are right for it.
    fn refused(&self) -> Option<(SettingWrite, Vec<FailureKind>)> {
        None
    }

    /// Returns the same remote side at an address without a device.
    fn elsewhere(&self) -> Option<DeviceTarget> {
        None
    }

    /// True if the driver opens sockets, so that networks matter.
    fn dials(&self) -> bool {
        true
    }

    /// Makes it hang: it keeps its socket and answers nothing. Returns false if that cannot be
    /// done.
    async fn freeze(&self) -> bool {
        false
    }

    /// Ends the hanging.
    async fn thaw(&self) {}

    /// Stops it for good: nothing listens any more. Returns false if that cannot be done.
    async fn stop(&self) -> bool {
        false
    }
}

/// Runs every check on a device. It is stopped at the end, if possible.
pub async fn judge_device(subject: &dyn DeviceSubject) -> Report {
    let mut report = Report::new(subject.name());
    report.record(
        "a probe tells who the device is and nothing else",
        probe(subject).await,
    );
    report.record(
        "a reading holds only what was asked for",
        only_asked(subject).await,
    );
    report.record(
        "a setting that was sent is read back",
        takes_effect(subject).await,
    );
    report.record("the same value again is accepted", again(subject).await);
    report.record(
        "success without effect is seen by reading back",
        no_effect(subject).await,
    );
    report.record(
        "a refused setting has a reason and changes nothing",
        refused(subject).await,
    );
    report.record(
        "a device that is not there is not made by asking",
        absent(subject).await,
    );
    report.record(
        "an address outside the networks is not dialled",
        networks(subject).await,
    );
    report.record(
        "a device that hangs is given up in time",
        hangs(subject).await,
    );
    report.record(
        "a device that is gone is unreachable, without a doubt",
        gone(subject).await,
    );
    report
}

async fn read(subject: &dyn DeviceSubject, names: &[&str]) -> Result<DeviceReading, String> {
    let request = request(subject, names);
    well(
        "a reading",
        subject.driver().observe(&subject.target(), &request).await,
    )
}

fn request(subject: &dyn DeviceSubject, names: &[&str]) -> DeviceReadRequest {
    DeviceReadRequest {
        places: names.iter().map(|name| subject.place(name)).collect(),
        identity: subject.identity_place(),
    }
}

async fn write(subject: &dyn DeviceSubject, setting: &SettingWrite) -> Result<(), String> {
    let write = subject.write(setting);
    well(
        "a write",
        subject.driver().apply(&subject.target(), &write).await,
    )
}

/// True if these are the values of that wish. The order of words means nothing.
fn shows(found: Option<&Vec<Scalar>>, wanted: &Value) -> bool {
    let Some(found) = found else { return false };
    match wanted {
        Value::Text(text) => *found == [Scalar::Text(text.clone())],
        Value::Secret(secret) => *found == [Scalar::Text(secret.expose().to_owned())],
        Value::Integer(number) => *found == [Scalar::Integer(*number)],
        Value::Boolean(truth) => *found == [Scalar::Boolean(*truth)],
        Value::Words(words) => {
            let found: BTreeSet<&Scalar> = found.iter().collect();
            let words: BTreeSet<Scalar> = words.iter().cloned().map(Scalar::Text).collect();
            found == words.iter().collect()
        }
    }
}

async fn probe(subject: &dyn DeviceSubject) -> Checked {
    let first = read(subject, &[]).await?;
    ensure(first.values.is_empty(), || {
        format!("values without asking: {first:?}")
    })?;
    ensure(first.product_name.is_some(), || "no model".to_owned())?;
    if !subject.identity_attribute().is_empty() {
        ensure(first.identity.is_some(), || "no identity".to_owned())?;
    }
    let second = read(subject, &[]).await?;
    ensure(first == second, || {
        format!("two probes differ: {first:?}, {second:?}")
    })?;
    Ok(Verdict::Passed)
}

async fn only_asked(subject: &dyn DeviceSubject) -> Checked {
    let Some((setting, _)) = subject.settable() else {
        let reading = read(subject, &[NO_SUCH_ATTRIBUTE]).await?;
        let found = reading.values;
        ensure(found.is_empty(), || format!("{found:?}"))?;
        return Ok(Verdict::Passed);
    };
    write(subject, &setting).await?;
    let reading = read(subject, &[&setting.attribute, NO_SUCH_ATTRIBUTE]).await?;
    let places: Vec<&Place> = reading.values.keys().collect();
    ensure(places == [&subject.place(&setting.attribute)], || {
        format!("these came back: {places:?}")
    })?;
    Ok(Verdict::Passed)
}

async fn takes_effect(subject: &dyn DeviceSubject) -> Checked {
    let Some((first, second)) = subject.settable() else {
        return Ok(Verdict::Skipped("it has no setting that takes effect"));
    };
    for setting in [&first, &second] {
        write(subject, setting).await?;
        let reading = read(subject, &[&setting.attribute]).await?;
        let found = reading.values.get(&subject.place(&setting.attribute));
        ensure(shows(found, &setting.value), || {
            format!("{:?} was sent and {found:?} read back", setting.value)
        })?;
    }
    Ok(Verdict::Passed)
}

async fn again(subject: &dyn DeviceSubject) -> Checked {
    let Some((setting, _)) = subject.settable() else {
        return Ok(Verdict::Skipped("it has no setting that takes effect"));
    };
    write(subject, &setting).await?;
    write(subject, &setting).await?;
    let reading = read(subject, &[&setting.attribute]).await?;
    let found = reading.values.get(&subject.place(&setting.attribute));
    ensure(shows(found, &setting.value), || format!("{found:?}"))?;
    Ok(Verdict::Passed)
}

async fn no_effect(subject: &dyn DeviceSubject) -> Checked {
    let Some(setting) = subject.accepted_without_effect() else {
        return Ok(Verdict::Skipped("it has no setting that it ignores"));
    };
    let before = read(subject, &[&setting.attribute]).await?;
    write(subject, &setting).await?;
    let after = read(subject, &[&setting.attribute]).await?;
    ensure(before == after, || format!("{before:?} became {after:?}"))?;
    let found = after.values.get(&subject.place(&setting.attribute));
    ensure(!shows(found, &setting.value), || {
        "it took effect after all".to_owned()
    })?;
    Ok(Verdict::Passed)
}

async fn refused(subject: &dyn DeviceSubject) -> Checked {
    let Some((setting, kinds)) = subject.refused() else {
        return Ok(Verdict::Skipped("it has no setting that it refuses"));
    };
    let before = read(subject, &[&setting.attribute]).await?;
    let target = subject.target();
    let result = subject
        .driver()
        .apply(&target, &subject.write(&setting))
        .await;
    let failure = ill("the write", result)?;
    ensure(kinds.contains(&failure.kind), || format!("{failure:?}"))?;
    ensure(!failure.doubtful, || {
        format!("a refusal leaves no doubt: {failure:?}")
    })?;
    fit_to_show(&failure, &target.url)?;
    let after = read(subject, &[&setting.attribute]).await?;
    ensure(before == after, || format!("{before:?} became {after:?}"))?;
    Ok(Verdict::Passed)
}

async fn absent(subject: &dyn DeviceSubject) -> Checked {
    let Some(target) = subject.elsewhere() else {
        return Ok(Verdict::Skipped("it answers at every path"));
    };
    for _ in 0..2 {
        let result = subject
            .driver()
            .observe(&target, &request(subject, &[]))
            .await;
        let failure = ill("the reading", result)?;
        let known = [FailureKind::ProtocolError, FailureKind::Unreachable];
        ensure(known.contains(&failure.kind) && !failure.doubtful, || {
            format!("{failure:?}")
        })?;
        fit_to_show(&failure, &target.url)?;
    }
    Ok(Verdict::Passed)
}

async fn networks(subject: &dyn DeviceSubject) -> Checked {
    if !subject.dials() {
        return Ok(Verdict::Skipped("it opens no sockets"));
    }
    let mut target = subject.target();
    let mut profile = (*target.profile).clone();
    let elsewhere = "192.0.2.0/24"
        .parse()
        .map_err(|_| "a network that cannot be read")?;
    profile.networks = vec![elsewhere];
    target.profile = profile.into();
    let result = subject
        .driver()
        .observe(&target, &request(subject, &[]))
        .await;
    let failure = ill("the reading", result)?;
    ensure(failure.kind == FailureKind::AddressNotAllowed, || {
        format!("{failure:?}")
    })?;
    ensure(!failure.doubtful, || format!("{failure:?}"))?;
    Ok(Verdict::Passed)
}

async fn hangs(subject: &dyn DeviceSubject) -> Checked {
    if !subject.freeze().await {
        return Ok(Verdict::Skipped("it cannot be made to hang"));
    }
    let target = subject.target();
    let begun = Instant::now();
    let result = subject
        .driver()
        .observe(&target, &request(subject, &[]))
        .await;
    let took = begun.elapsed();
    subject.thaw().await;
    let failure = ill("the reading", result)?;
    let known = [FailureKind::TimedOut, FailureKind::Unreachable];
    ensure(known.contains(&failure.kind) && !failure.doubtful, || {
        format!("{failure:?}")
    })?;
    let bound = target.profile.request_timeout + MARGIN;
    ensure(took <= bound, || format!("it took {took:?} of {bound:?}"))?;
    comes_back(subject, bound).await
}

/// Waits until a device that hung answers again.
async fn comes_back(subject: &dyn DeviceSubject, patience: Duration) -> Checked {
    let deadline = Instant::now() + patience;
    loop {
        match read(subject, &[]).await {
            Ok(_) => return Ok(Verdict::Passed),
            Err(seen) if Instant::now() >= deadline => {
                return Err(format!("it did not come back: {seen}"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn gone(subject: &dyn DeviceSubject) -> Checked {
    if !subject.stop().await {
        return Ok(Verdict::Skipped("it cannot be stopped"));
    }
    let target = subject.target();
    let asked = request(subject, &[]);
    let mut failure = ill(
        "the reading",
        subject.driver().observe(&target, &asked).await,
    )?;
    if failure.kind == FailureKind::ProtocolError {
        // The connection of the previous request was still being closed; that happens once.
        let again = subject.driver().observe(&target, &asked).await;
        failure = ill("the second reading", again)?;
    }
    ensure(
        failure.kind == FailureKind::Unreachable && !failure.doubtful,
        || format!("{failure:?}"),
    )?;
    fit_to_show(&failure, &target.url)?;
    let Some((setting, _)) = subject.settable() else {
        return Ok(Verdict::Passed);
    };
    let result = subject
        .driver()
        .apply(&target, &subject.write(&setting))
        .await;
    let failure = ill("the write", result)?;
    ensure(
        failure.kind == FailureKind::Unreachable && !failure.doubtful,
        || format!("{failure:?}"),
    )?;
    Ok(Verdict::Passed)
}
