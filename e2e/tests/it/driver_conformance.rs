//! The drivers under their conformance suite, against peers that others wrote and against our
//! simulators, which also break in ways that no peer can be made to.
//!
//! The suite runs on the fake of the unit tests as well, so that a test with the fake means
//! something. Checks that cannot be run on a peer are listed here by name: a check that is skipped
//! without being listed fails the test, as does a listed one that was not skipped.

mod device;
mod fault;
mod server;
mod simulated;
mod snmp;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use entente_crds::v1alpha1::{ConnectionSpec, IppSyntax, Protocol};
use entente_domain::remote::Value;
use entente_drivers::conformance::Report;
use entente_drivers::conformance::SettingWrite;
use entente_drivers::{ConnectionProfile, CredentialsValue};

/// Every peer answers in far less; the hanging ones are given up after it.
const REQUEST: Duration = Duration::from_secs(2);

const NO_EFFECT: &str = "success without effect is seen by reading back";
const REFUSED: &str = "a refused setting has a reason and changes nothing";
const ABSENT: &str = "a device that is not there is not made by asking";
const READ_BACK: &str = "a setting that was sent is read back";
const SAME_AGAIN: &str = "the same value again is accepted";
const REFUSED_PARAMETERS: &str = "refused parameters have a reason";

/// Returns a Connection that allows loopback.
fn profile(protocol: Protocol, credentials: Option<CredentialsValue>) -> Arc<ConnectionProfile> {
    let spec = ConnectionSpec {
        protocol,
        ..ConnectionSpec::default()
    };
    let networks = vec!["127.0.0.0/8".parse().expect("a network")];
    let mut profile = ConnectionProfile::from_spec("hq", &spec, networks, None, credentials)
        .expect("a usable Connection");
    profile.request_timeout = REQUEST;
    profile.into()
}

fn text(attribute: &str, value: &str) -> SettingWrite {
    SettingWrite {
        attribute: attribute.to_owned(),
        syntax: IppSyntax::Text,
        value: Value::Text(value.to_owned()),
    }
}

/// Every promise was kept, and exactly these checks could not be put to the peer.
pub(crate) fn assert_kept_but(report: &Report, skipped: &[&str]) {
    println!("{report}");
    report.assert_kept();
    let names: Vec<&str> = report
        .skipped()
        .into_iter()
        .map(|(check, _)| check)
        .collect();
    assert_eq!(names, skipped, "{report}");
}
