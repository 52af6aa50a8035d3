//! Tally: the sums of the inventory over all objects of a kind, kept as objects change.
//!
//! Decides when a series begins and ends: with the first object that adds to it, and with the last.
//! A series that ends is gone, and not zero: nobody may go on to alert for what was deleted. It must
//! never look at an object. Kept by the caches, under the lock under which the objects change, so
//! that it is always the sum over the objects that they have.

use std::collections::BTreeMap;

use super::{Part, Series};

/// Sums of series, with the number of parts in each.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    sums: BTreeMap<Series, Sum>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Sum {
    parts: u64,
    amount: i128,
}

impl Tally {
    /// Replaces the parts of one object by others; none before of a new one, none after of one that
    /// is gone.
    pub fn change(&mut self, before: &[Part], after: Vec<Part>) {
        if before == after {
            return;
        }
        for (series, amount) in after {
            let sum = self.sums.entry(series).or_default();
            sum.parts += 1;
            sum.amount = sum.amount.saturating_add(amount);
        }
        for (series, amount) in before {
            if let Some(sum) = self.sums.get_mut(series) {
                sum.parts = sum.parts.saturating_sub(1);
                sum.amount = sum.amount.saturating_sub(*amount);
                if sum.parts == 0 {
                    self.sums.remove(series);
                }
            }
        }
    }

    /// Returns every series that has a part, in order, with its sum.
    pub fn series(&self) -> impl Iterator<Item = (&Series, i128)> {
        self.sums.iter().map(|(series, sum)| (series, sum.amount))
    }
}
