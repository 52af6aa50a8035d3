//! A control plane with an operator on it: the base of nearly every end-to-end test.
//!
//! [`TestEnvironment::shared`] is one for all tests of a process, each in a namespace of its own; a test that
//! kills the operator starts its own. It is apart from [`ControlPlane::shared`], on which the
//! operator's admission policies would keep tests of the schemas from writing.

use tokio::sync::OnceCell;

use crate::control_plane::{ControlPlane, Options};
use crate::operator::{Operator, OperatorError, OperatorOptions};

/// A control plane with an audit log, and an operator.
#[derive(Debug)]
pub struct TestEnvironment {
    /// The operator. Before the control plane, so that it ends first.
    pub operator: Operator,
    /// The control plane.
    pub plane: ControlPlane,
}

impl TestEnvironment {
    /// Starts both.
    pub async fn start(options: OperatorOptions) -> Result<Self, OperatorError> {
        // A developer's cluster has no audit log for us; tests that need it fail with that message.
        let audit = std::env::var_os("KUBECONFIG").is_none_or(|path| path.is_empty());
        let plane = ControlPlane::start(Options {
            audit,
            ..Options::default()
        })
        .await
        .map_err(|source| OperatorError::ControlPlane { source })?;
        let operator = Operator::start(&plane, options).await?;
        Ok(Self { operator, plane })
    }

    /// Returns the environment that all tests of a process share. It ends with the process.
    pub async fn shared() -> Result<&'static Self, OperatorError> {
        static SHARED: OnceCell<TestEnvironment> = OnceCell::const_new();
        SHARED
            .get_or_try_init(|| {
                Self::start(OperatorOptions {
                    endpoints: true,
                    gateway: true,
                    ..OperatorOptions::default()
                })
            })
            .await
    }
}
