// See docs/widget.md. Served as it stands, in at most 10 kB gzipped.
(() => {
"use strict";

const script = document.currentScript;
const TEXTS = {
  en: {
    label: "Feedback", close: "Close", never: "Don’t ask again", send: "Send", skip: "Skip", yes: "Yes", no: "No",
    up: "Good", down: "Not good", unknown: "I don’t know", thanks: "Thank you.", tie: "No difference",
    comment: "Anything to add?", choose: "Choose", level: "{0} of {1}", correct: "What is it?",
    private: "Your answer is mixed with chance before it leaves this device.",
  },
  de: {
    label: "Rückmeldung", close: "Schließen", never: "Nicht mehr fragen", send: "Senden", skip: "Überspringen",
    yes: "Ja", no: "Nein", up: "Gut", down: "Nicht gut", unknown: "Weiß ich nicht", thanks: "Danke.",
    tie: "Kein Unterschied", comment: "Etwas zu ergänzen?", choose: "Auswählen", level: "{0} von {1}",
    correct: "Was ist es?", private: "Ihre Antwort wird mit Zufall vermischt, bevor sie dieses Gerät verlässt.",
  },
};
const STYLE = `
:host{all:initial;display:block;--a:var(--feedback-accent,light-dark(#1f5f8b,#7cbbe6));--b:var(--feedback-surface,light-dark(#fff,#1c1f25));--t:var(--feedback-text,light-dark(#1d2127,#e9ebee));--m:var(--feedback-muted,light-dark(#5b616b,#a5acb8));--l:var(--feedback-line,light-dark(#d8d9d4,#3c424d));--r:var(--feedback-radius,12px);--o:var(--feedback-offset,16px)}
:host(.corner){position:fixed;inset-block-end:var(--o);inset-inline-end:var(--o);z-index:var(--feedback-z,2147483000)}
:host(.start){inset-inline:var(--o) auto}
*{box-sizing:border-box;margin:0;font:inherit;color:inherit}
.live{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.panel{position:relative;padding:14px 16px;background:var(--b);color:var(--t);font:15px/1.45 var(--feedback-font,system-ui,sans-serif);border:1px solid var(--l);border-radius:var(--r);overflow-wrap:anywhere;outline:0}
[role=dialog]{width:min(var(--feedback-width,336px),calc(100vw - 2*var(--o)));max-height:calc(100dvh - 2*var(--o));overflow:auto;box-shadow:0 10px 32px light-dark(#0f141e29,#0008)}
#title{font-weight:600;padding-inline-end:28px}
.small{font-size:13px;color:var(--m)}
.said{font-size:18px;font-weight:600}
.body{display:grid;gap:10px;margin-block-start:10px}
button{font-weight:500;min-width:24px;min-height:36px;padding:6px 12px;border:1px solid var(--l);border-radius:calc(var(--r)*.66);background:none;cursor:pointer}
button:hover,label:hover{background:color-mix(in srgb,var(--a) 10%,transparent)}
button:disabled{opacity:.5;cursor:default}
:focus-visible{outline:2px solid var(--a);outline-offset:2px}
.main,[aria-checked=true]{background:var(--a)!important;color:var(--feedback-on-accent,light-dark(#fff,#0d1a24))}
.plain{border-color:transparent;min-height:28px;padding:2px 6px;font-weight:400;font-size:13px;color:var(--m);justify-self:start;margin-inline-start:-6px}
.body+p{margin-block-start:10px}
.foot{margin-block:8px -6px}
.x{position:absolute;inset-block-start:9px;inset-inline-end:9px;width:30px;font-size:20px;line-height:1}
svg{width:20px;fill:none;stroke:currentColor;stroke-width:1.75;stroke-linejoin:round}
.down svg{rotate:180deg}
.row{display:flex;gap:8px}
.row>[role]{flex:1;display:flex;gap:8px;align-items:center;justify-content:center}
.scale{gap:3px;flex-wrap:wrap}
.scale>*{padding-inline:0}
.stars>[role]{border-color:transparent;background:none!important;color:var(--a)}
.stars svg{width:26px}
.stars:not(:hover)>.on svg,.stars:hover>:not(:hover~*) svg{fill:currentColor}
.list{display:grid;gap:6px;max-height:248px;overflow:auto;padding:3px;margin:-3px}
.list>*{text-align:start}
.short{grid-template-columns:repeat(5,1fr)}
.short>*{text-align:center;padding-inline:4px}
label{display:flex;gap:10px;align-items:center;min-height:32px;padding:4px 8px;border-radius:6px}
[type=checkbox]{width:18px;height:18px;accent-color:var(--a)}
.field{width:100%;padding:8px 10px;border:1px solid var(--m);border-radius:8px;background:var(--b)}
.ends{display:flex;justify-content:space-between}
@media(prefers-reduced-motion:no-preference){[role=dialog]{animation:i .18s}@keyframes i{from{opacity:0;translate:0 8px}}}`;
const ICONS = {
  star: "M12 3l2.8 5.7 6.2.9-4.5 4.4 1.1 6.2-5.6-2.9-5.6 2.9 1.1-6.2L3 9.6l6.2-.9z",
  thumb: "M7 10l4-7c2 0 3 1 2.5 6H19a2 2 0 0 1 2 2.3l-1.2 7.2a2 2 0 0 1-2 1.5H7zH3v10h4",
};

let config = { endpoint: new URL(script?.src || location).origin, nonce: script?.nonce };
let isListening;
let root;
let live;
let sheet;
let current;
let isAsking;
let session;
const listeners = {};

const emit = (event, detail) => listeners[event]?.forEach((listener) => queueMicrotask(() => listener(detail)));

const el = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value || value === 0) node.setAttribute(name, value);
  }
  node.append(...children.filter(Boolean));
  return node;
};
const small = (text, attributes) => text && el("p", { class: "small", ...attributes }, text);
const button = (text, kind, click, more) => el("button", { type: "button", class: kind, click, ...more }, text);
const icon = (name) => {
  const [svg, path] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
};

