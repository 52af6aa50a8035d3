//! The times of single cases: when a Lease is taken, kept, given up, and by whom.

use super::*;

fn wait(seconds: u64) -> Step {
    Step::Wait { until: s(seconds) }
}

fn hold(version: Option<&str>, transitions: i32) -> Step {
    Step::Hold {
        version: version.map(str::to_owned),
        transitions,
    }
}

/// Returns a candidate `a` that leads since 0 s, by version 1.
fn leader() -> Candidate {
    let mut leader = Candidate::new("a", TERMS);
    leader.read(None, s(0));
    leader.held(lease("1", Some("a"), 0), s(0));
    leader
}

/// Returns a candidate `b` that saw at 0 s that `a` leads by version 1.
fn follower() -> Candidate {
    let mut follower = Candidate::new("b", TERMS);
    follower.read(Some(lease("1", Some("a"), 0)), s(0));
    follower
}

// shows K1
#[test]
fn the_first_candidate_creates_the_lease_and_leads_from_the_sending_of_that_on() {
    let mut first = Candidate::new("a", TERMS);
    assert_eq!(first.next(s(0)), Step::Read);
    first.read(None, s(1));
    assert_eq!(first.next(s(1)), hold(None, 0));
    assert_eq!(first.leads_until(), None);
    first.held(lease("1", Some("a"), 0), s(1));
    assert_eq!(first.leads_until(), Some(s(9)));
    assert_eq!(first.next(s(1)), wait(4));
    assert_eq!(first.next(s(4)), hold(Some("1"), 0));
}

// shows K1
#[test]
fn a_lease_that_does_not_change_is_taken_when_its_duration_has_passed_and_not_before() {
    let mut follower = follower();
    assert_eq!(follower.follows(), Some("a"));
    for second in [4, 8] {
        assert_eq!(follower.next(s(second)), Step::Read, "{second}");
        follower.read(Some(lease("1", Some("a"), 0)), s(second));
        assert_eq!(follower.next(s(second)), wait(second + 4), "{second}");
    }
    assert_eq!(follower.next(s(12)), hold(Some("1"), 1));
    follower.held(lease("2", Some("b"), 1), s(12));
    assert_eq!(follower.leads_until(), Some(s(20)));
}

#[test]
fn a_change_of_its_labels_alone_is_no_renewal_and_no_reason_to_refuse_the_next_one() {
    let mut follower = follower();
    let labelled = Lease {
        version: "2".to_owned(),
        ..lease("1", Some("a"), 0)
    };
    follower.read(Some(labelled.clone()), s(11));
    assert_eq!(follower.next(s(12)), hold(Some("2"), 1));

    let mut leader = leader();
    assert_eq!(leader.next(s(3)), hold(Some("1"), 0));
    leader.refused();
    assert_eq!(leader.next(s(3)), Step::Read);
    leader.read(Some(labelled), s(3));
    assert_eq!(leader.next(s(3)), hold(Some("2"), 0));
    assert_eq!(leader.leads_until(), Some(s(8)), "a reading renews nothing");
}

#[test]
fn what_was_released_and_what_a_former_process_of_this_identity_held_is_taken_at_once() {
    for holder in [None, Some("b")] {
        let mut next = Candidate::new("b", TERMS);
        next.read(Some(lease("7", holder, 4)), s(0));
        assert_eq!(next.next(s(0)), hold(Some("7"), 5), "{holder:?}");
    }
}

#[test]
fn a_deleted_lease_may_have_been_renewed_just_before_and_is_not_taken_for_its_whole_duration() {
    let mut follower = follower();
    for second in [5, 9, 13] {
        follower.read(None, s(second));
        assert_eq!(follower.next(s(second)), wait(second + 4));
    }
    assert_eq!(follower.next(s(17)), hold(None, 1));
}

// shows K1
#[test]
fn a_leader_that_cannot_renew_acts_no_longer_and_leads_again_only_if_nobody_did_meanwhile() {
    let failing = || {
        let mut leader = leader();
        for second in 3..30 {
            let next = leader.next(s(second));
            assert!(matches!(next, Step::Hold { .. } | Step::Read), "{next:?}");
            leader.failed(s(second));
            assert_eq!(leader.next(s(second)), wait(second + 1));
        }
        assert_eq!(leader.leads_until(), Some(s(8)));
        leader
    };
    let mut alone = failing();
    alone.read(Some(lease("1", Some("a"), 0)), s(30));
    assert_eq!(alone.next(s(30)), hold(Some("1"), 0));
    alone.held(lease("2", Some("a"), 0), s(30));
    assert_eq!(alone.leads_until(), Some(s(38)));

    let taken = lease("2", Some("b"), 1);
    let given_back = lease("3", None, 1);
    let taken_by_another_process_of_this_name = lease("2", Some("a"), 1);
    for found in [
        Some(taken),
        Some(given_back),
        Some(taken_by_another_process_of_this_name),
        None,
    ] {
        let mut late = failing();
        late.read(found.clone(), s(30));
        assert_eq!(late.next(s(30)), Step::End, "{found:?}");
        assert_eq!(late.leads_until(), None, "{found:?}");
        late.held(lease("9", Some("a"), 0), s(30));
        assert_eq!(late.next(s(30)), Step::End, "it is over for good");
    }
}

#[test]
fn an_acquisition_whose_answer_was_lost_is_found_out_by_reading() {
    let mut follower = follower();
    assert_eq!(follower.next(s(12)), hold(Some("1"), 1));
    follower.failed(s(14));
    assert_eq!(follower.next(s(14)), wait(15));
    assert_eq!(follower.next(s(15)), Step::Read);
    follower.read(Some(lease("2", Some("b"), 1)), s(15));
    assert_eq!(follower.leads_until(), None);
    assert_eq!(follower.next(s(15)), hold(Some("2"), 2));
}

#[test]
fn only_a_leader_that_knows_the_version_gives_the_lease_back() {
    let mut leader = leader();
    assert_eq!(leader.release(), Some(("1".to_owned(), 0)));
    leader.failed(s(3));
    assert_eq!(leader.release(), None);
    assert_eq!(follower().release(), None);
}

#[test]
fn an_api_server_that_loses_each_first_request_and_is_slow_costs_no_leader() {
    let mut leader = leader();
    let mut now = s(0);
    for _ in 0..100 {
        let Step::Wait { until } = leader.next(now) else {
            panic!("{leader:?}");
        };
        // The renewal is lost; the reading and the next renewal take a quarter of what they may.
        now = until + TERMS.request();
        leader.failed(now);
        now += TERMS.retry();
        assert_eq!(leader.next(now), Step::Read);
        now += TERMS.request() / 4;
        leader.read(Some(lease("1", Some("a"), 0)), now);
        let sent = now;
        now += TERMS.request() / 4;
        assert!(leader.leads_until() > Some(now), "{now:?} {leader:?}");
        leader.held(lease("1", Some("a"), 0), sent);
    }
}
