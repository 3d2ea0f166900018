// The classes of a schema as one listbox: few of them with a key each, many of them with a search field.
// Single: the chosen one is what the cursor is on. Multiple: the cursor moves, and what it is on can be switched on and off.
(() => {
  "use strict";

  const { element, hasModifier, scrollWithin, titleOf } = window.feedback.dom;

  const DIGITS = "1234567890";
  const MOST_WITHOUT_SEARCH = DIGITS.length;

  const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

  /** Lower is better, null is no match: the label's start, a word's start, inside the label or key, the description. */
  const rank = (entry, words) => {
    let worst = 0;
    for (const word of words) {
      let found;
      if (entry.label.startsWith(word)) found = 0;
      else if (entry.label.split(/[\s_\-/.:]+/).some((part) => part.startsWith(word))) found = 1;
      else if (entry.label.includes(word) || entry.key.includes(word)) found = 2;
      else if (entry.description.includes(word)) found = 3;
      else return null;
      worst = Math.max(worst, found);
    }
    return worst;
  };

  const write = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  class ClassPicker {
    /** `onMove` hears of every new cursor, `onPick` of an option chosen by pointer, by its own key or by Enter in the search. */
    constructor({ root, classes, isMultiple = false, hasTones = false, label = "Classes", onMove, onPick }) {
      Object.assign(this, { isMultiple, hasTones, onMove, onPick });
      const labels = classes.map(titleOf);
      this.hasSearch = classes.length > MOST_WITHOUT_SEARCH;
      // Among many classes, “12” must find class 12 rather than choose the first and the second.
      this.digitsSearch = this.hasSearch && labels.some((each) => /\p{Nd}/u.test(each));
      // Where the classes are digits, each has its own key: nobody would press 1 for 0.
      this.hasOwnDigits = !this.hasSearch && labels.every((each) => /^\d$/.test(each)) && new Set(labels).size === labels.length;
      this.cursor = null;
      this.checked = new Set();
      this.suggested = new Set();
      // What was switched on when the item came stands first among many, where it is seen.
      this.first = new Set();
      this.options = classes.map((each, index) => this.#option(each, index));
      this.byKey = new Map(this.options.map((option) => [option.key, option]));
      this.visible = this.order = this.options;
      this.#build(root, label);
      this.filter();
    }

    #build(root, label) {
      this.search = element("input", {
        id: "search", type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "choices", "aria-autocomplete": "list",
        autocomplete: "off", autocapitalize: "off", spellcheck: "false", placeholder: "Type to find a class", dir: "auto",
      });
      const field = element("div", { class: "field", "data-search": true },
        element("label", { for: "search", class: "visually-hidden" }, "Find a class"), this.search);
      field.hidden = !this.hasSearch;
      this.list = element("ul", {
        id: "choices", class: "choices", role: "listbox", "aria-label": label, tabindex: "0", "aria-multiselectable": this.isMultiple && "true",
      }, ...this.options.map((option) => option.element));
      this.list.classList.toggle("many", this.hasSearch);
      this.list.classList.toggle("tiny", !this.hasSearch && this.options.every((each) => each.title.length <= 3 && !each.folded.description));
      this.list.addEventListener("click", (event) => {
        const option = this.options.find((each) => each.element.contains(event.target));
        if (option) this.pick(option);
      });
      this.search.addEventListener("input", () => this.filter());
      root.append(field, this.list);
    }

    #option(each, index) {
      const title = titleOf(each);
      const badge = element("kbd", { "aria-hidden": "true" });
      const mark = element("span", { class: "option-mark" });
      const words = element("span", { class: "option-words" }, element("span", { class: "option-label", dir: "auto" }, title));
      if (each.description) words.append(element("span", { class: "option-description", dir: "auto" }, each.description));
      const made = element("li", { class: "option", id: `option-${index}`, role: "option", "aria-selected": "false", title: each.description });
      if (this.hasTones) made.append(element("span", { class: `tone tone-${index % 8}`, "aria-hidden": "true" }));
      if (this.isMultiple) made.append(element("span", { class: "option-check", "aria-hidden": "true" }));
      made.append(badge, words, mark);
      return {
        element: made, badge, mark, index, title, key: each.key, hotkey: each.hotkey || (this.hasOwnDigits ? title : ""),
        folded: { label: folded(title), key: folded(each.key), description: folded(each.description ?? "") },
      };
    }

    get isSearching() {
      return this.hasSearch && this.search.value.trim() !== "";
    }

    /** Show what matches, the best first; while there is a search, the cursor is on the best match. */
    filter() {
      const words = folded(this.search.value).split(/\s+/).filter(Boolean);
      const ranked = this.options
        .map((option, index) => ({ option, index, rank: words.length ? rank(option.folded, words) : Number(!this.first.has(option.key)) }))
        .filter((each) => each.rank !== null)
        .sort((a, b) => a.rank - b.rank || a.index - b.index);
      this.visible = ranked.map((each) => each.option);
      const shown = new Map(this.visible.map((option, index) => [option, index]));
      for (const option of this.options) {
        const index = shown.get(option);
        const digit = !this.digitsSearch && index < DIGITS.length ? DIGITS[index] : "";
        // With a thousand classes, only what differs may cost anything.
        if (option.element.hidden !== (index === undefined)) option.element.hidden = index === undefined;
        write(option.badge, option.hotkey && !this.hasSearch ? option.hotkey.toUpperCase() : digit);
      }
      if (this.hasSearch && this.visible.some((option, index) => option !== this.order[index])) {
        this.list.prepend(...this.visible.map((option) => option.element));
        this.order = [...this.visible, ...this.order.filter((option) => !shown.has(option))];
      }
      this.list.classList.toggle("no-match", !this.visible.length);
      this.list.scrollTop = 0;
      this.moveTo(words.length ? this.visible[0] ?? null : null);
    }

    clearSearch() {
      if (!this.search.value) return false;
      this.search.value = "";
      this.filter();
      return true;
    }

    /** `isSeen`: whoever moves it looks at it, so the page may scroll to show it. */
    moveTo(option, isSeen = true) {
      this.cursor = option;
      for (const holder of [this.list, this.search]) {
        if (option) holder.setAttribute("aria-activedescendant", option.element.id);
        else holder.removeAttribute("aria-activedescendant");
      }
      this.#draw();
      if (option && this.hasSearch) scrollWithin(this.list, option.element);
      else if (option && isSeen) option.element.scrollIntoView({ block: "nearest" });
      this.onMove?.();
    }

    #draw() {
      for (const each of this.options) {
        const isSelected = this.isMultiple ? this.checked.has(each.key) : each === this.cursor;
        const isSuggested = this.suggested.has(each.key);
        if (each.element.ariaSelected !== String(isSelected)) each.element.setAttribute("aria-selected", String(isSelected));
        each.element.classList.toggle("at-cursor", this.isMultiple && each === this.cursor);
        each.element.classList.toggle("suggested", isSuggested);
        write(each.mark, isSuggested ? "suggested" : "");
      }
    }

    step(by) {
      if (!this.visible.length) return;
      const from = this.visible.indexOf(this.cursor);
      const start = from === -1 ? this.visible.findIndex((each) => this.suggested.has(each.key)) : from;
      const to = from === -1 && start !== -1 ? start : start + by;
      this.moveTo(this.visible[Math.min(Math.max(to, 0), this.visible.length - 1)]);
    }

    pick(option) {
      this.moveTo(option);
      this.onPick?.(option);
    }

    /** The option of a key pressed outside the search field, or inside it when `inSearch`. */
    optionFor(key, inSearch) {
      if (key.length !== 1) return null;
      if (!inSearch) {
        const hot = this.options.find((option) => option.hotkey && option.hotkey.toLowerCase() === key.toLowerCase());
        if (hot) return hot;
      }
      const place = DIGITS.indexOf(key);
      return place === -1 || this.digitsSearch || this.hasOwnDigits ? null : this.visible[place] ?? null;
    }

    /** A new item: nothing searched, the cursor nowhere; which keys are suggested and which are switched on. */
    reset({ suggested = [], checked = [] } = {}) {
      this.suggested = new Set(suggested);
      this.checked = new Set(checked);
      this.first = this.hasSearch && this.isMultiple ? this.checked : this.first;
      this.search.value = "";
      this.filter();
    }

    check(keys) {
      this.checked = new Set(keys);
      this.#draw();
    }

    focus() {
      const isCoarse = matchMedia("(pointer: coarse)").matches;
      (this.hasSearch && !isCoarse ? this.search : this.list).focus({ preventScroll: true });
    }

    /** A class's key; letters that are nobody's command go to the search. Arrows, Enter and Escape are the editor's. */
    handleKey(event, commandKeys) {
      const { key, target } = event;
      if (hasModifier(event)) return false;
      const inSearch = target === this.search;
      const option = this.optionFor(key, inSearch);
      if (option) {
        if (!event.repeat) this.pick(option);
        return true;
      }
      if (!this.hasSearch || inSearch) return false;
      if (key === "/") {
        this.search.focus();
        return true;
      }
      const isLetter = this.digitsSearch ? /^[\p{L}\p{Nd}]$/u.test(key) : /^\p{L}$/u.test(key);
      // The letter itself is typed by the browser, into the field that has the focus by then.
      if (isLetter && !commandKeys.includes(key)) this.search.focus();
      return false;
    }
  }

  window.feedback.ClassPicker = ClassPicker;
})();
