//! The trust of the IPP driver in `ippeveprinter`, which has a TLS certificate of its own making.

use entente_crds::v1alpha1::Protocol;
use entente_domain::remote::{DeviceReading, Failure, FailureKind};
use entente_drivers::conformance::ipp_probe;
use entente_drivers::{DeviceTarget, Drivers, TrustProfile};
use entente_e2e::peers::{IppEvePrinter, IppEvePrinterOptions};

use super::profile;

async fn read(
    url: &str,
    trust: TrustProfile,
    pinned: Option<&str>,
) -> Result<DeviceReading, Failure> {
    let mut profile = (*profile(Protocol::IPP, None)).clone();
    profile.trust = trust;
    let target = DeviceTarget {
        secrets: entente_domain::secret::Secrets::default(),
        profile: profile.into(),
        url: url.to_owned(),
        printer_uri: None,
        pinned_certificate: pinned.map(str::to_owned),
    };
    let request = ipp_probe("printer-uuid");
    let drivers = Drivers::real();
    drivers
        .device(Protocol::IPP)
        .unwrap()
        .observe(&target, &request)
        .await
}

#[tokio::test]
async fn a_certificate_of_a_devices_own_making_is_trusted_by_its_fingerprint_alone() {
    let printer = IppEvePrinter::start(IppEvePrinterOptions::default())
        .await
        .unwrap();
    let url = printer.uri().replace("ipp://", "ipps://");
    let verify = TrustProfile::Verify { ca_pem: None };
    let refused = read(&url, verify, None).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::TlsFailed, "{refused:?}");
    let first = read(&url, TrustProfile::FirstUse, None).await.unwrap();
    let seen = first.certificate_sha256.expect("TLS was spoken");
    for trust in [TrustProfile::FirstUse, TrustProfile::Pin] {
        let again = read(&url, trust.clone(), Some(&seen)).await.unwrap();
        assert_eq!(again.certificate_sha256.as_deref(), Some(seen.as_str()));
        let other = "00".repeat(32);
        let changed = read(&url, trust, Some(&other)).await.unwrap_err();
        assert_eq!(changed.kind, FailureKind::CertificateChanged, "{changed:?}");
    }
    let nothing_pinned = read(&url, TrustProfile::Pin, None).await.unwrap_err();
    assert!(!nothing_pinned.doubtful, "{nothing_pinned:?}");
}
