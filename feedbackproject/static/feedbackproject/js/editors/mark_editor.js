// What spans and boxes share: marks with a class each, one of them current; classes, a list of the marks, steps back.
//
// A subclass gives: attach() (the surface to mark on is in place), drawSurface(), selection (what a class key would label, or
// null), addSelected(key), describe(mark), parse(answer), format(marks), noun, and keys of its own in handleSurfaceKey().
(() => {
  "use strict";

  const { ClassPicker, Editor, dom } = window.feedback;
  const { button, element, kbd, plural, titleOf } = dom;

  const MOST_STEPS_BACK = 200;

  class MarkEditor extends Editor {
    build() {
      this.titles = new Map(this.schema.classes.map((each) => [each.key, titleOf(each)]));
      this.tones = new Map(this.schema.classes.map((each, index) => [each.key, index % 8]));
      this.marks = [];
      this.picker = new ClassPicker({
        root: this.root,
        classes: this.schema.classes,
        hasTones: true,
        onPick: (option) => this.picked(option),
      });
      this.list = element("ul", { class: "mark-list", "aria-label": "What is marked" });
      this.empty = element("p", { class: "editor-note mark-empty" });
      this.count = element("p", { class: "editor-note", "aria-live": "off" });
      this.nothing = button({ class: "button small" }, element("span", {}, "Nothing to mark"), " ", kbd("X"));
      this.nothing.addEventListener("click", () => this.clear());
      this.root.append(element("div", { class: "mark-box" }, this.empty, this.list), element("div", { class: "editor-foot" }, this.count, this.nothing));
    }

    fill(answer, suggestion) {
      this.past = [];
      this.current = null;
      this.armed = this.schema.classes.length === 1 ? this.schema.classes[0].key : null;
      this.attach();
      const given = answer ?? suggestion;
      this.marks = given ? this.parse(given) : [];
      this.picker.reset();
      this.draw();
    }

    draw() {
      const active = this.current?.class ?? this.armed;
      if (!this.picker.isSearching) this.picker.moveTo(this.picker.byKey.get(active) ?? null, false);
      this.count.textContent = `${plural(this.marks.length, this.noun, this.nouns)}${this.isAccepting && this.marks.length ? " suggested" : ""}`;
      this.nothing.firstElementChild.textContent = this.marks.length ? "Clear all" : "Nothing to mark";
      this.nothing.setAttribute("aria-pressed", String(this.value !== null && !this.marks.length));
      this.empty.textContent = this.marks.length ? "" : this.emptyText;
      this.drawList();
      this.drawSurface();
    }

    get emptyText() {
      if (this.value !== null) return "Nothing is marked here, and that is your answer.";
      return this.armed ? `Everything you mark becomes ${dom.quoted(this.titles.get(this.armed))}.` : this.howTo;
    }

    drawList() {
      this.list.classList.toggle("ghost", this.isAccepting);
      this.list.replaceChildren(...this.marks.map((mark) => {
        const select = button({ class: "mark-name", "aria-pressed": String(mark === this.current) },
          element("span", { class: `tone tone-${this.tones.get(mark.class) ?? "none"}`, "aria-hidden": "true" }),
          element("span", { class: "mark-class", dir: "auto" }, this.titleOf(mark)), " ",
          element("span", { class: "mark-text", dir: "auto" }, this.describe(mark)));
        select.addEventListener("click", () => this.select(mark, true));
        const remove = button({ class: "mark-remove", "aria-label": `Remove ${this.titleOf(mark)} ${this.describe(mark)}` }, "×");
        remove.addEventListener("click", () => this.remove(mark));
        return element("li", { class: mark === this.current ? "is-current" : null }, select, remove);
      }));
      const current = this.list.querySelector(".is-current");
      if (current) dom.scrollWithin(this.list.parentElement, current);
    }

    titleOf(mark) {
      return this.titles.get(mark.class) ?? "no class yet";
    }

    /** Change the marks in a way that can be taken back. */
    change(alter) {
      this.past.push({ marks: this.marks.map((mark) => ({ ...mark })), isTouched: this.isTouched, start: this.start });
      if (this.past.length > MOST_STEPS_BACK) this.past.shift();
      alter();
      this.isTouched = true;
      this.draw();
      this.onChange();
    }

    back() {
      const before = this.past.pop();
      if (!before) return false;
      Object.assign(this, before);
      this.current = null;
      this.selection = null;
      this.draw();
      this.onChange();
      this.announce(`Taken back. ${plural(this.marks.length, this.noun, this.nouns)}.`);
      return true;
    }

    picked(option) {
      const { key, title } = option;
      const wasSearching = this.picker.clearSearch();
      if (this.current) {
        const mark = this.current;
        if (mark.class !== key) this.change(() => { mark.class = key; });
        this.announce(`${title}: ${this.describe(mark)}`);
      } else if (this.selection) this.addSelected(key);
      else {
        this.armed = this.armed === key && this.schema.classes.length > 1 ? null : key;
        this.announce(this.armed ? `What you mark becomes ${title}.` : "No class is set.");
        this.onChange();
      }
      this.draw();
      if (wasSearching || !this.isCoarse) this.focus();
    }

    select(mark, isFromList = false) {
      this.current = mark;
      this.selection = null;
      this.draw();
      if (isFromList) this.focus();
      if (mark) this.announce(`${this.titleOf(mark)}: ${this.describe(mark)}, ${this.marks.indexOf(mark) + 1} of ${this.marks.length}`);
      this.onChange();
    }

    remove(mark) {
      const said = `Removed ${this.titleOf(mark)}: ${this.describe(mark)}.`;
      this.change(() => {
        this.marks = this.marks.filter((each) => each !== mark);
        this.current = null;
      });
      this.announce(said);
      this.focus();
    }

    clear() {
      const { length } = this.marks;
      this.selection = null;
      this.change(() => {
        this.marks = [];
        this.current = null;
      });
      this.announce(length ? `Removed ${plural(length, this.noun, this.nouns)}. Ctrl+Z takes that back.` : "Nothing to mark.");
      this.focus();
    }

    /** To the next mark; false beyond the last one, so that Tab goes on through the page. */
    tab(by) {
      const at = this.marks.indexOf(this.current);
      const to = at === -1 ? (by > 0 ? 0 : this.marks.length - 1) : at + by;
      const mark = this.marks[to] ?? null;
      if (!mark && !this.current) return false;
      this.select(mark);
      return mark !== null;
    }

    get own() {
      return this.marks.every((mark) => this.titles.has(mark.class)) ? this.format(this.marks) : null;
    }

    get wanted() {
      if (this.marks.length) return `Give each ${this.noun} a class`;
      return "Mark something, or press X";
    }

    summary(answer) {
      const counts = new Map();
      for (const mark of answer[this.nouns]) counts.set(mark.class, (counts.get(mark.class) ?? 0) + 1);
      if (!counts.size) return `no ${this.nouns}`;
      return [...counts].map(([key, count]) => `${this.titles.get(key) ?? key}${count > 1 ? ` ×${count}` : ""}`).join(", ");
    }

    get confirmLabel() {
      const { value } = this;
      if (value === null) return this.wanted;
      const count = value[this.nouns].length;
      return `${this.isAccepting ? "Accept" : "Answer"} ${count ? plural(count, this.noun, this.nouns) : `“no ${this.nouns}”`}`;
    }

    handleKey(event) {
      const { key, target } = event;
      const { picker } = this;
      if (this.isElsewhere(event)) return false;
      const inSearch = target === picker.search;
      if ((event.ctrlKey || event.metaKey) && !event.shiftKey && key.toLowerCase() === "z" && !(inSearch && picker.isSearching)) return this.back();
      if (inSearch) return this.handleSearchKey(event);
      if (key === "Tab") return this.surface?.contains(target) === true && !event.altKey && !event.ctrlKey && this.tab(event.shiftKey ? -1 : 1);
      if (this.handleSurfaceKey(event)) return true;
      if (dom.hasModifier(event)) return false;
      if ((key === "Delete" || key === "Backspace") && this.current) {
        this.remove(this.current);
        return true;
      }
      if (key === "Escape") return this.escape();
      if (picker.handleKey(event, `${this.commandKeys}${this.ownLetters}`)) return true;
      if (key.toLowerCase() !== "x") return false;
      if (!event.repeat) this.clear();
      return true;
    }

    handleSearchKey(event) {
      const { picker } = this;
      if (event.key === "Enter") {
        if (!picker.cursor) return this.submitFrom(event);
        if (!event.repeat) picker.pick(picker.cursor);
        return true;
      }
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        picker.step(event.key === "ArrowDown" ? 1 : -1);
        return true;
      }
      if (event.key === "Escape") {
        if (!picker.clearSearch()) this.focus();
        this.draw();
        return true;
      }
      return picker.handleKey(event, this.commandKeys);
    }

    escape() {
      if (this.current || this.selection) this.select(null);
      else if (this.armed && this.schema.classes.length > 1) {
        this.armed = null;
        this.draw();
      } else return false;
      return true;
    }

    focus() {
      (this.surface ?? this.picker.list).focus({ preventScroll: true });
    }

    get classKeysHelp() {
      const { hasSearch } = this.picker;
      return [
        [hasSearch ? ["Letters"] : ["1", "…", "9", "0"], hasSearch ? "Find a class; Enter takes it" : "The class with that key beside it"],
        [["Tab"], `The next ${this.noun}; Shift+Tab: the one before`],
        [["Del"], `Remove the ${this.noun}`],
        [["X"], "Nothing to mark; with marks: remove all"],
        [["Ctrl+Z"], "Take back the last change; with none: the last answer"],
        [["Esc"], "Let go"],
      ];
    }
  }

  window.feedback.MarkEditor = MarkEditor;
})();
