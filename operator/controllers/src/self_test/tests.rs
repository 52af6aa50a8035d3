//! Tests of the self test of rights and definitions.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{COMPONENT, Installation, RIGHTS, another_to_serve, missing, pass};
use crate::{
    fake_api::{Asked, FakeApi},
    readiness::Readiness,
    shutdown::Shutdown,
};

const EVERYWHERE: Installation<'static> = Installation {
    namespace: "entente-system",
    watched: &[],
};

/// Kinds and rights of a cluster.
#[derive(Clone)]
struct Cluster {
    kinds: BTreeSet<String>,
    schemas: Value,
    /// `verb resource` that is refused.
    refused: BTreeSet<String>,
}

impl Cluster {
    fn complete() -> Self {
        let mut kinds = BTreeSet::new();
        let mut schemas = json!({});
        for crd in entente_crds::manifest::all() {
            kinds.insert(crd.spec.names.plural.clone());
            let schema = crd.spec.versions[0].schema.as_ref().unwrap();
            schemas[format!("dev.entente.v1alpha1.{}", crd.spec.names.kind)] =
                serde_json::to_value(schema.open_api_v3_schema.as_ref().unwrap()).unwrap();
        }
        Self {
            kinds,
            schemas,
            refused: BTreeSet::new(),
        }
    }

    fn answer(&self, asked: Asked) {
        if asked.target.ends_with("/apis/entente.dev/v1alpha1") && asked.target.contains("openapi")
        {
            asked.answer(200, &json!({"components": {"schemas": self.schemas}}));
        } else if asked.target.ends_with("/apis/entente.dev/v1alpha1") {
            if self.kinds.is_empty() {
                // In plain text, as a real server does for a group that it does not know.
                return asked.text(404, "404 page not found\n");
            }
            let resources: Vec<Value> = self
                .kinds
                .iter()
                .map(|name| {
                    json!({"name": name, "singularName": "", "namespaced": true, "kind": "K", "verbs": []})
                })
                .collect();
            let list = json!({"kind": "APIResourceList", "apiVersion": "v1",
                "groupVersion": "entente.dev/v1alpha1", "resources": resources});
            asked.answer(200, &list);
        } else {
            assert!(
                asked.target.contains("/selfsubjectaccessreviews"),
                "{}",
                asked.target
            );
            let wanted = &asked.body["spec"]["resourceAttributes"];
            let mut right = format!(
                "{} {}",
                wanted["verb"].as_str().unwrap(),
                wanted["resource"].as_str().unwrap()
            );
            if let Some(subresource) = wanted["subresource"].as_str() {
                right = format!("{right}/{subresource}");
            }
            if let Some(namespace) = wanted["namespace"].as_str() {
                right = format!("{right} in {namespace}");
            }
            let allowed = !self.refused.contains(&right);
            let mut body = asked.body.clone();
            body["status"] = json!({"allowed": allowed});
            asked.answer(201, &body);
        }
    }
}

async fn found(cluster: &Cluster) -> Vec<String> {
    let (client, mut api) = FakeApi::new();
    let serve = async {
        loop {
            cluster.answer(api.next().await);
        }
    };
    tokio::select! {
        missing = missing(&client, EVERYWHERE, RIGHTS) => missing.unwrap(),
        () = serve => Vec::new(),
    }
}

