// The journal in a browser with script: new appeals as they come, who is calling, keys, notes in place, values to choose.

import { call, route } from "./app.js";

const table = document.querySelector('.table.journal');
const body = table?.querySelector('tbody');
const line = document.getElementById('calls-now');
const news = document.getElementById('news');
const dialog = document.getElementById('note-dialog');
const names = document.getElementById('names')?.content;
const word = (name) => names?.querySelector(`[data-word="${name}"]`)?.textContent ?? '';
const named = (kind, key) => names?.querySelector(`[data-${kind}="${CSS.escape(key)}"]`)?.textContent ?? key;
const MOST_ROWS = 300;
const GATHER_MS = 40; // appeals that are told together are asked for together

// --- rows -----------------------------------------------------------------------------------------------------------

const waiting = new Map(); // id → row, held back while one reads
let asked = new Set();
let gathering = 0;

async function rowsOf(query) {
  const answer = await fetch(`/journal/rows?${query}`, { headers: { accept: 'text/html' } });
  if (!answer.ok) throw new Error(answer.statusText);
  const parsed = document.createElement('template');
  parsed.innerHTML = await answer.text(); // our own page's HTML
  return [...parsed.content.querySelectorAll('tr')];
}

function ask(id) {
  asked.add(id);
  gathering ||= setTimeout(fetchAsked, GATHER_MS);
}

async function fetchAsked() {
  const ids = [...asked].slice(0, 200);
  asked = new Set([...asked].slice(200));
  gathering = 0;
  if (asked.size) ask(asked.values().next().value);
  try {
    take(await rowsOf(`${table.dataset.query}&ids=${ids.join(',')}`));
  } catch { /* the next `missed`, or a reload, brings them */ }
}

async function refresh() {
  if (!table.dataset.live) return; // these are the first page's
  try {
    const rows = await rowsOf(table.dataset.query);
    const known = (row) => document.getElementById(row.id) || waiting.has(row.id);
    if (rows.length >= 50 && !rows.some(known)) { // more came than these: no hole between
      waiting.clear();
      body.replaceChildren(...rows);
      tell();
    } else take(rows);
  } catch { /* the line is lost once more: it says so */ }
}

/** Rows that are shown are renewed where they stand; new ones are put in, or held back while one reads. */
function take(rows) {
  const fresh = [];
  for (const row of rows) {
    const old = document.getElementById(row.id);
    if (old) replace(old, row);
    else if (isOfThisPage(row)) fresh.push(row);
  }
  if (!fresh.length) return;
  for (const row of fresh) waiting.set(row.id, row);
  if (isReading()) tell();
  else show();
}

/** An old appeal that changed stands on a later page. */
function isOfThisPage(row) {
  const last = body.rows[body.rows.length - 1];
  return body.rows.length < 50 || Number(row.dataset.at) >= Number(last.dataset.at);
}

function replace(old, row) {
  const focused = old.contains(document.activeElement);
  const opened = old.querySelector('.popover:popover-open');
  old.replaceWith(row);
  if (opened) document.getElementById(opened.id)?.showPopover();
  if (focused) row.querySelector('.open')?.focus({ preventScroll: true });
}

/** Whoever has scrolled down, walks through the rows by keys, or has something open is not to lose his place. */
function isReading() {
  const busy = body.contains(document.activeElement) || document.querySelector('.popover:popover-open') || dialog.open;
  return busy || !getSelection().isCollapsed || !table.dataset.live || table.getBoundingClientRect().top < 0;
}

function tell() {
  const n = waiting.size;
  news.textContent = n === 1 ? news.dataset.one : news.dataset.many.replace('{n}', n);
  news.hidden = n === 0;
}

function show() {
  table.hidden = false;
  document.getElementById('nothing')?.remove();
  for (const row of [...waiting.values()].sort((a, b) => a.dataset.at - b.dataset.at)) {
    const next = [...body.rows].find((each) => Number(each.dataset.at) <= Number(row.dataset.at));
    if (!next && body.rows.length >= 50) continue; // it stands on a later page
    row.classList.add('fresh');
    body.insertBefore(row, next ?? null);
    setTimeout(() => row.classList.remove('fresh'), 4000);
  }
  waiting.clear();
  while (body.rows.length > MOST_ROWS) body.lastElementChild.remove();
  tell();
}

news?.addEventListener('click', () => {
  if (!table.dataset.live) {
    location.href = `/journal?${table.dataset.filters || 'view=all'}`;
    return;
  }
  document.activeElement?.blur();
  scrollTo({ top: 0 });
  show();
});

// --- who is calling -------------------------------------------------------------------------------------------------

