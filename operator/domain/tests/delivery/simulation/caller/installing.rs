//! Installations of the machine, by DDI.

use entente_domain::gateway::ddi::{Controller, Feedback, Installation, after_offer};
use serde_json::json;

use super::{Installing, Simulation, calls::Conduct};

impl Simulation {
    /// Ends an installation that is not wanted any more, unless it is too late for that.
    pub(super) fn end_installation(&mut self, stop: i64) {
        let twin = self.snapshot.twin.clone().expect("there is a twin");
        let at_work = self.caller().installing.as_ref();
        let is_too_late = at_work.is_some_and(|it| it.is_done);
        let execution = if is_too_late { "rejected" } else { "canceled" };
        let said = feedback(execution, "none", "asked to");
        let status = said.about_cancellation(&twin, Some(stop), self.now);
        if let Some(status) = status.expect("it is asked for") {
            self.gateway_writes(status);
        }
        if !is_too_late {
            self.caller_mut().installing = None;
        }
    }

    /// Begins an installation that is offered, or goes on with it.
    pub(super) fn begin_installation(
        &mut self,
        offered: Installation<'_>,
        all: Controller,
        conduct: &Conduct,
    ) {
        let twin = self.snapshot.twin.clone().expect("there is a twin");
        if let Some(status) = after_offer(&twin, offered.action, self.now) {
            self.gateway_writes(status);
        }
        let at_work = self.caller().installing.clone();
        assert!(
            at_work
                .as_ref()
                .is_none_or(|it| it.action == offered.action),
            "{offered:?} beside {at_work:?}\n{}",
            self.story()
        );
        if *conduct == Conduct::Silent {
            return;
        }
        let (execution, finished, words) = match conduct {
            Conduct::Begins => ("proceeding", "none", "half of it"),
            Conduct::Fails => ("closed", "failure", "no space left"),
            _ => ("closed", "success", "all of it"),
        };
        let twin = self.snapshot.twin.clone().expect("there is a twin");
        let said = feedback(execution, finished, words);
        let status = said.about_installation(&twin, all, Some(offered.action), self.now);
        if let Some(status) = status.expect("it is alive") {
            self.gateway_writes(status);
        }
        let begun = Installing {
            action: offered.action,
            piece: (offered.part, offered.name.to_owned()),
            version: offered.version.to_owned(),
            is_done: *conduct == Conduct::SaysDone,
        };
        let now = self.now;
        let caller = self.caller_mut();
        caller.installing = None;
        match conduct {
            Conduct::Begins | Conduct::SaysDone => caller.installing = Some(begun),
            Conduct::Fails => {}
            _ => {
                caller.restarted = Some(now + caller.clock_off);
                if *conduct != Conduct::FallsBack {
                    caller.software.insert(begun.piece, begun.version);
                }
            }
        }
    }
}

fn feedback(execution: &str, finished: &str, words: &str) -> Feedback {
    let body = json!({
        "status": {
            "execution": execution,
            "result": {"finished": finished},
            "details": [words],
        },
    });
    Feedback::read(&body).expect("good feedback")
}
