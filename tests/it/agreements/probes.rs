//! Evaluates a list for sample purchases. It is simpler than the gateway's code and independent of
//! it, so that the tests do not rely on the code under test.

use sayso::domain::agreement::change::List;
use sayso::domain::agreement::{Decider, Gate, Scope, Term, TermAnswer};
use sayso::domain::money::limit::Limit;
use sayso::domain::shop::merchant::Mcc;
use sayso::domain::time::period::Period;
use sayso::merchant_rules::built_in;

/// A purchase that is made `count` times in one week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PurchaseProbe {
    code: &'static str,
    is_cash: bool,
    minor: i64,
    times: u32,
}

impl PurchaseProbe {
    /// One probe for each shop, amount and count that the lists of these tests distinguish.
    pub(crate) fn all() -> Vec<Self> {
        let shops =
            [("5921", false), ("4812", false), ("7832", false), ("5411", false), ("6011", true)];
        let mut all = Vec::new();
        for (code, is_cash) in shops {
            for minor in [1, 10_00, 10_01, 30_00, 30_01, 60_01, 1_000_00] {
                for times in [1, 2, 7] {
                    all.push(Self { code, is_cash, minor, times });
                }
            }
        }
        all
    }

    fn mcc(self) -> Mcc {
        self.code.parse().unwrap()
    }

    /// The terms of `list` that must all allow the purchase: about the shop, about cash, about
    /// everything.
    fn terms(self, list: &List) -> [Option<&Term>; 3] {
        let term = |scope: Scope| list.terms.iter().find(|term| *term.scope() == scope);
        let category = built_in().category_of(Some(self.mcc())).clone();
        let shop = term(Scope::Code(self.mcc()))
            .or_else(|| term(Scope::Category(category)))
            .or_else(|| term(Scope::EverythingElse));
        let cash = if self.is_cash { term(Scope::Gate(Gate::Cash)) } else { None };
        [shop, cash, term(Scope::Everything)]
    }

    fn is_let_by(self, term: Option<&Term>) -> bool {
        let Some(term) = term else { return true };
        let within = |limit: &Limit| match limit {
            Limit::PerPurchase(most) | Limit::Amount { per: Period::Day, most } => {
                self.minor <= most.minor()
            }
            Limit::Amount { most, .. } => self.minor * i64::from(self.times) <= most.minor(),
            Limit::Count { most, .. } => self.times <= *most,
        };
        term.answer() == TermAnswer::Yes && term.limits().iter().all(within)
    }

    pub(crate) fn is_paid(self, list: &List) -> bool {
        self.terms(list).into_iter().all(|term| self.is_let_by(term))
    }

    /// Whether the person alone may allow the purchase, given the list that two agreed on: it
    /// allows the purchase, or every term against it is the person's to decide.
    pub(crate) fn is_the_persons(self, agreed: &List) -> bool {
        let mut against = self.terms(agreed).into_iter().filter(|term| !self.is_let_by(*term));
        against.all(|term| term.is_some_and(|term| term.decides() == Decider::Person))
    }

    /// The longest cooling-off period of the terms against the purchase.
    pub(crate) fn cooling_days(self, list: &List) -> u32 {
        let against = self.terms(list).into_iter().filter(|term| !self.is_let_by(*term));
        against.flatten().filter_map(Term::cooling_days).max().unwrap_or(0)
    }
}
