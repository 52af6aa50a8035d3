//! Tests that a status write waits for the echo of the write before it. The clock is paused: a
//! sleep moves it and takes no time.

use tokio::time::{Instant, sleep};

use super::*;
use crate::{
    cache::Watched,
    fake_api::FakeWatch,
    shutdown::{Shutdown, ShutdownTrigger},
};

/// Returns the cache that the watch feeds, with `hq` at version 5, and the handles that keep it so.
async fn followed() -> (Arc<Cache<Connection>>, FakeWatch, ShutdownTrigger) {
    let (client, mut server): (Client, FakeApi) = FakeApi::new();
    let cache = Arc::new(Cache::new(Arc::new(Metrics::new("0"))));
    let (trigger, shutdown) = Shutdown::channel();
    tokio::spawn(Arc::clone(&cache).run(client, Watched::default(), shutdown));
    let listed = json_of(&connection("u1", 5, 1));
    server.next().await.list(5, "", &[listed]);
    let watch = server.next().await.watch();
    cache.ready().await;
    (cache, watch, trigger)
}

/// Reports one more than the cache has. Returns the duration in milliseconds and the version that
/// was replaced.
async fn report(cache: &Cache<Connection>) -> (u128, String) {
    let (api, mut server, _) = bench();
    let began = Instant::now();
    let hq = hq();
    let report = report_until_written(&api, cache, &hq, NOW, |object| {
        Some(status(object.status.as_ref()?.used_by? + 1))
    });
    let serve = async {
        let asked = server.next().await;
        let waited = began.elapsed().as_millis();
        let version = asked.body["metadata"]["resourceVersion"].clone();
        asked.answer(200, &json_of(&connection("u1", 100, 9)));
        (waited, version.as_str().unwrap_or_default().to_owned())
    };
    let (reported, waited) = both(report, serve).await;
    assert!(matches!(reported, Ok(Reported::Written(_))));
    waited
}

#[tokio::test(start_paused = true)]
async fn a_status_waits_until_the_watch_has_brought_the_write_before() {
    let (cache, watch, _trigger) = followed().await;
    cache.put_written(connection("u1", 6, 2));
    let (waited, ()) = tokio::join!(report(&cache), async {
        sleep(Duration::from_millis(40)).await;
        watch.send("MODIFIED", &json_of(&connection("u1", 6, 2)));
    });
    assert_eq!(waited, (40, "6".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_brings_nothing_holds_a_status_up_for_300_milliseconds_after_the_write() {
    let (cache, _watch, _trigger) = followed().await;
    cache.put_written(connection("u1", 6, 2));
    sleep(Duration::from_millis(200)).await;
    assert_eq!(report(&cache).await, (100, "6".to_owned()));
    // The bound counts from the write, so a later caller does not wait at all.
    cache.put_written(connection("u1", 101, 2));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(report(&cache).await, (0, "101".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_status_does_not_wait_where_nothing_was_written_or_all_was_brought() {
    let (cache, watch, _trigger) = followed().await;
    assert_eq!(report(&cache).await, (0, "5".to_owned()));
    watch.send("MODIFIED", &json_of(&connection("u1", 100, 9)));
    cache.echoed(&hq()).await;
    assert_eq!(report(&cache).await, (0, "100".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_the_watch_brings_meanwhile_is_what_the_status_is_decided_on() {
    let (cache, watch, _trigger) = followed().await;
    cache.put_written(connection("u1", 6, 2));
    let (waited, ()) = tokio::join!(report(&cache), async {
        watch.send("MODIFIED", &json_of(&connection("u1", 8, 3)));
    });
    assert_eq!(waited.1, "8");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_goes_is_waited_for_no_more() {
    let (cache, watch, _trigger) = followed().await;
    cache.put_written(connection("u1", 6, 2));
    let began = Instant::now();
    let hq = hq();
    let ((), ()) = tokio::join!(cache.echoed(&hq), async {
        watch.send("DELETED", &json_of(&connection("u1", 7, 2)));
    });
    assert_eq!(began.elapsed(), Duration::ZERO);
}
