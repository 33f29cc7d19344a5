//! The messages that every catalogue must have, besides one for each reason. The build script
//! compiles this file too and fails if a catalogue lacks a message, so the file uses only `std`.

/// The attributes of the message of every reason.
pub(super) const REASON_TEXTS: &[&str] = &["person", "next", "worker", "finance"];

/// The attributes of a message with one wording per audience.
const EVERYBODY: &[&str] = &["person", "worker", "finance"];

macro_rules! phrases {
    ($($variant:ident => $id:literal $texts:expr,)+) => {
        /// A message that is not a reason.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Phrase {
            $($variant,)+
        }

        impl Phrase {
            /// Every message, for the build script.
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The message's id in the catalogues.
            pub(super) const fn id(self) -> &'static str {
                match self {
                    $(Self::$variant => $id,)+
                }
            }

            /// The attributes that the message has; none for a message that is one text.
            pub(super) const fn texts(self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => $texts,)+
                }
            }
        }
    };
}

phrases! {
    NotPaidText => "not-paid-text" &[],
    NotPaidReply => "not-paid-reply" &[],
    NotPaidShort => "not-paid-short" &[],
    Quiet => "quiet-text" &[],
    Paid => "paid" EVERYBODY,
    PaidPart => "paid-part" EVERYBODY,
    CheckedCard => "checked-card" EVERYBODY,
    MarginKept => "margin-kept" EVERYBODY,
    KeptAside => "kept-aside" EVERYBODY,
    Captured => "captured" EVERYBODY,
    GivenBack => "given-back" EVERYBODY,
    MoneyBack => "money-back" EVERYBODY,
    MoneyAside => "money-aside" EVERYBODY,
    Lowered => "hold-lowered" EVERYBODY,
    RanOut => "hold-ran-out" EVERYBODY,
    TookLess => "took-less" EVERYBODY,
    TookMore => "took-more" EVERYBODY,
    KeptWithoutUs => "kept-without-us" EVERYBODY,
    PaidAfterAll => "paid-after-all" EVERYBODY,
    StoppedCardPaid => "stopped-card-paid" EVERYBODY,
    DisputeOpened => "dispute-opened" EVERYBODY,
    DisputeWon => "dispute-won" EVERYBODY,
    DisputeLost => "dispute-lost" EVERYBODY,
    IssuerRefused => "issuer-refused" EVERYBODY,
    IssuerRefusedNext => "issuer-refused-next" &[],
    NotPaidAtAll => "not-paid-at-all" EVERYBODY,
    AskedFor => "asked-for" EVERYBODY,
    MoneyAdded => "money-added" &[],
    DutyStoppedCardPaid => "duty-stopped-card-paid" &[],
    FromPot => "from-pot" &[],
    Comma => "comma" &[],
    SomePot => "some-pot" &[],
    SomeWorker => "some-worker" &[],
    Money => "money" &[],
    ThousandsMark => "thousands-mark" &[],
    DecimalMark => "decimal-mark" &[],
    Date => "date" &[],
    ShortDate => "short-date" &[],
    Time => "time" &[],
    AskSent => "ask-sent" &[],
    AskLate => "ask-late" &[],
    AskLateAgain => "ask-late-again" &[],
    AskPassedOn => "ask-passed-on" &[],
    AskYes => "ask-yes" &[],
    AskYesLess => "ask-yes-less" &[],
    AskYesLater => "ask-yes-later" &[],
    AskYesBySilence => "ask-yes-by-silence" &[],
    AskNotThisTime => "ask-not-this-time" &[],
    AskTalkFirst => "ask-talk-first" &[],
    ShopFixed => "shop-fixed" &[],
    Suggestion => "suggestion" &[],
    Said => "said" &[],
    NoReasonLaw => "no-reason-law" &[],
    NoReasonPurpose => "no-reason-purpose" &[],
    NoReasonOverSum => "no-reason-over-sum" &[],
    NoReasonSafety => "no-reason-safety" &[],
    NoReasonMoney => "no-reason-money" &[],
    SomeTeam => "some-team" &[],
    DutyTeam => "duty-team" &[],
    SomeManager => "some-manager" &[],
    CannotAskFunderRule => "cannot-ask-funder-rule" &[],
    CannotAskMixUp => "cannot-ask-mix-up" &[],
    CannotAskCard => "cannot-ask-card" &[],
    CannotAskNoMoney => "cannot-ask-no-money" &[],
    TooManyAsks => "too-many-asks" &[],
    AppealSent => "appeal-sent" &[],
    AppealSentWithYes => "appeal-sent-with-yes" &[],
    AppealYes => "appeal-yes" &[],
    AppealChanged => "appeal-changed" &[],
    AppealKept => "appeal-kept" &[],
    AppealLate => "appeal-late" &[],
    DullReply => "dull-reply" &[],
    CustodyChanged => "custody-changed" &[],
    WorkerWaiting => "worker-waiting" &[],
    WorkerLateAsk => "worker-late-ask" &[],
    WorkerMissed => "worker-missed" &[],
    WorkerTakenBack => "worker-taken-back" &[],
    WorkerShopFixed => "worker-shop-fixed" &[],
    WorkerReview => "worker-review" &[],
    WorkerSilence => "worker-silence" &[],
    WorkerAppeal => "worker-appeal" &[],
    WorkerAppealLate => "worker-appeal-late" &[],
    WorkerAppealDone => "worker-appeal-done" &[],
    WorkerQuietWord => "worker-quiet-word" &[],
    WorkerCardElsewhere => "worker-card-elsewhere" &[],
    WorkerCardBack => "worker-card-back" &[],
    SignalNotPaid => "signal-not-paid" &[],
    SignalCashPressed => "signal-cash-pressed" &[],
    SignalUnlikeBefore => "signal-unlike-before" &[],
    SignalNotUsed => "signal-not-used" &[],
    SignalCardElsewhere => "signal-card-elsewhere" &[],
    ListProposed => "list-proposed" &[],
    ListCountered => "list-countered" &[],
    ListWrittenDown => "list-written-down" &[],
    ListCools => "list-cools" &[],
    ListStarted => "list-started" &[],
    ListRefused => "list-refused" &[],
    ListTakenBack => "list-taken-back" &[],
    ListRunOut => "list-run-out" &[],
    ListForced => "list-forced" &[],
    PauseBegun => "pause-begun" &[],
    PauseLifted => "pause-lifted" &[],
    WorkerListProposed => "worker-list-proposed" &[],
    WorkerListCountered => "worker-list-countered" &[],
    WorkerListCools => "worker-list-cools" &[],
    WorkerListStarted => "worker-list-started" &[],
    WorkerListRefused => "worker-list-refused" &[],
    WorkerListTakenBack => "worker-list-taken-back" &[],
    WorkerListRunOut => "worker-list-run-out" &[],
    WorkerListForced => "worker-list-forced" &[],
    WorkerListFiled => "worker-list-filed" &[],
    AnswerYes => "answer-yes" &[],
    AnswerAsk => "answer-ask" &[],
    AnswerByKind => "answer-by-kind" &[],
    AnswerNo => "answer-no" &[],
    AsItWas => "as-it-was" &[],
    AsYouSee => "as-you-see" &[],
    WayMore => "way-more" &[],
    WayLess => "way-less" &[],
    WaySame => "way-same" &[],
    WayOther => "way-other" &[],
    AboutPartial => "about-partial" &[],
    AboutPotOrder => "about-pot-order" &[],
    AboutShop => "about-shop" &[],
    AboutKind => "about-kind" &[],
    AboutEverythingElse => "about-everything-else" &[],
    AboutEverything => "about-everything" &[],
    AboutCash => "about-cash" &[],
    AboutCashBack => "about-cash-back" &[],
    AboutOnline => "about-online" &[],
    AboutAbroad => "about-abroad" &[],
    AboutHours => "about-hours" &[],
    HoursOnly => "hours-only" &[],
    UpToAmount => "up-to-amount" &[],
    UpToTimes => "up-to-times" &[],
    HowAgreed => "how-agreed" &[],
    CardFrozenFor => "card-frozen-for" &[],
    CardLost => "card-stopped" &[],
    HelperChosen => "helper-chosen" &[],
    HelperGone => "helper-gone" &[],
    HelperFiled => "helper-filed" &[],
    AccountFiled => "account-filed" &[],
    CodesMoved => "codes-moved" &[],
    HeldBack => "held-back" &[],
    HeldBackUntil => "held-back-until" &[],
    HeldBackFree => "held-back-free" &[],
    HeldBackCools => "held-back-cools" &[],
    WorkerCardFrozen => "worker-card-frozen" &[],
    WorkerCardUnfrozen => "worker-card-unfrozen" &[],
    WorkerCardLost => "worker-card-lost" &[],
}
