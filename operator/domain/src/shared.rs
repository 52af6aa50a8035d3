//! An object with many readers that is copied only when it is changed.
//!
//! Snapshots are made of these: a contract with a thousand devices reads a thousand subscriptions
//! in each pass, and a thousand devices of one model read one DeviceModel. Decides nothing.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

/// A shared object. Cloning it is cheap; a change through one clone is not visible through the
/// others, as if it had been copied in the first place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Shared<T>(Arc<T>);

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<T> From<T> for Shared<T> {
    fn from(object: T) -> Self {
        Self(Arc::new(object))
    }
}

impl<T> From<Arc<T>> for Shared<T> {
    fn from(object: Arc<T>) -> Self {
        Self(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_through_one_is_not_seen_by_the_others() {
        let first = Shared::from(vec![1]);
        let mut second = first.clone();
        second.push(2);
        assert_eq!((&*first, &*second), (&vec![1], &vec![1, 2]));
    }
}
