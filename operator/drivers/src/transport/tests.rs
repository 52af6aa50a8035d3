//! The transport against small servers on loopback that behave badly.

mod client_certificate;
mod digest;
mod oauth2;
mod pinned;
mod sentences;
mod server;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use entente_crds::v1alpha1::{ClientAuthentication, SnmpVersion};
use futures::future::join_all;

use super::*;
use crate::certificate::fingerprint;
use crate::profile::{LimitValues, TrustProfile};
use server::{Behaviour, Server};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn profile() -> ConnectionProfile {
    ConnectionProfile {
        name: "hq".to_owned(),
        tenant: "acme".to_owned(),
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        trust: TrustProfile::Verify { ca_pem: None },
        server_name: None,
        credentials: None,
        token_url: None,
        client_authentication: ClientAuthentication::Basic,
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(5),
        per_host: LimitValues {
            in_flight: 8,
            per_second: 1000,
        },
        total: LimitValues {
            in_flight: 512,
            per_second: 1000,
        },
        snmp_version: SnmpVersion::default(),
        warnings: Vec::new(),
    }
}

fn exchange<'a>(profile: &'a ConnectionProfile, url: &str) -> Exchange<'a> {
    Exchange {
        profile,
        method: Method::GET,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        pinned: None,
        most_bytes: 1000,
        needs_body: true,
        streamed: false,
        writes: false,
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/path")
}

async fn get(profile: &ConnectionProfile, url: &str) -> Result<Answer, Failure> {
    Transport::new().send(exchange(profile, url)).await
}

async fn put(profile: &ConnectionProfile, url: &str) -> Result<Answer, Failure> {
    let exchange = Exchange {
        method: Method::PUT,
        writes: true,
        ..exchange(profile, url)
    };
    Transport::new().send(exchange).await
}

fn kind(result: Result<Answer, Failure>) -> (FailureKind, bool) {
    let failure = result.expect_err("a failure is expected");
    assert!(
        !failure.message.contains("127.0.0.1"),
        "the address is told: {failure:?}"
    );
    (failure.kind, failure.doubtful)
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time_and_leaves_a_doubt_about_a_write() {
    let server = Server::start(Behaviour::Hang).await;
    let profile = ConnectionProfile {
        request_timeout: Duration::from_millis(200),
        ..profile()
    };
    let begun = Instant::now();
    assert_eq!(
        kind(get(&profile, &url(server.address)).await),
        (FailureKind::TimedOut, false)
    );
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        kind(put(&profile, &url(server.address)).await),
        (FailureKind::TimedOut, true)
    );
}

#[tokio::test]
async fn a_body_that_drips_without_end_is_given_up_in_time() {
    let server = Server::start(Behaviour::Drip).await;
    let profile = ConnectionProfile {
        request_timeout: Duration::from_millis(300),
        ..profile()
    };
    assert_eq!(
        kind(put(&profile, &url(server.address)).await),
        (FailureKind::TimedOut, true)
    );
}

// shows K5
#[tokio::test]
async fn a_body_that_comes_too_slowly_is_given_up_long_before_the_end_of_the_request() {
    let server = Server::start(Behaviour::Drip).await;
    let profile = ConnectionProfile {
        request_timeout: Duration::from_mins(1),
        ..profile()
    };
    let failed = put(&profile, &url(server.address)).await;
    assert_eq!(
        failed.as_ref().unwrap_err().message,
        "the answer came too slowly"
    );
    assert_eq!(kind(failed), (FailureKind::TimedOut, true));
}

