//! Tests of changes around a contract: devices, services, the clock, and decisions of people.

use entente_crds::v1alpha1::{ContractAmendment, Device, SmartService};

use super::*;
use crate::clock::Clock as _;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A device of the contract's selector, which is none of the examples.
fn another_device() -> Device {
    let mut device = example::devices()[1].clone();
    device.metadata.name = Some("branch-04-mfp".to_owned());
    device
}

fn relabel(process: &InProcess, name: &str, label: Option<&str>) {
    process
        .cluster
        .edit(NAMESPACE, name, |device: &mut Device| {
            let label = label.map(|value| ("contract".to_owned(), value.to_owned()));
            device.metadata.labels = label.map(|label| [label].into());
        });
}

fn names(process: &InProcess) -> Vec<String> {
    process.cluster.names::<ServiceSubscription>()
}

fn is_going(process: &InProcess, name: &str) -> bool {
    let found = subscription(process, name);
    found.is_some_and(|found| found.metadata.deletion_timestamp.is_some())
}

// shows B1
#[tokio::test(start_paused = true)]
async fn a_device_that_gets_the_label_gets_a_subscription_of_each_entry_that_selects_it() {
    let process = established().await;
    let mut device = another_device();
    device.metadata.labels = None;
    process.cluster.apply(&device);
    process.let_pass(Duration::from_mins(1)).await;
    assert_eq!(names(&process), SUBSCRIPTIONS);
    relabel(&process, "branch-04-mfp", Some(NAMESPACE));
    let both = |process: &InProcess| names(process).len() == SUBSCRIPTIONS.len() + 2;
    process.until("it has its subscriptions", both).await;
    for entry in ["backup", "parts"] {
        let name = format!("{CONTRACT}.{entry}.branch-04-mfp");
        let made = subscription(&process, &name).expect("a subscription");
        let revision = &made.spec.revisions[0];
        // Its start is still to come, so it is promised as all others are.
        assert!(revision.promised, "{name}");
        assert_eq!(revision.effective, made.spec.contract.start, "{name}");
    }
    let counted = |process: &InProcess| {
        let status = contract(process).status.unwrap_or_default();
        let mut conditions = status.conditions.iter();
        conditions.any(|it| it.reason == "DeviceCountMismatch")
    };
    process.until("one device is too many", counted).await;
}

// shows B2 C10
#[tokio::test(start_paused = true)]
async fn a_device_that_loses_the_label_ends_where_no_number_is_expected_and_is_held_where_one_is() {
    let process = established().await;
    relabel(&process, example::DEVICES[1], None);
    let (backup, parts) = (SUBSCRIPTIONS[0], SUBSCRIPTIONS[4]);
    let ended = |process: &InProcess| is_going(process, parts);
    process
        .until("the service without a number ends", ended)
        .await;
    process.let_pass(Duration::from_mins(5)).await;
    assert!(!is_going(&process, backup), "a wrong label ends nothing");
    relabel(&process, example::DEVICES[1], Some(NAMESPACE));
    process.let_pass(Duration::from_mins(1)).await;
    assert!(is_going(&process, parts), "it waits for its withdrawal");
    release(&process, parts);
    let again = |process: &InProcess| subscription(process, parts).is_some();
    process.until("it is made again", again).await;
    assert!(!is_going(&process, parts));
    assert_eq!(names(&process), SUBSCRIPTIONS);
}

// shows B2
#[tokio::test(start_paused = true)]
async fn a_device_that_joins_after_the_start_is_served_from_then_on_and_promised_nothing() {
    let process = established().await;
    process.clock.jump(DAY * 40);
    let begun = |process: &InProcess| contract_says(process, "InForce") == "True(InTerm)";
    process.until("the term has begun", begun).await;
    let joined = process.clock.now();
    process.cluster.apply(&another_device());
    let name = format!("{CONTRACT}.backup.branch-04-mfp");
    let made = |process: &InProcess| subscription(process, &name).is_some();
    process.until("it is served", made).await;
    let made = subscription(&process, &name).expect("a subscription");
    let revision = &made.spec.revisions[0];
    assert!(!revision.promised);
    assert!(revision.effective >= joined, "{}", revision.effective);
}

