use super::*;

fn url_of(base_url: &str, request: &OrderRequest) -> String {
    let base = base(base_url).expect("a URL");
    call(&base, request).expect("a request").url.to_string()
}

fn read(id: &str) -> OrderRequest {
    OrderRequest::Read { id: id.to_owned() }
}

#[test]
fn every_part_of_the_url_is_encoded_and_added_to_that_of_the_connection() {
    let find = OrderRequest::FindOpen {
        serial_number: "A&B=1 ?".to_owned(),
    };
    let table = [
        (
            "https://orders.example",
            read("PO-1"),
            "https://orders.example/v1/orders/PO-1",
        ),
        (
            "https://orders.example/a/",
            read("a/../b?c"),
            "https://orders.example/a/v1/orders/a%2F..%2Fb%3Fc",
        ),
        (
            "https://orders.example/a",
            find,
            "https://orders.example/a/v1/orders?device=A%26B%3D1+%3F&open=true",
        ),
    ];
    for (base_url, request, expected) in table {
        assert_eq!(url_of(base_url, &request), expected);
    }
    assert!(base("ipp://orders.example").is_err());
}

// shows K4
#[test]
fn an_operation_lies_below_the_url_of_the_connection_or_is_not_asked_for() {
    let base = base("https://orders.example/shop/").expect("a URL");
    let place = |location: &str| {
        let url = Url::parse(location).expect("a URL");
        below(&base, &url)
    };
    let inside = "https://orders.example/shop/v1/orders/operations/9?x=1";
    // Behind a proxy that ends TLS a server knows its own scheme and port.
    for said in [
        inside,
        "http://orders.example/shop/v1/orders/operations/9?x=1",
        "http://orders.example:8080/shop/v1/orders/operations/9?x=1",
    ] {
        assert_eq!(place(said).as_deref(), Some("v1/orders/operations/9?x=1"));
    }
    for outside in [
        "https://elsewhere.example/shop/v1/orders/operations/9",
        "https://user@orders.example/shop/v1",
        "https://orders.example/shopping/v1",
        "https://orders.example/",
    ] {
        assert_eq!(place(outside), None, "{outside}");
    }
    let back = operation(&base, "v1/orders/operations/9?x=1").expect("a URL");
    assert_eq!(back.as_str(), inside);
    for stored in [
        "../../x",
        "//elsewhere.example/x",
        "https://elsewhere.example/",
    ] {
        let url = operation(&base, stored);
        let is_inside = url.is_ok_and(|url| below(&base, &url).is_some());
        assert!(is_inside || operation(&base, stored).is_err(), "{stored}");
    }
}
