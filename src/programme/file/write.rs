//! Writes a programme's file. Equal values give equal text, in the order of the demo's file.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

use jiff::civil::Time;

use crate::domain::agreement::{Decider, Scope, TermAnswer};
use crate::domain::decision::authorisation::ProgrammeState;
use crate::domain::id::{PersonId, WorkerId};
use crate::domain::money::limit::Limit;
use crate::domain::money::margin::MarginPercent;
use crate::domain::money::stream::Stream;
use crate::domain::money::{Currency, Money};
use crate::domain::people::person::PersonState;
use crate::domain::people::role::{Member, MemberState};
use crate::domain::pot::release::ReleaseSchedule;
use crate::domain::shop::home::{HomeCountries, UnknownCountry};
use crate::domain::shop::merchant::{Category, Mcc};
use crate::domain::shop::table::{DescriptorPattern, Shop, ShopKind};
use crate::domain::time::period::Period;
use crate::domain::time::working_time::WorkingHours;

use super::asks::{AskRules, day_word};
use super::terms::{EVERYTHING, EVERYTHING_ELSE, PER_PURCHASE};
use super::{
    AgreementDraft, Connection, Duty, KEPT, ListedTerm, PermissionDraft, Person, Pot,
    ProgrammeFile, Settings, Worker,
};

/// Maximum width of a list on one line, in characters.
const LINE_WIDTH: usize = 100;

/// Writes the whole file. A secret is written as [`KEPT`].
pub fn write(file: &ProgrammeFile) -> String {
    let mut text = TomlWriter::default();
    text.settings(&file.settings, SecretOutput::Named);
    for person in &file.people {
        text.rule(person.id.as_str());
        text.person(person);
    }
    if !file.members.is_empty() {
        text.rule("accounts");
    }
    for member in &file.members {
        text.member(member, file.settings.currency);
    }
    for duty in &file.duties {
        text.duty(duty);
    }
    text.0
}

/// Writes the programme without its people and without its secrets or their names.
pub fn write_settings(settings: &Settings) -> String {
    let mut text = TomlWriter::default();
    text.settings(settings, SecretOutput::Omitted);
    text.0
}

/// Writes one person.
pub fn write_person(person: &Person) -> String {
    let mut text = TomlWriter::default();
    text.person(person);
    text.0
}

/// Whether the secrets of a connection are written by name or left out.
#[derive(Clone, Copy)]
enum SecretOutput {
    Named,
    Omitted,
}

/// The text written so far.
#[derive(Default)]
pub(super) struct TomlWriter(String);

