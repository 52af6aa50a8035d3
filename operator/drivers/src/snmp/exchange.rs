//! Requests to one agent, one after another, over one line of datagrams.
//!
//! A request is sent three times within its time limit, each time under a new id; an answer counts
//! under any of these ids, and an answer to an earlier request under none. Finds out the engine of an
//! agent of version 3, follows its clock, and believes nothing that is not proved. Never decides what
//! is asked. Called by `tree` and the driver.

use std::time::Duration;

use entente_crds::v1alpha1::SnmpVersion;
use entente_domain::remote::{Failure, FailureKind};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::ber::Malformed;
use super::engines::{Engines, Key};
use super::message::{Parameters, Pdu, RESPONSE, Secured};
use super::refusal::{self, Reported};
use super::usm::{self, Engine, Judged};
use crate::credentials::{CredentialsValue, SnmpUser};
use crate::parsing::parse;
use crate::profile::ConnectionProfile;
use crate::transport::DatagramLine;

/// Number of times that a request is sent.
const ATTEMPTS: u32 = 3;
/// The most requests that are sent anew because the engine's id or clock was another one.
const MOST_CORRECTIONS: u32 = 3;
/// Number of time limits of a request within which a whole look must end.
const MOST_LIMITS: u32 = 4;
/// The community where no login is given.
const COMMUNITY: &str = "public";
/// So many octets take as long to parse as the keys of an engine take to be made.
const WORK_OF_KEYS: usize = 1 << 20;

/// The login by which an agent is asked.
enum Login<'a> {
    Community(Zeroizing<String>),
    User {
        user: &'a SnmpUser,
        key: Key,
        engine: Option<Engine>,
    },
}

/// Requests to one agent.
pub(super) struct Exchange<'a> {
    line: DatagramLine,
    login: Login<'a>,
    engines: &'a Engines,
    limit: Duration,
    end: Instant,
    /// True if the agent has told its engine, and has not answered anything since.
    is_silent: bool,
}

/// Result of one datagram.
enum Received {
    /// The answer.
    Answer(Pdu),
    /// The request has to be sent anew.
    Again,
    /// It is no answer to this request.
    Nothing,
}

impl<'a> Exchange<'a> {
    /// Returns an exchange by the login of a Connection, over a line to its device.
    ///
    /// # Errors
    /// `Unauthorized` if there is no login that the version needs: nothing was sent.
    pub(super) fn new(
        profile: &'a ConnectionProfile,
        url: &str,
        line: DatagramLine,
        engines: &'a Engines,
    ) -> Result<Self, Failure> {
        let now = Instant::now();
        let login = match (profile.snmp_version, &profile.credentials) {
            (SnmpVersion::V3, Some(CredentialsValue::SnmpUser(user))) => {
                let key = Engines::key(url, user);
                let engine = engines.get(&key, now);
                Login::User { user, key, engine }
            }
            (SnmpVersion::V2C, Some(CredentialsValue::SnmpCommunity { community })) => {
                Login::Community(community.clone())
            }
            (SnmpVersion::V2C, None) => Login::Community(COMMUNITY.to_owned().into()),
            (SnmpVersion::V3, _) | (SnmpVersion::V2C, Some(_)) => {
                return Err(Failure::new(
                    FailureKind::Unauthorized,
                    "there is no login for this version of SNMP: name a Secret in credentialsRef of \
                     the Device",
                ));
            }
        };
        Ok(Self {
            line,
            login,
            engines,
            limit: profile.request_timeout,
            end: now + profile.request_timeout * MOST_LIMITS,
            is_silent: false,
        })
    }