const locale = () => config.locale || document.documentElement.lang || navigator.language;
const t = (name, ...parts) => {
  const text = config.texts?.[name] ?? (TEXTS[locale().slice(0, 2)] ?? TEXTS.en)[name];
  return parts.reduce((done, part, at) => done.replace(`{${at}}`, part), text);
};
const uid = () => [...crypto.getRandomValues(new Uint32Array(4))].map((word) => word.toString(36)).join("");
const now = () => new Date().toISOString();

const PREFIX = "feedback:";
const safely = (act) => { try { return act(localStorage); } catch { return null; } };
const load = (name) => safely((kept) => JSON.parse(kept.getItem(PREFIX + name)));
const save = (name, value) => safely((kept) => kept.setItem(PREFIX + name, JSON.stringify(value)) ?? true);
const drop = (name) => safely((kept) => kept.removeItem(PREFIX + name));
const saved = () => safely(Object.keys)?.filter((name) => name.startsWith(`${PREFIX}out:`)).map((name) => name.slice(9)) ?? [];

const objects = () => navigator.globalPrivacyControl || navigator.doNotTrack === "1";
const mayAsk = () => config.consent ?? !objects();
const mayTrack = () => config.consent !== false && !objects();

// -- sending

const address = (path) => `${config.endpoint}/api/v1/${path}`;
const request = async (url, options) => fetch(url, { credentials: "omit", signal: AbortSignal.timeout(10_000), ...options });
const post = async (url, body, more) => request(url, { method: "POST", body: JSON.stringify(body), keepalive: true, ...more });
// Outlives the page; beacons, for old browsers, bring cookies.
const last = (url, body) => ("keepalive" in Request.prototype ? post(url, body).catch(() => {}) : navigator.sendBeacon?.(url, JSON.stringify(body)));

let waiting = [];
let isDraining;
let failures = 0;
let retry;

