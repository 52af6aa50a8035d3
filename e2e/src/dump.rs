//! The state of a test's namespace as text, for the reader of a failed test.
//!
//! It must never fail: a part that cannot be read is replaced by the error. Called when a wait was
//! in vain.

use entente_simulators::Ledger;

use crate::control_plane::ControlPlane;
use crate::namespace::LABEL;
use crate::operator::OperatorView;

const LOG_LINES: usize = 40;
const LEDGER_LINES: usize = 40;

/// Returns all objects of Entente in a namespace, those of the catalogue with its label, events,
/// the last lines of the operator's log and of the ledger.
pub async fn dump(
    plane: &ControlPlane,
    namespace: &str,
    operator: &OperatorView,
    ledger: &Ledger,
) -> String {
    let own = "contracts,contractamendments,contractnotices,devices,deviceenrollments,devicetwins,\
         servicesubscriptions,compensations,supplyorders";
    let catalogue = "connections,devicemodels,smartservices";
    let label = format!("{LABEL}={namespace}");
    let parts = [
        (
            "objects",
            kubectl(plane, &["get", own, "-n", namespace, "-o", "yaml"]).await,
        ),
        (
            "catalogue",
            kubectl(plane, &["get", catalogue, "-l", &label, "-o", "yaml"]).await,
        ),
        (
            "events",
            kubectl(plane, &["get", "events", "-n", namespace]).await,
        ),
        (
            "overview",
            kubectl(plane, &["get", own, "-n", namespace]).await,
        ),
        ("operator's log", operator.log_tail(LOG_LINES)),
        ("ledger", ledger.dump(LEDGER_LINES)),
    ];
    parts
        .iter()
        .map(|(title, text)| format!("--- {title} of {namespace}\n{}\n", text.trim_end()))
        .collect::<Vec<_>>()
        .concat()
}

async fn kubectl(plane: &ControlPlane, arguments: &[&str]) -> String {
    match plane.kubectl(arguments).await {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&said).into_owned()
        }
        Err(error) => format!("({error})"),
    }
}
