//! What can go wrong, one test per way, each over real HTTP against a whole gateway, each ended by
//! the checker. The numbers are those of the project's table of scenarios.

mod attacks;
mod claims;
mod clocks;
mod crashes;
mod deadlines;
mod disputes;
mod explained;
mod faults;
mod gateway;
mod hangups;
mod holds;
mod lives;
mod marks;
mod money;
mod overload;
mod processes;
mod repeats;
mod upkeep;

#[test]
fn every_test_that_the_table_names_is_there() {
    let table = include_str!("README.md");
    let named: Vec<_> = table.split('`').filter(|part| part.starts_with("scenario_")).collect();
    assert!(named.len() > 30, "{}", named.len());
    let sources = ["tests/it", "src"].map(|folder| crate::support::project().join(folder));
    let text: String = sources.iter().map(|folder| read(folder)).collect();
    for name in named {
        assert!(text.contains(&format!("fn {name}(")), "{name}");
    }
}

/// Everything written in Rust in a folder.
fn read(folder: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&read(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    text
}
