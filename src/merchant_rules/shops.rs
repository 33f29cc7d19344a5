//! Reads `shops.toml`: which shop is meant by the line that a merchant prints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use crate::domain::shop::ShopKey;
use crate::domain::shop::merchant::{Mcc, Merchant};
use crate::domain::shop::table::{
    DescriptorPattern, Facilitator, Shop, ShopKind, ShopList, ShopTable,
};

use super::codes::known_codes;
use super::reader::{Located, RulesEntry, RulesReader};
use super::{RulesError, SHOPS_FILE, digest};

/// The built-in table of shops.
pub const BUILT_IN_SHOPS: &str = include_str!("../../merchant-rules/shops.toml");

/// How many characters of a text's digest identify a table: enough to distinguish all versions of a
/// deployment.
const VERSION_CHARS: usize = 12;
/// Minimum length of a one-word pattern with an open end, in characters.
const OPEN_CHARS_MIN: usize = 2;

const SHOP_FIELDS: [&str; 7] =
    ["name", "kind", "prints", "never", "codes", "not_codes", "network_ids"];
const FACILITATOR_FIELDS: [&str; 3] = ["name", "prints", "star"];

static BUILT_IN: LazyLock<Arc<ShopTable>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the text is part of the program; a test reads it")]
    Arc::new(parse_shops(BUILT_IN_SHOPS).expect("the built-in table of shops is right"))
});

/// The built-in table, for programmes without their own.
pub fn built_in_shops() -> &'static Arc<ShopTable> {
    &BUILT_IN
}

/// Reads a table of shops from the text of a `shops.toml`.
///
/// # Errors
///
/// Every problem at once, sorted by line; only the syntax errors if the text is not TOML.
pub fn parse_shops(text: &str) -> Result<ShopTable, RulesError> {
    parse_file(SHOPS_FILE, text)
}

/// `table` with a programme's own shops before all others. An own shop replaces a shop of the same
/// name.
pub fn with_own_shops(table: &ShopTable, own: &[Shop]) -> ShopTable {
    let name = |shop: &Shop| ShopKey::from_name(&shop.name);
    let names: BTreeSet<_> = own.iter().map(name).collect();
    let mut list = table.list().clone();
    list.shops.retain(|shop| !names.contains(&name(shop)));
    list.shops.splice(0..0, own.iter().cloned());
    ShopTable::new(list, version(&format!("{}\n{}", table.version(), stable_text(own))))
}

/// Own shops as text for the version of their table, which is part of a decision's facts: the same
/// shops must give the same text for ever, whatever our types are called.
fn stable_text(own: &[Shop]) -> String {
    let patterns = |patterns: &[DescriptorPattern]| {
        let text = |pattern: &DescriptorPattern| {
            let (words, is_open) = (pattern.words(), pattern.is_open());
            format!("Print {{ words: {words:?}, is_open: {is_open} }}")
        };
        patterns.iter().map(text).collect::<Vec<_>>().join(", ")
    };
    let codes = |codes: &BTreeSet<Mcc>| {
        codes.iter().map(|code| format!("Mcc({code})")).collect::<Vec<_>>().join(", ")
    };
    let shop = |shop: &Shop| {
        let kind = match shop.kind {
            ShopKind::Shop => "Shop",
            ShopKind::Marketplace => "Marketplace",
            ShopKind::Taxi => "Taxi",
            ShopKind::Apps => "Apps",
        };
        format!(
            "Shop {{ name: {:?}, kind: {kind}, prints: [{}], never: [{}], codes: {{{}}}, \
             not_codes: {{{}}}, network_ids: {:?} }}",
            shop.name,
            patterns(&shop.prints),
            patterns(&shop.never),
            codes(&shop.codes),
            codes(&shop.not_codes),
            shop.network_ids
        )
    };
    format!("[{}]", own.iter().map(shop).collect::<Vec<_>>().join(", "))
}

fn version(text: &str) -> String {
    digest(text).chars().take(VERSION_CHARS).collect()
}

