//! Report: the items of a service that has ended.
//!
//! Decides what an item is said to be while its service is withdrawn, and once it is: a setting of the
//! device says what became of it, also where nothing could be done. Called by the report of items.

use std::collections::BTreeSet;

use entente_crds::{
    condition::Reason,
    item_key::ItemKind,
    v1alpha1::{Item, ItemState, Problem, ReleasedAs, ServiceSubscriptionStatus},
};

use crate::delivery::{
    Blocked, Intent,
    plan::withdraw::{
        Withdrawal,
        device::{Ending, Next},
    },
    report::Report,
};

impl Report<'_> {
    /// Returns the items of a service that is withdrawn, or left as it is.
    pub(super) fn released(
        &self,
        previous: &ServiceSubscriptionStatus,
        withdrawal: &Withdrawal,
    ) -> Vec<Item> {
        if !matches!(self.subscription.intent, Intent::Withdraw { .. }) {
            return self.kept(previous).collect();
        }
        let withdrawing = self.withdrawing_of();
        let endings = withdrawing.endings();
        let is_first = previous.ended.is_none();
        let items = self.kept(previous);
        let items = items.map(|item| Item {
            was_effective: false,
            ..item
        });
        let items = items.map(|item| {
            let mut endings = endings.iter();
            match endings.find(|ending| ending.item.key == item.key) {
                Some(ending) if item.released.is_none() => self.ending(ending, item, is_first),
                _ => item,
            }
        });
        let is_over = *withdrawal != Withdrawal::UnderWay;
        let is_gone = *withdrawal == Withdrawal::Released;
        let items = items.map(|item| match item.key.kind() {
            Some(ItemKind::DeviceSetting | ItemKind::Firmware | ItemKind::Application)
                if is_over =>
            {
                left(item)
            }
            // Software stays: nothing is ever put back to an older version.
            Some(ItemKind::DeviceSetting | ItemKind::Firmware | ItemKind::Application) => item,
            _ if is_gone => gone(item),
            _ => item,
        });
        items.collect()
    }

    /// Returns the settings of the device that could not be put back in time, by their keys.
    pub(super) fn left_behind(&self) -> Vec<String> {
        let withdrawing = self.withdrawing_of();
        let endings = withdrawing.endings();
        let given_up = endings
            .iter()
            .filter(|ending| matches!(ending.next, Next::GivenUp(_)))
            .map(|ending| ending.item);
        let status = self.object.status.iter();
        let said = status
            .flat_map(|status| &status.items)
            .filter(|item| item.released == Some(ReleasedAs::GivenUp));
        let keys: BTreeSet<String> = given_up
            .chain(said)
            .map(|item| item.key.to_string())
            .collect();
        keys.into_iter().collect()
    }

    /// Returns a setting of the device while it is put back, and when that is over.
    fn ending(&self, ending: &Ending<'_>, item: Item, is_first: bool) -> Item {
        let problem = |why: &Blocked| {
            let before = item.problem.as_deref();
            let outcome = why.reason.within(Reason::OF_AN_ATTEMPT);
            let since = before.filter(|it| it.outcome == outcome);
            Some(Box::new(Problem {
                outcome,
                since: since.map_or(self.now, |it| it.since),
                message: why.message.as_str().into(),
            }))
        };
        let name = &self.subscription.name;
        let sent = self
            .observations
            .sent(name, &item.key, ending.digest)
            .filter(|sent| sent.result.is_ok());
        let mut item = Item {
            problem: match &ending.next {
                Next::Done(_) | Next::Restart => None,
                Next::GivenUp(why) | Next::Failed(why) => problem(why),
                // A problem from before the end says nothing of what is put back.
                _ if is_first => None,
                _ => item.problem.clone(),
            },
            ..item
        };
        if let (Some(sent), Some(previous)) = (sent, item.previous.as_mut()) {
            previous.returned = Some(sent.at);
        }
        match &ending.next {
            Next::Done(ReleasedAs::Kept) => Item {
                released: Some(ReleasedAs::Kept),
                previous: None,
                ..item
            },
            Next::Done(fate) => Item {
                state: ItemState::Released,
                last_sent: None,
                proof: None,
                previous: None,
                released: Some(*fate),
                ..item
            },
            Next::GivenUp(_) => Item {
                released: Some(ReleasedAs::GivenUp),
                ..item
            },
            Next::Restart => Item {
                state: ItemState::AwaitingRestart,
                ..item
            },
            _ => item,
        }
    }
}

/// Returns an item of the service server that was withdrawn.
fn gone(item: Item) -> Item {
    Item {
        state: ItemState::Released,
        proof: None,
        problem: None,
        ..item
    }
}

/// Returns a setting or a piece of software of the device of which nothing is put back: it stays as it
/// is.
fn left(item: Item) -> Item {
    let was_set =
        item.previous.is_some() || item.last_sent.is_some() || item.state == ItemState::Effective;
    let kept = was_set.then_some(ReleasedAs::Kept);
    Item {
        released: item.released.or(kept),
        ..item
    }
}
