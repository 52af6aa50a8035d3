//! Tests of probes of Connections, with every state of their Secrets, brokers and the API server.

use entente_crds::{
    ANNOTATION_RECONCILE_AT,
    v1alpha1::{LocalReference, ServerInstance, Tls, Trust},
};
use entente_drivers::fake::Fault;
use jiff::SignedDuration;
use k8s_openapi::{ByteString, api::core::v1::ConfigMap};

use super::*;

const READ: &str = "secrets/northwind-services";

fn edit_broker(process: &InProcess, change: impl FnOnce(&mut Connection)) {
    process.cluster.edit("", BROKER, change);
}

fn secret_with(data: &[(&str, &str)]) -> Secret {
    let mut secret = broker_login();
    let data = data.iter();
    let data = data.map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec())));
    secret.data = Some(data.collect());
    secret
}

// shows K2 K4
#[tokio::test(start_paused = true)]
async fn whatever_keeps_a_secret_from_being_used_is_said_and_heals_by_itself() {
    for (refusal, reason) in [
        ((403, "Forbidden"), "False(SecretForbidden)"),
        ((500, "InternalError"), "False(SecretNotFound)"),
        ((404, "NotFound"), "False(SecretNotFound)"),
    ] {
        let process = started().await;
        let probes = process.world.count(Operation::Catalog);
        process
            .cluster
            .refuse(Method::GET, READ, refusal, usize::MAX);
        edit_broker(&process, |broker| {
            broker.spec.allow[0].name = "b".to_owned();
        });
        let said = |process: &InProcess| broker_says(process, "ResolvedRefs") == reason;
        process.until(reason, said).await;
        assert_eq!(broker_says(&process, "Ready"), reason);
        process.let_pass(Duration::from_mins(30)).await;
        assert_eq!(process.world.count(Operation::Catalog), probes);
        process.cluster.recover();
        process.until("it is ready again", is_ready).await;
    }
}

// shows K2
#[tokio::test(start_paused = true)]
async fn a_secret_without_a_password_says_which_key_is_missing() {
    let process = started().await;
    process.cluster.apply(&secret_with(&[("username", "me")]));
    edit_broker(&process, |broker| {
        broker.spec.allow[0].name = "b".to_owned();
    });
    let said =
        |process: &InProcess| broker_says(process, "ResolvedRefs") == "False(SecretKeyMissing)";
    process.until("the key is missing", said).await;
    let status = connection(&process, BROKER).status.expect("a status");
    let said = status.conditions.iter();
    let message = said
        .filter(|it| it.type_ == "ResolvedRefs")
        .map(|it| &it.message);
    assert!(message.into_iter().all(|it| it.contains("password")));
    process.cluster.apply(&broker_login());
    process.until("it is ready again", is_ready).await;
}

fn busy_for(minutes: i64) -> Fault {
    Fault::Fail {
        kind: FailureKind::Busy,
        retry_after: Some(SignedDuration::from_mins(minutes)),
        doubtful: false,
    }
}

fn is_busy(process: &InProcess) -> bool {
    broker_says(process, "Ready") == "False(Busy)"
}