pub(super) fn parse_file(file: &str, text: &str) -> Result<ShopTable, RulesError> {
    let mut reader = RulesReader::new(file, text);
    let table = reader.table().map(|table| {
        let fields = ["ignore", "facilitator", "shop"];
        let root = reader.entry("the file", 1, &table, &fields);
        let mut declared = DeclaredShops::default();
        let ignore = reader.texts(&root, "ignore");
        let ignore =
            ignore.iter().filter_map(|word| parse_single_word(&mut reader, word)).collect();
        let entries = reader.tables(&root, "facilitator", "a facilitator", &FACILITATOR_FIELDS);
        let facilitators = entries
            .iter()
            .filter_map(|entry| facilitator(&mut reader, &mut declared, entry))
            .collect();
        let entries = reader.tables(&root, "shop", "a shop", &SHOP_FIELDS);
        let shops: Vec<_> =
            entries.iter().filter_map(|entry| shop(&mut reader, &mut declared, entry)).collect();
        let list = ShopList { ignore, facilitators, shops };
        let table = ShopTable::new(list, version(text));
        declared.check_reachability(&mut reader, &table);
        table
    });
    reader.finish(table)
}

/// A pattern of printed lines, with its line in the file and its shop.
#[derive(Debug)]
struct DeclaredPrint {
    line: usize,
    shop: String,
    print: DescriptorPattern,
}

/// What the file has declared so far, with the lines.
#[derive(Debug, Default)]
struct DeclaredShops {
    names: BTreeMap<ShopKey, usize>,
    prints: Vec<DeclaredPrint>,
    never: Vec<DeclaredPrint>,
    facilitators: Vec<DeclaredPrint>,
    network_ids: BTreeMap<String, usize>,
}

fn parse_single_word(reader: &mut RulesReader<'_>, word: &Located<String>) -> Option<String> {
    let print = DescriptorPattern::parse(&word.value).ok();
    let plain = print.filter(|print| !print.is_open() && !print.words().contains(' '));
    if plain.is_none() {
        let text = format!("{:?} is not one plain word; write each word on its own", word.value);
        reader.problem(word.line, text);
    }
    plain.map(|print| print.words().to_owned())
}

fn facilitator<'t>(
    reader: &mut RulesReader<'t>,
    declared: &mut DeclaredShops,
    entry: &RulesEntry<'_, 't>,
) -> Option<Facilitator> {
    let name = reader.text(entry, "name");
    let star = reader.flag(entry, "star");
    let prints = prints(reader, entry, "prints");
    needs_prints(reader, entry, "a facilitator");
    for Located { line, value } in &prints {
        if value.is_open() {
            let text = format!("the seller follows {value} anyway; take the star out");
            reader.problem(*line, text);
        }
        let known =
            declared.facilitators.iter().find(|listed| listed.print.words() == value.words());
        if let Some(known) = known {
            let text =
                format!("\"{value}\" is listed on line {} and again here; keep one", known.line);
            reader.problem(*line, text);
        }
        let shop = name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
        declared.facilitators.push(DeclaredPrint { line: *line, shop, print: value.clone() });
    }
    let prints = prints.into_iter().map(|print| print.value).collect();
    Some(Facilitator { name: name?.value, prints, star })
}

fn shop<'t>(
    reader: &mut RulesReader<'t>,
    declared: &mut DeclaredShops,
    entry: &RulesEntry<'_, 't>,
) -> Option<Shop> {
    let name = reader.text(entry, "name");
    if let Some(name) = &name {
        let key = ShopKey::from_name(&name.value);
        if key.is_none() {
            reader.problem(name.line, format!("{:?} has neither letters nor digits", name.value));
        }
        if let Some(first) = key.and_then(|key| declared.names.insert(key, name.line)) {
            let text = format!("{:?} is the shop of line {first} too; keep one", name.value);
            reader.problem(name.line, text);
        }
    }
    let kind = reader.optional_text(entry, "kind").map(|kind| {
        let known = ShopKind::from_word(&kind.value);
        if known.is_none() {
            let words: Vec<_> = ShopKind::ALL.iter().map(|kind| kind.word()).collect();
            let text = format!("kind is {:?}; it can be {}", kind.value, words.join(", "));
            reader.problem(kind.line, text);
        }
        known.unwrap_or(ShopKind::Shop)
    });
    let own = prints(reader, entry, "prints");
    let never = prints(reader, entry, "never");
    needs_prints(reader, entry, "a shop");
    let codes = codes(reader, entry, "codes");
    let not_codes = codes_of(reader, entry, "not_codes", &codes);
    let network_ids = network_ids(reader, declared, entry);
    let name = name?.value;
    declared.add(reader, &name, &own);
    let listed = |print: &Located<DescriptorPattern>| DeclaredPrint {
        line: print.line,
        shop: name.clone(),
        print: print.value.clone(),
    };
    declared.never.extend(never.iter().map(listed));
    Some(Shop {
        kind: kind.unwrap_or(ShopKind::Shop),
        prints: own.into_iter().map(|print| print.value).collect(),
        never: never.into_iter().map(|print| print.value).collect(),
        codes,
        not_codes,
        network_ids,
        name,
    })
}

