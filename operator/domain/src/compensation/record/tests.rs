//! Tests of the records that are to be made.

use entente_crds::v1alpha1::{
    CreditBasis, Fee, FeeCredit, PromiseState, Reissue, Remedy, RemedyType, Revision,
    ServiceSubscriptionSpec, ServiceSubscriptionStatus, Voided,
};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::promise::compensation_name;

const NAMESPACE: &str = "banco-sul";

fn at(text: &str) -> Timestamp {
    text.parse().expect("the test's own instant")
}

fn remedy(name: &str) -> Remedy {
    Remedy {
        name: name.into(),
        r#type: RemedyType::FeeCredit,
        credit: Some(FeeCredit {
            basis: CreditBasis::StartedDays,
            percent: None,
            cap: None,
        }),
    }
}

fn revision(effective: &str, remedies: &[&str]) -> Revision {
    Revision {
        effective: at(effective),
        promised: true,
        fee: Some(Fee {
            amount: "12.50".into(),
            ..Fee::default()
        }),
        currency: Some("BRL".into()),
        remedies: remedies.iter().map(|name| remedy(name)).collect(),
        ..Revision::default()
    }
}

fn promise(effective: &str, state: PromiseState) -> Promise {
    Promise {
        proof: None,
        effective: at(effective),
        state,
        completed: None,
        closed: None,
        delays: vec![],
        emitted: vec![],
    }
}

fn subscription(revisions: Vec<Revision>, promises: Vec<Promise>) -> ServiceSubscription {
    let mut spec = ServiceSubscriptionSpec {
        service_name: "backup".into(),
        time_zone: "America/Sao_Paulo".into(),
        revisions: revisions.into_iter().map(Into::into).collect(),
        ..ServiceSubscriptionSpec::default()
    };
    spec.contract.name = "banco-sul-2027".into();
    spec.contract.uid = "contract-uid".into();
    spec.customer.id = "C-4711".into();
    spec.device_ref.name = "lobby-mfp".into();
    let mut made = ServiceSubscription::new("banco-sul-2027.backup.lobby-mfp", spec);
    made.metadata.uid = Some("subscription-uid".into());
    made.status = Some(ServiceSubscriptionStatus {
        promises,
        ..ServiceSubscriptionStatus::default()
    });
    made
}

fn names(made: &[Compensation]) -> Vec<String> {
    made.iter().map(ResourceExt::name_any).collect()
}

const START: &str = "2027-04-01T03:00:00Z";
const CHANGE: &str = "2027-07-01T03:00:00Z";

// shows D8
#[test]
fn one_record_is_made_for_each_missed_promise_and_remedy() {
    let late = subscription(
        vec![
            revision(START, &["credit", "extra"]),
            revision(CHANGE, &["credit"]),
        ],
        vec![
            promise(CHANGE, PromiseState::Missed),
            promise(START, PromiseState::Missed),
        ],
    );
    assert_eq!(
        names(&records_for(&late, None, NAMESPACE)),
        [
            "banco-sul-2027.backup.lobby-mfp.20270401t030000z.credit",
            "banco-sul-2027.backup.lobby-mfp.20270401t030000z.extra",
            "banco-sul-2027.backup.lobby-mfp.20270701t030000z.credit",
        ]
    );
}

// shows D8
#[test]
fn a_record_that_is_listed_as_emitted_is_never_made_again() {
    let mut missed = promise(START, PromiseState::Missed);
    let late = subscription(vec![revision(START, &["credit"])], vec![missed.clone()]);
    missed.emitted = names(&records_for(&late, None, NAMESPACE));
    let noted = subscription(vec![revision(START, &["credit"])], vec![missed]);
    assert_eq!(records_for(&noted, None, NAMESPACE), vec![]);
}

// shows D8
#[test]
fn the_same_subscription_gives_the_same_records() {
    let late = subscription(
        vec![revision(START, &["credit"])],
        vec![promise(START, PromiseState::Missed)],
    );
    let bytes = || serde_json::to_string(&records_for(&late, Some("VNB3X12345"), NAMESPACE));
    assert_eq!(bytes().unwrap(), bytes().unwrap());
}

