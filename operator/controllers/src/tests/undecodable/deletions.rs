//! Deletions after the operator was started anew, while an object on which they depend cannot be
//! read.

use super::*;

/// Returns the number of instances at the broker.
fn instances(process: &InProcess) -> usize {
    let server = process.world.server(BROKER_URL).expect("a broker");
    server.instances.len()
}

/// Delivers everything, and starts the operator anew while a field of one object is spoiled. Returns
/// the value that the field had.
async fn spoiled<K>(namespace: &str, name: &str, pointer: &str) -> (InProcess, Value)
where
    K: Resource<DynamicType = ()>,
{
    let mut process = established().await;
    jump_to_start(&process);
    process.until("all is delivered", is_delivered).await;
    process.kill();
    let before = process.cluster.json::<K>(namespace, name);
    let field = before.pointer(pointer).cloned().expect("the field");
    set::<K>(&process, namespace, name, pointer, &json!([7]));
    process.start_all();
    let is_said =
        |process: &InProcess| ready::<K>(process, namespace, name).contains("Undecodable");
    process.until("it says so", is_said).await;
    (process, field)
}

fn is_gone(process: &InProcess) -> bool {
    let names = process.cluster.names::<ServiceSubscription>();
    process.cluster.names::<Contract>().is_empty() && names.is_empty()
}

// shows K1 K7
#[tokio::test(start_paused = true)]
async fn a_withdrawal_waits_for_a_broker_whose_connection_cannot_be_read_and_says_so() {
    let at = "/spec/osb/url";
    let (mut process, url) = spoiled::<Connection>("", BROKER, at).await;
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
    let subscription = "banco-sul-2027.backup.lobby-mfp";
    let waits = |process: &InProcess| {
        let said = ready::<ServiceSubscription>(process, NAMESPACE, subscription);
        let message = format!("the Connection {BROKER} cannot be read");
        said.to_lowercase().contains(&message.to_lowercase())
            && process.cluster.names::<ServiceSubscription>().len() == 4
    };
    process
        .until("those without an instance are gone", waits)
        .await;
    process.let_pass(Duration::from_hours(100)).await;
    assert_eq!(process.cluster.names::<ServiceSubscription>().len(), 4);
    assert_eq!(instances(&process), 4, "nothing was removed");
    set::<Connection>(&process, "", BROKER, at, &url);
    process.until("all is withdrawn", is_gone).await;
    let removed = |process: &InProcess| instances(process) == 0;
    process.until("every instance is removed", removed).await;
    process.kill();
}

// shows K1 K7
#[tokio::test(start_paused = true)]
async fn a_withdrawal_needs_neither_a_device_nor_a_service_that_can_be_read() {
    let (mut process, _) = spoiled::<Device>(NAMESPACE, "lobby-mfp", "/spec/address").await;
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
    process.until("all is withdrawn", is_gone).await;
    assert_eq!(instances(&process), 0);
    process.kill();
    let (mut process, _) = spoiled::<SmartService>("", "data-backup", "/spec/provider").await;
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
    process.until("all is withdrawn", is_gone).await;
    assert_eq!(instances(&process), 0);
    process.kill();
}

// shows K1 K7
#[tokio::test(start_paused = true)]
async fn a_contract_that_cannot_be_read_is_neither_withdrawn_nor_let_go_when_it_is_deleted() {
    let at = "/spec/term/timeZone";
    let (mut process, zone) = spoiled::<Contract>(NAMESPACE, CONTRACT, at).await;
    process.let_pass(Duration::from_hours(100)).await;
    assert!(statuses(&process).len() == SUBSCRIPTIONS && instances(&process) == 4);
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
    process.let_pass(Duration::from_hours(100)).await;
    assert_eq!(process.cluster.names::<Contract>(), [CONTRACT]);
    assert!(statuses(&process).len() == SUBSCRIPTIONS && instances(&process) == 4);
    set::<Contract>(&process, NAMESPACE, CONTRACT, at, &zone);
    process.until("all is withdrawn", is_gone).await;
    assert_eq!(instances(&process), 0);
    process.kill();
}

