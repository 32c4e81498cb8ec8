"""What the journal's fields and their values are called on pages: English here, marked for translation. Pure data."""

from __future__ import annotations

from callrouter.web.pages.words import N_

FIELD_NAMES: dict[str, str] = {
    "started_at": N_("Date and time"), "kind": N_("Kind"), "direction": N_("Direction"), "status": N_("Status"),
    "lost_reason": N_("Why lost"), "site": N_("Site"), "client": N_("Client"), "client_name": N_("Name"),
    "first_touch_at": N_("First touch"), "customer": N_("Client's number"), "caller": N_("Caller"),
    "called": N_("Number called"), "email": N_("E-mail"), "person": N_("Name given"), "group": N_("Final group"),
    "employee": N_("Employee"), "answered_at": N_("Answered at"), "ended_at": N_("Ended at"), "wait_s": N_("Wait"),
    "talk_s": N_("Talk"), "hangup_cause": N_("Hangup cause"), "hangup_by": N_("Who hung up"),
    "recording": N_("Recording"), "pbx": N_("PBX"), "linkedid": N_("Call's id on the PBX"),
    "caller_raw": N_("Caller as the PBX has it"), "called_raw": N_("Called as the PBX has it"),
    "agi_ms": N_("Dialplan waited, ms"), "complete": N_("Seen whole"), "method": N_("How it was credited"),
    "confidence": N_("Confidence"), "late": N_("Credited late"), "pending": N_("May still change"),
    "resolution_ms": N_("Found out in, ms"), "route": N_("Route"), "overflow": N_("Pool was empty"),
    "session": N_("Visit"), "visitor": N_("Visitor"), "visit_started_at": N_("Visit began"),
    "time_on_site_s": N_("Time on site"), "pages": N_("Pages"), "channel": N_("Channel"), "source": N_("Source"),
    "medium": N_("Medium"), "campaign": N_("Campaign"), "keyword": N_("Keyword"), "content": N_("Content"),
    "click_id": N_("Click id"), "landing_page": N_("Landing page"), "referrer": N_("Referrer"),
    "page": N_("Page of the call"), "title": N_("Page title"), "hash": N_("Hash"), "device": N_("Device"),
    "os": N_("System"), "browser": N_("Browser"), "location": N_("Location"),
    "ga_client_id": N_("Google Analytics client id"), "ga_session_id": N_("Google Analytics session id"),
    "ym_client_id": N_("Yandex Metrika ClientID"), "ym_counter": N_("Yandex Metrika counter"),
    "unique": N_("Unique"), "quality": N_("Quality"), "multichannel": N_("Multichannel"), "spam": N_("Spam"),
    "tags": N_("Tags"), "tag": N_("Tag"), "comment": N_("Comment"), "first": N_("Client's first appeal"),
    "published_at": N_("Shown here since"), "hour": N_("Hour"), "weekday": N_("Weekday"), "q": N_("Search"),
    "period": N_("Period"), "since": N_("From"), "until": N_("Up to"), "details": N_("Details"),
}  # fmt: skip

