// The classes to choose from, as one listbox: few of them with a key each, many of them with a search field.
(() => {
  "use strict";

  const DIGITS = "1234567890";

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

  class ClassList {
    /** `onChange` hears of every new choice, `onPick` of one made with the pointer or a key of its own. */
    constructor({ list, search, classes, hasSearch, digitsSearch, onChange, onPick }) {
      this.list = list;
      this.search = search;
      this.onChange = onChange;
      this.onPick = onPick;
      this.hasSearch = hasSearch;
      this.digitsSearch = digitsSearch;
      // Where the classes are digits, each has its own key: nobody would press 1 for 0.
      this.hasOwnDigits = !this.hasSearch && classes.every((each) => /^\d$/.test(each.label))
        && new Set(classes.map((each) => each.label)).size === classes.length;
      this.chosen = null;
      this.suggested = null;
      this.options = classes.map((each, index) => this.#option(each, index));
      this.byKey = new Map(this.options.map((option) => [option.key, option]));
      list.replaceChildren(...this.options.map((option) => option.element));
      list.classList.toggle("many", this.hasSearch);
      list.classList.toggle("tiny", !this.hasSearch && classes.every((each) => each.label.length <= 3 && !each.description));
      search.closest("[data-search]").hidden = !this.hasSearch;
      this.visible = this.options;
      list.addEventListener("click", (event) => {
        const option = this.options.find((each) => each.element.contains(event.target));
        if (option) this.choose(option, true);
      });
      search.addEventListener("input", () => this.filter());
    }

    #option(each, index) {
      const element = document.createElement("li");
      element.className = "option";
      element.id = `option-${index}`;
      element.setAttribute("role", "option");
      element.setAttribute("aria-selected", "false");
      const badge = document.createElement("kbd");
      badge.setAttribute("aria-hidden", "true");
      const words = document.createElement("span");
      words.className = "option-words";
      const label = document.createElement("span");
      label.className = "option-label";
      label.dir = "auto";
      label.textContent = each.label;
      words.append(label);
      if (each.description) {
        const description = document.createElement("span");
        description.className = "option-description";
        description.dir = "auto";
        description.textContent = each.description;
        words.append(description);
      }
      const mark = document.createElement("span");
      mark.className = "option-mark";
      element.append(badge, words, mark);
      return {
        element, badge, mark, key: each.key, title: each.label, hotkey: each.hotkey || (this.hasOwnDigits ? each.label : ""),
        folded: { label: folded(each.label), key: folded(each.key), description: folded(each.description) },
      };
    }

    get isSearching() {
      return this.hasSearch && this.search.value.trim() !== "";
    }

    /** Show what matches, the best first; while there is a search, the best match counts as chosen. */
    filter() {
      const words = folded(this.search.value).split(/\s+/).filter(Boolean);
      const ranked = this.options
        .map((option, index) => ({ option, index, rank: words.length ? rank(option.folded, words) : 0 }))
        .filter((each) => each.rank !== null)
        .sort((a, b) => a.rank - b.rank || a.index - b.index);
      this.visible = ranked.map((each) => each.option);
      const shown = new Set(this.visible);
      for (const option of this.options) {
        option.element.hidden = !shown.has(option);
        option.badge.textContent = "";
      }
      this.visible.forEach((option, index) => {
        const digit = !this.digitsSearch && index < DIGITS.length ? DIGITS[index] : "";
        option.badge.textContent = option.hotkey && !this.hasSearch ? option.hotkey.toUpperCase() : digit;
      });
      if (this.hasSearch) this.list.append(...this.visible.map((option) => option.element));
      this.list.classList.toggle("no-match", !this.visible.length);
      this.list.scrollTop = 0;
      this.choose(words.length ? this.visible[0] ?? null : null, false);
    }

    choose(option, isPick) {
      for (const each of this.options) each.element.setAttribute("aria-selected", String(each === option));
      this.chosen = option;
      for (const holder of [this.list, this.search]) {
        if (option) holder.setAttribute("aria-activedescendant", option.element.id);
        else holder.removeAttribute("aria-activedescendant");
      }
      option?.element.scrollIntoView({ block: "nearest" });
      this.onChange();
      if (isPick && option) this.onPick(option);
    }

    chooseKey(key) {
      const option = this.byKey.get(key);
      if (option) this.choose(option, false);
    }

    move(step) {
      if (!this.visible.length) return;
      const from = this.visible.indexOf(this.chosen);
      const start = from === -1 ? this.visible.indexOf(this.byKey.get(this.suggested)) : from;
      const to = from === -1 && start !== -1 ? start : start + step;
      this.choose(this.visible[Math.min(Math.max(to, 0), this.visible.length - 1)], false);
    }

    /** The option of a key pressed outside the search field, or inside it when `inSearch`. */
    optionFor(key, inSearch) {
      if (!inSearch && key.length === 1) {
        const hot = this.options.find((option) => option.hotkey.toLowerCase() === key.toLowerCase() && option.hotkey);
        if (hot) return hot;
      }
      const place = key.length === 1 ? DIGITS.indexOf(key) : -1;
      return place === -1 || this.digitsSearch ? null : this.visible[place] ?? null;
    }

    /** A new item: nothing chosen, nothing searched, the suggestion marked. */
    reset(suggestedKey) {
      this.search.value = "";
      this.suggested = suggestedKey;
      for (const option of this.options) {
        const isSuggested = option.key === suggestedKey;
        option.element.classList.toggle("suggested", isSuggested);
        option.mark.textContent = isSuggested ? "suggested" : "";
      }
      this.filter();
    }

    get suggestedOption() {
      return this.byKey.get(this.suggested) ?? null;
    }
  }

  window.feedback.ClassList = ClassList;
})();
