//! Rights on the board: the API server decides by the rights of the viewer, namespace by namespace.

use entente_crds::v1alpha1::Contract;
use entente_e2e::namespace::{TestNamespace, now};

use super::viewer::Viewer;
use crate::delivery_fixture::test_namespace;

/// Applies a contract of a customer of its own, which is known by its name alone.
async fn apply(namespace: &TestNamespace<'_>, name: &str, customer: &str) {
    let entry = namespace.entry("backup", "data-backup", &["absent"], "1h");
    let mut contract = namespace.contract(
        name,
        now() + std::time::Duration::from_hours(48),
        vec![entry],
    );
    contract.spec.customer.id = customer.to_owned();
    namespace.apply::<Contract>(&contract).await.unwrap();
    let accepted = namespace.soon("the operator has seen it", async || {
        let contract = namespace.read_contract(name).await?;
        contract.status.and_then(|status| status.term).map(|_| ())
    });
    accepted.await.unwrap();
}

fn path(namespace: &TestNamespace<'_>, contract: &str) -> String {
    format!("/namespaces/{}/contracts/{contract}", namespace.name())
}

// shows K4
#[tokio::test]
async fn a_viewer_sees_the_namespaces_that_rbac_lets_it_see_and_no_word_of_the_others() {
    let (mine, other) = tokio::join!(test_namespace("board-mine"), test_namespace("board-other"));
    apply(&mine, "mine-2027", "C-mine-77").await;
    apply(&other, "other-2027", "C-other-88").await;
    let viewer = Viewer::new(&mine).await;
    let nothing = viewer.read("/").await;
    assert_eq!(nothing.status, 200, "{}", nothing.text);
    for part in ["mine-2027", "C-mine-77", "other-2027", "C-other-88"] {
        assert!(!nothing.text.contains(part), "{part} in\n{}", nothing.text);
    }
    let note = "Not shown: you may list contracts in no namespace";
    assert!(nothing.text.contains(note), "{}", nothing.text);

    viewer.may_view(&mine).await;
    let page = viewer.read_until("/", "C-mine-77").await;
    assert!(page.text.contains("mine-2027"), "{}", page.text);
    for part in ["other-2027", "C-other-88", other.name(), note] {
        assert!(!page.text.contains(part), "{part} in\n{}", page.text);
    }
    let contract = viewer.read(&path(&mine, "mine-2027")).await;
    assert_eq!(contract.status, 200, "{}", contract.text);
    assert!(contract.text.contains("C-mine-77"), "{}", contract.text);

    // Whether there is one is not told: both answers are the same.
    let there = viewer.read(&path(&other, "other-2027")).await;
    let absent = viewer.read(&path(&other, "absent-2027")).await;
    assert_eq!((there.status, absent.status), (404, 404));
    let without_time = |text: &str| {
        text.lines()
            .filter(|line| !line.contains("Read at"))
            .collect::<String>()
    };
    assert_eq!(without_time(&there.text), without_time(&absent.text));

    viewer.may_view(&other).await;
    let both = viewer.read_until("/", "C-other-88").await;
    assert!(both.text.contains("C-mine-77"), "{}", both.text);
    let unknown = viewer.read("/?customer=c-mine-77").await;
    let note = "Nothing that you may see is of customer c-mine-77";
    assert!(unknown.text.contains(note), "{}", unknown.text);
    let asked = viewer.read("/?customer=C-mine-77").await;
    assert!(!asked.text.contains("other-2027"), "{}", asked.text);
}

// shows K4
#[tokio::test]
async fn a_kind_that_a_viewer_may_not_list_is_missing_and_the_page_says_so() {
    let namespace = test_namespace("board-some").await;
    apply(&namespace, "some-2027", "C-some-99").await;
    let viewer = Viewer::new(&namespace).await;
    viewer.may_list("contracts.entente.dev").await;
    let page = viewer.read_until("/", "some-2027").await;
    for kind in ["servicesubscriptions", "compensations"] {
        let note = format!("Not shown: you may list {kind} in no namespace");
        assert!(page.text.contains(&note), "{}", page.text);
    }
    let contract = viewer.read(&path(&namespace, "some-2027")).await;
    let note = format!(
        "You may not list servicesubscriptions in namespace {}",
        namespace.name()
    );
    assert!(contract.text.contains(&note), "{}", contract.text);
}

// shows K4
#[tokio::test]
async fn nobody_gets_in_without_a_token_for_this_audience() {
    let namespace = test_namespace("board-nobody").await;
    let viewer = Viewer::new(&namespace).await;
    viewer.may_view_everything().await;
    let for_api_server = viewer.token_for(None).await;
    let for_another = viewer.token_for(Some("another")).await;
    for token in ["", "nonsense", &for_api_server, &for_another] {
        for path in ["/", "/namespaces/default/contracts/any"] {
            let answer = viewer.read_with(token, path).await;
            assert_eq!(answer.status, 401, "{path} {}", answer.text);
            assert!(
                answer.text.contains("Sign in with a token"),
                "{}",
                answer.text
            );
            assert_eq!(answer.headers["cache-control"], "no-store");
        }
    }
    let answer = viewer.read("/").await;
    assert_eq!(
        answer.status, 200,
        "the right one is taken: {}",
        answer.text
    );
    assert!(
        !answer.text.contains(&viewer.token),
        "a page shows no token"
    );
}
