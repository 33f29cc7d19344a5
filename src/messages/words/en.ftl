# English. One message for each reason, named by its code with "-" for "_". Each has four texts:
#
#   .person   why, to the person: plain and kind, and never their fault
#   .next     the first thing that can be done now, with the word to text back
#   .worker   the fact, with the person's name and the figures
#   .finance  the accounting fact: no person, no shop, no kind of shop
#
# The build fails when a text is missing, here or in another language. The tests fail when a text is
# hard to read, blames, or does not fit into one text message.
#
# What the texts may use, beside what the reason itself carries ($limit, $left, $gap, $comes, $on,
# $until, $after, $from, $to, $cap, $held, $ended, $ended-at):
#
#   $person $worker $amount $currency $ending
#   $replaced      yes or no; $new-ending is there when it is yes
#   $kind          named or hidden; $category is there when it is named
#   $place-told    yes or no; $place is there when it is yes
#   $card-named    yes, or no when somebody else has the card: then no ending is told
#   $some-payable  yes or no: whether a smaller sum would be paid; $payable is there when it is yes
#   $till          pump or counter, where somebody there can take $payable; or nobody
#   $app-bill      yes for a bill of an app shop, which comes from another country
#   $room          ample, or tight when a text message would be too long

## Whole text messages

# We start this one: it names no shop.
not-paid-text = Not paid. No money was taken. { $why } { $next }
# The answer to WHY: it may name the shop.
not-paid-reply = { $place-told ->
    [yes] Not paid: { $amount } at { $place }. No money was taken. { $why } { $next }
   *[no] { $room ->
        [tight] { not-paid-text }
       *[ample] Not paid: { $amount }. No money was taken. { $why } { $next }
    }
}
# When nothing longer fits.
not-paid-short = Not paid. No money was taken. Reply CALL and we will call you.
quiet-text = Something about your card. Reply WHY or call { $worker }.

## The card and the person

unknown-card =
    .person = We do not know this card.
    .next = Reply CALL and we will call you.
    .worker = { $amount } was not paid. We do not know the card.
    .finance = Card not known. { $amount } asked, nothing held.

not-started =
    .person = Your card is not switched on yet.
    .next = Reply CALL and we will help you switch it on.
    .worker = { $person }'s card is not switched on yet. { $amount } was not paid.
    .finance = Card not switched on. { $amount } asked, nothing held.

frozen-self =
    .person = You froze your card.
    .next = Reply UNFREEZE when you want it back.
    .worker = { $person } froze the card. { $amount } was not paid.
    .finance = Card frozen by its holder. { $amount } asked, nothing held.

frozen-staff =
    .person = Our team froze your card.
    .next = Reply CALL to talk. Reply LOOK to have someone else look at it.
    .worker = A worker froze { $person }'s card. { $amount } was not paid.
    .finance = Card frozen by staff. { $amount } asked, nothing held.

other-card = { $card-named ->
    [yes] You can use your card ending { $new-ending }.
   *[no] You can use your other card.
}
card-lost =
    .person = This card was marked as lost.
    .next = { $replaced ->
        [yes] { other-card }
       *[no] Reply CALL and we will get you a new card.
    }
    .worker = { $card-named ->
        [yes] { $person }'s card ending { $ending } is marked as lost. { $amount } was not paid.
       *[no] { $person }'s card is marked as lost. { $amount } was not paid.
    }
    .finance = Card marked as lost. { $amount } asked, nothing held.

old-card =
    .person = { $card-named ->
        [yes] { $replaced ->
            [yes] This was your old card, ending { $ending }. Your card now ends { $new-ending }.
           *[no] This was your old card, ending { $ending }.
        }
       *[no] This was your old card.
    }
    .next = { $replaced ->
        [yes] You can use the new one. Change it where your old card may be saved.
       *[no] Reply CALL and we will help you with the new one.
    }
    .worker = { $card-named ->
        [yes] { $person }'s old card, ending { $ending }, was used. { $amount } was not paid.
       *[no] { $person }'s old card was used. { $amount } was not paid.
    }
    .finance = Replaced card. { $amount } asked, nothing held.

expired =
    .person = { $card-named ->
        [yes] Your card ending { $ending } is too old now.
       *[no] Your card is too old now.
    }
    .next = { $replaced ->
        [yes] { other-card }
       *[no] Reply CALL and we will get you a new card.
    }
    .worker = { $card-named ->
        [yes] { $person }'s card ending { $ending } is past its end date. { $amount } was not paid.
       *[no] { $person }'s card is past its end date. { $amount } was not paid.
    }
    .finance = Card past its end date. { $amount } asked, nothing held.

