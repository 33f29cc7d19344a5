//! The names that an entry of the file may refer to: those that the file declares, and the
//! categories of the merchant rules.

use std::collections::BTreeSet;

use crate::domain::money::Currency;
use crate::domain::shop::merchant::Category;

use super::reader::{FileEntry, NAME_CHARS_MAX, shortened};
use super::{KnownCategories, Settings};

/// The names that the rest of the file may refer to.
pub(super) struct FileReferences<'a> {
    rules: &'a dyn KnownCategories,
    /// `None` if the file names no valid currency.
    pub(super) currency: Option<Currency>,
    workers: BTreeSet<String>,
    connections: BTreeSet<String>,
    streams: BTreeSet<String>,
}

impl FileReferences<'_> {
    /// Reports the text of `key` if it is not one of `names`. A stored text may name what a later
    /// file has dropped, and must stay readable.
    pub(super) fn refer(entry: &FileEntry<'_>, key: &str, what: &str, names: &BTreeSet<String>) {
        if let Some(name) = entry.raw_text(key).filter(|_| !entry.is_stored())
            && !names.contains(name.trim_matches(' '))
        {
            let all = names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            let all = if all.is_empty() { "none yet".to_owned() } else { shortened_list(&all) };
            let name = shortened(name);
            let text = format!("there is no {what} {name:?}; those in this file: {all}");
            entry.problem(key, text);
        }
    }

    /// Reports a `worker` that the programme does not have.
    pub(super) fn refer_worker(&self, entry: &FileEntry<'_>) {
        Self::refer(entry, "worker", "worker", &self.workers);
    }

    /// Reports a `connection` that the programme does not have.
    pub(super) fn refer_connection(&self, entry: &FileEntry<'_>) {
        Self::refer(entry, "connection", "connection", &self.connections);
    }

    /// Reports a `stream` that the programme does not have.
    pub(super) fn refer_stream(&self, entry: &FileEntry<'_>) {
        Self::refer(entry, "stream", "stream", &self.streams);
    }

    /// The category called `name`. An unknown one is a problem of `key`.
    pub(super) fn category(
        &self,
        entry: &FileEntry<'_>,
        key: &str,
        name: &str,
    ) -> Option<Category> {
        let category = Category::parse(name).ok().filter(|category| self.rules.has(category));
        if category.is_none() {
            let name = shortened(name);
            let file = "merchant-rules/categories.toml";
            entry.problem(
                key,
                format!("there is no category {name:?}: use one of the short names in {file}"),
            );
        }
        category
    }

    /// The known categories in the list under `key`.
    pub(super) fn categories(&self, entry: &FileEntry<'_>, key: &str) -> BTreeSet<Category> {
        let names = entry.texts(key, NAME_CHARS_MAX);
        names.iter().filter_map(|name| self.category(entry, key, name)).collect()
    }
}

/// The first 200 characters of a list, because a list grows with the programme.
fn shortened_list(all: &str) -> String {
    let mut short: String = all.chars().take(200).collect();
    if short.len() < all.len() {
        short.push('…');
    }
    short
}

/// The names that the file declares, valid or not, so that a mistake in a stream is not reported
/// again for each pot.
pub(super) fn known<'a>(
    root: &FileEntry<'_>,
    rules: &'a dyn KnownCategories,
) -> FileReferences<'a> {
    let names = |key: &str, name: &str| {
        let all = root.peek_texts(key, name);
        all.into_iter().map(|text| text.trim_matches(' ').to_owned()).collect()
    };
    FileReferences {
        rules,
        currency: root.peek_text("programme", "currency").and_then(|code| code.parse().ok()),
        workers: names("worker", "id"),
        connections: names("connection", "name"),
        streams: names("stream", "id"),
    }
}

/// The names that a part of the file may refer to in `settings`.
pub(super) fn known_of<'a>(
    settings: &Settings,
    rules: &'a dyn KnownCategories,
) -> FileReferences<'a> {
    FileReferences {
        rules,
        currency: Some(settings.currency),
        workers: settings.workers.iter().map(|worker| worker.id.to_string()).collect(),
        connections: settings.connections.iter().map(|link| link.id.to_string()).collect(),
        streams: settings.streams.iter().map(|stream| stream.id.to_string()).collect(),
    }
}
