//! The arguments of the texts of a decline reason.

use fluent_bundle::FluentArgs;

use super::{NotificationContext, PurchaseContext, Words, yes_if_some};
use crate::domain::decision::reason::DeclineReason;
use crate::domain::money::Money;

impl Words {
    /// The arguments of the texts of a reason.
    pub(super) fn reason_args(
        &self,
        reason: &DeclineReason,
        context: NotificationContext,
        purchase_context: &PurchaseContext<'_>,
    ) -> FluentArgs<'static> {
        let mut args = self.common_args(context, purchase_context);
        match reason {
            DeclineReason::OutsideHours { hours } => {
                args.set("from", self.time(hours.from));
                args.set("to", self.time(hours.to));
            }
            DeclineReason::OkOver { ended_at } => {
                let ended = purchase_context.zone.to_datetime(*ended_at);
                args.set("ended", self.date_for(context, ended.date()));
                args.set("ended-at", self.time(ended.time()));
            }
            DeclineReason::OkHeld { held } => args.set("held", self.money(*held)),
            DeclineReason::OkSmall { cap } => {
                args.set("cap", self.money(*cap));
                self.set_rest(&mut args, purchase_context);
            }
            DeclineReason::OverPurchase { limit } => {
                args.set("limit", self.money(*limit));
                self.set_rest(&mut args, purchase_context);
            }
            DeclineReason::OverPeriod { period, limit, left, until } => {
                args.set("period", period.word());
                args.set("limit", self.money(*limit));
                self.set_left(&mut args, *left);
                self.set_end(&mut args, context, *until);
            }
            DeclineReason::TooMany { period, limit, until } => {
                args.set("period", period.word());
                args.set("limit", *limit);
                self.set_end(&mut args, context, *until);
            }
            DeclineReason::NoMoney { left, gap, held_back } => {
                self.set_left(&mut args, *left);
                args.set("gap", self.money(*gap));
                args.set("held", self.money(*held_back));
                args.set(
                    "holds-back",
                    yes_if_some(Some(held_back).filter(|held| held.is_positive())),
                );
            }
            DeclineReason::NotYet { left, comes, on } => {
                self.set_left(&mut args, *left);
                args.set("comes", self.money(*comes));
                args.set("on", self.date_for(context, *on));
            }
            DeclineReason::UnknownCard
            | DeclineReason::NotStarted
            | DeclineReason::FrozenSelf
            | DeclineReason::FrozenStaff
            | DeclineReason::CardLost
            | DeclineReason::OldCard
            | DeclineReason::Expired
            | DeclineReason::Ended
            | DeclineReason::Paused
            | DeclineReason::OtherCurrency
            | DeclineReason::FunderRule { .. }
            | DeclineReason::PlaceOff
            | DeclineReason::CategoryOff { .. }
            | DeclineReason::CategoryAsk { .. }
            | DeclineReason::Unsorted
            | DeclineReason::CashOff
            | DeclineReason::CashBackOff
            | DeclineReason::OnlineOff
            | DeclineReason::AbroadOff
            | DeclineReason::OkUsed
            | DeclineReason::Conflict
            | DeclineReason::OurFault => {}
        }
        args
    }

    fn set_left(&self, args: &mut FluentArgs<'static>, left: Money) {
        args.set("left", self.money(left));
        args.set("some-left", yes_if_some(Some(left).filter(|left| left.is_positive())));
    }

    /// Sets, for an increment, what was approved before it and how much more would be.
    fn set_rest(&self, args: &mut FluentArgs<'static>, purchase_context: &PurchaseContext<'_>) {
        let Some(so_far) = purchase_context.so_far else {
            args.set("more-of", "nothing");
            return;
        };
        args.set("so-far", self.money(so_far));
        args.set("more-of", if purchase_context.rest.is_some() { "some" } else { "unknown" });
        if let Some(rest) = purchase_context.rest {
            args.set("rest", self.money(rest));
        }
    }
}
