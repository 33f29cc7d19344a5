//! The command line as a script uses it: exit codes, results on stdout, messages on stderr.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::DEMO;

pub(crate) struct CommandOutput {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) talk: String,
}

/// Runs `sayso` in `folder`, with a clean environment.
pub(crate) fn sayso(
    folder: &Path,
    variables: &[(&str, &str)],
    arguments: &[&str],
) -> CommandOutput {
    let output = Command::new(env!("CARGO_BIN_EXE_sayso"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    CommandOutput {
        code: output.status.code(),
        out: text(output.stdout),
        talk: text(output.stderr),
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn tokens_are_made_and_keys_rotate() {
    let folder = folder();
    let run = |arguments: &[&str]| sayso(folder.path(), &[], arguments);
    fs::write(folder.path().join("demo.toml"), DEMO).unwrap();
    assert_eq!(run(&["programme", "apply", "demo.toml"]).code, Some(0));
    let made = run(&["token", "--programme", "riverside", "--member", "dee"]);
    assert_eq!((made.code, made.out.trim().split('.').count()), (Some(0), 3), "{}", made.talk);
    let nobody = run(&["token", "--programme", "riverside", "--member", "nobody"]);
    assert_eq!((nobody.code, nobody.out.as_str()), (Some(1), ""));
    assert!(nobody.talk.contains("no such account"), "{}", nobody.talk);
    assert_eq!(run(&["token", "--programme", "riverside"]).code, Some(2));
    let token = made.out.trim().to_owned();
    let revoke = |programme: &str, token: &str| {
        let revoked = run(&["token", "--programme", programme, "--revoke", token]);
        (revoked.code, revoked.talk)
    };
    let jti = made.talk.split_whitespace().nth(1).unwrap();
    let other = format!("{}{}", if jti.starts_with('0') { "1" } else { "0" }, &jti[1..]);
    let (start, end) = token.split_at(token.len() - 10);
    let forged = format!("{start}{}{}", if end.starts_with('A') { "B" } else { "A" }, &end[1..]);
    for unknown in ["abc", other.as_str(), &jti[..32], forged.as_str(), &token[1..], ""] {
        let (code, talk) = revoke("riverside", unknown);
        assert_eq!(code, Some(1), "{unknown}: {talk}");
        assert!(talk.contains("no such token was given out"), "{talk}");
    }
    assert_eq!(revoke("lakeside", jti).0, Some(1), "it is another programme's");
    assert_eq!(revoke("lakeside", &token).0, Some(1));
    for known in [jti, token.as_str()] {
        let (code, talk) = revoke("riverside", known);
        assert_eq!(code, Some(0), "{known}: {talk}");
        assert!(talk.contains(&format!("token {jti} was known, and counts no more")), "{talk}");
    }
    let keys = || {
        let keys = run(&["keys", "list", "--output", "json"]);
        let keys: Value = serde_json::from_str(&keys.out).unwrap();
        let state = |key: &Value| key["state"].as_str().unwrap().to_owned();
        let mut states: Vec<_> = keys["keys"].as_array().unwrap().iter().map(state).collect();
        states.sort();
        states
    };
    assert_eq!(keys(), ["current", "next"]);
    let json = run(&["--output", "json", "token", "--programme", "riverside", "--revoke", "abc"]);
    assert_eq!((json.code, json.out.trim()), (Some(1), "{\n  \"known\": false\n}"));
    let early = run(&["keys", "rotate"]);
    assert_eq!(early.code, Some(1));
    assert!(early.talk.contains("--now does not wait"), "{}", early.talk);
    assert_eq!(run(&["keys", "rotate", "--now"]).code, Some(0));
    assert_eq!(keys(), ["current", "next"], "nothing that it signed is good any more");
    assert_eq!(revoke("riverside", jti).0, Some(1));
    let document: Value = serde_json::from_str(&run(&["openapi"]).out).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn a_programme_is_applied_shown_and_reported() {
    let folder = folder();
    let run = |arguments: &[&str]| sayso(folder.path(), &[], arguments);
    fs::write(folder.path().join("demo.toml"), DEMO).unwrap();
    for expected in [json!([3, 8]), json!([0, 0])] {
        let applied = run(&["programme", "apply", "demo.toml", "--output", "json"]);
        assert_eq!(applied.code, Some(0), "{}", applied.talk);
        let applied: Value = serde_json::from_str(&applied.out).unwrap();
        assert_eq!(json!([applied["agreements_started"], applied["loads_posted"]]), expected);
    }
    let shown = run(&["programme", "show"]);
    assert!(!shown.out.contains("whsec_"), "secrets are never shown");
    fs::write(folder.path().join("shown.toml"), &shown.out).unwrap();
    assert_eq!(run(&["programme", "apply", "shown.toml"]).code, Some(0));
    let balances = run(&["balances", "--output", "json"]);
    let balances: Value = serde_json::from_str(&balances.out).unwrap();
    assert_eq!(balances["programmes"][0]["people"][1]["left_minor"], 273_90);
    for arguments in [["verify"], ["doctor"], ["exceptions"], ["migrate"]] {
        assert_eq!(run(&arguments).code, Some(0), "{arguments:?}");
    }
    let doctor = run(&["doctor"]).out;
    assert!(doctor.contains("setting database_url: from the default"), "{doctor}");
    assert!(doctor.contains("connection riverside-stripe: live secrets: 2"), "{doctor}");
    assert!(folder.path().join(".local/share/sayso/sayso.db").exists());
    for number in 1..=2 {
        let sealed = run(&["seal", "--output", "json"]);
        assert_eq!(sealed.code, Some(0), "{}", sealed.talk);
        let sealed: Value = serde_json::from_str(&sealed.out).unwrap();
        let (seal, root) = (&sealed["seals"][0], &sealed["seals"][0]["root"]);
        assert_eq!((&seal["programme"], &seal["number"]), (&json!("riverside"), &json!(number)));
        assert_eq!(root.as_str().unwrap().len(), 64);
        assert!(run(&["verify"]).out.contains(&format!("{number} seal,")));
    }
    assert!(run(&["seal", "--programme", "riverside"]).out.starts_with("riverside  seal 3  "));
    assert_eq!(run(&["seal", "--programme", "elsewhere"]).code, Some(1));
    let none = run(&["explain", "iauth_1Never"]);
    assert_eq!((none.code, none.out.as_str()), (Some(1), ""));
    assert!(none.talk.contains("no decision is known"), "{}", none.talk);
}

#[test]
fn mistakes_in_a_file_are_told_with_their_lines() {
    let folder = folder();
    let mistaken = DEMO.replacen("currency = \"GBP\"", "currency = \"POUND\"", 1);
    fs::write(folder.path().join("demo.toml"), mistaken).unwrap();
    let output = sayso(folder.path(), &[], &["programme", "apply", "demo.toml"]);
    assert_eq!(output.code, Some(1));
    assert!(output.talk.contains("demo.toml was not applied:\nline "), "{}", output.talk);
}

#[test]
fn settings_that_are_not_in_order_end_with_78_and_are_told_at_once() {
    let folder = folder();
    let variables = [("SAYSO_LISTEN", "here"), ("SAYSO_DATABASE_URL", "mysql://u:hunter2@h/d")];
    let output = sayso(folder.path(), &variables, &["serve"]);
    assert_eq!(output.code, Some(78));
    assert!(output.talk.contains("SAYSO_LISTEN") && output.talk.contains("SAYSO_DATABASE_URL"));
    assert!(!output.talk.contains("hunter2"), "{}", output.talk);
    let variables = [("SAYSO_DATABASE_URL", "postgres://127.0.0.1:1/none")];
    assert_eq!(sayso(folder.path(), &variables, &["balances"]).code, Some(75));
    assert_eq!(sayso(folder.path(), &[], &["blances"]).code, Some(2));
}

#[test]
fn a_file_that_is_no_database_is_told_as_one_and_left_alone() {
    let folder = folder();
    let file = folder.path().join("notes.db");
    fs::write(&file, "Milk, eggs, bread, and whatever else there is.").unwrap();
    for arguments in [["balances"], ["migrate"], ["serve"], ["doctor"]] {
        let output = sayso(folder.path(), &[("SAYSO_DATABASE_URL", "sqlite:notes.db")], &arguments);
        let expected = if arguments == ["doctor"] { 1 } else { 78 };
        let told = format!("{}{}", output.out, output.talk);
        assert_eq!(output.code, Some(expected), "{arguments:?}: {told}");
        assert!(told.contains("notes.db is a file, but not a SQLite database"), "{told}");
    }
    assert!(fs::read_to_string(&file).unwrap().starts_with("Milk, eggs"));
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["notes.db"], "nothing is left beside it");
}

#[test]
fn rules_are_checked_wherever_they_are() {
    let folder = folder();
    let built_in = sayso(folder.path(), &[], &["rules", "check"]);
    assert_eq!(built_in.code, Some(0), "{}", built_in.out);
    assert!(built_in.out.contains("932 codes"), "{}", built_in.out);
    let rules = folder.path().join("merchant-rules");
    fs::create_dir(&rules).unwrap();
    fs::write(rules.join("categories.toml"), "codes = [\n").unwrap();
    fs::write(rules.join("guide.toml"), "version = \"one\"\n").unwrap();
    let own = sayso(folder.path(), &[], &["rules", "check"]);
    assert_eq!(own.code, Some(1));
    for place in ["merchant-rules/categories.toml:", "merchant-rules/guide.toml:"] {
        assert!(own.out.contains(place), "{}", own.out);
    }
}
