// One review case: shows the item and takes the decision in the editor of its task type. Everything else is a form.
(() => {
  "use strict";

  const { Keyboard, announce, dom, editors, payload } = window.feedback;
  const { quoted } = dom;
  const COMMAND_KEYS = "abcgms?";
  const NEEDS_ANSWER = new Set(["decide", "gold"]);
  const NEEDS_COMMENT = new Map([["send_back", "Alt+B"], ["ambiguous", "Alt+A"]]);

  const by = (id) => document.getElementById(id);

  class ReviewPage {
    constructor({ schema, item }) {
      this.form = by("decision");
      this.comment = by("id_comment");
      // No suggestion: the server sends what the model says only to those who ask.
      this.task = { item, suggestion: null };
      this.editor = new editors[schema.kind]({
        root: by("editor"),
        schema,
        config: { payload: by("payload"), commandKeys: COMMAND_KEYS },
        onChange: () => this.changed(),
        onSubmit: () => this.submit("decide"),
        announce,
      });
      payload.show(by("payload"), item, schema);
      this.editor.show(this.task);
      this.keyboard = new Keyboard({
        editor: this.editor,
        commands: this.commands(),
        hasTask: () => true,
        onConfirm: () => this.submit("decide"),
      });
      this.keyboard.explain({ rows: by("keys-of-editor"), confirmKey: by("confirm-key") });
      this.form.addEventListener("submit", (event) => this.check(event));
      document.addEventListener("click", (event) => {
        const taker = event.target.closest("[data-take-over]");
        if (taker) this.takeOver(JSON.parse(taker.dataset.takeOver));
      });
      document.addEventListener("htmx:afterSwap", (event) => {
        const shown = event.target.querySelector("[data-suggestion]");
        if (shown) announce(shown.textContent.replace(/\s+/g, " ").trim());
      });
      this.editor.focus();
    }

    changed() {
      if (!this.editor) return;
      const { value } = this.editor;
      by("confirm").setAttribute("aria-disabled", String(value === null));
      by("confirm-label").textContent = value === null ? this.editor.confirmLabel : `Decide ${quoted(this.editor.summary(value))}`;
    }

    takeOver(answer) {
      this.editor.show(this.task, { answer });
      by("confirm").focus();
      announce(by("confirm-label").textContent);
    }

    submit(action) {
      this.form.requestSubmit(this.form.querySelector(`button[value="${action}"]`));
    }

    /** What the service would refuse anyway is said at once. */
    check(event) {
      const action = event.submitter?.value ?? "decide";
      const { value } = this.editor;
      if (NEEDS_ANSWER.has(action) && value === null) this.refuse(event, this.editor.hint, this.editor);
      else if (NEEDS_COMMENT.has(action) && !this.comment.value.trim()) this.refuse(event, `Say why, in a comment first; then ${NEEDS_COMMENT.get(action)}.`, this.comment);
      else by("id_answer").value = value === null ? "" : JSON.stringify(value);
    }

    refuse(event, text, where) {
      event.preventDefault();
      document.querySelector("dialog[open]")?.close();
      const line = by("said");
      line.className = "outcome error";
      line.textContent = text;
      announce(text);
      where.focus();
      line.scrollIntoView({ block: "nearest" });
    }

    commands() {
      return {
        a: () => this.submit("ambiguous"),
        b: () => this.submit("send_back"),
        c: () => this.comment.focus(),
        g: () => by("gold-dialog").showModal(),
        m: () => by("show-suggestion")?.click(),
        s: () => this.submit("skip"),
        "?": () => by("keys-help").showModal(),
      };
    }
  }

  /** A closed case is only looked at. */
  const showItem = ({ schema, item }) => payload.show(by("payload"), item, schema);

  document.addEventListener("DOMContentLoaded", () => {
    const config = JSON.parse(by("review-config").textContent);
    if (config.is_open) new ReviewPage(config);
    else showItem(config);
  });
})();
