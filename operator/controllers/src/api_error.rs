//! Words of an error of the Kubernetes API, for the log, a status and `/readyz`.
//!
//! An error of kube shows an answer as the program holds it, with every field; a person needs the
//! message of the API server, or the cause for which there was no answer. Decides nothing about what
//! follows from an error. Called wherever one is told.

use std::error::Error;

use kube::{core::Status, runtime::watcher};

/// Returns the message of the API server, or the causes for which there was no answer.
pub fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => of_status(status),
        // Its own words add nothing but the name of a type.
        kube::Error::Service(source) => chain(&**source),
        other => chain(other),
    }
}

/// Returns the fault of a watch: the request that failed, and the words for it.
pub(crate) fn of_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error) => format!("the list failed: {}", words(error)),
        watcher::Error::WatchStartFailed(error) => {
            format!("the watch could not begin: {}", words(error))
        }
        watcher::Error::WatchError(status) => {
            format!("the API server ended the watch: {}", of_status(status))
        }
        watcher::Error::WatchFailed(error) => format!("the watch broke off: {}", words(error)),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

/// Returns the message of an answer; without one its reason and its code.
fn of_status(status: &Status) -> String {
    if status.message.is_empty() {
        format!("{} ({})", status.reason, status.code)
    } else {
        status.message.clone()
    }
}

/// Returns the message of an error and those of its causes, each once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !words.contains(&said) {
            words.push_str(": ");
            words.push_str(&said);
        }
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use kube::{core::Status, runtime::watcher};

    use super::{of_watch, words};

    fn refused() -> Box<Status> {
        Box::new(Status::failure("found '=', expected: ','", "BadRequest").with_code(400))
    }

    #[test]
    fn the_message_of_the_api_server_is_told_and_not_its_answer_as_the_program_holds_it() {
        let error = kube::Error::Api(refused());
        assert_eq!(words(&error), "found '=', expected: ','");
        let of_list = of_watch(&watcher::Error::InitialListFailed(error));
        assert_eq!(of_list, "the list failed: found '=', expected: ','");
        let ended = of_watch(&watcher::Error::WatchError(refused()));
        assert!(ended.ends_with("found '=', expected: ','"), "{ended}");
        let bare = Box::new(Status::failure("", "ServiceUnavailable").with_code(503));
        assert_eq!(words(&kube::Error::Api(bare)), "ServiceUnavailable (503)");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("client error (Connect)")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn an_error_without_an_answer_has_its_cause() {
        let cause = || std::io::Error::other("Connection refused");
        let error = kube::Error::Service(Box::new(Outer(cause())));
        assert_eq!(words(&error), "client error (Connect): Connection refused");
        let error = kube::Error::ReadEvents(cause());
        let said = words(&error);
        assert_eq!(said.matches("Connection refused").count(), 1, "{said}");
    }
}
