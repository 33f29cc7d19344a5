//! The merchants of the stories, each with its category code and everyday category.

/// A merchant as the network describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shop {
    /// The name that people use.
    pub(crate) name: &'static str,
    /// The descriptor that the network sends in `merchant_data.name`.
    pub(crate) descriptor: &'static str,
    /// Merchant category code (ISO 18245), four digits.
    pub(crate) code: &'static str,
    /// Stripe's name of the category code (`merchant_data.category`).
    pub(crate) slug: &'static str,
    /// Everyday category of the code.
    pub(crate) category: &'static str,
    /// Additional categories: a casino with rooms is a hotel, and gambling.
    pub(crate) also: &'static [&'static str],
    pub(crate) city: &'static str,
    pub(crate) country: &'static str,
    /// Merchant number of the network; empty when messages carry none, `*` when it is derived from
    /// the descriptor.
    pub(crate) network_id: &'static str,
    pub(crate) channel: PurchaseChannel,
}

impl Shop {
    /// Whether the shop belongs to the category, by its code or additionally.
    pub(crate) fn is_in_category(&self, category: &str) -> bool {
        self.category == category || self.also.contains(&category)
    }
}

/// Marks a merchant number that is derived from the descriptor.
const DERIVED_NETWORK_ID: &str = "*";

/// The merchant number that messages carry.
pub(crate) fn network_id(shop: &Shop) -> Option<String> {
    match shop.network_id {
        "" => None,
        DERIVED_NETWORK_ID => Some(digits(shop.descriptor)),
        given => Some(given.to_owned()),
    }
}

/// Twelve digits derived from the text by a fixed hash.
pub(crate) fn digits(text: &str) -> String {
    let digits = text.bytes().fold(0_u64, |sum, byte| {
        sum.wrapping_mul(131).wrapping_add(u64::from(byte)) % 1_000_000_000_000
    });
    format!("{digits:012}")
}

/// Where the card was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PurchaseChannel {
    Counter,
    CashMachine,
    Online,
}

const fn shop(
    name: &'static str,
    descriptor: &'static str,
    code: &'static str,
    slug: &'static str,
    category: &'static str,
) -> Shop {
    let (city, country, network_id, channel) =
        ("LONDON", "GB", DERIVED_NETWORK_ID, PurchaseChannel::Counter);
    let also = &[];
    Shop { name, descriptor, code, slug, category, also, city, country, network_id, channel }
}

const fn online(shop: Shop) -> Shop {
    Shop { channel: PurchaseChannel::Online, ..shop }
}

pub(crate) static NEWSAGENTS: [Shop; 3] = [
    shop("Station News", "STATION NEWS", "5994", "news_dealers_and_newsstands", "food"),
    shop("Patel's Corner Shop", "PATELS CORNER SHOP", "5499", "miscellaneous_food_stores", "food"),
    shop("Mill Lane Bakery", "MILL LANE BAKERY", "5462", "bakeries", "food"),
];
pub(crate) static SUPERMARKETS: [Shop; 3] = [
    shop("Riverside Market", "RIVERSIDE MARKET 114", "5411", "grocery_stores_supermarkets", "food"),
    shop("Corner Grocer", "CORNER GROCER 22", "5411", "grocery_stores_supermarkets", "food"),
    shop("Green's Food Hall", "GREENS FOOD HALL", "5499", "miscellaneous_food_stores", "food"),
];
pub(crate) static LAUNDERETTES: [Shop; 2] = [
    shop(
        "Bubbles Launderette",
        "BUBBLES LAUNDERETTE",
        "7211",
        "laundry_cleaning_services",
        "personal",
    ),
    shop("Wash & Go", "WASH AND GO E1", "7211", "laundry_cleaning_services", "personal"),
];
pub(crate) static VETS: [Shop; 2] = [
    shop("Paws Vet Clinic", "PAWS VET CLINIC", "0742", "veterinary_services", "pets"),
    shop("Canal Street Vets", "CANAL STREET VETS", "0742", "veterinary_services", "pets"),
];
pub(crate) static PHONE_SHOPS: [Shop; 2] = [
    shop(
        "Phone Corner",
        "PHONE CORNER",
        "4812",
        "telecommunication_equipment_and_telephone_sales",
        "phone",
    ),
    shop(
        "High Street Mobiles",
        "HIGH ST MOBILES",
        "4812",
        "telecommunication_equipment_and_telephone_sales",
        "phone",
    ),
];
pub(crate) static MARKET_STALLS: [Shop; 2] = [
    shop(
        "Rugs at the Market",
        "SUM*RUGS AT THE MARKET",
        "5999",
        "miscellaneous_specialty_retail",
        "bigshops",
    ),
    shop(
        "Saturday Stall",
        "SUM*SATURDAY STALL",
        "5399",
        "miscellaneous_general_merchandise",
        "bigshops",
    ),
];
pub(crate) static PETROL_STATIONS: [Shop; 2] = [
    shop("A12 Filling Station", "A12 FILLING STATION", "5541", "service_stations", "driving"),
    shop("Bow Road Garage Shop", "BOW ROAD GARAGE", "5541", "service_stations", "driving"),
];
pub(crate) static CAFES: [Shop; 3] = [
    shop("Lock Keeper's Cafe", "LOCK KEEPERS CAFE", "5812", "eating_places_restaurants", "eating"),
    shop("Noodle Bar", "NOODLE BAR E2", "5814", "fast_food_restaurants", "eating"),
    shop("The Tea Room", "THE TEA ROOM", "5812", "eating_places_restaurants", "eating"),
];
pub(crate) static DIY_SHOPS: [Shop; 2] = [
    shop("Big Shed DIY", "BIG SHED DIY 031", "5200", "home_supply_warehouse_stores", "diy"),
    shop("Timber and Paint", "TIMBER AND PAINT", "5200", "home_supply_warehouse_stores", "diy"),
];
pub(crate) static CHEMISTS: [Shop; 2] = [
    shop("Park Chemist", "PARK CHEMIST", "5912", "drug_stores_and_pharmacies", "health"),
    shop(
        "Late Night Pharmacy",
        "LATE NIGHT PHARMACY",
        "5912",
        "drug_stores_and_pharmacies",
        "health",
    ),
];
pub(crate) static TAXIS: [Shop; 2] = [
    shop("Kings Cars", "KINGS CARS", "4121", "taxicabs_limousines", "around"),
    shop("Black Cab 4471", "BLACK CAB 4471", "4121", "taxicabs_limousines", "around"),
];
pub(crate) static SHOE_SHOPS: [Shop; 2] = [
    shop("Sole Mates", "SOLE MATES", "5661", "shoe_stores", "clothes"),
    shop("Family Clothes Barn", "FAMILY CLOTHES BARN", "5651", "family_clothing_stores", "clothes"),
];
pub(crate) static OFF_LICENCE: Shop =
    shop("Bottle Stop", "BOTTLE STOP", "5921", "package_stores_beer_wine_and_liquor", "alcohol");
