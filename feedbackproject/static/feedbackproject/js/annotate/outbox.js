// Sends answers one after the other, in the order they were given, and loses none of them.
//
// An answer that cannot be sent now stays at the head of the line, visible, and is tried again: by itself after a
// while, when the network comes back, or when the annotator says so. A refusal of the service is final and reported.
(() => {
  "use strict";

  const FIRST_WAIT_MS = 1000;
  const LONGEST_WAIT_MS = 30000;
  /** The service leases no more to one person. */
  const MOST_TASKS = 10;

  const { ApiError } = window.feedback;

  class Outbox {
    /**
     * `held`: so many tasks the page wants to hold. `storageKey`: under which this browser keeps what is not sent yet, each
     * answer on its own, so that a closed page loses nothing and two pages do not overwrite each other's.
     * `onSent(entry, answer)`, `onRefused(entry, error)`, `onChange()` after every change of the line.
     */
    constructor({ api, held, storageKey, onSent, onRefused, onChange }) {
      this.api = api;
      this.storageKey = storageKey;
      this.held = held;
      this.onSent = onSent;
      this.onRefused = onRefused;
      this.onChange = onChange;
      this.entries = this.#restored();
      this.isSending = false;
      this.isLeaving = false;
      this.error = null;
      this.waitMs = FIRST_WAIT_MS;
      this.timer = 0;
      window.addEventListener("online", () => this.retry());
    }

    get isEmpty() {
      return this.entries.length === 0;
    }

    get answers() {
      return this.entries.filter((entry) => entry.kind === "submit");
    }

    /** Tasks whose answers wait here are still leased to us, but the page is done with them. */
    wanted() {
      return Math.min(MOST_TASKS, this.held + Math.max(0, this.entries.length - 1));
    }

    add(entry) {
      const added = { ...entry, attempts: 0 };
      this.entries.push(added);
      this.#keep(added);
      this.onChange();
      if (!this.error) this.#drain();
    }

    /** Take back the newest answer if it was not sent yet; null if there is none to take back here. */
    takeBack() {
      const last = this.entries.at(-1);
      // One that was tried may have arrived although its confirmation did not.
      if (!last || last.kind !== "submit" || last.attempts > 0) return null;
      this.entries.pop();
      this.#forget(last);
      if (this.isEmpty) this.#forgetError();
      this.onChange();
      return last;
    }

    retry() {
      clearTimeout(this.timer);
      this.error = null;
      this.#drain();
    }

    /** The page goes away: send at once what waits behind the first, each on its own, and nothing after that. */
    leave() {
      this.isLeaving = true;
      for (const entry of this.entries.slice(this.isSending ? 1 : 0)) {
        entry.attempts += 1;
        this.api.send(entry, 0).catch(() => {});
      }
    }

    /** The page is back as it was left. */
    comeBack() {
      this.isLeaving = false;
      this.resume();
    }

    /** Resolves when nothing is on its way; false if something is stuck. */
    async settled() {
      while (this.isSending) await this.running;
      return this.isEmpty;
    }

    /** Send what an earlier visit left behind. */
    resume() {
      if (!this.isEmpty) this.retry();
    }

    #key(entry) {
      return `${this.storageKey}:${entry.task.id}`;
    }

    #keep(entry) {
      const { kind, task, body, title } = entry;
      // Of the task only what a later visit needs: payloads may be large, and there is room for few of them.
      const kept = { kind, body, title, task: { id: task.id, item: { key: task.item.key } }, at: Date.now() };
      try {
        localStorage.setItem(this.#key(entry), JSON.stringify(kept));
      } catch { /* Full or forbidden: it is still held by the page. */ }
    }

    #forget(entry) {
      localStorage.removeItem(this.#key(entry));
    }

    /** What an earlier visit left behind. It counts as tried: sent as the page closed, it may have arrived. */
    #restored() {
      const kept = [];
      for (const key of Object.keys(localStorage)) {
        if (!key.startsWith(`${this.storageKey}:`)) continue;
        try {
          kept.push({ ...JSON.parse(localStorage.getItem(key)), attempts: 1 });
        } catch { /* Not ours. */ }
      }
      return kept.sort((a, b) => a.at - b.at);
    }

    #forgetError() {
      clearTimeout(this.timer);
      this.error = null;
      this.waitMs = FIRST_WAIT_MS;
    }

    #drain() {
      if (this.isSending) return;
      this.running = this.#send();
    }

    async #send() {
      this.isSending = true;
      while (!this.isEmpty && !this.isLeaving) {
        const entry = this.entries[0];
        entry.attempts += 1;
        try {
          const answer = await this.api.send(entry, this.wanted());
          this.#forgetError();
          this.entries.shift();
          this.#forget(entry);
          this.onSent(entry, answer);
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          if (error.isPassing) {
            this.error = error;
            this.timer = setTimeout(() => this.retry(), this.waitMs);
            this.waitMs = Math.min(2 * this.waitMs, LONGEST_WAIT_MS);
            break;
          }
          this.#forgetError();
          this.entries.shift();
          this.#forget(entry);
          // The first attempt had arrived, only its confirmation was lost.
          const arrived = entry.kind === "submit" ? ["already_answered"] : ["not_leased", "task_closed"];
          if (entry.attempts > 1 && arrived.includes(error.code)) this.onSent(entry, null);
          else this.onRefused(entry, error);
        }
        this.onChange();
      }
      this.isSending = false;
      this.onChange();
    }
  }

  window.feedback.Outbox = Outbox;
})();
