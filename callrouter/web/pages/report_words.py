"""Words of scheduled reports: what they are called, when they are due, what became of them."""

from __future__ import annotations

from callrouter.appeals.credit import Model
from callrouter.scheduled.model import Every, Format, Period, State
from callrouter.web.pages.words import N_

REPORT_NAMES = {
    "channels": N_("By channel"), "sources": N_("By source"), "campaigns": N_("By campaign"),
    "keywords": N_("By keyword"), "landing-pages": N_("By landing page"), "locations": N_("By location"),
    "devices": N_("By device"), "sites": N_("By site"), "days": N_("By day"), "weeks": N_("By week"),
    "months": N_("By month"), "hours": N_("By weekday and hour"), "groups": N_("By group"),
    "employees": N_("By group and employee"), "numbers": N_("By number called"), "static": N_("By static number"),
    "pools": N_("Use of pools"), "pool-sites": N_("Were there numbers enough?"),
    "paths": N_("By which ways people come"), "assists": N_("Who helps, and who is last"),
    "models": N_("What each model makes of it"),
}  # fmt: skip
SPAN_NAMES: dict[Period, str] = {
    "yesterday": N_("yesterday"), "7d": N_("7 days"), "30d": N_("30 days"), "last_week": N_("last week"),
    "week": N_("this week"), "last_month": N_("last month"), "month": N_("this month"), "quarter": N_("this quarter"),
    "year": N_("this year"),
}  # fmt: skip
FORMAT_NAMES: dict[Format, str] = {
    "html": N_("in the mail itself"), "xlsx": N_("Excel (XLSX) file"), "csv": N_("CSV file"),
}  # fmt: skip
EVERY_NAMES: dict[Every, str] = {"day": N_("each day"), "week": N_("each week"), "month": N_("each month")}
WEEKDAY_NAMES = {
    1: N_("Monday"), 2: N_("Tuesday"), 3: N_("Wednesday"), 4: N_("Thursday"), 5: N_("Friday"), 6: N_("Saturday"),
    7: N_("Sunday"),
}  # fmt: skip
ATTRIBUTION_NAMES: dict[Model, str] = {
    "last_click": N_("Last click"), "last_non_direct": N_("Last non-direct click"), "first": N_("First click"),
    "linear": N_("Linear"), "position": N_("Position-based"), "decay": N_("Time decay"),
}  # fmt: skip
STATE_NAMES: dict[State, str] = {
    "waiting": N_("waits"), "sending": N_("is being sent"), "sent": N_("sent"), "failed": N_("not sent"),
    "doubtful": N_("perhaps sent"),
}  # fmt: skip
KEY_NAMES: dict[str, str] = {
    "site": N_("Site"), "channel": N_("Channel"), "source": N_("Source"), "medium": N_("Medium"),
    "campaign": N_("Campaign"), "keyword": N_("Keyword"), "content": N_("Content"), "landing_page": N_("Landing page"),
    "location": N_("Location"), "device": N_("Device"), "group": N_("Group"), "employee": N_("Employee"),
    "hour": N_("Hour"), "weekday": N_("Weekday"), "day": N_("Day"), "week": N_("Week"), "month": N_("Month"),
}  # fmt: skip
FIGURES = {
    "visits": N_("Visits"), "appeals": N_("Appeals"), "calls": N_("Calls"), "unique_calls": N_("Unique"),
    "quality": N_("Quality"), "lost": N_("Missed"), "conversion": N_("Conversion"), "mean_wait_s": N_("Mean wait"),
    "mean_talk_s": N_("Mean talk"), "deals": N_("Deals"),
}  # fmt: skip
"""Of each row, in this order."""
MONEY_FIGURES = {
    "cost": N_("Cost"), "revenue": N_("Revenue"), "cost_per_call": N_("Cost per call"), "roi": N_("ROI"),
}  # fmt: skip
"""Of each row and currency."""
NOTHING = N_("(not set)")
NOTES = (
    N_("the worker ended while it was sent"), N_("no folder is configured: [reports] folder"),
    N_("no mail server is configured: [mail] host"),
    N_("the address belongs to nobody who may sign in to the account any more"),
    N_("the account has sent as many mails within an hour as it may"), N_("mail servers take no such address"),
    N_("it could not be written"), N_("the folder does not take it"),
)  # fmt: skip
"""What a sending may be noted with, but for what others say: behind a colon, or alone."""
