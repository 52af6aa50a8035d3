//! The program as a process, without a cluster: completions, help, exit codes of wrong usage.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const COMMANDS: &[&str] = &[
    "status",
    "starts",
    "owed",
    "late",
    "validate",
    "plan",
    "check",
    "reconcile",
    "support-bundle",
    "completion",
];

fn plugin(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-entente"));
    command
        .args(arguments)
        .env("KUBECONFIG", "/nowhere/kubeconfig");
    command.output().expect("it runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it is UTF-8")
}

#[test]
fn completions_of_every_shell_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = plugin(&["completion", shell]);
        assert!(output.status.success(), "{shell}");
        let script = text(&output.stdout);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn bash_reads_its_completions_and_offers_the_commands() {
    let script = plugin(&["completion", "bash"]).stdout;
    let ask = "\nCOMP_WORDS=(kubectl-entente st) COMP_CWORD=1\n\
               \"$(complete -p kubectl-entente | sed 's/.*-F \\([^ ]*\\).*/\\1/')\" \
               kubectl-entente st kubectl-entente\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n";
    let mut bash = Command::new("bash")
        .arg("--norc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash runs");
    let mut input = bash.stdin.take().expect("it is piped");
    input.write_all(&script).expect("it reads");
    input.write_all(ask.as_bytes()).expect("it reads");
    drop(input);
    let output = bash.wait_with_output().expect("it ends");
    let offered: Vec<&str> = text(&output.stdout).lines().collect();
    assert_eq!(offered, ["status", "starts"]);
}

/// Code 2 means "in progress", so that wrong usage must not have it.
#[test]
fn wrong_usage_is_an_error_with_its_words_and_help_is_none() {
    for (arguments, words) in [
        (&["statsu"][..], "unrecognized subcommand 'statsu'"),
        (&[][..], "Usage: kubectl entente"),
        (
            &["status", "device/x"],
            "\"device\" is no contract: write NAME or contract/NAME",
        ),
        (
            &["status", "contract/"],
            "a name is missing: write NAME or contract/NAME",
        ),
        (
            &["starts", "--within", "soon"],
            "\"soon\" must be a time such as 7d, 36h or 90m",
        ),
        (
            &["late", "--since=-1d"],
            "must be a time such as 7d, 36h or 90m",
        ),
        (
            &["late", "--cause", "Moon"],
            "must be one of Device, Server, Provider, Customer",
        ),
        (
            &["reconcile", "pod/x"],
            "\"pod/x\" must be device/NAME, contract/NAME or connection/NAME",
        ),
        (
            &["reconcile", "smartservice/x"],
            "must be device/NAME, contract/NAME or connection/NAME",
        ),
        (
            &["owed", "-o", "pdf"],
            "[possible values: table, wide, json, yaml, journal]",
        ),
    ] {
        let output = plugin(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    for arguments in [&["--help"][..], &["plan", "--help"], &["--version"]] {
        assert_eq!(plugin(arguments).status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn lengths_of_time_have_days_hours_and_minutes() {
    for within in ["7d", "36h", "90m", "1d12h", "45s"] {
        let output = plugin(&["starts", "--within", within]);
        // It goes on to the kubeconfig, which is not there.
        let said = text(&output.stderr);
        let expected = "error: the kubeconfig /nowhere/kubeconfig of KUBECONFIG cannot be used";
        assert!(said.starts_with(expected), "{within}: {said}");
    }
}
