//! Verdicts of Helm before anything is installed: of its lint, and on values.

use std::ffi::OsStr;

use super::super::{chart, helm, printed, refusal};

#[tokio::test]
async fn the_chart_has_nothing_that_lint_complains_about() {
    let chart = chart();
    let arguments = [
        OsStr::new("lint"),
        OsStr::new("--strict"),
        chart.as_os_str(),
    ];
    let said = printed(&helm(None, &arguments).await);
    assert!(
        !said.contains("[WARNING]") && !said.contains("[ERROR]"),
        "{said}"
    );
}

/// Settings that the chart refuses, with a part of its message.
const REFUSED: [(&str, &str); 28] = [
    ("imag.tag=1", "imag"),
    ("image.tga=1", "tga"),
    ("crds.install=true", "install"),
    ("metrics.service.ports=1", "ports"),
    ("crds.keep=maybe", "/crds/keep"),
    ("image.digest=latest", "/image/digest"),
    (
        "operator.withdrawDeadline=1 day",
        "operator.withdrawDeadline is \"1 day\": must be a duration above zero",
    ),
    ("operator.concurrency=-1", "/operator/concurrency"),
    ("operator.apiInFlight=70000", "/operator/apiInFlight"),
    ("operator.leaseDuration=15", "/operator/leaseDuration"),
    (
        "operator.leaseDuration=2s",
        "must be whole seconds from 3s to 600s",
    ),
    ("replicas=-1", "/replicas"),
    ("log.levelConfigMap=Level", "/log/levelConfigMap"),
    (
        "tracing.endpoint=collector:4318",
        "must be a URL that begins with",
    ),
    (
        "log.level=verbose",
        "must be off, error, warn, info, debug or trace",
    ),
    (
        r"commonLabels.app\.kubernetes\.io/name=a",
        "commonLabels has app.kubernetes.io/name: the chart sets this label itself",
    ),
    (
        "podLabels.a b=c",
        "podLabels has \"a b\": must be the name of a label",
    ),
    (
        "metrics.dashboard.labels.a=-b",
        "metrics.dashboard.labels.a is \"-b\": must be at most 63 letters",
    ),
    ("podDisruptionBudget.minAvailable=1", "/podDisruptionBudget"),
    (
        "podSecurityContext.runAsuser=1",
        "additional properties 'runAsuser'",
    ),
    (
        "securityContext.runAsUser=root",
        "/securityContext/runAsUser",
    ),
    ("extraVolumes[0].name=only", "/extraVolumes/0"),
    ("extraVolumeMounts[0].path=/etc", "/extraVolumeMounts/0"),
    (
        "topologySpreadConstraints[0].topologyKey=zone",
        "/topologySpreadConstraints/0",
    ),
    (
        "metrics.serviceMonitor.interval=fast",
        "/metrics/serviceMonitor/interval",
    ),
    (
        "catalogueViewers[0].kind=Group,catalogueViewers[0].name=a,catalogueViewers[0].namespace=b",
        "/catalogueViewers/0",
    ),
    (
        "catalogueViewers[0].kind=ServiceAccount,catalogueViewers[0].name=a",
        "/catalogueViewers/0",
    ),
    ("enabled=false", "/enabled"),
];

#[tokio::test]
async fn a_value_that_is_unknown_or_of_another_type_is_refused() {
    for (setting, named) in REFUSED {
        let said = refusal(setting).await;
        assert!(said.contains(named), "{setting}: {said}");
    }
}