// shows K1
#[tokio::test(start_paused = true)]
async fn a_contract_waits_for_a_service_that_does_not_exist_and_takes_the_one_that_comes() {
    let mut process = InProcess::at("2027-03-01T00:00:00Z");
    process.cluster.apply(&example::parts_life());
    for device in example::devices() {
        process.cluster.apply(&device);
    }
    process.start(contracts).await;
    process.cluster.apply(&example::banco_sul_2027());
    let missing =
        |process: &InProcess| contract_says(process, "ResolvedRefs") == "False(ServiceNotFound)";
    process.until("the service is missing", missing).await;
    process.cluster.apply(&example::data_backup());
    process
        .until("the contract is established", is_established)
        .await;
    assert_eq!(names(&process), SUBSCRIPTIONS);
    assert_eq!(contract_says(&process, "ResolvedRefs"), "True(Resolved)");
}

// shows B2
#[tokio::test(start_paused = true)]
async fn a_service_that_changes_or_goes_ends_nothing_that_runs() {
    let process = established().await;
    process.cluster.delete::<SmartService>("", "data-backup");
    process.let_pass(Duration::from_mins(5)).await;
    assert_eq!(names(&process), SUBSCRIPTIONS);
    let going = SUBSCRIPTIONS.iter().filter(|name| is_going(&process, name));
    assert_eq!(going.count(), 0);
    assert!(contract_says(&process, "ResolvedRefs").starts_with("False"));
}

// shows B2
#[tokio::test(start_paused = true)]
async fn who_suspends_a_contract_suspends_all_its_subscriptions_and_goes_on_by_the_same_edit() {
    let process = established().await;
    let before = SUBSCRIPTIONS.map(|name| subscription(&process, name).expect("one").spec);
    for suspend in [true, false] {
        let edit = |contract: &mut Contract| contract.spec.suspend = suspend;
        process.cluster.edit(NAMESPACE, CONTRACT, edit);
        let done = |process: &InProcess| {
            let mut all = SUBSCRIPTIONS.iter();
            all.all(|name| {
                let found = subscription(process, name).expect("a subscription");
                found.spec.contract.suspend == suspend
            })
        };
        process.until("all are told", done).await;
    }
    let after = SUBSCRIPTIONS.map(|name| subscription(&process, name).expect("one").spec);
    assert_eq!(after, before, "no promise moves");
}

// shows B2 C10
#[tokio::test(start_paused = true)]
async fn an_entry_that_is_removed_ends_its_subscriptions_and_no_other() {
    let process = established().await;
    process
        .cluster
        .edit(NAMESPACE, CONTRACT, |contract: &mut Contract| {
            contract.spec.services.remove(1);
        });
    let ended = |process: &InProcess| {
        let mut parts = SUBSCRIPTIONS[4..].iter();
        parts.all(|name| is_going(process, name))
    };
    process.until("the parts service ends", ended).await;
    process.let_pass(Duration::from_mins(1)).await;
    let backups = SUBSCRIPTIONS[..4].iter();
    assert_eq!(backups.filter(|name| is_going(&process, name)).count(), 0);
}

// shows B2
#[tokio::test(start_paused = true)]
async fn a_term_begins_and_ends_by_the_clock_alone() {
    let process = established().await;
    process.let_pass(Duration::from_secs(10)).await;
    process.clock.jump(DAY * 31 + SignedDuration::from_hours(2));
    process.let_pass(Duration::from_secs(30)).await;
    assert_eq!(contract_says(&process, "InForce"), "False(NotStarted)");
    process.let_pass(Duration::from_hours(2)).await;
    assert_eq!(contract_says(&process, "InForce"), "True(InTerm)");
    process.clock.jump(DAY * 1100);
    let over = |process: &InProcess| contract_says(process, "InForce") == "False(Ended)";
    process.until("the term is over", over).await;
    process.let_pass(Duration::from_mins(1)).await;
    let events = process.cluster.events();
    let reasons: Vec<_> = events
        .iter()
        .filter_map(|event| event.strip_suffix(" Contract banco-sul-2027"))
        .filter(|reason| reason.starts_with("Contract"))
        .collect();
    let wanted = ["ContractAccepted", "ContractStarted", "ContractEnded"];
    assert_eq!(reasons, wanted);
}

