//! The verdict of a plan is what the operator says right after the change, for any change.

use proptest::prelude::*;

use super::properties::{later, life, start};
use super::*;
use crate::views::{ChangePlan, Surroundings, change_plan};

/// Reasons for which a contract is not Ready only as long as the operator is at work.
const AT_WORK: [&str; 5] = [
    "Progressing",
    "DevicesPending",
    "Withdrawing",
    "AwaitingNotice",
    "Pending",
];

/// Returns the plan of a change from one world to another.
fn plan_of(before: &ContractWorld, after: &ContractWorld, now: Timestamp) -> ChangePlan {
    let surroundings = Surroundings {
        before: Some(before),
        ..Surroundings::default()
    };
    let mut plan = change_plan(after, &surroundings, now);
    // The Devices themselves are in no world of a contract.
    plan.risks.retain(|risk| !risk.ends_with(" does not exist"));
    plan
}

/// Returns the sentences by which the status of a contract speaks against it.
fn objections(status: &ContractStatus) -> Vec<String> {
    let mut found = Vec::new();
    let ready = find(&status.conditions, ConditionType::Ready);
    let is_stuck = ready.is_some_and(|it| it.reason == "DevicesNotProgressing");
    for condition in &status.conditions {
        let is_bad = match &*condition.type_ {
            "Ready" => condition.status == "False" && !AT_WORK.contains(&&*condition.reason),
            "StartAtRisk" => condition.status == "True",
            // Ready of a contract in force has the same devices in its message.
            "DevicesFailing" => condition.status == "True" && !is_stuck,
            _ => false,
        };
        if is_bad {
            found.push(condition.message.to_string());
        }
    }
    found
}

fn is_false(status: &ContractStatus, condition: ConditionType) -> bool {
    find(&status.conditions, condition).is_some_and(|it| it.status == "False")
}

/// Asserts that a plan says what the status says that the operator wrote for the same objects.
fn agrees(plan: &ChangePlan, world: &ContractWorld) -> Result<(), TestCaseError> {
    let status = world.contract.status.as_ref().expect("a status");
    let refused = is_false(status, ConditionType::Accepted);
    prop_assert_eq!(!plan.refused.is_empty(), refused, "{:?}", plan);
    let missing = is_false(status, ConditionType::ResolvedRefs);
    prop_assert_eq!(!plan.missing.is_empty(), missing, "{:?}", plan);
    let said = objections(status);
    let told = [&plan.refused, &plan.missing, &plan.risks].map(|it| it.join(" "));
    let told = told.join(" ");
    for objection in &said {
        // That of several faults joins them.
        let is_told = told.contains(&**objection) || !plan.refused.is_empty() || missing;
        prop_assert!(is_told, "{objection}: {plan:?}");
    }
    let speaks = !plan.refused.is_empty() || !plan.missing.is_empty() || !plan.risks.is_empty();
    prop_assert_eq!(
        speaks,
        refused || missing || !said.is_empty(),
        "{:?} and {:?}",
        plan,
        said
    );
    Ok(())
}

proptest! {
    // shows K1
    #[test]
    fn the_verdict_of_a_plan_is_that_of_the_operator_right_after_the_change(life in life()) {
        let (mut world, mut now) = (start(), at(CREATED));
        for (seconds, event) in life {
            now = later(now, seconds);
            let before = world.clone();
            event.happen(&mut world, now);
            let plan = plan_of(&before, &world, now);
            let resolved = world.pass(&now.to_string());
            let planned: usize = plan.changes.iter().map(|it| it.devices.len()).sum();
            let changes = &resolved.changes;
            let made = changes.create.len() + changes.update.len() + changes.delete.len();
            prop_assert_eq!(planned, made, "{:?}", plan);
            agrees(&plan, &world)?;
        }
    }
}

/// Returns the risks of an edit of a contract of two devices that are served.
fn risks_of(edit: impl FnOnce(&mut ContractSpec)) -> Vec<String> {
    let mut world = named(&["m-01", "m-02"]);
    world.devices = vec![device("m-01", &[]), device("m-02", &[])];
    world.pass(BEFORE);
    world.pass(DURING);
    let before = world.clone();
    world.edit(edit);
    let plan = plan_of(&before, &world, at(DURING));
    world.pass(DURING);
    agrees(&plan, &world).expect("they agree");
    plan.risks
}

#[test]
fn a_number_of_devices_that_is_not_the_expected_one_speaks_against_a_plan() {
    let expected = "DeviceCountMismatch: services[backup] has 2 devices and expects 7: correct the \
                    labels or expect; withdrawals by label are held.";
    let risks = risks_of(|spec| spec.services[0].devices.expect = Some(7));
    assert_eq!(risks, [expected]);
    assert_eq!(
        risks_of(|spec| spec.services[0].devices.expect = Some(2)),
        [""; 0]
    );
    let none = risks_of(|spec| {
        let selecting = selecting(spec.services[0].clone(), &[("in", "nowhere")]);
        spec.services[0] = selecting;
        spec.services[0].devices.names.clear();
    });
    assert!(
        none.len() == 1 && none[0].starts_with("NoDevices: "),
        "{none:?}"
    );
}

#[test]
fn a_plan_without_a_change_keeps_the_risks_of_a_contract_that_is_applied() {
    let mut world = named(&["m-01", "m-02"]);
    world.pass(BEFORE);
    let soon = "2027-03-31T12:00:00Z";
    world.say(
        "bank.backup.m-01",
        (false, Reason::Unsupported),
        (false, Reason::Unsupported),
    );
    world.pass(soon);
    assert_eq!(
        said(&world, ConditionType::StartAtRisk),
        "True DevicesNotProgressing"
    );
    let plan = plan_of(&world, &world, at(soon));
    assert!(plan.changes.is_empty(), "{plan:?}");
    assert!(
        plan.risks.iter().any(|it| it.starts_with("StartAtRisk: ")),
        "{plan:?}"
    );
}

#[test]
fn only_an_amendment_that_the_change_brings_is_refused_by_it() {
    let unknown = |name: &str| AmendedService {
        name: name.to_owned(),
        end: true,
        ..AmendedService::default()
    };
    let mut world = named(&["m-01"]);
    world.pass(BEFORE);
    let before = world.clone();
    world.amend("odd", BEFORE, "2027-07-01", vec![unknown("nothing")]);
    let plan = plan_of(&before, &world, at(BEFORE));
    assert!(plan.refused.is_empty(), "the contract itself is accepted");
    assert_eq!(plan.refused_before, [""; 0]);
    let [refused] = &*plan.refused_parts else {
        panic!("{plan:?}");
    };
    assert!(refused.starts_with("amendment odd: "), "{refused}");

    world.pass(BEFORE);
    let plan = plan_of(&world, &world, at(BEFORE));
    assert_eq!(
        plan.refused_parts, [""; 0],
        "it lies in the cluster already"
    );
    assert_eq!(plan.refused_before.len(), 1, "{plan:?}");

    let before = world.clone();
    let amendment = Arc::make_mut(&mut world.amendments[0]);
    amendment.spec.services[0] = unknown("another");
    let plan = plan_of(&before, &world, at(BEFORE));
    assert_eq!(plan.refused_parts.len(), 1, "an edit is refused anew");
}
