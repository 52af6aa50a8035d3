//! The language of the scripts: one command a line, `#` begins a comment.
//!
//! ```text
//! at T                     the clock is set, without a pass
//! run until T              passes now and whenever something is due
//! pass                     one pass now
//! device [SERIAL]          the Device is made
//! drift Report|Revert      its driftPolicy
//! subscribe C.S SERVICE from T [until T] [origin C.S] [plain] [allowed D] [lead D] [parameter=value …]
//!                          origin C.S: it succeeds that subscription, or the first of its chain
//!                          parameter=@NAME takes its value from a Secret
//! revise C.S SERVICE from T [plain] [allowed D] [parameter=value …]
//! end C.S at T · delete C.S · delete-contract C.S · abandon C.S · keep C.S · recreate C.S · orphan-contract C.S
//! suspend C.S|device · resume C.S|device
//! printer off|timeout|hollow|ignores A|not-settable A|refuses A|lacks OP|busy D|loses N|is ID|product P|has A TEXT|shows|cure
//! broker NAME down|timeout|takes D|never-ends|fails N|next FAULT|not-retrievable|fixed-plans|leaves-nothing|drops P|ignores P|forgets|cure
//! broker NAME asks unavailable|refused|busy D   every request fails, with this Retry-After
//! broker NAME polls D      Retry-After of the answers about operations
//! label                    a label of an object that the device depends on
//! broker NAME calls ID NEW-ID NEW-NAME   the catalog has a new id and name for what had this id
//! set model|service|connection NAME POINTER JSON · remove service NAME · replace-device SERIAL
//! secret NAME TEXT|gone    content of a Secret
//! skew on|-D|off · reconcile-now · restart · kill after N · take-over-orphans
//! show · count             everything, or the number of writes and requests so far
//! ```

use std::collections::VecDeque;

use entente_crds::{
    ANNOTATION_ABANDON, ANNOTATION_RECONCILE_AT,
    v1alpha1::{
        Connection, DeletionPolicy, DeviceConnection, DeviceModel, DriftPolicy, IppOperation,
        Origin, SecretParameter, SmartService,
    },
};
use entente_domain::{
    protocol::Place,
    remote::{FailureKind, Scalar},
    time::parse_duration,
};
use jiff::{SignedDuration, Timestamp};
use kube::{Resource, ResourceExt as _};
use serde::{Serialize, de::DeserializeOwned};

use crate::simulation::{Fault, Simulation, Wish, secret_reference};

/// Commands that change a spec, after which the controller drops its backoffs.
const EDITS: &[&str] = &[
    "connect",
    "drift",
    "replace-device",
    "subscribe",
    "revise",
    "set",
    "remove",
    "suspend",
    "resume",
    "end",
    "delete",
    "keep",
    "abandon",
    "recreate",
    "label",
];

/// Runs a script and returns its transcript.
pub(super) fn run(script: &str, catalogue: &str) -> String {
    let begin = "2027-03-31T12:00:00Z".parse().expect("an instant");
    let mut simulation = Simulation::new(begin);
    simulation.load_catalogue(catalogue);
    for line in script.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        simulation.transcript.push(format!("> {line}"));
        let mut words: VecDeque<&str> = line.split_whitespace().collect();
        let verb = words.pop_front().unwrap_or_default();
        command(&mut simulation, verb, words);
        if EDITS.contains(&verb) {
            simulation.backoffs.clear_all();
        }
    }
    let mut story = simulation.story();
    story.push('\n');
    story
}

