//! Bodies that are posted to servers of others, over the one checked transport.
//!
//! Decides nothing of an answer: the caller has its status, and the body of the answer is thrown away.
//! Never follows a redirect, and never posts a body twice by itself but where a login asks for it, which
//! did nothing then. Called by the gateway for the events of devices.

use std::sync::Arc;

use bytes::Bytes;
use entente_domain::remote::Failure;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use jiff::SignedDuration;
use url::Url;

use crate::profile::ConnectionProfile;
use crate::transport::{Exchange, Transport};

/// The most of an answer that is read, so that its connection can be used again.
const MOST_OF_AN_ANSWER: usize = 16 * 1024;

/// Posts bodies. Cheap to clone; all clones share connections and limits.
#[derive(Clone)]
pub struct Poster {
    transport: Arc<Transport>,
}

/// A body, and the place to which it goes.
#[derive(Clone, Debug)]
pub struct Post {
    /// The URL, `http` or `https`.
    pub url: Url,
    /// Media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
}

/// Answer of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Posted {
    /// Its status.
    pub status: u16,
    /// Wait that it asks for.
    pub retry_after: Option<SignedDuration>,
}

impl Poster {
    pub(crate) fn over(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Posts a body and returns the answer, with any status.
    ///
    /// # Errors
    /// The failure of the request, whose message is a sentence without URL and body. One that is
    /// doubtful may have been done.
    pub async fn post(&self, profile: &ConnectionProfile, post: Post) -> Result<Posted, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(post.content_type));
        let exchange = Exchange {
            profile,
            method: Method::POST,
            url: post.url,
            headers,
            body: post.body,
            pinned: None,
            most_bytes: MOST_OF_AN_ANSWER,
            writes: true,
            needs_body: false,
            streamed: false,
        };
        let answer = self.transport.send(exchange).await?;
        Ok(Posted {
            status: answer.status.as_u16(),
            retry_after: answer.retry_after,
        })
    }
}
