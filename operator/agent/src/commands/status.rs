//! `entente-agent status`: the files of a device, for a person. Values of secrets and tokens are not
//! shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
    process::ExitCode,
};

use super::{Result, text};
use crate::{
    activation::is_switched,
    api::DataType,
    device::{OUTBOX, PANEL, SERVICES, SOFTWARE, STATE, TWIN, WITHDRAWAL, Withdrawal},
    events::{Counts, Outbox},
    panel::{Page, framed},
    services::Kept,
    software::Installed,
    state::State,
    store::Store,
    table::table,
    twin::Held,
};

/// Prints the status of the device in a folder.
pub(super) fn print(folder: &Path) -> Result {
    if !folder.is_dir() {
        return Err(format!("{}: there is no such folder", folder.display()));
    }
    let store = Store::open(folder).map_err(text)?;
    let state: State = store.read(STATE).map_err(text)?.unwrap_or_default();
    let held: Held = store.read(TWIN).map_err(text)?.unwrap_or_default();
    let services: Vec<Kept> = store.read(SERVICES).map_err(text)?.unwrap_or_default();
    let installed: Installed = store.read(SOFTWARE).map_err(text)?.unwrap_or_default();
    let withdrawal: Option<Withdrawal> = store.read(WITHDRAWAL).map_err(text)?;
    let outbox: Outbox = store.read(OUTBOX).map_err(text)?.unwrap_or_default();
    let pages: Vec<Page> = store.read(PANEL).map_err(text)?.unwrap_or_default();
    let mut rows = device(&state, withdrawal.as_ref());
    rows.extend(events(&outbox));
    let mut parts = vec![table(&["DEVICE", ""], &rows)];
    parts.extend(pages.iter().map(framed));
    if !outbox.errors.is_empty() {
        let heading = ["ERROR", "OF", "SINCE", "ORDER", "PAGES"];
        parts.push(table(&heading, &errors(&outbox)));
    }
    if !services.is_empty() {
        let heading = [
            "SERVICE",
            "HERE",
            "BY",
            "STATE",
            "MISSING",
            "ANSWER",
            "APPLICATION",
            "DESCRIPTION",
        ];
        parts.push(table(&heading, &of_services(&services)));
    }
    if !held.in_effect.is_empty() || !held.desired.is_empty() {
        let heading = ["SETTING", "IN EFFECT", "BY", "WANTED"];
        parts.push(table(&heading, &settings(&held)));
    }
    let rows = data_types(&held, &outbox);
    if !rows.is_empty() {
        let heading = [
            "DATA", "SENT", "EACH", "WAITING", "TAKEN", "REFUSED", "DROPPED", "ON",
        ];
        parts.push(table(&heading, &rows));
    }
    if !installed.running.is_empty() || installed.staged.is_some() {
        let heading = ["SOFTWARE", "RUNS", "AFTER A RESTART"];
        parts.push(table(&heading, &software(&installed)));
    }
    print!("{}", parts.join("\n"));
    Ok(ExitCode::SUCCESS)
}

fn device(state: &State, withdrawal: Option<&Withdrawal>) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    if let Some(region) = &state.region {
        let until = region.valid_until;
        row("region", format!("{} (until {until:.0})", region.region));
    }
    if let Some(gateway) = &state.gateway {
        row("gateway", gateway.clone());
    }
    match (withdrawal, &state.consent) {
        (Some(withdrawal), _) => {
            let told = if withdrawal.confirmed {
                ""
            } else {
                ", the gateway is not told yet"
            };
            let (by, at) = (withdrawal.by, withdrawal.at);
            row("consent", format!("withdrawn by {by:?} at {at:.0}{told}"));
        }
        (None, Some(consent)) => {
            let (by, at, version) = (consent.by, consent.at, &consent.text_version);
            row("consent", format!("{by:?}, {at:.0}, text {version}"));
        }
        (None, None) => row("consent", "none".into()),
    }
    match (&state.registration, &state.attempt) {
        (Some(registered), _) => {
            let (device, namespace) = (&registered.device, &registered.namespace);
            row("registered", format!("{device} of {namespace}"));
            row("printer id", registered.printer_id.clone());
        }
        (None, Some(attempt)) if attempt.pending.is_some() => {
            row("registered", "waits for somebody to permit it".into());
        }
        (None, _) => row("registered", "no".into()),
    }
    if let Some(held) = &state.credential {
        let after = held.credential.renew_after;
        let refused = if state.is_refused { ", refused" } else { "" };
        row("credential", format!("renewed after {after:.0}{refused}"));
    }
    if let Some(last) = &state.last {
        row("last", format!("{:.0} {}", last.at, last.what));
    }
    if let Some(next) = state.next {
        row("next call", format!("{next:.0} at the latest"));
    }
    rows
}

