// Rating: one level of an ordered scale, with words at its ends.
(() => {
  "use strict";

  const { LevelsEditor, editors, dom } = window.feedback;
  const { element } = dom;

  class Rating extends LevelsEditor {
    build() {
      this.field = "rating";
      const { minimum = 1, maximum = 5, minimum_title: first = "", maximum_title: last = "" } = this.schema;
      const values = Array.from({ length: maximum - minimum + 1 }, (_, index) => minimum + index);
      // A level's own digit where each has one; with 1 to 10, 0 is ten; else by position.
      const hasOwnDigit = minimum >= 0 && maximum <= 9;
      const keyOf = (value, index) => (hasOwnDigit ? String(value) : "1234567890"[index] ?? "");
      this.buildLevels(values.map((value, index) => {
        const words = { [minimum]: first, [maximum]: last }[value];
        const key = keyOf(value, index);
        return { value, text: String(value), title: words ? `${value}, ${words}` : String(value), keys: key ? [key] : [] };
      }), "Rating");
      // The number is the key where both are the same: no need to print it twice.
      this.group.classList.toggle("own-keys", this.levels.every((level) => level.keys[0] === level.text));
      this.group.classList.toggle("long-scale", values.length > 10);
      this.group.style.setProperty("--levels", String(Math.min(values.length, 10)));
      this.root.append(element("div", { class: "anchors", "aria-hidden": "true", hidden: !first && !last },
        element("span", { dir: "auto" }, first && `${minimum}: ${first}`), element("span", { dir: "auto" }, last && `${maximum}: ${last}`)));
    }

    get wanted() {
      return "Choose a rating";
    }

    get keysHelp() {
      const keys = this.levels.map((level) => level.keys[0]).filter(Boolean);
      return [
        [keys.length > 2 ? [keys[0], "…", keys.at(-1)] : keys, "Choose the level with that key"],
        [["←", "→"], "One level lower or higher"],
        [["Esc"], "Choose nothing"],
      ];
    }
  }

  editors.rating = Rating;
})();
