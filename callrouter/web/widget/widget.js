// What a visitor's page does: shows the visitor's own number wherever the site's stands, and tells the server of the visit.
// Knows the site's settings (put in by `script.py`) and nothing of leases or sources. Whatever fails, the page's own number
// stays. Before this is sent, `shorten.py` takes out comments and blanks and shortens names: see there what it understands.
((site) => {
  const early = window.callrouter || {};
  if (early.consent) return;
  const base = document.currentScript.src.replace(/\/w\/[^/]*$/, '/v/' + site.id + '/');
  const entry = 'callrouter.' + site.id;
  const draw = () => crypto.getRandomValues(new Uint32Array(4)).join('-');
  const visible = () => !document.hidden;

  // Memory: one entry of localStorage, and a variable where that is blocked. 0: the visitor refused.
  let memory = null;
  const recall = () => {
    try {
      memory = JSON.parse(localStorage.getItem(entry));
    } catch (blocked) {}
    return memory;
  };
  const keep = (what) => {
    memory = what;
    try {
      localStorage.setItem(entry, JSON.stringify(what));
    } catch (blocked) {}
  };
  // Whether the number in memory is his still. Clocks are put back a little now and then; a larger leap proves nothing.
  const holds = () => memory && memory.number && Date.now() - memory.at > -6e4 && Date.now() - memory.at < memory.hold * 1e3;

  // Any spelling of the site's own numbers; in the elements of a selector any number at all.
  const signs = '\\s().\\u2010-\\u2015\\u2212/-]';
  const gap = '[' + signs + '{0,4}';
  const words = RegExp('[^\\d+' + signs);
  const numbers = site.select ? [['\\d(?:' + gap + '\\d){6,14}']] : site.numbers.map(([code, trunk, rest]) => [[...rest].join(gap),
    '(?:(?:\\+?' + code + gap + '(?:\\(0\\))?|00' + code + (trunk && '|' + trunk) + ')' + gap + ')?']);
  const either = (spell) => numbers.map(spell).join('|') || '$^';
  const loose = RegExp(either(([rest]) => rest));
  const any = RegExp('(^|[^\\d+])(' + either(([rest, before]) => (before || '\\+?') + rest) + ')(?!\\d)', 'g');
  const spells = (text) => text.search(any) >= 0;
  let shown = null;

  // The shown number in the clothes of the one that stood there: prefix, brackets and separators stay.
  const dress = (text, link) => {
    const digits = text.replace(/\D/g, '');
    for (const [code, trunk] of site.plans) {
      const rest = shown.number.slice(code.length);
      let left = rest.length;
      if (shown.number.startsWith(code) && digits.length >= left && ['', code, trunk, '00' + code, code + '0'].includes(digits.slice(0, -left)))
        return [...text].reverse().map((sign) => left && /\d/.test(sign) ? rest[--left] : sign).reverse().join('');
    }
    return link ? '+' + shown.number : shown.display;
  };
  const swap = (text, link) => text.replace(any, (all, before, phone) => before + dress(phone, link));

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
    shown = null;
    for (const [node, label, was, text] of written.reverse()) if ((label ? node.getAttribute(label) : node.data) === text) put(node, label, was);
    written = [];
    observer.takeRecords();
    if (!person) survey();
  };

  // Where numbers stand. Text that a framework is about to take over is left alone until it has.
  const foreign = 'head,script,style,textarea,select,[contenteditable],[data-callrouter-skip]';
  const framework = '#__next,#__nuxt,#___gatsby,[data-reactroot],[data-server-rendered],astro-island';
  let settled = false, waits, places = 0, seen = false, person = false;
  const fits = (place) => place && !place.closest(foreign) && (!site.select || place.closest(site.select))
    && (settled || !place.closest(framework) || !(waits = 1));
  // Found before there is a number to show: where to write it then. 0: nobody kept count, the page is searched again.
  let spots = 0;
  const found = (place, write) => {
    places++;
    if (spots && spots.push(write) > 999) spots = 0;
    if (!person) sight.observe(place);
  };
  const texts = (run) => {
    const last = run[run.length - 1], place = last.parentElement || last.getRootNode().host;
    if (!fits(place)) return;
    if (!shown) return found(place, () => texts(run));
    const text = run.map((node) => node.data).join('');
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
      const cut = dials ? was.search(/[?;]|$/) : was.length;
      let text = was.slice(0, cut);
      try {
        if (dials) text = decodeURIComponent(text);
      } catch (odd) {}
      if (!spells(text) || !fits(link)) continue;
      if (shown) write(link, label, was, swap(text, dials) + was.slice(cut));
      else found(link, () => links(link));
    }
  };
  // A number may stand in several nodes: as long as these hold nothing else, they are read together.
  const walk = (root) => {
    const walker = document.createTreeWalker(root, 4);
    let run = [], text = '';
    for (let node; (node = walker.nextNode());) {
      const own = node.data;
      if (words.test(own)) run = [], text = '';
      run.push(node);
      text += own;
      if (spells(own)) run = [node];
      else if (!spells(text)) continue;
      texts(run);
      run = [], text = '';
    }
  };
  // Text as a whole is had fast, so a page is not walked but entered where a number is; long lists at once.
  const seek = (root) => {
    const long = root.childElementCount > 99, text = long || root.textContent;
    if (!long && !loose.test(text)) return 0;
    let deeper = 0;
    if (long || text.length > 999) for (let node = root.firstChild; node; node = node.nextSibling)
      if (node.nodeType === 1) deeper += seek(node);
      else if (node.nodeType === 3 && spells(node.data)) texts([node]), deeper++;
    if (!deeper && !long) walk(root);
    return 1;
  };
  const dial = 'a[href^="tel:" i],a[href^="sms:" i]';
  const scan = (root) => {
    seek(root);
    if (root.matches && root.matches(dial)) links(root);
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
    else if (element.localName.includes('-') && !customElements.get(element.localName))
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
      if ((root || 0).isConnected) scan(root);
    });
    observer.takeRecords();
    // Another script wants its own text there as badly as we do: the page must not hang on it.
    if (written.length > before) {
      if (++fights > 99) observer.disconnect();
      setTimeout(() => fights--, 1e3);
    }
  });
  const watch = (root) => observer.observe(root, {
    childList: true, subtree: true, characterData: true, attributeFilter: ['href']
  });

  // A human sign: a number in sight, or a hand on the page; nothing counts while the page is hidden.
  const sign = (event) => {
    if (event && !event.isTrusted || person || !places || !visible()) return;
    person = true;
    sight.disconnect();
    if (allowed) tell(told);
  };
  const sight = new IntersectionObserver((entries) => {
    if (entries.some((each) => each.isIntersecting)) seen = true, sign();
  });

  const show = (phone, display) => {
    if (stopped || shown && shown.number === phone) return;
    if (shown) conceal();
    if (!phone) return;
    shown = {number: phone, display};
    if (spots) spots.forEach((write) => write()), observer.takeRecords();
    else survey();
    spots = 0;
    watch(document);
  };

  // The visit. `allowed`: true with consent; null before it was asked for; false when refused.
  let allowed = null, told = false, busy = false, stopped = false, repeated = false, started = false, failures = 0;
  let page = draw(), next, end, begin, last = 0, address, noted;
  const post = (what, said) => fetch(base + what, {method: 'POST', body: JSON.stringify(said), keepalive: true, credentials: 'omit'})
    .then((answer) => answer.ok ? answer.json() : Promise.reject(answer.status));
  const ids = () => {
    const jar = document.cookie, pick = (pattern, from) => (pattern.exec(from) || [0, ''])[1];
    return {
      ga_client_id: pick(/\b_ga=GA\d\.[\d-]+\.([\d.]+)/, jar),
      ga_session_id: pick(/\b_ga_\w+=GS\d\.\d\.s?(\d+)/, jar),
      ym_client_id: pick(/\b_ym_uid=(\d+)/, jar),
      ym_counter: pick(/\byaCounter(\d+)/, Object.keys(window))
    };
  };
  const facts = () => {
    const known = allowed && ids();
    noted = JSON.stringify(known);
    return {url: location.href, title: document.title, consent: !!allowed, ...known && {
      ...known, visitor: (memory || 0).visitor, token: (memory || 0).token
    }};
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
  const failed = (status) => {
    busy = false;
    if (/^4(?!29)/.test(status)) {
      if (!memory || !memory.token) return;
      memory.token = '';
      told = false;
    }
    later(5 * 2 ** Math.min(failures++, 6));
  };
  // After an answer: the number is good for the hold, and a sign of life is due before a quarter of it is gone.
  const extend = (answer) => {
    last = Date.now();
    keep({...memory, token: answer.token, hold: answer.hold_s, at: last, shut: 0});
    failures = 0;
    later(answer.hold_s * .2);
    lapse();
  };
  const lapse = () => {
    clearTimeout(end);
    if (!allowed) return;
    recall();
    if (holds()) end = setTimeout(lapse, memory.hold * 1e3 + memory.at - Date.now());
    else if (shown) conceal();
  };
  const tell = (more) => {
    clearTimeout(begin);
    repeated = more;
    if (busy) return;
    busy = true;
    const agreed = allowed, sure = person;
    address = location.href;
    if (agreed && !recall()) keep({visitor: draw()});
    const known = !!(agreed && holds());
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
    if (allowed && memory && memory.token) post('alive', {...facts(), url: null, ...said}).then((answer) => {
      if (!allowed) return;
      if (answer.state === 'away') return later(30);
      if (/lost|over/.test(answer.state)) {
        keep({...memory, number: ''});
        page = draw();
        conceal();
        return tell(answer.state === 'lost');
      }
      extend(answer);
      if (answer.number) show(answer.number, memory.display);
    }).catch(failed);
  };

  // Another page without a new document.
  const moved = () => {
    const bare = (url) => url.replace(/#(?![/!]).*/, '');
    if (!told || bare(address) === bare(location.href)) return;
    address = location.href;
    page = draw();
    setTimeout(() => alive({url: location.href, request: page}), 99);
  };
  for (const label of ['pushState', 'replaceState']) {
    const own = history[label];
    history[label] = function () {
      own.apply(this, arguments);
      moved();
    };
  }
  const on = (place, events, act) => events.split(' ').forEach((each) => place.addEventListener(each, act, true));
  on(window, 'popstate hashchange', moved);
  on(window, 'pointermove pointerdown keydown wheel', sign);
  on(window, 'online', () => later(0));
  on(document, 'visibilitychange', () => {
    if (!visible() || !started) return;
    if (seen) sign();
    lapse();
    if (allowed ? Date.now() - last > 6e4 : !told) later(0);
  });
  on(window, 'pagehide', () => {
    if (!allowed || !started) return;
    if (!told) return tell(false);
    alive({closed: true, request: page});
    keep({...memory, shut: 1});
  });
  on(window, 'pageshow', (event) => {
    if (!event.persisted || !started) return;
    page = draw();
    told = busy = false;
    start();
  });
  // Another tab of this site: one visit, one number.
  on(window, 'storage', (event) => {
    if (event.key !== entry || allowed === false || !recall()) return memory === 0 && consent(false);
    consent(true);
    last = memory.shut ? 0 : memory.at;
    if (holds()) show(memory.number, memory.display);
    if (memory.shut) later(1);
  });
  // What is printed is read when the number has long been another's.
  on(window, 'beforeprint', () => allowed && holds() && conceal());
  on(window, 'afterprint', () => allowed && holds() && show(memory.number, memory.display));

  const start = () => {
    started = true;
    const kept = recall();
    if (allowed === null) allowed = kept === 0 ? false : !!kept || site.consent > 0 || null;
    if (allowed === false || site.consent < 0 && !allowed) return;
    lapse();
    if (allowed && holds()) show(memory.number, memory.display);
    else survey();
    if (!allowed || navigator.webdriver) tell(false);
    else begin = setTimeout(() => told || tell(false), 200);
  };
  const consent = (yes) => {
    if (allowed === yes) return;
    allowed = yes;
    if (!yes) {
      keep(0);
      conceal();
      clearTimeout(next);
      clearTimeout(begin);
    } else if (started) {
      told = false;
      start();
    }
  };

  // Forms. What is secret does not leave the page.
  const send = (what) => (said) => post(what, {...facts(), request: draw(), ...said});
  on(window, 'submit', (event) => {
    const form = event.target;
    if (form.dataset.callrouterForm === undefined) return;
    const fields = [...form.elements].filter((each) => each.value && (each.checked || !/password|hidden|file|radio|checkbox/.test(each.type))
      && !/pass|card|cc-|cv[vc]|secret|token|iban|ssn|one-time/i.test(each.autocomplete + each.name + each.id));
    send('form')({form: form.dataset.callrouterForm, fields: fields.map(({name, value, type, autocomplete}) => (
      {name, value, type, autocomplete}))}).catch(() => 0);
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
      if (allowed && recall() && holds()) show(memory.number, memory.display);
    },
    q: {push: (...calls) => calls.forEach(([label, ...said]) => api[label](...said))}
  };
  api.q.push(...(early.q || []));

  const settle = () => setTimeout(() => {
    settled = true;
    if (waits) survey();
  }, 50);
  on(document, 'DOMContentLoaded', survey);
  if (document.readyState === 'complete') settle();
  else on(window, 'load', settle);
  if (document.prerendering) on(document, 'prerenderingchange', start);
  else start();
})(SETTINGS);
