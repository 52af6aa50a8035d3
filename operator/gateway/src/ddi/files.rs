//! The file of an installation: the Connection through which it is fetched, and its answer.
//!
//! A namespace has a file only while a Connection of protocol HTTP allows it that URL, also if the file
//! is there for another one. Called by the routes of DDI.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::http::{Method, request::Parts};
use entente_controllers::cache::Key;
use entente_crds::v1alpha1::{ArtifactFault, Connection, DeviceTwin};
use entente_domain::gateway::{
    artifacts::connection_for,
    ddi::Installation,
    unavailable::{self, Look, Unavailable},
};
use entente_drivers::ConnectionProfile;
use kube::ResourceExt as _;

use crate::{
    Gateway,
    answers::Answer,
    artifacts::{Artifact, Fault, Missing, UNTIL_AN_EDIT, Verified, serve},
    calls::Known,
    ddi::Caller,
};

impl Gateway {
    /// Returns the file of an installation, once it is there and was compared; otherwise the twin says
    /// why it is not.
    pub(super) async fn file(
        self: &Arc<Self>,
        caller: &Caller,
        installation: Installation<'_>,
        patience: Duration,
    ) -> Result<Verified, Missing> {
        let file = self.fetched(&caller.known, installation, patience).await;
        let look = file.as_ref().map_or_else(Missing::look, |_| Look::There);
        let (action, now) = (installation.action, self.now());
        let decide = |twin: &DeviceTwin| Ok(unavailable::after_look(twin, action, look, now));
        // One that cannot be written is logged, and written with the next call.
        _ = self.change(caller, decide).await;
        file
    }

    /// Takes a fault out of the status of a twin that is of no installation any more.
    pub(super) async fn forget_stale(&self, caller: &Caller) {
        let decide = |twin: &DeviceTwin| Ok(unavailable::without_stale(twin));
        _ = self.change(caller, decide).await;
    }

    async fn fetched(
        self: &Arc<Self>,
        known: &Known,
        installation: Installation<'_>,
        patience: Duration,
    ) -> Result<Verified, Missing> {
        let (namespace, device) = (&known.key.namespace, &known.key.name);
        let wanted = Artifact::of(installation.artifact);
        let allowed = wanted.and_then(|it| Some((self.way_to(namespace, &it)?, it)));
        let Some((connection, artifact)) = allowed else {
            let (name, version) = (installation.name, installation.version);
            let problem =
                "no Connection of protocol HTTP that allows the namespace leads to its URL";
            tracing::warn!(
                namespace,
                device,
                name,
                version,
                problem,
                "an artifact cannot be had"
            );
            let outcome = ArtifactFault::NoConnection.as_str();
            self.parts.metrics.artifact_fetch(outcome);
            let fault = Unavailable::without_connection(&installation.artifact.url);
            return Err(Missing::Faulty(UNTIL_AN_EDIT, Box::new(fault)));
        };
        let (gateway, namespace) = (Arc::clone(self), namespace.clone());
        let of = artifact.clone();
        let profile = || async move { gateway.profile(&namespace, &of).await };
        let through = connection.name_any();
        let way = (&*through, profile);
        self.artifacts.get(&artifact, patience, way).await
    }

    /// Returns the Connection by which a namespace may fetch a file.
    fn way_to(&self, namespace: &str, artifact: &Artifact) -> Option<Arc<Connection>> {
        let connections = self.objects.connections.all();
        let labels = self.labels(namespace);
        let found = connection_for(connections.iter().map(Arc::as_ref), &labels, &artifact.url)?;
        let name = found.name_any();
        connections.iter().find(|it| it.name_any() == name).cloned()
    }

    /// Returns the labels of a namespace.
    pub(crate) fn labels(&self, namespace: &str) -> BTreeMap<String, String> {
        let namespace = self.objects.namespaces.get(&Key::new("", namespace));
        namespace.map_or_else(BTreeMap::new, |it| it.labels().clone())
    }

    async fn profile(
        &self,
        namespace: &str,
        artifact: &Artifact,
    ) -> Result<Arc<ConnectionProfile>, Fault> {
        let connection = self.way_to(namespace, artifact);
        let connection = connection.ok_or_else(|| {
            Fault::new(
                ArtifactFault::NoConnection,
                "no Connection leads to its URL any more",
            )
        })?;
        let labels = self.labels(namespace);
        let of = (namespace, &labels);
        let profile = self.profiles.profile(&connection, of, None, self.now());
        let unusable = |(_, message)| Fault::new(ArtifactFault::NotUsable, message);
        profile.await.map_err(unusable)
    }

    /// Answers a file, or a part of it.
    pub(super) async fn serve_file(
        &self,
        file: Verified,
        parts: &Parts,
        patience: Duration,
    ) -> Result<Answer, Missing> {
        let place = if parts.method == Method::HEAD {
            None
        } else {
            Some(self.artifacts.place(patience).await?)
        };
        let metrics = &self.parts.metrics;
        Ok(serve(file, &parts.headers, place, metrics))
    }
}
