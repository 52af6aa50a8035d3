//! Firmware and applications: offered, fetched, verified, installed, and reported.
//!
//! `ddi` and `software` decide what comes first and what is refused. Installed means here: written to
//! `software.json` as what waits for a restart.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::{Device, Early, SOFTWARE};
use crate::{
    answer::{self, Failure},
    api::Software,
    ddi::{self, Cancellation, Controller, Deployment, Fetch, Task, Verdict},
    download::{DownloadFault, download},
    http::{Request, Token},
};

impl Device {
    /// Reads what there is to do, and does it. Returns the time to the next poll.
    pub(super) async fn poll_updates(&mut self) -> Result<Duration, Early> {
        let registration = self.state.registration.as_ref();
        let Some(base) = registration.and_then(|one| one.links.ddi.clone()) else {
            return Ok(Duration::MAX);
        };
        let answer = self.ask_ddi(Request::get(&base, Token::None)).await?;
        let controller: Controller = answer::body(&answer)?;
        let Some(sleep) = ddi::sleep(&controller) else {
            let detail = format!("sleep is {:?}", controller.config.polling.sleep);
            return Err(Failure::NotUnderstood { detail }.into());
        };
        for task in ddi::tasks(&controller) {
            let done = match &task {
                Task::Cancel(link) => self.cancel(link).await,
                Task::Report(link) => self.report_versions(link).await,
                Task::Install(link) => self.install(link).await,
            };
            match done {
                // An action that is over, or a part that is refused, ends that task alone.
                Err(Early::Failure(failure @ (Failure::Refused { .. } | Failure::Link(_)))) => {
                    self.say(&format!("{task:?}: {failure}"));
                }
                other => other?,
            }
        }
        if self.installed.staged.is_some() {
            self.restart(&controller).await?;
        }
        Ok(sleep.0)
    }

    async fn report_versions(&mut self, link: &str) -> Result<(), Early> {
        let body = ddi::config_data(&self.installed.running);
        let request = Request::json(Method::PUT, link, Token::None, &body);
        self.ask_ddi(request).await.map(drop)
    }

    async fn cancel(&mut self, link: &str) -> Result<(), Early> {
        let answer = self.ask_ddi(Request::get(link, Token::None)).await?;
        let cancellation: Cancellation = answer::body(&answer)?;
        let stop = &cancellation.cancel_action.stop_id;
        let was_staged = self.installed.take_back(stop);
        let is_over = self.installed.over(stop).is_some_and(|over| over.success);
        let (finished, detail) = if was_staged || !is_over {
            self.installed.end(stop, false, "cancelled");
            ("success", "cancelled")
        } else {
            ("failure", "it runs already")
        };
        self.store.write(SOFTWARE, &self.installed)?;
        self.say(&format!("action {stop}: {detail}"));
        let body = ddi::feedback(&cancellation.id, "closed", finished, detail);
        self.feedback(link, body).await
    }

    async fn install(&mut self, link: &str) -> Result<(), Early> {
        let answer = self.ask_ddi(Request::get(link, Token::None)).await?;
        let offer: Deployment = answer::body(&answer)?;
        let (gateway, most) = (self.gateway()?, self.options.most_bytes);
        let over = match ddi::judge(&offer, &self.installed, most, &gateway) {
            Verdict::Again(over) => over,
            Verdict::Runs => self.installed.end(&offer.id, true, "it runs already"),
            Verdict::Reject { detail } => {
                self.say(&format!("action {} is refused: {detail}", offer.id));
                self.installed.end(&offer.id, false, &detail)
            }
            Verdict::Install { fetch, software } => {
                let body = ddi::feedback(&offer.id, "proceeding", "none", "fetching");
                self.feedback(link, body).await?;
                match self.fetch(&fetch).await {
                    Ok(()) => self.stage(&offer.id, software),
                    Err(DownloadFault::Later(failure)) => return Err(failure.into()),
                    Err(fault) => {
                        self.say(&format!("action {}: {fault}", offer.id));
                        self.installed.end(&offer.id, false, &fault.to_string())
                    }
                }
            }
        };
        self.store.write(SOFTWARE, &self.installed)?;
        self.feedback(link, ddi::ended(&over)).await
    }

    fn stage(&mut self, action: &str, software: Vec<Software>) -> crate::software::Over {
        let names: Vec<String> = software
            .iter()
            .map(|one| format!("{} {} {}", one.part, one.name, one.version))
            .collect();
        let names = names.join(", ");
        self.say(&format!("{names} is installed and waits for a restart"));
        self.installed.stage(action, software);
        let detail = "installed; it runs after a restart";
        self.installed.end(action, true, detail)
    }

    async fn fetch(&mut self, all: &[Fetch]) -> Result<(), DownloadFault> {
        let folder = self.store.path("artifacts");
        let token = self.token();
        let gateway = self.gateway().map_err(Failure::Link)?;
        for one in all {
            download(&self.http, &gateway, &token, one, &folder).await?;
        }
        Ok(())
    }

    async fn feedback(&mut self, link: &str, body: Value) -> Result<(), Early> {
        // A link may have a query, which is that of the action and not of its feedback.
        let path = link.split(['?', '#']).next().unwrap_or(link);
        let link = format!("{path}/feedback");
        let request = Request::json(Method::POST, &link, Token::None, &body);
        self.ask_ddi(request).await.map(drop)
    }

    /// Restarts, if the device restarts by itself: it is off for a while, and then reports what runs.
    async fn restart(&mut self, controller: &Controller) -> Result<(), Early> {
        let Some(takes) = self.options.restart_takes else {
            return Ok(());
        };
        self.say("restarting");
        tokio::time::sleep(takes).await;
        self.installed.restart(self.http.now(), self.options.lies);
        self.store.write(SOFTWARE, &self.installed)?;
        // Artifacts of what runs are not needed any more.
        let _ = tokio::fs::remove_dir_all(self.store.path("artifacts")).await;
        self.send_report().await?;
        if let Some(link) = &controller.links.config_data {
            self.report_versions(&link.href).await?;
        }
        Ok(())
    }
}
