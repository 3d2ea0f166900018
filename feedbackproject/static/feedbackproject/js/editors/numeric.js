// Numeric value: a number within bounds, typed or stepped; a comma is as good as a point.
(() => {
  "use strict";

  const { Editor, editors, dom } = window.feedback;
  const { button, element, hasModifier } = dom;

  const STEPS_IN_RANGE = 100;
  const STEP_TOLERANCE = 1e-6;

  const plain = (number) => String(Number(number.toPrecision(12)));

  class Numeric extends Editor {
    build() {
      const { minimum, maximum, unit = "", step = null } = this.schema;
      this.unit = unit;
      this.step = step;
      this.rule = `From ${plain(minimum)} to ${plain(maximum)}${unit ? ` ${unit}` : ""}${step === null ? "" : `, in steps of ${plain(step)}`}.`;
      this.input = element("input", {
        id: "number", type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false", dir: "ltr", "aria-describedby": "number-rule number-error",
      });
      this.error = element("p", { class: "error", id: "number-error" });
      const stepper = (text, label, by) => {
        const made = button({ class: "button", tabindex: "-1", "aria-label": label }, text);
        made.addEventListener("click", () => this.stepBy(by));
        return made;
      };
      this.root.append(element("div", { class: "field number-field" },
        element("label", { for: "number" }, "Number", ...(unit ? [element("span", { class: "optional", dir: "auto" }, ` in ${unit}`)] : [])),
        element("div", { class: "number-row" }, stepper("−", "One step less", -1), this.input, stepper("+", "One step more", 1)),
        element("p", { class: "help", id: "number-rule" }, this.rule), this.error));
      this.input.addEventListener("input", () => this.typed());
      this.input.addEventListener("change", () => this.complain(true));
    }

    fill(answer, suggestion) {
      this.input.value = answer ? plain(answer.number) : "";
      this.input.placeholder = suggestion ? `${plain(suggestion.number)} suggested` : "";
      this.complain(false);
    }

    typed() {
      this.start = null;
      this.isTouched = this.input.value.trim() !== "";
      // While a number is being typed it may not be one yet.
      this.complain(this.input.hasAttribute("aria-invalid"));
      this.onChange();
    }

    /** {number}, or {problem} in words, or {} for an empty field. */
    read() {
      const typed = this.input.value.trim().replace(/[\s\u00a0\u202f]/g, "").replace("−", "-").replace(",", ".");
      if (!typed) return {};
      const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(typed) ? Number(typed) : NaN;
      if (!Number.isFinite(number)) return { problem: "This is not a number." };
      const { minimum, maximum } = this.schema;
      if (number < minimum || number > maximum) return { problem: `The number must be from ${plain(minimum)} to ${plain(maximum)}.` };
      if (this.step !== null) {
        const steps = (number - minimum) / this.step;
        if (Math.abs(steps - Math.round(steps)) > STEP_TOLERANCE * Math.max(1, Math.abs(steps))) {
          return { problem: `The number must be ${plain(minimum)} and whole steps of ${plain(this.step)}.` };
        }
      }
      return { number };
    }

    complain(isDue) {
      const { problem = "" } = isDue ? this.read() : {};
      this.error.textContent = problem;
      if (problem) this.input.setAttribute("aria-invalid", "true");
      else this.input.removeAttribute("aria-invalid");
      if (problem) this.announce(problem);
    }

    stepBy(by) {
      const { minimum, maximum } = this.schema;
      const step = this.step ?? 10 ** Math.floor(Math.log10((maximum - minimum) / STEPS_IN_RANGE * 1.000001));
      const from = this.read().number ?? this.suggestion?.number ?? minimum + Math.round((maximum - minimum) / 2 / step) * step;
      const isFirst = !this.isTouched && !this.start && !this.suggestion;
      const steps = Math.round((from - minimum) / step) + (isFirst ? 0 : by);
      const most = Math.floor((maximum - minimum) / step + STEP_TOLERANCE);
      this.input.value = plain(minimum + Math.min(Math.max(steps, 0), most) * step);
      this.typed();
      this.complain(true);
    }

    get own() {
      const { number } = this.read();
      return number === undefined ? null : { number };
    }

    get wanted() {
      return this.read().problem ? "Correct the number" : "Enter a number";
    }

    get hint() {
      const { problem } = this.read();
      if (problem) this.complain(true);
      return problem ?? super.hint;
    }

    summary(answer) {
      return `${plain(answer.number)}${this.unit ? ` ${this.unit}` : ""}`;
    }

    handleKey(event) {
      const { key, target } = event;
      if (this.isElsewhere(event) || hasModifier(event)) return false;
      const inField = target === this.input;
      if (key === "Enter" && inField) {
        this.complain(true);
        return this.submitFrom(event);
      }
      const steps = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
      if (key in steps && !target.closest?.(".payload")) {
        this.stepBy(steps[key]);
        return true;
      }
      if (key === "Escape") {
        if (this.input.value) this.untouch();
        else if (inField) this.input.blur();
        else return false;
        return true;
      }
      // A digit typed anywhere is typed into the field.
      if (!inField && /^[\d.,-]$/.test(key)) this.input.focus();
      return false;
    }

    focus() {
      if (!this.isCoarse) this.input.focus({ preventScroll: true });
    }

    get keysHelp() {
      return [
        [["Digits"], "The number"],
        [["↑", "↓"], "One step more or less"],
        [["PgUp", "PgDn"], "Ten steps more or less"],
        [["Esc"], "Empty the field; again: leave it, and letters are commands"],
      ];
    }
  }

  editors.numeric = Numeric;
})();
