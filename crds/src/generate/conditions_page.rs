//! The reference page of conditions and reasons, from the closed lists in `condition`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::condition::{ConditionType, Reason};

const INTRODUCTION: &str = "\
<!-- Written by crdgen from crds/src/condition.rs; change that, not this file. -->

# Conditions and reasons

Every object of Entente reports its state in `status.conditions`.
Each condition has a `type`, a `status` (True, False or Unknown), a `reason`, which is always one of those that this page lists for the condition, a `message` for people, and `observedGeneration`.

A condition of which the table says so is present only while it is True and absent otherwise.

```console
kubectl wait contract/banco-sul-2027 -n banco-sul --for=condition=Ready
kubectl get contract banco-sul-2027 -n banco-sul -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].reason}'
```
";

/// Returns the whole page as Markdown.
pub(super) fn text() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## Conditions\n\n| condition | of | meaning |\n|---|---|---|\n");
    for condition in ConditionType::ALL {
        let _ = writeln!(
            page,
            "| [{0}](#{1}) | {2} | {3} |",
            condition.as_str(),
            condition.as_str().to_lowercase(),
            condition.kinds().join(", "),
            condition.meaning(),
        );
    }
    page.push_str("\n## Reasons of each condition\n");
    for condition in ConditionType::ALL {
        push_condition(&mut page, *condition);
    }
    page
}

fn push_condition(page: &mut String, condition: ConditionType) {
    let _ = write!(
        page,
        "\n### {}\n\n{}\n\n| reason | meaning | what to do |\n|---|---|---|\n",
        condition.as_str(),
        condition.meaning()
    );
    let reasons: BTreeSet<Reason> = condition.reasons().iter().copied().collect();
    for reason in reasons {
        let _ = writeln!(
            page,
            "| `{reason}` | {} | {} |",
            reason.meaning(),
            reason.next_step()
        );
    }
}