    /// Sends a request and returns its answer, with any error-status, and the attempt that was answered.
    /// `request` returns the PDU of an attempt, from 0 on: later ones may ask for less.
    ///
    /// # Errors
    /// The failure of the device; of a write doubtful where it may have acted.
    pub(super) async fn ask(
        &mut self,
        request: &(dyn Fn(u32) -> Pdu + Sync),
        writes: bool,
    ) -> Result<(Pdu, u32), Failure> {
        let begun = Instant::now();
        let deadline = (begun + self.limit).min(self.end);
        self.discover(deadline).await?;
        let (mut attempt, mut corrections) = (0, 0);
        let mut waits = Waits::new(deadline);
        while attempt < ATTEMPTS {
            let mut pdu = request(attempt);
            pdu.id = waits.next_id();
            let datagram = self.write(&pdu);
            match self.attempt(&datagram, &mut waits, attempt, writes).await? {
                Some(Received::Answer(answer)) => return Ok((answer, attempt)),
                Some(_) if corrections < MOST_CORRECTIONS => {
                    corrections += 1;
                    self.discover(deadline).await?;
                }
                _ => attempt += 1,
            }
        }
        Err(waits.failure(self.is_silent, writes))
    }

    /// Sends one datagram and waits for its answer. `None` if none came in the time of the attempt.
    async fn attempt(
        &mut self,
        datagram: &[u8],
        waits: &mut Waits,
        attempt: u32,
        writes: bool,
    ) -> Result<Option<Received>, Failure> {
        let doubtful = |failure: Failure| Failure {
            doubtful: writes && attempt > 0,
            ..failure
        };
        self.line.send(datagram).await.map_err(doubtful)?;
        let until = waits.until(attempt);
        loop {
            let Ok(received) = timeout_at(until, self.line.receive()).await else {
                return Ok(None);
            };
            let received = received.map_err(doubtful)?.to_vec();
            match self.take(&received, waits)? {
                Received::Nothing => {}
                found => return Ok(Some(found)),
            }
        }
    }

    /// Takes one datagram.
    fn take(&mut self, datagram: &[u8], waits: &mut Waits) -> Result<Received, Failure> {
        let answer = match &mut self.login {
            Login::Community(community) => Pdu::of_community(datagram, community.as_bytes()),
            Login::User { user, engine, .. } => {
                let Some(engine) = engine else {
                    return Ok(Received::Nothing);
                };
                let now = Instant::now();
                let read = Secured::read(datagram);
                if let Ok((message, _)) = &read
                    && !waits.ids.contains(&message.id)
                {
                    // An answer to a request that is given up.
                    return Ok(Received::Nothing);
                }
                match read.and_then(|read| engine.judge(user, datagram, read, now)) {
                    Ok(Judged::Proved(pdu)) => Ok(pdu),
                    Ok(Judged::Report { pdu, parameters }) => {
                        return self.reported(&pdu, &parameters, now);
                    }
                    Ok(Judged::Unproved) => {
                        waits.unproved = true;
                        return Ok(Received::Nothing);
                    }
                    Err(fault) => Err(fault),
                }
            }
        };
        match answer {
            Ok(pdu) if pdu.tag == RESPONSE && waits.ids.contains(&pdu.id) => {
                self.is_silent = false;
                self.keep_engine();
                Ok(Received::Answer(pdu))
            }
            Ok(_) => Ok(Received::Nothing),
            Err(Malformed(rule)) => {
                waits.unreadable = Some(rule);
                Ok(Received::Nothing)
            }
        }
    }

    /// Follows a Report: the engine's clock or its id is taken over, anything else is a refusal.
    fn reported(
        &mut self,
        pdu: &Pdu,
        parameters: &Parameters,
        now: Instant,
    ) -> Result<Received, Failure> {
        let Login::User { engine, .. } = &mut self.login else {
            return Ok(Received::Nothing);
        };
        match refusal::meaning(pdu) {
            Reported::Clock => {
                if let Some(engine) = engine {
                    engine.set_clock(parameters, now);
                }
                Ok(Received::Again)
            }
            Reported::Engine => {
                *engine = None;
                Ok(Received::Again)
            }
            Reported::Refused(why) => Err(Failure::new(FailureKind::Unauthorized, why)),
        }
    }

