//! Absence means the default that a description tells, whether the schema has it or the code alone.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::admission_cases::CaseKind;
use crate::example;
use crate::spec_rules;
use crate::v1alpha1::{
    Compensation, Connection, Contract, ContractAmendment, ContractNotice, Device,
    DeviceEnrollment, DeviceModel, DeviceTwin, MessageText, ServiceSubscription, Site,
    SmartService, SupplyOrder,
};

/// Returns an object as the code reads and writes it.
fn read(kind: CaseKind, object: &Value) -> Value {
    fn of<K: DeserializeOwned + Serialize>(object: &Value) -> Value {
        let read: K = serde_json::from_value(object.clone()).expect("an object of its kind");
        json!(read)
    }
    match kind {
        CaseKind::Connection => of::<Connection>(object),
        CaseKind::DeviceModel => of::<DeviceModel>(object),
        CaseKind::SmartService => of::<SmartService>(object),
        CaseKind::Device => of::<Device>(object),
        CaseKind::DeviceEnrollment => of::<DeviceEnrollment>(object),
        CaseKind::DeviceTwin => of::<DeviceTwin>(object),
        CaseKind::MessageText => of::<MessageText>(object),
        CaseKind::Site => of::<Site>(object),
        CaseKind::Contract => of::<Contract>(object),
        CaseKind::ContractAmendment => of::<ContractAmendment>(object),
        CaseKind::ContractNotice => of::<ContractNotice>(object),
        CaseKind::ServiceSubscription => of::<ServiceSubscription>(object),
        CaseKind::Compensation => of::<Compensation>(object),
        CaseKind::SupplyOrder => of::<SupplyOrder>(object),
    }
}

/// Returns the fields of a spec whose description tells a default, as pointers into the first item of
/// each list, with that default.
fn told(kind: CaseKind) -> Vec<(String, String)> {
    let mut told = Vec::new();
    super::walk(
        "/spec",
        &spec_rules::schema_of(kind)["properties"]["spec"],
        &mut |path, schema| {
            let description = schema["description"].as_str().unwrap_or_default();
            if let Some((_, default)) = description.rsplit_once(" Default: ") {
                let pointer = path.replace('.', "/").replace("[]", "/0");
                told.push((pointer, default.trim_end_matches('.').to_owned()));
            }
        },
    );
    told
}

/// Returns an object that has each object with a default inside, and the member that a pointer names.
fn whole(kind: CaseKind, pointer: &str) -> Value {
    if pointer.starts_with("/spec/agent/") {
        return json!(example::gateway());
    }
    if pointer.starts_with("/spec/orders/") && kind == CaseKind::Connection {
        let mut connection = json!(example::northwind_orders());
        connection["spec"]["orders"] = json!({"idempotencyKey": "Honoured", "keptFor": "24h"});
        return connection;
    }
    if pointer.starts_with("/spec/snmp/") {
        return json!(example::hq_snmp());
    }
    let mut whole = kind.complete();
    if kind == CaseKind::Compensation {
        whole["spec"]["voided"] = json!({"reason": "wrong fee"});
    }
    whole
}

#[test]
fn a_field_that_is_left_out_is_read_as_the_default_that_its_description_tells() {
    let (mut everywhere, mut in_lists) = (0, 0);
    for kind in CaseKind::ALL.iter().copied() {
        for (pointer, default) in told(kind) {
            let mut object = whole(kind, &pointer);
            let (parent, name) = pointer.rsplit_once('/').expect("it is below the spec");
            match object.pointer_mut(parent) {
                Some(Value::Object(parent)) => _ = parent.remove(name),
                _ => panic!("the whole {kind:?} has nothing at {parent}"),
            }
            let read = read(kind, &object);
            let found = read.pointer(&pointer).map(|found| match found {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            assert_eq!(found, Some(default), "{kind:?} {pointer}");
            everywhere += 1;
            in_lists += usize::from(pointer.contains("/0/"));
        }
    }
    assert!(
        everywhere > 20 && in_lists >= 8,
        "{everywhere} defaults, {in_lists} of them inside lists"
    );
}
