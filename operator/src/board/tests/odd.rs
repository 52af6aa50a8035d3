//! Reports of others about pages like these, each with the request of it and what ours must answer.
//!
//! Two more are where the API server decides or a browser looks: kubernetes-retired/dashboard#7158, a
//! viewer of one namespace is told of the others (e2e, `board::access`), and
//! rancher-sandbox/rancher-desktop#6221, a name with HTML in it (e2e, `board::chromium`).

use axum::http::Method;
use entente_controllers::board::Seen;
use entente_domain::views::{
    Board as BoardView, LateReason, LateService, Moment, OwedView, StartRow,
};
use http_body_util::BodyExt as _;
use jiff::{Timestamp, tz::TimeZone};

use super::{FORM, pages, request, send};
use crate::board::{
    ask::{Ask, Given},
    pages::{Page, Viewer},
};

/// A report, its request, and the answer to it.
struct OddCase {
    report: &'static str,
    method: Method,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: String,
    status: u16,
    /// Texts that the page has.
    has: &'static [&'static str],
    /// Texts that it has not.
    lacks: &'static [&'static str],
}

impl OddCase {
    /// Returns a case that gets a page.
    fn get(report: &'static str, path: &'static str, status: u16) -> Self {
        Self {
            report,
            method: Method::GET,
            path,
            headers: &[],
            body: String::new(),
            status,
            has: &[],
            lacks: &[],
        }
    }

    /// Returns a case that signs in with a token.
    fn sign_in(report: &'static str, token: &str, status: u16) -> Self {
        Self {
            method: Method::POST,
            headers: &[FORM],
            body: format!("token={token}"),
            ..Self::get(report, "/sign-in", status)
        }
    }
}

/// Reports about sessions.
fn about_sessions() -> Vec<OddCase> {
    vec![
        OddCase {
            has: &["has 4329 bytes; a browser keeps 3800", "ServiceAccount"],
            ..OddCase::sign_in(
                "kubernetes-retired/dashboard#2981: a cookie beyond 4 KiB is dropped in silence",
                &"x".repeat(4329),
                401,
            )
        },
        OddCase {
            has: &["Sign in with a token"],
            ..OddCase::get(
                "pomerium/pomerium#211: who has no session is sent round in a loop",
                "/",
                401,
            )
        },
        OddCase {
            headers: &[("authorization", "Bearer known")],
            lacks: &["Sign in"],
            ..OddCase::get(
                "kubernetes-retired/dashboard#3391: the header of a proxy does not let in",
                "/",
                503,
            )
        },
        OddCase {
            headers: &[
                ("authorization", "Bearer known"),
                ("cookie", "entente-board=stranger"),
            ],
            lacks: &["Sign in"],
            ..OddCase::get(
                "skooner-k8s/skooner#30: an older session wins over the token of a proxy",
                "/",
                503,
            )
        },
        OddCase {
            headers: &[
                ("authorization", "Bearer stranger"),
                ("cookie", "entente-board=known"),
            ],
            has: &["in the header Authorization is not known"],
            ..OddCase::get(
                "tektoncd/dashboard#2214: a wrong token of a proxy is told as nothing but 401",
                "/",
                401,
            )
        },
        OddCase {
            headers: &[("cookie", "entente-board=stranger")],
            has: &["The session has ended"],
            ..OddCase::get(
                "kubernetes-retired/dashboard#5142: a session that has ended is told as no session",
                "/",
                401,
            )
        },
    ]
}

/// Reports about texts and links in pages.
fn about_pages() -> Vec<OddCase> {
    vec![
        OddCase {
            headers: &[("authorization", "Bearer known")],
            has: &["days is", "&#60;img"],
            lacks: &["<img"],
            ..OddCase::get(
                "kubernetes-retired/dashboard#1361: the query is taken into the page",
                "/?days=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
                400,
            )
        },
        OddCase {
            headers: &[("authorization", "Bearer known")],
            lacks: &["<img", "onerror"],
            ..OddCase::get(
                "kubernetes/kubernetes#70160: the path is taken into the page that there is none",
                "/namespaces/acme/%3Cimg%20src%3Da%20onerror%3Dalert(1)%3E",
                404,
            )
        },
        OddCase {
            has: &["href=\"../../../\"", "action=\"../../../sign-in\""],
            lacks: &["href=\"/", "action=\"/", "<base", "src="],
            ..OddCase::get(
                "kubernetes-retired/dashboard#5017: behind a prefix no link leads back",
                "/namespaces/acme/contracts/acme-2027",
                401,
            )
        },
    ]
}

