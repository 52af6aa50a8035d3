//! The fetcher against a server on loopback that answers as the test says.

use std::time::Duration;

use entente_crds::v1alpha1::{ClientAuthentication, SnmpVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::credentials::CredentialsValue;
use crate::profile::{LimitValues, TrustProfile};

fn profile() -> ConnectionProfile {
    let limit = LimitValues {
        in_flight: 1,
        per_second: 1000,
    };
    ConnectionProfile {
        name: "files".to_owned(),
        tenant: "acme".to_owned(),
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        trust: TrustProfile::Verify { ca_pem: None },
        server_name: None,
        credentials: None,
        token_url: None,
        client_authentication: ClientAuthentication::Basic,
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(5),
        per_host: limit,
        total: limit,
        snmp_version: SnmpVersion::default(),
        warnings: Vec::new(),
    }
}

/// Serves one request with this answer, and returns its URL and, at its end, the request.
async fn server(answer: &'static str) -> (Url, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/f.swu", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap().to_lowercase()
    });
    (url.parse().unwrap(), serving)
}

/// Returns the bytes from 4 on of a file of 10, as they are fetched, and the request.
async fn rest(answer: &'static str) -> (Result<(u64, String), String>, String) {
    let (url, serving) = server(answer).await;
    let wanted = Wanted {
        url: &url,
        size: 10,
        from: 4,
        validator: Some("\"a\""),
    };
    let fetched = read(&profile(), wanted).await;
    (fetched, serving.await.unwrap())
}

async fn read(profile: &ConnectionProfile, wanted: Wanted<'_>) -> Result<(u64, String), String> {
    let fetched = Fetcher::beside(&[]).fetch(profile, wanted).await;
    let mut download = fetched.map_err(|failure| failure.message)?;
    let mut bytes = Vec::new();
    while let Some(piece) = download.next().await.map_err(|failure| failure.message)? {
        bytes.extend_from_slice(&piece);
    }
    Ok((download.from, String::from_utf8(bytes).unwrap()))
}

// shows B6
#[tokio::test]
async fn the_rest_of_a_file_is_asked_for_by_its_etag_and_without_an_encoding() {
    let (fetched, request) = rest(
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\nefghij",
    )
    .await;
    assert_eq!(fetched, Ok((4, "efghij".to_owned())));
    for line in [
        "range: bytes=4-\r\n",
        "if-range: \"a\"\r\n",
        "accept-encoding: identity\r\n",
    ] {
        assert!(request.contains(line), "{line} in {request}");
    }
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcdefghij";
    let (fetched, _) = rest(whole).await;
    assert_eq!(
        fetched,
        Ok((0, "abcdefghij".to_owned())),
        "from its beginning"
    );
}

// shows B6 K5
#[tokio::test]
async fn an_answer_that_is_not_the_file_is_told_apart_by_its_head() {
    for (answer, told) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\nx",
            "has 10737418240 bytes on the server, and artifact.size",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabcdefghi",
            "has 9 bytes",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n",
            "encoding",
        ),
        (
            "HTTP/1.1 206 P\r\nContent-Range: bytes 3-9/10\r\nContent-Length: 7\r\n\r\n",
            "another part",
        ),
        (
            "HTTP/1.1 206 P\r\nContent-Range: bytes 4-9/11\r\nContent-Length: 6\r\n\r\n",
            "another part",
        ),
        (
            "HTTP/1.1 206 P\r\nContent-Length: 6\r\n\r\nefghij",
            "another part",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", "HTTP 204"),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
            "no redirect is followed",
        ),
        (
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
            "login",
        ),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nsecret",
            "has nothing at the URL",
        ),
        (
            "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
            "busy",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            "ended before the answer did",
        ),
        (
            "220 ready\r\n",
            "the connection ended before the answer did",
        ),
    ] {
        let (fetched, _) = rest(answer).await;
        let message = fetched.expect_err(answer);
        assert!(message.contains(told), "{answer}: {message}");
        assert!(
            !message.contains("127.0.0.1") && !message.contains("secret"),
            "{message}"
        );
    }
}

// shows K4
#[tokio::test]
async fn nothing_outside_the_networks_of_the_connection_is_dialled() {
    let url: Url = "http://169.254.169.254/latest".parse().unwrap();
    let wanted = Wanted {
        url: &url,
        size: 10,
        from: 0,
        validator: None,
    };
    let wide = ConnectionProfile {
        networks: vec!["0.0.0.0/0".parse().unwrap()],
        ..profile()
    };
    let message = read(&wide, wanted).await.unwrap_err();
    assert!(message.contains("outside the networks"), "{message}");
}

#[tokio::test]
async fn a_login_goes_with_the_request_and_a_slot_is_free_again_after_the_file() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"a\"\r\n\r\nabcdefghij";
    let profile = ConnectionProfile {
        credentials: Some(CredentialsValue::Bearer {
            token: "t0ken".to_owned().into(),
        }),
        ..profile()
    };
    let fetcher = Fetcher::beside(&[]);
    for _ in 0..2 {
        let (url, serving) = server(answer).await;
        let wanted = Wanted {
            url: &url,
            size: 10,
            from: 0,
            validator: Some("\"a\""),
        };
        let download = fetcher.fetch(&profile, wanted).await.unwrap();
        assert_eq!(download.validator.as_deref(), Some("\"a\""));
        assert!(!format!("{download:?}").contains("t0ken"));
        let request = serving.await.unwrap();
        assert!(request.contains("authorization: bearer t0ken"), "{request}");
        assert!(
            !request.contains("range:"),
            "the whole is asked for: {request}"
        );
    }
}