const list = line?.querySelector('.calls');
const { title } = document;

function rings({ call: told, customer, called, client, client_name: name }) {
  if (list.querySelector(`[data-call="${told.call}"]`)) return;
  const item = document.getElementById('ringing-call').content.cloneNode(true).firstElementChild;
  const put = (part, text) => { item.querySelector(`[data-${part}]`).textContent = text ?? ''; };
  item.dataset.call = told.call;
  const shown = name || customer || word('withheld');
  if (client && line.dataset.client) {
    const link = document.createElement('a');
    link.href = line.dataset.client + encodeURIComponent(client);
    link.textContent = shown;
    item.querySelector('[data-who]').append(link);
  } else put('who', shown);
  item.querySelector('[data-new]').hidden = Boolean(client);
  const source = [told.channel && named('channel', told.channel), told.source].filter(Boolean).join(' · ');
  put('source', source || word('unknown'));
  const site = told.site && named('site', String(told.site));
  put('number', [name && customer, site, told.location].filter(Boolean).join(' · '));
  const page = (told.landing_page ?? '').replace(/^https?:\/\//, '');
  put('campaign', [told.campaign, told.keyword && `«${told.keyword}»`, page || called].filter(Boolean).join(' · '));
  item.title = [shown, source, told.campaign, told.keyword, told.landing_page, called].filter(Boolean).join('\n');
  const since = item.querySelector('[data-since]');
  since.dateTime = told.at;
  since.textContent = '0:00';
  list.append(item);
  busy();
}

/** Also in the tab's title, for whoever works elsewhere. */
function busy() {
  const first = list.querySelector('[data-who]')?.textContent;
  line.classList.toggle('busy', Boolean(first));
  document.title = first ? `☎ ${first} · ${title}` : title;
}

function ended({ call: told }) {
  list.querySelector(`[data-call="${told.call}"]`)?.remove();
  busy();
}

setInterval(() => {
  for (const time of list?.querySelectorAll('[data-since]') ?? []) {
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(time.dateTime)) / 1000));
    time.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  }
}, 1000);

// --- the line to the server -----------------------------------------------------------------------------------------

let source = null;
let retry = 0;

function listen() {
  source?.close();
  source = new EventSource(route(`/appeals/live?fields=id&${table.dataset.filters}`));
  source.addEventListener('hello', () => {
    line.classList.remove('lost');
    list.replaceChildren();
    busy();
    refresh(); // what came while there was no line: since the page was made, too
    retry = 0;
  });
  const on = (name, what) => source.addEventListener(name, (event) => what(JSON.parse(event.data)));
  on('appeal', ({ id }) => ask(id));
  on('gone', ({ id }) => {
    document.getElementById(`a-${id}`)?.classList.add('left');
    if (waiting.delete(`a-${id}`)) tell();
  });
  on('missed', refresh);
  on('ringing', rings);
  on('ended', ended);
  source.onerror = () => {
    line.classList.add('lost');
    retry += 1;
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    setTimeout(listen, Math.min(30_000, 1000 * 2 ** Math.min(retry, 5)));
  };
}

if (table && line) {
  line.hidden = false;
  listen();
  addEventListener('pagehide', () => source?.close());
  addEventListener('pageshow', (event) => event.persisted && listen());
  total();
}

async function total() {
  try {
    const { total: n, more } = await call(`/appeals?limit=1&fields=id&count=true&${table.dataset.filters}`);
    const shown = new Intl.NumberFormat(document.documentElement.lang).format(n);
    document.getElementById('total').textContent = word(more ? 'more' : 'total').replace('{n}', shown);
  } catch { /* how many there are is no matter of life */ }
}

// --- notes in place -------------------------------------------------------------------------------------------------

async function openNote(path) {
  const answer = await fetch(`${path}?in=place`, { headers: { accept: 'text/html' } });
  if (!answer.ok) {
    location.href = path;
    return;
  }
  fill(await answer.text());
  dialog.showModal();
}

function fill(html) {
  dialog.innerHTML = html; // our own page's HTML
  const close = dialog.querySelector('[data-close]');
  close.hidden = false;
  close.addEventListener('click', () => dialog.close());
  const form = dialog.querySelector('form');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const sent = new URLSearchParams(new FormData(form));
    const answer = await fetch(`${form.getAttribute('action')}?in=place`, { method: 'POST', body: sent });
    if (answer.status === 204) {
      dialog.close();
      ask(form.getAttribute('action').split('/')[2]);
    } else if (answer.status === 412 || answer.status === 422) fill(await answer.text());
    else form.submit(); // the page says what is wrong
  });
  dialog.querySelector('#note-more').focus();
}

