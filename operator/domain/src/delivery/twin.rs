//! A device that calls, as one more remote side: its twin is what it should hold and what it said.
//!
//! Decides what a twin tells of the device, as a reading, and what its spec has to be after a request.
//! A value is in effect only when the device reported it; that the device fetched it is no proof. Asks
//! nobody. Called by execute in place of a driver, and by plan.

use std::collections::BTreeSet;

use entente_crds::digest::Digest;
use entente_crds::v1alpha1::{
    AgentEndpoint, Device, DeviceModelSpec, DeviceSetting, DeviceTwin, DeviceTwinSpec,
    DeviceTwinStatus, RefusedBecause, RefusedSetting, ReportedSetting, SecretKeyReference,
    TwinDataType, TwinDevice, TwinMessage, TwinNext, TwinRegistration, TwinSetting, ValueType,
};
use entente_crds::{LABEL_DEVICE, LABEL_MANAGED_BY, MANAGED_BY};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource as _, ResourceExt as _};

use crate::{
    bounded::Token,
    delivery::{Action, InstallationOrder, ServedItem},
    gateway::{admission::is_withdrawn, poll::Rhythm},
    protocol::Place,
    remote::{
        AskedState, AskedValue, DeviceReading, DeviceWrite, Failure, FailureKind, Scalar, Value,
    },
    secret::{Redactions, Secrets},
};

mod data_types;
mod deployment;
mod status_report;

pub(in crate::delivery) use self::status_report::{past_reports, replaced, status_report};

/// A change of what a device that calls should hold.
#[derive(Clone, Copy, Debug)]
pub struct TwinChange<'a> {
    /// The values that it is asked to take, each with the items that are served.
    pub writes: &'a [(DeviceWrite, Vec<ServedItem>)],
    /// The settings that nobody wants any more: they are not controlled from now on.
    pub released: &'a BTreeSet<String>,
    /// The change that comes next.
    pub next: Option<&'a TwinNext>,
    /// The change of the installation that it is asked for, if there is one.
    pub installation: Option<&'a InstallationOrder>,
    /// The instant at which it should call.
    pub call_at: Option<Timestamp>,
    /// The kinds of data that it should send.
    pub data_types: &'a [TwinDataType],
    /// Items that these serve and that are asked for now.
    pub data_items: &'a [ServedItem],
    /// The messages that it should show.
    pub messages: &'a [TwinMessage],
}

impl<'a> TwinChange<'a> {
    /// Returns the change that an action asks for; `None` of one that writes no twin.
    pub fn of(action: &'a Action) -> Option<Self> {
        let Action::WriteTwin {
            writes,
            released,
            next,
            installation,
            call_at,
            data_types,
            data_items,
            messages,
            ..
        } = action
        else {
            return None;
        };
        Some(Self {
            writes,
            released,
            next: next.as_ref(),
            installation: installation.as_ref(),
            call_at: *call_at,
            data_types,
            data_items,
            messages,
        })
    }
}

