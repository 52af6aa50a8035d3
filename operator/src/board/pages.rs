//! The pages of the board, rendered on the server from the views of the domain.
//!
//! It decides how many rows are shown and how a page is laid out, and nothing about an object. Every text
//! is escaped by the templates (`operator/templates/board`), and a page needs no script.

mod tiles;

use std::{collections::BTreeSet, sync::LazyLock};

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use entente_controllers::board::{BoardFault, COMPENSATIONS, CONTRACTS, SUBSCRIPTIONS, Seen};
use entente_crds::v1alpha1::Cause;
use entente_domain::{
    listing::some_of,
    views::{Board, ContractTree, Health},
};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use self::tiles::{Shown, Tile};
use super::ask::{Ask, BACK_DAYS};

/// Most rows of one table: a page stays readable, and of a bounded size.
const MOST: usize = 100;
/// Most names in one cell.
const MOST_NAMES: usize = 5;
/// Most names to choose from.
const MOST_OPTIONS: usize = 200;
/// Most notes about objects that cannot be read.
const MOST_NOTES: usize = 10;
/// Seconds after which a page that cannot be shown is asked for again.
const AGAIN: u32 = 5;
/// The style of every page, in the page itself.
const STYLE: &str = include_str!("../../templates/board/style.css");

/// The sources of a page: nothing but the style in the page and its empty icon (Content Security Policy
/// Level 3).
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    )
});

/// Returns the header that names the sources of a page.
pub(super) fn content_policy() -> HeaderValue {
    let none = HeaderValue::from_static("default-src 'none'");
    HeaderValue::try_from(&**POLICY).unwrap_or(none)
}

/// Parts of every page.
struct Frame {
    /// Path from the page to the first one, so that links also hold behind a prefix.
    root: &'static str,
    style: &'static str,
    now: String,
    back_days: u16,
}

impl Frame {
    fn at(root: &'static str) -> Self {
        let now = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC");
        Self {
            root,
            style: STYLE,
            now: now.to_string(),
            back_days: BACK_DAYS,
        }
    }
}

/// Returns the path of a contract's page; names of Kubernetes need no quoting.
fn contract_path(namespace: &str, name: &str) -> String {
    format!("namespaces/{namespace}/contracts/{name}")
}

/// Returns the sentence below a table that is cut.
fn more(all: usize) -> String {
    format!("The first {MOST} of {all}; choose a namespace or a customer to see the others.")
}

fn names<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    some_of(names, MOST_NAMES)
}

fn many_names<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    some_of(names, MOST)
}

/// Returns the word for the side that causes a delay.
#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "templates pass references"
)]
fn cause(cause: &Cause) -> String {
    format!("{cause:?}")
}

/// Returns the class of a health in the style.
#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "templates pass references"
)]
fn tone(health: &Health) -> &'static str {
    match health {
        Health::Settled => "good",
        Health::InProgress => "warn",
        Health::Failed => "bad",
    }
}

/// The person who looks at a page.
#[derive(Clone, Debug)]
pub(super) struct Viewer {
    /// The user's name, as the API server knows it.
    pub(super) name: String,
    /// True if a cookie says so, which the page can end.
    pub(super) by_cookie: bool,
}

/// The reason why nobody is let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) fault: BoardFault,
    /// The fault of the token; `None` where there was none.
    pub(super) problem: Option<&'static str>,
}

/// A field of the form that chooses one of several names, or all.
struct Choice<'a> {
    label: &'static str,
    field: &'static str,
    names: &'a BTreeSet<String>,
    /// The name that is chosen; empty: all.
    asked: String,
}

impl Choice<'_> {
    /// True if there are too many to choose from: the name is typed then.
    fn is_long(&self) -> bool {
        self.names.len() > MOST_OPTIONS
    }

    /// True if the name that is chosen is none of them.
    fn is_elsewhere(&self) -> bool {
        !self.asked.is_empty() && !self.names.contains(&self.asked)
    }
}

