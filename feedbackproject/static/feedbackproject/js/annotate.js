// The labeling page: holds the current task and the next ones, so that the next item is there at once. The answer itself is
// given in an editor, one a task type (editors/); this is everything around it.
(() => {
  "use strict";

  const { ApiError, Drafts, Keyboard, Lessons, Outbox, Refused, Remarks, SkipMenu, TaskApi, announce, dom, editors, payload } = window.feedback;
  const { element, quoted } = dom;

  const HELD = 3;
  const LOOK_AGAIN_MS = 4000;
  const PACE_OVER = 20;
  const SPOKEN_CHARACTERS = 300;
  const REMEMBERED_ANSWERS = 100;
  const LEFT_BEHIND = "left-behind";
  const MOST_TRIES = 20;

  const by = (id) => document.getElementById(id);

  class AnnotatePage {
    constructor(config) {
      this.config = config;
      this.held = [];
      // What we are done with: an answer of the service that set out earlier may still name it.
      this.done = new Set();
      this.given = [];
      this.counts = config.counts;
      this.answerTimes = [];
      this.isClaiming = false;
      this.isUndoing = false;
      this.api = new TaskApi({ base: config.api_url, csrfToken: config.csrf_token });
      this.drafts = new Drafts({ person: config.person, save: (taskId, draft) => this.api.draft(taskId, draft) });
      this.outbox = new Outbox({
        api: this.api,
        held: HELD,
        storageKey: `outbox:${config.person}:${config.project}`,
        onSent: (entry, answer) => this.sent(entry, answer),
        onRefused: (entry, error) => this.refused(entry, error),
        onChange: () => this.showOutbox(),
      });
      this.lost = new Refused({ box: by("lost"), storageKey: `refused:${config.person}:${config.project}` });
      this.editor = new editors[config.schema.kind]({
        root: by("editor"),
        schema: config.schema,
        config: { payload: by("payload") },
        onChange: () => this.changed(),
        onSubmit: () => this.confirm(),
        onPick: () => this.picked(),
        announce,
      });
      this.lessons = new Lessons({
        dialog: by("lesson"),
        fetchLesson: (annotationId) => this.api.lesson(annotationId),
        summary: (answer) => this.editor.summary(answer),
        onClose: (lesson) => {
          // The next item lay behind the lesson: its time begins now.
          this.shownAt = performance.now();
          if (lesson?.verdict === "honest") this.graduate();
        },
      });
      this.skipMenu = new SkipMenu({ dialog: by("skip-menu"), onSkip: (body) => this.skip(body) });
      this.remarks = new Remarks({
        text: by("comment-text"),
        opener: by("comment"),
        state: by("comment-state"),
        flag: by("flag"),
        onWrite: () => { if (this.task) this.drafts.keep(this.task, this.editor.value, this.remarks.comment); },
      });
      this.buttons();
      this.keyboard = new Keyboard({
        editor: this.editor,
        commands: this.commands(),
        hasTask: () => this.task !== null,
        onConfirm: () => this.confirm(),
      });
      this.keyboard.explain({ rows: by("keys-of-editor"), confirmKey: by("confirm-key") });
      this.leases();
      this.showProgress();
      this.showOutbox();
      setInterval(() => this.showProgress(), 15000);
      if (config.edit) this.openEdit(config.edit);
      else this.begin();
    }

    async begin() {
      // After a reload, what the page before gave back may still be on its way to the service; it must not undo our claim.
      let left = JSON.parse(sessionStorage.getItem(LEFT_BEHIND) ?? "[]");
      sessionStorage.removeItem(LEFT_BEHIND);
      try {
        for (let tries = 0; left.length && tries < MOST_TRIES; tries += 1) ({ task_ids: left } = await this.api.extend(left));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
      }
      if (this.outbox.isEmpty) this.claim();
      else this.outbox.resume();
    }

    get task() {
      return this.held[0] ?? null;
    }

    // -- getting tasks ---------------------------------------------------------------------------------------

    async claim() {
      // What is being sent brings the next tasks with it.
      if (this.isClaiming || this.config.edit || (!this.outbox.isEmpty && !this.outbox.error)) return;
      this.isClaiming = true;
      clearTimeout(this.lookAgain);
      try {
        this.take(await this.api.next(this.outbox.wanted()));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (!this.task) this.idle("No items at the moment", error.message);
      } finally {
        this.isClaiming = false;
      }
    }

    /** Append what the service leased to us, whichever call it came with. */
    take(answer) {
      const waiting = this.outbox.entries.map((entry) => entry.task.id);
      const known = new Set([...this.done, ...waiting, ...this.held.map((task) => task.id)]);
      const hadTask = this.task !== null;
      const added = answer.tasks.filter((task) => !known.has(task.id));
      this.held.push(...added);
      for (const task of added) payload.prefetch(task.item, this.config.schema);
      this.counts = answer.counts;
      this.showProgress();
      if (this.held.some((task) => task.label_schema_version !== this.config.label_schema_version)) this.reload();
      else if (!hadTask && this.task) this.show();
      else if (!this.task) this.nothing(answer);
    }

    /** The label schema has changed: what this page shows is no longer what may be answered. */
    async reload() {
      this.idle("What may be answered has changed", "This page is loading it anew.");
      this.drafts.flush();
      if (await this.outbox.settled()) location.reload();
    }

    /** The training is over: what was held for it is not served any more. */
    async graduate() {
      this.held = [];
      this.idle("Your training is over", "This page is loading the real work.");
      if (await this.outbox.settled()) location.reload();
    }

    nothing(answer) {
      const { title, text } = this.config.nothing[answer.reason] ?? this.config.nothing.empty;
      const at = answer.first_free_at ? new Date(answer.first_free_at).toLocaleTimeString([], { timeStyle: "short" }) : "";
      this.idle(title, text.replace("{time}", at));
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

    /** `begun`: the answer to begin with, of an answer that came back; else the draft, if there is one. */
    show(begun = null) {
      const { task } = this;
      if (!task) {
        this.claim();
        return;
      }
      by("idle").hidden = true;
      by("work").hidden = false;
      by("why").textContent = task.why;
      by("why").classList.toggle("audit", task.is_audit);
      by("item-key").textContent = task.item.key;
      this.showBadges(task);
      payload.show(by("payload"), task.item, this.config.schema);
      by("payload").scrollTop = 0;
      const draft = this.drafts.of(task);
      const rescued = this.lost.answerFor(task.id);
      this.remarks.set(begun?.comment ?? draft?.comment ?? "", begun?.is_flagged ?? false);
      this.isShowing = true;
      this.editor.show(task, { answer: begun?.answer ?? rescued ?? draft?.answer ?? null });
      this.isShowing = false;
      this.showSuggestion(task);
      this.changed();
      this.shownAt = performance.now();
      this.since ??= Date.now();
      this.focus();
      announce(this.spoken(task));
    }

    showBadges(task) {
      by("assigned").hidden = !task.is_assigned;
      by("due").hidden = !task.due_at;
      if (task.due_at) by("due").textContent = `Due ${new Date(task.due_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}`;
    }

    /** What a screen reader says of a new item, while the focus stays where the answer is given. */
    spoken(task) {
      const { text } = task.item.payload ?? {};
      return typeof text === "string" ? text.slice(0, SPOKEN_CHARACTERS) : `Item ${task.item.key}`;
    }

    showSuggestion(task) {
      const { suggestion } = task;
      by("suggestion").hidden = !suggestion;
      by("no-suggestion").hidden = Boolean(suggestion);
      if (suggestion) {
        const share = Math.round(100 * suggestion.confidence);
        by("suggested").textContent = this.editor.summary(suggestion.answer);
        by("confidence").textContent = `${share}% sure`;
        by("confidence-bar").firstElementChild.style.width = `${share}%`;
      } else if (task.edits) by("no-suggestion").textContent = "You are changing an answer. The one before stays in the history.";
      else if (task.is_audit) by("no-suggestion").textContent = "No suggestion here: your own view is what counts for the measurement.";
      else if (!this.config.shows_suggestions) by("no-suggestion").textContent = "Suggestions are hidden in this project.";
      else by("no-suggestion").textContent = "No suggestion is shown for this one.";
    }

    /** The editor holds something else now. */
    changed() {
      if (!this.editor || !this.task) return;
      by("confirm").setAttribute("aria-disabled", String(this.editor.value === null));
      by("confirm-label").textContent = this.editor.confirmLabel;
      if (!this.isShowing && this.editor.isTouched) this.drafts.keep(this.task, this.editor.value, this.remarks.comment);
    }

    /** What the service counted last, and the answers that are on their way to it. */
    showProgress() {
      const unsent = this.outbox.answers.length;
      by("done-today").textContent = (this.counts.answered_today + unsent).toLocaleString("en");
      by("open-count").textContent = Math.max(0, this.counts.open - unsent).toLocaleString("en");
      const times = this.answerTimes.slice(-PACE_OVER);
      const minutes = times.length > 2 ? (times.at(-1) - times[0]) / 60000 : 0;
      by("pace").textContent = minutes > 0 ? `${Math.max(1, Math.round((times.length - 1) / minutes))} a minute` : "–";
      const session = this.since ? Math.floor((Date.now() - this.since) / 60000) : 0;
      by("session").textContent = `${this.answerTimes.length} in ${session < 1 ? "<1" : session} min`;
    }

    focus() {
      if (!document.querySelector("dialog[open]")) this.editor.focus();
    }

    // -- answering -------------------------------------------------------------------------------------------

    picked() {
      if (by("at-once").checked) this.confirm();
      else this.focus();
    }

    confirm() {
      if (!this.task) return;
      const { value } = this.editor;
      if (value === null) {
        announce(this.editor.hint);
        this.say("error", this.editor.hint);
        return;
      }
      const title = this.editor.summary(value);
      const said = { answer: value, comment: this.remarks.comment, is_flagged: this.remarks.isFlagged };
      if (this.task.edits) {
        this.saveEdit(this.task, said);
        return;
      }
      const task = this.leave();
      this.answerTimes.push(performance.now());
      const body = { ...said, suggested_answer: task.suggestion?.answer ?? null, duration_ms: Math.round(performance.now() - this.shownAt) };
      this.say("working", `Saving ${quoted(title)}…`);
      this.outbox.add({ kind: "submit", task, body, title });
      this.show();
    }

    /** Be done with the current task. */
    leave() {
      const task = this.held.shift();
      this.done.add(task.id);
      this.drafts.drop(task);
      this.lost.forget(task.id);
      return task;
    }

    skip(body) {
      if (!this.task || this.task.edits) return;
      const task = this.leave();
      this.outbox.add({ kind: "skip", task, body, title: "" });
      this.show();
    }

    async undo() {
      if (this.isUndoing || this.config.edit) return;
      this.isUndoing = true;
      try {
        const unsent = this.outbox.takeBack();
        if (unsent) this.comeBack(unsent.task, unsent.body);
        else if (await this.outbox.settled()) await this.undoSaved();
        else this.say("error", "The answer before is not sent yet. Undo when it is saved.");
      } finally {
        this.isUndoing = false;
      }
    }

    async undoSaved() {
      const last = this.given.at(-1);
      try {
        const answer = await this.api.undo(last?.annotationId ?? null);
        this.given.pop();
        this.counts = { ...this.counts, answered_today: Math.max(0, this.counts.answered_today - 1), open: this.counts.open + 1 };
        if (answer.task) this.comeBack(answer.task, { comment: "", ...last, answer: answer.undone });
        else this.say("undone", "Taken back. Somebody else is at the item now.");
        this.showProgress();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (!error.isPassing) this.given.pop();
        this.say("error", error.message);
      }
    }

    comeBack(task, begun) {
      this.done.delete(task.id);
      this.held = [task, ...this.held.filter((each) => each.id !== task.id)];
      this.answerTimes.pop();
      this.showProgress();
      this.show(begun);
      this.say("undone", "Taken back. Answer it again.");
    }

    sent(entry, answer) {
      if (entry.kind === "submit") {
        this.say("saved", `Saved ${quoted(entry.title)}`);
        if (answer) this.given.push({ annotationId: answer.annotation_id, comment: entry.body.comment, is_flagged: entry.body.is_flagged });
        if (this.given.length > REMEMBERED_ANSWERS) this.given.shift();
        // Only in training is it told that an item's answer is known.
        if (answer && entry.task.reason === "gold") this.lessons.after(answer.annotation_id, entry.title);
      } else this.say("saved", SkipMenu.SAID[entry.body.kind]);
      if (answer?.next) this.take(answer.next);
      else this.claim();
    }

    /** Refused for good. What was said is kept: if the item comes again, it is there again; else it can be read and copied. */
    refused(entry, error) {
      this.done.delete(entry.task.id);
      if (entry.kind === "submit") {
        this.answerTimes.pop();
        const isLate = error.code === "lease_expired" || error.code === "not_leased";
        const more = isLate ? "It was held too long and went back to the queue. If it is still free, it comes again, with your answer." : error.message;
        this.say("error", `${quoted(entry.title)} was not saved. ${more}`);
        this.lost.keep(entry, error);
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
      by("unsent-list").replaceChildren(...answers.map((entry) => element("li", { dir: "auto" }, `${quoted(entry.title)} for ${entry.task.item.key}`)));
      by("unsent-title").textContent = answers.length === 1 ? "1 answer is not saved yet" : `${answers.length} answers are not saved yet`;
      by("unsent-login").hidden = ![401, 403].includes(error.status);
      this.say("error", "Not saved yet.");
    }

    // -- changing an answer of the history -------------------------------------------------------------------

    openEdit({ annotation_id: annotationId, item, ...begun }) {
      this.held = [{ id: `edit-${annotationId}`, edits: annotationId, item, why: "From your history.", is_audit: false, suggestion: null }];
      by("skip").hidden = true;
      by("undo").hidden = true;
      this.show(begun);
    }

    async saveEdit(task, said) {
      this.say("working", "Saving the change…");
      try {
        await this.api.edit(task.edits, said);
        this.drafts.drop(task);
        location.assign(this.config.history_url);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        this.say("error", `Not saved. ${error.message}`);
      }
    }

    // -- keys and buttons ------------------------------------------------------------------------------------

    buttons() {
      const press = (id, action) => by(id).addEventListener("click", () => { action(); this.focus(); });
      press("confirm", () => this.confirm());
      press("undo", () => this.undo());
      press("retry", () => this.outbox.retry());
      press("flag", () => this.task && this.remarks.flag());
      by("skip").addEventListener("click", () => this.openSkip());
      by("idle-again").addEventListener("click", () => this.claim());
      for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("close", () => this.focus());
      const atOnce = by("at-once");
      atOnce.checked = localStorage.getItem("answer-at-once") === "yes";
      atOnce.addEventListener("change", () => localStorage.setItem("answer-at-once", atOnce.checked ? "yes" : "no"));
    }

    openSkip() {
      if (this.task && !this.task.edits) this.skipMenu.open();
    }

    commands() {
      return {
        s: () => this.openSkip(),
        u: () => this.undo(),
        g: () => by("guidelines").showModal(),
        c: () => { by("comment-dialog").showModal(); by("comment-text").focus(); },
        f: () => this.task && this.remarks.flag(),
        h: () => location.assign(this.config.history_url),
        "?": () => by("keys-help").showModal(),
      };
    }

    // -- leases ----------------------------------------------------------------------------------------------

    leases() {
      const beat = async () => {
        const waiting = this.outbox.entries.map((entry) => entry.task.id);
        const shown = this.held.filter((task) => !task.edits);
        if (document.hidden || !(shown.length + waiting.length)) return;
        try {
          const { task_ids: ours } = await this.api.extend([...shown.map((task) => task.id), ...waiting]);
          for (const task of shown) if (!ours.includes(task.id)) this.drop(task);
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
        }
      };
      setInterval(beat, 1000 * this.config.lease_seconds / 3);
      document.addEventListener("visibilitychange", () => {
        if (document.hidden) {
          this.drafts.flush();
          return;
        }
        if (this.looksWhenSeen) this.claim();
        this.looksWhenSeen = false;
        beat();
      });
      window.addEventListener("pagehide", () => {
        this.drafts.flush();
        this.outbox.leave();
        const leaving = this.held.splice(0).filter((task) => !task.edits).map((task) => task.id);
        if (leaving.length) sessionStorage.setItem(LEFT_BEHIND, JSON.stringify(leaving));
        for (const taskId of leaving) this.api.release(taskId).catch(() => {});
      });
      window.addEventListener("pageshow", (event) => {
        if (!event.persisted) return;
        this.outbox.comeBack();
        this.claim();
      });
    }

    /** The lease of a task we held is gone: show the next one, and say why this one left. */
    drop(task) {
      if (!this.held.includes(task)) return;
      const wasCurrent = this.task === task;
      this.held = this.held.filter((each) => each !== task);
      if (!wasCurrent) return;
      this.say("error", "The item before was held too long and went back to the queue. What you began is kept for when it comes again.");
      this.show();
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    new AnnotatePage(JSON.parse(by("annotate-config").textContent));
  });
})();
