//! Arguments: parsed, and checked for form only.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use entente_crds::duration::parse_duration;
use entente_crds::v1alpha1::Cause;
use jiff::SignedDuration;

/// Contracts of Entente: their state, their starts, what is owed, and what a change would do.
///
/// Exit codes: 0 settled or done, 1 error, 2 in progress, 3 failed.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "kubectl-entente",
    bin_name = "kubectl entente",
    version,
    about,
    max_term_width = 100
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) target: Target,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The cluster and the namespaces that are asked, as in kubectl.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Target {
    /// Namespace; without it that of the context
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,

    /// All namespaces, whatever -n says
    #[arg(short = 'A', long, global = true)]
    pub(crate) all_namespaces: bool,

    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "CONTEXT")]
    pub(crate) context: Option<String>,

    /// Kubeconfig file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// A command.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a contract as a tree: its services, devices and items, with reasons and next steps
    Status(StatusArgs),
    /// List the contracts that begin soon, and what speaks against a start in time
    Starts(StartsArgs),
    /// List what customers are owed, with sums by contract and currency
    Owed(OwedArgs),
    /// List the devices on which promises were missed, and the causes
    Late(LateArgs),
    /// Judge the objects of files without a cluster: schema, CEL rules, the operator's own rules
    Validate(FilesArgs),
    /// Show what the operator would do if files were applied now; writes nothing
    Plan(FilesArgs),
    /// Check definitions, rights, the operator, Connections and the clock
    Check(CheckArgs),
    /// Ask the operator for a pass over an object now, and wait for it
    Reconcile(ReconcileArgs),
    /// Write an archive for those who help: objects without values, events, versions; no Secrets
    SupportBundle(SupportBundleArgs),
    /// Print the completions of a shell for the command kubectl-entente
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// Format of an answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Output {
    /// A table or a tree
    #[default]
    Table,
    /// The same with everything that is known
    Wide,
    /// JSON, for programs
    Json,
    /// YAML
    Yaml,
}

/// Arguments of `status`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct StatusArgs {
    /// Contracts, as NAME or contract/NAME; one is shown as a tree, several as a list. None: all
    #[arg(value_name = "CONTRACT", value_parser = contract_name)]
    pub(crate) contracts: Vec<String>,

    /// Format of the answer
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Output,
}

/// Arguments of `starts`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct StartsArgs {
    /// Time from now within which they begin, such as 7d or 36h
    #[arg(long, default_value = "7d", value_parser = duration, value_name = "TIME")]
    pub(crate) within: SignedDuration,

    /// Only those with something that speaks against a start in time
    #[arg(long)]
    pub(crate) at_risk: bool,

    /// Format of the answer
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Output,
}

/// Arguments of `owed`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct OwedArgs {
    /// Only those of the customer with this id
    #[arg(long, value_name = "ID")]
    pub(crate) customer: Option<String>,

    /// Only those of this contract
    #[arg(long, value_name = "NAME", value_parser = contract_name)]
    pub(crate) contract: Option<String>,

    /// Only those whose amount is in this state
    #[arg(long, value_enum)]
    pub(crate) state: Option<OwedState>,

    /// Format of the answer
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: OwedOutput,
}

/// Format of the answer of `owed`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum OwedOutput {
    /// A table with sums
    #[default]
    Table,
    /// The same with everything that is known
    Wide,
    /// JSON, for programs
    Json,
    /// YAML
    Yaml,
    /// Final amounts as a journal for hledger or ledger
    Journal,
}

/// State of an amount.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OwedState {
    /// It still grows
    Growing,
    /// It is final
    Final,
    /// A person declared the record wrong
    Voided,
}

/// Arguments of `late`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct LateArgs {
    /// Time before now in which the promises were due, such as 30d. Absent: always
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(crate) since: Option<SignedDuration>,

    /// Only promises of this contract
    #[arg(long, value_name = "NAME", value_parser = contract_name)]
    pub(crate) contract: Option<String>,

    /// Only delays that this side caused
    #[arg(long, value_parser = cause, value_name = "SIDE")]
    pub(crate) cause: Option<Cause>,

    /// Format of the answer
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Output,
}