/// Returns the reading of a device that calls.
///
/// # Errors
/// It has not registered, has not called for too long, or its owner has withdrawn the consent.
pub fn reading(
    twin: Option<&DeviceTwin>,
    device: &Device,
    model: Option<&DeviceModelSpec>,
    (agent, secrets): (&AgentEndpoint, &Secrets),
    now: Timestamp,
) -> Result<DeviceReading, Failure> {
    let redactions = Redactions::new(secrets.texts());
    let twin = twin.filter(|twin| is_of(twin, device));
    let status = twin.and_then(|twin| twin.status.as_ref());
    let registration = status.and_then(|status| status.registration.as_ref());
    let (Some(twin), Some(status), Some(registration)) = (twin, status, registration) else {
        return Err(not_registered(
            "the device has not registered at the gateway yet",
        ));
    };
    check(device, registration)?;
    let silent_from = silent_from(status, registration, agent);
    if silent_from.is_some_and(|from| from <= now) {
        let message = "the device has not called for longer than it may";
        return Err(Failure::new(FailureKind::NotHeardOf, message));
    }
    let mut reading = DeviceReading {
        product_name: Some(registration.product_name.to_string()),
        identity: registration.uuid.as_deref().map(str::to_owned),
        software: deployment::software(twin, &redactions),
        data: Box::new(data_types::data(twin, status, has_taken_note(twin, status))),
        is_unreported: is_unreported(status),
        silent_from,
        ..DeviceReading::default()
    };
    let settings = model.map_or(&[][..], |model| &model.settings);
    for (key, setting) in settings.iter().filter_map(with_key) {
        let place = Place::Agent {
            key: key.to_owned(),
        };
        if let Some(reported) = reported(status, key) {
            let text = text_of(twin, reported);
            let values = scalars(setting.r#type, reported.digest, text);
            if text.is_some_and(|text| redactions.reveal(text)) {
                reading.private.insert(place.clone());
            }
            reading.values.insert(place.clone(), values);
        }
        if let Some(asked) = asked(twin, status, key, &redactions) {
            reading.asked.insert(place, asked);
        }
    }
    Ok(reading)
}

/// True if a twin is that of this very Device, and not of an earlier one of its name.
pub fn is_of(twin: &DeviceTwin, device: &Device) -> bool {
    let meant = twin.spec.device_ref.as_ref().map(|it| it.uid.as_str());
    meant.is_some() && meant == device.metadata.uid.as_deref()
}

/// True if the machine that registered is the one that a Device names, in the spelling of a status: a
/// serial number with unseen characters is a digest there.
pub(crate) fn is_machine_of(registration: &TwinRegistration, device: &Device) -> bool {
    let named: Token<64> = device.spec.serial_number.as_str().into();
    registration.serial_number == named
}

fn not_registered(message: &str) -> Failure {
    Failure::new(FailureKind::NotRegistered, message)
}

/// Refuses a registration that is not that of the machine which the Device means, or that counts no
/// longer.
fn check(device: &Device, registration: &TwinRegistration) -> Result<(), Failure> {
    if !is_machine_of(registration, device) {
        return Err(not_registered(
            "a machine with another serial number than spec.serialNumber has registered",
        ));
    }
    if is_withdrawn(registration) {
        let message = "the owner of the device has withdrawn the consent to its connection";
        return Err(Failure::new(FailureKind::ConsentWithdrawn, message));
    }
    Ok(())
}

/// True if a device has not said yet which settings it has: a registration and DDI tell of its software
/// alone, and what it has has to be kept before it is asked for anything else.
fn is_unreported(status: &DeviceTwinStatus) -> bool {
    let reported = status.reported.as_ref();
    reported.is_none_or(|it| it.version.is_none() && it.settings.is_empty())
}

/// Returns the instant from which the device counts as not heard of: by the period that it was last told,
/// since it cannot know of another one before it calls. The gateway writes when it was heard at most twice
/// in each period, hence the half.
fn silent_from(
    status: &DeviceTwinStatus,
    registration: &TwinRegistration,
    agent: &AgentEndpoint,
) -> Option<Timestamp> {
    let told = status.poll_seconds.filter(|told| *told > 0);
    let poll = told.map_or_else(|| Rhythm::of(agent).period, SignedDuration::from_secs);
    let missed = poll.checked_mul(agent.missed_polls)?;
    let heard = status.last_heard.unwrap_or(registration.at);
    heard.checked_add(missed.checked_add(poll / 2)?).ok()
}

/// Returns a setting with the device's own name, if a device that calls can carry it.
fn with_key(setting: &DeviceSetting) -> Option<(&str, &DeviceSetting)> {
    let agent = setting.via.agent.as_ref()?;
    Some((&agent.key, setting))
}

fn reported<'a>(status: &'a DeviceTwinStatus, key: &str) -> Option<&'a ReportedSetting> {
    let settings = status.reported.iter().flat_map(|it| &it.settings);
    settings.into_iter().find(|it| *it.name == *key)
}