impl TomlWriter {
    fn line(&mut self, line: impl Display) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.0, "{line}");
    }

    /// Begins a table. An empty line precedes it, except directly below a person's rule.
    pub(super) fn header(&mut self, header: &str) {
        if !self.0.is_empty() && !self.0.ends_with(" --\n") {
            self.line("");
        }
        self.line(header);
    }

    /// Writes a rule, which separates a person from the one before.
    fn rule(&mut self, name: &str) {
        self.line("");
        self.line(format!(
            "# {name:->width$}",
            name = format!(" {name} --"),
            width = LINE_WIDTH - 2
        ));
    }

    fn field(&mut self, key: &str, value: impl Display) {
        self.line(format!("{key} = {value}"));
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.field(key, quoted(value));
    }

    pub(super) fn optional_text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// Writes a list on one line if it fits, else with one line per item.
    fn list(&mut self, key: &str, items: &[String]) {
        let line = format!("{key} = [{}]", items.join(", "));
        if line.chars().count() <= LINE_WIDTH {
            self.line(line);
            return;
        }
        self.line(format!("{key} = ["));
        for item in items {
            self.line(format!("  {item},"));
        }
        self.line("]");
    }

    fn categories(&mut self, key: &str, categories: &BTreeSet<Category>) {
        let names: Vec<_> = categories.iter().map(|category| quoted(category.as_str())).collect();
        self.list(key, &names);
    }

    fn settings(&mut self, settings: &Settings, secrets: SecretOutput) {
        // Every field is named, so that the compiler names a new one that is not written.
        let Settings {
            id,
            name,
            zone_name,
            zone: _,
            currency,
            home,
            exchange_margin,
            manager_above,
            state,
            hours,
            asks,
            workers,
            connections,
            streams,
            shops,
            start,
        } = settings;
        let HomeCountries { country, others, unknown } = home;
        self.header("[programme]");
        self.text("id", id.as_str());
        self.text("name", name);
        self.text("time_zone", zone_name);
        self.text("currency", currency.code());
        self.text("country", country);
        if !others.is_empty() {
            let others: Vec<_> = others.iter().map(|code| quoted(code)).collect();
            self.list("home_countries", &others);
        }
        if *unknown != UnknownCountry::Home {
            self.text("unknown_country", unknown.word());
        }
        if *exchange_margin != MarginPercent::NONE {
            self.field("exchange_margin_percent", exchange_margin.number());
        }
        if let Some(sum) = manager_above {
            self.text("manager_above", &major(*sum));
        }
        match state {
            ProgrammeState::Running => {}
            ProgrammeState::Paused => self.field("paused", true),
        }
        if *hours != WorkingHours::default() {
            self.hours(hours);
        }
        if *asks != AskRules::default() {
            self.asks(asks);
        }
        for worker in workers {
            self.worker(worker);
        }
        for connection in connections {
            self.connection(connection, secrets);
        }
        for stream in streams {
            self.stream(stream);
        }
        for shop in shops {
            self.shop(shop);
        }
        for term in start {
            self.header("[[start.term]]");
            self.term(term);
        }
    }

    fn hours(&mut self, hours: &WorkingHours) {
        self.header("[hours]");
        let days: Vec<_> = hours.days().map(|day| quoted(day_word(day))).collect();
        self.list("days", &days);
        self.field("from", time(hours.from()));
        self.field("to", time(hours.to()));
    }

    fn asks(&mut self, asks: &AskRules) {
        let AskRules {
            answer_hours,
            silence_up_to,
            fuel_food_up_to,
            interim_up_to,
            interim_week_up_to,
            worker_up_to,
            duty_up_to,
        } = asks;
        self.header("[asks]");
        self.field("answer_hours", answer_hours);
        for (key, sum) in [
            ("silence_up_to", silence_up_to),
            ("fuel_food_up_to", fuel_food_up_to),
            ("interim_up_to", interim_up_to),
            ("interim_week_up_to", interim_week_up_to),
            ("worker_up_to", worker_up_to),
            ("duty_up_to", duty_up_to),
        ] {
            self.optional_text(key, sum.map(major).as_deref());
        }
    }

    fn worker(&mut self, worker: &Worker) {
        self.header("[[worker]]");
        self.text("id", worker.id.as_str());
        self.text("name", &worker.name);
        self.optional_text("phone", worker.phone.as_deref());
    }

    fn connection(&mut self, connection: &Connection, secrets: SecretOutput) {
        self.header("[[connection]]");
        self.text("name", connection.id.as_str());
        self.text("issuer", connection.issuer.word());
        self.optional_text("api_version", connection.api_version.as_deref());
        self.field("deadline_ms", connection.deadline_ms);
        self.field("answer_within_ms", connection.answer_within_ms);
        match secrets {
            SecretOutput::Named => {}
            SecretOutput::Omitted => return,
        }
        for secret in &connection.secrets {
            self.header("[[connection.secret]]");
            self.text("name", &secret.name);
            self.text("value", KEPT);
            if let Some(until) = secret.until {
                self.field("until", until);
            }
        }
    }

    fn stream(&mut self, stream: &Stream) {
        let Stream { id, name, funder, never, ends_on, drains_first } = stream;
        self.header("[[stream]]");
        self.text("id", id.as_str());
        self.text("name", name);
        self.text("funder", funder);
        if !never.is_empty() {
            self.categories("never", never);
        }
        if let Some(ends_on) = ends_on {
            self.field("ends_on", ends_on);
        }
        if *drains_first {
            self.field("drains_first", true);
        }
    }

    fn shop(&mut self, shop: &Shop) {
        self.header("[[shop]]");
        self.text("name", &shop.name);
        if shop.kind != ShopKind::Shop {
            self.text("kind", shop.kind.word());
        }
        let prints = |prints: &[DescriptorPattern]| -> Vec<String> {
            prints.iter().map(|print| quoted(&print.to_string())).collect()
        };
        self.list("prints", &prints(&shop.prints));
        let codes = |codes: &BTreeSet<Mcc>| -> Vec<String> {
            codes.iter().map(|code| quoted(&code.to_string())).collect()
        };
        let network_ids = shop.network_ids.iter().map(|id| quoted(id)).collect();
        for (key, items) in [
            ("never", prints(&shop.never)),
            ("codes", codes(&shop.codes)),
            ("not_codes", codes(&shop.not_codes)),
            ("network_ids", network_ids),
        ] {
            if !items.is_empty() {
                self.list(key, &items);
            }
        }
    }

    fn person(&mut self, person: &Person) {
        self.header("[[person]]");
        self.text("id", person.id.as_str());
        self.text("name", &person.name);
        self.text("worker", person.worker.as_str());
        self.optional_text("phone", person.phone.as_deref());
        match person.state {
            PersonState::Active => {}
            PersonState::Ended => self.text("state", person.state.word()),
        }
        for card in &person.cards {
            self.card(card);
        }
        for pot in &person.pots {
            self.pot(pot);
        }
        if let Some(agreement) = &person.agreement {
            self.agreement(agreement);
        }
        for permission in &person.permissions {
            self.permission(permission);
        }
    }

    fn pot(&mut self, pot: &Pot) {
        let plan = &pot.plan;
        self.header("[[person.pot]]");
        self.text("id", plan.id.as_str());
        self.text("name", &plan.name);
        self.text("stream", plan.stream.as_str());
        self.text("allocated", &major(pot.allocated));
        if plan.emergency {
            self.field("emergency", true);
        }
        if let Some(only) = &plan.only {
            self.categories("only", only);
        }
        if let Some(release) = &plan.release {
            self.field("release", release_table(release));
        }
        if !pot.loads.is_empty() {
            let loads = pot.loads.iter().map(|load| {
                let (id, amount) = (quoted(load.id.as_str()), quoted(&major(load.amount)));
                format!("{{ id = {id}, amount = {amount} }}")
            });
            self.list("loads", &loads.collect::<Vec<_>>());
        }
    }

    fn agreement(&mut self, agreement: &AgreementDraft) {
        self.header("[person.agreement]");
        self.field("agreed_on", agreement.agreed_on);
        let names: Vec<_> = agreement.agreed_by.iter().map(|name| quoted(name)).collect();
        self.list("agreed_by", &names);
        self.text("how", &agreement.how);
        self.field("partial", agreement.partial);
        for term in &agreement.terms {
            self.header("[[person.agreement.term]]");
            self.term(term);
        }
    }

    fn term(&mut self, listed: &ListedTerm) {
        let term = &listed.term;
        self.field("on", scope(term.scope(), listed.shop_name.as_deref()));
        if let Some(hours) = term.hours() {
            let (from, to) = (time(hours.from), time(hours.to));
            self.field("hours", format!("{{ from = {from}, to = {to} }}"));
        }
        if *term.scope() != Scope::Everything {
            self.text("answer", term.answer().word());
        }
        if !term.limits().is_empty() {
            let limits: Vec<_> = term.limits().iter().map(|limit| limit_table(*limit)).collect();
            self.list("limits", &limits);
        }
        // Left out for a plain yes that was decided together, because that is the default.
        if (term.answer(), term.decides()) != (TermAnswer::Yes, Decider::Together) {
            self.text("decides", term.decides().word());
        }
        if let Some(days) = term.cooling_days() {
            self.field("own_block", format!("{{ cooling_days = {days} }}"));
        }
        self.optional_text("reason", term.reason());
        if let Some(review_on) = term.review_on() {
            self.field("review_on", review_on);
        }
    }

    fn member(&mut self, member: &Member, currency: Currency) {
        self.header("[[member]]");
        self.text("id", member.id.as_str());
        self.text("human", member.human.as_str());
        self.text("name", &member.name);
        self.text("role", member.role.word());
        self.optional_text("person", member.person.as_ref().map(PersonId::as_str));
        let quoted_all = |words: Vec<&str>| words.into_iter().map(quoted).collect::<Vec<_>>();
        if !member.sees.is_empty() {
            self.list("sees", &quoted_all(member.sees.iter().map(|tick| tick.word()).collect()));
        }
        self.optional_text("worker", member.worker.as_ref().map(WorkerId::as_str));
        if let Some(limit) = member.answer_limit_minor {
            self.text("answer_limit", &major(Money::from_minor(limit, currency)));
        }
        if !member.conflicts.is_empty() {
            let people = member.conflicts.iter().map(PersonId::as_str).collect();
            self.list("conflicts", &quoted_all(people));
        }
        match member.state {
            MemberState::Active => {}
            MemberState::Ended => self.text("state", member.state.word()),
        }
    }

    fn duty(&mut self, duty: &Duty) {
        self.header("[[duty]]");
        self.text("member", duty.member.as_str());
        self.field("from", duty.from);
        self.field("to", duty.to);
        self.optional_text("covers", duty.covers.as_ref().map(WorkerId::as_str));
    }

    fn permission(&mut self, permission: &PermissionDraft) {
        self.header("[[person.permission]]");
        if let Some(id) = permission.id {
            self.text("id", &id.to_string());
        }
        self.field("on", scope(&permission.scope, permission.shop_name.as_deref()));
        self.text("up_to", &major(permission.up_to));
        self.field("uses", permission.uses);
        self.field("from", permission.from);
        self.field("ends", permission.ends);
    }
}

