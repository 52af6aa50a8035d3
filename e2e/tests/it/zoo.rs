//! The zoo of odd brokers: every row in process, by a clock that jumps, and the rows that say so
//! through the operator.

mod claims;
mod life;
mod objects;
mod operator;

use std::sync::Arc;

use entente_drivers::Drivers;
use entente_e2e::operator::workspace;
use entente_simulators::zoo::{Pace, Row, rows_of};
use tokio::sync::Semaphore;

use claims::{Judged, judge};
use life::Life;

/// The fewest rows of the zoo.
const FEWEST: usize = 60;

/// Rows that are played at once in process: more would only wait for each other, and a request would
/// run into its time limit.
const AT_ONCE: usize = 4;

/// Plays a row in process.
async fn play(row: Row, drivers: Drivers, turns: Arc<Semaphore>) -> Judged {
    let _turn = turns.acquire().await;
    let phases = Life::begin(&row, drivers).live().await;
    judge(&row, &phases, Pace::Virtual)
}

// shows B9 D2 K5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broker_of_the_zoo_has_its_right_verdict() {
    let rows = rows();
    let through_the_operator = rows.iter().filter(|row| row.end_to_end).count();
    assert!(rows.len() >= FEWEST, "{} rows", rows.len());
    assert!(
        through_the_operator * 3 >= rows.len(),
        "{through_the_operator}"
    );

    let (drivers, turns) = (Drivers::real(), Arc::new(Semaphore::new(AT_ONCE)));
    let playing: Vec<_> = chosen(rows)
        .into_iter()
        .map(|row| {
            let playing = play(row.clone(), drivers.clone(), Arc::clone(&turns));
            (row, tokio::spawn(playing))
        })
        .collect();
    let mut judged = Vec::new();
    for (row, playing) in playing {
        judged.push(match playing.await {
            Ok(judged) => judged,
            Err(panic) => Judged::panicked(&row, &panic.to_string()),
        });
    }
    let wait: Vec<&str> = judged
        .iter()
        .filter(|row| row.waits)
        .map(|row| row.name.as_str())
        .collect();
    println!("{} rows wait for a mend: {}", wait.len(), wait.join(" "));
    let wrong: Vec<String> = judged.into_iter().filter_map(|row| row.wrong).collect();
    assert!(
        wrong.is_empty(),
        "{}\n{} rows are wrong",
        wrong.join("\n"),
        wrong.len()
    );
}

/// Returns the rows as they are in the file now: to try one, nothing has to be compiled.
fn rows() -> Vec<Row> {
    let path = workspace().join("e2e/simulators/zoo/brokers.txt");
    let rows = rows_of(&std::fs::read_to_string(path).unwrap());
    rows.unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the rows that the variable `ZOO` names, separated by commas; without it all.
fn chosen(rows: Vec<Row>) -> Vec<Row> {
    let Ok(names) = std::env::var("ZOO") else {
        return rows;
    };
    let names: Vec<&str> = names.split(',').collect();
    let rows = rows.into_iter();
    rows.filter(|row| names.contains(&row.name.as_str()))
        .collect()
}