ended =
    .person = This budget has ended.
    .next = Reply CALL to talk about what comes next.
    .worker = { $person }'s budget has ended. { $amount } was not paid.
    .finance = Budget ended. { $amount } asked, nothing held.

paused =
    .person = The card is paused for everyone. It is not about you.
    .next = Your money is safe. Reply CALL to talk.
    .worker = The programme is paused. { $person }'s { $amount } was not paid.
    .finance = Programme paused. { $amount } asked, nothing held.

## Whose money it is

other-currency =
    .person = { $currency ->
        [GBP] Your card can't pay in pounds.
        [EUR] Your card can't pay in euros.
        [USD] Your card can't pay in dollars.
       *[other] Your card can't pay in this kind of money ({ $currency }).
    }
    .next = You can ask the shop for the price in your own money.
    .worker = { $person }'s card does not pay in { $currency }. { $amount } was not paid.
    .finance = Not in the programme's currency. { $amount } asked, nothing held.

funder-rule =
    .person = { $kind ->
        [named] Your money can't be used for this kind of place: { $category }. This rule came with the money.
       *[hidden] Your money can't be used for this kind of place. This rule came with the money.
    }
    .next = Reply POTS to see what it is for.
    .worker = { $kind ->
        [named] No stream of { $person }'s may pay for { $category }. { $amount } was not paid.
       *[hidden] No stream of { $person }'s may pay for this kind of place. { $amount } was not paid.
    }
    .finance = No stream may pay for this. { $amount } asked, nothing held.

## The list

place-off =
    .person = This place is not on your list.
    .next = Reply ASK to ask { $worker } for a one-time OK.
    .worker = The place is not on { $person }'s list. { $amount } was not paid.
    .finance = Outside the agreed list. { $amount } asked, nothing held.

category-off =
    .person = { $kind ->
        [named] This kind of place is not on your list: { $category }.
       *[hidden] This kind of place is not on your list.
    }
    .next = Reply ASK to ask { $worker } for a one-time OK.
    .worker = { $kind ->
        [named] Not on { $person }'s list: { $category }. { $amount } was not paid.
       *[hidden] This kind of place is not on { $person }'s list. { $amount } was not paid.
    }
    .finance = Outside the agreed list. { $amount } asked, nothing held.

category-ask =
    .person = { $kind ->
        [named] You and { $worker } agreed to ask first for this: { $category }.
       *[hidden] You and { $worker } agreed to ask first for this kind of place.
    }
    .next = Reply ASK to ask now.
    .worker = { $kind ->
        [named] { $person }'s list says ask first: { $category }. { $amount } was not paid.
       *[hidden] { $person }'s list says ask first for this kind of place. { $amount } was not paid.
    }
    .finance = The agreed list says ask first. { $amount } asked, nothing held.

unsorted =
    .person = We do not know what kind of place this is.
    .next = Reply ASK to ask { $worker } for a one-time OK.
    .worker = We do not know this kind of place. { $person }'s { $amount } was not paid.
    .finance = No category known. { $amount } asked, nothing held.

cash-off =
    .person = This card can't take out cash.
    .next = Reply ASK to ask { $worker } for a one-time OK.
    .worker = { $person }'s list has no cash. { $amount } was not paid out.
    .finance = Cash is outside the agreed list. { $amount } asked, nothing held.

cash-back-off =
    .person = This card can't get cash at the till.
    .next = You can pay again with no cash. Or reply ASK to ask { $worker }.
    .worker = { $person }'s list has no cash at the till. { $amount } was not paid.
    .finance = Cash back is outside the agreed list. { $amount } asked, nothing held.

online-off =
    .person = This card is not set for buying online or by phone.
    .next = Reply ASK for a one-time OK. Reply CHANGE to change your list.
    .worker = { $person }'s list has no buying online or by phone. { $amount } was not paid.
    .finance = Remote purchases are outside the agreed list. { $amount } asked, nothing held.

abroad-off =
    .person = { $app-bill ->
        [yes] This is an app shop's bill from another country. Your card is not set for that.
       *[no] This shop is in another country. Your card is not set for that.
    }
    .next = Reply ASK to ask { $worker } for a one-time OK.
    .worker = { $app-bill ->
        [yes] { $person }'s list has no shops in other countries, and bills from app shops come from one. { $amount } was not paid.
       *[no] { $person }'s list has no shops in other countries. { $amount } was not paid.
    }
    .finance = Other countries are outside the agreed list. { $amount } asked, nothing held.

