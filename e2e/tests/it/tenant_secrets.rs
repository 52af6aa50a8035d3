//! Secrets in a tenant's namespace, and the rights to read them as the platform team gives them.

use std::collections::BTreeMap;

use entente_crds::{LABEL_USE, MAY_BE_USED};
use entente_e2e::namespace::TestNamespace;
use entente_e2e::operator::OperatorOptions;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};

use crate::chart::{helm, printed, repository};

/// Writes a Secret with the label by which it may be used into the tenant's namespace.
pub(crate) async fn apply_secret(namespace: &TestNamespace<'_>, name: &str, data: &[(&str, &str)]) {
    apply_secret_as(namespace, name, data, true).await;
}

/// Writes a Secret into the tenant's namespace, with or without that label.
pub(crate) async fn apply_secret_as(
    namespace: &TestNamespace<'_>,
    name: &str,
    data: &[(&str, &str)],
    labelled: bool,
) {
    let data = data.iter();
    let data: BTreeMap<String, String> = data
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let mut secret = Secret {
        string_data: Some(data),
        ..Secret::default()
    };
    secret.metadata.name = Some(name.to_owned());
    secret.metadata.labels = labelled.then(|| {
        let label = (LABEL_USE.to_owned(), MAY_BE_USED.to_owned());
        [label].into()
    });
    let parameters = PatchParams::apply("kubectl").force();
    let patch = Patch::Apply(&secret);
    let secrets = namespace.api::<Secret>();
    secrets.patch(name, &parameters, &patch).await.unwrap();
}

/// Installs the chart with this namespace in tenantSecrets.namespaces, as the platform team does.
pub(crate) async fn grant(namespace: &TestNamespace<'_>) {
    let release = OperatorOptions::default().namespace;
    let chart = repository().join("charts/entente");
    let granted = format!("tenantSecrets.namespaces=[{:?}]", namespace.name());
    let rendered = helm(
        None,
        &[
            "template",
            "entente",
            chart.to_str().expect("a path in UTF-8"),
            "--namespace",
            &release,
            "--show-only",
            "templates/tenant-secrets.yaml",
            "--set",
            "gateway.enabled=true,gateway.tls.secretName=entente-gateway-tls",
            "--set-json",
            &granted,
        ],
    )
    .await;
    let rendered = printed(&rendered);
    assert!(rendered.contains("RoleBinding"), "{rendered}");
    let plane = namespace.plane();
    let apply = ["apply", "--server-side", "-f", "-"];
    let output = plane
        .kubectl_as(plane.kubeconfig(), &apply, &rendered)
        .await;
    printed(&output.unwrap());
}
