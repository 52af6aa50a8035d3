//! A person who reads the board: a ServiceAccount with a token for the audience `entente`.

use std::time::Duration;

use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::TestNamespace;
use entente_e2e::operator::Endpoint;
use entente_e2e::wait::wait_for;
use k8s_openapi::api::core::v1::ServiceAccount;
use reqwest::header::HeaderMap;

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
    namespace: &'a TestNamespace<'a>,
    pub(crate) board: &'static Endpoint,
    pub(crate) token: String,
    client: reqwest::Client,
}

impl<'a> Viewer<'a> {
    /// Makes a ServiceAccount that may see nothing.
    pub(crate) async fn new(namespace: &'a TestNamespace<'a>) -> Viewer<'a> {
        let mut viewer = Self::without_token(namespace).await;
        viewer
            .kubectl(&["create", "serviceaccount", "viewer"])
            .await;
        viewer.token = viewer.new_token(&["--audience=entente"]).await;
        viewer
    }

    /// Returns one that may view its namespace, as often as a test asks for it.
    pub(crate) async fn known(namespace: &'a TestNamespace<'a>) -> Viewer<'a> {
        let accounts = namespace.api::<ServiceAccount>();
        if accounts.get_opt("viewer").await.unwrap().is_none() {
            let viewer = Self::new(namespace).await;
            viewer.may_view(namespace).await;
            return viewer;
        }
        let mut viewer = Self::without_token(namespace).await;
        viewer.token = viewer.new_token(&["--audience=entente"]).await;
        viewer
    }

    async fn without_token(namespace: &'a TestNamespace<'a>) -> Viewer<'a> {
        let environment = TestEnvironment::shared().await.unwrap();
        let board = environment.operator.board().expect("it is served");
        Viewer {
            namespace,
            board,
            token: String::new(),
            client: board.client(),
        }
    }

    /// Returns another token of the same account, made by kubectl with these flags.
    pub(crate) async fn new_token(&self, flags: &[&str]) -> String {
        let create = [&["create", "token", "viewer"], flags].concat();
        self.kubectl(&create).await.trim().to_owned()
    }

    async fn kubectl(&self, arguments: &[&str]) -> String {
        let all = ["--namespace", self.namespace.name()];
        let all = all.iter().chain(arguments);
        let output = self.namespace.plane().kubectl(all).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn account(&self) -> String {
        format!("--serviceaccount={}:viewer", self.namespace.name())
    }

    /// Lets it see a namespace, by the role that the chart adds the kinds to.
    pub(crate) async fn may_view(&self, namespace: &TestNamespace<'_>) {
        let there = format!("--namespace={}", namespace.name());
        let account = self.account();
        let name = format!("viewer-of-{}", self.namespace.name());
        let bind = [
            "create",
            "rolebinding",
            &name,
            "--clusterrole=view",
            &account,
        ];
        self.kubectl(&[&bind[..], &[&there]].concat()).await;
    }

    /// Lets it list some kinds in its namespace.
    pub(crate) async fn may_list(&self, resources: &str) {
        let resources = format!("--resource={resources}");
        self.kubectl(&["create", "role", "viewer", "--verb=list", &resources])
            .await;
        let account = self.account();
        self.kubectl(&["create", "rolebinding", "viewer", "--role=viewer", &account])
            .await;
    }

    /// Lets it see every namespace.
    pub(crate) async fn may_view_everything(&self) {
        let name = format!("viewer-{}", self.namespace.name());
        let account = self.account();
        let bind = ["create", "clusterrolebinding", &name, "--clusterrole=view"];
        self.kubectl(&[&bind[..], &[&account]].concat()).await;
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
