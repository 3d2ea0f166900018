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

  class ApiError extends Error {
    constructor(message, { code = "", status = 0 } = {}) {
      super(message);
      this.code = code;
      this.status = status;
    }

    /** Nothing is wrong with the request itself: it may work later, or after logging in again. */
    get isPassing() {
      return this.status === 0 || this.status >= 500 || [401, 403, 408, 429].includes(this.status);
    }
  }

  class TaskApi {
    constructor({ base, csrfToken }) {
      this.base = base;
      this.csrfToken = csrfToken;
    }

    async call(path, body = {}, options = {}) {
      let response;
      try {
        response = await fetch(this.base + path, {
          method: "POST",
          credentials: "same-origin",
          headers: { "Content-Type": "application/json", "Accept": "application/json", "X-CSRFToken": this.csrfToken },
          body: JSON.stringify(body),
          ...options,
        });
      } catch {
        throw new ApiError("The service cannot be reached.");
      }
      const answer = response.status === 204 ? null : await response.json().catch(() => null);
      if (response.ok) return answer;
      const isLoggedOut = response.status === 401 || response.status === 403;
      const message = isLoggedOut ? "You are logged out, or may no longer label here." : answer?.message ?? "The service has a problem.";
      throw new ApiError(message, { code: answer?.code, status: response.status });
    }

    next(limit) { return this.call("next", { limit }); }
    undo() { return this.call("undo"); }
    extend(taskId) { return this.call(`${taskId}/extend`); }
    // The browser finishes what is kept alive, even when the page is gone.
    release(taskId) { return this.call(`${taskId}/release`, {}, { keepalive: true }); }
    /** `next`: how many tasks to hold afterwards; they come back in the same answer. */
    send(entry, next) { return this.call(`${entry.task.id}/${entry.kind}`, { ...entry.body, next }, { keepalive: true }); }
  }

  class Outbox {
    /**
     * `held`: so many tasks the page wants to hold. `onSent(entry, answer)`, `onRefused(entry, error)`, `onChange()`
     * after every change of the line.
     */
    constructor({ api, held, onSent, onRefused, onChange }) {
      this.api = api;
      this.held = held;
      this.onSent = onSent;
      this.onRefused = onRefused;
      this.onChange = onChange;
      this.entries = [];
      this.isSending = false;
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
      this.entries.push({ ...entry, attempts: 0 });
      this.onChange();
      if (!this.error) this.#drain();
    }

    /** Take back the newest answer if it was not sent yet; null if there is none to take back here. */
    takeBack() {
      const last = this.entries.at(-1);
      // One that was tried may have arrived although its confirmation did not.
      if (!last || last.kind !== "submit" || last.attempts > 0) return null;
      this.entries.pop();
      if (this.isEmpty) this.#forgetError();
      this.onChange();
      return last;
    }

    retry() {
      clearTimeout(this.timer);
      this.error = null;
      this.#drain();
    }

    /** The page goes away: send at once what waits behind the first, each on its own. */
    leave() {
      for (const entry of this.entries.slice(this.isSending ? 1 : 0)) this.api.send(entry, 0).catch(() => {});
    }

    /** Resolves when nothing is on its way; false if something is stuck. */
    async settled() {
      while (this.isSending) await this.running;
      return this.isEmpty;
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
      while (!this.isEmpty) {
        const entry = this.entries[0];
        entry.attempts += 1;
        try {
          const answer = await this.api.send(entry, this.wanted());
          this.#forgetError();
          this.entries.shift();
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
          // The first attempt had arrived, only its confirmation was lost.
          if (error.code === "already_answered" && entry.attempts > 1) this.onSent(entry, null);
          else this.onRefused(entry, error);
        }
        this.onChange();
      }
      this.isSending = false;
      this.onChange();
    }
  }

  Object.assign(window.feedback, { ApiError, TaskApi, Outbox });
})();
