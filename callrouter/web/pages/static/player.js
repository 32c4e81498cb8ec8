// Recordings heard in place: one player for the page, docked below, for whichever row was asked for last.

const player = document.getElementById('player');
const sound = player?.querySelector('audio');
const call = player?.querySelector('a');

function listenTo(link) {
  const [page] = link.href.split('#');
  call.href = link.href;
  call.textContent = link.dataset.call;
  player.hidden = false;
  sound.src = `${page}/recording`;
  sound.play().catch(() => {}); // `error` tells of what cannot be played
}

function close() {
  player.hidden = true;
  sound.pause();
  sound.removeAttribute('src');
}

if (player) {
  document.addEventListener('click', (event) => {
    const link = event.target.closest('a.heard');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    listenTo(link);
  });
  // It cannot be played here: the appeal's page says why, or where it is.
  sound.addEventListener('error', () => { if (sound.hasAttribute('src')) location.href = call.href; });
  player.querySelector('button').addEventListener('click', close);
  document.addEventListener('keydown', (event) => event.key === 'Escape' && close());
}
