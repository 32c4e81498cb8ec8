"""Words about deals that several pages say."""

from __future__ import annotations

from callrouter.reports.deal_list import State
from callrouter.web.pages.words import N_

STATE_NAMES: dict[State, str] = {"open": N_("in progress"), "won": N_("won"), "lost": N_("fell through")}
LINKS = {
    "client": N_("chosen by hand"), "phone": N_("by the phone number"), "email": N_("by the e-mail"),
    "crm": N_("by the CRM's client id"), "ga_client_id": N_("by the Google Analytics client id"),
    "ym_client_id": N_("by the Yandex Metrika ClientID"),
}  # fmt: skip
"""By what the deal's client was found."""
FIELD_NAMES = {
    "title": N_("Title"), "stage": N_("Stage"), "funnel": N_("Funnel"), "url": N_("Link to the CRM"),
    "employee": N_("Employee"), "revenue": N_("Revenue"), "currency": N_("Currency"), "opened_at": N_("Opened"),
    "closed_at": N_("Closed"), "won": N_("Outcome"), "crm": N_("CRM"), "crm_id": N_("Id in the CRM"),
    "phone": N_("Phone"), "email": N_("E-mail"), "client": N_("Client number"), "client_id": N_("Client"),
    "crm_client": N_("Client's id in the CRM"), "ga_client_id": N_("Google Analytics client id"),
    "ym_client_id": N_("Yandex Metrika ClientID"),
}  # fmt: skip
