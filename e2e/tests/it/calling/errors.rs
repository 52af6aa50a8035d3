//! The reference device tells of an error: it stands in its twin, and is an occurrence of its Device.

use entente_crds::v1alpha1::{
    Device, DeviceError, DeviceModel, DeviceTwin, ErrorState, ErrorType, ErrorUnit, ErrorWords,
    NotOrderedReason, Settle, Supply, TwinError, TwinErrorState,
};

use super::fixture::CallingFixture;

const DEVICE: &str = "behind";
const TONER: [&str; 2] = ["--reason=toner-empty", "--subject=black-toner"];

/// Applies a model that has an error and a supply, and a Device of it.
async fn apply(fixture: &CallingFixture<'_>) {
    let namespace = &fixture.namespace;
    let mut model = namespace.model();
    model.spec.supplies = vec![Supply {
        name: "black-toner".to_owned(),
        part_number: "TN-500K".to_owned(),
        row: None,
    }];
    model.spec.errors = vec![ErrorType {
        r#type: "TonerEmpty".to_owned(),
        words: ErrorWords {
            state_reasons: vec!["toner-empty".to_owned()],
            ..ErrorWords::default()
        },
        unit: ErrorUnit::Supply,
        settle: Some(Settle {
            begin: "0s".into(),
            end: "1s".into(),
        }),
        order: Some(entente_crds::v1alpha1::ErrorOrder::default()),
    }];
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    let device = namespace.calling_device(DEVICE, "NW5-0009");
    namespace.apply::<Device>(&device).await.unwrap();
}

async fn told(fixture: &CallingFixture<'_>) -> Option<TwinError> {
    let twin: DeviceTwin = fixture.namespace.get(DEVICE).await?;
    twin.status?.errors.into_iter().next()
}

async fn occurrence(fixture: &CallingFixture<'_>) -> Option<DeviceError> {
    let device: Device = fixture.namespace.get(DEVICE).await?;
    device.status?.errors.into_iter().next()
}

// shows A1 A2 A5 A9
#[tokio::test]
async fn an_error_of_the_agent_is_one_occurrence_through_the_loss_of_its_power() {
    let fixture = CallingFixture::new("errors", "1h").await;
    let namespace = &fixture.namespace;
    apply(&fixture).await;
    let mut agent = fixture.agent("NW5-0009");
    let raise = ["raise", TONER[0], TONER[1], "--request-order"];
    let raised = async || agent.error(&raise).await.ok();
    namespace.soon("it is registered", raised).await.unwrap();
    let begun = async || {
        let found = occurrence(&fixture).await?;
        (found.state == ErrorState::Open).then_some(found)
    };
    let begun = namespace.soon("the error has begun", begun).await.unwrap();
    assert_eq!(begun.key, "TonerEmpty/black-toner");
    assert_eq!(begun.occurrence, 1);
    let why = begun.not_ordered.expect("nobody orders supplies here");
    assert_eq!(why.reason, NotOrderedReason::NoActiveService);
    let before = told(&fixture).await.unwrap();
    assert!(before.order_requested, "{before:?}");

    agent.restart().await.unwrap();
    assert!(agent.error(&raise).await.is_err(), "it is raised already");
    agent
        .error(&["clear", TONER[0], TONER[1], "--replaced"])
        .await
        .unwrap();
    let over = async || {
        let found = told(&fixture).await?;
        (found.state == TwinErrorState::Cleared).then_some(found)
    };
    let over = namespace.soon("the error is cleared", over).await.unwrap();
    assert_eq!(over.since, before.since);
    let ended = async || {
        let found = occurrence(&fixture).await?;
        (found.state == ErrorState::Closed).then_some(found)
    };
    let ended = namespace
        .soon("the occurrence has ended", ended)
        .await
        .unwrap();
    assert_eq!(ended.occurrence, 1);
    assert_eq!(ended.replaced, over.replaced);

    agent.error(&raise).await.unwrap();
    let again = async || {
        let found = occurrence(&fixture).await?;
        (found.state == ErrorState::Open).then_some(found)
    };
    let again = namespace
        .soon("the error has begun again", again)
        .await
        .unwrap();
    assert_eq!(again.occurrence, 2);
}
