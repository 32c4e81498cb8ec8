// A site's page: keeps "seen on your site" current while it is looked at, and leads to what is wrong in the form.

const box = document.getElementById('seen');
const EVERY_MS = 5000, LONGEST_MS = 30 * 60 * 1000;
const began = Date.now();

async function look() {
  if (Date.now() - began > LONGEST_MS) return;
  if (!document.hidden) {
    try {
      const answer = await fetch(box.dataset.path, { headers: { accept: 'text/html' } });
      if (answer.redirected) return; // signed out meanwhile
      const fresh = document.createElement('template');
      fresh.innerHTML = await answer.text();
      if (answer.ok && fresh.innerHTML.trim() !== box.innerHTML.trim()) box.replaceChildren(fresh.content);
    } catch {
      // away for a moment: the next look tells
    }
  }
  setTimeout(look, EVERY_MS);
}
setTimeout(look, EVERY_MS);

document.getElementById('faults')?.focus();
for (const link of document.querySelectorAll('#faults a')) {
  link.addEventListener('click', () => {
    const field = document.getElementById(link.hash.slice(1));
    const closed = field?.closest('details:not([open])');
    if (closed) closed.open = true;
    field?.focus();
  });
}
