//! Credentials in files that are broken: what the program says must not have them.

use std::process::{Command, Output};

fn plugin(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-entente"));
    command.args(arguments).env_remove("KUBECONFIG");
    command.output().expect("it runs")
}

/// Word that stands for a credential in each broken file.
const CANARY: &str = "c4n4ry980540f65a63c6447";

/// Runs the plugin with a kubeconfig of this text. Returns its exit code and all that it printed.
fn with_kubeconfig(text: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("broken.kc");
    std::fs::write(&file, text).expect("a file");
    let output = plugin(&["--kubeconfig", file.to_str().expect("a path"), "status"]);
    let all = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&all).into_owned(),
    )
}

fn kubeconfig(user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\nclusters:\n- name: here\n  cluster: \
         {{server: \"https://127.0.0.1:1\"}}\ncontexts:\n- name: here\n  context: {{cluster: here, \
         user: me}}\nusers:\n- name: me\n  user: {user}\n"
    )
}

// shows K4
#[test]
fn a_broken_kubeconfig_is_told_by_its_place_and_shows_no_credential() {
    let placed = [
        format!("{{token: \"{CANARY}\"\n"),
        format!("{{token: \"{CANARY}}}\n"),
        format!("{{token: {CANARY}: {CANARY}}}"),
        format!("\n    token: \"{CANARY}\"\n   password: {CANARY}"),
        format!("\n\ttoken: {CANARY}"),
        format!("{{token: [{CANARY}]}}"),
        format!("{{token: {{a: {CANARY}}}}}"),
        CANARY.to_owned(),
        format!("[{CANARY}]"),
        format!("{{exec: {CANARY}}}"),
        format!("{{exec: {{args: {CANARY}}}}}"),
        format!("{{exec: {{interactiveMode: {CANARY}}}}}"),
        format!("{{auth-provider: {{name: x, config: {CANARY}}}}}"),
        format!("{{token: *{CANARY}}}"),
        format!("{{token: a, token: {CANARY}}}"),
    ];
    for user in placed {
        let (code, said) = with_kubeconfig(&kubeconfig(&user));
        assert_eq!(code, Some(1), "{user}: {said}");
        assert!(!said.contains("c4n4ry"), "{user}: {said}");
        assert!(
            said.contains("broken.kc cannot be used: "),
            "{user}: {said}"
        );
        let has_place = said.contains("line ") && said.contains("column ");
        assert!(has_place, "{user}: {said}");
    }
}

// shows K4
#[test]
fn broken_credentials_are_told_by_their_field_and_are_not_shown() {
    let pem = format!("-----BEGIN {CANARY}-----\\n{CANARY}\\n-----END OTHER-----\\n");
    let program = |script: &str| {
        format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, args: [-c, \
             '{script}'], interactiveMode: Never}}}}"
        )
    };
    for (user, expected) in [
        (
            format!("{{client-key-data: \"{CANARY}!\", client-certificate-data: \"{CANARY}!\"}}"),
            "client-",
        ),
        (format!("{{token: \"{CANARY}\\n{CANARY}\"}}"), "token"),
        (
            format!("{{client-certificate-data: \"{pem}\", client-key-data: \"{pem}\"}}"),
            "client-",
        ),
        (
            program(&format!("echo {CANARY}; echo {CANARY} >&2; exit 3")),
            "the program for the credentials",
        ),
        (program(&format!("echo {CANARY}: [")), "ExecCredential"),
        (
            program(&format!("echo \"{{\\\"status\\\": \\\"{CANARY}\\\"}}\"")),
            "ExecCredential",
        ),
    ] {
        let (code, said) = with_kubeconfig(&kubeconfig(&user));
        assert_eq!(code, Some(1), "{user}: {said}");
        assert!(!said.contains("c4n4ry"), "{user}: {said}");
        assert!(said.contains(expected), "{user}: {said}");
    }
}

// shows K4
#[test]
fn a_manifest_that_is_no_yaml_shows_nothing_of_the_secret_in_it() {
    let secret = |data: &str| format!("apiVersion: v1\nkind: Secret\nstringData: {data}\n");
    for text in [
        secret(&format!("{{token: \"{CANARY}\"")),
        secret(&format!("{{token: {CANARY}: {CANARY}}}")),
        secret(&format!("\n  token: {CANARY}\n password: x")),
        secret(&format!("{{? [{CANARY}] : x}}")),
        secret(&format!("{{token: *{CANARY}}}")),
        secret(&format!("\n\t{CANARY}: x")),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("all.yaml");
        std::fs::write(&file, &text).expect("a file");
        let output = plugin(&["validate", "-f", file.to_str().expect("a path")]);
        let all = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&all);
        assert_eq!(output.status.code(), Some(1), "{text}: {said}");
        assert!(!said.contains("c4n4ry"), "{text}: {said}");
        let expected = said.contains("all.yaml is no YAML or JSON: ") && said.contains("line ");
        assert!(expected, "{text}: {said}");
    }
}