// shows B2 K2
#[tokio::test(start_paused = true)]
async fn each_amendment_that_is_deleted_before_its_day_is_said_to_be_withdrawn() {
    let process = established().await;
    let july = example::banco_sul_2027_july();
    let mut august = july.clone();
    august.metadata.name = Some("banco-sul-2027-august".to_owned());
    august.spec.effective_date = Some("2027-08-01".to_owned());
    for amendment in [&july, &august] {
        process.cluster.apply::<ContractAmendment>(amendment);
    }
    let upcoming = |process: &InProcess| {
        let contract: Contract = process
            .cluster
            .get(NAMESPACE, CONTRACT)
            .expect("it is there");
        contract.status.map_or(0, |status| status.upcoming.len())
    };
    process
        .until("both are told", |process| upcoming(process) == 2)
        .await;
    let mut said = vec![];
    for amendment in [&july, &august] {
        let name = amendment.name_any();
        process
            .cluster
            .delete::<ContractAmendment>(NAMESPACE, &name);
        said.push(format!(
            "ContractAmendment {name} was deleted before its instant: nothing of it happens."
        ));
    }
    process
        .until("none is told", |process| upcoming(process) == 0)
        .await;
    process.let_pass(Duration::from_mins(1)).await;
    let mut notes = process.cluster.notes("AmendmentWithdrawn");
    notes.sort_unstable();
    said.sort_unstable();
    assert_eq!(notes, said);
}

// shows B2 K2
#[tokio::test(start_paused = true)]
async fn an_amendment_that_is_deleted_while_an_edit_is_refused_is_withdrawn_when_that_is_mended() {
    let process = established().await;
    let july = example::banco_sul_2027_july();
    process.cluster.apply::<ContractAmendment>(&july);
    process.let_pass(Duration::from_mins(1)).await;
    let zone = |process: &InProcess, zone: &str| {
        let edit = |contract: &mut Contract| zone.clone_into(&mut contract.spec.term.time_zone);
        process.cluster.edit(NAMESPACE, CONTRACT, edit);
    };
    zone(&process, "Moon/Crater");
    process.let_pass(Duration::from_mins(1)).await;
    process
        .cluster
        .delete::<ContractAmendment>(NAMESPACE, &july.name_any());
    for refused in ["Moon/Mare", "Moon/Crater"] {
        process.let_pass(Duration::from_mins(10)).await;
        assert_eq!(
            process.cluster.notes("AmendmentWithdrawn"),
            [""; 0],
            "{refused}"
        );
        zone(&process, refused);
    }
    zone(&process, "America/Sao_Paulo");
    process.let_pass(Duration::from_mins(1)).await;
    assert_eq!(process.cluster.notes("AmendmentWithdrawn").len(), 1);
}

