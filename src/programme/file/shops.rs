//! Reads a programme's own shops.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::shop::ShopKey;
use crate::domain::shop::merchant::Mcc;
use crate::domain::shop::table::{DescriptorPattern, Shop, ShopKind};

use super::reader::{FileEntry, NAME_CHARS_MAX, all, shortened};

const FIELDS: [&str; 7] = ["name", "kind", "prints", "never", "codes", "not_codes", "network_ids"];

/// Reads every `[[shop]]`. No two have the same name or the same printed line.
pub(super) fn read(root: &FileEntry<'_>) -> Option<Vec<Shop>> {
    let (mut names, mut seen) = (BTreeMap::new(), BTreeMap::new());
    let shop = |entry: FileEntry<'_>| {
        let name = entry.text("name", NAME_CHARS_MAX);
        let key = name.as_deref().map(ShopKey::from_name);
        match key {
            Some(Some(key)) => entry.refuse_duplicate("name", key, &mut names),
            Some(None) => entry.problem("name", "name has neither letters nor digits"),
            None => {}
        }
        let kind = entry.word("kind", ShopKind::ALL, ShopKind::word, Some(ShopKind::Shop));
        if !entry.has("prints") {
            entry.missing("prints", "[\"…\"]");
        }
        let (own, never) = (prints(&entry, "prints"), prints(&entry, "never"));
        for print in own.iter().flatten() {
            entry.refuse_duplicate("prints", print.words().to_owned(), &mut seen);
        }
        let (codes, not_codes) = (codes(&entry, "codes"), codes(&entry, "not_codes"));
        let network_ids = entry.texts("network_ids", NAME_CHARS_MAX).into_iter().collect();
        Some(Shop {
            name: name?,
            kind: kind?,
            prints: own?,
            never: never?,
            codes: codes?,
            not_codes: not_codes?,
            network_ids,
        })
    };
    all(root.tables("shop", "shop", &FIELDS).into_iter().map(shop))
}

fn prints(entry: &FileEntry<'_>, key: &str) -> Option<Vec<DescriptorPattern>> {
    let print = |text: String| {
        let print = DescriptorPattern::parse(&text);
        print
            .map_err(|error| {
                let text = shortened(&text);
                entry.problem(key, format!("{text:?} is no printed line: {error}"));
            })
            .ok()
    };
    all(entry.texts(key, NAME_CHARS_MAX).into_iter().map(print))
}

fn codes(entry: &FileEntry<'_>, key: &str) -> Option<BTreeSet<Mcc>> {
    let code = |text: String| {
        let code = Mcc::parse(&text);
        code.map_err(|error| entry.problem(key, format!("{key}: {error}"))).ok()
    };
    let codes = all(entry.texts(key, NAME_CHARS_MAX).into_iter().map(code));
    codes.map(|codes| codes.into_iter().collect())
}
