//! Tests of the shell: the keys that wake, passes that fail, and the shutdown.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use entente_crds::{example, v1alpha1::Connection};
use entente_drivers::{Drivers, fake::World};
use jiff::Timestamp;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{Defect, Failed, PassObject, Reconcile, Watches, run};
use crate::{
    cache::{Cache, Change, Key},
    clock::FakeClock,
    context::Context,
    fake_api::FakeApi,
    in_process::{Listening, context},
    queue::{Queue, Requeue},
    shutdown::{Shutdown, ShutdownTrigger},
    status::WriteError,
};

/// Behaviour of a pass. Without a plan it succeeds.
#[derive(Clone, Debug)]
enum Plan {
    Fail,
    Panic,
    Wait(Arc<Notify>),
}

/// Observed step of a controller, with its instant.
#[derive(Debug, Eq, PartialEq)]
enum Did {
    Began(String),
    Ended(String),
    Reported(String),
    TimedOut(String),
}

/// The next instant of the key "dated".
const DATE: Timestamp = Timestamp::constant(45, 0);

/// A controller of Connections whose passes follow the test's plan.
struct Obedient {
    connections: Arc<Cache<Connection>>,
    others: Mutex<Option<mpsc::UnboundedReceiver<String>>>,
    plans: Arc<Mutex<BTreeMap<String, Vec<Plan>>>>,
    did: mpsc::UnboundedSender<(Instant, Did)>,
}

impl Obedient {
    fn say(&self, did: Did) {
        // A test that has ended receives nothing.
        let _ = self.did.send((Instant::now(), did));
    }
}

impl Reconcile for Obedient {
    const NAME: &'static str = "obedient";
    type Key = Key;

    fn object(&self, key: &Key) -> PassObject {
        PassObject::of(&self.connections, key.clone())
    }

    fn watch(&self, watches: &Watches<Self>) {
        let wake = |_: &Self, queue: &Queue<Key>, change: &Change<Connection>| {
            queue.add(change.key.clone());
        };
        watches.cache(&self.connections, wake);
        let others = self.others.lock().unwrap().take().unwrap();
        watches.channel(others, |_, queue, name: &String| {
            assert_ne!(name, "panic", "on purpose");
            queue.add(Key::new("", name.as_str()));
        });
    }

    async fn reconcile(&self, key: &Key) -> Result<Option<Requeue>, Failed> {
        self.say(Did::Began(key.name.clone()));
        let plan = {
            let mut plans = self.plans.lock().unwrap();
            let plans = plans.entry(key.name.clone()).or_default();
            (!plans.is_empty()).then(|| plans.remove(0))
        };
        match plan {
            Some(Plan::Fail) => {
                let (kind, key) = ("Connection".to_owned(), key.clone());
                return Err(WriteError::Conflict { kind, key }.into());
            }
            Some(Plan::Panic) => panic!("on purpose"),
            Some(Plan::Wait(released)) => released.notified().await,
            None => {}
        }
        self.say(Did::Ended(key.name.clone()));
        Ok(None)
    }

    async fn report_defect(&self, key: &Key, defect: &Defect) {
        let name = key.name.clone();
        self.say(match defect {
            Defect::Panicked(_) => Did::Reported(name),
            Defect::TimedOut(_) => Did::TimedOut(name),
        });
    }

    fn next_instant(&self, key: &Key) -> Option<Timestamp> {
        (key.name == "dated").then_some(DATE)
    }
}

/// A shell that runs the controller, and the test's handles.
struct Shell {
    connections: Arc<Cache<Connection>>,
    others: mpsc::UnboundedSender<String>,
    did: mpsc::UnboundedReceiver<(Instant, Did)>,
    context: Context,
    trigger: ShutdownTrigger,
    run: JoinHandle<()>,
}

