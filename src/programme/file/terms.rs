//! Reads agreements, with their terms and scopes, and one-off permissions.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::domain::agreement::change::TERMS_MAX;
use crate::domain::agreement::{Decider, Gate, Hours, Scope, Term, TermAnswer, TermDraft};
use crate::domain::id::PermissionId;
use crate::domain::money::Money;
use crate::domain::money::limit::{Limit, find_duplicate_limit};
use crate::domain::shop::ShopKey;
use crate::domain::shop::merchant::Mcc;
use crate::domain::time::period::Period;

use super::reader::{FileEntry, NAME_CHARS_MAX, TEXT_CHARS_MAX, all, shortened};
use super::references::FileReferences;
use super::{AgreementDraft, ListedTerm, PermissionDraft};

/// Under `on`: purchases that no more specific term covers.
pub(super) const EVERYTHING_ELSE: &str = "everything_else";
/// Under `on`: every purchase.
pub(super) const EVERYTHING: &str = "everything";
/// Keys of a table under `on`. A shop whose name was erased is written by its key.
const SHOP_SCOPES: [&str; 4] = ["category", "code", "shop", "shop_key"];
/// Maximum length of a shop's keys in characters: two keys of 64 hexadecimal digits, of its name
/// and of its network number, and a separator.
const KEYS_CHARS_MAX: usize = 129;
/// Under `per`: a single purchase.
pub(super) const PER_PURCHASE: &str = "purchase";

/// Maximum number of purchases that one permission in a file may allow. A permission is an
/// exception to the list; what is needed more often belongs in the list as a term.
pub(super) const PERMISSION_USES_MAX: u32 = 100;
/// Maximum number of permissions of one person in a file, because every decision reads all of them.
const PERMISSIONS_MAX: usize = 50;
/// A permission for more purchases than this lasts at most [`PERMISSION_LONGEST`].
const PERMISSION_USES_FEW: u32 = 10;
const PERMISSION_LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// Reads a person's agreement, if they have one.
pub(super) fn agreement(
    person: &FileEntry<'_>,
    known: &FileReferences<'_>,
) -> Option<AgreementDraft> {
    let fields = ["agreed_on", "agreed_by", "how", "partial", "term"];
    let entry = person.table("agreement", "agreement", &fields)?;
    let agreed_on = entry.date("agreed_on");
    let agreed_by = entry.texts("agreed_by", NAME_CHARS_MAX);
    if !entry.has("agreed_by") {
        entry.missing("agreed_by", "[\"…\", \"…\"]");
    } else if agreed_by.is_empty() {
        entry.problem("agreed_by", "agreed_by names nobody: write who said yes");
    }
    let how = entry.text("how", TEXT_CHARS_MAX);
    let partial = entry.flag("partial");
    let terms = read(&entry, known);
    Some(AgreementDraft { agreed_on: agreed_on?, agreed_by, how: how?, partial, terms: terms? })
}

/// Reads the terms of one list. No two have the same scope.
pub(super) fn read(list: &FileEntry<'_>, known: &FileReferences<'_>) -> Option<Vec<ListedTerm>> {
    let fields = ["on", "hours", "answer", "limits", "decides", "own_block", "reason", "review_on"];
    let mut seen = BTreeMap::new();
    let term = |entry: FileEntry<'_>| {
        let scope = scope(&entry, known);
        if let Some((scope, _)) = &scope {
            entry.refuse_duplicate("on", scope.clone(), &mut seen);
        }
        term(&entry, scope, known)
    };
    let entries = list.tables("term", "term", &fields);
    if entries.len() > TERMS_MAX && !list.is_stored() {
        list.problem("term", format!("a list has at most {TERMS_MAX} terms: put some together"));
        return None;
    }
    all(entries.into_iter().map(term))
}

