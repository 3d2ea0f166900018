// The page's keys: first the editor's, then Enter, then a letter for each command.
(() => {
  "use strict";

  const { element, isField, kbd } = window.feedback.dom;

  // Their fields have the focus from the start, so that letters alone are typed.
  const TYPING_KINDS = new Set(["text_correction", "numeric"]);

  class Keyboard {
    /** `commands`: what a letter does. `hasTask()`, `onConfirm()`: the page's. */
    constructor({ editor, commands, hasTask, onConfirm }) {
      Object.assign(this, { editor, commands, hasTask, onConfirm });
      document.addEventListener("keydown", (event) => {
        if (document.querySelector("dialog[open]") || event.isComposing) return;
        if (this.#handle(event)) event.preventDefault();
      });
    }

    /** Write the editor's keys into the help, and each command's key beside its button. */
    explain({ rows, confirmKey }) {
      rows.replaceChildren(...this.editor.keysHelp.map(([keys, what]) => element("tr", {},
        element("th", { scope: "row" }, ...keys.flatMap((key, index) => (key === "…" ? [" … "] : [index ? " " : "", kbd(key)]))),
        element("td", {}, what))));
      const { schema, picker } = this.editor;
      confirmKey.textContent = schema.kind === "text_correction" ? "Ctrl+Enter" : "Enter";
      // A class may have the key of a command; then Alt tells them apart, as it does while typing.
      const taken = new Set((schema.classes ?? []).map((each) => (each.hotkey ?? "").toLowerCase()));
      const isTyping = TYPING_KINDS.has(schema.kind) || picker?.hasSearch;
      for (const hint of document.querySelectorAll("[data-command-key]")) {
        const key = hint.dataset.commandKey;
        hint.textContent = (isTyping || taken.has(key)) && key !== "?" ? `Alt+${key.toUpperCase()}` : key.toUpperCase();
      }
    }

    /** Whether the key meant something here. */
    #handle(event) {
      const { key, target } = event;
      const isCtrl = event.ctrlKey || event.metaKey;
      if (event.altKey && !isCtrl) {
        // On some keyboards Alt changes the character; the code names the key itself.
        return this.#run(this.commands[event.code.replace(/^Key/, "").toLowerCase()] ?? this.commands[key.toLowerCase()], event);
      }
      if (this.hasTask() && this.editor.handleKey(event)) return true;
      // With nothing typed there is nothing that the search itself could take back.
      const isUndo = isCtrl && key === "z" && (!isField(target) || (target === this.editor.picker?.search && target.value === ""));
      if (isUndo) return this.#run(this.commands.u, event);
      if (isField(target) || isCtrl) return false;
      if (key === "Enter" && this.hasTask()) {
        const isControl = target.closest("a, button, summary") !== null;
        // A key held down must not answer the items that follow.
        return !isControl && (event.repeat || (this.onConfirm(), true));
      }
      return this.#run(this.commands[key.toLowerCase()], event);
    }

    #run(command, event) {
      if (!command) return false;
      if (!event.repeat) command();
      return true;
    }
  }

  window.feedback.Keyboard = Keyboard;
})();