hours =
    .person = Your card works from { $from } to { $to }.
    .next = You can try again after { $from }. Or reply ASK to ask { $worker }.
    .worker = { $person }'s card works from { $from } to { $to }. { $amount } was not paid.
    .finance = Outside the agreed hours. { $amount } asked, nothing held.

# What helps where the till takes no part: a pump asks for more than anybody wants.
at-the-till = { $till ->
    [pump] Pay inside, up to { $payable }.
   *[counter] Ask for { $payable } on this card and the rest another way.
}

# Of a purchase that was paid in part before: how much more of it would be paid.
as-much-more = { $more-of ->
    [some] You can pay { $rest } more, or reply ASK.
   *[unknown] { ask-for-more }
}
ask-for-more = Reply ASK to ask for more.

## One-time OKs

ok-used =
    .person = Your one-time OK was used already.
    .next = Reply ASK to ask { $worker } again.
    .worker = { $person }'s one-time OK was used already. { $amount } was not paid.
    .finance = One-time OK already used. { $amount } asked, nothing held.

ok-held =
    .person = An earlier try still holds { $held } of your one-time OK.
    .next = It comes back if the shop does not take it. Or reply ASK.
    .worker = An earlier try still holds { $held } of { $person }'s one-time OK. { $amount } was not paid.
    .finance = { $held } of a one-time OK is held by an earlier try. { $amount } asked, nothing held.

ok-over =
    .person = Your one-time OK ended at { $ended-at } on { $ended }.
    .next = Reply ASK to ask { $worker } again.
    .worker = { $person }'s one-time OK ended at { $ended-at } on { $ended }. { $amount } was not paid.
    .finance = One-time OK ended at { $ended-at } on { $ended }. { $amount } asked, nothing held.

ok-small =
    .person = { $more-of ->
        [nothing] Your one-time OK was up to { $cap }. This was { $amount }.
       *[other] Your one-time OK was up to { $cap }, and { $so-far } is used.
    }
    .next = { $till ->
        [nobody] { $more-of ->
            [nothing] { $some-payable ->
                [yes] Pay { $payable } or less, or reply ASK to ask again.
               *[no] Reply ASK to ask { $worker } again.
            }
           *[other] { as-much-more }
        }
       *[other] { at-the-till }
    }
    .worker = { $person }'s one-time OK was up to { $cap }. { $amount } was not paid.
    .finance = One-time OK up to { $cap }. { $amount } asked, nothing held.

## Limits

ask-for-an-ok = Reply ASK to ask { $worker } for a one-time OK.

over-purchase =
    .person = { $more-of ->
        [nothing] One purchase can be up to { $limit }. This was { $amount }.
       *[other] One purchase can be up to { $limit }, and { $so-far } is used.
    }
    .next = { $till ->
        [nobody] { $more-of ->
            [nothing] { $some-payable ->
                [yes] Pay { $payable } or less, or reply ASK.
               *[no] { ask-for-an-ok }
            }
           *[other] { as-much-more }
        }
       *[other] { at-the-till }
    }
    .worker = { $person }'s limit for one purchase is { $limit }. { $amount } was not paid.
    .finance = Over the limit of { $limit } for one purchase. { $amount } asked, nothing held.

# Says what the limit is, without "on this" where there is no room for it.
limit-of-period = { $room ->
    [tight] You can spend up to { $limit } { per-period }.
   *[ample] You can spend up to { $limit } { per-period } on this.
}
per-period = { $period ->
    [day] a day
    [week] a week
    [month] a month
   *[agreement] in all
}
until-then = { $period ->
    [day] today, { $until }
   *[other] until { $until }
}
# What to do at the till matters more than what the limit is.
limit-at-the-till = { $till ->
    [nobody] { limit-of-period }{" "}
   *[other] { $room ->
        [tight] {""}
       *[ample] { limit-of-period }{" "}
    }
}
when-it-starts-again = { $ends ->
    [yes] It starts again on { $after }. Or reply ASK.
   *[no] { ask-for-an-ok }
}
over-period =
    .person = { $some-left ->
        [yes] { $ends ->
            [yes] { limit-at-the-till }You have { $left } left { until-then }.
           *[no] { limit-at-the-till }You have { $left } left.
        }
       *[no] { limit-of-period } That is all used now.
    }
    .next = { $some-payable ->
        [yes] { $till ->
            [nobody] Pay { $payable } or less, or reply ASK.
           *[other] { at-the-till }
        }
       *[no] { $some-left ->
            [yes] { ask-for-more }
           *[no] { when-it-starts-again }
        }
    }
    .worker = { $ends ->
        [yes] { $person } can spend { $limit } { per-period } on this, with { $left } left { until-then }. { $amount } was not paid.
       *[no] { $person } can spend { $limit } { per-period } on this, with { $left } left. { $amount } was not paid.
    }
    .finance = { $ends ->
        [yes] Over the limit of { $limit } { per-period }, with { $left } left { until-then }. { $amount } asked, nothing held.
       *[no] Over the limit of { $limit } { per-period }, with { $left } left. { $amount } asked, nothing held.
    }

