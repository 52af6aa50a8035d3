//! The customizations of Argo CD: health of every kind, and actions of those that have some.
//!
//! Decides which kind gets which script; the scripts are those in `contrib/argo-cd`. Each kind has a key
//! of its own, since not every Argo CD takes a wildcard. Called by `generate`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::NOTICE;

const HEALTH: &str = include_str!("../../../contrib/argo-cd/health.lua");

/// An action of Argo CD.
#[derive(Clone, Copy)]
struct Action {
    name: &'static str,
    script: &'static str,
}

const RECONCILE: Action = Action {
    name: "reconcile",
    script: include_str!("../../../contrib/argo-cd/actions/reconcile.lua"),
};
const SUSPEND: Action = Action {
    name: "suspend",
    script: include_str!("../../../contrib/argo-cd/actions/suspend.lua"),
};
const RESUME: Action = Action {
    name: "resume",
    script: include_str!("../../../contrib/argo-cd/actions/resume.lua"),
};

fn actions(kind: &str) -> &'static [Action] {
    match kind {
        "Contract" | "Device" => &[RECONCILE, SUSPEND, RESUME],
        "Connection" => &[RECONCILE],
        _ => &[],
    }
}

/// Returns the ConfigMap to be merged into that of Argo CD.
pub(super) fn config_map(crds: &[CustomResourceDefinition]) -> String {
    let mut text = format!(
        "{NOTICE}# Merge it into the ConfigMap of your Argo CD: docs/guide/gitops.md.\napiVersion: \
         v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n  namespace: argocd\ndata:\n"
    );
    for crd in crds {
        let (group, kind) = (&crd.spec.group, &crd.spec.names.kind);
        text.push_str(&block(
            2,
            &format!("resource.customizations.health.{group}_{kind}"),
            HEALTH,
        ));
        let actions = actions(kind);
        if !actions.is_empty() {
            text.push_str(&block(
                2,
                &format!("resource.customizations.actions.{group}_{kind}"),
                &customization(actions),
            ));
        }
    }
    text
}

/// Returns the YAML of the actions of a kind.
fn customization(actions: &[Action]) -> String {
    let listed = actions.iter();
    let listed = listed.map(|it| format!("actions[\"{}\"] = {{}}\n", it.name));
    let discovery = format!(
        "local actions = {{}}\n{}return actions\n",
        listed.collect::<String>()
    );
    let mut text = block(0, "discovery.lua", &discovery);
    text.push_str("definitions:\n");
    for Action { name, script } in actions {
        text.extend(["- name: ", name, "\n", &block(2, "action.lua", script)]);
    }
    text
}

/// Returns a key with a text of several lines.
fn block(indent: usize, key: &str, text: &str) -> String {
    let margin = " ".repeat(indent);
    let lines = text.lines().map(|line| match line {
        "" => "\n".to_owned(),
        line => format!("{margin}  {line}\n"),
    });
    format!("{margin}{key}: |\n{}", lines.collect::<String>())
}
