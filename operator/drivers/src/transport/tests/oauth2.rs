//! Tests of tokens: the time at which one is fetched, and that the fetch keeps every bound.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::server::Reply;
use super::*;

const SECRET: &str = "s3cr3t-of-the-client";

fn ok(body: &str) -> String {
    answer("200 OK", body)
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Returns `token-1`, `token-2` and so on, each valid for so many seconds.
fn numbered(expires_in: u64) -> Reply {
    let given = AtomicUsize::new(0);
    Arc::new(move |_| {
        let number = given.fetch_add(1, Ordering::SeqCst) + 1;
        ok(&format!(
            r#"{{"access_token":"token-{number}","token_type":"Bearer","expires_in":{expires_in}}}"#
        ))
    })
}

/// Accepts the token of that number and no other.
fn taking(number: usize) -> Reply {
    Arc::new(move |request| {
        let wanted = format!("authorization: bearer token-{number}\r\n");
        if request.to_lowercase().contains(&wanted) {
            ok("ok")
        } else {
            answer("401 Unauthorized", "who are you?")
        }
    })
}

fn always(answer: String) -> Reply {
    Arc::new(move |_| answer.clone())
}

async fn start(reply: Reply) -> Server {
    Server::start(Behaviour::Reply(reply)).await
}

fn client_of(token_url: &str) -> ConnectionProfile {
    ConnectionProfile {
        credentials: Some(CredentialsValue::OAuth2ClientCredentials {
            client_id: "entente".to_owned().into(),
            client_secret: SECRET.to_owned().into(),
            scope: Some("fleet".to_owned().into()),
        }),
        token_url: Some(token_url.parse().unwrap()),
        ..profile()
    }
}

#[tokio::test]
async fn one_token_serves_many_requests_at_once_and_one_after_the_other() {
    let endpoint = start(numbered(3600)).await;
    let server = start(taking(1)).await;
    let (profile, transport) = (client_of(&url(endpoint.address)), Transport::new());
    let address = url(server.address);
    let send = || transport.send(exchange(&profile, &address));
    let answers = join_all((0..20).map(|_| send())).await;
    for answer in answers {
        assert_eq!(answer.unwrap().status, StatusCode::OK);
    }
    assert_eq!(send().await.unwrap().status, StatusCode::OK);
    let asked = endpoint.requests();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let asked = &asked[0];
    // entente:s3cr3t-of-the-client
    let login = "Authorization: Basic ZW50ZW50ZTpzM2NyM3Qtb2YtdGhlLWNsaWVudA==\r\n";
    assert!(asked.starts_with("POST /path "), "{asked}");
    assert!(asked.contains(login), "{asked}");
    assert!(
        asked.ends_with("\r\n\r\ngrant_type=client_credentials&scope=fleet"),
        "{asked}"
    );
}

// shows K7
#[tokio::test]
async fn an_endpoint_that_wants_id_and_secret_in_the_body_gets_them_there_alone() {
    let endpoint = start(numbered(3600)).await;
    let server = start(always(ok("ok"))).await;
    let transport = Transport::new();
    let address = url(server.address);
    let by_header = client_of(&url(endpoint.address));
    let by_body = ConnectionProfile {
        client_authentication: ClientAuthentication::Body,
        ..by_header.clone()
    };
    for profile in [&by_body, &by_header] {
        let answer = transport.send(exchange(profile, &address)).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
    }
    let asked = endpoint.requests();
    assert_eq!(asked.len(), 2, "a token of the other way is not used");
    assert!(!asked[0].contains("Authorization"), "{}", asked[0]);
    let form = "\r\n\r\ngrant_type=client_credentials&client_id=entente\
                &client_secret=s3cr3t-of-the-client&scope=fleet";
    assert!(asked[0].ends_with(form), "{}", asked[0]);
    assert!(asked[1].contains("Authorization: Basic "), "{}", asked[1]);
    assert!(!asked[1].contains("client_secret="), "{}", asked[1]);
}

#[tokio::test]
async fn a_token_whose_time_is_over_is_fetched_again() {
    let endpoint = start(numbered(0)).await;
    let server = start(taking(2)).await;
    let (profile, transport) = (client_of(&url(endpoint.address)), Transport::new());
    let address = url(server.address);
    // The first is refused, for which the second is fetched; it is not held for the next request.
    let answer = transport.send(exchange(&profile, &address)).await;
    assert_eq!(answer.unwrap().status, StatusCode::OK);
    assert_eq!(endpoint.requests().len(), 2);
    transport.send(exchange(&profile, &address)).await.unwrap();
    assert!(endpoint.requests().len() > 2);
}

#[tokio::test]
async fn a_token_that_is_refused_is_fetched_again_once() {
    let endpoint = start(numbered(3600)).await;
    let server = start(taking(2)).await;
    let (profile, transport) = (client_of(&url(endpoint.address)), Transport::new());
    let address = url(server.address);
    for _ in 0..2 {
        let answer = transport.send(exchange(&profile, &address)).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
    }
    let counts = (endpoint.requests().len(), server.requests().len());
    assert_eq!(
        counts,
        (2, 3),
        "refused, fetched anew, sent again, then held"
    );

    let never = start(taking(0)).await;
    let address = url(never.address);
    let refused = transport.send(exchange(&profile, &address)).await.unwrap();
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(never.requests().len(), 2, "no third time");
}

#[tokio::test]
async fn a_refusal_of_the_token_endpoint_is_unauthorized_and_nothing_else_is_sent() {
    let body = format!(r#"{{"error":"invalid_client","error_description":"{SECRET}"}}"#);
    let endpoint = start(always(answer("401 Unauthorized", &body))).await;
    let server = start(taking(1)).await;
    let profile = client_of(&url(endpoint.address));
    let failed = put(&profile, &url(server.address)).await.unwrap_err();
    assert_eq!(
        (failed.kind, failed.doubtful, failed.message.as_str()),
        (
            FailureKind::Unauthorized,
            false,
            "the token endpoint refused with invalid_client"
        )
    );
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_token_endpoint_that_fails_is_told_as_every_other_remote_side() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = url(listener.local_addr().unwrap());
    drop(listener);
    let hanging = Server::start(Behaviour::Hang).await;
    let long = start(always(ok(&"x".repeat(MOST_TOKEN_BYTES + 1)))).await;
    let elsewhere = start(numbered(60)).await;
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        url(elsewhere.address)
    );
    let redirecting = start(always(redirect)).await;
    let server = start(taking(1)).await;
    for (endpoint, wanted) in [
        (refusing, FailureKind::Unreachable),
        (url(hanging.address), FailureKind::TimedOut),
        (url(long.address), FailureKind::ProtocolError),
        (url(redirecting.address), FailureKind::ProtocolError),
    ] {
        let profile = ConnectionProfile {
            request_timeout: Duration::from_millis(500),
            ..client_of(&endpoint)
        };
        let failed = put(&profile, &url(server.address)).await;
        let message = &failed.as_ref().unwrap_err().message;
        assert!(message.contains("the token endpoint"), "{message}");
        assert_eq!(kind(failed), (wanted, false));
    }
    assert_eq!((elsewhere.connections(), server.connections()), (0, 0));
}

// shows K4
#[tokio::test]
async fn a_token_endpoint_outside_the_networks_is_never_dialled() {
    let endpoint = start(numbered(3600)).await;
    let server = start(taking(1)).await;
    let port = endpoint.address.port();
    // The server's own address is allowed, so only the token endpoint is at fault.
    let of = |host: &str, network: &str| ConnectionProfile {
        networks: vec![network.parse().unwrap()],
        ..client_of(&format!("http://{host}:{port}/token"))
    };
    let transport = Transport::new();
    let address = format!("http://127.0.0.2:{}/", server.address.port());
    for host in ["127.0.0.1", "2130706433", "localhost"] {
        let outside = of(host, "127.0.0.2/32");
        let failed = transport.send(exchange(&outside, &address)).await;
        assert_eq!(kind(failed), (FailureKind::AddressNotAllowed, false));
    }
    assert_eq!((endpoint.connections(), server.connections()), (0, 0));
    // A token that somebody else may fetch is not used in its place.
    let address = url(server.address);
    let inside = of("127.0.0.1", "127.0.0.1/32");
    transport.send(exchange(&inside, &address)).await.unwrap();
    assert_eq!(endpoint.connections(), 1);
    let outside = of("127.0.0.1", "10.0.0.0/8");
    let failed = transport.send(exchange(&outside, &address)).await;
    assert_eq!(kind(failed), (FailureKind::AddressNotAllowed, false));
}

#[tokio::test]
async fn another_secret_is_another_token_and_neither_is_ever_shown() {
    let endpoint = start(numbered(3600)).await;
    let server = start(always(ok("ok"))).await;
    let transport = Transport::new();
    let profile = client_of(&url(endpoint.address));
    let mut renewed = profile.clone();
    let Some(CredentialsValue::OAuth2ClientCredentials { client_secret, .. }) =
        &mut renewed.credentials
    else {
        panic!("these are the credentials")
    };
    *client_secret = "another".to_owned().into();
    let address = url(server.address);
    for profile in [&profile, &renewed, &profile] {
        let answer = transport.send(exchange(profile, &address)).await.unwrap();
        let shown = format!("{profile:?} {answer:?}");
        for secret in [SECRET, "another", "token-1", "token-2"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    assert_eq!(endpoint.requests().len(), 2);
}

#[tokio::test]
async fn the_total_of_one_request_at_a_time_does_not_keep_a_token_from_being_fetched() {
    let endpoint = start(numbered(3600)).await;
    let server = start(taking(2)).await;
    let profile = ConnectionProfile {
        total: LimitValues {
            in_flight: 1,
            per_second: 1000,
        },
        ..client_of(&url(endpoint.address))
    };
    let transport = Transport::new();
    let address = url(server.address);
    let sent = join_all((0..5).map(|_| transport.send(exchange(&profile, &address))));
    let answers = tokio::time::timeout(Duration::from_secs(10), sent).await;
    for answer in answers.unwrap() {
        assert_eq!(answer.unwrap().status, StatusCode::OK);
    }
    assert_eq!(endpoint.requests().len(), 2, "all share the new token");
}
