//! The controller of sites: one key for each Site.
//!
//! It says whether the fields of a Site can be used, and counts the Devices that name it. It is the only
//! writer of the status of a Site; delivery reads its fields.

use std::sync::Arc;

use entente_crds::v1alpha1::{Device, Site};
use entente_domain::site::report_site;
use jiff::Timestamp;
use kube::{Api, ResourceExt as _};

use crate::{
    cache::{Change, Key},
    context::Context,
    controller::{Failed, PassObject, Reconcile, Watches},
    defect::Defect,
    devices_at_sites::BY_SITE,
    objects::{Objects, path},
    queue::{Queue, Requeue},
    status::{report_defect, report_until_written},
    triggers::{differs, spec_differs},
};

/// The controller of sites.
pub(crate) struct Sites {
    context: Context,
    objects: Arc<Objects>,
}

impl Reconcile for Sites {
    const NAME: &'static str = "site";
    type Key = Key;

    fn object(&self, key: &Key) -> PassObject {
        PassObject::of(&self.objects.sites, key.clone())
    }

    fn watch(&self, watches: &Watches<Self>) {
        watches.cache(&self.objects.sites, site);
        watches.cache(&self.objects.devices, device);
    }

    async fn reconcile(&self, key: &Key) -> Result<Option<Requeue>, Failed> {
        let now = self.context.clock.now();
        if self.objects.sites.get(key).is_none() {
            return Ok(None);
        }
        let users = self
            .objects
            .devices
            .by_index(BY_SITE, &path(&key.namespace, &key.name));
        let api: Api<Site> = Api::namespaced(self.context.client.clone(), &key.namespace);
        let decide = |object: &Site| Some(report_site(object, users.len(), now));
        let written = report_until_written(&api, &self.objects.sites, key, now, decide).await;
        written
            .map(|_| None)
            .map_err(|error| Failed { error, at: None })
    }

    async fn report_defect(&self, key: &Key, defect: &Defect) {
        let api: Api<Site> = Api::namespaced(self.context.client.clone(), &key.namespace);
        let (cache, now) = (&self.objects.sites, self.context.clock.now());
        report_defect(&api, cache, key, defect, now).await;
    }

    fn next_instant(&self, _: &Key) -> Option<Timestamp> {
        None
    }
}

impl Sites {
    pub(crate) fn new(context: Context, objects: Arc<Objects>) -> Self {
        Self { context, objects }
    }
}

fn site(_: &Sites, queue: &Queue<Key>, change: &Change<Site>) {
    if spec_differs(change) || change.by_others {
        queue.add(change.key.clone());
    }
}

/// Wakes the Sites that a Device names now and named before.
fn device(_: &Sites, queue: &Queue<Key>, change: &Change<Device>) {
    let named = |device: &Device| device.spec.site_ref.as_ref().map(|it| it.name.clone());
    if !differs(change, named) {
        return;
    }
    for device in [&change.old, &change.new].into_iter().flatten() {
        if let Some(name) = named(device) {
            queue.add(Key::new(device.namespace().unwrap_or_default(), name));
        }
    }
}
