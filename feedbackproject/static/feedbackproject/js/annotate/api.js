// The service's side of the labeling page.
(() => {
  "use strict";

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

  // Browsers refuse to keep more than 64 KB alive, all requests of a page together.
  const MOST_KEPT_ALIVE_BYTES = 16 * 1024;

  /** Logging in again, in another tab, changes the token; the cookie has the one that counts. */
  const currentToken = (fallback) => /(?:^|;\s*)csrftoken=([^;]+)/.exec(document.cookie)?.[1] ?? fallback;

  class TaskApi {
    constructor({ base, csrfToken }) {
      this.base = base;
      this.csrfToken = csrfToken;
    }

    async call(path, body = {}, options = {}) {
      let response;
      const content = JSON.stringify(body);
      const isSmall = new Blob([content]).size <= MOST_KEPT_ALIVE_BYTES;
      try {
        response = await fetch(this.base + path, {
          method: "POST",
          credentials: "same-origin",
          headers: { "Content-Type": "application/json", "Accept": "application/json", "X-CSRFToken": currentToken(this.csrfToken) },
          body: content,
          ...options,
          keepalive: Boolean(options.keepalive) && isSmall,
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

    next(limit) { return this.call("tasks/next", { limit }); }
    undo(annotationId) { return this.call("tasks/undo", { annotation_id: annotationId }); }
    extend(taskIds) { return this.call("tasks/extend", { task_ids: taskIds }); }
    draft(taskId, draft) { return this.call(`tasks/${taskId}/draft`, draft, { method: "PUT", keepalive: true }); }
    edit(annotationId, body) { return this.call(`annotations/${annotationId}/edit`, body); }
    lesson(annotationId) { return this.call(`training/${annotationId}`, {}, { method: "GET", body: undefined }); }
    // The browser finishes what is kept alive, even when the page is gone.
    release(taskId) { return this.call(`tasks/${taskId}/release`, {}, { keepalive: true }); }
    /** `next`: how many tasks to hold afterwards; they come back in the same answer. */
    send(entry, next) { return this.call(`tasks/${entry.task.id}/${entry.kind}`, { ...entry.body, next }, { keepalive: true }); }
  }

  Object.assign(window.feedback, { ApiError, TaskApi });
})();
