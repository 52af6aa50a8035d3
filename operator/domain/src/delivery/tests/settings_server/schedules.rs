//! Random schedules of a server, its device, others who use it and passes of ours: what counts as proof.

use entente_crds::v1alpha1::ItemState;
use proptest::prelude::*;

use super::{Behind, MODE, hours, mode, place, ready, said, weekdays};
use crate::{
    delivery::SubscriptionReport,
    remote::{Scalar, Value},
};
use entente_crds::condition::ConditionType;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// A pass of the operator.
    Pass,
    /// The device fetches what is wanted and takes it.
    Fetches,
    /// The device reports what it has.
    Reports,
    /// A person at the panel chooses another value.
    AtThePanel,
    /// Somebody else wants another value.
    OthersWant,
    /// Somebody else wants another value of a setting that is not ours.
    OthersWantElse,
    /// The server loses what is wanted.
    Forgets,
}

/// Hours between two full read-backs, each happening being an hour.
const DAY: u32 = 24;

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    use Happening::{AtThePanel, Fetches, Forgets, OthersWant, OthersWantElse, Pass, Reports};
    let one = prop_oneof![
        4 => Just(Pass),
        3 => Just(Fetches),
        3 => Just(Reports),
        1 => Just(AtThePanel),
        1 => Just(OthersWant),
        1 => Just(OthersWantElse),
        1 => Just(Forgets),
    ];
    prop::collection::vec(one, 1..24)
}

/// The world, with what really happened to one setting and when.
struct World {
    behind: Behind,
    /// Number of happenings so far.
    clock: u32,
    /// The value that the device has, and the happening by which it last fetched.
    has: Vec<Scalar>,
    fetched: Option<u32>,
    /// The value and the fetch that its last report told of.
    told: Vec<Scalar>,
    told_of_fetch: Option<u32>,
    /// The version that it has fetched.
    version: u32,
    /// The happening by which a value of the setting was last wanted.
    wanted: Option<u32>,
    state: ItemState,
}

fn words(text: &str) -> Vec<Scalar> {
    vec![Scalar::Text(text.to_owned())]
}

impl World {
    fn new() -> Self {
        Self {
            behind: Behind::new(),
            clock: 0,
            has: words("full"),
            fetched: None,
            told: words("full"),
            told_of_fetch: None,
            version: 1,
            wanted: None,
            state: ItemState::Unknown,
        }
    }

    fn happens(&mut self, happening: Happening) -> Result<(), TestCaseError> {
        self.clock += 1;
        let server = &mut self.behind.server;
        match happening {
            Happening::Pass => return self.pass().map(drop),
            Happening::Fetches => {
                if let Some(Value::Text(text)) = server.wanted.get(&place(MODE)) {
                    self.has = words(text);
                }
                self.fetched = Some(self.clock);
                self.version = server.version;
            }
            Happening::Reports => {
                self.told = self.has.clone();
                self.told_of_fetch = self.fetched;
                let version = self.version;
                server.report(None);
                let reported = server.reported.as_mut().expect("it has reported");
                reported.insert(place(MODE), self.told.clone());
                server.seen = version;
            }
            Happening::AtThePanel => self.has = words("panel"),
            Happening::OthersWant => {
                server.want(place(MODE), Value::Text("others".to_owned()));
                self.wanted = Some(self.clock);
            }
            Happening::OthersWantElse => {
                server.want(place("/settings/other"), Value::Text("x".to_owned()));
            }
            Happening::Forgets => {
                server.wanted.clear();
                server.version += 1;
            }
        }
        Ok(())
    }

    /// Looks at the device, and judges what is said of the setting.
    fn pass(&mut self) -> Result<SubscriptionReport, TestCaseError> {
        let report = self.behind.pass(hours(i64::from(self.clock)));
        let sent = &self.behind.server.sent;
        if sent.iter().any(|it| it.starts_with(MODE)) {
            self.wanted = Some(self.clock);
        }
        let state = mode(&report).state;
        if state == ItemState::Effective && self.state != ItemState::Effective {
            prop_assert_eq!(&self.told, &words("differential"), "the device told of it");
            let has_seen = self
                .wanted
                .is_none_or(|wanted| self.told_of_fetch.is_some_and(|fetched| fetched > wanted));
            let is_wanted = self.behind.server.wanted.contains_key(&place(MODE));
            prop_assert!(has_seen || !is_wanted, "after it had seen what is wanted");
        }
        self.state = state;
        Ok(report)
    }
}

// shows B3 D1
proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_value_is_in_effect_only_by_a_report_after_the_device_has_seen_what_is_wanted(
        happenings in happenings(),
    ) {
        let mut world = World::new();
        for happening in happenings {
            world.happens(happening)?;
        }
        // Left alone, everything comes to its end: at the latest when the device is read back in full.
        for _ in 0..3 {
            world.clock += DAY;
            for happening in [Happening::Pass, Happening::Fetches, Happening::Reports] {
                world.happens(happening)?;
            }
        }
        let report = world.pass()?;
        prop_assert_eq!(mode(&report).state, ItemState::Effective, "{}", ready(&report));
        let delivered = said(&report, ConditionType::Delivered);
        prop_assert_eq!(delivered, "True(Delivered)");
        prop_assert_eq!(weekdays(&report).state, ItemState::Effective);
    }
}
