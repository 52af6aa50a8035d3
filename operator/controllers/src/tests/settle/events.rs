//! Events that may happen to the cluster and to the remote sides, at random.

use entente_crds::{
    ANNOTATION_ABANDON, ANNOTATION_RECONCILE_AT,
    v1alpha1::{ContractAmendment, ContractNotice, DeviceEnrollment, Site},
};
use entente_domain::remote::{FailureKind, Scalar};
use entente_drivers::fake::Fault;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use serde_json::json;

use super::{
    calling::{Call, call, calls, remove_token, token},
    edits::{deface, edit, mend_at, spoil, spoil_at, without_finalizers},
    objects::{
        AMENDMENTS, AUTHORITIES, CALLERS, DEVICES, NOTICES, Subject, apply, authorities, change,
        change_json, collect_garbage, delete, name, nth,
    },
    *,
};
use crate::context::Options;

/// Attributes of the devices of the examples.
const ATTRIBUTES: [&str; 3] = [
    "nw-backup-endpoint",
    "nw-alert-threshold",
    "nw-backup-weekdays",
];

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Passes(Duration),
    Starts,
    /// Another spec, one of some.
    Edited(Subject, usize),
    Deleted(Subject),
    /// Applied as it was in the beginning, made anew if it is gone.
    Applied(Subject),
    Labelled(usize, bool),
    NamespaceLabelled(bool),
    ReconcileAsked(usize, u32),
    AbandonAsked,
    /// An edited definition lets a field in that cannot be read; applied again, it can.
    Spoiled(Subject),
    SubscriptionSpoiled(usize),
    SubscriptionMended(usize),
    CompensationSpoiled(usize),
    CompensationMended(usize),
    /// A person removes our finalizers.
    Unprotected(Subject),
    SubscriptionUnprotected(usize),
    SubscriptionDeleted(usize),
    CompensationDeleted(usize),
    CompensationVoided(usize),
    /// A person changes a status.
    Status(Subject, Defacement),
    SubscriptionStatus(usize, Defacement),
    OrphansCleared,
    LoginGone,
    LoginBack,
    AuthoritiesGone,
    AuthoritiesBack,
    DeviceOff(usize),
    DeviceOn(usize),
    DeviceRefuses(usize, usize),
    /// Somebody changes a setting at the device.
    DeviceChanged(usize, usize),
    BrokerOff,
    BrokerOn,
    BrokerFails(usize),
    BrokerSlow,
    RemoteCured,
    Restarted,
    Refused(usize),
    /// The device that calls, or who writes its twin.
    Calls(Call),
    TokenGone,
    TokenBack,
}

/// A change of a status by hand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Defacement {
    Gone,
    NoConditions,
    OtherReady,
    OtherGeneration,
}

impl Event {
    /// True if it makes an object that cannot be read, or that can be read again: its status is
    /// written by no queue.
    pub(super) fn is_spoiled(&self) -> bool {
        matches!(
            self,
            Self::Spoiled(_) | Self::SubscriptionSpoiled(_) | Self::CompensationSpoiled(_)
        )
    }

    /// True if no watch tells of it.
    pub(super) fn is_not_watched(&self) -> bool {
        matches!(
            self,
            Self::LoginGone
                | Self::LoginBack
                | Self::AuthoritiesGone
                | Self::AuthoritiesBack
                | Self::BrokerOff
                | Self::BrokerOn
                | Self::BrokerFails(_)
                | Self::RemoteCured
                | Self::TokenGone
                | Self::TokenBack
        )
    }
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        Just(Subject::Contract),
        Just(Subject::Renewal),
        (0..AMENDMENTS).prop_map(Subject::Amendment),
        (0..NOTICES).prop_map(Subject::Notice),
        (0..DEVICES).prop_map(Subject::Device),
        Just(Subject::Site),
        (0..2_usize).prop_map(Subject::Service),
        Just(Subject::Model),
        (0..3_usize).prop_map(Subject::Connection),
        prop::sample::select(CALLERS.to_vec()),
        prop::sample::select(CALLERS.to_vec()),
    ]
}