/// Rows of the services: the switch here and the way by which it was used, the state and the missing
/// legs as the gateway listed them, and its last answer to a word of the device.
fn of_services(services: &[Kept]) -> Vec<Vec<String>> {
    let rows = services.iter().map(|service| {
        let here = if service.enabled { "on" } else { "off" };
        let by = service.by.map_or_else(String::new, |by| format!("{by:?}"));
        let answer = match &service.told {
            _ if is_switched(service) => "(not told yet)".to_owned(),
            Some(told) => told.answer.clone(),
            None => String::new(),
        };
        vec![
            service.service_id.clone(),
            here.to_owned(),
            by,
            service.state.clone(),
            service.missing.join(","),
            answer,
            service.application_id.clone().unwrap_or_default(),
            service.description.clone(),
        ]
    });
    rows.collect()
}

/// Rows of the errors that the device has.
fn errors(outbox: &Outbox) -> Vec<Vec<String>> {
    let rows = outbox.errors.iter().map(|raised| {
        let requested = if raised.order_requested {
            "requested"
        } else {
            ""
        };
        vec![
            raised.reason.clone(),
            raised.subject.clone().unwrap_or_default(),
            format!("{:.0}", raised.since),
            requested.to_owned(),
            raised.impressions.to_string(),
        ]
    });
    rows.collect()
}

/// Row of the events that wait, if there are some.
fn events(outbox: &Outbox) -> Option<Vec<String>> {
    let number = outbox.waiting.len();
    let until = outbox.not_before;
    let mut words = format!("{number} wait");
    if let Some(until) = until {
        let _ = write!(words, ", not sent before {until:.0}");
    }
    if let Some(failure) = &outbox.failure {
        let _ = write!(words, ": {failure}");
    }
    (number > 0).then(|| vec!["events".to_owned(), words])
}

/// Rows of the kinds of data that are wanted, that are sent, and of which there were events: each with the
/// numbers of its events.
fn data_types(held: &Held, outbox: &Outbox) -> Vec<Vec<String>> {
    let kinds = held.data_types.iter().chain(&held.sends);
    let kinds = kinds.map(|kind| &kind.name);
    let waiting = outbox.waiting.iter().map(|it| &it.event.kind);
    let names: BTreeSet<&String> = kinds.chain(waiting).chain(outbox.counts.keys()).collect();
    let rows = names.into_iter().map(|name| {
        let find = |kinds: &[DataType]| kinds.iter().find(|kind| kind.name == *name).cloned();
        let sent = find(&held.sends);
        let is_sent = if sent.is_some() { "yes" } else { "no" };
        let kind = find(&held.data_types).or(sent);
        let of_kind = outbox.waiting.iter();
        let of_kind = of_kind.filter(|it| it.event.kind == *name).count();
        let none = Counts::default();
        let counts = outbox.counts.get(name).unwrap_or(&none);
        vec![
            name.clone(),
            is_sent.to_owned(),
            kind.as_ref()
                .map_or_else(String::new, |kind| kind.period.to_string()),
            of_kind.to_string(),
            counts.taken.to_string(),
            reasons(&counts.refused),
            reasons(&counts.dropped),
            kind.as_ref().map_or_else(String::new, occasions),
        ]
    });
    rows.collect()
}

/// Occurrences on which a kind is sent.
fn occasions(kind: &DataType) -> String {
    let on = kind.on.iter().map(|on| match kind.threshold {
        Some(threshold) if on == "BelowThreshold" => format!("{on} {threshold}%"),
        _ => on.clone(),
    });
    on.collect::<Vec<_>>().join(",")
}

/// Numbers by reason; 0 if there is none.
fn reasons(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return "0".into();
    }
    let counts = counts
        .iter()
        .map(|(reason, number)| format!("{number} {reason}"));
    counts.collect::<Vec<_>>().join(",")
}

fn settings(held: &Held) -> Vec<Vec<String>> {
    let mut names: Vec<&String> = held.in_effect.keys().chain(held.desired.keys()).collect();
    names.sort();
    names.dedup();
    let rows = names.into_iter().map(|name| {
        let set = held.in_effect.get(name);
        let value = match set {
            Some(set) if set.secret => "(secret)".to_owned(),
            Some(set) => set.value.clone(),
            None => String::new(),
        };
        let by = set.map_or_else(String::new, |set| format!("{:?}", set.by));
        let next = held.next.as_ref().and_then(|next| {
            let at = next.effective;
            let wanted = next.settings.get(name)?;
            Some(format!("{} at {at:.0}", shown(wanted)))
        });
        let wanted = held.desired.get(name).map(shown).into_iter().chain(next);
        let wanted: Vec<String> = wanted.collect();
        vec![name.clone(), value, by, wanted.join(", ")]
    });
    rows.collect()
}

