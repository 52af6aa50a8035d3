//! Properties of a device that calls, in any order of calls, passes, edits and faults (B6, C1, D1, K5).
//!
//! After each step: nothing is Effective that the device did not say, the server was not touched before
//! that, nothing is asked for beside an installation that the device has begun, and a second pass writes
//! nothing (`simulation/caller.rs`, `simulation/truth.rs` and here). When the faults end, everything is
//! delivered within some calls. Time of the customer is owed by nobody.

mod schedule;
mod withdrawn;

use std::collections::BTreeSet;

use entente_crds::v1alpha1::{
    AgentSetting, AgentSoftware, Application, Artifact, Connection, CreditBasis, Fee, FeeCredit,
    Firmware, MAIN_FIRMWARE, Remedy, SecretParameter, ServiceApplication, ServiceModel,
    SoftwareVia,
};
use entente_domain::compensation::records_for;
use entente_domain::delivery::Wanted;

use self::schedule::{Step, happen_to_caller, steps};
use super::{events, *};
use crate::simulation::{Caller, Conduct, Ended, secret_reference};

/// The most calls of a device that does what it should, until everything is delivered: three for each of
/// two installations, two for settings and their restart, and what it was in the middle of.
const MOST_CALLS: usize = 12;

/// True if every subscription is delivered, or has ended and is gone.
fn is_settled(world: &Simulation) -> bool {
    world.snapshot.subscriptions.iter().all(|object| {
        let conditions = object.status.iter().flat_map(|it| &it.conditions);
        let mut ready = conditions.filter(|it| it.type_ == "Ready");
        ready.any(|it| it.status == "True" && it.reason == "Delivered")
    })
}

/// Number of lives in one run: in debug they take seconds.
const LIVES: u32 = 24;

/// Number of lives in one run that are only about consent; each has forty calls and more.
const LIVES_OF_CONSENT: u32 = 6;

/// Choices of [`MENU`] that do not contradict each other.
const CALLING_MENU: &[usize] = &[0, 2, 3, 6];

/// A device and its services at the beginning.
#[derive(Clone, Debug)]
struct Beginning {
    services: Vec<usize>,
    /// True if there is one with a secret on both sides.
    scan: bool,
    /// The least firmware, by number of [`MINIMUMS`].
    minimum: usize,
    application: bool,
    /// Hours by which its clock is wrong.
    clock_off: i64,
}

/// Least versions of firmware that a service may need; the last is in no list of the model.
const MINIMUMS: [Option<&str>; 4] = [None, Some("4.2"), Some("4.3"), Some("9")];

fn beginning() -> impl Strategy<Value = Beginning> {
    let services = prop::sample::subsequence(CALLING_MENU.to_vec(), 1..=3);
    // Most have the one service that needs software.
    let services = (services, prop::bool::weighted(0.7)).prop_map(|(mut services, with_first)| {
        if with_first && services[0] != CALLING_MENU[0] {
            services.insert(0, CALLING_MENU[0]);
        }
        services
    });
    let clock = prop::sample::select(vec![0, 0, -9_000, 9_000]);
    (services, any::<bool>(), 0..3_usize, any::<bool>(), clock).prop_map(
        |(services, scan, minimum, application, clock_off)| Beginning {
            services,
            scan,
            minimum,
            application,
            clock_off,
        },
    )
}

fn by_a_call() -> SoftwareVia {
    SoftwareVia {
        agent: Some(AgentSoftware {}),
    }
}

fn artifact(file: &str) -> Artifact {
    Artifact {
        url: format!("https://files.example/{file}"),
        sha256: format!("{file:0>64}"),
        size: 1,
        ..Artifact::default()
    }
}

/// Lets the service `data-backup` need software of the model.
fn need(world: &mut Simulation, minimum: usize, application: bool) {
    let service = world.snapshot.services.get_mut("data-backup");
    let service = Arc::make_mut(service.expect("it is in the catalogue"));
    let applications = application.then(|| ServiceApplication {
        name: "agent".to_owned(),
        version: "2.0".to_owned(),
    });
    service.spec.device.as_mut().expect("a side").models = vec![ServiceModel {
        name: "mfp-500".to_owned(),
        minimum_firmware: MINIMUMS[minimum].map(str::to_owned),
        applications: applications.into_iter().collect(),
    }];
}

