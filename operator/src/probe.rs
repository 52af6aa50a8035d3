//! `entente-operator probe`: requests pages of a running operator until each of them answers 200.
//!
//! Called by `main` in place of the operator, for the Pod of `helm test`: the image has no shell and no
//! other program. It needs no rights, and never changes anything.

use std::{process::ExitCode, time::Duration};

use reqwest::{Client, Url, redirect::Policy};
use tokio::time::{Instant, sleep};

use crate::args::Probe;

/// Time after which a request without an answer has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Time between two requests of one page.
const BETWEEN: Duration = Duration::from_secs(1);
/// Longest part of an answer that is shown, in characters.
const SHOWN: usize = 2000;

/// Prints one line for each page; fails with the first page that does not work in time.
pub(crate) async fn exit_code(probe: &Probe) -> ExitCode {
    // Without authorities: a page is plain HTTP, and an image may have none.
    let client = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(ANSWER_WITHIN)
        .tls_certs_only([])
        .build();
    let client = match client {
        Ok(client) => client,
        Err(problem) => {
            eprintln!("no HTTP client: {}", chain(&problem));
            return ExitCode::FAILURE;
        }
    };
    for page in &probe.pages {
        match works(&client, page, probe.within).await {
            Ok(()) => println!("{page} answers 200"),
            Err(fault) => {
                let within = probe.within;
                eprintln!("{page} does not answer 200 within {within:?}; last: {fault}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Requests a page until it answers 200; else the last fault.
async fn works(client: &Client, page: &Url, within: Duration) -> Result<(), String> {
    let deadline = Instant::now() + within;
    loop {
        let fault = match answer(client, page).await {
            Ok(()) => return Ok(()),
            Err(fault) => fault,
        };
        if Instant::now() + BETWEEN >= deadline {
            return Err(fault);
        }
        sleep(BETWEEN).await;
    }
}

/// Requests a page once.
async fn answer(client: &Client, page: &Url) -> Result<(), String> {
    let answer = client.get(page.clone()).send().await;
    let answer = answer.map_err(|problem| chain(&problem))?;
    let status = answer.status();
    if status == reqwest::StatusCode::OK {
        return Ok(());
    }
    let text = answer.text().await.unwrap_or_default();
    let shown: String = text.trim_end().chars().take(SHOWN).collect();
    Err(format!("{status}\n{shown}"))
}

/// An error with its sources, of which only the last names the cause.
fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| {
        format!("{text}: {source}")
    })
}

#[cfg(test)]
mod tests {
    use std::{
        process::ExitCode,
        sync::atomic::{AtomicU16, Ordering},
        time::Duration,
    };

    use axum::{Router, http::StatusCode, routing::get};
    use tokio::net::TcpListener;

    use super::{Probe, exit_code, works};

    /// Serves `/readyz`, which is ready after so many answers; returns its address.
    async fn ready_after(answers: u16) -> reqwest::Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let page = format!("http://{}/readyz", listener.local_addr().unwrap());
        let left = std::sync::Arc::new(AtomicU16::new(answers));
        let ready = move || {
            let left = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            std::future::ready(if left.is_ok() {
                (StatusCode::SERVICE_UNAVAILABLE, "rights: patch contracts\n")
            } else {
                (StatusCode::OK, "ok\n")
            })
        };
        let router = Router::new().route("/readyz", get(ready));
        tokio::spawn(async { axum::serve(listener, router).await });
        page.parse().unwrap()
    }

    fn probe(pages: Vec<reqwest::Url>, within: Duration) -> Probe {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Probe { pages, within }
    }

    #[tokio::test]
    async fn a_page_is_requested_until_it_answers_200_and_every_page_must() {
        let (ready, late) = (ready_after(0).await, ready_after(1).await);
        let both = probe(vec![ready.clone(), late], Duration::from_secs(20));
        assert_eq!(exit_code(&both).await, ExitCode::SUCCESS);

        let missing = ready.join("/metrics").unwrap();
        let short = probe(vec![ready, missing], Duration::from_millis(1));
        assert_eq!(exit_code(&short).await, ExitCode::FAILURE);
    }

    #[tokio::test]
    async fn the_fault_has_the_text_of_the_page_and_the_cause() {
        let page = ready_after(9).await;
        let probe = probe(Vec::new(), Duration::from_millis(1));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let fault = works(&client, &page, probe.within).await.unwrap_err();
        assert!(fault.starts_with("503"), "{fault}");
        assert!(fault.contains("rights: patch contracts"), "{fault}");

        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr();
        let page = format!("http://{}/", nobody.unwrap()).parse().unwrap();
        let fault = works(&client, &page, probe.within).await.unwrap_err();
        assert!(fault.contains("refused"), "{fault}");
    }
}
