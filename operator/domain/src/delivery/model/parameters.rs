//! The parameters of an instance on a service server: JSON with pointers into it (RFC 6901), and
//! secrets that show only a digest until a driver sends them.
//!
//! Made by `resolve_server`, compared by verify, carried by an action to a driver.

use entente_crds::digest::Digest;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::delivery::model::digest::digest;
use crate::secret::SecretText;

/// One value of the parameters.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ServerValue {
    /// A value that everybody may read.
    Open(Json),
    /// A value that is never shown; a string in JSON.
    Secret(SecretText),
}

impl ServerValue {
    /// True if the value read equals this one. The order of a list means nothing, nor does the form
    /// of a number.
    pub fn is(&self, found: &Json) -> bool {
        match self {
            Self::Open(wanted) => is_same_json(wanted, found),
            Self::Secret(secret) => found.as_str() == Some(secret.expose()),
        }
    }

    /// Returns the digest of a value that was read in its place.
    pub fn digest_of(&self, found: &Json) -> Digest {
        match self {
            Self::Open(_) => digest(found),
            Self::Secret(secret) => secret.digest_of(found),
        }
    }
}

/// Every parameter of an instance. Serializes, and shows in Debug, with digests for secrets.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Parameters {
    shown: Map<String, Json>,
    #[serde(skip)]
    secrets: Vec<(String, SecretText)>,
}

impl Parameters {
    /// Sets the value at the pointer, and makes the objects on the way to it.
    pub fn insert(&mut self, pointer: &str, value: &ServerValue) {
        match value {
            ServerValue::Open(json) => insert(&mut self.shown, pointer, json.clone()),
            ServerValue::Secret(secret) => {
                let digest = Json::String(secret.digest().to_string());
                insert(&mut self.shown, pointer, digest);
                self.secrets.push((pointer.to_owned(), secret.clone()));
            }
        }
    }

    /// Returns the value at a pointer, with secrets as their digests.
    pub fn get(&self, pointer: &str) -> Option<&Json> {
        at_pointer(&self.shown, pointer)
    }

    /// Returns the digest of all parameters.
    pub fn digest(&self) -> Digest {
        digest(&self.shown)
    }

    /// Returns the body that is sent, with the secrets in clear text. For the request only.
    pub fn exposed(&self) -> Map<String, Json> {
        let mut body = self.shown.clone();
        for (pointer, secret) in &self.secrets {
            let text = Json::String(secret.expose().to_owned());
            insert(&mut body, pointer, text);
        }
        body
    }
}

/// Returns the value at a JSON pointer.
pub(in crate::delivery) fn at_pointer<'a>(
    parameters: &'a Map<String, Json>,
    pointer: &str,
) -> Option<&'a Json> {
    let path = pointer.strip_prefix('/')?;
    let (first, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    parameters.get(&unescaped(first))?.pointer(rest)
}

fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// True if two values are equal in JSON, with arrays as sets, since lists of words have no order,
/// and numbers by their value, since many servers keep every number as a float.
fn is_same_json(wanted: &Json, found: &Json) -> bool {
    match (wanted, found) {
        (Json::Array(wanted), Json::Array(found)) => {
            let mut left: Vec<&Json> = found.iter().collect();
            let mut take = |value| {
                let place = left.iter().position(|found| is_same_json(value, found));
                place.map(|place| left.swap_remove(place)).is_some()
            };
            wanted.len() == found.len() && wanted.iter().all(&mut take)
        }
        (Json::Object(wanted), Json::Object(found)) => {
            let mut fields = wanted.iter();
            wanted.len() == found.len()
                && fields.all(|(name, value)| {
                    let found = found.get(name);
                    found.is_some_and(|found| is_same_json(value, found))
                })
        }
        (Json::Number(wanted), Json::Number(found)) => {
            // Whole numbers are compared whole: as floats large ones would be equal too soon.
            let is_float = wanted.is_f64() || found.is_f64();
            wanted == found || (is_float && wanted.as_f64() == found.as_f64())
        }
        (wanted, found) => wanted == found,
    }
}

