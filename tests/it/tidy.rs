//! Rules about the source itself, as tests.
//!
//! A rule is a function from files to complaints. [`rule!`] makes two tests of it: `holds` reads
//! the project, and `notices` reads made-up files that break the rule, so that no rule passes by
//! being blind. To change a rule is fine; do it here, with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::str::Lines;

use crate::support::project;

/// Modules from the ground floor up. A module may use lower floors and itself, nothing beside or
/// above it; so `domain` and `wire` know nothing of each other. A file belongs to the longest entry
/// that its path begins with, so a room can span floors: `ledger` builds on `ledger::record`.
const FLOORS: [&[&str]; 14] = [
    &["domain", "platform", "issuers::wire"],
    &["ledger::record", "merchant_rules", "issuers", "messages"],
    &["ledger"],
    &["store"],
    &["programme"],
    &["people::members", "people::tokens", "card_path::error"],
    &["people::admitted_budget"],
    &[
        "people::agreements",
        "people::asks",
        "people::cards",
        "people::delegation",
        "people::pots",
        "card_path::authorise",
        "card_path::lifecycle",
    ],
    &["card_path::committer", "operations", "finance"],
    &["web"],
    &["app::gateway"],
    &["app::demo"],
    &["app::commands"],
    &["main"],
];

/// Up to this floor everything is a plain calculation: no waiting, so no `async`.
const LAST_CALCULATING_FLOOR: usize = 2;

/// Folders that the rules below look into. A rule about a folder that moved away would pass unseen.
const FOLDERS: [&str; 4] = ["merchant-rules", "simulator/src", "src", "tests/it"];

/// This file spells out what it forbids, so rules about plain text leave it out.
const THIS_FILE: &str = "tests/it/tidy.rs";

const LONGEST_FILE: usize = 600;
const LONGEST_FUNCTION: usize = 100;
const WIDEST_LINE: usize = 100;
const MOST_DIALECT_MATCHES: usize = 20;

/// A file of the project, with `/` in its path on every system.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        has_extension(&self.path, "rs")
    }

    fn is_in(&self, folder: &str) -> bool {
        Path::new(&self.path).starts_with(folder)
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }

    /// The path of the module that the file is, if it is one of `src/`.
    fn module(&self) -> Option<String> {
        let inside = self.path.strip_prefix("src/").filter(|_| self.is_rust())?;
        let inside = inside.trim_end_matches(".rs").trim_end_matches("/mod");
        Some(inside.replace('/', "::")).filter(|module| module != "lib")
    }

    /// The room of `src/` that the file is in.
    fn room(&self) -> Option<String> {
        self.module().map(|module| module.split("::").next().unwrap().to_owned())
    }

    /// The code alone: comments and the insides of strings are blank.
    fn code(&self) -> String {
        blank(&self.text, |piece| piece != Piece::Code)
    }

    /// The code with its strings: comments are blank.
    fn code_and_strings(&self) -> String {
        blank(&self.text, |piece| piece == Piece::Comment)
    }

    /// The code before the unit tests, which stand at the end of a file.
    fn code_without_tests(&self) -> String {
        let mut code = self.code();
        if let Some(tests) = code.find("\n#[cfg(test)]\nmod tests {") {
            code.truncate(tests + 1);
        }
        code
    }

    fn complain(&self, line: usize, complaint: impl AsRef<str>) -> String {
        format!("{}:{line}: {}", self.path, complaint.as_ref())
    }
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|known| known == extension)
}

macro_rules! rule {
    ($rule:ident, fine: [$($fine_path:literal: $fine:expr),* $(,)?],
     broken: [$($path:literal: $text:expr),+ $(,)?]) => {
        mod $rule {
            use crate::tidy::{Source, read_project};

            #[test]
            fn holds() {
                let complaints = super::$rule(&read_project());
                assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
            }

            #[test]
            fn notices() {
                $(
                    let file = Source { path: $path.into(), text: $text.into() };
                    assert_eq!(super::$rule(&[file]).len(), 1, "{}: {}", $path, $text);
                )+
                let fine: &[Source] =
                    &[$(Source { path: $fine_path.into(), text: $fine.into() }),*];
                assert_eq!(super::$rule(fine), Vec::<String>::new());
            }
        }
    };
}

