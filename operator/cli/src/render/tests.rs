//! Whole answers beside the objects that they are made of. `UPDATE=1` writes the files anew; the review
//! reads the difference.

mod fixture;
mod odd_cases;
mod plans;

use entente_domain::views::{
    LatenessFilter, OwedFilter, OwedState, TreeOptions, contract_rows, contract_tree, late_devices,
    owed, starts,
};
use jiff::SignedDuration;

use self::fixture::{
    compensations, contract, contract_that_begins, fleet, has_written, now, subscriptions, the_same,
};
use super::for_programs;
use crate::args::Output;
use crate::screen::Screen;

const PLAIN: Screen = Screen {
    width: None,
    colours: false,
};

fn columns(width: usize) -> Screen {
    Screen {
        width: Some(width),
        colours: false,
    }
}

/// The tree of the example contract, of which two devices are in trouble.
fn tree(wide: bool, screen: &Screen) -> String {
    let options = TreeOptions {
        everything: wide,
        ..TreeOptions::default()
    };
    let view = contract_tree(&contract(), &subscriptions(), Vec::new(), options, now());
    super::tree(&view, wide, screen, now())
}

// shows K2
#[test]
fn a_tree_groups_what_is_well_and_tells_what_is_not() {
    the_same("tree-80.txt", &tree(false, &columns(80)));
    the_same("tree-120.txt", &tree(false, &columns(120)));
}

#[test]
fn a_tree_for_a_file_has_no_broken_lines_and_wide_shows_every_item() {
    the_same("tree-file.txt", &tree(false, &PLAIN));
    the_same("tree-wide.txt", &tree(true, &columns(100)));
}

#[test]
fn colours_change_nothing_but_colours() {
    let screen = Screen {
        colours: true,
        ..columns(80)
    };
    let coloured = tree(false, &screen);
    assert!(coloured.contains("\u{1b}[31m"), "something is red");
    let mut plain = String::new();
    let mut parts = coloured.split('\u{1b}');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').expect("a colour ends in m").1);
    }
    assert_eq!(plain, tree(false, &columns(80)));
}

#[test]
fn no_line_of_a_tree_is_wider_than_the_screen() {
    for width in [80, 100, 120] {
        for line in tree(true, &columns(width)).lines() {
            let columns = super::text::width(line);
            assert!(columns <= width, "{columns} columns of {width}: {line}");
        }
    }
}

#[test]
fn of_a_fleet_a_few_devices_are_shown_and_the_others_are_counted() {
    let (contract, subscriptions) = fleet(3_000, 40);
    let options = TreeOptions::default();
    let view = contract_tree(&contract, &subscriptions, Vec::new(), options, now());
    the_same(
        "tree-fleet.txt",
        &super::tree(&view, false, &columns(80), now()),
    );
}

#[test]
fn a_tree_for_programs_has_everything_and_no_layout() {
    let options = TreeOptions {
        everything: true,
        ..TreeOptions::default()
    };
    let view = contract_tree(&contract(), &subscriptions(), Vec::new(), options, now());
    let json = for_programs(&view, Output::Json).expect("JSON is for programs");
    the_same("tree.json", &json);
    let yaml = for_programs(&view, Output::Yaml).expect("YAML is for programs");
    let read: serde_json::Value = entente_crds::yaml::read(&yaml).expect("it is YAML");
    let same: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(read, same);
}

#[test]
fn contracts_are_a_list() {
    let all = [
        contract(),
        contract_that_begins("aurora-2027", "acme", 3, true),
    ];
    let rows = contract_rows(&all);
    let text = super::contracts(&rows, true, false, &columns(120));
    let narrow = super::contracts(&rows, false, false, &columns(80));
    let wide = super::contracts(&rows, false, true, &columns(120));
    the_same("contracts.txt", &format!("{text}\n{narrow}\n{wide}"));
}

// shows D8
#[test]
fn debts_have_sums_by_contract_and_currency() {
    let all = owed(&compensations(), &OwedFilter::default(), now());
    let narrow = super::debts(&all, false, false, &columns(80));
    let wide = super::debts(&all, true, true, &PLAIN);
    the_same("owed.txt", &format!("{narrow}\n--- wide\n{wide}"));
    let json = for_programs(&all, Output::Json).expect("JSON is for programs");
    the_same("owed.json", &json);
    the_same("owed.journal", &super::journal(&all));
}

#[test]
fn debts_are_filtered_by_customer_contract_and_state() {
    let rows = |filter: &OwedFilter| {
        let view = owed(&compensations(), filter, now());
        let names = view.compensations.into_iter().map(|row| row.device);
        (names.collect::<Vec<_>>(), view.totals)
    };
    let (devices, totals) = rows(&OwedFilter {
        customer: Some("C-0815".to_owned()),
        ..OwedFilter::default()
    });
    assert_eq!(devices, ["kiosk-mfp"]);
    assert_eq!((&*totals[0].currency, &*totals[0].value), ("JPY", "1200"));
    let (devices, totals) = rows(&OwedFilter {
        state: Some(OwedState::Voided),
        ..OwedFilter::default()
    });
    assert_eq!(devices, ["lobby-mfp"]);
    assert!(totals.is_empty(), "a voided record counts for nothing");
    let (devices, _) = rows(&OwedFilter {
        contract: Some("banco-sul-2027".to_owned()),
        state: Some(OwedState::Growing),
        ..OwedFilter::default()
    });
    assert_eq!(devices, ["branch-02-mfp", "branch-03-mfp"]);
}

#[test]
fn starts_are_listed_by_their_date_with_their_risk() {
    let all = [
        contract_that_begins("later-2027", "acme", 9, false),
        contract_that_begins("borealis-2027", "acme", 5, false),
        contract_that_begins("aurora-2027", "acme", 3, true),
        contract(),
    ];
    let rows = starts(&all, SignedDuration::from_hours(24 * 7), now());
    assert!(rows.iter().all(|row| row.name != "later-2027"), "{rows:?}");
    let text = super::starts(&rows, true, &columns(120));
    the_same("starts.txt", &text);
}

// shows D3
#[test]
fn late_devices_come_with_their_causes() {
    let devices = late_devices(
        &subscriptions(),
        &compensations(),
        &LatenessFilter::default(),
        now(),
    );
    the_same("late.txt", &super::lateness(&devices, false, &columns(80)));
}

#[test]
fn a_golden_file_is_really_compared() {
    assert!(!has_written("tree-80.txt", "something else"));
}