fn defacement() -> impl Strategy<Value = Defacement> {
    prop::sample::select(vec![
        Defacement::Gone,
        Defacement::NoConditions,
        Defacement::OtherReady,
        Defacement::OtherGeneration,
    ])
}

pub(super) fn events() -> impl Strategy<Value = Event> {
    let times = [1, 300, 7_000, 61_000, 1_200_000, 18_000_000, 93_600_000];
    let times = prop::sample::select(times.map(Duration::from_millis).to_vec());
    let objects = prop_oneof![
        4 => (subject(), 0..7_usize).prop_map(|(it, to)| Event::Edited(it, to)),
        1 => subject().prop_map(Event::Deleted),
        2 => subject().prop_map(Event::Applied),
        1 => (0..DEVICES, any::<bool>()).prop_map(|(it, on)| Event::Labelled(it, on)),
        1 => any::<bool>().prop_map(Event::NamespaceLabelled),
        1 => (0..DEVICES, 0..3_u32).prop_map(|(it, time)| Event::ReconcileAsked(it, time)),
        1 => Just(Event::AbandonAsked),
    ];
    let meddling = prop_oneof![
        2 => subject().prop_map(Event::Unprotected),
        1 => (0..8_usize).prop_map(Event::SubscriptionUnprotected),
        1 => (0..8_usize).prop_map(Event::SubscriptionDeleted),
        1 => (0..8_usize).prop_map(Event::CompensationDeleted),
        1 => (0..8_usize).prop_map(Event::CompensationVoided),
        2 => subject().prop_map(Event::Spoiled),
        1 => (0..8_usize).prop_map(Event::SubscriptionSpoiled),
        1 => (0..8_usize).prop_map(Event::SubscriptionMended),
        1 => (0..8_usize).prop_map(Event::CompensationSpoiled),
        1 => (0..8_usize).prop_map(Event::CompensationMended),
        2 => (subject(), defacement()).prop_map(|(it, how)| Event::Status(it, how)),
        1 => (0..8_usize, defacement()).prop_map(|(it, how)| Event::SubscriptionStatus(it, how)),
        1 => Just(Event::OrphansCleared),
        1 => Just(Event::Restarted),
        1 => (1..4_usize).prop_map(Event::Refused),
    ];
    let outside = prop_oneof![
        Just(Event::LoginGone),
        Just(Event::LoginBack),
        Just(Event::AuthoritiesGone),
        Just(Event::AuthoritiesBack),
        (0..DEVICES).prop_map(Event::DeviceOff),
        (0..DEVICES).prop_map(Event::DeviceOn),
        (0..DEVICES, 0..3_usize).prop_map(|(it, how)| Event::DeviceRefuses(it, how)),
        (0..DEVICES, 0..3_usize).prop_map(|(it, how)| Event::DeviceChanged(it, how)),
        Just(Event::BrokerOff),
        Just(Event::BrokerOn),
        (0..4_usize).prop_map(Event::BrokerFails),
        Just(Event::BrokerSlow),
        Just(Event::RemoteCured),
        Just(Event::TokenGone),
        Just(Event::TokenBack),
    ];
    prop_oneof![
        3 => times.prop_map(Event::Passes),
        1 => Just(Event::Starts),
        4 => objects,
        3 => meddling,
        3 => outside,
        4 => calls().prop_map(Event::Calls),
    ]
}