/// Returns the text that a device reports. A status has a digest in place of a text with unseen
/// characters; the one of a text that the device was asked for is that text.
fn text_of<'a>(twin: &'a DeviceTwin, reported: &'a ReportedSetting) -> Option<&'a str> {
    let found = reported.value.as_ref()?;
    let settings = twin.spec.settings.iter();
    let asked = settings.filter(|it| it.name == *reported.name);
    let mut asked = asked.filter_map(|it| it.value.as_deref());
    let same = asked.find(|asked| {
        let spelt = Token::from(*asked);
        spelt == *found
    });
    Some(same.unwrap_or(found))
}

/// Returns a reported text, or the digest of a secret, as values of the type of its setting.
fn scalars(r#type: ValueType, digest: Option<Digest>, text: Option<&str>) -> Vec<Scalar> {
    if let Some(digest) = digest {
        return vec![Scalar::Digest(digest)];
    }
    let Some(text) = text else {
        return vec![Scalar::Other("another secret".to_owned())];
    };
    let malformed = |wanted: &str| Scalar::Malformed(format!("\"{text}\" is no {wanted}"));
    match r#type {
        ValueType::Integer => vec![
            text.parse()
                .map_or_else(|_| malformed("whole number"), Scalar::Integer),
        ],
        ValueType::Boolean => vec![
            text.parse()
                .map_or_else(|_| malformed("\"true\" or \"false\""), Scalar::Boolean),
        ],
        ValueType::KeywordSet => {
            let words = text.split(',').map(str::trim);
            let words = words.filter(|word| !word.is_empty());
            words.map(|word| Scalar::Text(word.to_owned())).collect()
        }
        ValueType::String | ValueType::Keyword | ValueType::Secret => {
            vec![Scalar::Text(text.to_owned())]
        }
    }
}

/// Returns the value that the device was asked to take for a setting, and what became of that.
fn asked(
    twin: &DeviceTwin,
    status: &DeviceTwinStatus,
    key: &str,
    redactions: &Redactions,
) -> Option<AskedValue> {
    let mut settings = twin.spec.settings.iter();
    let asked = settings.find(|it| it.name == key)?;
    let refused = status.reported.iter().flat_map(|it| &it.refused);
    let refused = refused.into_iter().find(|it| *it.name == *key);
    let state = if has_taken_note(twin, status) {
        match refused {
            Some(refused) => AskedState::Refused(failure_of(refused, redactions)),
            None if was_given(status, asked) => AskedState::Taken,
            None => AskedState::Missed,
        }
    } else {
        AskedState::Waiting
    };
    Some(AskedValue {
        text: asked.value.clone(),
        digest: asked.digest,
        state,
    })
}

/// True if the value that a device was asked to take was in the version that it has taken note of. Of a
/// Secret the gateway gives the value of then.
fn was_given(status: &DeviceTwinStatus, asked: &TwinSetting) -> bool {
    if asked.secret_key_ref.is_none() {
        return true;
    }
    let read = status.reported.as_ref().and_then(|it| it.version);
    let mut given = status.given.iter();
    given.any(|it| it.name == *asked.name && Some(it.version) == read && it.digest == asked.digest)
}

/// True if the device has reported since it read the newest version of its twin.
fn has_taken_note(twin: &DeviceTwin, status: &DeviceTwinStatus) -> bool {
    let read = status.reported.as_ref().and_then(|it| it.version);
    read.is_some_and(|read| Some(read) >= twin.metadata.generation)
}

fn failure_of(refused: &RefusedSetting, redactions: &Redactions) -> Failure {
    let (kind, why) = match refused.reason {
        RefusedBecause::ReadOnly => (FailureKind::RejectedNotSettable, "cannot be set"),
        RefusedBecause::InvalidValue => (FailureKind::RejectedValue, "does not take this value"),
        RefusedBecause::Unsupported => (FailureKind::Unsupported, "is not there"),
        RefusedBecause::Busy => (FailureKind::Busy, "cannot be set now"),
    };
    let name = &refused.name;
    Failure::new(
        kind,
        match refused.message.as_deref() {
            Some(words) => {
                let words = redactions.hide(words);
                format!("the device says that {name} {why}: \"{words}\"")
            }
            None => format!("the device says that {name} {why}"),
        },
    )
}