times = { $limit ->
    [one] one time
   *[other] { $limit } times
}
purchases = { $limit ->
    [one] one purchase
   *[other] { $limit } purchases
}
too-many =
    .person = You can buy this { times } { per-period }. You have done that.
    .next = { when-it-starts-again }
    .worker = { $ends ->
        [yes] { $person } can make { purchases } { per-period } of this. It starts again on { $after }. { $amount } was not paid.
       *[no] { $person } can make { purchases } { per-period } of this. { $amount } was not paid.
    }
    .finance = Over the limit of { purchases } { per-period }. { $amount } asked, nothing held.

## Money

more-later = { $room ->
    [tight] Pay { $payable } or less.
   *[ample] Pay { $payable } or less. Reply NEXT to see when more money comes.
}
no-money =
    .person = { $holds-back ->
        [yes] You have { $left } for this. You hold { $held } back.
       *[no] { $till ->
            [nobody] You have { $left } for this. This was { $amount }. That is { $gap } too little.
           *[other] You have { $left } for this. This was { $amount }.
        }
    }
    .next = { $some-payable ->
        [yes] { $till ->
            [nobody] { more-later }
           *[other] { at-the-till }
        }
       *[no] Reply NEXT to see when more money comes.
    }
    .worker = { $holds-back ->
        [yes] There was not enough for this. { $amount } was not paid.
       *[no] { $person } had { $left } for this, { $gap } too little. { $amount } was not paid.
    }
    .finance = The pots that may pay had { $left }, { $gap } too little. { $amount } asked, nothing held.

comes-later = You have { $left } for this now. { $comes } more comes on { $on }.
not-yet =
    .person = { $till ->
        [nobody] { comes-later }
       *[other] { $room ->
            [tight] You have { $left } for this now. More comes on { $on }.
           *[ample] { comes-later }
        }
    }
    .next = { $some-payable ->
        [yes] { $till ->
            [nobody] Pay { $payable } or less, or wait until then.
           *[other] { at-the-till }
        }
       *[no] You can try again then.
    }
    .worker = There was not enough for this yet. { $comes } more comes on { $on }. { $amount } was not paid.
    .finance = The pots that may pay had { $left } released; { $comes } follows on { $on }. { $amount } asked, nothing held.

## Not the person's doing

conflict =
    .person = The shop's till sent us a mix-up. It was not you.
    .next = You can try again. Or reply CALL to talk.
    .worker = The till sent one reference twice with other content. { $person }'s { $amount } was not paid.
    .finance = One issuer reference came twice with other content. { $amount } asked, nothing held.

our-fault =
    .person = We did not answer the shop in time. This was our fault.
    .next = You can try again now.
    .worker = We did not answer in time. { $person }'s { $amount } was not paid.
    .finance = No answer in time. { $amount } asked, nothing held.

## Paid, and what comes after

from-pot = { $part } from { $pot }
comma = {", "}
some-pot = another pot

# $pots is how many pots paid, $pot the only one, $parts what each paid.
paid =
    .person = { $place-told ->
        [yes] { $pots ->
            [one] { $amount } at { $place }, from { $pot }.
           *[other] { $amount } at { $place }. { $parts }.
        }
       *[no] { $pots ->
            [one] { $amount } paid, from { $pot }.
           *[other] { $amount } paid. { $parts }.
        }
    }
    .worker = { $pots ->
        [one] { $person } paid { $amount }, from { $pot }.
       *[other] { $person } paid { $amount }. { $parts }.
    }
    .finance = { $pots ->
        [one] { $amount } held, from { $pot }.
       *[other] { $amount } held. { $parts }.
    }

