//! The cost of asking devices for their status by SNMP version 3, authenticated and encrypted.
//!
//! The devices are agents of net-snmp with four toners and no error. Each is asked once a second; the answers
//! are those that the operator has counted, and the processor time is its own.

use std::collections::BTreeMap;
use std::time::Duration;

use entente_crds::v1alpha1::{Device, DeviceConnection, LocalReference, Sync};
use entente_crds::{LABEL_USE, MAY_BE_USED, example};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::TestNamespace;
use entente_e2e::operator::OperatorOptions;
use entente_e2e::peers::{Override, PeerError, Snmpd, SnmpdLogin};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Secret;

use super::super::customer::until_at_rest;
use super::super::figure::{Figure, count};
use super::super::usage::{self, Usage};
use super::super::{BenchError, NAMESPACE, namespace_failed, operator_failed, say};

/// Agents, each a process of its own.
const AGENTS: usize = 20;
/// Time between two looks at the status of a device.
const EACH: Duration = Duration::from_secs(1);
/// Time of the measurement.
const MEASURED: Duration = Duration::from_secs(30);
/// Silence of the operator at the API server, after which all devices are known.
const QUIET: Duration = Duration::from_secs(5);
/// The longest wait for that silence.
const WITHIN: Duration = Duration::from_mins(2);
/// Name of the Secret with the login of every device.
const SECRET: &str = "agent-login";
/// Name of the DeviceModel.
const MODEL: &str = "agent";

pub(super) async fn asked() -> Result<Figure, BenchError> {
    let options = OperatorOptions {
        flags: Vec::new(),
        tenants: vec![NAMESPACE.to_owned()],
        ..OperatorOptions::default()
    };
    let environment = TestEnvironment::start(options).await;
    let mut environment = environment.map_err(operator_failed)?;
    let figure = of_agents(&environment).await?;
    environment.operator.stop().await.map_err(operator_failed)?;
    environment.plane.stop().await;
    Ok(figure)
}

async fn of_agents(environment: &TestEnvironment) -> Result<Figure, BenchError> {
    let view = environment.operator.view();
    let namespace = TestNamespace::with_name(&environment.plane, view, NAMESPACE.to_owned())
        .await
        .map_err(namespace_failed)?;
    let objects = colour_printer();
    let agents = (0..AGENTS).map(|_| Snmpd::start(&objects));
    let agents: Vec<Snmpd> = try_join_all(agents).await.map_err(peer_failed)?;
    apply(&namespace, &agents).await.map_err(namespace_failed)?;
    until_at_rest(&namespace, QUIET, WITHIN).await?;
    say(&format!("  {AGENTS} agents are asked by SNMP"));
    let before = counted(environment).await?;
    // It is a measurement: what it costs to ask.
    tokio::time::sleep(MEASURED).await;
    let after = counted(environment).await?;
    Ok(figure(before, after))
}

/// Returns the answers so far, and what the operator has used.
async fn counted(environment: &TestEnvironment) -> Result<(usize, Usage), BenchError> {
    let operator = &environment.operator;
    let metrics = operator.metrics().await.map_err(operator_failed)?;
    let usage = usage::of(operator.process_id().unwrap_or_default())?;
    Ok((answers(&metrics), usage))
}

/// Reads the number of status reports that devices gave.
fn answers(metrics: &str) -> usize {
    let counters = metrics.lines().filter(|line| {
        let is_status = line.contains("operation=\"status\"") && line.contains("result=\"Ok\"");
        line.starts_with("entente_remote_requests_total{") && is_status
    });
    let values = counters.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
    values.sum()
}

fn figure(before: (usize, Usage), after: (usize, Usage)) -> Figure {
    let answers = after.0 - before.0;
    let spent = after.1.processor_seconds - before.1.processor_seconds;
    let what = "status reports by SNMP for each second of processor time";
    Figure::new(what, count(answers) / spent, "").detail(format!(
        "version 3 with SHA-256 and AES-128, four supplies; {answers} in {} s, {spent:.1} s of processor time",
        MEASURED.as_secs()
    ))
}