const queue = (url, body) => {
  const entry = { id: uid(), url, body, at: Date.now() };
  waiting.push(entry);
  save(`out:${entry.id}`, entry);
  // The first may be on its way.
  while (waiting.length > 40) {
    const [lost] = waiting.splice(Math.max(1, waiting.findIndex((each, at) => at && !each.body.answer)), 1);
    drop(`out:${lost.id}`);
    emit("error", { ...lost.body, code: "dropped" });
  }
  drain();
};

const tell = (token, event, more) => queue(address(`asks/${token}`), { event, occurred_at: now(), ...more });

const drain = async () => {
  clearTimeout(retry);
  if (isDraining) return;
  isDraining = true;
  while (waiting.length) {
    const [entry] = waiting;
    const response = await post(entry.url, { ...entry.body, sent_at: now() }).catch(() => null);
    if (!response || response.status === 429 || response.status >= 500) {
      retry = setTimeout(drain, Math.min(3_000 * 2 ** failures++, 1_800_000) * (0.5 + Math.random()));
      break;
    }
    failures = 0;
    waiting = waiting.filter((each) => each !== entry);
    drop(`out:${entry.id}`);
    const said = await response.json().catch(() => ({}));
    emit(response.ok ? "sent" : "error", { event: entry.body.event, ...said });
  }
  isDraining = false;
};

const resume = () => {
  prepare();
  const left = saved().map(load).filter((entry) => entry && !waiting.some((each) => each.id === entry.id));
  waiting.push(...left.sort((one, other) => one.at - other.at));
  drain();
};

// -- private answers

const draw = (count) => { // uniform below count, by rejection
  const [word] = crypto.getRandomValues(new Uint32Array(1));
  return word < 2 ** 32 - (2 ** 32 % count) ? word % count : draw(count);
};
const levels = ({ minimum, maximum }) => Array.from({ length: maximum - minimum + 1 }, (_, at) => minimum + at);

// k-ary randomised response; fresh noise would average out.
const randomise = (question, answer) => {
  const { epsilon } = question.private;
  const [[field, value]] = Object.entries(answer);
  const options = question.options?.map((option) => option.key) ?? (field === "thumb" ? ["up", "down"] : levels(question));
  const k = options.length;
  const name = `noise:${[config.project, question.key, epsilon, ...options]}`;
  let table = load(name);
  if (!table) {
    const truthful = Math.exp(epsilon) / (Math.exp(epsilon) + k - 1);
    table = options.map((_, at) => (draw(2 ** 32) < truthful * 2 ** 32 ? at : (at + 1 + draw(k - 1)) % k));
    if (!save(name, table)) return null;
  }
  return { [field]: options[table[options.indexOf(value)]], randomised: { mechanism: "krr", epsilon, k } };
};

// -- fields

// One tab stop.
const radios = (layout, options, pick) => {
  let isPicked;
  const buttons = options.map(({ key, text, name, image }, at) => {
    const choose = () => {
      if (isPicked) return;
      isPicked = true;
      buttons[at].setAttribute("aria-checked", true);
      buttons.slice(0, at + 1).forEach((each) => each.classList.add("on"));
      pick(key);
    };
    const more = { role: "radio", "aria-checked": "false", "aria-label": name, tabindex: at && -1 };
    const made = button(text, key, choose, more);
    if (image) made.prepend(icon(image));
    return made;
  });
  const keydown = (event) => {
    const at = buttons.indexOf(event.target);
    const right = getComputedStyle(event.target).direction === "rtl" ? -1 : 1;
    const by = { ArrowDown: 1, ArrowUp: -1, ArrowRight: right, ArrowLeft: -right }[event.key];
    if (!by) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    const next = buttons.at((at + by) % buttons.length);
    next.tabIndex = 0;
    next.focus();
  };
  return [el("div", { role: "radiogroup", "aria-labelledby": "title step", class: layout, keydown }, ...buttons)];
};

