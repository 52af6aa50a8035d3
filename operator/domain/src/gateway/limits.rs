//! Limits of requests: for each source address before it is known who calls, for each device after it.
//!
//! A bucket of tokens: it holds so many requests, and fills up over time. Decides only by counts and
//! instants of a monotonic clock, in milliseconds. The tables are bounded: what is not in one has a
//! full bucket. Called at each request.

use std::net::IpAddr;

use crate::expiring::ExpiringMap;

/// The number of requests that come at once, and the number for each second after that.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit {
    /// Requests that a full bucket has.
    pub burst: u32,
    /// Requests that are added in a second.
    pub per_second: u32,
}

impl Limit {
    /// Returns the limit of an address by its requests in a second; none for zero. An office with many
    /// devices is one address, and all of them call when its power comes back.
    pub fn of_address(per_second: u32) -> Option<Self> {
        Self::of(per_second, 20)
    }

    /// Returns the limit of a device by its requests in a second; none for zero.
    pub fn of_device(per_second: u32) -> Option<Self> {
        Self::of(per_second, 60)
    }

    fn of(per_second: u32, seconds: u32) -> Option<Self> {
        (per_second > 0).then_some(Self {
            burst: per_second.saturating_mul(seconds),
            per_second,
        })
    }
}

/// The most entries of a table.
const MOST: usize = 65_536;

/// A bucket, in thousandths of a request.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u64,
    /// Millisecond at which that was counted.
    at: u64,
}

/// The buckets of addresses or devices.
#[derive(Debug)]
pub struct Buckets<K> {
    limit: Option<Limit>,
    buckets: ExpiringMap<K, Bucket, u64>,
}

impl<K: Ord> Buckets<K> {
    /// Returns full buckets; without a limit every request is taken.
    pub fn new(limit: Option<Limit>) -> Self {
        Self {
            limit,
            buckets: ExpiringMap::new(MOST, |_, _| false),
        }
    }

    /// Takes a request, at a millisecond of a monotonic clock.
    ///
    /// # Errors
    /// Returns the seconds after which the next one is taken.
    pub fn take(&mut self, key: K, now: u64) -> Result<(), u32> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        let full = u64::from(limit.burst) * 1000;
        let rate = u64::from(limit.per_second).max(1);
        // One that has not been used for so long is full, as one that is not there.
        let until = now + full / rate;
        let fresh = Bucket {
            left: full,
            at: now,
        };
        let bucket = self.buckets.get_or_insert_with(key, now, until, || fresh);
        let added = now.saturating_sub(bucket.at).saturating_mul(rate);
        bucket.left = bucket.left.saturating_add(added).min(full);
        bucket.at = bucket.at.max(now);
        if let Some(left) = bucket.left.checked_sub(1000) {
            bucket.left = left;
            return Ok(());
        }
        let missing = (1000 - bucket.left).div_ceil(rate).div_ceil(1000);
        Err(u32::try_from(missing).unwrap_or(u32::MAX).max(1))
    }
}

/// Returns the part of an address that one caller has: of IPv6 the network of 64 bits.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit {
        burst: 3,
        per_second: 2,
    };

    // shows K5
    #[test]
    fn a_burst_is_taken_and_then_so_many_in_a_second() {
        let mut buckets = Buckets::new(Some(LIMIT));
        let taken = [
            0, 0, 0, 0, 499, 500, 501, 999, 1000, 60_000, 60_000, 60_000, 60_000,
        ]
        .map(|at| buckets.take("one", at).is_ok());
        let expected = [
            true, true, true, false, false, true, false, false, true, true, true, true, false,
        ];
        assert_eq!(taken, expected);
        assert_eq!(buckets.take("one", 60_000), Err(1));
        assert_eq!(buckets.take("other", 60_000), Ok(()));
        assert_eq!(buckets.take("one", 0), Err(1), "a clock never goes back");
    }

    #[test]
    fn a_bucket_that_rests_never_has_more_than_its_burst() {
        let mut buckets = Buckets::new(Some(LIMIT));
        let taken = [0, 1400, 1400, 1400, 1400].map(|at| buckets.take("one", at).is_ok());
        assert_eq!(taken, [true, true, true, true, false]);
    }

    #[test]
    fn a_limit_of_zero_is_none() {
        let mut buckets = Buckets::new(Limit::of_device(0));
        assert!((0..10_000).all(|_| buckets.take("one", 0).is_ok()));
        let of_device = Limit {
            burst: 60,
            per_second: 1,
        };
        assert_eq!(Limit::of_device(1), Some(of_device));
        assert_eq!(Limit::of_address(20).map(|it| it.burst), Some(400));
    }

    #[test]
    fn addresses_of_one_network_are_one_caller() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory() {
        let mut buckets = Buckets::new(Some(LIMIT));
        for key in 0..200_000 {
            assert!(buckets.take(key, 0).is_ok());
        }
        assert!(buckets.buckets.len() <= MOST);
    }
}