rule!(modules_only_look_down,
fine: [
    "src/store/mod.rs": "use crate::domain::Money;\nuse crate::store::cards;\n",
    "src/issuers/stripe.rs":
        "use crate::issuers::wire::stripe::{self, Event};\n// crate::web\n",
    "src/main.rs": "use sayso::app::commands;\nlet text = \"crate::nowhere\";\n",
    "src/lib.rs": "pub mod app;\n",
    "simulator/src/books.rs": "use crate::report::Report;\n",
],
broken: [
    "src/domain/money.rs": "use crate::issuers::wire::stripe::Amount;\n",
    "src/issuers/wire/stripe.rs": "fn f(money: crate::domain::Money) {}\n",
    "src/people/cards.rs": "use super::pots::Pot;\n",
    "src/people/mod.rs": "use crate::domain::Money;\n",
    "src/people/asks/mod.rs": "use crate::people::pots::Pot;\n",
    "src/ledger/record/row.rs": "use crate::ledger::book::Book;\n",
    "src/store/mod.rs": "use crate::{\n    domain::{Money, Pot},\n    web::Problem,\n};\n",
    "src/ledger/chain.rs": "pub(crate) use crate::store;\n",
    "src/web/pages.rs": "use crate::*;\n",
    "src/web/mod.rs": "use crate::elsewhere::Thing;\n",
    "src/elsewhere.rs": "fn f() {}\n",
    "src/elsewhere/mod.rs": "use crate::elsewhere;\n",
    "src/domain/pot.rs": "use super::super::store;\n",
    "src/domain/mod.rs": "use super::store;\n",
]);

/// Reads every `crate::…` path. For that to be every path, nothing may climb out with `super`.
fn modules_only_look_down(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let code = file.code();
        for line in lines_with(&code, "super::super") {
            complaints.push(file.complain(line, "write crate::…, not super::super::…"));
        }
        let Some(module) = file.module() else { continue };
        let Some((floor, unit)) = floor_of(&module) else {
            // A room's own file only names what is in it.
            if !is_room(&module) || !modules_used(&code).is_empty() {
                complaints.push(format!("{}: module {module} is on no floor", file.path));
            }
            continue;
        };
        if module == unit && code.lines().any(|line| line.starts_with("use super::")) {
            complaints.push(format!("{}: write use crate::…, not use super::…", file.path));
        }
        for (line, used) in modules_used(&code) {
            match floor_of(used) {
                Some((other, used)) if other < floor || used == unit => {}
                Some((_, used)) => {
                    complaints.push(file.complain(line, format!("{unit} must not use {used}")));
                }
                None => complaints.push(file.complain(line, format!("{used} is on no floor"))),
            }
        }
    }
    complaints
}

/// The floor of a module, and the entry of [`FLOORS`] that it belongs to.
fn floor_of(path: &str) -> Option<(usize, &'static str)> {
    let floors = FLOORS.iter().enumerate();
    let units = floors.flat_map(|(floor, units)| units.iter().map(move |unit| (floor, *unit)));
    units.filter(|(_, unit)| begins_with(path, unit)).max_by_key(|(_, unit)| unit.len())
}

fn is_room(module: &str) -> bool {
    FLOORS.concat().iter().any(|unit| begins_with(unit, module))
}

fn begins_with(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

rule!(their_spelling_stays_with_them,
fine: [
    "src/issuers/wire/stripe.rs":
        "struct Authorization;\nconst KIND: &str = \"issuing_authorization\";\n",
    "src/issuers/stripe.rs":
        "use crate::issuers::wire::stripe::Authorization;\n",
    "tests/it/stripe.rs": "assert_eq!(kind, \"issuing_authorization\");\n",
    "src/web/auth.rs": "headers.get(header::AUTHORIZATION);\nheaders.get(\"authorization\");\n",
    "src/web/problem.rs": "let status = StatusCode::UNAUTHORIZED;\n",
    "simulator/src/issuers/stripe.rs": "let unauthorized = 401;\n",
],
broken: [
    "src/web/auth.rs": "fn is_authorized() {}\n",
    "src/issuers/stripe.rs": "struct Authorization;\n",
    "migrations/sqlite/0001_start.sql": "CREATE TABLE authorization (id TEXT);\n",
    "tests/it/http.rs": "fn authorizes() {}\n",
]);

/// We write `authorise`. The American spelling is for what others named: the wire's own words,
/// which adapters and tests may repeat, and HTTP's header and status.
fn their_spelling_stays_with_them(files: &[Source]) -> Vec<String> {
    const THEIRS: [&str; 4] = ["src/issuers/wire", "simulator", "tests/fixtures", "tests/node"];
    const OF_HTTP: [&str; 3] = ["AUTHORIZATION", "authorization", "UNAUTHORIZED"];

    let is_theirs =
        |file: &Source| file.path == THIS_FILE || THEIRS.iter().any(|folder| file.is_in(folder));
    let american = |line: &str| {
        let is_american = |word: &&str| word.to_lowercase().contains("authoriz");
        words(line).filter(is_american).map(str::to_owned).collect::<Vec<_>>()
    };
    let on_the_wire: BTreeSet<String> =
        files.iter().filter(|file| is_theirs(file)).flat_map(|file| american(&file.text)).collect();
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| is_ours(file) && !is_theirs(file)) {
        let may_repeat = file.is_in("src/issuers") || file.is_in("tests");
        for (line, text) in numbered(&file.text) {
            let is_of_http = ["header::", "\"authorization\"", "StatusCode::"];
            let is_of_http = is_of_http.iter().any(|mark| text.contains(mark));
            for word in american(text) {
                let is_fine = (is_of_http && OF_HTTP.contains(&word.as_str()))
                    || (may_repeat && on_the_wire.contains(&word));
                if !is_fine {
                    complaints.push(file.complain(line, format!("{word}: we write authoris…")));
                }
            }
        }
    }
    complaints
}

