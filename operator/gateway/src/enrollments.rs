//! The enrolment that a registration shows the token of.
//!
//! Reads the Secret of each enrolment of this gateway, by name and at most every few seconds; decides
//! nothing. A Secret that cannot be read for good admits nobody; while the API server does not say, the
//! gateway does not know. Called by the routes of registrations.

use std::{collections::BTreeMap, sync::Arc};

use axum::http::{header, request::Parts};
use entente_controllers::{cache::Key, secrets::Unread};
use entente_crds::v1alpha1::{DeviceEnrollment, SecretKeyReference};
use entente_domain::{
    delivery::allows,
    enrollment::{SHORTEST_TOKEN, TOKEN_KEY},
    gateway::{admission::enrollment_of, credential::digest, headers::token, problem::Problem},
};
use futures::{StreamExt as _, stream};
use kube::ResourceExt as _;

use crate::{Gateway, availability::RETRY_AFTER, bodies::text, calls::BEARER};

/// Secrets that are read at once.
const AT_ONCE: usize = 16;

impl Gateway {
    /// Returns the enrolment of a request.
    pub(crate) async fn enrollment(&self, parts: &Parts) -> Result<Arc<DeviceEnrollment>, Problem> {
        let token = token(text(&parts.headers, header::AUTHORIZATION), BEARER);
        let shown = digest(token.ok_or(Problem::EnrollmentTokenInvalid)?);
        let mut tokens = Vec::new();
        let mut is_unknown = false;
        let mut readings = stream::iter(self.enrollments())
            .map(|enrollment| async move {
                let read = self.token_of(&enrollment).await;
                (enrollment, read)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((enrollment, read)) = readings.next().await {
            match read {
                Ok(token) => tokens.extend(token.map(|digest| (enrollment, digest))),
                Err(()) => is_unknown = true,
            }
        }
        let known = tokens.iter();
        let known = known.map(|(enrollment, digest)| (&**enrollment, digest.clone()));
        if let Some(found) = enrollment_of(known, &shown) {
            let found = Key::of(found);
            let mut all = tokens.into_iter().map(|(enrollment, _)| enrollment);
            let found = all.find(|enrollment| Key::of(&**enrollment) == found);
            return found.ok_or(Problem::EnrollmentTokenInvalid);
        }
        Err(if is_unknown {
            Problem::Unavailable(RETRY_AFTER)
        } else {
            Problem::EnrollmentTokenInvalid
        })
    }

    /// Returns the enrolments of this gateway, in namespaces that its Connection allows.
    fn enrollments(&self) -> Vec<Arc<DeviceEnrollment>> {
        let Some(connection) = self.connection() else {
            return Vec::new();
        };
        let name = &self.parts.options.connection;
        let mut enrollments = self.objects.enrollments.all();
        enrollments.retain(|enrollment| {
            let namespace = Key::new("", enrollment.namespace().unwrap_or_default());
            let namespace = self.objects.namespaces.get(&namespace);
            let labels: BTreeMap<String, String> = namespace
                .and_then(|namespace| namespace.metadata.labels.clone())
                .unwrap_or_default();
            enrollment.spec.connection_ref.name == *name && allows(&connection, &labels).is_some()
        });
        enrollments
    }

    /// Returns the digest of the token of an enrolment; none if it has no token that can be used. An error
    /// if that is not known.
    async fn token_of(&self, enrollment: &DeviceEnrollment) -> Result<Option<String>, ()> {
        let namespace = enrollment.namespace().unwrap_or_default();
        let reference = SecretKeyReference {
            name: enrollment.spec.token_secret_ref.name.clone(),
            key: TOKEN_KEY.to_owned(),
        };
        let read = self.secrets.tenant_text(&namespace, &reference, self.now());
        match read.await {
            Ok(token) => {
                let is_long = token.chars().count() >= SHORTEST_TOKEN;
                Ok(is_long.then(|| digest(&token)))
            }
            Err(Unread::Unusable(_, problem)) => {
                let name = enrollment.name_any();
                tracing::debug!(namespace, name, problem, "an enrolment has no token");
                Ok(None)
            }
            Err(Unread::Unanswered(_)) => Err(()),
        }
    }
}