pub(crate) static BETTING_SHOP: Shop =
    shop("Lucky Horse", "LUCKY HORSE BETTING", "7995", "betting_casino_gambling", "gambling");
pub(crate) static UNSORTED: Shop = shop(
    "A shop nobody has sorted",
    "XJ TRADING 8841",
    "9700",
    "international_vpay_referral",
    "unsorted",
);
pub(crate) static BUS: Shop =
    shop("River Buses", "RIVER BUSES", "4111", "commuter_transport_and_ferries", "around");
pub(crate) static BIKE_HIRE: Shop =
    shop("Canal Bikes", "CANAL BIKES", "5940", "bicycle_shops", "around");
pub(crate) static GYM: Shop =
    shop("Riverside Gym", "RIVERSIDE GYM", "7997", "country_clubs", "fun");
pub(crate) static THEORY_TEST: Shop =
    shop("Theory Test Centre", "THEORY TEST CENTRE", "8299", "educational_services", "learning");
pub(crate) static COURSE: Shop = shop(
    "Evening College",
    "EVENING COLLEGE",
    "8249",
    "vocational_schools_and_trade_schools",
    "learning",
);
pub(crate) static FURNITURE: Shop = shop(
    "Beds and Chairs",
    "BEDS AND CHAIRS",
    "5712",
    "furniture_home_furnishings_and_equipment_stores_except_appliances",
    "furniture",
);
pub(crate) static STREAMING: Shop = online(shop(
    "Film Stream",
    "FILMSTREAM.EXAMPLE",
    "4899",
    "cable_satellite_and_other_pay_television_and_radio",
    "phone",
));
pub(crate) static BOOKS_ONLINE: Shop =
    online(shop("Books by Post", "BOOKSBYPOST.EXAMPLE", "5942", "book_stores", "learning"));
pub(crate) static GIFT_SHOP: Shop =
    shop("Gift Barn", "GIFT BARN", "5947", "gift_card_novelty_and_souvenir_shops", "hobbies");
pub(crate) static PETROL_PUMP: Shop =
    shop("A12 Pay at Pump", "A12 PAY AT PUMP", "5542", "automated_fuel_dispensers", "driving");
pub(crate) static HOTEL: Shop =
    shop("Station Hotel", "STATION HOTEL", "7011", "hotels_motels_and_resorts", "hotels");
pub(crate) static CASH_MACHINE: Shop = Shop {
    channel: PurchaseChannel::CashMachine,
    ..shop("Cash machine", "ATM BOW ROAD", "6011", "automated_cash_disburse", "cash")
};
pub(crate) static NEXT_DOOR: Shop = Shop {
    city: "DUBLIN",
    country: "IE",
    ..shop("Liffey Books", "LIFFEY BOOKS", "5942", "book_stores", "learning")
};
pub(crate) static DINER_ABROAD: Shop = Shop {
    city: "LISBOA",
    country: "PT",
    ..shop("Pastelaria Lisboa", "PASTELARIA LISBOA", "5462", "bakeries", "food")
};
