//! `support-bundle`: an archive for those who help, of what the caller may read.
//!
//! It holds the objects of our kinds, events about them, the definitions' versions and the Lease. It must
//! never hold a Secret or a value: it does not read Secrets, and `redact` takes values out. What could
//! not be read is told in the archive.

use std::io::Write as _;

use entente_crds::v1alpha1::{
    Compensation, Connection, Contract, ContractAmendment, ContractNotice, Device,
    DeviceEnrollment, DeviceModel, DeviceTwin, MessageText, ServiceSubscription, Site,
    SmartService, SupplyOrder,
};
use entente_domain::election::LEASE;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Resource;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::CommandError;
use crate::args::SupportBundleArgs;
use crate::cluster::{Cluster, ClusterError, Place};
use crate::outcome::{Code, Outcome};
use crate::redact::Redactor;

/// Content of a bundle before it is redacted.
#[derive(Default)]
struct Collected {
    /// Objects of our kinds, with the plural and the kind of each.
    objects: Vec<(String, String, Value)>,
    /// Other objects, by the name of their file.
    others: Vec<(String, Value)>,
    /// Sentences about what could not be read.
    unread: Vec<String>,
}

pub(super) async fn run(
    cluster: &Cluster,
    args: &SupportBundleArgs,
    now: Timestamp,
) -> Result<Outcome, CommandError> {
    let place = cluster.place();
    let collected = collect(cluster, &place, &args.operator_namespace).await?;
    let files = files(&collected, !args.redact_customers, now);
    let path = args.output.clone().unwrap_or_else(|| {
        let stamp = now.strftime("%Y%m%dT%H%M%SZ");
        format!("entente-support-{stamp}.tar.gz").into()
    });
    let archive = archive(&files, now);
    let written = archive.and_then(|bytes| {
        let mut file = std::fs::File::create_new(&path)?;
        file.write_all(&bytes)
    });
    written.map_err(|error| {
        CommandError::Usage(format!("{} cannot be written: {error}", path.display()))
    })?;
    let answer = format!(
        "{}: {} files{}; read them before you send them\n",
        path.display(),
        files.len(),
        place.of()
    );
    Ok(Outcome::new(answer, Code::Settled).with_notes(collected.unread))
}

async fn collect(
    cluster: &Cluster,
    place: &Place,
    operator: &str,
) -> Result<Collected, ClusterError> {
    let mut found = Collected::default();
    let everywhere = Place::Everywhere;
    of_kind::<Connection>(cluster, &everywhere, &mut found).await?;
    of_kind::<DeviceModel>(cluster, &everywhere, &mut found).await?;
    of_kind::<SmartService>(cluster, &everywhere, &mut found).await?;
    of_kind::<MessageText>(cluster, &everywhere, &mut found).await?;
    of_kind::<Site>(cluster, place, &mut found).await?;
    of_kind::<Device>(cluster, place, &mut found).await?;
    of_kind::<DeviceEnrollment>(cluster, place, &mut found).await?;
    of_kind::<DeviceTwin>(cluster, place, &mut found).await?;
    of_kind::<Contract>(cluster, place, &mut found).await?;
    of_kind::<ContractAmendment>(cluster, place, &mut found).await?;
    of_kind::<ContractNotice>(cluster, place, &mut found).await?;
    of_kind::<ServiceSubscription>(cluster, place, &mut found).await?;
    of_kind::<Compensation>(cluster, place, &mut found).await?;
    of_kind::<SupplyOrder>(cluster, place, &mut found).await?;
    for event in listed::<Event>(cluster, place, &mut found.unread).await? {
        let about = event["regarding"]["apiVersion"]
            .as_str()
            .unwrap_or_default();
        if about.starts_with(entente_crds::GROUP) {
            let name = file("events", &event);
            found.others.push((name, event));
        }
    }
    let definitions = listed::<CustomResourceDefinition>(cluster, &everywhere, &mut found.unread);
    let definitions = definitions.await?;
    let ours = definitions.iter();
    let ours = ours.filter(|it| it["spec"]["group"] == entente_crds::GROUP);
    let ours: Vec<Value> = ours.map(definition).collect();
    found
        .others
        .push(("definitions.yaml".to_owned(), json!({"definitions": ours})));
    let of_operator = Place::Namespace(operator.to_owned());
    let leases = listed::<Lease>(cluster, &of_operator, &mut found.unread).await?;
    for lease in leases
        .into_iter()
        .filter(|it| it["metadata"]["name"] == LEASE)
    {
        found.others.push(("lease.yaml".to_owned(), lease));
    }
    let version = cluster.raw("/version").await?;
    let version = serde_json::from_slice(version.body()).unwrap_or_default();
    found.others.push(("api-server.yaml".to_owned(), version));
    Ok(found)
}