/// Applies the login, the model, and a Connection and a Device for each agent: each has a port of its own.
async fn apply(
    namespace: &TestNamespace<'_>,
    agents: &[Snmpd],
) -> Result<(), entente_e2e::namespace::NamespaceError> {
    namespace.apply::<Secret>(&login(namespace)).await?;
    let colour = example::mfp_520().spec;
    let mut model = namespace.model();
    model.metadata.name = Some(namespace.named(MODEL));
    model.spec.product_names = vec![Snmpd::PRODUCT.to_owned()];
    model.spec.identity = None;
    model.spec.settings.clear();
    model.spec.supplies = colour.supplies;
    model.spec.errors = colour.errors;
    namespace.apply(&model).await?;
    for (number, agent) in agents.iter().enumerate() {
        let name = format!("agent-{number}");
        let mut connection = namespace.snmp_connection(&name, agent.port());
        connection.spec.sync = Some(Sync {
            status: format!("{}s", EACH.as_secs()).as_str().into(),
            ..Sync::default()
        });
        namespace.apply(&connection).await?;
        let mut device = namespace.device_at(&name, agent.address(), &agent.serial_number());
        device.spec.model_ref = namespace.reference(MODEL);
        device.spec.connections = vec![DeviceConnection {
            name: namespace.named(&name),
            credentials_ref: Some(LocalReference {
                name: SECRET.to_owned(),
            }),
            ..DeviceConnection::default()
        }];
        namespace.apply::<Device>(&device).await?;
    }
    Ok(())
}

fn login(namespace: &TestNamespace<'_>) -> Secret {
    let data = SnmpdLogin::OPERATOR.secret();
    let data = data.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut secret = Secret {
        string_data: Some(BTreeMap::from(data)),
        ..Secret::default()
    };
    secret.metadata.name = Some(SECRET.to_owned());
    secret.metadata.namespace = Some(namespace.name().to_owned());
    let label = (LABEL_USE.to_owned(), MAY_BE_USED.to_owned());
    secret.metadata.labels = Some([label].into());
    secret
}

/// Returns the table of supplies of a colour printer, all toners half full.
fn colour_printer() -> Vec<Override> {
    let object = |name: &str| format!("1.3.6.1.2.1.43.{name}");
    let colours = ["black", "cyan", "magenta", "yellow"];
    (1..)
        .zip(colours)
        .flat_map(|(row, colour)| {
            let number = |column: u8, value| {
                Override::number(&object(&format!("11.1.1.{column}.1.{row}")), value)
            };
            let supply = [
                number(3, row),
                number(4, 3),
                number(5, 3),
                number(8, 100),
                number(9, 50),
            ];
            let colorant = Override::text(&object(&format!("12.1.1.4.1.{row}")), colour);
            supply.into_iter().chain([colorant])
        })
        .collect()
}

fn peer_failed(source: PeerError) -> BenchError {
    BenchError::Peer { source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_are_the_status_reports_of_all_devices_that_were_given() {
        let line = |operation: &str, result: &str, value: u8| {
            format!(
                "entente_remote_requests_total{{role=\"device\",connection=\"a\",operation=\"{operation}\",\
                 result=\"{result}\"}} {value}\n"
            )
        };
        let metrics = [
            line("status", "Ok", 7),
            line("status", "Ok", 5),
            line("status", "Timeout", 3),
            line("read", "Ok", 9),
        ];
        assert_eq!(answers(&metrics.concat()), 12);
    }

    #[test]
    fn the_figure_is_the_reports_for_each_second_of_processor_time() {
        let usage = |processor_seconds| Usage {
            processor_seconds,
            ..Usage::default()
        };
        let figure = figure((100, usage(2.0)), (700, usage(2.5)));
        assert!((figure.value - 1200.0).abs() < 1e-6, "{figure:?}");
        assert!(figure.detail.contains("600 in 30 s, 0.5 s"), "{figure:?}");
    }
}
