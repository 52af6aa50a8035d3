//! Requests about the registration: the region, the registration itself, the credential, the withdrawal.
//!
//! The meaning of an answer is decided in `state`.

use std::{path::Path, time::Duration};

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::{Device, Early, Ending, Entry, TWIN, WITHDRAWAL, Withdrawal};
use crate::{
    answer::{self, Answer, Failure},
    api::{
        Area, Capabilities, Credential, Pending, PendingState, Region, Registered, Registration,
    },
    http::{Request, Token},
    link,
    panel::Panel,
    state::{Found, Then},
};

/// Longest time after which a registration that waits is read again.
const INTERVAL: u64 = 86_400;

impl Device {
    /// Looks up the region. Nothing of the device but its place is in the request.
    pub(super) async fn look_up(&mut self) -> Result<(), Early> {
        let Entry::Region {
            url,
            country,
            subdivision,
        } = &self.options.entry
        else {
            return Ok(());
        };
        let mut link = url.join("/v1/region").unwrap_or_else(|_| url.clone());
        link.query_pairs_mut().append_pair("country", country);
        if let Some(subdivision) = subdivision {
            link.query_pairs_mut()
                .append_pair("subdivision", subdivision);
        }
        let request = Request::get(link.as_str(), Token::None);
        let answer = self.http.send(url, request).await?;
        let region: Region = answer::body(&answer)?;
        link::gateway(&region.url)?;
        let name = region.region.clone();
        let at = region.url.clone();
        match self.state.looked_up(region) {
            Found::Same => {}
            Found::New => self.say(&format!("the region is {name}, its gateway {at}")),
            Found::Moved => {
                let known = self.state.gateway.as_deref().unwrap_or_default();
                let what = format!(
                    "the region is {name} now, its gateway {at}; the device is registered at \
                     {known}, and stays there until a person registers it anew"
                );
                self.say(&what);
            }
        }
        Ok(())
    }

    /// Registers. Returns the time to wait if the registration waits.
    pub(super) async fn register(&mut self) -> Result<Option<Duration>, Early> {
        let Some(body) = self.registration() else {
            return Err(Early::End(Ending::NeedsConsent));
        };
        let token = self.enrolment_token()?;
        let key = self.state.key(|| Uuid::new_v4().to_string());
        // Kept before it is sent, so that a repetition after a crash has the same key.
        self.keep()?;
        let body = serde_json::to_value(body).expect("data");
        let bearer = Token::Bearer(&token);
        let request = Request::json(Method::POST, "/v1/registrations", bearer, &body)
            .with("Idempotency-Key", Some(key));
        let gateway = self.gateway()?;
        let answer = match self.http.send(&gateway, request).await {
            Ok(answer) => answer,
            Err(failure) => {
                if failure.needs_a_person() || matches!(failure, Failure::Unauthorized { .. }) {
                    self.state.attempt_ended();
                }
                return Err(failure.into());
            }
        };
        if answer.status == 202 {
            let pending: Pending = answer::body(&answer)?;
            let wait = Duration::from_secs(pending.interval.clamp(1, INTERVAL));
            self.say("the registration waits for somebody to permit it");
            self.state.waits(pending);
            return Ok(Some(wait));
        }
        let registered: Registered = answer::body(&answer)?;
        let links = &registered.links;
        let links = [&links.services, &links.twin].into_iter();
        for link in links.chain(&registered.links.events) {
            link::within(&gateway, link)?;
        }
        let (id, device) = (registered.printer_id.clone(), registered.device.clone());
        // Kept before the registration is, so that no crash leaves the tag of another twin.
        self.held.begin();
        self.store.write(TWIN, &self.held)?;
        self.begin_services()?;
        self.state.registered(registered);
        self.say(&format!("registered as {device}, {id}"));
        self.keep()?;
        self.begin_outbox()?;
        if self.options.short {
            self.send_events().await?;
        }
        Ok(None)
    }

    fn registration(&self) -> Option<Registration> {
        let device = &self.options.description;
        let area = match &self.options.entry {
            Entry::Region {
                country,
                subdivision,
                ..
            } => Some(Area {
                country: country.clone(),
                subdivision: subdivision.clone(),
            }),
            Entry::Gateway(_) => None,
        };
        Some(Registration {
            serial_number: device.serial_number.clone(),
            product_name: device.product_name.clone(),
            manufacturer: device.manufacturer.clone(),
            uuid: device.uuid.clone(),
            ship_destination: device.ship_destination.clone(),
            time_zone: device.time_zone.clone(),
            languages: device.languages.clone(),
            area,
            software: self.installed.running.clone(),
            capabilities: Capabilities {
                ddi: device.ddi,
                data_types: device.data_types.clone(),
                supplies: device.supplies.clone(),
                display: match device.panel {
                    Some(Panel::Of(size)) => Some(size),
                    Some(Panel::None) | None => None,
                },
            },
            consent: self.state.consent.clone()?,
        })
    }

    /// Reads the enrolment token, each time anew: it may have been replaced.
    fn enrolment_token(&self) -> Result<String, Early> {
        let unreadable = |why: String| {
            let detail = format!("the enrolment token cannot be read: {why}");
            Failure::Unreachable { detail }
        };
        Ok(token_of(&self.options.token_file).map_err(unreadable)?)
    }

