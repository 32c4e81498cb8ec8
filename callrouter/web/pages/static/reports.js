// Reports: what takes longer is fetched after the page is there, and a click on a bar opens the rows behind it.
// Without this script links lead to the same.

for (const place of document.querySelectorAll('[data-later]')) {
  place.setAttribute('aria-busy', 'true');
  try {
    const answer = await fetch(place.dataset.later, { headers: { accept: 'text/html' } });
    if (!answer.ok) throw new Error(answer.statusText);
    const told = new DOMParser().parseFromString(await answer.text(), 'text/html');
    place.replaceChildren(...told.body.children);
  } catch {
    // the link stays
  }
  place.removeAttribute('aria-busy');
}

document.addEventListener('click', (event) => {
  const target = event.target.closest('[data-href]');
  if (target) location.href = target.dataset.href;
});
