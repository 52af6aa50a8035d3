//! The steps of a life of a device that calls, at random.

use entente_crds::v1alpha1::MaintenanceWindow;
use entente_domain::remote::FailureKind;
use jiff::tz::TimeZone;

use super::{
    events::{Event, happen},
    *,
};

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The device calls.
    Calls(Conduct),
    /// A person sets a value at the panel.
    Panel(usize),
    /// Another firmware runs, whoever installed it.
    Runs(&'static str),
    /// The machine is as it came from the factory, and knows its credential still.
    Reset,
    /// Time passes without the operator, in minutes.
    Away(i64),
    /// The operator starts anew: what is in its memory alone is gone.
    Restarted,
    Withdraws,
    Consents,
    /// A secret gets another text; none: it is gone.
    Secret(Option<&'static str>),
    /// A service needs other software.
    Needs(usize, bool),
    /// A version of the model gets another file.
    File,
    /// The maintenance windows become others.
    Windows(Windows),
    /// A person deletes the twin.
    TwinDeleted,
    /// The next writes of the twin fail.
    Unwritable(u32),
    /// A person asks for a look.
    Asked,
    /// Something of the scripts.
    Other(Event),
}

/// Maintenance windows, as they are at the time of the step.
#[derive(Clone, Copy, Debug)]
pub(super) enum Windows {
    None,
    /// One is open for so many minutes still.
    Open(i64),
    /// One opens after so many hours.
    Later(i64),
    TooShort,
}

fn conduct() -> impl Strategy<Value = Conduct> {
    let reasons = ["ReadOnly", "InvalidValue", "Unsupported", "Busy"];
    let reasons = prop::sample::select(reasons.to_vec());
    prop_oneof![
        6 => Just(Conduct::Good),
        1 => Just(Conduct::Silent),
        1 => (0..6_usize).prop_map(Conduct::Leaves),
        1 => (0..6_usize, reasons).prop_map(|(it, reason)| Conduct::Refuses(it, reason)),
        1 => Just(Conduct::Vague),
        2 => Just(Conduct::Begins),
        2 => Just(Conduct::SaysDone),
        2 => Just(Conduct::FallsBack),
        1 => Just(Conduct::Fails),
    ]
}

fn other() -> impl Strategy<Value = Event> {
    let down = || prop::sample::select(vec![FailureKind::Unreachable, FailureKind::TimedOut]);
    prop_oneof![
        2 => (0..3_usize, any::<bool>()).prop_map(|(it, promised)| Event::Revised(it, promised)),
        1 => (0..3_usize).prop_map(Event::Suspended),
        1 => (0..3_usize).prop_map(Event::Resumed),
        1 => (0..3_usize).prop_map(Event::Ended),
        1 => (0..3_usize).prop_map(Event::Extended),
        1 => (0..3_usize).prop_map(Event::Deleted),
        1 => (0..3_usize, 0..3_usize).prop_map(|(it, setting)| Event::Dropped(it, setting)),
        1 => (0..12_usize).prop_map(Event::Dies),
        1 => down().prop_map(|kind| Event::BrokerDown(0, kind)),
        1 => (1..90_i64).prop_map(|takes| Event::BrokerTakes(0, takes)),
        1 => Just(Event::BrokerFails(0)),
        1 => Just(Event::BrokerCured(0)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let windows = prop_oneof![
        1 => Just(Windows::None),
        2 => prop::sample::select(vec![5_i64, 60, 300]).prop_map(Windows::Open),
        2 => (1..20_i64).prop_map(Windows::Later),
        1 => Just(Windows::TooShort),
    ];
    let versions = [
        "4.0",
        "4.1.0",
        "4.2.0",
        "4.2.5",
        "4.10.0",
        "10",
        "4.3.0-rc1",
    ];
    let secrets = [Some("first secret"), Some("second secret"), None];
    prop_oneof![
        16 => conduct().prop_map(Step::Calls),
        1 => (0..4_usize).prop_map(Step::Panel),
        1 => prop::sample::select(versions.to_vec()).prop_map(Step::Runs),
        1 => Just(Step::Reset),
        2 => prop::sample::select(vec![2_i64, 40, 700, 4_000]).prop_map(Step::Away),
        2 => Just(Step::Restarted),
        1 => Just(Step::Withdraws),
        1 => Just(Step::Consents),
        1 => prop::sample::select(secrets.to_vec()).prop_map(Step::Secret),
        1 => (0..MINIMUMS.len(), any::<bool>()).prop_map(|(it, app)| Step::Needs(it, app)),
        1 => Just(Step::File),
        2 => windows.prop_map(Step::Windows),
        1 => Just(Step::TwinDeleted),
        1 => (1..4_u32).prop_map(Step::Unwritable),
        1 => Just(Step::Asked),
        4 => other().prop_map(Step::Other),
    ]
}

pub(super) fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let after = prop::sample::select(vec![0_i64, 1, 7, 40, 90, 600]);
    let steps = prop::collection::vec((after, step()), 0..14);
    // Most lives begin with a device that has reported what it has.
    (steps, prop::bool::weighted(0.7)).prop_map(|(mut steps, calls)| {
        if calls {
            steps.insert(0, (0, Step::Calls(Conduct::Good)));
        }
        steps
    })
}

pub(super) fn happen_to_caller(life: &mut Life, step: &Step) {
    let world = &mut life.world;
    match step {
        Step::Calls(conduct) => {
            life.withdrawn.note_call(conduct);
            world.call(conduct);
        }
        Step::Panel(which) => {
            let key = [
                "backup.weekdays",
                "backup.endpoint",
                "alert.threshold",
                "scan.account",
            ];
            let value = ["Tue", "https://elsewhere.example", "77", "another"];
            world
                .caller_mut()
                .set_at_the_panel(key[*which], value[*which]);
        }
        Step::Runs(version) => world.caller_mut().run_firmware(version),
        Step::Reset => world.caller_mut().reset(),
        Step::Away(time) => {
            life.withdrawn.nobody_looks(world.now);
            world.now += minutes(*time);
            world.wake = Some(world.now);
        }
        Step::Restarted => {
            world.forget_waits();
            world.snapshot.catalogs.clear();
        }
        Step::Withdraws => world.withdraw_consent(),
        Step::Consents => {
            if !world.consents() && world.snapshot.twin.is_some() {
                world.register();
            }
        }
        Step::TwinDeleted => world.delete_twin(),
        Step::Unwritable(count) => world.caller_mut().unwritable = *count,
        Step::Asked => ask_to_reconcile(world),
        Step::Secret(_) | Step::Needs(..) | Step::File | Step::Windows(_) => edit(world, step),
        Step::Other(event) => happen(world, event, &life.services),
    }
}

/// Edits an object; the waits end with that, as in the controller.
fn edit(world: &mut Simulation, step: &Step) {
    match step {
        Step::Secret(text) => {
            if world
                .snapshot
                .secrets
                .0
                .contains_key(&secret_reference("account"))
            {
                world.set_secret("account", *text);
            }
            // No event tells of it.
            return;
        }
        Step::Needs(minimum, application) => need(world, *minimum, *application),
        Step::File => {
            let model = Arc::make_mut(world.snapshot.model.as_mut().expect("a model"));
            let sha256 = &mut model.spec.firmware[1].artifact.sha256;
            *sha256 = sha256.replace('0', "a");
        }
        Step::Windows(windows) => {
            let now = world.now;
            let windows = windows_at(now, *windows);
            world.device_mut().spec.maintenance_windows = windows;
        }
        _ => {}
    }
    world.backoffs.clear_all();
}

fn windows_at(now: Timestamp, windows: Windows) -> Vec<MaintenanceWindow> {
    let zone = TimeZone::get("America/Sao_Paulo").expect("a zone");
    let (opens, lasts) = match windows {
        Windows::None => return Vec::new(),
        Windows::Open(left) => (now - minutes(60), minutes(60 + left)),
        Windows::Later(hours) => (now + minutes(60 * hours), minutes(90)),
        Windows::TooShort => (now, minutes(10)),
    };
    vec![MaintenanceWindow {
        days: Vec::new(),
        start: opens.to_zoned(zone).strftime("%H:%M").to_string(),
        duration: format!("{}m", lasts.as_secs() / 60).as_str().into(),
    }]
}
