//! The driver, against agents of a few lines that are odd in the ways that people have reported.

pub(super) mod agent;
mod odd;
mod recordings;
mod reports;
mod version_3;
mod zoo;

use super::*;

#[test]
fn a_value_is_written_in_its_syntax_and_read_back_as_it_is_wanted() {
    for (syntax, wanted, scalar_of) in [
        (
            SnmpType::OctetString,
            Wanted::Text("Büro 3".to_owned()),
            Scalar::Text("Büro 3".to_owned()),
        ),
        (
            SnmpType::IpAddress,
            Wanted::Text("10.20.3.4".to_owned()),
            Scalar::Text("10.20.3.4".to_owned()),
        ),
        (
            SnmpType::Integer32,
            Wanted::Integer(-7),
            Scalar::Integer(-7),
        ),
        (
            SnmpType::Gauge32,
            Wanted::Integer(4_294_967_295),
            Scalar::Integer(4_294_967_295),
        ),
        (
            SnmpType::TimeTicks,
            Wanted::Integer(100),
            Scalar::Integer(100),
        ),
        (
            SnmpType::TruthValue,
            Wanted::Boolean(false),
            Scalar::Boolean(false),
        ),
    ] {
        let value = written(&wanted, syntax).unwrap();
        assert_eq!(scalar(&value, syntax), scalar_of, "{syntax:?}");
    }
}

#[test]
fn a_value_that_its_syntax_cannot_have_is_refused_with_what_is_allowed() {
    for (syntax, wanted, said) in [
        (
            SnmpType::IpAddress,
            Wanted::Text("mfp".to_owned()),
            "IPv4 address",
        ),
        (
            SnmpType::Integer32,
            Wanted::Integer(1 << 31),
            "to 2147483647",
        ),
        (SnmpType::Gauge32, Wanted::Integer(-1), "from 0"),
        (SnmpType::TimeTicks, Wanted::Integer(1 << 32), "from 0"),
        (SnmpType::TruthValue, Wanted::Integer(1), "SNMP can carry"),
    ] {
        let failure = written(&wanted, syntax).unwrap_err();
        assert!(failure.message.contains(said), "{failure:?}");
        assert!(!failure.doubtful, "nothing was sent");
    }
}

#[test]
fn what_cannot_be_compared_is_no_value_that_could_be_wanted() {
    for (value, syntax) in [
        (Value::Octets(b"B\xfcro".to_vec()), SnmpType::OctetString),
        (Value::Integer(3), SnmpType::TruthValue),
        (Value::Counter(u64::MAX), SnmpType::Gauge32),
        (Value::Malformed("cut off"), SnmpType::OctetString),
    ] {
        let read = scalar(&value, syntax);
        assert!(matches!(read, Scalar::Malformed(_)), "{read:?}");
    }
}
