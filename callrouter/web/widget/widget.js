// What a visitor's page does: shows the visitor's own number wherever the site's stands, and tells the server of the visit.
// Knows the site's settings (put in by `script.py`) and nothing of leases or sources. Whatever fails, the page's own number
// stays. Before this is sent, `shorten.py` takes out comments and blanks and shortens names: see there what it understands.
((site) => {
  const early = window.callrouter;
  if (early?.consent) return;
  const base = document.currentScript.src.replace(/\/w\/[^/]*$/, '/v/' + site.id + '/');
  const entry = 'callrouter.' + site.id;
  const draw = () => crypto.getRandomValues(new Uint32Array(4)).join('-');
  const visible = () => !document.hidden;

  // Memory: one entry of localStorage, and a variable where that is blocked. 0: the visitor refused.
  let memory = null;
  const recall = () => {
    try {
      memory = JSON.parse(localStorage[entry] || null);
    } catch {}
    return memory;
  };
  const keep = (what) => {
    memory = what;
    try {
      localStorage[entry] = JSON.stringify(what);
    } catch {}
  };
  // Whether the number in memory is his still. Clocks are put back a little now and then; a larger leap proves nothing.
  const holds = () => allowed && memory?.number && Date.now() - memory.at > -6e4 && Date.now() - memory.at < memory.hold * 1e3;

  // The site's own numbers without their prefix, and what may stand before them; ~ is what separates two digits.
  const pattern = (text, flags) => RegExp(text.replace(/~/g, '[\\s().\\u200b-\\u2015\\u2212/-]{0,4}'), flags);
  let digits = pattern(site.core, 'g');
  const ahead = pattern(site.prefix);
  // Where they stand in a text, from and to. `loosely`: of neighbours such as a table's cells, what is before or after proves nothing.
  const spans = (text, loosely) => {
    const all = [];
    text.replace(digits, (hit, from) => {
      const to = from + hit.length, before = loosely ? ['', ''] : ahead.exec(text.slice(0, from));
      if (before && (loosely || !/\d/.test(text[to]))) all.push([from - before[1].length, to]);
    });
    return all;
  };
  let shown = null;

  // The shown number in the clothes of the one that stood there: prefix, brackets and separators stay.
  const dress = (text, link) => {
    const told = text.replace(/\D/g, '');
    for (const [code, trunk] of site.plans) {
      const rest = shown.number.slice(code.length);
      let place = rest.length - told.length;
      if (shown.number.startsWith(code) && place <= 0 && ['', code, trunk, '00' + code, code + '0'].includes(told.slice(0, -rest.length)))
        return text.replace(/\d/g, (sign) => place++ < 0 ? sign : rest[place - 1]);
    }
    return !link && shown.display || '+' + shown.number;
  };
  const swap = (text, link) => spans(text).reverse()
    .reduce((done, [from, to]) => done.slice(0, from) + dress(done.slice(from, to), link) + done.slice(to), text);

  // What was written where, so that it can be taken back.
  let written = [], fights = 0;
  const put = (node, label, text) => label ? node.setAttribute(label, text) : (node.data = text);
  const write = (node, label, was, text) => {
    if (text === was) return;
    put(node, label, text);
    written.push([node, label, was, text]);
    if (written.length > 999) written = written.filter(([each]) => each.isConnected);
  };
  const conceal = () => {
    for (const [node, label, was, text] of written.reverse()) if ((label ? node.getAttribute(label) : node.data) === text) put(node, label, was);
    // What the page made copies of is nobody's number, too: they get the site's own.
    if (written[0] && !site.select) {
      const own = site.plans[0][0], former = [...shown.number.slice(own.length)].join('~');
      digits = pattern(former, 'g');
      shown = {number: own + site.core.replace(/~|\|.*/g, '')};
      scan(document.body);
      digits = pattern(site.core += '|' + former, 'g');
    }
    shown = null;
    written = [];
    observer.takeRecords();
    if (!person) survey();
  };

  // Where numbers stand. Text that a framework is about to take over is left alone until it has.
  const foreign = 'head,script,style,textarea,select,[contenteditable],[data-callrouter-skip]';
  const framework = 'astro-island,#___gatsby,#__nuxt,[data-reactroot],[data-server-rendered]';
  let settled = false, waits, taken, places = 0, seen = false, person = false;
  const fits = (place) => place && !place.closest(foreign) && (!site.select || place.closest(site.select))
    && (settled || !taken && !place.closest(framework) || !(waits = 1));
  // Found before there is a number to show: where to write it then. 0: nobody kept count, the page is searched again.
  let spots = 0;
  const found = (place, write) => {
    places++;
    if (spots && spots.push(write) > 999) spots = 0;
    if (!person) sight.observe(place);
  };
  const texts = (run) => {
    const text = run.map((node) => node.data).join(''), last = run[run.length - 1], place = last.parentElement || last.parentNode.host;
    if (!spans(text)[0] || !fits(place)) return;
    if (!shown) return found(place, () => texts(run));
    const dressed = swap(text);
    let offset = 0;
    run.forEach((node, index) => {
      const was = node.data;
      write(node, '', was, dressed.length === text.length ? dressed.substr(offset, was.length) : index ? '' : dressed);
      offset += was.length;
    });
  };
  const links = (link) => {
    for (const label of ['href', 'title', 'aria-label']) {
      const was = link.getAttribute(label) || '', dials = label === 'href';
      const cut = dials ? was.search(/[?;]|$/) : was.length, text = dials ? unescape(was.slice(0, cut)) : was;
      if (!spans(text)[0] || !fits(link)) continue;
      if (shown) write(link, label, was, swap(text, dials) + was.slice(cut));
      else found(link, () => links(link));
    }
  };
  // Which nodes hold the numbers at these places of an element's text: one each, or several over which one is split. Text as a
  // whole is had fast, so a page is not walked but entered where a number is.
  const runs = (root, places) => {
    const all = [];
    let end = 0;
    for (let node = root.firstChild; node && places[0]; node = node.nextSibling) {
      const start = end, inside = [];
      if (node.nodeType === 1 || node.nodeType === 3) end += node.textContent.length;
      for (let place; (place = places[0]) && place[0] < end; places.shift()) {
        if (place[1] <= end) inside.push(place.map((each) => each - start));
        else all.push(...parts(root, place));
      }
      if (inside[0]) all.push(...node.nodeType === 1 ? runs(node, inside) : [[node]]);
    }
    return all;
  };
  const parts = (root, [from, to]) => {
    const walker = document.createTreeWalker(root, 4), run = [];
    for (let node, end = 0; end < to && (node = walker.nextNode());) if ((end += node.length) > from) run.push(node);
    const whole = run.filter((node) => spans(node.data)[0]);
    return whole[0] ? whole.map((node) => [node]) : [run];
  };
  const dial = '[href*="tel:" i],[href*="sms:" i]';
  const scan = (root) => {
    taken = settled || document.querySelector('[src*="/_next/"]');
    runs(root, spans(root.textContent, true)).forEach(texts);
    if (root.matches?.(dial)) links(root);
    root.querySelectorAll(dial).forEach(links);
    if (site.shadow) root.querySelectorAll(site.shadow).forEach(enter);
  };
  // A page that still grows is watched only when there is a number to show; else it is searched again when it is there.
  const survey = () => {
    if (document.readyState !== 'loading') watch(document);
    if (!shown) spots = [];
    if (document.body) scan(document.body);
    observer.takeRecords();
  };
  const enter = (element) => {
    if (element.shadowRoot) watch(element.shadowRoot), scan(element.shadowRoot);
    else if (element.matches(':not(:defined)'))
      customElements.whenDefined(element.localName).then(() => setTimeout(enter, 0, element));
  };
  const observer = new MutationObserver((records) => {
    if (records.length > 99) return survey();
    const roots = new Set(), before = written.length;
    for (const record of records) {
      const element = record.target;
      if (record.type !== 'childList') roots.add(element.nodeType === 1 ? element : element.parentNode);
      for (const node of record.addedNodes)
        if (node.nodeType === 1) roots.add(node);
        else if (/\d/.test(node.data)) roots.add(element);
    }
    roots.forEach((root) => {
      for (let up = root; up && (up = up.parentNode);) if (roots.has(up)) return;
      if (root?.isConnected) scan(root);
    });
    observer.takeRecords();
    // Another script wants its own text there as badly as we do: the page must not hang on it.
    if (written.length > before) {
      if (++fights > 99) observer.disconnect();
      setTimeout(() => fights--, 1e3);
    }
  });
  const watch = (root) => observer.observe(root, {childList: true, subtree: true, characterData: true, attributeFilter: ['href']});

  // A human sign: a number in sight, or a hand on the page; nothing counts while the page is hidden.
  const sign = (event) => {
    if (event && !event.isTrusted || person || !places || !visible()) return;
    person = true;
    sight.disconnect();
    allowed && tell(told);
  };
  const sight = new IntersectionObserver((entries) => {
    if (entries.some((each) => each.isIntersecting)) seen = true, sign();
  });

  const show = (phone, spelled) => {
    if (stopped || shown?.number === phone) return;
    if (shown) conceal();
    if (!phone) return;
    shown = {number: phone, display: spelled};
    if (spots) spots.forEach((write) => write()), observer.takeRecords();
    else survey();
    spots = 0;
    watch(document);
  };

  const resume = () => holds() && (show(memory.number, memory.display), true);

  // The visit. `allowed`: true with consent; null before it was asked for; false when refused.
  let allowed = null, told = false, busy = false, stopped = false, repeated = false, started = false, failures = 0;
  let page = draw(), next, end, begin, last = 0, address, noted;
  const post = (what, said) => fetch(base + what, {method: 'POST', body: JSON.stringify(said), keepalive: true, credentials: 'omit'})
    .then((answer) => answer.ok ? answer.json() : Promise.reject(answer.status));
  const pick = (pattern, text) => pattern.exec(text)?.[1] || '';
  const facts = () => {
    const jar = allowed && document.cookie, metrika = pick(/\b_ym_uid=(\d+)/, jar);
    const known = allowed && {
      ga_client_id: pick(/\b_ga=GA\d\.[\d-]+\.([\d.]+)/, jar),
      ga_session_id: pick(/\b_ga_\w+=GS\d\.\d\.s?(\d+)/, jar),
      ym_client_id: metrika,
      ym_counter: metrika && pick(/\byaCounter(\d+)/, Object.keys(window))
    };
    noted = JSON.stringify(known);
    return {url: location.href, title: document.title, consent: !!allowed,
      ...known && {...known, visitor: memory?.visitor, token: memory?.token}};
  };
  // Analytics often come later than this script: what they call the visitor is told when they do.
  const heed = (seconds) => setTimeout(() => {
    const before = noted;
    if (visible() && facts() && before !== noted) alive();
    seconds < 9 && heed(seconds * 2);
  }, seconds * 1e3);
  const later = (seconds) => {
    clearTimeout(next);
    next = setTimeout(() => visible() && (told && allowed && memory.token ? alive() : tell(repeated)), seconds * 1e3);
  };
  const failed = (code) => {
    busy = false;
    if (/^4(?!29)/.test(code)) {
      if (!memory?.token) return;
      memory.token = told = '';
    }
    later(5 << Math.min(failures++, 6));
  };
  // After an answer: the number is good for the hold, and a sign of life is due before a quarter of it is gone.
  const extend = (answer) => {
    last = Date.now();
    keep({...memory, token: answer.token, hold: answer.hold_s, at: last, shut: 0});
    failures = 0;
    later(answer.hold_s / 5);
    lapse();
  };
  const lapse = () => {
    clearTimeout(end);
    recall();
    if (holds()) end = setTimeout(lapse, memory.hold * 1e3 + memory.at - Date.now());
    else if (allowed && shown) conceal();
  };
  const tell = (more) => {
    clearTimeout(begin);
    repeated = more;
    if (busy || allowed === false) return;
    busy = true;
    const agreed = allowed, sure = person;
    address = location.href;
    if (agreed && !recall()) keep({visitor: draw()});
    const known = !!holds();
    post('visit', {...facts(), referrer: document.referrer, human: sure || known, again: more,
      automated: navigator.webdriver, request: agreed ? more ? draw() : page : ''}).then((answer) => {
      busy = false;
      if (allowed !== agreed) return tell(false);
      if (agreed && !told) heed(1);
      told = repeated = true;
      if (agreed && answer.token) {
        memory = {...memory, visitor: answer.visitor, number: answer.leased ? answer.number : '', display: answer.display};
        extend(answer);
      } else if (answer.retry_s) later(answer.retry_s);
      if (answer.leased || !agreed || sure && !(answer.retry_s && known)) show(answer.number, answer.display);
      if (agreed && person && !sure) tell(true);
      else moved();
    }).catch(failed);
  };
  const alive = (said) => {
    if (allowed && memory?.token) post('alive', {...facts(), url: null, ...said}).then((answer) => {
      if (!allowed) return;
      if (answer.state === 'away') return later(30);
      if (/lost|over/.test(answer.state)) {
        keep({...memory, number: ''});
        page = draw();
        conceal();
        return tell(answer.state === 'lost');
      }
      extend(answer);
      show(answer.number || shown?.number, memory.display);
    }).catch(failed);
  };

  // Another page without a new document.
  const moved = () => {
    const bare = (text) => text.replace(/#(?![/!]).*/, '');
    if (!told || bare(address) === bare(address = location.href)) return;
    page = draw();
    setTimeout(() => alive({url: location.href, request: page}), 99);
  };
  for (const label of ['pushState', 'replaceState']) {
    const own = history[label];
    history[label] = (...said) => {
      own.apply(history, said);
      moved();
    };
  }
  // On its way down each event passes the window, also one of the document.
  const on = (events, act) => events.split(' ').forEach((each) => addEventListener(each, act, true));
  on('popstate hashchange', moved);
  on('pointermove pointerdown keydown wheel', sign);
  on('online', () => later(0));
  on('visibilitychange', () => {
    if (!visible() || !started) return;
    if (seen) sign();
    lapse();
    if (allowed ? Date.now() - last > 6e4 : !told) later(0);
  });
  on('pagehide', () => {
    if (!allowed || !started) return;
    if (!told) return tell(false);
    alive({closed: true, request: page});
    keep({...memory, shut: 1});
  });
  on('pageshow', (event) => {
    if (!event.persisted || !started) return;
    page = draw();
    told = busy = false;
    start();
  });
  // Another tab of this site: one visit, one number.
  on('storage', (event) => {
    if (event.key !== entry || allowed === false || !recall()) return memory === 0 && consent(false);
    consent(true);
    last = memory.shut ? 0 : memory.at;
    resume();
    if (memory.shut) later(1);
  });
  // What is printed is read when the number has long been another's.
  on('beforeprint', () => holds() && conceal());
  on('afterprint', resume);

  const start = () => {
    started = true;
    const kept = recall();
    if (allowed === null) allowed = kept === 0 ? false : !!kept || !site.reserve || null;
    if (allowed === false || site.reserve > 1 && !allowed) return;
    lapse();
    resume() || setTimeout(survey);
    if (!allowed || navigator.webdriver) tell(false);
    else begin = setTimeout(() => told || tell(false), 200);
  };
  const consent = (yes) => {
    if (allowed === !!yes) return;
    allowed = !!yes;
    if (!yes) keep(0), conceal();
    else if (started) told = false, start();
  };

  // Forms. What is secret does not leave the page.
  const send = (what) => (said) => post(what, {...facts(), request: draw(), ...said});
  on('submit', (event) => {
    const sent = event.target;
    if (sent.dataset.callrouterForm === undefined) return;
    const filled = [...sent.elements].filter((each) => each.value && (each.checked || !/pass|hid|file|radio|check/.test(each.type))
      && !/pass|card|cc-|cv[vc]|secret|token|iban|ssn|one-time/i.test(each.autocomplete + each.name + each.id));
    send('form')({form: sent.dataset.callrouterForm, fields:
      filled.map(({name, value, type, autocomplete}) => ({name, value, type, autocomplete}))}).catch(() => 0);
  });

  const api = window.callrouter = {
    consent,
    form: send('form'),
    callback: send('callback'),
    restore() {
      conceal();
      stopped = true;
    },
    replace() {
      stopped = false;
      recall();
      resume();
    },
    q: {push: (...calls) => calls.forEach(([label, ...said]) => api[label](...said))}
  };
  api.q.push(...(early?.q || []));

  const settle = () => setTimeout(() => {
    settled = true;
    if (waits) survey();
  }, 50);
  on('DOMContentLoaded', survey);
  document.readyState === 'complete' ? settle() : on('load', settle);
  document.prerendering ? on('prerenderingchange', start) : start();
})(SETTINGS);
