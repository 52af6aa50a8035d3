//! Properties of the device's side of the twin, over random lives: new versions, edits of a person,
//! revisions that begin, reports, lost answers and crashes.

use proptest::prelude::*;

use super::*;

/// Something that happens to a device.
#[derive(Clone, Debug)]
enum Event {
    /// The gateway wants values for some of the names; a name that is `true` is a secret.
    Wants(Vec<(u8, u8, bool)>),
    /// The gateway wants kinds of data, each so often.
    WantsData(BTreeMap<u8, u8>),
    /// The next revision wants another value.
    Next(u8, u8),
    /// The next revision begins.
    Begins,
    /// A person writes a value, or removes it.
    Edits(u8, Option<u8>),
    /// The device reports, and its answer comes.
    Reports,
    /// The gateway has lost what was reported.
    Forgets,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let name = 0..4_u8;
    let value = 0..3_u8;
    let wanted = (name.clone(), value.clone(), proptest::bool::weighted(0.2));
    let event = prop_oneof![
        proptest::collection::vec(wanted, 0..4).prop_map(Event::Wants),
        proptest::collection::btree_map(name.clone(), value.clone(), 0..4)
            .prop_map(Event::WantsData),
        (name.clone(), value.clone()).prop_map(|(name, value)| Event::Next(name, value)),
        Just(Event::Begins),
        (name, proptest::option::of(value)).prop_map(|(name, value)| Event::Edits(name, value)),
        Just(Event::Reports),
        Just(Event::Forgets),
    ];
    proptest::collection::vec(event, 1..30)
}

fn name(number: u8) -> String {
    format!("n{number}")
}

/// Value of a secret, which no report may hold.
fn value(number: u8, secret: bool) -> String {
    if secret {
        format!("canary-{number}")
    } else {
        number.to_string()
    }
}

/// A device and its gateway.
#[derive(Default)]
struct World {
    held: Held,
    file: Settings,
    version: u64,
    kinds: Vec<Value>,
    reported: Value,
}

impl World {
    fn happens(&mut self, event: &Event, faults: &Faults) {
        match event {
            Event::Wants(wanted) => {
                let settings: Map<String, Value> = wanted
                    .iter()
                    .map(|(at, of, secret)| {
                        let value = value(*of, *secret);
                        (name(*at), json!({"value": value, "secret": secret}))
                    })
                    .collect();
                self.takes(&json!({ "settings": settings }));
            }
            Event::WantsData(kinds) => {
                let kinds = kinds.iter().map(|(at, hours)| {
                    json!({"name": name(*at), "on": [], "period": format!("PT{}H", hours + 1)})
                });
                self.kinds = kinds.collect();
                self.takes(&json!({"settings": self.held.desired, "next": self.held.next}));
            }
            Event::Next(at, of) => {
                let settings = json!(self.held.desired);
                let next = json!({"effective": "2027-04-01T00:00:00Z",
                    "settings": {name(*at): {"value": value(*of, false)}}});
                self.takes(&json!({"settings": settings, "next": next}));
            }
            Event::Begins => self.held.begin_next(),
            Event::Edits(at, Some(of)) => {
                self.file.insert(name(*at), value(*of, false));
            }
            Event::Edits(at, None) => {
                self.file.remove(&name(*at));
            }
            Event::Reports => {}
            Event::Forgets => {
                self.reported = json!({"settings": {}});
                self.takes(&json!({"settings": self.held.desired, "next": self.held.next}));
            }
        }
        self.settles(faults);
        if matches!(event, Event::Reports) {
            self.reports();
        }
    }

    fn takes(&mut self, desired: &Value) {
        self.version += 1;
        let mut desired = desired.clone();
        desired["dataTypes"] = json!(self.kinds);
        let twin = json!({"version": self.version, "desired": desired,
            "reported": self.reported, "poll": {"next": "PT1H"}});
        let tag = format!("\"{}\"", self.version);
        self.held
            .take(&serde_json::from_value(twin).unwrap(), Some(tag));
    }

    fn settles(&mut self, faults: &Faults) {
        self.held.notice(&self.file);
        if self.held.is_to_apply() {
            self.file = self.held.apply(faults);
        }
        self.held.sends = to_send(&self.held.data_types, |_| true, faults);
    }

    fn reports(&mut self) {
        let report = self.held.report(&[], None);
        if let Some(patch) = patch(&self.held.acknowledged, &report) {
            merge(&mut self.reported, &patch);
            self.held.acknowledged = report;
        }
    }
}

/// Applies a merge patch (RFC 7396), as a gateway does.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        // The version has another name in the patch.
        let name = if name == "desiredVersion" {
            "version"
        } else {
            name
        };
        let members = target.as_object_mut().unwrap();
        if value.is_null() {
            members.remove(name);
        } else {
            let member = members.entry(name).or_insert(Value::Null);
            // A setting is complete, and replaces the former one.
            if value.get("by").is_some() {
                *member = value.clone();
            } else {
                merge(member, value);
            }
        }
    }
}

proptest! {
    #[test]
    fn what_the_gateway_has_in_the_end_is_what_is_in_effect(events in events()) {
        let mut world = World { reported: json!({"settings": {}}), ..World::default() };
        for event in &events {
            world.happens(event, &Faults::default());
        }
        world.happens(&Event::Reports, &Faults::default());
        let settings = world.reported["settings"].as_object().unwrap();
        let names: Vec<&String> = settings.keys().collect();
        prop_assert_eq!(names, world.file.keys().collect::<Vec<_>>());
        for (name, setting) in settings {
            let is_secret = world.held.in_effect[name].secret;
            if is_secret {
                prop_assert_eq!(setting.get("value"), None);
            } else {
                prop_assert_eq!(&setting["value"], &json!(world.file[name]));
            }
        }
        let sent = world.reported.get("dataTypes").and_then(Value::as_array);
        let sent: Vec<Value> = sent.into_iter().flatten().cloned().collect();
        let wanted = world.kinds.iter();
        let wanted: Vec<Value> = wanted
            .map(|kind| json!({"name": kind["name"], "period": kind["period"]}))
            .collect();
        prop_assert_eq!(sent, wanted);
        let canary = !world.reported.to_string().contains("canary");
        prop_assert!(canary, "{}", world.reported);
        prop_assert_eq!(patch(&world.held.acknowledged, &world.held.report(&[], None)), None);
    }

    #[test]
    fn what_is_wanted_is_in_effect_unless_a_person_or_a_fault_is_in_the_way(events in events()) {
        let faults = Faults { refuse: ["n0".to_owned()].into(), ignore: ["n1".to_owned()].into() };
        let mut world = World { reported: json!({"settings": {}}), ..World::default() };
        for event in &events {
            world.happens(event, &faults);
        }
        for (name, wanted) in &world.held.desired {
            let set = world.held.in_effect.get(name);
            let is_set = set.is_some_and(|set| Some(&set.value) == wanted.value.as_ref());
            let is_anothers = set.is_none_or(|set| set.by != Source::Server);
            let is_faulty = name == "n0" || name == "n1";
            prop_assert!(is_set || is_anothers || is_faulty, "{name}: {set:?} and not {wanted:?}");
        }
        let file: Settings = world.file.clone();
        world.settles(&faults);
        prop_assert_eq!(world.file, file);
    }
}
