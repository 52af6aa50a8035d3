//! The odd printers of the zoo, through the operator: each verdict where people read it.

use std::collections::BTreeMap;
use std::time::Duration;

use entente_crds::v1alpha1::{Device, ItemState, ServiceSubscription};
use entente_e2e::namespace::now;
use entente_e2e::namespace::read::{Conditioned as _, SubscriptionFacts as _};
use entente_simulators::FaultKind;
use entente_simulators::odd::{self, Known, NUMBER, Odd, On, Verdict};

use crate::delivery_fixture::{
    DeliveryFixture, every_reason_is_listed, reconciled, subscription_is, writes_to,
};

/// Time limit of all verdicts together.
const WITHIN: Duration = Duration::from_secs(40);
/// Most writes to one printer until then: three settings, and what is tried again with a backoff.
const MOST_WRITES: usize = 15;

/// Brings the oddity of a row into a printer.
async fn turn_odd(fixture: &DeliveryFixture<'_>, place: usize, row: &Odd) {
    let name = row.name.to_owned();
    let fault = FaultKind::Odd { name };
    fixture.device(place).set_fault(fault).await.unwrap();
}

/// True if the problem of one setting has the reason, and all others are in effect.
fn is_problem_of(subscription: &ServiceSubscription, setting: &str, reason: &str) -> bool {
    let name = if setting == NUMBER {
        "alert.threshold"
    } else {
        "alert.unit"
    };
    let key = format!("DeviceSetting/{name}");
    let mut others = subscription
        .items()
        .iter()
        .filter(|item| item.key != key.as_str());
    others.all(|item| item.state == ItemState::Effective)
        && outcome(subscription, &key) == Some(reason)
}

fn outcome<'a>(subscription: &'a ServiceSubscription, key: &str) -> Option<&'a str> {
    let problem = subscription.item(key)?.problem.as_ref()?;
    Some(problem.outcome.as_str())
}

/// True if device and subscription say what the row demands.
fn is_said(verdict: Verdict, device: &Device, subscription: &ServiceSubscription) -> bool {
    let says =
        |reason: &str| device.reason("Online") == reason || subscription.reason("Ready") == reason;
    match verdict {
        Verdict::Well | Verdict::Taken => subscription.is("Delivered") && device.is("Ready"),
        Verdict::Item(name, reason) => is_problem_of(subscription, name, reason),
        Verdict::Hollow => says("ProtocolError") && !device.is("Stalled"),
        Verdict::Device(reason) => says(reason),
        Verdict::Refused(reason) => {
            outcome(subscription, "DeviceSetting/alert.unit") == Some(reason)
        }
        Verdict::Mismatch => device.reason("Ready") == "IdentityMismatch",
    }
}

/// Returns the rows by whether their verdict is said; the others with what is said.
async fn verdicts<'a>(
    fixture: &DeliveryFixture<'_>,
    rows: &[&'a Odd],
) -> (Vec<&'a Odd>, BTreeMap<&'static str, String>) {
    let devices = fixture.namespace.list::<Device>().await;
    let subscriptions = fixture.namespace.list::<ServiceSubscription>().await;
    let (mut said, mut unsaid) = (Vec::new(), BTreeMap::new());
    for (place, row) in rows.iter().enumerate() {
        let name = fixture.name(place);
        let device = devices
            .iter()
            .find(|device| device.metadata.name.as_deref() == Some(name));
        let subscription = subscriptions
            .iter()
            .find(|it| it.metadata.name == Some(format!("odd.parts.{name}")));
        let (Some(device), Some(subscription)) = (device, subscription) else {
            unsaid.insert(row.name, "nothing yet".to_owned());
            continue;
        };
        if is_said(row.verdict, device, subscription) {
            said.push(*row);
            continue;
        }
        let conditions = [device.conditions(), subscription.conditions()].concat();
        let conditions: Vec<String> = conditions
            .iter()
            .map(|it| format!("{}={}({})", it.type_, it.status, it.reason))
            .collect();
        let items = subscription.items();
        unsaid.insert(
            row.name,
            format!("not {:?}: {conditions:?} {items:?}", row.verdict),
        );
    }
    (said, unsaid)
}

// shows D1 K7
#[tokio::test]
async fn odd_printers_get_the_right_verdict_and_disturb_no_sane_one() {
    let rows: Vec<&Odd> = odd::rows().filter(|row| row.e2e).collect();
    let fixture = DeliveryFixture::new("odd", rows.len() + 1).await;
    let namespace = &fixture.namespace;
    let at_once = |row: &Odd| row.on != On::ReadLater;
    for (place, row) in rows.iter().enumerate().filter(|(_, row)| at_once(row)) {
        turn_odd(&fixture, place, row).await;
    }
    let names: Vec<&str> = (0..=rows.len()).map(|place| fixture.name(place)).collect();
    let entry = namespace.entry("parts", "parts-life", &names, "15m");
    let contract = namespace.contract("odd", now(), vec![entry]);
    namespace.apply(&contract).await.unwrap();

    subscription_is(namespace, ["odd", "parts", names[rows.len()]], "Delivered").await;
    for (place, row) in rows.iter().enumerate().filter(|(_, row)| !at_once(row)) {
        subscription_is(namespace, ["odd", "parts", names[place]], "Delivered").await;
        turn_odd(&fixture, place, row).await;
        reconciled(namespace, names[place]).await;
    }

    let is_known = |name: &str| odd::row(name).is_some_and(|row| row.known == Known::Operator);
    let all = namespace.within(WITHIN, "every verdict is said", async || {
        let (_, mut unsaid) = verdicts(&fixture, &rows).await;
        unsaid.retain(|name, _| !is_known(name));
        unsaid.is_empty().then_some(())
    });
    let in_time = all.await.is_ok();
    let (said, mut unsaid) = verdicts(&fixture, &rows).await;
    unsaid.retain(|name, _| !is_known(name));
    assert!(in_time && unsaid.is_empty(), "{unsaid:#?}");
    let mended: Vec<&str> = said
        .iter()
        .filter(|row| row.known == Known::Operator)
        .map(|row| row.name)
        .collect();
    assert!(mended.is_empty(), "no longer wrong: {mended:?}");
    let known = rows.iter().filter(|row| is_known(row.name)).count();
    println!("{} odd printers, {known} of them not yet right", rows.len());

    for name in names {
        let writes = writes_to(namespace, name).len();
        assert!(writes <= MOST_WRITES, "{writes} writes to {name}");
    }
    every_reason_is_listed(namespace).await;
}