fn needs_prints(reader: &mut RulesReader<'_>, entry: &RulesEntry<'_, '_>, what: &str) {
    if !entry.has("prints") {
        let text = format!("{what} needs prints: write prints = [\"…\"] here");
        reader.problem(entry.line(), text);
    }
}

/// The patterns of printed lines under `key`.
fn prints<'t>(
    reader: &mut RulesReader<'t>,
    entry: &RulesEntry<'_, 't>,
    key: &str,
) -> Vec<Located<DescriptorPattern>> {
    let mut prints = Vec::new();
    for Located { line, value } in reader.texts(entry, key) {
        match DescriptorPattern::parse(&value) {
            Ok(print) => prints.push(Located { line, value: print }),
            Err(error) => reader.problem(line, format!("{value:?} is no printed line: {error}")),
        }
    }
    prints
}

fn codes<'t>(reader: &mut RulesReader<'t>, entry: &RulesEntry<'_, 't>, key: &str) -> BTreeSet<Mcc> {
    codes_of(reader, entry, key, &BTreeSet::new())
}

/// The codes under `key`. A code that is in `others` too is a problem.
fn codes_of<'t>(
    reader: &mut RulesReader<'t>,
    entry: &RulesEntry<'_, 't>,
    key: &str,
    others: &BTreeSet<Mcc>,
) -> BTreeSet<Mcc> {
    let mut codes = BTreeSet::new();
    for Located { line, value } in reader.texts(entry, key) {
        let known = Mcc::parse(&value).ok().filter(|mcc| known_codes().contains(mcc));
        match known {
            None => reader.problem(line, format!("{value:?} is not a known code")),
            Some(mcc) if others.contains(&mcc) => {
                reader.problem(line, format!("{mcc} is one of codes and of not_codes; keep one"));
            }
            Some(mcc) => drop(codes.insert(mcc)),
        }
    }
    codes
}

fn network_ids<'t>(
    reader: &mut RulesReader<'t>,
    declared: &mut DeclaredShops,
    entry: &RulesEntry<'_, 't>,
) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for Located { line, value } in reader.texts(entry, "network_ids") {
        if ShopKey::of_network(&value, None).is_none() {
            reader.problem(line, format!("{value:?} is no number of a network"));
        } else if let Some(first) = declared.network_ids.insert(value.clone(), line) {
            let text = format!("{value} is listed on line {first} and again here; keep one");
            reader.problem(line, text);
        }
        ids.insert(value);
    }
    ids
}

impl DeclaredShops {
    fn add(
        &mut self,
        reader: &mut RulesReader<'_>,
        shop: &str,
        prints: &[Located<DescriptorPattern>],
    ) {
        for Located { line, value } in prints {
            let known = self.prints.iter().find(|listed| listed.print.words() == value.words());
            if let Some(known) = known {
                let text = format!(
                    "\"{value}\" is a line of {} on line {}; keep one",
                    known.shop, known.line
                );
                reader.problem(*line, text);
                continue;
            }
            let words = value.words();
            if value.is_open() && !words.contains(' ') && words.chars().count() < OPEN_CHARS_MIN {
                let text = format!("\"{value}\" takes too many lines; write more of it");
                reader.problem(*line, text);
            }
            let listed = DeclaredPrint { line: *line, shop: shop.to_owned(), print: value.clone() };
            self.prints.push(listed);
        }
    }

    /// Reports each pattern that does not lead to its shop, or that has no effect.
    fn check_reachability(&self, reader: &mut RulesReader<'_>, table: &ShopTable) {
        for listed in &self.prints {
            if let Some(text) = self.unreachable_reason(listed, table) {
                reader.problem(listed.line, text);
            }
        }
        for listed in &self.never {
            let is_met = self.prints.iter().any(|print| {
                print.shop == listed.shop && begins_with(listed.print.words(), &print.print)
            }) || DescriptorPattern::parse(&listed.shop)
                .is_ok_and(|name| begins_with(listed.print.words(), &name));
            if !is_met {
                let text = format!(
                    "\"{}\" is no line that {} would take; take it out",
                    listed.print, listed.shop
                );
                reader.problem(listed.line, text);
            }
        }
    }

