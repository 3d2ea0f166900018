// One of a few fixed answers, as a group of radio buttons: shared by ratings and preferences.
(() => {
  "use strict";

  const { Editor, dom } = window.feedback;
  const { button, element, hasModifier, kbd } = dom;

  class LevelsEditor extends Editor {
    /** `levels` are [{value, title, keys, text}]: what is stored, what is said, its keys, what is written on it. */
    buildLevels(levels, label) {
      this.levels = levels;
      this.group = element("div", { class: "levels", role: "radiogroup", "aria-label": label });
      for (const level of levels) {
        level.element = button({ class: "level", role: "radio", "aria-checked": "false", "aria-label": level.title },
          element("span", { class: "level-text", dir: "auto" }, level.text), ...(level.keys[0] ? [kbd(level.keys[0].toUpperCase())] : []),
          element("span", { class: "level-mark", "aria-hidden": "true" }));
        level.element.addEventListener("click", () => this.choose(level, true));
      }
      this.group.append(...levels.map((level) => level.element));
      this.root.append(this.group);
    }

    fill(answer, suggestion) {
      this.chosen = answer ? this.levelOf(answer) : null;
      this.suggested = suggestion ? this.levelOf(suggestion) : null;
      this.draw();
    }

    levelOf(answer) {
      return this.levels.find((level) => level.value === answer[this.field]) ?? null;
    }

    draw() {
      const stop = this.chosen ?? this.suggested ?? this.levels[0];
      for (const level of this.levels) {
        level.element.setAttribute("aria-checked", String(level === this.chosen));
        // One stop for Tab; the arrows move inside the group.
        level.element.tabIndex = level === stop ? 0 : -1;
        level.element.classList.toggle("suggested", level === this.suggested);
        level.element.querySelector(".level-mark").textContent = level === this.suggested ? "suggested" : "";
        level.element.setAttribute("aria-label", level === this.suggested ? `${level.title}, suggested` : level.title);
      }
    }

    choose(level, isPick) {
      this.chosen = level;
      this.start = null;
      this.isTouched = level !== null;
      this.draw();
      if (level && this.group.contains(document.activeElement)) level.element.focus({ preventScroll: true });
      this.onChange();
      if (isPick && level) this.onPick();
    }

    step(by) {
      const at = this.levels.indexOf(this.chosen ?? this.suggested);
      const to = this.chosen === null && at !== -1 ? at : at + by;
      this.choose(this.levels[Math.min(Math.max(to, 0), this.levels.length - 1)], false);
      if (!this.group.contains(document.activeElement)) this.announce(this.chosen.title);
    }

    get own() {
      return this.chosen ? { [this.field]: this.chosen.value } : null;
    }

    summary(answer) {
      return this.levelOf(answer)?.title ?? String(answer[this.field]);
    }

    handleKey(event) {
      const { key, target } = event;
      if (this.isElsewhere(event) || hasModifier(event)) return false;
      const level = this.levels.find((each) => each.keys.includes(key.toLowerCase()));
      if (level) {
        if (!event.repeat) {
          this.choose(level, true);
          this.announce(level.title);
        }
        return true;
      }
      // A radio button with the focus must not take Enter as a click: Enter gives the answer.
      if (key === "Enter" && this.group.contains(target)) return this.submitFrom(event);
      if (key === "Escape" && (this.chosen || this.isTouched)) {
        this.choose(null, false);
        return true;
      }
      return this.handleArrow(event);
    }

    handleArrow({ key, target }) {
      const isForward = key === "ArrowRight" || key === "ArrowDown";
      if ((!isForward && key !== "ArrowLeft" && key !== "ArrowUp") || target.closest?.(".payload")) return false;
      const isMirrored = (key === "ArrowLeft" || key === "ArrowRight") && getComputedStyle(this.group).direction === "rtl";
      this.step(isForward === isMirrored ? -1 : 1);
      return true;
    }

    focus() {
      this.group.querySelector("[tabindex='0']").focus({ preventScroll: true });
    }
  }

  window.feedback.LevelsEditor = LevelsEditor;
})();
