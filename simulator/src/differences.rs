//! Differences between the gateway's answers and the recorded outcomes of the same purchases:
//! summed by reason, with examples.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};

use crate::report::{ResponseOutcome, count_with_noun, money};

/// Limit on the examples of one kind of difference.
const EXAMPLES_MAX: usize = 3;

/// An answer that differs from the recorded outcome.
#[derive(Debug, Clone)]
pub(crate) struct Difference<'a> {
    /// Line of the purchase in the recorded file, counted from 1.
    pub(crate) line: usize,
    pub(crate) shop: &'a str,
    pub(crate) amount_minor: i64,
    pub(crate) currency: &'a str,
    pub(crate) was_approved: bool,
    pub(crate) answer: ResponseOutcome,
    pub(crate) reason: Option<&'a str>,
}

/// All differences by kind. They are findings, not broken expectations.
#[derive(Debug, Clone, Default)]
pub struct Differences(BTreeMap<DifferenceKind, DifferenceTotal>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct DifferenceKind {
    was_approved: bool,
    answer: String,
    reason: String,
}

#[derive(Debug, Clone, Default)]
struct DifferenceTotal {
    count: usize,
    amount_minor: i64,
    currency: String,
    examples: Vec<DifferenceExample>,
}

#[derive(Debug, Clone)]
struct DifferenceExample {
    line: usize,
    shop: String,
    amount_minor: i64,
}

impl Differences {
    pub(crate) fn add(&mut self, difference: &Difference<'_>) {
        let kind = DifferenceKind {
            was_approved: difference.was_approved,
            answer: difference.answer.to_string(),
            reason: difference.reason.unwrap_or_default().to_owned(),
        };
        let sum = self.0.entry(kind).or_default();
        sum.count += 1;
        sum.amount_minor += difference.amount_minor;
        difference.currency.clone_into(&mut sum.currency);
        // Purchases of several people are in flight at once, so differences arrive in no fixed
        // order.
        sum.examples.push(DifferenceExample {
            line: difference.line,
            shop: difference.shop.to_owned(),
            amount_minor: difference.amount_minor,
        });
        sum.examples.sort_by_key(|example| example.line);
        sum.examples.truncate(EXAMPLES_MAX);
    }

    /// The number of answers that differ.
    pub fn count(&self) -> usize {
        self.0.values().map(|sum| sum.count).sum()
    }

    /// One object for each kind of difference.
    pub fn to_json(&self) -> Value {
        let kinds = self.0.iter().map(|(kind, sum)| {
            let examples = sum.examples.iter().map(|example| {
                let DifferenceExample { line, shop, amount_minor } = example;
                json!({ "line": line, "shop": shop, "amount_minor": amount_minor })
            });
            json!({
                "was": past_outcome(kind.was_approved),
                "is": kind.answer,
                "reason": kind.reason,
                "count": sum.count,
                "amount_minor": sum.amount_minor,
                "examples": examples.collect::<Vec<_>>(),
            })
        });
        kinds.collect()
    }

    /// A paragraph for people, the most frequent kind first; empty without differences.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        if self.0.is_empty() {
            return text;
        }
        let _ =
            writeln!(text, "\n{} from the past", count_with_noun(self.count(), "different answer"));
        let mut kinds: Vec<_> = self.0.iter().collect();
        kinds.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.count));
        for (kind, sum) in kinds {
            let all = money(sum.amount_minor, &sum.currency);
            let (count, past_outcome) = (sum.count, past_outcome(kind.was_approved));
            let now = format!("{} {}", kind.answer, kind.reason);
            let _ = writeln!(
                text,
                "  {count:>6}  was {past_outcome}, is {}: {all} together",
                now.trim_end()
            );
            for DifferenceExample { line, shop, amount_minor } in &sum.examples {
                let amount = money(*amount_minor, &sum.currency);
                let _ = writeln!(text, "          line {line}: {amount} at {shop}");
            }
        }
        text
    }
}

const fn past_outcome(was_approved: bool) -> &'static str {
    if was_approved { "approved" } else { "declined" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_summed_by_reason_with_examples() {
        let mut differences = Differences::default();
        assert_eq!(differences.to_text(), "");
        for line in [9, 4, 7, 5] {
            differences.add(&Difference {
                line,
                shop: "Bottles",
                amount_minor: 8_00,
                currency: "GBP",
                was_approved: true,
                answer: ResponseOutcome::NotPaid,
                reason: Some("category_off"),
            });
        }
        differences.add(&Difference {
            line: 2,
            shop: "Phones",
            amount_minor: 79_00,
            currency: "GBP",
            was_approved: false,
            answer: ResponseOutcome::Approved,
            reason: None,
        });
        let text = "\n5 different answers from the past\n\
            \x20      4  was approved, is not paid category_off: £32.00 together\n\
            \x20         line 4: £8.00 at Bottles\n\
            \x20         line 5: £8.00 at Bottles\n\
            \x20         line 7: £8.00 at Bottles\n\
            \x20      1  was declined, is approved: £79.00 together\n\
            \x20         line 2: £79.00 at Phones\n";
        assert_eq!(differences.to_text(), text);
        let json = differences.to_json();
        assert_eq!((&json[0]["count"], &json[1]["amount_minor"]), (&json!(1), &json!(32_00)));
    }
}
