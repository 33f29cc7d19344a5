//! Every field of a programme file, compared with the files, books and documents that must have it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use sayso::domain::shop::merchant::Category;
use sayso::programme::file::parse;
use simulator::programme::unknown_fields;
use toml::{Table, Value};

use crate::support::project;
use crate::world::DEMO;

/// A key that no table has; the path of its table follows.
const PROBE: &str = "probe of ";

/// The fields of each table of a file, by the path of the table, such as `person.pot`.
type TableFields = BTreeMap<String, BTreeSet<String>>;

/// The demo with `every_field.toml`.
fn demo_with_every_field() -> Table {
    format!("{DEMO}\n{}", include_str!("every_field.toml")).parse().unwrap()
}

fn inner_path(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// Visits every table of a file, with its path.
fn visit_tables(path: &str, table: &mut Table, visit: &mut dyn FnMut(&str, &mut Table)) {
    for (field, value) in table.iter_mut() {
        let path = inner_path(path, field);
        if let Value::Table(table) = value {
            visit_tables(&path, table, visit);
        } else if let Value::Array(items) = value {
            for table in items.iter_mut().filter_map(Value::as_table_mut) {
                visit_tables(&path, table, visit);
            }
        }
    }
    visit(path, table);
}

/// The fields that `file` has.
fn written_fields(file: &Table) -> TableFields {
    let mut written = TableFields::new();
    visit_tables("", &mut file.clone(), &mut |path, table| {
        written.entry(path.to_owned()).or_default().extend(table.keys().cloned());
    });
    written
}

/// The fields that the gateway accepts in each table of `file`, by its problem with an unknown key.
fn accepted_fields(file: &Table) -> TableFields {
    let mut probed = file.clone();
    visit_tables("", &mut probed, &mut |path, table| {
        table.insert(format!("{PROBE}{path}"), Value::Boolean(true));
    });
    let problems = parse(&probed.to_string(), &|_: &Category| true).unwrap_err().problems;
    let fields = problems.iter().filter_map(|problem| {
        let (key, fields) = problem.text.split_once(" is not a field here; the fields are ")?;
        let path = key.trim_matches('"').strip_prefix(PROBE)?;
        Some((path.to_owned(), fields.split(", ").map(str::to_owned).collect()))
    });
    fields.collect()
}

/// The fields that the gateway accepts in every table that a file can have.
fn every_field() -> TableFields {
    let mut file = demo_with_every_field();
    let mut accepted = accepted_fields(&file);
    let mut tried = BTreeSet::new();
    loop {
        let written = written_fields(&file);
        let is_new = |path: &str, field: &str| {
            let is_written = written.get(path).is_some_and(|fields| fields.contains(field));
            !is_written && !tried.contains(&inner_path(path, field))
        };
        let mut fields =
            accepted.iter().flat_map(|(path, fields)| fields.iter().map(move |f| (path, f)));
        let Some((path, field)) = fields.find(|(path, field)| is_new(path, field)) else {
            return accepted;
        };
        let (path, field) = (path.clone(), field.clone());
        let inner = inner_path(&path, &field);
        // Nothing tells whether the field is a table or a list of tables.
        for value in [Value::Table(Table::new()), Value::Array(vec![Value::Table(Table::new())])] {
            let mut with_field = file.clone();
            visit_tables("", &mut with_field, &mut |place, table| {
                if place == path {
                    table.insert(field.clone(), value.clone());
                }
            });
            let found = accepted_fields(&with_field);
            if found.contains_key(&inner) {
                accepted.extend(found);
                file = with_field;
                break;
            }
        }
        tried.insert(inner);
    }
}

#[test]
fn the_parser_is_asked_about_all_its_tables() {
    let every = every_field();
    for (path, field) in [
        ("", "duty"),
        ("asks", "duty_up_to"),
        ("connection.secret", "until"),
        ("shop", "network_ids"),
        ("start.term.limits", "count"),
        ("person.pot.release", "at_once"),
        ("person.agreement.term.own_block", "cooling_days"),
        ("member", "answer_limit"),
    ] {
        assert!(every[path].contains(field), "{path}: {every:?}");
    }
}

#[test]
fn the_file_with_every_field_has_those_of_streams_and_people() {
    let written = written_fields(&demo_with_every_field());
    for (path, fields) in every_field() {
        // A permission is about the same scopes as a term.
        let is_about = ["stream", "person"].contains(&path.split('.').next().unwrap());
        if is_about && path != "person.permission.on" {
            let missing: Vec<_> = fields.difference(&written[&path]).collect();
            assert!(missing.is_empty(), "{path} in tests/it/every_field.toml lacks {missing:?}");
        }
    }
}

/// A table with every field. What is in the fields does not matter to [`unknown_fields`].
fn table_of(every: &TableFields, path: &str) -> Table {
    let value = |field: &String| {
        let path = inner_path(path, field);
        let is_table = every.contains_key(&path);
        if is_table { Value::Table(table_of(every, &path)) } else { Value::Boolean(true) }
    };
    every[path].iter().map(|field| (field.clone(), value(field))).collect()
}

#[test]
fn the_simulator_knows_every_field() {
    assert_eq!(unknown_fields(&table_of(&every_field(), "")), [""; 0]);
}

/// It is found anywhere in the document, so a field with a name that others have is not missed.
#[test]
fn the_readme_names_every_field() {
    let readme = fs::read_to_string(project().join("merchant-rules/README.md")).unwrap();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words: BTreeSet<_> = readme.split(|c| !is_word(c)).collect();
    for (path, fields) in every_field() {
        let missing: Vec<_> = fields.iter().filter(|f| !words.contains(f.as_str())).collect();
        assert!(missing.is_empty(), "merchant-rules/README.md lacks {missing:?} of {path:?}");
    }
}
