//! Report: an instance that is handed over, with what was proved of it.
//!
//! Decides what the successor inherits. A proof is inherited only where nothing was sent since it
//! was written down, and nobody stopped to keep it in effect: a renewal of a service that works is
//! complete at its start, also while the device or the broker does not answer.

use entente_crds::{
    item_key::ItemKind,
    v1alpha1::{AdoptedBy, Adoption, Item, ServerInstance, ServiceSubscriptionStatus},
};

use crate::delivery::{
    observations::record::may_exist,
    plan::succession::{HandOver, hand_over_of, is_proved_by, still_proved},
    report::Report,
};
use crate::names::SubscriptionName;

impl Report<'_> {
    /// Returns the status with the instance of another subscription, and with what was proved of
    /// it. One that has an instance already keeps it.
    pub(in crate::delivery) fn with_instance_of(
        &self,
        from: &SubscriptionName,
    ) -> ServiceSubscriptionStatus {
        let mut status = self.with_instance();
        let known = self.object.status.as_ref();
        let known = known.and_then(|status| status.server.as_ref());
        let recorded = self.observations.of(from).recorded.as_ref();
        if let Some(recorded) = recorded.filter(|it| may_exist(it))
            && !known.is_some_and(may_exist)
        {
            status.server = Some(ServerInstance {
                adopted: Some(Adoption {
                    since: self.now,
                    by: AdoptedBy::Succession,
                }),
                orphaned: None,
                ..recorded.clone()
            });
        }
        let giver = self.resolved.subscription(from);
        let proved = giver.and_then(|it| still_proved(self.snapshot, it, self.observations));
        if let Some(proved) = proved {
            self.inherit(&mut status, proved);
        }
        status
    }

    /// True if another subscription has the instance by now.
    pub(super) fn is_handed_over(&self) -> bool {
        let state = hand_over_of(self.snapshot, self.subscription, self.observations);
        matches!(state, HandOver::Forgets | HandOver::Done)
    }

    /// Returns the message of a service that has ended and left nothing to withdraw.
    pub(super) fn ended(&self) -> String {
        let left = self.left_behind();
        match &self.subscription.handed_to {
            _ if !left.is_empty() => format!(
                "The service has ended; not as before on the device: {}.",
                left.join(", ")
            ),
            Some(handed) => format!("The service has ended; {} succeeds it.", handed.heir),
            None => "The service has ended and is withdrawn.".to_owned(),
        }
    }

    /// Adds the items of another subscription that this one has not proved itself. Those of the device
    /// count only for the same device and address. What the other one keeps of a setting goes with it,
    /// if this one wants the setting.
    fn inherit(&self, status: &mut ServiceSubscriptionStatus, proved: &ServiceSubscriptionStatus) {
        let same_device = status.evidence.is_none() || status.evidence == proved.evidence;
        for item in &proved.items {
            let is_of_device = item.key.kind().is_some_and(ItemKind::stays_with_the_device);
            if is_of_device && !same_device {
                continue;
            }
            let is_wanted = self.verified.item(&item.key).is_some();
            let kept = item.previous.clone().filter(|_| is_wanted);
            let mut own = status.items.iter_mut();
            match own.find(|own| own.key == item.key) {
                // That it was in effect for the other one holds nothing back here.
                None => status.items.push(Item {
                    previous: kept,
                    was_effective: false,
                    ..item.clone()
                }),
                Some(own) if is_proved_by(own, item) => {
                    let previous = own.previous.take().or(kept);
                    *own = Item {
                        previous,
                        ..item.clone()
                    };
                }
                Some(_) => {}
            }
        }
        status.items.sort_by(|a, b| a.key.cmp(&b.key));
        if status.evidence.is_none() {
            status.evidence.clone_from(&proved.evidence);
        }
    }
}
