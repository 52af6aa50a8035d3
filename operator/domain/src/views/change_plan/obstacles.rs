//! Obstacles to the subscriptions of a contract, in sentences: the same one on many devices is one.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::condition::Reason;
use jiff::Timestamp;

use super::super::moment::Moment;
use crate::delivery::Obstacle;
use crate::listing::some_of;

/// The most devices that a sentence names.
const NAMES: usize = 3;

/// Returns a sentence about each reason and date, with the devices and the first message.
pub(super) fn obstacles(
    obstacles: &[Obstacle],
    moment: &dyn Fn(Timestamp) -> Moment,
) -> Vec<String> {
    let mut joined: BTreeMap<(Option<Timestamp>, Reason), Vec<&Obstacle>> = BTreeMap::new();
    for it in obstacles {
        joined.entry((it.from, it.reason)).or_default().push(it);
    }
    let sentence = |((from, reason), all): ((Option<Timestamp>, Reason), Vec<&Obstacle>)| {
        let devices = all.iter().map(|it| it.device.as_str()).collect();
        let from = from.map_or_else(String::new, |at| format!(" from {}", moment(at).in_full()));
        let message = &all.first()?.message;
        let on = on_devices(&devices);
        Some(format!("{}{from} {on}: {message}", reason.as_str()))
    };
    joined.into_iter().filter_map(sentence).collect()
}

/// Returns a sentence about each thing that is sent anew; `all` has device and words.
pub(super) fn anew(all: &[(String, String)]) -> Vec<String> {
    let mut joined: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (device, words) in all {
        joined.entry(words).or_default().insert(device);
    }
    let joined = joined.into_iter();
    joined
        .map(|(words, devices)| format!("{} {words}", on_devices(&devices)))
        .collect()
}

fn on_devices(devices: &BTreeSet<&str>) -> String {
    let names = some_of(devices, NAMES);
    match devices.len() {
        1 => format!("on {names}"),
        count => format!("on {count} devices ({names})"),
    }
}
