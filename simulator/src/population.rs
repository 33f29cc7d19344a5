//! Generates a programme of many people from the few of a template.

use anyhow::{Context as _, bail};
use toml::{Table, Value};

/// A programme made for storms: its people differ in everything that a decision depends on.
pub const TEMPLATE: &str = include_str!("../storm.toml");

/// Copies the people of the programme `template` in turn until there are `count`. Each copy gets
/// its own id, name, cards and money: `fill` times the loads of the template.
///
/// # Errors
/// When the template is not a programme file, or has no people.
pub fn populate(template: &str, count: usize, fill: i64) -> anyhow::Result<String> {
    let mut programme: Table = template.parse().context("the template cannot be read")?;
    let originals = match programme.remove("person") {
        Some(Value::Array(originals)) if !originals.is_empty() => originals,
        _ => bail!("the template has nobody in it"),
    };
    let turns = originals.iter().cycle().take(count).enumerate();
    let people = turns.map(|(number, original)| copy(original, number, fill));
    programme.insert("person".to_owned(), Value::Array(people.collect::<anyhow::Result<_>>()?));
    Ok(toml::to_string(&programme)?)
}

fn copy(original: &Value, number: usize, fill: i64) -> anyhow::Result<Value> {
    let mut copy = original.clone();
    rename(&mut copy, "id", &format!("-{number}"))?;
    rename(&mut copy, "name", &format!(" {number}"))?;
    for card in list(&mut copy, "card") {
        rename(card, "token", &format!("{number:06}"))?;
    }
    for pot in list(&mut copy, "pot") {
        for load in list(pot, "loads") {
            let amount = load.get_mut("amount").context("a load without its amount")?;
            *amount = Value::String(multiply_amount(amount.as_str().unwrap_or_default(), fill)?);
        }
    }
    Ok(copy)
}

fn list<'a>(table: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    table.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

fn rename(table: &mut Value, key: &str, suffix: &str) -> anyhow::Result<()> {
    let value = table.get_mut(key).with_context(|| format!("a person or card without {key}"))?;
    *value = Value::String(format!("{}{suffix}", value.as_str().unwrap_or_default()));
    Ok(())
}

fn multiply_amount(amount: &str, fill: i64) -> anyhow::Result<String> {
    let minor: i64 = amount.replacen('.', "", 1).parse().context("a load is no amount")?;
    let minor = minor.checked_mul(fill).context("that is too much money")?;
    Ok(format!("{}.{:02}", minor / 100, minor % 100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programme::Programme;

    #[test]
    fn everybody_has_a_card_and_money_of_their_own() {
        let programme = Programme::read(&populate(TEMPLATE, 50, 3).unwrap()).unwrap();
        assert_eq!(programme.people.len(), 50);
        let tokens = programme.people.iter().flat_map(|person| &person.card);
        let tokens: std::collections::BTreeSet<_> = tokens.map(|card| &card.token).collect();
        assert!(tokens.len() >= 50);
        let template = Programme::read(TEMPLATE).unwrap();
        let money = |programme: &Programme| programme.people[0].pot[0].loads[0].amount.0;
        assert_eq!(money(&programme), 3 * money(&template));
    }
}