const withSend = (field, read, done) => {
  const send = button(t("send"), "main", () => done(read()));
  const input = () => { send.disabled = read() === undefined; };
  field.addEventListener("input", input);
  input();
  return [field, el("div", { class: "row" }, send)];
};
const field = (tag, more, ...children) => el(tag, { class: "field", "aria-labelledby": "title step", ...more }, ...children);

const written = (maxlength, text, done) => {
  const area = field("textarea", { rows: 3, maxlength });
  area.value = text;
  const read = () => area.value.toWellFormed().replaceAll("\0", "");
  return withSend(area, () => (read().trim() && read() !== text ? read() : undefined), done);
};

const oneOf = (options, done) => {
  if (options.length <= 12) {
    const isShort = options.length > 2 && options.every((option) => option.text.length < 4);
    return radios(isShort ? "list short" : "list", options, done);
  }
  const entries = options.map(({ key, text }) => new Option(text, key));
  const menu = field("select", {}, new Option(t("choose"), ""), ...entries);
  return withSend(menu, () => menu.value || undefined, done);
};

const severalOf = ({ options, least, most }, done) => {
  const boxes = options.map(({ key }) => el("input", { type: "checkbox", value: key }));
  const lines = options.map(({ text }, at) => el("label", {}, boxes[at], text));
  const read = () => {
    const keys = boxes.filter((box) => box.checked).map((box) => box.value);
    return keys.length >= (least ?? 0) && keys.length <= (most ?? keys.length) ? keys : undefined;
  };
  return withSend(field("div", { role: "group", class: "list" }, ...lines), read, done);
};

const rated = (question, done) => {
  const { maximum, style, low, high } = question;
  const all = levels(question);
  const isStars = style === "stars" && all.length < 8;
  const options = all.map((key) => ({ key, text: isStars ? "" : `${key}`, name: t("level", key, maximum), image: isStars && "star" }));
  const ends = (low || high) && el("div", { class: "ends small", "aria-hidden": true }, el("span", {}, low), el("span", {}, high));
  return [...radios(isStars ? "row stars" : "row scale", options, done), ends];
};

const kinds = {
  thumbs: (_, done) => radios("row", ["up", "down"].map((key) => ({ key, text: t(key), image: "thumb" })), (thumb) => done({ thumb })),
  rating: (question, done) => rated(question, (rating) => done({ rating })),
  single_choice: ({ options }, done) => oneOf(options, (choice) => done({ choice })),
  multiple_choice: (question, done) => severalOf(question, (choices) => done({ choices })),
  text: ({ longest }, done) => written(longest, "", (text) => done({ text })),
  text_correction: ({ longest, prediction }, done) => written(longest, prediction?.answer.text ?? "", (text) => done({ text })),
  preference: (question, done) => {
    const options = ["a", "b"].map((key) => ({ key, text: question[key] }));
    if (question.tie) options.push({ key: "tie", text: t("tie") });
    return oneOf(options, (preferred) => done({ preferred }));
  },
  numeric: ({ minimum, maximum, step, unit }, done) => {
    const input = field("input", { type: "number", min: minimum, max: maximum, step: step ?? "any", placeholder: unit });
    return withSend(input, () => (input.value && input.validity.valid ? +input.value : undefined), (number) => done({ number }));
  },

  correction: (question, done, prompt) => {
    const { prediction, options } = question;
    const others = { ...question, options: options.filter(({ key }) => key !== prediction?.answer.choice) };
    const correct = () => [
      prediction && small(t("correct")),
      ...kinds[question.answer_kind](others, (correction) => done({ ...(prediction && { is_right: false }), correction })),
      button(t("unknown"), "plain", () => (prediction ? prompt.end() : prompt.dismiss())),
    ];
    if (!prediction) return correct(); // hidden, or none
    const verdict = radios("row", [{ key: "yes", text: t("yes") }, { key: "no", text: t("no") }], (key) => {
      if (key === "yes") return done({ is_right: true });
      prompt.answer({ is_right: false }); // superseded by a correction
      prompt.fill(correct());
    });
    return [el("p", { class: "said", dir: "auto" }, prediction.text), ...verdict];
  },

  survey: ({ steps }, done, prompt) => {
    const answers = {};
    const step = (at) => {
      const asked = steps[at];
      if (!asked) return Object.keys(answers).length ? done({ answers }) : prompt.dismiss();
      const go = (answer) => {
        if (prompt.isTurning) return;
        if (answer) answers[asked.key] = answer;
        prompt.started();
        const next = step(at + 1);
        if (next) prompt.fill(next, answer && 200);
      };
      return [
        el("p", { id: "step" }, asked.text), small(asked.help), ...kinds[asked.kind](asked, go),
        button(`${t("skip")} (${t("level", at + 1, steps.length)})`, "plain", () => go()),
      ];
    };
    return step(0);
  },
};
kinds.multi_label = kinds.multiple_choice;