// shows K5 K7
#[tokio::test(start_paused = true)]
async fn a_wait_that_a_broker_asked_for_holds_although_the_status_cannot_be_written() {
    let process = started().await;
    let (status, refusal) = (format!("{BROKER}/status"), (422, "Invalid"));
    process
        .cluster
        .refuse(Method::PUT, &status, refusal, usize::MAX);
    process
        .world
        .script(None, Operation::Catalog, busy_for(7), 1);
    let probes = process.world.count(Operation::Catalog);
    let asked_again = |process: &InProcess| process.world.count(Operation::Catalog) > probes;
    process.until("it is probed", asked_again).await;
    process.let_pass(Duration::from_mins(6)).await;
    assert_eq!(process.world.count(Operation::Catalog), probes + 1);
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_broker_that_asks_for_a_wait_is_not_probed_before_its_end_whatever_changes() {
    let process = started().await;
    process
        .world
        .script(None, Operation::Catalog, busy_for(7), 1);
    process.until("it is busy", is_busy).await;
    let (probes, since) = (process.world.count(Operation::Catalog), process.clock.now());
    use_all(&process).await;
    process.let_pass(Duration::from_mins(5)).await;
    assert_eq!(process.world.count(Operation::Catalog), probes);
    assert!(is_busy(&process));
    process.until("it is ready again", is_ready).await;
    let took = process.clock.now().duration_since(since);
    assert!(took >= SignedDuration::from_secs(7 * 60 - 1), "{took:?}");
    assert_eq!(process.world.count(Operation::Catalog), probes + 1);
}

// shows D1
#[tokio::test(start_paused = true)]
async fn who_asks_for_it_gets_a_probe_and_waits_if_the_broker_has_asked_for_that() {
    let process = started().await;
    let ask = |wish: &str| {
        edit_broker(&process, |broker| {
            let wish = (ANNOTATION_RECONCILE_AT.to_owned(), wish.to_owned());
            broker.metadata.annotations = Some([wish].into());
        });
    };
    let handled = |process: &InProcess| {
        let broker: Connection = process.cluster.get("", BROKER).expect("a Connection");
        let status = broker.status.unwrap_or_default();
        status.last_handled_reconcile_at.map(|it| it.to_string())
    };
    let probes = process.world.count(Operation::Catalog);
    ask("first");
    let is_first = |process: &InProcess| handled(process).as_deref() == Some("first");
    process.until("the wish is acted on", is_first).await;
    assert_eq!(process.world.count(Operation::Catalog), probes + 1);

    process
        .world
        .script(None, Operation::Catalog, busy_for(30), 1);
    ask("second");
    process.until("it is busy", is_busy).await;
    ask("third");
    process.let_pass(Duration::from_mins(20)).await;
    assert_eq!(handled(&process).as_deref(), Some("second"));
    let is_third = |process: &InProcess| handled(process).as_deref() == Some("third");
    process.until("it is asked after the wait", is_third).await;
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_connection_is_probed_at_once_when_it_leads_to_another_broker_and_not_after_other_edits()
{
    let process = started().await;
    process
        .world
        .script(None, Operation::Catalog, busy_for(60), 1);
    process.until("it is busy", is_busy).await;
    let probes = process.world.count(Operation::Catalog);
    edit_broker(&process, |broker| {
        broker.spec.allow[0].name = "b".to_owned();
        broker.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    });
    process.let_pass(Duration::from_mins(5)).await;
    assert_eq!(process.world.count(Operation::Catalog), probes);
    assert!(is_busy(&process));
    let since = process.clock.now();
    let another = "https://another.example";
    let server = process.world.server(BROKER_URL);
    process.world.put_server(another, server.expect("a broker"));
    edit_broker(&process, |broker| {
        let broker = broker.spec.osb.as_mut().expect("a broker");
        another.clone_into(&mut broker.url);
    });
    process.until("it is ready again", is_ready).await;
    let took = process.clock.now().duration_since(since);
    assert!(took < SignedDuration::from_mins(1), "{took:?}");
}

// shows K2 K7
#[tokio::test(start_paused = true)]
async fn odd_entries_of_a_catalog_are_named_by_its_connection_and_told_once() {
    let process = started().await;
    let odd = "the offering \"cloud\" has no id";
    process.world.change_server(BROKER_URL, |server| {
        server.catalog.odd = vec![odd.to_owned()];
    });
    let named = |process: &InProcess| {
        let status = connection(process, BROKER).status.unwrap_or_default();
        let mut conditions = status.conditions.iter();
        conditions.any(|it| it.type_ == "Ready" && it.message.contains(odd))
    };
    process.until("it is named", named).await;
    assert!(is_ready(&process));
    process.let_pass(PROBE.unsigned_abs() * 3).await;
    let events = process.cluster.events();
    let told = format!("CatalogEntryUnusable Connection {BROKER}");
    assert_eq!(events, [told]);
}

/// The begin of a certificate without its end.
const BROKEN: &str = "-----BEGIN CERTIFICATE";

// shows K2
#[tokio::test(start_paused = true)]
async fn authorities_of_ones_own_are_read_from_their_config_map() {
    let process = started().await;
    edit_broker(&process, |broker| {
        broker.spec.tls = Some(Tls {
            trust: Trust::Verify,
            ca_config_map_ref: Some(LocalReference {
                name: "northwind-ca".to_owned(),
            }),
            ..Tls::default()
        });
    });
    let says = |wanted: &'static str| {
        move |process: &InProcess| broker_says(process, "ResolvedRefs") == wanted
    };
    let missing = says("False(SecretNotFound)");
    process.until("the ConfigMap is missing", missing).await;
    let mut map = ConfigMap::default();
    map.metadata.name = Some("northwind-ca".to_owned());
    map.metadata.namespace = Some("entente-system".to_owned());
    process.cluster.apply(&map);
    let empty = says("False(SecretKeyMissing)");
    process.until("it has no ca.crt", empty).await;
    let mut holding = |pem: &str| {
        map.data = Some([("ca.crt".to_owned(), pem.to_owned())].into());
        process.cluster.apply(&map);
    };
    holding(BROKEN);
    let unusable = |process: &InProcess| broker_says(process, "Ready") == "False(UnsupportedValue)";
    process.until("none can be read", unusable).await;
    holding(&[&authority(), BROKEN].concat());
    process.until("it is ready again", is_ready).await;
    let status = connection(&process, BROKER).status.expect("a status");
    let resolved = status.conditions.iter();
    let mut resolved = resolved.filter(|it| it.type_ == "ResolvedRefs");
    let said = resolved.next().expect("it is said").message.clone();
    assert!(said.contains("left out: 2"), "{said}");
    holding(&authority());
    let told = |process: &InProcess| {
        let status = connection(process, BROKER).status.unwrap_or_default();
        let all = status.conditions.iter();
        all.filter(|it| it.type_ == "ResolvedRefs")
            .any(|it| it.status == "True" && !it.message.contains("left out"))
    };
    process.until("nothing is left out", told).await;
}

/// Returns an authority in PEM.
fn authority() -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["authority".to_owned()]);
    let certificate = params.expect("a name").self_signed(&key);
    certificate.expect("a certificate").pem()
}