// shows K4
#[tokio::test]
async fn large_bodies_wait_for_memory_longer_than_the_request_may_take_and_small_ones_do_not() {
    const KIB: usize = 1024;
    let most_bytes = 1024 * KIB;
    // One body of 300 KiB and what is read ahead of it.
    let transport = Transport {
        bodies: BodyBudget::of(700 * KIB),
        ..Transport::default()
    };
    let profile = ConnectionProfile {
        request_timeout: Duration::from_secs(1),
        ..profile()
    };
    let stalled = Server::start(Behaviour::Stall(300 * KIB, 200 * KIB)).await;
    let body = "x".repeat(300 * KIB);
    let length = body.len();
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
    let large = Server::start(Behaviour::Answer(large)).await;
    let small = Server::start(Behaviour::Answer(OK.to_owned())).await;
    let ask = async |server: &Server| {
        let exchange = Exchange {
            most_bytes,
            ..exchange(&profile, &url(server.address))
        };
        transport.send(exchange).await
    };
    // Three that stall hold the memory for a second each, one after the other.
    let stalls = join_all((0..3).map(|_| ask(&stalled)));
    let others = async {
        while transport.bodies.is_whole() {
            tokio::task::yield_now().await;
        }
        let begun = Instant::now();
        let answer = ask(&small).await.unwrap();
        assert_eq!(answer.body, "ok");
        assert!(begun.elapsed() < Duration::from_millis(900), "at once");
        let answer = ask(&large).await.unwrap();
        assert_eq!(answer.body.len(), length);
        assert!(!transport.bodies.is_whole(), "as long as the body is there");
        begun.elapsed()
    };
    let (stalls, waited) = futures::join!(stalls, others);
    assert!(waited > Duration::from_millis(1500), "{waited:?}");
    for failed in stalls {
        assert_eq!(kind(failed), (FailureKind::TimedOut, false));
    }
    assert!(transport.bodies.is_whole(), "all of it is given back");
}

#[tokio::test]
async fn a_reset_after_the_request_leaves_a_doubt_about_a_write() {
    let server = Server::start(Behaviour::Reset).await;
    let profile = profile();
    let address = url(server.address);
    assert_eq!(
        kind(get(&profile, &address).await),
        (FailureKind::ProtocolError, false)
    );
    assert_eq!(
        kind(put(&profile, &address).await),
        (FailureKind::ProtocolError, true)
    );
}

#[tokio::test]
async fn a_refused_connection_leaves_no_doubt() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failed = put(&profile(), &url(address)).await;
    assert_eq!(
        failed.as_ref().unwrap_err().message,
        "the connection was refused"
    );
    assert_eq!(kind(failed), (FailureKind::Unreachable, false));
}

#[tokio::test]
async fn a_name_without_an_address_is_unreachable() {
    let failed = put(&profile(), "http://no-such-host.invalid/").await;
    assert_eq!(
        failed.as_ref().unwrap_err().message,
        "the name has no address"
    );
    assert_eq!(kind(failed), (FailureKind::Unreachable, false));
}

#[tokio::test]
async fn an_answer_longer_than_the_cap_is_not_read() {
    let profile = profile();
    let announced = format!(
        "HTTP/1.1 200 OK\r\nRetry-After: 9\r\nContent-Length: 1001\r\n\r\n{}",
        "x".repeat(1001)
    );
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nRetry-After: 9\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(3)
    );
    for answer in [announced, chunked] {
        let server = Server::start(Behaviour::Answer(answer)).await;
        let failed = put(&profile, &url(server.address)).await;
        let retry_after = failed.as_ref().unwrap_err().retry_after;
        assert_eq!(retry_after, Some(SignedDuration::from_secs(9)));
        assert_eq!(kind(failed), (FailureKind::ProtocolError, true));
    }
    let just = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}",
        "x".repeat(1000)
    );
    let server = Server::start(Behaviour::Answer(just)).await;
    assert_eq!(
        get(&profile, &url(server.address))
            .await
            .unwrap()
            .body
            .len(),
        1000
    );
}

