//! Cases of the kinds of data that a device reports. They leave none behind.

use serde_json::{Value, json};

use super::{
    Bench, Title,
    reported::{Fault, SECTION, each, patch, twin},
    rules::{member, status},
};
use crate::api::Registered;

pub(super) async fn run(bench: &mut Bench) {
    let required =
        "204; the list is replaced as a whole, null removes it, and the twin says what to end";
    let title: Title = ("report-of-kinds-of-data", SECTION, required);
    if let Some(device) = bench.device(title).await {
        let result = kinds(bench, &device).await;
        bench.ends(title, result);
    }
    each(bench, faults()).await;
}

async fn kinds(bench: &mut Bench, device: &Registered) -> Result<(), String> {
    let place = "/reported/dataTypes";
    let first = json!([{"name": "check.one", "period": "PT24H"}, {"name": "check.two"}]);
    let second = json!([{"name": "check.one", "period": "PT6H"}]);
    for kinds in [&first, &second] {
        let report = json!({ "dataTypes": kinds });
        status(&patch(bench, device, &report, None).await?, 204)?;
        member(&twin(bench, device).await?.1, place, kinds)?;
    }
    status(&patch(bench, device, &json!({}), None).await?, 204)?;
    let (_, read) = twin(bench, device).await?;
    member(&read, place, &second)?;
    let end = read.pointer("/delta/dataTypes/remove");
    let is_told = end
        .and_then(Value::as_array)
        .is_some_and(|end| end.contains(&json!("check.one")));
    if !is_told {
        let end = end.unwrap_or(&Value::Null);
        return Err(format!(
            "delta.dataTypes.remove is {end} and has no check.one"
        ));
    }
    let none = json!({"dataTypes": null});
    status(&patch(bench, device, &none, None).await?, 204)?;
    let (_, read) = twin(bench, device).await?;
    match read.pointer(place).and_then(Value::as_array) {
        Some(kinds) if !kinds.is_empty() => Err(format!("null did not remove: {kinds:?}")),
        _ => Ok(()),
    }
}

fn faults() -> [Fault; 6] {
    let one = |kind: Value| json!({"dataTypes": [kind]});
    let fine = json!({"name": "check.one", "period": "PT24H"});
    [
        (
            "report-of-a-kind-of-data-without-a-name",
            one(json!({"period": "PT24H"})),
            "/dataTypes/0/name",
        ),
        (
            "report-of-a-kind-of-data-twice",
            json!({"dataTypes": [fine, fine]}),
            "/dataTypes/1/name",
        ),
        (
            "report-of-a-kind-of-data-with-an-odd-period",
            one(json!({"name": "check.one", "period": "24h"})),
            "/dataTypes/0/period",
        ),
        (
            "report-of-a-kind-of-data-all-the-time",
            one(json!({"name": "check.one", "period": "PT0S"})),
            "/dataTypes/0/period",
        ),
        (
            "report-of-a-kind-of-data-with-an-unknown-member",
            one(json!({"name": "check.one", "each": "PT24H"})),
            "/dataTypes/0/each",
        ),
        (
            "report-of-kinds-of-data-by-name",
            json!({"dataTypes": {"check.one": "PT24H"}}),
            "/dataTypes",
        ),
    ]
}