// shows K5 K7
#[tokio::test(start_paused = true)]
async fn a_broker_that_hangs_keeps_no_other_connection_from_being_probed() {
    let process = started().await;
    for index in 0..40 {
        let mut hung = example::northwind_services();
        hung.metadata.name = Some(format!("hung-{index}"));
        let url = format!("https://hung-{index}.example");
        hung.spec.osb.as_mut().expect("a broker").url = url.clone();
        process
            .world
            .script(Some(&url), Operation::Catalog, Fault::Hang, u32::MAX);
        process.cluster.apply(&hung);
    }
    process.let_pass(Duration::from_millis(200)).await;
    let mut good = example::northwind_services();
    good.metadata.name = Some("good".to_owned());
    process.cluster.apply(&good);
    let edited = process.clock.now();
    let probed = |process: &InProcess| {
        let status = connection(process, "good").status.unwrap_or_default();
        says(&status.conditions, "Ready") == "True(Succeeded)"
    };
    process.until("it is probed", probed).await;
    let took = process.clock.now().duration_since(edited);
    assert!(took < jiff::SignedDuration::from_secs(5), "{took:?}");
    let timed_out = |process: &InProcess| {
        let status = connection(process, "hung-7").status.unwrap_or_default();
        says(&status.conditions, "Reachable") == "False(TimedOut)"
    };
    process.until("those that hang say so", timed_out).await;
}

// shows K2 K7
#[tokio::test(start_paused = true)]
async fn a_probe_whose_driver_panics_is_a_fault_of_that_connection() {
    let process = started().await;
    process
        .world
        .script(None, Operation::Catalog, Fault::Panic, 3);
    edit_broker(&process, |broker| {
        broker.spec.allow[0].name = "b".to_owned();
    });
    let said = |process: &InProcess| broker_says(process, "Reachable") == "False(ProtocolError)";
    process.until("the fault is said", said).await;
    process.until("it is ready again", is_ready).await;
}

