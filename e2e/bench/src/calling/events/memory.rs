//! Memory of the gateway for each device that sends: at rest, with all of them connected, and what is kept
//! of the events that it forwarded.
//!
//! The gateway is started again before, so that its memory at rest is that of its caches. Called by this
//! bench.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::super::fleet::{AT_ONCE, Fleet};
use super::super::line::{Line, Server};
use super::super::problem;
use super::Inbox;
use super::batch::{Sender, require_taken};
use crate::figure::{Figure, count};
use crate::usage::{self, Usage, megabytes};
use crate::{BenchError, operator_failed, within};

/// Events of each batch.
const EVENTS: usize = 16;
/// Number of this run in the ids of events.
const RUN: usize = 0;
/// Files that the gateway may have open besides those of devices, more than at rest: connections to the
/// inbox, which stay open for a while.
const OTHERS: usize = 512;
/// Longest wait until the gateway has closed the connections of devices that are gone.
const CLOSED_WITHIN: Duration = Duration::from_mins(2);

/// Memory at the four moments.
struct Seen {
    without_devices: Usage,
    at_rest: Usage,
    connected: Usage,
    after: Usage,
}

/// Returns the figures, and the number of events that were sent.
pub(super) async fn measure(
    fleet: &mut Fleet<'_>,
    inbox: &Inbox,
) -> Result<(Vec<Figure>, usize), BenchError> {
    let restarted = fleet.gateway.restart().await;
    restarted.map_err(operator_failed)?;
    fleet.until_quiet().await?;
    let process = fleet.process_id();
    let files = usage::open_files(process)?;
    let at_rest = usage::of(process)?;
    let taken = inbox.taken().await?;
    let devices = fleet.devices.iter().enumerate();
    let senders = devices.map(|(number, device)| Sender::new(device, &fleet.server, (number, RUN)));
    let senders: Vec<Sender> = senders.collect::<Result<_, _>>()?;
    let lines = send(&fleet.server, senders);
    let lines = tokio::time::timeout(within(fleet.devices.len()), lines).await;
    let lines = lines.map_err(problem)??;
    let connected = usage::of(process)?;
    inbox.require(taken, lines.len()).await?;
    let sent = lines.len() * EVENTS;
    drop(lines);
    let are_closed = async || {
        let open = usage::open_files(process).ok()?;
        (open <= files + OTHERS).then_some(())
    };
    let what = "the gateway closes the connections of devices that are gone";
    let closed = entente_e2e::wait::wait_for(what, CLOSED_WITHIN, are_closed).await;
    closed.map_err(problem)?;
    let seen = Seen {
        without_devices: fleet.without_devices,
        at_rest,
        connected,
        after: usage::of(process)?,
    };
    Ok((figures(fleet.devices.len(), &seen), sent))
}

/// Lets each send one batch over a connection of its own; all stay open.
async fn send(server: &Server, senders: Vec<Sender>) -> Result<Vec<Line>, BenchError> {
    stream::iter(senders)
        .map(|mut sender| async move {
            let mut line = server.connect().await?;
            let answer = line.send(sender.request(EVENTS)).await.map_err(problem)?;
            require_taken(&answer, EVENTS)?;
            Ok(line)
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

fn figures(devices: usize, seen: &Seen) -> Vec<Figure> {
    let figure = |what: &str, from: Usage, to: Usage, detail: String| {
        let grown = (to.anonymous_bytes - from.anonymous_bytes) / count(devices.max(1));
        let title = format!("{devices} devices, each with a service that is on: {what}");
        Figure::new(title, grown, "B").detail(detail)
    };
    let megabytes = |usage: Usage| megabytes(usage.resident_bytes);
    vec![
        figure(
            "memory of the gateway for each at rest",
            seen.without_devices,
            seen.at_rest,
            format!(
                "how much RssAnon (heap and stacks) is larger after a new start than without any device; \
                 VmRSS {:.1} and {:.1} MB",
                megabytes(seen.at_rest),
                megabytes(seen.without_devices)
            ),
        ),
        figure(
            "more for each while all send",
            seen.at_rest,
            seen.connected,
            format!(
                "a batch of {EVENTS} from each over a connection of its own, which stays open, {AT_ONCE} \
                 batches at once; VmRSS {:.1} MB",
                megabytes(seen.connected)
            ),
        ),
        figure(
            "more for each when they are gone",
            seen.at_rest,
            seen.after,
            format!(
                "digests of the {EVENTS} events of each, and what the allocator has not given back; \
                 VmRSS {:.1} MB, at most {:.1} MB",
                megabytes(seen.after),
                crate::usage::megabytes(seen.after.peak_bytes)
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_the_growth_of_heap_and_stacks_for_each_device() {
        let usage = |anonymous_bytes| Usage {
            anonymous_bytes,
            resident_bytes: anonymous_bytes + 1e6,
            ..Usage::default()
        };
        let seen = Seen {
            without_devices: usage(10e6),
            at_rest: usage(30e6),
            connected: usage(55e6),
            after: usage(31e6),
        };
        let values: Vec<f64> = figures(1000, &seen).iter().map(|it| it.value).collect();
        assert_eq!(values, [20_000.0, 25_000.0, 1000.0]);
    }
}
