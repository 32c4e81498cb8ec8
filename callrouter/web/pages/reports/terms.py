"""Words that the pages of reports have in common: dimensions, figures, models, periods, channels."""

from __future__ import annotations

from callrouter.appeals.credit import Model
from callrouter.reports.figures import DIMENSIONS
from callrouter.web.pages.appeal_words import FIELD_NAMES
from callrouter.web.pages.words import N_

TITLES = {
    "": N_("Overview"), "sources": N_("Sources"), "money": N_("End-to-end"), "hours": N_("Hours"),
    "people": N_("Groups and employees"), "numbers": N_("Numbers and pools"), "quality": N_("Uniqueness and quality"),
    "multichannel": N_("Multichannel appeals"),
}  # fmt: skip
"""Of the pages, by the last part of their path."""
SHORT_TITLES = TITLES | {
    "people": N_("Employees"), "numbers": N_("Numbers"), "quality": N_("Call quality"),
    "multichannel": N_("Multichannel ways"),
}  # fmt: skip

SHOWN_PERIODS = ("today", "yesterday", "7d", "30d", "month", "last_month", "quarter", "year", "365d")

DIMENSION_NAMES: dict[str, str] = {
    **{name: FIELD_NAMES[name] for name in DIMENSIONS if name in FIELD_NAMES},
    "group": N_("Group"), "hour": N_("Hour"), "weekday": N_("Weekday"), "day": N_("Day"), "week": N_("Week"),
    "month": N_("Month"),
}  # fmt: skip

FIGURE_NAMES = {
    "visits": N_("Visits"), "appeals": N_("Appeals"), "calls": N_("Calls"), "outgoing": N_("Outgoing calls"),
    "answered": N_("Answered calls"), "lost": N_("Missed calls"), "lost_share": N_("Share missed"),
    "unique_calls": N_("Unique calls"),
    "unique_share": N_("Share unique"), "quality": N_("Quality calls"), "quality_share": N_("Share of quality"),
    "unique_quality": N_("Unique quality calls"), "multichannel": N_("Multichannel appeals"),
    "conversion": N_("Conversion"), "mean_wait_s": N_("Mean wait"), "mean_talk_s": N_("Mean talk"),
    "deals": N_("Deals"), "won": N_("Won"),
    "revenue": N_("Revenue"), "cost": N_("Cost"), "clicks": N_("Clicks"), "cost_per_call": N_("Cost per call"),
    "cost_per_unique_quality": N_("Cost per unique quality call"), "cost_per_deal": N_("Cost per won deal"),
    "roi": N_("ROI"), "forms": N_("Forms"), "callbacks": N_("Callback orders"), "chats": N_("Chats"),
    "emails": N_("E-mails"), "overflow": N_("Found no free number"),
}  # fmt: skip
FIGURE_HINTS = {
    "calls": N_("Inbound calls, without spam."),
    "lost": N_("Inbound calls that no employee answered."),
    "unique_calls": N_("First calls of a caller to this account."),
    "quality": N_("Answered calls with at least as much talk as the site's threshold."),
    "unique_quality": N_("Calls that are both unique and of quality."),
    "conversion": N_("Calls that are tied to a visit, by visits."),
    "revenue": N_("Of deals, on the day and from the source of the appeal that they are owed to."),
    "deals": N_("By the day and the source of the appeal that they are owed to."),
    "roi": N_("(revenue − cost) / cost"),
    "mean_wait_s": N_("From the call's beginning to the answer, or to its end when it was missed."),
    "mean_talk_s": N_("Of answered calls."),
    "overflow": N_("Visits to which the pool could give no number of their own."),
}  # fmt: skip
MORE_IS_BETTER = frozenset({
    "visits", "appeals", "calls", "answered", "unique_calls", "unique_share", "quality", "quality_share",
    "unique_quality", "conversion", "deals", "won", "revenue", "roi",
})  # fmt: skip
LESS_IS_BETTER = frozenset({
    "lost", "lost_share", "mean_wait_s", "overflow", "cost_per_call", "cost_per_unique_quality", "cost_per_deal",
})  # fmt: skip
"""What is in neither is no news for better or worse."""

MODEL_NAMES: dict[Model, str] = {
    "last_click": N_("Last click"), "last_non_direct": N_("Last non-direct click"), "first": N_("First click"),
    "linear": N_("Linear"), "position": N_("Position-based"), "decay": N_("Time decay"),
}  # fmt: skip
MODEL_TEXTS: dict[Model, str] = {
    "last_click": N_("An appeal is the visit's that it is credited to, as in the journal."),
    "last_non_direct": N_("An appeal is the last visit's that did not come directly; the last one's if all did."),
    "first": N_("An appeal is the first visit's of the way to it."),
    "linear": N_("All visits on the way to an appeal have the same share in it."),
    "position": N_("The first and the last visit have two fifths of an appeal each; those between share the rest."),
    "decay": N_("All visits on the way have a share; one a week older has half as much."),
}  # fmt: skip

NOTHING, ANYTHING = N_("(not set)"), N_("(anything)")
SHORT_WEEKDAYS = (N_("Mo"), N_("Tu"), N_("We"), N_("Th"), N_("Fr"), N_("Sa"), N_("Su"))
