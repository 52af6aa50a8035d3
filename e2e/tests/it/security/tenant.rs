//! Secrets of tenants: not readable, granted, sent to both sides and shown nowhere else, and
//! changed.

use entente_crds::LABEL_USE;
use entente_crds::v1alpha1::{
    Contract, Device, DeviceModel, DeviceSetting, IppSetting, IppSyntax, LocalReference, Parameter,
    SecretKeyReference, SecretParameter, ServerSetting, ServiceSubscription, SmartService,
    ValueSource, ValueType, Via, WantedSetting,
};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use entente_simulators::{Credentials, FleetOptions};
use kube::api::ListParams;
use serde_json::json;

use super::ALLOWED;
use super::canary::places_with;
use crate::delivery_fixture::{
    DeliveryFixture, contract_is, reconciled, subscription_says, test_namespace,
};
use crate::tenant_secrets::{apply_secret, apply_secret_as, grant};

const SECRET: &str = "cloud-account";

fn from_account() -> ValueSource {
    ValueSource {
        parameter: Some("account".to_owned()),
        ..ValueSource::default()
    }
}

/// Returns a setting of type Secret; `write_only` if the device never returns it.
fn setting(name: &str, attribute: &str, write_only: bool) -> DeviceSetting {
    DeviceSetting {
        name: name.to_owned(),
        r#type: ValueType::Secret,
        via: Via {
            ipp: Some(IppSetting {
                attribute: attribute.to_owned(),
                syntax: IppSyntax::Text,
                ..IppSetting::default()
            }),
            ..Via::default()
        },
        write_only,
        ..DeviceSetting::default()
    }
}

/// Applies the model and the service `data-backup`, with an account that is sent to both sides.
async fn apply_catalogue(namespace: &TestNamespace<'_>) {
    let mut model = namespace.model();
    model.spec.settings.extend([
        setting("cloud.account", "printer-organization", false),
        setting("cloud.password", "nw-cloud-endpoint", true),
    ]);
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    let mut service = namespace.backup();
    service.spec.parameters.push(Parameter {
        name: "account".to_owned(),
        r#type: ValueType::Secret,
        ..Parameter::default()
    });
    let device = service.spec.device.as_mut().expect("it has one");
    for name in ["cloud.account", "cloud.password"] {
        device.settings.push(WantedSetting {
            name: name.to_owned(),
            value_from: Some(from_account()),
            ..WantedSetting::default()
        });
    }
    let server = service.spec.server.as_mut().expect("it has one");
    for (name, pointer, write_only) in [
        ("account", "/login/account", false),
        ("password", "/login/password", true),
    ] {
        server.settings.push(ServerSetting {
            name: name.to_owned(),
            pointer: Some(pointer.to_owned()),
            value_from: Some(from_account()),
            write_only,
            ..ServerSetting::default()
        });
    }
    namespace.apply::<SmartService>(&service).await.unwrap();
}

fn contract(fixture: &DeliveryFixture<'_>) -> Contract {
    let mut contract = fixture.backup_contract("accounts", now(), ALLOWED);
    contract.spec.services[0].secret_parameters = vec![SecretParameter {
        name: "account".to_owned(),
        secret_key_ref: SecretKeyReference {
            name: SECRET.to_owned(),
            key: "token".to_owned(),
        },
    }];
    contract
}

/// Waits until both sides have the text, and nothing that people read has it.
async fn both_sides_have(fixture: &DeliveryFixture<'_>, text: &str) {
    let namespace = &fixture.namespace;
    let told = namespace.soon("both sides have the text of the Secret", async || {
        let device = fixture.device(0);
        let wanted = Some(json!(text));
        let attributes = ["printer-organization", "nw-cloud-endpoint"];
        let on_device = attributes.map(|name| device.attribute(name) == wanted);
        let instances = fixture.broker.instances();
        let login = instances.first()?.parameters.get("login")?.clone();
        let on_server = login == json!({"account": text, "password": text});
        (on_device == [true, true] && on_server).then_some(())
    });
    told.await.unwrap();
    contract_is(namespace, "accounts", "Delivered").await;
}

