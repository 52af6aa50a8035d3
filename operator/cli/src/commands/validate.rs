//! `validate`: the objects of files, without a cluster.

use jiff::Timestamp;

use super::CommandError;
use crate::args::{FilesArgs, Target};
use crate::judge::judge;
use crate::manifests;
use crate::outcome::{Code, Outcome};
use crate::render::{self, Shown};
use crate::screen::Screen;

pub(super) fn run(
    target: &Target,
    args: &FilesArgs,
    screen: &Screen,
    now: Timestamp,
) -> Result<Outcome, CommandError> {
    let namespace = target.namespace.as_deref().unwrap_or("default");
    let manifests = manifests::read(&args.filename, namespace)?;
    let verdict = judge(&manifests, now);
    let code = if verdict.faults.is_empty() {
        Code::Settled
    } else {
        Code::Error
    };
    let others = match manifests.others {
        0 => String::new(),
        number => format!("; {number} of other groups were passed over"),
    };
    Ok(render::outcome(&verdict, args.output, code, || {
        Shown::Text(render::verdict(&verdict, &others, screen))
    }))
}
