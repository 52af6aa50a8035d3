//! Processor time and memory of a process, from Linux' `/proc`.

use super::BenchError;

/// Ticks of `/proc/PID/stat` in a second: `USER_HZ`, which Linux fixes at 100 for programs.
const TICKS: f64 = 100.0;

/// What a process used since it began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Processor time in seconds, own and of the kernel.
    pub(super) processor_seconds: f64,
    /// The most resident memory so far (`VmHWM`), in MiB.
    pub(super) peak_mebibytes: f64,
    /// The resident memory now (`VmRSS`), in MiB.
    pub(super) resident_mebibytes: f64,
}

/// What the process used so far.
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
        peak_mebibytes: kibibytes(&status, "VmHWM:") / 1024.0,
        resident_mebibytes: kibibytes(&status, "VmRSS:") / 1024.0,
    })
}

/// User and system time: fields 14 and 15; the name before them may hold blanks.
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
    fn this_process_has_used_memory_and_a_name_with_blanks_does_not_shift_fields() {
        let usage = of(std::process::id()).unwrap();
        assert!(usage.peak_mebibytes > 1.0, "{usage:?}");
        assert!(usage.resident_mebibytes > 1.0, "{usage:?}");
        let stat = "7 (a ) b) S 1 1 1 0 -1 4194560 10 0 0 0 120 30 0 0 20 0";
        assert!((ticks(stat) - 150.0).abs() < f64::EPSILON);
    }
}
