// The three ways to pass an item by: put it off, leave it to others, call it unusable.
(() => {
  "use strict";

  class SkipMenu {
    static SAID = {
      later: "Put off; it comes back to you later.",
      someone_else: "Left to somebody else.",
      unusable: "Called unusable; a manager can return it.",
    };

    /** `onSkip(body)` gets what the service is told. */
    constructor({ dialog, onSkip }) {
      this.dialog = dialog;
      this.onSkip = onSkip;
      this.reason = dialog.querySelector("[data-skip-reason]");
      this.error = dialog.querySelector("[data-skip-error]");
      for (const button of dialog.querySelectorAll("[data-skip]")) {
        button.addEventListener("click", () => this.choose(button.dataset.skip));
      }
      dialog.addEventListener("keydown", (event) => this.#key(event));
      this.reason.addEventListener("input", () => { this.error.textContent = ""; });
    }

    open() {
      this.reason.value = "";
      this.error.textContent = "";
      this.dialog.showModal();
      this.dialog.querySelector("[data-skip]").focus();
    }

    choose(kind) {
      const reason = this.reason.value.trim();
      if (kind === "unusable" && !reason) {
        this.error.textContent = "Say why it is unusable, then press Enter.";
        this.reason.focus();
        return;
      }
      this.dialog.close();
      this.onSkip({ kind, reason });
    }

    #key(event) {
      const { key, target } = event;
      if (target === this.reason) {
        if (key !== "Enter") return;
        event.preventDefault();
        this.choose("unusable");
        return;
      }
      const button = this.dialog.querySelector(`[data-skip-key="${CSS.escape(key)}"]`);
      if (!button || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.choose(button.dataset.skip);
    }
  }

  window.feedback.SkipMenu = SkipMenu;
})();
