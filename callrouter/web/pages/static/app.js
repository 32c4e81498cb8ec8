// What every page has of script: copying, asking before what cannot be undone, and `call` for pages that need the API.
// Everything works without it, but for copying.

const key = document.querySelector('meta[name="form-key"]')?.content ?? '';
const account = document.querySelector('meta[name="account"]')?.content;

/** A path of the API, for the account that is looked at: the operator's people look at others' too. */
export function route(path) {
  if (!account) return `/api/v1${path}`;
  return `/api/v1${path}${path.includes('?') ? '&' : '?'}account=${account}`;
}

/** Asks /api/v1 as the person who is signed in. Answers the body; throws an Error with `problem` of RFC 9457. */
export async function call(path, { method = 'GET', body, headers = {}, signal } = {}) {
  const said = { accept: 'application/json', ...headers };
  if (method !== 'GET') said['x-form-key'] = key;
  if (body !== undefined) said['content-type'] = 'application/json';
  const answer = await fetch(route(path), {
    method, headers: said, signal, body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 401) location.reload();
  const text = await answer.text();
  const told = text ? JSON.parse(text) : null;
  if (!answer.ok) throw Object.assign(new Error(told?.title ?? answer.statusText), { problem: told });
  return told;
}

document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = button.dataset.done;
  } catch {
    getSelection().selectAllChildren(source); // to be copied by hand
  }
});

document.addEventListener('submit', (event) => {
  const form = event.target;
  const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
  if (question && !confirm(question)) {
    event.preventDefault();
    return;
  }
  if (form.dataset.sent) {
    event.preventDefault(); // a second click while the first is under way
    return;
  }
  form.dataset.sent = 'yes';
  setTimeout(() => delete form.dataset.sent, 5000);
});
addEventListener('pageshow', () => document.querySelectorAll('form[data-sent]').forEach((form) => delete form.dataset.sent));