// shows K2 K7
#[tokio::test(start_paused = true)]
async fn a_pass_over_a_connection_that_panics_is_said_and_the_next_ones_help() {
    let process = started().await;
    process
        .cluster
        .panic(Method::GET, "secrets/northwind-services", 3);
    edit_broker(&process, |broker| {
        broker.spec.allow[0].name = "b".to_owned();
    });
    let said = |process: &InProcess| broker_says(process, "Ready") == "False(InternalError)";
    process.until("the defect is said", said).await;
    process.until("it is ready again", is_ready).await;
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_status_that_loses_a_race_keeps_what_won_it() {
    let process = started().await;
    process
        .cluster
        .overtake(Method::PUT, "connections/northwind-services/status", |it| {
            it["metadata"]["labels"] = serde_json::json!({"mine": "yes"});
        });
    process.world.remove_server(BROKER_URL);
    let down = |process: &InProcess| broker_says(process, "Reachable") == "False(Unreachable)";
    process.until("it cannot be reached", down).await;
    assert!(connection(&process, BROKER).labels().contains_key("mine"));
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_new_controller_over_a_settled_catalogue_writes_nothing() {
    let mut process = started().await;
    use_all(&process).await;
    process.kill();
    process.cluster.forget_requests();
    process.start(catalogue).await;
    process.let_pass(Duration::from_mins(5)).await;
    assert_eq!(process.cluster.writes(), [""; 0]);
}

// shows K5
#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_overloaded_is_asked_until_it_recovers() {
    for failing in [
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (409, "Conflict"),
    ] {
        let process = started().await;
        process
            .cluster
            .refuse(Method::PUT, "/status", failing, usize::MAX);
        process
            .cluster
            .refuse(Method::PATCH, "", failing, usize::MAX);
        process.cluster.apply(&example::devices()[0]);
        process.cluster.apply(&example::service_subscription());
        process.let_pass(Duration::from_mins(2)).await;
        assert_eq!(is_protected(&process), [false; 4], "{failing:?}");
        process.cluster.recover();
        let held = |process: &InProcess| {
            is_protected(process) == [true; 4] && used_by(process) == [Some(1); 4]
        };
        process.until("everything is held", held).await;
    }
}

// shows K7
#[tokio::test(start_paused = true)]
async fn what_is_used_is_protected_although_its_status_is_refused() {
    let process = started().await;
    let refusal = (422, "Invalid");
    process
        .cluster
        .refuse(Method::PUT, "/status", refusal, usize::MAX);
    process.cluster.apply(&example::devices()[0]);
    process.cluster.apply(&example::service_subscription());
    let held = |process: &InProcess| is_protected(process) == [true; 4];
    process.until("everything is held", held).await;
}

// shows K3
#[tokio::test(start_paused = true)]
async fn a_fleet_that_is_applied_writes_a_few_numbers_and_not_one_for_each_device() {
    let process = started().await;
    process.let_pass(GATHERED).await;
    process.cluster.forget_requests();
    for number in 0..200 {
        let mut device = example::devices()[0].clone();
        device.metadata.name = Some(format!("device-{number}"));
        process.cluster.apply(&device);
        process.let_pass(Duration::from_millis(10)).await;
    }
    process.let_pass(GATHERED).await;
    assert_eq!(used_by(&process)[..3], [Some(200), Some(0), Some(200)]);
    let writes = process.cluster.writes();
    assert!(writes.len() <= 6, "{writes:#?}");
}

// shows C10
#[tokio::test(start_paused = true)]
async fn an_instance_that_was_left_behind_is_listed_once_and_holds_its_connection() {
    let process = started().await;
    use_all(&process).await;
    let name = example::service_subscription().name_any();
    process
        .cluster
        .edit(NAMESPACE, &name, |it: &mut ServiceSubscription| {
            it.status.get_or_insert_default().server = Some(ServerInstance {
                connection_ref: entente_crds::v1alpha1::NameReference {
                    name: BROKER.to_owned(),
                },
                instance_id: "i-1".to_owned(),
                service_id: "data-backup-id".to_owned(),
                plan_id: "standard-id".to_owned(),
                orphaned: Some("2027-03-01T00:00:00Z".parse().unwrap()),
                ..ServerInstance::default()
            });
        });
    let listed = |process: &InProcess| {
        let status = connection(process, BROKER).status.unwrap_or_default();
        let orphans: Vec<_> = status
            .orphans
            .iter()
            .map(|it| &it.instance_id[..])
            .collect();
        orphans == ["i-1"]
    };
    let before = process.clock.now();
    process.until("it is listed", listed).await;
    let took = process.clock.now().duration_since(before);
    assert!(took < jiff::SignedDuration::from_secs(2), "{took:?}");
    process
        .cluster
        .delete::<ServiceSubscription>(NAMESPACE, &name);
    process.let_pass(Duration::from_secs(30)).await;
    assert!(listed(&process), "it is not tried at once");
}

// shows K5
#[tokio::test(start_paused = true)]
async fn watches_that_end_and_a_history_that_is_lost_hide_no_edit() {
    for lost in [false, true] {
        let process = started().await;
        if lost {
            process.cluster.forget_history();
        } else {
            process.cluster.disconnect();
        }
        process.world.remove_server(BROKER_URL);
        edit_broker(&process, |broker| {
            broker.spec.allow[0].name = "b".to_owned();
        });
        let before = process.clock.now();
        let down = |process: &InProcess| broker_says(process, "Reachable") == "False(Unreachable)";
        process.until("it cannot be reached", down).await;
        let took = process.clock.now().duration_since(before);
        assert!(
            took < jiff::SignedDuration::from_mins(1),
            "{lost}: {took:?}"
        );
    }
}