// -- the prompt

const attach = (host) => {
  const shadow = host.attachShadow({ mode: "open" });
  try {
    if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(STYLE);
    shadow.adoptedStyleSheets = [sheet];
  } catch { // an old browser
    shadow.append(el("style", { nonce: config.nonce }, STYLE));
  }
  return shadow;
};

// A live region has to be there before it speaks.
const prepare = () => {
  if (root?.isConnected || !document.body) return;
  live = el("div", { class: "live", "aria-live": "polite" });
  root = el("feedback-prompt", { class: "corner" });
  attach(root).append(live);
  document.body.append(root);
};

class Prompt {
  constructor({ question, token, target, key }) {
    Object.assign(this, { question, token, key });
    prepare();
    this.host = target ? el("feedback-prompt", {}) : root;
    this.shadow = this.host.shadowRoot ?? attach(this.host);
    this.body = el("div", { class: "body", input: () => this.started() });
    this.foot = button(t("never"), "plain foot", () => this.dismiss("opted_out"));
    this.panel = el(
      "div",
      {
        class: "panel", role: target ? "region" : "dialog", "aria-labelledby": "title", tabindex: -1, lang: question.locale,
        keydown: (event) => {
          event.stopPropagation(); // the page's shortcuts are not meant
          if (event.key === "Escape") this.dismiss();
        },
        focusin: ({ relatedTarget }) => { if (relatedTarget && !this.panel.contains(relatedTarget)) this.cameFrom = relatedTarget; },
      },
      el("p", { id: "title" }, question.text),
      small(question.help),
      this.body,
      question.private && small(t("private")),
      this.foot,
      button("×", "plain x", () => this.dismiss(), { "aria-label": t("close") }),
    );
    this.dress(question.direction);
    this.fill(kinds[question.kind](question, (answer) => this.finish(answer), this));
    this.shadow.append(this.panel);
    target?.append(this.host);
    live.textContent = `${t("label")}: ${question.text}`;
    new IntersectionObserver((entries, observer) => {
      if (this.isOver || !entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      this.shownAt = performance.now();
      this.tell("shown");
    }).observe(this.panel);
  }

  dress(direction) {
    const { scheme, side, ...variables } = config.theme ?? {};
    const ofPage = getComputedStyle(document.documentElement).colorScheme;
    this.host.dir = direction;
    this.host.style.colorScheme = scheme ?? (ofPage === "normal" ? "light dark" : ofPage);
    this.host.classList.toggle("start", side === "start");
    for (const name in variables) this.host.style.setProperty(`--feedback-${name}`, variables[name]);
  }

  tell(event, more) {
    if (this.token) tell(this.token, event, more);
    emit(event, { key: this.key, question: this.question.key, ...more });
  }

  started() {
    if (this.isStarted || this.question.private) return;
    this.isStarted = true;
    this.tell("started");
  }

  answer(answer, comment) {
    const isPrivate = this.question.private;
    this.given = isPrivate ? randomise(this.question, answer) : answer;
    const duration = !isPrivate && this.shownAt && { duration_ms: Math.round(performance.now() - this.shownAt) };
    if (this.given) this.tell("answered", { id: uid(), answer: this.given, comment, ...duration });
  }

  // The focus stays if it was here, and never comes by itself.
  fill(nodes, pause) {
    this.isTurning = !!pause;
    const place = () => {
      this.isTurning = false;
      const had = this.shadow.activeElement;
      this.body.replaceChildren(...nodes.filter(Boolean));
      if (had && !this.shadow.activeElement) (this.body.querySelector("[tabindex='0'],input,textarea,select") ?? this.panel).focus();
    };
    if (pause) setTimeout(place, pause); // the choice is seen
    else place();
  }

  finish(answer) {
    if (this.isTurning) return;
    this.answer(answer);
    if (!this.question.comment || this.question.private) return this.end(200);
    const nodes = written(2_000, "", (comment) => {
      this.answer(answer, comment);
      this.end();
    });
    this.fill([small(t("comment"), { id: "step" }), ...nodes], 200);
  }

  end(pause) {
    const thanks = this.question.thanks || t("thanks");
    this.isOver = true;
    this.foot.remove();
    this.fill([thanks], pause);
    live.textContent = thanks;
    setTimeout(() => this.close(), 2_500);
  }

  dismiss(event = "dismissed") {
    if (!this.given || event !== "dismissed") this.tell(event);
    this.close();
  }

  close() {
    if (current !== this) return;
    current = undefined;
    this.isOver = true;
    const hadFocus = this.shadow.activeElement;
    this.panel.remove();
    if (this.host !== root) this.host.remove();
    if (hadFocus) this.cameFrom?.focus({ preventScroll: true });
    emit("closed", { key: this.key, question: this.question.key });
  }
}

// -- what people do

let rows = [];
let flushing;
const quiet = new Set(); // items asked about in private

const flush = () => {
  clearTimeout(flushing);
  flushing = undefined;
  if (navigator.onLine === false) return;
  while (rows.length) {
    const some = rows.splice(0, 50).map((row) => ({ ...row, sent_at: now() }));
    last(address(`projects/${config.project}/feedback?key=${config.key}`), some);
  }
};

const track = (row) => {
  if (!mayTrack() || !config.key || current?.question.private || quiet.has(row.key)) return;
  rows.push({ id: uid(), occurred_at: now(), respondent: respondent(), ...row });
  rows = rows.slice(-200);
  flushing ??= setTimeout(flush, 5_000);
};

const trackOf = (element, kind, value) => {
  const { key, requestId: request_id, predictionId, modelVersion: model_version, position } = element.dataset;
  if (quiet.has(key)) return;
  const target = predictionId ? { prediction_id: +predictionId } : request_id ? { request_id } : { key, model_version };
  const list = element.closest("[data-feedback-list]")?.querySelectorAll("[data-key]");
  const candidates = list && [...list].map((each) => each.dataset.key);
  const context = { position: +position || candidates?.indexOf(key) + 1 || undefined, candidates };
  track({ kind, value, ...target, context });
};

const watched = new Map(); // in view

const settle = (state, element) => {
  const seconds = (performance.now() - state.since) / 1_000;
  state.since = performance.now();
  if ("feedbackDwell" in element.dataset && seconds >= 1) trackOf(element, "dwell", +seconds.toFixed(1));
};

const enter = (element) => {
  const { dataset } = element;
  const state = { since: performance.now() };
  watched.set(element, state);
  if ("feedbackImpression" in dataset) {
    state.timer = setTimeout(() => {
      delete dataset.feedbackImpression;
      trackOf(element, "impression");
    }, 1_000);
  }
  if ("feedbackAsk" in dataset) {
    delete dataset.feedbackAsk;
    calls.ask({ key: dataset.key, question: dataset.question, target: element });
  }
};

const view = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting, intersectionRatio, intersectionRect } of entries) {
    const isSeen = isIntersecting && (intersectionRatio >= 0.5 || intersectionRect.height >= innerHeight / 2);
    const state = watched.get(target);
    if (isSeen && !state) enter(target);
    if (isSeen || !state) continue;
    clearTimeout(state.timer);
    settle(state, target);
    watched.delete(target);
  }
}, { threshold: [0, 0.25, 0.5] });

