// Multi-label: any number of classes, within bounds. "None of these" is an answer of its own, never an oversight.
(() => {
  "use strict";

  const { ClassPicker, Editor, editors, dom } = window.feedback;
  const { button, element, hasModifier, kbd, plural, titleOf } = dom;

  class MultiLabel extends Editor {
    build() {
      this.titles = new Map(this.schema.classes.map((each) => [each.key, titleOf(each)]));
      this.least = this.schema.min_choices ?? 0;
      this.most = this.schema.max_choices ?? this.schema.classes.length;
      this.chosen = new Set();
      this.picker = new ClassPicker({
        root: this.root,
        classes: this.schema.classes,
        isMultiple: true,
        onPick: (option) => this.toggle(option),
      });
      this.count = element("p", { class: "editor-note", id: "chosen-count" });
      this.picker.list.setAttribute("aria-describedby", "chosen-count");
      this.none = button({ class: "button small", "aria-pressed": "false" }, "None of these ", kbd("X"));
      this.none.hidden = this.least > 0;
      this.none.addEventListener("click", () => this.chooseNone());
      this.root.append(element("div", { class: "editor-foot" }, this.count, this.none));
    }

    fill(answer, suggestion) {
      this.chosen = new Set((answer ?? suggestion)?.choices ?? []);
      this.isNone = Boolean(answer) && !this.chosen.size;
      this.picker.reset({ suggested: suggestion?.choices ?? [], checked: this.chosen });
      this.draw();
    }

    draw() {
      const { size } = this.chosen;
      this.picker.check(this.chosen);
      this.picker.list.classList.toggle("ghost", this.isAccepting);
      this.none.setAttribute("aria-pressed", String(size === 0 && (this.isNone || (this.isAccepting && this.least === 0))));
      const bounds = [];
      if (this.least > 0) bounds.push(`at least ${this.least}`);
      if (this.most < this.schema.classes.length) bounds.push(`at most ${this.most}`);
      this.count.textContent = `${size} chosen${bounds.length ? ` (${bounds.join(", ")})` : ""}`;
      this.count.classList.toggle("too-many", size > this.most);
    }

    changed() {
      this.isNone = !this.chosen.size;
      this.isTouched = true;
      this.draw();
      this.onChange();
    }

    toggle(option) {
      const { key, title } = option;
      if (this.chosen.delete(key)) this.announce(`${title} off. ${this.chosen.size} chosen.`);
      else if (this.chosen.size >= this.most) {
        this.announce(`No more than ${plural(this.most, "class", "classes")}: switch one off first.`);
        this.count.classList.add("too-many");
        return;
      } else {
        this.chosen.add(key);
        this.announce(`${title} on. ${this.chosen.size} chosen.`);
      }
      this.changed();
    }

    chooseNone() {
      if (this.least > 0) return;
      this.chosen.clear();
      this.changed();
      this.announce("None of these.");
    }

    get own() {
      const { size } = this.chosen;
      if (size < this.least || size > this.most || (size === 0 && !this.isNone)) return null;
      return { choices: this.schema.classes.map((each) => each.key).filter((key) => this.chosen.has(key)) };
    }

    get wanted() {
      if (this.least > 1) return `Choose at least ${this.least} classes`;
      return this.least === 1 ? "Choose a class" : "Choose classes, or none";
    }

    summary(answer) {
      return answer.choices.map((key) => this.titles.get(key) ?? key).join(", ") || "None of these";
    }

    handleKey(event) {
      const { key, target } = event;
      const { picker } = this;
      const inSearch = target === picker.search;
      if (this.isElsewhere(event) || hasModifier(event)) return false;
      if (key === "Enter" && inSearch) {
        if (!picker.isSearching) return this.submitFrom(event);
        if (picker.cursor && !event.repeat) {
          picker.pick(picker.cursor);
          picker.clearSearch();
        }
        return true;
      }
      if (key === "ArrowDown" || key === "ArrowUp") {
        if (target.closest?.(".payload")) return false;
        picker.step(key === "ArrowDown" ? 1 : -1);
        return true;
      }
      if (key === " " && (!inSearch || !picker.isSearching)) {
        if (target.closest?.("button, summary, a")) return false;
        if (picker.cursor && !event.repeat) this.toggle(picker.cursor);
        return picker.cursor !== null;
      }
      if (key === "Escape") {
        if (!picker.clearSearch()) {
          if (inSearch) picker.list.focus({ preventScroll: true });
          else this.untouch();
        }
        return true;
      }
      if (picker.handleKey(event, `${this.commandKeys}x`)) return true;
      if (key.toLowerCase() !== "x" || inSearch || this.least > 0) return false;
      if (!event.repeat) this.chooseNone();
      return true;
    }

    focus() {
      this.picker.focus();
    }

    get keysHelp() {
      const { hasSearch, digitsSearch } = this.picker;
      return [
        ...(hasSearch ? [[["Letters"], "Find a class; Enter switches the best match on or off"]] : []),
        ...(hasSearch && digitsSearch ? [] : [[["1", "…", "9", "0"], "Switch the class with that key beside it on or off"]]),
        [["↑", "↓"], "To the class above or below"],
        [["Space"], "Switch that class on or off"],
        ...(this.least > 0 ? [] : [[["X"], "None of these"]]),
        [["Esc"], hasSearch ? "Empty the search, then leave it; then back to the beginning" : "Back to the beginning"],
      ];
    }
  }

  editors.multi_label = MultiLabel;
})();