impl Shell {
    fn start(plans: &[(&str, &[Plan])]) -> Self {
        let (client, _) = FakeApi::new();
        let clock = Arc::new(FakeClock::starting_at(Timestamp::UNIX_EPOCH));
        let drivers = Drivers::fake(Arc::new(World::default()));
        let context = context(client.clone(), client, clock, drivers);
        let connections = Arc::new(Cache::new(Arc::clone(&context.metrics)));
        let (others, receiver) = mpsc::unbounded_channel();
        let (sender, did) = mpsc::unbounded_channel();
        let plans = plans.iter();
        let plans = plans.map(|(name, plans)| ((*name).to_owned(), plans.to_vec()));
        let reconciler = Obedient {
            connections: Arc::clone(&connections),
            others: Mutex::new(Some(receiver)),
            plans: Arc::new(Mutex::new(plans.collect())),
            did: sender,
        };
        let (trigger, shutdown) = Shutdown::channel();
        let shared = context.clone();
        let run = tokio::spawn(async move { run(reconciler, &shared, &shutdown).await });
        Self {
            connections,
            others,
            did,
            context,
            trigger,
            run,
        }
    }

    /// Returns the next step of the controller, with its instant.
    async fn next(&mut self) -> (Instant, Did) {
        let next = timeout(Duration::from_mins(10), self.did.recv()).await;
        next.expect("the controller does something")
            .expect("it runs")
    }

    /// Waits until the controller begins a pass over this key. Returns the instant.
    async fn begins(&mut self, name: &str) -> Instant {
        let (at, did) = self.next().await;
        assert_eq!(did, Did::Began(name.to_owned()));
        at
    }

    async fn ends(&mut self, name: &str) {
        assert_eq!(self.next().await.1, Did::Ended(name.to_owned()));
    }

    async fn stopped(self) {
        self.trigger.trigger();
        let ended = timeout(Duration::from_mins(1), self.run).await;
        ended.expect("an end in time").expect("no panic");
    }
}

/// Returns a Connection of this name and version.
fn connection(name: &str, version: u64) -> Connection {
    let mut connection = example::hq_ipp();
    connection.metadata.name = Some(name.to_owned());
    connection.metadata.uid = Some(format!("uid of {name}"));
    connection.metadata.resource_version = Some(version.to_string());
    connection
}

/// Log lines of this thread, until the guard is dropped.
fn logged() -> (Arc<Mutex<Vec<u8>>>, Listening) {
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.extend_from_slice(line);
            Ok(line.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&lines);
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || Lines(Arc::clone(&writer)))
        .finish();
    (lines, Listening::with(subscriber))
}