    fn keep_engine(&self) {
        if let Login::User {
            key,
            engine: Some(engine),
            ..
        } = &self.login
        {
            self.engines.keep(*key, engine.clone(), Instant::now());
        }
    }

    fn write(&self, pdu: &Pdu) -> Vec<u8> {
        match &self.login {
            Login::Community(community) => pdu.by_community(community.as_bytes()),
            Login::User {
                user,
                engine: Some(engine),
                ..
            } => engine.protect(user, pdu, Instant::now()),
            // It was found out before.
            Login::User { engine: None, .. } => Vec::new(),
        }
    }

    /// Finds out the engine of an agent of version 3, unless it is known.
    async fn discover(&mut self, deadline: Instant) -> Result<(), Failure> {
        let Login::User {
            user, engine: None, ..
        } = &self.login
        else {
            return Ok(());
        };
        let user = *user;
        let mut waits = Waits::new(deadline);
        for attempt in 0..ATTEMPTS {
            let request = usm::discovery(waits.next_id());
            self.line.send(&request).await?;
            let until = waits.until(attempt);
            loop {
                let Ok(received) = timeout_at(until, self.line.receive()).await else {
                    break;
                };
                let told = match Secured::read(received?) {
                    Ok((message, _)) if waits.ids.contains(&message.id) => message.parameters,
                    Ok(_) => continue,
                    Err(Malformed(rule)) => {
                        waits.unreadable = Some(rule);
                        continue;
                    }
                };
                if told.engine.is_empty() {
                    waits.unreadable = Some("it names no engine");
                    continue;
                }
                let now = Instant::now();
                let made = parse(WORK_OF_KEYS, || Engine::of(user, &told, now)).await;
                if let Login::User { engine, .. } = &mut self.login {
                    *engine = Some(made);
                }
                self.is_silent = true;
                return Ok(());
            }
        }
        Err(waits.failure(false, false))
    }
}

/// The ids of one request, and what came in place of its answer.
struct Waits {
    ids: Vec<i32>,
    begun: Instant,
    deadline: Instant,
    unreadable: Option<&'static str>,
    unproved: bool,
}

impl Waits {
    fn new(deadline: Instant) -> Self {
        Self {
            ids: Vec::new(),
            begun: Instant::now(),
            deadline,
            unreadable: None,
            unproved: false,
        }
    }

    /// Returns a new id, which nobody can guess.
    fn next_id(&mut self) -> i32 {
        let mut octets = [0; 4];
        // Without random numbers the process has no TLS either.
        SystemRandom::new()
            .fill(&mut octets)
            .expect("the system has random numbers");
        // Positive: msgID has no sign.
        let id = i32::from_be_bytes(octets) & i32::MAX;
        self.ids.push(id);
        id
    }

    /// Returns the end of an attempt: each has an equal part of the time.
    fn until(&self, attempt: u32) -> Instant {
        let whole = self.deadline.saturating_duration_since(self.begun);
        self.begun + whole * (attempt + 1) / ATTEMPTS
    }

    /// Returns the failure of a request without an answer. `is_silent`: the agent told its engine before.
    fn failure(&self, is_silent: bool, writes: bool) -> Failure {
        let (kind, message) = match (self.unreadable, self.unproved) {
            (Some(rule), _) => {
                let message = format!("the answer cannot be read: {rule}");
                (FailureKind::ProtocolError, message)
            }
            (None, true) => {
                let message = "the answer is not proved by the password of the user";
                (FailureKind::ProtocolError, message.to_owned())
            }
            // Some agents do not answer what they cannot decrypt.
            (None, false) if is_silent => {
                let message = "the device answers, but not to an encrypted request: privPassword or \
                               privProtocol of the user may be another one there";
                (FailureKind::TimedOut, message.to_owned())
            }
            (None, false) => (FailureKind::TimedOut, "no answer came in time".to_owned()),
        };
        Failure {
            doubtful: writes,
            ..Failure::new(kind, message)
        }
    }
}
