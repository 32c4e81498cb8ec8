"""The pages people work in: HTML from the server, in Russian and English, with a little script where it helps.

- `ground`    what each page stands on: who looks, what he may see, the form he sent, the answer
- `router`    all pages together: their navigation, their headers, their errors
- `words`     gettext: English in the code, Russian in `locale/ru.po`; `filter_trouble` why a filter does not fit
- `policy`    what a page may load
- `formats`   dates, numbers, money and telephone numbers as the reader writes them
- `files`     stylesheet and scripts, under names that change with their content
- `templating` the templates in each language
- `report_letter` scheduled reports as mails and files, of `report_sheet` (figures) and `report_tables` (the others)
- `deals`, `costs`, `import_file`  sales and what advertising cost, with `deal` and `cost_rows` for one of them
- `schedules` reports that are sent at their time
- `entering`  who signs in, and how guessing is slowed; `sign_in` its pages
- `own`       one's own settings: name, language, password, browsers
- `users`, `tokens`, `record`, `account`   the settings of an account

**A new page** is a module here and a template in `templates/`:

    ENTRY = Entry("/journal", N_("Journal"), "appeals:read")

    def journal_page(ground: Ground) -> Page:
        @get("/journal")
        async def journal(request: AnyRequest) -> Response[bytes]:
            view = await ground.open(request, "appeals:read")
            async with ground.reading.as_account(view.account) as conn:
                found = await ...
            return view.render("journal.html", appeals=found)

        return Page([journal], ENTRY)

and a line in `web.app`, among those given to `pages_router`. Its template begins with `{% extends "page.html" %}`,
names its `title`, and fills the block `content`; `f` formats (`{{ f.moment(appeal.at) }}`), `_()` translates,
`view.may("deals:write")` asks what is allowed; `view.whose` is the account whose data are shown (`view.account` is his
own, and the operator's people look at others' too). It appears in the navigation of those who have the entry's scope,
in the order given.

What changes something is a `@post` that begins with `view, form = await ground.write(request, "appeals:write")`, which
refuses what comes from another site; the form has `{{ form_key() }}` in it. It ends in `view.go("/journal",
note="saved")`, the notes being `note.html`'s, or renders the page anew with `trouble=view.refusal(error)` if something
was Refused. Scripts are ES modules in `static/`, named in the block `scripts` by `{{ static('journal.js') }}`; `call`
of `app.js` asks the API as the person who is signed in. There is no inline script or style, and nothing from elsewhere:
the policy forbids both. After a change of words: `make messages`, then fill in
`locale/ru.po`; a test holds it complete.
"""
