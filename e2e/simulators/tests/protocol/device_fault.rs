//! Every fault of a simulated device: the answers to a client and the lines of the ledger.

use std::time::{Duration, Instant};

use entente_simulators::{Cause, Fault, FaultKind, Rejection};
use ipp::value::IppValue;
use serde_json::json;

use super::driven::{GET, Ipp, device, fleet, http, text};

fn location(place: &str) -> Vec<(&'static str, IppValue)> {
    vec![("printer-location", text(place))]
}

fn is_refused(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return error.kind() == std::io::ErrorKind::ConnectionRefused;
        }
        source = error.source();
    }
    false
}

#[tokio::test]
async fn an_offline_device_refuses_connections_until_it_is_cured() {
    let (_fleet, device, ledger) = device().await;
    let ipp = Ipp::new();
    ipp.set(&device, location("Lobby")).await.unwrap();
    for _ in 0..3 {
        device.set_fault(FaultKind::Offline).await.unwrap();
        assert!(!device.is_listening());
        // This client still has a connection of before: it is cut.
        let error = ipp
            .get(&device, &["printer-uuid"])
            .await
            .err()
            .expect("offline");
        assert!(error.is_connect() && is_refused(&error), "{error:?}");
        device.clear_faults().await.unwrap();
        let answer = ipp.get(&device, &["printer-location"]).await.unwrap();
        assert_eq!(answer.printer("printer-location"), Some(&text("Lobby")));
    }
    assert_eq!(
        ledger.len(),
        4,
        "requests to an offline device leave no line"
    );
}

#[tokio::test]
async fn a_whole_fleet_can_be_taken_offline_and_back() {
    let (fleet, _ledger) = fleet(20).await;
    let ipp = Ipp::new();
    fleet.set_fault(FaultKind::Offline).await.unwrap();
    for device in fleet.devices() {
        assert!(is_refused(
            &ipp.get(device, &["printer-uuid"]).await.err().unwrap()
        ));
    }
    fleet.clear_faults().await.unwrap();
    for device in fleet.devices() {
        assert_eq!(
            ipp.get(device, &["printer-uuid"]).await.unwrap().status,
            Some(0)
        );
    }
}

#[tokio::test]
async fn a_hanging_device_takes_the_request_and_never_answers() {
    let (_fleet, device, ledger) = device().await;
    device
        .set_fault(Fault::new(FaultKind::Hang).for_requests(1))
        .await
        .unwrap();
    let impatient = Ipp::with_timeout(Duration::from_millis(200));
    let error = impatient
        .set(&device, location("Lobby"))
        .await
        .err()
        .expect("hangs");
    assert!(error.is_timeout(), "{error:?}");
    let line = &ledger.writes()[0];
    assert_eq!(
        (line.http_status, line.ipp_status, line.committed),
        (None, None, false)
    );
    assert_eq!(
        impatient
            .set(&device, location("Lobby"))
            .await
            .unwrap()
            .status,
        Some(0)
    );
}

#[tokio::test]
async fn a_device_that_stalls_begins_a_long_answer_carries_out_nothing_and_does_not_end_it() {
    const BYTES: usize = 1024 * 1024 + 1;
    let (_fleet, device, ledger) = device().await;
    let stall = Fault::new(FaultKind::Stall { bytes: BYTES });
    device.set_fault(stall).await.unwrap();
    let url = format!("http://{}/ipp/print", device.address());
    // Set-Printer-Attributes, without any.
    let request = http().post(url).body(&b"\x02\0\0\x13\0\0\0\x01\x03"[..]);
    let request = request.header("content-type", "application/ipp");
    let mut answer = request.send().await.unwrap();
    let mut came = 0;
    while came < BYTES {
        came += answer.chunk().await.unwrap().expect("it has no end").len();
    }
    assert_eq!(came, BYTES);
    let more = tokio::time::timeout(Duration::from_millis(200), answer.chunk()).await;
    assert!(more.is_err(), "{more:?}");
    assert!(!ledger.writes()[0].committed);
}