fn command(world: &mut Simulation, verb: &str, mut words: VecDeque<&str>) {
    let first = words.front().copied().unwrap_or_default();
    match verb {
        "at" => world.now = instant(first),
        "run" => world.run_until(instant(words.get(1).expect("run until T"))),
        "pass" => {
            world.pass();
        }
        "device" | "replace-device" | "connect" | "drift" => of_device(world, verb, &words),
        "subscribe" => {
            let wish = wish(world, &mut words);
            world.create_subscription(&wish);
        }
        "revise" => {
            let name = full_name(first);
            let wish = wish(world, &mut words);
            world.revise(&name, &wish);
        }
        "printer" => {
            words.pop_front();
            printer(world, first, &words);
        }
        "broker" => {
            words.pop_front();
            broker(world, first, &words);
        }
        "set" => set(world, words),
        "remove" => {
            world.snapshot.services.remove(words[1]);
        }
        "secret" => {
            let text = Some(words[1]).filter(|text| *text != "gone");
            world.set_secret(first, text);
        }
        "label" => {}
        "skew" => {
            let behind = first.strip_prefix('-').map(|length| -duration(length));
            let ahead = || Some(duration("1h")).filter(|_| first == "on");
            world.snapshot.clock_skew = behind.or_else(ahead);
        }
        "restart" => {
            world.forget_waits();
            world.snapshot.catalogs.clear();
        }
        "kill" => world.dies_after = Some(words[1].parse().expect("a number")),
        "show" => world.show(),
        "count" => {
            let said = format!("{} writes, {} requests", world.writes, world.requests);
            world.transcript.push(said);
        }
        "reconcile-now" => {
            let now = world.now.to_string();
            world
                .device_mut()
                .annotations_mut()
                .insert(ANNOTATION_RECONCILE_AT.to_owned(), now);
            world.snapshot.reconcile_requested = true;
        }
        _ => of_subscription(world, verb, &words),
    }
}

fn of_device(world: &mut Simulation, verb: &str, words: &VecDeque<&str>) {
    let first = words.front().copied().unwrap_or_default();
    if verb == "device" {
        return world.create_device(if first.is_empty() { "A1" } else { first });
    }
    let device = world.device_mut();
    device.metadata.generation = device.metadata.generation.map(|one| one + 1);
    if verb == "drift" {
        device.spec.drift_policy = Some(match first {
            "Report" => DriftPolicy::Report,
            "Revert" => DriftPolicy::Revert,
            _ => panic!("no policy: {first}"),
        });
    } else if verb == "connect" {
        let names = words.iter().map(|name| DeviceConnection {
            name: (*name).to_owned(),
            ..DeviceConnection::default()
        });
        device.spec.connections = names.collect();
    } else {
        first.clone_into(&mut device.spec.serial_number);
    }
}

fn of_subscription(world: &mut Simulation, verb: &str, words: &VecDeque<&str>) {
    let first = words.front().copied().unwrap_or_default();
    let name = full_name(first);
    match verb {
        "suspend" | "resume" if first == "device" => {
            let device = world.device_mut();
            device.spec.suspend = verb == "suspend";
        }
        "suspend" | "resume" => {
            world.subscription_mut(&name).spec.contract.suspend = verb == "suspend";
        }
        "end" => world.end(&name, instant(words[2])),
        "delete" => world.delete(&name),
        "delete-contract" => world.delete_contract(&name),
        "keep" => {
            world.subscription_mut(&name).spec.contract.deletion_policy = DeletionPolicy::Keep;
        }
        "abandon" => {
            let annotations = world.subscription_mut(&name).annotations_mut();
            annotations.insert(ANNOTATION_ABANDON.to_owned(), "true".to_owned());
        }
        "recreate" => {
            for broker in world.brokers.values_mut() {
                broker.told_nobody();
            }
            let now = world.now;
            let object = world.subscription_mut(&name);
            object.status = None;
            object.meta_mut().creation_timestamp =
                Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
        }
        "orphan-contract" => {
            let uid = world.subscription(&name).spec.contract.uid.clone();
            world.snapshot.live_contracts.remove(&uid);
        }
        "take-over-orphans" => {
            let orphaned: Vec<String> = world
                .snapshot
                .subscriptions
                .iter()
                .filter_map(|object| object.status.as_ref())
                .flat_map(|status| {
                    let left = status.leaving.as_ref().map(|left| &left.server);
                    status.server.iter().chain(left)
                })
                .filter(|server| server.orphaned.is_some())
                .map(|server| server.instance_id.clone())
                .collect();
            world.snapshot.orphans_taken_over.extend(orphaned);
        }
        _ => panic!("no command: {verb}"),
    }
}