KINDS: dict[str, str] = {
    "call": N_("Call"), "form": N_("Form"), "callback": N_("Callback order"), "chat": N_("Chat"), "email": N_("E-mail"),
}  # fmt: skip
DIRECTIONS: dict[str, str] = {"inbound": N_("in"), "outbound": N_("out")}
STATUSES: dict[str, str] = {"answered": N_("Answered"), "lost": N_("Lost")}
LOST: dict[str, str] = {
    "abandoned_ivr": N_("hung up in the menu"), "abandoned_queue": N_("hung up while waiting"),
    "abandoned_ringing": N_("hung up while it rang"), "no_answer": N_("nobody answered"), "busy": N_("busy"),
    "no_agents": N_("nobody was on duty"), "rejected": N_("rejected"), "failed": N_("could not be connected"),
}  # fmt: skip
METHODS: dict[str, str] = {
    "static": N_("static number"), "holder": N_("shown on the page"), "caller_memory": N_("caller known from before"),
    "last_holder": N_("shown last"), "page": N_("sent by the page"), "unattributed": N_("not attributed"),
}  # fmt: skip
WHY: dict[str, str] = {
    "static": N_("The number dialled is bound to this channel."),
    "holder": N_("The visitor's page showed the number dialled when the call came."),
    "caller_memory": N_("The caller called before; he is credited to a visit of his own."),
    "last_holder": N_("Nobody's page showed the number dialled; the visitor who had it last is the likeliest caller."),
    "page": N_("The visitor's own page sent it."),
    "unattributed": N_("Nothing known of any visit fits."),
}
CHANNELS: dict[str, str] = {
    "paid_search": N_("Paid search"), "paid_social": N_("Paid social"), "display": N_("Display ads"),
    "organic_search": N_("Organic search"), "social": N_("Social networks"), "messenger": N_("Messengers"),
    "ai": N_("AI assistants"), "email": N_("Mailings"), "sms": N_("SMS"), "push": N_("Push messages"),
    "affiliate": N_("Affiliates"), "referral": N_("Links on sites"), "offline": N_("Offline ads"),
    "maps_and_catalogues": N_("Maps and catalogues"), "marketplaces": N_("Marketplaces"), "direct": N_("Direct"),
}  # fmt: skip
HANGUPS: dict[str, str] = {"caller": N_("the caller"), "employee": N_("the employee"), "pbx": N_("the PBX")}
DEVICES: dict[str, str] = {"mobile": N_("phone"), "desktop": N_("computer"), "tablet": N_("tablet")}
WEEKDAYS: dict[str, str] = {
    "1": N_("Monday"), "2": N_("Tuesday"), "3": N_("Wednesday"), "4": N_("Thursday"), "5": N_("Friday"),
    "6": N_("Saturday"), "7": N_("Sunday"),
}  # fmt: skip
FLAGS: dict[str, str] = {"true": N_("yes"), "false": N_("no")}

VALUES: dict[str, dict[str, str]] = {
    "kind": KINDS, "direction": DIRECTIONS, "status": STATUSES, "lost_reason": LOST, "method": METHODS,
    "channel": CHANNELS, "hangup_by": HANGUPS, "device": DEVICES, "weekday": WEEKDAYS,
}  # fmt: skip
"""Fields whose values have names. A value that is not among them is shown as it is: channels may be anything."""

PERIODS: dict[str, str] = {
    "today": N_("Today"), "yesterday": N_("Yesterday"), "7d": N_("7 days"), "30d": N_("30 days"),
    "week": N_("This week"), "last_week": N_("Last week"), "month": N_("This month"),
    "last_month": N_("Last month"), "90d": N_("90 days"), "quarter": N_("This quarter"), "year": N_("This year"),
    "365d": N_("365 days"),
}  # fmt: skip
ENDINGS: dict[str, str] = {
    "": N_("is"), "not": N_("is not"), "has": N_("contains"), "empty": N_("is empty"), "min": N_("at least"),
    "max": N_("at most"),
}  # fmt: skip
"""How a filter compares, by the ending of its parameter."""

STEPS: dict[str, str] = {
    "started": N_("The call began"), "ivr": N_("Heard the menu"), "group_entered": N_("Came to a group"),
    "group_left": N_("Left the group"), "rang": N_("Rang"), "answered": N_("Answered"), "missed": N_("Did not answer"),
    "transfer_blind": N_("Transferred"), "transfer_attended": N_("Transferred after talking"),
    "hold": N_("Put on hold"), "unhold": N_("Back from hold"), "ended": N_("The call ended"),
}  # fmt: skip
STATES: dict[str, str] = {
    "begins": N_("the call begins"), "menu": N_("hears the menu"), "waits": N_("waits"), "talks": N_("talks"),
    "held": N_("on hold"), "transferred": N_("is transferred"), "rings": N_("rings"), "missed": N_("not answered"),
}  # fmt: skip
"""What a bar of a call's picture shows."""
VIEWS: dict[str, str] = {
    "all": N_("All appeals"), "missed": N_("Missed today"), "first": N_("First-time calls"),
    "forms": N_("Forms and callbacks"), "spam": N_("Spam"),
}  # fmt: skip
"""`journal.views.STANDARD`, by name."""
