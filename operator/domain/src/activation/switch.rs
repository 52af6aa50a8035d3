//! The local switch of each service on a device: the newest word counts (C15).
//!
//! A word of the device has the instant at which the gateway heard it; a change of
//! `spec.disabledServices` has none, and is dated when it is seen. Which of the two is newer is
//! therefore told by what was known before, and not by comparing two clocks.

use entente_crds::v1alpha1::{ConsentWay, LocalEnablement};
use jiff::Timestamp;

/// The most services of a device whose switch is kept.
const MOST: usize = 64;

/// Last word of a device on one of its services.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Said<'a> {
    /// Name of the SmartService.
    pub service: &'a str,
    /// True if its switch is on.
    pub enabled: bool,
    /// The way by which it was switched.
    pub by: ConsentWay,
    /// The instant at which the gateway heard it.
    pub at: Timestamp,
}

/// Returns the switches of a device after what it said and what its spec says now, ordered by service.
/// If both changed since the last look, the spec counts: it is the word of somebody who could not see
/// the device.
pub fn switched(
    before: &[LocalEnablement],
    said: &[Said<'_>],
    disabled: &[String],
    now: Timestamp,
) -> Vec<LocalEnablement> {
    let known = before.iter().map(|it| it.service.as_str());
    let heard = said.iter().map(|it| it.service);
    let listed = disabled.iter().map(String::as_str);
    let mut services: Vec<&str> = known.chain(heard).chain(listed).collect();
    services.sort_unstable();
    services.dedup();
    services.truncate(MOST);
    services
        .into_iter()
        .filter_map(|service| {
            let before = before.iter().find(|it| it.service == service);
            let said = said.iter().filter(|it| it.service == service);
            let listed = disabled.iter().any(|it| it == service);
            one(service, before, said.max_by_key(|it| it.at), listed, now)
        })
        .collect()
}

fn one(
    service: &str,
    before: Option<&LocalEnablement>,
    said: Option<&Said<'_>>,
    listed: bool,
    now: Timestamp,
) -> Option<LocalEnablement> {
    let was_listed = before.is_some_and(|it| it.listed);
    let heard = said.map(|said| said.at);
    let is_new = heard.is_some() && heard != before.and_then(|it| it.heard);
    let new = said.filter(|_| is_new);
    let (enabled, by, at) = if listed != was_listed {
        (!listed, ConsentWay::Command, now)
    } else if let Some(said) = new {
        (said.enabled, said.by, said.at)
    } else {
        let before = before?;
        (before.enabled, before.by, before.at)
    };
    Some(LocalEnablement {
        service: service.to_owned(),
        enabled,
        by,
        at,
        heard: heard.or_else(|| before.and_then(|it| it.heard)),
        listed,
    })
}
