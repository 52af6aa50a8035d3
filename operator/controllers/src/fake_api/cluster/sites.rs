//! Devices that have their connections by a Site of their own, so that a test of Devices is one of both ways
//! to write down a connection. The test writes and sees the connections in the Device.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::state::{Path, State, begin};

impl State {
    /// Returns the Site that has the connections of a Device.
    fn site_of(&self, device: &Path) -> Option<Path> {
        let is_kept = self.keeps_connections_at_sites && device.collection == "devices";
        is_kept.then(|| Path {
            collection: "sites".to_owned(),
            ..device.clone()
        })
    }

    /// True of a Site that has the connections of one Device.
    pub(super) fn is_site_of_one(&self, path: &Path) -> bool {
        self.keeps_connections_at_sites && path.collection == "sites" && !path.name.contains("site")
    }

    /// Puts the connections of a Device that a test has written into its Site.
    pub(super) fn take_connections(&mut self, path: &Path, device: &mut Value) {
        let Some(at) = self.site_of(path) else {
            return;
        };
        let spec = device["spec"].as_object_mut().expect("a spec");
        let connections = spec.remove("connections").unwrap_or_else(|| json!([]));
        if connections == json!([]) && spec.contains_key("siteRef") {
            // It is at another Site.
            return;
        }
        spec.insert("siteRef".to_owned(), json!({"name": at.name}));
        let before = self.objects.get(&at).cloned();
        let mut site = before.clone().unwrap_or_else(|| {
            let mut site = json!({
                "apiVersion": device["apiVersion"], "kind": "Site", "spec": {},
                "metadata": {"name": at.name, "namespace": at.namespace},
            });
            begin(&mut site, self.version, Timestamp::UNIX_EPOCH);
            site
        });
        site["spec"]["connections"] = connections;
        self.commit(&at, before.as_ref(), site);
    }

    /// Returns a Device as a test has written it.
    pub(super) fn with_connections(&self, path: &Path, mut device: Value) -> Value {
        let is_its_own = device["spec"]["siteRef"]["name"] == path.name.as_str();
        let site = self.site_of(path).filter(|_| is_its_own);
        let site = site.and_then(|site| self.objects.get(&site));
        if let (Some(site), Some(spec)) = (site, device["spec"].as_object_mut()) {
            spec.remove("siteRef");
            spec.insert(
                "connections".to_owned(),
                site["spec"]["connections"].clone(),
            );
        }
        device
    }
}