paid-part =
    .person = { $place-told ->
        [yes] We paid { $paid } of { $amount } at { $place }. { $parts }. You can pay the other { $rest } another way.
       *[no] We paid { $paid } of { $amount }. { $parts }. You can pay the other { $rest } another way.
    }
    .worker = { $person } paid { $paid } of { $amount }. { $parts }. { $rest } was not paid.
    .finance = { $paid } held of { $amount } asked. { $parts }.

checked-card =
    .person = { $place-told ->
        [yes] { $place } checked your card. No money was taken.
       *[no] A shop checked your card. No money was taken.
    }
    .worker = A shop checked { $person }'s card. No money was taken.
    .finance = Card check. Nothing held.

# Behind one of the two above, when the shop asks in another currency.
margin-kept =
    .person = { $margin } more is kept aside in case the exchange rate changes. What the shop does not take comes back.
    .worker = { $margin } more is kept aside in case the exchange rate changes.
    .finance = { $margin } more held in case the exchange rate changes.

kept-aside =
    .person = { $ends ->
        [yes] The shop asked us to keep { $amount } for it. If it takes nothing, you get it back on { $until }.
       *[no] The shop asked us to keep { $amount } for it. It may take less.
    }
    .worker = { $amount } of { $person }'s money is kept aside for a shop.
    .finance = { $ends ->
        [yes] { $amount } held until { $until }.
       *[no] { $amount } held.
    }

captured =
    .person = { $place-told ->
        [yes] { $place } took { $amount }.
       *[no] The shop took { $amount }.
    }
    .worker = A shop took { $amount } of { $person }'s money.
    .finance = { $amount } captured.

given-back =
    .person = The shop did not take { $amount }. You can spend it again.
    .worker = A shop did not take { $amount }. { $person } can spend it again.
    .finance = { $amount } released from a hold.

money-back =
    .person = { $place-told ->
        [yes] { $place } gave you { $amount } back.
       *[no] You got { $amount } back from a shop.
    }
    .worker = { $person } got { $amount } back from a shop.
    .finance = { $amount } refunded.

money-aside =
    .person = A shop sent { $amount } back. We are finding out which purchase it was for.
    .worker = A shop sent { $amount } back to { $person }. It fits no purchase yet.
    .finance = { $amount } refunded, kept in suspense.

hold-lowered =
    .person = The shop now keeps { $amount } aside. You can spend the other { $rest } again.
    .worker = A shop keeps { $amount } of { $person }'s money aside, { $rest } less than before.
    .finance = { $amount } still held, { $rest } released.

hold-ran-out =
    .person = The shop did not take { $amount } in time. You can spend it again.
    .worker = A shop did not take { $amount } in time. { $person } can spend it again.
    .finance = { $amount } released: the hold ran out.

took-less =
    .person = The shop took { $amount }. You can spend the other { $rest } again.
    .worker = A shop took { $amount } of { $person }'s money. The other { $rest } can be spent again.
    .finance = { $amount } captured, { $rest } released.

took-more =
    .person = The shop took { $amount } in all. It asked for { $rest } first. Reply CALL if this is wrong.
    .worker = A shop took { $amount } of { $person }'s money. It asked for { $rest } first.
    .finance = { $amount } captured, { $rest } asked.

kept-without-us =
    .person = A shop keeps { $amount } of your money aside. It did not ask us first. Reply CALL if this is wrong.
    .worker = A shop keeps { $amount } of { $person }'s money aside. We were not asked.
    .finance = { $amount } held without our approval.

paid-after-all =
    .person = A shop took { $amount }. We had not said yes to it. Reply CALL if this is wrong.
    .worker = A shop took { $amount } of { $person }'s money. We had not said yes to it.
    .finance = { $amount } captured without an approval of ours.

stopped-card-paid =
    .person = { $amount } was paid with a card that is stopped. We are looking into it. Reply CALL to talk.
    .worker = { $amount } of { $person }'s money was paid with a card that is stopped.
    .finance = { $amount } captured or held on a card that is stopped.

# To whoever is on duty: nothing about a person.
duty-stopped-card-paid = Somebody paid with a card that is stopped. Please look at it today.

dispute-opened =
    .person = The card company now looks at whether { $amount } was right. You will hear from us.
    .worker = { $person } says that { $amount } is wrong. The card company looks at it.
    .finance = { $amount } disputed.

dispute-won =
    .person = The card company says that you were right. You get { $amount } back.
    .worker = The card company says that { $person } was right about { $amount }.
    .finance = Dispute about { $amount } won.