#[derive(Template)]
#[template(path = "board/start.html")]
struct StartPage<'a> {
    frame: Frame,
    viewer: &'a str,
    by_cookie: bool,
    ask: &'a Ask,
    board: &'a Board,
    hidden: &'a [&'static str],
    notes: Vec<String>,
}

impl StartPage<'_> {
    fn choices(&self) -> [Choice<'_>; 2] {
        let choice = |label, field, names, asked: &'_ Option<String>| Choice {
            label,
            field,
            names,
            asked: asked.clone().unwrap_or_default(),
        };
        let (board, ask) = (self.board, self.ask);
        [
            choice("Namespace", "namespace", &board.namespaces, &ask.namespace),
            choice("Customer", "customer", &board.customers, &ask.customer),
        ]
    }

    fn days(&self) -> String {
        match self.ask.days {
            1 => "a day".to_owned(),
            days => format!("{days} days"),
        }
    }

    /// True if the viewer may list a kind nowhere.
    fn hides(&self, kind: &str) -> bool {
        self.hidden.contains(&kind)
    }

    /// True if a contract has a page for this viewer: one that was deleted has none.
    fn is_there(&self, namespace: &str, name: &str) -> bool {
        let key = (namespace.to_owned(), name.to_owned());
        self.board.names.contains(&key)
    }

    /// Returns the part that is asked for, for the end of a sentence.
    fn of_what_is_asked(&self) -> String {
        let part = |word: &str, name: &Option<String>| {
            let name = name.as_ref()?;
            Some(format!(" for {word} {name}"))
        };
        let customer = part("customer", &self.ask.customer);
        let namespace = part("namespace", &self.ask.namespace);
        customer.into_iter().chain(namespace).collect()
    }

    fn tiles(&self) -> Vec<Tile> {
        let shown = Shown {
            board: self.board,
            hidden: self.hidden,
            days: &self.days(),
        };
        shown.tiles()
    }
}

#[derive(Template)]
#[template(path = "board/contract.html")]
struct ContractPage<'a> {
    frame: Frame,
    viewer: &'a str,
    by_cookie: bool,
    tree: &'a ContractTree,
}

#[derive(Template)]
#[template(path = "board/sign_in.html")]
struct SignInPage<'a> {
    frame: Frame,
    problem: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "board/message.html")]
struct MessagePage<'a> {
    frame: Frame,
    title: &'a str,
    text: &'a str,
    again: Option<u32>,
}

/// The answers at one place of the board.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    /// Path to the first page.
    root: &'static str,
}

impl Page {
    /// The first page, and what is beside it.
    pub(super) const START: Self = Self { root: "./" };
    /// The page of a contract.
    pub(super) const CONTRACT: Self = Self { root: "../../../" };
    /// Any other place, from which the way is not known.
    pub(super) const ELSEWHERE: Self = Self { root: "/" };

    /// Answers the first page.
    pub(super) fn start(self, viewer: &Viewer, ask: &Ask, seen: &Seen) -> Response {
        let page = StartPage {
            frame: Frame::at(self.root),
            viewer: &viewer.name,
            by_cookie: viewer.by_cookie,
            ask,
            board: &seen.board,
            hidden: &seen.hidden,
            notes: notes(ask, seen),
        };
        answer(StatusCode::OK, &page)
    }

    /// Answers the page of a contract.
    pub(super) fn contract(self, viewer: &Viewer, tree: &ContractTree) -> Response {
        let page = ContractPage {
            frame: Frame::at(self.root),
            viewer: &viewer.name,
            by_cookie: viewer.by_cookie,
            tree,
        };
        answer(StatusCode::OK, &page)
    }

