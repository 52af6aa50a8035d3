//! Report: the status of an object that is judged with its contract: an amendment or a notice.
//!
//! Decides nothing: the status is given. Called by `amendments` and `notices`.

use entente_crds::condition::{ConditionType, Reason};
use entente_domain::condition::{find, is_true};
use jiff::Timestamp;
use kube::{Api, Resource, core::NamespaceResourceScope};

use super::Contracts;
use crate::{
    cache::{Cache, Key},
    events::EventReason,
    status::{Conditioned, Reported, WriteError, report_until_written},
};

/// A change of conditions that is announced.
pub(super) struct News {
    pub(super) event: EventReason,
    /// The condition that is True then.
    pub(super) holds: ConditionType,
    /// Its reason; `None`: any.
    pub(super) reason: Option<Reason>,
    /// The condition that is another one than before, and has the words.
    pub(super) changed: ConditionType,
}

/// Reports the status of one object, unless another one has its name by now, and announces the news.
pub(super) async fn report_one<K>(
    contracts: &Contracts,
    cache: &Cache<K>,
    object: &K,
    decide: impl Fn(&K, Timestamp) -> K::Status,
    news: &[News],
) -> Result<(), WriteError>
where
    K: Conditioned + Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let key = Key::of(object);
    let context = &contracts.context;
    let api: Api<K> = Api::namespaced(context.client.clone(), &key.namespace);
    let now = context.clock.now();
    let reported = report_until_written(&api, cache, &key, now, |found| {
        let is_decided = found.meta().uid == object.meta().uid;
        is_decided.then(|| decide(found, now))
    })
    .await?;
    if let Reported::Written(after) = reported {
        for it in news.iter().filter(|it| it.is_news(object, &after)) {
            let said = find(K::said(&after), it.changed);
            let message = said.map_or("", |said| said.message.as_str());
            let about = after.object_ref(&());
            context.events.publish(&about, it.event, message, None);
        }
    }
    Ok(())
}

impl News {
    fn is_news<K: Conditioned>(&self, before: &K, after: &K) -> bool {
        let said = |object, condition| {
            let said = find(K::said(object), condition);
            said.map(|said| (said.status.clone(), said.reason.clone()))
        };
        let has_reason = |reason: Reason| {
            let said = said(after, self.holds);
            said.is_some_and(|(_, found)| found == reason.as_str())
        };
        is_true(K::said(after), self.holds)
            && self.reason.is_none_or(has_reason)
            && said(before, self.changed) != said(after, self.changed)
    }
}