#[tokio::test]
async fn an_error_keeps_its_status_and_its_wish_whatever_its_length() {
    let profile = profile();
    let head = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30";
    let announced = format!("{head}\r\nContent-Length: 5000\r\n\r\n{}", "x".repeat(5000));
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let chunked = format!(
        "{head}\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(9)
    );
    let broken = format!("{head}\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}no length\r\n");
    for answer in [announced, chunked, broken] {
        let server = Server::start(Behaviour::Answer(answer)).await;
        let answer = put(&profile, &url(server.address)).await.unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.retry_after, Some(SignedDuration::from_secs(30)));
        assert!(answer.body.len() <= 1000);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(Behaviour::Answer(OK.to_owned())).await;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        url(elsewhere.address)
    );
    let server = Server::start(Behaviour::Answer(answer)).await;
    let answer = get(&profile(), &url(server.address)).await.unwrap();
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn an_address_outside_the_networks_is_never_dialled() {
    let server = Server::start(Behaviour::Answer(OK.to_owned())).await;
    let port = server.address.port();
    let outside = ConnectionProfile {
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        ..profile()
    };
    // An address, odd spellings of it, and a name: only the last one meets a resolver.
    for host in ["127.0.0.1", "127.1", "2130706433", "localhost"] {
        let failed = kind(put(&outside, &format!("http://{host}:{port}/")).await);
        assert_eq!(failed, (FailureKind::AddressNotAllowed, false), "{host}");
    }
    assert_eq!(server.connections(), 0);
    let inside = get(&profile(), &format!("http://localhost:{port}/")).await;
    assert_eq!(inside.unwrap().body, "ok");
    assert_eq!(server.connections(), 1);
}

// shows K4
#[tokio::test]
async fn an_address_of_the_api_server_is_dialled_only_if_it_is_listed_by_itself() {
    // An address of documentation (RFC 5737): nothing listens there, and nothing is dialled.
    let api_server = "192.0.2.1".parse().unwrap();
    let listing = |network: &str| ConnectionProfile {
        networks: vec![network.parse().unwrap()],
        request_timeout: Duration::from_millis(50),
        ..profile()
    };
    for (network, is_refused) in [("192.0.2.0/24", true), ("192.0.2.1/32", false)] {
        let transport = Transport::beside(&[api_server]);
        let profile = listing(network);
        let asked = exchange(&profile, "https://192.0.2.1:443/");
        let (failed, _) = kind(transport.send(asked).await);
        let refused = failed == FailureKind::AddressNotAllowed;
        assert_eq!(refused, is_refused, "{network}: {failed:?}");
    }
}

