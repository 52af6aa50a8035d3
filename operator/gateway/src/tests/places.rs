use super::stand::{Stand, json_of, problem};

// shows C1
#[tokio::test]
async fn anybody_is_told_the_region_of_a_place_and_nothing_else_is_asked() {
    let stand = Stand::new().await;
    let answer = stand.get("/v1/region?country=JP&subdivision=13", "").await;
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("date"));
    let body = json_of(answer).await;
    assert_eq!(
        (&body["region"], &body["url"]),
        (&"jp".into(), &"https://gw.jp.example".into())
    );
    assert_eq!(body["validUntil"], "2027-04-19T01:02:03Z");
    for (query, expected) in [
        ("?country=US", (404, "RegionUnknown")),
        ("", (422, "InvalidRequest")),
        ("?country=JP&country=JP", (422, "InvalidRequest")),
        ("?country=%00", (422, "InvalidRequest")),
        ("?country=J%0d%0aSet-Cookie:%20a", (422, "InvalidRequest")),
    ] {
        let (status, reason) = problem(stand.get(&format!("/v1/region{query}"), "").await).await;
        assert_eq!((status, &*reason), expected, "{query}");
    }
}