#[tokio::test]
async fn a_slow_device_carries_out_what_its_client_gave_up() {
    let (_fleet, device, ledger) = device().await;
    device
        .set_fault(FaultKind::Slow { milliseconds: 400 })
        .await
        .unwrap();
    let impatient = Ipp::with_timeout(Duration::from_millis(100));
    assert!(
        impatient
            .set(&device, location("Lobby"))
            .await
            .err()
            .unwrap()
            .is_timeout()
    );
    assert_eq!(device.attribute("printer-location"), Some(json!("Lobby")));
    assert!(ledger.writes()[0].committed);
    let started = Instant::now();
    Ipp::new()
        .get(&device, &["printer-location"])
        .await
        .unwrap();
    assert!(
        started.elapsed() >= Duration::from_millis(400),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_write_can_be_answered_with_success_and_have_no_effect() {
    // shows D1
    let (_fleet, device, ledger) = device().await;
    let ipp = Ipp::new();
    device
        .set_fault(FaultKind::NotEffective {
            attributes: Vec::new(),
        })
        .await
        .unwrap();
    assert_eq!(
        ipp.set(&device, location("Lobby")).await.unwrap().status,
        Some(0)
    );
    let answer = ipp.get(&device, &["printer-location"]).await.unwrap();
    assert_eq!(answer.printer("printer-location"), Some(&text("")));
    let line = &ledger.writes()[0];
    assert_eq!(
        (line.committed, line.changed, line.needed),
        (false, false, true)
    );
    assert!(ledger.unneeded_writes().is_empty());
}

#[tokio::test]
async fn one_attribute_of_a_write_can_be_without_effect() {
    let (_fleet, device, ledger) = device().await;
    let ipp = Ipp::new();
    let attributes = vec!["printer-location".to_owned()];
    device
        .set_fault(FaultKind::NotEffective { attributes })
        .await
        .unwrap();
    let both = vec![
        ("printer-location", text("Lobby")),
        ("printer-info", text("By the lift")),
    ];
    assert_eq!(ipp.set(&device, both).await.unwrap().status, Some(0));
    assert_eq!(device.attribute("printer-location"), Some(json!("")));
    assert_eq!(device.attribute("printer-info"), Some(json!("By the lift")));
    assert!(ledger.writes()[0].committed && ledger.writes()[0].changed);
}

#[tokio::test]
async fn a_write_can_be_refused_in_each_form_that_real_devices_have() {
    let (_fleet, device, ledger) = device().await;
    let ipp = Ipp::new();
    let forms = [
        (Rejection::NotSupported, 0x040B, 0x41),
        (Rejection::NotSettable, 0x0413, 0x15),
        (Rejection::Silent, 0x0000, 0x15),
    ];
    for (status, code, tag) in forms {
        let attributes = vec!["printer-location".to_owned()];
        device
            .set_fault(FaultKind::Reject { attributes, status })
            .await
            .unwrap();
        let both = vec![
            ("printer-location", text("Lobby")),
            ("printer-info", text("x")),
        ];
        let answer = ipp.set(&device, both).await.unwrap();
        assert_eq!(answer.status, Some(code), "{status:?}");
        assert_eq!(
            answer.unsupported("printer-location").unwrap().to_tag(),
            tag
        );
        assert!(answer.unsupported("printer-info").is_none());
        assert_eq!(
            device.attribute("printer-info"),
            Some(json!("Northwind MFP 500"))
        );
        let info = ipp
            .set(&device, vec![("printer-organization", text("A"))])
            .await
            .unwrap();
        assert_eq!(
            info.status,
            Some(0),
            "only writes of the attribute are refused"
        );
    }
    assert_eq!(
        ledger
            .writes()
            .iter()
            .filter(|line| line.needed && !line.committed)
            .count(),
        3
    );
}

#[tokio::test]
async fn http_faults_replace_the_answer_and_end_after_their_number_of_requests() {
    let (_fleet, device, ledger) = device().await;
    let ipp = Ipp::new();
    let faults = [
        (FaultKind::Unauthorized, 401, None),
        (FaultKind::http_500(), 500, None),
        (FaultKind::too_many_requests(7), 429, Some("7")),
    ];
    for (kind, http, retry_after) in faults {
        device
            .set_fault(Fault::new(kind).for_requests(2))
            .await
            .unwrap();
        for _ in 0..2 {
            let answer = ipp.set(&device, location("Lobby")).await.unwrap();
            assert_eq!(
                (answer.http, answer.retry_after.as_deref()),
                (http, retry_after)
            );
            assert_eq!(answer.status, None);
        }
        assert!(device.view().faults.is_empty());
        assert_eq!(
            ipp.get(&device, &["printer-uuid"]).await.unwrap().status,
            Some(0)
        );
    }
    assert_eq!(device.attribute("printer-location"), Some(json!("")));
    let statuses: Vec<_> = ledger
        .writes()
        .iter()
        .map(|line| line.http_status.unwrap())
        .collect();
    assert_eq!(statuses, [401, 401, 500, 500, 429, 429]);
}

#[tokio::test]
async fn a_busy_device_says_so_in_ipp() {
    let (_fleet, device, ledger) = device().await;
    let ipp = Ipp::new();
    device
        .set_fault(Fault::new(FaultKind::Busy).for_requests(1))
        .await
        .unwrap();
    assert_eq!(
        ipp.set(&device, location("Lobby")).await.unwrap().status,
        Some(0x0507)
    );
    assert_eq!(
        ipp.set(&device, location("Lobby")).await.unwrap().status,
        Some(0)
    );
    let lines = ledger.writes();
    assert_eq!(
        (lines[0].ipp_status, lines[0].committed),
        (Some(0x0507), false)
    );
    assert!(
        ledger.duplicates().is_empty(),
        "the first was not committed"
    );
}

#[tokio::test]
async fn a_write_can_be_committed_and_its_answer_lost() {
    let (_fleet, device, ledger) = device().await;
    let ipp = Ipp::new();
    device
        .set_fault(Fault::new(FaultKind::ResetAfterCommit).for_requests(1))
        .await
        .unwrap();
    ipp.get(&device, &["printer-uuid"])
        .await
        .expect("reads do not meet the fault");
    assert!(ipp.set(&device, location("Lobby")).await.is_err());
    assert_eq!(device.attribute("printer-location"), Some(json!("Lobby")));
    let line = &ledger.writes()[0];
    assert_eq!((line.committed, line.http_status), (true, None));
    ipp.set(&device, location("Lobby")).await.unwrap();
    assert_eq!(ledger.duplicates().len(), 1);
}

#[tokio::test]
async fn a_rebooting_device_is_gone_for_a_while_and_comes_back_with_factory_settings() {
    let (_fleet, device, ledger) = device().await;
    let ipp = Ipp::new();
    ipp.set(&device, location("Lobby")).await.unwrap();
    let started = Instant::now();
    device
        .set_fault(FaultKind::Reboot {
            offline_milliseconds: 300,
        })
        .await
        .unwrap();
    assert!(is_refused(
        &ipp.get(&device, &["printer-uuid"]).await.err().unwrap()
    ));
    let answer = until_it_answers(&ipp, &device).await;
    assert!(
        started.elapsed() >= Duration::from_millis(300),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(answer.printer("printer-location"), Some(&text("")));
    assert_eq!(
        answer.printer("printer-up-time"),
        Some(&IppValue::Integer(1))
    );
    assert_eq!(ledger.entries()[1].cause, Cause::Reboot);
    ipp.set(&device, location("Lobby")).await.unwrap();
    assert!(ledger.duplicates().is_empty() && ledger.unneeded_writes().is_empty());
}

#[tokio::test]
async fn a_device_can_reboot_in_place_of_answering_a_write() {
    let (_fleet, device, ledger) = device().await;
    let ipp = Ipp::new();
    let reboot = Fault::new(FaultKind::Reboot {
        offline_milliseconds: 50,
    });
    device
        .set_fault(reboot.on("Set-Printer-Attributes").for_requests(1))
        .await
        .unwrap();
    ipp.get(&device, &["printer-uuid"])
        .await
        .expect("only writes meet the fault");
    assert!(ipp.set(&device, location("Lobby")).await.is_err());
    let answer = until_it_answers(&ipp, &device).await;
    assert_eq!(answer.printer("printer-location"), Some(&text("")));
    assert!(!ledger.writes()[0].committed);
}

async fn until_it_answers(ipp: &Ipp, device: &entente_simulators::Device) -> super::driven::Answer {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match ipp
            .get(device, &["printer-location", "printer-up-time"])
            .await
        {
            Ok(answer) => return answer,
            Err(error) => {
                assert!(Instant::now() < deadline, "{error:?} {:?}", device.view());
                tokio::task::yield_now().await;
            }
        }
    }
}

#[tokio::test]
async fn a_fault_can_be_limited_to_one_operation() {
    let (_fleet, device, _ledger) = device().await;
    let ipp = Ipp::new();
    device
        .set_fault(Fault::new(FaultKind::http_500()).on("Get-Printer-Attributes"))
        .await
        .unwrap();
    assert_eq!(
        ipp.set(&device, location("Lobby")).await.unwrap().status,
        Some(0)
    );
    assert_eq!(
        ipp.send(&device, GET, Vec::new(), Vec::new())
            .await
            .unwrap()
            .http,
        500
    );
    device.clear_faults().await.unwrap();
    assert_eq!(
        ipp.send(&device, GET, Vec::new(), Vec::new())
            .await
            .unwrap()
            .http,
        200
    );
}
