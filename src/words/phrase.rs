//! The messages that every catalogue has besides one for each reason. The build script reads this
//! file too, and fails the build when a catalogue lacks one: it uses nothing but `std`.

/// The texts that every reason has.
pub(super) const REASON_TEXTS: &[&str] = &["person", "next", "worker", "finance"];

/// The texts of what is told to everybody.
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

            /// The message's name in the catalogues.
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
}
