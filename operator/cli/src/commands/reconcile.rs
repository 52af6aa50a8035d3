//! `reconcile`: asks the operator for a pass over an object now, and waits until it says that it has
//! made one; of a contract also until its devices were read. The only command that writes: one
//! annotation.

use std::collections::BTreeMap;
use std::time::Duration;

use entente_crds::ANNOTATION_RECONCILE_AT;
use entente_crds::v1alpha1::{Connection, Contract, Device, ServiceSubscription};
use entente_domain::views::age;
use jiff::Timestamp;
use kube::Resource;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::CommandError;
use crate::args::{ReconcileArgs, ReconcileKind};
use crate::cluster::{Cluster, Place, title};
use crate::objects::{is_of_contract, partly};
use crate::outcome::{Code, Outcome};
use crate::render;

/// Time between two looks at the object.
const PAUSE: Duration = Duration::from_millis(250);
/// Time between two looks at the subscriptions of a contract, which may be thousands.
const LONGER_PAUSE: Duration = Duration::from_secs(1);
/// Number of devices that are named if they were not read.
const NAMED: usize = 5;

pub(super) async fn run(cluster: &Cluster, args: &ReconcileArgs) -> Result<Outcome, CommandError> {
    let (kind, name) = &args.object;
    let place = Place::Namespace(cluster.namespace().to_owned());
    let asked = Timestamp::now().to_string();
    let deadline = Instant::now() + args.timeout.unsigned_abs();
    let wish = Wish {
        cluster,
        args,
        asked: &asked,
        deadline,
    };
    match kind {
        ReconcileKind::Device => wish.of::<Device>(&place, name).await,
        ReconcileKind::Contract => {
            let made = wish.of::<Contract>(&place, name).await?;
            if args.no_wait || made.code != Code::Settled {
                return Ok(made);
            }
            wish.of_devices(name, made).await
        }
        ReconcileKind::Connection => wish.of::<Connection>(&Place::Everywhere, name).await,
    }
}

/// A wish of the caller.
struct Wish<'a> {
    cluster: &'a Cluster,
    args: &'a ReconcileArgs,
    /// The value of the annotation.
    asked: &'a str,
    deadline: Instant,
}

impl Wish<'_> {
    /// Asks for a pass over an object, and waits for it.
    async fn of<K: Resource<DynamicType = ()>>(
        &self,
        place: &Place,
        name: &str,
    ) -> Result<Outcome, CommandError> {
        let title = title::<K>(place, name);
        let answering = answering(self.cluster).await?;
        if answering.get(&*K::kind(&())) == Some(&false) {
            return Err(silent::<K>(&answering));
        }
        self.send::<K>(place, name, &title).await?;
        if self.args.no_wait {
            return Ok(Outcome::new(format!("{title}: asked for\n"), Code::Settled));
        }
        loop {
            let object: Value = self.cluster.value_in::<K>(place, name).await?;
            if object["status"]["lastHandledReconcileAt"] == *self.asked {
                let made = format!("{title}: made{}\n", ready(&object));
                return Ok(Outcome::new(made, Code::Settled));
            }
            if Instant::now() >= self.deadline {
                let message = format!(
                    "{title}: asked for, and not made within {}: is the operator running? \
                     (kubectl entente check)\n",
                    age(self.args.timeout)
                );
                return Ok(Outcome::new(message, Code::InProgress));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sets the annotation.
    async fn send<K: Resource<DynamicType = ()>>(
        &self,
        place: &Place,
        name: &str,
        title: &str,
    ) -> Result<(), CommandError> {
        let patch = json!({"metadata": {"annotations": {ANNOTATION_RECONCILE_AT: self.asked}}});
        let parameters = PatchParams {
            field_manager: Some("kubectl-entente".to_owned()),
            ..PatchParams::default()
        };
        let url = K::url_path(&(), place.namespace());
        let request = Request::new(url).patch(name, &parameters, &Patch::Merge(&patch));
        let Err(error) = self.cluster.send::<Value>(request).await else {
            return Ok(());
        };
        if let kube::Error::Api(status) = &error
            && status.code == 404
        {
            // Names those that there are.
            self.cluster.value_in::<K>(place, name).await?;
        }
        let title = title.to_owned();
        Err(self.cluster.refusal::<K>("patch", title, error).into())
    }

    /// Waits until the devices of a contract were read, after the contract itself was decided.
    async fn of_devices(&self, contract: &str, made: Outcome) -> Result<Outcome, CommandError> {
        let answering = answering(self.cluster).await?;
        if answering.get("ServiceSubscription") == Some(&false) {
            let note = "the installed version reads no devices for a contract".to_owned();
            return Ok(made.with_notes([note]));
        }
        let place = Place::Namespace(self.cluster.namespace().to_owned());
        let contract_line = made.answer.trim_end();
        loop {
            let parameters = is_of_contract(contract);
            let listed = self.cluster.list::<ServiceSubscription>(&place, parameters);
            let listed = partly(listed.await)?;
            if !listed.unread.is_empty() && listed.items.is_empty() {
                return Ok(made.with_notes(listed.unread));
            }
            let (read, unread) = looked_at(&listed.items, self.asked);
            let all = read + unread.len();
            if unread.is_empty() {
                let answer = format!("{contract_line}; {read} of {all} devices read\n");
                return Ok(Outcome::new(answer, Code::Settled).with_notes(listed.unread));
            }
            if Instant::now() >= self.deadline {
                let answer = format!(
                    "{contract_line}; {read} of {all} devices read within {}, not yet {}\n",
                    age(self.args.timeout),
                    render::few(&unread, NAMED)
                );
                return Ok(Outcome::new(answer, Code::InProgress).with_notes(listed.unread));
            }
            tokio::time::sleep(LONGER_PAUSE).await;
        }
    }
}

/// Returns the number of devices that were read for a wish, and the names of the others.
fn looked_at<'a>(subscriptions: &'a [ServiceSubscription], asked: &str) -> (usize, Vec<&'a str>) {
    let mut devices: BTreeMap<&str, bool> = BTreeMap::new();
    for subscription in subscriptions {
        let status = subscription.status.as_ref();
        let handled = status.and_then(|it| it.last_handled_reconcile_at.as_deref());
        let is_read = handled == Some(asked);
        let all = devices
            .entry(&subscription.spec.device_ref.name)
            .or_insert(true);
        *all &= is_read;
    }
    let read = devices.values().filter(|is_read| **is_read).count();
    let unread = devices.into_iter().filter(|(_, is_read)| !is_read);
    (read, unread.map(|(name, _)| name).collect())
}

/// Returns the condition Ready of an object, as the end of a sentence.
fn ready(object: &Value) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let ready = conditions.find(|it| it["type"] == "Ready");
    ready.map_or_else(String::new, |ready| {
        let word = |field: &str| ready[field].as_str().unwrap_or_default();
        format!("; Ready is {}: {}", word("status"), word("reason"))
    })
}

