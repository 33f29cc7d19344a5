//! `sayso rules check`.

use std::fs;
use std::path::{Path, PathBuf};

use super::{CommandError, ExitStatus, print_status, result};
use crate::merchant_rules;
use crate::merchant_rules::{
    BUILT_IN_CATEGORIES, BUILT_IN_GUIDE, BUILT_IN_SHOPS, CATEGORIES_FILE, GUIDE_FILE, SHOPS_FILE,
};

/// The folder of merchant rules in a checkout.
const FOLDER: &str = "merchant-rules";

pub(super) fn check(folder: Option<&Path>) -> Result<ExitStatus, CommandError> {
    let usual = Path::new(FOLDER);
    let folder = folder.or_else(|| Some(usual).filter(|folder| folder.is_dir()));
    let files = match folder {
        Some(folder) => read(folder)?,
        None => vec![
            (format!("built-in/{CATEGORIES_FILE}"), BUILT_IN_CATEGORIES.to_owned()),
            (format!("built-in/{SHOPS_FILE}"), BUILT_IN_SHOPS.to_owned()),
            (format!("built-in/{GUIDE_FILE}"), BUILT_IN_GUIDE.to_owned()),
        ],
    };
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    match merchant_rules::check(&files) {
        Ok(summary) => {
            result(format_args!("{summary}\n"))?;
            Ok(ExitStatus::Done)
        }
        Err(error) => {
            result(format_args!("{error}\n"))?;
            print_status(format_args!("{} to put right", problems(error.problems.len())));
            Ok(ExitStatus::NotInOrder)
        }
    }
}

fn problems(count: usize) -> String {
    if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") }
}

/// The TOML files of a folder, sorted by path.
fn read(folder: &Path) -> Result<Vec<(String, String)>, CommandError> {
    let cannot = |path: &Path, error| {
        CommandError::new(format!("{} cannot be read: {error}", path.display()))
    };
    let entries = fs::read_dir(folder).map_err(|error| cannot(folder, error))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml")));
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).map_err(|error| cannot(&path, error))?;
        Ok((path.display().to_string(), text))
    };
    paths.into_iter().map(read).collect()
}