    /// Answers the page to sign in, with what was wrong the last time.
    pub(super) fn sign_in(self, problem: Option<&str>) -> Response {
        let frame = Frame::at(self.root);
        let mut answer = answer(StatusCode::UNAUTHORIZED, &SignInPage { frame, problem });
        let scheme = HeaderValue::from_static("Bearer realm=\"entente\"");
        answer
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, scheme);
        answer
    }

    /// Answers one who is not known, or cannot be at the moment.
    pub(super) fn refuse(self, refused: &Refused) -> Response {
        match refused.fault {
            BoardFault::Unknown => self.sign_in(refused.problem),
            fault => self.of_fault(fault),
        }
    }

    /// Answers why there is nothing to show.
    pub(super) fn of_fault(self, fault: BoardFault) -> Response {
        match fault {
            BoardFault::Unknown => self.sign_in(None),
            BoardFault::NotFound => self.not_found(),
            BoardFault::Unavailable => self.later(
                "The API server does not answer",
                "Who you are and what you may see cannot be checked at the moment.",
            ),
            BoardFault::NotAllowed => self.later(
                "The operator may not ask who you are",
                "It lacks the rights of the board, which the chart gives it with board.enabled=true.",
            ),
            BoardFault::NotListed => self.later(
                "Not everything is read yet",
                "This replica of the operator has just begun and still reads the objects.",
            ),
        }
    }

    /// Answers one request too many.
    pub(super) fn too_many(self) -> Response {
        self.later("Too many requests", "Many people look at the board now.")
    }

    /// Answers a request that cannot be understood.
    pub(super) fn bad_request(self, problem: &str) -> Response {
        self.message(
            StatusCode::BAD_REQUEST,
            "This cannot be shown",
            problem,
            None,
        )
    }

    /// Answers where there is no page, or none for this viewer.
    pub(super) fn not_found(self) -> Response {
        self.message(
            StatusCode::NOT_FOUND,
            "Not found",
            "There is no such page or contract, or you may not list contracts in its namespace.",
            None,
        )
    }

    /// Answers a method that no page has.
    pub(super) fn method_not_allowed(self) -> Response {
        let text = "Pages are read by GET; nothing can be changed here.";
        self.message(StatusCode::METHOD_NOT_ALLOWED, "Not allowed", text, None)
    }

    fn later(self, title: &str, text: &str) -> Response {
        let text = format!("{text} The page is asked for again in {AGAIN} seconds.");
        let mut answer = self.message(StatusCode::SERVICE_UNAVAILABLE, title, &text, Some(AGAIN));
        let seconds = HeaderValue::from(AGAIN);
        answer.headers_mut().insert(header::RETRY_AFTER, seconds);
        answer
    }

    fn message(self, status: StatusCode, title: &str, text: &str, again: Option<u32>) -> Response {
        let page = MessagePage {
            frame: Frame::at(self.root),
            title,
            text,
            again,
        };
        answer(status, &page)
    }
}

/// Returns the sentences about what is not on the page.
fn notes(ask: &Ask, seen: &Seen) -> Vec<String> {
    let partly = seen.partly.iter();
    let partly = partly.map(|kind| {
        format!(
            "You may list {kind} in some of these namespaces only: what needs them is missing of the others."
        )
    });
    let absent = |word: &str, asked: &Option<String>, there: &BTreeSet<String>| {
        let asked = asked.as_ref().filter(|it| !there.contains(*it))?;
        Some(format!("Nothing that you may see is of {word} {asked}."))
    };
    let board = &seen.board;
    let namespace = absent("namespace", &ask.namespace, &board.namespaces);
    let customer = absent("customer", &ask.customer, &board.customers);
    let unread = (!seen.unread.is_empty()).then(|| {
        let names = some_of(&seen.unread, MOST_NOTES);
        format!(
            "The newest version cannot be read of {names}: shown is the one before, or nothing."
        )
    });
    let old = "This replica has lost sight of the objects, and tries to see them again: what is shown \
               may be old.";
    let old = seen.is_old.then(|| old.to_owned());
    namespace
        .into_iter()
        .chain(customer)
        .chain(partly)
        .chain(unread)
        .chain(old)
        .collect()
}

fn answer(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(problem) => {
            tracing::error!(%problem, "a page of the board could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
