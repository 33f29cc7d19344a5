//! A term that names a shop covers the shop under each of its names; a list from before the table
//! of shops stays in effect.

use jiff::ToSpan as _;
use sayso::domain::agreement::{Agreement, Scope};
use sayso::domain::shop::ShopKey;
use sayso::merchant_rules::RulesTexts;
use sayso::programme::apply::{ApplyError, apply};
use sayso::programme::show::show;

use crate::agreements::fixture::{AgreementFixture, peopled};
use crate::support::TestDatabase;
use crate::world::{DEMO, Purchase, RULES, patient, purchase};

on_both_databases!(
    a_limit_at_a_shop_counts_all_its_tills_together,
    a_list_from_before_there_was_a_table_is_unchanged_and_still_meets,
    two_names_of_one_shop_are_one_term,
    a_programme_has_shops_of_its_own,
    a_decision_keeps_the_shop_that_it_saw,
);

const FIRST: &str = "[[person.agreement.term]]\n";

fn term(on: &str, week: &str) -> String {
    format!(
        "{FIRST}on = {on}\nanswer = \"yes\"\nlimits = [{{ per = \"week\", amount = \"{week}\" }}]\n\
         reason = \"Agreed.\"\nreview_on = 2027-02-16\n\n"
    )
}

/// The demo with an additional term for Dee.
fn with_term(on: &str, week: &str) -> String {
    patient(&DEMO.replacen(FIRST, &format!("{}{FIRST}", term(on, week)), 1))
}

fn at(name: &str, shop: &str, amount: i64) -> Purchase {
    Purchase { shop: shop.to_owned(), ..purchase(name, amount) }
}

/// Rules without a table of shops, as an earlier version had.
const NO_SHOPS: RulesTexts<'_> = RulesTexts { categories: RULES, shops: Some("ignore = []") };

impl AgreementFixture {
    /// Applies `file` and consents to its change of Dee's list. Returns the number of changed
    /// lists.
    async fn goes_by(&self, file: &str, rules: RulesTexts<'_>) -> Result<usize, String> {
        let ids = self.world.app.ids();
        let applied = apply(self.store(), ids, self.now(), &peopled(file), rules).await;
        self.world.app.directory().refresh(self.now()).await.unwrap();
        match applied {
            Ok(applied) => {
                let answers = self.world.agree(&applied.waiting).await;
                // A yes to a shop bypasses Dee's own blocks, which have a cooling-off period.
                if answers.iter().any(|answer| answer["version"].is_null()) {
                    self.world.advance_clock(169.hours());
                    self.world.agree(&applied.waiting).await;
                }
                Ok(applied.agreements + applied.waiting.len())
            }
            Err(ApplyError::Refused(refusals)) => Err(refusals.join("\n")),
            Err(error) => panic!("{error}"),
        }
    }

    async fn shop_term(&self) -> Scope {
        let in_force = self.in_force("dee").await;
        shop_term(&in_force)
    }
}

fn shop_term(agreement: &Agreement) -> Scope {
    let mut scopes = agreement.terms.iter().map(|term| term.scope().clone());
    scopes.find(|scope| scope.shops().next().is_some()).unwrap()
}

fn named(name: &str) -> Scope {
    Scope::Shop(ShopKey::from_name(name).unwrap())
}

async fn a_limit_at_a_shop_counts_all_its_tills_together(database: TestDatabase) {
    let fixture =
        AgreementFixture::open_with(database, &with_term("{ shop = \"Tesco\" }", "20.00")).await;
    let world = &fixture.world;
    assert!(world.authorise(&at("A", "TESCO STORES 3278", 9_00)).await.is_approved());
    assert!(world.authorise(&at("B", "TESCO PFS 4231", 9_00)).await.is_approved());
    assert_eq!(world.authorise(&at("C", "TESCO-STORES 6463", 9_00)).await.reason(), "over_period");
    // Another shop does not count there.
    assert!(world.authorise(&at("D", "TESCOMA", 9_00)).await.is_approved());
    assert!(world.authorise(&at("E", "Tesco Extra", 2_00)).await.is_approved());
    fixture.world.check().await;
}

