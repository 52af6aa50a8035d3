//! Service servers that speak the Open Service Broker API 2.17.
//!
//! One method, one request. The meaning of an answer is one pure table in `answer`; the domain
//! decides the treatment of a doubtful one. Names in the requests are stable (customer, namespace,
//! subscription), never a uid, so that the same instance is found after a restore.

mod answer;
mod catalog;

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use bytes::Bytes;
use entente_domain::remote::{
    Catalog, Failure, FailureKind, InstanceContext, InstanceKey, InstanceReading, InstanceRequest,
    OperationState, ServerAnswer,
};
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use url::Url;

use crate::credentials::AccessToken;
use crate::parsing::parse;
use crate::service::{ServerTarget, ServiceDriver};
use crate::text::PrivateTexts;
use crate::transport::{Exchange, Transport};
use answer::{Asked, Outcome};

const VERSION: HeaderName = HeaderName::from_static("x-broker-api-version");
const ORIGINATING_IDENTITY: HeaderName =
    HeaderName::from_static("x-broker-api-originating-identity");
const REQUEST_IDENTITY: HeaderName = HeaderName::from_static("x-broker-api-request-identity");

/// The driver. One for a process.
pub struct OsbDriver {
    transport: Arc<Transport>,
}

/// One request before it is HTTP.
struct Call<'a> {
    asked: Asked,
    method: Method,
    /// Segments of the path after `/v2`.
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    body: Option<Value>,
    /// The name of the subscription, where the request is made for one.
    subscription: Option<&'a str>,
}

impl OsbDriver {
    /// Makes a driver. Sends nothing by itself.
    pub fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    async fn call(&self, target: &ServerTarget, call: Call<'_>) -> Result<Outcome, Failure> {
        self.ask(target, call, |outcome, _| Ok(outcome)).await
    }

    /// Sends a request. Returns what is read from its outcome, in which no private text may be quoted.
    async fn ask<T>(
        &self,
        target: &ServerTarget,
        call: Call<'_>,
        read: impl FnOnce(Outcome, PrivateTexts<'_>) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(VERSION, HeaderValue::from_static("2.17"));
        headers.insert(
            ORIGINATING_IDENTITY,
            originating_identity(call.subscription)?,
        );
        headers.insert(REQUEST_IDENTITY, header(&uuid::Uuid::new_v4().to_string())?);
        let body = call.body.map(|body| body.to_string());
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let answer = self
            .transport
            .send(Exchange {
                profile: &target.profile,
                method: call.method,
                url: url(&target.url, call.path, call.query)?,
                headers,
                body: body.map(Bytes::from).unwrap_or_default(),
                pinned: None,
                most_bytes: call.asked.most_bytes(),
                writes: call.asked.writes(),
                needs_body: call.asked != Asked::Deprovision,
                streamed: false,
            })
            .await?;
        let private = private(target, answer.token.as_ref());
        let (asked, status, wait) = (call.asked, answer.status, answer.retry_after);
        parse(answer.body.len(), || {
            let outcome = answer::judge(asked, status, &answer.body, wait, private)?;
            read(outcome, private)
        })
        .await
    }
}

#[async_trait]
impl ServiceDriver for OsbDriver {
    async fn catalog(&self, target: &ServerTarget) -> Result<Catalog, Failure> {
        let call = Call {
            asked: Asked::Catalog,
            method: Method::GET,
            path: &["catalog"],
            query: &[],
            body: None,
            subscription: None,
        };
        let read = |outcome, private: PrivateTexts<'_>| answer::catalog(&outcome, private);
        self.ask(target, call, read).await
    }

    async fn observe(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        retrievable: bool,
    ) -> Result<InstanceReading, Failure> {
        if !retrievable {
            return Ok(InstanceReading::NotRetrievable);
        }
        let mut query = offering(instance).to_vec();
        query.retain(|(_, id)| !id.is_empty());
        let call = Call {
            asked: Asked::Fetch,
            method: Method::GET,
            path: &["service_instances", &instance.instance_id],
            query: &query,
            body: None,
            subscription: None,
        };
        answer::instance(self.call(target, call).await?)
    }

    async fn provision(
        &self,
        target: &ServerTarget,
        request: InstanceRequest<'_>,
    ) -> Result<ServerAnswer, Failure> {
        let (instance, context) = (request.instance, request.context);
        let mut body = json!({
            "service_id": instance.service_id,
            "plan_id": instance.plan_id,
            "organization_guid": context.organization,
            "space_guid": context.namespace,
            "context": platform_context(context),
            "parameters": request.parameters,
        });
        if let Some(version) = request.maintenance_version {
            body["maintenance_info"] = json!({ "version": version });
        }
        let call = Call {
            asked: Asked::Provision,
            method: Method::PUT,
            path: &["service_instances", &instance.instance_id],
            query: &[("accepts_incomplete", "true")],
            body: Some(body),
            subscription: Some(&context.subscription),
        };
        Ok(answer::of_write(self.call(target, call).await?))
    }

