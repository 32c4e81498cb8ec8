"""What is said of files that are imported: their columns, how they may be written, a sample of each. Pure."""

from __future__ import annotations

from callrouter.reports.table_file import Encoding, Separator
from callrouter.reports.uploads import Kind
from callrouter.web.pages.words import N_

ENCODING_NAMES: dict[Encoding, str] = {"utf-8": "UTF-8", "cp1251": "Windows-1251"}
SEPARATOR_NAMES: dict[Separator, str] = {"semicolon": N_("semicolons"), "comma": N_("commas"), "tab": N_("tabs")}
COLUMNS: dict[Kind, dict[str, str]] = {
    "deals": {
        "opened_at": N_("When the deal was opened: 2026-03-01, 01.03.2026 or 2026-03-01T12:30, on the account's clock"),
        "revenue": N_("The amount: 1234.56 or 1 234,56"),
        "currency": N_("Three letters, as RUB; the account's if empty"),
        "phone": N_("The client's phone number, in any spelling: it ties the deal to the client's calls"),
        "email": N_("The client's e-mail"),
        "crm_client": N_("The client's id in the CRM"),
        "client": N_("The number of the client's card"),
        "ga_client_id": N_("Google Analytics client id of the browser"),
        "ym_client_id": N_("Yandex Metrika ClientID of the browser"),
        "crm": N_("The CRM's name, as bitrix24"),
        "crm_id": N_("The deal's id there: a deal with a known id is changed, not added again"),
        "title": N_("The deal's title"),
        "stage": N_("The stage of the funnel"),
        "funnel": N_("The funnel"),
        "won": N_("yes: won, no: fell through, empty: in progress"),
        "closed_at": N_("When it was closed"),
        "employee": N_("Who leads it"),
        "url": N_("Link to the deal in the CRM: http:// or https://"),
    },
    "costs": {
        "day": N_("The day of the costs: 2026-03-01 or 01.03.2026"),
        "amount": N_("What was spent: 1234.56 or 1 234,56"),
        "currency": N_("Three letters, as RUB; the account's if empty"),
        "source": N_("utm_source of the advertisements, as yandex"),
        "medium": N_("utm_medium, as cpc"),
        "campaign": N_("utm_campaign"),
        "keyword": N_("utm_term"),
        "content": N_("utm_content"),
        "channel": N_("The channel; if empty it follows from source and medium, as for visits"),
        "site": N_("The site's number, where costs are kept by site"),
        "clicks": N_("Clicks"),
        "impressions": N_("Impressions"),
    },
}
SAMPLES: dict[Kind, str] = {
    "deals": (
        "opened_at;revenue;currency;phone;email;crm;crm_id;title;stage;funnel;won;closed_at;employee;url\r\n"
        "2026-03-01T12:30;82500.50;RUB;8 916 123-45-67;;bitrix24;118;Окна, 3 шт.;Счёт выставлен;Розница;;;Анна;"
        "https://crm.example/deal/118\r\n"
        "2026-03-02;15000;RUB;;ivan@example.com;bitrix24;119;Балкон;Завершена;Розница;yes;2026-03-09;Олег;\r\n"
    ),
    "costs": (
        "day;source;medium;campaign;keyword;amount;currency;clicks;impressions\r\n"
        "2026-03-01;yandex;cpc;okna-moskva;пластиковые окна;1540.25;RUB;31;900\r\n"
        "2026-03-01;google;cpc;windows;;820;RUB;12;640\r\n"
    ),
}
HAND = "by hand"
"""The origin of costs that people tell on the page."""
