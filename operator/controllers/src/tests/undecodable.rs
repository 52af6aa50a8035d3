//! Objects whose newest version cannot be read: of every kind, while the operator runs and after it
//! was started anew.

mod deletions;
mod references;

use entente_crds::v1alpha1::{
    ContractAmendment, ContractNotice, DeviceModel, SmartService, SupplyOrder,
};
use kube::Resource;
use serde_json::{Value, json};

use super::*;

/// Sets a field of an object to whatever the types can or cannot read.
fn set<K: Resource<DynamicType = ()>>(
    process: &InProcess,
    namespace: &str,
    name: &str,
    pointer: &str,
    value: &Value,
) {
    process.cluster.edit_json::<K>(namespace, name, |object| {
        *object.pointer_mut(pointer).expect("the field") = value.clone();
    });
}

/// Ready of an object as `Status(Reason) message`.
fn ready<K: Resource<DynamicType = ()>>(
    process: &InProcess,
    namespace: &str,
    name: &str,
) -> String {
    let object = process.cluster.json::<K>(namespace, name);
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let ready = conditions.find(|condition| condition["type"] == "Ready");
    let text = |field: &str| {
        let value = ready.map_or(&Value::Null, |ready| &ready[field]);
        value.as_str().unwrap_or_default().to_owned()
    };
    format!("{}({}) {}", text("status"), text("reason"), text("message"))
}

/// Breaks a field of one object, while the operator runs or before it is started anew, and mends it
/// again.
async fn broken_and_mended<K>(namespace: &str, name: &str, pointer: &str)
where
    K: Resource<DynamicType = ()>,
{
    let kind = K::kind(&());
    let path = pointer.trim_start_matches('/').replace('/', ".");
    for restarted in [false, true] {
        let mut process = established().await;
        process.cluster.apply(&example::compensation());
        process.cluster.apply(&example::supply_order());
        process.cluster.apply(&example::banco_sul_2027_july());
        process.cluster.apply(&example::banco_sul_installed());
        let met = |process: &InProcess| !ready::<K>(process, namespace, name).starts_with("()");
        process.until("every object has conditions", met).await;
        if restarted {
            process.kill();
        }
        let before = process.cluster.json::<K>(namespace, name);
        let field = before.pointer(pointer).cloned().expect("the field");
        set::<K>(&process, namespace, name, pointer, &json!([7]));
        if restarted {
            process.start_all();
        }
        let is_said = |process: &InProcess| {
            let ready = ready::<K>(process, namespace, name);
            ready.starts_with("False(Undecodable)") && ready.contains(&format!(" {path}: "))
        };
        let what = format!("{kind} names {path}, restarted: {restarted}");
        process.until(&what, is_said).await;
        let event = format!("ObjectUndecodable {kind} {name}");
        let is_told = |process: &InProcess| process.cluster.events().contains(&event);
        process.until(&event, is_told).await;
        process.let_pass(Duration::from_mins(10)).await;
        let after = process.cluster.json::<K>(namespace, name);
        assert_eq!(
            after["metadata"]["finalizers"], before["metadata"]["finalizers"],
            "{what}"
        );
        process.cluster.forget_requests();
        process.let_pass(Duration::from_mins(10)).await;
        let writes = process.cluster.writes();
        let own = writes
            .iter()
            .filter(|write| write.contains(&format!("/{name}")));
        assert_eq!(own.count(), 0, "{what}: {writes:?}");

        set::<K>(&process, namespace, name, pointer, &field);
        let is_over =
            |process: &InProcess| !ready::<K>(process, namespace, name).contains("Undecodable");
        process.until(&format!("{kind} is mended"), is_over).await;
        process.kill();
    }
}

// shows K7
#[tokio::test(start_paused = true)]
async fn an_object_of_any_kind_that_cannot_be_read_names_the_field_and_keeps_its_finalizers() {
    let subscription = format!("{CONTRACT}.backup.{}", example::devices()[0].name_any());
    let device = example::devices()[0].name_any();
    let model = example::mfp_500().name_any();
    let service = example::data_backup().name_any();
    let record = example::compensation().name_any();
    let amendment = example::banco_sul_2027_july().name_any();
    let notice = example::banco_sul_installed().name_any();
    broken_and_mended::<Connection>("", BROKER, "/spec/osb/url").await;
    broken_and_mended::<DeviceModel>("", &model, "/spec/manufacturer").await;
    broken_and_mended::<SmartService>("", &service, "/spec/provider").await;
    broken_and_mended::<Device>(NAMESPACE, &device, "/spec/address").await;
    broken_and_mended::<Contract>(NAMESPACE, CONTRACT, "/spec/term/timeZone").await;
    broken_and_mended::<ContractAmendment>(NAMESPACE, &amendment, "/spec/effectiveDate").await;
    broken_and_mended::<ContractNotice>(NAMESPACE, &notice, "/spec/at").await;
    broken_and_mended::<ServiceSubscription>(NAMESPACE, &subscription, "/spec/serviceName").await;
    broken_and_mended::<Compensation>(NAMESPACE, &record, "/spec/record/serviceName").await;
    let order = example::supply_order().name_any();
    broken_and_mended::<SupplyOrder>(NAMESPACE, &order, "/spec/record/provider").await;
}

