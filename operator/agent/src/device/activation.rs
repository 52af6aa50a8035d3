//! The words of the device on its services: told to the gateway, and kept as told.
//!
//! `activation` decides which words there are and what an answer means, `abilities` what the device
//! cannot do.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use reqwest::Method;

use super::{Device, Early, SERVICES};
use crate::{
    abilities::Abilities,
    activation::{self, Due, Outcome},
    answer,
    api::By,
    http::{Request, Token},
    services::Kept,
    store::StoreError,
};

/// Longest time for which the gateway is to wait for the answer of the provider.
const LONGEST: Duration = Duration::from_secs(10);

/// Last use of the switch of each service.
pub(super) type Switches = BTreeMap<String, Timestamp>;

impl Device {
    /// Sends the gateway every word that it has to hear. Returns the time after which to ask again, while
    /// an answer is pending.
    pub(super) async fn tell(&mut self) -> Result<Option<Duration>, Early> {
        let mut gone = self.tell_but(&[]).await?;
        if !gone.is_empty() {
            // The list is an old one: once more with the newest, but for what is not in that either.
            self.state.services_etag = None;
            self.poll_services().await?;
            let still = self.tell_but(&gone).await?;
            gone.extend(still);
            for id in gone {
                self.say(&format!("the gateway knows no service {id}"));
            }
        }
        let list = self.state.services_etag.as_deref();
        Ok(activation::wait(&self.kept()?, list, self.unchanged))
    }

    /// Sends every word that is due, but for some application ids. Returns those that the gateway does not
    /// know.
    async fn tell_but(&mut self, gone: &[String]) -> Result<Vec<String>, Early> {
        let kept = self.kept()?;
        self.seen_switches = used(&kept);
        let list = self.state.services_etag.clone();
        let consent = self.state.consent.as_ref();
        let way = consent.map_or(By::Command, |consent| consent.by);
        let abilities = self.abilities();
        let due = kept.iter().filter_map(|service| {
            let lacks = abilities.lacks(&service.requires);
            activation::due(service, &lacks, list.as_deref(), way)
        });
        let due: Vec<Due> = due
            .filter(|due| !gone.contains(&due.application_id))
            .collect();
        let mut unknown = Vec::new();
        for due in due {
            match self.put(&due).await? {
                Outcome::Gone => unknown.push(due.application_id),
                outcome @ Outcome::Heard { .. } => self.heard(&due, list.as_deref(), &outcome)?,
            }
        }
        Ok(unknown)
    }

    /// Sends one word.
    async fn put(&mut self, due: &Due) -> Result<Outcome, Early> {
        let services = self.link(|links| &links.services);
        let link = format!("{services}/{}/activation", due.application_id);
        let body = serde_json::to_value(&due.word).expect("data");
        let wait = self.options.wait.min(LONGEST);
        let mut request = Request::json(Method::PUT, &link, Token::None, &body)
            .with("Prefer", Some(format!("wait={}", wait.as_secs())));
        request.held = wait;
        match self.ask(request).await {
            Ok(answer) => Ok(activation::heard(answer::body(&answer)?)),
            Err(Early::Failure(failure)) => match activation::refused(&failure) {
                Some(outcome) => Ok(outcome),
                None => Err(failure.into()),
            },
            Err(early) => Err(early),
        }
    }

    /// Keeps that a word was heard.
    fn heard(
        &mut self,
        due: &Due,
        list: Option<&str>,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        self.unchanged = 0;
        self.change_services(|kept| activation::record(kept, due, list, outcome))?;
        if let Outcome::Heard { answer, .. } = outcome {
            let word = match (due.word.supported, due.word.active) {
                (false, _) => "not possible here",
                (true, true) => "on",
                (true, false) => "off",
            };
            self.say(&format!("{} is {word}; answer: {answer}", due.service_id));
        }
        Ok(())
    }

    /// Begins with the services of a new registration.
    pub(super) fn begin_services(&self) -> Result<(), StoreError> {
        self.change_services(activation::begin)
    }

    pub(super) fn change_services(
        &self,
        change: impl FnOnce(&mut [Kept]),
    ) -> Result<(), StoreError> {
        let store = &self.store;
        store.locked(|| {
            let before: Vec<Kept> = store.read(SERVICES)?.unwrap_or_default();
            let mut kept = before.clone();
            change(&mut kept);
            if kept != before {
                store.write(SERVICES, &kept)?;
            }
            Ok(())
        })
    }

    fn kept(&self) -> Result<Vec<Kept>, StoreError> {
        Ok(self.store.read(SERVICES)?.unwrap_or_default())
    }

    /// Abilities of the device.
    pub(super) fn abilities(&self) -> Abilities<'_> {
        let device = &self.options.description;
        Abilities {
            data_types: device.data_types.as_deref(),
            supplies: device.supplies.as_deref(),
            installs: device.ddi,
            running: &self.installed.running,
        }
    }

    /// True if somebody used a switch since the gateway was told last, so that it is told at once. What
    /// could not be told then waits for the next poll.
    pub(super) fn is_switched(&self) -> bool {
        let Ok(kept) = self.kept() else {
            // A command is told of the fault.
            return false;
        };
        let untold = kept
            .iter()
            .filter(|service| activation::is_switched(service));
        let mut new = untold.filter(|it| self.seen_switches.get(&it.service_id) != it.at.as_ref());
        self.state.registration.is_some() && new.next().is_some()
    }
}

/// Returns the last use of each switch.
fn used(kept: &[Kept]) -> Switches {
    let used = kept
        .iter()
        .filter_map(|service| Some((service.service_id.clone(), service.at?)));
    used.collect()
}
