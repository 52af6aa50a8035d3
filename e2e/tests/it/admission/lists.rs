//! Lists of our kinds on the real API server: set, made shorter and left out.

use super::*;

/// The service of a contract whose lists are made shorter.
const SERVICE: &str = "/spec/services/0";

/// Returns lists that a person can leave out or shorten: the path, a long one, and whether the list
/// may be absent.
fn lists() -> Vec<(CaseKind, String, Value, bool)> {
    let step = |kind: &str| json!({ "type": kind });
    let remedy =
        |name: &str| json!({"name": name, "type": "FeeCredit", "credit": {"basis": "FullDays"}});
    let steps = json!([
        step("DeviceSettings"),
        step("ServerSettings"),
        step("Activation")
    ]);
    let of = |kind, place: &str, long, may_be_absent| (kind, place.to_owned(), long, may_be_absent);
    let of_service =
        |place: &str, long| (CaseKind::Contract, format!("{SERVICE}/{place}"), long, true);
    vec![
        of_service("remedies", json!([remedy("a"), remedy("b")])),
        of_service("devices/names", json!(["a", "b", "c"])),
        of(
            CaseKind::Contract,
            "/spec/countedCauses",
            json!(["Device", "Server"]),
            true,
        ),
        of(CaseKind::SmartService, "/spec/steps", steps, true),
        of(
            CaseKind::Connection,
            "/spec/allow/0/networks",
            json!(["10.20.0.0/16", "10.21.0.0/16"]),
            false,
        ),
        of(
            CaseKind::Device,
            "/spec/connections",
            json!([{"name": "a"}, {"name": "b"}]),
            false,
        ),
    ]
}

/// A list that had a default in the schema could never be made shorter again.
// shows K1
#[tokio::test]
async fn a_list_reads_back_as_it_was_applied_when_it_is_set_made_shorter_and_left_out() {
    let admission = Admission::new().await;
    let name = "shorter";
    for (kind, place, long, may_be_absent) in lists() {
        let mut object = admission.named(kind, kind.complete(), name);
        if let Some(service) = object.pointer_mut(SERVICE).and_then(Value::as_object_mut) {
            service.remove("elect");
        }
        let first = json!([long[0]]);
        let mut values = vec![long, first];
        values.extend(may_be_absent.then_some(Value::Null));
        for value in values {
            set(&mut object, &place, value.clone());
            let answer = admission.apply(kind, &object).await;
            answer.unwrap_or_else(|refusal| panic!("{kind:?} {place} {value}: {refusal:?}"));
            let read = admission.get(kind, name).await;
            let found = read.pointer(&place).cloned().unwrap_or_default();
            assert_eq!(found, value, "{kind:?} {place}");
        }
    }
    let cluster_scoped = [(CaseKind::SmartService, name), (CaseKind::Connection, name)];
    admission.clear(&cluster_scoped).await;
}