/// Returns the spec that the twin of a device has after a change. It is the present one if there is
/// nothing to change.
pub fn wanted_spec(
    twin: Option<&DeviceTwin>,
    device: &Device,
    change: TwinChange<'_>,
    secrets: &Secrets,
) -> DeviceTwinSpec {
    let present = twin.map(|twin| &twin.spec);
    let mut settings: Vec<TwinSetting> = present
        .map(|spec| spec.settings.clone())
        .unwrap_or_default();
    settings.retain(|setting| !change.released.contains(&setting.name));
    // A value that the device has taken note of, and that it does not have, is asked for once more.
    let again = twin
        .and_then(|twin| Some(has_taken_note(twin, twin.status.as_ref()?)))
        .unwrap_or_default();
    for (write, _) in change.writes {
        let Some(new) = setting_of(write, secrets) else {
            continue;
        };
        let known = settings.iter_mut().find(|it| it.name == new.name);
        match known {
            Some(known) if is_same(known, &new) => {
                known.asked = known.asked.saturating_add(i32::from(again));
            }
            Some(known) => *known = new,
            None => settings.push(new),
        }
    }
    settings.sort_by(|one, other| one.name.cmp(&other.name));
    DeviceTwinSpec {
        device_ref: Some(TwinDevice {
            name: device.metadata.name.clone().unwrap_or_default(),
            uid: device.metadata.uid.clone().unwrap_or_default(),
        }),
        settings,
        data_types: change.data_types.to_vec(),
        messages: change.messages.to_vec(),
        next: change.next.cloned(),
        deployment: deployment::after(twin, change.installation),
        call_at: change.call_at,
    }
}

/// Returns a twin that is to be made for a device. It goes with the device.
pub fn new_twin(device: &Device, spec: DeviceTwinSpec) -> DeviceTwin {
    let mut twin = DeviceTwin::new(&device.name_any(), spec);
    twin.metadata.namespace = device.namespace();
    twin.metadata.owner_references = device.controller_owner_ref(&()).map(|owner| {
        vec![OwnerReference {
            // It holds up no deletion.
            block_owner_deletion: None,
            ..owner
        }]
    });
    twin.metadata.labels = Some(
        [
            (LABEL_MANAGED_BY.to_owned(), MANAGED_BY.to_owned()),
            (LABEL_DEVICE.to_owned(), device.name_any()),
        ]
        .into(),
    );
    twin
}

fn is_same(known: &TwinSetting, new: &TwinSetting) -> bool {
    let parts = |it: &TwinSetting| (it.value.clone(), it.secret_key_ref.clone(), it.digest);
    parts(known) == parts(new)
}

/// Returns the setting of a twin by which a device is asked for a value; `None` for a value that is
/// not carried by a call.
pub(in crate::delivery) fn setting_of(
    write: &DeviceWrite,
    secrets: &Secrets,
) -> Option<TwinSetting> {
    let name = write.place.as_agent()?.to_owned();
    let (value, secret_key_ref, digest) = match &write.value {
        Value::Secret(secret) => match reference_of(secrets, &write.value) {
            Some(reference) => (None, Some(reference.clone()), Some(secret.digest())),
            // It stands in the catalogue, where everybody can read it.
            None => (Some(secret.expose().to_owned()), None, None),
        },
        other => (other.text(), None, None),
    };
    Some(TwinSetting {
        name,
        value,
        secret_key_ref,
        digest,
        asked: 1,
    })
}

/// Returns the Secret that a value comes from.
fn reference_of<'a>(secrets: &'a Secrets, value: &Value) -> Option<&'a SecretKeyReference> {
    let Value::Secret(wanted) = value else {
        return None;
    };
    let mut all = secrets.0.iter();
    all.find_map(|(reference, found)| {
        let is_it = found.as_ref().is_ok_and(|found| found == wanted);
        is_it.then_some(reference)
    })
}

#[cfg(test)]
mod tests;
