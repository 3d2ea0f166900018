// Answers that the service refused for good, such as those that came too late. None of them is thrown away: if the item comes
// again, its answer is there again; until then it can be read here, and dismissed.
(() => {
  "use strict";

  const { button, element, quoted } = window.feedback.dom;

  class Refused {
    constructor({ box, storageKey }) {
      this.box = box;
      this.storageKey = storageKey;
      try {
        this.entries = JSON.parse(localStorage.getItem(storageKey)) ?? [];
      } catch {
        this.entries = [];
      }
      this.#draw();
    }

    keep({ task, title, body }, error) {
      this.entries = this.entries.filter((each) => each.taskId !== task.id);
      this.entries.push({ taskId: task.id, itemKey: task.item.key, title, answer: body.answer, reason: error.message });
      this.#changed();
    }

    answerFor(taskId) {
      return this.entries.find((each) => each.taskId === taskId)?.answer ?? null;
    }

    forget(taskId) {
      if (!this.entries.some((each) => each.taskId === taskId)) return;
      this.entries = this.entries.filter((each) => each.taskId !== taskId);
      this.#changed();
    }

    #changed() {
      try {
        localStorage.setItem(this.storageKey, JSON.stringify(this.entries));
      } catch { /* Full or forbidden: they stay on the page. */ }
      this.#draw();
    }

    #draw() {
      this.box.hidden = !this.entries.length;
      this.box.querySelector("ul").replaceChildren(...this.entries.map((each) => {
        const dismiss = button({ class: "button small quiet", "aria-label": `Dismiss the answer for ${each.itemKey}` }, "Dismiss");
        dismiss.addEventListener("click", () => this.forget(each.taskId));
        return element("li", {}, element("span", { dir: "auto" }, `${quoted(each.title)} for ${each.itemKey}: ${each.reason}`), " ", dismiss);
      }));
    }
  }

  window.feedback.Refused = Refused;
})();
