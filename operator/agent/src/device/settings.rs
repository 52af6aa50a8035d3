//! Services, settings, kinds of data and messages: read, kept, applied and reported.
//!
//! `services`, `twin` and `panel` decide what is kept, applied, shown and reported.

use std::time::Duration;

use reqwest::Method;

use super::{DATA_TYPES, Device, Early, PANEL, SERVICES, SETTINGS, TWIN};
use crate::{
    answer::{self, Failure},
    api::{DataType, Message, Services, Twin},
    http::{Request, Token},
    panel::{self, Page, Panel},
    services::{self, Kept},
    twin,
};

/// Time to the next poll where an answer without a body names none.
const OTHERWISE: Duration = Duration::from_hours(1);

impl Device {
    /// Reads the services, and keeps them.
    pub(super) async fn poll_services(&mut self) -> Result<Duration, Early> {
        let link = self.link(|links| &links.services);
        let tag = self.state.services_etag.clone();
        let request = Request::get(&link, Token::None).with("If-None-Match", tag);
        let answer = self.ask(request).await?;
        if answer.status == 304 {
            self.unchanged = self.unchanged.saturating_add(1);
            return Ok(answer.poll_next.unwrap_or(OTHERWISE));
        }
        self.unchanged = 0;
        let list: Services = answer::body(&answer)?;
        let store = &self.store;
        store.locked(|| {
            let kept: Vec<Kept> = store.read(SERVICES)?.unwrap_or_default();
            let now = services::keep(&kept, &list.services);
            if now != kept {
                store.write(SERVICES, &now)?;
            }
            Ok(())
        })?;
        self.state.services_etag = answer.etag;
        self.keep()?;
        Ok(list.poll.next.0)
    }

    /// Reads the twin, applies what is new, and reports what is in effect.
    pub(super) async fn poll_twin(&mut self) -> Result<Duration, Early> {
        // A report that comes too late is made again on the document that is new.
        for _ in 0..3 {
            let next = self.read_twin().await?;
            self.settle()?;
            match self.send_report().await {
                Err(Early::Failure(Failure::MovedOn)) => self.held.etag = None,
                Err(early) => return Err(early),
                Ok(()) => return Ok(next),
            }
        }
        Err(Failure::MovedOn.into())
    }

    async fn read_twin(&mut self) -> Result<Duration, Early> {
        let link = self.link(|links| &links.twin);
        let tag = self.held.etag.clone();
        let request = Request::get(&link, Token::None).with("If-None-Match", tag);
        let answer = self.ask(request).await?;
        if answer.status == 304 {
            return Ok(answer.poll_next.unwrap_or(OTHERWISE));
        }
        let twin: Twin = answer::body(&answer)?;
        self.held.take(&twin, answer.etag);
        self.store.write(TWIN, &self.held)?;
        Ok(twin.poll.next.0)
    }

    /// Applies what is wanted now. Without settings that can be read, nothing is changed.
    pub(super) fn settle(&mut self) -> Result<(), Early> {
        self.settle_data_types()?;
        self.settle_messages()?;
        let before = self.held.clone();
        let Some(file) = self.file() else {
            return Ok(());
        };
        self.held.notice(&file);
        if self.held.is_next_due(self.http.now()) {
            self.held.begin_next();
            self.say("the next revision is in force");
        }
        self.seen.clone_from(&file);
        if self.held.is_to_apply() {
            let settings = self.held.apply(&self.options.faults);
            if settings != file {
                self.store.write(SETTINGS, &settings)?;
                let version = self.held.version.unwrap_or_default();
                self.say(&format!("version {version} is applied"));
            }
            self.seen = settings;
        }
        if self.held != before {
            self.store.write(TWIN, &self.held)?;
        }
        Ok(())
    }

    /// Sends the kinds of data that are wanted and that the device can send, and no others.
    fn settle_data_types(&mut self) -> Result<(), Early> {
        if self.held.version.is_none() {
            // The document of this registration is still to be read.
            return Ok(());
        }
        let sends = twin::to_send(
            &self.held.data_types,
            |name| self.abilities().sends(name),
            &self.options.faults,
        );
        // Nobody but the device writes the file: one that cannot be read is written anew.
        let file = self.store.read::<Vec<DataType>>(DATA_TYPES);
        let file = file.ok().flatten().unwrap_or_default();
        if file != sends {
            self.store.write(DATA_TYPES, &sends)?;
            let names: Vec<&str> = sends.iter().map(|kind| &*kind.name).collect();
            let names = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            self.say(&format!("kinds of data that are sent: {names}"));
        }
        if self.held.sends != sends {
            self.held.sends = sends;
            self.store.write(TWIN, &self.held)?;
        }
        Ok(())
    }

    /// Shows the messages that are wanted, and no others. They stand on the panel before it is told that they
    /// do.
    fn settle_messages(&mut self) -> Result<(), Early> {
        if self.held.version.is_none() {
            // The document of this registration is still to be read.
            return Ok(());
        }
        let panel = self.options.description.panel.unwrap_or(Panel::UNTOLD);
        let ignored = &self.options.faults.ignore;
        let wanted = self.held.messages.iter();
        let wanted: Vec<Message> = wanted
            .filter(|it| !ignored.contains(&it.id))
            .cloned()
            .collect();
        let pages = panel::pages(&wanted, panel);
        // Nobody but the device writes the file: one that cannot be read is written anew.
        let file = self.store.read::<Vec<Page>>(PANEL).ok().flatten();
        if file.unwrap_or_default() != pages {
            self.store.write(PANEL, &pages)?;
            self.say(&format!("messages on the panel: {}", pages.len()));
        }
        let states = panel::states(&wanted, &self.held.shown, panel, self.http.now());
        if self.held.shown != states {
            self.held.shown = states;
            self.store.write(TWIN, &self.held)?;
        }
        Ok(())
    }

    /// Reports what is in effect, if that is news.
    pub(super) async fn send_report(&mut self) -> Result<(), Early> {
        let report = self
            .held
            .report(&self.installed.running, self.installed.restarted);
        let Some(patch) = twin::patch(&self.held.acknowledged, &report) else {
            return Ok(());
        };
        if self.refused_patch.as_ref() == Some(&patch) {
            return Ok(());
        }
        let link = format!("{}/reported", self.link(|links| &links.twin));
        let tag = self.held.etag.clone();
        let request = Request::new(Method::PATCH, &link, Token::None)
            .with_body("application/merge-patch+json", patch.to_string())
            .with("If-Match", tag);
        match self.ask(request).await {
            Ok(_) => {
                self.held.acknowledged = report;
                self.refused_patch = None;
                self.store.write(TWIN, &self.held)?;
                Ok(())
            }
            Err(Early::Failure(failure @ Failure::Refused { .. })) => {
                self.say(&format!("the report is not taken: {failure}"));
                self.refused_patch = Some(patch);
                Ok(())
            }
            Err(early) => Err(early),
        }
    }

    /// One of the device's links.
    pub(super) fn link(&self, which: impl Fn(&crate::api::Links) -> &String) -> String {
        let registration = self.state.registration.as_ref();
        registration.map_or_else(String::new, |one| which(&one.links).clone())
    }
}
