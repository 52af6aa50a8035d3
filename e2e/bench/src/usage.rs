//! Processor time and memory of a process, from Linux' `/proc`.

use super::BenchError;

/// Ticks of `/proc/PID/stat` in a second: `USER_HZ`, which Linux fixes at 100 for programs.
const TICKS: f64 = 100.0;

/// Resources that a process has used since it began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Processor time in seconds, own and of the kernel.
    pub(super) processor_seconds: f64,
    /// The most resident memory so far (`VmHWM`).
    pub(super) peak_bytes: f64,
    /// The resident memory now (`VmRSS`): the program's own file included.
    pub(super) resident_bytes: f64,
    /// The part of it that is no file (`RssAnon`): heap and stacks.
    pub(super) anonymous_bytes: f64,
}

/// Bytes as megabytes.
pub(super) fn megabytes(bytes: f64) -> f64 {
    bytes / 1e6
}

/// Returns the usage of the process so far.
pub(super) fn of(process: u32) -> Result<Usage, BenchError> {
    let read = |file: &str| {
        let path = format!("/proc/{process}/{file}");
        std::fs::read_to_string(&path).map_err(|source| BenchError::System {
            what: format!("cannot read {path}"),
            source,
        })
    };
    let (stat, status) = (read("stat")?, read("status")?);
    Ok(Usage {
        processor_seconds: ticks(&stat) / TICKS,
        peak_bytes: kibibytes(&status, "VmHWM:") * 1024.0,
        resident_bytes: kibibytes(&status, "VmRSS:") * 1024.0,
        anonymous_bytes: kibibytes(&status, "RssAnon:") * 1024.0,
    })
}

/// Returns the processor time in seconds of a process and of its children that run.
pub(super) fn processor_seconds_of_all(process: u32) -> Result<f64, BenchError> {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(&path).map_err(|source| BenchError::System {
        what: format!("cannot read {path}"),
        source,
    })?;
    let children = children.split_whitespace();
    let children = children.filter_map(|child| child.parse().ok());
    let all = std::iter::once(process).chain(children);
    all.map(|process| Ok(of(process)?.processor_seconds)).sum()
}

/// Returns the number of files that a process has open, connections included.
pub(super) fn open_files(process: u32) -> Result<usize, BenchError> {
    let path = format!("/proc/{process}/fd");
    let files = std::fs::read_dir(&path).map_err(|source| BenchError::System {
        what: format!("cannot read {path}"),
        source,
    })?;
    Ok(files.count())
}

/// Returns user and system time: fields 14 and 15; the name before them may contain blanks.
fn ticks(stat: &str) -> f64 {
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum()
}

fn kibibytes(status: &str, name: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_time_of_a_child_is_counted_with_that_of_its_parent() {
        let script = "while :; do :; done & wait";
        let parent = std::process::Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "sh", "-c", script])
            .spawn();
        let mut parent = parent.unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        let is_counted = loop {
            let all = processor_seconds_of_all(parent.id()).unwrap();
            let own = of(parent.id()).unwrap().processor_seconds;
            if all > own + 0.05 || std::time::Instant::now() > deadline {
                break all > own;
            }
            std::thread::yield_now();
        };
        let path = format!("/proc/{0}/task/{0}/children", parent.id());
        for child in std::fs::read_to_string(path).unwrap().split_whitespace() {
            let ended = std::process::Command::new("kill").arg(child).status();
            assert!(ended.unwrap().success());
        }
        parent.wait().unwrap();
        assert!(is_counted);
    }

    #[test]
    fn this_process_has_used_memory_and_a_name_with_blanks_does_not_shift_fields() {
        let usage = of(std::process::id()).unwrap();
        assert!(usage.peak_bytes > 1e6, "{usage:?}");
        assert!(usage.resident_bytes > 1e6, "{usage:?}");
        let heap = usage.anonymous_bytes;
        assert!(heap > 0.0 && heap < usage.resident_bytes, "{usage:?}");
        assert!(open_files(std::process::id()).unwrap() > 2);
        let stat = "7 (a ) b) S 1 1 1 0 -1 4194560 10 0 0 0 120 30 0 0 20 0";
        assert!((ticks(stat) - 150.0).abs() < f64::EPSILON);
    }
}