pub(super) async fn happen(process: &mut InProcess, event: &Event) {
    collect_garbage(process);
    match event {
        Event::Passes(time) => process.let_pass(*time).await,
        Event::Starts if process.clock.now() < start() => {
            jump_to_start(process);
            // A queue notices a clock that is set when it reads it again.
            process.let_pass(Duration::from_secs(11)).await;
        }
        Event::Starts => {}
        Event::Restarted => {
            process.kill();
            process.start_all();
        }
        Event::Edited(subject, to) => edit(process, *subject, *to),
        Event::Deleted(subject) => remove(process, *subject),
        Event::Applied(subject) => apply(process, *subject),
        Event::Calls(how) => call(process, *how),
        Event::Labelled(..)
        | Event::NamespaceLabelled(_)
        | Event::ReconcileAsked(..)
        | Event::AbandonAsked => happen_to_metadata(process, event),
        Event::Unprotected(subject) => change(process, *subject, without_finalizers),
        Event::Spoiled(subject) => spoil(process, *subject),
        Event::Status(subject, how) => change(process, *subject, |object| deface(object, *how)),
        Event::OrphansCleared => change(process, Subject::Connection(1), |object| {
            if !object["status"].is_null() {
                object["status"]["orphans"] = json!([]);
            }
        }),
        Event::SubscriptionUnprotected(_)
        | Event::SubscriptionSpoiled(_)
        | Event::SubscriptionMended(_)
        | Event::CompensationSpoiled(_)
        | Event::CompensationMended(_)
        | Event::SubscriptionDeleted(_)
        | Event::SubscriptionStatus(..)
        | Event::CompensationDeleted(_)
        | Event::CompensationVoided(_) => happen_to_made(process, event),
        _ => happen_outside(process, event),
    }
}

fn remove(process: &InProcess, subject: Subject) {
    let (namespace, name) = name(subject);
    match subject {
        Subject::Contract | Subject::Renewal => {
            delete::<Contract>(process, namespace, &name);
        }
        Subject::Amendment(_) => delete::<ContractAmendment>(process, namespace, &name),
        Subject::Notice(_) => delete::<ContractNotice>(process, namespace, &name),
        Subject::Device(_) | Subject::Caller => delete::<Device>(process, namespace, &name),
        Subject::Site => delete::<Site>(process, namespace, &name),
        Subject::Service(_) | Subject::CallersService => {
            delete::<SmartService>(process, namespace, &name);
        }
        Subject::Model | Subject::CallersModel => {
            delete::<DeviceModel>(process, namespace, &name);
        }
        Subject::Connection(_) | Subject::Gateway => {
            delete::<Connection>(process, namespace, &name);
        }
        Subject::Enrollment => delete::<DeviceEnrollment>(process, namespace, &name),
    }
}

fn happen_to_metadata(process: &InProcess, event: &Event) {
    match event {
        Event::Labelled(number, on) => change(process, Subject::Device(*number), |object| {
            let labels = if *on {
                json!({"contract": NAMESPACE})
            } else {
                json!({})
            };
            object["metadata"]["labels"] = labels;
        }),
        Event::NamespaceLabelled(on) => {
            change_json::<Namespace>(process, "", NAMESPACE, |object| {
                let key = if *on {
                    "kubernetes.io/metadata.name"
                } else {
                    "another"
                };
                object["metadata"]["labels"] = json!({key: NAMESPACE});
            });
        }
        Event::ReconcileAsked(number, time) => {
            change(process, Subject::Device(*number), |object| {
                object["metadata"]["annotations"] =
                    json!({ANNOTATION_RECONCILE_AT: format!("{time}")});
            });
        }
        Event::AbandonAsked => change(process, Subject::Contract, |object| {
            object["metadata"]["annotations"] = json!({ANNOTATION_ABANDON: "true"});
        }),
        _ => {}
    }
}