rule!(only_the_store_knows_sql,
fine: [
    "src/store/cards.rs": "sqlx::query(\"SELECT id FROM card\");\n",
    "src/web/cards.rs": "// The store's SELECT statement says why.\n",
    "tests/it/store.rs": "sqlx::query(\"DELETE FROM card\");\n",
],
broken: [
    "src/web/cards.rs": "let text = \"SELECT id FROM card\";\n",
    "src/ops/retention.rs": "let text = \"\n    DELETE FROM card\";\n",
    "src/app.rs": "fn f(error: sqlx::Error) {}\n",
]);

fn only_the_store_knows_sql(files: &[Source]) -> Vec<String> {
    const SQL: [&str; 4] = ["SELECT ", "INSERT INTO", "DELETE FROM", "sqlx::"];

    let outside = |file: &&Source| {
        file.is_rust() && file.is_in("src") && file.room().as_deref() != Some("store")
    };
    let mut complaints = Vec::new();
    for file in files.iter().filter(outside) {
        let code = file.code_and_strings();
        for (word, line) in
            SQL.iter().flat_map(|word| lines_with(&code, word).map(move |l| (word, l)))
        {
            complaints.push(file.complain(line, format!("{word} belongs in src/store")));
        }
    }
    complaints
}

rule!(migrations_are_pairs,
fine: [
    "migrations/sqlite/0001_start.sql": "",
    "migrations/postgres/0001_start.sql": "",
    "migrations/README.md": "",
],
broken: [
    "migrations/sqlite/0001_start.sql": "",
    "migrations/postgres/0001_start.sql": "",
]);

fn migrations_are_pairs(files: &[Source]) -> Vec<String> {
    let names = |folder: &str| -> BTreeSet<&str> {
        files.iter().filter(|file| file.is_in(folder)).map(Source::name).collect()
    };
    names("migrations/sqlite")
        .symmetric_difference(&names("migrations/postgres"))
        .map(|name| format!("migrations: {name} is there for one database only"))
        .collect()
}

rule!(files_are_named_after_what_they_are,
    fine: ["src/domain/hold.rs": ""],
    broken: ["src/domain/types.rs": "", "simulator/src/utils.rs": "", "tests/it/common.rs": ""]);

fn files_are_named_after_what_they_are(files: &[Source]) -> Vec<String> {
    const EMPTY_NAMES: [&str; 7] =
        ["common.rs", "helpers.rs", "manager.rs", "misc.rs", "types.rs", "util.rs", "utils.rs"];

    let is_empty_name = |file: &&Source| EMPTY_NAMES.contains(&file.name());
    let complain = |file: &Source| format!("{}: name it after what it holds", file.path);
    files.iter().filter(is_empty_name).map(complain).collect()
}

rule!(the_domain_knows_no_serde,
    fine: ["src/record/mod.rs": "use serde::Serialize;\n", "src/domain/pot.rs": "// not serde\n"],
    broken: ["src/domain/pot.rs": "#[derive(serde::Serialize)]\nstruct Pot;\n"]);

/// Stored facts live for ever; what the domain calls its fields should not.
fn the_domain_knows_no_serde(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.room().as_deref() == Some("domain")) {
        for line in lines_with(&file.code(), "serde") {
            complaints.push(file.complain(line, "the serialised form belongs in record"));
        }
    }
    complaints
}

rule!(the_lowest_floors_never_wait,
fine: ["src/store/mod.rs": "async fn f() {}\n", "src/domain/pot.rs": "/// Never async.\n"],
broken: [
    "src/domain/pot.rs": "async fn f() {}\n",
    "src/ledger/chain.rs": "fn f() { other().await }\n",
]);