// shows K2
#[tokio::test(start_paused = true)]
async fn an_edit_that_is_refused_is_an_event_of_its_contract() {
    let process = established().await;
    process
        .cluster
        .edit(NAMESPACE, CONTRACT, |contract: &mut Contract| {
            "Moon/Crater".clone_into(&mut contract.spec.term.time_zone);
        });
    let refused = |process: &InProcess| contract_says(process, "Accepted").starts_with("False");
    process.until("it is refused", refused).await;
    process.let_pass(Duration::from_mins(1)).await;
    let notes = process.cluster.notes("ContractRefused");
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("Moon/Crater"), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn the_event_of_an_accepted_contract_says_which_credit_owes_nothing() {
    let process = started().await;
    let (mut contract, mut service) = (example::banco_sul_2027(), example::parts_life());
    let entry = &mut contract.spec.services[1];
    service.spec.remedies = std::mem::take(&mut entry.remedies);
    entry.fee = None;
    process.cluster.apply(&service);
    process.let_pass(Duration::from_secs(10)).await;
    process.cluster.apply(&contract);
    process
        .until("the contract is established", is_established)
        .await;
    process.let_pass(Duration::from_mins(1)).await;
    let said = "The contract is valid. A FeeCredit owes nothing without spec.services[].fee, which \
                is not set in services[parts] (pro-rata of SmartService parts-life): set it if a \
                missed promise is to be credited.";
    assert_eq!(process.cluster.notes("ContractAccepted"), [said]);
    let contract: Contract = process
        .cluster
        .get(NAMESPACE, CONTRACT)
        .expect("it is there");
    let conditions = contract.status.unwrap_or_default().conditions;
    let accepted = conditions.iter().find(|found| found.type_ == "Accepted");
    assert_eq!(accepted.map(|found| found.message.as_str()), Some(said));
}

// shows B2 K5
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_over_the_start_unsays_nothing_that_was_written() {
    let process = established().await;
    process.clock.jump(DAY * 40);
    let begun = |process: &InProcess| contract_says(process, "InForce") == "True(InTerm)";
    process.until("the term has begun", begun).await;
    let specs = SUBSCRIPTIONS.map(|name| subscription(&process, name).expect("one").spec);
    process.clock.jump(DAY * -20);
    let touch = |contract: &mut Contract| contract.spec.max_unavailable = None;
    process.cluster.edit(NAMESPACE, CONTRACT, touch);
    process.let_pass(Duration::from_mins(1)).await;
    let after = SUBSCRIPTIONS.map(|name| subscription(&process, name).expect("one").spec);
    assert_eq!(after, specs);
    process.clock.jump(DAY * 20);
    process.until("it is in its term again", begun).await;
    let after = SUBSCRIPTIONS.map(|name| subscription(&process, name).expect("one").spec);
    assert_eq!(after, specs);
}

// shows K2
#[tokio::test(start_paused = true)]
async fn a_contract_that_is_not_valid_makes_nothing_until_it_is_corrected() {
    let process = started().await;
    let mut wrong = example::banco_sul_2027();
    wrong.spec.term.time_zone = "America/Sao_Paolo".to_owned();
    process.cluster.apply(&wrong);
    let refused = |process: &InProcess| contract_says(process, "Accepted") == "False(UnknownZone)";
    process.until("the zone is unknown", refused).await;
    process.let_pass(Duration::from_mins(5)).await;
    assert_eq!(names(&process), [""; 0]);
    assert!(contract_says(&process, "Stalled").starts_with("True"));
    process.cluster.apply(&example::banco_sul_2027());
    process
        .until("the contract is established", is_established)
        .await;
    assert_eq!(names(&process), SUBSCRIPTIONS);
    assert_eq!(contract_says(&process, "Stalled"), "");
}

// shows B2
#[tokio::test(start_paused = true)]
async fn an_edit_that_is_not_valid_leaves_what_runs_as_it_is() {
    let process = established().await;
    let before = SUBSCRIPTIONS.map(|name| subscription(&process, name).expect("one").spec);
    process
        .cluster
        .edit(NAMESPACE, CONTRACT, |contract: &mut Contract| {
            let parameters = &mut contract.spec.services[0].parameters;
            parameters.insert("weekdays".to_owned(), "someday".to_owned());
        });
    let refused = |process: &InProcess| contract_says(process, "Accepted").starts_with("False");
    process.until("the edit is refused", refused).await;
    process.let_pass(Duration::from_mins(5)).await;
    let after = SUBSCRIPTIONS.map(|name| subscription(&process, name).expect("one").spec);
    assert_eq!(after, before);
}

// shows K2 K5
#[tokio::test(start_paused = true)]
async fn a_start_that_has_come_by_the_other_clock_is_told_as_soon_as_the_clocks_differ() {
    let mut process = InProcess::at("2027-04-01T02:30:00Z");
    process.cluster.apply(&example::data_backup());
    process.cluster.apply(&example::parts_life());
    for device in example::devices() {
        process.cluster.apply(&device);
    }
    process.cluster.apply(&example::banco_sul_2027());
    let mut skew = None;
    process
        .start(|parts| {
            skew = Some(Arc::clone(&parts.context.skew));
            contracts(parts)
        })
        .await;
    let skew = skew.expect("it was started");
    let scheduled = |process: &InProcess| contract_says(process, "Ready") == "True(Scheduled)";
    process.until("it waits for the start", scheduled).await;
    let now = process.clock.now();
    skew.observe(now + SignedDuration::from_hours(1), now, now);
    let doubted = |process: &InProcess| contract_says(process, "Ready") == "False(ClockSkew)";
    process.until("the clock is behind", doubted).await;
    let now = process.clock.now();
    skew.observe(now, now, now);
    process.until("the clock is right again", scheduled).await;
}
