//! Tests of the compensation controller.

mod in_process;
mod triggers;

use std::{sync::Arc, time::Duration};

use entente_crds::{
    example,
    v1alpha1::{
        Compensation, Promise, PromiseState, Reissue, ServiceSubscription,
        ServiceSubscriptionStatus, Voided,
    },
};
use entente_drivers::{Drivers, fake::World};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Compensations;
use crate::{
    cache::Key,
    clock::FakeClock,
    fake_api::{Asked, FakeApi},
    in_process::context,
    objects::Objects,
};

/// A controller that knows a missed promise and its record, and the requests that it sends.
struct Bench {
    controller: Compensations,
    api: FakeApi,
    events: FakeApi,
    record: Compensation,
}

impl Bench {
    fn start() -> Self {
        let (client, api) = FakeApi::new();
        let (recorder, events) = FakeApi::new();
        let mut record = example::compensation();
        record.metadata.uid = Some("c1".to_owned());
        record.metadata.resource_version = Some("1".to_owned());
        record.metadata.generation = Some(1);
        let promised = record.spec.record.promised;
        let later = |days: i64| promised + SignedDuration::from_hours(24 * days);
        let clock = Arc::new(FakeClock::starting_at(later(2)));
        let drivers = Drivers::fake(Arc::new(World::default()));
        let context = context(client, recorder, clock, drivers);
        let objects = Arc::new(Objects::new(&context));
        objects.subscriptions.put_written(missed(&record, later(1)));
        objects.compensations.put_written(record.clone());
        Self {
            controller: Compensations::new(context, objects),
            api,
            events,
            record,
        }
    }

    /// Returns the record as a person voided it, at a later version.
    fn voided(&self, reissue: Reissue) -> Compensation {
        let mut voided = self.record.clone();
        voided.metadata.resource_version = Some("2".to_owned());
        voided.metadata.generation = Some(2);
        voided.spec.voided = Some(Voided {
            reason: "the fee was wrong".to_owned(),
            reissue,
        });
        voided
    }

    /// Makes one pass over the entry, while the requests are answered; no request is left over.
    async fn pass(&mut self, serve: impl AsyncFnOnce(&mut FakeApi)) {
        let key = Key::new("banco-sul", "banco-sul-2027.backup");
        let both = async { tokio::join!(self.controller.pass(&key), serve(&mut self.api)) };
        let (reconciled, ()) = tokio::time::timeout(Duration::from_mins(1), both)
            .await
            .expect("an end within a minute");
        reconciled.expect("nothing fails");
        assert!(self.api.is_silent());
    }
}

/// Returns the subscription whose promise a record is about, fulfilled late.
fn missed(record: &Compensation, completed: Timestamp) -> ServiceSubscription {
    let mut subscription = example::service_subscription();
    subscription.metadata.uid = Some(record.spec.record.subscription.uid.clone());
    subscription.metadata.resource_version = Some("1".to_owned());
    subscription.status = Some(ServiceSubscriptionStatus {
        promises: vec![Promise {
            effective: record.spec.record.promised,
            state: PromiseState::Missed,
            completed: Some(completed),
            proof: None,
            closed: Some(completed),
            delays: Vec::new(),
            emitted: vec![record.metadata.name.clone().expect("a name")],
        }],
        ..ServiceSubscriptionStatus::default()
    });
    subscription
}

/// Answers the list of the records of the entry.
fn list(asked: Asked, found: &Compensation) {
    let of_the_entry = "fieldSelector=spec.record.contract.name%3Dbanco-sul-2027%2Cspec.record.serviceName%3Dbackup";
    assert!(
        asked.method == Method::GET && asked.target.contains(of_the_entry),
        "{} {}",
        asked.method,
        asked.target
    );
    asked.answer(200, &json!({"metadata": {}, "items": [found]}));
}

/// Stores a write to this object as the API server does, and returns the request's method and body.
fn take(asked: Asked, stored: Value) -> (Method, Value) {
    let (method, written) = (asked.method.clone(), asked.body.clone());
    let mut taken = stored;
    taken["status"] = written["status"].clone();
    taken["metadata"]["resourceVersion"] = json!("9");
    asked.answer(200, &taken);
    (method, written)
}

// shows D8
#[tokio::test(start_paused = true)]
async fn a_record_that_is_voided_during_a_pass_is_issued_again_before_it_says_that_it_is_voided() {
    let mut bench = Bench::start();
    let (open, voided) = (bench.record.clone(), bench.voided(Reissue::Same));
    bench
        .pass(async |api| {
            list(api.next().await, &open);
            let write = api.next().await;
            assert_eq!(write.method, Method::PUT, "{}", write.target);
            write.refuse(409, "Conflict", "it was changed");
            let read = api.next().await;
            assert_eq!(read.method, Method::GET, "{}", read.target);
            read.answer(200, &json!(voided));
        })
        .await;
    bench
        .pass(async |api| {
            list(api.next().await, &voided);
            let post = api.next().await;
            let stored = post.body.clone();
            let (method, made) = take(post, stored);
            assert_eq!(method, Method::POST);
            let first = &json!(open)["metadata"]["name"];
            assert_eq!(&made["spec"]["record"]["reissues"]["name"], first);
            let (method, said) = take(api.next().await, json!(voided));
            assert_eq!(method, Method::PUT);
            assert_eq!(&said["metadata"]["name"], first);
            let reasons = said["status"]["conditions"].as_array().expect("conditions");
            assert!(
                reasons
                    .iter()
                    .any(|condition| condition["reason"] == "Voided"),
                "{said:#}"
            );
        })
        .await;
    for (reason, kind) in [
        ("CompensationCreated", "ServiceSubscription"),
        ("CompensationVoided", "Compensation"),
    ] {
        let event = bench.events.next().await;
        assert_eq!(event.body["reason"], reason, "{:#}", event.body);
        assert_eq!(event.body["regarding"]["kind"], kind, "{:#}", event.body);
        let body = event.body.clone();
        event.answer(201, &body);
    }
}
