//! Differences between the revisions of a subscription, in words.

use std::collections::BTreeSet;

use entente_crds::v1alpha1::{
    Fee, Revision, ServiceSubscriptionSpec, SmartService, ValueSource, When,
};
use jiff::Timestamp;

use super::super::moment::Moment;

/// Returns a subscription that does not exist yet: each revision, and what is sent for it.
pub(super) fn described(
    spec: &ServiceSubscriptionSpec,
    service: Option<&SmartService>,
    moment: &dyn Fn(Timestamp) -> Moment,
) -> Vec<String> {
    let revisions = spec.revisions.iter();
    let mut lines: Vec<String> = revisions.map(|it| whole(it, moment)).collect();
    lines.extend(sent(service, None));
    lines
}

/// Returns the differences between a subscription that exists and the wanted one.
pub(super) fn changed(
    before: &ServiceSubscriptionSpec,
    after: &ServiceSubscriptionSpec,
    service: Option<&SmartService>,
    moment: &dyn Fn(Timestamp) -> Moment,
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut parameters = BTreeSet::new();
    let at = |spec: &ServiceSubscriptionSpec, effective| {
        let mut revisions = spec.revisions.iter();
        revisions.find(|it| it.effective == effective).cloned()
    };
    for revision in &after.revisions {
        let from = moment(revision.effective).in_full();
        let same = at(before, revision.effective);
        // A revision that is new changes what is in force before it.
        let earlier = after
            .revisions
            .iter()
            .filter(|it| it.effective < revision.effective);
        let earlier = earlier.max_by_key(|it| it.effective).cloned();
        let is_new = same.is_none();
        let Some(other) = same.or(earlier) else {
            lines.push(whole(revision, moment));
            continue;
        };
        let mut words = differences(&other, revision, &mut parameters);
        if other.until != revision.until && !is_new {
            words.push(match revision.until {
                Some(until) => format!("ends {}", moment(until).in_full()),
                None => "no longer ends".to_owned(),
            });
        }
        if !words.is_empty() {
            lines.push(format!("from {from}: {}", words.join(", ")));
        } else if is_new {
            lines.push(format!("from {from}: goes on as before"));
        }
    }
    for gone in &before.revisions {
        if at(after, gone.effective).is_none() {
            lines.push(format!(
                "no longer from {}",
                moment(gone.effective).in_full()
            ));
        }
    }
    if before.contract.suspend != after.contract.suspend {
        let word = if after.contract.suspend {
            "suspended"
        } else {
            "no longer suspended"
        };
        lines.push(word.to_owned());
    }
    if !parameters.is_empty() {
        lines.extend(sent(service, Some(&parameters)));
    }
    lines
}

fn whole(revision: &Revision, moment: &dyn Fn(Timestamp) -> Moment) -> String {
    let parameters = revision.parameters.iter();
    let parameters: Vec<String> = parameters
        .map(|(name, it)| format!("{name}={it}"))
        .collect();
    let mut words = vec![format!("from {}", moment(revision.effective).in_full())];
    if let Some(until) = revision.until {
        words.push(format!("until {}", moment(until).in_full()));
    }
    words.push(revision.service_ref.name.clone());
    if !parameters.is_empty() {
        words.push(parameters.join(" "));
    }
    let secrets = revision.secret_parameters.iter();
    words.extend(secrets.map(|it| format!("{} from a Secret", it.name)));
    words.extend(revision.fee.as_ref().map(|it| format!("fee {}", price(it))));
    let promise = if revision.promised {
        "promised"
    } else {
        "not promised"
    };
    words.push(promise.to_owned());
    words.join(", ")
}

fn price(fee: &Fee) -> String {
    format!("{} per {:?} of {:?}", fee.amount, fee.per, fee.of)
}

/// Returns the differences of two revisions, and adds the parameters that differ.
fn differences(
    before: &Revision,
    after: &Revision,
    parameters: &mut BTreeSet<String>,
) -> Vec<String> {
    let mut words = Vec::new();
    if before.service_ref != after.service_ref {
        let (old, new) = (&before.service_ref.name, &after.service_ref.name);
        words.push(format!("service {old} -> {new}"));
    }
    let names: BTreeSet<&String> = before
        .parameters
        .keys()
        .chain(after.parameters.keys())
        .collect();
    for name in names {
        let (old, new) = (before.parameters.get(name), after.parameters.get(name));
        if old != new {
            let shown =
                |value: Option<&String>| value.cloned().unwrap_or_else(|| "unset".to_owned());
            words.push(format!("{name} {} -> {}", shown(old), shown(new)));
            parameters.insert(name.clone());
        }
    }
    if before.secret_parameters != after.secret_parameters {
        words.push("other Secrets".to_owned());
    }
    if before.fee != after.fee {
        let shown = |fee: Option<&Fee>| fee.map_or_else(|| "none".to_owned(), price);
        let (old, new) = (shown(before.fee.as_ref()), shown(after.fee.as_ref()));
        words.push(format!("fee {old} -> {new}"));
    }
    for (name, differs) in [
        (
            "another service level",
            before.service_level != after.service_level,
        ),
        ("other remedies", before.remedies != after.remedies),
        (
            "other counted causes",
            before.counted_causes != after.counted_causes,
        ),
        ("other exclusions", before.exclusions != after.exclusions),
        ("another share of the fee", before.share != after.share),
    ] {
        if differs {
            words.push(name.to_owned());
        }
    }
    words
}

/// Returns the settings that are sent for a service: all, or those that read one of the parameters.
fn sent(service: Option<&SmartService>, parameters: Option<&BTreeSet<String>>) -> Vec<String> {
    let Some(service) = service else {
        return Vec::new();
    };
    let reads = |value: &Option<ValueSource>, when: &Option<When>| {
        let value = value.as_ref().and_then(|it| it.parameter.as_deref());
        let when = when.as_ref().map(|it| it.parameter.as_str());
        let mut read = [value, when].into_iter().flatten();
        parameters.is_none_or(|wanted| read.any(|it| wanted.contains(it)))
    };
    let mut lines = Vec::new();
    let device = service.spec.device.iter().flat_map(|it| &it.settings);
    let device = device.filter(|it| reads(&it.value_from, &it.when));
    let device: Vec<&str> = device.map(|it| &*it.name).collect();
    if !device.is_empty() {
        lines.push(format!("sent to the device: {}", device.join(", ")));
    }
    if let Some(server) = &service.spec.server {
        let names = server.settings.iter();
        let names = names.filter(|it| reads(&it.value_from, &it.when));
        let names: Vec<&str> = names.map(|it| &*it.name).collect();
        let to = &server.connection_ref.name;
        if !names.is_empty() {
            lines.push(format!(
                "sent to the service server {to}: {}",
                names.join(", ")
            ));
        } else if parameters.is_none() {
            let offering = &server.offering;
            lines.push(format!(
                "an instance of {offering} at the service server {to}"
            ));
        }
    }
    lines
}
