//! Access control: the table cell by cell, then each account at each address over HTTP.

use sayso::domain::people::role::{AccessScope, Capability, Delegation, Role};

use super::town::{ACCOUNTS, ROUTES, town};
use crate::support::TestDatabase;
use crate::world::{World, purchase};

on_both_databases!(every_account_is_answered_as_the_table_says_at_every_address);

/// One row for each capability, one column for each role: `own` (their own budget), a delegation
/// such as `balance`, `chosen`, `case` (the caseload), `duty` (everybody, while on duty), `all`
/// (the programme), or `-` for never.
#[rustfmt::skip]
const TABLE: &[(&str, &str)] = &[
    //                    person           advocate          worker      manager     operator
    //                           helper              planner        duty       finance     auditor
    ("see_budget",       "own    balance   balance   -       case   duty all   all   -     all"),
    ("see_list",         "own    list      list      list    case   duty all   -     -     all"),
    ("see_totals",       "own    totals    totals    -       case   duty all   all   -     all"),
    ("see_purchase",     "own    purchases purchases -       case   duty all   -     -     all"),
    ("see_timeline",     "own    -         -         -       case   duty all   -     -     all"),
    ("draft",            "own    draft     draft     chosen  case   -    all   -     -     -"),
    ("propose",          "own    -         -         -       case   -    all   -     -     -"),
    ("agree_as_person",  "own    -         -         -       -      -    -     -     -     -"),
    ("agree_as_worker",  "-      -         -         -       case   -    -     -     -     -"),
    ("agree_as_manager", "-      -         -         -       -      -    all   -     -     -"),
    ("pause",            "-      -         -         -       case   duty all   -     -     -"),
    ("freeze",           "own    freeze    freeze    -       -      -    -     -     -     -"),
    ("unfreeze",         "own    -         -         -       -      -    -     -     -     -"),
    ("report_lost",      "own    -         -         -       -      -    -     -     -     -"),
    ("ask",              "own    -         -         -       -      -    -     -     -     -"),
    ("answer_ask",       "-      -         -         -       case   duty all   -     -     -"),
    ("appeal",           "own    appeal    chosen    -       -      -    -     -     -     -"),
    ("answer_appeal",    "-      -         -         -       case   duty all   -     -     -"),
    ("steer_money",      "own    -         -         -       -      -    -     -     -     -"),
    ("choose_helpers",   "own    -         -         -       -      -    -     -     -     -"),
    ("publish_guide",    "-      -         -         -       -      -    all   -     -     -"),
];

const fn cell(reach: AccessScope) -> &'static str {
    match reach {
        AccessScope::Never => "-",
        AccessScope::Own => "own",
        AccessScope::Ticked(tick) => tick.word(),
        AccessScope::Chosen => "chosen",
        AccessScope::Caseload => "case",
        AccessScope::OnDuty => "duty",
        AccessScope::Programme => "all",
    }
}

#[test]
fn every_cell_of_the_table_is_as_it_was_designed() {
    let acts: Vec<_> = Capability::ALL.iter().map(|act| act.word()).collect();
    assert_eq!(TABLE.iter().map(|(act, _)| *act).collect::<Vec<_>>(), acts);
    for (act, row) in TABLE {
        let act = Capability::from_word(act).unwrap();
        let cells: Vec<_> = row.split_whitespace().collect();
        let reached: Vec<_> = Role::ALL.iter().map(|role| cell(role.access_scope(act))).collect();
        assert_eq!(reached, cells, "{act:?}");
    }
}

/// A capability or delegation that no code checks would grant nothing.
#[test]
fn every_act_and_every_tick_is_gone_by() {
    let mut sources = String::new();
    let table = std::path::Path::new("src/domain/people/role.rs");
    assert!(table.is_file(), "the table itself is no use of a capability");
    let mut folders = vec![std::path::PathBuf::from("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && path != table {
                let text = std::fs::read_to_string(path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap().lines();
                code.filter(|line| !line.trim_start().starts_with("//")).for_each(|line| {
                    sources.push_str(line);
                    sources.push('\n');
                });
            }
        }
    }
    let is_used = |act: &&Capability| {
        let name = format!("Capability::{act:?}");
        let mut after = sources.match_indices(&name).map(|(at, _)| &sources[at + name.len()..]);
        after.any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    };
    let unused: Vec<_> = Capability::ALL.iter().filter(|act| !is_used(act)).collect();
    assert_eq!(unused, Vec::<&Capability>::new(), "no use case admits anybody to these");
    let is_reached = |tick: &&Delegation| {
        let cells = Role::ALL
            .iter()
            .flat_map(|role| Capability::ALL.iter().map(|act| role.access_scope(*act)));
        cells.into_iter().any(|reach| reach == AccessScope::Ticked(**tick))
    };
    let idle: Vec<_> = Delegation::ALL.iter().filter(|tick| !is_reached(tick)).collect();
    assert_eq!(idle, Vec::<&Delegation>::new(), "ticked, they let nobody do anything");
}

async fn every_account_is_answered_as_the_table_says_at_every_address(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    let bought = world.authorise(&purchase("Bread", 2_50)).await;
    assert!(bought.is_approved());
    let mut wrong = Vec::new();
    for (route, expected) in ROUTES {
        for (account, expected) in ACCOUNTS.into_iter().zip(expected) {
            // A removed helper has no valid token any more.
            if route.method == "DELETE" && account == "hal" {
                continue;
            }
            let path = route.about("dee", &bought.decision(), "hal");
            let answer = route.call(&world, &path, &world.token(account).await).await;
            if answer.status != expected {
                let StatusAndKind { status, body } = StatusAndKind::of(&answer);
                wrong.push(format!(
                    "{account} {} {path}: {status}, not {expected}: {body}",
                    route.method
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    world.check().await;
}

struct StatusAndKind<'a> {
    status: u16,
    body: &'a str,
}

impl<'a> StatusAndKind<'a> {
    fn of(answer: &'a crate::world::TestResponse) -> Self {
        Self { status: answer.status, body: answer.body.get(..200).unwrap_or(&answer.body) }
    }
}
