// The live preview of a question: the server renders the form as the widget takes it, the widget draws it. Nothing is sent
// by it, because a question without a token is a preview.
(() => {
  "use strict";

  const target = () => document.querySelector("[data-preview-target]");
  const rendered = () => document.querySelector("#question-preview [data-question]");

  const offerLocales = ({ locales, locale }) => {
    const label = document.querySelector("[data-preview-locales]");
    const menu = label.querySelector("select");
    const names = locales.split(" ");
    label.hidden = names.length < 2;
    menu.replaceChildren(...names.map((name) => new Option(name, name, name === locale, name === locale)));
  };

  const show = () => {
    const part = rendered();
    if (!part || typeof window.feedback !== "function") return;
    offerLocales(part.dataset);
    const question = JSON.parse(part.dataset.question);
    // Only the locale of its own words; the preview stores and sends nothing.
    window.feedback("init", { locale: question.locale });
    window.feedback("show", { question, target: target() });
  };

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target?.id !== "question-preview") return;
    show();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-preview-again]")) show();
  });
})();
