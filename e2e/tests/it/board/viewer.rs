//! A person who reads the board: a ServiceAccount with a token for the audience `entente`.

use std::time::Duration;

use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::TestNamespace;
use entente_e2e::operator::Endpoint;
use entente_e2e::wait::wait_for;
use k8s_openapi::api::core::v1::ServiceAccount;
use reqwest::header::HeaderMap;

use crate::account::Account;

/// Name of the account.
const NAME: &str = "viewer";
/// Time within which a right that was given is seen; answers about rights are kept for ten seconds.
const RIGHTS_WITHIN: Duration = Duration::from_secs(30);

/// An answer of the board.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// A viewer.
pub(crate) struct Viewer<'a> {
    account: Account<'a>,
    namespace: &'a TestNamespace<'a>,
    pub(crate) board: &'static Endpoint,
    pub(crate) token: String,
    client: reqwest::Client,
}

impl<'a> Viewer<'a> {
    /// Makes a ServiceAccount that may see nothing.
    pub(crate) async fn new(namespace: &'a TestNamespace<'a>) -> Viewer<'a> {
        let account = Account::new(namespace, NAME).await;
        Self::with(namespace, account).await
    }

    /// Returns one that may view its namespace, as often as a test asks for it.
    pub(crate) async fn known(namespace: &'a TestNamespace<'a>) -> Viewer<'a> {
        let accounts = namespace.api::<ServiceAccount>();
        if accounts.get_opt(NAME).await.unwrap().is_some() {
            return Self::with(namespace, Account::of(namespace, NAME)).await;
        }
        let viewer = Self::new(namespace).await;
        viewer.may_view(namespace).await;
        viewer
    }

    async fn with(namespace: &'a TestNamespace<'a>, account: Account<'a>) -> Viewer<'a> {
        let environment = TestEnvironment::shared().await.unwrap();
        let board = environment.operator.board().expect("it is served");
        Viewer {
            token: account.token(Some("entente")).await,
            account,
            namespace,
            board,
            client: board.client(),
        }
    }

    /// Returns another token of the same account, for an audience; none: for the API server.
    pub(crate) async fn token_for(&self, audience: Option<&str>) -> String {
        self.account.token(audience).await
    }

    /// Lets it see a namespace, by the role that the chart adds the kinds to.
    pub(crate) async fn may_view(&self, namespace: &TestNamespace<'_>) {
        let there = format!("--namespace={}", namespace.name());
        self.bind("rolebinding", &[&there]).await;
    }

    /// Lets it see every namespace.
    pub(crate) async fn may_view_everything(&self) {
        self.bind("clusterrolebinding", &[]).await;
    }

    async fn bind(&self, kind: &str, more: &[&str]) {
        let name = format!("viewer-of-{}", self.namespace.name());
        let subject = self.account.subject();
        let bind = ["create", kind, &name, "--clusterrole=view", &subject];
        self.account.kubectl(&[&bind[..], more].concat()).await;
    }

    /// Lets it list some kinds in its namespace.
    pub(crate) async fn may_list(&self, resources: &str) {
        let subject = self.account.subject();
        self.account.allow(&subject, "list", resources).await;
    }

    /// Reads a page with a token.
    pub(crate) async fn read_with(&self, token: &str, path: &str) -> Answer {
        let url = format!("{}{path}", self.board.url());
        let request = self.client.get(url).bearer_auth(token);
        let answer = request.send().await.unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: answer.text().await.unwrap(),
        }
    }

    /// Reads a page, again while other tests have every place of the board.
    pub(crate) async fn read(&self, path: &str) -> Answer {
        let read = wait_for("an answer other than 503", RIGHTS_WITHIN, async || {
            Some(self.read_with(&self.token, path).await).filter(|answer| answer.status != 503)
        });
        read.await.unwrap()
    }

    /// Reads a page until it has a text.
    pub(crate) async fn read_until(&self, path: &str, text: &str) -> Answer {
        let mut last = String::new();
        let read = wait_for(text, RIGHTS_WITHIN, async || {
            let answer = self.read(path).await;
            last.clone_from(&answer.text);
            answer.text.contains(text).then_some(answer)
        });
        read.await.unwrap_or_else(|late| panic!("{late}\n{last}"))
    }
}
