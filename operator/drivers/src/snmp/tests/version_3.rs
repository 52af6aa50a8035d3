//! Agents of version 3 whose clocks and engines change, and strangers between them and the driver.

use entente_crds::v1alpha1::SnmpVersion;
use entente_domain::protocol::{Manner, Place};
use tokio::time::Instant;

use super::super::SnmpDriver;
use super::super::message::{Flags, Parameters, Pdu, REPORT, Secured, Value};
use super::super::oid::Oid;
use super::super::usm::{Engine, Judged};
use super::agent::{Agent, objects, proper};
use super::*;
use crate::credentials::{CredentialsValue, SnmpAuthentication, SnmpPrivacy, SnmpUser};

const SERIAL_NUMBER: &str = "1.3.6.1.2.1.43.5.1.1.17.1";

fn user() -> SnmpUser {
    SnmpUser {
        username: "entente".to_owned().into(),
        authentication: SnmpAuthentication::Sha256,
        authentication_password: "first password".to_owned().into(),
        privacy: SnmpPrivacy::Aes128,
        privacy_password: "second password".to_owned().into(),
        context: String::new(),
    }
}

fn place() -> Place {
    Place::Snmp {
        oid: SERIAL_NUMBER.to_owned(),
        r#type: SnmpType::OctetString,
    }
}

/// The agent's own clock and name, and what it does to them.
struct State {
    engine: u8,
    boots: u32,
    time: u32,
    requests: u32,
}

impl State {
    fn parameters(&self) -> Parameters {
        Parameters {
            engine: vec![0x80, 0, 0x1f, 0x88, self.engine],
            boots: self.boots,
            time: self.time,
            ..Parameters::default()
        }
    }

    fn own(&self) -> Engine {
        Engine::of(&user(), &self.parameters(), Instant::now())
    }

    /// Returns a Report with one of the counters of the user-based security model.
    fn report(&self, id: i32, counter: u32, is_authenticated: bool) -> Vec<u8> {
        let name = Oid::parse(&format!("1.3.6.1.6.3.15.1.1.{counter}.0")).unwrap();
        let mut pdu = Pdu::new(REPORT, vec![(name, Value::Integer(1))]);
        pdu.id = id;
        if is_authenticated {
            return self.own().protect(&user(), &pdu, Instant::now());
        }
        let plain = Secured {
            id,
            flags: Flags::default(),
            parameters: self.parameters(),
            data: pdu.scoped(&[], &[]),
        };
        plain.write()
    }

    /// Answers as RFC 3414 says. `told_time`: the clock that a discovery is told.
    fn answer(&mut self, datagram: &[u8], told_time: Option<(u32, u32)>) -> Vec<Vec<u8>> {
        let read = Secured::read(datagram).unwrap();
        let asked = read.0.parameters.clone();
        let id = read.0.id;
        if asked.engine.is_empty() {
            let (boots, time) = told_time.unwrap_or((self.boots, self.time));
            let told = Self {
                boots,
                time,
                ..*self
            };
            return vec![told.report(id, 4, false)];
        }
        if asked.engine != self.parameters().engine {
            return vec![self.report(id, 4, false)];
        }
        if asked.boots != self.boots || asked.time.abs_diff(self.time) > 150 {
            return vec![self.report(id, 2, true)];
        }
        self.requests += 1;
        let judged = self.own().judge(&user(), datagram, read, Instant::now());
        let Ok(Judged::Proved(request)) = judged else {
            panic!("{judged:?}")
        };
        let printer = objects("1.1.0 = \"NW Label 7\"\n43.5.1.1.17.1 = \"NW7-0042\"");
        let answer = proper(&printer, &request);
        vec![self.own().protect(&user(), &answer, Instant::now())]
    }
}

fn state(boots: u32, time: u32) -> State {
    State {
        engine: 1,
        boots,
        time,
        requests: 0,
    }
}

async fn observe(driver: &SnmpDriver, agent: &Agent) -> Result<DeviceReading, Failure> {
    let login = CredentialsValue::SnmpUser(user());
    let target = agent.target_by(SnmpVersion::V3, Some(login));
    let request = DeviceReadRequest {
        identity: place(),
        places: [].into(),
    };
    driver.observe(&target, &request).await
}

fn driver() -> SnmpDriver {
    SnmpDriver::new(Arc::new(Transport::new()))
}