    fn unreachable_reason(&self, listed: &DeclaredPrint, table: &ShopTable) -> Option<String> {
        let DeclaredPrint { shop, print, .. } = listed;
        let line = Merchant::new(None, print.words());
        let wider = self.prints.iter().find(|other| {
            other.shop == *shop
                && other.print.is_open()
                && other.print != *print
                && begins_with(print.words(), &other.print)
        });
        // A shorter pattern of the same shop covers it, unless another shop's pattern lies between
        // them.
        let between = |wider: &&DeclaredPrint| {
            !self.prints.iter().any(|other| {
                other.shop != *shop
                    && begins_with(print.words(), &other.print)
                    && other.print.words().len() > wider.print.words().len()
            })
        };
        if let Some(wider) = wider.filter(between) {
            return Some(format!(
                "\"{print}\" is never needed: \"{}\" on line {} takes its lines; take it out",
                wider.print, wider.line
            ));
        }
        match table.recognise(&line) {
            Some(found) if found.name == *shop => None,
            Some(found) => {
                Some(format!("\"{print}\" is taken for {}; write more of it", found.name))
            }
            None => {
                let behind = self.facilitators.iter().find(|firm| {
                    begins_with(print.words(), &firm.print) && firm.print.words() != print.words()
                });
                Some(match behind {
                    Some(firm) => format!(
                        "\"{print}\" is read as a seller behind {}; give that one star = true",
                        firm.shop
                    ),
                    None => format!("\"{print}\" is not reached; look at never and not_codes"),
                })
            }
        }
    }
}

