// Pairwise preference: A or B, which stand side by side in the payload; a tie or both bad where the schema allows it.
(() => {
  "use strict";

  const { LevelsEditor, editors } = window.feedback;

  class Preference extends LevelsEditor {
    build() {
      this.field = "preference";
      const { allows_tie: allowsTie = true, allows_both_bad: allowsBothBad = true } = this.schema;
      this.buildLevels([
        { value: "a", text: "A is better", title: "A is better", keys: ["1"] },
        { value: "b", text: "B is better", title: "B is better", keys: ["2"] },
        ...(allowsTie ? [{ value: "tie", text: "Tie", title: "Tie", keys: ["t", "3"] }] : []),
        ...(allowsBothBad ? [{ value: "both_bad", text: "Both are bad", title: "Both are bad", keys: ["b", "4"] }] : []),
      ], "Which is better?");
    }

    show(task, options) {
      super.show(task, options);
      this.columns = [...(this.config.payload?.querySelectorAll(".payload-column[data-side]") ?? [])];
      for (const column of this.columns) {
        column.addEventListener("click", (event) => {
          // Selecting words in a text, or following a link, is no choice.
          if (!getSelection().isCollapsed || event.target.closest("a, button, summary")) return;
          this.choose(this.levels.find((level) => level.value === column.dataset.side), true);
        });
      }
      this.draw();
    }

    draw() {
      super.draw();
      for (const column of this.columns ?? []) {
        const { side } = column.dataset;
        column.classList.toggle("is-chosen", side === this.chosen?.value);
        column.classList.toggle("is-suggested", side === this.suggested?.value);
      }
    }

    handleArrow({ key, target }) {
      if (target.closest?.(".column-content") && (key === "ArrowUp" || key === "ArrowDown")) return false;
      if (key === "ArrowLeft" || key === "ArrowRight") {
        const isA = (key === "ArrowLeft") === (getComputedStyle(this.group).direction !== "rtl");
        this.choose(this.levels[isA ? 0 : 1], false);
        this.announce(this.chosen.title);
        return true;
      }
      return super.handleArrow({ key, target });
    }

    get wanted() {
      return "Choose the better one";
    }

    get keysHelp() {
      const offered = new Set(this.levels.map((level) => level.value));
      return [
        [["1", "←"], "A is better"],
        [["2", "→"], "B is better"],
        ...(offered.has("tie") ? [[["T"], "Tie"]] : []),
        ...(offered.has("both_bad") ? [[["B"], "Both are bad"]] : []),
        [["↑", "↓"], "The answer above or below"],
        [["Esc"], "Choose nothing"],
      ];
    }
  }

  editors.preference = Preference;
})();
