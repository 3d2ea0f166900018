// Keeps what was begun: in this browser at once, on the service a moment later, so that another machine has it too.
(() => {
  "use strict";

  const SEND_AFTER_MS = 1500;
  const PREFIX = "draft:";
  const KEPT_DAYS = 14;

  class Drafts {
    /** `save(taskId, draft)` sends one to the service. `person`: whose drafts they are, where several share a browser. */
    constructor({ person, save }) {
      this.prefix = `${PREFIX}${person}:`;
      this.save = save;
      this.pending = null;
      this.timer = 0;
      this.#forgetOld();
    }

    /** The newer of what this browser and what the service has; null if there is neither. */
    of(task) {
      const here = this.#read(task.id);
      const there = task.draft;
      if (!here || !there) return here ?? there ?? null;
      return here.version > there.version ? here : there;
    }

    keep(task, answer, comment) {
      const before = Math.max(this.#read(task.id)?.version ?? 0, task.draft?.version ?? 0);
      const version = before + 1;
      if (answer === null && comment === "" && before === 0) return;
      const draft = { answer, comment, version };
      try {
        localStorage.setItem(this.prefix + task.id, JSON.stringify({ ...draft, at: Date.now() }));
      } catch { /* Full or forbidden: the service's copy has to do. */ }
      this.pending = { task, draft };
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.flush(), SEND_AFTER_MS);
    }

    /** Send now what waits. */
    flush() {
      clearTimeout(this.timer);
      const { pending } = this;
      this.pending = null;
      if (!pending) return;
      pending.task.draft = pending.draft;
      // An outdated or refused draft is no news to the annotator: the answer itself is what counts.
      this.save(pending.task.id, pending.draft).catch(() => {});
    }

    /** The task is answered or left: nothing of it is a draft any more. */
    drop(task) {
      if (this.pending?.task === task) {
        clearTimeout(this.timer);
        this.pending = null;
      }
      localStorage.removeItem(this.prefix + task.id);
    }

    #read(taskId) {
      try {
        return JSON.parse(localStorage.getItem(this.prefix + taskId));
      } catch {
        return null;
      }
    }

    #forgetOld() {
      const oldest = Date.now() - KEPT_DAYS * 86400000;
      for (const key of Object.keys(localStorage)) {
        if (!key.startsWith(this.prefix)) continue;
        if (!(this.#read(key.slice(this.prefix.length))?.at >= oldest)) localStorage.removeItem(key);
      }
    }
  }

  window.feedback.Drafts = Drafts;
})();