    async fn update(
        &self,
        target: &ServerTarget,
        request: InstanceRequest<'_>,
    ) -> Result<ServerAnswer, Failure> {
        let (instance, context) = (request.instance, request.context);
        // A plan is named where it stays, too: many brokers know no update without one.
        let mut body = json!({
            "service_id": instance.service_id,
            "plan_id": request.to_plan.unwrap_or(&instance.plan_id),
            "previous_values": { "plan_id": instance.plan_id },
            "context": platform_context(context),
            "parameters": request.parameters,
        });
        if let Some(version) = request.maintenance_version {
            body["maintenance_info"] = json!({ "version": version });
        }
        let call = Call {
            asked: Asked::Update,
            method: Method::PATCH,
            path: &["service_instances", &instance.instance_id],
            query: &[("accepts_incomplete", "true")],
            body: Some(body),
            subscription: Some(&context.subscription),
        };
        Ok(answer::of_write(self.call(target, call).await?))
    }

    async fn last_operation(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        operation: Option<&str>,
    ) -> Result<OperationState, Failure> {
        let mut query = offering(instance).to_vec();
        query.extend(operation.map(|operation| ("operation", operation)));
        let call = Call {
            asked: Asked::LastOperation,
            method: Method::GET,
            path: &["service_instances", &instance.instance_id, "last_operation"],
            query: &query,
            body: None,
            subscription: None,
        };
        let read = |outcome, private: PrivateTexts<'_>| answer::operation_state(&outcome, private);
        self.ask(target, call, read).await
    }

    async fn deprovision(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        context: &InstanceContext,
    ) -> Result<ServerAnswer, Failure> {
        let [service, plan] = offering(instance);
        let call = Call {
            asked: Asked::Deprovision,
            method: Method::DELETE,
            path: &["service_instances", &instance.instance_id],
            query: &[service, plan, ("accepts_incomplete", "true")],
            body: None,
            subscription: Some(&context.subscription),
        };
        Ok(answer::of_write(self.call(target, call).await?))
    }
}

fn private<'a>(target: &'a ServerTarget, token: Option<&'a AccessToken>) -> PrivateTexts<'a> {
    PrivateTexts {
        credentials: target.profile.credentials.as_ref(),
        token,
        url: &target.url,
        secrets: Some(&target.secrets),
    }
}

fn offering(instance: &InstanceKey) -> [(&'static str, &str); 2] {
    [
        ("service_id", &instance.service_id),
        ("plan_id", &instance.plan_id),
    ]
}

/// Returns the context of the platform `kubernetes` (OSB profile). It has no `clusterid`: the same
/// instance must be found after a move to another cluster. A broker that tells customers apart by it
/// does so as by the organization.
fn platform_context(context: &InstanceContext) -> Value {
    json!({
        "platform": "kubernetes",
        "namespace": context.namespace,
        "instance_name": context.subscription,
        "customer": context.organization,
    })
}

/// Returns the originating identity (OSB "Originating Identity"): always the operator, with the
/// name of the subscription.
fn originating_identity(subscription: Option<&str>) -> Result<HeaderValue, Failure> {
    let extra: Map<String, Value> = subscription
        .map(|name| ("subscription".to_owned(), json!([name])))
        .into_iter()
        .collect();
    let user = json!({"username": "entente", "uid": "", "groups": [], "extra": extra});
    let encoded = base64::engine::general_purpose::STANDARD.encode(user.to_string());
    header(&format!("kubernetes {encoded}"))
}

fn header(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text)
        .map_err(|_| Failure::new(FailureKind::ProtocolError, "a header cannot be written"))
}

/// Returns the broker's URL with `/v2`, these segments and this query, each encoded.
fn url(base: &str, path: &[&str], query: &[(&str, &str)]) -> Result<Url, Failure> {
    let refused = || {
        Failure::new(
            FailureKind::Unreachable,
            "the URL is not an http or https URL",
        )
    };
    let mut url = Url::parse(base).map_err(|_| refused())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused());
    }
    url.path_segments_mut()
        .map_err(|()| refused())?
        .pop_if_empty()
        .push("v2")
        .extend(path);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_url_is_encoded() {
        let base = "https://broker.example/a/";
        let built = url(
            base,
            &["service_instances", "a/../b?c"],
            &[("plan_id", "x&y=z")],
        )
        .unwrap();
        assert_eq!(
            built.as_str(),
            "https://broker.example/a/v2/service_instances/a%2F..%2Fb%3Fc?plan_id=x%26y%3Dz"
        );
        let built = url("http://broker", &["catalog"], &[]).unwrap();
        assert_eq!(built.as_str(), "http://broker/v2/catalog");
        assert!(url("ipp://broker", &[], &[]).is_err());
    }
}
