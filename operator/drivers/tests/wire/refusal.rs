//! Refusals of a device by HTTP, as they come over the wire: a sentence has what the head said.

use entente_crds::v1alpha1::{IppOperation, Protocol};
use entente_domain::protocol::Place;
use entente_domain::remote::DeviceReadRequest;
use entente_drivers::{CredentialsValue, DeviceTarget, Drivers};

use super::server::{Server, profile};

// shows K7
#[tokio::test]
async fn a_refusal_names_the_scheme_the_host_and_the_url_that_is_needed() {
    for (head, sentence) in [
        (
            "401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"y\"",
            "the device asks for a login by Digest, and credentials.type is Basic",
        ),
        (
            "401 Unauthorized\r\nwww-authenticate: Negotiate\r\nWWW-Authenticate: BASIC realm=x",
            "the device refuses the login (Basic)",
        ),
        (
            "426 Upgrade Required\r\nUpgrade: TLS/1.2",
            "the device answers over TLS only (HTTP 426): the Connection needs an ipps:// URL",
        ),
        (
            "307 Temporary Redirect\r\nLocation: https://login.example/?secret",
            "the device redirects to login.example, and no redirect is followed",
        ),
    ] {
        let server = Server::start(move |_| (head.to_owned(), b"<html>".to_vec())).await;
        let login = CredentialsValue::Basic {
            username: "entente".to_owned().into(),
            password: "s3cr3t".to_owned().into(),
        };
        let target = DeviceTarget {
            secrets: entente_domain::secret::Secrets::default(),
            profile: profile(Protocol::IPP, Some(login)),
            url: format!("ipp://{}/ipp/print", server.address),
            printer_uri: None,
            pinned_certificate: None,
        };
        let probe = DeviceReadRequest {
            identity: Place::ipp(IppOperation::SetPrinterAttributes, "printer-uuid"),
            places: std::collections::BTreeSet::new(),
        };
        let drivers = Drivers::real();
        let device = drivers.device(Protocol::IPP).unwrap();
        let failure = device.observe(&target, &probe).await.unwrap_err();
        assert_eq!(failure.message, sentence);
        assert_eq!(server.arrived().len(), 1, "nothing else is tried: {head}");
    }
}
