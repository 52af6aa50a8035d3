use std::time::Duration;

use super::*;
use crate::snmp::message::{RESPONSE, Value};
use crate::snmp::oid::Oid;

fn user(authentication: SnmpAuthentication, privacy: SnmpPrivacy) -> SnmpUser {
    SnmpUser {
        username: "entente".to_owned().into(),
        authentication,
        authentication_password: "maplesyrup".to_owned().into(),
        privacy,
        privacy_password: "another syrup".to_owned().into(),
        context: String::new(),
    }
}

fn told(boots: u32, time: u32) -> Parameters {
    Parameters {
        engine: vec![0x80, 0, 0x1f, 0x88, 1],
        boots,
        time,
        ..Parameters::default()
    }
}

fn answer() -> Pdu {
    let name = Oid::parse("1.3.6.1.2.1.1.6.0").unwrap();
    let mut pdu = Pdu::new(RESPONSE, vec![(name, Value::Octets(b"Lobby".to_vec()))]);
    pdu.id = 77;
    pdu
}

fn judge(engine: &mut Engine, user: &SnmpUser, datagram: &[u8], now: Instant) -> Judged {
    let read = Secured::read(datagram).unwrap();
    engine.judge(user, datagram, read, now).unwrap()
}

const AUTHENTICATIONS: [SnmpAuthentication; 4] = [
    SnmpAuthentication::Sha224,
    SnmpAuthentication::Sha256,
    SnmpAuthentication::Sha384,
    SnmpAuthentication::Sha512,
];

/// The vectors of AES-128 in CFB mode with 128 bits of feedback, NIST SP 800-38A section F.3.13.
#[test]
fn aes_in_cfb_mode_gives_what_nist_published() {
    let hex = |text: &str| hex::decode(text).unwrap();
    let key = hex("2b7e151628aed2a6abf7158809cf4f3c");
    let iv: [u8; 16] = hex("000102030405060708090a0b0c0d0e0f").try_into().unwrap();
    let plain = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
    let secret = hex("3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b");
    let cipher = Aes128::new_from_slice(&key).unwrap();
    let mut data = plain.clone();
    cfb(&cipher, iv, &mut data, Direction::Encrypt);
    assert_eq!(data, secret);
    cfb(&cipher, iv, &mut data, Direction::Decrypt);
    assert_eq!(data, plain);
    let mut short = plain[..21].to_vec();
    cfb(&cipher, iv, &mut short, Direction::Encrypt);
    assert_eq!(short, secret[..21]);
}

#[test]
fn an_answer_of_the_same_user_and_engine_is_proved_by_every_protocol() {
    let now = Instant::now();
    for authentication in AUTHENTICATIONS {
        for privacy in [
            SnmpPrivacy::Aes128,
            SnmpPrivacy::Aes192,
            SnmpPrivacy::Aes256,
        ] {
            if (authentication, privacy) == (SnmpAuthentication::Sha224, SnmpPrivacy::Aes256) {
                continue;
            }
            let user = user(authentication, privacy);
            let mut engine = Engine::of(&user, &told(3, 500), now);
            let datagram = engine.protect(&user, &answer(), now);
            assert!(
                !datagram.windows(5).any(|part| part == b"Lobby"),
                "it is encrypted"
            );
            let judged = judge(&mut engine, &user, &datagram, now);
            assert_eq!(
                judged,
                Judged::Proved(answer()),
                "{authentication:?} {privacy:?}"
            );
        }
    }
}

// shows K4
#[test]
fn an_answer_that_is_forged_old_or_of_another_engine_or_user_proves_nothing() {
    let now = Instant::now();
    let user = user(SnmpAuthentication::Sha256, SnmpPrivacy::Aes128);
    let engine = Engine::of(&user, &told(3, 500), now);
    let datagram = engine.protect(&user, &answer(), now);
    let unproved = |engine: &Engine, datagram: &[u8], now: Instant| {
        let judged = judge(&mut engine.clone(), &user, datagram, now);
        assert_eq!(judged, Judged::Unproved);
    };
    let mut forged = datagram.clone();
    *forged.last_mut().unwrap() ^= 1;
    unproved(&engine, &forged, now);
    unproved(&engine, &datagram, now + Duration::from_secs(151));
    unproved(&Engine::of(&user, &told(4, 500), now), &datagram, now);
    let mut other = told(3, 500);
    other.engine.push(9);
    unproved(&Engine::of(&user, &other, now), &datagram, now);
    let mut stranger = user.clone();
    stranger.username = "other".to_owned().into();
    let by_stranger = Engine::of(&stranger, &told(3, 500), now).protect(&stranger, &answer(), now);
    unproved(&engine, &by_stranger, now);
    let (mut bare, _) = Secured::read(&datagram).unwrap();
    bare.flags = Flags::default();
    bare.data = answer().scoped(b"", b"");
    unproved(&engine, &bare.write(), now);
}

#[test]
fn a_report_is_told_plain_and_encrypted() {
    let now = Instant::now();
    let user = user(SnmpAuthentication::Sha512, SnmpPrivacy::Aes256);
    let mut engine = Engine::of(&user, &told(3, 500), now);
    let mut pdu = answer();
    pdu.tag = REPORT;
    let plain = Secured {
        id: 77,
        flags: Flags::default(),
        parameters: told(9, 9),
        data: pdu.scoped(b"", b""),
    };
    let judged = judge(&mut engine, &user, &plain.write(), now);
    assert!(matches!(judged, Judged::Report { .. }), "{judged:?}");
    let datagram = engine.protect(&user, &pdu, now);
    let judged = judge(&mut engine, &user, &datagram, now);
    assert!(matches!(judged, Judged::Report { .. }), "{judged:?}");
}