fn the_lowest_floors_never_wait(files: &[Source]) -> Vec<String> {
    let calculating = FLOORS[..=LAST_CALCULATING_FLOOR].concat();
    let mut complaints = Vec::new();
    for file in files {
        let module = file.module().unwrap_or_default();
        if !floor_of(&module).is_some_and(|(_, unit)| calculating.contains(&unit)) {
            continue;
        }
        for (line, text) in numbered(&file.code()) {
            if words(text).any(|word| word == "async" || word == "await") {
                complaints.push(file.complain(line, "a calculation does not wait"));
            }
        }
    }
    complaints
}

rule!(the_simulator_is_an_honest_witness,
fine: [
    "simulator/Cargo.toml": "[[bin]]\nname = \"sayso-simulator\"\npath = \"src/main.rs\"\n\n\
        [dependencies]\nserde.workspace = true\n",
    "simulator/src/main.rs": "use simulator::books;\n",
    "Cargo.toml": "[dependencies]\nsimulator = { path = \"simulator\" }\n",
],
broken: [
    "simulator/Cargo.toml": "[dependencies]\nsayso.workspace = true\n",
    "simulator/Cargo.toml": "[dev-dependencies]\nserde = \"1\"\nwire = { path = \"../wire\" }\n",
    "simulator/src/books.rs": "use sayso::domain::Money;\n",
    "simulator/src/report.rs": "include!(\"../../src/domain/money.rs\");\n",
]);

/// Sharing code, the gateway and the simulator would agree with each other and with nobody else.
fn the_simulator_is_an_honest_witness(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_in("simulator")) {
        let mut section = "";
        for (line, text) in numbered(&file.text) {
            if text.starts_with('[') {
                section = text;
            }
            let depends = section.contains("dependencies") && file.name() == "Cargo.toml";
            if (depends && (text.contains("sayso") || text.contains("path")))
                || text.contains("sayso::")
                || (text.contains("../../") && !text.contains("include_str!"))
            {
                complaints
                    .push(file.complain(line, "the simulator shares nothing with the gateway"));
            }
        }
    }
    complaints
}

rule!(no_store_method_is_dead,
fine: [
    "src/store/cards.rs": "pub async fn insert_card() {}\nasync fn own() {}\n",
    "tests/it/store.rs": "store.insert_card(CARD)\n",
],
broken: [
    "src/store/cards.rs": "pub async fn insert_card() {}\nfn f() { self.insert_card(); }\n",
    "src/store/mod.rs": "pub(crate) async fn begin(&self) {}\n",
]);

/// SQL is not checked when it is compiled: what nobody calls, nobody has seen work.
fn no_store_method_is_dead(files: &[Source]) -> Vec<String> {
    let codes: Vec<(&Source, String)> =
        files.iter().filter(|file| file.is_rust()).map(|file| (file, file.code())).collect();
    let mut complaints = Vec::new();
    for (file, code) in codes.iter().filter(|(file, _)| file.room().as_deref() == Some("store")) {
        for (line, text) in numbered(code) {
            let Some((before, after)) = text.split_once("async fn ") else { continue };
            let name = words(after).next().unwrap_or_default();
            let is_named = || {
                let elsewhere = codes.iter().filter(|(other, _)| other.path != file.path);
                let mut paths = elsewhere.flat_map(|(_, code)| occurrences(code, name));
                paths.any(|before| before.ends_with('.') || before.ends_with("::"))
            };
            if before.trim_start().starts_with("pub") && !is_named() {
                complaints.push(file.complain(line, format!("nothing calls {name}")));
            }
        }
    }
    complaints
}

rule!(one_sql_text_serves_both_databases,
fine: ["src/store/mod.rs": "match self.dialect {}\n".repeat(20)],
broken: [
    "src/store/cards.rs": "match self.dialect {}\n".repeat(21),
    "src/store/holds.rs": "if self.dialect == Dialect::Sqlite {}\n".repeat(21),
]);

fn one_sql_text_serves_both_databases(files: &[Source]) -> Vec<String> {
    let differs = |line: &str| {
        let asks = ["match ", "== Dialect::", "!= Dialect::", "matches!("];
        line.to_lowercase().contains("dialect") && asks.iter().any(|ask| line.contains(ask))
    };
    let count: usize = files
        .iter()
        .filter(|file| file.room().as_deref() == Some("store"))
        .map(|file| file.code().lines().filter(|line| differs(line)).count())
        .sum();
    if count <= MOST_DIALECT_MATCHES {
        return Vec::new();
    }
    vec![format!("src/store: {count} matches on Dialect, over {MOST_DIALECT_MATCHES}: talk first")]
}

