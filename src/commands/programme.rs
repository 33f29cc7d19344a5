//! `sayso programme apply` and `sayso programme show`.

use std::fs;
use std::path::Path;

use super::{Common, Ending, Failure, Output, json, result, talk};
use crate::clock::Clock;
use crate::domain::id::ProgrammeId;
use crate::ids::NewIds;
use crate::programme::{apply, show};
use crate::rules::BUILT_IN_CATEGORIES;
use crate::store::Store;

pub(super) async fn apply(
    common: &Common,
    file: &Path,
    rules: Option<&Path>,
) -> Result<Ending, Failure> {
    let read = |path: &Path| {
        fs::read_to_string(path)
            .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))
    };
    let text = read(file)?;
    let rules = match rules {
        Some(path) => read(path)?,
        None => BUILT_IN_CATEGORIES.to_owned(),
    };
    let store = common.store().await?;
    let now = Clock::system().now();
    let applied = apply::apply(&store, &NewIds::default(), now, &text, &rules).await;
    store.close().await;
    let applied = applied.map_err(|error| {
        let Failure { ending, text } = Failure::of(&error);
        Failure { ending, text: format!("{} was not applied:\n{text}", file.display()) }
    })?;
    let apply::Applied { programme, version, people, agreements, loads } = applied;
    match common.output {
        Output::Json => json(&serde_json::json!({
            "programme": programme.to_string(),
            "version": version,
            "people": people,
            "agreements_started": agreements,
            "loads_posted": loads,
        }))?,
        Output::Text => result(format_args!(
            "{programme} is at version {version}: people {people}, agreements started \
             {agreements}, loads posted {loads}\n"
        ))?,
    }
    Ok(Ending::Done)
}

pub(super) async fn show(common: &Common, id: Option<&str>) -> Result<Ending, Failure> {
    let store = common.store().await?;
    let shown = read(&store, id).await;
    store.close().await;
    result(shown?)?;
    Ok(Ending::Done)
}

async fn read(store: &Store, id: Option<&str>) -> Result<String, Failure> {
    let known = store.programmes().await.map_err(|error| Failure::of(&error))?;
    let known: Vec<ProgrammeId> = known.into_iter().map(|(programme, _)| programme).collect();
    let wanted = match (id, known.as_slice()) {
        (Some(id), known) => known.iter().find(|programme| programme.as_str() == id),
        (None, [only]) => Some(only),
        (None, []) => return Err(Failure::new("there is no programme yet: apply a file first")),
        (None, [_, _, ..]) => {
            talk(format_args!("there are several programmes: say which one"));
            None
        }
    };
    let text = match wanted {
        Some(programme) => show::show(store, programme).await.map_err(|e| Failure::of(&e))?,
        None => None,
    };
    text.ok_or_else(|| {
        let names: Vec<_> = known.iter().map(ProgrammeId::as_str).collect();
        Failure::new(format!("there is no such programme; known are: {}", names.join(", ")))
    })
}
