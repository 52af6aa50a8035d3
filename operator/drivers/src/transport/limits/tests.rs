//! Tests of the limits: their rates, their division among tenants, and what is given back.

use futures::FutureExt as _;

use super::*;

fn values(in_flight: u32, per_second: u32) -> LimitValues {
    LimitValues {
        in_flight,
        per_second,
    }
}

fn profile() -> ConnectionProfile {
    let spec = entente_crds::v1alpha1::ConnectionSpec::default();
    ConnectionProfile::from_spec("hq", &spec, Vec::new(), None, None).unwrap()
}

#[tokio::test(start_paused = true)]
async fn no_second_holds_more_beginnings_than_allowed() {
    let count = Arc::new(Count::new(values(100, 10)));
    let mut begun = Vec::new();
    for _ in 0..35 {
        let _slot = count.slot("a").await;
        begun.push(Instant::now());
    }
    for window in begun.windows(11) {
        assert!(window[10] - window[0] >= SECOND, "{window:?}");
    }
    assert!(
        begun[34] - begun[0] <= Duration::from_millis(3100),
        "no slower than allowed"
    );
}

#[tokio::test(start_paused = true)]
async fn counts_of_hosts_that_nobody_asks_are_forgotten() {
    let limits = Limits::default();
    let profile = profile();
    for host in 0..1000 {
        drop(limits.permit(&profile, &format!("10.0.0.1/{host}")).await);
    }
    assert_eq!(limits.len(), 1001);
    tokio::time::advance(IDLE_COUNT + SECOND).await;
    drop(limits.permit(&profile, "10.0.0.1/1").await);
    assert_eq!(limits.len(), 2, "the Connection and the one host");
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_request_is_under_way_is_not_forgotten_however_long_it_takes() {
    let limits = Limits::default();
    let mut profile = profile();
    profile.per_host = values(1, 10);
    let slow = limits.permit(&profile, "10.0.0.1/631").await;
    tokio::time::advance(IDLE_COUNT * 2).await;
    drop(limits.permit(&profile, "10.0.0.2/631").await);
    let mut second = Box::pin(limits.permit(&profile, "10.0.0.1/631"));
    assert!(futures::poll!(second.as_mut()).is_pending());
    drop(slow);
    drop(second.await);
}

/// Returns the profile of a tenant with these limits of the whole Connection.
fn of_tenant(tenant: &str, total: LimitValues) -> ConnectionProfile {
    ConnectionProfile {
        total,
        ..profile().for_tenant(tenant)
    }
}

fn is_ready<T>(future: impl Future<Output = T>) -> Option<T> {
    future.now_or_never()
}

// shows K5 K4
#[tokio::test(start_paused = true)]
async fn a_tenant_whose_requests_hang_leaves_slots_of_the_connection_to_others() {
    let limits = Limits::default();
    let total = values(8, 1000);
    let (broken, healthy) = (of_tenant("broken", total), of_tenant("healthy", total));
    let hosts: Vec<_> = (0..100).map(|host| format!("10.0.0.{host}:631")).collect();
    let mut asking: Vec<_> = hosts
        .iter()
        .map(|host| Box::pin(limits.permit(&broken, host)))
        .collect();
    let held: Vec<_> = asking
        .iter_mut()
        .filter_map(|permit| is_ready(permit.as_mut()))
        .collect();
    assert_eq!(held.len(), 6, "three quarters");
    let permit = is_ready(limits.permit(&healthy, "10.1.0.1:631"));
    assert!(permit.is_some(), "nothing was given back before");
    let probes = of_tenant("", total);
    assert!(is_ready(limits.permit(&probes, "10.1.0.2:631")).is_some());
}

// shows K5
#[tokio::test(start_paused = true)]
async fn tenants_take_turns_at_one_slot() {
    let limits = Limits::default();
    let total = values(1, 1000);
    let (a, b) = (of_tenant("a", total), of_tenant("b", total));
    let begun = Mutex::new(Vec::new());
    let ask = async |profile: &ConnectionProfile, host: &str| {
        let _permit = limits.permit(profile, host).await;
        begun.lock().unwrap().push(profile.tenant.clone());
        tokio::task::yield_now().await;
    };
    tokio::join!(
        ask(&a, "10.0.0.1:631"),
        ask(&a, "10.0.0.2:631"),
        ask(&a, "10.0.0.3:631"),
        ask(&b, "10.0.0.4:631"),
        ask(&b, "10.0.0.5:631"),
    );
    assert_eq!(*begun.lock().unwrap(), ["a", "a", "b", "a", "b"]);
}

// shows K5
#[tokio::test(start_paused = true)]
async fn tenants_take_turns_at_the_rate_too() {
    let count = Arc::new(Count::new(values(8, 10)));
    for _ in 0..10 {
        drop(count.slot("many").await);
    }
    let begun = Mutex::new(Vec::new());
    let ask = async |tenant: &'static str| {
        let _slot = count.slot(tenant).await;
        begun.lock().unwrap().push(tenant);
    };
    let many = futures::future::join_all((0..20).map(|_| ask("many")));
    tokio::join!(many, ask("one"));
    let begun = begun.lock().unwrap();
    assert!(begun[..2].contains(&"one"), "{begun:?}");
    assert_eq!(begun.len(), 21);
}

#[tokio::test(start_paused = true)]
async fn what_was_granted_to_one_that_is_gone_is_granted_to_the_next() {
    let count = Arc::new(Count::new(values(1, 1000)));
    let held = count.slot("a").await;
    let mut gone_before = Box::pin(count.slot("a"));
    let mut gone_after = Box::pin(count.slot("b"));
    let mut next = Box::pin(count.slot("c"));
    for waiter in [&mut gone_before, &mut gone_after, &mut next] {
        assert!(is_ready(waiter.as_mut()).is_none());
    }
    drop(gone_before);
    drop(held);
    assert!(
        is_ready(next.as_mut()).is_none(),
        "it was granted to another"
    );
    drop(gone_after);
    drop(is_ready(next.as_mut()).expect("it is granted to the next"));
    let state = count.state();
    assert!(state.waiting.is_empty() && state.held.is_empty());
    assert_eq!(state.under_way, 0);
}

// shows K5
#[test]
fn a_host_has_one_count_however_it_is_spelled() {
    let of = |host: &str| remote(&format!("http://{host}:631/ipp").parse().unwrap());
    for spelled in [
        "10.1.2.3",
        "10.1.2.3.",
        "0x0a010203",
        "0X0A.1.2.3",
        "167838211",
        "012.1.2.3",
        "10.1.515",
        "[::ffff:10.1.2.3]",
        "[0:0:0:0:0:ffff:a01:203]",
    ] {
        assert_eq!(of(spelled), "10.1.2.3:631", "{spelled}");
    }
    for spelled in ["mfp.example", "MFP.Example", "mfp.example."] {
        assert_eq!(of(spelled), "mfp.example:631", "{spelled}");
    }
    assert_eq!(of("[FD00:0::1]"), "[fd00::1]:631");
    assert_eq!(remote(&"https://h/".parse().unwrap()), "h:443");
}
