//! Objects that refer to one that cannot be read, after the operator was started anew: no version of
//! it is known that could be read.

use super::*;

/// Longer than a withdrawal is tried before it is given up.
const LONG: Duration = Duration::from_hours(100);

/// An object that is spoiled, and those that say so.
struct Case {
    spoil: fn(&InProcess, &Value),
    /// The object, as others name it.
    named: String,
    field: Value,
    /// Objects that refer to it, as collection and name.
    referring: Vec<(&'static str, String)>,
}

fn case<K: Resource<DynamicType = ()>>(
    named: &str,
    field: &Value,
    referring: &[(&'static str, &str)],
    spoil: fn(&InProcess, &Value),
) -> Case {
    let referring = referring.iter();
    Case {
        spoil,
        named: format!("{} {named}", K::kind(&())),
        field: field.clone(),
        referring: referring
            .map(|(kind, name)| (*kind, (*name).to_owned()))
            .collect(),
    }
}

fn cases() -> Vec<Case> {
    let backup = "banco-sul-2027.backup.lobby-mfp";
    let ipp = json!("IPP");
    let url = json!(BROKER_URL);
    let maker = json!(example::mfp_500().spec.manufacturer);
    let provider = json!(example::data_backup().spec.provider);
    let address = json!("10.20.3.1");
    vec![
        case::<Connection>(
            "hq-ipp",
            &ipp,
            &[("devices", "lobby-mfp"), ("servicesubscriptions", backup)],
            |process, value| set::<Connection>(process, "", "hq-ipp", "/spec/protocol", value),
        ),
        case::<Connection>(
            BROKER,
            &url,
            &[
                ("smartservices", "data-backup"),
                ("servicesubscriptions", backup),
            ],
            |process, value| set::<Connection>(process, "", BROKER, "/spec/osb/url", value),
        ),
        case::<DeviceModel>(
            "mfp-500",
            &maker,
            &[("devices", "lobby-mfp"), ("servicesubscriptions", backup)],
            |process, value| {
                set::<DeviceModel>(process, "", "mfp-500", "/spec/manufacturer", value);
            },
        ),
        case::<SmartService>(
            "data-backup",
            &provider,
            &[("contracts", CONTRACT), ("servicesubscriptions", backup)],
            |process, value| {
                set::<SmartService>(process, "", "data-backup", "/spec/provider", value);
            },
        ),
        case::<Device>(
            "lobby-mfp",
            &address,
            &[("servicesubscriptions", backup)],
            |process, value| set::<Device>(process, NAMESPACE, "lobby-mfp", "/spec/address", value),
        ),
    ]
}

fn object(process: &InProcess, collection: &str, name: &str) -> Value {
    let objects = process.cluster.objects();
    let mut found = objects.into_iter().filter(|(key, _)| {
        key.starts_with(&format!("{collection} ")) && key.ends_with(&format!("/{name}"))
    });
    found.next().expect("the object").1
}

/// True if Ready of an object is False because of another object that cannot be read.
fn says_of(object: &Value, named: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let ready = conditions.find(|condition| condition["type"] == "Ready");
    ready.is_some_and(|ready| {
        let message = ready["message"].as_str().unwrap_or_default();
        ready["status"] == "False"
            && ready["reason"] == "Undecodable"
            && message.contains(named)
            && message.contains("cannot be read")
    })
}

/// Everything that must not be lost: the objects with their finalizers, and the instances.
fn kept(process: &InProcess) -> (BTreeMap<String, Value>, Vec<String>) {
    let objects = process.cluster.objects().into_iter();
    let finalizers = objects.map(|(key, object)| {
        let meta = &object["metadata"];
        let kept = json!([meta["uid"], meta["finalizers"], meta["deletionTimestamp"]]);
        (key, kept)
    });
    let server = process.world.server(BROKER_URL).expect("a broker");
    (
        finalizers.collect(),
        server.instances.keys().cloned().collect(),
    )
}

// shows K1 K2 K7
#[tokio::test(start_paused = true)]
async fn who_refers_to_what_cannot_be_read_says_so_after_a_restart_and_nothing_is_lost() {
    for case in cases() {
        let named = &case.named;
        let mut process = established().await;
        jump_to_start(&process);
        process.until("all is delivered", is_delivered).await;
        process.let_pass(Duration::from_mins(1)).await;
        let (before, was_sent) = (kept(&process), sent(&process));
        process.kill();
        (case.spoil)(&process, &json!([7]));
        process.start_all();
        let all_say_so = |process: &InProcess| {
            let mut referring = case.referring.iter();
            referring.all(|(kind, name)| says_of(&object(process, kind, name), named))
        };
        process
            .until(&format!("all say that {named} cannot be read"), all_say_so)
            .await;
        process.let_pass(LONG).await;
        assert!(all_say_so(&process), "{named}: it stays so");
        for (key, object) in process.cluster.objects() {
            let status = object["status"].to_string();
            assert!(!status.contains("NotFound"), "{named}: {key} {status}");
            assert!(!status.contains("not exist"), "{named}: {key} {status}");
            assert!(!status.contains("not found"), "{named}: {key} {status}");
        }
        assert_eq!(kept(&process), before, "{named}");
        assert_eq!(sent(&process), was_sent, "{named}");

        (case.spoil)(&process, &case.field);
        let is_over = |process: &InProcess| {
            let objects = process.cluster.objects();
            let mut statuses = objects.values().map(|object| object["status"].to_string());
            is_delivered(process) && !statuses.any(|status| status.contains("Undecodable"))
        };
        process.until(&format!("{named} is mended"), is_over).await;
        assert_eq!(sent(&process), was_sent, "{named}: all was in effect");
        process.kill();
    }
}

// shows K2 K5
#[tokio::test(start_paused = true)]
async fn who_refers_to_it_is_woken_when_it_is_first_seen_unreadable_and_when_it_goes() {
    let mut process = InProcess::at("2027-03-30T03:00:00Z");
    let model = example::mfp_500();
    let device = &example::devices()[0];
    process.world.put_device(&url(0), fake_device("urn:uuid:0"));
    process.cluster.apply(&example::hq_ipp());
    process.cluster.apply(device);
    process.start_all();
    let says = |process: &InProcess, words: &str| {
        ready::<Device>(process, NAMESPACE, &device.name_any()).starts_with(words)
    };
    let missing = |process: &InProcess| says(process, "False(ModelNotFound)");
    process.until("it is missing", missing).await;
    // All is listed again, and nobody sees the version that could be read.
    process.cluster.forget_history();
    process.cluster.apply(&model);
    let name = model.name_any();
    set::<DeviceModel>(&process, "", &name, "/spec/manufacturer", &json!([7]));
    let unread = |process: &InProcess| says(process, "False(Undecodable) The DeviceModel mfp-500");
    process.until("it cannot be read", unread).await;
    process.cluster.delete::<DeviceModel>("", &name);
    process.until("it is missing again", missing).await;
    process.cluster.apply(&model);
    let is_ready = |process: &InProcess| says(process, "True(NothingWanted)");
    process.until("it is there", is_ready).await;
}