rule!(scenarios_are_listed,
fine: [
    "tests/it/scenarios/README.md": "| 7 | It burns | `scenario_07_it_burns`, `scenario_7_out` |\n",
    "tests/it/scenarios/fires.rs": "async fn scenario_07_it_burns() {}\nfn scenario_7_out() {}\n",
],
broken: [
    "tests/it/scenarios/fires.rs": "async fn scenario_07_it_burns() {}\n",
    "tests/it/scenarios/README.md": "| 7 | It burns | `scenario_07_it_burns` |\n",
]);

/// The list of what must be survived names every numbered test, in the row of its number.
fn scenarios_are_listed(files: &[Source]) -> Vec<String> {
    const LIST: &str = "tests/it/scenarios/README.md";

    let is_test = |file: &&Source| file.is_in("tests/it") && file.path != THIS_FILE;
    let tests: BTreeSet<_> = files
        .iter()
        .filter(|file| is_test(file) && file.is_rust())
        .flat_map(|file| file.text.lines().filter_map(|line| line.split_once("fn scenario_")))
        .map(|(_, rest)| format!("scenario_{}", words(rest).next().unwrap()))
        .collect();
    let number = |test: &str| test.split('_').nth(1).and_then(|number| number.parse::<u32>().ok());
    let mut listed = BTreeSet::new();
    for row in files.iter().filter(|file| file.path == LIST).flat_map(|file| file.text.lines()) {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let own = cells.next().and_then(|cell| cell.parse().ok());
        let tests = row.split('`').filter(|name| own.is_some() && number(name) == own);
        listed.extend(tests.filter(|name| name.starts_with("scenario_")).map(str::to_owned));
    }
    let missing = tests.difference(&listed).map(|test| format!("{LIST}: {test} is not listed"));
    let gone = listed.difference(&tests).map(|test| format!("{LIST}: there is no {test}"));
    missing.chain(gone).collect()
}

rule!(files_and_functions_are_short,
fine: [
    "src/domain/a.rs": "fn a();\n".repeat(600),
    "src/domain/b.rs": format!("fn b(c: [u8; 4]) {{\n{}}}\n", "    // { \"\n".repeat(98)),
    "src/domain/c.rs": format!("fn c() {{}}\n\n#[cfg(test)]\nmod tests {{\n{}}}", "\n".repeat(900)),
],
broken: [
    "src/domain/a.rs": "fn a();\n".repeat(601),
    "src/domain/b.rs": format!("fn b(c: [u8; 4]) {{\n{}}}\n", "    d();\n".repeat(99)),
    "simulator/src/c.rs": format!("fn c() {{\n{}}}\n", "    if d {}\n".repeat(120)),
]);

fn files_and_functions_are_short(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    let is_product = |file: &&Source| file.is_in("src") || file.is_in("simulator");
    for file in files.iter().filter(|file| file.is_rust()).filter(is_product) {
        let code = file.code_without_tests();
        let length = code.lines().count();
        if length > LONGEST_FILE && file.is_in("src") {
            complaints.push(format!("{}: {length} lines, over {LONGEST_FILE}", file.path));
        }
        for (line, name, length) in functions(&code) {
            if length > LONGEST_FUNCTION {
                let complaint = format!("{name} has {length} lines, over {LONGEST_FUNCTION}");
                complaints.push(file.complain(line, complaint));
            }
        }
    }
    complaints
}

rule!(nothing_depends_on_one_machine,
fine: ["README.md": "https://example.org/home/page and src/root/x\n"],
broken: [
    "README.md": "see /home/somebody/notes\n",
    "tests/run": "cd /root/nowhere\n",
    "src/app.rs": "const PLACE: &str = \"/work/nowhere\";\n",
]);

fn nothing_depends_on_one_machine(files: &[Source]) -> Vec<String> {
    const PLACES: [&str; 5] = ["/home/", "/root/", "/work/", "/Users/", "C:\\Users"];

    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.path != THIS_FILE) {
        for (line, text) in numbered(&file.text) {
            let is_absolute =
                |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || c == '.');
            let names =
                |place: &&&str| text.match_indices(**place).any(|(at, _)| is_absolute(&text[..at]));
            if let Some(place) = PLACES.iter().find(names) {
                complaints.push(file.complain(line, format!("{place}… is one machine's")));
            }
        }
    }
    complaints
}

rule!(nothing_is_left_for_later,
fine: ["src/app.rs": "let todos = 1;\n"],
broken: [
    "src/app.rs": "// TODO: deadline\n",
    "migrations/sqlite/0001_start.sql": "-- FIXME\n",
    "src/main.rs": "fn main() { todo!() }\n",
]);

fn nothing_is_left_for_later(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| is_ours(file) && file.path != THIS_FILE) {
        for (line, text) in numbered(&file.text) {
            if words(text).any(|word| word == "TODO" || word == "FIXME") || text.contains("todo!(")
            {
                complaints.push(file.complain(line, "finish it, or leave it out"));
            }
        }
    }
    complaints
}

