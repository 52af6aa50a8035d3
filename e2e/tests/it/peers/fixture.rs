//! The fixtures themselves: nothing outlives them, nothing listens beyond 127.0.0.1, and a frozen
//! peer is frozen.

use std::path::Path;
use std::time::{Duration, Instant};

use entente_e2e::peers::ipp_client::IppClient;
use entente_e2e::peers::{
    CupsServer, IppEvePrinter, IppEvePrinterOptions, LprintServer, OpenBroker, OpenBrokerOptions,
    PrivateBus,
};
use tokio::net::TcpStream;

const DEADLINE: Duration = Duration::from_secs(10);

/// Waits until the process is gone or only its exit status is left to be collected.
async fn until_gone(process: u32) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        if !Path::new(&format!("/proc/{process}")).exists() || status.contains("State:\tZ") {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "process {process} outlives its fixture:\n{status}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Starts a peer of each kind.
async fn one_of_each() -> (LprintServer, CupsServer, IppEvePrinter, OpenBroker) {
    let printer = IppEvePrinter::start(IppEvePrinterOptions::default());
    let broker = OpenBroker::start(OpenBrokerOptions::default());
    (
        LprintServer::start(&["lab1"]).await.unwrap(),
        CupsServer::start(&["lab1"]).await.unwrap(),
        printer.await.unwrap(),
        broker.await.unwrap(),
    )
}

#[tokio::test]
async fn every_peer_is_ended_when_its_fixture_is_dropped() {
    let (lprint, cupsd, ippeveprinter, broker) = one_of_each().await;
    let processes = [
        lprint.process_id(),
        cupsd.process_id(),
        ippeveprinter.process_id(),
        broker.process_id(),
    ];
    drop((lprint, cupsd, ippeveprinter, broker));
    for process in processes {
        until_gone(process.expect("it ran")).await;
    }
}

#[tokio::test]
async fn every_peer_is_reached_at_127_0_0_1_and_at_no_other_address() {
    let (lprint, cupsd, ippeveprinter, broker) = one_of_each().await;
    for port in [
        lprint.port(),
        cupsd.port(),
        ippeveprinter.port(),
        broker.port(),
    ] {
        TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("it listens");
        // A listener on all interfaces would answer at any address of this machine.
        TcpStream::connect(("127.0.0.2", port))
            .await
            .expect_err("it listens on 127.0.0.1 only");
    }
    // lprint itself listens on all interfaces, in a network namespace that has none.
    let network = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).unwrap();
    let lprint = lprint.process_id().expect("it runs").to_string();
    assert_ne!(network(&lprint), network("self"));
}

#[tokio::test]
async fn a_frozen_printer_takes_connections_and_answers_after_it_is_thawed() {
    let printer = IppEvePrinter::start(IppEvePrinterOptions::default())
        .await
        .unwrap();
    let (client, uri) = (IppClient::new(), printer.uri());
    printer.freeze().await.unwrap();
    let names = ["printer-uuid"];
    let question = client.get(&uri, &names);
    tokio::pin!(question);
    let patience = Duration::from_millis(300);
    tokio::time::timeout(patience, &mut question)
        .await
        .expect_err("a frozen printer is silent");
    printer.thaw().await.unwrap();
    assert!(question.await.unwrap().is_success());
}

#[tokio::test]
async fn peers_start_quickly_and_a_fleet_shares_one_bus() {
    let lprint = LprintServer::start(&["lab1", "lab2"]).await.unwrap();
    let cupsd = CupsServer::start(&["lab1", "lab2"]).await.unwrap();
    let broker = OpenBroker::start(OpenBrokerOptions::default())
        .await
        .unwrap();
    let bus = PrivateBus::start().await.unwrap();
    let mut fleet = Vec::new();
    for number in 0..10 {
        let name = format!("floor{number}");
        let options = IppEvePrinterOptions {
            name,
            ..IppEvePrinterOptions::default()
        };
        fleet.push(IppEvePrinter::start_on(bus.clone(), options).await.unwrap());
    }
    println!("lprint with 2 queues {:?}", lprint.footprint());
    println!("cupsd with 2 queues {:?}", cupsd.footprint());
    println!("broker {:?}", broker.footprint());
    println!(
        "ippeveprinter, one of {} {:?}",
        fleet.len(),
        fleet[9].footprint()
    );
    for footprint in [lprint.footprint(), cupsd.footprint(), broker.footprint()] {
        assert!(footprint.started_in < DEADLINE, "{footprint:?}");
        assert!(footprint.resident_kib > 0, "{footprint:?}");
    }
}