/// Arguments of `validate` and of `plan`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct FilesArgs {
    /// Files, folders with YAML and JSON files, or - for standard input
    #[arg(short, long, required = true, value_name = "FILE", num_args = 1)]
    pub(crate) filename: Vec<PathBuf>,

    /// Format of the answer
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Output,
}

/// Arguments of `check`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct CheckArgs {
    /// Namespace of the operator
    #[arg(long, default_value = "entente-system", value_name = "NAMESPACE")]
    pub(crate) operator_namespace: String,

    /// Format of the answer
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Output,
}

/// Arguments of `support-bundle`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct SupportBundleArgs {
    /// File of the archive; one that exists is not overwritten
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Replace ids and names of customers by numbers
    #[arg(long)]
    pub(crate) redact_customers: bool,

    /// Namespace of the operator
    #[arg(long, default_value = "entente-system", value_name = "NAMESPACE")]
    pub(crate) operator_namespace: String,
}

/// Arguments of `reconcile`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct ReconcileArgs {
    /// The object, as device/NAME
    #[arg(value_name = "KIND/NAME", value_parser = reconcilable)]
    pub(crate) object: (ReconcileKind, String),

    /// Time to wait for the pass
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "TIME")]
    pub(crate) timeout: SignedDuration,

    /// Do not wait for the pass
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// Kind of which a pass can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReconcileKind {
    Device,
    Contract,
    Connection,
}

/// Reads `KIND/NAME`.
fn reconcilable(text: &str) -> Result<(ReconcileKind, String), String> {
    let (kind, name) = text.split_once('/').unwrap_or((text, ""));
    let known = match kind.to_ascii_lowercase().as_str() {
        "device" | "devices" | "endev" => Some(ReconcileKind::Device),
        "contract" | "contracts" | "enct" => Some(ReconcileKind::Contract),
        "connection" | "connections" | "enconn" => Some(ReconcileKind::Connection),
        _ => None,
    };
    match known {
        Some(kind) if !name.is_empty() => Ok((kind, name.to_owned())),
        _ => Err(format!(
            "\"{text}\" must be device/NAME, contract/NAME or connection/NAME; no other kind can be \
             looked at on request"
        )),
    }
}

/// Reads `NAME`, `contract/NAME` or `contracts/NAME`, as kubectl does.
fn contract_name(text: &str) -> Result<String, String> {
    let name = match text.split_once('/') {
        None => text,
        Some((kind, name)) => {
            let kinds = ["contract", "contracts", "contracts.entente.dev", "enct"];
            if !kinds.contains(&kind.to_ascii_lowercase().as_str()) {
                return Err(format!(
                    "\"{kind}\" is no contract: write NAME or contract/NAME"
                ));
            }
            name
        }
    };
    if name.is_empty() {
        return Err("a name is missing: write NAME or contract/NAME".to_owned());
    }
    Ok(name.to_owned())
}

/// Reads a length of time of days, hours, minutes and seconds. Days have 24 hours.
fn duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("\"{text}\" must be a time such as 7d, 36h or 90m");
    let (days, rest) = text.split_once('d').unwrap_or(("0", text));
    let days: i64 = days.parse().map_err(|_| wrong())?;
    let days = SignedDuration::from_hours(24)
        .checked_mul(i32::try_from(days).map_err(|_| wrong())?)
        .filter(|days| !days.is_negative());
    let rest = match rest {
        "" => SignedDuration::ZERO,
        rest => parse_duration(rest).map_err(|_| wrong())?,
    };
    days.and_then(|days| days.checked_add(rest))
        .ok_or_else(wrong)
}

fn cause(text: &str) -> Result<Cause, String> {
    let all = [
        Cause::Device,
        Cause::Server,
        Cause::Provider,
        Cause::Customer,
    ];
    let found = all
        .into_iter()
        .find(|cause| format!("{cause:?}").eq_ignore_ascii_case(text));
    found.ok_or_else(|| format!("\"{text}\" must be one of Device, Server, Provider, Customer"))
}
