//! Nothing is OutOfSync for ever: Argo CD finds no difference between a manifest and its object in any
//! of its three ways of comparing.
//!
//! Where a list is compared as a whole, a default inside it is a difference that no sync removes.

use super::{Application, differing};
use crate::gitops::examples::{all_are_judged, environment, generations, namespace, repositories};

/// Syncs each repository in each of the manners, and asserts after each that nothing differs.
async fn nothing_differs(manners: &[&[&str]]) {
    let environment = environment().await;
    let namespace = namespace(&environment).await;
    for manner in manners {
        for (name, files) in repositories() {
            let application = Application::named(&namespace, &name, &files);
            let synced = application.sync(manner).await;
            assert_eq!(synced.phase, "Succeeded", "{name} {manner:?}: {synced:#?}");
            all_are_judged(&namespace).await;
            let told = application.diff().await;
            assert!(!told.is_empty());
            assert_eq!(differing(&told), Vec::<String>::new(), "{name} {manner:?}");
            let before = generations(&namespace).await;
            let again = application.sync(manner).await;
            assert_eq!(again.phase, "Succeeded", "{name} {manner:?}: {again:#?}");
            assert_eq!(generations(&namespace).await, before, "{name} {manner:?}");
        }
    }
}

// shows K6
#[tokio::test]
async fn argo_cd_finds_no_difference_in_what_it_has_applied_by_itself_and_then_by_the_server() {
    nothing_differs(&[&[], &["--server-side-apply"]]).await;
}

// shows K6
#[tokio::test]
async fn argo_cd_finds_no_difference_in_what_the_server_has_applied() {
    nothing_differs(&[&["--server-side-apply"]]).await;
}