rule!(no_check_is_switched_off,
fine: ["src/app.rs": "#[expect(clippy::panic, reason = \"…\")]\nfn f() {} // not #[ignore]\n"],
broken: [
    "src/app.rs": "#[allow(dead_code)]\nfn f() {}\n",
    "src/lib.rs": "#![allow(clippy::panic)]\n",
    "tests/it/store.rs": "#[test]\n#[ignore = \"slow\"]\nfn f() {}\n",
]);

/// `expect` speaks up when it is no longer needed; `allow` and `ignore` stay for ever.
fn no_check_is_switched_off(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        for (line, text) in numbered(&file.code()) {
            if ["#[allow(", "#![allow(", "#[ignore"].iter().any(|switch| text.contains(switch)) {
                complaints.push(file.complain(line, "write expect, with a reason"));
            }
        }
    }
    complaints
}

rule!(lines_fit_the_page,
fine: [
    "src/app.rs": format!("// {}\n", "é".repeat(97)),
    "README.md": "x".repeat(200),
],
broken: [
    "src/app.rs": format!("// {}\n", "x".repeat(98)),
    "tests/it/world.rs": format!("let text = \"{}\";\n", "x".repeat(100)),
]);

/// The formatter leaves comments and texts as they are.
fn lines_fit_the_page(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && !file.is_in("tests/fixtures")) {
        for (line, text) in numbered(&file.text) {
            let length = text.chars().count();
            if length > WIDEST_LINE {
                complaints.push(file.complain(line, format!("{length} columns")));
            }
        }
    }
    complaints
}

rule!(documents_name_what_is_there,
fine: [
    "README.md": "see `src/domain/pot.rs`, `src/domain/` and [it](docs/why.md)\n",
    "src/domain/pot.rs": "",
    "docs/why.md": "back to [it](../README.md); `src/nothing` is no file\n",
],
broken: [
    "README.md": "see `src/domain/hold.rs`\n",
    "docs/why.md": "see `src/elsewhere/`\n",
    "ARCHITECTURE.md": "see [it](docs/nowhere.md)\n",
]);

/// Files move, and what tells of them must follow: paths from `src/` or `tests/it/` on, and links.
fn documents_name_what_is_there(files: &[Source]) -> Vec<String> {
    let is_there = |path: &str| {
        let path = path.trim_end_matches('/');
        files.iter().any(|file| file.path == path || file.path.starts_with(&format!("{path}/")))
    };
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| is_document(file)) {
        for (line, text) in numbered(&file.text) {
            let quoted = text.split('`').skip(1).step_by(2).filter(|path| {
                let is_path = path.starts_with("src/") || path.starts_with("tests/it/");
                is_path && (has_extension(path, "rs") || path.ends_with('/'))
            });
            let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            let links = links.filter(|link| !link.contains("://") && !link.starts_with('#'));
            let links = links.map(|link| resolved(folder, link.split('#').next().unwrap()));
            for path in quoted.map(str::to_owned).chain(links) {
                if !is_there(&path) {
                    complaints.push(file.complain(line, format!("there is no {path}")));
                }
            }
        }
    }
    complaints
}

/// What people read first; a change log tells of files that are gone.
fn is_document(file: &Source) -> bool {
    has_extension(&file.path, "md")
        && file.path != "CHANGELOG.md"
        && (!file.path.contains('/') || file.is_in("docs"))
}

fn resolved(folder: &str, link: &str) -> String {
    let mut path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            ".." => drop(path.pop()),
            "." | "" => {}
            part => path.push(part),
        }
    }
    path.join("/")
}

rule!(one_name_means_one_type,
fine: [
    "src/domain/pot.rs": "pub struct Pot;\nstruct Part;\n",
    "src/store/pots.rs": "pub struct PotRow;\nstruct Part;\n// pub struct Pot;\n",
    "src/issuers/wire/stripe.rs": "pub struct Pot;\n",
],
broken: [
    "src/domain/pot.rs": "pub struct Pot;\npub mod own {\n    pub(crate) enum Pot {}\n}\n",
    "src/domain/kind.rs": "pub struct Kind;\nstored_enum!(\n    Kind {\n    }\n);\n",
]);