// shows D4
#[test]
fn only_a_missed_promise_makes_a_record() {
    for state in [PromiseState::Open, PromiseState::Kept, PromiseState::Closed] {
        let kept = subscription(
            vec![revision(START, &["credit"])],
            vec![promise(START, state)],
        );
        assert_eq!(records_for(&kept, None, NAMESPACE), vec![], "{state:?}");
    }
}

#[test]
fn a_fee_credit_without_a_fee_makes_no_record() {
    let free = Revision {
        fee: None,
        ..revision(START, &["credit"])
    };
    let late = subscription(vec![free], vec![promise(START, PromiseState::Missed)]);
    assert_eq!(records_for(&late, None, NAMESPACE), vec![]);
}

// shows D5
#[test]
fn the_record_holds_the_fee_that_was_in_force_at_the_promise_and_not_the_present_one() {
    let mut dearer = revision("2027-04-02T12:00:00Z", &["credit"]);
    dearer.fee = Some(Fee {
        amount: "99.00".into(),
        ..Fee::default()
    });
    dearer.promised = false;
    let late = subscription(
        vec![revision(START, &["credit"]), dearer],
        vec![promise(START, PromiseState::Missed)],
    );
    let made = records_for(&late, Some("VNB3X12345"), NAMESPACE);
    assert_eq!(made.len(), 1);
    let record = &made[0].spec.record;
    assert_eq!(record.fee.as_ref().unwrap().amount, "12.50");
    assert_eq!(record.promised, at(START));
    assert_eq!(record.device.serial_number.as_deref(), Some("VNB3X12345"));
    assert_eq!(record.counted_causes.len(), 3, "the default is written out");
}

#[test]
fn a_record_has_its_labels_and_no_owner() {
    let late = subscription(
        vec![revision(START, &["credit"])],
        vec![promise(START, PromiseState::Missed)],
    );
    let made = records_for(&late, None, NAMESPACE).remove(0);
    assert_eq!(made.metadata.owner_references, None);
    assert_eq!(made.namespace().as_deref(), Some(NAMESPACE));
    let labels: Vec<String> = made
        .labels()
        .iter()
        .map(|(label, value)| format!("{label}={value}"))
        .collect();
    assert_eq!(
        labels,
        [
            "app.kubernetes.io/managed-by=entente",
            "entente.dev/contract=banco-sul-2027",
            "entente.dev/customer=C-4711",
            "entente.dev/device=lobby-mfp",
            "entente.dev/service=backup",
        ]
    );
}

// shows D8
#[test]
fn the_booking_key_is_that_of_the_names_the_instant_and_the_issue() {
    let late = subscription(
        vec![revision(START, &["credit"])],
        vec![promise(START, PromiseState::Missed)],
    );
    let made = records_for(&late, None, NAMESPACE).remove(0);
    let text = "banco-sul\nbanco-sul-2027\nC-4711\nbackup\nlobby-mfp\n2027-04-01T03:00:00Z\n\
                credit\n1\n";
    assert_eq!(
        made.spec.record.booking_key,
        hex::encode(Sha256::digest(text))
    );
    let mut restored = late;
    restored.metadata.uid = Some("another-uid".into());
    let again = records_for(&restored, None, NAMESPACE).remove(0);
    assert_eq!(again.spec.record.booking_key, made.spec.record.booking_key);
}

// shows D8
#[test]
fn the_example_of_a_record_is_what_is_made_of_the_example_of_a_subscription() {
    let example = entente_crds::example::compensation();
    let mut subscription = entente_crds::example::service_subscription();
    subscription.metadata.uid = Some(example.spec.record.subscription.uid.clone());
    subscription.status = Some(ServiceSubscriptionStatus {
        promises: vec![promise(START, PromiseState::Missed)],
        ..ServiceSubscriptionStatus::default()
    });
    let serial = example.spec.record.device.serial_number.as_deref();
    let made = records_for(&subscription, serial, NAMESPACE);
    let [made] = made.as_slice() else {
        panic!("one record is owed: {made:?}");
    };
    assert_eq!(made.metadata.name, example.metadata.name);
    assert_eq!(made.spec, example.spec);
}

