//! Segments: the stages of a contract as they are for one device.
//!
//! Decides what each device gets from each entry, stage by stage, where its service ends, and what
//! the next amendments change. Called by `resolve`.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::v1alpha1::UpcomingChange;
use jiff::Timestamp;

use super::parsed::{Entries, ReadEntry};
use super::revisions::Segment;
use super::timeline::Stage;

/// The segments of each entry on each device, in order.
pub(super) type SegmentsByDevice<'a> = BTreeMap<(&'a str, &'a str), Vec<Segment<'a>>>;

/// Returns the segments of all devices; `end` is that of the term. An entry whose SmartService is
/// not at hand in the stage in force or a later one has none: its subscriptions stay as they are. One
/// that only a stage before needed makes no difference any more.
pub(super) fn segments<'a>(
    stages: &[Stage<'a>],
    read: &'a [Entries<'a>],
    current: usize,
    end: Option<Timestamp>,
) -> SegmentsByDevice<'a> {
    let mut segments = SegmentsByDevice::new();
    let mut without_service: BTreeSet<&str> = BTreeSet::new();
    for (number, (stage, entries)) in stages.iter().zip(read).enumerate() {
        let before = number.checked_sub(1).map(|before| &read[before]);
        for ReadEntry {
            entry,
            devices,
            terms,
        } in &entries.all
        {
            let Some(terms) = terms else {
                if number >= current {
                    without_service.insert(&entry.name);
                }
                continue;
            };
            let goes_on = before.is_some_and(|before| before.has_same_terms(entry));
            for (device, named) in devices {
                let of_device: &mut Vec<Segment<'_>> =
                    segments.entry((&*entry.name, &**device)).or_default();
                let last = of_device.last_mut();
                if let Some(last) = last.filter(|last| goes_on && last.last_stage + 1 == number) {
                    last.last_stage = number;
                    continue;
                }
                of_device.push(Segment {
                    from: stage.from,
                    amended: stage.amended,
                    until: end,
                    terms,
                    devices: devices.len(),
                    named: *named,
                    first_stage: number,
                    last_stage: number,
                });
            }
        }
    }
    segments.retain(|(entry, _), _| !without_service.contains(entry));
    for segments in segments.values_mut() {
        close(segments, stages, end);
    }
    segments
}

/// Writes the end of the service into each segment: that of the last one which follows without a gap.
fn close(segments: &mut [Segment<'_>], stages: &[Stage<'_>], end: Option<Timestamp>) {
    let mut following: Option<(usize, Option<Timestamp>)> = None;
    for segment in segments.iter_mut().rev() {
        let next = segment.last_stage + 1;
        let until = match following {
            Some((stage, until)) if stage == next => until,
            _ => stages.get(next).map(|stage| stage.from).or(end),
        };
        segment.until = until;
        following = Some((segment.first_stage, until));
    }
}

/// Returns the changes by amendments that lie ahead, the nearest first, each with the number of its stage.
/// What another contract has taken over before changes no more.
pub(super) fn upcoming(
    stages: &[Stage<'_>],
    segments: &SegmentsByDevice<'_>,
    taken_over: &BTreeMap<(&str, &str), Timestamp>,
    now: Timestamp,
) -> Vec<(usize, UpcomingChange)> {
    let ahead = stages
        .iter()
        .enumerate()
        .filter(|(_, stage)| stage.from > now);
    let changes = ahead.filter_map(|(number, stage)| {
        let amendment = stage.amended?.name;
        let mut change = UpcomingChange {
            amendment: amendment.into(),
            effective: stage.from,
            ..UpcomingChange::default()
        };
        for (of @ (_, device), segments) in segments {
            if taken_over.get(of).is_some_and(|at| *at <= stage.from) {
                continue;
            }
            let of = |number| segments.iter().find(|segment| segment.is_in_stage(number));
            match (of(number - 1), of(number)) {
                (None, Some(_)) => change.adds += 1,
                (Some(_), None) => change.removes += 1,
                (Some(before), Some(after)) if after.differs_from(before, device) => {
                    change.changes += 1;
                }
                _ => {}
            }
        }
        Some((number, change))
    });
    changes.collect()
}
