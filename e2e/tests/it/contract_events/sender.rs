//! A contract system in the cluster: a ServiceAccount with a token for the audience `entente`.

use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::{SOON, TestNamespace};
use entente_e2e::operator::Endpoint;
use entente_e2e::wait::wait_for;
use reqwest::Method;
use serde_json::{Value, json};

use crate::account::Account;

/// An answer of the endpoint.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn reason(&self) -> &str {
        self.body["title"].as_str().unwrap_or_default()
    }

    /// Returns the places of its faults in the event.
    pub(super) fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().into_iter().flatten();
        errors.filter_map(|it| it["pointer"].as_str()).collect()
    }
}

/// A sender of events.
pub(super) struct Sender<'a> {
    namespace: &'a TestNamespace<'a>,
    account: Account<'a>,
    pub(super) endpoint: &'static Endpoint,
    pub(super) token: String,
    client: reqwest::Client,
}

impl<'a> Sender<'a> {
    /// Makes a ServiceAccount that may create these kinds in its namespace, as an administrator
    /// does with kubectl, and takes a token for the audience.
    pub(super) async fn new(namespace: &'a TestNamespace<'a>, resources: &str) -> Sender<'a> {
        let sender = Self::of_audience(namespace, Some("entente")).await;
        sender.allow(resources).await;
        sender
    }

    /// Makes a ServiceAccount without rights and takes a token for an audience; none: for the API
    /// server.
    pub(super) async fn of_audience(
        namespace: &'a TestNamespace<'a>,
        audience: Option<&str>,
    ) -> Sender<'a> {
        let environment = TestEnvironment::shared().await.unwrap();
        let endpoint = environment.operator.events().expect("it is served");
        let account = Account::new(namespace, "crm").await;
        Sender {
            namespace,
            token: account.token(audience).await,
            account,
            endpoint,
            client: endpoint.client(),
        }
    }

    /// Runs kubectl in the namespace: its output.
    pub(super) async fn kubectl(&self, arguments: &[&str]) -> String {
        self.account.kubectl(arguments).await
    }

    /// Returns the path of the namespace.
    pub(super) fn path(&self) -> String {
        format!("/v1/namespaces/{}/events", self.namespace.name())
    }

    /// Gives it the right to create these kinds in its namespace.
    pub(super) async fn allow(&self, resources: &str) {
        self.allow_to(&self.account.subject(), resources).await;
    }

    /// Gives a subject, in the words of kubectl, the right to create these kinds in the namespace.
    pub(super) async fn allow_to(&self, subject: &str, resources: &str) {
        self.account.allow(subject, "create", resources).await;
    }

    /// Sends an event to a path with another token.
    pub(super) async fn send_as(&self, token: &str, path: &str, event: &Value) -> Answer {
        let request = self.bare(Method::POST, path).bearer_auth(token);
        let request = request.header("content-type", "application/cloudevents+json");
        self.ask(request.body(event.to_string())).await
    }

    /// Sends an event.
    pub(super) async fn send(&self, event: &Value) -> Answer {
        self.send_as(&self.token, &self.path(), event).await
    }

    /// Returns a request of a method without a token.
    pub(super) fn bare(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.endpoint.url());
        self.client.request(method, url)
    }

    /// Works as [`Self::ask`], and sends again what was not taken, as the answer 503 asks: the events of
    /// other tests may have every place.
    pub(super) async fn ask_until_taken(&self, request: reqwest::RequestBuilder) -> Answer {
        let taken = wait_for("an answer other than 503", SOON, async || {
            let again = request.try_clone().expect("a body that is in memory");
            Some(self.ask(again).await).filter(|answer| answer.status != 503)
        });
        taken.await.unwrap()
    }

    pub(super) async fn ask(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text);
        Answer {
            status,
            headers,
            body: body.unwrap_or_else(|_| panic!("{status}: no JSON: {text}")),
        }
    }
}

/// Returns an event of a contract.
pub(super) fn event(r#type: &str, id: &str, contract: &str, data: impl Into<Value>) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": "https://crm.example",
        "type": format!("dev.entente.contract.{type}.v1"),
        "subject": contract,
        "time": jiff::Timestamp::now().to_string(),
        "datacontenttype": "application/json",
        "data": data.into(),
    })
}