const discover = () => {
  document.querySelectorAll("[data-feedback-ask],[data-feedback-dwell],[data-feedback-impression]").forEach((each) => view.observe(each));
};

const leave = () => {
  watched.forEach(settle);
  flush();
  for (const { url, body } of waiting) last(url, { ...body, sent_at: now() });
};

const start = () => {
  if (mayAsk()) prepare();
  discover();
  new MutationObserver(discover).observe(document, { childList: true, subtree: true });
};

const listen = () => {
  document.addEventListener("click", ({ target }) => {
    const element = target.closest("[data-feedback-click]");
    if (element) trackOf(element, "click");
  }, true);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) leave();
    else for (const state of watched.values()) state.since = performance.now();
  });
  addEventListener("pagehide", leave);
  addEventListener("online", () => { drain(); flush(); });
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
};

// -- calls

const respondent = () => {
  if (`${config.respondent}` !== "true") return config.respondent;
  const name = load("respondent") ?? uid();
  save("respondent", name);
  return name;
};

const refused = (reason) => ({ ask: false, reason });

const call = async (asked) => {
  try {
    const response = await asked;
    const said = await response.json();
    if (response.ok) return said;
    emit("error", said);
    return { ...said, ...refused("refused") };
  } catch {
    emit("error", { code: "unreachable" });
    return refused("unreachable");
  }
};

