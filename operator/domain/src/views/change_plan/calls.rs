//! Requests to the devices of a contract that call, in words: the same ones to several devices are one
//! entry.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::super::moment::Moment;
use crate::delivery::Ask;

/// The requests to devices that call, if they do at once what they are asked for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PlannedCalls {
    /// Names of the devices, sorted.
    pub devices: Vec<String>,
    /// The requests in their order, one line each.
    pub requests: Vec<String>,
}

/// Returns the requests of each device; devices with the same ones are together.
pub(super) fn calls(asks: &[Ask], moment: &dyn Fn(Timestamp) -> Moment) -> Vec<PlannedCalls> {
    let mut by_device: BTreeMap<&str, Vec<&Ask>> = BTreeMap::new();
    for ask in asks {
        let all = by_device.entry(&ask.device).or_default();
        // Several services may need one thing.
        let is_same = |it: &&Ask| (&it.words, it.holds_until) == (&ask.words, ask.holds_until);
        if !all.iter().any(is_same) {
            all.push(ask);
        }
    }
    let mut joined: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for (device, asks) in by_device {
        let requests = in_words(&asks, moment);
        joined.entry(requests).or_default().push(device.to_owned());
    }
    let joined = joined.into_iter();
    joined
        .map(|(requests, devices)| PlannedCalls { devices, requests })
        .collect()
}

fn in_words(asks: &[&Ask], moment: &dyn Fn(Timestamp) -> Moment) -> Vec<String> {
    let mut lines = Vec::new();
    let mut before = None;
    for ask in asks {
        let when = match ask.from {
            from if before == Some(from) => "then".to_owned(),
            None => "with its next call".to_owned(),
            Some(at) => format!("from {}", moment(at).in_full()),
        };
        before = Some(ask.from);
        let held = ask.holds_until.map_or_else(String::new, |at| {
            format!(", to hold until {}", moment(at).in_full())
        });
        lines.push(format!("{when}{held}: {}", ask.words));
    }
    lines
}
