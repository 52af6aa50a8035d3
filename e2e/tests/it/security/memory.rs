//! The memory of the operator while a thousand devices send long answers that do not end.
//!
//! The operator runs in a cgroup with the memory that the chart gives it, where one can be made; in
//! every case the most that it ever had resident (`VmHWM`) is held against it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use entente_crds::v1alpha1::{Connection, Limit, Limits};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::{TestNamespace, now};
use entente_e2e::operator::OperatorOptions;
use entente_simulators::{FaultKind, IppFleet};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::ALLOWED;
use crate::delivery_fixture::subscription_is;

const MIB: u64 = 1024 * 1024;
/// The limit of the chart (`resources.limits.memory`).
const MEMORY: u64 = 512 * MIB;
/// Devices that stall, as many as an entry of a contract may name with the one that does not.
const STALLING: usize = 999;
/// Time for two requests to each of them.
const WITHIN: Duration = Duration::from_mins(2);
/// Objects that are applied at once.
const AT_ONCE: usize = 32;

/// A cgroup of a test, with a limit of its memory. Removed when it is dropped, if it is empty then.
struct MemoryLimit {
    directory: PathBuf,
}

impl MemoryLimit {
    /// Moves a process into a cgroup of its own that lets it have so many bytes together with those
    /// that it has already.
    fn of(process: u32, bytes: u64) -> io::Result<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let (root, file) = if root.join("memory").is_dir() {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            (root.to_owned(), "memory.max")
        };
        let directory = root.join(format!("entente-e2e-{process}"));
        fs::create_dir(&directory)?;
        let limit = Self { directory };
        // What it has stays with the group that it leaves.
        let has = status(process, "VmRSS:")?;
        let rest = bytes.saturating_sub(has).to_string();
        fs::write(limit.directory.join(file), rest)?;
        fs::write(limit.directory.join("cgroup.procs"), process.to_string())?;
        Ok(limit)
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.directory);
    }
}

/// Returns a number of `/proc/PID/status` in bytes.
fn status(process: u32, name: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    let kibibytes = number.ok_or_else(|| io::Error::other(format!("{name} is missing")))?;
    Ok(kibibytes * 1024)
}

/// Returns a Connection without limits of requests, so that all devices are asked at once.
fn unlimited(mut connection: Connection) -> Connection {
    let most = Limit {
        in_flight: 4096,
        per_second: 100_000,
    };
    connection.spec.limits = Some(Limits {
        total: Some(most),
        ..Limits::default()
    });
    connection
}

/// Lets all devices of a customer but one send so many bytes and stall, until each was asked twice;
/// the one is set up meanwhile. Returns the fleet.
async fn stalled(namespace: &TestNamespace<'_>, bytes: usize) -> IppFleet {
    let fleet = namespace.fleet(STALLING + 1).await.unwrap();
    for device in &fleet.devices()[1..] {
        device.set_fault(FaultKind::Stall { bytes }).await.unwrap();
    }
    let connection = unlimited(namespace.device_connection(fleet.port()));
    namespace.apply(&connection).await.unwrap();
    namespace.apply(&namespace.model()).await.unwrap();
    namespace.apply(&namespace.parts()).await.unwrap();
    let devices: Vec<_> = fleet
        .devices()
        .iter()
        .map(|it| namespace.device(it))
        .collect();
    let applied = stream::iter(&devices).map(|device| namespace.apply(device));
    let applied = applied.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>();
    applied.await.unwrap();

    let names: Vec<&str> = fleet.devices().iter().map(|it| it.name()).collect();
    let entry = namespace.entry("parts", "parts-life", &names, ALLOWED);
    let contract = namespace.contract("stalled", now(), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    let asked = namespace
        .ledger()
        .wait_for(WITHIN, |entries| entries.len() > 2 * STALLING);
    asked.await.unwrap();
    // A namespace has its devices asked in turn, so that each waits for those before it.
    subscription_is(namespace, ["stalled", "parts", names[0]], "Delivered").await;
    fleet
}

// shows K4
#[tokio::test]
async fn a_thousand_devices_that_send_a_mebibyte_and_stall_fit_into_the_memory_of_the_chart() {
    let environment = TestEnvironment::start(OperatorOptions::default()).await;
    let environment = environment.unwrap();
    let process = environment.operator.process_id().unwrap();
    let limit = MemoryLimit::of(process, MEMORY);
    match &limit {
        Ok(limit) => println!("held by the cgroup {}", limit.directory.display()),
        Err(error) => println!("no cgroup can be made ({error}): VmHWM alone is judged"),
    }
    // Longer than an answer may be, and just short enough to be waited for.
    for (title, bytes) in [("mebibyte", 1024 * 1024), ("just", 255 * 1024)] {
        let view = environment.operator.view();
        let name = environment.plane.create_namespace(title).await.unwrap();
        let namespace = TestNamespace::with_name(&environment.plane, view, name).await;
        let fleet = stalled(&namespace.unwrap(), bytes).await;
        let (most, heap) = (status(process, "VmHWM:"), status(process, "RssAnon:"));
        let (most, heap) = (most.unwrap() / MIB, heap.unwrap() / MIB);
        println!("{bytes} bytes each: VmHWM {most} MiB, RssAnon {heap} MiB");
        assert!(most * MIB <= MEMORY, "{most} MiB");
        fleet.clear_faults().await.unwrap();
    }
    let alive = environment.operator.view().get("/livez").await;
    assert!(
        alive.is_ok() && environment.operator.process_id() == Some(process),
        "{alive:?}"
    );
    drop(environment);
    drop(limit);
}
