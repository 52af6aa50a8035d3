//! Callers of the operator's own endpoints: who one is (TokenReview) and what it may do to kinds of
//! Entente (SubjectAccessReview), as the API server says.
//!
//! An answer is kept for ten seconds, under a digest of the token, so that a token that was revoked or
//! a right that was taken ends soon. It must never keep, log or return a token. Called by
//! `contract_events` and `board`.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use entente_crds::GROUP;
use entente_domain::expiring::ExpiringMap;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tracing::warn;

use crate::api_error;

/// The audience that a token must be for, so that one for the API server is of no use here and one
/// for here is of none there.
const AUDIENCE: &str = "entente";
/// Time for which an answer of the API server is used.
const KEPT: Duration = Duration::from_secs(10);
/// The most callers and the most strangers that are kept; at the bound the oldest are forgotten.
const MOST_CALLERS: usize = 1024;
/// The most answers about rights that are kept: a caller may ask about each of many namespaces.
const MOST_RIGHTS: usize = 16 * 1024;
/// The most bytes of a token.
const MOST_OF_TOKEN: usize = 16 * 1024;

/// The digest of a token.
type Digest = [u8; 32];

/// A caller that the API server knows.
#[derive(Clone, Debug)]
pub struct Caller {
    user: UserInfo,
    token: Digest,
}

impl Caller {
    /// Returns its user name, such as `system:serviceaccount:acme:crm`.
    pub fn user(&self) -> &str {
        self.user.username.as_deref().unwrap_or_default()
    }
}

/// Reason why a caller or its rights are not known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallerFault {
    /// The token is nobody's, or not for this audience, or there is none.
    Unknown,
    /// The API server does not answer.
    Unavailable,
    /// The operator has no right to ask.
    NotAllowed,
}

/// A right on a kind of Entente.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Wish {
    /// The verb, such as `create`.
    pub(crate) verb: &'static str,
    /// The plural of the kind.
    pub(crate) resource: &'static str,
    /// The namespace; `None`: all of them.
    pub(crate) namespace: Option<String>,
}

/// The callers of one endpoint.
pub(crate) struct Callers {
    client: Client,
    users: Recent<Digest, UserInfo>,
    /// Tokens of nobody, apart, so that no number of them makes a caller be forgotten.
    strangers: Recent<Digest, ()>,
    rights: Recent<(Digest, Wish), bool>,
}

impl Callers {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            users: Recent::new(MOST_CALLERS),
            strangers: Recent::new(MOST_CALLERS),
            rights: Recent::new(MOST_RIGHTS),
        }
    }

    /// Returns the caller whose token it is.
    pub(crate) async fn identify(&self, token: Option<&str>) -> Result<Caller, CallerFault> {
        let token = token.filter(|token| is_token(token));
        let token = token.ok_or(CallerFault::Unknown)?;
        let digest: Digest = Sha256::digest(token.as_bytes()).into();
        if self.strangers.get(&digest).is_some() {
            return Err(CallerFault::Unknown);
        }
        let known = self.users.get(&digest);
        let user = if let Some(user) = known {
            user
        } else if let Some(user) = self.review(token).await? {
            self.users.put(digest, user.clone());
            user
        } else {
            self.strangers.put(digest, ());
            return Err(CallerFault::Unknown);
        };
        Ok(Caller {
            user,
            token: digest,
        })
    }

    /// Asks the API server whose token it is; `None`: nobody's, or not for this audience.
    async fn review(&self, token: &str) -> Result<Option<UserInfo>, CallerFault> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences: Some(vec![AUDIENCE.to_owned()]),
            },
            ..TokenReview::default()
        };
        let reviews: Api<TokenReview> = Api::all(self.client.clone());
        let answer = reviews.create(&PostParams::default(), &review).await;
        let status = answer.map_err(|error| not_now(&error))?.status;
        let status = status.unwrap_or_default();
        // A server that knows no audiences says nothing of them: its yes is for itself alone.
        let is_for_us = status
            .audiences
            .is_some_and(|audiences| audiences.iter().any(|it| it == AUDIENCE));
        let is_known = status.authenticated == Some(true) && is_for_us;
        let has_name = |user: &UserInfo| {
            user.username
                .as_deref()
                .is_some_and(|name| !name.is_empty())
        };
        Ok(status.user.filter(|user| is_known && has_name(user)))
    }

    /// Asks the API server if a caller has a right.
    pub(crate) async fn may(&self, caller: &Caller, wish: Wish) -> Result<bool, CallerFault> {
        let key = (caller.token, wish);
        if let Some(may) = self.rights.get(&key) {
            return Ok(may);
        }
        let wish = &key.1;
        let user = caller.user.clone();
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: user.username,
                groups: user.groups,
                uid: user.uid,
                extra: user.extra,
                resource_attributes: Some(ResourceAttributes {
                    group: Some(GROUP.to_owned()),
                    resource: Some(wish.resource.to_owned()),
                    verb: Some(wish.verb.to_owned()),
                    namespace: wish.namespace.clone(),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answer = reviews.create(&PostParams::default(), &review).await;
        let status = answer.map_err(|error| not_now(&error))?.status;
        let may = status.is_some_and(|it| it.allowed && it.denied != Some(true));
        self.rights.put(key, may);
        Ok(may)
    }
}

/// Returns the token of a header `Authorization: Bearer …` (RFC 6750).
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_token(text: &str) -> bool {
    (1..=MOST_OF_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn not_now(error: &kube::Error) -> CallerFault {
    // A message of the API server has no token in it; nor has the request's path.
    let words = api_error::words(error);
    warn!(error = words, "callers of an endpoint can not be reviewed");
    match error {
        kube::Error::Api(status) if status.code == 403 => CallerFault::NotAllowed,
        _ => CallerFault::Unavailable,
    }
}

/// Answers of the last ten seconds.
#[derive(Debug)]
struct Recent<K, V>(Mutex<ExpiringMap<K, V, Instant>>);

impl<K: Ord, V: Clone> Recent<K, V> {
    fn new(most: usize) -> Self {
        Self(Mutex::new(ExpiringMap::new(most, |_, _| false)))
    }

    fn get(&self, key: &K) -> Option<V> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key, Instant::now()).cloned()
    }

    fn put(&self, key: K, value: V) {
        let now = Instant::now();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(key, value, now, now + KEPT);
    }
}
