//! Tests of HTTP Digest: when a login is sent, how often, and that the password never is.

use std::sync::Mutex;

use super::server::Reply;
use super::*;

const PASSWORD: &str = "s3cr3t-of-ours";

fn login() -> CredentialsValue {
    CredentialsValue::Digest {
        username: "entente".to_owned().into(),
        password: PASSWORD.to_owned().into(),
    }
}

fn logged_in() -> ConnectionProfile {
    ConnectionProfile {
        credentials: Some(login()),
        ..profile()
    }
}

fn refusal(challenge: &str) -> String {
    format!(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn challenge(nonce: usize, more: &str) -> String {
    refusal(&format!(
        "Digest realm=\"mfp\", qop=\"auth\", algorithm=SHA-256, nonce=\"n{nonce}\"{more}"
    ))
}

/// Returns a parameter of the login of a request.
fn parameter(request: &str, name: &str) -> Option<String> {
    let mut lines = request.lines();
    let login = lines.find_map(|line| line.strip_prefix("Authorization: Digest "))?;
    let mut all = login.split(", ");
    let value = all.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

/// Returns the response to the request as the server calculates it.
fn expected(request: &str, nonce: &str) -> String {
    let hash = |text: String| hex::encode(<sha2::Sha256 as sha2::Digest>::digest(text));
    let key = hash(format!("entente:mfp:{PASSWORD}"));
    let line = request.lines().next().unwrap();
    let mut line = line.split(' ');
    let (method, uri) = (line.next().unwrap(), line.next().unwrap());
    let of = |name| parameter(request, name).unwrap_or_default();
    let (count, cnonce) = (of("nc"), of("cnonce"));
    let asked = hash(format!("{method}:{uri}"));
    hash(format!("{key}:{nonce}:{count}:{cnonce}:auth:{asked}"))
}

/// A device whose nonce serves so many requests; it refuses a number that it saw.
fn device(uses: usize, more: &'static str) -> Reply {
    let state = Mutex::new((1, Vec::new()));
    Arc::new(move |request| {
        let mut state = state.lock().unwrap();
        let (nonce, seen) = &mut *state;
        let current = format!("n{nonce}");
        let is_right =
            parameter(request, "response").is_some_and(|sent| sent == expected(request, &current));
        let count = parameter(request, "nc").unwrap_or_default();
        if is_right && seen.len() < uses && !seen.contains(&count) {
            seen.push(count);
            return OK.to_owned();
        }
        if seen.len() >= uses {
            *nonce += 1;
            seen.clear();
        }
        challenge(*nonce, more)
    })
}

async fn start(reply: Reply) -> Server {
    Server::start(Behaviour::Reply(reply)).await
}

async fn statuses(server: &Server, requests: usize) -> Vec<u16> {
    let (transport, profile) = (Transport::new(), logged_in());
    let address = format!("{}?queue=a", url(server.address));
    let mut statuses = Vec::new();
    for _ in 0..requests {
        let answer = transport.send(exchange(&profile, &address)).await.unwrap();
        statuses.push(answer.status.as_u16());
    }
    statuses
}

// shows K4 K7
#[tokio::test]
async fn a_challenge_is_answered_and_its_nonce_is_used_again() {
    let server = start(device(usize::MAX, "")).await;
    assert_eq!(statuses(&server, 3).await, [200; 3]);
    let requests = server.requests();
    let counts: Vec<Option<String>> = requests.iter().map(|it| parameter(it, "nc")).collect();
    let counts: Vec<Option<&str>> = counts.iter().map(Option::as_deref).collect();
    let numbers = [None, Some("00000001"), Some("00000002"), Some("00000003")];
    assert_eq!(counts, numbers, "asked once, then logged in");
    assert_eq!(
        parameter(&requests[1], "uri").as_deref(),
        Some("/path?queue=a")
    );
    for request in requests {
        assert!(!request.contains(PASSWORD) && !request.contains("Basic"));
    }
}

#[tokio::test]
async fn a_nonce_that_is_over_is_exchanged_whether_it_is_called_stale_or_not() {
    for more in [", stale=true", ""] {
        let server = start(device(1, more)).await;
        assert_eq!(statuses(&server, 3).await, [200; 3], "{more}");
        assert_eq!(server.requests().len(), 6, "one challenge for each");
    }
}

#[tokio::test]
async fn a_login_that_is_refused_is_sent_once() {
    let server = start(Arc::new(|_| challenge(1, ""))).await;
    assert_eq!(statuses(&server, 1).await, [401]);
    assert_eq!(server.requests().len(), 2);
    // Nothing is held of it: the next request asks for a challenge again.
    assert_eq!(statuses(&server, 1).await, [401]);
    assert_eq!(parameter(&server.requests()[2], "nc"), None);
}

#[tokio::test]
async fn a_nonce_that_is_always_stale_ends() {
    let server = start(Arc::new(|_| challenge(1, ", stale=TRUE"))).await;
    assert_eq!(statuses(&server, 1).await, [401]);
    assert_eq!(server.requests().len(), 3);
}

// shows K4
#[tokio::test]
async fn a_login_for_one_scheme_is_never_sent_by_the_other() {
    let server = start(Arc::new(|_| refusal("Basic realm=\"mfp\""))).await;
    assert_eq!(statuses(&server, 1).await, [401]);
    assert_eq!(server.requests().len(), 1);
    assert!(!server.requests()[0].contains("Authorization"));

    let server = start(Arc::new(|_| challenge(1, ""))).await;
    let basic = ConnectionProfile {
        credentials: Some(CredentialsValue::Basic {
            username: "entente".to_owned().into(),
            password: PASSWORD.to_owned().into(),
        }),
        ..profile()
    };
    let answer = get(&basic, &url(server.address)).await.unwrap();
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(parameter(&server.requests()[0], "response"), None);
}

#[tokio::test]
async fn another_password_does_not_use_the_nonce_of_the_first() {
    let server = start(device(usize::MAX, "")).await;
    let transport = Transport::new();
    let other = ConnectionProfile {
        credentials: Some(CredentialsValue::Digest {
            username: "entente".to_owned().into(),
            password: "another".to_owned().into(),
        }),
        ..profile()
    };
    let address = url(server.address);
    let mut statuses = Vec::new();
    for profile in [&logged_in(), &other, &logged_in()] {
        let answer = transport.send(exchange(profile, &address)).await.unwrap();
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses, [200, 401, 200]);
    assert_eq!(server.requests().len(), 5);
    assert!(!format!("{other:?}").contains("another"));
}

#[tokio::test]
async fn a_device_that_asks_for_no_login_gets_none() {
    let server = Server::start(Behaviour::Answer(OK.to_owned())).await;
    assert_eq!(statuses(&server, 2).await, [200; 2]);
    for request in server.requests() {
        assert!(!request.contains("Authorization"), "{request}");
    }
}