// --- the pointer and the keys ---------------------------------------------------------------------------------------

body?.addEventListener('click', (event) => {
  const edit = event.target.closest('[data-note]');
  if (edit && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    openNote(edit.getAttribute('href'));
    return;
  }
  if (event.target.closest('a, button, input, label, .popover') || !getSelection().isCollapsed) return;
  event.target.closest('tr')?.querySelector('.open')?.click();
});

function step(by) {
  const open = [...body.querySelectorAll('tr .open')];
  const here = open.indexOf(document.activeElement?.closest('tr')?.querySelector('.open'));
  const next = open[Math.min(open.length - 1, Math.max(0, here + by))];
  next?.focus();
  next?.closest('tr').scrollIntoView({ block: 'nearest' });
}

const keys = {
  j: () => step(1),
  k: () => step(-1),
  '/': () => document.getElementById('q').focus(),
  '?': () => document.getElementById('keys').togglePopover(),
  n: () => news.hidden || news.click(),
  c: () => document.activeElement?.closest('tr')?.querySelector('.c-who a')?.click(),
  p: () => document.activeElement?.closest('tr')?.querySelector('.heard')?.click(),
  e: () => document.activeElement?.closest('tr')?.querySelector('[data-note]')?.click(),
};

/** Which of our keys it is; with Russian letters on the keyboard the one that stands at the same place. */
function meant({ key, code }) {
  if (/^[а-яё]$/i.test(key)) return code.replace('Key', '').toLowerCase();
  if (code === 'Slash' && key === '.') return '/';
  return code === 'Slash' && key === ',' ? '?' : key;
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || dialog?.open || !body) return;
  if (event.target.closest('input, textarea, select')) {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  const inRows = body.contains(document.activeElement);
  const arrow = inRows && { ArrowDown: keys.j, ArrowUp: keys.k }[event.key];
  const what = arrow || keys[meant(event)];
  if (!what) return;
  event.preventDefault();
  what();
});

// One drop-down at a time; a click elsewhere, and Escape, close it.
document.addEventListener('click', (event) => closePicks(event.target.closest('.pick')));
document.addEventListener('keydown', (event) => {
  const pick = event.key === 'Escape' && document.querySelector('.pick[open]');
  if (!pick) return;
  pick.open = false;
  pick.querySelector('summary').focus();
});
function closePicks(but) {
  for (const pick of document.querySelectorAll('.pick[open]')) if (pick !== but) pick.open = false;
}

// Where the popover stands: below its button.
document.addEventListener('toggle', (event) => {
  const shown = event.target;
  if (event.newState !== 'open' || !shown.classList?.contains('popover')) return;
  const button = document.querySelector(`[popovertarget="${shown.id}"]`).getBoundingClientRect();
  const own = shown.getBoundingClientRect();
  const below = button.bottom + 6 + own.height < innerHeight;
  shown.style.margin = '0';
  shown.style.left = `${Math.max(8, Math.min(button.left, innerWidth - own.width - 8))}px`;
  shown.style.top = `${below ? button.bottom + 6 : Math.max(8, button.top - own.height - 6)}px`;
}, true);

// --- the filters ----------------------------------------------------------------------------------------------------

const form = document.getElementById('filters');

function offer(options, values) {
  options.replaceChildren(...values.map(({ value }) => Object.assign(document.createElement('option'), { value })));
}

async function valuesOf(field) {
  try {
    return (await call(`/appeals/values?period=90d&limit=100&field=${field}`)).items;
  } catch {
    return [];
  }
}

form?.addEventListener('focusin', async ({ target }) => {
  const { values: field } = target.dataset;
  if (!field || target.dataset.asked) return;
  target.dataset.asked = 'yes';
  offer(target.list, await valuesOf(field));
});
form?.querySelector('#f-field').addEventListener('change', async ({ target }) => {
  const value = form.querySelector('#f-value');
  offer(value.list, target.value ? await valuesOf(target.value) : []);
});
form?.querySelectorAll('[type="date"]').forEach((field) => {
  field.addEventListener('input', () => { form.querySelector('#by-dates').checked = true; });
});
form?.addEventListener('submit', () => {
  // What was written, and is none of the values that were offered, is looked for within them.
  for (const field of form.querySelectorAll('[data-values][data-asked]')) {
    const known = [...field.list.options].some((option) => option.value === field.value);
    if (field.value && !known) field.name = `${field.dataset.values}.has`;
  }
  for (const field of form.elements) if (field.name && !field.value) field.disabled = true; // a shorter URL
});
addEventListener('pageshow', () => {
  for (const field of form?.elements ?? []) field.disabled = false;
});