/// Public types of different modules do not share a name, so a reader knows which is meant. The
/// wire repeats the names of others.
fn one_name_means_one_type(files: &[Source]) -> Vec<String> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut complaints = Vec::new();
    let is_ours = |file: &&Source| file.is_in("src") && !file.is_in("src/issuers/wire");
    for file in files.iter().filter(|file| file.is_rust()).filter(is_ours) {
        let mut is_in_enum = false;
        for (line, text) in numbered(&file.code_without_tests()) {
            is_in_enum |= text.starts_with("stored_enum!(");
            let enumeration = text.trim().strip_suffix(" {").filter(|_| is_in_enum);
            let Some(name) = enumeration.or_else(|| public_type(text)) else { continue };
            is_in_enum = false;
            let place = format!("{}:{line}", file.path);
            if let Some(first) = known.insert(name.to_owned(), place) {
                complaints.push(file.complain(line, format!("{name} is at {first} too")));
            }
        }
    }
    complaints
}

fn public_type(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub")?;
    let rest = match rest.strip_prefix('(') {
        Some(rest) => rest.split_once(')')?.1,
        None => rest,
    };
    let kinds = [" struct ", " enum ", " trait ", " type "];
    let name = kinds.iter().find_map(|kind| words(rest.strip_prefix(kind)?).next())?;
    // A macro's own variable is no name.
    name.starts_with(char::is_uppercase).then_some(name)
}

rule!(packages_come_from_the_registries,
fine: [
    "Cargo.lock": "source = \"registry+https://example.org\"\n",
    "tests/node/package-lock.json": "\"integrity\": \"sha512-x\"\n",
],
broken: [
    "Cargo.lock": "source = \"git+https://example.org\"\n",
    "tests/node/package-lock.json": "\"resolved\": \"https://example.org\",\n",
]);

/// No package from a git repository, and no machine's own mirror in a lock file.
fn packages_come_from_the_registries(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        let forbidden = match file.name() {
            "Cargo.lock" => "source = \"git+",
            "package-lock.json" => "\"resolved\"",
            _ => continue,
        };
        for line in lines_with(&file.text, forbidden) {
            complaints.push(file.complain(line, "only names and versions from the registries"));
        }
    }
    complaints
}

rule!(every_mutant_still_applies,
fine: [
    "tests/mutants/a.patch":
        "Why.\n\n--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1,2 +1,1 @@\n one\n-two\n",
    "src/a.rs": "zero\none\ntwo\n",
],
broken: [
    "tests/mutants/a.patch": "--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1,2 +1,1 @@\n one\n-two\n",
]);

/// `tests/mutants` breaks the gateway on purpose. What a patch takes away must be there.
fn every_mutant_still_applies(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for patch in files.iter().filter(|file| file.is_in("tests/mutants")) {
        let mut target = "";
        for (line, text) in numbered(&patch.text) {
            if let Some(path) = text.strip_prefix("+++ b/") {
                target = path;
            } else if text.starts_with("@@ ") {
                let before = before_the_hunk(patch.text.lines(), line);
                let is_there =
                    |file: &Source| file.path == target && file.text.contains(before.as_str());
                if !files.iter().any(is_there) {
                    complaints.push(patch.complain(line, format!("{target} reads otherwise now")));
                }
            }
        }
    }
    complaints
}

/// What a hunk of a patch expects to find.
fn before_the_hunk(lines: Lines<'_>, after: usize) -> String {
    let is_hunk = |line: &&str| line.starts_with([' ', '-', '+']) && !line.starts_with("--- ");
    let mut expected = String::new();
    for line in
        lines.skip(after).take_while(is_hunk).filter_map(|line| line.strip_prefix([' ', '-']))
    {
        expected.push_str(line);
        expected.push('\n');
    }
    expected
}

#[test]
fn the_folders_that_rules_look_into_are_there() {
    let files = read_project();
    for folder in FOLDERS {
        assert!(files.iter().any(|file| file.is_in(folder)), "{folder} is missing or empty");
    }
}

#[test]
fn comments_and_strings_are_told_from_code() {
    let text = r##"a /* b /* c */ " */ 'd' "e\"//" '"' r#"f"g"# h<'i> b"j" '\'' // k"##;
    let code: String = blank(text, |piece| piece != Piece::Code).split_whitespace().collect();
    assert_eq!(code, "ah<'i>b");
    let strings = blank("let a = \"b // c\"; // d\n", |piece| piece == Piece::Comment);
    assert_eq!(strings.trim_end(), "let a = \"b // c\";");
}

/// Every text file of the checkout, without what tools made.
fn read_project() -> Vec<Source> {
    let mut files = Vec::new();
    read_folder(project(), "", &mut files);
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

fn read_folder(folder: &Path, prefix: &str, files: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        if entry.file_type().unwrap().is_dir() {
            if !matches!(name.as_str(), "target" | "node_modules" | ".git") {
                read_folder(&entry.path(), &format!("{path}/"), files);
            }
        } else if name != ".git"
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            files.push(Source { path, text });
        }
    }
}

