// What every answer editor shares. One editor class a task type, registered under its kind in feedback.editors.
// Order of the scripts: dom, payload/*, payload, editors/editor, class_picker, mark_editor, text_offsets, word_diff, then the kinds.
//
// The page around an editor calls: show(task, {answer}), value, isTouched, confirmLabel, hint, summary(answer),
// handleKey(event), focus(), keysHelp. The editor calls: onChange() after every change, onSubmit() for an answer given from
// inside one of its fields, onPick() after a choice by pointer or by a key of its own (a page may answer at once then).
(() => {
  "use strict";

  const feedback = window.feedback;
  const { isField, quoted } = feedback.dom;

  // Letters that the page around the editor wants for itself, unless it names others.
  const COMMAND_KEYS = "sugcfh?";

  class Editor {
    constructor({ root, schema, config = {}, onChange = () => {}, onSubmit = () => {}, onPick = () => {}, announce = feedback.announce }) {
      Object.assign(this, { root, schema, config, onChange, onSubmit, onPick, announce });
      this.commandKeys = config.commandKeys ?? COMMAND_KEYS;
      this.isCoarse = matchMedia("(pointer: coarse)").matches;
      this.isTouched = false;
      this.start = null;
      this.suggestion = null;
      root.classList.add("editor", `editor-${schema.kind}`);
      root.replaceChildren();
      this.build();
    }

    /** A new item. `answer` is a draft, or one that was taken back or is being edited. */
    show(task, { answer = null } = {}) {
      this.task = task;
      this.payload = task.item.payload ?? {};
      this.suggestion = task.suggestion?.answer ?? null;
      this.start = answer;
      this.isTouched = false;
      this.fill(answer, this.suggestion);
      this.onChange();
    }

    /** What the annotator answered; the untouched suggestion counts as their answer. */
    get value() {
      return this.isTouched || this.start ? this.own : this.suggestion;
    }

    /** Whether submitting now would accept the model's suggestion as it stands. */
    get isAccepting() {
      return !this.isTouched && !this.start && this.suggestion !== null;
    }

    get confirmLabel() {
      const { value } = this;
      if (value === null) return this.wanted;
      return `${this.isAccepting ? "Accept" : "Answer"} ${quoted(this.summary(value))}`;
    }

    /** What to tell somebody who submits too early. */
    get hint() {
      return `${this.wanted} first.`;
    }

    touch() {
      this.isTouched = true;
      this.onChange();
    }

    /** Back to the suggestion, or to nothing: as if the item had just come. */
    untouch() {
      this.isTouched = false;
      this.start = null;
      this.fill(null, this.suggestion);
      this.onChange();
    }

    /** True for keys typed into a field that is not the editor's: none of its business. */
    isElsewhere(event) {
      return isField(event.target) && !this.root.contains(event.target);
    }

    /** Enter inside a field of the editor. A key held down must not answer the items that follow. */
    submitFrom(event) {
      if (!event.repeat) this.onSubmit();
      return true;
    }

    focus() {
      this.root.querySelector("[tabindex='0'], input, textarea, button")?.focus({ preventScroll: true });
    }
  }

  feedback.Editor = Editor;
  feedback.editors = {};
})();