// shows K1 K7
#[tokio::test(start_paused = true)]
async fn what_an_object_that_cannot_be_read_may_use_is_kept_when_it_is_deleted() {
    let (mut process, field) = spoiled::<Device>(NAMESPACE, "lobby-mfp", "/spec/address").await;
    // The other users go, and the Device alone is left.
    process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
    process.until("all is withdrawn", is_gone).await;
    for device in &example::devices()[1..] {
        process
            .cluster
            .delete::<Device>(NAMESPACE, &device.name_any());
    }
    process.cluster.delete::<DeviceModel>("", "mfp-500");
    process.cluster.delete::<Connection>("", "hq-ipp");
    process.let_pass(Duration::from_hours(1)).await;
    assert_eq!(process.cluster.names::<DeviceModel>(), ["mfp-500"]);
    assert!(
        process
            .cluster
            .names::<Connection>()
            .contains(&"hq-ipp".to_owned())
    );
    set::<Device>(&process, NAMESPACE, "lobby-mfp", "/spec/address", &field);
    process.let_pass(Duration::from_hours(1)).await;
    assert_eq!(process.cluster.names::<DeviceModel>(), ["mfp-500"]);
    process.cluster.delete::<Device>(NAMESPACE, "lobby-mfp");
    let are_gone = |process: &InProcess| {
        let connections = process.cluster.names::<Connection>();
        process.cluster.names::<DeviceModel>().is_empty()
            && !connections.contains(&"hq-ipp".to_owned())
    };
    process.until("model and Connection go", are_gone).await;
    process.kill();
}

// shows K4 K7
#[tokio::test(start_paused = true)]
async fn the_machine_of_a_device_that_cannot_be_read_is_not_given_to_another() {
    for spoiled_field in ["/spec/address", "/spec/serialNumber", "/spec/modelRef"] {
        let mut process = prepared();
        // The others have identities that count; without one the place alone would tell.
        process.world.put_device(&url(0), fake_device("urn:uuid:7"));
        process.start_all();
        let has_claim = |process: &InProcess| {
            let first = process.cluster.json::<Device>(NAMESPACE, "lobby-mfp");
            !first["status"]["claim"]["since"].is_null()
        };
        process.until("the first has the machine", has_claim).await;
        process.kill();
        set::<Device>(&process, NAMESPACE, "lobby-mfp", spoiled_field, &json!([7]));
        // Another one comes at the address of the first.
        let mut rival = example::devices()[0].clone();
        rival.metadata.name = Some("rival".to_owned());
        process.cluster.apply(&rival);
        process.start_all();
        let says = |process: &InProcess, words: &str| {
            ready::<Device>(process, NAMESPACE, "rival").starts_with(words)
        };
        let is_refused = |process: &InProcess| says(process, "False(AlreadyClaimed)");
        process
            .until(&format!("it is refused, {spoiled_field}"), is_refused)
            .await;
        process.let_pass(Duration::from_hours(10)).await;
        assert!(is_refused(&process), "it stays so");
        process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
        process
            .cluster
            .edit_json::<Device>(NAMESPACE, "lobby-mfp", |device| {
                device["metadata"]["finalizers"] = Value::Null;
            });
        process.cluster.delete::<Device>(NAMESPACE, "lobby-mfp");
        let has_it = |process: &InProcess| says(process, "True(");
        process.until("it has the machine then", has_it).await;
        process.kill();
    }
}

// shows K7
#[tokio::test(start_paused = true)]
async fn nothing_is_begun_on_a_device_where_a_subscription_cannot_be_read() {
    let name = "banco-sul-2027.backup.lobby-mfp";
    let at = "/spec/serviceName";
    let (mut process, field) = spoiled::<ServiceSubscription>(NAMESPACE, name, at).await;
    let mut second = example::banco_sul_2027();
    second.metadata.name = Some("second".to_owned());
    second.spec.services.truncate(1);
    second.spec.services[0].devices.selector = None;
    second.spec.services[0].devices.expect = None;
    process.cluster.apply(&second);
    let says = |process: &InProcess, words: &str| {
        let name = "second.backup.lobby-mfp";
        ready::<ServiceSubscription>(process, NAMESPACE, name).starts_with(words)
    };
    let waits = |process: &InProcess| says(process, "False(Undecodable)");
    process.until("the second waits", waits).await;
    process.let_pass(Duration::from_hours(10)).await;
    assert!(waits(&process), "it stays so");
    assert_eq!(instances(&process), 4, "it has none");
    let others = statuses_but(&process, &[name, "second.backup.lobby-mfp"]);
    assert!(
        others.iter().all(|ready| ready == "True(Delivered)"),
        "{others:?}"
    );
    set::<ServiceSubscription>(&process, NAMESPACE, name, at, &field);
    let loses = |process: &InProcess| says(process, "False(ConflictingContract)");
    process.until("the first comes first", loses).await;
    assert_eq!(instances(&process), 4, "it never had one");
    process.kill();
}

/// Returns Ready of the subscriptions but these.
fn statuses_but(process: &InProcess, but: &[&str]) -> Vec<String> {
    let names = process.cluster.names::<ServiceSubscription>().into_iter();
    let names = names.filter(|name| !but.contains(&&**name));
    names
        .map(|name| {
            let ready = ready::<ServiceSubscription>(process, NAMESPACE, &name);
            ready.split(' ').next().unwrap_or_default().to_owned()
        })
        .collect()
}