async fn a_list_from_before_there_was_a_table_is_unchanged_and_still_meets(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let file = with_term("{ shop = \"Tesco Stores 3278\" }", "20.00");
    assert_eq!(fixture.goes_by(&file, NO_SHOPS).await, Ok(1));
    let before = fixture.in_force("dee").await;
    assert_eq!(shop_term(&before), named("Tesco Stores"));
    assert!(fixture.world.authorise(&at("A", "TESCO STORES 3278", 15_00)).await.is_approved());
    // Adding the table of shops does not change the list.
    assert_eq!(fixture.goes_by(&file, RULES.into()).await, Ok(0));
    assert_eq!(fixture.in_force("dee").await, before);
    let over = fixture.world.authorise(&at("B", "TESCO STORES 6021", 15_00)).await;
    assert_eq!(over.reason(), "over_period", "what was counted counts");
    let shown = show(fixture.store(), &"riverside".parse().unwrap()).await.unwrap().unwrap();
    assert!(shown.contains("on = { shop = \"Tesco Stores 3278\" }"), "{shown}");
    assert_eq!(fixture.goes_by(&shown, RULES.into()).await, Ok(0));
    // A change in the file is a change of the list, and covers the shop by its identity.
    let more = with_term("{ shop = \"Tesco Stores 3278\" }", "30.00");
    assert_eq!(fixture.goes_by(&more, RULES.into()).await, Ok(1));
    assert_eq!(fixture.shop_term().await, named("Tesco"));
    assert_eq!(fixture.goes_by(&more, RULES.into()).await, Ok(0));
    let shown = show(fixture.store(), &"riverside".parse().unwrap()).await.unwrap().unwrap();
    assert!(shown.contains("on = { shop = \"Tesco Stores 3278\" }"), "{shown}");
    fixture.world.check().await;
}

async fn two_names_of_one_shop_are_one_term(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let terms = format!(
        "{}{}",
        term("{ shop = \"Tesco\" }", "20.00"),
        term("{ shop = \"Tesco Stores 3278\" }", "30.00")
    );
    let twice = patient(&DEMO.replacen(FIRST, &format!("{terms}{FIRST}"), 1));
    let refused = fixture.goes_by(&twice, RULES.into()).await.unwrap_err();
    assert!(refused.contains("person dee: two terms of their list are about Tesco"), "{refused}");
    // Two terms from before the table stay two terms.
    assert_eq!(fixture.goes_by(&twice, NO_SHOPS).await, Ok(1));
    assert_eq!(fixture.goes_by(&twice, RULES.into()).await, Ok(0));
    fixture.world.check().await;
}

async fn a_programme_has_shops_of_its_own(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let own = "[[shop]]\nname = \"Riverside Larder\"\n\
               prints = [\"rvl *\", \"riverside community *\"]\n\
               \n# Whose money";
    let file =
        with_term("{ shop = \"Riverside Larder\" }", "5.00").replacen("# Whose money", own, 1);
    assert_eq!(fixture.goes_by(&file, RULES.into()).await, Ok(1));
    assert_eq!(
        fixture.world.authorise(&at("A", "RVL 0042 LONDON", 9_00)).await.reason(),
        "over_period"
    );
    assert!(fixture.world.authorise(&at("B", "RVLX", 9_00)).await.is_approved());
    let shown = show(fixture.store(), &"riverside".parse().unwrap()).await.unwrap().unwrap();
    assert!(shown.contains("prints = [\"rvl *\", \"riverside community *\"]"), "{shown}");
    assert_eq!(fixture.goes_by(&shown, RULES.into()).await, Ok(0));
    let taken = file.replace("\"rvl *\"", "\"tesco bank\"");
    let refused = fixture.goes_by(&taken, RULES.into()).await.unwrap_err();
    assert!(refused.contains("dee agreed a term about a shop"), "{refused}");
    let bank = "[[shop]]\nname = \"Market Bank\"\nprints = [\"tesco bank\"]\n\n[[shop]]";
    let taken = file.replacen("[[shop]]", bank, 1);
    assert_eq!(fixture.goes_by(&taken, RULES.into()).await, Ok(0), "own shops go first");
    let missed = file.replace("\"rvl *\"", "\"paypal larder\"");
    let refused = fixture.goes_by(&missed, RULES.into()).await.unwrap_err();
    assert!(refused.contains("shop Riverside Larder: \"paypal larder\" is taken for"), "{refused}");
    fixture.world.check().await;
}

async fn a_decision_keeps_the_shop_that_it_saw(database: TestDatabase) {
    let file = with_term("{ shop = \"Tesco\" }", "20.00");
    let fixture = AgreementFixture::open_with(database, &file).await;
    let over = fixture.world.authorise(&at("A", "TESCO PFS 4231", 21_00)).await;
    assert_eq!(over.reason(), "over_period");
    let rows = fixture.world.database.rows("SELECT facts FROM decision").await;
    let facts: serde_json::Value = serde_json::from_str(rows[0][0].as_str()).unwrap();
    assert_eq!(facts["shops"], sayso::merchant_rules::built_in_shops().version());
    assert_eq!(facts["shop"], ShopKey::from_name("Tesco").unwrap().to_string());
    // Without the shop in the table, earlier decisions stay as they are.
    assert_eq!(fixture.goes_by(&file, NO_SHOPS).await, Ok(0));
    let same = fixture.world.database.rows("SELECT merchant FROM decision").await;
    assert!(same[0][0].contains("TESCO PFS"), "{same:?}");
    let (store, directory) = (fixture.store(), fixture.world.app.directory());
    let explained =
        sayso::operations::explain::explain(store, directory, &over.decision()).await.unwrap();
    assert_eq!(explained[0].replay, sayso::operations::explain::Replay::Same);
    assert!(fixture.world.authorise(&at("B", "TESCO PFS 4231", 21_00)).await.is_approved());
    fixture.world.check().await;
}