/// Sets the value at the pointer, and makes the objects on the way to it.
///
/// The crate jsonptr does not fit: it takes a token "0" or "-" that leads nowhere for a place in an
/// array. The order of settings would then decide the request, and the "-" of a secret, which is
/// put in its place a second time when it is sent, would lead to another place.
fn insert(parameters: &mut Map<String, Json>, pointer: &str, value: Json) {
    let mut path: Vec<String> = pointer.split('/').skip(1).map(unescaped).collect();
    let Some(last) = path.pop() else { return };
    let mut object = parameters;
    for token in path {
        let entry = object
            .entry(token)
            .or_insert_with(|| Json::Object(Map::new()));
        if !entry.is_object() {
            *entry = Json::Object(Map::new());
        }
        let Some(next) = entry.as_object_mut() else {
            return;
        };
        object = next;
    }
    object.insert(last, value);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::DigestKey;

    // shows D2
    #[test]
    fn a_parameter_is_found_by_its_pointer_and_lists_have_no_order() {
        let parameters: Map<String, Json> =
            serde_json::from_value(json!({"a": {"b/c": {"~": 1}}, "x": null})).unwrap();
        assert_eq!(at_pointer(&parameters, "/a/b~1c/~0"), Some(&json!(1)));
        assert_eq!(at_pointer(&parameters, "/a/b"), None);
        assert_eq!(at_pointer(&parameters, "/x"), Some(&Json::Null));
        assert!(is_same_json(&json!(["a", "b"]), &json!(["b", "a"])));
        assert!(!is_same_json(&json!(["a"]), &json!(["a", "a"])));
        assert!(!is_same_json(&json!(5), &json!("5")));
    }

    #[test]
    fn what_is_sent_does_not_depend_on_the_order_of_the_settings() {
        let sent = |pointers: &[&str]| {
            let mut parameters = Parameters::default();
            for pointer in pointers {
                parameters.insert(pointer, &ServerValue::Open(json!(pointer)));
            }
            Json::Object(parameters.exposed())
        };
        let one = sent(&["/a/0", "/a/1", "/a/-"]);
        assert_eq!(one, json!({"a": {"0": "/a/0", "1": "/a/1", "-": "/a/-"}}));
        assert_eq!(one, sent(&["/a/-", "/a/1", "/a/0"]));
    }

    #[test]
    fn a_place_in_a_list_that_the_server_has_is_found() {
        let found: Map<String, Json> = serde_json::from_value(json!({"a": [{"b": 1}]})).unwrap();
        assert_eq!(at_pointer(&found, "/a/0/b"), Some(&json!(1)));
        assert_eq!(at_pointer(&found, "/a/1/b"), None);
    }

    // shows K4
    #[test]
    fn a_secret_is_in_the_body_that_is_sent_and_nowhere_else() {
        let secret = SecretText::new("s3cr3t-token".to_owned(), &DigestKey::new(b"k".to_vec()));
        let mut parameters = Parameters::default();
        parameters.insert("/mode", &ServerValue::Open(json!("Full")));
        parameters.insert("/login/token", &ServerValue::Secret(secret.clone()));
        let body = Json::Object(parameters.exposed());
        assert_eq!(
            body,
            json!({"mode": "Full", "login": {"token": "s3cr3t-token"}})
        );
        let shown = format!("{parameters:?} {}", json!(parameters));
        assert!(!shown.contains("s3cr3t"), "{shown}");
        assert!(shown.contains(&secret.digest().to_string()), "{shown}");
        assert_eq!(parameters.get("/mode"), Some(&json!("Full")));
        let wanted = ServerValue::Secret(secret);
        assert!(wanted.is(&json!("s3cr3t-token")));
        assert!(!wanted.is(&json!("another")) && !wanted.is(&json!(5)));
    }

    // shows K2
    #[test]
    fn a_number_is_the_same_in_whatever_form_it_is_given_back() {
        let same = |wanted: Json, found: Json| ServerValue::Open(wanted).is(&found);
        assert!(same(json!(15), json!(15.0)) && same(json!(15.0), json!(15)));
        assert!(same(json!(-3), json!(-3.0)) && same(json!(0), json!(-0.0)));
        assert!(same(json!([1, "two", 3]), json!([3.0, 1.0, "two"])));
        assert!(same(
            json!({"a": [1, {"b": 2}]}),
            json!({"a": [{"b": 2.0}, 1]})
        ));
        assert!(!same(json!(15), json!(15.5)) && !same(json!(15), json!("15")));
        assert!(!same(json!(1), json!(true)) && !same(json!(0), json!(null)));
        // As floats these are equal.
        assert!(!same(json!(u64::MAX), json!(u64::MAX - 1)));
        assert!(!same(json!([1, 1, 2]), json!([1, 2, 2])));
        assert!(!same(json!([1]), json!([1, 1])) && !same(json!({"a": 1}), json!({})));
        assert!(!same(json!({"a": 1}), json!({"a": 1, "b": 1})));
    }
}
