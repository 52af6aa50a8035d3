//! etcd is taken back to a snapshot from before an order was made: neither the record nor the error is
//! there any more, and the printer still says that it is empty.

use std::path::Path;
use std::process::Command;

use entente_crds::v1alpha1::SupplyOrder;
use entente_e2e::control_plane::{ControlPlane, Options};
use entente_e2e::namespace::TestNamespace;
use entente_e2e::operator::{Operator, OperatorOptions};
use entente_e2e::peers::OrderServerOptions;

use super::{BLACK, Peers, apply, error, errors, look, order_id};
use crate::orders::{id, until, without_keys};

/// A control plane whose etcd can be taken back, and an operator.
struct Restorable {
    directory: tempfile::TempDir,
    plane: ControlPlane,
    operator: Operator,
}

fn options(directory: &Path) -> Options {
    Options {
        directory: Some(directory.to_owned()),
        ..Options::default()
    }
}

impl Restorable {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let plane = ControlPlane::start(options(directory.path()))
            .await
            .unwrap();
        let operator = Operator::start(&plane, OperatorOptions::default()).await;
        Self {
            directory,
            plane,
            operator: operator.unwrap(),
        }
    }

    async fn namespace(&self, name: &str) -> TestNamespace<'_> {
        let view = self.operator.view();
        let namespace = TestNamespace::with_name(&self.plane, view, name.to_owned());
        namespace.await.unwrap()
    }

    /// Stops everything, and starts the control plane again after `between`, without the operator.
    async fn restart_plane(self, between: impl FnOnce(&Path)) -> Self {
        let Self {
            directory,
            plane,
            mut operator,
        } = self;
        operator.stop().await.unwrap();
        let port = plane.server().rsplit(':').next().unwrap().parse().unwrap();
        plane.stop().await;
        between(directory.path());
        let options = Options {
            port: Some(port),
            ..options(directory.path())
        };
        let plane = ControlPlane::start(options).await.unwrap();
        Self {
            directory,
            plane,
            operator,
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(status.unwrap().success(), "{} is copied", from.display());
}

/// An order server, by what it honours.
struct Case {
    title: &'static str,
    server: OrderServerOptions,
}

// shows A9 K5
#[tokio::test]
async fn an_order_that_a_restored_cluster_does_not_know_is_found_and_not_placed_again() {
    let cases = [(true, true), (true, false), (false, true)].map(|(keys, search)| Case {
        title: match (keys, search) {
            (true, true) => "both",
            (true, false) => "keyed",
            _ => "searched",
        },
        server: OrderServerOptions { keys, search },
    });
    let cluster = Restorable::start().await;
    let mut all = Vec::new();
    for case in &cases {
        let name = cluster.plane.create_namespace(case.title).await.unwrap();
        let namespace = cluster.namespace(&name).await;
        let peers = Peers::start(&namespace, case.server).await;
        apply(&namespace, &peers, ("0s", "10s")).await;
        if !case.server.keys {
            without_keys(&namespace).await;
        }
        all.push((name, peers));
    }
    let snapshot = |directory: &Path| copy(&directory.join("etcd"), &directory.join("snapshot"));
    let mut cluster = cluster.restart_plane(snapshot).await;
    cluster.operator.restart().await.unwrap();

    let mut placed = Vec::new();
    for (name, peers) in &all {
        let namespace = cluster.namespace(name).await;
        peers.run_out(&["black"]);
        let order = until(&namespace, &peers.order("black-toner", 1), "OrderPlaced").await;
        error(&namespace, peers, BLACK, |it| order_id(it).is_some()).await;
        assert_eq!(peers.ordered().len(), 1, "{name}");
        placed.push(id(&order));
    }
    let restore = |directory: &Path| {
        std::fs::remove_dir_all(directory.join("etcd")).unwrap();
        copy(&directory.join("snapshot"), &directory.join("etcd"));
    };
    let mut cluster = cluster.restart_plane(restore).await;
    for (name, peers) in &all {
        let namespace = cluster.namespace(name).await;
        assert_eq!(namespace.list::<SupplyOrder>().await.len(), 0, "{name}");
        assert_eq!(errors(&namespace, peers).await, [], "{name}");
    }
    cluster.operator.restart().await.unwrap();

    for ((name, peers), placed) in all.iter().zip(&placed) {
        let namespace = cluster.namespace(name).await;
        let again = until(&namespace, &peers.order("black-toner", 1), "OrderPlaced").await;
        assert_eq!(&id(&again), placed, "{name}");
        let known = error(&namespace, peers, BLACK, |it| order_id(it).is_some()).await;
        assert_eq!(order_id(&known), Some(&**placed), "{name}");
        assert_eq!(known.occurrence, 1, "{name}");
        look(&namespace, peers, 3).await;
        assert_eq!(peers.ordered().len(), 1, "{name}");
    }
}
