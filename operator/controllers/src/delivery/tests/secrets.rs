//! Tests of Secrets that delivery reads: logins of Connections and Devices, and values of tenants.

use entente_crds::{
    LABEL_USE, MAY_BE_USED,
    v1alpha1::{
        DeviceConnection, LocalReference, SecretKeyReference, SecretParameter, SmartService,
        ValueType,
    },
};
use entente_domain::remote::FailureKind;
use entente_drivers::fake::Fault;
use http::Method;
use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::{
    objects::{ask_to_reconcile, edit_device},
    *,
};

fn secret(namespace: &str, name: &str, data: &[(&str, &str)]) -> Secret {
    let mut secret = Secret::default();
    secret.metadata.name = Some(name.to_owned());
    secret.metadata.namespace = Some(namespace.to_owned());
    let label = (LABEL_USE.to_owned(), MAY_BE_USED.to_owned());
    secret.metadata.labels = Some([label].into());
    let data = data.iter();
    let data = data.map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec())));
    secret.data = Some(data.collect());
    secret
}

// shows K2 K4
#[tokio::test(start_paused = true)]
async fn a_login_whose_secret_is_missing_or_forbidden_says_so_and_asks_nobody() {
    for (missing, reason) in [
        (true, "False(SecretNotFound)"),
        (false, "False(SecretForbidden)"),
    ] {
        let mut process = prepared();
        let part = "secrets/northwind-services";
        if missing {
            let namespace = "entente-system";
            process
                .cluster
                .delete::<Secret>(namespace, "northwind-services");
        } else {
            let refused = (403, "Forbidden");
            process
                .cluster
                .refuse(Method::GET, part, refused, usize::MAX);
        }
        process.start(delivery).await;
        begin(&process);
        let said = |process: &InProcess| ready(process) == reason;
        process.until(reason, said).await;
        process.let_pass(Duration::from_mins(10)).await;
        let calls = process.world.ledger();
        assert!(calls.iter().all(|it| it.url != BROKER_URL), "{calls:?}");
        process.cluster.recover();
        process.cluster.apply(&broker_login());
        process.until("it is delivered", is_delivered).await;
    }
}

// shows K2
#[tokio::test(start_paused = true)]
async fn a_device_with_a_login_of_its_own_says_when_its_secret_is_missing_and_goes_on_with_it() {
    let mut process = prepared();
    edit_device(&process, |device| {
        let own = LocalReference {
            name: "lobby-login".to_owned(),
        };
        device.spec.connections = vec![DeviceConnection {
            name: "hq-ipp".to_owned(),
            credentials_ref: Some(own),
            ..DeviceConnection::default()
        }];
    });
    process.start(delivery).await;
    begin(&process);
    let missing = |process: &InProcess| ready(process) == "False(SecretNotFound)";
    process.until("its Secret is missing", missing).await;
    assert_eq!(process.world.count(Operation::DeviceObserve), 0);
    // A Secret without a password has no credentials.
    let half = secret(NAMESPACE, "lobby-login", &[("username", "admin")]);
    process.cluster.apply(&half);
    let half = |process: &InProcess| ready(process) == "False(SecretKeyMissing)";
    process.until("its password is missing", half).await;
    let data = [("username", "admin"), ("password", "open sesame")];
    process
        .cluster
        .apply(&secret(NAMESPACE, "lobby-login", &data));
    process.until("it is delivered", is_delivered).await;
}

/// Gives the service a Secret of the tenant, which is sent to the broker.
fn with_secret_parameter(process: &InProcess) {
    process
        .cluster
        .apply(&secret("entente-system", "entente-digest-key", &[]));
    process
        .cluster
        .edit("", "data-backup", |service: &mut SmartService| {
            let mut parameter = service.spec.parameters[0].clone();
            parameter.name = "account".to_owned();
            parameter.r#type = ValueType::Secret;
            parameter.allowed = Vec::new();
            parameter.default = None;
            service.spec.parameters.push(parameter);
            let server = service.spec.server.as_mut().expect("a server's side");
            let mut setting = server.settings[1].clone();
            setting.name = "account".to_owned();
            let source = setting.value_from.as_mut().expect("a source");
            source.parameter = Some("account".to_owned());
            server.settings.push(setting);
        });
    process
        .cluster
        .edit(NAMESPACE, SUBSCRIPTION, |it: &mut ServiceSubscription| {
            Arc::make_mut(&mut it.spec.revisions[0]).secret_parameters = vec![SecretParameter {
                name: "account".to_owned(),
                secret_key_ref: SecretKeyReference {
                    name: "backup-account".to_owned(),
                    key: "token".to_owned(),
                },
            }];
        });
}

// shows K2 K4
#[tokio::test(start_paused = true)]
async fn a_secret_of_the_tenant_goes_to_the_broker_and_into_no_object() {
    let mut process = prepared();
    with_secret_parameter(&process);
    process.start(delivery).await;
    begin(&process);
    let missing = |process: &InProcess| ready(process) == "False(SecretNotFound)";
    process.until("the Secret is missing", missing).await;
    assert_eq!(process.world.count(Operation::Provision), 0);
    let canary = "canary-4711";
    process
        .cluster
        .apply(&secret(NAMESPACE, "backup-account", &[("token", canary)]));
    process.until("it is delivered", is_delivered).await;
    let told = |process: &InProcess| {
        let id = status(process).server.expect("an instance").instance_id;
        let instance = process
            .world
            .instance(BROKER_URL, &id)
            .expect("it is there");
        json!(instance.parameters).to_string()
    };
    assert!(told(&process).contains(canary));
    let dump = process.cluster.dump();
    assert!(!dump.contains(canary), "a status holds the Secret");

    // Another value is another parameter: after a change and a request for a look it is sent.
    process.world.clear_ledger();
    let next = "canary-0815";
    process
        .cluster
        .apply(&secret(NAMESPACE, "backup-account", &[("token", next)]));
    ask_to_reconcile(&process, "now");
    let changed = |process: &InProcess| is_delivered(process) && told(process).contains(next);
    process.until("the new one is sent", changed).await;
    assert_eq!(sent(&process), [Operation::Update]);
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_refused_value_from_a_secret_is_sent_within_minutes_after_the_secret_was_corrected() {
    let mut process = prepared();
    with_secret_parameter(&process);
    let token = |text: &str| secret(NAMESPACE, "backup-account", &[("token", text)]);
    process.cluster.apply(&token("wrong"));
    let refused = Fault::fail(FailureKind::RejectedValue);
    process
        .world
        .script(Some(BROKER_URL), Operation::Provision, refused, 1);
    process.start(delivery).await;
    begin(&process);
    let said = |process: &InProcess| ready(process) == "False(RejectedValue)";
    process.until("it is refused", said).await;
    process.let_pass(Duration::from_mins(15)).await;
    assert_eq!(process.world.count(Operation::Provision), 1);
    process.cluster.apply(&token("right"));
    process.let_pass(Duration::from_mins(11)).await;
    assert!(is_delivered(&process), "{}", ready(&process));
}