// shows B5, K4
#[tokio::test]
async fn a_secret_of_a_tenant_reaches_both_sides_and_nobody_else() {
    let (first, second) = ("canary-account-51c0", "canary-account-8e2b");
    let fixture = DeliveryFixture::new("tenant-secret", 1).await;
    let namespace = &fixture.namespace;
    apply_catalogue(namespace).await;
    apply_secret_as(namespace, SECRET, &[("token", first)], false).await;
    namespace
        .apply::<Contract>(&contract(&fixture))
        .await
        .unwrap();

    // The platform team has not granted it.
    let parts = ["accounts", "backup", fixture.name(0)];
    let found = subscription_says(namespace, parts, "ResolvedRefs", "SecretForbidden").await;
    let message = &found
        .condition("ResolvedRefs")
        .expect("it is there")
        .message;
    for word in [SECRET, "entente-tenant-secrets", "tenantSecrets.namespaces"] {
        assert!(message.contains(word), "{word} is not in: {message}");
    }
    assert!(fixture.broker.instances().is_empty());
    grant(namespace).await;
    reconciled(namespace, fixture.name(0)).await;

    // The tenant has not let this Secret be used.
    namespace
        .soon("the missing label is said", async || {
            let all = namespace.api::<ServiceSubscription>();
            let all = all.list(&ListParams::default()).await.ok()?;
            let said = all.items.iter().any(|it| {
                let found = it.condition("ResolvedRefs");
                found.is_some_and(|found| found.message.contains(LABEL_USE))
            });
            said.then_some(())
        })
        .await
        .unwrap();
    assert!(fixture.broker.instances().is_empty());
    apply_secret(namespace, SECRET, &[("token", first)]).await;
    reconciled(namespace, fixture.name(0)).await;
    both_sides_have(&fixture, first).await;

    // A change of the Secret is delivered with the Device's next pass.
    apply_secret(namespace, SECRET, &[("token", second)]).await;
    reconciled(namespace, fixture.name(0)).await;
    both_sides_have(&fixture, second).await;

    let places = places_with(namespace, &[first.to_owned(), second.to_owned()]).await;
    assert_eq!(places, Vec::<String>::new());
    fixture.finish().await;
}

// shows K4
#[tokio::test]
async fn a_device_is_logged_in_with_the_secret_of_its_own_namespace() {
    let password = "canary-device-40ad";
    let namespace = test_namespace("tenant-login").await;
    let options = FleetOptions {
        credentials: Some(Credentials {
            user: "service".to_owned(),
            password: password.to_owned(),
        }),
        ..FleetOptions::of(1)
    };
    let fleet = namespace.fleet_of(options).await.unwrap();
    let connection = namespace.device_connection(fleet.port());
    namespace.apply(&connection).await.unwrap();
    namespace.apply(&namespace.model()).await.unwrap();
    namespace.apply(&namespace.parts()).await.unwrap();
    grant(&namespace).await;
    let mut device = namespace.device(&fleet.devices()[0]);
    let name = fleet.devices()[0].name();
    device.spec.connections[0].credentials_ref = Some(LocalReference {
        name: "login".to_owned(),
    });
    namespace.apply::<Device>(&device).await.unwrap();
    let entry = namespace.entry("parts", "parts-life", &[name], ALLOWED);
    let contract = namespace.contract("own-login", now(), vec![entry]);
    namespace.apply::<Contract>(&contract).await.unwrap();
    let parts = ["own-login", "parts", name];

    subscription_says(&namespace, parts, "ResolvedRefs", "SecretNotFound").await;
    assert!(
        namespace.ledger().is_empty(),
        "it was asked without its login"
    );
    apply_secret(
        &namespace,
        "login",
        &[("username", "service"), ("password", "wrong")],
    )
    .await;
    reconciled(&namespace, name).await;
    subscription_says(&namespace, parts, "DeviceConfigured", "Unauthorized").await;
    let login = [("username", "service"), ("password", password)];
    apply_secret(&namespace, "login", &login).await;
    reconciled(&namespace, name).await;
    contract_is(&namespace, "own-login", "Delivered").await;
    let places = places_with(&namespace, &[password.to_owned()]).await;
    assert_eq!(places, Vec::<String>::new());
}