/// Returns the world of the scripts, with a device that calls in place of the one that is dialled.
fn calling_world(beginning: &Beginning) -> Simulation {
    let mut world = world(&[]);
    world.caller = Some(Caller::new());
    world.caller_mut().clock_off = SignedDuration::from_hours(beginning.clock_off);
    let mut gateway: Connection = entente_crds::example::gateway();
    let name = gateway.name_any();
    let connections = &mut world.snapshot.connections;
    let allow = &connections["hq-ipp"].spec.allow;
    gateway.spec.allow.clone_from(allow);
    connections.insert(name.as_str().into(), gateway.into());
    let device = world.device_mut();
    device.spec.address = None;
    device.spec.time_zone = Some("America/Sao_Paulo".to_owned());
    device.spec.connections[0].name = name;
    let model = Arc::make_mut(world.snapshot.model.as_mut().expect("a model"));
    for setting in &mut model.spec.settings {
        setting.via.agent = Some(AgentSetting {
            key: setting.name.clone(),
        });
    }
    let versions = ["4.1.0", "4.2.0", "4.10.0"];
    model.spec.firmware = versions
        .map(|version| Firmware {
            name: MAIN_FIRMWARE.to_owned(),
            version: version.to_owned(),
            artifact: artifact(version),
            via: by_a_call(),
            downgrade: false,
            takes: Some("30m".into()),
        })
        .into();
    model.spec.applications = vec![Application {
        name: "agent".to_owned(),
        version: "2.1.0".to_owned(),
        artifact: artifact("agent-2.1.0"),
        via: by_a_call(),
    }];
    need(&mut world, beginning.minimum, beginning.application);
    for index in &beginning.services {
        let from = start() + minutes(60 * MENU[*index].3);
        world.create_subscription(&wish(*index, from, true, "Sun"));
    }
    if beginning.scan {
        create_scan(&mut world);
    }
    owe(&mut world);
    world
}

fn create_scan(world: &mut Simulation) {
    world.set_secret("account", Some("first secret"));
    let mut scan = wish(3, start(), true, "Sun");
    "scan".clone_into(&mut scan.service_name);
    "scan-to-cloud".clone_into(&mut scan.service);
    scan.parameters.clear();
    scan.secret_parameters = vec![SecretParameter {
        name: "account".to_owned(),
        secret_key_ref: secret_reference("account"),
    }];
    world.create_subscription(&scan);
}

/// Lets every promise owe a part of a fee.
fn owe(world: &mut Simulation) {
    for object in &mut world.snapshot.subscriptions {
        if object
            .spec
            .revisions
            .iter()
            .all(|it| !it.remedies.is_empty())
        {
            continue;
        }
        for revision in &mut Arc::make_mut(object).spec.revisions {
            let revision = Arc::make_mut(revision);
            revision.remedies = vec![Remedy {
                name: "credit".to_owned(),
                credit: Some(FeeCredit {
                    basis: CreditBasis::ElapsedTime,
                    ..FeeCredit::default()
                }),
                ..Remedy::default()
            }];
            revision.currency = Some("BRL".to_owned());
            revision.fee = Some(Fee {
                amount: "10.00".to_owned(),
                ..Fee::default()
            });
        }
    }
}

/// Life of a device so far.
struct Life {
    world: Simulation,
    services: Vec<usize>,
    /// Every record that was made, by name.
    made: BTreeSet<String>,
    withdrawn: withdrawn::Withdrawn,
}

impl Life {
    fn new(beginning: &Beginning) -> Self {
        Self {
            world: calling_world(beginning),
            services: beginning.services.clone(),
            made: BTreeSet::new(),
            withdrawn: withdrawn::Withdrawn::default(),
        }
    }

    /// Passes now and whenever something is due, until an instant.
    fn run_until(&mut self, until: Timestamp) {
        loop {
            self.pass();
            match self.world.wake.filter(|wake| *wake <= until) {
                Some(wake) => self.world.now = self.world.now.max(wake),
                None => break,
            }
        }
        self.world.now = self.world.now.max(until);
    }

    /// Passes, and makes the records that are owed, as the controller of compensations does.
    fn pass(&mut self) {
        self.withdrawn.note_end(&self.world);
        // A process that died starts again.
        while self.world.pass() == Ended::Died {}
        self.withdrawn.note_begin(&self.world);
        for object in self.world.snapshot.subscriptions.clone() {
            for record in records_for(&object, None, "acme") {
                // A process that died made it and did not note it: the name exists.
                if !self.made.insert(record.name_any()) {
                    continue;
                }
                let mut known = entente_domain::promise::CompensationRecord::from(&record);
                known.calculated = true;
                self.world.snapshot.compensations.push(known);
            }
        }
    }

    fn call_after_a_minute(&mut self) {
        self.run_until(self.world.now + minutes(1));
        self.world.call(&Conduct::Good);
        self.pass();
    }

    /// Passes until nothing is written any more, as the operator's own writes wake it, and checks that
    /// this takes three passes at most.
    fn come_to_rest(&mut self) {
        for _ in 0..3 {
            let before = self.written();
            self.pass();
            if self.written() == before {
                return;
            }
        }
        panic!("it writes in each pass\n{}", self.world.story());
    }

    fn written(&self) -> (usize, usize, usize) {
        let world = &self.world;
        let objects = world.snapshot.subscriptions.len();
        (world.writes, world.caller().written, objects)
    }