/// Whether `words` begin with the whole words of `print`.
fn begins_with(words: &str, print: &DescriptorPattern) -> bool {
    let rest = words.strip_prefix(print.words());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agreement::Scope;
    use crate::merchant_rules::tests::{changed, line_with};

    const TEXT: &str = "\
ignore = [\"ltd\", \"stores\"]

[[facilitator]]
name = \"PayPal\"
prints = [\"paypal\"]

[[shop]]
name = \"Boots\"
prints = [\"boots uk *\"]
never = [\"boots opticians *\"]
codes = [\"5912\"]

[[shop]]
name = \"Tesco\"
prints = [\"tesco *\"]
network_ids = [\"0042\"]

[[shop]]
name = \"Tesco Bank\"
prints = [\"tesco bank *\"]
not_codes = [\"5411\"]
";

    fn problems(from: &str, to: &str) -> Vec<(usize, String)> {
        let error = parse_shops(&changed(TEXT, from, to)).unwrap_err();
        error.problems.into_iter().map(|problem| (problem.line, problem.text)).collect()
    }

    #[test]
    fn the_table_that_comes_with_sayso_is_in_order() {
        let table = parse_shops(BUILT_IN_SHOPS).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(&table, &**built_in_shops());
        assert_eq!(table.version().len(), VERSION_CHARS);
        // Every shop is recognised by its own name.
        for shop in &table.list().shops {
            let found = table.recognise(&Merchant::new(None, &shop.name));
            assert_eq!(found.map(|found| &found.name), Some(&shop.name));
            let key = ShopKey::from_name(&shop.name).unwrap();
            assert_eq!(table.key_of(&shop.name), Some(key), "{}", shop.name);
        }
    }

    #[test]
    fn each_mistake_is_named_once_with_its_line() {
        assert!(parse_shops(TEXT).is_ok());
        let at = |needle| line_with(TEXT, needle);
        let tesco = at("\"tesco *\"");
        for (from, to, line, words) in [
            (
                "\"Tesco Bank\"",
                "\"TESCO\"",
                at("\"Tesco Bank\""),
                format!("\"TESCO\" is the shop of line {} too; keep one", at("\"Tesco\"")),
            ),
            (
                "\"tesco bank *\"",
                "\"tesco\"",
                at("\"tesco bank *\""),
                format!("\"tesco\" is a line of Tesco on line {tesco}; keep one"),
            ),
            (
                "\"tesco *\"]",
                "\"tesco *\", \"tesco express\"]",
                tesco,
                format!(
                    "\"tesco express\" is never needed: \"tesco *\" on line {tesco} takes its \
                     lines; take it out"
                ),
            ),
            (
                "\"tesco *\"",
                "\"t *\"",
                tesco,
                "\"t *\" takes too many lines; write more of it".to_owned(),
            ),
            (
                "\"boots uk *\"",
                "\"paypal shoes\"",
                at("boots uk"),
                "\"paypal shoes\" is read as a seller behind PayPal; give that one star = true"
                    .to_owned(),
            ),
            (
                "\"boots opticians *\"",
                "\"shoes *\"",
                at("boots opticians"),
                "\"shoes *\" is no line that Boots would take; take it out".to_owned(),
            ),
            (
                "\"tesco *\"",
                "\"te*sco\"",
                tesco,
                "\"te*sco\" is no printed line: a star stands at its end alone, behind a space"
                    .to_owned(),
            ),
            (
                "codes = [\"5912\"]",
                "codes = [\"5912\"]\nnot_codes = [\"5912\"]",
                at("codes = [\"5912\"]") + 1,
                "5912 is one of codes and of not_codes; keep one".to_owned(),
            ),
            (
                "codes = [\"5912\"]",
                "codes = [\"1234\"]",
                at("codes = [\"5912\"]"),
                "\"1234\" is not a known code".to_owned(),
            ),
            (
                "not_codes = [\"5411\"]",
                "network_ids = [\"0042\"]",
                at("not_codes"),
                format!("0042 is listed on line {} and again here; keep one", at("0042")),
            ),
            (
                "network_ids = [\"0042\"]",
                "kind = \"market\"",
                at("0042"),
                "kind is \"market\"; it can be shop, marketplace, taxi, apps".to_owned(),
            ),
            (
                "network_ids = [\"0042\"]",
                "print = [\"t\"]",
                at("0042"),
                "\"print\" is not a field of a shop; the fields are name, kind, prints, never, \
                 codes, not_codes, network_ids"
                    .to_owned(),
            ),
            (
                "\"ltd\"",
                "\"ltd plc\"",
                1,
                "\"ltd plc\" is not one plain word; write each word on its own".to_owned(),
            ),
        ] {
            let found = problems(from, to);
            assert_eq!(found, [(line, words)], "{to:?}");
        }
    }

    #[test]
    fn shops_of_a_programmes_own_go_first_and_make_another_version() {
        let table = parse_shops(TEXT).unwrap();
        let own = Shop {
            name: "tesco".to_owned(),
            kind: ShopKind::Shop,
            prints: vec![DescriptorPattern::parse("boots uk *").unwrap()],
            never: Vec::new(),
            codes: BTreeSet::new(),
            not_codes: BTreeSet::new(),
            network_ids: BTreeSet::new(),
        };
        let with = with_own_shops(&table, &[own]);
        let shop_of =
            |line: &str| with.recognise(&Merchant::new(None, line)).map(|shop| shop.name.clone());
        assert_eq!(shop_of("BOOTS UK 12").as_deref(), Some("tesco"));
        assert_eq!(shop_of("TESCO PFS 12"), None, "it took the place of the one that was there");
        assert_ne!(with.version(), table.version());
    }

    proptest::proptest! {
        /// The table with any part cut out is read or refused, without a panic.
        #[test]
        fn a_damaged_table_is_read_without_harm(from in 0_usize..500, length in 1_usize..200) {
            let kept = TEXT.char_indices().filter(|(at, _)| !(from..from + length).contains(at));
            let text: String = kept.map(|(_, c)| c).collect();
            if let Err(error) = parse_shops(&text) {
                proptest::prop_assert!(!error.problems.is_empty());
            }
        }

        /// Any printed line matches at most one shop, and always the same one.
        #[test]
        fn any_line_is_read_without_harm(line: String, city: String, number: String) {
            let merchant =
                Merchant::new(None, &line).in_city(&city).with_network_id(&number);
            let table = built_in_shops();
            let known = table.identify(&merchant);
            proptest::prop_assert_eq!(&known, &table.identify(&merchant));
            proptest::prop_assert!(known.keys().len() <= 3);
            proptest::prop_assert_eq!(known.to_string().parse(), Ok(known.clone()));
            if let Some(scope) = Scope::for_merchant(&merchant, table) {
                proptest::prop_assert!(scope.shops().all(|key| known.is(&key)));
                proptest::prop_assert_eq!(scope.to_string().parse(), Ok(scope.clone()));
            }
        }
    }

    /// The expected text was recorded before [`stable_text`] existed: stored facts name a table
    /// version that is derived from it.
    #[test]
    fn the_version_of_a_table_with_own_shops_never_changes() {
        let text = "[[shop]]\nname = \"Corner\"\nprints = [\"corner *\", \"the corner\"]\n\
                    never = [\"corner bank\"]\ncodes = [\"5411\"]\nnetwork_ids = [\"A1\"]\n";
        let own = parse_shops(text).unwrap().list().shops.clone();
        assert_eq!(
            stable_text(&own),
            "[Shop { name: \"Corner\", kind: Shop, prints: [Print { words: \"corner\", \
             is_open: true }, Print { words: \"the corner\", is_open: false }], \
             never: [Print { words: \"corner bank\", is_open: false }], codes: {Mcc(5411)}, \
             not_codes: {}, network_ids: {\"A1\"} }]"
        );
    }
}
