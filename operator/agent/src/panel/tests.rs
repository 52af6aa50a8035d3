use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn message(id: &str, order: &str) -> Message {
    Message {
        id: id.to_owned(),
        language: "en".to_owned(),
        text: format!("Black toner is empty. A new one is ordered: {order}"),
        short: format!("Ordered {order}"),
    }
}

fn of(columns: u16, lines: u16) -> Panel {
    Panel::Of(Display { columns, lines })
}

// shows A7
#[test]
fn the_long_text_is_shown_where_it_fits_and_the_short_one_elsewhere_each_as_a_whole() {
    let messages = [message("a", "PO-88123")];
    for (panel, lines) in [
        (
            of(24, 4),
            &["Black toner is empty. A", "new one is ordered:", "PO-88123"][..],
        ),
        (of(24, 2), &["Ordered PO-88123"]),
        // It scrolls. dattas/OctoPrint-DetailedProgress#4: a display cut the last digit of an address.
        (of(10, 1), &["Ordered", "PO-88123"]),
        (of(5, 1), &["Order", "ed", "PO-88", "123"]),
    ] {
        assert_eq!(pages(&messages, panel)[0].lines, lines, "{panel:?}");
    }
    assert_eq!(pages(&messages, Panel::None), []);
}

// shows A7
#[test]
fn a_letter_of_double_width_takes_two_columns() {
    // OpenPrinting/cups#866: a text was cut within a letter.
    let japanese = Message {
        id: "a".into(),
        language: "ja".into(),
        text: "黒トナーがなくなりました。注文番号 PO-88123".into(),
        short: "注文 PO-88123".into(),
    };
    let page = &pages(std::slice::from_ref(&japanese), of(24, 1))[0];
    assert_eq!(page.lines, ["注文 PO-88123"]);
    let page = &pages(&[japanese], of(24, 2))[0];
    assert_eq!(
        page.lines,
        ["黒トナーがなくなりました", "。注文番号 PO-88123"]
    );
    assert_eq!(
        framed(page),
        "┌──────────────────────────┐\n\
         │ 黒トナーがなくなりました │\n\
         │ 。注文番号 PO-88123      │\n\
         └──────────────────────────┘\n"
    );
}

proptest! {
    // shows A7
    #[test]
    fn no_line_is_wider_than_the_panel_and_no_letter_is_lost(
        text in "[ a-zA-Z0-9黒注文é-]{0,80}",
        columns in 2..40_u16,
    ) {
        let lines = wrap(&text, columns);
        prop_assert!(lines.iter().all(|it| it.width() <= usize::from(columns)), "{lines:?}");
        let letters = |text: &str| text.split_whitespace().collect::<String>();
        prop_assert_eq!(letters(&lines.join(" ")), letters(&text));
    }
}

// shows A8
#[test]
fn what_stands_on_the_panel_is_reported_with_its_text_and_what_has_not_changed_keeps_its_instant() {
    let panel = of(16, 2);
    let first = states(&[message("a", "PO-1")], &States::new(), panel, at(1));
    let report = json!({"state": "Shown", "at": at(1), "text": "Ordered PO-1"});
    assert_eq!(first["a"].report(), report);
    let wanted = [message("a", "PO-1"), message("b", "PO-2")];
    let second = states(&wanted, &first, panel, at(2));
    assert_eq!((second["a"].at, second["b"].at), (at(1), at(2)));
    let other = states(&[message("a", "PO-3")], &second, panel, at(3));
    assert_eq!(other["a"].text.as_deref(), Some("Ordered PO-3"));
    assert_eq!((other["a"].at, &*other["b"].state), (at(3), "Cleared"));
    // A person has another display put in.
    let wide = states(&[message("a", "PO-3")], &other, of(80, 2), at(4));
    assert_eq!(wide["a"].at, at(4));
}

// shows A8
#[test]
fn a_message_is_taken_down_once_and_forgotten_after_others() {
    let panel = of(24, 2);
    let mut before = States::new();
    for order in 0..20 {
        let id = format!("m{order:02}");
        before = states(&[message(&id, "PO")], &before, panel, at(order * 2));
        before = states(&[], &before, panel, at(order * 2 + 1));
    }
    assert_eq!(before.len(), MOST_CLEARED);
    assert_eq!(before["m19"].at, at(39));
    assert_eq!(before.keys().next().unwrap(), "m12");
    assert_eq!(states(&[], &before, panel, at(99)), before);
}

// shows A8
#[test]
fn a_device_without_a_display_says_so_and_never_that_it_shows_anything() {
    let wanted = [message("a", "PO-1")];
    let states_of = |before: &States| states(&wanted, before, Panel::None, at(1));
    let first = states_of(&States::new());
    assert_eq!(first["a"].state, "Undeliverable");
    assert_eq!(first["a"].detail.as_deref(), Some(NO_DISPLAY));
    assert_eq!(states_of(&first), first);
    assert_eq!(states(&[], &first, Panel::None, at(2)), States::new());
}
