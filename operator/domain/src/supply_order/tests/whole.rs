//! From the reports of a device to the log of an order server: random reports, crashes at every write, views
//! that are a write behind, lost requests and answers, orders that are delivered. The orders in the server's
//! own log are the occurrences that were ordered for, exactly; one whose second request was lost as well a
//! day after the first is left to a person, and is in the log once or not at all.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::v1alpha1::{Device, DeviceError, ErrorState, OrderOutcome};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::records::{World, world};
use super::schedules::{Schedule, run, schedules};
use super::server::Server;
use super::*;
use crate::errors::{OrderFacts as Facts, Provider, Sightings, decide, order_name, track};
use crate::remote::{ReportedFault, StatusReport};

/// Number of fault plans.
const PLANS: u32 = 2_000;

/// One report of the device, and the fate of what follows from it.
#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each fate is drawn alone, and shrinks alone"
)]
struct Step {
    is_empty: bool,
    /// Minutes after the one before.
    minutes: i64,
    /// Fate of the write of the Device: 0 and 1 it is lost with the process, before or after; else done.
    write: u8,
    /// True if the order controller sees the Device as it was before this write.
    is_behind: bool,
    /// True if the process ends before the order controller runs.
    is_killed: bool,
    /// True if every order is delivered afterwards.
    delivers: bool,
    plan: Schedule,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = (
        any::<bool>(),
        0..25_i64,
        0..8_u8,
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.3),
        schedules(),
    );
    let one = one.prop_map(
        |(is_empty, minutes, write, is_behind, is_killed, delivers, plan)| Step {
            is_empty,
            minutes,
            write,
            is_behind,
            is_killed,
            delivers,
            plan,
        },
    );
    prop::collection::vec(one, 1..10)
}

/// The objects of the API server and the order server.
struct Life {
    world: World,
    server: Server,
    orders: BTreeMap<String, SupplyOrder>,
    /// Names of the orders that ever stood in the status of the Device.
    decided: BTreeSet<String>,
    now: Timestamp,
}

impl Life {
    fn new() -> Self {
        let mut world = world();
        world.device.status.as_mut().expect("a status").errors = Vec::new();
        Self {
            world,
            server: Server::new(keyed(), true),
            orders: BTreeMap::new(),
            decided: BTreeSet::new(),
            now: begin(),
        }
    }

    /// Returns the errors as delivery reports them after a look.
    fn look(&self, is_empty: bool) -> Vec<DeviceError> {
        let faults = if is_empty {
            vec![ReportedFault::state_reason("toner-empty-error")]
        } else {
            Vec::new()
        };
        let report = StatusReport {
            faults,
            ..StatusReport::default()
        };
        let look = Sightings {
            reports: vec![("hq-ipp", &report)],
            sources: ["hq-ipp"].into(),
            caller: None,
            at: self.now,
        };
        let mut model = self.world.model.spec.clone();
        // One supply of a kind: the word alone tells which.
        model.supplies[0].row = Some(entente_crds::v1alpha1::SupplyRow {
            r#type: "toner".to_owned(),
            colorant: None,
        });
        let before = self.world.device.status.clone().unwrap_or_default().errors;
        let tracked = track(&before, &model, Some(&look), self.now);
        let providers = [Provider {
            subscription: "banco-sul-2027.supplies.lobby-mfp".to_owned(),
            service: "supplies".to_owned(),
            group: None,
        }];
        let orders: Vec<_> = self.orders.values().map(known).collect();
        let facts = Facts {
            device: "lobby-mfp",
            model: &model,
            providers: &providers,
            orders_supplies: &|_| true,
            holds: &[],
            orders: &orders,
            now: self.now,
        };
        decide(&tracked, &facts)
    }

    fn store(&mut self, errors: Vec<DeviceError>) {
        let decided = errors.iter().filter_map(|error| error.order.as_ref());
        self.decided.extend(decided.map(|order| order.name.clone()));
        self.world.device.status.as_mut().expect("a status").errors = errors;
    }

    /// Makes the records that a view of the Device owes, and drives each order.
    fn order(&mut self, view: &Device, plan: &Schedule) {
        for error in wanted_orders(view) {
            let name = error.order.as_ref().map(|order| order.name.clone());
            let name = name.expect("it is wanted");
            if !self.orders.contains_key(&name) {
                let made = record_for(error, self.world.sources(), example::NAMESPACE);
                self.orders.insert(name, made.expect("a record"));
            }
        }
        for order in self.orders.values_mut() {
            if is_open(order) {
                run(order, &mut self.server, &mut self.now, plan.clone());
            }
        }
    }