// shows K4
#[tokio::test]
async fn what_went_wrong_with_the_pages_of_others_does_not_with_these() {
    for case in about_sessions().into_iter().chain(about_pages()) {
        let sent = request(case.method, case.path, case.headers, &case.body);
        let (status, headers, text) = send(&pages(false), sent).await;
        let report = case.report;
        assert_eq!(status, case.status, "{report}: {text}");
        assert!(
            !headers.contains_key("location"),
            "{report}: it leads nowhere else"
        );
        for part in case.has {
            assert!(text.contains(part), "{report}: {part} is missing in {text}");
        }
        for part in case.lacks {
            assert!(!text.contains(part), "{report}: {part} is in {text}");
        }
    }
}

/// tektoncd/dashboard#2324, djenriquez/vault-ui#109: a page with every object stops the browser.
#[tokio::test]
async fn a_page_of_ten_thousand_late_contracts_is_as_long_as_one_of_a_hundred() {
    let length = async |count: usize| {
        let viewer = Viewer {
            name: "ana".to_owned(),
            by_cookie: true,
        };
        let given = Given::default();
        let ask = Ask::try_from(given).unwrap();
        let answer = Page::START.start(&viewer, &ask, &seen(count));
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(text.to_vec()).unwrap();
        let told = format!("The first 100 of {count}");
        assert_eq!(
            text.matches(&told).count(),
            if count > 100 { 2 } else { 0 },
            "{count}"
        );
        text.len()
    };
    let (some, all) = (length(100).await, length(10_000).await);
    // The names to choose from are typed where there are many.
    assert!(all < some + 1024, "{some} bytes, and {all}");
}

/// A board with so many contracts that begin, and as many that are late on ten thousand devices.
fn seen(count: usize) -> Seen {
    let now: Timestamp = "2027-04-01T09:00:00Z".parse().unwrap();
    let moment = || Moment::new(now, &TimeZone::UTC, now);
    let name = |index: usize| format!("contract-{index:05}");
    let start = |index: usize| StartRow {
        namespace: "acme".to_owned(),
        name: name(index),
        customer: "C-1".to_owned(),
        start: moment(),
        subscriptions: 1,
        at_risk: true,
        reason: "DeviceNotFound".to_owned(),
        message: "m".repeat(1024),
    };
    let devices: Vec<String> = (0..10_000).map(|it| format!("mfp-{it:05}")).collect();
    let late = |index: usize| LateService {
        namespace: "acme".to_owned(),
        contract: name(index),
        customer: "C-1".to_owned(),
        service: "backup".to_owned(),
        promised: moment(),
        late: "6h".to_owned(),
        missed: 1,
        due: 0,
        reasons: vec![LateReason {
            reason: "Unreachable".to_owned(),
            cause: None,
            devices: if index < 200 {
                devices.clone()
            } else {
                Vec::new()
            },
            message: "m".repeat(1024),
            next_step: None,
        }],
    };
    Seen {
        board: BoardView {
            names: (0..count).map(|it| ("acme".to_owned(), name(it))).collect(),
            refused: Vec::new(),
            namespaces: ["acme".to_owned()].into(),
            customers: (0..count).map(|it| format!("C-{it}")).collect(),
            starts: (0..count).map(start).collect(),
            late: (0..count).map(late).collect(),
            owed: OwedView {
                compensations: Vec::new(),
                sums: Vec::new(),
                totals: Vec::new(),
                unreadable: Vec::new(),
            },
            devices: Vec::new(),
        },
        hidden: Vec::new(),
        partly: Vec::new(),
        is_old: false,
        unread: Vec::new(),
    }
}
