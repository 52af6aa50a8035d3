//! The causes whose delays count (D9).
//!
//! Decides it for the judge, who merges delays, and for the calculation, which adds them up: time
//! merged into a cause that does not count would be a lost debt, and the reverse a made one.

use entente_crds::v1alpha1::Cause;

/// Returns the causes that count: an empty list means Device, Server and Provider, which is what a
/// contract without `countedCauses` means.
pub fn counted_causes(causes: &[Cause]) -> &[Cause] {
    if causes.is_empty() {
        &[Cause::Device, Cause::Server, Cause::Provider]
    } else {
        causes
    }
}

/// True if a delay by a cause counts where these are the causes that a contract names.
pub(super) fn counts(cause: Cause, causes: &[Cause]) -> bool {
    counted_causes(causes).contains(&cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Cause; 4] = [
        Cause::Device,
        Cause::Server,
        Cause::Provider,
        Cause::Customer,
    ];

    // shows D9
    #[test]
    fn without_a_list_every_delay_counts_but_the_customers() {
        let counted = ALL.map(|cause| counts(cause, &[]));
        assert_eq!(counted, [true, true, true, false]);
    }

    // shows D9
    #[test]
    fn a_list_counts_for_itself_and_adds_nothing_and_leaves_nothing_out() {
        for bits in 1..16_u8 {
            let named = |cause: &Cause| {
                let position = ALL.iter().position(|it| it == cause);
                bits & (1 << position.expect("it is one of them")) != 0
            };
            let list: Vec<Cause> = ALL.into_iter().filter(named).collect();
            for cause in ALL {
                let counted = counts(cause, &list);
                assert_eq!(counted, named(&cause), "{cause:?} of {list:?}");
            }
        }
    }
}