// shows D1
#[tokio::test]
async fn the_clock_of_a_device_is_followed_however_it_is_told_and_moved() {
    for (name, told, changes) in [
        ("a proper one", None, vec![]),
        // https://github.com/etingof/pysnmp/issues/159
        ("a discovery that tells no clock", Some((0, 0)), vec![]),
        // https://github.com/lextudio/sharpsnmplib/issues/213
        (
            "a discovery that tells a wrong clock",
            Some((7, 99_999)),
            vec![],
        ),
        ("a clock that jumps ahead", None, vec![(3, 90_000)]),
        ("a restart", None, vec![(4, 10)]),
        // https://github.com/net-snmp/net-snmp/issues/385
        (
            "a restart that counts from zero again",
            None,
            vec![(0, 10), (0, 400)],
        ),
    ] {
        let mut own = state(3, 500);
        let (steps, step) = tokio::sync::watch::channel((3, 500));
        let agent = Agent::raw(move |datagram| {
            (own.boots, own.time) = *step.borrow();
            own.answer(datagram, told)
        });
        let agent = agent.await;
        let driver = driver();
        let reading = observe(&driver, &agent).await;
        assert_eq!(
            reading.unwrap().identity.as_deref(),
            Some("NW7-0042"),
            "{name}"
        );
        for clock in changes {
            steps.send(clock).unwrap();
            let reading = observe(&driver, &agent).await;
            assert!(reading.is_ok(), "{name} {clock:?}: {reading:?}");
        }
    }
}

// shows D1
#[tokio::test]
async fn another_engine_at_the_address_is_found_out_and_a_known_one_is_not_asked_again() {
    let mut own = state(3, 500);
    let (engines, engine) = tokio::sync::watch::channel(1);
    let (counts, count) = tokio::sync::watch::channel(0);
    let agent = Agent::raw(move |datagram| {
        own.engine = *engine.borrow();
        counts.send_modify(|count| *count += 1);
        own.answer(datagram, None)
    });
    let agent = agent.await;
    let driver = driver();
    observe(&driver, &agent).await.unwrap();
    assert_eq!(*count.borrow(), 2, "a discovery and a request");
    observe(&driver, &agent).await.unwrap();
    assert_eq!(*count.borrow(), 3, "one request");
    // The board of the device was replaced.
    engines.send(2).unwrap();
    observe(&driver, &agent).await.unwrap();
    assert_eq!(*count.borrow(), 6, "a refusal, a discovery and a request");
}

// shows K4
#[tokio::test]
async fn an_answer_that_is_not_proved_is_none_and_a_write_is_in_doubt() {
    let mut own = state(3, 500);
    let agent = Agent::raw(move |datagram| {
        let mut answers = own.answer(datagram, None);
        if own.requests > 0 {
            // A stranger changes one octet of the answer.
            let last = answers[0].last_mut().unwrap();
            *last ^= 1;
        }
        answers
    });
    let agent = agent.await;
    let driver = driver();
    let failure = observe(&driver, &agent).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::ProtocolError);
    assert!(failure.message.contains("not proved"), "{failure:?}");
    let login = CredentialsValue::SnmpUser(user());
    let target = agent.target_by(SnmpVersion::V3, Some(login));
    let write = DeviceWrite {
        place: place(),
        manner: Manner::Snmp,
        value: Wanted::Text("x".to_owned()),
    };
    let failure = driver.apply(&target, &write).await.unwrap_err();
    assert!(failure.doubtful, "{failure:?}");
}

// shows K5
#[tokio::test]
async fn an_agent_that_never_agrees_on_a_clock_is_left() {
    let own = state(3, 500);
    let agent = Agent::raw(move |datagram| {
        let (message, _) = Secured::read(datagram).unwrap();
        let counter = if message.parameters.engine.is_empty() {
            4
        } else {
            2
        };
        vec![own.report(message.id, counter, counter == 2)]
    });
    let failure = observe(&driver(), &agent.await).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimedOut, "{failure:?}");
}

// shows D5
#[tokio::test]
async fn an_agent_that_does_not_answer_what_it_cannot_decrypt_is_told_as_that() {
    let own = state(3, 500);
    let agent = Agent::raw(move |datagram| {
        let (message, _) = Secured::read(datagram).unwrap();
        if message.parameters.engine.is_empty() {
            vec![own.report(message.id, 4, false)]
        } else {
            vec![]
        }
    });
    let failure = observe(&driver(), &agent.await).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimedOut);
    assert!(failure.message.contains("privPassword"), "{failure:?}");
}
