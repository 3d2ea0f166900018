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

    next(limit) { return this.call("tasks/next", { limit }); }
    undo(annotationId) { return this.call("tasks/undo", { annotation_id: annotationId }); }
    extend(taskIds) { return this.call("tasks/extend", { task_ids: taskIds }); }
    draft(taskId, draft) { return this.call(`tasks/${taskId}/draft`, draft, { method: "PUT" }); }
    edit(annotationId, body) { return this.call(`annotations/${annotationId}/edit`, body); }
    // The browser finishes what is kept alive, even when the page is gone.
    release(taskId) { return this.call(`tasks/${taskId}/release`, {}, { keepalive: true }); }
    /** `next`: how many tasks to hold afterwards; they come back in the same answer. */
    send(entry, next) { return this.call(`tasks/${entry.task.id}/${entry.kind}`, { ...entry.body, next }, { keepalive: true }); }
  }

  Object.assign(window.feedback, { ApiError, TaskApi });
})();