#[test]
fn the_longest_name_is_within_what_kubernetes_allows() {
    let label = "a".repeat(63);
    let subscription = [label.as_str(); 3].join(".");
    let name = compensation_name(&subscription, at(START), &"r".repeat(32));
    assert_eq!(name.len(), 241);
    assert!(format!("{name}.99").len() <= 253);
}

fn voided(mut made: Compensation) -> Compensation {
    made.spec.voided = Some(Voided {
        reason: "wrong fee".into(),
        reissue: Reissue::Same,
    });
    made
}

// shows D8
#[test]
fn a_voided_record_is_issued_again_once_under_the_next_number() {
    let missed = promise(START, PromiseState::Missed);
    let late = subscription(vec![revision(START, &["credit"])], vec![missed.clone()]);
    let first = records_for(&late, None, NAMESPACE).remove(0);
    assert_eq!(
        successor(&first, Some(&missed), &[]),
        None,
        "it is not voided"
    );
    let first = voided(first);
    let second = successor(&first, Some(&missed), &[]).unwrap();
    assert_eq!(second.name_any(), format!("{}.2", first.name_any()));
    assert_eq!(
        second.spec.record.reissues,
        Some(ReissueReference {
            name: first.name_any()
        })
    );
    assert_ne!(
        second.spec.record.booking_key,
        first.spec.record.booking_key
    );
    assert_eq!(second.spec.voided, None);
    assert_eq!(second.metadata.labels, first.metadata.labels);
    assert_eq!(
        successor(&first, Some(&missed), std::slice::from_ref(&second)),
        None
    );
    let third = successor(
        &voided(second.clone()),
        Some(&missed),
        std::slice::from_ref(&first),
    )
    .unwrap();
    assert_eq!(third.name_any(), format!("{}.3", first.name_any()));
}

// shows D8
#[test]
fn a_voided_record_that_is_not_to_be_issued_again_cancels_the_debt() {
    let missed = promise(START, PromiseState::Missed);
    let mut late = subscription(vec![revision(START, &["credit"])], vec![missed.clone()]);
    let mut first = records_for(&late, None, NAMESPACE).remove(0);
    first.spec.voided = Some(Voided {
        reason: "agreed by phone".into(),
        ..Voided::default()
    });
    assert_eq!(successor(&first, Some(&missed), &[]), None);
    let status = late.status.as_mut().unwrap();
    status.promises[0].emitted.push(first.name_any());
    assert_eq!(records_for(&late, None, NAMESPACE), []);
}

// shows D8
#[test]
fn an_issue_that_a_person_deleted_is_not_made_again() {
    let mut missed = promise(START, PromiseState::Missed);
    let late = subscription(vec![revision(START, &["credit"])], vec![missed.clone()]);
    let first = voided(records_for(&late, None, NAMESPACE).remove(0));
    missed.emitted.push(format!("{}.2", first.name_any()));
    assert_eq!(successor(&first, Some(&missed), &[]), None);
    assert_eq!(successor(&first, None, &[]), None, "its promise is gone");
}

// shows D8 D9
#[test]
fn a_record_freezes_the_excluded_times_that_its_promise_can_reach() {
    let time = |from: &str, until: &str| ExcludedTime {
        from: at(from),
        until: at(until),
    };
    let before = time("2027-03-01T03:00:00Z", START);
    let reached = time("2027-03-31T03:00:00Z", "2027-04-02T03:00:00Z");
    let mut of = revision(START, &["credit"]);
    of.exclusions = vec![before, reached.clone()];
    let late = subscription(vec![of], vec![promise(START, PromiseState::Missed)]);
    let made = records_for(&late, None, NAMESPACE);
    assert_eq!(made[0].spec.record.exclusions, [reached]);
}