/// Meddles with an object that the operator made.
fn happen_to_made(process: &InProcess, event: &Event) {
    match event {
        Event::SubscriptionUnprotected(number) => {
            if let Some(name) = nth::<ServiceSubscription>(process, *number) {
                change_json::<ServiceSubscription>(process, NAMESPACE, &name, without_finalizers);
            }
        }
        Event::SubscriptionSpoiled(number) => {
            if let Some(name) = nth::<ServiceSubscription>(process, *number) {
                change_json::<ServiceSubscription>(process, NAMESPACE, &name, |object| {
                    spoil_at(object, "/spec/timeZone");
                });
            }
        }
        Event::SubscriptionMended(number) => {
            if let Some(name) = nth::<ServiceSubscription>(process, *number) {
                change_json::<ServiceSubscription>(process, NAMESPACE, &name, |object| {
                    mend_at(object, "/spec/timeZone");
                });
            }
        }
        Event::CompensationSpoiled(number) => {
            if let Some(name) = nth::<Compensation>(process, *number) {
                change_json::<Compensation>(process, NAMESPACE, &name, |object| {
                    spoil_at(object, "/spec/record/timeZone");
                });
            }
        }
        Event::CompensationMended(number) => {
            if let Some(name) = nth::<Compensation>(process, *number) {
                change_json::<Compensation>(process, NAMESPACE, &name, |object| {
                    mend_at(object, "/spec/record/timeZone");
                });
            }
        }
        Event::SubscriptionDeleted(number) => {
            if let Some(name) = nth::<ServiceSubscription>(process, *number) {
                delete::<ServiceSubscription>(process, NAMESPACE, &name);
            }
        }
        Event::SubscriptionStatus(number, how) => {
            if let Some(name) = nth::<ServiceSubscription>(process, *number) {
                let change = |object: &mut Value| deface(object, *how);
                change_json::<ServiceSubscription>(process, NAMESPACE, &name, change);
            }
        }
        Event::CompensationDeleted(number) => {
            if let Some(name) = nth::<Compensation>(process, *number) {
                delete::<Compensation>(process, NAMESPACE, &name);
            }
        }
        Event::CompensationVoided(number) => {
            if let Some(name) = nth::<Compensation>(process, *number) {
                change_json::<Compensation>(process, NAMESPACE, &name, |object| {
                    object["spec"]["voided"] = json!({"reason": "settled", "reissue": "Same"});
                });
            }
        }
        _ => {}
    }
}

/// Somebody changes a setting at a device.
fn change_device(process: &InProcess, number: usize, attribute: &str) {
    process.world.change_device(&url(number), |device| {
        let mut values = device.values.iter_mut();
        let found = values.find(|(place, _)| place.to_string().contains(attribute));
        if let Some((_, values)) = found {
            *values = vec![Scalar::Text("by somebody".to_owned())];
        }
    });
}

fn happen_outside(process: &InProcess, event: &Event) {
    let (cluster, world) = (&process.cluster, &process.world);
    let own = Options::default().namespace;
    match event {
        Event::LoginGone => delete::<Secret>(process, &own, BROKER),
        Event::LoginBack => cluster.apply(&broker_login()),
        Event::TokenGone => remove_token(process),
        Event::TokenBack => cluster.apply(&token()),
        Event::AuthoritiesGone => delete::<ConfigMap>(process, &own, AUTHORITIES),
        Event::AuthoritiesBack => cluster.apply(&authorities()),
        Event::DeviceOff(number) => _ = world.remove_device(&url(*number)),
        Event::DeviceOn(number) => {
            let device = fake_device(&format!("urn:uuid:{number}"));
            world.put_device(&url(*number), device);
        }
        Event::DeviceRefuses(number, how) => {
            let attribute = ATTRIBUTES[*how];
            world.change_device(&url(*number), |device| {
                let places = device.values.keys().map(ToString::to_string);
                let place = places.into_iter().find(|place| place.contains(attribute));
                if let Some(place) = place {
                    device.refused.insert(place, FailureKind::RejectedValue);
                }
            });
        }
        Event::DeviceChanged(number, how) => change_device(process, *number, ATTRIBUTES[*how]),
        Event::BrokerOff => _ = world.remove_server(BROKER_URL),
        Event::BrokerOn if world.server(BROKER_URL).is_none() => {
            world.put_server(BROKER_URL, fake_broker());
        }
        Event::BrokerFails(how) => {
            let operations = [
                Operation::Provision,
                Operation::Update,
                Operation::InstanceObserve,
                Operation::Deprovision,
            ];
            let fault = Fault::fail(FailureKind::Busy);
            world.script(Some(BROKER_URL), operations[*how], fault, 3);
        }
        Event::BrokerSlow => {
            let fault = Fault::Async { polls: 3 };
            world.script(Some(BROKER_URL), Operation::Provision, fault, 2);
        }
        Event::RemoteCured => {
            world.clear_faults();
            for number in 0..DEVICES {
                world.change_device(&url(number), |device| device.refused.clear());
            }
        }
        Event::Refused(times) => {
            cluster.refuse(http::Method::PUT, "/status", (500, "InternalError"), *times);
        }
        _ => {}
    }
}
