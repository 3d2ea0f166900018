// Keeps the parts of a page up to date. The server sends only what changed; see render_live in labeling/page_edges.py.
// Asks while the tab is visible, less often while the server does not answer.
(() => {
  "use strict";

  const LONGEST_WAIT_SECONDS = 60;
  let isAsking = false;
  let failures = 0;
  let notBefore = 0;
  const askedAt = new Map();

  const root = () => document.querySelector("[data-live]");
  const parts = () => [...document.querySelectorAll("[data-live-part]")];

  const dueParts = (now) => parts().filter((part) => {
    const name = part.dataset.livePart;
    if (!askedAt.has(name)) askedAt.set(name, now); // it came with the page
    return now - askedAt.get(name) >= Number(part.dataset.liveSeconds) * 1000;
  });

  const ask = (due) => {
    isAsking = true;
    for (const part of due) askedAt.set(part.dataset.livePart, Date.now());
    const headers = {
      "Live-Parts": due.map((part) => part.dataset.livePart).join(","),
      "If-None-Match": due.map((part) => `"${part.dataset.liveTag}"`).join(", "),
    };
    // The address of the page, filters included, at the moment of asking.
    htmx.ajax("GET", location.pathname + location.search, { source: root(), target: root(), swap: "none", headers });
  };

  const tick = () => {
    const now = Date.now();
    if (document.hidden || isAsking || now < notBefore || !root()) return;
    const due = dueParts(now);
    if (due.length) ask(due);
  };

  /** What the page says about itself: nothing while it is up to date. */
  const say = (text) => {
    const state = document.querySelector("[data-live-state]");
    if (state && state.textContent !== text) state.textContent = text;
  };

  // What a person has ticked, and where they are, outlives a swap: by id, as the server knows neither.
  let ticked = new Map();
  let focused = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.elt !== root()) return;
    ticked = new Map([...document.querySelectorAll("[data-live-keep]")].map((box) => [box.id, box.checked]));
    focused = document.activeElement?.closest("[data-live-part]") ? document.activeElement : null;
  });
  document.addEventListener("htmx:oobAfterSwap", () => {
    for (const box of document.querySelectorAll("[data-live-keep]")) {
      if (ticked.has(box.id)) box.checked = ticked.get(box.id);
    }
  });
  document.addEventListener("htmx:afterSettle", () => {
    if (focused && !focused.isConnected && document.activeElement === document.body) {
      // Its like has the focus now if there is one; if not, the next tab goes on from the part it was in.
      (document.getElementById(focused.id) || document.querySelector("[data-live-refuge]"))?.focus({ preventScroll: true });
    }
    focused = null;
    ticked.clear();
    document.dispatchEvent(new CustomEvent("live:swapped"));
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt !== root()) return;
    isAsking = false;
    const { xhr } = event.detail;
    const isAnswer = xhr.status >= 200 && xhr.status < 300 && xhr.getResponseHeader("Live-Parts");
    if (isAnswer) {
      failures = 0;
      say("");
      return;
    }
    failures += 1;
    notBefore = Date.now() + Math.min(2 ** failures, LONGEST_WAIT_SECONDS) * 1000;
    // Logged out, the answer is the login page.
    say(xhr.status === 200 ? "You are logged out. Reload the page to go on." : "No connection: the figures may be old.");
  });

  document.addEventListener("visibilitychange", tick);
  setInterval(tick, 500);
})();
