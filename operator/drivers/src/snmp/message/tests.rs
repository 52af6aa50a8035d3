use proptest::prelude::*;

use super::*;

fn oid(text: &str) -> Oid {
    Oid::parse(text).unwrap()
}

fn answer(bindings: Vec<(Oid, Value)>) -> Pdu {
    Pdu {
        id: 7,
        ..Pdu::new(RESPONSE, bindings)
    }
}

#[test]
fn an_answer_is_read_back_with_every_syntax() {
    let values = [
        Value::Integer(-3),
        Value::Octets(b"Lobby".to_vec()),
        Value::Null,
        Value::Name(oid("1.3.6.1.2.1.43")),
        Value::Address(Ipv4Addr::new(10, 20, 3, 4)),
        Value::Gauge(4_294_967_295),
        Value::Ticks(100),
    ];
    let name = |index: usize| oid(&format!("1.3.6.1.4.1.{index}"));
    let bindings = values.into_iter().enumerate();
    let sent = answer(
        bindings
            .map(|(index, value)| (name(index), value))
            .collect(),
    );
    let datagram = sent.by_community(b"public");
    assert_eq!(Pdu::of_community(&datagram, b"public"), Ok(sent.clone()));
    assert!(Pdu::of_community(&datagram, b"private").is_err());
    let scoped = sent.scoped(b"engine", b"");
    assert_eq!(Pdu::of_scoped(&scoped), Ok(sent.clone()));
    let filled = [&scoped[..], &[0; 5]].concat();
    assert_eq!(Pdu::of_scoped(&filled), Ok(sent));
}

#[test]
fn a_value_that_breaks_the_rules_is_a_flaw_of_its_object_alone() {
    let whole = answer(vec![
        (oid("1.3.6.1.1"), Value::Address(Ipv4Addr::new(1, 2, 3, 4))),
        (oid("1.3.6.1.2"), Value::Integer(5)),
    ]);
    let mut datagram = whole.by_community(b"c");
    // The tag of the IpAddress becomes one that there is not.
    let at = datagram.iter().position(|octet| *octet == ADDRESS).unwrap();
    datagram[at] = 0x99;
    let read = Pdu::of_community(&datagram, b"c").unwrap();
    assert!(
        matches!(read.bindings[0].1, Value::Malformed(_)),
        "{read:?}"
    );
    assert_eq!(read.bindings[1].1, Value::Integer(5));
}

#[test]
fn a_message_of_version_3_is_read_back_with_the_place_of_its_authentication() {
    let sent = Secured {
        id: 12,
        flags: Flags {
            authenticated: true,
            encrypted: true,
            reportable: true,
        },
        parameters: Parameters {
            engine: vec![0x80, 0, 1],
            boots: 3,
            time: 1_000,
            user: b"entente".to_vec(),
            authentication: vec![0xab; 24],
            privacy: vec![1; 8],
        },
        data: vec![9; 40],
    };
    let datagram = sent.write();
    let (read, place) = Secured::read(&datagram).unwrap();
    assert_eq!(read, sent);
    assert_eq!(datagram[place..place + 24], [0xab; 24]);
    let plain = Secured {
        flags: Flags::default(),
        data: answer(Vec::new()).scoped(b"", b""),
        ..sent
    };
    assert_eq!(Secured::read(&plain.write()).unwrap().0, plain);
}

// shows K5
proptest! {
    #[test]
    fn no_octets_of_a_stranger_make_a_reader_fail_otherwise_than_by_an_answer(
        octets in proptest::collection::vec(any::<u8>(), 0..200),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let _ = Pdu::of_community(&octets, b"public");
        let _ = Secured::read(&octets);
        let _ = Pdu::of_scoped(&octets);
        let good = answer(vec![(oid("1.3.6.1.2.1.1.5.0"), Value::Octets(octets))]);
        let mut changed = good.by_community(b"public");
        let mut secured = Secured {
            id: 1,
            flags: Flags::default(),
            parameters: Parameters::default(),
            data: good.scoped(b"e", b""),
        }.write();
        for (at, octet) in changes {
            *at.get_mut(&mut changed) = octet;
            *at.get_mut(&mut secured) = octet;
        }
        let _ = Pdu::of_community(&changed, b"public");
        let read = Secured::read(&secured);
        if let Ok((read, place)) = read {
            prop_assert!(place + read.parameters.authentication.len() <= secured.len());
        }
    }
}