fn printer(world: &mut Simulation, what: &str, words: &VecDeque<&str>) {
    let printer = &mut world.printer;
    let first = words.front().copied().unwrap_or_default();
    let rest = words.iter().copied().collect::<Vec<_>>().join(" ");
    match what {
        "off" => printer.down = Some(FailureKind::Unreachable),
        "timeout" => printer.down = Some(FailureKind::TimedOut),
        "hollow" => printer.hollow = true,
        "ignores" => {
            printer.ignores.insert(rest);
        }
        "cut-off" => {
            printer.cut_off.insert(rest);
        }
        "not-settable" => {
            printer.not_settable.insert(rest);
        }
        "refuses" => {
            printer.refuses.insert(rest);
        }
        "lacks" => {
            printer.lacks = Some(match first {
                "SetPrinterAttributes" => IppOperation::SetPrinterAttributes,
                "SetSystemAttributes" => IppOperation::SetSystemAttributes,
                _ => IppOperation::CupsAddModifyPrinter,
            });
        }
        "busy" => printer.busy = parse_duration(first).ok(),
        "loses" => printer.lose = first.parse().expect("a number"),
        "is" => {
            printer.uuid = Some(rest);
            world.alone = false;
        }
        "product" => printer.product = Some(rest),
        "has" => {
            let text = rest.split_once(' ').map(|(_, text)| text).expect("a value");
            let scalar = match text {
                "true" => Scalar::Boolean(true),
                "false" => Scalar::Boolean(false),
                text => Scalar::Text(text.to_owned()),
            };
            let place = Place::ipp(IppOperation::SetPrinterAttributes, first);
            printer.values.insert(place, vec![scalar]);
            world.alone = false;
        }
        "cure" => printer.cure(),
        "shows" => world.show_device(),
        _ => panic!("the printer cannot: {what}"),
    }
}

fn broker(world: &mut Simulation, name: &str, words: &VecDeque<&str>) {
    let broker = world
        .brokers
        .get_mut(name)
        .expect("a broker of the catalogue");
    let argument = words.get(1).copied().unwrap_or_default();
    match words[0] {
        "down" => broker.down = Some(FailureKind::Unreachable),
        "timeout" => broker.down = Some(FailureKind::TimedOut),
        "asks" => {
            let kind = match argument {
                "unavailable" => FailureKind::ProtocolError,
                "refused" => FailureKind::RejectedValue,
                "busy" => FailureKind::Busy,
                _ => panic!("no failure: {argument}"),
            };
            broker.asks = Some((kind, duration(words[2])));
        }
        "polls" => broker.retry_after = Some(duration(argument)),
        "takes" => broker.takes = parse_duration(argument).ok(),
        "never-ends" => broker.never_ends = true,
        "fails" => broker.fails = argument.parse().expect("a number"),
        "next" => broker.faults.push_back(match argument {
            "error-before" => Fault::ErrorBefore,
            "error-after" => Fault::ErrorAfter,
            "lost" => Fault::Lost,
            "conflict" => Fault::Conflict,
            "busy" => Fault::Busy,
            "refused" => Fault::Refused,
            "late" => Fault::Late(parse_duration(words[2]).expect("a duration")),
            _ => panic!("no fault: {argument}"),
        }),
        "calls" => {
            let names = (words[2].to_owned(), words[3].to_owned());
            broker.renamed.insert(argument.to_owned(), names);
        }
        "not-retrievable" => broker.not_retrievable = true,
        "leaves-nothing" => broker.leaves_nothing = true,
        "fixed-plans" => broker.fixed_plans = true,
        "drops" => {
            broker.drops.insert(argument.to_owned());
        }
        "ignores" => {
            broker.ignores.insert(argument.to_owned());
        }
        "forgets" => {
            broker.instances.clear();
            world.alone = false;
        }
        "cure" => broker.cure(),
        what => panic!("the broker cannot: {what}"),
    }
}