#[tokio::test(start_paused = true)]
async fn a_change_wakes_its_key_whether_it_is_of_an_object_or_of_something_else() {
    let mut shell = Shell::start(&[]);
    shell.connections.put_written(connection("one", 1));
    shell.begins("one").await;
    shell.ends("one").await;
    shell.connections.put_written(connection("two", 2));
    shell.begins("two").await;
    shell.ends("two").await;
    shell.others.send("one".to_owned()).unwrap();
    shell.begins("one").await;
    shell.ends("one").await;
    shell.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_there_before_the_controller_wakes_its_key() {
    let mut shell = Shell::start(&[]);
    // The shell has not had its first turn yet.
    shell.connections.put_written(connection("one", 1));
    shell.begins("one").await;
    shell.ends("one").await;
    shell.stopped().await;
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_pass_that_fails_is_logged_and_tried_again_after_longer_and_longer() {
    let (lines, _guard) = logged();
    let mut shell = Shell::start(&[("one", &[Plan::Fail, Plan::Fail, Plan::Fail])]);
    shell.connections.put_written(connection("one", 1));
    let mut begun = Vec::new();
    for _ in 0..4 {
        begun.push(shell.begins("one").await);
    }
    shell.ends("one").await;
    let pauses: Vec<Duration> = begun.windows(2).map(|two| two[1] - two[0]).collect();
    for (pause, whole) in pauses.iter().zip([1, 2, 4].map(Duration::from_secs)) {
        assert!(whole / 2 <= *pause && *pause <= whole, "{pauses:?}");
    }
    let lines = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
    let failed = lines
        .lines()
        .filter(|line| line.contains("reconcile failed"));
    let in_passes: Vec<bool> = failed
        .map(|line| line.contains("pass{controller=\"obedient\" key=one kind=\"Connection\""))
        .collect();
    assert_eq!(in_passes, [true; 3], "{lines}");
    assert!(
        lines.contains("Connection one was changed in between"),
        "{lines}"
    );
    shell.stopped().await;
}

// shows K7
#[tokio::test(start_paused = true)]
async fn a_pass_that_panics_is_reported_counted_and_tried_again_and_ends_no_other() {
    let released = Arc::new(Notify::new());
    let other = Plan::Wait(Arc::clone(&released));
    let mut shell = Shell::start(&[("bad", &[Plan::Panic]), ("good", &[other])]);
    shell.connections.put_written(connection("good", 1));
    shell.begins("good").await;
    shell.connections.put_written(connection("bad", 2));
    let panicked = shell.begins("bad").await;
    assert_eq!(shell.next().await.1, Did::Reported("bad".to_owned()));
    released.notify_one();
    shell.ends("good").await;
    let again = shell.begins("bad").await;
    assert!(again - panicked >= Duration::from_millis(500), "no backoff");
    shell.ends("bad").await;
    let metrics = shell.context.metrics.encode();
    let counted = metrics.lines().find(|line| line.contains("panicked"));
    assert!(
        counted.is_some_and(|line| line.ends_with(" 1")),
        "{metrics}"
    );
    shell.stopped().await;
}

// shows K7
#[tokio::test(start_paused = true)]
async fn a_pass_that_does_not_end_is_ended_reported_counted_and_tried_again() {
    let never = Plan::Wait(Arc::default());
    let mut shell = Shell::start(&[("one", &[never])]);
    shell.connections.put_written(connection("one", 1));
    let began = shell.begins("one").await;
    let (ended, did) = shell.next().await;
    assert_eq!(did, Did::TimedOut("one".to_owned()));
    assert!(ended - began >= Obedient::PASS_LIMIT);
    shell.begins("one").await;
    shell.ends("one").await;
    let metrics = shell.context.metrics.encode();
    let counted = metrics.lines().find(|line| line.contains("timed_out"));
    assert!(
        counted.is_some_and(|line| line.ends_with(" 1")),
        "{metrics}"
    );
    shell.stopped().await;
}

// shows K7
#[tokio::test(start_paused = true)]
async fn a_key_whose_passes_panic_runs_at_its_next_instant_all_the_same() {
    let plans = vec![Plan::Panic; 40];
    let mut shell = Shell::start(&[("dated", &plans)]);
    shell.connections.put_written(connection("dated", 1));
    let first = shell.begins("dated").await;
    loop {
        assert_eq!(shell.next().await.1, Did::Reported("dated".to_owned()));
        let after = shell.begins("dated").await - first;
        if after >= Duration::from_secs(45) {
            assert!(after <= Duration::from_secs(46), "{after:?}");
            break;
        }
    }
    shell.stopped().await;
}

// shows K7
#[tokio::test(start_paused = true)]
async fn a_trigger_that_panics_over_one_change_still_takes_the_next() {
    let mut shell = Shell::start(&[]);
    shell.others.send("panic".to_owned()).unwrap();
    shell.others.send("one".to_owned()).unwrap();
    shell.begins("one").await;
    shell.ends("one").await;
    shell.stopped().await;
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_the_passes_under_way_and_begins_no_other() {
    let released = Arc::new(Notify::new());
    let mut shell = Shell::start(&[("one", &[Plan::Wait(Arc::clone(&released))])]);
    shell.connections.put_written(connection("one", 1));
    shell.begins("one").await;
    shell.trigger.trigger();
    shell.connections.put_written(connection("two", 2));
    let still_running = timeout(Duration::from_mins(1), &mut shell.run).await;
    still_running.expect_err("a pass is under way");
    released.notify_one();
    shell.ends("one").await;
    let ended = timeout(Duration::from_mins(1), &mut shell.run).await;
    ended.expect("an end in time").expect("no panic");
    assert_eq!(shell.did.try_recv().ok(), None);
}
