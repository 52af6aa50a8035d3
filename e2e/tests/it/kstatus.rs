//! What Helm, Flux, Argo CD and `kubectl wait` conclude from our objects, in every situation that a
//! person meets.
//!
//! The judge is `target/tools/kstatus`, a program over the library that those tools use; it is fed
//! with objects as the API server gives them. Each test is some rows of one table: the object, its
//! conditions, the verdict. A row whose conditions hold must have its verdict at once: the verdict
//! is never waited for.

mod closed_list;
mod situation;
mod table;
mod wait_for_ready;

use std::time::Duration;

use entente_crds::example;
use entente_e2e::control_plane::ControlPlane;
use entente_e2e::operator::Ground;
use entente_e2e::scene::Scene;
use serde_json::{Value, json};

use closed_list::complaints;
use situation::World;
use table::{conditions, judge};

/// What a person is told while nobody looked at the object yet: the default in the schema.
const NEVER_SEEN: &str = "Ready=Unknown/Pending";

async fn ground() -> &'static Ground {
    Ground::shared().await.expect("a control plane with an operator")
}

// shows K2
#[tokio::test]
async fn an_object_that_no_operator_has_seen_is_in_progress() {
    let plane = ControlPlane::shared().await.expect("a control plane without an operator");
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds/manifests");
    let install = ["apply", "--server-side", "--force-conflicts", "-k", manifests];
    assert!(plane.kubectl(install).await.unwrap().status.success());
    let established = ["wait", "--for=condition=Established", "crd", "--all"];
    assert!(plane.kubectl(established).await.unwrap().status.success());
    let namespace = plane.create_namespace("unseen").await.unwrap();
    let mut judged = 0;
    for mut object in every_kind() {
        let name = format!("{namespace}-unseen");
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!(namespace);
        let input = object.to_string();
        let arguments = ["create", "-n", &namespace, "-f", "-", "-o", "json"];
        let made = plane.kubectl_as(plane.kubeconfig(), arguments, &input).await.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let object: Value = serde_json::from_slice(&made.stdout).unwrap();
        assert_eq!(object["status"]["observedGeneration"], -1, "{object:#}");
        assert_eq!(conditions(&object), NEVER_SEEN, "{object:#}");
        assert_eq!(judge(&[object.clone()]).await, ["InProgress"], "{object:#}");
        let resource = format!("{}.entente.dev/{name}", object["kind"].as_str().unwrap());
        let delete = ["delete", "-n", &namespace, &resource, "--wait=false"];
        assert!(plane.kubectl(delete).await.unwrap().status.success());
        judged += 1;
    }
    assert_eq!(judged, 7, "every kind was judged");
}

/// One object of every kind, from the examples that users are given.
fn every_kind() -> Vec<Value> {
    fn of<K: serde::Serialize>(object: K) -> Value {
        let mut value = serde_json::to_value(object).expect("an example is JSON");
        value["metadata"] = json!({});
        value.as_object_mut().expect("an object").remove("status");
        value
    }
    vec![
        of(example::hq_ipp()),
        of(example::mfp_500()),
        of(example::data_backup()),
        of(example::devices().remove(0)),
        of(example::banco_sul_2027()),
        of(example::service_subscription()),
        of(example::compensation()),
    ]
}

