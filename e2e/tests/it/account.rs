//! A ServiceAccount in the namespace of a test, with its tokens and rights, as an administrator makes
//! them with kubectl.

use entente_e2e::namespace::TestNamespace;

/// An account.
pub(crate) struct Account<'a> {
    namespace: &'a TestNamespace<'a>,
    name: &'static str,
}

impl<'a> Account<'a> {
    /// Makes an account without rights.
    pub(crate) async fn new(namespace: &'a TestNamespace<'a>, name: &'static str) -> Account<'a> {
        let account = Self::of(namespace, name);
        account.kubectl(&["create", "serviceaccount", name]).await;
        account
    }

    /// Returns one that was made before.
    pub(crate) fn of(namespace: &'a TestNamespace<'a>, name: &'static str) -> Account<'a> {
        Account { namespace, name }
    }

    /// Runs kubectl in the namespace: its output.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> String {
        let all = ["--namespace", self.namespace.name()];
        let all = all.iter().chain(arguments);
        let output = self.namespace.plane().kubectl(all).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Returns a token for an audience; none: for the API server.
    pub(crate) async fn token(&self, audience: Option<&str>) -> String {
        let audience = audience.map(|it| format!("--audience={it}"));
        let mut create = vec!["create", "token", self.name];
        create.extend(audience.as_deref());
        self.kubectl(&create).await.trim().to_owned()
    }

    /// Returns the account as a subject, in the words of kubectl.
    pub(crate) fn subject(&self) -> String {
        format!("--serviceaccount={}:{}", self.namespace.name(), self.name)
    }

    /// Gives a subject a right to kinds in the namespace.
    pub(crate) async fn allow(&self, subject: &str, verb: &str, resources: &str) {
        let (verb, resources) = (format!("--verb={verb}"), format!("--resource={resources}"));
        self.kubectl(&["create", "role", self.name, &verb, &resources])
            .await;
        let role = format!("--role={}", self.name);
        self.kubectl(&["create", "rolebinding", self.name, &role, subject])
            .await;
    }
}