// shows B2 K7
#[tokio::test(start_paused = true)]
async fn while_an_amendment_cannot_be_read_nothing_of_its_contract_changes() {
    let amendment = example::banco_sul_2027_july();
    let name = amendment.name_any();
    let specs = |process: &InProcess| -> BTreeMap<String, Value> {
        let objects = process.cluster.objects().into_iter();
        let subscriptions = objects.filter(|(_, it)| it["kind"] == "ServiceSubscription");
        subscriptions
            .map(|(name, it)| (name, it["spec"].clone()))
            .collect()
    };
    for restarted in [false, true] {
        let mut process = established().await;
        process.cluster.apply(&amendment);
        let is_planned = |process: &InProcess| {
            ready::<ContractAmendment>(process, NAMESPACE, &name).starts_with("True(Scheduled)")
        };
        process.until("the amendment is accepted", is_planned).await;
        let before = specs(&process);
        assert_eq!(before.len(), SUBSCRIPTIONS + 1, "one more device");
        if restarted {
            process.kill();
        }
        let field = "/spec/effectiveDate";
        set::<ContractAmendment>(&process, NAMESPACE, &name, field, &json!([7]));
        if restarted {
            process.start_all();
        }
        let is_said = |process: &InProcess| {
            ready::<ContractAmendment>(process, NAMESPACE, &name).contains("Undecodable")
        };
        process.until("the amendment says it", is_said).await;
        process.let_pass(Duration::from_hours(1)).await;
        assert_eq!(specs(&process), before, "restarted: {restarted}");
        let date = json!("2027-07-01");
        set::<ContractAmendment>(&process, NAMESPACE, &name, field, &date);
        process.until("it can be read again", is_planned).await;
        process.let_pass(Duration::from_hours(1)).await;
        assert_eq!(specs(&process), before, "restarted: {restarted}");
        process.kill();
    }
}

// shows K7
#[tokio::test(start_paused = true)]
async fn an_amendment_that_cannot_be_read_stops_the_contract_that_it_names_and_no_other() {
    let mut amendment = example::banco_sul_2027_july();
    "another".clone_into(&mut amendment.spec.contract_ref.name);
    let name = amendment.name_any();
    let mut process = established().await;
    process.cluster.apply(&amendment);
    process.kill();
    let date = json!([7]);
    set::<ContractAmendment>(&process, NAMESPACE, &name, "/spec/effectiveDate", &date);
    process.start_all();
    let says = |process: &InProcess| ready::<ContractAmendment>(process, NAMESPACE, &name);
    let is_said = |process: &InProcess| says(process).contains("Undecodable");
    process.until("the amendment says it", is_said).await;
    jump_to_start(&process);
    process.until("all is delivered", is_delivered).await;

    // Of whom it is cannot be read either.
    process.kill();
    let whose = "/spec/contractRef/name";
    set::<ContractAmendment>(&process, NAMESPACE, &name, whose, &json!([7]));
    process.start_all();
    let waits = |process: &InProcess| {
        ready::<Contract>(process, NAMESPACE, CONTRACT).starts_with("False(Undecodable)")
    };
    process.until("the contract waits for it", waits).await;
}

// shows K1
#[tokio::test(start_paused = true)]
async fn the_withdrawal_of_a_contract_waits_for_a_subscription_that_cannot_be_read() {
    let name = format!("{CONTRACT}.backup.{}", example::devices()[0].name_any());
    for restarted in [false, true] {
        let mut process = established().await;
        jump_to_start(&process);
        process.until("all is delivered", is_delivered).await;
        if restarted {
            process.kill();
        }
        let field = "/spec/serviceName";
        set::<ServiceSubscription>(&process, NAMESPACE, &name, field, &json!([7]));
        if restarted {
            process.start_all();
        }
        let is_said = |process: &InProcess| {
            ready::<ServiceSubscription>(process, NAMESPACE, &name).contains("Undecodable")
        };
        process.until("the subscription says it", is_said).await;
        process.cluster.delete::<Contract>(NAMESPACE, CONTRACT);
        let waits = |process: &InProcess| {
            let ready = ready::<Contract>(process, NAMESPACE, CONTRACT);
            let message = format!("The subscription {name} cannot be read");
            ready.contains(&message) && process.cluster.names::<ServiceSubscription>() == [&*name]
        };
        process.until("the others are withdrawn", waits).await;
        process.let_pass(Duration::from_hours(48)).await;
        assert!(waits(&process), "it waits as long as it takes");
        set::<ServiceSubscription>(&process, NAMESPACE, &name, field, &json!("backup"));
        let is_gone = |process: &InProcess| process.cluster.names::<Contract>().is_empty();
        process.until("the contract is gone", is_gone).await;
        let deprovisioned = sent(&process)
            .into_iter()
            .filter(|(what, _)| what.starts_with("Deprovision"));
        assert_eq!(deprovisioned.count(), 4, "every instance was removed");
        process.kill();
    }
}
