// What goes with an answer to whoever reviews it: a comment, and a flag.
(() => {
  "use strict";

  const { announce } = window.feedback;

  class Remarks {
    /** `text`: the field; `opener`: the button that opens it; `state`: says on it that there is a comment; `flag`: a toggle button. */
    constructor({ text, opener, state, flag, onWrite }) {
      Object.assign(this, { text, opener, state, toggle: flag });
      text.addEventListener("input", () => {
        this.#draw();
        onWrite();
      });
    }

    get comment() {
      return this.text.value.trim();
    }

    get isFlagged() {
      return this.toggle.getAttribute("aria-pressed") === "true";
    }

    set(comment, isFlagged) {
      this.text.value = comment;
      this.toggle.setAttribute("aria-pressed", String(isFlagged));
      this.#draw();
    }

    flag() {
      this.toggle.setAttribute("aria-pressed", String(!this.isFlagged));
      announce(this.isFlagged ? "Flagged for a reviewer." : "Not flagged any more.");
    }

    #draw() {
      this.opener.classList.toggle("has-content", this.comment !== "");
      this.state.textContent = this.comment === "" ? "" : " (written)";
    }
  }

  window.feedback.Remarks = Remarks;
})();