dispute-lost =
    .person = The card company looked at it. The shop keeps the { $amount }. Reply CALL to talk.
    .worker = The card company says that the shop keeps the { $amount } that { $person } asked about.
    .finance = Dispute about { $amount } lost.

# $why is what the card company said. $asked-us is yes when we had said yes to it.
issuer-refused =
    .person = { $why ->
        [did_not_match] The card company said no. The PIN or a number did not match.
        [pin_blocked] The card company said no. The PIN was wrong too often.
        [card_not_active] The card company said no. Your card is not switched on there.
        [other_way] The card company said no. It wants to be more sure that it is you.
        [suspicion] The card company stopped it to keep your money safe.
        [no_money_there] The card company said no. It is not about you or your money.
        [rule] The card company has a rule against this.
       *[unknown] { $asked-us ->
            [yes] We said yes, but the card company said no.
           *[no] The card company said no. It did not ask us.
        }
    }
    .worker = { $asked-us ->
        [yes] We said yes to { $amount } for { $person }, but the card company said no.
       *[no] The card company said no to { $amount } for { $person }, and did not ask us.
    }
    .finance = { $asked-us ->
        [yes] { $amount } approved by us, refused by the issuer ({ $why }), nothing held.
       *[no] { $amount } refused by the issuer before we were asked ({ $why }), nothing held.
    }
issuer-refused-next = { $why ->
    [did_not_match] You can try again. Or reply CALL and we will help you.
    [other_way] You can try again with the card in the machine and your PIN.
    [pin_blocked] Reply CALL and we will help you with it.
    [card_not_active] Reply CALL and we will help you with it.
    [suspicion] Reply CALL and we will help you with it.
    [no_money_there] Your money is safe. Reply CALL to talk.
    [rule] Reply CALL to talk.
   *[unknown] You can try again. Or reply CALL to talk.
}
# Before why, on a page.
not-paid-at-all =
    .person = { $place-told ->
        [yes] Not paid: { $amount } at { $place }. No money was taken.
       *[no] Not paid: { $amount }. No money was taken.
    }
    .worker = { $amount } was not paid.
    .finance = { $amount } asked, nothing held.
# Before what became of it, on a page.
asked-for =
    .person = { $place-told ->
        [yes] { $place } asked for { $amount }.
       *[no] A shop asked for { $amount }.
    }
    .worker = A shop asked { $person } for { $amount }.
    .finance = { $amount } asked.

money-added = { $amount } was added to your money. Reply BAL to see what you can spend now.

## Names, money, dates and times

some-worker = your worker

# $number has the marks below in it already.
money = { $currency ->
    [GBP] £{ $number }
    [EUR] €{ $number }
    [USD] ${ $number }
   *[other] { $currency } { $number }
}
thousands-mark = {","}
decimal-mark = {"."}

# $weekday is 1 for Monday. $day has no leading zero.
date = { weekday } { $day } { month }
# In text messages only.
short-date = { short-weekday } { $day } { month }
weekday = { $weekday ->
    [1] Monday
    [2] Tuesday
    [3] Wednesday
    [4] Thursday
    [5] Friday
    [6] Saturday
   *[7] Sunday
}
short-weekday = { $weekday ->
    [1] Mon
    [2] Tue
    [3] Wed
    [4] Thu
    [5] Fri
    [6] Sat
   *[7] Sun
}
month = { $month ->
    [1] January
    [2] February
    [3] March
    [4] April
    [5] May
    [6] June
    [7] July
    [8] August
    [9] September
    [10] October
    [11] November
   *[12] December
}

# $clock is 14:15. $hour is 1 to 12, $minute has two digits, $half is am or pm.
time = { $sharp ->
    [midnight] midnight
    [midday] midday
    [hour] { $hour }{ $half }
   *[minute] { $hour }:{ $minute }{ $half }
}

## Asking for a one-time OK

