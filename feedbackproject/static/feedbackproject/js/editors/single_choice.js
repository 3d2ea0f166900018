// Single choice: one class of a list. Few classes have a key each, many are found by typing.
(() => {
  "use strict";

  const { ClassPicker, Editor, editors, dom } = window.feedback;
  const { hasModifier, titleOf } = dom;

  class SingleChoice extends Editor {
    build() {
      this.titles = new Map(this.schema.classes.map((each) => [each.key, titleOf(each)]));
      this.picker = new ClassPicker({
        root: this.root,
        classes: this.schema.classes,
        onMove: () => this.moved(),
        onPick: () => this.onPick(),
      });
    }

    fill(answer, suggestion) {
      this.isFilling = true;
      this.picker.reset({ suggested: suggestion ? [suggestion.choice] : [] });
      const option = answer && this.picker.byKey.get(answer.choice);
      if (option) this.picker.moveTo(option);
      this.isFilling = false;
    }

    moved() {
      if (this.isFilling || !this.picker) return;
      // With the search emptied and no class chosen, nothing has been said yet.
      this.start = null;
      this.isTouched = this.picker.cursor !== null || this.picker.isSearching;
      this.onChange();
    }

    get own() {
      return this.picker.cursor ? { choice: this.picker.cursor.key } : null;
    }

    get wanted() {
      return "Choose a class";
    }

    get confirmLabel() {
      return this.picker.isSearching && !this.picker.cursor ? "No class matches" : super.confirmLabel;
    }

    summary(answer) {
      return this.titles.get(answer.choice) ?? answer.choice;
    }

    handleKey(event) {
      const { key, target } = event;
      const inSearch = target === this.picker.search;
      if (this.isElsewhere(event) || hasModifier(event)) return false;
      if (key === "Enter") return inSearch && this.submitFrom(event);
      if (key === "ArrowDown" || key === "ArrowUp") {
        if (target.closest?.(".payload")) return false;
        this.picker.step(key === "ArrowDown" ? 1 : -1);
        return true;
      }
      if (key === "Escape") {
        // First empties the search, then leaves it, so that letters are commands; then unchooses.
        if (!this.picker.clearSearch()) {
          if (inSearch) this.picker.list.focus({ preventScroll: true });
          else this.picker.moveTo(null);
        }
        return true;
      }
      return this.picker.handleKey(event, this.commandKeys);
    }

    focus() {
      this.picker.focus();
    }

    get keysHelp() {
      const { hasSearch, digitsSearch } = this.picker;
      if (!hasSearch) {
        return [
          [["1", "…", "9", "0"], "Choose the class with that key beside it; some may have a letter instead"],
          [["↑", "↓"], "Choose the class above or below"],
          [["Esc"], "Choose nothing"],
        ];
      }
      return [
        [["Letters"], "Find a class; the best match is chosen"],
        ...(digitsSearch ? [] : [[["1", "…", "9", "0"], "Choose one of the first ten classes in the list"]]),
        [["↑", "↓"], "Choose the class above or below"],
        [["Esc"], "Empty the search; again: leave it, and letters are commands"],
        [["/"], "Back to the search"],
      ];
    }
  }

  editors.single_choice = SingleChoice;
})();