    /// Reads a registration that waits. Returns the time to wait if it still does.
    pub(super) async fn ask_pending(&mut self) -> Result<Option<Duration>, Early> {
        let pending = self
            .state
            .attempt
            .as_ref()
            .and_then(|one| one.pending.clone());
        let Some(pending) = pending else {
            return Ok(None);
        };
        let token = self.enrolment_token()?;
        let link = format!("/v1/registrations/{}", pending.registration_id);
        let request = Request::get(&link, Token::Bearer(&token));
        let gateway = self.gateway()?;
        match self.http.send(&gateway, request).await {
            Ok(answer) => {
                let state: PendingState = answer::body(&answer)?;
                if state.state == "Ready" {
                    self.state.is_ready();
                    return Ok(None);
                }
                Ok(Some(Duration::from_secs(state.interval.clamp(1, INTERVAL))))
            }
            // SignalK/SensESP pull request 945: a client that asked for ever for a request that the
            // other side had forgotten.
            Err(Failure::Refused { status: 404, .. }) => {
                self.state.attempt_ended();
                Ok(None)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Renews the credential.
    pub(super) async fn renew(&mut self) -> Result<(), Early> {
        let link = format!("{}/credential", self.path());
        let request = Request::new(Method::POST, &link, Token::None);
        let answer = self.ask(request).await?;
        let credential: Credential = answer::body(&answer)?;
        self.state.renewed(credential);
        self.say("the credential is renewed");
        self.keep()?;
        Ok(())
    }

    /// Path of the device.
    pub(super) fn path(&self) -> String {
        let registration = self.state.registration.as_ref();
        let id = registration.map_or("", |registration| &registration.printer_id);
        format!("/v1/devices/{id}")
    }

    /// Sends a request with the device's credential, and follows what its answer means for that.
    pub(super) async fn ask(&mut self, request: Request<'_>) -> Result<Answer, Early> {
        let token = self.token();
        let answer = self.send(request, Token::Bearer(&token)).await;
        self.judged(answer)
    }

    /// The same for DDI, which has another scheme.
    pub(super) async fn ask_ddi(&mut self, request: Request<'_>) -> Result<Answer, Early> {
        let token = self.token();
        let answer = self.send(request, Token::Target(&token)).await;
        self.judged(answer)
    }

    async fn send(&self, request: Request<'_>, token: Token<'_>) -> Result<Answer, Failure> {
        let gateway = self.gateway().map_err(Failure::Link)?;
        self.http.send(&gateway, Request { token, ..request }).await
    }

    /// The token of the device.
    pub(super) fn token(&self) -> String {
        let held = self.state.credential.as_ref();
        held.map_or_else(String::new, |held| held.credential.token.clone())
    }

    /// Follows what an answer means for the credential.
    pub(super) fn judged(&mut self, answer: Result<Answer, Failure>) -> Result<Answer, Early> {
        match answer {
            Ok(answer) => {
                if self.state.accepted() {
                    self.keep()?;
                }
                Ok(answer)
            }
            Err(Failure::ConsentWithdrawn) => {
                self.say("consent was withdrawn; the device has stopped");
                let withdrawal = Withdrawal {
                    by: crate::api::By::Command,
                    at: self.http.now(),
                    confirmed: true,
                };
                self.store.write(WITHDRAWAL, &withdrawal)?;
                self.end_consent()
            }
            Err(failure @ Failure::Unauthorized { .. }) => match self.state.refused() {
                Then::GoOn => {
                    self.keep()?;
                    Err(Early::Again)
                }
                Then::Wait => Err(failure.into()),
                Then::Stop => {
                    self.say("the credential is refused; the device has stopped");
                    self.keep()?;
                    Err(Early::End(Ending::Refused))
                }
            },
            // Anything else means that the credential was accepted.
            Err(failure) => Err(failure.into()),
        }
    }

    /// Follows a withdrawal that the command has written: sends it to the gateway, and ends.
    pub(super) async fn withdrawal(&mut self) -> Result<(), Early> {
        let Some(withdrawal) = self.store.read::<Withdrawal>(WITHDRAWAL)? else {
            return Ok(());
        };
        if !withdrawal.confirmed && self.state.registration.is_some() {
            let token = self.token();
            let link = withdraw_link(&self.path(), &withdrawal);
            let request = Request::new(Method::DELETE, &link, Token::None);
            match self.send(request, Token::Bearer(&token)).await {
                // A credential that is dead has nothing left to withdraw.
                Ok(_) | Err(Failure::Unauthorized { .. } | Failure::ConsentWithdrawn) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        let confirmed = Withdrawal {
            confirmed: true,
            ..withdrawal
        };
        self.store.write(WITHDRAWAL, &confirmed)?;
        self.say("consent is withdrawn; the device has stopped");
        self.end_consent().map(drop)
    }

    fn end_consent(&mut self) -> Result<Answer, Early> {
        self.end_events()?;
        self.state.withdrawn();
        self.keep()?;
        Err(Early::End(Ending::Withdrawn))
    }
}

/// Path and query of a withdrawal.
pub fn withdraw_link(path: &str, withdrawal: &Withdrawal) -> String {
    let by = json!(withdrawal.by);
    let by = by.as_str().unwrap_or_default();
    // An instant in UTC has no character that a query would read otherwise.
    format!("{path}?by={by}&at={:.0}", withdrawal.at)
}

/// Reads the token in a file. A fault names the file.
pub fn token_of(path: &Path) -> Result<String, String> {
    let fault = |why: &str| format!("{}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| fault(&error.to_string()))?;
    match text.trim() {
        "" => Err(fault("there is no token in it")),
        token => Ok(token.to_owned()),
    }
}
