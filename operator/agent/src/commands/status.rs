//! `entente-agent status`: the files of a device, for a person. Values of secrets and tokens are not
//! shown.

use std::{path::Path, process::ExitCode};

use super::{Result, text};
use crate::{
    device::{SERVICES, SOFTWARE, STATE, TWIN, WITHDRAWAL, Withdrawal},
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
    let mut parts = vec![table(&["DEVICE", ""], &device(&state, withdrawal.as_ref()))];
    if !services.is_empty() {
        let heading = ["SERVICE", "HERE", "STATE", "APPLICATION", "DESCRIPTION"];
        parts.push(table(&heading, &of_services(&services)));
    }
    if !held.in_effect.is_empty() || !held.desired.is_empty() {
        let heading = ["SETTING", "IN EFFECT", "BY", "WANTED"];
        parts.push(table(&heading, &settings(&held)));
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

fn of_services(services: &[Kept]) -> Vec<Vec<String>> {
    let rows = services.iter().map(|service| {
        let here = match (service.enabled, service.by) {
            (true, None) => "on".to_owned(),
            (true, Some(by)) => format!("on ({by:?})"),
            (false, None) => "off".to_owned(),
            (false, Some(by)) => format!("off ({by:?})"),
        };
        vec![
            service.service_id.clone(),
            here,
            service.state.clone(),
            service.application_id.clone().unwrap_or_default(),
            service.description.clone(),
        ]
    });
    rows.collect()
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
