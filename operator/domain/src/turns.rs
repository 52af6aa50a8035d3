//! The rule by which tenants share what is scarce: who waits is served in turn by tenant, and no
//! tenant takes so much that others find nothing free.
//!
//! Decides whose turn it is and whether a tenant may take another one; counts nothing by itself.
//! Pure. Called by the queue of controllers, for the slots of passes, and by the limits of drivers,
//! for requests. A tenant is a namespace, or the operator itself.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// A tenant gets another one while it holds less than this many times what is free; a tenant that
/// holds none gets one in any case. A single tenant can thus hold three quarters of all; however
/// many tenants hold all they can get, some stay free.
///
/// Switches share their buffers among ports by this rule. It is called dynamic threshold there, and
/// this number alpha (Choudhury and Hahne, 1998).
pub const DYNAMIC_THRESHOLD: usize = 3;

/// True if a tenant that holds so many may take another one of those that are free.
pub fn may_take(held: usize, free: usize) -> bool {
    free > 0 && (held == 0 || held < free.saturating_mul(DYNAMIC_THRESHOLD))
}

/// The queue of each tenant, and the order in which tenants have their turns.
#[derive(Debug)]
pub struct Turns<T> {
    waiting: BTreeMap<Arc<str>, VecDeque<T>>,
    /// Tenants that have something waiting, each once, the next one first.
    order: VecDeque<Arc<str>>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> Turns<T> {
    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Lets something of a tenant wait behind all else of that tenant.
    pub fn push(&mut self, tenant: &str, waits: T) {
        if let Some(queue) = self.waiting.get_mut(tenant) {
            queue.push_back(waits);
            return;
        }
        let tenant: Arc<str> = tenant.into();
        self.order.push_back(Arc::clone(&tenant));
        self.waiting.insert(tenant, VecDeque::from([waits]));
    }

    /// Takes the first of the next tenant that may take one; a tenant that may not has its turn
    /// after the others.
    pub fn take(&mut self, may: impl Fn(&str) -> bool) -> Option<(Arc<str>, T)> {
        for _ in 0..self.order.len() {
            let tenant = self.order.pop_front()?;
            if !may(&tenant) {
                self.order.push_back(tenant);
                continue;
            }
            let queue = self.waiting.get_mut(&tenant)?;
            let first = queue.pop_front()?;
            if queue.is_empty() {
                self.waiting.remove(&tenant);
            } else {
                self.order.push_back(Arc::clone(&tenant));
            }
            return Some((tenant, first));
        }
        None
    }

    /// Drops what does not wait any more of a tenant.
    pub fn retain(&mut self, tenant: &str, waits: impl FnMut(&T) -> bool) {
        let Some(queue) = self.waiting.get_mut(tenant) else {
            return;
        };
        queue.retain(waits);
        if queue.is_empty() {
            self.waiting.remove(tenant);
            self.order.retain(|other| **other != *tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_tenant_takes_three_quarters_and_all_of_what_is_fewer_than_four() {
        let most = |all: usize| {
            (0..all)
                .take_while(|held| may_take(*held, all - held))
                .count()
        };
        let found: Vec<_> = [0, 1, 2, 3, 4, 8, 512].into_iter().map(most).collect();
        assert_eq!(found, [0, 1, 2, 3, 3, 6, 384]);
    }

    #[test]
    fn a_tenant_that_holds_none_takes_the_last_one() {
        assert!(may_take(0, 1));
        assert!(!may_take(0, 0), "none is free");
        assert!(may_take(1, usize::MAX));
    }

    #[test]
    fn tenants_take_turns_and_each_has_its_own_order() {
        let mut turns = Turns::default();
        for (tenant, number) in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("b", 5)] {
            turns.push(tenant, number);
        }
        let taken: Vec<_> = std::iter::from_fn(|| turns.take(|_| true))
            .map(|(_, number)| number)
            .collect();
        assert_eq!(taken, [1, 4, 2, 5, 3]);
        assert!(turns.is_empty());
    }

    #[test]
    fn a_tenant_that_may_take_none_waits_without_being_in_the_way() {
        let mut turns = Turns::default();
        turns.push("a", 1);
        turns.push("b", 2);
        let not_a = |tenant: &str| tenant != "a";
        assert_eq!(turns.take(not_a).map(|(_, number)| number), Some(2));
        assert_eq!(turns.take(not_a), None);
        assert_eq!(turns.take(|_| true).map(|(_, number)| number), Some(1));
    }

    #[test]
    fn what_does_not_wait_any_more_leaves_no_turn_behind() {
        let mut turns = Turns::default();
        turns.push("a", 1);
        turns.push("a", 2);
        turns.push("b", 3);
        turns.retain("a", |number| *number != 1);
        turns.retain("b", |_| false);
        turns.retain("nobody", |_| false);
        assert_eq!(turns.take(|_| true).map(|(_, number)| number), Some(2));
        assert!(turns.is_empty());
    }
}