    fn step(&mut self, step: &Step) {
        self.now += SignedDuration::from_mins(step.minutes);
        let before = self.world.device.clone();
        let errors = self.look(step.is_empty);
        if step.write > 0 {
            self.store(errors);
        }
        // Killed before the write, or after it without hearing of it.
        if step.write < 2 || step.is_killed {
            return;
        }
        let view = if step.is_behind {
            before
        } else {
            self.world.device.clone()
        };
        self.order(&view, &step.plan);
        if step.delivers {
            let state = Some(entente_crds::v1alpha1::OrderState::Delivered);
            for (order, _) in &mut self.server.log {
                order.state = state;
            }
        }
    }

    /// Everything works from now on, until nothing is left to do.
    fn heal(&mut self) {
        let calm = Schedule::calm();
        for _ in 0..4 {
            self.now += SignedDuration::from_mins(1);
            let is_empty = self.error().is_some_and(|it| it.state == ErrorState::Open);
            let errors = self.look(is_empty);
            self.store(errors);
            let view = self.world.device.clone();
            self.order(&view, &calm);
        }
    }

    /// Returns the references of the orders of which only a person can find out.
    fn left_to_a_person(&self) -> BTreeSet<Option<String>> {
        let is_left = |order: &&SupplyOrder| {
            let status = order.status.clone().unwrap_or_default();
            let is_unknown = status.outcome == Some(OrderOutcome::Unknown);
            is_unknown && status.order.is_none() && status.repeated.is_some()
        };
        let left = self.orders.values().filter(is_left);
        left.map(|order| order.spec.record.reference.clone())
            .collect()
    }

    fn error(&self) -> Option<&DeviceError> {
        self.world.device.status.as_ref()?.errors.first()
    }
}

// shows A5 A9 A10 K5
#[test]
#[allow(
    clippy::disallowed_macros,
    reason = "a run prints how many plans and orders it went through"
)]
fn the_orders_in_the_log_of_the_server_are_the_occurrences_that_were_ordered_for() {
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(PLANS)
    };
    let counted = std::cell::Cell::new((0, 0, 0));
    let result = TestRunner::new(config).run(&steps(), |steps| {
        let mut life = Life::new();
        for step in &steps {
            life.step(step);
            let open = life.orders.values().filter(|order| is_open(order)).count();
            prop_assert!(open <= 1, "{open} orders of one supply are open");
        }
        life.heal();
        let references: Vec<_> = life
            .server
            .log
            .iter()
            .map(|(order, _)| order.reference.clone())
            .collect();
        let once: BTreeSet<_> = references.iter().cloned().collect();
        let recorded: BTreeSet<_> = life
            .orders
            .values()
            .map(|order| order.spec.record.reference.clone())
            .collect();
        prop_assert_eq!(
            references.len(),
            once.len(),
            "an occurrence was ordered for twice"
        );
        let left = life.left_to_a_person();
        let (once, sure): (Vec<_>, Vec<_>) = (
            once.difference(&left).collect(),
            recorded.difference(&left).collect(),
        );
        prop_assert_eq!(once, sure, "the log and the records differ");
        let made: BTreeSet<String> = life.orders.keys().cloned().collect();
        prop_assert_eq!(&made, &life.decided, "the decisions and the records differ");
        // What is open is ordered for, or an order for the supply is open.
        if let Some(error) = life.error().filter(|it| it.state == ErrorState::Open) {
            let own = order_name("lobby-mfp", error);
            let is_ordered = life.orders.contains_key(&own);
            prop_assert!(is_ordered || error.not_ordered.is_some(), "{error:?}");
        }
        let (plans, orders, unknown) = counted.get();
        let orders = orders + life.server.log.len();
        counted.set((plans + 1, orders, unknown + left.len()));
        Ok(())
    });
    let (plans, made, unknown) = counted.get();
    println!(
        "{plans} random fault plans, {made} orders: 0 doubles, 0 losses, 0 that nobody decided on, {unknown} \
         left to a person"
    );
    result.unwrap_or_else(|failed| panic!("{failed}"));
    assert!(
        plans >= PLANS && made > 500 && unknown * 100 < made,
        "{plans} plans made {made} orders, {unknown} are left to a person"
    );
}