#[tokio::test]
async fn no_networks_means_nothing_is_dialled() {
    let server = Server::start(Behaviour::Answer(OK.to_owned())).await;
    let nowhere = ConnectionProfile {
        networks: Vec::new(),
        ..profile()
    };
    let failed = kind(get(&nowhere, &url(server.address)).await);
    assert_eq!(failed, (FailureKind::AddressNotAllowed, false));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_wish_to_be_asked_later_is_read_as_seconds_and_as_a_date() {
    for wish in ["120", "Wed, 21 Oct 2026 07:30:00 GMT"] {
        let answer = format!(
            "HTTP/1.1 503 Busy\r\nDate: Wed, 21 Oct 2026 07:28:00 GMT\r\nRetry-After: {wish}\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let server = Server::start(Behaviour::Answer(answer)).await;
        let answer = get(&profile(), &url(server.address)).await.unwrap();
        assert_eq!(
            answer.retry_after,
            Some(SignedDuration::from_secs(120)),
            "{wish}"
        );
    }
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let server = Server::start(Behaviour::Answer(OK.to_owned())).await;
    let credentials = CredentialsValue::Basic {
        username: "Aladdin".to_owned().into(),
        password: "open sesame".to_owned().into(),
    };
    let profile = ConnectionProfile {
        credentials: Some(credentials),
        ..profile()
    };
    get(&profile, &url(server.address)).await.unwrap();
    let request = server.requests().remove(0).to_lowercase();
    assert!(
        request.contains("authorization: basic qwxhzgrpbjpvcgvuihnlc2ftzq=="),
        "{request}"
    );
    let shown = format!("{profile:?}");
    assert!(
        !shown.contains("sesame") && !shown.contains("Aladdin"),
        "{shown}"
    );
}

// shows K7
#[tokio::test]
async fn the_names_of_headers_are_written_as_devices_that_compare_by_case_expect_them() {
    let server = Server::start(Behaviour::Answer(OK.to_owned())).await;
    let login = CredentialsValue::Bearer {
        token: "t0k".to_owned().into(),
    };
    let profile = ConnectionProfile {
        credentials: Some(login),
        ..profile()
    };
    let headers = [("content-type", "application/ipp")];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let sent = Exchange {
        method: Method::POST,
        headers: HeaderMap::from_iter(headers),
        body: Bytes::from_static(b"ipp"),
        ..exchange(&profile, &url(server.address))
    };
    Transport::new().send(sent).await.unwrap();
    let request = server.requests().remove(0);
    for header in [
        "\r\nHost: ",
        "\r\nContent-Type: application/ipp\r\n",
        "\r\nContent-Length: 3\r\n",
        "\r\nAuthorization: Bearer t0k\r\n",
        "\r\nUser-Agent: entente\r\n",
    ] {
        assert!(request.contains(header), "{header:?} in {request}");
    }
}

#[tokio::test]
async fn no_more_requests_are_in_flight_than_the_host_may_have() {
    let server = Server::start(Behaviour::Slow(Duration::from_millis(30))).await;
    let profile = ConnectionProfile {
        per_host: LimitValues {
            in_flight: 2,
            per_second: 1000,
        },
        ..profile()
    };
    let transport = Transport::new();
    let address = url(server.address);
    let answers = join_all((0..10).map(|_| transport.send(exchange(&profile, &address)))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(server.most_at_once(), 2);
}

#[tokio::test]
async fn no_more_requests_are_in_flight_than_the_connection_may_have() {
    let behaviour = || Behaviour::Slow(Duration::from_millis(30));
    let (first, second) = (
        Server::start(behaviour()).await,
        Server::start(behaviour()).await,
    );
    let profile = ConnectionProfile {
        total: LimitValues {
            in_flight: 1,
            per_second: 1000,
        },
        ..profile()
    };
    let transport = Transport::new();
    let begun = Instant::now();
    let addresses = [url(first.address), url(second.address)];
    join_all(
        addresses
            .iter()
            .map(|address| transport.send(exchange(&profile, address))),
    )
    .await;
    assert!(
        begun.elapsed() >= Duration::from_millis(60),
        "one after the other"
    );
}

// shows K5
#[tokio::test]
async fn a_host_that_hangs_holds_nobody_else() {
    let hung = Server::start(Behaviour::Hang).await;
    let well = Server::start(Behaviour::Answer(OK.to_owned())).await;
    let profile = ConnectionProfile {
        per_host: LimitValues {
            in_flight: 1,
            per_second: 1000,
        },
        // Fewer than there are requests for the host that hangs.
        total: LimitValues {
            in_flight: 4,
            per_second: 1000,
        },
        ..profile()
    };
    let transport = Arc::new(Transport::new());
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let (transport, profile) = (Arc::clone(&transport), profile.clone());
            let address = url(hung.address);
            tokio::spawn(async move { transport.send(exchange(&profile, &address)).await })
        })
        .collect();
    hung.wait_for_connections(1).await;
    let begun = Instant::now();
    for _ in 0..20 {
        transport
            .send(exchange(&profile, &url(well.address)))
            .await
            .unwrap();
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(hung.connections(), 1, "the others wait for their turn");
    for task in waiting {
        task.abort();
    }
}

#[tokio::test]
async fn a_turn_is_given_back_when_the_caller_goes_away() {
    let server = Server::start(Behaviour::Hang).await;
    let profile = ConnectionProfile {
        per_host: LimitValues {
            in_flight: 1,
            per_second: 1000,
        },
        ..profile()
    };
    let transport = Transport::new();
    let address = url(server.address);
    for turn in 1..=3 {
        let sending = transport.send(exchange(&profile, &address));
        tokio::select! {
            answer = sending => panic!("nothing answers: {answer:?}"),
            () = server.wait_for_connections(turn) => {}
        }
    }
}

#[tokio::test]
async fn one_client_serves_all_who_share_its_rules_and_no_others() {
    let server = Server::start(Behaviour::Answer(OK.to_owned())).await;
    let transport = Transport::new();
    let address = url(server.address);
    let one = profile();
    let same = ConnectionProfile {
        name: "other".to_owned(),
        ..profile()
    };
    let wider = ConnectionProfile {
        networks: vec![
            "127.0.0.0/8".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
        ],
        ..profile()
    };
    for profile in [&one, &same, &one] {
        transport.send(exchange(profile, &address)).await.unwrap();
    }
    assert_eq!((transport.held_clients(), server.connections()), (1, 1));
    transport.send(exchange(&wider, &address)).await.unwrap();
    assert_eq!((transport.held_clients(), server.connections()), (2, 2));
}