    fn live(&mut self, steps: &[(i64, Step)]) {
        self.run_until(start() - minutes(30));
        for (after, step) in steps {
            self.run_until(self.world.now + minutes(*after));
            self.world.transcript.push(format!("> {step:?}"));
            happen_to_caller(self, step);
            owe(&mut self.world);
            if !matches!(step, Step::Away(_)) {
                self.come_to_rest();
            }
        }
        self.withdrawn.check(&self.world);
    }

    /// Ends every fault, and lets the device call until everything is delivered.
    fn heal(&mut self) {
        let world = &mut self.world;
        world.transcript.push("> healed".to_owned());
        need(world, 1, true);
        heal(world);
        world.device_mut().spec.maintenance_windows.clear();
        world.caller_mut().unwritable = 0;
        if world
            .snapshot
            .secrets
            .0
            .contains_key(&secret_reference("account"))
        {
            world.set_secret("account", Some("last secret"));
        }
        let main = (
            entente_crds::v1alpha1::SoftwarePart::Firmware,
            "main".to_owned(),
        );
        if !world.caller().runs(&main, "4.1") {
            world.caller_mut().run_firmware("4.1.0");
        }
        self.pass();
        if !self.world.consents() {
            self.world.register();
        }
        // What is Scheduled counts as settled: all has begun by then.
        let begun = start() + minutes(70);
        for _ in 0..MOST_CALLS {
            self.run_until(self.world.now + minutes(20));
            self.world.call(&Conduct::Good);
            self.world.transcript.push("> Calls(Good)".to_owned());
            self.pass();
            if self.world.now > begun && is_settled(&self.world) {
                break;
            }
        }
        self.run_until(self.world.now + minutes(20));
    }

    /// Checks that everything is in the machine itself.
    fn check_machine(&self) {
        let world = &self.world;
        let snapshot = &world.snapshot;
        let resolved = entente_domain::delivery::Pass::new(
            snapshot.clone(),
            entente_domain::delivery::Backoffs::default(),
            world.now,
        );
        for entry in &resolved.resolved().subscriptions {
            let object = snapshot.subscription(&entry.name).expect("it is there");
            if reason(object, ConditionType::Ready) != "Delivered" {
                continue;
            }
            for (_, item) in entry.items() {
                let has = match &item.wanted {
                    Wanted::DeviceSetting { place, value, .. } => {
                        let key = place.as_agent().expect("it is carried by a call");
                        world.caller().has_value(key, value)
                    }
                    Wanted::Software {
                        part,
                        name,
                        minimum,
                        ..
                    } => world.caller().runs(&(*part, name.clone()), minimum),
                    _ => true,
                };
                assert!(has, "{} is not in the machine\n{}", item.key, world.story());
            }
        }
    }
}

fn lived(beginning: &Beginning, steps: &[(i64, Step)]) -> Life {
    let mut life = Life::new(beginning);
    life.live(steps);
    life.heal();
    // What was left behind at a server waits for the catalogue's controller, which is not here.
    let mut world = life.world.clone();
    world.snapshot.subscriptions.retain(|object| {
        let server = object.status.as_ref().and_then(|it| it.server.as_ref());
        server.is_none_or(|server| server.orphaned.is_none())
    });
    assert_settled(&world);
    life.check_machine();
    life
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: LIVES,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    // shows B6 C1 D1 K5
    #[test]
    fn whatever_a_device_that_calls_does_it_is_delivered_once_it_does_what_it_should(
        beginning in beginning(),
        steps in steps(),
    ) {
        let mut life = lived(&beginning, &steps);
        let count = |world: &Simulation| (world.requests, world.writes, world.caller().written);
        let before = count(&life.world);
        life.pass();
        prop_assert_eq!(count(&life.world), before, "another pass\n{}", life.world.story());
        life.world.forget_waits();
        life.world.snapshot.catalogs.clear();
        life.pass();
        prop_assert_eq!(count(&life.world), before, "after a restart\n{}", life.world.story());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: LIVES_OF_CONSENT,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    // shows C1 D9
    #[test]
    fn nothing_is_owed_where_only_the_owner_of_a_device_that_calls_makes_it_late(
        beginning in beginning(),
        absences in prop::collection::vec((0..30_i64, 1..200_i64), 1..3),
    ) {
        let mut life = Life::new(&beginning);
        life.run_until(start() - minutes(60));
        life.call_after_a_minute();
        for (before, lasts) in absences {
            for _ in 0..before {
                life.call_after_a_minute();
            }
            life.world.withdraw_consent();
            life.run_until(life.world.now + minutes(lasts));
            life.world.register();
            life.pass();
        }
        for _ in 0..40 {
            life.call_after_a_minute();
        }
        assert_settled(&life.world);
        prop_assert_eq!(withdrawn::owed(&life.world), [], "{}", life.world.story());
    }
}