/// Returns the installed kinds, each with true if it says when it has handled a wish: otherwise nobody
/// would ever be answered. Empty if the API server does not tell; then a request is worth a try.
async fn answering(cluster: &Cluster) -> Result<BTreeMap<&'static str, bool>, CommandError> {
    let answer = cluster.raw("/openapi/v3/apis/entente.dev/v1alpha1").await?;
    let document: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let schemas = &document["components"]["schemas"];
    if schemas.is_null() {
        return Ok(BTreeMap::new());
    }
    let kinds = entente_crds::rules::kinds().into_iter().map(|kind| {
        let installed = &schemas[format!("dev.entente.v1alpha1.{kind}")];
        let status = &installed["properties"]["status"]["properties"];
        (kind, !status["lastHandledReconcileAt"].is_null())
    });
    Ok(kinds.collect())
}

/// Returns the error of a kind that would not answer.
fn silent<K: Resource<DynamicType = ()>>(answering: &BTreeMap<&str, bool>) -> CommandError {
    let others = answering.iter().filter(|(_, answers)| **answers);
    let others: Vec<&str> = others.map(|(kind, _)| *kind).collect();
    CommandError::Usage(format!(
        "the installed version cannot be asked for a reconcile of a {}: it has no \
         status.lastHandledReconcileAt; kinds that have it: {}",
        K::kind(&()),
        others.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(device: &str, handled: Option<&str>) -> ServiceSubscription {
        let mut subscription = entente_crds::example::service_subscription();
        subscription.spec.device_ref.name = device.to_owned();
        let status = subscription.status.get_or_insert_default();
        status.last_handled_reconcile_at = handled.map(Into::into);
        subscription
    }

    #[test]
    fn a_device_was_read_when_all_of_its_subscriptions_say_so() {
        let all = [
            subscription("a", Some("now")),
            subscription("b", Some("now")),
            subscription("a", Some("now")),
            subscription("b", Some("earlier")),
            subscription("c", None),
        ];
        assert_eq!(looked_at(&all, "now"), (1, vec!["b", "c"]));
        assert_eq!(looked_at(&all, "never"), (0, vec!["a", "b", "c"]));
        assert_eq!(looked_at(&[], "now"), (0, Vec::new()));
    }
}
