//! `sayso programme apply` and `sayso programme show`.

use std::fs;
use std::path::Path;

use super::{CommandError, CommonArgs, ExitStatus, OutputFormat, json, print_status, result};
use crate::domain::id::ProgrammeId;
use crate::merchant_rules::{
    BUILT_IN_CATEGORIES, BUILT_IN_SHOPS, CATEGORIES_FILE, RulesTexts, SHOPS_FILE,
};
use crate::platform::clock::Clock;
use crate::platform::ids::NewIds;
use crate::programme::{apply, show};
use crate::store::Store;

pub(super) async fn apply(
    common: &CommonArgs,
    file: &Path,
    rules: Option<&Path>,
) -> Result<ExitStatus, CommandError> {
    let text = read_text(file)?;
    let own = own_rules(rules)?;
    let store = common.with_key(common.store().await?).await?;
    let now = Clock::system().now();
    let applied = apply::apply(&store, &NewIds::default(), now, &text, own.texts()).await;
    store.close().await;
    let applied = applied.map_err(|error| {
        let CommandError { status, text } = CommandError::of(&error);
        CommandError { status, text: format!("{} was not applied:\n{text}", file.display()) }
    })?;
    let apply::ApplyReport {
        programme,
        version,
        people,
        changed,
        agreements,
        loads,
        waiting,
        left,
    } = applied;
    match common.output {
        OutputFormat::Json => json(&serde_json::json!({
            "programme": programme.to_string(),
            "version": version,
            "people": people,
            "people_changed": changed,
            "agreements_started": agreements,
            "loads_posted": loads,
            "waiting": waiting.iter().map(|waiting| serde_json::json!({
                "person": waiting.person.to_string(),
                "proposal": waiting.proposal.to_string(),
                "waits_for": waits_for(waiting),
            })).collect::<Vec<_>>(),
            "left": left,
        }))?,
        OutputFormat::Text => {
            result(format_args!(
                "{programme} is at version {version}: people {people}, changed {changed}, \
                 agreements started {agreements}, loads posted {loads}\n"
            ))?;
            for waiting in &waiting {
                result(format_args!(
                    "person {}: a change of their list waits for the yes of {} ({})\n",
                    waiting.person,
                    waits_for(waiting).join(" and "),
                    waiting.proposal
                ))?;
            }
        }
    }
    if left.is_empty() {
        return Ok(ExitStatus::Done);
    }
    let text = "something else happened meanwhile; apply the file again";
    Err(CommandError::new(format!("{text}:\n{}", left.join("\n"))))
}

fn waits_for(waiting: &apply::PendingProposal) -> Vec<&'static str> {
    waiting.sides.iter().map(|side| side.word()).collect()
}

fn read_text(path: &Path) -> Result<String, CommandError> {
    fs::read_to_string(path)
        .map_err(|error| CommandError::new(format!("{} cannot be read: {error}", path.display())))
}

/// A programme's own merchant rules. A missing file is replaced by the built-in one.
#[derive(Default)]
struct OwnRules {
    categories: Option<String>,
    shops: Option<String>,
}

impl OwnRules {
    fn texts(&self) -> RulesTexts<'_> {
        RulesTexts {
            categories: self.categories.as_deref().unwrap_or(BUILT_IN_CATEGORIES),
            shops: Some(self.shops.as_deref().unwrap_or(BUILT_IN_SHOPS)),
        }
    }
}

/// Reads the rules at `path`: one of the files, or a folder with at least one of them.
fn own_rules(path: Option<&Path>) -> Result<OwnRules, CommandError> {
    let Some(path) = path else { return Ok(OwnRules::default()) };
    if !path.is_dir() {
        let text = Some(read_text(path)?);
        let is_shops = path.file_name().is_some_and(|name| name == SHOPS_FILE);
        return Ok(if is_shops {
            OwnRules { categories: None, shops: text }
        } else {
            OwnRules { categories: text, shops: None }
        });
    }
    let inside = |name: &str| {
        let path = path.join(name);
        path.is_file().then(|| read_text(&path)).transpose()
    };
    let own = OwnRules { categories: inside(CATEGORIES_FILE)?, shops: inside(SHOPS_FILE)? };
    if own.categories.is_none() && own.shops.is_none() {
        let text = format!("{} has neither {CATEGORIES_FILE} nor {SHOPS_FILE}", path.display());
        return Err(CommandError::new(text));
    }
    Ok(own)
}

pub(super) async fn show(
    common: &CommonArgs,
    id: Option<&str>,
) -> Result<ExitStatus, CommandError> {
    let store = common.store().await?;
    let shown = read(&store, id).await;
    store.close().await;
    result(shown?)?;
    Ok(ExitStatus::Done)
}

async fn read(store: &Store, id: Option<&str>) -> Result<String, CommandError> {
    let known = store.programmes().await.map_err(|error| CommandError::of(&error))?;
    let known: Vec<ProgrammeId> = known.into_iter().map(|(programme, _)| programme).collect();
    let wanted = match (id, known.as_slice()) {
        (Some(id), known) => known.iter().find(|programme| programme.as_str() == id),
        (None, [only]) => Some(only),
        (None, []) => {
            return Err(CommandError::new("there is no programme yet: apply a file first"));
        }
        (None, [_, _, ..]) => {
            print_status(format_args!("there are several programmes: say which one"));
            None
        }
    };
    let text = match wanted {
        Some(programme) => show::show(store, programme).await.map_err(|e| CommandError::of(&e))?,
        None => None,
    };
    text.ok_or_else(|| {
        let names: Vec<_> = known.iter().map(ProgrammeId::as_str).collect();
        CommandError::new(format!("there is no such programme; known are: {}", names.join(", ")))
    })
}
