//! The descriptor of a capture may differ from that of its authorisation: they are compared by the
//! identity of the shop.

use serde_json::Value;

use crate::support::TestDatabase;
use crate::world::{APPROVED, AuthorisationState, Purchase, World, purchase};

on_both_databases!(a_claim_of_the_same_shop_fits_whatever_it_prints);

async fn a_claim_of_the_same_shop_fits_whatever_it_prints(database: TestDatabase) {
    let world = World::open(database).await;
    let cases = [
        ("A", "AMZN Mktp UK*2E5QZ", "1", "AMAZON.CO.UK*R84XK", "2", true),
        ("B", "TESCO STORES 3278", "", "TESCO PFS 4231", "", true),
        ("C", "QUAY BAKERY 4", "77001", "ZZ QB*RX7", "77001", true),
        ("D", "PAYPAL *ARGOS", "PP1", "SQ *ARGOS", "SQ7", true),
        ("E", "TESCO STORES 3278", "", "ASDA STORES 4376", "", false),
        ("F", "PAYPAL *ARGOS", "PP1", "PP *BETFAIR", "PP1", false),
    ];
    let mut misfits = 0;
    for (name, asked, number, claimed, claimed_number, fits) in cases {
        let at = |shop: &str, number: &str, mcc: &str| Purchase {
            shop: shop.to_owned(),
            network_id: (!number.is_empty()).then(|| number.to_owned()),
            mcc: Value::from(mcc),
            ..purchase(name, 2_00)
        };
        let bought = at(asked, number, "5411");
        assert!(world.authorise(&bought).await.is_approved(), "{asked}");
        world
            .send_event(&bought.snapshot(
                "created",
                world.now(),
                &AuthorisationState { amount: 2_00, ..APPROVED },
            ))
            .await;
        // The capture has another category code, unless the code must stay the same with the
        // number.
        let mcc = if claimed_number == number { "5411" } else { "5999" };
        let claim = at(claimed, claimed_number, mcc);
        world.send_event(&claim.captured(world.now(), &format!("claim{name}"), 2_00)).await;
        misfits += usize::from(!fits);
        let noted = world.exceptions().await;
        let found = noted.iter().filter(|kind| *kind == "link_does_not_fit").count();
        assert_eq!(found, misfits, "{asked} / {claimed}: {noted:?}");
    }
    world.check().await;
}
