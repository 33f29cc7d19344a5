//! Reads accounts and duties: who may act, in which role, and when they are on duty.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::id::{HumanId, MemberId, PersonId, WorkerId};
use crate::domain::money::Money;
use crate::domain::people::role::{Delegation, Member, MemberState, Role};

use super::reader::{FileEntry, NAME_CHARS_MAX, all};
use super::references::FileReferences;

const MEMBER: [&str; 10] = [
    "id",
    "human",
    "name",
    "role",
    "person",
    "sees",
    "worker",
    "answer_limit",
    "conflicts",
    "state",
];
const DUTY: [&str; 4] = ["member", "from", "to", "covers"];

/// A period of duty in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    pub member: MemberId,
    pub from: Timestamp,
    /// After `from`.
    pub to: Timestamp,
    /// The absent worker who is covered; `None` if the duty is the programme's.
    pub covers: Option<WorkerId>,
}

/// Reads every account.
pub(super) fn members(root: &FileEntry<'_>, known: &FileReferences<'_>) -> Option<Vec<Member>> {
    let people = names(root, "person");
    let (mut seen, mut speakers) = (BTreeMap::new(), BTreeMap::new());
    let entries = root.tables("member", "member", &MEMBER);
    all(entries.iter().map(|entry| {
        let id = entry.parsed::<MemberId>("id");
        if let Some(id) = &id {
            entry.refuse_duplicate("id", id.clone(), &mut seen);
        }
        let member = member(entry, id, known, &people)?;
        refuse_second_speaker(entry, &member, &mut speakers);
        Some(member)
    }))
}

/// Refuses a second human being who would speak for a person.
fn refuse_second_speaker(
    entry: &FileEntry<'_>,
    member: &Member,
    seen: &mut BTreeMap<PersonId, (HumanId, usize)>,
) {
    let Some(person) = member.speaks_for() else { return };
    let here = || (member.human.clone(), entry.line_of("human"));
    let (human, line) = seen.entry(person.clone()).or_insert_with(here);
    if *human != member.human {
        let text = format!(
            "one human being speaks for {person}, and line {line} has {human}: write that human, \
             or state = \"ended\" in one of the two accounts"
        );
        entry.problem("human", text);
    }
}

fn names(root: &FileEntry<'_>, table: &str) -> BTreeSet<String> {
    let texts = root.peek_texts(table, "id");
    texts.into_iter().map(|text| text.trim_matches(' ').to_owned()).collect()
}

fn member(
    entry: &FileEntry<'_>,
    id: Option<MemberId>,
    known: &FileReferences<'_>,
    people: &BTreeSet<String>,
) -> Option<Member> {
    // Each account names its human, because two people must agree, not two accounts.
    let human = entry.parsed::<HumanId>("human");
    let name = entry.text("name", NAME_CHARS_MAX);
    let role = entry.word("role", Role::ALL, Role::word, None);
    let person = optional(entry, "person", || entry.parsed::<PersonId>("person"));
    FileReferences::refer(entry, "person", "person", people);
    let worker = optional(entry, "worker", || entry.parsed::<WorkerId>("worker"));
    known.refer_worker(entry);
    let sees = sees(entry);
    let limit = optional(entry, "answer_limit", || entry.money("answer_limit", known.currency));
    let conflicts = conflicts(entry, people);
    let active = Some(MemberState::Active);
    let state = entry.word("state", MemberState::ALL, MemberState::word, active);
    check_role_fields(entry, role?);
    Some(Member {
        id: id?,
        human: human?,
        name: name?,
        role: role?,
        person: person.ok()?,
        sees: sees?,
        worker: worker.ok()?,
        answer_limit_minor: limit.ok()?.map(Money::minor),
        conflicts: conflicts?,
        state: state?,
    })
}

/// Reads an optional field; `Ok(None)` if it is absent.
fn optional<T>(
    entry: &FileEntry<'_>,
    key: &str,
    read: impl FnOnce() -> Option<T>,
) -> Result<Option<T>, InvalidField> {
    if entry.has(key) { read().map(Some).ok_or(InvalidField) } else { Ok(None) }
}

/// The field is there but invalid; the reader has recorded the problem.
struct InvalidField;

fn sees(entry: &FileEntry<'_>) -> Option<Vec<Delegation>> {
    let read = |word: String| {
        let tick = Delegation::from_word(&word);
        if tick.is_none() {
            let all: Vec<_> =
                Delegation::ALL.iter().map(|tick| format!("{:?}", tick.word())).collect();
            entry.problem("sees", format!("sees has {word:?}: write {}", all.join(" or ")));
        }
        tick
    };
    let ticks: Option<BTreeSet<Delegation>> =
        entry.texts("sees", NAME_CHARS_MAX).into_iter().map(read).collect();
    Some(ticks?.into_iter().collect())
}

fn conflicts(entry: &FileEntry<'_>, people: &BTreeSet<String>) -> Option<Vec<PersonId>> {
    let read = |name: String| {
        if !people.contains(&name) {
            entry.problem("conflicts", format!("there is no person {name:?} in this file"));
        }
        name.parse::<PersonId>()
            .map_err(|error| entry.problem("conflicts", format!("conflicts: {error}")))
            .ok()
    };
    let people: Option<BTreeSet<PersonId>> =
        entry.texts("conflicts", NAME_CHARS_MAX).into_iter().map(read).collect();
    Some(people?.into_iter().collect())
}

/// Refuses fields that the role cannot have, and requires those that it must have.
fn check_role_fields(entry: &FileEntry<'_>, role: Role) {
    let word = role.word();
    let has_person = role.has_person();
    match (has_person, entry.has("person")) {
        (true, false) => entry.missing("person", "\"…\""),
        (false, true) => entry.problem("person", format!("a {word} has no person: take it out")),
        (true, true) | (false, false) => {}
    }
    if role == Role::Worker && !entry.has("worker") {
        entry.missing("worker", "\"…\"");
    }
    if entry.has("sees") && !(has_person && role != Role::Person) {
        entry.problem("sees", format!("nothing is ticked for a {word}: take it out"));
    }
    let answers = matches!(role, Role::Worker | Role::Duty | Role::Manager);
    if entry.has("answer_limit") && !answers {
        entry.problem("answer_limit", format!("a {word} answers no asks: take it out"));
    }
}

/// Reads every duty.
pub(super) fn duties(root: &FileEntry<'_>) -> Option<Vec<Duty>> {
    let (members, workers) = (names(root, "member"), names(root, "worker"));
    let mut seen = BTreeMap::new();
    let entries = root.tables("duty", "duty", &DUTY);
    all(entries.iter().map(|entry| {
        let member = entry.parsed::<MemberId>("member");
        FileReferences::refer(entry, "member", "member", &members);
        let from = entry.instant("from");
        let to = entry.instant("to");
        let covers = optional(entry, "covers", || entry.parsed::<WorkerId>("covers"));
        FileReferences::refer(entry, "covers", "worker", &workers);
        if from.zip(to).is_some_and(|(from, to)| to <= from) {
            entry.problem("to", "to is not after from");
        }
        if let (Some(member), Some(from)) = (&member, from) {
            entry.refuse_duplicate("from", (member.clone(), from), &mut seen);
        }
        Some(Duty { member: member?, from: from?, to: to?, covers: covers.ok()? })
    }))
}
