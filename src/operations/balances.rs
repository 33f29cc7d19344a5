//! The balances of every pot, and each programme's exposure, suspense and disputed money.

use std::fmt;

use serde::Serialize;

use super::text_table::TextTable;
use crate::domain::id::{BudgetId, PotId, ProgrammeId};
use crate::domain::money::{Currency, Money, MoneyError};
use crate::ledger::book::PotBalance;
use crate::programme::directory::{Directory, DirectoryError};
use crate::store::{ProgrammeSums, Store, StoreError};

/// Why balances cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BalancesError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("the balances of {budget} do not add up")]
    Sum {
        budget: BudgetId,
        #[source]
        error: MoneyError,
    },
}

/// Every programme of the deployment, sorted by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balances {
    pub programmes: Vec<ProgrammeBalances>,
}

/// The balances of one programme at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgrammeBalances {
    pub programme: ProgrammeId,
    pub currency: Currency,
    pub sums: ProgrammeSums,
    /// Sorted by id.
    pub people: Vec<PersonBalances>,
}

/// One person's pots, and their sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonBalances {
    pub person: BudgetId,
    pub total: Figures,
    /// In the order of the agreement; pots that it no longer names come last.
    pub pots: Vec<(PotId, Figures)>,
}

/// The five figures. Allocated is a promise; the other four come from postings alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub allocated: Money,
    pub loaded: Money,
    pub held: Money,
    pub spent: Money,
    pub left: Money,
}

impl Figures {
    const fn zero(currency: Currency) -> Self {
        let zero = Money::zero(currency);
        Self { allocated: zero, loaded: zero, held: zero, spent: zero, left: zero }
    }

    const fn of(pot: &PotBalance) -> Self {
        let PotBalance { stream: _, allocated, loaded, held, spent, left, moved: _, own: _ } = pot;
        let (allocated, loaded, held, spent, left) = (*allocated, *loaded, *held, *spent, *left);
        Self { allocated, loaded, held, spent, left }
    }

    fn plus(self, other: Self) -> Result<Self, MoneyError> {
        Ok(Self {
            allocated: self.allocated.checked_add(other.allocated)?,
            loaded: self.loaded.checked_add(other.loaded)?,
            held: self.held.checked_add(other.held)?,
            spent: self.spent.checked_add(other.spent)?,
            left: self.left.checked_add(other.left)?,
        })
    }

    const fn all(self) -> [Money; 5] {
        [self.allocated, self.loaded, self.held, self.spent, self.left]
    }
}

impl Balances {
    /// Reads the balances of every programme, each in one snapshot.
    pub async fn read(store: &Store, directory: &Directory) -> Result<Self, BalancesError> {
        let mut programmes = Vec::new();
        for (programme, version) in store.programmes().await? {
            let settings = directory.version(&programme, version).await?;
            let currency = settings.settings.currency;
            let mut tx = store.snapshot().await?;
            let sums = tx.programme_sums(&programme, currency).await?;
            let orders = tx.pot_orders(&programme, currency).await?;
            let balances = tx.balances_of(&programme).await?;
            tx.commit().await?;
            let people = balances.into_iter().map(|(budget, pots)| {
                let order = orders.get(&budget).map(Vec::as_slice).unwrap_or_default();
                let place = |pot: &PotId| order.iter().position(|known| known == pot);
                let mut pots: Vec<_> =
                    pots.iter().map(|(pot, balance)| (pot.clone(), Figures::of(balance))).collect();
                pots.sort_by_key(|(pot, _)| place(pot).unwrap_or(usize::MAX));
                let total = pots
                    .iter()
                    .try_fold(Figures::zero(currency), |sum, (_, pot)| sum.plus(*pot))
                    .map_err(|error| BalancesError::Sum { budget: budget.clone(), error })?;
                Ok(PersonBalances { person: budget, total, pots })
            });
            let people = people.collect::<Result<_, BalancesError>>()?;
            programmes.push(ProgrammeBalances { programme, currency, sums, people });
        }
        Ok(Self { programmes })
    }

    pub fn to_json(&self) -> serde_json::Value {
        let programmes = self.programmes.iter().map(ProgrammeBody::new).collect();
        // Cannot fail, because the body has only texts and whole numbers.
        serde_json::to_value(BalancesBody { programmes }).unwrap_or_default()
    }
}

impl fmt::Display for Balances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, programme) in self.programmes.iter().enumerate() {
            let ProgrammeBalances { programme, currency, sums, people } = programme;
            let gap = if index == 0 { "" } else { "\n" };
            writeln!(f, "{gap}{programme} ({})", currency.code())?;
            let heading = ["person", "pot", "allocated", "loaded", "held", "spent", "left"];
            let mut table = TextTable::new(&heading, 2);
            for PersonBalances { person, total, pots } in people {
                for (pot, figures) in pots {
                    table.add(row(person.to_string(), pot.to_string(), *figures));
                }
                if pots.len() > 1 {
                    table.add(row(person.to_string(), "(all)".to_owned(), *total));
                }
            }
            write!(f, "{table}")?;
            let [exposure, suspense, disputed] =
                [sums.exposure, sums.suspense, sums.disputed].map(major);
            writeln!(f, "exposure {exposure}, suspense {suspense}, disputed {disputed}")?;
        }
        Ok(())
    }
}

fn row(person: String, pot: String, figures: Figures) -> Vec<String> {
    [person, pot].into_iter().chain(figures.all().map(major)).collect()
}

fn major(amount: Money) -> String {
    amount.major().to_string()
}

#[derive(Serialize)]
struct BalancesBody {
    programmes: Vec<ProgrammeBody>,
}

#[derive(Serialize)]
struct ProgrammeBody {
    programme: String,
    currency: &'static str,
    exposure_minor: i64,
    suspense_minor: i64,
    disputed_minor: i64,
    people: Vec<PersonBalancesBody>,
}

#[derive(Serialize)]
struct PersonBalancesBody {
    person: String,
    #[serde(flatten)]
    total: FiguresBody,
    pots: Vec<PotBalanceBody>,
}

#[derive(Serialize)]
struct PotBalanceBody {
    pot: String,
    #[serde(flatten)]
    figures: FiguresBody,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "names that others read")]
struct FiguresBody {
    allocated_minor: i64,
    loaded_minor: i64,
    held_minor: i64,
    spent_minor: i64,
    left_minor: i64,
}

impl ProgrammeBody {
    fn new(balances: &ProgrammeBalances) -> Self {
        let ProgrammeBalances { programme, currency, sums, people } = balances;
        Self {
            programme: programme.to_string(),
            currency: currency.code(),
            exposure_minor: sums.exposure.minor(),
            suspense_minor: sums.suspense.minor(),
            disputed_minor: sums.disputed.minor(),
            people: people.iter().map(PersonBalancesBody::new).collect(),
        }
    }
}

impl PersonBalancesBody {
    fn new(balances: &PersonBalances) -> Self {
        let pot = |(pot, figures): &(PotId, Figures)| PotBalanceBody {
            pot: pot.to_string(),
            figures: FiguresBody::new(*figures),
        };
        Self {
            person: balances.person.to_string(),
            total: FiguresBody::new(balances.total),
            pots: balances.pots.iter().map(pot).collect(),
        }
    }
}

impl FiguresBody {
    const fn new(figures: Figures) -> Self {
        let Figures { allocated, loaded, held, spent, left } = figures;
        Self {
            allocated_minor: allocated.minor(),
            loaded_minor: loaded.minor(),
            held_minor: held.minor(),
            spent_minor: spent.minor(),
            left_minor: left.minor(),
        }
    }
}