# $named is no where a name does not fit. $who is whose turn it is.
someone-said = { $named ->
    [yes] { $name } said
   *[no] Our team said
}
ask-sent = We asked { $who }. You will hear by { $time } on { $date }. You do not need to do anything.
ask-late = Sorry, this is late. We asked { $who } now. You will hear by { $time } on { $date }.
ask-late-again = Sorry, this is very late. It is our fault. We told { $who } again. You will hear by { $time } on { $date }.
ask-passed-on = We asked { $who } to answer you. You will still hear by { $time } on { $date }.
ask-yes = { someone-said } yes. You can spend up to { $amount }. It works one time, until { $time } on { $date }. Try your card again.
ask-yes-less = { someone-said } yes, up to { $amount }. It works one time, until { $time } on { $date }. Try your card again.
ask-yes-later = { someone-said } yes, up to { $amount }. You chose to wait first. It works one time, from { $time } on { $date }.
ask-yes-by-silence = No one answered you in time. So it is a yes, up to { $amount }. It works one time, until { $time } on { $date }. Try your card again.
ask-not-this-time = { someone-said } not this time. { $reason } Reply LOOK to have someone else look at it.
ask-talk-first = { $named ->
    [yes] { $name } wants to talk first. You will get a call by { $time } on { $date }.
   *[no] Our team wants to talk first. You will get a call by { $time } on { $date }.
}
shop-fixed = Thanks. Food there is OK up to { $amount } from now, until { $date }. We told { $who }.
suggestion = { $named ->
    [yes] { $name } has an idea for you. It is only an idea. You choose.
   *[no] Our team has an idea for you. It is only an idea. You choose.
}
# What somebody said, behind a text that it fits to.
said = { $text } They said: { $words }

no-reason-law = The rule came with this money.
no-reason-purpose = Your money here is for other things.
no-reason-over-sum = It is more than you two agreed.
no-reason-safety = It is about keeping you safe.
no-reason-money = There is not enough money for it.

cannot-ask-funder-rule = This can't be bought with this money. It is the funder's rule, not { $worker }'s.
cannot-ask-mix-up = It was a mix-up with the shop's till. You can try again now.
cannot-ask-card = A one-time OK does not help with your card now. Reply WHY to read what does.
cannot-ask-no-money = A one-time OK does not add money. Reply NEXT to see when more money comes.
too-many-asks = You have { $most } questions waiting. Wait for one, or take one back.

some-team = our team
duty-team = our duty team
some-manager = our manager

## Someone else looks at a no

appeal-sent = Someone else will look at it. You will hear by { $time } on { $date }.
appeal-sent-with-yes = Someone else will look at it. You can spend up to { $amount } one time until then. Try your card again.
appeal-yes = We were wrong. It is yes now, up to { $amount }. It works one time, until { $time } on { $date }. Try your card again.
appeal-changed = We were wrong. We have changed it now.
appeal-kept = We looked again. It stays as it is. Reply WHY to read why, and where you can go next.
appeal-late = Sorry, this is late. It is our fault. We told { $who } again. You will hear by { $time } on { $date }.

## Keeping safe

custody-changed = We wrote down who has your card now. You can have it back at any time. Reply CALL if this is wrong.

# What the quiet word is answered with: dull on purpose, and the same for anything else.
dull-reply = Bus times are not here right now.

## To workers: nothing about a person

worker-waiting = One person is waiting, until { $time } on { $date }.
worker-late-ask = A question was not answered in time. It is your turn now, until { $time } on { $date }.
worker-missed = A question was not answered in time. It went to { $who }.
worker-taken-back = A question was taken back.
worker-shop-fixed = Food at a fuel station was made OK by the programme's own rule. Look at it with the person by { $date }.
worker-review = A yes was given out of hours. Look at it on { $date }.
worker-silence = Nobody answered a question in time, so it became a yes.
worker-appeal = Someone wants a no to be looked at again, by { $time } on { $date }.
worker-appeal-late = A second look is late. Please look at it by { $time } on { $date }.
worker-appeal-done = Somebody has looked again at a no of yours.
worker-quiet-word = Quiet word used. Talk safely. Do not text back about money.
worker-card-elsewhere = One person's card is with somebody else now, as they wish. Look at it with them in two weeks.
worker-card-back = One person wants their card back. Please see that they get it.

## What may be worth a talk: the same for the person and for their worker

signal-not-paid = { $times } purchases were not paid this week. The list may not fit. It may be worth a talk.
signal-cash-pressed = Cash was tried { $times } times in a short while. It may be worth a talk.
signal-unlike-before = This week came to { $amount }. The weeks before came to { $most } at most. It may be worth a talk.
signal-not-used = The card was not used for { $days } days. We may have made it too hard. The money stays. It may be worth a talk.
signal-card-elsewhere = The card has been with someone else since { $date }. It is time to look at it together.

## Changing the list

