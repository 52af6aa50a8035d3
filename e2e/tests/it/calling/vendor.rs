//! The server of a vendor, with the files that devices install.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::Path;
use axum::http::StatusCode;
use axum::{Router, routing::get};
use entente_crds::v1alpha1::Artifact;

use crate::sha256::sha256;

/// A server of files.
pub(super) struct Vendor {
    address: SocketAddr,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Vendor {
    /// Starts one without files.
    pub(super) async fn start() -> Self {
        let files: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let served = Arc::clone(&files);
        let answer = get(async move |Path(name): Path<String>| {
            let found = served.lock().unwrap().get(&name).cloned();
            found.ok_or(StatusCode::NOT_FOUND)
        });
        let router = Router::new().route("/{name}", answer);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, files }
    }

    /// Returns its URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Publishes a file, and returns it as a DeviceModel names it.
    pub(super) fn publish(&self, name: &str, content: &[u8]) -> Artifact {
        let mut files = self.files.lock().unwrap();
        files.insert(name.to_owned(), content.to_vec());
        Artifact {
            url: format!("{}/{name}", self.url()),
            sha256: sha256(content),
            size: i64::try_from(content.len()).unwrap(),
            ..Artifact::default()
        }
    }
}