#[tokio::test]
async fn a_complete_cluster_misses_nothing() {
    assert_eq!(found(&Cluster::complete()).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_kind_that_is_not_installed_is_named() {
    let mut cluster = Cluster::complete();
    cluster.kinds.remove("devices");
    assert_eq!(
        found(&cluster).await,
        ["the kind Device is not installed (v1alpha1)"]
    );
    cluster.kinds.clear();
    assert_eq!(
        found(&cluster).await.len(),
        entente_crds::manifest::all().len()
    );
}

#[tokio::test]
async fn a_kind_that_was_installed_just_now_is_waited_for() {
    let mut cluster = Cluster::complete();
    let schemas = cluster.schemas.as_object_mut().unwrap();
    schemas.remove("dev.entente.v1alpha1.Device").unwrap();
    assert_eq!(
        found(&cluster).await,
        ["the schema of kind Device is not published yet"]
    );
}

#[tokio::test]
async fn a_kind_of_an_older_version_is_named_with_the_field_it_lacks() {
    let mut cluster = Cluster::complete();
    let spec = "/dev.entente.v1alpha1.Contract/properties/spec/properties";
    let fields = cluster
        .schemas
        .pointer_mut(spec)
        .unwrap()
        .as_object_mut()
        .unwrap();
    fields.remove("services").unwrap();
    assert_eq!(
        found(&cluster).await,
        ["the installed kind Contract is too old: it lacks spec.services"]
    );
}

#[tokio::test]
async fn a_right_that_is_not_granted_is_named() {
    let mut cluster = Cluster::complete();
    cluster.refused = ["update devices/status", "get secrets in entente-system"]
        .map(str::to_owned)
        .into_iter()
        .collect();
    assert_eq!(
        found(&cluster).await,
        [
            "may not update devices/status of group entente.dev in the cluster",
            "may not get secrets of group core in namespace entente-system",
        ]
    );
}

#[test]
fn no_right_is_a_wildcard_and_secrets_are_got_in_the_own_namespace_and_one_is_written() {
    let mut of_secrets = Vec::new();
    for right in RIGHTS {
        assert!(!right.resource.contains('*') && !right.verbs.contains(&"*"));
        if right.resource == "secrets" {
            of_secrets.push((right.verbs, right.within));
        }
    }
    let expected = [
        (&["get"][..], super::Within::OwnNamespace),
        (
            &["update"][..],
            super::Within::OwnObject("entente-digest-key"),
        ),
    ];
    assert_eq!(of_secrets, expected);
}

#[tokio::test(start_paused = true)]
async fn it_waits_says_what_is_missing_and_goes_on_when_it_comes() {
    let (client, mut api) = FakeApi::new();
    let readiness = Arc::new(Readiness::waiting_for(&[COMPONENT]));
    let (_trigger, shutdown) = Shutdown::channel();
    let told = Arc::clone(&readiness);
    let asking = client.clone();
    let run = tokio::spawn(async move {
        pass(&asking, EVERYWHERE, RIGHTS, &told, &shutdown).await;
    });
    // A server that is not up yet.
    api.next()
        .await
        .refuse(503, "ServiceUnavailable", "starting");
    // Then one without our kinds.
    let mut cluster = Cluster::complete();
    cluster.kinds.clear();
    let first = api.next().await;
    assert!(readiness.missing()[0].contains("the API server does not answer"));
    cluster.answer(first);
    let rights: usize = RIGHTS.iter().map(|right| right.verbs.len()).sum();
    for _ in 0..rights {
        cluster.answer(api.next().await);
    }
    let again = api.asked_within(Duration::from_secs(10)).await;
    assert!(
        readiness.missing()[0].contains("is not installed"),
        "{:?}",
        readiness.missing()
    );
    assert!(!run.is_finished());
    // Then all is well.
    let cluster = Cluster::complete();
    cluster.answer(again);
    while !run.is_finished() {
        tokio::select! {
            asked = api.next() => cluster.answer(asked),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
    assert!(readiness.is_ready());
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_asked_to() {
    let (client, mut api) = FakeApi::new();
    let (trigger, shutdown) = Shutdown::channel();
    let readiness = Readiness::default();
    let stop = async {
        // The server hangs.
        let asked = api.next().await;
        trigger.trigger();
        asked
    };
    let begun = pass(&client, EVERYWHERE, RIGHTS, &readiness, &shutdown);
    let both = async { tokio::join!(begun, stop) };
    tokio::time::timeout(Duration::from_secs(5), both)
        .await
        .expect("an end");
}

// shows K4
#[tokio::test(start_paused = true)]
async fn a_watched_namespace_without_rights_holds_up_no_other_and_is_served_once_it_gives_them() {
    let (client, mut api) = FakeApi::new();
    let watched = ["acme", "globex"].map(str::to_owned);
    let installation = Installation {
        watched: &watched,
        ..EVERYWHERE
    };
    let (_trigger, shutdown) = Shutdown::channel();
    let readiness = Readiness::waiting_for(&[COMPONENT]);
    let mut cluster = Cluster::complete();
    for right in ["list contracts in acme", "list contracts in globex"] {
        cluster.refused.insert(right.to_owned());
    }
    // With namespaces named, nothing is asked for in all of them.
    let everywhere = "list contracts";
    cluster.refused.insert(everywhere.to_owned());
    let served = {
        let mut passing = Box::pin(pass(&client, installation, RIGHTS, &readiness, &shutdown));
        loop {
            tokio::select! {
                served = &mut passing => break served,
                asked = api.next() => cluster.answer(asked),
            }
            let missing = readiness.missing();
            if missing.len() == 2 {
                let of = |namespace| {
                    format!(
                        "self-test: may not list contracts of group entente.dev in namespace {namespace}"
                    )
                };
                assert_eq!(missing, [of("acme"), of("globex")]);
                cluster.refused.remove("list contracts in acme");
            }
        }
    };
    assert_eq!(served, ["acme"]);
    assert!(readiness.is_ready());

    let more = another_to_serve(&client, installation, &served, RIGHTS, &shutdown);
    let mut more = Box::pin(more);
    let mut asked_of_globex = 0;
    let found = loop {
        tokio::select! {
            found = &mut more => break found,
            asked = api.next() => {
                assert_eq!(asked.body["spec"]["resourceAttributes"]["namespace"], "globex");
                asked_of_globex += 1;
                if asked_of_globex == 100 {
                    cluster.refused.clear();
                }
                cluster.answer(asked);
            }
        }
    };
    assert_eq!(found.as_deref(), Some("globex"));
}
