//! Tests of the credentials in a Secret, and of the errors for a Secret that cannot be used.

use rcgen::{CertificateParams, KeyPair};

use super::*;

fn secret(entries: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()))
        .collect()
}

fn missing(key: &'static str) -> CredentialsError {
    CredentialsError::MissingKey { key }
}

#[test]
fn a_secret_is_taken_without_the_line_feed_at_its_end() {
    let bearer = |value: &str| {
        CredentialsValue::from_secret(CredentialsType::Bearer, &secret(&[("token", value)]))
    };
    let Ok(CredentialsValue::Bearer { token }) = bearer("abcd\n") else {
        panic!("no token")
    };
    assert_eq!(token.as_str(), "abcd");
    assert_eq!(bearer(" \n").unwrap_err(), missing("token"));
    assert_eq!(
        bearer("a\nb").unwrap_err(),
        CredentialsError::Unprintable { key: "token" }
    );
    let basic = CredentialsValue::from_secret(
        CredentialsType::Basic,
        &secret(&[("username", "op"), ("token", "x")]),
    );
    assert_eq!(basic.unwrap_err(), missing("password"));
}

#[test]
fn a_client_of_a_token_endpoint_needs_an_id_and_a_secret_and_may_have_a_scope() {
    let taken = |entries: &[(&str, &str)]| {
        CredentialsValue::from_secret(CredentialsType::OAuth2ClientCredentials, &secret(entries))
    };
    let (id, password) = (
        ("client-id", "entente"),
        ("client-secret", "s3cr3t-of-ours"),
    );
    assert_eq!(taken(&[password]).unwrap_err(), missing("client-id"));
    assert_eq!(taken(&[id]).unwrap_err(), missing("client-secret"));
    let Ok(CredentialsValue::OAuth2ClientCredentials { scope: None, .. }) = taken(&[id, password])
    else {
        panic!("no scope was given")
    };
    let with_scope = taken(&[id, password, ("scope", "broker fleet\n")]).unwrap();
    let CredentialsValue::OAuth2ClientCredentials {
        scope: Some(scope), ..
    } = &with_scope
    else {
        panic!("a scope was given")
    };
    assert_eq!(scope.as_str(), "broker fleet");
    let shown = format!("{with_scope:?}");
    assert!(
        !shown.contains("s3cr3t") && !shown.contains("entente"),
        "{shown}"
    );
    let odd = taken(&[id, password, ("scope", "a\u{7}b")]);
    assert_eq!(
        odd.unwrap_err(),
        CredentialsError::Unprintable { key: "scope" }
    );
}

fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["entente".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn a_client_certificate_that_cannot_be_used_names_the_key_at_fault() {
    let taken = |entries: &[(&str, &str)]| {
        CredentialsValue::from_secret(CredentialsType::ClientCertificate, &secret(entries))
    };
    let ((certificate, key), (_, other)) = (pair(), pair());
    let good = taken(&[(CERTIFICATE, &certificate), (KEY, &key)]).unwrap();
    assert_eq!(format!("{good:?}"), "ClientCertificate(redacted)");

    assert_eq!(taken(&[(KEY, &key)]).unwrap_err(), missing(CERTIFICATE));
    assert_eq!(
        taken(&[(CERTIFICATE, &certificate), (KEY, "\n")]).unwrap_err(),
        missing(KEY)
    );
    let torn = certificate.replace("MII", "@@@");
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for odd in ["garbage", &torn, &key, not_der] {
        let said = taken(&[(CERTIFICATE, odd), (KEY, &key)]).unwrap_err();
        assert!(said.to_string().contains("tls.crt is not"), "{odd}: {said}");
    }
    let not_a_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for odd in ["garbage", &certificate, not_a_key] {
        let said = taken(&[(CERTIFICATE, &certificate), (KEY, odd)]).unwrap_err();
        assert!(said.to_string().contains("tls.key is not"), "{odd}: {said}");
    }
    assert_eq!(
        taken(&[(CERTIFICATE, &certificate), (KEY, &other)]).unwrap_err(),
        CredentialsError::KeyMismatch
    );
}