fn term(
    entry: &FileEntry<'_>,
    scope: Option<(Scope, Option<String>)>,
    known: &FileReferences<'_>,
) -> Option<ListedTerm> {
    // A term about everything has only limits, so its answer is implied.
    let limits_only = entry.raw_text("on") == Some(EVERYTHING);
    let default = limits_only.then_some(TermAnswer::Yes);
    let answer = entry.word("answer", TermAnswer::ALL, TermAnswer::word, default);
    let together = Some(Decider::Together);
    let decides = entry.word("decides", Decider::ALL, Decider::word, together);
    let limits = limits(entry, known);
    let hours = hours(entry);
    let own_block = entry.table("own_block", "own_block", &["cooling_days"]);
    let cooling_days = own_block.as_ref().map(|block| block.number("cooling_days", 0..=u32::MAX));
    let reason = entry.optional_text("reason", TEXT_CHARS_MAX);
    let review_on = entry.optional_date("review_on");
    // Invalid fields were reported; the term without them would cause a second problem.
    let is_whole = entry.has("hours") == hours.is_some()
        && entry.has("reason") == reason.is_some()
        && entry.has("review_on") == review_on.is_some()
        && entry.has("own_block") == cooling_days.flatten().is_some();
    let (scope, shop_name) = scope?;
    let (answer, decides, limits) = (answer?, decides?, limits?);
    let cooling_days = cooling_days.flatten();
    if !is_whole {
        return None;
    }
    let draft =
        TermDraft { scope, answer, limits, hours, decides, reason, review_on, cooling_days };
    match Term::new(draft) {
        Ok(term) => Some(ListedTerm { term, shop_name }),
        Err(error) => {
            entry.problem("", error.to_string());
            None
        }
    }
}

/// The scope under `on`, with the shop's name as written.
fn scope(entry: &FileEntry<'_>, known: &FileReferences<'_>) -> Option<(Scope, Option<String>)> {
    if !entry.has("on") {
        entry.missing("on", "\"everything_else\"");
        return None;
    }
    match entry.raw_text("on") {
        Some(EVERYTHING_ELSE) => return Some((Scope::EverythingElse, None)),
        Some(EVERYTHING) => return Some((Scope::Everything, None)),
        Some(word) => {
            let gate = Gate::from_word(word);
            if gate.is_none() {
                entry.problem("on", unknown_scope(word));
            }
            return gate.map(|gate| (Scope::Gate(gate), None));
        }
        None => {}
    }
    let on = entry.table("on", "", &SHOP_SCOPES)?;
    let keys: Vec<_> = SHOP_SCOPES.into_iter().filter(|key| on.has(key)).collect();
    match keys.as_slice() {
        ["category"] => {
            let name = on.text("category", NAME_CHARS_MAX)?;
            let category = known.category(&on, "category", &name)?;
            Some((Scope::Category(category), None))
        }
        ["code"] => on.parsed::<Mcc>("code").map(|code| (Scope::Code(code), None)),
        ["shop"] => {
            let name = on.text("shop", NAME_CHARS_MAX)?;
            let key = ShopKey::from_name(&name);
            if key.is_none() {
                on.problem("shop", "shop has neither letters nor digits: write the shop's name");
            }
            key.map(|key| (Scope::Shop(key), Some(name)))
        }
        ["shop_key"] => {
            let keys = on.text("shop_key", KEYS_CHARS_MAX)?;
            let scope = format!("shop:{keys}").parse::<Scope>().ok();
            if scope.is_none() {
                let text = "shop_key is no key of a shop: write the shop's name as shop instead";
                on.problem("shop_key", text);
            }
            scope.map(|scope| (scope, None))
        }
        _ => {
            on.problem("", format!("on needs exactly one of {}", SHOP_SCOPES.join(", ")));
            None
        }
    }
}

fn unknown_scope(word: &str) -> String {
    let word = shortened(word);
    let gates: Vec<_> = Gate::ALL.iter().map(|gate| format!("{:?}", gate.word())).collect();
    format!(
        "on is {word:?}: write \"{EVERYTHING_ELSE}\", \"{EVERYTHING}\", {}, \
         {{ category = \"…\" }}, {{ code = \"…\" }} or {{ shop = \"…\" }}",
        gates.join(", ")
    )
}