fn shown(wanted: &crate::api::DesiredSetting) -> String {
    match &wanted.value {
        _ if wanted.secret => "(secret)".into(),
        Some(value) => value.clone(),
        None => String::new(),
    }
}

fn software(installed: &Installed) -> Vec<Vec<String>> {
    let staged = installed.staged.iter().flat_map(|staged| &staged.software);
    let staged: Vec<_> = staged.map(|waiting| &waiting.software).collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for runs in &installed.running {
        let later = staged.iter().find(|waits| waits.is_same(runs));
        let later = later.map_or_else(String::new, |waits| waits.version.clone());
        let name = format!("{} {}", runs.part, runs.name);
        rows.push(vec![name, runs.version.clone(), later]);
    }
    for waits in staged {
        if !installed.running.iter().any(|runs| runs.is_same(waits)) {
            let name = format!("{} {}", waits.part, waits.name);
            rows.push(vec![name, String::new(), waits.version.clone()]);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn kept(by: Option<&str>, told: Option<&str>, missing: &[&str]) -> Kept {
        let at: Timestamp = "2027-04-01T00:00:00Z".parse().unwrap();
        let told = told.map(
            |answer| json!({"applicationId": "acme.toner.x", "switched": at, "answer": answer}),
        );
        let kept = json!({"serviceId": "toner", "description": "Toner is sent in time",
            "provider": "Northwind", "applicationId": "acme.toner.x", "state": "Inactive",
            "enabled": by.is_none(), "by": by, "at": by.map(|_| at), "told": told,
            "missing": missing});
        serde_json::from_value(kept).unwrap()
    }

    // shows C15
    #[test]
    fn a_service_is_shown_with_its_switch_who_used_it_its_state_and_its_missing_legs() {
        let all = [
            kept(None, None, &["NotInForce", "ExclusiveGroupHeld"]),
            kept(Some("Technician"), Some("Inactive"), &["DisabledLocally"]),
            kept(Some("Panel"), None, &[]),
        ];
        let rows: Vec<String> = of_services(&all)
            .iter()
            .map(|row| row[1..6].join("|"))
            .collect();
        assert_eq!(
            rows,
            [
                "on||Inactive|NotInForce,ExclusiveGroupHeld|",
                "off|Technician|Inactive|DisabledLocally|Inactive",
                "off|Panel|Inactive||(not told yet)",
            ]
        );
    }

    #[test]
    fn a_kind_of_data_is_shown_with_what_sends_it_and_the_numbers_of_its_events() {
        let kind = |name: &str| {
            json!({"name": name, "on": ["Consumed", "BelowThreshold"], "threshold": 20,
                "period": "PT24H"})
        };
        let held = Held {
            data_types: serde_json::from_value(json!([kind("supplies.level"), kind("a")])).unwrap(),
            sends: serde_json::from_value(json!([kind("supplies.level"), kind("b")])).unwrap(),
            ..Held::default()
        };
        let outbox = json!({"waiting": [{"event": {"id": "1-0000009", "kind": "supplies.level",
            "time": "2027-04-01T00:00:00Z", "sequence": "9", "data": {}}}],
            "notBefore": "2027-04-01T00:00:30Z", "failure": "the gateway does not answer",
            "counts": {"supplies.level": {"taken": 7, "refused": {"NotRequested": 2},
                "dropped": {"Full": 1, "SwitchedOff": 3}}, "c": {"taken": 1}}});
        let outbox: Outbox = serde_json::from_value(outbox).unwrap();
        let rows = data_types(&held, &outbox);
        let rows: Vec<String> = rows.iter().map(|row| row.join("|")).collect();
        let on = "Consumed,BelowThreshold 20%";
        assert_eq!(
            rows,
            [
                format!("a|no|PT24H|0|0|0|0|{on}"),
                format!("b|yes|PT24H|0|0|0|0|{on}"),
                "c|no||0|1|0|0|".to_owned(),
                format!("supplies.level|yes|PT24H|1|7|2 NotRequested|1 Full,3 SwitchedOff|{on}"),
            ]
        );
        let waits = "1 wait, not sent before 2027-04-01T00:00:30Z: the gateway does not answer";
        assert_eq!(events(&outbox).unwrap(), ["events", waits]);
        assert_eq!(events(&Outbox::default()), None);
    }
}
