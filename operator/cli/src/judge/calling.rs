//! Judges Connections, DeviceModels, Devices and DeviceEnrollments of files: above all what devices that
//! call need.
//!
//! Decides nothing: the sentences are those of `own_rules`. What may be in the cluster is a note and no
//! fault. Called by `judge`.

use entente_domain::delivery::zone_fault;
use entente_domain::enrollment::{SHORTEST_TOKEN, TOKEN_KEY};
use jiff::Timestamp;

use super::{Finding, Verdict, is_of};
use crate::manifests::Manifest;
use crate::own_rules;
use crate::world::Objects;

/// Judges one object.
pub(super) fn judge(manifest: &Manifest, objects: &Objects, verdict: &mut Verdict, now: Timestamp) {
    let (faults, notes) = match &*manifest.kind {
        "Connection" => (connection(manifest, objects, now), Vec::new()),
        "DeviceModel" => model(manifest, objects, now),
        "Device" => device(manifest, objects, now),
        _ => enrollment(manifest, objects, now),
    };
    let finding = |message: String| Finding::new(manifest, message);
    verdict.faults.extend(faults.into_iter().map(finding));
    verdict.notes.extend(notes.into_iter().map(finding));
}

/// Faults and notes.
type Found = (Vec<String>, Vec<String>);

fn connection(manifest: &Manifest, objects: &Objects, now: Timestamp) -> Vec<String> {
    let found = objects.connections.get(&manifest.name);
    let faults = found.map(|it| own_rules::of_connection(it, now));
    faults.unwrap_or_default()
}

fn model(manifest: &Manifest, objects: &Objects, now: Timestamp) -> Found {
    let Some(model) = objects.models.get(&manifest.name) else {
        return Found::default();
    };
    let unfetchable = own_rules::unfetchable(model, objects).into_iter();
    let notes = unfetchable.map(|it| format!("among the files {it}"));
    (own_rules::of_model(model, now), notes.collect())
}

fn device(manifest: &Manifest, objects: &Objects, now: Timestamp) -> Found {
    let mut all = objects.devices.iter();
    let Some(device) = all.find(|it| is_of(&it.metadata, manifest)) else {
        return Found::default();
    };
    let faults = zone_fault(device).into_iter().collect();
    let named = device.spec.connections.iter().map(|it| &it.name);
    let missing = named.filter(|name| !objects.connections.contains_key(*name));
    let missing = missing.map(|name| in_no_file("Connection", name));
    let site = device.spec.site_ref.as_ref();
    let site = site.filter(|_| objects.site_of(device).is_none());
    let site = site.map(|site| in_no_file("Site", &site.name));
    let model = &device.spec.model_ref.name;
    let model = (!objects.models.contains_key(model)).then(|| in_no_file("DeviceModel", model));
    let mut notes = own_rules::odd_windows(device, objects, now);
    notes.extend(missing.chain(site).chain(model));
    (faults, notes)
}

/// Returns the note about an object that the files name and do not have.
fn in_no_file(kind: &str, name: &str) -> String {
    format!("not judged: the {kind} {name} is in none of the files")
}

fn enrollment(manifest: &Manifest, objects: &Objects, now: Timestamp) -> Found {
    let mut all = objects.enrollments.iter();
    let Some(enrollment) = all.find(|it| is_of(&it.metadata, manifest)) else {
        return Found::default();
    };
    let name = &enrollment.spec.connection_ref.name;
    let mut notes = Vec::new();
    let connection = objects.connections.get(name).map(|it| &**it);
    if connection.is_none() {
        notes.push(in_no_file("Connection", name));
    }
    let allowing = connection.filter(|it| own_rules::is_allowed(it, &manifest.namespace, objects));
    // A Connection of another protocol is wrong for every namespace.
    let known = allowing.or_else(|| connection.filter(|it| it.spec.agent.is_none()));
    if connection.is_some() && known.is_none() {
        notes.push(format!(
            "not judged: no entry under allow of the Connection {name} has the namespace {} by its name; \
             its labels are in the cluster",
            manifest.namespace
        ));
    }
    let found = own_rules::of_enrollment(enrollment, known, objects, now);
    notes.extend(found.notes);
    let secret = &enrollment.spec.token_secret_ref.name;
    notes.push(format!(
        "not judged: the Secret {secret} is read in the cluster alone; it needs a text of at least \
         {SHORTEST_TOKEN} characters under the key {TOKEN_KEY}, and the label entente.dev/use: \"true\""
    ));
    (found.faults, notes)
}
