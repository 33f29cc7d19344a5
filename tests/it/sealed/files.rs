//! Files that Sayso creates are accessible to their user only, regardless of the process's umask.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::commands::{CommandOutput, sayso};
use crate::world::DEMO;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Runs `sayso` in `folder` with a umask.
fn under_mask(folder: &Path, mask: &str, arguments: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("umask {mask}; exec {} {arguments}", env!("CARGO_BIN_EXE_sayso"));
    command.args(["-c", &script]).current_dir(folder).env_clear().env("HOME", folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Everything that Sayso created below `folder`, with the permissions of others.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    let data = folder.join(".local/share/sayso");
    let mut found = vec![("sayso".to_owned(), mode(&data))];
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        found.push((path.file_name().unwrap().to_str().unwrap().to_owned(), mode(&path)));
    }
    found.sort();
    found
}

#[test]
fn whatever_is_made_is_for_its_user_only_under_any_mask() {
    for mask in ["000", "022", "077", "277"] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("demo.toml"), DEMO).unwrap();
        // Created beforehand, because under the last umask the process cannot enter folders that it
        // creates.
        fs::create_dir_all(folder.join(".local/share")).unwrap();
        let applied = under_mask(folder, mask, "programme apply demo.toml").status().unwrap();
        assert!(applied.success(), "{mask}");
        let mut serving = under_mask(folder, mask, "serve --listen 127.0.0.1:0").spawn().unwrap();
        let begun = Instant::now();
        let data = folder.join(".local/share/sayso");
        while !data.join("sayso.db-shm").exists() {
            assert!(begun.elapsed() < Duration::from_secs(15), "it did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let found = modes(folder);
        serving.kill().unwrap();
        serving.wait().unwrap();
        let names = ["sayso.db", "sayso.db-shm", "sayso.db-wal", "sayso.db.key", "sayso.db.mark"];
        let expected = [("sayso", 0o700)].into_iter().chain(names.map(|name| (name, 0o600)));
        let expected: Vec<_> = expected.map(|(name, mode)| (name.to_owned(), mode)).collect();
        assert_eq!(found, expected, "under {mask}");
    }
}

#[test]
fn doctor_names_what_others_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| -> CommandOutput { sayso(folder.path(), &[], arguments) };
    fs::write(folder.path().join("demo.toml"), DEMO).unwrap();
    assert_eq!(run(&["programme", "apply", "demo.toml"]).code, Some(0));
    let good = run(&["doctor"]);
    assert_eq!(good.code, Some(0), "{}", good.out);
    assert!(good.out.contains("ok   files: only their user can read them"), "{}", good.out);
    let data = folder.path().join(".local/share/sayso");
    for (name, open, shut) in [
        ("sayso.db", 0o644, 0o600),
        ("sayso.db.mark", 0o640, 0o600),
        ("sayso.db.key", 0o604, 0o600),
        ("", 0o755, 0o700),
    ] {
        let path = if name.is_empty() { data.clone() } else { data.join(name) };
        fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
        let bad = run(&["doctor"]);
        let words = format!("(mode {open:o}): chmod {shut:o} {}", path.display());
        assert_eq!(bad.code, Some(1), "{name}");
        assert!(bad.out.contains("BAD  file ") && bad.out.contains(&words), "{}", bad.out);
        fs::set_permissions(&path, Permissions::from_mode(shut)).unwrap();
    }
    assert_eq!(run(&["doctor"]).code, Some(0));
}