// shows K2
#[tokio::test]
async fn a_valid_contract_whose_term_starts_in_three_weeks_is_current() {
    let world = situation::scheduled(ground().await).await;
    world
        .shows(&[
            (
                "contract/ahead",
                "Ready=True/Scheduled InForce=False/NotStarted Delivered=False/NotStarted",
                "Current",
            ),
            (
                "subscription/ahead.backup.mfp",
                "Ready=True/Scheduled Delivered=False/NotStarted",
                "Current",
            ),
            ("device/mfp", "Ready=True/Succeeded", "Current"),
            ("connection/devices", "Ready=True/PerDevice", "Current"),
            (
                "connection/broker",
                "Ready=True/Succeeded Reachable=True/Answered Authenticated=True/Answered",
                "Current",
            ),
            ("model/mfp-500", "Ready=True/Succeeded", "Current"),
            ("service/data-backup", "Ready=True/Succeeded Accepted=True/Valid", "Current"),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn a_set_up_that_is_under_way_is_in_progress() {
    let world = situation::under_way(ground().await).await;
    world
        .shows(&[
            (
                "contract/running",
                "Ready=False/DevicesPending Reconciling=True/Progressing InForce=True/InTerm \
                 Delivered=False/DevicesPending",
                "InProgress",
            ),
            (
                "subscription/running.backup.mfp",
                "Ready=False/OperationRunning Reconciling=True/ProgressingWithRetry \
                 DeviceConfigured=True/Succeeded ServerConfigured=False/OperationRunning",
                "InProgress",
            ),
            ("device/mfp", "Ready=False/Progressing Reconciling=True/Progressing", "InProgress"),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn a_device_that_is_asleep_leaves_its_contract_in_progress_and_nothing_stalled() {
    let world = situation::asleep(ground().await).await;
    world
        .shows(&[
            (
                "contract/asleep",
                "Ready=False/DevicesNotProgressing Reconciling=True/ProgressingWithRetry \
                 DevicesFailing=True/DevicesNotProgressing",
                "InProgress",
            ),
            (
                "subscription/asleep.parts.mfp",
                "Ready=False/Unreachable Reconciling=True/ProgressingWithRetry",
                "InProgress",
            ),
            (
                "device/mfp",
                "Ready=False/ProgressingWithRetry Reconciling=True/ProgressingWithRetry \
                 Online=False/Unreachable",
                "InProgress",
            ),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn a_contract_whose_own_spec_is_at_fault_has_failed() {
    let world = situation::faulty_contract(ground().await).await;
    world
        .shows(&[(
            "contract/faulty",
            "Ready=False/UnknownZone Stalled=True/UnknownZone Accepted=False/UnknownZone",
            "Failed",
        )])
        .await;
}

// shows K2
#[tokio::test]
async fn an_unsupported_setting_fails_its_subscription_and_not_its_contract() {
    let world = situation::unsupported(ground().await, None).await;
    world
        .shows(&[
            (
                "contract/mixed",
                "Ready=False/DevicesNotProgressing Reconciling=True/ProgressingWithRetry \
                 DevicesFailing=True/DevicesNotProgressing",
                "InProgress",
            ),
            (
                "subscription/mixed.parts.bare",
                "Ready=False/Unsupported Stalled=True/Unsupported \
                 DeviceConfigured=False/Unsupported",
                "Failed",
            ),
            ("subscription/mixed.parts.mfp", "Ready=True/Delivered", "Current"),
            ("device/bare", "Ready=False/Progressing Reconciling=True/Progressing", "InProgress"),
            ("device/mfp", "Ready=True/Succeeded", "Current"),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn what_max_unavailable_allows_leaves_the_contract_current() {
    let world = situation::unsupported(ground().await, Some(1)).await;
    world
        .shows(&[
            (
                "contract/mixed",
                "Ready=True/DeliveredWithExceptions DevicesFailing=True/DevicesNotProgressing \
                 Delivered=False/DevicesPending",
                "Current",
            ),
            (
                "subscription/mixed.parts.bare",
                "Ready=False/Unsupported Stalled=True/Unsupported",
                "Failed",
            ),
        ])
        .await;
}

// shows D1, D8, K2
#[tokio::test]
async fn a_missed_start_is_in_progress_until_it_is_delivered_and_then_current() {
    let world = situation::late(ground().await).await;
    world
        .shows(&[
            (
                "contract/late",
                "Ready=False/DevicesNotProgressing Reconciling=True/ProgressingWithRetry \
                 InForce=True/InTerm PromiseMissed=True/PromiseNotKept \
                 CompensationPending=True/NotFinal",
                "InProgress",
            ),
            (
                "subscription/late.parts.mfp",
                "Ready=False/Unreachable Reconciling=True/ProgressingWithRetry",
                "InProgress",
            ),
            (
                "compensation/*",
                "Ready=False/Accruing Reconciling=True/Progressing Calculated=False/Accruing \
                 Delivered=False/Accruing",
                "InProgress",
            ),
        ])
        .await;
    world.recover().await;
    world
        .shows(&[
            (
                "contract/late",
                "Ready=True/Delivered PromiseMissed=True/PromiseNotKept !CompensationPending",
                "Current",
            ),
            ("subscription/late.parts.mfp", "Ready=True/Delivered", "Current"),
            (
                "compensation/*",
                "Ready=True/RecordOnly Calculated=True/AmountFinal Delivered=True/RecordOnly",
                "Current",
            ),
            ("device/mfp", "Ready=True/Succeeded Online=True/Answered", "Current"),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn what_is_suspended_is_current() {
    let world = situation::suspended(ground().await).await;
    world
        .shows(&[
            ("contract/paused", "Ready=True/Suspended InForce=True/InTerm", "Current"),
            ("subscription/paused.parts.mfp", "Ready=True/Suspended", "Current"),
            ("device/mfp", "Ready=True/Suspended", "Current"),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn what_is_being_deleted_and_held_is_terminating() {
    let world = situation::deleting(ground().await).await;
    world
        .shows(&[
            (
                "contract/leaving",
                "Ready=False/Withdrawing Reconciling=True/Progressing",
                "Terminating",
            ),
            (
                "subscription/leaving.backup.mfp",
                "Ready=False/Withdrawing Reconciling=True/ProgressingWithRetry",
                "Terminating",
            ),
            (
                "connection/broker",
                "Ready=False/Unreachable Reconciling=True/ProgressingWithRetry",
                "Terminating",
            ),
            ("connection/devices", "Ready=True/PerDevice", "Terminating"),
            ("model/mfp-500", "Ready=True/Succeeded", "Terminating"),
            ("service/data-backup", "Ready=True/Succeeded", "Terminating"),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn a_catalogue_at_fault_is_in_progress_where_it_may_heal_and_failed_where_it_cannot() {
    let world = situation::faulty_catalogue(ground().await).await;
    world
        .shows(&[
            (
                "connection/keyless",
                "Ready=False/SecretNotFound Reconciling=True/ProgressingWithRetry \
                 ResolvedRefs=False/SecretNotFound",
                "InProgress",
            ),
            (
                "connection/dead",
                "Ready=False/Unreachable Reconciling=True/ProgressingWithRetry \
                 Reachable=False/Unreachable Authenticated=Unknown/NeverSeen",
                "InProgress",
            ),
            (
                "service/homeless",
                "Ready=False/ConnectionNotFound Reconciling=True/ProgressingWithRetry \
                 ResolvedRefs=False/ConnectionNotFound",
                "InProgress",
            ),
            (
                "service/wrong",
                "Ready=False/UnsupportedValue Stalled=True/UnsupportedValue \
                 Accepted=False/UnsupportedValue",
                "Failed",
            ),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn a_stranger_at_the_address_has_failed_until_a_person_says_it_is_meant() {
    let world = situation::stranger(ground().await).await;
    world
        .shows(&[
            (
                "device/mfp",
                "Ready=False/IdentityMismatch Stalled=True/IdentityMismatch",
                "Failed",
            ),
            (
                "subscription/robbed.parts.mfp",
                "Ready=False/IdentityMismatch Stalled=True/IdentityMismatch",
                "Failed",
            ),
            (
                "contract/robbed",
                "Ready=False/DevicesNotProgressing Reconciling=True/ProgressingWithRetry",
                "InProgress",
            ),
        ])
        .await;
}

// shows K2
#[tokio::test]
async fn no_status_of_any_situation_ever_leaves_the_closed_list() {
    let ground = ground().await;
    let client = ground.plane.client().await.expect("a client");
    let seen = closed_list::Recorder::start(client);
    let unsupported = || situation::unsupported(ground, Some(1));
    let (late, worlds) = tokio::join!(
        async {
            let world = situation::late(ground).await;
            world.until("compensation/*", "Ready=False/Accruing").await;
            world.recover().await;
            world.until("compensation/*", "Ready=True/RecordOnly").await;
            world
        },
        async {
            // In the order of the table; each ends where its test begins to look.
            let mut worlds: Vec<World<'_>> = vec![situation::scheduled(ground).await];
            worlds.push(situation::under_way(ground).await);
            worlds.push(situation::asleep(ground).await);
            worlds.push(situation::faulty_contract(ground).await);
            worlds.push(unsupported().await);
            worlds.push(situation::suspended(ground).await);
            worlds.push(situation::deleting(ground).await);
            worlds.push(situation::faulty_catalogue(ground).await);
            worlds.push(situation::stranger(ground).await);
            worlds
        }
    );
    for (world, object, conditions) in [
        (&worlds[0], "contract/ahead", "Ready=True/Scheduled"),
        (&worlds[1], "subscription/running.backup.mfp", "Ready=False/OperationRunning"),
        (&worlds[2], "contract/asleep", "Ready=False/DevicesNotProgressing"),
        (&worlds[3], "contract/faulty", "Stalled=True/UnknownZone"),
        (&worlds[4], "contract/mixed", "Ready=True/DeliveredWithExceptions"),
        (&worlds[5], "contract/paused", "Ready=True/Suspended"),
        (&worlds[6], "contract/leaving", "Ready=False/Withdrawing"),
        (&worlds[7], "service/wrong", "Stalled=True/UnsupportedValue"),
        (&worlds[8], "device/mfp", "Stalled=True/IdentityMismatch"),
    ] {
        world.until(object, conditions).await;
    }
    let secrets: Vec<String> = worlds.iter().chain([&late]).flat_map(World::addresses).collect();
    let versions = seen.stop();
    let found: Vec<String> =
        versions.iter().flat_map(|object| complaints(object, &secrets)).collect();
    let kinds: std::collections::BTreeSet<&str> =
        versions.iter().filter_map(|object| object["kind"].as_str()).collect();
    println!("{} versions of {} kinds were looked at", versions.len(), kinds.len());
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    assert!(versions.len() > 100, "only {} versions", versions.len());
    assert!(found.is_empty(), "{} complaints:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_closed_list_complains_about_what_it_is_there_to_find() {
    let of = |type_: &str| {
        json!({"type": type_, "status": "True", "reason": "Delivered", "message": "All.",
               "observedGeneration": 2})
    };
    let with = |condition: Value| {
        let ready = of("Ready");
        complaints(
            &json!({"kind": "Contract", "metadata": {"name": "x", "generation": 2},
                    "status": {"observedGeneration": 2, "conditions": [ready, condition]}}),
            &["127.0.0.1:4711".to_owned()],
        )
    };
    let reconciling_or_stalled = |type_: &str, reason: &str| {
        json!({"type": type_, "status": "True", "reason": reason, "message": "Work.",
               "observedGeneration": 2})
    };
    let good = of("Delivered");
    assert_eq!(with(good.clone()), Vec::<String>::new());
    let changed = |field: &str, value: Value| {
        let mut condition = good.clone();
        condition[field] = value;
        with(condition)
    };
    for (field, value, complaint) in [
        ("type", json!("Happy"), "a type that is not in the closed list"),
        ("type", json!("Online"), "a type that this kind does not have"),
        ("type", json!("Ready"), "a type twice"),
        ("reason", json!(""), "a reason that is not in the list of its type"),
        ("reason", json!("Valid"), "a reason that is not in the list of its type"),
        ("status", json!("Maybe"), "no status"),
        ("observedGeneration", Value::Null, "no observedGeneration"),
        ("message", json!("m".repeat(1025)), "a long message"),
        ("message", json!("at ipp://10.0.0.1/ipp/print"), "an address in the message"),
        ("message", json!("no answer of 127.0.0.1:4711"), "an address in the message"),
        ("message", json!("since 2027-04-01T03:00:00Z"), "an instant in the message"),
        ("message", json!("0b62b1ac-9a15-4a4e-9c43-0123456789ab"), "an id in the message"),
    ] {
        let found = changed(field, value.clone());
        assert!(found.iter().any(|found| found.contains(complaint)), "{field} {value} {found:?}");
    }
    let negative = json!({"type": "Stalled", "status": "False", "reason": "InvalidTerm",
                          "message": "", "observedGeneration": 2});
    assert_eq!(with(negative).len(), 1);
    let both = json!({"kind": "Contract", "metadata": {"name": "x", "generation": 2}, "status": {
        "observedGeneration": 1,
        "conditions": [of("Ready"), reconciling_or_stalled("Reconciling", "Progressing"),
                       reconciling_or_stalled("Stalled", "InvalidTerm")]}});
    let found = complaints(&both, &[]);
    assert_eq!(found.len(), 2, "both at once, and settled without observedGeneration: {found:?}");
}

/// Longest wait for a row of the table.
const SOON: Duration = Duration::from_secs(40);

/// A world's objects by the short names that the table uses.
impl World<'_> {
    fn scene(&self) -> &Scene<'_> {
        &self.scene
    }
}