# $named is no where a name does not fit.
somebody = { $named ->
    [yes] { $name }
   *[no] Our team
}
list-proposed = { somebody } wants to change your list. Nothing changes if you do not say yes. You have until { $date }. Reply LIST to see it.
list-countered = { somebody } has another idea for your list. Nothing changes if you do not say yes. You have until { $date }. Reply LIST to see it.
list-written-down = { somebody } wrote down that you said yes. It does not count yet. Is it right? Reply LIST to see it, or CALL to talk.
list-cools = You chose to wait before this. You can say yes again from { $time } on { $date }. Until then nothing changes.
list-started = Your new list has started. You can see it at any time. Reply LIST to see it, or CHANGE to change it.
list-refused = { somebody } said no to your change. Your list stays as it is. Reply CALL to talk.
list-taken-back = { somebody } took the change back. Nothing changed.
list-run-out = The change to your list has ended. Nothing changed.
list-forced = Your list has changed. You were not asked. A law says so. Why: { $words } Reply LOOK to have someone else look at it.
pause-begun = { somebody } paused your card until { $time } on { $date }. Why: { $words } Reply LOOK to have someone else look at it.
pause-lifted = { somebody } ended the pause. You can use your card again.

## To workers about a list: nothing about a person

worker-list-proposed = Someone wants to change their list. It waits for you until { $date }.
worker-list-countered = Someone has another idea for their list. It waits for you until { $date }.
worker-list-cools = A change waits for the time that the person chose. It can start from { $time } on { $date }.
worker-list-started = A new list has started.
worker-list-refused = There was a no to a change. Nothing changed.
worker-list-taken-back = A change was taken back. Nothing changed.
worker-list-run-out = A change has ended. Nothing changed.
worker-list-forced = A law changed a list. The person has been told.
worker-list-filed = The programme's file asks for a change of a list in your name. It waits until { $date }. You can take it back.

## What a list says, and what changed

answer-yes = Yes
answer-ask = Ask first
answer-by-kind = As for its kind of shop
answer-no = No
as-it-was = As it was
as-you-see = As you see it
way-more = more
way-less = less
way-same = same
way-other = more and less
about-partial = Paying a part when there is too little
about-pot-order = Which pot pays first
about-shop = One shop
about-kind = One kind of shop
about-everything-else = Everything else
about-everything = Everything
about-cash = Taking out cash
about-cash-back = Cash at the till
about-online = Buying online
about-abroad = Shops in other countries
about-hours = When the card works
hours-only = From { $from } to { $to }
for-each = { $period ->
    [purchase] each time
    [day] a day
    [week] a week
    [month] a month
   *[agreement] in all
}
up-to-amount = up to { $amount } { for-each }
up-to-times = { times } { for-each }
how-agreed = { $how ->
    [own_phone] { $name }, on their own phone
    [own_page] { $name }, on their own page
   *[in_person] { $name }, in person
}, { $place }, { $minutes ->
    [one] one minute
   *[other] { $minutes } minutes
}{ $accompanied ->
    [yes] , with { $with }.
   *[no] .
}

## Cards and helpers

card-frozen-for = { $named ->
    [yes] { $name } froze your card, as you let them.
   *[no] A helper froze your card, as you let them.
} Reply UNFREEZE when you want it back.
card-stopped = Your card is stopped and your money is safe. We will help you get a new one. Reply CALL to talk.
helper-chosen = { $named ->
    [yes] You chose { $name } to help.
   *[no] You chose a helper.
} They see only what you ticked. You can change this any time.
helper-gone = { $named ->
    [yes] { $name } does not help any more.
   *[no] A helper does not help any more.
} They see nothing of yours now.
helper-filed = { $named ->
    [yes] We wrote down that { $name } helps you.
   *[no] We wrote down that somebody helps you.
} They see only what was ticked. Is this not right? Tell us.
account-filed = { $named ->
    [yes] There is a new way into your account, for { $name }.
   *[no] There is a new way into your account.
} Is that not you? Tell us at once.
codes-moved = { $named ->
    [yes] { $name }: from now on this counts as another kind of shop on your list.
   *[no] From now on some shops count as another kind of shop on your list.
} Is that not right? Tell us.
held-back = You hold { $amount } back{ $named ->
    [yes] {" "}of { $name }
   *[no] {""}
}. It is there when you take it back.
held-back-until = You hold { $amount } back{ $named ->
    [yes] {" "}of { $name }
   *[no] {""}
}. It is there again on { $date }.
held-back-free = You took { $amount } back. You can spend it now.
held-back-cools = You want { $amount } back. You chose to wait. Say it again after { $time } on { $date }.
worker-card-frozen = One person froze their card. You do not need to do anything.
worker-card-unfrozen = One person has their card working again.
worker-card-lost = One person has lost their card. Please help with a new one.