/// What people here write, as opposed to what tools and others do.
fn is_ours(file: &Source) -> bool {
    let kinds = [".rs", ".sql", ".toml", ".ftl", ".html", ".css", ".js", ".mjs", ".sh"];
    kinds.iter().any(|kind| file.path.ends_with(kind)) || file.name().split('.').count() == 1
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

fn lines_with(text: &str, part: &str) -> impl Iterator<Item = usize> {
    numbered(text).filter(move |(_, line)| line.contains(part)).map(|(number, _)| number)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

/// What stands before each occurrence of a whole word.
fn occurrences<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(word).filter_map(move |(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        (!before.ends_with(is_word) && !after.starts_with(is_word)).then_some(before)
    })
}

/// Every `crate::…` path with its line, without `crate`; each one of a `crate::{…}` group.
/// Exported macros live at the root of the crate whoever defines them, so they do not count.
fn modules_used(code: &str) -> Vec<(usize, &str)> {
    let mut used = Vec::new();
    for before in occurrences(code, "crate") {
        let Some(path) = code[before.len()..].strip_prefix("crate::") else { continue };
        let line = before.matches('\n').count() + 1;
        let Some(group) = path.strip_prefix('{') else {
            let path = path_at_start(path);
            if !code[before.len() + "crate::".len() + path.len()..].starts_with('!') {
                used.push((line, if path.is_empty() { "*" } else { path }));
            }
            continue;
        };
        let mut depth = 0;
        let mut start = 0;
        for (at, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    let path = path_at_start(group[start..at].trim_start());
                    used.extend((!path.is_empty()).then_some((line, path)));
                    start = at + 1;
                    if character == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    used
}

/// The path that `text` begins with.
fn path_at_start(text: &str) -> &str {
    let end = text.find(|c| !is_word(c) && c != ':').unwrap_or(text.len());
    text[..end].trim_end_matches(':')
}

/// Line, name and length in lines of every function that has a body.
fn functions(code: &str) -> Vec<(usize, &str, usize)> {
    let mut found = Vec::new();
    for before in occurrences(code, "fn") {
        let rest = &code[before.len()..];
        let Some(name) = rest.strip_prefix("fn ").and_then(|rest| words(rest).next()) else {
            continue;
        };
        let (mut brackets, mut braces) = (0_i32, 0_i32);
        for (at, character) in rest.char_indices() {
            match character {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets -= 1,
                ';' if brackets == 0 && braces == 0 => break,
                '{' => braces += 1,
                '}' => braces -= 1,
                _ => continue,
            }
            if character == '}' && braces == 0 {
                let line = before.matches('\n').count() + 1;
                found.push((line, name, rest[..at].matches('\n').count() + 1));
                break;
            }
        }
    }
    found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Code,
    Comment,
    Text,
}

/// Turns the chosen pieces into spaces; lines stay where they are.
fn blank(text: &str, chosen: impl Fn(Piece) -> bool) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, length) = first_piece(rest);
        let (taken, left) = rest.split_at(length);
        if chosen(piece) {
            result.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            result.push_str(taken);
        }
        rest = left;
    }
    result
}

/// What the text begins with, and how many bytes of it. Text that never ends runs to the end.
fn first_piece(text: &str) -> (Piece, usize) {
    let upto = |end: Option<usize>| end.unwrap_or(text.len());
    if text.starts_with("//") {
        return (Piece::Comment, upto(text.find('\n')));
    }
    if text.starts_with("/*") {
        return (Piece::Comment, upto(end_of_block_comment(text)));
    }
    if let Some(length) = raw_string(text) {
        return (Piece::Text, length);
    }
    let mut characters = text.chars();
    let first = characters.next().unwrap();
    match first {
        '"' => (Piece::Text, upto(end_of_quoted(text, '"'))),
        // Without its closing quote it is a lifetime.
        '\'' if text.starts_with("'\\") || characters.nth(1) == Some('\'') => {
            (Piece::Text, upto(end_of_quoted(text, '\'')))
        }
        _ if is_word(first) => (Piece::Code, upto(text.find(|c| !is_word(c)))),
        _ => (Piece::Code, first.len_utf8()),
    }
}

/// Where the quoted text that begins here ends; a backslash takes the next character with it.
fn end_of_quoted(text: &str, quote: char) -> Option<usize> {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == quote {
            return Some(at + 1);
        }
    }
    None
}

fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
    })?;
    let hashes = text[prefix.len()..].chars().take_while(|c| *c == '#').count();
    let start = prefix.len() + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(text[start..].find(&close).map_or(text.len(), |at| start + at + close.len()))
}

fn end_of_block_comment(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    loop {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += rest.chars().next()?.len_utf8();
        }
    }
}