fn set(world: &mut Simulation, mut words: VecDeque<&str>) {
    let kind = words.pop_front().expect("a kind");
    let name = words.pop_front().expect("a name");
    let pointer = words.pop_front().expect("a pointer");
    let value = words.into_iter().collect::<Vec<_>>().join(" ");
    match kind {
        "model" => {
            let model = world.snapshot.model.as_ref().expect("there is a model");
            world.snapshot.model = Some(changed::<DeviceModel>(model, pointer, &value).into());
        }
        "service" => {
            let service = changed::<SmartService>(&world.snapshot.services[name], pointer, &value);
            world
                .snapshot
                .services
                .insert(name.to_owned(), service.into());
        }
        "connection" => {
            let name = name.into();
            let known = &world.snapshot.connections[&name];
            let connection = changed::<Connection>(known, pointer, &value).into();
            world.snapshot.connections.insert(name, connection);
        }
        _ => panic!("no kind: {kind}"),
    }
}

fn changed<T: Serialize + DeserializeOwned>(object: &T, pointer: &str, value: &str) -> T {
    let mut json = serde_json::to_value(object).expect("an object is JSON");
    let value = serde_json::from_str(value).expect("the new value is JSON");
    if let Some(place) = json.pointer_mut(pointer) {
        *place = value;
    } else {
        // An optional field that was absent.
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        let parent = json.pointer_mut(parent).and_then(|it| it.as_object_mut());
        let parent = parent.unwrap_or_else(|| panic!("no {pointer}"));
        parent.insert(field.to_owned(), value);
    }
    serde_json::from_value(json).expect("it is still such an object")
}

fn wish(world: &Simulation, words: &mut VecDeque<&str>) -> Wish {
    let (contract, service_name) = words
        .pop_front()
        .and_then(|name| name.split_once('.'))
        .expect("contract.service");
    let service = words.pop_front().expect("a SmartService").to_owned();
    let defaults = world
        .snapshot
        .services
        .get(&service)
        .into_iter()
        .flat_map(|service| {
            let parameters = service.spec.parameters.iter();
            parameters.filter_map(|one| Some((one.name.clone(), one.default.clone()?)))
        });
    let mut wish = Wish {
        parameters: defaults.collect(),
        secret_parameters: Vec::new(),
        contract: contract.to_owned(),
        service_name: service_name.to_owned(),
        service,
        from: Timestamp::UNIX_EPOCH,
        until: None,
        origin: None,
        promised: true,
        allowed: "15m".into(),
        lead: "336h".to_owned(),
    };
    while let Some(word) = words.pop_front() {
        let mut next = || words.pop_front().expect("a value");
        match word {
            "from" => wish.from = instant(next()),
            "until" => wish.until = Some(instant(next())),
            "origin" => wish.origin = Some(origin(world, next())),
            "plain" => wish.promised = false,
            "allowed" => next().clone_into(&mut wish.allowed),
            "lead" => next().clone_into(&mut wish.lead),
            _ => {
                let (name, value) = word.split_once('=').expect("parameter=value");
                match value.strip_prefix('@') {
                    Some(secret) => wish.secret_parameters.push(SecretParameter {
                        name: name.to_owned(),
                        secret_key_ref: secret_reference(secret),
                    }),
                    None => {
                        wish.parameters.insert(name.to_owned(), value.to_owned());
                    }
                }
            }
        }
    }
    wish
}

/// Returns the first of the chain of a subscription.
fn origin(world: &Simulation, of: &str) -> Origin {
    let spec = &world.subscription(&full_name(of)).spec;
    spec.origin.clone().unwrap_or_else(|| Origin {
        contract: spec.contract.name.clone(),
        service_name: spec.service_name.clone(),
        start: spec.contract.start,
    })
}

fn duration(text: &str) -> SignedDuration {
    parse_duration(text).expect("a duration")
}

fn full_name(short: &str) -> String {
    format!("{short}.lobby")
}

fn instant(text: &str) -> Timestamp {
    // 04-01T03:00 is short for 2027-04-01T03:00:00Z.
    let full = if text.ends_with('Z') {
        text.to_owned()
    } else {
        let seconds = if text.matches(':').count() == 1 {
            ":00"
        } else {
            ""
        };
        format!("2027-{text}{seconds}Z")
    };
    full.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}