fn hours(term: &FileEntry<'_>) -> Option<Hours> {
    let entry = term.table("hours", "hours", &["from", "to"])?;
    let from = entry.time("from");
    let to = entry.time("to");
    let hours = Hours { from: from?, to: to? };
    if hours.from == hours.to {
        entry.problem("to", "the hours end as they begin: no purchase could be within them");
    }
    Some(hours)
}

fn limits(term: &FileEntry<'_>, known: &FileReferences<'_>) -> Option<Vec<Limit>> {
    let entries = term.tables("limits", "limit", &["per", "amount", "count"]);
    let limits: Vec<Limit> = all(entries.iter().map(|entry| limit(entry, known)))?;
    if find_duplicate_limit(&limits).is_some() && !term.is_stored() {
        let text = "two limits are of the same kind for the same period: keep one";
        term.problem("limits", text);
        return None;
    }
    Some(limits)
}

fn limit(entry: &FileEntry<'_>, known: &FileReferences<'_>) -> Option<Limit> {
    let mut periods = vec![None];
    periods.extend(Period::ALL.iter().copied().map(Some));
    let word = |period: Option<Period>| period.map_or(PER_PURCHASE, Period::word);
    let per = entry.word("per", &periods, word, None);
    if entry.has("amount") == entry.has("count") {
        entry.problem("", "a limit needs either an amount or a count: write one of them");
        return None;
    }
    if entry.has("amount") {
        let most = entry.money("amount", known.currency);
        let (per, most) = (per?, most?);
        return Some(per.map_or(Limit::PerPurchase(most), |per| Limit::Amount { per, most }));
    }
    let most = entry.number("count", 0..=u32::MAX);
    let (per, most) = (per?, most?);
    if per.is_none() {
        entry.problem("per", "one purchase has no count: write an amount, or another per");
    }
    per.map(|per| Limit::Count { per, most })
}

/// Reads a person's one-off permissions.
pub(super) fn permissions(
    person: &FileEntry<'_>,
    known: &FileReferences<'_>,
    seen: &mut BTreeMap<PermissionId, usize>,
) -> Option<Vec<PermissionDraft>> {
    let uses_max = if person.is_stored() { u32::MAX } else { PERMISSION_USES_MAX };
    let permission = |entry: FileEntry<'_>| {
        let id = entry.has("id").then(|| entry.parsed("id")).flatten();
        if let Some(id) = id {
            entry.refuse_duplicate("id", id, seen);
        }
        let scope = scope(&entry, known);
        let up_to = entry.money("up_to", known.currency);
        if up_to.is_some_and(Money::is_zero) {
            entry.problem("up_to", "up_to is nothing: write the most that it may be");
        }
        let uses = entry.number("uses", 1..=uses_max);
        let from = entry.instant("from");
        let ends = entry.instant("ends");
        if let (Some(from), Some(ends)) = (from, ends)
            && ends <= from
        {
            entry.problem("ends", "the permission ends before it begins: change from or ends");
        }
        if let (Some(from), Some(ends), Some(uses)) = (from, ends, uses)
            && !entry.is_stored()
            && uses > PERMISSION_USES_FEW
            && ends.duration_since(from) > PERMISSION_LONGEST
        {
            entry.problem(
                "ends",
                format!(
                    "a permission of more than {PERMISSION_USES_FEW} uses lasts at most \
                     366 days: end it sooner, or agree on a term instead"
                ),
            );
        }
        let (scope, shop_name) = scope?;
        let (up_to, uses) = (up_to?, uses?);
        Some(PermissionDraft { id, scope, shop_name, up_to, uses, from: from?, ends: ends? })
    };
    let fields = ["id", "on", "up_to", "uses", "from", "ends"];
    let entries = person.tables("permission", "permission", &fields);
    if entries.len() > PERMISSIONS_MAX && !person.is_stored() {
        let text = format!(
            "there are more than {PERMISSIONS_MAX} permissions: take out those that have ended, or \
             agree on a term instead"
        );
        person.problem("permission", text);
    }
    all(entries.into_iter().map(permission))
}