const present = (asked) => {
  const { question, token, key } = asked;
  if (question.private && token) {
    if (!save("probe", 1)) {
      tell(token, "dismissed");
      return emit("error", { code: "no_storage" });
    }
    if (key) quiet.add(key);
  }
  current?.close();
  current = new Prompt(asked);
};

const calls = {
  init(options) {
    config = { ...config, ...options };
    if (!isListening) listen();
    isListening = true;
    if (mayAsk()) resume();
  },

  async ask({ target, ...fields }) {
    if (!mayAsk()) return refused("no_consent");
    if (current || isAsking) return refused("busy");
    isAsking = true;
    session ??= safely(() => (sessionStorage.feedback ??= uid())) ?? uid();
    const { project, key, consent } = config;
    const decision = await call(post(
      address(`projects/${project}/asks`),
      { respondent: respondent(), session: config.session ?? session, consent, locale: locale(), ...fields },
      { headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}` } },
    ));
    isAsking = false;
    emit("decided", decision);
    if (decision.ask && mayAsk()) present({ ...decision, target });
    return decision;
  },

  async show(asked) {
    const { question, token, key } = asked;
    if (token && !mayAsk()) return refused("no_consent");
    if (question && (key || !token || !question.private)) return present(asked);
    const said = await call(request(address(`asks/${token}?locale=${locale()}`)));
    if (!/offered|shown/.test(said.state)) return refused(said.reason ?? said.state);
    present({ ...asked, ...said });
    return { ask: true, ...said };
  },

  consent(given) {
    config.consent = given;
    if (mayAsk()) return resume();
    current?.close();
    rows = [];
    waiting = [];
    session = undefined;
    safely(() => delete sessionStorage.feedback);
    for (const name of ["respondent", ...saved()]) drop(name);
  },

  on(event, listener) {
    (listeners[event] ??= []).push(listener);
  },

  track,
  randomise,
  close: () => current?.close(),
};

const before = window.feedback;
window.feedback = Object.assign(async (name, ...parts) => calls[name](...parts), before, { q: null });
if (script?.dataset.project) {
  calls.init({ ...script.dataset, consent: script.dataset.consent === "false" ? false : undefined });
}
for (const [parts, done] of before?.q ?? []) feedback(...parts).then(done);
})();