fn major(money: Money) -> String {
    money.major().to_string()
}

/// A time of day; seconds only if they are not zero.
fn time(time: Time) -> String {
    let whole_minute = time.second() == 0 && time.subsec_nanosecond() == 0;
    let text = time.to_string();
    quoted(if whole_minute { text.get(..5).unwrap_or(&text) } else { &text })
}

fn scope(scope: &Scope, shop_name: Option<&str>) -> String {
    match scope {
        Scope::Shop(key) => match shop_name {
            Some(name) => format!("{{ shop = {} }}", quoted(name)),
            None => format!("{{ shop_key = {} }}", quoted(&key.to_string())),
        },
        Scope::OneShop(name, number) => {
            format!("{{ shop_key = {} }}", quoted(&format!("{name}+{number}")))
        }
        Scope::Code(code) => format!("{{ code = {} }}", quoted(&code.to_string())),
        Scope::Category(category) => format!("{{ category = {} }}", quoted(category.as_str())),
        Scope::EverythingElse => quoted(EVERYTHING_ELSE),
        Scope::Everything => quoted(EVERYTHING),
        Scope::Gate(gate) => quoted(gate.word()),
    }
}

fn release_table(release: &ReleaseSchedule) -> String {
    let at_once = if release.at_once().is_zero() {
        String::new()
    } else {
        format!("at_once = {}, ", quoted(&major(release.at_once())))
    };
    let (amount, every) = (quoted(&major(release.amount())), quoted(release.every().word()));
    format!("{{ {at_once}amount = {amount}, every = {every}, from = {} }}", release.from())
}

fn limit_table(limit: Limit) -> String {
    let per = quoted(limit.period().map_or(PER_PURCHASE, Period::word));
    match limit {
        Limit::PerPurchase(most) | Limit::Amount { most, .. } => {
            format!("{{ per = {per}, amount = {} }}", quoted(&major(most)))
        }
        Limit::Count { most, .. } => format!("{{ per = {per}, count = {most} }}"),
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            _ if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
