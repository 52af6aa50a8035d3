//! Tests of texts for panels (A6, A7).

use super::*;

fn texts() -> MessageTextSpec {
    example::toner_empty_text().spec
}

fn words(order: &str) -> PanelWords<'_> {
    PanelWords {
        order,
        supply: "black-toner",
        device: DEVICE,
    }
}

// shows A6, A7
#[test]
fn the_text_is_in_the_language_of_the_device_and_the_id_is_whole() {
    let wide = Capacity::default();
    let small = |columns, is_ascii| Capacity {
        columns: Some(columns),
        lines: Some(1),
        octets: None,
        is_ascii,
    };
    for (language, capacity, expected) in [
        (
            Some("ja"),
            wide,
            "ja black-tonerがなくなりました。注文番号 PO-88123",
        ),
        (
            Some("ja-JP"),
            wide,
            "ja black-tonerがなくなりました。注文番号 PO-88123",
        ),
        (Some("JA"), small(20, false), "ja 注文 PO-88123"),
        (Some("ja"), small(16, true), "en Ordered PO-88123"),
        (Some("ja"), small(15, true), "en PO-88123"),
        (
            Some("fr"),
            wide,
            "en black-toner is empty. A new one is ordered: PO-88123",
        ),
        (None, small(20, true), "en Ordered PO-88123"),
        (Some("pt"), small(8, true), "en PO-88123"),
        (
            Some("en"),
            Capacity {
                octets: Some(16),
                ..wide
            },
            "en Ordered PO-88123",
        ),
        (
            Some("en"),
            Capacity {
                columns: Some(16),
                lines: Some(4),
                ..wide
            },
            "en black-toner is empty. A new one is ordered: PO-88123",
        ),
    ] {
        let (found, text) = panel_text(&texts(), language, words("PO-88123"), capacity).unwrap();
        assert_eq!(
            format!("{found} {text}"),
            expected,
            "{language:?} {capacity:?}"
        );
    }
    let none = panel_text(&texts(), Some("en"), words("PO-88123"), small(7, true));
    assert_eq!(none, Err(TextFault::NoRoom("PO-88123".to_owned())));
}

#[test]
fn what_is_filled_in_is_no_place_again() {
    let texts = MessageTextSpec {
        texts: vec![PanelText {
            language: "en".to_owned(),
            text: "{supply} {orderId} {".to_owned(),
            short: None,
        }],
        fallback: "en".to_owned(),
        ..texts()
    };
    let words = PanelWords {
        supply: "{orderId}",
        ..words("{supply}")
    };
    let (_, text) = panel_text(&texts, None, words, Capacity::default()).unwrap();
    assert_eq!(text, "{orderId} {supply} {");
}