async fn of_kind<K: Resource<DynamicType = ()>>(
    cluster: &Cluster,
    place: &Place,
    found: &mut Collected,
) -> Result<(), ClusterError> {
    let objects = listed::<K>(cluster, place, &mut found.unread).await?;
    let (plural, kind) = (K::plural(&()), K::kind(&()));
    let objects = objects.into_iter();
    let objects = objects.map(|it| (plural.to_string(), kind.to_string(), it));
    found.objects.extend(objects);
    Ok(())
}

/// Lists a kind; a refusal becomes a sentence.
async fn listed<K: Resource<DynamicType = ()>>(
    cluster: &Cluster,
    place: &Place,
    unread: &mut Vec<String>,
) -> Result<Vec<Value>, ClusterError> {
    match cluster.list_values::<K>(place, ListParams::default()).await {
        Ok(values) => Ok(values),
        Err(error) if error.is_partial() => {
            unread.push(error.to_string());
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// Returns the part of a definition by which its version is known.
fn definition(found: &Value) -> Value {
    let versions = found["spec"]["versions"].as_array();
    let names = versions.into_iter().flatten().map(|it| it["name"].clone());
    json!({
        "name": found["metadata"]["name"],
        "labels": found["metadata"]["labels"],
        "generation": found["metadata"]["generation"],
        "versions": names.collect::<Vec<_>>(),
        "storedVersions": found["status"]["storedVersions"],
    })
}

/// Returns the name of an object's file.
fn file(folder: &str, object: &Value) -> String {
    let word = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    match word("namespace") {
        "" => format!("{folder}/{}.yaml", word("name")),
        namespace => format!("{folder}/{namespace}/{}.yaml", word("name")),
    }
}

/// Returns the files of a bundle, redacted, by name.
fn files(collected: &Collected, shows_customers: bool, now: Timestamp) -> Vec<(String, String)> {
    let mut redactor = Redactor::new(shows_customers);
    for (_, kind, object) in &collected.objects {
        redactor.see(kind, object);
    }
    let written = |value: &Value| entente_crds::yaml::write(value).unwrap_or_default();
    let mut files = vec![
        ("README.txt".to_owned(), readme(shows_customers, now)),
        (
            "not-read.txt".to_owned(),
            collected
                .unread
                .iter()
                .map(|it| redactor.text(it) + "\n")
                .collect(),
        ),
    ];
    for (plural, kind, object) in &collected.objects {
        let name = redactor.text(&file(plural, object));
        files.push((name, written(&redactor.redact(kind, object))));
    }
    for (name, object) in &collected.others {
        let text = written(&redactor.redact("", object));
        files.push((redactor.text(name), text));
    }
    files
}

fn readme(shows_customers: bool, now: Timestamp) -> String {
    let customers = if shows_customers {
        "Ids and names of customers are shown."
    } else {
        "Ids and names of customers are replaced by numbers; names of objects may still tell them."
    };
    format!(
        "Support bundle of Entente, made by kubectl-entente {} at {now}.\n\n\
         It holds objects of the group entente.dev, events about them, the versions of their \
         definitions, and the Lease of the operator.\n\
         No Secret was read. Values of parameters and settings are replaced by {}, also where a \
         message quotes one of at least 5 characters; so are texts in quotation marks in messages, \
         annotations of others, logins and queries of URLs, and fields that this version does not know.\n{customers}\n\
         not-read.txt names what the caller had no right to read.\n",
        env!("CARGO_PKG_VERSION"),
        crate::redact::REDACTED,
    )
}

fn archive(files: &[(String, String)], now: Timestamp) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(now.as_second()).unwrap_or_default());
        let path = format!("entente-support/{name}");
        archive.append_data(&mut header, path, text.as_bytes())?;
    }
    archive.into_inner()?.finish()
}
