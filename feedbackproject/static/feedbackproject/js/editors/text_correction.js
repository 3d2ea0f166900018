// Text correction: the model's output in a field, and below it what was changed.
(() => {
  "use strict";

  const { Editor, editors, dom, wordDiff } = window.feedback;
  const { element, plural } = dom;

  const DIFF_AFTER_MS = 120;
  const LONGEST_SUMMARY = 60;

  class TextCorrection extends Editor {
    build() {
      this.area = element("textarea", { id: "correction", dir: "auto", spellcheck: "true", rows: "8", "aria-describedby": "correction-state" });
      this.state = element("p", { class: "help", id: "correction-state" });
      this.diff = element("div", { class: "diff", dir: "auto", role: "group", tabindex: "0", "aria-label": "What was changed" });
      this.root.append(element("div", { class: "field" },
        element("label", { for: "correction" }, "Correct the text", ...(this.isCoarse ? [] : [element("span", { class: "optional" }, " – Ctrl+Enter gives the answer")])), this.area, this.state), this.diff);
      this.area.addEventListener("input", () => {
        this.start = null;
        this.isTouched = true;
        this.onChange();
        clearTimeout(this.soon);
        this.soon = setTimeout(() => this.compare(), DIFF_AFTER_MS);
      });
    }

    fill(answer, suggestion) {
      const source = this.payload[this.schema.source ?? "output"];
      this.original = typeof source === "string" ? source : suggestion?.text ?? "";
      // Null: there is nothing to begin with, so nothing may be called right as it is.
      this.offered = suggestion?.text ?? (typeof source === "string" ? source : null);
      this.area.value = answer?.text ?? this.offered ?? "";
      this.area.scrollTop = 0;
      clearTimeout(this.soon);
      this.compare();
    }

    get own() {
      return { text: this.area.value };
    }

    get value() {
      if (this.isTouched || this.start) return this.own;
      return this.offered === null ? null : { text: this.offered };
    }

    get isUnchanged() {
      return this.area.value === this.original;
    }

    get confirmLabel() {
      if (this.value === null) return this.wanted;
      if (this.isUnchanged) return "Right as it is";
      return this.isAccepting ? "Accept the suggested text" : "Save the correction";
    }

    get wanted() {
      return "Enter the text";
    }

    summary(answer) {
      const text = answer.text.trim().replace(/\s+/gu, " ");
      const characters = [...text];
      return characters.length > LONGEST_SUMMARY ? `${characters.slice(0, LONGEST_SUMMARY).join("")}…` : text || "(empty)";
    }

    compare() {
      const runs = wordDiff(this.original, this.area.value);
      const changes = runs.filter((run) => run.kind !== "same").length;
      const tags = { removed: "del", added: "ins", same: "span" };
      this.diff.replaceChildren(...(changes ? runs.map(({ kind, text }) => element(tags[kind], {}, text)) : [
        element("span", { class: "muted" }, "Nothing is changed yet.")]));
      this.state.textContent = changes
        ? `${plural(changes, "change")}${this.isAccepting ? " suggested by the model" : ""}. Struck out: was there; underlined: is new.`
        : "As the model wrote it.";
      this.onChange();
    }

    handleKey(event) {
      const { key, target } = event;
      const isInside = target === this.area;
      if (!isInside) return false;
      if (key === "Enter" && (event.ctrlKey || event.metaKey)) return this.submitFrom(event);
      if (key === "Escape") {
        this.diff.focus({ preventScroll: true });
        this.announce("Left the text; letters are commands now. Tab goes on.");
        return true;
      }
      return false;
    }

    focus() {
      if (this.isCoarse) return;
      this.area.focus({ preventScroll: true });
      this.area.setSelectionRange(0, 0);
    }

    get keysHelp() {
      return [
        [["Ctrl+Enter"], "Give the answer from inside the text"],
        [["Esc"], "Leave the text, so that letters are commands and Enter gives the answer"],
        [["Ctrl+Z"], "Inside the text: take back what you typed"],
      ];
    }
  }

  editors.text_correction = TextCorrection;
})();
