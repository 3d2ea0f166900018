// The labeling page: holds the current task and the next ones, so that the next item is there at once.
(() => {
  "use strict";

  const { ApiError, ClassList, Outbox, TaskApi, announce, payload } = window.feedback;

  const HELD = 3;
  const LOOK_AGAIN_MS = 4000;
  const PACE_OVER = 20;
  const SPOKEN_CHARACTERS = 300;

  const by = (id) => document.getElementById(id);
  const quoted = (title) => `“${title}”`;

  class AnnotatePage {
    constructor(config) {
      this.config = config;
      this.held = [];
      // What we are done with: an answer of the service that set out earlier may still name it.
      this.done = new Set();
      this.counts = config.counts;
      this.answerTimes = [];
      this.isClaiming = false;
      this.isUndoing = false;
      this.isCoarse = matchMedia("(pointer: coarse)").matches;
      this.api = new TaskApi({ base: config.tasks_url, csrfToken: config.csrf_token });
      this.outbox = new Outbox({
        api: this.api,
        held: HELD,
        onSent: (entry, answer) => this.sent(entry, answer),
        onRefused: (entry, error) => this.refused(entry, error),
        onChange: () => this.showOutbox(),
      });
      this.list = new ClassList({
        list: by("choices"),
        search: by("search"),
        classes: config.classes,
        hasSearch: config.has_search,
        digitsSearch: config.digits_search,
        onChange: () => this.showConfirm(),
        onPick: () => this.picked(),
      });
      this.buttons();
      this.keys();
      this.leases();
      this.showProgress();
      this.claim();
    }

    get task() {
      return this.held[0] ?? null;
    }

    // -- getting tasks ---------------------------------------------------------------------------------------

    async claim() {
      // What is being sent brings the next tasks with it.
      if (this.isClaiming || !this.outbox.isEmpty) return;
      this.isClaiming = true;
      clearTimeout(this.lookAgain);
      try {
        this.take(await this.api.next(HELD));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (!this.task) this.idle("No items at the moment", error.message);
      } finally {
        this.isClaiming = false;
      }
    }

    /** Append what the service leased to us, whichever call it came with. */
    take(answer) {
      const known = new Set([...this.done, ...this.held.map((task) => task.id)]);
      const hadTask = this.task !== null;
      this.held.push(...answer.tasks.filter((task) => !known.has(task.id)));
      this.counts = answer.counts;
      this.showProgress();
      if (this.held.some((task) => task.label_schema_version !== this.config.label_schema_version)) this.reload();
      else if (!hadTask && this.task) this.show();
      else if (!this.task) this.nothing(answer);
    }

    /** The classes have changed: what this page shows is no longer what may be answered. */
    async reload() {
      this.idle("The classes have changed", "This page is loading the new ones.");
      if (await this.outbox.settled()) location.reload();
    }

    nothing(answer) {
      const texts = this.config.nothing[answer.reason] ?? this.config.nothing.empty;
      this.idle(texts.title, texts.text);
    }

    idle(title, text) {
      by("work").hidden = true;
      by("idle").hidden = false;
      by("idle-title").textContent = title;
      by("idle-text").textContent = text;
      clearTimeout(this.lookAgain);
      this.lookAgain = setTimeout(() => { if (document.hidden) this.looksWhenSeen = true; else this.claim(); }, LOOK_AGAIN_MS);
    }

    // -- showing one -----------------------------------------------------------------------------------------

    show(chosenKey = null) {
      const task = this.task;
      if (!task) {
        this.claim();
        return;
      }
      by("idle").hidden = true;
      by("work").hidden = false;
      by("why").textContent = task.why;
      by("why").classList.toggle("audit", task.is_audit);
      by("item-key").textContent = task.item.key;
      payload.show(by("payload"), task.item, this.config.schema ?? {});
      by("payload").scrollTop = 0;
      this.list.reset(task.suggestion?.class ?? null);
      this.showSuggestion(task);
      if (chosenKey !== null) this.list.chooseKey(chosenKey);
      this.shownAt = performance.now();
      this.focus();
      announce(this.spoken(task));
    }

    /** What a screen reader says of a new item, while the focus stays where the answer is given. */
    spoken(task) {
      const { text } = task.item.payload ?? {};
      return typeof text === "string" ? text.slice(0, SPOKEN_CHARACTERS) : `Item ${task.item.key}`;
    }

    showSuggestion(task) {
      const option = this.list.suggestedOption;
      by("suggestion").hidden = !option;
      by("no-suggestion").hidden = Boolean(option);
      if (option) {
        const share = Math.round(100 * task.suggestion.confidence);
        by("suggested-class").textContent = option.title;
        by("confidence").textContent = `${share}% sure`;
        by("confidence-bar").firstElementChild.style.width = `${share}%`;
      } else {
        by("no-suggestion").textContent = task.is_audit
          ? "No suggestion here: your own view is what counts for the measurement."
          : "The model has no suggestion for this one.";
      }
    }

    showConfirm() {
      const option = this.list.chosen ?? this.list.suggestedOption;
      const label = by("confirm-label");
      by("confirm").setAttribute("aria-disabled", String(!option));
      if (this.list.isSearching && !this.list.chosen) label.textContent = "No class matches";
      else if (!option) label.textContent = "Choose a class";
      else label.textContent = `${this.list.chosen ? "Answer" : "Accept"} ${quoted(option.title)}`;
    }

    /** What the service counted last, and the answers that are on their way to it. */
    showProgress() {
      const unsent = this.outbox.answers.length;
      by("done-today").textContent = (this.counts.answered_today + unsent).toLocaleString("en");
      by("open-count").textContent = Math.max(0, this.counts.open - unsent).toLocaleString("en");
      const times = this.answerTimes.slice(-PACE_OVER);
      const minutes = times.length > 2 ? (times.at(-1) - times[0]) / 60000 : 0;
      by("pace").textContent = minutes > 0 ? `${Math.max(1, Math.round((times.length - 1) / minutes))} a minute` : "–";
    }

    /** Where typing goes: the search field, except on touch screens, where it would raise the keyboard. */
    focus() {
      if (document.querySelector("dialog[open]")) return;
      const target = this.list.hasSearch && !this.isCoarse ? by("search") : by("choices");
      target.focus({ preventScroll: true });
    }

    // -- answering -------------------------------------------------------------------------------------------

    picked() {
      if (by("at-once").checked) this.confirm();
      else if (!this.isCoarse) this.focus();
    }

    confirm() {
      if (!this.task) return;
      const option = this.list.isSearching ? this.list.chosen : this.list.chosen ?? this.list.suggestedOption;
      if (!option) {
        announce("Choose a class first.");
        return;
      }
      const task = this.leave();
      this.answerTimes.push(performance.now());
      const body = {
        answer: { choice: option.key },
        suggested_answer: task.suggestion ? { choice: task.suggestion.class } : null,
        duration_ms: Math.round(performance.now() - this.shownAt),
      };
      this.say("working", `Saving ${quoted(option.title)}…`);
      this.outbox.add({ kind: "submit", task, body, title: option.title });
      this.show();
    }

    /** Be done with the current task. */
    leave() {
      const task = this.held.shift();
      this.done.add(task.id);
      return task;
    }

    skip() {
      if (!this.task) return;
      const task = this.leave();
      this.outbox.add({ kind: "skip", task, body: {}, title: "" });
      this.show();
    }

    async undo() {
      if (this.isUndoing) return;
      this.isUndoing = true;
      try {
        const unsent = this.outbox.takeBack();
        if (unsent) this.comeBack(unsent.task, unsent.body.answer.choice);
        else if (await this.outbox.settled()) await this.undoSaved();
        else this.say("error", "The answer before is not sent yet. Undo when it is saved.");
      } finally {
        this.isUndoing = false;
      }
    }

    async undoSaved() {
      try {
        const answer = await this.api.undo();
        this.counts = { ...this.counts, answered_today: this.counts.answered_today - 1, open: this.counts.open + 1 };
        this.comeBack(answer.task, answer.undone?.choice ?? null);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        this.say("error", error.message);
      }
    }

    comeBack(task, chosenKey) {
      this.done.delete(task.id);
      this.held = [task, ...this.held.filter((each) => each.id !== task.id)];
      this.answerTimes.pop();
      this.showProgress();
      this.show(chosenKey);
      this.say("undone", "Taken back. Answer it again.");
    }

    sent(entry, answer) {
      if (entry.kind === "submit") this.say("saved", `Saved ${quoted(entry.title)}`);
      else this.say("saved", "Skipped; somebody else may answer it.");
      if (answer?.next) this.take(answer.next);
      else this.claim();
    }

    refused(entry, error) {
      this.done.delete(entry.task.id);
      if (entry.kind === "submit") {
        this.answerTimes.pop();
        const isLate = error.code === "lease_expired" || error.code === "not_leased";
        const more = isLate ? "It was held too long and went back to the queue. If it is still free, it comes again." : error.message;
        this.say("error", `${quoted(entry.title)} was not saved. ${more}`);
      } else {
        this.say("error", error.message);
      }
      this.showProgress();
      this.claim();
    }

    say(kind, text) {
      const line = by("saved");
      line.className = `outcome ${kind}`;
      line.textContent = text;
    }

    showOutbox() {
      const { error, answers } = this.outbox;
      this.showProgress();
      by("unsent").hidden = !error;
      if (!error) return;
      by("unsent-text").textContent = error.message;
      by("unsent-list").replaceChildren(...answers.map((entry) => {
        const line = document.createElement("li");
        line.dir = "auto";
        line.textContent = `${quoted(entry.title)} for ${entry.task.item.key}`;
        return line;
      }));
      by("unsent-title").textContent = answers.length === 1 ? "1 answer is not saved yet" : `${answers.length} answers are not saved yet`;
      by("unsent-login").hidden = ![401, 403].includes(error.status);
      this.say("error", "Not saved yet.");
    }

    // -- keys and buttons ------------------------------------------------------------------------------------

    buttons() {
      const press = (id, action) => by(id).addEventListener("click", () => { action(); this.focus(); });
      press("confirm", () => this.confirm());
      press("skip", () => this.skip());
      press("undo", () => this.undo());
      press("retry", () => this.outbox.retry());
      by("idle-again").addEventListener("click", () => this.claim());
      for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("close", () => this.focus());
      const atOnce = by("at-once");
      atOnce.checked = localStorage.getItem("answer-at-once") === "yes";
      atOnce.addEventListener("change", () => localStorage.setItem("answer-at-once", atOnce.checked ? "yes" : "no"));
      const hotkeys = new Set(this.config.classes.map((each) => each.hotkey.toLowerCase()));
      for (const hint of document.querySelectorAll("[data-command-key]")) {
        const key = hint.dataset.commandKey;
        const isTaken = this.list.hasSearch || hotkeys.has(key);
        hint.textContent = isTaken && key !== "?" ? `Alt+${key.toUpperCase()}` : key.toUpperCase();
      }
    }

    keys() {
      this.commands = {
        s: () => this.skip(),
        u: () => this.undo(),
        g: () => this.open("guidelines"),
        "?": () => this.open("keys-help"),
      };
      document.addEventListener("keydown", (event) => {
        if (document.querySelector("dialog[open]") || event.isComposing) return;
        if (this.handle(event)) event.preventDefault();
      });
    }

    open(id) {
      by(id).showModal();
    }

    /** Whether the key meant something here. */
    handle(event) {
      const { key, target } = event;
      const inSearch = target === by("search");
      const isElsewhere = target.closest("input, textarea, select, summary, [contenteditable]") && !inSearch;
      if (event.altKey && !event.ctrlKey && !event.metaKey) {
        // On some keyboards Alt changes the character; the code names the key itself.
        const command = this.commands[key.toLowerCase()] ?? this.commands[event.code.replace(/^Key/, "").toLowerCase()];
        return this.run(command, event);
      }
      if ((event.ctrlKey || event.metaKey) && key === "z" && !this.list.isSearching) return this.run(this.commands.u, event);
      if (event.ctrlKey || event.metaKey || isElsewhere || !this.task) {
        return !this.task && !inSearch && key in this.commands && !event.ctrlKey && !event.metaKey && this.run(this.commands[key], event);
      }
      if (key === "Enter") {
        const isControl = target.closest("a, button") !== null;
        // A key held down must not answer the items that follow.
        return !isControl && (event.repeat || (this.confirm(), true));
      }
      if (key === "ArrowDown" || key === "ArrowUp") return this.arrow(key === "ArrowDown" ? 1 : -1, target);
      if (key === "Escape") return this.escape(inSearch);
      const option = this.list.optionFor(key, inSearch);
      if (option) {
        if (!event.repeat) this.list.choose(option, true);
        return true;
      }
      if (inSearch) return key === "?" && !this.list.isSearching && this.run(this.commands["?"], event);
      if (key === "/" && this.list.hasSearch) return by("search").focus(), true;
      if (key in this.commands) return this.run(this.commands[key], event);
      if (this.list.hasSearch && /^\p{L}$/u.test(key)) by("search").focus();
      return false;
    }

    run(command, event) {
      if (!command) return false;
      if (!event.repeat) command();
      return true;
    }

    arrow(step, target) {
      const isScrolling = target.closest(".payload-table, .payload") !== null;
      if (isScrolling) return false;
      this.list.move(step);
      return true;
    }

    /** First empties the search, then leaves it, so that letters are commands; then unchooses. */
    escape(inSearch) {
      if (this.list.search.value) {
        this.list.search.value = "";
        this.list.filter();
      } else if (inSearch) by("choices").focus();
      else this.list.choose(null, false);
      return true;
    }

    // -- leases ----------------------------------------------------------------------------------------------

    leases() {
      const beat = () => {
        if (document.hidden) return;
        for (const task of [...this.held]) {
          this.api.extend(task.id).catch((error) => {
            if (!error.isPassing) this.drop(task);
          });
        }
      };
      setInterval(beat, 1000 * this.config.lease_seconds / 3);
      document.addEventListener("visibilitychange", () => {
        if (document.hidden) return;
        if (this.looksWhenSeen) this.claim();
        this.looksWhenSeen = false;
        beat();
      });
      window.addEventListener("pagehide", () => {
        this.outbox.leave();
        for (const task of this.held.splice(0)) this.api.release(task.id).catch(() => {});
      });
      window.addEventListener("pageshow", (event) => {
        if (event.persisted) this.claim();
      });
      window.addEventListener("beforeunload", (event) => {
        if (this.outbox.error) event.preventDefault();
      });
    }

    /** The lease of a task we held is gone: show the next one, and say why this one left. */
    drop(task) {
      const wasCurrent = this.task === task;
      this.held = this.held.filter((each) => each !== task);
      if (!wasCurrent) return;
      this.say("error", "The item before was held too long and went back to the queue.");
      this.show();
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    new AnnotatePage(JSON.parse(by("annotate-config").textContent));
  });
})();
